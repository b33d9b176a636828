"""Named columns and ids: shared code of `Corpus` and `Queries`."""

import html
from collections.abc import Mapping, Sized

import numpy as np
from scipy import sparse

from sklrank.data._display import plural, printable, snippet
from sklrank.data._frames import as_list, check_column_names, frame_columns, is_frame, is_series, series_ids
from sklrank.data._ids import Ids, object_array, show
from sklrank.data._kinds import n_rows
from sklrank.data._lazy import ColumnSource
from sklrank.data._stored import TableSource
from sklrank.data._strings import StringArray
from sklrank.data._tokens import TokenVectors

VECTOR = "vector"  # name of the column of a table that was made from a matrix
N_SHOWN = 5  # rows that a notebook shows


def as_table(data, ids, what, id_names, objects=frozenset()):
    """Return columns and ids of documents or queries in any supported format.

    Parameters
    ----------
    data : list of str, dict, list of dict, DataFrame, Series, StringArray or matrix
        Documents or queries.
    ids : sequence or None
        Their ids, if `data` does not contain them.
    what : str
        Word for one of them in error messages, such as "document".
    id_names : tuple of str
        Names that the column of ids may have.
    objects : set of str, default=frozenset()
        Names of columns that hold objects, whatever these are.

    Returns
    -------
    columns : dict of str to column
    ids : Ids
    """
    columns, found = _split(data, what, id_names, objects)
    if ids is not None and found is not None:
        raise ValueError(f"got ids= and {plural(what)} that contain ids; give them once")
    if ids is None:
        ids = found
    lengths = {name: n_rows(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of unequal lengths: {lengths}")
    if not lengths and ids is None:
        raise ValueError(f"the {plural(what)} have no columns")
    n = max(lengths.values(), default=None)
    if n is None:
        n = len(ids)
    return columns, Ids.of(ids, n, what)


def _split(data, what, id_names, objects):
    if isinstance(data, StringArray):
        return {"text": data}, None
    if isinstance(data, TokenVectors):
        return {VECTOR: data}, None
    if isinstance(data, TableSource):
        return data.columns(), data.ids
    if isinstance(data, str):
        raise TypeError(f"expected a list of str, even of one {what}, got a str: [{snippet(data, 40)!r}]")
    if is_frame(data):
        return _columns(frame_columns(data), what, id_names, objects)
    if isinstance(data, Mapping):
        values = list(data.values())
        if all(isinstance(value, Mapping) for value in values) and values:
            return _keyed_columns(_transpose(values), list(data), what, id_names[0], objects)
        return {"text": _column(values, what, "text")}, list(data)
    if sparse.issparse(data):
        return {VECTOR: as_csr(data)}, None
    if isinstance(data, np.ndarray) and data.ndim == 2 or hasattr(data, "__array_namespace__") and data.ndim == 2:
        return {VECTOR: _frozen(data)}, None
    values = as_list(data, what)
    index = series_ids(data)
    if values and all(isinstance(value, Mapping) for value in values):
        if index is not None:
            return _keyed_columns(_transpose(values), index, what, id_names[0], objects)
        return _columns(_transpose(values), what, id_names, objects)
    if values and all(isinstance(value, (list, tuple, np.ndarray)) for value in values):
        return {VECTOR: _rows(values, what)}, index
    if is_series(data):
        return {"text": _column(values, what, "text")}, index
    return {"text": StringArray.from_strings(values, what=what)}, None


def _rows(values, what):
    """Return vectors of numbers as a matrix, and matrices as TokenVectors."""
    if all(map(_is_nested, values)):
        return TokenVectors.from_list(values)
    shapes = set(map(_shape, values))
    if len(shapes) > 1:
        raise ValueError(f"expected vectors of one length, got {plural(what)} with the shapes {show(sorted(shapes))}")
    return _frozen(np.asarray(values))


def _is_nested(values):
    """Return whether a list or an array is a matrix."""
    if isinstance(values, np.ndarray):
        return values.ndim == 2
    return len(values) > 0 and isinstance(values[0], (list, tuple, np.ndarray))


def _shape(values):
    if isinstance(values, np.ndarray):
        return values.shape
    return (len(values),)


def _transpose(records):
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def _keyed_columns(columns, ids, what, id_name, objects):
    """Return columns as arrays, and ids that are known already, such as the keys of a dict."""
    check_column_names(columns)
    if columns.pop(id_name, ids) != ids:
        raise ValueError(
            f"the {plural(what)} have ids already, and different ones in the column {id_name!r}, a name for ids only"
        )
    return {name: _column(values, what, name, name in objects) for name, values in columns.items()}, ids


def _columns(columns, what, id_names, objects):
    """Return columns as arrays, without the column of ids, and the ids."""
    check_column_names(columns)
    key = next((name for name in id_names if name in columns), None)
    ids = columns.pop(key, None)
    if ids is not None and None in ids:
        raise ValueError(f"{what} {ids.index(None)} has no {key!r}, and others have one")
    return {name: _column(values, what, name, name in objects) for name, values in columns.items()}, ids


def _column(values, what, name, is_objects=False):
    """Text as a StringArray (missing text is empty), numbers and vectors as an array (missing is NaN), else objects."""
    kinds = set(map(type, values))
    if any(issubclass(kind, np.generic) for kind in kinds):
        values = list(map(_python_value, values))
        kinds = set(map(type, values))
    if not (kinds <= {str, type(None)} or kinds <= {int, float, bool, type(None)}):
        values = [None if _is_missing(value) else value for value in values]
        kinds = set(map(type, values))
    if is_objects:
        return _frozen(object_array(values))
    missing = type(None) in kinds
    kinds.discard(type(None))
    if name in ("text", "title") or kinds and kinds <= {str}:
        return StringArray.from_strings(_filled(values, missing, ""), what=f"{name!r} of {what}")
    if kinds <= {int, float, bool} and kinds:
        return _frozen(np.array(_filled(values, missing, np.nan)))
    if kinds and kinds <= {list, np.ndarray} and not missing:
        vectors = _vectors(values)
        if vectors is not None:
            return vectors
    return _frozen(object_array(values))


def _python_value(value):
    """Return a number or a bool of NumPy as one of Python."""
    if isinstance(value, (np.number, np.bool_)):
        return value.item()
    return value


def _filled(values, missing, filler):
    """Return the values, with `filler` instead of None if any is missing."""
    if not missing:
        return values
    return [filler if value is None else value for value in values]


def _is_missing(value):
    """Return whether a value means that data are missing: None, NaN, NaT or NA."""
    if value is None or isinstance(value, Sized):
        return value is None
    try:
        return not value == value  # NaN and NaT do not equal themselves
    except TypeError:  # the comparison of NA has no truth value
        return True


def _vectors(values):
    """Return vectors as one matrix, and matrices as TokenVectors; None if the values are neither."""
    arrays = list(map(np.asarray, values))
    if {array.dtype.kind for array in arrays} <= set("iuf") and len({array.shape[1:] for array in arrays}) == 1:
        if {array.ndim for array in arrays} == {2}:
            return TokenVectors.from_list(arrays)
        if len({array.shape for array in arrays}) == 1 and arrays[0].ndim == 1:
            return _frozen(np.stack(arrays))
    return None


def as_column(values, what, name):
    """Return one additional column, given as an array, a matrix or a list of values."""
    if isinstance(values, (StringArray, TokenVectors, ColumnSource)):
        return values
    if sparse.issparse(values):
        return as_csr(values)
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf" and values.ndim in (1, 2):
        if name not in ("text", "title"):
            return _frozen(values)
    return _column(as_list(values, f"{name!r} of {what}"), what, name)


def as_csr(matrix):
    """Check a sparse matrix and return it as CSR; the argument is not modified."""
    from sklrank._validation import check_sparse  # imports scikit-learn, not needed otherwise

    return check_sparse(matrix).tocsr()


def _frozen(array):
    """Return a read-only view, because columns are shared."""
    if isinstance(array, np.ndarray):
        array = array.view()
        array.flags.writeable = False
    return array


def holds_vectors(column):
    """Return whether a column has a vector, or a matrix of token vectors, for each row."""
    return isinstance(column, TokenVectors) or getattr(column, "ndim", 1) == 2


def plain_columns(columns):
    """Return the columns without the flags that scipy adds to a used matrix, so that equal content has equal state."""
    return {name: _without_flags(column) for name, column in columns.items()}


def _without_flags(column):
    if not sparse.issparse(column):
        return column
    return type(column)((column.data, column.indices, column.indptr), shape=column.shape, copy=False)


def table_lists(columns):
    """Return a dict from the name of each column to a list of Python values; a vector is a list of numbers."""
    dense = {name: column.toarray() for name, column in columns.items() if sparse.issparse(column)}
    return {name: column.tolist() for name, column in {**columns, **dense}.items()}


def table_dict(columns, ids):
    """Return a dict from id to text if there is no other column, else from id to a dict of columns."""
    lists = table_lists(columns)
    if list(lists) == ["text"]:
        return dict(zip(ids, lists["text"]))
    return {key: dict(zip(lists, values)) for key, *values in zip(ids, *lists.values())}


def table_html(table, id_name, columns, ids, n_shown=N_SHOWN, width=120):
    """Return the first rows of a table as HTML, for a notebook."""

    def cell(value):
        return html.escape(snippet(str(value), width))

    shown = {name: column for name, column in columns.items() if getattr(column, "ndim", 1) == 1}
    names = "".join(f"<th>{html.escape(printable(name))}</th>" for name in (id_name, *shown))
    rows = "".join(
        "<tr>" + "".join(f"<td>{cell(value)}</td>" for value in (ids[i], *(c[i] for c in shown.values()))) + "</tr>"
        for i in range(min(len(table), n_shown))
    )
    text = f"<p>{html.escape(repr(table))}</p><table><tr>{names}</tr>{rows}</table>"
    if len(table) > n_shown:
        text += f"<p>… {len(table) - n_shown} more</p>"
    return text
