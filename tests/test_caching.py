"""What is kept: the stores, their keys, their bounds, and what several threads and processes make of them."""

import ast
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from contracts import DOCUMENTS, QRELS, QUERIES, TEXTS
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklrank import Corpus, Qrels, Queries
from sklrank._caching import Cache, Folder
from sklrank._caching._sizes import measure
from sklrank._caching.keys import content_key, estimator_key, query_keys
from sklrank.base import Retriever
from sklrank.data import TokenVectors
from sklrank.encoders import TermVectorizer
from sklrank.fusers import ScoreFuser
from sklrank.metrics import get_scorer
from sklrank.retrievers import (
    BM25Retriever,
    CallableRetriever,
    DenseRetriever,
    LateInteractionRetriever,
    QdrantRetriever,
    RetrieverUnion,
    RM3Retriever,
    TfidfRetriever,
)

ROOT = Path(__file__).parents[1]


def run_python(code, *arguments, cwd=ROOT):
    """What a fresh interpreter prints."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- one room
def test_no_other_module_keeps_results():
    kept = {"OrderedDict", "WeakKeyDictionary", "WeakValueDictionary", "WeakSet", "lru_cache", "cache", "weakref"}
    found = []
    for path in sorted((ROOT / "sklrank").rglob("*.py")):
        if path.parent.name == "_caching":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_of(node, "functools")}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        found += [f"{path.name}: {name}" for name in sorted(names & kept)]
        for node in tree.body:  # a module's own dict that begins empty is there to be filled
            value = getattr(node, "value", None)
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(value, ast.Dict) and not value.keys:
                found.append(f"{path.name}: {ast.unparse(node)}")
    assert found == ["_scorer.py: _WARNED = {}"]  # what was warned of, which is no result


def _is_of(node, module):
    return isinstance(node.value, ast.Name) and node.value.id == module


# --- rankings are reused only by those that say so
class Tokens(TransformerMixin, BaseEstimator):
    """One vector for each letter of a text."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        letters = np.eye(26, dtype=np.float32)
        return TokenVectors.from_list(
            [letters[[ord(c) - 97 for c in text.lower() if "a" <= c <= "z"]].reshape(-1, 26) for text in X]
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


def answers(docid):
    def engine(queries, k):
        return [[(docid, 1.0)] for _ in queries]

    return engine


def learning_stage(corpus):
    """A first stage that finds what the judgments prefer."""
    stages = [(docid, CallableRetriever(answers(docid), corpus)) for docid in ("0", "3")]
    return make_pipeline(RetrieverUnion(stages), ScoreFuser(weights="learn", k=1))


def test_a_first_stage_that_learns_is_not_reused_for_other_judgments():
    corpus = Corpus(["abc", "bcd", "cde", "abd"])
    late = LateInteractionRetriever(corpus, encoder=Tokens(), retriever=learning_stage(corpus))
    assert late.ranking_key() is None
    union = RetrieverUnion([("late", late)])
    found = [union.fit(["abc"], [{docid: 1}]).transform(["abc"]).docids for docid in ("0", "3")]
    assert found == [[["0"]], [["3"]]]
    assert found == [union.set_params(cache=False).fit(["abc"], [{d: 1}]).transform(["abc"]).docids for d in "03"]


def test_a_document_that_was_deleted_from_a_store_does_not_come_back():
    corpus = Corpus(np.eye(3))
    union = RetrieverUnion([("qdrant", QdrantRetriever(corpus))]).fit(np.eye(3))
    assert union.named_retrievers_.qdrant.ranking_key() is None
    assert "1" in union.transform(np.eye(3)[1:2]).docids[0]
    inside = union.named_retrievers_.qdrant
    inside.client_.delete(inside.collection_, points_selector=[1])
    assert "1" not in union.transform(np.eye(3)[1:2]).docids[0]


def test_a_service_is_asked_again_when_its_content_changed():
    content = {"d1": 1.0}
    union = RetrieverUnion([("engine", CallableRetriever(lambda queries, k: [content] * len(queries), cache=0))])
    union.fit(["x"])
    assert union.transform(["x"]).docids == [["d1"]]
    content = {"d2": 1.0}
    assert union.transform(["x"]).docids == [["d2"]]


class Learned(BM25Retriever):
    """Ranks by what it was fitted on."""

    def fit(self, X, y=None):
        super().fit(X, y)
        self.k = 1 if y is None else len(y[0])
        return self


class Unknown(Retriever):
    def __init__(self, corpus):
        self.corpus = corpus

    def fit(self, X, y=None):
        self.corpus_ = self.corpus
        self.inner_ = BM25Retriever(self.corpus).fit(X)
        return self

    def transform(self, X, filter=None):
        return self.inner_.transform(X)


def test_a_retriever_that_does_not_say_so_has_no_key():
    corpus = Corpus(DOCUMENTS)
    assert Unknown(corpus).fit(None).ranking_key() is None
    assert Learned(corpus).fit(None).ranking_key() is None  # its fit is not that of the key
    assert RM3Retriever(Learned(corpus)).fit(None).ranking_key() is None
    assert RetrieverUnion([("a", BM25Retriever(corpus)), ("b", Unknown(corpus))]).fit(None).ranking_key() is None


FAVOURITE = {"row": 0}


class Favouring(BM25Retriever):
    """Ranks first what is none of its parameters, by an override of `transform` alone."""

    def transform(self, X, filter=None):
        run = super().transform(X, filter)
        return run.reorder(np.where(run.rows == FAVOURITE["row"], 99.0, run.scores), k=1)


class SaysSo(Favouring):
    def ranking_key(self):
        key = super().ranking_key()
        return None if key is None else (key, FAVOURITE["row"])


class SaysNothing(SaysSo):
    """Inherits a key, and does not say that it holds here as well."""


def test_a_subclass_inherits_no_key_and_may_give_that_of_its_base(monkeypatch):
    corpus = Corpus(["heat", "heat", "heat"])
    assert Favouring(corpus).ranking_key() is None and SaysSo(corpus).ranking_key() is not None
    assert RM3Retriever(Favouring(corpus)).ranking_key() is None
    assert type("Union", (RetrieverUnion,), {})([("a", BM25Retriever(corpus))]).ranking_key() is None
    assert SaysNothing(corpus).ranking_key() is None
    union = RetrieverUnion([("a", Favouring(corpus))]).fit(["heat"])
    for row in range(3):
        monkeypatch.setitem(FAVOURITE, "row", row)
        assert union.transform(["heat"]).docids == [[str(row)]]


@pytest.mark.parametrize("kept", [["0"], {"0"}, np.array([True, False, False])], ids=["list", "set", "mask"])
def test_a_filter_that_changes_in_place_is_seen(kept):
    corpus = Corpus(["heat", "heat", "heat"])
    union = RetrieverUnion([("a", BM25Retriever(corpus, filter=kept))]).fit(["heat"])
    assert union.transform(["heat"]).docids == [["0"]]
    inside = union.named_retrievers_.a.filter
    if isinstance(inside, list):
        inside.append("2")
    elif isinstance(inside, set):
        inside.add("2")
    else:
        inside[2] = True
    assert union.transform(["heat"]).docids == [["0", "2"]]


PUBLIC = {
    "bm25": lambda corpus: BM25Retriever(corpus),
    "tfidf": lambda corpus: TfidfRetriever(corpus, vectorizer=TfidfVectorizer()),
    "rm3": lambda corpus: RM3Retriever(BM25Retriever(corpus)),
    "dense": lambda corpus: DenseRetriever(corpus, encoder=TfidfDense()),
    "late": lambda corpus: LateInteractionRetriever(corpus, encoder=Tokens(), retriever=BM25Retriever(corpus)),
    "union": lambda corpus: RetrieverUnion([("a", BM25Retriever(corpus)), ("b", TfidfRetriever(corpus))]),
}


class TfidfDense(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.inner_ = TfidfVectorizer().fit(X)
        return self

    def transform(self, X):
        return self.inner_.transform(X).toarray()


@pytest.mark.parametrize("name", PUBLIC)
def test_keys_are_equal_for_equal_parameters_and_no_others(name):
    corpus = Corpus(DOCUMENTS)
    one, same = PUBLIC[name](corpus), PUBLIC[name](corpus)
    key = one.ranking_key()
    assert key is not None and hash(key) == hash(same.ranking_key())
    assert key == same.ranking_key() == one.fit(TEXTS).ranking_key() == clone(one).fit(TEXTS).ranking_key()
    parameters = one.get_params()
    name = next(name for name in parameters if name == "k" or name.endswith("__k"))
    assert clone(one).set_params(**{name: 3}).ranking_key() != key


def test_a_filter_of_a_retriever_is_part_of_its_key():
    corpus = Corpus(DOCUMENTS)
    union = RetrieverUnion([("a", BM25Retriever(corpus, filter=["d8"]))]).fit(TEXTS)
    other = RetrieverUnion([("a", BM25Retriever(corpus))]).fit(TEXTS)
    assert set(sum(union.transform(TEXTS).docids, [])) == {"d8"}
    assert len(set(sum(other.transform(TEXTS).docids, []))) > 1


def test_a_change_of_what_is_inside_is_seen():
    corpus = Corpus(DOCUMENTS)
    union = RetrieverUnion([("rm3", RM3Retriever(BM25Retriever(corpus)))]).fit(TEXTS)
    before = union.transform(TEXTS)
    union.named_retrievers_.rm3.retriever_.set_params(b=0.0, k1=5.0)
    after = union.transform(TEXTS)
    expected = RetrieverUnion([("rm3", RM3Retriever(BM25Retriever(corpus, b=0.0, k1=5.0)))], cache=False).fit(TEXTS)
    assert after.column("rm3").tolist() == expected.transform(TEXTS).column("rm3").tolist()
    assert after.column("rm3").tolist() != before.column("rm3").tolist()


# --- threads
def test_many_threads_may_be_the_first_to_ask_a_union():
    for _ in range(20):
        corpus = Corpus(DOCUMENTS)
        union = RetrieverUnion([("bm25", BM25Retriever(corpus)), ("tfidf", TfidfRetriever(corpus))]).fit(TEXTS)
        gate = threading.Barrier(8)

        def ask(_, union=union, gate=gate):
            gate.wait()
            return union.transform(TEXTS).docids

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(ask, range(8)))
        assert found == [found[0]] * 8


def test_a_parameter_that_another_thread_sets_leaves_no_wrong_ranking():
    corpus = Corpus([f"heat {'cold ' * (i % 7)}" for i in range(40)])
    union = RetrieverUnion([("bm25", BM25Retriever(corpus))]).fit(["heat"])
    retriever, done = union.named_retrievers_.bm25, threading.Event()

    def switch():
        while not done.is_set():
            for k in (1, 2, 3, 5, 8):
                retriever.set_params(k=k)

    thread = threading.Thread(target=switch)
    thread.start()
    texts = [f"heat cold x{i}" for i in range(400)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda text: union.transform([text]), texts))
    done.set()
    thread.join()
    wrong = 0
    for k in (1, 2, 3, 5, 8):
        retriever.set_params(k=k)
        wrong += sum(len(found) != k for found in union.transform(texts).docids)
    assert wrong == 0


