"""AnnRetriever: what it finds is exact, what it misses is measured."""

import os
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklrank
from sklrank import Corpus, Queries
from sklrank.metrics import get_scorer, register_scorers, unregister_scorers
from sklrank.retrievers import AnnRetriever, DenseRetriever
from sklrank.retrievers._ann_faiss import FaissIndex
from sklrank.retrievers._ann_search import _ragged
from sklrank.retrievers._ann_usearch import UsearchIndex

RNG = np.random.default_rng(0)
# Few neighbours and little effort, so that something is missed.
CENTRES = RNG.normal(size=(30, 12))
VECTORS = (CENTRES[RNG.integers(30, size=1500)] + RNG.normal(size=(1500, 12))).astype(np.float32)
QUERIES = (CENTRES[RNG.integers(30, size=40)] + RNG.normal(size=(40, 12))).astype(np.float32)
CORPUS = Corpus(VECTORS)
COARSE = {"k": 5, "connectivity": 4, "expansion_add": 8, "expansion_search": 5}
BACKENDS = pytest.mark.parametrize("backend", ["usearch", "faiss"])
METRICS = pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])


def same(run, other):
    return run.docids == other.docids and run.scores.tobytes() == other.scores.tobytes()


def exact_scores(metric, vectors=VECTORS, queries=QUERIES):
    """Scores in double precision, shape (n_queries, n_documents)."""
    vectors, queries = vectors.astype(np.float64), queries.astype(np.float64)
    if metric == "euclidean":
        return -np.sqrt(((queries[:, None, :] - vectors[None, :, :]) ** 2).sum(axis=2))
    if metric == "cosine":
        vectors, queries = (
            x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300) for x in (vectors, queries)
        )
    return queries @ vectors.T


def check_ranked(run, metric, k, vectors=VECTORS, queries=QUERIES, admitted=None):
    """Whether all scores are right, the order is that of the scores and rows, and there are as many as can be."""
    scores = exact_scores(metric, vectors, queries)
    for i, one in enumerate(run):
        rows = one.rows.tolist()
        allowed = np.arange(len(vectors)) if admitted is None else np.asarray(admitted)
        assert len(rows) == len(set(rows)) == min(k, len(allowed))
        assert np.isin(rows, allowed).all()
        scale = max(1.0, np.abs(scores[i]).max(initial=0))
        assert np.allclose(one.scores, scores[i, rows], rtol=1e-5, atol=1e-5 * scale)
        assert rows == [row for _, row in sorted(zip(-one.scores, rows))]


# --- what is found


@BACKENDS
@METRICS
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int8"])
def test_scores_and_order_are_exact_whatever_the_index_holds(backend, metric, dtype):
    retriever = AnnRetriever(CORPUS, backend=backend, metric=metric, dtype=dtype, k=10, expansion_search=40)
    run = retriever.fit(QUERIES).predict(QUERIES)
    check_ranked(run, metric, 10)
    assert run.name == "ann"
    assert retriever.recall_against_exact(QUERIES) > 0.9
    exact = DenseRetriever(CORPUS, metric=metric, k=10).fit(QUERIES).predict(QUERIES)
    for one, other in zip(run, exact):
        rows, a, b = np.intersect1d(one.rows, other.rows, return_indices=True)
        if dtype == "float32" and backend == "usearch":
            assert np.allclose(one.scores[a], other.scores[b], rtol=1e-6, atol=1e-6)
        else:
            assert one.scores[a].tobytes() == other.scores[b].tobytes()
        assert one.rows[np.sort(a)].tolist() == other.rows[np.sort(b)].tolist()


@pytest.mark.parametrize(
    "factory", ["IVF16,Flat", "IVF16,PQ4x4", "PCA8,IVF16,SQ8", "HNSW8", "IVF16,SQ8,RFlat", "SQ8", "PQ2x4"]
)
def test_whatever_faiss_makes(factory):
    retriever = AnnRetriever(CORPUS, backend="faiss", factory=factory, k=5, expansion_search=60).fit(QUERIES)
    check_ranked(retriever.predict(QUERIES), "cosine", 5)
    assert retriever.recall_against_exact(QUERIES) > 0.7
    mask = np.arange(len(VECTORS)) % 2 == 0
    check_ranked(retriever.predict(QUERIES, filter=mask), "cosine", 5, admitted=np.flatnonzero(mask))
    again = pickle.loads(pickle.dumps(retriever))
    assert same(again.predict(QUERIES), retriever.predict(QUERIES))


