"""Rocchio's feedback, over words and over dense vectors."""

from numbers import Integral, Real

import numpy as np

from sklrank._ragged import owners, places
from sklrank._validation import Interval, check_fitted
from sklrank.data import Run
from sklrank.retrievers._base_feedback import FeedbackRetriever, add_up, scaled
from sklrank.retrievers._base_inverted import InvertedIndexRetriever
from sklrank.retrievers._base_vectors import QueryVectors, VectorRetriever


class RocchioRetriever(FeedbackRetriever):
    r"""Move queries towards the documents that they find (Rocchio).

    Over the vectors of the query and of the best documents :math:`R` (and the last ones :math:`S`) of a first search,
    each of unit length, the second search takes

    .. math:: \alpha \, q + \frac{\beta}{|R|} \sum_{d \in R} d - \frac{\gamma}{|S|} \sum_{d \in S} d

    Over a dense retriever these are its vectors. Over an inverted index they hold what each term is worth to the
    retriever, such as its BM25 weight; the terms that weigh most in the documents are added to the query, and negative
    weights are left out.

    Parameters
    ----------
    retriever : retriever over an inverted index or over dense vectors
        Searches twice; cloned and fitted.
    n_documents : int, default=10
        Feedback documents: so many of the best of the first search.
    n_terms : int, default=10
        Terms that documents keep, over an inverted index. ``None``: all.
    alpha : float, default=1.0
        Weight of the query.
    beta : float, default=0.75
        Weight of the feedback documents.
    gamma : float, default=0.0
        Weight of documents taken as not relevant.
    n_negative : int, default=10
        So many of the last documents of the first search are taken as not relevant, where `gamma` is not 0.
    depth : int, default=1000
        How many documents the first search finds, where `gamma` is not 0.
    max_df : float or int, default=0.5
        Terms in more documents than this do not expand queries: a share of all documents, or a number of them. Where
        the vectorizer keeps stop words, 0.1 is better.
    k : int, default=100
        Most documents that a query finds.

    Attributes
    ----------
    retriever_ : retriever
        The retriever, fitted.
    corpus_ : Corpus
        The documents.

    See Also
    --------
    RM3Retriever : Mixes language models instead of vectors.

    Notes
    -----
    A query that finds nothing is searched as it is. Dense vectors keep their length where the metric is not the
    cosine; for Euclidean distances the sum is divided by :math:`\alpha + \beta - \gamma`, so that it is a mean.

    Parameters that need a new `fit`: `retriever`. All others take effect at once.

    References
    ----------
    J. J. Rocchio, Relevance Feedback in Information Retrieval, in: The SMART Retrieval System, 1971.

    H. Li et al., Pseudo Relevance Feedback with Deep Language Models and Dense Retrievers: Successes and Pitfalls,
    ACM TOIS 2023.

    Examples
    --------
    >>> from sklrank.retrievers import RocchioRetriever, TfidfRetriever
    >>> documents = ["heat flows", "cold rests", "thermal conduction", "heat conduction in metal"]
    >>> RocchioRetriever(TfidfRetriever()).fit(documents).predict(["heat"]).docids
    [['0', '3', '2']]
    """

    _stage = "rocchio"

    _parameter_constraints: dict = {
        **FeedbackRetriever._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "gamma": [Interval(Real, 0, None, closed="left")],
        "n_negative": [Interval(Integral, 1, None, closed="left")],
        "depth": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        retriever,
        *,
        n_documents=10,
        n_terms=10,
        alpha=1.0,
        beta=0.75,
        gamma=0.0,
        n_negative=10,
        depth=1000,
        max_df=0.5,
        k=100,
    ):
        self.retriever = retriever
        self.n_documents = n_documents
        self.n_terms = n_terms
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.n_negative = n_negative
        self.depth = depth
        self.max_df = max_df
        self.k = k

    def _check_retriever(self, retriever):
        if not isinstance(retriever, (InvertedIndexRetriever, VectorRetriever)):
            raise TypeError(
                "Rocchio's feedback moves vectors; needed is a retriever over an inverted index or over dense vectors, "
                f"such as BM25Retriever or DenseRetriever, got {type(retriever).__name__}"
            )

    def _shares(self, indptr):
        """What each document of the first search has a part of, with its sign; 0 for those in the middle."""
        sizes = np.diff(indptr)
        position = places(indptr)
        n_best = np.minimum(sizes, self.n_documents)
        n_last = np.minimum(sizes - n_best, self.n_negative if self.gamma else 0)
        best = position < n_best.repeat(sizes)
        last = position >= (sizes - n_last).repeat(sizes)
        shares = np.where(best, (self.beta / np.maximum(n_best, 1)).repeat(sizes), 0.0)
        return shares - np.where(last, (self.gamma / np.maximum(n_last, 1)).repeat(sizes), 0.0)

    @property
    def _depth(self):
        return max(self.depth, self.n_documents) if self.gamma else self.n_documents

    # --- over an inverted index
    def _first_pass(self, queries, terms, filter):
        indptr, rows, _ = self.retriever_._rank(queries, terms, self._depth, filter)
        query, shares = owners(indptr), self._shares(indptr)
        return query[shares != 0], rows[shares != 0], shares[shares != 0]

    def _weigh_terms(self, documents):
        document, queries, terms, values = self._contents(documents, self.retriever_._impacts())
        lengths = np.sqrt(np.bincount(document, values**2, minlength=len(documents[0])))
        values = np.divide(values, lengths[document], out=np.zeros(len(values)), where=lengths[document] > 0)
        return add_up(queries, terms, values * documents[2][document], self.retriever_.index_.n_terms)

    def _mix(self, query, feedback, n_queries):
        query_of, _, weights = query
        lengths = np.sqrt(np.bincount(query_of, weights**2, minlength=n_queries))
        return scaled(query, lengths, self.alpha), feedback

    # --- over dense vectors
    def _search(self, X, k, filter=None):
        check_fitted(self, "retriever_")
        if not isinstance(self.retriever_, VectorRetriever):
            return super()._search(X, k, filter)
        self._check_call(k)
        queries, vectors = self.retriever_._query_vectors(X)
        found = self.retriever_._search(QueryVectors(queries, vectors), self._depth, filter)
        moved = QueryVectors(queries, self._move(vectors, found.indptr, found.rows))
        run = self.retriever_._search(moved, k, filter)
        return Run.from_ragged(
            run.indptr, run.rows, run.scores, queries=queries, corpus=self.corpus_, name=self._stage, k=k
        )

    def _move(self, vectors, indptr, rows):
        query, shares = owners(indptr), self._shares(indptr)
        moved = np.float32(self.alpha) * vectors
        totals = self.alpha + np.bincount(query, shares, minlength=len(vectors))
        for position in range(np.diff(indptr).max(initial=0)):  # one document of each query at a time
            at = indptr[:-1] + position
            at = at[at < indptr[1:]]
            at = at[shares[at] != 0]
            moved[query[at]] += shares[at, None].astype(np.float32) * self.retriever_.vectors_[rows[at]]
        if self.retriever_.metric == "euclidean":
            moved /= totals[:, None].astype(np.float32)
        alone = ~moved.any(axis=1)
        moved[alone] = vectors[alone]
        return moved

    def _one_query(self, query, filter=None):
        check_fitted(self, "retriever_")
        if isinstance(self.retriever_, VectorRetriever):
            raise ValueError("a query over dense vectors has no terms to show")
        return super()._one_query(query, filter)
