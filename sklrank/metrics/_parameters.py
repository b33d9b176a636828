"""Parameters of all metrics: their constraints, and their descriptions in docstrings."""

from dataclasses import dataclass
from numbers import Integral, Real

from sklrank._validation import Interval, StrOptions


@dataclass(frozen=True)
class Parameter:
    """Describe a parameter that means the same in every metric.

    Parameters
    ----------
    kind : str
        Its type, as a docstring states it.
    text : str
        Its description.
    constraints : tuple
        Constraints as scikit-learn states them. None is also allowed if it is the default.
    """

    kind: str
    text: str
    constraints: tuple = ()


_RANKINGS = "Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)"
_ALIGNED = (
    "If both sides have ids, queries are aligned by id; otherwise they are aligned by position, and their numbers must "
    "be equal."
)
_POSITIVE = Interval(Real, 0, None, closed="neither")
_AT_LEAST_0 = Interval(Real, 0, None, closed="left")
_FROM_0_TO_1 = Interval(Real, 0, 1, closed="both")

PARAMETERS = {
    "y_true": Parameter(
        "Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)",
        "Relevance judgments: a grade for each judged document of each query.",
    ),
    "y_pred": Parameter(_RANKINGS, f"Rankings. {_ALIGNED}"),
    "y_score": Parameter(_RANKINGS, f"Rankings, or scores to rank by. {_ALIGNED}"),
    "k": Parameter(
        "int", "Cutoff. If None, the whole ranking is measured.", (Interval(Integral, 1, None, closed="left"),)
    ),
    "relevance_level": Parameter("float", "Lowest grade that counts as relevant.", (_AT_LEAST_0,)),
    "gain": Parameter(
        '{"linear", "exponential"}, dict, or array-like of shape (n_grades,)',
        "Gain of a grade. Linear gain is the grade itself, exponential gain two to its power minus one. A dict holds "
        "the gains of some grades; the gain of any other grade is the grade itself. An array holds the gains of the "
        "grades 0, 1, …",
        (StrOptions({"linear", "exponential"}), dict, "array-like"),
    ),
    "max_grade": Parameter(
        "float",
        "Highest grade of the scale. The TREC web tracks and gdeval use 4. A higher grade in `y_true` raises an error.",
        (_POSITIVE,),
    ),
    "p": Parameter(
        "float",
        "Persistence: the probability that a reader continues to the next document.",
        (Interval(Real, 0, 1, closed="left"),),
    ),
    "alpha": Parameter("float", "Reduction of the gain of a subtopic each time that it is repeated.", (_FROM_0_TO_1,)),
    "beta": Parameter(
        "float",
        "Weight of recall relative to that of precision. As in trec_eval and ir-measures, it is not squared.",
        (_AT_LEAST_0,),
    ),
    "recall": Parameter("float", "Level of recall.", (_FROM_0_TO_1,)),
    "recalls": Parameter("sequence of float", "Levels of recall.", (_FROM_0_TO_1,)),
    "multiple": Parameter("float", "Multiple of the number of relevant documents.", (_AT_LEAST_0,)),
    "weights": Parameter(
        "sequence of float", "Weight of a document of each kind.", (Interval(Real, None, None, closed="neither"),)
    ),
    "rounding": Parameter(
        '{"nearest", "up"}',
        'How to round the number of relevant documents at that recall. ``"nearest"`` rounds to the nearest whole '
        'number, as trec_eval 10 does; ``"up"`` adds 0.9 and rounds down, as trec_eval did up to version 9.',
        (StrOptions({"nearest", "up"}),),
    ),
    "judged_only": Parameter(
        "bool", "Whether to remove documents without a judgment from the rankings first.", ("boolean",)
    ),
    "empty": Parameter(
        '{"zero", "one", "drop", "nan"}',
        'Value of queries that are judged but have no relevant document: 0, 1 or NaN. ``"drop"`` leaves them out of '
        "the mean; their own value is NaN.",
        (StrOptions({"zero", "one", "drop", "nan"}),),
    ),
    "average": Parameter(
        '{"mean"} or None',
        "How to combine the values of the queries. If None, one value per query is returned, in the order of `y_true`; "
        "it is NaN for queries without any judgment.",
        (StrOptions({"mean"}), None),
    ),
    "sample_weight": Parameter(
        "array-like of shape (n_queries,)",
        "Weight of each query. It refers to the mean; the order is that of `y_true`.",
        ("array-like",),
    ),
}


def constraints_of(name, default):
    """Return the constraints of a parameter, as scikit-learn's validation takes them."""
    stated = list(PARAMETERS[name].constraints)
    if default is None and None not in stated:
        stated.append(None)
    return stated
