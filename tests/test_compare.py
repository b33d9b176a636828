"""Comparison of runs: tests, corrections, effect sizes, tables, pictures."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from sklrank import Qrels, Run
from sklrank.metrics import ComparisonDisplay, PerQueryDisplay, compare, evaluate
from sklrank.metrics._significance import (
    bootstrap,
    correct,
    detectable_effect,
    paired_t,
    randomization,
    round_off,
    tukey_hsd,
)

TESTS = ["paired_t", "randomization", "wilcoxon", "bootstrap", "tukey_hsd"]


@pytest.fixture(scope="module")
def runs():
    """Judgments of 40 queries and three runs, the first of which is best."""
    rng = np.random.default_rng(0)
    docids = [f"d{i}" for i in range(30)]
    qrels = {f"q{i}": {d: int(g) for d, g in zip(docids, rng.integers(0, 3, 30))} for i in range(40)}
    made = {
        name: {qid: {d: grades[d] + noise * rng.normal() for d in docids} for qid, grades in qrels.items()}
        for name, noise in (("good", 0.8), ("middling", 1.6), ("bad", 2.0))
    }
    return qrels, made


def values_of(qrels, made, metric):
    return np.array([evaluate(qrels, run, metric).per_query[metric] for run in made.values()])


def test_means_are_those_of_evaluate(runs):
    qrels, made = runs
    comparison = compare(qrels, made, ["ndcg@10", "map"])
    for name, run in made.items():
        found = evaluate(qrels, run, ["ndcg@10", "map"])
        assert {metric: comparison.means[metric][name] for metric in found} == pytest.approx(found)


def test_paired_t_is_scipys(runs):
    values = values_of(*runs, "ndcg@10")
    for test in compare(*runs, "ndcg@10", correction=None).tests:
        a, b = (values[list(runs[1]).index(test[side])] for side in ("run", "baseline"))
        expected = scipy.stats.ttest_rel(a, b)
        interval = expected.confidence_interval(0.95)
        assert test["p"] == pytest.approx(expected.pvalue)
        assert (test["low"], test["high"]) == pytest.approx(tuple(interval))
        assert test["effect_size"] == pytest.approx((a - b).mean() / (a - b).std(ddof=1))
        assert (test["wins"], test["losses"]) == ((a > b).sum(), (a < b).sum())


def test_wilcoxon_is_scipys(runs):
    values = values_of(*runs, "map")
    test = compare(*runs, "map", test="wilcoxon", baseline="bad", correction=None).tests[0]
    assert test["p"] == pytest.approx(scipy.stats.wilcoxon(values[0], values[2]).pvalue)


@given(st.lists(st.floats(-1, 1).filter(lambda x: abs(x) > 1e-3), min_size=2, max_size=9))
def test_exact_randomization_is_scipys(row):
    row = np.array(row)
    expected = scipy.stats.permutation_test((row,), np.mean, permutation_type="samples", n_resamples=np.inf)
    p, _ = randomization(np.array([row]), 0.95, 9999, np.random.RandomState(0))
    assert p[0] == pytest.approx(expected.pvalue)


def test_randomization_draws_where_signs_are_too_many(runs):
    values = values_of(*runs, "ndcg@10")
    difference = values[1] - values[2]
    p, _ = randomization(np.array([difference]), 0.95, 20_000, np.random.RandomState(0))
    assert p[0] == pytest.approx(scipy.stats.ttest_rel(values[1], values[2]).pvalue, abs=0.02)
    assert p[0] * 20_001 == pytest.approx(round(p[0] * 20_001))
    huge, _ = randomization(np.ones((1, 50)), 0.95, 99, np.random.RandomState(0))
    assert huge[0] == 0.01  # (b + 1) / (B + 1), never 0


def test_bootstrap_comes_near_the_t_test(runs):
    values = values_of(*runs, "ndcg@10")
    test = compare(*runs, "ndcg@10", test="bootstrap", baseline="middling", correction=None, random_state=0).tests[-1]
    expected = scipy.stats.ttest_rel(values[2], values[1])
    assert test["p"] == pytest.approx(expected.pvalue, abs=0.03)
    assert (test["low"], test["high"]) == pytest.approx(tuple(expected.confidence_interval(0.95)), abs=0.01)


def test_tukey_hsd_of_two_runs_is_the_paired_t_test(runs):
    values = values_of(*runs, "map")[:2]
    p, interval = tukey_hsd(values, [(0, 1)], 0.95)
    expected, expected_interval = paired_t(np.array([values[0] - values[1]]), 0.95)
    np.testing.assert_allclose(p, expected, rtol=1e-4)
    np.testing.assert_allclose(interval, expected_interval, rtol=1e-4)


def test_tukey_hsd_takes_the_residuals_of_a_two_way_analysis(runs):
    values = values_of(*runs, "map")
    n_runs, n = values.shape
    run, query = np.indices(values.shape)
    data = pd.DataFrame({"value": values.ravel(), "run": run.ravel().astype(str), "query": query.ravel().astype(str)})
    table = anova_lm(ols("value ~ run + query", data).fit())
    error = np.sqrt(table.loc["Residual", "mean_sq"] / n)
    q = abs(values[0].mean() - values[1].mean()) / error
    expected = scipy.stats.studentized_range.sf(q, n_runs, table.loc["Residual", "df"])
    assert tukey_hsd(values, [(0, 1)], 0.95)[0][0] == pytest.approx(expected, rel=1e-6)


@given(
    st.lists(st.floats(0, 1), max_size=8),
    st.sampled_from([("holm", "holm"), ("bonferroni", "bonferroni"), ("bh", "fdr_bh")]),
)
def test_corrections_are_those_of_statsmodels(p, names):
    ours, theirs = names
    expected = multipletests(p, method=theirs)[1] if p else []
    np.testing.assert_allclose(correct(np.array(p), ours), expected, atol=1e-12)


@pytest.mark.parametrize("n", [5, 30, 225])
def test_the_detectable_effect_is_that_of_statsmodels(n):
    expected = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8, alternative="two-sided")
    assert detectable_effect(n, 0.05) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("test", TESTS)
def test_a_run_does_not_differ_from_itself(runs, test):
    qrels, made = runs
    comparison = compare(qrels, {"a": made["good"], "b": made["good"]}, "map", test=test, random_state=0)
    (row,) = comparison.tests
    assert row["p"] == pytest.approx(1.0) and row["difference"] == 0 and row["ties"] == 40 and row["effect_size"] == 0
    assert not row["significant"]


@pytest.mark.parametrize("test", TESTS)
def test_the_same_seed_gives_the_same_answer(runs, test):
    first, second = (compare(*runs, "map", test=test, random_state=3, n_resamples=500).to_dict() for _ in range(2))
    assert first == second
    assert json.loads(json.dumps(first)) == first


def test_a_baseline_is_compared_with_each_other_run(runs):
    tests = compare(*runs, "map", baseline="middling").tests
    assert [(test["run"], test["baseline"]) for test in tests] == [("good", "middling"), ("bad", "middling")]
    assert [test["difference"] > 0 for test in tests] == [True, False]


def test_the_correction_is_over_the_comparisons_of_one_metric(runs):
    tests = compare(*runs, ["map", "mrr"], correction="bonferroni").tests
    assert len(tests) == 6
    for test in tests:
        assert test["p_adjusted"] == pytest.approx(min(1, 3 * test["p"]))


def test_runs_of_a_list_are_named_by_themselves(runs):
    qrels, made = runs
    named = [Run(run, name=name) for name, run in made.items()]
    assert compare(qrels, named, "map").tests == compare(qrels, made, "map").tests
    with pytest.raises(ValueError, match="need names"):
        compare(qrels, list(made.values()), "map")


def test_one_run_has_a_mean_and_an_interval(runs):
    qrels, made = runs
    comparison = compare(qrels, {"good": made["good"]}, "map")
    values = values_of(qrels, {"good": made["good"]}, "map")[0]
    expected = scipy.stats.t.interval(0.95, 39, values.mean(), scipy.stats.sem(values))
    assert comparison.intervals("map")["good"] == pytest.approx(expected)
    assert comparison.tests == [] and "good" in str(comparison)


def test_tables(runs):
    comparison = compare(*runs, ["ndcg@10", "map"])
    text, markdown, latex = str(comparison), comparison.to_markdown(), comparison.to_latex()
    best = f"{comparison.means['map']['good']:.4f}"
    assert (
        f"{best} bc" in text
        and f"**{best}**<sup>bc</sup>" in markdown
        and rf"\textbf{{{best}}}$^{{\mathrm{{bc}}}}$" in latex
    )
    tables = [block.splitlines() for block in markdown.split("\n\n") if block.startswith("|")]
    assert [{line.count("|") for line in table} for table in tables] == [{5}, {10}]
    assert [len(table) for table in tables] == [5, 8]
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    for test in comparison.tests:
        figures = f"{test['difference']:+.4f}", f"[{test['low']:+.4f}, {test['high']:+.4f}]", f"{test['wins']}/"
        for table in (text, markdown, latex):
            assert all(figure in table for figure in figures)
    assert r"95 \%" in latex and "$d_z$" in latex
    frame = comparison.to_frame()
    assert len(frame) == 6 and frame["difference"].tolist() == [test["difference"] for test in comparison.tests]


def test_one_run_has_one_table(runs):
    qrels, made = runs
    comparison = compare(qrels, {"good": made["good"]}, "map")
    assert comparison.to_markdown().count("| --- |") == 1 and "against" not in comparison.to_markdown()
    assert comparison.to_latex().count(r"\begin{tabular}") == 1


def test_a_run_that_lacks_judged_queries_warns_with_their_number(runs):
    qrels, made = runs
    short = {qid: made["bad"][qid] for qid in list(made["bad"])[:30]}
    with pytest.warns(UserWarning, match="run 'short' lacks 10 of 40 judged queries") as caught:
        compare(qrels, {"good": made["good"], "short": short}, "map")
    assert len(caught) == 1 and caught[0].filename == __file__
    both = {"good": made["good"], "short": short}
    compare(Qrels(qrels).align(Run(short).queries), both, "map")  # warnings are errors
    compare({**qrels, "unjudged": {}}, made, "map")


def test_names_are_escaped_in_latex(runs):
    qrels, made = runs
    assert r"a\_b\%" in compare(qrels, {"a_b%": made["good"], "c": made["bad"]}, "map").to_latex()


HOSTILE = "a\\b~c^d_{e}&f%g$h#i<j>k|l*m`n[o](p)\nq"
HOSTILE_LATEX = (
    r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d\_\{e\}\&f\%g\$h\#i\textless{}j\textgreater{}k"
    r"\textbar{}l*m`n[o](p) q"
)


def test_every_character_is_literal_in_tables(runs):
    qrels, made = runs
    comparison = compare(qrels, {HOSTILE: made["good"], "c": made["bad"]}, "map")
    latex = comparison.to_latex()
    assert latex.count(HOSTILE_LATEX) == 2 and "\nq" not in latex
    markdown = comparison.to_markdown()
    assert markdown.count(r"a\\b\~c^d\_{e}\&f%g\$h#i\<j\>k\|l\*m\`n\[o\](p) q") == 2
    tables = [block.splitlines() for block in markdown.split("\n\n") if block.startswith("|")]
    assert [len(table) for table in tables] == [4, 3]


def test_names_in_pictures_are_no_mathematics(runs):
    qrels, made = runs
    comparison = compare(qrels, {"a$x$": made["good"], "c": made["bad"]}, "map")
    display = ComparisonDisplay.from_comparison(comparison)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [r"c - a\$x\$"]
    assert display.labels == ["c - a$x$"]


# --- values that are equal but for rounding


def runs_of_counts(seed, n=20, k=10):
    """Judgments, and two runs with so many relevant documents among ten."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, k + 1, (2, n))
    qrels = {f"q{i}": {f"d{j}": 1 for j in range(k)} for i in range(n)}
    runs = {
        name: {f"q{i}": [f"d{j}" for j in range(c)] + [f"x{j}" for j in range(k - c)] for i, c in enumerate(row)}
        for name, row in zip("ab", counts)
    }
    return qrels, runs, (counts[1] - counts[0]).astype(float)


