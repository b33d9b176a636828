"""Concatenation by NumPy: objects are joined one after the other, not side by side."""

import numpy as np

JOINS = (np.concatenate, np.hstack, np.column_stack, np.dstack)


def one_after_the_other(first, function, parts, axis=0, **options):
    """Return the parts that a function of NumPy joins; raise a ValueError if it would put them side by side.

    Parameters
    ----------
    first : object
        One of the parts.
    function : callable
        One of `JOINS`.
    parts, axis, **options
        Arguments of `function`.

    Returns
    -------
    list
    """
    if function is not np.concatenate or axis != 0:
        raise side_by_side(first)
    if options:
        raise TypeError(f"np.concatenate takes no {', '.join(options)} for {type(first).__name__} objects")
    return list(parts)


def side_by_side(part):
    """Return the error about a part that is put beside others."""
    return ValueError(
        f"{type(part).__name__} objects are joined one after the other, by np.concatenate(parts), and not side by "
        "side, as a FeatureUnion joins arrays. Use RetrieverUnion for retrievers, and Run.union for runs."
    )