# --- the stores
def test_an_array_that_two_values_share_counts_once_and_what_grows_counts():
    array, grown = np.zeros(1000), {"arrays": []}
    cache = Cache(limit=10**6)
    cache.get("whole", lambda: array)
    cache.get("view", lambda: array[10:20])
    assert 8000 <= cache.n_bytes < 8200
    cache.get("grows", lambda: grown)
    grown["arrays"].append(np.zeros(10000))
    cache.get("grows", None)  # it is in use
    cache.get("other", lambda: 1)
    assert 88000 <= cache.n_bytes < 89500
    assert 80000 < cache.usage()["grows"] < 81000 and sum(cache.usage().values()) == cache.n_bytes


def test_what_others_are_derived_from_outlives_them():
    cache = Cache(limit=2500)
    cache.get("encoders", lambda: "fitted")
    for i in range(3):
        cache.get(f"codes{i}", lambda: np.zeros(100), of="encoders")
    assert "codes0" in cache
    cache.get("codes3", lambda: np.zeros(100), of="encoders")
    assert "encoders" in cache and "codes0" not in cache and "codes3" in cache
    for i in range(4):
        cache.get(f"new{i}", lambda: np.zeros(100))
    assert "encoders" not in cache and "codes3" not in cache  # together


def test_what_is_derived_from_an_object_goes_with_it():
    class Source:
        pass

    cache, source = Cache(), Source()
    values = [cache.get("key", lambda i=i: np.full(10, i), sources=(one,)) for i, one in enumerate((source, Source()))]
    assert [value[0] for value in values] == [0, 1] and len(cache) == 1
    assert cache.get("key", None, sources=(source,)) is values[0]
    del source
    assert len(cache) == 0 and cache.n_bytes == 0


