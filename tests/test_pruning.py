"""Every lexical retriever on a corpus so large that searches prune, against its definition."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

import sklrank.retrievers
from sklrank import Corpus
from sklrank.retrievers import (
    BM25FRetriever,
    BM25Retriever,
    Bo1Retriever,
    DFRRetriever,
    KLRetriever,
    LanguageModelRetriever,
    RM3Retriever,
    RocchioRetriever,
    SparseRetriever,
    TfidfRetriever,
    _impacts,
    _segment,
)
from sklrank.retrievers._impacts import Weighting

N_DOCUMENTS = 40_000
N_TERMS = 3_000


def zipf(rng, size):
    """Terms with the frequencies of words in text: the most frequent one stands in most documents."""
    shares = 1 / (np.arange(N_TERMS) + 1.5)
    return rng.choice(N_TERMS, size=size, p=shares / shares.sum())


@pytest.fixture(scope="module")
def collection():
    """A corpus of titles and texts, its counts by field, and queries as texts and as counts of terms."""
    assert N_DOCUMENTS > _segment.SMALL
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(N_TERMS)])
    fields = {}
    for field, longest in (("title", 6), ("text", 40)):
        lengths = rng.integers(2, longest, N_DOCUMENTS)
        fields[field] = np.split(zipf(rng, lengths.sum()), np.cumsum(lengths)[:-1])
    records = [
        {"title": " ".join(words[title]), "text": " ".join(words[text])} for title, text in zip(*fields.values())
    ]
    queries = [zipf(rng, size).tolist() for size in rng.integers(1, 8, 30)]
    return SimpleNamespace(
        corpus=Corpus(records),
        counts={field: counts_of(documents) for field, documents in fields.items()},
        queries=[" ".join(words[query]) for query in queries],
        terms=[Counter(query) for query in queries],
    )


def counts_of(documents):
    rows = np.arange(len(documents)).repeat([len(document) for document in documents])
    ones = np.ones(len(rows))
    return sp.csc_array((ones, (rows, np.concatenate(documents))), shape=(len(documents), N_TERMS))


# --- the definitions: score of every document for a query, NaN if it holds no term of the query


def scores_of(counts, query, weigh):
    """Sum over the terms of `query`, each times its weight there; `weigh` takes counts, df, F and lengths."""
    scores = np.full(counts.shape[0], np.nan)
    lengths = counts.sum(axis=1)
    for term, weight in query.items():
        inside = slice(counts.indptr[term], counts.indptr[term + 1])
        rows, tf = counts.indices[inside], counts.data[inside]
        if len(rows):
            scores[rows] = np.nan_to_num(scores[rows]) + weight * weigh(tf, len(rows), tf.sum(), lengths[rows])
    return scores


def whole(collection):
    return (collection.counts["title"] + collection.counts["text"]).tocsc()


def bm25(collection, query, method="lucene", k1=1.2, b=0.75, delta=None, **_):
    counts = whole(collection)
    n, mean = N_DOCUMENTS, counts.sum() / N_DOCUMENTS
    delta = {"bm25l": 0.5, "bm25+": 1.0}.get(method) if delta is None else delta

    def weigh(tf, df, _, length):
        norm = 1 - b + b * length / mean
        if method in ("robertson", "lucene"):
            odds = (n - df + 0.5) / (df + 0.5)
            return (max(0, np.log(odds)) if method == "robertson" else np.log(1 + odds)) * tf / (tf + k1 * norm)
        if method == "atire":
            return np.log(n / df) * (k1 + 1) * tf / (tf + k1 * norm)
        if method == "bm25l":
            c = tf / norm
            return np.log((n + 1) / (df + 0.5)) * (k1 + 1) * (c + delta) / (k1 + c + delta)
        return np.log((n + 1) / df) * ((k1 + 1) * tf / (k1 * norm + tf) + delta)

    return scores_of(counts, query, weigh)


def bm25f(collection, query, weights=None, k1=1.2, b=0.75, **_):
    weights = dict.fromkeys(collection.counts, 1.0) if weights is None else weights
    scores = np.full(N_DOCUMENTS, np.nan)
    for term, weight in query.items():
        tf = np.zeros(N_DOCUMENTS)
        for field, counts in collection.counts.items():
            lengths = counts.sum(axis=1)
            tf += weights[field] * counts[:, [term]].toarray()[:, 0] / (1 - b + b * lengths / lengths.mean())
        rows = np.flatnonzero(tf)
        idf = np.log(1 + (N_DOCUMENTS - len(rows) + 0.5) / (len(rows) + 0.5))
        scores[rows] = np.nan_to_num(scores[rows]) + weight * idf * tf[rows] / (k1 + tf[rows])
    return scores


def tfidf(collection, query, sublinear_tf=False, smooth_idf=True, **_):
    counts = whole(collection)
    df = np.diff(counts.indptr)
    idf = np.log((N_DOCUMENTS + smooth_idf) / (df + smooth_idf)) + 1
    vectors = counts.copy()
    if sublinear_tf:
        vectors.data = 1 + np.log(vectors.data)
    vectors = vectors * idf
    asked = {t: (1 + np.log(c) if sublinear_tf else c) * idf[t] for t, c in query.items() if df[t]}
    length = np.sqrt(sum(x * x for x in asked.values()))
    norms = np.sqrt((vectors * vectors).sum(axis=1))
    scores = scores_of(vectors.tocsc(), asked, lambda weights, *_: weights)
    return scores / norms / length


def language_model(collection, query, smoothing="dirichlet", mu=2000, lambda_=0.1, **_):
    counts = whole(collection)
    lengths, total = counts.sum(axis=1), counts.sum()
    known = {t: c for t, c in query.items() if counts.indptr[t + 1] > counts.indptr[t]}
    if smoothing == "dirichlet":
        scores = scores_of(counts, known, lambda tf, _, F, length: np.log(1 + tf * total / (mu * F)))
        return scores + sum(known.values()) * np.log(mu / (lengths + mu))
    odds = (1 - lambda_) / lambda_
    return scores_of(counts, known, lambda tf, _, F, length: np.log(1 + odds * tf * total / (length * F)))


def dfr(collection, query, model="PL2", c=1.0, **_):
    counts = whole(collection)
    n, mean = N_DOCUMENTS, counts.sum() / N_DOCUMENTS

    def weigh(tf, df, F, length):
        tfn = tf * np.log2(1 + c * mean / length)
        f = np.where(tf < length, tf / length, 0.99999)
        stirling = 0.5 * np.log2(2 * np.pi * tf * (1 - f))
        if model == "PL2":
            mean_tf = F / n
            poisson = tfn * np.log2(1 / mean_tf) + mean_tf / np.log(2) + 0.5 * np.log2(2 * np.pi * tfn)
            return (poisson + tfn * (np.log2(tfn) - 1 / np.log(2))) / (tfn + 1)
        if model == "InL2":
            return tfn * np.log2((n + 1) / (df + 0.5)) / (tfn + 1)
        information = tf * np.log2(tf * mean / length * n / F)
        if model == "DLH":
            return (information + (length - tf) * np.log2(1 - f) + stirling) / (tf + 0.5)
        return (1 - f) ** 2 / (tf + 1) * (information + stirling)

    return scores_of(counts, query, weigh)


def sparse_product(collection, query, dtype="float32", **_):
    weights = weights_of(collection)
    if dtype == "uint8":
        units = weights.max(axis=0).toarray() / 255
        steps = np.maximum(np.rint(weights.data / units.ravel()[weights.indices]), 1)
        weights = sp.csr_array((steps * units.ravel()[weights.indices], weights.indices, weights.indptr), weights.shape)
    return scores_of(weights.tocsc(), query, lambda values, *_: values)


def weights_of(collection):
    counts = whole(collection).tocsr()
    return sp.csr_array((np.log1p(counts.data) * (1 + counts.indices % 7), counts.indices, counts.indptr), counts.shape)


def after_feedback(collection, query, retriever, **_):
    """A query of the terms and weights that `expand` gives, under the formula of the retriever inside."""
    return DEFINITIONS[type(retriever)](collection, query, **retriever.get_params(deep=False))


DEFINITIONS = {
    BM25Retriever: bm25,
    BM25FRetriever: bm25f,
    Bo1Retriever: after_feedback,
    DFRRetriever: dfr,
    KLRetriever: after_feedback,
    LanguageModelRetriever: language_model,
    RM3Retriever: after_feedback,
    RocchioRetriever: after_feedback,
    SparseRetriever: sparse_product,
    TfidfRetriever: tfidf,
}
VARIANTS = [
    *(BM25Retriever(method=method) for method in ("lucene", "robertson", "atire", "bm25l", "bm25+")),
    BM25FRetriever(weights={"title": 2.5, "text": 1.0}),
    TfidfRetriever(),
    TfidfRetriever(sublinear_tf=True, smooth_idf=False),
    LanguageModelRetriever(),
    LanguageModelRetriever(smoothing="jelinek-mercer"),
    *(DFRRetriever(model=model) for model in ("PL2", "InL2", "DLH", "DPH")),
    DFRRetriever(c=7.5),
    DFRRetriever(c=0.2),
    SparseRetriever(),
    SparseRetriever(dtype="uint8"),
    RM3Retriever(BM25Retriever()),
    RocchioRetriever(BM25Retriever(), gamma=0.5),
    Bo1Retriever(DFRRetriever(model="PL2")),
    KLRetriever(DFRRetriever(model="DLH")),
]


def named(retriever):
    return str(retriever).replace("\n", "").replace(" ", "")


def test_every_lexical_retriever_has_a_definition():
    public = [getattr(sklrank.retrievers, name) for name in sklrank.retrievers.__all__]
    lexical = {cls for cls in public if isinstance(cls, type) and hasattr(cls, "explain")}
    assert lexical == set(DEFINITIONS) == {type(retriever) for retriever in VARIANTS}


@pytest.mark.parametrize("retriever", VARIANTS, ids=named)
def test_rankings_of_a_large_corpus_are_those_of_the_definition(retriever, collection, monkeypatch):
    fitted, queries, terms = prepared(retriever, collection)
    definition = DEFINITIONS[type(retriever)]
    for k in (3, 100):
        fitted.set_params(k=k)
        run = fitted.predict(queries)
        for i, query in enumerate(terms):
            inside = slice(run.indptr[i], run.indptr[i + 1])
            rows, scores = run.rows[inside], run.scores[inside]
            expected = definition(collection, query, **retriever.get_params(deep=False))
            assert_allclose(scores, expected[rows], rtol=1e-5, atol=1e-5)
            found = ~np.isnan(expected)
            assert len(rows) == min(k, found.sum())
            found[rows] = False
            assert (expected[found] <= scores.min(initial=np.inf) + 1e-5).all()
            assert rows.tolist() == [row for _, row in sorted(zip(-scores, rows))]
        with monkeypatch.context() as patch:
            patch.setattr(_impacts, "_FEW_POSTINGS", 1 << 62)  # no query has more
            assert_same(fitted.predict(queries), run)


def prepared(retriever, collection):
    """The retriever, fitted; the queries as it takes them; and what they ask for, dicts of terms and weights."""
    if isinstance(retriever, SparseRetriever):
        matrix = sp.csr_array(np.array([[query[t] for t in range(N_TERMS)] for query in collection.terms]))
        return retriever.set_params(corpus=Corpus(weights_of(collection))).fit(None), matrix, collection.terms
    if "retriever" not in retriever.get_params():
        return retriever.set_params(corpus=collection.corpus).fit([]), collection.queries, collection.terms
    fitted = retriever.set_params(retriever__corpus=collection.corpus).fit([])
    queries = [query for query in collection.queries if query][:10]
    expanded = [{int(term[1:]): weight for term, weight in fitted.expand(query).items()} for query in queries]
    return fitted, queries, expanded


def assert_same(run, other):
    assert run.indptr.tolist() == other.indptr.tolist()
    assert run.rows.tolist() == other.rows.tolist()
    assert run.scores.view(np.int32).tolist() == other.scores.view(np.int32).tolist()


# --- a formula or a query without a bound


class Signed(BM25Retriever):
    """A formula of which the frequent terms have negative impacts, as that of Robertson and Sparck Jones."""

    def _formula(self):
        return ("signed", *super()._formula())

    def _weigh(self, index):
        def scale(terms):
            df = terms.document_frequencies
            return np.log((index.n_documents - df + 0.5) / (df + 0.5))

        return Weighting(**{**vars(super()._weigh(index)), "scale": scale})


@pytest.mark.parametrize("sign", [1, -1])
def test_negative_impacts_and_negative_weights_of_queries_are_scored_whole(collection, sign):
    retriever = Signed(collection.corpus, k=50).fit([])
    impacts = retriever._impacts()
    bags = retriever._prepare(collection.queries)[1]
    bags = bags.weighted(sign * bags.weights)
    no_filter = np.empty((0, N_DOCUMENTS), np.uint8), np.empty(0, np.int64)
    bounds, rows, scores = impacts.search(bags, 50, *no_filter, None)
    counts, n = whole(collection), N_DOCUMENTS
    mean = counts.sum() / n
    signs = set()
    for i, query in enumerate(collection.terms):
        expected = scores_of(
            counts,
            {t: sign * c for t, c in query.items()},
            lambda tf, df, _, length: (
                np.log((n - df + 0.5) / (df + 0.5)) * tf / (tf + 1.2 * (0.25 + 0.75 * length / mean))
            ),
        )
        best = np.lexsort((np.arange(n), -np.nan_to_num(expected, nan=-np.inf)))[:50]
        found = scores[bounds[i] : bounds[i + 1]]
        assert_allclose(found, expected[best[: len(found)]], rtol=1e-5, atol=1e-5)
        signs.update(np.sign(found).tolist())
    assert {1.0, -1.0} <= signs


@pytest.mark.parametrize("parameters", [{"c": 0.2}, {"model": "DLH"}, {"model": "DPH"}], ids=str)
def test_frequent_terms_have_negative_impacts_under_divergence_from_randomness(collection, parameters):
    run = DFRRetriever(collection.corpus, k=N_DOCUMENTS, **parameters).fit([]).predict([f"w{i}" for i in range(20)])
    assert run.scores.min() < 0


def test_scores_beyond_single_precision_are_an_error(collection):
    retriever = BM25FRetriever(collection.corpus, weights={"title": 3e38, "text": 3e38}).fit([])
    with pytest.raises(ValueError, match="not finite in single precision"):
        retriever.predict(["w0 w1"])
