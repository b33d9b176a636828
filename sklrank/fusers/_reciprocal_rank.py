"""ReciprocalRankFuser: reciprocal rank fusion."""

from numbers import Real

import numpy as np

from sklrank._kernels._fusion import add_reciprocal_ranks
from sklrank._validation import Interval
from sklrank.fusers._base_fuser import WeightedFuser
from sklrank.fusers._lists import Lists
from sklrank.fusers._methods import Method, weighted_sum
from sklrank.fusers._normalize import stack_ranks

_SUM = Method(*weighted_sum())
_BLOCK = 1 << 13  # entries per block, so that their sums stay in the processor's cache


class ReciprocalRankFuser(WeightedFuser):
    """Fuse rankings by the sum of their reciprocal ranks (RRF).

    A document gets ``weight / (rank_constant + rank)`` from each list that has it. Ranks are counted from 1. Scores are
    not used, so nothing needs to be normalized.

    Parameters
    ----------
    rank_constant : float, default=60
        Constant that is added to each rank. The larger it is, the less the first ranks stand out.
    weights : dict of str to float, or "learn", default=None
        Weight of each score column, at least 0. A weight of 0 leaves a column out, with the documents that only this
        column has. "learn" chooses the weights that are best on the training queries. If None, each weight is 1.
    metric : str or callable, default="ndcg@10"
        Metric that learned weights maximize. It is the name of a metric, or a function of judgments and a run.
    k : int, default=None
        Number of documents to return for each query. If None, all are returned.

    Attributes
    ----------
    columns_ : tuple of str
        Names of the score columns seen in `fit`.
    weights_ : dict of str to float
        Learned weight of each score column. Only with ``weights="learn"``.

    See Also
    --------
    RankFuser : Fuses by other functions of the ranks.
    ScoreFuser : Fuses scores.
    RetrieverUnion : Makes candidates with score columns.

    Notes
    -----
    The results are equal to the paper and to ranx's ``rrf``. Other tools count differently. Qdrant computes
    ``1 / (2 + position)`` with positions from 0, which is ``rank_constant=1``, and its weights change the ranks instead
    of multiplying the result. Weaviate's ``rankedFusion`` counts from 0 with the constant 60, which is
    ``rank_constant=59``.

    Documents that have the same ranks in different lists tie exactly. Equal scores are ordered by row.

    Parameters that need a new `fit`, if it learns: `rank_constant`, `weights` and `metric`. All others take
    effect at once.

    References
    ----------
    Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods",
    SIGIR 2009.

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.fusers import ReciprocalRankFuser
    >>> both = Run.union({"bm25": Run({"q": {"a": 9.0, "b": 5.0}}), "dense": Run({"q": {"b": 0.7, "c": 0.6}})})
    >>> print(ReciprocalRankFuser().transform(both))
    q
      1  b  0.0325225
      2  a  0.0163934
      3  c  0.016129
    """

    _refit_parameters = ("rank_constant", "weights", "metric")

    _parameter_constraints: dict = {
        **WeightedFuser._parameter_constraints,
        "rank_constant": [Interval(Real, 0, None, closed="left")],
    }
    _stage = "rrf"

    def __init__(self, rank_constant=60, *, weights=None, metric="ndcg@10", k=None):
        self.rank_constant = rank_constant
        self.weights = weights
        self.metric = metric
        self.k = k

    def _method(self):
        return _SUM

    def _prepare(self, run, names):
        return Lists(run.indptr, 1.0 / (float(self.rank_constant) + stack_ranks(run, names)))

    def _fuse(self, run, names):
        # The sum over the lists of `_prepare`, in one pass.
        columns = [
            (np.ascontiguousarray(run.column_ranks(name), dtype=np.float64), weight)
            for name, weight in zip(names, self._weights(names).tolist())
            if weight > 0
        ]
        constant = float(self.rank_constant)
        totals = np.zeros(len(run.rows))
        errors, counts = np.empty((2, _BLOCK))
        for start in range(0, len(totals), _BLOCK):
            block = totals[start : start + _BLOCK]
            errors[:], counts[:] = 0.0, 0.0
            for ranks, weight in columns:
                add_reciprocal_ranks(ranks[start : start + _BLOCK], constant, weight, block, errors, counts)
            block += errors[: len(block)]
            block[counts[: len(block)] == 0] = np.nan
        return totals