def test_memory_maps_count_nothing(tmp_path):
    joblib.dump(np.zeros(10**5), tmp_path / "array")
    mapped = joblib.load(tmp_path / "array", mmap_mode="r")
    assert measure([mapped, mapped[:10]]).total < 1000 < measure(np.zeros(10**5)[:10]).total


@pytest.mark.parametrize("n", [10, 10**4])
def test_texts_and_numbers_in_containers_count(n):
    words = [f"word {i}" for i in range(n)]
    expected = sys.getsizeof(words) + sum(map(sys.getsizeof, words))
    assert measure(words).total == measure([words, words]).total - sys.getsizeof([words, words]) == expected
    table = dict(zip(words, range(n)))
    assert measure([words, table]).total < 2.2 * expected


def test_large_containers_are_estimated_within_a_tenth():
    words = [f"word {i}" for i in range(10**5)]
    expected = sys.getsizeof(words) + sum(map(sys.getsizeof, words))
    assert measure(words).total == pytest.approx(expected, rel=0.1)
    table = dict(zip(words, range(len(words))))
    numbers = sys.getsizeof(table) + sum(map(sys.getsizeof, table.values()))
    assert measure([words, table]).total == pytest.approx(expected + numbers, rel=0.1)
    arrays = [np.zeros(10) for _ in range(2 * 10**4)]
    assert measure(arrays).total > 80 * len(arrays)


