"""Ids: the names that users give to documents and queries, and the row of each."""

from numbers import Integral

import numpy as np

from sklrank._ragged import intervals
from sklrank.data._display import plural, snippet
from sklrank.data._frames import as_list
from sklrank.data._strings import StringArray

_SHOWN = 3  # offenders that an error message shows
_WIDTH = 100  # characters of each


def show(values):
    """The first offenders, for an error message."""
    values = list(values)
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(snippet(repr(value), _WIDTH) for value in values[:_SHOWN]) + more


def object_array(values):
    """A list as a one-dimensional object array."""
    return np.fromiter(values, dtype=object, count=len(values))  # an assignment would look into lists


def is_id(value):
    """Whether a value can be an id: a str or an int."""
    return isinstance(value, (str, Integral)) and not isinstance(value, bool)


def as_id_list(ids, what):
    """`ids` as a list of str; int ids are written out, anything else is an error."""
    ids = as_list(ids, f"{what} id")
    kinds = set(map(type, ids))
    if kinds <= {str}:
        return ids
    for i, value in enumerate(ids):
        if not is_id(value):
            raise TypeError(f"{what} id {i} is {value!r} of type {type(value).__name__}; ids are str or int")
    return list(map(str, ids))


def check_unique(ids, what):
    """Raise ValueError that shows the first ids that stand twice."""
    if len(set(ids)) == len(ids):
        return
    seen, twice = set(), {}
    for i in ids:
        if i in seen:
            twice[i] = None
        seen.add(i)
    raise ValueError(f"{what} ids must be unique; these stand more than once: {show(twice)}")


class Ids:
    """Unique ids in the order of their rows.

    Parameters
    ----------
    strings : StringArray or None
        The ids; ``None`` stands for the positions "0", "1", …, which take no memory.
    n : int
        Number of ids.
    """

    def __init__(self, strings, n):
        self.strings = strings
        self.n = n
        self._objects = None
        self._n_taken = 0
        self._table = None

    @classmethod
    def of(cls, ids, n, what):
        """Check `ids` (``None``: positions) against the number of things that they name."""
        if ids is None:
            return cls(None, n)
        ids = as_id_list(ids, what)
        if len(ids) != n:
            raise ValueError(f"got {len(ids)} ids for {n} {plural(what)}; each needs one")
        check_unique(ids, what)
        return cls(StringArray.from_strings(ids, what=f"{what} id"), n)

    @property
    def given(self):
        """Whether the user gave the ids; positions say nothing about what is meant."""
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
        """All ids, as a list of str."""
        return self.strings.tolist() if self.given else list(map(str, range(self.n)))

    def take(self, rows):
        """Ids of `rows`, as an object array of the shape of `rows`."""
        rows = np.asarray(rows, dtype=np.int64)
        objects = self._objects_for(rows.size)
        if objects is not None:
            return objects[rows]
        out = np.empty(rows.size, dtype=object)
        out[:] = self._made(rows.ravel())
        return out.reshape(rows.shape)

    def take_ragged(self, rows, indptr):
        """Ids of the rows of each query, as a list of lists."""
        objects = self._objects_for(len(rows))
        if objects is not None:  # query by query: the strings that are counted are still in the cache for the list
            return [objects[rows[start:stop]].tolist() for start, stop in intervals(indptr)]
        flat = self._made(rows)
        return [flat[start:stop] for start, stop in intervals(indptr)]

    def _objects_for(self, n_taken):
        """All ids as an object array once many have been taken; None before, and where they cost nothing."""
        if self._objects is None and self.given:
            self._n_taken += n_taken
            if 8 * self._n_taken >= self.n:
                objects = np.empty(self.n, dtype=object)
                objects[:] = self.tolist()
                self._objects = objects
        return self._objects

    def _made(self, rows):
        inside = rows.size == 0 or (rows.min() >= 0 and rows.max() < self.n)
        return list(map(str if inside and not self.given else self.__getitem__, rows.tolist()))

    def rows(self, ids):
        """Row of each of `ids`, a list of str, int64; -1 where there is none."""
        if not self.given:
            return np.fromiter(map(self._position, ids), dtype=np.int64, count=len(ids))
        if self._table is None:
            self._table = dict(zip(self.strings if self._objects is None else self._objects, range(self.n)))
        lookup = self._table.get
        return np.fromiter((lookup(i, -1) for i in ids), dtype=np.int64, count=len(ids))

    def _position(self, text):
        if text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0"):
            position = int(text)
            return position if position < self.n else -1
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
        head = ", ".join(repr(self[i]) for i in range(min(self.n, _SHOWN)))
        return f"<{self.n} ids: {head}{', …' if self.n > _SHOWN else ''}>"
