"""What an index of short documents takes: memory by part, and the CPU time of building, changes and queries."""

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks._harness import Row, forget_peak, megabytes, peak_memory, seconds, thousands

_WORDS = 10  # of a document
_VOCABULARY = 1_000_000  # words that documents are drawn from
_ROUNDS = 5


def cpu_of(call):
    """CPU time of a call in seconds."""
    start = time.process_time()
    call()
    return time.process_time() - start


def short_texts(n_documents, seed=0):
    """Documents of ten words each, the i-th word with probability 1 / i."""
    rng = np.random.default_rng(seed)
    words = np.array([f"w{i:x}" for i in range(_VOCABULARY)], dtype=object)
    bounds = np.cumsum(1.0 / np.arange(1, _VOCABULARY + 1))
    bounds /= bounds[-1]
    for start in range(0, n_documents, 100_000):
        n = min(100_000, n_documents - start)
        drawn = words[np.searchsorted(bounds, rng.random((n, _WORDS)))]
        yield from map(" ".join, drawn.tolist())


def run(quick=False):
    """All rows."""
    for n_documents in [20_000] if quick else [100_000, 1_000_000, 10_000_000]:
        yield from measure(n_documents)


def measure(n_documents):
    """Rows of one size."""
    import sklrank
    from sklrank import Corpus
    from sklrank.retrievers import BM25Retriever

    size = f"{thousands(n_documents)} documents"
    texts = list(short_texts(n_documents + n_documents // 100 + 2 * _ROUNDS, seed=n_documents))
    added = {f"n{i}": text for i, text in enumerate(texts[n_documents : -2 * _ROUNDS])}
    single, queries = texts[-2 * _ROUNDS : -_ROUNDS], [" ".join(text.split()[:3]) for text in texts[-_ROUNDS:]]
    corpus = Corpus(texts[:n_documents], ids=[f"d{i}" for i in range(n_documents)])
    del texts
    BM25Retriever().fit(["heat flows"]).add({"x": "heat"}).predict(["heat"])
    forget_peak()
    retriever = BM25Retriever(corpus, k=10)
    build = cpu_of(lambda: retriever.fit(None))
    yield Row(f"{size}: build", seconds(build))
    yield Row(f"{size}: peak of resident memory while building, documents included", megabytes(peak_memory()))

    segment = retriever.index_.segments[0]
    text = corpus.text()
    n_postings = len(segment.docs)
    postings = sum(array.nbytes for array in (segment.docs, segment.counts, segment.indptr, segment.lengths))
    skips = sum(array.nbytes for array in segment.skips)
    yield Row(f"{size}: texts, per document", f"{(text.buffer.nbytes + text.offsets.nbytes) / n_documents:.0f} bytes")
    yield Row(f"{size}: postings, per posting", f"{(postings + skips) / n_postings:.1f} bytes")
    yield Row(f"{size}: index, per document", f"{corpus.cache_usage()['index'] / n_documents:.0f} bytes")
    yield Row(f"{size}: different terms", f"{segment.n_terms:,}")

    yield Row(f"{size}: first query", seconds(cpu_of(lambda: retriever.predict(queries[:1]))))
    share = cpu_of(lambda: retriever.add(added))
    yield Row(f"{size}: add 1 % more documents", f"{share / build:.1%} of the build")
    retriever.predict(queries[:1])
    times = {name: [] for name in ("remove one document", "add one document", "query after a change", "query")}
    for i in range(_ROUNDS):
        times["remove one document"].append(cpu_of(lambda i=i: retriever.remove([f"d{7 * i}"])))
        times["query after a change"].append(cpu_of(lambda i=i: retriever.predict(queries[i : i + 1])))
        times["query"].append(cpu_of(lambda i=i: retriever.predict(queries[i : i + 1])))
        times["add one document"].append(cpu_of(lambda i=i: retriever.add({f"s{i}": single[i]})))
    for name, measured in times.items():
        yield Row(f"{size}: {name}", seconds(float(np.median(measured))))
    with tempfile.TemporaryDirectory() as folder:
        yield Row(f"{size}: save", seconds(cpu_of(lambda: retriever.save(folder))))
        files = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        yield Row(f"{size}: files, per document", f"{files / n_documents:.0f} bytes")
        yield Row(f"{size}: open", seconds(cpu_of(lambda: sklrank.load(folder))))
