"""After any sequence of changes, rankings equal those of a fresh fit on the same documents, to the last bit.

``SKLRANK_STATES=20 pytest tests/test_update_states.py`` runs 20 times as many sequences.
"""

import os
import pickle
import re
import tempfile
from functools import partial
from pathlib import Path

import pytest
import skops.io
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline
from test_contracts import DENSE, HASHED, RETRIEVERS, FunctionTransformer, word_vectors

import sklrank
from sklrank import Corpus, Queries
from sklrank.encoders import MuveraEncoder, TermVectorizer
from sklrank.fusers import ReciprocalRankFuser
from sklrank.rerankers import MaxSimReranker
from sklrank.retrievers import (
    BM25FRetriever,
    BM25Retriever,
    DenseRetriever,
    LanguageModelRetriever,
    LateInteractionRetriever,
    RetrieverUnion,
    RM3Retriever,
    RocchioRetriever,
    SparseRetriever,
    TfidfRetriever,
)

WORDS = ["heat", "flows", "cold", "the", "naïve", "Straße", "日本", "heat-flow"]
IDS = [*"abcdefgh", "é 1", "日"]
QUERIES = ["heat flows", "", "the cold naïve", "日本 heat heat strasse", "unknown flow"]

texts = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)


def subsets(ids, **sizes):
    if not ids:
        return st.just([])
    return st.lists(st.sampled_from(sorted(ids)), unique=True, **sizes)


# --- one form of documents for each kind of retriever


def as_texts(documents):
    return documents


def as_columns(documents):
    """Texts with a title, a matrix of vectors and token vectors."""
    values = list(documents.values())
    titles = [text.partition(" ")[0] for text in values]
    corpus = Corpus([{"_id": d, "title": t, "text": text} for d, t, text in zip(documents, titles, values)])
    if not documents:
        return {}
    return corpus.with_columns(vector=HASHED.transform(values).toarray(), tokens=word_vectors(values))


def as_weights(documents):
    """Documents that are a sparse matrix of term weights."""
    if not documents:
        return {}
    matrix = HASHED.transform(list(documents.values()))
    return Corpus(abs(matrix), ids=list(documents))


VECTORS = HASHED.transform(QUERIES)


def union_of(*retrievers):
    def make(corpus):
        return RetrieverUnion([(f"r{i}", retriever(corpus)) for i, retriever in enumerate(retrievers)])

    return make


def pipeline_of(corpus):
    first = make_pipeline(TfidfRetriever(corpus), MaxSimReranker(FunctionTransformer(word_vectors), depth=4))
    union = RetrieverUnion([("bm25", BM25Retriever(corpus)), ("first", first)])
    return make_pipeline(union, ReciprocalRankFuser())


def latent():
    return make_pipeline(TfidfVectorizer(analyzer="char", ngram_range=(1, 2)), TruncatedSVD(2, random_state=0))


TOKENS = FunctionTransformer(word_vectors)
OVER_TEXTS = {
    **{name: make for name, make in RETRIEVERS.items() if not name.startswith("Callable")},
    "BM25Retriever-min_df": partial(BM25Retriever, vectorizer=TermVectorizer(min_df=2)),
    "BM25Retriever-CountVectorizer": partial(BM25Retriever, vectorizer=CountVectorizer(token_pattern=r"\S+")),
    "BM25Retriever-ngrams": partial(BM25Retriever, vectorizer=TermVectorizer(ngram_range=(1, 2))),
    "DenseRetriever-euclidean": partial(DenseRetriever, encoder=DENSE, metric="euclidean"),
    "DenseRetriever-latent": lambda corpus: DenseRetriever(corpus, encoder=latent()),
    "DenseRetriever-int8": partial(DenseRetriever, encoder=DENSE, dtype="int8", rescore=1),
    "DenseRetriever-binary": partial(DenseRetriever, encoder=DENSE, dtype="binary", rescore=1),
    "RocchioRetriever-dense": lambda corpus: RocchioRetriever(DenseRetriever(corpus, encoder=DENSE), n_documents=2),
    "SparseRetriever-uint8": partial(SparseRetriever, encoder=HASHED, dtype="uint8"),
    "LateInteractionRetriever-int8": partial(LateInteractionRetriever, encoder=TOKENS, dtype="int8", rescore=1),
    "LateInteractionRetriever-pooled": partial(LateInteractionRetriever, encoder=TOKENS, pool_factor=2),
    "LateInteractionRetriever-bm25": lambda corpus: LateInteractionRetriever(
        corpus, encoder=TOKENS, retriever=BM25Retriever(), n_candidates=3
    ),
    "LateInteractionRetriever-muvera": lambda corpus: LateInteractionRetriever(
        corpus, encoder=TOKENS, retriever=MuveraEncoder(n_repetitions=2, random_state=0), n_candidates=3
    ),
    "union": union_of(BM25Retriever, LanguageModelRetriever, partial(DenseRetriever, encoder=DENSE)),
    "union-feedback": union_of(
        lambda corpus: RM3Retriever(TfidfRetriever(corpus)), partial(SparseRetriever, encoder=HASHED)
    ),
    "pipeline": pipeline_of,
}
CASES = {
    **{name: (make, as_texts, QUERIES) for name, make in OVER_TEXTS.items()},
    "BM25FRetriever-fields": (partial(BM25FRetriever, weights={"title": 2, "text": 1}), as_columns, QUERIES),
    "DenseRetriever-column": (partial(DenseRetriever, field="vector"), as_columns, VECTORS.toarray()),
    "LateInteractionRetriever-column": (
        partial(LateInteractionRetriever, field="tokens"),
        as_columns,
        Queries(word_vectors(QUERIES)),
    ),
    "BM25Retriever-matrix": (BM25Retriever, as_weights, abs(VECTORS)),
    "SparseRetriever-matrix": (SparseRetriever, as_weights, abs(VECTORS)),
}


