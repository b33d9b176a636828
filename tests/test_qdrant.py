"""QdrantRetriever against the embedded mode, and against a stub of the server's REST API (`qdrant_stub`)."""

import pickle
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from operator import methodcaller

import numpy as np
import pytest
from contracts import TEXTS, retriever_contracts, same
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from qdrant_client import QdrantClient, models
from qdrant_stub import running_stub
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklrank import Corpus, Qrels, Queries
from sklrank._caching import Recent
from sklrank.data import TokenVectors
from sklrank.metrics import get_scorer
from sklrank.retrievers import BM25Retriever, QdrantRetriever, RetrieverUnion

HASHED = HashingVectorizer(n_features=64, alternate_sign=False)
DENSE = make_pipeline(HASHED, FunctionTransformer(methodcaller("toarray"), accept_sparse=True))
DOCUMENTS = {
    "a": {"text": "heat flows", "year": 1950, "lang": "en"},
    "b": {"text": "cold rests", "year": 1960, "lang": "en"},
    "c": {"text": "heat and cold", "year": None, "lang": "de"},
    "d": {"text": "heat flows", "year": 1970, "lang": "de"},
}
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(60, 8)).astype(np.float32)
QUERY_VECTORS = RNG.normal(size=(7, 8)).astype(np.float32)
WEIGHTS = sparse.random(60, 30, 0.1, format="csr", random_state=0, dtype=np.float32)
QUERY_WEIGHTS = sparse.random(7, 30, 0.2, format="csr", random_state=1, dtype=np.float32)
TOKENS = TokenVectors.from_list([RNG.normal(size=(n, 4)) for n in RNG.integers(0, 6, 60)])
QUERY_TOKENS = TokenVectors.from_list([RNG.normal(size=(n, 4)) for n in (3, 0, 1, 2, 4, 2, 1)])
KINDS = {"dense": (VECTORS, QUERY_VECTORS), "sparse": (WEIGHTS, QUERY_WEIGHTS), "multi": (TOKENS, QUERY_TOKENS)}


@pytest.fixture
def stub():
    with running_stub() as stub:
        yield stub


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def expected(kind, metric):
    """Scores of all documents for all queries, -inf for those that are no candidates."""
    documents, queries = KINDS[kind]
    if kind == "sparse":
        overlap = ((queries != 0).astype(int) @ (documents != 0).astype(int).T).toarray()
        return np.where(overlap > 0, (queries @ documents.T).toarray(), -np.inf)
    compare = {
        "dot": lambda q, d: q @ d.T,
        "cosine": lambda q, d: unit(q) @ unit(d).T,
        "euclidean": lambda q, d: -np.linalg.norm(q[:, None] - d[None], axis=-1),
    }[metric]
    if kind == "dense":
        return compare(queries, documents)
    scores = np.full((len(queries), len(documents)), -np.inf)
    for i, q in enumerate(queries):
        for j, d in enumerate(documents):
            if len(q) and len(d):
                scores[i, j] = compare(q, d).max(axis=1).sum()
    return scores


def check_scores(run, scores, k):
    for one, row in zip(run, scores):
        order = np.argsort(-row, kind="stable")[: min(k, int((row > -np.inf).sum()))]
        assert one.rows.tolist() == order.tolist()
        assert one.scores == pytest.approx(row[order], abs=1e-5)


# --- the battery
@pytest.mark.parametrize(
    "contract",
    [contract for contract in retriever_contracts() if contract.__name__ != "contract_threads_change_nothing"],
    ids=lambda contract: contract.__name__.removeprefix("contract_"),
)
def test_contract(contract):
    contract(lambda corpus: QdrantRetriever(corpus, encoder=DENSE))


def test_threads_change_nothing():
    corpus = Corpus([f"{text} word{i % 5}" for i, text in enumerate(TEXTS * 4)])
    queries = TEXTS * 3
    retriever = QdrantRetriever(corpus, encoder=DENSE, k=3).fit([])
    run = retriever.predict(queries)
    assert same(QdrantRetriever(corpus, encoder=DENSE, k=3, batch_size=2, n_jobs=2).fit([]).predict(queries), run)
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(lambda _: retriever.predict(queries), range(6)):
            assert same(other, run)
        fresh = Corpus(corpus.text().tolist())
        for other in pool.map(lambda _: QdrantRetriever(fresh, encoder=DENSE, k=3).fit([]).predict(queries), range(4)):
            assert same(other, run)


