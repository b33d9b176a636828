"""Lexical retrievers against plain scoring of every document, on friendly and on hostile corpora."""

import math
import re
import subprocess
import sys
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.metrics.pairwise import linear_kernel

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import BM25FRetriever, BM25Retriever, DFRRetriever, LanguageModelRetriever, TfidfRetriever
from sklrank.retrievers._index import Index
from sklrank.retrievers._segment import Segment

METHODS = ("robertson", "lucene", "atire", "bm25l", "bm25+")
VARIANTS = {
    **{method: BM25Retriever(method=method) for method in METHODS},
    "k1=0": BM25Retriever(k1=0),
    "b=1": BM25Retriever(b=1, k1=2.5),
    "b=0": BM25Retriever(b=0, method="bm25l", delta=0),
    "tfidf": TfidfRetriever(),
    "sublinear": TfidfRetriever(sublinear_tf=True, smooth_idf=False),
    "dirichlet": LanguageModelRetriever(mu=7.5),
    "jelinek-mercer": LanguageModelRetriever(smoothing="jelinek-mercer", lambda_=0.3),
    **{model: DFRRetriever(model=model) for model in ("PL2", "InL2", "DLH", "DPH")},
    "c=7": DFRRetriever(c=7),
}
every_variant = pytest.mark.parametrize("retriever", VARIANTS.values(), ids=VARIANTS)


# --- the definitions


def words_of(text):
    return re.findall(r"\b\w\w+\b", text.lower())


def bm25(documents, query, method="lucene", k1=1.2, b=0.75, delta=None, **_):
    """Score of each document that holds a term of the query, from the papers' formulas."""
    delta = {"bm25l": 0.5, "bm25+": 1.0}.get(method) if delta is None else delta
    n, mean = len(documents), sum(map(len, documents)) / len(documents)
    scores = {}
    for d, document in enumerate(documents):
        norm = 1 - b + b * len(document) / mean
        for t in query:
            tf, df = document.count(t), sum(t in other for other in documents)
            if not tf:
                continue
            if method in ("robertson", "lucene"):
                odds = (n - df + 0.5) / (df + 0.5)
                x = (max(0, math.log(odds)) if method == "robertson" else math.log(1 + odds)) * tf / (tf + k1 * norm)
            elif method == "atire":
                x = math.log(n / df) * (k1 + 1) * tf / (tf + k1 * norm)
            elif method == "bm25l":
                c = tf / norm
                x = math.log((n + 1) / (df + 0.5)) * (k1 + 1) * (c + delta) / (k1 + c + delta)
            else:
                x = math.log((n + 1) / df) * ((k1 + 1) * tf / (k1 * norm + tf) + delta)
            scores[d] = scores.get(d, 0.0) + x
    return scores


def tfidf(documents, query, sublinear_tf=False, smooth_idf=True, **_):
    def vector(words):
        counts = Counter(w for w in words if df[w])
        tf = {w: 1 + math.log(c) if sublinear_tf else c for w, c in counts.items()}
        weights = {w: x * (math.log((n + smooth_idf) / (df[w] + smooth_idf)) + 1) for w, x in tf.items()}
        length = math.sqrt(sum(x * x for x in weights.values()))
        return {w: x / length for w, x in weights.items()}

    n, df = len(documents), Counter(w for document in documents for w in set(document))
    q = vector(query)
    found = {d: vector(document) for d, document in enumerate(documents) if set(document) & set(query)}
    return {d: sum(x * v.get(w, 0) for w, x in q.items()) for d, v in found.items()}


def language_model(documents, query, smoothing="dirichlet", mu=2000, lambda_=0.1, **_):
    """Log-likelihood of the query under the document, less that under the collection alone."""
    total, counts = sum(map(len, documents)), Counter(w for document in documents for w in document)
    query = [w for w in query if counts[w]]
    scores = {}
    for d, document in enumerate(documents):
        if not set(document) & set(query):
            continue
        scores[d] = 0.0
        for w in query:
            tf, p = document.count(w), counts[w] / total
            if smoothing == "dirichlet":
                scores[d] += math.log((tf + mu * p) / (len(document) + mu) / p)
            else:
                scores[d] += math.log(((1 - lambda_) * tf / len(document) + lambda_ * p) / (lambda_ * p))
    return scores


def divergence_from_randomness(documents, query, model="PL2", c=1.0, **_):
    """The formulas of Terrier's classes PL2, InL2, DLH and DPH, in their notation."""
    n, mean = len(documents), sum(map(len, documents)) / len(documents)
    scores = {}
    for d, document in enumerate(documents):
        length = len(document)
        for t in query:
            tf, df = document.count(t), sum(t in other for other in documents)
            if not tf:
                continue
            frequency = sum(other.count(t) for other in documents)
            tfn = tf * math.log2(1 + c * mean / length)
            f = tf / length if tf < length else 0.99999
            expected = tf * math.log2((tf * mean / length) * (n / frequency))
            stirling = 0.5 * math.log2(2 * math.pi * tf * (1 - f))
            if model == "PL2":
                x, log2_e = frequency / n, 1 / math.log(2)
                x = tfn * math.log2(1 / x) + x * log2_e + 0.5 * math.log2(2 * math.pi * tfn)
                x = (x + tfn * (math.log2(tfn) - log2_e)) / (tfn + 1)
            elif model == "InL2":
                x = tfn * math.log2((n + 1) / (df + 0.5)) / (tfn + 1)
            elif model == "DLH":
                x = (expected + (length - tf) * math.log2(1 - f) + stirling) / (tf + 0.5)
            else:
                x = (1 - f) * (1 - f) / (tf + 1) * (expected + stirling)
            scores[d] = scores.get(d, 0.0) + x
    return scores


