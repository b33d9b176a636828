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
_OLD = 24 * 3600  # seconds after which an unfinished file of another machine counts as abandoned
_UNFINISHED = re.compile(r"\..+~(?P<host>\w+)-(?P<pid>\d+)-\w+\.tmp")
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
MISSING = object()


class Folder:
    """Keep values in the files of a folder, each with a checksum of its content.

    A file is written under a temporary name and then renamed. A reader therefore finds a complete file or none, and two
    processes may write the same value. A damaged file is named in a warning and counts as missing. If the folder
    cannot be written, its files are read and none is added.

    Parameters
    ----------
    path : path
        The folder. It is made when the first value is written. A relative path is resolved at construction.
    """

    def __init__(self, path):
        self.path = Path(path).absolute()
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(f"cache_folder={str(path)!r} is a file, and must be a folder")
        self._is_swept = False

    def read(self, name):
        """Return the value of a file, its arrays memory-mapped; `MISSING` if no complete file exists.

        Parameters
        ----------
        name : str
            Name of the file in the folder.

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
        except OSError as error:  # no permission, or a damaged disk
            problem = f"cannot be read ({error.strerror})"
        if problem is None:
            try:
                return joblib.load(path, mmap_mode="r")
            except (AttributeError, EOFError, ImportError, IndexError, KeyError, pickle.UnpicklingError) as error:
                problem = f"cannot be read by this version ({error})"
        warnings.warn(f"{str(path)!r} {problem}: its content is computed again", UserWarning, stacklevel=3)
        _remove(path)
        return MISSING

    def write(self, name, value, *, replace=True):
        """Write a value, and return it as read from the file, its arrays memory-mapped.

        Parameters
        ----------
        name : str
            Name of the file in the folder.
        value : object
            Any object that can be pickled.
        replace : bool, default=True
            Whether to replace a value that another process has written in the meantime. If False, the value that was
            written first is returned, which is `value` itself if there was none.

        Returns
        -------
        object
            Also `value` itself if the folder cannot be written.
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
            if error.errno not in (*_READ_ONLY, errno.ENOENT):  # another process may have removed the folder
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
            except OSError:  # another process still writes to it
                pass
        else:
            _remove(path)

    def __contains__(self, name):
        return (self.path / name).exists()

    def _sweep(self):
        """Remove unfinished files of processes that were killed."""
        if self._is_swept:
            return
        self._is_swept = True
        for path in [*self.path.glob(".*.tmp"), *self.path.glob("*/.*.tmp")]:
            found = _UNFINISHED.fullmatch(path.name)
            if found and _is_left_behind(path, found["host"], int(found["pid"])):
                _remove(path)

    def __getstate__(self):
        return {"path": str(self.path)}  # another system reads it, too

    def __setstate__(self, state):
        self.__init__(**state)


class Parts:
    """Keep the finished parts of a value that takes long to make, so that an interrupted run can be continued.

    Parameters
    ----------
    folder : Folder or None
        Folder that keeps the parts. If None, they are not kept.
    name : str
        Name of the subfolder.
    """

    def __init__(self, folder, name):
        self.folder, self.name = folder, name

    def get(self, name, make):
        """Return a part of an earlier run or of another process; make it by ``make()`` if it is missing.

        Parameters
        ----------
        name : str
        make : callable
            Function without arguments that makes the part.

        Returns
        -------
        object
        """
        if self.folder is None:
            return make()
        file = f"{self.name}/{name}.joblib"
        part = self.folder.read(file)
        if part is MISSING:
            part = self.folder.write(file, make(), replace=False)
        return part


class _Summing:
    """Write a new file and compute its checksum."""

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
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()


def _problem_of(path):
    """Return the problem of a file as text; None if its checksum is correct."""
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
    if found != expected:
        return "is damaged: its checksum is wrong"
    return None


def _publish_first(unfinished, path):
    """Rename a finished file; return False if the name exists already."""
    try:
        os.link(unfinished, path)
    except FileExistsError:
        return False
    except OSError:  # the file system has no links
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
    except PermissionError:  # the process is alive and belongs to another user
        pass
    return age > _OLD


def _remove(path):
    try:
        path.unlink()
    except OSError:
        pass
