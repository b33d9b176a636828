"""Ragged arrays: each function against a loop over lists."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sklrank._ragged import first_entries, intervals, kept_entries, lengths_to_indptr, owners, places, spans

LENGTHS = st.lists(st.integers(0, 4), max_size=6)


@given(LENGTHS)
def test_each_entry_has_a_list_and_a_place_in_it(lengths):
    indptr = lengths_to_indptr(lengths)
    assert indptr.dtype == np.int64 and indptr.tolist() == [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    assert owners(indptr).tolist() == [i for i, n in enumerate(lengths) for _ in range(n)]
    assert places(indptr).tolist() == [p for n in lengths for p in range(n)]
    assert [stop - start for start, stop in intervals(indptr)] == lengths


@given(LENGTHS, st.integers(0, 5))
def test_the_first_entries_of_each_list(lengths, n):
    indptr = lengths_to_indptr(lengths)
    entries, new = first_entries(indptr, n)
    assert [entries[i:j].tolist() for i, j in intervals(new)] == [
        list(range(start, min(stop, start + n))) for start, stop in intervals(indptr)
    ]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=6))
def test_spans_may_overlap_and_be_empty(pairs):
    starts, lengths = (np.array(values, dtype=np.int64) for values in zip(*pairs)) if pairs else (np.empty(0, int),) * 2
    entries, indptr = spans(starts, lengths)
    assert [entries[i:j].tolist() for i, j in intervals(indptr)] == [list(range(s, s + n)) for s, n in pairs]


@given(st.lists(st.lists(st.booleans(), max_size=4), max_size=5))
def test_a_mask_keeps_entries_of_each_list(masks):
    indptr = lengths_to_indptr(list(map(len, masks)))
    entries, new = kept_entries(indptr, np.array(sum(masks, []), dtype=bool))
    assert [entries[i:j].tolist() for i, j in intervals(new)] == [
        [start + i for i, kept in enumerate(mask) if kept] for start, mask in zip(indptr[:-1].tolist(), masks)
    ]
