"""Sparse retrieval on one thread: all queries in one call.

SciFact as a SPLADE model sees it, against a product of matrices in SciPy, `queries @ documents.T`, and a partition of
each row. The rankings are the same, except for the order of equal scores. A second contender has the transposed matrix
made in advance, which takes the same memory once more.

Topical synthetic vectors, 50 000 documents of about 100 terms and queries of about 30, against Seismic: its default
index, and for each k the least `query_cut` that finds .98 of the exact ranking. sklrank is exact.
"""

import numpy as np
import scipy.sparse as sp

from benchmarks._harness import Row, interleave, require, seconds, thousands

N_TERMS = 30_522
RECALL = 0.98


def product(queries, transposed, k):
    """The best k documents of each query and their scores, as one would write it with SciPy."""
    scores = (queries @ transposed).tocsr()
    found = []
    for start, stop in zip(scores.indptr[:-1], scores.indptr[1:]):
        values, rows = scores.data[start:stop], scores.indices[start:stop]
        if len(values) > k:
            best = np.argpartition(-values, k)[:k]
            values, rows = values[best], rows[best]
        order = np.argsort(-values, kind="stable")
        found.append((rows[order], values[order]))
    return found


def check(run, found):
    """Equal scores rank by rank, and the documents of those above the last score."""
    bounds = run.indptr.tolist()
    for q, (rows, values) in enumerate(found):
        own = slice(bounds[q], bounds[q + 1])
        require(len(rows) == own.stop - own.start, f"number of documents of query {q}")
        require(np.allclose(run.scores[own], values, rtol=1e-5), f"scores of query {q}")
        last = values[-1] * (1 + 1e-5) if len(values) else 0
        require(set(rows[values > last].tolist()) <= set(run.rows[own].tolist()), f"documents of query {q}")


def splade_vectors():
    """Documents and queries of SciFact."""
    from benchmarks.bench_hybrid import load, retrievers

    corpus, queries, _ = load("scifact")
    retriever = retrievers(corpus)["splade"].fit(queries)
    return retriever.encoded_.output, sp.csr_array(retriever.encoded_.query_encoder.transform(queries.texts))


def measure_product(documents, queries, k, rounds):
    """Against SciPy."""
    from sklrank.retrievers import SparseRetriever

    documents, queries = documents.astype(np.float32), queries.astype(np.float32)
    transposed = documents.T.tocsr()
    contenders = {
        "csr @ csr.T": lambda: product(queries, documents.T, k),
        "csr @ transposed": lambda: product(queries, transposed, k),
    }
    for dtype in ("float32", "uint8"):
        retriever = SparseRetriever(dtype=dtype, k=k).fit(documents)
        contenders[dtype] = lambda retriever=retriever: retriever.predict(queries)
    run, small = contenders["float32"](), contenders["uint8"]()
    check(run, contenders["csr @ csr.T"]())
    shared = sum(len(np.intersect1d(a.rows, b.rows)) for a, b in zip(run, small)) / len(run.rows)
    times = {name: t / queries.shape[0] for name, t in interleave(contenders, rounds=rounds, at_least=2.0).items()}
    what = f"SciFact, SPLADE, k = {k}"
    for name in ("csr @ csr.T", "csr @ transposed"):
        ratio = times[name] / times["float32"]
        floor = 5.0 if name == "csr @ csr.T" else None
        yield Row(what, seconds(times["float32"]), f"SciPy, {name},", seconds(times[name]), ratio, floor)
    yield Row(
        f"{what}, 8 bits: {shared:.1%} of the exact ranking",
        seconds(times["uint8"]),
        "SciPy, csr @ csr.T,",
        seconds(times["csr @ csr.T"]),
        times["csr @ csr.T"] / times["uint8"],
    )


