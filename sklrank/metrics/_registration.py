"""Names of rank metrics in scikit-learn's own `scoring`, which has no public way to add any."""

import threading
import warnings

from sklrank._validation import scorer_table, scoring_options, set_scorer_table
from sklrank.data._corpus import TRAVELLERS
from sklrank.metrics._scorer import get_scorer, get_scorer_names, make_rank_scorer

_LOCK = threading.Lock()


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