@pytest.mark.parametrize("seed", range(8))
def test_wilcoxon_ranks_equal_differences_equally(seed):
    qrels, made, differences = runs_of_counts(seed)
    (row,) = compare(qrels, made, "p@10", test="wilcoxon").tests
    assert row["p"] == pytest.approx(scipy.stats.wilcoxon(differences).pvalue, rel=1e-12)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    assert (row["wins"], row["losses"], row["ties"]) == (wins, losses, 20 - wins - losses)


@pytest.mark.parametrize("test", ["randomization", "bootstrap"])
@pytest.mark.parametrize("n", [9, 20])
@pytest.mark.parametrize("seed", range(4))
def test_resampled_sums_that_are_equal_but_for_rounding_are_equal(test, n, seed):
    qrels, made, differences = runs_of_counts(seed, n)
    (row,) = compare(qrels, made, "p@10", test=test, random_state=seed).tests
    rng = np.random.RandomState(seed)
    expected, _ = (randomization if test == "randomization" else bootstrap)(differences[None], 0.95, 9999, rng)
    assert row["p"] == expected[0]


@pytest.mark.parametrize("test", ["randomization", "bootstrap"])
def test_differences_that_cancel_out_have_no_evidence(test):
    differences = np.array([[0.1, 0.2, -0.3, 0.0, 0.0, 0.0]])  # their sum is 5.6e-17
    p, _ = (randomization if test == "randomization" else bootstrap)(differences, 0.95, 999, np.random.RandomState(0))
    assert p[0] == 1.0


def test_runs_that_are_equal_but_for_rounding_are_equal():
    values = np.array([[0.1, 0.3, 0.5, 0.7], [0.1, 0.30000000000000004, 0.5, 0.7000000000000001]])

    def nearly(y_true, y_pred):
        return values[int(y_pred.name)]

    qrels = [{"a": 1}] * 4
    made = [Run([["a"]] * 4, name="0"), Run([["a"]] * 4, name="1")]
    for test in TESTS:
        comparison = compare(qrels, made, nearly, test=test, random_state=0)
        (row,) = comparison.tests
        assert row["ties"] == 4 and row["p"] == 1.0 and row["effect_size"] == 0, test
    assert comparison.to_markdown().count("**") == 4  # both are best


def test_one_difference_throughout_has_no_deviation():
    qrels = {f"q{i}": {"a": 1} for i in range(6)}
    made = {"a": {q: ["x", "a", "b"] for q in qrels}, "b": {q: ["x", "y", "a"] for q in qrels}}
    (row,) = compare(qrels, made, "mrr").tests
    assert row["effect_size"] == -np.inf and row["p"] == 0.0 and row["detectable"] == 0.0


def test_large_values_are_rounded_to_as_many_digits():
    assert round_off(np.array([0.1 + 0.2]), np.array([0.3])).tolist() == [0.3]
    assert round_off(np.array([3e5 + 0.1 - 3e5]), np.array([3e5])).tolist() == [0.1]
    assert round_off(np.array([2e-13, -1e-14]), np.array([0.5])).tolist() == [0.0, 0.0]


def test_bad_questions_are_errors(runs):
    qrels, made = runs
    with pytest.raises(ValueError, match="baseline='nobody'"):
        compare(qrels, made, "map", baseline="nobody")
    with pytest.raises(ValueError, match="not a mean"):
        compare(qrels, made, "num_rel")
    with pytest.raises(ValueError, match="at least two"):
        compare({"q1": qrels["q1"]}, made, "map")
    with pytest.raises(ValueError, match="'test' parameter"):
        compare(qrels, made, "map", test="anova")
    with pytest.raises(ValueError, match="no run"):
        compare(qrels, {}, "map")


def test_displays_follow_the_comparison(runs, tmp_path):
    comparison = compare(*runs, ["map", "ndcg@10"], baseline="bad")
    display = ComparisonDisplay.from_comparison(comparison, metric="ndcg@10")
    assert display.labels == ["good - bad", "middling - bad"]
    assert display.ax_.get_xlabel() == "difference in ndcg@10"
    queries = PerQueryDisplay.from_comparison(comparison, run="good")
    assert (np.diff(queries.differences) <= 0).all() and len(queries.ax_.patches) == 40
    assert PerQueryDisplay.from_runs(*runs, "map", ax=display.ax_).ax_ is display.ax_
    queries.figure_.savefig(tmp_path / "queries.png")
    with pytest.raises(ValueError, match="no 'mrr'"):
        ComparisonDisplay.from_comparison(comparison, metric="mrr")
    with pytest.raises(ValueError, match="no run 'nobody'"):
        PerQueryDisplay.from_comparison(comparison, run="nobody")
