"""Texts and queries to measure on: synthetic Zipfian documents, and documents resampled from real sentences."""

import gzip
import json
import os
import re
from pathlib import Path

import numpy as np

N_WORDS = 60  # of a document, on average
_N_FREQUENT = 50  # words that light queries leave out
_TOKEN = re.compile(r"(?u)\b\w\w+\b")


def make_texts(kind, n_documents, seed=0):
    """`n_documents` texts of about 60 words; `kind` is "zipf" or "real"."""
    return {"zipf": zipf_texts, "real": real_texts}[kind](n_documents, seed)


def zipf_texts(n_documents, seed=0, *, n_words=100_000, exponent=1.0):
    """Words drawn independently, the i-th with probability 1 / i ** exponent; lengths are gamma-distributed."""
    rng = np.random.default_rng(seed)
    syllables = np.array([c + v for c in "bcdfghjklmnpqrstvwxz" for v in "aeiou"], dtype=object)
    words = np.array([_spell(i, syllables) for i in range(n_words)], dtype=object)
    bounds = np.cumsum(1.0 / np.arange(1, n_words + 1) ** exponent)
    bounds /= bounds[-1]
    lengths = np.maximum(rng.gamma(4.0, N_WORDS / 4.0, n_documents).astype(np.int64), 1)
    texts = []
    for chunk in np.array_split(lengths, max(n_documents // 10_000, 1)):
        drawn = words[np.searchsorted(bounds, rng.random(chunk.sum()))].tolist()
        ends = np.cumsum(chunk).tolist()
        texts += [" ".join(drawn[start:end]) for start, end in zip([0, *ends[:-1]], ends)]
    return texts


def _spell(i, syllables):
    """The i-th word; frequent words are short."""
    word = syllables[i % 100]
    while i >= 100:
        i = i // 100 - 1
        word = syllables[i % 100] + word
    return word


def real_texts(n_documents, seed=0):
    """Sentences of real collections, drawn with replacement and joined to 60 words."""
    rng = np.random.default_rng(seed)
    sentences = np.array([s.split() for s in _sentences()], dtype=object)
    texts = []
    while len(texts) < n_documents:
        words = []
        for sentence in sentences[rng.integers(len(sentences), size=100_000)]:
            words += sentence
            if len(words) >= N_WORDS:
                texts.append(" ".join(words[:N_WORDS]))
                words = []
    return texts[:n_documents]


def _sentences():
    folder = os.environ.get("SKLRANK_TEST_DATA")
    if folder:
        for path in sorted(Path(folder).glob("*/corpus.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as file:
                for line in file:
                    document = json.loads(line)
                    yield from _split(f"{document.get('title', '')}. {document['text']}")
    else:
        from sklrank.datasets import load_scifact

        for text in load_scifact().corpus.text():
            yield from _split(text)


def _split(text):
    return [s for s in re.split(r"(?<=[.!?])\s+", text) if len(s.split()) > 2]


def make_queries(kind, texts, n_queries=500, seed=1):
    """Queries of distinct terms of a random document each; `kind` is "light" or "heavy".

    Light ones have two to five terms, and the 50 most frequent words are left out. Heavy ones have three to seven words
    as they stand in the text, so that stop words are among them.
    """
    rng = np.random.default_rng(seed)
    sample = " ".join(texts[i] for i in rng.integers(len(texts), size=2000)).lower()
    words, counts = np.unique(_TOKEN.findall(sample), return_counts=True)
    frequent = set(words[np.argsort(-counts)][:_N_FREQUENT].tolist()) if kind == "light" else set()
    least, most = (2, 5) if kind == "light" else (3, 7)
    queries = []
    while len(queries) < n_queries:
        tokens = _TOKEN.findall(texts[rng.integers(len(texts))].lower())
        n_terms = int(rng.integers(least, most + 1))
        drawn = rng.permutation(np.array(tokens, dtype=object)).tolist()
        # ASCII, because engines disagree on what a letter is elsewhere
        drawn = [t for t in drawn if t not in frequent and t.isascii()]
        drawn = list(dict.fromkeys(drawn))[:n_terms]
        if len(drawn) >= least:
            queries.append(" ".join(drawn))
    return queries
