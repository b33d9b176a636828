"""Inverted lists from flat token ids or from a sparse matrix.

The postings of a term are the documents that hold it, ascending, each with its raw count:

    term t:   docs[indptr[t]:indptr[t + 1]]     rows of documents, uint32
              counts[indptr[t]:indptr[t + 1]]   how often t occurs there

Postings do not depend on a scoring formula. Both constructions read their input twice and need neither a sort nor a
table per document. `skip_table` lets a search find one document in a long list.
"""

import numpy as np

from sklrank._kernels._jit import kernel

_NEVER = 0xFFFFFFFF  # not the row of a document
_FEW_DEAD = 16  # postings per dead document from which dead documents are looked up instead of reading a list
_BUCKET = 4  # lower limit of the mean number of postings per bucket of a skip table; it is below twice this number


@kernel
def _count_postings(token_ids, indptr, last, sizes):
    """Count the different documents of each term."""
    for d in range(indptr.size - 1):
        for i in range(indptr[d], indptr[d + 1]):
            t = token_ids[i]
            if last[t] != d:
                last[t] = d
                sizes[t] += 1


@kernel
def _fill_postings(token_ids, indptr, heads, docs, counts, largest):
    """Write the lists; return False as soon as a count would exceed `largest`."""
    # heads[t] is the position of the last posting of t, whose document shows whether d is in the list already.
    # The first position of each list holds _NEVER until it is written.
    for d in range(indptr.size - 1):
        for i in range(indptr[d], indptr[d + 1]):
            t = token_ids[i]
            p = heads[t]
            row = docs[p]
            if row == d:
                if counts[p] == largest:
                    return False
                counts[p] += 1
            else:
                p += row != _NEVER
                heads[t] = p
                docs[p] = d
                counts[p] = 1
    return True


@kernel
def _count_columns(indices, data, sizes):
    for i in range(indices.size):
        if data[i] != 0:
            sizes[indices[i]] += 1


@kernel
def _fill_columns(indptr, indices, data, heads, docs, values):
    for d in range(indptr.size - 1):
        for i in range(indptr[d], indptr[d + 1]):
            if data[i] != 0:
                t = indices[i]
                p = heads[t]
                heads[t] = p + 1
                docs[p] = d
                values[p] = data[i]


@kernel
def _fill_skips(indptr, docs, shifts, skip_indptr, skips):
    for t in range(indptr.size - 1):
        start = indptr[t]
        stop = indptr[t + 1]
        bucket = skip_indptr[t]
        base = bucket
        shift = shifts[t]
        for p in range(start, stop):
            b = base + (np.int64(docs[p]) >> shift)
            while bucket <= b:
                skips[bucket] = p - start
                bucket += 1
        while bucket < skip_indptr[t + 1]:
            skips[bucket] = stop - start
            bucket += 1


def invert(token_ids, indptr, n_terms):
    """Build postings from token ids.

    Parameters
    ----------
    token_ids : ndarray of shape (n_tokens,), dtype=uint32
        Terms of all documents, one document after the other.
    indptr : ndarray of shape (n_documents + 1,), dtype=int64
        Bounds of the documents.
    n_terms : int
        Number of terms. Every token id is below it.

    Returns
    -------
    term_indptr : ndarray of shape (n_terms + 1,), dtype=int64
    docs : ndarray of shape (n_postings,), dtype=uint32
        The documents of each term, ascending.
    counts : ndarray of shape (n_postings,), dtype=uint16 or uint32
        Occurrences; uint32 only if a term occurs more than 65 535 times in one document.
    """
    last = np.full(n_terms, _NEVER, dtype=np.uint32)
    sizes = np.zeros(n_terms, dtype=np.int64)
    _count_postings(token_ids, indptr, last, sizes)
    term_indptr = _starts(sizes)
    docs = np.empty(term_indptr[-1], dtype=np.uint32)
    for dtype in (np.uint16, np.uint32):
        counts = np.empty(docs.size, dtype=dtype)
        docs[term_indptr[:-1][sizes > 0]] = _NEVER
        if _fill_postings(token_ids, indptr, term_indptr[:-1].copy(), docs, counts, np.iinfo(dtype).max):
            return term_indptr, docs, counts
    raise OverflowError("a term occurs 2**32 times in one document")


def invert_matrix(indptr, indices, data, n_terms, dtype=np.float32):
    """Build postings from the rows of a CSR matrix without duplicates; stored zeros are left out.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The matrix, of shape (n_documents, n_terms).
    n_terms : int
    dtype : dtype, default=float32
        Type of the returned values: float32 for weights, uint16 or uint32 for counts that fit.

    Returns
    -------
    term_indptr, docs, values
        As from `invert`.
    """
    sizes = np.zeros(n_terms, dtype=np.int64)
    _count_columns(indices, data, sizes)
    term_indptr = _starts(sizes)
    docs = np.empty(term_indptr[-1], dtype=np.uint32)
    values = np.empty(docs.size, dtype=dtype)
    _fill_columns(indptr, indices, data, term_indptr[:-1].copy(), docs, values)
    return term_indptr, docs, values


@kernel
def _count_merged(indptr, docs, term_of, doc_of, sizes):
    """Count the live documents of each merged term in one part."""
    for t in range(indptr.size - 1):
        n = 0
        for p in range(indptr[t], indptr[t + 1]):
            n += doc_of[docs[p]] >= 0
        sizes[term_of[t]] += n


@kernel
def _fill_merged(indptr, docs, values, term_of, doc_of, heads, merged_docs, merged_values):
    """Append the lists of one part to the merged lists."""
    for t in range(indptr.size - 1):
        q = heads[term_of[t]]
        for p in range(indptr[t], indptr[t + 1]):
            d = doc_of[docs[p]]
            if d >= 0:
                merged_docs[q] = d
                merged_values[q] = values[p]
                q += 1
        heads[term_of[t]] = q


