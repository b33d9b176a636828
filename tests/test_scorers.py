"""Scorers: metrics as scikit-learn's `scoring`, by object and by name."""

import pickle
import subprocess
import sys
import warnings
from copy import deepcopy
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (makes HalvingGridSearchCV importable)
from sklearn.metrics import check_scoring
from sklearn.metrics import get_scorer as sklearn_get_scorer
from sklearn.metrics import get_scorer_names as sklearn_names
from sklearn.metrics._scorer import _BaseScorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.pipeline import make_pipeline

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.data._corpus import TRAVELLERS
from sklrank.metrics import (
    compare,
    evaluate,
    get_scorer,
    get_scorer_names,
    make_rank_scorer,
    mean_average_precision_score,
    metric_from_name,
    ndcg_score,
    recall_at_k_score,
    register_scorers,
    unregister_scorers,
)
from sklrank.metrics._scorer import _WARNED
from sklrank.retrievers import BM25Retriever

WORDS = "heat flow wing shock plate drag lift wave layer cone jet nose".split()


def make_collection(n_documents=60, n_queries=24, seed=0):
    """Random documents and queries; relevant is what holds the first word of a query often."""
    rng = np.random.default_rng(seed)
    documents = [" ".join(rng.choice(WORDS, size=rng.integers(3, 30))) for _ in range(n_documents)]
    queries = [" ".join(rng.choice(WORDS, size=3, replace=False)) for _ in range(n_queries)]
    judgments = [
        {str(d): min(text.split().count(query.split()[0]), 3) for d, text in enumerate(documents) if d % 3 == q % 3}
        for q, query in enumerate(queries)
    ]
    return Corpus(documents), queries, judgments


@pytest.fixture(scope="module")
def collection():
    return make_collection()


@pytest.fixture
def registered():
    register_scorers()
    yield
    unregister_scorers()


class CountingRetriever(BM25Retriever):
    """Counts the searches of all its copies in this process."""

    calls = 0

    def predict(self, X, filter=None):
        CountingRetriever.calls += 1
        return super().predict(X, filter=filter)


# --- what a scorer gives
@pytest.mark.parametrize("name", get_scorer_names())
def test_every_listed_scorer_gives_what_evaluate_gives(collection, name):
    corpus, queries, judgments = collection
    retriever = BM25Retriever(corpus, k=1000).fit(queries)
    if name.startswith("alpha_ndcg"):
        frame = pd.DataFrame(
            [(str(q), d, g, "a") for q, one in enumerate(judgments) for d, g in one.items()],
            columns=["qid", "docid", "grade", "subtopic"],
        )
        y = Qrels.from_frame(frame, query="qid", doc="docid", grade="grade", subtopic="subtopic")
        queries = Queries({str(q): text for q, text in enumerate(queries)})
    else:
        y = judgments
    expected = evaluate(y, retriever.predict(queries), name)[name]
    assert get_scorer(name)(retriever, queries, y) == expected


def test_scorers_are_scikit_learns_own():
    assert isinstance(get_scorer("ndcg@10"), _BaseScorer)
    assert repr(get_scorer("ndcg@10")) == "make_scorer(ndcg@10, response_method=('predict', 'transform'))"
    assert repr(make_rank_scorer("ndcg", k=10)) == "make_scorer(ndcg(k=10), response_method=('predict', 'transform'))"


def test_a_scorer_comes_back_as_it_is():
    scorer = get_scorer("map")
    assert get_scorer(scorer) is scorer
    assert isinstance(get_scorer(metric_from_name("map")), _BaseScorer)


def test_unlisted_names_do_as_well(collection):
    corpus, queries, judgments = collection
    retriever = BM25Retriever(corpus).fit(queries)
    run = retriever.predict(queries)
    assert get_scorer("ndcg(gain=exponential)@37")(retriever, queries, judgments) == ndcg_score(
        judgments, run, k=37, gain="exponential"
    )


def test_unknown_names_are_errors_with_a_hint():
    with pytest.raises(ValueError, match="ndgc.*Did you mean ndcg"):
        get_scorer("ndgc@10")
    with pytest.raises(TypeError, match="'ndcg@10'"):
        get_scorer(10)


