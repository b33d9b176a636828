"""Filters: the documents that a query may find."""

from numbers import Integral

import numpy as np
from scipy import sparse

from sklrank.data._ids import show
from sklrank.data._kinds import strings_of
from sklrank.retrievers._rankings import concatenate

_CELLS = 1 << 27  # bytes of masks in memory at a time, if each query has its own mask


def resolve_filter(given, n_queries, corpus):
    """Yield the masks of a filter, in batches of queries.

    Parameters
    ----------
    given : None, mask, list of ids, or sequence of these per query
        The filter. A mask is a bool array of shape (n_documents,), or (n_queries, n_documents) for one per query.
    n_queries : int
        Number of queries.
    corpus : Corpus
        The documents.

    Yields
    ------
    start, stop : int
        Bounds of the batch of queries.
    masks : ndarray of uint8, shape (n_masks, n_documents)
    mask_of : ndarray of int64, shape (n_queries,) or (0,)
        Mask of each query of the batch, -1 for no mask.

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
        for i, given in enumerate(batch):
            if given is None:
                continue
            if id(given) not in known:
                known[id(given)] = len(masks)
                masks.append(_mask(given, corpus))
            mask_of[i] = known[id(given)]
        yield start, start + len(batch), np.array(masks, dtype=np.uint8).reshape(-1, n_documents), mask_of


def filter_masks(filter, n_queries, corpus):
    """Return the documents that a filter admits, as one mask per query.

    A retriever with the argument `filter` calls this, so that it takes all forms of a filter.

    Parameters
    ----------
    filter : mask, list of ids, one of these per query, or None
        Filter, as `transform` of a retriever takes it. None admits all documents.
    n_queries : int
        Number of queries.
    corpus : Corpus
        Documents.

    Returns
    -------
    ndarray of bool, shape (n_queries, n_documents)
        Read-only if one filter holds for all queries.

    Raises
    ------
    ValueError
        If a mask has another shape, or an id is not in the corpus.

    See Also
    --------
    sklrank.base.Retriever : Base class of retrievers.

    Examples
    --------
    >>> from sklrank import Corpus
    >>> from sklrank.retrievers import filter_masks
    >>> corpus = Corpus({"d1": "heat", "d2": "cold"})
    >>> filter_masks(["d2"], 2, corpus)
    array([[False,  True],
           [False,  True]])
    >>> filter_masks([["d1"], None], 2, corpus)
    array([[ True, False],
           [ True,  True]])
    """
    shape = (n_queries, len(corpus))
    if filter is None:
        return np.broadcast_to(True, shape)
    per_query = _per_query(filter, *shape)
    if per_query is None:
        return np.broadcast_to(_mask(filter, corpus).astype(bool), shape)
    admitted = np.ones(shape, dtype=bool)
    for i, given in enumerate(per_query):
        if given is not None:
            admitted[i] = _mask(given, corpus)
    return admitted


def check_kept(given, old, new):
    """Raise ValueError if a filter of a corpus means other documents, or unknown ones, in a changed corpus.

    Parameters
    ----------
    given : mask, list of ids, or sequence of these per query
        The filter.
    old, new : Corpus
        The documents before and after the change.
    """
    if isinstance(given, np.ndarray) and given.dtype == bool:
        if len(old) != len(new) or strings_of(old.ids) != strings_of(new.ids):
            raise ValueError(
                "filter= is a mask of the rows of the old corpus, which mean other documents in the new one: give a "
                "list of ids"
            )
        return
    values = _listed(given)
    if values and isinstance(values[0], (bool, np.bool_)):
        check_kept(np.array(values), old, new)
    elif all(isinstance(value, (str, Integral)) for value in values):
        gone = new.rows(values, unknown="ignore") < 0
        if gone.any():
            ids = [values[i] for i in np.flatnonzero(gone).tolist()]
            raise ValueError(f"filter= names documents that would be removed, {show(ids)}: take them out of filter=")
    else:
        for value in values:
            if value is not None:
                check_kept(value, old, new)


def rank_filtered(search, given, n_queries, corpus):
    """Return rankings under a filter.

    Parameters
    ----------
    search : callable
        Function from the four values that `resolve_filter` yields to indptr, rows and scores of these queries.
    given, n_queries, corpus
        As for `resolve_filter`.

    Returns
    -------
    indptr, rows, scores : ndarray of int64, int64, float32
        Ragged rankings of all queries.
    """
    return concatenate([search(*batch) for batch in resolve_filter(given, n_queries, corpus)])


def _per_query(given, n_queries, n_documents):
    """Return the filter of each query as a list, or None if there is one filter for all queries."""
    if isinstance(given, np.ndarray) and given.dtype == bool:
        if given.shape == (n_documents,):
            return None
        if given.shape == (n_queries, n_documents):
            return list(given)
        raise ValueError(
            f"filter is a mask of shape {given.shape}: expected (n_documents,) = ({n_documents},), or (n_queries, "
            f"n_documents) = ({n_queries}, {n_documents})"
        )
    if isinstance(given, str):
        raise TypeError(f"filter is one str, {given!r}: expected a list of document ids")
    if sparse.issparse(given):
        raise TypeError(f"filter is a sparse matrix of shape {given.shape}: expected a bool array, filter.toarray()")
    values = _listed(given)
    if all(isinstance(value, (str, Integral, np.bool_)) for value in values):
        return None
    if len(values) != n_queries:
        raise ValueError(f"filter has {len(values)} entries for {n_queries} queries")
    return values


def _mask(given, corpus):
    """Return the mask of one filter, uint8."""
    if isinstance(given, str):
        raise TypeError(f"filter holds one str, {given!r}: expected a list of document ids")
    if not (isinstance(given, np.ndarray) and given.dtype == bool):
        given = _listed(given)
        if not (given and isinstance(given[0], (bool, np.bool_))):
            mask = np.zeros(len(corpus), dtype=np.uint8)
            mask[corpus.rows(given)] = 1
            return mask
        given = np.array(given)
    if given.shape != (len(corpus),):
        raise ValueError(f"filter has a mask of shape {given.shape} for {len(corpus)} documents")
    return given.astype(np.uint8)


def _listed(values):
    if hasattr(values, "tolist"):
        return values.tolist()
    return list(values)
