"""One number from one value per query."""

import numpy as np

_FLOOR = 1e-5  # least value under a geometric mean, trec_eval's


def settle(values, judged, empty="zero"):
    """Set the value of queries without a relevant document.

    Parameters
    ----------
    values : ndarray of float64, shape (n_queries,)
        NaN for queries without a relevant document.
    judged : Judged
        The judgments and the run that they were computed from.
    empty : {"zero", "one", "drop", "nan"}, default="zero"
        Value of such queries. Queries without any judgment get NaN in any case.

    Returns
    -------
    values : ndarray of float64, shape (n_queries,)
    counted : ndarray of bool, shape (n_queries,)
        Whether each query enters the mean.
    """
    counted = judged.has_judgments
    void = np.isnan(values)
    if empty == "drop":
        counted = counted & ~void
    elif empty != "nan":
        values = np.where(void, float(empty == "one"), values)
    return np.where(judged.has_judgments, values, np.nan), counted


def aggregate(values, counted, how="mean", sample_weight=None):
    """Combine the values that count.

    Parameters
    ----------
    values : ndarray of float64, shape (n_queries,)
    counted : ndarray of bool, shape (n_queries,)
    how : {"mean", "geometric", "sum"}, default="mean"
    sample_weight : array-like of shape (n_queries,), default=None
        Weight of each query.

    Returns
    -------
    float
    """
    weight = None
    if sample_weight is not None:
        weight = np.asarray(sample_weight, dtype=np.float64)
        if weight.shape != values.shape:
            raise ValueError(
                f"sample_weight has shape {weight.shape}; expected one weight for each of {len(values)} queries"
            )
        if not (weight >= 0).all():
            raise ValueError("sample_weight must not hold negative weights or NaN")
        weight = weight[counted]
    values = values[counted]
    if how == "sum":
        if weight is None:
            return float(values.sum())
        return float(values @ weight)
    if len(values) == 0:
        raise ValueError(
            f"nothing to average: none of {len(counted)} queries has judgments that count; check that the judgments "
            "belong to these queries"
        )
    if weight is not None and weight.sum() == 0:
        raise ValueError("all judged queries have weight 0")
    if how == "geometric":
        return float(np.exp(np.average(np.log(np.maximum(values, _FLOOR)), weights=weight)))
    return float(np.average(values, weights=weight))
