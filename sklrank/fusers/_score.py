"""ScoreFuser: fusion of normalized scores."""

from dataclasses import dataclass
from numbers import Real

import numpy as np

from sklrank._validation import Interval, StrOptions
from sklrank.data._ids import show
from sklrank.fusers._base_fuser import WeightedFuser
from sklrank.fusers._lists import Lists
from sklrank.fusers._methods import Method, extreme, mean, median, weighted_sum
from sklrank.fusers._normalize import NORMS, normalize

_FLOOR = 1e-3  # least score in geometric and harmonic means


@dataclass(frozen=True)
class ScoreMethod(Method):
    """Entry of the table of methods.

    Parameters
    ----------
    combine, contribute : callable
        As in `Method`.
    ignores_missing : bool, default=False
        Whether a list that lacks a document does not count for it with ``missing="auto"``.
    negative : bool, default=True
        Whether the method accepts negative scores.
    """

    ignores_missing: bool = False
    negative: bool = True


METHODS = {
    "sum": ScoreMethod(*weighted_sum()),
    "weighted": ScoreMethod(*weighted_sum(lambda sums, fuser: 1 / sums.weights.sum())),
    "mnz": ScoreMethod(*weighted_sum(lambda sums, fuser: sums.counts)),
    "gmnz": ScoreMethod(*weighted_sum(lambda sums, fuser: sums.counts**fuser.gamma)),
    "wmnz": ScoreMethod(*weighted_sum(lambda sums, fuser: sums.weights @ ~np.isnan(sums.lists.values), plain=True)),
    # The authors of these four use only the lists that have a document.
    "anz": ScoreMethod(*weighted_sum(lambda sums, fuser: 1 / sums.total_weight()), ignores_missing=True),
    "max": ScoreMethod(*extreme(np.fmax), ignores_missing=True),
    "min": ScoreMethod(*extreme(np.fmin), ignores_missing=True),
    "median": ScoreMethod(median, ignores_missing=True),
    "geometric": ScoreMethod(mean(np.log, np.exp, least=_FLOOR), negative=False),
    "harmonic": ScoreMethod(mean(np.reciprocal, np.reciprocal, least=_FLOOR), negative=False),
}


