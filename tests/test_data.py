"""The data model: what goes in, what comes out, what is refused, and with which words."""

import copy
import gzip
import os
import pickle
import re
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import pytrec_eval
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import KFold, train_test_split
from sklearn.utils import _safe_indexing, shuffle

from sklrank import Corpus, Qrels, Queries, Run
from sklrank._caching import Cache
from sklrank.data import StringArray, _ids

unicode_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ids = st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=4).filter(
    lambda s: not s.startswith("#") and len(s.split()) == 1
)
finite = st.floats(width=32, allow_nan=False)


# --- text columns


@given(st.lists(unicode_text), st.data())
def test_strings_come_back_as_they_went_in(strings, data):
    column = StringArray.from_strings(strings)
    assert column.tolist() == list(column) == strings
    assert [column[i] for i in range(len(strings))] == strings
    assert len(column) == len(strings)
    keys = data.draw(st.lists(st.integers(-len(strings), len(strings) - 1)) if strings else st.just([]))
    assert column[np.array(keys, dtype=int)].tolist() == [strings[i] for i in keys]
    for key in (slice(None, None, -1), slice(1, None), slice(None, -1, 2)):
        assert column[key].tolist() == strings[key]
    mask = np.arange(len(strings)) % 2 == 0
    assert column[mask].tolist() == strings[::2]
    assert pickle.loads(pickle.dumps(column)) == column == StringArray.from_strings(iter(strings))


@given(st.lists(st.tuples(unicode_text, unicode_text)))
def test_joined_columns_have_a_space_where_both_have_text(pairs):
    joined = StringArray.joined(*(StringArray.from_strings([p[i] for p in pairs]) for i in (0, 1)))
    assert joined.tolist() == [f"{a} {b}" if a and b else a + b for a, b in pairs]


def test_chunks_of_strings_join(monkeypatch):
    monkeypatch.setattr("sklrank.data._strings._CHUNK", 3)
    strings = ["a", "bä", "", "c", "d" * 10, "é", "z"]
    column = StringArray.from_strings(strings)
    assert column.tolist() == list(column) == strings
    with pytest.raises(TypeError, match="document 4 is 7 of type int"):
        StringArray.from_strings(["a"] * 4 + [7])


def test_what_is_no_text_is_named():
    with pytest.raises(TypeError, match="document 2 is 3.5 of type float"):
        Corpus(["a", "b", 3.5])
    with pytest.raises(ValueError, match=r"document 1 holds a lone surrogate, '\\ud800', at character 2"):
        Corpus(["a", "xx\ud800", "\ud800"])
    with pytest.raises(ValueError, match="query 0 holds a lone surrogate"):
        Queries(["\udfff"])
    with pytest.raises(TypeError, match="even of one document, got a str"):
        Corpus("text")
    with pytest.raises(IndexError):
        StringArray.from_strings(["a"])[1]


# --- corpora

RECORDS = [
    {"_id": "a", "title": "Heat", "text": "flows", "year": 1},
    {"_id": "b", "text": "Cold"},
    {"_id": "c", "year": 3},
]


@pytest.mark.parametrize(
    "documents",
    [
        RECORDS,
        pd.DataFrame(RECORDS),
        pd.DataFrame(RECORDS).convert_dtypes(),
        pl.DataFrame(RECORDS),
        pa.Table.from_pylist([{"title": None, "year": None, **r} for r in RECORDS][:1] + RECORDS[1:]),
        {r["_id"]: {k: v for k, v in r.items() if k != "_id"} for r in RECORDS},
        iter(RECORDS),
    ],
    ids=["records", "pandas", "pandas nullable", "polars", "pyarrow", "dict", "iterator"],
)
def test_a_corpus_of_columns(documents):
    corpus = Corpus(documents)
    assert corpus.ids.tolist() == ["a", "b", "c"]
    assert sorted(corpus.columns) == ["text", "title", "year"]
    assert corpus["title"].tolist() == ["Heat", "", ""]
    assert corpus.text().tolist() == ["Heat flows", "Cold", ""]
    assert corpus.text("text").tolist() == ["flows", "Cold", ""]
    np.testing.assert_array_equal(np.asarray(corpus["year"], dtype=float), [1, np.nan, 3])
    assert corpus.rows(["c", "a"]).tolist() == [2, 0]
    assert corpus.docids([[2, 0], [1, 1]]).tolist() == [["c", "a"], ["b", "b"]]


@pytest.mark.parametrize(
    "documents, expected",
    [
        (["x", "y"], ["0", "1"]),
        (("x", "y"), ["0", "1"]),
        (np.array(["x", "y"]), ["0", "1"]),
        (np.array(["x", "y"], dtype=object), ["0", "1"]),
        ({"p": "x", "q": "y"}, ["p", "q"]),
        ({7: "x", 8: "y"}, ["7", "8"]),
        (pd.Series(["x", "y"], index=["p", "q"]), ["p", "q"]),
        (pd.Series(["x", "y"], index=[5, 4]), ["0", "1"]),
        (pd.Series(["x", "y"], index=[0.5, 4]), ["0", "1"]),
        (pl.Series(["x", "y"]), ["0", "1"]),
        (StringArray.from_strings(["x", "y"]), ["0", "1"]),
    ],
)
def test_a_corpus_of_texts(documents, expected):
    corpus = Corpus(documents)
    assert corpus.text().tolist() == ["x", "y"]
    assert corpus.ids.tolist() == list(corpus.ids) == expected
    assert [corpus.ids[i] for i in (-2, 1)] == expected
    assert corpus.rows(expected).tolist() == [0, 1]


@pytest.mark.parametrize("make", [np.array, sp.csr_matrix, sp.coo_array, np.ndarray.tolist])
def test_a_corpus_of_vectors(make):
    matrix = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    corpus = Corpus(make(matrix), ids=["a", "b", "c"])
    assert corpus.is_matrix and len(corpus) == 3
    vectors = corpus.matrix()
    np.testing.assert_array_equal(vectors.toarray() if sp.issparse(vectors) else vectors, matrix)
    with pytest.raises(ValueError, match="no column 'text' or 'title', only \\['vector'\\]"):
        corpus.text()


def test_vectors_beside_text_are_a_column():
    corpus = Corpus([{"text": "a", "embedding": [1.0, 2.0]}, {"text": "b", "embedding": [3.0, 4.0]}])
    assert corpus["embedding"].tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: Corpus(["x"] * 5, ids=list("abaab")), ValueError, "document ids must be unique.*'a', 'b'$"),
        (lambda: Corpus([{"_id": str(i % 4)} for i in range(9)]), ValueError, "'0', '1', '2' and 1 more"),
        (lambda: Corpus({1: "x", "1": "y"}), ValueError, "'1'"),
        (lambda: Corpus(["x", "y"], ids=["a"]), ValueError, "each of 2 documents, got 1 ids"),
        (lambda: Corpus({"a": "x"}, ids=["a"]), ValueError, "give them once"),
        (lambda: Corpus(["x"], ids=[1.5]), TypeError, "document id 0 is 1.5 of type float"),
        (lambda: Corpus(["x"], ids=[True]), TypeError, "True"),
        (lambda: Corpus([{"_id": "a"}, {"text": "x"}]), ValueError, "document 1 has no '_id'"),
        (lambda: Corpus([{}]), ValueError, "no columns"),
        (lambda: Corpus(pd.DataFrame()), ValueError, "no columns"),
        (lambda: Corpus(["x"])["y"], KeyError, "no column 'y'"),
        (lambda: Corpus(["x"]).rows(["1", "2", "3", "4"]), ValueError, "4 document ids.*'1', '2', '3' and 1 more"),
        (lambda: Corpus(["x"], ids=["a"]).rows(pd.Series(["b"], index=[7])), ValueError, "'b'"),
        (lambda: Corpus([{"n": 1}]).text("n"), TypeError, "no text"),
        (lambda: Corpus([{"n": 1}]).matrix("n"), TypeError, "no vectors"),
    ],
)
def test_bad_corpora_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_rows_of_ids():
    for corpus in (Corpus(["x"] * 12), Corpus(["x"] * 12, ids=map(str, range(12)))):
        assert corpus.rows(["3", 11, np.int64(0)]).tolist() == [3, 11, 0]
        unknown = ["-1", "03", "12", " 1", "", "x", "٣"]
        assert corpus.rows(unknown, unknown="ignore").tolist() == [-1] * 7
        assert corpus.docids(np.array([11, 0])).tolist() == ["11", "0"]
        assert corpus.docids(np.arange(12)).tolist() == list(map(str, range(12)))


