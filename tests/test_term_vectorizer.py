"""TermVectorizer against CountVectorizer, `re` and PyStemmer."""

import pickle
import re
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
import Stemmer
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

import sklrank.encoders._tokenization as tokenization
from sklrank.data import Corpus, Queries, StringArray
from sklrank.datasets import load_scifact
from sklrank.encoders import TermVectorizer, _analysis
from sklrank.encoders._stop_words import STOP_WORDS
from sklrank.encoders._tokenization import analyze_forms, scan_forms

WORDS = re.compile(r"(?u)\b\w\w+\b")
SURROGATES = range(0xD800, 0xE000)

HOSTILE = [
    "",
    " ",
    "a b c",
    "_ __ _a a_1",
    "ΟΔΥΣΣΕΥΣ Σίσυφος ΣΑΣ aΣ Σ",
    "İstanbul İİ xİ DİYARBAKIR I\u0307x",
    "ß STRASSE ŉ ǅ ﬁne ﬁ",
    "na\u0308ive näive NÄIVE a\u0300\u0301b",
    "٣٤٥ १२३ ４２ x² ½ Ⅷ ⅷ ①",
    "日本語のテキスト 中文 한국어 ไทย עברית العربية",
    "👩‍👩‍👧 emoji👍emoji 🇩🇪",
    "\U00010400\U00010401 \U00010428 𝔘𝔫𝔦 \U0010ffff\U0010fffd",
    "soft\xadhyphen zero\u200bwidth joiner\u200djoiner nb\xa0space\u2028line\x85next",
    "nul\x00byte bell\x07 tab\tnew\r\nline",
    "Ⱥ ȺȺ Ⱦx ẞẞ K K Å",
    "w" * 7 + " " + "w" * 8 + " " + "w" * 15 + " " + "w" * 16 + " " + "W" * 5000,
    "abcdefghijklmnop abcdefghijklmnoq abcdefghijklmno",
]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
TRICKY = st.text(st.sampled_from("aAbΣσςİıIißẞŉǅéÉ_0٣² .\u0300\u0307\u200d日Ⱥ\U00010400👍\n"), max_size=30)
DOCUMENTS = st.lists(TEXT | TRICKY, min_size=1, max_size=6)


@pytest.fixture(scope="module", autouse=True)
def kernel_for_few_texts_too():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_analysis, "_FEW_BYTES", -1)
        yield


@pytest.mark.parametrize("language", [None, "english"])
def test_few_texts_go_through_re_and_many_through_the_kernel_alike(documents, monkeypatch, language):
    some = [*documents[:5], "Naïve ΣΊΣΥΦΟΣ", ""]
    by_kernel = TermVectorizer(language=language).fit(some)
    monkeypatch.setattr(_analysis, "_FEW_BYTES", 1 << 30)
    monkeypatch.setattr(_analysis, "scan_forms", None)
    by_re = TermVectorizer(language=language).fit(some)
    assert by_re.vocabulary_ == by_kernel.vocabulary_
    assert (by_re.transform(some) != by_kernel.transform(some)).nnz == 0


@pytest.fixture(scope="module")
def documents():
    corpus = load_scifact().corpus
    return corpus.text().tolist()[:250] + HOSTILE


def canonical(X):
    """CountVectorizer leaves indices unsorted in `fit_transform`."""
    X = X.copy()
    X.has_sorted_indices = False
    X.sort_indices()
    return X


