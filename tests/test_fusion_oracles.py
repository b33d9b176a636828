"""Fusers against what ranx made of the same runs (`record_ranx.py`), with every deliberate difference."""

import json
from pathlib import Path

import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone

from sklrank import Run
from sklrank.fusers import RankFuser, ReciprocalRankFuser, ScoreFuser

RANX = json.loads(Path(__file__).with_name("ranx_fusion.json").read_text(encoding="utf-8"))
WEIGHTS = {"a": 0.5, "b": 0.3, "c": 0.2}
FUSERS = {
    "sum": ScoreFuser("sum"), "mnz": ScoreFuser("mnz"), "anz": ScoreFuser("anz"), "max": ScoreFuser("max"),
    "min": ScoreFuser("min"), "med": ScoreFuser("median"), "gmnz": ScoreFuser("gmnz", gamma=0.3),
    "wsum": ScoreFuser("sum", weights=WEIGHTS), "wmnz": ScoreFuser("wmnz", weights=WEIGHTS),
    "mixed": ScoreFuser("gmnz", gamma=0.5, weights=WEIGHTS),
    "rrf": ReciprocalRankFuser(10), "isr": RankFuser("isr"), "log_isr": RankFuser("log_isr"),
    "logn_isr": RankFuser("logn_isr", sigma=0.05), "rbc": RankFuser("rbc", phi=0.8), "bordafuse": RankFuser("borda"),
    "w_bordafuse": RankFuser("borda", weights=WEIGHTS),
    "condorcet": RankFuser("condorcet"),
    "w_condorcet": RankFuser("condorcet", weights={"a": 0.6, "b": 0.25, "c": 0.15}),
}  # fmt: skip


def fused(fuser, runs="runs"):
    runs = {name: Run(run, score_dtype="float64") for name, run in zip("abc", RANX[runs])}
    return fuser.fit_transform(Run.union(runs)).to_dict()


def check(got, expected, leave_out=()):
    assert got.keys() == expected.keys()
    for qid in expected.keys() - set(leave_out):
        assert got[qid].keys() == expected[qid].keys()
        assert_allclose([got[qid][docid] for docid in expected[qid]], list(expected[qid].values()), atol=1e-12)


@pytest.mark.parametrize("method", RANX["ranks"])
def test_functions_of_ranks_equal_ranx(method):
    check(fused(FUSERS[method]), RANX["ranks"][method])


@pytest.mark.parametrize("method", RANX["majorities"])
def test_majorities_equal_ranx_where_all_lists_have_all_documents(method):
    check(fused(FUSERS[method], "full_runs"), RANX["majorities"][method])


@pytest.mark.parametrize("asked", [asked for asked in RANX["scores"] if asked != "borda mnz"])
def test_scores_equal_ranx(asked):
    norm, method = asked.split()
    # What is absent adds 0 there, which is more than the scores that are negative.
    missing = "zero" if norm in ("zmuv", "none", "max") and method in ("sum", "mnz") else "auto"
    fuser = FUSERS[method].set_params(norm=norm, missing=missing)
    check(fused(fuser), RANX["scores"][asked], leave_out=["q3"] if norm == "max" else [])


@pytest.mark.parametrize("norm", ["none", "max"])
def test_ranx_counts_absent_documents_0_in_lists_with_negative_scores(norm):
    expected = RANX["scores"][f"{norm} sum"]
    runs = {name: run for name, run in zip("abc", RANX["runs"]) if norm == "none" or max(run["q3"].values()) > 0}
    ours, zero = (ScoreFuser(norm=norm, missing=missing) for missing in ("auto", "zero"))
    check(fused(zero), expected, leave_out=["q3"] if norm == "max" else [])
    # Lists of scores above 0 give an absent document 0 in both; only q3 has scores below.
    check(fused(ours), expected, leave_out=["q3"])
    lists = [run["q3"] for run in runs.values()]
    union = Run.union({name: Run({"q3": run["q3"]}, score_dtype="float64") for name, run in runs.items()})
    scale = [max(scores.values()) if norm == "max" else 1.0 for scores in lists]
    for fuser, absent in ((zero, [0.0] * len(lists)), (ours, [min(scores.values()) for scores in lists])):
        wanted = {
            docid: sum(scores.get(docid, least) / unit for scores, least, unit in zip(lists, absent, scale))
            for docid in set().union(*lists)
        }
        check(clone(fuser).transform(union).to_dict(), {"q3": wanted})


def test_ranx_counts_all_lists_under_borda():
    got = fused(ScoreFuser("sum", norm="borda"))
    expected = RANX["scores"]["borda mnz"]
    check({q: {d: 3 * s for d, s in docs.items()} for q, docs in got.items()}, expected)


def test_ranx_multiplies_lists_without_a_positive_score():
    assert all(score < 0 for score in RANX["runs"][2]["q3"].values())
    assert min(RANX["scores"]["max sum"]["q3"].values()) < -1e9
    assert min(fused(ScoreFuser(norm="max"))["q3"].values()) > -10


def test_constant_lists_are_1():
    runs = {"a": Run({"q": {"x": 2.0}}), "b": Run({"q": {"y": 3.0, "z": 3.0}})}
    for norm in ("min-max", "max", "zmuv"):
        assert ScoreFuser(norm=norm).fit_transform(Run.union(runs)).to_dict() == {"q": {"x": 1.0, "y": 1.0, "z": 1.0}}
    halves = ScoreFuser(norm="sum").fit_transform(Run.union(runs))
    assert halves.to_dict() == {"q": {"x": 1.0, "y": 0.5, "z": 0.5}}
