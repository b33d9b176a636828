"""Products of queries with vectors of few bits, as exact integers; wider numbers of narrow ones."""

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from sklrank._kernels._jit import kernel

_TWO_112 = np.float32(2.0**112)


def _popcount(word):
    """Number of bits that are set."""
    return int(word).bit_count()


@intrinsic
def _popcount_compiled(typing_context, word):
    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@overload(_popcount)
def _(word):
    return lambda word: _popcount_compiled(word)


@kernel
def dot_int8(queries, codes, out):
    """Dot products of int16 queries with int8 documents.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, d), dtype=int16
    codes : ndarray of shape (n_documents, d), dtype=int8
        No dot product is beyond 2 ** 24, so that it is exact as a float32, too.
    out : ndarray of shape (n_queries, n_documents), dtype=float32
    """
    n = np.uint64(codes.shape[1])  # unsigned numbers of 32 bits are what vectorizes
    for q in range(np.uint64(queries.shape[0])):
        for d in range(np.uint64(codes.shape[0])):
            total = np.uint32(0)
            for j in range(n):
                total = np.uint32(total + np.uint32(np.int32(codes[d, j]) * np.int32(queries[q, j])))
            out[q, d] = np.int32(total)


@kernel
def widen(codes, out):
    """Half precision to single precision, which NumPy is slow at.

    Parameters
    ----------
    codes : ndarray of shape (n, d), dtype=uint16
        Bits of finite numbers in half precision.
    out : ndarray of shape (n, d), dtype=float32
    """
    for i in range(np.uint64(codes.shape[0])):
        for j in range(np.uint64(codes.shape[1])):
            bits = np.uint32(codes[i, j])
            # The exponents count from 15 and 127.
            size = np.float32(np.uint32((bits & np.uint32(0x7FFF)) << np.uint32(13)).view(np.float32) * _TWO_112)
            out[i, j] = -size if bits & np.uint32(0x8000) else size


@kernel
def agree_binary(queries, codes, out):
    """How many bits of queries and documents are equal, as minus the number of those that differ.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_words), dtype=uint64
    codes : ndarray of shape (n_documents, n_words), dtype=uint64
    out : ndarray of shape (n_queries, n_documents), dtype=float32
    """
    for q in range(queries.shape[0]):
        for d in range(codes.shape[0]):
            different = np.uint64(0)
            for w in range(codes.shape[1]):
                different += _popcount(queries[q, w] ^ codes[d, w])
            out[q, d] = -np.float32(different)