def test_parameters_of_functions_and_of_names_agree(collection):
    corpus, queries, judgments = collection
    retriever = BM25Retriever(corpus).fit(queries)
    args = retriever, queries, judgments
    expected = ndcg_score(judgments, retriever.predict(queries), k=5, gain="exponential")
    assert make_rank_scorer(ndcg_score, k=5, gain="exponential")(*args) == expected
    assert make_rank_scorer("ndcg", k=5, gain="exponential")(*args) == expected
    assert make_rank_scorer("ndcg@3", k=5, gain=[0, 1, 3, 7])(*args) == expected
    by_level = mean_average_precision_score(judgments, retriever.predict(queries), relevance_level=2, empty="drop")
    assert make_rank_scorer("map", relevance_level=2, empty="drop")(*args) == by_level


def test_parameters_of_names_are_checked():
    with pytest.raises(TypeError, match="ndcg has no parameter 'relevance_level'; it has k, gain, judged_only, empty"):
        make_rank_scorer("ndcg", relevance_level=2)
    with pytest.raises(ValueError, match="k must be at least 1"):
        make_rank_scorer("ndcg", k=0)
    with pytest.raises(ValueError, match="gain must be one of linear, exponential"):
        make_rank_scorer("ndcg", gain="cubic")


def test_parameters_of_functions_are_checked_at_once():
    with pytest.raises(TypeError, match="ndcg_score has no parameter 'kk'; it has k, gain"):
        make_rank_scorer(ndcg_score, kk=10)
    with pytest.raises(TypeError, match="first_is_relevant has no parameter 'y_pred'; it has none"):
        make_rank_scorer(first_is_relevant, y_pred=1)
    make_rank_scorer(lambda y_true, y_pred, **params: 0.0, anything=1)


def test_what_should_be_small_counts_negative(collection):
    corpus, queries, judgments = collection
    retriever = BM25Retriever(corpus).fit(queries)
    small = make_rank_scorer("unj@10", greater_is_better=False)(retriever, queries, judgments)
    assert small == -get_scorer("unj@10")(retriever, queries, judgments) < 0


def first_is_relevant(y_true, y_pred):
    return float(np.mean([bool(docs and y.get(docs[0], 0)) for y, docs in zip(y_true, y_pred.docids)]))


def test_a_function_of_the_user(collection):
    corpus, queries, judgments = collection
    scores = cross_validate(
        BM25Retriever(corpus),
        queries,
        judgments,
        cv=3,
        scoring={"own": make_rank_scorer(first_is_relevant), "s": get_scorer("success@1")},
    )
    assert scores["test_own"] == pytest.approx(scores["test_s"])


def test_scorers_can_be_pickled(collection):
    corpus, queries, judgments = collection
    retriever = BM25Retriever(corpus).fit(queries)
    for scorer in (get_scorer("ndcg(gain=exponential)@10"), make_rank_scorer(recall_at_k_score, k=5)):
        for copied in (pickle.loads(pickle.dumps(scorer)), deepcopy(scorer)):
            assert copied(retriever, queries, judgments) == scorer(retriever, queries, judgments)
            assert repr(copied) == repr(scorer)


# --- judgments in every shape that scikit-learn splits
def as_object_array(dicts):
    array = np.empty(len(dicts), dtype=object)
    array[:] = dicts
    return array


SHAPES = {
    "list": lambda judgments: judgments,
    "tuple": tuple,
    "object array": as_object_array,
    "Series": lambda judgments: pd.Series(judgments, index=[f"q{i}" for i in range(len(judgments))]),
    "Qrels without ids": Qrels,
    "Qrels with ids": lambda judgments: Qrels({f"q{i}": one for i, one in enumerate(judgments)}),
}
ASKED = {
    "list": lambda queries: queries,
    "str array": np.array,
    "object array": lambda queries: np.array(queries, dtype=object),
    "Series": lambda queries: pd.Series(queries, index=[f"q{i}" for i in range(len(queries))]),
    "DataFrame": lambda queries: pd.DataFrame({"qid": [f"q{i}" for i in range(len(queries))], "text": queries}),
    "Queries without ids": Queries,
    "Queries with ids": lambda queries: Queries({f"q{i}": text for i, text in enumerate(queries)}),
}


