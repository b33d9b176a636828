"""CallableRetriever: what a function may return, how often it is asked, and what becomes of its failures."""

import gc
import os
import pickle
import threading
import time
import urllib.error
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from contracts import retriever_contracts
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklrank import Corpus, Qrels, Queries, Run
from sklrank._retry import call_with_retries, call_with_timeout, may_pass, pause_after
from sklrank.data import TokenVectors
from sklrank.metrics import get_scorer
from sklrank.retrievers import BM25Retriever, CallableRetriever, RetrieverUnion
from sklrank.retrievers import _callable as module

DOCUMENTS = {"a": "heat flows", "b": "cold rests", "c": "heat and cold", "d": "heat flows", "e": "wings lift"}
QUERIES = Queries({"q1": "heat", "q2": "cold", "q3": "wings", "q4": "nothing"})
QRELS = Qrels({"q1": {"a": 1}, "q2": {"c": 1}, "q3": {"e": 1}, "q4": {"b": 1}}).align(QUERIES)


class Engine:
    """A search engine: the words that query and document share; it counts what it is asked."""

    def __init__(self, documents, form="pairs"):
        self.documents = documents
        self.form = form
        self.asked = Counter()
        self.sizes = []
        self.lock = threading.Lock()  # so that it can be neither copied nor pickled

    def __call__(self, queries, k):
        with self.lock:
            self.asked.update((query, k) for query in queries)
            self.sizes.append(len(queries))
        return [self.form_of(self.best(query, k)) for query in queries]

    def best(self, query, k):
        words = query.split()
        scores = {d: float(sum(w in text.split() for w in words)) for d, text in self.documents.items()}
        return sorted(((d, s) for d, s in scores.items() if s), key=lambda pair: -pair[1])[:k]

    def form_of(self, pairs):
        ids, scores = [d for d, _ in pairs], [s for _, s in pairs]
        forms = {"pairs": pairs, "dict": dict(pairs), "lists": (ids, scores), "json": [list(pair) for pair in pairs]}
        return forms.get(self.form, (np.array(ids, dtype=object), np.array(scores)))


@pytest.fixture
def engine():
    return Engine(DOCUMENTS)


def returning(answer):
    return CallableRetriever(lambda queries, k: answer, backoff=0).fit([])


def bm25_engine(corpus):
    """BM25 as if it were elsewhere."""
    bm25 = BM25Retriever(corpus).fit([])

    def engine(queries, k):
        run = bm25.set_params(k=k)._search(queries, k)
        return [list(zip(docids, one.scores.tolist())) for docids, one in zip(run.docids, run)]

    return engine


NOT_OURS = {
    "contract_judgments_need_a_corpus": "without a corpus there is nothing to index, and judgments are welcome",
    "contract_a_corpus_in_any_form_ranks_alike": "without a corpus X is not indexed",
    "contract_small_corpora": "without a corpus X is not indexed",
}


@pytest.mark.parametrize(
    "contract",
    [contract for contract in retriever_contracts() if contract.__name__ not in NOT_OURS],
    ids=lambda contract: contract.__name__.removeprefix("contract_"),
)
def test_contract(contract):
    def make(corpus):
        corpus = Corpus.of(corpus)
        return CallableRetriever(PickledEngine(bm25_engine(corpus)), corpus, batch_size=2)

    contract(make)


class PickledEngine:
    """An engine that pickles, as one behind a network would."""

    engines = {}

    def __init__(self, engine):
        self.key = len(self.engines)
        self.engines[self.key] = engine

    def __call__(self, queries, k):
        return self.engines[self.key](queries, k)


# --- what it may return
@pytest.mark.parametrize("form", ["pairs", "dict", "lists", "arrays", "json"])
@pytest.mark.parametrize("corpus", [None, Corpus(DOCUMENTS)], ids=["without corpus", "with corpus"])
def test_every_form_of_a_ranking_is_the_same(form, corpus):
    run = CallableRetriever(Engine(DOCUMENTS, form), corpus, k=2).fit([]).predict(QUERIES)
    assert isinstance(run, Run)
    assert run.docids == [["a", "c"], ["b", "c"], ["e"], []]
    assert run.scores.tolist() == [1.0] * 5
    assert run.qids.tolist() == ["q1", "q2", "q3", "q4"]
    assert (run.name, run.k, run.corpus) == ("callable", 2, corpus)


