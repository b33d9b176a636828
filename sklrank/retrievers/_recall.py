"""Which part of the exact ranking a search finds."""

import math

import numpy as np

from sklrank._ragged import owners


def lowest(indptr, scores):
    """The least score of each exact ranking, and how many documents it has.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
        Where the ranking of each query begins and ends.
    scores : ndarray, shape (indptr[-1],)
        Its scores, best first.

    Returns
    -------
    floors : ndarray, shape (n_queries,)
        Infinity where nothing is found.
    sizes : ndarray of int64, shape (n_queries,)
    """
    sizes = np.diff(indptr)
    floors = np.full(len(sizes), np.inf, dtype=np.float32)
    floors[sizes > 0] = scores[indptr[1:][sizes > 0] - 1]
    return floors, sizes


def mean_recall(indptr, scores, floors, sizes):
    """The mean over queries of the part of the exact ranking that is found.

    A document that scores as high as the last one of the exact ranking counts as found, whichever of equal ones that
    names. A query whose exact ranking is empty does not count.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
        Where what was found for each query begins and ends; no more documents than the cutoff of the exact ranking.
    scores : ndarray, shape (indptr[-1],)
        The exact scores of what was found, comparable to the bit.
    floors, sizes
        As `lowest` gives them.

    Returns
    -------
    float
        NaN where no query counts.
    """
    counted = sizes > 0
    if not counted.any():
        return math.nan
    query = owners(indptr)
    found = np.bincount(query[scores >= floors[query]], minlength=len(sizes))
    return float(np.mean(found[counted] / sizes[counted]))
