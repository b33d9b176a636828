"""Late interaction against sums of maxima in double precision, maxsim-cpu, SciPy's clustering, MUVERA as printed."""

import pickle
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import maxsim_cpu
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklrank import Corpus, Queries
from sklrank._maxsim import TokenIndex, check_tokens
from sklrank.data import TokenVectors
from sklrank.encoders import MuveraEncoder
from sklrank.metrics import get_scorer
from sklrank.retrievers import (
    BM25Retriever,
    DenseRetriever,
    LateInteractionRetriever,
    RetrieverUnion,
    TfidfRetriever,
    pool_tokens,
)

FORMS = ["float32", "float16", "int8", "binary"]


def maxsim(query, document):
    return (document.astype(float) @ query.astype(float).T).max(axis=0).sum()


def unit(matrix):
    length = np.linalg.norm(matrix.astype(float), axis=1, keepdims=True)
    return matrix / np.where(length > 0, length, 1)


def ragged(rng, n_texts, d=24, longest=30, alike=None):
    """Token vectors of texts, some of them without tokens; with `alike`, near those of these texts."""
    texts = [rng.standard_normal((n, d)) for n in rng.integers(0, longest, n_texts)]
    if alike is not None:
        texts = [0.3 * rng.standard_normal(text[:8].shape) + text[:8] for text in list(alike)[:n_texts]]
    return TokenVectors.from_list(texts)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    documents = ragged(rng, 200)
    return documents, ragged(rng, 20, alike=documents)


def assert_exact(run, documents, queries, k, prepare=unit):
    """That the ranking is the one of all scores in double precision, but for what single precision cannot tell."""
    for one, query in zip(run, queries):
        if not len(query):
            assert not len(one.rows)
            continue
        exact = {row: maxsim(prepare(query), prepare(text)) for row, text in enumerate(documents) if len(text)}
        assert_allclose(one.scores, [exact[row] for row in one.rows], rtol=1e-5, atol=1e-5)
        assert_allclose(one.scores, sorted(exact.values(), reverse=True)[:k], rtol=1e-5, atol=1e-5)
        assert one.rows.tolist() == [row for _, row in sorted(zip(-one.scores, one.rows.tolist()))]


# --- the scores


@st.composite
def collections(draw):
    # Multiples of 1/4 add up exactly: ties are ties, and so are scores in double precision.
    d = draw(st.integers(1, 20))
    value = st.integers(-8, 8).map(lambda n: n / 4)
    matrix = st.lists(st.lists(value, min_size=d, max_size=d), max_size=14).map(lambda v: np.array(v).reshape(-1, d))
    documents = draw(st.lists(matrix, min_size=1, max_size=8))
    documents += draw(st.lists(st.sampled_from(documents), max_size=4))
    return documents, draw(st.lists(matrix, min_size=1, max_size=4)), draw(st.integers(1, 14))


@given(collections(), st.sampled_from([None, 2]))
@example(([np.empty((0, 3))], [np.ones((2, 3))], 1), None)
@example(([np.zeros((2, 3)), -np.ones((1, 3))], [np.ones((40, 3)), np.empty((0, 3))], 5), None)
@settings(max_examples=60)
def test_the_ranking_is_that_of_all_scores(collection, n_jobs):
    documents, queries, k = collection
    retriever = LateInteractionRetriever(metric="dot", k=k, n_jobs=n_jobs).fit(TokenVectors.from_list(documents))
    run = retriever.predict(TokenVectors.from_list(queries))
    for one, query in zip(run, queries):
        scores = {row: maxsim(query, text) for row, text in enumerate(documents) if len(text) and len(query)}
        ranked = sorted(scores, key=lambda row: (-scores[row], row))[:k]
        assert one.rows.tolist() == ranked
        assert one.scores.tolist() == [scores[row] for row in ranked]


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_similarities_are_cosines_or_products(data, metric):
    documents, queries = data
    run = LateInteractionRetriever(metric=metric, k=15).fit(documents).predict(queries)
    assert_exact(run, documents, queries, 15, unit if metric == "cosine" else np.asarray)


