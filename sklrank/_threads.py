"""Work over ranges of queries, on as many threads as asked for."""

from concurrent.futures import ThreadPoolExecutor

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
