"""Whether the data show that a run is worse than it may be."""

from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

_CONFIDENCE = 0.95
_ROUNDING = 1e-12  # what rounding alone may put between a bound and a limit


@dataclass(frozen=True)
class Gate:
    """One measure of one run against a limit.

    Parameters
    ----------
    run, metric : str
    baseline : str or None
        The run that it is compared with; None where the measure itself is.
    value : float
        Mean of the measure, or of its difference from the baseline.
    bound : float
        One-sided upper confidence bound of that.
    limit : float
        What it must not be below.
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
        """What the data say: "fail" if the bound is below the limit, "unproven" if the mean alone is, else "pass"."""
        if self.bound < self.limit - _ROUNDING:
            return "fail"
        return "unproven" if self.value < self.limit - _ROUNDING else "pass"

    def to_dict(self):
        """As plain Python objects, with the verdict."""
        return {**asdict(self), "confidence": _CONFIDENCE, "verdict": self.verdict}

    def __str__(self):
        sign, what = ("", self.metric) if self.baseline is None else ("+", f"{self.metric} - {self.baseline}")
        said = {"fail": "FAIL", "pass": "pass", "unproven": "pass (too low, but within chance)"}[self.verdict]
        return (
            f"{self.run}: {what} = {self.value:{sign}.4f}, at most {self.bound:{sign}.4f} with {100 * _CONFIDENCE:g} % "
            f"confidence, limit {self.limit:{sign}.4f}, {self.n_queries} queries: {said}"
        )


def gates_of(results, metrics, baseline, max_drop, limits):
    """The gates that were asked for.

    Parameters
    ----------
    results : dict of str to Evaluation
        The runs.
    metrics : list of Metric
        What is compared with the baseline.
    baseline : str or None
        Which run is the baseline; it passes no gate itself.
    max_drop : float or None
        How far a measure may fall below the baseline's.
    limits : list of (Metric, float)
        The least values.

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
    mean = float(values.mean()) if n else np.nan
    bound = np.inf
    if n > 1:
        bound = mean + float(stats.t.ppf(_CONFIDENCE, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return Gate(run, metric, baseline, mean, bound, limit, n)
