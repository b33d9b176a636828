"""Indexes of faiss."""

from contextlib import contextmanager

import numpy as np
from joblib import effective_n_jobs

from sklrank._optional import optional_import
from sklrank.retrievers._ann_usearch import check_shape, other_vectors, sample

_CODECS = {"float32": "Flat", "bfloat16": "SQbf16", "float16": "SQfp16", "int8": "SQ8"}


class FaissIndex:
    """An index of faiss, by the string of its factory.

    Parameters
    ----------
    index : faiss.Index
        The index, trained and filled.
    factory : str
        What it was made of.
    """

    def __init__(self, index, factory):
        self.index = index
        self.factory = factory
        self._look()

    def _look(self):
        """What kind of index this is."""
        faiss = optional_import("faiss", extra="faiss")
        parts = list(_parts(faiss, self.index))
        lists = [part.nlist for part in parts if isinstance(part, faiss.IndexIVF)]
        self.n_lists = lists[0] if lists else 0
        self.is_exact = all(
            isinstance(part, _whole(faiss)) for part in parts
        )  # whether it holds the vectors as they are
        self.filters = all(isinstance(part, _filtering(faiss)) for part in parts)

    @classmethod
    def build(cls, vectors, metric, *, factory, dtype, connectivity, expansion_add, seed, n_jobs):
        """Train and fill the index."""
        faiss = optional_import("faiss", extra="faiss")
        factory = _factory(factory, dtype, connectivity)
        kind = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
        with _as_value_error(f"faiss makes no factory={factory!r} of {vectors.shape[1]} dimensions"):
            index = faiss.index_factory(vectors.shape[1], factory, kind)
        for part in _parts(faiss, index):
            _set_up(faiss, part, expansion_add, seed)
        threads = effective_n_jobs(n_jobs) if seed is None else 1
        failed = f"faiss cannot train factory={factory!r} on {len(vectors)} documents"
        with _on(faiss, threads), _as_value_error(failed), _silent_rotations(faiss, index):
            index.train(vectors)
            index.add(vectors)
        return cls(index, factory)

    def search(self, queries, count, *, expansion, nprobe, n_threads, mask=None):
        """Candidates of each query, best first, -1 where there are no more; and None for their distances."""
        faiss = optional_import("faiss", extra="faiss")
        chosen = None
        if mask is not None:
            bits = np.packbits(mask, bitorder="little")
            chosen = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        parameters = _parameters(faiss, self.index, max(expansion, count), nprobe, chosen)
        with _on(faiss, n_threads):
            return self.index.search(queries, count, params=parameters)[1], None

    def save(self, path):
        """Write the index in faiss's own format."""
        faiss = optional_import("faiss", extra="faiss")
        faiss.write_index(self.index, str(path))

    @classmethod
    def load(cls, path, vectors, metric, *, factory, dtype, connectivity, **options):
        """The index of `vectors` that stands in a file."""
        faiss = optional_import("faiss", extra="faiss")
        with _as_value_error(f"{path} holds no index of faiss"):
            index = faiss.read_index(str(path))
        check_shape(path, (index.ntotal, index.d), vectors.shape)
        needed = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
        if index.metric_type != needed:
            names = {faiss.METRIC_L2: "METRIC_L2", faiss.METRIC_INNER_PRODUCT: "METRIC_INNER_PRODUCT"}
            raise ValueError(
                f"{path} compares by {names.get(index.metric_type, index.metric_type)}; metric={metric!r} needs "
                f"{names[needed]}"
            )
        new = cls(index, _factory(factory, dtype, connectivity))
        if not new._agrees(vectors):
            raise other_vectors(path)
        return new

    def _agrees(self, vectors):
        """Whether what the index gives back are these vectors, as far as it can: a sample is compared."""
        faiss = optional_import("faiss", extra="faiss")
        if not all(isinstance(part, _centred(faiss)) for part in _parts(faiss, self.index)):
            return True
        asked = vectors[sample(len(vectors))]
        try:
            _, rows, held = self.index.search_and_reconstruct(asked, 1)
        except RuntimeError:  # a transform that cannot be undone
            return True
        held, rows = held[rows >= 0].astype(np.float64), rows[rows >= 0]
        if rows.max(initial=0) >= len(vectors):
            return False
        own = vectors[rows].astype(np.float64)
        error, size = np.sum((held - own) ** 2), np.sum(own**2)
        if self.is_exact:
            return error <= 1e-6 * size
        spread = np.sum((own - asked.mean(axis=0)) ** 2)
        parts, scalar = list(_parts(faiss, self.index)), (faiss.IndexScalarQuantizer, faiss.IndexIVFScalarQuantizer)
        if isinstance(parts[0], (*_whole(faiss), *scalar)):  # four bits a dimension, at least
            return error <= 0.05 * spread + 1e-3 * size
        # A code stands for the mean of its vectors: it is nearer to them than the mean of all is, and as long as they.
        return error <= spread + 1e-3 * size and abs(np.sum(held * (own - held))) <= 0.25 * size

    def __getstate__(self):
        faiss = optional_import("faiss", extra="faiss")
        return {"buffer": faiss.serialize_index(self.index), "factory": self.factory}

    def __setstate__(self, state):
        faiss = optional_import("faiss", extra="faiss")
        self.__init__(faiss.deserialize_index(np.array(state["buffer"])), state["factory"])


