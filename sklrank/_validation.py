"""Checks at the public boundary; the only importer of scikit-learn's private names."""

import functools
import sys
from numbers import Integral
from types import FunctionType, ModuleType

import numpy as np
import sklearn
from scipy import sparse
from sklearn.base import _fit_context as checked_fit
from sklearn.utils._array_api import _convert_to_numpy, get_namespace_and_device
from sklearn.utils._param_validation import HasMethods, Hidden, Interval, RealNotInt, StrOptions, validate_params
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sklrank._fitted import check_parameters, check_unchanged, record_fit

__all__ = [
    "BaseComposition",
    "HasMethods",
    "Hidden",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "_fit_context",
    "array_namespace",
    "check_fitted",
    "check_k",
    "check_sparse",
    "check_term_weights",
    "is_matrix_like",
    "scorer_class",
    "scorer_table",
    "scoring_options",
    "set_scorer_table",
    "to_numpy",
    "validate_params",
]

_LARGEST = np.finfo(np.float32).max


def _fit_context(*, prefer_skip_nested_validation):
    """Decorate a `fit`: validate the parameters before it, and record the values that it used after it.

    This is scikit-learn's decorator of the same name with a second task. When `fit` has returned, `record_fit` stores
    the values of the parameters that the class names in ``_refit_parameters``, those of nested estimators included.
    `check_fitted` compares them in each later call, and raises an error if one of them was changed without a new `fit`.

    Parameters
    ----------
    prefer_skip_nested_validation : bool
        Whether `fit` skips the validation of parameters of nested estimators and functions.

    Returns
    -------
    callable
        The decorator.
    """

    def decorate(fit):
        fit = checked_fit(prefer_skip_nested_validation=prefer_skip_nested_validation)(fit)

        @functools.wraps(fit)
        def wrapper(estimator, *args, **kwargs):
            fitted = fit(estimator, *args, **kwargs)
            record_fit(estimator)
            return fitted

        return wrapper

    return decorate


def check_fitted(estimator, attribute):
    """Raise NotFittedError without `attribute`, and ValueError if a parameter was changed and is wrong now.

    It is wrong if it needs a new `fit`, or if its value is not valid. The check costs a few microseconds as long as no
    parameter changes.

    Parameters
    ----------
    estimator : estimator
    attribute : str
        Attribute that `fit` sets.
    """
    if not hasattr(estimator, attribute):
        check_is_fitted(estimator, attribute)
    check_unchanged(estimator)
    check_parameters(estimator)


def check_k(k):
    """Raise ValueError if `k` is not a number of documents to return.

    Parameters
    ----------
    k : object
        Argument of a method.
    """
    if not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k is the number of documents to return: expected an int of at least 1, got {k!r}")


def is_matrix_like(X):
    """Tell whether `X` is a matrix of numbers, not texts, Queries or a Corpus."""
    if sparse.issparse(X):
        return True
    if isinstance(X, np.ndarray) or hasattr(X, "__array_namespace__"):
        return X.ndim > 1 or X.dtype.kind in "fiub"
    if isinstance(X, (list, tuple)) and len(X):
        return isinstance(X[0], (list, tuple, np.ndarray, int, float)) and not isinstance(X[0], str)
    module = type(X).__module__.partition(".")[0]
    if module in ("pandas", "polars") and hasattr(X, "columns"):
        return "text" not in X.columns and "query" not in X.columns
    return module not in ("pandas", "polars") and hasattr(X, "__array__") and is_matrix_like(np.asarray(X))


def array_namespace(X):
    """Return the array API namespace and the device of `X`; None and None without dispatch, or for NumPy."""
    if not sklearn.get_config()["array_api_dispatch"]:
        return None, None
    xp, dispatched, device = get_namespace_and_device(X)
    if dispatched and "numpy" not in xp.__name__:
        return xp, device
    return None, None


def to_numpy(array, xp):
    """Return an array of the namespace `xp` as an array of NumPy."""
    return _convert_to_numpy(array, xp)


