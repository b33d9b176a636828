"""Folder: values in files that any number of processes read and write."""

import errno
import os
import pickle
import re
import socket
import struct
import time
import uuid
import warnings
import zlib
from pathlib import Path

import joblib

_END = struct.Struct("<8sQI")  # mark, number of bytes before it, their checksum
_MARK = b"sklrank1"
_STEP = 1 << 22  # bytes that are read at a time
_OLD = 24 * 3600  # seconds after which a file that another machine did not finish counts as left behind
_UNFINISHED = re.compile(r"\..+~(?P<host>\w+)-(?P<pid>\d+)-\w+\.tmp")
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
MISSING = object()


class Folder:
    """A folder that keeps values in files, each with a checksum of its content.

    A file is written under a name of its own and then renamed, so that a reader finds all of it or nothing, and two
    writers of one value do no harm. A damaged file is named in a warning, and counts as missing. Where the folder
    cannot be written, what it holds is read, and nothing is added.

    Parameters
    ----------
    path : path
        The folder; made when the first value is written. A relative path is that of the time of construction.
    """

    def __init__(self, path):
        self.path = Path(path).absolute()
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(f"cache_folder={str(path)!r} is a file, and must be a folder")
        self._is_swept = False

    def read(self, name):
        """Return the value of a file, its arrays memory-mapped; `MISSING` if there is none that is whole.

        Parameters
        ----------
        name : str
            Name of the file, within the folder.

        Returns
        -------
        object
        """
        path = self.path / name
        self._sweep()
        try:
            problem = _problem_of(path)
        except (FileNotFoundError, NotADirectoryError):
            return MISSING
        if problem is None:
            try:
                return joblib.load(path, mmap_mode="r")
            except (AttributeError, EOFError, ImportError, IndexError, KeyError, pickle.UnpicklingError) as error:
                problem = f"cannot be read by this version ({error})"
        warnings.warn(f"{str(path)!r} {problem}: its content is made anew", UserWarning, stacklevel=3)
        _remove(path)
        return MISSING

    def write(self, name, value, *, replace=True):
        """Write a value, and return it as the file has it, its arrays memory-mapped.

        Parameters
        ----------
        name : str
            Name of the file, within the folder.
        value : object
            Anything that pickles.
        replace : bool, default=True
            Whether the value takes the place of one that another process wrote meanwhile. Otherwise, the one that was
            there first is returned, which is `value` itself if there was none.

        Returns
        -------
        object
            `value` itself, too, if the folder cannot be written.
        """
        path = self.path / name
        unfinished = path.with_name(f".{path.name}~{_host()}-{os.getpid()}-{uuid.uuid4().hex}.tmp")
        self._sweep()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _Summing(unfinished) as file:
                joblib.dump(value, file)
                file.finish()
            if not replace and _publish_first(unfinished, path):
                return value
            if replace:
                os.replace(unfinished, path)
            return joblib.load(path, mmap_mode="r")
        except OSError as error:
            if error.errno not in (*_READ_ONLY, errno.ENOENT):  # a folder that another process removed is no problem
                warnings.warn(f"{str(path)!r} cannot be written ({error})", UserWarning, stacklevel=3)
            return value
        finally:
            _remove(unfinished)

    def remove(self, name):
        """Remove a file, or a folder of files.

        Parameters
        ----------
        name : str
        """
        path = self.path / name
        if path.is_dir():
            for file in list(path.iterdir()):
                _remove(file)
            try:
                path.rmdir()
            except OSError:  # another process still writes there
                pass
        else:
            _remove(path)

    def __contains__(self, name):
        return (self.path / name).exists()

    def _sweep(self):
        """Remove what killed writers did not finish."""
        if self._is_swept:
            return
        self._is_swept = True
        for path in [*self.path.glob(".*.tmp"), *self.path.glob("*/.*.tmp")]:
            found = _UNFINISHED.fullmatch(path.name)
            if found and _is_left_behind(path, found["host"], int(found["pid"])):
                _remove(path)

    def __reduce__(self):
        return type(self), (self.path,)


class Parts:
    """What is there of a value that takes long to make, so that an interrupted run goes on where it stopped.

    Parameters
    ----------
    folder : Folder or None
        Where parts are kept; ``None``: nowhere.
    name : str
        Name of a folder within.
    """

    def __init__(self, folder, name):
        self.folder, self.name = folder, name

    def get(self, name, make):
        """Return a part: that of an earlier run, or of another process, else made by ``make()``.

        Parameters
        ----------
        name : str
        make : callable
            Makes the part, without arguments.

        Returns
        -------
        object
        """
        if self.folder is None:
            return make()
        file = f"{self.name}/{name}.joblib"
        part = self.folder.read(file)
        return self.folder.write(file, make(), replace=False) if part is MISSING else part


class _Summing:
    """A new file that adds up the checksum of what is written."""

    def __init__(self, path):
        self._file = open(path, "xb")
        self._sum = self._n_bytes = 0

    def write(self, data):
        self._sum = zlib.crc32(data, self._sum)
        self._n_bytes += memoryview(data).nbytes
        return self._file.write(data)

    def tell(self):
        return self._file.tell()

    def finish(self):
        """Append the checksum."""
        self._file.write(_END.pack(_MARK, self._n_bytes, self._sum))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()


def _problem_of(path):
    """Return what is wrong with a file, None if its checksum is right."""
    with open(path, "rb") as file:
        n_bytes = os.fstat(file.fileno()).st_size - _END.size
        if n_bytes < 0:
            return "is truncated"
        found, left = 0, n_bytes
        while left:
            block = file.read(min(_STEP, left))
            found, left = zlib.crc32(block, found), left - len(block)
        mark, expected_bytes, expected = _END.unpack(file.read(_END.size))
    if mark != _MARK or expected_bytes != n_bytes:
        return "is truncated or damaged"
    return None if found == expected else "is damaged: its checksum is wrong"


def _publish_first(unfinished, path):
    """Give a file its name; return False if the name is taken."""
    try:
        os.link(unfinished, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        os.replace(unfinished, path)
    return True


def _host():
    return re.sub(r"\W", "", socket.gethostname()) or "host"


def _is_left_behind(path, host, pid):
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return False
    if host != _host() or os.name != "posix":
        return age > _OLD
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # alive, of another user
        pass
    return age > _OLD


def _remove(path):
    try:
        path.unlink()
    except OSError:
        pass
