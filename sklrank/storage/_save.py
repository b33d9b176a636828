"""Save and load fitted estimators."""

import json
import os
import platform
import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sklearn

import sklrank
from sklrank.data._files import sync_folder
from sklrank.storage._arrays import Reader, Writer, remove_folder
from sklrank.storage._graph import Decoder, Encoder
from sklrank.storage._lock import LOCK, locked
from sklrank.storage._models import check_model

_FORMAT = 1
_MANIFEST = "manifest.json"
_UNFINISHED = ".manifest.json"
_DATA = "data-"  # and a random name: the folder of the arrays of one version
_LARGEST = 1 << 28  # bytes of a manifest that are read


def save(estimator, folder, *, trust=False):
    """Save an estimator in a folder: a manifest in JSON, and plain arrays.

    The corpus, the index and the vectors are saved with it, so that nothing is tokenized or encoded again after
    `load`, not even if documents are added. What is shared, such as the corpus of the steps of a pipeline, is saved
    once.

    The folder has the old content or the new one at any moment: arrays are written to a new subfolder and flushed to
    the disk before the manifest is replaced. Processes that have loaded the old content keep it.

    Parameters
    ----------
    estimator : retriever, union, fuser, reranker, encoder, Pipeline, or Corpus
        Fitted or not. Functions and random generators cannot be saved.
    folder : path
        The folder. It is made if it does not exist; a content that was saved before is replaced.
    trust : bool, default=False
        Whether estimators of other packages, such as encoders of scikit-learn, are stored in files of skops. If False,
        they are an error.

    Raises
    ------
    TypeError
        If a part of the estimator cannot be saved. The message names it; the folder has not changed.
    BlockingIOError
        If another process is writing to the folder.
    OSError
        If the folder cannot be written, or the disk is full. The folder has not changed.

    See Also
    --------
    load : Load what was saved.

    Examples
    --------
    >>> import tempfile
    >>> import sklrank
    >>> from sklrank import Corpus
    >>> from sklrank.retrievers import BM25Retriever
    >>> retriever = BM25Retriever(Corpus({"a": "heat flows", "b": "cold rests"})).fit(None)
    >>> folder = tempfile.TemporaryDirectory()
    >>> sklrank.save(retriever, folder.name)
    >>> sklrank.load(folder.name).add({"c": "heat"}).predict(["heat"]).docids
    [['c', 'a']]
    >>> folder.cleanup()
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: expected a folder, or a path that does not exist")
    folder.mkdir(parents=True, exist_ok=True)
    _check_ours(folder)
    with locked(folder):
        _sweep(folder)
        name = _DATA + secrets.token_hex(8)
        data = folder / name
        data.mkdir()
        try:
            writer = Writer(data)
            encoder = Encoder(writer, trust)
            root = encoder.value(estimator, type(estimator).__name__)
            sync_folder(data)
            _write_manifest(folder, {
                "format": _FORMAT, "data": name, "versions": _versions(), "files": writer.files, "root": root,
                "objects": encoder.objects, "models": encoder.models,
            })  # fmt: skip
        except BaseException:
            remove_folder(data)
            raise
        # From here on, the new content is there.
        sync_folder(folder)
        _sweep(folder)


def load(folder, *, mmap=True, check=False, trusted=()):
    """Load an estimator that `save` has saved.

    No code of the files runs: the manifest names classes of sklrank, numbers, texts and arrays. Estimators of other
    packages are read by skops, and only if all their types are trusted.

    Parameters
    ----------
    folder : path
        The folder.
    mmap : bool, default=True
        Whether arrays are memory-mapped, so that loading does not read them, and processes share them. If False, they
        are read.
    check : bool, default=False
        Whether to read all files, compare their checksums, and check that the arrays of an index fit each other, as for
        a folder from a stranger. If False, their sizes and headers are checked.
    trusted : sequence of str, default=()
        Names of types of other packages that may be read, as for `skops.io.load`.

    Returns
    -------
    estimator

    Raises
    ------
    FileNotFoundError
        If the folder holds nothing that was saved.
    ValueError
        If a file is missing, truncated, damaged, or not a part of what was saved, or if the format is newer than this
        version of sklrank. The message names the file.

    See Also
    --------
    save : Save an estimator.

    Examples
    --------
    >>> import tempfile
    >>> import sklrank
    >>> from sklrank.retrievers import TfidfRetriever
    >>> folder = tempfile.TemporaryDirectory()
    >>> TfidfRetriever(["heat flows", "cold rests"]).fit(None).save(folder.name)
    >>> sklrank.load(folder.name, check=True).predict(["heat"]).docids
    [['0']]
    >>> folder.cleanup()
    """
    if isinstance(trusted, str) or not isinstance(trusted, Sequence):
        raise TypeError(f"trusted= is a list of names of types, got {trusted!r}")
    folder = Path(folder)
    while True:
        manifest = _read_manifest(folder)
        try:
            return _load(folder, manifest, mmap, check, trusted)
        except (OSError, ValueError):
            # Another process may have replaced the content after its manifest was read.
            if _read_manifest(folder)["data"] == manifest["data"]:
                raise


def _load(folder, manifest, mmap, check, trusted):
    path = folder / _MANIFEST
    reader = Reader(folder / manifest["data"], manifest["files"], mmap)
    reader.check(check)
    for model, described in manifest["models"].items():
        check_model(model, described, always=check)
    is_current = manifest["versions"].get("sklrank") == sklrank.__version__
    decoder = Decoder(reader, manifest["objects"], trusted, keep=is_current, check=check)
    try:
        return decoder.value(manifest["root"])
    except (
        AttributeError,
        ArithmeticError,
        AssertionError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        if type(error).__module__.partition(".")[0] == "skops":
            raise
        raise ValueError(f"{path} is damaged, or was made by another version: {error}") from error


def _versions():
    return {
        "sklrank": sklrank.__version__,
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "python": platform.python_version(),
    }


def _check_ours(folder):
    """Raise FileExistsError if a folder holds other files than `save` makes."""
    for name in os.listdir(folder):
        if name not in (_MANIFEST, _UNFINISHED, LOCK) and not name.startswith(_DATA):
            raise FileExistsError(f"{folder} holds other files, such as {name!r}: give an empty or a new folder")


def _write_manifest(folder, manifest):
    unfinished = folder / _UNFINISHED
    try:
        with open(unfinished, "w", encoding="utf-8") as file:
            json.dump(manifest, file, allow_nan=False, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, folder / _MANIFEST)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _read_manifest(folder):
    path = folder / _MANIFEST
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path} does not exist: {folder} holds nothing that sklrank.save has saved") from None
    if len(content) > _LARGEST:
        raise ValueError(f"{path} has more than {_LARGEST >> 20} MB: it is not a manifest of sklrank")
    try:
        manifest = json.loads(content)
        number = manifest["format"]
    except (UnicodeDecodeError, ValueError, RecursionError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from None
    if not isinstance(number, int) or number < 1:
        raise ValueError(f"{path} is damaged: its format is {number!r:.50}")
    if number > _FORMAT:
        raise ValueError(
            f"{path} has the format {number}, which is newer than the format {_FORMAT} of sklrank "
            f"{sklrank.__version__}: install a newer version"
        )
    _check_manifest(path, manifest)
    return manifest


def _check_manifest(path, manifest):
    def is_file(item):
        name, entry = item
        return name == os.path.basename(name) and isinstance(entry, list) and list(map(type, entry)) == [int, int]

    data, kinds = manifest.get("data"), {"files": dict, "versions": dict, "objects": list, "root": object}
    if not isinstance(data, str) or not data.startswith(_DATA) or data != os.path.basename(data):
        raise ValueError(f"{path} is damaged: {data!r:.50} is not the name of a folder of arrays")
    for name, kind in kinds.items():
        if name not in manifest or not isinstance(manifest[name], kind):
            raise ValueError(f"{path} is damaged: its entry {name!r} is missing or of another type")
    if not all(map(is_file, manifest["files"].items())):
        raise ValueError(f"{path} is damaged: its list of files is not one")
    models = manifest.setdefault("models", {})
    if not isinstance(models, dict) or not all(map(_describes_a_model, models.values())):
        raise ValueError(f"{path} is damaged: its list of models is not one")


def _describes_a_model(value):
    return isinstance(value, list) and list(map(type, value)) == [int, int, int]


def _sweep(folder):
    """Remove what unfinished and earlier calls have left; the caller holds the lock."""
    try:
        current = _read_manifest(folder)["data"]
    except (OSError, ValueError):
        current = None
    (folder / _UNFINISHED).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.name.startswith(_DATA) and path.name != current:
            remove_folder(path)
