"""Impacts, what each posting adds to a score under one formula, and the search over them."""

import threading
from dataclasses import dataclass

import numpy as np

from sklrank._kernels._impacts import fill_impacts
from sklrank._kernels._search import (
    code_table,
    decode,
    fill_codes,
    fill_rows,
    merge,
    order_terms,
    row_table,
    search_all,
    search_pruned,
    search_rows,
    workspace,
)
from sklrank._ragged import lengths_to_indptr, owners, sums
from sklrank._threads import over_ranges
from sklrank.retrievers._rankings import concatenate

SMALL_CORPUS = 1 << 15  # documents; in a segment of no more, pruning never pays, and its kernel is not compiled
_NO_BIAS = np.empty(0, dtype=np.float32)
_FEW_POSTINGS = 1 << 14  # of a query; more are worth the bounds that pruning needs
_LARGEST = 1e30  # of what a term may add to a score for pruning, whose bounds are then finite
_KEYS = 1 << 22  # documents that may be found by the queries that are answered together


@dataclass(frozen=True)
class Weighting:
    """How a count becomes an impact; see the forms in `_kernels._impacts`.

    Attributes
    ----------
    form : int
        The formula.
    scales : ndarray of float64, shape (n_terms,)
        Factor of each term, such as its inverse document frequency.
    norms : list of ndarray of float64
        For each segment the norm of each document.
    first, second : float
        Parameters of the formula.
    bias : list of ndarray of float32, default=None
        For each segment what a document gets for each query term, matched or not.
    counts : list of ndarray of float32, default=None
        For each segment what stands in for its counts.
    dtype : dtype, default=float32
        That of the impacts; uint8 where they are integers below 256.
    rows : bool, default=False
        Whether queries have many frequent terms, so that it is worth the memory to keep the impacts of these as rows
        of all documents, in a corpus that is not pruned.
    """

    form: int
    scales: np.ndarray
    norms: list
    first: float = 0.0
    second: float = 0.0
    bias: list | None = None
    counts: list | None = None
    dtype: type = np.float32
    rows: bool = False


