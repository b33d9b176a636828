"""Fusion in one call, explanations, diagnoses, the shell, and one search over a whole hybrid pipeline."""

import pickle

import matplotlib
import numpy as np
import pytest
from scipy import stats
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklrank import Corpus, Qrels, Queries, Run
from sklrank._cli import main
from sklrank._kernels._fusion_learned import agree
from sklrank.base import Fuser
from sklrank.fusers import (
    ProbabilisticFuser,
    RankFuser,
    ReciprocalRankFuser,
    ScoreFuser,
    fuse,
    simplex_grid,
)
from sklrank.fusers._fuse import METHODS
from sklrank.inspection import DiagnosisDisplay, diagnose, explain
from sklrank.metrics import get_scorer, ndcg_score
from sklrank.retrievers import BM25Retriever, RetrieverUnion, TfidfRetriever

matplotlib.use("agg")

RUNS = {
    "bm25": Run({"q1": {"a": 9.0, "b": 5.0, "c": 4.0}, "q2": {"x": 1.0, "y": 0.5}}),
    "dense": Run({"q1": {"b": 0.9, "d": 0.7}, "q2": {"y": 0.5, "x": 0.4}}),
}
QRELS = {"q1": {"b": 2, "d": 1, "e": 1}, "q2": {"x": 1}}


# --- fuse


def test_a_name_stands_for_a_fuser():
    union = Run.union(RUNS)
    for method, (kind, name) in METHODS.items():
        params = {} if name is None else {"method": name}
        y = Qrels(QRELS).align(union.queries) if kind is ProbabilisticFuser else None
        expected = kind(**params).fit(union, y).transform(union)
        run = fuse(RUNS, method, y=y)
        assert run.docids == expected.docids and run.scores.tolist() == expected.scores.tolist()
    assert {"rrf", "sum", "weighted", "borda", "condorcet", "rank_median", "posfuse"} <= set(METHODS)


def test_a_fuser_is_taken_as_it_is():
    run = fuse(RUNS, RankFuser("isr", k=1))
    assert run.docids == [["b"], ["x"]]
    fitted = ProbabilisticFuser("posfuse").fit(Run.union(RUNS), QRELS)
    assert fuse(RUNS, fitted).docids == fuse(RUNS, "posfuse", y=QRELS).docids
    assert fuse(Run.union(RUNS), "rrf").docids == fuse(RUNS).docids
    with pytest.raises(TypeError, match="already has its parameters"):
        fuse(RUNS, RankFuser(), k=2)


def test_parameters_go_to_the_fuser():
    weights = {"bm25": 0.2, "dense": 0.8}
    run = fuse(RUNS, "weighted", norm="rank", weights=weights, k=2)
    expected = ScoreFuser("weighted", norm="rank", weights=weights, k=2).transform(Run.union(RUNS))
    assert run.to_dict() == expected.to_dict()
    assert fuse(RUNS, "wsum", weights=weights).docids == fuse(RUNS, "weighted", weights=weights).docids


def test_queries_that_a_run_lacks_are_fused_from_the_others():
    run = fuse({"one": RUNS["bm25"], "other": RUNS["dense"][:1]})
    assert run.qids.tolist() == ["q1", "q2"] and run.docids[1] == ["x", "y"]


@pytest.mark.parametrize("name", ["qid", "rank", "docid", "score", "bm25_rank"])
def test_names_of_runs_that_a_frame_has_already_are_refused(name):
    with pytest.raises(ValueError, match=name):
        fuse({"bm25": RUNS["bm25"], name: RUNS["dense"]})
    with pytest.raises(TypeError, match="str"):
        fuse({"bm25": RUNS["bm25"], 7: RUNS["dense"]})


def test_bad_methods_and_parameters_are_named():
    with pytest.raises(ValueError, match="'rrg'.*'rrf'"):
        fuse(RUNS, "rrg")
    with pytest.raises(TypeError, match="no parameter 'norm'.*rank_constant"):
        fuse(RUNS, "rrf", norm="max")
    with pytest.raises(ValueError, match="learns from judgments"):
        fuse(RUNS, "posfuse")
    with pytest.raises(ValueError, match="learns from judgments"):
        fuse(RUNS, "rrf", weights="learn")
    with pytest.raises(ValueError, match="unknown score columns: 'sparse'"):
        fuse(RUNS, "rrf", weights={"bm25": 1, "dense": 1, "sparse": 1})
    with pytest.raises(TypeError, match="expected method to be a name"):
        fuse(RUNS, 7)
    with pytest.raises(ValueError, match="no score columns"):
        fuse(RUNS["bm25"])