@pytest.mark.parametrize("x", ASKED)
@pytest.mark.parametrize("y", SHAPES)
def test_queries_and_judgments_of_any_shape(collection, x, y):
    corpus, queries, judgments = collection
    cv = KFold(4, shuffle=True, random_state=0)
    expected = cross_val_score(BM25Retriever(corpus), queries, judgments, cv=cv, scoring=get_scorer("ndcg@10"))
    got = cross_val_score(
        BM25Retriever(corpus), ASKED[x](queries), SHAPES[y](judgments), cv=cv, scoring=get_scorer("ndcg@10")
    )
    assert (got == expected).all()


@pytest.fixture(scope="module")
def with_ids(collection):
    """A retriever, queries and judgments with ids, and the judgments in another order."""
    corpus, queries, judgments = collection
    queries = Queries({f"q{i}": text for i, text in enumerate(queries)})
    y = Qrels({f"q{i}": one for i, one in enumerate(judgments)})
    return BM25Retriever(corpus), queries, y, y[np.random.default_rng(0).permutation(len(y))]


def test_judgments_in_another_order_are_an_error(with_ids):
    retriever, queries, y, permuted = with_ids
    scorer, own = get_scorer("ndcg@10"), make_rank_scorer(first_is_relevant)
    fitted = retriever.fit(queries)
    for score in (scorer, own, lambda fitted, X, y: fitted.score(X, y)):
        for wrong in (permuted, y[:-1]):
            with pytest.raises(ValueError, match=r"y is not aligned with X: use qrels.align\(queries\)"):
                score(fitted, queries, wrong)
    with pytest.raises(ValueError, match="query 0 is 'q0' in X and 'q1' in y"):
        scorer(fitted, queries[:2], y[[1, 0]])
    with pytest.raises(ValueError, match="y is not aligned with X"):
        cross_val_score(retriever, queries, permuted, scoring=scorer, cv=3, error_score="raise")
    with pytest.raises(ValueError, match="y is not aligned with X"):
        permutation_test_score(retriever, queries, y, scoring=scorer, cv=3, n_permutations=2, random_state=0)
    expected = cross_val_score(retriever, queries, y, scoring=scorer, cv=3)
    assert (cross_val_score(retriever, queries, permuted.align(queries), scoring=scorer, cv=3) == expected).all()


def test_repeated_queries_are_aligned_with_their_judgments(with_ids):
    retriever, queries, y, _ = with_ids
    sample = np.random.default_rng(0).integers(0, len(y), 40)
    each = ndcg_score(y, retriever.fit(queries).predict(queries), k=10, average=None)
    assert get_scorer("ndcg@10")(retriever, queries[sample], y[sample]) == pytest.approx(each[sample].mean())


# --- one search a fold
@pytest.mark.parametrize("names", [["ndcg@10"], ["ndcg@10", "map", "mrr", "recall@100"]])
def test_a_dict_of_metrics_searches_each_fold_once(collection, names):
    corpus, queries, judgments = collection
    CountingRetriever.calls = 0
    cross_validate(
        CountingRetriever(corpus), queries, judgments, cv=3, scoring={name: get_scorer(name) for name in names}
    )
    assert CountingRetriever.calls == 3


def test_a_search_by_several_metrics_searches_each_fold_once(collection):
    corpus, queries, judgments = collection
    CountingRetriever.calls = 0
    scoring = {"ndcg": get_scorer("ndcg@10"), "map": get_scorer("map"), "own": make_rank_scorer(ndcg_score, k=3)}
    GridSearchCV(CountingRetriever(corpus), {"b": [0.1, 0.9]}, cv=3, scoring=scoring, refit="map").fit(
        queries, judgments
    )
    assert CountingRetriever.calls == 6