def assert_same_matrix(actual, expected):
    expected = canonical(expected)
    assert type(actual) is type(expected)
    assert actual.shape == expected.shape
    for name in ("data", "indices", "indptr"):
        a, b = getattr(actual, name), getattr(expected, name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def assert_drop_in(documents, new=(), **params):
    ours, theirs = TermVectorizer(**params), CountVectorizer(**params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = theirs.fit_transform(documents)
        except ValueError as error:
            with pytest.raises(ValueError) as raised:
                ours.fit_transform(documents)
            assert str(raised.value) == str(error)
            return
        actual = ours.fit_transform(documents)
    assert_same_matrix(actual, expected)
    assert ours.vocabulary_ == theirs.vocabulary_
    assert ours.fixed_vocabulary_ == theirs.fixed_vocabulary_
    names = ours.get_feature_names_out()
    assert names.dtype == object
    np.testing.assert_array_equal(names, theirs.get_feature_names_out())
    for again in (documents, list(new) or documents[:3]):
        assert_same_matrix(ours.transform(again), theirs.transform(again))
        assert_same_matrix(ours.transform(StringArray.from_strings(again)), theirs.transform(again))
    for a, b in zip(ours.inverse_transform(actual[:5]), theirs.inverse_transform(canonical(expected)[:5])):
        np.testing.assert_array_equal(a, b)


def tokens_of(forms, ids, indptr):
    return [[forms[i] for i in ids[start:end]] for start, end in zip(indptr[:-1], indptr[1:])]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"lowercase": False},
        {"stop_words": "english"},
        {"stop_words": ["the", "of", "don't"]},
        {"min_df": 2, "max_df": 0.5},
        {"min_df": 0.02, "max_df": 100},
        {"max_features": 50},
        {"max_features": 700, "binary": True},
        {"max_features": 3, "min_df": 5, "stop_words": "english"},
        {"binary": True, "dtype": np.float32},
        {"dtype": np.uint8},
        {"ngram_range": (1, 2)},
        {"ngram_range": (2, 3), "stop_words": "english", "min_df": 2},
        {"strip_accents": "unicode"},
        {"strip_accents": "ascii"},
        {"strip_accents": str.swapcase},
        {"preprocessor": str.upper},
        {"preprocessor": str.upper, "lowercase": False},
        {"token_pattern": r"(?u)\b\w+\b"},
        {"token_pattern": r"\b\w\w+\b", "lowercase": False},
        {"token_pattern": r"[a-z]+"},
        {"token_pattern": r"(\w)\w+"},
        {"token_pattern": r"\d+"},
        {"tokenizer": str.split, "token_pattern": None},
        {"analyzer": "char", "ngram_range": (2, 3)},
        {"analyzer": "char_wb", "ngram_range": (3, 3), "max_features": 500},
        {"analyzer": str.split},
        {"vocabulary": ["the", "of", "cell", "οδυσσευς"]},
        {"vocabulary": {"cells": 1, "cell": 0}, "stop_words": ["cell"], "binary": True},
        pytest.param({"vocabulary": {"bb", "aa"}, "max_features": 1}, id="a set as vocabulary"),
    ],
    ids=str,
)
def test_matrix_and_vocabulary_equal_those_of_count_vectorizer(documents, params):
    assert_drop_in(documents, new=["the unseen word cells", "ΟΔΥΣΣΕΥΣ", ""], **params)


@given(DOCUMENTS, st.booleans(), st.sampled_from([r"(?u)\b\w\w+\b", r"(?u)\b\w+\b"]))
@settings(max_examples=300)
def test_any_unicode_text_gives_the_counts_of_count_vectorizer(documents, lowercase, token_pattern):
    assert_drop_in(documents, lowercase=lowercase, token_pattern=token_pattern)


@given(
    st.lists(st.text("ab Ä", max_size=12), min_size=1, max_size=5),
    st.sampled_from([1, 2, 0.3, 0.5, 1.0]),
    st.sampled_from([1, 2, 0.5, 1.0]),
    st.sampled_from([None, 1, 3]),
    st.booleans(),
)
def test_pruning_and_its_errors_equal_those_of_count_vectorizer(documents, min_df, max_df, max_features, binary):
    assert_drop_in(documents, min_df=min_df, max_df=max_df, max_features=max_features, binary=binary)


PARTS = st.fixed_dictionaries({}, optional={
    "lowercase": st.booleans(), "strip_accents": st.sampled_from([None, "ascii", "unicode", str.swapcase]),
    "preprocessor": st.sampled_from([None, str.upper]), "tokenizer": st.sampled_from([None, str.split]),
    "token_pattern": st.sampled_from([r"(?u)\b\w\w+\b", r"(?u)\b\w+\b", r"[a-z]+", r"(\w)\w+"]),
    "stop_words": st.sampled_from([None, "english", ["the", "aa"], []]),
    "ngram_range": st.sampled_from([(1, 1), (1, 2)]),
    "analyzer": st.sampled_from(["word", "char", "char_wb", str.split]),
})  # fmt: skip


