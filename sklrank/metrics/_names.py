"""Metrics by name, such as ``ndcg@10`` or ``map(rel=2)@100``, and the names of other tools."""

import re
from difflib import get_close_matches
from numbers import Number

from sklrank._validation import Interval
from sklrank.metrics._average import aggregate, settle
from sklrank.metrics._judged import align
from sklrank.metrics._parameters import PARAMETERS
from sklrank.metrics._registry import ALIASES, MEASURES

_PARAMETERS = {"rel": "relevance_level", "cutoff": "k", "max_rel": "max_grade", "dcg": "gain", "gains": "gain"}
_WORDS = {
    "gain": {
        "linear": "linear", "exponential": "exponential", "exp": "exponential", "log2": "linear",
        "exp-log2": "exponential",
    },
    "empty": {word: word for word in ("zero", "one", "drop", "nan")},
    "rounding": {word: word for word in ("nearest", "up")},
    "judged_only": {"true": True, "false": False, "1": True, "0": False},
    "relative": {"true": True, "false": False, "1": True, "0": False},
}  # fmt: skip
_SEQUENCES = ("recalls", "weights")
_NUMBER = r"-?(?:\d+(?:\.\d*)?|\.\d+)"
_SUFFIX = rf"(?:{_NUMBER}(?:,{_NUMBER})*|\d+={_NUMBER}(?:,\d+={_NUMBER})*)"  # cutoffs, or gains of grades, of trec_eval


class Metric:
    """Make a callable of the metric that a name describes; it can be pickled.

    Parameters
    ----------
    name : str
        Name as given.
    base : str
        Name of the measure.
    params : dict
        Its parameters.
    empty : {"zero", "one", "drop", "nan"}
        Value of queries without a relevant document.

    Attributes
    ----------
    k : int or None
        Cutoff, or None.
    """

    def __init__(self, name, base, params, empty="zero"):
        self.name = name
        self.base = base
        self.params = params
        self.empty = empty

    takes_weights = True  # it accepts weights of queries

    @property
    def measure(self):
        """Measure that computes the values."""
        return MEASURES[self.base]

    @property
    def how(self):
        """How the values of all queries are combined: "mean", "geometric" or "sum"."""
        return self.measure.how

    @property
    def k(self):
        """Cutoff, or None."""
        return self.params.get("k")

    def values(self, judged):
        """Return one value per query, and which queries enter a mean; see `settle`."""
        return settle(self.measure.values(judged, **self.params), judged, self.empty)

    def evaluate(self, judged, sample_weight=None):
        """Return the value of the run, the values of the queries, and which queries count."""
        values, counted = self.values(judged)
        return aggregate(values, counted, self.how, sample_weight), values, counted

    def with_defaults(self, **params):
        """Return the same metric with those of `params` that it has and that its name does not set."""
        known = self.measure.parameters
        return Metric(self.name, self.base, {p: v for p, v in params.items() if p in known} | self.params, self.empty)

    def with_params(self, **params):
        """Return the same metric with other values of `params`, which may include "empty"."""
        if not params:
            return self
        known = [*self.measure.parameters, "empty"]
        for key, value in params.items():
            if key not in known:
                raise TypeError(f"{self.base} has no parameter {key!r}; it has {', '.join(known)}")
            if isinstance(value, (str, Number)):
                params[key] = _parse(key, str(value), self.base)
        empty = params.pop("empty", self.empty)
        params = self.params | params
        stated = params if empty == "zero" else {**params, "empty": empty}
        return Metric(f"{self.base}({', '.join(f'{k}={v}' for k, v in stated.items())})", self.base, params, empty)

    def __call__(self, y_true, y_pred, *, sample_weight=None, average="mean"):
        """Evaluate rankings.

        Parameters
        ----------
        y_true : Qrels, or data that `Qrels` takes
            Relevance judgments.
        y_pred : Run, or data that `Run` takes
            Rankings.
        sample_weight : array-like of shape (n_queries,), default=None
            Weight of each query.
        average : {"mean", None}, default="mean"
            How to combine the values of the queries. If None, one value per query is returned.

        Returns
        -------
        float or ndarray of shape (n_queries,)
        """
        judged = align(y_true, y_pred)
        if average is None:
            return self.values(judged)[0]
        return self.evaluate(judged, sample_weight)[0]

    def __repr__(self):
        return f"<metric {self.name}>"

    def __eq__(self, other):
        if not isinstance(other, Metric):
            return NotImplemented
        return (self.base, self.params, self.empty) == (other.base, other.params, other.empty)

    def __hash__(self):
        return hash((self.base, frozenset((name, _frozen(value)) for name, value in self.params.items()), self.empty))


def _frozen(value):
    if isinstance(value, dict):
        return frozenset(value.items())
    if isinstance(value, list):
        return tuple(value)
    return value


