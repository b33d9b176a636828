"""Pseudo-relevance feedback against the formulas of the papers, in plain Python."""

import math
from collections import Counter

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline

from sklrank import Corpus, Qrels, Queries
from sklrank.datasets import read_beir
from sklrank.encoders import TermVectorizer
from sklrank.metrics import get_scorer, mean_average_precision_score
from sklrank.retrievers import (
    BM25FRetriever,
    BM25Retriever,
    Bo1Retriever,
    DenseRetriever,
    KLRetriever,
    LanguageModelRetriever,
    RM3Retriever,
    RocchioRetriever,
    SparseRetriever,
    TfidfRetriever,
)
from sklrank.retrievers._index import Index
from sklrank.retrievers._segment import Segment

LEXICAL = [RM3Retriever, Bo1Retriever, KLRetriever, RocchioRetriever]
every_feedback = pytest.mark.parametrize("feedback", LEXICAL, ids=lambda cls: cls.__name__)


# --- the definitions; documents and queries are lists of words, `found` are pairs (document, score), best first


def rm3(documents, query, found, n_terms, original_weight, **_):
    model = Counter()
    total = sum(score for _, score in found)
    for d, score in found:
        share = score if total else 1.0
        for word, count in Counter(documents[d]).items():
            model[word] += count / len(documents[d]) * share
    kept = heaviest(model, n_terms)
    if not kept and original_weight == 0:
        original_weight = 1.0
    mixed = Counter({word: original_weight * count / len(query) for word, count in Counter(query).items()})
    for word, weight in kept.items():
        mixed[word] += (1 - original_weight) * weight / sum(kept.values())
    return mixed


def bo1(documents, query, found, n_terms, beta, **_):
    everywhere = Counter(word for document in documents for word in document)
    weights = {}
    for word, count in Counter(word for d, _ in found for word in documents[d]).items():
        mean = everywhere[word] / len(documents)
        weights[word] = count * math.log2((1 + mean) / mean) + math.log2(1 + mean)
    return added(query, heaviest(weights, n_terms), beta)


def kl(documents, query, found, n_terms, beta, **_):
    everywhere = Counter(word for document in documents for word in document)
    best = Counter(word for d, _ in found for word in documents[d])
    weights = {}
    for word, count in best.items():
        inside, outside = count / sum(best.values()), everywhere[word] / sum(everywhere.values())
        weights[word] = max(inside * math.log2(inside / outside), 0)
    return added(query, heaviest(weights, n_terms), beta)


def added(query, expansion, beta):
    counts = Counter(query)
    mixed = Counter({word: count / max(counts.values()) for word, count in counts.items()})
    for word, weight in expansion.items():
        mixed[word] += beta * weight / max(expansion.values()) if weight else 0
    return mixed


def heaviest(weights, n_terms):
    order = sorted(weights, key=lambda word: (-weights[word], VOCABULARY.index(word)))
    return {word: weights[word] for word in order[:n_terms]}


def bm25(documents, word, document, k1=1.2, b=0.75):
    df, n = sum(word in other for other in documents), len(documents)
    norm = k1 * (1 - b + b * len(document) / (sum(map(len, documents)) / n))
    tf = document.count(word)
    return math.log(1 + (n - df + 0.5) / (df + 0.5)) * tf / (tf + norm)


# --- hostile text

VOCABULARY = ["aa", "bb", "cc", "dd", "ee", "ff", "gg"]  # in the order of the terms in the index
texts = st.lists(st.sampled_from(VOCABULARY), max_size=10).map(" ".join)
corpora = st.lists(texts, min_size=1, max_size=12).map(lambda some: [*some, " ".join(VOCABULARY)])
asked = st.lists(texts | st.sampled_from(["zz", "", "aa zz"]), min_size=1, max_size=4)
settings_of = st.fixed_dictionaries(
    {
        "n_documents": st.integers(1, 15),
        "n_terms": st.sampled_from([1, 2, 3, 100]),
        "weight": st.sampled_from([0, 0.3, 1]),
    }
)


