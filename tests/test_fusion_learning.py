"""Fusion that learns from judgments, against its definitions in plain Python and against ranx."""

import json
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.fusers import ColumnScorer, ProbabilisticFuser, ReciprocalRankFuser, ScoreFuser, simplex_grid
from sklrank.fusers._probabilistic import METHODS as TABLE
from sklrank.fusers._weights import learn_weights
from sklrank.metrics import mean_average_precision_score, metric_from_name, ndcg_score

METHODS = sorted(set(TABLE) - {"mixed"})  # whose weights are given, or learned as those of other fusers
SEGFUSE = [0, 5, 15, 35, 75, 155, 315, 635, 1275, 2555, 5115]
BAYESFUSE = [0, 5, 10, 15, 20, 30, 100, 200, 500, 1000]
RANX = json.loads(Path(__file__).with_name("ranx_learned_fusion.json").read_text(encoding="utf-8"))


# --- the definitions


def reference(method, runs, qrels, test, *, n_segments=25, window=2):
    """Fused scores of the rankings `test`, learned from `runs` and `qrels`: ``{qid: {docid: score}}``."""
    judged = [q for q in qrels if qrels[q]]
    fused = {q: {} for q in next(iter(test.values()))}
    for name, rankings in runs.items():
        hits = [[qrels[q].get(d, 0) >= 1 for d in by_score(rankings[q])] for q in judged]
        believe = learn(method, hits, [sum(g >= 1 for g in qrels[q].values()) for q in judged], n_segments, window)
        for q, scores in test[name].items():
            ranking = by_score(scores)
            for i, d in enumerate(ranking):
                value = believe(i, len(ranking))
                if method == "segfuse":
                    low, high = min(scores.values()), max(scores.values())
                    value *= 1 + ((scores[d] - low) / (high - low) if high > low else 1)
                fused[q].setdefault(d, {})[name] = value
    nothing = math.log(0.001 / 0.999) if method == "bayesfuse" else 0.0
    return {q: {d: sum(v.get(name, nothing) for name in runs) for d, v in docs.items()} for q, docs in fused.items()}


def by_score(scores):
    return sorted(scores, key=lambda d: -scores[d])


