"""Late interaction: one query of 32 tokens against documents of 128 dimensions, on one thread.

Against maxsim-cpu, its function for documents of unequal lengths, which takes a list of matrices and returns scores.
Ours is a retriever's `predict`, which checks and scales the query, ranks, and makes a `Run`. The scores are compared
first. The machine's own rate is that of NumPy's product of two matrices of 1 024 × 1 024, in the same turns.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("RAYON_NUM_THREADS", "1")  # maxsim-cpu's threads

import maxsim_cpu
import numpy as np

from benchmarks._harness import Row, interleave, megabytes, require, seconds
from sklrank import Corpus
from sklrank.data import TokenVectors
from sklrank.encoders import MuveraEncoder
from sklrank.rerankers import maxsim
from sklrank.retrievers import LateInteractionRetriever

N_FEATURES = 128
N_QUERY_TOKENS = 32
SQUARE = 1024
LENGTHS = {"80 to 160 tokens": (80, 161), "128 to 1 536 tokens": (128, 1537)}


def make_tokens(n_documents, shortest, longest, seed=0):
    """Unit vectors about a thousand centres, by which documents differ; and a query near some of a document's."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest, n_documents)
    centres = rng.standard_normal((1000, N_FEATURES), dtype=np.float32)
    values = centres[rng.integers(1000, size=lengths.sum())]
    values += rng.standard_normal(values.shape, dtype=np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    documents = TokenVectors(values, np.concatenate([[0], np.cumsum(lengths)]))
    query = rng.standard_normal((N_QUERY_TOKENS, N_FEATURES), dtype=np.float32) * np.float32(N_FEATURES**-0.5)
    query += documents[n_documents // 2][:N_QUERY_TOKENS]
    return documents, query / np.linalg.norm(query, axis=1, keepdims=True)


def exact(n_documents, lengths, rounds):
    """Exact scores of all documents, against maxsim-cpu and the machine's rate."""
    documents, query = make_tokens(n_documents, *LENGTHS[lengths])
    retriever = LateInteractionRetriever(k=100, n_jobs=1).fit(documents)
    queries, matrices = TokenVectors.from_list([query]), [np.ascontiguousarray(text) for text in documents]
    run, theirs = retriever.predict(queries), np.asarray(maxsim_cpu.maxsim_scores_variable(query, matrices))
    require(np.allclose(run.scores, theirs[run.rows], rtol=1e-5), "scores of maxsim-cpu")
    require(np.allclose(run.scores, np.sort(theirs)[::-1][: len(run.rows)], rtol=1e-5), "ranking of maxsim-cpu")
    left, right = np.random.default_rng(0).standard_normal((2, SQUARE, SQUARE), dtype=np.float32)
    times = interleave(
        {
            "ours": lambda: retriever.predict(queries),
            "maxsim-cpu": lambda: maxsim_cpu.maxsim_scores_variable(query, matrices),
            "sgemm": lambda: left @ right,
        },
        rounds=rounds,
    )
    what = f"MaxSim, {n_documents} documents of {lengths}"
    ours, theirs = times["ours"], times["maxsim-cpu"]
    yield Row(what, seconds(ours), "maxsim-cpu", seconds(theirs), theirs / ours, floor=3.5)
    rate, full = 2 * N_QUERY_TOKENS * documents.values.size / ours, 2 * SQUARE**3 / times["sgemm"]
    share = 100 * rate / full
    machine = f"{full / 1e9:.0f} GFLOP/s"
    yield Row(f"{what}, rate", f"{rate / 1e9:.0f} GFLOP/s", "sgemm", machine, value=share, least=70, unit="% of it")


def forms(n_documents, rounds):
    """The same search in fewer bytes or with fewer candidates."""
    documents, query = make_tokens(n_documents, *LENGTHS["80 to 160 tokens"])
    corpus, queries = Corpus(documents), TokenVectors.from_list([query])
    settings = {
        "float32": {},
        "float16": {"dtype": "float16"},
        "int8": {"dtype": "int8"},
        "binary": {"dtype": "binary"},
        "pool_factor=2": {"pool_factor": 2},
        "MUVERA, 100 candidates": {"retriever": MuveraEncoder(), "n_candidates": 100},
    }
    retrievers = {
        name: LateInteractionRetriever(corpus, k=10, n_jobs=1, **parameters).fit(queries)
        for name, parameters in settings.items()
    }
    times = interleave({name: lambda r=r: r.predict(queries) for name, r in retrievers.items()}, rounds=rounds)
    whole = times.pop("float32")
    for name, ours in times.items():
        size = megabytes(retrievers[name].bytes_per_token_ * retrievers[name].n_tokens_)
        yield Row(f"{n_documents} documents, {name}, {size}", seconds(ours), "float32", seconds(whole), whole / ours)


def on_two_threads(n_documents, rounds, n_queries=8):
    """A query on two threads; and two Python threads, each of which asks half of the queries, one by one."""
    documents, query = make_tokens(n_documents, *LENGTHS["80 to 160 tokens"])
    corpus, queries = Corpus(documents), TokenVectors.from_list([query])
    single, double = (LateInteractionRetriever(corpus, k=10, n_jobs=n).fit(queries) for n in (1, 2))

    def search(_):
        return single.predict(queries).rows

    def score(_):
        return maxsim(query, documents.values, documents.indptr)

    with ThreadPoolExecutor(2) as pool:
        times = interleave(
            {
                "n_jobs=1": lambda: single.predict(queries),
                "n_jobs=2": lambda: double.predict(queries),
                "searches": lambda: list(map(search, range(n_queries))),
                "searches of two": lambda: list(pool.map(search, range(n_queries))),
                "maxsim": lambda: list(map(score, range(n_queries))),
                "maxsim of two": lambda: list(pool.map(score, range(n_queries))),
            },
            rounds=rounds,
            clock=time.perf_counter,
        )
    for what, two, one in [
        ("n_jobs=2", "n_jobs=2", "n_jobs=1"),
        ("two Python threads that search", "searches of two", "searches"),
        ("two Python threads that call maxsim", "maxsim of two", "maxsim"),
    ]:
        n = n_queries if two != "n_jobs=2" else 1
        yield Row(
            f"{n_documents} documents, {n} {'query' if n == 1 else 'queries'}, {what}", seconds(times[two]),
            "one thread", seconds(times[one]), times[one] / times[two], floor=1.7,
        )  # fmt: skip


def run(quick=False):
    """Yield the lines of the table."""
    n_documents, rounds = (200, 3) if quick else (1000, 25)
    for lengths, n in zip(LENGTHS, (n_documents, n_documents // 4)):
        yield from exact(n, lengths, rounds)
    yield from forms(2 * n_documents, rounds)
    yield from on_two_threads(2 * n_documents, rounds)
