"""Arrays in files: written with a checksum, and read or memory-mapped after their header is checked."""

import math
import os
import zlib
from pathlib import Path

import numpy as np

_BLOCK = 1 << 24  # bytes that are written or read at a time
_KINDS = "biufcSU"  # of types without Python objects


class Writer:
    """Write arrays and bytes to the files of a folder, each flushed to the disk.

    Parameters
    ----------
    folder : Path
        A new folder.

    Attributes
    ----------
    files : dict of str to [int, int]
        Size and checksum, CRC-32, of each file.
    """

    def __init__(self, folder):
        self.folder = folder
        self.files = {}

    def array(self, array):
        """Write an array in the format of NumPy, and return the name of the file."""
        array = np.asarray(array)
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        data = np.ascontiguousarray(array.T if order == "F" else array)

        def write(out):
            np.lib.format.write_array_header_1_0(
                out, {"descr": array.dtype.str, "fortran_order": order == "F", "shape": array.shape}
            )
            blocks = data.reshape(-1).view(np.uint8) if data.dtype.itemsize else np.empty(0, dtype=np.uint8)
            for start in range(0, len(blocks), _BLOCK):
                out.write(blocks[start : start + _BLOCK])

        return self._write(f"{len(self.files)}.npy", write)

    def content(self, content, suffix):
        """Write bytes, and return the name of the file."""
        return self._write(f"{len(self.files)}{suffix}", lambda out: out.write(content))

    def drop(self, names):
        """Remove files that this object has written."""
        for name in names:
            del self.files[name]
            (self.folder / name).unlink()

    def _write(self, name, write):
        with open(self.folder / name, "xb") as file:
            out = _Summing(file)
            write(out)
            file.flush()
            os.fsync(file.fileno())
        self.files[name] = [out.n_bytes, out.sum]
        return name


class _Summing:
    """Write to a file and compute the checksum."""

    def __init__(self, file):
        self._file, self.n_bytes, self.sum = file, 0, 0

    def write(self, data):
        data = memoryview(data).cast("B")
        self._file.write(data)
        self.sum = zlib.crc32(data, self.sum)
        self.n_bytes += len(data)


class Reader:
    """Read the files of a folder.

    Parameters
    ----------
    folder : Path
    files : dict of str to [int, int]
        Size and checksum of each file.
    mmap : bool
        Whether arrays are memory-mapped.
    """

    def __init__(self, folder, files, mmap):
        self.folder, self._files, self._mmap = folder, files, mmap
        self._arrays, self._contents = {}, {}

    def check(self, checksums):
        """Raise ValueError if a file is missing, has another size, or is not a part of the index."""
        try:
            with os.scandir(self.folder) as entries:
                present = {entry.name: entry.stat().st_size for entry in entries}
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.folder} is missing, so that the index is not complete") from None
        for name, (size, _) in self._files.items():
            path = self.folder / name
            if name not in present:
                raise ValueError(f"{path} is missing")
            if present[name] != size:
                raise ValueError(f"{path} is truncated or damaged: expected {size} bytes, got {present[name]}")
            if checksums:
                self.verify(name)
        extra = sorted(present.keys() - self._files.keys())
        if extra:
            raise ValueError(f"{self.folder / extra[0]} is not a part of the index: remove it")

    def verify(self, name):
        """Raise ValueError if the content of a file does not have the checksum of the manifest."""
        path = self._path(name)
        if checksum(path) != self._files[name][1]:
            raise ValueError(f"{path} is damaged: its checksum is not that of the manifest")

    def array(self, name):
        """Return the array of a file."""
        if name not in self._arrays:
            self._arrays[name] = self._read(self._path(name))
        return self._arrays[name]

    def content(self, name):
        """Return the bytes of a file."""
        if name not in self._contents:
            self._contents[name] = self._path(name).read_bytes()
        return self._contents[name]

    def _path(self, name):
        if not isinstance(name, str) or name not in self._files:
            raise ValueError(f"{self.folder}: the manifest names the file {name!r:.100}, which it does not list")
        return self.folder / name

    def _read(self, path):
        with open(path, "rb") as file:
            try:
                if np.lib.format.read_magic(file) != (1, 0):
                    raise ValueError("expected version 1.0 of the format")
                shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
            except Exception as error:  # NumPy parses the header as Python literals, which fails in many ways
                raise ValueError(f"{path} is damaged: its header cannot be read ({error})") from None
            start, size = file.tell(), os.fstat(file.fileno()).st_size
            if dtype.kind not in _KINDS or dtype.hasobject:
                raise ValueError(f"{path} is damaged: its header names the type {dtype}")
            if any(n < 0 for n in shape) or start + math.prod(shape) * dtype.itemsize != size:
                raise ValueError(f"{path} is damaged: its header names the shape {shape}, which does not fit its size")
            order = "F" if is_fortran else "C"
            if self._mmap and size > start:
                mapped = np.memmap(file, dtype=dtype, mode="r", offset=start, shape=shape, order=order)
                return mapped.view(np.ndarray)  # of the same class as arrays in memory
            array = np.fromfile(file, dtype=dtype, count=math.prod(shape)).reshape(shape, order=order)
        array.flags.writeable = False
        return array


def checksum(path):
    """Return the checksum, CRC-32, of a file."""
    found = 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            found = zlib.crc32(block, found)
    return found


def remove_folder(path):
    """Remove a folder and its files, as far as the system lets."""
    for file in list(Path(path).iterdir()):
        try:
            file.unlink()
        except OSError:  # another process has it open, on a system that refuses
            pass
    try:
        Path(path).rmdir()
    except OSError:
        pass
