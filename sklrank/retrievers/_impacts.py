"""Impacts of postings, which are their contributions to scores under one formula, and the search over them."""

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

SMALL_CORPUS = 1 << 15  # documents; smaller segments are not pruned, and the kernel for it is not compiled
_NO_BIAS = np.empty(0, dtype=np.float32)
_FEW_POSTINGS = 1 << 14  # of a query; for more postings, the bounds that pruning needs are worth their cost
_LARGEST = 1e30  # contribution of a term up to which queries are pruned, so that all bounds are finite
_KEYS = 1 << 22  # documents that may be returned for all queries of one step


@dataclass(frozen=True)
class Weighting:
    """Formula that makes impacts of counts; see the forms in `_kernels._impacts`.

    Attributes
    ----------
    form : int
        The formula.
    scales : ndarray of float64, shape (n_terms,)
        Factor of each term, such as its inverse document frequency.
    norms : list of ndarray of float64
        Norm of each document, for each segment.
    first, second : float
        Parameters of the formula.
    bias : list of ndarray of float32, default=None
        Score that each document gets for each query term, whether it holds the term or not, for each segment.
    counts : list of ndarray of float32, default=None
        Values to use instead of the counts, for each segment.
    dtype : dtype, default=float32
        Type of the impacts; uint8 if they are integers below 256.
    rows : bool, default=False
        Whether to keep the impacts of frequent terms as rows of all documents, in a corpus that is not pruned. This
        takes memory, and pays if queries have many frequent terms.
    counted : bool, default=True
        Whether the values of postings are counts rather than weights.
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
    counted: bool = True


class Impacts:
    """Impacts of postings under one formula, computed list by list when a query needs them.

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
        self._peak = 0.0  # the largest magnitude of all impacts computed so far
        self._bias = max((float(np.abs(bias).max(initial=0)) for bias in weighting.bias or ()), default=0.0)
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
        """Compute the lists of `terms` that are not computed yet."""
        if self._ready[terms].all():
            return
        w = self.weighting
        with self._lock:
            terms = np.unique(terms[~self._ready[terms]])
            for s, segment in enumerate(self.segments):
                counts = segment.counts if w.counts is None else w.counts[s]
                peak = fill_impacts(
                    terms, segment.indptr, segment.docs, counts, w.scales, w.norms[s],
                    w.form, w.first, w.second, self._values[s], self._maxima[s], self._reaches,
                )  # fmt: skip
                if not np.isfinite(peak):
                    raise ValueError(
                        "the scores of some documents are not finite in single precision: give parameters and weights "
                        "that are nearer to 1"
                    )
                self._peak = max(self._peak, float(peak))
                if self._prunes:
                    lists = segment.indptr, segment.docs, self._values[s], self._maxima[s]
                    fill_codes(terms, *lists, *self._codes[s])
                if self._has_rows:
                    fill_rows(terms, segment.indptr, segment.docs, self._values[s], *self._rows[s])
            self._ready[terms] = True  # after the values, because other threads read it without the lock

    def of_postings(self, s, terms, positions):
        """Return the impacts of the postings of `terms` at these positions of segment `s`."""
        self._fill(np.unique(terms))
        return self._values[s][positions]

    def order(self, indptr, terms, weights):
        """Order the terms of queries as their scores are added, and compute the impacts of these terms."""
        indptr, terms, weights = order_terms(indptr, terms, weights, self._df)
        self._fill(terms)
        return indptr, terms, weights

    def search(self, indptr, terms, weights, k, masks, mask_of, n_jobs):
        """Return the k best documents of each query.

        Parameters
        ----------
        indptr, terms, weights : ndarray of int64, uint32, float32
            Terms of the queries, ragged.
        k : int
            Number of documents to return for each query.
        masks : ndarray of uint8, shape (n_masks, n_documents)
            Documents that may be returned.
        mask_of : ndarray of int64, shape (n_queries,) or (0,)
            Mask of each query, -1 for none; empty if no query has a mask.
        n_jobs : int or None
            Number of threads.

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
        """Search for a few queries on one thread; see `search`."""
        indptr, terms, weights = self.order(indptr, terms, weights)
        n_queries = len(indptr) - 1
        keys = [np.empty((n_queries, k), dtype=np.int64) for _ in self.segments]
        counts = np.zeros((len(self.segments), n_queries), dtype=np.int64)
        small = self._is_added_up(indptr, terms, weights)
        few, many = small.nonzero()[0], (~small).nonzero()[0]
        space = self._borrow(k)
        for s, segment in enumerate(self.segments):
            sums, accumulators, rows, *others = space[1][s]
            inside = np.ascontiguousarray(masks[:, segment.base : segment.base + len(segment.lengths)])
            if len(few):
                bias = _NO_BIAS
                if self.weighting.bias is not None:
                    bias = self.weighting.bias[s]
                search_all(
                    few, indptr, terms, weights, segment.indptr, segment.docs, self._values[s], bias, inside, mask_of,
                    k, segment.base, sums, rows, others[-1], keys[s], counts[s],
                )  # fmt: skip
            if len(many) and self._has_rows:
                search_rows(
                    many, indptr, terms, weights, segment.indptr, segment.docs, self._values[s], *self._rows[s],
                    inside, mask_of, k, segment.base, sums, others[-1], keys[s], counts[s],
                )  # fmt: skip
            elif len(many):
                search_pruned(
                    many, indptr, terms, weights, segment.indptr, segment.docs, self._values[s], self._maxima[s],
                    *segment.skips, *self._codes[s], inside, mask_of, k, segment.base, accumulators, rows, *others,
                    keys[s], counts[s],
                )  # fmt: skip
        self._workspaces.append(space)
        if len(self.segments) > 1:
            keys, counts = merge(keys, counts, k)
        else:
            keys, counts = keys[0], counts[0]
        ranked = lengths_to_indptr(counts)
        rows, scores = decode(keys, counts)
        self._check_finite(indptr, weights, ranked, scores)
        return ranked, rows, scores

    def _check_finite(self, indptr, weights, ranked, scores):
        """Raise ValueError if the weights of a query make scores infinite, given the weights and the rankings."""
        heaviest = float(np.abs(weights).max(initial=0))
        if len(weights) * heaviest * (self._peak + self._bias) < _LARGEST:
            return  # nearly always: the product bounds all scores
        wrong = ~np.isfinite(scores)
        if wrong.any():
            query = owners(ranked)[wrong][0]
            heaviest = np.abs(weights[indptr[query] : indptr[query + 1]]).max()
            raise ValueError(
                f"a query has the weight {heaviest:g}, with which the scores of some documents are not finite in "
                "single precision: scale the weights of queries down"
            )

    def _is_added_up(self, indptr, terms, weights):
        """Return the mask of the queries that are answered by scoring every document that holds one of their terms.

        These queries have few postings, or a term whose contribution has no bound because of negative weights or
        impacts.
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
        with np.errstate(over="ignore", invalid="ignore"):  # 0 times infinity is NaN, which is not below the limit
            bounded = (weights >= 0) & (weights * self._reaches[terms] < _LARGEST)
        if not bounded.all():
            few[owners(indptr)[~bounded]] = True
        return few

    def _borrow(self, k):
        """Return scratch arrays for one thread; they are large, and are therefore kept and used again."""
        try:
            largest, spaces = self._workspaces.pop()
        except IndexError:
            largest = -1
        if largest < k:
            spaces = [workspace(len(segment.lengths), k) for segment in self.segments]
            largest = k
        return largest, spaces

    def contributions(self, terms, weights, row):
        """Return the contribution of each of `terms` to the score of document `row`, and that of its bias.

        Returns
        -------
        contributions : ndarray of float32, shape (n_terms,)
        counts : ndarray of float64, shape (n_terms,)
            Occurrences of each term in the document.
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
        bias = 0.0
        if self.weighting.bias is not None and len(weights):
            total = weights.cumsum()[
                -1
            ]  # added one by one, as the kernels do; `np.sum` adds pairs, and rounds otherwise
            bias = float(total * self.weighting.bias[s][local])
        return values, counts, bias
