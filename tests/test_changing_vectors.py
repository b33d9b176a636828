"""Retrievers over encoded documents after changes: only new ones are encoded, and rankings are those of a fresh fit."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklrank import Corpus
from sklrank.data import TokenVectors
from sklrank.encoders import MuveraEncoder
from sklrank.retrievers import BM25Retriever, DenseRetriever, LateInteractionRetriever, RetrieverUnion, SparseRetriever

WORDS = "heat flow cold water steam of and ab cd ef".split()


class Static(TransformerMixin, BaseEstimator):
    """Encoder that learns nothing, and counts the documents that it encodes."""

    n_encoded = 0

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        Static.n_encoded += len(X)
        return self.encode(X)

    def encode(self, X):
        return np.array([[t.count(w) + 0.1 * len(t) % 3 for w in WORDS] for t in X], dtype=np.float32)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


class StaticTokens(Static):
    """The same for one vector per word."""

    def encode(self, X):
        words = [[[len(w), WORDS.index(w) % 7 + 0.5, i + 1] for i, w in enumerate(t.split())] for t in X]
        return TokenVectors.from_list([np.array(w, dtype=np.float32).reshape(-1, 3) for w in words])


HASHING = HashingVectorizer(n_features=50, alternate_sign=False)
LSA = make_pipeline(TfidfVectorizer(), TruncatedSVD(4, random_state=0))

# The retriever, and whether it encodes only new documents.
RETRIEVERS = {
    "float32": lambda c: DenseRetriever(c, encoder=Static()),
    "float16": lambda c: DenseRetriever(c, encoder=Static(), dtype="float16", metric="euclidean", truncate_dim=4),
    "int8": lambda c: DenseRetriever(c, encoder=Static(), dtype="int8"),
    "binary": lambda c: DenseRetriever(c, encoder=Static(), dtype="binary", metric="dot"),
    "lsa": lambda c: DenseRetriever(c, encoder=LSA),
    "sparse": lambda c: SparseRetriever(c, encoder=HASHING),
    "sparse-uint8": lambda c: SparseRetriever(c, encoder=HASHING, dtype="uint8"),
    "tokens": lambda c: LateInteractionRetriever(c, encoder=StaticTokens()),
    "tokens-int8": lambda c: LateInteractionRetriever(c, encoder=StaticTokens(), dtype="int8"),
    "tokens-pooled": lambda c: LateInteractionRetriever(c, encoder=StaticTokens(), pool_factor=2),
    "tokens-after-bm25": lambda c: LateInteractionRetriever(c, encoder=StaticTokens(), retriever=BM25Retriever(c)),
    "tokens-muvera": lambda c: LateInteractionRetriever(
        c, encoder=StaticTokens(), retriever=MuveraEncoder(random_state=0)
    ),
    "union": lambda c: RetrieverUnion([("bm25", BM25Retriever(c)), ("dense", DenseRetriever(c, encoder=Static()))]),
}


@pytest.mark.parametrize("name", RETRIEVERS)
def test_only_new_documents_are_encoded_and_the_ranking_is_that_of_a_fresh_fit(name):
    rng = np.random.default_rng(0)

    def document():
        return " ".join(rng.choice(WORDS, rng.integers(1, 8)))

    documents = {f"d{i}": document() for i in range(40)}
    retriever = RETRIEVERS[name](Corpus(documents)).fit(None)
    queries = [document() for _ in range(6)]
    for step in range(8):
        added = {f"d{40 + step}": document()}
        removed = [str(rng.choice(list(documents)))] * (step % 2)
        documents = {docid: text for docid, text in documents.items() if docid not in removed}
        replaced = {}
        if step % 3 == 0:
            replaced = {str(rng.choice(list(documents))): document()}
        documents.update({**replaced, **added})
        Static.n_encoded = 0
        retriever.update(add=added, remove=removed or None, upsert=replaced or None)
        if name not in ("lsa", "sparse", "sparse-uint8"):
            assert Static.n_encoded == len(added) + len(replaced)
        run, expected = retriever.transform(queries), RETRIEVERS[name](Corpus(documents)).fit(None).transform(queries)
        assert run.to_frame().equals(expected.to_frame())


def test_a_new_column_keeps_the_vectors():
    corpus = Corpus({"a": "heat flow", "b": "cold water"})
    DenseRetriever(corpus, encoder=Static()).fit(None)
    Static.n_encoded = 0
    DenseRetriever(corpus.with_columns(price=[1.5, 2.0]), encoder=Static()).fit(None)
    assert Static.n_encoded == 0


def test_a_new_column_keeps_the_index_of_tokens():
    corpus = Corpus({"a": "heat flow", "b": "cold water"})
    retriever = LateInteractionRetriever(corpus, encoder=StaticTokens(), dtype="int8").fit(None)
    priced = LateInteractionRetriever(corpus.with_columns(price=[1.5, 2.0]), encoder=StaticTokens(), dtype="int8")
    assert priced.fit(None)._index("int8") is retriever._index("int8")
