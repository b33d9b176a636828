"""Documents in a table of a database."""

import sys
from contextlib import closing, contextmanager
from numbers import Integral

import numpy as np

from sklrank.data._frames import as_names
from sklrank.data._ids import as_id_list, object_array, show
from sklrank.data._kinds import kind_of, missing_values
from sklrank.data._stored import BATCH, TableSource, changed
from sklrank.data._strings import StringArray
from sklrank.data._table import as_column

_N_IDS = 500  # ids in one statement; SQLite before 3.32 takes at most 999
_N_FIRST = 1000  # documents that tell what the columns hold
_MARKS = {"qmark": "?", "format": "%s", "pyformat": "%s"}
_FETCHING_ALL = {"psycopg", "psycopg2"}  # packages whose cursors fetch all rows at once, unless they have a name


class SQLSource(TableSource):
    """Read documents from a table of a database, such as SQLite, Postgres or DuckDB, when they are needed.

    ``Corpus(SQLSource(...))`` is a corpus of these documents, which holds only their ids. To index its texts, they are
    read once, batch by batch, and are not kept. To show documents, only these are read, by their ids.

    Parameters
    ----------
    connect : callable
        Function without arguments that returns a new connection of Python's database interface (DB-API 2.0), such as
        ``partial(sqlite3.connect, "documents.db")``. A connection is opened for each reading, in the thread that
        reads, and closed afterwards; a pool may keep it.
    table : str or tuple of str
        Name of a table or a view, or of its schema and itself: ``("public", "documents")``.
    docid : str, default=None
        Name of the column of ids, of str or int. If None, the first of ``"docid"``, ``"_id"``, ``"id"``, ``"docno"``
        and ``"doc_id"`` that exists. It should have an index.
    columns : sequence of str, default=None
        Names of the columns of the corpus. If None, all except the ids.

    Attributes
    ----------
    connect : callable or None
        The function. ``sklrank.load`` returns a source without it; set it before documents are read.
    ids : Ids
        Ids of the documents, in the order that the database gives them by ``ORDER BY``.
    kinds : dict of str to str
        What each column holds, as the first 1000 documents tell.

    See Also
    --------
    ArrowSource : Read documents from tables of Arrow and files of Parquet.

    Notes
    -----
    A missing text is an empty text, a missing number NaN. A document that has another text later is shown with that
    text. If documents have come or gone when all texts are read, or a document that is to be shown is gone, a
    ValueError says so.

    Examples
    --------
    >>> import pathlib, sqlite3, tempfile
    >>> from contextlib import closing
    >>> from functools import partial
    >>> from sklrank import Corpus
    >>> from sklrank.data import SQLSource
    >>> from sklrank.retrievers import BM25Retriever
    >>> folder = tempfile.TemporaryDirectory()
    >>> connect = partial(sqlite3.connect, pathlib.Path(folder.name, "documents.db"))
    >>> with closing(connect()) as connection, connection:
    ...     _ = connection.execute("CREATE TABLE documents (id TEXT PRIMARY KEY, text TEXT)")
    ...     _ = connection.execute("INSERT INTO documents VALUES ('a', 'heat flows'), ('b', 'cold rests')")
    >>> corpus = Corpus(SQLSource(connect, "documents"))
    >>> corpus
    <Corpus: 2 documents, columns text>
    >>> BM25Retriever(corpus).fit(None).predict(["heat"]).to_records(fields="text")
    [{'qid': '0', 'rank': 1, 'docid': 'a', 'score': ..., 'text': 'heat flows'}]
    >>> folder.cleanup()
    """

    def __init__(self, connect, table, *, docid=None, columns=None):
        if not callable(connect):
            raise TypeError(
                "connect= is a function that opens a connection, such as partial(sqlite3.connect, path), since each "
                f"thread and process needs its own; got {type(connect).__name__}"
            )
        self.connect, self._table = connect, as_names(table)
        with self._executed(f"SELECT * FROM {_quoted(self._table)} WHERE 1 = 0") as cursor:
            found = [column[0] for column in cursor.description]
        names = self._set_names(found, docid, columns)
        with self._executed(self._select(names) + self._in_order(), streams=True) as cursor:
            _, first = _transposed(cursor.fetchmany(_N_FIRST), names)
        self.kinds = {name: kind_of(as_column(values, "document", name)) for name, values in first.items()}
        self._has_int_ids = None
        self._set_ids(self._checked_ids(ids) for ids, _ in self._fetched(()))

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
        start = 0
        for ids, columns in self._fetched(names):
            stop = start + len(ids)
            self._check_same(list(map(str, ids)), start)
            yield {name: self._column(name, values) for name, values in columns.items()}
            start = stop
        if start != len(self.ids):
            raise changed(self, f"it had {len(self.ids)} documents, and has {start}")

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
        ids = self.ids.take(rows).tolist()
        distinct = list(dict.fromkeys(ids))
        values = {}
        for start in range(0, len(distinct), _N_IDS):
            values.update(self._values(name, distinct[start : start + _N_IDS]))
        gone = [docid for docid in distinct if docid not in values]
        if gone:
            raise changed(self, f"{len(gone)} documents that are asked for are gone: {show(gone)}")
        return self._column(name, [values[docid] for docid in ids])

    def _values(self, name, ids):
        """Return pairs of an id and its value in a column."""
        if self._has_int_ids:
            ids = list(map(int, ids))
        with self._executed(f"{self._select([name])} WHERE {_quoted([self.docid])} IN ", ids) as cursor:
            return [(str(docid), value) for docid, value in cursor.fetchall()]

    def _fetched(self, names):
        """Yield the ids, and a dict from name to list of values, of each batch of the table, in order."""
        with self._executed(self._select(names) + self._in_order(), streams=True) as cursor:
            while rows := cursor.fetchmany(BATCH):
                yield _transposed(rows, names)

    def _select(self, names):
        columns = ", ".join(_quoted([name]) for name in (self.docid, *names))
        return f"SELECT {columns} FROM {_quoted(self._table)}"

    def _in_order(self):
        return f" ORDER BY {_quoted([self.docid])}"

    @contextmanager
    def _executed(self, statement, values=(), streams=False):
        """Execute a statement, which ends in a list of values if there are any; give the cursor."""
        if self.connect is None:
            raise ValueError(
                f"{self} was loaded and cannot connect: set corpus.source(name).connect to a function that opens a "
                "connection"
            )
        with closing(self.connect()) as connection:
            options = {}
            if streams and _modules(connection)[-1] in _FETCHING_ALL:
                options["name"] = "sklrank"  # a cursor on the server
            with closing(connection.cursor(**options)) as cursor:
                if values:
                    marks = _marks(connection, len(values))
                    if "%" in marks:
                        statement = statement.replace("%", "%%")
                    cursor.execute(f"{statement}({marks})", values)
                else:
                    cursor.execute(statement)
                yield cursor

    def _checked_ids(self, ids):
        if None in ids:
            raise ValueError(f"{ids.count(None)} ids are NULL")
        has_int = {isinstance(docid, Integral) for docid in ids} | {self._has_int_ids} - {None}
        if len(has_int) > 1:
            raise TypeError("some ids are text and some are numbers; expected one of both")
        (self._has_int_ids,) = has_int
        return StringArray.from_strings(as_id_list(ids, "document"))

    def _check_same(self, ids, start):
        """Raise an error if the documents from `start` on have other ids."""
        expected = self.ids.take(np.arange(start, min(start + len(ids), len(self.ids)))).tolist()
        if ids != expected:
            i = next((i for i, pair in enumerate(zip(ids, expected)) if pair[0] != pair[1]), len(expected))
            found, old = ids[i], "the end"
            if i < len(expected):
                old = repr(expected[i])
            raise changed(self, f"it has {found!r} where it had {old}")

    def _column(self, name, values):
        kind = self.kinds[name]
        if kind == "objects":
            return object_array(values)
        column = as_column(values, "document", name)
        if kind_of(column) == kind:
            return column
        if all(value is None for value in values):
            return missing_values(kind, name, len(values))
        raise ValueError(
            f"column {name!r} of {self} holds {kind} in the first documents, and {kind_of(column)} in others: make a "
            "view that converts them"
        )

    def __repr__(self):
        return f"SQLSource(table {'.'.join(self._table)!r})"


