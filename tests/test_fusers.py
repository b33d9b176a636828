"""Fusers against their definitions, a few lines of plain Python each."""

import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean, median, pstdev, stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline

from sklrank import Corpus, Qrels, Queries, Run
from sklrank._kernels._fusion import order_entries, unite
from sklrank._validation import StrOptions
from sklrank.fusers import RankFuser, ReciprocalRankFuser, ScoreFuser
from sklrank.fusers import _rank as rank_table
from sklrank.fusers import _score as score_table
from sklrank.fusers._normalize import NORMS
from sklrank.retrievers import BM25Retriever, RetrieverUnion, TfidfRetriever

CORPUS = Corpus([""] * 9, ids=[f"d{i}" for i in range(9)])
WEIGHTS = (0.5, 2.0, 1.25, 0.75)
METHODS = {
    ReciprocalRankFuser: [{}],
    RankFuser: [{"method": method} for method in rank_table.METHODS],
    ScoreFuser: [{"method": method} for method in score_table.METHODS],
}
FUSERS = [kind(**params) for kind, settings in METHODS.items() for params in settings]


def union(lists, corpus=CORPUS, queries=None):
    """Candidates of ``lists[system][query]``, dicts of row to score."""
    runs = {}
    for s, queries_of_one in enumerate(lists):
        width = max([1, *map(len, queries_of_one)])
        rows, scores = np.full((len(queries_of_one), width), -1), np.zeros((len(queries_of_one), width))
        for q, one in enumerate(queries_of_one):
            rows[q, : len(one)], scores[q, : len(one)] = list(one), list(one.values())
        runs[f"s{s}"] = Run.from_arrays(rows, scores, corpus=corpus, queries=queries)
    return Run.union(runs)


def fused(fuser, lists):
    """Scores by row, one dict a query, best first."""
    run = clone(fuser).fit_transform(union(lists))
    bounds = run.indptr.tolist()
    return [dict(zip(run.rows[i:j].tolist(), run.scores[i:j].tolist())) for i, j in zip(bounds[:-1], bounds[1:])]


def weights_of(lists, weights=WEIGHTS):
    return {f"s{s}": weight for s, weight in zip(range(len(lists)), weights)}


# --- definitions


def by_rank(one):
    return sorted(one, key=lambda row: (-one[row], row))


def union_of(query):
    return sorted(set().union(*query))


def at_rank(query, weights, value):
    """Sum of what each list gives for its ranks."""
    return {
        row: math.fsum(w * value(by_rank(one).index(row) + 1) for one, w in zip(query, weights) if row in one)
        for row in union_of(query)
    }


def n_lists(query, row):
    return sum(row in one for one in query)


def points(query):
    """Borda points, one dict a list."""
    n = len(union_of(query))
    ranked = [{row: n - i for i, row in enumerate(by_rank(one))} for one in query]
    return [{row: one.get(row, (n - len(one) + 1) / 2) for row in union_of(query)} for one in ranked]


def weighted_median(values, weights):
    """The middle of each value repeated, weights being multiples of 1/4."""
    return median(v for v, w in zip(values, weights) for _ in range(round(4 * w)))


def margin(query, weights, a, b):
    total = 0.0
    for one, w in zip(query, weights):
        order = by_rank(one)
        rank_a, rank_b = (order.index(row) if row in one else math.inf for row in (a, b))
        total += w * ((rank_a < rank_b) - (rank_b < rank_a))
    return total


RANK_METHODS = {
    "borda": lambda query, w: {row: math.fsum(v[row] * x for v, x in zip(points(query), w)) for row in union_of(query)},
    "median": lambda query, w: {row: weighted_median([v[row] for v in points(query)], w) for row in union_of(query)},
    "isr": lambda query, w: {r: v * n_lists(query, r) for r, v in at_rank(query, w, lambda rank: rank**-2).items()},
    "log_isr": lambda query, w: {
        r: v * math.log(n_lists(query, r)) for r, v in at_rank(query, w, lambda rank: rank**-2).items()
    },
    "logn_isr": lambda query, w: {
        r: v * math.log(n_lists(query, r) + 0.01) for r, v in at_rank(query, w, lambda rank: rank**-2).items()
    },
    "rbc": lambda query, w: at_rank(query, w, lambda rank: 0.05 * 0.95 ** (rank - 1)),
    "copeland": lambda query, w: {
        a: sum((np.sign(margin(query, w, a, b)) + 1) / 2 for b in union_of(query) if b != a) for a in union_of(query)
    },
    "condorcet": lambda query, w: {
        row: len(union_of(query)) - i
        for i, row in enumerate(merge_sorted([[row] for row in by_rank(RANK_METHODS["borda"](query, w))], query, w))
    },
}