def test_weights_learned_on_the_spot_do_not_change_the_fuser():
    fuser = ReciprocalRankFuser(weights="learn")
    fuse(RUNS, fuser, y=QRELS)
    assert not hasattr(fuser, "weights_")


# --- explain


@pytest.mark.parametrize("method", [*METHODS])
def test_contributions_add_up_to_the_score(method):
    fused = fuse(RUNS, method, y=QRELS if METHODS[method][0] is ProbabilisticFuser else None)
    for i, qid in enumerate(fused.qids):
        for rank, docid in enumerate(fused.docids[i], start=1):
            explanation = explain(fused, qid, docid)
            assert (explanation.rank, explanation.docid) == (rank, docid)
            assert explanation.score == pytest.approx(fused.to_dict()[qid][docid])
            parts = [s["contribution"] for s in explanation.systems if s["contribution"] is not None]
            if parts:
                assert sum(parts) == pytest.approx(explanation.score, abs=1e-12)
            for system in explanation.systems:
                found = docid in RUNS[system["system"]].docids[i]
                assert (system["rank"] is None) == (system["score"] is None) == (not found)


def test_an_explanation_prints_as_a_table():
    text = str(explain(fuse(RUNS), "q1", "d"))
    assert text.splitlines()[0] == "0.016129  d, rank 3 for q1, by ReciprocalRankFuser()"
    assert [line.split() for line in text.splitlines()[2:]][0][:3] == ["bm25", "-", "-"]
    frame = explain(fuse(RUNS, "sum"), "q1", "b").to_frame()
    assert frame["system"].tolist() == ["bm25", "dense"] and frame["normalized"].tolist() == [0.2, 1.0]


def test_ids_do_not_steer_the_terminal():
    runs = {"a\x1b[2J": Run({"q\x07": ["d\x1b[31m", "e"]}), "b": Run({"q\x07": ["e"]})}
    for shown in (explain(fuse(runs), "q\x07", "d\x1b[31m"), diagnose(runs)):
        assert "\\x1b[2J" in str(shown) and not set("\x1b\x07") & set(str(shown))


def test_candidates_are_explained_by_a_fuser():
    union = Run.union(RUNS)
    with pytest.raises(ValueError, match="does not say how it was fused"):
        explain(union, "q1", "b")
    with pytest.raises(ValueError, match="it has no score columns: call the method explain of its retriever"):
        explain(RUNS["bm25"], "q1", "b")
    with pytest.raises(TypeError, match="expected a Run, such as the result of predict, got a ReciprocalRankFuser"):
        explain(ReciprocalRankFuser(), "q1", "b")
    explanation = explain(union, "q1", "c", fuser=ScoreFuser("sum", norm="max", k=1))
    assert explanation.score == pytest.approx(4 / 9) and explanation.rank == 4


def test_what_cannot_be_explained_says_why():
    fused = fuse(RUNS, "sum", k=1)
    with pytest.raises(ValueError, match="no query 'q9'"):
        explain(fused, "q9", "a")
    with pytest.raises(ValueError, match="'zz' is not a candidate"):
        explain(fused, "q1", "zz")
    with pytest.raises(ValueError, match="was cut"):
        explain(fuse(RUNS, "sum", k=2), "q1", "b")
    assert explain(fuse(RUNS, k=2), "q1", "b").score == pytest.approx(1 / 62 + 1 / 61)
    with pytest.raises(ValueError, match="weight 0"):
        explain(Run.union(RUNS), "q1", "d", fuser=ReciprocalRankFuser(weights={"bm25": 1, "dense": 0}))


def test_a_fused_run_can_be_pickled_and_explained():
    fused = pickle.loads(pickle.dumps(fuse(RUNS, "sum")))
    assert explain(fused, "q1", "b").score == pytest.approx(1.2)
    assert explain(np.concatenate([fused[1:], fused[:1]]), "q1", "b").score == pytest.approx(1.2)


class BestRankFuser(Fuser):
    """A fuser of a user, which has `transform` alone."""

    def transform(self, X):
        ranks = np.array([X.column_ranks(name) for name in X.columns])
        return X.reorder(-np.nanmin(ranks, axis=0), name="best_rank", source=self)


def test_a_fuser_that_has_transform_alone_is_explained_and_diagnosed():
    for explanation in (
        explain(BestRankFuser().transform(Run.union(RUNS)), "q1", "d"),
        explain(Run.union(RUNS), "q1", "d", fuser=BestRankFuser()),
    ):
        assert (explanation.rank, explanation.score, explanation.fuser) == (3, -2.0, "BestRankFuser()")
        assert [system["rank"] for system in explanation.systems] == [None, 2]
        assert all(system["contribution"] is None for system in explanation.systems)
    assert diagnose(RUNS, QRELS, fuser=BestRankFuser()).summary["fuser"] == "BestRankFuser()"


