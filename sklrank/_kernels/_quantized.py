"""Products of queries with vectors of few bits, as exact integers."""

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from sklrank._kernels._jit import kernel


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
    for d in range(codes.shape[0]):
        for q in range(queries.shape[0]):
            total = np.int32(0)
            for j in range(codes.shape[1]):
                total += np.int32(np.int32(codes[d, j]) * np.int32(queries[q, j]))
            out[q, d] = total


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