def test_all_queries_together_as_two_arrays():
    ids, scores = np.array([[3, 1, -1], [0, -1, -1]]), np.array([[0.5, 2.0, 9.0], [1.0, 0.0, 0.0]], dtype=np.float32)
    assert returning((ids, scores)).predict(["x", "y"]).docids == [["1", "3"], ["0"]]
    named = np.array([["d3", "d1"], ["d1", "d2"]], dtype=object)
    assert returning((named, scores[:, :2])).predict(["x", "y"]).docids == [["d1", "d3"], ["d1", "d2"]]


def test_two_rankings_as_a_tuple_are_no_pair_of_ids_and_scores():
    assert returning(([("d1", 1.0)], [("d2", 1.0)])).predict(["x", "y"]).docids == [["d1"], ["d2"]]
    assert returning([(("d1", 1.0), ("d2", 3.0))]).predict(["x"]).docids == [["d2", "d1"]]


def test_integers_are_ids():
    corpus = Corpus(["heat", "cold"])
    found = CallableRetriever(lambda queries, k: [[(1, 2.0), (np.int64(0), 1.0)]], corpus).fit([]).predict(["x"])
    assert found.rows.tolist() == [1, 0]


def test_rankings_are_ordered_and_cut():
    unordered = [[("a", 1.0), ("b", 3.0), ("c", 2.0)]]
    assert returning(unordered).set_params(k=2).predict(["x"]).docids == [["b", "c"]]


SCORES = st.floats(allow_nan=False) | st.integers(-2, 2)
ANSWERS = st.lists(st.dictionaries(st.sampled_from([*DOCUMENTS, "", "ä 日"]), SCORES), max_size=4)


@given(ANSWERS, st.integers(1, 8), st.booleans(), st.sampled_from(["dict", "pairs", "lists", "arrays"]))
def test_whatever_is_returned_is_ranked(answers, k, higher_is_better, form):
    ids = [*DOCUMENTS, "", "ä 日"]
    engine = Engine({}, form)

    def f(queries, k):
        return [engine.form_of(list(answers[int(query)].items())) for query in queries]

    options = {"k": k, "higher_is_better": higher_is_better, "batch_size": 2, "cache": 0}
    run = (
        CallableRetriever(f, Corpus([""] * len(ids), ids=ids), **options)
        .fit([])
        .predict([str(i) for i in range(len(answers))])
    )
    sign = 1 if higher_is_better else -1
    for answer, docids, one in zip(answers, run.docids, run):
        expected = sorted(answer, key=lambda docid: (-sign * answer[docid], ids.index(docid)))[:k]
        assert docids == expected
        assert one.scores.tolist() == [sign * answer[docid] for docid in expected]


def test_distances_become_scores():
    retriever = CallableRetriever(lambda queries, k: [[("a", 0.5), ("b", 0.25)]], higher_is_better=False).fit([])
    assert retriever.predict(["x"]).to_dict() == {"0": {"b": -0.25, "a": -0.5}}


def test_ties_go_to_the_lower_row_and_without_a_corpus_to_who_came_first():
    answer = {"x": [("d", 1.0), ("a", 1.0), ("e", 2.0)], "y": [("a", 1.0), ("d", 1.0)]}

    def f(queries, k):
        return [answer[query] for query in queries]

    assert CallableRetriever(f, DOCUMENTS).fit([]).predict(["x", "y"]).docids == [["e", "a", "d"], ["a", "d"]]
    assert CallableRetriever(f).fit([]).predict(["y", "x"]).docids == [["a", "d"], ["e", "d", "a"]]


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (None, TypeError, "f returned None of type NoneType for 1 queries; expected for each query a list"),
        ({"x": [("a", 1.0)]}, TypeError, "f returned {'x':.* of type dict"),
        ([], ValueError, "f returned 0 rankings for 1 queries"),
        ([[("a", 1.0)], [("b", 1.0)]], ValueError, "f returned 2 rankings for 1 queries"),
        ([["a", "b"]], TypeError, "f returned a ranking that holds 'a' of type str; expected"),
        ([[("a", 1.0, 2)]], TypeError, r"holds \('a', 1.0, 2\) of type tuple"),
        ([7], TypeError, "f returned 7 of type int for a query"),
        (["ab"], TypeError, "f returned 'ab' of type str for a query"),
        ([(["a", "b"], [1.0])], ValueError, "2 ids and 1 scores"),
        ([[("a", "high")]], TypeError, "scores are numbers, got 'high'"),
        ([[("a", None)]], ValueError, "NaN or None as the score of 'a'"),
        ([[("a", float("nan")), ("b", 1.0)]], ValueError, "NaN or None as the score of 'a'"),
        ([[("a", 1.0), ("a", 2.0)]], ValueError, "more than once: 'a'"),
        ([[(1.5, 1.0)]], TypeError, "document id 0 is 1.5 of type float"),
        ((np.zeros((1, 2), int), np.zeros((1, 3))), ValueError, r"ids of shape \(1, 2\) and scores of shape \(1, 3\)"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(answer, error, message):
    with pytest.raises(error, match=message):
        returning(answer).predict(["x"])


def test_unknown_documents_are_shown():
    retriever = CallableRetriever(lambda queries, k: [[("a", 2.0), ("z9", 1.0)]], DOCUMENTS).fit([])
    with pytest.raises(ValueError, match="f returned documents that the corpus does not have: 1 document ids.*'z9'"):
        retriever.predict(["x"])


def test_small_corpora(engine):
    with pytest.raises(ValueError, match="the corpus is empty"):
        CallableRetriever(engine, Corpus([])).fit([])
    only = CallableRetriever(lambda queries, k: [{"only": 1.0}] * len(queries), {"only": "heat"}, k=5).fit([])
    assert only.predict(["x"]).docids == [["only"]]


# --- what it is asked
def test_without_a_corpus_fit_indexes_nothing(engine):
    retriever = CallableRetriever(engine).fit(QUERIES, QRELS)
    assert retriever.corpus_ is None and not engine.asked
    assert retriever.score(QUERIES, QRELS) == pytest.approx((1 + 0.6309297535714575 + 1 + 0) / 4)
    assert CallableRetriever(engine).fit(["a document"]).predict(["heat"]).docids == [["a", "c", "d"]]
    with pytest.raises(ValueError, match="give corpus=, or filter in f"):
        retriever.predict(["heat"], filter=["a"])
    with pytest.raises(NotFittedError):
        CallableRetriever(engine).predict(["heat"])


def test_runs_without_a_corpus_join(engine):
    retriever = CallableRetriever(engine).fit([])
    joined = np.concatenate([retriever.predict(QUERIES[:2]), retriever.predict(QUERIES[2:])])
    assert joined.docids == retriever.predict(QUERIES).docids
    assert joined.with_corpus(Corpus(DOCUMENTS)).rows.tolist() == [0, 2, 3, 1, 2, 4]


def test_batches_hold_each_new_query_once(engine):
    retriever = CallableRetriever(engine, batch_size=2, k=3).fit([])
    run = retriever.predict(["heat", "cold", "heat", "wings", "lift", "rests", "cold"])
    assert engine.sizes == [2, 2, 1]
    assert run.docids[0] == run.docids[2] == ["a", "c", "d"]
    retriever.predict(["wings", "flows"])
    assert engine.sizes == [2, 2, 1, 1]
    assert set(engine.asked.values()) == {1}
    assert len(retriever.predict([])) == 0


def test_vectors_arrive_as_rows():
    asked = []

    def engine(queries, k):
        asked.append(queries)
        return [{"a": 1.0}] * queries.shape[0]

    retriever = CallableRetriever(engine, batch_size=2).fit([])
    dense = np.arange(6.0).reshape(3, 2)
    for matrix in (dense, sparse.csr_array(dense), Queries(dense)):
        retriever.clear_cache()
        asked.clear()
        assert retriever.predict(matrix).docids == [["a"]] * 3
        assert [part.shape for part in asked] == [(2, 2), (1, 2)]
        assert (asked[1] == dense[2:]).all() if isinstance(asked[1], np.ndarray) else asked[1].nnz == 2
    asked.clear()
    retriever.predict(dense[[2, 1]])
    assert not asked  # each row is known
    tokens = TokenVectors.from_list([np.ones((2, 2)), np.zeros((1, 2))])
    assert retriever.predict(tokens).docids == [["a"]] * 2
    assert isinstance(asked[0], TokenVectors)


def test_other_columns_of_the_queries():
    records = [{"text": "heat", "lang": "en", "year": 1960}, {"text": "kalt", "lang": "de", "year": 1970}]
    queries = Queries(records)
    asked = []

    def engine(batch, k):
        asked.extend(batch)
        return [{}] * len(batch)

    CallableRetriever(engine, query_field="lang").fit([]).predict(queries)
    CallableRetriever(engine, query_field=["text", "year"]).fit([]).predict(queries)
    assert asked == ["en", "de", {"text": "heat", "year": 1960}, {"text": "kalt", "year": 1970}]
    with pytest.raises(ValueError, match="give query_field="):
        CallableRetriever(engine).fit([]).predict(Queries([{"qid": "1", "lang": "en"}]))


def test_a_filter_asks_on_until_enough_pass():
    documents = {f"d{i}": "heat" for i in range(50)}
    engine = Engine(documents)
    retriever = CallableRetriever(engine, documents, k=4).fit([])
    assert retriever.predict(["heat"], filter=["d40", "d3", "d49"]).docids == [["d3", "d40", "d49"]]
    assert sorted(k for _, k in engine.asked) == [4, 8, 16, 32, 50]
    assert retriever.predict(["heat", "heat"], filter=[["d40"], None]).docids == [["d40"], ["d0", "d1", "d2", "d3"]]
    engine.asked.clear()
    assert retriever.set_params(k=5).predict(["heat"], filter=["d1", "d7", "d2"]).docids == [["d1", "d2", "d7"]]
    assert list(engine.asked) == [("heat", 5), ("heat", 10)]  # no more can come
    mask = np.zeros(50, dtype=bool)
    mask[:6] = True
    retriever.set_params(k=4)
    engine.asked.clear()
    retriever.clear_cache()
    assert retriever.predict(["heat"], filter=mask).docids == [["d0", "d1", "d2", "d3"]]
    assert list(engine.asked) == [("heat", 4)]


# --- how often it is asked
@pytest.mark.parametrize("corpus", [None, Corpus(DOCUMENTS)], ids=["without corpus", "with corpus"])
def test_a_grid_search_asks_each_query_once(engine, corpus):
    union = RetrieverUnion([("bm25", BM25Retriever(Corpus(DOCUMENTS))), ("engine", CallableRetriever(engine, corpus))])
    pipe = make_pipeline(union, Best())
    grid = {"best__column": ["bm25", "engine"], "retrieverunion__bm25__k1": [0.5, 1.2]}
    search = GridSearchCV(pipe, grid, scoring=get_scorer("ndcg@10"), cv=2).fit(QUERIES, QRELS)
    assert engine.asked == {(text, 100): 1 for text in QUERIES.texts}
    assert search.best_score_ > 0.5
    search = GridSearchCV(CallableRetriever(engine, corpus), {"k": [1, 100], "batch_size": [1, 2]}, cv=2)
    search.fit(QUERIES, QRELS)
    assert engine.asked == {(text, k): 1 for text in QUERIES.texts for k in (1, 100)}


class Best(BaseEstimator):
    """Orders candidates by one column, as a fuser would."""

    def __init__(self, column="bm25"):
        self.column = column

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X.reorder(np.nan_to_num(X.column(self.column), nan=-1.0))

    predict = transform


class LoggingEngine:
    """An engine that pickles, and notes in a file which process asks it for which query."""

    def __init__(self, path):
        self.path = path

    def __call__(self, queries, k):
        with open(self.path, "a") as log:
            log.writelines(f"{os.getpid()} {query}\n" for query in queries)
        return [[("a", 1.0)] for _ in queries]


def test_workers_ask_each_query_once(tmp_path):
    log = tmp_path / "log"
    grid = {"retry_on": [OSError, ValueError], "backoff": [0.1, 0.2]}
    search = GridSearchCV(CallableRetriever(LoggingEngine(log)), grid, cv=2, n_jobs=2, refit=False)
    search.fit(QUERIES, QRELS)
    counts = Counter(log.read_text().splitlines())
    assert set(counts.values()) == {1}
    assert {line.split()[1] for line in counts} == set(QUERIES.texts)


def test_threads_ask_each_query_once(engine):
    def slow(queries, k):
        time.sleep(0.02)
        return engine(queries, k)

    retriever = CallableRetriever(slow, batch_size=1, n_jobs=2).fit([])
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: retriever.predict(["heat", "cold", "lift", "heat"]), range(8)))
    assert engine.asked == {("heat", 100): 1, ("cold", 100): 1, ("lift", 100): 1}
    assert all(run.docids == runs[0].docids for run in runs)


