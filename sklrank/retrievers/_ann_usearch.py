"""The graph of usearch."""

import os
import threading

import numpy as np

from sklrank._optional import optional_import
from sklrank._threads import n_local_threads

_DTYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "i8"}
_METRICS = {"dot": "ip", "euclidean": "l2sq"}
_RANGES = {"float16": 1.0, "int8": 127.0}  # largest component; the other types have the range of float32
_TINY = 1e-30  # vectors with smaller components are not scaled
_BLOCK = 1 << 14  # vectors that are added at a time
_N_VIEWS = 8  # maximum number of open views


class UsearchIndex:
    """Graph of nearest neighbours (HNSW), in the format in which usearch saves it.

    It is searched in memory or in a memory map, through views that are opened when they are needed. usearch's own
    objects do not pickle, and a view has one breadth of search for all calls.

    Parameters
    ----------
    buffer : ndarray of uint8
        Bytes that usearch saves.
    n_dimensions : int
        Number of dimensions of the vectors.
    metric : {"dot", "euclidean"}
        Similarity of two vectors.
    dtype : {"float32", "bfloat16", "float16", "int8"}
        Type in which vectors are stored in the graph.
    scale : float
        Factor of the documents, so that they fill the range of the type.
    """

    n_lists = 0  # a graph has no inverted lists
    filters = False  # whether a search applies a mask

    def __init__(self, buffer, n_dimensions, metric, dtype, scale):
        self.buffer = buffer
        self.n_dimensions = n_dimensions
        self.metric = metric
        self.dtype = dtype
        self.scale = scale
        self._init_views()

    def _init_views(self):
        self._views = {}  # by breadth of search; opened at the first search
        self._lock = threading.Lock()
        self._pid = os.getpid()

    @classmethod
    def build(cls, vectors, metric, *, dtype, connectivity, expansion_add, seed, n_jobs, factory=None):
        """Build the graph, vector by vector; with a seed, in an order drawn from it, on one thread."""
        new = cls(None, vectors.shape[1], metric, dtype, _scale(vectors, dtype))
        index = new._open(connectivity=connectivity, expansion_add=expansion_add)
        if seed is None:
            order, threads = np.arange(len(vectors)), n_local_threads(n_jobs)
        else:
            order, threads = np.random.RandomState(seed).permutation(len(vectors)), 1
        for start in range(0, len(order), _BLOCK):
            rows = order[start : start + _BLOCK]
            index.add(rows.astype(np.uint64), new._coded(vectors[rows], new.scale), threads=threads)
        new.buffer = np.frombuffer(index.save(), dtype=np.uint8)
        return new

    def _open(self, **options):
        usearch = optional_import("usearch.index", extra="ann")
        options = {"enable_key_lookups": False, **options}
        return usearch.Index(ndim=self.n_dimensions, metric=_METRICS[self.metric], dtype=_DTYPES[self.dtype], **options)

    @property
    def is_exact(self):
        """Whether the graph stores the vectors without loss."""
        return self.dtype == "float32"

    def _coded(self, vectors, scales):
        """Return vectors scaled to the range of the type of the graph."""
        if self.dtype == "int8":
            return np.clip(np.rint(vectors * scales), -127, 127).astype(np.int8)
        if self.dtype == "float16":
            return vectors * scales
        return vectors

    def _asked(self, queries):
        if self.metric == "euclidean":
            return self._coded(queries, self.scale)
        # Only the order of dot products matters, so that each query may have its own scale.
        return self._coded(queries, _scales(queries, self.dtype))

    def _view(self, expansion):
        """Return the view of usearch that is opened for this breadth."""
        if self._pid != os.getpid():
            # In a forked process, threads of the parent may hold locks of the views, for which closing would wait, too.
            self._of_parent = self._views
            self._init_views()
        view = self._views.get(expansion)
        if view is not None:
            return view
        with self._lock:
            if expansion not in self._views:
                view = self._open(expansion_search=expansion)
                view.view(self.buffer)
                if len(self._views) == _N_VIEWS:
                    del self._views[next(iter(self._views))]
                self._views[expansion] = view
            return self._views[expansion]

    def search(self, queries, count, *, expansion, nprobe, n_threads, mask=None):
        """Return the candidates of each query, best first.

        Parameters
        ----------
        queries : ndarray of float32, shape (n_queries, n_features)
            Queries.
        count : int
            Number of candidates for each query.
        expansion : int
            Number of candidates that the search keeps, at least `count`.
        nprobe, mask
            Not used.
        n_threads : int
            Number of threads, which share the queries.

        Returns
        -------
        candidates : ndarray of int64, shape (n_queries, count)
            Rows, padded with -1.
        distances : ndarray of float32, shape (n_queries, count), or None
            Ascending: 1 minus the dot product, or the squared distance. None if the graph does not store the vectors
            without loss.
        """
        matches = self._view(expansion).search(self._asked(queries), count, threads=n_threads)
        if len(queries) == 1:  # usearch then returns one ranking, without padding
            candidates = np.full((1, count), -1, dtype=np.int64)
            candidates[0, : len(matches.keys)] = matches.keys
            distances = np.zeros((1, count), dtype=np.float32)
            distances[0, : len(matches.keys)] = matches.distances
        else:
            candidates, distances = matches.keys.view(np.int64), matches.distances
            if matches.counts.min(initial=count) < count:
                candidates[np.arange(count) >= matches.counts[:, None]] = -1
        if not self.is_exact:
            distances = None
        return candidates, distances

    def __getstate__(self):
        return {
            name: value for name, value in vars(self).items() if name not in ("_views", "_lock", "_pid", "_of_parent")
        }

    def __setstate__(self, state):
        vars(self).update(state)
        self._init_views()


def _scale(vectors, dtype):
    """Return the factor that brings the largest component of all vectors to the end of the range."""
    return float(_scales(vectors.reshape(1, -1), dtype)[0, 0])


def _scales(vectors, dtype):
    """Return the factor that brings the largest component of each vector to the end of the range; else 1."""
    if dtype not in _RANGES:
        return np.ones((len(vectors), 1), dtype=np.float32)
    largest = np.maximum(vectors.max(axis=1, keepdims=True), -vectors.min(axis=1, keepdims=True))
    return np.divide(_RANGES[dtype], largest, out=np.ones_like(largest), where=largest > _TINY)
