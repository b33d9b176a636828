"""Documents in tables of Arrow, files of Parquet, and tables of LanceDB."""

import os
from functools import cached_property

import numpy as np

from sklrank._optional import optional_import
from sklrank.data._frames import check_column_names
from sklrank.data._ids import object_array, show
from sklrank.data._stored import BATCH, TableSource, changed
from sklrank.data._strings import StringArray

_INDEX = "__index_level_"  # beginning of the name that the index of a frame of pandas gets


class ArrowSource(TableSource):
    """Read documents from a table of Arrow, files of Parquet or a table of LanceDB, when they are needed.

    ``Corpus(ArrowSource(...))`` is a corpus of these documents, which holds only their ids. To index its texts, they
    are read once, batch by batch, and are not kept. To show documents, only these are read.

    Parameters
    ----------
    table : table, path or list of paths
        A :class:`pyarrow.Table` or another object that exports Arrow's C stream, such as a frame of polars or pandas
        or a relation of DuckDB, which is then held as a table; one or several files of Parquet; or a table of LanceDB.
    docid : str, default=None
        Name of the column of ids, of str or int. If None, the first of ``"docid"``, ``"_id"``, ``"id"``, ``"docno"``
        and ``"doc_id"`` that exists.
    columns : sequence of str, default=None
        Names of the columns of the corpus. If None, all except the ids.

    Attributes
    ----------
    ids : Ids
        Ids of the documents, in the order of the table.
    kinds : dict of str to str
        What each column holds. A column of lists of floats, or of lists of fixed size, holds vectors.

    See Also
    --------
    SQLSource : Read documents from a database.

    Notes
    -----
    It needs pyarrow (extra ``arrow``). A missing text is an empty text, a missing number NaN. To show one document,
    its row group of a file of Parquet is read, so that small row groups are shown faster.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from sklrank import Corpus
    >>> from sklrank.data import ArrowSource
    >>> from sklrank.retrievers import BM25Retriever
    >>> table = pa.table({"docid": ["a", "b"], "text": ["heat flows", "cold rests"], "year": [1999, 2005]})
    >>> corpus = Corpus(ArrowSource(table))
    >>> corpus
    <Corpus: 2 documents, columns text, year>
    >>> BM25Retriever(corpus).fit(None).predict(["heat"]).to_records(fields=["text", "year"])
    [{'qid': '0', 'rank': 1, 'docid': 'a', 'score': ..., 'text': 'heat flows', 'year': 1999}]
    """

    def __init__(self, table, *, docid=None, columns=None):
        optional_import("pyarrow", extra="arrow")
        self._store = _store_of(table)
        schema = self._store.schema
        check_column_names(schema.names)
        names = self._set_names(schema.names, docid, columns)
        self.kinds = {name: _kind_of(schema.field(name).type) for name in names}
        self._set_ids(map(self._ids_of, self._store.batches([self.docid])))

    def batches(self, names):
        """Yield the values of all documents, batch by batch, in the order of the ids.

        Parameters
        ----------
        names : sequence of str
            Names of the columns to read.

        Yields
        ------
        dict of str to column
        """
        for batch in self._store.batches(list(names)):
            yield {name: self._column(name, batch.column(name)) for name in names}

    def take(self, name, rows):
        """Return the values of some documents in a column.

        Parameters
        ----------
        name : str
            Name of the column.
        rows : ndarray of int64
            Positions among the ids.

        Returns
        -------
        column of length n_rows
        """
        return self._column(name, self._store.take(name, rows))

    def _ids_of(self, batch):
        pa = optional_import("pyarrow")
        ids = batch.column(0)
        if ids.null_count:
            raise ValueError(f"{ids.null_count} ids are missing")
        if not (_is_text(ids.type) or pa.types.is_integer(ids.type)):
            raise TypeError(f"ids are str or int, and the column holds {ids.type}")
        return _strings(ids)

    def _column(self, name, array):
        try:
            return _READERS[self.kinds[name]](array)
        except (TypeError, ValueError) as error:
            raise ValueError(f"column {name!r} of {self}: {error}") from None

    def __repr__(self):
        return f"ArrowSource({self._store})"


