"""Late interaction: each token of a query meets the token of a document that is most like it.

            q1   q2   q3
    t1  |  .9   .1   .2  |
    t2  |  .3   .4   .1  |  --maxima over t-->  .9  .4  .7  --weighted sum-->  score
    t3  |  .2   .0   .7  |

The similarities are a matrix product of which nothing but the maxima is kept. BLAS would write it out, and wait for
each document to come from memory; so the product of a few tokens with a panel of query tokens, which fits into the
processor's registers, is written here in the compiler's own vectors, and asks for the tokens to come while it works:

                    panel: 2 vectors of query tokens
    6 tokens   |  6 x 2 vectors of sums  |  +=  feature k of the tokens  x  feature k of the panel,   for each k

A similarity is added feature by feature, whatever stands in the same tile: a score depends on the query and the
document alone, not on what is scored along with it, and equal documents have equal scores.
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
_LANES = 16 if _HOST.get("avx512f") else 8 if _HOST.get("avx") else 4  # float32 in a vector; affects speed only
_ROWS = 6  # tokens of a tile: its 12 sums fit into 16 registers, and are enough to hide how long an addition takes
PANEL = 2 * _LANES  # query tokens of a tile
_AHEAD = 4 * _ROWS  # how many tokens before they are needed they are asked for


def _raise_maxima(tokens, start, end, ahead, queries, panel, maxima):
    """Raise the maxima of a panel to the similarities with `_ROWS` tokens from `start`, none from `end` on.

    In a kernel, as many tokens from `ahead` on are asked for meanwhile.
    """
    own = maxima[panel * PANEL : (panel + 1) * PANEL]
    np.maximum(own, (tokens[start : min(start + _ROWS, end)] @ queries[panel]).max(axis=0), out=own)


@intrinsic
def _tile(typing_context, tokens, start, end, ahead, queries, panel, maxima):
    """What takes the place of `_raise_maxima` in a kernel."""
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

        def times(a, b):
            return builder.mul(a, start.type(b) if isinstance(b, int) else b)

        def plus(a, b):
            return builder.add(a, start.type(b) if isinstance(b, int) else b)

        def address(array, index, kind):
            return builder.bitcast(builder.gep(array.data, [index]), kind.as_pointer())

        # Beyond the end the last token stands in: once more it raises nothing.
        last = plus(end, -1)
        rows = [plus(start, r) for r in range(_ROWS)]
        rows = [times(builder.select(builder.icmp_signed("<", row, last), row, last), n_features) for row in rows]
        sums = [[cgutils.alloca_once(builder, vector) for _ in range(2)] for _ in rows]
        for row in sums:
            for half in row:
                builder.store(ir.Constant(vector, None), half)
        begin = times(times(panel, n_features), PANEL)
        coming = times(ahead, n_features)
        with cgutils.for_range(builder, n_features) as loop:
            k = loop.index
            at = plus(begin, times(k, PANEL))
            features = [builder.load(address(queries, plus(at, v * _LANES), vector), align=4) for v in range(2)]
            # _ROWS numbers a step are all the numbers of _ROWS tokens in the end; read = 0, keep = 3, data = 1.
            soon = address(tokens, plus(coming, times(k, _ROWS)), byte)
            builder.call(prefetch, [soon, int32(0), int32(3), int32(1)])
            for row, halves in zip(rows, sums):
                x = builder.load(address(tokens, plus(row, k), real))
                x = builder.shuffle_vector(builder.insert_element(undefined, x, int32(0)), undefined, zeros)
                for feature, half in zip(features, halves):
                    builder.store(builder.call(multiply_add, [x, feature, builder.load(half)]), half)
        for v in range(2):
            place = address(maxima, plus(times(panel, PANEL), v * _LANES), vector)
            largest = builder.load(place, align=4)
            for halves in sums:
                x = builder.load(halves[v])
                largest = builder.select(builder.fcmp_ordered(">", x, largest), x, largest)
            builder.store(largest, place, align=4)
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
    """Score the document from `begin` to `end` in `tokens` for all queries; the next is `beyond` tokens farther on."""
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
        Of all documents.
    indptr : ndarray of shape (n_documents + 1,), dtype=int64
    rows : ndarray of shape (n_rows,), dtype=int64
        The documents to score, none of them without tokens.
    queries : ndarray of shape (n_panels, n_features, PANEL), dtype=float32
        From `panels`.
    q_indptr : ndarray of shape (n_queries + 1,), dtype=int64
    weights : ndarray of shape (n_query_tokens,), dtype=float32
        What the maximum of each token counts.
    scores : ndarray of shape (n_rows, n_queries), dtype=float32
        The result; 0 for queries without tokens.
    """
    maxima = np.empty(queries.shape[0] * PANEL, dtype=np.float32)
    for i in range(rows.size):
        end = indptr[rows[i] + 1]
        beyond = indptr[rows[min(i + 1, rows.size - 1)]] - end
        _score(tokens, indptr[rows[i]], end, beyond, queries, q_indptr, weights, maxima, scores[i])


@kernel
def _longest(indptr, rows):
    """The largest number of tokens."""
    n = np.int64(0)
    for i in range(rows.size):
        n = max(n, indptr[rows[i] + 1] - indptr[rows[i]])
    return n


@kernel
def maxsim_of_bytes(codes, scales, indptr, rows, queries, q_indptr, weights, scores):
    """`maxsim` of tokens that are stored as int8, each with a float32 to multiply it with."""
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
    """`maxsim` of tokens that are stored as float16, finite ones seen as uint16."""
    maxima = np.empty(queries.shape[0] * PANEL, dtype=np.float32)
    room = np.empty((_longest(indptr, rows), codes.shape[1]), dtype=np.float32)
    numbers = room.reshape(-1)
    bits = numbers.view(np.uint32)
    for i in range(rows.size):
        begin = indptr[rows[i]]
        n = indptr[rows[i] + 1] - begin
        halves = codes[begin : begin + n].reshape(-1)
        # The exponent of a float16 counts from 15, that of a float32 from 127: shifted into place, the number is
        # 2 ** 112 times too small, also where it is subnormal.
        for x in range(halves.size):
            half = np.uint32(halves[x])
            bits[x] = (half & np.uint32(0x7FFF)) << np.uint32(13) | (half & np.uint32(0x8000)) << np.uint32(16)
        for x in range(halves.size):
            numbers[x] *= np.float32(2.0**112)
        _score(room, 0, n, 0, queries, q_indptr, weights, maxima, scores[i])


def panels(queries):
    """Tokens of queries as `maxsim` reads them.

    Parameters
    ----------
    queries : ndarray of shape (n_query_tokens, n_features), dtype=float32

    Returns
    -------
    ndarray of shape (n_panels, n_features, PANEL), dtype=float32
        The last panel is filled up with 0.
    """
    n, n_features = queries.shape
    filled = np.zeros((-(-n // PANEL) * PANEL, n_features), dtype=np.float32)
    filled[:n] = queries
    return np.ascontiguousarray(filled.reshape(-1, PANEL, n_features).transpose(0, 2, 1))


@kernel
def maxsim_of_bits(codes, indptr, rows, queries, q_indptr, weights, n_features, scores):
    """Score documents for queries by one bit a feature, packed into words.

    The similarity of two tokens is 1 less twice the share of bits that differ: the cosine of vectors of 1 and -1.

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
