"""Quality of hybrid retrieval, and the time of one query.

Quality: nDCG@10 of BM25, latent semantic analysis (LSA), MiniLM and SPLADE alone and fused, on collections with
judgments. Parameters are tuned by nested cross-validation: a grid search inside each of five training folds, and the
rankings of the held-out queries joined. The result must not be worse than reciprocal rank fusion without tuning, the
usual hybrid. The models and the collections come from the folder that SKLRANK_TEST_DATA names. The vectors of the texts
are kept in the cache folder of the user.

Latency: one query at a time through BM25, LSA and reciprocal rank fusion at 100 000 documents, and how much of it is
outside of kernels, matrix products and scikit-learn's LSA, which takes most of the time: its transform copies the
components for each query.
"""

import os
import time
from pathlib import Path

import numpy as np

from benchmarks._corpora import make_queries, make_texts
from benchmarks._harness import Row, require, thousands

COLLECTIONS = {"scifact": "SciFact", "cranfield": "Cranfield", "vaswani": "Vaswani"}
ASKED = {"scifact": 0.728, "cranfield": 0.470}  # of BM25 and MiniLM, fused


def cache_folder():
    """Where encodings are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sklrank-benchmarks"


def load(name):
    """The judged queries of a collection, its corpus and judgments."""
    from sklrank.datasets import read_beir

    data = read_beir(Path(os.environ["SKLRANK_TEST_DATA"]) / name)
    judged = np.flatnonzero(np.diff(data.qrels.align(data.queries).indptr))
    queries = data.queries[judged]
    return data.corpus, queries, data.qrels.align(queries)


def retrievers(corpus):
    """The first stages by name."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    from sklrank.encoders import OnnxSparseEncoder, OnnxTextEncoder, TermVectorizer
    from sklrank.retrievers import BM25Retriever, DenseRetriever, SparseRetriever

    models = Path(os.environ["SKLRANK_TEST_DATA"]) / "models"
    lsa = make_pipeline(TfidfVectorizer(sublinear_tf=True, stop_words="english"), TruncatedSVD(200, random_state=0))
    minilm = OnnxTextEncoder(
        str(models / "all-minilm-l6-v2" / "model_int8.onnx"), max_length=256, cache_folder=cache_folder()
    )
    splade = OnnxSparseEncoder(
        str(models / "splade-tiny" / "model_int8.onnx"), max_length=256, cache_folder=cache_folder()
    )
    return {
        "bm25": BM25Retriever(corpus, vectorizer=TermVectorizer(language="english")),
        "lsa": DenseRetriever(corpus, encoder=lsa),
        "minilm": DenseRetriever(corpus, encoder=minilm),
        "splade": SparseRetriever(corpus, encoder=splade),
    }


LABELS = {"bm25": "BM25", "lsa": "LSA", "minilm": "MiniLM", "splade": "SPLADE"}


def pipeline(corpus, names, fuser):
    """Several first stages and a fuser."""
    from sklearn.pipeline import Pipeline

    from sklrank.retrievers import RetrieverUnion

    stages = retrievers(corpus)
    return Pipeline([("union", RetrieverUnion([(name, stages[name]) for name in names])), ("fuser", fuser)])


