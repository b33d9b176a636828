"""RetrieverUnion, Run.union, and score columns."""

import pickle

import numpy as np
import pytest
from contracts import DOCUMENTS, QRELS, QUERIES, TEXTS
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.metrics import get_scorer
from sklrank.retrievers import BM25Retriever, CallableRetriever, RetrieverUnion, TfidfRetriever


def union_of(corpus, **parameters):
    return RetrieverUnion([("bm25", BM25Retriever(corpus)), ("tfidf", TfidfRetriever(corpus, k=2))], **parameters)


class FirstColumn(BaseEstimator):
    """The least fuser there can be: orders by one column, missing ones last."""

    def __init__(self, name="bm25", factor=1.0):
        self.name = name
        self.factor = factor

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X.reorder(np.nan_to_num(X.column(self.name), nan=-1.0) * self.factor, name="first")

    predict = transform


def reference(runs, n_queries):
    """For each query {row: {system: (score, rank)}}, in plain Python."""
    out = []
    for q in range(n_queries):
        table = {}
        for name, run in runs.items():
            start, stop = run.indptr[q : q + 2]
            pairs = zip(run.rows[start:stop].tolist(), run.scores[start:stop].tolist())
            for rank, (row, score) in enumerate(pairs, start=1):
                table.setdefault(row, {})[name] = (score, rank)
        out.append(dict(sorted(table.items())))
    return out


def check_against_reference(run, runs):
    for q, table in enumerate(reference(runs, len(run))):
        start, stop = run.indptr[q : q + 2]
        assert run.rows[start:stop].tolist() == list(table)
        for name in runs:
            expected = [found.get(name, (np.nan, np.nan)) for found in table.values()]
            np.testing.assert_array_equal(run.column(name)[start:stop], [score for score, _ in expected])
            np.testing.assert_array_equal(run.column_ranks(name)[start:stop], [rank for _, rank in expected])


@st.composite
def list_sets(draw):
    n_documents, n_queries = draw(st.integers(1, 30)), draw(st.integers(0, 4))
    rows = st.lists(st.integers(0, n_documents - 1), unique=True, max_size=n_documents)
    scores = st.floats(-5, 5, width=32)
    corpus = Corpus([f"d{i}" for i in range(n_documents)])
    runs = {}
    for name in draw(st.sampled_from([["a"], ["a", "b"], ["a", "b", "c"]])):
        lists = [draw(rows) for _ in range(n_queries)]
        lists = [{str(row): draw(scores) for row in found} for found in lists]
        runs[name] = Run(lists, corpus=corpus, queries=[f"q{i}" for i in range(n_queries)])
    return runs


@settings(max_examples=150, deadline=None)
@given(list_sets())
def test_union_is_that_of_plain_python(runs):
    check_against_reference(Run.union(runs), runs)


def test_union_runs_its_retrievers_on_the_same_queries():
    corpus = Corpus(DOCUMENTS)
    union = union_of(corpus).fit(TEXTS)
    runs = {name: retriever.predict(TEXTS) for name, retriever in union.retrievers_}
    for _ in range(2):  # the second time from the cache
        run = union.transform(TEXTS)
        check_against_reference(run, runs)
        assert run.columns == ("bm25", "tfidf") and not run.has_order
    assert not hasattr(union, "predict") and not hasattr(union, "score")
    with pytest.raises(ValueError, match="a fuser or a reranker"):
        _ = run.scores


@pytest.mark.parametrize("n_jobs", [1, 2, -1])
def test_threads_and_cache_change_nothing(n_jobs):
    expected = union_of(Corpus(DOCUMENTS), cache=False).fit_transform(TEXTS)
    run = union_of(Corpus(DOCUMENTS), n_jobs=n_jobs).fit_transform(TEXTS)
    assert run.docids == expected.docids
    np.testing.assert_array_equal(run.column("tfidf"), expected.column("tfidf"))


def test_dropped_retrievers():
    corpus = Corpus(DOCUMENTS)
    union = union_of(corpus).set_params(tfidf="drop")
    assert union.fit_transform(TEXTS).columns == ("bm25",)
    with pytest.raises(ValueError, match="expected at least one retriever"):
        union.set_params(bm25="drop").fit(TEXTS)


