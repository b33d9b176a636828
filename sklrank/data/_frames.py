"""The one seam to data frames: narwhals, so that pandas, polars and pyarrow are alike."""

from collections.abc import Mapping
from importlib.util import find_spec

from sklrank._optional import optional_import
from sklrank.data._display import plural


def is_frame(value):
    """Whether `value` is a data frame, told without importing any data-frame library."""
    module = type(value).__module__.partition(".")[0]
    return module in {"pandas", "polars", "pyarrow", "modin", "cudf"} and hasattr(value, "columns")


def is_series(value):
    """Whether `value` is a pandas or polars Series."""
    module = type(value).__module__.partition(".")[0]
    return module in {"pandas", "polars", "modin", "cudf"} and not is_frame(value) and hasattr(value, "to_list")


def series_ids(series):
    """Index of a pandas Series if it holds str; else None.

    An index of integers tells where the rows once stood, and a split shuffles it.
    """
    index = getattr(series, "index", None)
    return index.tolist() if getattr(index, "inferred_type", None) == "string" else None


def as_list(values, what):
    """A list of what a sequence, one-dimensional array, Series, pyarrow array or iterable holds.

    Parameters
    ----------
    values : iterable
    what : str
        What one of them is called in error messages, such as "document id".

    Returns
    -------
    list

    Raises
    ------
    TypeError
        If `values` is one str, has no order, as a set, or is not a list at all.
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
    """Name → list of Python values, for each column of a data frame; what is missing is None."""
    check_column_names(getattr(frame, "column_names", frame.columns))  # pyarrow's `columns` are the arrays
    nw = optional_import("narwhals")
    frame = nw.from_native(frame, eager_only=True)
    return {name: _values(frame[name]) for name in frame.columns}


def check_column_names(names):
    """Raise an error that shows the first name that is not a str, or stands twice."""
    seen = set()
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"names of columns are str, got {name!r} of type {type(name).__name__}; a frame takes them as "
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
    """A data frame of `columns` (name → list or array), of pandas where it is installed, else of polars."""
    if backend not in (None, "pandas", "polars"):
        raise ValueError(f"backend={backend!r}; it is 'pandas' or 'polars', or None for the one that is installed")
    nw = optional_import("narwhals")
    backend = backend or ("pandas" if find_spec("pandas") else "polars")
    optional_import(backend)
    return nw.from_dict(columns, backend=backend).to_native()


def pick_column(columns, given, names, what):
    """Name of the column that holds `what`: the one given, else the first of `names` that is there.

    Raises
    ------
    ValueError
        If there is none; the message lists the columns and the parameter that names one.
    """
    if given is not None:
        if given not in columns:
            raise ValueError(f"the frame has no column {given!r}; its columns are {list(columns)}")
        return given
    for name in names:
        if name in columns:
            return name
    raise ValueError(
        f"no column for the {what}: the columns are {list(columns)}, looked for {list(names)}; name it with {what}="
    )
