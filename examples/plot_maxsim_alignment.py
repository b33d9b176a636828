"""
Matches of MaxSim, token by token
=================================

Late interaction compares texts token by token. Each token of the query is matched with the most similar token of the
document, and the similarities are added. So each part of a score can be shown.

The claim of this example: texts without a common word can match, and the matches show why. They also show that each
token of the query finds a match, even if the document has none of its kind.
"""

# %%
# An encoder of tokens without a neural model: the vector of a word is that of its stem in a latent semantic analysis of
# the corpus. If an encoder has the method ``tokens``, explanations show the tokens. A neural encoder is used as
# ``MaxSimReranker(OnnxTokenEncoder("model.onnx"), OnnxTokenEncoder("model.onnx", role="query"))``.
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import make_pipeline

from sklrank.data import TokenVectors
from sklrank.encoders import TermVectorizer


class WordEncoder(TransformerMixin, BaseEstimator):
    """Encode texts as one vector per word."""

    def fit(self, X, y=None):
        self.stems_ = TermVectorizer(language="english")
        lsa = make_pipeline(
            self.stems_, TfidfTransformer(sublinear_tf=True), TruncatedSVD(64, n_iter=2, random_state=0)
        ).fit(X)
        vectors = lsa[-1].components_.T * lsa[-1].singular_values_
        self.vectors_ = np.vstack([vectors, np.zeros(64)])  # the last one is for words that the corpus lacks
        return self

    def transform(self, X):
        stems, numbers = self.stems_.build_analyzer(), self.stems_.vocabulary_
        return TokenVectors.from_list([self.vectors_[[numbers.get(stem, -1) for stem in stems(text)]] for text in X])

    def tokens(self, X):
        return list(map(TermVectorizer(stop_words="english").build_analyzer(), X))


# %%
# A query, which is a claim in SciFact, and the title of a document that is judged relevant to it. The encoder learns
# from the whole texts.
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
# All similarities. In each row, the frame marks the one that counts.
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
# *Fat* matches *adipose*, and so does *browning*. *Undergo* and *processes* have no similar word in the title, and add
# half as much. The parameter ``query_weights`` sets the weight of each token.