def measure_quality(name):
    """All figures on one collection."""
    from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict

    from sklrank.fusers import ReciprocalRankFuser, ScoreFuser, simplex_grid
    from sklrank.metrics import get_scorer, ndcg_score

    corpus, queries, qrels = load(name)
    require(len(queries) > 50, f"{name} has judged queries")

    def row(system, run, **asked):
        value = ndcg_score(qrels, run, k=10)
        return value, Row(f"{COLLECTIONS[name]}: {system}, nDCG@10", f"{value:.4f}", value=value, **asked)

    for one, retriever in retrievers(corpus).items():
        yield row(LABELS[one], retriever.fit(queries).predict(queries))[1]
    for names in (("bm25", "lsa"), ("bm25", "minilm"), ("bm25", "splade"), ("bm25", "minilm", "splade")):
        label = " + ".join(LABELS[one] for one in names)
        rrf = pipeline(corpus, names, ReciprocalRankFuser()).fit(queries)
        untuned, line = row(f"{label}, reciprocal ranks", rrf.predict(queries))
        yield line
        asked = {"least": ASKED[name]} if names == ("bm25", "minilm") and name in ASKED else {}
        scores = pipeline(corpus, names, ScoreFuser(norm="zmuv")).fit(queries)
        yield row(f"{label}, sum of z-scores", scores.predict(queries), **asked)[1]
        scores = pipeline(corpus, names, ScoreFuser()).fit(queries)
        yield row(f"{label}, sum of min-max scores", scores.predict(queries))[1]
        if len(names) == 2:
            grid = {
                "fuser__norm": ["zmuv", "min-max", "dbsf"],
                "fuser__weights": simplex_grid(names, 0.25)[1:-1],  # both have a say
            }
            fuser = ScoreFuser("weighted")
            search = GridSearchCV(pipeline(corpus, names, fuser), grid, scoring=get_scorer("ndcg@10"), cv=5)
            folds = KFold(5, shuffle=True, random_state=0)
            tuned = cross_val_predict(search, queries, qrels, cv=folds)
            yield row(f"{label}, norm and weights tuned, held-out folds", tuned, least=round(untuned, 4))[1]


def measure_latency(n_documents, n_queries):
    """One query at a time: the wall clock, and what of it is outside of kernels, products and the encoder."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    from sklrank import Corpus
    from sklrank.fusers import ReciprocalRankFuser
    from sklrank.retrievers import BM25Retriever, DenseRetriever, RetrieverUnion

    texts = make_texts("real", n_documents)
    corpus = Corpus(texts)
    lsa = make_pipeline(TfidfVectorizer(min_df=2), TruncatedSVD(100, random_state=0))
    pipe = make_pipeline(
        RetrieverUnion([("bm25", BM25Retriever(corpus)), ("lsa", DenseRetriever(corpus, encoder=lsa))]),
        ReciprocalRankFuser(),
    )
    queries = make_queries("light", texts, n_queries + 100)
    pipe.fit(queries[:1])
    for query in queries[:100]:
        pipe.predict([query])
    with kernels_timed() as inside:
        above, whole = [], []
        for query in queries[100:]:
            inside[0] = 0.0
            start = time.perf_counter()
            pipe.predict([query])
            whole.append(time.perf_counter() - start)
            above.append(whole[-1] - inside[0])
    for quantile, limit in ((50, 2.0), (99, 5.0)):
        value, total = np.percentile(above, quantile) * 1e3, np.percentile(whole, quantile) * 1e3
        yield Row(
            f"BM25 + LSA + reciprocal ranks, one query, {thousands(n_documents)} documents, above kernels and "
            f"encoder, p{quantile}",
            f"{value:.2f} ms of {total:.2f}",
            value=value,
            limit=limit,
            unit="ms",
        )


class kernels_timed:
    """Context that adds up the seconds inside kernels, matrix products and encoders; gives a list of one float."""

    def __enter__(self):
        import sys

        from numba.core.registry import CPUDispatcher

        from sklrank.retrievers import _vectors

        inside, self._undo = [0.0], []

        def timed(function):
            def call(*arguments, **keywords):
                start = time.perf_counter()
                result = function(*arguments, **keywords)
                inside[0] += time.perf_counter() - start
                return result

            return call

        def patch(owner, name, function):
            self._undo.append((owner, name, function))
            setattr(owner, name, timed(function))

        for module_name, module in list(sys.modules.items()):
            if module_name.startswith("sklrank.") and not module_name.startswith("sklrank._kernels"):
                for name, value in list(vars(module).items()):
                    if isinstance(value, CPUDispatcher):
                        patch(module, name, value)
        patch(np, "matmul", np.matmul)
        patch(_vectors, "encode_queries", _vectors.encode_queries)
        return inside

    def __exit__(self, *_):
        for owner, name, function in self._undo:
            setattr(owner, name, function)


def run(quick=False):
    """All rows."""
    for name in ("cranfield",) if quick else COLLECTIONS:
        yield from measure_quality(name)
    yield from measure_latency(*((20_000, 200) if quick else (100_000, 1000)))
