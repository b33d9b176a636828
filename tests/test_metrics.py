"""Metrics: definitions, shapes, conventions, names."""

import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import references as ref
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sklrank import Corpus, Qrels, Run, metrics
from sklrank.metrics import evaluate, metric_from_name
from sklrank.metrics._registry import MEASURES
from sklrank.metrics._trec import trec_names

DOCIDS = [f"d{i}" for i in range(12)] + ["é", "日本", "𝄞", "z z"]
EXPONENTIAL = {"gain": lambda grade: 2**grade - 1}

judgments = st.dictionaries(st.sampled_from(DOCIDS), st.integers(-2, 4), max_size=10)
scored = st.dictionaries(
    st.sampled_from(DOCIDS), st.sampled_from([-1.0, 0.0, -0.0, 0.5, 1 + 1e-9, 1.0, 2.0, 1e30]), max_size=16
)
collections = st.lists(st.tuples(judgments, scored), min_size=1, max_size=5).map(
    lambda pairs: (
        {f"q{i}": judged for i, (judged, _) in enumerate(pairs)},
        {f"q{i}": ranking for i, (_, ranking) in enumerate(pairs)},
    )
)

# name → the definition in plain Python
DEFINITIONS = {
    "ndcg": ref.ndcg,
    "ndcg@3": lambda r, j: ref.ndcg(r, j, 3),
    "ndcg(gain=exponential)@5": lambda r, j: ref.ndcg(r, j, 5, **EXPONENTIAL),
    "dcg@4": lambda r, j: ref.dcg(ref.grades_of(r, j, 4)),
    "map": ref.average_precision,
    "map(rel=2)@3": lambda r, j: ref.average_precision(r, j, 3, 2),
    "mrr": ref.reciprocal_rank,
    "mrr(rel=3)@2": lambda r, j: ref.reciprocal_rank(r, j, 2, 3),
    "p@5": lambda r, j: ref.precision(r, j, 5),
    "recall@3": lambda r, j: ref.recall(r, j, 3),
    "recall(rel=2)": lambda r, j: ref.recall(r, j, None, 2),
    "f1@4": lambda r, j: ref.f1(r, j, 4),
    "rprec": ref.r_precision,
    "success@2": lambda r, j: float(ref.found(r, j, 2) > 0) if ref.n_relevant(j) else math.nan,
    "rbp(p=0.8)": lambda r, j: ref.rank_biased_precision(r, j, 0.8, lambda grade: grade >= 1),
    "rbp(p=0.5,gain=linear,max_grade=4)@6": lambda r, j: ref.rank_biased_precision(
        r, j, 0.5, lambda g: max(g, 0) / 4, 6
    ),
    "err@5": lambda r, j: ref.expected_reciprocal_rank(r, j, 5),
    "bpref": ref.bpref,
    "bpref(rel=2)": lambda r, j: ref.bpref(r, j, 2),
    "iprec@0.3": lambda r, j: ref.interpolated_precision(r, j, 0.3),
    "judged@4": lambda r, j: ref.judged_at_k(r, j, 4),
}


def expected(definition, judged, ranking):
    if not judged:
        return math.nan
    value = definition(ref.order(ranking, np.float32), judged)
    return 0.0 if math.isnan(value) else value


@given(collection=collections.filter(lambda both: any(both[0].values())))
def test_metrics_equal_their_definition(collection):
    qrels, run = collection
    for y_true, y_pred in ((qrels, run), (Qrels(qrels), Run(run))):
        found = evaluate(y_true, y_pred, list(DEFINITIONS)).per_query
        for name, definition in DEFINITIONS.items():
            wanted = [expected(definition, qrels[qid], run[qid]) for qid in qrels]
            np.testing.assert_allclose(found[name], wanted, rtol=1e-12, atol=1e-15, err_msg=name)