def merge_sorted(parts, query, w):
    """Neighbouring parts merged until one is left: of two candidates the left one goes first, unless it loses."""
    while len(parts) > 1:
        parts = [merged(parts[i], sum(parts[i + 1 : i + 2], []), query, w) for i in range(0, len(parts), 2)]
    return sum(parts, [])


def merged(left, right, query, w):
    left, right, order = [*left], [*right], []
    while left and right:
        order.append((left if margin(query, w, left[0], right[0]) > -1e-9 else right).pop(0))
    return order + left + right


def normalized(norm, one, n_candidates):
    """What a list gives to its documents."""
    s, n = list(one.values()), len(one)
    if not n:
        return {}
    low, high, total = min(s), max(s), math.fsum(x - min(s) for x in s)
    order = by_rank(one)
    flat = low == high
    values = {
        "min-max": lambda x: (x - low) / (high - low) if not flat else 1.0,
        "max": lambda x: x / (high if high > 0 else -low) if not flat else 1.0,
        "sum": lambda x: (x - low) / total if not flat else 1 / n,
        "zmuv": lambda x: (x - fmean(s)) / pstdev(s) if not flat else 1.0,
        "dbsf": lambda x: (x - fmean(s)) / (6 * stdev(s)) + 0.5 if not flat else 0.5,
        "tmm": lambda x: (x + 10) / (high + 10) if high > -10 else 1.0,
        "l2": lambda x: x / math.hypot(*s) if any(s) else 1 / math.sqrt(n),
        "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
        "quantile": lambda x: sum(y <= x for y in s) / n,
        "none": lambda x: x,
    }
    if norm == "rank":
        return {row: 1 - i / n for i, row in enumerate(order)}
    if norm == "borda":
        return {row: 1 - i / n_candidates for i, row in enumerate(order)}
    return {row: values[norm](x) for row, x in one.items()}


def filled(norm, query, missing):
    """Normalized scores by row, one dict a list, missing ones as `missing` says."""
    n = len(union_of(query))
    lists = []
    for one in query:
        own = normalized(norm, one, n)
        absent = min([0.0, *own.values()]) if missing == "min" else 0.0 if missing == "zero" else missing
        if norm == "borda" and missing == "min":
            absent = 0.5 - (len(one) - 1) / (2 * max(n, 1))
        rows = own if missing == "ignore" else union_of(query)
        lists.append({row: own.get(row, absent) for row in rows})
    return lists


def columns(lists, row, weights):
    """Values and weights of the lists that say something of a row."""
    return list(zip(*[(one[row], w) for one, w in zip(lists, weights) if row in one]))


def total(lists, row, weights):
    return math.fsum(one[row] * w for one, w in zip(lists, weights) if row in one)


def floored(value):
    return max(value, 0.001)


SCORE_METHODS = {
    "sum": lambda query, lists, row, w: total(lists, row, w),
    "weighted": lambda query, lists, row, w: total(lists, row, w) / sum(w),
    "mnz": lambda query, lists, row, w: total(lists, row, w) * n_lists(query, row),
    "gmnz": lambda query, lists, row, w: total(lists, row, w) * n_lists(query, row) ** 0.5,
    "wmnz": lambda query, lists, row, w: total(lists, row, [1] * len(w)) * sum(x for o, x in zip(query, w) if row in o),
    "anz": lambda query, lists, row, w: total(lists, row, w) / sum(columns(lists, row, w)[1]),
    "max": lambda query, lists, row, w: max(v * x for v, x in zip(*columns(lists, row, w))),
    "min": lambda query, lists, row, w: min(v * x for v, x in zip(*columns(lists, row, w))),
    "median": lambda query, lists, row, w: weighted_median(*columns(lists, row, w)),
    "geometric": lambda query, lists, row, w: math.exp(
        math.fsum(x * math.log(floored(v)) for v, x in zip(*columns(lists, row, w))) / sum(columns(lists, row, w)[1])
    ),
    "harmonic": lambda query, lists, row, w: (
        sum(columns(lists, row, w)[1]) / math.fsum(x / floored(v) for v, x in zip(*columns(lists, row, w)))
    ),
}
IGNORE = ("anz", "max", "min", "median")