# --- what is found
@pytest.mark.parametrize("where", ["embedded", "stub"])
@pytest.mark.parametrize(
    ("kind", "metric"),
    [("dense", metric) for metric in ("cosine", "dot", "euclidean")]
    + [("sparse", "dot"), ("multi", "cosine"), ("multi", "dot")],
)
def test_scores_are_those_of_numpy(kind, metric, where, stub):
    documents, queries = KINDS[kind]
    url = stub.url if where == "stub" else None
    retriever = QdrantRetriever(Corpus(documents), metric=metric, url=url, k=10, batch_size=16).fit(queries)
    check_scores(retriever.predict(queries), expected(kind, metric), 10)
    check_scores(retriever.set_params(k=1000).predict(queries), expected(kind, metric), 1000)
    assert retriever.predict(queries).name == "qdrant"


def test_documents_without_a_corpus_are_what_fit_gets():
    for documents, queries in KINDS.values():
        run = QdrantRetriever(metric="dot", k=5).fit(documents).predict(queries)
        assert same(run, QdrantRetriever(Corpus(documents), metric="dot", k=5).fit(queries).predict(queries))
    assert QdrantRetriever().fit(VECTORS).n_features_in_ == 8


def test_ties_go_to_the_lower_row_at_the_cutoff_too():
    corpus = Corpus(np.repeat(np.eye(3, dtype=np.float32), 40, axis=0)[np.arange(120) % 2 * 40 + np.arange(120) % 40])
    retriever = QdrantRetriever(corpus, metric="dot").fit([])
    query = np.array([[1.0, 0.5, 0.0]])
    full = retriever.set_params(k=120).predict(query).rows
    ties = retriever.corpus_.matrix() @ query[0]
    assert full.tolist() == np.argsort(-ties, kind="stable").tolist()
    for k in (1, 2, 7, 59, 60, 61, 119):
        assert retriever.set_params(k=k).predict(query).rows.tolist() == full[:k].tolist()


SMALL = st.integers(-2, 2).map(float)  # whose products are exact, and tie


@settings(max_examples=30)
@given(
    arrays(np.float32, st.tuples(st.integers(1, 12), st.just(3)), elements=SMALL),
    arrays(np.float32, st.tuples(st.integers(0, 3), st.just(3)), elements=SMALL),
    st.integers(1, 14),
    st.sampled_from(["dense", "sparse"]),
)
def test_rankings_are_exact(documents, queries, k, kind):
    scores = queries @ documents.T
    if kind == "sparse":
        scores[(queries != 0).astype(int) @ (documents != 0).T == 0] = -np.inf
        documents, queries = sparse.csr_array(documents), sparse.csr_array(queries)
    run = QdrantRetriever(Corpus(documents), metric="dot", k=k).fit([]).predict(Queries(queries))
    check_scores(run, scores, k)


def test_zero_vectors_score_zero():
    vectors = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 1.0]])
    retriever = QdrantRetriever(Corpus(vectors)).fit([])
    assert retriever.predict([[1.0, 0.0], [0.0, 0.0]]).rows.tolist() == [1, 0, 2, 0, 1, 2]
    assert retriever.predict([[0.0, 0.0]]).scores.tolist() == [0.0, 0.0, 0.0]


def test_what_is_empty_finds_nothing_and_is_not_found():
    retriever = QdrantRetriever(Corpus(sparse.csr_array([[1.0, 0.0], [0.0, 0.0], [0.5, 2.0]]))).fit([])
    assert retriever.predict(sparse.csr_array([[1.0, 0.0], [0.0, 0.0]])).docids == [["0", "2"], []]
    tokens = TokenVectors.from_list([np.ones((2, 2)), np.empty((0, 2))])
    assert QdrantRetriever(Corpus(tokens), metric="dot").fit([]).predict(tokens).docids == [["0"], []]


@pytest.mark.parametrize(
    ("documents", "error", "message"),
    [
        (np.array([[1.0, 2.0], [np.nan, 0.0]]), ValueError, "1 vectors hold NaN or infinity, of document '1'"),
        (sparse.csr_array([[1.0, 0.0], [np.inf, 1.0]]), ValueError, "1 vectors hold NaN or infinity, of document '1'"),
        (TokenVectors(np.array([[1.0], [2.0], [np.nan]]), [0, 1, 1, 3]), ValueError, "of document '2'"),
        (["a text"], ValueError, "'vector'.*encoder="),
        (np.empty((0, 3)), ValueError, "the corpus is empty"),
    ],
)
def test_what_is_wrong_with_documents_is_said(documents, error, message):
    with pytest.raises(error, match=message):
        QdrantRetriever(Corpus(documents)).fit([])


