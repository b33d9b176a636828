"""
Search in Qdrant, and rerank what it finds
==========================================

Qdrant keeps vectors and finds the nearest ones; a reranker in this process reads the candidates. Both are steps of one
pipeline, so that a grid search can tune the depth of the reranker, and the effect of each step can be measured. This
example takes about a minute.

.. code-block:: sh

    pip install 'sklrank[qdrant]'
    python examples/qdrant_rerank.py
    python examples/qdrant_rerank.py --url http://localhost:6333

Without ``--url`` it runs Qdrant's embedded mode, in memory. The encoder is latent semantic analysis, and the reranker
compares words and pairs of words, so that nothing is downloaded. To use models (``pip install 'sklrank[onnx,hub]'``),
replace them by ``OnnxTextEncoder.from_hub(...)`` and ``CrossEncoderReranker.from_hub(...)``.
"""

import argparse

from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklrank.datasets import load_scifact
from sklrank.encoders import TermVectorizer
from sklrank.metrics import compare, get_scorer
from sklrank.rerankers import DenseReranker
from sklrank.retrievers import QdrantRetriever

lsa = make_pipeline(
    TermVectorizer(language="english", min_df=2),
    TfidfTransformer(sublinear_tf=True),
    TruncatedSVD(200, n_iter=2, random_state=0),
)
pairs = make_pipeline(TermVectorizer(language="english", ngram_range=(1, 2)), TfidfTransformer(sublinear_tf=True))


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description="Search SciFact in Qdrant and rerank, with a depth from training queries."
    )
    parser.add_argument("--url", help="address of a Qdrant server; default: embedded, in memory")
    url = parser.parse_args(arguments).url

    # The corpus is uploaded once, and each document is encoded once, for all settings of the grid search.
    train, test = load_scifact("train"), load_scifact("test")
    store = QdrantRetriever(train.corpus, encoder=lsa, url=url, k=100)
    pipe = make_pipeline(store, DenseReranker(pairs, tail="keep"))
    first = slice(0, 100)
    grid = {"densereranker__depth": [10, 30, 100]}
    search = GridSearchCV(pipe, grid, scoring=get_scorer("ndcg@10"), cv=2).fit(train.queries[first], train.qrels[first])
    print(f"best depth: {search.best_params_['densereranker__depth']}\n")

    retriever, reranker = search.best_estimator_
    found = retriever.predict(test.queries)
    runs = {"qdrant": found, "reranked": reranker.predict(found)}
    print(compare(test.qrels, runs, ["ndcg@10", "recall@10", "recall@100"], baseline="qdrant"))
    print(search.best_estimator_.predict(["do statins lower cholesterol"]))


if __name__ == "__main__":
    main()
