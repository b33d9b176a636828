"""The shapes in which users hold documents, queries, runs and judgments: one rule for all that is a list."""

from array import array
from collections import OrderedDict, UserDict
from types import MappingProxyType

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.data import StringArray, TokenVectors
from sklrank.retrievers import BM25Retriever, TfidfRetriever

LISTS = {
    "list": list,
    "tuple": tuple,
    "array of objects": lambda values: np.array(values, dtype=object),
    "array of str": np.array,
    "Series": pd.Series,
    "shuffled Series": lambda values: pd.Series(values, index=list(range(len(values)))[::-1]),
    "Series of string": lambda values: pd.Series(values, dtype="string"),
    "Index": pd.Index,
    "polars Series": pl.Series,
    "pyarrow array": pa.array,
    "pyarrow chunks": lambda values: pa.chunked_array([values]),
    "generator": lambda values: (value for value in values),
    "iterator": iter,
    "keys": lambda values: dict.fromkeys(values).keys(),
}
MAPPINGS = [dict, OrderedDict, UserDict, MappingProxyType]


@pytest.mark.parametrize("name", LISTS)
class TestWhateverIsAList:
    def test_rankings(self, name):
        make = LISTS[name]
        for other in LISTS.values():
            run = Run({"q": make(["x", "y"]), "p": other(["a", "b", "c"])})
            assert run.docids == [["x", "y"], ["a", "b", "c"]]
        assert Run([make(["a"]), make(["b", "c"])]).docids == [["a"], ["b", "c"]]
        assert Run({"q": make(["a"])}).docids == [["a"]]

    def test_texts_and_ids(self, name):
        make = LISTS[name]
        assert Corpus(make(["heat", "cold"]), ids=make(["b", "a"])).to_dict() == {"b": "heat", "a": "cold"}
        queries = Queries(make(["heat", "cold"]), ids=make(["b", "a"]))
        assert queries.to_dict() == {"b": "heat", "a": "cold"} and queries.has_ids
        assert not Queries(make(["heat", "cold"])).has_ids

    def test_columns(self, name):
        corpus = Corpus(["x", "y"]).with_columns(title=LISTS[name](["heat", "cold"]))
        assert corpus["title"].tolist() == ["heat", "cold"]

    def test_lookups(self, name):
        corpus = Corpus({"a": "x", "b": "y"})
        assert corpus.rows(LISTS[name](["b", "a"])).tolist() == [1, 0]


@pytest.mark.parametrize(
    "name", [name for name in LISTS if name not in ("array of str", "Series of string", "keys", "Index")]
)
def test_lists_of_queries(name):
    make = LISTS[name]
    if name in ("polars Series", "pyarrow array", "pyarrow chunks"):  # lists alone, and dicts as structs
        assert Run(make([["b"], ["a", "c"]])).docids == [["b"], ["a", "c"]]
        return
    assert Run(make([{"a": 1.0, "b": 2.0}, {}])).docids == [["b", "a"], []]
    assert Qrels(make([{"a": 1, "b": 2}, {}])).judgments == [{"a": 1, "b": 2}, {}]
    assert Corpus(make([{"_id": "a", "title": "x"}, {"_id": "b", "title": "y"}])).to_dict()["b"] == {"title": "y"}
    assert Queries(make([{"qid": "a", "text": "x"}])).to_dict() == {"a": "x"}


