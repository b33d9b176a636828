"""Metrics of retrieved sets, which have no order."""

from sklrank.metrics._metric_functions import metric


@metric("set_p")
def set_precision_score(
    y_true, y_pred, *, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute set precision: the share of the retrieved documents that are relevant.

    It measures retrieval without an order, such as Boolean search or classification.

    Names: ``set_p``, ``SetP``, ``set_P``.

    {parameters}

    See Also
    --------
    precision_at_k_score : Precision of the first k documents.

    Notes
    -----
    {conventions}

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


@metric("set_recall")
def set_recall_score(
    y_true, y_pred, *, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute set recall: the share of the relevant documents that were retrieved.

    It measures retrieval without an order, such as Boolean search or classification.

    Names: ``set_recall``, ``SetR``.

    {parameters}

    See Also
    --------
    recall_at_k_score : Recall of the first k documents.

    Notes
    -----
    {conventions}

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


@metric("set_f")
def set_f1_score(
    y_true, y_pred, *, beta=1.0, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute set F: the weighted harmonic mean of set precision and set recall.

    It measures retrieval without an order, such as Boolean search or classification.

    Names: ``set_f(beta=0.5)``, ``SetF(beta=0.5)``, ``set_F_0.5``.

    {parameters}

    See Also
    --------
    f1_at_k_score : F1 of the first k documents.

    Notes
    -----
    {conventions}

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


@metric("set_map")
def set_average_precision_score(
    y_true, y_pred, *, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute set average precision: set precision times set recall.

    It is approximately the average precision to expect of the same documents in random order.

    Names: ``set_map``, ``SetAP``.

    {parameters}

    See Also
    --------
    mean_average_precision_score : Average precision of rankings.

    Notes
    -----
    {conventions}

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


@metric("set_relative_p")
def set_relative_precision_score(
    y_true, y_pred, *, relevance_level=1, judged_only=False, empty="zero", average="mean", sample_weight=None
):
    """Compute set precision relative to the highest value that a set of this size can reach.

    It is the number of retrieved relevant documents, divided by the number of retrieved documents or the number of
    relevant documents, whichever is less.

    Names: ``set_relative_p``, ``SetRelP``, ``SetP(relative=True)``.

    {parameters}

    See Also
    --------
    set_precision_score : Set precision as such.

    Notes
    -----
    {conventions}

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
