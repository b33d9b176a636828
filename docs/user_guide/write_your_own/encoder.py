import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from sklrank import Corpus
from sklrank.rerankers import DenseReranker
from sklrank.retrievers import DenseRetriever
from sklrank.testing import check_reranker, check_retriever


class LetterEncoder(TransformerMixin, BaseEstimator):
    """Count the letters of each text, which is a vector that a model could give as well."""

    def __init__(self, alphabet="abcdefghijklmnopqrstuvwxyz"):
        self.alphabet = alphabet

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.array([[text.lower().count(letter) for letter in self.alphabet] for text in X], dtype=np.float32)

    def __sklearn_is_fitted__(self):
        return True


corpus = Corpus(["heat flows", "cold rests", "a wing lifts"])
retriever = DenseRetriever(corpus, encoder=LetterEncoder(), k=1).fit(["heat"])
assert retriever.predict(["the flow of heat"]).docids == [["0"]]
check_retriever(lambda corpus: DenseRetriever(corpus, encoder=LetterEncoder()))
check_reranker(lambda: DenseReranker(LetterEncoder()))
