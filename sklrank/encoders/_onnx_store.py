"""Encoded texts on disk, found by their content."""

import os
import sqlite3
import warnings
import zlib
from contextlib import closing, contextmanager
from pathlib import Path

from sklrank._caching.keys import text_keys

_PER_QUERY = 500  # keys; SQLite takes 32766 variables, in older versions 999
_SUM_BYTES = 4  # at the end of each value
_UNWRITABLE = ("readonly", "unable to open")  # of SQLite's messages


class Store:
    """A file that maps texts to bytes.

    Any number of processes may read and write it at the same time. What is written in one call is there as a whole or
    not at all.

    Parameters
    ----------
    folder : path
        Made where it is missing.
    name : str
        What determines the values beside the texts.
    """

    def __init__(self, folder, name):
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"cache_folder={str(folder)!r} is a file, and must be a folder")
        self._path = folder / f"{name}.sqlite"

    def get(self, texts):
        """The value of each text, None where there is none.

        Parameters
        ----------
        texts : list of str

        Returns
        -------
        list of bytes or None
        """
        if not self._path.exists():
            return [None] * len(texts)
        keys, found = text_keys(texts), {}
        mode = "rw" if os.access(self._path, os.W_OK) else "ro"  # what a killed writer began is undone by writing
        with self._connection(mode) as connection:
            for start in range(0, len(keys), _PER_QUERY):
                asked = keys[start : start + _PER_QUERY]
                marks = ",".join("?" * len(asked))
                found.update(connection.execute(f"SELECT key, value FROM encoded WHERE key IN ({marks})", asked))
        values = {key: _checked(value) for key, value in found.items()}
        n_damaged = sum(value is None for value in values.values())
        if n_damaged:
            warnings.warn(
                f"{str(self._path)!r} is damaged: what it keeps of {n_damaged} texts is made anew",
                UserWarning,
                stacklevel=3,
            )
        return [values.get(key) for key in keys]

    def put(self, texts, values):
        """Keep the values of texts.

        Parameters
        ----------
        texts : list of str
        values : list of bytes
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._connection("rwc") as connection, connection:
                connection.execute("CREATE TABLE IF NOT EXISTS encoded (key BLOB PRIMARY KEY, value BLOB)")
                rows = zip(text_keys(texts), map(_summed, values))
                connection.executemany("INSERT OR REPLACE INTO encoded VALUES (?, ?)", rows)
        except PermissionError:  # a folder that cannot be written is read
            pass

    @contextmanager
    def _connection(self, mode):
        try:
            address = f"{self._path.absolute().as_uri()}?mode={mode}"
            with closing(sqlite3.connect(address, uri=True, timeout=60)) as connection:
                yield connection
        except sqlite3.DatabaseError as error:
            if mode != "rwc" and "no such table" in str(error):  # another process is about to make it
                return
            if mode == "rwc" and any(words in str(error) for words in _UNWRITABLE):
                raise PermissionError(str(error)) from error
            raise RuntimeError(
                f"what is kept in {str(self._path)!r} cannot be read or written: {error}. If the file is damaged, "
                "delete it, and the texts are encoded anew"
            ) from error


def _summed(value):
    """A value and its checksum."""
    return value + zlib.crc32(value).to_bytes(_SUM_BYTES, "little")


def _checked(stored):
    """The value without its checksum, None if that is wrong."""
    value, found = stored[:-_SUM_BYTES], stored[-_SUM_BYTES:]
    return value if found == zlib.crc32(value).to_bytes(_SUM_BYTES, "little") and len(stored) >= _SUM_BYTES else None