# --- weights
def test_weights_of_queries(collection):
    corpus, queries, judgments = collection
    retriever = BM25Retriever(corpus).fit(queries)
    weights = np.arange(len(queries), dtype=float)
    per_query = ndcg_score(judgments, retriever.predict(queries), k=10, average=None)
    got = get_scorer("ndcg@10")(retriever, queries, judgments, sample_weight=weights)
    assert got == pytest.approx(np.average(per_query, weights=weights))
    assert retriever.score(queries, judgments, sample_weight=weights) == got


@pytest.mark.parametrize("multiple", [False, True])
@pytest.mark.parametrize("search", [False, True])
def test_weights_are_routed(collection, multiple, search):
    corpus, queries, judgments = collection
    weights = np.random.default_rng(0).random(len(queries))
    folds = list(KFold(3).split(queries))
    retriever = BM25Retriever(corpus)
    per_query = ndcg_score(judgments, retriever.fit(queries).predict(queries), k=10, average=None)
    expected = [np.average(per_query[test], weights=weights[test]) for _, test in folds]
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = get_scorer("ndcg@10").set_score_request(sample_weight=True)
        scoring = (
            {"ndcg": scorer, "map": get_scorer("map").set_score_request(sample_weight=False)} if multiple else scorer
        )
        name = "test_ndcg" if multiple else "test_score"
        if search:
            grid = GridSearchCV(retriever, {"k1": [1.2]}, cv=folds, scoring=scoring, refit="ndcg" if multiple else True)
            grid.fit(queries, judgments, sample_weight=weights)
            got = [grid.cv_results_[f"split{i}_{name}"][0] for i in range(3)]
        else:
            got = cross_validate(
                retriever, queries, judgments, cv=folds, scoring=scoring, params={"sample_weight": weights}
            )[name]
    assert got == pytest.approx(expected)


def test_weights_that_nobody_asked_for_are_an_error_under_routing(collection):
    corpus, queries, judgments = collection
    refused = (UnsetMetadataPassedError, TypeError)  # TypeError: scikit-learn 1.8
    with sklearn.config_context(enable_metadata_routing=True), pytest.raises(refused, match="sample_weight"):
        cross_validate(
            BM25Retriever(corpus), queries, judgments, scoring=get_scorer("map"), params={"sample_weight": queries}
        )


# --- cutoffs
def test_a_cutoff_below_the_end_of_the_rankings_warns_and_names_both(collection):
    corpus, queries, judgments = collection
    retriever = BM25Retriever(corpus, k=7).fit(queries)
    for scorer in (
        get_scorer("recall@20"),
        make_rank_scorer("recall", k=20),
        make_rank_scorer(recall_at_k_score, k=20),
    ):
        with pytest.warns(UserWarning, match="first 20 documents.*k=7"):
            scorer(retriever, queries, judgments)


def test_a_default_cutoff_of_a_function_counts(collection):
    corpus, queries, judgments = collection

    def own(y_true, y_pred, k=20):
        return 0.0

    with pytest.warns(UserWarning, match="own measures the first 20 documents.*k=7"):
        make_rank_scorer(own)(BM25Retriever(corpus, k=7).fit(queries), queries, judgments)


@pytest.mark.parametrize(
    ("name", "k"), [("ndcg@7", 7), ("ndcg@7", 8), ("map", 7), ("rbp", 7), ("ndcg@1000", 60), ("iprec@0.1", 7)]
)
def test_rankings_that_are_deep_enough_do_not_warn(collection, name, k):
    corpus, queries, judgments = collection
    get_scorer(name)(BM25Retriever(corpus, k=k).fit(queries), queries, judgments)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_search_warns_once(collection, registered, by_name):
    corpus, queries, judgments = collection
    for _ in range(2):  # the second search warns again
        scoring = "ndcg@10" if by_name else get_scorer("ndcg@10")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            GridSearchCV(BM25Retriever(corpus, k=5), {"b": [0.1, 0.5]}, cv=4, scoring=scoring).fit(queries, judgments)
        assert len([w for w in caught if "k=5" in str(w.message)]) == 1


