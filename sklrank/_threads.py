"""Work over ranges of queries, on as many threads as asked for."""

import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

from joblib import effective_n_jobs


def over_ranges(work, n, n_jobs=None, *, per_thread=16):
    """Call ``work(start, stop)`` on ranges that cover ``0 … n``, in threads where that pays.

    Kernels release the GIL, so threads suffice. A range that fits one thread is worked on here and enters
    no pool. The pool is the plain one of the standard library, which starts in less than a millisecond;
    joblib's threads take ten to twenty, as long as hundreds of queries.

    Parameters
    ----------
    work : callable
        Takes ``(start, stop)``; writes its results itself.
    n : int
        Number of queries.
    n_jobs : int, default=None
        As in joblib; ``None`` is 1 unless a ``joblib.parallel_config`` says otherwise.
    per_thread : int, default=16
        Fewest queries that are worth a thread.
    """
    n_threads = 1 if n <= per_thread or n_jobs == 1 else min(effective_n_jobs(n_jobs), n // per_thread)
    if n_threads <= 1:
        work(0, n)
        return
    # Four ranges a thread level out queries of unequal cost.
    n_ranges = min(4 * n_threads, n // per_thread)
    bounds = [n * i // n_ranges for i in range(n_ranges + 1)]
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))  # the list raises what a thread raised


class _OneBlasThread:
    """Context in which NumPy's BLAS and SciPy's, which kernels call, work on one thread each.

    The number is one of the whole process. So whoever comes first sets it and who leaves last sets it back, whichever
    threads they are. threadpoolctl's own contexts, when those of two threads overlap, leave it at 1 for good, or, from
    version 3.8, let nobody but the first set it at all. The libraries are looked for once, because that takes 2 ms.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._libraries = None
        self._inside = 0

    def __enter__(self):
        with self._lock:
            if self._libraries is None:
                import_module("scipy.linalg")  # loads its BLAS, which could not be found else
                from threadpoolctl import ThreadpoolController

                self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
            if self._inside == 0:
                self._before = [library.num_threads for library in self._libraries]
                self._set([1] * len(self._libraries))
            self._inside += 1

    def __exit__(self, *_):
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._set(self._before)

    def _set(self, numbers):
        for library, n in zip(self._libraries, numbers):
            release = getattr(library, "clear_controlling_thread", lambda force: None)
            release(force=True)  # from a thread that set it before, for else nothing would happen
            library.set_num_threads(n)
            release(force=True)


one_blas_thread = _OneBlasThread()
