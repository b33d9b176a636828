"""Pseudo-relevance feedback: the best documents of a first search say what to search for in a second one."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags

from sklrank._caching.keys import parameters_key
from sklrank._ragged import owners
from sklrank._validation import HasMethods, Interval, RealNotInt, StrOptions, _fit_context, check_fitted
from sklrank.base import Retriever
from sklrank.data import Run
from sklrank.retrievers._base_inverted import InvertedIndexRetriever, explain_terms, heaviest
from sklrank.retrievers._language_model import LanguageModelRetriever


class FeedbackRetriever(Retriever):
    """Base of retrievers that expand queries with terms of the documents that another one finds.

    A subclass weighs the terms of these documents in `_weigh_terms`, and mixes them with the query in `_mix`.
    """

    _stage = None

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
        """The documents: those of the retriever."""
        return self.retriever.corpus

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit the retriever; nothing is learned from the queries.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries. Without a corpus, the documents.
        y : Qrels or list of dict, default=None
            Judgments; not used.

        Returns
        -------
        self
        """
        retriever = clone(self.retriever)
        self._check_retriever(retriever)
        self.retriever_ = retriever.fit(X, y)
        self.corpus_ = self.retriever_.corpus_
        return self

    def ranking_key(self):
        """Return the key under which rankings may be kept: the parameters, and the key of the retriever inside.

        Returns
        -------
        key : hashable or None
            None if the retriever inside has none.
        """
        return parameters_key(self, getattr(self, "retriever_", self.retriever))

    def _check_retriever(self, retriever):
        if not isinstance(retriever, InvertedIndexRetriever):
            raise TypeError(
                f"{type(self).__name__} expands queries with terms; needed is a retriever over an inverted index, such "
                f"as BM25Retriever, got {type(retriever).__name__}"
            )

    def transform(self, X, filter=None):
        """Rank the documents for each query, expanded.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries.
        filter : mask, list of ids, or one of these per query, default=None
            The documents that may be found, in both searches. ``None``: as the retriever's parameters say.

        Returns
        -------
        Run
            For each query at most `k` documents, best first; equal scores in the order of the corpus.
        """
        return self._search(X, self.k, filter)

    def filter_of(self, queries):
        """Return the filter that holds for queries if `transform` is not given one.

        Parameters
        ----------
        queries : Queries
            The queries.

        Returns
        -------
        mask, list of ids, one of these per query, or None
            That of the retriever.
        """
        return self.retriever_.filter_of(queries)

    def _search(self, X, k, filter=None):
        self._check_call(k)
        queries, terms = self.retriever_._prepare(X)
        terms = self._expand(queries, terms, filter)
        ranked = self.retriever_._rank(queries, terms, k, filter)
        return Run.from_ragged(*ranked, queries=queries, corpus=self.corpus_, name=self._stage, k=k)

    def _check_call(self, k):
        check_fitted(self, "retriever_")
        self._validate_params()
        self.retriever_._check_call(k)

    def _expand(self, queries, terms, filter=None):
        """The terms of queries and of their feedback, weighted, ragged."""
        indptr, original, weights = terms
        index, n_queries = self.retriever_.index_, len(indptr) - 1
        query = _add_up(owners(indptr), original.astype(np.int64), weights.astype(np.float64), index.n_terms)
        feedback = self._weigh_terms(self._first_pass(queries, terms, filter))
        if self.max_df != 1.0 or isinstance(self.max_df, Integral):
            most = self.max_df if isinstance(self.max_df, Integral) else self.max_df * index.n_documents
            feedback = _take(feedback, index.document_frequencies[feedback[1]] <= most)
        if self.n_terms is not None:
            feedback = _take(feedback, heaviest(*feedback, self.n_terms))
        mixed = _add_up(*map(np.concatenate, zip(*self._mix(query, feedback, n_queries))), index.n_terms)
        mixed = _take(mixed, mixed[2] > 0)
        lost = ~np.isin(query[0], mixed[0])  # queries that keep no weight, and have no feedback
        if lost.any():
            mixed = _add_up(*map(np.concatenate, zip(mixed, _take(query, lost))), index.n_terms)
        query, terms, weights = mixed
        return np.searchsorted(query, np.arange(n_queries + 1)), terms.astype(np.uint32), weights.astype(np.float32)

    def _first_pass(self, queries, terms, filter):
        """The feedback documents: their queries, rows and scores."""
        indptr, rows, scores = self.retriever_._rank(queries, terms, self.n_documents, filter)
        return owners(indptr), rows, scores

    def _contents(self, documents, impacts=None):
        """The terms of feedback documents: the document, its query, the term, and what it is worth there."""
        owners, terms, values = self.retriever_.index_.contents(documents[1], impacts)
        return owners, documents[0][owners], terms, values

    # --- for people
    def expand(self, query, filter=None):
        """The terms that are searched for in the place of a query.

        Parameters
        ----------
        query : str
            The query.
        filter : mask or list of ids, default=None
            The documents that may be found.

        Returns
        -------
        dict of str to float
            Weight of each term, the heaviest first.
        """
        terms, weights = self._one_query(query, filter)[1:]
        order = np.lexsort((terms, -weights))
        return dict(zip(self.retriever_._term_names(terms[order]), weights[order].tolist()))

    def explain(self, query, docid):
        """Take the score of a document apart.

        Parameters
        ----------
        query : str
            The query.
        docid : str
            The document.

        Returns
        -------
        Explanation
            What each term of the expanded query contributes; the sum is the score.
        """
        return explain_terms(self.retriever_, self._one_query(query), docid)

    def _one_query(self, query, filter=None):
        self._check_call(self.k)
        queries, terms = self.retriever_._prepare([query] if isinstance(query, str) else query)
        if len(queries) != 1:
            raise ValueError(f"one query is needed, got {len(queries)}")
        return self._expand(queries, terms, filter)

    @property
    def n_features_in_(self):
        """Number of terms, where documents are a matrix."""
        check_fitted(self, "retriever_")
        return self.retriever_.n_features_in_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "retriever_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.retriever).input_tags
        tags.requires_fit = True
        return tags


