"""Late interaction: the best similarity of each token of a query to a token of a document.

            q1   q2   q3
    t1  |  .9   .1   .2  |
    t2  |  .3   .4   .1  |  --maxima over t-->  .9  .4  .7  --weighted sum-->  score
    t3  |  .2   .0   .7  |

The similarities are a matrix product, of which only the maxima are kept. BLAS would write the whole product, and wait
for each document to come from memory. Therefore the product of a few tokens with a panel of query tokens, which fits
into the registers of the processor, is written here with vectors of the compiler, and prefetches the next tokens:

                    panel: 2 vectors of query tokens
    6 tokens   |  6 x 2 vectors of sums  |  +=  feature k of the tokens  x  feature k of the panel,   for each k

A similarity is added feature by feature, independently of the other tokens of the tile: a score depends only on the
query and the document, and equal documents have equal scores.
"""

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from sklrank._kernels._instructions import count_bits
from sklrank._kernels._jit import kernel, part

_HOST = get_host_cpu_features()
_LANES = 4  # float32 in a vector; affects speed only
if _HOST.get("avx"):
    _LANES = 8
if _HOST.get("avx512f"):
    _LANES = 16
_ROWS = 6  # tokens of a tile: its 12 sums fit into 16 registers, and are enough to hide the latency of an addition
PANEL = 2 * _LANES  # query tokens of a tile
_AHEAD = 4 * _ROWS  # number of tokens that are prefetched


def _raise_maxima(tokens, start, end, ahead, queries, panel, maxima):
    """Raise the maxima of a panel to the similarities with `_ROWS` tokens from `start` on, before `end`.

    A kernel prefetches as many tokens from `ahead` on.
    """
    raised = maxima[panel * PANEL : (panel + 1) * PANEL]
    np.maximum(raised, (tokens[start : min(start + _ROWS, end)] @ queries[panel]).max(axis=0), out=raised)


@intrinsic
def _tile(typing_context, tokens, start, end, ahead, queries, panel, maxima):
    """Replace `_raise_maxima` in a kernel."""
    arrays = ((tokens, 2), (queries, 3), (maxima, 1))
    if any(a != types.Array(types.float32, n, "C", readonly=not a.mutable) for a, n in arrays):
        return None

    def generate(context, builder, signature, arguments):
        tokens, queries, maxima = (
            context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 4, 6)
        )
        _, start, end, ahead, _, panel, _ = arguments
        n_features = cgutils.unpack_tuple(builder, tokens.shape)[1]
        byte, int32, real = ir.IntType(8), ir.IntType(32), ir.FloatType()
        vector = ir.VectorType(real, _LANES)
        undefined, zeros = ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(int32, _LANES), None)
        multiply_add = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{_LANES}f32"
        )
        prefetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte.as_pointer(), *[int32] * 3]), "llvm.prefetch.p0"
        )

        constant, times, plus = start.type, builder.mul, builder.add

        def address(array, index, kind):
            return builder.bitcast(builder.gep(array.data, [index]), kind.as_pointer())

        # The last token replaces the tokens beyond the end: it does not raise the maxima again.
        last = plus(end, constant(-1))
        rows = [plus(start, constant(r)) for r in range(_ROWS)]
        rows = [times(builder.select(builder.icmp_signed("<", row, last), row, last), n_features) for row in rows]
        sums = [[cgutils.alloca_once(builder, vector) for _ in range(2)] for _ in rows]
        for row in sums:
            for half in row:
                builder.store(ir.Constant(vector, None), half)
        begin = times(times(panel, n_features), constant(PANEL))
        coming = times(ahead, n_features)
        with cgutils.for_range(builder, n_features) as loop:
            k = loop.index
            at = plus(begin, times(k, constant(PANEL)))
            features = [
                builder.load(address(queries, plus(at, constant(v * _LANES)), vector), align=4) for v in range(2)
            ]
            # _ROWS numbers per step are all numbers of _ROWS tokens at the end; read = 0, keep = 3, data = 1.
            soon = address(tokens, plus(coming, times(k, constant(_ROWS))), byte)
            builder.call(prefetch, [soon, int32(0), int32(3), int32(1)])
            for row, halves in zip(rows, sums):
                x = builder.load(address(tokens, plus(row, k), real))
                x = builder.shuffle_vector(builder.insert_element(undefined, x, int32(0)), undefined, zeros)
                for feature, half in zip(features, halves):
                    builder.store(builder.call(multiply_add, [x, feature, builder.load(half)]), half)
        for v in range(2):
            pointer = address(maxima, plus(times(panel, constant(PANEL)), constant(v * _LANES)), vector)
            largest = builder.load(pointer, align=4)
            for halves in sums:
                x = builder.load(halves[v])
                largest = builder.select(builder.fcmp_ordered(">", x, largest), x, largest)
            builder.store(largest, pointer, align=4)
        return context.get_dummy_value()

    int64 = types.int64
    return types.void(tokens, int64, int64, int64, queries, int64, maxima), generate


@overload(_raise_maxima)
def _(tokens, start, end, ahead, queries, panel, maxima):
    return lambda tokens, start, end, ahead, queries, panel, maxima: _tile(
        tokens, start, end, ahead, queries, panel, maxima
    )


@part
def _score(tokens, begin, end, beyond, queries, q_indptr, weights, maxima, scores):
    """Score the document from `begin` to `end` in `tokens` for all queries; the next one begins at `end + beyond`."""
    maxima[:] = -np.inf
    for panel in range(queries.shape[0]):
        for t in range(begin, end, _ROWS):
            ahead = t + _AHEAD
            if ahead >= end:
                ahead += beyond
            _raise_maxima(tokens, t, end, ahead, queries, panel, maxima)
    for q in range(q_indptr.size - 1):
        score = 0.0
        for j in range(q_indptr[q], q_indptr[q + 1]):
            score += weights[j] * maxima[j]
        scores[q] = score


