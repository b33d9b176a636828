"""Names of rank metrics in scikit-learn's `scoring`, which has no public way to add names."""

import threading
import warnings

from sklrank._validation import scorer_table, scoring_options, set_scorer_table
from sklrank.data._corpus import TRAVELLERS
from sklrank.metrics._scorer import get_scorer, get_scorer_names, make_rank_scorer

_LOCK = threading.Lock()


def register_scorers():
    """Add the names of rank metrics to scikit-learn's `scoring`.

    After the call, every function of scikit-learn with a parameter `scoring` takes them as strings:
    ``GridSearchCV(..., scoring="ndcg@10")``, ``cross_validate(..., scoring=["map", "recall@100"])``. All names that
    `get_scorer` takes are known; `sklearn.metrics.get_scorer_names` lists those of `sklrank.metrics.get_scorer_names`.
    From then on, estimators and corpora of sklrank also register the names in a process that unpickles them, such as a
    worker process of a nested search.

    Further calls do no harm.

    Raises
    ------
    RuntimeError
        If sklrank does not know how this version of scikit-learn stores its scorers. Nothing is then changed, and
        ``scoring=get_scorer("ndcg@10")`` still works.

    See Also
    --------
    get_scorer : Return a scorer by name, without registration.
    unregister_scorers : Undo the registration.

    Notes
    -----
    scikit-learn has no public way to add a scorer. Its table of scorers, and the sets of names that its functions
    compare `scoring` with, are therefore replaced by larger ones. Names of scikit-learn's own scorers, such as
    ``"f1"``, ``"recall"`` and ``"average_precision"``, keep their meaning. Classes and functions that are imported
    after the call take the listed names as `scoring`, and all names after another call.

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
                known = option.options
                if not known.isdisjoint(table.added):  # the module was imported after an earlier call
                    known = known - table.added
                option.options = _Names(known)
        TRAVELLERS[:] = [_Registration()]


def unregister_scorers():
    """Remove the names of rank metrics from scikit-learn, which undoes `register_scorers`.

    See Also
    --------
    register_scorers : Add the names of rank metrics to scikit-learn.

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
            else:  # the module was imported in the meantime
                option.options = option.options - table.added


def _is_metric(name):
    try:
        get_scorer(name)
    except (TypeError, ValueError):
        return False
    return True


class _Table(dict):
    """scikit-learn's table of scorers together with ours, including those that are not listed."""

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
    """Names that `scoring` may have, together with ours, including those that are not listed."""

    def __init__(self, before):
        super().__init__(before)
        self.before = before
        self.update(get_scorer_names())

    def __contains__(self, name):
        return super().__contains__(name) or _is_metric(name)


class _Registration:
    """Register the scorers in the process that unpickles this object."""

    def __reduce__(self):
        return _register_on_arrival, ()


def _register_on_arrival():
    if TRAVELLERS:
        return
    try:
        register_scorers()
    except RuntimeError as error:  # the unpickled object can be used without the names
        warnings.warn(str(error), UserWarning, stacklevel=2)
