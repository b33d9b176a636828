"""Metrics of retrieved sets, without an order."""

from numbers import Real

from sklrank._validation import Interval, StrOptions, validate_params
from sklrank.metrics import _measures as measures
from sklrank.metrics._average import score

_RELEVANCE_LEVEL = [Interval(Real, 0, None, closed="left")]
_JUDGED_ONLY = ["boolean"]
_EMPTY = [StrOptions({"zero", "one", "drop", "nan"})]
_AVERAGE = [StrOptions({"mean"}), None]
_SAMPLE_WEIGHT = ["array-like", None]


@validate_params(
    {
        "relevance_level": _RELEVANCE_LEVEL,
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def set_precision_score(
    y_true,
    y_pred,
    *,
    relevance_level=1,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Set precision: the share of the retrieved documents that are relevant.

    For retrieval without an order, such as Boolean search or classification.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    relevance_level : float, default=1
        The lowest grade that counts as relevant.
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
    precision_at_k_score : Down to a cutoff.

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
    van Rijsbergen, C. J. (1979). Information Retrieval, 2nd edition. Butterworths.

    Examples
    --------
    >>> from sklrank.metrics import set_precision_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> round(set_precision_score(qrels, run), 4)
    0.5833
    """
    return score(
        measures.precision,
        y_true,
        y_pred,
        relevance_level=relevance_level,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "relevance_level": _RELEVANCE_LEVEL,
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def set_recall_score(
    y_true,
    y_pred,
    *,
    relevance_level=1,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Set recall: the share of the relevant documents that were retrieved.

    For retrieval without an order, such as Boolean search or classification.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    relevance_level : float, default=1
        The lowest grade that counts as relevant.
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
    recall_at_k_score : Down to a cutoff.

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
    van Rijsbergen, C. J. (1979). Information Retrieval, 2nd edition. Butterworths.

    Examples
    --------
    >>> from sklrank.metrics import set_recall_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> set_recall_score(qrels, run)
    1.0
    """
    return score(
        measures.recall,
        y_true,
        y_pred,
        relevance_level=relevance_level,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "beta": [Interval(Real, 0, None, closed="neither")],
        "relevance_level": _RELEVANCE_LEVEL,
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def set_f1_score(
    y_true,
    y_pred,
    *,
    beta=1.0,
    relevance_level=1,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Set F: the harmonic mean of set precision and set recall.

    For retrieval without an order, such as Boolean search or classification.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    beta : float, default=1.0
        How many times as important recall is as precision.
    relevance_level : float, default=1
        The lowest grade that counts as relevant.
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
    f1_at_k_score : Down to a cutoff.

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
    van Rijsbergen, C. J. (1979). Information Retrieval, 2nd edition. Butterworths.

    Examples
    --------
    >>> from sklrank.metrics import set_f1_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> round(set_f1_score(qrels, run), 4)
    0.7333
    """
    return score(
        measures.f_measure,
        y_true,
        y_pred,
        beta=beta,
        relevance_level=relevance_level,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "relevance_level": _RELEVANCE_LEVEL,
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def set_average_precision_score(
    y_true,
    y_pred,
    *,
    relevance_level=1,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Set average precision: set precision times set recall.

    What average precision would expect of the same documents in random order, about.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    relevance_level : float, default=1
        The lowest grade that counts as relevant.
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
    mean_average_precision_score : Of rankings.

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
    Buckley, C., & Voorhees, E. M. (2000). Evaluating evaluation measure stability. SIGIR 2000.

    Examples
    --------
    >>> from sklrank.metrics import set_average_precision_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> round(set_average_precision_score(qrels, run), 4)
    0.5833
    """
    return score(
        measures.set_average_precision,
        y_true,
        y_pred,
        relevance_level=relevance_level,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "relevance_level": _RELEVANCE_LEVEL,
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def set_relative_precision_score(
    y_true,
    y_pred,
    *,
    relevance_level=1,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Set precision in units of the highest that a set of this size can reach.

    The number of relevant documents retrieved, divided by that of the retrieved or of the relevant ones, whichever is
    less.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    relevance_level : float, default=1
        The lowest grade that counts as relevant.
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
    set_precision_score : Without this.

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
    Buckley, C., & Voorhees, E. M. (2000). Evaluating evaluation measure stability. SIGIR 2000.

    Examples
    --------
    >>> from sklrank.metrics import set_relative_precision_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> set_relative_precision_score(qrels, run)
    1.0
    """
    return score(
        measures.relative_precision,
        y_true,
        y_pred,
        relevance_level=relevance_level,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )
