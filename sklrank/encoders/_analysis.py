"""Analysis of texts into terms, by the parameters of a TermVectorizer."""

import copy
import re
from itertools import islice

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from sklrank._caching import memoized
from sklrank.data import StringArray
from sklrank.encoders._stemming import SnowballStemmer
from sklrank.encoders._stop_words import STOP_WORDS
from sklrank.encoders._tokenization import analyze_forms, scan_forms

DEFAULT_PATTERN = r"(?u)\b\w\w+\b"
# Patterns that match runs of at least n word characters, which the kernel finds as well.
_RUNS = {flag + run: n for n, run in ((1, r"\b\w+\b"), (2, r"\b\w\w+\b")) for flag in ("", "(?u)")}
_OF_WORDS = "language", "stemmer", "stop_words", "tokenizer"  # parameters that need analyzer="word"
_BATCH = 1024  # texts per call of a tokenizers.Tokenizer
_MEMO_SIZE = 1 << 20  # stems kept for n-grams
_FEW_BYTES = 1 << 15  # bytes of text that `re` splits in a few milliseconds, faster than a kernel starts


def _same(value):
    return value


class Analysis:
    """Analyze texts into terms. Threads may share an instance.

    A text is split into surface *forms*. Each distinct form has one *term*, which is its stem, or no term if it is a
    stop word. If the kernel cannot find the forms, scikit-learn's analyzer does.

    Parameters
    ----------
    params : dict
        The parameters of a TermVectorizer.
    """

    def __init__(self, params):
        self._params = params
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

        self.stem = stemmer_of(params)
        self.stop_words = stop_list(params)
        tokenizer = params["tokenizer"]
        if hasattr(tokenizer, "encode_batch"):
            self.subwords = Subwords(tokenizer)
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
            stem = memoized(_MEMO_SIZE)(self.stem)
            rules = CountVectorizer(
                preprocessor=_same,
                tokenizer=lambda text: [stem(word) for word in words(text)],
                ngram_range=self.ngram_range,
            )
        self.analyze = rules.build_analyzer()

    def __call__(self, text):
        """Return the terms of one text, without stop words.

        Parameters
        ----------
        text : str or bytes

        Returns
        -------
        list of str
        """
        return [term for term in self.terms(self.split(decode(text))) if term is not None]

    def __reduce__(self):
        return Analysis, (self._params,)  # stemmers and closures do not pickle, and are made again

    def split(self, text):
        """Return the forms of one text. If the kernel can find them, they include the stop words."""
        if self.n_characters is not None:
            if self.lowercase:
                text = text.lower()
            return self.pattern.findall(text)
        if self.subwords is not None:
            text = self._kept(self.subwords(self.prepare(text)))
        return self.analyze(text)

    def forms(self, texts):
        """Return distinct forms, form ids and indptr of many texts.

        They are a StringArray, a TextReader or, for callables, any list.
        """
        if self.n_characters is not None:
            if isinstance(texts, StringArray) and len(texts.buffer) <= _FEW_BYTES:
                return analyze_forms(texts, self.split)
            return scan_forms(texts, self.lowercase, self.n_characters)
        if self.subwords is not None:
            texts = self._encoded(texts)
        return analyze_forms(texts, self.analyze)

    def _encoded(self, texts):
        prepared = map(self.prepare, texts)
        while batch := list(islice(prepared, _BATCH)):
            yield from map(self._kept, self.subwords.of_all(batch))

    def _kept(self, words):
        if self.stop_words is None:
            return words
        return [word for word in words if word not in self.stop_words]

    def terms(self, forms):
        """Return the term of each distinct form, None for stop words. Without these, and stems, it returns `forms`."""
        if self.ngram_range != (1, 1) or (self.stop_words is None and self.stem is None):
            return forms
        if isinstance(forms, StringArray):
            forms = forms.tolist()
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
        """Return the positions of the terms in a text: a list of (start, end, term), in characters of the text.

        Terms that a callable returns and that do not occur in the text are left out.
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
            return self.subwords.spans(prepared)
        if self.pattern is not None:
            group = self.pattern.groups
            return [(*match.span(group), match.group(group)) for match in self.pattern.finditer(prepared)]
        return _located(self.tokenizer(prepared), prepared)

    def _joined(self, words):
        """Remove stop words, replace words by stems, and join neighbours to n-grams."""
        if self.stop_words is not None:
            words = [word for word in words if word[2] not in self.stop_words]
        stem = self.stem or _same
        terms = [stem(word) for _, _, word in words]
        least, most = self.ngram_range
        return [
            (words[i][0], words[i + n - 1][1], " ".join(terms[i : i + n]))
            for n in range(least, most + 1)
            for i in range(len(words) - n + 1)
        ]

    def _origins(self, text, prepared):
        """Return the position in the text of each character of the prepared text; None if they are unknown."""
        if self.is_plain and len(prepared) == len(text):  # lower-casing drops no character
            return range(len(text))
        pieces = [self.prepare(character) for character in text]
        if self.takes_any_object and "".join(pieces) != prepared:
            return None
        origins = _character_origins(text, pieces)
        if len(origins) != len(prepared):
            return None
        return origins


class Subwords:
    """Split texts by a :class:`tokenizers.Tokenizer`, without special tokens, padding and truncation.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
    """

    def __init__(self, tokenizer):
        self._tokenizer = copy.deepcopy(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def __call__(self, text):
        """Return the tokens of one text."""
        return self._tokenizer.encode(text, add_special_tokens=False).tokens

    def of_all(self, texts):
        """Return the tokens of each text."""
        return [encoding.tokens for encoding in self._tokenizer.encode_batch(texts, add_special_tokens=False)]

    def spans(self, text):
        """Return the tokens of one text with their positions: a list of (start, end, token)."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return [(*span, token) for span, token in zip(encoding.offsets, encoding.tokens)]