class _Pieces:
    """Batches of rows that are loaded one by one: record batches of a table, or row groups of files.

    A subclass sets `schema` and `sizes`, the number of rows of each piece, and gives `load` and `batches`.
    """

    def take(self, name, rows):
        """Return the values of some rows of a column."""
        bounds = np.cumsum([0, *self.sizes])
        pieces = np.searchsorted(bounds, rows, side="right") - 1
        order = np.argsort(pieces, kind="stable")
        taken = [
            _combined(self.load(piece, name)).take(_int64(rows[pieces == piece] - bounds[piece]))
            for piece in np.unique(pieces).tolist()
        ]
        pa = optional_import("pyarrow")
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        if not taken:
            return pa.array([], self.schema.field(name).type)
        return pa.concat_arrays(taken).take(_int64(back))


class ArrowTable(_Pieces):
    """A table in memory, or mapped from a file."""

    def __init__(self, table):
        self._batches = table.to_batches()
        self.schema = table.schema
        self.sizes = list(map(len, self._batches))

    def load(self, piece, name):
        """Return one column of a piece."""
        return self._batches[piece].column(name)

    def batches(self, names):
        """Yield record batches with the given columns."""
        for batch in self._batches:
            for start in range(0, len(batch), BATCH):
                yield batch.select(names).slice(start, BATCH)

    def __repr__(self):
        return f"a table of {sum(self.sizes)} rows"


class ParquetFiles(_Pieces):
    """Files of Parquet with equal columns."""

    def __init__(self, paths):
        self._paths = [os.path.abspath(path) for path in paths]
        self._states = [_state(path) for path in self._paths]
        self._groups, self.sizes = [], []
        for path in self._paths:
            with _open_parquet(path) as file:
                if not file.schema_arrow.equals(self.schema):
                    raise ValueError(f"{path} has other columns or types than {self._paths[0]}")
                n_groups = file.num_row_groups
                self._groups += [(path, group) for group in range(n_groups)]
                self.sizes += [file.metadata.row_group(group).num_rows for group in range(n_groups)]

    @cached_property
    def schema(self):
        """Names and types of the columns."""
        with _open_parquet(self._paths[0]) as file:
            return file.schema_arrow

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "schema"}  # the rest are plain values

    def load(self, piece, name):
        """Return one column of a row group."""
        path, group = self._groups[piece]
        with self._open(path) as file:
            return file.read_row_group(group, columns=[name]).column(name)

    def batches(self, names):
        """Yield record batches with the given columns."""
        for path in self._paths:
            with self._open(path) as file:
                for batch in file.iter_batches(BATCH, columns=names):
                    yield batch.select(names)

    def _open(self, path):
        if _state(path) != self._states[self._paths.index(path)]:
            raise changed(path, "its size or its time is another one")
        return _open_parquet(path)

    def __repr__(self):
        return ", ".join(self._paths[:1] + ["…"] * (len(self._paths) > 1))


class LanceTable:
    """A table of LanceDB, at the version that it had."""

    def __init__(self, table):
        self._table, self._version = table, table.version
        self.schema = table.schema

    def take(self, name, rows):
        """Return the values of some rows of a column."""
        rows, back = np.unique(rows, return_inverse=True)
        found = self._checked().take_offsets(rows.tolist()).select([name]).to_arrow()
        return _combined(found.column(name)).take(_int64(back))

    def batches(self, names):
        """Yield record batches with the given columns."""
        return self._checked().search().select(names).to_batches(batch_size=BATCH)

    def _checked(self):
        if self._table.version != self._version:
            raise changed(self, f"it was at version {self._version}, and is at {self._table.version}")
        return self._table

    def __repr__(self):
        return f"table {self._table.name!r} of LanceDB"


