"""Keys of results.

A key is hashable, and equal keys mean equal results. A key holds the content of parameters. It holds functions by
identity, because two functions may have one name, and because the code of a function may change between two processes.
Therefore a key that holds a function cannot name a file.
"""

import hashlib
import os
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
_DIGESTS = Recent(2)  # content of a model → its hash
PLAIN = (str, int, float, bool, type(None))


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
    if isinstance(value, PLAIN):
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
    if not same_objects(known, attributes):
        key = ("frozen", estimator_key(inner))
        _FROZEN.put((frozen,), (attributes, key))
    return key


def same_objects(known, values):
    """Return whether two lists hold the same objects."""
    return len(known) == len(values) and all(map(is_, known, values))


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