def test_a_corpus_is_shared_not_copied():
    corpus = Corpus(["a", "b"])
    for other in (
        clone(corpus, safe=False),
        copy.copy(corpus),
        copy.deepcopy([corpus])[0],
        pickle.loads(pickle.dumps(corpus)),
    ):
        assert other is corpus
    assert Corpus.of(corpus) is corpus


def test_equal_content_is_one_corpus():
    frame = pd.DataFrame({"text": ["a", "b"]})
    for make in (lambda: ["a", "b"], lambda: {"x": "a"}, frame.copy, lambda: np.array([[1.0, 2.0]])):
        assert Corpus.of(make()) is Corpus.of(make())
    assert Corpus.of(["a", "b"]) is not Corpus.of(["b", "a"])
    assert Corpus(["a", "b"]) is not Corpus(["a", "b"])
    assert Corpus(["a", "b"]).fingerprint == Corpus(["a", "b"]).fingerprint != Corpus(["a", "bb"]).fingerprint


def run_python(code, *args):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code, *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_memory_maps_open_without_reading_and_search(tmp_path):
    from sklrank.retrievers import BM25Retriever

    corpus = Corpus({f"d{i}": f"heat word{i} ä" for i in range(300)})
    retriever = BM25Retriever(corpus, k=5).fit(["x"])
    queries = ["word7 heat", "unknown", "word299"]
    run = retriever.predict(queries)
    joblib.dump(corpus, tmp_path / "corpus.joblib")
    joblib.dump(retriever, tmp_path / "retriever.joblib")
    code = """if True:
        import sys, joblib, numpy as np
        corpus = joblib.load(sys.argv[1] + "/corpus.joblib", mmap_mode="r")
        assert isinstance(corpus["text"].buffer, np.memmap), type(corpus["text"].buffer)
        assert corpus.text()[7] == "heat word7 ä" and corpus.docids([7]).tolist() == ["d7"]
        retriever = joblib.load(sys.argv[1] + "/retriever.joblib", mmap_mode="r")
        assert retriever.corpus is corpus and retriever.corpus_ is corpus  # one token, one corpus
        [segment] = retriever.index_.segments
        assert isinstance(segment.docs, np.memmap) and not segment.docs.flags.writeable
        for _ in range(2):
            print(retriever.predict(["word7 heat", "unknown", "word299"]).to_dict())
        retriever.set_params(corpus=corpus).fit(["x"])
        print(retriever.predict(["word7 heat", "unknown", "word299"]).to_dict())
        print(retriever.highlight("heat", "d7"))
    """
    lines = run_python(code, tmp_path).splitlines()
    assert lines[:3] == [str(run.to_dict())] * 3
    assert lines[3] == "**heat** word7…"


# --- the cache


def test_a_value_is_made_once_whichever_threads_ask():
    corpus, made = Corpus(["a"]), []

    def make(i):
        def slow():
            time.sleep(0.02)
            made.append(i)
            return i

        return slow

    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda i: corpus.cached(("key", i % 2), make(i % 2)), range(32)))
    assert values == [0, 1] * 16
    assert sorted(made) == [0, 1]


def test_different_values_are_made_side_by_side():
    cache, barrier = Cache(), threading.Barrier(2, timeout=20)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda i: cache.get(i, lambda: barrier.wait() >= 0), range(2))) == [True, True]


def test_a_value_that_cannot_be_made_is_tried_again():
    cache = Cache()
    with pytest.raises(ZeroDivisionError):
        cache.get("key", lambda: 1 / 0)
    assert cache.get("key", lambda: 7) == 7


def test_the_cache_drops_what_was_used_longest_ago():
    cache = Cache(limit=1000)
    values = {key: np.zeros(50) for key in "abcd"}  # 400 bytes each
    for key in "ab":
        cache.get(key, lambda key=key: values[key])
    assert cache.get("a", None) is values["a"]
    cache.get("c", lambda: values["c"])
    assert len(cache) == 2
    assert cache.get("a", None) is values["a"] and cache.get("c", None) is values["c"]
    assert cache.get("b", lambda: "again") == "again"
    assert cache.get("huge", lambda: np.zeros(10**4)).shape == (10**4,)
    assert len(cache) == 1
    cache.clear()
    assert len(cache) == 0


def test_a_folder_keeps_the_index_between_processes(tmp_path):
    code = """if True:
        import sys
        from sklrank import Corpus
        from sklrank.encoders import TermVectorizer
        from sklrank.retrievers import BM25Retriever
        calls = []
        original = TermVectorizer._learn
        TermVectorizer._learn = lambda self, *args, **kwargs: calls.append(1) or original(self, *args, **kwargs)
        retriever = BM25Retriever(Corpus(["heat flows", "cold heat"], cache_folder=sys.argv[1])).fit(["x"])
        print(len(calls), retriever.predict(["cold", "heat"]).to_dict())
    """
    first, second = (run_python(code, tmp_path / "cache") for _ in range(2))
    assert first.startswith("1 ") and second.startswith("0 ")
    assert first[2:] == second[2:]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_write_to_the_folder_that_fails_leaves_nothing(tmp_path):
    corpus = Corpus(["a"], cache_folder=tmp_path)
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        corpus.cached("key", lambda: threading.Lock(), persist=True)
    assert list(tmp_path.iterdir()) == []


# --- queries


@pytest.mark.parametrize(
    "queries, expected",
    [
        (["heat", "kälte"], None),
        (("heat", "kälte"), None),
        (np.array(["heat", "kälte"]), None),
        (pd.Series(["heat", "kälte"]), None),
        (pd.Series(["heat", "kälte"], index=[9, 3]), None),
        (pl.Series(["heat", "kälte"]), None),
        (pd.Series(["heat", "kälte"], index=["a", "b"]), ["a", "b"]),
        ({"a": "heat", "b": "kälte"}, ["a", "b"]),
        ({1: "heat", 2: "kälte"}, ["1", "2"]),
        (pd.DataFrame({"qid": [1, 2], "text": ["heat", "kälte"]}), ["1", "2"]),
        (pl.DataFrame({"_id": ["a", "b"], "query": ["heat", "kälte"]}), ["a", "b"]),
        (pd.DataFrame({"query": ["heat", "kälte"]}), None),
        ([{"qid": "a", "text": "heat"}, {"qid": "b", "text": "kälte"}], ["a", "b"]),
    ],
)
def test_queries_of_all_shapes(queries, expected):
    made = Queries(queries)
    assert made.texts == list(made) == ["heat", "kälte"]
    assert made["text"].tolist() == ["heat", "kälte"]
    assert made.has_ids == (expected is not None)
    assert made.ids.tolist() == (expected or ["0", "1"])
    assert made.shape == (2,) and len(made) == 2
    assert Queries.of(made) is made
    again = pickle.loads(pickle.dumps(made))
    assert again.texts == made.texts and again.ids.tolist() == made.ids.tolist() and again.has_ids == made.has_ids
    assert "2 with" in repr(made)


