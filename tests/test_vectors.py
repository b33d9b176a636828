"""Vectors as searches read them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklrank._vectors import blocks, is_prepared, pack, prepare, read_only, vector_lengths


def refuse(rows, fault):
    return ValueError(f"{rows.tolist()}: {fault}")


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(10_000, 7)).astype(np.float32)


def test_lengths_are_those_of_double_precision_whatever_the_other_vectors(vectors):
    expected = np.linalg.norm(vectors.astype(np.float64), axis=1)
    assert vector_lengths(vectors).tolist() == expected.tolist()
    assert [vector_lengths(vectors[i : i + 1])[0] for i in (0, 4_096, 9_999)] == expected[[0, 4_096, 9_999]].tolist()


def test_unit_vectors_are_rounded_once(vectors):
    doubles = vectors.astype(np.float64)
    expected = (doubles / np.linalg.norm(doubles, axis=1)[:, None]).astype(np.float32)
    assert prepare(vectors, refuse, unit=True).tolist() == expected.tolist()


def test_nothing_is_copied_if_nothing_has_to_change(vectors):
    assert prepare(vectors, refuse, unit=False) is vectors
    unit = prepare(vectors, refuse, unit=True)
    assert unit is not vectors
    assert prepare(unit, refuse, unit=True) is unit
    assert prepare(read_only(unit), refuse, unit=True).base is not None


def test_the_array_that_is_given_stays_what_it_is(vectors):
    for array in (vectors, vectors.astype(np.float64), vectors[::2], np.asfortranarray(vectors), read_only(vectors)):
        before = array.copy()
        prepare(array, refuse, unit=True)
        assert (array == before).all()


def test_what_was_normalized_in_single_precision_is_taken_for_unit_vectors(vectors):
    single = vectors / np.sqrt((vectors * vectors).sum(axis=1, dtype=np.float32))[:, None]
    assert is_prepared(single, unit=True)
    assert prepare(single, refuse, unit=True) is single
    assert not is_prepared(single * np.float32(1.001), unit=True)


@given(
    st.lists(st.lists(st.sampled_from([0.0, -0.0, 1.0, 1e-45, 1e-30, 3e38, -2.0]), min_size=3, max_size=3), min_size=1),
    st.booleans(),
)
def test_is_prepared_tells_whether_the_array_is_kept(vectors, unit):
    vectors = np.array(vectors, dtype=np.float32)
    made = prepare(vectors, refuse, unit=unit)
    assert is_prepared(vectors, unit=unit) == (made is vectors)
    assert is_prepared(made, unit=unit)
    zero = ~vectors.any(axis=1)
    assert not made[zero].any()
    if unit:
        assert np.allclose(vector_lengths(made[~zero]), 1, atol=1e-6)


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize(
    "value, fault",
    [(np.nan, "NaN or infinity"), (-np.inf, "NaN or infinity"), (1e39, "numbers too large for single precision")],
)
def test_vectors_that_are_not_finite_are_refused_by_row(unit, value, fault):
    vectors = np.ones((5, 2))
    vectors[[1, 3], 1] = value
    with pytest.raises(ValueError, match=rf"\[1, 3\]: {fault}"):
        prepare(vectors, refuse, unit=unit)


def test_the_longest_vector_can_be_limited():
    vectors = np.array([[3.0, 4.0], [0.0, 1e20]], dtype=np.float32)
    prepare(vectors, refuse, unit=False)
    with pytest.raises(ValueError, match=r"\[1\]: numbers too large"):
        prepare(vectors, refuse, unit=False, longest=1e18)


@pytest.mark.parametrize("n", [0, 1, 4_096, 4_097])
def test_blocks_cover_all_vectors(n):
    rows = np.arange(n)
    assert np.concatenate([rows[block] for block in blocks(rows)]).tolist() == rows.tolist()


@pytest.mark.parametrize("n_features", [1, 8, 63, 64, 65, 130])
def test_bits_are_packed_in_words(n_features):
    bits = np.random.default_rng(n_features).random((6, n_features)) < 0.5
    words = pack(bits)
    assert words.shape == (6, -(-n_features // 64)) and words.dtype == np.uint64
    assert np.unpackbits(words.view(np.uint8), axis=1)[:, :n_features].tolist() == bits.tolist()


def test_a_read_only_view_leaves_the_array_writeable(vectors):
    view = read_only(vectors)
    assert not view.flags.writeable and vectors.flags.writeable
    assert np.shares_memory(view, vectors)
