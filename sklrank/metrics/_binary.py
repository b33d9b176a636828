"""Metrics of binary relevance."""

from numbers import Integral, Real

from sklrank._validation import Interval, StrOptions, validate_params
from sklrank.metrics import _measures as measures
from sklrank.metrics._average import score

_K = [Interval(Integral, 1, None, closed="left"), None]
_RELEVANCE_LEVEL = [Interval(Real, 0, None, closed="left")]
_JUDGED_ONLY = ["boolean"]
_EMPTY = [StrOptions({"zero", "one", "drop", "nan"})]
_AVERAGE = [StrOptions({"mean"}), None]
_SAMPLE_WEIGHT = ["array-like", None]


@validate_params(
    {
        "k": _K,
        "relevance_level": _RELEVANCE_LEVEL,
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def mean_average_precision_score(
    y_true,
    y_pred,
    *,
    k=None,
    relevance_level=1,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Mean average precision.

    The precision at the rank of each relevant document, summed and divided by the number of relevant documents. With a
    cutoff, deeper documents count as not retrieved, and the divisor stays.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    k : int, default=None
        The cutoff; ``None`` takes the whole ranking.
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
    inferred_ap_score : Where only a sample was judged.
    ndcg_score : Graded, with a discount by rank.

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

    Harman, D. (1992). Evaluation issues in information retrieval. Information Processing & Management, 28(4), 439-440.

    Examples
    --------
    >>> from sklrank.metrics import mean_average_precision_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> round(mean_average_precision_score(qrels, run), 4)
    0.6667
    """
    return score(
        measures.average_precision,
        y_true,
        y_pred,
        k=k,
        relevance_level=relevance_level,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "k": _K,
        "relevance_level": _RELEVANCE_LEVEL,
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def mean_reciprocal_rank_score(
    y_true,
    y_pred,
    *,
    k=None,
    relevance_level=1,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Mean reciprocal rank of the first relevant document.

    One over the rank of the first relevant document, 0 where there is none above the cutoff.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    k : int, default=None
        The cutoff; ``None`` takes the whole ranking.
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
    success_at_k_score : Whether there is one at all.

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
    Voorhees, E. M. (1999). The TREC-8 question answering track report. TREC 1999.

    Examples
    --------
    >>> from sklrank.metrics import mean_reciprocal_rank_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> mean_reciprocal_rank_score(qrels, run, k=10)
    0.75
    """
    return score(
        measures.reciprocal_rank,
        y_true,
        y_pred,
        k=k,
        relevance_level=relevance_level,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "k": _K,
        "relevance_level": _RELEVANCE_LEVEL,
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def precision_at_k_score(
    y_true,
    y_pred,
    *,
    k=None,
    relevance_level=1,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Precision: the share of the first k places that hold relevant documents.

    The divisor is k, also when fewer documents were retrieved; without a cutoff it is the length of the ranking.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    k : int, default=None
        The cutoff; ``None`` takes the whole ranking.
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
    recall_at_k_score : The share of the relevant documents.
    judged_at_k_score : How many of these places anybody judged.

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
    >>> from sklrank.metrics import precision_at_k_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> precision_at_k_score(qrels, run, k=2)
    0.5
    """
    return score(
        measures.precision,
        y_true,
        y_pred,
        k=k,
        relevance_level=relevance_level,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "k": _K,
        "relevance_level": _RELEVANCE_LEVEL,
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def recall_at_k_score(
    y_true,
    y_pred,
    *,
    k=None,
    relevance_level=1,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Recall: the share of the relevant documents that stand in the first k places.

    The divisor is the number of relevant documents, also when it exceeds k.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    k : int, default=None
        The cutoff; ``None`` takes the whole ranking.
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
    precision_at_k_score : The share of the places.

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
    >>> from sklrank.metrics import recall_at_k_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> recall_at_k_score(qrels, run, k=2)
    0.75
    """
    return score(
        measures.recall,
        y_true,
        y_pred,
        k=k,
        relevance_level=relevance_level,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "k": _K,
        "relevance_level": _RELEVANCE_LEVEL,
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def f1_at_k_score(
    y_true,
    y_pred,
    *,
    k=None,
    relevance_level=1,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """F1: the harmonic mean of precision and recall in the first k places.

    Of `precision_at_k_score` and `recall_at_k_score` of each query, with their divisors.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    k : int, default=None
        The cutoff; ``None`` takes the whole ranking.
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
    set_f1_score : Of whole rankings.

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
    >>> from sklrank.metrics import f1_at_k_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> round(f1_at_k_score(qrels, run, k=2), 4)
    0.5833
    """
    return score(
        measures.f_measure,
        y_true,
        y_pred,
        k=k,
        relevance_level=relevance_level,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "k": _K,
        "relevance_level": _RELEVANCE_LEVEL,
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def success_at_k_score(
    y_true,
    y_pred,
    *,
    k=None,
    relevance_level=1,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Success, or hit rate: whether any of the first k documents is relevant.

    1 for a query with a relevant document above the cutoff, else 0.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    k : int, default=None
        The cutoff; ``None`` takes the whole ranking.
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
    mean_reciprocal_rank_score : How high it stands.

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
    Voorhees, E. M. (1999). The TREC-8 question answering track report. TREC 1999.

    Examples
    --------
    >>> from sklrank.metrics import success_at_k_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> success_at_k_score(qrels, run, k=1)
    0.5
    """
    return score(
        measures.success,
        y_true,
        y_pred,
        k=k,
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
def r_precision_score(
    y_true,
    y_pred,
    *,
    relevance_level=1,
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """R-precision: precision at as many places as there are relevant documents.

    Precision and recall are equal at that rank.

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
    precision_at_k_score : At a rank of your choice.

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
    >>> from sklrank.metrics import r_precision_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> r_precision_score(qrels, run)
    0.25
    """
    return score(
        measures.r_precision,
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
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def bpref_score(y_true, y_pred, *, relevance_level=1, empty="zero", average="mean", sample_weight=None):
    """Binary preference.

    Looks at judged documents only: for each relevant one that was retrieved, the share of the judged irrelevant
    documents that stand below it, of which as many count as there are relevant ones (trec_eval's form).

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    relevance_level : float, default=1
        The lowest grade that counts as relevant.
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
    inferred_ap_score : Another measure for incomplete judgments.
    judged_at_k_score : How incomplete they are.

    Notes
    -----
    *Ties*: the order of a `Run` is the ranking. Scores keyed by ids are ordered as trec_eval does, by score as
    float32, then by document id, both descending; scores in a matrix by score, then lower column.

    *Queries without relevant documents* count 0, unless `empty` says otherwise. Queries without any judgment never
    enter the mean; judged queries that the run lacks count 0.

    *Unjudged documents* are passed over, and so are those with a negative grade (in the pool, but not judged).

    References
    ----------
    Buckley, C., & Voorhees, E. M. (2004). Retrieval evaluation with incomplete information. SIGIR 2004.

    Sakai, T. (2007). Alternatives to bpref. SIGIR 2007.

    Examples
    --------
    >>> from sklrank.metrics import bpref_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> bpref_score(qrels, run)
    0.75
    """
    return score(
        measures.bpref,
        y_true,
        y_pred,
        relevance_level=relevance_level,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "relevance_level": _RELEVANCE_LEVEL,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def inferred_ap_score(y_true, y_pred, *, relevance_level=1, empty="zero", average="mean", sample_weight=None):
    """Inferred average precision.

    An estimate of average precision where the judged documents are a random sample of a pool. Grade -1 marks documents
    of the pool that were not judged; the precision above a relevant document is estimated from the judged ones above
    it.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    relevance_level : float, default=1
        The lowest grade that counts as relevant.
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
    mean_average_precision_score : What it estimates.

    Notes
    -----
    *Ties*: the order of a `Run` is the ranking. Scores keyed by ids are ordered as trec_eval does, by score as
    float32, then by document id, both descending; scores in a matrix by score, then lower column.

    *Queries without relevant documents* count 0, unless `empty` says otherwise. Queries without any judgment never
    enter the mean; judged queries that the run lacks count 0.

    *Unjudged documents* outside the pool are not relevant; those in the pool (a negative grade) are relevant in the
    proportion of the judged ones.

    References
    ----------
    Yilmaz, E., & Aslam, J. A. (2006). Estimating average precision with incomplete and imperfect judgments. CIKM 2006.

    Examples
    --------
    >>> from sklrank.metrics import inferred_ap_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> round(inferred_ap_score(qrels, run), 4)
    0.6667
    """
    return score(
        measures.inferred_ap,
        y_true,
        y_pred,
        relevance_level=relevance_level,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "recall": [Interval(Real, 0, 1, closed="both")],
        "relevance_level": _RELEVANCE_LEVEL,
        "rounding": [StrOptions({"nearest", "up"})],
        "judged_only": _JUDGED_ONLY,
        "empty": _EMPTY,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def interpolated_precision_score(
    y_true,
    y_pred,
    *,
    recall=0.0,
    relevance_level=1,
    rounding="nearest",
    judged_only=False,
    empty="zero",
    average="mean",
    sample_weight=None,
):
    """Interpolated precision at a level of recall.

    The highest precision at any rank at which at least that share of the relevant documents has been found; the points
    of a recall-precision curve.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    recall : float, default=0.0
        The level of recall.
    relevance_level : float, default=1
        The lowest grade that counts as relevant.
    rounding : {"nearest", "up"}, default="nearest"
        How the number of relevant documents at that recall is made whole: to the nearest, as trec_eval 10 does, or, as
        it did up to version 9, down after adding 0.9.
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
    mean_average_precision_score : The area below the curve, about.

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
    Salton, G., & McGill, M. J. (1983). Introduction to Modern Information Retrieval. McGraw-Hill.

    Examples
    --------
    >>> from sklrank.metrics import interpolated_precision_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> interpolated_precision_score(qrels, run, recall=0.5)
    0.75
    """
    return score(
        measures.interpolated_precision,
        y_true,
        y_pred,
        recall=recall,
        relevance_level=relevance_level,
        rounding=rounding,
        judged_only=judged_only,
        empty=empty,
        average=average,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "k": _K,
        "average": _AVERAGE,
        "sample_weight": _SAMPLE_WEIGHT,
    },
    prefer_skip_nested_validation=True,
)
def judged_at_k_score(y_true, y_pred, *, k=None, average="mean", sample_weight=None):
    """The share of the first k documents that have a judgment.

    A low value says that other metrics at this cutoff tell little. The divisor is k, or the number of documents where
    fewer were retrieved.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments: a grade for each judged document of each query.
    y_pred : Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings. With ids on both sides they align by id, else by position and equal length.
    k : int, default=None
        The cutoff; ``None`` takes the whole ranking.
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
    bpref_score : A measure that passes over unjudged documents.

    Notes
    -----
    *Ties*: the order of a `Run` is the ranking. Scores keyed by ids are ordered as trec_eval does, by score as
    float32, then by document id, both descending; scores in a matrix by score, then lower column.

    *Queries without relevant documents* count like all others. Queries without any judgment never enter the mean;
    judged queries that the run lacks count 0.

    *Unjudged documents* are what is counted; any grade, also a negative one, is a judgment.

    References
    ----------
    Buckley, C., & Voorhees, E. M. (2004). Retrieval evaluation with incomplete information. SIGIR 2004.

    Examples
    --------
    >>> from sklrank.metrics import judged_at_k_score
    >>> qrels = {"q1": {"d1": 1, "d2": 0, "d3": 2}, "q2": {"d4": 1}}
    >>> run = {"q1": {"d1": 0.9, "d2": 0.8, "d3": 0.7}, "q2": {"d5": 0.4, "d4": 0.3}}
    >>> judged_at_k_score(qrels, run, k=10)
    0.75
    """
    return score(
        measures.judged_at_k,
        y_true,
        y_pred,
        k=k,
        empty="zero",
        average=average,
        sample_weight=sample_weight,
    )