def test_what_is_wrong_with_queries_is_said():
    dense = QdrantRetriever(Corpus(VECTORS)).fit([])
    for queries in (np.ones((1, 9)), Queries(np.ones((1, 9)))):
        with pytest.raises(ValueError, match="9 (dimensions|features)"):
            dense.predict(queries)
    with pytest.raises(ValueError, match="NaN"):
        dense.predict(Queries(np.full((1, 8), np.nan)))
    with pytest.raises(TypeError, match="queries have sparse weights, the documents a dense vector"):
        dense.predict(Queries(sparse.csr_array(np.ones((1, 8)))))
    with pytest.raises(TypeError, match="texts need encoder="):
        dense.predict(["heat"])
    with pytest.raises(ValueError, match="9 dimensions, the documents 30"):
        QdrantRetriever(Corpus(WEIGHTS)).fit([]).predict(Queries(sparse.csr_array(np.ones((1, 9)))))
    with pytest.raises(NotFittedError):
        QdrantRetriever(Corpus(VECTORS)).predict(VECTORS)


# --- filters
def test_filters_of_ours_and_of_qdrants():
    corpus = Corpus(DOCUMENTS)
    retriever = QdrantRetriever(corpus, encoder=HASHED, payload=["year", "lang"]).fit([])
    assert retriever.predict(["heat"]).docids == [["a", "d", "c"]]
    assert retriever.predict(["heat"], filter=["c", "d"]).docids == [["d", "c"]]
    assert retriever.predict(["heat", "heat", "heat"], filter=[["c"], None, []]).docids == [["c"], ["a", "d", "c"], []]
    german = {"must": [{"key": "lang", "match": {"value": "de"}}]}
    native = retriever.set_params(query_filter=german)
    assert native.predict(["heat"]).docids == [["d", "c"]]
    assert native.predict(["heat"], filter=["a", "c"]).docids == [["c"]]
    late = models.Filter(must=[models.FieldCondition(key="year", range=models.Range(gte=1955))])
    assert retriever.set_params(query_filter=late).predict(["heat cold"]).docids == [["b", "d"]]  # "c" has no year
    with pytest.raises(TypeError, match="expected a qdrant_client.models.Filter or its dict as query_filter, got str"):
        retriever.set_params(query_filter="lang:de").predict(["heat"])
    with pytest.raises(KeyError, match="no column 'docid'"):  # the key of the ids, which no column can have
        QdrantRetriever(Corpus({"x": {"text": "heat"}}), encoder=HASHED, payload=["docid"]).fit([])


# --- several vectors
def hybrid(corpus, **options):
    encoder = [("dense", make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0))), ("sparse", HASHED)]
    return QdrantRetriever(corpus, encoder=encoder, **options)


@pytest.mark.parametrize("where", ["embedded", "stub"])
@pytest.mark.parametrize("fusion", ["rrf", "dbsf"])
def test_a_hybrid_query_is_qdrants(fusion, where, stub):
    # No two alike: among those that tie, Qdrant chooses the ranks that it fuses.
    corpus = Corpus(["heat flows", "cold rests so cold", "heat and cold", "heat flows where it is warm", "heat heat"])
    queries = ["cold heat", "flows heat"]
    retriever = hybrid(corpus, fusion=fusion, url=stub.url if where == "stub" else None).fit([])
    run = retriever.predict(queries)
    parts = {
        name: QdrantRetriever(corpus, encoder=encoder).fit([]).predict(queries) for name, encoder in retriever.encoder
    }
    for i, one in enumerate(run):
        fused = Counter()
        for part in parts.values():
            scores = part[i].scores.astype(np.float64)
            if fusion == "rrf":
                fused.update({d: 1 / (rank + 2) for rank, d in enumerate(part[i].docids[0])})
            elif len(scores) == 1 or scores.std() == 0:
                fused.update(dict.fromkeys(part[i].docids[0], 0.5))
            else:
                deviation = scores.std(ddof=1)
                fused.update(dict(zip(part[i].docids[0], (scores - scores.mean() + 3 * deviation) / (6 * deviation))))
        best = dict(zip(one.docids[0], one.scores.tolist()))
        assert best == pytest.approx(dict(fused), abs=1e-5)
        assert list(best.values()) == sorted(best.values(), reverse=True)


