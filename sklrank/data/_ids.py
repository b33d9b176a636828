"""Ids of documents and queries, and the row of each."""

from numbers import Integral

import numpy as np

from sklrank._kernels._strings import find_strings, string_table
from sklrank._ragged import intervals, lengths_to_indptr
from sklrank.data._display import plural, snippet
from sklrank.data._frames import as_list
from sklrank.data._strings import StringArray, encode

_SHOWN = 3  # values that an error message shows
_WIDTH = 100  # characters of each value
_MANY = 1 << 14  # ids from which a kernel looks them up


def show(values):
    """Return the first values as text for an error message."""
    values = list(values)
    text = ", ".join(snippet(repr(value), _WIDTH) for value in values[:_SHOWN])
    if len(values) > _SHOWN:
        text += f" and {len(values) - _SHOWN} more"
    return text


def object_array(values):
    """Return a list as a one-dimensional object array."""
    return np.fromiter(values, dtype=object, count=len(values))  # an assignment would unpack lists


def is_id(value):
    """Return whether a value can be an id: a str or an int."""
    return isinstance(value, (str, Integral)) and not isinstance(value, bool)


def as_id_list(ids, what):
    """Return `ids` as a list of str; an int is converted, and other types are an error."""
    ids = as_list(ids, f"{what} id")
    kinds = set(map(type, ids))
    if kinds <= {str}:
        return ids
    for i, value in enumerate(ids):
        if not is_id(value):
            raise TypeError(f"{what} id {i} is {value!r} of type {type(value).__name__}; ids are str or int")
    return list(map(str, ids))


def check_unique(ids, what):
    """Raise a ValueError that shows the first ids that occur twice."""
    if len(set(ids)) == len(ids):
        return
    seen, twice = set(), {}
    for i in ids:
        if i in seen:
            twice[i] = None
        seen.add(i)
    raise ValueError(f"{what} ids must be unique; these occur more than once: {show(twice)}")


class Ids:
    """Hold unique ids in the order of their rows.

    Parameters
    ----------
    strings : StringArray or None
        The ids. If None, the positions "0", "1", …, which need no memory.
    n : int
        Number of ids.
    """

    def __init__(self, strings, n):
        self.strings = strings
        self.n = n
        self._objects = None
        self._n_taken = 0
        self._table = None  # dict from id to row, of few ids and of those that were numbered by one
        self._slots = None

    @classmethod
    def of(cls, ids, n, what):
        """Make ids, or positions if `ids` is None; check that there are `n` of them."""
        if ids is None:
            return cls(None, n)
        if isinstance(ids, Ids):
            return ids
        if isinstance(ids, StringArray) and len(ids) == n >= _MANY:
            ids = cls(ids, n)
            ids._check_unique(what)
            return ids
        ids = as_id_list(ids, what)
        if len(ids) != n:
            raise ValueError(f"expected one id for each of {n} {plural(what)}, got {len(ids)} ids")
        check_unique(ids, what)
        return cls(StringArray.from_strings(ids, what=f"{what} id"), n)

    @property
    def given(self):
        """Whether the user gave the ids; positions do not identify documents or queries."""
        return self.strings is not None

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if self.strings is not None:
            return self.strings[i]
        if not -self.n <= i < self.n:
            raise IndexError(f"id {i} of {self.n}")
        return str(i % self.n)

    def __iter__(self):
        return iter(self.tolist())

    def tolist(self):
        """Return all ids as a list of str."""
        if self.given:
            return self.strings.tolist()
        return list(map(str, range(self.n)))

    def take(self, rows):
        """Return the ids of `rows` as an object array of the same shape."""
        rows = np.asarray(rows, dtype=np.int64)
        objects = self._objects_for(rows.size)
        if objects is not None:
            return objects[rows]
        out = np.empty(rows.size, dtype=object)
        out[:] = self._made(rows.ravel())
        return out.reshape(rows.shape)

    def take_ragged(self, rows, indptr):
        """Return the ids of the rows of each query as a list of lists."""
        objects = self._objects_for(len(rows))
        if objects is not None:  # query by query, while the strings are in the CPU cache
            return [objects[rows[start:stop]].tolist() for start, stop in intervals(indptr)]
        flat = self._made(rows)
        return [flat[start:stop] for start, stop in intervals(indptr)]

    def _objects_for(self, n_taken):
        """Return all ids as an object array if many have been taken; None before, and for positions."""
        if self._objects is None and self.given:
            self._n_taken += n_taken
            if 8 * self._n_taken >= self.n:
                objects = np.empty(self.n, dtype=object)
                objects[:] = self.tolist()
                self._objects = objects
        return self._objects

    def _made(self, rows):
        make = self.__getitem__
        if not self.given and (rows.size == 0 or (rows.min() >= 0 and rows.max() < self.n)):
            make = str
        return list(map(make, rows.tolist()))

    def rows(self, ids):
        """Return the row of each of `ids`, a list of str, as int64; -1 if the id is unknown."""
        if not self.given:
            return np.fromiter(map(self._position, ids), dtype=np.int64, count=len(ids))
        if self._table is None and self.n < _MANY:
            self._table = dict(zip(self.strings, range(self.n)))
        if self._table is not None:
            lookup = self._table.get
            return np.fromiter((lookup(i, -1) for i in ids), dtype=np.int64, count=len(ids))
        asked, lengths = encode(ids, 0, "id", errors="surrogatepass")  # a lone surrogate equals no id
        return self._places(np.frombuffer(asked, dtype=np.uint8), lengths_to_indptr(lengths))

    def _places(self, buffer, offsets):
        """Return the first row of each of many ids, from an array instead of a dict, which takes 140 bytes per id."""
        strings = self.strings
        if self._slots is None:
            self._slots = string_table(strings.buffer, strings.offsets)
        rows = np.empty(len(offsets) - 1, dtype=np.int64)
        find_strings(strings.buffer, strings.offsets, self._slots, buffer, offsets, rows)
        return rows

    def _check_unique(self, what):
        twice = np.flatnonzero(self._places(self.strings.buffer, self.strings.offsets) != np.arange(self.n))
        if len(twice):
            check_unique([*self.strings[twice]] * 2, what)

    def _position(self, text):
        if text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0"):
            position = int(text)
            if position < self.n:
                return position
        return -1

    def __eq__(self, other):
        if not isinstance(other, Ids):
            return NotImplemented
        return self.n == other.n and self.given == other.given and (not self.given or self.strings == other.strings)

    __hash__ = None

    def __getstate__(self):
        return {"strings": self.strings, "n": self.n}

    def __setstate__(self, state):
        self.__init__(**state)

    def __repr__(self):
        shown = [repr(self[i]) for i in range(min(self.n, _SHOWN))]
        if self.n > _SHOWN:
            shown.append("…")
        return f"<{self.n} ids: {', '.join(shown)}>"
