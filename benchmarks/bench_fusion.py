"""Fusion of three runs against ranx and plain Python, on the same lists.

From arrays the candidates are there, united, as a `RetrieverUnion` gives them; ranx has its runs converted already,
too. From dicts both sides begin with dicts and end with one. ranx cannot share a process with threads, so it runs in
one of its own, which takes its turns with the others and measures its own time; its normalization is part of what
it is asked for, as it is of ours.
"""

import multiprocessing
import statistics
import time
import warnings

import numpy as np

from benchmarks._harness import Row, interleave, require, seconds
from sklrank import Corpus, Run
from sklrank.fusers import RankFuser, ReciprocalRankFuser, ScoreFuser, fuse

WEIGHTS = [0.5, 0.3, 0.2]
# What: our fuser, and method, norm and parameters in ranx.
FUSERS = {
    "RRF": (ReciprocalRankFuser(), "rrf", None, {}),
    "CombSUM, min-max": (ScoreFuser("sum"), "sum", "min-max", {}),
    "CombMNZ, min-max": (ScoreFuser("mnz"), "mnz", "min-max", {}),
    "CombGMNZ, min-max": (ScoreFuser("gmnz", gamma=0.5), "gmnz", "min-max", {"gamma": 0.5}),
    "CombANZ, min-max": (ScoreFuser("anz"), "anz", "min-max", {}),
    "CombMAX, min-max": (ScoreFuser("max"), "max", "min-max", {}),
    "CombMIN, min-max": (ScoreFuser("min"), "min", "min-max", {}),
    "CombMED, min-max": (ScoreFuser("median"), "med", "min-max", {}),
    "weighted sum, min-max": (ScoreFuser("weighted"), "wsum", "min-max", {"weights": WEIGHTS}),
    "weighted MNZ, min-max": (ScoreFuser("wmnz"), "wmnz", "min-max", {"weights": WEIGHTS}),
    "CombSUM, max": (ScoreFuser(norm="max"), "sum", "max", {}),
    "CombSUM, sum": (ScoreFuser(norm="sum"), "sum", "sum", {}),
    "CombSUM, zmuv": (ScoreFuser(norm="zmuv", missing="zero"), "sum", "zmuv", {}),
    "CombSUM, rank": (ScoreFuser(norm="rank"), "sum", "rank", {}),
    "CombSUM, borda": (ScoreFuser(norm="borda"), "sum", "borda", {}),
    "ISR": (RankFuser("isr"), "isr", None, {}),
    "RBC": (RankFuser("rbc", phi=0.9), "rbc", None, {"phi": 0.9}),
    "Borda count": (RankFuser("borda"), "bordafuse", None, {}),
}
QUICK = ["RRF", "CombSUM, min-max"]


def make(n_queries, depth, n_documents=100_000, seed=0):
    """Rows and scores of three runs, which draw from the same documents, twice as many as each finds."""
    rng = np.random.default_rng(seed)
    pools = np.stack([rng.choice(n_documents, 2 * depth, replace=False) for _ in range(n_queries)])
    for _ in WEIGHTS:
        rows = np.take_along_axis(pools, rng.random(pools.shape).argsort(axis=1)[:, :depth], axis=1)
        scores = rng.gamma(2.0, 5.0, rows.shape)
        scores.sort(axis=1)
        yield rows, scores[:, ::-1].copy()


def as_dicts(rows, scores):
    """The same, keyed by ids."""
    ids = [[f"d{row}" for row in one] for one in rows.tolist()]
    return {f"q{q}": dict(zip(one, values)) for q, (one, values) in enumerate(zip(ids, scores.tolist()))}


def ranx_server(connection):
    """Fuse with ranx whenever asked; its first calls compile."""
    import ranx

    warnings.simplefilter("ignore")
    known = {}
    while (asked := connection.recv()) is not None:
        name, shape = asked
        if shape not in known:
            known[shape] = [ranx.Run(as_dicts(*one)) for one in make(*shape)]
        runs = known[shape]
        _, method, norm, params = FUSERS[name]
        start = time.process_time()
        fused = ranx.fuse(runs, norm=norm, method=method, params=params)
        elapsed = time.process_time() - start
        connection.send((elapsed, {q: dict(fused.run[q]) for q in ("q0", f"q{shape[0] - 1}")}))


