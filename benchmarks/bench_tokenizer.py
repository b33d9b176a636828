"""The tokenizer alone, in MB/s of UTF-8 on one thread, and term counts with and without stemming.

The tokens are compared first. On ASCII, the peer is the usual call per document: ``re.findall`` of the lower-cased
text, which does not number its tokens; ``bm25s.tokenize`` numbers them. The mixed texts are the same sentences, a
quarter each: without a change, with accents, in Cyrillic letters, and in Greek letters with capitals and sigmas.
"""

import re

import bm25s
import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from benchmarks._corpora import make_texts
from benchmarks._harness import Row, interleave, require, seconds
from sklrank.data import StringArray
from sklrank.encoders import TermVectorizer
from sklrank.encoders._tokenization import scan_forms

_TOKEN = re.compile(r"(?u)\b\w\w+\b")
_ASKED = {"ASCII": 80, "mixed Unicode": 25}  # MB/s
_LATIN = "abcdefghijklmnopqrstuvwxyz"
_SCRIPTS = [
    {},
    str.maketrans("aeioucnsz", "äéîôüçñšž"),
    str.maketrans(_LATIN + _LATIN.upper(), "абцдефгхийклмнопярстувшхуз" + "АБЦДЕФГХИЙКЛМНОПЯРСТУВШХУЗ"),
    str.maketrans(_LATIN + _LATIN.upper(), "αβψδεφγηιξκλμνοπθρστυωχςζά" + "ΑΒΨΔΕΦΓΗΙΞΚΛΜΝΟΠΘΡΣΤΥΩΧΣΖΆ"),
]


def mixed(texts):
    """The texts in four scripts by turns."""
    return [text.translate(_SCRIPTS[i % len(_SCRIPTS)]) for i, text in enumerate(texts)]


def run(quick=False):
    """Yield the lines of the table."""
    texts = [text.encode("ascii", "ignore").decode() for text in make_texts("real", 2_000 if quick else 50_000)]
    for script, written in (("ASCII", texts), ("mixed Unicode", mixed(texts))):
        yield from tokenizers(script, written, rounds=3 if quick else 7)
        yield from vectorizers(script, written)


def tokenizers(script, texts, rounds):
    """From texts to tokens."""
    column = StringArray.from_strings(texts)
    n_bytes = len(column.buffer)
    forms, ids, indptr = scan_forms(column, True, 2)
    expected = [_TOKEN.findall(text.lower()) for text in texts]
    require([forms[i] for i in ids] == [word for words in expected for word in words], f"tokens of {script}")
    require(np.diff(indptr).tolist() == list(map(len, expected)), f"number of tokens of {script}")
    contenders = {
        "sklrank": lambda: scan_forms(column, True, 2),
        "re.findall": lambda: [_TOKEN.findall(text.lower()) for text in texts],
        "bm25s.tokenize": lambda: bm25s.tokenize(texts, stopwords=None, show_progress=False),
    }
    times = {name: t / n_bytes for name, t in interleave(contenders, rounds=rounds).items()}
    ours = times.pop("sklrank")
    yield Row(f"tokenizer, {script}", _rate(ours), value=1e-6 / ours, least=_ASKED[script], unit="MB/s")
    for peer, theirs in times.items():
        yield Row(f"tokenizer, {script}", _rate(ours), peer, _rate(theirs), theirs / ours)


def vectorizers(script, texts):
    """From texts to sparse counts."""
    require(
        (TermVectorizer().fit_transform(texts) != CountVectorizer().fit_transform(texts)).nnz == 0,
        f"term counts of {script}",
    )
    contenders = {
        "TermVectorizer": lambda: TermVectorizer().fit_transform(texts),
        "with language": lambda: TermVectorizer(language="english").fit_transform(texts),
        "CountVectorizer": lambda: CountVectorizer().fit_transform(texts),
    }
    times = interleave(contenders, rounds=3)
    theirs = times.pop("CountVectorizer")
    for name, ours in times.items():
        yield Row(f"fit_transform, {script}, {name}", seconds(ours), "CountVectorizer", seconds(theirs), theirs / ours)


def _rate(seconds_per_byte):
    return f"{1e-6 / seconds_per_byte:.0f} MB/s"
