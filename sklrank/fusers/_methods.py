"""Ways to combine the values of several lists, from which the tables of methods are made.

``combine(lists, weights, fuser)`` gives a fused score to each entry, and ``contribute(lists, weights, fuser)`` the part
of it that each list adds, shape (n_systems, n_entries). A method whose score is not a sum has ``None`` for the latter.
Entries that no list has found may get any score: they are left out afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sklrank._kernels._fusion import weighted_median
from sklrank.fusers._lists import Lists


@dataclass(frozen=True)
class Method:
    """How the values of several lists are combined.

    Parameters
    ----------
    combine : callable
    contribute : callable, default=None
    """

    combine: Callable
    contribute: Callable | None = None


def weighted_sum(factor=lambda sums, fuser: 1.0, *, plain=False):
    """Add the weighted values of the lists, and multiply the sum by a factor.

    Parameters
    ----------
    factor : callable
        Takes the `Sums` and the fuser, and gives a number, or one for each entry; by default 1.
    plain : bool, default=False
        Whether to add the values without their weights.

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
    """Take the weighted mean of functions of the values, and the inverse function of that.

    Parameters
    ----------
    forward, backward : callable
        The function and its inverse.
    least : float
        Values are raised to this before.

    Returns
    -------
    combine : callable
    """

    def combine(lists, weights, fuser):
        values, absent = (forward(np.maximum(part, least)) for part in (lists.values, lists.absent))
        sums = Lists(lists.indptr, values, absent).add(weights)
        with np.errstate(divide="ignore", invalid="ignore"):  # of entries that no list has found
            return backward(sums.totals / sums.total_weight())

    return combine


def median(lists, weights, fuser):
    """Take the weighted median of the values."""
    fused = np.empty(lists.values.shape[1])
    weighted_median(lists.indptr, lists.values, lists.absent, weights, fused)
    return fused
