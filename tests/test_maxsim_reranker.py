"""MaxSim on candidates: against its definition, and against the retriever that compares all documents."""

import pickle
import sys
from types import ModuleType

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklrank.rerankers._maxsim as module
from sklrank import Corpus, Queries, Run
from sklrank import _session as sessions
from sklrank._caching import Recent
from sklrank._maxsim import TokenIndex, of_like_length
from sklrank._session import DeviceTokens
from sklrank._session._maxsim import maxsim_graph
from sklrank.data import TokenVectors
from sklrank.encoders import OnnxTokenEncoder
from sklrank.inspection import alignment
from sklrank.rerankers import MaxSimReranker, _maxsim_arrays, maxsim
from sklrank.retrievers import BM25Retriever, LateInteractionRetriever, pool_tokens

HASHED = HashingVectorizer(n_features=64, alternate_sign=False)


def word_vectors(texts):
    """A matrix for each text, a row for each word."""
    return TokenVectors.from_list([HASHED.transform(["", *text.split()]).toarray()[1:] for text in texts])


WORDS = FunctionTransformer(word_vectors)


def collection(n=40, n_queries=5, n_features=24, seed=0, shortest=1):
    rng = np.random.default_rng(seed)
    documents = TokenVectors.from_list([rng.normal(size=(m, n_features)) for m in rng.integers(shortest, 20, size=n)])
    queries = TokenVectors.from_list([rng.normal(size=(m, n_features)) for m in rng.integers(1, 9, size=n_queries)])
    corpus = Corpus(documents)
    scores = rng.random((n_queries, n))
    return corpus, documents, queries, Run(scores, corpus=corpus, queries=Queries(queries))