TEXTS = st.text(max_size=20) | st.sampled_from(["The heat of ΟΔΥΣΣΕΥΣ, naïve aa", b"The heat of na\xc3\xafve aa"])


@given(PARTS, TEXTS)
def test_the_parts_of_the_analysis_equal_those_of_count_vectorizer_also_after_pickling(params, text):
    if params.get("strip_accents") or params.get("preprocessor"):
        assume(params.get("stop_words") != "english")  # which then has the prepared words, too
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = TermVectorizer(**params), CountVectorizer(**params)
        analyzer = ours.build_analyzer()
        assert analyzer(text) == theirs.build_analyzer()(text)
        assert pickle.loads(pickle.dumps(analyzer))(text) == analyzer(text)
        decoded = ours.decode(text)
        assert decoded == theirs.decode(text) and isinstance(decoded, str)
        for name in ("build_preprocessor", "build_tokenizer"):
            mine, part = getattr(ours, name)(), getattr(theirs, name)()
            assert pickle.loads(pickle.dumps(mine))(decoded) == part(decoded)
    assert ours.get_stop_words() == theirs.get_stop_words()


def test_the_parts_of_an_analysis_that_count_vectorizer_lacks(subword_tokenizer):
    vectorizer = TermVectorizer(language="english")
    assert vectorizer.get_stop_words() == TermVectorizer(stop_words="english").get_stop_words()
    assert pickle.loads(pickle.dumps(vectorizer.build_analyzer()))("The flowing heat") == ["flow", "heat"]
    subwords = TermVectorizer(tokenizer=subword_tokenizer)
    tokens = subwords.build_analyzer()("heat flows")
    assert pickle.loads(pickle.dumps(subwords.build_tokenizer()))("heat flows") == tokens
    assert pickle.loads(pickle.dumps(subwords.build_analyzer()))("heat flows") == tokens
    with pytest.raises(ValueError, match="np.nan is an invalid document"):
        vectorizer.decode(np.nan)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_counts_are_sparse_whatever_scikit_learn_is_set_to_return(documents, output):
    expected = TermVectorizer().fit_transform(documents)
    with config_context(transform_output=output):
        vectorizer = TermVectorizer()
        assert_same_matrix(vectorizer.fit_transform(documents), expected)
        assert_same_matrix(vectorizer.transform(documents), expected)


@given(DOCUMENTS, st.booleans())
def test_kernel_tokens_are_those_of_re(documents, lowercase):
    got = tokens_of(*scan_forms(StringArray.from_strings(documents), lowercase, 2))
    assert got == [WORDS.findall(text.lower() if lowercase else text) for text in documents]


@pytest.mark.parametrize("lowercase", [True, False])
def test_every_character_of_unicode_is_lowered_and_classified_as_by_python(lowercase):
    documents = []
    for start in range(0, sys.maxunicode + 1, 512):
        characters = [chr(c) for c in range(start, start + 512) if c not in SURROGATES]
        # Alone, within a word, at its ends, and doubled.
        documents.append(" ".join(f"{c} x{c}y {c}z w{c} {c}{c}" for c in characters))
    got = tokens_of(*scan_forms(StringArray.from_strings(documents), lowercase, 1))
    pattern = re.compile(r"\w+")
    for text, tokens in zip(documents, got):
        assert tokens == pattern.findall(text.lower() if lowercase else text)


def test_every_character_is_right_where_it_is_the_only_special_one():
    # Each in its own document, so that no neighbour sends it to the slow path.
    cased = [chr(c) for c in range(sys.maxunicode + 1) if c not in SURROGATES and chr(c).lower() != chr(c)]
    documents = [f"{c} A{c}B {c}c {c}{c}" for c in cased]
    got = tokens_of(*scan_forms(StringArray.from_strings(documents), True, 1))
    assert got == [re.findall(r"\w+", text.lower()) for text in documents]