# --- diagnose


def overlap_by_hand(one, other, p):
    """Rank-biased overlap, extrapolated, of two lists, by its definition (Webber et al., eq. 32)."""
    short, long = sorted((one, other), key=len)
    s, n = len(short), len(long)
    if n == 0 or s == 0:
        return 0.0 if n else np.nan
    x = [len(set(short[:d]) & set(long[:d])) for d in range(n + 1)]
    total = sum(x[d] / d * p**d for d in range(1, n + 1)) + sum(
        x[s] * (d - s) / (s * d) * p**d for d in range(s + 1, n + 1)
    )
    return (1 - p) / p * total + ((x[n] - x[s]) / n + x[s] / s) * p**n


def test_agreement_of_lists_is_its_definition():
    rng = np.random.default_rng(0)
    lists = [
        (rng.permutation(20)[: rng.integers(0, 12)], rng.permutation(20)[: rng.integers(0, 12)]) for _ in range(60)
    ]
    lists += [((), ()), ((), (1,)), ((1, 2), (1, 2)), ((1, 2), (2, 1))]
    indptr, ranks = [0], ([], [])
    for pair in lists:
        pair = tuple(list(map(int, one)) for one in pair)
        union = sorted({*pair[0], *pair[1]})
        indptr.append(indptr[-1] + len(union))
        for one, out in zip(pair, ranks):
            out += [one.index(d) + 1 if d in one else 0 for d in union]
    ranks = [np.array(one, dtype=np.int64) for one in ranks]
    common = np.empty(len(lists), dtype=np.int64)
    jaccard, tau, rbo = np.empty((3, len(lists)))
    entered = np.zeros(max(map(max, ranks)) + 1, dtype=np.int64)
    agree(np.array(indptr), *ranks, 5, 0.8, entered, common, jaccard, tau, rbo)
    assert not entered.any()
    for q, (one, other) in enumerate(lists):
        one, other = list(map(int, one)), list(map(int, other))
        shared = [d for d in one if d in other]
        assert common[q] == len(shared)
        top, all_top = set(one[:5]) & set(other[:5]), set(one[:5]) | set(other[:5])
        assert jaccard[q] == pytest.approx(len(top) / len(all_top) if all_top else np.nan, nan_ok=True)
        expected = np.nan
        if len(shared) > 1:
            expected = stats.kendalltau([one.index(d) for d in shared], [other.index(d) for d in shared]).statistic
        assert tau[q] == pytest.approx(expected, nan_ok=True)
        assert rbo[q] == pytest.approx(overlap_by_hand(one, other, 0.8), nan_ok=True)


def test_a_diagnosis_counts_what_each_system_finds():
    diagnosis = diagnose(RUNS, QRELS, k=2)
    assert diagnosis.found_by == {("dense",): 1, ("bm25", "dense"): 2, (): 1}
    assert [system["unique"] for system in diagnosis.systems] == [0, 1]
    assert [system["recall"] for system in diagnosis.systems] == pytest.approx([2 / 3, 5 / 6])
    assert sum(system["share"] for system in diagnosis.systems) == pytest.approx(1)
    for system, run in zip(diagnosis.systems, RUNS.values()):
        assert system["value"] == pytest.approx(ndcg_score(QRELS, run, k=10))
        assert system["length"] == run.indptr[-1] / 2
    summary = diagnosis.summary
    assert summary["fused"] == pytest.approx(ndcg_score(QRELS, fuse(RUNS), k=10))
    per_query = [ndcg_score(QRELS, run, k=10, average=None) for run in RUNS.values()]
    assert summary["oracle_choice"] == pytest.approx(np.max(per_query, axis=0).mean())
    assert max(summary["fused"], summary["oracle_choice"]) <= summary["oracle_order"] + 1e-12
    assert summary["difference"] == pytest.approx(summary["fused"] - max(np.mean(v) for v in per_query))


def test_a_diagnosis_without_judgments_tells_how_lists_agree():
    diagnosis = diagnose(RUNS)
    assert not diagnosis.judged and "judgments would tell" in diagnosis.verdict
    assert diagnosis.pairs[0]["overlap"] == pytest.approx((1 / 4 + 1) / 2)
    assert diagnosis.pairs[0]["kendall"] == -1
    same = diagnose({"one": RUNS["bm25"], "other": RUNS["bm25"]})
    assert same.pairs[0]["rbo"] == pytest.approx(1) and "unlikely" in same.verdict
    assert [system["share"] for system in same.systems] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(("second", "word"), [("complementary", "helps"), ("noise", "hurts"), ("same", "not shown")])
