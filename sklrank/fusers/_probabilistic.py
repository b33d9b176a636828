"""ProbabilisticFuser: how likely a document is relevant at its rank, learned from judgments."""

from numbers import Integral, Real

import numpy as np

from sklrank._ragged import owners
from sklrank._validation import Interval, StrOptions
from sklrank.fusers._base import ColumnFuser, check_weights
from sklrank.fusers._normalize import NORMS, Lists, normalize
from sklrank.fusers._weights import judge, learn_weights

_SEGFUSE = np.array([0, *(10 * 2**i - 5 for i in range(10))])  # bounds of the segments
_BAYESFUSE = np.array([0, 5, 10, 15, 20, 30, 100, 200, 500, 1000])
_LEAST = 0.001  # least probability, and least one of the contrary, so that odds are finite
_NOT_FOUND = np.log(_LEAST / (1 - _LEAST))


class ProbabilisticFuser(ColumnFuser):
    """Fuse by the probability of relevance at each rank of each system, learned from judged queries.

    A system that is good at its top and poor below is believed where it is good.

    Parameters
    ----------
    method : {"probfuse", "segfuse", "slidefuse", "posfuse", "mapfuse", "bayesfuse", "mixed"}, default="slidefuse"
        What is learned, and how it is combined; see Notes.
    n_segments : int, default=25
        Number of equal segments that "probfuse" cuts each list into.
    window : int, default=2
        Ranks on either side over which "slidefuse" averages.
    norm : str, default="min-max"
        Normalization of the scores that "segfuse" and "mixed" look at; as in `ScoreFuser`.
    weights : dict of str to float, "learn" or None, default="learn"
        Weights of the systems in "mixed"; ``None``: 1 each.
    metric : str or callable, default="ndcg@10"
        What the learned weights of "mixed" maximize on the training queries.
    relevance_level : float, default=1
        The lowest grade that counts as relevant.
    k : int, default=None
        Length of the fused rankings; ``None`` keeps all candidates.

    Attributes
    ----------
    columns_ : tuple of str
        The score columns that were seen in `fit`.
    estimates_ : dict of str to ndarray
        What was learned of each column. "probfuse", "segfuse": probability of relevance in each segment. "slidefuse",
        "posfuse": at each rank. "bayesfuse": log odds of relevance in each segment. "mapfuse": mean average precision.
        Empty for "mixed".
    weights_ : dict of str to float
        Learned weights, of "mixed" with ``weights="learn"``.

    See Also
    --------
    ReciprocalRankFuser : Learns nothing, and is hard to beat with few judged queries.
    ScoreFuser : Combines scores; with learned weights it is the stronger one where scores mean something.

    Notes
    -----
    What a system that found the document at rank r adds to its score, where P is the mean over the training queries of
    the share of relevant documents::

        probfuse   P(segment) / number of the segment, from 1; each list is cut into n_segments
        segfuse    P(segment) (1 + normalized score); segments end at ranks 5, 15, 35, 75, …
        posfuse    P(r)
        slidefuse  mean of P(r - window), …, P(r + window), as far as the list goes
        mapfuse    mean average precision / r
        bayesfuse  log(P(segment) / (1 - P(segment))); segments end at 5, 10, 15, 20, 30, 100, 200, 500, 1000
        mixed      weight · normalized score · √(number of systems that found it)

    A system that did not find the document adds nothing, or in "bayesfuse" log(.001 / .999).

    Training queries are those with a judgment. As in trec_eval's precision, a list that ends before a segment does has
    no relevant document there; in P(r) count only the lists that reach rank r.

    The results are ranx's, up to rounding, with these differences. Ranks and segments below all that training saw take
    the last estimate; ranx gives 0, averages too little (slidefuse), or reads beyond an array (bayesfuse below rank
    1000). The probability and its contrary that bayesfuse takes odds of are at least .001, so that being found never
    counts less than not being found. The min-max norm of a constant list is 1, not 0. In "mixed" a system of weight 0
    is left out and not counted. Equal scores go by row. The segments of segfuse are ranx's; the formula in its paper,
    10 · 2^(k - 1) - 5, can also be read as their sizes.

    Parameters that need a new `fit`, if it learns: `method`, `n_segments`, `norm`, `weights`, `metric` and
    `relevance_level`. All others take effect at once.

    References
    ----------
    Lillis, D., Toolan, F., Collier, R., & Dunnion, J. (2006). ProbFuse: a probabilistic approach to data fusion. SIGIR.

    Lillis, D., Toolan, F., Collier, R., & Dunnion, J. (2008). Extending probabilistic data fusion using sliding
    windows. ECIR.

    Lillis, D., Zhang, L., Toolan, F., Collier, R., Leonard, D., & Dunnion, J. (2010). Estimating probabilities for
    effective data fusion. SIGIR.

    Shokouhi, M. (2007). Segmentation of search engine results for effective data-fusion. ECIR.

    Aslam, J. A., & Montague, M. (2001). Models for metasearch. SIGIR.

    Wu, S., & Crestani, F. (2002). Data fusion with estimated weights. CIKM.

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.fusers import ProbabilisticFuser
    >>> good = Run({"q1": ["a", "b"], "q2": ["c", "d"]})
    >>> poor = Run({"q1": ["x", "a"], "q2": ["y", "z"]})
    >>> candidates = Run.union({"good": good, "poor": poor})
    >>> fuser = ProbabilisticFuser("posfuse").fit(candidates, {"q1": {"a": 1}, "q2": {"c": 1}})
    >>> fuser.estimates_
    {'good': array([1., 0.]), 'poor': array([0. , 0.5])}
    >>> print(fuser.predict(candidates[:1]))
    q1
      1  a  1.5
      2  b  0
      3  x  0
    """

    _refit_parameters = ("method", "n_segments", "norm", "weights", "metric", "relevance_level")

    _parameter_constraints: dict = {
        **ColumnFuser._parameter_constraints,
        "method": [StrOptions({"probfuse", "segfuse", "slidefuse", "posfuse", "mapfuse", "bayesfuse", "mixed"})],
        "n_segments": [Interval(Integral, 1, None, closed="left")],
        "window": [Interval(Integral, 0, None, closed="left")],
        "norm": [StrOptions(NORMS)],
        "weights": [dict, StrOptions({"learn"}), None],
        "metric": [str, callable],
        "relevance_level": [Interval(Real, 0, None, closed="left")],
    }
    _stage = "probabilistic_fusion"

    def __init__(
        self,
        method="slidefuse",
        *,
        n_segments=25,
        window=2,
        norm="min-max",
        weights="learn",
        metric="ndcg@10",
        relevance_level=1,
        k=None,
    ):
        self.method = method
        self.n_segments = n_segments
        self.window = window
        self.norm = norm
        self.weights = weights
        self.metric = metric
        self.relevance_level = relevance_level
        self.k = k

    def _learn(self, run, y, names):
        self.estimates_ = {}
        if self.method == "mixed":
            self._learn_weights(run, y, names)
            return
        if y is None:
            raise ValueError(f"{self.method!r} learns from the judgments of the training queries: fit(X, y)")
        hits = _Hits(run, y, self.relevance_level)
        for name in names:
            self.estimates_[name] = self._estimate(hits, *_positions(run, name))

    def _learn_weights(self, run, y, names):
        if not isinstance(self.weights, str):
            check_weights(self.weights, names)
            return
        if y is None:
            raise ValueError('weights="learn" needs the judgments of the training queries: fit(X, y)')
        scores = normalize(run, names, self.norm).values

        def score(weights):
            fused = _sum(run, _mix(scores, np.array([weights[name] for name in names])))
            return np.where(np.isnan(fused), -np.inf, fused)

        self.weights_, _ = learn_weights(score, names, run, y, metric=self.metric)

    def _estimate(self, hits, positions, lengths):
        """What is learned of a column."""
        if self.method == "mapfuse":
            return np.array([hits.mean_average_precision(positions)])
        if self.method in ("posfuse", "slidefuse"):
            return hits.share_by_position(positions)
        if self.method == "probfuse":
            n_segments = self.n_segments
            segments, sizes = _equal_segments(positions, lengths[hits.queries], n_segments)
        else:
            bounds = _SEGFUSE if self.method == "segfuse" else _BAYESFUSE
            n_segments, segments = len(bounds) - 1, _segments(positions, bounds)
            sizes = np.diff(bounds)[segments]
        shares = hits.share_by_segment(segments, sizes, n_segments)
        shares = shares[: segments[hits.counted].max(initial=0) + 1]  # those that training saw
        if self.method != "bayesfuse":
            return shares
        shares = np.maximum(shares, _LEAST)
        return np.log(shares / np.maximum(1 - shares, _LEAST))

    def _fuse(self, run, names):
        return _sum(run, self._add(run, names)[1])

    def _contributions(self, run):
        """Normalized scores, where the method looks at them, and what each column adds, as in `WeightedFuser`."""
        return self._add(run, self._check(run))

    def _add(self, run, names):
        scores = np.full((len(names), len(run.rows)), np.nan)
        if self.method in ("mixed", "segfuse"):
            scores = normalize(run, names, self.norm).values
        if self.method == "mixed":
            weights = check_weights(self.weights_ if isinstance(self.weights, str) else self.weights, names)
            return scores, _mix(scores, weights)
        added = np.full_like(scores, np.nan)
        queries = owners(run.indptr)
        for i, name in enumerate(names):
            positions, lengths = _positions(run, name)
            found = positions >= 0
            added[i, found] = self._believe(self.estimates_[name], positions[found], lengths[queries[found]])
        if self.method == "segfuse":
            added *= 1 + scores
        if self.method == "bayesfuse":
            added[np.isnan(added) & ~np.isnan(added).all(axis=0)] = _NOT_FOUND
        return scores, added

    def _believe(self, estimates, positions, lengths):
        """The estimate for each position of a list, given the length of the list."""
        last = len(estimates) - 1
        if self.method == "mapfuse":
            return estimates[0] / (positions + 1)
        if self.method == "posfuse":
            return estimates[np.minimum(positions, last)]
        if self.method == "probfuse":
            segments, _ = _equal_segments(positions, lengths, self.n_segments)
            return estimates[np.minimum(segments, last)] / (segments + 1)
        if self.method == "slidefuse":
            total, count = np.zeros(len(positions)), np.zeros(len(positions))
            for step in range(-self.window, self.window + 1):
                near = positions + step
                inside = (near >= 0) & (near < lengths)
                total[inside] += estimates[np.minimum(near[inside], last)]
                count += inside
            return total / count
        bounds = _SEGFUSE if self.method == "segfuse" else _BAYESFUSE
        return estimates[np.minimum(_segments(positions, bounds), last)]

    def _must_be_fitted(self):
        return self.method != "mixed" or isinstance(self.weights, str)


