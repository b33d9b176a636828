"""TREC files: six columns for a run, four for judgments."""

import errno
import gzip
import io
import os
import secrets
import stat
import zlib
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np

from sklrank.data._ids import show

_CHUNK = 1 << 16  # lines taken in at a time


def open_lines(path):
    """Open a text file for reading, unpacked where its name ends in .gz; a byte order mark is no part of the text."""
    opener = gzip.open if str(path).endswith(".gz") else open
    return opener(path, "rt", encoding="utf-8-sig", newline="\n")


def file_to_write(path):
    """The file that writing to `path` makes or replaces, links followed; None where it is a pipe or a device.

    Raises
    ------
    OSError
        If `path` is a folder, or its folder does not exist.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if not target.parent.is_dir():
            message = f"there is no folder {target.parent if os.path.islink(path) else Path(path).parent}"
            raise FileNotFoundError(errno.ENOENT, message, str(path)) from None
        return target
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "this is a folder, not a file", str(path))
    return target if stat.S_ISREG(mode) else None


@contextmanager
def write_whole(path):
    """A text file to write to, which takes its name only when all is written; a pipe or a device takes it at once."""
    target = file_to_write(path)
    packed = str(path).endswith(".gz")
    if target is None:
        with open(path, "wb") as raw, _text(raw, packed) as out:
            yield out
        return
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as raw, _text(raw, packed) as out:
            yield out
        if target.exists():
            os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _text(raw, packed):
    """Text on top of a binary file, packed or not."""
    if packed:
        with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as inner, io.TextIOWrapper(inner, "utf-8") as out:
            yield out
    else:
        with io.TextIOWrapper(raw, "utf-8") as out:
            yield out


def check_fields(**fields):
    """Raise ValueError that shows the first of `fields` (what → strings) that a TREC file cannot hold."""
    for what, names in fields.items():
        bad = [name for name in names if len(name.split()) != 1]
        if bad:
            raise ValueError(f"fields of a TREC file are words without blanks; these {what} names are not: {show(bad)}")
    bad = [name for name in fields["query"] if name.startswith("#")]
    if bad:
        raise ValueError(f"lines of a TREC file that start with # are comments; these query names do: {show(bad)}")


def write_lines(path, lines):
    """Write `lines` to a file, whole or not at all."""
    with write_whole(path) as out:
        out.writelines(lines)


def read_trec(path, form, number, skip=(), more=False):
    """Columns of a file of whitespace-separated fields; ``#`` starts a line of comment.

    Parameters
    ----------
    path : path
        The file; ``.gz`` is unpacked.
    form : str
        Names of the fields.
    number : str
        The field that holds a number.
    skip : sequence of str, default=()
        Fields that nobody reads; their columns stay empty.
    more : bool, default=False
        Whether lines may go on after the last field, as trec_eval 10 allows in runs.

    Returns
    -------
    columns : list
        A list of str for each field, an array of float64 for the number.

    Raises
    ------
    ValueError
        If a line has other fields; the message names file, line and reason.
    """
    names = form.split()
    columns = [[] for _ in names]
    shared = {}  # one str object for each distinct name, however many lines have it
    first = 1
    with open_lines(path) as lines:
        try:
            while chunk := list(islice(lines, _CHUNK)):
                for i, values in enumerate(_fields(path, chunk, first, names, more)):
                    if names[i] == number:
                        columns[i].append(_numbers(path, chunk, first, values, names, i))
                    elif names[i] not in skip:
                        columns[i].extend(map(shared.setdefault, values, values))
                first += len(chunk)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}{_undecodable(path)}: not UTF-8 text: {error.reason}") from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: cannot be read after line {first - 1}: {error}") from None
    i = names.index(number)
    columns[i] = np.concatenate(columns[i]) if columns[i] else np.empty(0)
    return columns


def place_of_repeat(path, fields):
    """``path:line`` of the first line that has the same `fields` (their positions) as one above; else the path."""
    seen = set()
    with open_lines(path) as lines:
        for number, line in enumerate(lines, 1):
            values = line.split()
            if line.startswith("#") or not values:
                continue
            key = tuple(values[i] for i in fields)
            if key in seen:
                return f"{path}:{number}"
            seen.add(key)
    return str(path)


def _undecodable(path):
    """``:line`` of the first line that is not UTF-8; empty where there is none."""
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return f":{number}"
    return ""


def _fields(path, chunk, first, names, more):
    """Fields of the lines of `chunk`, as one list a column."""
    # One split for all lines, with a mark at the end of each that shows whether every line had its fields.
    step = len(names) + 1
    text = "".join(chunk)
    flat = text.replace("\n", " \0\n").split()
    if not chunk[-1].endswith("\n"):
        flat.append("\0")
    even = len(flat) == step * len(chunk) and flat[step - 1 :: step].count("\0") == len(chunk)
    if not even or text.startswith("#") or "\n#" in text:
        flat = _checked(path, chunk, first, names, more)
    return [flat[i::step] for i in range(len(names))]


def _checked(path, chunk, first, names, more):
    """Fields line by line, for a chunk with comments, blank lines or an error."""
    flat = []
    for number, line in enumerate(chunk, first):
        values = line.split()
        if line.startswith("#") or not values:
            continue
        if len(values) < len(names) or len(values) > len(names) and not more:
            raise ValueError(
                f"{path}:{number}: {len(values)} fields instead of {len(names)} ({' '.join(names)}): "
                f"{line.strip()[:80]!r}"
            )
        flat += [*values[: len(names)], "\0"]
    return flat


def _numbers(path, chunk, first, values, names, i):
    try:
        numbers = np.array(values, dtype=np.float64)
    except ValueError:
        numbers = None
    if numbers is not None and not np.isnan(numbers).any():
        return numbers
    for number, line in enumerate(chunk, first):
        fields = line.split()
        if line.startswith("#") or not fields:
            continue
        try:
            good = not np.isnan(float(fields[i]))
        except ValueError:
            good = False
        if not good:
            raise ValueError(f"{path}:{number}: the {names[i]} {fields[i]!r} is no number")
    return numbers
