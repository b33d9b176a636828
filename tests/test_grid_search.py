"""Retrievers in scikit-learn's model selection: what is computed again and what is not, here and in workers."""

import os
import time
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from joblib import Parallel, delayed, parallel_config
from sklearn.base import BaseEstimator, clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (makes HalvingGridSearchCV importable)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import resample

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.encoders import TermVectorizer
from sklrank.metrics import compare, evaluate, get_scorer, ndcg_score
from sklrank.retrievers import BM25Retriever, _segment

WORDS = "heat heating flow flows wing shock plate drag lift wave layer cone jet nose".split()


def make_collection(n_documents=60, n_queries=24, n_words=20, seed=0):
    rng = np.random.default_rng(seed)
    documents = [" ".join(rng.choice(WORDS, size=rng.integers(3, 2 * n_words))) for _ in range(n_documents)]
    queries = Queries({f"q{i}": " ".join(rng.choice(WORDS, size=3, replace=False)) for i in range(n_queries)})
    qrels = Qrels(
        {
            qid: {f"d{d}": min(text.split().count(query.split()[0]), 3) for d, text in enumerate(documents) if d % 3}
            for qid, query in zip(queries.ids, queries.texts)
        }
    )
    return {f"d{d}": text for d, text in enumerate(documents)}, queries, qrels


DOCUMENTS, QUERIES, QRELS = make_collection()
NDCG = get_scorer("ndcg@10")


@pytest.fixture
def corpus():
    return Corpus(DOCUMENTS)


@pytest.fixture
def counts(monkeypatch):
    """How often texts are tokenized, and postings inverted, in this process."""
    counts = Counter()

    def counted(name, function):
        def call(*args, **kwargs):
            counts[name] += 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(TermVectorizer, "_learn", counted("tokenized", TermVectorizer._learn))
    monkeypatch.setattr(_segment, "invert", counted("inverted", _segment.invert))
    return counts


def per_setting(retriever, grid):
    """The scores of a grid search, by hand."""
    folds = [test for _, test in KFold(4).split(QUERIES)]
    return [
        np.mean([ndcg_score(QRELS[test], retriever.set_params(**point).predict(QUERIES[test]), k=10) for test in folds])
        for point in grid
    ]


# --- what a search gives, and what it costs
@pytest.mark.parametrize("piped", [False, True])
def test_a_grid_scores_as_a_loop_does_and_indexes_once(corpus, counts, piped):
    name = "bm25retriever__" if piped else ""
    grid = {f"{name}method": ["lucene", "bm25+"], f"{name}k1": [0.5, 1.2], f"{name}b": [0.0, 0.75], f"{name}k": [5, 50]}
    retriever = make_pipeline(BM25Retriever(corpus)) if piped else BM25Retriever(corpus)
    with pytest.warns(UserWarning, match="k=5"):
        search = GridSearchCV(retriever, grid, scoring=get_scorer("ndcg@10"), cv=4).fit(QUERIES, QRELS)
    assert counts == {"tokenized": 1, "inverted": 1}
    by_hand = per_setting(clone(retriever).fit(QUERIES), search.cv_results_["params"])
    assert search.cv_results_["mean_test_score"] == pytest.approx(by_hand, abs=0)
    assert search.best_score_ == max(by_hand)
    assert counts == {"tokenized": 1, "inverted": 1}
    assert search.score(QUERIES, QRELS) == pytest.approx(evaluate(QRELS, search.predict(QUERIES), "ndcg@10")["ndcg@10"])


def test_every_kind_of_validation_shares_one_index(corpus, counts):
    pipe = make_pipeline(BM25Retriever(corpus))
    grid = {"bm25retriever__b": [0.0, 0.5, 0.9]}
    halving = HalvingGridSearchCV(pipe, grid, scoring=NDCG, cv=2, min_resources=6, random_state=0).fit(QUERIES, QRELS)
    assert halving.n_iterations_ == 2
    assert cross_validate(pipe, QUERIES, QRELS, scoring=NDCG, return_train_score=True)["train_score"].shape == (5,)
    sizes, train, test = learning_curve(pipe, QUERIES, QRELS, scoring=NDCG, cv=3, train_sizes=[0.5, 1.0])
    assert sizes.tolist() == [8, 16]
    assert not np.isnan(train).any()
    assert (test[0] == test[1]).all()  # BM25 learns nothing from queries
    assert counts == {"tokenized": 1, "inverted": 1}


