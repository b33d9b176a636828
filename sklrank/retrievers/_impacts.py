"""Impacts of postings, which are their contributions to scores under one formula, and the search over them."""

import tempfile
import threading
from dataclasses import dataclass

import numpy as np

from sklrank._caching import is_mapped
from sklrank._kernels._impacts import fill_impacts
from sklrank._kernels._search import (
    GROUP,
    code_table,
    decode,
    fill_codes,
    fill_rows,
    order_terms,
    row_table,
    search_all,
    search_coded,
    search_pruned,
    search_rows,
    workspace,
)
from sklrank._ragged import lengths_to_indptr, owners, sums
from sklrank._threads import over_ranges
from sklrank.retrievers._rankings import concatenate
from sklrank.retrievers._segment import SMALL

_NO_BIAS = np.empty(0, dtype=np.float32)
_FEW_POSTINGS = 1 << 14  # of a query; for more postings, the bounds that pruning needs are worth their cost
_FEW_MORE = 1 << 12  # the same, in segments that are searched when the largest one has given a k-th best score
# Postings of a query per document from which the codes of all documents are added up: of a query whose terms all have
# codes, and of another one, whose rare terms may spare the lists of the frequent ones.
_SOME, _MANY = 0.25, 2.5
_SMALL_ROOM = 1 << 20  # bytes of impacts of a memory-mapped segment up to which they are kept in memory
_LARGEST = 1e30  # contribution of a term up to which queries are pruned, so that all bounds are finite
_KEYS = 1 << 22  # documents that may be returned for all queries of one step


@dataclass(frozen=True)
class Weighting:
    """Formula that makes impacts of counts; see the forms in `_kernels._impacts`.

    Attributes
    ----------
    form : int
        The formula.
    scale : callable
        Function from `Terms` to the factor of each, float64, such as its inverse document frequency. It must not hold
        the index.
    norms : list of ndarray of float64
        Norm of each document, for each segment.
    first, second : float
        Parameters of the formula.
    bias : list of ndarray of float32, default=None
        Score that each document gets for each query term, whether it holds the term or not, for each segment.
    counts : list of callable, default=None
        For each segment, a function from terms of the segment to the values to use instead of the counts, float32, of
        which those of the lists of these terms are set.
    dtype : dtype, default=float32
        Type of the impacts; uint8 if they are integers below 256.
    rows : bool, default=False
        Whether to keep the impacts of frequent terms as rows of all documents, in a corpus that is not pruned. This
        takes memory, and pays if queries have many frequent terms.
    counted : bool, default=True
        Whether the values of postings are counts rather than weights.
    """

    form: int
    scale: object
    norms: list
    first: float = 0.0
    second: float = 0.0
    bias: list | None = None
    counts: list | None = None
    dtype: type = np.float32
    rows: bool = False
    counted: bool = True


