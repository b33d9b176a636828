"""Scorers: metrics as scikit-learn's `scoring`."""

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
# Sums grow with the number of queries, and fewer unjudged documents are not more of anything good.
_NAMED = tuple(name for name, measure in MEASURES.items() if measure.how != "sum" and name != "unj")
_RECALL = re.compile(r"recall_vs_exact(?:@([1-9]\d*))?", re.IGNORECASE)

_WARNED = {}  # (token of a score function, cutoff, k), the oldest first; a dict because sets have no order
_MOST_WARNED = 1000
_LOCK = threading.Lock()


class RankScore:
    """The score function of a scorer: a metric that looks whether the rankings are deep enough.

    Parameters
    ----------
    metric : Metric or FunctionMetric
    """

    def __init__(self, metric):
        self.metric = metric
        self.__name__ = metric.name
        # scikit-learn asks the signature whether there may be weights, and what metadata it can route here.
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
        """Warn once a search and process: scikit-learn copies the scorer for each search, and not for each fold."""
        seen = (self._token, cutoff, k)
        if seen not in _WARNED:
            warnings.warn(
                f"{self.__name__} looks at the first {cutoff} documents, and the rankings stop after k={k}: what "
                f"would come below counts as not found. Retrieve with k={cutoff}, or score with a cutoff of {k}.",
                UserWarning,
                stacklevel=2,
            )
            with _LOCK:
                _WARNED[seen] = None
                while len(_WARNED) > _MOST_WARNED:
                    del _WARNED[next(iter(_WARNED))]


def make_rank_scorer(metric, *, greater_is_better=True, **kwargs):
    """Make a scorer of a rank metric, for the `scoring` of scikit-learn's functions.

    Parameters
    ----------
    metric : str or callable
        Name of a metric, such as ``"ndcg@10"``, or a function ``(y_true, y_pred)``: one of this module, such as
        `ndcg_score`, or your own. Your own gets the judgments as a list with one dict of document id to grade per
        query, and the `Run` of the same queries in the same order; it gives one number, or one per query, with NaN for
        a query that does not count.
    greater_is_better : bool, default=True
        False for what should be small; the scorer then gives its negative.
    **kwargs : dict
        Parameters of the metric, such as ``k=10`` or ``gain="exponential"``.

    Returns
    -------
    scorer : callable
        Scikit-learn's own kind of scorer, called as ``scorer(estimator, X, y)``, where `y` may have any shape that
        scikit-learn can split: `Qrels`, or a list, array or Series of dicts. It ranks by `predict`, or by `transform`
        if the estimator has no `predict`, such as a pipeline that ends in ``"passthrough"``. It takes `sample_weight`,
        the weights of the queries, if the metric does, and can be pickled if the metric can.

    Raises
    ------
    TypeError
        If the metric has no such parameter.

    See Also
    --------
    get_scorer : A scorer by name.
    register_scorers : Let scikit-learn know the names itself.

    Notes
    -----
    Of several scorers in a dict, all take one and the same run: each fold is searched once. Where the cutoff lies
    deeper than the `k` of the retriever, the scorer warns, once in each search and process.

    `Qrels` as `y` are aligned with the queries, the i-th judgments those of the i-th query: scikit-learn splits both by
    position. Where both have ids and these differ, the scorer raises ValueError; ``qrels.align(queries)`` brings the
    judgments into the order of the queries.

    Examples
    --------
    >>> from sklrank.metrics import make_rank_scorer, ndcg_score
    >>> from sklrank.retrievers import BM25Retriever
    >>> retriever = BM25Retriever(["heat flows", "cold rests"]).fit(["heat"])
    >>> scorer = make_rank_scorer(ndcg_score, k=10, gain="exponential")
    >>> scorer(retriever, ["what flows", "who rests"], [{"0": 1}, {"0": 1}])
    0.5
    """
    from sklrank.metrics._rank_scorer import RankScorer  # takes as long to import as all of sklrank

    score = RankScore(as_metric(metric, **kwargs))
    return RankScorer(score, 1 if greater_is_better else -1, {}, ("predict", "transform"))


class RecallAgainstExact:
    """A scorer of approximate search: which part of the truly nearest documents is found.

    It needs no judgments, so that ``GridSearchCV(...).fit(queries)`` does.

    Parameters
    ----------
    k : int or None
        How many documents; ``None``: as many as the retriever returns.
    """

    def __init__(self, k=None):
        self.k = k

    def __call__(self, estimator, X, y=None):
        """Score a retriever, or the last one of a `Pipeline`."""
        steps = [step for _, step in estimator.steps] if hasattr(estimator, "steps") else [estimator]
        last = max((i for i, step in enumerate(steps) if hasattr(step, "recall_against_exact")), default=None)
        if last is None:
            raise TypeError(f"{self!r} scores approximate retrievers, and {type(estimator).__name__} is or has none")
        for step in steps[:last]:
            X = X if step in (None, "passthrough") else step.transform(X)
        return steps[last].recall_against_exact(X, k=self.k)

    def __repr__(self):
        return f"recall_vs_exact{'' if self.k is None else f'@{self.k}'}"


def get_scorer(scoring):
    """A scorer by the name of its metric.

    Parameters
    ----------
    scoring : str or callable
        Name of a metric, ``name[(param=value,…)][@k]``: any that `evaluate` takes, in the list of `get_scorer_names`
        or not. ``"recall_vs_exact@k"`` is the part of the exact ranking that a retriever with `recall_against_exact`
        finds, such as `AnnRetriever`, or the last such step of a pipeline; it needs no judgments. What is a scorer
        already comes back as it is.

    Returns
    -------
    scorer : callable
        See `make_rank_scorer`.

    Raises
    ------
    ValueError
        If there is no such metric, or it has no such parameter.

    See Also
    --------
    make_rank_scorer : A scorer of a function.
    register_scorers : Let scikit-learn know the names itself.

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
    """Names of scorers, those with the usual cutoffs.

    `get_scorer` takes more: any cutoff and any parameter that the metric has, such as ``"ndcg(gain=exponential)@37"``.

    Returns
    -------
    list of str

    See Also
    --------
    get_scorer : A scorer by name.

    Examples
    --------
    >>> from sklrank.metrics import get_scorer_names
    >>> [name for name in get_scorer_names() if name.startswith("mrr")][:4]
    ['mrr', 'mrr@1', 'mrr@10', 'mrr@100']
    """
    return sorted([*_NAMED, *(f"{name}@{k}" for name in _CUT for k in _CUTOFFS)])
