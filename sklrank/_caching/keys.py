"""Keys of results.

A key is hashable, and equal keys mean equal results. A key holds the content of parameters. It holds functions by
identity, because two functions may have one name, and because the code of a function may change between two processes.
Therefore a key that holds a function cannot name a file.
"""

import hashlib
import os
from copy import copy
from operator import is_, itemgetter
from pathlib import Path
from pickle import PicklingError
from types import FunctionType, MethodType

import numpy as np
from joblib.hashing import NumpyHasher, Pickler
from scipy import sparse
from sklearn.frozen import FrozenEstimator

from sklrank._caching._attached import Attached
from sklrank._caching._recent import Recent

_FROZEN = Attached()  # frozen estimator → the attributes that its key was made from, and the key
_SNAPSHOTS = Attached()  # retriever → its snapshot
_DIGESTS = Recent(2)  # content of a model → its hash
_PLAIN = (str, int, float, bool, type(None))


class Identity:
    """Represent an object in a key by its identity: two are equal if they represent the same object.

    Parameters
    ----------
    value : object
    """

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Identity) and other.value is self.value

    def __hash__(self):
        return id(self.value)

    def __repr__(self):
        return f"<the {type(self.value).__name__} {getattr(self.value, '__qualname__', '')}>"

    def __reduce__(self):
        raise PicklingError("a key by identity is valid in one process only")


class _Hasher(NumpyHasher):
    """Hash as joblib does, and collect the functions inside the value."""

    def __init__(self):
        super().__init__(coerce_mmap=True)
        self.functions = []

    def save(self, obj):
        if isinstance(obj, MethodType):
            self.functions.append(Identity(obj.__func__))
            obj = ("method", obj.__self__)
        elif isinstance(obj, FunctionType):
            self.functions.append(Identity(obj))
            obj = ("function",)
        super().save(obj)

    def _batch_setitems(self, items, *args):
        # If an item does not pickle, joblib hashes a reference instead, and all such references are equal.
        items = list(items)
        try:
            items.sort(key=itemgetter(0))
        except TypeError:
            items.sort(key=lambda item: str(content_key(item[0])))
        Pickler._batch_setitems(self, iter(items), *args)


def content_key(value):
    """Return the key of a value: the hash of its content, and the functions inside it.

    Parameters
    ----------
    value : object
        Any object that can be pickled, except for the functions inside it.

    Returns
    -------
    str, or tuple of str and Identity
    """
    hasher = _Hasher()
    digest = hasher.hash(value)
    if hasher.functions:
        return (digest, *hasher.functions)
    return digest


def value_key(value):
    """Return the key of any value: by content if it can be pickled, else by identity.

    Parameters
    ----------
    value : object

    Returns
    -------
    hashable
    """
    if isinstance(value, _PLAIN):
        return value
    if hasattr(value, "get_params") and not isinstance(value, type):
        return estimator_key(value)
    if isinstance(value, (list, tuple)):  # such as the steps of a pipeline
        return tuple(map(value_key, value))
    try:
        return content_key(value)
    except Exception:  # a class that does not pickle may raise any error
        return Identity(value)


def file_name(*key):
    """Return the name of a file for a key; None if the key is valid in this process only.

    Parameters
    ----------
    *key : hashable

    Returns
    -------
    str or None
    """
    hasher = _Hasher()
    try:
        digest = hasher.hash(key)
    except (AttributeError, TypeError, PicklingError):
        return None
    if hasher.functions:
        return None
    return digest


# --- estimators
def estimator_key(estimator):
    """Return the key of an unfitted estimator; it is equal for equal parameters.

    Parameters
    ----------
    estimator : estimator or None

    Returns
    -------
    hashable
    """
    if estimator is None:
        return None
    if isinstance(estimator, type):
        raise TypeError(f"expected an instance, {estimator.__name__}(...), got the class {estimator.__name__}")
    if isinstance(estimator, FrozenEstimator) and hasattr(estimator.estimator, "get_params"):
        return _frozen_key(estimator)
    if hasattr(estimator, "without_runtime_parameters"):
        estimator = estimator.without_runtime_parameters()
    try:
        return content_key(estimator)
    except Exception:  # a parameter that does not pickle may raise any error; its key is its identity
        parameters = estimator.get_params(deep=False).items()
        return (Identity(type(estimator)), *((name, value_key(value)) for name, value in parameters))


