"""Dense vectors stored in fewer bits, and the search over blocks of them."""

import numpy as np

from sklrank._kernels._dense import finish, select, workspace
from sklrank._kernels._quantized import agree_binary, dot_half, dot_int8, widen
from sklrank._kernels._search import decode
from sklrank._ragged import lengths_to_indptr
from sklrank._threads import n_local_threads, one_blas_thread, over_ranges
from sklrank._vectors import blocks, pack, read_only, vector_lengths
from sklrank.retrievers._rankings import concatenate

_ROUNDING = 2.0**-24  # of float32, relative
_LARGEST = 1e38  # largest value that a sum in float32 may safely reach
_EXACT = 2.0**24  # integers up to here are exact in float32
_FEW = 4  # up to this many queries, products of small numbers are faster than a conversion and a product
_CELLS = 1 << 22  # scores computed at a time
_WIDEST = 1 << 18  # documents that one product takes
_CONVERTED = 1 << 18  # components of documents that are converted at a time
_PANEL = 1 << 22  # pending documents that are kept at a time
_ROWS = 1 << 11  # documents that are read at a time while codes are made
_NARROW = 4  # if all queries share a filter that leaves at most 1 in 4 documents, only these are searched


def _doubles(vectors):
    """Yield slices that cover the documents, each with its vectors in double precision."""
    for where in blocks(vectors, _ROWS):
        yield where, vectors[where].astype(np.float64)


class FloatCodes:
    """Store vectors in single or half precision; products propose candidates, and the ranking is exact.

    Parameters
    ----------
    vectors : ndarray of shape (n_documents, d), dtype=float32
    metric : {"cosine", "dot", "euclidean"}
    half : bool
        Whether to store them in half precision.
    """

    is_exact = True

    def __init__(self, vectors, metric, half=False):
        lengths = vector_lengths(vectors)
        self._longest = lengths.max()
        # A product minus half the squared length of the document is ordered as minus the distance.
        with np.errstate(over="ignore"):  # `prepare` raises an error
            self.halves = (lengths**2 / 2).astype(np.float32) if metric == "euclidean" else None
        self._error = 0.0
        self._unit = np.float32(1)
        self._bytes = 4 * vectors.shape[1] + 4 * (self.halves is not None)
        self.stored = None  # the vectors themselves are searched
        if half:
            self._bytes -= 2 * vectors.shape[1]
            # A power of 2: the division rounds nothing, and the largest component is about 1.
            self._unit = np.float32(2.0 ** np.ceil(np.log2(max(vectors.max(), -vectors.min(), 1e-30))))
            self.stored = np.empty(vectors.shape, dtype=np.float16)
            for where, block in _doubles(vectors):
                self.stored[where] = block / self._unit
                lost = block - self.stored[where].astype(np.float64) * self._unit
                self._error = max(self._error, np.linalg.norm(lost, axis=1).max())
            self.stored = read_only(self.stored)

    @property
    def bytes_per_vector(self):
        """Number of bytes that a search reads for each document."""
        return self._bytes

    def prepare(self, queries, product_rounding=0.0):
        """Return the queries as `fill` takes them, and the largest difference between its scores and the exact ones.

        `product_rounding` is the relative rounding of the terms of a product beyond single precision.
        """
        lengths = vector_lengths(queries)
        if self.halves is None:
            reach = lengths * self._longest
        else:
            reach = (lengths + self._longest) ** 2
        if reach.max() > _LARGEST:
            raise ValueError(
                f"vectors have lengths up to {self._longest:.3g}, queries up to {lengths.max():.3g}: their products "
                "are beyond single precision; scale them down"
            )
        d = queries.shape[1]
        # The rounding of a sum of d products in any order, of its terms, and of the exact score.
        slacks = 1.01 * ((d + 8) * (_ROUNDING * reach + 2.0**-149) + product_rounding * reach + lengths * self._error)
        if self.halves is None:
            slacks[lengths == 0] = 0.0  # nothing is rounded there
        return queries * self._unit, slacks

    def converts(self, n_queries):
        """Tell whether `fill` copies the vectors that it reads."""
        return self.stored is not None and n_queries >= _FEW

    def fill(self, operand, where, out, vectors):
        """Write the scores of the documents `where`, a slice or rows, to `out`."""
        if self.stored is None:
            np.matmul(operand, vectors[where].T, out=out)
        else:
            block = read_only(self.stored[where]).view(np.uint16)
            if len(operand) < _FEW:
                dot_half(operand, block, out)
            else:
                np.matmul(operand, _widened(block).T, out=out)
        if self.halves is not None:
            out -= self.halves[where]


