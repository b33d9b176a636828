"""
What MaxSim matched
===================

Late interaction compares texts token by token: each token of the query looks for the one of the document that is most
like it, and the similarities are added. So a score can be read.

The claim of this example: texts that share no word match all the same, and one sees by what. One sees, too, that every
word finds something, whether or not it is there.
"""

# %%
# An encoder of tokens without a model: the vector of a word is that of its stem in a latent semantic analysis of the
# corpus. Where an encoder has ``tokens``, an explanation names them. A neural one takes its place as
# ``MaxSimReranker(OnnxTokenEncoder("model.onnx"), OnnxTokenEncoder("model.onnx", role="query"))``.
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import make_pipeline

from sklrank.data import TokenVectors
from sklrank.encoders import TermVectorizer


class WordEncoder(TransformerMixin, BaseEstimator):
    """One vector a word."""

    def fit(self, X, y=None):
        self.stems_ = TermVectorizer(language="english")
        lsa = make_pipeline(
            self.stems_, TfidfTransformer(sublinear_tf=True), TruncatedSVD(64, n_iter=2, random_state=0)
        ).fit(X)
        vectors = lsa[-1].components_.T * lsa[-1].singular_values_
        self.vectors_ = np.vstack([vectors, np.zeros(64)])  # the last for words that the corpus lacks
        return self

    def transform(self, X):
        stems, numbers = self.stems_.build_analyzer(), self.stems_.vocabulary_
        return TokenVectors.from_list([self.vectors_[[numbers.get(stem, -1) for stem in stems(text)]] for text in X])

    def tokens(self, X):
        return list(map(TermVectorizer(stop_words="english").build_analyzer(), X))


# %%
# A query, which in SciFact is a claim, and the title of a document that was judged relevant to it. The encoder learns
# from whole texts.
from sklearn.frozen import FrozenEstimator

from sklrank.datasets import load_scifact
from sklrank.inspection import alignment
from sklrank.rerankers import MaxSimReranker
from sklrank.retrievers import BM25Retriever

data = load_scifact()
encoder = FrozenEstimator(WordEncoder().fit(data.corpus.text().tolist()))
candidates = BM25Retriever(data.corpus, vectorizer=TermVectorizer(language="english")).fit_transform(data.queries)
matched = alignment(MaxSimReranker(encoder, field="title"), candidates, "20532591", query="1107")
print(matched)

# %%
# All similarities, and in each row the one that counts.
import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(7, 5.5), layout="constrained")
image = ax.imshow(matched.similarities, cmap="viridis")
rows = range(len(matched.query_tokens))
ax.scatter(matched.matches, rows, marker="s", s=700, facecolors="none", edgecolors="C1", linewidths=2)
for row, column in enumerate(matched.matches):
    value = matched.similarities[row, column]
    ax.text(column, row, f"{value:.2f}", ha="center", va="center", color="black" if value > 0.6 else "white")
ax.set_xticks(
    range(len(matched.document_tokens)), matched.document_tokens, rotation=40, ha="right", rotation_mode="anchor"
)
ax.set_yticks(rows, matched.query_tokens)
ax.set(xlabel="words of the title", ylabel="words of the claim")
figure.colorbar(image, label="cosine")
plt.show()

# %%
# *Fat* finds *adipose*, and *browning* too. *Undergo* and *processes* find nothing of their kind, and add half as much:
# ``query_weights`` says what each token counts.