def by_definition(query, document, metric="dot", weights=1):
    if metric == "cosine":
        query, document = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, document))
    return (weights * (query @ document.T).max(axis=1)).sum() if len(document) else -np.inf


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_scores_are_the_definition(metric):
    _, documents, queries, run = collection()
    new = MaxSimReranker(metric=metric).transform(run)
    for q in range(len(run)):
        expected = [by_definition(queries[q], documents[d], metric) for d in new[q].rows]
        np.testing.assert_allclose(new[q].scores, expected, rtol=1e-5)
        assert sorted(new[q].rows) == list(range(40))


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_it_is_the_retriever_over_its_candidates(metric):
    corpus, _, queries, run = collection(shortest=0)
    found = LateInteractionRetriever(corpus, metric=metric).fit(queries).predict(queries)
    for reranker in (MaxSimReranker(metric=metric), MaxSimReranker(metric=metric, n_jobs=2)):
        new = reranker.transform(run)
        assert [ids[: len(some)] for ids, some in zip(new.docids, found.docids)] == found.docids
        assert all((new[q].scores[: len(found[q].rows)] == found[q].scores).all() for q in range(len(run)))


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_columns_in_fewer_bytes(dtype):
    corpus, documents, queries, run = collection()
    values = documents.values.astype(np.float16) if dtype == "float16" else np.rint(documents.values * 40)
    stored = TokenVectors(values.astype(dtype), documents.indptr)
    run = run.with_corpus(Corpus(["text"] * 40).with_columns(tokens=stored))
    new = MaxSimReranker(field="tokens").transform(run)
    for q in range(len(run)):
        expected = [by_definition(queries[q], stored[d].astype(float), "cosine") for d in new[q].rows]
        np.testing.assert_allclose(new[q].scores, expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_padding_is_left_out(dtype):
    rng = np.random.default_rng(0)
    values, mask = (rng.normal(size=(40, 7, 24)) * 9).astype(dtype), rng.random((40, 7)) < 0.6
    mask[3] = False
    tokens = TokenVectors.from_padded(values, mask.astype(int))
    assert tokens.values.dtype == dtype and len(tokens[3]) == 0
    assert all((text == padded[kept]).all() for text, padded, kept in zip(tokens, values, mask))
    _, _, queries, run = collection()
    run = run.with_corpus(Corpus(["text"] * 40).with_columns(tokens=tokens))
    new = MaxSimReranker(field="tokens", metric="dot").transform(run)
    expected = [by_definition(queries[0], values[d][mask[d]].astype(float)) for d in new[0].rows]
    np.testing.assert_allclose(new[0].scores, expected, rtol=1e-5)
    assert len(TokenVectors.from_padded(values[:0], mask[:0])) == 0


def test_masks_that_are_none():
    values = np.ones((2, 3, 4))
    for mask, message in (
        (np.ones((2, 2)), r"got \(2, 3, 4\) and \(2, 2\)"),
        (np.ones((2, 3, 4)), r"a mask of shape \(n_texts, longest\), got"),
        (np.full((2, 3), 0.5), "0 and 1"),
        (np.full((2, 3), -np.inf), "0 and 1"),
        (np.full((2, 3), np.nan), "0 and 1"),
    ):
        with pytest.raises(ValueError, match=message):
            TokenVectors.from_padded(values, mask)
    with pytest.raises(ValueError, match="longest"):
        TokenVectors.from_padded(values[0], np.ones((2, 3)))


def test_candidates_alone_and_all_tokens_score_alike():
    corpus, documents, queries, run = collection(shortest=0)
    texts = [str(i) for i in range(40)]
    encoder = FunctionTransformer(lambda given: documents[[int(text) for text in given]])
    of_texts = run.with_corpus(Corpus(texts))
    new = MaxSimReranker(encoder, FunctionTransformer(lambda given: queries[list(map(int, given))]), depth=9)
    named = Run.from_ragged(
        of_texts.indptr, of_texts.rows, of_texts.scores, queries=Queries(list("01234")), corpus=of_texts.corpus
    )
    few, whole = new.transform(named), MaxSimReranker(depth=9).transform(run)
    assert few.docids == whole.docids and (few.scores == whole.scores).all()


def test_blocks_of_memory_change_nothing(monkeypatch):
    _, _, _, run = collection(shortest=0)
    whole = MaxSimReranker().transform(run)
    monkeypatch.setattr(module, "_CELLS", 1)
    small = MaxSimReranker().transform(run)
    assert np.array_equal(small.scores, whole.scores) and small.docids == whole.docids


def test_encoder_sees_candidates_once():
    seen = []

    def watched(texts):
        seen.extend(texts)
        return word_vectors(texts)

    corpus = Corpus(["heat flow", "heat flows in a plate", "cold wing", "wing"])
    pipe = make_pipeline(BM25Retriever(corpus), MaxSimReranker(FunctionTransformer(watched), WORDS, field="text"))
    run = pipe.fit(["heat flow"]).predict(["flow of heat"])
    pipe.predict(["flow of heat"])
    assert run.docids == [["0", "1"]] and seen[-2:] == ["heat flow", "heat flows in a plate"]
    assert len(seen) <= 3  # the first text, by which the encoder was fitted
    assert run.scores[0] == pytest.approx(2)


def test_columns_of_tokens_and_queries_of_text():
    corpus = Corpus(["heat flow", "cold wing"])
    with_tokens = corpus.with_columns(tokens=word_vectors(["heat flow", "cold wing"]))
    run = Run([{"0": 2.0, "1": 3.0}], corpus=with_tokens, queries=["heat"])
    assert MaxSimReranker(query_encoder=WORDS, field="tokens").transform(run).docids == [["0", "1"]]
    assert clone(MaxSimReranker(WORDS)).fit_transform(run).docids == [["0", "1"]]


def test_weights_of_query_tokens():
    corpus = Corpus(["heat", "wing"])
    queries = Queries([{"text": "heat wing", "weights": [1.0, 3.0]}, {"text": "wing heat wing", "weights": [0, 1, 0]}])
    run = Run([{"0": 2.0, "1": 1.0}] * 2, corpus=corpus, queries=queries)
    new = MaxSimReranker(WORDS, query_weights="weights").transform(run)
    assert new.docids == [["1", "0"], ["0", "1"]] and new.scores.tolist() == [3, 1, 1, 0]
    again = MaxSimReranker(WORDS, query_weights=lambda text: [w != "wing" for w in text.split()]).transform(run)
    assert again.scores.tolist() == [1, 0, 1, 0]
    with pytest.raises(ValueError, match="2 tokens of query '0', got weights of shape"):
        MaxSimReranker(WORDS, query_weights=lambda text: [1.0]).transform(run)


def test_nothing_to_compare():
    corpus = Corpus(["heat", "", "wing"])
    run = Run([["0", "1", "2"], ["2", "1"], []], corpus=corpus, queries=["wing", "", "heat"])
    new = MaxSimReranker(WORDS).transform(run)
    assert new.docids == [["2", "0", "1"], ["2", "1"], []]
    assert new.scores.tolist() == [1, 0, -np.inf, 0, -np.inf]
    assert len(MaxSimReranker(WORDS).transform(run[:0])) == 0


def test_wrong_input_says_so():
    corpus, documents, _, run = collection()
    texts = Run([{"0": 1.0}], corpus=Corpus(["heat"]), queries=["heat"])

    def narrow(texts):
        return TokenVectors.from_list([np.ones((1, 3)) for _ in texts])

    nan = TokenVectors(np.full_like(documents.values, np.nan), documents.indptr)
    for call, message in (
        (lambda: MaxSimReranker().transform(Run([["0"]], corpus=corpus, queries=["heat"])), "query_encoder="),
        (lambda: MaxSimReranker().transform(Run([["0"]], corpus=Corpus(nan), queries=run.queries[:1])), "document '0'"),
        (
            lambda: MaxSimReranker(WORDS, FunctionTransformer(narrow)).transform(texts),
            "features, but those of documents",
        ),
        (lambda: MaxSimReranker(metric="l2").transform(texts), "metric"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="DenseReranker"):
        MaxSimReranker(HASHED).transform(texts)


def test_explanations_add_up_to_the_score(model_folder, monkeypatch):
    monkeypatch.chdir(model_folder)
    documents, queries = (OnnxTokenEncoder("model.onnx", role=role, query_length=8) for role in ("document", "query"))
    corpus = Corpus({"a": "Heat, and flow.", "b": "laminar flow over a plate"})
    run = Run({"q": ["a", "b"]}, corpus=corpus, queries={"q": "heat transfer"})
    reranker = MaxSimReranker(documents, queries)
    new = reranker.transform(run)
    for docid, score in zip(new.docids[0], new.scores):
        matched = alignment(reranker, run, docid, "q")
        assert matched.score == pytest.approx(score, rel=1e-5)
        assert matched.query_tokens[-1] == "[MASK]" and len(matched.query_tokens) == 8
        assert "," not in matched.document_tokens and matched.document_tokens[0] == "[CLS]"
        assert sum(abs(row["share"]) for row in matched.rows) == pytest.approx(1)
        assert matched.similarities.shape == (8, len(matched.document_tokens))
        assert len(matched.to_frame()) == 8 and "[CLS]" in str(matched) and "<table>" in matched._repr_html_()
    with pytest.raises(ValueError, match="no query 'r'"):
        alignment(reranker, run, "a", "r")


def test_explanations_take_ids_that_are_numbers():
    run = Run([{"7": 1.0}], corpus=Corpus({"7": "heat"}), queries=["heat"])
    matched = alignment(MaxSimReranker(WORDS), run, 7)
    assert matched.docid == "7" and "<p>document 7, score 1</p>" in matched._repr_html_()
    assert repr(matched) == "<Alignment: document 7, 1 query tokens, score 1>"
    with pytest.raises(ValueError, match="document ids are not among"):
        alignment(MaxSimReranker(WORDS), run, 8)


# --- fewer tokens


def test_pooled_tokens_are_those_of_the_retriever():
    corpus, documents, queries, run = collection(shortest=0)
    found = LateInteractionRetriever(corpus, pool_factor=2).fit(queries).predict(queries)
    new = MaxSimReranker(pool_factor=2).transform(run)
    assert [ids[: len(some)] for ids, some in zip(new.docids, found.docids)] == found.docids
    assert all((new[q].scores[: len(found[q].rows)] == found[q].scores).all() for q in range(len(run)))
    pooled = run.with_corpus(Corpus(pool_tokens(documents, 2)))
    assert np.array_equal(MaxSimReranker().transform(pooled).scores, new.scores)
    docid, score = new.docids[0][0], new.scores[0]
    assert alignment(MaxSimReranker(pool_factor=2), run, docid).score == pytest.approx(score, rel=1e-5)


def test_candidates_are_pooled_as_the_whole_is():
    _, documents, queries, run = collection()
    encoder = FunctionTransformer(lambda given: documents[[int(text) for text in given]])
    of_queries = FunctionTransformer(lambda given: queries[list(map(int, given))])
    texts = Corpus([str(i) for i in range(40)])
    named = Run.from_ragged(run.indptr, run.rows, run.scores, queries=Queries(list("01234")), corpus=texts)
    few = MaxSimReranker(encoder, of_queries, pool_factor=3, depth=9).transform(named)
    assert np.array_equal(few.scores, MaxSimReranker(pool_factor=3, depth=9).transform(run).scores)


# --- on a device: the graph that runs on CUDA, on the CPU


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=9),
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
    st.sampled_from(["float32", "float16", "int8"]),
    st.sampled_from([1, 60, 1 << 25]),
    st.integers(0, 99),
)
def test_the_graph_scores_as_the_kernel_does(lengths, asked, dtype, cells, seed):
    rng = np.random.default_rng(seed)
    indptr, q_indptr = (np.cumsum([0, *sizes]) for sizes in (lengths, asked))
    values = np.rint(rng.normal(size=(indptr[-1], 5)) * 3)  # few numbers, so that there are ties and zeros
    scales = rng.random(len(values)) if seed % 2 else None
    queries, weights = np.float32(rng.normal(size=(q_indptr[-1], 5))), np.float32(rng.normal(size=q_indptr[-1]))
    filled = np.flatnonzero(lengths)
    rows = [rng.permutation(filled)[: rng.integers(len(filled) + 1)] for _ in asked]
    pairs = queries, q_indptr, np.cumsum([0, *map(len, rows)]), np.concatenate(rows), weights
    scaled = np.float32(values if scales is None else values * scales[:, None])
    expected = TokenIndex.of(scaled, indptr).score_pairs(*pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions._maxsim, "_CELLS", cells)
        found = DeviceTokens(values.astype(dtype), indptr, "cpu", scales).score_pairs(*pairs)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_groups_hold_each_text_once_and_no_more_tokens_than_asked_for():
    lengths = np.random.default_rng(0).integers(1, 50, size=300)
    groups = list(of_like_length(lengths, 200))
    assert np.array_equal(np.sort(np.concatenate([texts for texts, _ in groups])), np.arange(300))
    assert all(longest == lengths[texts].max() and len(texts) * longest <= 200 for texts, longest in groups)
    assert [len(texts) for texts, _ in of_like_length(lengths, 1)] == [1] * 300
    assert list(of_like_length(lengths[:0], 200)) == []


