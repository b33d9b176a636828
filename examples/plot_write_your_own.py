"""
Write your own retriever, fuser, reranker, encoder and metric
=============================================================

Each kind of step is a class of a few lines that works with all others, in pipelines, unions and searches. The page
:doc:`/user_guide/write_your_own` explains them one by one; here they solve a task together.

The claim of this example: with typing errors, BM25 loses two thirds of its relevant documents. Fusion with trigrams of
characters recovers half of the loss, and costs almost nothing if queries are typed well.
"""

# %%
# **The task.** We take a hundred test queries of SciFact, and the same queries with two letters swapped in each word of
# at least five letters.
import numpy as np

from sklrank import Queries
from sklrank.datasets import load_scifact

data = load_scifact("test")
queries = data.queries[:100]
rng = np.random.default_rng(0)


def mistype(word):
    if len(word) < 5:
        return word
    at = rng.integers(1, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


mistyped = Queries({qid: " ".join(map(mistype, text.split())) for qid, text in zip(queries.ids, queries.texts)})
print(queries.texts[0], mistyped.texts[0], sep="\n")

# %%
# **An encoder** is any transformer of texts. This one counts trigrams of characters; rare trigrams weigh more.
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.feature_extraction.text import TfidfVectorizer


class TrigramEncoder(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.vectorizer_ = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), binary=True).fit(X)
        return self

    def transform(self, X):
        return self.vectorizer_.transform(X)


# %%
# **A retriever** turns queries into a run. Its encoder is a parameter, which is cloned and fitted, as usual in
# scikit-learn.
from sklrank import Corpus, Run
from sklrank.base import Fuser, Reranker, Retriever


class TitleRetriever(Retriever):
    def __init__(self, corpus, encoder, *, k=100):
        self.corpus = corpus
        self.encoder = encoder
        self.k = k

    def fit(self, X, y=None):
        self.corpus_ = Corpus.of(self.corpus)
        titles = self.corpus_.text("title").tolist()
        self.encoder_ = clone(self.encoder).fit(titles)
        self.titles_ = self.encoder_.transform(titles)
        return self

    def transform(self, X):
        queries = Queries.of(X)
        scores = self.encoder_.transform(queries.texts) @ self.titles_.T
        return Run(scores, queries=queries, corpus=self.corpus_, name="titles").head(self.k)


# %%
# **A fuser** ranks candidates with one score column for each retriever. This one gives a list more weight if the score
# of its first document is far above that of the tenth: a retriever that knows the words of a query is confident.
class ConfidenceFuser(Fuser):
    def __init__(self, *, k=None):
        self.k = k

    def transform(self, X):
        fused = np.zeros(len(X.rows))
        for name in X.columns:
            scores, ranks = np.nan_to_num(X.column(name)), X.column_ranks(name)
            for start, stop in zip(X.indptr[:-1], X.indptr[1:]):
                best = -np.sort(-scores[start:stop])[:10]
                confidence = 0.0
                if len(best) and best[0] > 0:
                    confidence = 1 - best[-1] / best[0]
                fused[start:stop] += np.nan_to_num(confidence / (10 + ranks[start:stop]))
        return X.reorder(fused, k=self.k, name="confidence")


# %%
# **A reranker** ranks candidates again. This one finds the sentence that is most similar to the query.
class SentenceReranker(Reranker):
    def __init__(self, encoder, *, depth=10, weight=0.3):
        self.encoder = encoder
        self.depth = depth
        self.weight = weight

    def transform(self, X):
        X = X.head(self.depth)
        texts = X.corpus.text()
        sentences = {row: texts[row].split(". ") for row in np.unique(X.rows).tolist()}
        vectors = self.encoder.transform([sentence for of_text in sentences.values() for sentence in of_text])
        ends = np.cumsum([len(of_text) for of_text in sentences.values()])
        spans = {row: slice(end - len(sentences[row]), end) for row, end in zip(sentences, ends)}
        scores = []
        for asked, ranking in zip(self.encoder.transform(X.queries.texts), X):
            asked = asked.toarray()[0]
            for rank, row in enumerate(ranking.rows.tolist(), start=1):
                scores.append(1 / (10 + rank) + self.weight * (vectors[spans[row]] @ asked).max())
        return X.with_old_score().reorder(scores, name="sentences")


# %%
# **A metric** is a function of judgments and a run. This one tells whether the first screen, with five documents, holds
# a relevant document.
def first_screen(y_true, y_pred):
    return [any(grades.get(d, 0) > 0 for d in docids[:5]) for grades, docids in zip(y_true, y_pred.docids)]


# %%
# All steps together, with BM25:
from sklearn.feature_extraction.text import HashingVectorizer

from sklrank.encoders import TermVectorizer
from sklrank.metrics import evaluate
from sklrank.retrievers import BM25Retriever, RetrieverUnion

union = RetrieverUnion(
    [
        ("bm25", BM25Retriever(data.corpus, vectorizer=TermVectorizer(language="english"))),
        ("titles", TitleRetriever(data.corpus, TrigramEncoder())),
    ]
).fit(queries)
trigrams = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 3), binary=True)
values = {}
for name, asked in {"typed well": queries, "mistyped": mistyped}.items():
    candidates = union.transform(asked)
    fused = ConfidenceFuser().fit_transform(candidates)
    reranked = SentenceReranker(trigrams).fit_transform(fused)
    runs = [retriever.transform(asked) for _, retriever in union.retrievers_]
    qrels = data.qrels.align(asked)
    values[name] = [evaluate(qrels, run, [first_screen])["first_screen"] for run in (*runs, fused, reranked)]
values

# %%
# The figure shows the effect of each step:
import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
positions = np.arange(4)
for i, (name, of_steps) in enumerate(values.items()):
    bars = ax.bar(positions + 0.4 * i, of_steps, width=0.38, label=name)
    ax.bar_label(bars, fmt="%.2f")
ax.set_xticks(positions + 0.2, ["BM25", "trigrams\nof titles", "fused", "reranked\nby sentences"])
ax.set(ylabel="a relevant document\non the first screen", ylim=(0, 1.15))
ax.legend(loc="upper right", ncols=2)
plt.show()

# %%
# These classes are steps of a pipeline like any others:
from sklearn.pipeline import make_pipeline

pipe = make_pipeline(union, ConfidenceFuser(k=100), SentenceReranker(trigrams, depth=3)).fit(queries)
print(pipe.predict([mistyped.texts[0]]))
