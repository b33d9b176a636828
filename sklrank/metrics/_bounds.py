"""How low and how high a metric could be, had all retrieved documents been judged.

Unjudged documents that the run did not retrieve are taken for not relevant, and an unjudged document may have any
grade that occurs in the judgments, or 0. With every retrieved document judged, `judged_only` makes no difference.
"""

import numpy as np

from sklrank._kernels._bounds import bound_by_sweep, bound_discounted_gain, bound_precisions
from sklrank._ragged import owners, places
from sklrank.metrics import _measures as measures
from sklrank.metrics._average import settle
from sklrank.metrics._judged import Judged, bounds

_CONSTANT = (measures.judged_at_k, measures.unjudged_at_k, measures.n_queries, measures.n_retrieved)
# Numbered as `bound_by_sweep` does; the last is the mean of eleven of the third.
_SWEPT = (measures.bpref, measures.inferred_ap, measures.interpolated_precision, measures.r_precision)
_SWEPT += (measures.eleven_point_average,)
_POOLED = (measures.bpref, measures.inferred_ap)  # negative grades mean: in the pool, not judged


def limits(metric, judged):
    """Least and greatest value of each query.

    Parameters
    ----------
    metric : Metric
    judged : Judged

    Returns
    -------
    low, high : ndarray of float64, shape (n_queries,)
        NaN for queries without any judgment.
    """
    measure = metric.measure.values
    if measure is measures.alpha_ndcg:
        raise ValueError("there are no bounds for alpha-nDCG: unjudged documents may be about any set of subtopics")
    if metric.empty in ("drop", "nan"):
        raise ValueError(f"{metric.name!r}: bounds need empty=zero or empty=one; unjudged documents may be relevant")
    if measure in _CONSTANT:
        values, _ = metric.values(judged)
        return values, values
    params = {name: value for name, value in metric.params.items() if name != "judged_only"}
    complete = _Completed(_without_pool(judged) if measure in _POOLED else judged)
    found = []

    def consider(grades):
        values, _ = settle(measure(complete.judge(grades), **params), judged, metric.empty)
        found.append(values)

    consider(0.0)
    if measure is measures.average_precision:
        found += _bound_average_precision(complete, **params)
    elif measure is measures.ndcg:
        found += _bound_ndcg(complete, **params)
    elif measure in _SWEPT:
        found += _bound_by_sweep(complete, _SWEPT.index(measure), **params)
    else:  # more relevant documents help above the cutoff and never help below it
        inside = complete.positions < (np.inf if metric.k is None else metric.k)
        for chosen in (inside, ~inside, np.ones(len(inside), dtype=bool)):
            consider(complete.top * chosen)
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduce(found), np.fmax.reduce(found)
    return np.where(judged.has_judgments, low, np.nan), np.where(judged.has_judgments, high, np.nan)


class _Completed:
    """Rankings of which every document is judged: those of `judged` as they were, the *free* ones as one likes.

    Attributes
    ----------
    n_free : ndarray of int64, shape (n_queries,)
        Number of unjudged documents in each ranking.
    positions : ndarray of int64, shape (n_free_in_all,)
        Position of each in its ranking.
    top : float
        The highest grade of the judgments.
    """

    def __init__(self, judged):
        self.judged = judged
        self.top = judged.max_grade or 1.0
        ranked = bounds(judged.n_retrieved)
        self.n_free = judged.n_retrieved - np.diff(judged.hit_indptr)
        free_indptr = bounds(self.n_free)
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
        self.free = np.repeat(judged.indptr[1:], self.n_free) + np.arange(free_indptr[-1])
        self.entries[~is_hit] = self.free
        self.grades = np.zeros(self.indptr[-1])
        kept = np.ones(self.indptr[-1], dtype=bool)
        kept[self.free] = False
        self.grades[kept] = judged.grades

    def judge(self, grades):
        """The rankings with these grades of the free documents."""
        self.grades[self.free] = grades
        judged = self.judged
        return Judged(
            judged.qids, self.indptr, self.grades.copy(), judged.in_run, judged.n_retrieved, self.ranked,
            self.all_positions, self.entries,
        )  # fmt: skip


def _without_pool(judged):
    """The same with negative grades taken for no judgment of what was retrieved."""
    keep = judged.hit_grades >= 0
    query = owners(judged.hit_indptr)[keep]
    hit_indptr = bounds(np.bincount(query, minlength=len(judged)))
    return Judged(
        judged.qids, judged.indptr, judged.grades, judged.in_run, judged.n_retrieved, hit_indptr,
        judged.hit_positions[keep], judged.hit_entries[keep],
    )  # fmt: skip


def _bound_average_precision(complete, *, k=None, relevance_level=1):
    judged = complete.judged
    if complete.top < relevance_level:
        return []
    low, high = np.empty(len(judged)), np.empty(len(judged))
    depth = measures.depth_of(judged, k)
    relevant = judged.n_relevant(relevance_level)
    bound_precisions(
        judged.hit_indptr, judged.hit_positions, judged.hit_grades, judged.n_retrieved, float(relevance_level), depth,
        relevant, low, high,
    )  # fmt: skip
    return [_finite(low), _finite(high)]


def _bound_ndcg(complete, *, k=None, gain="linear"):
    judged = complete.judged
    gains = measures.gain_of(gain, judged.grades)
    grades = np.unique(np.append(judged.grades[judged.grades > 0], complete.top))
    levels = measures.gain_of(gain, np.append(0.0, grades))
    if levels[0] > 0 or (np.diff(levels) < 0).any():
        raise ValueError("bounds of nDCG need gains that rise with the grade, from 0 at grade 0")
    levels = np.unique(levels[levels > 0])
    above = np.stack([judged.count(gains >= level) for level in levels], axis=1)
    longest = int((np.diff(judged.indptr) + judged.n_retrieved).max(initial=0))
    discounts = 1 / np.log2(np.arange(longest) + 2.0)
    discounts[k if k is not None else longest :] = 0.0
    reach = np.concatenate([[0.0], np.cumsum(discounts)])
    low, high = np.empty(len(judged)), np.empty(len(judged))
    bound_discounted_gain(
        judged.hit_indptr, judged.hit_positions, gains[judged.hit_entries], judged.n_retrieved, levels, above, reach,
        low, high,
    )  # fmt: skip
    return [_finite(low), _finite(high)]


def _bound_by_sweep(complete, code, *, relevance_level=1, recall=None, multiple=1.0, rounding="nearest"):
    judged = complete.judged
    if complete.top < relevance_level:
        return []
    low, high = np.empty(len(judged)), np.empty(len(judged))
    recalls = {2: np.array([recall or 0.0]), 3: np.array([multiple]), 4: np.arange(11) / 10}.get(code, np.zeros(1))
    relevant = judged.n_relevant(relevance_level)
    irrelevant = judged.count((judged.grades >= 0) & (judged.grades < relevance_level))
    bound_by_sweep(
        2 if code == 4 else code, judged.hit_indptr, judged.hit_positions, judged.hit_grades, judged.n_retrieved,
        float(relevance_level), relevant, irrelevant, recalls.astype(np.float64),
        0.5 if rounding == "nearest" else 0.9, low, high,
    )  # fmt: skip
    return [_finite(low), _finite(high)]


def _finite(values):
    return np.where(np.isfinite(values), values, np.nan)