def test_every_method_and_norm_has_a_definition():
    assert set(RANK_METHODS) == set(rank_table.METHODS)
    assert set(SCORE_METHODS) == set(score_table.METHODS)
    assert all(set(normalized(norm, {0: 2.0, 1: 1.0}, 2)) == {0, 1} for norm in NORMS)
    for kind, names in ((RankFuser, rank_table.METHODS), (ScoreFuser, {**score_table.METHODS, **NORMS})):
        assert all(f'"{name}"' in kind.__doc__ for name in names)


def test_a_new_method_takes_one_entry(monkeypatch):
    spread = score_table.ScoreMethod(lambda lists, weights, fuser: np.ptp(lists.filled(), axis=0))
    monkeypatch.setitem(score_table.METHODS, "spread", spread)
    monkeypatch.setitem(ScoreFuser._parameter_constraints, "method", [StrOptions(set(score_table.METHODS))])
    lists = [[{0: 4.0, 1: 2.0, 2: 0.0}], [{0: 1.0, 1: 0.0}]]
    assert fused(ScoreFuser("spread"), lists) == [{1: 0.5, 0: 0.0, 2: 0.0}]
    candidates = union(lists)
    assert np.isnan(ScoreFuser("spread").contributions(candidates)[1]).all()
    learned = ScoreFuser("spread", weights="learn").fit(candidates, [{"d1": 1}])
    assert learned.predict(candidates).docids == [["d1", "d0", "d2"]]


# --- the definitions hold

scores = st.one_of(st.integers(-4, 9).map(float), st.floats(-9, 9).map(lambda x: round(x, 3)))
one_list = st.dictionaries(st.integers(0, 8), scores, max_size=7)
several = st.integers(1, 4).flatmap(
    lambda n_systems: st.integers(1, 3).flatmap(
        lambda n_queries: st.lists(
            st.lists(one_list, min_size=n_queries, max_size=n_queries), min_size=n_systems, max_size=n_systems
        )
    )
)


def check(fuser, lists, expected):
    """The fused scores are those expected, in their order, equal scores by row."""
    for query, got in zip(zip(*lists), fused(fuser, lists)):
        wanted = expected(query)
        assert sorted(got) == sorted(wanted)
        assert_allclose([got[row] for row in wanted], list(wanted.values()), rtol=1e-9, atol=1e-12)
        assert list(got) == sorted(got, key=lambda row: (-got[row], row))


@given(several, st.booleans(), st.sampled_from([0, 1, 60.0]))
def test_reciprocal_ranks_are_their_definition(lists, weighted, constant):
    w = WEIGHTS if weighted else (1, 1, 1, 1)
    fuser = ReciprocalRankFuser(constant, weights=weights_of(lists) if weighted else None)
    check(fuser, lists, lambda query: at_rank(query, w, lambda rank: 1 / (constant + rank)))


@pytest.mark.parametrize("method", rank_table.METHODS)  # one that has no definition above fails
@settings(max_examples=25)
@given(lists=several, weighted=st.booleans())
def test_rank_methods_are_their_definition(method, lists, weighted):
    w = (WEIGHTS if weighted else (1, 1, 1, 1))[: len(lists)]
    fuser = RankFuser(method, weights=weights_of(lists) if weighted else None)
    check(fuser, lists, lambda query: RANK_METHODS[method](query, w))


@settings(max_examples=50)
@given(several, st.booleans())
def test_condorcet_neighbours_beat_or_tie(lists, weighted):
    w = WEIGHTS if weighted else (1, 1, 1, 1)
    fuser = RankFuser("condorcet", weights=weights_of(lists) if weighted else None)
    for query, got in zip(zip(*lists), fused(fuser, lists)):
        assert list(got.values()) == list(range(len(got), 0, -1))
        assert sorted(got) == union_of(query)
        order = list(got)
        for a, b in zip(order, order[1:]):
            assert margin(query, w, a, b) > -1e-9
        wins = RANK_METHODS["copeland"](query, w)
        if len(set(wins.values())) == len(wins) and all(x == int(x) for x in wins.values()):  # no cycle, no tie
            assert order == sorted(wins, key=wins.get, reverse=True)


@pytest.mark.parametrize("norm", sorted(NORMS))
@settings(max_examples=25)
@given(lists=several, missing=st.sampled_from(["auto", "zero", "ignore", -0.25]))
def test_norms_are_their_definition(norm, lists, missing):
    fuser = ScoreFuser(norm=norm, missing=missing, theoretical_min=-10)
    ones = [1] * len(lists)

    def expected(query):
        values = filled(norm, query, "min" if missing == "auto" else missing)
        return {row: total(values, row, ones) for row in union_of(query)}

    check(fuser, lists, expected)


@pytest.mark.parametrize("method", score_table.METHODS)
@settings(max_examples=25)
@given(lists=several, weighted=st.booleans(), missing=st.sampled_from(["auto", "min", "zero", "ignore", 0.125]))
def test_score_methods_are_their_definition(method, lists, weighted, missing):
    w = (WEIGHTS if weighted else (1, 1, 1, 1))[: len(lists)]
    fuser = ScoreFuser(method, weights=weights_of(lists) if weighted else None, missing=missing)
    missing = ("ignore" if method in IGNORE else "min") if missing == "auto" else missing

    def expected(query):
        values = filled("min-max", query, missing)
        return {row: SCORE_METHODS[method](query, values, row, w) for row in union_of(query)}

    check(fuser, lists, expected)


# --- kernels

ragged = st.integers(1, 3).flatmap(
    lambda n_systems: st.integers(0, 3).flatmap(
        lambda n_queries: st.lists(
            st.lists(
                st.lists(st.tuples(st.integers(0, 5) | st.integers(0, 2**40), st.floats(-9, 9)), max_size=40),
                min_size=n_queries,
                max_size=n_queries,
            ),
            min_size=n_systems,
            max_size=n_systems,
        )
    )
)


@given(ragged)
def test_unite_keeps_each_list(lists):
    lengths = np.array([[len(one) for one in of_system] for of_system in lists], dtype=np.int64)
    indptrs = np.zeros((len(lists), lengths.shape[1] + 1), dtype=np.int64)
    np.cumsum(lengths, axis=1, out=indptrs[:, 1:])
    offsets = np.concatenate([[0], np.cumsum(indptrs[:, -1])])
    entries = [entry for of_system in lists for one in of_system for entry in one]
    rows = np.array([row for row, _ in entries], dtype=np.int64)
    values = np.array([score for _, score in entries], dtype=np.float64)
    indptr, found, scores, ranks = unite(indptrs, offsets, rows, values)
    for q in range(lengths.shape[1]):
        inside = slice(indptr[q], indptr[q + 1])
        assert found[inside].tolist() == sorted({row for of_system in lists for row, _ in of_system[q]})
        for s, of_system in enumerate(lists):
            first = {row: (score, i + 1) for i, (row, score) in reversed(list(enumerate(of_system[q])))}
            wanted = np.array([first.get(row, (np.nan, np.nan)) for row in found[inside].tolist()]).reshape(-1, 2)
            np.testing.assert_array_equal(scores[s, inside], wanted[:, 0])
            np.testing.assert_array_equal(ranks[s, inside], wanted[:, 1])


hostile = st.sampled_from([0.0, -0.0, 1.0, 2.0, 5e-324, -5e-324, 1e308, -1e308, np.inf, -np.inf, np.nan])


@given(
    st.lists(st.lists(st.floats() | hostile | st.integers(0, 3).map(float), max_size=70), max_size=3),
    st.integers(1, 80),
    st.randoms(use_true_random=False),
)
def test_candidates_are_ordered_by_score_then_row(queries, k, random):
    lengths = [len(one) for one in queries]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    orders = [random.sample(range(2 * n), n) if random.random() < 0.5 else list(range(n)) for n in lengths]
    rows = np.array([row for one in orders for row in one], dtype=np.int64)
    values = np.array([score for one in queries for score in one], dtype=np.float64)
    order, ranked, bounds = np.empty(len(rows), dtype=np.int64), np.empty(len(rows)), np.empty_like(indptr)
    order_entries(indptr, rows, values, k, order, ranked, bounds)
    for start, stop, left, right in zip(indptr[:-1], indptr[1:], bounds[:-1], bounds[1:]):
        wanted = [e for e in range(start, stop) if not math.isnan(values[e])]
        wanted.sort(key=lambda e: (-values[e], rows[e]))
        assert order[left:right].tolist() == wanted[:k]
        assert ranked[left:right].tolist() == values[wanted[:k]].tolist()


# --- what should hold for all

LISTS = [
    [{0: 3.0, 1: 2.0, 5: 1.0}, {}, {7: 2.5}, {0: 1.0, 2: 1.0}],
    [{1: 0.75, 4: 0.5}, {2: 0.25}, {}, {2: 2.0, 0: 1.0, 8: 0.5}],
    [{5: 9.0}, {3: 8.0, 2: 7.0}, {}, {8: 4.0, 0: 3.0}],
]


def same(run, other):
    """Whether two runs say the same to the last bit."""
    return (
        run.docids == other.docids
        and run.scores.tobytes() == other.scores.tobytes()
        and run.columns == other.columns
        and all(run.column(name).tobytes() == other.column(name).tobytes() for name in run.columns)
        and all(run.column_ranks(name).tobytes() == other.column_ranks(name).tobytes() for name in run.columns)
    )


@pytest.mark.parametrize("fuser", FUSERS, ids=repr)
def test_verbs_agree_and_survive_copies(fuser):
    fuser, candidates = clone(fuser), union(LISTS)
    run = clone(fuser).fit(candidates).predict(candidates)
    assert isinstance(run, Run) and run.has_order and run.columns == candidates.columns and run.corpus is CORPUS
    assert run.name == fuser._stage
    for other in (
        fuser.fit_transform(candidates),
        fuser.transform(candidates),
        clone(fuser).transform(candidates),  # nothing is learned
        pickle.loads(pickle.dumps(fuser)).transform(candidates),
        pickle.loads(pickle.dumps(run)),
        make_pipeline(fuser).fit(candidates).predict(candidates),
        np.concatenate([fuser.transform(candidates[:1]), fuser.transform(candidates[1:])]),
        fuser.transform(candidates[::-1])[::-1],
    ):
        assert same(run, other)
    assert not candidates.has_order


@pytest.mark.parametrize("fuser", FUSERS, ids=repr)
def test_k_results_begin_all_results(fuser):
    candidates = union(LISTS)
    run, short = fuser.transform(candidates), clone(fuser).set_params(k=2).transform(candidates)
    assert short.docids == [docids[:2] for docids in run.docids]
    assert short.k == 2 and run.k == candidates.k


@pytest.mark.parametrize("fuser", FUSERS, ids=repr)
def test_entries_keep_their_columns(fuser):
    candidates = union(LISTS)
    run = fuser.transform(candidates)
    for name in run.columns:
        for read in (lambda run, name=name: run.column(name), lambda run, name=name: run.column_ranks(name)):
            known = dict(
                zip(zip(np.repeat(candidates.qids, np.diff(candidates.indptr)), candidates.rows), read(candidates))
            )
            got = dict(zip(zip(np.repeat(run.qids, np.diff(run.indptr)), run.rows), read(run)))
            assert known.keys() == got.keys()
            assert_allclose([got[key] for key in known], list(known.values()))


@pytest.mark.parametrize("fuser", FUSERS, ids=repr)
def test_a_run_fused_with_itself_keeps_its_order(fuser):
    run = Run({"q": {"a": 3.0, "b": 2.5, "c": 2.5, "d": -1.0, "e": -1.5}})
    norm = {"norm": "rank"} if isinstance(fuser, ScoreFuser) else {}
    both = Run.union({"one": run, "other": run})
    assert clone(fuser).set_params(**norm).transform(both).docids == run.docids


