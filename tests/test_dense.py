"""Dense search against plain scoring of every document in double precision, and against faiss."""

import os
import pickle
import subprocess
import sys
import textwrap

import faiss
import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import GridSearchCV

from sklrank import Corpus, Queries
from sklrank._kernels import _dense, _instructions, _quantized
from sklrank.metrics import get_scorer
from sklrank.retrievers import DenseRetriever
from sklrank.retrievers._quantization import BinaryCodes, FloatCodes, Int8Codes

METRICS = ("cosine", "dot", "euclidean")
DTYPES = ("float32", "float16", "int8", "binary")


def exact_scores(queries, documents, metric):
    """Scores of all documents in double precision, rounded once."""
    q, d = (np.asarray(vectors, dtype=np.float32) for vectors in (queries, documents))
    if metric == "cosine":
        q, d = (x / np.maximum(np.linalg.norm(x.astype(float), axis=1, keepdims=True), 1e-300) for x in (q, d))
        q, d = q.astype(np.float32), d.astype(np.float32)
    q, d = q.astype(float), d.astype(float)
    if metric == "euclidean":
        return -np.sqrt(((q[:, None] - d) ** 2).sum(axis=2)).astype(np.float32)
    return np.einsum("ij,kj->ik", q, d).astype(np.float32)


def exact_ranking(queries, documents, metric, k):
    """Rows and scores by score, then row."""
    scores = exact_scores(queries, documents, metric)
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(scores, rows, axis=1)


def found(run):
    """Rows and scores of rankings of equal length."""
    return run.rows.reshape(len(run), -1), run.scores.reshape(len(run), -1)


def same(run, other):
    return run.rows.tolist() == other.rows.tolist() and run.scores.tobytes() == other.scores.tobytes()


def check(queries, documents, metric, k, **params):
    """The exact ranking; where scores are sums of small integers, to the last bit."""
    run = DenseRetriever(metric=metric, k=k, **params).fit(documents).predict(queries)
    rows, scores = exact_ranking(queries, documents, metric, k)
    np.testing.assert_array_equal(found(run)[0], rows)
    np.testing.assert_allclose(found(run)[1], scores, rtol=2e-7, atol=1e-30)
    return run


