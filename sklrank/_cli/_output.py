"""Output of commands; no content of a file can control the terminal."""

import os
import shutil
import sys
import tempfile
from pathlib import Path


def say(text, file=None):
    """Print to standard output, or to another stream."""
    from sklrank.data._display import printable_lines

    file = file or sys.stdout
    encoding = getattr(file, "encoding", None) or "utf-8"
    print(printable_lines(str(text)).encode(encoding, "backslashreplace").decode(encoding), file=file, flush=True)


def note(command, text):
    """Print a note that is not part of the output, on one line of standard error."""
    say(f"sklrank {command}: {' '.join(str(text).split(chr(10)))}", sys.stderr)


def check_tag(tag):
    """Raise an error for a name that the last column of a TREC run cannot hold."""
    from sklrank.data._trec import is_field

    if not is_field(tag):
        raise ValueError(f"--tag {tag!r}: the name of a run must be a word without blanks")


def check_output(path, inputs):
    """Raise an error early if the output cannot be written or would replace an input.

    Parameters
    ----------
    path : str or None
        Argument of ``-o``. None and ``-`` are not files.
    inputs : sequence of str
        Files that the command reads.
    """
    from sklrank.data._files import file_to_write

    if path in (None, "-"):
        return
    target = file_to_write(path)
    if target is None or not target.exists():
        return
    for source in inputs:
        if os.path.exists(source) and os.path.samefile(source, target):
            raise ValueError(f"-o {path}: this is the input file {source}; give the output another name")


def write_run(run, path):
    """Write a TREC run to a file, or to standard output if the path is ``-``."""
    if path != "-":
        run.to_trec(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "run")
        run.to_trec(file)
        if hasattr(sys.stdout, "buffer") and not sys.stdout.isatty():
            sys.stdout.flush()
            with open(file, "rb") as source:
                shutil.copyfileobj(source, sys.stdout.buffer)
            return
        with open(file, encoding="utf-8", newline="\n") as lines:
            for line in lines:
                say(line.removesuffix("\n"))