def test_the_verdict_follows_the_data(second, word):
    rng = np.random.default_rng(0)
    runs, qrels = {"first": {}, "second": {}}, {}
    for q in range(60):
        docs = [f"d{i}" for i in rng.permutation(40)]
        relevant, rest = docs[:2], docs[2:]
        qrels[f"q{q}"] = dict.fromkeys(relevant, 1)
        first = [rest[0], relevant[0], *rest[1:10], relevant[1]]
        runs["first"][f"q{q}"] = first
        runs["second"][f"q{q}"] = {
            "complementary": [rest[20], relevant[1], *rest[21:30], relevant[0]],
            "noise": rest[11:],
            "same": first,
        }[second]
    diagnosis = diagnose({name: Run(rankings) for name, rankings in runs.items()}, qrels)
    assert word in diagnosis.verdict


def test_a_diagnosis_prints_and_goes_to_frames():
    diagnosis = diagnose(RUNS, QRELS)
    text = str(diagnosis)
    assert "(best system of each query)" in text and "bm25, dense" in text and text.endswith(diagnosis.verdict)
    assert diagnosis.to_frame().columns.tolist() == ["system", "length", "value", "recall", "unique", "share"]
    assert diagnose(RUNS).to_frame().columns.tolist() == ["system", "length", "share"]
    assert diagnosis.to_frame("pairs")["other"].tolist() == ["dense"]
    with pytest.raises(ValueError, match="'systems' or 'pairs'"):
        diagnosis.to_frame("all")
    one = diagnose({"one": RUNS["bm25"]}, QRELS)
    assert one.pairs == [] and one.summary["difference"] == 0 and "one" in str(one)


def test_diagnoses_want_candidates_of_judged_queries():
    with pytest.raises(ValueError, match="no score columns"):
        diagnose(RUNS["bm25"])
    with pytest.raises(ValueError, match="no query id"):
        diagnose(RUNS, {"q9": {"a": 1}})
    with pytest.raises(ValueError, match="mean"):
        diagnose(RUNS, QRELS, metric="num_ret")


def test_a_plot_shows_who_found_what():
    display = diagnose(RUNS, QRELS).plot()
    assert display.combinations == [("dense",), ("bm25", "dense"), ()]
    assert display.counts.tolist() == [1, 2, 1]
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["dense alone", "bm25 + dense", "none"]
    again = DiagnosisDisplay.from_runs(RUNS, k=1, ax=display.ax_, color="C3")
    assert again.ax_ is display.ax_ and again.figure_ is display.figure_
    assert again.counts.sum() == 4


# --- one search over everything


@pytest.fixture(scope="module")
def hybrid():
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(30)])
    texts = [" ".join(rng.choice(words, size=12)) for _ in range(60)]
    corpus = Corpus({f"d{i}": text for i, text in enumerate(texts)})
    rows = rng.choice(60, size=24, replace=False)
    queries = Queries({f"q{i}": " ".join(texts[row].split()[:3]) for i, row in enumerate(rows)})
    qrels = Qrels({f"q{i}": {f"d{row}": 1} for i, row in enumerate(rows)}).align(queries)
    union = RetrieverUnion([("bm25", BM25Retriever(corpus, k=10)), ("tfidf", TfidfRetriever(corpus, k=10))])
    return union, queries, qrels


def test_one_search_goes_over_fusers_and_retrievers(hybrid):
    union, queries, qrels = hybrid
    pipe = make_pipeline(union, ReciprocalRankFuser())
    grids = [
        {
            "retrieverunion__bm25__k1": [0.6, 1.2],
            "reciprocalrankfuser__rank_constant": [10, 60],
            "reciprocalrankfuser__weights": [None, "learn", *simplex_grid(["bm25", "tfidf"], 0.5)],
        },
        {
            "reciprocalrankfuser": [ScoreFuser()],
            "reciprocalrankfuser__norm": ["min-max", "zmuv"],
            "reciprocalrankfuser__method": ["sum", "mnz"],
        },
        {"reciprocalrankfuser": [ProbabilisticFuser("posfuse"), RankFuser("borda")]},
    ]
    search = GridSearchCV(pipe, grids, scoring=get_scorer("ndcg@10"), cv=3).fit(queries, qrels)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 2 * 2 * 5 + 4 + 2 and np.isfinite(scores).all()
    assert search.predict(queries).has_order
    assert search.score(queries, qrels) > 0.5


