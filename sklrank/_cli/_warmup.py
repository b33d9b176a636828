"""`sklrank warmup`: compile everything now, so that no later call waits for it."""

import time
from pathlib import Path

from sklrank._cli._output import say

SUMMARY = "compile all kernels now, as when an image is built"
DESCRIPTION = """\
Compile all kernels by using what sklrank offers on the collection that it ships, and say where compiled code is kept.

It is kept beside the package; if that is read-only, in the user's cache folder; and if NUMBA_CACHE_DIR is set,
there. It serves one version of sklrank, Python, numba and numpy, on one kind of processor."""
EPILOG = """\
in a Dockerfile, for an image that other users and a read-only file system run:

  ENV NUMBA_CACHE_DIR=/opt/sklrank-cache
  RUN sklrank warmup && chmod -R a+rX /opt/sklrank-cache"""


def add_arguments(parser):
    """Declare the arguments; there are none."""


def run(args):
    """Use everything once; report."""
    started = time.perf_counter()
    from sklrank._cli._exercise import exercise

    exercise()
    seconds = time.perf_counter() - started
    found = [kernel.stats for kernel in kernels() if kernel.signatures]  # one that was inlined and loaded has none
    n_new = sum(bool(stats.cache_misses) or stats.cache_path is None for stats in found)
    say(f"everything is compiled after {seconds:.1f} s; new were {n_new} of {len(found)} kernels")
    say(_place({stats.cache_path for stats in found}))
    return 0


def kernels():
    """All kernels, by module and name."""
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
    """Where compiled code is kept, and why there."""
    import os

    import sklrank

    if None in paths:
        return (
            "nothing is kept: neither the folder of the package nor the user's cache folder can be written, and each "
            "process compiles anew; set NUMBA_CACHE_DIR to a folder that can"
        )
    package = Path(sklrank.__file__).parent
    lines = []
    for path in sorted(paths):
        if os.environ.get("NUMBA_CACHE_DIR"):
            why = "as NUMBA_CACHE_DIR says"
        elif Path(path).is_relative_to(package):
            why = "beside the package"
        else:
            why = f"because {package} is read-only"
        if not any(Path(path).glob("*.nbi")):
            why += "; but nothing could be written there"
        lines.append(f"kept in {path}, {why}")
    return "\n".join(lines)
