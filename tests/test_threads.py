"""Threads of BLAS."""

import threading

import numpy as np
import pytest
import scipy.linalg
from threadpoolctl import threadpool_info, threadpool_limits

from sklrank._threads import one_blas_thread

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
