"""Damaged files are read, or refused with file and line; see `mutations.py`, which tries more of them."""

import subprocess
import sys
from pathlib import Path

import pytest
from mutations import FOLDERS, FORMS, SHELL, call, complaints, shell_complaints

N_READ, N_CALLS = 200, 25


@pytest.mark.parametrize("form", [*FORMS, *FOLDERS])
def test_a_damaged_file_is_read_or_refused_with_file_and_line(form):
    assert complaints(form, N_READ, seed=0) == []


@pytest.mark.parametrize("command", SHELL)
def test_the_shell_says_what_is_wrong_in_one_line(command):
    assert shell_complaints(command, N_CALLS, 0, call) == []


@pytest.mark.parametrize("command", SHELL)
def test_a_process_ends_without_a_traceback(command):
    def run(argv):
        done = subprocess.run(
            [sys.executable, "-m", "sklrank", *argv], capture_output=True, text=True, cwd=Path(__file__).parents[1]
        )
        return done.returncode, done.stdout, done.stderr

    assert shell_complaints(command, 1, 1, run) == []
