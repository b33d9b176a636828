"""Segment: the postings of some documents, and the terms that they belong to."""

import numpy as np
from scipy import sparse

from sklrank._caching import Derives
from sklrank._kernels._postings import (
    add_frequencies,
    invert,
    invert_matrix,
    merge_postings,
    merged_frequencies,
    skip_table,
)
from sklrank._ragged import check_arrays, check_indptr
from sklrank.data._vocabulary import Vocabulary, union

SMALL = 1 << 15  # documents; smaller segments are not pruned, and the kernel for it is not compiled


class Segment(Derives):
    """Postings of some documents, term by term; they do not change.

    Behind the lists of the terms, there is an empty list. It stands for a term that no document of this segment holds.

    Parameters
    ----------
    lengths : ndarray of float64, shape (n_documents,)
        Number of tokens of each document, or the sum of its weights.
    indptr : ndarray of int64, shape (n_terms + 2,)
        Bounds of the lists of the terms, and of the empty list.
    docs : ndarray of uint32, shape (n_postings,)
        Documents, ascending within a list.
    counts : ndarray of uint8, uint16, uint32 or float32, shape (n_postings,)
        Occurrences of the term in the document, or its weight in the document.
    vectorizer : transformer or None
        Fitted transformer from texts to terms.
    learned : bool, default=False
        Whether the terms are those of these documents, learned by the vectorizer, which learned nothing else.
    units : ndarray of float64, shape (n_terms,), default=None
        Weight that a count of 1 means, for each term, if weights are stored as small integers.
    """

    _has_fixed_size = True

    def __init__(self, lengths, indptr, docs, counts, vectorizer=None, learned=False, units=None):
        self.lengths, self.indptr, self.docs, self.counts = lengths, indptr, docs, counts
        self.vectorizer, self.learned, self.units = vectorizer, learned, units
        self.total_length = float(lengths.sum())
        self._skips = None
        self._init_scratch()

    def _init_scratch(self):
        self.workspaces = []  # (largest k, scratch arrays) that no thread uses at the moment
        if self.n_documents > SMALL:
            self.skips  # noqa: B018 (made here, so that a saved segment has them)
        # Memory maps are read-only, and a kernel is compiled again for arrays that may be written.
        for array in (self.lengths, self.indptr, self.docs, self.counts):
            array.flags.writeable = False

    @classmethod
    def from_tokens(cls, token_ids, indptr, n_terms, vectorizer=None, learned=False):
        """Invert the token ids of documents."""
        lengths = np.diff(indptr).astype(np.float64)
        return cls(lengths, *invert(token_ids, indptr, n_terms + 1), vectorizer, learned)

    @classmethod
    def from_matrix(cls, matrix, dtype=None, vectorizer=None, learned=False, units=None, lengths=None):
        """Invert a CSR matrix of counts or weights, shape (n_documents, n_terms).

        Counts have the given `dtype`, by default the smallest type that holds them. With `units`, they are multiples of
        the unit of the term, rounded, and at least 1. If `lengths` is None, they are the sums of the values.
        """
        data = matrix.data
        if dtype is None:
            dtype = _smallest_dtype(data)
        if units is not None:
            data = np.maximum(np.rint(data / units[matrix.indices]), 1)
        if lengths is None:
            lengths = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()
        indptr, indices = matrix.indptr.astype(np.int64), matrix.indices.astype(np.uint32)
        lists = invert_matrix(indptr, indices, data.astype(np.float64), matrix.shape[1] + 1, dtype)
        return cls(lengths, *lists, vectorizer, learned, units)

    @property
    def n_documents(self):
        """Number of documents."""
        return len(self.lengths)

    @property
    def n_terms(self):
        """Number of terms, which is the number of the empty list."""
        return len(self.indptr) - 2

    @property
    def is_counted(self):
        """Whether the values of postings are whole numbers, so that sums of them are exact."""
        return self.counts.dtype.kind in "iu" and self.units is None

    @property
    def skips(self):
        """Skip table of the lists, for searches that prune; see `skip_table`."""
        if self._skips is None:
            tables = skip_table(self.indptr, self.docs, self.n_documents)
            for array in tables:
                array.flags.writeable = False
            self._skips = tables
        return self._skips

    def add_frequencies(self, terms, alive, dead, documents, occurrences=None):
        """Add the numbers of documents, and of occurrences if asked for, of terms; see the kernel."""
        if alive is None:
            alive = np.empty(0, dtype=np.uint8)
        if occurrences is None:
            occurrences = np.empty(0)
        lists = self.indptr, self.docs, self.counts
        add_frequencies(terms, *lists, self.is_counted, alive, dead, documents, occurrences)

    def forward(self):
        """Return the positions of the postings as a CSR matrix of shape (n_documents, n_terms)."""
        return self.derived("terms of documents", self._forward)

    def _forward(self):
        positions = np.arange(len(self.docs), dtype=sparse.get_index_dtype(maxval=len(self.docs)))
        lists = positions, self.docs.astype(np.int64), self.indptr[:-1]
        return sparse.csc_array(lists, shape=(self.n_documents, self.n_terms)).tocsr()

    @staticmethod
    def merged(segments, documents):
        """Merge segments; it is the segment that the merged documents would give at once.

        Parameters
        ----------
        segments : list of Segment
            Their vectorizers differ in their vocabularies only, or not at all.
        documents : list of ndarray of int64, shape (n_documents_of_segment,)
            Merged document of each document of a segment, ascending; -1 for one that is left out.

        Returns
        -------
        Segment
        """
        first = segments[0]
        if not first.learned:
            numbers = [np.arange(first.n_terms + 1)] * len(segments)
            return first._merged(_Merge(segments, numbers, documents, first.n_terms), first.vectorizer)
        merged, numbers = union([segment.vectorizer.vocabulary_ for segment in segments])
        merge = _Merge(segments, [np.append(own, len(merged)) for own in numbers], documents, len(merged))
        return first._merged(merge, with_used_terms(segments, merged, merge.keep_used()))

    def _merged(self, merge, vectorizer):
        """Return the merged segment; a subclass merges its other values."""
        return Segment(*merge.arrays(), vectorizer, self.learned)

    def check_content(self):
        """Raise ValueError if the arrays of a file do not fit each other; kernels do not check bounds."""
        indptr, docs, n_postings = self.indptr, self.docs, len(self.docs)
        check_arrays({"<i8": [indptr], "<u4": [docs], "<f8": [self.lengths]})
        if self.counts.dtype.str not in ("|u1", "<u2", "<u4", "<f4") or self.counts.shape != docs.shape:
            raise ValueError("the counts of postings are damaged")
        if len(indptr) < 2:
            raise ValueError("the bounds of postings are damaged")
        if not (np.isfinite(self.lengths) & (self.lengths >= 0)).all():
            raise ValueError("the lengths of documents are damaged")
        check_indptr(indptr, self.n_terms + 1, n_postings)
        rises = docs[1:] > docs[:-1]
        rises[indptr[(indptr > 0) & (indptr < n_postings)] - 1] = True  # between the lists of two terms
        if not rises.all() or n_postings and docs.max() >= self.n_documents:
            raise ValueError("the documents of postings are damaged")
        if self.learned and len(self.vectorizer.vocabulary_) != self.n_terms:
            raise ValueError("the vocabulary has another number of terms than the postings")
        if self.units is not None and self.units.shape != (self.n_terms,):
            raise ValueError("the units have another number than the terms")
        self._skips = None  # made again

    def __getstate__(self):
        state = super().__getstate__()
        del state["workspaces"]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._init_scratch()


