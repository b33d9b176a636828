"""The vocabulary against a dict."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from sklrank._kernels import _strings
from sklrank.data import StringArray
from sklrank.data._vocabulary import Vocabulary, union

# Characters of one to four bytes, whose order by code points differs from that of UTF-16.
terms = st.sets(st.text(st.sampled_from("ab\x00é\uffff\U00010000"), max_size=4), max_size=30)


@given(terms, terms)
def test_a_vocabulary_is_a_dict_in_alphabetical_order(known, asked):
    vocabulary, expected = Vocabulary.of(known), {term: i for i, term in enumerate(sorted(known))}
    assert dict(vocabulary) == expected == vocabulary and vocabulary == expected
    assert list(vocabulary.items()) == list(expected.items()) and len(vocabulary) == len(expected)
    for term in asked | known:
        assert vocabulary.get(term) == expected.get(term) and (term in vocabulary) == (term in expected)
    everything = sorted(asked) + sorted(known)
    rows = [expected.get(term, -1) for term in everything]
    assert vocabulary.rows(everything).tolist() == rows
    places, found = vocabulary.places(StringArray.from_strings(everything))
    assert found.tolist() == [term in expected for term in everything]
    assert places.tolist() == [sum(own < term for own in known) for term in everything]
    loaded = pickle.loads(pickle.dumps(vocabulary))
    assert loaded == vocabulary and list(loaded) == sorted(known)


def test_bisection_and_table_find_the_same_among_many(monkeypatch):
    vocabulary = Vocabulary.of({f"w{i * 7919 % 100_003:x}" for i in range(5_000)})
    asked = [f"w{i:x}" for i in range(200)]
    expected = dict(vocabulary)
    rows = [expected.get(term, -1) for term in asked]
    assert vocabulary.rows(asked).tolist() == rows  # by bisection
    assert vocabulary.rows(asked * 20).tolist() == rows * 20  # by a table


def test_what_no_vocabulary_has_is_no_error():
    vocabulary = Vocabulary.of(["heat"])
    assert "\ud800" not in vocabulary and 7 not in vocabulary and vocabulary.get(None) is None
    with pytest.raises(KeyError, match="cold"):
        vocabulary["cold"]
    assert repr(Vocabulary.of("gfedcba")) == "{'a': 0, 'b': 1, 'c': 2, 'd': 3, 'e': 4, … (7 terms)}"
    assert len(Vocabulary.of([])) == 0 and Vocabulary.of([]).rows(["a"]).tolist() == [-1]
    assert CountVectorizer(vocabulary=Vocabulary.of(["heat", "cold"])).transform(["heat"]).toarray().tolist() == [
        [0, 1]
    ]


@given(st.lists(terms, min_size=1, max_size=4))
def test_a_union_numbers_all_terms(several):
    vocabularies = list(map(Vocabulary.of, several))
    merged, numbers = union(vocabularies)
    everything = sorted(set().union(*several))
    assert list(merged) == everything
    for own, given_numbers in zip(vocabularies, numbers):
        assert given_numbers.dtype == np.int64
        assert given_numbers.tolist() == [everything.index(term) for term in own]
    if any(len(own) == len(everything) for own in vocabularies):
        assert any(merged is own for own in vocabularies)


def test_pickles_hold_bytes_and_no_str():
    vocabulary = Vocabulary.of({f"term{i}" for i in range(10_000)})
    n_bytes = vocabulary.strings.nbytes
    assert len(pickle.dumps(vocabulary)) < n_bytes + 2_000
    read_only = StringArray(np.array(vocabulary.strings.buffer), np.array(vocabulary.strings.offsets))
    assert Vocabulary(read_only)["term77"] == vocabulary["term77"]
    assert _strings.bisect_strings.signatures  # one form of arrays
    assert len(_strings.bisect_strings.signatures) == 1