REFERENCES = {
    BM25Retriever: bm25,
    DFRRetriever: divergence_from_randomness,
    LanguageModelRetriever: language_model,
    TfidfRetriever: tfidf,
}


# --- hostile text

VOCABULARY = ["aa", "bb", "cc", "dd", "ää", "жж", "日本", "aa aa", "ee" * 40]
words = st.sampled_from(VOCABULARY)
separators = st.sampled_from([" ", "\n", ", ", " – ", "\t\t", "."])


@st.composite
def texts(draw, max_words=12):
    return draw(separators).join(draw(st.lists(words, max_size=max_words)))


corpora = st.lists(texts(), min_size=1, max_size=25).filter(lambda documents: any(map(words_of, documents)))
asked = st.lists(texts(max_words=6) | st.sampled_from(["zz unknown", "", "aa zz", "AA Bb"]), max_size=5)


def rankings(run):
    """What a run says, exactly: document rows and bits of the scores of each query."""
    bounds = run.indptr.tolist()
    return [(run.rows[a:b].tolist(), run.scores[a:b].view(np.int32).tolist()) for a, b in zip(bounds[:-1], bounds[1:])]


def assert_same(run, other):
    assert rankings(run) == rankings(other)


@every_variant
@settings(max_examples=15)
@given(corpora, asked)
@example(["aa", "aa", "", "aa"], ["aa", "aa aa"])
@example(["aa bb"], ["aa", "zz", "", "bb bb aa"])
def test_scores_are_those_of_the_definition(retriever, documents, queries):
    run = clone(retriever).set_params(k=1000).fit(documents).predict(queries)
    tokens = [words_of(document) for document in documents]
    reference = REFERENCES[type(retriever)]
    for (rows, _), query, start in zip(rankings(run), queries, run.indptr):
        expected = reference(tokens, words_of(query), **retriever.get_params())
        assert sorted(rows) == sorted(expected)
        scores = run.scores[start : start + len(rows)]
        assert_allclose(scores, [expected[row] for row in rows], rtol=1e-5, atol=2e-6)
        assert rows == [row for _, row in sorted(zip(-scores, rows))]


@every_variant
@settings(max_examples=10)
@given(corpora, asked, st.integers(1, 30))
def test_fewer_results_are_a_prefix_of_more(retriever, documents, queries, k):
    fitted = clone(retriever).fit(documents)
    full = rankings(fitted.set_params(k=1000).predict(queries))
    for depth in (k, k + 1):
        run = fitted.set_params(k=depth).predict(queries)
        assert rankings(run) == [(rows[:depth], scores[:depth]) for rows, scores in full]


@every_variant
@settings(max_examples=10)
@given(corpora, asked, st.data())
def test_duplicates_tie_and_stand_in_the_order_of_the_corpus(retriever, documents, queries, data):
    copies = [documents[i] for i in data.draw(st.lists(st.integers(0, len(documents) - 1), min_size=2, max_size=40))]
    documents = documents + copies
    run = clone(retriever).set_params(k=1000).fit(documents).predict(queries)
    for rows, scores in rankings(run):
        by_text = {}
        for row, score in zip(rows, scores):
            by_text.setdefault(documents[row], []).append((row, score))
        for group in by_text.values():
            assert len({score for _, score in group}) == 1
            assert group == sorted(group)


@every_variant
@settings(max_examples=10)
@given(corpora, asked, st.sets(st.integers(1, 24), max_size=5))
def test_segments_change_no_bit(retriever, documents, queries, cuts):
    whole = clone(retriever).fit(documents)
    token_ids, indptr = whole.index_.vectorizer.token_ids(documents)
    edges = [0, *sorted(cut for cut in cuts if cut < len(documents)), len(documents)]
    segments = []
    for start, stop in zip(edges[:-1], edges[1:]):
        bounds = indptr[start : stop + 1]
        part = token_ids[bounds[0] : bounds[-1]]
        segments.append(Segment.from_tokens(part, bounds - bounds[0], whole.index_.n_terms, whole.index_.vectorizer))
    cut = clone(retriever).fit(documents)
    cut.index_ = Index(segments)
    mask = np.arange(len(documents)) % 3 != 1
    for k, given_filter in ((1000, None), (3, None), (3, mask)):
        for fitted in (whole, cut):
            fitted.set_params(k=k)
        assert_same(whole.predict(queries, filter=given_filter), cut.predict(queries, filter=given_filter))
    for query in queries:
        for row in range(len(documents)):
            assert whole.explain(query, str(row)) == cut.explain(query, str(row))