@pytest.mark.parametrize("fuser", FUSERS, ids=repr)
@settings(max_examples=10)
@given(lists=several, order=st.randoms(use_true_random=False))
def test_the_order_of_systems_does_not_matter(fuser, lists, order):
    if fuser.get_params().get("method") in ("geometric", "harmonic"):  # logarithms are rounded before they are added
        return
    shuffled = order.sample(lists, len(lists))
    assert fused(fuser, lists) == fused(fuser, shuffled)


@pytest.mark.parametrize("fuser", FUSERS, ids=repr)
@settings(max_examples=10)
@given(lists=several)
def test_a_weight_of_zero_leaves_a_system_out(fuser, lists):
    for norm in ("min-max", "borda") if isinstance(fuser, ScoreFuser) else (None,):
        fuser = clone(fuser).set_params(**({"norm": norm} if norm else {}))
        rest = lists[1:]
        if rest:
            weighted = clone(fuser).set_params(weights={"s0": 0, **{f"s{s + 1}": 1.0 for s in range(len(rest))}})
            assert fused(weighted, lists) == fused(fuser, rest)


@pytest.mark.parametrize("fuser", FUSERS, ids=repr)
@settings(max_examples=10)
@given(lists=several, weighted=st.booleans())
def test_contributions_add_up(fuser, lists, weighted):
    fuser = clone(fuser).set_params(weights=weights_of(lists) if weighted else None)
    candidates = union(lists)
    normalized, contributions = fuser.contributions(candidates)
    assert normalized.shape == contributions.shape == (len(lists), len(candidates.rows))
    for name, values in zip(candidates.columns, normalized):
        np.testing.assert_array_equal(np.isnan(values), np.isnan(candidates.column(name)))
    method = fuser.get_params().get("method")
    if method in ("geometric", "harmonic", "condorcet", "copeland", "median"):
        assert np.isnan(contributions).all()
    else:
        assert_allclose(np.nansum(contributions, axis=0), fuser._fuse(candidates, candidates.columns), atol=1e-12)


extreme = st.floats(-1.6e308, 1.6e308) | st.sampled_from([np.inf, -np.inf])


@pytest.mark.parametrize("norm", sorted(NORMS))
@settings(max_examples=25)
@given(lists=st.lists(st.lists(st.dictionaries(st.integers(0, 8), extreme, max_size=5),
                               min_size=2, max_size=2), min_size=1, max_size=3))  # fmt: skip
def test_nothing_found_is_lost_however_odd_its_score(norm, lists):
    lists = [[{row: score if abs(score) > 1e-290 else 0.0 for row, score in q.items()} for q in one] for one in lists]
    fuser = ScoreFuser(norm=norm, theoretical_min=-1.7e308 if norm == "tmm" else 0, method="max")
    candidates = union(lists)
    run = fuser.transform(candidates)
    assert list(map(sorted, run.docids)) == list(map(sorted, candidates.docids))
    assert not np.isnan(run.scores).any()


def test_infinite_scores_are_the_nearest_finite_ones():
    lists = [[{0: np.inf, 1: 4.0, 2: 2.0, 3: -np.inf}]]
    assert fused(ScoreFuser(), lists) == [{0: 1.0, 1: 1.0, 2: 0.0, 3: 0.0}]
    assert fused(ScoreFuser(), [[{0: np.inf, 1: -np.inf}]]) == [{0: 1.0, 1: 0.0}]


@pytest.mark.parametrize("norm", sorted(set(NORMS) - {"none", "sigmoid"}))
def test_what_is_found_beats_what_is_not(norm):
    for found in ({0: 2.0}, {0: 0.0}, {0: -3.0}, {0: 2.0, 1: 2.0}):
        got = fused(ScoreFuser(norm=norm, theoretical_min=-5), [[found], [{7: 1.0}]])[0]
        values = ScoreFuser(norm=norm, theoretical_min=-5).contributions(union([[found], [{7: 1.0}]]))[0]
        if norm not in ("l2", "max"):
            assert values[0, 0] > 0
        assert set(got) == {*found, 7}


