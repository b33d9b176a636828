"""Data frames of pandas, polars and pyarrow, all read by narwhals."""

from collections.abc import Mapping
from importlib.util import find_spec

from sklrank._optional import optional_import
from sklrank.data._display import plural


def is_frame(value):
    """Return whether `value` is a data frame, without importing a data-frame library."""
    module = type(value).__module__.partition(".")[0]
    return module in {"pandas", "polars", "pyarrow", "modin", "cudf"} and hasattr(value, "columns")


def is_series(value):
    """Return whether `value` is a pandas or polars Series."""
    module = type(value).__module__.partition(".")[0]
    return module in {"pandas", "polars", "modin", "cudf"} and not is_frame(value) and hasattr(value, "to_list")


def series_ids(series):
    """Return the index of a pandas Series if it holds str, else None.

    An index of integers only tells the original positions of the rows, and a split shuffles it.
    """
    index = getattr(series, "index", None)
    if getattr(index, "inferred_type", None) != "string":
        return None
    return index.tolist()


def as_names(names):
    """Return one name, or several, as a tuple."""
    if isinstance(names, str):
        return (names,)
    return tuple(names)


def as_list(values, what):
    """Return the values of a sequence, one-dimensional array, Series, pyarrow array or iterable as a list.

    Parameters
    ----------
    values : iterable
    what : str
        Word for one of them in error messages, such as "document id".

    Returns
    -------
    list

    Raises
    ------
    TypeError
        If `values` is one str, has no order, such as a set, or is not iterable.
    """
    if isinstance(values, list):
        return values
    if isinstance(values, (str, bytes)):
        raise TypeError(f"got one {what}, {values!r:.80}; expected a list, even of one: [{values!r:.80}]")
    if isinstance(values, (set, frozenset, Mapping)) or getattr(values, "ndim", 1) != 1:
        raise TypeError(f"expected a list of {plural(what)}, got {values!r:.80} of type {type(values).__name__}")
    for name in ("tolist", "to_list", "to_pylist"):  # of NumPy, polars and pyarrow
        if hasattr(values, name):
            return getattr(values, name)()
    try:
        return list(values)
    except TypeError:
        raise TypeError(
            f"expected a list of {plural(what)}, got {values!r:.80} of type {type(values).__name__}"
        ) from None


def frame_columns(frame):
    """Return a dict from the name of each column to a list of Python values, with None for missing values."""
    check_column_names(getattr(frame, "column_names", frame.columns))  # pyarrow's `columns` are the arrays
    nw = optional_import("narwhals")
    frame = nw.from_native(frame, eager_only=True)
    return {name: _values(frame[name]) for name in frame.columns}


def check_column_names(names):
    """Raise an error that shows the first name that is not a str or occurs twice."""
    seen = set()
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"names of columns are str, got {name!r} of type {type(name).__name__}; set them by "
                "frame.columns = [...]"
            )
        if name in seen:
            raise ValueError(f"two columns have the name {name!r}")
        seen.add(name)


def _values(series):
    values = series.to_list()
    if series.null_count():
        values = [None if missing else value for value, missing in zip(values, series.is_null().to_list())]
    return values


def frame_like(columns, backend=None):
    """Return a frame of `columns` (name → list or array), of pandas if it is installed, else of polars."""
    if backend not in (None, "pandas", "polars"):
        raise ValueError(f"got backend={backend!r}; expected 'pandas', 'polars', or None for the one that is installed")
    nw = optional_import("narwhals")
    if backend is None and find_spec("pandas"):
        backend = "pandas"
    backend = backend or "polars"
    optional_import(backend)
    return nw.from_dict(columns, backend=backend).to_native()


def pick_column(columns, given, names, what):
    """Return the name of the column that holds `what`: `given`, or the first of `names` that exists.

    Raises
    ------
    ValueError
        If it is missing. The message lists the columns and names the parameter that sets one.
    """
    if given is not None:
        if given not in columns:
            raise ValueError(f"the frame has no column {given!r}; its columns are {list(columns)}")
        return given
    for name in names:
        if name in columns:
            return name
    raise ValueError(
        f"no column for the {what}: expected one of {list(names)} among {list(columns)}; or name it by {what}="
    )