# --- filters


@every_variant
@settings(max_examples=10)
@given(corpora, asked, st.integers(1, 8), st.data())
def test_filters_keep_what_they_say_and_nothing_else(retriever, documents, queries, k, data):
    n = len(documents)
    corpus = Corpus({f"d{i}": document for i, document in enumerate(documents)})
    fitted = clone(retriever).set_params(corpus=corpus, k=1000).fit(queries)
    full = rankings(fitted.predict(queries))
    masks = np.array(data.draw(st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=len(queries),
                                        max_size=len(queries))), dtype=bool).reshape(len(queries), n)  # fmt: skip
    one = masks[0] if len(queries) else np.ones(n, dtype=bool)
    fitted.set_params(k=k)

    def expected(kept):
        pairs = [[(r, s) for r, s in zip(*ranking) if keep is None or keep[r]][:k] for ranking, keep in zip(full, kept)]
        return [([r for r, _ in pair], [s for _, s in pair]) for pair in pairs]

    def ids(mask):
        return corpus.docids(np.flatnonzero(mask)).tolist()

    for for_all in (one, one.tolist(), ids(one), set(ids(one)), np.array(ids(one), dtype=object), pd.Series(one)):
        assert rankings(fitted.predict(queries, filter=for_all)) == expected([one] * len(queries))
    lists = [None if i % 2 else ids(mask) for i, mask in enumerate(masks)]
    some = [None if i % 2 else mask for i, mask in enumerate(masks)]
    if queries:
        assert rankings(fitted.predict(queries, filter=masks)) == expected(masks)
        assert rankings(fitted.predict(queries, filter=list(masks))) == expected(masks)
        assert rankings(fitted.predict(queries, filter=some)) == expected(some)
        assert rankings(fitted.predict(queries, filter=lists)) == expected(some)
        assert rankings(fitted.set_params(filter=lists).predict(queries)) == expected(some)
        records = [{"text": query, "allowed": allowed} for query, allowed in zip(queries, lists)]
        fitted.set_params(filter=None, filter_field="allowed")
        assert rankings(fitted.predict(Queries(records))) == expected(some)


DOCUMENTS = ["heat flows fast", "cold rests", "heat and cold", "", "flows of heat, heat, heat"]


@pytest.mark.parametrize("nothing", [[], np.zeros(5, dtype=bool), ["1"], set()])
def test_a_filter_without_matches_gives_an_empty_ranking(nothing):
    run = BM25Retriever().fit(DOCUMENTS).predict(["heat"], filter=nothing)
    assert run.docids == [[]]
    assert len(run) == 1


def test_filters_in_batches_are_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    documents = [" ".join(rng.choice(["aa", "bb", "cc", "dd"], 5)) for _ in range(50)]
    queries, masks = ["aa", "bb cc", "dd", "cc"] * 5, rng.random((20, 50)) < 0.3
    retriever = BM25Retriever().fit(documents)
    expected = retriever.predict(queries, filter=masks)
    monkeypatch.setattr("sklrank.retrievers._filters._CELLS", 150)
    assert_same(retriever.predict(queries, filter=masks), expected)
    assert_same(retriever.predict(queries, filter=list(masks)), expected)


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        (np.ones(3, dtype=bool), ValueError, r"mask of shape \(3,\).*\(5,\)"),
        (np.ones((3, 5), dtype=bool), ValueError, r"mask of shape \(3, 5\).*\(2, 5\)"),
        ([True, False], ValueError, r"mask of shape \(2,\) for 5 documents"),
        (["0", "x", "y", "z", "u"], ValueError, "4 document ids.*'x', 'y', 'z' and 1 more"),
        ([["0"], None, None], ValueError, "3 entries for 2 queries"),
        ("0", TypeError, "one str"),
    ],
)
def test_wrong_filters_are_named(wrong, error, message):
    with pytest.raises(error, match=message):
        BM25Retriever().fit(DOCUMENTS).predict(["heat", "cold"], filter=wrong)


def test_a_filter_field_of_single_words_is_no_filter():
    queries = Queries([{"text": "heat", "allowed": "0"}, {"text": "cold", "allowed": "1"}])
    with pytest.raises(TypeError, match="filter_field='allowed'"):
        BM25Retriever(filter_field="allowed").fit(DOCUMENTS).predict(queries)


def test_int_ids_name_documents():
    corpus = Corpus(["heat", "heat"], ids=[7, 8])
    retriever = BM25Retriever(corpus).fit(["heat"])
    assert retriever.predict(["heat"], filter=[8]).docids == [["8"]]
    assert retriever.explain("heat", 8).score == retriever.explain("heat", "8").score > 0


# --- queries


def test_repeated_terms_count_each_time():
    retriever = BM25Retriever().fit(DOCUMENTS)
    once, twice = retriever.predict(["heat", "heat HEAT"])
    assert_allclose(twice.scores, 2 * once.scores, rtol=1e-6)


