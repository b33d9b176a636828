"""Where pipelines lose relevant documents: each reason, and sums that agree with the metrics."""

from operator import methodcaller

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklrank.inspection._losses as module
from sklrank import Corpus, Qrels, Queries, Run
from sklrank.datasets import load_scifact
from sklrank.fusers import ReciprocalRankFuser, ScoreFuser
from sklrank.inspection import Waterfall, WaterfallDisplay, waterfall
from sklrank.metrics import ndcg_score, recall_at_k_score
from sklrank.rerankers import (
    CallableReranker,
    CascadeReranker,
    Cutoff,
    MMRReranker,
    PassageAggregator,
)
from sklrank.retrievers import BM25Retriever, DenseRetriever, RetrieverUnion

matplotlib.use("Agg")

CORPUS = Corpus({
    "d1": "heat flow heat", "d2": "heat flow", "d3": "heat in a plate that is very long and wide", "d4": "warmth",
    "d5": "flow over a wing", "d6": "flow", "d7": "lift of a wing",
})  # fmt: skip
DENSE = make_pipeline(
    HashingVectorizer(n_features=32, alternate_sign=False),
    FunctionTransformer(methodcaller("toarray"), accept_sparse=True),
)


def fates(result):
    return {document["docid"]: (document["lost_by"], document["reason"]) for document in result.documents}


def test_reasons_of_retrievers():
    retriever = BM25Retriever(CORPUS, k=2, filter=["d1", "d2", "d3", "d4", "d6"])
    qrels = [dict.fromkeys(["d1", "d3", "d4", "d5", "gone"], 1)]
    found = fates(waterfall(retriever.fit(["heat"]), ["heat flow"], qrels))
    step = "bm25retriever"
    assert found == {
        "d1": (None, None),
        "d3": (step, "rank 4, beyond k=2"),
        "d4": (step, "no shared term"),
        "d5": (step, "filtered"),
        "gone": (step, "not in the corpus"),
    }


def test_blocks_of_queries_change_nothing(monkeypatch):
    retriever = BM25Retriever(CORPUS, k=1).fit(["heat"])
    qrels = Qrels([dict.fromkeys(CORPUS.ids.tolist(), 1)] * 3)
    queries = ["heat flow", "wing", "cold"]
    whole = waterfall(retriever, queries, qrels)
    monkeypatch.setattr(module, "_CELLS", 1)
    assert str(waterfall(retriever, queries, qrels).documents) == str(whole.documents)  # with NaN
    assert {d["reason"] for d in whole.documents if d["qid"] == "2"} == {"no shared term"}


def by_letter(query, documents):
    return [-ord(document[0]) for document in documents]


def test_reasons_of_rerankers():
    qrels = [dict.fromkeys(["d1", "d2", "d3", "d5", "d6"], 1)]
    first = BM25Retriever(CORPUS)
    order = first.fit(["heat"]).predict(["heat flow"]).docids[0]
    assert order == ["d1", "d2", "d6", "d5", "d3"]
    pipe = make_pipeline(first, CallableReranker(by_letter, depth=4, k=2)).fit(["heat"])
    found = fates(waterfall(pipe, ["heat flow"], qrels))
    step = "callablereranker"
    assert found["d3"] == (step, "rank 5, below depth=4")
    assert found["d1"] == (step, "from rank 1 to 3, beyond k=2")
    assert found["d2"] == (step, "from rank 2 to 4, beyond k=2")
    pipe = make_pipeline(first, Cutoff(max_tokens=5)).fit(["heat"])
    assert fates(waterfall(pipe, ["heat flow"], qrels))["d6"] == ("cutoff", "rank 3, beyond the cutoff")


def backwards(query, documents):
    return [ord(document[0]) for document in documents]


def test_stages_of_a_cascade_are_steps():
    qrels = [dict.fromkeys(["d1", "d2", "d3", "d5", "d6"], 1)]
    stages = [("one", CallableReranker(by_letter), 4), ("two", CallableReranker(backwards), 3)]
    cascade = CascadeReranker(stages, k=2)
    pipe = make_pipeline(BM25Retriever(CORPUS), cascade).fit(["heat"])
    one = make_pipeline(BM25Retriever(CORPUS), CallableReranker(by_letter, depth=4)).fit(["heat"])
    assert one.predict(["heat flow"]).docids == [["d5", "d6", "d1", "d2"]]
    assert pipe.predict(["heat flow"]).docids == [["d1", "d5"]]
    result = waterfall(pipe, ["heat flow"], qrels)
    assert [row["step"] for row in result.steps] == ["bm25retriever", "cascadereranker__one", "cascadereranker__two"]
    assert [row["n_documents"] for row in result.steps] == [5, 4, 2]
    assert fates(result) == {
        "d1": (None, None),
        "d2": ("cascadereranker__two", "rank 4, below depth=3"),
        "d3": ("cascadereranker__one", "rank 5, below depth=4"),
        "d5": (None, None),
        "d6": ("cascadereranker__two", "from rank 2 to 3, beyond k=2"),
    }


