"""The best documents of each query, from scores that come block by block and are only nearly right.

A matrix product rounds as the shapes of its operands have it: the same query and document get another last bit in
another batch, and equal documents get different scores. So products only propose. A score that lies within `slack` of
the exact one cannot hide a document by more than twice that:

    ---- sure to be worse ----|------ pending ------|--- k-th best so far ... best
                              theta = k-th - 2 slack

Pending documents are settled by `_exact`, which adds in one order whatever the batch, in double precision, and rounds
once. Scores of integers, from compressed vectors, are exact as they are: their slack is 0, and of equal ones the later
documents are dropped at once.

A candidate is a key, an int64 that is larger for a larger score, then for a lower row.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from sklrank._kernels._jit import kernel, part

_CHUNK = 64  # scores looked at together, one bit of a word each
_LANES = 16  # sums that are added up side by side
_SPARE = 512  # pending documents beyond those needed; more make rarer and looser cuts


def workspace(n_queries, k, n_candidates):
    """What a search of some queries keeps from block to block.

    Parameters
    ----------
    n_queries : int
    k : int
        Documents that are asked for.
    n_candidates : int
        Documents that are settled, at least `k`; more where scores are those of compressed vectors.

    Returns
    -------
    thetas : ndarray of shape (n_queries,), dtype=float32
        No document with a lower score is of interest.
    pending : ndarray of shape (n_queries, n), dtype=int64
        Keys of documents by their given scores.
    counts : ndarray of shape (n_queries,), dtype=int64
        How many keys are pending.
    best : ndarray of shape (n_queries, k), dtype=int64
        Keys of settled documents.
    found : ndarray of shape (n_queries,), dtype=int64
        How many are settled.
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


def _at_least(scores, q, start, theta):
    """Bits that say which of the `_CHUNK` scores of query q from `start` on are at least theta."""
    bits = 0
    for j in range(_CHUNK):
        bits |= int(scores[q, start + j] >= theta) << j
    return bits


def _lowest(bits):
    """Number of the lowest bit that is set."""
    return (bits & -bits).bit_length() - 1


def _load(context, builder, kind, array, place, vector):
    """Load as many neighbours as a vector has, from the given place of a matrix on."""
    array = context.make_array(kind)(context, builder, array)
    shape, strides = (cgutils.unpack_tuple(builder, x) for x in (array.shape, array.strides))
    first = cgutils.get_item_pointer2(context, builder, array.data, shape, strides, kind.layout, place)
    return builder.load(builder.bitcast(first, vector.as_pointer()), align=4)


@intrinsic
def _at_least_compiled(typing_context, scores, q, start, theta):
    """One comparison of vectors, which LLVM does not make of the loop."""

    def generate(context, builder, signature, arguments):
        floats = ir.VectorType(ir.FloatType(), _CHUNK)
        given = _load(context, builder, scores, arguments[0], arguments[1:3], floats)
        least = builder.insert_element(floats(ir.Undefined), arguments[3], ir.IntType(32)(0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), _CHUNK), [0] * _CHUNK)
        least = builder.shuffle_vector(least, floats(ir.Undefined), everywhere)
        return builder.bitcast(builder.fcmp_ordered(">=", given, least), ir.IntType(_CHUNK))

    return types.uint64(scores, types.intp, types.intp, types.float32), generate


@intrinsic
def _lowest_compiled(typing_context, bits):
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.intp(types.uint64), generate


@overload(_at_least)
def _(scores, q, start, theta):
    return lambda scores, q, start, theta: _at_least_compiled(scores, q, start, theta)


@overload(_lowest)
def _(bits):
    return lambda bits: _lowest_compiled(bits)


@part
def _key(score, row):
    """A number that is larger for a larger float32 score, then for a lower row."""
    bits = np.float32(score).view(np.int32)
    return (np.int64(bits ^ ((bits >> 31) & 0x7FFFFFFF)) << 32) | (0xFFFFFFFF ^ np.int64(row))