class OnDevice(FunctionTransformer):
    """An encoder that says that it runs on CUDA."""

    device_ = "cuda:1"


@pytest.fixture
def device(monkeypatch):
    """A CUDA device that is the CPU: which devices models were opened on, and what was copied there."""
    seen = {"opened": [], "copied": []}
    start, place = sessions._open_session.open_session, DeviceTokens._placed

    def opened(source, device, providers):
        seen["opened"].append(device)
        return start(source, "cpu")

    def placed(self, array):
        seen["copied"].append((array.dtype.name, array.shape))
        return place(self, array)

    monkeypatch.setattr(sessions._open_session, "open_session", opened)
    monkeypatch.setattr(DeviceTokens, "_placed", placed)
    monkeypatch.setattr(sessions._open_session, "_OPEN", Recent(sessions._open_session._OPEN.n))
    return seen


def on_device(run, queries, encoder=None, **parameters):
    """Candidates reranked where an encoder of the queries says that it runs on CUDA, and on the CPU."""
    named = Run.from_ragged(run.indptr, run.rows, run.scores, queries=Queries(list("01234")), corpus=run.corpus)

    def encode(given):
        return queries[list(map(int, given))]

    return [
        MaxSimReranker(encoder and kind(encoder), FrozenEstimator(kind(encode)), **parameters).transform(named)
        for kind in (OnDevice, FunctionTransformer)
    ]


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_tokens_of_the_corpus_stay_on_the_device(device, dtype, metric):
    corpus, documents, queries, run = collection(shortest=0)
    documents.values[:2] = 0
    values = documents.values.astype(np.float16) if dtype == "float16" else np.rint(documents.values * 40)
    stored = TokenVectors((documents.values if dtype == "float32" else values).astype(dtype), documents.indptr)
    run = run.with_corpus(Corpus(["text"] * 40).with_columns(tokens=stored))
    for _ in range(2):
        there, here = on_device(run, queries, field="tokens", metric=metric)
        np.testing.assert_allclose(np.sort(there.scores), np.sort(here.scores), rtol=1e-5, atol=1e-5)
        assert [ids[:5] for ids in there.docids] == [ids[:5] for ids in here.docids]
    assert set(device["opened"]) == {"cuda:1"}
    assert device["copied"].count((dtype, stored.values.shape)) == 1
    assert len(pickle.loads(pickle.dumps(run.corpus))) == 40


