"""Gain of a cross-encoder over BM25, by depth, and the time of a query.

nDCG@10 of BM25, of BM25 reranked, and of both blended: the sum of z-scores over the columns that the reranker keeps.
The model is the small one of the folder that SKLRANK_TEST_DATA names. It serves for tests, and must reach a known
result. Seconds are those of one thread.
"""

import os
import time
from pathlib import Path

from benchmarks._harness import Row
from benchmarks.bench_hybrid import COLLECTIONS, load

ASKED = {"scifact": 0.729, "cranfield": 0.438}  # blended on the top 50
DEPTHS = (10, 50, 100)


def measure(name, depths=DEPTHS):
    """Rows of a collection."""
    from sklrank.encoders import TermVectorizer
    from sklrank.fusers import ScoreFuser
    from sklrank.metrics import ndcg_score
    from sklrank.rerankers import CrossEncoderReranker
    from sklrank.retrievers import BM25Retriever

    corpus, queries, qrels = load(name)
    model = Path(os.environ["SKLRANK_TEST_DATA"]) / "models" / "cross-encoder-tiny" / "model_int8.onnx"
    bm25 = BM25Retriever(corpus, vectorizer=TermVectorizer(language="english")).fit(queries)
    start = time.process_time()
    found = bm25.predict(queries)
    first = (time.process_time() - start) / len(queries)

    def row(system, run, seconds, **asked):
        value = ndcg_score(qrels, run, k=10)
        text = f"{value:.4f} at {seconds * 1e3:.1f} ms of CPU a query"
        return Row(f"{COLLECTIONS[name]}: {system}, nDCG@10", text, value=value, **asked)

    yield row("BM25", found, first)
    for depth in depths:
        reranker = CrossEncoderReranker(model, depth=depth, max_length=160, cache=0).fit(found)
        start = time.process_time()
        reranked = reranker.predict(found)
        seconds = first + (time.process_time() - start) / len(queries)
        yield row(f"cross-encoder on the top {depth}", reranked, seconds)
        blended = ScoreFuser(norm="zmuv").fit_transform(reranked)
        asked = {"least": ASKED[name]} if depth == 50 and name in ASKED else {}
        yield row(f"BM25 + cross-encoder on the top {depth}, sum of z-scores", blended, seconds, **asked)


def run(quick=False):
    """All rows."""
    for name in ("cranfield",) if quick else COLLECTIONS:
        yield from measure(name, (50,) if quick else DEPTHS)
