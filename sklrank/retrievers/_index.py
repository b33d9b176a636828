"""Inverted index: immutable segments, and the statistics of all segments."""

from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import numpy as np
from scipy import sparse

from sklrank._caching import Derives
from sklrank._kernels._postings import invert, invert_matrix, merge_postings, merged_frequencies, skip_table
from sklrank._ragged import owners
from sklrank.encoders import TermVectorizer
from sklrank.retrievers._impacts import SMALL_CORPUS, Impacts


@dataclass(frozen=True)
class Segment:
    """Postings of a range of documents, term by term.

    Attributes
    ----------
    base : int
        Row of the first document.
    lengths : ndarray of float64, shape (n_documents,)
        Number of tokens of each document, or the sum of its weights.
    indptr : ndarray of int64, shape (n_terms + 1,)
        Bounds of the lists of the terms.
    docs : ndarray of uint32, shape (n_postings,)
        Documents, counted from `base`, ascending within a list.
    counts : ndarray of uint8, uint16, uint32 or float32, shape (n_postings,)
        Occurrences of the term in the document, or its weight in the document.
    """

    base: int
    lengths: np.ndarray
    indptr: np.ndarray
    docs: np.ndarray
    counts: np.ndarray

    def __post_init__(self):
        if len(self.lengths) > SMALL_CORPUS:
            self.skips  # noqa: B018 (made here, so that a saved segment has them)
        # Memory maps are read-only, and a kernel is compiled again for arrays that may be written.
        for array in (self.lengths, self.indptr, self.docs, self.counts):
            array.flags.writeable = False

    def forward(self):
        """Return the positions of the postings as a CSR matrix of shape (n_documents, n_terms)."""
        positions = np.arange(len(self.docs), dtype=sparse.get_index_dtype(maxval=len(self.docs)))
        shape = len(self.lengths), len(self.indptr) - 1
        return sparse.csc_array((positions, self.docs.astype(np.int64), self.indptr), shape=shape).tocsr()

    @cached_property
    def skips(self):
        """Skip table of the lists, for searches that prune; see `skip_table`."""
        tables = skip_table(self.indptr, self.docs, len(self.lengths))
        for array in tables:
            array.flags.writeable = False
        return tables

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.__post_init__()

    @classmethod
    def from_tokens(cls, base, token_ids, indptr, n_terms):
        """Invert the token ids of documents."""
        lengths = np.diff(indptr).astype(np.float64)
        return cls(base, lengths, *invert(token_ids, indptr, n_terms))

    @classmethod
    def from_matrix(cls, base, matrix, dtype=None, units=None):
        """Invert a CSR matrix of counts or weights, shape (n_documents, n_terms).

        Counts have the given `dtype`, by default the smallest type that holds them. With `units`, they are multiples of
        the unit of the term, rounded, and at least 1.
        """
        data = matrix.data
        if dtype is None:
            dtype = _smallest_dtype(data)
        if units is not None:
            data = np.maximum(np.rint(data / units[matrix.indices]), 1)
        lengths = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()
        indptr, indices = matrix.indptr.astype(np.int64), matrix.indices.astype(np.uint32)
        return cls(base, lengths, *invert_matrix(indptr, indices, data.astype(np.float64), matrix.shape[1], dtype))


class _Merge:
    """Merge of the segments of indexes.

    Parameters
    ----------
    indexes : list of Index
    terms : list of ndarray of int64, shape (n_terms_of_index,)
        Merged term of each term of an index.
    documents : list of ndarray of int64, shape (n_documents_of_index,)
        Merged document of each document of an index, ascending; -1 for one that is left out.
    n_terms : int
        Number of merged terms.
    """

    def __init__(self, indexes, terms, documents, n_terms):
        self.segments = [index.segments[0] for index in indexes]
        self.terms, self.documents = terms, documents
        self.indptrs, self.docs = zip(*((segment.indptr, segment.docs) for segment in self.segments))
        self.frequencies = merged_frequencies(self.indptrs, self.docs, terms, documents, n_terms)

    @property
    def n_terms(self):
        """Number of merged terms."""
        return len(self.frequencies)

    def without_empty_lists(self, names):
        """Leave out terms without documents, and return the names of the others."""
        kept = self.frequencies > 0
        if kept.all():
            return names
        numbers = np.maximum(np.cumsum(kept) - 1, 0)
        self.terms = [numbers[terms] for terms in self.terms]
        self.frequencies = self.frequencies[kept]
        return list(compress(names, kept.tolist()))

    def lists(self, values):
        """Return the merged lists, indptr and documents, with the values of all postings of each segment."""
        return merge_postings(self.indptrs, self.docs, values, self.terms, self.documents, self.frequencies)

    def segment(self):
        """Return the merged segment."""
        lengths = in_order([segment.lengths for segment in self.segments], self.documents)
        return Segment(0, lengths, *self.lists([segment.counts for segment in self.segments]))


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
    """Return the type of counts that holds `data`: uint16, uint32, or float32 if they are not whole numbers."""
    if data.dtype.kind not in "iu" and (data != np.trunc(data)).any():
        return np.float32
    largest = data.max(initial=0)
    if largest < 2**16:
        return np.uint16
    if largest < 2**32:
        return np.uint32
    return np.float32


def learns_terms_only(vectorizer):
    """Return whether a vectorizer learns the terms of the documents, and nothing else from all documents together.

    Parameters
    ----------
    vectorizer : transformer or None

    Returns
    -------
    bool
    """
    return isinstance(vectorizer, TermVectorizer) and vectorizer._learns_terms_only()


