"""Ranking of the candidates that an approximate index proposes."""

import numpy as np

from sklrank._kernels._dense import AHEAD, exact
from sklrank._kernels._instructions import LINE, ask_for
from sklrank._kernels._jit import kernel


@kernel
def rank_candidates(vectors, queries, candidates, euclidean, rows, scores, counts, start, stop):
    """Score the candidates of queries ``start … stop``, and keep the best documents, by score, then row.

    Parameters
    ----------
    vectors : ndarray of shape (n_documents, d), dtype=float32
    queries : ndarray of shape (n_queries, d), dtype=float32
    candidates : ndarray of shape (n_queries, n_candidates), dtype=int64
        Different documents for each query; negative numbers are not documents.
    euclidean : bool
        Whether scores are negative distances rather than dot products.
    rows : ndarray of shape (n_queries, k), dtype=int64
    scores : ndarray of shape (n_queries, k), dtype=float32
        Output: the best documents in order, and their scores.
    counts : ndarray of shape (n_queries,), dtype=int64
        Output: the number of documents of each query.
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
            # Candidates are nearly in order, so that a new candidate rarely moves far.
            position = n
            while position > 0 and scores[i, position - 1] <= score:
                if scores[i, position - 1] == score and rows[i, position - 1] < row:
                    break
                position -= 1
                if position + 1 < k:
                    rows[i, position + 1] = rows[i, position]
                    scores[i, position + 1] = scores[i, position]
            if position < k:
                rows[i, position] = row
                scores[i, position] = score
                n = min(n + 1, k)
        counts[i] = n


@kernel
def settle_ties(vectors, queries, distances, slacks, euclidean, rows, scores, counts, start, stop):
    """Turn the distances of queries ``start … stop`` into scores; score documents with nearly equal distances exactly.

    Documents whose distances differ by more than twice their error are in the right order. Neighbors with a smaller
    difference are scored exactly, and ranked by the exact score, then row.

    Parameters
    ----------
    vectors : ndarray of shape (n_documents, d), dtype=float32
    queries : ndarray of shape (n_queries, d), dtype=float32
    distances : ndarray of shape (n_queries, k), dtype=float32
        Ascending: 1 minus the dot product, or the square of the euclidean distance.
    slacks : ndarray of shape (n_queries,), dtype=float64
        Largest error of a distance.
    euclidean : bool
    rows : ndarray of shape (n_queries, k), dtype=int64
        Documents. They are ranked at the end.
    scores : ndarray of shape (n_queries, k), dtype=float32
        Output.
    counts : ndarray of shape (n_queries,), dtype=int64
        Number of documents of each query.
    start, stop : int
    """
    for i in range(start, stop):
        n = counts[i]
        for j in range(n):
            x = distances[i, j]
            if euclidean:
                scores[i, j] = np.float32(0) - np.sqrt(max(x, np.float32(0)))
            else:
                scores[i, j] = np.float32(1) - x
        first = 0  # of the neighbors whose order is not sure
        for j in range(1, n + 1):
            if j < n and distances[i, j] - distances[i, j - 1] <= 2 * slacks[i]:
                continue
            if j - first > 1:
                for m in range(first, j):
                    row = rows[i, m]
                    score = exact(queries, i, vectors, row, euclidean)
                    position = m
                    while position > first and scores[i, position - 1] <= score:
                        if scores[i, position - 1] == score and rows[i, position - 1] < row:
                            break
                        rows[i, position] = rows[i, position - 1]
                        scores[i, position] = scores[i, position - 1]
                        position -= 1
                    rows[i, position] = row
                    scores[i, position] = score
            first = j
