"""What encoders make of a corpus: once, resumable, with progress."""

import numpy as np
import pytest
from contracts import DOCUMENTS, QRELS, QUERIES, TEXTS
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklrank import Corpus, Qrels, Queries
from sklrank._caching import keys
from sklrank._caching.keys import estimator_key
from sklrank.data import TokenVectors
from sklrank.retrievers import (
    AnnRetriever,
    BM25Retriever,
    DenseRetriever,
    LateInteractionRetriever,
    QdrantRetriever,
    RetrieverUnion,
    SparseRetriever,
    _encoding,
)


class Letters(TransformerMixin, BaseEstimator):
    """Counts of letters, as a matrix, a sparse one, or one vector a word; keeps the texts that it is asked for."""

    asked = []
    fails_at = None

    def __init__(self, form="dense", version=0):
        self.form = form
        self.version = version

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        if Letters.fails_at is not None and len(Letters.asked) + len(X) > Letters.fails_at:
            raise RuntimeError("interrupted")
        Letters.asked += list(X)
        counts = [[text.lower().count(letter) for letter in "acdefhlmorstw"] for text in X]
        matrix = np.array(counts, dtype=np.float64).reshape(len(X), -1)
        if self.form == "sparse":
            return sparse.csr_array(matrix)
        if self.form == "tokens":
            words = [[[word.count(letter) for letter in "acefhlow"] for word in text.split()] for text in X]
            return TokenVectors.from_list([np.array(one, dtype=np.float32).reshape(-1, 8) for one in words])
        return matrix


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    Letters.asked, Letters.fails_at = [], None
    monkeypatch.setattr(_encoding, "_BLOCK", 3)


RETRIEVERS = {"dense": DenseRetriever, "sparse": SparseRetriever, "tokens": LateInteractionRetriever}


@pytest.mark.parametrize("form", RETRIEVERS)
def test_a_grid_search_encodes_each_document_once(form):
    corpus, queries = Corpus(DOCUMENTS), Queries(QUERIES)
    retriever = RETRIEVERS[form](corpus, encoder=Letters(form))
    GridSearchCV(retriever, {"k": [3, 5, 7]}, cv=5).fit(queries, Qrels(QRELS).align(queries))
    documents = [text for text in Letters.asked if text not in TEXTS or text == "heat"]
    assert sorted(text for text in documents if text not in TEXTS) == sorted(
        text for text in DOCUMENTS.values() if text not in TEXTS
    )


@pytest.mark.parametrize("form", RETRIEVERS)
def test_an_interrupted_run_goes_on_where_it_stopped(form, tmp_path):
    expected = RETRIEVERS[form](Corpus(DOCUMENTS), encoder=Letters(form)).fit(TEXTS).predict(TEXTS)
    Letters.asked, Letters.fails_at = [], 6
    with pytest.raises(RuntimeError, match="interrupted"):
        RETRIEVERS[form](Corpus(DOCUMENTS, cache_folder=tmp_path), encoder=Letters(form)).fit(TEXTS)
    assert Letters.asked == list(DOCUMENTS.values())[:6]
    Letters.asked, Letters.fails_at = [], None
    retriever = RETRIEVERS[form](Corpus(DOCUMENTS, cache_folder=tmp_path), encoder=Letters(form)).fit(TEXTS)
    assert Letters.asked == list(DOCUMENTS.values())[6:]
    run = retriever.predict(TEXTS)
    assert run.docids == expected.docids and run.scores.tobytes() == expected.scores.tobytes()
    assert not list(tmp_path.glob("*.parts"))
    Letters.asked = []
    again = RETRIEVERS[form](Corpus(DOCUMENTS, cache_folder=tmp_path), encoder=Letters(form)).fit(TEXTS)
    assert Letters.asked == []
    assert again.predict(TEXTS).scores.tobytes() == expected.scores.tobytes()


def test_other_parameters_encode_anew():
    corpus = Corpus(DOCUMENTS)
    for version in (0, 1, 0):
        DenseRetriever(corpus, encoder=Letters(version=version)).fit(TEXTS)
    assert len(Letters.asked) == 2 * len(DOCUMENTS)


def test_frozen_encoders_and_encoders_of_queries():
    corpus = Corpus(DOCUMENTS)
    fitted = Letters().fit([])
    fitted.mark_ = "fitted elsewhere"
    frozen = DenseRetriever(corpus, encoder=FrozenEstimator(fitted)).fit(TEXTS)
    assert frozen.encoded_.encoder.estimator.mark_ == "fitted elsewhere"
    retriever = DenseRetriever(corpus, encoder=Letters(), query_encoder=Letters(version=2)).fit(TEXTS)
    assert retriever.encoded_.query_encoder.version == 2
    with pytest.raises(ValueError, match="encoder="):
        DenseRetriever(np.eye(3), query_encoder=Letters()).fit(None)