def test_what_cannot_match_gives_an_empty_ranking():
    run = BM25Retriever().fit(DOCUMENTS).predict(["unknown", "", "  ", "a !", "heat unknown"])
    assert [len(docids) for docids in run.docids] == [0, 0, 0, 0, 3]


def test_no_query_gives_an_empty_run():
    run = BM25Retriever().fit(DOCUMENTS).predict([])
    assert run.shape == (0, 5)


def test_terms_of_most_documents_are_found_at_score_0():
    run = BM25Retriever(method="robertson").fit(["aa bb", "aa cc", "aa", "dd"]).predict(["aa"])
    assert run.docids == [["0", "1", "2"]]
    assert run.scores.tolist() == [0, 0, 0]
    assert BM25Retriever(method="atire").fit(["aa", "aa"]).predict(["aa"]).to_dict() == {"0": {"0": 0, "1": 0}}


def test_one_document_and_more_results_than_documents():
    run = BM25Retriever(k=10**9).fit(["heat"]).predict(["heat", "cold"])
    assert run.docids == [["0"], []]


def test_empty_documents_are_never_found():
    run = BM25Retriever().fit(["", "heat", "...", "heat"]).predict(["heat", ""])
    assert run.docids == [["1", "3"], []]


@pytest.mark.parametrize("documents", [[], {}, np.empty((0, 3))])
def test_an_empty_corpus_is_an_error(documents):
    with pytest.raises(ValueError, match="empty|0 sample"):
        BM25Retriever(corpus=None).fit(documents)
    with pytest.raises(ValueError, match="empty|0 sample"):
        BM25Retriever(corpus=Corpus(documents)).fit(["heat"])


def test_a_corpus_without_a_word_is_an_error():
    with pytest.raises(ValueError, match="empty vocabulary"):
        BM25Retriever().fit(["", "!"])


def test_one_str_is_no_list_of_queries():
    retriever = BM25Retriever().fit(DOCUMENTS)
    with pytest.raises(TypeError, match="list of str"):
        retriever.predict("heat")
    with pytest.raises(TypeError, match="predict takes many"):
        retriever.search(["heat"])


def test_queries_keep_their_names():
    run = BM25Retriever().fit(DOCUMENTS).predict({"q7": "heat", "q8": "cold"})
    assert run.qids.tolist() == ["q7", "q8"]
    assert run.has_ids


# --- as scikit-learn and bm25s see it


@pytest.mark.parametrize("sublinear_tf", [False, True])
@pytest.mark.parametrize("smooth_idf", [False, True])
def test_tfidf_is_the_linear_kernel_of_scikit_learns_vectors(sublinear_tf, smooth_idf):
    rng = np.random.default_rng(1)
    documents = [" ".join(f"w{i}" for i in rng.zipf(1.4, rng.integers(0, 60)) if i < 200) for _ in range(200)]
    queries = [" ".join(f"w{i}" for i in rng.zipf(1.4, 6)) for _ in range(30)]
    vectorizer = TfidfVectorizer(sublinear_tf=sublinear_tf, smooth_idf=smooth_idf)
    expected = linear_kernel(vectorizer.fit_transform(documents).T.T, vectorizer.transform(queries)).T
    retriever = TfidfRetriever(sublinear_tf=sublinear_tf, smooth_idf=smooth_idf, k=1000).fit(documents)
    assert_allclose(np.asarray(retriever.predict(queries)), expected, rtol=1e-5, atol=1e-7)
    assert retriever.predict(queries).indptr[-1] == (expected > 0).sum()


def test_tfidf_normalizes_terms_that_no_document_has_as_scikit_learn_does():
    vocabulary = ["cold", "heat", "snow"]
    vectorizer = TfidfVectorizer(vocabulary=vocabulary)
    expected = linear_kernel(vectorizer.fit_transform(DOCUMENTS), vectorizer.transform(["heat snow"])).T
    run = TfidfRetriever(vectorizer=TermVectorizer(vocabulary=vocabulary)).fit(DOCUMENTS).predict(["heat snow", "snow"])
    assert_allclose(np.asarray(run)[:1], expected, rtol=1e-6)
    assert run.docids[1] == []


def test_any_vectorizer_gives_the_same_ranking():
    queries = ["heat cold", "flows"]
    expected = BM25Retriever().fit(DOCUMENTS).predict(queries)
    for vectorizer in (CountVectorizer(), TermVectorizer()):
        retriever = BM25Retriever(vectorizer=vectorizer).fit(DOCUMENTS)
        assert_same(retriever.predict(queries), expected)
        assert not hasattr(vectorizer, "vocabulary_")
    counts = CountVectorizer()
    matrix = counts.fit_transform(DOCUMENTS)
    for make in (sp.csr_matrix, sp.csc_array, sp.coo_array, sp.csr_matrix.toarray):
        retriever = BM25Retriever().fit(make(matrix))
        assert_same(retriever.predict(make(counts.transform(queries))), expected)
    retriever = BM25Retriever(Corpus(matrix)).fit(Queries(counts.transform(queries)))
    assert_same(retriever.predict(Queries(counts.transform(queries))), expected)
    assert retriever.n_features_in_ == matrix.shape[1]