class Int8Codes:
    """Store vectors in one byte per dimension.

    Each dimension has its own offset and scale, calibrated so that its range over all documents fills the 256 steps. If
    the metric is not the cosine, the direction is coded, and the length is stored beside it.

    Parameters
    ----------
    vectors : ndarray of shape (n_documents, d), dtype=float32
    metric : {"cosine", "dot", "euclidean"}
    """

    is_exact = False

    def __init__(self, vectors, metric):
        self.lengths = None if metric == "cosine" else vector_lengths(vectors).astype(np.float32)
        lowest, highest = np.full(vectors.shape[1], np.inf), np.full(vectors.shape[1], -np.inf)
        for where, block in _doubles(vectors):
            block = self._directions(block, where)
            np.minimum(lowest, block.min(axis=0), out=lowest)
            np.maximum(highest, block.max(axis=0), out=highest)
        self.offsets = (lowest + highest) / 2
        self.scales = np.where(highest > lowest, (highest - lowest) / 254, 1.0)
        self.stored = np.empty(vectors.shape, dtype=np.int8)
        self.halves = np.empty(len(vectors), dtype=np.float32) if metric == "euclidean" else None
        largest = 1.0
        for where, block in _doubles(vectors):
            codes = np.rint((self._directions(block, where) - self.offsets) / self.scales).clip(-127, 127)
            largest = max(largest, np.linalg.norm(codes, axis=1).max())
            self.stored[where] = codes
            if self.halves is not None:
                coded = (codes * self.scales + self.offsets) * self.lengths[where, None]
                self.halves[where] = np.einsum("ij,ij->i", coded, coded) / 2
        self._largest = largest
        self.stored = read_only(self.stored)

    def _directions(self, block, where):
        if self.lengths is None:
            return block
        lengths = self.lengths[where, None]
        return block / np.where(lengths == 0, 1, lengths)

    @property
    def bytes_per_vector(self):
        """Number of bytes that a search reads for each document."""
        return self.stored.shape[1] + 4 * (self.lengths is not None) + 4 * (self.halves is not None)

    def prepare(self, queries):
        """Return the queries as `fill` takes them, and zeros: its scores are not compared with exact ones."""
        scaled = queries * self.scales
        # The number of steps for which all sums of products are exact, whatever the order of addition.
        room = _EXACT / self._largest - np.sqrt(queries.shape[1]) / 2
        lengths, peaks = np.linalg.norm(scaled, axis=1), np.abs(scaled).max(axis=1)
        steps = np.minimum(room / np.maximum(lengths, 1e-300), 32767 / np.maximum(peaks, 1e-300))
        operand = np.rint(scaled * steps[:, None]).astype(np.int16)
        scales = (1 / steps).astype(np.float32)[:, None]
        shifts = (queries @ self.offsets).astype(np.float32)[:, None]
        if len(queries) >= _FEW:
            operand = operand.astype(np.float32)
        return (operand, scales, shifts), np.zeros(len(queries))

    def converts(self, n_queries):
        """Tell whether `fill` copies the vectors that it reads."""
        return n_queries >= _FEW

    def fill(self, operand, where, out, vectors):
        """Write the scores of the documents `where`, a slice or rows, to `out`."""
        queries, scales, shifts = operand
        block = read_only(self.stored[where])
        if queries.dtype == np.int16:
            dot_int8(queries, block, out)
        else:
            np.matmul(queries, block.astype(np.float32).T, out=out)
        if self.lengths is not None:
            out *= scales
            out += shifts
            out *= self.lengths[where]
            if self.halves is not None:
                out -= self.halves[where]