def test_a_text_that_stands_often_in_a_large_container_counts_once():
    texts = ["a text of some length " * 10] * 10**5
    assert measure(texts).total == sys.getsizeof(texts) + sys.getsizeof(texts[0])
    labels = dict.fromkeys(range(10**5), texts[0])
    assert measure(labels).total < sys.getsizeof(labels) + 32 * len(labels) + 1000


def test_an_array_among_many_texts_counts():
    values = [f"word {i}" for i in range(10**5)]
    values[777] = np.zeros(10**6)
    assert measure(values).total > 8 * 10**6


def test_a_vocabulary_counts_with_its_bytes():
    vectorizer = TermVectorizer().fit([f"w{i}" for i in range(5000)])
    start = time.perf_counter()
    n_bytes = measure(vectorizer).total
    assert time.perf_counter() - start < 0.02
    strings = vectorizer.vocabulary_.strings
    assert strings.nbytes < n_bytes < strings.nbytes + 40_000


@pytest.mark.parametrize("k", [10, 100])
def test_encoded_once_holds_as_long_as_the_vectors_are_within_the_limit(k):
    texts = [f"w{i % 37} w{i % 11}" for i in range(400)]
    corpus = Corpus(texts, cache_limit=int(2.5 * 400 * 4000 * 4))  # the vectors, codes of them, and not much more
    CountedVectors.n_texts = 0
    for seed in range(3):
        for dtype in ("float32", "int8"):
            retriever = DenseRetriever(corpus, encoder=CountedVectors(), dtype=dtype, k=k).fit(None)
            retriever.predict([f"w{seed}"])
            BM25Retriever(corpus, k1=1.0 + seed).fit(None).predict(["w1"])
    assert CountedVectors.n_texts - 6 == len(texts)  # beside the queries
    assert corpus.cache_usage()["vectors"] + corpus.cache_usage().get("encoded", 0) >= 400 * 4000 * 4
    assert sum(corpus.cache_usage().values()) <= corpus.cache_limit


