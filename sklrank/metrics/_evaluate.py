"""Many metrics of one run."""

from sklrank.data._frames import frame_like
from sklrank.metrics._average import aggregate
from sklrank.metrics._bounds import limits
from sklrank.metrics._functions import as_metrics
from sklrank.metrics._judged import align


class Evaluation(dict):
    """Values of a run: a dict of metric names to numbers.

    Attributes
    ----------
    per_query : dict of str to ndarray of shape (n_queries,)
        One value for each query of the judgments, in their order; NaN where it does not count. A function that gives
        one number for the whole run has none.
    qids : ndarray of object, shape (n_queries,)
        Ids of these queries; their positions as str where they have none.
    in_run : ndarray of bool, shape (n_queries,)
        Whether the run has the query.
    bounds : dict of str to tuple of float, or None
        Least and greatest value over all judgments of the unjudged documents that the run retrieved, where they were
        asked for; it then prints them, too.
    per_query_bounds : dict of str to tuple of ndarray of shape (n_queries,), or None
        The same for each query.

    Examples
    --------
    >>> from sklrank.metrics import evaluate
    >>> result = evaluate({"q1": {"d1": 1}, "q2": {"d2": 1}}, {"q1": ["d1"], "q2": ["d3", "d2"]}, "mrr")
    >>> result["mrr"], result.per_query["mrr"].tolist(), result.qids.tolist()
    (0.75, [1.0, 0.5], ['q1', 'q2'])
    """

    def __init__(self, values, *, per_query, qids, in_run, bounds=None, per_query_bounds=None):
        super().__init__(values)
        self.per_query = per_query
        self.qids = qids
        self.in_run = in_run
        self.bounds = bounds
        self.per_query_bounds = per_query_bounds

    def __repr__(self):
        if not self.bounds:
            return super().__repr__()
        entries = []
        for name, value in self.items():
            low, high = self.bounds.get(name, (value, value))
            entries.append(f"{name!r}: {value!r} in [{low!r}, {high!r}]")
        return f"{{{', '.join(entries)}}}"

    def to_frame(self):
        """One row a query, one column a metric; with bounds also the columns ``<metric>_low`` and ``<metric>_high``.

        Returns
        -------
        DataFrame
            Of pandas where it is installed, else of polars.
        """
        columns = {"qid": self.qids.tolist()}
        for name, values in self.per_query.items():
            columns[name] = values
            if self.per_query_bounds:
                columns[f"{name}_low"], columns[f"{name}_high"] = self.per_query_bounds[name]
        return frame_like(columns)


def evaluate(qrels, run, metrics, bounds=False):
    """Evaluate a run by several metrics; it is aligned with the judgments once.

    Parameters
    ----------
    qrels : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments.
    run : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    metrics : str, callable, or list of these
        Names of metrics, such as ``"ndcg@10"``, or functions ``(y_true, y_pred)``, which are named by their names; see
        the user guide for all names, and `make_rank_scorer` for what a function of yours gets and gives.
    bounds : bool, default=False
        Whether to give each metric's least and greatest value over all judgments of the unjudged documents that the
        run **retrieved**. Unjudged documents that it did not retrieve count as not relevant; see Notes.

    Returns
    -------
    Evaluation
        A dict of the names as given to the means over all judged queries, with the values of each query as
        `per_query` and, if asked for, `bounds`.

    See Also
    --------
    compare : Several runs, with significance.

    Notes
    -----
    Bounds say how much the holes in a ranking matter. An unjudged document in it may have any grade that occurs in the
    judgments, or 0. Of the documents outside it there are as many as the corpus has: were they all to be relevant,
    recall, average precision and nDCG could be next to 0 for any run, and the bounds would say nothing. So they count
    as not relevant, and where a run stops early the bounds of these metrics are too narrow. Precision and the
    reciprocal rank do not depend on what was not retrieved.

    Examples
    --------
    >>> from sklrank.metrics import evaluate
    >>> qrels = {"q1": {"d1": 1, "d2": 0}, "q2": {"d3": 2}}
    >>> run = {"q1": {"d1": 0.5, "d2": 0.9, "d4": 0.1}, "q2": {"d3": 1.0}}
    >>> result = evaluate(qrels, run, ["mrr", "recall@100"])
    >>> result
    {'mrr': 0.75, 'recall@100': 1.0}
    >>> result.per_query["mrr"]
    array([0.5, 1. ])

    Whether d4 is relevant is unknown:

    >>> evaluate(qrels, run, ["p@3", "mrr"], bounds=True).bounds["mrr"]
    (0.75, 0.75)
    >>> evaluate(qrels, run, "recall@2", bounds=True)
    {'recall@2': 1.0 in [0.75, 1.0]}
    """
    judged = align(qrels, run)
    values, per_query, ends, per_query_ends = {}, {}, {}, {}
    for metric in as_metrics(metrics):
        values[metric.name], of_queries, counted = metric.evaluate(judged)
        if of_queries is not None:
            per_query[metric.name] = of_queries
        if bounds:
            per_query_ends[metric.name] = limits(metric, judged)
            ends[metric.name] = tuple(aggregate(end, counted, metric.how) for end in per_query_ends[metric.name])
    return Evaluation(
        values,
        per_query=per_query,
        qids=judged.qids,
        in_run=judged.in_run,
        bounds=ends or None,
        per_query_bounds=per_query_ends or None,
    )
