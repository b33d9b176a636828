"""
Recall against bytes
====================

A search for one query reads all vectors. Fewer bits are read faster, but lose documents. If candidates are scored again
from the float vectors, most of these documents are found again.

The claim of this example: one byte per dimension loses nothing. One bit per dimension, a thirty-second of the size,
loses nearly nothing if a few times more candidates are scored again. Dropping dimensions loses more.
"""

# %%
# Latent semantic analysis needs no model. The corpus is encoded once for all retrievers below.
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklrank.datasets import load_scifact
from sklrank.retrievers import DenseRetriever

data = load_scifact()
lsa = make_pipeline(TfidfVectorizer(sublinear_tf=True, stop_words="english"), TruncatedSVD(256, random_state=0))
dense = DenseRetriever(data.corpus, encoder=lsa, k=10).fit(data.queries)

# %%
# We measure the share of the exact top 10 (over all dimensions) that is kept, for each type of the vectors, number of
# candidates and number of dimensions.
import numpy as np

exact = dense.predict(data.queries)


def recall(retriever):
    """Return the share of the exact top 10 that the retriever finds."""
    run = retriever.fit(data.queries).predict(data.queries)
    return np.mean([len(np.intersect1d(a.rows, b.rows)) / 10 for a, b in zip(run, exact)])


curves = {}
for dtype, rescore in (("float32", None), ("int8", 1), ("binary", 2), ("binary", 10), ("binary", 50)):
    name = dtype
    if rescore is not None:
        name = f"{dtype}, rescore={rescore}"
    for dim in (64, 128, 256):
        retriever = dense.set_params(dtype=dtype, rescore=rescore, truncate_dim=dim)
        curves.setdefault(name, []).append((recall(retriever), retriever.bytes_per_vector_))

# %%
# The upper left is best: high recall with few bytes.
import matplotlib.pyplot as plt

figure, axes = plt.subplots(layout="constrained")
for name, points in curves.items():
    kept, sizes = zip(*points)
    axes.plot(sizes, kept, "o-", label=name)
axes.set(xscale="log", xlabel="bytes per vector", ylabel="share of the exact top 10", ylim=(0, 1.02))
axes.set_xticks([8, 32, 128, 512], labels=["8", "32", "128", "512"])
axes.legend(loc="lower right", title="64, 128 and 256 dimensions")
plt.show()