class ScoreFuser(WeightedFuser):
    r"""Fuse scores: normalize each list, then combine the scores of each document.

    Parameters
    ----------
    method : str, default="sum"
        Method of fusion. In the formulas, :math:`s_i` is the normalized score of a document in
        list :math:`i`, :math:`w_i` is the weight of the list, and :math:`N` is the number of lists that have the
        document:

        - "sum" (CombSUM): :math:`\sum_i w_i s_i`;
        - "weighted": the same divided by :math:`\sum_i w_i`, a convex combination;
        - "mnz" (CombMNZ): :math:`N \sum_i w_i s_i`;
        - "gmnz": :math:`N^\gamma \sum_i w_i s_i`;
        - "wmnz": :math:`\sum_i s_i` times the sum of the weights of the lists that have the document;
        - "anz" (CombANZ): the weighted mean over the lists that have the document;
        - "max", "min" and "median": the largest and the smallest of :math:`w_i s_i`, and the weighted median;
        - "geometric" and "harmonic": weighted means of the scores. Scores below .001 are raised to it first.
    norm : str, default="min-max"
        Normalization of the scores of a list. A list holds the documents that one system found for one query:

        - "min-max": :math:`(s - \min) / (\max - \min)`;
        - "max": :math:`s / \max`; if no score is positive, divided by the largest magnitude instead;
        - "sum": :math:`s - \min`, divided by the sum of these differences;
        - "zmuv": :math:`s` minus the mean, divided by the standard deviation;
        - "dbsf" (distribution-based): the mean minus and plus three (sample) standard deviations become 0 and 1;
        - "tmm" (theoretical min-max): :math:`(s - b) / (\max - b)`, where :math:`b` is the least score that the system
          can give, see `theoretical_min`;
        - "l2": :math:`s` divided by the root of the sum of squares;
        - "sigmoid": :math:`1 / (1 + e^{-s})`;
        - "rank": :math:`1 - (r - 1) / n`, where :math:`r` is the rank and :math:`n` is the length of the list;
        - "borda": :math:`1 - (r - 1) / C`, where :math:`C` is the number of candidates of the query. A document that
          the list lacks gets :math:`1/2 - (n - 1) / 2C`;
        - "quantile": the share of the list's scores that are not higher;
        - "none": scores are not changed.
    weights : dict of str to float, or "learn", default=None
        Weight of each score column, at least 0. A weight of 0 leaves a column out, with the documents that only this
        column has. "learn" chooses the weights that are best on the training queries. If None, each weight is 1.
    missing : {"auto", "min", "zero", "ignore"} or float, default="auto"
        Normalized score of the documents that a list lacks:

        - "min": the lowest score of the list, or 0 if that is less. With ``norm="borda"``, the score that this norm
          gives to missing documents;
        - "zero": 0;
        - "ignore": none, so that the list does not count for these documents;
        - a number: that number;
        - "auto": "ignore" for the methods "anz", "max", "min" and "median", which use only the lists that have the
          document, unless the norm is "borda". "min" otherwise.
    clip : (float or None, float or None), default=None
        Lower and upper limit of normalized scores. If None, there is no limit.
    gamma : float, default=0.5
        Exponent of "gmnz".
    theoretical_min : float or dict of str to float, default=0
        Least score that a system can give, for "tmm": 0 for BM25, -1 for the cosine. A dict holds it by the name of the
        score column; columns that are not in the dict have 0.
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
    ReciprocalRankFuser : Needs no normalization.
    RankFuser : Fuses by other functions of the ranks.

    Notes
    -----
    *Constant lists*, and lists of one document, distinguish only documents that were found from documents that were
    not. If the norm would divide by 0, their scores become 1. With "sum", the scores of the list sum to 1, and with
    "dbsf", they are .5, the middle.

    *Infinite scores* count as the finite score of the list that is nearest to them.

    *Documents that a list lacks* get at most the lowest score of the list. With z-scores, a score of 0 would be the
    mean of the list, and better than half of the documents that it found.

    The results are equal to those of ranx's ``sum``, ``wsum`` (here "sum" with weights), ``mnz``, ``gmnz``, ``wmnz``,
    ``mixed`` ("gmnz" with weights and ``gamma=0.5``), ``anz``, ``max``, ``min`` and ``med``, with these exceptions:

    - constant lists are 0 in ranx with "min-max", "sum" and "zmuv";
    - ranx multiplies lists without a positive score by a billion with "max";
    - ranx counts an absent document as 0 with "zmuv", and, if the list has a negative score, with "none" and "max";
      ``missing="zero"`` does the same;
    - with "borda", ranx counts all lists in "mnz", "gmnz" and "wmnz".

    For ``min-max-inverted``, make a run of distances: ``Run(…, higher_is_better=False)``.

    ``norm="dbsf", missing="zero"`` is equal to Qdrant's ``dbsf``, and ``method="weighted"`` to Weaviate's
    ``relativeScoreFusion``. OpenSearch's "geometric_mean" and "harmonic_mean" ignore missing documents.

    Parameters that need a new `fit`, if it learns: `method`, `norm`, `weights`, `missing`, `clip`, `gamma`,
    `theoretical_min` and `metric`. All others take effect at once.

    References
    ----------
    Fox and Shaw, "Combination of multiple searches", TREC-2, 1993. Lee, "Analyses of multiple evidence combination",
    SIGIR 1997 (gmnz). Wu and Crestani, "Data fusion with estimated weights", CIKM 2002 (wmnz). Bruch, Gai and Ingber,
    "An analysis of fusion functions for hybrid retrieval", TOIS 2023 (tmm).

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.fusers import ScoreFuser
    >>> bm25, dense = Run({"q": {"a": 9.0, "b": 5.0, "c": 4.0}}), Run({"q": {"b": 0.7, "d": 0.6}})
    >>> both = Run.union({"bm25": bm25, "dense": dense})
    >>> print(ScoreFuser().transform(both))
    q
      1  b  1.2
      2  a  1
      3  c  0
      4  d  0
    >>> print(ScoreFuser("weighted", weights={"bm25": 0.8, "dense": 0.2}, k=1).transform(both))
    q
      1  a  0.8
    """

    _refit_parameters = (
        "method",
        "norm",
        "weights",
        "missing",
        "clip",
        "gamma",
        "theoretical_min",
        "metric",
    )

    _parameter_constraints: dict = {
        **WeightedFuser._parameter_constraints,
        "method": [StrOptions(set(METHODS))],
        "norm": [StrOptions(set(NORMS))],
        "missing": [StrOptions({"auto", "min", "zero", "ignore"}), Interval(Real, None, None, closed="neither")],
        "clip": [tuple, list, None],
        "gamma": [Interval(Real, 0, None, closed="left")],
        "theoretical_min": [Interval(Real, None, None, closed="neither"), dict],
    }
    _stage = "score_fusion"

    def __init__(
        self,
        method="sum",
        *,
        norm="min-max",
        weights=None,
        missing="auto",
        clip=None,
        gamma=0.5,
        theoretical_min=0.0,
        metric="ndcg@10",
        k=None,
    ):
        self.method = method
        self.norm = norm
        self.weights = weights
        self.missing = missing
        self.clip = clip
        self.gamma = gamma
        self.theoretical_min = theoretical_min
        self.metric = metric
        self.k = k

    def _method(self):
        return METHODS[self.method]

    def _is_joint(self):
        return NORMS[self.norm].joint

    def _prepare(self, run, names):
        lists = normalize(run, names, self.norm, self._leasts(run, names))
        values, absent = lists.values, self._absent(lists.absent)
        if self.clip is not None:
            low, high = _limits(self.clip)
            values, absent = values.clip(low, high), absent.clip(low, high)
        if not self._method().negative and (values < 0).any():
            raise ValueError(
                f"method={self.method!r} needs scores of at least 0, but norm={self.norm!r} made negative ones; use "
                "another norm, or clip=(0, None)"
            )
        return Lists(lists.indptr, values, absent)

    def _leasts(self, run, names):
        """Return the least score that each system can give."""
        least = self.theoretical_min
        if not isinstance(least, dict):
            return [float(least)] * len(names)
        unknown = [name for name in least if name not in run.columns]
        if unknown:
            raise ValueError(
                f"theoretical_min of unknown score columns: {show(unknown)}; there are {list(run.columns)}"
            )
        for name, value in least.items():
            if not isinstance(value, Real) or not np.isfinite(value):
                raise ValueError(f"expected a finite number as theoretical_min of {name!r}, got {value!r}")
        return [float(least.get(name, 0.0)) for name in names]

    def _absent(self, absent):
        """Return the value of missing documents; `absent` is the value that the norm gives them."""
        missing = self.missing
        if missing == "auto" and self._method().ignores_missing and not self._is_joint():
            missing = "ignore"
        if missing in ("auto", "min"):
            return absent
        return np.full_like(absent, {"zero": 0.0, "ignore": np.nan}.get(missing, missing))


def _limits(clip):
    """Return the lowest and the highest normalized score."""
    message = f"expected clip to be two numbers, the lower one first, or None for no limit; got {clip!r}"
    if len(clip) != 2 or not all(limit is None or isinstance(limit, Real) for limit in clip):
        raise ValueError(message)
    low, high = clip
    if low is None:
        low = -np.inf
    if high is None:
        high = np.inf
    if not low < high:
        raise ValueError(message)
    return low, high