@kernel
def _sort_lists(indptr, docs, values):
    """Sort the lists whose documents do not ascend."""
    for t in range(indptr.size - 1):
        start = indptr[t]
        stop = indptr[t + 1]
        ascending = True
        for p in range(start + 1, stop):
            ascending &= docs[p - 1] < docs[p]
        if not ascending:
            order = np.argsort(docs[start:stop])
            docs[start:stop] = docs[start:stop][order]
            values[start:stop] = values[start:stop][order]


def merged_frequencies(indptrs, docs, terms, documents, n_terms):
    """Return the number of documents of each merged term; see `merge_postings`.

    Returns
    -------
    ndarray of int64, shape (n_terms,)
    """
    frequencies = np.zeros(n_terms, dtype=np.int64)
    for part in zip(indptrs, docs, terms, documents):
        _count_merged(*part, frequencies)
    return frequencies


def merge_postings(indptrs, docs, values, terms, documents, frequencies):
    """Merge the postings of several parts.

    Parameters
    ----------
    indptrs, docs, values : list of ndarray
        Postings of each part, as from `invert`, and their counts or other values.
    terms : list of ndarray of int64, shape (n_terms_of_part,)
        Merged term of each term of a part; any term if none of its documents is kept.
    documents : list of ndarray of int64, shape (n_documents_of_part,)
        Merged document of each document of a part, ascending; -1 for one that is left out.
    frequencies : ndarray of int64, shape (n_terms,)
        From `merged_frequencies`.

    Returns
    -------
    term_indptr : ndarray of shape (n_terms + 1,), dtype=int64
    docs : ndarray of shape (n_postings,), dtype=uint32
        Merged documents of each term, ascending.
    values : ndarray of shape (n_postings,)
        Their values.
    """
    term_indptr = _starts(frequencies)
    merged_docs = np.empty(term_indptr[-1], dtype=np.uint32)
    merged_values = np.empty(term_indptr[-1], dtype=np.result_type(*values))
    heads = term_indptr[:-1].copy()
    for part in zip(indptrs, docs, values, terms, documents):
        _fill_merged(*part, heads, merged_docs, merged_values)
    _sort_lists(term_indptr, merged_docs, merged_values)
    return term_indptr, merged_docs, merged_values


@kernel
def add_frequencies(terms, indptr, docs, counts, exact, alive, dead, documents, occurrences):
    """Add the numbers of documents and of occurrences of terms in one segment.

    Parameters
    ----------
    terms : ndarray of shape (n,), integers
        Terms of the segment.
    indptr, docs, counts : ndarray
        Postings of the segment.
    exact : bool
        Whether counts are whole numbers, so that they can be added in any order.
    alive : ndarray of shape (n_documents,) or (0,), dtype=uint8
        Which documents count; empty if all do.
    dead : ndarray of int64, ascending
        The documents that do not count.
    documents : ndarray of shape (n,), dtype=int64
        Output: gets the number of documents added.
    occurrences : ndarray of shape (n,) or (0,), dtype=float64
        Output: gets the sum of the counts added; empty if it is not asked for. Counts are added document by document.
    """
    for i in range(terms.size):
        start = indptr[terms[i]]
        stop = indptr[terms[i] + 1]
        n = stop - start
        if alive.size and (n < _FEW_DEAD * dead.size or not exact):
            total = 0.0
            if occurrences.size:
                total = occurrences[i]
            n = 0
            for p in range(start, stop):
                if alive[docs[p]]:
                    n += 1
                    total += counts[p]
            documents[i] += n
            if occurrences.size:
                occurrences[i] = total
            continue
        if occurrences.size:
            total = occurrences[i]
            for p in range(start, stop):
                total += counts[p]
            occurrences[i] = total
        for d in dead:
            # Each is looked up, because most lists are much longer than the list of dead documents.
            low = start
            high = stop
            while low < high:
                middle = (low + high) >> 1
                if docs[middle] < d:
                    low = middle + 1
                else:
                    high = middle
            if low < stop and docs[low] == d:
                n -= 1
                if occurrences.size:
                    occurrences[i] -= counts[low]
        documents[i] += n


def skip_table(term_indptr, docs, n_documents):
    """Make a table that finds one document in each list.

    The rows of the documents are divided into equal ranges, more ranges for a longer list, and the table holds the
    position in the list at which each range begins. Counted from the start of the list of t, document d can only be
    between position ``skips[skip_indptr[t] + (d >> shifts[t])]`` and the position in the next entry.

    Returns
    -------
    shifts : ndarray of shape (n_terms,), dtype=uint8
    skip_indptr : ndarray of shape (n_terms + 1,), dtype=int64
    skips : ndarray of dtype uint32
        Positions, about one for six postings.
    """
    sizes = np.diff(term_indptr)
    last = max(n_documents - 1, 0)
    # The smallest shift that leaves at most sizes / _BUCKET ranges, computed with integers only.
    shifts = np.zeros(sizes.size, dtype=np.uint8)
    for shift in range(last.bit_length()):
        shifts[((last >> shift) + 1) * _BUCKET > sizes] = shift + 1
    skip_indptr = _starts(np.where(sizes > 0, (last >> shifts.astype(np.int64)) + 2, 0))
    skips = np.empty(skip_indptr[-1], dtype=np.uint32)
    _fill_skips(term_indptr, docs, shifts, skip_indptr, skips)
    return shifts, skip_indptr, skips


def _starts(sizes):
    indptr = np.zeros(sizes.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=indptr[1:])
    return indptr