def _numbers(terms, number_of):
    """Return the number of each term of a vocabulary in another one."""
    if terms is number_of:
        return np.arange(len(terms), dtype=np.int64)
    return np.fromiter(map(number_of.__getitem__, terms), dtype=np.int64, count=len(terms))


class Index(Derives):
    """Segments, and the statistics of all segments.

    Scores are computed from the statistics of the whole index, which are sums of integers. Therefore a ranking over
    many segments equals the ranking over one segment, bit for bit.

    Parameters
    ----------
    segments : list of Segment
        Segments in the order of their documents.
    n_terms : int
        Number of terms.
    vectorizer : transformer or None
        Fitted transformer from texts to terms.
    units : ndarray of float64, shape (n_terms,), default=None
        Weight that a count of 1 means, for each term, if weights are stored as small integers.
    learned : bool, default=False
        Whether the terms are those of these documents, learned by the vectorizer, which learned nothing else.
    """

    def __init__(self, segments, n_terms, vectorizer=None, units=None, learned=False):
        self.learned = learned
        self.segments = segments
        self.n_terms = n_terms
        self.vectorizer = vectorizer
        self.units = units
        self.n_documents = sum(len(segment.lengths) for segment in segments)
        self.total_length = sum(float(segment.lengths.sum()) for segment in segments)
        self.document_frequencies = sum(np.diff(segment.indptr) for segment in segments)
        self._init_derived()

    def _init_derived(self):
        self.workspaces = []  # (largest k, scratch arrays of each segment) that no thread uses at the moment
        self._collection_frequencies = None

    @classmethod
    def merged(cls, indexes, documents):
        """Merge indexes over parts of the documents; it is the index that the merged documents would give at once.

        Parameters
        ----------
        indexes : list of Index
            Indexes of one segment each. Their vectorizers differ in their vocabularies only, or not at all.
        documents : list of ndarray of int64, shape (n_documents_of_index,)
            Merged document of each document of an index, ascending; -1 for one that is left out.

        Returns
        -------
        Index
        """
        first, vectorizer = indexes[0], indexes[0].vectorizer
        if not first.learned:
            merge = _Merge(indexes, [np.arange(first.n_terms)] * len(indexes), documents, first.n_terms)
            return first._merged(indexes, merge, vectorizer)
        vocabularies = [index.vectorizer.vocabulary_ for index in indexes]
        largest = max(vocabularies, key=len)
        names, number_of = list(largest), largest
        if any(terms.keys() - largest.keys() for terms in vocabularies if terms is not largest):
            names = sorted(set().union(*vocabularies))
            number_of = dict(zip(names, range(len(names))))
        merge = _Merge(indexes, [_numbers(terms, number_of) for terms in vocabularies], documents, len(names))
        names = merge.without_empty_lists(names)
        if number_of is largest and len(names) == len(largest):
            vectorizer = indexes[vocabularies.index(largest)].vectorizer
        else:
            vectorizer = vectorizer._with_terms(names)
        return first._merged(indexes, merge, vectorizer)

    def _merged(self, indexes, merge, vectorizer):
        """Return the merged index; a subclass merges its other values."""
        return Index([merge.segment()], merge.n_terms, vectorizer, learned=self.learned)

    @property
    def mean_length(self):
        """Mean length of the documents; 1 if all are empty."""
        if not self.total_length:
            return 1.0
        return self.total_length / self.n_documents

    @property
    def collection_frequencies(self):
        """Number of occurrences of each term in all documents, float64."""
        if self._collection_frequencies is None:
            total = np.zeros(self.n_terms)
            for segment in self.segments:
                total += np.bincount(owners(segment.indptr), weights=segment.counts, minlength=self.n_terms)
            if self.units is not None:
                total *= self.units
            self._collection_frequencies = total
        return self._collection_frequencies

    def contents(self, rows, impacts=None):
        """Return the terms of documents.

        Parameters
        ----------
        rows : ndarray of int64
            Documents; they may repeat.
        impacts : Impacts, default=None
            Formula of the values. If None, values are counts.

        Returns
        -------
        owners : ndarray of int64
            Position in `rows` of the document of each term, ascending.
        terms : ndarray of int64
            Terms, ascending within a document.
        values : ndarray of float64
            Value of each term in its document.
        """
        parts = []
        for s, segment in enumerate(self.segments):
            forward = self.derived(("terms of documents", s), segment.forward)
            inside = np.flatnonzero((rows >= segment.base) & (rows < segment.base + len(segment.lengths)))
            taken = forward[rows[inside] - segment.base]
            owners, terms = inside.repeat(np.diff(taken.indptr)), taken.indices.astype(np.int64)
            if impacts is None:
                values = segment.counts[taken.data]
            else:
                values = impacts.of_postings(s, terms, taken.data)
            parts.append((owners, terms, values.astype(np.float64)))
        owners, terms, values = parts[0]
        if len(parts) > 1:
            owners, terms, values = map(np.concatenate, zip(*parts))
            order = np.argsort(owners, kind="stable")
            owners, terms, values = owners[order], terms[order], values[order]
        if self.units is not None:
            values = values * self.units[terms]
        return owners, terms, values

    def impacts(self, key, weigh):
        """Return the impacts under `key`, or make them from the formula ``weigh(index)``.

        Parameters
        ----------
        key : hashable
            Name of the formula and its parameters.
        weigh : callable
            Function from the index to a `Weighting`.

        Returns
        -------
        Impacts
        """
        return self.derived(("impacts", key), lambda: Impacts(self, weigh(self)))

    def __getstate__(self):
        state = super().__getstate__()
        del state["_collection_frequencies"], state["workspaces"]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._init_derived()