class Changes(RuleBasedStateMachine):
    """A fitted estimator whose documents change, and these documents."""

    def __init__(self, make, form, queries):
        super().__init__()
        self.make, self.form, self.queries = make, form, queries

    @initialize(documents=st.dictionaries(st.sampled_from(IDS), texts, min_size=1, max_size=6))
    def fit(self, documents):
        enough = {"first": "heat flows heat cold the the", "second": "the heat flows cold"}  # terms for any vectorizer
        self.documents = {**documents, **enough}
        self.estimator = self.fresh(self.documents)

    def fresh(self, documents):
        return self.make(Corpus(self.form(documents))).fit(self.queries)

    def update(self, documents, **change):
        """Change the documents to `documents`, unless a fresh fit on these is an error; then an update is the same."""
        try:
            self.fresh(documents)
        except ValueError as error:
            with pytest.raises(type(error), match=re.escape(str(error))):
                sklrank.update(self.estimator, **change)
        else:
            assert sklrank.update(self.estimator, **change) is self.estimator
            self.documents = documents

    @precondition(lambda self: len(self.documents) < len(IDS))
    @rule(data=st.data())
    def add(self, data):
        ids = data.draw(subsets({*IDS} - {*self.documents}, min_size=1, max_size=3))
        new = {docid: data.draw(texts) for docid in ids}
        self.update({**self.documents, **new}, add=self.form(new))

    @precondition(lambda self: len(self.documents) > 1)
    @rule(data=st.data())
    def remove(self, data):
        gone = data.draw(subsets(self.documents, min_size=1, max_size=len(self.documents) - 1))
        self.update({docid: text for docid, text in self.documents.items() if docid not in gone}, remove=gone)

    @rule(documents=st.dictionaries(st.sampled_from(IDS), texts, max_size=3))
    def upsert(self, documents):
        self.update({**self.documents, **documents}, upsert=self.form(documents))

    @rule(data=st.data())
    def several(self, data):
        gone = data.draw(subsets(self.documents, max_size=len(self.documents) - 1))
        kept = {docid: text for docid, text in self.documents.items() if docid not in gone}
        free = sorted({*IDS} - {*self.documents})
        new = {docid: data.draw(texts) for docid in free[: data.draw(st.integers(0, 2))]}
        others = sorted({*IDS} - {*gone, *new})
        replaced = {docid: data.draw(texts) for docid in data.draw(subsets(others, max_size=2))}
        self.update({**kept, **new, **replaced}, add=self.form(new), remove=gone, upsert=self.form(replaced))

    @rule()
    def merge_segments(self):
        steps = getattr(self.estimator, "named_steps", {"alone": self.estimator})
        next(iter(steps.values())).merge_segments()

    @rule()
    def clone(self):
        self.estimator = clone(self.estimator).fit(self.queries)

    @rule()
    def pickle(self):
        self.estimator = pickle.loads(pickle.dumps(self.estimator))

    @rule(mmap=st.booleans())
    def save_and_load(self, mmap):
        with tempfile.TemporaryDirectory() as folder:
            sklrank.save(self.estimator, folder, trust=True)
            files = Path(folder).glob("data-*/*.skops")
            trusted = [name for file in files for name in skops.io.get_untrusted_types(file=file)]
            self.estimator = sklrank.load(folder, mmap=mmap, check=True, trusted=trusted)

    @invariant()
    def rankings_are_those_of_a_fresh_fit(self):
        if not hasattr(self, "documents"):
            return
        fresh = self.fresh(self.documents)
        check_equal(rank(self.estimator, self.queries), rank(fresh, self.queries))

    @rule(data=st.data(), k=st.integers(1, 4))
    def filter(self, data, k):
        if isinstance(self.estimator, Pipeline):  # it passes no filter
            return
        kept = data.draw(subsets(self.documents))
        retrievers = [self.estimator, self.fresh(self.documents)]
        runs = []
        for retriever in retrievers:
            if "k" in retriever.get_params(deep=False):
                retriever = clone_of_state(retriever).set_params(k=k)
            runs.append(retriever.transform(self.queries, filter=kept))
        check_equal(*runs)


def clone_of_state(retriever):
    new = object.__new__(type(retriever))
    vars(new).update(vars(retriever))
    return new


def rank(estimator, queries):
    if isinstance(estimator, RetrieverUnion):
        return estimator.transform(queries)
    return estimator.predict(queries)


def check_equal(found, fresh):
    assert found.corpus.ids.tolist() == fresh.corpus.ids.tolist()
    assert found.docids == fresh.docids
    assert found.rows.tolist() == fresh.rows.tolist()
    if found.has_order:
        assert found.scores.tobytes() == fresh.scores.tobytes(), (found.scores, fresh.scores)
    assert found.columns == fresh.columns
    for name in found.columns:
        assert found.column(name).tobytes() == fresh.column(name).tobytes()
        assert found.column_ranks(name).tobytes() == fresh.column_ranks(name).tobytes()


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")  # of TruncatedSVD, for a single document
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_any_sequence_of_changes_ranks_as_a_fresh_fit(case):
    run_state_machine_as_test(
        lambda: Changes(*case),
        settings=settings(
            max_examples=8 * int(os.environ.get("SKLRANK_STATES", "1")),
            stateful_step_count=10,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        ),
    )