class BinaryCodes:
    """Store vectors in one bit per dimension: whether it is above its mean over all documents.

    The bits of a query tell whether a dimension is above half the mean. The dot product orders documents in the same
    way if the mean is subtracted from them, which is an argument for a threshold of 0. But if the mean is large, then
    all queries have equal bits. Half the mean keeps the most of the ranking on collections of both kinds.

    Parameters
    ----------
    vectors : ndarray of shape (n_documents, d), dtype=float32
    metric : {"cosine", "dot", "euclidean"}
    """

    is_exact = False

    def __init__(self, vectors, metric):
        means = sum(block.sum(axis=0) for _, block in _doubles(vectors)) / len(vectors)
        self._origin = means / 2
        self.stored = np.empty((-(-len(means) // 64), len(vectors)), dtype=np.uint64)
        for where, block in _doubles(vectors):
            self.stored[:, where] = pack(block > means).T
        self.stored = read_only(self.stored)

    @property
    def bytes_per_vector(self):
        """Number of bytes that a search reads for each document."""
        return 8 * self.stored.shape[0]

    def prepare(self, queries):
        """Return the queries as `fill` takes them, and zeros: its scores are not compared with exact ones."""
        return pack(queries > self._origin), np.zeros(len(queries))

    def converts(self, n_queries):
        """Tell whether `fill` copies the vectors that it reads."""
        return False

    def fill(self, operand, where, out, vectors):
        """Write the scores of the documents `where`, a slice or rows, to `out`."""
        if isinstance(where, slice):
            agree_binary(operand, self.stored, where.start, out)
        else:
            agree_binary(operand, read_only(np.ascontiguousarray(self.stored[:, where])), 0, out)


def _widened(codes):
    """Return bits of half precision as single precision; NumPy is slow at this."""
    vectors = np.empty(codes.shape, dtype=np.float32)
    widen(codes, vectors)
    return vectors


def search(codes, vectors, queries, metric, k, n_candidates, masks, mask_of, n_jobs):
    """Return the k best documents of each query, by the exact scores of `n_candidates` that the codes propose.

    Parameters
    ----------
    codes : FloatCodes, Int8Codes or BinaryCodes
    vectors : ndarray of shape (n_documents, d), dtype=float32
        The vectors that the codes were made from.
    queries : ndarray of shape (n_queries, d), dtype=float32
    metric : {"cosine", "dot", "euclidean"}
    k, n_candidates : int
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
    n_queries, n_documents = len(queries), len(vectors)
    k = min(k, n_documents)
    n_candidates = min(max(n_candidates, k), n_documents)
    vectors, queries = read_only(vectors), read_only(queries)
    rows = None
    if len(mask_of) and (mask_of == mask_of[0]).all() and mask_of[0] >= 0:
        allowed = np.flatnonzero(masks[mask_of[0]])
        if len(allowed) * _NARROW <= n_documents:
            rows, mask_of = allowed, mask_of[:0]
    panel = max(1, min(1024, _PANEL // n_candidates))

    parts = {}

    def work(start, stop):
        for first in range(start, stop, panel):
            last = min(first + panel, stop)
            found = _search_panel(
                codes, vectors, queries[first:last], metric, k, n_candidates, rows, masks, mask_of[first:last]
            )
            best, counts = found
            parts[first] = lengths_to_indptr(counts), *decode(best, counts)

    # Each thread reads all vectors, so each gets one range.
    per_thread = 16
    if n_queries >= 32:
        per_thread = max(16, n_queries // n_local_threads(n_jobs))
    if n_queries < 2 * per_thread:
        work(0, n_queries)
    else:
        with one_blas_thread:
            over_ranges(work, n_queries, n_jobs, per_thread=per_thread)
    return concatenate([parts[first] for first in sorted(parts)])


def _search_panel(codes, vectors, queries, metric, k, n_candidates, rows, masks, mask_of):
    """Return the keys of the k best documents of each query, in any order, and the number of keys."""
    m = len(queries)
    operand, slacks = codes.prepare(queries)
    thetas, pending, counts, best, found, keys = workspace(m, k, n_candidates)
    euclidean = metric == "euclidean"
    squares = np.einsum("ij,ij->i", queries, queries, dtype=np.float64)
    n = len(vectors)
    if rows is not None:
        n = len(rows)
    width = min(_WIDEST, _CELLS // m)
    if rows is not None or codes.converts(m):
        width = min(width, _CONVERTED // vectors.shape[1])
    width = max(width, 256)
    buffer = np.empty(m * min(width, n), dtype=np.float32)
    for start in range(0, n, width):
        stop = min(start + width, n)
        scores = buffer[: m * (stop - start)].reshape(m, stop - start)
        if rows is None:
            chosen = np.arange(start, stop)
            codes.fill(operand, slice(start, stop), scores, vectors)
        else:
            chosen = rows[start:stop]
            codes.fill(operand, chosen, scores, vectors)
        select(
            scores, chosen, masks, mask_of, n_candidates, slacks, queries, vectors, euclidean, squares, thetas, pending,
            counts, best, found, keys,
        )  # fmt: skip
    finish(n_candidates, slacks, queries, vectors, euclidean, thetas, pending, counts, best, found, keys)
    return best, found