@given(collection=collections)
def test_all_shapes_of_input_agree(collection):
    qrels, run = collection
    names = ["ndcg@3", "map", "p@2", "bpref", "judged@5"]
    wanted = evaluate(list(qrels.values()), list(run.values()), names).per_query if any(qrels.values()) else None
    if wanted is None:
        with pytest.raises(ValueError, match="nothing to average"):
            evaluate(qrels, run, names)
        return
    corpus = Corpus([""] * len(DOCIDS), ids=DOCIDS)
    ordered = {qid: ref.order(ranking, np.float32) for qid, ranking in run.items()}
    runs = [run, Run(run), Run(run, corpus=corpus), ordered, Run(ordered), list(ordered.values()), list(run.values())]
    objects = np.empty(len(qrels), dtype=object)
    objects[:] = list(qrels.values())
    for y_true in (
        qrels,
        Qrels(qrels),
        Qrels(qrels, corpus=corpus),
        list(qrels.values()),
        objects,
        pd.Series(list(qrels.values())),
    ):
        for y_pred in runs:
            found = evaluate(y_true, y_pred, names).per_query
            for name in names:
                np.testing.assert_array_equal(found[name], wanted[name])


def test_frames_are_judgments_and_runs():
    qrels = {"q1": {"a": 2, "b": 0}, "q2": {"c": 1}}
    run = {"q1": {"b": 1.0, "a": 0.5}, "q2": {"c": 3.0}}
    for library in (pd, pl):
        judged = library.DataFrame({"qid": ["q1", "q1", "q2"], "docid": ["a", "b", "c"], "grade": [2, 0, 1]})
        found = library.DataFrame({"qid": ["q1", "q1", "q2"], "docid": ["b", "a", "c"], "score": [1.0, 0.5, 3.0]})
        assert evaluate(judged, found, ["ndcg", "mrr"]) == evaluate(qrels, run, ["ndcg", "mrr"])


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 12))
def test_matrices_of_every_kind_agree(seed, n_queries, n_documents):
    rng = np.random.default_rng(seed)
    grades, scores = rng.integers(0, 3, (n_queries, n_documents)), rng.random((n_queries, n_documents))
    dense = metrics.ndcg_score(grades, scores, average=None)
    corpus = Corpus([""] * n_documents, ids=[f"x{i}" for i in range(n_documents)])
    run = Run.from_arrays(np.tile(np.arange(n_documents), (n_queries, 1)), scores, corpus=corpus)
    pairs = [
        (grades.tolist(), scores.tolist()),
        (grades, sparse.csr_array(scores)),
        (grades, run),
        (Qrels(grades, corpus=corpus), run),
        (Qrels(grades, corpus=corpus), scores),
    ]
    for y_true, y_pred in pairs:
        np.testing.assert_array_equal(metrics.ndcg_score(y_true, y_pred, average=None), dense)
    # stored entries of a sparse matrix are judged, the others are not, and count as irrelevant
    stored = metrics.ndcg_score(sparse.csr_array(grades), scores, average=None) if grades.any() else dense
    np.testing.assert_array_equal(stored[grades.any(axis=1)], dense[grades.any(axis=1)])


def test_ids_may_be_int():
    qrels, run = {1: {7: 1}, 2: {8: 2}}, {2: {8: 0.5, 9: 0.7}, 1: {7: 1.0}}
    assert evaluate(qrels, run, "mrr").per_query["mrr"].tolist() == [1.0, 0.5]
    assert evaluate({"1": {"7": 1}, "2": {"8": 2}}, run, "mrr") == {"mrr": 0.75}


def test_lists_of_int_are_ids_beside_judgments_with_ids_and_scores_beside_a_matrix():
    assert metrics.mean_reciprocal_rank_score([{7: 1}], [[8, 7]]) == 0.5
    assert metrics.mean_reciprocal_rank_score([[0, 1]], [[8, 7]]) == 0.5
    assert metrics.mean_reciprocal_rank_score([{"7": 1}], np.array([["8", "7"]])) == 0.5
    with pytest.raises(TypeError, match="ids are str or int"):
        metrics.mean_reciprocal_rank_score([{"7": 1}], [[0.5, 0.7]])


def test_a_query_may_stand_twice():
    """As in a bootstrap sample of queries."""
    qrels, run = Qrels({"q1": {"a": 1}, "q2": {"b": 1}})[[1, 0, 1]], {"q1": ["a"], "q2": ["x", "b"]}
    for y_pred in (run, Run(run), Run(run)[[1, 0, 1]]):
        assert metrics.mean_reciprocal_rank_score(qrels, y_pred, average=None).tolist() == [0.5, 1.0, 0.5]


