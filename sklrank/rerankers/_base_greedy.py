"""What rerankers for diversity have in common: documents are chosen one by one, each in view of those before it."""

from abc import abstractmethod
from numbers import Real

import numpy as np

from sklrank._validation import Interval
from sklrank.rerankers._base_scoring import ScoringReranker


class GreedyReranker(ScoringReranker):
    """Base of rerankers that choose documents one by one.

    The documents of a query come in the order of their rows, and the first of equal ones is chosen: equal scores are
    ranked so.
    """

    _pointwise = False

    _parameter_constraints: dict = {
        **ScoringReranker._parameter_constraints,
        "lambda_": [Interval(Real, 0, 1, closed="both")],
    }

    def _score(self, candidates):
        material = self._prepare(candidates)
        scores = candidates.scores
        values = np.empty(len(scores))
        for q, (start, stop) in enumerate(zip(candidates.indptr[:-1].tolist(), candidates.indptr[1:].tolist())):
            if start == stop:
                continue
            entries = start + np.argsort(candidates.rows[start:stop])
            k = stop - start if self.k is None else min(self.k, stop - start)
            values[entries] = self._choose(material, q, entries, scores[entries].astype(np.float64), k)
        return values

    @abstractmethod
    def _prepare(self, candidates):
        """Make whatever `_choose` needs of all candidates."""

    @abstractmethod
    def _choose(self, material, q, entries, scores, k):
        """Choose the first `k` documents of query `q`.

        Returns
        -------
        ndarray of float64, shape (len(entries),)
            Values with which they were chosen, which never rise; -inf for the others.
        """

    def _relevance(self, scores):
        """Scores of the candidates of a query, as they are weighed against diversity."""
        if self.normalize:
            return unit_range(scores)
        if not np.isfinite(scores).all():
            raise ValueError("scores of candidates are infinite; normalize=True takes such for the largest or least")
        return scores


def unit_range(scores):
    """Scores brought to [0, 1]; infinite ones as the largest or least of the others, equal ones as 1."""
    finite = scores[np.isfinite(scores)]
    if len(finite):
        scores = np.clip(scores, finite.min(), finite.max())
    else:
        scores = np.sign(scores)
    low, high = scores.min(), scores.max()
    if not high > low:
        return np.ones(len(scores))
    return (scores / 2 - low / 2) / (high / 2 - low / 2)  # the difference of halves does not overflow
