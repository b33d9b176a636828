"""Evaluation of nDCG@10, MAP, MRR and recall@100 against pytrec_eval and ranx, on the same judgments and runs.

Each contender gets the run as dicts, as it comes from elsewhere, and pays for its own conversion; sklrank also gets an
ordered `Run`, as its retrievers give it, and unordered arrays, which it sorts. All results are compared first. ranx
cannot share a process with threads, so it runs in one of its own, which takes its turns with the others.

    python benchmarks/bench_evaluate.py [--queries 5000] [--depth 1000] [--rounds 5]
"""

import argparse
import multiprocessing
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import statistics
import time

import numpy as np

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
    from ranx import Qrels, Run, evaluate

    qrels, run = as_dicts(*make(*shape))
    while connection.recv():
        start = time.perf_counter()
        values = evaluate(Qrels(qrels), Run(run), METRICS, threads=1)
        elapsed = time.perf_counter() - start
        connection.send((elapsed, {name: float(value) for name, value in values.items()}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--depth", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    shape = (arguments.queries, arguments.depth)

    # Before any thread starts here.
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=ranx_server, args=(theirs, shape), daemon=True)
    process.start()

    import pytrec_eval

    from sklrank import Corpus, Qrels, Run
    from sklrank.metrics import evaluate

    rows, scores, judged, grades = make(*shape)
    qrels, run = as_dicts(rows, scores, judged, grades)
    n_ids = int(judged.max()) + 1
    corpus = Corpus([""] * n_ids, ids=[f"doc{d}" for d in range(n_ids)])
    ordered = Run(run, corpus=corpus)
    own_qrels = Qrels(qrels, corpus=corpus)

    def pytrec():
        evaluator = pytrec_eval.RelevanceEvaluator(qrels, TREC)
        values = evaluator.evaluate(run)
        return {ours: np.mean([v[name] for v in values.values()]) for ours, name in zip(METRICS, TREC_NAMES)}

    def ranx():
        ours.send(True)
        elapsed, values = ours.recv()
        ranx_times.append(elapsed)
        return values

    ranx_times = []
    contenders = {
        "pytrec_eval, dicts": pytrec,
        "ranx, dicts": ranx,
        "sklrank, dicts": lambda: evaluate(qrels, run, METRICS),
        "sklrank, ordered Run": lambda: evaluate(own_qrels, ordered, METRICS),
        "sklrank, arrays to sort": lambda: evaluate(
            own_qrels, Run.from_arrays(rows, scores, corpus=corpus, queries=ordered.queries), METRICS
        ),
    }
    expected = pytrec()
    for name, contender in contenders.items():  # the first call of each compiles
        values = contender()
        # ranx and the sort by rows break ties otherwise: scores have four digits, so that the difference is small
        tolerance = 1e-9 if name in ("sklrank, dicts", "sklrank, ordered Run") else 2e-3
        for metric in METRICS:
            assert abs(values[metric] - expected[metric]) < tolerance, (name, metric, values[metric], expected[metric])
    ranx_times.clear()

    times = {name: [] for name in contenders}
    for _ in range(arguments.rounds):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender()
            times[name].append(ranx_times[-1] if name.startswith("ranx") else time.perf_counter() - start)
    ours.send(False)

    base = statistics.median(times["pytrec_eval, dicts"])
    print(
        f"{', '.join(METRICS)}: {shape[0]} queries × {shape[1]} results, {arguments.rounds} rounds, one thread, medians"
    )
    print(f"{'':26}{'ms':>9}{'× pytrec_eval':>15}")
    for name, measured in times.items():
        median = statistics.median(measured)
        print(f"{name:26}{1000 * median:9.1f}{base / median:15.1f}")


if __name__ == "__main__":
    main()