class _Lists:
    """Impacts of the postings of one segment, computed list by list when a query needs them, and the search over them.

    Parameters
    ----------
    segment : Segment
    weighting : Weighting
    s : int
        Number of the segment.
    prunes : bool
        Whether to leave out documents that cannot enter the ranking.
    is_first : bool
        Whether it is searched before all other segments.
    positions : tuple of (int, ndarray of int64)
        Positions of the documents, as from `Layout.positions`.
    """

    _counted_elsewhere = ("segment",)

    def __init__(self, segment, weighting, s, prunes, is_first, positions):
        self.segment, self.weighting, self._positions = segment, weighting, positions
        self._is_first = is_first
        self.bias = _NO_BIAS if weighting.bias is None else weighting.bias[s]
        self._counts = None if weighting.counts is None else weighting.counts[s]
        self._norms = weighting.norms[s]
        n_lists, n_documents = segment.n_terms + 1, segment.n_documents
        self.values = self._room(len(segment.docs), weighting.dtype)
        self._maxima = np.zeros(n_lists, dtype=np.float32)
        self._reaches = np.zeros(n_lists, dtype=np.float32)
        self.peak = 0.0  # the largest magnitude of all impacts computed so far
        self._prunes = prunes
        if self._prunes:
            self._codes = code_table(segment.indptr, n_documents, self._room)
        self._has_rows = weighting.rows and not self._prunes
        if self._has_rows:
            self._rows = row_table(segment.indptr, n_documents)
        self._ready = np.zeros(n_lists, dtype=bool)
        self._lock = threading.Lock()

    def _room(self, shape, dtype):
        """Return an array to fill: in a temporary file if the postings are memory-mapped, else in memory.

        What is derived from a memory-mapped index may be as large as the index. In a file, the operating system can
        write it out when memory is short, so that an index larger than memory can be searched.
        """
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if n_bytes < _SMALL_ROOM or not is_mapped(self.segment.docs):
            return np.empty(shape, dtype=dtype)
        with tempfile.TemporaryFile() as file:
            return np.asarray(np.memmap(file, dtype=dtype, mode="w+", shape=shape))

    def are_ready(self, terms):
        """Return whether the lists of all these terms are computed."""
        return self._ready[terms].all()

    def fill(self, terms, scales):
        """Compute the lists of terms that are not computed yet, given the scale of each."""
        with self._lock:
            new = ~self._ready[terms]
            if new.any():
                self._fill(terms[new], scales[new])
                self._ready[terms] = True  # after the values, because other threads read it without the lock

    def _fill(self, terms, scales):
        segment, w = self.segment, self.weighting
        counts = segment.counts if self._counts is None else self._counts(terms)
        peak = fill_impacts(
            terms, segment.indptr, segment.docs, counts, scales, self._norms,
            w.form, w.first, w.second, self.values, self._maxima, self._reaches,
        )  # fmt: skip
        if not np.isfinite(peak):
            raise ValueError(
                "the scores of some documents are not finite in single precision: give parameters and weights that are "
                "nearer to 1"
            )
        self.peak = max(self.peak, float(peak))
        if self._prunes:
            fill_codes(terms, segment.indptr, segment.docs, self.values, self._maxima, *self._codes)
        if self._has_rows:
            fill_rows(terms, segment.indptr, segment.docs, self.values, *self._rows)

    def search(self, indptr, terms, weights, k, masks, mask_of, space, keys, counts):
        """Put those documents into the k best ones of each query, given by their keys and counts, that belong there."""
        segment = self.segment
        n = segment.n_documents
        all_sums, accumulators, all_rows, all_values, all_bounds, histogram, scratch = space
        sums, rows = all_sums[:n], all_rows[: n + 1]
        lists = segment.indptr, segment.docs, self.values
        queries, out = (indptr, terms, weights), (scratch, keys, counts)
        options = masks, mask_of, k, *self._positions
        few, many = self._split(*queries)
        pruned = rows, all_values[: n + 1], all_bounds[: n + 1], histogram
        if len(many) and self._prunes:
            many = self._search_coded(many, queries, options, pruned, out)
        if len(few):
            search_all(few, *queries, *lists, self.bias, *options, sums, rows, *out)
        if len(many) and self._has_rows:
            search_rows(many, *queries, *lists, *self._rows, *options, sums, *out)
        elif len(many):
            search_pruned(
                many, *queries, *lists, self._maxima, *segment.skips, *self._codes, *options, accumulators, *pruned,
                *out,
            )  # fmt: skip

    def _search_coded(self, chosen, queries, options, scratch, out):
        """Answer those of some queries whose terms are frequent; return the others."""
        segment = self.segment
        indptr, terms, _ = queries
        sizes = segment.indptr[terms.astype(np.int64) + 1] - segment.indptr[terms]
        n_postings, n_rare = sums(indptr, sizes)[chosen], sums(indptr, self._codes[0][terms] < 0)[chosen]
        frequent = n_postings > np.where(n_rare > 0, _MANY, _SOME) * segment.n_documents
        coded = chosen[frequent]
        if not len(coded):
            return chosen
        left = np.empty(len(coded), dtype=np.int64)
        totals = np.empty(-(-segment.n_documents // GROUP) * GROUP, dtype=np.uint16)
        n_left = search_coded(
            coded, *queries, segment.indptr, segment.docs, self.values, self._maxima, *segment.skips, *self._codes,
            *options, totals, *scratch, *out, left,
        )  # fmt: skip
        return np.concatenate([chosen[~frequent], left[:n_left]])

    def _split(self, indptr, terms, weights):
        """Return the queries that are answered by scoring every document that holds one of their terms, and the others.

        The former have few postings, or a term whose contribution has no bound because of negative weights or impacts.
        """
        n_queries, limit = len(indptr) - 1, len(self.segment.docs)
        if self._has_rows:
            limit = self.segment.n_documents // 2
        elif self._prunes:
            limit = _FEW_POSTINGS if self._is_first else _FEW_MORE
        if len(self.segment.docs) <= limit:
            return np.arange(n_queries), np.empty(0, dtype=np.int64)
        sizes = self.segment.indptr[terms.astype(np.int64) + 1] - self.segment.indptr[terms]
        few = sums(indptr, sizes) <= limit
        if not few.all():
            with np.errstate(over="ignore", invalid="ignore"):  # 0 times infinity is NaN, which is not below the limit
                bounded = (weights >= 0) & (weights * self._reaches[terms] < _LARGEST)
            if not bounded.all():
                few[owners(indptr)[~bounded]] = True
        return few.nonzero()[0], (~few).nonzero()[0]

    def contributions(self, terms, weights, local):
        """Return the contributions of terms to the score of a document, and its counts of the terms."""
        segment = self.segment
        values, counts = np.zeros(len(terms), dtype=np.float32), np.zeros(len(terms))
        for i, t in enumerate(terms.tolist()):
            start, stop = segment.indptr[t], segment.indptr[t + 1]
            p = start + np.searchsorted(segment.docs[start:stop], local)
            if p < stop and segment.docs[p] == local:
                values[i] = weights[i] * self.values[p]
                counts[i] = segment.counts[p]
        return values, counts


class Impacts:
    """Impacts of the postings of an index under one formula.

    Parameters
    ----------
    index : Index
        The postings.
    weighting : Weighting
        The formula.
    """

    _counted_elsewhere = ("_largest",)

    def __init__(self, index, weighting):
        self.weighting = weighting
        self._layout = index.layout
        prunes = weighting.bias is None and index.n_documents > SMALL
        segments, layout = index.segments, index.layout
        # The largest segment first, so that its k-th best score spares work in the others.
        self._order = sorted(range(len(segments)), key=lambda s: -segments[s].n_documents)
        self._lists = [
            _Lists(segment, weighting, s, prunes, s == self._order[0], layout.positions(s))
            for s, segment in enumerate(segments)
        ]
        # Copied, because a kernel is compiled again for arrays that may not be written.
        self._alive = [None if alive is None else alive[None].copy() for alive in index.living.alive]
        self._bias = max((float(np.abs(lists.bias).max(initial=0)) for lists in self._lists), default=0.0)
        self._largest = index.segments[self._order[0]]

    def fill(self, terms, numbers):
        """Compute the lists of some of the terms that are not computed yet."""
        if all(lists.are_ready(terms.local(s, numbers)) for s, lists in enumerate(self._lists)):
            return
        used = np.unique(numbers)
        chosen = terms.take(used)
        scales = self.weighting.scale(chosen)
        for s, lists in enumerate(self._lists):
            lists.fill(terms.local(s, used), scales)

    def of_postings(self, s, terms, numbers, positions):
        """Return the impacts of postings of segment `s`, given the number in `terms` of the term of each."""
        self.fill(terms, numbers)
        return self._lists[s].values[positions]

    def order(self, bags):
        """Order the terms of queries as their scores are added, and compute the impacts of these terms."""
        indptr, numbers, weights = order_terms(*bags[:3], bags.terms.document_frequencies)
        self.fill(bags.terms, numbers)
        return type(bags)(indptr, numbers, weights, bags.terms)

    def search(self, bags, k, masks, mask_of, n_jobs):
        """Return the k best documents of each query.

        Parameters
        ----------
        bags : Bags
            Terms of the queries.
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
        k = min(k, self._layout.n_documents)
        step = max(1, _KEYS // k)
        filters = [self._local_filter(s, masks, mask_of, bags.n_queries) for s in range(len(self._lists))]
        parts = {}

        def work(start, stop):
            for first in range(start, stop, step):
                last = min(first + step, stop)
                parts[first] = self._search(bags.part(first, last), k, filters, slice(first, last))

        over_ranges(work, bags.n_queries, n_jobs)
        return concatenate([parts[first] for first in sorted(parts)])

    def _local_filter(self, s, masks, mask_of, n_queries):
        """Return masks of the documents of segment `s` that admit living ones only, and the mask of each query."""
        alive = self._alive[s]
        if len(masks):
            masks = self._layout.local_masks(s, masks)
        if alive is None:
            return masks, mask_of
        if not len(masks):
            return alive, np.zeros(n_queries, dtype=np.int64)
        return np.concatenate([masks, alive]), np.where(mask_of < 0, len(masks), mask_of)

    def _search(self, bags, k, filters, queries):
        """Search for a few queries on one thread; see `search`."""
        bags = self.order(bags)
        indptr, numbers, weights, terms = bags
        keys, counts = np.empty((bags.n_queries, k), dtype=np.int64), np.zeros(bags.n_queries, dtype=np.int64)
        space = self._borrow(k)
        for s in self._order:
            masks, mask_of = filters[s]
            local = terms.local(s, numbers).astype(np.uint32, copy=False)
            self._lists[s].search(indptr, local, weights, k, masks, mask_of[queries], space[1], keys, counts)
        self._largest.workspaces.append(space)
        ranked = lengths_to_indptr(counts)
        positions, scores = decode(keys, counts)
        rows = self._layout.rows_at(positions)
        self._check_finite(indptr, weights, ranked, scores)
        return ranked, rows, scores

    def _check_finite(self, indptr, weights, ranked, scores):
        """Raise ValueError if the weights of a query make scores infinite, given the weights and the rankings."""
        heaviest = float(np.abs(weights).max(initial=0))
        peak = max(lists.peak for lists in self._lists)
        if len(weights) * heaviest * (peak + self._bias) < _LARGEST:
            return  # nearly always: the product bounds all scores
        wrong = ~np.isfinite(scores)
        if wrong.any():
            query = owners(ranked)[wrong][0]
            heaviest = np.abs(weights[indptr[query] : indptr[query + 1]]).max()
            raise ValueError(
                f"a query has the weight {heaviest:g}, with which the scores of some documents are not finite in "
                "single precision: scale the weights of queries down"
            )

    def _borrow(self, k):
        """Return scratch arrays for one thread; they are large, and are therefore kept and used again."""
        try:
            largest, space = self._largest.workspaces.pop()
        except IndexError:
            largest = -1
        if largest < k:
            space = workspace(self._largest.n_documents, k)
            largest = k
        return largest, space

    def contributions(self, bags, row):
        """Return the contribution of each term of one query to the score of document `row`, and that of its bias.

        Parameters
        ----------
        bags : Bags
            As from `order`.
        row : int

        Returns
        -------
        contributions : ndarray of float32, shape (n_terms,)
        counts : ndarray of float64, shape (n_terms,)
            Occurrences of each term in the document.
        bias : float
        """
        [s], [local] = (place.tolist() for place in self._layout.locate([row]))
        lists, weights = self._lists[s], bags.weights
        values, counts = lists.contributions(bags.terms.local(s, bags.numbers), weights, local)
        bias = 0.0
        if len(lists.bias) and len(weights):
            total = weights.cumsum()[-1]  # added one by one, as the kernels do; `np.sum` rounds otherwise
            bias = float(total * lists.bias[local])
        return values, counts, bias
