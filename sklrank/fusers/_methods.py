"""Functions that combine the values of several lists. The tables of methods are made of them.

``combine(lists, weights, fuser)`` returns a fused score for each entry. ``contribute(lists, weights, fuser)`` returns
the share of each list in that score, shape (n_systems, n_entries). It is None if the score is not a sum. An entry that
no list has may get any score, because it is left out later.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sklrank._kernels._fusion import weighted_median
from sklrank.fusers._lists import Lists


@dataclass(frozen=True)
class Method:
    """Method that combines the values of several lists.

    Parameters
    ----------
    combine : callable
        Function that returns the fused scores.
    contribute : callable, default=None
        Function that returns the shares of the lists. None if there are none.
    """

    combine: Callable
    contribute: Callable | None = None


def weighted_sum(factor=lambda sums, fuser: 1.0, *, plain=False):
    """Add the weighted values of the lists, and multiply the sum by a factor.

    Parameters
    ----------
    factor : callable
        Function of the `Sums` and the fuser that returns one number, or one for each entry. The default returns 1.
    plain : bool, default=False
        Whether to add the values without the weights.

    Returns
    -------
    combine, contribute : callable
    """

    def combine(lists, weights, fuser):
        sums = lists.add(weights, plain=plain)
        return sums.totals * factor(sums, fuser)

    def contribute(lists, weights, fuser):
        times = factor(lists.add(weights, plain=plain), fuser)
        values = lists.filled()
        if not plain:
            values = values * weights[:, np.newaxis]
        return values * times

    return combine, contribute


def extreme(choose):
    """Take the weighted value of one list.

    Parameters
    ----------
    choose : ufunc
        ``np.fmax`` or ``np.fmin``.

    Returns
    -------
    combine, contribute : callable
    """

    def combine(lists, weights, fuser):
        return choose.reduce(lists.filled() * weights[:, np.newaxis], axis=0)

    def contribute(lists, weights, fuser):
        values = lists.filled() * weights[:, np.newaxis]
        chosen = (values == choose.reduce(values, axis=0)) & lists.found
        shares = values / np.maximum(chosen.sum(axis=0), 1)  # lists that have the same value share the score
        return np.select([chosen, ~np.isnan(values)], [shares, 0.0], np.nan)

    return combine, contribute


def mean(forward, backward, *, least):
    """Apply a function to the values, take the weighted mean, and apply the inverse function to it.

    Parameters
    ----------
    forward, backward : callable
        The function and its inverse.
    least : float
        Least value. Lower values are raised to it first.

    Returns
    -------
    combine : callable
    """

    def combine(lists, weights, fuser):
        values, absent = (forward(np.maximum(part, least)) for part in (lists.values, lists.absent))
        sums = Lists(lists.indptr, values, absent).add(weights)
        with np.errstate(divide="ignore", invalid="ignore"):  # for entries that no list has
            return backward(sums.totals / sums.total_weight())

    return combine


def median(lists, weights, fuser):
    """Take the weighted median of the values."""
    fused = np.empty(lists.values.shape[1])
    weighted_median(lists.indptr, lists.values, lists.absent, weights, fused)
    return fused
