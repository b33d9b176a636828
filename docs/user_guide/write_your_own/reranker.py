import numpy as np

from sklrank.base import Reranker
from sklrank.testing import check_reranker


class PhraseReranker(Reranker):
    """Move candidates that hold the words of the query side by side to the top."""

    def __init__(self, *, field=None, k=None):
        self.field = field
        self.k = k

    def transform(self, X):
        texts = X.corpus.text(self.field)
        scores = []
        for query, ranking in zip(X.queries.texts, X):
            for rank, row in enumerate(ranking.rows.tolist(), start=1):
                scores.append((query.lower() in texts[row].lower()) + 1 / rank)
        return X.with_old_score().reorder(np.array(scores), k=self.k, name="phrase")


check_reranker(PhraseReranker)