def plain_rrf(runs, constant=60):
    """RRF in plain Python, from dicts that are in order to dicts that are."""
    fused = {}
    for qid in runs[0]:
        scores = {}
        for run in runs:
            for rank, docid in enumerate(run[qid], start=1):
                scores[docid] = scores.get(docid, 0.0) + 1.0 / (constant + rank)
        fused[qid] = dict(sorted(scores.items(), key=lambda item: item[1], reverse=True))
    return fused


def close(fused, expected):
    """Whether two fused rankings give the same scores."""
    return fused.keys() == expected.keys() and all(
        abs(fused[d] - s) < 1e-9 * max(1, abs(s)) for d, s in expected.items()
    )


def as_candidates(shape):
    """The same as runs over a corpus, and united."""
    corpus = Corpus([""] * 100_000, ids=[f"d{d}" for d in range(100_000)])
    queries = {f"q{q}": "" for q in range(shape[0])}
    runs = {name: Run.from_arrays(*one, corpus=corpus, queries=queries) for name, one in zip("abc", make(*shape))}
    return runs, Run.union(runs)


def run(quick=False):
    """Yield the lines of the table."""
    context = multiprocessing.get_context("spawn")
    connection, other = context.Pipe()
    process = context.Process(target=ranx_server, args=(other,), daemon=True)
    process.start()
    rounds = 3 if quick else 5
    few, many = (100, 100), (200 if quick else 5000, 100)
    few = few if quick else (1000, 100)
    known = {shape: as_candidates(shape) for shape in (few, many)}

    for name in QUICK if quick else FUSERS:
        fuser, _, _, params = FUSERS[name]
        fuser = fuser.set_params(weights=dict(zip("abc", WEIGHTS))) if "weights" in params else fuser
        shape = many if name == "RRF" else few
        candidates = known[shape][1]
        ranx_times = []

        def ranx():
            connection.send((name, shape))
            elapsed, values = connection.recv()
            ranx_times.append(elapsed)
            return values

        fused = fuser.transform(candidates)
        for qid, expected in ranx().items():
            require(close(fused[[int(qid[1:])]].to_dict()[qid], expected), f"{name}, {qid}")
        ranx_times.clear()
        times = interleave({"sklrank": lambda: fuser.transform(candidates), "ranx": ranx}, rounds=rounds)
        theirs = statistics.median(ranx_times[1:])
        yield Row(
            f"{name}, 3 × {shape[0]} queries × {shape[1]} documents", seconds(times["sklrank"]), "ranx",
            seconds(theirs), theirs / times["sklrank"], floor=60 if name == "RRF" else 20,
        )  # fmt: skip
        if name == "RRF":
            figure = times["sklrank"] * 1e9 / len(candidates.rows)
            yield Row("RRF, a million candidates", f"{figure:.3g} ms", value=figure, limit=25, unit="ms")
    connection.send(None)
    process.join()

    size = f"3 × {many[0]} queries × {many[1]} documents"
    dicts = [as_dicts(*one) for one in make(*many)]

    def from_dicts():
        return fuse({name: Run(one, score_dtype="float64") for name, one in zip("abc", dicts)}, "rrf").to_dict()

    expected = plain_rrf(dicts)
    require(all(close(one, expected[qid]) for qid, one in from_dicts().items()), "RRF from dicts")
    times = interleave({"sklrank": from_dicts, "Python": lambda: plain_rrf(dicts)}, rounds=rounds)
    ratio = times["Python"] / times["sklrank"]
    what = f"RRF, {size}, from dicts to a dict"
    yield Row(what, seconds(times["sklrank"]), "plain Python", seconds(times["Python"]), ratio, floor=2)
    times = interleave({"union": lambda: Run.union(known[many][0])}, rounds=rounds)
    yield Row(f"union of {size}", seconds(times["union"]))
