"""`sklrank warmup`: compile everything now, so that no later call waits for it."""

import time
from pathlib import Path

from sklrank._cli._output import say

SUMMARY = "compile all kernels now, as when an image is built"
DESCRIPTION = """\
Compile all kernels by using sklrank on the collection that it ships, and print where compiled code is kept.

It is kept in NUMBA_CACHE_DIR if that is set, otherwise beside the package, or in the user's cache folder if the package
is read-only. It is valid for one version of sklrank, Python, numba and numpy, on one kind of processor."""
EPILOG = """\
in a Dockerfile, for an image that other users and a read-only file system run:

  ENV NUMBA_CACHE_DIR=/opt/sklrank-cache
  RUN sklrank warmup && chmod -R a+rX /opt/sklrank-cache"""


def add_arguments(parser):
    """Declare the arguments; there are none."""


def run(args):
    """Use every kernel once, and report."""
    started = time.perf_counter()
    from sklrank._cli._exercise import exercise

    exercise()
    seconds = time.perf_counter() - started
    found = [kernel.stats for kernel in kernels() if kernel.signatures]  # a kernel that was inlined and loaded has none
    n_new = sum(bool(stats.cache_misses) or stats.cache_path is None for stats in found)
    say(f"everything is compiled after {seconds:.1f} s; new were {n_new} of {len(found)} kernels")
    say(_place({stats.cache_path for stats in found}))
    return 0


def kernels():
    """Return all kernels."""
    import pkgutil
    from importlib import import_module

    from numba.core.dispatcher import Dispatcher

    import sklrank._kernels as package

    modules = [import_module(f"{package.__name__}.{module.name}") for module in pkgutil.iter_modules(package.__path__)]
    found = {
        (value.py_func.__module__, value.py_func.__name__): value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, Dispatcher)
    }
    return list(found.values())


def _place(paths):
    """Describe where compiled code is kept, and why."""
    import os

    import sklrank

    if None in paths:
        return (
            "nothing is kept: neither the folder of the package nor the user's cache folder can be written, so that "
            "each process compiles again; set NUMBA_CACHE_DIR to a folder that can be written"
        )
    package = Path(sklrank.__file__).parent
    lines = []
    for path in sorted(paths):
        if os.environ.get("NUMBA_CACHE_DIR"):
            why = "which NUMBA_CACHE_DIR names"
        elif Path(path).is_relative_to(package):
            why = "beside the package"
        else:
            why = f"because {package} is read-only"
        if not any(Path(path).glob("*.nbi")):
            why += "; but nothing could be written there"
        lines.append(f"kept in {path}, {why}")
    return "\n".join(lines)
