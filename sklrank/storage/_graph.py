"""Objects as JSON and arrays, and back.

A value is null, a bool, an int, a finite float or a str, which stand for themselves, or an object with one key that
tells its kind: ``{"list": [...]}``, ``{"array": file}``, ``{"object": number}`` and so on. Objects that several others
hold are stored once, in a list; their class is a name of a closed table.
"""

import io
import math
import os
import re
from datetime import UTC, date, datetime
from pathlib import Path, PurePath

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch

from sklrank._caching import Cache
from sklrank._optional import optional_import
from sklrank._session import HubFile
from sklrank.data import Corpus, SQLSource
from sklrank.data._arrow import ArrowTable, LanceTable
from sklrank.data._kept import keep_values, kept_values
from sklrank.storage._classes import classes, functions, is_foreign, names, type_name, type_of
from sklrank.storage._models import describe, model_files

_FEW = 16  # numbers; so small arrays stand in the manifest
_PLAIN = re.compile(r"[<>|=]?[a-zA-Z]\d{0,9}(\[\w{1,4}\])?")  # names of types such as <f8 and <M8[ns]
_SPARSE = ("csr", "csc")


class Encoder:
    """Turn objects into values of JSON, and write their arrays.

    Parameters
    ----------
    writer : Writer
    trust : bool
        Whether to store estimators of other packages in files of skops.

    Attributes
    ----------
    objects : list of dict
        Stored objects; a value refers to them by their number.
    models : dict of str to list of int
        Paths of the files of models that stay where they are, with what identifies their content.
    """

    def __init__(self, writer, trust):
        self._writer, self._trust = writer, trust
        self.objects, self.models = [], {}
        self._numbers = {}  # id → value that refers to the object
        self._alive = []  # objects whose id is a key

    def value(self, value, path):
        """Return a value for JSON; `path` names it in errors."""
        if value is None or type(value) in (bool, str, int):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if id(value) in self._numbers:
            return self._numbers[id(value)]
        for kinds, encode in self._forms.items():
            if isinstance(value, kinds):
                return encode(self, value, path)
        if type(value) in names():
            return self._object(value, path)
        if isinstance(value, type) and (name := type_name(value)):
            return {"type": name}
        if isinstance(value, BaseEstimator):
            return self._by_skops(value, path)
        for name, function in functions().items():
            if value is function:
                return {"function": name}
        raise TypeError(f"{path} cannot be saved: {_remedy(value)}")

    def _list(self, value, path):
        kind = {list: "list", tuple: "tuple", set: "set", frozenset: "frozenset"}.get(type(value))
        if kind is None:
            raise TypeError(f"{path} cannot be saved: {_remedy(value)}")
        items = value if isinstance(value, (list, tuple)) else sorted(value, key=repr)
        return {kind: [self.value(item, f"{path}[{i}]") for i, item in enumerate(items)]}

    def _dict(self, value, path):
        if type(value) is Bunch:
            return {"bunch": self.value(dict(value), path)}
        if type(value) is not dict:
            raise TypeError(f"{path} cannot be saved: {_remedy(value)}")
        return {"dict": [[self.value(k, path), self.value(v, f"{path}[{k!r:.50}]")] for k, v in value.items()]}

    def _array(self, value, path):
        if value.dtype.hasobject:
            return self._remember(value, {"objects": self.value(value.tolist(), path)})
        if value.dtype.kind not in "biufSU":
            raise TypeError(f"{path} cannot be saved: it is an array of the type {value.dtype}")
        if value.size <= _FEW and value.dtype.kind in "biu":
            return {"few": [value.dtype.str, list(value.shape), value.ravel().tolist()]}
        return self._remember(value, {"array": self._writer.array(value)})

    def _number(self, value, path):
        return {"number": [value.dtype.str, self.value(value.item(), path)]}

    def _sparse(self, value, path):
        if value.format not in _SPARSE:
            raise TypeError(f"{path} cannot be saved: it is a sparse matrix in the format {value.format!r}, not CSR")
        kind = "sparray" if isinstance(value, sparse.sparray) else "spmatrix"
        arrays = [self.value(array, path) for array in (value.data, value.indices, value.indptr)]
        return self._remember(value, {"sparse": [f"{value.format} {kind}", list(value.shape), *arrays]})

    def _bytes(self, value, path):
        return self._remember(value, {"bytes": self._writer.content(bytes(value), ".bin")})

    def _dtype(self, value, path):
        return {"dtype": value.str}

    def _date(self, value, path):
        if type(value) not in (date, datetime) and type(value).__name__ not in ("Timestamp", "NaTType"):
            raise TypeError(f"{path} cannot be saved: {_remedy(value)}")
        if getattr(value, "tzinfo", None) not in (None, UTC):
            raise TypeError(f"{path} cannot be saved: it has the time zone {value.tzinfo}; convert it to UTC")
        if type(value) in (date, datetime):
            return {type(value).__name__: value.isoformat()}
        return {"Timestamp": str(value)}

    def _path(self, value, path):
        return {"path": os.fspath(value)}

    def _hub_file(self, value, path):
        return {"hub file": [str(value), value.repository, value.file, value.revision]}

    def _object(self, value, path):
        number = len(self.objects)
        self.objects.append(None)
        reference = self._remember(value, {"object": number})
        stored = {"class": names()[type(value)], "state": self.value(_state_of(value), path)}
        if isinstance(value, Corpus):
            kept = kept_values(value, functions().values())
            stored["kept"] = {"list": [item for derived in kept for item in self._if_possible(derived)]}
        for model in model_files(value):
            self.models[model] = describe(model)
        self.objects[number] = stored
        return reference

    def _if_possible(self, value):
        """Return the value for JSON in a list, which is empty if it cannot be stored; then nothing of it is left."""
        before = len(self.objects), len(self._numbers), list(self._writer.files), dict(self.models)
        try:
            return [self.value(value, "a derived value")]
        except TypeError:
            n_objects, n_numbers, files, self.models = before
            del self.objects[n_objects:]
            for key in list(self._numbers)[n_numbers:]:
                del self._numbers[key]
            self._writer.drop(self._writer.files.keys() - files)
            return []

    def _by_skops(self, value, path):
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        if not self._trust:
            raise TypeError(
                f"{path} is a {kind}, which is not a part of sklrank: save(..., trust=True) stores it in a file of "
                "skops, and load(..., trusted=[...]) names the types that may be read from it"
            )
        data = io.BytesIO(optional_import("skops.io", extra="skops").dumps(value)).getvalue()
        return self._remember(value, {"skops": self._writer.content(data, ".skops")})

    def _remember(self, value, stored):
        self._numbers[id(value)] = stored
        self._alive.append(value)
        return stored

    _forms = {
        (list, tuple, set, frozenset): _list,
        dict: _dict,
        np.ndarray: _array,
        np.generic: _number,
        sparse.sparray: _sparse,
        sparse.spmatrix: _sparse,
        (bytes, bytearray): _bytes,
        np.dtype: _dtype,
        date: _date,
        PurePath: _path,
        HubFile: _hub_file,
    }


