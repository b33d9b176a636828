"""Time of a new process: import, the first query after an install and of later processes, a read-only install.

Each figure is the CPU time of a process, or of a process beyond that of one that imports scikit-learn; the median of
several, in turns. Nothing in them runs on more than one thread, so that on a quiet machine this is wall time.
"""

import ctypes
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import sklrank
from benchmarks._harness import Row, require, seconds

SKLEARN = "import sklearn.base"
IMPORT = f"{SKLEARN}\nimport sklrank"
NAMES = f"""{SKLEARN}
from sklrank import Corpus
from sklrank.metrics import evaluate
from sklrank.retrievers import BM25Retriever
"""
RANK = f"""{NAMES}
corpus = Corpus(["heat transfer in laminar flow", "cold water", "the flow of naïve heat"], ids=["a", "b", "c"])
found = BM25Retriever(corpus).fit(None).predict(["heat flow"]).docids
assert found == [["c", "a"]] or found == [["a", "c"]], found
"""

# enough documents for the search that prunes, which has kernels of its own
RANK_MANY = f"""{NAMES}
corpus = Corpus(["heat transfer in laminar flow", "cold water", "the flow of naïve heat"] * 20_000)
assert len(BM25Retriever(corpus).fit(None).predict(["heat flow", "water in the flow"]).docids) == 2
"""


def cpu_time(code, environment=None, **options):
    """CPU time of a process that runs `code`, in seconds, and what it printed."""
    environment = {**os.environ, **(environment or {})}
    # children that have ended are added up in the parent: the difference is that of this one
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True, **options
    )
    after = os.times()
    elapsed = after.children_user + after.children_system - before.children_user - before.children_system
    return elapsed, done.stdout


def measure(cases, rounds):
    """Median CPU time of processes that take turns; `cases` maps names to functions that make the environment."""
    times = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (code, environment) in cases.items():
            with tempfile.TemporaryDirectory() as folder:
                times[name].append(cpu_time(code, environment(folder))[0])
    return {name: statistics.median(measured) for name, measured in times.items()}


def _obey_permissions():
    """Give up the superuser's right to write where permissions forbid it, for the program that is started next."""
    prctl = ctypes.CDLL(None).prctl
    for capability in range(64):
        prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def read_only_install(folder):
    """Rank from a copy of the package that cannot be written to, with and without a home that can.

    Returns what ``sklrank warmup`` says there of the cache, where there is a home.
    """
    site, home = Path(folder) / "site", Path(folder) / "home"
    ignored = shutil.ignore_patterns("__pycache__", "*.nb[ci]")
    shutil.copytree(Path(sklrank.__file__).parent, site / "sklrank", ignore=ignored)
    home.mkdir()
    for path in [site, *site.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    base = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    options = {"capture_output": True, "text": True, "cwd": folder, "preexec_fn": _obey_permissions}
    for place in (site, home):
        options["env"] = {**base, "PYTHONPATH": str(site), "HOME": str(place)}
        found = subprocess.run([sys.executable, "-c", RANK + "import sklrank\nprint(sklrank.__file__)"], **options)
        require(found.returncode == 0, f"a read-only install fails: {found.stderr[-500:]}")
        require(found.stdout.startswith(str(site)), f"another install was imported: {found.stdout}")
        require(not list(site.rglob("*.nb?")), "the install could be written to")
    warm = subprocess.run([sys.executable, "-m", "sklrank", "warmup"], **options)
    require(warm.returncode == 0, f"warmup fails: {warm.stderr[-500:]}")
    for path in [site, *site.rglob("*")]:
        path.chmod(0o755)
    return warm.stdout.splitlines()[-1].replace(str(folder), "…")


def run(quick=False):
    """All rows."""
    rounds = 1 if quick else 3
    with tempfile.TemporaryDirectory() as warm:
        cpu_time(RANK, {"NUMBA_CACHE_DIR": warm})
        kept = {"NUMBA_CACHE_DIR": warm}
        times = measure(
            {
                "sklearn": (SKLEARN, lambda _: kept),
                "import": (IMPORT, lambda _: kept),
                "names": (NAMES, lambda _: kept),
                "later": (RANK, lambda _: kept),
                "first": (RANK, lambda empty: {"NUMBA_CACHE_DIR": empty}),
                "first of many": (RANK_MANY, lambda empty: {"NUMBA_CACHE_DIR": empty}),
            },
            rounds,
        )
    base = times["sklearn"]
    beyond = {name: value - base for name, value in times.items()}
    for what, value, limit in (
        ("scikit-learn's import, for scale", base, None),
        ("import sklrank, beyond scikit-learn's import", beyond["import"], 0.3),
        ("… and its estimators and metrics", beyond["names"], None),
        ("first query after install, import and compilation included", times["first"], 6.0),
        ("… of 60 000 documents, which compiles the search that prunes, and indexes", times["first of many"], 6.0),
        ("first query of a later process, beyond scikit-learn's import", beyond["later"], 1.5),
    ):
        yield Row(what, seconds(max(value, 0)), value=value, limit=limit, unit="s")
    with tempfile.TemporaryDirectory() as folder:
        said = read_only_install(folder)
    yield Row("read-only install: ranks, with a home or without; sklrank warmup says", said)
