"""Bounds of metrics: how low and how high a value could be if all retrieved documents were judged.

Unjudged documents that the run did not retrieve count as not relevant. An unjudged document in the run may have any
grade that occurs in the judgments, or 0. `judged_only` makes no difference if every retrieved document is judged.
"""

import numpy as np

from sklrank._kernels import _bounds as kernels
from sklrank._ragged import kept_entries, lengths_to_indptr, owners, places
from sklrank.metrics import _measures as measures
from sklrank.metrics._average import settle
from sklrank.metrics._judged import Judged

_SWEPT = ("bpref", "infap", "iprec", "rprec")  # numbered as the kernel `bound_by_sweep` does


def limits(metric, judged):
    """Return the least and the greatest value of each query.

    Parameters
    ----------
    metric : Metric
    judged : Judged

    Returns
    -------
    low, high : ndarray of float64, shape (n_queries,)
        NaN for queries without any judgment.
    """
    measure = metric.measure
    if measure.bounds is None:
        raise ValueError(f"{metric.name!r} has no bounds: how further judgments would change it is unknown")
    if metric.empty in ("drop", "nan"):
        raise ValueError(f"{metric.name!r}: bounds need empty=zero or empty=one; unjudged documents may be relevant")
    if measure.bounds == "constant":
        values, _ = metric.values(judged)
        return values, values
    params = {name: value for name, value in metric.params.items() if name != "judged_only"}
    complete = judged
    if measure.pooled:
        complete = _without_pool(judged)
    complete = Completed(complete)

    def values_if(grades):
        """Return the values if the free documents have these grades."""
        return settle(measure.values(complete.judge(grades), **params), judged, metric.empty)[0]

    found = [values_if(0.0)]
    if measure.bounds == "monotone":
        if params.get("gain") is not None:
            check_gain_rises(params["gain"], complete)
        above = complete.positions < (metric.k or np.inf)
        found += [values_if(complete.top * chosen) for chosen in (above, ~above, np.ones_like(above))]
    else:
        found += measure.bounds(complete, **params)
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduce(found), np.fmax.reduce(found)
    return np.where(judged.has_judgments, low, np.nan), np.where(judged.has_judgments, high, np.nan)


class Completed:
    """Rankings whose documents all have a grade.

    Judged documents keep theirs; *free* documents, those without a judgment, get theirs from `judge`.

    Parameters
    ----------
    judged : Judged

    Attributes
    ----------
    positions : ndarray of int64, shape (n_free,)
        Position of each free document in its ranking.
    top : float
        Highest grade of the judgments.
    """

    def __init__(self, judged):
        self.judged = judged
        self.top = judged.max_grade or 1.0
        ranked = lengths_to_indptr(judged.n_retrieved)
        n_free = judged.n_retrieved - np.diff(judged.hit_indptr)
        free_indptr = lengths_to_indptr(n_free)
        query = owners(judged.hit_indptr)
        is_hit = np.zeros(ranked[-1], dtype=bool)
        hits = ranked[query] + judged.hit_positions
        is_hit[hits] = True
        self.ranked = ranked
        self.all_positions = places(ranked)
        self.positions = self.all_positions[~is_hit]
        # The judgments of a query, then its free documents.
        self.indptr = judged.indptr + free_indptr
        self.entries = np.empty(ranked[-1], dtype=np.int64)
        self.entries[hits] = judged.hit_entries + free_indptr[query]
        self.free = np.repeat(judged.indptr[1:], n_free) + np.arange(free_indptr[-1])
        self.entries[~is_hit] = self.free
        self.grades = np.zeros(self.indptr[-1])
        kept = np.ones(self.indptr[-1], dtype=bool)
        kept[self.free] = False
        self.grades[kept] = judged.grades

    def judge(self, grades):
        """Assign grades to the free documents.

        Returns
        -------
        Judged
        """
        self.grades[self.free] = grades
        judged = self.judged
        return Judged(
            judged.qids, self.indptr, self.grades.copy(), judged.in_run, judged.n_retrieved, self.ranked,
            self.all_positions, self.entries,
        )  # fmt: skip


