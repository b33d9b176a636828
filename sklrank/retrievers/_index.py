"""The inverted index: immutable segments, and the statistics of all of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from sklrank._caching import Derives
from sklrank._kernels._postings import invert, invert_matrix, skip_table
from sklrank._ragged import owners
from sklrank.retrievers._impacts import SMALL_CORPUS, Impacts


@dataclass(frozen=True)
class Segment:
    """Postings of a range of documents, term by term.

    Attributes
    ----------
    base : int
        Row of its first document.
    lengths : ndarray of float64, shape (n_documents,)
        Tokens in each document, or the sum of its weights.
    indptr : ndarray of int64, shape (n_terms + 1,)
        Bounds of the terms' lists.
    docs : ndarray of uint32, shape (n_postings,)
        Documents, counted from `base`, ascending within a list.
    counts : ndarray of uint8, uint16, uint32 or float32, shape (n_postings,)
        How often the term occurs in the document, or its weight there.
    """

    base: int
    lengths: np.ndarray
    indptr: np.ndarray
    docs: np.ndarray
    counts: np.ndarray

    def __post_init__(self):
        if len(self.lengths) > SMALL_CORPUS:
            self.skips  # noqa: B018 (made here, so that a saved segment has them)
        # Memory maps are read-only, and a kernel is compiled anew for what may be written.
        for array in (self.lengths, self.indptr, self.docs, self.counts):
            array.flags.writeable = False

    def forward(self):
        """The terms of each document, and the postings that say so: CSR of shape (n_documents, n_terms)."""
        positions = np.arange(len(self.docs), dtype=sparse.get_index_dtype(maxval=len(self.docs)))
        shape = len(self.lengths), len(self.indptr) - 1
        return sparse.csc_array((positions, self.docs.astype(np.int64), self.indptr), shape=shape).tocsr()

    @cached_property
    def skips(self):
        """Where in a long list a document stands, for searches that prune."""
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

        Counts are of the given `dtype`, by default the smallest that holds them; where there are `units`, they are
        multiples of the unit of the term, rounded, and at least 1.
        """
        data = matrix.data
        if dtype is None:
            whole = data.dtype.kind in "iu" or (data == np.trunc(data)).all()
            largest = data.max(initial=0)
            dtype = np.float32 if not whole or largest >= 2**32 else np.uint16 if largest < 2**16 else np.uint32
        if units is not None:
            data = np.maximum(np.rint(data / units[matrix.indices]), 1)
        lengths = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()
        indptr, indices = matrix.indptr.astype(np.int64), matrix.indices.astype(np.uint32)
        return cls(base, lengths, *invert_matrix(indptr, indices, data.astype(np.float64), matrix.shape[1], dtype))


class Index(Derives):
    """Segments, and what is known of all of them together.

    Scores come from the statistics of the whole index, which are sums of integers: a ranking over many segments
    equals that over one, bit for bit.

    Parameters
    ----------
    segments : list of Segment
        In the order of their documents.
    n_terms : int
        Number of terms.
    vectorizer : transformer or None
        What turned texts into terms, fitted.
    units : ndarray of float64, shape (n_terms,), default=None
        What a count of 1 stands for, term by term, where weights are kept as small integers.
    """

    def __init__(self, segments, n_terms, vectorizer=None, units=None):
        self.segments = segments
        self.n_terms = n_terms
        self.vectorizer = vectorizer
        self.units = units
        self.n_documents = sum(len(segment.lengths) for segment in segments)
        self.total_length = sum(float(segment.lengths.sum()) for segment in segments)
        self.document_frequencies = sum(np.diff(segment.indptr) for segment in segments)
        self._init_derived()

    def _init_derived(self):
        self.workspaces = []  # (largest k, scratch arrays of each segment), those that no thread uses just now
        self._collection_frequencies = None

    @property
    def mean_length(self):
        """Mean length of the documents."""
        return self.total_length / self.n_documents if self.total_length else 1.0

    @property
    def collection_frequencies(self):
        """Occurrences of each term in all documents, float64."""
        if self._collection_frequencies is None:
            total = np.zeros(self.n_terms)
            for segment in self.segments:
                total += np.bincount(owners(segment.indptr), weights=segment.counts, minlength=self.n_terms)
            self._collection_frequencies = total if self.units is None else total * self.units
        return self._collection_frequencies

    def contents(self, rows, impacts=None):
        """The terms of documents.

        Parameters
        ----------
        rows : ndarray of int64
            The documents; one may come several times.
        impacts : Impacts, default=None
            Formula that says what a term is worth in a document. ``None``: as often as it occurs there.

        Returns
        -------
        owners : ndarray of int64
            Position in `rows` of the document that each term stands in, ascending.
        terms : ndarray of int64
            Terms, ascending within a document.
        values : ndarray of float64
            What each is worth.
        """
        parts = []
        for s, segment in enumerate(self.segments):
            forward = self.derived(("terms of documents", s), segment.forward)
            inside = np.flatnonzero((rows >= segment.base) & (rows < segment.base + len(segment.lengths)))
            taken = forward[rows[inside] - segment.base]
            owners, terms = inside.repeat(np.diff(taken.indptr)), taken.indices.astype(np.int64)
            values = segment.counts[taken.data] if impacts is None else impacts.of_postings(s, terms, taken.data)
            parts.append((owners, terms, values.astype(np.float64)))
        owners, terms, values = map(np.concatenate, zip(*parts)) if len(parts) > 1 else parts[0]
        if len(parts) > 1:
            order = np.argsort(owners, kind="stable")
            owners, terms, values = owners[order], terms[order], values[order]
        return owners, terms, values if self.units is None else values * self.units[terms]

    def impacts(self, key, weigh):
        """The impacts under `key`, with formulas by ``weigh(index)`` where they are not there yet.

        Parameters
        ----------
        key : hashable
            The formula and its parameters.
        weigh : callable
            Takes the index, returns a `Weighting`.

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