class _Hits:
    """The relevant candidates of the training queries, and how they lie in the list of a system."""

    def __init__(self, run, y, level):
        judged = judge(run, y)
        self.queries = owners(run.indptr)
        self.counted = judged.has_judgments[self.queries]
        self.n_queries = int(judged.has_judgments.sum())
        self.n_relevant = judged.n_relevant(level)
        places = np.repeat(run.indptr[:-1], np.diff(judged.hit_indptr)) + judged.hit_positions
        self.relevant = np.zeros(len(run.rows), dtype=bool)
        self.relevant[places] = judged.hit_grades >= level

    def share_by_position(self, positions):
        """Share of relevant documents at each position, of the lists that reach it."""
        seen = self.counted & (positions >= 0)
        n = np.bincount(positions[seen])
        n_relevant = np.bincount(positions[seen & self.relevant], minlength=len(n))
        reached = np.flatnonzero(n)
        if not len(reached):
            return np.zeros(1)  # the system found nothing for any query
        nearest = reached[np.searchsorted(reached, np.arange(len(n)), side="right") - 1]  # candidates may be missing
        return n_relevant[nearest] / n[nearest]

    def share_by_segment(self, segments, sizes, n_segments):
        """Mean over the queries of the share of relevant documents in each segment; segment -1 is none."""
        chosen = self.relevant & (segments >= 0)
        cells = self.queries[chosen] * n_segments + segments[chosen]
        n_relevant = np.bincount(cells, minlength=len(self.n_relevant) * n_segments)
        size = np.ones(len(n_relevant))
        size[cells] = sizes[chosen]
        return (n_relevant / size).reshape(-1, n_segments).sum(axis=0) / self.n_queries

    def mean_average_precision(self, positions):
        """Mean over the queries of the average precision."""
        chosen = np.flatnonzero(self.relevant & (positions >= 0))
        chosen = chosen[np.lexsort((positions[chosen], self.queries[chosen]))]
        queries = self.queries[chosen]
        nth = np.arange(len(chosen)) - np.searchsorted(queries, queries) + 1
        total = np.bincount(queries, nth / (positions[chosen] + 1), minlength=len(self.n_relevant))
        return float((total / np.maximum(self.n_relevant, 1)).sum() / self.n_queries)