def test_kernel_means_the_same_uncompiled(monkeypatch):
    documents = StringArray.from_strings(HOSTILE[:-2] + ["words that fill a table" * 3])
    expected = scan_forms(documents, True, 2)
    for name in ("scan_tokens", "rehash"):
        kernel = getattr(tokenization, name)
        monkeypatch.setattr(tokenization, name, getattr(kernel, "py_func", kernel))
    with np.errstate(over="ignore"):  # hashes wrap around
        actual = scan_forms(documents, True, 2)
    assert tokens_of(*actual) == tokens_of(*expected)


def test_many_distinct_forms_outgrow_every_table():
    words = [f"{prefix}{i}" for i in range(30_000) for prefix in ("w", "längeres_wort_mit_nummer_")]
    documents = [" ".join(words), " ".join(words[::-1]), "x" * 300_000]
    forms, ids, indptr = scan_forms(StringArray.from_strings(documents), True, 2)
    assert tokens_of(forms, ids, indptr) == [words, words[::-1], ["x" * 300_000]]
    assert len(set(forms)) == len(forms)


@pytest.mark.parametrize("min_length", [1, 2])
def test_text_dense_in_tokens_fits(min_length):
    documents = ["Σ " * 1000, "aİ" * 1000, "İ" * 999, "ab " * 1000, "ȺȺ " * 1000, "a " * 999 + "a"]
    got = tokens_of(*scan_forms(StringArray.from_strings(documents), True, min_length))
    assert got == [re.findall(r"\w" * (min_length - 1) + r"\w+", text.lower()) for text in documents]


def test_kernel_and_python_paths_give_the_same_ids(documents):
    vectorizer = TermVectorizer(language="english").fit(documents)
    queries = documents[::7] + ["Unseen forms flowing", "ΣΊΣΥΦΟΣ İ"]
    ids, indptr = vectorizer.token_ids(StringArray.from_strings(queries))
    assert ids.dtype == np.uint32 and indptr.dtype == np.int64
    one_by_one = [vectorizer.token_ids([query])[0] for query in queries]
    assert [len(part) for part in one_by_one] == np.diff(indptr).tolist()
    np.testing.assert_array_equal(np.concatenate(one_by_one), ids)
    np.testing.assert_array_equal(vectorizer.token_ids(queries[:20])[0], ids[: indptr[20]])


def test_fit_token_ids_are_the_tokens_in_order(documents):
    vectorizer = TermVectorizer(min_df=2, stop_words="english")
    ids, indptr = vectorizer.fit_token_ids(StringArray.from_strings(documents))
    names = vectorizer.get_feature_names_out()
    expected = [[w for w in WORDS.findall(text.lower()) if w in vectorizer.vocabulary_] for text in documents]
    assert tokens_of(names, ids, indptr) == expected
    again, _ = vectorizer.token_ids(StringArray.from_strings(documents))
    np.testing.assert_array_equal(ids, again)


def test_binary_tokens_occur_once_a_document():
    vectorizer = TermVectorizer(binary=True)
    ids, indptr = vectorizer.fit_token_ids(StringArray.from_strings(["bb aa bb", "aa aa"]))
    assert ids.tolist() == [0, 1, 0] and indptr.tolist() == [0, 2, 3]
    assert vectorizer.token_ids(["bb bb", "aa"])[0].tolist() == [1, 0]


# Stemmers, stop lists, languages


@pytest.mark.parametrize("language", ["english", "german", "russian", "porter"])
@pytest.mark.parametrize("ngram_range", [(1, 1), (1, 2)])
def test_terms_are_stems_of_the_words_that_are_left(documents, language, ngram_range):
    stem = Stemmer.Stemmer(language).stemWord
    stop_words = ["the", "of", "und", "not"]

    def analyze(text):
        return [stem(word) for word in WORDS.findall(text.lower()) if word not in stop_words]

    texts = documents[:60] + HOSTILE
    ours = TermVectorizer(stemmer=language, stop_words=stop_words, ngram_range=ngram_range)
    theirs = CountVectorizer(tokenizer=analyze, preprocessor=str, token_pattern=None, ngram_range=ngram_range)
    assert_same_matrix(ours.fit_transform(texts), theirs.fit_transform(texts))
    assert ours.vocabulary_ == theirs.vocabulary_
    assert_same_matrix(ours.transform(documents), theirs.transform(documents))
    assert ours.build_analyzer()(documents[3]) == theirs.build_analyzer()(documents[3])


