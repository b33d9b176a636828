"""Normalization: the scores of each list brought to a scale that lists can share.

A list is what one system found for one query. `NORMS` is the table of norms. Those that are a line of the score go
through one kernel, ``(clip(score) - shift) / scale``, with bounds, shift and scale for each list.
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

_PART = 1 / 16  # shifts and scales are held in parts: the range of a list may be more than the largest number


@dataclass(frozen=True)
class Norm:
    """An entry of the table of norms.

    Parameters
    ----------
    normalize : callable
        Takes a run, names of score columns, and for each of them the least score that its system can give; gives
        `Lists`. Their `absent` is the value of missing documents: the lowest of the list, but no more than 0, or in a
        joint norm a share of what the list leaves over.
    joint : bool, default=False
        Whether the values of a list depend on the documents that the other lists have.
    """

    normalize: Callable
    joint: bool = False


def stack_ranks(run, names):
    """Ranks in the columns, shape (n_systems, n_entries)."""
    return np.array([run.column_ranks(name) for name in names], dtype=np.float64)


def stack_scores(run, names):
    """Scores in the columns, shape (n_systems, n_entries)."""
    return np.array([run.column(name) for name in names], dtype=np.float64)


def _zeros(run, names):
    """The value of missing documents if no list has a value below 0."""
    return np.zeros((len(names), len(run)))


# --- by rank


def borda_points(indptr, ranks):
    """Borda points: one for each candidate of the query that does not stand above.

    The candidates that a list lacks share evenly the points that it leaves over.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
    ranks : ndarray of float64, shape (n_systems, n_entries)

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
    """Number of candidates of each query, and in each list, shapes (n_queries,) and (n_systems, n_queries)."""
    found = ~np.isnan(ranks)
    counts = [sums(indptr, mask) for mask in [found.any(axis=0), *found]]
    counts = np.array(counts, dtype=np.float64)
    return counts[0], counts[1:]


def _count_down(indptr, ranks, sizes, units):
    """``(size + 1 - rank) / unit``, with a size and a unit for each list."""
    values = np.empty_like(ranks)
    shape = (len(ranks), len(indptr) - 1)
    sizes, units = np.broadcast_to(sizes, shape).copy(), np.broadcast_to(units, shape).copy()
    for one, size, unit, out in zip(ranks, sizes, units, values):
        no_bound = np.full(len(size), np.inf)
        rescale(indptr, one, -no_bound, no_bound, (size + 1) * _PART, unit * -_PART, out)
    return values


def _quantile(run, names, leasts):
    values = np.array([_shares(run.indptr, run.rows, scores) for scores in stack_scores(run, names)])
    return Lists(run.indptr, values, _zeros(run, names))


def _shares(indptr, rows, scores):
    """Share of the scores of the list that are no higher than each."""
    order, indptr, ranked = rank(indptr, scores, rows)
    lengths = np.diff(indptr)
    place = places(indptr)
    # Equal scores have the place of the first of them.
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]) | (place == 0))
    above = np.repeat(place[starts], np.diff(starts, append=len(order)))
    values = np.full(len(scores), np.nan)
    values[order] = 1 - above / np.repeat(lengths, lengths)
    return values


# --- by a line: a function from a list's figures, and the least score of its system, to bounds, shift and scale, the
# latter two in parts


class _Figures(NamedTuple):
    """What `describe` says of the lists of a system, one number for each."""

    n: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    norm: np.ndarray


def _stretch(line, run, names, leasts):
    """Normalize by a line."""
    indptr, values = run.indptr, stack_scores(run, names)
    absent = np.empty((len(names), len(run)))
    table = np.empty((len(run), len(_Figures._fields)))
    for name, scores, lowest, least in zip(names, values, absent, leasts):
        describe(indptr, scores, table)
        figures = _Figures(*table.T.copy())
        with np.errstate(all="ignore"):  # of empty lists, and of scores near the largest number
            try:
                low, high, shift, scale = line(figures, least)
            except ValueError as error:
                raise ValueError(f"column {name!r} {error}") from None
            rescale(indptr, scores, low, high, shift, scale, scores)
            lowest[:] = np.minimum((low * _PART - shift) / scale, 0.0)
        lowest[figures.n == 0] = 0.0
    return Lists(indptr, values, absent)


def _flat_at(value, flat, low, high, shift, scale):
    """The line, or if the list is flat, one that gives `value`."""
    lines = zip((value, value, 0.0, _PART), (low, high, shift, scale))
    return tuple(np.where(flat, one, other) for one, other in lines)


def _span(low, high):
    """The range of each list, in parts, and whether there is none."""
    span = high * _PART - low * _PART
    return span, span <= 1e-300


def _min_max(figures, least):
    span, flat = _span(figures.low, figures.high)
    return _flat_at(1.0, flat, figures.low, figures.high, figures.low * _PART, span)


def _sum(figures, least):
    n, low, high, mean, *_ = figures
    span, flat = _span(low, high)
    return _flat_at(1 / n, flat, low, high, low * _PART, span * (n * mean))


def _zmuv(figures, least):
    _, low, high, mean, deviation, _ = figures
    span, flat = _span(low, high)
    return _flat_at(1.0, flat, low, high, low * _PART + span * mean, span * deviation)


def _dbsf(figures, least):
    n, low, high, mean, deviation, _ = figures
    span, flat = _span(low, high)
    deviation = deviation * np.sqrt(n / (n - 1))
    return _flat_at(0.5, flat, low, high, low * _PART + span * (mean - 3 * deviation), span * (6 * deviation))


def _max(figures, least):
    _, low, high, *_ = figures
    return _flat_at(1.0, _span(low, high)[1], low, high, 0.0, np.where(high > 0, high, -low) * _PART)


def _l2(figures, least):
    n, low, high, _, _, norm = figures
    return _flat_at(np.sqrt(1 / n), norm == 0, low, high, 0.0, np.maximum(high, -low) * _PART * norm)


def _tmm(figures, least):
    n, low, high, *_ = figures
    if (low[n > 0] < least).any():
        raise ValueError(
            f"has the score {low[n > 0].min():g}, below {least:g}, which theoretical_min says is the least that it can "
            "give"
        )
    span, flat = _span(least, high)
    return _flat_at(1.0, flat, low, high, least * _PART, span)


def _none(figures, least):
    return figures.low, figures.high, np.zeros_like(figures.low), np.full_like(figures.low, _PART)


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
        A name in `NORMS`.
    leasts : sequence of float, default=None
        The least score that each system can give, for ``norm="tmm"``; ``None``: 0.

    Returns
    -------
    Lists
    """
    leasts = [0.0] * len(names) if leasts is None else leasts
    return NORMS[norm].normalize(run, names, leasts)
