"""Use of everything that runs kernels, in all forms that data come in, so that each is compiled."""

import tempfile
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from sklrank import Corpus, Qrels, Run
from sklrank._kernels._candidates import rank_candidates, settle_ties
from sklrank._vectors import read_only
from sklrank.data import TokenVectors
from sklrank.datasets import load_scifact, read_ciff, write_ciff
from sklrank.encoders import MuveraEncoder, TermVectorizer
from sklrank.fusers import ProbabilisticFuser, fuse
from sklrank.fusers._fuse import METHODS
from sklrank.inspection import diagnose
from sklrank.metrics import alpha_ndcg_score, compare, evaluate
from sklrank.metrics._registry import MEASURES
from sklrank.rerankers import DPPReranker
from sklrank.retrievers import (
    BM25FRetriever,
    BM25Retriever,
    DenseRetriever,
    DFRRetriever,
    LanguageModelRetriever,
    LateInteractionRetriever,
    RM3Retriever,
    SparseRetriever,
    TfidfRetriever,
)
from sklrank.retrievers._ann_search import ranking_arrays


def exercise():
    """Use everything once."""
    data = load_scifact()
    queries, qrels = data.queries[:20], data.qrels[:20]
    run = _texts(data.corpus, queries)
    _term_weights(data.corpus)
    _changes()
    _files()
    _vectors()
    _metrics(qrels, run)
    _fusion(qrels, run)


def _texts(corpus, queries):
    """Search texts; return the last run."""
    TermVectorizer(min_df=2).fit_transform(corpus.text())
    every_second = np.arange(len(corpus)) % 2 == 0
    for retriever in (
        BM25Retriever(corpus),
        BM25Retriever(corpus, method="bm25+", vectorizer=TermVectorizer(language="english")),
        BM25FRetriever(corpus, weights={"title": 2.0, "text": 1.0}),
        LanguageModelRetriever(corpus),
        DFRRetriever(corpus),
        TfidfRetriever(corpus),
        BM25Retriever(corpus, vectorizer=CountVectorizer()),
    ):
        run = retriever.fit(queries).predict(queries)
        retriever.predict(queries, filter=every_second)
        if isinstance(retriever.vectorizer, TermVectorizer):
            retriever.highlight(queries.texts[0], run.docids[0][0])
        retriever.explain(queries.texts[0], run.docids[0][0])
    RM3Retriever(BM25Retriever(corpus)).fit(queries).predict(queries)
    return run


def _term_weights(corpus):
    """Search matrices of term weights."""
    counts = CountVectorizer(max_features=500).fit_transform(corpus.text()[:1000].tolist())
    for matrix in (counts, counts.astype(np.float64), counts.astype(np.float32)):
        BM25Retriever().fit(matrix).predict(matrix[:5])
    large = sparse.csr_array(np.random.default_rng(0).integers(1, 5, size=(1 << 16, 2)))  # pruning begins above 2 ** 15
    BM25Retriever(k=10).fit(large).predict(large[:1])
    rare = sparse.csr_array(np.arange(1 << 16)[:, None] < [[1 << 16, 1 << 14, 3000]])  # one list has no codes
    BM25Retriever(k=10).fit(rare).predict(rare[:1])
    weights = counts.astype(np.float32)
    for dtype in ("float32", "uint8"):
        SparseRetriever(dtype=dtype).fit(weights).predict(weights[:5])
    SparseRetriever(k=10, dtype="uint8").fit(large).predict(large[:1])


def _changes():
    """Change documents: a few among many, whose ids are looked up by a kernel, and fields and weights of terms."""
    many = Corpus({f"d{i}": "heat" for i in range(1 << 14)})
    few = Corpus([{"title": "heat", "text": "flows"}], ids=["old"])
    for retriever in (BM25Retriever(many), BM25FRetriever(few)):
        retriever.fit(None).update(add={"new": "heat flows"}, upsert={"d7": "cold"})
        retriever.remove(["new"]).predict(["heat"])
        retriever.merge_segments()
    weights = BM25Retriever(Corpus(np.eye(2) / 2, ids=["a", "b"])).fit(None)
    weights.add(Corpus(np.eye(2), ids=["c", "d"])).merge_segments()


def _files():
    """Write and read an index of other programs."""
    counts = Corpus(sparse.csr_array([[1, 0], [2, 300]]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "index.ciff")
        write_ciff(path, counts, ["heat", "cold"])
        read_ciff(path)


def _vectors():
    """Search and rerank vectors."""
    tokens = TokenVectors.from_list([np.eye(8)[:4], np.eye(8)])
    for dtype in ("float32", "float16", "int8", "binary"):
        dense = DenseRetriever(dtype=dtype).fit(np.eye(8))
        for n_queries in (1, 8):  # by kernels, and by matrix products
            dense.predict(np.eye(n_queries, 8))
        LateInteractionRetriever(dtype=dtype, pool_factor=2).fit(tokens).predict(tokens)
    MuveraEncoder().fit_transform(tokens)
    DPPReranker().fit_transform(DenseRetriever().fit(np.eye(2)).predict(np.eye(2)))

    # AnnRetriever gets its candidates from an extra, and ranks them by these.
    candidates, vectors = np.zeros((2, 1), dtype=np.int64), read_only(np.eye(2, dtype=np.float32))
    found = ranking_arrays(2, 1)
    rank_candidates(vectors, vectors, candidates, False, *found, 0, 2)
    settle_ties(vectors, vectors, np.zeros((2, 1), dtype=np.float32), np.zeros(2), False, *found, 0, 2)


def _metrics(qrels, run):
    """Measure, with bounds and tests."""
    names = [name for name in MEASURES if name != "alpha_ndcg"]
    for rankings in (run, run.to_dict()):
        evaluate(qrels, rankings, names)
        evaluate(qrels.to_dict(), rankings, names)
    bounded = [name for name in names if MEASURES[name].how == "mean" and MEASURES[name].bounds]
    evaluate(qrels, run, bounded, bounds=True)
    compare(qrels, {"one": run, "other": run}, ["ndcg@10"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "qrels")
        path.write_text("q s a 1\nq t b 1\n", encoding="utf-8")
        alpha_ndcg_score(Qrels.from_trec(path, subtopics=True), {"q": {"a": 2.0, "b": 1.0}})


def _fusion(qrels, run):
    """Fuse by every method."""
    union = Run.union({"one": run, "other": run})
    for method, (kind, _) in METHODS.items():
        fuse(union, method, y=qrels if kind is ProbabilisticFuser else None)
    fuse(union, weights="learn", y=qrels)
    diagnose(union)
    Run.union({"long": Run({"q": {str(i): 1.0 for i in range(1 << 14)}})})  # many ids are numbered by their hashes