def _transposed(rows, names):
    """Return the first values of rows, and a dict from name to list of the other values."""
    ids, *columns = map(list, zip(*rows)) if rows else [[] for _ in range(len(names) + 1)]
    return ids, dict(zip(names, columns))


def _quoted(names):
    """Return names of a schema, a table or a column as an identifier, whatever they contain."""
    return ".".join('"{}"'.format(name.replace('"', '""')) for name in names)


def _modules(connection):
    """Return the names of the module of a connection, and of the packages around it, from the inside out."""
    connection = getattr(connection, "driver_connection", connection)  # a pool of SQLAlchemy wraps it
    names = type(connection).__module__.split(".")
    return [".".join(names[:i]) for i in range(len(names), 0, -1)]


def _marks(connection, n):
    """Return the placeholders of `n` values, in the style that the package of the connection declares."""
    names = _modules(connection)
    if names[-1].startswith("adbc_driver_"):  # it declares the one of DB-API, and hands statements to the database
        return ", ".join(f"${i + 1}" for i in range(n))
    modules = [sys.modules[name] for name in names if name in sys.modules]
    style = next((module.paramstyle for module in modules if hasattr(module, "paramstyle")), None)
    if style not in _MARKS:
        raise ValueError(f"the connection has the parameter style {style!r}; expected one of {sorted(_MARKS)}")
    return ", ".join([_MARKS[style]] * n)
