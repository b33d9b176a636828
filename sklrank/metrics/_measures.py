"""Measures: one value per query, from judgments and a run that are aligned.

Each function takes a `Judged` and returns an array of float64. It holds NaN for queries without a relevant document;
the caller sets their value.
"""

from collections.abc import Mapping

import numpy as np

from sklrank._kernels import _metrics as kernels
from sklrank._ragged import kept_entries, places

ELEVEN_RECALLS = tuple(i / 10 for i in range(11))
ROUNDING = {"nearest": 0.5, "up": 0.9}
_WHOLE = np.iinfo(np.int64).max  # a cutoff that cuts nothing
_MOST_EXPONENT = 1000  # two to this power, times a million documents, is finite in float64


def ndcg(judged, *, k=None, gain="linear", judged_only=False):
    """Normalized discounted cumulative gain."""
    ideal = _ideal(judged, k, gain)
    return _ratio(dcg(judged, k=k, gain=gain, judged_only=judged_only), ideal)


def dcg(judged, *, k=None, gain="linear", judged_only=False):
    """Discounted cumulative gain."""
    judged = judged.condense(judged_only)
    out = np.empty(len(judged))
    gains = gain_of(gain, judged.grades)[judged.hit_entries]
    kernels.discounted_gain(judged.hit_indptr, judged.hit_positions, gains, depth_of(judged, k), out)
    return out


def _ideal(judged, k, gain):
    gains = gain_of(gain, judged.grades)
    positive, indptr = kept_entries(judged.indptr, gains > 0)
    gains = gains[positive]
    kernels.sort_descending(indptr, gains)
    out = np.empty(len(judged))
    kernels.discounted_gain(indptr, places(indptr), gains, depth_of(judged, k), out)
    return out


def average_precision(judged, *, k=None, relevance_level=1, judged_only=False):
    """Average precision."""
    total = _by_hits(kernels.sum_precisions, judged, k, relevance_level, judged_only)
    return _ratio(total, judged.n_relevant(relevance_level))


def reciprocal_rank(judged, *, k=None, relevance_level=1, judged_only=False):
    """Reciprocal rank of the first relevant document."""
    values = _by_hits(kernels.reciprocal_rank, judged, k, relevance_level, judged_only)
    return _void(values, judged, relevance_level)


def precision(judged, *, k=None, relevance_level=1, judged_only=False):
    """Share of the first k positions that hold relevant documents."""
    found = _found(judged, k, relevance_level, judged_only)
    return _void(_ratio(found, _n_places(judged, k, judged_only), 0.0), judged, relevance_level)


def recall(judged, *, k=None, relevance_level=1, judged_only=False):
    """Share of the relevant documents that are among the first k."""
    return _ratio(_found(judged, k, relevance_level, judged_only), judged.n_relevant(relevance_level))


def f_measure(judged, *, k=None, beta=1.0, relevance_level=1, judged_only=False):
    """Weighted harmonic mean of precision and recall; as in trec_eval, `beta` is not squared."""
    found = _found(judged, k, relevance_level, judged_only)
    n_places = _n_places(judged, k, judged_only)
    relevant = judged.n_relevant(relevance_level)
    values = (1 + beta) * found / np.maximum(n_places + beta * relevant, 1e-300)
    return _void(values, judged, relevance_level)


def relative_precision(judged, *, k=None, relevance_level=1, judged_only=False):
    """Precision relative to the highest possible value."""
    found = _found(judged, k, relevance_level, judged_only)
    possible = np.minimum(_n_places(judged, k, judged_only), judged.n_relevant(relevance_level))
    return _void(_ratio(found, possible, 0.0), judged, relevance_level)


def set_average_precision(judged, *, relevance_level=1, judged_only=False):
    """Precision times recall of the whole ranking, as a set."""
    found = _found(judged, None, relevance_level, judged_only).astype(np.float64)
    precision = _ratio(found, _n_places(judged, None, judged_only), 0.0)
    return precision * _ratio(found, judged.n_relevant(relevance_level))


def success(judged, *, k=None, relevance_level=1, judged_only=False):
    """Whether any of the first k documents is relevant."""
    values = (_found(judged, k, relevance_level, judged_only) > 0).astype(np.float64)
    return _void(values, judged, relevance_level)


def r_precision(judged, *, multiple=1.0, relevance_level=1, judged_only=False):
    """Precision at a cutoff equal to the number of relevant documents, or to a multiple of it."""
    relevant = judged.n_relevant(relevance_level)
    depth = relevant
    if multiple != 1:
        depth = (multiple * relevant + 0.9).astype(np.int64)
    return _ratio(_found(judged, depth, relevance_level, judged_only), depth)