def test_kept_answers_are_bounded_and_can_be_forgotten(engine):
    retriever = CallableRetriever(engine, cache=2).fit([])
    retriever.predict(["heat", "cold", "wings"])
    assert len(module.answers_of(engine)) == 2
    retriever.predict(["cold", "wings"])
    assert engine.sizes == [3]
    retriever.predict(["heat"])  # which drops "cold"
    retriever.predict(["cold"])
    assert engine.asked["heat", 100] == engine.asked["cold", 100] == 2
    assert retriever.clear_cache() is retriever
    retriever.predict(["cold"])
    assert engine.asked["cold", 100] == 3
    fresh = CallableRetriever(engine, cache=0).fit([])
    fresh.predict(["cold", "cold"])
    fresh.predict(["cold"])
    assert engine.asked["cold", 100] == 5


def test_few_functions_have_their_answers_kept(engine):
    for _ in range(2 * module._N_FUNCTIONS):
        returning([[]]).predict(["x"])
    gc.collect()  # of functions of other tests, in cycles
    assert len(module._KNOWN) <= module._N_FUNCTIONS


def test_clones_share_the_function(engine):
    retriever = CallableRetriever(engine, Corpus(DOCUMENTS), k=7).fit([])
    copy = clone(retriever)
    assert copy.f is engine and copy.corpus is retriever.corpus and copy.k == 7
    with pytest.raises(NotFittedError):
        copy.predict(["heat"])
    assert clone(make_pipeline(retriever))[0].f is engine
    assert CallableRetriever(engine.__call__).fit([]).predict(["heat"]).docids == [["a", "c", "d"]]
    CallableRetriever(engine.__call__).fit([]).predict(["heat"])  # another object, the same method
    assert engine.asked == {("heat", 100): 1}