def test_equal_scores_of_a_matrix_go_to_the_lower_column():
    assert metrics.mean_reciprocal_rank_score([[0, 1, 1]], [[1.0, 1.0, 1.0]]) == 0.5


# --- properties


@given(collection=collections)
def test_metrics_lie_between_zero_and_one(collection):
    qrels, run = collection
    for name, measure in MEASURES.items():
        if measure.how == "sum" or name in ("dcg", "alpha_ndcg", "hits", "utility"):
            continue
        values = metric_from_name(name)(qrels, run, average=None)
        judged = [bool(grades) for grades in qrels.values()]
        assert ((values[judged] >= 0) & (values[judged] <= 1 + 1e-12)).all(), name


@given(judgments.filter(lambda judged: max(judged.values(), default=0) > 0))
def test_the_ideal_order_scores_one(judged):
    ideal = sorted(judged, key=judged.get, reverse=True)
    ideal = [docid for docid in ideal if judged[docid] >= 0]
    names = ["ndcg", "ndcg@3", "map", "mrr", "recall", "rprec", "bpref", "success@1", "iprec@1", "judged@5"]
    assert evaluate([judged], [ideal], names) == {name: pytest.approx(1.0) for name in names}


@given(collection=collections, rng=st.randoms())
def test_order_of_queries_and_documents_does_not_matter(collection, rng):
    qrels, run = collection
    shuffled = {qid: dict(rng.sample(list(run[qid].items()), len(run[qid]))) for qid in rng.sample(list(run), len(run))}
    for name in ("ndcg@5", "map", "bpref"):
        np.testing.assert_array_equal(
            metric_from_name(name)(qrels, run, average=None), metric_from_name(name)(qrels, shuffled, average=None)
        )


@given(collection=collections)
def test_judged_only_is_the_run_without_unjudged_documents(collection):
    qrels, run = collection
    condensed = {qid: {d: s for d, s in run[qid].items() if qrels[qid].get(d, -1) >= 0} for qid in run}
    for name in ("ndcg@3", "map", "mrr", "p@2", "recall@2", "rprec", "set_p", "rbp"):
        base, at, k = name.partition("@")
        found = metric_from_name(f"{base}(judged_only=true){at}{k}")
        np.testing.assert_allclose(
            found(qrels, run, average=None), metric_from_name(name)(qrels, condensed, average=None), rtol=1e-12
        )


# --- which queries count


def test_judged_queries_that_the_run_lacks_count_zero():
    qrels = {"q1": {"a": 1}, "q2": {"b": 1}}
    assert evaluate(qrels, {"q1": ["a"]}, "map")["map"] == 0.5
    assert evaluate(Qrels(qrels), Run({"q1": ["a"]}), "map").in_run.tolist() == [True, False]


def test_queries_without_judgments_never_enter_the_mean():
    run = {"q1": ["a"], "q2": ["b"], "q3": ["c"]}
    assert evaluate({"q1": {"a": 1}}, run, "map") == {"map": 1.0}
    assert evaluate(Qrels({"q1": {"a": 1}}).align({"q1": "", "q2": "", "q3": ""}), Run(run), "map") == {"map": 1.0}
    qrels = [{"a": 1}, {}, {}]
    assert metrics.mean_average_precision_score(qrels, list(run.values())) == 1.0
    np.testing.assert_array_equal(
        metrics.mean_average_precision_score(qrels, list(run.values()), average=None, empty="one"), [1, np.nan, np.nan]
    )


@pytest.mark.parametrize(
    ("empty", "mean", "values"),
    [("zero", 0.5, [1, 0]), ("one", 1.0, [1, 1]), ("drop", 1.0, [1, np.nan]), ("nan", np.nan, [1, np.nan])],
)
def test_empty_says_what_queries_without_relevant_documents_count_for(empty, mean, values):
    qrels, run = [{"a": 1}, {"a": 0}], [["a"], ["a"]]
    # others cannot reach 1 here
    partial = {"dcg_score", "judged_at_k_score", "alpha_ndcg_score", "expected_reciprocal_rank_score"}
    partial.add("rank_biased_precision_score")
    for name in {name for name in metrics.__all__ if name.endswith("_score")} - partial:
        score = getattr(metrics, name)
        np.testing.assert_allclose(score(qrels, run, empty=empty), mean, rtol=1e-5)
        np.testing.assert_allclose(score(qrels, run, empty=empty, average=None), values, rtol=1e-5)