def test_candidates_are_scored_on_the_device_of_the_encoder(device):
    _, documents, queries, run = collection(shortest=0)
    run = run.with_corpus(Corpus([str(i) for i in range(40)]))

    documents = TokenVectors(documents.values.astype(np.float32), documents.indptr)

    def encode(given):
        return documents[[int(text) for text in given]]

    for parameters in ({}, {"pool_factor": 2}, {"query_weights": lambda text: np.arange(len(queries[int(text)]))}):
        there, here = on_device(run, queries, encode, depth=9, **parameters)
        assert there.docids == here.docids
        np.testing.assert_allclose(there.scores, here.scores, rtol=1e-5)
    assert set(device["opened"]) == {"cuda:1"}
    retriever = LateInteractionRetriever(run.corpus, encoder=OnDevice(encode)).fit(["0"])  # encodes all documents
    before = len(device["copied"])
    for _ in range(2):
        there, here = on_device(run, queries, encode, depth=9)
        assert there.docids == here.docids
    assert device["copied"][before:].count(("float32", retriever.encoded_.output.values.shape)) == 1


def test_documents_without_tokens_have_no_place_on_a_device(device):
    corpus = Corpus(["heat", "", "wing"])
    run = Run([["0", "1", "2"], ["1"], []], corpus=corpus, queries=["wing", "", "heat"])
    new = MaxSimReranker(OnDevice(word_vectors)).transform(run)
    assert new.docids == [["2", "0", "1"], ["1"], []] and new.scores.tolist() == [1, 0, -np.inf, -np.inf]


