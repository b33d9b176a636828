"""Evaluation of one run by several metrics."""

from sklrank.data._frames import frame_like
from sklrank.metrics._average import aggregate
from sklrank.metrics._bounds import limits
from sklrank.metrics._functions import as_metrics
from sklrank.metrics._judged import align


class Evaluation(dict):
    """Hold the values of a run: a dict from the names of metrics to numbers.

    Attributes
    ----------
    per_query : dict of str to ndarray of shape (n_queries,)
        One value for each query of the judgments, in their order; NaN for a query that does not count. A function that
        returns one number for the whole run has no entry.
    qids : ndarray of object, shape (n_queries,)
        Ids of these queries, or their positions as str if they have no ids.
    in_run : ndarray of bool, shape (n_queries,)
        Whether the run has the query.
    bounds : dict of str to tuple of float, or None
        Least and greatest value over all possible judgments of the unjudged documents that the run retrieved, if they
        were requested. They are then printed, too.
    per_query_bounds : dict of str to tuple of ndarray of shape (n_queries,), or None
        These bounds for each query.

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
        """Return a table with one row per query and one column per metric.

        With bounds, it also has the columns ``<metric>_low`` and ``<metric>_high``.

        Returns
        -------
        DataFrame
            Of pandas if it is installed, otherwise of polars.
        """
        columns = {"qid": self.qids.tolist()}
        for name, values in self.per_query.items():
            columns[name] = values
            if self.per_query_bounds:
                columns[f"{name}_low"], columns[f"{name}_high"] = self.per_query_bounds[name]
        return frame_like(columns)


def evaluate(qrels, run, metrics, bounds=False):
    """Evaluate a run by several metrics.

    The run is aligned with the judgments only once.

    Parameters
    ----------
    qrels : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Relevance judgments.
    run : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. If both sides have ids, queries are aligned by id; otherwise they are aligned by position, and their
        numbers must be equal.
    metrics : str, callable, or list of these
        Names of metrics, such as ``"ndcg@10"``, or functions ``(y_true, y_pred)``, which keep their names. See the user
        guide for all names, and `make_rank_scorer` for the arguments and the result of a function.
    bounds : bool, default=False
        Whether to compute the least and the greatest value of each metric over all possible judgments of the unjudged
        documents that the run **retrieved**. Unjudged documents that it did not retrieve count as not relevant; see
        Notes.

    Returns
    -------
    Evaluation
        A dict from the names, as given, to the means over all judged queries. Its attributes hold the values of each
        query (`per_query`) and, if requested, the `bounds`.

    See Also
    --------
    compare : Compare several runs by tests of significance.

    Notes
    -----
    Bounds say how much the missing judgments in a ranking matter. An unjudged document in it may have any grade that
    occurs in the judgments, or 0. Documents outside the ranking count as not relevant, because there are as many of
    them as the corpus has: if all of them could be relevant, recall, average precision and nDCG of any run could be
    close to 0, and the bounds would say nothing. The bounds of these metrics are therefore too narrow if a run stops
    early. Precision and the reciprocal rank do not depend on documents that were not retrieved.

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
