"""Instructions that LLVM does not generate from loops, by name.

Each of them is a function in Python, which defines the result and runs if numba is switched off, and the instructions
that replace it in a kernel. All use vectors of a fixed length, which LLVM divides into vectors of the machine: sums are
added in the same order on every machine.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

CHUNK = 64  # scores that `at_least` compares, one bit of a word for each
LANES = 16  # sums that are added side by side
LINE = 64  # bytes of a cache line


def _pointer(context, builder, kind, array, indices):
    """Return a pointer into a matrix."""
    array = context.make_array(kind)(context, builder, array)
    shape, strides = (cgutils.unpack_tuple(builder, x) for x in (array.shape, array.strides))
    return cgutils.get_item_pointer2(context, builder, array.data, shape, strides, kind.layout, indices)


def _load(context, builder, kind, array, indices, vector, align=4):
    """Load the elements of a vector from consecutive elements of a matrix."""
    first = _pointer(context, builder, kind, array, indices)
    return builder.load(builder.bitcast(first, vector.as_pointer()), align=align)


def at_least(scores, q, start, theta):
    """Return a word whose bits mark which of the `CHUNK` scores of query q from `start` on are at least theta."""
    bits = 0
    for j in range(CHUNK):
        bits |= int(scores[q, start + j] >= theta) << j
    return bits


@intrinsic
def _at_least(typing_context, scores, q, start, theta):
    def generate(context, builder, signature, arguments):
        floats = ir.VectorType(ir.FloatType(), CHUNK)
        given = _load(context, builder, scores, arguments[0], arguments[1:3], floats)
        least = builder.insert_element(floats(ir.Undefined), arguments[3], ir.IntType(32)(0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), CHUNK), [0] * CHUNK)
        least = builder.shuffle_vector(least, floats(ir.Undefined), everywhere)
        return builder.bitcast(builder.fcmp_ordered(">=", given, least), ir.IntType(CHUNK))

    return types.uint64(scores, types.intp, types.intp, types.float32), generate


@overload(at_least)
def _(scores, q, start, theta):
    return lambda scores, q, start, theta: _at_least(scores, q, start, theta)


def lowest_bit(bits):
    """Return the number of the lowest bit that is set."""
    bits = int(bits)
    return (bits & -bits).bit_length() - 1


@intrinsic
def _lowest_bit(typing_context, bits):
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.intp(types.uint64), generate


@overload(lowest_bit)
def _(bits):
    return lambda bits: _lowest_bit(bits)


def count_bits(word):
    """Return the number of bits that are set."""
    return int(word).bit_count()


@intrinsic
def _count_bits(typing_context, word):
    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@overload(count_bits)
def _(word):
    return lambda word: _count_bits(word)


def ask_for(vectors, d, j):
    """Prefetch the vector of document d from dimension j on into the cache."""


@intrinsic
def _ask_for(typing_context, vectors, d, j):
    def generate(context, builder, signature, arguments):
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        pointer = builder.bitcast(_pointer(context, builder, vectors, arguments[0], arguments[1:]), byte)
        builder.call(prefetch, [pointer, flag(0), flag(3), flag(1)])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(vectors, types.intp, types.intp), generate


@overload(ask_for)
def _(vectors, d, j):
    return lambda vectors, d, j: _ask_for(vectors, d, j)


def sum_products(queries, q, vectors, d, n):
    """Sum the products of the first n dimensions, a multiple of `LANES`, by lanes that are added at the end."""
    lanes = np.zeros(LANES)
    for j in range(0, n, LANES):
        lanes += queries[q, j : j + LANES].astype(np.float64) * vectors[d, j : j + LANES]
    return _fold(lanes)


def sum_squares(queries, q, vectors, d, n):
    """Sum the squared differences of the first n dimensions, in the same way as `sum_products`."""
    lanes = np.zeros(LANES)
    for j in range(0, n, LANES):
        lanes += (queries[q, j : j + LANES].astype(np.float64) - vectors[d, j : j + LANES]) ** 2
    return _fold(lanes)


def sum_half_products(queries, q, codes, d, n):
    """Sum the products with numbers in half precision, given by their bits, in single precision and by lanes."""
    lanes = np.zeros(LANES, dtype=np.float32)
    for j in range(0, n, LANES):
        lanes += queries[q, j : j + LANES] * codes[d, j : j + LANES].view(np.float16).astype(np.float32)
    return _fold(lanes)


def _fold(lanes):
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    return lanes[0]


def _doubles(context, builder, kind, array, indices):
    """Load consecutive elements of a matrix of float32 in double precision."""
    floats = _load(context, builder, kind, array, indices, ir.VectorType(ir.FloatType(), LANES))
    return builder.fpext(floats, ir.VectorType(ir.DoubleType(), LANES))


def _floats(context, builder, kind, array, indices):
    """Load consecutive elements of a matrix of float32, or of the bits of float16, in single precision."""
    floats, integers = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(32), LANES)
    if kind.dtype == types.float32:
        return _load(context, builder, kind, array, indices, floats)

    def every(number):
        return ir.Constant(integers, [number] * LANES)

    bits = _load(context, builder, kind, array, indices, ir.VectorType(ir.IntType(16), LANES), align=2)
    bits = builder.zext(bits, integers)
    size = builder.bitcast(builder.shl(builder.and_(bits, every(0x7FFF)), every(13)), floats)
    size = builder.fmul(size, ir.Constant(floats, [2.0**112] * LANES))  # exponents count from 15 and from 127
    sign = builder.shl(builder.and_(bits, every(0x8000)), every(16))
    return builder.bitcast(builder.or_(builder.bitcast(size, integers), sign), floats)


def _lanes(term, load):
    """Return a code generator for the sum of ``term(builder, x, y)``."""

    def generate(context, builder, signature, arguments):
        (queries, q, vectors, d, n), integer = arguments, ir.IntType(64)
        number = context.get_value_type(signature.return_type)
        total = cgutils.alloca_once_value(builder, ir.Constant(ir.VectorType(number, LANES), [0.0] * LANES))
        with cgutils.for_range_slice(builder, integer(0), n, integer(LANES), intp=integer) as (j, _):
            x = load(context, builder, signature.args[0], queries, (q, j))
            y = load(context, builder, signature.args[2], vectors, (d, j))
            builder.store(builder.fadd(builder.load(total), term(builder, x, y)), total)
        lanes, n_lanes = builder.load(total), LANES
        while n_lanes > 1:
            n_lanes //= 2
            halves = (
                builder.shuffle_vector(lanes, lanes, ir.Constant(ir.VectorType(ir.IntType(32), n_lanes), list(chosen)))
                for chosen in (range(n_lanes), range(n_lanes, 2 * n_lanes))
            )
            lanes = builder.fadd(*halves)
        return builder.extract_element(lanes, ir.IntType(32)(0))

    return generate


@intrinsic
def _sum_products(typing_context, queries, q, vectors, d, n):
    code = _lanes(lambda builder, x, y: builder.fmul(x, y), _doubles)
    return types.float64(queries, types.intp, vectors, types.intp, types.intp), code


@intrinsic
def _sum_squares(typing_context, queries, q, vectors, d, n):
    def term(builder, x, y):
        difference = builder.fsub(x, y)
        return builder.fmul(difference, difference)

    return types.float64(queries, types.intp, vectors, types.intp, types.intp), _lanes(term, _doubles)


@overload(sum_products)
def _(queries, q, vectors, d, n):
    return lambda queries, q, vectors, d, n: _sum_products(queries, q, vectors, d, n)


@overload(sum_squares)
def _(queries, q, vectors, d, n):
    return lambda queries, q, vectors, d, n: _sum_squares(queries, q, vectors, d, n)


@intrinsic
def _sum_half_products(typing_context, queries, q, codes, d, n):
    code = _lanes(lambda builder, x, y: builder.fmul(x, y), _floats)
    return types.float32(queries, types.intp, codes, types.intp, types.intp), code


@overload(sum_half_products)
def _(queries, q, codes, d, n):
    return lambda queries, q, codes, d, n: _sum_half_products(queries, q, codes, d, n)
