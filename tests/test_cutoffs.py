"""A cutoff far beyond what is found costs nothing: memory goes by the documents that are found."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from sklrank import Corpus, Queries
from sklrank.data import TokenVectors
from sklrank.encoders import TermVectorizer
from sklrank.fusers import ReciprocalRankFuser
from sklrank.metrics import ndcg_score
from sklrank.rerankers import MMRReranker
from sklrank.retrievers import (
    AnnRetriever,
    BM25Retriever,
    DenseRetriever,
    LanguageModelRetriever,
    LateInteractionRetriever,
    RetrieverUnion,
    RM3Retriever,
    SparseRetriever,
)

HUGE = 10**9
N_DOCUMENTS, N_QUERIES, N_FOUND = 45_000, 10_000, 15  # a matrix of queries × documents would take 3.6 GB
LIMIT = 600 << 20


def peak(call):
    """What `call` returns, and the most bytes that it held at a time."""
    tracemalloc.start()
    try:
        result = call()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def matrix():
    """Documents of one term each, every term in `N_FOUND` of them."""
    terms = np.arange(N_DOCUMENTS) // N_FOUND
    return sp.csr_array((np.ones(N_DOCUMENTS), (np.arange(N_DOCUMENTS), terms)))


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize(
    "retriever", [BM25Retriever(), LanguageModelRetriever(), SparseRetriever()], ids=lambda r: type(r).__name__
)
def test_lexical_retrievers_hold_what_they_find(matrix, retriever, n_jobs):
    retriever.set_params(k=HUGE, n_jobs=n_jobs).fit(matrix)
    queries = matrix[np.arange(N_QUERIES) * N_FOUND % N_DOCUMENTS]
    run, n_bytes = peak(lambda: retriever.predict(queries))
    assert np.diff(run.indptr).tolist() == [N_FOUND] * N_QUERIES
    assert n_bytes < LIMIT


@pytest.mark.parametrize(
    "make",
    [
        lambda: DenseRetriever(k=HUGE),
        lambda: DenseRetriever(k=HUGE, metric="euclidean", dtype="float16"),
        lambda: DenseRetriever(k=HUGE, dtype="int8"),
        lambda: DenseRetriever(k=HUGE, dtype="binary"),
        lambda: AnnRetriever(k=HUGE, connectivity=4, expansion_add=8),
    ],
    ids=["float32", "float16", "int8", "binary", "ann"],
)
def test_retrievers_over_vectors_hold_what_they_find(make):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(N_DOCUMENTS, 8)).astype(np.float32)
    retriever = make().fit(vectors)
    allowed = np.arange(N_DOCUMENTS) % (N_DOCUMENTS // 3) == 0
    run, n_bytes = peak(lambda: retriever.predict(vectors[:N_QUERIES], filter=allowed))
    assert np.diff(run.indptr).tolist() == [allowed.sum()] * N_QUERIES
    assert n_bytes < LIMIT


def test_late_interaction_holds_what_it_finds():
    rng = np.random.default_rng(0)
    tokens = TokenVectors(rng.normal(size=(N_DOCUMENTS, 4)).astype(np.float32), np.arange(N_DOCUMENTS + 1))
    retriever = LateInteractionRetriever(k=HUGE).fit(tokens)
    allowed = np.arange(N_DOCUMENTS) % (N_DOCUMENTS // 3) == 0
    run, n_bytes = peak(lambda: retriever.predict(tokens[:1000], filter=allowed))
    assert np.diff(run.indptr).tolist() == [allowed.sum()] * 1000
    assert n_bytes < LIMIT


def test_pipelines_of_huge_cutoffs_hold_what_is_found():
    documents = [f"term{i // N_FOUND} number{i}" for i in range(20_000)]
    corpus = Corpus(documents)
    texts = TermVectorizer()
    queries = Queries([f"term{i}" for i in range(1_000)])
    first = BM25Retriever(corpus, k=HUGE, vectorizer=texts)
    union = RetrieverUnion([("bm25", first), ("rm3", RM3Retriever(BM25Retriever(corpus), n_documents=HUGE, k=HUGE))])
    steps = [ReciprocalRankFuser(k=HUGE), MMRReranker(k=HUGE, similarity=TermVectorizer())]

    def answer():
        run = union.fit(queries).transform(queries)
        for step in steps:
            run = step.fit_transform(run)
        return run

    run, n_bytes = peak(answer)
    assert (np.diff(run.indptr) >= N_FOUND).all()
    assert n_bytes < LIMIT
    _, n_bytes = peak(lambda: ndcg_score({q: {"0": 1} for q in queries.ids.tolist()}, run, k=HUGE))
    assert n_bytes < LIMIT


def test_huge_cutoffs_find_what_all_find():
    rng = np.random.default_rng(0)
    matrix = sp.random_array((500, 40), density=0.1, rng=rng, format="csr")
    for retriever in (BM25Retriever(), SparseRetriever(), LanguageModelRetriever()):
        retriever.fit(matrix)
        whole, huge = (retriever.set_params(k=k).predict(matrix[:50]) for k in (500, HUGE))
        assert whole.rows.tolist() == huge.rows.tolist()
        assert whole.scores.tolist() == huge.scores.tolist()
