"""Run the benchmarks and write the tables that the documentation shows.

python -m benchmarks [--only PART] [--quick]
"""

import argparse
import csv
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks._harness import COLUMNS

PARTS = [
    "retrieval",
    "frequent_terms",
    "encoding",
    "dense",
    "sparse",
    "ann",
    "tokenizer",
    "indexing",
    "changes",
    "segments",
    "sizes",
    "saving",
    "sources",
    "evaluate",
    "grid_search",
    "fusion",
    "feedback",
    "hybrid",
    "rerank",
    "cross_encoding",
    "pipelines",
    "maxsim",
    "cuda",
    "startup",
]
TABLES = Path(__file__).parents[1] / "docs" / "benchmarks"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, help="run this part")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all runs; writes no table")
    arguments = parser.parse_args()
    if arguments.only is not None:
        run(arguments.only, arguments.quick)
        return
    failed = []
    for part in PARTS:  # each in its own process, so that none uses what another compiled, allocated or started
        done = subprocess.run([sys.executable, "-m", "benchmarks", "--only", part, *sys.argv[1:]])
        failed += [part] if done.returncode else []
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run(part, quick):
    """Print the lines of a part as they come; write them to its table in the end."""
    start = time.perf_counter()
    cells = []
    print(f"{part}, load {os.getloadavg()[0]:.1f}", flush=True)
    for row in importlib.import_module(f"benchmarks.bench_{part}").run(quick=quick):
        cells.append(row.cells())
        print(" | ".join(cells[-1]), flush=True)
    print(f"{time.perf_counter() - start:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    if not quick:
        TABLES.mkdir(exist_ok=True)
        with (TABLES / f"{part}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *cells])


if __name__ == "__main__":
    main()