def test_one_vector_ranks_the_candidates_of_the_others():
    retriever = hybrid(Corpus(DOCUMENTS), fusion="dense").fit([])
    dense = QdrantRetriever(Corpus(DOCUMENTS), encoder=retriever.encoder[0][1]).fit([])
    found = retriever.predict(["cold", "flows", "unknown"])
    assert [sorted(docids) for docids in found.docids] == [["b", "c"], ["a", "d"], []]  # those with the word
    alone = dense.predict(["cold", "flows", "unknown"])
    assert found.docids == [[d for d in a if d in f] for a, f in zip(alone.docids, found.docids)]
    assert retriever.set_params(n_candidates=1, k=2).predict(["flows"]).docids == [["d"]]
    assert hybrid(Corpus(DOCUMENTS), fusion="sparse").fit([]).predict(["heat cold", "unknown"]).docids[1] == []


def test_columns_of_vectors():
    corpus = Corpus({str(i): {"text": f"text {i}"} for i in range(60)}).with_columns(dense=VECTORS, splade=WEIGHTS)
    queries = Queries(["x"] * 7)
    queries = Queries._make({**{"text": queries["text"]}, "dense": QUERY_VECTORS, "splade": QUERY_WEIGHTS}, 7, None)
    run = QdrantRetriever(corpus, encoder=[("dense", "dense")], metric="dot", k=10).fit([]).predict(queries)
    check_scores(run, expected("dense", "dot"), 10)
    both = QdrantRetriever(corpus, encoder=[("dense", "dense"), ("splade", "splade")], k=10, payload=["text"]).fit([])
    assert both.predict(queries).shape == (7, 60)
    with pytest.raises(KeyError, match="no column 'dense'"):
        both.predict(["x"])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"encoder": []}, "distinct names"),
        ({"encoder": [("a", HASHED), ("a", HASHED)]}, "distinct names"),
        ({"encoder": [HASHED]}, "expected a list of"),
        (
            {"encoder": [("a", HASHED), ("b", HASHED)], "fusion": "c"},
            "expected fusion='rrf', 'dbsf' or the name.*got 'c'",
        ),
        ({"encoder": [("a", HASHED)], "query_encoder": {"b": HASHED}}, "no others in query_encoder"),
        ({"encoder": [("a", HASHED)], "query_encoder": HASHED}, "a dict by name"),
        ({"encoder": HASHED, "query_encoder": {"a": HASHED}}, "encoder is not a list"),
        ({"encoder": HASHED, "url": "http://localhost", "path": "folder"}, "give one of them"),
        ({"encoder": HASHED, "batch_size": 0}, "'batch_size' parameter"),
        ({"encoder": HASHED, "metric": "manhattan"}, "'metric' parameter"),
    ],
)
def test_parameters_are_checked(params, message):
    with pytest.raises(ValueError, match=message):
        QdrantRetriever(Corpus(DOCUMENTS), **params).fit([])


def test_queries_may_have_an_encoder_of_their_own():
    counted = CountedEncoder()
    run = QdrantRetriever(Corpus(DOCUMENTS), encoder=HASHED, query_encoder=counted).fit([]).predict(["heat"])
    assert run.docids == [["a", "d", "c"]]
    several = [("one", HASHED), ("two", HASHED)]
    run = QdrantRetriever(Corpus(DOCUMENTS), encoder=several, query_encoder={"two": counted}).fit([]).predict(["cold"])
    assert sorted(run.docids[0]) == ["b", "c"]


class CountedEncoder(TransformerMixin, BaseEstimator):
    """Hashes; counts the texts that it sees."""

    seen = Counter()

    def __init__(self, n_features=64):
        self.n_features = n_features

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        self.seen.update(X)
        return HashingVectorizer(n_features=self.n_features, alternate_sign=False).transform(X)