def _frozen_key(frozen):
    """Return the key of a fitted estimator; it is made again only if an attribute of it or of its parts has changed.

    A fitted vectorizer holds a vocabulary. To hash it takes longer than to search for one query.
    """
    inner = frozen.estimator
    parts = [inner, *(value for value in inner.get_params().values() if hasattr(value, "get_params"))]
    attributes = [value for part in parts for value in getattr(part, "__dict__", {}).values()]
    known, key = _FROZEN.get((frozen,)) or ((), None)
    if not _same(known, attributes):
        key = ("frozen", estimator_key(inner))
        _FROZEN.put((frozen,), (attributes, key))
    return key


def _same(known, values):
    return len(known) == len(values) and all(map(is_, known, values))


# --- rankings
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
            and _same(self.attributes, list(vars(retriever).values()))
            and all(_same(attributes, list(vars(part).values())) for part, attributes in self.inside)
        )


def _may_change(value):
    """Return whether a parameter can change in place; if an estimator does, `check_unchanged` sees it."""
    if isinstance(value, tuple):
        return any(map(_may_change, value))
    return not (isinstance(value, (*_PLAIN, bytes, np.generic)) or callable(value) or hasattr(value, "get_params"))


def _is_named(item):
    """Return whether an item of a list is (name, retriever), as in a union."""
    return isinstance(item, tuple) and len(item) == 2 and has_key(item[1])


# --- queries
def query_keys(queries):
    """Return the key of each query: its text if there is no other column, else the values of all columns.

    Parameters
    ----------
    queries : Queries

    Returns
    -------
    list of hashable
    """
    if queries.columns == ("text",):
        return queries.texts
    return list(zip(*(_cell_keys(queries[name]) for name in queries.columns)))


def _cell_keys(column):
    if sparse.issparse(column):
        edges = column.indptr.tolist()
        return [(column.indices[i:j].tobytes(), column.data[i:j].tobytes()) for i, j in zip(edges[:-1], edges[1:])]
    return list(map(_cell_key, column))


def _cell_key(value):
    if isinstance(value, np.ndarray):
        return value.tobytes()
    try:
        hash(value)
        return value
    except TypeError:
        return content_key(value)


# --- texts and models
def text_keys(texts):
    """Return the hash of each text.

    Parameters
    ----------
    texts : list of str

    Returns
    -------
    list of bytes
    """
    return [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]


def bytes_key(content):
    """Return the hash of the bytes of a model; it is computed once per object.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    str
    """
    return _DIGESTS.get(content, lambda: hashlib.blake2b(content, digest_size=16).hexdigest())


def path_stamp(path):
    """Return the time and the size of a file, which change if it is replaced; None if it is not a file.

    Parameters
    ----------
    path : path or object

    Returns
    -------
    tuple of int, or None
    """
    if not isinstance(path, (str, os.PathLike)) or not os.path.isfile(path):
        return None
    stat = os.stat(path)
    return stat.st_mtime_ns, stat.st_size


def path_key(path):
    """Return the key of a file within a process; None if it is not a file.

    Parameters
    ----------
    path : path or object

    Returns
    -------
    tuple or None
    """
    stamp = path_stamp(path)
    if stamp is None:
        return None
    return (os.path.realpath(path), *stamp)


def content_of_file(path):
    """Return the hash of a model file: its content, and the sizes and times of the weight files beside it.

    Parameters
    ----------
    path : path

    Returns
    -------
    str
    """
    path, content = Path(path), hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            content.update(block)
    for other in sorted(path.parent.glob("*")):
        if other != path and (other.name.startswith(path.name) or other.suffix in (".data", ".weight")):
            stat = other.stat()
            content.update(f"{other.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return content.hexdigest()


def field_key(field):
    """Return the parameter `field` of an estimator as a part of keys: a list of columns as a tuple.

    Parameters
    ----------
    field : str, list of str, or None

    Returns
    -------
    str, tuple of str, or None
    """
    if field is None or isinstance(field, str):
        return field
    return tuple(field)
