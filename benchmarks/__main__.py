"""Run the benchmarks and write the table that the documentation shows.

python -m benchmarks [--only retrieval] [--quick]
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

PARTS = ["retrieval", "indexing", "evaluate", "grid_search", "startup"]
TABLE = Path(__file__).parents[1] / "docs" / "benchmarks.csv"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, help="run this part, and keep the others' lines of the table")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, to see that everything runs; writes no table"
    )
    arguments = parser.parse_args()
    if arguments.only is None:
        # each part in a process of its own: what one compiles, allocates or starts is not there for the next
        for part in PARTS:
            subprocess.run([sys.executable, "-m", "benchmarks", "--only", part, *sys.argv[1:]], check=True)
        return
    start = time.perf_counter()
    cells = []
    print(f"{arguments.only}, load {os.getloadavg()[0]:.1f}", flush=True)
    for row in importlib.import_module(f"benchmarks.bench_{arguments.only}").run(quick=arguments.quick):
        cells.append(row.cells())
        print(" | ".join(cells[-1]), flush=True)
    print(f"{time.perf_counter() - start:.0f} s", flush=True)
    if not arguments.quick:
        write(arguments.only, cells)


def write(part, cells):
    """Replace the lines of one part, in the order of the parts."""
    lines = {name: [] for name in PARTS}
    if TABLE.exists():
        with TABLE.open(newline="", encoding="utf-8") as file:
            for line in list(csv.reader(file))[1:]:
                lines.setdefault(line[0], []).append(line)
    lines[part] = [[part, *c] for c in cells]
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["Part", *COLUMNS])
        writer.writerows(line for name in PARTS for line in lines[name])


if __name__ == "__main__":
    main()
