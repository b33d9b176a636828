"""Records what ranx's learned fusion gives into ranx_learned_fusion.json, which test_fusion_learning.py compares with.

ranx cannot share a process with threads, and compiles for minutes: it is asked once, here. Run with ranx installed,
``python tests/record_ranx_learned.py``; recorded with ranx 0.3.21.
"""

import importlib
import json
import random
from pathlib import Path

FILE = Path(__file__).with_name("ranx_learned_fusion.json")
TRAINED = {"probfuse": (4,), "segfuse": (), "posfuse": (), "slidefuse": (), "mapfuse": (), "bayesfuse": ()}
APPLIED = {"slidefuse": (2,)}
WEIGHTS = [0.2, 0.3, 0.5]


def make_runs(rng):
    """Lists of different lengths, without ties, and judgments in two grades."""
    runs = {}
    for name, (least, most) in {"a": (9, 12), "b": (4, 8), "c": (1, 20)}.items():
        runs[name] = {}
        for q in range(6):
            docs = rng.sample([f"d{i:02d}" for i in range(24)], rng.randint(least, most))
            scores = sorted((round(rng.uniform(0, 9), 2) + i * 1e-3 for i in range(len(docs))), reverse=True)
            runs[name][f"q{q}"] = dict(zip(docs, scores))
    docs = [f"d{i:02d}" for i in range(24)]
    return runs, {f"q{q}": {d: rng.choice([1, 1, 2]) for d in rng.sample(docs, 7)} for q in range(6)}


def main():
    import ranx
    from ranx.normalization import norm_switch

    runs, judgments = make_runs(random.Random(3))
    qrels = ranx.Qrels(judgments)
    normalized = [norm_switch("min-max")(ranx.Run(run, name=name)) for name, run in runs.items()]
    fused = {}
    for name, arguments in TRAINED.items():
        module = importlib.import_module(f"ranx.fusion.{name}")
        learned = getattr(module, f"{name}_train")(qrels, normalized, *arguments)
        fused[name] = getattr(module, name)(normalized, learned, *APPLIED.get(name, ()))
    fused["mixed"] = importlib.import_module("ranx.fusion.mixed").mixed(normalized, WEIGHTS)
    fused = {name: {q: dict(scores) for q, scores in run.run.items()} for name, run in fused.items()}
    FILE.write_text(json.dumps({"runs": runs, "qrels": judgments, "fused": fused}), encoding="utf-8")


if __name__ == "__main__":
    main()