def test_scores_are_those_of_maxsim_cpu():
    rng = np.random.default_rng(1)
    texts = [unit(rng.standard_normal((n, 128))).astype(np.float32) for n in rng.integers(1, 90, 50)]
    query = unit(rng.standard_normal((32, 128))).astype(np.float32)
    run = LateInteractionRetriever(k=50).fit(TokenVectors.from_list(texts)).predict([query])
    theirs = np.asarray(maxsim_cpu.maxsim_scores_variable(query, texts))
    assert_allclose(run.scores, theirs[run.rows], rtol=1e-5)


@pytest.mark.parametrize("d", [1, 63, 64, 130])
@pytest.mark.parametrize("form", FORMS)
def test_compressed_tokens_score_as_what_they_stand_for(form, d):
    rng = np.random.default_rng(d)
    documents, queries = ragged(rng, 30, d), ragged(rng, 5, d, longest=40)
    values = check_tokens(documents.values, documents.indptr, unit=True, name=str)
    asked = check_tokens(queries.values, queries.indptr, unit=True, name=str)
    means = values.mean(axis=0, dtype=float)
    seen, asking = {
        "float32": (values, asked),
        "float16": (values.astype(np.float16), asked),
        "int8": (values, asked),
        "binary": tuple(np.where(vectors > means, 1, -1) / np.sqrt(d) for vectors in (values, asked)),
    }[form]
    rows = np.flatnonzero(np.diff(documents.indptr))
    index = TokenIndex.of(values, documents.indptr, form)
    scores = index.score_all(asked, queries.indptr, rows)
    texts, questions = TokenVectors(seen, documents.indptr), TokenVectors(asking, queries.indptr)
    exact = [[maxsim(query, texts[int(row)]) if len(query) else 0 for query in questions] for row in rows]
    assert_allclose(scores, exact, atol=0.02 * 40 / np.sqrt(d) if form == "int8" else 1e-4)
    bounds = np.arange(len(queries) + 1) * len(rows)
    pairs = index.score_pairs(asked, queries.indptr, bounds, np.tile(rows, len(queries)), n_jobs=2)
    assert_array_equal(pairs.reshape(len(queries), -1).T, scores)


def test_half_precision_is_unpacked_exactly():
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)].astype(np.float32)[:, None]
    index = TokenIndex.of(halves, np.arange(len(halves) + 1), "float16")
    scores = index.score_all(np.ones((1, 1), dtype=np.float32), np.array([0, 1]), np.arange(len(halves)))
    assert_array_equal(scores, halves)


def test_weights_of_query_tokens():
    rng = np.random.default_rng(3)
    documents, query = ragged(rng, 10), rng.standard_normal((3, 24)).astype(np.float32)
    index = TokenIndex.of(documents.values.astype(np.float32), documents.indptr)
    rows = np.flatnonzero(np.diff(documents.indptr))
    weights = np.array([2.0, 0.0, 0.5], dtype=np.float32)
    scores = index.score_all(query, np.array([0, 3]), rows, weights)
    exact = [(documents[int(row)] @ query.T).max(axis=0) @ weights for row in rows]
    assert_allclose(scores[:, 0], exact, rtol=1e-4)


# --- what does not matter


@pytest.mark.parametrize("dtype", FORMS)
def test_neither_threads_nor_batches_change_a_bit(data, dtype):
    documents, queries = data
    retriever = LateInteractionRetriever(dtype=dtype, k=20).fit(documents)
    run = retriever.predict(queries)
    for n_jobs in (2, 3):
        again = retriever.set_params(n_jobs=n_jobs).predict(queries)
        assert_array_equal(again.rows, run.rows)
        assert again.scores.tobytes() == run.scores.tobytes()
    loop = np.concatenate([retriever.predict(queries[i : i + 1]) for i in range(len(queries))])
    assert_array_equal(loop.rows, run.rows)
    assert loop.scores.tobytes() == run.scores.tobytes()


def test_equal_documents_tie_and_go_by_row(data):
    documents, queries = data
    doubled = np.concatenate([documents, documents])
    run = LateInteractionRetriever(k=50).fit(doubled).predict(queries[:1])
    assert_array_equal(run.rows[::2] + len(documents), run.rows[1::2])
    assert_array_equal(run.scores[::2], run.scores[1::2])


