"""The vocabulary against a dict."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer

from sklrank import Corpus
from sklrank._kernels import _strings
from sklrank.data import StringArray
from sklrank.data._vocabulary import Vocabulary, numbered, union
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import BM25Retriever

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


# Bytes of zero look like the end of a string among the first eight bytes, which are compared as a number.
similar = ["", "\0", "a", "a\0", "a\0\0", "a\0b", "a" * 7, "a" * 8, "a" * 8 + "b", "a" * 8 + "\0", "a" * 20, "é" * 5]


@given(st.lists(st.one_of(st.sampled_from(similar), st.text("ab\0é\uffff\U0001f600", max_size=12))))
def test_strings_are_numbered_in_the_order_of_code_points(words):
    vocabulary, numbers = numbered(StringArray.from_strings(words))
    expected = sorted(set(words))
    assert list(vocabulary) == expected
    assert numbers.tolist() == [expected.index(word) for word in words]


def test_many_strings_with_a_common_start_are_numbered():
    words = [f"document number {i:07}" for i in np.random.default_rng(0).permutation(5000)] * 2
    vocabulary, numbers = numbered(StringArray.from_strings(words))
    assert list(vocabulary) == sorted(set(words))
    assert vocabulary.names(numbers).tolist() == words


@given(terms, st.randoms(use_true_random=False))
def test_other_numbers_are_kept(words, random):
    numbers = list(range(len(words)))
    random.shuffle(numbers)
    expected = dict(zip(words, numbers))
    vocabulary = Vocabulary.of(expected)
    assert vocabulary == expected == dict(vocabulary) and sorted(vocabulary.values()) == sorted(numbers)
    assert vocabulary.names().tolist() == sorted(expected, key=expected.get)
    assert vocabulary.names(np.array(numbers, dtype=np.int64)).tolist() == list(expected)
    assert vocabulary.rows([*words, "zzz"]).tolist() == [*numbers, -1]
    assert pickle.loads(pickle.dumps(vocabulary)) == vocabulary
    assert (vocabulary == Vocabulary.of(list(words))) == (vocabulary.numbers is None)


@pytest.mark.parametrize("numbers", [[0, 0], [1, 2], [0], [-1, 0]])
def test_numbers_that_are_no_permutation_are_refused(numbers):
    with pytest.raises(ValueError, match="expected the numbers from 0 to 1"):
        Vocabulary(StringArray.from_strings(["a", "b"]), np.array(numbers))


def test_pickling_makes_no_str(monkeypatch):
    vocabulary = Vocabulary.of([f"w{i:06}" for i in range(20_000)])
    for name in ("__iter__", "__getitem__"):
        monkeypatch.setattr(StringArray, name, None)
    loaded = pickle.loads(pickle.dumps(vocabulary))
    assert loaded["w000007"] == 7 and loaded == vocabulary and not hasattr(loaded, "__dict__")


def test_a_fitted_vocabulary_can_be_given_again():
    texts = ["heat and cold", "cold flows"]
    fitted = TermVectorizer().fit(texts)
    assert isinstance(fitted.vocabulary_, Vocabulary)
    theirs = CountVectorizer(vocabulary=fitted.vocabulary_).fit(texts)
    assert (theirs.transform(texts) != fitted.transform(texts)).nnz == 0
    again = clone(TermVectorizer(vocabulary=fitted.vocabulary_)).fit(texts)
    assert again.vocabulary_ == fitted.vocabulary_ == CountVectorizer().fit(texts).vocabulary_


def test_a_given_order_stays_in_a_search():
    names = ["heat", "cold", "and"]
    retriever = BM25Retriever(Corpus(["heat and cold", "cold"]), vectorizer=TermVectorizer(vocabulary=names)).fit(None)
    vectorizer = pickle.loads(pickle.dumps(retriever)).index_.vectorizer
    assert isinstance(vectorizer.vocabulary_, Vocabulary) and vectorizer.get_feature_names_out().tolist() == names
    assert [term["term"] for term in retriever.explain("cold heat", "0").terms] == ["heat", "cold"]


def test_terms_that_are_no_text_are_numbered_as_by_scikit_learn():
    def analyzer(text):
        return [3, len(text)]

    ours, theirs = TermVectorizer(analyzer=analyzer), CountVectorizer(analyzer=analyzer)
    assert (ours.fit_transform(["abc", "a"]) != theirs.fit_transform(["abc", "a"])).nnz == 0
    assert ours.vocabulary_ == theirs.vocabulary_ == {1: 0, 3: 1}
    retriever = BM25Retriever(Corpus(["abc", "a"]), vectorizer=ours).fit(None)
    assert sorted(term["term"] for term in retriever.explain("a", "1").terms) == [1, 3]