def module_engine(queries, k):
    return [[("a", 1.0)] for _ in queries]


def test_it_pickles_where_the_function_does(engine):
    again = pickle.loads(pickle.dumps(CallableRetriever(module_engine, DOCUMENTS, k=3).fit([])))
    assert again.f is module_engine and again.k == 3 and len(again.corpus_) == 5
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(CallableRetriever(engine))


def test_a_worker_knows_the_function_again(monkeypatch):
    monkeypatch.setattr(module, "is_worker", lambda: True)
    retriever = CallableRetriever(PickledEngine(None)).fit([])
    assert pickle.loads(pickle.dumps(retriever)).f is retriever.f


# --- failures
def failing(times, error):
    """An engine whose first calls raise."""
    calls = []

    def engine(queries, k):
        calls.append(list(queries))
        if len(calls) <= times:
            raise error
        return [[("a", 1.0)]] * len(queries)

    return engine, calls


@pytest.mark.parametrize("error", [ConnectionResetError("reset"), TimeoutError(), urllib.error.URLError("no route")])
def test_failures_that_may_pass_are_tried_again(error):
    f, calls = failing(2, error)
    assert CallableRetriever(f, backoff=0).fit([]).predict(["x"]).docids == [["a"]]
    assert calls == [["x"]] * 3


def test_tries_come_to_an_end():
    f, calls = failing(9, ConnectionRefusedError("refused"))
    retriever = CallableRetriever(f, retries=1, backoff=0).fit([])
    with pytest.raises(ConnectionRefusedError, match="refused") as caught:
        retriever.predict(["x"])
    assert len(calls) == 2 and caught.value.__notes__ == ["This was try 2 of 2."]
    with pytest.raises(ConnectionRefusedError):  # and nothing of it is kept
        retriever.predict(["x"])
    assert len(calls) == 4


