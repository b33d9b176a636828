"""Where a model comes from: a path, bytes, a file of a hub, or an open session."""

import mmap
import os
from pathlib import Path
from pickle import PicklingError

from sklrank._caching.keys import bytes_key, content_of_file, path_key
from sklrank._session._printed_bytes import unwrapped

_DYNAMIC = b"DynamicQuantize"  # begins the names of all operators whose scales come from the batch at hand


class Source:
    """A model's file or bytes.

    Parameters
    ----------
    model : path, bytes or InferenceSession

    Attributes
    ----------
    value : str or bytes
        What ONNX Runtime opens.
    session : InferenceSession or None
        The one that was given.
    key : tuple
        What tells it from other models within a process: the bytes, or the path with size and time of the file.
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
                        f"{str(path)!r} is a folder; one that is laid out like a repository opens by from_hub"
                    )
                raise FileNotFoundError(
                    f"there is no model file {str(path)!r}. A repository of the hub opens by from_hub; of an estimator "
                    "that came from another machine, set_params(model=...) says where the file is on this one"
                )
            self.value = str(path.absolute())
            self.key = ("path", *path_key(path))
        else:
            raise TypeError(
                "model is the path or the bytes of an ONNX file, or an open InferenceSession; got "
                f"{type(model).__name__}"
            )

    @property
    def path(self):
        """Path of the file, None where there is none."""
        return self.value if isinstance(self.value, str) else None

    def describe(self):
        """The model in words, for error messages."""
        if self.value is None:
            return "the open session"
        return f"{self.value!r}" if isinstance(self.value, str) else f"the model of {len(self.value)} bytes"

    def fingerprint(self):
        """Hash of the content, in every process the same; of files with external data also of their sizes and times."""
        if self.value is None:
            raise ValueError("of this open session neither path nor bytes are known: give the model's path instead")
        return bytes_key(self.value) if isinstance(self.value, bytes) else content_of_file(self.value)

    def depends_on_batch(self):
        """Whether the outcome for a text depends on what stands beside it: activations quantized on the fly."""
        if isinstance(self.value, bytes):
            return _DYNAMIC in self.value
        if self.value is None or not os.path.getsize(self.value):
            return False
        with open(self.value, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(_DYNAMIC) >= 0


def fetched(path):
    """The path of a file, which is downloaded where it is one of a hub that the cache lacks."""
    return path.fetch() if hasattr(path, "fetch") else path


def is_session(model):
    """Whether `model` is an open InferenceSession."""
    return hasattr(model, "get_inputs") and hasattr(model, "run")


def model_of(session):
    """Path or bytes of an open session; None where it does not say."""
    path = getattr(session, "_model_path", None)
    return path if path else getattr(session, "_model_bytes", None)


def picklable(value):
    """What stands for a model or tokenizer in a pickle: of an open session its path or bytes, of a path the whole."""
    if is_session(value):
        value = model_of(value)
        if value is None:
            raise PicklingError("an open session of unknown origin does not pickle: give the model's path or bytes")
    value = unwrapped(value)
    if isinstance(value, bytes) or hasattr(value, "fetch"):  # a file of a hub
        return value
    if isinstance(value, str):
        return str(Path(value).absolute())
    return Path(value).absolute() if isinstance(value, os.PathLike) else value
