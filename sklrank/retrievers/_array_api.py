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


def search_elsewhere(xp, device, codes, vectors, queries, metric, k, masks, mask_of, place):
    """The k best documents of each query, which products on another device propose.

    Parameters
    ----------
    xp : module
        Array API namespace.
    device : object
        Where the queries were.
    codes : FloatCodes
        What knows how far a product may be from the exact score.
    vectors, queries : ndarray of shape (n_documents, d) and (n_queries, d), dtype=float32
    metric : {"cosine", "dot", "euclidean"}
    k : int
    masks, mask_of : ndarray
        As in `search`.
    place : callable
        ``place(name, array)`` brings what belongs to the corpus to the device, once.

    Returns
    -------
    indptr, rows, scores : ndarray of int64, int64, float32
        Ragged rankings.
    """
    k = min(k, len(vectors))
    vectors, queries = read_only(vectors), read_only(queries)
    documents = place("vectors", vectors)
    halves = None if codes.halves is None else place("halves", codes.halves)
    parts = []
    step = max(1, min(1024, _CELLS // max(k, 1 << 14)))
    for first in range(0, len(queries), step):
        own = slice(first, min(first + step, len(queries)))
        _, slacks = codes.prepare(queries[own], _product_rounding(xp))
        operand = xp.asarray(queries[own].copy(), device=device)  # PyTorch warns of what is read-only
        settled = workspace(own.stop - own.start, k, k)
        top = None
        width = _CELLS // (own.stop - own.start)
        for start in range(0, len(vectors), width):
            stop = min(start + width, len(vectors))
            scores = operand @ documents[start:stop, :].T
            if halves is not None:
                scores = scores - halves[start:stop]
            if len(mask_of) and len(masks):
                allowed = masks[mask_of[own], start:stop].astype(bool) | (mask_of[own, None] < 0)
                scores = xp.where(xp.asarray(allowed, device=device), scores, -xp.inf)
            top = _largest(xp, scores if top is None else xp.concat([top, scores], axis=1), k)
            thetas = np.full(own.stop - own.start, _LOWEST, dtype=np.float32)
            if top.shape[1] == k:
                thetas = np.maximum(thetas, to_numpy(xp.min(top, axis=1), xp) - 2 * slacks).astype(np.float32)
            hits = xp.nonzero(scores >= xp.asarray(thetas[:, None], device=device))
            found = [to_numpy(positions, xp).astype(np.int64) for positions in hits]
            _settle(found[0], found[1] + start, queries[own], vectors, metric, settled)
        *_, best, counts, _ = settled
        parts.append((lengths_to_indptr(counts), *decode(best, counts)))
    return concatenate(parts)


def _settle(owners, rows, queries, vectors, metric, settled):
    """Score the documents `rows` of the queries `owners`, which ascend, exactly; keep the best."""
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
    """The k largest values of each row, in any order, or all; the array API has no function for it."""
    n = values.shape[1]
    if n <= k:
        return values
    if hasattr(values, "topk"):  # PyTorch
        return values.topk(k, dim=1, sorted=False).values
    if hasattr(xp, "partition"):  # CuPy
        return xp.partition(values, n - k, axis=1)[:, n - k :]
    return xp.sort(values, axis=1)[:, n - k :]


def _product_rounding(xp):
    """How far the terms of a product may be rounded beyond single precision, where the library was told so."""
    name = xp.__name__
    if "torch" in name:
        return {"highest": 0.0, "high": 2.0**-10}.get(sys.modules["torch"].get_float32_matmul_precision(), 2.0**-7)
    return 2.0**-10 if "cupy" in name and os.environ.get("CUPY_TF32", "0") != "0" else 0.0
