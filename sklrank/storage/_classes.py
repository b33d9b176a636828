"""Classes and functions that stored estimators may consist of."""

from importlib import import_module

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline

from sklrank._caching import memoized

_ROOMS = ("encoders", "fusers", "rerankers", "retrievers")
# Other classes, by module. Their state is data; no method of theirs runs except `__setstate__`.
_INNER = {
    "sklrank._caching._cache": ["Cache"],
    "sklrank._session": ["Template"],
    "sklrank.data": ["ArrowSource", "Corpus", "Qrels", "Queries", "SQLSource", "StringArray", "TokenVectors"],
    "sklrank.data._arrow": ["ParquetFiles"],
    "sklrank.data._ids": ["Ids"],
    "sklrank.data._kinds": ["GatheredColumn"],
    "sklrank.data._layout": ["Layout"],
    "sklrank.data._stored": ["TableColumn"],
    "sklrank.data._vocabulary": ["Vocabulary"],
    "sklrank.rerankers": ["CrossEncoder"],
    "sklrank.retrievers._ann_faiss": ["FaissIndex"],
    "sklrank.retrievers._ann_usearch": ["UsearchIndex"],
    "sklrank.retrievers._bm25f": ["FieldedSegment"],
    "sklrank.retrievers._encoding": ["Encoded"],
    "sklrank.retrievers._index": ["Index"],
    "sklrank.retrievers._segment": ["Segment"],
}
_FOREIGN = "FaissIndex", "UsearchIndex"  # another library opens their bytes, and crashes if these are damaged
# Functions that merge the values of parts of a corpus.
_FUNCTIONS = {"sklrank.retrievers._base_inverted": ["_merge"], "sklrank.retrievers._encoding": ["_merge"]}
_TYPES = {t.__name__: t for t in (np.float32, np.float64, np.float16, np.int32, np.int64, np.int8, np.uint8, np.bool_)}
_TYPES |= {t.__name__: t for t in (np.uint16, np.uint32, np.uint64, np.int16, bool, int, float, str)}


@memoized(1)
def classes():
    """Return the classes by the name under which they are stored.

    Returns
    -------
    dict of str to type
    """
    found = {f"sklearn.{kind.__name__}": kind for kind in (FeatureUnion, FrozenEstimator, Pipeline)}
    for room in _ROOMS:
        module = import_module(f"sklrank.{room}")
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and issubclass(kind, BaseEstimator):
                found[f"{room}.{name}"] = kind
    for path, names in _INNER.items():
        module = import_module(path)
        found.update({name: getattr(module, name) for name in names})
    return found


@memoized(1)
def names():
    """Return the name of each class.

    Returns
    -------
    dict of type to str
    """
    return {kind: name for name, kind in classes().items()}


@memoized(1)
def functions():
    """Return the functions by the name under which they are stored.

    Returns
    -------
    dict of str to callable
    """
    return {
        f"{path.removeprefix('sklrank.')}.{name}": getattr(import_module(path), name)
        for path, functions in _FUNCTIONS.items()
        for name in functions
    }


def type_name(value):
    """Return the name of a type of numbers; None for another type."""
    name = getattr(value, "__name__", None)
    return name if _TYPES.get(name) is value else None


def type_of(name):
    """Return the type of a name."""
    return _TYPES[name]


def is_foreign(name):
    """Return whether another library opens the arrays of a class, so that their checksums are compared before."""
    return name in _FOREIGN