def test_a_grid_over_the_vectorizer_indexes_once_a_setting(corpus, counts):
    pipe = make_pipeline(BM25Retriever(corpus, vectorizer=TermVectorizer()))
    grid = {"bm25retriever__vectorizer__stemmer": [None, "english"], "bm25retriever__k1": [0.5, 1.2]}
    search = GridSearchCV(pipe, grid, scoring=NDCG, cv=4).fit(QUERIES, QRELS)
    assert counts == {"tokenized": 2, "inverted": 2}
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    assert (scores[:, 0] != scores[:, 1]).all()  # "flow" finds "flows"


def test_the_vectorizer_itself_can_be_searched(corpus, counts):
    vectorizers = [TermVectorizer(), CountVectorizer(), CountVectorizer(binary=True), None]
    search = GridSearchCV(BM25Retriever(corpus), {"vectorizer": vectorizers}, scoring=NDCG, cv=4).fit(QUERIES, QRELS)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == scores[1] == scores[3] != scores[2]
    assert counts["tokenized"] == 2  # None is a default TermVectorizer, under another key


def test_clones_share_the_corpus_and_what_was_computed(corpus, counts):
    retriever = BM25Retriever(corpus).fit(QUERIES)
    copied = clone(make_pipeline(retriever))[0]
    assert copied.corpus is corpus
    assert copied.fit(QUERIES).index_ is retriever.index_
    assert copied.set_params(k1=0.3).fit(QUERIES).index_ is retriever.index_


RAW = {
    "list": lambda: list(DOCUMENTS.values()),
    "dict": lambda: dict(DOCUMENTS),
    "records": lambda: [{"_id": docid, "text": text} for docid, text in DOCUMENTS.items()],
    "pandas": lambda: pd.DataFrame({"docid": list(DOCUMENTS), "text": list(DOCUMENTS.values())}),
    "polars": lambda: pl.DataFrame({"docid": list(DOCUMENTS), "text": list(DOCUMENTS.values())}),
}


