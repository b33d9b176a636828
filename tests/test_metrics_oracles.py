"""Metrics against other people's programs: trec_eval, pytrec-eval-terrier, ir-measures, scikit-learn."""

import gzip

import ir_measures
import numpy as np
import pandas as pd
import pytest
import pytrec_eval
import references as ref
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from sklrank import Qrels, Run, metrics
from sklrank.metrics import evaluate, metric_from_name
from sklrank.metrics._trec import trec_names

# Experimental measures of trec_eval that nobody reports; rbp is that of version 10, with p = 0.9.
NOT_OURS = {"runid", "relstring", "G", "binG", "ndcg_rel", "Rndcg", "rbp", "rbp_resid"}


def read_expected(path):
    """(measure, query) → value, as trec_eval printed it."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return {(measure, qid): value for measure, qid, value in lines if measure not in NOT_OURS}


@pytest.mark.parametrize(
    ("file", "run_file", "complete", "depth"),
    [
        ("out.test", "results.test", False, None),
        ("out.test.a", "results.test", False, None),
        ("out.test.aq", "results.test", False, None),
        ("out.test.aqc", "results.trunc", True, None),
        ("out.test.aqcM", "results.trunc", True, 100),
    ],
)
@pytest.mark.parametrize("score_dtype", ["float32", "float64"])
def test_trec_eval_test_files_reproduce(data_dir, file, run_file, complete, depth, score_dtype):
    folder = data_dir / "trec" / "trec_eval-test"
    qrels = Qrels.from_trec(folder / "qrels.test")
    run = Run.from_trec(folder / run_file, score_dtype=score_dtype)
    if depth is not None:
        run = Run({qid: docids[:depth] for qid, docids in zip(run.qids, run.docids)})
    if not complete:
        qrels = qrels[np.isin(qrels.ids, run.qids)]
    expected = read_expected(folder / file)
    found = evaluate(qrels, run, sorted({measure for measure, _ in expected}))
    row = {qid: i for i, qid in enumerate(found.qids)}
    assert len(expected) > 25
    for (measure, qid), value in expected.items():
        ours = found[measure] if qid == "all" else found.per_query[measure][row[qid]]
        assert f"{ours:.4f}" == f"{float(value):.4f}", (measure, qid)


def test_trec_eval_10_has_our_rank_biased_precision(data_dir):
    folder = data_dir / "trec" / "trec_eval-test"
    found = evaluate(Qrels.from_trec(folder / "qrels.test"), Run.from_trec(folder / "results.test"), "rbp(p=0.9)")
    lines = [line.split() for line in (folder / "out.test.aq").read_text().splitlines() if line.startswith("rbp ")]
    assert [f"{value:.4f}" for value in [*found.per_query["rbp(p=0.9)"], found["rbp(p=0.9)"]]] == [
        v for _, _, v in lines
    ]


def test_all_measures_of_trec_eval_are_covered(data_dir):
    expected = read_expected(data_dir / "trec" / "trec_eval-test" / "out.test.aq")
    assert set(trec_names("all_trec")) == {measure for measure, _ in expected}


# --- pytrec-eval-terrier, on random runs with forced ties

PYTREC = {
    "map", "gm_map", "map_cut", "ndcg", "ndcg_cut", "P", "recall", "recip_rank", "Rprec", "bpref", "infAP", "success",
    "set_P", "set_recall", "set_map", "set_F", "set_relative_P", "relative_P", "num_rel", "num_ret", "num_rel_ret",
}  # fmt: skip
DOCIDS = [f"d{i}" for i in range(30)] + ["é", "日本", "𝄞", "D1", "d 1"]
GRADES = st.dictionaries(st.sampled_from(DOCIDS), st.integers(-1, 3), min_size=1, max_size=25)
SCORES = st.dictionaries(
    st.sampled_from(DOCIDS), st.sampled_from([0.0, 0.5, 1.0, 1.0000001, 1 + 1e-10, -3.0, 7.25]), min_size=1
)


@given(
    st.lists(st.tuples(GRADES.filter(lambda g: max(g.values()) >= 0), SCORES), min_size=1, max_size=4),
    st.sampled_from([1, 2]),
)
def test_pytrec_eval_agrees_with_ties_forced(pairs, level):
    qrels = {f"q{i}": grades for i, (grades, _) in enumerate(pairs)}
    run = {f"q{i}": scores for i, (_, scores) in enumerate(pairs)}
    expected = pytrec_eval.RelevanceEvaluator(qrels, PYTREC, relevance_level=level).evaluate(run)
    names = {name: metric_from_name(name).with_defaults(relevance_level=level) for name in expected["q0"]}
    for y_true, y_pred in ((qrels, run), (Qrels(qrels), Run(run))):
        found = evaluate(y_true, y_pred, list(names.values())).per_query
        for name in names:
            if name == "gm_map":  # pytrec_eval reports its logarithm
                continue
            wanted = [expected[qid][name] for qid in qrels]
            np.testing.assert_allclose(found[name], wanted, rtol=1e-6, atol=1e-6, err_msg=name)


@given(st.lists(st.tuples(GRADES, SCORES), min_size=1, max_size=4))
def test_float64_scores_are_compared_as_trec_eval_10_does(pairs):
    qrels = [grades for grades, _ in pairs]
    run = Run([scores for _, scores in pairs], score_dtype="float64")
    for name, definition in {
        "ndcg@5": lambda r, j: ref.ndcg(r, j, 5),
        "map": ref.average_precision,
        "mrr": ref.reciprocal_rank,
    }.items():
        wanted = [np.nan_to_num(definition(ref.order(scores), grades)) for grades, scores in pairs]
        np.testing.assert_allclose(metric_from_name(name)(qrels, run, average=None), wanted, rtol=1e-12, err_msg=name)


def test_a_lead_that_float32_cannot_hold_is_a_tie_there_and_a_lead_in_float64():
    qrels, scores = {"q": {"a": 1}}, {"q": {"a": 1 + 1e-12, "b": 1.0}}
    assert metrics.mean_reciprocal_rank_score(qrels, scores) == 0.5
    assert metrics.mean_reciprocal_rank_score(qrels, Run(scores)) == 0.5
    assert metrics.mean_reciprocal_rank_score(qrels, Run(scores, score_dtype="float64")) == 1.0


def test_pytrec_eval_agrees_on_a_large_random_run():
    rng = np.random.default_rng(1)
    docids = np.array([f"doc{i}" for i in range(2000)], dtype=object)
    qrels, run = {}, {}
    for q in range(50):
        judged = rng.choice(docids, 60, replace=False)
        found = np.concatenate(
            [judged[:30], rng.choice(np.setdiff1d(docids.astype(str), judged.astype(str)), 400, replace=False)]
        )
        qrels[f"q{q}"] = dict(zip(judged.tolist(), rng.integers(0, 4, 60).tolist()))
        run[f"q{q}"] = dict(zip(found.tolist(), np.round(rng.normal(size=430), 1).tolist()))
    expected = pytrec_eval.RelevanceEvaluator(qrels, PYTREC).evaluate(run)
    for y_true, y_pred in ((qrels, run), (Qrels(qrels), Run(run))):
        found = evaluate(y_true, y_pred, [name for name in expected["q0"] if name != "gm_map"]).per_query
        for name, values in found.items():
            np.testing.assert_allclose(values, [expected[qid][name] for qid in qrels], rtol=1e-6, err_msg=name)


def test_names_of_pytrec_eval_are_understood():
    for name in pytrec_eval.supported_measures:
        if name in NOT_OURS or name.startswith("prefs"):
            continue
        metric_from_name(name)


# --- ir-measures, for what trec_eval lacks


def by_query(measures, qrels, run):
    """Query → value of one ir-measures measure; 0 for queries without a value."""
    values = dict.fromkeys(qrels, 0.0)
    values |= {metric.query_id: metric.value for metric in ir_measures.iter_calc([measures], qrels, run)}
    return [values[qid] for qid in qrels]


@pytest.fixture(scope="module")
def graded():
    """Random judgments up to grade 4 and a run without ties, in the form that gdeval takes."""
    rng = np.random.default_rng(2)
    qrels, run = {}, {}
    for q in range(1, 21):
        docids = [f"d{i}" for i in rng.permutation(60)]
        qrels[str(q)] = {d: int(g) for d, g in zip(docids[:30], rng.integers(-1, 5, 30))}
        run[str(q)] = {d: 100.0 - i for i, d in enumerate(docids[10 : 10 + rng.integers(5, 50)])}
    return qrels, run


def test_ir_measures_agrees_on_err_and_exponential_gain(graded):
    qrels, run = graded
    for k in (5, 20):
        err = by_query(ir_measures.ERR @ k, qrels, run)
        np.testing.assert_allclose(
            metrics.expected_reciprocal_rank_score(qrels, run, k=k, average=None), err, atol=5.1e-6
        )
        ndcg = by_query(ir_measures.nDCG(dcg="exp-log2") @ k, qrels, run)
        np.testing.assert_allclose(
            metrics.ndcg_score(qrels, run, k=k, gain="exponential", average=None), ndcg, atol=5.1e-6
        )


def test_ir_measures_agrees_on_rbp(graded):
    qrels, run = graded
    for level in (1, 3):
        for p in (0.5, 0.8, 0.95):
            expected = by_query(ir_measures.RBP(p=p, rel=level), qrels, run)
            found = metrics.rank_biased_precision_score(qrels, run, p=p, relevance_level=level, average=None)
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_ir_measures_agrees_on_judged_and_judged_only(graded):
    qrels, run = graded
    np.testing.assert_allclose(
        metrics.judged_at_k_score(qrels, run, k=10, average=None), by_query(ir_measures.Judged @ 10, qrels, run)
    )
    pairs = {
        "ndcg(judged_only=true)@10": ir_measures.nDCG(judged_only=True) @ 10,
        "map(judged_only=true,rel=2)": ir_measures.AP(judged_only=True, rel=2),
        "p(judged_only=true)@5": ir_measures.P(judged_only=True) @ 5,
        "mrr(judged_only=true)": ir_measures.RR(judged_only=True),
    }
    # pytrec_eval, which computes these, takes a negative grade for a judgment here; we do not, as trec_eval -J does not
    qrels = {qid: {d: g for d, g in judged.items() if g >= 0} for qid, judged in qrels.items()}
    for name, measure in pairs.items():
        np.testing.assert_allclose(
            metric_from_name(name)(qrels, run, average=None), by_query(measure, qrels, run), atol=1e-9, err_msg=name
        )


def test_ir_measures_agrees_on_its_own_test_files(data_dir):
    for stem, measures in {
        "cwl": {"rbp(p=0.8)": ir_measures.RBP(p=0.8, rel=1), "p@5": ir_measures.P @ 5, "err@10": ir_measures.ERR @ 10},
        "compat": {
            "judged@10": ir_measures.Judged @ 10,
            "rbp(rel=2)": ir_measures.RBP(rel=2),
            "ndcg@10": ir_measures.nDCG @ 10,
        },
    }.items():
        qrels_file, run_file = (data_dir / "trec" / "compat" / f"{stem}.{kind}" for kind in ("qrels", "run"))
        judged = {}
        for line in ir_measures.read_trec_qrels(str(qrels_file)):
            judged.setdefault(line.query_id, {})[line.doc_id] = line.relevance
        ranked = {}
        for line in ir_measures.read_trec_run(str(run_file)):
            ranked.setdefault(line.query_id, {})[line.doc_id] = line.score
        ours = Qrels.from_trec(qrels_file), Run.from_trec(run_file)
        assert ours[0].ids.tolist() == list(judged)
        for name, measure in measures.items():
            if name == "err@10":  # gdeval takes numbers for query ids
                renamed = [{qid.lstrip("T"): value for qid, value in data.items()} for data in (judged, ranked)]
                expected = by_query(measure, *renamed)
            else:
                expected = by_query(measure, judged, ranked)
            np.testing.assert_allclose(metric_from_name(name)(*ours, average=None), expected, atol=5.1e-6, err_msg=name)


def subtopic_frame(rng, n_queries=12):
    rows = [
        (str(q), f"d{d}", str(topic), int(rng.random() < 0.4))
        for q in range(1, n_queries + 1)
        for d in range(15)
        for topic in range(1, 5)
    ]
    return pd.DataFrame(rows, columns=["query_id", "doc_id", "iteration", "relevance"])


@pytest.mark.parametrize("k", [3, 10, 20])
@pytest.mark.parametrize("alpha", [0.5, 0.25])
def test_pyndeval_agrees_on_alpha_ndcg(k, alpha):
    rng = np.random.default_rng(k)
    frame = subtopic_frame(rng)
    run = {str(q): {f"d{d}": 50.0 - i for i, d in enumerate(rng.permutation(25)[:18])} for q in range(1, 13)}
    measure = ir_measures.alpha_nDCG(alpha=alpha) @ k
    expected = {metric.query_id: metric.value for metric in ir_measures.iter_calc([measure], frame, run)}
    qrels = Qrels.from_frame(frame, query="query_id", doc="doc_id", grade="relevance", subtopic="iteration")
    for y_pred in (run, Run(run)):
        found = metrics.alpha_ndcg_score(qrels, y_pred, k=k, alpha=alpha, average=None)
        np.testing.assert_allclose(found, [expected[qid] for qid in qrels.ids], atol=1e-6)
    judged = {}
    for row in frame.itertuples():
        topics = judged.setdefault(row.query_id, {}).setdefault(row.doc_id, set())
        topics |= {row.iteration} if row.relevance > 0 else set()
    wanted = [ref.alpha_ndcg(list(run[qid]), judged[qid], alpha, k) for qid in qrels.ids]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_documents_of_several_subtopics_have_their_highest_grade():
    frame = pd.DataFrame({"qid": "q", "docid": ["a", "a", "b"], "grade": [0, 2, 1], "subtopic": ["1", "2", "1"]})
    qrels = Qrels.from_frame(frame, subtopic="subtopic")
    plain = {"q": {"a": 2, "b": 1}}
    run = {"q": ["b", "a", "c"]}
    names = ["ndcg", "map", "bpref", "num_rel"]
    assert evaluate(qrels, run, names) == evaluate(qrels, Run(run), names) == evaluate(plain, run, names)


# --- scikit-learn


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 12), st.sampled_from([None, 1, 3, 50]), st.booleans()
)
def test_scikit_learn_agrees_on_untied_dense_data(seed, n_queries, n_documents, k, real):
    rng = np.random.default_rng(seed)
    grades = rng.random((n_queries, n_documents)) if real else rng.integers(0, 4, (n_queries, n_documents))
    scores = np.stack([rng.permutation(n_documents) for _ in range(n_queries)]) / 7
    weight = rng.random(n_queries) + 0.1
    for ours, theirs in (
        (metrics.ndcg_score, sklearn.metrics.ndcg_score),
        (metrics.dcg_score, sklearn.metrics.dcg_score),
    ):
        np.testing.assert_allclose(
            ours(grades, scores, k=k, sample_weight=weight),
            theirs(grades, scores, k=k, sample_weight=weight),
            rtol=1e-10,
        )


def test_gzipped_trec_files_read_the_same(data_dir, tmp_path):
    folder = data_dir / "trec" / "trec_eval-test"
    packed = tmp_path / "results.gz"
    with gzip.open(packed, "wb") as out:
        out.write((folder / "results.test").read_bytes())
    qrels = Qrels.from_trec(folder / "qrels.test")
    assert evaluate(qrels, Run.from_trec(packed), "map") == evaluate(
        qrels, Run.from_trec(folder / "results.test"), "map"
    )


# --- names of ir-measures, ranx and trec_eval, all of them

NOT_OF_IR_MEASURES = {
    "AP_IA", "Accuracy", "BPM", "Compat", "ERR_IA", "INSQ", "INST", "MAP_IA", "NERR10", "NERR11", "NERR8", "NERR9",
    "NRBP", "P_IA", "SDCG", "StRecall", "alpha_DCG", "nERR_IA", "nNRBP", "α_DCG",
}  # fmt: skip
# ir-measures → a parameter that ours lacks, or means something else
OTHER_PARAMETERS = {"alpha_nDCG": {"rel"}, "α_nDCG": {"rel"}}
SOME_VALUE = {
    "cutoff": 3, "rel": 2, "judged_only": True, "recall": 0.3, "p": 0.5, "alpha": 0.25, "beta": 0.5, "relative": True,
    "dcg": "exp-log2", "gains": {1: 3, 2: 9},
}  # fmt: skip


def measures_of_ir_measures():
    """Every name of the registry, alone and with each of its parameters."""
    for name, measure in ir_measures.measures.registry.items():
        if name in NOT_OF_IR_MEASURES:
            continue
        known = measure.SUPPORTED_PARAMS
        required = {key: SOME_VALUE[key] for key, info in known.items() if info.required}
        yield name, measure(**required)
        for key in sorted(known.keys() - required.keys() - OTHER_PARAMETERS.get(name, set())):
            yield name, measure(**required, **{key: SOME_VALUE[key]})


@pytest.mark.parametrize(("name", "measure"), list(measures_of_ir_measures()), ids=str)
def test_every_measure_of_ir_measures_is_an_alias_with_the_same_values(graded, name, measure):
    metric = metric_from_name(str(measure).replace(measure.NAME, name, 1))
    if not ir_measures.DefaultPipeline.supports(measure):  # it takes another package to compute it
        return
    if measure.NAME == "RBP" and "rel" not in measure.params:  # is graded there, as ours is with gain=linear
        return
    if measure.NAME == "alpha_nDCG":  # takes subtopics: see above
        return
    if measure.NAME == "IPrec":  # by trec_eval 9
        metric = metric.with_params(rounding="up")
    qrels, run = graded
    if "judged_only" in measure.params or measure.NAME == "Judged":  # negative grades are judgments there
        qrels = {qid: {d: g for d, g in judged.items() if g >= 0} for qid, judged in qrels.items()}
    np.testing.assert_allclose(metric(qrels, run, average=None), by_query(measure, qrels, run), atol=5.1e-6)


def test_set_f_does_not_square_beta(graded):
    qrels, run = graded
    expected = by_query(ir_measures.SetF(beta=0.5), qrels, run)
    for name in ("SetF(beta=0.5)", "set_F_0.5", "set_F.0.5", "set_f@0.5"):
        np.testing.assert_allclose(metric_from_name(name)(qrels, run, average=None), expected)
    np.testing.assert_allclose(metrics.set_f1_score(qrels, run, beta=0.5, average=None), expected)
    judged, found = {"q": {"a": 1, "b": 1, "c": 1}}, {"q": {"a": 4.0, "b": 3.0, "x": 2.0, "y": 1.0}}
    trec = pytrec_eval.RelevanceEvaluator(judged, {"set_F_0.5"}).evaluate(found)["q"]["set_F"]
    assert metric_from_name("SetF(beta=0.5)")(judged, found) == pytest.approx(trec, abs=1e-12)


# The strings of ranx, which cannot share a process with threads; its rbp@95 is our rbp.95.
RANX = {
    "hits", "hit_rate", "precision", "recall", "f1", "r-precision", "mrr", "map", "dcg", "dcg_burges", "ndcg",
    "ndcg_burges", "bpref", "rbp.95",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(RANX))
def test_every_name_of_ranx_is_an_alias(name):
    metric_from_name(name)
    if not name.startswith(("r-precision", "bpref", "rbp")):
        assert metric_from_name(f"{name}@10").k == 10
    if "dcg" not in name:
        assert metric_from_name(f"{name}-l2").params["relevance_level"] == 2


def test_hits_are_the_relevant_documents_above_the_cutoff():
    found = evaluate([{"a": 1, "b": 2}, {"c": 1}], [["a", "x", "b"], ["x"]], ["hits@2", "hits", "hits-l2"])
    assert found == {"hits@2": 0.5, "hits": 1.0, "hits-l2": 0.5}


@pytest.mark.parametrize("name", sorted(pytrec_eval.supported_measures))
def test_a_measure_of_trec_eval_is_ours_or_is_said_to_be_left_out(name):
    if name in NOT_OURS - {"runid"} or name.startswith("prefs"):
        with pytest.raises(ValueError, match=f"'{name}' is a measure of trec_eval that sklrank does not have"):
            trec_names(name)
    elif name != "runid":
        assert [metric_from_name(known) for known in trec_names(name)]


def test_set_of_trec_eval_is_whole():
    assert set(trec_names("set")) == pytrec_eval.supported_nicknames["set"] - {"runid"}


@pytest.mark.parametrize("name", ["ndcg_1=3,2=9", "nDCG(gains={1:3,2:9})", "ndcg(gain={1: 3, 2: 9})"])
def test_grades_may_have_gains_of_their_own(graded, name):
    qrels, run = graded
    expected = by_query(ir_measures.nDCG(gains={1: 3, 2: 9}), qrels, run)
    np.testing.assert_allclose(metric_from_name(name)(qrels, run, average=None), expected, atol=5.1e-6)
    np.testing.assert_allclose(metrics.ndcg_score(qrels, run, gain={1: 3, 2: 9}, average=None), expected, atol=5.1e-6)
