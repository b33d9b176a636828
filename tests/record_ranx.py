"""Records what ranx fuses into ranx_fusion.json, which test_fusion_oracles.py compares with.

ranx cannot share a process with threads, and compiles for a minute: it is asked once, here. Run with ranx installed,
``python tests/record_ranx.py``; recorded with ranx 0.3.21.
"""

import itertools
import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("ranx_fusion.json")
NORMS = ["none", "min-max", "max", "sum", "zmuv", "rank", "borda"]
WEIGHTS = [0.5, 0.3, 0.2]
# Result: method, and its parameters in ranx.
SCORES = {
    "sum": {}, "mnz": {}, "anz": {}, "max": {}, "min": {}, "med": {}, "gmnz": {"gamma": 0.3},
    "wsum": {"weights": WEIGHTS}, "wmnz": {"weights": WEIGHTS}, "mixed": {"weights": WEIGHTS},
}  # fmt: skip
RANKS = {
    "rrf": {"k": 10}, "isr": {}, "log_isr": {}, "logn_isr": {"sigma": 0.05}, "rbc": {"phi": 0.8}, "bordafuse": {},
    "w_bordafuse": {"weights": WEIGHTS},
}  # fmt: skip
MAJORITIES = {"condorcet": {}, "w_condorcet": {"weights": [0.6, 0.25, 0.15]}}  # without ties


def make_runs():
    """Lists of different lengths that share some documents; scores without ties, in one query negative ones, too."""
    rng = np.random.default_rng(0)
    runs = []
    for lengths in ((6, 3, 8, 5), (4, 7, 2, 5), (5, 6, 6, 3)):
        run = {}
        for q, n in enumerate(lengths):
            scores = rng.permutation(40)[:n] / 4 + (-6 if q == 3 else 0.25)
            run[f"q{q}"] = {f"d{d}": float(s) for d, s in zip(rng.permutation(10)[:n], scores)}
        runs.append(run)
    return runs


def make_full_runs():
    """Lists of the same documents, of which a majority prefers one to another without a cycle."""
    rng = np.random.default_rng(1)
    runs = [{}, {}, {}]
    while len(runs[0]) < 4:
        ranks = [rng.permutation(5) for _ in runs]
        wins = [sum(np.sum([r[a] < r[b] for r in ranks]) > 1 for b in range(5)) for a in range(5)]
        if sorted(wins) == [0, 1, 2, 3, 4]:
            for run, rank in zip(runs, ranks):
                run[f"q{len(runs[0]) - (run is not runs[0])}"] = {f"d{d}": float(9 - r) for d, r in enumerate(rank)}
    return runs


def main():
    import ranx

    def fuse(runs, norm, method, params):
        runs = [ranx.Run(run) for run in runs]
        fused = ranx.fuse(runs, norm=None if norm == "none" else norm, method=method, params=params)
        return {q: dict(sorted(scores.items())) for q, scores in fused.to_dict().items()}

    runs, full = make_runs(), make_full_runs()
    asked = [*itertools.product(NORMS, ["sum", "mnz", "max"]), *itertools.product(["min-max"], SCORES)]
    results = {
        "runs": runs,
        "full_runs": full,
        "scores": {f"{norm} {method}": fuse(runs, norm, method, SCORES[method]) for norm, method in asked},
        "ranks": {method: fuse(runs, "none", method, params) for method, params in RANKS.items()},
        "majorities": {method: fuse(full, "none", method, params) for method, params in MAJORITIES.items()},
    }
    FILE.write_text(json.dumps(results, indent=None, separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