def test_stored_zeros_are_no_terms():
    documents = sp.csr_array(([1.0, 0.0, 2.0, 0.0], [0, 1, 1, 0], [0, 2, 4]), shape=(2, 2))
    queries = sp.csr_array(([1.0, 0.0], [0, 1], [0, 2]), shape=(1, 2))
    for retriever in (BM25Retriever(), TfidfRetriever(sublinear_tf=True), LanguageModelRetriever()):
        assert retriever.fit(documents).predict(queries).docids == [["0"]]


def test_weights_of_terms_are_weights():
    documents = np.array([[0.5, 0, 2.25], [1.5, 3, 0]])
    run = BM25Retriever(b=0, k1=1).fit(documents).predict(np.array([[2.0, 0, 0.5]]))
    idf = [math.log(1 + 0.5 / 2.5), math.log(1 + 1.5 / 1.5)]
    expected = [2 * idf[0] * 0.5 / 1.5 + 0.5 * idf[1] * 2.25 / 3.25, 2 * idf[0] * 1.5 / 2.5]
    assert_allclose(np.asarray(run)[0], expected, rtol=1e-6)


def test_fields_are_columns_of_the_corpus():
    corpus = Corpus([{"_id": "a", "title": "heat", "text": "cold", "body": "snow"}, {"_id": "b", "text": "heat"}])

    def found(field, query):
        return BM25Retriever(corpus, field=field).fit([query]).predict([query]).docids[0]

    assert found(None, "heat") == ["b", "a"]
    assert found("title", "heat") == ["a"]
    assert found("text", "heat") == ["b"]
    assert found(["text", "body"], "snow") == ["a"]
    with pytest.raises(KeyError, match="no column 'abstract'"):
        found("abstract", "heat")


# --- fields with weights


def bm25f(documents, query, weights, k1=1.2, b=0.75):
    """Score of each document that holds a term of the query in any field; a document is a dict of words."""
    n = len(documents)
    b = b if isinstance(b, dict) else dict.fromkeys(weights, b)
    mean = {f: sum(len(document[f]) for document in documents) / n or 1 for f in weights}
    scores = {}
    for t in query:
        df = sum(any(t in document[f] for f in weights) for document in documents)
        for d, document in enumerate(documents):
            if any(t in document[f] for f in weights):
                tf = sum(
                    w * document[f].count(t) / (1 - b[f] + b[f] * len(document[f]) / mean[f])
                    for f, w in weights.items()
                    if document[f]
                )
                idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
                scores[d] = scores.get(d, 0.0) + (idf * tf / (k1 + tf) if tf else 0.0)
    return scores


@settings(max_examples=30)
@given(
    st.lists(st.fixed_dictionaries({"title": texts(max_words=3), "text": texts()}), min_size=1, max_size=12),
    asked,
    st.sampled_from([{"title": 3.0, "text": 1.0}, {"text": 0.5}, {"title": 0.0, "text": 2.0}]),
    st.sampled_from([0.75, 0.0, 1.0, {"title": 0.2, "text": 0.9}]),
)
def test_weighted_fields_saturate_together(documents, queries, weights, b):
    documents = [*documents, dict.fromkeys(("title", "text"), "aa zz")]
    retriever = BM25FRetriever(Corpus(documents), weights=weights, b=b, k=1000).fit([])
    run = retriever.predict(queries)
    tokens = [{name: words_of(text) for name, text in document.items()} for document in documents]
    for (rows, _), query, start in zip(rankings(run), queries, run.indptr):
        expected = bm25f(tokens, words_of(query), weights, b=b)
        assert sorted(rows) == sorted(expected)
        scores = run.scores[start : start + len(rows)]
        assert_allclose(scores, [expected[row] for row in rows], rtol=1e-5, atol=2e-6)
        assert rows == [row for _, row in sorted(zip(-scores, rows))]
        for row, score in zip(rows, scores):
            assert retriever.explain(query, str(row)).score == score


def test_one_field_of_weight_1_is_bm25(many):
    documents, queries = many
    run = BM25FRetriever(documents).fit([]).predict(queries)
    expected = BM25Retriever(documents).fit([]).predict(queries)
    assert_allclose(run.scores, expected.scores, rtol=1e-5)
    assert run.indptr.tolist() == expected.indptr.tolist()