# --- uploads
def test_a_grid_search_uploads_and_encodes_once(stub):
    CountedEncoder.seen.clear()
    queries = Queries({f"q{i}": word for i, word in enumerate(["heat", "cold", "rests", "flows"])})
    qrels = Qrels({"q0": {"a": 1}, "q1": {"b": 1}, "q2": {"b": 1}, "q3": {"d": 1}}).align(queries)
    corpus = Corpus({name: {"text": f"{one['text']}."} for name, one in DOCUMENTS.items()})
    retriever = QdrantRetriever(corpus, encoder=CountedEncoder(), url=stub.url)
    grid = {"k": [1, 10], "backoff": [0.1, 0.2]}
    search = GridSearchCV(retriever, grid, scoring=get_scorer("ndcg@10"), cv=2)
    with pytest.warns(UserWarning, match="k=1"):
        search.fit(queries, qrels)
    assert search.best_score_ > 0.8
    assert stub.count("PUT") == 2  # the collection and its points
    assert all(CountedEncoder.seen[f"{one['text']}."] == n for one, n in zip(DOCUMENTS.values(), [2, 1, 1, 2]))
    union = RetrieverUnion([("bm25", BM25Retriever(corpus)), ("qdrant", search.best_estimator_)]).fit(queries)
    assert union.transform(queries).columns == ("bm25", "qdrant")
    assert stub.count("PUT") == 2


def test_an_upload_that_was_interrupted_goes_on(stub):
    def make():
        return QdrantRetriever(Corpus(VECTORS), metric="dot", url=stub.url, batch_size=10, retries=0)

    stub.failures = [None] * 5 + [500]
    with pytest.raises(Exception, match="500"):
        make().fit([])
    uploaded = stub.count("PUT /collections/sklrank-") - 2  # one made the collection, one failed
    assert uploaded == 2
    stub.log.clear()
    retriever = make().fit([])
    assert stub.count("/points") - stub.count("count") == 4
    check_scores(retriever.set_params(k=9).predict(QUERY_VECTORS), expected("dense", "dot"), 9)
    stub.log.clear()
    assert make().fit([]).collection_ == retriever.collection_
    assert not stub.count("PUT")  # what is there is not uploaded again, whoever asks
    QdrantRetriever(Corpus(VECTORS), metric="euclidean", url=stub.url).fit([])
    assert stub.count("PUT") == 2


def test_a_folder_keeps_what_was_uploaded(tmp_path):
    folder = tmp_path / "store"
    first = QdrantRetriever(Corpus(VECTORS[:9]), path=folder, k=3).fit([])
    run = first.predict(QUERY_VECTORS)
    again = QdrantRetriever(Corpus(VECTORS[:9]), path=str(folder), k=3).fit([])  # beside the first, one client
    assert again.client_ is first.client_ and again.collection_ == first.collection_
    assert same(again.predict(QUERY_VECTORS), run)
    first.client_.close()
    del first, again
    with QdrantClientIn(folder) as client:
        (one,) = client.get_collections().collections
        assert client.count(one.name).count == 9


class QdrantClientIn:
    def __init__(self, folder):
        self.client = QdrantClient(path=str(folder))

    def __enter__(self):
        return self.client

    def __exit__(self, *_):
        self.client.close()


def test_progress_is_told(capsys):
    corpus = Corpus(VECTORS)
    QdrantRetriever(corpus, batch_size=50, verbose=True).fit([])
    (line,) = capsys.readouterr().out.splitlines()  # one in two seconds, and the last
    assert line.startswith("[QdrantRetriever] uploaded 60 of 60 documents, ")
    QdrantRetriever(corpus, batch_size=50, verbose=True).fit([])
    assert not capsys.readouterr().out


def test_callbacks_hear_of_the_upload():
    steps = Counter()

    class Listener:
        def setup(self, estimator, context):
            steps["setup"] += 1

        def on_fit_task_begin(self, estimator, context, **_):
            steps[context.task_name] += 1

        def on_fit_task_end(self, estimator, context, **_):
            steps["end"] += 1

        def teardown(self, estimator, context):
            steps["teardown"] += 1

    retriever = QdrantRetriever(Corpus(VECTORS), batch_size=6)
    if not hasattr(retriever, "set_callbacks"):
        return  # scikit-learn 1.8
    retriever.set_callbacks(Listener())
    retriever.fit([]).predict(QUERY_VECTORS)
    assert steps == {"setup": 1, "uploaded": 1, "step": 60, "end": 61, "teardown": 1}


def test_options_reach_the_collection(stub):
    seen = []
    client = QdrantClient(url=stub.url, check_compatibility=False)
    create = client.create_collection
    client.create_collection = lambda name, **options: seen.append(options) or create(name, **options)
    QdrantRetriever(Corpus(VECTORS), client=client, collection_options={"on_disk_payload": True}).fit([])
    assert seen[0]["on_disk_payload"] is True


# --- collections that exist
@pytest.fixture(params=["embedded", "stub"])
def filled(request, stub):
    """A client with collections that somebody else made."""
    client = make_client()
    if request.param == "stub":
        client = QdrantClient(url=stub.url, check_compatibility=False)
    distance = models.Distance.MANHATTAN
    client.create_collection("plain", vectors_config=models.VectorParams(size=2, distance=distance))
    rows = [[0.0, 0.0], [1.0, 0.0], [3.0, 3.0]]
    named = ["x", "y", "z"]
    points = [models.PointStruct(id=7 + i, vector=v, payload={"name": n}) for i, (v, n) in enumerate(zip(rows, named))]
    client.upsert("plain", points)
    client.create_collection(
        "named",
        vectors_config={"dense": models.VectorParams(size=64, distance=models.Distance.COSINE)},
        sparse_vectors_config={"sparse": models.SparseVectorParams()},
    )
    texts = HASHED.transform([one["text"] for one in DOCUMENTS.values()])
    points = [
        models.PointStruct(
            id=i,
            vector={
                "dense": texts[[i]].toarray()[0].tolist(),
                "sparse": models.SparseVector(indices=texts[[i]].indices.tolist(), values=texts[[i]].data.tolist()),
            },
            payload={"docid": docid},
        )
        for i, docid in enumerate(DOCUMENTS)
    ]
    client.upsert("named", points)
    return client


def test_a_collection_without_a_corpus_gives_ids(filled):
    retriever = QdrantRetriever(client=filled, collection="plain", id_field="name", k=2).fit([])
    run = retriever.predict(np.array([[0.9, 0.0], [3.0, 3.0]]))
    assert run.docids == [["y", "x"], ["z", "y"]] and run.corpus is None
    assert run.scores == pytest.approx([-0.1, -0.9, 0.0, -5.0])
    by_point = QdrantRetriever(client=filled, collection="plain", id_field=None, k=1).fit([])
    assert by_point.predict(np.array([[3.0, 2.0]])).docids == [["9"]]
    only = by_point.set_params(query_filter={"must": [{"key": "name", "match": {"value": "x"}}]})
    assert only.predict(np.array([[3.0, 2.0]])).docids == [["7"]]
    with pytest.raises(ValueError, match="give corpus=, or query_filter="):
        retriever.predict(np.zeros((1, 2)), filter=["x"])
    with pytest.raises(ValueError, match="have no 'docid' in their payload: .*; give id_field="):
        QdrantRetriever(client=filled, collection="plain").fit([]).predict(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="queries have 3 dimensions, the documents 2"):
        retriever.predict(np.zeros((1, 3)))


def test_a_collection_with_a_corpus_gives_rows(filled):
    corpus = Corpus({"z": "", "y": "", "x": "", "w": ""})
    retriever = QdrantRetriever(corpus, client=filled, collection="plain", id_field="name").fit([])
    assert retriever.predict(np.zeros((1, 2))).rows.tolist() == [2, 1, 0]
    assert retriever.predict(np.zeros((1, 2)), filter=["z", "w"]).docids == [["z"]]
    by_point = QdrantRetriever(Corpus(["a", "b"], ids=["9", "7"]), client=filled, collection="plain", id_field=None)
    assert by_point.fit([]).predict(np.zeros((1, 2)), filter=["9"]).docids == [["9"]]
    with pytest.raises(ValueError, match="collection 'plain' holds documents that the corpus lacks: .*'8'"):
        by_point.predict(np.zeros((1, 2)))


