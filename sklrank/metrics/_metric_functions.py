"""Public functions of metrics, made from a signature and a docstring."""

import textwrap
from functools import wraps
from inspect import Parameter, cleandoc, signature

from sklrank._validation import validate_params
from sklrank.metrics._average import aggregate, settle
from sklrank.metrics._judged import align
from sklrank.metrics._parameters import PARAMETERS, constraints_of
from sklrank.metrics._registry import MEASURES

_WIDTH = 116
_SHARED = {
    "{ties}": (
        "*Ties*: the order of a `Run` is the ranking. Scores keyed by ids are ordered as in trec_eval: by score as "
        "float32, then by document id, both descending. Scores in a matrix are ordered by score, then by column, the "
        "lower column first."
    ),
    "{empty}": (
        "*Queries without relevant documents* count 0 unless `empty` has another value. Queries without any judgment "
        "never enter the mean. Judged queries that the run lacks count 0."
    ),
    "{unjudged}": (
        "*Unjudged documents* count as not relevant, and so do those with a negative grade. With `judged_only`, both "
        "are removed from the rankings first."
    ),
}
_RETURNS = """\
Returns
-------
float or ndarray of shape (n_queries,)
    The mean, or one value per query."""


def metric(name, **described):
    """Make a public function from the measure `name`.

    The decorated function provides a signature and a docstring, and has no body. In the docstring, ``{parameters}``
    stands for the sections *Parameters* and *Returns*; ``{ties}``, ``{empty}`` and ``{unjudged}`` stand for the shared
    notes, and ``{conventions}`` for all three of them.

    Parameters
    ----------
    name : str
        Name of the measure in strings.
    **described : tuple of (str, str)
        Type and description of parameters that differ from those in `PARAMETERS`.
    """

    def decorate(function):
        known = signature(function)
        parameters = known.parameters

        @wraps(function)
        def score(*args, **kwargs):
            given = known.bind(*args, **kwargs)
            given.apply_defaults()
            y_true, y_pred, *_ = given.args
            options = {"empty": "zero", **given.kwargs}
            empty, average, sample_weight = map(options.pop, ("empty", "average", "sample_weight"))
            judged = align(y_true, y_pred)
            values, counted = settle(MEASURES[name].values(judged, **options), judged, empty)
            if average is None:
                return values
            return aggregate(values, counted, sample_weight=sample_weight)

        score.__doc__ = _complete(function.__doc__, parameters, described)
        constraints = {
            p.name: constraints_of(p.name, p.default) for p in parameters.values() if p.kind is p.KEYWORD_ONLY
        }
        score.measure = name
        score.__signature__ = known  # read by validate_params in each call, and slow to derive
        return validate_params(constraints, prefer_skip_nested_validation=True)(score)

    return decorate


def _complete(doc, parameters, described):
    """Fill in the placeholders of a docstring; None stays None, as under ``python -OO``."""
    if doc is None:
        return None
    descriptions = {name: (p.kind, p.text) for name, p in PARAMETERS.items()} | described
    lines = ["Parameters", "----------"]
    for name, parameter in parameters.items():
        kind, text = descriptions[name]
        default = _shown(parameter.default)
        lines += [
            f"{name} : {kind}{default}",
            textwrap.fill(text, _WIDTH, initial_indent="    ", subsequent_indent="    "),
        ]
    doc = cleandoc(doc).replace("{conventions}", "{ties}\n\n{empty}\n\n{unjudged}")
    doc = doc.replace("{parameters}", "\n".join([*lines, "", _RETURNS]))
    for placeholder, text in _SHARED.items():
        doc = doc.replace(placeholder, textwrap.fill(text, _WIDTH))
    return doc


def _shown(default):
    if default is Parameter.empty:
        return ""
    if isinstance(default, str):
        return f', default="{default}"'
    return f", default={default!r}"