def decode(doc):
    """Return a document as str. Bytes are decoded as UTF-8, and NaN raises an error.

    Parameters
    ----------
    doc : str, bytes or object
        The document. Objects other than bytes are returned without a change.

    Returns
    -------
    str or object
    """
    return CountVectorizer().decode(doc)


def stemmer_of(params):
    """Return the stemmer: `stemmer`, or that of `language` if `stemmer` is None.

    Parameters
    ----------
    params : dict
        The parameters of a TermVectorizer.

    Returns
    -------
    callable or None
    """
    stemmer = params["stemmer"]
    if stemmer is None:
        stemmer = params["language"]
    if isinstance(stemmer, str):
        stemmer = SnowballStemmer(stemmer)
    return stemmer


def stop_list(params):
    """Return the words that are removed: `stop_words`, or the list of `language` if `stop_words` is None.

    Parameters
    ----------
    params : dict
        The parameters of a TermVectorizer.

    Returns
    -------
    frozenset of str or None
    """
    words = params["stop_words"]
    if words is None:
        words = params["language"]
    if words is None:
        return None
    if not isinstance(words, str):
        return frozenset(words)
    words = STOP_WORDS[words]
    if params["strip_accents"] is None and params["preprocessor"] is None:
        return words
    preparation = {name: params[name] for name in ("lowercase", "strip_accents", "preprocessor")}
    return words.union(map(CountVectorizer(**preparation).build_preprocessor(), words))


def unused_parameters(params):
    """Yield each parameter without effect, with the reason.

    Parameters
    ----------
    params : dict
        The parameters of a TermVectorizer.

    Yields
    ------
    name, reason : str
    """
    has_pattern = params["token_pattern"] not in (None, DEFAULT_PATTERN)
    if params["tokenizer"] is not None and has_pattern:
        yield "token_pattern", "'tokenizer' is not None"
    if callable(params["analyzer"]):
        reason = "'analyzer' is callable"
        if params["preprocessor"] is not None:
            yield "preprocessor", reason
        if tuple(params["ngram_range"]) != (1, 1):
            yield "ngram_range", reason
    if params["analyzer"] != "word":
        reason = "'analyzer' != 'word'"
        yield from ((name, reason) for name in _OF_WORDS if params[name] is not None)
        if has_pattern:
            yield "token_pattern", reason


def _character_origins(text, pieces):
    return np.repeat(np.arange(len(text)), [len(piece) for piece in pieces])


def _located(forms, text, overlapping=False):
    """Find the position of each form in a text, after that of the form before if it occurs there."""
    found = []
    cursor = 0
    for form in forms:
        start = text.find(form, cursor)
        if start < 0:
            start = text.find(form)
        if start < 0:
            continue
        end = start + len(form)
        found.append((start, end, form))
        cursor = end
        if overlapping:
            cursor = start + 1
    return found