@pytest.mark.parametrize(
    ("feedback", "definition", "weight"),
    [(RM3Retriever, rm3, "original_weight"), (Bo1Retriever, bo1, "beta"), (KLRetriever, kl, "beta")],
)
@settings(max_examples=40)
@given(corpora, asked, settings_of)
@example(["aa", "aa", ""], ["aa", "aa aa"], {"n_documents": 2, "n_terms": 1, "weight": 0.3})
@example(["aa bb cc dd ee ff gg"], ["aa", ""], {"n_documents": 1, "n_terms": 100, "weight": 0})
def test_expansion_and_ranking_are_those_of_the_definition(feedback, definition, weight, texts, queries, given):
    parameters = {"n_documents": given["n_documents"], "n_terms": given["n_terms"], weight: given["weight"]}
    retriever = feedback(BM25Retriever(Corpus(texts)), max_df=1.0, k=100, **parameters).fit(queries)
    documents = [text.split() for text in texts]
    present = [word for word in VOCABULARY if any(word in document for document in documents)]
    first = clone(retriever.retriever).set_params(k=given["n_documents"]).fit(queries).predict(queries)
    run = retriever.predict(queries)
    for text, found, one in zip(queries, first, run):
        query = [word for word in text.split() if word in present]
        pairs = list(zip(found.rows.tolist(), found.scores.astype(float).tolist()))
        expected = {word: x for word, x in definition(documents, query, pairs, **parameters).items() if x > 0}
        expansion = retriever.expand(text)
        assert set(expansion) == set(expected)
        assert_allclose([expansion[word] for word in expected], list(expected.values()), rtol=1e-5)
        assert list(expansion.values()) == sorted(expansion.values(), reverse=True)
        holding = [d for d, document in enumerate(documents) if set(document) & set(expected)]
        assert sorted(one.rows.tolist()) == holding
        scores = [sum(x * bm25(documents, word, documents[d]) for word, x in expected.items()) for d in one.rows]
        assert_allclose(one.scores, scores, rtol=1e-4, atol=1e-7)
        assert one.rows.tolist() == [row for _, row in sorted(zip(-one.scores, one.rows.tolist()))]


@settings(max_examples=40)
@given(corpora, asked, st.integers(1, 6), st.sampled_from([0.0, 0.4]), st.sampled_from([1, 3]))
def test_rocchio_over_tfidf_is_that_of_the_vectors(texts, queries, n_documents, gamma, n_negative):
    parameters = {"alpha": 0.9, "beta": 0.6, "gamma": gamma, "n_negative": n_negative, "depth": 1000}
    retriever = RocchioRetriever(
        TfidfRetriever(Corpus(texts)), n_documents=n_documents, n_terms=None, max_df=1.0, k=100, **parameters
    ).fit(queries)
    vectorizer = TfidfVectorizer()
    documents, asked = vectorizer.fit_transform(texts).toarray(), vectorizer.transform(queries).toarray()
    first = TfidfRetriever(Corpus(texts), k=1000).fit(queries).predict(queries)
    moved = np.array([rocchio(q, documents[one.rows], n_documents, **parameters) for q, one in zip(asked, first)])
    moved = np.maximum(moved, 0)
    for q, one in enumerate(retriever.predict(queries)):
        expected = documents @ moved[q]
        names = vectorizer.get_feature_names_out()
        expansion = retriever.expand(queries[q])
        assert_allclose([expansion.get(name, 0) for name in names], moved[q], atol=1e-6)
        assert_allclose(one.scores, expected[one.rows], atol=1e-6)
        assert set(np.flatnonzero(expected > 1e-5)) <= set(one.rows.tolist())


def rocchio(query, found, n_documents, alpha, beta, gamma, n_negative, depth=1000):
    """`found` are the vectors of the documents of the first search."""
    found = found[: max(depth, n_documents)]
    best, rest = found[:n_documents], found[n_documents:]
    last = rest[max(len(rest) - n_negative, 0) :]
    moved = alpha * query
    if len(best):
        moved = moved + beta * best.mean(axis=0)
    if gamma and len(last):
        moved = moved - gamma * last.mean(axis=0)
    return moved