def learn(method, hits, n_relevant, n_segments, window):
    """What is believed of position i in a list of n."""
    n = len(hits)
    if method == "mapfuse":
        totals = [sum(sum(h[: i + 1]) / (i + 1) for i in range(len(h)) if h[i]) for h in hits]
        value = sum(total / max(r, 1) for total, r in zip(totals, n_relevant)) / n
        return lambda i, length: value / (i + 1)
    if method in ("posfuse", "slidefuse"):
        depth = max(map(len, hits))
        share = [sum(h[i] for h in hits if len(h) > i) / sum(len(h) > i for h in hits) for i in range(depth)] or [0.0]

        def at(i):
            return share[min(i, len(share) - 1)]

        if method == "posfuse":
            return lambda i, length: at(i)
        return lambda i, length: np.mean([at(j) for j in range(max(i - window, 0), min(i + window, length - 1) + 1)])
    if method == "probfuse":

        def share_of(k):
            total = 0.0
            for h in hits:
                size = math.ceil(len(h) / n_segments)
                part = h[k * size : (k + 1) * size]
                total += sum(part) / len(part) if part else 0.0
            return total / n

        last = max((len(h) - 1) // math.ceil(len(h) / n_segments) if h else 0 for h in hits)

        def of_segment(i, length):
            k = i // math.ceil(length / n_segments)
            return share_of(min(k, last)) / (k + 1)

        return of_segment
    bounds = {"segfuse": SEGFUSE, "bayesfuse": BAYESFUSE}[method]  # a method without a definition ends here
    last = max(segment(max(len(h) - 1, 0), bounds) for h in hits)

    def estimate(i, length):
        k = min(segment(i, bounds), last)
        share = sum(sum(h[bounds[k] : bounds[k + 1]]) / (bounds[k + 1] - bounds[k]) for h in hits) / n
        return share if method == "segfuse" else math.log(max(share, 0.001) / max(1 - max(share, 0.001), 0.001))

    return estimate


def segment(i, bounds):
    return max(k for k in range(len(bounds) - 1) if bounds[k] <= i)


def union_of(runs):
    return Run.union({name: Run(rankings, score_dtype="float64") for name, rankings in runs.items()})


def fused_scores(run):
    return {q: dict(sorted(docs.items())) for q, docs in run.to_dict().items()}


def agree(ours, theirs):
    assert set(ours) == set(theirs)
    for q in ours:
        assert ours[q] == pytest.approx(theirs[q], rel=1e-9, abs=1e-12)


@st.composite
def collections(draw):
    """Training and test rankings of two systems, and judgments; lists are empty, short and of unequal lengths."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n_queries, most = draw(st.integers(1, 4)), draw(st.sampled_from([3, 12, 40]))

    def rankings():
        runs = {}
        for name in ("a", "b"):
            runs[name] = {}
            for q in range(n_queries):
                n = int(rng.integers(0, most + 1))
                scores = rng.permutation(1000)[:n] / 8
                runs[name][f"q{q}"] = {f"d{d}": s for d, s in zip(rng.permutation(60)[:n].tolist(), scores.tolist())}
        return runs

    qrels = {
        f"q{q}": {f"d{d}": int(rng.integers(-1, 3)) for d in rng.permutation(60)[: rng.integers(0, 20)].tolist()}
        for q in range(n_queries)
    }
    qrels["q0"]["d0"] = 1
    return rankings(), qrels, rankings()


# --- probabilistic fusion


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25)
@given(collections(), st.integers(1, 30), st.integers(0, 7))
def test_learned_fusion_is_its_definition(method, collection, n_segments, window):
    runs, qrels, test = collection
    candidates, fresh = union_of(runs), union_of(test)
    fuser = ProbabilisticFuser(method, n_segments=n_segments, window=window)
    fuser.fit(candidates, Qrels(qrels).align(candidates.queries))
    expected = reference(method, runs, qrels, test, n_segments=n_segments, window=window)
    agree(fused_scores(fuser.transform(fresh)), expected)


@pytest.mark.parametrize("method", METHODS)
def test_learned_fusion_is_that_of_ranx(method):
    candidates = union_of(RANX["runs"])
    fuser = ProbabilisticFuser(method, n_segments=4, window=2)
    fused = fuser.fit_transform(candidates, Qrels(RANX["qrels"]).align(candidates.queries))
    agree(fused_scores(fused), RANX["fused"][method])


def test_mixed_fusion_is_that_of_ranx_under_its_weights():
    candidates = union_of(RANX["runs"])
    fuser = ProbabilisticFuser("mixed", weights={"a": 0.2, "b": 0.3, "c": 0.5})
    fused = fused_scores(fuser.transform(candidates))
    constant = [q for q, docs in RANX["runs"]["c"].items() if len(docs) == 1]  # 0 in ranx, 1 here
    for q in constant:
        del fused[q]
    agree(fused, {q: docs for q, docs in RANX["fused"]["mixed"].items() if q not in constant})
    same = ScoreFuser("gmnz", gamma=0.5, missing="zero", weights={"a": 0.2, "b": 0.3, "c": 0.5}).transform(candidates)
    assert same.docids == fuser.transform(candidates).docids


def test_mixed_fusion_learns_the_weights_of_the_better_system():
    rng = np.random.default_rng(0)
    good, poor, qrels = {}, {}, {}
    for q in range(30):
        docs = [f"d{i}" for i in rng.permutation(20)]
        qrels[f"q{q}"] = {docs[0]: 1}
        good[f"q{q}"] = {d: 20.0 - i + rng.normal(0, 2) for i, d in enumerate(docs)}
        poor[f"q{q}"] = {d: float(rng.normal()) for d in docs}
    candidates = union_of({"good": good, "poor": poor})
    y = Qrels(qrels).align(candidates.queries)
    fuser = ProbabilisticFuser("mixed").fit(candidates, y)
    assert fuser.weights_["good"] > 0.5 > fuser.weights_["poor"]
    assert fuser.score(candidates, y) >= ProbabilisticFuser("mixed", weights=None).fit(candidates).score(candidates, y)
    assert fuser.estimates_ == {}


def test_mean_average_precision_is_that_of_the_metric():
    candidates = union_of(RANX["runs"])
    fuser = ProbabilisticFuser("mapfuse").fit(candidates, Qrels(RANX["qrels"]).align(candidates.queries))
    for name, rankings in RANX["runs"].items():
        expected = mean_average_precision_score(RANX["qrels"], rankings)
        assert fuser.estimates_[name] == pytest.approx([expected])


def test_ranks_below_the_training_take_the_last_estimate():
    train = union_of({"a": {"q": {"r": 3.0, "s": 2.0, "t": 1.0}}, "b": {"q": {"u": 1.0}}})
    long = union_of({"a": {"p": {f"x{i}": -float(i) for i in range(2000)}}, "b": {"p": {"x5": 1.0}}})
    by_position = ProbabilisticFuser("posfuse").fit(train, [{"r": 1, "t": 1}])
    assert by_position.estimates_["a"].tolist() == [1, 0, 1]
    assert by_position.transform(long).to_dict()["p"]["x1999"] == 1
    for method in METHODS:
        scores = ProbabilisticFuser(method).fit(train, [dict.fromkeys("rstu", 1)]).transform(long).scores
        assert len(scores) == 2000 and np.isfinite(scores).all()
        if method != "bayesfuse":
            assert scores.min() > 0


def test_being_found_never_counts_less_than_not_being_found():
    runs = {"a": {f"q{i}": {f"d{j}": -float(j) for j in range(40)} for i in range(300)}}
    qrels = {q: {"d35": 1} if q == "q0" else {"z": 1} for q in runs["a"]}
    candidates = union_of(runs)
    fuser = ProbabilisticFuser("bayesfuse").fit(candidates, Qrels(qrels).align(candidates.queries))
    assert fuser.estimates_["a"].min() == pytest.approx(math.log(0.001 / 0.999))


def test_queries_without_judgments_teach_nothing():
    runs = {"a": {"q1": {"x": 2.0, "y": 1.0}, "q2": {"y": 1.0, "x": 0.5}}, "b": {"q1": {"x": 1.0}, "q2": {"z": 1.0}}}
    both, one = union_of(runs), union_of({name: {"q1": found["q1"]} for name, found in runs.items()})
    for method in METHODS:
        estimates = ProbabilisticFuser(method).fit(both, [{"x": 1}, {}]).estimates_
        expected = ProbabilisticFuser(method).fit(one, [{"x": 1}]).estimates_
        assert {name: values.tolist() for name, values in estimates.items()} == {
            name: values.tolist() for name, values in expected.items()
        }
    with pytest.raises(ValueError, match="no query has a judgment"):
        ProbabilisticFuser().fit(both, [{}, {}])


def test_grades_below_the_level_are_not_relevant():
    candidates = union_of({"a": {"q": {"x": 2.0, "y": 1.0}}})
    fuser = ProbabilisticFuser("posfuse", relevance_level=2).fit(candidates, [{"x": 1, "y": 2}])
    assert fuser.estimates_["a"].tolist() == [0, 1]


def test_learned_fusers_want_judgments_and_fitting():
    candidates = union_of({"a": {"q": {"x": 1.0}}})
    for method in ("posfuse", "mixed"):
        with pytest.raises(ValueError, match=r"fit\(X, y\)"):
            ProbabilisticFuser(method).fit(candidates)
        with pytest.raises(NotFittedError):
            ProbabilisticFuser(method).transform(candidates)
    with pytest.raises(ValueError, match="y is not aligned"):
        ProbabilisticFuser().fit(candidates, Qrels({"p": {"x": 1}}))
    with pytest.raises(ValueError, match="'method' parameter"):
        ProbabilisticFuser("nofuse").fit(candidates, [{"x": 1}])
    fuser = ProbabilisticFuser("posfuse").fit(candidates, {"q": {"x": 1}})
    assert clone(fuser).get_params() == fuser.get_params()
    with pytest.raises(ValueError, match="fitted on"):
        fuser.transform(union_of({"b": {"q": {"x": 1.0}}}))


def test_estimates_are_those_of_the_parameters_at_fit():
    candidates, y = union_of({"a": {"q": {"x": 2.0, "y": 1.0}}, "b": {"q": {"y": 1.0}}}), [{"x": 1}]
    for method, changes in (
        ("posfuse", {"method": "mapfuse", "relevance_level": 2}),
        ("probfuse", {"method": "mixed", "n_segments": 3}),
        ("mixed", {"method": "posfuse", "norm": "zmuv", "metric": "map"}),
    ):
        for name, value in changes.items():
            fuser = ProbabilisticFuser(method).fit(candidates, y).set_params(**{name: value})
            with pytest.raises(ValueError, match=f"{name}= was changed after fit: fit again"):
                fuser.transform(candidates)
    for method, changes in (
        ("slidefuse", {"window": 0}),
        ("segfuse", {"norm": "zmuv"}),
        ("posfuse", {"metric": "map"}),
    ):
        fuser = ProbabilisticFuser(method).fit(candidates, y).set_params(**changes)
        again = ProbabilisticFuser(method, **changes).fit(candidates, y)
        assert fuser.transform(candidates).to_dict() == again.transform(candidates).to_dict()


def test_empty_lists_and_systems_that_find_nothing():
    runs = {"a": {"q1": {"x": 1.0}, "q2": {}}, "b": {"q1": {}, "q2": {}}}
    for method in METHODS:
        fused = ProbabilisticFuser(method).fit_transform(union_of(runs), [{"x": 1}, {"x": 1}])
        assert fused.docids == [["x"], []]


@pytest.mark.parametrize("method", [*METHODS, "mixed"])
def test_learned_fusers_keep_the_contracts_of_estimators(method):
    candidates = union_of(RANX["runs"])
    y = Qrels(RANX["qrels"]).align(candidates.queries)
    fuser = ProbabilisticFuser(method, n_segments=4, window=2).fit(candidates, y)
    fused = fuser.predict(candidates)
    assert fused.columns == candidates.columns and fused.has_order and fused.qids.tolist() == candidates.qids.tolist()
    again = pickle.loads(pickle.dumps(fuser))
    swapped = union_of({name: RANX["runs"][name] for name in "cab"})
    for other in (
        fuser.transform(candidates),
        again.transform(candidates),
        clone(fuser).fit_transform(candidates, y),
        clone(fuser).fit_transform(candidates, [RANX["qrels"][q] for q in candidates.qids]),
        np.concatenate([fuser.predict(candidates[i : i + 1]) for i in range(len(candidates))]),
    ):
        assert other.docids == fused.docids and other.scores.tobytes() == fused.scores.tobytes()
    other = clone(fuser).set_params(weights=getattr(fuser, "weights_", "learn")).fit(swapped, y).transform(swapped)
    assert fused_scores(other) == fused_scores(fused)  # to the last bit; without a corpus, rows are as they come
    chosen = np.array([3, 0, 3])
    assert fuser.predict(candidates[chosen]).docids == fused[chosen].docids
    assert fuser.set_params(k=3).predict(candidates).docids == [docids[:3] for docids in fused.docids]
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(lambda _: again.predict(candidates), range(8)):
            assert other.docids == fused.docids


# --- weights


@pytest.mark.parametrize(("n", "step", "expected"), [(1, 0.1, 1), (2, 0.1, 11), (3, 0.1, 66), (4, 0.1, 286), (3, 1, 3)])
def test_no_point_of_the_simplex_is_lost(n, step, expected):
    names = [f"s{i}" for i in range(n)]
    grid = simplex_grid(names, step)
    units = {tuple(round(weights[name] / step) for name in names) for weights in grid}
    assert len(grid) == len(units) == expected
    assert all(sum(point) == round(1 / step) for point in units)
    assert all(list(weights) == names for weights in grid)


@pytest.mark.parametrize("step", [0, -0.1, 0.3, 1.5, "0.1", True])
def test_steps_divide_one(step):
    with pytest.raises(ValueError, match="step"):
        simplex_grid(["a", "b"], step)


def test_names_of_a_grid_differ():
    with pytest.raises(ValueError, match="differ"):
        simplex_grid(["a", "a"])
    with pytest.raises(TypeError, match="one str"):
        simplex_grid("ab")


def noisy(n_systems, n_queries=25, seed=0):
    """Candidates of systems of which each is better than the next, and judgments."""
    rng = np.random.default_rng(seed)
    runs, qrels = {f"s{i}": {} for i in range(n_systems)}, {}
    for q in range(n_queries):
        truth = rng.permutation(12).astype(float)
        qrels[f"q{q}"] = {f"d{d}": int(truth[d] - 8) for d in range(12) if truth[d] > 8}
        for i, found in enumerate(runs.values()):
            found[f"q{q}"] = {f"d{d}": truth[d] + rng.normal(0, 2 + 4 * i) for d in range(12)}
    candidates = union_of(runs)
    return candidates, Qrels(qrels).align(candidates.queries)


def weighted(candidates, names):
    scores = np.nan_to_num([candidates.column(name) for name in names])
    return lambda weights: np.asarray(weights) @ scores


@pytest.mark.parametrize("metric", ["ndcg@10", "map", "recall@3", ndcg_score])
def test_learned_weights_are_the_best_of_the_grid(metric):
    candidates, y = noisy(3)
    score = weighted(candidates, candidates.columns)
    weights, value = learn_weights(score, candidates.columns, candidates, y, metric=metric, step=0.25)
    measure = metric_from_name(metric) if isinstance(metric, str) else metric
    values = [
        measure(y, candidates.reorder(score(list(point.values())))) for point in simplex_grid(candidates.columns, 0.25)
    ]
    assert value == pytest.approx(max(values))
    assert measure(y, candidates.reorder(score(list(weights.values())))) == pytest.approx(value)


def test_coordinate_search_climbs_where_a_grid_is_too_large():
    candidates, y = noisy(6)
    score = weighted(candidates, candidates.columns)
    weights, value = learn_weights(score, candidates.columns, candidates, y)
    even = [1 / 6] * 6
    assert sum(weights.values()) == pytest.approx(1)
    assert value >= ndcg_score(y, candidates.reorder(score(even)), k=10)
    small, y = noisy(2)
    score = weighted(small, small.columns)
    options = {"metric": "ndcg@10", "step": 0.1}
    whole = learn_weights(score, small.columns, small, y, search="simplex", **options)
    climbed = learn_weights(score, small.columns, small, y, search="coordinate", **options)
    assert climbed[1] <= whole[1] + 1e-12


def test_of_equal_weights_the_most_even_are_learned():
    candidates = union_of({"a": {"q": {"x": 2.0, "y": 1.0}}, "b": {"q": {"x": 5.0, "y": 1.0}}})
    weights, value = learn_weights(weighted(candidates, ("a", "b")), ("a", "b"), candidates, [{"x": 1}])
    assert (weights, value) == ({"a": 0.5, "b": 0.5}, 1.0)


@pytest.mark.parametrize("fuser", [ReciprocalRankFuser(weights="learn"), ScoreFuser(weights="learn", metric="map")])
def test_fusers_learn_weights_in_fit_and_only_there(fuser):
    candidates, y = noisy(2, n_queries=40)
    train, test = np.arange(20), np.arange(20, 40)
    fuser = clone(fuser).fit(candidates[train], y[train])
    learned = dict(fuser.weights_)
    fixed = clone(fuser).set_params(weights=learned)
    assert fuser.predict(candidates[test]).docids == fixed.fit(candidates[test]).predict(candidates[test]).docids
    assert fuser.weights_ == learned
    best = max(
        metric_from_name(fuser.metric)(
            y[train], clone(fuser).set_params(weights=point).fit_transform(candidates[train])
        )
        for point in simplex_grid(candidates.columns)
    )
    value = metric_from_name(fuser.metric)(y[train], fuser.predict(candidates[train]))
    assert value == pytest.approx(best)


def test_weights_of_zero_leave_out_what_only_that_system_found():
    candidates = union_of({"a": {"q": {"x": 1.0}}, "b": {"q": {"y": 1.0}}})
    fuser = ReciprocalRankFuser(weights="learn").fit(candidates, [{"x": 1}])
    fused = ReciprocalRankFuser(weights={"a": 1, "b": 0}).transform(candidates)
    assert fused.docids == [["x"]]
    assert fuser.score(candidates, [{"x": 1}]) == 1


# --- columns of the corpus


@pytest.fixture
def clicks():
    documents = [
        {"_id": "a", "text": "heat", "clicks": 5, "price": 2.5, "day": np.datetime64("2024-01-02"), "new": True},
        {"_id": "b", "text": "heat", "clicks": None, "price": 0.5, "day": np.datetime64("2024-01-01"), "new": False},
        {"_id": "c", "text": "cold", "clicks": 90, "price": 9.0, "day": None, "new": False},
    ]
    corpus = Corpus(documents)
    queries = Queries({"q1": "heat", "q2": "cold"})
    run = Run({"q1": {"a": 1.0, "b": 2.0}, "q2": {"c": 1.0}}, queries=queries, corpus=corpus, name="bm25")
    return corpus, run


def test_a_column_becomes_a_score_column(clicks):
    corpus, run = clicks
    scored = ColumnScorer("clicks").fit_transform(run)
    assert scored.columns == ("bm25", "clicks") and scored.docids == run.docids
    assert scored.column("clicks").tolist() == pytest.approx([np.nan, 5, 90], nan_ok=True)
    assert scored.column_ranks("clicks").tolist() == pytest.approx([np.nan, 1, 1], nan_ok=True)
    assert scored.column("bm25").tolist() == [2, 1, 1] and scored.column_ranks("bm25").tolist() == [1, 2, 1]
    assert run.columns == ()
    assert ReciprocalRankFuser().transform(scored).docids == [["a", "b"], ["c"]]


def test_values_are_transformed_and_turned_round(clicks):
    _, run = clicks
    logs = ColumnScorer("clicks", function="log1p", name="popularity").fit(run).transform(run)
    assert logs.column("popularity").tolist() == pytest.approx([np.nan, math.log(6), math.log(91)], nan_ok=True)
    cheap = ColumnScorer("price", higher_is_better=False).transform(run)
    assert cheap.column("price").tolist() == [-0.5, -2.5, -9]
    squares = ColumnScorer("price", function=np.square).transform(run)
    assert squares.column("price").tolist() == [0.25, 6.25, 81]
    days = ColumnScorer("day").transform(run).column("day")
    assert days[1] - days[0] == 86400 and np.isnan(days[2])
    assert ColumnScorer("new").transform(run).column("new").tolist() == [0, 1, 0]


def test_a_column_scorer_is_an_estimator(clicks):
    _, run = clicks
    scorer = ColumnScorer("clicks", function="log1p")
    assert scorer.get_params() == {"column": "clicks", "function": "log1p", "name": None, "higher_is_better": True}
    copy = clone(scorer)
    assert copy.get_params() == scorer.get_params()
    copy.set_params(function=None)
    assert copy.transform(run).column("clicks")[1] == 5
    assert "log1p" in repr(scorer)


def test_columns_that_cannot_be_scores_are_refused(clicks):
    corpus, run = clicks
    with pytest.raises(TypeError, match="'text' of the corpus does not hold numbers"):
        ColumnScorer("text").fit(run)
    with pytest.raises(KeyError, match="no column 'likes'"):
        ColumnScorer("likes").fit(run)
    with pytest.raises(ValueError, match="function returned"):
        ColumnScorer("price", function=lambda values: np.log(values - 2.5)).fit(run)
    with pytest.raises(ValueError, match="one value for each"):
        ColumnScorer("price", function=np.sum).fit(run)
    with pytest.raises(ValueError, match="already"):
        ColumnScorer("price", name="bm25").transform(run)
    with pytest.raises(ValueError, match=r"cannot have the name 'score'.*ColumnScorer by name="):
        ColumnScorer("price", name="score").transform(run)
    with pytest.raises(ValueError, match="no corpus"):
        ColumnScorer("price").transform(Run({"q": {"a": 1.0}}))
    with pytest.raises(TypeError, match="takes a Run"):
        ColumnScorer("price").transform(["heat"])
    with pytest.raises(ValueError, match="'function' parameter"):
        ColumnScorer("price", function="sqrt").fit(run)
