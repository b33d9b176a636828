"""What was made of texts, on disk, by their content."""

import hashlib
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

_PER_QUERY = 500  # keys; SQLite takes 32766 variables, in older versions 999


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
        keys = list(map(_key, texts))
        found = {}
        with self._connection() as connection:
            for start in range(0, len(keys), _PER_QUERY):
                asked = keys[start : start + _PER_QUERY]
                marks = ",".join("?" * len(asked))
                found.update(connection.execute(f"SELECT key, value FROM encoded WHERE key IN ({marks})", asked))
        return [found.get(key) for key in keys]

    def put(self, texts, values):
        """Keep the values of texts.

        Parameters
        ----------
        texts : list of str
        values : list of bytes
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._connection() as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO encoded VALUES (?, ?)", zip(map(_key, texts), values))

    @contextmanager
    def _connection(self):
        try:
            with closing(sqlite3.connect(self._path, timeout=60)) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS encoded (key BLOB PRIMARY KEY, value BLOB)")
                yield connection
        except sqlite3.DatabaseError as error:
            raise RuntimeError(
                f"what is kept in {str(self._path)!r} cannot be read or written: {error}. If the file is damaged, "
                "delete it, and the texts are encoded anew"
            ) from error


def _key(text):
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
