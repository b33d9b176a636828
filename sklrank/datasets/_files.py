"""Reader of JSON lines files, with errors that name the file and the line."""

import json
from pathlib import Path

from sklrank.data._display import snippet
from sklrank.data._files import bad_line, numbered_lines

_WIDTH = 100  # characters of a value in a message


def find(folder, names):
    """Find the first of `names` that exists in `folder`, with or without ``.gz``.

    Raises
    ------
    FileNotFoundError
        If none of them exists.
    """
    folder = Path(folder)
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise FileNotFoundError(f"{folder} holds no {' or '.join(names)}, with or without .gz")


def shown(value):
    """Return a value as text for a message, on one line of bounded length."""
    return snippet(repr(value), _WIDTH)


def check_new(path, number, key, first):
    """Raise an error if an earlier line has the same id.

    Parameters
    ----------
    path : path
    number : int
        Number of the line.
    key : str
        The id.
    first : dict of str to int
        Line of each id so far. The id is added.
    """
    if first.setdefault(key, number) != number:
        raise bad_line(path, number, f"the id {shown(key)} is already in line {first[key]}")


def build(kind, data, path, **options):
    """Make a Corpus, Queries or Qrels; put the name of the file before the message of an error."""
    try:
        return kind(data, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def json_records(path, needed):
    """Yield the number and the object of each line of a JSON lines file.

    Parameters
    ----------
    path : path
    needed : tuple of str
        Keys that each object must have.
    """
    for number, line in numbered_lines(path):
        try:
            record = json.loads(line)
        except RecursionError:
            raise bad_line(path, number, "not readable JSON: arrays or objects are nested too deep") from None
        except ValueError as error:  # wrong syntax, or an int of more digits than Python reads
            raise bad_line(path, number, f"not JSON: {error}") from error
        if not isinstance(record, dict):
            raise bad_line(path, number, f"expected a JSON object, got {type(record).__name__}")
        for key in needed:
            if key not in record:
                raise bad_line(path, number, f"no {key!r}; the keys are {shown(list(record))}")
        if "\\u" in line and not _is_encodable(record):
            raise bad_line(path, number, "a \\u escape is half of a surrogate pair, which is not a character")
        yield number, record


def _is_encodable(record):
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
