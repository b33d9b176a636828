"""Record rankings and metric values, and compare two records bit for bit.

python -m benchmarks.record_rankings write FILE
python -m benchmarks.record_rankings compare OLD NEW

Every retriever, fuser and reranker ranks the queries of four collections, and every metric measures some of the
rankings. Write one record before a rebuild and one after it; `compare` lists each array that differs, and whatever it
lists belongs under "Changed rankings" in the changelog. The collections and the models come from the folder that
SKLRANK_TEST_DATA names.
"""

import os
import sys
from pathlib import Path

import numpy as np

COLLECTIONS = ["scifact", "cranfield", "cisi", "vaswani"]
BM25_METHODS = ["robertson", "lucene", "atire", "bm25l", "bm25+"]
SCORE_METHODS = ["sum", "weighted", "mnz", "gmnz", "wmnz", "anz", "max", "min", "median", "geometric", "harmonic"]
NORMS = [
    "min-max", "max", "sum", "zmuv", "dbsf", "tmm", "l2", "sigmoid", "rank", "borda", "quantile", "none",
]  # fmt: skip
RANK_METHODS = ["rbc", "isr", "log_isr", "logn_isr", "borda", "condorcet", "copeland", "median"]
PROBABILISTIC_METHODS = ["probfuse", "segfuse", "slidefuse", "posfuse", "mapfuse", "bayesfuse", "mixed"]
MODEL_COLLECTION = "cranfield"  # small enough to be encoded by every model


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "write":
        np.savez_compressed(sys.argv[2], **record(Path(os.environ["SKLRANK_TEST_DATA"])))
    elif len(sys.argv) == 4 and sys.argv[1] == "compare":
        sys.exit(compare(np.load(sys.argv[2]), np.load(sys.argv[3])))
    else:
        sys.exit(__doc__)


def compare(old, new):
    """Print what differs; return the number of differences."""
    n_different = 0
    for name in sorted({*old.files, *new.files}):
        if name not in new.files or name not in old.files:
            missing = "old" if name in new.files else "new"
            print(f"{name}: not in the {missing} record")
            n_different += missing == "new"
        elif old[name].dtype != new[name].dtype or old[name].tobytes() != new[name].tobytes():
            print(f"{name}: {describe(old[name], new[name])}")
            n_different += 1
    print(f"{len(old.files)} arrays in the old record, {len(new.files)} in the new one, {n_different} differ")
    return min(n_different, 1)


def describe(old, new):
    if old.shape != new.shape or old.dtype != new.dtype:
        return f"{old.dtype} {old.shape} became {new.dtype} {new.shape}"
    different = old.ravel() != new.ravel()
    if old.dtype.kind == "f":
        different &= ~(np.isnan(old.ravel()) & np.isnan(new.ravel()))
        return f"{different.sum()} of {old.size} values, by up to {np.nanmax(np.abs(old - new), initial=0):.3g}"
    return f"{different.sum()} of {old.size} values"


def record(folder):
    """Arrays by the name of what was run."""
    from sklrank.datasets import read_beir

    arrays = {}
    for name in COLLECTIONS:
        data = read_beir(folder / name)
        for system, run in rankings(data, folder / "models", with_models=name == MODEL_COLLECTION):
            print(f"{name}: {system}", flush=True)
            arrays.update({f"{name}/{system}/{part}": array for part, array in parts(run).items()})
            if system in ("bm25-lucene", "fused-sum-min-max", "dense-lsa"):
                arrays.update({f"{name}/{system}/{metric}": values for metric, values in measured(data.qrels, run)})
    return arrays


def parts(run):
    """The arrays of a run."""
    arrays = {"indptr": run.indptr, "rows": run.rows}
    if run.has_order:
        arrays["scores"] = run.scores
    return arrays


def measured(qrels, run):
    """Each metric with its values per query."""
    from sklrank.metrics import evaluate, get_scorer_names

    for metric in get_scorer_names():
        try:
            yield metric, evaluate(qrels, run, metric).per_query[metric]
        except ValueError as error:  # such as a metric of subtopics
            yield metric, np.frombuffer(type(error).__name__.encode(), dtype=np.uint8)


def rankings(data, models, with_models):
    """Each system with its run."""
    yield from retrieved(data)
    yield from fused(data)
    yield from reranked(data)
    if with_models:
        yield from ranked_by_models(data, models)


def lsa():
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TfidfVectorizer(sublinear_tf=True, stop_words="english"), TruncatedSVD(64, random_state=0))


def retrieved(data):
    from sklrank.encoders import TermVectorizer
    from sklrank.retrievers import (
        BM25FRetriever,
        BM25Retriever,
        Bo1Retriever,
        DenseRetriever,
        KLRetriever,
        LanguageModelRetriever,
        RM3Retriever,
        RocchioRetriever,
        SparseRetriever,
        TfidfRetriever,
    )

    corpus, queries = data.corpus, data.queries
    english = {"vectorizer": TermVectorizer(language="english")}
    plain = {"vectorizer": TermVectorizer()}
    bm25 = BM25Retriever(corpus, **english)
    retrievers = {f"bm25-{method}": BM25Retriever(corpus, method=method, k=1000, **plain) for method in BM25_METHODS}
    retrievers |= {
        "bm25-english": BM25Retriever(corpus, k1=0.9, b=0.4, **english),
        "bm25-default": BM25Retriever(corpus),
        "bm25f": BM25FRetriever(corpus, weights={"title": 2.0, "text": 1.0}, **english),
        "tfidf": TfidfRetriever(corpus, **english),
        "tfidf-sublinear": TfidfRetriever(corpus, sublinear_tf=True, **english),
        "lm-dirichlet": LanguageModelRetriever(corpus, **english),
        "lm-jelinek-mercer": LanguageModelRetriever(corpus, smoothing="jelinek-mercer", **english),
        "rm3": RM3Retriever(bm25),
        "rocchio": RocchioRetriever(bm25),
        "bo1": Bo1Retriever(bm25),
        "kl": KLRetriever(bm25),
        "dense-lsa": DenseRetriever(corpus, encoder=lsa(), k=100),
        "dense-lsa-int8": DenseRetriever(corpus, encoder=lsa(), dtype="int8", k=100),
        "dense-lsa-euclidean": DenseRetriever(corpus, encoder=lsa(), metric="euclidean", k=100),
        "sparse-tfidf": SparseRetriever(corpus, encoder=tfidf(), k=100),
        "sparse-uint8": SparseRetriever(corpus, encoder=tfidf(), dtype="uint8", k=100),
    }
    for name, retriever in retrievers.items():
        try:
            yield name, retriever.fit(queries).predict(queries)
        except (KeyError, ValueError) as error:  # such as a field that a collection lacks
            print(f"{name}: {error}")