def test_parameters_by_name():
    union = union_of(Corpus(DOCUMENTS)).set_params(bm25__k1=2.0)
    assert union.get_params()["bm25__k1"] == 2.0 and dict(union.retrievers)["bm25"].k1 == 2.0
    copy = clone(union)
    assert copy.get_params()["bm25__k1"] == 2.0
    for bad, match in [
        ([("a", BM25Retriever()), ("a", TfidfRetriever())], "not unique"),
        ([("cache", BM25Retriever())], "conflict"),
        ([("a__b", BM25Retriever())], "must not contain __"),
        ([BM25Retriever()], r"\(name, retriever\)"),
    ]:
        with pytest.raises(ValueError, match=match):
            RetrieverUnion(bad).fit(TEXTS)
    with pytest.raises(TypeError, match="expected a retriever"):
        RetrieverUnion([("a", "bm25")]).fit(TEXTS)


class CountedBM25(BM25Retriever):
    asked = []

    def transform(self, X, filter=None):
        CountedBM25.asked += [(self.k1, text) for text in Queries.of(X).texts]
        return super().transform(X, filter=filter)

    def ranking_key(self):
        return super().ranking_key()


def test_a_grid_over_the_fuser_searches_each_query_once():
    corpus, queries = Corpus(DOCUMENTS), Queries(QUERIES)
    qrels = Qrels(QRELS).align(queries)
    union = RetrieverUnion([("bm25", CountedBM25(corpus)), ("tfidf", TfidfRetriever(corpus))])
    pipe = Pipeline([("union", union), ("fuser", FirstColumn())])
    CountedBM25.asked = []
    grid = {"fuser__factor": [1.0, 2.0, 3.0], "fuser__name": ["bm25", "tfidf"], "union__bm25__k1": [0.9, 1.2]}
    search = GridSearchCV(pipe, grid, cv=3, scoring=get_scorer("ndcg@10"), error_score="raise")
    search.fit(queries, qrels)
    assert sorted(CountedBM25.asked) == sorted((k1, text) for k1 in (0.9, 1.2) for text in TEXTS)
    CountedBM25.asked = []
    search.predict([*TEXTS, "heat layer", "heat layer"])
    assert CountedBM25.asked == [(search.best_params_["union__bm25__k1"], "heat layer")]


def test_the_cache_knows_parameters_that_change_after_fit():
    corpus = Corpus(DOCUMENTS)
    union = union_of(corpus).fit(TEXTS)
    before = union.transform(TEXTS)
    union.named_retrievers_["bm25"].set_params(k=1, b=0.0)
    after = union.transform(TEXTS)
    assert np.nanmax(after.column_ranks("bm25")) == 1 and np.nanmax(before.column_ranks("bm25")) > 1
    plain = BM25Retriever(corpus, k=1, b=0.0).fit(TEXTS).predict(TEXTS)
    np.testing.assert_array_equal(np.sort(after.column("bm25")[~np.isnan(after.column("bm25"))]), np.sort(plain.scores))


def test_filters_reach_every_retriever_and_are_not_kept():
    union = union_of(Corpus(DOCUMENTS)).fit(TEXTS)
    union.transform(TEXTS)
    assert set(sum(union.transform(TEXTS, filter=["d8"]).docids, [])) == {"d8"}
    assert len(set(sum(union.transform(TEXTS).docids, []))) > 1


def test_any_step_that_gives_a_run_takes_part():
    corpus = Corpus(DOCUMENTS)
    steps = Pipeline([("bm25", BM25Retriever(corpus)), ("first", FirstColumn("score"))])
    steps.steps[1] = ("same", Same())
    union = RetrieverUnion([("direct", BM25Retriever(corpus)), ("pipeline", steps)]).fit(TEXTS)
    run = union.transform(TEXTS)
    np.testing.assert_array_equal(run.column("direct"), run.column("pipeline"))


