"""Queries: ids, texts and columns."""

import numpy as np
from scipy import sparse

from sklrank._ragged import joined
from sklrank.data._display import printable
from sklrank.data._frames import frame_like
from sklrank.data._ids import Ids, check_unique, object_array
from sklrank.data._joining import JOINS, one_after_the_other
from sklrank.data._strings import StringArray
from sklrank.data._table import VECTOR, as_table, holds_vectors, plain_columns, table_dict, table_html, table_lists

_ID_NAMES = ("qid", "_id", "query_id", "id")


def as_key(key, n):
    """Return `key` (int, slice, mask, indices, or the tuple that scikit-learn passes) as a slice or an index array."""
    if isinstance(key, tuple):
        if len(key) != 2 or key[1] is not Ellipsis:
            raise IndexError(f"expected one key, got {key!r}")
        key = key[0]
    if isinstance(key, slice):
        return key
    if isinstance(key, (int, np.integer)):
        if not -n <= key < n:
            raise IndexError(f"query {key} of {n}")
        return np.array([key % n])
    key = np.asarray(key)
    if key.ndim != 1:
        raise IndexError(f"expected an array of one dimension to index queries, got the shape {key.shape}")
    if key.dtype == bool:
        if len(key) != n:
            raise IndexError(f"expected a mask of length {n}, one value per query; got the length {len(key)}")
        return np.flatnonzero(key)
    if key.size == 0:
        return np.empty(0, dtype=np.int64)
    if key.dtype.kind not in "iu":
        raise IndexError(f"expected integers, a slice or a mask to index queries, got an array of {key.dtype}")
    outside = key[(key < -n) | (key >= n)]
    if len(outside):
        raise IndexError(f"query {outside[0]} of {n}")
    return key.astype(np.int64) % max(n, 1)