class Impacts:
    """What each posting adds to a score under one formula, computed list by list as queries touch them.

    Parameters
    ----------
    index : Index
        The postings.
    weighting : Weighting
        The formula.
    """

    def __init__(self, index, weighting):
        self.segments = index.segments
        self.weighting = weighting
        self._df = index.document_frequencies
        self._values = [np.empty(len(segment.docs), dtype=weighting.dtype) for segment in index.segments]
        self._maxima = [np.zeros(index.n_terms, dtype=np.float32) for _ in index.segments]
        self._reaches = np.zeros(index.n_terms, dtype=np.float32)
        self._prunes = weighting.bias is None and max(len(s.lengths) for s in index.segments) > SMALL_CORPUS
        if self._prunes:
            self._codes = [code_table(segment.indptr, len(segment.lengths)) for segment in index.segments]
        self._has_rows = weighting.rows and not self._prunes
        if self._has_rows:
            self._rows = [row_table(segment.indptr, len(segment.lengths)) for segment in index.segments]
        self._ready = np.zeros(index.n_terms, dtype=bool)
        self._lock = threading.Lock()
        self._workspaces = index.workspaces

    def _fill(self, terms):
        """Compute the lists of `terms` that are not there yet."""
        if self._ready[terms].all():
            return
        w = self.weighting
        with self._lock:
            terms = np.unique(terms[~self._ready[terms]])
            for s, segment in enumerate(self.segments):
                counts = segment.counts if w.counts is None else w.counts[s]
                finite = fill_impacts(
                    terms, segment.indptr, segment.docs, counts, w.scales, w.norms[s],
                    w.form, w.first, w.second, self._values[s], self._maxima[s], self._reaches,
                )  # fmt: skip
                if not finite:
                    raise ValueError(
                        "the scores of some documents are not finite in single precision: give parameters and weights "
                        "that are nearer to 1"
                    )
                if self._prunes:
                    lists = segment.indptr, segment.docs, self._values[s], self._maxima[s]
                    fill_codes(terms, *lists, *self._codes[s])
                if self._has_rows:
                    fill_rows(terms, segment.indptr, segment.docs, self._values[s], *self._rows[s])
            self._ready[terms] = True  # after the values, for those who look without the lock

    def of_postings(self, s, terms, positions):
        """The impacts of postings of segment `s`, which are those of `terms` at these positions."""
        self._fill(np.unique(terms))
        return self._values[s][positions]

    def order(self, indptr, terms, weights):
        """Bring the terms of queries into the order in which scores are added, with their impacts computed."""
        indptr, terms, weights = order_terms(indptr, terms, weights, self._df)
        self._fill(terms)
        return indptr, terms, weights

    def search(self, indptr, terms, weights, k, masks, mask_of, n_jobs):
        """The k best documents of each query.

        Parameters
        ----------
        indptr, terms, weights : ndarray of int64, uint32, float32
            The queries' terms, ragged.
        k : int
            The cutoff.
        masks : ndarray of uint8, shape (n_masks, n_documents)
            Documents that may be found.
        mask_of : ndarray of int64, shape (n_queries,) or (0,)
            Mask of each query, -1 for none; empty where no query has one.
        n_jobs : int or None
            Threads.

        Returns
        -------
        indptr, rows, scores : ndarray of int64, int64, float32
            Ragged rankings.
        """
        k = min(k, sum(len(segment.lengths) for segment in self.segments))
        step = max(1, _KEYS // k)
        parts = {}

        def work(start, stop):
            for first in range(start, stop, step):
                last = min(first + step, stop)
                begin, end = indptr[first], indptr[last]
                queries = indptr[first : last + 1] - begin, terms[begin:end], weights[begin:end]
                parts[first] = self._search(*queries, k, masks, mask_of[first:last])

        over_ranges(work, len(indptr) - 1, n_jobs)
        return concatenate([parts[first] for first in sorted(parts)])

    def _search(self, indptr, terms, weights, k, masks, mask_of):
        """`search` of a few queries on one thread."""
        indptr, terms, weights = self.order(indptr, terms, weights)
        n_queries = len(indptr) - 1
        keys = [np.empty((n_queries, k), dtype=np.int64) for _ in self.segments]
        counts = np.zeros((len(self.segments), n_queries), dtype=np.int64)
        small = self._is_added_up(indptr, terms, weights)
        few, many = small.nonzero()[0], (~small).nonzero()[0]
        space = self._borrow(k)
        for s, segment in enumerate(self.segments):
            sums, accumulators, rows, *others = space[1][s]
            own = masks[:, segment.base : segment.base + len(segment.lengths)] if len(self.segments) > 1 else masks
            own = np.ascontiguousarray(own)
            if len(few):
                bias = _NO_BIAS if self.weighting.bias is None else self.weighting.bias[s]
                search_all(
                    few, indptr, terms, weights, segment.indptr, segment.docs, self._values[s], bias, own, mask_of,
                    k, segment.base, sums, rows, others[-1], keys[s], counts[s],
                )  # fmt: skip
            if len(many) and self._has_rows:
                search_rows(
                    many, indptr, terms, weights, segment.indptr, segment.docs, self._values[s], *self._rows[s],
                    own, mask_of, k, segment.base, sums, others[-1], keys[s], counts[s],
                )  # fmt: skip
            elif len(many):
                search_pruned(
                    many, indptr, terms, weights, segment.indptr, segment.docs, self._values[s], self._maxima[s],
                    *segment.skips, *self._codes[s], own, mask_of, k, segment.base, accumulators, rows, *others,
                    keys[s], counts[s],
                )  # fmt: skip
        self._workspaces.append(space)
        keys, counts = (keys[0], counts[0]) if len(self.segments) == 1 else merge(keys, counts, k)
        return lengths_to_indptr(counts), *decode(keys, counts)

    def _is_added_up(self, indptr, terms, weights):
        """Mask of the queries that are answered by scoring every document.

        These have few postings, or terms whose share of the score has no bound: with negative weights or impacts.
        """
        n_queries = len(indptr) - 1
        if self._prunes:
            limit = _FEW_POSTINGS
        elif self._has_rows:
            limit = sum(len(segment.lengths) for segment in self.segments) // 2
        else:
            return np.ones(n_queries, dtype=bool)
        few = sums(indptr, self._df[terms]) <= limit
        if few.all():
            return few
        with np.errstate(invalid="ignore"):  # 0 times infinity, which is no bound either
            bounded = (weights >= 0) & (weights * self._reaches[terms] < _LARGEST)
        if not bounded.all():
            few[owners(indptr)[~bounded]] = True
        return few

    def _borrow(self, k):
        """Scratch arrays for one thread; they are as large as the index, so they are kept and lent."""
        try:
            largest, spaces = self._workspaces.pop()
        except IndexError:
            largest = -1
        if largest < k:
            spaces = [workspace(len(segment.lengths), k) for segment in self.segments]
            largest = k
        return largest, spaces

    def contributions(self, terms, weights, row):
        """What each of `terms` adds to the score of document `row`, and what its bias does.

        Returns
        -------
        contributions : ndarray of float32, shape (n_terms,)
        counts : ndarray of float64, shape (n_terms,)
            How often each term occurs in the document.
        bias : float
        """
        self._fill(terms)
        s = next(i for i, segment in reversed(list(enumerate(self.segments))) if segment.base <= row)
        segment = self.segments[s]
        local = row - segment.base
        values, counts = np.zeros(len(terms), dtype=np.float32), np.zeros(len(terms))
        for i, t in enumerate(terms.tolist()):
            start, stop = segment.indptr[t], segment.indptr[t + 1]
            p = start + np.searchsorted(segment.docs[start:stop], local)
            if p < stop and segment.docs[p] == local:
                values[i] = weights[i] * self._values[s][p]
                counts[i] = segment.counts[p]
        bias = 0.0 if self.weighting.bias is None else float(_sequential_sum(weights) * self.weighting.bias[s][local])
        return values, counts, bias


def _sequential_sum(values):
    """Sum in the order in which a loop adds; `np.sum` adds in pairs, which rounds otherwise."""
    return np.cumsum(values)[-1] if len(values) else values.dtype.type(0)
