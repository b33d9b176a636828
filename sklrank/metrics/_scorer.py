"""Scorers: metrics as scikit-learn's `scoring`."""

import re
import threading
import uuid
import warnings
from inspect import Parameter, Signature, signature

from sklrank._validation import scorer_table, scoring_options, set_scorer_table
from sklrank.data._corpus import TRAVELLERS
from sklrank.metrics._judged import check_same_queries
from sklrank.metrics._names import Metric, metric_from_name
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
    """What a scorer calls: a metric with its parameters, which looks whether the rankings are deep enough.

    Parameters
    ----------
    metric : callable
        Takes judgments and a run.
    params : dict
        Further arguments of the metric.
    cutoff : int or None
        How deep the metric looks into a ranking.
    name : str
        What the scorer prints.
    """

    def __init__(self, metric, params, cutoff, name):
        self.metric = metric
        self.params = params
        self.cutoff = cutoff
        self.__name__ = name
        # scikit-learn asks the signature whether there may be weights, and what metadata it can route here.
        known = [Parameter(side, Parameter.POSITIONAL_OR_KEYWORD) for side in ("y_true", "y_pred")]
        if "sample_weight" in signature(metric).parameters:
            known.append(Parameter("sample_weight", Parameter.KEYWORD_ONLY, default=None))
        self.__signature__ = Signature(known)
        self._token = uuid.uuid4().hex

    def __deepcopy__(self, memo):
        return RankScore(self.metric, self.params, self.cutoff, self.__name__)

    def __call__(self, y_true, y_pred, **weights):
        """Score the rankings `y_pred`."""
        check_same_queries(y_true, y_pred)
        k = getattr(y_pred, "k", None)
        if self.cutoff is not None and k is not None and k < self.cutoff and k < y_pred.shape[1]:
            self._warn(k)
        return float(self.metric(y_true, y_pred, **self.params, **weights))

    def _warn(self, k):
        """Warn once a search and process: scikit-learn copies the scorer for each search, and not for each fold."""
        seen = (self._token, self.cutoff, k)
        if seen not in _WARNED:
            warnings.warn(
                f"{self.__name__} looks at the first {self.cutoff} documents, and the rankings stop after k={k}: what "
                f"would come below counts as not found. Retrieve with k={self.cutoff}, or score with a cutoff of {k}.",
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
        Name of a metric, such as ``"ndcg@10"``; or a function of judgments and a run, such as `ndcg_score`.
    greater_is_better : bool, default=True
        False for what should be small; the scorer then gives its negative.
    **kwargs : dict
        Parameters of the metric, such as ``k=10`` or ``gain="exponential"``.

    Returns
    -------
    scorer : callable
        Scikit-learn's own kind of scorer, called as ``scorer(estimator, X, y)``, where `y` may have any shape that
        scikit-learn can split: `Qrels`, or a list, array or Series of dicts. It takes `sample_weight`, the weights of
        the queries, where the metric does, and can be pickled where the metric can.

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
    from sklearn.metrics import make_scorer  # takes as long to import as all of sklrank

    if isinstance(metric, (str, Metric)):
        metric = metric_from_name(metric).with_params(**kwargs)
        score = RankScore(metric, {}, metric.k, metric.name)
    elif callable(metric):
        parameters = signature(metric).parameters
        _check_parameters(metric, parameters, kwargs)
        default = parameters["k"].default if "k" in parameters else None
        cutoff = kwargs.get("k", None if default is Parameter.empty else default)
        score = RankScore(metric, kwargs, cutoff, getattr(metric, "__name__", repr(metric)))
    else:
        raise TypeError(f"metric is a name, such as 'ndcg@10', or a function; got {metric!r}")
    return make_scorer(score, greater_is_better=greater_is_better)


def _check_parameters(metric, parameters, given):
    """Refuse arguments that the function does not take besides judgments and a run."""
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    kinds = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    known = [name for name, parameter in list(parameters.items())[2:] if parameter.kind in kinds]
    for name in given:
        if name not in known:
            function = getattr(metric, "__name__", repr(metric))
            raise TypeError(f"{function} has no parameter {name!r}; it has {', '.join(known) or 'none'}")


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


def register_scorers():
    """Let scikit-learn know the names of rank metrics.

    After the call, plain strings do wherever scikit-learn takes `scoring`: ``GridSearchCV(..., scoring="ndcg@10")``,
    ``cross_validate(..., scoring=["map", "recall@100"])``. All names that `get_scorer` takes are known; the list of
    `sklearn.metrics.get_scorer_names` shows those of our `get_scorer_names`. From now on our estimators and corpora
    register the names where they are unpickled too, such as in the worker processes of a nested search.

    To call it again does no harm.

    Raises
    ------
    RuntimeError
        If this version of scikit-learn keeps its scorers in a way that sklrank does not know. Nothing is changed then,
        and ``scoring=get_scorer("ndcg@10")`` works still.

    See Also
    --------
    get_scorer : A scorer by name, without registration.
    unregister_scorers : Undo it.

    Notes
    -----
    Scikit-learn has no public way to add a scorer: its table of scorers and the sets of names that its functions
    compare `scoring` with are replaced by larger ones. Names that it has itself, such as ``"f1"``, ``"recall"`` and
    ``"average_precision"``, keep their meaning there. What is imported after the call and has a `scoring` parameter of
    its own takes the listed names; after another call it takes all.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklrank.datasets import load_scifact
    >>> from sklrank.metrics import register_scorers, unregister_scorers
    >>> from sklrank.retrievers import BM25Retriever
    >>> data = load_scifact()
    >>> register_scorers()
    >>> cross_val_score(BM25Retriever(data.corpus), data.queries, data.qrels, scoring="success@1", cv=2).shape
    (2,)
    >>> unregister_scorers()
    """
    with _LOCK:
        options = scoring_options()
        table = scorer_table()
        if not isinstance(table, _Table):
            table = _Table(table)
            set_scorer_table(table)
        for option in options:
            if not isinstance(option.options, _Names):
                known = option.options  # with ours where its module was imported after a call before this one
                option.options = _Names(known if known.isdisjoint(table.added) else known - table.added)
        TRAVELLERS[:] = [_Registration()]


def unregister_scorers():
    """Undo `register_scorers`: scikit-learn no longer knows the names of rank metrics.

    See Also
    --------
    register_scorers : What this undoes.

    Examples
    --------
    >>> from sklearn.metrics import get_scorer_names
    >>> from sklrank.metrics import register_scorers, unregister_scorers
    >>> register_scorers()
    >>> "ndcg@10" in get_scorer_names()
    True
    >>> unregister_scorers()
    >>> "ndcg@10" in get_scorer_names()
    False
    """
    with _LOCK:
        TRAVELLERS.clear()
        table = scorer_table()
        if not isinstance(table, _Table):
            return
        set_scorer_table(table.before)
        for option in scoring_options():
            if isinstance(option.options, _Names):
                option.options = option.options.before
            else:  # of a module that was imported in the meantime
                option.options = option.options - table.added


def _is_metric(name):
    try:
        get_scorer(name)
    except (TypeError, ValueError):
        return False
    return True


class _Table(dict):
    """Scikit-learn's table of scorers, with ours, the unlisted ones too."""

    def __init__(self, before):
        super().__init__(before)
        self.before = before
        self.added = set(get_scorer_names()) - set(before)
        self.update((name, make_rank_scorer(name)) for name in self.added)

    def __missing__(self, name):
        if not _is_metric(name):
            raise KeyError(name)
        return get_scorer(name)


class _Names(set):
    """The names that `scoring` may have, with ours, the unlisted ones too."""

    def __init__(self, before):
        super().__init__(before)
        self.before = before
        self.update(get_scorer_names())

    def __contains__(self, name):
        return super().__contains__(name) or _is_metric(name)


class _Registration:
    """A passenger of pickles that registers the scorers where it arrives."""

    def __reduce__(self):
        return _register_on_arrival, ()


def _register_on_arrival():
    if TRAVELLERS:
        return
    try:
        register_scorers()
    except RuntimeError as error:  # what was pickled is of use without the names
        warnings.warn(str(error), UserWarning, stacklevel=2)