def test_the_index_of_a_series_names_queries_and_documents_if_it_holds_str():
    series = pd.Series([["a"], ["b", "c"]], index=["q", "p"])
    assert Run(series).to_dict().keys() == {"q", "p"}
    assert Qrels(pd.Series([{"a": 1}], index=["q"])).to_dict() == {"q": {"a": 1}}
    assert Queries(pd.Series(["x", "y"], index=["q", "p"])).to_dict() == {"q": "x", "p": "y"}
    assert Corpus(pd.Series([{"title": "x"}], index=["a"])).to_dict() == {"a": {"title": "x"}}


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_whatever_is_a_mapping(mapping):
    assert Run(mapping({"q": mapping({"a": 1.0, "b": 2.0})})).to_dict() == {"q": {"b": 2.0, "a": 1.0}}
    assert Qrels(mapping({"q": mapping({"a": 1})})).to_dict() == {"q": {"a": 1}}
    assert Corpus(mapping({"a": mapping({"title": "x"})})).to_dict() == {"a": {"title": "x"}}
    assert Queries(mapping({"a": "x"})).to_dict() == {"a": "x"}


def test_a_two_dimensional_array_of_ids_holds_rankings():
    for dtype in (str, object):
        assert Run(np.array([["a", "b"], ["c", "d"]], dtype=dtype)).docids == [["a", "b"], ["c", "d"]]
    assert Run(np.array([[1, 2]], dtype=object)).docids == [["1", "0"]]  # numbers are scores


def test_whole_numbers_are_ids_whatever_holds_them():
    for values in (
        np.array([7, 3]),
        pd.Series([7, 3]),
        pl.Series([7, 3]),
        array("l", [7, 3]),
        range(7, 2, -4),
        [np.int8(7), 3],
    ):
        assert Run({"q": values}).docids == [["7", "3"]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Run({"q": {"a", "b"}}),
        lambda: Run({"q": "ab"}),
        lambda: Run({"q": b"ab"}),
        lambda: Run({"q": 3}),
        lambda: Run({"q": np.array([["a"]])}),
        lambda: Run(3),
        lambda: Run("ab"),
        lambda: Qrels({"q": frozenset({"a"})}),
        lambda: Corpus(["x"], ids="a"),
        lambda: Corpus(["x"], ids={"a"}),
        lambda: Corpus(["x"], ids={"a": 1}),
        lambda: Corpus({"x", "y"}),
        lambda: Corpus(3),
        lambda: Queries({"x", "y"}),
        lambda: Queries(b"xy"),
        lambda: Corpus(["x", "y"]).with_columns(title="xy"),
        lambda: Corpus(["x", "y"]).with_columns(title=np.array([1.0, 2.0])),
        lambda: Corpus(["x", "y"]).with_columns(text=[1, 2]),
    ],
)
def test_what_has_no_order_and_what_is_one_thing_is_no_list(make):
    with pytest.raises(TypeError, match="expected|text .str. is needed"):
        make()


def test_a_number_among_texts_is_an_error_and_no_empty_text():
    for bad in (np.int64(3), 3, 3.5, np.float32(3), True, b"x", ["x"]):
        for make in (
            lambda bad=bad: Corpus({"a": bad, "b": "x"}),
            lambda bad=bad: Queries([{"text": bad}, {"text": "x"}]),
        ):
            with pytest.raises(TypeError, match="expected text .str."):
                make()