def test_what_was_warned_of_is_remembered_within_bounds(collection, monkeypatch):
    corpus, queries, judgments = collection
    monkeypatch.setattr("sklrank.metrics._scorer._MOST_WARNED", 3)
    retriever = BM25Retriever(corpus, k=5).fit(queries)
    for _ in range(5):
        with pytest.warns(UserWarning, match="k=5"):
            get_scorer("ndcg@10")(retriever, queries, judgments)
    assert len(_WARNED) == 3


def test_a_warning_that_is_an_error_stays_one(collection):
    corpus, queries, judgments = collection
    scorer, retriever = get_scorer("ndcg@10"), BM25Retriever(corpus, k=5).fit(queries)
    for _ in range(2):
        with pytest.raises(UserWarning, match="k=5"):
            scorer(retriever, queries, judgments)


# --- names in scikit-learn
def test_names_are_unknown_before_and_after(collection):
    corpus, queries, judgments = collection
    for _ in range(2):
        assert "ndcg@10" not in sklearn_names()
        with pytest.raises(ValueError, match="'ndcg@10'"):
            sklearn_get_scorer("ndcg@10")
        with pytest.raises(ValueError, match="scoring"):
            GridSearchCV(BM25Retriever(corpus), {}, scoring="ndcg@10").fit(queries, judgments)
        register_scorers()
        unregister_scorers()


def test_registering_twice_and_undoing_once_leaves_scikit_learn_as_it_was():
    from sklearn.metrics import _scorer
    from sklearn.model_selection import cross_validate

    table, options = _scorer._SCORERS, GridSearchCV._parameter_constraints["scoring"][0]
    names, listed = options.options, dict(table)
    register_scorers()
    extended = _scorer._SCORERS
    register_scorers()
    assert _scorer._SCORERS is extended
    assert cross_validate._skl_parameter_constraints["scoring"][0].options is not names
    assert len(TRAVELLERS) == 1
    unregister_scorers()
    unregister_scorers()
    assert _scorer._SCORERS is table == listed
    assert options.options is names
    assert not TRAVELLERS


@pytest.mark.parametrize("name", ["ndcg@10", "ndcg@37", "map(rel=2)@100", "recall@100", "P_5"])
def test_names_do_in_every_function_with_scoring(collection, registered, name):
    corpus, queries, judgments = collection
    retriever, grid = BM25Retriever(corpus), {"b": [0.2, 0.8]}
    scorer = get_scorer(name)
    for search in (GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV):
        options = {"n_iter": 2, "random_state": 0} if search is RandomizedSearchCV else {}
        options |= {"random_state": 0, "min_resources": 12} if search is HalvingGridSearchCV else {}
        one, other = (
            search(retriever, grid, scoring=scoring, cv=3, **options).fit(queries, judgments)
            for scoring in (name, scorer)
        )
        assert (one.cv_results_["mean_test_score"] == other.cv_results_["mean_test_score"]).all()
        assert one.score(queries, judgments) == other.score(queries, judgments)
    for function, options in (
        (cross_val_score, {}),
        (learning_curve, {"train_sizes": [0.5, 1.0]}),
        (validation_curve, {"param_name": "b", "param_range": [0.1, 0.9]}),
        (permutation_test_score, {"n_permutations": 3, "random_state": 0}),
    ):
        one, other = (
            function(retriever, queries, judgments, scoring=scoring, cv=3, **options) for scoring in (name, scorer)
        )
        for a, b in zip(one, other):
            assert np.array_equal(a, b)
    for scoring in ([name, "mrr"], (name, "mrr"), {"a": name}):
        key = "test_a" if isinstance(scoring, dict) else f"test_{name}"
        got = cross_validate(retriever, queries, judgments, scoring=scoring, cv=3)[key]
        assert (got == cross_val_score(retriever, queries, judgments, scoring=scorer, cv=3)).all()
    assert check_scoring(retriever, name)(retriever.fit(queries), queries, judgments) == scorer(
        retriever, queries, judgments
    )


def test_listed_names_are_listed_by_scikit_learn(registered):
    assert set(get_scorer_names()) <= set(sklearn_names())
    assert len(sklearn_names()) == len(set(sklearn_names()))


