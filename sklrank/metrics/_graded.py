"""Metrics of graded judgments."""

from numbers import Integral, Real

from sklrank._validation import Interval, StrOptions, validate_params
from sklrank.metrics import _measures as measures
from sklrank.metrics._average import score

_K = [Interval(Integral, 1, None, closed="left"), None]
_RELEVANCE_LEVEL = [Interval(Real, 0, None, closed="left")]
_GAIN = [StrOptions({"linear", "exponential"}), "array-like"]
_JUDGED_ONLY = ["boolean"]
_EMPTY = [StrOptions({"zero", "one", "drop", "nan"})]
_AVERAGE = [StrOptions({"mean"}), None]
_SAMPLE_WEIGHT = ["array-like", None]


@validate_params(
    {
        "k": _K,
        "gain": _GAIN,
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def ndcg_score(
    y_true,
    y_score,
    *,
    k=None,
    gain="linear",
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Normalized discounted cumulative gain.

    The gains of the documents, each divided by the logarithm of its rank plus one, summed, and divided by what the
    ideal ranking of all judged documents would reach::

        DCG@k = sum of gain(grade) / log2(rank + 1) over the ranks 1, …, k

    On inputs without ties this is scikit-learn's number, also for dense matrices.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_score : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings, or scores to rank by. With ids on both sides they align by id, else by position and equal length.
    k : int, default=None
        The cutoff; ``None`` takes the whole ranking.
    gain : {"linear", "exponential"} or array-like of shape (n_grades,), default="linear"
        Gain of a grade: the grade itself, two to its power less one, or the gains of the grades 0, 1, …
    judged_only : bool, default=False
        Whether to take documents without a judgment out of the rankings first.
    empty : {"zero", "one", "drop", "nan"}, default="zero"
        What queries count for that are judged and have no relevant document: 0, 1, nothing (they are left out of the
        mean and are NaN by themselves), or NaN.
    average : {"mean"} or None, default="mean"
        ``None`` gives one value a query, in the order of `y_true`; NaN for queries without any judgment.
    sample_weight : array-like of shape (n_queries,), default=None
        Weight of each query of `y_true` in the mean.

    Returns
    -------
    float or ndarray of shape (n_queries,)
        The mean, or one value a query.

    See Also
    --------
    dcg_score : The same without the division by the ideal.
    expected_reciprocal_rank_score : A graded measure of how soon the reader is done.

    Notes
    -----
    *Ties*: the order of a `Run` is the ranking. Scores keyed by ids are ordered as trec_eval does, by score as
    float32, then by document id, both descending; scores in a matrix by score, then lower column.

    *Queries without relevant documents* count 0, unless `empty` says otherwise. Queries without any judgment never
    enter the mean; judged queries that the run lacks count 0.

    *Unjudged documents* are not relevant, and neither are those with a negative grade; `judged_only` takes both out of
    the rankings first.

    The ideal ranking is that of all judged documents, retrieved or not. `y_true` and `y_score` as dense matrices judge
    and retrieve every document.

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
    return score(
        measures.ndcg,
        y_true,
        y_score,
        k=k,
        gain=gain,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "k": _K,
        "gain": _GAIN,
        "judged_only": _JUDGED_ONLY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def dcg_score(y_true, y_score, *, k=None, gain="linear", judged_only=False, average="mean", sample_weight=None):
    """Discounted cumulative gain.

    The gains of the documents, each divided by the logarithm of its rank plus one, summed. On inputs without ties this
    is scikit-learn's number, also for dense matrices.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_score : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings, or scores to rank by. With ids on both sides they align by id, else by position and equal length.
    k : int, default=None
        The cutoff; ``None`` takes the whole ranking.
    gain : {"linear", "exponential"} or array-like of shape (n_grades,), default="linear"
        Gain of a grade: the grade itself, two to its power less one, or the gains of the grades 0, 1, …
    judged_only : bool, default=False
        Whether to take documents without a judgment out of the rankings first.
    average : {"mean"} or None, default="mean"
        ``None`` gives one value a query, in the order of `y_true`; NaN for queries without any judgment.
    sample_weight : array-like of shape (n_queries,), default=None
        Weight of each query of `y_true` in the mean.

    Returns
    -------
    float or ndarray of shape (n_queries,)
        The mean, or one value a query.

    See Also
    --------
    ndcg_score : In units of what the ideal ranking reaches.

    Notes
    -----
    *Ties*: the order of a `Run` is the ranking. Scores keyed by ids are ordered as trec_eval does, by score as
    float32, then by document id, both descending; scores in a matrix by score, then lower column.

    *Queries without relevant documents* count 0: no gain is to be had. Queries without any judgment never enter the
    mean; judged queries that the run lacks count 0.

    *Unjudged documents* are not relevant, and neither are those with a negative grade; `judged_only` takes both out of
    the rankings first.

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
    return score(
        measures.dcg,
        y_true,
        y_score,
        k=k,
        gain=gain,
        judged_only=judged_only,
        empty="zero",
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "p": [Interval(Real, 0, 1, closed="left")],
        "k": _K,
        "relevance_level": _RELEVANCE_LEVEL,
        "gain": [StrOptions({"linear", "exponential"}), "array-like", None],
        "max_grade": [Interval(Real, 0, None, closed="neither"), None],
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
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
    """Rank-biased precision, binary or graded.

    What a reader gains per document who goes on to the next one with probability `p`::

        RBP = (1 - p) · sum of gain · p^(rank - 1)


    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    p : float, default=0.8
        Persistence: the chance to go on to the next document.
    k : int, default=None
        The cutoff; ``None`` takes the whole ranking.
    relevance_level : float, default=1
        The lowest grade that counts as relevant.
    gain : {"linear", "exponential"}, array-like of shape (n_grades,) or None, default=None
        ``None`` counts relevant documents as 1. Otherwise the gain of a grade, in units of that of `max_grade`; then
        `relevance_level` has no effect.
    max_grade : float, default=None
        The highest grade of the scale, for graded gains. ``None``: the highest in `y_true`; set it where `y_true` may
        be a part of the judgments, as in cross-validation.
    judged_only : bool, default=False
        Whether to take documents without a judgment out of the rankings first.
    empty : {"zero", "one", "drop", "nan"}, default="zero"
        What queries count for that are judged and have no relevant document: 0, 1, nothing (they are left out of the
        mean and are NaN by themselves), or NaN.
    average : {"mean"} or None, default="mean"
        ``None`` gives one value a query, in the order of `y_true`; NaN for queries without any judgment.
    sample_weight : array-like of shape (n_queries,), default=None
        Weight of each query of `y_true` in the mean.

    Returns
    -------
    float or ndarray of shape (n_queries,)
        The mean, or one value a query.

    See Also
    --------
    expected_reciprocal_rank_score : The reader stops at a good document.

    Notes
    -----
    *Ties*: the order of a `Run` is the ranking. Scores keyed by ids are ordered as trec_eval does, by score as
    float32, then by document id, both descending; scores in a matrix by score, then lower column.

    *Queries without relevant documents* count 0, unless `empty` says otherwise. Queries without any judgment never
    enter the mean; judged queries that the run lacks count 0.

    *Unjudged documents* are not relevant, and neither are those with a negative grade; `judged_only` takes both out of
    the rankings first.

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
    return score(
        measures.rank_biased_precision,
        y_true,
        y_pred,
        p=p,
        k=k,
        relevance_level=relevance_level,
        gain=gain,
        max_grade=max_grade,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "k": _K,
        "max_grade": [Interval(Real, 0, None, closed="neither")],
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def expected_reciprocal_rank_score(
    y_true,
    y_pred,
    *,
    k=None,
    max_grade=4,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Expected reciprocal rank.

    One over the rank at which a reader stops who is satisfied by a document of grade g with chance (2^g - 1) /
    2^max_grade.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    k : int, default=None
        The cutoff; ``None`` takes the whole ranking.
    max_grade : float, default=4
        The highest grade of the scale. 4 is that of the TREC web tracks and of gdeval; a higher grade in `y_true` is
        an error.
    judged_only : bool, default=False
        Whether to take documents without a judgment out of the rankings first.
    empty : {"zero", "one", "drop", "nan"}, default="zero"
        What queries count for that are judged and have no relevant document: 0, 1, nothing (they are left out of the
        mean and are NaN by themselves), or NaN.
    average : {"mean"} or None, default="mean"
        ``None`` gives one value a query, in the order of `y_true`; NaN for queries without any judgment.
    sample_weight : array-like of shape (n_queries,), default=None
        Weight of each query of `y_true` in the mean.

    Returns
    -------
    float or ndarray of shape (n_queries,)
        The mean, or one value a query.

    See Also
    --------
    mean_reciprocal_rank_score : One over the rank of the first relevant document.
    rank_biased_precision_score : The reader goes on with one chance throughout.

    Notes
    -----
    *Ties*: the order of a `Run` is the ranking. Scores keyed by ids are ordered as trec_eval does, by score as
    float32, then by document id, both descending; scores in a matrix by score, then lower column.

    *Queries without relevant documents* count 0, unless `empty` says otherwise. Queries without any judgment never
    enter the mean; judged queries that the run lacks count 0.

    *Unjudged documents* are not relevant, and neither are those with a negative grade; `judged_only` takes both out of
    the rankings first.

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
    return score(
        measures.expected_reciprocal_rank,
        y_true,
        y_pred,
        k=k,
        max_grade=max_grade,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "k": _K,
        "alpha": [Interval(Real, 0, 1, closed="both")],
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def alpha_ndcg_score(
    y_true,
    y_pred,
    *,
    k=None,
    alpha=0.5,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Novelty-biased nDCG over subtopics, alpha-nDCG.

    A document gains 1 for each subtopic that it is about, times ``1 - alpha`` for each document above it that is about
    the same one; gains are discounted and divided by those of the ideal ranking as in nDCG. The ideal ranking is found
    greedily, as ndeval does.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    k : int, default=None
        The cutoff; ``None`` takes the whole ranking.
    alpha : float, default=0.5
        How much less a subtopic counts each time it comes again.
    judged_only : bool, default=False
        Whether to take documents without a judgment out of the rankings first.
    empty : {"zero", "one", "drop", "nan"}, default="zero"
        What queries count for that are judged and have no relevant document: 0, 1, nothing (they are left out of the
        mean and are NaN by themselves), or NaN.
    average : {"mean"} or None, default="mean"
        ``None`` gives one value a query, in the order of `y_true`; NaN for queries without any judgment.
    sample_weight : array-like of shape (n_queries,), default=None
        Weight of each query of `y_true` in the mean.

    Returns
    -------
    float or ndarray of shape (n_queries,)
        The mean, or one value a query.

    See Also
    --------
    ndcg_score : Without subtopics.

    Notes
    -----
    *Ties*: the order of a `Run` is the ranking. Scores keyed by ids are ordered as trec_eval does, by score as
    float32, then by document id, both descending; scores in a matrix by score, then lower column.

    *Queries without relevant documents* count 0, unless `empty` says otherwise. Queries without any judgment never
    enter the mean; judged queries that the run lacks count 0.

    *Unjudged documents* are not relevant, and neither are those with a negative grade; `judged_only` takes both out of
    the rankings first.

    Judgments without subtopics are a ValueError.

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
    return score(
        measures.alpha_ndcg,
        y_true,
        y_pred,
        k=k,
        alpha=alpha,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )
