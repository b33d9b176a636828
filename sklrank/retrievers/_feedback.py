"""Pseudo-relevance feedback over an inverted index: RM3, Bo1 and relative entropy."""

from abc import abstractmethod
from numbers import Real

import numpy as np

from sklrank._validation import Interval, StrOptions
from sklrank.retrievers._base_feedback import FeedbackRetriever, add_up, maxima, scaled, sums
from sklrank.retrievers._language_model import LanguageModelRetriever


class RM3Retriever(FeedbackRetriever):
    r"""Expand queries by a relevance model of the documents that they find (RM3).

    The relevance model is the mean of the language models of the best documents, weighted by how well each document
    matches the query. It is mixed with the query:

    .. math::

        \lambda \, p(t | q) + (1 - \lambda) \sum_{d} p(d | q) \, \frac{tf_{t, d}}{|d|}

    The sum keeps its heaviest terms, scaled so that their weights add up to 1.

    Parameters
    ----------
    retriever : retriever over an inverted index
        Retriever to search with, twice. It is cloned and fitted.
    n_documents : int, default=10
        Number of feedback documents. They are the best documents of the first search.
    n_terms : int, default=30
        Number of expansion terms. If None, all terms of the feedback documents are used.
    original_weight : float, default=0.5
        Weight of the query, :math:`\lambda`. 1 searches for the query alone, 0 for the relevance model alone.
    document_weights : {"auto", "score", "likelihood", "uniform"}, default="auto"
        Value that :math:`p(d | q)` is proportional to: the score, the likelihood of the query if scores are logarithms
        of it, or a constant. ``"auto"`` is ``"likelihood"`` for a `LanguageModelRetriever`, otherwise ``"score"``.
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
    Bo1Retriever, KLRetriever : Weigh terms by how rare they are in the corpus.
    RocchioRetriever : Moves the vector of the query; also for dense retrievers.

    Notes
    -----
    A query that finds nothing, or whose documents hold no other term, is searched unchanged.

    Parameters that need a new `fit`: `retriever`. All others take effect at once.

    References
    ----------
    V. Lavrenko and W. B. Croft, Relevance-Based Language Models, SIGIR 2001.

    N. Abdul-Jaleel et al., UMass at TREC 2004: Novelty and HARD, TREC 2004.

    Examples
    --------
    >>> from sklrank.retrievers import BM25Retriever, RM3Retriever
    >>> documents = ["heat flows", "cold rests", "thermal conduction", "heat conduction in metal"]
    >>> retriever = RM3Retriever(BM25Retriever(), n_documents=2).fit(documents)
    >>> retriever.predict(["heat"]).docids
    [['0', '3', '2']]
    >>> list(retriever.expand("heat"))
    ['heat', 'flows', 'conduction', 'in', 'metal']
    """

    _stage = "rm3"

    _parameter_constraints: dict = {
        **FeedbackRetriever._parameter_constraints,
        "original_weight": [Interval(Real, 0, 1, closed="both")],
        "document_weights": [StrOptions({"auto", "score", "likelihood", "uniform"})],
    }

    def __init__(
        self,
        retriever,
        *,
        n_documents=10,
        n_terms=30,
        original_weight=0.5,
        document_weights="auto",
        max_df=0.5,
        k=100,
    ):
        self.retriever = retriever
        self.n_documents = n_documents
        self.n_terms = n_terms
        self.original_weight = original_weight
        self.document_weights = document_weights
        self.max_df = max_df
        self.k = k

    def _weigh_terms(self, documents):
        owners, queries, terms, values = self._contents(documents)
        lengths = np.bincount(owners, values, minlength=len(documents[0]))
        shares = self._document_weights(*documents)
        return add_up(queries, terms, values / lengths[owners] * shares[owners], self.retriever_.index_.n_terms)

    def _document_weights(self, owners, rows, scores):
        how, scores = self.document_weights, scores.astype(np.float64)
        if how == "uniform":
            return np.ones(len(scores))
        if how == "likelihood" or how == "auto" and isinstance(self.retriever_, LanguageModelRetriever):
            first = np.searchsorted(owners, owners)
            return np.exp(scores - scores[first])
        if scores.min(initial=0) < 0:
            raise ValueError(
                f"document_weights={self.document_weights!r} weighs documents by their scores, but some scores are "
                "negative: use 'likelihood' if they are logarithms of probabilities, or 'uniform'"
            )
        all_zero = np.bincount(owners, scores)[owners] == 0  # then all documents of the query count the same
        return np.where(all_zero, 1.0, scores)

    def _mix(self, query, feedback, n_queries):
        weight = self.original_weight
        query = scaled(query, sums(query, n_queries), weight)
        return query, scaled(feedback, sums(feedback, n_queries), 1 - weight)


