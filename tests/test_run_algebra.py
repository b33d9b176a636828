"""What makes a run of a run: take, reorder, with_column, with_scores, head."""

import pickle
from copy import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklrank import Corpus, Queries, Run
from sklrank._ragged import intervals, lengths_to_indptr
from sklrank.data._order import rank
from sklrank.fusers import ReciprocalRankFuser, fuse

SCORES = st.sampled_from([-np.inf, -1e308, -1.0, -0.0, 0.0, 5e-324, 1.0, 1e308, np.inf, np.nan])


def ragged_run(scores, rows=None):
    """A run of candidates without an order, one list of scores for each query."""
    indptr = lengths_to_indptr(list(map(len, scores)))
    rows = np.concatenate([np.arange(len(s)) for s in scores] + [[]]).astype(np.int64) if rows is None else rows
    corpus = Corpus([str(i) for i in range(max(map(len, scores), default=0) + 1)])
    columns = {"old": np.arange(indptr[-1], dtype=float)}
    return Run.from_ragged(indptr, rows, None, queries=Queries.unnamed(len(scores)), corpus=corpus, columns=columns)


@given(
    st.lists(st.lists(SCORES, max_size=6), max_size=4),
    st.one_of(st.none(), st.integers(1, 3)),
    st.sampled_from([np.float32, np.float64]),
    st.randoms(),
)
def test_reorder_ranks_by_score_then_row_and_leaves_out_nan(scores, k, dtype, random):
    rows = [random.sample(range(len(s)), len(s)) for s in scores]
    flat = np.array(sum(scores, []), dtype=np.float64)
    with np.errstate(over="ignore"):
        flat = flat.astype(dtype)
    run = ragged_run(scores, np.array(sum(rows, []), dtype=np.int64))
    new = run.reorder(flat, k=k)
    for q, (start, stop) in enumerate(intervals(run.indptr)):
        entries = [(-flat[e], run.rows[e], e) for e in range(start, stop) if flat[e] == flat[e]]
        expected = [e for _, _, e in sorted(entries)][:k]
        got = slice(new.indptr[q], new.indptr[q + 1])
        assert new.rows[got].tolist() == run.rows[expected].tolist()
        assert new.column("old")[got].tolist() == expected
        np.testing.assert_array_equal(new.scores[got], flat[expected])
    assert new.scores.dtype == dtype and new.k == k


def test_take_brings_all_that_belongs_to_an_entry():
    run = Run({"q": {"a": 3.0, "b": 2.0}, "p": {"c": 1.0}}, name="first").with_column("x", [1, 2, 3], ranks=[3, 2, 1])
    new = run.take(np.array([1, 2]), np.array([0, 1, 2]))
    assert (new.docids, new.name, new.k) == ([["b"], ["c"]], "first", None)
    assert new.scores.tolist() == [2, 1]
    assert new.column("x").tolist() == [2, 3] and new.column_ranks("x").tolist() == [2, 1]


def test_head_takes_a_number_or_one_for_each_query():
    run = Run([["a", "b", "c"], ["d"], []])
    assert run.head(2).docids == [["a", "b"], ["d"], []]
    assert run.head(np.array([1, 0, 5])).docids == [["a"], [], []]
    assert run.head(3) is run


def test_the_old_score_becomes_a_column_named_for_the_run():
    run = Run({"q": {"a": 3.0, "b": 2.0}}, name="bm25").with_old_score()
    assert run.column("bm25").tolist() == [3, 2] and run.column_ranks("bm25").tolist() == [1, 2]
    assert run.with_old_score() is run
    candidates = Run.union({"bm25": run})
    assert candidates.with_old_score() is candidates


def test_a_run_says_who_ordered_it():
    fuser = ReciprocalRankFuser()
    run = fuse({"a": Run({"q": ["x", "y"]}), "b": Run({"q": ["y"]})}, fuser)
    assert isinstance(run.source, ReciprocalRankFuser)
    assert run.head(1).source is run.source and run[:1].source is run.source
    assert run.with_column("c", [1, 2]).source is None and run.reorder([1, 2]).source is None
    assert run.reorder([1, 2], source=fuser).source is fuser


def test_the_cutoff_of_a_run_never_grows():
    run = Run({"q": ["a", "b", "c"]}).reorder([1, 2, 3], k=2)
    assert run.k == 2 and run.reorder([1, 2], k=5).k == 2 and run.reorder([1, 2], k=1).k == 1
    assert run.with_scores(run.scores).k == 2


@pytest.mark.parametrize("method", ["reorder", "with_scores"])
def test_one_score_per_entry(method):
    run = Run({"q": ["a", "b"]})
    with pytest.raises(ValueError, match=r"scores of shape \(2,\), one per entry; got the shape"):
        getattr(run, method)([1.0])
    with pytest.raises(ValueError, match=r"ranks of shape \(2,\), one per entry; got the shape"):
        run.with_column("x", [1, 2], ranks=[[1, 2]])


def test_nothing_changes_the_run_that_it_is_made_from():
    run = Run({"q": {"a": 3.0, "b": 2.0}}, name="first")
    before = pickle.dumps(run)
    run.with_column("x", [1, 2]).with_scores([5, 4], name="second", k=1).reorder([1, 2]).head(1)
    assert pickle.dumps(run) == before
    assert copy(run).with_column("x", [1, 2]).columns == ("x",) and run.columns == ()


