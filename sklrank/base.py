"""What estimators have in common: verbs, tags, default score."""

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils import TransformerTags

from sklrank.data import Corpus, Qrels
from sklrank.data._corpus import TRAVELLERS
from sklrank.data._frames import is_series
from sklrank.metrics import ndcg_score
from sklrank.metrics._judged import check_same_queries

__all__ = ["Retriever", "estimator_key", "ranking_key", "refuse_judgments"]

_FROZEN = WeakKeyDictionary()  # frozen estimator → the attributes that its key was made of, and the key


class Retriever(BaseEstimator):
    """Base of retrievers: estimators that turn queries into a `Run`.

    A subclass has `fit` and `transform`. `predict` is the same as `transform`, and `score` is the mean nDCG@10.
    """

    _may_be_kept = True  # whether a ranking depends on nothing but the parameters, the corpus and the query

    __metadata_request__transform = {"filter": True}
    __metadata_request__predict = {"filter": True}

    def predict(self, X, filter=None):
        """Rank the documents for each query; the same as `transform`.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries.
        filter : mask, list of ids, or one of these per query, default=None
            The documents that may be found.

        Returns
        -------
        Run
        """
        return self.transform(X, filter=filter)

    def fit_transform(self, X, y=None):
        """Fit, then rank the documents for each query.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries; without a `corpus` also the documents.
        y : Qrels or list of dict, default=None
            The judgments.

        Returns
        -------
        Run
        """
        return self.fit(X, y).transform(X)

    def score(self, X, y, sample_weight=None):
        """Mean nDCG@10 of the rankings.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries.
        y : Qrels or list of dict
            Their judgments, the i-th those of the i-th query; of another order, `Qrels.align` brings them there.
        sample_weight : array-like of shape (n_queries,), default=None
            Weights of the queries.

        Returns
        -------
        float
        """
        run = self.predict(X)
        if self.corpus is None and isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "biuf":
            return np.nan  # numbers, which `fit` ignores, too: no query is judged
        check_same_queries(y, run)
        return ndcg_score(y, run, k=10, sample_weight=sample_weight)

    def search(self, text, k=5, filter=None):
        """Answer one query, for people to read.

        Parameters
        ----------
        text : str
            The query.
        k : int, default=5
            How many documents to show.
        filter : mask or list of ids, default=None
            The documents that may be found.

        Returns
        -------
        Run
            Of one query; it prints as a ranking with texts.
        """
        if not isinstance(text, str):
            raise TypeError(f"search takes one query, a str, got {type(text).__name__}; predict takes many")
        return self._search([text], k, filter)

    def __getstate__(self):
        state = super().__getstate__()
        return {**state, "_travellers": tuple(TRAVELLERS)} if TRAVELLERS else state

    def __setstate__(self, state):
        super().__setstate__({name: value for name, value in state.items() if name != "_travellers"})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "retriever"
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        tags.target_tags.required = False
        return tags


def estimator_key(estimator):
    """What tells an unfitted estimator from others: equal for equal parameters, hashable.

    Parameters
    ----------
    estimator : estimator or None

    Returns
    -------
    hashable
    """
    if estimator is None:
        return None
    if isinstance(estimator, type):
        raise TypeError(f"needed is an instance, {estimator.__name__}(...), and this is the class {estimator.__name__}")
    if isinstance(estimator, FrozenEstimator) and hasattr(estimator.estimator, "get_params"):
        return _frozen_key(estimator)
    if hasattr(estimator, "_without_means"):
        estimator = estimator._without_means()
    try:
        # The hash has the names of functions only, and in a notebook a name gets a new body.
        functions = [value for value in estimator.get_params().values() if hasattr(value, "__code__")]
        defaults = [(function.__defaults__, function.__kwdefaults__) for function in functions]
        return (joblib.hash((estimator, defaults)), *(function.__code__ for function in functions))
    except Exception:  # a lambda among the parameters does not pickle; then it stands for itself
        return (type(estimator), *((name, _part_key(v)) for name, v in estimator.get_params(deep=False).items()))


def _frozen_key(frozen):
    """The key of what was fitted already; made anew only where an attribute of it, or of its parts, is another one.

    A fitted vectorizer holds a vocabulary, whose hash takes longer than a query does.
    """
    inner = frozen.estimator
    parts = [inner, *(value for value in inner.get_params().values() if hasattr(value, "get_params"))]
    attributes = [value for part in parts for value in getattr(part, "__dict__", {}).values()]
    held, key = _FROZEN.get(frozen, ((), None))
    if len(held) != len(attributes) or any(a is not b for a, b in zip(held, attributes)):
        key = ("frozen", estimator_key(inner))
        _FROZEN[frozen] = attributes, key
    return key


def _part_key(value):
    """What stands in the key of an estimator for a parameter."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        return estimator_key(value)
    if isinstance(value, (list, tuple)):  # such as the steps of a pipeline
        return tuple(map(_part_key, value))
    return value if callable(value) else joblib.hash(value)


def ranking_key(retriever):
    """What the rankings of a retriever over one corpus depend on: the parameters, but for `corpus` and `n_jobs`.

    Parameters
    ----------
    retriever : Retriever

    Returns
    -------
    hashable
    """
    parameters = retriever.get_params(deep=False).items()
    return (type(retriever), *((name, _value_key(v)) for name, v in parameters if name not in ("corpus", "n_jobs")))


def _value_key(value):
    if isinstance(value, Retriever):
        corpus = value.get_params(deep=False).get("corpus")
        return (ranking_key(value), _value_key(corpus))
    if isinstance(value, Corpus):
        return value.token
    if hasattr(value, "get_params"):
        return estimator_key(value)
    if callable(value) or type(value).__hash__ is object.__hash__:  # a function, a client: it stands for itself
        return value
    return value if isinstance(value, (str, int, float, bool, type(None))) else joblib.hash(value)


def _holds_judgments(y):
    if isinstance(y, (Qrels, Mapping)):
        return True
    if is_series(y):
        y = y.to_list()
    elif isinstance(y, np.ndarray) and y.dtype != object:
        return False
    return isinstance(y, (list, tuple, np.ndarray)) and len(y) > 0 and isinstance(y[0], (Mapping, list, tuple))


def refuse_judgments(y):
    """Raise ValueError where `y` judges queries, and the documents to find were given as `X`.

    Parameters
    ----------
    y : object
        What `fit` got as `y`.
    """
    if _holds_judgments(y):
        raise ValueError(
            "y holds judgments, but this retriever has no corpus, so that X would be taken for the documents: give the "
            "documents as corpus=, and the queries as X"
        )
