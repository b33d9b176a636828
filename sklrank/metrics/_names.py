"""Metrics by name: ``ndcg@10``, ``map(rel=2)@100``, and what other tools call them."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import signature
from numbers import Number
from types import MappingProxyType

from sklrank.metrics import _measures as measures
from sklrank.metrics._average import aggregate, settle
from sklrank.metrics._judged import align


@dataclass(frozen=True)
class Measure:
    """A measure that has a name.

    Parameters
    ----------
    values : callable
        Gives one value a query, from `Judged` and parameters.
    at : str or None
        The parameter that ``@`` sets.
    how : {"mean", "geometric", "sum"}
        How the values of all queries become one.
    fixed : tuple of str
        Parameters that the name does not take.
    """

    values: object
    at: str | None = "k"
    how: str = "mean"
    fixed: tuple = ()

    @property
    def parameters(self):
        """Parameters that may stand in a name, with their defaults."""
        known = {name: p.default for name, p in list(signature(self.values).parameters.items())[1:]}
        return {name: default for name, default in known.items() if name not in self.fixed}


_SET = {"at": None, "fixed": ("k",)}
MEASURES = MappingProxyType(
    {
        "ndcg": Measure(measures.ndcg),
        "dcg": Measure(measures.dcg),
        "map": Measure(measures.average_precision),
        "gm_map": Measure(measures.average_precision, how="geometric"),
        "mrr": Measure(measures.reciprocal_rank),
        "p": Measure(measures.precision),
        "recall": Measure(measures.recall),
        "f1": Measure(measures.f_measure, fixed=("beta",)),
        "success": Measure(measures.success),
        "rprec": Measure(measures.r_precision, at=None, fixed=("multiple",)),
        "rprec_mult": Measure(measures.r_precision, at="multiple"),
        "relative_p": Measure(measures.relative_precision),
        "rbp": Measure(measures.rank_biased_precision),
        "err": Measure(measures.expected_reciprocal_rank),
        "bpref": Measure(measures.bpref, at=None),
        "gm_bpref": Measure(measures.bpref, at=None, how="geometric"),
        "infap": Measure(measures.inferred_ap, at=None),
        "iprec": Measure(measures.interpolated_precision, at="recall"),
        "11pt_avg": Measure(measures.eleven_point_average, at=None),
        "alpha_ndcg": Measure(measures.alpha_ndcg),
        "judged": Measure(measures.judged_at_k),
        "unj": Measure(measures.unjudged_at_k),
        "set_p": Measure(measures.precision, **_SET),
        "set_recall": Measure(measures.recall, **_SET),
        "set_f": Measure(measures.f_measure, **_SET),
        "set_map": Measure(measures.set_average_precision, at=None),
        "set_relative_p": Measure(measures.relative_precision, **_SET),
        "num_q": Measure(measures.n_queries, at=None, how="sum"),
        "num_ret": Measure(measures.n_retrieved, at=None, how="sum"),
        "num_rel": Measure(measures.n_relevant, at=None, how="sum"),
        "num_rel_ret": Measure(measures.n_relevant_retrieved, at=None, how="sum"),
        "num_nonrel_judged_ret": Measure(measures.n_irrelevant_retrieved, at=None, how="sum"),
    }
)

# Names of trec_eval, ir-measures and ranx, in lower case; a pair fixes parameters too.
_ALIASES = {
    "ndcg_cut": "ndcg",
    "ndcg_burges": ("ndcg", {"gain": "exponential"}),
    "dcg_burges": ("dcg", {"gain": "exponential"}),
    "ap": "map",
    "map_cut": "map",
    "average_precision": "map",
    "rr": "mrr",
    "recip_rank": "mrr",
    "reciprocal_rank": "mrr",
    "precision": "p",
    "r": "recall",
    "hit_rate": "success",
    "r-precision": "rprec",
    "r_precision": "rprec",
    "iprec_at_recall": "iprec",
    "alpha-ndcg": "alpha_ndcg",
    "α_ndcg": "alpha_ndcg",
    "α-ndcg": "alpha_ndcg",
    "setp": "set_p",
    "setr": "set_recall",
    "set_r": "set_recall",
    "setf": "set_f",
    "set_f1": "set_f",
    "setap": "set_map",
    "setrelp": "set_relative_p",
    "relative_precision": "relative_p",
    "numq": "num_q",
    "numret": "num_ret",
    "numrel": "num_rel",
    "numrelret": "num_rel_ret",
}
_PARAMETERS = {"rel": "relevance_level", "cutoff": "k", "max_rel": "max_grade", "dcg": "gain"}
_WORDS = {
    "gain": {
        "linear": "linear", "exponential": "exponential", "exp": "exponential", "log2": "linear",
        "exp-log2": "exponential",
    },
    "empty": {word: word for word in ("zero", "one", "drop", "nan")},
    "rounding": {word: word for word in ("nearest", "up")},
    "judged_only": {"true": True, "false": False, "1": True, "0": False},
}  # fmt: skip
_RANGES = {
    "k": (1, None),
    "relevance_level": (0, None),
    "max_grade": (0, None),
    "p": (0, 1),
    "alpha": (0, 1),
    "recall": (0, 1),
    "beta": (0, None),
    "multiple": (0, None),
}

_CUTOFFS = (5, 10, 15, 20, 30, 100, 200, 500, 1000)
_RECALLS = tuple(f"{i / 10:.2f}" for i in range(11))
_TREC_CUTS = {
    "P": _CUTOFFS, "recall": _CUTOFFS, "ndcg_cut": _CUTOFFS, "map_cut": _CUTOFFS, "relative_P": _CUTOFFS,
    "success": (1, 5, 10), "unj": (5, 10, 20), "iprec_at_recall": _RECALLS,
    "Rprec_mult": tuple(f"{i / 5:.2f}" for i in range(1, 11)),
}  # fmt: skip
_OFFICIAL = (
    "num_q", "num_ret", "num_rel", "num_rel_ret", "map", "gm_map", "Rprec", "bpref", "recip_rank", "iprec_at_recall",
    "P",
)  # fmt: skip
_TREC_GROUPS = {
    "official": _OFFICIAL,
    "all_trec": _OFFICIAL + (
        "recall", "infAP", "gm_bpref", "Rprec_mult", "11pt_avg", "ndcg", "ndcg_cut", "map_cut", "relative_P", "success",
        "set_P", "set_relative_P", "set_recall", "set_map", "set_F", "num_nonrel_judged_ret", "unj",
    ),
    "set": ("num_q", "num_ret", "num_rel", "num_rel_ret", "set_P", "set_recall", "set_F", "set_map"),
}  # fmt: skip


class Metric:
    """A metric as its name describes it: a callable like those of this module, which can be pickled.

    Parameters
    ----------
    name : str
        The name as given.
    base : str
        Name of the measure.
    params : dict
        Its parameters.
    empty : {"zero", "one", "drop", "nan"}
        What queries without a relevant document count for.

    Attributes
    ----------
    k : int or None
        The cutoff; None where there is none.
    """

    def __init__(self, name, base, params, empty="zero"):
        self.name = name
        self.base = base
        self.params = params
        self.empty = empty

    @property
    def measure(self):
        """The measure behind it."""
        return MEASURES[self.base]

    @property
    def how(self):
        """How the values of all queries become one: "mean", "geometric" or "sum"."""
        return self.measure.how

    @property
    def k(self):
        """The cutoff, or None."""
        return self.params.get("k")

    def values(self, judged):
        """One value a query, and which queries enter a mean; see `settle`."""
        return settle(self.measure.values(judged, **self.params), judged, self.empty)

    def with_defaults(self, **params):
        """The same metric with `params` where it takes them and its name leaves them open."""
        known = self.measure.parameters
        return Metric(self.name, self.base, {p: v for p, v in params.items() if p in known} | self.params, self.empty)

    def with_params(self, **params):
        """The same metric with other values of `params`, which may be "empty" too."""
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
        y_true : Qrels or whatever they are made from
            Judgments.
        y_pred : Run or whatever it is made from
            Rankings.
        sample_weight : array-like of shape (n_queries,), default=None
            Weight of each query.
        average : {"mean", None}, default="mean"
            None gives one value a query.

        Returns
        -------
        float or ndarray of shape (n_queries,)
        """
        values, counted = self.values(align(y_true, y_pred))
        return values if average is None else aggregate(values, counted, self.how, sample_weight)

    def __repr__(self):
        return f"<metric {self.name}>"

    def __eq__(self, other):
        if not isinstance(other, Metric):
            return NotImplemented
        return (self.base, self.params, self.empty) == (other.base, other.params, other.empty)

    def __hash__(self):
        return hash((self.base, tuple(sorted(self.params.items())), self.empty))


