"""Indexes of changed corpora: merged from their parts, and equal to those of fresh corpora bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.frozen import FrozenEstimator

from sklrank import Corpus
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import (
    BM25FRetriever,
    BM25Retriever,
    Bo1Retriever,
    DFRRetriever,
    KLRetriever,
    LanguageModelRetriever,
    RM3Retriever,
    RocchioRetriever,
    TfidfRetriever,
)

WORDS = "heat flow cold water steam of and naïve zürich ab cd".split()
TEXTS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
DOCUMENTS = st.fixed_dictionaries({"title": TEXTS, "text": TEXTS})
FIRST = {f"d{i}": {"title": WORDS[i], "text": " ".join(WORDS[i:]) + " heat"} for i in range(10)}
FROZEN = FrozenEstimator(TermVectorizer().fit([*WORDS, "absent"]))

RETRIEVERS = {
    **{f"bm25-{m}": BM25Retriever(method=m) for m in ("lucene", "robertson", "atire", "bm25l", "bm25+")},
    "bm25-title": BM25Retriever(field="title"),
    "bm25-pairs": BM25Retriever(vectorizer=TermVectorizer(ngram_range=(1, 2), binary=True)),
    "bm25-min-df": BM25Retriever(vectorizer=TermVectorizer(min_df=2)),
    "bm25-count-vectorizer": BM25Retriever(vectorizer=CountVectorizer()),
    "bm25-hashing": BM25Retriever(vectorizer=HashingVectorizer(n_features=64, norm=None, alternate_sign=False)),
    "bm25-frozen": BM25Retriever(vectorizer=FROZEN),
    "bm25f": BM25FRetriever(weights={"title": 2.5, "text": 1}),
    "tfidf": TfidfRetriever(),
    "tfidf-frozen": TfidfRetriever(vectorizer=FROZEN, sublinear_tf=True),
    "lm-dirichlet": LanguageModelRetriever(),
    "lm-jelinek-mercer": LanguageModelRetriever(smoothing="jelinek-mercer"),
    **{f"dfr-{model}": DFRRetriever(model=model) for model in ("PL2", "InL2", "DLH", "DPH")},
    "rm3": RM3Retriever(BM25Retriever(), n_documents=3, n_terms=5),
    "rocchio": RocchioRetriever(BM25Retriever(), n_documents=3, n_terms=5),
    "bo1": Bo1Retriever(BM25Retriever(), n_documents=3, n_terms=5),
    "kl": KLRetriever(BM25Retriever(), n_documents=3, n_terms=5),
}


def fitted(retriever, documents):
    """Return a clone of the retriever that is fitted on the documents."""
    retriever = clone(retriever)
    name = "corpus"
    if "retriever" in retriever.get_params(deep=False):
        name = "retriever__corpus"
    return retriever.set_params(**{name: Corpus(documents)}).fit(None)


def require_equal(changed, fresh, queries):
    """Compare rankings, explanations and expansions bit for bit."""
    run, expected = changed.predict(queries), fresh.predict(queries)
    assert run.docids == expected.docids
    np.testing.assert_array_equal(run.scores.view(np.int32), expected.scores.view(np.int32))
    for query, docids in list(zip(queries, expected.docids))[:2]:
        if docids:
            assert str(changed.explain(query, docids[-1])) == str(fresh.explain(query, docids[-1]))
        if hasattr(fresh, "expand"):
            assert changed.expand(query) == fresh.expand(query)


@st.composite
def changes(draw):
    """Draw changes of a collection: dicts of documents to add, lists of ids to remove, dicts of new versions."""
    present, n, steps = list(FIRST), len(FIRST), []
    for _ in range(draw(st.integers(1, 4))):
        added = {f"d{n + i}": draw(DOCUMENTS) for i in range(draw(st.integers(0, 3)))}
        n += len(added)
        removed = draw(st.lists(st.sampled_from(present), unique=True, max_size=min(3, len(present) - 2)))
        present = [docid for docid in present if docid not in removed]
        replaced = {
            docid: draw(DOCUMENTS) for docid in draw(st.lists(st.sampled_from(present), unique=True, max_size=2))
        }
        present += added
        steps.append((added, removed, replaced))
    return steps


@pytest.mark.parametrize("name", RETRIEVERS)
@settings(max_examples=8, deadline=None)
@given(steps=changes(), queries=st.lists(TEXTS, min_size=1, max_size=4))
def test_a_changed_index_ranks_as_a_fresh_one(name, steps, queries):
    documents = {**FIRST, "kept": {"title": "heat cold heat", "text": "of and water of heat heat"}}
    documents["twin"] = documents["kept"]
    retriever = fitted(RETRIEVERS[name], documents)
    for added, removed, replaced in steps:
        retriever.update(add=added or None, remove=removed or None, upsert=replaced or None)
        documents = {docid: document for docid, document in documents.items() if docid not in removed}
        documents.update(replaced)
        documents.update(added)
    require_equal(retriever, fitted(RETRIEVERS[name], documents), [*queries, "heat of cold", "zürich naïve heat"])
    retriever.merge_segments()
    require_equal(retriever, fitted(RETRIEVERS[name], documents), ["heat of cold"])


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_a_changed_matrix_ranks_as_a_fresh_one(dtype):
    rng = np.random.default_rng(5)
    matrix = sparse.random_array((40, 12), density=0.3, rng=rng, format="csr")
    matrix.data = np.ceil(matrix.data * 5).astype(dtype) / (1 if dtype == np.int64 else 7)
    ids = [f"d{i}" for i in range(40)]
    queries = sparse.csr_array(rng.integers(0, 2, (6, 12)).astype(np.float64))
    for retriever in (BM25Retriever(), TfidfRetriever(), DFRRetriever(model="DPH"), LanguageModelRetriever()):
        changed = clone(retriever).set_params(corpus=Corpus(matrix[:30], ids=ids[:30])).fit(None)
        changed.add(Corpus(matrix[30:38], ids=ids[30:38])).remove(["d3", "d33"])
        changed.upsert(Corpus(matrix[[39, 38]], ids=["d7", "new"]))
        rows = [i for i in range(38) if i not in (3, 33)]
        rows[rows.index(7)] = 39
        fresh = Corpus(matrix[[*rows, 38]], ids=[f"d{7 if i == 39 else i}" for i in rows] + ["new"])
        fresh = clone(retriever).set_params(corpus=fresh).fit(None)
        run, expected = changed.predict(queries), fresh.predict(queries)
        assert run.docids == expected.docids
        np.testing.assert_array_equal(run.scores, expected.scores)


def test_only_new_documents_are_tokenized(monkeypatch):
    retriever = BM25Retriever(Corpus(FIRST)).fit(None)
    seen = []
    learn = TermVectorizer._learn

    def counted(self, X, **kwargs):
        seen.append(len(X))
        return learn(self, X, **kwargs)

    monkeypatch.setattr(TermVectorizer, "_learn", counted)
    retriever.add({"x": {"title": "heat", "text": "cold"}})
    assert seen == [1]
    retriever.remove(["d1"]).remove(["x"])
    assert seen == [1]
    retriever.upsert({"d2": {"title": "", "text": ""}})  # a part without a term
    assert seen == [1, 1]
    BM25Retriever(retriever.corpus_.with_columns(price=np.arange(9))).fit(None)
    assert seen == [1, 1]


def test_documents_without_terms_alone_are_an_error():
    retriever = BM25Retriever(Corpus({"a": "heat", "b": "!"})).fit(None)
    with pytest.raises(ValueError, match="empty vocabulary"):
        retriever.remove(["a"])
    assert retriever.predict(["heat"]).docids == [["a"]]
