"""`sklrank warmup`: compile everything now, so that nobody waits for it later."""

import tempfile
import time
from pathlib import Path

from sklrank._cli._output import say

SUMMARY = "compile all kernels now, as when an image is built"
DESCRIPTION = """\
Compile all kernels by using what sklrank offers on the collection that it ships, and say where compiled code is kept.

It is kept beside the package; where that is read-only, in the user's cache folder; and where NUMBA_CACHE_DIR says so,
there. It serves one version of sklrank, Python, numba and numpy, on one kind of processor."""
EPILOG = """\
in a Dockerfile, for an image that other users and a read-only file system run:

  ENV NUMBA_CACHE_DIR=/opt/sklrank-cache
  RUN sklrank warmup && chmod -R a+rX /opt/sklrank-cache"""


def add_arguments(parser):
    """Declare the arguments; there are none."""


def run(args):
    """Use everything once; report."""
    started = time.perf_counter()
    exercise()
    seconds = time.perf_counter() - started
    found = [kernel.stats for kernel in kernels() if kernel.signatures]  # one that was inlined and loaded has none
    n_new = sum(bool(stats.cache_misses) or stats.cache_path is None for stats in found)
    say(f"everything is compiled after {seconds:.1f} s; new were {n_new} of {len(found)} kernels")
    say(_place({stats.cache_path for stats in found}))
    return 0


def kernels():
    """All kernels, by module and name."""
    import pkgutil
    from importlib import import_module

    from numba.core.dispatcher import Dispatcher

    import sklrank._kernels as package

    modules = [import_module(f"{package.__name__}.{module.name}") for module in pkgutil.iter_modules(package.__path__)]
    found = {
        (value.py_func.__module__, value.py_func.__name__): value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, Dispatcher)
    }
    return list(found.values())


def _place(paths):
    """Where compiled code is kept, and why there."""
    import os

    import sklrank

    if None in paths:
        return (
            "nothing is kept: neither the folder of the package nor the user's cache folder can be written, and each "
            "process compiles anew; set NUMBA_CACHE_DIR to a folder that can"
        )
    package = Path(sklrank.__file__).parent
    lines = []
    for path in sorted(paths):
        if os.environ.get("NUMBA_CACHE_DIR"):
            why = "as NUMBA_CACHE_DIR says"
        elif Path(path).is_relative_to(package):
            why = "beside the package"
        else:
            why = f"because {package} is read-only"
        if not any(Path(path).glob("*.nbi")):
            why += "; but nothing could be written there"
        lines.append(f"kept in {path}, {why}")
    return "\n".join(lines)


