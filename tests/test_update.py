"""Documents come and go: `add`, `remove`, `upsert`, `update`, and `sklrank.update` for pipelines."""

import gc
import threading
import weakref

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from test_contracts import DENSE, word_vectors

import sklrank
from sklrank import Corpus, Qrels, Queries, Run
from sklrank.base import Reranker, Retriever
from sklrank.fusers import ReciprocalRankFuser, ScoreFuser
from sklrank.metrics import get_scorer
from sklrank.rerankers import CascadeReranker, Cutoff, DenseReranker, PassageAggregator
from sklrank.retrievers import (
    BM25Retriever,
    CallableRetriever,
    DenseRetriever,
    LateInteractionRetriever,
    RetrieverUnion,
    RM3Retriever,
    TfidfRetriever,
)
from sklrank.testing import same

DOCUMENTS = {"a": "heat flows", "b": "cold rests", "c": "heat and cold", "d": "metal"}
QUERIES = ["heat", "cold metal", "", "flows rests"]


def changed(documents, add=(), remove=(), upsert=()):
    """The documents after a change: replaced ones keep their places, new ones are last."""
    documents = {docid: text for docid, text in documents.items() if docid not in remove}
    return {**documents, **dict(add), **dict(upsert)}


CHANGE = {"add": {"e": "heat"}, "remove": ["b"], "upsert": {"a": "cold flows", "f": "metal flows"}}
AFTER = changed(DOCUMENTS, **CHANGE)


def check_fresh(estimator, make, documents, queries=QUERIES):
    """The estimator ranks as a fresh one over the same documents."""
    found, expected = estimator.predict(queries), make(Corpus(documents)).fit(queries).predict(queries)
    assert found.corpus.to_dict() == documents
    assert same(found, expected)


# --- retrievers


def test_every_change_returns_the_retriever_and_ranks_as_a_fresh_fit():
    retriever, documents = BM25Retriever(Corpus(DOCUMENTS)).fit(None), DOCUMENTS
    for name, value in (("add", {"e": "heat"}), ("remove", ["b"]), ("upsert", {"a": "metal", "z": "heat heat"})):
        assert getattr(retriever, name)(value) is retriever
        documents = changed(documents, **{name: value})
        check_fresh(retriever, BM25Retriever, documents)
    assert retriever.update(**CHANGE | {"add": {"y": "heat"}, "remove": ["c"]}) is retriever
    documents = changed(documents, **CHANGE | {"add": {"y": "heat"}, "remove": ["c"]})
    check_fresh(retriever, BM25Retriever, documents)
    assert retriever.merge_segments() is retriever
    check_fresh(retriever, BM25Retriever, documents)


def test_a_replaced_document_keeps_its_place_and_new_ones_are_last():
    retriever = BM25Retriever(Corpus(DOCUMENTS)).fit(None).update(**CHANGE)
    assert retriever.corpus_.ids.tolist() == ["a", "c", "d", "e", "f"]


def test_both_the_parameter_and_the_attribute_are_the_new_corpus():
    corpus = Corpus(DOCUMENTS)
    retriever = BM25Retriever(corpus).fit(None).add({"e": "heat"})
    assert retriever.corpus is retriever.corpus_ is not corpus
    assert len(corpus) == 4
    assert same(clone(retriever).fit(None).predict(QUERIES), retriever.predict(QUERIES))
    retriever.predict(QUERIES)  # no parameter counts as changed


def test_without_the_parameter_corpus_it_stays_none():
    retriever = BM25Retriever().fit(DOCUMENTS).update(**CHANGE)
    assert retriever.corpus is None
    assert retriever.corpus_.to_dict() == AFTER


def test_documents_that_are_no_corpus_are_updated():
    check_fresh(BM25Retriever(DOCUMENTS).fit(None).update(**CHANGE), BM25Retriever, AFTER)


def test_no_change_is_no_error():
    corpus = Corpus(DOCUMENTS)
    retriever = BM25Retriever(corpus).fit(None)
    assert retriever.update() is retriever
    assert retriever.corpus_ is corpus
    retriever.update(add={}, remove=[], upsert={})
    assert retriever.corpus_.to_dict() == DOCUMENTS


