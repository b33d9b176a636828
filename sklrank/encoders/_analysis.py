"""From texts to terms: what the parameters of a TermVectorizer mean."""

import copy
import re
from itertools import islice

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from sklrank._caching import memoized
from sklrank.encoders._stemming import SnowballStemmer
from sklrank.encoders._stop_words import STOP_WORDS
from sklrank.encoders._tokenization import analyze_forms, scan_forms

DEFAULT_PATTERN = r"(?u)\b\w\w+\b"
# Patterns that stand for the runs of at least so many word characters, which the kernel finds.
_RUNS = {flag + run: n for n, run in ((1, r"\b\w+\b"), (2, r"\b\w\w+\b")) for flag in ("", "(?u)")}
_BATCH = 1024  # texts that a tokenizers.Tokenizer takes at a time
_MEMO_SIZE = 1 << 20  # stems kept for n-grams
_FEW_BYTES = 1 << 15  # of text, which `re` splits in a few milliseconds: not worth the start of a kernel


def _same(value):
    return value


class Analysis:
    """The way from a text to its terms, shared by threads.

    A text is split into surface *forms*; each distinct form has one *term*, its stem, or none if it is a stop
    word. scikit-learn's own analyzer gives the forms wherever the kernel cannot.

    Parameters
    ----------
    params : dict
        The parameters of a TermVectorizer.
    """

    def __init__(self, params):
        self.lowercase = params["lowercase"]
        self.ngram_range = tuple(params["ngram_range"])
        self.of_words = params["analyzer"] == "word"
        self.takes_any_object = any(callable(params[name]) for name in ("analyzer", "preprocessor", "tokenizer"))
        self.subwords = self.pattern = self.stop_words = self.stem = self.n_characters = None
        preparation = {name: params[name] for name in ("lowercase", "strip_accents", "preprocessor")}
        rules = CountVectorizer(analyzer=params["analyzer"], ngram_range=self.ngram_range, **preparation)
        self.prepare = rules.build_preprocessor()
        self.is_plain = params["strip_accents"] is None and params["preprocessor"] is None
        if not self.of_words:
            self.analyze = rules.build_analyzer()
            return

        language = params["language"]
        stemmer = language if params["stemmer"] is None else params["stemmer"]
        self.stem = SnowballStemmer(stemmer) if isinstance(stemmer, str) else stemmer
        self.stop_words = self._stop_list(language if params["stop_words"] is None else params["stop_words"])
        tokenizer = params["tokenizer"]
        if hasattr(tokenizer, "encode_batch"):
            self.subwords = copy.deepcopy(tokenizer)
            self.subwords.no_padding()
            self.subwords.no_truncation()
            rules.set_params(preprocessor=_same, tokenizer=_same)
        elif tokenizer is not None:
            rules.set_params(tokenizer=tokenizer)
            self.tokenizer = tokenizer
        else:
            rules.set_params(token_pattern=params["token_pattern"])
            self.pattern = re.compile(params["token_pattern"])
        if self.stop_words is not None and self.subwords is None:
            rules.set_params(stop_words=list(self.stop_words))
        if self.ngram_range == (1, 1):
            if self.is_plain and self.pattern is not None:
                self.n_characters = _RUNS.get(self.pattern.pattern)
        elif self.stem is not None:
            words = rules.set_params(ngram_range=(1, 1)).build_analyzer()
            stem = memoized(self.stem, _MEMO_SIZE)
            rules = CountVectorizer(
                preprocessor=_same,
                tokenizer=lambda text: [stem(word) for word in words(text)],
                ngram_range=self.ngram_range,
            )
        self.analyze = rules.build_analyzer()

    def _stop_list(self, words):
        if not isinstance(words, str):
            return None if words is None else frozenset(words)
        words = STOP_WORDS[words]
        return words if self.is_plain else words.union(map(self.prepare, words))

    def split(self, text):
        """The forms of one text. For a kernel analysis they still hold the stop words."""
        if self.n_characters is not None:
            return self.pattern.findall(text.lower() if self.lowercase else text)
        if self.subwords is not None:
            text = self._kept(self.subwords.encode(self.prepare(text), add_special_tokens=False).tokens)
        return self.analyze(text)

    def forms(self, texts):
        """Distinct forms, flat form ids and indptr of many texts, a StringArray or, for callables, any list."""
        if self.n_characters is not None:
            if len(texts.buffer) <= _FEW_BYTES:
                return analyze_forms(texts, self.split)
            return scan_forms(texts, self.lowercase, self.n_characters)
        return analyze_forms(texts if self.subwords is None else self._encoded(texts), self.analyze)

    def _encoded(self, texts):
        prepared = map(self.prepare, texts)
        while batch := list(islice(prepared, _BATCH)):
            for encoding in self.subwords.encode_batch(batch, add_special_tokens=False):
                yield self._kept(encoding.tokens)

    def _kept(self, words):
        return words if self.stop_words is None else [word for word in words if word not in self.stop_words]

    def terms(self, forms):
        """The term of each of many distinct forms, None for stop words."""
        if self.ngram_range != (1, 1) or (self.stop_words is None and self.stem is None):
            return forms
        terms = [None] * len(forms)
        kept = range(len(forms))
        if self.stop_words is not None:
            kept = [i for i, form in enumerate(forms) if form not in self.stop_words]
        words = [forms[i] for i in kept]
        if isinstance(self.stem, SnowballStemmer):
            words = self.stem.stem_all(words)
        elif self.stem is not None:
            words = map(self.stem, words)
        for i, word in zip(kept, words):
            terms[i] = word
        return terms

    def spans(self, text):
        """Where the terms of a text stand in it: a list of (start, end, term), in characters of the text.

        Whatever a callable made up that does not stand in the text is left out.
        """
        prepared = self.prepare(text)
        if self.of_words:
            found = self._words(prepared)
        else:
            found = _located(self.analyze(text), prepared, overlapping=True)
        origins = self._origins(text, prepared)
        if origins is None:
            lowered = text.lower()
            found = _located([form for _, _, form in found], lowered, overlapping=not self.of_words)
            origins = _character_origins(text, map(str.lower, text))
        if self.of_words:
            found = self._joined(found)
        return [(int(origins[start]), int(origins[end - 1]) + 1, term) for start, end, term in found if start < end]

    def _words(self, prepared):
        if self.subwords is not None:
            encoding = self.subwords.encode(prepared, add_special_tokens=False)
            return [(*span, token) for span, token in zip(encoding.offsets, encoding.tokens)]
        if self.pattern is not None:
            group = self.pattern.groups
            return [(*match.span(group), match.group(group)) for match in self.pattern.finditer(prepared)]
        return _located(self.tokenizer(prepared), prepared)

    def _joined(self, words):
        """Stop words out, stems for words, n-grams of neighbours."""
        if self.stop_words is not None:
            words = [word for word in words if word[2] not in self.stop_words]
        terms = [word if self.stem is None else self.stem(word) for _, _, word in words]
        least, most = self.ngram_range
        return [
            (words[i][0], words[i + n - 1][1], " ".join(terms[i : i + n]))
            for n in range(least, most + 1)
            for i in range(len(words) - n + 1)
        ]

    def _origins(self, text, prepared):
        """For each character of the prepared text the one of the text that it comes from; None if that is unknown."""
        if self.is_plain and len(prepared) == len(text):  # lower-casing drops no character
            return range(len(text))
        pieces = [self.prepare(character) for character in text]
        if self.takes_any_object and "".join(pieces) != prepared:
            return None
        origins = _character_origins(text, pieces)
        return origins if len(origins) == len(prepared) else None


def _character_origins(text, pieces):
    return np.repeat(np.arange(len(text)), [len(piece) for piece in pieces])


def _located(forms, text, overlapping=False):
    """Find forms in a text, each behind the one before where it stands there."""
    found = []
    cursor = 0
    for form in forms:
        start = text.find(form, cursor)
        if start < 0:
            start = text.find(form)
        if start >= 0:
            found.append((start, start + len(form), form))
            cursor = start + (1 if overlapping else len(form))
    return found
