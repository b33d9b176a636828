"""The best of the candidates that an approximate index proposes."""

import numpy as np

from sklrank._kernels._jit import kernel, part


@part
def _score(query, vectors, row, euclidean, terms):
    """The score of a document, as `_dense` has it to the last bit: one order of additions, rounded once.

    The terms come first and are added up afterwards, because only a loop without a sum is vectorized.
    """
    n = np.uint64(query.size)
    if euclidean:
        for j in range(n):
            difference = query[j] - np.float64(vectors[row, j])
            terms[j] = difference * difference
    else:
        for j in range(n):
            terms[j] = query[j] * np.float64(vectors[row, j])
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    for x in range(n >> np.uint64(3)):
        j = np.uint64(x) << np.uint64(3)
        s0 += terms[j]
        s1 += terms[j + np.uint64(1)]
        s2 += terms[j + np.uint64(2)]
        s3 += terms[j + np.uint64(3)]
        s4 += terms[j + np.uint64(4)]
        s5 += terms[j + np.uint64(5)]
        s6 += terms[j + np.uint64(6)]
        s7 += terms[j + np.uint64(7)]
    for j in range(n & ~np.uint64(7), n):
        s0 += terms[j]
    total = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
    return np.float32(-np.sqrt(total) if euclidean else total) + np.float32(0.0)  # which makes 0.0 of -0.0


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
    query, terms = np.empty(queries.shape[1]), np.empty(queries.shape[1])
    for i in range(start, stop):
        for j in range(query.size):
            query[j] = queries[i, j]
        n = 0
        for row in candidates[i]:
            if row < 0:
                continue
            score = _score(query, vectors, row, euclidean, terms)
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
    query, terms = np.empty(queries.shape[1]), np.empty(queries.shape[1])
    for i in range(start, stop):
        n = counts[i]
        for j in range(n):
            x = distances[i, j]
            scores[i, j] = np.float32(0) - np.sqrt(max(x, np.float32(0))) if euclidean else np.float32(1) - x
        for j in range(query.size):
            query[j] = queries[i, j]
        first = 0  # of those that are too near to each other to tell apart
        for j in range(1, n + 1):
            if j < n and distances[i, j] - distances[i, j - 1] <= 2 * slacks[i]:
                continue
            if j - first > 1:
                for m in range(first, j):
                    row = rows[i, m]
                    score = _score(query, vectors, row, euclidean, terms)
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
