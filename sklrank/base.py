"""Bases of estimators that rank: verbs, default score, tags.

A subclass of `Retriever`, `Fuser` or `Reranker` gives `fit` and `transform`, or `transform` alone if nothing is
learned. `sklrank.testing` checks that it keeps the contract.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import TransformerTags, get_tags

from sklrank._fitted import FittedMixin
from sklrank.data import Qrels, Run
from sklrank.data._corpus import TRAVELLERS
from sklrank.data._frames import is_series
from sklrank.metrics import ndcg_score
from sklrank.metrics._judged import check_same_queries

__all__ = [
    "Fuser",
    "RankingMixin",
    "Reranker",
    "Retriever",
    "check_run",
    "refuse_judgments",
]


class RankingMixin(FittedMixin):
    """Mixin of estimators whose `transform` returns a `Run`: `predict`, `fit_transform` and `score`.

    See Also
    --------
    Retriever, Fuser, Reranker : Bases that have it.
    """

    def fit(self, X, y=None):
        """Learn nothing; an estimator that learns overrides this.

        Parameters
        ----------
        X : object
            Input of `transform`.
        y : Qrels or list of dict, default=None
            Judgments; not used.

        Returns
        -------
        self
        """
        return self

    def predict(self, X, **params):
        """Rank; the same as `transform`.

        Parameters
        ----------
        X : object
            Input of `transform`: queries for a retriever, a `Run` of candidates for a fuser or a reranker.
        **params : dict
            Further arguments of `transform`, such as the `filter` of a retriever.

        Returns
        -------
        Run
        """
        return self.transform(X, **params)

    def fit_transform(self, X, y=None, **params):
        """Fit, then rank.

        Parameters
        ----------
        X : object
            Input of `fit` and `transform`.
        y : Qrels or list of dict, default=None
            Judgments of the queries.
        **params : dict
            Further arguments of `transform`, such as the `filter` of a retriever.

        Returns
        -------
        Run
        """
        return self.fit(X, y).transform(X, **params)

    def score(self, X, y, sample_weight=None):
        """Return the mean nDCG@10 of the rankings.

        Parameters
        ----------
        X : object
            Input of `predict`.
        y : Qrels or list of dict
            Judgments, the i-th those of the i-th query; `Qrels.align` brings them into the order of the queries.
        sample_weight : array-like of shape (n_queries,), default=None
            Weights of the queries.

        Returns
        -------
        float
        """
        run = self.predict(X)
        if _judges_nothing(self, y):
            return np.nan
        check_same_queries(y, run)
        return ndcg_score(y, run, k=10, sample_weight=sample_weight)

    def __copy__(self):
        # The default goes through __getstate__, which leaves out clients, sessions and open indexes.
        new = object.__new__(type(self))
        vars(new).update(vars(self))
        return new

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        tags.target_tags.required = False
        tags.requires_fit = False  # `transform` calls check_is_fitted(self, "name_") if `fit` sets name_
        return tags


class Retriever(RankingMixin, BaseEstimator, ABC):
    """Base of retrievers: estimators that turn queries into a `Run`.

    A subclass must give

    * ``transform(X)`` or ``transform(X, filter=None)``: the `Run` of the queries `X`, which are a list of str,
      `Queries`, or whatever else the retriever takes; `Queries.of` makes `Queries` of all of these.

    and may give

    * ``fit(X, y=None)``, which sets attributes that end in an underscore and returns `self`;
    * a parameter `k`, the number of documents to return for each query: `search` and `sklrank.inspection.waterfall`
      then ask for more documents than `k`, of a copy;
    * the attribute `corpus_`, the documents, on which a `RetrieverUnion` keeps rankings;
    * ``filter_of(queries)``, if parameters restrict what is found;
    * ``ranking_key()``, if rankings may be kept.

    The name of the run names the score column that later stages keep.

    See Also
    --------
    sklrank.testing.check_retriever : Checks that a subclass keeps the contract.
    sklrank.retrievers.CallableRetriever : Makes a retriever of a function.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank import Corpus, Queries, Run
    >>> from sklrank.base import Retriever
    >>> class LengthRetriever(Retriever):
    ...     def __init__(self, corpus, *, k=10):
    ...         self.corpus = corpus
    ...         self.k = k
    ...
    ...     def fit(self, X, y=None):
    ...         self.corpus_ = Corpus.of(self.corpus)
    ...         return self
    ...
    ...     def transform(self, X):
    ...         queries, lengths = Queries.of(X), np.array([len(text) for text in self.corpus_.text()])
    ...         asked = np.array([len(text) for text in queries.texts])
    ...         scores = -np.abs(asked[:, np.newaxis] - lengths).astype(float)
    ...         return Run(scores, queries=queries, corpus=self.corpus_, name="length").head(self.k)
    >>> retriever = LengthRetriever(Corpus({"d1": "heat", "d2": "heat flows"}), k=1).fit(["cold"])
    >>> retriever.predict(["flow", "cold flows"]).docids
    [['d1'], ['d2']]
    """

    __metadata_request__transform = {"filter": True}
    __metadata_request__predict = {"filter": True}

    @abstractmethod
    def transform(self, X, filter=None):
        """Rank the documents for each query.

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

    def search(self, text, k=5, filter=None):
        """Answer one query, for people to read.

        Parameters
        ----------
        text : str
            The query.
        k : int, default=5
            Number of documents to show.
        filter : mask or list of ids, default=None
            The documents that may be found.

        Returns
        -------
        Run
            The ranking of one query; it prints with texts.
        """
        if not isinstance(text, str):
            raise TypeError(f"search takes one query, a str, got {type(text).__name__}; predict takes many")
        if not isinstance(k, Integral) or k < 1:
            raise ValueError(f"k is the number of documents to return, an int of at least 1; got {k!r}")
        retriever = copy(self)
        if hasattr(self, "k"):
            retriever.k = int(k)
        return retriever.transform([text], **({} if filter is None else {"filter": filter})).head(k)

    def ranking_key(self):
        """Return the key under which rankings may be kept and reused; None if they may not be.

        Two fitted retrievers over one corpus that have equal keys must rank every query alike, whatever they were
        fitted on, and whenever they are asked. A key of parameters alone is right if nothing is learned from the
        queries or the judgments, and nothing outside the estimator decides what is found.

        Returns
        -------
        key : hashable or None
            By default None, which is always right: each query is searched anew.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> from sklrank.retrievers import BM25Retriever, CallableRetriever
        >>> corpus = Corpus(["heat", "cold"])
        >>> BM25Retriever(corpus, k1=0.9).ranking_key() == BM25Retriever(corpus, k1=0.9).fit(None).ranking_key()
        True
        >>> BM25Retriever(corpus, k1=0.9).ranking_key() == BM25Retriever(corpus, k1=1.2).ranking_key()
        False
        >>> print(CallableRetriever(lambda queries, k: [{} for _ in queries], corpus).ranking_key())
        None
        """
        return None

    def filter_of(self, queries):
        """Return the filter that holds for queries if `transform` is not given one.

        Parameters
        ----------
        queries : Queries
            The queries.

        Returns
        -------
        mask, list of ids, one of these per query, or None
            In the base class None: all documents may be found.
        """
        return None

    def __getstate__(self):
        state = super().__getstate__()
        return {**state, "_travellers": tuple(TRAVELLERS)} if TRAVELLERS else state

    def __setstate__(self, state):
        super().__setstate__({name: value for name, value in state.items() if name != "_travellers"})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "retriever"
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        return tags