@pytest.mark.parametrize(
    "params", [{}, {"token_pattern": r"[a-z]+"}, {"ngram_range": (1, 2)}, {"strip_accents": "unicode"}], ids=str
)
def test_a_stemmer_is_called_once_for_each_distinct_word(documents, params):
    calls = []

    def stem(word):
        calls.append(word)
        return word[:4]

    TermVectorizer(stemmer=stem, **params).fit(documents[:50])
    assert len(calls) == len(set(calls)) > 1000


def test_a_query_word_that_no_document_has_finds_its_stem():
    vectorizer = TermVectorizer(stemmer="english").fit(["laminar flows"])
    assert "flowing" not in vectorizer.vocabulary_
    assert vectorizer.token_ids(["Flowing flowed airflow"])[0].tolist() == [0, 0]
    assert vectorizer.transform(["flowing"] * 40_000).sum() == 40_000


def test_stop_words_go_before_stemming():
    vectorizer = TermVectorizer(stemmer="english", stop_words=["flowing"]).fit(["flowing flows", "flowing"])
    assert vectorizer.token_ids(["flowing flow"])[0].tolist() == [0]
    # A stem that looks like a stop word stays.
    assert TermVectorizer(stemmer="english", stop_words=["flow"]).fit(["flows"]).vocabulary_ == {"flow": 0}


def test_language_is_its_stemmer_and_its_stop_list(documents):
    for language in ("english", "german"):
        ours = TermVectorizer(language=language).fit_transform(documents)
        both = TermVectorizer(stemmer=language, stop_words=language).fit_transform(documents)
        assert_same_matrix(ours, both)


def test_stemmer_and_stop_words_override_the_language():
    text = ["und die Häuser stehen"]
    assert set(TermVectorizer(language="german").fit(text).vocabulary_) == {"haus", "steh"}
    assert set(TermVectorizer(language="german", stop_words=[]).fit(text).vocabulary_) == {"und", "die", "haus", "steh"}
    assert set(TermVectorizer(language="german", stemmer=str.upper).fit(text).vocabulary_) == {"HÄUSER", "STEHEN"}


@pytest.mark.parametrize("language", sorted(STOP_WORDS))
def test_built_in_stop_lists_are_words_as_the_tokenizer_cuts_them(language):
    words = STOP_WORDS[language]
    assert 100 < len(words) < 350
    assert all(re.fullmatch(r"\w+", word) and word.lower() == word for word in words)
    assert language in Stemmer.algorithms()
    text = [" ".join(sorted(words)).upper().replace("İ", "i") + " zzyzx"]
    for params in ({}, {"strip_accents": "unicode"}):
        vectorizer = TermVectorizer(stop_words=language, **params).fit([" ".join(words) + " zzyzx"])
        assert set(vectorizer.vocabulary_) == {"zzyzx"}
    assert "zzyzx" in TermVectorizer(stop_words=language).fit(text).vocabulary_


def test_parameters_without_effect_warn():
    for params, name in [
        ({"analyzer": "char", "stemmer": "english"}, "stemmer"),
        ({"analyzer": "char", "stop_words": "english"}, "stop_words"),
        ({"analyzer": str.split, "ngram_range": (1, 2)}, "ngram_range"),
        ({"tokenizer": str.split, "token_pattern": "x"}, "token_pattern"),
    ]:
        with pytest.warns(UserWarning, match=f"'{name}' will not be used"):
            TermVectorizer(**params).fit(["some text"])
    with pytest.warns(UserWarning, match="stop_words may be inconsistent"):
        TermVectorizer(stop_words=["don't"]).fit(["some text"])
    with pytest.warns(UserWarning, match="Upper case characters found in vocabulary"):
        TermVectorizer(vocabulary=["Aa"]).fit(["some text"])


# Tokenizers of others


@pytest.fixture(scope="module")
def subword_tokenizer():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    pieces = ["[UNK]", "[PAD]", "[CLS]", "heat", "trans", "##fer", "flow", "##s", "in", "the"]
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding(length=32)
    tokenizer.enable_truncation(2)
    return tokenizer