class _DivergenceRetriever(FeedbackRetriever):
    """Base of retrievers that prefer terms which are more frequent in the feedback documents than in the corpus."""

    _parameter_constraints: dict = {
        **FeedbackRetriever._parameter_constraints,
        "beta": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, retriever, *, n_documents=3, n_terms=10, beta=0.4, max_df=0.5, k=100):
        self.retriever = retriever
        self.n_documents = n_documents
        self.n_terms = n_terms
        self.beta = beta
        self.max_df = max_df
        self.k = k

    @abstractmethod
    def _divergence(self, counts, lengths, frequencies, index):
        """Return weights of terms, given their counts in the feedback, its length and their counts in the corpus."""

    def _weigh_terms(self, documents):
        index = self.retriever_.index_
        _, queries, terms, values = self._contents(documents)
        lengths = np.bincount(queries, values)
        queries, terms, counts = add_up(queries, terms, values, index.n_terms)
        weights = self._divergence(counts, lengths[queries], index.terms.collection_frequencies[terms], index)
        return queries, terms, weights

    def _mix(self, query, feedback, n_queries):
        query = scaled(query, maxima(query, n_queries), 1.0)
        return query, scaled(feedback, maxima(feedback, n_queries), self.beta)


class Bo1Retriever(_DivergenceRetriever):
    r"""Expand queries by terms that are unusually frequent in the documents that they find (Bo1).

    Bose-Einstein statistics give the weight of a term

    .. math:: w(t) = tf_x \log_2 \frac{1 + P}{P} + \log_2 (1 + P)

    where :math:`tf_x` is the number of its occurrences in the best documents, and :math:`P` the mean number of its
    occurrences per document of the corpus. The heaviest terms are added to the query, each with the weight :math:`\beta
    \, w(t) / \max_u w(u)`. The weight of a term of the query is its count in the query, divided by the largest of these
    counts. This is Bo1 of Terrier.

    Parameters
    ----------
    retriever : retriever over an inverted index
        Retriever to search with, twice. It is cloned and fitted.
    n_documents : int, default=3
        Number of feedback documents. They are the best documents of the first search.
    n_terms : int, default=10
        Number of expansion terms. If None, all terms of the feedback documents are used.
    beta : float, default=0.4
        Weight of the expansion terms; that of the query is 1.
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
    KLRetriever : Weighs terms by relative entropy.
    RM3Retriever : Uses a language model of the documents.

    Notes
    -----
    A query that finds nothing is searched unchanged.

    Parameters that need a new `fit`: `retriever`. All others take effect at once.

    References
    ----------
    G. Amati, Probability Models for Information Retrieval Based on Divergence from Randomness, PhD thesis, University
    of Glasgow, 2003.

    Examples
    --------
    >>> from sklrank.retrievers import BM25Retriever, Bo1Retriever
    >>> documents = ["heat flows", "cold rests", "thermal conduction", "heat conduction in metal"]
    >>> Bo1Retriever(BM25Retriever()).fit(documents).predict(["heat"]).docids
    [['3', '0', '2']]
    """

    _stage = "bo1"

    def _divergence(self, counts, lengths, frequencies, index):
        mean = frequencies / index.n_documents
        return counts * np.log2((1 + mean) / mean) + np.log2(1 + mean)


class KLRetriever(_DivergenceRetriever):
    r"""Expand queries by terms that are more frequent in the documents that they find than in the corpus (KL).

    The weight of a term is its part of the relative entropy of the best documents and the corpus,

    .. math:: w(t) = p_x \log_2 \frac{p_x}{p_c}

    where :math:`p_x` is its share of all words of the best documents, and :math:`p_c` its share of all words of the
    corpus. The weight is 0 if :math:`p_x < p_c`. The heaviest terms are added to the query, each with the weight
    :math:`\beta \, w(t) / \max_u w(u)`. The weight of a term of the query is its count in the query, divided by the
    largest of these counts.

    Parameters
    ----------
    retriever : retriever over an inverted index
        Retriever to search with, twice. It is cloned and fitted.
    n_documents : int, default=3
        Number of feedback documents. They are the best documents of the first search.
    n_terms : int, default=10
        Number of expansion terms. If None, all terms of the feedback documents are used.
    beta : float, default=0.4
        Weight of the expansion terms; that of the query is 1.
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
    Bo1Retriever : Weighs terms by Bose-Einstein statistics.
    RM3Retriever : Uses a language model of the documents.

    Notes
    -----
    A query that finds nothing is searched unchanged.

    Parameters that need a new `fit`: `retriever`. All others take effect at once.

    References
    ----------
    G. Amati, Probability Models for Information Retrieval Based on Divergence from Randomness, PhD thesis, University
    of Glasgow, 2003.

    Examples
    --------
    >>> from sklrank.retrievers import BM25Retriever, KLRetriever
    >>> documents = ["heat flows", "cold rests", "thermal conduction", "heat conduction in metal"]
    >>> KLRetriever(BM25Retriever()).fit(documents).predict(["heat"]).docids
    [['0', '3']]
    """

    _stage = "kl"

    def _divergence(self, counts, lengths, frequencies, index):
        share = counts / lengths
        return np.maximum(share * np.log2(share / (frequencies / index.total_length)), 0)
