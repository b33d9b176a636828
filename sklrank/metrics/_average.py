"""From one value per query to one number."""

import numpy as np

_FLOOR = 1e-5  # least value under a geometric mean, trec_eval's


def settle(values, judged, empty="zero"):
    """Say what queries without a relevant document count for.

    Parameters
    ----------
    values : ndarray of float64, shape (n_queries,)
        NaN for queries without a relevant document.
    judged : Judged
        The judgments and the run that they were computed from.
    empty : {"zero", "one", "drop", "nan"}, default="zero"
        Value of such queries. Those without any judgment get NaN in any case.

    Returns
    -------
    values : ndarray of float64, shape (n_queries,)
    counted : ndarray of bool, shape (n_queries,)
        Which queries enter a mean.
    """
    counted = judged.has_judgments
    void = np.isnan(values)
    if empty == "drop":
        counted = counted & ~void
    elif empty != "nan":
        values = np.where(void, float(empty == "one"), values)
    return np.where(judged.has_judgments, values, np.nan), counted


def aggregate(values, counted, how="mean", sample_weight=None):
    """One number of the values that count.

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
            f"there is nothing to average: of {len(counted)} queries none has judgments that count. Are these the "
            "judgments of these queries?"
        )
    if weight is not None and weight.sum() == 0:
        raise ValueError("all judged queries have weight 0")
    if how == "geometric":
        return float(np.exp(np.average(np.log(np.maximum(values, _FLOOR)), weights=weight)))
    return float(np.average(values, weights=weight))
