"""Vocabularies, term ids of texts, and counts of terms per document."""

from numbers import Integral

import numpy as np

from sklrank._kernels._text import DROPPED, count_tokens, remap_tokens, term_frequencies
from sklrank.data import StringArray
from sklrank.data._vocabulary import Vocabulary, numbered


def number_terms(terms):
    """Number terms in alphabetical order.

    Parameters
    ----------
    terms : StringArray, or list of str and None
        They may repeat; None stands for no term.

    Returns
    -------
    vocabulary : Vocabulary, or dict if not all terms are text
        The distinct terms.
    ids : ndarray of uint32
        Number of each of `terms`, `DROPPED` for None.
    """
    try:
        strings, kept = _strings_of(terms)
    except (TypeError, ValueError):  # a function has returned other objects, which need a dict
        vocabulary = {term: i for i, term in enumerate(sorted(set(terms) - {None}))}
        return vocabulary, ids_of(terms, vocabulary)
    vocabulary, numbers = numbered(strings)
    ids = np.full(len(terms), DROPPED)
    ids[kept] = numbers
    return vocabulary, ids


def ids_of(terms, vocabulary):
    """Return the ids of terms in a vocabulary.

    Parameters
    ----------
    terms : StringArray, or list of str and None
    vocabulary : Vocabulary or dict

    Returns
    -------
    ndarray of uint32
        `DROPPED` for None, and for a term that the vocabulary lacks.
    """
    if not isinstance(vocabulary, Vocabulary):
        return np.array([vocabulary.get(term, DROPPED) for term in terms], dtype=np.uint32)
    strings, kept = _strings_of(terms)
    ids = np.full(len(terms), DROPPED)
    ids[kept] = vocabulary.rows(strings)  # -1 becomes DROPPED
    return ids


def _strings_of(terms):
    """Return terms without None as a StringArray, and where they stand."""
    if isinstance(terms, StringArray):
        return terms, slice(None)
    kept = slice(None)
    if None in terms:
        kept = [i for i, term in enumerate(terms) if term is not None]
        terms = [terms[i] for i in kept]
    return StringArray.from_strings(terms, what="term"), kept


def remap(ids, indptr, mapping):
    """Map ids in place, drop those that map to `DROPPED`, and release the memory that becomes free.

    Parameters
    ----------
    ids : ndarray of uint32
    indptr : ndarray of int64
        Start of each document in `ids`, changed in place.
    mapping : sequence of int
        The new id of each id.

    Returns
    -------
    ndarray of uint32
    """
    n_kept = remap_tokens(ids, indptr, np.asarray(mapping, dtype=np.uint32))
    ids.resize(n_kept, refcheck=False)
    return ids


def count(ids, indptr):
    """Count the terms of each document.

    Parameters
    ----------
    ids : ndarray of uint32
    indptr : ndarray of int64

    Returns
    -------
    indices, counts, indptr : ndarray
        Sorted distinct ids of each document, their counts, and the start of each document in both.
    """
    index_dtype = np.int32
    if len(ids) > np.iinfo(np.int32).max:
        index_dtype = np.int64
    indices, counts = np.empty(len(ids), dtype=index_dtype), np.empty(len(ids), dtype=np.int64)
    distinct_indptr = np.zeros(len(indptr), dtype=np.int64)
    n_distinct = count_tokens(ids, indptr, indices, counts, distinct_indptr)
    indices.resize(n_distinct, refcheck=False)
    counts.resize(n_distinct, refcheck=False)
    return indices, counts, distinct_indptr


def distinct(ids, indptr):
    """Keep each term once per document.

    Parameters
    ----------
    ids : ndarray of uint32
    indptr : ndarray of int64

    Returns
    -------
    ids, indptr : ndarray of uint32, int64
    """
    indices, _, indptr = count(ids, indptr)
    return indices.astype(np.uint32), indptr


def select_terms(ids, indptr, n_terms, *, min_df, max_df, max_features):
    """Select terms by the number of documents that contain them.

    Parameters
    ----------
    ids : ndarray of uint32
    indptr : ndarray of int64
    n_terms : int
    min_df, max_df, max_features : int, float or None
        As in `TermVectorizer`.

    Returns
    -------
    ndarray of bool, shape (n_terms,), or None
        Whether each term is kept. ``None`` means that all are kept.
    """
    n_documents = len(indptr) - 1
    least, most = _n_of(min_df, n_documents), _n_of(max_df, n_documents)
    if most < least:
        raise ValueError("max_df corresponds to < documents than min_df")
    limit = max_features or n_terms
    if least <= 1 and most >= n_documents and limit >= n_terms:
        return None
    frequency, total = np.zeros((2, n_terms), dtype=np.int64)
    term_frequencies(ids, indptr, np.full(n_terms, -1), frequency, total)
    kept = (frequency >= least) & (frequency <= most)
    if kept.sum() > limit:
        # The same sort as in scikit-learn, so that the same ones of equally frequent terms are kept.
        candidates = np.flatnonzero(kept)
        kept = np.zeros(n_terms, dtype=bool)
        kept[candidates[(-total[candidates]).argsort()[:limit]]] = True
    if not kept.any():
        raise ValueError("After pruning, no terms remain. Try a lower min_df or a higher max_df.")
    return kept


def _n_of(limit, n_documents):
    """Return a limit, a count or a proportion of documents, as a number of documents."""
    if isinstance(limit, Integral):
        return limit
    return limit * n_documents
