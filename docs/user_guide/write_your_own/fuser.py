import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklrank.base import Fuser
from sklrank.metrics import ndcg_score
from sklrank.testing import check_fuser


class VoteFuser(Fuser):
    """Let each list vote for its first documents, with a vote as good as the list was in training."""

    def __init__(self, depth=10, *, k=None):
        self.depth = depth
        self.k = k

    def fit(self, X, y):
        self.votes_ = {name: ndcg_score(y, X.reorder(-self._ranks(X, name))) for name in X.columns}
        return self

    def transform(self, X):
        check_is_fitted(self, "votes_")
        scores = np.zeros(len(X.rows))
        for name, vote in self.votes_.items():
            ranks = self._ranks(X, name)
            scores += vote * ((ranks <= self.depth) + 1 / ranks)
        return X.reorder(scores, k=self.k, name="votes", source=self)

    def _ranks(self, X, name):
        ranks = X.column_ranks(name)  # NaN if the list lacks the document
        return np.where(np.isnan(ranks), np.inf, ranks)


check_fuser(VoteFuser)
