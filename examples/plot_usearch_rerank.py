"""
A small graph, and a reranker with the whole vectors
====================================================

A graph of neighbours finds vectors without looking at all of them, and stands in memory. With the first dimensions of
the vectors only, it is a fraction of the size, and what it finds comes out in the wrong order. A reranker looks at the
whole vectors of what was found.

The claim of this example: behind a graph over a quarter of the dimensions, 200 candidates that are ranked anew by all
of them are nearly as good as exact search over all dimensions. What the graph did not find, nobody brings back.
"""

# %%
# Latent semantic analysis needs no model. Of fewer dimensions, it is the first dimensions of a larger one. Some neural
# models are trained to be like that: there, both encoders are `OnnxTextEncoder`, one of them with ``truncate_dim``.
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
# usearch builds a graph of some of the dimensions, and finds 200 candidates of each query. `DenseReranker` scores the
# first ``depth`` of them by all dimensions; the vectors of the documents are there already, from the search above.
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
# The deeper, the closer to exact search; with fewer dimensions, one has to go deeper.
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for ax, curves, label in zip(axes, (found, quality), ("share of the exact top 10", "nDCG@10")):
    for n, values in curves.items():
        ax.plot(depths, values, "o-", label=f"{n} of 256")
    ax.set(xscale="log", xlabel="candidates that are ranked anew", ylabel=label, ylim=(0, None))
    ax.set_xticks(depths, labels=depths, minor=False)
    ax.minorticks_off()
axes[0].axhline(1, color="grey", linestyle=":")
axes[1].axhline(ndcg_score(data.qrels, exact, k=10), color="grey", linestyle=":", label="exact search")
axes[1].legend(title="dimensions in the graph")
plt.show()
