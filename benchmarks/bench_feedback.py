"""Gain of pseudo-relevance feedback over BM25: MAP of out-of-fold rankings, with all parameters cross-validated.

Five folds; on the four others a grid search of three folds chooses the parameters of BM25 and, for feedback, the number
of documents and terms and the weight of the query, by MAP. The baseline is BM25 tuned alike. Rankings of 1 000
documents; English stemmer and stop words. The p value is that of a paired t test over the queries, corrected by Holm
for the comparisons within a collection. The collections are not free to be shipped: the folder is that of
SKLRANK_TEST_DATA.

Time is that of whole searches of all queries, in CPU time, feedback against BM25 alone with the same parameters.
"""

import os
from pathlib import Path

import numpy as np

from benchmarks._harness import Row, interleave, require, seconds

COLLECTIONS = {"cisi": "CISI", "cranfield": "Cranfield", "vaswani": "Vaswani"}
BM25 = {"k1": [1.2, 2.0], "b": [0.5, 0.75]}
FEEDBACK = {"n_documents": [5, 10], "n_terms": [20, 60]}
WEIGHTS = {
    "RM3Retriever": {"original_weight": [0.4, 0.6]},
    "RocchioRetriever": {"beta": [0.75, 1.5]},
    "Bo1Retriever": {"beta": [0.4, 0.8]},
    "KLRetriever": {"beta": [0.4, 0.8]},
}
DEPTH, OUTER, INNER = 1000, 5, 3


def read(name):
    """Corpus, judged queries, and their judgments."""
    from sklrank.datasets import read_beir

    data = read_beir(Path(os.environ["SKLRANK_TEST_DATA"]) / name)
    queries = data.queries[np.isin(data.queries.ids.tolist(), data.qrels.ids.tolist())]
    return data.corpus, queries, data.qrels.align(queries)


def tuned(retriever, grid, queries, qrels):
    """The out-of-fold rankings of a grid search."""
    from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict

    from sklrank.metrics import get_scorer

    def folds(n):
        return KFold(n, shuffle=True, random_state=0)

    search = GridSearchCV(retriever, grid, scoring=get_scorer("map"), cv=folds(INNER), error_score="raise")
    runs = cross_val_predict(search, queries, qrels, cv=folds(OUTER))
    require(len(runs) == len(queries), "not every query was ranked")
    return runs


def measure(name, methods, rounds):
    """Rows of one collection."""
    import sklrank.retrievers
    from sklrank.encoders import TermVectorizer
    from sklrank.metrics import compare

    corpus, queries, qrels = read(name)
    bm25 = sklrank.retrievers.BM25Retriever(corpus, vectorizer=TermVectorizer(language="english"), k=DEPTH)
    runs = {"BM25": tuned(bm25, BM25, queries, qrels)}
    inner = {f"retriever__{parameter}": values for parameter, values in BM25.items()}
    contenders = {}
    for method in methods:
        feedback = getattr(sklrank.retrievers, method)(bm25, k=DEPTH)
        runs[method] = tuned(feedback, {**inner, **FEEDBACK, **WEIGHTS[method]}, queries, qrels)
        contenders[method] = feedback.fit(queries)
    comparison = compare(qrels, runs, "map", baseline="BM25")
    means = comparison.means["map"]
    for test in comparison.tests:
        method, gain = test["run"], means[test["run"]] / means["BM25"]
        p = "p < 0.0001" if test["p_adjusted"] < 1e-4 else f"p = {test['p_adjusted']:.4f}"
        yield Row(
            f"MAP, {COLLECTIONS[name]}, {method.removesuffix('Retriever')}",
            f"{means[method]:.4f} ({gain - 1:+.1%}, {p})",
            "BM25, tuned",
            f"{means['BM25']:.4f}",
            gain,
            1.0,
        )
    contenders["BM25"] = bm25.fit(queries)
    searches = {name: lambda one=one: one.predict(queries) for name, one in contenders.items()}
    times = interleave(searches, rounds=rounds, at_least=1.0)
    for method in methods:
        yield Row(
            f"a query, {COLLECTIONS[name]}, {method.removesuffix('Retriever')}",
            seconds(times[method] / len(queries)),
            "BM25",
            seconds(times["BM25"] / len(queries)),
            times["BM25"] / times[method],
        )


def run(quick=False):
    """All rows."""
    for name in list(COLLECTIONS)[: 1 if quick else None]:
        yield from measure(name, list(WEIGHTS)[: 1 if quick else None], rounds=3 if quick else 5)