class Same(BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


def test_pickles_and_retrievers_over_matrices():
    rng = np.random.default_rng(0)
    X = rng.random((20, 5))
    union = RetrieverUnion([("bm25", BM25Retriever(X)), ("idf", TfidfRetriever(X))]).fit(X[:4])
    again = pickle.loads(pickle.dumps(union))
    np.testing.assert_array_equal(again.transform(X[:4]).column("idf"), union.transform(X[:4]).column("idf"))
    texts = RetrieverUnion([("bm25", BM25Retriever(Corpus(DOCUMENTS), vectorizer=TfidfVectorizer()))])
    assert len(texts.fit_transform(TEXTS)) == len(TEXTS)


def test_runs_from_elsewhere_unite_by_id():
    left = Run({"q1": {"a": 2.0, "b": 1.0}, "q2": {"c": 1.0}}, name="left")
    right = Run({"q3": {"a": 1.0}, "q1": {"b": 5.0, "d": 4.0}})
    run = Run.union({"left": left, "right": right})
    assert run.qids.tolist() == ["q1", "q2", "q3"]
    found = {(r["qid"], r["docid"]): (r["left"], r["left_rank"], r["right"]) for r in run.to_records()}
    assert found[("q1", "a")][:2] == (2.0, 1.0) and np.isnan(found[("q1", "a")][2])
    assert found[("q1", "b")] == (1.0, 2.0, 5.0)
    assert found.keys() == {("q1", "a"), ("q1", "b"), ("q1", "d"), ("q2", "c"), ("q3", "a")}


def test_runs_over_a_corpus_and_over_ids():
    corpus = Corpus(DOCUMENTS)
    ours = BM25Retriever(corpus).fit(TEXTS).predict(Queries(QUERIES))
    theirs = Run({"q1": {"d2": 1.0}})
    run = Run.union({"ours": ours, "theirs": theirs})
    assert run.corpus is corpus
    assert "d2" in run.docids[run.qids.tolist().index("q1")]
    with pytest.raises(ValueError, match="not among"):
        Run.union({"ours": ours, "theirs": Run({"q1": {"elsewhere": 1.0}})})


def test_union_of_bad_input():
    run = Run({"q1": {"a": 1.0}})
    for bad, match in [([run], "dict"), ({}, "dict"), ({"a": {"q1": {}}}, "to be a Run, got a dict")]:
        with pytest.raises(TypeError, match=match):
            Run.union(bad)
    with pytest.raises(ValueError, match="position"):
        Run.union({"a": Run([{"a": 1.0}]), "b": Run([{"a": 1.0}, {}])})


def test_reordered_runs():
    run = Run.union({"a": Run({"q": {"x": 3.0, "y": 2.0, "z": 1.0}}), "b": Run({"q": {"z": 1.0}})})
    ranked = run.reorder(np.array([1.0, 5.0, 5.0]), name="new")
    assert ranked.docids == [["y", "z", "x"]] and ranked.name == "new"
    assert ranked.column("a").tolist() == [2.0, 1.0, 3.0] and ranked.column_ranks("b")[1] == 1.0
    cut = run.reorder(np.array([1.0, 5.0, 5.0]), k=2)
    assert cut.docids == [["y", "z"]] and cut.k == 2
    kept = ranked.with_old_score()
    assert kept.columns == ("a", "b", "new") and kept.column_ranks("new").tolist() == [1.0, 2.0, 3.0]
    assert ranked.columns == ("a", "b")


def test_ranks_of_a_column_without_a_list():
    run = Run.from_ragged(
        np.array([0, 4]),
        np.array([0, 1, 2, 3]),
        None,
        queries=Queries(["q"]),
        corpus=Corpus(list("abcd")),
        columns={"x": np.array([np.nan, 1.0, 2.0, -np.inf])},
    )
    np.testing.assert_array_equal(run.column_ranks("x"), [np.nan, 2.0, 1.0, 3.0])
    run = run[[0, 0]]
    np.testing.assert_array_equal(run.column_ranks("x"), [np.nan, 2.0, 1.0, 3.0] * 2)


def test_what_says_that_it_must_not_be_kept_is_asked_again():
    calls = []

    def engine(queries, k):
        calls.append(list(queries))
        return [[("d1", 1.0)] for _ in queries]

    union = RetrieverUnion([("engine", CallableRetriever(engine, Corpus(DOCUMENTS), cache=0))]).fit(TEXTS)
    union.transform(["heat"])
    union.transform(["heat"])
    assert calls == [["heat"], ["heat"]]


@pytest.mark.parametrize("names", [("score", "dense"), ("a", "a_rank")])
def test_fit_refuses_names_that_score_columns_cannot_have(names):
    corpus = Corpus(["heat flows", "cold rests"])
    union = RetrieverUnion([(name, BM25Retriever(corpus)) for name in names])
    with pytest.raises(ValueError, match="frames and records of a run"):
        union.fit(["heat"])


def test_a_name_does_not_count_if_its_retriever_is_dropped():
    corpus = Corpus(["heat flows", "cold rests"])
    union = RetrieverUnion([("a", BM25Retriever(corpus)), ("a_rank", "drop")])
    assert union.fit_transform(["heat"]).columns == ("a",)


def test_verbs_that_need_an_order_name_the_fuser():
    union = RetrieverUnion([("bm25", BM25Retriever(Corpus(["heat"])))]).fit(None)
    for verb in ("predict", "score", "search"):
        assert not hasattr(union, verb)
        with pytest.raises(AttributeError, match=f"no '{verb}', .* put a fuser behind it"):
            getattr(union, verb)
    with pytest.raises(AttributeError, match="'RetrieverUnion' object has no attribute 'other'"):
        _ = union.other