def check_sparse(matrix):
    """Check the structure of a sparse matrix, which kernels trust.

    SciPy checks a part of it when a matrix is made from its arrays, and never again. With a damaged file, or an array
    that was changed in place, kernels would read and write outside of their arrays.

    Parameters
    ----------
    matrix : sparse matrix or array
        A matrix of any format.

    Returns
    -------
    sparse matrix or array
        The same matrix; a CSR matrix if its format cannot be checked directly.

    Raises
    ------
    ValueError
        If indices are out of range, or if the arrays do not fit each other.
    """
    if matrix.format == "coo":
        indices, sizes = matrix.coords, matrix.shape
        whole = all(len(axis) == len(matrix.data) for axis in indices)
    elif matrix.format in ("csr", "csc", "bsr"):
        block = getattr(matrix, "blocksize", (1, 1))  # of BSR
        major, minor = (n // size for n, size in zip(matrix.shape, block))
        if matrix.format == "csc":
            major, minor = minor, major
        indptr, indices, sizes = matrix.indptr, [matrix.indices], [minor]
        whole = (
            indptr.ndim == 1
            and len(indptr) == major + 1
            and indptr[0] == 0
            and bool((indptr[1:] >= indptr[:-1]).all())
            and indptr[-1] <= min(len(matrix.indices), len(matrix.data))
        )
    else:
        return check_sparse(matrix.tocsr())
    inside = all(not len(axis) or 0 <= axis.min() and axis.max() < n for axis, n in zip(indices, sizes))
    if not whole or not inside or any(axis.dtype.kind not in "iu" for axis in indices):
        fault = "arrays that do not fit each other"
        if whole:
            fault = "indices beyond its shape"
        raise ValueError(
            f"expected a valid {matrix.format.upper()} matrix, got one of shape {matrix.shape} with {fault}: "
            "rebuild it from its entries"
        )
    return matrix


def check_term_weights(estimator, X, *, reset=True):
    """Return `X` as a CSR matrix of float64 term weights, which are at least 0.

    Parameters
    ----------
    estimator : estimator or None
        Estimator whose number of features is learned (`reset`) or checked. If None, `X` comes from an encoder, not from
        a user.
    X : matrix of shape (n_samples, n_terms)
    reset : bool, default=True

    Returns
    -------
    scipy.sparse.csr_array
    """
    if sparse.issparse(X):
        X = check_sparse(X)
    if estimator is None:
        X = check_array(X, accept_sparse="csr", dtype=np.float64, ensure_min_samples=0)
    else:
        X = validate_data(estimator, X, reset=reset, accept_sparse="csr", dtype=np.float64)
    X = sparse.csr_array(X)
    if X.nnz and X.data.min() < 0:
        raise ValueError(f"Negative values in data: term weights are at least 0, got {X.data.min()}")
    if X.nnz and X.data.max() > _LARGEST:
        raise ValueError(f"expected term weights that are finite in single precision, got {X.data.max()}")
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    if X.nnz and X.data.min() == 0:
        X = X.copy()
        X.eliminate_zeros()  # a stored zero is not a term
    return X


# --- scikit-learn's scorers, which have no public interface for registration


def scorer_class():
    """Return scikit-learn's class of scorers: only its instances share predictions among several scorers."""
    from sklearn.metrics._scorer import _Scorer

    return _Scorer


def scorer_table():
    """Return scikit-learn's table of scorers, a dict by name.

    Raises
    ------
    RuntimeError
        If this version of scikit-learn keeps it elsewhere.
    """
    from sklearn.metrics import _scorer  # takes as long to import as all of sklrank

    table = getattr(_scorer, "_SCORERS", None)
    if not isinstance(table, dict) or "accuracy" not in table:
        raise _unknown_scorers("the table sklearn.metrics._scorer._SCORERS is missing")
    return table


def set_scorer_table(table):
    """Replace scikit-learn's table of scorers."""
    from sklearn.metrics import _scorer

    _scorer._SCORERS = table


def scoring_options():
    """Return the constraints of all `scoring` parameters that name scikit-learn's scorers, in all imported modules.

    Returns
    -------
    list of StrOptions
        Their attribute `options` is the set of names.

    Raises
    ------
    RuntimeError
        If this version of scikit-learn states them in another way.
    """
    from sklearn import model_selection

    found = {}
    for module in list(sys.modules.values()):
        if not isinstance(module, ModuleType):
            continue
        for value in list(vars(module).values()):
            if isinstance(value, FunctionType):
                constraints = vars(value).get("_skl_parameter_constraints")
            elif isinstance(value, type):
                constraints = vars(value).get("_parameter_constraints")
            else:
                continue
            options = _scoring_option(constraints)
            if options is not None:
                found[id(options)] = options
    for value, name in (
        (model_selection.cross_validate, "_skl_parameter_constraints"),
        (model_selection.learning_curve, "_skl_parameter_constraints"),
        (model_selection.GridSearchCV, "_parameter_constraints"),
    ):
        if id(_scoring_option(getattr(value, name, None))) not in found:
            raise _unknown_scorers(f"{value.__name__} states no set of names for scoring")
    return list(found.values())


def _scoring_option(constraints):
    """Return the constraint in `constraints` that lists names of scorers, or None."""
    if not isinstance(constraints, dict) or not isinstance(constraints.get("scoring"), list):
        return None
    for constraint in constraints["scoring"]:
        if isinstance(constraint, StrOptions) and "accuracy" in getattr(constraint, "options", ()):
            return constraint
    return None


def _unknown_scorers(reason):
    return RuntimeError(
        f"this version of sklrank does not know how scikit-learn {sklearn.__version__} keeps its scorers ({reason}), "
        "so that the names of rank metrics cannot be registered there: use "
        "scoring=sklrank.metrics.get_scorer('ndcg@10')"
    )
