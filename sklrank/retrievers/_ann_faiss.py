"""Indexes of faiss."""

from contextlib import contextmanager

import numpy as np

from sklrank._optional import optional_import
from sklrank._threads import n_local_threads

_CODECS = {"float32": "Flat", "bfloat16": "SQbf16", "float16": "SQfp16", "int8": "SQ8"}


class FaissIndex:
    """Index of faiss, made from the string of a factory.

    Parameters
    ----------
    index : faiss.Index
        The index, trained and filled.
    factory : str
        Description of the index, in the notation of faiss.
    """

    def __init__(self, index, factory):
        self.index = index
        self.factory = factory
        self._look()

    def _look(self):
        """Set the attributes that tell the kind of the index."""
        faiss = optional_import("faiss", extra="faiss")
        parts = list(_parts(faiss, self.index))
        lists = [part.nlist for part in parts if isinstance(part, faiss.IndexIVF)]
        self.n_lists = next(iter(lists), 0)
        # Whether it stores the vectors without loss.
        self.is_exact = all(isinstance(part, _whole(faiss)) for part in parts)
        self.filters = all(isinstance(part, _filtering(faiss)) for part in parts)

    @classmethod
    def build(cls, vectors, metric, *, factory, dtype, connectivity, expansion_add, seed, n_jobs):
        """Train and fill the index."""
        faiss = optional_import("faiss", extra="faiss")
        factory = _factory(factory, dtype, connectivity)
        with _as_value_error(f"faiss cannot make factory={factory!r} of {vectors.shape[1]} dimensions"):
            index = faiss.index_factory(vectors.shape[1], factory, _metric(faiss, metric))
        for part in _parts(faiss, index):
            _set_up(faiss, part, expansion_add, seed)
        threads = 1
        if seed is None:
            threads = n_local_threads(n_jobs)
        failed = f"faiss cannot train factory={factory!r} on {len(vectors)} documents"
        with _on(faiss, threads), _as_value_error(failed), _silent_rotations(faiss, index):
            index.train(vectors)
            index.add(vectors)
        return cls(index, factory)

    def search(self, queries, count, *, expansion, nprobe, n_threads, mask=None):
        """Return the candidates of each query, best first and padded with -1, and None instead of distances."""
        faiss = optional_import("faiss", extra="faiss")
        chosen = None
        if mask is not None:
            bits = np.packbits(mask, bitorder="little")
            chosen = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        parameters = _parameters(faiss, self.index, max(expansion, count), nprobe, chosen)
        with _on(faiss, n_threads):
            return self.index.search(queries, count, params=parameters)[1], None

    def __getstate__(self):
        faiss = optional_import("faiss", extra="faiss")
        return {"buffer": faiss.serialize_index(self.index), "factory": self.factory}

    def __setstate__(self, state):
        faiss = optional_import("faiss", extra="faiss")
        self.__init__(faiss.deserialize_index(np.array(state["buffer"])), state["factory"])


def _factory(given, dtype, connectivity):
    if given is None:
        return f"HNSW{connectivity},{_CODECS[dtype]}"
    return given


def _metric(faiss, name):
    if name == "euclidean":
        return faiss.METRIC_L2
    return faiss.METRIC_INNER_PRODUCT


def _parts(faiss, index):
    """Yield an index and the indexes inside it, from the outside in; of a graph, its storage, too."""
    while index is not None:
        index = faiss.downcast_index(index)
        yield index
        inner = [getattr(index, name) for name in ("index", "base_index", "storage") if hasattr(index, name)]
        index = next(iter(inner), None)


def _filtering(faiss):
    return (faiss.IndexPreTransform, faiss.IndexIVF, faiss.IndexHNSW, faiss.IndexFlat, faiss.IndexScalarQuantizer)


def _whole(faiss):
    return (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexHNSW, faiss.IndexNSG, faiss.IndexIDMap)


def _set_up(faiss, part, expansion_add, seed):
    """Set the options that the string of the factory cannot hold."""
    if isinstance(part, faiss.IndexHNSW):
        part.hnsw.efConstruction = expansion_add
        if seed is not None:
            part.hnsw.rng = faiss.RandomGenerator(seed)
    for clustered in (part, getattr(part, "pq", None)):
        if hasattr(clustered, "cp"):
            clustered.cp.min_points_per_centroid = 1  # with fewer, faiss prints a line to the terminal
            if seed is not None:
                clustered.cp.seed = seed


def _parameters(faiss, index, expansion, nprobe, chosen):
    """Return faiss's search parameters, nested as its indexes are."""
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        inner = _parameters(faiss, index.index, expansion, nprobe, chosen)
        return faiss.SearchParametersPreTransform(index_params=inner)
    if isinstance(index, faiss.IndexRefine):
        inner = _parameters(faiss, index.base_index, expansion, nprobe, chosen)
        return faiss.IndexRefineSearchParameters(k_factor=index.k_factor, base_index_params=inner)
    if isinstance(index, faiss.IndexIVF):
        return faiss.SearchParametersIVF(nprobe=min(nprobe, index.nlist), sel=chosen)
    if isinstance(index, faiss.IndexHNSW):
        return faiss.SearchParametersHNSW(efSearch=expansion, sel=chosen)
    if chosen is None:
        return None
    return faiss.SearchParameters(sel=chosen)


@contextmanager
def _silent_rotations(faiss, index):
    """Give OPQ, while it is trained, quantizers that do not print."""
    index, rotations = faiss.downcast_index(index), []
    if isinstance(index, faiss.IndexPreTransform):
        chain = [faiss.downcast_VectorTransform(index.chain.at(i)) for i in range(index.chain.size())]
        rotations = [transform for transform in chain if isinstance(transform, faiss.OPQMatrix)]
    quantizers = [faiss.ProductQuantizer(opq.d_out, opq.M, 8) for opq in rotations]  # as OPQ makes them itself
    for rotation, quantizer in zip(rotations, quantizers):
        quantizer.cp.min_points_per_centroid = 1
        rotation.pq = quantizer
    try:
        yield
    finally:
        for rotation in rotations:
            rotation.pq = None


@contextmanager
def _on(faiss, n_threads):
    """Let faiss, which uses OpenMP, work on this number of threads."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(n_threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@contextmanager
def _as_value_error(message):
    """Raise faiss's RuntimeError as ValueError, with the reason but without the position in its source."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0].rpartition("Error: ")[2]
        raise ValueError(f"{message}: {reason}") from error