@pytest.mark.parametrize("params", [{}, {"candidate_budget": 5}, {"tail": "keep"}, {"time_budget": 60.0}])
def test_followed_cascades_hand_on_what_they_make(params):
    stages = [("one", CallableReranker(by_letter), 4), ("two", CallableReranker(backwards), 2)]
    cascade = CascadeReranker(stages, k=3, **params)
    pipe = make_pipeline(BM25Retriever(CORPUS), cascade, ScoreFuser(norm="rank", missing="zero")).fit(["heat", "wing"])
    queries, qrels = ["heat flow", "wing"], [dict.fromkeys(CORPUS.ids.tolist(), 1)] * 2
    result = waterfall(pipe, queries, qrels)
    run = pipe.predict(queries)
    for qid, docids in zip("01", run.docids):
        ranks = {d["rank_scorefuser"]: d["docid"] for d in result.documents if d["qid"] == qid}
        assert [ranks[rank] for rank in range(1, len(docids) + 1)] == docids
    assert len(result.steps) == 4


def test_budgets_that_are_spent_are_named():
    stages = [("one", CallableReranker(by_letter), 4), ("two", CallableReranker(backwards), 3)]
    qrels = [dict.fromkeys(["d1", "d2", "d3", "d5", "d6"], 1)] * 2
    first, late = BM25Retriever(CORPUS), CascadeReranker(stages, k=2, time_budget=1e-9)
    pipe = make_pipeline(first, late).fit(["heat"])
    queries = ["heat flow", "heat flow"]
    assert pipe.predict(queries).docids == [["d1", "d2"]] * 2
    for qid in "01":
        found = [d for d in waterfall(pipe, queries, qrels).documents if d["qid"] == qid]
        assert {d["docid"]: (d["lost_by"], d["reason"]) for d in found} == {
            "d1": (None, None),
            "d2": (None, None),
            "d3": ("cascadereranker__one", "rank 5, below depth=4"),
            "d5": ("cascadereranker__two", "rank 4, below depth=3"),
            "d6": ("cascadereranker__two", "rank 3, beyond k=2, not scored within the budget"),
        }
    few = make_pipeline(first, CascadeReranker(stages[:1], candidate_budget=1)).fit(["heat"])
    found = fates(waterfall(few, queries[:1], qrels[:1], k=2))
    assert found["d6"] == ("cascadereranker__one", "rank 3, never among the first 2, not scored within the budget")


def test_demoted_and_ranked_low():
    pipe = make_pipeline(BM25Retriever(CORPUS), CallableReranker(by_letter)).fit(["heat"])
    result = waterfall(pipe, ["heat flow"], [{"d1": 1, "d3": 1, "d6": 1}], k=2)
    new = pipe.predict(["heat flow"]).docids[0]
    assert new[:2] == ["d5", "d6"]
    assert fates(result)["d1"] == ("callablereranker", "from rank 1 to 3")
    assert fates(result)["d3"] == ("callablereranker", f"rank {new.index('d3') + 1}, never among the first 2")
    assert fates(result)["d6"] == (None, None)
    assert result.counts() == {"bm25retriever": {}, "callablereranker": {"demoted": 1, "ranked low": 1}}


def test_unions_say_it_for_each_retriever():
    union = RetrieverUnion(
        [("bm25", BM25Retriever(CORPUS, k=1)), ("dense", DenseRetriever(CORPUS, encoder=DENSE, k=1))]
    )
    pipe = make_pipeline(union, ReciprocalRankFuser(k=1)).fit(["heat"])
    result = waterfall(pipe, ["heat flow"], [{"d2": 1, "d4": 1, "d3": 1}])
    assert fates(result)["d4"][1].startswith("bm25: no shared term; dense: rank ")
    assert {d["kind"] for d in result.lost} == {"beyond k"}
    assert np.isnan(result.steps[0]["ndcg@10"]) and result.documents[0]["rank_retrieverunion"] == 0


