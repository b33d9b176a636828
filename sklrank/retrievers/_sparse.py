"""Learned sparse weights."""

from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.base import clone

from sklrank._caching.keys import estimator_key
from sklrank._kernels._impacts import LINEAR
from sklrank._ragged import owners
from sklrank._validation import HasMethods, Interval, StrOptions, _fit_context, check_term_weights, is_matrix_like
from sklrank.data import Queries
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._base_inverted import InvertedIndexRetriever, heaviest, names_of
from sklrank.retrievers._encoding import EncodesCorpus, encode_queries
from sklrank.retrievers._impacts import Weighting
from sklrank.retrievers._index import Index, Segment
from sklrank.retrievers._recall import lowest, mean_recall


class SparseRetriever(EncodesCorpus, InvertedIndexRetriever):
    """Rank documents by the product of sparse vectors, such as those of SPLADE.

    The score of a document is the dot product of its vector with that of the query. Vectors hold a weight, at least
    0, for each term that a model finds fitting, also for terms that are not in the text. Only documents that share a
    term with the query are found, and the ranking is exact: that of scoring every document, equal scores in the
    order of the corpus.

    Parameters
    ----------
    corpus : Corpus or whatever one is made from, default=None
        The documents. ``None``: those that `fit` gets as `X`.
    encoder : transformer, default=None
        Turns texts into sparse vectors; cloned and fitted on the corpus. ``None``: documents and queries are vectors.
    query_encoder : transformer, default=None
        The encoder of queries, where it is another one; cloned and fitted likewise.
    field : str or sequence of str, default=None
        Columns of the corpus to encode, or the one that holds the vectors. ``None``: title and text, or the vectors
        that are all the corpus has.
    dtype : {"float32", "uint8"}, default="float32"
        How the weights of documents are kept. ``"uint8"``: in steps of 1/255 of the largest weight of the term, at
        least one step, which takes half the memory, and finds the same documents with about the same scores.
    max_query_terms : int, default=None
        Search with this many terms of a query, the heaviest ones: faster, and no longer exact. ``None``: with all.
    k : int, default=100
        Most documents that a query finds.
    filter : mask, list of ids, or one of these per query, default=None
        Documents that may be found.
    filter_field : str, default=None
        Column of the queries that holds a filter for each.
    n_jobs : int, default=None
        Threads; the ranking does not depend on it.

    Attributes
    ----------
    corpus_ : Corpus
        The documents.
    encoded_ : Encoded
        The fitted encoders, and the vectors of the documents.
    index_ : Index
        Postings, shared by all retrievers over these vectors.
    n_features_in_ : int
        Number of terms, where documents are vectors.

    See Also
    --------
    BM25Retriever : Weighs the words of the text; needs no model.
    DenseRetriever : Dense vectors.

    Notes
    -----
    Parameters that need a new `fit`: `corpus`, `encoder`, `query_encoder`, `field` and `dtype`. All others take effect
    at once.

    References
    ----------
    T. Formal, B. Piwowarski and S. Clinchant, SPLADE: Sparse Lexical and Expansion Model for First Stage Ranking,
    SIGIR 2021.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from sklrank.retrievers import SparseRetriever
    >>> documents = csr_array([[0.5, 0.0, 1.5], [0.0, 2.0, 0.0], [1.0, 0.0, 0.25]])
    >>> run = SparseRetriever().fit(documents).predict(csr_array([[2.0, 0.0, 1.0]]))
    >>> run.docids, run.scores
    ([['0', '2']], array([2.5 , 2.25], dtype=float32))
    """

    _stage = "sparse"
    _counted = False

    _refit_parameters = ("corpus", "encoder", "query_encoder", "field", "dtype")

    _parameter_constraints: dict = {
        **CorpusRetriever._parameter_constraints,
        "encoder": [HasMethods(["fit", "transform"]), None],
        "query_encoder": [HasMethods(["fit", "transform"]), None],
        "dtype": [StrOptions({"float32", "uint8"})],
        "max_query_terms": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        corpus=None,
        *,
        encoder=None,
        query_encoder=None,
        field=None,
        dtype="float32",
        max_query_terms=None,
        k=100,
        filter=None,
        filter_field=None,
        n_jobs=None,
    ):
        self.corpus = corpus
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.field = field
        self.dtype = dtype
        self.max_query_terms = max_query_terms
        self.k = k
        self.filter = filter
        self.filter_field = filter_field
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Encode and index the corpus; nothing is learned from the queries.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_terms)
            The queries. Without a `corpus`, the documents.
        y : Qrels or list of dict, default=None
            Judgments; not used.

        Returns
        -------
        self
        """
        self._set_corpus(X, y)
        self._encode_corpus()
        key = ("sparse index", self._field, estimator_key(self.encoder), self.dtype)
        self.index_ = self.corpus_.cached(key, self._build_index, persist=True)
        if self.encoder is None:
            self.n_features_in_ = self.index_.n_terms
        return self

    def _check_documents(self, X):
        return check_term_weights(self, X, reset=True) if self.encoder is None else X

    def _build_index(self):
        matrix = _check_weights(self.encoded_.output)
        if self.dtype == "float32":
            return Index([Segment.from_matrix(0, matrix, np.float32)], matrix.shape[1])
        units = np.asarray(matrix.max(axis=0).todense(), dtype=np.float64).ravel() / 255
        return Index([Segment.from_matrix(0, matrix, np.uint8, units)], matrix.shape[1], units=units)

    def _check_call(self, k):
        super()._check_call(k)
        # It may be set after `fit`; if it is right, a look is enough.
        n = self.max_query_terms
        if n is not None and (type(n) is not int or n < 1):
            self._validate_params()

    def _formula(self):
        return ("weights",)

    def _weigh(self, index):
        ones = [np.ones(len(segment.lengths)) for segment in index.segments]
        dtype = np.float32 if index.units is None else np.uint8
        return Weighting(LINEAR, np.ones(index.n_terms), ones, dtype=dtype, rows=True)

    def _prepare(self, X):
        if self.encoder is None and is_matrix_like(X):
            matrix = check_term_weights(self, X, reset=False)
            queries = Queries(matrix)
        else:
            queries, output = encode_queries(X, self.encoded_)
            matrix = _check_weights(output)
        if matrix.shape[1] != self.index_.n_terms:
            raise ValueError(
                f"queries have {matrix.shape[1]} terms, the documents {self.index_.n_terms}: both come from one "
                "encoder, or from two with the same vocabulary"
            )
        indptr, terms, weights = matrix.indptr.astype(np.int64), matrix.indices, matrix.data
        n = self.max_query_terms
        if n is not None and np.diff(indptr).max(initial=0) > n:
            query = owners(indptr)
            kept = heaviest(query, terms, weights, n)
            terms, weights = terms[kept], weights[kept]
            indptr = np.searchsorted(query[kept], np.arange(len(indptr)))
        return queries, (indptr, terms.astype(np.uint32), weights.astype(np.float32))

    def recall_against_exact(self, X, k=None, filter=None):
        """Share of the exact ranking that the search with this `dtype` and `max_query_terms` finds.

        A document that scores as high as the last one of the exact ranking counts as found.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_terms)
            The queries; no judgments are needed.
        k : int, default=None
            The cutoff; ``None``: the parameter `k`.
        filter : mask, list of ids, or one of these per query, default=None
            The documents that may be found.

        Returns
        -------
        float
            Mean over the queries that find anything; NaN where there are none.
        """
        k = self.k if k is None else k
        found = self._search(X, k, filter)
        exact = clone(self).set_params(corpus=self.corpus_, dtype="float32", max_query_terms=None).fit(None)
        whole, again = exact._search(X, k, filter), exact._search(X, k, found.docids)
        return mean_recall(again.indptr, again.scores, *lowest(whole.indptr, whole.scores))

    def _term_names(self, terms):
        return names_of(self.encoded_.encoder, terms)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.encoder is None
        return tags


def _check_weights(matrix):
    """The output of an encoder as a CSR matrix of weights."""
    if not (sparse.issparse(matrix) or isinstance(matrix, np.ndarray)):
        raise TypeError(f"needed are vectors of term weights, got {type(matrix).__name__}")
    return check_term_weights(None, matrix)
