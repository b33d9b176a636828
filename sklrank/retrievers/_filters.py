"""Filters: which documents a query may find."""

from numbers import Integral

import numpy as np

from sklrank.retrievers._rankings import concatenate

_CELLS = 1 << 27  # bytes of masks that stand in memory at a time, where each query has its own


def resolve_filter(given, n_queries, corpus):
    """Masks of a filter, in batches of queries that share memory.

    Parameters
    ----------
    given : None, mask, list of ids, or sequence of these per query
        A mask is a bool array of shape (n_documents,), or (n_queries, n_documents) for one per query.
    n_queries : int
        Number of queries.
    corpus : Corpus
        The documents.

    Yields
    ------
    start, stop : int
        Queries of the batch.
    masks : ndarray of uint8, shape (n_masks, n_documents)
    mask_of : ndarray of int64, shape (n_queries,) or (0,)
        Mask of each query of the batch, -1 for none.

    Raises
    ------
    ValueError
        If a mask has another shape, or an id is not in the corpus.
    """
    n_documents = len(corpus)
    if given is None:
        yield 0, n_queries, np.empty((0, n_documents), dtype=np.uint8), np.empty(0, dtype=np.int64)
        return
    per_query = _per_query(given, n_queries, n_documents)
    if per_query is None:
        masks = _mask(given, corpus)[None, :]
        yield 0, n_queries, masks, np.zeros(n_queries, dtype=np.int64)
        return
    step = max(1, _CELLS // max(n_documents, 1))
    for start in range(0, n_queries, step):
        batch = per_query[start : start + step]
        known, masks, mask_of = {}, [], np.full(len(batch), -1, dtype=np.int64)
        for i, one in enumerate(batch):
            if one is None:
                continue
            if id(one) not in known:
                known[id(one)] = len(masks)
                masks.append(_mask(one, corpus))
            mask_of[i] = known[id(one)]
        stacked = np.stack(masks) if masks else np.empty((0, n_documents), dtype=np.uint8)
        yield start, start + len(batch), stacked, mask_of


def rank_filtered(search, given, n_queries, corpus):
    """Rankings under a filter.

    Parameters
    ----------
    search : callable
        Takes the four values that `resolve_filter` yields, returns indptr, rows and scores of those queries.
    given, n_queries, corpus
        As for `resolve_filter`.

    Returns
    -------
    indptr, rows, scores : ndarray of int64, int64, float32
        Ragged rankings of all queries.
    """
    return concatenate([search(*batch) for batch in resolve_filter(given, n_queries, corpus)])


def _per_query(given, n_queries, n_documents):
    """The filter of each query as a list, or None where there is one for all."""
    if isinstance(given, np.ndarray) and given.dtype == bool:
        if given.shape == (n_documents,):
            return None
        if given.shape == (n_queries, n_documents):
            return list(given)
        raise ValueError(
            f"filter is a mask of shape {given.shape}; needed is (n_documents,) = ({n_documents},), or (n_queries, "
            f"n_documents) = ({n_queries}, {n_documents})"
        )
    if isinstance(given, str):
        raise TypeError(f"filter is one str, {given!r}; document ids come as a list")
    values = _listed(given)
    if all(isinstance(value, (str, Integral, np.bool_)) for value in values):
        return None
    if len(values) != n_queries:
        raise ValueError(f"filter has {len(values)} entries for {n_queries} queries")
    return values


def _mask(one, corpus):
    if isinstance(one, str):
        raise TypeError(f"filter holds one str, {one!r}; document ids come as a list")
    if not (isinstance(one, np.ndarray) and one.dtype == bool):
        one = _listed(one)
        if not (one and isinstance(one[0], (bool, np.bool_))):
            mask = np.zeros(len(corpus), dtype=np.uint8)
            mask[corpus.rows(one)] = 1
            return mask
        one = np.array(one)
    if one.shape != (len(corpus),):
        raise ValueError(f"filter has a mask of shape {one.shape} for {len(corpus)} documents")
    return one.astype(np.uint8)


def _listed(values):
    return values.tolist() if hasattr(values, "tolist") else list(values)