def test_weights_are_set_after_fit():
    corpus = Corpus([{"title": "heat", "text": "cold"}, {"title": "cold", "text": "heat heat"}])
    retriever = BM25FRetriever(corpus, weights={"title": 5, "text": 1}).fit([])
    assert retriever.predict(["heat"]).docids == [["0", "1"]]
    assert retriever.set_params(weights={"title": 0.1, "text": 1}).predict(["heat"]).docids == [["1", "0"]]
    for wrong, message in (
        ({"weights": {"title": 1}}, "fit again"),
        ({"weights": {"title": -1, "text": 1}}, "at least 0"),
        ({"weights": {"title": "a", "text": 1}}, "weight of field 'title' is 'a'"),
        ({"weights": {"title": [1], "text": 1}}, r"weight of field 'title' is \[1\]"),
        ({"weights": [1]}, "'weights' parameter"),
        ({"weights": {"title": math.nan, "text": 1}}, "weight of field 'title' is nan"),
        ({"weights": {"title": math.inf, "text": 1}}, "weight of field 'title' is inf"),
        ({"b": {"title": 2}}, "b of field 'title' is 2"),
        ({"b": {"title": math.nan}}, "b of field 'title' is nan"),
        ({"b": 7}, "'b' parameter"),
    ):
        with pytest.raises(ValueError, match=message):
            clone(retriever).set_params(weights={"title": 1, "text": 1}).fit([]).set_params(**wrong).predict(["heat"])
    with pytest.raises(ValueError, match="no text"):
        BM25FRetriever(Corpus([{"year": 1}])).fit([])


# --- threads, parameters, sharing


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(3)
    vocabulary = np.array([f"w{i:03}" for i in range(500)])
    documents = [" ".join(vocabulary[np.minimum(rng.zipf(1.2, 40), 500) - 1]) for _ in range(3000)]
    queries = [" ".join(vocabulary[np.minimum(rng.zipf(1.3, 5), 500) - 1]) for _ in range(150)]
    return documents, queries


@pytest.mark.parametrize("name", ["lucene", "dirichlet", "tfidf"])
def test_threads_change_nothing(many, name):
    documents, queries = many
    retriever = clone(VARIANTS[name]).fit(documents)
    expected = retriever.predict(queries)
    for n_jobs in (2, 4, -1):
        assert_same(retriever.set_params(n_jobs=n_jobs).predict(queries), expected)
    mask = np.arange(3000) % 7 == 0
    filtered = retriever.set_params(n_jobs=None).predict(queries, filter=mask)
    assert_same(retriever.set_params(n_jobs=4).predict(queries, filter=mask), filtered)
    loop = np.concatenate([retriever.predict([query]) for query in queries])
    assert_same(loop, expected)


def test_eight_python_threads_at_once_give_the_same_answer(many):
    documents, queries = many
    expected = BM25Retriever().fit(documents).predict(queries)
    retriever = BM25Retriever().fit(documents)  # nothing computed yet: all threads fill the same lists

    def ask(i):
        order = np.random.default_rng(i).permutation(len(queries))
        run = np.concatenate([retriever.predict([queries[q] for q in part]) for part in np.array_split(order, 7)])
        return run[np.argsort(order)]

    with ThreadPoolExecutor(8) as pool:
        for run in pool.map(ask, range(16)):
            assert_same(run, expected)


def test_long_rankings_are_exact(many):
    documents, queries = many
    retriever = BM25Retriever(k=3000).fit(documents)
    full = rankings(retriever.predict(queries))
    for k in (1, 2, 10, 99, 100, 101, 1000, 2999):
        run = retriever.set_params(k=k).predict(queries)
        assert rankings(run) == [(rows[:k], scores[:k]) for rows, scores in full]


def test_parameters_are_set_after_fit_without_another_fit(many):
    documents, queries = many
    retriever = BM25Retriever(Corpus(documents)).fit(queries)
    index = retriever.index_
    for params in ({"k1": 0.3}, {"b": 0.1}, {"method": "bm25+"}, {"delta": 0.7}, {"k": 3}, {"n_jobs": 2}):
        retriever.set_params(**params)
        fresh = clone(retriever).fit(queries)
        assert_same(retriever.predict(queries), fresh.predict(queries))
        assert retriever.index_ is index is fresh.index_


@pytest.mark.parametrize(
    "wrong",
    [{"k": 0}, {"k": 2.5}, {"k1": -1}, {"k1": np.nan}, {"k1": "a"}, {"k1": [1]}, {"b": 1.5}, {"b": None},
     {"delta": -0.1}, {"method": "bm26"}, {"method": None}, {"n_jobs": "a"}, {"filter_field": 3}],
)  # fmt: skip
def test_wrong_parameters_get_scikit_learns_sentence(wrong):
    [name] = wrong
    message = f"The '{name}' parameter of BM25Retriever must be"
    with pytest.raises(ValueError, match=message):
        BM25Retriever(**wrong).fit(DOCUMENTS)
    fitted = BM25Retriever().fit(DOCUMENTS)
    fitted.predict(["heat"])
    with pytest.raises(ValueError, match=message):
        fitted.set_params(**wrong).predict(["heat"])


@pytest.mark.parametrize(
    "retriever",
    [
        TfidfRetriever(sublinear_tf="yes"),
        TfidfRetriever(smooth_idf=2),
        LanguageModelRetriever(mu=0),
        LanguageModelRetriever(lambda_=0),
        LanguageModelRetriever(smoothing="laplace"),
        BM25Retriever(vectorizer=3),
    ],
)
def test_wrong_parameters_of_the_others(retriever):
    with pytest.raises(ValueError, match=f"parameter of {type(retriever).__name__} must be"):
        retriever.fit(DOCUMENTS)