def test_names_of_scikit_learn_keep_their_meaning(registered):
    assert "accuracy" in repr(sklearn_get_scorer("accuracy"))
    assert "recall_score" in repr(sklearn_get_scorer("recall"))
    with pytest.raises(ValueError, match="not a valid scoring value"):
        sklearn_get_scorer("ndgc@10")
    with pytest.raises(ValueError, match="scoring"):
        GridSearchCV(BM25Retriever(), {}, scoring="ndgc@10").fit(["a"], [{}])


def test_what_is_imported_later_knows_the_names_and_forgets_them():
    code = """
import sys
from sklrank.metrics import register_scorers, unregister_scorers
register_scorers()
assert "sklearn.feature_selection._sequential" not in sys.modules
from sklearn.feature_selection import SequentialFeatureSelector
options = lambda: SequentialFeatureSelector._parameter_constraints["scoring"][1].options
print("ndcg@10" in options(), "ndcg@37" in options())
register_scorers()
print("ndcg@37" in options())
unregister_scorers()
print("ndcg@10" in options(), "ndcg@37" in options(), "accuracy" in options())
register_scorers()
from sklearn.inspection import permutation_importance
options = lambda: permutation_importance._skl_parameter_constraints["scoring"][0].options
unregister_scorers()
print("ndcg@10" in options(), "recall" in options())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == "True False True False False True False True".split(), done.stderr


def broken_table(monkeypatch):
    monkeypatch.delattr("sklearn.metrics._scorer._SCORERS")


def broken_functions(monkeypatch):
    monkeypatch.delattr(learning_curve, "_skl_parameter_constraints")


def broken_searches(monkeypatch):
    monkeypatch.setitem(GridSearchCV._parameter_constraints, "scoring", [str, callable, None])


@pytest.mark.parametrize("break_it", [broken_table, broken_functions, broken_searches])
def test_a_changed_scikit_learn_is_a_clear_error_and_nothing_changes(monkeypatch, break_it):
    options = cross_validate._skl_parameter_constraints["scoring"][0]
    before = options.options
    retriever = BM25Retriever(["heat"])
    register_scorers()
    pickled = pickle.dumps(retriever)
    unregister_scorers()
    break_it(monkeypatch)
    with pytest.raises(RuntimeError, match=rf"scikit-learn {sklearn.__version__} keeps.*get_scorer\('ndcg@10'\)"):
        register_scorers()
    assert options.options is before
    assert not TRAVELLERS
    with pytest.warns(UserWarning, match="cannot be registered"):  # and what was pickled still arrives
        assert pickle.loads(pickled).corpus == ["heat"]


# --- names in other processes
ARRIVE = """
import pickle, sys
from sklearn.metrics import get_scorer_names
for path in sys.argv[1:]:
    value = pickle.load(open(path, "rb"))
    print("ndcg@10" in get_scorer_names(), "_travellers" in vars(value))
    if "sklrank.metrics" in sys.modules:
        sys.modules["sklrank.metrics"].unregister_scorers()
