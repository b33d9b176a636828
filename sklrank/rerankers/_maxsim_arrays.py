"""MaxSim of arrays of any library."""

from importlib import import_module

import numpy as np

from sklrank._maxsim import TokenIndex, check_tokens, of_like_length
from sklrank._validation import to_numpy
from sklrank.data import TokenVectors

_GROUP = 1 << 22  # similarities per group of documents: smaller groups need less padding, larger ones fewer steps


def maxsim(Q, D, indptr, *, weights=None, n_jobs=None):
    """Score documents for a query by the best match of each of its tokens.

    Arrays of NumPy are computed by the kernel of `MaxSimReranker`. Arrays of PyTorch, CuPy or any other library of the
    array API are computed by that library, on their device. Tokens may also be patches of images.

    Parameters
    ----------
    Q : array of shape (n_query_tokens, n_features)
        Token vectors of the query.
    D : array of shape (n_tokens, n_features)
        Token vectors of all documents, one document after the other. They are float32. Arrays of NumPy can also be
        float16 or int8, which are not copied.
    indptr : array of int, shape (n_documents + 1,)
        Document ``i`` has the tokens ``indptr[i]:indptr[i + 1]``.
    weights : array of shape (n_query_tokens,), default=None
        Weight of each token of the query. If None, each weight is 1.
    n_jobs : int, default=None
        Number of threads, for arrays of NumPy.

    Returns
    -------
    array of shape (n_documents,)
        Sums over the tokens of the query of the largest dot product with a token of the document; -inf for documents
        without tokens. The array belongs to the library and the device of `D`. NaN and infinity raise an error in
        arrays of NumPy. In other arrays they are not checked, because the check would have to run on the device.

    See Also
    --------
    MaxSimReranker : Ranks the candidates of a pipeline.
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
            shape = getattr(array, "shape", type(array))
            raise ValueError(f"expected {name} to have shape (n_tokens, n_features), got {shape}")
    if Q.shape[1] != D.shape[1]:
        raise ValueError(f"token vectors of Q have {Q.shape[1]} features, but those of D have {D.shape[1]}")
    indptr = TokenVectors(np.empty((D.shape[0], 0)), _on_host(indptr)).indptr  # checked
    filled = np.flatnonzero(np.diff(indptr))
    if isinstance(D, np.ndarray):
        scores = np.full(len(indptr) - 1, -np.inf, dtype=np.float32)
        Q = check_tokens(np.asarray(Q), np.array([0, len(Q)]), unit=False, name=lambda i: "the query")
        weights = _weights(weights, len(Q), np.asarray)
        if weights.shape != (len(Q),):
            raise ValueError(f"weights have shape {weights.shape} for {len(Q)} tokens of the query")
        if not np.isfinite(weights).all():
            raise ValueError("weights hold NaN or infinity")
        scores[filled] = _index(D, indptr).score_all(
            Q, np.array([0, len(Q)]), filled, weights.astype(np.float32), n_jobs=n_jobs
        )[:, 0]
        return scores
    if "float" not in str(D.dtype):
        raise TypeError(f"expected D to have floating point numbers, got {D.dtype}")
    return _maxsim_elsewhere(_library(D), Q, D, indptr, filled, weights)


def _weights(weights, n_tokens, convert):
    """Return the weights of the tokens of the query as an array; ones if there are none."""
    if weights is None:
        weights = np.ones(n_tokens)
    return convert(weights)


def _index(D, indptr):
    """Return an index of token vectors of NumPy, without a copy if the kernels take their type."""
    if D.dtype == np.int8:
        return TokenIndex("int8", np.ascontiguousarray(D), np.ones(len(D), dtype=np.float32), indptr, D.shape[1])
    if D.dtype == np.float16:
        codes = np.ascontiguousarray(D).view(np.uint16)
        if ((codes & 0x7C00) == 0x7C00).any():  # the largest exponent
            raise ValueError("D holds NaN or infinity")
        return TokenIndex("float16", codes, np.empty(0, dtype=np.float32), indptr, D.shape[1])
    if D.dtype == np.float32 and D.flags.c_contiguous:
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(D.sum()):  # then all numbers are finite
                return TokenIndex.of(D, indptr)
    return TokenIndex.of(check_tokens(D, indptr, unit=False, name="document {}".format), indptr)


def _on_host(array):
    """Return an array of any library and device as an array of NumPy."""
    if isinstance(array, (list, tuple, np.ndarray)):
        return np.asarray(array)
    return to_numpy(array, _library(array))


def _library(array):
    """Return the namespace of an array."""
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    return import_module(type(array).__module__.partition(".")[0])


def _maxsim_elsewhere(xp, Q, D, indptr, filled, weights):
    """Score groups of documents of similar length, padded with their last tokens, which change no maximum."""

    def like(values, dtype=None):
        try:
            return xp.asarray(values, dtype=dtype, device=D.device)
        except TypeError:  # CuPy, which uses the device of the context
            return xp.asarray(values, dtype=dtype)

    def take(array, rows):
        if hasattr(array, "index_select"):  # the function `take` of PyTorch is different
            return array.index_select(0, like(rows))
        return xp.take(array, like(rows), axis=0)

    maxima, join = getattr(xp, "amax", xp.max), getattr(xp, "concat", None) or xp.concatenate
    n = Q.shape[0]
    product = xp.matmul(D, like(Q, D.dtype).T)
    weights = _weights(weights, n, lambda values: like(values, D.dtype))
    if tuple(weights.shape) != (n,):
        raise ValueError(f"weights have shape {tuple(weights.shape)} for {n} tokens of the query")
    lengths = np.diff(indptr)
    positions, parts, done = np.full(len(lengths), len(filled)), [], 0
    for group, width in of_like_length(lengths[filled], _GROUP // max(n, 1)):
        documents = filled[group]
        tokens = indptr[documents][:, None] + np.minimum(np.arange(width), lengths[documents][:, None] - 1)
        similar = xp.reshape(take(product, tokens.ravel()), (len(documents), width, n))
        parts.append(xp.sum(maxima(similar, axis=1) * weights, axis=1))
        positions[documents] = done + np.arange(len(documents))
        done += len(documents)
    return take(join([*parts, like([-np.inf], D.dtype)]), positions)
