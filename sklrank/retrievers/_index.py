"""Inverted index: immutable segments, and the statistics of the documents of all segments."""

from functools import cached_property, reduce
from typing import NamedTuple

import numpy as np

from sklrank._caching import Derives
from sklrank._ragged import kept_entries, owners, spans
from sklrank.data import StringArray
from sklrank.data._layout import Layout
from sklrank.data._vocabulary import union
from sklrank.retrievers._impacts import Impacts
from sklrank.retrievers._segment import in_order, with_used_terms

_MOST_DOCUMENTS = 1 << 31  # document frequencies have 31 bits where they are packed with the number of a term
_MEMO_SIZE = 1 << 17  # terms whose numbers in the segments are remembered


class Bags(NamedTuple):
    """Weighted terms of queries, ragged.

    Attributes
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
        Bounds of the queries.
    numbers : ndarray of uint32, shape (n_entries,)
        Terms, as numbers in `terms`.
    weights : ndarray of float32, shape (n_entries,)
        Weights.
    terms : Terms
        What the numbers mean.
    """

    indptr: np.ndarray
    numbers: np.ndarray
    weights: np.ndarray
    terms: object

    @property
    def n_queries(self):
        """Number of queries."""
        return len(self.indptr) - 1

    def weighted(self, weights):
        """Return the same terms with other weights."""
        return Bags(self.indptr, self.numbers, weights, self.terms)

    def part(self, start, stop):
        """Return the bags of some queries."""
        first, last = self.indptr[start], self.indptr[stop]
        indptr = self.indptr[start : stop + 1] - first
        return Bags(indptr, self.numbers[first:last], self.weights[first:last], self.terms)


class Living:
    """Segments, and which of their documents live.

    Parameters
    ----------
    segments : list of Segment
    layout : Layout

    Attributes
    ----------
    alive : list of ndarray of uint8, shape (n_documents_of_segment,), or None
        Mask of the living documents of each segment; None if all live.
    dead : list of ndarray of int64
        The other documents of each segment, ascending.
    is_counted : bool
        Whether all values of postings are whole numbers, so that sums of them are exact.
    """

    def __init__(self, segments, layout):
        self.segments, self.layout = segments, layout
        self.alive = [layout.alive(s) for s in range(len(segments))]
        self.dead = [layout.dead(s) for s in range(len(segments))]
        self.is_counted = all(segment.is_counted for segment in segments)

    def in_order(self, values):
        """Return values of the documents of each segment, in the order of the rows of the living documents."""
        if self.layout.is_trivial:
            return values[0]
        rows = [self.layout.rows(s) for s in range(len(self.segments))]
        for own, dead in zip(rows, self.dead):
            own[dead] = -1
        return in_order(values, rows)

    def total(self, values, totals):
        """Return the sum of lengths of the living documents, given those of each segment, and their sum in each."""
        if self.is_counted:
            return sum(total - float(own[dead].sum()) for own, dead, total in zip(values, self.dead, totals))
        return float(self.in_order(values).sum())


class Terms:
    """Terms of an index, numbered in alphabetical order, and their statistics.

    Parameters
    ----------
    living : Living
    locals : list of ndarray of int64, shape (n_terms,)
        For each segment, the number there of each term; the number of the empty list if it lacks the term.
    """

    def __init__(self, living, locals):
        self.living, self._locals = living, locals

    def __len__(self):
        return len(self._locals[0])

    def local(self, s, numbers):
        """Return the numbers of terms in segment `s`."""
        return self._locals[s][numbers]

    def take(self, numbers):
        """Return some terms, numbered anew."""
        taken = Terms(self.living, [local[numbers] for local in self._locals])
        taken.document_frequencies = self.document_frequencies[numbers]
        return taken

    @cached_property
    def document_frequencies(self):
        """Number of documents that hold each term, int64."""
        return self._frequencies()

    @cached_property
    def collection_frequencies(self):
        """Number of occurrences of each term in all documents, or sum of its weights, float64."""
        total = np.zeros(len(self))
        if len(self.living.segments) == 1 or self.living.is_counted:
            self._frequencies(total)
        else:
            total = self._sums_in_order()
        units = self.living.segments[0].units
        if units is not None:
            total *= units[self._locals[0]]
        return total

    def _frequencies(self, occurrences=None):
        living, documents = self.living, np.zeros(len(self), dtype=np.int64)
        for segment, local, alive, dead in zip(living.segments, self._locals, living.alive, living.dead):
            segment.add_frequencies(local, alive, dead, documents, occurrences)
        return documents

    def _sums_in_order(self):
        """Return the sum of the weights of each term, which are added in the order of the documents."""
        found = []
        for s, segment in enumerate(self.living.segments):
            local, alive = self._locals[s], self.living.alive[s]
            postings, indptr = spans(segment.indptr[local], segment.indptr[local + 1] - segment.indptr[local])
            docs, terms = segment.docs[postings].astype(np.int64), owners(indptr)
            if alive is not None:
                live = alive[docs] != 0
                postings, docs, terms = postings[live], docs[live], terms[live]
            found.append((terms, self.living.layout.rows(s, docs), segment.counts[postings]))
        terms, rows, weights = map(np.concatenate, zip(*found))
        order = np.lexsort((rows, terms))
        return np.bincount(terms[order], weights=weights[order], minlength=len(self))