class CountedVectors(TransformerMixin, BaseEstimator):
    n_texts = 0

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        CountedVectors.n_texts += len(X)
        vectors = np.zeros((len(X), 4000), dtype=np.float32)
        vectors[np.arange(len(X)), [int(text.split()[0][1:]) for text in X]] = 1
        return vectors


def test_what_a_corpus_keeps_can_be_looked_at_and_dropped():
    corpus = Corpus(DOCUMENTS, cache_limit=10**7)
    union = RetrieverUnion([("bm25", BM25Retriever(corpus)), ("dense", DenseRetriever(corpus, encoder=TfidfDense()))])
    run = union.fit(TEXTS).transform(TEXTS)
    assert {"index", "impacts", "rankings", "vectors"} <= set(corpus.cache_usage())
    assert corpus.cache_usage()["rankings"] > 0 and corpus.cache_limit == 10**7
    assert corpus.has_cached(("index", None, None), columns=("text",))
    assert not corpus.has_cached(("index", "title", None), columns=("text",))
    assert corpus.clear_cache() is corpus and corpus.cache_usage() == {}
    assert union.transform(TEXTS).docids == run.docids and "index" not in corpus.cache_usage()
    assert Corpus(DOCUMENTS, cache_limit=7).with_columns(x=range(len(DOCUMENTS))).cache_limit == 7
    for wrong in (-1, 1.5, "4 GB", None):
        with pytest.raises(ValueError, match="cache_limit is a number of bytes"):
            Corpus(DOCUMENTS, cache_limit=wrong)


def test_a_corpus_of_a_corpus_shares_the_documents_under_another_limit():
    corpus = Corpus(DOCUMENTS).with_columns(x=range(len(DOCUMENTS)))
    BM25Retriever(corpus).fit(None)
    other = Corpus(corpus, cache_limit=5)
    assert other.cache_limit == 5 and other.cache_usage() == {} and other.columns == corpus.columns
    assert other.fingerprint == corpus.fingerprint and other.ids.tolist() == corpus.ids.tolist()
    assert other.text() is corpus.text() or other.text().tolist() == corpus.text().tolist()
    passages = corpus.split(max_tokens=1)
    assert Corpus(passages).parent is passages.parent
    with pytest.raises(ValueError, match="a Corpus has ids: leave out ids="):
        Corpus(corpus, ids=corpus.ids)


def test_an_index_that_was_unpickled_keeps_what_is_derived_from_it():
    corpus = Corpus(DOCUMENTS)
    retriever = pickle.loads(pickle.dumps(BM25Retriever(corpus).fit(TEXTS)))
    run = retriever.predict(TEXTS)
    impacts = retriever.index_.impacts(retriever._formula(), None)
    assert retriever.predict(TEXTS).docids == run.docids
    assert retriever.index_.impacts(retriever._formula(), None) is impacts


# --- keys
def test_keys_hold_content_and_functions_by_identity():
    def twice(X):
        return X

    def again(X):
        return X

    encoder = FunctionTransformer(twice)
    assert estimator_key(encoder) == estimator_key(clone(encoder)) != estimator_key(FunctionTransformer(again))
    assert content_key([1, {"a": np.arange(3)}]) == content_key([1, {"a": np.arange(3)}])
    assert content_key(np.arange(3)) != content_key(np.arange(3.0))
    inside = [estimator_key(FunctionTransformer(kw_args={"f": [f]})) for f in (twice, again, twice)]
    assert inside[0] == inside[2] != inside[1]
    lock = threading.Lock()  # does not pickle
    locked = [estimator_key(FunctionTransformer(kw_args={"lock": one})) for one in (lock, threading.Lock())]
    assert locked[0] != locked[1] and len(set(map(hash, locked))) == 2