class RM3Retriever(FeedbackRetriever):
    r"""Expand queries by a relevance model of the documents that they find (RM3).

    The relevance model is the mean of the language models of the best documents, each weighted by how well it fits
    the query; it is mixed with the query:

    .. math::

        \lambda \, p(t | q) + (1 - \lambda) \sum_{d} p(d | q) \, \frac{tf_{t, d}}{|d|}

    The sum keeps the terms that weigh most, scaled so that they add up to 1.

    Parameters
    ----------
    retriever : retriever over an inverted index
        Searches twice; cloned and fitted.
    n_documents : int, default=10
        Feedback documents: so many of the best of the first search.
    n_terms : int, default=30
        Terms that the relevance model keeps. ``None``: all.
    original_weight : float, default=0.5
        Weight of the query, :math:`\lambda`: 1 searches for the query alone, 0 for the relevance model alone.
    document_weights : {"auto", "score", "likelihood", "uniform"}, default="auto"
        What :math:`p(d | q)` is proportional to: the score, the likelihood of the query if scores are logarithms of
        it, or the same for all. ``"auto"``: the likelihood for a `LanguageModelRetriever`, else the score.
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
    Bo1Retriever, KLRetriever : Weigh terms by how unusual they are in the corpus.
    RocchioRetriever : Moves the query's vector; for dense retrievers, too.

    Notes
    -----
    A query that finds nothing, or whose documents hold no other term, is searched as it is.

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
        return _add_up(queries, terms, values / lengths[owners] * shares[owners], self.retriever_.index_.n_terms)

    def _document_weights(self, owners, rows, scores):
        how, scores = self.document_weights, scores.astype(np.float64)
        if how == "auto":
            how = "likelihood" if isinstance(self.retriever_, LanguageModelRetriever) else "score"
        if how == "uniform":
            return np.ones(len(scores))
        if how == "likelihood":
            first = np.searchsorted(owners, owners)
            return np.exp(scores - scores[first])
        if scores.min(initial=0) < 0:
            raise ValueError(
                f"document_weights={self.document_weights!r} weighs documents by their scores, and some are negative: "
                "take 'likelihood' for logarithms of probabilities, or 'uniform'"
            )
        nothing = np.bincount(owners, scores)[owners] == 0  # of documents that all score 0 none is better
        return np.where(nothing, 1.0, scores)

    def _mix(self, query, feedback, n_queries):
        weight = self.original_weight
        query = _scaled(query, _sums(query, n_queries), weight)
        return query, _scaled(feedback, _sums(feedback, n_queries), 1 - weight)


class _DivergenceRetriever(FeedbackRetriever):
    """Base of the expansions that weigh terms by how much more frequent they are in the feedback than in the corpus."""

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

    def _weigh_terms(self, documents):
        index = self.retriever_.index_
        _, queries, terms, values = self._contents(documents)
        lengths = np.bincount(queries, values)
        queries, terms, counts = _add_up(queries, terms, values, index.n_terms)
        weights = self._divergence(counts, lengths[queries], index.collection_frequencies[terms], index)
        return queries, terms, weights

    def _mix(self, query, feedback, n_queries):
        query = _scaled(query, _maxima(query, n_queries), 1.0)
        return query, _scaled(feedback, _maxima(feedback, n_queries), self.beta)


class Bo1Retriever(_DivergenceRetriever):
    r"""Expand queries by terms that tell the documents that they find from the corpus, under Bose-Einstein statistics.

    A term that occurs :math:`tf_x` times in the best documents, and :math:`P` times a document on average over the
    whole corpus, weighs

    .. math:: w(t) = tf_x \log_2 \frac{1 + P}{P} + \log_2 (1 + P)

    The terms that weigh most are added to the query, each with :math:`\beta \, w(t) / \max_u w(u)`; the terms of the
    query weigh as often as they stand there, divided by the largest of these numbers. This is Bo1 of Terrier.

    Parameters
    ----------
    retriever : retriever over an inverted index
        Searches twice; cloned and fitted.
    n_documents : int, default=3
        Feedback documents: so many of the best of the first search.
    n_terms : int, default=10
        Terms that are added. ``None``: all.
    beta : float, default=0.4
        Weight of what is added, against 1 for the query.
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
    KLRetriever : The same by relative entropy.
    RM3Retriever : A language model of the documents.

    Notes
    -----
    A query that finds nothing is searched as it is.

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

    A term with the share :math:`p_x` of all words in the best documents, and :math:`p_c` in the whole corpus, weighs
    what it adds to the relative entropy of the two,

    .. math:: w(t) = p_x \log_2 \frac{p_x}{p_c}

    and those with :math:`p_x < p_c` nothing. The terms that weigh most are added to the query, each with :math:`\beta
    \, w(t) / \max_u w(u)`; the terms of the query weigh as often as they stand there, divided by the largest of these
    numbers.

    Parameters
    ----------
    retriever : retriever over an inverted index
        Searches twice; cloned and fitted.
    n_documents : int, default=3
        Feedback documents: so many of the best of the first search.
    n_terms : int, default=10
        Terms that are added. ``None``: all.
    beta : float, default=0.4
        Weight of what is added, against 1 for the query.
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
    Bo1Retriever : The same under Bose-Einstein statistics.
    RM3Retriever : A language model of the documents.

    Notes
    -----
    A query that finds nothing is searched as it is.

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


def _add_up(owners, terms, weights, n_terms):
    """Add the weights of equal terms of one owner; by owner, then term."""
    keys, inverse = np.unique(owners * n_terms + terms, return_inverse=True)
    return keys // n_terms, keys % n_terms, np.bincount(inverse, weights, minlength=len(keys))


def _take(entries, which):
    return tuple(array[which] for array in entries)


def _sums(entries, n_owners):
    return np.bincount(entries[0], entries[2], minlength=n_owners)


def _maxima(entries, n_owners):
    maxima = np.zeros(n_owners)
    np.maximum.at(maxima, entries[0], entries[2])
    return maxima


def _scaled(entries, norms, factor):
    """Entries with the weights of each owner divided by its norm, and multiplied by `factor`."""
    owners, terms, weights = entries
    norms = norms[owners]
    return owners, terms, factor * np.divide(weights, norms, out=np.zeros(len(weights)), where=norms > 0)