def test_rocchio_over_bm25_takes_its_weights():
    texts = ["aa bb", "aa aa cc", "cc dd", "dd", "bb dd"]
    documents = [text.split() for text in texts]
    retriever = RocchioRetriever(BM25Retriever(Corpus(texts)), n_documents=2, n_terms=2, beta=0.5).fit([])
    vectors = []
    for d in (1, 0):
        vector = {word: bm25(documents, word, documents[d]) for word in set(documents[d])}
        length = math.sqrt(sum(x * x for x in vector.values()))
        vectors.append({word: x / length for word, x in vector.items()})
    mean = {word: 0.5 * sum(vector.get(word, 0) for vector in vectors) / 2 for word in ("aa", "bb", "cc")}
    assert mean["bb"] > mean["aa"] > mean["cc"] or mean["aa"] > mean["bb"] > mean["cc"]
    expansion = retriever.expand("aa")
    assert expansion == pytest.approx({"aa": 1 + mean["aa"], "bb": mean["bb"]}, rel=1e-5)


# --- over dense vectors


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("gamma", [0.0, 0.2])
def test_rocchio_over_dense_vectors(metric, gamma):
    rng = np.random.default_rng(0)
    documents, queries = rng.normal(size=(60, 8)), rng.normal(size=(5, 8))
    parameters = {"n_documents": 4, "alpha": 1.0, "beta": 0.6, "gamma": gamma, "n_negative": 3, "depth": 20}
    run = RocchioRetriever(DenseRetriever(metric=metric), k=20, **parameters).fit(documents).predict(queries)

    def unit(vectors):
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True) if metric == "cosine" else vectors

    def scores(query):
        if metric == "euclidean":
            return -np.linalg.norm(unit(documents) - query, axis=1)
        return unit(documents) @ unit(query)

    for query, one in zip(unit(queries), run):
        first = unit(documents)[np.argsort(-scores(query))]
        moved = rocchio(query, first, **parameters)
        if metric == "euclidean":
            moved /= 1.6 - gamma
        expected = scores(moved)
        assert one.rows.tolist() == np.argsort(-expected)[:20].tolist()
        assert_allclose(one.scores, np.sort(expected)[::-1][:20], rtol=1e-4, atol=1e-5)
    assert run.name == "rocchio"


def test_dense_feedback_moves_the_vectors_that_an_encoder_made():
    texts, queries = ["aa bb", "bb cc", "cc dd dd", "aa", "ee bb"], ["aa", "bb dd"]
    encoder = make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0))
    run = RocchioRetriever(DenseRetriever(texts, encoder=encoder), n_documents=2).fit(queries).predict(queries)
    documents = encoder.fit_transform(texts)
    expected = RocchioRetriever(DenseRetriever(documents), n_documents=2).fit(None).predict(encoder.transform(queries))
    assert run.docids == expected.docids
    assert_allclose(run.scores, expected.scores, atol=1e-6)


def test_dense_feedback_edge_cases():
    documents = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    queries = np.array([[1.0, 0.0], [0.0, 0.0]])
    plain = DenseRetriever().fit(documents)
    retriever = RocchioRetriever(DenseRetriever(), beta=0.0).fit(documents)
    assert retriever.predict(queries).docids == plain.predict(queries).docids
    assert_allclose(retriever.predict(queries).scores, plain.predict(queries).scores)
    # nothing may be found, and the query has no weight: it is searched as it is
    alone = RocchioRetriever(DenseRetriever(), alpha=0.0).fit(documents)
    assert alone.predict(queries, filter=np.zeros(4, bool)).docids == [[], []]
    assert alone.predict(queries[:1], filter=["1", "2"]).docids == [["1", "2"]]
    with pytest.raises(ValueError, match="no terms"):
        retriever.expand(queries[:1])


# --- what holds for all


@every_feedback
@pytest.mark.parametrize(
    "retriever",
    [
        BM25Retriever(method="bm25l"),
        TfidfRetriever(sublinear_tf=True),
        LanguageModelRetriever(mu=5),
        LanguageModelRetriever(smoothing="jelinek-mercer"),
        SparseRetriever(encoder=TfidfVectorizer()),
        SparseRetriever(encoder=TfidfVectorizer(), dtype="uint8"),
        BM25FRetriever(weights={"title": 2, "text": 1}),
    ],
    ids=lambda retriever: type(retriever).__name__,
)
def test_feedback_without_weight_is_the_first_search(feedback, retriever):
    corpus = Corpus(
        [{"title": t, "text": u} for t, u in zip(["aa", "bb", "", "cc aa"], ["bb dd", "aa", "bb", "cc cc"])]
    )
    queries = ["aa", "bb cc", "", "zz", "aa aa bb"]
    none = {"original_weight": 1.0} if feedback is RM3Retriever else {"beta": 0.0}
    plain = clone(retriever).set_params(corpus=corpus).fit(queries)
    run = feedback(plain, **none).fit(queries).predict(queries)
    assert run.docids == plain.predict(queries).docids
    expanded = feedback(plain, max_df=1.0, n_documents=2).fit(queries)
    assert any(len(expanded.expand(query)) > len(set(query.split())) for query in queries)
    for docid in expanded.predict(["aa"]).docids[0]:
        explanation = expanded.explain("aa", docid)
        [scores] = expanded.predict(["aa"]).to_dict().values()
        assert explanation.score == scores[docid]
        assert {term["term"] for term in explanation.terms} == set(expanded.expand("aa"))


