"""Similarity of a chosen document to all candidates, and the part that is new."""

import numpy as np

from sklrank._kernels._instructions import LANES, sum_products
from sklrank._kernels._jit import kernel


@kernel
def similarities(vectors, rows, lengths, chosen, out):
    """Compute the cosines of one vector with others, in an order that depends on the dimension only: equal vectors tie.

    Parameters
    ----------
    vectors : ndarray of shape (n_vectors, n_features), dtype=float32
    rows : ndarray of shape (n,), dtype=int64
        Vectors to compare with.
    lengths : ndarray of shape (n_vectors,), dtype=float64
        Lengths of the vectors; infinite for vectors of zeros, whose similarity to any vector is 0.
    chosen : int
        Vector that is compared.
    out : ndarray of shape (n,), dtype=float64
        Output.
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
    """Subtract from the similarities to a chosen document the part that the documents chosen before span.

    Parameters
    ----------
    factor : ndarray of shape (n_rows, n_documents), dtype=float64
        Rows of the Cholesky factor.
    n : int
        Number of rows.
    chosen : int
    out : ndarray of shape (n_documents,), dtype=float64
        Similarities, changed in place.
    """
    for s in range(n):
        for i in range(out.size):
            out[i] -= factor[s, chosen] * factor[s, i]
