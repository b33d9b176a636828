"""Ragged rankings: indptr, rows and scores of the documents that queries find."""

import numpy as np

from sklrank._ragged import joined, spans


def concatenate(parts):
    """Join the rankings of batches of queries.

    Parameters
    ----------
    parts : list of tuple
        indptr, rows and scores of the queries of each batch.

    Returns
    -------
    indptr, rows, scores : ndarray of int64, int64, float32
    """
    if not parts:
        return _none_of(0)
    if len(parts) == 1:
        return parts[0]
    indptr, rows, scores = zip(*parts)
    return joined(indptr), np.concatenate(rows), np.concatenate(scores)


def scatter(positions, parts, n_queries):
    """Join the rankings of groups of queries, in the order of the queries; a query in no group finds nothing.

    Parameters
    ----------
    positions : list of ndarray of int64
        Positions of the queries of each group.
    parts : list of tuple
        indptr, rows and scores of the queries of each group.
    n_queries : int

    Returns
    -------
    indptr, rows, scores : ndarray of int64, int64, float32
    """
    if not parts:
        return _none_of(n_queries)
    positions, (indptr, rows, scores) = np.concatenate(positions), concatenate(parts)
    if len(positions) == n_queries and len(parts) == 1:
        return indptr, rows, scores
    starts, lengths = np.zeros((2, n_queries), dtype=np.int64)
    starts[positions], lengths[positions] = indptr[:-1], np.diff(indptr)
    entries, indptr = spans(starts, lengths)
    return indptr, rows[entries], scores[entries]


def _none_of(n_queries):
    """Return rankings of queries that find nothing."""
    return np.zeros(n_queries + 1, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
