"""What is derived from a corpus, kept with it."""

import os
import tempfile
import threading
from collections import OrderedDict
from itertools import islice
from pathlib import Path

import joblib
import numpy as np
from scipy import sparse

_LIMIT = 1 << 32  # bytes; beyond, what was used longest ago is dropped


class Cache:
    """A bounded, locked store of derived values.

    Each key is made once, also when several threads ask for it at the same time; different keys are made side
    by side. Entries that were asked for least recently go first when the arrays they hold exceed `limit`.

    Parameters
    ----------
    folder : path, default=None
        Where entries that are asked for with ``persist=True`` are kept between processes.
    limit : int, default=2**32
        Bytes of arrays that the entries may hold together.
    """

    def __init__(self, folder=None, limit=_LIMIT):
        self.folder = None if folder is None else Path(folder)
        self.limit = limit
        self._entries = OrderedDict()
        self._sizes = {}
        self._lock = threading.Lock()
        self._making = {}

    def get(self, key, make, file=None):
        """The value of `key`, made by ``make()`` where it is not there yet.

        Parameters
        ----------
        key : hashable
            What made the value: names and parameters.
        make : callable
            Makes the value, without arguments.
        file : str, default=None
            Name of its file, in the folder of the cache; ``None`` keeps it in memory only.
        """
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._entries:
                    return self._entries[key]
            value = self._load_or_make(make, file)
            with self._lock:
                self._entries[key] = value
                self._sizes[key] = array_bytes(value)
                self._making.pop(key, None)
                while len(self._entries) > 1 and sum(self._sizes.values()) > self.limit:
                    oldest, _ = self._entries.popitem(last=False)
                    del self._sizes[oldest]
        return value

    def _load_or_make(self, make, file):
        if file is None or self.folder is None:
            return make()
        path = self.folder / file
        if path.exists():
            return joblib.load(path, mmap_mode="r")
        value = make()
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.folder)
        os.close(handle)
        try:
            joblib.dump(value, temporary)
            os.replace(temporary, path)  # a reader sees a whole file or none
        except BaseException:
            os.unlink(temporary)
            raise
        del value  # what is on disk need not stand in memory, too
        return joblib.load(path, mmap_mode="r")

    def clear(self):
        """Drop all entries from memory."""
        with self._lock:
            self._entries.clear()
            self._sizes.clear()

    def __len__(self):
        return len(self._entries)


def array_bytes(value, depth=4):
    """Bytes of the arrays that `value` holds, a few levels down."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if sparse.issparse(value):
        return array_bytes([getattr(value, name, None) for name in ("data", "indices", "indptr", "row", "col")])
    if depth == 0:
        return 0
    if isinstance(value, dict):
        # Large dicts and long lists hold text or ids, not arrays.
        return sum(array_bytes(v, depth - 1) for v in islice(value.values(), 64))
    if isinstance(value, (list, tuple)):
        return sum(array_bytes(v, depth - 1) for v in value[:64])
    slots = getattr(type(value), "__slots__", ())
    held = [getattr(value, name, None) for name in slots] + list(getattr(value, "__dict__", {}).values())
    return sum(array_bytes(v, depth - 1) for v in held)