@every_feedback
def test_filters_hold_for_both_searches(feedback):
    texts = ["aa bb", "aa cc", "cc dd", "bb ee"]
    retriever = feedback(BM25Retriever(Corpus(texts)), max_df=1.0).fit([])
    assert retriever.predict(["aa"], filter=["0", "3"]).docids == [["0", "3"]]
    assert set(retriever.expand("aa", filter=["0", "3"])) == {"aa", "bb"}
    assert list(retriever.expand("aa", filter=["2"])) == ["aa"]
    assert retriever.predict(["aa"], filter=["2"]).docids == [[]]
    inside = feedback(BM25Retriever(Corpus(texts), filter=["0", "3"]), max_df=1.0).fit([])
    assert inside.predict(["aa"]).docids == [["0", "3"]]


def test_max_df_leaves_frequent_terms_out():
    texts = ["aa bb cc", "aa bb", "aa dd", "aa ee"]
    retriever = RM3Retriever(BM25Retriever(Corpus(texts)), max_df=1.0, n_documents=2).fit([])
    assert set(retriever.expand("bb")) == {"aa", "bb", "cc"}
    assert set(retriever.set_params(max_df=0.75).expand("bb")) == {"bb", "cc"}
    assert set(retriever.set_params(max_df=1).expand("aa bb")) == {"aa", "bb", "cc"}
    assert set(retriever.set_params(max_df=0.0).expand("aa bb")) == {"aa", "bb"}


def test_documents_weigh_by_score_likelihood_or_alike():
    texts = ["aa bb", "aa cc cc", "dd dd dd dd"]
    retriever = RM3Retriever(BM25Retriever(Corpus(texts)), n_terms=None, original_weight=0.0, max_df=1.0).fit([])
    scores = retriever.retriever_.predict(["aa"]).scores.astype(float)
    for how, shares in {"auto": scores, "score": scores, "likelihood": np.exp(scores), "uniform": [1, 1]}.items():
        shares = np.array(shares) / np.sum(shares)
        expected = {"aa": shares @ [1 / 2, 1 / 3], "bb": shares[0] / 2, "cc": shares[1] * 2 / 3}
        assert retriever.set_params(document_weights=how).expand("aa") == pytest.approx(expected, rel=1e-5)
    model = RM3Retriever(LanguageModelRetriever(Corpus([*texts, "aa bb cc dd dd"])), original_weight=0.0).fit([])
    assert model.retriever_.predict(["aa"]).scores.min() < 0
    assert model.expand("aa") == model.set_params(document_weights="likelihood").expand("aa")
    with pytest.raises(ValueError, match="some scores are negative"):
        model.set_params(document_weights="score").predict(["aa"])


def test_documents_that_all_score_0_weigh_alike():
    texts = ["aa bb", "aa cc", "aa"]  # a word in over half of the documents counts 0
    retriever = RM3Retriever(BM25Retriever(Corpus(texts), method="robertson"), max_df=1.0).fit([])
    expansion = retriever.expand("aa")
    assert expansion["bb"] == expansion["cc"] == pytest.approx(0.5 / 6)


