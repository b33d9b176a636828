"""Base class of rerankers for diversity, which choose documents one by one, depending on those chosen before."""

from abc import abstractmethod
from numbers import Real

import numpy as np

from sklrank._validation import Interval
from sklrank.rerankers._base_scoring import ScoringReranker


class GreedyReranker(ScoringReranker):
    """Base class of rerankers that choose documents one by one.

    The documents of a query are in the order of their rows. Among equal documents the first one is chosen, because
    equal scores are ordered by row.
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
            k = min(self.k or len(entries), len(entries))
            values[entries] = self._choose(material, q, entries, scores[entries].astype(np.float64), k)
        return values

    @abstractmethod
    def _prepare(self, candidates):
        """Return the material that `_choose` needs, computed from all candidates."""

    @abstractmethod
    def _choose(self, material, q, entries, scores, k):
        """Choose the first `k` documents of query `q`.

        Returns
        -------
        ndarray of float64, shape (len(entries),)
            Values of the documents when they were chosen, which never increase; -inf for the others.
        """

    def _relevance(self, scores):
        """Return the scores of the candidates of a query that are weighed against diversity."""
        if self.normalize:
            return unit_range(scores)
        if not np.isfinite(scores).all():
            raise ValueError(
                "scores of candidates are infinite; normalize=True replaces them by the largest or least finite score"
            )
        return scores


def unit_range(scores):
    """Scale scores to [0, 1]. Infinite scores count as the largest or least finite one. Equal scores become 1."""
    finite = scores[np.isfinite(scores)]
    if len(finite):
        scores = np.clip(scores, finite.min(), finite.max())
    else:
        scores = np.sign(scores)
    low, high = scores.min(), scores.max()
    if not high > low:
        return np.ones(len(scores))
    return (scores / 2 - low / 2) / (high / 2 - low / 2)  # the difference of halves does not overflow
