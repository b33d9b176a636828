"""Approximate search: the time that AnnRetriever adds to usearch, and the time that it saves against exact search.

Vectors form clusters, as the vectors of texts do. Both search the same graph with the same breadth, on one thread, and
find the same documents. usearch gets an array of vectors of unit length, and AnnRetriever the queries without a change.
The peer of the second part is exact search by blocks.
"""

import numpy as np
from usearch.index import Index

from benchmarks._harness import Row, interleave, megabytes, require, seconds, thousands
from sklrank import Corpus, Queries
from sklrank.retrievers import AnnRetriever, DenseRetriever

_ADDED = 1.05  # times usearch's own time
_TYPES = {"float32": "f32", "float16": "f16"}
_DIMENSIONS = 384


def clustered(rng, centres, n):
    """Vectors around the centres."""
    vectors = rng.standard_normal((n, _DIMENSIONS), dtype=np.float32)
    vectors += centres[rng.integers(len(centres), size=n)]
    return vectors


def run(quick=False):
    """Yield the lines of the table."""
    n, n_queries = (5_000, 100) if quick else (20_000, 1_000)
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((n // 100, _DIMENSIONS), dtype=np.float32)
    corpus = Corpus(clustered(rng, centres, n))
    queries = Queries(clustered(rng, centres, n_queries))
    size = f"{thousands(n)} × {_DIMENSIONS}"
    for dtype in _TYPES:
        retriever = AnnRetriever(corpus, dtype=dtype).fit(queries)
        yield from added(retriever, queries, f"{size}, {dtype}", rounds=3 if quick else 7)
        yield from saved(retriever, queries, f"{size}, {dtype}", rounds=3 if quick else 5)


def added(retriever, queries, what, rounds):
    """What a batch, and a query by itself, take more than in usearch."""
    k, graph = retriever.k, retriever.index_
    own = Index(ndim=_DIMENSIONS, metric="ip", dtype=_TYPES[retriever.dtype], expansion_search=k)
    own.load(np.array(graph.buffer))
    vectors = graph._asked(retriever._query_vectors(queries)[1])
    theirs = own.search(vectors, k, threads=1).keys
    for i, found in enumerate(retriever.predict(queries)):
        require(set(found.rows.tolist()) == set(theirs[i].tolist()), f"query {i} over {what}")
    contenders = {
        "ours": lambda: retriever.predict(queries),
        "theirs": lambda: own.search(vectors, k, threads=1),
    }
    # Candidates of a coarser graph are scored again, which usearch leaves to others.
    floor = 1 / _ADDED if graph.is_exact else None
    yield _compared(f"{len(queries)} queries, top {k}, {what}", interleave(contenders, rounds=rounds), floor)
    few = [queries[[i]] for i in range(50)]
    contenders = {
        "ours": lambda: [retriever.predict(query) for query in few],
        "theirs": lambda: [own.search(query, k, threads=1) for query in vectors[:50, None]],
    }
    times = {name: time / len(few) for name, time in interleave(contenders, rounds=rounds).items()}
    yield _compared(f"one query at a time, {what}", times, None)


def _compared(what, times, floor):
    ratio = times["theirs"] / times["ours"]
    return Row(what, seconds(times["ours"]), "usearch", seconds(times["theirs"]), ratio, floor=floor)


def saved(retriever, queries, what, rounds):
    """One query at a time, tuned to a recall of .95 at 10, against looking at every document."""
    retriever.set_params(k=10).tune(queries[: len(queries) // 2])
    rest = queries[len(queries) // 2 :]
    recall = retriever.recall_against_exact(rest)
    exact = DenseRetriever(retriever.corpus_, k=10).fit(rest)
    few = [rest[[i]] for i in range(50)]
    contenders = {
        "ours": lambda: [retriever.predict(query) for query in few],
        "theirs": lambda: [exact.predict(query) for query in few],
    }
    times = {name: time / len(few) for name, time in interleave(contenders, rounds=rounds).items()}
    where = f"{what}, {megabytes(len(retriever.index_.buffer))}"
    label = f"top 10, recall {recall:.3f} on other queries than tuned, {where}"
    ours, theirs = times["ours"], times["theirs"]
    yield Row(label, seconds(ours), "DenseRetriever", seconds(theirs), theirs / ours)