@pytest.fixture(scope="module")
def clouds():
    """Anisotropic vectors in clusters, as encoders make them, some of them repeated, and queries among them."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(40, 48)) * 0.9 ** np.arange(48)
    documents = (centers[rng.integers(40, size=3000)] + 0.3 * rng.normal(size=(3000, 48)) + 0.5).astype(np.float32)
    documents[rng.integers(3000, size=300)] = documents[rng.integers(3000, size=300)]
    queries = (documents[rng.integers(3000, size=60)] + 0.2 * rng.normal(size=(60, 48))).astype(np.float32)
    queries[7] = 0
    documents[[5, 1700]] = 0
    return documents, queries


small = st.integers(-2, 2).map(float)


@st.composite
def vectors(draw):
    d, n, m = draw(st.integers(1, 9)), draw(st.integers(1, 40)), draw(st.integers(1, 6))
    numbers = st.lists(small, min_size=(n + m) * d, max_size=(n + m) * d)
    both = np.array(draw(numbers), dtype=np.float32).reshape(n + m, d)
    return both[:n], both[n:]


# --- the exact ranking


@settings(max_examples=40)
@given(vectors(), st.sampled_from(METRICS), st.sampled_from(DTYPES), st.integers(1, 50))
def test_ties_go_to_the_lower_row(pair, metric, dtype, k):
    documents, queries = pair
    # as many candidates as documents, so that compressed vectors change nothing
    check(queries, documents, metric, k, dtype=dtype, rescore=float(len(documents)))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("k", [1, 100, 5000])
def test_the_ranking_is_that_of_double_precision(clouds, metric, dtype, k):
    documents, queries = clouds
    check(queries, documents, metric, k, dtype=dtype)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_neither_batch_nor_threads_nor_form_change_a_bit(clouds, metric, dtype, tmp_path):
    documents, queries = clouds
    retriever = DenseRetriever(metric=metric, dtype=dtype, k=20).fit(documents)
    run = retriever.predict(queries)
    assert same(np.concatenate([retriever.predict(queries[i : i + 1]) for i in range(len(queries))]), run)
    assert same(np.concatenate([retriever.predict(queries[:33]), retriever.predict(queries[33:])]), run)
    assert same(retriever.set_params(n_jobs=2).predict(queries), run)
    mapped = np.memmap(tmp_path / "vectors", dtype=np.float32, mode="w+", shape=documents.shape)
    mapped[:] = documents
    mapped.flush()
    read = np.memmap(tmp_path / "vectors", dtype=np.float32, mode="r", shape=documents.shape)
    frozen = queries.copy()
    frozen.flags.writeable = False
    for form in (read, np.asfortranarray(documents), documents.astype(np.float64), documents.tolist()):
        other = DenseRetriever(Corpus(np.asarray(form)), metric=metric, dtype=dtype, k=20).fit(frozen)
        assert same(other.predict(frozen), run)
        assert same(other.predict(np.repeat(queries, 2, axis=0)[::2].astype(np.float64)), run)
    assert same(pickle.loads(pickle.dumps(retriever)).predict(queries), run)


def test_many_queries_are_searched_in_several_parts():
    rng = np.random.default_rng(0)
    documents, queries = (rng.integers(-2, 3, size=(n, 5)).astype(np.float32) for n in (300, 1100))
    check(queries, documents, "dot", 4)
    check(queries, documents, "euclidean", 4, n_jobs=2)


@pytest.mark.parametrize("metric", METRICS)
def test_what_rounding_cannot_tell_apart_is_settled(metric):
    rng = np.random.default_rng(1)
    # far from the origin and close together: products in single precision know next to nothing
    documents = np.float32(1000) + rng.integers(-3, 4, size=(4000, 16)).astype(np.float32) / 64
    documents[2500:] = documents[0]
    queries = documents[[0, 17, 3999]] + np.float32(1 / 32)
    check(queries, documents, metric, 30)
    check(queries, documents, metric, 2000)


def test_equal_documents_tie_in_large_batches():
    documents = np.tile(np.random.default_rng(0).normal(size=(1, 100)), (5000, 1))
    queries = np.random.default_rng(1).normal(size=(70, 100))
    queries[3] = 0
    for metric in METRICS:
        rows, scores = found(DenseRetriever(metric=metric, k=10).fit(documents).predict(queries))
        assert (rows == np.arange(10)).all()
        assert (scores == scores[:, :1]).all()


@pytest.mark.parametrize("metric", METRICS)
def test_equal_to_faiss(clouds, metric):
    documents, queries = clouds
    queries = queries[[i for i in range(60) if i != 7]]
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9) for x in (documents, queries)]
    d, q = unit if metric == "cosine" else (documents, queries)
    index = faiss.IndexFlatL2(48) if metric == "euclidean" else faiss.IndexFlatIP(48)
    index.add(d)
    values, rows = index.search(q, 50)
    theirs = -np.sqrt(np.maximum(values, 0)) if metric == "euclidean" else values
    ours = DenseRetriever(metric=metric, k=50).fit(documents).predict(queries)
    np.testing.assert_allclose(found(ours)[1], theirs, rtol=1e-4, atol=1e-4)
    above = theirs > theirs[:, -1:] + 1e-3
    for mine, their, sure in zip(found(ours)[0], rows, above):
        assert set(their[sure]) <= set(mine)


@pytest.mark.parametrize("exponent", [-83, -33, 50])
def test_tiny_and_huge_vectors(exponent):
    rng = np.random.default_rng(0)
    documents, queries = (rng.integers(-4, 5, size=(n, 6)).astype(np.float32) for n in (500, 5))
    scale = np.float32(2.0**exponent)
    for metric in ("cosine", "euclidean"):
        for dtype in ("float32", "float16"):
            rows, _ = exact_ranking(queries, documents, metric, 7)
            run = DenseRetriever(metric=metric, dtype=dtype, k=7).fit(documents * scale).predict(queries * scale)
            np.testing.assert_array_equal(found(run)[0], rows)


# --- edges


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("metric", METRICS)
def test_one_document_and_zero_vectors(dtype, metric):
    retriever = DenseRetriever(metric=metric, dtype=dtype).fit([[1.0, 2.0, 2.0]])
    scores = {"cosine": [0, 1], "dot": [0, 9], "euclidean": [-3, 0]}[metric]
    assert retriever.predict([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]]).scores == pytest.approx(scores)
    zeros = DenseRetriever(metric=metric, dtype=dtype).fit(np.zeros((3, 2)))
    assert zeros.predict([[1.0, 0.0], [0.0, 0.0]]).rows.tolist() == [0, 1, 2] * 2
    assert len(zeros.predict(Queries(np.zeros((0, 2))))) == 0


def test_what_cannot_be_searched_says_why():
    retriever = DenseRetriever().fit(np.eye(3))
    with pytest.raises(ValueError, match="4 features"):
        retriever.predict(np.eye(4))
    with pytest.raises(ValueError, match="4 dimensions, the documents 3"):
        DenseRetriever(Corpus(np.eye(3))).fit(None).predict(Queries(np.eye(4)))
    with pytest.raises(ValueError, match="NaN"):
        retriever.predict([[np.nan, 0, 0]])
    with pytest.raises(ValueError, match="NaN.*'b'"):
        DenseRetriever(Corpus(np.array([[0.0], [np.inf]]), ids=["a", "b"])).fit(None)
    with pytest.raises(ValueError, match="empty"):
        DenseRetriever(Corpus(np.zeros((0, 3)))).fit(None)
    with pytest.raises(ValueError, match="scale them down"):
        DenseRetriever(metric="dot").fit(np.full((2, 2), 1e25)).predict(np.full((1, 2), 1e25))
    with pytest.raises(ValueError, match="truncate_dim=4, but vectors have 3"):
        DenseRetriever(truncate_dim=4).fit(np.eye(3))
    for bad in ({"dtype": "int4"}, {"rescore": 0.5}, {"truncate_dim": 0}, {"metric": "l2"}):
        with pytest.raises(ValueError, match=f"'{next(iter(bad))}' parameter"):
            DenseRetriever(**bad).fit(np.eye(3))
        with pytest.raises(ValueError, match=f"'{next(iter(bad))}' parameter|fit again"):
            DenseRetriever().fit(np.eye(3)).set_params(**bad).predict(np.eye(3))
    with pytest.raises(ValueError, match="fit again"):
        retriever.set_params(metric="dot").predict(np.eye(3))


# --- filters


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_filters_are_exact(clouds, dtype, share):
    documents, queries = clouds
    rng = np.random.default_rng(2)
    masks = rng.random((len(queries), len(documents))) < share
    retriever = DenseRetriever(metric="dot", dtype=dtype, k=25, rescore=1000.0).fit(documents)
    scores = exact_scores(queries, documents, "dot")
    for run, allowed in (
        (retriever.predict(queries, filter=masks[0]), np.broadcast_to(masks[0], masks.shape)),
        (retriever.predict(queries, filter=masks), masks),
        (retriever.predict(queries[:1], filter=masks[:1]), masks[:1]),
    ):
        for one, score, mask in zip(run, scores, allowed):
            order = np.argsort(-score, kind="stable")
            assert one.rows.tolist() == order[mask[order]][:25].tolist()


# --- fewer bits


def test_products_of_integers_are_exact_in_every_batch(clouds):
    documents, queries = clouds
    rng = np.random.default_rng(0)
    for metric in METRICS:
        codes = Int8Codes(documents, metric)
        operands = [codes.prepare(queries[a:b])[0] for a, b in ((0, 60), (0, 3))]
        many, few = (np.empty((n, len(documents)), dtype=np.float32) for n in (60, 3))
        codes.fill(operands[0], slice(None), many, documents)
        codes.fill(operands[1], slice(None), few, documents)
        assert many[:3].tobytes() == few.tobytes()
    out = np.empty((2, 50), dtype=np.float32)
    q, d = rng.integers(-300, 300, size=(2, 37)), rng.integers(-127, 128, size=(50, 37))
    _quantized.dot_int8(q.astype(np.int16), d.astype(np.int8), out)
    assert (out == q @ d.T).all()
    q, d = (rng.integers(0, 2**64, size=(n, 3), dtype=np.uint64) for n in (2, 50))
    _quantized.agree_binary(q, np.ascontiguousarray(d.T), 0, out)
    assert (out == -np.unpackbits((q[:, None] ^ d).view(np.uint8), axis=2).sum(axis=2, dtype=int)).all()


def test_half_precision_is_read_as_numpy_reads_it():
    rng = np.random.default_rng(0)
    for d in (1, 16, 45):
        halves = rng.normal(size=(30, d)).astype(np.float16)
        halves[0, 0], halves[1, 0], halves[2, 0] = -0.0, 6e-8, -65504  # the smallest and the largest there are
        queries = rng.normal(size=(2, d)).astype(np.float32)
        wide, out = np.empty((30, d), dtype=np.float32), np.empty((2, 30), dtype=np.float32)
        _quantized.widen(halves.view(np.uint16), wide)
        assert wide.tobytes() == halves.astype(np.float32).tobytes()
        _quantized.dot_half(queries, halves.view(np.uint16), out)
        np.testing.assert_allclose(out, queries @ wide.T, rtol=1e-4, atol=1e-5)
        expected = np.empty_like(out)
        _quantized.dot_half.py_func(queries, halves.view(np.uint16), expected)
        assert out.tobytes() == expected.tobytes()


def test_instructions_do_what_their_functions_say():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(1, 192)).astype(np.float32)
    bits = _instructions.at_least(scores, 0, 64, np.float32(0.5))
    assert [j for j in range(64) if bits >> j & 1] == np.flatnonzero(scores[0, 64:128] >= 0.5).tolist()
    assert _instructions.lowest_bit(0b101000) == 3
    assert _instructions.count_bits(0b1011) == 3
    for d in (1, 15, 16, 40, 130):
        queries, documents = (rng.normal(size=(n, d)).astype(np.float32) for n in (2, 5))
        for euclidean in (False, True):
            for place in ((0, documents, 4), (1, documents, 0)):
                arguments = queries, *place, euclidean
                assert _dense.exact(*arguments) == _dense.exact.py_func(*arguments)


@pytest.mark.parametrize("metric", METRICS)
def test_codes_are_near_their_vectors(clouds, metric):
    documents, queries = clouds
    codes = Int8Codes(documents, metric)
    out = np.empty((60, 3000), dtype=np.float32)
    codes.fill(codes.prepare(queries)[0], slice(None), out, documents)
    exact = queries @ documents.T
    if metric == "euclidean":
        exact -= (documents**2).sum(axis=1) / 2
    agree = [np.corrcoef(a, b)[0, 1] for a, b in zip(np.delete(out, 7, 0), np.delete(exact, 7, 0))]
    assert min(agree) > (0.98 if metric == "cosine" else 0.9999)
    half = FloatCodes(documents, metric, half=True)
    operand, slacks = half.prepare(queries)
    half.fill(operand, slice(None), out, documents)
    assert (np.abs(out - exact) <= slacks[:, None] + 1e-4).all()


@pytest.mark.parametrize("metric", METRICS)
def test_recall_and_bytes_are_reported(clouds, metric):
    documents, queries = clouds
    corpus = Corpus(documents)
    queries = np.delete(queries, 7, axis=0)
    recall, size = {}, {}
    for dtype in DTYPES:
        retriever = DenseRetriever(corpus, metric=metric, dtype=dtype, k=20).fit(None)
        recall[dtype], size[dtype] = retriever.recall_against_exact(queries), retriever.bytes_per_vector_
        expected = DenseRetriever(corpus, metric=metric, k=20).fit(None).predict(queries)
        kept = [np.mean(a.scores >= b.scores[-1]) for a, b in zip(retriever.predict(queries), expected)]
        assert recall[dtype] == pytest.approx(np.mean(kept))
    extra = {"cosine": 0, "dot": 4, "euclidean": 8}[metric]
    assert size["int8"] == 48 + extra and size["binary"] == 8 and size["float16"] * 2 - size["float32"] <= 4
    assert recall["float32"] == recall["float16"] == 1.0
    assert recall["int8"] >= 0.99 and recall["binary"] >= 0.4


def test_more_candidates_keep_more(clouds):
    documents, queries = clouds
    retriever = DenseRetriever(dtype="binary", k=20).fit(documents)
    kept = [retriever.set_params(rescore=r).recall_against_exact(queries) for r in (1, 3, 10, 150)]
    assert kept == sorted(kept) and kept[-1] == 1.0


def test_codes_of_constant_dimensions_and_odd_dimensions():
    rng = np.random.default_rng(0)
    for d in (1, 7, 64, 65, 130):
        documents = rng.normal(size=(300, d))
        documents[:, 0] = 3.0
        for dtype in ("int8", "binary"):
            check(documents[:4], documents, "euclidean", 5, dtype=dtype, rescore=60)
        assert BinaryCodes(documents.astype(np.float32), "dot").bytes_per_vector == -(-d // 64) * 8


# --- prefixes, encoders, caches


def test_a_prefix_is_searched_as_if_there_were_no_more(clouds):
    documents, queries = clouds
    for metric in METRICS:
        for dtype in DTYPES:
            run = DenseRetriever(metric=metric, truncate_dim=16, k=9, dtype=dtype).fit(documents).predict(queries)
            other = DenseRetriever(metric=metric, k=9, dtype=dtype).fit(documents[:, :16]).predict(queries[:, :16])
            assert np.mean(run.rows == other.rows) > (0.95 if dtype == "binary" else 0.99)
            np.testing.assert_allclose(run.scores, other.scores, rtol=1e-3, atol=1e-3)


class CountingEncoder(TransformerMixin, BaseEstimator):
    """Counts letters, and how many texts it saw."""

    seen = []

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        CountingEncoder.seen += list(X)
        return np.array([[text.count(letter) for letter in "abcdefgh"] for text in X], dtype=np.float32)


def test_a_grid_encodes_each_document_once():
    documents = [f"{a}{b}{c}" for a in "abcd" for b in "bcde" for c in "efgh"]
    queries = [a + b for a in "abcdef" for b in "gh"] * 2
    qrels = [{"3": 1, "7": 2}] * len(queries)
    CountingEncoder.seen = []
    grid = {"dtype": list(DTYPES), "truncate_dim": [4, None], "metric": ["dot", "cosine"], "rescore": [1, 4]}
    search = GridSearchCV(
        DenseRetriever(Corpus(documents), encoder=CountingEncoder(), k=10), grid, scoring=get_scorer("ndcg@10"), cv=5
    ).fit(queries, qrels)
    assert sorted(text for text in CountingEncoder.seen if len(text) == 3) == sorted(documents)
    assert search.best_score_ >= 0


def test_codes_are_kept_in_a_folder_and_mapped(clouds, tmp_path):
    documents, queries = clouds
    texts = [str(i) for i in range(len(documents))]
    runs = []
    for _ in range(2):
        corpus = Corpus(texts, cache_folder=tmp_path)
        retriever = DenseRetriever(corpus, encoder=Lookup(), dtype="int8", metric="dot").fit(None)
        runs.append(retriever.predict(["3", "14"]))
    assert same(*runs)
    assert isinstance(retriever.vectors_, np.memmap) or isinstance(retriever.vectors_.base, np.memmap)
    assert any(isinstance(joblib.load(path, mmap_mode="r"), Int8Codes) for path in tmp_path.glob("*.joblib"))


class Lookup(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.random.default_rng(0).normal(size=(4000, 24)).astype(np.float32)[[int(text) for text in X]]


# --- the array API


def test_arrays_of_another_library_are_searched_where_they_are():
    code = """
        import array_api_strict as xp
        import numpy as np
        from sklearn import config_context
        from sklrank import Corpus
        from sklrank.retrievers import DenseRetriever

        rng = np.random.default_rng(0)
        documents = rng.integers(-3, 4, size=(900, 12)).astype(np.float32)
        queries = rng.integers(-3, 4, size=(7, 12)).astype(np.float32)
        queries[2] = 0
        mask = rng.random((7, 900)) < .1
        for metric in ("cosine", "dot", "euclidean"):
            for dtype in ("float32", "int8"):
                retriever = DenseRetriever(metric=metric, dtype=dtype, k=33).fit(documents)
                with config_context(array_api_dispatch=True):
                    other = DenseRetriever(metric=metric, dtype=dtype, k=33).fit(xp.asarray(documents))
                    for filter in (None, mask, mask[0], np.arange(900) < 5):
                        run = retriever.predict(queries, filter=filter)
                        found = other.predict(xp.asarray(queries), filter=filter)
                        assert found.rows.tolist() == run.rows.tolist()
                        assert found.scores.tobytes() == run.scores.tobytes()
    """
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], check=True, env=environment)


def test_the_metric_is_that_of_fit_also_after_pickling(clouds):
    documents, queries = clouds
    retriever = pickle.loads(pickle.dumps(DenseRetriever(k=3).fit(documents)))
    with pytest.raises(ValueError, match="metric= was changed after fit: fit again"):
        retriever.set_params(metric="dot").predict(queries)
    with pytest.raises(ValueError, match="The 'metric' parameter"):
        retriever.set_params(metric="manhattan").predict(queries)
    retriever.set_params(metric="dot").fit(documents)
    assert same(
        retriever.set_params(metric="euclidean").predict(queries),
        DenseRetriever(k=3, metric="euclidean").fit(documents).predict(queries),
    )


def test_recall_is_the_mean_over_queries_that_may_find_something(clouds):
    documents, queries = clouds
    retriever = DenseRetriever(k=3).fit(documents)
    masks = np.zeros((len(queries), len(documents)), dtype=bool)
    assert np.isnan(retriever.recall_against_exact(queries, filter=masks))
    masks[0, :2] = True
    assert retriever.recall_against_exact(queries, filter=masks) == 1
