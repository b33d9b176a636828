"""The graph of usearch."""

import threading

import numpy as np
from joblib import effective_n_jobs

from sklrank._optional import optional_import

_DTYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "i8"}
_RANGES = {"float16": 1.0, "int8": 127.0}  # of the components; the other types have that of float32
_TINY = 1e-30  # too small to be brought there
_BLOCK = 1 << 14  # vectors that are brought into their order at a time
_N_VIEWS = 8
_N_SAMPLES = 64  # vectors that are compared with those of an index that is loaded
_N_NEIGHBOURS = 8  # of each
_SLACK = 0.005  # of a distance, by the rounding of a coarse type and of an encoder that ran again


class UsearchIndex:
    """A graph of nearest neighbours (HNSW), in the form in which usearch saves it.

    It is searched where it lies, in memory or in a memory map, through views that are opened when they are needed;
    usearch's own objects do not pickle, and a view has one breadth of search for all that use it.

    Parameters
    ----------
    buffer : ndarray of uint8
        What usearch saves.
    n_dimensions : int
        Of the vectors.
    metric : {"dot", "euclidean"}
        What is compared.
    dtype : {"float32", "bfloat16", "float16", "int8"}
        In what the graph holds vectors.
    scale : float
        What documents were multiplied by, so that they fill the range of the type.
    """

    n_lists = 0  # that a search could leave out
    filters = False  # whether it leaves documents out while it walks

    def __init__(self, buffer, n_dimensions, metric, dtype, scale):
        self.buffer = buffer
        self.n_dimensions = n_dimensions
        self.metric = metric
        self.dtype = dtype
        self.scale = scale
        self._init_views()

    def _init_views(self):
        self._views = {}  # by breadth; opened at the first search
        self._lock = threading.Lock()

    @classmethod
    def build(cls, vectors, metric, *, dtype, connectivity, expansion_add, seed, n_jobs, factory=None):
        """Build the graph, vector by vector: in the order of the seed on one thread, where there is one."""
        new = cls(None, vectors.shape[1], metric, dtype, _scale(vectors, dtype))
        index = new._open(connectivity=connectivity, expansion_add=expansion_add)
        order = np.arange(len(vectors)) if seed is None else np.random.RandomState(seed).permutation(len(vectors))
        threads = effective_n_jobs(n_jobs) if seed is None else 1
        for start in range(0, len(order), _BLOCK):
            rows = order[start : start + _BLOCK]
            index.add(rows.astype(np.uint64), new._coded(vectors[rows], new.scale), threads=threads)
        new.buffer = np.frombuffer(index.save(), dtype=np.uint8)
        return new

    def _open(self, **options):
        usearch = optional_import("usearch.index", extra="ann")
        metric = "l2sq" if self.metric == "euclidean" else "ip"
        options = {"enable_key_lookups": False, **options}
        return usearch.Index(ndim=self.n_dimensions, metric=metric, dtype=_DTYPES[self.dtype], **options)

    @property
    def is_exact(self):
        """Whether the graph holds the vectors as they are."""
        return self.dtype == "float32"

    def _coded(self, vectors, scales):
        """Vectors in a range that the type of the graph can hold."""
        if self.dtype == "int8":
            return np.clip(np.rint(vectors * scales), -127, 127).astype(np.int8)
        return vectors * scales if self.dtype == "float16" else vectors

    def _asked(self, queries):
        if self.metric == "euclidean":
            return self._coded(queries, self.scale)
        # Of a dot product nothing but the order matters, so that each query may have the scale that suits it.
        return self._coded(queries, _scales(queries, self.dtype))

    def _view(self, expansion):
        """What usearch searches, opened for this breadth."""
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
        """Candidates of each query, best first.

        Parameters
        ----------
        queries : ndarray of float32, shape (n_queries, n_features)
            The queries.
        count : int
            How many candidates.
        expansion : int
            How many the walk keeps, at least `count`.
        nprobe, mask
            Of no meaning here.
        n_threads : int
            Threads that share the queries.

        Returns
        -------
        candidates : ndarray of int64, shape (n_queries, count)
            Rows; -1 where there are no more.
        distances : ndarray of float32, shape (n_queries, count), or None
            Ascending: 1 minus the dot product, or the square of the distance; where vectors are held as they are.
        """
        matches = self._view(expansion).search(self._asked(queries), count, threads=n_threads)
        if len(queries) == 1:  # then usearch gives one ranking, cut to its length
            candidates = np.full((1, count), -1, dtype=np.int64)
            candidates[0, : len(matches.keys)] = matches.keys
            distances = np.zeros((1, count), dtype=np.float32)
            distances[0, : len(matches.keys)] = matches.distances
        else:
            candidates, distances = matches.keys.view(np.int64), matches.distances
            if matches.counts.min(initial=count) < count:
                candidates[np.arange(count) >= matches.counts[:, None]] = -1
        return candidates, distances if self.is_exact else None

    def save(self, path):
        """Write the graph in usearch's own format."""
        self.buffer.tofile(path)

    @classmethod
    def load(cls, path, vectors, metric, *, dtype, **options):
        """The graph of `vectors` that stands in a file, memory-mapped."""
        new = cls(np.memmap(path, dtype=np.uint8, mode="r"), vectors.shape[1], metric, dtype, _scale(vectors, dtype))
        index = new._open()
        try:
            held = type(index).metadata(path)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{path} holds no index of usearch: {error}") from error
        check_shape(path, (held["count_present"], held["dimensions"]), vectors.shape)
        if (held["kind_metric"], held["kind_scalar"]) != (index.metric_kind, index.dtype):
            raise ValueError(
                f"{path} compares by {held['kind_metric'].name} and holds {held['kind_scalar'].name}; metric and dtype "
                f"here are {index.metric_kind.name} and {index.dtype.name}"
            )
        if not new._agrees(vectors):
            raise other_vectors(path)
        return new

    def _agrees(self, vectors):
        """Whether the distances that the graph finds are those of these vectors: a sample is compared."""
        asked = self._asked(vectors[sample(len(vectors))])
        found = [self._view(_N_SAMPLES).search(query, _N_NEIGHBOURS) for query in asked]
        rows = np.unique(np.concatenate([one.keys for one in found])).astype(np.int64)
        if len(rows) == 0 or rows[-1] >= len(vectors):
            return False
        # What an index of just these says. Without lookups, exact search breaks the heap in usearch before 2.26.1.
        small = self._open(enable_key_lookups=True)
        small.add(rows.astype(np.uint64), self._coded(vectors[rows], self.scale), threads=1)
        for query, one in zip(asked, found):
            again = small.search(query, len(rows), exact=True)
            expected = again.distances[np.argsort(again.keys)][np.searchsorted(rows, one.keys.astype(np.int64))]
            size = np.sum(np.square(query, dtype=np.float64)) + (self.metric != "euclidean")
            if not np.allclose(one.distances, expected, rtol=_SLACK, atol=_SLACK * size):
                return False
        return True

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name not in ("_views", "_lock")}

    def __setstate__(self, state):
        vars(self).update(state)
        self._init_views()


def _scale(vectors, dtype):
    """What brings the largest component of all vectors to the end of the range."""
    return float(_scales(vectors.reshape(1, -1), dtype)[0, 0])


def _scales(vectors, dtype):
    """What brings the largest component of each vector to the end of the range; 1 where there is no need."""
    if dtype not in _RANGES:
        return np.ones((len(vectors), 1), dtype=np.float32)
    largest = np.maximum(vectors.max(axis=1, keepdims=True), -vectors.min(axis=1, keepdims=True))
    return np.divide(_RANGES[dtype], largest, out=np.ones_like(largest), where=largest > _TINY)


def sample(n):
    """Some of n rows, over all of them."""
    return np.unique(np.linspace(0, n - 1, _N_SAMPLES).astype(np.int64))


def other_vectors(path):
    """The error where an index is of other vectors."""
    return ValueError(
        f"{path} holds other vectors than the corpus has: needed is an index of these documents in this order, by the "
        "same encoder and metric (the cosine is that of vectors of unit length)"
    )


def check_shape(path, held, needed):
    """Refuse an index of other vectors."""
    if held != needed:
        raise ValueError(
            f"{path} holds {held[0]} vectors of {held[1]} dimensions; the corpus has {needed[0]} of {needed[1]}"
        )
