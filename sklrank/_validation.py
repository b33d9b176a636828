"""Checks at the public boundary; the only importer of scikit-learn's private names."""

import numpy as np
from scipy import sparse
from sklearn.base import _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions, validate_params
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = [
    "HasMethods",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "_fit_context",
    "check_fitted",
    "check_term_weights",
    "is_matrix_like",
    "validate_params",
]


def check_fitted(estimator, attribute):
    """`check_is_fitted`, at the cost of one look where the estimator is fitted."""
    if not hasattr(estimator, attribute):
        check_is_fitted(estimator, attribute)


def is_matrix_like(X):
    """Whether `X` is numbers in rows and columns rather than texts, Queries or a Corpus."""
    if sparse.issparse(X):
        return True
    if isinstance(X, np.ndarray) or hasattr(X, "__array_namespace__"):
        return X.ndim != 1 or X.dtype.kind in "fiub"
    if isinstance(X, (list, tuple)) and len(X):
        return isinstance(X[0], (list, tuple, np.ndarray, int, float)) and not isinstance(X[0], str)
    module = type(X).__module__.partition(".")[0]
    if module in ("pandas", "polars") and hasattr(X, "columns"):
        return "text" not in X.columns and "query" not in X.columns
    return False


def check_term_weights(estimator, X, *, reset):
    """`X` as a CSR matrix of float64 term weights, at least 0.

    Parameters
    ----------
    estimator : estimator
        Whose number of features is learned (`reset`) or checked.
    X : matrix of shape (n_samples, n_terms)
    reset : bool

    Returns
    -------
    scipy.sparse.csr_array
    """
    X = validate_data(estimator, X, reset=reset, accept_sparse="csr", dtype=np.float64)
    X = sparse.csr_array(X)
    if X.nnz and X.data.min() < 0:
        raise ValueError(f"Negative values in data: term weights are at least 0, got {X.data.min()}")
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X
