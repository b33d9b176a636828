"""How alike a chosen document is to all candidates, and what is new in it."""

import numpy as np

from sklrank._kernels._instructions import LANES, sum_products
from sklrank._kernels._jit import kernel


@kernel
def similarities(vectors, rows, lengths, chosen, out):
    """Cosines of one vector with some, added up in an order that depends on their dimension alone: equal ones tie.

    Parameters
    ----------
    vectors : ndarray of shape (n_vectors, n_features), dtype=float32
    rows : ndarray of shape (n,), dtype=int64
        Some of them.
    lengths : ndarray of shape (n_vectors,), dtype=float64
        Their lengths; infinite for vectors of zeros, which are like nothing.
    chosen : int
        One of them.
    out : ndarray of shape (n,), dtype=float64
        The result.
    """
    n = vectors.shape[1]
    whole = n - n % LANES
    for i in range(rows.size):
        d = rows[i]
        total = sum_products(vectors, chosen, vectors, d, whole)
        for j in range(whole, n):
            total += np.float64(vectors[chosen, j]) * np.float64(vectors[d, j])
        out[i] = total / (lengths[chosen] * lengths[d])


@kernel
def subtract_projections(factor, n, chosen, out):
    """Take off the similarities to a chosen document what those chosen before it span.

    Parameters
    ----------
    factor : ndarray of shape (n_rows, n_documents), dtype=float64
        Rows of the Cholesky factor.
    n : int
        How many of them there are.
    chosen : int
    out : ndarray of shape (n_documents,), dtype=float64
        The similarities, changed.
    """
    for s in range(n):
        for i in range(out.size):
            out[i] -= factor[s, chosen] * factor[s, i]
