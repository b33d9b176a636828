"""MaxSim for arrays of any library."""

from importlib import import_module

import numpy as np

from sklrank._maxsim import TokenIndex, check_tokens, of_like_length
from sklrank._validation import to_numpy
from sklrank.data import TokenVectors

_GROUP = 1 << 22  # similarities of documents side by side: with fewer, less fills them up; with more, fewer steps


def maxsim(Q, D, indptr, *, weights=None, n_jobs=None):
    """Score documents for a query by the best match of each of its tokens.

    Arrays of NumPy go through the kernel of `MaxSimReranker`; those of PyTorch, CuPy or any other library of the array
    API are computed by that library, on the device where they are. Tokens may be patches of images, too.

    Parameters
    ----------
    Q : array of shape (n_query_tokens, n_features)
        Token vectors of the query.
    D : array of shape (n_tokens, n_features)
        Token vectors of all documents, one document after the other: float32, or in NumPy also float16 or int8, which
        are not copied.
    indptr : array of int, shape (n_documents + 1,)
        Document ``i`` has the tokens ``indptr[i]:indptr[i + 1]``.
    weights : array of shape (n_query_tokens,), default=None
        What each token of the query counts; ``None``: 1.
    n_jobs : int, default=None
        Threads, for arrays of NumPy.

    Returns
    -------
    array of shape (n_documents,)
        Sums over the query's tokens of the largest dot product with a token of the document, of the library and on
        the device of `D`; -inf for documents without tokens. NaN and infinity are an error in arrays of NumPy, and go
        through those of other libraries, on whose device nobody looks for them.

    See Also
    --------
    MaxSimReranker : The step of a pipeline.
    sklrank.data.TokenVectors : Has the attributes `values` and `indptr`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank.rerankers import maxsim
    >>> Q = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> D = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, -1.0]])
    >>> maxsim(Q, D, [0, 2, 3])
    array([ 1.5, -1. ], dtype=float32)
    """
    for name, array in (("Q", Q), ("D", D)):
        if getattr(array, "ndim", 0) != 2:
            raise ValueError(f"{name} has shape (n_tokens, n_features); got {getattr(array, 'shape', type(array))}")
    if Q.shape[1] != D.shape[1]:
        raise ValueError(f"token vectors of Q have {Q.shape[1]} features, those of D {D.shape[1]}")
    indptr = TokenVectors(np.empty((D.shape[0], 0)), _on_host(indptr)).indptr  # checked
    filled = np.flatnonzero(np.diff(indptr))
    if isinstance(D, np.ndarray):
        scores = np.full(len(indptr) - 1, -np.inf, dtype=np.float32)
        Q = check_tokens(np.asarray(Q), np.array([0, len(Q)]), unit=False, name=lambda i: "the query")
        weights = np.ones(len(Q)) if weights is None else np.asarray(weights)
        if weights.shape != (len(Q),):
            raise ValueError(f"weights have shape {weights.shape} for {len(Q)} tokens of the query")
        if not np.isfinite(weights).all():
            raise ValueError("weights hold NaN or infinity")
        scores[filled] = _index(D, indptr).score_all(
            Q, np.array([0, len(Q)]), filled, weights.astype(np.float32), n_jobs=n_jobs
        )[:, 0]
        return scores
    if "float" not in str(D.dtype):
        raise TypeError(f"D has numbers of {D.dtype}; needed are floating ones")
    return _maxsim_elsewhere(_library(D), Q, D, indptr, filled, weights)


def _index(D, indptr):
    """Token vectors of NumPy, as they are where the kernels take them so."""
    if D.dtype == np.int8:
        return TokenIndex("int8", np.ascontiguousarray(D), np.ones(len(D), dtype=np.float32), indptr, D.shape[1])
    if D.dtype == np.float16:
        codes = np.ascontiguousarray(D).view(np.uint16)
        if ((codes & 0x7C00) == 0x7C00).any():  # the largest exponent
            raise ValueError("D holds NaN or infinity")
        return TokenIndex("float16", codes, np.empty(0, dtype=np.float32), indptr, D.shape[1])
    if D.dtype == np.float32 and D.flags.c_contiguous:
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(D.sum()):  # then all of it is
                return TokenIndex.of(D, indptr)
    return TokenIndex.of(check_tokens(D, indptr, unit=False, name="document {}".format), indptr)


def _on_host(array):
    """Bounds as an array of NumPy, wherever they are."""
    return np.asarray(array) if isinstance(array, (list, tuple, np.ndarray)) else to_numpy(array, _library(array))


def _library(array):
    """The namespace of an array."""
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    return import_module(type(array).__module__.partition(".")[0])


def _maxsim_elsewhere(xp, Q, D, indptr, filled, weights):
    """Documents of like length side by side, filled up with their last tokens, which raise no maximum."""

    def like(values, dtype=None):
        try:
            return xp.asarray(values, dtype=dtype, device=D.device)
        except TypeError:  # CuPy, whose device is that of the context
            return xp.asarray(values, dtype=dtype)

    def take(array, rows):  # PyTorch's own take is another function
        return (
            array.index_select(0, like(rows)) if hasattr(array, "index_select") else xp.take(array, like(rows), axis=0)
        )

    maxima, join = getattr(xp, "amax", xp.max), getattr(xp, "concat", None) or xp.concatenate
    n = Q.shape[0]
    product = xp.matmul(D, like(Q, D.dtype).T)
    weights = like(np.ones(n) if weights is None else weights, D.dtype)
    if tuple(weights.shape) != (n,):
        raise ValueError(f"weights have shape {tuple(weights.shape)} for {n} tokens of the query")
    lengths = np.diff(indptr)
    places, parts, done = np.full(len(lengths), len(filled)), [], 0
    for own, width in of_like_length(lengths[filled], _GROUP // max(n, 1)):
        own = filled[own]
        tokens = indptr[own][:, None] + np.minimum(np.arange(width), lengths[own][:, None] - 1)
        similar = xp.reshape(take(product, tokens.ravel()), (len(own), width, n))
        parts.append(xp.sum(maxima(similar, axis=1) * weights, axis=1))
        places[own] = done + np.arange(len(own))
        done += len(own)
    return take(join([*parts, like([-np.inf], D.dtype)]), places)
