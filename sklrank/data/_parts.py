"""Parts of a corpus that was changed: ids and columns over them."""

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np

from sklrank._ragged import intervals
from sklrank.data._ids import Ids
from sklrank.data._kinds import gathered, strings_of, take_of_parts


class Content:
    """Identify the content of a column, of ids, or of a corpus; corpora that share it have the same object.

    Values that are derived from it are cached under it, and are dropped when no corpus has it any more.

    Attributes
    ----------
    fingerprint : str or None
        Hash of the content, if it has been computed.
    """

    __slots__ = ("fingerprint", "__weakref__")

    def __init__(self, fingerprint=None):
        self.fingerprint = fingerprint


class Sources(NamedTuple):
    """Where the documents of a merged part come from.

    Attributes
    ----------
    parts : ndarray of int64, shape (n_documents,)
        Number of the old part, from 0 for the first one that is merged.
    locals : ndarray of int64, shape (n_documents,)
        Local number in that part.
    """

    parts: np.ndarray
    locals: np.ndarray


class Merge(NamedTuple):
    """How a cached value of parts is merged, and the arguments that it is cached with."""

    merge: object
    of: object
    persist: bool


class PartIds(Ids):
    """Ids of the documents of a corpus in parts, in the order of their rows.

    Parameters
    ----------
    parts : sequence of Ids
        Ids of each part.
    layout : Layout
    """

    given = True

    def __init__(self, parts, layout):
        self._parts, self._layout, self.n = parts, layout, layout.n_documents

    @cached_property
    def strings(self):
        """All ids."""
        return gathered(list(map(strings_of, self._parts)), self._layout.places)

    def whole(self):
        """Return the ids without parts."""
        return Ids(self.strings, self.n)

    def find(self, ids):
        """Return the part and the local number of each of `ids`, a list of str; -1 if the id is unknown."""
        parts, locals = np.full((2, len(ids)), -1, dtype=np.int64)
        for part in range(len(self._parts) - 1, -1, -1):
            found, alive = self._parts[part].rows(ids), self._layout.alive(part)
            here = found >= 0
            if alive is not None:
                here &= alive[found] != 0
            parts[here], locals[here] = part, found[here]
        return parts, locals

    def rows(self, ids):
        """Return the row of each of `ids`, a list of str, as int64; -1 if the id is unknown."""
        parts, locals = self.find(ids)
        rows = np.full(len(ids), -1, dtype=np.int64)
        for part in range(len(self._parts)):
            here = parts == part
            if here.any():
                rows[here] = self._layout.rows(part, locals[here])
        return rows

    def __getitem__(self, i):
        if not -self.n <= i < self.n:
            raise IndexError(f"id {i} of {self.n}")
        return self.take([i % self.n])[0]

    def __iter__(self):
        return iter(self.tolist())

    def tolist(self):
        """Return all ids as a list of str."""
        return self.strings.tolist()

    def take(self, rows):
        """Return the ids of `rows` as an object array of the same shape."""
        rows = np.asarray(rows, dtype=np.int64)
        flat = rows.ravel()
        if len(flat) and (flat.min() < -self.n or flat.max() >= self.n):
            raise IndexError(f"rows {flat.min()} to {flat.max()} of {self.n} ids")
        flat = np.where(flat < 0, flat + self.n, flat)
        parts, locals = self._layout.locate(flat)
        ids = np.empty(len(flat), dtype=object)
        for part, own in enumerate(self._parts):
            here = parts == part
            if here.any():
                ids[here] = own.take(locals[here])
        return ids.reshape(rows.shape)

    def take_ragged(self, rows, indptr):
        """Return the ids of the rows of each query as a list of lists."""
        flat = self.take(rows).tolist()
        return [flat[start:stop] for start, stop in intervals(indptr)]

    def __eq__(self, other):
        if not isinstance(other, Ids):
            return NotImplemented
        return other.given and self.n == other.n and self.strings == other.strings

    __hash__ = None

    def __reduce__(self):
        return Ids, (self.strings, self.n)


class PartColumns(Mapping):
    """Columns of a corpus in parts. A whole column is gathered on first use, and kept in the cache.

    Parameters
    ----------
    parts : sequence of dict of str to column
        Columns of each part.
    layout : Layout
    cache : Cache
    contents : dict of str to Content
        Contents of the whole columns.
    """

    def __init__(self, parts, layout, cache, contents):
        self._parts, self._layout, self._cache, self._contents = parts, layout, cache, contents

    def __getitem__(self, name):
        def make():
            return gathered([part[name] for part in self._parts], self._layout.places)

        return self._cache.get(("column", name), make, sources=(self._contents[name],))

    def take(self, name, rows):
        """Return the values of some rows of a column; only these are read."""
        parts, locals = self._layout.locate(rows)
        return take_of_parts([part[name] for part in self._parts], parts, locals)

    def __contains__(self, name):
        return name in self._parts[0]  # that of Mapping would gather the column

    def __iter__(self):
        return iter(self._parts[0])

    def __len__(self):
        return len(self._parts[0])
