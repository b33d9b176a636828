"""Pairs of a query and a document: shared code of `Run` and `Qrels`."""

from collections.abc import Mapping
from copy import copy

import numpy as np
from scipy import sparse

from sklrank._ragged import check_indptr, intervals, joined, spans
from sklrank.data._corpus import Corpus, living_corpus
from sklrank.data._documents import DocumentIds
from sklrank.data._ids import Ids, check_unique, show
from sklrank.data._joining import JOINS, one_after_the_other, side_by_side
from sklrank.data._queries import Queries, as_key, concatenate_queries
from sklrank.data._strings import StringArray

MAX_ENTRIES = (1 << 32) - 1
_DENSE_CELLS = 1 << 27  # maximum number of cells of a dense matrix


class Pairs:
    """Base of `Run` and `Qrels`: ragged pairs (query, document), each with values.

    Entry ``e`` of query ``i`` (``indptr[i] <= e < indptr[i + 1]``) is the document ``rows[e]`` of `documents`. Pairs
    that are read with ids keep only the ids until rows are needed, because the numbering of documents takes longer than
    most methods.
    """

    _noun = "pairs"  # in messages
    _values = ()  # names of the arrays with one value per entry; a missing array is None

    def _set_pairs(self, indptr, queries, documents, rows, docids=None):
        if indptr[-1] > MAX_ENTRIES:
            raise OverflowError(
                f"a {self._noun} holds at most {MAX_ENTRIES} entries, which have 32-bit numbers, got {indptr[-1]}: "
                "process the queries in batches, or lower k"
            )
        self._indptr = indptr
        self._queries = queries
        self._documents = documents
        self._rows = rows
        self._docids = docids

    def _number_documents(self):
        docids = self._docids
        if docids is not None:  # several threads may do this; their numbers are equal
            self._documents, self._rows = DocumentIds.factorize(docids)
            self._docids = None

    # --- content
    @property
    def indptr(self):
        """Bounds of the entries of each query.

        Returns
        -------
        ndarray of int64, shape (n_queries + 1,)
        """
        return self._indptr

    @property
    def queries(self):
        """The queries.

        Returns
        -------
        Queries
        """
        return self._queries

    @property
    def has_ids(self):
        """Whether the queries have ids, so that alignment goes by them."""
        return self._queries.has_ids

    @property
    def documents(self):
        """Documents that the rows refer to: the corpus, or ids only."""
        self._number_documents()
        return self._documents

    @property
    def corpus(self):
        """The corpus, or None if only ids are known."""
        if isinstance(self._documents, Corpus):
            return self._documents
        return None

    @property
    def is_numbered(self):
        """Whether `rows` are known; a run that was read with ids numbers its documents on first use."""
        return self._docids is None

    @property
    def rows(self):
        """Document of each entry.

        Returns
        -------
        ndarray of int64, shape (n_entries,)
        """
        self._number_documents()
        return self._rows

    @property
    def flat_docids(self):
        """Id of the document of each entry.

        Returns
        -------
        ndarray of object, shape (n_entries,)
        """
        docids = self._docids
        if docids is None:
            docids = self._documents.docids(self._rows)
        return docids

    @property
    def docids(self):
        """Ids of the documents of each query.

        Returns
        -------
        list of list of str
        """
        docids = self._docids
        if docids is None:
            return self._documents.ids.take_ragged(self._rows, self._indptr)
        return [docids[start:stop].tolist() for start, stop in intervals(self._indptr)]

    @property
    def shape(self):
        """``(n_queries, n_documents)``."""
        return (len(self), len(self.documents))

    @classmethod
    def of(cls, data):
        """Return `data` if it has this type already, else convert it.

        Parameters
        ----------
        data : Run or Qrels, or data that they are made from

        Returns
        -------
        Run or Qrels
        """
        if isinstance(data, cls):
            return data
        return cls(data)

    def __len__(self):
        return len(self._indptr) - 1

    def with_corpus(self, corpus):
        """Return the same entries with their documents in `corpus`.

        Parameters
        ----------
        corpus : Corpus

        Returns
        -------
        Run or Qrels

        Raises
        ------
        ValueError
            If a document is not in the corpus.
        """
        if self._documents is corpus:
            return self
        rows = corpus.rows(self.flat_docids)
        return self._replace(self._indptr, self._queries, corpus, rows, None, self._value_arrays())

    def align(self, queries):
        """Return the entries of `queries`, in their order; an unknown query has no entries.

        Parameters
        ----------
        queries : Queries, or data that they are made from
            The queries. They are aligned by id if both have ids, else by position, which requires equal lengths.

        Returns
        -------
        Run or Qrels
        """
        queries = Queries.of(queries)
        return self._take_queries(align_queries(self._queries, queries, self._noun), queries)

    def _csr(self, values):
        # A copy, because a caller may sort the matrix in place.
        return sparse.csr_array((values, self.rows, self._indptr), shape=self.shape, copy=True)

    def _dense(self, values, dtype):
        if dtype is not None and np.dtype(dtype) == object:  # scipy.sparse.hstack
            raise side_by_side(self)
        n_cells = self.shape[0] * self.shape[1]
        if n_cells > _DENSE_CELLS:
            raise ValueError(f"a dense matrix would have {n_cells} cells; to_csr() stores the entries only")
        dense = self._csr(values).toarray()
        if dtype is None:
            return dense
        return dense.astype(dtype)

    def _check_distinct_queries(self):
        """Raise a ValueError if a query occurs twice, as in a bootstrap: a dict by ids would lose one of them."""
        if self.has_ids:
            check_unique(self._queries.ids.tolist(), "query")

    # --- slicing and joining
    def __copy__(self):
        new = object.__new__(type(self))
        vars(new).update(vars(self))
        return new

    def _value_arrays(self):
        return {name: getattr(self, name) for name in self._values}

    def take(self, entries, indptr):
        """Choose entries, with all values that belong to them.

        Parameters
        ----------
        entries : slice, or ndarray of int of shape (n_chosen,)
            The entries, query by query.
        indptr : ndarray of int64, shape (n_queries + 1,)
            Query ``i`` has the chosen entries ``entries[indptr[i]:indptr[i + 1]]``.

        Returns
        -------
        Run or Qrels
            The chosen entries, with the same queries and documents.
        """
        new = self._take_entries(entries, indptr, self._queries)
        documents = new._rows
        if documents is None:
            documents = new._docids
        check_indptr(indptr, len(self), len(documents))
        return new

    def _replace(self, indptr, queries, documents, rows, docids, values):
        new = copy(self)
        new._set_pairs(indptr, queries, documents, rows, docids)
        for name, value in values.items():
            setattr(new, name, value)
        return new

    def _take_entries(self, entries, indptr, queries):
        """Return the chosen entries (a slice or indices), divided among `queries` by `indptr`."""

        def pick(value):
            if isinstance(value, Mapping):
                return {name: pick(array) for name, array in value.items()}
            return chosen(value, entries)

        values = {name: pick(value) for name, value in self._value_arrays().items()}
        return self._replace(indptr, queries, self._documents, pick(self._rows), pick(self._docids), values)

    def __getitem__(self, key):
        key = as_key(key, len(self))
        if isinstance(key, slice) and key.step in (None, 1):
            start, stop, _ = key.indices(len(self))
            indptr = self._indptr[start : max(start, stop) + 1]
            return self._take_entries(slice(indptr[0], indptr[-1]), indptr - indptr[0], self._queries[key])
        if isinstance(key, slice):
            key = np.arange(len(self), dtype=np.int64)[key]
        return self._take_queries(key, self._queries[key])

    def _take_queries(self, positions, queries):
        """Return the entries of the queries at `positions` as those of `queries`; no entries for position -1."""
        entries, indptr = entries_of(positions, self._indptr)
        return self._take_entries(entries, indptr, queries)

    @classmethod
    def _concatenate(cls, parts):
        others = {type(part).__name__ for part in parts if not isinstance(part, cls)}
        if others:
            raise TypeError(f"expected {cls.__name__} objects to concatenate, got {', '.join(sorted(others))}")
        first = parts[0]
        indptr = joined([part._indptr for part in parts])
        queries = concatenate_queries([part._queries for part in parts])

        def join(values):
            if any(value is None for value in values):
                return None
            if isinstance(values[0], Mapping):
                names = [name for name in values[0] if all(name in value for value in values)]
                return {name: np.concatenate([value[name] for value in values]) for name in names}
            return np.concatenate(values)

        values = {name: join([getattr(part, name) for part in parts]) for name in cls._values}
        if all(part._rows is not None and part._documents is first._documents for part in parts):
            rows = np.concatenate([part._rows for part in parts])
            return first._replace(indptr, queries, first._documents, rows, None, values)
        docids = np.concatenate([part.flat_docids for part in parts])
        return first._replace(indptr, queries, None, None, docids, values)

    def __array_function__(self, function, types, args, kwargs):
        if function in JOINS:
            return self._concatenate(one_after_the_other(self, function, *args, **kwargs))
        if function is np.shape:
            return self.shape

        def dense(value):
            if isinstance(value, Pairs):
                return np.asarray(value)
            if isinstance(value, (list, tuple)):
                return type(value)(map(dense, value))
            return value

        return function(*map(dense, args), **{name: dense(value) for name, value in kwargs.items()})

    # --- pickling: the token of the corpus and the ids of the entries, not the corpus
    def __getstate__(self):
        self._number_documents()  # so that the state does not depend on earlier calls
        state = dict(vars(self))
        if isinstance(self._documents, Corpus):
            used, positions = np.unique(self._rows, return_inverse=True)
            ids = StringArray.from_strings(self._documents.docids(used).tolist(), what="document id")
            state["_documents"] = (self._documents.token, len(self._documents), used, ids)
            state["_rows"] = positions.astype(np.int64)
        return state

    def __setstate__(self, state):
        vars(self).update(state)
        if isinstance(self._documents, tuple):
            token, n, used, ids = self._documents
            corpus = living_corpus(token)
            if corpus is not None:
                self._documents, self._rows = corpus, used[self._rows]
            else:
                self._documents = DocumentIds(Ids(ids, len(ids)))


