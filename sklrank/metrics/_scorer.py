"""Scorers: metrics for the `scoring` of scikit-learn."""

import re
import threading
import uuid
import warnings
from inspect import Parameter, Signature

from sklrank.metrics._functions import as_metric
from sklrank.metrics._judged import check_same_queries
from sklrank.metrics._names import Metric
from sklrank.metrics._registry import MEASURES

_CUTOFFS = (1, 3, 5, 10, 20, 50, 100, 1000)
_CUT = ("alpha_ndcg", "dcg", "err", "f1", "judged", "map", "mrr", "ndcg", "p", "rbp", "recall", "success")
# Sums grow with the number of queries, and a higher share of unjudged documents is not better.
_NAMED = tuple(name for name, measure in MEASURES.items() if measure.how != "sum" and name != "unj")
_RECALL = re.compile(r"recall_vs_exact(?:@([1-9]\d*))?", re.IGNORECASE)

_WARNED = {}  # (token of a score function, cutoff, k), the oldest first; a dict, because sets have no order
_MOST_WARNED = 1000
_LOCK = threading.Lock()


class RankScore:
    """Score rankings by a metric, and warn if they are not deep enough.

    Parameters
    ----------
    metric : Metric or FunctionMetric
    """

    def __init__(self, metric):
        self.metric = metric
        self.__name__ = metric.name
        # scikit-learn reads from the signature whether weights are accepted, and which metadata it can route here.
        known = [Parameter(side, Parameter.POSITIONAL_OR_KEYWORD) for side in ("y_true", "y_pred")]
        if metric.takes_weights:
            known.append(Parameter("sample_weight", Parameter.KEYWORD_ONLY, default=None))
        self.__signature__ = Signature(known)
        self._token = uuid.uuid4().hex

    def __deepcopy__(self, memo):
        return RankScore(self.metric)

    def __call__(self, y_true, y_pred, **weights):
        """Score the rankings `y_pred`."""
        check_same_queries(y_true, y_pred)
        k, cutoff = getattr(y_pred, "k", None), self.metric.k
        if cutoff is not None and k is not None and k < cutoff and k < y_pred.shape[1]:
            self._warn(k, cutoff)
        return float(self.metric(y_true, y_pred, **weights))

    def _warn(self, k, cutoff):
        """Warn once per search and process: scikit-learn copies the scorer for each search, but not for each fold."""
        seen = (self._token, cutoff, k)
        if seen not in _WARNED:
            warnings.warn(
                f"{self.__name__} measures the first {cutoff} documents, but the rankings stop after k={k}: documents "
                f"below count as not found. Retrieve with k={cutoff}, or score with a cutoff of {k}.",
                UserWarning,
                stacklevel=2,
            )
            with _LOCK:
                _WARNED[seen] = None
                while len(_WARNED) > _MOST_WARNED:
                    del _WARNED[next(iter(_WARNED))]


def make_rank_scorer(metric, *, greater_is_better=True, **kwargs):
    """Make a scorer from a rank metric, for the `scoring` of scikit-learn's functions.

    Parameters
    ----------
    metric : str or callable
        Name of a metric, such as ``"ndcg@10"``, or a function ``(y_true, y_pred)``: one of this module, such as
        `ndcg_score`, or your own. Your own function gets the judgments as a list with one dict from document id to
        grade per query, and the `Run` of the same queries in the same order. It returns one number, or one per query,
        with NaN for a query that does not count.
    greater_is_better : bool, default=True
        Whether a higher value is better. If False, the scorer returns the negative value.
    **kwargs : dict
        Parameters of the metric, such as ``k=10`` or ``gain="exponential"``.

    Returns
    -------
    scorer : callable
        A scorer of scikit-learn, called as ``scorer(estimator, X, y)``. `y` may have any type that scikit-learn can
        split: `Qrels`, or a list, array or Series of dicts. The scorer ranks by `predict`, or by `transform` if the
        estimator has no `predict`, such as a pipeline that ends in ``"passthrough"``. It takes `sample_weight`, the
        weights of the queries, if the metric does, and can be pickled if the metric can.

    Raises
    ------
    TypeError
        If the metric does not have the parameter.

    See Also
    --------
    get_scorer : Return a scorer by name.
    register_scorers : Add the names of rank metrics to scikit-learn.

    Notes
    -----
    Several scorers in a dict share one run, so that each fold is searched once. If the cutoff is deeper than the `k` of
    the retriever, the scorer warns, once per search and process.

    scikit-learn splits queries and judgments by position. The i-th judgments of `Qrels` must therefore be those of the
    i-th query. If both have ids and these differ, the scorer raises a ValueError; ``qrels.align(queries)`` puts the
    judgments in the order of the queries.

    Examples
    --------
    >>> from sklrank.metrics import make_rank_scorer, ndcg_score
    >>> from sklrank.retrievers import BM25Retriever
    >>> retriever = BM25Retriever(["heat flows", "cold rests"]).fit(["heat"])
    >>> scorer = make_rank_scorer(ndcg_score, k=10, gain="exponential")
    >>> scorer(retriever, ["what flows", "who rests"], [{"0": 1}, {"0": 1}])
    0.5
    """
    from sklrank.metrics._rank_scorer import RankScorer  # its import takes as long as that of the rest of sklrank

    sign = -1
    if greater_is_better:
        sign = 1
    return RankScorer(RankScore(as_metric(metric, **kwargs)), sign, {}, ("predict", "transform"))