def test_a_document_absent_under_z_scores_is_not_average():
    lists = [[{0: 4.0, 1: 1.0, 2: 0.0}], [{3: 1.0, 0: 0.5}]]
    got = fused(ScoreFuser(norm="zmuv"), lists)[0]
    assert got[3] == pytest.approx(1 + normalized("zmuv", lists[0][0], 4)[2])
    assert fused(ScoreFuser(norm="zmuv", missing="zero"), lists)[0][3] == 1.0


def test_clip_bounds_normalized_scores():
    lists = [[{0: 9.0, 1: 1.0, 2: 0.0}], [{3: 1.0, 0: 0.5}]]
    plain, clipped = (fused(ScoreFuser(norm="zmuv", clip=clip), lists)[0] for clip in (None, (-1, None)))
    assert min(plain.values()) < -1.5
    assert fused(ScoreFuser("max", norm="zmuv", clip=(None, 0.25)), lists)[0][0] == 0.25
    assert clipped[2] >= -2


def test_theoretical_minimum_goes_by_column():
    lists = [[{0: 4.0, 1: 1.0}], [{0: 0.5, 1: 0.0}]]
    fuser = ScoreFuser(norm="tmm", theoretical_min={"s1": -1.0})
    assert fused(fuser, lists) == [{0: 2.0, 1: 0.25 + 2 / 3}]
    with pytest.raises(ValueError, match="column 's1' has the score -2, below 0"):
        fused(ScoreFuser(norm="tmm"), [[{0: 1.0}], [{0: -2.0}]])
    with pytest.raises(ValueError, match="theoretical_min of unknown score columns: 'x'"):
        fused(ScoreFuser(norm="tmm", theoretical_min={"x": 0}), lists)


def test_candidates_with_an_order_are_fused_by_row_too():
    candidates = union([*LISTS, [{4: 1.0, 3: 1.0, 2: 1.0, 1: 1.0}, {}, {}, {}], [{1: 1.0, 3: 0.5}, {}, {}, {}]])
    for fuser in FUSERS:
        once = RankFuser("isr").transform(candidates)
        assert same(fuser.transform(once), fuser.transform(candidates))


def test_threads_get_the_same():
    candidates = union(LISTS)
    expected = [fuser.transform(candidates) for fuser in FUSERS]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert all(map(same, expected, pool.map(lambda fuser: fuser.transform(candidates), FUSERS)))
        run = FUSERS[0].transform(candidates)
        assert len({run.column("s1").tobytes() for _ in range(8)}) == 1


def test_no_queries_and_no_candidates():
    empty = union([[{}], [{}]])
    for fuser in FUSERS:
        assert fuser.transform(empty).docids == [[]]
        assert fuser.transform(empty[:0]).docids == []


def test_a_pipeline_is_searched_as_one():
    corpus = Corpus(["heat flows", "cold rests", "heat rests", "cold flows", "heat heat cold"], ids=list("abcde"))
    queries = Queries({"q1": "heat", "q2": "cold", "q3": "rests", "q4": "flows cold"})
    qrels = Qrels({"q1": {"e": 1}, "q2": {"b": 1}, "q3": {"c": 1}, "q4": {"d": 2}}).align(queries)
    union = RetrieverUnion([("bm25", BM25Retriever(corpus)), ("tfidf", TfidfRetriever(corpus))])
    pipe = make_pipeline(union, ScoreFuser())
    search = GridSearchCV(
        pipe, {"scorefuser__norm": ["min-max", "zmuv"], "retrieverunion__bm25__k1": [0.5, 2.0]}, cv=2
    ).fit(queries, qrels)
    assert 0 < search.best_score_ <= 1
    run = cross_val_predict(make_pipeline(union, ReciprocalRankFuser()), queries, qrels, cv=2)
    assert same(run, make_pipeline(union, ReciprocalRankFuser()).fit_transform(queries))


