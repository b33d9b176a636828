"""Named columns and ids: what a corpus and queries have in common."""

import html
from collections.abc import Mapping, Sized

import numpy as np
from scipy import sparse

from sklrank.data._display import plural, printable, snippet
from sklrank.data._frames import as_list, check_column_names, frame_columns, is_frame, is_series, series_ids
from sklrank.data._ids import Ids, object_array, show
from sklrank.data._strings import StringArray
from sklrank.data._tokens import TokenVectors

VECTOR = "vector"  # name of the column of a table that was made from a matrix


def as_table(data, ids, what, id_names):
    """Columns and ids of whatever users hold documents or queries in.

    Parameters
    ----------
    data : list of str, dict, list of dict, DataFrame, Series, StringArray or matrix
        The things.
    ids : sequence or None
        Their ids, where `data` does not hold them.
    what : str
        What one of them is called in error messages.
    id_names : tuple of str
        Names that the column of ids may have.

    Returns
    -------
    columns : dict of str to column
    ids : Ids
    """
    columns, found = _split(data, what, id_names)
    if ids is not None and found is not None:
        raise ValueError(f"ids= was given, but the {plural(what)} bring their own; give them once")
    ids = found if ids is None else ids
    n = {name: column.shape[0] if hasattr(column, "shape") else len(column) for name, column in columns.items()}
    if len(set(n.values())) > 1:
        raise ValueError(f"columns of unequal lengths: {n}")
    if not n and ids is None:
        raise ValueError(f"the {plural(what)} have no columns")
    count = next(iter(n.values())) if n else len(ids)
    return columns, Ids.of(ids, count, what)


def _split(data, what, id_names):
    if isinstance(data, StringArray):
        return {"text": data}, None
    if isinstance(data, TokenVectors):
        return {VECTOR: data}, None
    if isinstance(data, str):
        shown = data if len(data) <= 40 else f"{data[:39]}…"
        raise TypeError(f"got one str; {plural(what)} come as a list of str, even when there is one: [{shown!r}]")
    if is_frame(data):
        return _columns(frame_columns(data), what, id_names)
    if isinstance(data, Mapping):
        values = list(data.values())
        if all(isinstance(value, Mapping) for value in values) and values:
            return _keyed_columns(_transpose(values), list(data), what, id_names[0])
        return {"text": _column(values, what, "text")}, list(data)
    if sparse.issparse(data):
        return {VECTOR: as_csr(data)}, None
    if isinstance(data, np.ndarray) and data.ndim == 2 or hasattr(data, "__array_namespace__") and data.ndim == 2:
        return {VECTOR: _frozen(data)}, None
    values = as_list(data, what)
    index = series_ids(data) if is_series(data) else None
    if values and all(isinstance(value, Mapping) for value in values):
        if index is not None:
            return _keyed_columns(_transpose(values), index, what, id_names[0])
        return _columns(_transpose(values), what, id_names)
    if values and all(isinstance(value, (list, tuple, np.ndarray)) for value in values):
        return {VECTOR: _rows(values, what)}, index
    if is_series(data):
        return {"text": _column(values, what, "text")}, index
    return {"text": StringArray.from_strings(values, what=what)}, None


def _rows(values, what):
    """Vectors of numbers as a matrix, matrices as TokenVectors."""
    if all(value.ndim == 2 if isinstance(value, np.ndarray) else _is_nested(value) for value in values):
        return TokenVectors.from_list(values)
    widths = {np.shape(value) if isinstance(value, np.ndarray) else (len(value),) for value in values}
    if len(widths) > 1:
        raise ValueError(f"vectors have one length; those of the {plural(what)} have the shapes {show(sorted(widths))}")
    return _frozen(np.asarray(values))


def _is_nested(values):
    return len(values) > 0 and isinstance(values[0], (list, tuple, np.ndarray))


def _transpose(records):
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def _keyed_columns(columns, ids, what, id_name):
    """Make arrays of columns of things that have ids already, such as the keys of a dict."""
    check_column_names(columns)
    if columns.pop(id_name, ids) != ids:
        raise ValueError(
            f"the {plural(what)} have ids already, and others in the column {id_name!r}; that name is kept for ids"
        )
    return {name: _column(values, what, name) for name, values in columns.items()}, ids


def _columns(columns, what, id_names):
    """Take the ids out of `columns`, and make arrays of the others."""
    check_column_names(columns)
    key = next((name for name in id_names if name in columns), None)
    ids = columns.pop(key) if key is not None else None
    if ids is not None and None in ids:
        raise ValueError(f"{what} {ids.index(None)} has no {key!r}, and others have one")
    return {name: _column(values, what, name) for name, values in columns.items()}, ids