def test_to_ask_for_the_ranks_of_a_column_does_not_change_what_is_exported():
    run = Run({"q": ["a", "b"]}).with_column("x", [1, 2])
    before = run.to_records()
    assert run.column_ranks("x").tolist() == [2, 1]
    assert run.to_records() == before


@given(
    st.lists(st.lists(st.tuples(SCORES, st.integers(0, 99)), max_size=50, unique_by=lambda pair: pair[1]), max_size=4)
)
def test_one_function_ranks_by_score_then_row(queries):
    indptr = lengths_to_indptr(list(map(len, queries)))
    flat = [entry for entries in queries for entry in entries]
    scores, rows = np.array([s for s, _ in flat], dtype=np.float64), np.array([r for _, r in flat], dtype=np.int64)
    for ties in (rows, None):
        entries, new, ranked = rank(indptr, scores, ties)
        for (start, stop), (first, last) in zip(intervals(indptr), intervals(new)):
            there = [e for e in range(start, stop) if scores[e] == scores[e]]
            expected = sorted(there, key=lambda e: (-scores[e], e if ties is None else ties[e]))
            assert entries[first:last].tolist() == expected
            assert ranked[first:last].tobytes() == scores[expected].tobytes()


@pytest.mark.parametrize(
    ("indptr", "rows", "scores", "message"),
    [
        ([0, 5], [0, 1], [2.0, 1.0], "indptr"),
        ([0, 1], [0, 1], [2.0, 1.0], "indptr"),
        ([1, 2], [0, 1], [2.0, 1.0], "indptr"),
        ([0, 1, 2], [0, 1], [2.0, 1.0], "indptr"),
        ([0, 2], [0, 10**9], [2.0, 1.0], "rows from 0 to 1000000000"),
        ([0, 2], [-3, 1], [2.0, 1.0], "rows from -3 to 1"),
        ([0, 2], [0, 1], [2.0], "one number for each of 2 entries"),
    ],
)
def test_entries_that_kernels_would_read_beyond_their_arrays_are_refused(indptr, rows, scores, message):
    given = np.array(indptr), np.array(rows), np.array(scores)
    with pytest.raises(ValueError, match=message):
        Run.from_ragged(*given, queries=Queries(["x"]), corpus=Corpus(["a", "b"]))


def test_entries_are_cut_into_as_many_queries_as_there_are():
    run = Run({"q": ["a", "b"], "p": ["c"]})
    for indptr in ([0, 3], [0, 2, 1], [0, 2, 9], [0, 3, 2]):
        with pytest.raises(ValueError, match="expected an indptr of 3 ascending numbers"):
            run.take(np.array([0, 1]), np.array(indptr))


@pytest.mark.parametrize("n", [-1, 1.5, [1, 2, 3], [1, -1], None])
def test_a_head_has_a_number_of_documents(n):
    with pytest.raises(ValueError, match="expected an int of at least 0, or an array of 2"):
        Run({"q": ["a", "b"], "p": ["c"]}).head(n)


SHAPES_OF_SCORES = {
    "spread": lambda rng, shape: rng.normal(size=shape),
    "falling": lambda rng, shape: -np.sort(rng.normal(size=shape)),
    "rising": lambda rng, shape: np.sort(rng.normal(size=shape)),
    "tied": lambda rng, shape: rng.integers(0, 5, shape) * rng.choice([-1.0, 1.0], shape),
    "rounded": lambda rng, shape: np.round(rng.gamma(2.0, 5.0, shape), 1),
    "of many magnitudes": lambda rng, shape: np.exp(rng.normal(0.0, 8.0, shape)) * rng.choice([-1, 1], shape),
    "beside an outlier": lambda rng, shape: np.where(rng.random(shape) < 0.01, 1e30, rng.normal(size=shape)),
    "infinite": lambda rng, shape: np.where(rng.random(shape) < 0.1, -np.inf, rng.normal(size=shape)),
    "constant": lambda rng, shape: np.zeros(shape) * rng.choice([-1.0, 1.0], shape),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", SHAPES_OF_SCORES.values(), ids=SHAPES_OF_SCORES)
@pytest.mark.parametrize("holes", [0.0, 0.1])
def test_lists_of_any_length_and_shape_are_ordered_by_score_then_row(make, dtype, holes):
    rng = np.random.default_rng(0)
    for shape in ((40, 3), (20, 50), (5, 700), (2, 5000)):
        values = make(rng, shape).astype(dtype)
        values[rng.random(shape) < holes] = np.nan
        indptr = np.arange(shape[0] + 1) * shape[1]
        for rows in (None, rng.random(shape).argsort(axis=1).ravel()):
            for k in (None, 10):
                entries, bounds, scores = rank(indptr, values.ravel(), rows, k)
                assert scores.dtype == dtype
                for q, one in enumerate(values):
                    places = np.arange(shape[1]) if rows is None else rows.reshape(shape)[q]
                    wanted = np.lexsort((places, -one))[: (~np.isnan(one)).sum()][:k]
                    assert (entries[bounds[q] : bounds[q + 1]] == q * shape[1] + wanted).all()
                    assert (scores[bounds[q] : bounds[q + 1]] == one[wanted]).all()