class AllTerms(Terms):
    """All terms of segments in which a term has the same number.

    Parameters
    ----------
    living : Living
    """

    def __init__(self, living):
        self.living = living

    def __len__(self):
        return self.living.segments[0].n_terms

    def local(self, s, numbers):
        """Return the numbers of terms in segment `s`, which are the same."""
        return numbers

    def take(self, numbers):
        """Return some terms, numbered anew."""
        taken = Terms(self.living, [numbers.astype(np.int64)] * len(self.living.segments))
        if self.living.layout.is_trivial:
            taken.document_frequencies = self.document_frequencies[numbers]
        return taken

    @cached_property
    def document_frequencies(self):
        """Number of documents that hold each term, int64."""
        if self.living.layout.is_trivial:
            return np.diff(self.living.segments[0].indptr[:-1])
        return self._every.document_frequencies

    @cached_property
    def collection_frequencies(self):
        """Number of occurrences of each term in all documents, or sum of its weights, float64."""
        return self._every.collection_frequencies

    @cached_property
    def _every(self):
        return self.take(np.arange(len(self)))


class Index(Derives):
    """Segments, and the statistics of their documents.

    Scores are computed from the statistics of all segments together, which are sums of integers, and are added in an
    order that depends on these statistics and on the terms. Therefore a ranking over many segments equals the ranking
    over one segment, bit for bit. The terms of a segment are those of its own documents. Only the terms of queries are
    looked up in all segments, so that a change of the documents costs nothing that grows with their number.

    Parameters
    ----------
    segments : list of Segment
        One segment for each part of the corpus.
    layout : Layout, default=None
        Rows of the documents of each segment, and which of them live. If None, the documents of a segment follow those
        of the one before, and all live.
    """

    _counted_elsewhere = "segments", "living", "analyzer"  # the cache of the corpus keeps the segments

    def __init__(self, segments, layout=None):
        if layout is None:
            layout = reduce(
                Layout.extended, (s.n_documents for s in segments[1:]), Layout.whole(segments[0].n_documents)
            )
        self.segments, self.layout = segments, layout
        self._init_derived()

    def _init_derived(self):
        self.n_documents = self.layout.n_documents
        if self.n_documents >= _MOST_DOCUMENTS:
            raise ValueError(
                f"an index holds less than 2**31 documents, got {self.n_documents}: divide them among several corpora"
            )
        self.living = Living(self.segments, self.layout)
        self.units = self.segments[0].units
        self.analyzer = self.segments[0].vectorizer  # in all segments, it is the same except for its vocabulary
        self._every = None  # all terms, their vectorizer, and their numbers
        self._locals = {}  # numbers in each segment of terms that were looked up

    @cached_property
    def total_length(self):
        """Number of tokens of all documents, or sum of their weights."""
        return self.living.total(*zip(*((segment.lengths, segment.total_length) for segment in self.segments)))

    @property
    def mean_length(self):
        """Mean length of the documents; 1 if all are empty."""
        if not self.total_length:
            return 1.0
        return self.total_length / self.n_documents

    @property
    def shares_numbers(self):
        """Whether a term has the same number in all segments, and among all terms."""
        return self.layout.is_trivial or not self.segments[0].learned

    @property
    def is_empty(self):
        """Whether there are no terms."""
        if self.shares_numbers:
            return not self.segments[0].n_terms
        return not self.total_length

    # --- all terms
    @property
    def terms(self):
        """All terms. The first request after a change of the documents merges the vocabularies of the segments."""
        return self._all[0]

    @property
    def vectorizer(self):
        """Fitted vectorizer with all terms, or None."""
        return self._all[1]

    @property
    def n_terms(self):
        """Number of all terms."""
        return len(self.terms)

    @property
    def document_frequencies(self):
        """Number of documents that hold each term, int64."""
        return self.terms.document_frequencies

    def numbers(self, s, local):
        """Return the numbers among all terms of terms of segment `s`; -1 for a term without a living document."""
        if self.shares_numbers:
            return local
        return self._all[2][s][local]

    @property
    def _all(self):
        if self._every is None:
            if self.shares_numbers:
                self._every = AllTerms(self.living), self.analyzer, None
            else:
                self._every = self._union()
        return self._every

    def _union(self):
        merged, numbers = union([segment.vectorizer.vocabulary_ for segment in self.segments])
        locals = []
        for segment, own in zip(self.segments, numbers):
            local = np.full(len(merged), segment.n_terms, dtype=np.int64)
            local[own] = np.arange(segment.n_terms)
            locals.append(local)
        used = Terms(self.living, locals).document_frequencies > 0
        number_of = np.where(used, np.cumsum(used) - 1, -1)
        vectorizer = with_used_terms(self.segments, merged, used)
        return Terms(self.living, [local[used] for local in locals]), vectorizer, [number_of[own] for own in numbers]

    # --- terms of queries
    def bags(self, indptr, numbers, weights, among_all=False):
        """Return weighted terms of queries.

        Parameters
        ----------
        indptr, numbers, weights : ndarray
            As in `Bags`. The numbers are those among all terms.
        among_all : bool, default=False
            Whether to keep the numbers. If False, the terms may be numbered anew, which needs no statistics of others.

        Returns
        -------
        Bags
        """
        if among_all or self.layout.is_trivial:
            return Bags(indptr, numbers, weights, self.terms)
        used, numbers = np.unique(numbers, return_inverse=True)
        return Bags(indptr, numbers.astype(np.uint32), weights, self.terms.take(used))

    def bags_of_texts(self, texts, among_all=False):
        """Return the terms of texts, each with the weight 1, if the vectorizer is a `TermVectorizer`.

        Parameters
        ----------
        texts : list of str
        among_all : bool, default=False
            As for `bags`.

        Returns
        -------
        Bags
        """
        if among_all or self.shares_numbers:
            numbers, indptr = self.vectorizer.token_ids(texts)
            return self.bags(indptr, numbers, np.ones(len(numbers), dtype=np.float32), among_all)
        names, numbers, indptr = self.analyzer._tokens(texts)
        terms = Terms(self.living, self._look_up(names))
        known = (terms.document_frequencies > 0)[numbers]
        if not known.all():
            entries, indptr = kept_entries(indptr, known)
            numbers = numbers[entries]
        return Bags(indptr, numbers, np.ones(len(numbers), dtype=np.float32), terms)

    def _look_up(self, names):
        """Return the numbers of terms in each segment."""
        memo = self._locals
        if len(memo) > _MEMO_SIZE:
            memo.clear()
        new = [name for name in names if name not in memo]
        if new:
            asked, found = StringArray.from_strings(new), []
            for segment in self.segments:
                rows = segment.vectorizer.vocabulary_.rows(asked)
                found.append(np.where(rows < 0, segment.n_terms, rows))
            memo.update(zip(new, zip(*(rows.tolist() for rows in found))))
        return list(np.array([memo[name] for name in names], dtype=np.int64).reshape(-1, len(self.segments)).T.copy())

    # --- contents of documents
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
            Numbers among all terms, ascending within a document.
        values : ndarray of float64
            Value of each term in its document.
        """
        found = []
        parts, locals = self.layout.locate(rows)
        for s, segment in enumerate(self.segments):
            inside = np.flatnonzero(parts == s)
            taken = segment.forward()[locals[inside]]
            holders, terms = inside.repeat(np.diff(taken.indptr)), self.numbers(s, taken.indices.astype(np.int64))
            if impacts is None:
                values = segment.counts[taken.data]
            else:
                values = impacts.of_postings(s, self.terms, terms, taken.data)
            found.append((holders, terms, values.astype(np.float64)))
        holders, terms, values = map(np.concatenate, zip(*found))
        order = np.argsort(holders, kind="stable")
        holders, terms, values = holders[order], terms[order], values[order]
        if self.units is not None:
            values = values * self.units[terms]
        return holders, terms, values

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

    def check_content(self):
        """Raise ValueError if the layout of a file is that of other segments."""
        if list(self.layout.sizes) != [segment.n_documents for segment in self.segments]:
            raise ValueError("the segments of an index have other numbers of documents than their layout")

    def __getstate__(self):
        return {"segments": self.segments, "layout": self.layout}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._init_derived()
