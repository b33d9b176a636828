"""Results of encoders on disk, by the content of the texts."""

import os
import sqlite3
import warnings
import zlib
from contextlib import closing, contextmanager
from pathlib import Path

from sklrank._caching.keys import text_keys

_PER_QUERY = 500  # keys per query; the limit of SQLite is 32766 variables, in older versions 999
_SUM_BYTES = 4  # length of the checksum at the end of each value
_UNWRITABLE = ("readonly", "unable to open")  # words in messages of SQLite


class Store:
    """Map texts to bytes, in a file.

    Any number of processes may read and write the file at the same time. The values of one call are written all or not
    at all.

    Parameters
    ----------
    folder : path
        Folder of the file. It is made if it is missing.
    name : str
        Name of the file, which identifies everything that the values depend on besides the texts.
    """

    def __init__(self, folder, name):
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"expected cache_folder= to be a folder, got the file {str(folder)!r}")
        self._path = folder / f"{name}.sqlite"

    def get(self, texts):
        """Return the value of each text, None if there is no value.

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
        mode = "ro"
        if os.access(self._path, os.W_OK):
            mode = "rw"  # SQLite must write to undo the unfinished work of a killed process
        with self._connection(mode) as connection:
            for start in range(0, len(keys), _PER_QUERY):
                block = keys[start : start + _PER_QUERY]
                marks = ",".join("?" * len(block))
                found.update(connection.execute(f"SELECT key, value FROM encoded WHERE key IN ({marks})", block))
        values = {key: _checked(value) for key, value in found.items()}
        n_damaged = sum(value is None for value in values.values())
        if n_damaged:
            warnings.warn(
                f"{str(self._path)!r} is damaged: its results of {n_damaged} texts are computed again",
                UserWarning,
                stacklevel=3,
            )
        return [values.get(key) for key in keys]

    def put(self, texts, values):
        """Write the values of texts. If the folder cannot be written, nothing happens.

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
        except PermissionError:  # a folder that cannot be written can still be read
            pass

    @contextmanager
    def _connection(self, mode):
        try:
            address = f"{self._path.absolute().as_uri()}?mode={mode}"
            with closing(sqlite3.connect(address, uri=True, timeout=60)) as connection:
                yield connection
        except sqlite3.DatabaseError as error:
            if mode != "rwc" and "no such table" in str(error):  # another process is about to create it
                return
            if mode == "rwc" and any(words in str(error) for words in _UNWRITABLE):
                raise PermissionError(str(error)) from error
            raise RuntimeError(
                f"the results in {str(self._path)!r} cannot be read or written: {error}. If the file is damaged, "
                "delete it; the texts are then encoded again"
            ) from error


def _summed(value):
    """Return a value with its checksum."""
    return value + zlib.crc32(value).to_bytes(_SUM_BYTES, "little")


def _checked(stored):
    """Return the value without its checksum, None if the checksum is wrong."""
    value = stored[:-_SUM_BYTES]
    if len(stored) < _SUM_BYTES or stored != _summed(value):
        return None
    return value