class _CandidateEstimator(RankingMixin, BaseEstimator, ABC):
    """Base of what turns a `Run` of candidates into a `Run`."""

    def fit(self, X, y=None):
        """Check that `X` is a Run; an estimator that learns overrides this.

        Parameters
        ----------
        X : Run
            Candidates.
        y : Qrels or list of dict, default=None
            Judgments; not used.

        Returns
        -------
        self
        """
        check_run(X, get_tags(self).estimator_type)
        return self

    @abstractmethod
    def transform(self, X):
        """Rank the candidates of each query.

        Parameters
        ----------
        X : Run
            Candidates.

        Returns
        -------
        Run
        """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


class Fuser(_CandidateEstimator):
    """Base of fusers: estimators that rank candidates with several score columns by one score.

    A subclass must give

    * ``transform(X)``: the `Run` of the candidates `X`, ranked; ``X.column(name)`` and ``X.column_ranks(name)`` for
      each name in ``X.columns`` are what there is to fuse, NaN if a list lacks the candidate, and ``X.reorder(scores)``
      ranks by what was made of them.

    and may give

    * ``fit(X, y=None)``, which sets attributes that end in an underscore and returns `self`;
    * a parameter `k`, the number of documents to keep for each query;
    * ``contributions(X)``, the shares of the columns in the score, for `sklrank.inspection.explain`, which also wants
      to find the fuser in the run: ``X.reorder(scores, source=self)``.

    See Also
    --------
    sklrank.testing.check_fuser : Checks that a subclass keeps the contract.
    sklrank.retrievers.RetrieverUnion, sklrank.Run.union : Make candidates with score columns.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank import Run
    >>> from sklrank.base import Fuser
    >>> class BestRankFuser(Fuser):
    ...     def transform(self, X):
    ...         return X.reorder(-np.nanmin([X.column_ranks(name) for name in X.columns], axis=0), name="best_rank")
    >>> runs = {"bm25": Run([{"0": 9.0, "1": 8.0, "2": 7.0}]), "dense": Run([{"2": 0.9, "1": 0.5}])}
    >>> BestRankFuser().fit_transform(Run.union(runs)).docids
    [['0', '2', '1']]
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "fuser"
        return tags


class Reranker(_CandidateEstimator):
    """Base of rerankers: estimators that rank the candidates of each query anew.

    A subclass must give

    * ``transform(X)``: the `Run` of the candidates `X` in their new order; ``X.with_old_score().reorder(scores)`` makes
      it of one number for each entry, and keeps the score that the candidates had as a column.

    and may give

    * ``fit(X, y=None)``, which sets attributes that end in an underscore and returns `self`;
    * a parameter `depth`, the number of candidates of each query to rank, and `k`, the number to keep.

    See Also
    --------
    sklrank.testing.check_reranker : Checks that a subclass keeps the contract.
    sklrank.rerankers.CallableReranker : Makes a reranker of a function.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank import Corpus, Run
    >>> from sklrank.base import Reranker
    >>> class ShortestReranker(Reranker):
    ...     def transform(self, X):
    ...         lengths = np.array([len(text) for text in X.corpus.text()])
    ...         return X.with_old_score().reorder(-lengths[X.rows].astype(float), name="shortest")
    >>> candidates = Run([{"0": 2.0, "1": 1.0}], corpus=Corpus(["heat flows", "heat"]), name="bm25")
    >>> run = ShortestReranker().fit_transform(candidates)
    >>> run.docids, run.column("bm25")
    ([['1', '0']], array([1., 2.]))
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "reranker"
        return tags


def check_run(X, role):
    """Raise TypeError if `X` is not a Run.

    Parameters
    ----------
    X : object
        Input of `fit` or `transform`.
    role : str
        Name of the kind of estimator that got it, such as ``"reranker"``.
    """
    if not isinstance(X, Run):
        raise TypeError(f"X is a {type(X).__name__}; a {role} takes a Run, and stands behind a retriever or a union")


def _judges_nothing(estimator, y):
    """Whether `y` is plain numbers, which an estimator without a corpus ignores in `fit` as well."""
    has_no_corpus = getattr(estimator, "corpus", estimator) is None
    return has_no_corpus and isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "biuf"


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