class Embedder:
    def __init__(self, factor):
        self.factor = factor

    def embed(self, X):
        return np.array([[len(text) * self.factor, 1.0] for text in X])


def test_a_bound_method_is_of_its_object_also_in_clones():
    corpus = Corpus(DOCUMENTS)
    encoders = [FunctionTransformer(Embedder(factor).embed) for factor in (1, 2)]
    assert estimator_key(encoders[0]) == estimator_key(clone(encoders[0])) != estimator_key(encoders[1])
    vectors = [DenseRetriever(corpus, encoder=encoder, metric="dot").fit(None).vectors_ for encoder in encoders]
    assert (2 * vectors[0][:, 0] == vectors[1][:, 0]).all()


def test_keys_of_queries_hold_every_column():
    assert query_keys(Queries(["a", "b"])) == ["a", "b"]
    queries = Queries([{"text": "a", "ids": ["x"]}, {"text": "a", "ids": ["y"]}])
    assert len(set(query_keys(queries))) == 2
    assert len(set(query_keys(Queries(np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0]]))))) == 2


def test_what_was_cached_changes_neither_the_hash_nor_the_pickle_of_a_retriever():
    corpus = Corpus(DOCUMENTS)
    retrievers = {name: make(corpus).fit(TEXTS) for name, make in PUBLIC.items()}
    hashes = {name: joblib.hash(retriever) for name, retriever in retrievers.items()}
    sizes = {name: len(pickle.dumps(retriever)) for name, retriever in retrievers.items()}
    for name, retriever in retrievers.items():
        if name != "union":
            RetrieverUnion([("one", retriever)]).fit(TEXTS).transform(TEXTS)
        retriever.transform(TEXTS)
    assert {name: joblib.hash(retriever) for name, retriever in retrievers.items()} == hashes
    assert {name: len(pickle.dumps(retriever)) for name, retriever in retrievers.items()} == sizes


@pytest.mark.parametrize("name", PUBLIC)
def test_skops_saves_what_is_fitted_and_was_used(name):
    retriever = PUBLIC[name](Corpus(DOCUMENTS)).fit(TEXTS)
    run = retriever.transform(TEXTS)
    data = skops.io.dumps(retriever)
    again = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    assert again.transform(TEXTS).docids == run.docids


MEMORY = """if True:
    import gc, re, sys
    import numpy as np
    from sklrank import Corpus
    from sklrank.encoders import TermVectorizer
    from sklrank.retrievers import BM25Retriever, RetrieverUnion

    def resident():
        return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

    rng, limit, kind = np.random.default_rng(0), int(sys.argv[1]), sys.argv[2]
    weights = 1 / np.arange(1, 5001)
    words = np.array([f"w{i}" for i in range(5000)])
    def draw(n, length):
        return [" ".join(text) for text in words[rng.choice(5000, size=(n, length), p=weights / weights.sum())]]

    corpus = Corpus(draw(15000, 60), cache_limit=limit)
    queries = draw(60, 8)
    RetrieverUnion([("bm25", BM25Retriever(corpus))]).fit(None).transform(queries)
    corpus.clear_cache()
    gc.collect()
    before = resident()
    if kind == "impacts":
        for word in range(10):
            for k1 in np.linspace(0.5, 2.5, 25):
                vectorizer = TermVectorizer(stop_words=[f"w{word}"])
                BM25Retriever(corpus, vectorizer=vectorizer, k1=float(k1), k=10).fit(None).predict(queries)
    else:
        union = RetrieverUnion([("bm25", BM25Retriever(corpus, k=10))]).fit(None)
        for part in range(16):
            union.transform([f"{query} {part} {i}" for query in queries for i in range(60)])
    print(resident() - before, sum(corpus.cache_usage().values()))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel tells no resident memory")
@pytest.mark.parametrize("kind, limit", [("impacts", 500_000_000), ("rankings", 50_000_000)])
def test_one_limit_bounds_the_memory_of_all_that_a_corpus_keeps(kind, limit):
    grown, counted = map(int, run_python(MEMORY, limit, kind).split())
    assert counted <= limit
    assert grown <= 1.1 * limit + 30_000_000
    assert grown >= 0.8 * counted - 30_000_000  # and what is counted is there


# --- between processes
def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


ENCODE = """if True:
    import sys, time
    import numpy as np
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklrank import Corpus
    from sklrank.retrievers import DenseRetriever, _encoding

    class Slow(TransformerMixin, BaseEstimator):
        n_texts = 0

        def fit(self, X, y=None):
            self.offset_ = np.random.default_rng().random()  # two fits give other vectors
            return self

        def transform(self, X):
            Slow.n_texts += len(X)
            time.sleep(0.02)
            return np.array([[len(text), self.offset_] for text in X])

    _encoding._BLOCK = 3
    corpus = Corpus([f"text {'x' * i}" for i in range(60)], cache_folder=sys.argv[1])
    vectors = DenseRetriever(corpus, encoder=Slow(), metric="dot").fit(None).vectors_
    assert (vectors[:, 0] == np.arange(60) + 5).all() and len(set(vectors[:, 1].tolist())) == 1, vectors
    print(Slow.n_texts, vectors[0, 1])