def test_an_update_uploads_the_new_corpus_but_changes_no_collection_of_the_user(filled):
    corpus = Corpus({"a": "heat flows", "b": "cold rests"})
    client = QdrantClient(":memory:")
    retriever = QdrantRetriever(corpus, encoder=DENSE, client=client).fit([])
    before = retriever.collection_
    retriever.update(add={"c": "heat"}, remove=["a"])
    fresh = QdrantRetriever(Corpus({"b": "cold rests", "c": "heat"}), encoder=DENSE, client=client).fit([])
    assert retriever.collection_ == fresh.collection_ != before
    assert same(retriever.predict(["heat"]), fresh.predict(["heat"]))
    retriever = QdrantRetriever(Corpus(["a", "b"]), client=filled, collection="plain").fit([])
    with pytest.raises(ValueError, match=r"not the collection 'plain': .* fit again with corpus="):
        retriever.add({"z": "heat"})


def test_named_vectors_of_a_collection(filled):
    for name, encoder in (("sparse", HASHED), ("dense", DENSE)):
        encoder = [(name, FrozenEstimator(encoder.fit([""])))]
        retriever = QdrantRetriever(client=filled, collection="named", encoder=encoder, k=3).fit([])
        assert sorted(retriever.predict(["heat flows"]).docids[0]) == ["a", "c", "d"]
    both = [("dense", FrozenEstimator(DENSE)), ("sparse", HASHED)]  # which says itself that it needs no fit
    retriever = QdrantRetriever(Corpus(DOCUMENTS), client=filled, collection="named", encoder=both, k=2).fit([])
    assert retriever.predict(["rests"]).docids[0][0] == "b"
    with pytest.raises(ValueError, match=r"has the vectors 'dense', 'sparse': name the vector to search"):
        QdrantRetriever(client=filled, collection="named", encoder=HASHED).fit([])
    with pytest.raises(ValueError, match="has no vector 'colbert'; it has 'dense', 'sparse'"):
        QdrantRetriever(client=filled, collection="named", encoder=[("colbert", HASHED)]).fit([])
    with pytest.raises(ValueError, match=r"encoder=FrozenEstimator\(encoder\)"):
        QdrantRetriever(client=filled, collection="named", encoder=[("sparse", TfidfVectorizer())]).fit([])


def test_a_missing_collection_is_said(filled):
    where = "the embedded mode" if filled.init_options["location"] else "http://127.0.0.1"
    with pytest.raises(ValueError, match=f"no collection 'palin' in {where}.*; it has 'named', 'plain'"):
        QdrantRetriever(client=filled, collection="palin").fit([])
    retriever = QdrantRetriever(client=filled, collection="plain", id_field=None).fit([])
    filled.delete_collection("plain")
    with pytest.raises(ValueError, match="plain"):
        retriever.predict(np.zeros((1, 2)))


# --- failures
def test_failures_that_may_pass_are_tried_again(stub):
    retriever = QdrantRetriever(Corpus(VECTORS), metric="dot", url=stub.url, k=10, backoff=0)
    stub.failures = [503, "drop", None, 429, None, None, 502, None, 504, None, 500]
    run = retriever.fit([]).predict(QUERY_VECTORS)
    check_scores(run, expected("dense", "dot"), 10)
    assert not stub.failures
    n = len(stub.log)
    stub.failures = [503] * 9
    with pytest.raises(Exception, match="503") as caught:
        retriever.predict(QUERY_VECTORS)
    assert len(stub.log) == n + 4 and caught.value.__notes__ == ["This was try 4 of 4."]


def test_failures_that_will_not_pass_are_not_tried_again(stub):
    retriever = QdrantRetriever(Corpus(VECTORS), url=stub.url, backoff=0).fit([])
    for status, error, message in (
        (400, Exception, "400"),
        (403, PermissionError, "api_key"),
        (404, ValueError, "no such collection"),
    ):
        n = len(stub.log)
        stub.failures = [status]
        with pytest.raises(error, match=message):
            retriever.predict(QUERY_VECTORS)
        assert len(stub.log) == n + 1


def test_a_server_that_is_not_there_is_said():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ConnectionError, match=f"no Qdrant server answers at {url} .*is it running"):
        QdrantRetriever(Corpus(VECTORS), url=url, retries=1, backoff=0).fit([])


def test_a_server_that_is_slow_is_said(stub):
    retriever = QdrantRetriever(Corpus(VECTORS), url=stub.url, timeout=1, retries=0).fit([])
    stub.failures = [1.4]
    started = time.perf_counter()
    with pytest.raises(TimeoutError, match="did not answer within 1 seconds"):
        retriever.predict(QUERY_VECTORS)
    assert time.perf_counter() - started < 1.39