def test_weights_weigh_queries():
    qrels, run = [{"a": 1}, {"a": 1}, {}], [["a"], ["b"], ["a"]]
    assert metrics.success_at_k_score(qrels, run, sample_weight=[3, 1, 5]) == 0.75
    with pytest.raises(ValueError, match="one weight for each of 3 queries"):
        metrics.success_at_k_score(qrels, run, sample_weight=[1, 2])
    with pytest.raises(ValueError, match="weight 0"):
        metrics.success_at_k_score(qrels, run, sample_weight=[0, 0, 1])


def test_average_none_follows_the_judgments():
    qrels = {"q2": {"a": 1}, "q1": {"b": 1}}
    run = Run({"q1": ["x", "b"], "q2": ["a"]})
    assert metrics.mean_reciprocal_rank_score(qrels, run, average=None).tolist() == [1.0, 0.5]


# --- errors


@pytest.mark.parametrize("run", [{"x": ["a"]}, Run({"x": ["a"]})])
def test_ids_that_do_not_match_at_all_are_an_error(run):
    with pytest.raises(ValueError, match="'x'"):
        evaluate({"q1": {"a": 1}}, run, "map")


def test_bad_input_names_the_offender():
    good = {"q1": {"a": 1}}
    with pytest.raises(ValueError, match=r"NaN.*'q1', 'b'"):
        evaluate(good, {"q1": {"a": 1.0, "b": math.nan}}, "map")
    with pytest.raises(ValueError, match=r"NaN.*'q1', 'a'"):
        evaluate({"q1": {"a": math.nan}}, {"q1": {"a": 1.0}}, "map")
    with pytest.raises(TypeError, match="'high'"):
        evaluate(good, {"q1": {"a": "high"}}, "map")
    with pytest.raises(ValueError, match="more than once: 'a'"):
        evaluate(good, {"q1": ["a", "b", "a"]}, "map")
    with pytest.raises(ValueError, match="equal numbers"):
        evaluate([{"a": 1}], [["a"], ["b"]], "map")
    with pytest.raises(ValueError, match="shape"):
        evaluate(np.ones((2, 3)), np.ones((2, 4)), "map")
    with pytest.raises(ValueError, match="n_queries, n_documents"):
        evaluate(np.ones(3), np.ones(3), "map")
    with pytest.raises(TypeError, match="pass the judgments first"):
        evaluate(Run({"q1": ["a"]}), Qrels(good), "map")
    with pytest.raises(ValueError, match="nothing to average"):
        evaluate({"q1": {}}, {"q1": ["a"]}, "map")
    with pytest.raises(ValueError, match="max_grade"):
        evaluate({"q1": {"a": 7}}, {"q1": ["a"]}, "err")
    with pytest.raises(ValueError, match="grades go up to 7"):
        metrics.ndcg_score({"q1": {"a": 7}}, {"q1": ["a"]}, gain=[0, 1, 3])
    with pytest.raises(ValueError, match="subtopics"):
        evaluate(good, {"q1": ["a"]}, "alpha_ndcg")
    with pytest.raises(ValueError, match="'k' parameter"):
        metrics.ndcg_score(good, {"q1": ["a"]}, k=0)


def test_gain_may_be_a_table():
    qrels, run = {"q1": {"a": 1, "b": 2, "c": -1}}, {"q1": ["a", "b", "c"]}
    table = metrics.ndcg_score(qrels, run, gain=[0, 1, 3])
    assert table == metrics.ndcg_score(qrels, run, gain="exponential")


# --- names