def test_the_key_of_what_is_frozen_is_made_once_and_anew_after_a_fit(monkeypatch):
    texts, hashed = list(DOCUMENTS.values()), []
    original = keys.content_key
    monkeypatch.setattr(keys, "content_key", lambda value: hashed.append(value) or original(value))
    inner = make_pipeline(TfidfVectorizer(), TruncatedSVD(2)).fit(texts)
    frozen = FrozenEstimator(inner)
    key = estimator_key(frozen)
    assert estimator_key(frozen) == key == estimator_key(FrozenEstimator(inner)) and len(hashed) == 2
    inner[0].fit(texts[:-1])  # a part of what is in there
    assert estimator_key(frozen) != key
    other = FrozenEstimator(make_pipeline(TfidfVectorizer(), TruncatedSVD(2)).fit(texts[:-1]))
    assert estimator_key(other) != key


def test_vectors_in_a_column_beside_the_text():
    vectors = np.random.default_rng(0).normal(size=(len(DOCUMENTS), 4))
    corpus = Corpus(DOCUMENTS).with_columns(embedding=vectors)
    run = DenseRetriever(corpus, field="embedding", k=1).fit(None).predict(vectors)
    assert run.rows.tolist() == list(range(len(DOCUMENTS)))
    records = [{"_id": str(i), "text": "", "embedding": row.tolist()} for i, row in enumerate(vectors)]
    again = DenseRetriever(Corpus(records), field="embedding", k=1).fit(None).predict(vectors)
    assert again.rows.tolist() == run.rows.tolist()


def test_what_encoders_may_not_make():
    class Bad(Letters):
        def transform(self, X):
            return super().transform(X)[:-1]

    with pytest.raises(ValueError, match="one row per text.*got 2 rows for 3 texts"):
        DenseRetriever(Corpus(DOCUMENTS), encoder=Bad()).fit(TEXTS)
    with pytest.raises(TypeError, match="SparseRetriever"):
        DenseRetriever(Corpus(DOCUMENTS), encoder=Letters("sparse")).fit(TEXTS)
    with pytest.raises(TypeError, match="texts need encoder="):
        DenseRetriever(np.eye(3)).fit(None).predict(["text"])


def test_callbacks_are_told_of_the_encoding():
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.8 has no callbacks")
    seen = []

    class Watch:
        def setup(self, *args, **kwargs): ...
        def teardown(self, *args, **kwargs): ...
        def on_fit_task_begin(self, *args, **kwargs): ...
        def on_fit_task_end(self, *args, **kwargs):
            seen.append(1)

    assert callback
    DenseRetriever(Corpus(DOCUMENTS), encoder=Letters()).set_callbacks(Watch()).fit(TEXTS)
    assert len(seen) > 2


@pytest.mark.parametrize(
    "retriever", [DenseRetriever, AnnRetriever, SparseRetriever, LateInteractionRetriever, QdrantRetriever]
)
@pytest.mark.parametrize("field", [None, "text", ["text"]])
def test_texts_need_an_encoder(retriever, field):
    with pytest.raises(ValueError, match=r"'text'.*encoder=.*field="):
        retriever(Corpus(["a b"]), field=field).fit(["a"])


def test_queries_of_text_need_an_encoder():
    retriever = DenseRetriever(Corpus([[1.0, 0.0]])).fit(None)
    with pytest.raises(ValueError, match=r"encoder=.*'vector'.*\['text'\]"):
        retriever.predict(Queries(["a"]))
    retriever = DenseRetriever(Corpus([{"v": [1.0, 0.0]}]), field="v").fit(None)
    with pytest.raises(ValueError, match="'v' holds no vectors"):
        retriever.predict(Queries([{"v": "a"}]))


def test_vectors_of_several_columns_and_text_are_fused():
    corpus = Corpus(
        [{"text": "heat", "v1": [1.0, 0.0], "v2": [0.0, 1.0]}, {"text": "", "v1": [0, 1.0], "v2": [1.0, 0]}]
    )
    queries = Queries([{"text": "heat", "v1": [1.0, 0.1], "v2": [1.0, 0.1]}])
    parts = [(name, DenseRetriever(corpus, field=name)) for name in ("v1", "v2")]
    run = RetrieverUnion([*parts, ("bm25", BM25Retriever(corpus))]).fit(queries).transform(queries)
    assert run.docids == [["0", "1"]]
    assert run.column_ranks("v1").tolist() == [1, 2]
    assert run.column_ranks("v2").tolist() == [2, 1]
    assert run.column_ranks("bm25")[0] == 1


