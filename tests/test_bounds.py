"""Bounds of metrics over all judgments of the unjudged documents, against all of them."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklrank import Qrels, Run
from sklrank.metrics import evaluate, metric_from_name
from sklrank.metrics._bounds import limits
from sklrank.metrics._judged import align
from sklrank.metrics._names import Metric
from sklrank.metrics._registry import MEASURES, Measure

NAMES = [
    "ndcg", "ndcg@2", "ndcg(gain=exponential)@3", "dcg@2", "map", "map@2", "map(rel=2)", "mrr", "mrr@2", "p@2",
    "recall@2", "recall", "f1@2", "success@1", "rprec", "rprec_mult@0.6", "relative_p@2", "rbp",
    "rbp(gain=linear,max_grade=3)", "err", "bpref", "infap", "iprec@0.4", "11pt_avg", "set_p", "set_recall",
    "set_f", "set_map", "set_relative_p", "num_rel_ret", "num_nonrel_judged_ret", "num_rel", "num_ret", "judged@2",
    "hits@2", "11pt_avg@0.25,0.5", "map(empty=one)", "recall(empty=one)@2", "ndcg(empty=one)",
]  # fmt: skip

DOCIDS = list("abcdefghij")
RANKINGS = st.lists(st.sampled_from(DOCIDS), max_size=6, unique=True)
GRADES = st.dictionaries(st.sampled_from(DOCIDS), st.sampled_from([0, 1, 3]), min_size=1, max_size=7)


def all_values(judged, ranking, names):
    """Values of each metric under all judgments of the unjudged documents of `ranking`."""
    free = [docid for docid in ranking if docid not in judged]
    grades = {0, max(0, *judged.values()) or 1} | {grade for grade in judged.values() if grade > 0}
    assignments = [judged | dict(zip(free, chosen)) for chosen in product(sorted(grades), repeat=len(free))]
    return evaluate(assignments, [ranking] * len(assignments), names).per_query


@settings(max_examples=200)
@given(GRADES, RANKINGS)
def test_bounds_are_the_extremes_over_all_judgments(judged, ranking):
    values = all_values(judged, ranking, NAMES)
    found = evaluate([judged], [ranking], NAMES, bounds=True)
    for name in NAMES:
        if name == "judged@2":  # whatever the judgments will say, nobody has looked yet
            assert found.bounds[name] == (found[name], found[name])
            continue
        extremes = (values[name].min(), values[name].max())
        np.testing.assert_allclose(found.bounds[name], extremes, rtol=1e-6, atol=1e-9, err_msg=name)


@given(st.lists(st.tuples(GRADES, RANKINGS), min_size=2, max_size=4))
def test_bounds_of_a_mean_are_means_of_bounds(pairs):
    qrels, run = {f"q{i}": g for i, (g, _) in enumerate(pairs)}, {f"q{i}": r for i, (_, r) in enumerate(pairs)}
    top = max(max(grades.values()) for grades, _ in pairs)
    names = ["ndcg@2", "map", "bpref", "recall@2"]
    whole = evaluate(Qrels(qrels), Run(run), names, bounds=True).bounds
    assert whole == evaluate(qrels, run, names, bounds=True).bounds
    each = [
        evaluate([grades], [ranking], names, bounds=True).bounds
        for grades, ranking in pairs
        if max(grades.values()) == top
    ]
    if len(each) == len(pairs):  # the highest grade is that of all judgments
        for name in names:
            np.testing.assert_allclose(whole[name], np.mean([bounds[name] for bounds in each], axis=0))


@given(st.dictionaries(st.sampled_from(DOCIDS), st.sampled_from([-1, 0, 1]), min_size=1, max_size=7), RANKINGS)
def test_bounds_of_bpref_and_infap_take_negative_grades_for_unjudged(judged, ranking):
    known = {docid: grade for docid, grade in judged.items() if grade >= 0 or docid not in ranking}
    values = all_values(known | {"never retrieved": 0}, ranking, ["bpref", "infap"])
    found = evaluate([judged | {"never retrieved": 0}], [ranking], ["bpref", "infap"], bounds=True)
    for name in ("bpref", "infap"):
        extremes = (values[name].min(), values[name].max())
        np.testing.assert_allclose(found.bounds[name], extremes, rtol=1e-6, atol=1e-9, err_msg=name)


def test_a_fully_judged_run_has_no_room():
    found = evaluate([{"a": 0, "b": 2, "c": 1, "z": 1}], [["a", "b", "c"]], ["ndcg", "map", "bpref"], bounds=True)
    assert all(low == pytest.approx(found[name]) == high for name, (low, high) in found.bounds.items())


def test_bounds_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="empty=zero"):
        evaluate([{"a": 1}], [["a"]], "map(empty=drop)", bounds=True)
    with pytest.raises(ValueError, match="rise with the grade"):
        limits(Metric("ndcg", "ndcg", {"gain": [0, 2, 1]}), align([{"a": 2, "b": 1}], [["a", "c"]]))
    frame = pd.DataFrame({"qid": "q", "docid": ["a", "b"], "grade": 1, "subtopic": ["1", "2"]})
    with pytest.raises(ValueError, match="'alpha_ndcg' has no bounds"):
        evaluate(Qrels.from_frame(frame, subtopic="subtopic"), {"q": ["a"]}, "alpha_ndcg", bounds=True)


@pytest.mark.parametrize(
    ("declared", "bounds"),
    [
        ("monotone", (0.25, 0.75)),
        ("constant", (0.25, 0.25)),
        (lambda complete: [np.zeros(len(complete.judged)), np.ones(len(complete.judged))], (0.0, 1.0)),
    ],
)
def test_a_new_measure_declares_its_bounds(monkeypatch, declared, bounds):
    def share(judged):
        return judged.n_relevant(1) / 4

    monkeypatch.setattr("sklrank.metrics._names.MEASURES", {"share": Measure(share, bounds=declared)})
    found = evaluate([{"a": 1}], [["x", "a", "y"]], "share", bounds=True)
    assert found["share"] == 0.25 and found.bounds["share"] == bounds


def test_a_new_measure_that_declares_no_bounds_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(
        "sklrank.metrics._names.MEASURES", {"last": Measure(lambda judged: judged.n_retrieved * 1.0, at=None)}
    )
    assert evaluate([{"a": 1}], [["x", "a"]], "last") == {"last": 2.0}
    with pytest.raises(ValueError, match="'last' has no bounds"):
        evaluate([{"a": 1}], [["x", "a"]], "last", bounds=True)


def test_every_measure_is_tried_against_all_judgments_or_declares_no_bounds():
    tried = {metric_from_name(name).base for name in NAMES}
    geometric = {"gm_map", "gm_bpref"}
    same = {"unj", "num_q"} | geometric
    assert {name for name, measure in MEASURES.items() if measure.bounds} - same == tried


def test_bounds_of_gains_that_fall_are_refused():
    for name in ("dcg(gain={1: 5, 2: 1})", "rbp(gain={1: 5, 2: 1})", "ndcg(gain={1: 5, 2: 1})"):
        with pytest.raises(ValueError, match="rise with the grade"):
            evaluate([{"a": 2, "b": 1}], [["a", "c"]], name, bounds=True)