def test_many_queries_are_scored_in_pieces(data, monkeypatch):
    documents, queries = data
    retriever = LateInteractionRetriever(k=20).fit(documents)
    run = retriever.predict(queries)
    monkeypatch.setattr("sklrank.retrievers._late_interaction._CELLS", 500)
    again = retriever.predict(queries)
    assert_array_equal(again.rows, run.rows)
    assert_array_equal(again.scores, run.scores)


def test_pickles_copies_and_memory_maps_rank_alike(data, tmp_path):
    documents, queries = data
    corpus = Corpus(documents, cache_folder=tmp_path)
    retriever = LateInteractionRetriever(corpus, dtype="int8", pool_factor=2, k=5).fit(queries)
    run = retriever.predict(queries)
    again = Corpus(documents, cache_folder=tmp_path)
    for other in (
        pickle.loads(pickle.dumps(retriever)),
        clone(retriever).fit(queries),
        LateInteractionRetriever(again, dtype="int8", pool_factor=2, k=5).fit(queries),
    ):
        assert_array_equal(other.predict(queries).rows, run.rows)
    assert isinstance(other._index("int8").codes.base, np.memmap)


# --- hostile data


def test_bad_vectors_are_named(data):
    documents, queries = data
    for bad, what in ((np.nan, "NaN"), (np.inf, "infinity")):
        values = documents.values.copy()
        row = int(np.flatnonzero(np.diff(documents.indptr))[3])
        values[documents.indptr[row], 3] = bad
        corpus = Corpus(TokenVectors(values, documents.indptr), ids=[f"d{i}" for i in range(200)])
        with pytest.raises(ValueError, match=f"document 'd{row}' holds .*{what}"):
            LateInteractionRetriever(corpus).fit(queries)
    retriever = LateInteractionRetriever().fit(documents)
    with pytest.raises(ValueError, match="query '0' holds NaN"):
        retriever.predict([np.full((2, 24), np.nan)])
    with pytest.raises(ValueError, match="too large for single precision"):
        LateInteractionRetriever(metric="dot").fit([np.full((2, 24), 1e30)])
    with pytest.raises(ValueError, match="float16"):
        LateInteractionRetriever(metric="dot", dtype="float16").fit([np.full((2, 24), 1e6)])
    with pytest.raises(ValueError, match="token vectors of queries have 5 features, those of the documents 24"):
        retriever.predict([np.ones((2, 5))])


def test_tiny_and_huge_vectors_have_a_direction():
    documents = [np.array([[1e-30, 0.0]]), np.array([[0.0, 1e30]]), np.zeros((3, 2))]
    run = LateInteractionRetriever().fit(documents).predict([np.array([[0.0, 1e-25]]), np.array([[-1.0, 0.0]])])
    assert run.docids == [["1", "0", "2"], ["1", "2", "0"]]
    assert_allclose(run.scores, [1, 0, 0, 0, 0, -1])


def test_texts_without_tokens_are_not_found_and_find_nothing():
    empty = np.empty((0, 2))
    documents = TokenVectors.from_list([empty, np.array([[-1.0, 0.0]]), empty])
    for dtype in FORMS:
        retriever = LateInteractionRetriever(dtype=dtype, k=9).fit(documents)
        assert retriever.predict([np.array([[1.0, 0.0]]), empty]).docids == [["1"], []]
        assert retriever.predict([empty]).docids == [[]]
        assert len(retriever.predict(TokenVectors.from_list([empty])[:0])) == 0
    none = LateInteractionRetriever(k=3).fit([empty, empty])
    assert none.predict([np.ones((1, 2))]).docids == [[]]


