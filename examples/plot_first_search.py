"""
First search
============

This example indexes documents, searches them, explains why a document was found, and measures the rankings. It uses the
5 183 abstracts and 300 claims of SciFact, which are part of the package.

The claim of this example: what happens to the *words* matters more than any parameter of the ranking formula.
"""

# %%
# A corpus holds the documents. Queries are samples, and judgments are their targets.
from sklrank.datasets import load_scifact

data = load_scifact()
print(data.corpus, data.queries, data.qrels, sep="\n")

# %%
# The corpus is a parameter of a retriever. ``search`` is for interactive use: one query, and a few documents with their
# texts.
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import BM25Retriever

bm25 = BM25Retriever(data.corpus, vectorizer=TermVectorizer(language="english")).fit(data.queries)
claim = "Vitamin D deficiency is unrelated to birth weight."
answer = bm25.search(claim)
print(answer)

# %%
# Why is the first document first? Each term contributes to its score; rare terms and repeated ones contribute more.
best = answer.docids[0][0]
print(bm25.explain(claim, best))

# %%
# These are the positions of the terms in the document:
print(bm25.highlight(claim, best, window=30))

# %%
# ``predict`` is for programs: it returns one `Run` for all queries. Metrics take judgments and a run.
from sklrank.metrics import evaluate

run = bm25.predict(data.queries)
evaluate(data.qrels, run, ["ndcg@10", "map", "recall@100"])

# %%
# How much does the formula contribute, and how much the analysis of the words? This is the same retriever with and
# without a stemmer and a stop list, for several values of ``k1``.
import matplotlib.pyplot as plt
import numpy as np

vectorizers = {
    "words as they are": TermVectorizer(),
    "without stop words": TermVectorizer(stop_words="english"),
    "stemmed": TermVectorizer(stemmer="english"),
    "stemmed, without stop words": TermVectorizer(language="english"),
}
values = np.linspace(0.4, 2.4, 6)
figure, axes = plt.subplots(layout="constrained")
for name, vectorizer in vectorizers.items():
    retriever = BM25Retriever(data.corpus, vectorizer=vectorizer).fit(data.queries)
    scores = [retriever.set_params(k1=k1).score(data.queries, data.qrels) for k1 in values]
    axes.plot(values, scores, marker="o", label=name)
axes.set(xlabel="k1", ylabel="nDCG@10", title="Stemming moves the curve; k1 moves along it")
axes.legend()
plt.show()

# %%
# ``k1`` was set on a fitted retriever without a new ``fit``. The postings have raw counts, and the weights that depend
# on ``k1`` are computed for the terms of the queries.
