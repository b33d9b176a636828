"""Keys of rankings, and copies of retrievers that a key describes.

A ranking key is a key of a fitted retriever: the rankings of one query are equal if the keys are. A retriever whose
rankings may not be reused has no key.
"""

from copy import copy

import numpy as np

from sklrank._caching._attached import Attached
from sklrank._caching.keys import PLAIN, Identity, same_objects, value_key

_SNAPSHOTS = Attached()  # retriever → its snapshot


def parameters_key(retriever, *parts):
    """Return the key of rankings that depend only on the retriever's parameters, its corpus and the query.

    `n_jobs` and the corpus are not part of the key: `n_jobs` changes no ranking, and rankings are kept on the corpus. A
    class outside sklrank may learn from judgments. Its rankings have no key unless it defines `ranking_key`.

    Parameters
    ----------
    retriever : Retriever
    *parts : retriever or None
        Fitted inner retrievers. Their keys replace the parameters that they were made from.

    Returns
    -------
    hashable or None
        None if a part has no key, or `gives_key` is False.
    """
    if not gives_key(retriever):
        return None
    inside = [part_key(part, corpus_of(retriever)) for part in parts if part is not None]
    if any(key is None for key in inside):
        return None
    parameters = {name: value for name, value in _parameters(retriever) if not (parts and has_key(value))}
    parameter_keys = tuple((name, value_key(value)) for name, value in sorted(parameters.items()))
    return (Identity(type(retriever)), parameter_keys, *inside)


def _parameters(retriever):
    """Yield the names and values of the attributes that rankings may depend on, and that `fit` does not set."""
    for name, value in vars(retriever).items():
        if name[0] != "_" and name[-1] != "_" and name not in ("corpus", "n_jobs"):
            yield name, value


def gives_key(retriever):
    """Return whether the class of a retriever is one of sklrank, or defines `ranking_key` itself.

    Parameters
    ----------
    retriever : Retriever

    Returns
    -------
    bool
    """
    cls = type(retriever)
    return cls.__module__.partition(".")[0] == "sklrank" or "ranking_key" in vars(cls)


def has_key(value):
    """Return whether a value is a retriever that may have a ranking key.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    return hasattr(type(value), "ranking_key")


def part_key(retriever, corpus):
    """Return the key of the rankings of an inner retriever, which may search another corpus than the outer one.

    Parameters
    ----------
    retriever : object
        The fitted inner retriever.
    corpus : Corpus or None
        Corpus of the outer retriever.

    Returns
    -------
    hashable or None
        None if its rankings may not be reused.
    """
    if not has_key(retriever):
        return None
    key = retriever.ranking_key()
    if key is None:
        return None
    inner = corpus_of(retriever)
    if inner is None or inner is corpus:
        return (key, None)
    return (key, Identity(inner))


def corpus_of(retriever):
    """Return the corpus of a retriever: `corpus_` if it is fitted, else `corpus`; None if it has neither.

    Parameters
    ----------
    retriever : retriever

    Returns
    -------
    Corpus or None
    """
    return getattr(retriever, "corpus_", getattr(retriever, "corpus", None))


def snapshot(retriever):
    """Return a copy of a fitted retriever that no other code modifies, and its ranking key.

    The rankings of the copy belong to the key, even if another thread sets parameters of the original in the meantime.
    Both are made again only if an attribute of the retriever, or of an inner retriever, has changed.

    Parameters
    ----------
    retriever : retriever

    Returns
    -------
    taken : retriever
    key : hashable or None
    """
    known = _SNAPSHOTS.get((retriever,))
    if known is None or not known.holds_for(retriever):
        known = _Snapshot(retriever)
        _SNAPSHOTS.put((retriever,), known)
    return known.taken, known.key


class _Snapshot:
    """A copy of a retriever, its key, and the attributes from which both were made."""

    def __init__(self, retriever):
        self.inside = []  # inner retrievers, and their attributes
        self.taken, self.attributes = self._copied(retriever)
        self.key = self.taken.ranking_key()
        retrievers = (self.taken, *(part for part, _ in self.inside))
        self.may_change = any(_may_change(value) for part in retrievers for _, value in _parameters(part))

    def _copied(self, retriever):
        taken = copy(retriever)
        attributes = list(vars(taken).values())
        for name, value in vars(taken).items():
            if has_key(value):
                vars(taken)[name] = self._copied_inside(value)
            elif isinstance(value, list):
                vars(taken)[name] = [
                    (item[0], self._copied_inside(item[1])) if _is_named(item) else item for item in value
                ]
        return taken, attributes

    def _copied_inside(self, retriever):
        taken, attributes = self._copied(retriever)
        self.inside.append((retriever, attributes))
        return taken

    def holds_for(self, retriever):
        """Return whether no attribute has changed since the copy was made, and none can have changed in place."""
        return (
            not self.may_change
            and same_objects(self.attributes, list(vars(retriever).values()))
            and all(same_objects(attributes, list(vars(part).values())) for part, attributes in self.inside)
        )


def _may_change(value):
    """Return whether a parameter can change in place; if an estimator does, `check_unchanged` sees it."""
    if isinstance(value, tuple):
        return any(map(_may_change, value))
    return not (isinstance(value, (*PLAIN, bytes, np.generic)) or callable(value) or hasattr(value, "get_params"))


def _is_named(item):
    """Return whether an item of a list is (name, retriever), as in a union."""
    return isinstance(item, tuple) and len(item) == 2 and has_key(item[1])