def test_a_device_needs_onnx(device, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    maxsim_graph.cache_clear()
    _, _, queries, run = collection()
    with pytest.raises(ImportError, match="this needs onnx, .*: pip install onnx"):
        on_device(run, queries)


# --- the function


@settings(max_examples=30)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=12), st.integers(0, 6), st.booleans(), st.integers(0, 99))
def test_function_is_the_definition_for_every_library(lengths, n, weighted, seed):
    rng = np.random.default_rng(seed)
    tokens = TokenVectors(rng.normal(size=(sum(lengths), 7)), np.cumsum([0, *lengths]))
    query, weights = rng.normal(size=(n, 7)), rng.random(n) if weighted else None
    expected = [by_definition(query, document, weights=1 if weights is None else weights) for document in tokens]
    found = maxsim(query, tokens.values, tokens.indptr, weights=weights)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    Q, D = array_api_strict.asarray(query), array_api_strict.asarray(tokens.values)
    if weights is not None and seed % 2:
        weights = array_api_strict.asarray(weights)
    elsewhere = maxsim(Q, D, array_api_strict.asarray(tokens.indptr), weights=weights)
    assert isinstance(elsewhere, type(D)) and elsewhere.dtype == array_api_strict.float64
    np.testing.assert_allclose(np.asarray(elsewhere), expected, rtol=1e-12)


