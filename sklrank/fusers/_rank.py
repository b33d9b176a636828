"""Fusion by functions of the ranks."""

from numbers import Real

import numpy as np

from sklrank._kernels._fusion import condorcet, copeland, weighted_median
from sklrank._ragged import kept_entries
from sklrank._validation import Interval, StrOptions
from sklrank.data._order import rank
from sklrank.fusers._base import WeightedFuser
from sklrank.fusers._normalize import Lists, borda_points, stack_ranks

_FUNCTIONS = ("isr", "log_isr", "logn_isr", "rbc")  # of one rank at a time
_POINTS = ("borda", "median")
_DUELS = ("condorcet", "copeland")


class RankFuser(WeightedFuser):
    r"""Fuse rankings by points for ranks, or by majority.

    Scores play no part, so that nothing needs to be normalized. Reciprocal ranks have a fuser of their own.

    Parameters
    ----------
    method : str, default="borda"
        With :math:`r_i` the rank of a document in list :math:`i`, from 1, :math:`w_i` the weight of the list, sums over
        the lists that have the document, :math:`N` the number of them, and :math:`C` the number of candidates of the
        query:

        - "borda": :math:`\sum_i w_i (C + 1 - r_i)`. The documents that a list lacks share the points that it leaves
          over: each gets :math:`(C + 1 - n_i) / 2` from a list of length :math:`n_i`;
        - "median": the (weighted) median of these points;
        - "isr": :math:`N \sum_i w_i / r_i^2`;
        - "log_isr": the same with :math:`\ln N` for :math:`N`, so that documents of a single list score 0;
        - "logn_isr": the same with :math:`\ln (N + \sigma)`;
        - "rbc", rank-biased centroids: :math:`\sum_i w_i (1 - \phi) \phi^{r_i - 1}`;
        - "condorcet": the candidates are sorted so that each beats its successor, or ties with it: a list votes for the
          one that it ranks higher, and for one that it has against one that it lacks. Among ties and in cycles the
          Borda points decide. The score is :math:`C` less the position;
        - "copeland": the number of candidates that a document beats in this way, a tie counting one half.
    weights : dict of str to float, or "learn", default=None
        Weight of each score column, at least 0; 0 leaves a column out, with the documents that it alone has. "learn"
        takes those that are best on the training queries. ``None``: 1 each.
    phi : float, default=0.95
        Persistence of "rbc", above 0 and below 1: the chance to read on.
    sigma : float, default=0.01
        What "logn_isr" adds to the number of lists, above 0.
    metric : str or callable, default="ndcg@10"
        What learned weights maximize: the name of a metric, or a function of judgments and a run.
    k : int, default=None
        How many documents to keep for each query; ``None``: all.

    Attributes
    ----------
    columns_ : tuple of str
        The score columns that were seen in `fit`.
    weights_ : dict of str to float
        The learned weights; only with ``weights="learn"``.

    See Also
    --------
    ReciprocalRankFuser : The usual function of the ranks.
    ScoreFuser : Fuses scores.

    Notes
    -----
    Equal to ranx's ``bordafuse``, ``w_bordafuse``, ``isr``, ``log_isr``, ``logn_isr`` and ``rbc``. Its ``condorcet``
    and ``w_condorcet`` count a list that has neither of two documents as a vote against whichever comes first, and
    start from the order of a hash table; here such a list abstains, and the same input gives the same result.

    Condorcet compares pairs of candidates O(C log C) times, Copeland all of them.

    Parameters that need a new `fit`, if it learns: `method`, `weights`, `phi`, `sigma` and `metric`. All others take
    effect at once.

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
        "method": [StrOptions({*_FUNCTIONS, *_POINTS, *_DUELS})],
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

    def _is_joint(self):
        return self.method in _POINTS  # which depend on the number of candidates

    def _prepare(self, run, names):
        ranks = stack_ranks(run, names)
        if self.method in _POINTS:
            return borda_points(run.indptr, ranks)
        nothing = np.full((len(names), len(run)), np.nan)
        if self.method in _DUELS:
            return Lists(run.indptr, ranks, nothing, run.rows)
        # Ranks are whole numbers: the function is worked out once for each, and looked up.
        missing = np.isnan(ranks)
        places = np.where(missing, 0, ranks).astype(np.int64)
        r = np.arange(1, places.max(initial=0) + 1)
        by_rank = (1 - self.phi) * self.phi ** (r - 1.0) if self.method == "rbc" else 1.0 / (r * r)
        return Lists(run.indptr, np.concatenate([[np.nan], by_rank])[places], nothing)

    def _combine(self, lists, weights):
        if self.method in _DUELS:
            return self._duel(lists, weights)
        totals, counts, _ = lists.add(weights)
        if self.method == "median":
            weighted_median(lists.indptr, lists.values, lists.absent, weights, totals)
        else:
            totals *= self._factor(counts)
        totals[counts == 0] = np.nan
        return totals

    def _factor(self, counts):
        """What the sum is multiplied with."""
        counts = np.maximum(counts, 1.0)
        factors = {"isr": counts, "log_isr": np.log(counts), "logn_isr": np.log(counts + self.sigma)}
        return factors.get(self.method, 1.0)

    def _duel(self, lists, weights):
        missing = np.isnan(lists.values)
        found, indptr = kept_entries(lists.indptr, ~missing.all(axis=0))
        ranks = np.ascontiguousarray(np.where(missing, np.inf, lists.values)[:, found])
        points = np.empty(ranks.shape[1])
        if self.method == "copeland":
            copeland(indptr, ranks, weights, points)
        else:
            borda, _, _ = borda_points(indptr, lists.values[:, found]).add(weights)
            order, _, _ = rank(indptr, borda, lists.rows[found])
            condorcet(indptr, ranks, weights, order, points)
        fused = np.full(missing.shape[1], np.nan)
        fused[found] = points
        return fused

    def _contribute(self, lists, weights):
        if self.method in (*_DUELS, "median"):
            return np.full_like(lists.values, np.nan)
        _, counts, _ = lists.add(weights)
        return lists.filled() * weights[:, np.newaxis] * self._factor(counts)
