"""
Tuning fusion in one grid search
================================

Which retrievers to fuse, how, with what weights, and how to set each of them: all of these are parameters of one
pipeline, and one ``GridSearchCV`` goes over them. Retrieval is not repeated where only the fuser changes.

The claim of this example: under the best weights it matters little how one fuses, and around them the surface is flat.
Under equal weights it matters: ranks forget how far apart documents were, so that a weak retriever does more harm.
"""

# %%
# BM25 over stems, BM25 over pieces of words, and latent semantic analysis.
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import Pipeline, make_pipeline

from sklrank.datasets import load_scifact
from sklrank.encoders import TermVectorizer
from sklrank.fusers import ReciprocalRankFuser
from sklrank.retrievers import BM25Retriever, DenseRetriever, RetrieverUnion

train, test = load_scifact("train"), load_scifact("test")
corpus = train.corpus
lsa = make_pipeline(
    TermVectorizer(language="english", min_df=2),
    TfidfTransformer(sublinear_tf=True),
    TruncatedSVD(300, n_iter=2, random_state=0),
)
union = RetrieverUnion(
    [
        ("words", BM25Retriever(corpus, vectorizer=TermVectorizer(language="english"))),
        ("pieces", BM25Retriever(corpus, vectorizer=TermVectorizer(analyzer="char_wb", ngram_range=(5, 5)))),
        ("lsa", DenseRetriever(corpus, encoder=lsa)),
    ]
)
pipe = Pipeline([("union", union), ("fuser", ReciprocalRankFuser())])

# %%
# One search over two fusers with all weights in tenths that sum to 1, and over ``k1`` of a retriever under one of them.
# What each retriever found for a query is kept, whatever the fuser then does with it.
from sklearn.model_selection import GridSearchCV

from sklrank.fusers import ScoreFuser, simplex_grid
from sklrank.metrics import get_scorer

names = ["words", "pieces", "lsa"]
weights = simplex_grid(names, step=0.1)
scores, ranks = ScoreFuser("weighted"), ReciprocalRankFuser()
grids = [
    {"fuser": [scores], "fuser__weights": weights},
    {"fuser": [ranks], "fuser__weights": weights},
    {"fuser": [scores], "fuser__weights": [{"words": 0.8, "pieces": 0.1, "lsa": 0.1}], "union__words__k1": [0.9, 1.6]},
]
search = GridSearchCV(pipe, grids, scoring=get_scorer("ndcg@10"), cv=3).fit(train.queries, train.qrels)
len(search.cv_results_["params"]), search.best_params_, round(search.best_score_, 4)

# %%
# The simplex of weights: a corner is one retriever alone, an edge leaves one out, and in the middle all are equals.
import matplotlib.pyplot as plt
import numpy as np

corners = np.array([[0, 0], [1, 0], [0.5, 0.75**0.5]])
shares = np.array([[point[name] for name in names] for point in weights])
places = shares @ corners
even = np.argmin((shares**2).sum(axis=1))
means = search.cv_results_["mean_test_score"][: 2 * len(weights)].reshape(2, -1)
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, values, title in zip(axes, means, ("weighted scores", "reciprocal ranks")):
    points = ax.scatter(*places.T, c=values, s=260, marker="h", vmin=means.min(), vmax=means.max())
    best = np.argmax(values)
    ax.scatter(*places[best], s=260, marker="h", facecolors="none", edgecolors="C3", linewidths=2)
    for name, place, side in zip(names, corners, ("right", "left", "center")):
        ax.annotate(name, place, xytext=(0, 16 if side == "center" else -24), textcoords="offset points", ha="center")
    ax.set(title=f"{title}: {values[best]:.3f}, of equals {values[even]:.3f}", aspect="equal")
    ax.axis("off")
    ax.margins(0.15)
figure.colorbar(points, ax=axes, label="nDCG@10 on the training queries")
plt.show()

# %%
# On queries that the search has not seen, the tuned fusion is not shown to be better at the top than the best retriever
# alone. Its first hundred have somewhat more of the relevant documents, for a reranker to find.
from sklrank.metrics import compare

equals = pipe.set_params(fuser=ReciprocalRankFuser()).fit(train.queries)
runs = {
    "words": union.fit(train.queries).named_retrievers_.words.predict(test.queries),
    "equals": equals.predict(test.queries),
    "tuned": search.predict(test.queries),
}
print(compare(test.qrels, runs, ["ndcg@10", "recall@100"], baseline="words"))