def test_another_server_is_said(stub):
    stub.failures = [202]  # without what a Qdrant would say
    with pytest.raises(ValueError, match="does not answer as Qdrant does"):
        QdrantRetriever(Corpus(VECTORS), url=stub.url, retries=2, backoff=0).fit([])


def test_a_client_is_a_client():
    with pytest.raises(TypeError, match="expected a QdrantClient, or a function that makes one, as client; got int"):
        QdrantRetriever(Corpus(VECTORS), client=7).fit([])


# --- clones and pickles
def test_clones_share_the_client(filled):
    retriever = QdrantRetriever(client=filled, collection="plain", id_field="name").fit([])
    copy = clone(retriever)
    assert copy.client is filled
    with pytest.raises(NotFittedError):
        copy.predict(np.zeros((1, 2)))
    assert copy.fit([]).client_ is filled
    corpus = Corpus({"x": "", "y": "", "z": ""})
    union = RetrieverUnion([("qdrant", retriever.set_params(corpus=corpus))]).fit([])
    assert union.transform(np.zeros((2, 2))).docids == [["x", "y", "z"]] * 2


def test_pickles_connect_again(filled, monkeypatch):
    retriever = QdrantRetriever(client=filled, collection="plain", id_field="name").fit([])
    data = pickle.dumps(retriever)
    assert same(pickle.loads(data).predict(np.zeros((1, 2))), retriever.predict(np.zeros((1, 2))))
    assert pickle.loads(data).client_ is filled  # it is alive in this process
    monkeypatch.setattr("sklrank.retrievers._qdrant_store._CLIENTS", Recent(0))  # as in another process
    again = pickle.loads(data)
    if filled.init_options["location"]:
        with pytest.raises(ValueError, match="no collection 'plain' in the embedded mode; it has none"):
            again.predict(np.zeros((1, 2)))
    else:
        assert again.predict(np.zeros((1, 2))).docids == [["x", "y", "z"]]
        assert again.client_ is not filled and pickle.loads(pickle.dumps(again)).client_ is again.client_


def make_client():
    return QdrantClient(location=":memory:")


def test_a_function_makes_the_client():
    retriever = QdrantRetriever(Corpus(VECTORS), client=make_client, k=5).fit([])
    again = pickle.loads(pickle.dumps(retriever))
    assert again.client is make_client
    assert same(again.predict(QUERY_VECTORS), retriever.predict(QUERY_VECTORS))


def test_what_was_in_memory_is_uploaded_again_elsewhere():
    corpus = Corpus(VECTORS)
    retriever = QdrantRetriever(corpus, metric="dot", k=5).fit([])
    run, data = retriever.predict(QUERY_VECTORS), pickle.dumps(retriever)
    corpus.clear_cache()
    again = pickle.loads(data)
    assert again.client_ is not retriever.client_
    assert same(again.predict(QUERY_VECTORS), run)


# --- secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://localhost:6333", "http://localhost:6333"),
        ("https://user:secret@host:6333/path", "https://***@host:6333/path"),
        ("https://secret@host?api_key=secret", "https://***@host?***"),
        ("user:se/cret@host", "***@host"),
        ("http://user:s@cret/@host", "http://***@host"),
    ],
)
def test_a_password_in_an_address_is_not_shown(url, shown):
    retriever = QdrantRetriever(url=url)
    for estimator in (retriever, clone(retriever), pickle.loads(pickle.dumps(retriever)), make_pipeline(retriever)):
        for text in (repr(estimator), str(estimator), estimator._repr_html_(), repr(estimator.get_params())):
            assert "cret" not in text
        assert f"url={shown!r}" in repr(estimator)
    assert retriever.url == url and clone(retriever).url == url
    assert "cret" not in repr(QdrantRetriever().set_params(url=url))


def test_errors_of_a_server_do_not_show_a_password():
    for options in (
        {"url": "http://user:secret@127.0.0.1:9"},
        {"url": "http://user:se/cret@127.0.0.1:9"},
        {"client": QdrantClient(url="http://user:secret@127.0.0.1:9", check_compatibility=False)},
        {"client": "http://user:secret@127.0.0.1:9"},
    ):
        with pytest.raises((ConnectionError, ValueError, TypeError)) as caught:
            QdrantRetriever(Corpus(VECTORS), retries=0, **options).fit([])
        error = caught.value
        while error is not None:
            assert "cret" not in str(error) and "user" not in str(error)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
