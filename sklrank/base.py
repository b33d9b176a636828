"""Base classes of estimators that rank: verbs, default score, tags.

A subclass of `Retriever`, `Fuser` or `Reranker` implements `fit` and `transform`, or `transform` alone if nothing is
learned. `sklrank.testing` checks that it keeps the contract.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import TransformerTags, get_tags

import sklrank
from sklrank._fitted import FittedMixin
from sklrank._update import UpdateMixin
from sklrank._validation import check_k
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
    """Add `predict`, `fit_transform` and `score` to an estimator whose `transform` returns a `Run`.

    See Also
    --------
    Retriever, Fuser, Reranker : Base classes with this mixin.
    """

    def fit(self, X, y=None):
        """Do nothing; an estimator that learns overrides this.

        Parameters
        ----------
        X : object
            Queries for a retriever; candidates, a `Run`, for a fuser or a reranker.
        y : Qrels or list of dict, default=None
            Relevance judgments. They are not used.

        Returns
        -------
        self
        """
        return self

    def predict(self, X, **params):
        """Rank the documents of each query, as `transform` does.

        Parameters
        ----------
        X : object
            Queries for a retriever; candidates, a `Run`, for a fuser or a reranker.
        **params : dict
            Further arguments of `transform`, such as the `filter` of a retriever.

        Returns
        -------
        Run
        """
        return _made_run(self, self.transform(X, **params))

    def fit_transform(self, X, y=None, **params):
        """Fit, then rank.

        Parameters
        ----------
        X : object
            Queries for a retriever; candidates, a `Run`, for a fuser or a reranker.
        y : Qrels or list of dict, default=None
            Relevance judgments.
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
            Queries for a retriever; candidates, a `Run`, for a fuser or a reranker.
        y : Qrels or list of dict
            Relevance judgments, in the order of the queries; `Qrels.align` brings them into this order.
        sample_weight : array-like of shape (n_queries,), default=None
            Weight of each query.

        Returns
        -------
        float
        """
        run = self.predict(X)
        if _judges_nothing(self, y):
            return np.nan
        check_same_queries(y, run)
        return ndcg_score(y, run, k=10, sample_weight=sample_weight)

    def save(self, folder, *, trust=False):
        """Save the estimator in a folder, from which `sklrank.load` loads it.

        Parameters
        ----------
        folder : path
            The folder. It is made if it does not exist; a content that was saved before is replaced.
        trust : bool, default=False
            Whether estimators of other packages, such as encoders of scikit-learn, are stored in files of skops. If
            False, they are an error.

        See Also
        --------
        sklrank.save : The function, which says what is saved, and which errors there are.
        """
        sklrank.save(self, folder, trust=trust)

    def __copy__(self):
        # The default copy goes through __getstate__, which leaves out clients, sessions and open indexes.
        new = object.__new__(type(self))
        vars(new).update(vars(self))
        return new

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        tags.target_tags.required = False
        tags.requires_fit = False  # `transform` calls check_is_fitted(self, "name_") if `fit` sets name_
        return tags


class Retriever(UpdateMixin, RankingMixin, BaseEstimator, ABC):
    """Base class of retrievers, which turn queries into a `Run`.

    A subclass must have

    * ``transform(X)`` or ``transform(X, filter=None)``, which returns the `Run` of the queries `X`. `X` is a list of
      str, `Queries`, or any other input of the retriever; `Queries.of` turns all of these into `Queries`.

    A subclass may have

    * ``fit(X, y=None)``, which sets attributes that end in an underscore and returns `self`;
    * a parameter `k`, the number of documents to return for each query. `search` and `sklrank.inspection.waterfall` set
      it on a copy, to get more documents;
    * the attribute `corpus_`, the documents, on which a `RetrieverUnion` keeps rankings;
    * ``filter_of(queries)``, if parameters restrict the documents that are found;
    * ``ranking_key()``, if rankings may be kept.

    The name of the run becomes the name of the score column that later stages keep.

    See Also
    --------
    sklrank.testing.check_retriever : Checks that a subclass keeps the contract.
    sklrank.retrievers.CallableRetriever : Turn a function into a retriever.

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
            Queries.
        filter : mask, list of ids, or one of these per query, default=None
            Documents that may be returned.

        Returns
        -------
        Run
        """

    def search(self, text, k=5, filter=None):
        """Rank the documents for one query, for people to read.

        Parameters
        ----------
        text : str
            Query.
        k : int, default=5
            Number of documents to return.
        filter : mask or list of ids, default=None
            Documents that may be returned.

        Returns
        -------
        Run
            Ranking of one query, which prints with texts.
        """
        if not isinstance(text, str):
            raise TypeError(f"search takes one query, a str, got {type(text).__name__}: predict takes many")
        check_k(k)
        retriever = copy(self)
        if hasattr(self, "k"):
            retriever.k = int(k)
        if filter is None:
            run = retriever.transform([text])
        else:
            run = retriever.transform([text], filter=filter)
        return _made_run(self, run).head(k)

    def ranking_key(self):
        """Return the key under which rankings may be kept and reused; None if they may not be.

        Two fitted retrievers over one corpus that have equal keys must rank every query alike, at any time, and for any
        input of `fit`. A key of parameters alone is right if nothing is learned from the queries or the judgments, and
        if rankings depend on nothing outside the estimator.

        Returns
        -------
        key : hashable or None
            None by default, which is always right: each query is searched again.

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
        """Return the filter of queries that applies if `transform` gets no filter.

        Parameters
        ----------
        queries : Queries
            Queries.

        Returns
        -------
        mask, list of ids, one of these per query, or None
            None in the base class: all documents may be returned.
        """
        return None

    def __getstate__(self):
        state = super().__getstate__()
        if TRAVELLERS:
            state = {**state, "_travellers": tuple(TRAVELLERS)}
        return state

    def __setstate__(self, state):
        super().__setstate__({name: value for name, value in state.items() if name != "_travellers"})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "retriever"
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        return tags