def rank_biased_precision(judged, *, p=0.8, k=None, relevance_level=1, gain=None, max_grade=None, judged_only=False):
    """Rank-biased precision, binary or, with a gain, graded."""
    if gain is None:
        gains = (judged.grades >= relevance_level).astype(np.float64)
    else:
        if max_grade is None:
            max_grade = judged.max_grade
        gains = gain_of(gain, _below(judged.grades, max_grade))
        gains /= max(gain_of(gain, np.array([max_grade], dtype=np.float64))[0], gains.max(initial=0.0), 1e-300)
    has_relevant = judged.count(gains > 0) > 0
    judged = judged.condense(judged_only)
    out = np.empty(len(judged))
    hit_gains = gains[judged.hit_entries]
    kernels.rank_biased_gain(judged.hit_indptr, judged.hit_positions, hit_gains, float(p), depth_of(judged, k), out)
    return np.where(has_relevant, out, np.nan)


def expected_reciprocal_rank(judged, *, k=None, max_grade=4, judged_only=False):
    """Expected reciprocal rank."""
    _check_exponent(max_grade)
    chances = gain_of("exponential", _below(judged.grades, max_grade)) / 2.0**max_grade
    has_relevant = judged.count(chances > 0) > 0
    judged = judged.condense(judged_only)
    out = np.empty(len(judged))
    kernels.expected_reciprocal_rank(
        judged.hit_indptr, judged.hit_positions, chances[judged.hit_entries], depth_of(judged, k), out
    )
    return np.where(has_relevant, out, np.nan)


def bpref(judged, *, relevance_level=1):
    """Binary preference."""
    relevant = judged.n_relevant(relevance_level)
    irrelevant = judged.count((judged.grades >= 0) & (judged.grades < relevance_level))
    out = np.empty(len(judged))
    kernels.binary_preference(judged.hit_indptr, judged.hit_grades, float(relevance_level), relevant, irrelevant, out)
    return out


def inferred_ap(judged, *, relevance_level=1):
    """Inferred average precision."""
    out = np.empty(len(judged))
    level = float(relevance_level)
    kernels.inferred_precisions(judged.hit_indptr, judged.hit_positions, judged.hit_grades, level, out)
    return _ratio(out, judged.n_relevant(relevance_level))


def interpolated_precision(judged, *, recall=0.0, relevance_level=1, rounding="nearest", judged_only=False):
    """Highest precision at a recall of at least `recall`."""
    relevant = judged.n_relevant(relevance_level)
    needed = np.floor(recall * relevant + ROUNDING[rounding]).astype(np.int64)
    source = judged.condense(judged_only)
    out = np.empty(len(judged))
    kernels.interpolated_precision(
        source.hit_indptr, source.hit_positions, source.hit_grades, float(relevance_level), needed, out
    )
    return _void(out, judged, relevance_level)


def eleven_point_average(judged, *, recalls=ELEVEN_RECALLS, relevance_level=1, rounding="nearest", judged_only=False):
    """Mean of the interpolated precisions at these levels of recall."""
    options = {"relevance_level": relevance_level, "rounding": rounding, "judged_only": judged_only}
    return np.mean([interpolated_precision(judged, recall=recall, **options) for recall in recalls], axis=0)


def alpha_ndcg(judged, *, k=None, alpha=0.5, judged_only=False):
    """Novelty-biased nDCG over subtopics."""
    if judged.topics is None:
        raise ValueError(
            "alpha-nDCG needs judgments with subtopics: Qrels.from_trec(path, subtopics=True) or "
            "Qrels.from_frame(frame, subtopic=...)"
        )
    topic_indptr, topics, n_topics = judged.topics
    gained, ideal = np.empty(len(judged)), np.empty(len(judged))
    depth = depth_of(judged, k)
    kernels.ideal_novel_gain(judged.indptr, topic_indptr, topics, n_topics, float(alpha), depth, ideal)
    source = judged.condense(judged_only)
    kernels.novel_gain(
        source.hit_indptr, source.hit_positions, source.hit_entries, topic_indptr, topics, n_topics, float(alpha),
        depth, gained,
    )  # fmt: skip
    return _ratio(gained, ideal)


def judged_at_k(judged, *, k=None):
    """Share of the first k documents that have a judgment."""
    retrieved = np.minimum(judged.n_retrieved, depth_of(judged, k))
    return _ratio(_found(judged, k, -np.inf, False), retrieved, 0.0)


def unjudged_at_k(judged, *, k=None):
    """Share of the first k positions whose documents have no judgment or a negative one (trec_eval's unj)."""
    retrieved = np.minimum(judged.n_retrieved, depth_of(judged, k))
    return _ratio(retrieved - _found(judged, k, 0, False), _n_places(judged, k, False), 0.0)