class CuPyArray:
    """What cupy.ndarray has, and numpy.ndarray would have it otherwise: no namespace, and `get`."""

    device = "<CUDA Device 0>"

    def __init__(self, values):
        self.values = np.asarray(values)
        self.shape, self.ndim, self.dtype = self.values.shape, self.values.ndim, self.values.dtype

    @property
    def T(self):
        return CuPyArray(self.values.T)

    def __mul__(self, other):
        return CuPyArray(self.values * other.values)

    def get(self):
        return self.values


def test_function_by_what_cupy_has(monkeypatch):
    cupy = ModuleType("cupy")

    def of_numpy(name):
        def function(*arrays, **options):
            arrays = [a.values if isinstance(a, CuPyArray) else a for a in arrays]
            return CuPyArray(getattr(np, name)(*arrays, **options))

        return function

    for name in ("matmul", "amax", "sum", "reshape", "take"):
        setattr(cupy, name, of_numpy(name))
    cupy.max = cupy.amax
    cupy.asarray = lambda a, dtype=None, order=None, *, blocking=False: CuPyArray(  # without device=, until CuPy 14
        np.asarray(getattr(a, "values", a), dtype=dtype)
    )
    cupy.concatenate = lambda arrays, axis=0: CuPyArray(np.concatenate([a.values for a in arrays], axis=axis))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(CuPyArray, "__module__", "cupy")
    _, documents, queries, _ = collection(shortest=0)
    indptr, D = CuPyArray(documents.indptr), CuPyArray(documents.values.astype(np.float32))
    expected = maxsim(queries[0], documents.values, documents.indptr)
    monkeypatch.setattr(_maxsim_arrays, "_GROUP", 200)
    for Q in (queries[0], CuPyArray(queries[0])):
        found = maxsim(Q, D, indptr, weights=np.ones(len(queries[0])))
        assert isinstance(found, CuPyArray) and found.dtype == np.float32
        np.testing.assert_allclose(found.get(), expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.int8])
def test_function_in_fewer_bytes(dtype):
    rng = np.random.default_rng(0)
    D, Q = (rng.normal(size=(30, 16)) * 10).astype(dtype), rng.normal(size=(4, 16))
    expected = [by_definition(Q, D[i : i + 10].astype(float)) for i in (0, 10, 20)]
    np.testing.assert_allclose(maxsim(Q, D, [0, 10, 20, 30]), expected, rtol=1e-5)


def test_function_refuses_what_does_not_fit():
    D = np.ones((3, 2))
    for arguments, message in (
        ((np.ones(2), D, [0, 3]), "expected Q to have shape"),
        ((np.ones((1, 3)), D, [0, 3]), "3 features, but those of D have 2"),
        ((np.ones((1, 2)), D, [0, 2]), "indptr"),
        ((np.ones((1, 2)), D * np.nan, [0, 3]), "NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            maxsim(*arguments)
    with pytest.raises(ValueError, match="weights have shape"):
        maxsim(np.ones((1, 2)), D, [0, 3], weights=[1, 2])
    with pytest.raises(ValueError, match="weights hold NaN"):
        maxsim(np.ones((1, 2)), D, [0, 3], weights=[np.nan])
    with pytest.raises(TypeError, match="a reranker takes a Run, got a list"):
        alignment(MaxSimReranker(), ["heat"], "0")
    strict = array_api_strict.asarray(D)
    with pytest.raises(ValueError, match="weights have shape"):
        maxsim(strict, strict, [0, 3], weights=[1.0, 2.0])
    with pytest.raises(TypeError, match="floating"):
        maxsim(strict, array_api_strict.asarray(D.astype(int)), [0, 3])
