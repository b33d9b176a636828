"""Rerankers against plain Python: depth, tail, cutoffs, similarities, windows, cascades."""

import math
import pickle
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.data import TokenVectors
from sklrank.fusers import ColumnScorer, ReciprocalRankFuser, ScoreFuser
from sklrank.metrics import ndcg_score
from sklrank.rerankers import CallableReranker, CascadeReranker, Cutoff, DenseReranker, MMRReranker
from sklrank.rerankers._base_scoring import ScoringReranker
from sklrank.retrievers import BM25Retriever, DenseRetriever, RetrieverUnion, TfidfRetriever

TEXTS = ["heat flows", "cold rests", "heat", "laminar flow", "", "flow of heat", "wing in a flow", "naïve 日本"]
CORPUS = Corpus(TEXTS, ids=[f"d{i}" for i in range(len(TEXTS))])
QUERIES = Queries({"q1": "heat flow", "q2": "cold wing", "q3": "nothing"})
QRELS = Qrels({"q1": {"d5": 2, "d0": 1}, "q2": {"d1": 1}, "q3": {"d4": 1}})


class Table(ScoringReranker):
    """Scores from a table by row; counts what it is asked."""

    _stage = "table"

    def __init__(self, table=None, depth=None, tail="drop", k=None):
        self.table = table
        self.depth = depth
        self.tail = tail
        self.k = k

    def _score(self, candidates):
        Table.asked = len(candidates.rows)
        return [self.table[row] for row in candidates.rows.tolist()]


