"""The cost of segments: the same documents in one segment, and in several.

An index that was changed has at most 8 segments. Equal segments are the worst case; a series of additions leaves
segments of which each is about 8 times as large as the next one. The rankings are equal, bit for bit.
"""

import statistics
import time

import numpy as np

from benchmarks._corpora import make_queries, zipf_texts
from benchmarks._harness import Row, require, seconds, thousands

_ROUNDS = 7
_LIMITS = {4: 1.15, 8: 1.3}


def cpu_of(call):
    """CPU time of a call in seconds."""
    start = time.process_time()
    call()
    return time.process_time() - start


def edges_of(n_documents, n_segments, shape):
    """Bounds of the documents of the segments."""
    shares = np.ones(n_segments) if shape == "equal" else 8.0 ** -np.arange(n_segments)
    sizes = np.maximum(shares / shares.sum() * n_documents, 1).astype(np.int64)
    sizes[0] += n_documents - sizes.sum()
    return np.cumsum([0, *sizes])


def in_segments(retriever, texts, n_segments, shape):
    """A fitted retriever over the same documents in several segments."""
    from sklearn.base import clone

    from sklrank import Corpus
    from sklrank.retrievers._index import Index

    edges = edges_of(len(texts), n_segments, shape)
    segments = [
        clone(retriever).set_params(corpus=Corpus(texts[start:stop])).fit(None).index_.segments[0]
        for start, stop in zip(edges[:-1], edges[1:])
    ]
    split = clone(retriever).fit(None)
    split.index_ = Index(segments)
    return split


def run(quick=False):
    """All rows."""
    for n_documents in [100_000] if quick else [200_000, 1_000_000]:
        yield from measure(n_documents)


def measure(n_documents):
    """Rows of one size."""
    from sklrank import Corpus
    from sklrank.retrievers import BM25Retriever

    texts = zipf_texts(n_documents)
    whole = BM25Retriever(Corpus(texts), k=100, n_jobs=1).fit(None)
    contenders = {(1, "equal"): whole}
    for n_segments in _LIMITS:
        for shape in ("geometric", "equal"):
            contenders[n_segments, shape] = in_segments(whole, texts, n_segments, shape)
    for kind in ("light", "heavy"):
        queries = make_queries(kind, texts, 200)
        runs = {name: retriever.predict(queries) for name, retriever in contenders.items()}
        expected = runs[1, "equal"]
        for run in runs.values():
            require(np.array_equal(run.rows, expected.rows) and np.array_equal(run.scores, expected.scores), kind)
        times = {name: [] for name in contenders}
        for _ in range(_ROUNDS):
            for name, retriever in contenders.items():
                times[name].append(cpu_of(lambda retriever=retriever: retriever.predict(queries)) / len(queries))
        one = statistics.median(times.pop((1, "equal")))
        for (n_segments, shape), measured in times.items():
            cost = statistics.median(measured)
            yield Row(
                f"{thousands(n_documents)} documents, {kind} queries, {n_segments} {shape} segments",
                seconds(cost),
                "one segment",
                seconds(one),
                one / cost,
                floor=1 / _LIMITS[n_segments],
            )