def test_feedback_and_its_retriever_get_one_new_corpus():
    def make(corpus):
        return RM3Retriever(BM25Retriever(corpus), n_documents=2)

    retriever = make(Corpus(DOCUMENTS)).fit(None).update(**CHANGE)
    assert retriever.corpus_ is retriever.retriever_.corpus_ is retriever.retriever.corpus is retriever.corpus
    check_fresh(retriever, make, AFTER)


# --- errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"remove": ["z"]}, "'z'"),
        ({"remove": ["a", "a"]}, "'a'"),
        ({"add": {"a": "heat"}}, "upsert"),
        ({"add": {"z": "heat"}, "upsert": {"z": "heat"}}, "'z'"),
        ({"remove": ["a"], "upsert": {"a": "heat"}}, "'a'"),
        ({"remove": list(DOCUMENTS)}, "at least one document"),
    ],
)
def test_an_impossible_change_changes_nothing(change, message):
    corpus = Corpus(DOCUMENTS)
    retriever = BM25Retriever(corpus).fit(None)
    before = dict(vars(retriever))
    with pytest.raises(ValueError, match=message):
        retriever.update(**change)
    assert vars(retriever) == before


def test_an_unfitted_estimator_says_so():
    for estimator in (
        BM25Retriever(Corpus(DOCUMENTS)),
        RetrieverUnion([("bm25", BM25Retriever(Corpus(DOCUMENTS)))]),
        make_pipeline(BM25Retriever(Corpus(DOCUMENTS)), Cutoff(threshold=0.5)),
    ):
        with pytest.raises(NotFittedError):
            sklrank.update(estimator, add={"e": "heat"})


def test_a_parameter_that_was_changed_after_fit_is_named():
    retriever = BM25Retriever(Corpus(DOCUMENTS)).fit(None)
    retriever.corpus = Corpus(["heat"])
    with pytest.raises(ValueError, match=r"corpus= was changed after fit: fit again"):
        retriever.add({"e": "heat"})


def test_a_mask_of_the_old_rows_is_refused_and_a_list_of_ids_works():
    mask = np.array([True, False, True, False])
    for filter in (mask, mask.tolist(), [mask, None, mask, None]):
        retriever = BM25Retriever(Corpus(DOCUMENTS), filter=filter).fit(None)
        retriever.upsert({"a": "heat heat"})  # the rows mean the same documents
        for change in ({"add": {"e": "heat"}}, {"remove": ["a"]}, {"add": {"e": "heat"}, "remove": ["a"]}):
            with pytest.raises(ValueError, match="filter= is a mask .* give a list of ids"):
                retriever.update(**change)
    retriever = BM25Retriever(Corpus(DOCUMENTS), filter=["c", "d"]).fit(None)
    assert retriever.update(add={"e": "heat"}, remove=["a"]).predict(["heat"]).docids == [["c"]]
    with pytest.raises(ValueError, match="filter= names documents that would be removed, 'c'"):
        retriever.remove(["c"])


def test_a_function_has_to_be_told():
    class Engine:
        def __init__(self, documents):
            self.documents = documents

        def __call__(self, queries, k):
            return [{docid: 1.0 for docid, text in self.documents.items() if query in text} for query in queries]

        def reindexed(self, corpus):
            return Engine(corpus.to_dict())

    corpus = Corpus(DOCUMENTS)
    deaf = CallableRetriever(lambda queries, k: Engine(DOCUMENTS)(queries, k), corpus).fit(None)
    with pytest.raises(ValueError, match=r"change them where they are, .* reindexed\(corpus\)"):
        deaf.add({"e": "heat"})
    engine = Engine(DOCUMENTS)
    retriever = CallableRetriever(engine, corpus).fit(None).update(**CHANGE)
    assert retriever.predict(["heat"]).docids == [["c", "e"]]
    assert engine.documents is DOCUMENTS