@pytest.mark.parametrize(
    "factory, exact",
    [
        *[(factory, True) for factory in ("Flat", "IVF16,Flat", "HNSW8", "HNSW8,Flat")],
        *[(factory, False) for factory in ("PCA4,Flat", "PCA4,IVF8,Flat", "IVF16,SQ8,RFlat", "HNSW8,SQ8")],
    ],
)
def test_faiss_is_taken_as_exact_only_where_it_holds_the_vectors(factory, exact):
    retriever = AnnRetriever(CORPUS, backend="faiss", factory=factory, k=5, expansion_search=5, nprobe=16).fit(QUERIES)
    assert retriever.index_.is_exact == exact
    if "PCA" in factory:  # what is asked for beyond k makes up for what the projection loses
        low = retriever.recall_against_exact(QUERIES)
        assert low < 0.9 < retriever.set_params(expansion_search=200).recall_against_exact(QUERIES)


@pytest.mark.parametrize("factory", ["IVF64,PQ2x6", "PCA8,IVF64,Flat", "IVF64,SQ8,RFlat", "OPQ2_4,Flat"])
def test_faiss_prints_nothing(factory, capfd):
    for seed in (None, 0):
        AnnRetriever(VECTORS[:400], backend="faiss", factory=factory, random_state=seed).fit(QUERIES)
    assert capfd.readouterr() == ("", "")


@BACKENDS
def test_a_batch_equals_a_loop_and_threads_change_nothing(backend):
    retriever = AnnRetriever(CORPUS, backend=backend, **COARSE).fit(QUERIES)
    run = retriever.predict(QUERIES)
    assert same(np.concatenate([retriever.predict(query[None, :]) for query in QUERIES]), run)
    assert same(retriever.set_params(n_jobs=2).predict(QUERIES), run)
    settings = [{"expansion_search": 5}, {"expansion_search": 30}] * 8
    retrievers = [clone(retriever).set_params(**setting).fit(QUERIES) for setting in settings]
    expected = [retrievers[0].predict(QUERIES), retrievers[1].predict(QUERIES)]
    assert not same(*expected)
    with ThreadPoolExecutor(8) as pool:
        for i, other in enumerate(pool.map(lambda one: one.predict(QUERIES), retrievers)):
            assert same(other, expected[i % 2])


@BACKENDS
def test_more_than_there_are_gives_all(backend):
    run = AnnRetriever(CORPUS, backend=backend, k=10_000).fit(QUERIES).predict(QUERIES[:2])
    check_ranked(run, "cosine", 10_000, queries=QUERIES[:2])


@BACKENDS
def test_no_query(backend):
    retriever = AnnRetriever(CORPUS, backend=backend, **COARSE).fit(QUERIES)
    run = retriever.predict(Queries(QUERIES)[:0])
    assert run.shape == (0, len(VECTORS))
    assert np.isnan(retriever.recall_against_exact(Queries(QUERIES)[:0]))
    with pytest.raises(ValueError, match="there are none"):
        retriever.tune(Queries(QUERIES)[:0])


@BACKENDS
def test_duplicates_and_zeros_are_found_as_often_as_asked(backend):
    vectors = np.repeat(VECTORS[:4], 400, axis=0)
    vectors[800:1200] = 0
    for metric in ("cosine", "dot", "euclidean"):
        retriever = AnnRetriever(backend=backend, metric=metric, k=20, expansion_search=20).fit(vectors)
        run = retriever.predict(np.vstack([QUERIES[:3], np.zeros(12)]))
        assert np.diff(run.indptr).tolist() == [20] * 4
        for one in run:
            assert one.rows.tolist() == [row for _, row in sorted(zip(-one.scores, one.rows.tolist()))]


@METRICS
@pytest.mark.parametrize("size", [1e-9, 1.0, 1e6])
def test_documents_nearer_to_each_other_than_rounding_are_in_the_exact_order(metric, size):
    near = VECTORS[:1] * (1 + np.float32(2e-7) * RNG.integers(-3, 4, size=(600, 12)).astype(np.float32))
    vectors = (np.concatenate([near, VECTORS[:900]]) * size).astype(np.float32)
    retriever = AnnRetriever(metric=metric, k=50, expansion_search=50).fit(vectors)
    exact = DenseRetriever(metric=metric, k=1500).fit(vectors)
    queries = (np.concatenate([VECTORS[:1], QUERIES[:10]]) * size).astype(np.float32)
    for one, other in zip(retriever.predict(queries), exact.predict(queries)):
        found = np.isin(other.rows, one.rows)
        assert one.rows.tolist() == other.rows[found].tolist()
        assert np.allclose(one.scores, other.scores[found], rtol=1e-5, atol=1e-6 * size)


hostile = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1.0, 1e-38, 1e15, -1e15, 3.0, 1e-7])


@settings(max_examples=25)
@given(
    st.integers(1, 60).flatmap(lambda n: st.lists(st.lists(hostile, min_size=2, max_size=2), min_size=n, max_size=n)),
    st.integers(1, 70),
    st.sampled_from(["cosine", "dot", "euclidean"]),
    st.sampled_from(["float32", "bfloat16", "float16", "int8"]),
    st.data(),
)
def test_hostile_vectors(vectors, k, metric, dtype, data):
    vectors = np.array(vectors, dtype=np.float32)
    drawn = np.array(data.draw(st.lists(st.booleans(), min_size=len(vectors), max_size=len(vectors))))
    retriever = AnnRetriever(metric=metric, dtype=dtype, k=k, expansion_search=1, connectivity=2).fit(vectors)
    for mask in (np.ones(len(vectors), dtype=bool), drawn):
        search = retriever._searcher()
        exact = search.rank(retriever.vectors_, k, mask, retriever.corpus_, search.scan)
        for exactly in (False, True):
            found = search.rank(retriever.vectors_, k, mask, retriever.corpus_, force_walk(search, exactly))
            assert np.isfinite(found[2]).all()
            assert (np.diff(found[0]) <= np.diff(exact[0])).all()
        run = retriever.predict(vectors, filter=mask)
        assert np.diff(run.indptr).tolist() == [min(k, mask.sum())] * len(vectors)
        assert mask[run.rows].all()
        for one in run:
            assert one.rows.tolist() == [row for _, row in sorted(zip(-one.scores, one.rows.tolist()))]


def force_walk(search, exactly):
    """The search through the index, however small the corpus is."""

    def walk(queries, k, mask):
        breadth = max(k, search.expansion_search)
        return _ragged(*search.walk(queries, k, breadth, mask, len(search.vectors) / mask.sum(), exactly))

    return walk


# --- filters


@BACKENDS
@pytest.mark.parametrize("n_admitted", [0, 1, 3, 20, 200, 700, 1499, 1500])
def test_filters_never_find_fewer_than_they_admit(backend, n_admitted):
    retriever = AnnRetriever(CORPUS, backend=backend, **COARSE).fit(QUERIES)
    admitted = np.sort(np.random.default_rng(n_admitted).permutation(len(VECTORS))[:n_admitted])
    mask = np.isin(np.arange(len(VECTORS)), admitted)
    run = retriever.predict(QUERIES, filter=mask)
    check_ranked(run, "cosine", 5, admitted=admitted)
    assert same(retriever.predict(QUERIES, filter=[str(row) for row in admitted]), run)
    if n_admitted:
        assert retriever.recall_against_exact(QUERIES, filter=mask) > 0.5


@BACKENDS
def test_a_filter_that_admits_only_far_documents(backend):
    retriever = AnnRetriever(CORPUS, backend=backend, **COARSE).fit(QUERIES)
    far = np.argsort(exact_scores("cosine", queries=QUERIES[:1])[0])[:900]
    mask = np.isin(np.arange(len(VECTORS)), far)
    check_ranked(retriever.predict(QUERIES[:1], filter=mask), "cosine", 5, queries=QUERIES[:1], admitted=far)


@BACKENDS
def test_filters_of_each_query(backend):
    retriever = AnnRetriever(CORPUS, backend=backend, **COARSE).fit(QUERIES)
    masks = [None, np.arange(1500) < 800, ["3", "77"], [], np.arange(1500) >= 800]
    run = retriever.predict(QUERIES[:5], filter=masks)
    for i, mask in enumerate(masks):
        assert same(run[i], retriever.predict(QUERIES[[i]], filter=mask))


# --- built once


