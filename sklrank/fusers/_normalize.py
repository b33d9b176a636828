"""Normalization: the scores of each list brought to a scale that lists can share.

Every norm that a line can draw goes through one kernel, ``(clip(score) - shift) / scale``, with bounds, shift and scale
for each list; here they are found. A list is what one system found for one query.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from sklrank._kernels._fusion import add_values, describe, rescale
from sklrank._ragged import places, sums
from sklrank.data._order import rank

_PART = 1 / 16  # shifts and scales are held in parts: the range of a list may be more than the largest number


@dataclass
class Lists:
    """What each system gives each candidate.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
        Bounds of the queries' entries.
    values : ndarray of float64, shape (n_systems, n_entries)
        NaN where the system did not find the entry.
    absent : ndarray of float64, shape (n_systems, n_queries)
        What stands for a NaN; NaN for nothing.
    rows : ndarray of int64, shape (n_entries,), default=None
        The documents, where ties are broken on the way.
    """

    indptr: np.ndarray
    values: np.ndarray
    absent: np.ndarray
    rows: np.ndarray | None = None

    def of_systems(self, chosen):
        """The same for some systems: a mask of shape (n_systems,)."""
        return self if chosen.all() else Lists(self.indptr, self.values[chosen], self.absent[chosen], self.rows)

    def filled(self):
        """Values with those that stand for the missing ones, shape (n_systems, n_entries)."""
        absent = np.repeat(self.absent, np.diff(self.indptr), axis=1)
        return np.where(np.isnan(self.values), absent, self.values)

    def add(self, weights):
        """Weighted sums.

        Parameters
        ----------
        weights : ndarray of float64, shape (n_systems,)

        Returns
        -------
        totals, counts, mass : ndarray of float64, shape (n_entries,)
            Sum of the weighted values, number of systems that found the entry, and their weights.
        """
        totals, errors, counts, mass = np.zeros((4, self.values.shape[1]))
        for values, absent, weight in zip(self.values, self.absent, weights.tolist()):
            add_values(self.indptr, values, absent, weight, totals, errors, counts, mass)
        totals += errors
        return totals, counts, mass


def stack_ranks(run, names):
    """Ranks in the columns, shape (n_systems, n_entries)."""
    return np.array([run.column_ranks(name) for name in names], dtype=np.float64)


def stack_scores(run, names):
    """Scores in the columns, shape (n_systems, n_entries)."""
    return np.array([run.column(name) for name in names], dtype=np.float64)


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


def normalize(run, names, norm, bottoms=None):
    """Normalized scores.

    Parameters
    ----------
    run : Run
        Candidates.
    names : sequence of str
        Score columns.
    norm : str
        As in `ScoreFuser`.
    bottoms : sequence of float, default=None
        The least score that each system can give, for ``norm="tmm"``; ``None``: 0.

    Returns
    -------
    Lists
        What stands for a missing score is the lowest of the list, and 0 in an empty one; with ``norm="borda"`` it is
        what that norm says.
    """
    indptr = run.indptr
    if norm in ("rank", "borda"):
        ranks = stack_ranks(run, names)
        n_candidates, lengths = _sizes(indptr, ranks)
        sizes = np.maximum(n_candidates if norm == "borda" else lengths, 1.0)
        values = _count_down(indptr, ranks, sizes, sizes)
        return Lists(indptr, values, (n_candidates - lengths + 1) / (2 * sizes) if norm == "borda" else 1 / sizes)
    scores = stack_scores(run, names)
    bottoms = [0.0] * len(names) if bottoms is None else bottoms
    lowest = np.empty((len(names), len(indptr) - 1))
    table = np.empty((len(indptr) - 1, 6))
    for s, name in enumerate(names):
        if norm == "quantile":
            scores[s], lowest[s] = _quantiles(indptr, run.rows, scores[s])
            continue
        describe(indptr, scores[s], table)
        if norm == "tmm":
            _check_bottom(name, table, bottoms[s])
        with np.errstate(all="ignore"):  # of empty lists, and of scores near the largest number
            low, high, shift, scale = _LINES[norm](*table.T.copy(), bottoms[s])
            rescale(indptr, scores[s], low, high, shift, scale, scores[s])
            lowest[s] = (low * _PART - shift) / scale
        if norm == "sigmoid":
            expit(scores[s], out=scores[s])
            expit(lowest[s], out=lowest[s])
        lowest[s, table[:, 0] == 0] = 0.0
    return Lists(indptr, scores, lowest)


# --- by rank
def _sizes(indptr, ranks):
    """Number of candidates of each query, and in each list, shapes (n_queries,) and (n_systems, n_queries)."""
    found = ~np.isnan(ranks)
    counts = np.zeros((len(ranks) + 1, len(indptr)), dtype=np.float64)
    for one, out in zip([found.any(axis=0), *found], counts):
        out[1:] = sums(indptr, one)
    return counts[0, 1:], counts[1:, 1:]


def _count_down(indptr, ranks, sizes, units):
    """``(size + 1 - rank) / unit``, with a size and a unit for each list."""
    values = np.empty_like(ranks)
    shape = (len(ranks), len(indptr) - 1)
    sizes, units = np.broadcast_to(sizes, shape).copy(), np.broadcast_to(units, shape).copy()
    for one, size, unit, out in zip(ranks, sizes, units, values):
        no_bound = np.full(len(size), np.inf)
        rescale(indptr, one, -no_bound, no_bound, (size + 1) * _PART, unit * -_PART, out)
    return values


def _quantiles(indptr, rows, scores):
    """Share of the scores of the list that are no higher, and the lowest share in each list."""
    order, indptr, ranked = rank(indptr, scores, rows)
    lengths = np.diff(indptr)
    place = places(indptr)
    # Equal scores have the place of the first of them.
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]) | (place == 0))
    above = np.repeat(place[starts], np.diff(starts, append=len(order)))
    shares = 1 - above / np.repeat(lengths, lengths)
    values = np.full(len(scores), np.nan)
    values[order] = shares
    lowest = np.zeros(len(lengths))
    lowest[lengths > 0] = shares[indptr[1:][lengths > 0] - 1]
    return values, lowest


# --- by a line: bounds, shift and scale of each list, the latter two in parts
def _flat_at(value, flat, low, high, shift, scale):
    """The line, where the list is not flat; else one that gives `value`."""
    lines = zip((value, value, 0.0, _PART), (low, high, shift, scale))
    return tuple(np.where(flat, one, other) for one, other in lines)


def _span(low, high):
    """The range of each list, in parts, and whether there is none."""
    span = high * _PART - low * _PART
    return span, span <= 1e-300


def _min_max(n, low, high, mean, deviation, norm, bottom):
    span, flat = _span(low, high)
    return _flat_at(1.0, flat, low, high, low * _PART, span)


def _sum(n, low, high, mean, deviation, norm, bottom):
    span, flat = _span(low, high)
    return _flat_at(1 / n, flat, low, high, low * _PART, span * (n * mean))


def _zmuv(n, low, high, mean, deviation, norm, bottom):
    span, flat = _span(low, high)
    return _flat_at(1.0, flat, low, high, low * _PART + span * mean, span * deviation)


def _dbsf(n, low, high, mean, deviation, norm, bottom):
    span, flat = _span(low, high)
    deviation = deviation * np.sqrt(n / (n - 1))
    return _flat_at(0.5, flat, low, high, low * _PART + span * (mean - 3 * deviation), span * (6 * deviation))


def _max(n, low, high, mean, deviation, norm, bottom):
    return _flat_at(1.0, _span(low, high)[1], low, high, 0.0, np.where(high > 0, high, -low) * _PART)


def _l2(n, low, high, mean, deviation, norm, bottom):
    return _flat_at(np.sqrt(1 / n), norm == 0, low, high, 0.0, np.maximum(high, -low) * _PART * norm)


def _tmm(n, low, high, mean, deviation, norm, bottom):
    span, flat = _span(bottom, high)
    return _flat_at(1.0, flat, low, high, bottom * _PART, span)


def _none(n, low, high, mean, deviation, norm, bottom):
    return low, high, np.zeros_like(low), np.full_like(low, _PART)


_LINES = {
    "min-max": _min_max, "sum": _sum, "zmuv": _zmuv, "dbsf": _dbsf, "max": _max, "l2": _l2, "tmm": _tmm,
    "none": _none, "sigmoid": _none,
}  # fmt: skip
NORMS = {*_LINES, "rank", "borda", "quantile"}


def _check_bottom(name, table, bottom):
    n, low = table[:, 0], table[:, 1]
    if (low[n > 0] < bottom).any():
        raise ValueError(
            f"column {name!r} has the score {low[n > 0].min():g}, below {bottom:g}, which theoretical_min says is the "
            "least that it can give"
        )