def exercise():
    """Use everything that runs kernels, in all forms that data come in."""
    import numpy as np
    from scipy import sparse
    from sklearn.feature_extraction.text import CountVectorizer

    from sklrank import Qrels, Run
    from sklrank._kernels._candidates import rank_candidates, settle_ties
    from sklrank._vectors import read_only
    from sklrank.data import TokenVectors
    from sklrank.datasets import load_scifact
    from sklrank.encoders import MuveraEncoder, TermVectorizer
    from sklrank.fusers import ProbabilisticFuser, fuse
    from sklrank.fusers._fuse import METHODS
    from sklrank.inspection import diagnose
    from sklrank.metrics import alpha_ndcg_score, compare, evaluate
    from sklrank.metrics._registry import MEASURES
    from sklrank.rerankers import DPPReranker
    from sklrank.retrievers import (
        BM25FRetriever,
        BM25Retriever,
        DenseRetriever,
        DFRRetriever,
        LanguageModelRetriever,
        LateInteractionRetriever,
        RM3Retriever,
        SparseRetriever,
        TfidfRetriever,
    )
    from sklrank.retrievers._ann_search import ranking_arrays

    data = load_scifact()
    queries, qrels = data.queries[:20], data.qrels[:20]
    TermVectorizer(min_df=2).fit_transform(data.corpus.text())
    some = np.arange(len(data.corpus)) % 2 == 0
    for retriever in (
        BM25Retriever(data.corpus),
        BM25Retriever(data.corpus, method="bm25+", vectorizer=TermVectorizer(language="english")),
        BM25FRetriever(data.corpus, weights={"title": 2.0, "text": 1.0}),
        LanguageModelRetriever(data.corpus),
        DFRRetriever(data.corpus),
        TfidfRetriever(data.corpus),
        BM25Retriever(data.corpus, vectorizer=CountVectorizer()),
    ):
        run = retriever.fit(queries).predict(queries)
        retriever.predict(queries, filter=some)
        if isinstance(retriever.vectorizer, TermVectorizer):
            retriever.highlight(queries.texts[0], run.docids[0][0])
        retriever.explain(queries.texts[0], run.docids[0][0])
    counts = CountVectorizer(max_features=500).fit_transform(data.corpus.text()[:1000].tolist())
    for matrix in (counts, counts.astype(np.float64), counts.astype(np.float32)):
        BM25Retriever().fit(matrix).predict(matrix[:5])

    large = sparse.csr_array(np.random.default_rng(0).integers(1, 5, size=(1 << 16, 2)))  # pruning begins above 2 ** 15
    BM25Retriever(k=10).fit(large).predict(large[:1])

    weights = counts.astype(np.float32)
    for dtype in ("float32", "uint8"):
        SparseRetriever(dtype=dtype).fit(weights).predict(weights[:5])
    SparseRetriever(k=10, dtype="uint8").fit(large).predict(large[:1])
    tokens = TokenVectors.from_list([np.eye(8)[:4], np.eye(8)])
    for dtype in ("float32", "float16", "int8", "binary"):
        dense = DenseRetriever(dtype=dtype).fit(np.eye(8))
        for n_queries in (1, 8):  # by kernels, and by matrix products
            dense.predict(np.eye(n_queries, 8))
        LateInteractionRetriever(dtype=dtype, pool_factor=2).fit(tokens).predict(tokens)
    MuveraEncoder().fit_transform(tokens)
    DPPReranker().fit_transform(DenseRetriever().fit(np.eye(2)).predict(np.eye(2)))
    RM3Retriever(BM25Retriever(data.corpus)).fit(queries).predict(queries)

    # What proposes candidates to AnnRetriever is in extras; that it ranks them is not.
    candidates, vectors = np.zeros((2, 1), dtype=np.int64), read_only(np.eye(2, dtype=np.float32))
    found = ranking_arrays(2, 1)
    rank_candidates(vectors, vectors, candidates, False, *found, 0, 2)
    settle_ties(vectors, vectors, np.zeros((2, 1), dtype=np.float32), np.zeros(2), False, *found, 0, 2)

    names = [name for name in MEASURES if name != "alpha_ndcg"]
    for rankings in (run, run.to_dict()):
        evaluate(qrels, rankings, names)
        evaluate(qrels.to_dict(), rankings, names)
    bounded = [name for name in names if MEASURES[name].how == "mean" and MEASURES[name].bounds]
    evaluate(qrels, run, bounded, bounds=True)
    compare(qrels, {"one": run, "other": run}, ["ndcg@10"])

    union = Run.union({"one": run, "other": run})
    for method, (kind, _) in METHODS.items():
        fuse(union, method, y=qrels if kind is ProbabilisticFuser else None)
    fuse(union, weights="learn", y=qrels)
    diagnose(union)
    Run.union({"long": Run({"q": {str(i): 1.0 for i in range(1 << 14)}})})  # many ids are numbered by their hashes

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "qrels")
        path.write_text("q s a 1\nq t b 1\n", encoding="utf-8")
        alpha_ndcg_score(Qrels.from_trec(path, subtopics=True), {"q": {"a": 2.0, "b": 1.0}})