@pytest.mark.parametrize(
    "missing", [None, np.nan, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")]
)
def test_marks_of_missing_values(missing):
    corpus = Corpus(
        [{"text": missing, "title": "x", "author": missing, "n": missing}, {"text": "y", "author": "z", "n": 3}]
    )
    assert corpus["text"].tolist() == ["", "y"] and corpus["title"].tolist() == ["x", ""]
    assert corpus["author"].tolist() == ["", "z"]
    np.testing.assert_array_equal(corpus["n"], [np.nan, 3])
    assert Corpus({"a": missing, "b": "x"}).to_dict() == {"a": "", "b": "x"}


def test_numbers_of_numpy_make_a_column_of_numbers():
    corpus = Corpus(
        [{"text": "", "n": np.int64(3), "b": np.bool_(True)}, {"text": "", "n": np.float32(0.5), "b": False}]
    )
    assert corpus["n"].dtype == np.float64 and corpus["n"].tolist() == [3, 0.5] and corpus["b"].dtype == bool


def test_lists_of_one_length_are_a_column():
    corpus = Corpus([{"text": "x", "tags": ["a", "b"]}, {"text": "y", "tags": ["c", "d"]}])
    assert corpus["tags"].tolist() == [["a", "b"], ["c", "d"]] and corpus.to_dict()["1"]["tags"] == ["c", "d"]


# --- names of columns


@pytest.mark.parametrize(
    "make",
    [
        lambda: Qrels(pd.DataFrame([["q", "d", 1]])),
        lambda: Run(pd.DataFrame([["q", "d", 1]])),
        lambda: Corpus(pd.DataFrame([["d", "text"]])),
        lambda: Queries(pd.DataFrame([["q", "text"]])),
        lambda: Corpus(pd.DataFrame([["d", "text"]], columns=[("a", "b"), ("c", "d")])),
        lambda: Corpus([{1: "x"}]),
        lambda: Corpus([{None: "x"}]),
        lambda: Queries({"q": {("a",): "x"}}),
        lambda: Run({"q": ["a"]}).with_column(1, [1.0]),
        lambda: Run.union({1: Run({"q": ["a"]})}),
    ],
)
def test_names_of_columns_are_str(make):
    with pytest.raises(TypeError, match="columns are str, got"):
        make()


def test_names_of_columns_are_distinct():
    with pytest.raises(ValueError, match="two columns have the name 'docid'"):
        Corpus(pd.DataFrame([["d", "text"]], columns=["docid", "docid"]))


# --- numbers


@pytest.mark.parametrize(
    "value", [1j, np.complex64(1), np.datetime64("NaT"), np.timedelta64(1), pd.NaT, "x", [1.0], 10**400]
)
def test_what_is_no_real_number_is_no_score_and_no_grade(value):
    for make in (
        lambda: Run({"q": {"a": value}}),
        lambda: Qrels({"q": {"a": value}}),
        lambda: Run(pd.DataFrame({"qid": ["q"], "docid": ["d"], "score": [value]})),
        lambda: Qrels(pd.DataFrame({"qid": ["q"], "docid": ["d"], "grade": [value]})),
    ):
        with pytest.raises((TypeError, ValueError), match="number|NaN|finite|shape"):
            make()
    if value is not pd.NaT:  # which is NaN: without a score
        for method in (Run({"q": ["a"]}).reorder, Run({"q": ["a"]}).with_scores):
            with pytest.raises((TypeError, ValueError), match="number|shape"):
                method([value])


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, "datetime64[s]", "timedelta64[s]"])
def test_matrices_hold_real_numbers(dtype):
    matrix = np.ones((1, 2)).astype(dtype)
    for make in (Run, Qrels, lambda m: Run.from_arrays([[0, 1]], m, corpus=["a", "b"])):
        with pytest.raises(TypeError, match="real numbers, got an array of"):
            make(matrix)
    if np.dtype(dtype).kind == "c":
        for kind in (Run, Qrels):
            with pytest.raises(TypeError, match="real numbers|[Cc]omplex"):
                kind(sparse.csr_array(matrix))


@pytest.mark.parametrize("grade", [2**70, -(2**70), 1e300, 2.0**53 + 2])
def test_grades_are_numbers_that_float64_tells_apart(grade):
    for make in (lambda: Qrels({"q": {"a": grade}}), lambda: Qrels(np.array([[grade]], dtype=float))):
        with pytest.raises(ValueError, match=r"grades are finite numbers, from -2\*\*53 to 2\*\*53.*\('(q|0)', "):
            make()
    assert Qrels({"q": {"a": 2**53, "b": -(2**53)}}).to_dict() == {"q": {"a": 2**53, "b": -(2**53)}}


# --- one after the other, never side by side


