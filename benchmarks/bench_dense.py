"""Exact dense search on one thread, and its gain from vectors with fewer bits.

Many queries at once, against this machine's own matrix product (blocks of 4096 documents into one buffer, nothing
selected, the fastest that was found here) and against faiss's flat index with its BLAS threshold tuned: as shipped it
takes the product path only for many queries. Rankings are those of faiss, except for documents whose scores differ by
less than single precision can distinguish.

One query at a time, on vectors of MiniLM of real documents: the collections, and 160 000 vectors drawn from them with
noise that leaves a cosine of .9. The models and the collections come from the folder that SKLRANK_TEST_DATA names.
"""

import json
import os
import subprocess
import sys

import numpy as np

from benchmarks._harness import (
    Row,
    forget_peak,
    interleave,
    megabytes,
    peak_memory,
    require,
    resident_memory,
    seconds,
    thousands,
)

_DIMENSIONS = 384
_K = 100


def make_vectors(n, seed=0):
    """Unit vectors about a thousand centres."""
    centres = np.random.default_rng(0).standard_normal((1000, _DIMENSIONS), dtype=np.float32)
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, _DIMENSIONS), dtype=np.float32)
    vectors += centres[rng.integers(len(centres), size=n)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def product(documents, queries):
    """The product of all queries and documents, a block at a time, which goes nowhere."""
    buffer = np.empty(len(queries) * 4096, dtype=np.float32)

    def multiply():
        for start in range(0, len(documents), 4096):
            block = documents[start : start + 4096]
            np.matmul(queries, block.T, out=buffer[: len(queries) * len(block)].reshape(len(queries), len(block)))

    return multiply


def flat(documents):
    """The flat index of faiss."""
    import faiss

    faiss.omp_set_num_threads(1)
    faiss.cvar.distance_compute_blas_threshold = 20
    index = faiss.IndexFlatIP(documents.shape[1])
    index.add(documents)
    return index


def check(run, found):
    """Equal scores, and equal documents but for those at the cutoff."""
    scores, rows = found
    require(np.allclose(run.scores.reshape(scores.shape), scores, atol=1e-5), "scores of faiss")
    ours = run.rows.reshape(rows.shape)
    for mine, theirs, sure in zip(ours, rows, scores > scores[:, -1:] + 1e-5):
        require(set(theirs[sure]) <= set(mine), "documents of faiss")


def measure_batch(n_documents, n_queries, rounds):
    """Many queries at once."""
    from sklrank import Corpus, Queries
    from sklrank.retrievers import DenseRetriever

    documents, vectors = make_vectors(n_documents), make_vectors(n_queries, seed=1)
    queries = Queries(vectors)
    retriever = DenseRetriever(Corpus(documents), k=_K).fit(queries)
    index = flat(documents)
    check(retriever.predict(queries), index.search(vectors, _K))
    contenders = {
        "ours": lambda: retriever.predict(queries),
        "product": product(documents, vectors),
        "faiss": lambda: index.search(vectors, _K),
    }
    times = interleave(contenders, rounds=rounds)
    what = f"exact top {_K} of {n_queries} queries, {thousands(n_documents)} × {_DIMENSIONS}"
    ours = seconds(times["ours"])
    rate = 2 * n_documents * n_queries * _DIMENSIONS / times["product"] / 1e9
    peer = f"product alone, {rate:.0f} GFLOP/s,"
    yield Row(what, ours, peer, seconds(times["product"]), times["product"] / times["ours"], floor=0.85)
    yield Row(what, ours, "faiss", seconds(times["faiss"]), times["faiss"] / times["ours"], floor=1.0)


def measure_memory(n_documents, n_queries):
    """Peak memory of a process that searches, in multiples of its vectors."""
    command = [sys.executable, "-m", "benchmarks.bench_dense", str(n_documents), str(n_queries)]
    used = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    total = used["vectors"] + used["peak"] - used["before"]
    what = f"memory of that search, with the vectors of {megabytes(used['vectors'])}"
    yield Row(what, megabytes(total), value=total / used["vectors"], limit=1.2, unit="×")


def real_vectors(name):
    """Documents and queries of a collection as MiniLM sees them."""
    from benchmarks.bench_hybrid import load, retrievers

    corpus, queries, _ = load(name)
    retriever = retrievers(corpus)["minilm"].fit(queries)
    return retriever.vectors_, retriever._query_vectors(queries)[1]


def measure_single(what, documents, vectors, rounds, asked):
    """One query at a time."""
    from sklrank import Corpus, Queries
    from sklrank.retrievers import DenseRetriever

    corpus, queries = Corpus(documents), Queries(vectors)
    forms = {
        "float32": DenseRetriever(corpus, k=_K),
        "float16": DenseRetriever(corpus, dtype="float16", k=_K),
        "int8, rescore=2": DenseRetriever(corpus, dtype="int8", rescore=2, k=_K),
        "int8, rescore=4": DenseRetriever(corpus, dtype="int8", k=_K),
        "binary, rescore=4": DenseRetriever(corpus, dtype="binary", rescore=4, k=_K),
        "binary, rescore=10": DenseRetriever(corpus, dtype="binary", k=_K),
    }
    recalls = {name: retriever.fit(None).recall_against_exact(queries) for name, retriever in forms.items()}
    few = [queries[[i]] for i in range(min(20, len(queries)))]
    contenders = {
        name: lambda retriever=retriever: [retriever.predict(query) for query in few]
        for name, retriever in forms.items()
    }
    times = {name: time / len(few) for name, time in interleave(contenders, rounds=rounds).items()}
    size = f"{what}, {len(documents)} × {_DIMENSIONS}"
    for name, retriever in forms.items():
        if name == "float32":
            continue
        label = f"{size}: {name}, {retriever.bytes_per_vector_} bytes a vector, recall {recalls[name]:.4f}"
        ratio = times["float32"] / times[name]
        floor = asked.get(name.partition(",")[0])
        if name.startswith("int8") and recalls[name] < 0.99:
            floor = None
        yield Row(label, seconds(times[name]), "float32", seconds(times["float32"]), ratio, floor=floor)


def run(quick=False):
    """All rows."""
    n, m, rounds = (20_000, 100, 2) if quick else (200_000, 1000, 5)
    yield from measure_batch(n, m, rounds)
    yield from measure_memory(n, m)
    if not os.environ.get("SKLRANK_TEST_DATA"):
        raise SystemExit("the rest needs collections and MiniLM: set SKLRANK_TEST_DATA to the folder of the test data")
    found = {name: real_vectors(name) for name in ("scifact", "cranfield", "vaswani")}
    for name, (documents, queries) in found.items():
        yield from measure_single(name, documents, queries, rounds, {})
    rng = np.random.default_rng(0)
    documents, queries = (np.concatenate(parts) for parts in zip(*found.values()))
    drawn = documents[rng.integers(len(documents), size=n * 4 // 5)]
    drawn += rng.standard_normal(drawn.shape, dtype=np.float32) * np.float32(0.025)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    some = queries[rng.permutation(len(queries))[:200]]
    yield from measure_single("drawn from all", drawn, some, rounds, {"int8": 2.5, "binary": 10.0})


def _child(n_documents, n_queries):
    """Search once to compile and import everything, then for the record."""
    from sklrank import Corpus
    from sklrank.retrievers import DenseRetriever

    few = make_vectors(1000)
    DenseRetriever(Corpus(few), k=_K).fit(None).predict(few)
    documents, queries = make_vectors(n_documents), make_vectors(n_queries, seed=1)
    before = resident_memory()
    forget_peak()
    retriever = DenseRetriever(Corpus(documents), k=_K).fit(None)
    run = retriever.predict(queries)
    print(json.dumps({"vectors": documents.nbytes, "before": before, "peak": peak_memory()}))
    del run


if __name__ == "__main__":
    _child(*map(int, sys.argv[1:]))
