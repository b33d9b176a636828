"""Kinds of columns: what a column holds, and columns of several parts as one."""

import numpy as np
from scipy import sparse

from sklrank._ragged import joined, lengths_to_indptr
from sklrank.data._ids import Ids, object_array
from sklrank.data._lazy import ColumnSource
from sklrank.data._strings import StringArray
from sklrank.data._tokens import TokenVectors


def kind_of(column):
    """Return the word for what a column holds, such as "text" or "numbers"."""
    if isinstance(column, ColumnSource):
        return column.kind
    if isinstance(column, StringArray):
        return "text"
    if isinstance(column, TokenVectors):
        return "token vectors"
    if sparse.issparse(column):
        return "sparse vectors"
    if column.ndim == 2:
        return "vectors"
    if column.dtype == object:
        return "objects"
    return "numbers"


def take(column, rows):
    """Return the values of some rows of a column, which may stand outside."""
    if isinstance(column, ColumnSource):
        return column.take(rows)
    return column[rows]


def whole(column):
    """Return a column; one that stands outside is read."""
    if isinstance(column, ColumnSource):
        return column.read()
    return column


def concatenated(columns):
    """Return columns of one kind, one after the other."""
    columns = list(map(whole, columns))
    if len(columns) == 1:
        return columns[0]
    if isinstance(columns[0], StringArray):
        indptrs = [column.offsets for column in columns]
        buffers = [column.buffer[column.offsets[0] : column.offsets[-1]] for column in columns]
        return StringArray._of(np.concatenate(buffers), joined(indptrs))
    if sparse.issparse(columns[0]):
        return sparse.vstack(columns, format="csr")
    values = np.concatenate(columns)
    if isinstance(values, np.ndarray):
        values.flags.writeable = False
    return values


def take_of_parts(columns, parts, locals):
    """Return the values of some rows of several columns, given the column and the row of each value."""
    chosen = np.unique(parts).tolist()
    if not chosen:
        return take(columns[0], locals)
    column = concatenated([take(columns[part], locals[parts == part]) for part in chosen])
    if len(chosen) == 1:
        return column
    order = np.argsort(parts, kind="stable")
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return column[back]


class GatheredColumn(ColumnSource):
    """The values at some places of columns that stand one after the other, some of them outside.

    Parameters
    ----------
    columns : list of column
    places : ndarray of int64 or None
        If None, all places.
    """

    def __init__(self, columns, places):
        self.columns, self._places = columns, places
        self._bounds = np.cumsum([0, *map(n_rows, columns)])

    @property
    def kind(self):
        """What the column holds."""
        return kind_of(self.columns[0])

    def __len__(self):
        if self._places is None:
            return int(self._bounds[-1])
        return len(self._places)

    def take(self, rows):
        """Return the values of some documents."""
        if self._places is not None:
            rows = self._places[rows]
        parts = np.searchsorted(self._bounds, rows, side="right") - 1
        return take_of_parts(self.columns, parts, rows - self._bounds[parts])


def n_rows(column):
    """Return the number of rows of a column, which may be a sparse matrix."""
    if sparse.issparse(column):
        return column.shape[0]
    return len(column)


def gathered(columns, places):
    """Return the values at some places of columns that stand one after the other; all of them if `places` is None."""
    if len(columns) == 1 and places is not None:
        return take(columns[0], places)
    column = concatenated(columns)
    if places is None:
        return column
    column = column[places]
    if isinstance(column, np.ndarray):
        column.flags.writeable = False
    return column


def matching(column, like, name, n):
    """Return a column of new documents as the column `like` of a corpus is; raise an error if it is of another kind.

    Parameters
    ----------
    column : column or None
        None if the new documents lack it.
    like : column
    name : str
    n : int
        Number of new documents.

    Returns
    -------
    column
    """
    kind = kind_of(like)
    missing = column is None or kind_of(column) == "objects" and all(value is None for value in column.tolist())
    if missing:
        return missing_values(kind, name, n)
    new = kind_of(column)
    if kind == "sparse vectors" and new == "vectors":
        column, new = sparse.csr_array(column), kind
    if kind == "objects":
        column, new = object_array(whole(column).tolist()), kind
    if new != kind:
        raise TypeError(f"column {name!r} of the corpus holds {kind}, and that of the new documents holds {new}")
    if kind in ("vectors", "sparse vectors", "token vectors"):
        expected, found = _n_features(like), _n_features(column)
        if expected is not None and found != expected:
            raise ValueError(
                f"column {name!r} of the corpus holds vectors of {expected} numbers, and that of the new documents "
                f"holds vectors of {found}"
            )
    return column


def missing_values(kind, name, n):
    """Return a column of missing values."""
    if kind == "text":
        return StringArray.from_strings([""] * n)
    if kind == "numbers":
        return np.full(n, np.nan)
    if kind == "objects":
        return object_array([None] * n)
    raise ValueError(f"column {name!r} of the corpus holds {kind}, and new documents have none: give one for each")


def _n_features(column):
    if isinstance(column, ColumnSource):
        return None
    if isinstance(column, TokenVectors):
        return column.n_features
    return column.shape[1]


def numbers_as_ids(start, stop):
    """Return the ids "start", …, "stop - 1"."""
    digits = np.ascontiguousarray(np.arange(start, stop, dtype=np.int64).astype("S20"))
    flat = digits.view(np.uint8)
    lengths = np.char.str_len(digits)
    return Ids(StringArray._of(flat[flat != 0], lengths_to_indptr(lengths)), stop - start)


def strings_of(ids):
    """Return ids as a StringArray, also if they are positions."""
    if ids.given:
        return ids.strings
    return numbers_as_ids(0, len(ids)).strings
