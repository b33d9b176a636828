"""
Tuning fusion in one grid search
================================

The choice of retrievers, the fuser, its weights and the settings of each retriever are parameters of one pipeline, and
one ``GridSearchCV`` searches over all of them. Retrieval is not repeated if only the fuser changes.

The claim of this example: with the best weights, the choice of the fuser matters little, and the surface around them is
flat. With equal weights, it matters: ranks lose the distances between scores, so that a weak retriever does more harm.
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
# The rankings of each retriever are cached and used by all fusers.
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
# The simplex of weights: a corner is one retriever alone, an edge leaves one out, and in the middle all weights are
# equal.
import matplotlib.pyplot as plt
import numpy as np

corners = np.array([[0, 0], [1, 0], [0.5, 0.75**0.5]])
shares = np.array([[point[name] for name in names] for point in weights])
positions = shares @ corners
even = np.argmin((shares**2).sum(axis=1))
means = search.cv_results_["mean_test_score"][: 2 * len(weights)].reshape(2, -1)
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, values, title in zip(axes, means, ("weighted scores", "reciprocal ranks")):
    points = ax.scatter(*positions.T, c=values, s=260, marker="h", vmin=means.min(), vmax=means.max())
    best = np.argmax(values)
    ax.scatter(*positions[best], s=260, marker="h", facecolors="none", edgecolors="C3", linewidths=2)
    for name, corner, offset in zip(names, corners, (-24, -24, 16)):
        ax.annotate(name, corner, xytext=(0, offset), textcoords="offset points", ha="center")
    ax.set(title=f"{title}: {values[best]:.3f}, of equals {values[even]:.3f}", aspect="equal")
    ax.axis("off")
    ax.margins(0.15)
figure.colorbar(points, ax=axes, label="nDCG@10 on the training queries")
plt.show()

# %%
# On queries that the search has not seen, the tuned fusion is not significantly better at the top than the best
# retriever alone. Its first hundred documents include somewhat more of the relevant ones, which a reranker can use.
from sklrank.metrics import compare

equals = pipe.set_params(fuser=ReciprocalRankFuser()).fit(train.queries)
runs = {
    "words": union.fit(train.queries).named_retrievers_.words.predict(test.queries),
    "equals": equals.predict(test.queries),
    "tuned": search.predict(test.queries),
}
print(compare(test.qrels, runs, ["ndcg@10", "recall@100"], baseline="words"))