def test_other_input_is_refused(data):
    documents, queries = data
    with pytest.raises(TypeError, match="DenseRetriever"):
        LateInteractionRetriever(Corpus(np.ones((3, 2)))).fit(queries)
    with pytest.raises(TypeError, match="TokenVectors"):
        LateInteractionRetriever().fit(np.ones((3, 2)))
    with pytest.raises(ValueError, match="empty"):
        LateInteractionRetriever().fit(documents[:0])
    retriever = LateInteractionRetriever()
    with pytest.raises(NotFittedError):
        retriever.predict(queries)
    retriever.fit(documents)
    for bad in ("text", ["text"], np.ones((2, 24))):
        with pytest.raises(TypeError, match="TokenVectors"):
            retriever.predict(bad)
    for name, value in (("dtype", "int4"), ("rescore", -1), ("n_candidates", 0), ("k", 0)):
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            clone(retriever).set_params(**{name: value}).fit(documents)
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            clone(retriever).fit(documents).set_params(**{name: value}).predict(queries)


# --- filters


def test_filters_are_exact(data):
    documents, queries = data
    retriever = LateInteractionRetriever(k=200).fit(documents)
    full = retriever.predict(queries)
    rng = np.random.default_rng(4)
    masks = rng.random((len(queries), 200)) < 0.1
    masks[3] = False
    for given_masks, own in ((masks[0], [masks[0]] * len(queries)), (masks, masks)):
        run = retriever.predict(queries, filter=given_masks)
        for one, all_of_it, mask in zip(run, full, own):
            kept = mask[all_of_it.rows]
            assert_array_equal(one.rows, all_of_it.rows[kept])
            assert_array_equal(one.scores, all_of_it.scores[kept])
    filters = [None, ["5", "9"], *[None] * (len(queries) - 2)]
    assert {*retriever.predict(queries, filter=filters).docids[1]} <= {"5", "9"}


# --- first stages

TEXTS = [
    "heat flows from warm to cold", "cold rests", "the boundary layer", "heat of the flow", "a wing in a slipstream",
    "", "laminar flow over a plate", "heat", "warm air", "flow of heat in metal",
]  # fmt: skip


def word_vectors(texts):
    """A vector for each word, the same wherever it stands."""
    vectors = [
        [np.random.default_rng(zlib.crc32(word.encode())).standard_normal(16) for word in text.split()]
        for text in texts
    ]
    return TokenVectors.from_list([np.reshape(rows, (-1, 16)) for rows in vectors])


WORDS = FunctionTransformer(word_vectors)


