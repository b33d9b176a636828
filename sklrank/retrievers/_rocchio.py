"""Rocchio feedback over terms and over dense vectors."""

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

    A first search finds the best documents :math:`R` and, if `gamma` is not 0, the last ones :math:`S`. The second
    search uses the vector

    .. math:: \alpha \, q + \frac{\beta}{|R|} \sum_{d \in R} d - \frac{\gamma}{|S|} \sum_{d \in S} d

    where :math:`q` and :math:`d` are the vectors of the query and of a document, each of unit length. With a dense
    retriever, these are its vectors. With an inverted index, they hold the weight of each term under the retriever's
    formula, such as BM25; the heaviest terms of the documents are added to the query, and negative weights are dropped.

    Parameters
    ----------
    retriever : retriever over an inverted index or over dense vectors
        Retriever to search with, twice. It is cloned and fitted.
    n_documents : int, default=10
        Number of feedback documents. They are the best documents of the first search.
    n_terms : int, default=10
        Number of expansion terms. If None, all terms of the feedback documents are used. Dense vectors have no terms.
    alpha : float, default=1.0
        Weight of the query.
    beta : float, default=0.75
        Weight of the feedback documents.
    gamma : float, default=0.0
        Weight of the documents that are taken as not relevant.
    n_negative : int, default=10
        Number of documents that are taken as not relevant if `gamma` is not 0. They are the last documents of the first
        search.
    depth : int, default=1000
        Number of documents of the first search if `gamma` is not 0.
    max_df : float or int, default=0.5
        Maximum document frequency of an expansion term. A float is a share of all documents, an int a number of them.
        If the vectorizer keeps stop words, 0.1 is better.
    k : int, default=100
        Number of documents to return for each query.

    Attributes
    ----------
    retriever_ : retriever
        The fitted retriever.
    corpus_ : Corpus
        The documents.

    See Also
    --------
    RM3Retriever : Mixes language models instead of vectors.

    Notes
    -----
    A query that finds nothing is searched unchanged. Dense vectors keep their length if the metric is not the cosine.
    For Euclidean distances, the sum is divided by :math:`\alpha + \beta - \gamma`, so that it is a mean.

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
                "Rocchio feedback moves vectors: expected a retriever over an inverted index or over dense vectors, "
                f"such as BM25Retriever or DenseRetriever, got {type(retriever).__name__}"
            )

    def _shares(self, indptr):
        """Return the signed weight of each document of the first search; 0 for those between the best and the last."""
        sizes = np.diff(indptr)
        position = places(indptr)
        n_best = np.minimum(sizes, self.n_documents)
        n_last = np.minimum(sizes - n_best, self.n_negative)
        best = position < n_best.repeat(sizes)
        last = position >= (sizes - n_last).repeat(sizes)
        shares = np.where(best, (self.beta / np.maximum(n_best, 1)).repeat(sizes), 0.0)
        return shares - np.where(last, (self.gamma / np.maximum(n_last, 1)).repeat(sizes), 0.0)

    @property
    def _depth(self):
        """Number of documents of the first search."""
        if self.gamma == 0:
            return self.n_documents
        return max(self.depth, self.n_documents)

    # --- over an inverted index
    def _first_pass(self, queries, bags, filter):
        indptr, rows, _ = self.retriever_._rank(queries, bags, self._depth, filter)
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
            entries = indptr[:-1] + position
            entries = entries[entries < indptr[1:]]
            entries = entries[shares[entries] != 0]
            moved[query[entries]] += shares[entries, None].astype(np.float32) * self.retriever_.vectors_[rows[entries]]
        if self.retriever_.metric == "euclidean":
            moved /= totals[:, None].astype(np.float32)
        vanished = ~moved.any(axis=1)
        moved[vanished] = vectors[vanished]
        return moved

    def _one_query(self, query, filter=None):
        check_fitted(self, "retriever_")
        if isinstance(self.retriever_, VectorRetriever):
            raise ValueError("a query over dense vectors has no terms: expand and explain need an inverted index")
        return super()._one_query(query, filter)
