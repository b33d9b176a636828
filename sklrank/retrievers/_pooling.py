"""Pooling of token vectors, so that a document has fewer."""

from numbers import Integral

import numpy as np

from sklrank._kernels._pooling import ward_groups
from sklrank._maxsim import check_tokens
from sklrank._ragged import lengths_to_indptr, owners
from sklrank._threads import over_ranges
from sklrank._validation import Interval, StrOptions, validate_params
from sklrank.data import TokenVectors

_ROUNDS = 20  # maximum number of rounds of k-means
_BLOCK = 1024  # texts that are in double precision at a time
_CANCELLED = 1e-6  # a mean has no direction if it is shorter than its tokens by this factor


@validate_params(
    {
        "tokens": [TokenVectors],
        "factor": [Interval(Integral, 1, None, closed="left")],
        "method": [StrOptions({"hierarchical", "kmeans", "sequential"})],
        "n_jobs": [Integral, None],
    },
    prefer_skip_nested_validation=True,
)
def pool_tokens(tokens, factor, *, method="hierarchical", n_jobs=None):
    """Replace similar token vectors of each text by one vector.

    A text of n tokens keeps about n / `factor`. A pooled vector has the direction of the mean of its tokens and their
    mean length, so that unit vectors stay unit vectors.

    Parameters
    ----------
    tokens : TokenVectors
        The token vectors.
    factor : int
        Number of tokens pooled into one. If it is 1, nothing changes.
    method : {"hierarchical", "kmeans", "sequential"}, default="hierarchical"
        Method that groups tokens: Ward's clustering, k-means, or neighbours in the text.
    n_jobs : int, default=None
        Number of threads. The result does not depend on it.

    Returns
    -------
    TokenVectors
        At most n / `factor` vectors per text, rounded up, in the order of the first tokens of the groups.

    Notes
    -----
    Tokens are compared by their direction. The means of k-means start at tokens at even distances in the text, so that
    nothing here is random. If the tokens of a group cancel each other, the first of them represents the group.

    References
    ----------
    B. Clavié, A. Chaffin and G. Adams, Reducing the Footprint of Multi-Vector Retrieval with Minimal Performance Impact
    via Token Pooling, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank.data import TokenVectors
    >>> from sklrank.retrievers import pool_tokens
    >>> tokens = TokenVectors.from_list([np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])])
    >>> pool_tokens(tokens, 2)[0]
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    indptr = tokens.indptr
    values = check_tokens(tokens.values, indptr, unit=False, name="text {}".format)
    lengths = np.diff(indptr)
    if factor == 1 or lengths.max(initial=0) < 2:
        return TokenVectors(values, indptr)
    labels = np.empty(len(values), dtype=np.int64)
    unit = check_tokens(values, indptr, unit=True, name=str)
    group = {"hierarchical": _hierarchical, "kmeans": _kmeans, "sequential": _sequential}[method]

    def work(start, stop):
        for begin, end in zip(indptr[start:stop].tolist(), indptr[start + 1 : stop + 1].tolist()):
            if end > begin:
                group(unit[begin:end], -(-(end - begin) // factor), labels[begin:end])

    over_ranges(work, len(tokens), n_jobs)
    parts = []
    for start in range(0, len(tokens), _BLOCK):
        block = indptr[start : start + _BLOCK + 1]
        chosen = slice(block[0], block[-1])
        parts.append(_means(values[chosen].astype(np.float64), block - block[0], labels[chosen]))
    return np.concatenate(parts)


def _hierarchical(text, n_groups, labels):
    products = (text @ text.T).astype(np.float64)
    products = np.maximum(products, products.T)
    squares = np.diag(products)
    distances = np.maximum(squares[:, None] + squares - 2 * products, 0)
    np.fill_diagonal(distances, np.inf)
    ward_groups(distances, n_groups, labels)


def _kmeans(text, n_groups, labels):
    means = text[np.arange(n_groups) * len(text) // n_groups]
    labels[:] = -1
    for _ in range(_ROUNDS):
        nearest = (text @ means.T).argmax(axis=1)
        if (nearest == labels).all():
            break
        labels[:] = nearest
        sums = np.zeros(means.shape)
        np.add.at(sums, nearest, text)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        # A mean that has lost all its tokens is not changed.
        means = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), means).astype(np.float32)


def _sequential(text, n_groups, labels):
    labels[:] = np.arange(len(text)) * n_groups // len(text)


def _means(values, indptr, labels):
    """Return one vector for all tokens of a text that have the same label."""
    texts = owners(indptr)
    order = np.lexsort((labels, texts))  # stable: the first token of a group stays the first
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(texts[order]) != 0) | (np.diff(labels[order]) != 0)
    starts = np.flatnonzero(new)
    firsts = order[starts]
    lengths = np.linalg.norm(values, axis=1)
    sizes = np.diff(np.append(starts, len(order)))
    length = np.add.reduceat(lengths[order], starts) / sizes
    mean = np.add.reduceat(values[order], starts, axis=0) / sizes[:, None]
    cancelled = np.linalg.norm(mean, axis=1) <= _CANCELLED * length
    mean[cancelled] = values[firsts[cancelled]]
    norm = np.linalg.norm(mean, axis=1)
    pooled = mean * (length / np.where(norm > 0, norm, 1))[:, None]
    counts = np.bincount(texts[firsts], minlength=len(indptr) - 1)
    return TokenVectors(pooled[np.argsort(firsts)].astype(np.float32), lengths_to_indptr(counts))
