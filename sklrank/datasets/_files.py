"""Lines of text files, with errors that name the file and the line."""

import gzip
import json
import zlib
from pathlib import Path


def bad_line(path, number, reason):
    """The error of a line that cannot be read."""
    return ValueError(f"{path}:{number}: {reason}")


def open_binary(path):
    """Open a file, through gzip where its name ends in ``.gz``."""
    return gzip.open(path, "rb") if str(path).endswith(".gz") else open(path, "rb")


def find(folder, names):
    """The first of `names` that `folder` holds, as it is or with ``.gz``.

    Raises
    ------
    FileNotFoundError
        If it holds none of them.
    """
    folder = Path(folder)
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise FileNotFoundError(f"{folder} holds no {' or '.join(names)}, with or without .gz")


def numbered_lines(path):
    """Yield the number, from 1, and the text of each line that is not blank."""
    number = 0
    with open_binary(path) as file:
        try:
            for number, line in enumerate(file, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
                if text.strip():
                    yield number, text
        except UnicodeDecodeError as error:
            raise bad_line(path, number, f"not UTF-8: {error}") from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise bad_line(path, number + 1, f"not gzip, or cut off: {error}") from error


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
        except json.JSONDecodeError as error:
            raise bad_line(path, number, f"not JSON: {error}") from error
        if not isinstance(record, dict):
            raise bad_line(path, number, f"a JSON object was needed, got {type(record).__name__}")
        for key in needed:
            if key not in record:
                raise bad_line(path, number, f"no {key!r}; the keys are {list(record)}")
        yield number, record
