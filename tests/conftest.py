"""Settings and fixtures of the whole test suite."""

import os
from pathlib import Path

import hypothesis
import pytest

# The first call of a kernel compiles it, which would break any deadline.
hypothesis.settings.register_profile("sklrank", deadline=None)
hypothesis.settings.load_profile("sklrank")

DATA = os.environ.get("SKLRANK_TEST_DATA")


@pytest.fixture(scope="session")
def data_dir():
    """Folder of real collections, learning-to-rank files and models that are too large or not free to be shipped."""
    if not DATA:
        pytest.skip("needs the test data: set SKLRANK_TEST_DATA to their folder")
    folder = Path(DATA)
    if not folder.is_dir():
        pytest.fail(f"SKLRANK_TEST_DATA is {DATA!r}, which is not a folder")
    return folder


def _not_skipped(report):
    """Where the data are, everything must run: a skipped test or module is a failure, an expected failure is not."""
    if DATA and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"not run although SKLRANK_TEST_DATA is set: {reason}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    return _not_skipped((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector):
    return _not_skipped((yield))
