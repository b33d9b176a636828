"""Evaluation of nDCG@10, MAP, MRR and recall@100 against pytrec_eval and ranx, on the same judgments and runs.

Each contender gets the run as dicts, as it comes from elsewhere, and pays for its own conversion; sklrank also gets an
ordered `Run`, as its retrievers give it, and unordered arrays, which it sorts. ranx cannot share a process with
threads, so it runs in one of its own, which takes its turns with the others and measures its own time.
"""

import multiprocessing
import statistics
import time

import numpy as np
import pytrec_eval

from benchmarks._harness import Row, interleave, require, seconds
from sklrank import Corpus, Qrels, Run
from sklrank.metrics import evaluate

METRICS = ["ndcg@10", "map", "mrr", "recall@100"]
TREC = {"ndcg_cut.10", "map", "recip_rank", "recall.100"}
TREC_NAMES = ["ndcg_cut_10", "map", "recip_rank", "recall_100"]


def make(n_queries, depth, n_judged=20, n_documents=100_000, seed=0):
    """Judgments and a run with ties in it, as arrays of rows."""
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.choice(n_documents, depth, replace=False) for _ in range(n_queries)])
    scores = np.round(rng.gamma(2.0, 5.0, rows.shape), 4).astype(np.float32)
    found = rng.random((n_queries, n_judged)) < 0.5
    judged = np.where(found, rows[:, :n_judged], n_documents + np.arange(n_judged))
    grades = rng.integers(0, 4, judged.shape)
    return rows, scores, judged, grades


def as_dicts(rows, scores, judged, grades):
    """The same, keyed by ids."""
    qrels, run = {}, {}
    for q in range(len(rows)):
        run[f"q{q}"] = {f"doc{d}": s for d, s in zip(rows[q].tolist(), scores[q].tolist())}
        qrels[f"q{q}"] = {f"doc{d}": g for d, g in zip(judged[q].tolist(), grades[q].tolist())}
    return qrels, run


def ranx_server(connection, shape):
    """Evaluate with ranx whenever asked; its first call compiles."""
    import ranx

    qrels, run = as_dicts(*make(*shape))
    while connection.recv():
        start = time.process_time()
        values = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), METRICS, threads=1)
        connection.send((time.process_time() - start, {name: float(value) for name, value in values.items()}))


def run(quick=False):
    """Yield the lines of the table."""
    shape = (200, 100) if quick else (5000, 1000)
    context = multiprocessing.get_context("spawn")
    connection, other = context.Pipe()
    process = context.Process(target=ranx_server, args=(other, shape), daemon=True)
    process.start()

    rows, scores, judged, grades = make(*shape)
    qrels, rankings = as_dicts(rows, scores, judged, grades)
    n_documents = int(judged.max()) + 1
    corpus = Corpus([""] * n_documents, ids=[f"doc{d}" for d in range(n_documents)])
    ordered, own_qrels = Run(rankings, corpus=corpus), Qrels(qrels, corpus=corpus)
    ranx_times = []

    def pytrec():
        values = pytrec_eval.RelevanceEvaluator(qrels, TREC).evaluate(rankings)
        return {ours: np.mean([v[name] for v in values.values()]) for ours, name in zip(METRICS, TREC_NAMES)}

    def ranx():
        connection.send(True)
        elapsed, values = connection.recv()
        ranx_times.append(elapsed)
        return values

    contenders = {
        "pytrec_eval": pytrec,
        "ranx": ranx,
        "dicts": lambda: evaluate(qrels, rankings, METRICS),
        "ordered Run": lambda: evaluate(own_qrels, ordered, METRICS),
        "arrays, with the sort": lambda: evaluate(
            own_qrels, Run.from_arrays(rows, scores, corpus=corpus, queries=ordered.queries), METRICS
        ),
    }
    expected = pytrec()
    for name, contender in contenders.items():
        # equal scores, of which there are a few, go by id in trec_eval, by row in arrays, and anyhow in ranx
        tolerance = 1e-9 if name in ("dicts", "ordered Run") else 2e-3
        values = contender()
        require(all(abs(values[m] - expected[m]) < tolerance for m in METRICS), f"{name}: {values}, {expected}")
    ranx_times.clear()
    times = interleave(contenders, rounds=3 if quick else 5)
    connection.send(False)
    process.join()
    times["ranx"] = statistics.median(ranx_times[1:])

    size = f"evaluate, {shape[0]} queries × {shape[1]} results"
    asked = {("dicts", "pytrec_eval"): 1, ("dicts", "ranx"): 1}
    asked |= {("ordered Run", "pytrec_eval"): 30, ("arrays, with the sort", "pytrec_eval"): 10}
    for (ours, theirs), floor in asked.items():
        ratio = times[theirs] / times[ours]
        yield Row(f"{size}, {ours}", seconds(times[ours]), theirs, seconds(times[theirs]), ratio, floor=floor)