def tfidf():
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer()


def union(data):
    from sklrank.encoders import TermVectorizer
    from sklrank.retrievers import BM25Retriever, DenseRetriever, RetrieverUnion, TfidfRetriever

    english = {"vectorizer": TermVectorizer(language="english"), "k": 50}
    retrievers = [
        ("bm25", BM25Retriever(data.corpus, **english)),
        ("tfidf", TfidfRetriever(data.corpus, **english)),
        ("lsa", DenseRetriever(data.corpus, encoder=lsa(), k=50)),
    ]
    return RetrieverUnion(retrievers).fit(data.queries).transform(data.queries)


def fused(data):
    from sklrank.fusers import ProbabilisticFuser, RankFuser, ReciprocalRankFuser, ScoreFuser

    candidates = union(data)
    yield "union", candidates
    weights = {"bm25": 1.0, "tfidf": 0.5, "lsa": 2.0}
    fusers = {"rrf": ReciprocalRankFuser(), "rrf-weighted": ReciprocalRankFuser(rank_constant=10, weights=weights)}
    for method in SCORE_METHODS:
        for norm in NORMS:
            for suffix, options in (("", {}), ("-weighted", {"weights": weights}), ("-zero", {"missing": "zero"})):
                fusers[f"{method}-{norm}{suffix}"] = ScoreFuser(method, norm=norm, **options)
    for method in RANK_METHODS:
        fusers[f"rank-{method}"] = RankFuser(method)
        fusers[f"rank-{method}-weighted"] = RankFuser(method, weights=weights)
    for method in PROBABILISTIC_METHODS:
        fusers[f"probabilistic-{method}"] = ProbabilisticFuser(method)
    fusers["sum-learned"] = ScoreFuser(weights="learn")
    judgments = data.qrels.align(data.queries)
    for name, fuser in fusers.items():
        try:
            yield f"fused-{name}", fuser.fit(candidates, judgments).transform(candidates)
        except ValueError as error:  # such as a mean that takes no negative scores
            print(f"fused-{name}: {error}")


def reranked(data):
    from sklrank.encoders import TermVectorizer
    from sklrank.rerankers import Cutoff, DenseReranker, DPPReranker, MMRReranker
    from sklrank.retrievers import BM25Retriever

    vectorizer = TermVectorizer(language="english")
    run = BM25Retriever(data.corpus, vectorizer=vectorizer, k=50).fit(data.queries).predict(data.queries)
    rerankers = {
        "dense": DenseReranker(lsa()),
        "dense-keep": DenseReranker(lsa(), depth=10, tail="keep"),
        "mmr": MMRReranker(0.7, similarity=lsa(), depth=20),
        "dpp": DPPReranker(0.7, similarity=lsa(), depth=20),
        "cutoff": Cutoff(5),
    }
    for name, reranker in rerankers.items():
        yield f"reranked-{name}", reranker.fit(run).transform(run)


def ranked_by_models(data, models):
    from sklrank.encoders import OnnxSparseEncoder, OnnxTextEncoder, OnnxTokenEncoder, TermVectorizer
    from sklrank.rerankers import CrossEncoderReranker, MaxSimReranker
    from sklrank.retrievers import BM25Retriever, DenseRetriever, LateInteractionRetriever, SparseRetriever

    corpus, queries = data.corpus, data.queries
    minilm, splade, cross = (
        str(models / name / "model_int8.onnx") for name in ("all-minilm-l6-v2", "splade-tiny", "cross-encoder-tiny")
    )
    tokens = OnnxTokenEncoder(minilm, max_length=128)
    retrievers = {
        "dense-minilm": DenseRetriever(corpus, encoder=OnnxTextEncoder(minilm, max_length=128)),
        "dense-minilm-binary": DenseRetriever(
            corpus, encoder=OnnxTextEncoder(minilm, max_length=128), dtype="binary", rescore=10
        ),
        "sparse-splade": SparseRetriever(corpus, encoder=OnnxSparseEncoder(splade, max_length=128)),
        "late-interaction": LateInteractionRetriever(corpus, encoder=tokens),
    }
    for name, retriever in retrievers.items():
        yield name, retriever.fit(queries).predict(queries)
    vectorizer = TermVectorizer(language="english")
    run = BM25Retriever(corpus, vectorizer=vectorizer, k=20).fit(queries).predict(queries)
    rerankers = {"maxsim": MaxSimReranker(tokens), "cross-encoder": CrossEncoderReranker(cross)}
    for name, reranker in rerankers.items():
        yield f"reranked-{name}", reranker.fit(run).transform(run)


if __name__ == "__main__":
    main()
