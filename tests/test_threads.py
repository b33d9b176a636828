"""Number of threads, and threads of BLAS."""

import subprocess
import sys
import threading
import types

import joblib
import numpy as np
import pytest
import scipy.linalg
from threadpoolctl import threadpool_info, threadpool_limits

from sklrank import _threads
from sklrank._threads import is_worker, n_local_threads, one_blas_thread

LIBRARIES = {"numpy": np.linalg, "scipy": scipy.linalg}  # which load them


def blas_threads():
    found = {info["filepath"]: info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}
    # faiss brings a BLAS of its own, which no kernel calls.
    return {path: n for path, n in found.items() if "numpy" in path or "scipy" in path} or found


@pytest.fixture
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


def test_blas_works_on_one_thread_as_long_as_anybody_is_inside(two_threads):
    before = blas_threads()
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with one_blas_thread:
            inside.set()
            leave.wait()

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    inside.wait()
    with one_blas_thread:
        assert set(blas_threads().values()) == {1}
        leave.set()
        thread.join()
        assert set(blas_threads().values()) == {1}
    assert blas_threads() == before


def test_limits_that_another_thread_has_set_do_not_hinder(two_threads):
    found = []

    def work():
        with one_blas_thread:
            found.append(set(blas_threads().values()))
        found.append(blas_threads())

    before = blas_threads()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join()
    assert found == [{1}, before]


class ClusterBackend(joblib.parallel.ThreadingBackend):
    """Back end that counts the cores of a cluster, as those of Dask and Ray do."""

    def effective_n_jobs(self, n_jobs):
        return 16


@pytest.fixture
def cluster(monkeypatch):
    joblib.register_parallel_backend("cluster", ClusterBackend)
    monkeypatch.setattr(_threads, "cpu_count", lambda: 2)
    with joblib.parallel_config("cluster"):
        yield


@pytest.mark.parametrize(("n_jobs", "n_threads"), [(None, 2), (-1, 2), (-2, 1), (-9, 1), (1, 1), (3, 3)])
def test_the_cores_of_a_cluster_start_no_threads_here(cluster, n_jobs, n_threads):
    assert n_local_threads(n_jobs) == n_threads


def test_a_worker_starts_one_thread_unless_asked(cluster, monkeypatch):
    monkeypatch.setattr(_threads, "parent_process", object)
    assert n_local_threads() == 1 and n_local_threads(3) == 3 and n_local_threads(-1) == 2


def test_a_task_of_ray_runs_in_a_worker(monkeypatch):
    context = types.SimpleNamespace(get_task_id=lambda: "7")
    ray = types.SimpleNamespace(is_initialized=lambda: True, get_runtime_context=lambda: context)
    assert not is_worker()
    monkeypatch.setitem(sys.modules, "ray", ray)
    assert is_worker()
    context.get_task_id = lambda: None  # the driver
    assert not is_worker()


def test_a_task_of_dask_runs_in_a_worker(monkeypatch):
    def get_worker():
        raise ValueError("No worker found")

    module = types.SimpleNamespace(get_worker=get_worker)
    monkeypatch.setitem(sys.modules, "distributed.worker", module)
    assert not is_worker()
    module.get_worker = object
    assert is_worker()


def test_a_process_that_joblib_starts_is_a_worker():
    code = "import joblib, sklrank._threads as t; print(joblib.Parallel(2)([joblib.delayed(t.is_worker)()]))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[True]"
