"""ProbabilisticFuser: fusion by the probability of relevance at each rank, learned from judgments."""

from numbers import Integral, Real

import numpy as np

from sklrank._validation import Interval, StrOptions
from sklrank.fusers._base_fuser import ColumnFuser, check_weights
from sklrank.fusers._estimates import (
    NOT_FOUND,
    RankEstimates,
    as_log_odds,
    believe_equal_segment,
    believe_position,
    believe_precision,
    believe_window,
    by_segment,
    estimate_equal_segments,
    estimate_positions,
    estimate_precision,
)
from sklrank.fusers._lists import Lists
from sklrank.fusers._normalize import NORMS, normalize
from sklrank.fusers._weights import learn_weights

_SEGFUSE = np.array([0, *(10 * 2**i - 5 for i in range(10))])  # start of each segment, and end of the last
_BAYESFUSE = np.array([0, 5, 10, 15, 20, 30, 100, 200, 500, 1000])


class Mixture:
    """Method "mixed": the weighted sum of normalized scores, times the root of the number of systems that found it."""

    def learner(self, fuser):
        """Return the parameter that makes the fuser learn from judgments; None if it does not learn."""
        if isinstance(fuser.weights, str):
            return 'weights="learn"'
        return None

    def refit_parameters(self):
        """Return the parameters of the fuser that need a new `fit`, besides `method`."""
        return "norm", "weights", "metric"

    def learn(self, fuser, run, y, names):
        """Learn the weights, or check the given ones."""
        fuser.estimates_ = {}
        if self.learner(fuser) is None:
            check_weights(fuser.weights, names)
            return
        scores = normalize(run, names, fuser.norm).values

        def fuse(weights):
            return _sum(run, self._mix(scores, weights))

        fuser.weights_, _ = learn_weights(fuse, names, run, y, metric=fuser.metric)

    def contribute(self, fuser, run, names):
        """Return the normalized scores, and the share of each column in the fused scores."""
        weights = fuser.weights
        if self.learner(fuser) is not None:
            weights = fuser.weights_
        scores = normalize(run, names, fuser.norm).values
        return scores, self._mix(scores, check_weights(weights, names))

    def _mix(self, scores, weights):
        scores = np.where(weights[:, None] > 0, scores, np.nan)  # a system of weight 0 is left out
        return scores * weights[:, None] * np.sqrt((~np.isnan(scores)).sum(axis=0))


def _sum(run, added):
    """Sum over the columns, NaN if none has the candidate. The order of the columns changes no bit of the sum."""
    sums = Lists(run.indptr, added).add(np.ones(len(added)))
    return np.where(sums.counts > 0, sums.totals, np.nan)


METHODS = {
    "probfuse": RankEstimates(estimate_equal_segments, believe_equal_segment, parameters=("n_segments",)),
    "segfuse": RankEstimates(*by_segment(_SEGFUSE), uses_scores=True),
    "slidefuse": RankEstimates(estimate_positions, believe_window),
    "posfuse": RankEstimates(estimate_positions, believe_position),
    "mapfuse": RankEstimates(estimate_precision, believe_precision),
    "bayesfuse": RankEstimates(*as_log_odds(*by_segment(_BAYESFUSE)), absent=NOT_FOUND),
    "mixed": Mixture(),
}