"""


@pytest.mark.parametrize("register", [False, True])
def test_unpickling_registers_where_the_names_were_registered(tmp_path, register):
    corpus = Corpus(["heat flows"])
    values = {"corpus": corpus, "retriever": BM25Retriever(), "pipeline": make_pipeline(BM25Retriever(corpus))}
    if register:
        register_scorers()
    try:
        for name, value in values.items():
            (tmp_path / name).write_bytes(pickle.dumps(value))
    finally:
        unregister_scorers()
    paths = [str(tmp_path / name) for name in values]
    done = subprocess.run([sys.executable, "-c", ARRIVE, *paths], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(register), "False"] * 3, done.stderr


def test_nested_searches_in_workers_know_the_names(collection, registered):
    corpus, queries, judgments = collection
    inner = GridSearchCV(BM25Retriever(corpus), {"b": [0.2, 0.8]}, scoring="ndcg@10", cv=2)
    alone = cross_validate(inner, queries, judgments, scoring=["ndcg@10", "map(rel=2)@37"], cv=3)
    nested = cross_validate(inner, queries, judgments, scoring=["ndcg@10", "map(rel=2)@37"], cv=3, n_jobs=2)
    for name in ("test_ndcg@10", "test_map(rel=2)@37"):
        assert not np.isnan(nested[name]).any()
        assert (nested[name] == alone[name]).all()


# --- estimators that rank by transform
class Backwards(BaseEstimator):
    """A reranker that turns rankings round."""

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        return X.reorder(-X.scores)

    def predict(self, X):
        return self.transform(X)


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("kind", ["one", "list", "dict"])
def test_a_search_scores_passthrough_by_transform(collection, registered, by_name, routing, kind):
    corpus, queries, judgments = collection
    pipeline = make_pipeline(BM25Retriever(corpus), Backwards())
    alone = cross_val_score(BM25Retriever(corpus), queries, judgments, cv=3, scoring=get_scorer("ndcg@10")).mean()
    names = ["ndcg@10", "map"]
    scoring = names if by_name else [get_scorer(name) for name in names]
    scoring = {"one": scoring[0], "list": names, "dict": dict(zip(names, scoring))}[kind]  # a list is one of names
    grid = {"backwards": ["passthrough", Backwards()]}
    with sklearn.config_context(enable_metadata_routing=routing):
        refit = True if kind == "one" else "ndcg@10"
        search = GridSearchCV(pipeline, grid, scoring=scoring, refit=refit, cv=3).fit(queries, judgments)
    means = search.cv_results_["mean_test_score" if kind == "one" else "mean_test_ndcg@10"]
    assert means[0] == pytest.approx(alone) and means[0] > means[1]
    assert search.best_params_ == {"backwards": "passthrough"}
    if kind == "one":
        assert search.score(queries, judgments) > 0


def test_several_metrics_transform_each_fold_once(collection):
    corpus, queries, judgments = collection
    CountingTransform.calls = 0
    pipeline = make_pipeline(CountingTransform(corpus), "passthrough")
    scoring = {name: get_scorer(name) for name in ("ndcg@10", "map", "mrr")}
    scores = cross_validate(pipeline, queries, judgments, cv=3, scoring=scoring, error_score="raise")
    assert CountingTransform.calls == 3 + 3  # one in each fit, and one for all metrics
    assert not np.isnan(scores["test_map"]).any()


class CountingTransform(BM25Retriever):
    calls = 0

    def transform(self, X, filter=None):
        CountingTransform.calls += 1
        return super().transform(X, filter=filter)


def test_what_neither_predicts_nor_transforms_is_an_error(collection):
    _, queries, judgments = collection
    with pytest.raises(AttributeError, match="predict"):
        get_scorer("map")(BaseEstimator(), queries, judgments)


# --- functions of a user, in scorers, evaluate and compare
def first_grade(y_true, y_pred, *, scale=1.0):
    """Grade of the first document, one number per query."""
    return [scale * judged.get(docs[0], 0) if docs else 0.0 for judged, docs in zip(y_true, y_pred.docids)]


def mean_first_grade(y_true, y_pred, *, scale=1.0):
    return float(np.mean(first_grade(y_true, y_pred, scale=scale)))


def counted_first_grade(y_true, y_pred):
    """NaN for queries without a relevant document."""
    return np.array([g if any(j.values()) else np.nan for g, j in zip(first_grade(y_true, y_pred), y_true)])


USERS_RUN = {"q2": {"b": 2.0, "a": 1.0}, "q1": {"a": 2.0, "b": 1.0}, "q3": {"x": 1.0}}
USERS_QRELS = {"q1": {"a": 3, "b": 0}, "q2": {"a": 1, "b": 2}, "q3": {"x": 0}, "q4": {"y": 1}}


@pytest.mark.parametrize("as_qrels", [dict, Qrels])
@pytest.mark.parametrize("as_run", [dict, Run, lambda run: {q: list(d) for q, d in run.items()}])
def test_a_function_of_the_user_is_evaluated(as_qrels, as_run):
    qrels, run = as_qrels(USERS_QRELS), as_run(USERS_RUN)
    scaled = partial(first_grade, scale=2.0)
    found = evaluate(qrels, run, [first_grade, mean_first_grade, counted_first_grade, scaled, "mrr"])
    assert found["first_grade"] == found["mean_first_grade"] == 5 / 4
    assert found["counted_first_grade"] == 5 / 3
    assert found["first_grade(scale=2.0)"] == 5 / 2
    assert found.per_query["first_grade"].tolist() == [3, 2, 0, 0]
    assert "mean_first_grade" not in found.per_query
    assert found["mrr"] == evaluate(qrels, run, "mrr")["mrr"]
    assert list(found.to_frame().columns) == [
        "qid", "first_grade", "counted_first_grade", "first_grade(scale=2.0)", "mrr"
    ]  # fmt: skip
    with pytest.raises(ValueError, match="'first_grade' has no bounds"):
        evaluate(qrels, run, first_grade, bounds=True)


def test_functions_of_this_module_are_metrics_of_evaluate_and_compare():
    found = evaluate(USERS_QRELS, USERS_RUN, [ndcg_score, partial(ndcg_score, k=1, empty="drop"), "ndcg"])
    assert found["ndcg_score"] == found["ndcg"]
    assert found["ndcg_score(k=1, empty='drop')"] == ndcg_score(USERS_QRELS, USERS_RUN, k=1, empty="drop")
    np.testing.assert_array_equal(found.per_query["ndcg_score"], found.per_query["ndcg"])
    runs = {"a": USERS_RUN, "b": {**USERS_RUN, "q1": {"b": 1.0}}}
    with pytest.warns(UserWarning, match="lacks 1 of 4"):
        comparison = compare(USERS_QRELS, runs, [ndcg_score, "ndcg"])
    assert comparison.means["ndcg_score"] == comparison.means["ndcg"]


def test_runs_are_compared_by_a_function_of_the_user():
    qrels = {f"q{i}": {"a": 1 + i % 3, "b": 1} for i in range(12)}
    runs = {"good": {q: ["a", "b"] for q in qrels}, "bad": {q: ["b", "a"] for q in qrels}}
    comparison = compare(qrels, runs, [first_grade, "ndcg"])
    assert comparison.means["first_grade"] == {"good": 2.0, "bad": 1.0}
    assert comparison.tests[0]["wins"] + comparison.tests[0]["losses"] == 8
    with pytest.raises(ValueError, match="mean_first_grade: expected one number per query, got one for the whole run"):
        compare(qrels, runs, mean_first_grade)


def test_a_function_that_gives_numbers_per_query_is_a_scorer(collection):
    corpus, queries, judgments = collection
    retriever = BM25Retriever(corpus).fit(queries)
    expected = np.mean([j.get(d[0], 0) for j, d in zip(judgments, retriever.predict(queries).docids)])
    for function in (first_grade, mean_first_grade):
        assert make_rank_scorer(function)(retriever, queries, judgments) == pytest.approx(expected)
        assert make_rank_scorer(function, scale=2.0)(retriever, queries, Qrels(judgments)) == pytest.approx(
            2 * expected
        )
    assert pickle.loads(pickle.dumps(make_rank_scorer(first_grade, scale=2.0)))(
        retriever, queries, judgments
    ) == pytest.approx(2 * expected)


def test_functions_that_give_something_else_are_errors():
    for result, got in (([1.0, 2.0], "an array of shape"), ("high", "'high'"), (None, "None")):
        with pytest.raises(ValueError, match=rf"odd: expected one number, or one per query \(4,\), got {got}"):

            def odd(y_true, y_pred, result=result):
                return result

            evaluate(USERS_QRELS, USERS_RUN, odd)
    with pytest.raises(ValueError, match="two metrics are named '<lambda>'"):
        evaluate(USERS_QRELS, USERS_RUN, [lambda y_true, y_pred: 0.0, lambda y_true, y_pred: 1.0])
    with pytest.raises(TypeError, match="'ndcg@10'"):
        evaluate(USERS_QRELS, USERS_RUN, [10])
