"""
Tuning BM25
===========

``GridSearchCV`` tunes a retriever as it tunes a classifier. The corpus is tokenized only once for all settings and
folds, so that 30 settings in five folds take seconds.

The claim of this example: the surface of ``k1`` × ``b`` is flat around its top, and the setting that is best on the
training queries is not always better than the default on other queries.
"""

# %%
# Tune on the training queries, and evaluate on the test queries.
from sklearn.model_selection import GridSearchCV

from sklrank.datasets import load_scifact
from sklrank.encoders import TermVectorizer
from sklrank.metrics import get_scorer
from sklrank.retrievers import BM25Retriever

train, test = load_scifact("train"), load_scifact("test")
bm25 = BM25Retriever(train.corpus, vectorizer=TermVectorizer(language="english"))
grid = {"k1": [0.3, 0.6, 0.9, 1.2, 1.6, 2.0], "b": [0.2, 0.4, 0.6, 0.8, 1.0]}
search = GridSearchCV(bm25, grid, scoring=get_scorer("ndcg@10")).fit(train.queries, train.qrels)
search.best_params_, round(search.best_score_, 4)

# %%
# Plot the whole surface. The standard error of the best cell shows which differences matter.
import matplotlib.pyplot as plt
import numpy as np

means = search.cv_results_["mean_test_score"].reshape(len(grid["b"]), len(grid["k1"]))
error = search.cv_results_["std_test_score"][search.best_index_] / np.sqrt(search.n_splits_)
figure, axes = plt.subplots(layout="constrained")
image = axes.imshow(means, origin="lower", cmap="viridis")
for (row, column), value in np.ndenumerate(means):
    axes.text(column, row, f"{value:.3f}", ha="center", va="center", color="black" if value > means.mean() else "white")
axes.set(
    xticks=range(len(grid["k1"])),
    xticklabels=grid["k1"],
    yticks=range(len(grid["b"])),
    yticklabels=grid["b"],
    xlabel="k1",
    ylabel="b",
    title=f"nDCG@10 on the training queries; standard error of the best {error:.3f}",
)
figure.colorbar(image, label="nDCG@10")
plt.show()

# %%
# Test the difference from the default on queries that the search has not seen:
from sklrank.metrics import compare

runs = {"default": bm25.fit(train.queries).predict(test.queries), "tuned": search.predict(test.queries)}
print(compare(test.qrels, runs, ["ndcg@10", "map", "recall@100"]))
