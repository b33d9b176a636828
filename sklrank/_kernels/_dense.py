"""The best documents of each query, from approximate scores that come block by block.

The rounding of a matrix product depends on the shapes of its operands: the same query and document get another last bit
in another batch, and equal documents get different scores. Therefore products only propose documents. If a score lies
within `slack` of the exact score, a document of the result is at most twice the slack below the k-th best:

    ---- sure to be worse ----|------ pending ------|--- k-th best so far ... best
                              theta = k-th - 2 slack

Pending documents are settled by `exact`, which adds in the same order in every batch, in double precision, and rounds
once. Scores of integers, from compressed vectors, are exact already: their slack is 0, and of equal scores the later
documents are dropped at once.

A candidate is a key, an int64 that is larger for a larger score, then for a lower row.
"""

import numpy as np

from sklrank._kernels._instructions import CHUNK, LANES, LINE, ask_for, at_least, lowest_bit, sum_products, sum_squares
from sklrank._kernels._jit import kernel, part

AHEAD = 4  # number of documents whose vectors are prefetched, because they lie anywhere in memory
_SPARE = 512  # pending documents beyond the candidates; with a larger number, cuts are rarer and less tight


def workspace(n_queries, k, n_candidates):
    """Make the arrays that a search keeps from block to block.

    Parameters
    ----------
    n_queries : int
    k : int
        Number of documents to return for each query.
    n_candidates : int
        Number of documents to settle for each query, at least `k`; larger if scores are those of compressed vectors.

    Returns
    -------
    thetas : ndarray of shape (n_queries,), dtype=float32
        Lowest scores that can enter the ranking.
    pending : ndarray of shape (n_queries, n), dtype=int64
        Keys of documents by their approximate scores.
    counts : ndarray of shape (n_queries,), dtype=int64
        Number of pending keys.
    best : ndarray of shape (n_queries, k), dtype=int64
        Keys of settled documents.
    found : ndarray of shape (n_queries,), dtype=int64
        Number of settled documents.
    keys : ndarray of dtype int64
        Scratch.
    """
    size = 2 * n_candidates + _SPARE
    return (
        np.full(n_queries, -np.inf, dtype=np.float32),
        np.empty((n_queries, size), dtype=np.int64),
        np.zeros(n_queries, dtype=np.int64),
        np.empty((n_queries, k), dtype=np.int64),
        np.zeros(n_queries, dtype=np.int64),
        np.empty(k + size, dtype=np.int64),
    )


@part
def _key(score, row):
    """Return a number that is larger for a larger float32 score, then for a lower row."""
    bits = np.float32(score).view(np.int32)
    return (np.int64(bits ^ ((bits >> 31) & 0x7FFFFFFF)) << 32) | (0xFFFFFFFF ^ np.int64(row))


