"""Metrics of binary relevance."""

from sklrank.metrics._metric_functions import metric


@metric("map")
def mean_average_precision_score(
    y_true, y_pred, *, k=None, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Mean average precision.

    The precision at the rank of each relevant document, summed and divided by the number of relevant documents. With a
    cutoff, deeper documents count as not retrieved, and the divisor stays.

    Names: ``map@100``, ``AP@100``, ``map_cut_100``.

    {parameters}

    See Also
    --------
    inferred_ap_score : Where only a sample was judged.
    ndcg_score : Graded, with a discount by rank.

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
    """Mean reciprocal rank of the first relevant document.

    One over the rank of the first relevant document, 0 where there is none above the cutoff.

    Names: ``mrr``, ``RR``, ``recip_rank``.

    {parameters}

    See Also
    --------
    success_at_k_score : Whether there is one at all.

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
    """Precision: the share of the first k places that hold relevant documents.

    The divisor is k, also when fewer documents were retrieved; without a cutoff it is the length of the ranking.

    Names: ``p@5``, ``P_5``, ``precision@5``.

    {parameters}

    See Also
    --------
    recall_at_k_score : The share of the relevant documents.
    judged_at_k_score : How many of these places anybody judged.

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
    """Recall: the share of the relevant documents that stand in the first k places.

    The divisor is the number of relevant documents, also when it exceeds k.

    Names: ``recall@100``, ``R@100``, ``recall_100``.

    {parameters}

    See Also
    --------
    precision_at_k_score : The share of the places.

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
    """F1: the harmonic mean of precision and recall in the first k places.

    Of `precision_at_k_score` and `recall_at_k_score` of each query, with their divisors.

    Names: ``f1@10``.

    {parameters}

    See Also
    --------
    set_f1_score : Of whole rankings.

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
    """Success, or hit rate: whether any of the first k documents is relevant.

    1 for a query with a relevant document above the cutoff, else 0.

    Names: ``success@1``, ``success_1``, ``hit_rate@1``.

    {parameters}

    See Also
    --------
    mean_reciprocal_rank_score : How high it stands.

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
    """R-precision: precision at as many places as there are relevant documents.

    Precision and recall are equal at that rank.

    Names: ``rprec``, ``Rprec``, ``r-precision``.

    {parameters}

    See Also
    --------
    precision_at_k_score : At a rank of your choice.

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
    """Binary preference.

    Looks at judged documents only: for each relevant one that was retrieved, the share of the judged irrelevant
    documents that stand below it, of which as many count as there are relevant ones (trec_eval's form).

    Names: ``bpref``, ``BPref``.

    {parameters}

    See Also
    --------
    inferred_ap_score : Another measure for incomplete judgments.
    judged_at_k_score : How incomplete they are.

    Notes
    -----
    {ties}

    {empty}

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


@metric("infap")
def inferred_ap_score(y_true, y_pred, *, relevance_level=1, empty="zero", average="mean", sample_weight=None):
    """Inferred average precision.

    An estimate of average precision where the judged documents are a random sample of a pool. Grade -1 marks documents
    of the pool that were not judged; the precision above a relevant document is estimated from the judged ones above
    it.

    Names: ``infap``, ``infAP``.

    {parameters}

    See Also
    --------
    mean_average_precision_score : What it estimates.

    Notes
    -----
    {ties}

    {empty}

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
    """Interpolated precision at a level of recall.

    The highest precision at any rank at which at least that share of the relevant documents has been found; the points
    of a recall-precision curve.

    Names: ``iprec@0.1``, ``IPrec@0.1``, ``iprec_at_recall_0.10``.

    {parameters}

    See Also
    --------
    mean_average_precision_score : The area below the curve, about.

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
    """The share of the first k documents that have a judgment.

    A low value says that other metrics at this cutoff tell little. The divisor is k, or the number of documents where
    fewer were retrieved.

    Names: ``judged@10``, ``Judged@10``.

    {parameters}

    See Also
    --------
    bpref_score : A measure that passes over unjudged documents.

    Notes
    -----
    {ties}

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