def test_an_estimator_without_a_corpus_says_so():
    with pytest.raises(ValueError, match="no corpus in this CallableRetriever"):
        CallableRetriever(lambda queries, k: [{}]).fit(None).add({"e": "heat"})
    with pytest.raises(ValueError, match="no corpus in this ReciprocalRankFuser"):
        sklrank.update(ReciprocalRankFuser(), add={"e": "heat"})


# --- partial_fit


def test_partial_fit_adds_documents_without_a_corpus():
    retriever = BM25Retriever()
    texts = list(DOCUMENTS.values())
    assert retriever.partial_fit(texts[:2]).partial_fit(texts[2:]) is retriever
    assert same(retriever.predict(QUERIES), BM25Retriever().fit(texts).predict(QUERIES))


def test_partial_fit_of_feedback_adds_documents():
    texts = list(DOCUMENTS.values())
    retriever = RM3Retriever(BM25Retriever()).partial_fit(texts[:2]).partial_fit(texts[2:])
    assert same(retriever.predict(QUERIES), RM3Retriever(BM25Retriever()).fit(texts).predict(QUERIES))


def test_partial_fit_takes_matrices_of_the_same_width():
    matrix = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 2.0]])
    retriever = DenseRetriever().partial_fit(matrix[:1]).partial_fit(matrix[1:])
    assert same(retriever.predict(matrix), DenseRetriever().fit(matrix).predict(matrix))
    with pytest.raises(ValueError, match="X has 1 features, but DenseRetriever is expecting 2"):
        retriever.partial_fit(matrix[:, :1])


def test_partial_fit_with_a_corpus_names_add():
    with pytest.raises(ValueError, match=r"use add\(documents\)"):
        BM25Retriever(Corpus(DOCUMENTS)).fit(None).partial_fit(["heat"])


# --- compositions


def letters():
    return TfidfVectorizer(analyzer="char")


def union_of(corpus):
    return RetrieverUnion([("bm25", BM25Retriever(corpus)), ("rm3", RM3Retriever(TfidfRetriever(corpus)))])


def test_a_union_gives_one_new_corpus_to_all():
    corpus = Corpus(DOCUMENTS)
    union = union_of(corpus).fit(None).update(**CHANGE)
    (_, bm25), (_, rm3) = union.retrievers_
    assert bm25.corpus_ is rm3.corpus_ is rm3.retriever_.corpus_
    assert union.retrievers[0][1].corpus is bm25.corpus_
    assert union.retrievers[1][1].retriever.corpus is bm25.corpus_
    assert union.named_retrievers_.bm25 is bm25
    fresh = union_of(Corpus(AFTER)).fit(None).transform(QUERIES)
    for found in (union.transform(QUERIES), clone(union).fit(None).transform(QUERIES)):
        assert found.docids == fresh.docids
        for name in fresh.columns:
            assert np.array_equal(found.column(name), fresh.column(name), equal_nan=True)


def test_the_retrievers_that_made_a_union_keep_their_corpus():
    corpus = Corpus(DOCUMENTS)
    bm25 = BM25Retriever(corpus)
    RetrieverUnion([("bm25", bm25)]).fit(None).add({"e": "heat"})
    assert bm25.corpus is corpus


def test_a_union_keeps_no_ranking_of_the_old_documents():
    union = union_of(Corpus(DOCUMENTS)).fit(None)
    for documents in (DOCUMENTS, AFTER):
        for _ in range(2):
            found, fresh = union.transform(QUERIES), union_of(Corpus(documents)).fit(None).transform(QUERIES)
            assert found.corpus.to_dict() == documents
            assert found.docids == fresh.docids
        if documents is DOCUMENTS:
            union.update(**CHANGE)