@BACKENDS
def test_search_parameters_do_not_build_again(backend, monkeypatch):
    kind = {"usearch": UsearchIndex, "faiss": FaissIndex}[backend]
    built, build = [], kind.build
    monkeypatch.setattr(kind, "build", lambda *args, **kwargs: built.append(1) or build(*args, **kwargs))
    corpus = Corpus(VECTORS)
    retriever = AnnRetriever(corpus, backend=backend, **COARSE)
    grid = {"expansion_search": [5, 10, 80], "nprobe": [1, 2], "k": [5, 6]}
    search = GridSearchCV(retriever, grid, scoring=get_scorer("recall_vs_exact@5"), cv=3).fit(QUERIES)
    assert len(built) == 1
    assert search.best_params_["expansion_search"] == 80 and search.best_score_ > 0.95
    fitted = AnnRetriever(corpus, backend=backend, **COARSE).fit(QUERIES)
    low = fitted.recall_against_exact(QUERIES)
    assert fitted.set_params(expansion_search=80).recall_against_exact(QUERIES) > low
    assert len(fitted.set_params(k=7).predict(QUERIES).docids[0]) == 7
    assert len(built) == 1
    AnnRetriever(corpus, backend=backend, **{**COARSE, "connectivity": 6}).fit(QUERIES)
    assert len(built) == 2


@BACKENDS
def test_an_index_is_reproducible_by_its_seed(backend):
    def build(seed, n_jobs=None):
        retriever = AnnRetriever(Corpus(VECTORS), backend=backend, random_state=seed, n_jobs=n_jobs, **COARSE)
        return retriever.fit(QUERIES).predict(QUERIES)

    assert same(build(0), build(0, n_jobs=2))
    assert same(build(None), build(None))
    assert not same(build(0), build(1))
    assert same(build(np.random.RandomState(3)), build(np.random.RandomState(3)))


# --- kept


@BACKENDS
def test_pickles_and_files(backend, tmp_path):
    retriever = AnnRetriever(CORPUS, backend=backend, **COARSE).fit(QUERIES)
    run = retriever.predict(QUERIES)
    assert same(pickle.loads(pickle.dumps(retriever)).predict(QUERIES), run)
    joblib.dump(retriever, tmp_path / "retriever.joblib")
    assert same(joblib.load(tmp_path / "retriever.joblib").predict(QUERIES), run)
    mapped = joblib.load(tmp_path / "retriever.joblib", mmap_mode="r")
    assert same(mapped.predict(QUERIES), run)
    if backend == "usearch":
        assert isinstance(mapped.index_.buffer, np.memmap)


@BACKENDS
def test_saved_indexes_are_found_damaged_before_their_library_opens_them(backend, tmp_path):
    retriever = AnnRetriever(CORPUS, backend=backend, **COARSE).fit(QUERIES)
    run = retriever.predict(QUERIES)
    sklrank.save(retriever, tmp_path)
    loaded = sklrank.load(tmp_path)
    assert same(loaded.predict(QUERIES), run) and same(clone(loaded).fit(QUERIES).predict(QUERIES), run)
    if backend == "usearch":
        assert isinstance(loaded.index_.buffer.base, np.memmap)
    state = retriever.index_.__getstate__()
    [path] = [path for path in tmp_path.glob("data-*/*.npy") if path.read_bytes()[128:] == bytes(state["buffer"])]
    sklrank.save(loaded, tmp_path)  # over the file that is searched
    assert same(loaded.predict(QUERIES), run) and not path.exists()
    [path] = [path for path in tmp_path.glob("data-*/*.npy") if path.read_bytes()[128:] == bytes(state["buffer"])]
    content = path.read_bytes()
    for damaged in (content[:-8], content[:200] + bytes(100) + content[300:]):
        path.unlink()  # the loaded index still has the old file
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{path.name} is (truncated|damaged)"):
            sklrank.load(tmp_path)


def test_a_folder_keeps_the_index_memory_mapped(tmp_path, monkeypatch):
    def fitted():
        return AnnRetriever(Corpus(VECTORS, cache_folder=tmp_path), **COARSE).fit(QUERIES)

    run = fitted().predict(QUERIES)
    monkeypatch.setattr(UsearchIndex, "build", None)
    retriever = fitted()
    assert isinstance(retriever.index_.buffer, np.memmap)
    assert same(retriever.predict(QUERIES), run)


# --- recall


