"""
Comparing runs
==============

Two systems differ on every collection of queries. Would they also differ on another one? `compare` answers this by
paired tests, confidence intervals and effect sizes, and computes the smallest difference that these queries could show.

The claim of this example: a mean hides that most queries do not change at all.
"""

# %%
# Rank the same corpus in four ways.
from sklrank.datasets import load_scifact
from sklrank.encoders import TermVectorizer
from sklrank.metrics import ComparisonDisplay, PerQueryDisplay, compare
from sklrank.retrievers import BM25FRetriever, BM25Retriever, LanguageModelRetriever, TfidfRetriever

data = load_scifact()
english = TermVectorizer(language="english")
systems = {
    "BM25": BM25Retriever(data.corpus, vectorizer=english),
    "BM25F": BM25FRetriever(data.corpus, weights={"title": 2, "text": 1}, vectorizer=english),
    "Dirichlet": LanguageModelRetriever(data.corpus, vectorizer=english),
    "TF-IDF": TfidfRetriever(data.corpus, vectorizer=english),
}
runs = {name: system.fit(data.queries).predict(data.queries) for name, system in systems.items()}
comparison = compare(data.qrels, runs, ["ndcg@10", "map"], baseline="BM25")
print(comparison)

# %%
# Plot the differences with their confidence intervals. If an interval includes zero, the difference could be chance.
import matplotlib.pyplot as plt

figure, axes = plt.subplots(layout="constrained")
ComparisonDisplay.from_comparison(comparison, metric="ndcg@10", ax=axes)
plt.show()

# %%
# Plot the difference for each query: on which queries does a system win or lose?
figure, axes = plt.subplots(layout="constrained")
PerQueryDisplay.from_comparison(comparison, metric="ndcg@10", run="Dirichlet", baseline="BM25", ax=axes)
plt.show()
