"""What is kept: the stores, their keys, their bounds, and what several threads and processes make of them."""

import ast
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from contracts import DOCUMENTS, TEXTS
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklrank import Corpus
from sklrank.base import Retriever
from sklrank.data import TokenVectors
from sklrank.fusers import ScoreFuser
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