def _store_of(table):
    pa = optional_import("pyarrow")
    if isinstance(table, (str, os.PathLike)):
        return ParquetFiles([table])
    if isinstance(table, (list, tuple)) and table and all(isinstance(path, (str, os.PathLike)) for path in table):
        return ParquetFiles(table)
    if hasattr(table, "take_offsets"):
        return LanceTable(table)
    if not isinstance(table, pa.Table) and hasattr(table, "__arrow_c_stream__"):
        table = pa.table(table)
        table = table.select([name for name in table.column_names if not name.startswith(_INDEX)])
    if not isinstance(table, pa.Table):
        raise TypeError(
            "expected a table of Arrow, or an object with __arrow_c_stream__, paths of Parquet files, or a table of "
            f"LanceDB; got {type(table).__name__}"
        )
    return ArrowTable(table)


def _open_parquet(path):
    parquet = optional_import("pyarrow.parquet")
    try:
        return parquet.ParquetFile(path, memory_map=True)
    except optional_import("pyarrow").ArrowException as error:
        raise ValueError(f"{path}: not a file of Parquet: {show([str(error)])}") from error


def _state(path):
    """Return what changes if a file is written."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns, status.st_ino


def _int64(values):
    return optional_import("pyarrow").array(np.asarray(values, dtype=np.int64))


def _combined(column):
    """Return a column as one array, from which rows can be taken."""
    pa = optional_import("pyarrow")
    is_chunked = isinstance(column, pa.ChunkedArray)
    if _is_text(column.type) and (is_chunked or pa.types.is_string_view(column.type)):
        column = column.cast(pa.large_string())  # the bytes of all chunks may exceed 32 bits
    if is_chunked:
        column = column.combine_chunks()
    return column


def _is_text(type):
    pa = optional_import("pyarrow")
    if pa.types.is_dictionary(type):
        type = type.value_type
    return pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type)


def _kind_of(type):
    """Return the kind of a column of a type of Arrow."""
    types = optional_import("pyarrow").types
    if _is_text(type):
        return "text"
    if types.is_integer(type) or types.is_floating(type) or types.is_boolean(type):
        return "numbers"
    if types.is_fixed_size_list(type) and (types.is_integer(type.value_type) or types.is_floating(type.value_type)):
        return "vectors"
    if (types.is_list(type) or types.is_large_list(type)) and types.is_floating(type.value_type):
        return "vectors"
    return "objects"


def _strings(array):
    """Return text or integers as a StringArray that shares the memory of the text; a missing value is empty."""
    pa = optional_import("pyarrow")
    array = array.cast(pa.large_string())
    if array.null_count:
        array = array.fill_null("")
    _, offsets, data = array.buffers()
    buffer = np.frombuffer(data or b"", dtype=np.uint8)
    offsets = np.frombuffer(offsets or bytes(8), dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    return StringArray(buffer[offsets[0] : offsets[-1]], offsets - offsets[0])


def _numbers(array):
    if array.null_count:
        array = array.cast(optional_import("pyarrow").float64())
    return array.to_numpy(zero_copy_only=False)


def _vectors(array):
    if array.null_count:
        raise ValueError(f"{array.null_count} vectors are missing")
    if not len(array):
        return np.empty((0, max(getattr(array.type, "list_size", 0), 0)))
    values = array.flatten()
    lengths = optional_import("pyarrow.compute").list_value_length(array).to_numpy(zero_copy_only=False)
    if lengths.min() != lengths.max():
        raise ValueError(f"expected vectors of one length, got lengths from {lengths.min()} to {lengths.max()}")
    if values.null_count:
        raise ValueError("a vector has missing numbers")
    return values.to_numpy(zero_copy_only=False).reshape(len(array), -1)


def _objects(array):
    return object_array(array.to_pylist())


_READERS = {"text": _strings, "numbers": _numbers, "vectors": _vectors, "objects": _objects}