def _positions(run, name):
    """Position of each candidate in the list of a column, -1 where it lacks it; length of the list of each query."""
    ranks = run.column_ranks(name)
    positions = np.where(np.isnan(ranks), 0, ranks).astype(np.int64) - 1
    lengths = np.zeros(len(run), dtype=np.int64)
    np.maximum.at(lengths, owners(run.indptr), positions + 1)
    return positions, lengths


def _segments(positions, bounds):
    """Number of the segment that holds each position, -1 for none; what lies below all is in the last one."""
    return np.minimum(np.searchsorted(bounds, positions, side="right") - 1, len(bounds) - 2)


def _equal_segments(positions, lengths, n_segments):
    """Number of the segment of each position, -1 for none, and its size, where each list is cut into `n_segments`."""
    size = np.maximum(-(-lengths // n_segments), 1)
    segments = np.where(positions < 0, -1, positions // size)
    return segments, np.minimum(size, np.maximum(lengths - segments * size, 1))


def _mix(scores, weights):
    """Contributions under "mixed": a system of weight 0 is left out."""
    scores = np.where(weights[:, None] > 0, scores, np.nan)
    return scores * weights[:, None] * np.sqrt((~np.isnan(scores)).sum(axis=0))


def _sum(run, added):
    """Sum over the columns, whatever their order, to the last bit; NaN where none has the candidate."""
    totals, counts, _ = Lists(run.indptr, added, np.full((len(added), len(run)), np.nan)).add(np.ones(len(added)))
    totals[counts == 0] = np.nan
    return totals