@pytest.mark.parametrize(
    "value",
    [Run({"q": ["a", "b"]}), Qrels({"q": {"a": 1}}), Queries(["heat"]), TokenVectors(np.eye(2), [0, 2])],
    ids=lambda value: type(value).__name__,
)
def test_nothing_is_joined_side_by_side(value):
    for join in (
        lambda parts: np.concatenate(parts, axis=1),
        lambda parts: np.concatenate(parts, 1),
        lambda parts: np.concatenate(parts, axis=-1),
        lambda parts: np.concatenate(parts, axis=None),
        np.hstack,
        np.column_stack,
        np.dstack,
    ):
        with pytest.raises(ValueError, match="one after the other.*RetrieverUnion"):
            join([value, value])
    with pytest.raises(TypeError, match="takes no dtype"):
        np.concatenate([value, value], dtype=float)
    assert len(np.concatenate([value, value])) == len(np.concatenate((value, value), axis=0)) == 2 * len(value)


def test_a_feature_union_of_retrievers_names_the_retriever_union():
    corpus = Corpus(["heat flow", "cold wing"])
    union = FeatureUnion([("bm25", BM25Retriever(corpus)), ("tfidf", TfidfRetriever(corpus))])
    with pytest.raises(ValueError, match="RetrieverUnion"):
        union.fit_transform(["heat", "wing"])


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csr_matrix])
def test_no_run_stands_beside_a_sparse_matrix(make):
    corpus = Corpus(["heat flow", "cold wing"])
    beside = make(np.eye(2))
    for value in (BM25Retriever(corpus).fit([]).predict(["heat", "wing"]), Qrels([{"a": 1}, {"b": 1}])):
        for parts in ([value, beside], [beside, value]):
            with pytest.raises(ValueError, match="one after the other.*RetrieverUnion"):
                sparse.hstack(parts)
    union = FeatureUnion([("bm25", BM25Retriever(corpus)), ("words", TfidfVectorizer())])
    with pytest.raises(ValueError, match="RetrieverUnion"):
        union.fit_transform(["heat", "wing"])


# --- what kernels trust


@pytest.mark.parametrize(
    ("buffer", "offsets", "error"),
    [
        (b"abc", np.array([0, 4]), ValueError),
        (b"abc", np.array([-1, 3]), ValueError),
        (b"abc", np.array([0, 2, 1, 3]), ValueError),
        (b"abc", np.array([0, 0, 3])[::2], ValueError),
        (b"abc", np.empty(0, dtype=np.int64), ValueError),
        (b"abc", np.array([[0, 3]]), TypeError),
        (b"abc", np.array([0.0, 3.0]), TypeError),
        (b"abc", [0, 3], TypeError),
        ("ä".encode(), np.array([0, 1, 2]), ValueError),
        (b"\xff", np.array([0, 1]), ValueError),
        ("ä".encode()[:1], np.array([0, 1]), ValueError),
        ("é".encode() * 600_000 + b"\xe9", np.array([0, 1_200_001]), ValueError),
    ],
)
def test_offsets_stay_within_the_buffer_and_between_characters(buffer, offsets, error):
    with pytest.raises(error):
        StringArray(np.frombuffer(buffer, dtype=np.uint8), offsets)


def test_arrays_that_are_given_stay_as_they_are():
    buffer, offsets = np.frombuffer(bytearray("aäb".encode()), dtype=np.uint8), np.array([0, 1, 3, 3, 4])
    column = StringArray(buffer, offsets)
    assert column.tolist() == ["a", "ä", "", "b"]
    assert buffer.flags.writeable and offsets.flags.writeable
    with pytest.raises(TypeError, match="one-dimensional array of uint8"):
        StringArray(np.array([97]), np.array([0, 1]))


def test_a_column_called_vector_is_one_of_vectors_only_if_it_holds_some():
    assert not Corpus([{"vector": "heat", "text": "x"}]).is_matrix and not Queries([{"vector": "heat"}]).is_matrix
    assert Corpus([{"vector": [1.0, 2.0]}]).is_matrix and Corpus(np.eye(2)).is_matrix
    assert Corpus(TokenVectors(np.eye(2), [0, 2])).is_matrix
