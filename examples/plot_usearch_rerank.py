"""
A small graph, and a reranker with the whole vectors
====================================================

A graph of neighbours finds vectors without reading all of them, but it has to be in memory. A graph over the first
dimensions of the vectors has a fraction of the size, but its candidates are in the wrong order. A reranker then reads
the whole vectors of the candidates.

The claim of this example: with a graph over a quarter of the dimensions, and 200 candidates that are reranked by all
dimensions, the result is nearly as good as exact search over all dimensions. A document that the graph misses cannot be
recovered.
"""

# %%
# Latent semantic analysis needs no model. Its vectors of fewer dimensions are the first dimensions of longer vectors.
# Some neural models are trained to have this property: for these, both encoders are `OnnxTextEncoder`, one of them with
# ``truncate_dim``.
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import make_pipeline

from sklrank.datasets import load_scifact
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import DenseRetriever


def lsa(n_dimensions):
    terms = TermVectorizer(stop_words="english", min_df=2)
    svd = TruncatedSVD(n_dimensions, n_iter=2, random_state=0)
    return make_pipeline(terms, TfidfTransformer(sublinear_tf=True), svd)


data = load_scifact()
exact = DenseRetriever(data.corpus, encoder=lsa(256), k=10).fit(data.queries).predict(data.queries)

# %%
# usearch builds a graph over some of the dimensions, and finds 200 candidates for each query. `DenseReranker` scores
# the first ``depth`` of them by all dimensions; it uses the document vectors of the search above.
import numpy as np

from sklrank.metrics import ndcg_score
from sklrank.rerankers import DenseReranker
from sklrank.retrievers import AnnRetriever

reranker = DenseReranker(lsa(256), k=10)
depths = [10, 20, 50, 100, 200]
found, quality = {}, {}
for n in (32, 64, 128):
    graph = AnnRetriever(data.corpus, encoder=lsa(n), k=200, random_state=0).fit(data.queries)
    candidates = graph.predict(data.queries)
    runs = [reranker.set_params(depth=depth).fit_transform(candidates) for depth in depths]
    found[n] = [np.mean([len(np.intersect1d(a.rows, b.rows)) / 10 for a, b in zip(run, exact)]) for run in runs]
    quality[n] = [ndcg_score(data.qrels, run, k=10) for run in runs]

# %%
# More candidates come closer to exact search. With fewer dimensions, more candidates are needed.
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for ax, curves, label in zip(axes, (found, quality), ("share of the exact top 10", "nDCG@10")):
    for n, values in curves.items():
        ax.plot(depths, values, "o-", label=f"{n} of 256")
    ax.set(xscale="log", xlabel="candidates that are reranked", ylabel=label, ylim=(0, None))
    ax.set_xticks(depths, labels=depths, minor=False)
    ax.minorticks_off()
axes[0].axhline(1, color="grey", linestyle=":")
axes[1].axhline(ndcg_score(data.qrels, exact, k=10), color="grey", linestyle=":", label="exact search")
axes[1].legend(title="dimensions in the graph")
plt.show()
