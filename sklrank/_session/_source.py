"""Sources of models: a path, bytes, a file of a hub, or an open session."""

import mmap
import os
from pathlib import Path
from pickle import PicklingError

from sklrank._caching.keys import bytes_key, content_of_file, path_key
from sklrank._session._printed_bytes import unwrapped

_DYNAMIC = b"DynamicQuantize"  # start of the names of all operators whose scales depend on the batch


class Source:
    """Find the file or the bytes of a model.

    Parameters
    ----------
    model : path, bytes or InferenceSession

    Attributes
    ----------
    value : str or bytes
        Path or bytes, from which ONNX Runtime opens the model.
    session : InferenceSession or None
        The session, if `model` is one.
    key : tuple
        Key of the model in a process: a hash of the bytes, or the path with size and time of the file.
    """

    def __init__(self, model):
        model = unwrapped(model)
        self.session = model if is_session(model) else None
        if self.session is not None:
            self.value = model_of(model)
            self.key = ("session", id(model))
        elif isinstance(model, bytes):
            self.value = model
            self.key = ("bytes", bytes_key(self.value))
        elif isinstance(model, (str, os.PathLike)):
            path = Path(fetched(model))
            if not path.is_file():
                if path.is_dir():
                    raise IsADirectoryError(
                        f"expected a model file, got the folder {str(path)!r}. If it has the files of a repository, "
                        "use from_hub"
                    )
                raise FileNotFoundError(
                    f"there is no model file {str(path)!r}. For a repository of the hub, use from_hub. If the "
                    "estimator comes from another machine, give the path on this one by set_params(model=...)"
                )
            self.value = str(path.absolute())
            self.key = ("path", *path_key(path))
        else:
            raise TypeError(
                "expected model to be the path or the bytes of an ONNX file, or an open InferenceSession, got "
                f"{type(model).__name__}"
            )

    @property
    def path(self):
        """Path of the file, None if the model is not a file."""
        if isinstance(self.value, str):
            return self.value
        return None

    def describe(self):
        """Return the model in words, for error messages."""
        if self.value is None:
            return "the open session"
        if isinstance(self.value, bytes):
            return f"the model of {len(self.value)} bytes"
        return repr(self.value)

    def fingerprint(self):
        """Return a hash of the content, equal in all processes. It includes sizes and times of external data files."""
        if self.value is None:
            raise ValueError("this open session does not know its path or bytes: give the model's path instead")
        if isinstance(self.value, bytes):
            return bytes_key(self.value)
        return content_of_file(self.value)

    def depends_on_batch(self):
        """Return whether the result of a text depends on its batch, because activations are quantized at run time."""
        if isinstance(self.value, bytes):
            return _DYNAMIC in self.value
        if self.value is None or not os.path.getsize(self.value):
            return False
        with open(self.value, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(_DYNAMIC) >= 0


def fetched(path):
    """Return the path of a file. If it is a file of a hub that the cache lacks, download it first."""
    if hasattr(path, "fetch"):
        return path.fetch()
    return path


def is_session(model):
    """Return whether `model` is an open InferenceSession."""
    return hasattr(model, "get_inputs") and hasattr(model, "run")


def model_of(session):
    """Return the path or bytes of an open session; None if it does not know them."""
    return getattr(session, "_model_path", None) or getattr(session, "_model_bytes", None)


def picklable(value):
    """Return the value of a model or tokenizer in a pickle: the path or bytes of a session, and absolute paths."""
    if is_session(value):
        value = model_of(value)
        if value is None:
            raise PicklingError("an open session of unknown origin does not pickle: give the model's path or bytes")
    value = unwrapped(value)
    if hasattr(value, "fetch"):  # a file of a hub
        return value
    if isinstance(value, str):
        return str(Path(value).absolute())
    if isinstance(value, os.PathLike):
        return Path(value).absolute()
    return value