def chosen(array, entries):
    """Return the chosen entries of an array; None if the array is None."""
    if array is None:
        return None
    return array[entries]


def entries_of(positions, indptr):
    """Return the entries of the queries at `positions`, none for position -1, and their indptr."""
    lengths = np.diff(indptr, append=indptr[-1])[positions]  # the last one is empty
    return spans(indptr[positions], lengths)


def take_queries(positions, indptr, arrays):
    """Return the entries of the queries at `positions` in each array, which may be None.

    Returns
    -------
    indptr : ndarray of int64, shape (n_positions + 1,)
    arrays : list
    """
    if np.array_equal(positions, np.arange(len(indptr) - 1)):
        return indptr, arrays
    entries, indptr = entries_of(positions, indptr)
    return indptr, [chosen(array, entries) for array in arrays]


def sides_of_matrix(matrix, queries, corpus):
    """Return the queries and the documents of a matrix of shape (n_queries, n_documents), which is checked."""
    if queries is None:
        queries = Queries.unnamed(matrix.shape[0])
    if corpus is None:
        documents = DocumentIds(Ids(None, matrix.shape[1]))
    else:
        documents = Corpus.of(corpus)
    if matrix.shape != (len(queries), len(documents)):
        raise ValueError(
            f"expected a matrix of shape ({len(queries)}, {len(documents)}), one row per query and one column per "
            f"document; got the shape {matrix.shape}"
        )
    return queries, documents


