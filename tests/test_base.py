"""Subclasses of the public bases that give `fit` and `transform` alone, as a user writes them."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.base import Fuser, Reranker, Retriever
from sklrank.fusers import ReciprocalRankFuser
from sklrank.inspection import waterfall
from sklrank.metrics import get_scorer
from sklrank.rerankers._base_greedy import GreedyReranker
from sklrank.rerankers._base_scoring import ScoringReranker
from sklrank.retrievers import BM25Retriever, RetrieverUnion
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._base_feedback import FeedbackRetriever
from sklrank.retrievers._base_inverted import InvertedIndexRetriever
from sklrank.retrievers._base_vectors import VectorRetriever
from sklrank.testing import (
    DOCUMENTS,
    QRELS,
    QUERIES,
    check_fuser,
    check_reranker,
    check_retriever,
    retriever_contracts,
    same,
)

CORPUS = Corpus(DOCUMENTS)
X = Queries(QUERIES)
Y = Qrels(QRELS).align(X)


class SharedWords(Retriever):
    """Counts shared words; it has neither a `k` nor a filter."""

    def __init__(self, corpus):
        self.corpus = corpus

    def fit(self, X, y=None):
        self.corpus_ = Corpus.of(self.corpus)
        return self

    def transform(self, X):
        check_is_fitted(self, "corpus_")
        queries, documents = Queries.of(X), [set(text.split()) for text in self.corpus_.text()]
        rankings = [{} for _ in queries.texts]
        for ranking, text in zip(rankings, queries.texts):
            for docid, words in zip(self.corpus_.ids, documents):
                if words & set(text.split()):
                    ranking[docid] = float(len(words & set(text.split())))
        scores = Run(rankings, queries=queries, corpus=self.corpus_)
        return scores.reorder(scores.scores, name="shared")


class FirstDocuments(SharedWords):
    """Shared words with a cutoff and a filter, in a subclass of a subclass."""

    def __init__(self, corpus, k=3):
        self.corpus = corpus
        self.k = k

    def transform(self, X, filter=None):
        run = super().transform(X)
        if filter is None:
            return run.head(self.k)
        allowed = [filter] * len(run) if not len(filter) or not isinstance(filter[0], list) else filter
        if not set(np.concatenate(allowed)) <= {*self.corpus_.ids, True, False}:
            raise ValueError("an unknown id")
        passes = [
            ids[row] if ids.dtype == bool else self.corpus_.ids[row] in ids.tolist()
            for ids, ranking in zip(map(np.asarray, allowed), run)
            for row in ranking.rows.tolist()
        ]
        return run.reorder(np.where(passes, run.scores, np.nan), name="first").head(self.k)


class WeightedSum(Fuser):
    """Learns a weight for each column: the score that it has alone."""

    def fit(self, X, y=None):
        scorer = get_scorer("ndcg@10")
        self.weights_ = {name: scorer(_Column(name), X, y) for name in X.columns}
        return self

    def transform(self, X):
        check_is_fitted(self, "weights_")
        columns = [weight * np.nan_to_num(X.column(name)) for name, weight in self.weights_.items()]
        return X.reorder(np.sum(columns, axis=0), name="weighted")


class _Column(BaseEstimator):
    def __init__(self, name):
        self.name = name

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return X.reorder(np.nan_to_num(X.column(self.name)))


class Reversed(Reranker):
    """Learns nothing, so that it gives `transform` alone."""

    def transform(self, X):
        return X.with_old_score().reorder(-X.scores, name="reversed")


class ReversedWithFit(Reversed):
    """Its `fit` sets nothing."""

    def fit(self, X, y=None):
        return self


def test_subclasses_keep_the_contracts():
    check_retriever(SharedWords)
    check_fuser(WeightedSum)
    check_reranker(Reversed)
    check_reranker(ReversedWithFit)


@pytest.mark.parametrize("contract", retriever_contracts(), ids=lambda contract: contract.__name__)
def test_a_subclass_with_a_cutoff_and_a_filter_keeps_the_contracts(contract):
    contract(FirstDocuments)


def test_search_shows_the_first_documents_whatever_the_subclass_takes():
    for make in (SharedWords, FirstDocuments):
        retriever = make(CORPUS).fit(X)
        assert retriever.search("heat flow cold", k=4).docids == [retriever.transform(["heat flow cold"]).docids[0][:4]]
    assert len(FirstDocuments(CORPUS, k=1).fit(X).search("the heat flows", k=2).docids[0]) == 2


def test_search_leaves_the_estimator_as_it_was():
    retriever = FirstDocuments(CORPUS, k=1).fit(X)
    retriever.search("heat flow", k=2)
    assert retriever.k == 1


@pytest.mark.parametrize("cache", [True, False])
def test_subclasses_work_in_unions_and_searches(cache):
    union = RetrieverUnion([("mine", SharedWords(CORPUS)), ("bm25", BM25Retriever(CORPUS))], cache=cache)
    pipe = make_pipeline(union, WeightedSum(), Reversed())
    grid = {"retrieverunion__bm25__k1": [0.9, 1.2], "reversed": [Reversed(), ReversedWithFit()]}
    search = GridSearchCV(pipe, grid, scoring=get_scorer("ndcg@10"), cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    run = search.best_estimator_.predict(X)
    assert run.columns == ("mine", "bm25", "weighted") and run.name == "reversed"
    assert same(pickle.loads(pickle.dumps(search.best_estimator_)).predict(X), run)


def test_waterfall_follows_subclasses():
    pipe = make_pipeline(FirstDocuments(CORPUS, k=1), Reversed()).fit(X)
    result = waterfall(pipe, X, Y, k=5)
    assert [row["step"] for row in result.steps] == ["firstdocuments", "reversed"]
    reasons = {(lost["qid"], lost["docid"]): lost["reason"] for lost in result.lost}
    assert reasons["q3", "d1"] == "not found"


def test_waterfall_says_which_rank_is_beyond_the_k_of_a_subclass():
    run = FirstDocuments(CORPUS, k=8).fit(X).transform(["heat flows"])
    last = run.docids[0][-1]
    result = waterfall(FirstDocuments(CORPUS, k=1).fit(X), ["heat flows"], [{last: 1}])
    assert result.lost[0]["reason"] == f"rank {len(run.docids[0])}, beyond k=1"


def test_a_class_without_transform_says_so_when_it_is_made():
    class Nothing(Reranker):
        pass

    with pytest.raises(TypeError, match="transform"):
        Nothing()


@pytest.mark.parametrize(
    ("base", "hooks"),
    [
        (Retriever, "transform"),
        (Fuser, "transform"),
        (Reranker, "transform"),
        (CorpusRetriever, "_search"),
        (InvertedIndexRetriever, "_formula, _weigh"),
        (VectorRetriever, "_search"),
        (FeedbackRetriever, "_mix, _weigh_terms"),
        (ScoringReranker, "_score"),
        (GreedyReranker, "_choose, _prepare"),
    ],
)
def test_a_subclass_without_what_it_must_give_is_told_the_names(base, hooks):
    with pytest.raises(TypeError) as error:
        type("Mine", (base,), {})()
    assert all(name in str(error.value) for name in ("Mine", *hooks.split(", ")))


class ReturnsNoRun(Retriever):
    def transform(self, X):
        return [["d1"] for _ in X]


def test_a_transform_that_returns_no_run_is_named():
    retriever = ReturnsNoRun()
    for verb in (lambda: retriever.search("heat"), lambda: retriever.predict(X), lambda: retriever.score(X, Y)):
        with pytest.raises(TypeError, match="expected ReturnsNoRun.transform to return a Run, got .* list"):
            verb()


def test_a_retriever_without_a_filter_asks_for_none():
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(SharedWords(CORPUS), Reversed()).fit(X, Y)
        assert same(pipe.predict(X), Reversed().transform(SharedWords(CORPUS).fit(X).transform(X)))
        search = GridSearchCV(pipe, {"reversed": [Reversed()]}, cv=2).fit(X, Y)
        assert np.isfinite(search.best_score_)


@pytest.mark.parametrize("routing", [True, False])
def test_a_filter_is_no_metadata_of_fusers_and_rerankers(routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        union = RetrieverUnion([("bm25", BM25Retriever(CORPUS))])
        pipe = make_pipeline(union, ReciprocalRankFuser(), Reversed()).fit(X, Y)
        for estimator in (ReciprocalRankFuser(), Reversed(), WeightedSum()):
            requests = estimator.get_metadata_routing()
            assert not requests.predict.requests and not requests.transform.requests
        if routing:
            assert pipe.predict(X, filter=["d8"]).docids == union.fit(X).transform(X, filter=["d8"]).docids
        else:
            with pytest.raises(TypeError, match="filter"):
                pipe.predict(X, filter=["d8"])


def test_tags_name_the_role():
    roles = [get_tags(one).estimator_type for one in (SharedWords(CORPUS), WeightedSum(), Reversed())]
    assert roles == ["retriever", "fuser", "reranker"]


def test_an_estimator_that_learns_says_that_it_is_not_fitted():
    candidates = RetrieverUnion([("bm25", BM25Retriever(CORPUS))]).fit_transform(X)
    with pytest.raises(NotFittedError):
        WeightedSum().transform(candidates)
    with pytest.raises(NotFittedError):
        clone(SharedWords(CORPUS).fit(X)).search("heat")


def test_candidates_are_a_run():
    with pytest.raises(TypeError, match="a reranker takes a Run, got a list"):
        Reversed().fit([["d1"]])


def test_check_names_the_contract_that_is_broken():
    class Unordered(SharedWords):
        def transform(self, X):
            run = super().transform(X)
            return run.with_scores(-run.scores)

    with pytest.raises(AssertionError, match="contract_a_ranking_is_ordered: AssertionError: rows"):
        check_retriever(Unordered)
    with pytest.raises(ValueError, match="expected names of contracts in expected_failures"):
        check_retriever(SharedWords, expected_failures={"contract_of_something": "a reason"})


def test_contracts_do_not_need_pytest():
    import sys

    import sklrank.testing

    assert "pytest" not in vars(sklrank.testing) and sys.modules["sklrank.testing"]