def test_texts_go_through_the_encoder():
    run = LateInteractionRetriever(Corpus(TEXTS), encoder=WORDS, k=3).fit([]).predict(["heat flow", "", "warm"])
    assert run.docids[0][:2] == ["3", "9"] and run.docids[1] == [] and run.docids[2][:2] == ["0", "8"]
    assert run.name == "late_interaction"
    assert run[2].scores[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize(
    "first",
    [
        BM25Retriever(),
        BM25Retriever(Corpus(TEXTS)),
        RetrieverUnion([("bm25", BM25Retriever(Corpus(TEXTS))), ("tfidf", TfidfRetriever(Corpus(TEXTS)))]),
        make_pipeline(BM25Retriever(Corpus(TEXTS))),
    ],
    ids=["without a corpus", "with another corpus", "union", "pipeline"],
)
def test_candidates_come_from_any_retriever(first, dtype):
    corpus, queries = Corpus(TEXTS), ["heat flow", "", "unknown", "warm cold"]
    full = LateInteractionRetriever(corpus, encoder=WORDS).fit(queries).predict(queries)
    lexical = BM25Retriever(corpus).fit(queries).predict(queries)
    retriever = LateInteractionRetriever(corpus, encoder=WORDS, retriever=first, dtype=dtype).fit(queries)
    for one, all_of_it, candidates in zip(retriever.predict(queries), full, lexical):
        kept = np.isin(all_of_it.rows, candidates.rows)
        assert_array_equal(one.rows, all_of_it.rows[kept])
        assert_array_equal(one.scores, all_of_it.scores[kept])
    assert clone(retriever).get_params()["retriever"] is not first
    if "corpus" in first.get_params(deep=False):
        assert first.corpus is retriever.retriever.corpus


def test_the_first_candidates_are_taken():
    corpus, queries = Corpus(TEXTS), ["heat flow", "warm cold"]
    for first in (BM25Retriever(corpus), make_pipeline(BM25Retriever(corpus))):
        retriever = LateInteractionRetriever(corpus, encoder=WORDS, retriever=first, n_candidates=2).fit(queries)
        lexical = BM25Retriever(corpus, k=2).fit(queries).predict(queries)
        assert [sorted(docids) for docids in retriever.predict(queries).docids] == [sorted(d) for d in lexical.docids]
        retriever.set_params(n_candidates=1)
        assert retriever.predict(queries).docids == [docids[:1] for docids in lexical.docids]


def test_filters_reach_the_first_stage():
    corpus, queries = Corpus(TEXTS), ["heat flow", "warm cold"]
    retriever = LateInteractionRetriever(corpus, encoder=WORDS, retriever=BM25Retriever(), n_candidates=1).fit(queries)
    assert retriever.predict(queries, filter=["7", "1"]).docids == [["7"], ["1"]]
    union = RetrieverUnion([("bm25", BM25Retriever(corpus))])
    retriever = LateInteractionRetriever(corpus, encoder=WORDS, retriever=union, filter=["7", "1"]).fit(queries)
    assert retriever.predict(queries).docids == [["7"], ["1"]]
    for first in (make_pipeline(BM25Retriever(corpus)), BM25Retriever(Corpus(TEXTS[::-1]))):
        retriever = LateInteractionRetriever(corpus, encoder=WORDS, retriever=first).fit(queries)
        with pytest.raises(ValueError, match="set the filter on the retriever inside"):
            retriever.predict(queries, filter=["7"])


def test_parameters_of_the_first_stage_are_parameters():
    retriever = LateInteractionRetriever(Corpus(TEXTS), encoder=WORDS, retriever=BM25Retriever())
    retriever.set_params(retriever__k1=0.5, encoder__func=word_vectors)
    assert retriever.retriever.k1 == 0.5


# --- fixed-dimensional encodings


def muvera(document, query, planes, projections, n_bits, n_repetitions):
    """The inner product of a query's and a document's encoding, read from the paper (Section 2)."""

    def cell(vector, r):
        return tuple(int(side > 0) for side in vector @ planes[:, r * n_bits : (r + 1) * n_bits])

    total, width = 0.0, projections.shape[1] // n_repetitions
    for r, corner in product(range(n_repetitions), product((0, 1), repeat=n_bits)):
        project = projections[:, r * width : (r + 1) * width]
        of_query = sum((q @ project for q in query if cell(q, r) == corner), np.zeros(width))
        differences = [sum(a != b for a, b in zip(cell(p, r), corner)) for p in document]
        inside = [p @ project for p, n in zip(document, differences) if n == 0]
        total += of_query @ np.mean(inside or [document[np.argmin(differences)] @ project], axis=0)
    return total


@pytest.mark.parametrize(("n_bits", "n_components"), [(0, None), (2, 5), (3, None), (4, 8)])
def test_encodings_are_those_of_the_paper(data, n_bits, n_components):
    documents, queries = data
    settings = {"n_bits": n_bits, "n_repetitions": 3, "n_components": n_components, "random_state": 7}
    encoder = MuveraEncoder(**settings).fit(documents)
    asked = MuveraEncoder(role="query", **settings).fit(queries)
    vectors, of_queries = encoder.transform(documents), asked.transform(queries)
    assert vectors.shape == (200, 3 * 2**n_bits * (n_components or 24)) and vectors.dtype == np.float32
    for d in range(8):
        for q in range(8):
            if len(documents[d]):
                exact = muvera(documents[d], queries[q], encoder.planes_, encoder.projections_, n_bits, 3)
                assert of_queries[q] @ vectors[d] == pytest.approx(exact, rel=1e-4, abs=1e-4)
            else:
                assert not vectors[d].any()


def test_encodings_approximate_late_interaction():
    rng = np.random.default_rng(5)
    documents = TokenVectors.from_list([unit(rng.standard_normal((n, 16))) for n in rng.integers(3, 20, 60)])
    queries = TokenVectors.from_list([unit(text[:6] + 0.2 * rng.standard_normal(text[:6].shape)) for text in documents])
    exact = np.array([[maxsim(query, text) / len(query) for text in documents] for query in queries])
    agreement = []
    for n_bits, n_repetitions in ((1, 1), (3, 5), (6, 40)):
        encoder = MuveraEncoder(n_bits, n_repetitions=n_repetitions, n_components=None).fit(documents)
        of_queries = clone(encoder).set_params(role="query").fit(queries).transform(queries)
        approximate = of_queries @ encoder.transform(documents).T / np.diff(queries.indptr)[:, None]
        agreement.append(np.corrcoef(approximate.ravel(), exact.ravel())[0, 1])
    assert agreement[0] < agreement[1] < agreement[2] and agreement[2] > 0.8
    assert_array_equal(approximate.argmax(axis=1), np.arange(60))


def test_encodings_are_a_first_stage(data):
    documents, queries = data
    corpus = Corpus(documents, ids=[f"d{i}" for i in range(200)])
    encoder = MuveraEncoder(5)
    retriever = LateInteractionRetriever(corpus, retriever=encoder, n_candidates=50, k=5).fit(queries)
    asks = np.flatnonzero(np.diff(queries.indptr))
    run = retriever.predict(queries)
    assert [run.docids[i][0] for i in asks] == [f"d{i}" for i in asks]
    assert retriever.recall_against_exact(queries) > 0.5
    assert retriever.set_params(n_candidates=200).recall_against_exact(queries) == 1
    assert retriever.predict(queries, filter=["d3", "d5"]).docids[3] == ["d3", "d5"]
    vectors = encoder.fit_transform(documents)
    by_hand = DenseRetriever(Corpus(vectors, ids=corpus.ids.tolist()), metric="dot", k=1).fit([])
    of_queries = clone(encoder).set_params(role="query").fit(queries).transform(queries)
    assert [by_hand.predict(of_queries).docids[i][0] for i in asks] == [f"d{i}" for i in asks]


def test_encoders_refuse_what_they_were_not_made_for(data):
    documents, _ = data
    with pytest.raises(NotFittedError):
        MuveraEncoder().transform(documents)
    encoder = MuveraEncoder().fit(documents)
    with pytest.raises(ValueError, match="X has 5 features, but MuveraEncoder is expecting 24"):
        encoder.transform([np.ones((2, 5))])
    with pytest.raises(TypeError, match="TokenVectors"):
        encoder.transform(np.ones((3, 24)))
    with pytest.raises(ValueError, match="text 1 holds NaN"):
        encoder.transform([np.ones((2, 24)), np.full((1, 24), np.nan)])


# --- compression


def test_what_compression_keeps(data):
    documents, queries = data
    sizes = {"float32": 96, "float16": 48, "int8": 28, "binary": 8.03}
    for dtype, size in sizes.items():
        retriever = LateInteractionRetriever(dtype=dtype, k=10).fit(documents)
        assert retriever.bytes_per_token_ == pytest.approx(size, abs=0.01)
        assert retriever.recall_against_exact(queries) > (0.8 if dtype == "binary" else 0.98)
        assert get_scorer("recall_vs_exact@10")(retriever, queries) == retriever.recall_against_exact(queries, k=10)


def test_rescored_documents_have_exact_scores(data):
    documents, queries = data
    exact = LateInteractionRetriever(k=200).fit(documents).predict(queries)
    scores = [dict(zip(one.rows.tolist(), one.scores.tolist())) for one in exact]
    for dtype in ("int8", "binary", "float16"):
        run = LateInteractionRetriever(dtype=dtype, k=7, rescore=3).fit(documents).predict(queries)
        assert all(own[row] == score for one, own in zip(run, scores) for row, score in zip(one.rows, one.scores))
    corpus = Corpus(documents)
    retriever = LateInteractionRetriever(corpus, dtype="int8", rescore=0, k=7).fit(queries)
    for first in (None, MuveraEncoder(1, n_repetitions=2)):
        retriever.set_params(retriever=first).fit(queries)
        assert not corpus.has_cached((*retriever._key, "float32"))
    assert retriever.recall_against_exact(queries) > 0.95


def test_scoring_parameters_may_be_set_after_fit(data):
    documents, queries = data
    corpus = Corpus(documents)
    retriever = LateInteractionRetriever(corpus, k=5).fit(queries)
    for dtype in FORMS[1:]:
        run = retriever.set_params(dtype=dtype).predict(queries)
        assert run.docids == LateInteractionRetriever(corpus, dtype=dtype, k=5).fit(queries).predict(queries).docids


def test_pooling_leaves_fewer_tokens(data):
    documents, queries = data
    corpus = Corpus(documents)
    retriever = LateInteractionRetriever(corpus, pool_factor=2, k=15).fit(queries)
    pooled = pool_tokens(documents, 2)
    assert retriever.n_tokens_ == len(pooled.values)
    assert_exact(retriever.predict(queries), pooled, queries, 15)
    assert LateInteractionRetriever(corpus).fit(queries).n_tokens_ == len(documents.values)


# --- pooling


@st.composite
def token_lists(draw):
    d = draw(st.integers(1, 5))
    value = st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 2.0])
    matrix = st.lists(st.lists(value, min_size=d, max_size=d), max_size=12).map(lambda v: np.array(v).reshape(-1, d))
    return draw(st.lists(matrix, min_size=1, max_size=5)), draw(st.integers(1, 5))


