"""Measures that trec_eval's option ``-m`` selects."""

import re

from sklrank.metrics._registry import ALIASES, MEASURES

_CUTOFFS = (5, 10, 15, 20, 30, 100, 200, 500, 1000)
_WHOLE_CUTS = {
    "P": _CUTOFFS, "recall": _CUTOFFS, "ndcg_cut": _CUTOFFS, "map_cut": _CUTOFFS, "relative_P": _CUTOFFS,
    "success": (1, 5, 10), "unj": (5, 10, 20),
}  # fmt: skip
_REAL_CUTS = {
    "iprec_at_recall": tuple(f"{i / 10:.2f}" for i in range(11)),
    "Rprec_mult": tuple(f"{i / 5:.2f}" for i in range(1, 11)),
}
_CUTS = _WHOLE_CUTS | _REAL_CUTS
_WITH_PARAMETERS = ("11pt_avg", "ndcg", "set_F", "utility")  # all numbers after the dot are one parameter
_OFFICIAL = (
    "num_q", "num_ret", "num_rel", "num_rel_ret", "map", "gm_map", "Rprec", "bpref", "recip_rank", "iprec_at_recall",
    "P",
)  # fmt: skip
_GROUPS = {
    "official": _OFFICIAL,
    "all_trec": _OFFICIAL + (
        "recall", "infAP", "gm_bpref", "Rprec_mult", "utility", "11pt_avg", "ndcg", "ndcg_cut", "map_cut", "relative_P",
        "success", "set_P", "set_relative_P", "set_recall", "set_map", "set_F", "num_nonrel_judged_ret", "unj",
    ),
    "set": (
        "num_q", "num_ret", "num_rel", "num_rel_ret", "utility", "set_P", "set_relative_P", "set_recall", "set_map",
        "set_F",
    ),
}  # fmt: skip
_LEFT_OUT = re.compile(
    r"(relstring|binG|G|ndcg_rel|Rndcg|rbp_resid|yaap|ideal_dcg|(all_)?prefs\w*|\w+_avgjg|qrels_jg)([._].*)?"
)


def trec_names(spec):
    """Return the names that one option ``-m`` of trec_eval selects.

    Parameters
    ----------
    spec : str
        A measure (``"map"``), a measure with cutoffs (``"P.5,10"``, ``"P@5,10"``) or parameters (``"ndcg.1=3,2=9"``), a
        measure with default cutoffs (``"ndcg_cut"``), or a group (``"official"``, ``"all_trec"``, ``"set"``).

    Returns
    -------
    list of str
        Measures of trec_eval are in its spelling.

    Raises
    ------
    ValueError
        If a cutoff is not a number of the right kind, or the measure is one of trec_eval that sklrank does not have.
    """
    if spec in _GROUPS:
        return [name for measure in _GROUPS[spec] for name in trec_names(measure)]
    if spec in _CUTS:
        return [f"{spec}_{cut}" for cut in _CUTS[spec]]
    if _LEFT_OUT.fullmatch(spec) and spec.lower() not in MEASURES and spec.lower() not in ALIASES:
        raise ValueError(f"{spec!r} is a measure of trec_eval that sklrank does not have; see the page Command line")
    base, dot, parameters = spec.partition(".")
    if dot and base in _WITH_PARAMETERS:
        return [f"{base}_{parameters}"]
    if dot and base in _CUTS:
        cuts = parameters.split(",")
        for cut in cuts:
            _check_cut(spec, base, cut)
        if base in _REAL_CUTS:
            cuts = [f"{float(cut):.2f}" for cut in cuts]
        return [f"{base}_{cut}" for cut in cuts]
    base, at, cuts = spec.rpartition("@")
    if at and "," in cuts and "(" not in cuts and base != "11pt_avg":
        return [f"{base}@{cut.strip()}" for cut in cuts.split(",")]
    return [spec]


def _check_cut(spec, base, cut):
    example = f"'{base}.{_CUTS[base][0]}'"
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", cut):
        raise ValueError(f"{spec!r}: {cut!r} is not a cutoff; expected a number, as in {example}")
    if base in _WHOLE_CUTS and not cut.isdigit():
        raise ValueError(f"{spec!r}: cutoffs of {base} must be whole numbers, as in {example}; got {cut!r}")
