"""Files of models, which stand outside of a saved folder."""

import os
import stat
from pathlib import Path

from sklrank._session import tokenizer_beside
from sklrank.storage._arrays import checksum


def model_files(value):
    """Yield the paths of the model and of the tokenizer that an object of sklrank reads.

    Parameters
    ----------
    value : object
    """
    settings = getattr(value, "_settings", getattr(value, "__dict__", {}))
    model, tokenizer = settings.get("model"), settings.get("tokenizer")
    if _is_file(model):
        yield os.path.abspath(model)
        if tokenizer is None:
            tokenizer = tokenizer_beside(model)
    if _is_file(tokenizer):
        yield os.path.abspath(tokenizer)


def describe(path):
    """Return the size, the time and the checksum of a file.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of int
    """
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns, checksum(path)]


def check_model(path, described, always):
    """Raise an error if a file is missing, or is not the one that was described.

    Parameters
    ----------
    path : str
    described : list of int
        As from `describe`.
    always : bool
        Whether the content is compared even if size and time are the same.

    Raises
    ------
    FileNotFoundError, ValueError
    """
    size, time, expected = described
    try:
        status = os.stat(path)
    except OSError as error:
        raise FileNotFoundError(
            f"{path} cannot be read ({error.strerror}): it is a model that the saved estimator needs, so put it there"
        ) from None
    is_same = stat.S_ISREG(status.st_mode) and status.st_size == size
    if is_same and (always or status.st_mtime_ns != time):
        is_same = checksum(path) == expected
    if not is_same:
        raise ValueError(
            f"{path} is another model than that of the saved estimator: put the old one there, or fit a new estimator"
        )


def _is_file(value):
    return isinstance(value, (str, os.PathLike)) and Path(value).is_file()