@pytest.mark.parametrize("k", [0, -1, 2.5, "3"])
def test_search_refuses_a_wrong_k(k):
    with pytest.raises(ValueError, match="at least 1"):
        BM25Retriever().fit(DOCUMENTS).search("heat", k=k)


def test_a_grid_of_parameters_tokenizes_and_inverts_once(many, monkeypatch):
    documents, queries = many
    calls = Counter()

    def count(owner, name, wrap):
        function = getattr(getattr(owner, name), "__func__", getattr(owner, name))

        def call(*args, **kwargs):
            calls[name] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, wrap(call))

    count(TermVectorizer, "_learn", lambda call: call)
    count(Segment, "from_tokens", classmethod)
    retriever = BM25Retriever(Corpus(documents))
    for method in METHODS:
        for k1 in (0.5, 1.5):
            clone(retriever).set_params(method=method, k1=k1, b=0.5).fit(queries).predict(queries)
    clone(retriever).set_params(vectorizer=TermVectorizer()).fit(queries)
    assert calls == {"_learn": 2, "from_tokens": 2}  # an explicit vectorizer is another key than None
    clone(retriever).set_params(vectorizer=TermVectorizer()).fit(queries)
    TfidfRetriever(retriever.corpus).fit(queries)
    assert calls == {"_learn": 2, "from_tokens": 2}


