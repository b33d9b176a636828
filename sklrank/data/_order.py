"""The one function that ranks."""

import numpy as np

from sklrank._kernels._fusion import order_entries


def rank_entries(indptr, rows, scores, k=None):
    """Order the entries of each query by score, descending, then by row; leave out those whose score is NaN.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
        Query ``i`` has the entries ``indptr[i]:indptr[i + 1]``.
    rows : ndarray of int64, shape (n_entries,)
        Document of each entry.
    scores : ndarray of float32 or float64, shape (n_entries,)
        Score of each entry.
    k : int, default=None
        Number of entries to keep of each query; ``None``: all.

    Returns
    -------
    indptr : ndarray of int64, shape (n_queries + 1,)
        The queries in `entries`.
    entries : ndarray of int64
        The entries in their new order.
    scores : ndarray of the type of `scores`
        Their scores.
    """
    entries, ranked = np.empty(len(scores), dtype=np.int64), np.empty_like(scores)
    new = np.empty_like(indptr)
    order_entries(indptr, rows, scores, len(scores) if k is None else k, entries, ranked, new)
    return new, entries[: new[-1]], ranked[: new[-1]]


def rank(indptr, scores, ties=None):
    """Order the entries of each query by score, descending.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
        Query ``i`` has the entries ``indptr[i]:indptr[i + 1]``.
    scores : ndarray of float32 or float64, shape (n_entries,)
        Higher is better; no NaN.
    ties : ndarray, shape (n_entries,), default=None
        Among equal scores the lower of these goes first; ``None`` keeps the order given.

    Returns
    -------
    order : ndarray of int64, shape (n_entries,) or None
        Positions of the entries in their new order; ``None`` where they stand in order already.
    """
    scores = scores + scores.dtype.type(0)  # -0.0 equals 0.0: one bit pattern for both
    if len(scores) < 2:
        return None
    first = np.zeros(len(scores), dtype=bool)
    first[indptr[:-1][indptr[:-1] < len(scores)]] = True
    rises = (scores[1:] > scores[:-1]) & ~first[1:]
    order = None
    if rises.any():
        order = _rank_float32(indptr, scores) if scores.dtype == np.float32 else _rank_float64(indptr, scores)
    if ties is not None:
        ranked = scores if order is None else scores[order]
        tied = (ranked[1:] == ranked[:-1]) & ~first[1:]
        if tied.any():
            order = _break_ties(tied, order, ties)
    return order


def _rank_float32(indptr, scores):
    """Sort integers that hold the score above and the position below: numpy sorts those with vector instructions."""
    bits = scores.view(np.int32)
    # Floats order as their bits do, negative ones the other way round; then upside down, for descending.
    high = bits >> 31
    high &= 0x7FFFFFFF
    high ^= bits
    keys = np.invert(high, out=high).astype(np.int64)
    keys <<= 32
    keys |= np.arange(len(scores), dtype=np.int64)
    for start, stop in zip(indptr[:-1].tolist(), indptr[1:].tolist()):
        keys[start:stop].sort()
    keys &= 0xFFFFFFFF
    return keys


def _rank_float64(indptr, scores):
    order = np.empty(len(scores), dtype=np.int64)
    negated = -scores
    for start, stop in zip(indptr[:-1].tolist(), indptr[1:].tolist()):
        order[start:stop] = start + np.argsort(negated[start:stop], kind="stable")
    return order


def _break_ties(tied, order, ties):
    """Sort each group of neighbours that tie by `ties`, one sort for all groups."""
    if order is None:
        order = np.arange(len(tied) + 1, dtype=np.int64)
    member = np.zeros(len(order), dtype=bool)
    member[1:] |= tied
    member[:-1] |= tied
    positions = np.flatnonzero(member)
    group = np.cumsum(~np.concatenate([[False], tied])[positions])
    entries = order[positions]
    order[positions] = entries[np.lexsort((ties[entries], group))]
    return order
