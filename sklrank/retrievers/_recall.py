"""Recall of a search against the exact ranking."""

import math

import numpy as np

from sklrank._ragged import owners


def lowest(indptr, scores):
    """Return the lowest score of each exact ranking, and its number of documents.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
        Boundaries of the rankings.
    scores : ndarray, shape (indptr[-1],)
        Scores of each ranking, best first.

    Returns
    -------
    floors : ndarray, shape (n_queries,)
        Infinity if the ranking is empty.
    sizes : ndarray of int64, shape (n_queries,)
    """
    sizes = np.diff(indptr)
    floors = np.full(len(sizes), np.inf, dtype=np.float32)
    floors[sizes > 0] = scores[indptr[1:][sizes > 0] - 1]
    return floors, sizes


def mean_recall(indptr, scores, floors, sizes):
    """Return the share of the exact ranking that is found, as a mean over queries.

    A document counts as found if its score is at least the last score of the exact ranking, even if the exact ranking
    holds another document of equal score. A query whose exact ranking is empty does not count.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
        Boundaries of the rankings that were found. None is longer than the cutoff of the exact ranking.
    scores : ndarray, shape (indptr[-1],)
        Exact scores of the documents that were found, equal to the last bit to those of the exact ranking.
    floors, sizes
        Output of `lowest`.

    Returns
    -------
    float
        NaN if no query counts.
    """
    counted = sizes > 0
    if not counted.any():
        return math.nan
    query = owners(indptr)
    found = np.bincount(query[scores >= floors[query]], minlength=len(sizes))
    return float(np.mean(found[counted] / sizes[counted]))
