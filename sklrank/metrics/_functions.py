"""Functions as metrics: those of a user, and those of this package with other parameters."""

from functools import partial
from inspect import Parameter, signature

import numpy as np

from sklrank.metrics._average import aggregate
from sklrank.metrics._judged import align
from sklrank.metrics._names import Metric, metric_from_name
from sklrank.metrics._registry import Measure


class FunctionMetric:
    """Make a metric of a function of judgments and a run.

    Parameters
    ----------
    function : callable
        It takes `y_true`, a list with one dict from document id to grade per query, and `y_pred`, the `Run` of the same
        queries in the same order. It returns one number per query, NaN for a query that does not count, or one number
        for all queries. If it has a parameter `average`, this is None when one number per query is needed.
    params : dict
        Further arguments of the function.

    Attributes
    ----------
    name : str
        Name of the function, with the arguments that a `functools.partial` fixes.
    k : int or None
        Cutoff, or None.
    """

    how = "mean"

    def __init__(self, function, params):
        self.function = function
        self.params = params
        self.measure = Measure(function)
        self._parameters = signature(function).parameters
        self._check_parameters()

    @property
    def name(self):
        """Name of the function."""
        return _name_of(self.function)

    @property
    def k(self):
        """Cutoff, or None."""
        known = {name: p.default for name, p in self._parameters.items() if p.default is not Parameter.empty}
        return (known | self.params).get("k")

    @property
    def takes_weights(self):
        """Whether the function takes the weights of the queries."""
        return "sample_weight" in self._parameters

    def __call__(self, y_true, y_pred, **weights):
        """Evaluate rankings."""
        return self.evaluate(align(y_true, y_pred), **weights)[0]

    def evaluate(self, judged, **weights):
        """Return the value of the run, the values of the queries, and which queries count; None if there are none."""
        result = self._call(judged, **weights)
        if result.ndim:
            counted = self._counted(judged, result)
            return aggregate(result, counted), result, counted
        values = self._call(judged, **self._per_query)
        if values.ndim:
            return float(result), values, self._counted(judged, values)
        return float(result), None, None

    def values(self, judged):
        """Return one value per query, and which queries enter a mean."""
        values = self._call(judged, **self._per_query)
        if not values.ndim:
            raise ValueError(
                f"{self.name}: expected one number per query, got one for the whole run; return an array of shape "
                "(n_queries,), or take a parameter average, which is None if numbers per query are needed"
            )
        return values, self._counted(judged, values)

    @property
    def _per_query(self):
        return {name: None for name in ("average",) if name in self._parameters}

    def _counted(self, judged, values):
        return judged.has_judgments & ~np.isnan(values)

    def _call(self, judged, **options):
        if hasattr(_unwrap(self.function), "measure"):  # a function of this package, which takes data of every kind
            y_true, y_pred = judged.source
        else:
            y_true, y_pred = judged.pair
        result = self.function(y_true, y_pred, **self.params, **options)
        n = len(judged)
        try:
            values = np.array(result, dtype=np.float64)
        except (TypeError, ValueError):
            values = None
        if result is None or values is None:
            raise ValueError(f"{self.name}: expected one number, or one per query ({n},), got {result!r}")
        if values.shape not in ((), (n,)):
            raise ValueError(
                f"{self.name}: expected one number, or one per query ({n},), got an array of shape {values.shape}"
            )
        return values

    def _check_parameters(self):
        """Raise TypeError for an argument that the function does not take."""
        if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in self._parameters.values()):
            return
        kinds = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        known = [name for name, parameter in list(self._parameters.items())[2:] if parameter.kind in kinds]
        for name in self.params:
            if name not in known:
                raise TypeError(f"{self.name} has no parameter {name!r}; it has {', '.join(known) or 'none'}")

    def __eq__(self, other):
        if not isinstance(other, FunctionMetric):
            return NotImplemented
        return (self.function, self.params) == (other.function, other.params)

    def __hash__(self):
        return hash(self.function)

    def __getstate__(self):
        return self.function, self.params

    def __setstate__(self, state):
        self.__init__(*state)


def _unwrap(function):
    while isinstance(function, partial):
        function = function.func
    return function


def _name_of(function):
    if isinstance(function, partial):
        fixed = [*map(repr, function.args), *(f"{name}={value!r}" for name, value in function.keywords.items())]
        return f"{_name_of(function.func)}({', '.join(fixed)})"
    return getattr(function, "__name__", None) or repr(function)


def as_metric(metric, **params):
    """Return the metric that a name or a function stands for.

    Parameters
    ----------
    metric : str, Metric or callable
        Name of a metric, such as ``"ndcg@10"``, or a function; see `FunctionMetric`.
    **params : dict
        Its parameters.

    Returns
    -------
    Metric or FunctionMetric
    """
    if isinstance(metric, (str, Metric)):
        return metric_from_name(metric).with_params(**params)
    if not callable(metric):
        raise TypeError(f"metric must be a name, such as 'ndcg@10', or a function; got {metric!r}")
    return FunctionMetric(metric, params)


def as_metrics(metrics):
    """Return the metrics that a name, a function, or a list of these stands for, without repetitions."""
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    chosen = {}
    for metric in map(as_metric, metrics):
        if chosen.setdefault(metric.name, metric) != metric:
            raise ValueError(f"two metrics are named {metric.name!r}: define the functions with different names")
    return list(chosen.values())