def _column(values, what, name):
    """Text as a StringArray (missing text is empty), numbers and vectors as an array (missing is NaN), else objects."""
    kinds = set(map(type, values))
    if any(issubclass(kind, np.generic) for kind in kinds):
        values = [value.item() if isinstance(value, (np.number, np.bool_)) else value for value in values]
        kinds = set(map(type, values))
    if not (kinds <= {str, type(None)} or kinds <= {int, float, bool, type(None)}):
        values = [None if _is_missing(value) else value for value in values]
        kinds = set(map(type, values))
    missing = type(None) in kinds
    kinds.discard(type(None))
    if name in ("text", "title") or kinds and kinds <= {str}:
        texts = ["" if value is None else value for value in values] if missing else values
        return StringArray.from_strings(texts, what=f"{name!r} of {what}")
    if kinds <= {int, float, bool} and kinds:
        return _frozen(np.array([np.nan if value is None else value for value in values] if missing else values))
    if kinds and kinds <= {list, np.ndarray} and not missing:
        vectors = _vectors(values)
        if vectors is not None:
            return vectors
    return _frozen(object_array(values))


def _is_missing(value):
    """Whether a value marks what is missing: None, NaN, NaT or NA."""
    if value is None or isinstance(value, Sized):
        return value is None
    try:
        return not value == value  # NaN and NaT do not equal themselves
    except TypeError:  # of NA that cannot be told
        return True


def _vectors(values):
    """A column of vectors as one matrix, one of matrices as TokenVectors; None where the values are neither."""
    arrays = list(map(np.asarray, values))
    if {array.dtype.kind for array in arrays} <= set("iuf") and len({array.shape[1:] for array in arrays}) == 1:
        if {array.ndim for array in arrays} == {2}:
            return TokenVectors.from_list(arrays)
        if len({array.shape for array in arrays}) == 1 and arrays[0].ndim == 1:
            return _frozen(np.stack(arrays))
    return None


def as_column(values, what, name):
    """One further column, given whole: an array, a matrix, or whatever a list of values makes."""
    if isinstance(values, (StringArray, TokenVectors)):
        return values
    if sparse.issparse(values):
        return as_csr(values)
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf" and values.ndim in (1, 2):
        if name not in ("text", "title"):
            return _frozen(values)
    return _column(as_list(values, f"{name!r} of {what}"), what, name)


def as_csr(matrix):
    """A sparse matrix, checked, as CSR; the one given stays as it is."""
    from sklrank._validation import check_sparse  # imports scikit-learn, which data do without otherwise

    return check_sparse(matrix).tocsr()


def _frozen(array):
    """A read-only view: what is shared must not change under anybody's hands."""
    if isinstance(array, np.ndarray):
        array = array.view()
        array.flags.writeable = False
    return array


def holds_vectors(column):
    """Whether a column has a vector, or a matrix of token vectors, for each row."""
    return isinstance(column, TokenVectors) or getattr(column, "ndim", 1) == 2


def plain_columns(columns):
    """The columns without what scipy notes on a matrix when it is used: equal content is equal state."""
    return {
        name: type(column)((column.data, column.indices, column.indptr), shape=column.shape, copy=False)
        if sparse.issparse(column)
        else column
        for name, column in columns.items()
    }


def table_lists(columns):
    """Name → list of Python values, for each column; a vector is a list of numbers."""
    return {
        name: (column.toarray() if sparse.issparse(column) else column).tolist() for name, column in columns.items()
    }


def table_dict(columns, ids):
    """Id → text where text is all there is, else id → dict of columns."""
    lists = table_lists(columns)
    if list(lists) == ["text"]:
        return dict(zip(ids, lists["text"]))
    return {key: dict(zip(lists, values)) for key, *values in zip(ids, *lists.values())}


def table_html(table, id_name, columns, ids, n_rows=5, width=120):
    """The first rows of a table, for a notebook."""

    def cell(value):
        return html.escape(snippet(str(value), width))

    shown = {name: column for name, column in columns.items() if getattr(column, "ndim", 1) == 1}
    names = "".join(f"<th>{html.escape(printable(name))}</th>" for name in (id_name, *shown))
    rows = "".join(
        "<tr>" + "".join(f"<td>{cell(value)}</td>" for value in (ids[i], *(c[i] for c in shown.values()))) + "</tr>"
        for i in range(min(len(table), n_rows))
    )
    more = f"<p>… {len(table) - n_rows} more</p>" if len(table) > n_rows else ""
    return f"<p>{html.escape(repr(table))}</p><table><tr>{names}</tr>{rows}</table>{more}"
