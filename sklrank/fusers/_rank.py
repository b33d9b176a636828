"""RankFuser: fusion by functions of the ranks."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np

from sklrank._kernels._fusion import condorcet, copeland
from sklrank._ragged import kept_entries
from sklrank._validation import Interval, StrOptions
from sklrank.data._order import rank
from sklrank.fusers._base_fuser import WeightedFuser
from sklrank.fusers._lists import Lists
from sklrank.fusers._methods import Method, median, weighted_sum
from sklrank.fusers._normalize import borda_points, stack_ranks


@dataclass(frozen=True)
class RankMethod(Method):
    """Entry of the table of methods.

    Parameters
    ----------
    combine, contribute : callable
        As in `Method`.
    prepare : callable
        Function of a run, the ranks in each list and the fuser that returns `Lists`.
    joint : bool, default=False
        Whether the values of a list depend on the documents of the other lists.
    """

    prepare: Callable = None
    joint: bool = False


def _points(run, ranks, fuser):
    return borda_points(run.indptr, ranks)


def _ranks(run, ranks, fuser):
    return Lists(run.indptr, ranks, rows=run.rows)


def _by_rank(function):
    """Return a function that computes values from ranks, which start at 1."""

    def prepare(run, ranks, fuser):
        # Ranks are whole numbers, so the function is computed once for each rank.
        numbers = np.where(np.isnan(ranks), 0, ranks).astype(np.int64)
        values = function(np.arange(1, numbers.max(initial=0) + 1), fuser)
        return Lists(run.indptr, np.concatenate([[np.nan], values])[numbers])

    return prepare


_inverse_squares = _by_rank(lambda r, fuser: 1.0 / (r * r))
_persistence = _by_rank(lambda r, fuser: (1 - fuser.phi) * fuser.phi ** (r - 1.0))


def _majorities(duel):
    """Return a function that computes scores from pairwise votes.

    ``duel(lists, weights)`` counts the votes. The lists that it gets have no entry that all of them lack.
    """

    def combine(lists, weights, fuser):
        entries, indptr = kept_entries(lists.indptr, lists.found)
        fused = np.full(lists.values.shape[1], np.nan)
        fused[entries] = duel(Lists(indptr, lists.values[:, entries], rows=lists.rows[entries]), weights)
        return fused

    return combine


def _ballots(lists):
    """Return the ranks, infinite if the list lacks the document."""
    return np.ascontiguousarray(np.where(np.isnan(lists.values), np.inf, lists.values))


def _copeland(lists, weights):
    points = np.empty(len(lists.rows))
    copeland(lists.indptr, _ballots(lists), weights, points)
    return points


def _condorcet(lists, weights):
    borda = borda_points(lists.indptr, lists.values).add(weights).totals
    order, _, _ = rank(lists.indptr, borda, lists.rows)
    points = np.empty(len(order))
    condorcet(lists.indptr, _ballots(lists), weights, order, points)
    return points


def _found_by(sums):
    """Return the number of lists that have each entry, at least 1, so that its logarithm is finite."""
    return np.maximum(sums.counts, 1.0)


METHODS = {
    "borda": RankMethod(*weighted_sum(), prepare=_points, joint=True),
    "median": RankMethod(median, prepare=_points, joint=True),
    "isr": RankMethod(*weighted_sum(lambda sums, fuser: sums.counts), prepare=_inverse_squares),
    "log_isr": RankMethod(*weighted_sum(lambda sums, fuser: np.log(_found_by(sums))), prepare=_inverse_squares),
    "logn_isr": RankMethod(
        *weighted_sum(lambda sums, fuser: np.log(_found_by(sums) + fuser.sigma)), prepare=_inverse_squares
    ),
    "rbc": RankMethod(*weighted_sum(), prepare=_persistence),
    "condorcet": RankMethod(_majorities(_condorcet), prepare=_ranks),
    "copeland": RankMethod(_majorities(_copeland), prepare=_ranks),
}


class RankFuser(WeightedFuser):
    r"""Fuse rankings by points for ranks, or by majority.

    Scores are not used, so nothing needs to be normalized. For reciprocal ranks use `ReciprocalRankFuser`.

    Parameters
    ----------
    method : str, default="borda"
        Method of fusion. In the formulas, :math:`r_i` is the rank of a document in list
        :math:`i`, from 1, :math:`w_i` is the weight of the list, sums are over the lists that have the document,
        :math:`N` is the number of these lists, and :math:`C` is the number of candidates of the query:

        - "borda": :math:`\sum_i w_i (C + 1 - r_i)`. The documents that a list lacks share its remaining points: each
          gets :math:`(C + 1 - n_i) / 2` from a list of length :math:`n_i`;
        - "median": the (weighted) median of these points;
        - "isr": :math:`N \sum_i w_i / r_i^2`;
        - "log_isr": the same with :math:`\ln N` instead of :math:`N`, so that documents of a single list score 0;
        - "logn_isr": the same with :math:`\ln (N + \sigma)`;
        - "rbc", rank-biased centroids: :math:`\sum_i w_i (1 - \phi) \phi^{r_i - 1}`;
        - "condorcet": the candidates are sorted so that each one beats its successor, or ties with it. A list votes for
          the document that it ranks higher, and for a document that it has against a document that it lacks. Ties and
          cycles are decided by Borda points. The score is :math:`C` minus the position;
        - "copeland": the number of candidates that a document beats in this way. A tie counts one half.
    weights : dict of str to float, or "learn", default=None
        Weight of each score column, at least 0. A weight of 0 leaves a column out, with the documents that only this
        column has. "learn" chooses the weights that are best on the training queries. If None, each weight is 1.
    phi : float, default=0.95
        Persistence of "rbc", above 0 and below 1: the probability that a user reads on.
    sigma : float, default=0.01
        Number that "logn_isr" adds to the number of lists, above 0.
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
    ReciprocalRankFuser : Fuses by the most common function of the ranks.
    ScoreFuser : Fuses scores.

    Notes
    -----
    The results are equal to those of ranx's ``bordafuse``, ``w_bordafuse``, ``isr``, ``log_isr``, ``logn_isr`` and
    ``rbc``. The ``condorcet`` and ``w_condorcet`` of ranx differ: a list that has neither of two documents votes
    against the one that comes first, and the sort starts from the order of a hash table. Here such a list abstains, and
    equal input gives equal results.

    Condorcet makes O(C log C) comparisons of two candidates, Copeland compares all pairs.

    Parameters that need a new `fit`, if it learns: `method`, `weights`, `phi`, `sigma` and `metric`. All others
    take effect at once.

    References
    ----------
    Aslam and Montague, "Models for metasearch", SIGIR 2001 (Borda). Montague and Aslam, "Condorcet fusion for improved
    retrieval", CIKM 2002. Mourão et al., "Multimodal medical information retrieval with unsupervised rank fusion",
    Computerized Medical Imaging and Graphics 39, 2015 (ISR). Bailey et al., "Retrieval consistency in the presence of
    query variations", SIGIR 2017 (RBC).

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.fusers import RankFuser
    >>> both = Run.union({"bm25": Run({"q": {"a": 9.0, "b": 5.0}}), "dense": Run({"q": {"b": 0.7, "c": 0.6}})})
    >>> print(RankFuser("borda").transform(both))
    q
      1  b  5
      2  a  4
      3  c  3
    """

    _refit_parameters = ("method", "weights", "phi", "sigma", "metric")

    _parameter_constraints: dict = {
        **WeightedFuser._parameter_constraints,
        "method": [StrOptions(set(METHODS))],
        "phi": [Interval(Real, 0, 1, closed="neither")],
        "sigma": [Interval(Real, 0, None, closed="neither")],
    }
    _stage = "rank_fusion"

    def __init__(self, method="borda", *, weights=None, phi=0.95, sigma=0.01, metric="ndcg@10", k=None):
        self.method = method
        self.weights = weights
        self.phi = phi
        self.sigma = sigma
        self.metric = metric
        self.k = k

    def _method(self):
        return METHODS[self.method]

    def _is_joint(self):
        return METHODS[self.method].joint

    def _prepare(self, run, names):
        return METHODS[self.method].prepare(run, stack_ranks(run, names), self)
