"""Tables of documents that stand outside of a corpus: their columns, and the reading of their texts."""

import hashlib
from abc import ABC, abstractmethod
from itertools import chain

import numpy as np

from sklrank.data._ids import Ids
from sklrank.data._kinds import GatheredColumn, concatenated, take
from sklrank.data._lazy import ColumnSource
from sklrank.data._strings import StringArray

ID_NAMES = ("docid", "_id", "id", "docno", "doc_id")  # names that the column of ids may have
BATCH = 1 << 11  # documents that are read at a time


class TableSource(ABC):
    """Base of tables of documents that stand outside of a corpus, in files or a database.

    A subclass sets `ids`, the `Ids` of its documents, and `kinds`, a dict from the name of each column to its kind.
    """

    def columns(self):
        """Return a dict from the name of each column to the column."""
        return {name: TableColumn(self, name) for name in self.kinds}

    @abstractmethod
    def batches(self, names):
        """Yield a dict from name to column for each batch of documents, in the order of `ids`."""

    @abstractmethod
    def take(self, name, rows):
        """Return the values of some documents in a column."""

    def _set_names(self, found, docid, columns):
        """Set the name of the column of ids, and return the names of the other columns, given those that exist."""
        found = list(found)
        if docid is None:
            docid = next((name for name in ID_NAMES if name in found), None)
            if docid is None:
                raise ValueError(f"no column of ids: expected one of {list(ID_NAMES)} in {self}; or name it by docid=")
        if columns is None:
            columns = [name for name in found if name != docid]
        missing = [name for name in (docid, *columns) if name not in found]
        if missing:
            raise ValueError(f"{self} has no column {missing[0]!r}; its columns are {found}")
        for name in (docid, ID_NAMES[0]):
            if name in columns:
                raise ValueError(f"a column of a corpus cannot be the ids, or have their name, {name!r}: see columns=")
        self.docid = docid
        return list(columns)

    def _set_ids(self, batches):
        """Set the ids, given as StringArrays, and check that they are unique."""
        try:
            ids = concatenated([StringArray.from_strings([]), *batches])
            self.ids = Ids.of(ids, len(ids), "document")
        except (TypeError, ValueError) as error:
            raise type(error)(f"column {self.docid!r} of {self}: {error}") from None


def changed(source, reason):
    """Return the error of a table that is no longer that of the corpus."""
    return ValueError(f"{source} has changed since the corpus was made of it: {reason}. Make a new corpus.")


class TableColumn(ColumnSource):
    """One column of a `TableSource`.

    Parameters
    ----------
    table : TableSource
    name : str
    """

    def __init__(self, table, name):
        self.table, self.name = table, name

    @property
    def kind(self):
        """What the column holds."""
        return self.table.kinds[self.name]

    def __len__(self):
        return len(self.table.ids)

    def take(self, rows):
        """Return the values of some documents; negative rows count from the end."""
        rows, n = np.asarray(rows, dtype=np.int64), len(self)
        if len(rows) and not -n <= rows.min() <= rows.max() < n:
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {n} documents")
        return self.table.take(self.name, np.where(rows < 0, rows + n, rows))

    def read(self):
        """Return the whole column."""
        if not len(self):
            return self.take([])
        return concatenated([batch[self.name] for batch in self.table.batches((self.name,))])


def sources_of(column):
    """Yield the tables and the columns outside of a corpus that a column is read from."""
    if isinstance(column, TableColumn):
        yield column.table
    elif isinstance(column, GatheredColumn):
        for one in column.columns:
            yield from sources_of(one)
    elif isinstance(column, ColumnSource):
        yield column


class TextReader:
    """Read the texts of a corpus of which columns stand outside, without keeping them.

    Parameters
    ----------
    columns : list of column
        Columns of text, at least one of them a `ColumnSource`, which are joined by a space.
    """

    def __init__(self, columns):
        self._columns = columns

    def __len__(self):
        return len(self._columns[0])

    def __getitem__(self, rows):
        rows = np.arange(len(self), dtype=np.int64)[rows]
        return joined_texts([take(column, rows) for column in self._columns])

    def batches(self):
        """Yield the texts in order, some thousands at a time.

        Yields
        ------
        StringArray
        """
        tables = [getattr(column, "table", None) for column in self._columns]
        if isinstance(tables[0], TableSource) and all(table is tables[0] for table in tables):
            names = [column.name for column in self._columns]
            for batch in tables[0].batches(names):
                yield joined_texts([batch[name] for name in names])
            return
        for start in range(0, len(self), BATCH):
            yield self[start : start + BATCH]

    def __iter__(self):
        return chain.from_iterable(self.batches())

    def tolist(self):
        """Return all texts as a list of str."""
        return list(self)


def joined_texts(columns):
    """Return columns of text as one, joined by a space.

    Parameters
    ----------
    columns : list of StringArray

    Returns
    -------
    StringArray
    """
    joined = columns[0]
    for column in columns[1:]:
        joined = StringArray.joined(joined, column)
    return joined


def hash_of_texts(texts):
    """Return a hash of texts, which does not depend on the batches in which they are read.

    Parameters
    ----------
    texts : StringArray or TextReader

    Returns
    -------
    str
    """
    of_bytes, of_lengths = hashlib.md5(usedforsecurity=False), hashlib.md5(usedforsecurity=False)
    for batch in texts.batches():
        of_bytes.update(batch.buffer[batch.offsets[0] : batch.offsets[-1]])
        of_lengths.update(np.diff(batch.offsets))
    return of_bytes.hexdigest() + of_lengths.hexdigest()