ALIASES = {
    "ndcg@10": ["nDCG@10", "ndcg_cut_10", "ndcg_cut.10", "NDCG(cutoff=10)", " ndcg @10"],
    "ndcg(gain=exponential)@5": ["ndcg_burges@5", "nDCG(dcg='exp-log2')@5", "ndcg(gain=exp)@5"],
    "map(rel=2)@100": ["AP(rel=2)@100", "map@100-l2", "map_cut_100-l2"],
    "mrr": ["RR", "recip_rank", "mrr()"],
    "p@5": ["P@5", "P_5", "precision@5", "P.5"],
    "recall@100": ["R@100", "recall_100", "Recall@100"],
    "success@1": ["Success@1", "hit_rate@1", "success_1"],
    "rprec": ["Rprec", "r-precision"],
    "rbp(p=0.8)": ["RBP(p=.8)", "rbp.8", "rbp.80"],
    "iprec(recall=0.1)": ["IPrec@0.1", "iprec_at_recall_0.10", "iprec_at_recall.0.1"],
    "infap": ["infAP"],
    "bpref": ["Bpref", "BPref"],
    "judged@10": ["Judged@10"],
    "err@20": ["ERR@20"],
    "alpha_ndcg@10": ["alpha_nDCG@10", "α_nDCG@10"],
    "set_p": ["SetP", "set_P"],
    "set_f": ["SetF", "set_F"],
    "num_rel_ret": ["NumRelRet"],
}


@pytest.mark.parametrize(("name", "alias"), [(name, alias) for name, aliases in ALIASES.items() for alias in aliases])
def test_names_of_other_tools_are_aliases(name, alias):
    assert metric_from_name(alias) == metric_from_name(name)


