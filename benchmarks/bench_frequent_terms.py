"""Queries of frequent terms only, for which no pruning helps, beside bm25s."""

import numpy as np

from benchmarks._corpora import zipf_texts
from benchmarks._harness import Row, interleave, require, seconds, thousands

_N_QUERIES = 100
_FREQUENT = 60
_FLOORS = {"3 to 8 frequent words": 1.5, "30 words": 2.5}


def queries_of(texts, kind, seed=0):
    """Queries of 3 to 8 of the 60 most frequent words, or of the first 30 words of documents."""
    rng = np.random.default_rng(seed)
    if kind == "30 words":
        return [" ".join(text.split()[:30]) for text in texts[: 3 * _N_QUERIES] if len(text.split()) >= 30][:_N_QUERIES]
    words, counts = np.unique(" ".join(texts[:20_000]).split(), return_counts=True)
    frequent = words[np.argsort(-counts)][:_FREQUENT]
    return [" ".join(rng.choice(frequent, rng.integers(3, 9), replace=False)) for _ in range(_N_QUERIES)]


def run(quick=False):
    """All rows."""
    import bm25s

    from sklrank import Corpus
    from sklrank.retrievers import BM25Retriever

    n_documents = 40_000 if quick else 100_000
    texts = zipf_texts(n_documents)
    ours = BM25Retriever(Corpus(texts), k1=1.5, n_jobs=1).fit(None)
    theirs = bm25s.BM25(method="lucene", k1=1.5, b=0.75, backend="numba")
    theirs.index(bm25s.tokenize(texts, stopwords=None, show_progress=False), show_progress=False)
    for kind, floor in _FLOORS.items():
        queries = queries_of(texts, kind)
        tokens = bm25s.tokenize(queries, stopwords=None, show_progress=False, return_ids=False)
        for k in (10, 100):
            ours.set_params(k=k)

            def search(k=k, tokens=tokens):
                return theirs.retrieve(tokens, k=k, show_progress=False, n_threads=1)

            scores = ours.predict(queries).scores.reshape(len(queries), k)
            require(np.allclose(scores, search().scores, rtol=1e-4, atol=1e-4), f"{kind}, k={k}")
            times = interleave({"ours": lambda q=queries: ours.predict(q), "theirs": search}, rounds=9)
            mine, other = times["ours"] / len(queries), times["theirs"] / len(queries)
            what = f"{thousands(n_documents)} documents, {kind}, k={k}"
            yield Row(what, seconds(mine), "bm25s", seconds(other), other / mine, floor=floor)
