"""BM25 on the real collections: bm25s's scores, pytrec_eval's measures, published figures."""

import csv
import gzip
import json
from types import SimpleNamespace

import bm25s
import numpy as np
import pytest
import pytrec_eval
import Stemmer
from bm25s.stopwords import STOPWORDS_EN
from numpy.testing import assert_allclose

from sklrank import Run
from sklrank.datasets import read_beir
from sklrank.encoders import TermVectorizer
from sklrank.metrics import mean_average_precision_score, ndcg_score, recall_at_k_score
from sklrank.retrievers import BM25Retriever

COLLECTIONS = {  # documents, queries, judgments
    "scifact": (5183, 300, 339),
    "cranfield": (1400, 225, 1837),
    "vaswani": (11429, 93, 2083),
    "cisi": (1460, 112, 3114),
}
SETTINGS = [(1.2, 0.75), (1.5, 0.75), (0.9, 0.4)]
DEPTH = 1000


@pytest.fixture(scope="module", params=COLLECTIONS)
def collection(request, data_dir):
    """The collection as sklrank reads it, and as bm25s and pytrec_eval take it."""
    folder = data_dir / request.param
    data = read_beir(folder)
    documents = _records(folder / "corpus.jsonl.gz")
    queries = [r for r in _records(folder / "queries.jsonl.gz") if r["_id"] in set(data.queries.ids)]
    texts = [f"{r.get('title') or ''} {r['text']}".strip() for r in documents]
    stemmer = Stemmer.Stemmer("english")
    options = {"stopwords": list(STOPWORDS_EN), "stemmer": stemmer, "show_progress": False}
    tokens = bm25s.tokenize(texts, **options)
    query_tokens = bm25s.tokenize([r["text"] for r in queries], return_ids=False, **options)
    with gzip.open(folder / "qrels.tsv.gz", "rt") as file:
        judgments = {}
        for line in csv.DictReader(file, delimiter="\t"):
            judgments.setdefault(line["query-id"], {})[line["corpus-id"]] = int(line["score"])
    return SimpleNamespace(
        name=request.param,
        corpus=data.corpus,
        queries=data.queries,
        qrels=data.qrels,
        docids=[r["_id"] for r in documents],
        qids=[r["_id"] for r in queries],
        tokens=tokens,
        query_tokens=query_tokens,
        judgments=judgments,
    )


def _records(path):
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def retriever_of(collection, **params):
    vectorizer = TermVectorizer(stemmer="english", stop_words=list(STOPWORDS_EN))
    return BM25Retriever(collection.corpus, vectorizer=vectorizer, k=len(collection.corpus), **params)


def peer_scores(collection, method, k1=1.2, b=0.75, **params):
    """Scores of all documents for each query, by bm25s; those it gives for nothing taken off."""
    peer = bm25s.BM25(method=method, k1=k1, b=b, backend="numpy", **params)
    peer.index(collection.tokens, show_progress=False)
    known = peer.vocab_dict
    queries = [[known[w] for w in words if w in known] for words in collection.query_tokens]
    return np.stack([peer.get_scores_from_ids(q) if q else np.zeros(len(collection.docids)) for q in queries]), peer


def test_the_collections_are_whole(collection):
    assert (len(collection.corpus), len(collection.queries), len(collection.qrels.grades)) == COLLECTIONS[
        collection.name
    ]
    assert collection.corpus.ids.tolist() == collection.docids
    assert collection.queries.ids.tolist() == collection.qids
    assert collection.qrels.to_dict() == {q: collection.judgments.get(q, {}) for q in collection.qids}


@pytest.mark.parametrize("method", ["robertson", "lucene", "atire"])
def test_scores_are_those_of_bm25s(collection, method):
    expected, _ = peer_scores(collection, method)
    run = retriever_of(collection, method=method).fit(collection.queries).predict(collection.queries)
    ours = np.asarray(run)
    assert (ours[expected > 0] > 0).all()
    assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)
    # Found is who holds a term; bm25s cannot tell that from a score of 0.
    assert run.indptr[-1] >= (expected > 0).sum()
    if method != "robertson":
        assert run.indptr[-1] == (expected > 0).sum()


@pytest.mark.parametrize("method, delta", [("bm25l", 0.5), ("bm25+", 1.0)])
def test_lower_bounded_scores_are_those_of_bm25s_less_what_absent_terms_give(collection, method, delta):
    expected, peer = peer_scores(collection, method, delta=delta)
    run = retriever_of(collection, method=method).fit(collection.queries).predict(collection.queries)
    vectorizer = run.corpus and retriever_of(collection).fit(collection.queries).index_.vectorizer
    counts = vectorizer.transform(collection.corpus.text()).tocsc()
    names = vectorizer.vocabulary_
    for i in range(0, len(collection.queries), 7):
        for word in collection.query_tokens[i]:
            if word in names:
                absent = np.ones(len(collection.docids), dtype=bool)
                absent[counts[:, [names[word]]].nonzero()[0]] = False
                expected[i] -= absent * peer.nonoccurrence_array[peer.vocab_dict[word]]
        assert_allclose(np.asarray(run[i])[0], expected[i], rtol=2e-5, atol=1e-4)