class _CandidateEstimator(RankingMixin, BaseEstimator, ABC):
    """Base class of estimators that turn a `Run` of candidates into a `Run`."""

    def fit(self, X, y=None):
        """Check that `X` is a Run; an estimator that learns overrides this.

        Parameters
        ----------
        X : Run
            Candidates.
        y : Qrels or list of dict, default=None
            Relevance judgments. They are not used.

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
    """Base class of fusers, which rank candidates with several score columns by one score.

    A subclass must have

    * ``transform(X)``, which returns the `Run` of the candidates `X`, ranked. For each name in ``X.columns``,
      ``X.column(name)`` holds scores and ``X.column_ranks(name)`` ranks, with NaN if a list lacks the candidate.
      ``X.reorder(scores)`` ranks the candidates by their fused scores.

    A subclass may have

    * ``fit(X, y=None)``, which sets attributes that end in an underscore and returns `self`;
    * a parameter `k`, the number of documents to return for each query;
    * ``contributions(X)``, the shares of the columns in the score, for `sklrank.inspection.explain`. This function also
      needs the fuser in the run: ``X.reorder(scores, source=self)``.

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
    """Base class of rerankers, which rank the candidates of each query again.

    A subclass must have

    * ``transform(X)``, which returns the `Run` of the candidates `X` in their new order.
      ``X.with_old_score().reorder(scores)`` makes it from one score for each entry, and keeps the old score of the
      candidates as a column.

    A subclass may have

    * ``fit(X, y=None)``, which sets attributes that end in an underscore and returns `self`;
    * a parameter `depth`, the number of candidates of each query to rerank, and `k`, the number of documents to return.

    See Also
    --------
    sklrank.testing.check_reranker : Checks that a subclass keeps the contract.
    sklrank.rerankers.CallableReranker : Turn a function into a reranker.

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


def _made_run(estimator, run):
    """Return the output of `transform` if it is a Run, which a subclass may have forgotten to return."""
    if not isinstance(run, Run):
        name = type(estimator).__name__
        raise TypeError(f"expected {name}.transform to return a Run, got an object of type {type(run).__name__}")
    return run


def check_run(X, role):
    """Raise TypeError if `X` is not a Run.

    Parameters
    ----------
    X : object
        Input of `fit` or `transform`.
    role : str
        Kind of the estimator that got `X`, such as ``"reranker"``.
    """
    if not isinstance(X, Run):
        raise TypeError(f"a {role} takes a Run, got a {type(X).__name__}: put it behind a retriever or a union")


def _judges_nothing(estimator, y):
    """Tell whether `y` is plain numbers, which an estimator without a corpus ignores in `fit` as well."""
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
    """Raise ValueError if `y` judges queries, but `X` would be taken for the documents.

    Parameters
    ----------
    y : object
        Argument `y` of `fit`.
    """
    if _holds_judgments(y):
        raise ValueError(
            "y holds judgments, but this retriever has no corpus, so that it would take X for the documents: give the "
            "documents as corpus=, and the queries as X"
        )
