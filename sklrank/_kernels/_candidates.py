"""The best of the candidates that an approximate index proposes."""

import numpy as np

from sklrank._kernels._dense import AHEAD, exact
from sklrank._kernels._instructions import LINE, ask_for
from sklrank._kernels._jit import kernel


@kernel
def rank_candidates(vectors, queries, candidates, euclidean, rows, scores, counts, start, stop):
    """Score the candidates of queries ``start … stop``, and keep the best, by score, then row.

    Parameters
    ----------
    vectors : ndarray of shape (n_documents, d), dtype=float32
    queries : ndarray of shape (n_queries, d), dtype=float32
    candidates : ndarray of shape (n_queries, n_candidates), dtype=int64
        Documents, none of a query twice; negative ones are no documents.
    euclidean : bool
        Whether scores are minus the distances, rather than dot products.
    rows : ndarray of shape (n_queries, k), dtype=int64
    scores : ndarray of shape (n_queries, k), dtype=float32
        The best documents in order, and their scores.
    counts : ndarray of shape (n_queries,), dtype=int64
        How many there are.
    start, stop : int
    """
    k = rows.shape[1]
    n_candidates = candidates.shape[1]
    for i in range(start, stop):
        n = 0
        for c in range(n_candidates):
            if c + AHEAD < n_candidates and candidates[i, c + AHEAD] >= 0:
                for j in range(0, vectors.shape[1], LINE // 4):
                    ask_for(vectors, candidates[i, c + AHEAD], j)
            row = candidates[i, c]
            if row < 0:
                continue
            score = exact(queries, i, vectors, row, euclidean)
            # Candidates come nearly in order, so that a new one seldom moves far.
            place = n
            while place > 0 and scores[i, place - 1] <= score:
                if scores[i, place - 1] == score and rows[i, place - 1] < row:
                    break
                place -= 1
                if place + 1 < k:
                    rows[i, place + 1] = rows[i, place]
                    scores[i, place + 1] = scores[i, place]
            if place < k:
                rows[i, place] = row
                scores[i, place] = score
                n = min(n + 1, k)
        counts[i] = n


@kernel
def settle_ties(vectors, queries, distances, slacks, euclidean, rows, scores, counts, start, stop):
    """Make scores of the distances of queries ``start … stop``, and score exactly what they cannot tell apart.

    Documents whose distances differ by more than twice their error are in the right order. The others, next to each
    other as they are, are scored exactly, and ranked by that, then row.

    Parameters
    ----------
    vectors : ndarray of shape (n_documents, d), dtype=float32
    queries : ndarray of shape (n_queries, d), dtype=float32
    distances : ndarray of shape (n_queries, k), dtype=float32
        Ascending: 1 minus the dot product, or the square of the euclidean distance.
    slacks : ndarray of shape (n_queries,), dtype=float64
        How far a distance may be from the exact one.
    euclidean : bool
    rows : ndarray of shape (n_queries, k), dtype=int64
        The documents; ranked in the end.
    scores : ndarray of shape (n_queries, k), dtype=float32
        Written.
    counts : ndarray of shape (n_queries,), dtype=int64
        How many documents each query has.
    start, stop : int
    """
    for i in range(start, stop):
        n = counts[i]
        for j in range(n):
            x = distances[i, j]
            scores[i, j] = np.float32(0) - np.sqrt(max(x, np.float32(0))) if euclidean else np.float32(1) - x
        first = 0  # of those that are too near to each other to tell apart
        for j in range(1, n + 1):
            if j < n and distances[i, j] - distances[i, j - 1] <= 2 * slacks[i]:
                continue
            if j - first > 1:
                for m in range(first, j):
                    row = rows[i, m]
                    score = exact(queries, i, vectors, row, euclidean)
                    place = m
                    while place > first and scores[i, place - 1] <= score:
                        if scores[i, place - 1] == score and rows[i, place - 1] < row:
                            break
                        rows[i, place] = rows[i, place - 1]
                        scores[i, place] = scores[i, place - 1]
                        place -= 1
                    rows[i, place] = row
                    scores[i, place] = score
            first = j