def topical_vectors(n_documents, n_queries, seed=0):
    """Vectors of two topics each, and of terms that all topics share, with weights like those of SPLADE."""
    n_topics, n_own = 400, 300
    rng = np.random.default_rng(seed)

    def zipf(n, exponent):
        bounds = np.cumsum(1.0 / np.arange(1, n + 1) ** exponent)
        return bounds / bounds[-1]

    shared, own = zipf(N_TERMS, 0.82), zipf(n_own, 0.8)
    topics = np.array([rng.choice(N_TERMS, n_own, replace=False) for _ in range(n_topics)])

    def draw(n, length, share):
        two = rng.integers(n_topics, size=(n, 2))
        topic = np.take_along_axis(two, (rng.random((n, length)) < 0.3).astype(int), axis=1)
        is_shared = rng.random((n, length)) < share
        terms = np.where(
            is_shared,
            np.searchsorted(shared, rng.random((n, length))),
            topics[topic, np.searchsorted(own, rng.random((n, length)))],
        )
        weights = np.log1p(rng.exponential(size=(n, length)) * np.where(is_shared, 0.5, 2.0))
        rows = np.arange(n).repeat(length)
        matrix = sp.csr_array((weights.ravel().astype(np.float32), (rows, terms.ravel())), shape=(n, N_TERMS))
        matrix.sum_duplicates()
        return matrix

    return draw(n_documents, 125, 0.25), draw(n_queries, 32, 0.2)


class Seismic:
    """Its index; documents by number, which queries name as strings."""

    def __init__(self, documents, queries):
        import seismic

        dataset = seismic.SeismicDataset()
        ids = [str(row) for row in range(documents.shape[0])]
        components, offsets = documents.indices.astype(np.int64), documents.indptr.astype(np.int64)
        dataset.add_documents_by_id(ids, components, documents.data, offsets)
        self.index = seismic.SeismicIndex.build_from_dataset(dataset)
        kind = seismic.get_seismic_string()
        bounds = list(zip(queries.indptr[:-1], queries.indptr[1:]))
        self.ids = np.array([str(q) for q in range(len(bounds))], dtype=kind)
        self.terms = [np.array([str(t) for t in queries.indices[a:b].tolist()], dtype=kind) for a, b in bounds]
        self.weights = [queries.data[a:b] for a, b in bounds]

    def search(self, k, query_cut):
        return self.index.batch_search(self.ids, self.terms, self.weights, k, query_cut, 0.9, num_threads=1)

    def recall(self, run, k, query_cut):
        """Share of the exact rankings that is found; it returns the queries in another order."""
        found = {one[0][0]: {int(docid) for _, _, docid in one} for one in self.search(k, query_cut) if one}
        shared = [len(found.get(str(q), set()) & set(one.rows.tolist())) for q, one in enumerate(run)]
        return sum(shared) / len(run.rows)


def measure_seismic(n_documents, n_queries, rounds, cutoffs=(10, 100)):
    """Against Seismic."""
    from sklrank.retrievers import SparseRetriever

    documents, queries = topical_vectors(n_documents, n_queries)
    peer = Seismic(documents, queries)
    retriever = SparseRetriever().fit(documents)
    for k in cutoffs:
        run = retriever.set_params(k=k).predict(queries)
        check(run, product(queries, documents.T, k))
        recalls = ((cut, peer.recall(run, k, cut)) for cut in (4, 6, 8, 10, 15, 20, 40))
        cut, recall = next(((cut, recall) for cut, recall in recalls if recall >= RECALL), (None, 0))
        require(cut is not None, f"Seismic does not reach a recall of {RECALL}")
        contenders = {"ours": lambda: retriever.predict(queries), "seismic": lambda: peer.search(k, cut)}
        times = {name: t / n_queries for name, t in interleave(contenders, rounds=rounds, at_least=2.0).items()}
        yield Row(
            f"{thousands(n_documents)} documents, topical, k = {k}, exact",
            seconds(times["ours"]),
            f"Seismic, query_cut={cut}, recall {recall:.3f},",
            seconds(times["seismic"]),
            times["seismic"] / times["ours"],
            1.0,
        )


def run(quick=False):
    """All rows."""
    if quick:
        documents, queries = topical_vectors(2000, 50)
        yield from measure_product(documents, queries, 100, rounds=3)
        yield from measure_seismic(2000, 50, rounds=3, cutoffs=(10,))
        return
    documents, queries = splade_vectors()
    yield from measure_product(documents, queries, 100, rounds=9)
    yield from measure_seismic(50_000, 300, rounds=5)