def test_other_failures_are_not_tried_again():
    class Busy(Exception):
        pass

    for error in (KeyError("field"), Busy(), urllib.error.HTTPError("url", 404, "not found", None, None)):
        f, calls = failing(1, error)
        with pytest.raises(type(error)):
            CallableRetriever(f, backoff=0).fit([]).predict(["x"])
        assert len(calls) == 1
    f, calls = failing(1, Busy())
    assert CallableRetriever(f, backoff=0, retry_on=(Busy, OSError)).fit([]).predict(["x"]).docids == [["a"]]


def test_what_a_failure_left_over_is_asked_again():
    asked = Counter()

    def engine(queries, k):
        asked.update(queries)
        if "bad" in queries and asked["bad"] == 1:
            raise ValueError("bad query")
        return [[("a", 1.0)]] * len(queries)

    retriever = CallableRetriever(engine, batch_size=1).fit([])
    with pytest.raises(ValueError, match="bad query"):
        retriever.predict(["x", "bad", "y"])
    assert retriever.predict(["x", "bad", "y"]).docids == [["a"]] * 3
    assert asked == {"x": 1, "bad": 2, "y": 1}


def test_whoever_waits_for_a_failing_call_hears_of_it():
    started, go_on = threading.Event(), threading.Event()

    def engine(queries, k):
        started.set()
        go_on.wait(10)
        raise ValueError("broken")

    retriever = CallableRetriever(engine).fit([])
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(retriever.predict, ["x"])
        started.wait(10)
        second = pool.submit(retriever.predict, ["x"])
        time.sleep(0.05)
        go_on.set()
        for one in (first, second):
            with pytest.raises(ValueError, match="broken"):
                one.result()


def test_a_call_that_takes_too_long_is_given_up():
    release, calls = threading.Event(), []

    def engine(queries, k):
        calls.append(queries)
        if len(calls) == 1:
            release.wait(10)
        return [[("a", 1.0)]]

    assert CallableRetriever(engine, timeout=0.05, backoff=0).fit([]).predict(["x"]).docids == [["a"]]
    assert len(calls) == 2
    with pytest.raises(TimeoutError, match="no answer within 0.05 seconds"):
        call_with_timeout(lambda: release.wait(10), 0.05)
    release.set()
    with pytest.raises(TimeoutError, match="its own"):
        call_with_timeout(lambda: (_ for _ in ()).throw(TimeoutError("its own")), 5)


def test_waits_double(monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(OSError, match="down"):
        call_with_retries(failing_call, retries=9, backoff=0.5, pause_of=pause_after(OSError))
    assert len(waits) == 9
    for done, wait in enumerate(waits):
        assert 0.75 * min(0.5 * 2**done, 60) <= wait <= min(0.5 * 2**done, 60)
    waits.clear()
    with pytest.raises(OSError, match="down"):
        call_with_retries(failing_call, retries=1, backoff=0.5, pause_of=lambda error: 7.0)
    assert waits == [7.0]
    with pytest.raises(OSError, match="down"):  # and does not sleep for an hour
        call_with_retries(failing_call, retries=1, backoff=0.5, pause_of=lambda error: 3600.0)
    assert waits == [7.0]


def failing_call():
    raise OSError("down")


def test_statuses_that_may_pass():
    assert [status for status in (200, 400, 401, 404, 408, 429, 500, 501, 503, 504) if may_pass(status)] == [
        408, 429, 500, 503, 504,
    ]  # fmt: skip
    busy, gone = OSError(), OSError()
    busy.response, gone.response = SimpleNamespace(status_code=503), SimpleNamespace(status_code=404)
    assert (pause_after(OSError)(busy), pause_after(OSError)(gone), pause_after(KeyError)(busy)) == (0.0, None, None)


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"timeout": 0}, {"retries": -1}, {"backoff": -1}, {"cache": -1}, {"f": "name"}]
)
def test_parameters_are_checked(engine, wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        CallableRetriever(engine).set_params(**wrong).fit([])
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        CallableRetriever(engine).fit([]).set_params(**wrong).predict(["x"])
