"""The command line, mostly in process."""

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from sklearn.model_selection import GridSearchCV, KFold

from sklrank import Qrels, Queries, Run
from sklrank._cli import _demo, _warmup, main
from sklrank._cli._gates import gates_of
from sklrank.datasets import load_scifact, read_trec_run
from sklrank.encoders import TermVectorizer
from sklrank.metrics import compare, evaluate, get_scorer, metric_from_name
from sklrank.retrievers import BM25Retriever

# What trec_eval prints for all_trec and sklrank does not have.
LEFT_OUT = {"relstring", "binG", "G", "ndcg_rel", "Rndcg", "rbp", "rbp_resid"}


@pytest.fixture(scope="session")
def trec(data_dir):
    """NIST's test folder."""
    return data_dir / "trec" / "trec_eval-test"


def call(capsys, *argv):
    """Status, output and errors of a command."""
    try:
        status = main([str(arg) for arg in argv])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    return status, out, err


def python(*args, **options):
    """A fresh interpreter that runs sklrank."""
    return subprocess.run(
        [sys.executable, *map(str, args)], capture_output=True, text=True, cwd=Path(__file__).parents[1], **options
    )


def write(path, text):
    """`path` with this text, packed where its name says so."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as out:
        out.write(text)
    return path


def run_lines(rankings):
    """Text of a TREC run."""
    return "".join(f"{q} Q0 {d} 0 {s!r} tag\n" for q, docs in rankings.items() for d, s in docs.items())


def qrels_lines(qrels):
    """Text of TREC judgments."""
    return "".join(f"{q} 0 {d} {g}\n" for q, docs in qrels.items() for d, g in docs.items())


# --- evaluate: trec_eval


@pytest.mark.parametrize("option", ["-D", "-N", "-o", "-R", "-T", "-Z"])
def test_options_of_trec_eval_that_are_left_out_say_so(trec, capsys, option):
    status, out, err = call(capsys, "evaluate", option, "1", trec / "qrels.test", trec / "results.test")
    assert (status, out) == (2, "") and f"trec_eval's {option} is left out: " in err


@pytest.mark.parametrize("spec", ["relstring", "binG", "G", "Rndcg", "ndcg_rel", "rbp_resid", "prefs", "qrels_jg"])
def test_measures_of_trec_eval_that_are_left_out_say_so(trec, capsys, spec):
    status, out, err = call(capsys, "evaluate", "-m", spec, trec / "qrels.test", trec / "results.test")
    assert (status, out) == (2, "") and f"'{spec}' is a measure of trec_eval that sklrank does not have" in err


def test_parameters_after_a_dot_are_trec_evals(trec, capsys):
    specs = ["11pt_avg.0.25,0.5", "ndcg.1=3,2=9", "set_F.0.5", "utility.2,-1,0,0"]
    argv = [part for spec in specs for part in ("-m", spec)]
    _, out, err = call(capsys, "evaluate", *argv, trec / "qrels.test", trec / "results.test")
    assert err == ""
    assert {line.split()[0] for line in out.splitlines()} == {spec.replace(".", "_", 1) for spec in specs}
    assert call(capsys, "evaluate", "-m", "ndcg_cut.10,23.5", trec / "qrels.test", trec / "results.test")[0] == 2


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_names_of_files_are_escaped_in_tables(trec, capsys, tmp_path, form):
    run = write(tmp_path / "a_b~c^d|e.run", (trec / "results.test").read_text())
    _, out, _ = call(capsys, "evaluate", "-m", "map", "--format", form, trec / "qrels.test", run)
    escaped = {"markdown": r"a_b\~c^d\|e.run", "latex": r"a\_b\textasciitilde{}c\textasciicircum{}d\textbar{}e.run"}
    assert escaped[form] in out


def test_default_output_is_that_of_trec_eval(trec, capsys):
    status, out, err = call(capsys, "evaluate", trec / "qrels.test", trec / "results.test")
    assert (status, err) == (0, "")
    assert out == (trec / "out.test").read_text()


@pytest.mark.parametrize(
    ("flags", "run", "expected"),
    [
        (["-m", "all_trec"], "results.test", "out.test.a"),
        (["-m", "all_trec", "-q"], "results.test", "out.test.aq"),
        (["-m", "all_trec", "-q", "-c"], "results.trunc", "out.test.aqc"),
        (["-m", "all_trec", "-q", "-c", "-M100"], "results.trunc", "out.test.aqcM"),
    ],
)
def test_all_trec_is_that_of_trec_eval(trec, capsys, flags, run, expected):
    _, out, _ = call(capsys, "evaluate", *flags, trec / "qrels.test", trec / run)
    lines = (trec / expected).read_text().splitlines()
    assert out.splitlines() == [line for line in lines if line.split()[0] not in LEFT_OUT]


def test_no_summary_leaves_the_queries(trec, capsys):
    _, both, _ = call(capsys, "evaluate", "-q", trec / "qrels.test", trec / "results.test")
    _, queries, _ = call(capsys, "evaluate", "-q", "-n", trec / "qrels.test", trec / "results.test")
    assert queries.splitlines() == [line for line in both.splitlines() if "\tall\t" not in line]


def test_measures_in_either_spelling_come_once_and_trec_evals_in_its_order(trec, capsys):
    argv = ["-m", "ndcg@10", "-m", "P.10,5", "-m", "map", "-m", "P.5", "-m", "ndcg_cut.10"]
    _, out, _ = call(capsys, "evaluate", *argv, trec / "qrels.test", trec / "results.test")
    values = {line.split()[0]: line.split()[2] for line in out.splitlines()}
    assert list(values) == ["map", "P_5", "P_10", "ndcg_cut_10", "ndcg@10"]
    assert values["ndcg@10"] == values["ndcg_cut_10"]


def test_files_may_be_packed(trec, capsys, tmp_path):
    qrels = write(tmp_path / "qrels.gz", (trec / "qrels.test").read_text())
    run = write(tmp_path / "run.gz", (trec / "results.test").read_text())
    assert call(capsys, "evaluate", qrels, run)[1] == (trec / "out.test").read_text()


@pytest.mark.parametrize("level", [1, 2, 3])
def test_level_of_relevance_is_pytrec_evals(trec, capsys, level):
    files = trec / "qrels.rel_level", trec / "results.test"
    _, out, _ = call(capsys, "evaluate", "-l", level, "-m", "map", "-m", "P.5", "-m", "ndcg", "-m", "num_rel", *files)
    qrels, run = Qrels.from_trec(files[0]).to_dict(), Run.from_trec(files[1]).to_dict()
    names = {"map", "P_5", "ndcg", "num_rel"}
    values = pytrec_eval.RelevanceEvaluator(qrels, names, relevance_level=level).evaluate(run)
    for line in out.splitlines():
        name, _, value = line.split()
        found = [query[name] for query in values.values()]
        assert float(value) == pytest.approx(sum(found) if name == "num_rel" else np.mean(found), abs=5e-5)


def test_judged_only_removes_unjudged_documents(trec, capsys):
    files = trec / "qrels.test", trec / "results.test"
    _, out, _ = call(capsys, "evaluate", "-J", "-m", "map", "-m", "P.10", "-m", "num_ret", *files)
    values = {line.split()[0]: float(line.split()[2]) for line in out.splitlines()}
    qrels, run = Qrels.from_trec(files[0]), Run.from_trec(files[1])
    expected = evaluate(qrels, run, ["map(judged_only=true)", "p(judged_only=true)@10"])
    assert [values["map"], values["P_10"]] == pytest.approx(list(expected.values()), abs=5e-5)
    assert values["num_ret"] < 1500


def test_a_depth_cuts_before_unjudged_documents_are_removed(tmp_path, capsys):
    qrels = write(tmp_path / "qrels", qrels_lines({"q": {"a": 1, "b": 0}}))
    run = write(tmp_path / "run", run_lines({"q": {"x": 4.0, "b": 3.0, "a": 2.0}}))
    _, out, _ = call(capsys, "evaluate", "-J", "-M", 2, "-m", "recip_rank", "-m", "num_ret", qrels, run)
    assert [line.split()[2] for line in out.splitlines()] == ["1", "0.0000"]


def test_the_precision_of_scores_tells_ties(tmp_path, capsys):
    qrels = write(tmp_path / "qrels", qrels_lines({"q": {"a": 1}}))
    run = write(tmp_path / "run", run_lines({"q": {"a": 1 + 1e-9, "b": 1.0}}))
    values = [
        call(capsys, "evaluate", "-m", "recip_rank", *flags, qrels, run)[1].split()[2]
        for flags in ([], ["--score-dtype", "float32"], ["--score-dtype", "float64"])
    ]
    assert values == ["0.5000", "0.5000", "1.0000"]


def test_queries_count_that_are_in_both_files_unless_complete(tmp_path, capsys):
    qrels = write(tmp_path / "qrels", qrels_lines({"q1": {"a": 1}, "q2": {"a": 1}}))
    run = write(tmp_path / "run", run_lines({"q2": {"a": 1.0}, "q3": {"a": 1.0}}))
    assert call(capsys, "evaluate", "-m", "map", qrels, run)[1].split()[2] == "1.0000"
    assert call(capsys, "evaluate", "-m", "map", "-c", qrels, run)[1].split()[2] == "0.5000"


def test_judgments_may_be_beirs(tmp_path, capsys):
    run = write(tmp_path / "run", run_lines({"q": {"a": 1.0}}))
    qrels = write(tmp_path / "qrels.tsv.gz", "query-id\tcorpus-id\tscore\nq\ta\t1\n")
    assert call(capsys, "evaluate", "-m", "map", qrels, run)[1].split()[2] == "1.0000"


# --- evaluate: several runs, and forms


@pytest.fixture
def three_runs(tmp_path):
    """Judgments and three runs of 40 queries: good, fair, and fair with noise."""
    rng = np.random.default_rng(0)
    qrels = {f"q{i}": {"a": 1} for i in range(40)}

    def ranked(places):
        return {q: {"a": -float(p), **{f"x{j}": -j - 0.5 for j in range(9)}} for q, p in zip(qrels, places)}

    places = rng.integers(1, 8, size=40)
    noisy = np.clip(places + rng.integers(-1, 2, size=40), 0, 8)
    runs = {"good.run": np.maximum(places - 3, 0), "fair.run": places, "noisy.run": noisy}
    files = {name: write(tmp_path / name, run_lines(ranked(place))) for name, place in runs.items()}
    return write(tmp_path / "qrels", qrels_lines(qrels)), files


def test_several_runs_are_compared(three_runs, capsys):
    qrels, files = three_runs
    status, out, _ = call(capsys, "evaluate", qrels, *files.values(), "-m", "mrr", "-m", "ndcg@10")
    runs = {name: read_trec_run(path) for name, path in files.items()}
    expected = compare(Qrels.from_trec(qrels), runs, ["mrr", "ndcg@10"], random_state=0)
    assert status == 0
    assert out.rstrip("\n") == str(expected)


def test_sums_stay_out_of_a_comparison(three_runs, capsys):
    qrels, files = three_runs
    _, out, _ = call(capsys, "evaluate", qrels, *files.values(), "-m", "num_ret", "-m", "mrr")
    assert "num_ret" not in out and "mrr" in out
    status, _, err = call(capsys, "evaluate", qrels, *files.values(), "-m", "num_ret")
    assert status == 2 and "num_ret" in err


def test_runs_are_compared_on_the_queries_that_all_have(three_runs, capsys):
    qrels, files = three_runs
    short = write(
        files["fair.run"].parent / "short.run", "".join(files["fair.run"].read_text().splitlines(keepends=True)[:100])
    )
    _, out, err = call(capsys, "evaluate", qrels, files["good.run"], short, "-m", "mrr")
    assert "10 queries" in out
    assert "30 of 40 judged queries" in err
    _, out, err = call(capsys, "evaluate", "-c", qrels, files["good.run"], short, "-m", "mrr")
    assert "40 queries" in out and err == ""


def test_json_has_everything(three_runs, capsys):
    qrels, files = three_runs
    argv = ["evaluate", qrels, *files.values(), "-m", "mrr", "-q", "--baseline", files["fair.run"], "--max-drop", 0.5]
    _, out, _ = call(capsys, *argv, "--json")
    report = json.loads(out)
    assert report["n_queries"] == 40
    assert {run["run"] for run in report["runs"]} == set(files)
    for run in report["runs"]:
        assert np.mean([query["mrr"] for query in run["per_query"].values()]) == pytest.approx(run["measures"]["mrr"])
    assert len(report["comparison"]["tests"]) == len(report["gates"]) == 2
    assert call(capsys, *argv, "--format", "json")[1] == out


def test_what_json_lacks_is_null(tmp_path, capsys):
    qrels = write(tmp_path / "qrels", qrels_lines({"q": {"a": 1}}))
    run = write(tmp_path / "run", run_lines({"q": {"a": 1.0}}))
    _, out, _ = call(capsys, "evaluate", qrels, run, "-m", "mrr", "--json", "--fail-under", "mrr=2")
    assert json.loads(out)["gates"][0]["bound"] is None


@pytest.mark.parametrize("n_runs", [1, 2])
def test_tables_for_documents(three_runs, capsys, n_runs):
    qrels, files = three_runs
    argv = ["evaluate", qrels, *list(files.values())[:n_runs], "-m", "mrr", "--fail-under", "mrr=0.01"]
    _, markdown, _ = call(capsys, *argv, "--format", "markdown")
    tables = [part.splitlines() for part in markdown.split("\n\n") if part.startswith("|")]
    assert tables and all(len({line.count("|") for line in table}) == 1 for table in tables)
    assert markdown.count("\n* ") == n_runs
    _, latex, _ = call(capsys, *argv, "--format", "latex")
    assert latex.startswith(r"\begin{tabular}") and r"\end{tabular}" in latex


def test_each_query_of_several_runs(three_runs, capsys):
    qrels, files = three_runs
    _, out, _ = call(capsys, "evaluate", qrels, *files.values(), "-m", "mrr", "-q", "-n")
    header, *rows = [line.split("\t") for line in out.splitlines()]
    assert header == ["measure", "qid", *files]
    assert [row[1] for row in rows] == sorted(f"q{i}" for i in range(40))


# --- evaluate: gates


def gate_of(values, *, old=None, limit=0.0):
    """The gate on one measure."""
    results = {"new": {"m": values}} if old is None else {"old": {"m": old}, "new": {"m": values}}
    metric = metric_from_name("mrr")
    metric.name = "m"
    results = {name: type("E", (), {"per_query": found}) for name, found in results.items()}
    if old is None:
        return gates_of(results, [metric], None, None, [(metric, limit)])[0]
    return gates_of(results, [metric], "old", limit, [])[0]


def test_a_bound_is_students():
    rng = np.random.default_rng(0)
    bounds = [gate_of(rng.normal(0.3, 0.2, size=12)).bound for _ in range(4000)]
    assert np.mean(np.array(bounds) >= 0.3) == pytest.approx(0.95, abs=0.012)


def test_a_gate_fails_when_the_data_show_that_a_run_is_worse():
    rng = np.random.default_rng(0)
    old = rng.uniform(size=100)
    assert gate_of(old - 0.05 + rng.normal(0, 0.1, size=100), old=old, limit=0.01).verdict == "fail"
    assert gate_of(old + 0.05 + rng.normal(0, 0.1, size=100), old=old, limit=0.01).verdict == "pass"


def test_a_gate_passes_what_chance_explains():
    differences = np.concatenate([np.full(50, 0.4), np.full(50, -0.45)])
    gate = gate_of(0.5 + differences, old=np.full(100, 0.5), limit=0.01)
    assert gate.value < -0.01 < gate.bound
    assert gate.verdict == "unproven"


def test_a_gate_fails_for_a_drop_on_every_query_and_not_at_the_limit():
    old = np.linspace(0.2, 0.9, 10)
    assert gate_of(old - 0.02, old=old, limit=0.01).verdict == "fail"
    assert gate_of(old - 0.01, old=old, limit=0.01).verdict == "pass"
    assert gate_of(old, old=old, limit=0.0).verdict == "pass"


def test_one_query_shows_nothing():
    assert gate_of(np.array([0.0]), limit=0.5).verdict == "unproven"


def test_baseline_gate_sets_the_status(three_runs, capsys):
    qrels, files = three_runs
    argv = ["evaluate", qrels, "-m", "mrr", "--max-drop", "0.01", "--baseline"]
    status, out, _ = call(capsys, *argv, files["good.run"], files["fair.run"])
    assert status == 1 and "FAIL" in out
    status, out, _ = call(capsys, *argv, files["fair.run"], files["good.run"])
    assert status == 0 and "FAIL" not in out


def test_a_run_is_not_its_own_baseline(three_runs, capsys, monkeypatch):
    qrels, files = three_runs
    fair, good = files["fair.run"], files["good.run"]
    monkeypatch.chdir(fair.parent)
    for other in (fair, "fair.run", "./fair.run"):
        status, out, err = call(capsys, "evaluate", qrels, other, "-m", "mrr", "--baseline", fair, "--max-drop", 0.01)
        assert status == 2 and out == "" and "it is the run itself" in err
    _, out, _ = call(capsys, "evaluate", qrels, "./fair.run", good, "-m", "mrr", "--baseline", fair, "--json")
    assert [run["run"] for run in json.loads(out)["runs"]] == ["fair.run", "good.run"]


def test_gates_count_all_judged_queries(three_runs, capsys):
    qrels, files = three_runs
    lines = files["good.run"].read_text().splitlines(keepends=True)
    short = write(qrels.parent / "short.run", "".join(lines[:40]))
    status, out, err = call(capsys, "evaluate", qrels, short, "-m", "mrr")
    assert status == 0
    assert err == (
        "sklrank evaluate: 36 of 40 judged queries are not in the run and do not count; with -c they count 0\n"
    )
    for argv in (["--fail-under", "mrr=0.3"], ["--baseline", files["good.run"], "--max-drop", 0.1]):
        status, out, err = call(capsys, "evaluate", qrels, short, "-m", "mrr", *argv)
        assert status == 1 and "40 queries: FAIL" in out and "36 of 40" in err and "count 0" in err
        assert call(capsys, "evaluate", "-c", qrels, short, "-m", "mrr", *argv) == (1, out, "")


@pytest.mark.parametrize(
    ("spec", "same"), [("P@5,10", "P.5,10"), ("map(rel=1)@5, 10", "map_cut.5,10"), ("ndcg@5,10", "ndcg_cut.5,10")]
)
def test_several_cutoffs_come_after_an_at_sign_too(three_runs, capsys, spec, same):
    qrels, files = three_runs
    values = [
        [line.split()[-1] for line in call(capsys, "evaluate", qrels, files["good.run"], "-m", m)[1].splitlines()]
        for m in (spec, same)
    ]
    assert len(values[0]) == 2 and values[0] == values[1]


@pytest.mark.parametrize("spec", ["ndcg_cut.x", "P.5,", "P@5,x", "iprec_at_recall.x", "ndcg@x", "P@", "ndcg_cut.5,1e9"])
def test_a_bad_cutoff_is_said_to_be_one(three_runs, capsys, spec):
    qrels, files = three_runs
    status, _, err = call(capsys, "evaluate", qrels, files["good.run"], "-m", spec)
    assert status == 2 and "is not a cutoff" in err


def test_fail_under_sets_the_status(three_runs, capsys):
    qrels, files = three_runs
    mean = evaluate(Qrels.from_trec(qrels), read_trec_run(files["good.run"]), ["mrr"])["mrr"]
    for value, status, word in ((mean - 0.3, 0, ": pass\n"), (mean + 0.01, 0, "chance"), (mean + 0.3, 1, "FAIL")):
        found, out, _ = call(capsys, "evaluate", qrels, files["good.run"], "--fail-under", f"mrr={value}")
        assert found == status and word in out


@pytest.mark.parametrize(
    "argv",
    [
        ["--max-drop", "0.1"],
        ["--max-drop", "-1", "--baseline", "x"],
        ["--fail-under", "mrr"],
        ["--fail-under", "mrr=high"],
        ["--fail-under", "mrr=nan"],
        ["--fail-under", "mrr=-inf"],
        ["--fail-under", "num_ret=3"],
        ["--fail-under", "nix=3"],
        ["-q", "--format", "latex"],
        ["-M", "0"],
        ["-l", "-1"],
        ["-m", "nix"],
        ["-m", "ndcg@0"],
    ],
)
def test_wrong_options_are_refused(three_runs, capsys, argv):
    qrels, files = three_runs
    status, out, err = call(capsys, "evaluate", qrels, files["good.run"], *argv)
    assert status == 2 and out == "" and err


# --- bad files


GOOD_QRELS = "q 0 a 1\nq 0 b 0\n"
GOOD_RUN = "q Q0 a 1 2.0 t\nq Q0 b 2 1.0 t\n"


@pytest.mark.parametrize(
    ("qrels", "run", "where", "why"),
    [
        ("q 0 a 1\nq 0 b\n", GOOD_RUN, "qrels:2:", "3 fields instead of 4"),
        ("q 0 a 1\n\n# b\nq 0 b x\n", GOOD_RUN, "qrels:4:", "'x' is not a number"),
        ("q 0 a 1\nq 0 b 1\nq 0 a 0\n", GOOD_RUN, "qrels:3:", "more often"),
        ("q\ta\t1\nq\ta\t0\n", GOOD_RUN, "qrels:2:", "judged already"),
        ("q\ta\t1\nq\ta\tx\n", GOOD_RUN, "qrels:2:", "not a finite number"),
        (GOOD_QRELS, "q Q0 a 1 2.0 t\nq Q0 b 2\n", "run:2:", "4 fields instead of 6"),
        (GOOD_QRELS, "q Q0 a 1 2.0 t\nq Q0 b 2 nan t\n", "run:2:", "'nan' is not a number"),
        (GOOD_QRELS, "q Q0 a 1 2.0 t\nq Q0 b 2 1 t\nq Q0 a 3 1 t\n", "run:3:", "more often"),
        (GOOD_QRELS, "z Q0 a 1 2.0 t\n", "run:", "judges none of them"),
        (GOOD_QRELS, "", "run:", "judges none of them"),
        (GOOD_RUN, GOOD_RUN, "qrels:1:", "6 fields instead of 4"),
    ],
)
def test_a_bad_file_is_named_with_line_and_reason(tmp_path, capsys, qrels, run, where, why):
    qrels, run = write(tmp_path / "qrels", qrels), write(tmp_path / "run", run)
    status, out, err = call(capsys, "evaluate", qrels, run)
    assert status == 2 and out == "" and err.count("\n") == 1
    assert f"{tmp_path}/{where}" in err and why in err


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("run", b"q Q0 a 1 1 t\nq Q0 \xff 2 0 t\n", "run:2: not UTF-8"),
        ("run.gz", b"q Q0 a 1 1 t\n", "Not a gzipped file"),
        ("run.gz", gzip.compress(GOOD_RUN.encode(), mtime=0)[:-9], "run.gz:3: not gzip, or cut off"),
    ],
    ids=["not UTF-8", "not gzip", "cut off"],
)
def test_bytes_that_are_no_text(tmp_path, capsys, name, data, why):
    (tmp_path / name).write_bytes(data)
    status, _, err = call(capsys, "evaluate", write(tmp_path / "qrels", GOOD_QRELS), tmp_path / name)
    assert status == 2 and err.count("\n") == 1 and why in err and str(tmp_path / name) in err


def test_a_missing_file_is_named(tmp_path, capsys):
    status, _, err = call(capsys, "evaluate", tmp_path / "nix", tmp_path / "run")
    assert status == 2 and err == f"sklrank evaluate: {tmp_path}/nix: No such file or directory\n"
    status, _, err = call(capsys, "evaluate", tmp_path, tmp_path / "run")
    assert status == 2 and str(tmp_path) in err


@pytest.mark.parametrize(
    ("name", "text", "where", "why"),
    [
        ("c.jsonl", '{"_id": "a", "text": "x"}\n{"_id": "b"}\n', ":2:", "no 'text'"),
        ("c.jsonl", '{"_id": "a", "text": "x"}\n{"_id"\n', ":2:", "not JSON"),
        ("c.jsonl", '{"_id": "a", "text": "x"}\n{"_id": "a", "text": "y"}\n', ":2:", "already in line 1"),
        ("c.tsv", "a\tx\nb\n", ":2:", "got 1 columns"),
        ("c.tsv", "a\tx\na\ty\n", ":2:", "already in line 1"),
        ("c.jsonl", '{"_id": "a", "text": "x\\ud800"}\n', ":", "surrogate"),
        ("c.txt", "", ":", "the file is empty"),
        ("c.csv", "id,text\na,x\n", ":", ".jsonl (objects"),
        ("c.json.gz", "[]\n", ":", ".tsv (id, text"),
        ("c.tsv", "a\tx\n\nb c\ty\n", ":3:", "'b c' is not a word"),
        ("c.jsonl", '{"_id": "a", "text": "x"}\n{"_id": "", "text": "y"}\n', ":2:", "'' is not a word"),
    ],
)
def test_a_bad_corpus_is_named_with_line_and_reason(tmp_path, capsys, name, text, where, why):
    queries = write(tmp_path / "q.txt", "heat\n")
    status, _, err = call(capsys, "search", write(tmp_path / name, text), queries, "-o", tmp_path / "run")
    assert status == 2 and err.count("\n") == 1
    assert f"{name}{where}" in err and why in err
    assert not (tmp_path / "run").exists()


# --- search


@pytest.fixture(scope="session")
def cranfield(data_dir):
    """Files of Cranfield."""
    folder = data_dir / "cranfield"
    return folder / "corpus.jsonl.gz", folder / "queries.jsonl.gz", folder / "qrels.tsv.gz"


def test_search_is_the_retriever(cranfield, tmp_path, capsys):
    from sklrank.datasets import read_beir

    data = read_beir(cranfield[0].parent)
    argv = ["--language", "english", "--k1", 0.9, "--b", 0.4, "--k", 20, "--method", "bm25l", "--tag", "mine"]
    status, out, _ = call(capsys, "search", *cranfield[:2], "-o", tmp_path / "run.gz", *argv)
    assert (status, out) == (0, "")
    run = Run.from_trec(tmp_path / "run.gz", ties="row")
    bm25 = BM25Retriever(
        data.corpus, method="bm25l", k1=0.9, b=0.4, k=20, vectorizer=TermVectorizer(language="english")
    ).fit(data.queries)
    assert run.name == "mine"
    expected = bm25.predict(data.queries).to_dict()
    assert {qid: run.to_dict()[qid] for qid in expected} == expected
    _, out, _ = call(capsys, "search", *cranfield[:2], "-o", "-", *argv)
    assert out == gzip.decompress((tmp_path / "run.gz").read_bytes()).decode()


FORMS = {
    "jsonl": '{"_id": "1", "title": "Heat", "text": "it flows"}\n{"_id": "2", "title": "", "text": "cold heat"}\n',
    "tsv": "1\tit flows\tHeat\n2\tcold heat\n",
    "txt": "Heat it flows\ncold heat\n",
}


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("form", FORMS)
def test_texts_come_in_three_forms(tmp_path, capsys, form, packed):
    corpus = write(tmp_path / f"corpus.{form}{packed}", FORMS[form])
    queries = write(tmp_path / f"queries.tsv{packed}", "q1\theat flows\nq2\tnothing here\n")
    _, out, _ = call(capsys, "search", corpus, queries, "-o", "-")
    assert [line.split()[:4] for line in out.splitlines()] == [["q1", "Q0", "1", "1"], ["q1", "Q0", "2", "2"]]


def test_lines_are_numbered_from_1_and_blank_ones_hold_nothing(tmp_path, capsys):
    corpus = write(tmp_path / "corpus", "cold\n\nheat\n")
    queries = write(tmp_path / "queries", "\nheat\n")
    _, out, _ = call(capsys, "search", corpus, queries, "-o", "-")
    assert out.split()[:4] == ["2", "Q0", "3", "1"]


def test_a_field_is_searched(tmp_path, capsys):
    corpus, queries = write(tmp_path / "corpus.tsv", FORMS["tsv"]), write(tmp_path / "queries.txt", "heat\n")
    _, out, _ = call(capsys, "search", corpus, queries, "-o", "-", "--field", "title")
    assert [line.split()[2] for line in out.splitlines()] == ["1"]
    status, _, err = call(capsys, "search", corpus, queries, "-o", "-", "--field", "body")
    assert status == 2 and "--field body: the documents have" in err


@pytest.mark.parametrize(
    "argv", [["--b", "2"], ["--k", "0"], ["--tag", "a b"], ["--language", "klingon"], ["--stemmer", "x"]]
)
def test_wrong_parameters_are_refused(tmp_path, capsys, argv):
    corpus, queries = write(tmp_path / "corpus.tsv", FORMS["tsv"]), write(tmp_path / "queries.txt", "heat\n")
    status, _, err = call(capsys, "search", corpus, queries, "-o", tmp_path / "run", *argv)
    assert status == 2 and err.startswith("sklrank search: ")


def test_an_output_without_a_folder_is_refused_before_the_work(tmp_path, capsys):
    status, _, err = call(capsys, "search", "nix", "nix", "-o", tmp_path / "no" / "run")
    assert status == 2 and "there is no folder" in err


@pytest.mark.parametrize("name", ["run", "run.gz"])
def test_an_interrupted_write_leaves_what_was_there(tmp_path, capsys, monkeypatch, name):
    corpus, queries = write(tmp_path / "corpus.tsv", FORMS["tsv"]), write(tmp_path / "queries.txt", "heat\n")
    (tmp_path / name).write_text("old")
    format_score, calls = np.format_float_positional, []

    def interrupted(score):
        calls.append(score)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return format_score(score)

    monkeypatch.setattr(np, "format_float_positional", interrupted)
    before = set(tmp_path.iterdir())
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore the signal
    try:
        status, _, err = call(capsys, "search", corpus, queries, "-o", tmp_path / name)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert status == 130 and "interrupted" in err
    assert (tmp_path / name).read_text() == "old"
    assert set(tmp_path.iterdir()) == before


def test_an_output_that_is_a_folder_is_refused_before_the_work(tmp_path, capsys):
    status, _, err = call(capsys, "search", "nix", "nix", "-o", tmp_path)
    assert status == 2 and err == f"sklrank search: {tmp_path}: this is a folder, not a file\n"
    status, _, err = call(capsys, "demo", "--output", tmp_path)
    assert status == 2 and "this is a folder" in err


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_terminated_write_leaves_nothing(tmp_path, capsys, monkeypatch, name):
    corpus, queries = write(tmp_path / "corpus.tsv", FORMS["tsv"]), write(tmp_path / "queries.txt", "heat\n")
    number = getattr(signal, name)
    before, handler = set(tmp_path.iterdir()), signal.signal(number, signal.SIG_DFL)
    try:
        monkeypatch.setattr(np, "format_float_positional", lambda score: os.kill(os.getpid(), number))
        status, _, _ = call(capsys, "search", corpus, queries, "-o", tmp_path / "run")
        assert status == 128 + number
        assert set(tmp_path.iterdir()) == before
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, handler)


# --- tune


def test_tuning_is_a_nested_search(cranfield, tmp_path, capsys):
    argv = ["--language", "english", "--k1", 0.5, 1.2, 3.0, "--b", 0.2, 0.75, "--folds", 3, "--k", 100]
    status, out, err = call(capsys, "tune", *cranfield, *argv, "--json", "-o", tmp_path / "run")
    assert status == 0 and "settings: 6 of 6" in err
    report = json.loads(out)
    from sklrank.datasets import read_beir

    data = read_beir(cranfield[0].parent)
    bm25 = BM25Retriever(data.corpus, vectorizer=TermVectorizer(language="english"))
    grid = {"k1": [0.5, 1.2, 3.0], "b": [0.2, 0.75]}
    runs, scorer = [], get_scorer("ndcg@10")
    splits = KFold(3, shuffle=True, random_state=0).split(data.queries)
    for found, (rest, fold) in zip(report["folds"], splits):
        everything = np.arange(len(rest))
        search = GridSearchCV(bm25, grid, scoring=scorer, cv=[(everything, everything)])
        search.fit(data.queries[rest], data.qrels[rest])
        assert {name: found[name] for name in grid} == search.best_params_
        assert found["score"] == pytest.approx(scorer(search, data.queries[fold], data.qrels[fold]))
        runs.append(search.predict(data.queries[fold]))
    expected = np.concatenate(runs).to_dict()
    assert Run.from_trec(tmp_path / "run", ties="row").to_dict() == expected
    means = report["comparison"]["means"]["ndcg@10"]
    assert means["tuned"] == pytest.approx(evaluate(data.qrels, expected, ["ndcg@10"])["ndcg@10"])
    assert means["untuned"] == pytest.approx(bm25.fit(data.queries).score(data.queries, data.qrels))
    assert len(report["grid"]) == 6
    best = max(report["grid"], key=lambda setting: setting["score"])
    assert report["chosen"] == {name: best[name] for name in ("method", "k1", "b")}

    _, out, _ = call(capsys, "tune", *cranfield, *argv)
    assert f"--method lucene --k1 {best['k1']:g} --b {best['b']:g}" in out
    assert f"{means['untuned']:.4f}" in out and f"{means['tuned']:.4f}" in out


def test_only_judged_queries_take_part_and_strangers_are_reported(tmp_path, capsys):
    corpus = write(tmp_path / "corpus.txt", "".join(f"heat{i} flow\n" for i in range(1, 9)))
    queries = write(tmp_path / "queries.txt", "".join(f"heat{i}\n" for i in range(1, 9)))
    qrels = write(tmp_path / "qrels", qrels_lines({str(i): {str(i): 1} for i in range(1, 7)} | {"x": {"d": 1}}))
    status, out, err = call(capsys, "tune", corpus, queries, qrels, "--folds", 2, "--k1", 1, 2, "--b", 0.5)
    assert status == 0 and "6 judged queries" in out
    assert "1 of 7 judgments" in err and "1 of 7 judged queries" in err


@pytest.mark.parametrize("argv", [["--folds", "1"], ["--folds", "99"], ["--metric", "num_ret"], ["--metric", "nix"]])
def test_wrong_ways_to_tune_are_refused(tmp_path, capsys, argv):
    corpus, queries = write(tmp_path / "corpus.tsv", FORMS["tsv"]), write(tmp_path / "queries.txt", "heat\ncold\n")
    qrels = write(tmp_path / "qrels", qrels_lines({"1": {"1": 1}, "2": {"2": 1}}))
    status, _, err = call(capsys, "tune", corpus, queries, qrels, *argv)
    assert status == 2 and err.startswith("sklrank tune: ")


# --- demo


@pytest.fixture
def small_demo(monkeypatch):
    """The demo with a small grid."""
    monkeypatch.setattr(_demo, "_K1", (0.9, 1.2))
    monkeypatch.setattr(_demo, "_B", (0.5, 0.75))


@pytest.mark.parametrize("name", ["demo.png", "demo.svg"])
def test_demo_shows_what_tuning_is_worth(small_demo, tmp_path, capsys, name):
    status, out, err = call(capsys, "demo", "--output", tmp_path / name)
    assert status == 0 and "40 of 40" in err
    data = load_scifact()
    scores = evaluate(
        data.qrels,
        BM25Retriever(data.corpus, k=1000).fit(data.queries).predict(data.queries),
        ["ndcg@10", "map", "recall@100"],
    )
    assert all(f"{value:.4f}" in out for value in scores.values())
    assert "chosen: k1=" in out and "words stemmed, without stop words" in out
    magic = {"demo.png": b"\x89PNG", "demo.svg": b"<?xml"}[name]
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_demo_without_matplotlib_says_what_to_install(small_demo, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, out, _ = call(capsys, "demo", "--output", tmp_path / "demo.png")
    assert status == 0 and "sklrank[plot]" in out and "tuned" in out
    assert not list(tmp_path.iterdir())


def test_demo_refuses_an_output_without_a_folder_before_the_work(tmp_path, capsys):
    status, out, err = call(capsys, "demo", "--output", tmp_path / "no" / "demo.png")
    assert status == 2 and out == "" and "there is no folder" in err


# --- warmup


def test_warmup_compiles_every_kernel(capsys):
    status, out, _ = call(capsys, "warmup")
    assert status == 0 and "everything is compiled after" in out and ("kept in" in out or "nothing is kept" in out)
    kernels = _warmup.kernels()
    inlined = {name for kernel in kernels for name in kernel.py_func.__code__.co_names}
    cold = {kernel.py_func.__name__ for kernel in kernels if not kernel.signatures}
    assert not cold - inlined


def test_warmup_says_where_the_code_is_kept(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    (tmp_path / "kernel.nbi").touch()
    assert "is read-only" in _warmup._place({str(tmp_path)})
    assert "nothing is kept" in _warmup._place({None})
    assert "nothing could be written" in _warmup._place({str(tmp_path / "empty")})
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert "which NUMBA_CACHE_DIR names" in _warmup._place({str(tmp_path)})


# --- the process


def test_help_imports_nothing_heavy():
    code = "import sys\nfrom sklrank._cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
    done = python("-c", code + "print('modules', *sys.modules)")
    assert done.returncode == 0, done.stderr
    heavy = {"numba", "numpy", "scipy", "sklearn", "matplotlib", "pandas", "Stemmer"}
    assert not heavy & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("command", ["demo", "evaluate", "fuse", "search", "tune", "warmup"])
def test_every_command_explains_itself(capsys, command):
    status, out, _ = call(capsys, command, "--help")
    assert status == 0 and out.startswith(f"usage: sklrank {command}") and len(out.splitlines()) > 10


def test_the_module_is_the_command():
    from sklrank import __version__

    done = python("-m", "sklrank", "--version")
    assert (done.returncode, done.stdout) == (0, f"sklrank {__version__}\n")
    done = python("-m", "sklrank")
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    qrels, run = write(tmp_path / "qrels", GOOD_QRELS), write(tmp_path / "run", GOOD_RUN)
    read, written = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "sklrank", "evaluate", qrels, run],
        stdout=written, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    os.close(written)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_page_shows_what_commands_print(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[1] / "docs" / "command_line.rst").read_text(encoding="utf-8")
    steps = []
    for block in page.split(".. code-block:: console\n\n")[1:]:
        for line in block.splitlines():
            if line and not line.startswith("   "):
                break
            line = line[3:]
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    assert len(steps) > 5
    for command, shown in steps:
        text = "\n".join(shown).rstrip()
        program, *argv = command.split()
        if program == "cat":
            write(tmp_path / argv[0], text + "\n")
        else:
            assert program == "sklrank"
            assert call(capsys, *argv)[1].rstrip() == text


def test_queries_keep_their_ids(tmp_path):
    from sklrank.datasets._single import read_queries

    queries = read_queries(write(tmp_path / "q.tsv", "b\tx\na\ty\tignored\n"))
    assert isinstance(queries, Queries) and queries.ids.tolist() == ["b", "a"] and queries.texts == ["x", "y"]
