"""Dense search over arrays of other libraries, such as PyTorch on a GPU."""

import os
import sys

import numpy as np

from sklrank._kernels._dense import finish, workspace
from sklrank._kernels._search import decode
from sklrank._ragged import lengths_to_indptr
from sklrank._validation import to_numpy
from sklrank._vectors import read_only
from sklrank.retrievers._rankings import concatenate

_CELLS = 1 << 24  # scores computed at a time
_LOWEST = np.finfo(np.float32).min


def search_elsewhere(xp, device, codes, vectors, queries, metric, k, masks, mask_of, to_device):
    """Return the k best documents of each query, from candidates that products on another device propose.

    Parameters
    ----------
    xp : module
        Array API namespace.
    device : object
        Device of the queries.
    codes : FloatCodes
        Bounds the difference between a product and the exact score.
    vectors, queries : ndarray of shape (n_documents, d) and (n_queries, d), dtype=float32
    metric : {"cosine", "dot", "euclidean"}
    k : int
    masks, mask_of : ndarray
        As in `search`.
    to_device : callable
        ``to_device(name, array)`` copies an array of the corpus to the device, once.

    Returns
    -------
    indptr, rows, scores : ndarray of int64, int64, float32
        Ragged rankings.
    """
    k = min(k, len(vectors))
    vectors, queries = read_only(vectors), read_only(queries)
    documents = to_device("vectors", vectors)
    halves = codes.halves
    if halves is not None:
        halves = to_device("halves", halves)
    parts = []
    step = max(1, min(1024, _CELLS // max(k, 1 << 14)))
    for first in range(0, len(queries), step):
        batch = slice(first, min(first + step, len(queries)))
        n_batch = batch.stop - batch.start
        _, slacks = codes.prepare(queries[batch], _product_rounding(xp))
        operand = xp.asarray(queries[batch].copy(), device=device)  # a copy, because PyTorch warns of read-only arrays
        settled = workspace(n_batch, k, k)
        top = None
        width = _CELLS // n_batch
        for start in range(0, len(vectors), width):
            stop = min(start + width, len(vectors))
            scores = operand @ documents[start:stop, :].T
            if halves is not None:
                scores = scores - halves[start:stop]
            if len(mask_of) and len(masks):
                allowed = masks[mask_of[batch], start:stop].astype(bool) | (mask_of[batch, None] < 0)
                scores = xp.where(xp.asarray(allowed, device=device), scores, -xp.inf)
            candidates = scores
            if top is not None:
                candidates = xp.concat([top, scores], axis=1)
            top = _largest(xp, candidates, k)
            thetas = np.full(n_batch, _LOWEST, dtype=np.float32)
            if top.shape[1] == k:
                thetas = np.maximum(thetas, to_numpy(xp.min(top, axis=1), xp) - 2 * slacks).astype(np.float32)
            hits = xp.nonzero(scores >= xp.asarray(thetas[:, None], device=device))
            found = [to_numpy(positions, xp).astype(np.int64) for positions in hits]
            _settle(found[0], found[1] + start, queries[batch], vectors, metric, settled)
        *_, best, counts, _ = settled
        parts.append((lengths_to_indptr(counts), *decode(best, counts)))
    return concatenate(parts)


def _settle(owners, rows, queries, vectors, metric, settled):
    """Score the documents `rows` of the queries `owners`, which are sorted, exactly, and keep the best."""
    thetas, _, _, best, found, _ = settled
    counts = np.bincount(owners, minlength=len(queries))
    pending = np.empty((len(queries), counts.max(initial=0)), dtype=np.int64)
    starts = lengths_to_indptr(counts)[:-1]
    pending[owners, np.arange(len(owners)) - starts[owners]] = 0xFFFFFFFF ^ rows  # keys, of score 0
    scratch = np.empty(best.shape[1] + pending.shape[1], dtype=np.int64)
    slacks = np.zeros(len(queries))
    finish(
        pending.shape[1], slacks, queries, vectors, metric == "euclidean", thetas, pending, counts, best, found, scratch
    )


def _largest(xp, values, k):
    """Return the k largest values of each row, in any order; all values if there are fewer."""
    # The array API has no function for this.
    n = values.shape[1]
    if n <= k:
        return values
    if hasattr(values, "topk"):  # PyTorch
        return values.topk(k, dim=1, sorted=False).values
    if hasattr(xp, "partition"):  # CuPy
        return xp.partition(values, n - k, axis=1)[:, n - k :]
    return xp.sort(values, axis=1)[:, n - k :]


def _product_rounding(xp):
    """Return how much more than in single precision the library may round the terms of a product."""
    name = xp.__name__
    if "torch" in name:
        return {"highest": 0.0, "high": 2.0**-10}.get(sys.modules["torch"].get_float32_matmul_precision(), 2.0**-7)
    if "cupy" in name and os.environ.get("CUPY_TF32", "0") != "0":
        return 2.0**-10
    return 0.0