class Learner(Table):
    """One that has to be fitted; it keeps how many candidates it saw."""

    def fit(self, X, y=None):
        self.seen_ = len(X.rows)
        return self

    def __sklearn_is_fitted__(self):
        return hasattr(self, "seen_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags


def ranked(lists, name="first", queries=None):
    """A run of rows in this order, one list a query."""
    indptr = np.cumsum([0, *map(len, lists)])
    rows = np.array([row for one in lists for row in one], dtype=np.int64)
    scores = np.concatenate([np.arange(len(one), 0, -1.0) for one in lists] or [[]])
    queries = queries or Queries(["heat flow"] * len(lists))
    return Run.from_ragged(indptr, rows, scores, queries=queries, corpus=CORPUS, name=name)


def rows_of(run):
    return [part.tolist() for part in np.split(run.rows, run.indptr[1:-1])] if len(run) else []


def by_score(rows, table):
    return sorted(rows, key=lambda row: (-table[row], row))


LISTS = st.lists(st.lists(st.integers(0, 7), unique=True, max_size=8), max_size=4)
TABLES = st.lists(st.sampled_from([0.0, -0.0, 1.0, -2.5, 1e300, -1e17, math.inf, -math.inf]), min_size=8, max_size=8)
DEPTHS = st.none() | st.integers(1, 9)


# --- depth, tail, k


@given(LISTS, TABLES, DEPTHS, st.sampled_from(["drop", "keep"]), DEPTHS)
def test_the_first_are_ranked_by_score_then_row_and_the_others_stay_below_in_their_order(lists, table, depth, tail, k):
    run = ranked(lists)
    got = Table(table, depth, tail, k).transform(run)
    expected = []
    for one in lists:
        ranking = by_score(one[:depth], table) + (one[depth:] if tail == "keep" and depth else [])
        expected.append(ranking[:k])
    assert rows_of(got) == expected
    for q, one in enumerate(lists):
        entries = slice(got.indptr[q], got.indptr[q + 1])
        rows, scores = got.rows[entries].tolist(), got.scores[entries]
        assert (scores[:-1] >= scores[1:]).all()
        n = len(one[:depth])
        assert_array_equal(scores[:n], [table[row] for row in rows[:n]])
        assert_array_equal(got.column("table")[entries], [table[r] if r in one[:depth] else np.nan for r in rows])
        assert_array_equal(got.column_ranks("first")[entries], [one.index(row) + 1 for row in rows])
        assert_array_equal(got.column("first")[entries], [len(one) - one.index(row) for row in rows])


def test_scores_of_the_tail_go_down_from_the_lowest():
    got = Table([5.0, 1e17, -3.0] + [0.0] * 5, 2, "keep").transform(ranked([[2, 0, 3, 4], [1, 5, 6], [7]]))
    assert got.scores.tolist()[:4] == [5.0, -3.0, -4.0, -5.0]
    assert (np.diff(got.scores[4:7]) < 0).all()
    far = Table([1e17] * 8, 1, "keep").transform(ranked([[2, 0, 3, 4]]))
    assert (np.diff(far.scores) < 0).all()  # where 1 is nothing


@given(LISTS, TABLES, st.integers(1, 8))
def test_k_results_are_a_prefix_of_more(lists, table, k):
    run = ranked(lists)
    some, more = (Table(table, None, "drop", n).transform(run) for n in (k, k + 1))
    assert rows_of(some) == [one[:k] for one in rows_of(more)]
    assert some.k == k


def test_a_query_does_not_see_the_others():
    lists, reranker = [[0, 1, 2], [], [5, 3], [7]], Table([3, 1, 4, 1, 5, 9, 2, 6], 2, "keep")
    run, whole = ranked(lists), reranker.transform(ranked(lists))
    joined = np.concatenate([reranker.transform(run[i]) for i in range(4)])
    assert rows_of(joined) == rows_of(whole) and joined.scores.tolist() == whole.scores.tolist()


def test_a_union_has_no_first_ones():
    union = Run.union({"a": ranked([[0, 1]]), "b": ranked([[2, 1]])})
    got = Table([1, 2, 3] + [0] * 5).transform(union)
    assert rows_of(got) == [[2, 1, 0]] and got.columns == ("a", "b", "table")
    assert rows_of(Table([1, 2, 3] + [0] * 5, depth=3).transform(union)) == [[2, 1, 0]]  # all of them
    with pytest.raises(ValueError, match="but no order.*depth=None"):
        Table([0.0] * 8, depth=2).transform(union)


def test_columns_are_named_for_their_stages_and_none_is_lost():
    table = Table([1, 2, 3] + [0] * 5, depth=2, tail="keep")
    once = table.transform(ranked([[0, 1, 2]]))
    assert once.columns == ("first", "table") and once.name == "table"
    twice = Table([9] * 8).transform(once)
    assert twice.columns == ("first", "table", "table_2")
    assert_array_equal(np.isnan(twice.column("table")), [False, False, True])  # what was not scored has no score
    assert Table([9] * 8).transform(ranked([[0]], name=None)).columns == ("previous", "table")


def test_a_reranked_run_is_not_explained_by_the_fuser_before():
    union = Run.union({"a": ranked([[0, 1]])})
    got = Table([1.0] * 8).transform(ReciprocalRankFuser().fit_transform(union))
    assert got.source is None


def test_candidates_are_not_touched():
    run = ranked([[0, 1, 2]])
    before = pickle.dumps((run.rows, run.scores, run.columns))
    Table([1, 2, 3] + [0] * 5, 2, "keep", 1).transform(run)
    assert pickle.dumps((run.rows, run.scores, run.columns)) == before


@pytest.mark.parametrize("lists", [[], [[]], [[], []]])
def test_no_candidates_are_fine(lists):
    run = ranked(lists)
    for reranker in (Table(), DenseReranker(TfidfVectorizer()), CallableReranker(len), Cutoff(1.0, 2)):
        assert rows_of(reranker.fit(run).transform(run)) == lists
    assert rows_of(CascadeReranker([("a", Table(), 2)], time_budget=1.0).transform(run)) == lists


@pytest.mark.parametrize("reranker", [DenseReranker(HashingVectorizer()), CallableReranker(len), Table()])
def test_what_is_no_run_is_refused(reranker):
    for verb in ("fit", "transform", "predict", "fit_transform"):
        with pytest.raises(TypeError, match="a reranker takes a Run, got a list"):
            getattr(reranker, verb)(["heat"])


@pytest.mark.parametrize("reranker", [DenseReranker(HashingVectorizer()), CallableReranker(len)])
def test_texts_that_are_missing_are_named(reranker):
    with pytest.raises(ValueError, match=r"only their ids: run.with_corpus\(corpus\)"):
        reranker.transform(Run({"q": {"d0": 1.0}}, queries={"q": "heat"}))
    with pytest.raises(ValueError, match=r"only their ids.*queries=Queries"):
        reranker.transform(Run({"q": {"d0": 1.0}}, corpus=CORPUS))
    with pytest.raises(ValueError, match=r"only their number"):
        reranker.transform(Run([{"d0": 1.0}], corpus=CORPUS))


def test_bad_scores_are_named():
    with pytest.raises(ValueError, match=r"1 scores are NaN.*\('0', 'd1'\)"):
        Table([0, np.nan] + [0] * 6).transform(ranked([[0, 1]]))

    class Wrong(Table):
        def _score(self, candidates):
            return [1.0]

    with pytest.raises(ValueError, match="scores of shape"):
        Wrong().transform(ranked([[0, 1]]))


@pytest.mark.parametrize("bad", [{"depth": 0}, {"depth": 1.5}, {"tail": "cut"}, {"k": 0}])
def test_bad_parameters_get_scikit_learns_sentence(bad):
    with pytest.raises(ValueError, match="parameter of DenseReranker must be"):
        DenseReranker(HashingVectorizer(), **bad).fit(ranked([[0]]))
    with pytest.raises(ValueError, match="parameter of DenseReranker must be"):
        DenseReranker(HashingVectorizer(), **bad).transform(ranked([[0]]))


def test_rerankers_stand_in_pipelines_and_searches():
    pipe = make_pipeline(
        RetrieverUnion([("bm25", BM25Retriever(CORPUS)), ("tfidf", TfidfRetriever(CORPUS))]),
        ReciprocalRankFuser(),
        DenseReranker(HashingVectorizer(n_features=64), tail="keep"),
    )
    search = GridSearchCV(pipe, {"densereranker__depth": [1, 2, None], "reciprocalrankfuser__k": [2, None]}, cv=3)
    search.fit(QUERIES, QRELS.align(QUERIES))
    run = search.predict(QUERIES)
    assert run.columns == ("bm25", "tfidf", ReciprocalRankFuser._stage, "dense")
    assert search.score(QUERIES, QRELS.align(QUERIES)) == ndcg_score(QRELS.align(QUERIES), run, k=10)


def test_scores_blend_with_those_that_candidates_had():
    found = BM25Retriever(CORPUS).fit([""]).predict(QUERIES)
    reranked = DenseReranker(HashingVectorizer(n_features=64), depth=2, tail="keep").fit_transform(found)
    weights = {"bm25": 0.25, "dense": 0.75}
    blended = ScoreFuser("weighted", norm="none", missing="zero", weights=weights).transform(reranked)
    for q in range(len(QUERIES)):
        one = reranked[q]
        bm25, dense = one.column("bm25"), np.nan_to_num(one.column("dense"))
        value = dict(zip(one.rows.tolist(), (0.25 * bm25 + 0.75 * dense).tolist()))
        assert rows_of(blended[q]) == [by_score(value, value)]
    corpus = CORPUS.with_columns(clicks=np.arange(8.0))
    added = ColumnScorer("clicks").fit_transform(reranked.with_corpus(corpus))
    assert_array_equal(added.column("dense"), reranked.column("dense"))


# --- vectors


class Counting(TransformerMixin, BaseEstimator):
    """Letters as vectors; counts the texts of each call, for all of its clones."""

    texts = 0

    def __sklearn_is_fitted__(self):
        return True

    def __init__(self, as_sparse=False, size=26):
        self.as_sparse = as_sparse
        self.size = size

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        Counting.texts += len(X)
        counts = np.array([[text.count(chr(97 + i)) for i in range(self.size)] for text in X], dtype=np.float64)
        return sparse.csr_array(counts) if self.as_sparse else counts

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


def fresh():
    return Corpus(TEXTS, ids=[f"d{i}" for i in range(len(TEXTS))])


def everything(corpus, queries=("heat flow", "cold wing")):
    n = len(corpus)
    return Run.from_ragged(
        np.arange(len(queries) + 1) * n,
        np.tile(np.arange(n), len(queries)),
        np.tile(np.arange(n, 0, -1.0), len(queries)),
        queries=Queries(list(queries)),
        corpus=corpus,
    )


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_similarities_are_those_of_the_dense_retriever(metric, as_sparse):
    corpus = fresh()
    got = DenseReranker(Counting(as_sparse), metric=metric).transform(everything(corpus))
    retriever = DenseRetriever(corpus, encoder=Counting(), metric=metric, k=8).fit([""])
    expected = retriever.predict(["heat flow", "cold wing"])
    assert rows_of(got) == rows_of(expected)
    assert_allclose(got.scores, expected.scores, rtol=1e-6, atol=1e-7)


def test_only_candidates_are_encoded_and_each_once():
    corpus, reranker = fresh(), DenseReranker(Counting(size=25), depth=2)
    run = ranked([[0, 1, 2], [1, 0, 5]]).with_corpus(corpus)
    Counting.texts = 0
    reranker.fit(run)
    assert Counting.texts == 0
    reranker.transform(run)
    assert Counting.texts == 2 + 2  # two documents, two queries
    clone(reranker).set_params(depth=3).fit(run).transform(run)
    assert Counting.texts == 2 + 2 + 2 + 2  # the two new ones, and the queries again


def test_vectors_that_a_retriever_made_are_used():
    corpus = fresh()
    DenseRetriever(corpus, encoder=Counting(size=24)).fit([""])
    Counting.texts = 0
    DenseReranker(Counting(size=24)).transform(everything(corpus))
    assert Counting.texts == 2


def test_vectors_that_are_kept_are_within_the_limit_of_the_corpus():
    size = 4 * 2300  # bytes of a vector
    expected = DenseReranker(Counting(as_sparse=True, size=2300)).transform(everything(fresh()))
    few, all_of_them = (Corpus(TEXTS, ids=fresh().ids, cache_limit=limit) for limit in (2 * (3 * size + 2000), 1 << 30))
    for corpus, n_encoded in ((few, 2 + len(TEXTS) - 3), (all_of_them, 2)):
        reranker = DenseReranker(Counting(size=2300))
        for _ in range(2):
            Counting.texts = 0
            assert rows_of(reranker.transform(everything(corpus))) == rows_of(expected)
        assert Counting.texts == n_encoded  # two queries, and the documents that were dropped
        assert corpus.cache_usage()["candidates"] <= corpus.cache_limit


def test_encoders_that_learn_learn_from_the_corpus():
    corpus, queries = fresh(), ["heat flow", "cold wing"]
    vectorizer = TfidfVectorizer().fit(TEXTS)
    expected = np.asarray((vectorizer.transform(queries) @ vectorizer.transform(TEXTS).T).todense())
    for encoder in (TfidfVectorizer(), FrozenEstimator(vectorizer)):
        run = DenseReranker(encoder).transform(everything(corpus, queries))
        assert_allclose(np.asarray(run), expected, atol=1e-6)
    learned = make_pipeline(BM25Retriever(corpus), DenseReranker(TfidfVectorizer())).fit(queries).predict(queries)
    assert learned.columns == ("bm25", "dense")


def test_a_corpus_may_bring_its_vectors():
    rng = np.random.default_rng(0)
    vectors, asked = rng.normal(size=(6, 4)), rng.normal(size=(2, 4))
    run = DenseRetriever(vectors, k=6).fit(vectors).predict(asked)
    got = DenseReranker(metric="dot").transform(run)
    assert_allclose(np.asarray(got), asked @ vectors.T, rtol=1e-5)
    tokens = TokenVectors.from_list([vectors[:2]] * 6)
    words = FunctionTransformer(lambda texts: TokenVectors.from_list([np.ones((2, 3)) for _ in texts]))
    with pytest.raises(TypeError, match="MaxSimReranker"):
        DenseReranker(words).transform(everything(CORPUS))
    with pytest.raises(TypeError, match="MaxSimReranker"):
        DenseReranker(field="tokens").transform(run.with_corpus(run.corpus.with_columns(tokens=tokens)))


def test_without_an_encoder_both_sides_hold_vectors():
    with pytest.raises(ValueError, match="documents are vectors.*give encoder="):
        DenseReranker().transform(everything(CORPUS))
    with pytest.raises(ValueError, match="queries are vectors, as the documents are"):
        DenseReranker(field="vector").transform(everything(CORPUS.with_columns(vector=np.ones((8, 2)))))


def test_queries_may_have_an_encoder_of_their_own():
    corpus = fresh()
    got = DenseReranker(Counting(), Counting(), metric="dot").transform(everything(corpus))
    assert rows_of(got) == rows_of(DenseReranker(Counting(), metric="dot").transform(everything(corpus)))
    with pytest.raises(ValueError, match="queries have 3 dimensions, but documents have 26"):
        DenseReranker(Counting(), Counting(size=3)).transform(everything(corpus))


def test_bad_vectors_are_named():
    class Broken(Counting):
        def transform(self, X):
            return np.array([[np.nan if text == "heat" else 1.0] for text in X])

    with pytest.raises(ValueError, match="1 vectors hold NaN or infinity, of document.*d2"):
        DenseReranker(Broken()).transform(everything(fresh()))

    class Short(Counting):
        def transform(self, X):
            return np.ones((1, 3))

    with pytest.raises(ValueError, match="return 8 rows, got 1"):
        DenseReranker(Short()).transform(everything(fresh()))


# --- functions


def length(query, documents):
    return [float(len(document)) for document in documents]


def test_a_function_scores_in_windows():
    calls = []

    def f(query, documents):
        calls.append(len(documents))
        return np.array(length(query, documents))

    run = everything(CORPUS)
    got = CallableReranker(f, window=3).transform(run)
    assert calls == [3, 3, 2] * 2
    table = list(map(len, TEXTS))
    assert rows_of(got) == [by_score(range(8), table)] * 2
    assert got.name == "callable_reranker" and got.scores.max() == max(table)
    assert rows_of(CallableReranker(f, window=None).transform(run)) == rows_of(got) and calls[6:] == [8, 8]


@given(st.integers(0, 40), st.integers(1, 12), st.integers(1, 12), st.randoms(use_true_random=False))
def test_a_window_slides_from_the_bottom_up(n, window, step, random):
    truth = list(range(n))
    random.shuffle(truth)
    corpus = Corpus([f"{value}" for value in truth])
    run = everything(corpus, ["q"]) if n else ranked([[]])
    seen = []

    def best_first(query, documents):
        seen.append(documents)
        return sorted(range(len(documents)), key=lambda i: int(documents[i]))

    reranker = CallableReranker(best_first, returns="order", window=window, step=step, cache=0)
    if step > window:
        with pytest.raises(ValueError, match="the window would skip some candidates"):
            reranker.fit(run)
        return
    got = [truth[row] for row in reranker.transform(run).rows.tolist()] if n else []
    expected, start = truth.copy(), max(n - window, 0)
    while n > 1:
        expected[start : start + window] = sorted(expected[start : start + window])
        if start == 0:
            break
        start = max(start - step, 0)
    assert got == expected
    assert {text for one in seen for text in one} == (set(map(str, truth)) if n > 1 else set())
    assert got[: window - step] == sorted(truth)[: window - step] or n <= 1


def test_an_order_may_leave_some_out():
    got = CallableReranker(lambda query, documents: [2, 0], returns="order").transform(ranked([[5, 1, 3, 0]]))
    assert rows_of(got) == [[3, 5, 1, 0]] and got.scores.tolist() == [4, 3, 2, 1]


@pytest.mark.parametrize("answer", [[0, 0, 1], [3], [-1], [0.5, 0.2, 0.1], ["0"], [True, False], [[0]]])
def test_a_wrong_order_says_so(answer):
    with pytest.raises(ValueError, match="expected f to return positions from 0 to 2, each at most once"):
        CallableReranker(lambda query, documents: answer, returns="order").transform(ranked([[5, 1, 3]]))


@pytest.mark.parametrize("answer", [[1.0], [[1.0], [2.0], [3.0]], 1.0, ["a", "b", "c"], None])
def test_wrong_scores_say_so(answer):
    with pytest.raises((ValueError, TypeError)):
        CallableReranker(lambda query, documents: answer).transform(ranked([[5, 1, 3]]))


@pytest.mark.parametrize(("returns", "needed"), [("scores", "scores, one"), ("order", "positions, best")])
def test_an_answer_that_is_no_list_says_so(returns, needed):
    for answer in (None, 3.0):
        with pytest.raises(TypeError, match=f"a list of {needed}.*, got {type(answer).__name__}"):
            CallableReranker(lambda *_, answer=answer: answer, returns=returns).transform(ranked([[5, 1]]))


def test_an_answer_of_nan_is_not_kept():
    answers = iter([[np.nan, 1.0], [2.0, 1.0]])
    reranker = CallableReranker(lambda query, documents: next(answers))
    with pytest.raises(ValueError, match="NaN has no rank"):
        reranker.transform(ranked([[5, 1]]))
    assert rows_of(reranker.transform(ranked([[5, 1]]))) == [[5, 1]]


def test_what_to_try_again_are_exceptions():
    for bad in (int, (OSError, "timeout")):
        with pytest.raises(TypeError, match="expected an exception type, or a tuple of exception types, as retry_on"):
            CallableReranker(length, retry_on=bad).transform(ranked([[5, 1]]))


def test_a_field_that_is_none_says_so():
    for bad in (3, []):
        with pytest.raises(TypeError, match="field= is the name of a column"):
            CallableReranker(length, field=bad).transform(ranked([[5, 1]]))


def test_failures_that_may_pass_are_tried_again():
    calls = []

    def f(query, documents):
        calls.append(query)
        if len(calls) < 3:
            raise ConnectionError("busy")
        return length(query, documents)

    assert rows_of(CallableReranker(f, backoff=0).transform(ranked([[2, 0]]))) == [[0, 2]]
    assert len(calls) == 3
    calls.clear()
    with pytest.raises(ConnectionError):
        CallableReranker(f, retries=1, backoff=0, cache=0).transform(ranked([[2, 0]]))


def test_a_call_that_takes_too_long_fails():
    release = threading.Event()
    reranker = CallableReranker(lambda query, documents: release.wait(5), timeout=0.05, retries=0)
    with pytest.raises(TimeoutError, match="no answer within 0.05 seconds"):
        reranker.transform(ranked([[0, 1]]))
    release.set()


def test_answers_are_kept_for_the_function():
    calls = []

    def f(query, documents):
        calls.append(query)
        return length(query, documents)

    reranker, run = CallableReranker(f, depth=2), ranked([[2, 0, 1], [2, 0, 3]])
    reranker.transform(run)
    assert len(calls) == 1  # the same query and documents
    clone(reranker).set_params(k=1).transform(run)
    assert len(calls) == 1 and clone(reranker).f is f
    reranker.set_params(cache=0).transform(run)
    assert len(calls) == 3


def test_threads_ask_for_a_query_each():
    queries = Queries([f"query {i}" for i in range(20)])
    run = ranked([[0, 1, 2, 3]] * 20, queries=queries)
    barrier = threading.Barrier(2, timeout=10)

    def f(query, documents):
        if query in ("query 0", "query 19"):
            barrier.wait()  # which one thread alone could never pass
        return length(query, documents)

    assert rows_of(CallableReranker(f, n_jobs=2).transform(run)) == rows_of(CallableReranker(length).transform(run))


def test_rerankers_pickle():
    run = everything(CORPUS)
    for reranker in (CallableReranker(length), DenseReranker(HashingVectorizer(n_features=64)), Cutoff(3.0)):
        copied = pickle.loads(pickle.dumps(reranker.fit(run)))
        assert rows_of(copied.transform(run)) == rows_of(reranker.transform(run))


# --- cascades


def test_a_cascade_is_one_after_the_other():
    one, two = [3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1, 8, 2, 8, 1, 8]
    run = ranked([[0, 1, 2, 3, 4, 5], [7, 6], []])
    cascade = CascadeReranker([("one", Table(one), 4), ("two", Table(two), 2)])
    expected = Table(two, 2).transform(Table(one, 4).transform(run))
    got = cascade.fit(run).transform(run)
    assert rows_of(got) == rows_of(expected) and got.columns == ("first", "one", "two") and got.name == "cascade"
    got = cascade.set_params(tail="keep").transform(run)
    expected = Table(two, 2, "keep").transform(Table(one, 4, "keep").transform(run))
    assert rows_of(got) == rows_of(expected) and got.scores.tolist() == expected.scores.tolist()
    assert rows_of(cascade.set_params(k=1).transform(run)) == [one[:1] for one in rows_of(expected)]
    assert cascade.transform(run).k == 1
    assert rows_of(CascadeReranker([("one", Table(one, depth=4), None)]).transform(run)) == rows_of(
        Table(one, 4).transform(run)
    )


def test_the_k_of_a_stage_does_not_count():
    run = ranked([[5, 1, 3, 0]])
    stages = [[("mmr", MMRReranker(k=k), 4)] for k in (None, 2)]
    whole, short = (CascadeReranker(stage).fit(run).transform(run) for stage in stages)
    assert rows_of(short) == rows_of(whole)
    assert_array_equal(short.column("mmr"), whole.column("mmr"))


def test_a_cascade_gives_the_rankings_of_its_stages():
    run, scores = ranked([[0, 1, 2, 3], [], [3, 2]]), [1.0, 2.0, 3.0, 4.0] + [0.0] * 4
    cascade = CascadeReranker([("one", Table(scores), 3), ("two", Table([-s for s in scores]), 2)], k=1)
    for params in ({}, {"time_budget": 60.0}):
        first, last = cascade.set_params(**params).staged_transform(run)
        assert rows_of(first) == [[2, 1, 0], [], [3, 2]] and first.name == "one"
        assert rows_of(last) == rows_of(cascade.transform(run)) == [[1], [], [2]]
        assert (last.name, last.k, last.columns) == ("cascade", 1, ("first", "one", "two"))


def test_a_cascade_takes_a_union():
    union = Run.union({"a": ranked([[0, 1]]), "b": ranked([[2, 1]])})
    stages = [("one", Table([1, 2, 3] + [0] * 5), None), ("two", Table([1, 0, 0] + [0] * 5), 2)]
    assert rows_of(CascadeReranker(stages).transform(union)) == [[1, 2]]
    assert rows_of(CascadeReranker(stages, time_budget=1e-9).transform(union)) == [[2, 1]]  # no order, no way out
    with pytest.raises(ValueError, match="but no order"):
        CascadeReranker(stages, candidate_budget=2).transform(union)


@given(LISTS, TABLES, TABLES, st.integers(1, 12), st.integers(1, 8), st.integers(1, 8))
@settings(max_examples=50)
def test_a_candidate_budget_goes_to_earlier_stages_first(lists, one, two, budget, depth, second):
    stages = [("one", Table(one), depth), ("two", Table(two), second)]
    got = CascadeReranker(stages, candidate_budget=budget).transform(ranked(lists))
    expected = []
    for ranking in lists:
        ranking = ranking[:depth]
        n = min(budget, len(ranking))
        ranking = (by_score(ranking[:n], one) + ranking[n:])[:second]
        n = min(budget - n, len(ranking))
        expected.append(by_score(ranking[:n], two) + ranking[n:])
    assert rows_of(got) == expected


def test_a_time_budget_keeps_what_was_scored():
    run = everything(Corpus([str(i) for i in range(100)]), ["q"])

    class Slow(Table):
        def _score(self, candidates):
            time.sleep(0.02)
            return candidates.rows.astype(float)

    stages = [("slow", Slow(), None), ("late", Table([0] * 100), 5)]
    got = CascadeReranker(stages, time_budget=0.05, tail="keep").transform(run)
    n = int((~np.isnan(got.column("slow"))).sum())
    assert n in (16, 32, 48) and np.isnan(got.column("late")).all()
    assert got.rows.tolist() == [*range(n)][::-1] + [*range(n, 100)]
    got = CascadeReranker([("slow", Slow(), None)], time_budget=60.0).transform(run)
    assert got.rows.tolist() == [*range(100)][::-1]
    both = np.concatenate([run, run])
    got = CascadeReranker([("slow", Slow(), 32)], time_budget=60.0).transform(both)
    assert rows_of(got) == [[*range(31, -1, -1)]] * 2


def test_parameters_of_stages_can_be_searched():
    cascade = CascadeReranker([("dense", DenseReranker(HashingVectorizer(n_features=64)), None), ("table", Table(), 3)])
    assert cascade.get_params()["dense__metric"] == "cosine"
    cascade.set_params(dense__depth=2, table=Table([1.0] * 8))
    assert cascade.rerankers[0][1].depth == 2 and cascade.rerankers[1][1].table == [1.0] * 8
    assert cascade.rerankers[1][2] == 3 and clone(cascade).rerankers[1][2] == 3
    pipe = make_pipeline(BM25Retriever(CORPUS), cascade)
    search = GridSearchCV(pipe, {"cascadereranker__dense__depth": [1, None]}, cv=3).fit(QUERIES, QRELS.align(QUERIES))
    assert len(search.cv_results_["params"]) == 2


def test_a_cascade_fits_what_learns():
    table, learner = Table([1.0] * 8), Learner([1.0] * 8)
    cascade = CascadeReranker([("table", table, 2), ("learner", learner, None)])
    run = ranked([[0, 1, 2], [3]])
    with pytest.raises(NotFittedError):
        make_pipeline(BM25Retriever(CORPUS).fit([""]), cascade).score(QUERIES, QRELS.align(QUERIES))
    cascade.fit(run)
    assert learner.seen_ == 3 and cascade.__sklearn_is_fitted__()  # the depth before it


@pytest.mark.parametrize(
    ("stages", "error", "text"),
    [
        ([], ValueError, "at least one"),
        ([("a", Table())], ValueError, "tuples of name, reranker and depth"),
        ([("a", BM25Retriever(), 3)], TypeError, "BM25Retriever"),
        ([("a", Cutoff(1.0), 3)], TypeError, "scores candidates"),
        ([("a", Table(), 0)], ValueError, "at least 1"),
        ([("a", Table(), 1), ("a", Table(), 1)], ValueError, "not unique"),
        ([("a", Table(tail="x"), 1)], ValueError, "parameter of Table"),
    ],
)
def test_bad_stages_are_named(stages, error, text):
    for verb in ("fit", "transform"):
        with pytest.raises(error, match=text):
            getattr(CascadeReranker(stages), verb)(ranked([[0]]))


# --- where rankings end


@given(LISTS, TABLES, st.none() | st.sampled_from([-3.0, 0.0, 1.0]), st.none() | st.integers(0, 9))
def test_a_cutoff_ends_a_ranking_at_the_first_that_is_too_low_or_too_long(lists, table, threshold, budget):
    run = Table(table).transform(ranked(lists))
    got = Cutoff(threshold, budget).transform(run)
    for before, after in zip(rows_of(run), rows_of(got)):
        kept, words = [], 0
        for row in before:
            words += len(TEXTS[row].split())
            if threshold is not None and table[row] < threshold or budget is not None and words > budget:
                break
            kept.append(row)
        assert after == kept
    assert got.columns == run.columns and got.name == run.name


def test_tokens_are_counted_by_a_tokenizer():
    from tests.onnx_models import tokenizer

    run = ranked([[0, 3, 6]])  # heat flows, laminar flow, wing in a flow
    assert rows_of(Cutoff(max_tokens=4, tokenizer=tokenizer()).transform(run)) == [[0, 3]]
    letters = Cutoff(max_tokens=22, tokenizer=lambda texts: list(map(list, map(str.encode, texts))))
    assert rows_of(letters.transform(run)) == [[0, 3]]


def test_a_cutoff_needs_an_order_and_texts_only_where_tokens_count():
    with pytest.raises(ValueError, match="no order yet"):
        Cutoff(1.0).transform(Run.union({"a": ranked([[0]])}))
    bare = Run({"q": {"a": 2.0, "b": 1.0}})
    assert Cutoff(1.5).transform(bare).docids == [["a"]]
    with pytest.raises(ValueError, match="with_corpus"):
        Cutoff(max_tokens=3).transform(bare)