@pytest.mark.parametrize("kind", RAW)
def test_raw_documents_are_indexed_once(corpus, counts, kind):
    documents = RAW[kind]()
    qrels = (
        [{docid[1:]: g for docid, g in one.items()} for one in QRELS.to_dict().values()] if kind == "list" else QRELS
    )
    pipe = make_pipeline(BM25Retriever(documents))
    got = GridSearchCV(pipe, {"bm25retriever__b": [0.1, 0.9]}, scoring=NDCG, cv=3).fit(QUERIES, qrels)
    assert counts == {"tokenized": 1, "inverted": 1}
    expected = GridSearchCV(BM25Retriever(corpus), {"b": [0.1, 0.9]}, scoring=NDCG, cv=3).fit(QUERIES, QRELS)
    assert (got.cv_results_["mean_test_score"] == expected.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("vectorizer", [TermVectorizer(language="english"), CountVectorizer(stop_words="english")])
def test_a_frozen_vectorizer_stays_as_it_is(corpus, counts, vectorizer):
    vectorizer.fit(corpus.text().tolist()[:20] + ["further words"])
    vocabulary = dict(vectorizer.vocabulary_)
    counts.clear()
    frozen = BM25Retriever(corpus, vectorizer=FrozenEstimator(vectorizer))
    scores = cross_val_score(frozen, QUERIES, QRELS, scoring=NDCG, cv=4)
    assert counts["tokenized"] == 0
    assert vectorizer.vocabulary_ == vocabulary
    free = BM25Retriever(corpus, vectorizer=clone(vectorizer).set_params(vocabulary=vocabulary))
    assert (scores == cross_val_score(free, QUERIES, QRELS, scoring=NDCG, cv=4)).all()


# --- samples
def test_queries_and_judgments_split_together():
    parts = train_test_split(QUERIES, QRELS, random_state=0)
    assert [type(part) for part in parts] == [Queries, Queries, Qrels, Qrels]
    assert (parts[0].ids == parts[2].ids).all()
    assert set(parts[0].ids) | set(parts[1].ids) == set(QUERIES.ids)


def test_groups_of_queries_stay_together(corpus):
    topics = np.arange(len(QUERIES)) // 2
    for train, test in GroupKFold(4).split(QUERIES, QRELS, topics):
        assert not set(topics[train]) & set(topics[test])
    search = GridSearchCV(BM25Retriever(corpus), {"b": [0.1, 0.9]}, scoring=NDCG, cv=GroupKFold(4))
    assert not np.isnan(search.fit(QUERIES, QRELS, groups=topics).best_score_)


def test_queries_drawn_twice_count_twice(corpus):
    queries, qrels = resample(QUERIES, QRELS, random_state=0)
    assert len(set(queries.ids)) < len(queries)
    retriever = BM25Retriever(corpus).fit(QUERIES)
    own = dict(zip(QUERIES.ids, ndcg_score(QRELS, retriever.predict(QUERIES), k=10, average=None)))
    assert NDCG(retriever, queries, qrels) == pytest.approx(np.mean([own[qid] for qid in queries.ids]))


ASKED = {
    "Queries": lambda: QUERIES,
    "list": lambda: QUERIES.texts,
    "str array": lambda: np.array(QUERIES.texts),
    "object array": lambda: np.array(QUERIES.texts, dtype=object),
    "Series": lambda: pd.Series(QUERIES.texts, index=list(QUERIES.ids)),
    "pandas": lambda: pd.DataFrame({"qid": list(QUERIES.ids), "text": QUERIES.texts}),
    "polars": lambda: pl.DataFrame({"qid": list(QUERIES.ids), "text": QUERIES.texts}),
}


@pytest.mark.parametrize("x", ASKED)
@pytest.mark.parametrize("y", ["Qrels", "list"])
def test_searches_take_queries_of_any_shape(corpus, x, y):
    judgments = QRELS if y == "Qrels" else list(QRELS.to_dict().values())
    grid = {"bm25retriever__b": [0.1, 0.5, 0.9]}
    options = {"scoring": NDCG, "cv": 2, "min_resources": 12, "random_state": 0}
    pipe = make_pipeline(BM25Retriever(corpus))
    expected = HalvingGridSearchCV(pipe, grid, **options).fit(QUERIES, QRELS)
    got = HalvingGridSearchCV(pipe, grid, **options).fit(ASKED[x](), judgments)
    assert (got.cv_results_["mean_test_score"] == expected.cv_results_["mean_test_score"]).all()
    assert got.score(ASKED[x](), judgments) == expected.score(QUERIES, QRELS)


# --- out-of-fold runs
@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_out_of_fold_predictions_are_one_run_in_order(corpus, tuned, n_jobs):
    estimator = BM25Retriever(corpus)
    if tuned:
        estimator = GridSearchCV(estimator, {"k1": [0.4, 1.2], "b": [0.0, 0.75]}, scoring=NDCG, cv=2)
    cv = KFold(4, shuffle=True, random_state=0)
    run = cross_val_predict(estimator, QUERIES, QRELS, cv=cv, n_jobs=n_jobs)
    assert type(run) is Run
    assert (run.qids == QUERIES.ids).all()
    assert run.queries.texts == QUERIES.texts
    assert run.k == 100
    for train, test in cv.split(QUERIES):
        fold = clone(estimator).fit(QUERIES[train], QRELS[train]).predict(QUERIES[test])
        assert run[test].to_dict() == fold.to_dict()


def test_out_of_fold_runs_are_evaluated_and_compared(corpus):
    search = GridSearchCV(BM25Retriever(corpus), {"k1": [0.4, 1.2], "b": [0.0, 0.75]}, scoring=NDCG, cv=2)
    tuned = cross_val_predict(search, QUERIES, QRELS, cv=4)
    untuned = BM25Retriever(corpus).fit(QUERIES).predict(QUERIES)
    by_fold = cross_val_score(search, QUERIES, QRELS, cv=4, scoring=NDCG)
    assert evaluate(QRELS, tuned, "ndcg@10")["ndcg@10"] == pytest.approx(by_fold.mean())
    assert len(compare(QRELS, {"tuned": tuned, "untuned": untuned}, ["ndcg@10"]).to_frame())


# --- metadata routing
@pytest.mark.parametrize("routing", [False, True])
def test_a_filter_passes_through_a_pipeline(corpus, routing):
    allowed = ["d3", "d7", "d12"]
    with sklearn.config_context(enable_metadata_routing=routing):
        pipe = make_pipeline(BM25Retriever(corpus)).fit(QUERIES, QRELS)
        assert set(pipe.predict(QUERIES, filter=allowed).flat_docids) == set(allowed)
        assert set(
            make_pipeline(BM25Retriever(corpus, filter=allowed)).fit(QUERIES).predict(QUERIES).flat_docids
        ) == set(allowed)


def test_scores_of_pipelines_under_routing(corpus):
    weights = np.arange(len(QUERIES), dtype=float)
    retriever = BM25Retriever(corpus).fit(QUERIES)
    with sklearn.config_context(enable_metadata_routing=True):
        assert make_pipeline(retriever).score(QUERIES, QRELS) == retriever.score(QUERIES, QRELS)
        weighted = BM25Retriever(corpus).set_score_request(sample_weight=True)
        got = make_pipeline(weighted).fit(QUERIES, QRELS).score(QUERIES, QRELS, sample_weight=weights)
        search = GridSearchCV(make_pipeline(weighted), {"bm25retriever__b": [0.75]}, cv=2)
        search.fit(QUERIES, QRELS, sample_weight=weights)
    assert got == retriever.score(QUERIES, QRELS, sample_weight=weights)
    assert search.best_score_ != retriever.score(QUERIES, QRELS)


# --- Pipeline(memory=...)
class Shortener(BaseEstimator):
    """A step after a retriever: the first documents of each ranking."""

    def __init__(self, k=3):
        self.k = k

    def fit(self, X, y=None):
        assert isinstance(X, Run)
        self.fitted_ = True
        return self

    def predict(self, X):
        return Run([ranking[: self.k] for ranking in X.docids], queries=X.queries, corpus=X.corpus)


class CountingRetriever(BM25Retriever):
    fits = 0

    def fit(self, X, y=None):
        CountingRetriever.fits += 1
        return super().fit(X, y)


def test_a_pipeline_with_memory_fits_the_retriever_once_a_fold(corpus, tmp_path):
    steps = [("retriever", CountingRetriever(corpus)), ("shortener", Shortener())]
    grid = {"shortener__k": [1, 3, 10]}
    expected = GridSearchCV(Pipeline(steps), grid, scoring=NDCG, cv=3, refit=False).fit(QUERIES, QRELS)
    assert CountingRetriever.fits == 9
    CountingRetriever.fits = 0
    cached = Pipeline(steps, memory=str(tmp_path))
    for _ in range(2):
        got = GridSearchCV(cached, grid, scoring=NDCG, cv=3, refit=False).fit(QUERIES, QRELS)
        assert (got.cv_results_["mean_test_score"] == expected.cv_results_["mean_test_score"]).all()
    assert CountingRetriever.fits == 3


# --- workers
class MarkedTexts:
    """A preprocessor that notes who tokenizes the marked document."""

    def __init__(self, path):
        self.path = path

    def __call__(self, text):
        if text.startswith("marked"):
            note(self.path, "tokenized")
        return text


class NotingRetriever(BM25Retriever):
    """Notes who searches, and whether the text of the corpus is a memory map there."""

    def predict(self, X, filter=None):
        note(self.vectorizer.preprocessor.path, "mapped" if is_mapped(self.corpus_.text().buffer) else "copied")
        return super().predict(X, filter=filter)


def note(path, what):
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {what}\n")


def is_mapped(array):
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = getattr(array, "base", None)
    return False


def test_workers_map_the_corpus_and_tokenize_it_once(tmp_path):
    documents, queries, qrels = make_collection(n_documents=6000, n_words=40)  # more than the 1 MB that joblib copies
    documents["d0"] = "marked " + documents["d0"]
    path = tmp_path / "notes"
    retriever = NotingRetriever(Corpus(documents), vectorizer=TermVectorizer(preprocessor=MarkedTexts(str(path))))
    pipe = make_pipeline(retriever)
    grid = {"notingretriever__k1": [0.5, 1.2], "notingretriever__b": [0.1, 0.5, 0.9]}
    options = {"scoring": NDCG, "cv": 3, "refit": False}
    Parallel(n_jobs=2)(delayed(time.sleep)(0.5) for _ in range(2))  # both workers are there
    for _ in range(2):  # a second search finds the corpus in the workers
        parallel = GridSearchCV(pipe, grid, n_jobs=2, **options).fit(queries, qrels)
    notes = Counter(path.read_text(encoding="utf-8").splitlines())
    workers = {line.split()[0] for line in notes}
    assert str(os.getpid()) not in workers
    assert len(workers) <= 2
    assert notes == Counter({f"{pid} tokenized": 1 for pid in workers}) + Counter(
        {f"{pid} mapped": notes[f"{pid} mapped"] for pid in workers}
    )
    assert sum(notes[f"{pid} mapped"] for pid in workers) == 2 * 18
    serial = GridSearchCV(pipe, grid, **options).fit(queries, qrels)
    assert (parallel.cv_results_["mean_test_score"] == serial.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("kind", ["Corpus", "list", "polars"])
def test_parallel_searches_give_the_same(kind):
    documents = Corpus(DOCUMENTS) if kind == "Corpus" else RAW[kind]()
    qrels = (
        [{docid[1:]: g for docid, g in one.items()} for one in QRELS.to_dict().values()] if kind == "list" else QRELS
    )
    grid = {"bm25retriever__k1": [0.5, 1.2], "bm25retriever__method": ["atire", "bm25l"]}
    results = [
        GridSearchCV(make_pipeline(BM25Retriever(documents)), grid, scoring=NDCG, cv=3, n_jobs=n_jobs)
        .fit(QUERIES, qrels)
        .cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]
    assert (results[0] == results[1]).all()


def test_threads_share_one_index(corpus, counts):
    pipe = make_pipeline(BM25Retriever(corpus))
    grid = {"bm25retriever__k1": [0.5, 1.2], "bm25retriever__method": ["atire", "bm25l"]}
    options = {"scoring": NDCG, "cv": 3}
    with parallel_config("threading", n_jobs=2):
        threaded = GridSearchCV(pipe, grid, **options).fit(QUERIES, QRELS)
    assert counts == {"tokenized": 1, "inverted": 1}
    serial = GridSearchCV(pipe, grid, **options).fit(QUERIES, QRELS)
    assert (threaded.cv_results_["mean_test_score"] == serial.cv_results_["mean_test_score"]).all()


class Holder(BaseEstimator):
    """An estimator with a parameter that may be anything."""

    def __init__(self, value=None):
        self.value = value

    def fit(self, X, y=None):
        return self

    def score(self, X, y=None):
        return 1.0


def test_a_corpus_is_a_value_to_search():
    smaller, whole = Corpus({"d0": DOCUMENTS["d0"]}), Corpus(DOCUMENTS)
    pipe = Pipeline([("bm25", BM25Retriever())])
    search = GridSearchCV(pipe, {"bm25__corpus": [smaller, whole]}, scoring=NDCG, cv=3).fit(QUERIES, QRELS)
    assert search.best_params_["bm25__corpus"] is whole
    assert search.cv_results_["param_bm25__corpus"].tolist() == [smaller, whole]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Corpus(DOCUMENTS),
        lambda: Corpus({"only": "heat"}),
        lambda: Corpus(np.eye(3)),
        lambda: QUERIES,
        lambda: QUERIES[:1],
        lambda: QRELS,
        lambda: Run([{"d0": 1.0}, {"d1": 2.0}]),
        lambda: Run([{"d0": 1.0}]),
    ],
)
def test_values_of_the_data_model_may_be_searched(make):
    value = make()
    for values in ([value], [value, make()], [None, value]):
        search = GridSearchCV(Holder(), {"value": values}, cv=2).fit(np.zeros((4, 1)))
        found = search.cv_results_["param_value"]
        assert found.dtype == object and all(a is b for a, b in zip(found.data, values, strict=True))


def test_an_array_of_corpora_holds_the_corpora():
    corpus = Corpus(DOCUMENTS)
    assert np.array([corpus, corpus]).tolist() == [corpus, corpus]
    assert np.asarray(corpus).item() is corpus