@part
def _score(key):
    """Return the score of a key."""
    bits = np.int32(key >> 32)
    return np.int32(bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(np.float32)


@part
def _row(key):
    """Return the row of a key."""
    return 0xFFFFFFFF ^ (key & 0xFFFFFFFF)


@kernel
def _partition(keys, n, k):
    """Move the k largest of n different keys to the front; return the smallest of them."""
    low = 0
    high = n - 1
    while low < high:
        a = keys[low]
        b = keys[(low + high) >> 1]
        c = keys[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i = low
        j = high
        while i <= j:
            while keys[i] > pivot:
                i += 1
            while keys[j] < pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    smallest = keys[0]
    for i in range(1, k):
        smallest = min(smallest, keys[i])
    return smallest


@kernel
def exact(queries, q, vectors, d, euclidean):
    """Return the score of document d, added in double precision, in an order that depends on the dimension only."""
    n = queries.shape[1]
    whole = n - n % LANES
    if euclidean:
        total = sum_squares(queries, q, vectors, d, whole)
        for j in range(whole, n):
            x = np.float64(queries[q, j]) - np.float64(vectors[d, j])
            total += x * x
        total = -np.sqrt(total)
    else:
        total = sum_products(queries, q, vectors, d, whole)
        for j in range(whole, n):
            total += np.float64(queries[q, j]) * np.float64(vectors[d, j])
    return np.float32(total) + np.float32(0.0)  # -0.0 becomes 0.0


@kernel
def _settle(q, queries, vectors, euclidean, pending, counts, best, found, keys):
    """Score the pending documents of query q exactly; keep the best of these and of the settled documents."""
    k = best.shape[1]
    n = found[q]
    for j in range(n):
        keys[j] = best[q, j]
    for j in range(counts[q]):
        if j + AHEAD < counts[q]:
            for x in range(0, queries.shape[1], LINE // 4):
                ask_for(vectors, _row(pending[q, j + AHEAD]), x)
        d = _row(pending[q, j])
        keys[n] = _key(exact(queries, q, vectors, d, euclidean), d)
        n += 1
    if n > k:
        _partition(keys, n, k)
        n = k
    for j in range(n):
        best[q, j] = keys[j]
    found[q] = n
    counts[q] = 0


@kernel
def _cut(q, n_candidates, slack, theta, pending, counts):
    """Drop the pending documents of query q that are surely worse than `n_candidates` others; return the theta."""
    n = counts[q]
    if n <= n_candidates:
        return theta
    keys = pending[q]
    least = _partition(keys, n, n_candidates)
    m = n_candidates
    if slack == 0.0:  # a later document must be better, not equal: the next higher score
        least = _score(least + 0x100000000)
    else:
        least = np.float32(_score(least) - 2.0 * slack)
        for j in range(m, n):
            keys[m] = keys[j]
            m += _score(keys[j]) >= least
    counts[q] = m
    return max(theta, least)


@kernel
def select(
    scores, rows, masks, mask_of, n_candidates, slacks, queries, vectors, euclidean, squares, thetas, pending, counts,
    best, found, keys,
):  # fmt: skip
    """Add the scores of a block of documents to the pending documents.

    Parameters
    ----------
    scores : ndarray of shape (n_queries, n), dtype=float32
        Approximate scores without NaN. For distances, the dot product minus half the squared length of the document.
    rows : ndarray of shape (n,), dtype=int64
        Documents of the block, ascending, and above the documents of earlier blocks.
    masks : ndarray of shape (n_masks, n_documents), dtype=uint8
    mask_of : ndarray of shape (n_queries,) or (0,), dtype=int64
        Mask of each query, -1 for no mask; empty if no query has a mask.
    n_candidates : int
        Number of documents to settle for each query.
    slacks : ndarray of shape (n_queries,), dtype=float64
        Largest difference between a score and the exact score, both rounded. If 0, the order of `scores` counts.
    queries, vectors : ndarray of shape (n_queries, d) and (n_documents, d), dtype=float32
        Vectors for the exact scores.
    euclidean : bool
        Whether exact scores are negative distances rather than dot products.
    squares : ndarray of shape (n_queries,), dtype=float64
        Squared length of each query.
    thetas, pending, counts, best, found, keys : ndarray
        From `workspace`.
    """
    width = scores.shape[1]
    size = pending.shape[1]
    for q in range(scores.shape[0]):
        mask = mask_of[q] if mask_of.size else -1
        slack = slacks[q]
        theta = thetas[q]
        n = counts[q]
        for start in range(0, width, CHUNK):
            if start + CHUNK <= width:
                bits = at_least(scores, q, start, theta)
            else:
                bits = np.uint64(0)
                for j in range(start, width):
                    bits |= np.uint64(scores[q, j] >= theta) << np.uint64(j - start)
            while bits:
                j = start + lowest_bit(bits)
                bits &= bits - np.uint64(1)
                d = rows[j]
                if mask < 0 or masks[mask, d]:
                    pending[q, n] = _key(scores[q, j] + np.float32(0.0), d)  # -0.0 is 0.0
                    n += 1
            if n > size - CHUNK:
                counts[q] = n
                theta = _cut(q, n_candidates, slack, theta, pending, counts)
                if counts[q] > n_candidates + (size - n_candidates) // 2:
                    # Too many scores are nearly equal. After settling, k documents are left.
                    _settle(q, queries, vectors, euclidean, pending, counts, best, found, keys)
                    if found[q] == best.shape[1]:
                        least = best[q, 0]
                        for j in range(1, found[q]):
                            least = min(least, best[q, j])
                        s = np.float64(_score(least))
                        if euclidean:
                            s = 0.5 * (squares[q] - s * s)
                        theta = max(theta, np.float32(s - slack))
                n = counts[q]
        counts[q] = n
        thetas[q] = theta


@kernel
def finish(n_candidates, slacks, queries, vectors, euclidean, thetas, pending, counts, best, found, keys):
    """Settle the pending documents after all blocks; `best` and `found` then hold the ranking, as keys in any order."""
    for q in range(counts.size):
        _cut(q, n_candidates, slacks[q], thetas[q], pending, counts)
        _settle(q, queries, vectors, euclidean, pending, counts, best, found, keys)
