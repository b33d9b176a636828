"""scikit-learn's class of scorers, for rankings. Its import takes as long as that of the rest of sklrank."""

from sklearn.base import BaseEstimator

from sklrank._validation import scorer_class


class RankScorer(scorer_class()):
    """Score the result of `predict`, or of `transform` if there is no `predict`.

    A pipeline that ends in "passthrough" has no `predict`; its `transform` returns the ranking.
    """

    def _score(self, method_caller, estimator, X, y_true, **kwargs):
        if not hasattr(estimator, "predict") and hasattr(estimator, "transform"):
            estimator = _Transforming(estimator)
        return super()._score(method_caller, estimator, X, y_true, **kwargs)


class _Transforming(BaseEstimator):
    """Predict by `transform`, because scikit-learn shares predictions, but not transforms, among scorers."""

    def __init__(self, estimator):
        self.estimator = estimator

    def predict(self, X):
        return self.estimator.transform(X)