def test_a_tokenizers_tokenizer_gives_its_token_strings(subword_tokenizer):
    texts = ["Heat transfer in flows", "the flow", ""]
    vectorizer = TermVectorizer(tokenizer=subword_tokenizer, stop_words=["the"])
    X = vectorizer.fit_transform(texts)
    assert vectorizer.get_feature_names_out().tolist() == ["##fer", "##s", "flow", "heat", "in", "trans"]
    assert X.toarray().tolist() == [[1, 1, 1, 1, 1, 1], [0, 0, 1, 0, 0, 0], [0] * 6]
    assert subword_tokenizer.padding["length"] == 32 and subword_tokenizer.truncation["max_length"] == 2
    assert vectorizer.token_ids(["heat flows"])[0].tolist() == [3, 2, 1]
    starts, ends, ids = vectorizer.spans("The  FLOWS")
    assert (starts.tolist(), ends.tolist(), ids.tolist()) == ([5, 9], [9, 10], [2, 1])
    copy = pickle.loads(pickle.dumps(clone(vectorizer).fit(texts)))
    assert_same_matrix(copy.transform(texts), X)
    bigrams = TermVectorizer(tokenizer=subword_tokenizer, stop_words=["the"], ngram_range=(2, 2)).fit(texts)
    assert "heat trans" in bigrams.vocabulary_


def test_documents_may_be_anything_that_a_callable_takes():
    documents = [["aa", "bb"], ["bb"]]
    for params in ({"analyzer": list}, {"tokenizer": list, "lowercase": False}):
        vectorizer = TermVectorizer(**params)
        assert vectorizer.fit_transform(documents).toarray().tolist() == [[1, 1], [0, 1]]
        assert vectorizer.transform([["bb", "cc"]]).toarray().tolist() == [[0, 1]]


# Spans


def test_spans_cut_the_matched_words_out_of_the_text(documents):
    vectorizer = TermVectorizer(language="english").fit(documents)
    for text in documents[::5] + HOSTILE:
        starts, ends, ids = vectorizer.spans(text)
        assert ids.tolist() == vectorizer.token_ids([text])[0].tolist()
        names = vectorizer.get_feature_names_out()
        analyze = vectorizer.build_analyzer()
        for start, end, term in zip(starts, ends, ids):
            assert analyze(text[start:end]) == [names[term]] or "Σ" in text or "İ" in text


def test_spans_are_offsets_of_the_text_where_lower_casing_changes_its_length():
    text = "İİİ istanbul İSTANBUL"
    starts, ends, _ = TermVectorizer().fit(["istanbul i̇stanbul"]).spans(text)
    assert [text[a:b] for a, b in zip(starts, ends)] == ["istanbul", "STANBUL"]


@pytest.mark.parametrize(
    "params, expected",
    [
        ({"strip_accents": "unicode"}, ["Crème", "ﬁne"]),
        ({"strip_accents": "ascii"}, ["Crème", "ﬁne"]),
        ({"ngram_range": (1, 2)}, ["Crème", "ﬁne", "Crème «ﬁne"]),
        ({"tokenizer": re.compile(r"\w+").findall}, ["Crème", "ﬁne"]),
        ({"token_pattern": r"(\w\w)\w+"}, ["Cr", "ﬁn"]),
        ({"preprocessor": lambda text: re.sub("<.*?>", "", text).lower()}, ["Crème", "ﬁne"]),
    ],
)
def test_spans_of_other_analyses(params, expected):
    text = "<b></b>Crème «ﬁne»" if "preprocessor" in params else "  Crème «ﬁne»"
    starts, ends, ids = TermVectorizer(**params).fit([text]).spans(text)
    assert sorted(text[a:b] for a, b in zip(starts, ends)) == sorted(expected)
    assert len(ids) == len(expected)


def test_spans_of_character_n_grams_stand_in_the_text():
    vectorizer = TermVectorizer(analyzer="char", ngram_range=(3, 4)).fit(["a flow of heat"])
    starts, ends, ids = vectorizer.spans("Flow")
    assert [(a, b) for a, b in zip(starts, ends)] == [(0, 3), (1, 4), (0, 4)]