def metric_from_name(name):
    """The metric that a string names.

    The form is ``name[(param=value,…)][@k]``, in any case: ``ndcg@10``, ``map(rel=2)@100``, ``rbp(p=0.8)``,
    ``iprec@0.1``. The names of trec_eval (``ndcg_cut_10``, ``P.5``), ir-measures (``nDCG@10``, ``AP(rel=2)``) and ranx
    (``hit_rate@5``, ``map@100-l2``) are understood too.

    Parameters
    ----------
    name : str or Metric

    Returns
    -------
    Metric

    Raises
    ------
    ValueError
        If there is no such metric, or it has no such parameter.

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
        raise TypeError(f"a metric is named by a str, such as 'ndcg@10'; got {name!r} of type {type(name).__name__}")
    text = name.strip().lower()
    given = {}
    text, level = _take(r"-l(\d+)$", text)
    if level is not None:
        given["rel"] = level
    text, at = _take(r"@\s*([\d.]+)$", text)
    if at is None and "@" in text and "(" not in text.rpartition("@")[2]:
        raise ValueError(f"{name!r}: {text.rpartition('@')[2]!r} is no cutoff; needed is a number, as in 'ndcg@10'")
    text, inside = _take(r"\((.*)\)$", text)
    for part in filter(None, map(str.strip, (inside or "").split(","))):
        key, equals, value = map(str.strip, part.partition("="))
        if not equals:
            raise ValueError(f"{name!r}: {part!r} is not of the form param=value")
        given[key] = value.strip("'\"")
    base, params, suffix = _find(text, name)
    at = suffix if at is None else at
    measure = MEASURES[base]
    if at is not None:
        if measure.at is None:
            raise ValueError(f"{name!r}: {base} takes no cutoff")
        given[measure.at] = at
    empty = _parse("empty", given.pop("empty", "zero"), name)
    known = measure.parameters
    for key, value in given.items():
        key = _PARAMETERS.get(key, key)
        if key not in known:
            raise ValueError(f"{name!r}: {base} has no parameter {key!r}; it has {', '.join([*known, 'empty'])}")
        params[key] = _parse(key, value, name)
    return Metric(name, base, params, empty)


def _take(pattern, text):
    """Cut `pattern` off the end of `text`; what was in it, or None."""
    found = re.search(pattern, text)
    return (text[: found.start()].strip(), found.group(1)) if found else (text, None)


def _find(text, name):
    """Base, fixed parameters and numeric suffix of a name without brackets."""
    suffix = None
    if text not in MEASURES and text not in _ALIASES:
        if found := re.fullmatch(r"rbp\.(\d+)", text):  # ranx's
            return "rbp", {"p": float(f"0.{found.group(1)}")}, None
        if found := re.fullmatch(r"(.+?)[._](\d+(?:\.\d+)?|\.\d+)", text):  # trec_eval's
            text, suffix = found.groups()
    if text in MEASURES:
        return text, {}, suffix
    if text not in _ALIASES:
        near = get_close_matches(text, [*MEASURES, *_ALIASES], n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"there is no metric {name!r}.{hint} There are {', '.join(MEASURES)}, as in 'ndcg@10'")
    target = _ALIASES[text]
    base, params = target if isinstance(target, tuple) else (target, {})
    return base, dict(params), suffix


def _parse(key, value, name):
    """Value of a parameter, from its text."""
    if key in _WORDS:
        if value.lower() not in _WORDS[key]:
            raise ValueError(f"{name!r}: {key} must be one of {', '.join(_WORDS[key])}; got {value!r}")
        return _WORDS[key][value.lower()]
    low, high = _RANGES[key]
    try:
        number = int(value) if key == "k" or re.fullmatch(r"\d+", value) else float(value)
    except ValueError:
        raise ValueError(
            f"{name!r}: {key} must be {'a whole number' if key == 'k' else 'a number'}, got {value!r}"
        ) from None
    if not (number >= low and (high is None or number <= high)):
        raise ValueError(f"{name!r}: {key} must be at least {low}" + ("" if high is None else f" and at most {high}"))
    return number


def trec_names(spec):
    """Names that one ``-m`` of trec_eval asks for.

    Parameters
    ----------
    spec : str
        A measure (``"map"``), one with cutoffs (``"P.5,10"``, ``"P@5,10"``), one that has default cutoffs
        (``"ndcg_cut"``), or a group (``"official"``, ``"all_trec"``, ``"set"``).

    Returns
    -------
    list of str
        In trec_eval's spelling where it is one of its measures.
    """
    if spec in _TREC_GROUPS:
        return [name for measure in _TREC_GROUPS[spec] for name in trec_names(measure)]
    if spec in _TREC_CUTS:
        return [f"{spec}_{cut}" for cut in _TREC_CUTS[spec]]
    base, dot, cuts = spec.partition(".")
    if dot and base in _TREC_CUTS:
        recall = isinstance(_TREC_CUTS[base][0], str)
        for cut in cuts.split(","):
            if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", cut):
                raise ValueError(
                    f"{spec!r}: {cut!r} is no cutoff; needed is a number, as in '{base}.{_TREC_CUTS[base][0]}'"
                )
        return [f"{base}_{float(cut):.2f}" if recall else f"{base}_{cut}" for cut in cuts.split(",")]
    base, at, cuts = spec.rpartition("@")
    if at and "," in cuts and "(" not in cuts:
        return [f"{base}@{cut.strip()}" for cut in cuts.split(",")]
    return [spec]