@part
def _score(key):
    """The score of a key."""
    bits = np.int32(key >> 32)
    return np.int32(bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(np.float32)


@part
def _row(key):
    """The row of a key."""
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


def _sum_products(queries, q, vectors, d, n):
    """Sum of the products of the first n dimensions, a multiple of `_LANES`, by lanes that are added in the end."""
    lanes = np.zeros(_LANES)
    for j in range(0, n, _LANES):
        lanes += queries[q, j : j + _LANES].astype(np.float64) * vectors[d, j : j + _LANES]
    return _fold(lanes)


def _sum_squares(queries, q, vectors, d, n):
    """Sum of the squared differences, likewise."""
    lanes = np.zeros(_LANES)
    for j in range(0, n, _LANES):
        lanes += (queries[q, j : j + _LANES].astype(np.float64) - vectors[d, j : j + _LANES]) ** 2
    return _fold(lanes)


def _fold(lanes):
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    return lanes[0]


def _lanes_compiled(term):
    """The sum of ``term(builder, x, y)``, as instructions on vectors, which LLVM does not make of the loop."""

    def generate(context, builder, signature, arguments):
        (queries, q, vectors, d, n), integer = arguments, ir.IntType(64)
        floats, doubles = ir.VectorType(ir.FloatType(), _LANES), ir.VectorType(ir.DoubleType(), _LANES)
        total = cgutils.alloca_once_value(builder, doubles([0.0] * _LANES))
        with cgutils.for_range_slice(builder, integer(0), n, integer(_LANES), intp=integer) as (j, _):
            x, y = (
                builder.fpext(_load(context, builder, kind, array, (row, j), floats), doubles)
                for kind, array, row in ((signature.args[0], queries, q), (signature.args[2], vectors, d))
            )
            builder.store(builder.fadd(builder.load(total), term(builder, x, y)), total)
        lanes, n_lanes = builder.load(total), _LANES
        while n_lanes > 1:
            n_lanes //= 2
            halves = (
                builder.shuffle_vector(lanes, lanes, ir.Constant(ir.VectorType(ir.IntType(32), n_lanes), list(places)))
                for places in (range(n_lanes), range(n_lanes, 2 * n_lanes))
            )
            lanes = builder.fadd(*halves)
        return builder.extract_element(lanes, ir.IntType(32)(0))

    return generate


@intrinsic
def _sum_products_compiled(typing_context, queries, q, vectors, d, n):
    term = _lanes_compiled(lambda builder, x, y: builder.fmul(x, y))
    return types.float64(queries, types.intp, vectors, types.intp, types.intp), term


@intrinsic
def _sum_squares_compiled(typing_context, queries, q, vectors, d, n):
    def term(builder, x, y):
        difference = builder.fsub(x, y)
        return builder.fmul(difference, difference)

    return types.float64(queries, types.intp, vectors, types.intp, types.intp), _lanes_compiled(term)


@overload(_sum_products)
def _(queries, q, vectors, d, n):
    return lambda queries, q, vectors, d, n: _sum_products_compiled(queries, q, vectors, d, n)


@overload(_sum_squares)
def _(queries, q, vectors, d, n):
    return lambda queries, q, vectors, d, n: _sum_squares_compiled(queries, q, vectors, d, n)


@kernel
def _exact(queries, q, vectors, d, euclidean):
    """The score of document d, added up in double precision, in an order that depends on the dimension alone."""
    n = queries.shape[1]
    whole = n - n % _LANES
    if euclidean:
        total = _sum_squares(queries, q, vectors, d, whole)
        for j in range(whole, n):
            x = np.float64(queries[q, j]) - np.float64(vectors[d, j])
            total += x * x
        total = -np.sqrt(total)
    else:
        total = _sum_products(queries, q, vectors, d, whole)
        for j in range(whole, n):
            total += np.float64(queries[q, j]) * np.float64(vectors[d, j])
    return np.float32(total) + np.float32(0.0)  # which makes 0.0 of -0.0


@kernel
def _settle(q, queries, vectors, euclidean, pending, counts, best, found, keys):
    """Score the pending documents of query q exactly; keep the best of them and of those settled before."""
    k = best.shape[1]
    n = found[q]
    for j in range(n):
        keys[j] = best[q, j]
    for j in range(counts[q]):
        d = _row(pending[q, j])
        keys[n] = _key(_exact(queries, q, vectors, d, euclidean), d)
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
    """Drop the pending documents of query q that are sure to be worse than `n_candidates` others; return the theta."""
    n = counts[q]
    if n <= n_candidates:
        return theta
    keys = pending[q]
    least = _partition(keys, n, n_candidates)
    m = n_candidates
    if slack == 0.0:  # a later document has to be better, and not equal, so the next higher score
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
    """Take in the scores of a block of documents.

    Parameters
    ----------
    scores : ndarray of shape (n_queries, n), dtype=float32
        None of them NaN. For distances, the dot product minus half the square of the document's length.
    rows : ndarray of shape (n,), dtype=int64
        The documents of the block, ascending, and behind those of earlier blocks.
    masks : ndarray of shape (n_masks, n_documents), dtype=uint8
    mask_of : ndarray of shape (n_queries,) or (0,), dtype=int64
        The mask that says which documents a query may find; -1 where all, empty where all queries may find all.
    n_candidates : int
        How many documents of each query will be settled.
    slacks : ndarray of shape (n_queries,), dtype=float64
        How far a score may be from the exact one, both rounded. 0: the given order is what counts.
    queries, vectors : ndarray of shape (n_queries, d) and (n_documents, d), dtype=float32
        What exact scores are computed from.
    euclidean : bool
        Whether these are minus the distances, rather than dot products.
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
        for start in range(0, width, _CHUNK):
            if start + _CHUNK <= width:
                bits = _at_least(scores, q, start, theta)
            else:
                bits = np.uint64(0)
                for j in range(start, width):
                    bits |= np.uint64(scores[q, j] >= theta) << np.uint64(j - start)
            while bits:
                j = start + _lowest(bits)
                bits &= bits - np.uint64(1)
                d = rows[j]
                if mask < 0 or masks[mask, d]:
                    pending[q, n] = _key(scores[q, j] + np.float32(0.0), d)  # -0.0 is 0.0
                    n += 1
            if n > size - _CHUNK:
                counts[q] = n
                theta = _cut(q, n_candidates, slack, theta, pending, counts)
                if counts[q] > n_candidates + (size - n_candidates) // 2:
                    # More than rounding can tell apart. Settled, they are k.
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
    """Settle what is pending, after all blocks: `best` and `found` are the ranking then, as keys in any order."""
    for q in range(counts.size):
        _cut(q, n_candidates, slacks[q], thetas[q], pending, counts)
        _settle(q, queries, vectors, euclidean, pending, counts, best, found, keys)
