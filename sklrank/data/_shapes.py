"""Conversion of rankings and judgments from dicts, lists, columns and matrices."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from sklrank._ragged import intervals, lengths_to_indptr, owners
from sklrank.data._frames import as_list, series_ids
from sklrank.data._ids import is_id, object_array, show
from sklrank.data._queries import Queries
from sklrank.data._table import as_csr

_UNREAL = (complex, np.complexfloating, np.datetime64, np.timedelta64)


def is_matrix(data):
    """Return whether `data` is a matrix of numbers, sparse or dense, and not an array of ids."""
    if sparse.issparse(data):
        return True
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.dtype.kind in "US":
        return False
    return data.dtype != object or not any(isinstance(value, str) for value in data.flat)


def as_pairs(data, value_of):
    """Flatten judgments or rankings with ids.

    Parameters
    ----------
    data : mapping of str to (mapping or list), or list of (mapping or list)
        A dict from document to value for each query, or its documents only. A list may be any sequence, array, Series
        or iterable.
    value_of : callable
        Function that returns the values of the documents of one query, if none are given.

    Returns
    -------
    queries : Queries
    indptr : ndarray of int64
    docids : ndarray of object
    values : list

    Raises
    ------
    ValueError
        If a document occurs twice for a query.
    """
    if isinstance(data, Mapping):
        qids, entries = list(data), list(data.values())
    elif isinstance(data, np.ndarray) and data.ndim == 2:
        qids, entries = None, list(data)
    else:
        qids, entries = series_ids(data), as_list(data, "ranking")
    queries = Queries.unnamed(len(entries))
    if qids is not None:
        queries = Queries.named(qids)
    docids, values, lengths = [], [], []
    distinct = True
    for i, entry in enumerate(entries):
        if isinstance(entry, Mapping):
            docids += entry.keys()
            values += entry.values()
        else:
            entry = _documents(entry, queries.ids[i])
            docids += entry
            values += value_of(entry)
            distinct = False
        lengths.append(len(entry))
    if not set(map(type, docids)) <= {str}:
        for docid in docids:
            if not is_id(docid):
                raise TypeError(f"document id {docid!r} of type {type(docid).__name__}; ids are str or int")
        docids, distinct = list(map(str, docids)), False
    indptr, docids = lengths_to_indptr(lengths), object_array(docids)
    if not distinct:
        check_duplicates(indptr, docids, queries.ids.__getitem__)
    return queries, indptr, docids, values


def _documents(entry, qid):
    """Return the documents of one query as a list."""
    try:
        return as_list(entry, "document")
    except TypeError:
        raise TypeError(
            f"query {qid!r} has {entry!r:.80} of type {type(entry).__name__}; expected a dict from document id to "
            "value, or a list of document ids"
        ) from None


def pairs_of_columns(qids, docids, values, topics=None):
    """Group entries by query, in the order in which queries and entries first appear.

    Parameters
    ----------
    qids, docids : list of str, length n_entries
    values : ndarray of shape (n_entries,)
    topics : list of str, default=None
        Subtopics. A document may occur once in each of them.

    Returns
    -------
    queries : Queries
    indptr : ndarray of int64
    docids : ndarray of object
    values : ndarray
    topics : ndarray of object, or None
    """
    table = {}
    codes = np.fromiter((table.setdefault(q, len(table)) for q in qids), dtype=np.int64, count=len(qids))
    indptr = lengths_to_indptr(np.bincount(codes, minlength=len(table)))
    names, docids = list(table), object_array(docids)
    pairs = docids
    if topics is not None:
        topics = object_array(topics)
        pairs = object_array(list(zip(docids, topics)))
    if (codes[1:] < codes[:-1]).any():
        order = np.argsort(codes, kind="stable")
        pairs, docids, values = pairs[order], docids[order], values[order]
        if topics is not None:
            topics = topics[order]
    check_duplicates(indptr, pairs, names.__getitem__)
    return Queries.named(names), indptr, docids, values, topics


def check_duplicates(indptr, docids, qid_of):
    """Raise a ValueError that shows the first documents that occur twice for a query."""
    if docids.dtype.kind == "i" and docids.size:  # rows: duplicates are neighbours after sorting
        keys = owners(indptr) * (int(docids.max()) + 1) + docids
        keys.sort()
        if not (keys[1:] == keys[:-1]).any():
            return
    twice = []
    flat = docids.tolist()
    for i, (start, stop) in enumerate(intervals(indptr)):
        entries = flat[start:stop]
        if len(set(entries)) != len(entries):
            seen = set()
            twice += [(qid_of(i), d) for d in entries if d in seen or seen.add(d)]
    if twice:
        raise ValueError(
            f"a document may occur once for each query; these (query, document) pairs occur more often: {show(twice)}"
        )


def pair_of(queries, indptr, docs, entry):
    """Return query and document of an entry, for an error message."""
    doc = docs[entry]
    if not isinstance(doc, str):
        doc = int(doc)
    return queries.ids[np.searchsorted(indptr, entry, side="right") - 1], doc


def canonical(matrix):
    """Return a sparse matrix as CSR with sorted entries and without duplicates; the argument is not modified."""
    csr = as_csr(matrix)
    if not csr.has_canonical_format:
        if csr is matrix:
            csr = csr.copy()
        csr.sum_duplicates()
    return csr


def matrix_entries(matrix):
    """Return the stored entries of a sparse matrix, or all entries of a dense one.

    Parameters
    ----------
    matrix : sparse matrix or ndarray, of shape (n_queries, n_documents)

    Returns
    -------
    indptr, rows : ndarray of int64
    values : ndarray
        A copy.
    """
    if sparse.issparse(matrix):
        matrix = canonical(matrix)
        return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data.copy()
    indptr = np.arange(matrix.shape[0] + 1, dtype=np.int64) * matrix.shape[1]
    return indptr, np.tile(np.arange(matrix.shape[1], dtype=np.int64), matrix.shape[0]), matrix.flatten()


def as_numbers(values, what):
    """Return `values` as a new array of float64."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "cmM":
        raise TypeError(f"{what} are real numbers, got an array of {values.dtype}")
    if not isinstance(values, np.ndarray) or values.dtype == object:
        if any(issubclass(kind, _UNREAL) for kind in set(map(type, values))):  # NumPy would convert these
            unreal = next(value for value in values if isinstance(value, _UNREAL))
            raise TypeError(f"{what} are real numbers, got {unreal!r} of type {type(unreal).__name__}")
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = None
    if numbers is None or numbers.ndim != 1:
        bad = next((v for v in values if not _is_number(v)), values)
        raise TypeError(f"{what} are numbers, got {bad!r} of type {type(bad).__name__}")
    return numbers


def _is_number(value):
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return np.ndim(value) == 0
