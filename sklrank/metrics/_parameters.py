"""The parameters of metrics, once for all of them: what each may be, and how docstrings describe it."""

from dataclasses import dataclass
from numbers import Integral, Real

from sklrank._validation import Interval, StrOptions


@dataclass(frozen=True)
class Parameter:
    """A parameter that means the same in every metric.

    Parameters
    ----------
    kind : str
        Its type, as a docstring states it.
    text : str
        Its description.
    constraints : tuple
        Constraints as scikit-learn states them; None is allowed besides if it is the default.
    """

    kind: str
    text: str
    constraints: tuple = ()


_RANKINGS = "Run, dict, list, DataFrame, or matrix of shape (n_queries, n_documents)"
_ALIGNED = "With ids on both sides they align by id, else by position and equal length."
_POSITIVE = Interval(Real, 0, None, closed="neither")
_AT_LEAST_0 = Interval(Real, 0, None, closed="left")
_FROM_0_TO_1 = Interval(Real, 0, 1, closed="both")

PARAMETERS = {
    "y_true": Parameter(
        "Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)",
        "Judgments: a grade for each judged document of each query.",
    ),
    "y_pred": Parameter(_RANKINGS, f"Rankings. {_ALIGNED}"),
    "y_score": Parameter(_RANKINGS, f"Rankings, or scores to rank by. {_ALIGNED}"),
    "k": Parameter(
        "int", "The cutoff; ``None`` takes the whole ranking.", (Interval(Integral, 1, None, closed="left"),)
    ),
    "relevance_level": Parameter("float", "The lowest grade that counts as relevant.", (_AT_LEAST_0,)),
    "gain": Parameter(
        '{"linear", "exponential"}, dict, or array-like of shape (n_grades,)',
        "Gain of a grade: the grade itself, two to its power less one, the gains of some grades (the others keep "
        "theirs), or the gains of the grades 0, 1, …",
        (StrOptions({"linear", "exponential"}), dict, "array-like"),
    ),
    "max_grade": Parameter(
        "float",
        "The highest grade of the scale. 4 is that of the TREC web tracks and of gdeval; a higher grade in `y_true` is "
        "an error.",
        (_POSITIVE,),
    ),
    "p": Parameter(
        "float",
        "Persistence: the chance to go on to the next document.",
        (Interval(Real, 0, 1, closed="left"),),
    ),
    "alpha": Parameter("float", "How much less a subtopic counts each time it comes again.", (_FROM_0_TO_1,)),
    "beta": Parameter(
        "float",
        "Weight of recall, relative to that of precision, as trec_eval and ir-measures have it; it is not squared.",
        (_AT_LEAST_0,),
    ),
    "recall": Parameter("float", "The level of recall.", (_FROM_0_TO_1,)),
    "recalls": Parameter("sequence of float", "The levels of recall.", (_FROM_0_TO_1,)),
    "multiple": Parameter("float", "How many times the number of relevant documents.", (_AT_LEAST_0,)),
    "weights": Parameter(
        "sequence of float", "Worth of a document of each kind.", (Interval(Real, None, None, closed="neither"),)
    ),
    "rounding": Parameter(
        '{"nearest", "up"}',
        "How the number of relevant documents at that recall is made whole: to the nearest, as trec_eval 10 does, or, "
        "as it did up to version 9, down after adding 0.9.",
        (StrOptions({"nearest", "up"}),),
    ),
    "judged_only": Parameter(
        "bool", "Whether to take documents without a judgment out of the rankings first.", ("boolean",)
    ),
    "empty": Parameter(
        '{"zero", "one", "drop", "nan"}',
        "Value of queries that are judged and have no relevant document: 0, 1, none (they are left out of the mean and "
        "are NaN by themselves), or NaN.",
        (StrOptions({"zero", "one", "drop", "nan"}),),
    ),
    "average": Parameter(
        '{"mean"} or None',
        "``None`` gives one value per query, in the order of `y_true`; NaN for queries without any judgment.",
        (StrOptions({"mean"}), None),
    ),
    "sample_weight": Parameter(
        "array-like of shape (n_queries,)", "Weight of each query of `y_true` in the mean.", ("array-like",)
    ),
}


def constraints_of(name, default):
    """Constraints of a parameter, as scikit-learn's validation takes them."""
    stated = list(PARAMETERS[name].constraints)
    if default is None and None not in stated:
        stated.append(None)
    return stated