@BACKENDS
def test_recall_against_exact_is_that_of_the_definition(backend):
    retriever = AnnRetriever(CORPUS, backend=backend, **COARSE).fit(QUERIES)
    nearest = np.argsort(-exact_scores("cosine"), axis=1, kind="stable")
    for k in (1, 5, 12):
        run = retriever.set_params(k=k).predict(QUERIES)
        expected = np.mean([len(np.intersect1d(one.rows, rows[:k])) / k for one, rows in zip(run, nearest)])
        assert retriever.set_params(k=5).recall_against_exact(QUERIES, k) == pytest.approx(expected)


@pytest.mark.parametrize("factory", [None, "IVF32,Flat", "IVF32,SQ4"])
@pytest.mark.parametrize("target", [0.5, 0.9, 1.0])
def test_tune_reaches_the_target_and_not_by_more_than_needed(factory, target):
    backend = "usearch" if factory is None else "faiss"
    retriever = AnnRetriever(CORPUS, backend=backend, factory=factory, **{**COARSE, "k": 3}).fit(QUERIES)
    assert retriever.tune(QUERIES, target) is retriever
    assert retriever.recall_against_exact(QUERIES) >= target
    if retriever.expansion_search > 3:
        less = retriever.expansion_search - max(1, retriever.expansion_search // 4)
        assert clone(retriever).set_params(expansion_search=less).fit(QUERIES).recall_against_exact(QUERIES) < target
    tried = [step["recall"] for step in retriever.tuning_]
    assert len(tried) < 25 and all(0 <= recall <= 1 for recall in tried)
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        retriever.tune(QUERIES, 1.5)


def test_the_scorer_needs_no_judgments():
    retriever = AnnRetriever(CORPUS, **COARSE).fit(QUERIES)
    scorer = get_scorer("recall_vs_exact@3")
    assert scorer(retriever, QUERIES) == retriever.recall_against_exact(QUERIES, 3)
    assert get_scorer("recall_vs_exact")(retriever, QUERIES) == retriever.recall_against_exact(QUERIES)
    assert repr(pickle.loads(pickle.dumps(scorer))) == "recall_vs_exact@3"


def test_the_scorer_takes_the_last_retriever_of_a_pipeline():
    halved = make_pipeline(FunctionTransformer(lambda X: X / 2), AnnRetriever(CORPUS, **COARSE), "passthrough")
    scorer = get_scorer("recall_vs_exact@5")
    expected = AnnRetriever(CORPUS, **COARSE).fit(QUERIES).recall_against_exact(QUERIES / 2, 5)
    assert scorer(halved.fit(QUERIES), QUERIES) == expected
    for estimator in (TfidfVectorizer(), make_pipeline(TfidfVectorizer(), "passthrough")):
        with pytest.raises(TypeError, match="recall_vs_exact@5 scores approximate retrievers"):
            scorer(estimator, QUERIES)
    both = {"found": scorer, "deep": get_scorer("recall_vs_exact@20")}
    results = cross_validate(AnnRetriever(CORPUS, **COARSE), QUERIES, scoring=both, cv=2)
    assert results["test_found"].min() > 0.3 and results["test_deep"].min() > 0.3


def test_the_scorer_has_a_name_once_registered():
    register_scorers()
    try:
        scores = cross_val_score(AnnRetriever(CORPUS, **COARSE), QUERIES, scoring="recall_vs_exact@5", cv=2)
    finally:
        unregister_scorers()
    assert scores.min() > 0.3
    for name in ("recall_vs_exact@0", "recall_vs_exact@x", "recall_vs_exact@"):
        with pytest.raises(ValueError):
            get_scorer(name)


# --- texts


def test_texts_go_through_an_encoder():
    texts = [f"heat {i % 17} flows {i % 5} plate {i}" for i in range(300)]
    encoder = make_pipeline(TfidfVectorizer(token_pattern=r"\w+"), TruncatedSVD(8, random_state=0))
    retriever = AnnRetriever(Corpus(texts), encoder=encoder, k=4, expansion_search=10).fit(texts[:5])
    assert (
        retriever.predict(texts[:5]).docids
        == DenseRetriever(Corpus(texts), encoder=encoder, k=4).fit([]).predict(texts[:5]).docids
    )
    assert len(retriever.search("heat 3 flows 3", k=2).docids[0]) == 2


# --- errors


@pytest.mark.parametrize(("backend", "module", "extra"), [("usearch", "usearch", "ann"), ("faiss", "faiss", "faiss")])
def test_a_missing_library_is_named_with_its_extra(backend, module, extra, monkeypatch):
    import importlib

    def missing(name, *args):
        if name.partition(".")[0] == module:
            raise ImportError(f"No module named {name!r}")
        return original(name, *args)

    original = importlib.import_module
    monkeypatch.setattr("sklrank._optional.import_module", missing)
    with pytest.raises(ImportError, match=rf"pip install 'sklrank\[{extra}\]'"):
        AnnRetriever(Corpus(VECTORS[:50]), backend=backend).fit(QUERIES)


@BACKENDS
def test_errors_say_what_to_do(backend):
    retriever = AnnRetriever(CORPUS, backend=backend, **COARSE)
    with pytest.raises(NotFittedError):
        retriever.predict(QUERIES)
    retriever.fit(QUERIES)
    with pytest.raises(ValueError, match="features|dimensions"):
        retriever.predict(QUERIES[:, :5])
    bad = VECTORS.copy()
    bad[7, 3] = np.nan
    with pytest.raises(ValueError, match="NaN.*document '7'"):
        AnnRetriever(Corpus(bad), backend=backend).fit(QUERIES)
    with pytest.raises(ValueError, match="NaN"):
        retriever.predict(bad[7:8])
    with pytest.raises(ValueError, match="'expansion_search' parameter"):
        retriever.set_params(expansion_search=0).predict(QUERIES)
    with pytest.raises(ValueError, match="'nprobe' parameter"):
        retriever.set_params(expansion_search=5, nprobe="many").predict(QUERIES)


def test_errors_of_the_factory():
    with pytest.raises(ValueError, match="needs backend='faiss'"):
        AnnRetriever(CORPUS, factory="IVF16,Flat").fit(QUERIES)
    with pytest.raises(ValueError, match=r"factory='Nonsense' of 12 dimensions"):
        AnnRetriever(CORPUS, backend="faiss", factory="Nonsense").fit(QUERIES)
    with pytest.raises(ValueError, match=r"cannot train factory='IVF4096,Flat' on 1500 documents"):
        AnnRetriever(CORPUS, backend="faiss", factory="IVF4096,Flat").fit(QUERIES)


@BACKENDS
def test_the_metric_is_that_of_fit(backend):
    for metric in ("cosine", "dot", "euclidean"):
        fitted = AnnRetriever(CORPUS, backend=backend, metric=metric, **COARSE).fit(QUERIES)
        for retriever in (fitted, pickle.loads(pickle.dumps(fitted))):
            for other in {"cosine", "dot", "euclidean"} - {metric}:
                with pytest.raises(ValueError, match="metric= was changed after fit: fit again"):
                    retriever.set_params(metric=other).predict(QUERIES)
            with pytest.raises(ValueError, match="The 'metric' parameter"):
                retriever.set_params(metric="manhattan").predict(QUERIES)
            retriever.set_params(metric=metric).predict(QUERIES)


def test_recall_counts_ties_as_found_and_leaves_out_queries_without_answers():
    rng = np.random.default_rng(0)
    vectors = np.repeat(np.sign(rng.normal(size=(40, 8))), 40, axis=0).astype(np.float32)
    masks = np.ones((5, 1600), dtype=bool)
    masks[:4] = False
    for retriever in (
        AnnRetriever(Corpus(vectors), k=20, random_state=0),
        DenseRetriever(Corpus(vectors), k=20, dtype="binary", rescore=1),
    ):
        retriever.fit(vectors)
        assert retriever.recall_against_exact(vectors[::100]) == 1
        assert retriever.recall_against_exact(vectors[:5], filter=masks) == 1
        assert np.isnan(retriever.recall_against_exact(vectors[:5], filter=np.zeros(1600, dtype=bool)))
        assert np.isnan(retriever.recall_against_exact(Queries(vectors)[:0]))


@pytest.mark.skipif(os.name != "posix", reason="processes are forked")
def test_a_forked_process_searches_while_threads_of_its_parent_do():
    retriever = AnnRetriever(CORPUS, backend="usearch", k=5).fit(None)
    expected, stopped = retriever.predict(QUERIES).docids, threading.Event()

    def search():
        while not stopped.is_set():
            retriever.predict(QUERIES)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(8):
            child = os.fork()
            if not child:
                signal.alarm(20)  # without new views, the child waits for a lock of its parent
                os._exit(retriever.predict(QUERIES).docids != expected)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