def test_learned_fusion_sees_the_training_folds_only(hybrid):
    union, queries, qrels = hybrid
    seen = []

    class Spy(ProbabilisticFuser):
        def _learn(self, run, y, names):
            seen.append((run.qids.tolist(), y.ids.tolist()))
            super()._learn(run, y, names)

    GridSearchCV(make_pipeline(union, Spy()), {"spy__window": [1, 3]}, cv=3, refit=False).fit(queries, qrels)
    assert len(seen) == 6
    assert all(qids == judged and len(qids) == 16 for qids, judged in seen)


# --- the shell


@pytest.fixture
def files(tmp_path):
    paths = {name: tmp_path / f"{name}.run" for name in RUNS}
    for name, run in RUNS.items():
        run.to_trec(paths[name])
    qrels = tmp_path / "qrels.txt"
    qrels.write_text("".join(f"{q} 0 {d} {g}\n" for q, docs in QRELS.items() for d, g in docs.items()))
    return [*paths.values()], qrels


def call(capsys, *argv):
    """Status, output and errors of ``sklrank fuse``."""
    try:
        status = main(["fuse", *map(str, argv)])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    return status, out, err


def test_runs_are_fused_at_the_shell(files, tmp_path, capsys):
    runs, _ = files
    status, out, err = call(capsys, *runs, "-o", tmp_path / "fused.run.gz", "--tag", "both")
    assert (status, out) == (0, "") and "2 queries" in err
    fused = Run.from_trec(tmp_path / "fused.run.gz", ties="row", score_dtype="float64")
    assert fused.to_dict() == fuse(RUNS).to_dict() and fused.name == "both"
    status, out, err = call(capsys, *runs, "-o", "-", "--k", 1, "--rank-constant", 0)
    assert (status, err) == (0, "")
    assert out == "q1 Q0 b 1 1.5 sklrank\nq2 Q0 x 1 1.5 sklrank\n"


def test_methods_and_weights_at_the_shell(files, tmp_path, capsys):
    runs, _ = files
    options = ["--method", "weighted", "--norm", "max", "--weights", "0.25,0.75"]
    assert call(capsys, *runs, "-o", tmp_path / "f.run", *options)[0] == 0
    expected = fuse(RUNS, "weighted", norm="max", weights={"bm25": 0.25, "dense": 0.75})
    assert Run.from_trec(tmp_path / "f.run", score_dtype="float64", ties="row").to_dict() == expected.to_dict()
    assert call(capsys, *runs, "-o", "-", "--method", "gmnz", "--param", "gamma=0")[0] == 0
    status, out, _ = call(capsys, "x", "--method", "help")
    assert status == 0 and out.split() == list(METHODS)


def test_a_diagnosis_at_the_shell(files, capsys):
    runs, qrels = files
    status, out, _ = call(capsys, *runs, "--diagnose", "--qrels", qrels, "-m", "ap")
    assert status == 0
    named = {f"{name}.run": run for name, run in RUNS.items()}
    assert out == f"{diagnose(named, Qrels.from_trec(qrels), metric='ap')}\n"
    assert "judgments would tell" in call(capsys, *runs, "--diagnose")[1]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "-o RUN"),
        (["-o", "-", "--weights", "1"], "1 weights for 2 runs"),
        (["-o", "-", "--weights", "a,b"], "numbers with commas between them"),
        (["-o", "-", "--weights", "0,0"], "all weights are 0"),
        (["-o", "-", "--method", "rrg"], "'rrf'"),
        (["-o", "-", "--norm", "max"], "no parameter 'norm'"),
        (["-o", "-", "--method", "sum", "--norm", "unit"], "'norm' parameter"),
        (["-o", "-", "--method", "posfuse"], "judgments of other queries"),
        (["-o", "-", "--param", "gamma"], "NAME=VALUE"),
        (["-o", "-", "--tag", "two words"], "without blanks"),
        (["-o", "-", "--qrels", "x"], "--diagnose"),
        (["-o", "-", "--diagnose"], "standard output"),
        (["-o", "missing/f.run"], "missing"),
    ],
)
def test_what_is_wrong_at_the_shell_is_said(files, capsys, argv, message):
    status, out, err = call(capsys, *files[0], *argv)
    assert (status, out) == (2, "") and message in err


def test_one_run_is_not_fused(files, capsys):
    runs, _ = files
    for chosen in (runs[:1], [runs[0], runs[0]]):
        status, _, err = call(capsys, *chosen, "-o", "-")
        assert status == 2 and "two different runs" in err
    status, _, err = call(capsys, runs[0], runs[0].parent / "none.run", "-o", "-")
    assert status == 2 and "none.run" in err