def test_a_pipeline_is_updated_in_all_steps_and_keeps_learned_weights():
    def make(corpus):
        inner = make_pipeline(BM25Retriever(corpus), DenseReranker(letters(), depth=3))
        union = RetrieverUnion([("inner", inner), ("tfidf", TfidfRetriever(corpus)), ("gone", "drop")])
        cascade = CascadeReranker([("letters", DenseReranker(letters()), 3)], tail="keep")
        return Pipeline(
            [("union", union), ("none", "passthrough"), ("fuser", ScoreFuser(weights="learn")), ("last", cascade)]
        )

    queries = Queries({"q1": "heat", "q2": "cold metal", "q3": "flows"})
    qrels = Qrels({"q1": {"a": 1}, "q2": {"d": 1}, "q3": {"a": 1}}).align(queries)
    pipe = make(Corpus(DOCUMENTS)).fit(queries, qrels)
    steps, weights = list(pipe.named_steps.values()), pipe["fuser"].weights_
    assert sklrank.update(pipe, **CHANGE) is pipe
    assert all(step is before for step, before in zip(pipe.named_steps.values(), steps))
    assert pipe["fuser"].weights_ is weights
    fresh = make(Corpus(AFTER)).fit(queries, qrels)
    fresh["fuser"].__dict__ = vars(pipe["fuser"])
    assert same(pipe.predict(queries), fresh.predict(queries))


def test_the_best_estimator_of_a_search_is_updated():
    queries = Queries({"q1": "heat", "q2": "cold metal"})
    qrels = Qrels({"q1": {"a": 1}, "q2": {"d": 1}}).align(queries)
    pipe = Pipeline([("bm25", BM25Retriever(Corpus(DOCUMENTS)))])
    search = GridSearchCV(pipe, {"bm25__k1": [0.9, 1.2]}, scoring=get_scorer("ndcg@10"), cv=2).fit(queries, qrels)
    assert sklrank.update(search, **CHANGE) is search
    assert search.predict(queries).corpus.to_dict() == AFTER
    assert search.estimator["bm25"].corpus.to_dict() == AFTER
    assert pipe["bm25"].corpus.to_dict() == DOCUMENTS


def test_a_step_that_fails_leaves_all_steps_as_they_were():
    class Fragile(BM25Retriever):
        def fit(self, X, y=None):
            super().fit(X, y)
            if len(self.corpus_) > 4:
                raise RuntimeError("out of memory")
            return self

    corpus = Corpus(DOCUMENTS)
    union = RetrieverUnion([("bm25", BM25Retriever(corpus)), ("fragile", Fragile(corpus))])
    for estimator in (union, make_pipeline(union, ReciprocalRankFuser()), make_pipeline(BM25Retriever(corpus), union)):
        if isinstance(estimator, RetrieverUnion):
            estimator.fit(None)
        else:
            for step in list(estimator.named_steps.values()):
                step.fit(None) if not isinstance(step, ReciprocalRankFuser) else None
        before = [dict(vars(step)) for step in getattr(estimator, "named_steps", {"union": estimator}).values()]
        with pytest.raises(RuntimeError, match="out of memory"):
            sklrank.update(estimator, add={"e": "heat"})
        after = [dict(vars(step)) for step in getattr(estimator, "named_steps", {"union": estimator}).values()]
        assert before == after


def test_an_aggregator_with_the_documents_gets_the_new_ones():
    documents, passages = Corpus(DOCUMENTS), Corpus(DOCUMENTS)
    passages = passages.with_columns(parent_id=list(DOCUMENTS))
    aggregator = PassageAggregator(corpus=passages)
    pipe = make_pipeline(BM25Retriever(passages), aggregator).fit(["heat"])
    sklrank.update(pipe, add=[{"_id": "e", "text": "heat heat", "parent_id": "e"}])
    assert pipe[0].corpus_ is pipe[1].corpus
    assert pipe.predict(["heat"]).corpus is pipe[0].corpus_
    assert documents.ids.tolist() == list(DOCUMENTS)


# --- estimators of users


class LengthRetriever(Retriever):
    def __init__(self, corpus):
        self.corpus = corpus

    def fit(self, X, y=None):
        self.corpus_ = Corpus.of(self.corpus)
        return self

    def transform(self, X):
        queries, lengths = Queries.of(X), np.array([len(text) for text in self.corpus_.text()])
        asked = np.array([len(text) for text in queries.texts])
        scores = -np.abs(asked[:, np.newaxis] - lengths).astype(float)
        return Run(scores, queries=queries, corpus=self.corpus_, name="length")