def test_text_beside_a_column_named_vector_is_searched_by_words():
    corpus = Corpus([{"text": "cold", "vector": [1.0, -1.0]}, {"text": "heat", "vector": [0.0, 1.0]}])
    queries = Queries([{"text": "heat", "vector": [1.0, 0.0]}])
    assert BM25Retriever(corpus).fit(None).predict(queries).docids == [["1"]]
    assert BM25Retriever(corpus, field="text").fit(None).predict(queries).docids == [["1"]]
    assert DenseRetriever(corpus).fit(None).predict(queries).docids == [["0", "1"]]


@pytest.mark.parametrize("first", [BM25Retriever, DenseRetriever, AnnRetriever, SparseRetriever])
def test_token_vectors_are_for_late_interaction(first):
    tokens = TokenVectors.from_list([np.ones((2, 8)), np.ones((3, 8))])
    with pytest.raises(TypeError, match="TokenVectors"):
        LateInteractionRetriever(Corpus(tokens), retriever=first()).fit(tokens)
    with pytest.raises(TypeError, match="TokenVectors"):
        first(Corpus(tokens)).fit(None)


def is_mapped(array):
    return isinstance(array, np.memmap) or isinstance(array.base, np.memmap)


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("truncate_dim", [None, 5])
def test_vectors_in_a_folder_are_memory_maps_in_every_process(tmp_path, metric, truncate_dim):
    runs = []
    for _ in range(2):
        corpus = Corpus(DOCUMENTS, cache_folder=tmp_path)
        retriever = DenseRetriever(corpus, encoder=Letters(), metric=metric, truncate_dim=truncate_dim).fit(None)
        assert is_mapped(retriever.vectors_) and is_mapped(retriever._searched())
        runs.append(retriever.predict(TEXTS))
    plain = DenseRetriever(Corpus(DOCUMENTS), encoder=Letters(), metric=metric, truncate_dim=truncate_dim)
    assert all(run.to_dict() == plain.fit(None).predict(TEXTS).to_dict() for run in runs)


def test_a_retriever_of_vectors_needs_no_output_of_the_encoder():
    corpus = Corpus(DOCUMENTS)
    retriever = DenseRetriever(corpus, encoder=Letters()).fit(None)
    assert retriever.encoded_.output is None
    raw = ("encoded", None, estimator_key(Letters()))
    assert corpus.has_cached(raw, columns=("text",))
    corpus._cache.discard(raw, sources=corpus._sources(("text",)))
    assert not corpus.has_cached(raw, columns=("text",))
    Letters.asked.clear()
    assert DenseRetriever(corpus, encoder=Letters()).fit(None).vectors_ is retriever.vectors_
    assert not Letters.asked


@pytest.mark.parametrize("retriever", [DenseRetriever, AnnRetriever, SparseRetriever, LateInteractionRetriever])
def test_an_encoder_is_an_instance(retriever):
    with pytest.raises(TypeError, match=r"an instance, Letters\(\.\.\.\)"):
        retriever(Corpus(["a b"]), encoder=Letters).fit(["a"])
    with pytest.raises(TypeError, match="an instance"):
        BM25Retriever(Corpus(["a b"]), vectorizer=Letters).fit(["a"])


def test_the_dtype_of_sparse_weights_after_fit():
    corpus = Corpus(sparse.csr_array([[1.0, 0.0], [0.5, 2.0]]))
    retriever = SparseRetriever(corpus).fit(None)
    queries = sparse.csr_array([[1.0, 1.0]])
    with pytest.raises(ValueError, match="'dtype' parameter of SparseRetriever"):
        retriever.set_params(dtype="foo").predict(queries)
    with pytest.raises(ValueError, match="dtype= was changed after fit: fit again"):
        retriever.set_params(dtype="uint8").predict(queries)
    with pytest.raises(ValueError, match="'max_query_terms' parameter"):
        retriever.set_params(dtype="float32", max_query_terms=0).predict(queries)
    assert retriever.set_params(max_query_terms=None).predict(queries).docids == [["1", "0"]]


def test_encoders_with_a_lambda_somewhere_inside():
    def encoder(factor):
        scale = FunctionTransformer(lambda X: X * factor)
        return make_pipeline(Letters(), scale)

    corpus = Corpus(DOCUMENTS)
    union = RetrieverUnion([("one", DenseRetriever(corpus, encoder=encoder(1), metric="dot"))])
    one = union.fit_transform(TEXTS).column("one")
    assert (union.fit_transform(TEXTS).column("one") == one).all()
    other = RetrieverUnion([("one", DenseRetriever(corpus, encoder=encoder(2), metric="dot"))]).fit_transform(TEXTS)
    np.testing.assert_allclose(other.column("one"), 4 * one)
