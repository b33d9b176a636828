"""Base of pseudo-relevance feedback: the best documents of a first search expand the query of a second search."""

from abc import abstractmethod
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags

from sklrank._caching.ranking_keys import parameters_key
from sklrank._ragged import owners
from sklrank._validation import HasMethods, Interval, RealNotInt, _fit_context, check_fitted
from sklrank.base import Retriever
from sklrank.data import Run
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._base_inverted import InvertedIndexRetriever, explain_terms, heaviest


class FeedbackRetriever(Retriever):
    """Base of retrievers that expand queries with terms of the documents that another retriever finds.

    A subclass must give `_weigh_terms`, `_mix` and `_stage`. It may give `_first_pass`, which chooses the documents,
    and `_check_retriever`.
    """

    _stage = None  # name of the runs

    _refit_parameters = ("retriever",)

    _parameter_constraints: dict = {
        "retriever": [HasMethods(["fit", "transform"])],
        "n_documents": [Interval(Integral, 1, None, closed="left")],
        "n_terms": [Interval(Integral, 1, None, closed="left"), None],
        "max_df": [Interval(RealNotInt, 0, 1, closed="both"), Interval(Integral, 1, None, closed="left")],
        "k": [Interval(Integral, 1, None, closed="left")],
    }

    @property
    def corpus(self):
        """Corpus of the retriever."""
        return self.retriever.corpus

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit the retriever; nothing is learned from the queries.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries, or the documents if the retriever has no corpus.
        y : Qrels or list of dict, default=None
            Relevance judgments. They are not used.

        Returns
        -------
        self
        """
        retriever = clone(self.retriever)
        self._check_retriever(retriever)
        self.retriever_ = retriever.fit(X, y)
        self.corpus_ = self.retriever_.corpus_
        return self

    partial_fit = CorpusRetriever.partial_fit

    def reindex(self, corpus):
        """Set the corpus; `update` has updated the retriever, which holds all that depends on it.

        Parameters
        ----------
        corpus : Corpus

        Returns
        -------
        self
        """
        self.corpus_ = corpus
        return self

    def ranking_key(self):
        """Return the key under which rankings may be cached: the parameters, and the key of `retriever`.

        Returns
        -------
        key : hashable or None
            None if the key of `retriever` is None.
        """
        return parameters_key(self, getattr(self, "retriever_", self.retriever))

    def _check_retriever(self, retriever):
        if not isinstance(retriever, InvertedIndexRetriever):
            raise TypeError(
                f"{type(self).__name__} expands queries with terms: expected a retriever over an inverted index, such "
                f"as BM25Retriever, got {type(retriever).__name__}"
            )

    def transform(self, X, filter=None):
        """Rank the documents for each expanded query.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries.
        filter : mask, list of ids, or one of these per query, default=None
            Documents that may be returned, in both searches. If None, the parameters of `retriever` apply.

        Returns
        -------
        Run
            At most `k` documents for each query, best first. Equal scores are in the order of the corpus.
        """
        return self._search(X, self.k, filter)

    def filter_of(self, queries):
        """Return the filter that applies to queries if `transform` does not get one.

        Parameters
        ----------
        queries : Queries
            The queries.

        Returns
        -------
        mask, list of ids, one of these per query, or None
            Filter of `retriever`.
        """
        return self.retriever_.filter_of(queries)

    @abstractmethod
    def _weigh_terms(self, documents):
        """Return the weighted terms of the feedback documents from `_first_pass`: queries, terms, weights."""

    @abstractmethod
    def _mix(self, query, feedback, n_queries):
        """Return the terms of the query and of the feedback with scaled weights, which are then added."""

    def _search(self, X, k, filter=None):
        check_fitted(self, "retriever_")
        check_fitted(self.retriever_, "corpus_")
        queries, bags = self.retriever_._prepare(X, among_all=True)
        ranked = self.retriever_._rank(queries, self._expand(queries, bags, filter), k, filter)
        return Run.from_ragged(*ranked, queries=queries, corpus=self.corpus_, name=self._stage, k=k)

    def _expand(self, queries, bags, filter=None):
        """Return the terms of queries and of their feedback with their weights, `Bags`."""
        index, n_queries = self.retriever_.index_, bags.n_queries
        original, weights = bags.numbers.astype(np.int64), bags.weights.astype(np.float64)
        query = add_up(owners(bags.indptr), original, weights, index.n_terms)
        feedback = self._weigh_terms(self._first_pass(queries, bags, filter))
        most = self.max_df
        if not isinstance(most, Integral):
            most *= index.n_documents
        if most < index.n_documents:
            feedback = take(feedback, index.document_frequencies[feedback[1]] <= most)
        if self.n_terms is not None:
            feedback = take(feedback, heaviest(*feedback, self.n_terms))
        mixed = add_up(*map(np.concatenate, zip(*self._mix(query, feedback, n_queries))), index.n_terms)
        mixed = take(mixed, mixed[2] > 0)
        lost = ~np.isin(query[0], mixed[0])  # terms of queries that keep no weight and have no feedback
        if lost.any():
            mixed = add_up(*map(np.concatenate, zip(mixed, take(query, lost))), index.n_terms)
        query, terms, weights = mixed
        indptr = np.searchsorted(query, np.arange(n_queries + 1))
        return index.bags(indptr, terms.astype(np.uint32), weights.astype(np.float32), among_all=True)

    def _first_pass(self, queries, bags, filter):
        """Return the feedback documents: queries, rows and scores."""
        indptr, rows, scores = self.retriever_._rank(queries, bags, self.n_documents, filter)
        return owners(indptr), rows, scores

    def _contents(self, documents, impacts=None):
        """Return the terms of feedback documents: position of the document, query, term and value of the term."""
        owners, terms, values = self.retriever_.index_.contents(documents[1], impacts)
        return owners, documents[0][owners], terms, values

    # --- methods for single queries
    def expand(self, query, filter=None):
        """Return the terms of the expanded query.

        Parameters
        ----------
        query : str
            The query.
        filter : mask or list of ids, default=None
            Documents that may be returned.

        Returns
        -------
        dict of str to float
            Weight of each term, heaviest first.
        """
        _, numbers, weights, _ = self._one_query(query, filter)
        order = np.lexsort((numbers, -weights))
        return dict(zip(self.retriever_._term_names(numbers[order]), weights[order].tolist()))

    def explain(self, query, docid):
        """Explain the score of a document for a query.

        Parameters
        ----------
        query : str
            The query.
        docid : str
            The document.

        Returns
        -------
        Explanation
            Contribution of each term of the expanded query; the sum is the score.
        """
        return explain_terms(self.retriever_, self._one_query(query), docid)

    def _one_query(self, query, filter=None):
        check_fitted(self, "retriever_")
        check_fitted(self.retriever_, "corpus_")
        if isinstance(query, str):
            query = [query]
        queries, bags = self.retriever_._prepare(query, among_all=True)
        if len(queries) != 1:
            raise ValueError(f"expected one query, got {len(queries)}")
        return self._expand(queries, bags, filter)

    @property
    def n_features_in_(self):
        """Number of terms, if the documents are a matrix."""
        check_fitted(self, "retriever_")
        return self.retriever_.n_features_in_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "retriever_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.retriever).input_tags
        tags.requires_fit = True
        return tags


# --- entries: arrays of owners, terms and weights


def add_up(owners, terms, weights, n_terms):
    """Add the weights of equal terms of each owner, and order the result by owner, then term."""
    keys, inverse = np.unique(owners * n_terms + terms, return_inverse=True)
    return keys // n_terms, keys % n_terms, np.bincount(inverse, weights, minlength=len(keys))


def take(entries, which):
    """Choose entries."""
    return tuple(array[which] for array in entries)


def sums(entries, n_owners):
    """Add the weights of each owner."""
    return np.bincount(entries[0], entries[2], minlength=n_owners)


def maxima(entries, n_owners):
    """Return the largest weight of each owner; 0 if it has none."""
    maxima = np.zeros(n_owners)
    np.maximum.at(maxima, entries[0], entries[2])
    return maxima


def scaled(entries, norms, factor):
    """Divide the weights of each owner by its norm, and multiply them by `factor`."""
    owners, terms, weights = entries
    norms = norms[owners]
    return owners, terms, factor * np.divide(weights, norms, out=np.zeros(len(weights)), where=norms > 0)