def test_learned_weights_prefer_the_better_system():
    good, poor = [{q: 1.0, 8: 0.5} for q in range(6)], [{8: 1.0, (q + 1) % 6: 0.5, q: 0.1} for q in range(6)]
    candidates, qrels = union([good, poor]), [{f"d{q}": 1} for q in range(6)]
    for fuser in (ReciprocalRankFuser(weights="learn"), ScoreFuser(weights="learn", norm="borda")):
        with pytest.raises(NotFittedError):
            fuser.transform(candidates)
        with pytest.raises(ValueError, match='weights="learn" needs the judgments'):
            fuser.fit(candidates)
        fuser.fit(candidates, qrels)
        assert fuser.weights_["s0"] > fuser.weights_["s1"]
        assert sum(fuser.weights_.values()) == pytest.approx(1)
        assert fuser.score(candidates, qrels) == 1.0
        assert clone(fuser).set_params(weights=fuser.weights_).transform(candidates).docids == (
            fuser.transform(candidates).docids
        )


def test_learned_weights_are_those_of_the_parameters_at_fit():
    candidates, qrels = union(LISTS), [{"d1": 1}] * 4
    fuser = ScoreFuser(weights="learn").fit(candidates, qrels)
    with pytest.raises(ValueError, match="norm= was changed after fit: fit again"):
        fuser.set_params(norm="zmuv").transform(candidates)
    by_hand = fuser.set_params(weights={"s0": 1, "s1": 2, "s2": 3}).transform(candidates)  # nothing is learned
    assert same(by_hand, clone(fuser).transform(candidates))
    fuser = ReciprocalRankFuser().fit(candidates)
    assert fuser.set_params(rank_constant=1, k=1).transform(candidates).k == 1
    with pytest.raises(ValueError, match="weights= was changed after fit: fit again"):
        ReciprocalRankFuser().fit(candidates).set_params(weights="learn").transform(candidates)


@pytest.mark.parametrize("weights, message", [
    ({"s0": 1, "bm25": 1}, "weights of unknown score columns: 'bm25'"),
    ({"s0": 1, "s1": 1}, "weights lack the score columns 's2'"),
    ({"s0": -1, "s1": 1, "s2": 1}, "as the weight of 's0', got -1"),
    ({"s0": np.nan, "s1": 1, "s2": 1}, "as the weight of 's0', got nan"),
    ({"s0": np.inf, "s1": 1, "s2": 1}, "as the weight of 's0', got inf"),
    ({"s0": "1", "s1": 1, "s2": 1}, "as the weight of 's0', got '1'"),
    ({"s0": 0, "s1": 0, "s2": 0}, "all weights are 0"),
])  # fmt: skip
def test_bad_weights_are_refused(weights, message):
    candidates = union(LISTS)
    for fuser in FUSERS:
        with pytest.raises(ValueError, match=message):
            clone(fuser).set_params(weights=weights).fit(candidates)
        with pytest.raises(ValueError, match=message):
            clone(fuser).set_params(weights=weights).transform(candidates)


@pytest.mark.parametrize("params", [
    {"method": "best"}, {"norm": "softmax"}, {"missing": "max"}, {"missing": np.nan}, {"clip": 1}, {"clip": (2, 1)},
    {"clip": (0, 1, 2)}, {"clip": (np.nan, 1)}, {"gamma": -1}, {"gamma": np.inf}, {"k": 0}, {"weights": [1, 2, 3]},
    {"theoretical_min": np.nan}, {"theoretical_min": {"s0": np.nan}}, {"theoretical_min": {"s0": -np.inf}},
])  # fmt: skip
def test_bad_parameters_are_refused(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        ScoreFuser(**params).transform(union(LISTS))


def test_what_cannot_be_fused_is_refused():
    candidates = union(LISTS)
    with pytest.raises(TypeError, match="takes a Run with score columns"):
        ReciprocalRankFuser().transform(["query"])
    with pytest.raises(ValueError, match="no score columns"):
        ReciprocalRankFuser().fit(Run({"q": {"a": 1.0}}))
    with pytest.raises(
        ValueError, match=r"score columns \['s0', 's1'\], but the fuser was fitted on \['s0', 's1', 's2'\]"
    ):
        ReciprocalRankFuser().fit(candidates).transform(union(LISTS[:2]))
    with pytest.raises(ValueError, match="needs scores of at least 0"):
        ScoreFuser("geometric", norm="zmuv").transform(candidates)