class RecallAgainstExact:
    """Score approximate search by the share of the truly nearest documents that it finds.

    The scorer needs no judgments: ``GridSearchCV(...).fit(queries)`` works without `y`.

    Parameters
    ----------
    k : int or None
        Number of documents to compare. If None, it is the `k` of the retriever.
    """

    def __init__(self, k=None):
        self.k = k

    def __call__(self, estimator, X, y=None):
        """Score a retriever, or the last one of a `Pipeline`."""
        steps = [estimator]
        if hasattr(estimator, "steps"):
            steps = [step for _, step in estimator.steps]
        last = max((i for i, step in enumerate(steps) if hasattr(step, "recall_against_exact")), default=None)
        if last is None:
            raise TypeError(
                f"{self!r} scores approximate retrievers; {type(estimator).__name__} is not one and has none"
            )
        for step in steps[:last]:
            if step not in (None, "passthrough"):
                X = step.transform(X)
        return steps[last].recall_against_exact(X, k=self.k)

    def __repr__(self):
        if self.k is None:
            return "recall_vs_exact"
        return f"recall_vs_exact@{self.k}"


def get_scorer(scoring):
    """Return a scorer by the name of its metric.

    Parameters
    ----------
    scoring : str or callable
        Name of a metric, ``name[(param=value,…)][@k]``. Every name that `evaluate` takes is allowed, whether
        `get_scorer_names` lists it or not. ``"recall_vs_exact@k"`` is the share of the exact ranking that a retriever
        with the method `recall_against_exact` finds, such as `AnnRetriever`, or the last such step of a pipeline; it
        needs no judgments. A callable is a scorer already and is returned as it is.

    Returns
    -------
    scorer : callable
        See `make_rank_scorer`.

    Raises
    ------
    ValueError
        If the metric or its parameter is unknown.

    See Also
    --------
    make_rank_scorer : Make a scorer from a function.
    register_scorers : Add the names of rank metrics to scikit-learn.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklrank.datasets import load_scifact
    >>> from sklrank.metrics import get_scorer
    >>> from sklrank.retrievers import BM25Retriever
    >>> data = load_scifact()
    >>> search = GridSearchCV(BM25Retriever(data.corpus), {"b": [0.0, 0.5]}, scoring=get_scorer("ndcg@10"), cv=3)
    >>> search.fit(data.queries, data.qrels).best_params_
    {'b': 0.5}
    """
    if callable(scoring) and not isinstance(scoring, Metric):
        return scoring
    if isinstance(scoring, str) and (match := _RECALL.fullmatch(scoring)):
        return RecallAgainstExact(match[1] and int(match[1]))
    return make_rank_scorer(scoring)


def get_scorer_names():
    """Return the names of scorers, with the usual cutoffs.

    `get_scorer` takes more names: any cutoff and any parameter of the metric, as in ``"ndcg(gain=exponential)@37"``.

    Returns
    -------
    list of str

    See Also
    --------
    get_scorer : Return a scorer by name.

    Examples
    --------
    >>> from sklrank.metrics import get_scorer_names
    >>> [name for name in get_scorer_names() if name.startswith("mrr")][:4]
    ['mrr', 'mrr@1', 'mrr@10', 'mrr@100']
    """
    return sorted([*_NAMED, *(f"{name}@{k}" for name in _CUT for k in _CUTOFFS)])