@pytest.mark.parametrize("name", MEASURES)
def test_names_pickle_and_ignore_case(name):
    metric = metric_from_name(name.upper())
    assert pickle.loads(pickle.dumps(metric)) == metric == metric_from_name(metric)
    assert hash(metric) == hash(metric_from_name(name))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ndgc@10", "Did you mean ndcg"),
        ("", "there is no metric"),
        ("map(rel=2,foo=3)", "no parameter 'foo'"),
        ("ndcg(rel=2)", "no parameter 'relevance_level'"),
        ("ndcg@10-l2", "no parameter 'relevance_level'"),
        ("map@0", "at least 1"),
        ("map@1.5", "whole number"),
        ("rprec@5", "takes no cutoff"),
        ("rbp(p=2)", "below 1"),
        ("rbp(p)", "param=value"),
        ("ndcg(gain=cubic)", "exponential"),
        ("__import__('os')", "param=value"),
    ],
)
def test_bad_names_say_what_is_wrong(name, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        metric_from_name(name)


def test_metrics_take_strings_only_for_names():
    with pytest.raises(TypeError, match="ndcg@10"):
        metric_from_name(10)


def test_defaults_fill_what_a_name_leaves_open():
    metric = metric_from_name("map(rel=2)").with_defaults(relevance_level=3, judged_only=True, gain="linear")
    assert metric.params == {"relevance_level": 2, "judged_only": True}


def test_trec_names_expand():
    assert trec_names("P.5,10") == ["P_5", "P_10"]
    assert trec_names("iprec_at_recall.0.1") == ["iprec_at_recall_0.10"]
    assert trec_names("ndcg@10") == ["ndcg@10"]
    for name in trec_names("all_trec"):
        metric_from_name(name)


def test_numbers_after_a_dot_are_cutoffs_or_parameters():
    assert trec_names("11pt_avg.0.25,0.5") == ["11pt_avg_0.25,0.5"]
    assert trec_names("ndcg.1=3,2=9") == ["ndcg_1=3,2=9"]
    assert metric_from_name("11pt_avg_0.25,0.5") == metric_from_name("11pt_avg(recalls=(0.25, 0.5))")
    assert metric_from_name("utility_2,-1,-0.5,0").params == {"weights": (2, -1.0, -0.5, 0)}
    with pytest.raises(ValueError, match="cutoffs of ndcg_cut must be whole numbers, as in 'ndcg_cut.5'; got '23.5'"):
        trec_names("ndcg_cut.10,23.5")
    with pytest.raises(ValueError, match="recalls must be at least 0 and at most 1, got '2'"):
        metric_from_name("11pt_avg@0.5,2")


def test_an_average_over_recalls_is_that_of_interpolated_precisions():
    qrels, run = {"q": {"a": 1, "b": 1, "c": 1}}, {"q": ["a", "x", "b", "y", "c"]}
    names = ["11pt_avg@0.25,0.5", "iprec@0.25", "iprec@0.5"]
    found = evaluate(qrels, run, names, bounds=True)
    assert found[names[0]] == pytest.approx((found["iprec@0.25"] + found["iprec@0.5"]) / 2)
    assert evaluate(qrels, run, "11pt_avg", bounds=True)["11pt_avg"] == pytest.approx(
        np.mean([evaluate(qrels, run, f"iprec@{i / 10}")[f"iprec@{i / 10}"] for i in range(11)])
    )


def test_utility_weighs_four_kinds_of_documents():
    qrels, run = {"q": {"a": 1, "b": 1, "c": 0, "d": 1}}, {"q": ["a", "x", "c", "b"]}
    assert evaluate(qrels, run, ["utility", "utility_2,-1,-3,0"]) == {"utility": 0.0, "utility_2,-1,-3,0": -1.0}
    with pytest.raises(ValueError, match="last must be 0"):
        evaluate(qrels, run, "utility_1,-1,0,1")


@pytest.mark.parametrize(
    "name",
    [
        "ndcg(gain=exponential)@10",
        "dcg(gain=exponential)",
        "rbp(gain=exponential)",
        "rbp(gain=exponential,max_grade=1024)",
        "err(max_grade=1024)",
    ],
)
@pytest.mark.parametrize("grade", [1, 1024])
def test_grades_whose_power_of_two_is_no_number_are_named(name, grade):
    if grade == 1 and "max_grade" not in name:
        return
    with pytest.raises(ValueError, match="exponential gain of grade 1024 is too large.*linear"):
        evaluate({"q": {"a": grade, "b": 1}}, {"q": ["a", "b"]}, name)


def test_infinite_grades_are_named_in_every_shape():
    for qrels in ({"q": {"a": math.inf}}, [{"a": math.inf}], np.array([[math.inf]])):
        with pytest.raises(ValueError, match="inf"):
            evaluate(qrels, [["a"]] if isinstance(qrels, list) else {"q": ["a"]}, "ndcg")


def test_names_and_functions_give_the_same_number():
    rng = np.random.default_rng(3)
    qrels = [{d: int(rng.integers(0, 4)) for d in rng.choice(DOCIDS, 6, replace=False)} for _ in range(9)]
    run = [{d: float(rng.random()) for d in rng.choice(DOCIDS, 10, replace=False)} for _ in range(9)]
    both = {
        "ndcg@5": metrics.ndcg_score(qrels, run, k=5),
        "dcg@5": metrics.dcg_score(qrels, run, k=5),
        "map(rel=2)": metrics.mean_average_precision_score(qrels, run, relevance_level=2),
        "mrr@3": metrics.mean_reciprocal_rank_score(qrels, run, k=3),
        "p@5": metrics.precision_at_k_score(qrels, run, k=5),
        "recall@5": metrics.recall_at_k_score(qrels, run, k=5),
        "f1@5": metrics.f1_at_k_score(qrels, run, k=5),
        "success@1": metrics.success_at_k_score(qrels, run, k=1),
        "rprec": metrics.r_precision_score(qrels, run),
        "rbp(p=0.7)": metrics.rank_biased_precision_score(qrels, run, p=0.7),
        "err@5": metrics.expected_reciprocal_rank_score(qrels, run, k=5),
        "bpref": metrics.bpref_score(qrels, run),
        "infap": metrics.inferred_ap_score(qrels, run),
        "iprec@0.4": metrics.interpolated_precision_score(qrels, run, recall=0.4),
        "judged@5": metrics.judged_at_k_score(qrels, run, k=5),
        "set_p": metrics.set_precision_score(qrels, run),
        "set_recall": metrics.set_recall_score(qrels, run),
        "set_f(beta=2)": metrics.set_f1_score(qrels, run, beta=2),
        "set_map": metrics.set_average_precision_score(qrels, run),
        "set_relative_p": metrics.set_relative_precision_score(qrels, run),
    }
    assert evaluate(qrels, run, list(both)) == both


def test_evaluation_becomes_a_frame():
    frame = evaluate({"q1": {"a": 1}}, {"q1": ["a"]}, ["map", "p@2"]).to_frame()
    assert list(frame.columns) == ["qid", "map", "p@2"] and frame["p@2"].tolist() == [0.5]


def test_bounds_are_shown():
    qrels, run = {"q1": {"a": 1}, "q2": {"b": 1, "c": 0}}, {"q1": ["x", "a"], "q2": ["b", "c"]}
    result = evaluate(qrels, run, ["mrr", "p@1"], bounds=True)
    assert result.bounds == {"mrr": (0.75, 1.0), "p@1": (0.5, 1.0)}
    assert repr(result) == str(result) == "{'mrr': 0.75 in [0.75, 1.0], 'p@1': 0.5 in [0.5, 1.0]}"
    frame = result.to_frame()
    assert list(frame.columns) == ["qid", "mrr", "mrr_low", "mrr_high", "p@1", "p@1_low", "p@1_high"]
    assert frame["mrr_low"].tolist() == [0.5, 1.0] and frame["mrr_high"].tolist() == [1.0, 1.0]
    assert result == evaluate(qrels, run, ["mrr", "p@1"]) and "in [" not in repr(evaluate(qrels, run, "mrr"))
    assert repr(pickle.loads(pickle.dumps(result))) == repr(result)


def test_bounds_are_over_what_the_run_retrieved():
    found = evaluate({"q1": {"a": 1}}, {"q1": ["a"]}, ["recall", "map", "ndcg"], bounds=True)
    assert all(ends == (1.0, 1.0) for ends in found.bounds.values())  # whatever else there may be in the corpus


def test_sliced_judgments_and_runs_align():
    rng = np.random.default_rng(0)
    corpus = Corpus([""] * 50)
    run = Run.from_arrays(np.stack([rng.permutation(50)[:20] for _ in range(10)]), rng.random((10, 20)), corpus=corpus)
    grades = rng.integers(0, 3, (10, 50))
    for qrels in (
        Qrels(grades, corpus=corpus),
        Qrels(grades),
        Qrels([{str(d): int(g) for d, g in enumerate(row)} for row in grades]),
    ):
        whole = metrics.ndcg_score(qrels, run, average=None)
        for idx in (slice(3, 7), np.array([9, 0, 4]), np.arange(10) % 2 == 0):
            np.testing.assert_array_equal(metrics.ndcg_score(qrels[idx], run[idx], average=None), whole[idx])


def test_read_only_arrays_are_fine():
    corpus = Corpus([""] * 5)
    indptr, rows, scores = np.array([0, 3]), np.array([2, 0, 1]), np.ones(3, dtype=np.float32)
    for array in (indptr, rows, scores):
        array.flags.writeable = False
    run = Run.from_ragged(indptr, rows, scores, queries=Run([["0"]]).queries, corpus=corpus)
    assert metrics.mean_reciprocal_rank_score(Qrels(np.array([[1, 0, 0, 0, 0]]), corpus=corpus), run) == 0.5


def test_kernels_run_without_compilation():
    """For coverage, and to see that they are plain Python."""
    code = (
        "import numpy as np; from sklrank.metrics import evaluate; from sklrank import Corpus, Qrels, Run\n"
        "qrels = {'q': {'a': 2, 'b': 0, 'c': 1, 'd': -1}}; run = {'q': {'b': 1.0, 'a': 1.0, 'x': 0.5, 'c': 0.1}}\n"
        "names = ['ndcg@10', 'map', 'mrr', 'recall@2', 'rbp', 'err', 'bpref', 'infap', 'iprec@0.5', 'judged@3']\n"
        "corpus = Corpus([''] * 5, ids=list('abcdx'))\n"
        "first = evaluate(qrels, run, names)\n"
        "second = evaluate(Qrels(qrels, corpus=corpus), Run(run, corpus=corpus), names)\n"
        "assert first == second; print({name: round(value, 6) for name, value in first.items()})"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
        for environment in ({**os.environ, "NUMBA_DISABLE_JIT": flag} for flag in ("0", "1"))
    }
    assert len(outputs) == 1