@pytest.mark.parametrize("method", ["bm25l", "bm25+"])
def test_what_bm25s_adds_for_absent_terms_changes_rankings(method):
    """A long document that holds a rare word, a short one that holds a frequent word, and more that hold the latter."""
    documents = ["rare " + " ".join(f"w{i}" for i in range(60)), "frequent", *["frequent other words"] * 4]
    documents += ["other words"] * 6

    def peer(delta):
        model = bm25s.BM25(method=method, k1=1.2, b=0.75, delta=delta, backend="numpy")
        model.index([document.split() for document in documents], show_progress=False)
        return model.get_scores_from_ids([model.vocab_dict[word] for word in ("rare", "frequent")])

    def ours(delta):
        return BM25Retriever(method=method, delta=delta).fit(documents).predict(["rare frequent"]).rows.tolist()

    assert np.argsort(-peer(1.0), kind="stable")[:6].tolist() == [1, 2, 3, 4, 5, 0]
    assert ours(1.0) == [0, 1, 2, 3, 4, 5]
    assert ours(0.0) == [1, 2, 3, 4, 5, 0]
    if method == "bm25+":
        assert_allclose(peer(1.0) - peer(0.0), (peer(1.0) - peer(0.0))[0], rtol=1e-6)


@pytest.mark.parametrize("k1, b", SETTINGS)
def test_measures_are_those_of_pytrec_eval_and_of_the_table(collection, data_dir, k1, b):
    run = retriever_of(collection, k1=k1, b=b).fit(collection.queries).predict(collection.queries)
    peer, _ = peer_scores(collection, "lucene", k1, b)
    by_peer = {}
    for qid, scores in zip(collection.qids, peer.astype(np.float32)):
        best = np.lexsort((np.arange(len(scores)), -scores))[:DEPTH]
        by_peer[qid] = {collection.docids[d]: float(scores[d]) for d in best if scores[d] > 0}
    # One rule for both: float32, then the id, descending.
    ours = Run({qid: dict(list(ranking.items())[:DEPTH]) for qid, ranking in run.to_dict().items()})
    theirs = Run(by_peer)
    evaluator = pytrec_eval.RelevanceEvaluator(collection.judgments, {"ndcg_cut.10", "map", "recall.100"})
    by_trec_eval = evaluator.evaluate(by_peer)
    assert sorted(by_trec_eval) == sorted(collection.judgments)
    table = json.loads((data_dir / "bm25s-reference.json").read_text())[f"{collection.name} k1={k1} b={b}"]
    for score, k, name in (
        (ndcg_score, 10, "ndcg_cut_10"),
        (mean_average_precision_score, None, "map"),
        (recall_at_k_score, 100, "recall_100"),
    ):
        value = score(collection.qrels, ours, k=k)
        assert value == pytest.approx(score(collection.qrels, theirs, k=k), abs=1e-6)
        assert value == pytest.approx(np.mean([values[name] for values in by_trec_eval.values()]), abs=1e-6)
        assert round(value, 4) == pytest.approx(table[name], abs=1.01e-4 if abs(value - table[name]) < 5.1e-5 else 1e-9)


def test_scifact_comes_near_the_published_figure(data_dir):
    data = read_beir(data_dir / "scifact")
    retriever = BM25Retriever(data.corpus, k1=1.5, vectorizer=TermVectorizer(language="english"), k=10)
    assert retriever.fit(data.queries).score(data.queries, data.qrels) == pytest.approx(0.687, abs=0.005)


def test_queries_without_judgments_enter_no_mean(data_dir):
    data = read_beir(data_dir / "cisi")
    judged = np.diff(data.qrels.indptr) > 0
    assert (len(judged), judged.sum()) == (112, 76)
    run = BM25Retriever(data.corpus).fit(data.queries).predict(data.queries)
    for score in (ndcg_score, mean_average_precision_score, recall_at_k_score):
        values = score(data.qrels, run, k=100, average=None)
        np.testing.assert_array_equal(np.isnan(values), ~judged)
        mean = pytest.approx(values[judged].mean(), abs=1e-12)
        assert score(data.qrels, run, k=100) == mean
        assert score(data.qrels[judged], run[judged], k=100) == mean
        assert score(data.qrels[judged], run, k=100) == mean


def test_cranfields_empty_documents_are_never_found(data_dir):
    data = read_beir(data_dir / "cranfield")
    empty = [i for i, text in enumerate(data.corpus.text()) if not text.strip()]
    assert len(empty) == 2
    run = BM25Retriever(data.corpus, k=1400).fit(data.queries).predict(data.queries)
    assert not np.isin(run.rows, empty).any()