@every_feedback
def test_one_grid_search_reaches_into_the_retriever(feedback):
    corpus = Corpus(["aa bb", "aa cc", "cc dd", "bb ee", "dd dd"])
    queries = Queries({"a": "aa", "b": "bb", "c": "cc", "d": "dd"})
    qrels = Qrels({"a": {"0": 1, "3": 2}, "b": {"3": 1}, "c": {"2": 1}, "d": {"4": 1}}).align(queries)
    grid = {"retriever__k1": [0.5, 1.5], "n_documents": [1, 3], "n_terms": [1, 5]}
    search = GridSearchCV(feedback(BM25Retriever(corpus)), grid, cv=2, scoring=get_scorer("map"), error_score="raise")
    search.fit(queries, qrels)
    assert search.best_estimator_.retriever_.index_ is BM25Retriever(corpus).fit([]).index_
    run = cross_val_predict(search.best_estimator_, queries, qrels, cv=2)
    assert run.docids == search.predict(queries).docids
    piped = make_pipeline(feedback(BM25Retriever(corpus))).fit(queries, qrels)
    assert 0 < piped.score(queries, qrels) <= 1


@every_feedback
def test_documents_may_be_what_fit_gets(feedback):
    documents = sp.csr_array([[1, 2, 0], [0, 1, 1], [0, 0, 3]])
    retriever = feedback(BM25Retriever(), max_df=1.0).fit(documents)
    assert retriever.predict(sp.csr_array([[1, 0, 0]])).docids == [["0", "1"]]
    assert retriever.n_features_in_ == 3
    with pytest.raises(ValueError, match="corpus="):
        feedback(BM25Retriever()).fit(["aa"], [{"0": 1}])


@every_feedback
def test_what_is_no_retriever_of_terms_is_refused(feedback):
    with pytest.raises(NotFittedError):
        feedback(BM25Retriever()).predict(["aa"])
    with pytest.raises(ValueError, match="'retriever' parameter"):
        feedback("bm25").fit(["aa"])
    with pytest.raises(TypeError, match="got TfidfVectorizer"):
        feedback(TfidfVectorizer()).fit(["aa"])
    with pytest.raises(TypeError, match="got RM3Retriever"):
        feedback(RM3Retriever(BM25Retriever())).fit(["aa"])
    retriever = feedback(BM25Retriever()).fit(["aa bb"])
    with pytest.raises(ValueError, match="one query"):
        retriever.expand(["aa", "bb"])
    for name in ("n_documents", "n_terms", "k"):
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            clone(retriever).set_params(**{name: 0}).fit(["aa"])
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            feedback(BM25Retriever()).fit(["aa bb"]).set_params(**{name: 0}).predict(["aa"])
    if feedback is not RocchioRetriever:
        with pytest.raises(TypeError, match="got DenseRetriever"):
            feedback(DenseRetriever()).fit(np.eye(2))


# --- the forward index


def test_contents_are_those_of_the_matrix_over_any_segments():
    rng = np.random.default_rng(0)
    matrix = sp.random_array((30, 9), density=0.3, rng=rng, format="csr")
    matrix.data = np.ceil(5 * matrix.data)
    index = Index([Segment.from_matrix(matrix[a:b]) for a, b in ((0, 7), (7, 8), (8, 30))])
    rows = np.array([8, 3, 29, 7, 3, 0])
    owners, terms, values = index.contents(rows)
    expected = matrix[rows].tocoo()
    assert owners.tolist() == expected.row.tolist()
    assert terms.tolist() == expected.col.tolist()
    assert values.tolist() == expected.data.tolist()
    assert index.contents(rows[:0])[0].size == 0


def test_the_forward_index_is_made_once(monkeypatch):
    made = []
    forward = Segment._forward
    monkeypatch.setattr(Segment, "_forward", lambda self: made.append(self) or forward(self))
    corpus = Corpus(["aa bb", "bb cc"])
    for k1 in (0.9, 1.2):
        for feedback in LEXICAL:
            feedback(BM25Retriever(corpus, k1=k1)).fit(["aa"]).predict(["aa", "bb"])
    assert len(made) == 1


# --- real collections


@pytest.mark.parametrize("collection", ["cisi", "vaswani"])
def test_feedback_finds_more_on_real_collections(data_dir, collection):
    data = read_beir(data_dir / collection)
    retriever = BM25Retriever(data.corpus, vectorizer=TermVectorizer(language="english"), k=1000)
    judged = np.isin(data.queries.ids.tolist(), data.qrels.ids.tolist())
    queries = data.queries[judged]
    qrels = data.qrels.align(queries)
    plain = mean_average_precision_score(qrels, retriever.fit(queries).predict(queries))
    for feedback in LEXICAL:
        run = feedback(retriever, n_terms=30, k=1000).fit(queries).predict(queries)
        assert mean_average_precision_score(qrels, run) > plain + 0.008
