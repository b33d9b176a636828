"""Products of queries with vectors of few bits, as exact integers, and conversion of narrow numbers to wider ones."""

import numpy as np

from sklrank._kernels._instructions import LANES, LINE, ask_for, count_bits, sum_half_products
from sklrank._kernels._jit import kernel

_AHEAD = 16  # number of documents that are prefetched
_BLOCK = 4096  # number of documents whose counts stay in the cache during the loop over words
_TWO_112 = np.float32(2.0**112)


@kernel
def dot_int8(queries, codes, out):
    """Compute the dot products of int16 queries with int8 documents.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, d), dtype=int16
    codes : ndarray of shape (n_documents, d), dtype=int8
        Documents. No dot product exceeds 2 ** 24, so that it is also exact as a float32.
    out : ndarray of shape (n_queries, n_documents), dtype=float32
    """
    n = np.uint64(codes.shape[1])  # loops with unsigned numbers of 32 bits are vectorized
    for q in range(np.uint64(queries.shape[0])):
        for d in range(np.uint64(codes.shape[0])):
            soon = min(np.int64(d) + _AHEAD, codes.shape[0] - 1)
            for j in range(0, codes.shape[1], LINE):
                ask_for(codes, soon, j)
            total = np.uint32(0)
            for j in range(n):
                total = np.uint32(total + np.uint32(np.int32(codes[d, j]) * np.int32(queries[q, j])))
            out[q, d] = np.int32(total)


@kernel
def dot_half(queries, codes, out):
    """Compute the dot products of queries in single precision with documents in half precision.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, d), dtype=float32
    codes : ndarray of shape (n_documents, d), dtype=uint16
        Bits of finite numbers.
    out : ndarray of shape (n_queries, n_documents), dtype=float32
    """
    n = codes.shape[1]
    whole = n - n % LANES
    rest = np.empty((1, LANES), dtype=np.uint16)
    factors = np.empty((1, LANES), dtype=np.float32)
    rest[:] = 0
    factors[:] = 0
    for q in range(queries.shape[0]):
        for j in range(whole, n):
            factors[0, j - whole] = queries[q, j]
        for d in range(codes.shape[0]):
            soon = min(d + _AHEAD, codes.shape[0] - 1)
            for j in range(0, n, LINE // 2):
                ask_for(codes, soon, j)
            total = sum_half_products(queries, q, codes, d, whole)
            if whole < n:
                for j in range(whole, n):
                    rest[0, j - whole] = codes[d, j]
                total += sum_half_products(factors, 0, rest, 0, LANES)
            out[q, d] = total


@kernel
def widen(codes, out):
    """Convert half precision to single precision, faster than NumPy.

    Parameters
    ----------
    codes : ndarray of shape (n, d), dtype=uint16
        Bits of finite numbers in half precision.
    out : ndarray of shape (n, d), dtype=float32
    """
    for i in range(np.uint64(codes.shape[0])):
        for j in range(np.uint64(codes.shape[1])):
            bits = np.uint32(codes[i, j])
            # The exponents of the two types count from 15 and 127.
            size = np.float32(np.uint32((bits & np.uint32(0x7FFF)) << np.uint32(13)).view(np.float32) * _TWO_112)
            out[i, j] = -size if bits & np.uint32(0x8000) else size  # vectorized, unlike a branch


@kernel
def agree_binary(queries, codes, start, out):
    """Compute minus the number of bits that differ between queries and documents.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_words), dtype=uint64
    codes : ndarray of shape (n_words, n_documents), dtype=uint64
        First words of all documents, then their second words and so on, so that neighbors are computed together.
    start : int
        First document.
    out : ndarray of shape (n_queries, n), dtype=float32
        Output for the documents from `start` on.
    """
    begin = np.uint64(start)
    n = np.uint64(out.shape[1])
    for q in range(np.uint64(queries.shape[0])):
        for block in range((n + np.uint64(_BLOCK - 1)) // np.uint64(_BLOCK)):
            first = block * np.uint64(_BLOCK)
            last = min(first + np.uint64(_BLOCK), n)
            for d in range(first, last):
                out[q, d] = np.float32(0.0)
            for w in range(np.uint64(codes.shape[0])):
                word = queries[q, w]
                for d in range(first, last):
                    out[q, d] -= np.float32(np.int32(count_bits(word ^ codes[w, begin + d])))