def _without_pool(judged):
    """Return the same, with retrieved documents of negative grade as unjudged."""
    entries, hit_indptr = kept_entries(judged.hit_indptr, judged.hit_grades >= 0)
    return Judged(
        judged.qids, judged.indptr, judged.grades, judged.in_run, judged.n_retrieved, hit_indptr,
        judged.hit_positions[entries], judged.hit_entries[entries],
    )  # fmt: skip


def check_gain_rises(gain, complete):
    """Raise an error if a higher grade has a lower gain: the highest grade would not give the extreme value."""
    grades = np.unique(np.append(complete.judged.grades[complete.judged.grades > 0], complete.top))
    levels = measures.gain_of(gain, np.append(0.0, grades))
    if levels[0] > 0 or (np.diff(levels) < 0).any():
        raise ValueError("bounds need gains that rise with the grade, from 0 at grade 0")
    return levels


def bound_average_precision(complete, *, k=None, relevance_level=1):
    """Return bounds of average precision."""
    judged = complete.judged
    if complete.top < relevance_level:
        return []
    low, high = np.empty(len(judged)), np.empty(len(judged))
    kernels.bound_precisions(
        judged.hit_indptr, judged.hit_positions, judged.hit_grades, judged.n_retrieved, float(relevance_level),
        measures.depth_of(judged, k), judged.n_relevant(relevance_level), low, high,
    )  # fmt: skip
    return [_finite(low), _finite(high)]


def bound_ndcg(complete, *, k=None, gain="linear"):
    """Return bounds of nDCG."""
    judged = complete.judged
    gains = measures.gain_of(gain, judged.grades)
    levels = check_gain_rises(gain, complete)
    levels = np.unique(levels[levels > 0])
    above = np.stack([judged.count(gains >= level) for level in levels], axis=1)
    longest = int((np.diff(judged.indptr) + judged.n_retrieved).max(initial=0))
    discounts = 1 / np.log2(np.arange(longest) + 2.0)
    if k is not None:
        discounts[k:] = 0.0
    reach = np.concatenate([[0.0], np.cumsum(discounts)])
    low, high = np.empty(len(judged)), np.empty(len(judged))
    kernels.bound_discounted_gain(
        judged.hit_indptr, judged.hit_positions, gains[judged.hit_entries], judged.n_retrieved, levels, above, reach,
        low, high,
    )  # fmt: skip
    return [_finite(low), _finite(high)]


def bound_interpolated_precision(complete, *, recall=0.0, **params):
    """Return bounds of interpolated precision."""
    return bound_by_sweep("iprec", complete, recalls=(recall,), **params)


def bound_by_sweep(
    swept, complete, *, relevance_level=1, recalls=measures.ELEVEN_RECALLS, multiple=1.0, rounding="nearest"
):
    """Return bounds of a measure that needs to be computed for every possible number of relevant documents.

    Parameters
    ----------
    swept : {"bpref", "infap", "iprec", "rprec"}
        The measure.
    complete : Completed
    """
    judged = complete.judged
    if complete.top < relevance_level:
        return []
    low, high = np.empty(len(judged)), np.empty(len(judged))
    steps = recalls
    if swept == "rprec":
        steps = (multiple,)
    irrelevant = judged.count((judged.grades >= 0) & (judged.grades < relevance_level))
    kernels.bound_by_sweep(
        _SWEPT.index(swept), judged.hit_indptr, judged.hit_positions, judged.hit_grades, judged.n_retrieved,
        float(relevance_level), judged.n_relevant(relevance_level), irrelevant, np.array(steps, dtype=np.float64),
        measures.ROUNDING[rounding], low, high,
    )  # fmt: skip
    return [_finite(low), _finite(high)]


def _finite(values):
    return np.where(np.isfinite(values), values, np.nan)