"""


def start_python(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_processes_may_encode_into_one_fresh_folder_at_once(tmp_path):
    processes = [start_python(ENCODE, tmp_path) for _ in range(3)]
    printed = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, printed
    found = {out.split()[1] for out, _ in printed}
    assert len(found) == 1  # all took the encoder that was fitted first
    assert run_python(ENCODE, tmp_path).split() == ["0", found.pop()]
    assert not [name for name in files_of(tmp_path) if ".parts" in name or name.endswith(".tmp")]


def test_a_grid_search_with_workers_may_begin_with_a_fresh_folder(tmp_path):
    queries, qrels = Queries(QUERIES), Qrels(QRELS).align(Queries(QUERIES))
    for attempt in range(2):
        corpus = Corpus(DOCUMENTS, cache_folder=tmp_path / str(attempt))
        retriever = DenseRetriever(corpus, encoder=make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0)))
        search = GridSearchCV(retriever, {"k": [10, 20, 30]}, cv=3, n_jobs=2, scoring=get_scorer("ndcg@10"))
        assert search.fit(queries, qrels).best_score_ > 0
        assert not [name for name in files_of(tmp_path) if name.endswith(".tmp")]


def test_what_a_killed_writer_left_is_swept(tmp_path):
    code = """if True:
        import os, signal, sys
        from sklrank._caching import Folder

        class Deadly:
            def __reduce__(self):
                os.kill(os.getpid(), signal.SIGKILL)

        Folder(sys.argv[1]).write("value", [b"x" * 10**6, Deadly()])
    """
    process = start_python(code, tmp_path)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert [name.endswith(".tmp") for name in files_of(tmp_path)] == [True]
    alive = tmp_path / f".value~{files_of(tmp_path)[0].split('~')[1].split('-')[0]}-{os.getpid()}-0f.tmp"
    alive.write_bytes(b"of a process that lives")
    assert Folder(tmp_path).write("value", 7) == 7
    assert files_of(tmp_path) == [alive.name, "value"]


@pytest.mark.parametrize("harm", ["zeroed", "truncated", "emptied", "foreign"])
def test_a_damaged_file_is_named_and_made_anew(harm, tmp_path):
    def fitted():
        corpus = Corpus(DOCUMENTS, cache_folder=tmp_path)
        return DenseRetriever(corpus, encoder=TfidfDense()).fit(None)

    expected = fitted().predict(TEXTS)
    for path in tmp_path.iterdir():
        content = bytearray(path.read_bytes())
        if harm == "zeroed":
            content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
        damaged = {"zeroed": content, "truncated": content[:-30], "emptied": b"", "foreign": pickle.dumps(7)}[harm]
        path.write_bytes(damaged)
    names = files_of(tmp_path)
    with pytest.warns(UserWarning) as caught:
        run = fitted().predict(TEXTS)
    told = [str(one.message) for one in caught]
    assert all(any(name in message for message in told) for name in names), told
    assert run.docids == expected.docids and run.scores.tobytes() == expected.scores.tobytes()
    assert fitted().predict(TEXTS).docids == expected.docids and files_of(tmp_path) == names


def test_files_have_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o022)
    try:
        Folder(tmp_path / "open").write("value", np.zeros(3))
        os.umask(0o077)
        Folder(tmp_path / "closed").write("value", np.zeros(3))
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name / "value").stat().st_mode) for name in ("open", "closed")]
    assert modes == [0o644, 0o600]


def test_a_folder_that_cannot_be_written_is_read(tmp_path, monkeypatch):
    DenseRetriever(Corpus(DOCUMENTS, cache_folder=tmp_path), encoder=TfidfDense()).fit(None)
    before = files_of(tmp_path)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("sklrank._caching._files._Summing", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    corpus = Corpus(DOCUMENTS, cache_folder=tmp_path)
    CountedVectors.n_texts = 0
    vectors = DenseRetriever(corpus, encoder=TfidfDense()).fit(None).vectors_
    assert isinstance(vectors.base, np.memmap) or isinstance(vectors, np.memmap)
    run = BM25Retriever(corpus).fit(None).predict(TEXTS)  # which is not there, and cannot be added
    assert run.docids == BM25Retriever(Corpus(DOCUMENTS)).fit(None).predict(TEXTS).docids
    assert files_of(tmp_path) == before


def test_a_file_that_cannot_be_read_is_named_and_computed_again(tmp_path, monkeypatch):
    expected = BM25Retriever(Corpus(DOCUMENTS, cache_folder=tmp_path)).fit(None).predict(TEXTS)

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("sklrank._caching._files._problem_of", refuse)
    with pytest.warns(UserWarning, match="cannot be read .Permission denied"):
        found = BM25Retriever(Corpus(DOCUMENTS, cache_folder=tmp_path)).fit(None).predict(TEXTS)
    assert found.docids == expected.docids


def test_a_full_disk_is_told_and_costs_the_file_only(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sklrank._caching._files._Summing", refuse)
    with pytest.warns(UserWarning, match="cannot be written.*No space left"):
        assert Corpus(["a"], cache_folder=tmp_path).cached("key", lambda: 7, persist=True) == 7


def test_a_relative_folder_is_that_of_the_time_when_it_was_named(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    data = pickle.dumps(BM25Retriever(Corpus(DOCUMENTS, cache_folder="kept")))
    code = """if True:
        import pickle, sys
        pickle.loads(bytes.fromhex(sys.argv[1])).fit(None)
    """
    (tmp_path / "there").mkdir()
    run_python(code, data.hex(), cwd=tmp_path / "there")
    assert len(files_of(tmp_path / "here" / "kept")) == 1 and not files_of(tmp_path / "there")


def test_the_folder_is_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError, match="cache_folder=.*is a file"):
        Corpus(DOCUMENTS, cache_folder=tmp_path / "file")


def test_equal_documents_hash_alike_in_every_cache_folder_and_the_folder_survives_pickling(tmp_path):
    corpora = [Corpus(DOCUMENTS), Corpus(DOCUMENTS, cache_folder=tmp_path), Corpus(DOCUMENTS, cache_limit=10)]
    assert len({joblib.hash(corpus) for corpus in corpora}) == 1
    assert len({joblib.hash(BM25Retriever(corpus)) for corpus in corpora}) == 1
    assert joblib.hash(Corpus(["other"], cache_folder=tmp_path)) != joblib.hash(corpora[1])
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).cached('key', lambda: 7, persist=True))"
    data = pickle.dumps(corpora[1])
    subprocess.run([sys.executable, "-c", code], input=data, check=True, cwd=tmp_path, env={**os.environ})
    assert list(tmp_path.glob("*.joblib"))
