"""Measures by name, and their names in other tools."""

from dataclasses import dataclass
from functools import partial
from inspect import signature
from types import MappingProxyType

from sklrank.metrics import _bounds as bounds
from sklrank.metrics import _measures as measures


@dataclass(frozen=True)
class Measure:
    """Describe a measure that has a name.

    Parameters
    ----------
    values : callable
        Takes `Judged` and the parameters of the measure, and returns one value per query; NaN for queries without a
        relevant document.
    at : str or None
        Parameter that ``@`` sets.
    how : {"mean", "geometric", "sum"}
        How the values of all queries are combined.
    fixed : tuple of str
        Parameters of `values` that the name does not take.
    bounds : "monotone", "constant", callable or None
        Least and greatest values over all possible judgments of the unjudged documents that a run retrieved. For
        "monotone", more relevant documents above the cutoff never lower the value, and below it never raise it. For
        "constant", further judgments do not change it. A function takes `Completed` and the parameters, and returns a
        list of arrays; their least and greatest values per query are the bounds. If None, bounds are unknown, and to
        request them is an error.
    pooled : bool
        Whether a negative grade means "in the pool, but not judged".
    """

    values: object
    at: str | None = "k"
    how: str = "mean"
    fixed: tuple = ()
    bounds: object = None
    pooled: bool = False

    @property
    def parameters(self):
        """Parameters that a name may set, with their defaults."""
        known = {name: p.default for name, p in list(signature(self.values).parameters.items())[1:]}
        return {name: default for name, default in known.items() if name not in self.fixed}


_MONOTONE = {"bounds": "monotone"}
_SET = {"at": None, "fixed": ("k",), **_MONOTONE}
_SUM = {"at": None, "how": "sum"}
_AVERAGE_PRECISION = {"bounds": bounds.bound_average_precision}
_BPREF = {"at": None, "bounds": partial(bounds.bound_by_sweep, "bpref"), "pooled": True}
_R_PRECISION = {"bounds": partial(bounds.bound_by_sweep, "rprec")}
MEASURES = MappingProxyType(
    {
        "ndcg": Measure(measures.ndcg, bounds=bounds.bound_ndcg),
        "dcg": Measure(measures.dcg, **_MONOTONE),
        "map": Measure(measures.average_precision, **_AVERAGE_PRECISION),
        "gm_map": Measure(measures.average_precision, how="geometric", **_AVERAGE_PRECISION),
        "mrr": Measure(measures.reciprocal_rank, **_MONOTONE),
        "p": Measure(measures.precision, **_MONOTONE),
        "recall": Measure(measures.recall, **_MONOTONE),
        "f1": Measure(measures.f_measure, fixed=("beta",), **_MONOTONE),
        "success": Measure(measures.success, **_MONOTONE),
        "hits": Measure(measures.n_relevant_retrieved, **_MONOTONE),
        "rprec": Measure(measures.r_precision, at=None, fixed=("multiple",), **_R_PRECISION),
        "rprec_mult": Measure(measures.r_precision, at="multiple", **_R_PRECISION),
        "relative_p": Measure(measures.relative_precision, **_MONOTONE),
        "rbp": Measure(measures.rank_biased_precision, **_MONOTONE),
        "err": Measure(measures.expected_reciprocal_rank, **_MONOTONE),
        "bpref": Measure(measures.bpref, **_BPREF),
        "gm_bpref": Measure(measures.bpref, how="geometric", **_BPREF),
        "infap": Measure(measures.inferred_ap, at=None, bounds=partial(bounds.bound_by_sweep, "infap"), pooled=True),
        "iprec": Measure(measures.interpolated_precision, at="recall", bounds=bounds.bound_interpolated_precision),
        "11pt_avg": Measure(
            measures.eleven_point_average, at="recalls", bounds=partial(bounds.bound_by_sweep, "iprec")
        ),
        "alpha_ndcg": Measure(measures.alpha_ndcg),
        "judged": Measure(measures.judged_at_k, bounds="constant"),
        "unj": Measure(measures.unjudged_at_k, bounds="constant"),
        "utility": Measure(measures.utility, at="weights"),
        "set_p": Measure(measures.precision, **_SET),
        "set_recall": Measure(measures.recall, **_SET),
        "set_f": Measure(measures.f_measure, **_SET | {"at": "beta"}),
        "set_map": Measure(measures.set_average_precision, at=None, **_MONOTONE),
        "set_relative_p": Measure(measures.relative_precision, **_SET),
        "num_q": Measure(measures.n_queries, bounds="constant", **_SUM),
        "num_ret": Measure(measures.n_retrieved, bounds="constant", **_SUM),
        "num_rel": Measure(measures.n_relevant, **_SUM, **_MONOTONE),
        "num_rel_ret": Measure(measures.n_relevant_retrieved, fixed=("k",), **_SUM, **_MONOTONE),
        "num_nonrel_judged_ret": Measure(measures.n_irrelevant_retrieved, **_SUM, **_MONOTONE),
    }
)

# Names of trec_eval, ir-measures and ranx, in lower case. A pair also fixes parameters.
ALIASES = {
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
    "rank_biased_precision": "rbp",
    "iprec_at_recall": "iprec",
    "interpolated_precision_at_recall": "iprec",
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
