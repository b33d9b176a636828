"""Work over ranges of queries, on threads."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from multiprocessing import parent_process

from joblib import cpu_count, effective_n_jobs


def is_worker():
    """Tell whether this code runs in a worker of joblib, multiprocessing, Dask or Ray.

    Dask and Ray are not imported: a worker of theirs has imported them.

    Returns
    -------
    bool
    """
    if parent_process() is not None:
        return True
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized() and ray.get_runtime_context().get_task_id() is not None:
        return True
    worker = sys.modules.get("distributed.worker")
    if worker is None:
        return False
    try:
        worker.get_worker()
    except ValueError:  # the code runs in a client
        return False
    return True


def n_local_threads(n_jobs=None):
    """Return the number of threads to start in this process.

    joblib counts the cores of the whole cluster under the back ends of Dask and Ray. Threads work on this machine only.

    Parameters
    ----------
    n_jobs : int, default=None
        Number of threads, as in joblib; -1 means all cores of this machine. If None, it is 1 in a worker and without a
        ``joblib.parallel_config``, whose number is taken otherwise, up to the number of cores.

    Returns
    -------
    int
    """
    if n_jobs == 1:
        return 1
    n_threads = effective_n_jobs(n_jobs)
    if n_threads <= 1:
        return n_threads
    if n_jobs is None and is_worker():
        return 1
    most = n_jobs
    if n_jobs is None:
        most = cpu_count()
    elif n_jobs < 0:
        most = cpu_count() + 1 + n_jobs
    return max(1, min(n_threads, most))


def over_ranges(work, n, n_jobs=None, *, per_thread=16):
    """Call ``work(start, stop)`` on ranges that cover ``0 … n``, on threads if there is enough work.

    Kernels release the GIL, so that threads suffice. If one thread is enough, `work` is called directly, without a
    pool. The pool is that of the standard library, which starts in less than a millisecond; joblib's threads take ten
    to twenty, as long as hundreds of queries.

    Parameters
    ----------
    work : callable
        Takes ``(start, stop)``, and writes its results itself.
    n : int
        Number of queries.
    n_jobs : int, default=None
        Number of threads, as in joblib. If None, it is 1 unless a ``joblib.parallel_config`` sets another number.
    per_thread : int, default=16
        Minimum number of queries per thread.
    """
    n_threads = 1
    if n > per_thread:
        n_threads = min(n_local_threads(n_jobs), n // per_thread)
    if n_threads <= 1:
        work(0, n)
        return
    # Four ranges per thread balance queries of unequal cost.
    n_ranges = min(4 * n_threads, n // per_thread)
    edges = [n * i // n_ranges for i in range(n_ranges + 1)]
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))  # list() raises the exception of a thread


class _OneBlasThread:
    """Context in which NumPy's BLAS and SciPy's, which kernels call, work on one thread each.

    The number of threads belongs to the whole process. The first thread that enters sets it, and the last one that
    leaves restores it. If the contexts of threadpoolctl itself overlap in two threads, they leave the number at 1 for
    good; from version 3.8 on, only the first thread can set it at all. The libraries are searched for once, because
    this takes 2 ms.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._libraries = None
        self._inside = 0

    def __enter__(self):
        with self._lock:
            if self._libraries is None:
                import_module("scipy.linalg")  # loads its BLAS, which could not be found otherwise
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
            release(force=True)  # needed if another thread set the number before
            library.set_num_threads(n)
            release(force=True)


one_blas_thread = _OneBlasThread()
