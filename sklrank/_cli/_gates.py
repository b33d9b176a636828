"""Gates: tests of whether the data show that a run is worse than allowed."""

from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

_CONFIDENCE = 0.95
_ROUNDING = 1e-12  # a bound this little below a limit may be below it by rounding alone


@dataclass(frozen=True)
class Gate:
    """Compare a measure of a run with a limit.

    Parameters
    ----------
    run, metric : str
    baseline : str or None
        Run to compare with. If None, the measure itself is compared with the limit.
    value : float
        Mean of the measure, or of its difference from the baseline.
    bound : float
        One-sided upper confidence bound of this value.
    limit : float
        Lowest value that is allowed.
    n_queries : int
    """

    run: str
    metric: str
    baseline: str | None
    value: float
    bound: float
    limit: float
    n_queries: int

    @property
    def verdict(self):
        """Return "fail" if the bound is below the limit, "unproven" if only the mean is, otherwise "pass"."""
        if self.bound < self.limit - _ROUNDING:
            return "fail"
        if self.value < self.limit - _ROUNDING:
            return "unproven"
        return "pass"

    def to_dict(self):
        """Return the fields and the verdict as plain Python objects."""
        return {**asdict(self), "confidence": _CONFIDENCE, "verdict": self.verdict}

    def __str__(self):
        sign, quantity = "", self.metric
        if self.baseline is not None:
            sign, quantity = "+", f"{self.metric} - {self.baseline}"
        said = {"fail": "FAIL", "pass": "pass", "unproven": "pass (too low, but within chance)"}[self.verdict]
        return (
            f"{self.run}: {quantity} = {self.value:{sign}.4f}, at most {self.bound:{sign}.4f} with "
            f"{100 * _CONFIDENCE:g} % confidence, limit {self.limit:{sign}.4f}, {self.n_queries} queries: {said}"
        )


def gates_of(results, metrics, baseline, max_drop, limits):
    """Make the gates that the command requests.

    Parameters
    ----------
    results : dict of str to Evaluation
        Values of the runs.
    metrics : list of Metric
        Measures to compare with the baseline.
    baseline : str or None
        Name of the baseline, which has no gates itself.
    max_drop : float or None
        Largest allowed difference by which a measure is below that of the baseline.
    limits : list of (Metric, float)
        Lowest value of each measure.

    Returns
    -------
    list of Gate
    """
    gates = []
    for name, result in results.items():
        if name == baseline:
            continue
        for metric, limit in limits:
            gates.append(_gate(name, metric.name, None, result.per_query[metric.name], limit))
        if max_drop is not None:
            for metric in (metric for metric in metrics if metric.how == "mean"):
                differences = result.per_query[metric.name] - results[baseline].per_query[metric.name]
                gates.append(_gate(name, metric.name, baseline, differences, -max_drop))
    return gates


def _gate(run, metric, baseline, values, limit):
    values = values[~np.isnan(values)]
    n = len(values)
    mean, bound = np.nan, np.inf
    if n:
        mean = float(values.mean())
    if n > 1:
        bound = mean + float(stats.t.ppf(_CONFIDENCE, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return Gate(run, metric, baseline, mean, bound, limit, n)
