"""Search over an approximate index: request candidates, and rank them by exact scores."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sklrank._kernels._candidates import rank_candidates, settle_ties
from sklrank._ragged import lengths_to_indptr, owners, places
from sklrank._threads import n_local_threads, over_ranges
from sklrank._vectors import read_only
from sklrank.retrievers._filters import rank_filtered
from sklrank.retrievers._quantization import search
from sklrank.retrievers._rankings import scatter

# A graph reads about this many vectors, in random order, for each candidate that it keeps. If there are fewer vectors
# in all, a scan is faster, and exact.
LOOKS = 16
_CELLS = 1 << 22  # candidates that are in memory at a time
_FEW = 16  # up to this many queries are searched on one thread


@dataclass(frozen=True)
class AnnSearch:
    """Search over an index and the vectors that it holds.

    Attributes
    ----------
    index : UsearchIndex or FaissIndex
    vectors : ndarray of float32, shape (n_documents, n_features)
    metric : {"cosine", "dot", "euclidean"}
    codes : callable
        Returns the `FloatCodes` of the vectors, for a scan of all documents.
    expansion_search, nprobe : int
        As in `AnnRetriever`.
    n_jobs : int or None
    """

    index: object
    vectors: np.ndarray
    metric: str
    codes: Callable
    expansion_search: int
    nprobe: int
    n_jobs: int | None

    def rank(self, queries, k, filter, corpus, find):
        """Rank the admitted documents for each query.

        Parameters
        ----------
        queries : ndarray of float32, shape (n_queries, n_features)
        k : int
        filter : mask, list of ids, one of these per query, or None
        corpus : Corpus
        find : callable
            The method `nearest` or `scan`.

        Returns
        -------
        indptr, rows, scores : ndarray of int64, int64, float32
        """

        def search_batch(start, stop, masks, mask_of):
            asked, parts = [], []
            for mask, positions in _by_mask(masks, mask_of, stop - start):
                admitted = len(self.vectors) if mask is None else np.count_nonzero(mask)
                if len(positions) and admitted:
                    asked.append(positions)
                    parts.append(find(queries[start + positions], min(k, admitted), mask))
            return scatter(asked, parts, stop - start)

        return rank_filtered(search_batch, filter, len(queries), corpus)

    def nearest(self, queries, k, mask, exactly=False):
        """Return the nearest documents to each query: from the index, or from a scan if few documents are admitted."""
        n = len(self.vectors)
        admitted = n if mask is None else np.count_nonzero(mask)
        breadth = max(k, self.expansion_search)
        if admitted * admitted <= LOOKS * n * breadth:
            return self.scan(queries, k, mask)
        rows, scores, counts = self.walk(queries, k, breadth, mask, n / admitted, exactly)
        short = np.flatnonzero(counts < k)
        if len(short):
            indptr, *found = self.scan(queries[short], k, mask)
            counts[short] = np.diff(indptr)
            at = short[owners(indptr)], places(indptr)
            rows[at], scores[at] = found
        return _ragged(rows, scores, counts)

    def walk(self, queries, k, breadth, mask, thinned, exactly):
        """Return the best candidates of the index, if one document in `thinned` passes the mask."""
        count = k
        if not self.index.is_exact:
            count = breadth
        breadth = math.ceil(breadth * thinned)
        sieve = None  # filters candidates here, if the index cannot
        if mask is not None and not self.index.filters:
            sieve, mask, count = mask.astype(bool), None, math.ceil(count * thinned)
        n_threads = 1
        if len(queries) > _FEW:
            n_threads = n_local_threads(self.n_jobs)
        found = ranking_arrays(len(queries), k)
        step = max(1, _CELLS // count)
        for start in range(0, len(queries), step):
            batch = queries[start : start + step]
            rows, scores, counts = (array[start : start + step] for array in found)
            candidates, distances = self.index.search(
                batch, count, expansion=breadth, nprobe=self.nprobe, n_threads=n_threads, mask=mask
            )
            if distances is not None and sieve is None and not exactly:
                rows[:] = candidates
                self._settle(batch, distances, rows, scores, counts)
                continue
            if sieve is not None:
                candidates[~sieve[candidates]] = -1
            self._score(batch, candidates, rows, scores, counts)
        return found

    def _score(self, queries, candidates, rows, scores, counts):
        """Score candidates exactly, and write the best to `rows`, `scores` and `counts`."""
        vectors, queries, euclidean = read_only(self.vectors), read_only(queries), self.metric == "euclidean"

        def work(start, stop):
            rank_candidates(vectors, queries, candidates, euclidean, rows, scores, counts, start, stop)

        over_ranges(work, len(queries), self.n_jobs)

    def _settle(self, queries, distances, rows, scores, counts):
        """Turn distances in single precision into scores, and order the documents whose distances may be equal."""
        counts[:] = np.count_nonzero(rows >= 0, axis=1)
        # The rounding of the sum, and of 1 minus the sum.
        if self.metric == "cosine":
            slacks = np.full(len(queries), (queries.shape[1] + 8) * 2.0**-23 + 2.0**-22)
        else:
            slacks = 2 * self.codes().prepare(queries)[1] + 2.0**-22
        vectors, queries, euclidean = read_only(self.vectors), read_only(queries), self.metric == "euclidean"

        def work(start, stop):
            settle_ties(vectors, queries, distances, slacks, euclidean, rows, scores, counts, start, stop)

        over_ranges(work, len(queries), self.n_jobs)

    def scan(self, queries, k, mask):
        """Return the nearest documents to each query, exactly."""
        if mask is None:
            masks, mask_of = np.empty((0, len(self.vectors)), dtype=np.uint8), np.empty(0, dtype=np.int64)
        else:
            masks, mask_of = mask[None, :], np.zeros(len(queries), dtype=np.int64)
        return search(self.codes(), self.vectors, queries, self.metric, k, k, masks, mask_of, self.n_jobs)


def _by_mask(masks, mask_of, n_queries):
    """Group queries by mask: yield a mask, or None, and the positions of its queries."""
    if len(masks) == 0 or len(mask_of) == 0:
        yield None, np.arange(n_queries)
    else:
        for m in np.unique(mask_of):
            mask = None
            if m >= 0:
                mask = masks[m]
            yield mask, np.flatnonzero(mask_of == m)


def _ragged(rows, scores, counts):
    """Return the rankings of all queries as ragged rows and scores."""
    indptr = lengths_to_indptr(counts)
    if indptr[-1] == rows.size:
        return indptr, rows.reshape(-1), scores.reshape(-1)
    found = np.arange(rows.shape[1]) < counts[:, None]
    return indptr, rows[found], scores[found]


def ranking_arrays(n_queries, k):
    """Return arrays for the rows, scores and counts of rankings."""
    shape = n_queries, k
    return np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.float32), np.zeros(n_queries, dtype=np.int64)