def test_a_function_with_a_new_body_is_another_function(monkeypatch, tmp_path):
    corpus, main = Corpus(["Heat cold"], cache_folder=tmp_path), sys.modules["__main__"]
    found, told = [], []
    for body in ("text.split()", "text.lower().split()"):  # as when a cell of a notebook is run again
        exec(f"def split(text): return {body}", names := {"__name__": "__main__"})
        monkeypatch.setattr(main, "split", names["split"], raising=False)
        vectorizer = TermVectorizer(tokenizer=main.split, token_pattern=None, lowercase=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found.append(BM25Retriever(corpus, vectorizer=vectorizer).fit([]).predict(["heat"]).docids)
        told.append(["in this process only" in str(one.message) for one in caught])
    assert found == [[[]], [["0"]]]
    assert told == [[True], []]  # once
    assert list(tmp_path.iterdir()) == []
    vectorizer = TermVectorizer(tokenizer=lambda text: text.split(), token_pattern=None)
    assert BM25Retriever(corpus, vectorizer=vectorizer).fit([]).predict(["heat"]).docids == [["0"]]


def test_a_raw_list_as_corpus_is_indexed_once():
    documents = ["raw heat", "raw cold"]
    a, b = BM25Retriever(documents).fit(["x"]), BM25Retriever(list(documents)).fit(["y"])
    assert a.corpus_ is b.corpus_
    assert a.index_ is b.index_


def test_clone_shares_the_corpus():
    corpus = Corpus(DOCUMENTS)
    retriever = BM25Retriever(corpus)
    assert clone(retriever).corpus is corpus
    assert clone(retriever).get_params() == retriever.get_params()


def test_judgments_without_a_corpus_are_refused():
    for judgments in (Qrels([{"0": 1}] * 5), [{"0": 1}] * 5, {"0": {"0": 1}}, np.array([{"0": 1}] * 5)):
        with pytest.raises(ValueError, match="corpus="):
            BM25Retriever().fit(DOCUMENTS, judgments)
    with pytest.raises(ValueError, match="corpus="):
        BM25Retriever().fit(Queries(DOCUMENTS))
    BM25Retriever().fit(DOCUMENTS, [0, 1, 0, 1, 0])


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_an_index_takes_little_memory_above_its_text():
    code = """if True:
        import numpy as np
        from sklrank import Corpus
        from sklrank.retrievers import BM25Retriever

        def status(name):
            with open("/proc/self/status") as file:
                return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))

        words = np.array([f"word{i}" for i in range(30_000)])
        rng = np.random.default_rng(0)
        texts = [" ".join(words[(30_000 * rng.random(60) ** 3).astype(int)]) for _ in range(60_000)]
        BM25Retriever(Corpus(texts[:2000])).fit([])
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        before = status("VmRSS")
        BM25Retriever(Corpus(texts)).fit([])
        print(status("VmHWM") - before - sum(map(len, texts)))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60_000 * 1000  # a million documents in a gigabyte


# --- for people


@every_variant
@settings(max_examples=10)
@given(corpora, texts(max_words=6))
def test_explanations_sum_to_the_score(retriever, documents, query):
    fitted = clone(retriever).set_params(k=1000).fit(documents)
    [found] = fitted.predict([query]).to_dict().values()
    tokens = [words_of(document) for document in documents]
    for row, document in enumerate(tokens):
        explanation = fitted.explain(query, str(row))
        assert explanation.score == found.get(str(row), explanation.score)
        if str(row) in found:
            total = sum(term["contribution"] for term in explanation.terms) + explanation.bias
            assert_allclose(total, explanation.score, rtol=1e-5, atol=2e-6)
        assert sorted(term["term"] for term in explanation.terms) == sorted(
            {w for w in words_of(query) if any(w in other for other in tokens)}
        )
        for term in explanation.terms:
            assert term["count"] == document.count(term["term"])
            assert term["document_frequency"] == sum(term["term"] in other for other in tokens)
            assert (term["contribution"] != 0) <= (term["count"] > 0)


def test_explanations_print_and_make_frames():
    explanation = BM25Retriever().fit(DOCUMENTS).explain("heat cold heat", "2")
    assert str(explanation).splitlines()[0].endswith("  2")
    assert "× 2 in the query" in str(explanation)
    frame = explanation.to_frame()
    assert sorted(frame["term"]) == ["cold", "heat"]
    assert explanation.score == pytest.approx(frame["contribution"].sum())
    nothing = BM25Retriever().fit(DOCUMENTS).explain("zz", "2")
    assert nothing.score == 0 and nothing.terms == []
    assert len(nothing.to_frame()) == 0
    with pytest.raises(ValueError, match="'9'"):
        BM25Retriever().fit(DOCUMENTS).explain("heat", "9")


def test_matrices_are_explained_by_column():
    explanation = BM25Retriever().fit(np.eye(3)).explain(np.array([[0, 1.0, 2.0]]), "2")
    assert [term["term"] for term in explanation.terms] == ["2", "1"]


@settings(max_examples=80)
@given(st.lists(texts(max_words=30), min_size=1, max_size=4), texts(max_words=4), st.integers(1, 12))
def test_spans_are_where_the_terms_are(documents, query, window):
    documents = [*documents, "aa bb cc"]
    retriever = BM25Retriever().fit(documents)
    for row, text in enumerate(documents):
        highlight = retriever.highlight(query, str(row), window=window)
        wanted = set(words_of(query))
        assert [text[a:b].lower() for a, b in highlight.spans] == [w for w in words_of(text) if w in wanted]
        assert 0 <= highlight.start <= highlight.stop <= len(text)
        assert len(words_of(highlight.passage)) == min(window, len(words_of(text)))
        assert highlight.passage == text[highlight.start : highlight.stop]
        if highlight.spans:
            assert any(highlight.start <= a and b <= highlight.stop for a, b in highlight.spans)
        marked = str(highlight).strip("…").replace("**", "")
        assert marked == highlight.passage


def test_the_passage_is_where_most_terms_are():
    text = "heat " + "filler " * 50 + "heat flows cold " + "filler " * 50 + "cold cold"
    highlight = BM25Retriever().fit([text, "flows", "heat", "cold"]).highlight("cold heat flows", "0", window=7)
    assert "heat flows cold" in highlight.passage
    assert len(highlight.passage.split()) == 7
    assert str(highlight).startswith("…") and str(highlight).endswith("…")
    assert "**heat** **flows** **cold**" in str(highlight)


def test_marks_are_escaped_and_in_characters():
    text = "İÀ <b>Straße</b> & naïve ΣΑΣ"
    highlight = BM25Retriever().fit([text, "x1"]).highlight("STRASSE straße naïve σας", "0")
    assert [text[a:b] for a, b in highlight.spans] == ["Straße", "naïve", "ΣΑΣ"]
    html = highlight._repr_html_()
    assert "<mark>Straße</mark>&lt;/b&gt; &amp; <mark>naïve</mark>" in html


@pytest.mark.parametrize("params", [{"ngram_range": (1, 2)}, {"analyzer": "char_wb", "ngram_range": (2, 3)}])
@pytest.mark.parametrize("window", [1, 3, 40])
def test_overlapping_terms_are_marked_once(params, window):
    text = "cold and heat flows fast heat flows"
    retriever = BM25Retriever(vectorizer=TermVectorizer(**params)).fit([text, "heat", "heat flows"])
    highlight = retriever.highlight("heat flows", "0", window=window)
    assert highlight.spans == sorted(highlight.spans)
    assert highlight.start < highlight.stop
    assert str(highlight).strip("…").replace("**", "") == highlight.passage


def test_highlight_needs_positions():
    with pytest.raises(ValueError, match="TermVectorizer"):
        BM25Retriever().fit(np.eye(3)).highlight(np.array([[0, 1.0, 2.0]]), "2")
    with pytest.raises(ValueError, match="window"):
        BM25Retriever().fit(DOCUMENTS).highlight("heat", "0", window=0)


def test_stems_are_highlighted():
    retriever = BM25Retriever(vectorizer=TermVectorizer(language="english")).fit(["The flowing flows", "heat"])
    text = "The flowing flows"
    assert [text[a:b] for a, b in retriever.highlight("flow", "0").spans] == ["flowing", "flows"]


def test_search_is_readable():
    corpus = Corpus(
        [{"_id": "a", "title": "", "text": "heat <flows>"}, {"_id": "b", "title": "Cold", "text": "no heat"}]
    )
    run = BM25Retriever(corpus).fit(["x"]).search("heat", k=1)
    assert isinstance(run, Run) and len(run) == 1
    assert run.docids == [["a"]]
    assert "heat" in str(run).splitlines()[0] and "heat <flows>" in str(run)
    assert "heat &lt;flows&gt;" in run._repr_html_()
