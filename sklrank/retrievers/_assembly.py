"""Values of documents that come from several parts of a corpus, put together."""

import numpy as np
from scipy import sparse

from sklrank._ragged import lengths_to_indptr
from sklrank.data import TokenVectors


def merged(values, sources):
    """Put the values of the documents of several parts together.

    Parameters
    ----------
    values : list of ndarray of shape (n_documents, ...), csr_array or TokenVectors
        Values of the documents of each part.
    sources : object
        Its attributes `parts` and `locals` are arrays of int64: the part, and the number in it, of each document.

    Returns
    -------
    ndarray, csr_array or TokenVectors
    """
    n = len(sources.locals)
    return _copied(values, _runs(sources.parts, sources.locals, np.arange(n)), n)


def _runs(parts, locals, rows):
    """Return runs of documents that are neighbours before and after: part, first and last local number + 1, row."""
    if not len(rows):
        return []
    breaks = np.flatnonzero((np.diff(parts) != 0) | (np.diff(locals) != 1) | (np.diff(rows) != 1)) + 1
    starts, stops = np.append(0, breaks), np.append(breaks, len(rows))
    columns = parts[starts], locals[starts], locals[stops - 1] + 1, rows[starts]
    return list(zip(*(column.tolist() for column in columns)))


def _copied(values, runs, n):
    """Copy runs of documents into one value of `n` documents."""
    first = values[0]
    _check_alike(values)
    if isinstance(first, TokenVectors):
        indptr, (vectors,) = _copied_lists([v.indptr for v in values], [[v.values for v in values]], runs, n)
        return TokenVectors(vectors, indptr)
    if sparse.issparse(first):
        entries = [v.data for v in values], [v.indices for v in values]
        indptr, (data, indices) = _copied_lists([v.indptr for v in values], entries, runs, n)
        return sparse.csr_array((data, indices, indptr), shape=(n, first.shape[1]))
    whole = _empty(values, n)
    for part, start, stop, row in runs:
        whole[row : row + stop - start] = values[part][start:stop]
    return whole


def _check_alike(values):
    """Raise ValueError if the values of parts differ in their kind or in their number of features."""
    kinds = {(_kind(value), _n_features(value)) for value in values}
    if len(kinds) > 1:
        found = " and ".join(f"{name} with {n} features" for name, n in sorted(kinds))
        raise ValueError(
            f"expected the same kind of output for all documents, got {found}: an encoder whose output depends on the "
            "documents that it is fitted on needs the tag requires_fit=True"
        )


def _kind(value):
    if isinstance(value, np.ndarray):  # a memory map or not
        return "ndarray"
    return type(value).__name__


def _n_features(value):
    if isinstance(value, TokenVectors):
        return value.n_features
    return value.shape[1:]


def _copied_lists(indptrs, columns, runs, n):
    """Copy runs of lists, each of which has entries in all `columns`, into one array per column."""
    lengths = np.zeros(n, dtype=np.int64)
    for part, start, stop, row in runs:
        lengths[row : row + stop - start] = np.diff(indptrs[part][start : stop + 1])
    indptr = lengths_to_indptr(lengths)
    wholes = [_empty(values, indptr[-1]) for values in columns]
    for part, start, stop, row in runs:
        begin, end = indptrs[part][start], indptrs[part][stop]
        for whole, values in zip(wholes, columns):
            whole[indptr[row] : indptr[row] + end - begin] = values[part][begin:end]
    return indptr, wholes


def _empty(values, n):
    """Return an array for `n` items of several arrays."""
    return np.empty((n, *values[0].shape[1:]), dtype=np.result_type(*values))
