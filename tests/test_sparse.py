"""SparseRetriever against a product of matrices."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sklrank import Corpus, Qrels, Queries
from sklrank._kernels._impacts import LINEAR
from sklrank.data import TokenVectors
from sklrank.metrics import get_scorer
from sklrank.retrievers import RM3Retriever, SparseRetriever
from sklrank.retrievers._impacts import Impacts, Weighting
from sklrank.retrievers._index import Index
from sklrank.retrievers._segment import Segment

TEXTS = ["heat flows", "cold rests", "", "thermal conduction", "heat conduction in metal", "heat flows"]


def ranking(scores, shared, k):
    """Rows of the documents that share a term, best first, equal scores by row."""
    rows = [row for row in range(len(scores)) if shared[row]]
    return sorted(rows, key=lambda row: (-scores[row], row))[:k]


def assert_is_the_product(run, documents, queries, k):
    scores = (queries @ documents.T).toarray()
    shared = ((queries > 0).astype(float) @ (documents > 0).astype(float).T).toarray() > 0
    bounds = run.indptr.tolist()
    assert len(run) == queries.shape[0]
    for q, (start, stop) in enumerate(zip(bounds[:-1], bounds[1:])):
        rows, found = run.rows[start:stop], run.scores[start:stop]
        assert stop - start == min(k, shared[q].sum())
        assert shared[q, rows].all() and len(set(rows.tolist())) == len(rows)
        assert_allclose(found, scores[q, rows], rtol=1e-5)
        assert_allclose(found, np.sort(scores[q][shared[q]])[::-1][: len(found)], rtol=1e-5)
        assert rows.tolist() == [row for _, row in sorted(zip(-found, rows.tolist()))]


# --- the product

# Multiples of 1/8 add up exactly, so that ties are ties.
weights = st.integers(0, 24).map(lambda n: n / 8)


@st.composite
def matrices(draw, n_terms, max_rows=12, value=weights):
    rows = draw(st.lists(st.lists(value, min_size=n_terms, max_size=n_terms), min_size=1, max_size=max_rows))
    return sp.csr_array(np.array(rows))


@st.composite
def collections(draw):
    n_terms = draw(st.integers(1, 6))
    return draw(matrices(n_terms)), draw(matrices(n_terms, 4)), draw(st.integers(1, 15))


@settings(max_examples=60)
@given(collections())
@example((sp.csr_array((3, 2)), sp.csr_array([[1.0, 1.0]]), 5))
@example((sp.csr_array([[1.0], [1.0], [1.0]]), sp.csr_array([[0.5], [0.0]]), 2))
def test_the_ranking_is_that_of_the_product(collection):
    documents, queries, k = collection
    run = SparseRetriever(k=k).fit(documents).predict(queries)
    scores = (queries @ documents.T).toarray()
    shared = ((queries > 0).astype(float) @ (documents > 0).astype(float).T).toarray() > 0
    for q, one in enumerate(run):
        expected = ranking(scores[q], shared[q], k)
        assert one.rows.tolist() == expected
        assert one.scores.tolist() == scores[q, expected].tolist()


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_pruning_is_exact(dtype):
    # More documents than are searched without pruning, terms in 1 to 50 % of them.
    rng = np.random.default_rng(0)
    n_documents, shares = 33_000, np.geomspace(0.01, 0.5, 40)
    columns = [np.flatnonzero(rng.random(n_documents) < share) for share in shares]
    terms = np.repeat(np.arange(len(shares)), [len(column) for column in columns])
    values = rng.exponential(size=len(terms)) * np.repeat(-np.log(shares), [len(column) for column in columns])
    shape = n_documents, len(shares)
    documents = sp.csr_array((np.float32(values), (np.concatenate(columns), terms)), shape=shape)
    queries = sp.random_array((12, 40), density=0.4, rng=rng, format="csr")
    retriever = SparseRetriever(dtype=dtype, k=50).fit(documents)
    if dtype == "uint8":
        documents = kept(documents)
    assert_is_the_product(retriever.predict(queries), documents, queries, 50)


@pytest.mark.parametrize("cuts", [(), (3, 90)])
@pytest.mark.parametrize("n_documents", [7, 200])
def test_rows_of_frequent_terms_change_not_a_bit(n_documents, cuts):
    # Terms in 2 to 90 % of the documents; most have rows, and queries have from none to seven of these.
    rng = np.random.default_rng(n_documents)
    held = rng.random((n_documents, 12)) < np.geomspace(0.02, 0.9, 12)
    matrix = rng.exponential(size=held.shape) * held
    matrix[::5] = matrix[0]  # ties
    matrix = sp.csr_array(matrix)
    edges = [0, *(cut for cut in cuts if cut < n_documents), n_documents]
    index = Index([Segment.from_matrix(matrix[a:b], np.float32) for a, b in zip(edges[:-1], edges[1:])])
    queries = sp.random_array((40, 12), density=0.5, rng=rng, format="csr")
    queries.data[::9] = 1e-30
    terms = queries.indptr.astype(np.int64), queries.indices.astype(np.uint32), queries.data.astype(np.float32)
    bags = index.bags(*terms)
    masks = (rng.random((2, n_documents)) < 0.5).astype(np.uint8)
    mask_of = rng.integers(-1, 2, size=40)
    ones = (lambda chosen: np.ones(len(chosen))), [np.ones(segment.n_documents) for segment in index.segments]
    with_rows, without = (Impacts(index, Weighting(LINEAR, *ones, rows=rows)) for rows in (True, False))
    ordered = with_rows.order(bags)
    assert len(with_rows._lists[0]._split(ordered.indptr, ordered.terms.local(0, ordered.numbers), ordered.weights)[1])
    for k in (1, 3, 20, 1000):
        for filters in ((masks[:0], mask_of[:0]), (masks, mask_of)):
            found = [impacts.search(bags, k, *filters, None) for impacts in (with_rows, without)]
            assert all(np.array_equal(a, b) for a, b in zip(*found))


def test_queries_and_documents_come_in_any_form():
    documents = np.array([[0.5, 0.0, 1.5], [0.0, 2.0, 0.0], [1.0, 0.0, 0.25]])
    queries = np.array([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    expected = [["0", "2"], []]
    for form in (np.array, sp.csr_array, sp.csc_array, sp.coo_matrix, lambda x: x.astype(np.float32).tolist()):
        assert SparseRetriever().fit(form(documents)).predict(form(queries)).docids == expected
        assert SparseRetriever(Corpus(form(documents))).fit(None).predict(Queries(form(queries))).docids == expected
    named = SparseRetriever(Corpus(documents, ids=["a", "b", "c"])).fit([]).predict(Queries(queries, ids=["x", "y"]))
    assert named.to_dict() == {"x": {"a": 2.5, "c": 2.25}, "y": {}}
    assert named.name == "sparse"


def test_a_column_of_the_corpus_holds_the_vectors():
    corpus = Corpus(["a", "b"]).with_columns(weights=sp.csr_array([[1.0, 0.0], [0.0, 2.0]]))
    retriever = SparseRetriever(corpus, field="weights").fit([])
    assert retriever.predict(sp.csr_array([[1.0, 1.0]])).docids == [["1", "0"]]


# --- 8-bit impacts


def kept(documents):
    """What is left of the weights in 8 bits."""
    largest = documents.max(axis=0).toarray().ravel()
    unit = largest[documents.indices].astype(np.float64) / 255
    codes = np.maximum(np.rint(documents.data / unit), 1)
    return sp.csr_array((codes * unit, documents.indices, documents.indptr), shape=documents.shape)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 12))
def test_8_bits_find_the_same_documents_with_about_the_same_scores(seed, n_documents, n_terms):
    rng = np.random.default_rng(seed)
    documents = sp.random_array(
        (n_documents, n_terms), density=0.4, rng=rng, format="csr", data_sampler=rng.exponential
    )
    queries = sp.random_array((3, n_terms), density=0.5, rng=rng, format="csr")
    exact = SparseRetriever(k=100).fit(documents).predict(queries)
    small = SparseRetriever(k=100, dtype="uint8").fit(documents)
    run = small.predict(queries)
    units = documents.max(axis=0).toarray().ravel() / 255
    for q, (one, other) in enumerate(zip(exact, run)):
        assert sorted(one.rows.tolist()) == sorted(other.rows.tolist())
        error = (queries[[q]] @ units).item()
        scores = dict(zip(one.rows.tolist(), one.scores.tolist()))
        for row, score in zip(other.rows.tolist(), other.scores.tolist()):
            assert abs(score - scores[row]) <= error * (1 + 1e-4) + 1e-6
    assert small.index_.segments[0].counts.dtype == np.uint8
    assert_is_the_product(run, kept(documents), queries, 100)


def test_8_bits_explain_weights():
    documents = sp.csr_array([[1.0, 0.0, 0.2], [0.5, 2.0, 0.0]])
    for dtype in ("float32", "uint8"):
        retriever = SparseRetriever(dtype=dtype).fit(documents)
        explanation = retriever.explain(sp.csr_array([[2.0, 1.0, 0.0]]), "1")
        assert_allclose(explanation.score, 3.0, rtol=0.01)
        assert [term["term"] for term in explanation.terms] == ["1", "0"]
        assert_allclose([term["count"] for term in explanation.terms], [2.0, 0.5], rtol=0.01)
        assert_allclose([term["query_weight"] for term in explanation.terms], [1.0, 2.0])
        assert "(weight 2, in 1 documents)" in str(explanation)


# --- fewer terms of the query


@settings(max_examples=40)
@given(collections(), st.integers(1, 4))
def test_max_query_terms_keeps_the_heaviest(collection, n):
    documents, queries, k = collection
    cut = queries.toarray()
    for row in cut:
        row[sorted(np.flatnonzero(row), key=lambda t: (-row[t], t))[n:]] = 0
    run = SparseRetriever(k=k, max_query_terms=n).fit(documents).predict(queries)
    expected = SparseRetriever(k=k).fit(documents).predict(sp.csr_array(cut))
    assert run.docids == expected.docids and run.scores.tolist() == expected.scores.tolist()


def test_max_query_terms_may_be_set_after_fit():
    retriever = SparseRetriever().fit(sp.csr_array([[1.0, 0.0], [0.0, 1.0]]))
    queries = sp.csr_array([[0.25, 0.5]])
    assert retriever.predict(queries).docids == [["1", "0"]]
    assert retriever.set_params(max_query_terms=1).predict(queries).docids == [["1"]]


# --- encoders


class Counting(TfidfVectorizer):
    """Counts the texts that it transforms."""

    n_seen = 0

    def transform(self, raw_documents):
        Counting.n_seen += len(raw_documents)
        return super().transform(raw_documents)


@pytest.mark.parametrize("encoder", [TfidfVectorizer(), CountVectorizer(binary=True)])
def test_an_encoder_is_the_same_as_its_matrix(encoder):
    queries = ["heat conduction", "", "unknown", "cold metal"]
    run = SparseRetriever(Corpus(TEXTS), encoder=encoder).fit(queries).predict(queries)
    fitted = clone(encoder).fit(TEXTS)
    expected = SparseRetriever().fit(fitted.transform(TEXTS)).predict(fitted.transform(queries))
    assert run.docids == expected.docids and run.scores.tolist() == expected.scores.tolist()
    frozen = SparseRetriever(TEXTS, encoder=FrozenEstimator(fitted)).fit(queries).predict(queries)
    assert frozen.docids == expected.docids


def test_queries_may_have_an_encoder_of_their_own():
    corpus, queries = Corpus(TEXTS), ["heat conduction"]
    plain = CountVectorizer()
    run = SparseRetriever(corpus, encoder=TfidfVectorizer(), query_encoder=plain).fit(queries).predict(queries)
    documents, counts = TfidfVectorizer().fit_transform(TEXTS), plain.fit(TEXTS).transform(queries)
    assert run.docids == SparseRetriever().fit(documents).predict(counts).docids
    other = SparseRetriever(corpus, encoder=TfidfVectorizer(), query_encoder=CountVectorizer(max_features=3))
    with pytest.raises(ValueError, match="3 terms, the documents 8"):
        other.fit(queries).predict(queries)


def test_documents_are_encoded_once():
    corpus = Corpus(TEXTS)
    queries = Queries({"a": "heat", "b": "cold", "c": "metal", "d": "flows"})
    qrels = Qrels({"a": {"0": 1}, "b": {"1": 1}, "c": {"4": 1}, "d": {"5": 1}}).align(queries)
    Counting.n_seen = 0
    grid = {"dtype": ["float32", "uint8"], "max_query_terms": [None, 1]}
    search = GridSearchCV(
        SparseRetriever(corpus, encoder=Counting()), grid, cv=2, scoring=get_scorer("mrr"), error_score="raise"
    )
    search.fit(queries, qrels)
    assert Counting.n_seen == len(TEXTS) + 4 * len(queries)


def test_terms_have_the_names_of_the_encoder():
    retriever = SparseRetriever(Corpus(TEXTS), encoder=TfidfVectorizer()).fit([])
    explanation = retriever.explain("heat metal", "4")
    assert {term["term"] for term in explanation.terms} == {"heat", "metal"}
    run = retriever.predict(["heat metal"])
    assert explanation.score == run.scores[run.docids[0].index("4")]


def test_the_index_is_kept_in_the_folder_of_the_corpus(tmp_path):
    queries = ["heat", "conduction cold"]
    for dtype in ("float32", "uint8"):
        first, second = (
            SparseRetriever(Corpus(TEXTS, cache_folder=tmp_path), encoder=Counting(), dtype=dtype).fit(queries)
            for _ in range(2)
        )
        assert isinstance(second.index_.segments[0].counts, np.memmap)
        assert second.predict(queries).docids == first.predict(queries).docids
        assert RM3Retriever(second).fit(queries).predict(queries).docids[0][0] == "0"


# --- what is refused


def test_negative_weights_are_refused():
    good, bad = sp.csr_array([[1.0, 2.0]]), sp.csr_array([[1.0, -2.0]])
    with pytest.raises(ValueError, match="at least 0, got -2"):
        SparseRetriever().fit(bad)
    with pytest.raises(ValueError, match="at least 0, got -2"):
        SparseRetriever(Corpus(bad)).fit([])
    with pytest.raises(ValueError, match="at least 0, got -2"):
        SparseRetriever().fit(good).predict(bad)


def test_what_is_no_weight_is_refused():
    good = sp.csr_array([[1.0, 2.0]])
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN|inf"):
            SparseRetriever().fit(sp.csr_array([[1.0, bad]]))
        with pytest.raises(ValueError, match="NaN|inf"):
            SparseRetriever().fit(good).predict(sp.csr_array([[1.0, bad]]))
    with pytest.raises(ValueError, match="3 features"):
        SparseRetriever().fit(good).predict(sp.csr_array([[1.0, 2.0, 3.0]]))
    with pytest.raises(ValueError, match="3 terms, the documents 2"):
        SparseRetriever().fit(good).predict(Queries(sp.csr_array([[1.0, 2.0, 3.0]])))
    with pytest.raises(TypeError, match="encoder="):
        SparseRetriever().fit(good).predict(["heat"])
    with pytest.raises(ValueError, match="empty"):
        SparseRetriever(Corpus([]), encoder=CountVectorizer()).fit([])
    with pytest.raises(TypeError, match="vectors of term weights, got TokenVectors"):
        SparseRetriever(Corpus(TokenVectors.from_list([np.ones((2, 3))]))).fit([])
    with pytest.raises(NotFittedError):
        SparseRetriever().predict(good)


@pytest.mark.parametrize(
    "parameters", [{"dtype": "int8"}, {"max_query_terms": 0}, {"k": 0}, {"encoder": "splade"}, {"n_jobs": 1.5}]
)
def test_parameters_are_checked(parameters):
    with pytest.raises(ValueError, match=f"'{next(iter(parameters))}' parameter"):
        SparseRetriever(**parameters).fit(sp.csr_array([[1.0]]))


def test_recall_against_exact():
    rng = np.random.default_rng(0)
    documents = sp.csr_array(rng.random((400, 60)) * (rng.random((400, 60)) < 0.2))
    queries = rng.random((32, 60)) * (rng.random((32, 60)) < 0.2)
    queries[30:] = 0
    queries = sp.csr_array(queries)
    exact = SparseRetriever(k=10).fit(documents)
    assert exact.recall_against_exact(queries) == 1
    assert np.isnan(exact.recall_against_exact(queries[30:]))
    run = exact.predict(queries[:30])
    mask = rng.random(400) < 0.5
    for parameters in ({"dtype": "uint8"}, {"max_query_terms": 4}):
        retriever = SparseRetriever(k=10, **parameters).fit(documents)
        kept = [len(np.intersect1d(a.rows, b.rows)) / 10 for a, b in zip(retriever.predict(queries[:30]), run)]
        assert retriever.recall_against_exact(queries) == pytest.approx(np.mean(kept))
        assert 0 < retriever.recall_against_exact(queries, 3, filter=mask) <= 1


def test_weights_of_queries_that_make_scores_infinite_are_an_error():
    documents = sp.csr_array(np.array([[2.0, 0.0, 1e30], [0.0, 3.0, 0.0]]))
    retriever = SparseRetriever().fit(documents)
    for weights in ([1e38, 0, 1e38], [3e38, 0, 0], [0, 0, 1e9]):
        with pytest.raises(ValueError, match="a query has the weight .* scale the weights of queries down"):
            retriever.predict(sp.csr_array(np.array([[0.0, 1.0, 0.0], weights])))
    run = retriever.predict(sp.csr_array(np.array([[1e38, 1e38, 0.0], [0.0, 0.0, 1e8]])))
    assert_allclose(run.scores, [3e38, 2e38, 1e38], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_weights_whose_sum_or_unit_makes_scores_infinite_are_an_error(dtype):
    retriever = SparseRetriever(dtype=dtype).fit(sp.csr_array(np.array([[300.0, 300.0]])))
    assert np.isfinite(retriever.predict(sp.csr_array(np.array([[5e35, 5e35]]))).scores).all()
    with pytest.raises(ValueError, match="a query has the weight"):
        retriever.predict(sp.csr_array(np.array([[8e35, 8e35]])))
