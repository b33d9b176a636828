"""Learned sparse weights."""

from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.base import clone

from sklrank._caching.keys import estimator_key, field_key
from sklrank._kernels._impacts import LINEAR
from sklrank._ragged import owners
from sklrank._validation import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
    check_k,
    check_term_weights,
    is_matrix_like,
)
from sklrank.data import Queries
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._base_inverted import InvertedIndexRetriever, heaviest, index_of_parts, names_of
from sklrank.retrievers._encoding import EncodesCorpus, encode_corpus, encode_queries, encoded_columns
from sklrank.retrievers._impacts import Weighting
from sklrank.retrievers._index import Index
from sklrank.retrievers._learning import learns_from_documents
from sklrank.retrievers._recall import lowest, mean_recall
from sklrank.retrievers._segment import Segment


class SparseRetriever(EncodesCorpus, InvertedIndexRetriever):
    """Rank documents by the dot product of sparse vectors, such as those of SPLADE.

    The score of a document is the dot product of its vector and the vector of the query. A vector holds a weight of at
    least 0 for each term that a model considers relevant, also for terms that are not in the text. Only documents that
    share a term with the query are found. The ranking is exact: it is the same as if every document was scored, and
    equal scores are in the order of the corpus.

    Parameters
    ----------
    corpus : Corpus or input of Corpus, default=None
        The documents. If None, they are the `X` of `fit`.
    encoder : transformer, default=None
        Encoder for documents and queries. It turns texts into sparse vectors, and is cloned and fitted on the corpus.
        If None, documents and queries are vectors.
    query_encoder : transformer, default=None
        Encoder for queries, if different from `encoder`. It is cloned and fitted in the same way. Without `encoder`, it
        must be one that needs no fitting, or a `FrozenEstimator`.
    field : str or list of str, default=None
        Columns of the corpus to read: columns of text to encode, or the column that holds the vectors. If None, title
        and text are joined by a space, or the vectors of a corpus without text are used.
    dtype : {"float32", "uint8"}, default="float32"
        Type in which weights of documents are stored. ``"uint8"`` stores them in steps of 1/255 of the largest weight
        of the term, and at least one step. It takes half the memory, and finds the same documents with about the same
        scores.
    max_query_terms : int, default=None
        Maximum number of terms of a query to search with. The heaviest terms are used, so that the search is faster and
        no longer exact. If None, all terms are used.
    k : int, default=100
        Number of documents to return for each query.
    filter : mask, list of ids, or one of these per query, default=None
        Documents that may be returned. If None, all may.
    filter_field : str, default=None
        Column of the queries that holds a filter for each query.
    n_jobs : int, default=None
        Number of threads. The result does not depend on it.

    Attributes
    ----------
    corpus_ : Corpus
        The documents.
    encoded_ : Encoded
        The fitted encoders, and the vectors of the documents.
    index_ : Index
        Postings, which all retrievers over these vectors share.
    n_features_in_ : int
        Number of terms, if the documents are vectors.

    See Also
    --------
    BM25Retriever : Weighs the words of the text, without a model.
    DenseRetriever : Searches dense vectors.

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
            Queries, or the documents if `corpus` is None.
        y : Qrels or list of dict, default=None
            Relevance judgments. They are not used.

        Returns
        -------
        self
        """
        self._set_corpus(X, y)
        self._encode_corpus()
        self.index_ = self._shared_index()
        if self.encoder is None:
            self.n_features_in_ = self.index_.n_terms
        return self

    def _check_documents(self, X):
        if self.encoder is not None:
            return X
        return check_term_weights(self, X, reset=True)

    def _shared_index(self):
        """Return the index of the vectors, which all estimators with this encoder share."""
        field = field_key(self.field)
        key = ("sparse index", field, estimator_key(self.encoder), self.dtype)
        columns = encoded_columns(self.corpus_, self.encoder, field)
        if self.dtype == "uint8" or learns_from_documents(self.encoder):
            segment = self.corpus_.cached(key, self._segment, persist=True, columns=columns)
            return self.corpus_.cached(("index", key), lambda: Index([segment]), columns=columns)
        encoder = self.encoder

        def build(part):
            return Segment.from_matrix(_check_weights(encode_corpus(part, encoder, field).output), np.float32)

        return index_of_parts(self.corpus_, key, build, None, columns)

    def _segment(self):
        matrix = _check_weights(self.encoded_.output)
        if self.dtype == "float32":
            return Segment.from_matrix(matrix, np.float32)
        units = np.asarray(matrix.max(axis=0).todense(), dtype=np.float64).ravel() / 255
        return Segment.from_matrix(matrix, np.uint8, units=units)

    def _formula(self):
        return ("weights",)

    def _weigh(self, index):
        ones = [np.ones(len(segment.lengths)) for segment in index.segments]
        return Weighting(LINEAR, _ones, ones, dtype=self.dtype, rows=True, counted=False)

    def _prepare(self, X, among_all=False):
        if self.encoder is None and is_matrix_like(X):
            matrix = check_term_weights(self, X, reset=False)
            queries = Queries(matrix)
        else:
            queries, output = encode_queries(X, self.encoded_)
            matrix = _check_weights(output)
        if matrix.shape[1] != self.index_.n_terms:
            raise ValueError(
                f"queries have {matrix.shape[1]} terms, the documents {self.index_.n_terms}: encode both by one "
                "encoder, or by two encoders with the same vocabulary"
            )
        indptr, terms, weights = matrix.indptr.astype(np.int64), matrix.indices, matrix.data
        n = self.max_query_terms
        if n is not None and np.diff(indptr).max(initial=0) > n:
            query = owners(indptr)
            kept = heaviest(query, terms, weights, n)
            terms, weights = terms[kept], weights[kept]
            indptr = np.searchsorted(query[kept], np.arange(len(indptr)))
        return queries, self.index_.bags(indptr, terms.astype(np.uint32), weights.astype(np.float32), among_all)

    def recall_against_exact(self, X, k=None, filter=None):
        """Return the share of the exact ranking that the search finds with this `dtype` and `max_query_terms`.

        A document that scores as high as the last document of the exact ranking counts as found.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_terms)
            Queries. No judgments are needed.
        k : int, default=None
            Number of documents to return for each query. If None, the parameter `k` is used.
        filter : mask, list of ids, or one of these per query, default=None
            Documents that may be returned.

        Returns
        -------
        float
            Mean over the queries that find a document; NaN if there are none.
        """
        if k is None:
            k = self.k
        check_k(k)
        found = self._search(X, k, filter)
        exact = clone(self).set_params(corpus=self.corpus_, dtype="float32", max_query_terms=None).fit(None)
        whole, again = exact._search(X, k, filter), exact._search(X, k, found.docids)
        return mean_recall(again.indptr, again.scores, *lowest(whole.indptr, whole.scores))

    def _term_names(self, terms):
        return names_of(self.encoded_.query_encoder, terms)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.encoder is None
        return tags


def _ones(terms):
    return np.ones(len(terms))


def _check_weights(matrix):
    """Return the output of an encoder as a CSR matrix of weights."""
    if not (sparse.issparse(matrix) or isinstance(matrix, np.ndarray)):
        raise TypeError(f"expected vectors of term weights, got {type(matrix).__name__}")
    return check_term_weights(None, matrix)