def metric_from_name(name):
    """Return the metric that a string names.

    The form is ``name[(param=value,…)][@k]``, in upper or lower case: ``ndcg@10``, ``map(rel=2)@100``, ``rbp(p=0.8)``,
    ``iprec@0.1``. The names of trec_eval (``ndcg_cut_10``, ``P.5``), ir-measures (``nDCG@10``, ``AP(rel=2)``) and ranx
    (``hit_rate@5``, ``map@100-l2``) are accepted, too.

    Parameters
    ----------
    name : str or Metric
        Name of a metric. A `Metric` is returned as it is.

    Returns
    -------
    Metric

    Raises
    ------
    ValueError
        If the metric or its parameter is unknown.

    Examples
    --------
    >>> from sklrank.metrics import metric_from_name
    >>> metric = metric_from_name("map(rel=2)@100")
    >>> metric.k, metric.params
    (100, {'relevance_level': 2, 'k': 100})
    >>> metric({"q1": {"d1": 2, "d2": 1}}, {"q1": ["d2", "d1"]})
    0.5
    """
    if isinstance(name, Metric):
        return name
    if not isinstance(name, str):
        raise TypeError(
            f"the name of a metric must be a str, such as 'ndcg@10'; got {name!r} of type {type(name).__name__}"
        )
    text = name.strip().lower()
    given = {}
    text, level = _take(r"-l(\d+)$", text)
    if level is not None:
        given["rel"] = level
    text, at = _take(r"@\s*([\d.,]+)$", text)
    if at is None and "@" in text and "(" not in text.rpartition("@")[2]:
        raise ValueError(f"{name!r}: {text.rpartition('@')[2]!r} is not a cutoff; expected a number, as in 'ndcg@10'")
    text, inside = _take(r"\((.*)\)$", text)
    for part in filter(None, map(str.strip, re.split(r",(?![^({\[]*[)}\]])", inside or ""))):
        key, equals, value = map(str.strip, part.partition("="))
        if not equals:
            raise ValueError(f"{name!r}: {part!r} is not of the form param=value")
        given[key] = value.strip("'\"")
    base, params, suffix = _find(text, name)
    base = _of_ir_measures(base, given, name)
    if at is None:
        at = suffix
    if at is not None:
        parameter = MEASURES[base].at
        if "=" in at:
            parameter = "gain"
        if parameter is None:
            raise ValueError(f"{name!r}: {base} takes no cutoff")
        given[parameter] = at
    empty = _parse("empty", given.pop("empty", "zero"), name)
    known = MEASURES[base].parameters
    for key, value in given.items():
        key = _PARAMETERS.get(key, key)
        if key not in known:
            raise ValueError(f"{name!r}: {base} has no parameter {key!r}; it has {', '.join([*known, 'empty'])}")
        params[key] = _parse(key, value, name)
    return Metric(name, base, params, empty)


def _take(pattern, text):
    """Remove `pattern` from the end of `text`; return the rest, and the text of its group or None."""
    found = re.search(pattern, text)
    if found is None:
        return text, None
    return text[: found.start()].strip(), found.group(1)


def _find(text, name):
    """Return the base, fixed parameters and numeric suffix of a name without brackets."""
    suffix = None
    if text not in MEASURES and text not in ALIASES:
        if found := re.fullmatch(r"rbp\.(\d+)", text):  # ranx's
            return "rbp", {"p": float(f"0.{found.group(1)}")}, None
        if found := re.fullmatch(rf"(.+?)[._]({_SUFFIX})", text):  # trec_eval's
            text, suffix = found.groups()
    if text in MEASURES:
        return text, {}, suffix
    if text not in ALIASES:
        near = get_close_matches(text, [*MEASURES, *ALIASES], n=3, cutoff=0.5)
        hint = ""
        if near:
            hint = f" Did you mean {' or '.join(near)}?"
        raise ValueError(f"there is no metric {name!r}.{hint} There are {', '.join(MEASURES)}, as in 'ndcg@10'")
    base, params = ALIASES[text], {}
    if isinstance(base, tuple):
        base, params = base
    return base, dict(params), suffix


def _of_ir_measures(base, given, name):
    """Return the measure that a parameter of ir-measures selects: ``NumRet(rel=1)``, ``SetP(relative=True)``."""
    if base == "num_ret" and "rel" in given:
        return "num_rel_ret"
    if base in ("set_p", "set_relative_p") and "relative" in given:
        base = {True: "set_relative_p", False: "set_p"}[_parse("relative", given.pop("relative"), name)]
    return base


def _parse(key, value, name):
    """Return the value of a parameter from its text."""
    if key == "gain" and (gains := _gains(value)) is not None:
        return gains
    if key in _WORDS:
        if value.lower() not in _WORDS[key]:
            raise ValueError(f"{name!r}: {key} must be one of {', '.join(_WORDS[key])}; got {value!r}")
        return _WORDS[key][value.lower()]
    if key in _SEQUENCES:
        return tuple(_number(key, text.strip(), name) for text in value.strip("([])").split(","))
    return _number(key, value, name)


def _gains(value):
    """Parse gains of some grades, ``{1: 3, 2: 9}`` or trec_eval's ``1=3,2=9``; None for text of another form."""
    pair = rf"\s*\d+\s*[:=]\s*{_NUMBER}\s*"
    inside = value.strip("{}")
    if not re.fullmatch(f"{pair}(?:,{pair})*", inside):
        return None
    pairs = (re.split("[:=]", part) for part in inside.split(","))
    return {int(grade): float(gain) for grade, gain in pairs}


def _number(key, value, name):
    """Return a number that is in the range of the parameter."""
    kind, form = float, "a number"
    if key == "k":
        kind, form = int, "a whole number"
    elif value.isdecimal():
        kind = int
    try:
        number = kind(value)
    except ValueError:
        raise ValueError(f"{name!r}: {key} must be {form}, got {value!r}") from None
    for allowed in PARAMETERS[key].constraints:
        if isinstance(allowed, Interval) and number not in allowed:
            raise ValueError(f"{name!r}: {key} must be {_range(allowed)}, got {value!r}")
    return number


def _range(interval):
    low, high = interval.left, interval.right
    words = {"left": ("at least", "below"), "right": ("above", "at most"), "both": ("at least", "at most")}
    limits = zip(words.get(interval.closed, ("above", "below")), (low, high))
    return " and ".join(f"{word} {limit}" for word, limit in limits if limit is not None) or "finite"
