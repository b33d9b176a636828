"""Ranking of entries by their scores."""

from itertools import pairwise

import numpy as np

from sklrank._kernels._fusion import order_entries

_NO_ROWS = np.empty(0, dtype=np.int64)


def rank(indptr, scores, rows=None, k=None):
    """Order the entries of each query by score, descending; drop entries with a score of NaN.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
        The entries of query ``i`` are ``indptr[i]:indptr[i + 1]``.
    scores : ndarray of float32 or float64, shape (n_entries,)
        Score of each entry; -0.0 equals 0.0.
    rows : ndarray of int64, shape (n_entries,), default=None
        Document of each entry. If scores are equal, the lower row goes first. If None, the earlier entry goes first.
    k : int, default=None
        Number of entries to keep for each query. If None, all are kept.

    Returns
    -------
    entries : ndarray of int64
        Positions of the entries in their new order.
    indptr : ndarray of int64, shape (n_queries + 1,)
        Bounds of the queries in `entries`.
    scores : ndarray of the type of `scores`
        Scores of `entries`.
    """
    if rows is None:
        rows = _NO_ROWS
    if k is None:
        k = len(scores)
    indptr, rows, scores = _plain(indptr, np.int64), _plain(rows, np.int64), _plain(scores, scores.dtype)
    entries, ranked = np.empty(len(scores), dtype=np.int64), np.empty_like(scores)
    new = np.empty_like(indptr)
    order_entries(indptr, rows, scores, k, entries, ranked, new)
    return entries[: new[-1]], new, ranked[: new[-1]]


def _plain(array, dtype):
    """Return the array as a contiguous, writable one; the kernel is compiled for such arrays only."""
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable:  # np.require is slow
        return array
    return np.require(array, dtype, ("C", "W"))


def descend_ties(indptr, scores, entries, docids):
    """Order entries of equal score by document id, descending, as in trec_eval.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
    scores : ndarray, shape (n_entries,)
        Scores of `entries`, in their order.
    entries : ndarray of int64, shape (n_entries,)
    docids : ndarray of object
        Document of each entry, in the order before ranking.

    Returns
    -------
    ndarray of int64, shape (n_entries,)
    """
    if len(scores) < 2:
        return entries
    tied = scores[1:] == scores[:-1]
    starts = indptr[1:-1]
    tied[starts[(starts > 0) & (starts < len(scores))] - 1] = False
    if not tied.any():
        return entries
    begins = ~np.concatenate([[False], tied])
    positions = np.flatnonzero(~begins | np.concatenate([tied, [False]]))
    names = docids[entries[positions]].tolist()
    bounds = [*np.flatnonzero(begins[positions]).tolist(), len(positions)]
    order = []
    for start, stop in pairwise(bounds):
        order += sorted(range(start, stop), key=names.__getitem__, reverse=True)
    ordered = entries.copy()
    ordered[positions] = entries[positions[order]]
    return ordered