def test_text_without_known_words_has_no_spans():
    starts, ends, ids = TermVectorizer().fit(["aa"]).spans("bb")
    assert len(starts) == len(ends) == len(ids) == 0


@given(TEXT | TRICKY)
def test_spans_agree_with_tokens_on_any_text(text):
    words = WORDS.findall(text.lower())
    if not words:
        return
    vectorizer = TermVectorizer().fit([text])
    starts, ends, ids = vectorizer.spans(text)
    assert ids.tolist() == vectorizer.token_ids([text])[0].tolist()
    assert (starts < ends).all() and (starts[1:] >= starts[:-1]).all()
    for start, end, word in zip(starts, ends, words):
        assert word in text[start:end].lower() or "Σ" in text


# Input and errors


def test_corpus_queries_series_and_generators_are_texts(documents):
    import pandas as pd

    texts = ["aa bb", "bb cc"]
    expected = TermVectorizer().fit_transform(texts)
    for X in (Corpus(texts), Queries(texts), pd.Series(texts, index=[7, 3]), np.array(texts), (t for t in texts)):
        assert_same_matrix(TermVectorizer().fit_transform(X), expected)


def test_callables_take_documents_in_bytes_as_utf8():
    texts = ["héat flow", "flow"]
    for params in ({"tokenizer": str.split}, {"preprocessor": str.upper}, {"analyzer": str.split}):
        expected = TermVectorizer(**params).fit_transform(texts)
        vectorizer = TermVectorizer(**params)
        assert_same_matrix(vectorizer.fit_transform([text.encode() for text in texts]), expected)
        assert_same_matrix(vectorizer.transform([text.encode() for text in texts]), expected)
    assert TermVectorizer().build_analyzer()(b"Flow of heat") == ["flow", "of", "heat"]


def test_a_lone_surrogate_is_an_error_that_names_the_document():
    vectorizer = TermVectorizer().fit(["aa"])
    for call in (TermVectorizer().fit, vectorizer.transform, TermVectorizer(ngram_range=(1, 2)).fit):
        with pytest.raises(ValueError, match="document 1 .*surrogate"):
            call(["aa", "b\ud800b"])
    with pytest.raises(ValueError, match="document 0 .*surrogate"):
        vectorizer.token_ids(["b\ud800b"])


def test_bad_input_is_refused():
    vectorizer = TermVectorizer()
    with pytest.raises(NotFittedError):
        vectorizer.transform(["aa"])
    with pytest.raises(ValueError, match="Iterable over raw text documents expected"):
        vectorizer.fit("a text")
    with pytest.raises(TypeError, match="document 1 is 3"):
        vectorizer.fit(["aa", 3])
    with pytest.raises(TypeError, match="document 0 is b'aa'"):
        vectorizer.fit([b"aa"])
    with pytest.raises(ValueError, match="Pass one column"):
        vectorizer.fit(np.array([["aa", "bb"]]))
    for documents in ([], [""], ["a", "."]):
        with pytest.raises(ValueError, match="empty vocabulary; perhaps the documents only contain stop words"):
            vectorizer.fit(documents)
    for params in ({"stemmer": "klingon"}, {"language": "klingon"}, {"stop_words": "klingon"}, {"min_df": 1.5}):
        with pytest.raises(ValueError, match="parameter of TermVectorizer must be"):
            TermVectorizer(**params).fit(["aa"])
    with pytest.raises(ValueError, match="Invalid value for ngram_range"):
        TermVectorizer(ngram_range=(2, 1)).fit(["aa"])
    with pytest.raises(ValueError, match="empty vocabulary passed to fit"):
        TermVectorizer(vocabulary=[]).fit(["aa"])
    with pytest.raises(ValueError, match="Duplicate term"):
        TermVectorizer(vocabulary=["aa", "aa"]).fit(["aa"])


def test_a_failed_fit_leaves_the_fitted_vectorizer_as_it_was():
    vectorizer = TermVectorizer().fit(["aa"])
    with pytest.raises(ValueError, match="empty vocabulary"):
        vectorizer.fit([""])
    assert vectorizer.transform(["aa"]).toarray().tolist() == [[1]]


