"""Base classes of fusers: verbs, checks and weights."""

from copy import copy
from numbers import Integral, Real

import numpy as np

from sklrank._validation import Interval, StrOptions, _fit_context, check_fitted
from sklrank.base import Fuser
from sklrank.data import Run
from sklrank.data._ids import show
from sklrank.fusers._weights import learn_weights


class ColumnFuser(Fuser):
    """Base class of fusers that compute the score of a candidate from its score columns.

    A subclass implements ``_fuse(run, names)``, which returns a score for each candidate, NaN to leave it out, and
    `contributions`, which returns the share of each column in the score. A subclass that learns from judgments also
    implements ``_learner()``, which names the parameter that makes it learn, and ``_learn(run, y, names)``.
    """

    _parameter_constraints: dict = {"k": [Interval(Integral, 1, None, closed="left"), None]}
    _stage = None  # name of the runs that the fuser returns

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Record the score columns, and learn from the judgments if the method learns.

        Parameters
        ----------
        X : Run
            Candidates. They have score columns, as `RetrieverUnion` and `Run.union` make them.
        y : Qrels or list of dict, default=None
            Relevance judgments. They are used only if the method learns.

        Returns
        -------
        self
        """
        names = check_columns(X)
        learner = self._learner()
        if learner is not None and y is None:
            raise ValueError(f"{learner} needs the judgments of the training queries: fit(X, y)")
        self._learn(X, y, names)
        self.columns_ = names
        return self

    def _learn(self, run, y, names):
        """Check the parameters that depend on the columns, and learn from judgments."""

    def _learner(self):
        """Return the parameter that makes the fuser learn from judgments, as text; None if it does not learn."""
        return None

    def transform(self, X):
        """Rank the candidates of each query by their fused score.

        Parameters
        ----------
        X : Run
            Candidates. They have score columns.

        Returns
        -------
        Run
            The candidates, best first. Equal scores are ordered by row. The score columns are kept.
        """
        names = self._check(X)
        return X.reorder(self._fuse(X, names), k=self.k, name=self._stage, source=copy(self))

    def _check(self, X):
        """Check `X` and the parameters, and return the names of the columns to fuse."""
        self._validate_params()
        if self._learner() is not None:
            check_fitted(self, "columns_")
        names = check_columns(X)
        known = getattr(self, "columns_", names)
        if set(names) != set(known):
            raise ValueError(
                f"the candidates have the score columns {list(names)}, but the fuser was fitted on {list(known)}"
            )
        return known

    def _needs_refit(self, name, old, new):
        return self._learner() is not None and super()._needs_refit(name, old, new)

    def __sklearn_is_fitted__(self):
        return self._learner() is None or hasattr(self, "columns_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._learner() is not None
        tags.requires_fit = self._learner() is not None
        return tags


class WeightedFuser(ColumnFuser):
    """Base class of fusers that weigh the columns.

    A subclass implements ``_prepare(run, names)``, which returns the `Lists` of the columns and does not depend on the
    weights, and ``_method()``, which returns an object with the functions ``combine`` and ``contribute``, see
    `_methods`.
    """

    _parameter_constraints: dict = {
        **ColumnFuser._parameter_constraints,
        "weights": [dict, StrOptions({"learn"}), None],
        "metric": [str, callable],
    }

    def _learner(self):
        if isinstance(self.weights, str):
            return 'weights="learn"'
        return None

    def _learn(self, run, y, names):
        if self._learner() is None:
            self._weights(names)
            return
        lists = self._prepare(run, names)

        def fuse(weights):
            kept = weights > 0
            if self._is_joint():
                return self._combine(self._prepare(run, _pick(names, kept)), weights[kept])
            return self._combine(lists.of_systems(kept), weights[kept])

        self.weights_, _ = learn_weights(fuse, names, run, y, metric=self.metric)

    def _is_joint(self):
        """Return whether the values of a list depend on the other lists."""
        return False

    def _fuse(self, run, names):
        weights = self._weights(names)
        kept = weights > 0
        return self._combine(self._prepare(run, _pick(names, kept)), weights[kept])

    def _combine(self, lists, weights):
        """Return the fused scores; NaN for a candidate that no list has."""
        return np.where(lists.found, self._method().combine(lists, weights, self), np.nan)

    def contributions(self, X):
        """Return what each score column adds to the fused scores.

        Parameters
        ----------
        X : Run
            Candidates. They have score columns.

        Returns
        -------
        values : ndarray of float64, shape (n_columns, n_entries)
            The values that are fused, such as normalized scores. NaN if the column has no value, or has weight 0.
        contributions : ndarray of float64, shape (n_columns, n_entries)
            The share of each value in the fused score. NaN if there is none, or if the method does not add shares.
        """
        names = self._check(X)
        weights = self._weights(names)
        kept = weights > 0
        lists = self._prepare(X, _pick(names, kept))
        values, contributions = np.full((2, len(names), len(X.rows)), np.nan)
        values[kept] = lists.values
        contribute = self._method().contribute
        if contribute is not None:
            contributions[kept] = contribute(lists, weights[kept], self)
        return values, contributions

    def _weights(self, names):
        """Return the weight of each column."""
        if self._learner() is None:
            return check_weights(self.weights, names)
        return check_weights(self.weights_, names)


def _pick(names, chosen):
    return [name for name, is_chosen in zip(names, chosen) if is_chosen]


def check_columns(run):
    """Return the names of the score columns of candidates.

    Parameters
    ----------
    run : Run

    Returns
    -------
    tuple of str

    Raises
    ------
    TypeError
        If it is not a `Run`.
    ValueError
        If there are no score columns.
    """
    if not isinstance(run, Run):
        raise TypeError(
            f"X is a {type(run).__name__}; a fuser takes a Run with score columns, as a RetrieverUnion or Run.union "
            "makes it"
        )
    if not run.columns:
        raise ValueError(
            "the run has no score columns, so there is nothing to fuse; a RetrieverUnion makes one for each retriever, "
            "and Run.union({name: run}) one for each run"
        )
    return run.columns


def check_weights(weights, names):
    """Return the weights of columns as an array of float64.

    Parameters
    ----------
    weights : dict of str to float, or None
        Weight of each score column, at least 0. If None, each weight is 1.
    names : sequence of str
        Names of the score columns.

    Returns
    -------
    ndarray of float64, shape (n_systems,)
    """
    if weights is None:
        return np.ones(len(names))
    unknown, missing = [name for name in weights if name not in names], [name for name in names if name not in weights]
    if unknown:
        raise ValueError(f"weights of unknown score columns: {show(unknown)}; there are {list(names)}")
    if missing:
        raise ValueError(f"weights lack the score columns {show(missing)}; a weight of 0 leaves a column out")
    for name, weight in weights.items():
        if not isinstance(weight, Real) or not 0 <= weight < np.inf:
            raise ValueError(f"expected a finite number of at least 0 as the weight of {name!r}, got {weight!r}")
    values = np.array([weights[name] for name in names], dtype=np.float64)
    if not values.any():
        raise ValueError("all weights are 0, so there is nothing to fuse")
    return values