def with_used_terms(segments, vocabulary, used):
    """Return a vectorizer with some terms of a vocabulary, given as a mask; it may be that of a segment.

    Parameters
    ----------
    segments : list of Segment
    vocabulary : Vocabulary
        As from `union`.
    used : ndarray of bool

    Returns
    -------
    TermVectorizer
    """
    if used.all():
        for segment in segments:
            if segment.vectorizer.vocabulary_ is vocabulary:
                return segment.vectorizer
    else:
        vocabulary = Vocabulary(vocabulary.strings[np.flatnonzero(used)])
    return segments[0].vectorizer._with_terms(vocabulary)


class _Merge:
    """Merge of the postings of segments.

    Parameters
    ----------
    segments : list of Segment
    numbers : list of ndarray of int64, shape (n_terms_of_segment + 1,)
        Merged term of each term of a segment, and of its empty list.
    documents : list of ndarray of int64, shape (n_documents_of_segment,)
        Merged document of each document of a segment, ascending; -1 for one that is left out.
    n_terms : int
        Number of merged terms.
    """

    def __init__(self, segments, numbers, documents, n_terms):
        self.segments, self.numbers, self.documents = segments, numbers, documents
        self.indptrs, self.docs = zip(*((segment.indptr, segment.docs) for segment in segments))
        self.frequencies = merged_frequencies(self.indptrs, self.docs, numbers, documents, n_terms + 1)

    def keep_used(self):
        """Leave out terms without documents, and return the mask of those that are kept."""
        used = self.frequencies[:-1] > 0
        if not used.all():
            kept = np.append(used, True)
            new = np.cumsum(kept) - 1
            self.numbers = [np.maximum(new[numbers], 0) for numbers in self.numbers]
            self.frequencies = self.frequencies[kept]
        return used

    def lists(self, values):
        """Return the merged lists, indptr and documents, with the values of all postings of each segment."""
        return merge_postings(self.indptrs, self.docs, values, self.numbers, self.documents, self.frequencies)

    def arrays(self):
        """Return the lengths of the merged documents, and the merged lists with counts."""
        lengths = in_order([segment.lengths for segment in self.segments], self.documents)
        counts = [segment.counts for segment in self.segments]
        if np.float32 in [own.dtype for own in counts]:  # NumPy would make float64 of uint32 and float32
            counts = [own.astype(np.float32, copy=False) for own in counts]
        return lengths, *self.lists(counts)


def in_order(values, documents):
    """Return the values of the documents of several segments in the order of the merged documents.

    Parameters
    ----------
    values : list of ndarray of shape (n_documents_of_segment,)
    documents : list of ndarray of int64, shape (n_documents_of_segment,)
        Merged document of each document of a segment; -1 for one that is left out.

    Returns
    -------
    ndarray
    """
    documents = np.concatenate(documents)
    live = documents >= 0
    merged = np.empty(np.count_nonzero(live), dtype=np.result_type(*values))
    merged[documents[live]] = np.concatenate(values)[live]
    return merged


def _smallest_dtype(data):
    """Return the type of counts that holds `data`: uint16, uint32, or float32 if they are not whole numbers.

    Whole numbers that float32 does not hold are rounded, whatever the other counts of the segment are, so that scores
    do not depend on the segments.
    """
    if data.dtype.kind not in "iu" and (data != np.trunc(data)).any():
        return np.float32
    largest = data.max(initial=0)
    if largest < 2**16:
        return np.uint16
    if largest <= 2**24:
        return np.uint32
    return np.float32