KEYS = [
    slice(None), slice(1, 4), slice(None, None, -1), slice(4, 1, -2), slice(9, 3), 2, -1, np.int64(3), [0, 0, 3], [],
    np.array([4, -5]), np.array([True, False, True, False, True]), [False] * 5, (np.array([1, 2]), ...),
    (slice(1, 3), ...), pd.Series([True, False, True, False, False]), np.array([], dtype=int),
    np.array([1, 3], dtype=np.uint8),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_samples_are_indexed_as_arrays_are(key):
    texts, names = np.array(["q0", "q1", "q2", "q3", "q4"]), np.array(list("abcde"), dtype=object)
    plain = np.asarray(key[0] if isinstance(key, tuple) else key) if not isinstance(key, slice) else key
    plain = key[0] if isinstance(key, tuple) else plain
    if isinstance(plain, np.ndarray) and plain.size == 0:
        plain = plain.astype(int)
    positions = np.atleast_1d(np.arange(5)[plain])
    queries = Queries([{"qid": q, "text": t, "n": i} for i, (q, t) in enumerate(zip(names, texts))])
    part = queries[key]
    assert isinstance(part, Queries)
    assert part.texts == texts[positions].tolist()
    assert part.ids.tolist() == names[positions].tolist()
    assert part["n"].tolist() == positions.tolist()
    assert Queries(texts.tolist())[key].texts == texts[positions].tolist()
    rankings = {q: {f"d{j}": float(10 * i + j) for j in range(i)} for i, q in enumerate(names)}
    for numbered in (False, True):  # documents as ids, or as rows
        run, qrels = Run(rankings, name="tag"), Qrels(rankings)
        if numbered:
            assert len(run.rows) == len(qrels.rows) == 10
        for whole in (run, qrels):
            part = whole[key]
            assert type(part) is type(whole)
            assert len(part) == len(positions)
            assert [d.to_dict() for d in part] == [{names[i]: rankings[names[i]]} for i in positions] or isinstance(
                whole, Run
            )
        part = run[key]
        assert part.name == "tag"
        assert part.qids.tolist() == names[positions].tolist()
        assert part.docids == [sorted(rankings[names[i]], reverse=True) for i in positions]
        assert part.scores.tolist() == [s for i in positions for s in sorted(rankings[names[i]].values(), reverse=True)]


@pytest.mark.parametrize(
    "key, message",
    [
        (5, "query 5 of 5"),
        (-6, "query -6 of 5"),
        ([0, 7], "query 7 of 5"),
        ([-9], "query -9 of 5"),
        ([True, False], "mask of length 5, .*; got the length 2"),
        ([0.5], "float64"),
        (np.zeros((2, 2), dtype=int), r"shape \(2, 2\)"),
        ((0, 1), "one key"),
        ((0, ..., 1), "one key"),
    ],
)
def test_wrong_keys_are_index_errors(key, message):
    for samples in (Queries(list("abcde")), Run([{"d": 1}] * 5), Qrels([{"d": 1}] * 5)):
        with pytest.raises(IndexError, match=message):
            samples[key]


def test_scikit_learn_splits_them():
    queries = Queries({f"q{i}": f"text {i}" for i in range(20)})
    qrels = Qrels({f"q{i}": {f"d{i}": 1, "d0": 0} for i in range(20)})
    run = Run({f"q{i}": {f"d{i}": 0.5, "d0": i} for i in range(20)})
    a, b, c, d, e, f = train_test_split(queries, qrels, run, test_size=5, random_state=0)
    assert [type(x) for x in (a, b, c, d, e, f)] == [Queries, Queries, Qrels, Qrels, Run, Run]
    assert len(a) == 15 and len(b) == 5
    assert b.ids.tolist() == d.ids.tolist() == f.qids.tolist()
    assert set(a.ids) | set(b.ids) == set(queries.ids)
    shuffled = shuffle(queries, qrels, random_state=1)
    assert shuffled[0].ids.tolist() == shuffled[1].ids.tolist() != queries.ids.tolist()
    folds = [_safe_indexing(run, test) for _, test in KFold(4).split(queries)]
    joined = np.concatenate(folds)
    assert isinstance(joined, Run)
    assert joined.to_dict() == run.to_dict() and joined.qids.tolist() == run.qids.tolist()


# --- runs and judgments: ways in and out

SCORES = {"q2": {"d1": 0.5, "d10": 2.0, "d2": 0.5}, "q1": {"d3": -1.0}, "q3": {}}
RANKED = [["d10", "d2", "d1"], ["d3"], []]
LONG = [("q2", "d1", 0.5), ("q1", "d3", -1.0), ("q2", "d10", 2.0), ("q2", "d2", 0.5)]
GRADES = {"q2": {"d1": 1, "d10": 0, "d2": -2}, "q1": {"d3": 3}}


def test_runs_of_all_shapes():
    run = Run(SCORES)
    assert run.docids == RANKED
    assert run.scores.tolist() == [2.0, 0.5, 0.5, -1.0]
    assert run.scores.dtype == np.float32
    assert run.to_dict() == {"q2": {"d10": 2.0, "d2": 0.5, "d1": 0.5}, "q1": {"d3": -1.0}, "q3": {}}
    assert run.shape == (3, 4) and len(run) == 3
    assert Run(list(SCORES.values())).docids == RANKED
    assert Run({q: list(d) for q, d in zip(SCORES, RANKED)}).docids == RANKED
    assert Run(np.array([tuple(d) for d in RANKED], dtype=object)).docids == RANKED
    assert Run(pd.Series([SCORES["q2"], SCORES["q1"]])).docids == RANKED[:2]
    for columns in (
        ["qid", "docid", "score"],
        ["query_id", "doc_id", "similarity"],
        ["query-id", "corpus-id", "score"],
    ):
        rows = [dict(zip(columns, row)) for row in LONG]
        for frame in (pd.DataFrame(rows), pl.DataFrame(rows), pa.Table.from_pylist(rows)):
            assert Run(frame).docids == RANKED[:2]
            assert Run(frame).to_dict() == Run({q: SCORES[q] for q in ("q2", "q1")}).to_dict()
    frame = pd.DataFrame(LONG, columns=["a", "b", "c"])
    assert Run.from_frame(frame, query="a", doc="b", score="c").docids == RANKED[:2]
    with pytest.raises(ValueError, match=r"no column for the query.*\['a', 'b', 'c'\].*query="):
        Run(frame)
    with pytest.raises(ValueError, match="no column 'z'"):
        Run.from_frame(frame, query="z")


def test_distances_are_scores_upside_down():
    assert Run({"q": {"a": 1.0, "b": 0.5, "c": 2}}, higher_is_better=False).to_dict() == {
        "q": {"b": -0.5, "a": -1, "c": -2}
    }
    run = Run.from_arrays(
        np.array([[2, 0, -1]]), [[0.5, 0.1, np.nan]], corpus=Corpus(list("xyz")), higher_is_better=False
    )
    assert run.docids == [["0", "2"]]


def test_matrices_hold_candidates():
    dense = np.array([[0.0, 3.0, 3.0], [1.0, 0.0, 2.0]])
    assert Run(dense).docids == [["1", "2", "0"], ["2", "0", "1"]]
    for make in (sp.csr_matrix, sp.csc_array, sp.coo_array):
        assert Run(make(dense)).docids == [["1", "2"], ["2", "0"]]
    corpus = Corpus({"a": "x", "b": "y", "c": "z"})
    run = Run(dense, corpus=corpus, queries=["heat", "cold"], name="dense")
    assert run.docids == [["b", "c", "a"], ["c", "a", "b"]]
    assert run.queries.texts == ["heat", "cold"] and run.name == "dense" and run.corpus is corpus
    np.testing.assert_array_equal(np.asarray(run), dense)
    np.testing.assert_array_equal(np.asarray(run, dtype=np.float32), dense.astype(np.float32))
    qrels = Qrels(sp.csr_array(([1, 0, 2], [0, 1, 2], [0, 2, 3]), shape=(2, 3)), corpus=corpus)
    assert qrels.to_dict() == {"0": {"a": 1, "b": 0}, "1": {"c": 2}}
    assert len(Qrels(dense).grades) == 6
    for empty in (np.empty((3, 0)), np.empty((0, 3)), sp.csr_array((3, 0)), sp.csr_array((0, 3))):
        assert Run(empty).shape == Qrels(empty).shape == empty.shape
        assert Run(empty).docids == Qrels(empty).docids == [[]] * empty.shape[0]
    for kind in (Run, Qrels):
        with pytest.raises(ValueError, match=r"shape \(3, 3\), .*; got the shape \(2, 3\)"):
            kind(dense, queries=["a", "b", "c"])
        with pytest.raises(ValueError, match=r"shape \(2, 1\), .*; got the shape \(2, 3\)"):
            kind(dense, corpus=Corpus(["x"]))


def test_input_is_not_touched_and_not_shared():
    matrix = sp.csr_matrix((np.array([3.0, 2.0, 1.0]), np.array([1, 0, 0]), np.array([0, 3])), shape=(1, 2))
    before = [array.copy() for array in (matrix.data, matrix.indices, matrix.indptr)]
    runs = [Run(matrix), Qrels(matrix)]
    for array, copied in zip((matrix.data, matrix.indices, matrix.indptr), before):
        np.testing.assert_array_equal(array, copied)
        array.flags.writeable = False
    assert Run(matrix).to_dict() == Qrels(matrix).to_dict() == runs[0].to_dict() == {"0": {"0": 3, "1": 3}}
    dense, indices = np.array([[3.0, 2.0, 1.0]]), np.array([[0, 1, 2]])
    sparse = sp.csr_array(dense)
    made = [
        Run(dense),
        Run(sparse),
        Run.from_arrays(indices, dense, corpus=Corpus(list("abc"))),
        Qrels(dense),
        Qrels(sparse),
    ]
    dense[:], sparse.data[:], indices[:] = 0, 0, 0
    for values in made:
        assert np.asarray(values).tolist() == [[3.0, 2.0, 1.0]]


def test_a_matrix_out_does_not_alias_the_run():
    for values in (Run([{"a": 1, "b": 5, "c": 3}]), Qrels([{"a": 1, "b": 5, "c": 3}])):
        before = values.to_dict()
        matrix = values.to_csr()
        matrix.sort_indices()
        matrix.data[:] = 7
        assert values.to_dict() == before


def test_nobody_makes_a_dense_matrix_that_is_too_large(monkeypatch):
    monkeypatch.setattr("sklrank.data._pairs._DENSE_CELLS", 5)
    for values in (Run([{"a": 1, "b": 2, "c": 3}] * 2), Qrels([{"a": 1, "b": 2, "c": 3}] * 2)):
        with pytest.raises(ValueError, match="6 cells.*to_csr"):
            np.asarray(values)
        assert values.to_csr().shape == (2, 3)


def test_judgments_of_all_shapes():
    qrels = Qrels(GRADES)
    assert qrels.to_dict() == GRADES
    assert qrels.grades.tolist() == [1, 0, -2, 3]
    assert [type(g) for g in qrels.to_dict()["q2"].values()] == [int] * 3
    assert Qrels({"q": {"d": 0.5}}).to_dict() == {"q": {"d": 0.5}}
    assert Qrels(list(GRADES.values())).to_dict() == {"0": GRADES["q2"], "1": GRADES["q1"]}
    assert not Qrels(list(GRADES.values())).has_ids
    assert Qrels(list(GRADES.values()), queries=["q2", "q1"]).queries.texts == ["q2", "q1"]
    rows = [{"qid": q, "docid": d, "grade": g} for q, judged in GRADES.items() for d, g in judged.items()]
    for frame in (pd.DataFrame(rows), pl.DataFrame(rows), pl.DataFrame(rows).rename({"grade": "relevance"})):
        assert Qrels(frame).to_dict() == GRADES
    assert Qrels(Qrels(GRADES).to_frame()).to_dict() == GRADES
    assert "2 queries with ids, 4 judgments, 2 of them relevant" in repr(qrels)
    frame = pd.DataFrame(rows).assign(topic=["1", "2", "1", "1"])
    assert Qrels.from_frame(frame, subtopic="topic").to_frame()["subtopic"].tolist() == ["1", "2", "1", "1"]


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: Run({"q": {"a": np.nan, "b": 1, "c": np.nan}}), ValueError, r"2 scores.*\('q', 'a'\), \('q', 'c'\)"),
        (lambda: Run(np.array([[1.0, np.nan]])), ValueError, r"1 scores are NaN.*\('0', 1\)"),
        (lambda: Run({"q": {"a": None}}), ValueError, "NaN"),
        (lambda: Run({"q": {"a": "x"}}), TypeError, "scores are numbers, got 'x' of type str"),
        (lambda: Run({"q": {"a": [1.0]}}), TypeError, r"scores are numbers, got \[1.0\]"),
        (lambda: Run({"q": {"a": 10**400}}), TypeError, "scores are numbers"),
        (lambda: Run({"q": ["a", "b", "a"]}), ValueError, r"\('q', 'a'\)"),
        (lambda: Run({"q": {1: 0.5, "1": 0.7}}), ValueError, r"\('q', '1'\)"),
        (lambda: Run({1: {}, "1": {}}), ValueError, "query ids must be unique.*'1'"),
        (lambda: Run({"q": "abc"}), TypeError, "query 'q' has 'abc' of type str"),
        (lambda: Run({"q": [0.5]}), TypeError, "document id 0.5 of type float"),
        (lambda: Run(Run({})), TypeError, "a Run already"),
        (lambda: Run({"q": {"z": 1}}, corpus=Corpus(["x"])), ValueError, "'z'"),
        (lambda: Run({}, ties="first"), ValueError, "ties='first'.*'trec_eval', 'row'"),
        (lambda: Run({}, score_dtype="float16"), ValueError, "score_dtype='float16'"),
        (lambda: Run([{"d": 1}], queries=["a", "b"]), ValueError, "1 queries for 2 queries"),
        (lambda: Run({"p": {"d": 1}}, queries={"q": "x"}), ValueError, "no query id.*'p' against 'q'"),
        (lambda: Run({"p": {}, "q": {}, "r": {}}, queries={"q": "x"}), ValueError, "2 queries.*'p', 'r'"),
        (lambda: Run(pd.DataFrame({"qid": [1, 1], "docid": [2, 2], "score": [1, 2]})), ValueError, r"\('1', '2'\)"),
        (lambda: Run.from_arrays([[0, 1]], [[1.0]], corpus=["x"]), ValueError, r"got shapes \(1, 2\) and \(1, 1\)"),
        (lambda: Run.from_arrays([[0, 1]], [[1.0, 2]], corpus=["x"]), ValueError, "row 1 of a corpus of 1"),
        (lambda: Run.from_arrays([[0, 0]], [[1.0, 2]], corpus=["x"]), ValueError, r"\('0', 0\)"),
        (lambda: Run.from_arrays([[0.0]], [[1.0]], corpus=["x"]), TypeError, "integers; got float64"),
        (lambda: Run.from_arrays([[0]], [[np.nan]], corpus=["x"]), ValueError, "NaN"),
        (lambda: Run.from_arrays([[0]], [[1]], corpus=["x"], queries=["a", "b"]), ValueError, "1 queries for 2"),
        (lambda: Qrels({"q": {"a": np.nan}}), ValueError, r"finite.*\('q', 'a', nan\)"),
        (lambda: Qrels({"q": {"a": np.inf}}), ValueError, r"finite.*\('q', 'a', inf\)"),
        (lambda: Qrels(np.array([[np.nan]])), ValueError, "finite"),
        (lambda: Qrels({"q": {1: 1, "1": 0}}), ValueError, r"\('q', '1'\)"),
        (lambda: Qrels({"q": ["a"]}), TypeError, r"\['a'\]… without grades"),
        (lambda: Qrels({"q": {"a": "high"}}), TypeError, "grades are numbers, got 'high'"),
        (lambda: Qrels(Qrels({})), TypeError, "Qrels already"),
        (lambda: Qrels([{"d": 1}], queries=["a", "b"]), ValueError, "1 queries for 2 queries"),
        (lambda: Qrels({"q": {"z": 1}}, corpus=Corpus(["x"])), ValueError, "'z'"),
        (lambda: Run({"q": {"a": 1}}).column("bm25"), KeyError, "no score column 'bm25'"),
        (lambda: Run({"q": {"a": 1}}).to_frame(fields="text"), ValueError, "with_corpus"),
        (lambda: np.concatenate([Run({}), Qrels({})]), TypeError, "Run objects to concatenate, got Qrels"),
    ],
)  # fmt: skip
def test_bad_values_are_refused_with_the_first_offenders(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_candidates_without_an_order_say_so():
    corpus = Corpus(["x", "y"])
    run = Run.from_ragged(
        np.array([0, 2]),
        np.array([1, 0]),
        None,
        queries=Queries(["q"]),
        corpus=corpus,
        columns={"bm25": np.array([1.0, 2.0])},
    )
    assert run.columns == ("bm25",)
    assert run.column("bm25").tolist() == [1, 2]
    assert "bm25" in repr(run) and "q" in str(run) and "q" in run._repr_html_()
    for ask in (lambda: run.scores, run.to_dict, run.to_csr, lambda: np.asarray(run)):
        with pytest.raises(ValueError, match=r"\['bm25'\] and no order yet; a fuser or a reranker"):
            ask()
    assert run.to_frame()["bm25"].tolist() == [1, 2]
    assert run[[0, 0]].column("bm25").tolist() == [1, 2, 1, 2]
    assert np.concatenate([run, run]).column("bm25").tolist() == [1, 2, 1, 2]


# --- ties

tied = st.sampled_from([0.0, -0.0, 1.0, 1.0 + 1e-9, 1.0 + 1e-6, -2.5, float("inf"), float("-inf"), 1e39, 3.4e38, 1e-50])
trec_rankings = st.dictionaries(ids, st.dictionaries(ids, tied | finite, max_size=8), max_size=4)


@pytest.mark.parametrize("score_dtype", ["float32", "float64"])
@settings(max_examples=80)
@given(trec_rankings)
@example({"q": {"a": 1e300, "b": 1e200, "c": np.inf}, "r": {"a": 0.0, "b": -0.0}})
def test_ids_are_ordered_by_score_then_id_descending(score_dtype, rankings):
    run = Run(rankings, score_dtype=score_dtype)
    with np.errstate(over="ignore"):
        cast = {q: {d: np.dtype(score_dtype).type(s) for d, s in r.items()} for q, r in rankings.items()}
    expected = [sorted(sorted(r, key=str.encode, reverse=True), key=r.get, reverse=True) for r in cast.values()]
    assert run.docids == expected
    first_come = [sorted(r, key=r.get, reverse=True) for r in cast.values()]
    assert Run(rankings, score_dtype=score_dtype, ties="row").docids == first_come
    frame = pd.DataFrame(
        [(q, d, s) for q, r in rankings.items() for d, s in r.items()], columns=["qid", "docid", "score"]
    )
    assert Run.from_frame(frame, score_dtype=score_dtype).docids == [e for e in expected if e]


@settings(max_examples=100)
@given(st.dictionaries(ids, st.sampled_from([0.5, 1.0, 1.0 + 1e-9, -1.0, 0.0]), min_size=1, max_size=8), st.data())
def test_the_order_is_trec_evals(ranking, data):
    relevant = data.draw(st.sampled_from(sorted(ranking)))
    measured = pytrec_eval.RelevanceEvaluator({"q": {relevant: 1}}, {"recip_rank"}).evaluate({"q": ranking})
    position = Run({"q": ranking}).docids[0].index(relevant)
    assert measured["q"]["recip_rank"] == pytest.approx(1 / (position + 1))


@settings(max_examples=60)
@given(st.lists(st.lists(tied, min_size=3, max_size=3), max_size=5), st.sampled_from([np.float32, np.float64]))
def test_rows_are_ordered_by_score_then_row(scores, dtype):
    with np.errstate(over="ignore"):
        matrix = np.array(scores, dtype=float).reshape(-1, 3).astype(dtype)
    expected = [sorted(range(3), key=lambda d: (-row[d], d)) for row in matrix.tolist()]
    assert Run(matrix).rows.reshape(-1, 3).tolist() == expected
    indices = np.tile([2, 0, 1], (len(matrix), 1))
    run = Run.from_arrays(indices, np.take_along_axis(matrix, indices, 1), corpus=Corpus(list("abc")))
    assert run.rows.reshape(-1, 3).tolist() == expected


# --- files


@pytest.mark.parametrize("suffix", ["", ".gz"])
@settings(max_examples=60)
@given(rankings=trec_rankings)
def test_runs_come_back_from_files_bit_for_bit(suffix, rankings, tmp_path_factory):
    path = tmp_path_factory.mktemp("trec") / f"run.txt{suffix}"
    for score_dtype in ("float32", "float64"):
        for ties in ("row", "trec_eval"):
            run = Run(rankings, ties=ties, score_dtype=score_dtype, name="tag")
            run.to_trec(path)
            again = Run.from_trec(path, ties="row", score_dtype=score_dtype)
            kept = run[np.diff(run.indptr) > 0]  # a query without documents has no line
            assert again.docids == kept.docids
            assert again.qids.tolist() == kept.qids.tolist()
            assert again.scores.tobytes() == kept.scores.tobytes()
            assert again.name == ("tag" if len(again) else None)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == (suffix == ".gz")


@settings(max_examples=40)
@given(qrels=st.dictionaries(ids, st.dictionaries(ids, st.integers(-3, 5), min_size=1, max_size=5), max_size=4))
def test_judgments_come_back_from_files(qrels, tmp_path_factory):
    path = tmp_path_factory.mktemp("trec") / "qrels.gz"
    Qrels(qrels).to_trec(path)
    assert Qrels.from_trec(path).to_dict() == qrels
    assert gzip.open(path, "rt").read().count("\n") == sum(map(len, qrels.values()))


def test_the_order_of_rows_survives_a_file(tmp_path):
    run = Run(np.array([[1.0, 1.0, 2.0, 1.0]]), corpus=Corpus(list("wxyz"), ids=list("bdca")))
    assert run.docids == [["c", "b", "d", "a"]]
    run.to_trec(tmp_path / "run")
    assert Run.from_trec(tmp_path / "run", ties="row").docids == run.docids
    assert Run.from_trec(tmp_path / "run").docids == [["c", "d", "b", "a"]]
    lines = (tmp_path / "run").read_text().splitlines()
    assert lines == ["0 Q0 c 1 2 sklrank", "0 Q0 b 2 1 sklrank", "0 Q0 d 3 1 sklrank", "0 Q0 a 4 1 sklrank"]


def test_subtopics_come_back_from_files(tmp_path):
    (tmp_path / "qrels").write_text("q 1 d 1\nq 2 d 1\nq 2 e 0\n")
    qrels = Qrels.from_trec(tmp_path / "qrels", subtopics=True)
    assert qrels.subtopics.tolist() == ["1", "2", "2"]
    qrels.to_trec(tmp_path / "again")
    assert (tmp_path / "again").read_text() == (tmp_path / "qrels").read_text()
    with pytest.raises(ValueError, match=r"qrels:2: .*\('q', 'd'\)"):
        Qrels.from_trec(tmp_path / "qrels")


GOOD = "q1 Q0 d1 1 0.5 tag\n"


@pytest.mark.parametrize(
    "content, message",
    [
        (GOOD + "q1 Q0 d2 2\n", r"run:2: 4 fields instead of 6 \(qid Q0 docid rank score tag\): 'q1 Q0 d2 2'"),
        (GOOD + GOOD.replace("0.5", "high"), "run:2: the score 'high' is not a number"),
        (GOOD + "# comment\n\n" + GOOD.replace("0.5", "nan"), "run:4: the score 'nan' is not a number"),
        (GOOD + "# comment\n" + GOOD.replace("0.5", "0.7"), r"run:3: .*\('q1', 'd1'\)"),
        (GOOD.encode() + b"q1 Q0 d\xff 1 0.5 tag\n", "run:2: not UTF-8"),
    ],
)
def test_bad_files_are_named_with_line_and_reason(content, message, tmp_path):
    path = tmp_path / "run"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        Run.from_trec(path)
    with gzip.open(tmp_path / "run.gz", "wb") as packed:
        packed.write(path.read_bytes())
    with pytest.raises(ValueError, match=message.replace("run:", "run.gz:")):
        Run.from_trec(tmp_path / "run.gz")


def test_broken_gzip_files_are_named(tmp_path):
    whole = gzip.compress((GOOD * 1).encode() * 100, mtime=0)
    for broken in (whole[:-20], b"no gzip", whole[:20] + b"\xff\xff\xff" + whole[23:]):
        (tmp_path / "run.gz").write_bytes(broken)
        with pytest.raises(ValueError, match=r"run.gz:\d+: not gzip, or cut off"):
            Run.from_trec(tmp_path / "run.gz")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Run.from_trec(tmp_path / "nowhere")


UNUSUAL = [c for c in map(chr, range(0x3001)) if c.isspace() and c not in " \t\n\r\v\f"]


@pytest.mark.parametrize("character", UNUSUAL, ids=lambda character: f"U+{ord(character):04X}")
def test_only_blanks_and_tabs_separate_fields_and_only_newlines_lines(character, tmp_path):
    qid, docid = f"q{character}1", f"d{character}7"
    run = Run({qid: {docid: 0.5, "other": 0.25}}, name=f"t{character}")
    run.to_trec(tmp_path / "run")
    again = Run.from_trec(tmp_path / "run")
    assert (again.to_dict(), again.name) == (run.to_dict(), run.name)
    Qrels({qid: {docid: 2}}).to_trec(tmp_path / "qrels")
    assert Qrels.from_trec(tmp_path / "qrels").to_dict() == {qid: {docid: 2}}


def test_a_line_end_of_two_characters_is_no_part_of_a_field(tmp_path):
    (tmp_path / "run").write_bytes("q Q0 a\xa0b 1 2.5 tag\r\n\r\nq Q0 c 2 1.5 tag\r\n".encode())
    run = Run.from_trec(tmp_path / "run")
    assert (run.to_dict(), run.name) == ({"q": {"a\xa0b": 2.5, "c": 1.5}}, "tag")


@pytest.mark.parametrize("number", ["1_000", "１", "2\xa0", "0x10", "--1"])
def test_a_score_is_a_decimal_number(number, tmp_path):
    (tmp_path / "run").write_text(f"q Q0 a 1 7 t\nq Q0 b 2 {number} t\n", encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(f"run:2: the score {number!r} is not a number")):
        Run.from_trec(tmp_path / "run")


def test_a_mark_of_the_reader_in_a_file_moves_no_field(tmp_path):
    (tmp_path / "run").write_text("q Q0 a 1 7\n\0 q Q0 b 2 6 t\n")
    with pytest.raises(ValueError, match="run:1: 5 fields instead of 6"):
        Run.from_trec(tmp_path / "run")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_line_without_end_is_refused_before_it_is_read(suffix, tmp_path, monkeypatch):
    from sklrank.data import _files

    monkeypatch.setattr(_files, "_LONGEST_LINE", 1 << 20)
    monkeypatch.setattr(_files, "_BLOCK", 1 << 16)
    path = tmp_path / f"run{suffix}"
    content = b"q Q0 a 1 7 t\nq Q0 b 2 " + b"6" * (64 << 20)
    path.write_bytes(gzip.compress(content, 1) if suffix else content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"run{suffix}:2: the line is longer than 1 MB"):
        Run.from_trec(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_blocks_end_between_lines_and_number_them(tmp_path, monkeypatch):
    from sklrank.data import _files

    monkeypatch.setattr(_files, "_BLOCK", 64)
    rankings = {f"q{i}": {f"dé{j}": float(9 - j) for j in range(i % 5 + 1)} for i in range(40)}
    Run(rankings).to_trec(tmp_path / "run.gz")
    assert Run.from_trec(tmp_path / "run.gz").to_dict() == rankings
    lines = gzip.decompress((tmp_path / "run.gz").read_bytes()).splitlines()
    lines[77] += b"\xff"
    (tmp_path / "run").write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError, match="run:78: not UTF-8"):
        Run.from_trec(tmp_path / "run")


def test_files_are_read_as_others_write_them(tmp_path):
    (tmp_path / "run").write_bytes(
        b"# a comment\r\nq1\tQ0  d1\t9 \t1e-3 tag\r\n\r\nq2 Q0 d1 1 -2 tag\r\n q1 Q0 d2 0 INF tag"
    )
    run = Run.from_trec(tmp_path / "run")
    assert run.to_dict() == {"q1": {"d2": np.inf, "d1": pytest.approx(1e-3)}, "q2": {"d1": -2}}
    for empty in ("", "\n", "# nothing\n"):
        (tmp_path / "run").write_text(empty)
        assert len(Run.from_trec(tmp_path / "run")) == 0


def test_an_interrupted_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "run"
    path.write_text("before")
    with pytest.raises(ValueError, match=r"words without blanks; these document names are not: 'd 1'"):
        Run({"q": {"d 1": 1.0}}).to_trec(path)
    with pytest.raises(ValueError, match="query names are not: ''"):
        Run({"": {"d": 1.0}}).to_trec(path)
    with pytest.raises(ValueError, match="these queries start with one of them: '#1'"):
        Run({"#1": {"d": 1.0}}).to_trec(path)
    with pytest.raises(ValueError, match="run names are not: 'my run'"):
        Run({"q": {"d": 1.0}}, name="my run").to_trec(path)
    from sklrank.data._files import write_lines

    def lines():
        yield "half\n"
        raise KeyboardInterrupt

    for name in ("run", "run.gz"):
        with pytest.raises(KeyboardInterrupt):
            write_lines(tmp_path / name, lines())
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_pipe_stays_a_pipe(suffix, tmp_path):
    run, path, found = Run({"q": {"d": 1.0}}), tmp_path / f"run{suffix}", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()), daemon=True)
    reader.start()
    run.to_trec(path)
    reader.join(timeout=60)
    text = gzip.decompress(found[0]) if suffix else found[0]
    assert text == b"q Q0 d 1 1 sklrank\n"
    assert path.is_fifo() and [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_link_stays_a_link(tmp_path):
    run, target, link = Run({"q": {"d": 1.0}}), tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to(Path("folder", "target"))
    for _ in range(2):  # the target is made, then replaced
        run.to_trec(link)
        assert link.is_symlink() and not target.is_symlink()
        assert Run.from_trec(target).to_dict() == {"q": {"d": 1.0}}
        assert [p.name for p in target.parent.iterdir()] == ["target"]


def test_a_folder_is_no_file_to_write(tmp_path):
    with pytest.raises(IsADirectoryError, match="this is a folder"):
        Run({"q": {"d": 1.0}}).to_trec(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        Run({"q": {"d": 1.0}}).to_trec(tmp_path / "no" / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="needs modes of files")
def test_written_files_have_the_modes_that_open_gives(tmp_path):
    (tmp_path / "other").touch()
    Run({"q": {"d": 1.0}}).to_trec(tmp_path / "run")
    assert (tmp_path / "run").stat().st_mode == (tmp_path / "other").stat().st_mode
    (tmp_path / "run").chmod(0o600)
    Run({"q": {"d": 1.0}}).to_trec(tmp_path / "run")
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_byte_order_mark_is_no_part_of_a_query(suffix, tmp_path):
    for name, text in (("run", GOOD), ("qrels", "q1 0 d1 1\n")):
        data = b"\xef\xbb\xbf" + text.encode()
        (tmp_path / f"{name}{suffix}").write_bytes(gzip.compress(data) if suffix else data)
    assert Run.from_trec(tmp_path / f"run{suffix}").qids.tolist() == ["q1"]
    assert Qrels.from_trec(tmp_path / f"qrels{suffix}").to_dict() == {"q1": {"d1": 1}}


# --- alignment


def test_judgments_align_by_id_where_both_sides_have_ids():
    qrels = Qrels({"a": {"d": 1}, "b": {"e": 2}, "c": {}})
    aligned = qrels.align(Queries({"b": "x", "z": "y", "a": "v", "b2": "w"}))
    assert aligned.ids.tolist() == ["b", "z", "a", "b2"]
    assert aligned.docids == [["e"], [], ["d"], []]
    assert aligned.grades.tolist() == [2, 1]
    assert qrels.align(["x", "y", "z"]).docids == [["d"], ["e"], []]  # no ids there: by position
    assert Qrels([{"d": 1}, {"e": 1}]).align({"q": "x", "p": "y"}).to_dict() == {"q": {"d": 1}, "p": {"e": 1}}
    assert Qrels({}).align({"q": "x"}).docids == [[]]
    with pytest.raises(ValueError, match="3 queries for 2 queries.*position"):
        qrels.align(["x", "y"])
    with pytest.raises(ValueError, match="no query id of the judgments.*'a', 'b', 'c' against 'p', 'q'"):
        qrels.align({"p": "x", "q": "y"})
    bootstrap = Queries({"a": "x", "b": "y"})[[1, 1, 0]]
    assert qrels.align(bootstrap).docids == [["e"], ["e"], ["d"]]


def test_runs_take_queries_in_their_order():
    run = Run({"a": {"d": 1}, "b": {"e": 2, "f": 3}}, queries={"b": "y", "c": "z", "a": "x"})
    assert run.docids == [["f", "e"], [], ["d"]]
    assert run.queries.texts == ["y", "z", "x"]
    assert Run({}, queries={"b": "y"}).docids == [[]]
    assert Run([{"d": 1}], queries=["x"]).queries.texts == ["x"]
    frame = pd.DataFrame({"qid": ["a"], "docid": ["d"], "score": [1.0]})
    assert Run(frame, queries={"b": "y", "a": "x"}).docids == [[], ["d"]]


# --- joining, pickling, corpora of runs


def test_runs_join_whatever_their_documents():
    corpus = Corpus({"a": "x", "b": "y"})
    one, two = Run({"q1": {"a": 1}}, corpus=corpus), Run({"q2": {"b": 2, "a": 3}}, corpus=corpus)
    joined = np.concatenate([one, two])
    assert joined.corpus is corpus
    assert joined.to_dict() == {"q1": {"a": 1}, "q2": {"a": 3, "b": 2}}
    other = np.concatenate([one, Run([{"z": 1.5}]), two])
    assert other.docids == [["a"], ["z"], ["a", "b"]]
    assert other.shape == (3, 3) and not other.has_ids
    assert np.concatenate([Run({}), one]).to_dict() == one.to_dict()
    assert np.concatenate([Qrels(GRADES), Qrels({"q9": {"d": 1}})]).to_dict() == {**GRADES, "q9": {"d": 1}}
    texts = np.concatenate([Queries(["a", "ä"])[1:], Queries(["b"])])
    assert texts.texts == ["ä", "b"] and not texts.has_ids
    vectors = np.concatenate([Queries(np.eye(2)), Queries(np.eye(2))])
    assert vectors.matrix.shape == (4, 2)


def test_numpy_sees_the_scores():
    run = Run(np.array([[1.0, 3.0], [2.0, 0.5]]))
    assert np.shape(run) == (2, 2)
    assert np.max(run) == 3 and np.sum(run, axis=1).tolist() == [4, 2.5]
    np.testing.assert_allclose(run, [[1, 3], [2, 0.5]])


def test_runs_pickle_without_the_corpus_and_find_it_again():
    corpus = Corpus({f"d{i}": "long text " * 100 for i in range(200)})
    run = Run({"q": {"d7": 1.5, "d3": 2.5}, "r": {}}, corpus=corpus, name="tag")
    data = pickle.dumps(run)
    assert len(data) < 3000
    again = pickle.loads(data)
    assert again.corpus is corpus and again.to_dict() == run.to_dict() and again.rows.tolist() == run.rows.tolist()
    assert copy.deepcopy(run).corpus is corpus
    code = """if True:
        import sys, pickle
        from sklrank import Corpus
        run = pickle.loads(bytes.fromhex(sys.argv[1]))
        assert run.corpus is None and run.name == "tag"
        print(run.to_dict(), run[0].docids, run.shape)
        corpus = Corpus({f"d{i}": str(i) for i in range(200)})
        placed = run.with_corpus(corpus)
        assert placed.corpus is corpus and placed.rows.tolist() == [3, 7]
        print(placed.to_records(fields="text")[0]["text"], pickle.loads(pickle.dumps(run)).docids)
    """
    lines = run_python(code, data.hex()).splitlines()
    assert lines == ["{'q': {'d3': 2.5, 'd7': 1.5}, 'r': {}} [['d3', 'd7']] (2, 2)", "3 [['d3', 'd7'], []]"]
    with pytest.raises(ValueError, match="'d3', 'd7'"):
        run.with_corpus(Corpus(["x"]))
    assert run.with_corpus(corpus) is run


def test_a_corpus_comes_back_in_another_process_as_one():
    corpus = Corpus({"a": "kälte", "b": ""})
    code = """if True:
        import sys, pickle
        one, two = (pickle.loads(bytes.fromhex(sys.argv[1])) for _ in range(2))
        assert one is two
        print(one.ids.tolist(), one.text().tolist(), one.token, one.fingerprint)
    """
    expected = f"['a', 'b'] {corpus.text().tolist()} {corpus.token} {corpus.fingerprint}"
    assert run_python(code, pickle.dumps(corpus).hex()).strip() == expected


def test_many_threads_may_number_one_run():
    for _ in range(20):
        run = Run([{f"d{i}": i for i in range(50)}] * 20)
        with ThreadPoolExecutor(8) as pool:
            docids = list(pool.map(lambda i, run=run: (run.rows, run.docids)[1] if i % 2 else run.docids, range(16)))
        assert all(d == docids[0] for d in docids)


# --- what people see


def test_frames_and_records_join_columns_of_the_corpus():
    corpus = Corpus([{"_id": "a", "text": "heat", "year": 1}, {"_id": "b", "text": "cold", "year": 2}])
    run = Run({"q": {"a": 0.5, "b": 1.5}, "r": {}}, corpus=corpus)
    frame = run.to_frame(fields=["text", "year"])
    assert isinstance(frame, pd.DataFrame)
    expected = {"qid": ["q", "q"], "rank": [1, 2], "docid": ["b", "a"], "score": [1.5, 0.5], "text": ["cold", "heat"],
                "year": [2, 1]}  # fmt: skip
    assert frame.to_dict("list") == expected
    assert run.to_records(fields="text")[0] == {"qid": "q", "rank": 1, "docid": "b", "score": 1.5, "text": "cold"}
    assert Run(frame).docids == [["b", "a"]]
    assert len(run[1].to_frame()) == 0
    with pytest.raises(KeyError, match="'title'"):
        run.to_frame(fields="title")
    clash = Corpus([{"_id": "a", "score": 1}])
    with pytest.raises(ValueError, match="names the column 'score', which the run has"):
        Run({"q": {"a": 1}}, corpus=clash).to_frame(fields="score")


def test_runs_print_as_tables():
    corpus = Corpus({f"d{i}": f"<b>text & {i}\n\nmore</b>" + "x" * 200 for i in range(8)})
    run = Run(
        [{f"d{i}": float(i) for i in range(8)}] * 6 + [{}], corpus=corpus, queries=Queries(["a <i>"] * 7), name="bm<25>"
    )
    text = str(run)
    assert text.startswith("a <i>\n  1  d7  7  <b>text & 7 more</b>xxx")
    assert "… 3 more" in text and "… 2 more queries" in text
    assert max(map(len, text.splitlines())) < 100
    html = run._repr_html_()
    assert "<b>" not in html and "<i>" not in html and "bm<25>" not in html
    assert "&lt;b&gt;text &amp; 7 more&lt;/b&gt;" in html and "a &lt;i&gt;" in html
    assert repr(run) == "<Run 'bm<25>': 7 queries, 48 documents found>"
    assert str(run[6]) == "a <i>\n  nothing found"
    assert "nothing found" in run[6]._repr_html_()
    assert str(Run({})) == "no queries"
    assert str(Run({"q": {"d": 1}})) == "q\n  1  d  1"
    assert repr(Corpus(["a"])) == "<Corpus: 1 documents, columns text>"
    for value in (corpus.ids, corpus["text"], Queries(["a"])):
        assert len(repr(value)) < 100


def test_building_a_corpus_takes_little_above_its_text():
    import tracemalloc

    documents = ["word " * 60 for _ in range(60_000)]
    Corpus(documents[:10]).text()
    tracemalloc.start()
    corpus = Corpus(documents)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(corpus) == 60_000
    assert peak < 2.2 * corpus["text"].nbytes


# --- tables back to what users hold them in


def test_tables_go_back_to_dicts_and_frames():
    records = {"a": {"title": "Heat", "text": "flows"}, "b": {"title": "Cold", "text": ""}}
    corpus = Corpus(records)
    assert corpus.to_dict() == records
    assert Corpus({"a": "heat"}).to_dict() == {"a": "heat"}
    for backend, kind in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        frame = corpus.to_frame(backend=backend)
        assert isinstance(frame, kind) and Corpus(frame).to_dict() == records
    queries = Queries({"q1": "heat", "q2": "é"})
    assert queries.to_dict() == {"q1": "heat", "q2": "é"}
    assert Queries(queries.to_frame(backend="polars")).to_dict() == queries.to_dict()
    run = Run({"q1": {"d": 1.5}})
    assert isinstance(run.to_frame(backend="polars"), pl.DataFrame)
    assert Qrels(Qrels({"q": {"d": 2}}).to_frame(backend="polars")).to_dict() == {"q": {"d": 2}}
    with pytest.raises(ValueError, match="backend='dask'"):
        run.to_frame(backend="dask")
    assert Corpus([[1.0, 2.0]]).to_dict() == {"0": {"vector": [1.0, 2.0]}}


def test_tables_show_their_head_in_a_notebook():
    shown = Corpus([f"<b>{i}</b>" for i in range(9)])._repr_html_()
    assert "&lt;b&gt;4" in shown and "&lt;b&gt;5" not in shown and "4 more" in shown
    assert "q1" in Queries({"q1": "heat"})._repr_html_()


def test_queries_that_repeat_are_not_lost_in_a_dict():
    run = Run({"q1": {"d": 1.0}})
    with pytest.raises(ValueError, match="'q1'"):
        np.concatenate([run, run]).to_dict()


def test_a_corpus_is_no_sequence_of_documents():
    corpus = Corpus({"4": "heat"})
    with pytest.raises(TypeError, match="the name of a column"):
        corpus[0]
    with pytest.raises(TypeError):
        iter(corpus)
    with pytest.raises(TypeError, match="one document id"):
        corpus.rows("4")


def test_candidates_without_an_order_have_no_ranks():
    union = Run.union({"one": Run({"q": {"a": 2.0}}), "two": Run({"q": {"b": 1.0}})})
    assert list(union.to_records()[0]) == ["qid", "docid", "one", "one_rank", "two", "two_rank"]
    assert list(union.to_frame().columns) == list(union.to_records()[0])
    assert str(union) == "q\n  a\n  b"
    assert "<th>rank</th>" not in union._repr_html_()
    assert "<th>rank</th>" in Run({"q": {"a": 2.0}})._repr_html_()


def test_qrels_give_the_judgments_of_each_query():
    qrels = Qrels({"q1": {"d1": 2, "d7": 0}, "q2": {}})
    assert qrels.judgments == [{"d1": 2, "d7": 0}, {}]


def test_runs_and_judgments_align_with_queries():
    run, qrels = Run({"q1": ["a"], "q2": ["b", "a"]}), Qrels({"q1": {"a": 1}, "q2": {"b": 2}})
    wanted = Queries({"q2": "", "q3": ""})
    assert run.align(wanted).docids == [["b", "a"], []] and run.align(wanted).qids.tolist() == ["q2", "q3"]
    assert qrels.align(wanted).judgments == [{"b": 2}, {}]
    with pytest.raises(ValueError, match="run of 2 queries for 3 queries"):
        run.align(["x", "y", "z"])
    with pytest.raises(ValueError, match="no query id of the judgments"):
        qrels.align({"other": ""})


@settings(max_examples=30, deadline=None)
@given(st.lists(unicode_text, unique=True, min_size=1), st.lists(unicode_text))
def test_many_ids_are_found_as_in_a_dict(ids, asked):
    with mock.patch.object(_ids, "_MANY", 0):
        given_ids = _ids.Ids.of(ids, len(ids), "document")
        table = dict(zip(ids, range(len(ids))))
        asked = [*asked, *ids, "\ud800"]
        assert given_ids.rows(asked).tolist() == [table.get(docid, -1) for docid in asked]
        assert given_ids._table is None and given_ids.rows([]).tolist() == []


def test_a_look_up_among_many_ids_makes_no_dict():
    corpus = Corpus(StringArray.from_strings([""] * 100_000), ids=[f"document {i}" for i in range(100_000)])
    assert corpus.rows(["document 99999", "document 0"]).tolist() == [99_999, 0]
    assert corpus.ids._table is None and corpus.ids._slots.nbytes == 4 * 2**18