def utility(judged, *, weights=(1.0, -1.0, 0.0, 0.0), relevance_level=1, judged_only=False):
    """Sum of weights of documents: relevant retrieved, other retrieved, relevant missing, other missing."""
    weights = tuple(weights)
    if len(weights) != 4 or weights[3] != 0:
        raise ValueError(
            "utility takes four weights, and the last must be 0, because the number of documents that were not "
            f"retrieved is unknown; got {weights}"
        )
    found = _found(judged, None, relevance_level, judged_only)
    others = _n_places(judged, None, judged_only) - found
    return weights[0] * found + weights[1] * others + weights[2] * (judged.n_relevant(relevance_level) - found)


def n_queries(judged):
    """One for each query."""
    return np.ones(len(judged))


def n_retrieved(judged, *, judged_only=False):
    """Length of the ranking."""
    return _n_places(judged, None, judged_only).astype(np.float64)


def n_relevant(judged, *, relevance_level=1):
    """Number of relevant documents."""
    return judged.n_relevant(relevance_level).astype(np.float64)


def n_relevant_retrieved(judged, *, k=None, relevance_level=1):
    """Number of relevant documents among the first k."""
    return _found(judged, k, relevance_level, False).astype(np.float64)


def n_irrelevant_retrieved(judged, *, relevance_level=1):
    """Number of documents in the ranking that are judged not relevant."""
    return (_found(judged, None, 0, False) - _found(judged, None, relevance_level, False)).astype(np.float64)


# --- gains, cutoffs and quotients


def gain_of(gain, grades):
    """Return the gain of each grade; grades below 0 have none.

    Parameters
    ----------
    gain : {"linear", "exponential"}, dict, or array-like of shape (n_grades,)
        Linear gain is the grade itself, exponential gain two to its power minus one. A dict holds the gains of some
        grades; the gain of any other grade is the grade itself. An array holds the gains of the grades 0, 1, ….
    grades : ndarray of float64

    Returns
    -------
    ndarray of float64
    """
    gains = np.maximum(grades, 0.0)
    if isinstance(gain, str):
        if gain == "linear":
            return gains
        _check_exponent(gains.max(initial=0.0))
        return np.exp2(gains) - 1.0
    if isinstance(gain, Mapping):
        _check_gains(np.array([*gain.keys(), *gain.values()], dtype=np.float64), gain)
        for grade, value in gain.items():
            gains[grades == grade] = value
        return gains
    table = np.asarray(gain, dtype=np.float64)
    _check_gains(table, gain)
    known = np.maximum(grades, -1.0)
    if known.max(initial=-1.0) >= len(table):
        raise ValueError(
            f"gain holds the gains of the grades 0 to {len(table) - 1}, but the grades go up to {grades.max():g}"
        )
    if (known != np.trunc(known)).any():
        raise ValueError("gain as an array needs grades that are whole numbers")
    return np.append(table, 0.0)[known.astype(np.int64)]


def _check_gains(values, gain):
    if values.ndim != 1 or not (values >= 0).all():
        raise ValueError(
            "gain must be 'linear', 'exponential', a dict with the gains of some grades, or an array with those of the "
            f"grades 0, 1, …, without negative gains; got {gain!r}"
        )


def _check_exponent(grade):
    if grade > _MOST_EXPONENT:
        raise ValueError(
            f"exponential gain of grade {grade:g} is too large: expected grades up to {_MOST_EXPONENT}; use "
            "gain='linear', or pass the gains of the grades"
        )


def _below(grades, max_grade):
    if grades.max(initial=0.0) > max_grade:
        raise ValueError(f"the grades go up to {grades.max():g}, above max_grade={max_grade:g}; set max_grade")
    return grades


def depth_of(judged, k):
    """Return the cutoff of each query."""
    if isinstance(k, np.ndarray):
        return k
    if k is None:
        k = _WHOLE
    return np.full(len(judged), k, dtype=np.int64)


def _by_hits(kernel, judged, k, level, judged_only, dtype=np.float64):
    judged = judged.condense(judged_only)
    out = np.empty(len(judged), dtype=dtype)
    kernel(judged.hit_indptr, judged.hit_positions, judged.hit_grades, float(level), depth_of(judged, k), out)
    return out


def _found(judged, k, level, judged_only):
    return _by_hits(kernels.count_relevant, judged, k, level, judged_only, np.int64)


def _n_places(judged, k, judged_only):
    """Return the divisor of precision: the cutoff, or the length of each ranking if there is no cutoff."""
    if k is not None:
        return k
    return judged.condense(judged_only).n_retrieved


def _void(values, judged, level):
    """Return the values with NaN for queries without a relevant document."""
    return np.where(judged.n_relevant(level) > 0, values, np.nan)


def _ratio(numerator, denominator, otherwise=np.nan):
    out = np.full(np.shape(numerator), otherwise)
    return np.divide(numerator, denominator, out=out, where=np.asarray(denominator) > 0)