def test_a_retriever_of_a_user_is_updated():
    check_fresh(LengthRetriever(Corpus(DOCUMENTS)).fit(None).update(**CHANGE), LengthRetriever, AFTER)


def test_a_retriever_that_learns_keeps_what_it_has_learned():
    class Learner(LengthRetriever):
        def fit(self, X, y=None):
            self.n_queries_ = len(X)
            return super().fit(X, y)

        def reindex(self, corpus):
            self.corpus = self.corpus_ = corpus
            return self

    retriever = Learner(Corpus(DOCUMENTS)).fit(["heat", "cold"]).update(**CHANGE)
    assert retriever.n_queries_ == 2
    assert retriever.predict(["heat"]).corpus.to_dict() == AFTER


def test_a_fitted_reranker_of_a_user_with_a_corpus_needs_reindex():
    class Prior(Reranker):
        def __init__(self, corpus):
            self.corpus = corpus

        def fit(self, X, y=None):
            self.prior_ = np.arange(len(self.corpus))
            return self

        def transform(self, X):
            return X.reorder(self.prior_[X.rows].astype(float))

    corpus = Corpus(DOCUMENTS)
    pipe = make_pipeline(BM25Retriever(corpus), Prior(corpus)).fit(["heat"])
    with pytest.raises(TypeError, match=r"Prior holds a corpus, .* reindex\(corpus\)"):
        sklrank.update(pipe, add={"e": "heat"})
    assert pipe[0].corpus_ is corpus


# --- memory


def test_old_documents_are_freed():
    pipe = make_pipeline(union_of(Corpus(DOCUMENTS)), ReciprocalRankFuser()).fit(QUERIES)
    old = []
    for i in range(5):
        pipe.predict(QUERIES)
        old.append(weakref.ref(pipe[0].retrievers_[0][1].corpus_))
        sklrank.update(pipe, upsert={"a": f"heat {i}"})
    pipe.predict(QUERIES)
    gc.collect()
    assert [corpus() for corpus in old[1:]] == [None] * 4


# --- threads


def test_two_writers_lose_no_change():
    retriever = BM25Retriever(Corpus(DOCUMENTS)).fit(None)
    names = [[f"{writer}-{i}" for i in range(20)] for writer in range(4)]
    threads = [
        threading.Thread(target=lambda own=own: [retriever.add({docid: "heat"}) for docid in own]) for own in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(retriever.corpus_.ids.tolist()) == sorted([*DOCUMENTS, *(d for own in names for d in own)])
    assert len(retriever.predict(["heat"]).rows) == 82


def make_bm25(corpus):
    return BM25Retriever(corpus, k=1000)


def make_dense(corpus):
    return DenseRetriever(corpus, encoder=DENSE, k=1000)


def make_late(corpus):
    return LateInteractionRetriever(corpus, encoder=FunctionTransformer(word_vectors), retriever=make_bm25(corpus))


def make_union_alone(corpus):
    return make_pipeline(union_of(corpus), ReciprocalRankFuser())


def make_pipe(corpus):
    return make_pipeline(union_of(corpus), ReciprocalRankFuser(), DenseReranker(letters(), depth=5, tail="keep"))


@pytest.mark.parametrize("make", [make_bm25, make_dense, make_late, make_union_alone, make_pipe])
def test_readers_see_one_version(make):
    versions = [{str(i): f"heat w{(i * v) % 7}" for i in range(40 + v)} for v in range(6)]
    queries = ["heat", "w1 w2", "w3", "heat w6"]
    expected = {len(docs): make(Corpus(docs)).fit(queries).predict(queries) for docs in versions}
    estimator, faults, done = make(Corpus(versions[0])).fit(queries), [], threading.Event()

    def read():
        while not done.is_set():
            run = estimator.predict(queries)
            if not same(run, expected[len(run.corpus)]):
                faults.append(run)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(30):
        old, new = versions[turn % 6], versions[(turn + 1) % 6]
        gone = [docid for docid in old if docid not in new]
        sklrank.update(estimator, upsert=new, remove=gone)
    done.set()
    for reader in readers:
        reader.join()
    assert not faults