def _factory(given, dtype, connectivity):
    return f"HNSW{connectivity},{_CODECS[dtype]}" if given is None else given


def _parts(faiss, index):
    """An index and those in it that hold documents, from the outside in; of a graph, what it stores, too."""
    while index is not None:
        index = faiss.downcast_index(index)
        yield index
        inner = [name for name in ("index", "base_index", "storage") if hasattr(index, name)]
        index = getattr(index, inner[0]) if inner else None


def _filtering(faiss):
    return (faiss.IndexPreTransform, faiss.IndexIVF, faiss.IndexHNSW, faiss.IndexFlat, faiss.IndexScalarQuantizer)


def _whole(faiss):
    return (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexHNSW, faiss.IndexNSG, faiss.IndexIDMap)


def _centred(faiss):
    """Indexes whose codes stand for vectors in the coordinates of the documents."""
    scalar = (faiss.IndexScalarQuantizer, faiss.IndexIVFScalarQuantizer)
    products = (faiss.IndexPQ, faiss.IndexIVFPQ)
    return (*_whole(faiss), *scalar, *products, faiss.IndexPreTransform, faiss.IndexRefineFlat)


def _set_up(faiss, part, expansion_add, seed):
    """Set what is not a parameter of the factory."""
    if isinstance(part, faiss.IndexHNSW):
        part.hnsw.efConstruction = expansion_add
        if seed is not None:
            part.hnsw.rng = faiss.RandomGenerator(seed)
    for clustered in (part, getattr(part, "pq", None)):
        if hasattr(clustered, "cp"):
            clustered.cp.min_points_per_centroid = 1  # it prints a line to the terminal where there are fewer
            if seed is not None:
                clustered.cp.seed = seed


def _parameters(faiss, index, expansion, nprobe, chosen):
    """How to search: faiss's parameters, nested as its indexes are."""
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
    return None if chosen is None else faiss.SearchParameters(sel=chosen)


@contextmanager
def _silent_rotations(faiss, index):
    """Let OPQ, while it is trained, cluster by quantizers that print nothing."""
    index, rotations = faiss.downcast_index(index), []
    if isinstance(index, faiss.IndexPreTransform):
        chain = [faiss.downcast_VectorTransform(index.chain.at(i)) for i in range(index.chain.size())]
        rotations = [one for one in chain if isinstance(one, faiss.OPQMatrix)]
    quantizers = [faiss.ProductQuantizer(one.d_out, one.M, 8) for one in rotations]  # as it makes itself
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
    """Let faiss, which is OpenMP's, work on so many threads."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(n_threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@contextmanager
def _as_value_error(message):
    """Faiss raises RuntimeError with the place in its source; the reason stands behind."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0].rpartition("Error: ")[2]
        raise ValueError(f"{message}: {reason}") from error
