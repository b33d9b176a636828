"""Metrics of graded judgments."""

from sklrank.metrics._metric_functions import metric


@metric("ndcg")
def ndcg_score(
    y_true, y_score, *, k=None, gain="linear", judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute normalized discounted cumulative gain (nDCG).

    Discounted cumulative gain (DCG) sums the gains of the documents, each divided by the logarithm of its rank plus
    one. nDCG divides it by the DCG of the ideal ranking of all judged documents::

        DCG@k = sum of gain(grade) / log2(rank + 1) over the ranks 1, …, k

    On inputs without ties the value equals scikit-learn's, also for dense matrices.

    Names: ``ndcg@10``, ``nDCG@10``, ``ndcg_cut_10``.

    {parameters}

    See Also
    --------
    dcg_score : The same metric, not divided by that of the ideal ranking.
    expected_reciprocal_rank_score : A graded metric of how soon a reader is satisfied.

    Notes
    -----
    {conventions}

    The ideal ranking holds all judged documents, retrieved or not. If `y_true` and `y_score` are dense matrices, every
    document is judged and retrieved.

    References
    ----------
    Järvelin, K., & Kekäläinen, J. (2002). Cumulated gain-based evaluation of IR techniques. ACM Transactions on
    Information Systems, 20(4), 422-446.

    Burges, C., et al. (2005). Learning to rank using gradient descent. ICML 2005.

    Examples
    --------
    >>> from sklrank.metrics import ndcg_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> round(ndcg_score(qrels, run, k=10), 4)
    0.6956
    >>> ndcg_score(qrels, run, k=10, average=None).round(4)
    array([0.7602, 0.6309])
    >>> round(ndcg_score([[3, 0, 2]], [[0.1, 0.7, 0.4]]), 4)
    0.648
    """


@metric("dcg")
def dcg_score(y_true, y_score, *, k=None, gain="linear", judged_only=False, average="mean", sample_weight=None):
    """Compute discounted cumulative gain (DCG).

    DCG sums the gains of the documents, each divided by the logarithm of its rank plus one. On inputs without ties the
    value equals scikit-learn's, also for dense matrices.

    Names: ``dcg@10``.

    {parameters}

    See Also
    --------
    ndcg_score : DCG divided by that of the ideal ranking.

    Notes
    -----
    {ties}

    *Queries without relevant documents* count 0, because no document has a gain. Queries without any judgment never
    enter the mean. Judged queries that the run lacks count 0.

    {unjudged}

    References
    ----------
    Järvelin, K., & Kekäläinen, J. (2002). Cumulated gain-based evaluation of IR techniques. ACM Transactions on
    Information Systems, 20(4), 422-446.

    Examples
    --------
    >>> from sklrank.metrics import dcg_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> round(dcg_score(qrels, run, k=10), 4)
    1.3155
    """


@metric(
    "rbp",
    gain=(
        '{"linear", "exponential"}, dict, array-like of shape (n_grades,) or None',
        "Gain of a grade, as in `ndcg_score`, divided by the gain of `max_grade`; `relevance_level` then has no "
        "effect. If None, the gain is 1 for relevant documents and 0 for others.",
    ),
    max_grade=(
        "float",
        "Highest grade of the scale, for graded gains. If None, it is the highest grade in `y_true`; set it if "
        "`y_true` may be only a part of the judgments, as in cross-validation.",
    ),
)
def rank_biased_precision_score(
    y_true,
    y_pred,
    *,
    p=0.8,
    k=None,
    relevance_level=1,
    gain=None,
    max_grade=None,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Compute rank-biased precision (RBP), binary or graded.

    It is the expected gain per document for a reader who continues to the next document with probability `p`::

        RBP = (1 - p) · sum of gain · p^(rank - 1)

    Names: ``rbp(p=0.8)``, ``rbp.80``.

    {parameters}

    See Also
    --------
    expected_reciprocal_rank_score : A metric for a reader who stops at a good document.

    Notes
    -----
    {conventions}

    References
    ----------
    Moffat, A., & Zobel, J. (2008). Rank-biased precision for measurement of retrieval effectiveness. ACM Transactions
    on Information Systems, 27(1), article 2.

    Examples
    --------
    >>> from sklrank.metrics import rank_biased_precision_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> round(rank_biased_precision_score(qrels, run, p=0.8), 4)
    0.244
    >>> round(rank_biased_precision_score(qrels, run, p=0.8, gain="linear"), 4)
    0.154
    """


@metric("err")
def expected_reciprocal_rank_score(
    y_true, y_pred, *, k=None, max_grade=4, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute expected reciprocal rank.

    A document of grade g satisfies the reader with probability (2^g - 1) / 2^max_grade, and the reader stops there. The
    metric is the expected value of one over the rank at which the reader stops.

    Names: ``err@20``, ``ERR@20``.

    {parameters}

    See Also
    --------
    mean_reciprocal_rank_score : One over the rank of the first relevant document.
    rank_biased_precision_score : A metric for a reader who continues with the same probability at each rank.

    Notes
    -----
    {conventions}

    References
    ----------
    Chapelle, O., Metlzer, D., Zhang, Y., & Grinspan, P. (2009). Expected reciprocal rank for graded relevance. CIKM
    2009.

    Examples
    --------
    >>> from sklrank.metrics import expected_reciprocal_rank_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> round(expected_reciprocal_rank_score(qrels, run, k=20), 4)
    0.0762
    >>> round(expected_reciprocal_rank_score(qrels, run, k=20, max_grade=2), 4)
    0.2812
    """


@metric("alpha_ndcg")
def alpha_ndcg_score(
    y_true, y_pred, *, k=None, alpha=0.5, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute alpha-nDCG, a novelty-biased nDCG over subtopics.

    A document gains 1 for each subtopic that it is about, times ``1 - alpha`` for each document above it that is about
    the same subtopic. As in nDCG, gains are discounted and divided by those of the ideal ranking. The ideal ranking is
    found greedily, as in ndeval.

    Names: ``alpha_ndcg@10``, ``alpha_nDCG@10``.

    {parameters}

    See Also
    --------
    ndcg_score : nDCG without subtopics.

    Notes
    -----
    {conventions}

    Judgments without subtopics raise a ValueError.

    References
    ----------
    Clarke, C. L. A., et al. (2008). Novelty and diversity in information retrieval evaluation. SIGIR 2008.

    Examples
    --------
    >>> from sklrank.metrics import alpha_ndcg_score
    >>> import pandas as pd
    >>> from sklrank import Qrels
    >>> judgments = pd.DataFrame(
    ...     {"qid": "q1", "docid": ["d1", "d2", "d2", "d3"], "grade": 1, "subtopic": ["a", "a", "b", "b"]}
    ... )
    >>> qrels = Qrels.from_frame(judgments, subtopic="subtopic")
    >>> round(alpha_ndcg_score(qrels, {"q1": ["d1", "d3", "d2"]}, k=10), 4)
    0.8306
    """