class Queries:
    """Hold queries: ids, texts and additional columns.

    Parameters
    ----------
    queries : list of str, dict, Series, DataFrame, list of dict, or matrix of shape (n_queries, n_features)
        Texts; a dict from id to text; a Series (its index holds the ids if they are str); records or a frame with the
        columns ``"qid"`` (or ``"_id"``) and ``"text"`` (or ``"query"``); or vectors.
    ids : sequence of str, default=None
        Ids of the queries, if `queries` has none. If None, positions, "0", "1", …, which do not count as ids: queries
        without ids are aligned by position.

    Attributes
    ----------
    shape : tuple
        ``(n_queries,)``.
    columns : tuple of str
        Names of the columns.
    has_ids : bool
        Whether ids were given.

    See Also
    --------
    Qrels : Hold relevance judgments.

    Examples
    --------
    >>> from sklrank import Queries
    >>> queries = Queries({"q1": "heat transfer", "q2": "boundary layer"})
    >>> queries.texts, queries[1].ids
    (['heat transfer', 'boundary layer'], array(['q2'], dtype=object))
    """

    def __init__(self, queries, *, ids=None):
        if (
            ids is None
            and isinstance(queries, list)
            and set(map(type, queries)) == {str}
            and "".join(queries).isascii()
        ):
            # A fast path for few queries, as in a service: no buffer is made.
            self._columns, self._n, self._ids, self._texts = {"text": None}, len(queries), None, queries.copy()
            return
        columns, ids = as_table(queries, ids, "query", _ID_NAMES)
        if "text" not in columns and "query" in columns:
            columns["text"] = columns.pop("query")
        self._columns, self._n, self._ids, self._texts = columns, len(ids), None, None
        if ids.given:
            self._ids = ids.take(np.arange(len(ids), dtype=np.int64))

    @classmethod
    def _make(cls, columns, n, ids):
        self = object.__new__(cls)
        self._columns, self._n, self._ids, self._texts = columns, n, ids, None
        return self

    @classmethod
    def of(cls, queries):
        """Return `queries` if they are `Queries` already, else convert them.

        Parameters
        ----------
        queries : Queries, or data that they are made from

        Returns
        -------
        Queries
        """
        if isinstance(queries, cls):
            return queries
        return cls(queries)

    @classmethod
    def named(cls, ids):
        """Make queries of which only the ids are known.

        Parameters
        ----------
        ids : sequence of str

        Returns
        -------
        Queries
        """
        checked = Ids.of(ids, len(ids), "query")
        return cls._make({}, len(checked), checked.take(np.arange(len(checked), dtype=np.int64)))

    @classmethod
    def unnamed(cls, n):
        """Make queries of which only the number is known.

        Parameters
        ----------
        n : int

        Returns
        -------
        Queries
        """
        return cls._make({}, n, None)

    @property
    def shape(self):
        """``(n_queries,)``."""
        return (self._n,)

    @property
    def columns(self):
        """Names of the columns."""
        return tuple(self._columns)

    @property
    def has_ids(self):
        """Whether ids were given, so that alignment goes by them."""
        return self._ids is not None

    @property
    def ids(self):
        """Ids of the queries, or their positions if no ids were given.

        Returns
        -------
        ndarray of object, shape (n_queries,)
        """
        if self._ids is not None:
            return self._ids
        return object_array(list(map(str, range(self._n))))

    @property
    def texts(self):
        """Texts of the queries.

        Returns
        -------
        list of str
        """
        if self._texts is None:
            column = self["text"]
            if not isinstance(column, StringArray):
                raise TypeError("the queries' column 'text' holds no text")
            self._texts = column.tolist()
        return self._texts

    @property
    def matrix(self):
        """Vectors of queries that were made from a matrix."""
        return self[VECTOR]

    @property
    def is_matrix(self):
        """Whether the queries were made from a matrix."""
        return holds_vectors(self._columns.get(VECTOR))

    def __len__(self):
        return self._n

    def __getitem__(self, key):
        if isinstance(key, str):
            if key not in self._columns:
                raise KeyError(f"the queries have no column {key!r}; their columns are {list(self._columns)}")
            if self._columns[key] is None:
                self._columns[key] = StringArray.from_strings(self._texts, what="query")
            return self._columns[key]
        key = as_key(key, self._n)
        columns = {name: self[name][key] for name in self._columns}
        n = len(range(self._n)[key]) if isinstance(key, slice) else len(key)
        ids = self._ids
        if ids is not None:
            ids = ids[key]
        return Queries._make(columns, n, ids)

    def __getstate__(self):
        columns = plain_columns({name: self[name] for name in self._columns})
        ids = self._ids
        if ids is not None:
            ids = ids.tolist()
        return {"columns": columns, "n": self._n, "ids": ids}

    def __setstate__(self, state):
        ids = state["ids"]
        if ids is not None:
            ids = object_array(ids)
        self._columns, self._n, self._ids, self._texts = state["columns"], state["n"], ids, None

    def __iter__(self):
        return iter(self.texts)

    def __array_function__(self, function, types, args, kwargs):
        if function in JOINS:
            return concatenate_queries(one_after_the_other(self, function, *args, **kwargs))
        return NotImplemented

    def to_dict(self):
        """Return a dict from id to text if there is no other column, else from id to a dict of columns.

        Returns
        -------
        dict
        """
        check_unique(self.ids.tolist(), "query")
        return table_dict({name: self[name] for name in self._columns}, self.ids.tolist())

    def to_frame(self, *, backend=None):
        """Return a frame with one row per query: qid and the columns.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default=None
            Library of the frame. If None, pandas if it is installed, else polars.

        Returns
        -------
        DataFrame
        """
        columns = {name: self[name] for name in self._columns}
        return frame_like({"qid": self.ids.tolist(), **table_lists(columns)}, backend)

    def _repr_html_(self):
        return table_html(self, "qid", {name: self[name] for name in self._columns}, self.ids)

    def __repr__(self):
        named = "with ids" if self.has_ids else "without ids"
        return f"<Queries: {self._n} {named}, columns {printable(', '.join(self._columns)) or 'none'}>"


def concatenate_queries(parts):
    """Return queries one after the other, with the columns that all parts have, and ids if all parts have ids."""
    names = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
    columns = {name: _concatenate([part[name] for part in parts]) for name in names}
    ids = None
    if all(part.has_ids for part in parts):
        ids = np.concatenate([part.ids for part in parts])
    return Queries._make(columns, sum(map(len, parts)), ids)


def _concatenate(columns):
    if isinstance(columns[0], StringArray):
        buffers = [column.buffer[column.offsets[0] : column.offsets[-1]] for column in columns]
        return StringArray._of(np.concatenate(buffers), joined([column.offsets for column in columns]))
    if sparse.issparse(columns[0]):
        return sparse.vstack(columns, format="csr")
    return np.concatenate(columns)