@pytest.mark.parametrize("method", ["hierarchical", "kmeans", "sequential"])
@given(drawn=token_lists())
@example(drawn=([np.array([[1.0, 0.0], [-1.0, 0.0]])], 2))
@settings(max_examples=40)
def test_pooled_vectors_keep_their_length(method, drawn):
    texts, factor = drawn
    texts = [unit(text[text.any(axis=1)]) for text in texts]
    pooled = pool_tokens(TokenVectors.from_list(texts), factor, method=method)
    assert len(pooled) == len(texts)
    for text, rest in zip(texts, pooled):
        assert len(rest) <= -(-len(text) // factor) and bool(len(rest)) == bool(len(text))
        assert method == "kmeans" or len(rest) == -(-len(text) // factor)
    assert_allclose(np.linalg.norm(pooled.values, axis=1), 1, rtol=1e-6)


def test_hierarchical_pooling_is_wards(data):
    documents = data[0]
    for factor in (2, 3, 7):
        for text, rest in zip(documents, pool_tokens(documents, factor)):
            if len(text) < 2:
                continue
            labels = fcluster(linkage(unit(text), "ward"), -(-len(text) // factor), "maxclust")
            means = [text[labels == label].mean(axis=0) for label in dict.fromkeys(labels)]
            lengths = [np.linalg.norm(text[labels == label], axis=1).mean() for label in dict.fromkeys(labels)]
            assert_allclose(rest, unit(np.array(means)) * np.array(lengths)[:, None], rtol=1e-4, atol=1e-5)


def test_kmeans_pooling_puts_each_token_to_its_nearest_mean():
    rng = np.random.default_rng(6)
    centres = np.eye(8)[:4]
    text = unit(np.repeat(centres, 5, axis=0) + 0.05 * rng.standard_normal((20, 8)))
    pooled = pool_tokens(TokenVectors.from_list([text]), 5, method="kmeans")[0]
    assert_allclose(pooled, unit(text.reshape(4, 5, 8).mean(axis=1)), atol=1e-6)


def test_sequential_pooling_takes_neighbours():
    text = unit(np.random.default_rng(7).standard_normal((7, 3)))
    pooled = pool_tokens(TokenVectors.from_list([text]), 3, method="sequential")[0]
    means = [text[start:stop].mean(axis=0) for start, stop in ((0, 3), (3, 5), (5, 7))]
    assert_allclose(pooled, unit(np.stack(means)), atol=1e-6)


@pytest.mark.parametrize("method", ["hierarchical", "kmeans"])
def test_threads_and_blocks_pool_alike(data, method, monkeypatch):
    documents = data[0]
    pooled = pool_tokens(documents, 3, method=method)
    monkeypatch.setattr("sklrank.retrievers._pooling._BLOCK", 7)
    again = pool_tokens(documents, 3, method=method, n_jobs=2)
    assert_array_equal(again.indptr, pooled.indptr)
    assert_array_equal(again.values, pooled.values)
    assert pool_tokens(documents, 1).values.shape == documents.values.shape
    with pytest.raises(ValueError, match="'method' parameter"):
        pool_tokens(documents, 3, method="none")


# --- what is shared


def test_documents_are_encoded_once():
    calls = []

    def counted(texts):
        calls.append(len(texts))
        return word_vectors(texts)

    corpus = Corpus(TEXTS)
    encoder = FunctionTransformer(counted)
    retriever = LateInteractionRetriever(corpus, encoder=encoder, retriever=MuveraEncoder()).fit(["heat"])
    for parameters in ({"dtype": "int8"}, {"pool_factor": 2}, {"retriever": None}, {"metric": "dot"}):
        clone(retriever).set_params(**parameters).fit(["heat"])
    assert calls == [len(TEXTS)]


def test_queries_may_bring_texts_and_vectors():
    corpus = Corpus(TEXTS).with_columns(tokens=word_vectors(TEXTS))
    texts = ["heat flow", "warm cold"]
    queries = Queries({"q1": {"text": texts[0]}, "q2": {"text": texts[1]}})
    encoded = LateInteractionRetriever(corpus, encoder=WORDS, k=3).fit(queries).predict(queries)
    given_vectors = LateInteractionRetriever(corpus, field="tokens", k=3).fit([]).predict(word_vectors(texts))
    assert given_vectors.docids == encoded.docids
    assert encoded.qids.tolist() == ["q1", "q2"]


def test_eight_threads_at_once(data):
    documents, queries = data
    corpus = Corpus(documents)

    def ask(_):
        retriever = LateInteractionRetriever(corpus, pool_factor=2, dtype="int8", retriever=MuveraEncoder(2))
        return retriever.fit(queries).predict(queries)

    with ThreadPoolExecutor(8) as pool:
        assert len({run.scores.tobytes() for run in pool.map(ask, range(16))}) == 1


def test_a_list_of_matrices_is_a_corpus():
    matrices = [np.eye(4)[:2], np.eye(4)[1:]]
    for documents in (matrices, [matrix.tolist() for matrix in matrices], matrices[:1] * 2):
        run = LateInteractionRetriever(documents).fit(None).predict([np.eye(4)[:1]])
        assert run.docids == [["0", "1"]]
        assert Corpus(documents).matrix().n_features == 4
    assert Queries(matrices).matrix.n_features == 4
    with pytest.raises(
        ValueError, match=r"expected vectors of one length, got documents with the shapes \(2,\), \(3,\)"
    ):
        Corpus([[1.0, 2.0], [1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match="as many columns"):
        Corpus([np.ones((2, 3)), np.ones((2, 4))])


def test_the_metric_is_that_of_fit(data):
    documents, queries = data
    retriever = LateInteractionRetriever(k=3).fit(documents)
    for one in (retriever, pickle.loads(pickle.dumps(retriever))):
        with pytest.raises(ValueError, match="metric= was changed after fit: fit again"):
            one.set_params(metric="dot").predict(queries)
        with pytest.raises(ValueError, match="The 'metric' parameter"):
            one.set_params(metric="euclidean").predict(queries)


def test_recall_counts_ties_and_leaves_out_queries_without_answers(data):
    documents, queries = data
    twice = TokenVectors.from_list([documents[i] for i in range(len(documents)) if len(documents[i])] * 2)
    retriever = LateInteractionRetriever(twice, dtype="int8", rescore=0, k=1).fit(queries)
    exact = LateInteractionRetriever(twice, k=1).fit(queries)
    share = np.mean(retriever.predict(queries).rows % (len(twice) // 2) == exact.predict(queries).rows)
    assert retriever.recall_against_exact(queries) == pytest.approx(share)
    assert np.isnan(retriever.recall_against_exact(queries, filter=np.zeros(len(twice), dtype=bool)))
    masks = np.zeros((len(queries), len(twice)), dtype=bool)
    masks[0, :1] = True
    assert exact.recall_against_exact(queries, filter=masks) == 1
