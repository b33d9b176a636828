"""Measurement of all benchmarks: in turns, with checked results, and one form of report.

Contenders take turns, with one call each per round, so that a slow phase of the machine affects all of them. The first
call of each, which compiles and fills caches, is not counted, and times are medians over the rounds. Work on one thread
is measured in CPU time, which other work on the machine disturbs least, and all other work by the wall clock. A
benchmark compares the results first, and stops if they differ (`require`).
"""

import gc
import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before the libraries that read it are imported

import statistics
import time
from dataclasses import dataclass

import numpy as np


@dataclass
class Row:
    """A line of the table.

    `ours` and `theirs` are figures with their unit, `ratio` is how many times faster (or smaller) we are. `floor` and
    `goal` bound the ratio from below. `limit` bounds our figure from above, or `least` from below, where it is given as
    `value`, a number of `unit`.
    """

    what: str
    ours: str
    peer: str = ""
    theirs: str = ""
    ratio: float | None = None
    floor: float | None = None
    goal: float | None = None
    value: float | None = None
    limit: float | None = None
    least: float | None = None
    unit: str = ""

    @property
    def reached(self):
        """What was reached of what was asked."""
        if self.limit is not None:
            return "yes" if self.value <= self.limit else "no"
        if self.least is not None:
            return "yes" if self.value >= self.least else "no"
        if self.floor is None:
            return ""
        if self.goal is not None:
            return "goal" if self.ratio >= self.goal else "floor" if self.ratio >= self.floor else "no"
        return "yes" if self.ratio >= self.floor else "no"

    @property
    def asked(self):
        """What was asked for."""
        unit = self.unit if self.unit in ("", "×") else f" {self.unit}"
        if self.limit is not None:
            return f"≤ {self.limit:g}{unit}"
        if self.least is not None:
            return f"≥ {self.least:g}{unit}"
        if self.floor is None:
            return ""
        return f"≥ {self.floor:.3g}×" + (f", goal {self.goal:.3g}×" if self.goal is not None else "")

    def cells(self):
        """The line as text, in the order of `COLUMNS`."""
        ratio = "" if self.ratio is None else f"{self.ratio:.1f}×" if self.ratio >= 10 else f"{self.ratio:.2f}×"
        peer = f"{self.peer} {self.theirs}".strip()
        return [self.what, self.ours, peer, ratio, self.asked, self.reached]


COLUMNS = ["What", "sklrank", "Peer", "Ratio", "Asked", "Reached"]


def seconds(value):
    """A time with a unit that suits it."""
    unit, scale = ("s", 1) if value >= 1 else ("ms", 1e-3) if value >= 1e-3 else ("µs", 1e-6)
    return f"{value / scale:.3g} {unit}"


def megabytes(n_bytes):
    """A number of bytes in MB."""
    return f"{n_bytes / 1e6:,.0f} MB"


def thousands(n):
    """A number of documents, in short."""
    return f"{n // 1_000_000}M" if n % 1_000_000 == 0 else f"{n // 1000}k" if n % 1000 == 0 else str(n)


def require(condition, message):
    """Raise an error if results differ."""
    if not condition:
        raise SystemExit(f"results differ, so that times would mean nothing: {message}")


def wall_and_cpu():
    """A clock that tells the wall clock's time and the CPU time of the process, for what runs on several threads."""
    return np.array([time.perf_counter(), time.process_time()])


def interleave(contenders, *, rounds=5, clock=time.process_time, at_least=0.0, warm_up=True, summary=statistics.median):
    """Median time of each contender, which take turns.

    Parameters
    ----------
    contenders : dict of str to callable
        Calls to time.
    rounds : int, default=5
        Number of calls of each.
    clock : callable, default=time.process_time
        CPU time of the process, for what runs on one thread; ``time.perf_counter`` or `wall_and_cpu` for the rest.
    at_least : float, default=0.0
        Minimum number of seconds, if rounds are short (for at most ten times the rounds).
    warm_up : bool, default=True
        Whether to call each once before, without counting.
    summary : callable, default=statistics.median
        Function that combines the times of a contender; `sum` if each turn is another part of one task.

    Returns
    -------
    dict of str to float
    """
    for contender in contenders.values() if warm_up else ():
        contender()
    times = {name: [] for name in contenders}
    begin = time.perf_counter()
    done = 0
    while done < rounds or (time.perf_counter() - begin < at_least and done < 10 * rounds):
        for name, contender in contenders.items():
            gc.collect()
            gc.disable()
            start = clock()
            contender()
            times[name].append(clock() - start)
            gc.enable()
        done += 1
    return {name: summary(measured) for name, measured in times.items()}


def peak_memory():
    """Peak resident memory of this process in bytes, since the start or the last `forget_peak`."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def resident_memory():
    """Resident memory of this process now, in bytes."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))


def forget_peak():
    """Start the peak anew (Linux)."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
