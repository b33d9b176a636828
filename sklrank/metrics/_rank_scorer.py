"""Scikit-learn's kind of scorer, for rankings. To import this takes as long as to import all of sklrank."""

from sklearn.base import BaseEstimator

from sklrank._validation import scorer_class


class RankScorer(scorer_class()):
    """A scorer that calls `predict`, or `transform` if there is no `predict`.

    A pipeline that ends in "passthrough" has no `predict`, and its ranking is what `transform` gives.
    """

    def _score(self, method_caller, estimator, X, y_true, **kwargs):
        if not hasattr(estimator, "predict") and hasattr(estimator, "transform"):
            estimator = _Transforming(estimator)
        return super()._score(method_caller, estimator, X, y_true, **kwargs)


class _Transforming(BaseEstimator):
    """An estimator that predicts by transforming; scikit-learn keeps a prediction for several scorers by that name."""

    def __init__(self, estimator):
        self.estimator = estimator

    def predict(self, X):
        return self.estimator.transform(X)