def _state_of(value):
    """Return what a stored object consists of: a dict, or for a class with slots, a pair."""
    state = value.__getstate__()
    if isinstance(value, Cache):
        return {**state, "folder": None}  # a path of this machine
    if isinstance(value, Pipeline) and value.memory is not None:
        raise TypeError("memory= of a Pipeline cannot be saved: it holds pickles, whose code would run; set it to None")
    if isinstance(value, SQLSource):
        return {**state, "connect": None}  # a function
    if isinstance(state, dict) and isinstance(state.get("corpus_"), Corpus) and state.get("corpus") is not None:
        state = {**state, "corpus": state["corpus_"]}  # documents that were given in another form
    return state


def _remedy(value):
    """Return why a value cannot be saved, and what to do."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if callable(value) and not isinstance(value, BaseEstimator):
        name = getattr(value, "__qualname__", kind)
        return f"it is the function or callable {name}, whose code would run; set it to None before, and again after"
    if isinstance(value, (ArrowTable, LanceTable)):
        return f"its documents stand in {value}; save files of Parquet, or a database, whose documents stay there"
    return f"it is a {kind}; a parameter that is a number, a text, an array or an estimator can be saved"


class Decoder:
    """Turn values of JSON back into objects.

    Parameters
    ----------
    reader : Reader
    objects : list of dict
        Stored objects.
    trusted : sequence of str
        Names of types that files of skops may hold.
    keep : bool
        Whether corpora get the derived values that were stored with them.
    check : bool
        Whether arrays are read to check that kernels, which do not check bounds, can use them.
    """

    def __init__(self, reader, objects, trusted, keep, check):
        self._check = check
        self._reader, self._stored, self._trusted, self._keep = reader, objects, trusted, keep
        self._made = {}
        self._skops = {}
        self._verifies = False  # whether checksums are compared

    def value(self, value):
        """Return the object of a value."""
        if not isinstance(value, dict):
            if isinstance(value, list):
                raise ValueError("a list stands where a value is expected")
            return value
        [(kind, content)] = value.items()
        return self._kinds[kind](self, content)

    def _values(self, content):
        return [self.value(item) for item in content]

    def _dict(self, content):
        return {self.value(key): self.value(item) for key, item in content}

    def _array(self, name):
        if self._verifies:
            self._reader.verify(name)
        return self._reader.array(name)

    def _few(self, content):
        dtype, shape, values = content
        return np.array(values, dtype=_dtype(dtype, "biu")).reshape(shape)

    def _objects(self, content):
        values = self.value(content)
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array

    def _number(self, content):
        dtype, value = content
        return _dtype(dtype, "biufcSU").type(self.value(value))

    def _sparse(self, content):
        kind, shape, *arrays = content
        form, interface = kind.split(" ")
        if form not in _SPARSE or interface not in ("sparray", "spmatrix"):
            raise ValueError(f"unknown sparse format {kind!r:.50}")
        make = getattr(sparse, f"{form}_{'array' if interface == 'sparray' else 'matrix'}")
        matrix = make(tuple(map(self.value, arrays)), shape=tuple(shape))
        matrix.check_format(full_check=True)
        return matrix

    def _bytes(self, name):
        return self._reader.content(name)

    def _dtype(self, name):
        return _dtype(name, "biufcSUOMm")

    def _by_skops(self, name):
        if name not in self._skops:
            skops = optional_import("skops.io", extra="skops")
            self._skops[name] = skops.loads(self._reader.content(name), trusted=list(self._trusted))
        return self._skops[name]

    def _object(self, number):
        if number in self._made:
            return self._made[number]
        if not (isinstance(number, int) and 0 <= number < len(self._stored)):
            raise ValueError(f"there is no object {number!r:.20}")
        stored = self._stored[number]
        kind = classes()[stored["class"]]
        new = self._made[number] = object.__new__(kind)
        self._verifies, before = self._verifies or is_foreign(stored["class"]), self._verifies
        state = self.value(stored["state"])
        self._verifies = before
        if kind is Pipeline and state.get("memory") is not None:
            raise ValueError("a Pipeline has a memory, which holds pickles")
        if self._check and hasattr(kind, "check_content"):
            vars(new).update(state)
            new.check_content()
            state = dict(vars(new))
        if hasattr(kind, "__setstate__"):
            new.__setstate__(state)
        elif isinstance(state, dict):
            vars(new).update(state)
        if "kept" in stored and self._keep:
            keep_values(new, self.value(stored["kept"]))
        return new

    _kinds = {
        "float": lambda self, content: float(content),
        "list": _values,
        "tuple": lambda self, content: tuple(self._values(content)),
        "set": lambda self, content: set(self._values(content)),
        "frozenset": lambda self, content: frozenset(self._values(content)),
        "dict": _dict,
        "bunch": lambda self, content: Bunch(**self.value(content)),
        "array": _array,
        "few": _few,
        "objects": _objects,
        "number": _number,
        "sparse": _sparse,
        "bytes": _bytes,
        "dtype": _dtype,
        "date": lambda self, content: date.fromisoformat(content),
        "datetime": lambda self, content: datetime.fromisoformat(content),
        "Timestamp": lambda self, content: optional_import("pandas").Timestamp(content),
        "path": lambda self, content: Path(content),
        "hub file": lambda self, content: HubFile(*content),
        "type": lambda self, content: type_of(content),
        "function": lambda self, content: functions()[content],
        "skops": _by_skops,
        "object": _object,
    }


def _dtype(name, kinds):
    """Return a type of NumPy of some kinds; only plain names are parsed, because NumPy evaluates others."""
    if not (isinstance(name, str) and _PLAIN.fullmatch(name)):
        raise ValueError(f"unexpected type {name!r:.50}")
    dtype = np.dtype(name)
    if dtype.kind not in kinds:
        raise ValueError(f"unexpected type {dtype}")
    return dtype