def test_documents_without_terms_are_empty_rows():
    X = TermVectorizer().fit_transform(["", "aa", ".", ""])
    assert X.toarray().tolist() == [[0], [1], [0], [0]]
    assert TermVectorizer().fit(["aa"]).transform([]).shape == (0, 1)


def test_a_given_vocabulary_needs_no_fit():
    vectorizer = TermVectorizer(vocabulary=["heat", "flow"], stemmer="english")
    assert vectorizer.transform(["Flowing heat, flows"]).toarray().tolist() == [[1, 2]]
    assert vectorizer.get_feature_names_out().tolist() == ["heat", "flow"]


def test_read_only_and_mapped_texts_are_the_same(tmp_path, documents):
    texts = StringArray.from_strings(documents)
    expected = TermVectorizer().fit_transform(texts)
    joblib.dump(texts, tmp_path / "texts")
    mapped = joblib.load(tmp_path / "texts", mmap_mode="r")
    assert not mapped.buffer.flags.writeable
    assert_same_matrix(TermVectorizer().fit_transform(mapped), expected)
    assert len(getattr(tokenization.scan_tokens, "signatures", [])) <= 1  # compiled once for all of them


# Estimator


def test_scikit_learn_checks_pass():
    with pytest.warns(SkipTestWarning, match="string=True"):  # it checks little of estimators that take text
        checks = check_estimator(TermVectorizer(), on_skip=None)
    assert checks


@pytest.mark.parametrize(
    "params", [{}, {"language": "english"}, {"stemmer": "english", "ngram_range": (1, 2)}], ids=str
)
def test_fitted_vectorizers_pickle_and_clone(documents, params):
    texts = documents[:40]
    vectorizer = TermVectorizer(**params)
    X = vectorizer.fit_transform(texts)
    vectorizer.transform(texts[:2])
    copy = pickle.loads(pickle.dumps(vectorizer))
    assert copy.vocabulary_ == vectorizer.vocabulary_
    assert_same_matrix(copy.transform(texts), X)
    assert_same_matrix(copy.transform(texts[:2]), X[:2])
    assert_same_matrix(clone(vectorizer).fit_transform(texts), X)
    assert clone(vectorizer).get_params() == vectorizer.get_params()


def test_refitting_forgets_what_queries_looked_up():
    vectorizer = TermVectorizer().fit(["aa bb"])
    assert vectorizer.token_ids(["bb"])[0].tolist() == [1]
    vectorizer.fit(["bb cc"])
    assert vectorizer.token_ids(["bb aa"])[0].tolist() == [0]


def test_eight_threads_get_the_same_answer(documents):
    vectorizer = TermVectorizer(language="english").fit(documents)
    queries = [text[:200] for text in documents[::3]]
    expected = [vectorizer.token_ids([query])[0].tolist() for query in queries]
    fresh = pickle.loads(pickle.dumps(vectorizer))  # nothing looked up, no stemmer opened
    answers = [None] * 8
    start = threading.Barrier(8)

    def work(i):
        start.wait()
        few = [fresh.token_ids([query])[0].tolist() for query in queries]
        ids, indptr = fresh.token_ids(StringArray.from_strings(queries))
        many = [ids[a:b].tolist() for a, b in zip(indptr[:-1], indptr[1:])]
        refitted = TermVectorizer(language="english").fit(documents).vocabulary_ == vectorizer.vocabulary_
        answers[i] = few == many == expected and refitted

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 8


def test_stemmed_terms_run_in_a_pipeline(documents):
    from sklearn.feature_extraction.text import TfidfTransformer

    pipeline = make_pipeline(TermVectorizer(language="english"), TfidfTransformer())
    X = pipeline.fit_transform(documents)
    assert X.shape[0] == len(documents)
    assert len(pipeline.get_feature_names_out()) == X.shape[1]


def test_analyze_forms_numbers_tokens_by_first_appearance():
    forms, ids, indptr = analyze_forms(["b a b", "", "c a"], str.split)
    assert forms == ["b", "a", "c"] and ids.tolist() == [0, 1, 0, 2, 1] and indptr.tolist() == [0, 3, 3, 5]
    assert ids.dtype == np.uint32 and indptr.dtype == np.int64