class ProbabilisticFuser(ColumnFuser):
    """Fuse by the probability of relevance at each rank of each system, learned from judged queries.

    A system that is good at its top ranks and poor below counts for more at its top ranks.

    Parameters
    ----------
    method : {"probfuse", "segfuse", "slidefuse", "posfuse", "mapfuse", "bayesfuse", "mixed"}, default="slidefuse"
        Method of fusion. See Notes.
    n_segments : int, default=25
        Number of equal segments into which "probfuse" cuts each list.
    window : int, default=2
        Number of ranks on each side that "slidefuse" includes in its mean.
    norm : str, default="min-max"
        Normalization of the scores of a list. The names are those of `ScoreFuser`. Used by "segfuse" and "mixed".
    weights : dict of str to float, "learn" or None, default="learn"
        Weight of each score column, at least 0. Used by "mixed". "learn" chooses the weights that are best on the
        training queries. If None, each weight is 1.
    metric : str or callable, default="ndcg@10"
        Metric that learned weights maximize. Used by "mixed".
    relevance_level : float, default=1
        Lowest grade that counts as relevant.
    k : int, default=None
        Number of documents to return for each query. If None, all are returned.

    Attributes
    ----------
    columns_ : tuple of str
        Names of the score columns seen in `fit`.
    estimates_ : dict of str to ndarray
        Estimates of each column. For "probfuse" and "segfuse", the probability of relevance in each segment. For
        "slidefuse" and "posfuse", the probability at each rank. For "bayesfuse", the log odds of relevance in each
        segment. For "mapfuse", the mean average precision. Empty for "mixed".
    weights_ : dict of str to float
        Learned weight of each score column. Only for "mixed" with ``weights="learn"``.

    See Also
    --------
    ReciprocalRankFuser : Learns nothing, and is hard to beat with few judged queries.
    ScoreFuser : Combines scores. With learned weights it is stronger if the scores are meaningful.

    Notes
    -----
    A system that found the document at rank r adds the following to its score, where P is the mean over the training
    queries of the share of relevant documents::

        probfuse   P(segment) / number of the segment, from 1; each list is cut into n_segments
        segfuse    P(segment) (1 + normalized score); segments end at ranks 5, 15, 35, 75, …
        posfuse    P(r)
        slidefuse  mean of P(r - window), …, P(r + window), up to the end of the list
        mapfuse    mean average precision / r
        bayesfuse  log(P(segment) / (1 - P(segment))); segments end at 5, 10, 15, 20, 30, 100, 200, 500, 1000
        mixed      weight · normalized score · √(number of systems that found it)

    A system that did not find the document adds nothing, or in "bayesfuse" log(.001 / .999).

    The training queries are the queries with a judgment. As in trec_eval's precision, the ranks of a segment beyond the
    end of a list count as not relevant. In contrast, P(r) is a mean over the lists that reach rank r.

    The results are equal to those of ranx up to rounding, with these exceptions:

    - ranks and segments beyond the training lists take the last estimate; ranx gives 0, takes the mean of too few
      values (slidefuse), or reads beyond an array (bayesfuse below rank 1000);
    - bayesfuse computes odds from a probability and a contrary of at least .001, so that a document that is found never
      counts less than one that is not found;
    - the min-max norm of a constant list is 1, not 0;
    - in "mixed" a system of weight 0 is left out and not counted;
    - equal scores are ordered by row.

    The segments of segfuse are those of ranx. The formula in its paper, 10 · 2^(k - 1) - 5, can also be read as their
    sizes.

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
        "method": [StrOptions(set(METHODS))],
        "n_segments": [Interval(Integral, 1, None, closed="left")],
        "window": [Interval(Integral, 0, None, closed="left")],
        "norm": [StrOptions(set(NORMS))],
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

    def _needs_refit(self, name, old, new):
        used = name == "method" or name in self._entry().refit_parameters()
        return used and super()._needs_refit(name, old, new)

    def _entry(self):
        """Return the entry of the table of methods; the default's if `method` is unknown, which `fit` refuses."""
        return METHODS.get(self.method, METHODS["slidefuse"])

    def _learner(self):
        return self._entry().learner(self)

    def _learn(self, run, y, names):
        METHODS[self.method].learn(self, run, y, names)

    def _fuse(self, run, names):
        return _sum(run, METHODS[self.method].contribute(self, run, names)[1])

    def contributions(self, X):
        """Return what each score column adds to the fused scores.

        Parameters
        ----------
        X : Run
            Candidates. They have score columns.

        Returns
        -------
        values : ndarray of float64, shape (n_columns, n_entries)
            Normalized scores. NaN if the column has no score, or if the method does not use scores.
        contributions : ndarray of float64, shape (n_columns, n_entries)
            The share of each column in the fused score. NaN if there is none.
        """
        return METHODS[self.method].contribute(self, X, self._check(X))
