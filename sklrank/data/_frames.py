"""The one seam to data frames: narwhals, so that pandas, polars and pyarrow are alike."""

from importlib.util import find_spec

from sklrank._optional import optional_import


def is_frame(value):
    """Whether `value` is a data frame, told without importing any data-frame library."""
    module = type(value).__module__.partition(".")[0]
    return module in {"pandas", "polars", "pyarrow", "modin", "cudf"} and hasattr(value, "columns")


def is_series(value):
    """Whether `value` is a pandas or polars Series."""
    module = type(value).__module__.partition(".")[0]
    return module in {"pandas", "polars", "modin", "cudf"} and not is_frame(value) and hasattr(value, "to_list")


def frame_columns(frame):
    """Name → list of Python values, for each column of a data frame; what is missing is None."""
    nw = optional_import("narwhals")
    frame = nw.from_native(frame, eager_only=True)
    return {name: _values(frame[name]) for name in frame.columns}


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