def test_unions_of_pipelines_say_what_a_step_inside_lost():
    inner = make_pipeline(BM25Retriever(CORPUS, k=4), CallableReranker(by_letter, k=1))
    union = RetrieverUnion([("bm25", FrozenEstimator(BM25Retriever(CORPUS, k=1).fit(["heat"]))), ("two", inner)])
    found = fates(waterfall(union.fit(["heat"]), ["heat flow"], [{"d4": 1, "d3": 1, "d6": 1}]))
    assert found["d4"] == ("retrieverunion", "no shared term")
    assert found["d3"] == ("retrieverunion", "bm25: rank 5, beyond k=1; two: rank 5, beyond k=4")
    assert found["d6"] == ("retrieverunion", "bm25: rank 3, beyond k=1; two: rank 2, beyond k=1")


class First(BaseEstimator):
    """A retriever that has `fit` and `transform`, and nothing else: it finds the first documents."""

    def __init__(self, k=2):
        self.k = k

    def fit(self, X, y=None):
        self.corpus_ = CORPUS
        return self

    def transform(self, X):
        return Run([list(CORPUS.ids[: self.k])] * len(X), queries=X, corpus=CORPUS, name="first")


class Backwards(BaseEstimator):
    """A reranker that has `fit` and `transform`, and nothing else."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.with_old_score().reorder(X.rows.astype(float), name="backwards")


class Elsewhere(First):
    """A retriever over documents that are not a `Corpus`."""

    def fit(self, X, y=None):
        self.corpus_ = CORPUS.ids.tolist()
        return self


@pytest.mark.parametrize("cache", [True, False])
def test_retrievers_and_rerankers_with_fit_and_transform_alone_are_followed(cache):
    qrels = [dict.fromkeys(["d1", "d2", "d4", "gone"], 1)]
    result = waterfall(make_pipeline(First(), Backwards()).fit(["heat"]), ["heat"], qrels, k=1)
    assert fates(result) == {
        "d1": ("backwards", "from rank 1 to 2"),
        "d2": (None, None),
        "d4": ("first", "rank 4, beyond k=2"),
        "gone": ("first", "not in the corpus"),
    }
    union = RetrieverUnion([("first", First()), ("bm25", BM25Retriever(CORPUS))], cache=cache)
    pipe = make_pipeline(union, ReciprocalRankFuser(), Backwards()).fit(["heat"])
    found = fates(waterfall(pipe, ["heat"], qrels))
    assert found["d4"] == ("retrieverunion", "first: rank 4, beyond k=2; bm25: no shared term")
    assert fates(waterfall(Elsewhere().fit(["heat"]), ["heat"], qrels))["d4"] == ("elsewhere", "not found")


QRELS = [dict.fromkeys(["d1", "d2", "d3", "d4", "d5"], 1)]


def outcome(pipeline):
    result = waterfall(pipeline, ["heat flow"], QRELS, k=1)
    return [row["step"] for row in result.steps], [(d["docid"], d["kind"], d["reason"]) for d in result.documents]


@pytest.mark.parametrize("search", [GridSearchCV, RandomizedSearchCV])
def test_searches_are_followed_as_their_best_estimator(search):
    more = {"n_iter": 1} if search is RandomizedSearchCV else {}
    retriever = BM25Retriever(CORPUS, k=3)
    pipe = make_pipeline(retriever, MMRReranker(0.5, k=2)).fit(["heat"])
    for estimator, grid in ((retriever.fit(["heat"]), {"k": [3]}), (pipe, {"bm25retriever__k": [3]})):
        searched = search(estimator, grid, cv=2, **more).fit(["heat", "flow"], [{"d1": 1}, {"d6": 1}])
        assert outcome(searched) == outcome(estimator) == outcome(FrozenEstimator(searched))
        assert ("d4", "no shared term", "no shared term") in outcome(searched)[1]
    with pytest.raises(NotFittedError):
        waterfall(search(pipe, {"bm25retriever__k": [3]}, cv=2, **more), ["heat"], [{"d1": 1}])


def test_pipelines_inside_and_what_is_frozen_are_followed():
    find, rank = make_pipeline("passthrough", BM25Retriever(CORPUS, k=3)), MMRReranker(0.5, k=2)
    steps, reasons = outcome(make_pipeline(find[1], rank).fit(["heat"]))
    assert steps == ["bm25retriever", "mmrreranker"]
    for first, second in (
        (find, rank),
        (FrozenEstimator(find.fit(["heat"])), FrozenEstimator(rank)),
        (find, FrozenEstimator(FrozenEstimator(rank))),
    ):
        pipe = Pipeline([("find", first), ("rank", second)]).fit(["heat"])
        assert outcome(pipe) == outcome(FrozenEstimator(pipe)) == (["find__bm25retriever", "rank"], reasons)
    assert outcome(FrozenEstimator(find[1])) == outcome(find) == outcome(find[1])


def test_passages_count_as_their_documents():
    corpus = Corpus({"a": "heat flow " * 4, "b": "cold wing heat", "c": "warmth"})
    pipe = make_pipeline(BM25Retriever(corpus.split(2), k=3), PassageAggregator(), MMRReranker(k=1)).fit(["heat"])
    result = waterfall(pipe, ["heat"], [{"a": 1, "b": 1, "c": 1}])
    found = fates(result)
    assert found["c"] == ("bm25retriever", "no shared term")
    lost = next(docid for docid in "ab" if found[docid][0] is not None)
    assert "beyond k=" in found[lost][1] and result.steps[0]["n_documents"] <= 2


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_sums_agree_with_the_metrics(seed):
    rng = np.random.default_rng(seed)
    words = np.array(["heat", "flow", "wing", "plate", "cold", "lift"])
    corpus = Corpus([" ".join(rng.choice(words, rng.integers(0, 5))) for _ in range(15)])
    queries = Queries({f"q{i}": " ".join(rng.choice(words, 2)) for i in range(3)})
    qrels = Qrels({f"q{i}": {str(d): int(g) for d, g in enumerate(rng.integers(-1, 3, 15))} for i in range(3)})
    union = RetrieverUnion([("bm25", BM25Retriever(corpus, k=6)), ("two", BM25Retriever(corpus, k1=0.1, k=4))])
    pipe = make_pipeline(union, ScoreFuser(k=7), MMRReranker(0.2, depth=6, k=5)).fit(queries)
    shuffled = Queries({f"q{i}": queries.texts[i] for i in (2, 0, 1)})
    result = waterfall(pipe, shuffled, qrels, k=3)
    run = pipe.predict(shuffled)
    assert result.steps[-1]["recall"] == pytest.approx(recall_at_k_score(qrels, run))
    assert result.steps[-1]["ndcg@3"] == pytest.approx(ndcg_score(qrels, run, k=3))
    assert len(result.documents) == (qrels.grades >= 1).sum()
    top = {(q, d) for q, ids in zip(run.qids, run.docids) for d in ids[:3]}
    for document in result.documents:
        kept = (document["qid"], document["docid"]) in top
        assert kept == (document["lost_by"] is None) == (document["reason"] is None)
        assert (document["kind"] is None) == kept
    assert sum(sum(own.values()) for own in result.counts().values()) == len(result.lost)


def test_nothing_is_relevant():
    result = waterfall(BM25Retriever(CORPUS).fit(["heat"]), ["heat"], [{"d1": 0}])
    assert result.documents == [] and "0 of 0 relevant" in str(result)
    assert len(result.to_frame()) == 0
    result.plot()


def test_ids_do_not_steer_the_terminal():
    retriever = BM25Retriever(Corpus({"d\x1b[2J": "heat"})).fit(["heat"])
    assert "d\\x1b[2J" in str(waterfall(retriever, {"q": "cold"}, {"q": {"d\x1b[2J": 1}}))


def test_what_gives_no_run_is_refused():
    with pytest.raises(ValueError, match="no step of the pipeline returns a Run"):
        waterfall(HashingVectorizer(), ["heat"], [{"d1": 1}])


def test_on_scifact_with_frame_text_and_plot():
    data = load_scifact()
    queries = data.queries[:60]
    qrels = data.qrels.align(queries)
    pipe = make_pipeline(BM25Retriever(data.corpus, k=50), "passthrough", MMRReranker(0.9, depth=30, k=20)).fit(queries)
    result = waterfall(pipe, queries, qrels)
    assert isinstance(result, Waterfall) and len(result.to_frame()) == len(result.documents)
    text = str(result)
    assert (
        "bm25retriever" in text and "below depth" in text and "beyond k=50" in text and "<pre>" in result._repr_html_()
    )
    assert repr(result).startswith("<Waterfall: 2 steps")
    display = WaterfallDisplay.from_estimator(pipe, queries, qrels)
    assert display.left[-1] == len(result.documents) - len(result.lost)
    ax = display.ax_
    assert ax.get_xlabel() == "relevant documents" and display.figure_ is ax.figure
    display.figure_.canvas.draw()
    inside = display.figure_.bbox
    for text in (*ax.get_yticklabels(), ax.get_legend()):  # nothing is cut off, nor are bars covered
        box = text.get_window_extent()
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1
        assert not box.overlaps(ax.get_window_extent())
    few = WaterfallDisplay(steps=["bm25"], losses=[{"demoted": 1}], n=2).plot()
    assert few.ax_.get_xticks().tolist() == [0, 1, 2]
    matplotlib.pyplot.close("all")
