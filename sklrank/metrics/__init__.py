"""Metrics of rankings, their names in strings, evaluation and comparison of runs."""

from sklrank.metrics._binary import (
    bpref_score,
    f1_at_k_score,
    inferred_ap_score,
    interpolated_precision_score,
    judged_at_k_score,
    mean_average_precision_score,
    mean_reciprocal_rank_score,
    precision_at_k_score,
    r_precision_score,
    recall_at_k_score,
    success_at_k_score,
)
from sklrank.metrics._compare import compare
from sklrank.metrics._comparison import Comparison
from sklrank.metrics._evaluate import Evaluation, evaluate
from sklrank.metrics._graded import (
    alpha_ndcg_score,
    dcg_score,
    expected_reciprocal_rank_score,
    ndcg_score,
    rank_biased_precision_score,
)
from sklrank.metrics._names import metric_from_name
from sklrank.metrics._plot import ComparisonDisplay, PerQueryDisplay
from sklrank.metrics._registration import register_scorers, unregister_scorers
from sklrank.metrics._scorer import get_scorer, get_scorer_names, make_rank_scorer
from sklrank.metrics._sets import (
    set_average_precision_score,
    set_f1_score,
    set_precision_score,
    set_recall_score,
    set_relative_precision_score,
)

__all__ = [
    "Comparison",
    "ComparisonDisplay",
    "Evaluation",
    "PerQueryDisplay",
    "alpha_ndcg_score",
    "bpref_score",
    "compare",
    "dcg_score",
    "evaluate",
    "expected_reciprocal_rank_score",
    "f1_at_k_score",
    "get_scorer",
    "get_scorer_names",
    "inferred_ap_score",
    "interpolated_precision_score",
    "judged_at_k_score",
    "make_rank_scorer",
    "mean_average_precision_score",
    "mean_reciprocal_rank_score",
    "metric_from_name",
    "ndcg_score",
    "precision_at_k_score",
    "r_precision_score",
    "rank_biased_precision_score",
    "recall_at_k_score",
    "register_scorers",
    "set_average_precision_score",
    "set_f1_score",
    "set_precision_score",
    "set_recall_score",
    "set_relative_precision_score",
    "success_at_k_score",
    "unregister_scorers",
]