@kernel
def maxsim(tokens, indptr, rows, queries, q_indptr, weights, scores):
    """Score documents for queries.

    Parameters
    ----------
    tokens : ndarray of shape (n_tokens, n_features), dtype=float32, read-only
        Tokens of all documents.
    indptr : ndarray of shape (n_documents + 1,), dtype=int64
    rows : ndarray of shape (n_rows,), dtype=int64
        Documents to score. Each has a token.
    queries : ndarray of shape (n_panels, n_features, PANEL), dtype=float32
        From `panels`.
    q_indptr : ndarray of shape (n_queries + 1,), dtype=int64
    weights : ndarray of shape (n_query_tokens,), dtype=float32
        Weight of the maximum of each token.
    scores : ndarray of shape (n_rows, n_queries), dtype=float32
        Output; 0 for queries without tokens.
    """
    maxima = np.empty(queries.shape[0] * PANEL, dtype=np.float32)
    for i in range(rows.size):
        end = indptr[rows[i] + 1]
        beyond = indptr[rows[min(i + 1, rows.size - 1)]] - end
        _score(tokens, indptr[rows[i]], end, beyond, queries, q_indptr, weights, maxima, scores[i])


@kernel
def _longest(indptr, rows):
    """Return the largest number of tokens of a document."""
    n = np.int64(0)
    for i in range(rows.size):
        n = max(n, indptr[rows[i] + 1] - indptr[rows[i]])
    return n


@kernel
def maxsim_of_bytes(codes, scales, indptr, rows, queries, q_indptr, weights, scores):
    """Compute `maxsim` of tokens that are stored as int8, each with a float32 factor."""
    maxima = np.empty(queries.shape[0] * PANEL, dtype=np.float32)
    room = np.empty((_longest(indptr, rows), codes.shape[1]), dtype=np.float32)
    for i in range(rows.size):
        begin = indptr[rows[i]]
        n = indptr[rows[i] + 1] - begin
        for t in range(n):
            scale = scales[begin + t]
            for j in range(codes.shape[1]):
                room[t, j] = scale * np.float32(codes[begin + t, j])
        _score(room, 0, n, 0, queries, q_indptr, weights, maxima, scores[i])


@kernel
def maxsim_of_halves(codes, indptr, rows, queries, q_indptr, weights, scores):
    """Compute `maxsim` of finite tokens that are stored as float16, viewed as uint16."""
    maxima = np.empty(queries.shape[0] * PANEL, dtype=np.float32)
    room = np.empty((_longest(indptr, rows), codes.shape[1]), dtype=np.float32)
    numbers = room.reshape(-1)
    bits = numbers.view(np.uint32)
    for i in range(rows.size):
        begin = indptr[rows[i]]
        n = indptr[rows[i] + 1] - begin
        halves = codes[begin : begin + n].reshape(-1)
        # The exponent of a float16 counts from 15, that of a float32 from 127. After the shift, the number is 2 ** 112
        # times too small, even if it is subnormal.
        for x in range(halves.size):
            half = np.uint32(halves[x])
            bits[x] = (half & np.uint32(0x7FFF)) << np.uint32(13) | (half & np.uint32(0x8000)) << np.uint32(16)
        for x in range(halves.size):
            numbers[x] *= np.float32(2.0**112)
        _score(room, 0, n, 0, queries, q_indptr, weights, maxima, scores[i])


def panels(queries):
    """Return the tokens of queries in the form that `maxsim` reads.

    Parameters
    ----------
    queries : ndarray of shape (n_query_tokens, n_features), dtype=float32

    Returns
    -------
    ndarray of shape (n_panels, n_features, PANEL), dtype=float32
        Panels of tokens. The last panel is filled with 0.
    """
    n, n_features = queries.shape
    filled = np.zeros((-(-n // PANEL) * PANEL, n_features), dtype=np.float32)
    filled[:n] = queries
    return np.ascontiguousarray(filled.reshape(-1, PANEL, n_features).transpose(0, 2, 1))


@kernel
def maxsim_of_bits(codes, indptr, rows, queries, q_indptr, weights, n_features, scores):
    """Score documents for queries by one bit per feature, packed into words.

    The similarity of two tokens is 1 minus twice the share of bits that differ: the cosine of vectors of 1 and -1.

    Parameters
    ----------
    codes : ndarray of shape (n_tokens, n_words), dtype=uint64, read-only
    indptr, rows
        As in `maxsim`.
    queries : ndarray of shape (n_words, n_query_tokens), dtype=uint64
    q_indptr, weights
        As in `maxsim`.
    n_features : int
    scores : ndarray of shape (n_rows, n_queries), dtype=float32
    """
    width = queries.shape[1]
    distances = np.empty(width, dtype=np.uint64)
    nearest = np.empty(width, dtype=np.uint64)
    for i in range(rows.size):
        nearest[:] = np.uint64(n_features)
        for t in range(indptr[rows[i]], indptr[rows[i] + 1]):
            distances[:] = np.uint64(0)
            for w in range(codes.shape[1]):
                code = codes[t, w]
                for j in range(width):
                    distances[j] += count_bits(queries[w, j] ^ code)
            for j in range(width):
                nearest[j] = min(nearest[j], distances[j])
        for q in range(q_indptr.size - 1):
            score = 0.0
            for j in range(q_indptr[q], q_indptr[q + 1]):
                score += weights[j] * (1.0 - 2.0 * nearest[j] / n_features)
            scores[i, q] = score
