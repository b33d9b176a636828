"""TREC files: six columns for a run, four for judgments."""

import math
import re

import numpy as np

from sklrank.data._files import bad_line, numbered_lines, text_blocks
from sklrank.data._ids import show

# Only blanks and tabs separate fields, so that an id may contain a no-break space or U+2028. `str.split` also splits at
# the characters below. Text that contains one of them, or the mark of the end of a line, is split line by line.
_FIELD = re.compile(r"[^ \t]+")
_OTHER_SPACES = [character for character in map(chr, range(0x3001)) if character.isspace() and character not in " \t\n"]
_MARK = "\0"
_CUTS = re.compile(r"[ \t\n\r\v\f]")  # other readers of TREC files, such as trec_eval, split at these


def is_field(name):
    """Return whether `name` can be a field of a TREC file."""
    return name != "" and not _CUTS.search(name)


def check_fields(**fields):
    """Raise a ValueError that shows the first strings of `fields` (word → strings) that a TREC file cannot hold."""
    for what, names in fields.items():
        bad = [name for name in names if not is_field(name)]
        if bad:
            raise ValueError(f"fields of a TREC file are words without blanks; these {what} names are not: {show(bad)}")
    bad = [name for name in fields["query"] if name.startswith(("#", "\ufeff"))]
    if bad:
        raise ValueError(
            "a line of a TREC file that starts with # is a comment, and a byte order mark is not read; these queries "
            f"start with one of them: {show(bad)}"
        )


def read_trec(path, form, number, skip=(), *, more=False, largest=np.inf):
    """Return the columns of a file with fields separated by blanks and tabs; ``#`` starts a comment line.

    Parameters
    ----------
    path : path
        The file. A file ``.gz`` is decompressed.
    form : str
        Names of the fields.
    number : str
        Name of the field that holds a number.
    skip : sequence of str, default=()
        Fields that are not needed. Their columns are empty.
    more : bool, default=False
        Whether a line may have more fields, as trec_eval 10 allows in runs.
    largest : float, default=inf
        Largest valid absolute value of a number.

    Returns
    -------
    columns : list
        A list of str for each field; for the number, an array of float64.

    Raises
    ------
    ValueError
        If a line has other fields. The message names file, line and reason.
    """
    names = form.split()
    columns = [[] for _ in names]
    shared = {}  # one str object for each distinct name
    for first, text in text_blocks(path):
        for i, values in enumerate(_fields(path, first, text, names, more)):
            if names[i] == number:
                columns[i].append(_numbers(path, first, text, values, names, i, largest))
            elif names[i] not in skip:
                columns[i].extend(map(shared.setdefault, values, values))
    i = names.index(number)
    columns[i] = np.concatenate([np.empty(0), *columns[i]])
    return columns


def place_of_repeat(path, fields):
    """Return ``path:line`` of the first line with the same `fields` (positions) as an earlier line; else the path."""
    seen = set()
    for number, line in numbered_lines(path):
        if line.startswith("#"):
            continue
        values = _FIELD.findall(line)
        key = tuple(values[i] for i in fields)
        if key in seen:
            return f"{path}:{number}"
        seen.add(key)
    return str(path)


def _fields(path, first, text, names, more):
    """Return the fields of the lines of `text` as one list per column."""
    # One split for all lines. A mark at the end of each line shows whether every line has its fields.
    step = len(names) + 1
    text = text.replace("\r\n", "\n")
    if not text.endswith("\n"):
        text += "\n"
    if not (text.startswith("#") or "\n#" in text or _MARK in text or any(map(text.__contains__, _OTHER_SPACES))):
        n_lines = text.count("\n")
        flat = text.replace("\n", f" {_MARK}\n").split()
        if len(flat) == step * n_lines and flat[step - 1 :: step].count(_MARK) == n_lines:
            return [flat[i::step] for i in range(len(names))]
    columns = list(zip(*(values for _, values in _checked(path, first, text, names, more))))
    return columns or [()] * len(names)


def _checked(path, first, text, names, more):
    """Yield number and fields of each line of text with comments, blank lines, unusual spaces or an error."""
    for number, line in enumerate(text.split("\n"), first):
        line = line.removesuffix("\r")
        values = _FIELD.findall(line)
        if line.startswith("#") or not values:
            continue
        if len(values) < len(names) or len(values) > len(names) and not more:
            found = f"{len(values)} fields instead of {len(names)} ({' '.join(names)})"
            raise bad_line(path, number, f"{found}: {line.strip()[:80]!r}")
        yield number, values[: len(names)]


def _numbers(path, first, text, values, names, i, largest):
    """Read the numbers `values`, which are field `i` of the lines of `text`."""
    try:
        numbers = np.array(values, dtype=np.float64)
    except ValueError:
        numbers = None
    # Python's float also reads 1_000 and digits of other scripts.
    if numbers is not None and (np.abs(numbers) <= largest).all():
        written = "".join(values)
        if written.isascii() and "_" not in written:
            return numbers
    for number, fields in _checked(path, first, text, names, more=True):
        value = to_number(fields[i])
        if math.isnan(value):
            raise bad_line(path, number, f"the {names[i]} {fields[i][:80]!r} is not a number")
        if abs(value) > largest:
            raise bad_line(path, number, f"the {names[i]} {fields[i][:80]!r} is larger than {largest:g}")
    return numbers


def to_number(text):
    """Read a decimal number; NaN if `text` is not one."""
    if not text.isascii() or "_" in text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan
