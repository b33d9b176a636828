"""Normalization of scores to a scale that all lists share.

A list holds the documents that one system found for one query. `NORMS` is the table of norms. Norms that are linear in
the score share one kernel, ``(clip(score) - shift) / scale``, with limits, a shift and a scale for each list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from sklrank._kernels._fusion import describe, rescale
from sklrank._ragged import places, sums
from sklrank.data._order import rank
from sklrank.fusers._lists import Lists

_PART = 1 / 16  # shifts and scales are stored in parts, because the range of a list may exceed the largest number


@dataclass(frozen=True)
class Norm:
    """Entry of the table of norms.

    Parameters
    ----------
    normalize : callable
        Function that returns `Lists`. Its arguments are a run, the names of score columns, and for each column the
        least score that its system can give. `Lists.absent` is the value of missing documents: the lowest value of the
        list, but at most 0. In a joint norm it is an equal share of the points that the list does not give away.
    joint : bool, default=False
        Whether the values of a list depend on the documents of the other lists.
    """

    normalize: Callable
    joint: bool = False


def stack_ranks(run, names):
    """Return the ranks in the columns, shape (n_systems, n_entries)."""
    return np.array([run.column_ranks(name) for name in names], dtype=np.float64)


def stack_scores(run, names):
    """Return the scores in the columns, shape (n_systems, n_entries)."""
    return np.array([run.column(name) for name in names], dtype=np.float64)


def _zeros(run, names):
    """Return the value of missing documents for norms without values below 0."""
    return np.zeros((len(names), len(run)))


# --- norms of ranks


def borda_points(indptr, ranks):
    """Compute Borda points: one point for each candidate of the query that is not ranked above the document.

    The candidates that a list lacks share the remaining points of the list equally.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
        Start and end of the entries of each query.
    ranks : ndarray of float64, shape (n_systems, n_entries)
        Ranks. NaN if the system did not find the entry.

    Returns
    -------
    Lists
    """
    n_candidates, lengths = _sizes(indptr, ranks)
    return Lists(indptr, _count_down(indptr, ranks, n_candidates, 1.0), (n_candidates - lengths + 1) / 2)


def _rank(run, names, leasts):
    ranks = stack_ranks(run, names)
    _, lengths = _sizes(run.indptr, ranks)
    sizes = np.maximum(lengths, 1.0)
    return Lists(run.indptr, _count_down(run.indptr, ranks, sizes, sizes), _zeros(run, names))


def _borda(run, names, leasts):
    ranks = stack_ranks(run, names)
    n_candidates, lengths = _sizes(run.indptr, ranks)
    sizes = np.maximum(n_candidates, 1.0)
    values = _count_down(run.indptr, ranks, sizes, sizes)
    return Lists(run.indptr, values, (n_candidates - lengths + 1) / (2 * sizes))


def _sizes(indptr, ranks):
    """Count the candidates of each query, shape (n_queries,), and of each list, shape (n_systems, n_queries)."""
    found = ~np.isnan(ranks)
    counts = [sums(indptr, mask) for mask in [found.any(axis=0), *found]]
    counts = np.array(counts, dtype=np.float64)
    return counts[0], counts[1:]


def _count_down(indptr, ranks, sizes, units):
    """Return ``(size + 1 - rank) / unit``, with a size and a unit for each list."""
    values = np.empty_like(ranks)
    shape = (len(ranks), len(indptr) - 1)
    sizes, units = np.broadcast_to(sizes, shape).copy(), np.broadcast_to(units, shape).copy()
    for list_ranks, size, unit, out in zip(ranks, sizes, units, values):
        no_limit = np.full(len(size), np.inf)
        rescale(indptr, list_ranks, -no_limit, no_limit, (size + 1) * _PART, unit * -_PART, out)
    return values


def _quantile(run, names, leasts):
    values = np.array([_shares(run.indptr, run.rows, scores) for scores in stack_scores(run, names)])
    return Lists(run.indptr, values, _zeros(run, names))


def _shares(indptr, rows, scores):
    """Return for each score the share of the scores in its list that are not higher."""
    order, indptr, ranked = rank(indptr, scores, rows)
    lengths = np.diff(indptr)
    positions = places(indptr)
    # Equal scores have the position of the first of them.
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]) | (positions == 0))
    above = np.repeat(positions[starts], np.diff(starts, append=len(order)))
    values = np.full(len(scores), np.nan)
    values[order] = 1 - above / np.repeat(lengths, lengths)
    return values


# --- linear norms: a function takes the statistics of the lists of a system, and the least score that the system can
# give, and returns lower and upper limit, shift and scale of each list, the last two in parts


class _Statistics(NamedTuple):
    """Statistics of the lists of a system, as `describe` computes them, one number for each list."""

    n: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    norm: np.ndarray


def _stretch(line, run, names, leasts):
    """Normalize by a linear norm."""
    indptr, values = run.indptr, stack_scores(run, names)
    absent = np.empty((len(names), len(run)))
    table = np.empty((len(run), len(_Statistics._fields)))
    for name, scores, lowest, least in zip(names, values, absent, leasts):
        describe(indptr, scores, table)
        statistics = _Statistics(*table.T.copy())
        with np.errstate(all="ignore"):  # for empty lists, and scores near the largest number
            try:
                low, high, shift, scale = line(statistics, least)
            except ValueError as error:
                raise ValueError(f"column {name!r} {error}") from None
            rescale(indptr, scores, low, high, shift, scale, scores)
            lowest[:] = np.minimum((low * _PART - shift) / scale, 0.0)
        lowest[statistics.n == 0] = 0.0
    return Lists(indptr, values, absent)


def _flat_at(value, flat, low, high, shift, scale):
    """Return limits, shift and scale, replaced by those of the constant `value` if the list is flat."""
    constant = value, value, 0.0, _PART
    return tuple(np.where(flat, *pair) for pair in zip(constant, (low, high, shift, scale)))


def _span(low, high):
    """Return the range of each list, in parts, and whether the list is flat."""
    span = high * _PART - low * _PART
    return span, span <= 1e-300


def _min_max(statistics, least):
    span, flat = _span(statistics.low, statistics.high)
    return _flat_at(1.0, flat, statistics.low, statistics.high, statistics.low * _PART, span)


def _sum(statistics, least):
    n, low, high, mean, *_ = statistics
    span, flat = _span(low, high)
    return _flat_at(1 / n, flat, low, high, low * _PART, span * (n * mean))


def _zmuv(statistics, least):
    _, low, high, mean, deviation, _ = statistics
    span, flat = _span(low, high)
    return _flat_at(1.0, flat, low, high, low * _PART + span * mean, span * deviation)


def _dbsf(statistics, least):
    n, low, high, mean, deviation, _ = statistics
    span, flat = _span(low, high)
    deviation = deviation * np.sqrt(n / (n - 1))
    return _flat_at(0.5, flat, low, high, low * _PART + span * (mean - 3 * deviation), span * (6 * deviation))


def _max(statistics, least):
    _, low, high, *_ = statistics
    return _flat_at(1.0, _span(low, high)[1], low, high, 0.0, np.where(high > 0, high, -low) * _PART)


def _l2(statistics, least):
    n, low, high, _, _, norm = statistics
    return _flat_at(np.sqrt(1 / n), norm == 0, low, high, 0.0, np.maximum(high, -low) * _PART * norm)


def _tmm(statistics, least):
    n, low, high, *_ = statistics
    if (low[n > 0] < least).any():
        raise ValueError(
            f"has the score {low[n > 0].min():g}, below {least:g}, its least possible score according to "
            "theoretical_min"
        )
    span, flat = _span(least, high)
    return _flat_at(1.0, flat, low, high, least * _PART, span)


def _none(statistics, least):
    return statistics.low, statistics.high, np.zeros_like(statistics.low), np.full_like(statistics.low, _PART)


def _sigmoid(run, names, leasts):
    lists = _stretch(_none, run, names, leasts)
    return Lists(run.indptr, expit(lists.values, out=lists.values), _zeros(run, names))


NORMS = {
    "min-max": Norm(partial(_stretch, _min_max)),
    "max": Norm(partial(_stretch, _max)),
    "sum": Norm(partial(_stretch, _sum)),
    "zmuv": Norm(partial(_stretch, _zmuv)),
    "dbsf": Norm(partial(_stretch, _dbsf)),
    "tmm": Norm(partial(_stretch, _tmm)),
    "l2": Norm(partial(_stretch, _l2)),
    "sigmoid": Norm(_sigmoid),
    "rank": Norm(_rank),
    "borda": Norm(_borda, joint=True),
    "quantile": Norm(_quantile),
    "none": Norm(partial(_stretch, _none)),
}


def normalize(run, names, norm, leasts=None):
    """Normalize score columns.

    Parameters
    ----------
    run : Run
        Candidates.
    names : sequence of str
        Score columns.
    norm : str
        Name of the norm in `NORMS`.
    leasts : sequence of float, default=None
        Least score that each system can give, for ``norm="tmm"``. If None, it is 0.

    Returns
    -------
    Lists
    """
    if leasts is None:
        leasts = [0.0] * len(names)
    return NORMS[norm].normalize(run, names, leasts)
