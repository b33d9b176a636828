import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils.validation import check_is_fitted

from sklrank import Corpus, Queries, Run
from sklrank.base import Retriever
from sklrank.testing import check_retriever


class TrigramRetriever(Retriever):
    """Count the trigrams of characters that query and document share; typing errors leave most of them."""

    def __init__(self, corpus, *, field=None, k=10):
        self.corpus = corpus
        self.field = field
        self.k = k

    def fit(self, X, y=None):
        self.corpus_ = Corpus.of(self.corpus)
        self.vectorizer_ = CountVectorizer(analyzer="char_wb", ngram_range=(3, 3), binary=True, dtype=np.float64)
        self.trigrams_ = self.vectorizer_.fit_transform(self.corpus_.text(self.field))
        return self

    def transform(self, X):
        check_is_fitted(self, "trigrams_")
        queries = Queries.of(X)
        scores = self.vectorizer_.transform(queries.texts) @ self.trigrams_.T  # (n_queries, n_documents)
        return Run(scores, queries=queries, corpus=self.corpus_, name="trigrams").head(self.k)


check_retriever(TrigramRetriever)
