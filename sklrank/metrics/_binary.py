"""Metrics of binary relevance."""

from sklrank.metrics._metric_functions import metric


@metric("map")
def mean_average_precision_score(
    y_true, y_pred, *, k=None, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute mean average precision.

    Average precision is the sum of the precisions at the ranks of the relevant documents, divided by the number of
    relevant documents. With a cutoff, documents below it count as not retrieved; the divisor remains the same.

    Names: ``map@100``, ``AP@100``, ``map_cut_100``.

    {parameters}

    See Also
    --------
    inferred_ap_score : An estimate from a sample of judgments.
    ndcg_score : A graded metric with a discount by rank.

    Notes
    -----
    {conventions}

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


@metric("mrr")
def mean_reciprocal_rank_score(
    y_true, y_pred, *, k=None, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute the mean reciprocal rank of the first relevant document.

    The reciprocal rank is one over the rank of the first relevant document, or 0 if no relevant document is above the
    cutoff.

    Names: ``mrr``, ``RR``, ``recip_rank``.

    {parameters}

    See Also
    --------
    success_at_k_score : Whether there is a relevant document at all.

    Notes
    -----
    {conventions}

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


@metric("p")
def precision_at_k_score(
    y_true, y_pred, *, k=None, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute precision: the share of the first k positions that hold relevant documents.

    The divisor is k even if fewer documents were retrieved. Without a cutoff, it is the length of the ranking.

    Names: ``p@5``, ``P_5``, ``precision@5``.

    {parameters}

    See Also
    --------
    recall_at_k_score : The share of the relevant documents that were found.
    judged_at_k_score : The share of these documents that have a judgment.

    Notes
    -----
    {conventions}

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


@metric("recall")
def recall_at_k_score(
    y_true, y_pred, *, k=None, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute recall: the share of the relevant documents that are among the first k.

    The divisor is the number of relevant documents even if it exceeds k.

    Names: ``recall@100``, ``R@100``, ``recall_100``.

    {parameters}

    See Also
    --------
    precision_at_k_score : The share of the first k documents that are relevant.

    Notes
    -----
    {conventions}

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


@metric("f1")
def f1_at_k_score(
    y_true, y_pred, *, k=None, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute F1: the harmonic mean of precision and recall in the first k positions.

    Precision and recall of each query are those of `precision_at_k_score` and `recall_at_k_score`.

    Names: ``f1@10``.

    {parameters}

    See Also
    --------
    set_f1_score : F1 of whole rankings.

    Notes
    -----
    {conventions}

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


@metric("success")
def success_at_k_score(
    y_true, y_pred, *, k=None, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute success, or hit rate: whether any of the first k documents is relevant.

    A query with a relevant document above the cutoff counts 1, any other query 0.

    Names: ``success@1``, ``success_1``, ``hit_rate@1``.

    {parameters}

    See Also
    --------
    mean_reciprocal_rank_score : How high the first relevant document is ranked.

    Notes
    -----
    {conventions}

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


@metric("rprec")
def r_precision_score(
    y_true, y_pred, *, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute R-precision: the precision at a cutoff equal to the number of relevant documents.

    Precision and recall are equal at that cutoff.

    Names: ``rprec``, ``Rprec``, ``r-precision``.

    {parameters}

    See Also
    --------
    precision_at_k_score : Precision at a cutoff of your choice.

    Notes
    -----
    {conventions}

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


@metric("bpref")
def bpref_score(y_true, y_pred, *, relevance_level=1, empty="zero", average="mean", sample_weight=None):
    """Compute binary preference.

    Only judged documents count. Each relevant document that was retrieved contributes the share of the judged
    irrelevant documents that are ranked below it. At most as many irrelevant documents count as there are relevant
    ones, as in trec_eval.

    Names: ``bpref``, ``BPref``.

    {parameters}

    See Also
    --------
    inferred_ap_score : Another metric for incomplete judgments.
    judged_at_k_score : How complete the judgments are.

    Notes
    -----
    {ties}

    {empty}

    *Unjudged documents* are skipped, and so are those with a negative grade (in the pool, but not judged).

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


@metric("infap")
def inferred_ap_score(y_true, y_pred, *, relevance_level=1, empty="zero", average="mean", sample_weight=None):
    """Estimate average precision from a random sample of judgments.

    Inferred average precision assumes that the judged documents are a random sample of a pool. Grade -1 marks documents
    of the pool that were not judged. The precision above a relevant document is estimated from the judged documents
    above it.

    Names: ``infap``, ``infAP``.

    {parameters}

    See Also
    --------
    mean_average_precision_score : The metric that this one estimates.

    Notes
    -----
    {ties}

    {empty}

    *Unjudged documents* outside the pool are not relevant. Those in the pool (a negative grade) count as relevant in
    the proportion found among the judged ones.

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


@metric("iprec")
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
    """Compute interpolated precision at a level of recall.

    It is the highest precision at any rank at which at least that share of the relevant documents has been found. Its
    values at several levels are the points of a recall-precision curve.

    Names: ``iprec@0.1``, ``IPrec@0.1``, ``iprec_at_recall_0.10``.

    {parameters}

    See Also
    --------
    mean_average_precision_score : Approximately the area below that curve.

    Notes
    -----
    {conventions}

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


@metric("judged")
def judged_at_k_score(y_true, y_pred, *, k=None, average="mean", sample_weight=None):
    """Compute the share of the first k documents that have a judgment.

    If it is low, other metrics at this cutoff are unreliable. The divisor is k, or the number of retrieved documents if
    there are fewer.

    Names: ``judged@10``, ``Judged@10``.

    {parameters}

    See Also
    --------
    bpref_score : A metric that skips unjudged documents.

    Notes
    -----
    {ties}

    *Queries without relevant documents* count as all others do. Queries without any judgment never enter the mean.
    Judged queries that the run lacks count 0.

    *Unjudged documents* lower the value. Any grade is a judgment, including a negative one.

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
