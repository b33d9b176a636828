"""
Relevance against redundancy
============================

The first ten documents of a ranking are often similar. Rerankers for diversity prefer documents that differ from those
above. ``lambda_`` is the weight of relevance.

The claim of this example: a little less redundancy is nearly free, and each further tenth costs more than the one
before. Maximal marginal relevance (MMR) and determinantal point processes (DPP) move along the same curve, but the same
lambda is a different point on it.
"""

# %%
# Both choose ten documents from the first fifty of BM25. They compare documents by the TF-IDF weights of their words.
from sklrank.datasets import load_scifact
from sklrank.encoders import TermVectorizer
from sklrank.rerankers import DPPReranker, MMRReranker
from sklrank.retrievers import BM25Retriever

data = load_scifact()
bm25 = BM25Retriever(data.corpus, vectorizer=TermVectorizer(language="english"), k=50)
candidates = bm25.fit_transform(data.queries)
rerankers = {"MMR": MMRReranker(k=10), "DPP": DPPReranker(k=10)}

# %%
# Redundancy is measured by other vectors, so that no reranker is judged by its own similarity. It is the mean cosine of
# two of the ten documents in a latent semantic analysis. Vectors of a neural encoder would work as well, both here and
# in the rerankers, by ``similarity=OnnxTextEncoder("model.onnx")``.
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

lsa = make_pipeline(
    TermVectorizer(language="english", min_df=2),
    TfidfTransformer(sublinear_tf=True),
    TruncatedSVD(100, n_iter=2, random_state=0),
    Normalizer(),
)
vectors = lsa.fit_transform(data.corpus.text().tolist())


def redundancy(run):
    """Return the mean cosine of two documents among the first ten, over all queries."""
    pairs = np.triu_indices(10, 1)
    return np.mean([(vectors[ranking.rows[:10]] @ vectors[ranking.rows[:10]].T)[pairs].mean() for ranking in run])


# %%
# One point for each weight of relevance. A claim of SciFact has one relevant document, and seldom more, so that
# diversity can only lower nDCG: the curve shows its price.
from sklrank.metrics import ndcg_score

lambdas = [0.8, 0.6, 0.4, 0.2, 0.1]
start = redundancy(candidates), ndcg_score(data.qrels, candidates, k=10)
curves = {name: [start] for name in rerankers}
for name, reranker in rerankers.items():
    for lambda_ in lambdas:
        run = reranker.set_params(lambda_=lambda_).fit_transform(candidates)
        curves[name].append((redundancy(run), ndcg_score(data.qrels, run, k=10)))

# %%
# Points at the top left are best.
import matplotlib.pyplot as plt

figure, ax = plt.subplots(layout="constrained")
for (name, points), color, side, offset in zip(curves.items(), ("C0", "C1"), ("right", "left"), ((-5, 5), (5, -12))):
    ax.plot(*zip(*points), "o-", color=color, label=name)
    for lambda_, point in zip(lambdas, points[1:]):
        ax.annotate(lambda_, point, xytext=offset, textcoords="offset points", ha=side, color=color)
ax.plot(*start, "*", color="black", markersize=12, label="BM25, or lambda = 1")
ax.set(xlabel="redundancy (mean cosine of two documents among the first ten)", ylabel="nDCG@10")
ax.margins(0.08)
ax.legend(title="numbers are lambda", loc="lower right")
plt.show()

# %%
# If judgments tell which aspect of a query each document covers, `alpha_ndcg_score` measures relevance and diversity
# together, and diversity raises it.
