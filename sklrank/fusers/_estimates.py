"""Methods of `ProbabilisticFuser` that learn from the ranks of relevant documents."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sklrank._ragged import owners
from sklrank.fusers._normalize import normalize
from sklrank.fusers._weights import judge

_LEAST = 0.001  # least probability of relevance, and of its contrary, so that odds are finite
NOT_FOUND = np.log(_LEAST / (1 - _LEAST))


@dataclass(frozen=True)
class RankEstimates:
    """Method that estimates how likely a document is relevant at its rank, from the ranks of relevant documents.

    Parameters
    ----------
    estimate : callable
        Function that returns an array of estimates. Its arguments are the `Hits` of the training queries, the position
        of each candidate in the list of a column, the length of the list of each query, and the fuser.
    believe : callable
        Function that returns the share of a column in the score of each candidate. Its arguments are the estimates,
        positions, the length of the list of each position, and the fuser.
    uses_scores : bool, default=False
        Whether the share is multiplied by 1 plus the normalized score.
    absent : float, default=NaN
        Share of a column in the score of a document that it lacks.
    parameters : tuple of str, default=()
        Further parameters of the fuser that the estimates depend on.
    """

    estimate: Callable
    believe: Callable
    uses_scores: bool = False
    absent: float = np.nan
    parameters: tuple = ()

    def learner(self, fuser):
        """Return the parameter that makes the fuser learn from judgments."""
        return f"method={fuser.method!r}"

    def refit_parameters(self):
        """Return the parameters of the fuser that need a new `fit`, besides `method`."""
        return "relevance_level", *self.parameters

    def learn(self, fuser, run, y, names):
        """Compute the estimates from judged queries."""
        hits = Hits(run, y, fuser.relevance_level)
        fuser.estimates_ = {name: self.estimate(hits, *_positions(run, name), fuser) for name in names}

    def contribute(self, fuser, run, names):
        """Return the normalized scores, NaN if the method does not use them, and the shares of the columns."""
        queries = owners(run.indptr)
        scores, added = np.full((2, len(names), len(run.rows)), np.nan)
        for name, values in zip(names, added):
            positions, lengths = _positions(run, name)
            found = positions >= 0
            values[found] = self.believe(fuser.estimates_[name], positions[found], lengths[queries[found]], fuser)
        if self.uses_scores:
            scores = normalize(run, names, fuser.norm).values
            added *= 1 + scores
        if not np.isnan(self.absent):
            added[np.isnan(added) & ~np.isnan(added).all(axis=0)] = self.absent
        return scores, added


class Hits:
    """Relevant candidates of the training queries, and statistics of their positions in the list of a system."""

    def __init__(self, run, y, level):
        judged = judge(run, y)
        self.queries = owners(run.indptr)
        self.counted = judged.has_judgments[self.queries]
        self.n_queries = int(judged.has_judgments.sum())
        self.n_relevant = judged.n_relevant(level)
        entries = np.repeat(run.indptr[:-1], np.diff(judged.hit_indptr)) + judged.hit_positions
        self.relevant = np.zeros(len(run.rows), dtype=bool)
        self.relevant[entries] = judged.hit_grades >= level

    def share_by_position(self, positions):
        """Return the share of relevant documents at each position, among the lists that reach it."""
        seen = self.counted & (positions >= 0)
        n = np.bincount(positions[seen])
        n_relevant = np.bincount(positions[seen & self.relevant], minlength=len(n))
        reached = np.flatnonzero(n)
        if not len(reached):
            return np.zeros(1)  # the system found nothing for any query
        nearest = reached[np.searchsorted(reached, np.arange(len(n)), side="right") - 1]  # candidates may be missing
        return n_relevant[nearest] / n[nearest]

    def share_by_segment(self, segments, sizes, n_segments):
        """Return the share of relevant documents in each segment, as a mean over queries; segment -1 is none."""
        chosen = self.relevant & (segments >= 0)
        cells = self.queries[chosen] * n_segments + segments[chosen]
        n_relevant = np.bincount(cells, minlength=len(self.n_relevant) * n_segments)
        size = np.ones(len(n_relevant))
        size[cells] = sizes[chosen]
        shares = (n_relevant / size).reshape(-1, n_segments).sum(axis=0) / self.n_queries
        return shares[: segments[self.counted].max(initial=0) + 1]

    def mean_average_precision(self, positions):
        """Return the mean over the queries of the average precision."""
        chosen = np.flatnonzero(self.relevant & (positions >= 0))
        chosen = chosen[np.lexsort((positions[chosen], self.queries[chosen]))]
        queries = self.queries[chosen]
        nth = np.arange(len(chosen)) - np.searchsorted(queries, queries) + 1
        total = np.bincount(queries, nth / (positions[chosen] + 1), minlength=len(self.n_relevant))
        return float((total / np.maximum(self.n_relevant, 1)).sum() / self.n_queries)


def _positions(run, name):
    """Return the position of each candidate in the list of a column, -1 if absent, and the length of each list."""
    ranks = run.column_ranks(name)
    positions = np.where(np.isnan(ranks), 0, ranks).astype(np.int64) - 1
    lengths = np.zeros(len(run), dtype=np.int64)
    np.maximum.at(lengths, owners(run.indptr), positions + 1)
    return positions, lengths


def _at(estimates, numbers):
    """Return the estimates of positions or segments; the last estimate for those beyond the training lists."""
    return estimates[np.minimum(numbers, len(estimates) - 1)]


def estimate_positions(hits, positions, lengths, fuser):
    """Return the share of relevant documents at each position."""
    return hits.share_by_position(positions)


def believe_position(estimates, positions, lengths, fuser):
    """Return the share at each position."""
    return _at(estimates, positions)


def believe_window(estimates, positions, lengths, fuser):
    """Return the mean of the shares at the positions around each position, up to the end of the list."""
    total, count = np.zeros((2, len(positions)))
    for step in range(-fuser.window, fuser.window + 1):
        near = positions + step
        inside = (near >= 0) & (near < lengths)
        total[inside] += _at(estimates, near[inside])
        count += inside
    return total / count


def estimate_precision(hits, positions, lengths, fuser):
    """Return the mean average precision."""
    return np.array([hits.mean_average_precision(positions)])


def believe_precision(estimates, positions, lengths, fuser):
    """Return the mean average precision, divided by the rank."""
    return estimates[0] / (positions + 1)


def _equal_segments(positions, lengths, n_segments):
    """Cut each list into `n_segments`; return the segment of each position, -1 for none, and its size."""
    size = np.maximum(-(-lengths // n_segments), 1)
    segments = np.where(positions < 0, -1, positions // size)
    return segments, np.minimum(size, np.maximum(lengths - segments * size, 1))


def estimate_equal_segments(hits, positions, lengths, fuser):
    """Return the share of relevant documents in each of `n_segments` parts of the lists."""
    segments, sizes = _equal_segments(positions, lengths[hits.queries], fuser.n_segments)
    return hits.share_by_segment(segments, sizes, fuser.n_segments)


def believe_equal_segment(estimates, positions, lengths, fuser):
    """Return the share in the segment of each position, divided by the number of that segment, from 1."""
    segments, _ = _equal_segments(positions, lengths, fuser.n_segments)
    return _at(estimates, segments) / (segments + 1)


def by_segment(bounds):
    """Return ``estimate`` and ``believe`` of `RankEstimates` for segments of positions."""

    def segment(positions):
        """Return the segment of each position, -1 for none; positions beyond the last bound are in the last segment."""
        return np.minimum(np.searchsorted(bounds, positions, side="right") - 1, len(bounds) - 2)

    def estimate(hits, positions, lengths, fuser):
        segments = segment(positions)
        return hits.share_by_segment(segments, np.diff(bounds)[segments], len(bounds) - 1)

    def believe(estimates, positions, lengths, fuser):
        return _at(estimates, segment(positions))

    return estimate, believe


def as_log_odds(estimate, believe):
    """Return the same two functions for the logarithms of the odds of the estimates."""

    def estimate_odds(*args):
        shares = np.maximum(estimate(*args), _LEAST)
        return np.log(shares / np.maximum(1 - shares, _LEAST))

    return estimate_odds, believe
