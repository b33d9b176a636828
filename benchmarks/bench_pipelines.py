"""Gain of each stage of a pipeline on SciFact, and the time of one query.

BM25 and MiniLM alone, fused by the sum of z-scores (hybrid), and with the first documents of the hybrid ranking
reranked: by MaxSim over token vectors of MiniLM, or by the small cross-encoder of the folder that SKLRANK_TEST_DATA
names. The score of a reranker is added to the hybrid score, again as z-scores, and nothing is tuned. The other
documents stay below, so that the recall is that of the hybrid ranking.

Queries are searched one by one, on one thread. The time includes encoding the query, but not the documents, whose
vectors are computed before, and so are the token vectors of the documents that MaxSim reads. They are kept in the cache
folder of the user.
"""

import os
from pathlib import Path

import numpy as np

from benchmarks._harness import Row, seconds, wall_and_cpu
from benchmarks.bench_hybrid import LABELS, cache_folder, load, retrievers

N_CANDIDATES = 100
DEPTHS = {"MaxSim": 30, "cross-encoder": 50}
MAX_LENGTH = 256


def stages(corpus, queries):
    """The pipelines by name, fitted."""
    from sklearn.base import clone
    from sklearn.pipeline import Pipeline

    from sklrank.data import TokenVectors
    from sklrank.encoders import OnnxTokenEncoder
    from sklrank.fusers import ScoreFuser
    from sklrank.rerankers import CrossEncoderReranker, MaxSimReranker
    from sklrank.retrievers import RetrieverUnion

    models = Path(os.environ["SKLRANK_TEST_DATA"]) / "models"

    def token_encoder(**settings):
        return OnnxTokenEncoder(
            models / "all-minilm-l6-v2" / "model_int8.onnx", special_tokens=False, max_length=MAX_LENGTH, **settings
        )

    def first(corpus):
        found = {name: one for name, one in retrievers(corpus).items() if name in ("bm25", "minilm")}
        found["minilm"].set_params(query_encoder=clone(found["minilm"].encoder).set_params(cache_folder=None))
        return {name: one.set_params(k=N_CANDIDATES) for name, one in found.items()}

    def hybrid(corpus):
        return [
            ("union", RetrieverUnion(list(first(corpus).items()), cache=False)),
            ("hybrid", ScoreFuser(norm="zmuv", k=N_CANDIDATES)),
        ]

    plain = Pipeline(hybrid(corpus)).fit(queries)
    run = plain.predict(queries)
    depth = DEPTHS["MaxSim"]
    seen = np.unique(np.concatenate([run.rows[i : min(i + depth, j)] for i, j in zip(run.indptr[:-1], run.indptr[1:])]))
    tokens = [np.empty((0, 384), dtype=np.float32)] * len(corpus)
    for row, matrix in zip(seen, token_encoder(cache_folder=cache_folder()).transform(corpus.text()[seen].tolist())):
        tokens[row] = matrix
    with_tokens = corpus.with_columns(tokens=TokenVectors.from_list(tokens))
    of_queries = token_encoder(role="query", query_length=None)
    maxsim = MaxSimReranker(query_encoder=of_queries, field="tokens", depth=depth, tail="keep")
    model = models / "cross-encoder-tiny" / "model_int8.onnx"
    cross_encoder = CrossEncoderReranker(model, depth=DEPTHS["cross-encoder"], tail="keep", max_length=160, cache=0)
    for name, retriever in first(corpus).items():
        yield LABELS[name], retriever.fit(queries)
    yield "hybrid", plain
    for name, reranker, documents in [("MaxSim", maxsim, with_tokens), ("cross-encoder", cross_encoder, corpus)]:
        steps = [*hybrid(documents), ("reranker", reranker)]
        alone = Pipeline(steps)
        yield f"hybrid + {name} on the top {DEPTHS[name]}, its order alone", alone.fit(queries)
        yield (
            f"hybrid + {name} on the top {DEPTHS[name]}",
            Pipeline([*steps, ("fuser", ScoreFuser(norm="zmuv"))]).fit(queries),
        )


def run(quick=False):
    """Yield the lines of the table."""
    from sklrank.metrics import ndcg_score, recall_at_k_score

    corpus, queries, qrels = load("scifact")
    few = queries[:: 60 if quick else 6]
    pipes = dict(stages(corpus, queries))
    runs = {name: pipe.predict(queries) for name, pipe in pipes.items()}
    times = {name: [] for name in pipes}
    for i in range(len(few)):
        for name, pipe in pipes.items():
            times[name].append(one_query(pipe, few[i : i + 1]))
    for name, found in runs.items():
        ndcg, recall = ndcg_score(qrels, found, k=10), recall_at_k_score(qrels, found, k=100)
        quality = f"nDCG@10 {ndcg:.4f}, recall@100 {recall:.4f}"
        wall, cpu = np.median(times[name], axis=0)
        yield Row(name, f"{quality}; a query {seconds(wall)}, {seconds(cpu)} of CPU")


def one_query(pipe, query):
    """Time by both clocks."""
    start = wall_and_cpu()
    pipe.predict(query)
    return wall_and_cpu() - start