def align_queries(queries, wanted, what):
    """Return the position in `queries` of each of the queries `wanted`; -1 if it is missing.

    They are aligned by id if both have ids, else by position, which requires equal lengths.

    Raises
    ------
    ValueError
        If the lengths differ, or if no id matches.
    """
    if not (queries.has_ids and wanted.has_ids):
        if len(queries) != len(wanted):
            raise ValueError(
                f"got {what} of {len(queries)} queries for {len(wanted)} queries; unless both have ids, they align by "
                "position, which requires equal numbers"
            )
        return np.arange(len(queries), dtype=np.int64)
    if len(queries) == len(wanted) and (queries.ids == wanted.ids).all():
        return np.arange(len(queries), dtype=np.int64)
    positions = positions_by_id(queries, wanted)
    if len(queries) and len(wanted) and (positions < 0).all():
        raise ValueError(
            f"no query id of the {what} is among those asked for: {show(queries.ids)} against {show(wanted.ids)}"
        )
    return positions


def positions_by_id(queries, wanted):
    """Return the position in `queries` of each of the queries `wanted`, both with ids; -1 if it is missing."""
    table = {qid: i for i, qid in enumerate(queries.ids.tolist())}
    return np.fromiter((table.get(qid, -1) for qid in wanted.ids.tolist()), dtype=np.int64, count=len(wanted))
