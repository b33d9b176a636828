"""Exact search over dense vectors."""

import math
from functools import partial
from numbers import Integral, Real

import numpy as np

from sklrank._update import of_one_state
from sklrank._validation import Interval, StrOptions, _fit_context, array_namespace, check_fitted, check_k, to_numpy
from sklrank.data import Run
from sklrank.retrievers._array_api import search_elsewhere
from sklrank.retrievers._base_vectors import VectorRetriever, _prepare
from sklrank.retrievers._filters import rank_filtered
from sklrank.retrievers._quantization import BinaryCodes, FloatCodes, Int8Codes, search
from sklrank.retrievers._recall import lowest, mean_recall

_DTYPES = ("float32", "float16", "int8", "binary")
_RESCORE = {"int8": 4, "binary": 10}
_CODES = {"int8": Int8Codes, "binary": BinaryCodes}


class DenseRetriever(VectorRetriever):
    """Rank documents by the similarity of their vectors to the vector of the query, exactly.

    All documents are candidates, so that a query finds `k` of them. They are scored block by block, and only the best
    are kept: the matrix of shape (n_queries, n_documents) never exists. `dtype` reduces the bytes that a search reads
    by a factor of 2, 4 or 32.

    Parameters
    ----------
    corpus : Corpus or input of Corpus, default=None
        The documents. They are texts, which `encoder` turns into vectors, or vectors. If None, `fit` takes its `X` as
        the documents.
    encoder : transformer, default=None
        Encoder for documents and queries. It turns each text into one dense vector. It is cloned and fitted on the
        documents; a `FrozenEstimator` is used as it is. Document vectors are cached on the corpus. If None, documents
        and queries are vectors.
    query_encoder : transformer, default=None
        Encoder for queries, if different from `encoder`. Without `encoder`, it must be one that needs no fitting, or a
        `FrozenEstimator`.
    metric : {"cosine", "dot", "euclidean"}, default="cosine"
        Similarity of two vectors. The score is the cosine, the dot product, or minus the distance. The cosine with a
        vector of zeros is 0.
    dtype : {"float32", "float16", "int8", "binary"}, default="float32"
        Type in which vectors are stored. ``"float32"`` and ``"float16"`` give the same, exact ranking. ``"int8"``
        (with an offset and a scale for each dimension) and ``"binary"`` (one bit per dimension, compared by the Hamming
        distance) propose candidates, which are then scored exactly.
    rescore : float, default=None
        Number of candidates to rescore exactly, in multiples of `k`. It applies to ``"int8"`` and ``"binary"``. If
        None, it is 4 for ``"int8"`` and 10 for ``"binary"``.
    truncate_dim : int, default=None
        Number of leading dimensions to keep. This suits an encoder that was trained for it (matryoshka). If None, all
        are kept.
    k : int, default=100
        Number of documents to return for each query.
    field : str or list of str, default=None
        Columns of the corpus to read. They hold the texts or, without an encoder, the vectors. If None, title and text
        are joined by a space.
    filter : mask, list of ids, or one of these per query, default=None
        Documents that may be returned.
    filter_field : str, default=None
        Column of the queries that holds a filter for each query.
    n_jobs : int, default=None
        Number of threads. They share the queries of a call, as in joblib. If None, it is one thread, besides those
        that NumPy's BLAS may start. The result does not depend on it.

    Attributes
    ----------
    corpus_ : Corpus
        The documents.
    vectors_ : ndarray of shape (n_documents, n_features), dtype=float32
        Vectors of the documents, of unit length if `metric` is the cosine; a memory map if the corpus has a
        `cache_folder`.
    bytes_per_vector_ : int
        Bytes that the search reads of each document.
    n_features_in_ : int
        Number of dimensions of the vectors that `fit` saw; only without an encoder.

    See Also
    --------
    AnnRetriever : Approximate search, for millions of documents.
    BM25Retriever : Search by words.

    Notes
    -----
    The rounding of a matrix product depends on the batch, the machine and the thread. Here products only propose
    candidates, with a margin that covers the rounding. The candidates are scored again in double precision, in a fixed
    order, and rounded once. Therefore equal vectors tie, ties are ordered by row, and neither `n_jobs` nor the number
    of queries changes a bit of a ranking.

    Under scikit-learn's array API dispatch, queries and documents may be arrays of PyTorch or CuPy. Products are then
    computed on the device of the queries, and the ranking is the same.

    Parameters that need a new `fit`: `corpus`, `encoder`, `query_encoder`, `metric` and `field`. All others take effect
    at once.

    Examples
    --------
    >>> from sklrank.retrievers import DenseRetriever
    >>> documents = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]
    >>> run = DenseRetriever(k=2).fit(documents).predict([[1.0, 0.1], [0.0, 2.0]])
    >>> run.docids
    [['0', '1'], ['2', '1']]
    """

    _stage = "dense"

    _parameter_constraints: dict = {
        **VectorRetriever._parameter_constraints,
        "dtype": [StrOptions(set(_DTYPES))],
        "rescore": [Interval(Real, 1, None, closed="left"), None],
        "truncate_dim": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        corpus=None,
        *,
        encoder=None,
        query_encoder=None,
        metric="cosine",
        dtype="float32",
        rescore=None,
        truncate_dim=None,
        k=100,
        field=None,
        filter=None,
        filter_field=None,
        n_jobs=None,
    ):
        self.corpus = corpus
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.metric = metric
        self.dtype = dtype
        self.rescore = rescore
        self.truncate_dim = truncate_dim
        self.k = k
        self.field = field
        self.filter = filter
        self.filter_field = filter_field
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Encode the corpus if there is an encoder, and store its vectors in `dtype`; queries are not used.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries. Without a `corpus`, the documents.
        y : Qrels or list of dict, default=None
            Relevance judgments. They are not used.

        Returns
        -------
        self
        """
        self._set_vectors(X, y)
        self._codes(self.dtype)
        return self

    def _needs_refit(self, name, old, new):
        if name != "metric":
            return super()._needs_refit(name, old, new)
        return (old == "cosine") != (new == "cosine")  # only the cosine scales vectors to unit length

    def _searched(self):
        """Return the vectors that are searched: `vectors_`, or their leading dimensions."""
        dim = self.truncate_dim
        if dim is None or dim == self.vectors_.shape[1]:
            return self.vectors_
        if dim > self.vectors_.shape[1]:
            raise ValueError(f"truncate_dim={dim}, but vectors have {self.vectors_.shape[1]} dimensions")
        key = self._vectors_key
        return self.corpus_.cached((*key, dim), lambda: self._truncated(self.vectors_), of=key, persist=True)

    def _truncated(self, vectors):
        vectors = np.ascontiguousarray(vectors[:, : self.truncate_dim])
        return _prepare(vectors, self.metric, None, None)

    def _codes(self, dtype):
        """Return the vectors in the type `dtype`, which are made once for all estimators over this corpus."""
        persist = dtype != "float32"  # float32 codes are the vectors themselves
        key = self._codes_key(dtype, self.truncate_dim)
        return self.corpus_.cached(key, lambda: self._make_codes(dtype), of=self._vectors_key, persist=persist)

    def _make_codes(self, dtype):
        vectors = self._searched()
        if dtype in ("float32", "float16"):
            return FloatCodes(vectors, self.metric, half=dtype == "float16")
        return _CODES[dtype](vectors, self.metric)

    @property
    @of_one_state
    def bytes_per_vector_(self):
        """Bytes that the search reads of each document."""
        check_fitted(self, "vectors_")
        return self._codes(self.dtype).bytes_per_vector

    def _check_documents(self, X):
        return super()._check_documents(_on_cpu(X, array_namespace(X)[0]))

    def _search(self, X, k, filter=None):
        xp, device = array_namespace(X)
        queries, vectors = self._query_vectors(_on_cpu(X, xp))
        return self._search_vectors(queries, vectors, k, filter, self.dtype, xp, device)

    def _search_vectors(self, queries, vectors, k, filter, dtype, xp=None, device=None):
        codes, documents = self._codes(dtype), self._searched()
        if documents is not self.vectors_:
            vectors = self._truncated(vectors)
        n_candidates = k
        if not codes.is_exact:
            n_candidates = math.ceil(k * (_RESCORE[dtype] if self.rescore is None else self.rescore))

        def nearest(start, stop, *masks):
            batch = vectors[start:stop]
            if xp is not None and codes.is_exact:
                to_device = partial(self._to_device, xp, device, dtype)
                return search_elsewhere(xp, device, codes, documents, batch, self.metric, k, *masks, to_device)
            return search(codes, documents, batch, self.metric, k, n_candidates, *masks, self.n_jobs)

        if filter is None:
            filter = self.filter_of(queries)
        ranked = rank_filtered(nearest, filter, len(queries), self.corpus_)
        return Run.from_ragged(*ranked, queries=queries, corpus=self.corpus_, name=self._stage, k=k)

    def _to_device(self, xp, device, dtype, name, array):
        """Return an array of the corpus on a device of another library; it is copied there once."""
        key = ("placed", name, xp.__name__, str(device), *self._codes_key(dtype, self.truncate_dim))
        return self.corpus_.cached(key, lambda: xp.asarray(np.array(array), device=device), of=self._vectors_key)

    def recall_against_exact(self, X, k=None, filter=None):
        """Return the share of the exact ranking that the search with this `dtype` and `rescore` finds.

        A document counts as found if its score is at least the last score of the exact ranking.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries. No judgments are needed.
        k : int, default=None
            Number of documents to return for each query. If None, it is the parameter `k`.
        filter : mask, list of ids, or one of these per query, default=None
            Documents that may be returned.

        Returns
        -------
        float
            Mean over the queries that may find a document; NaN if there are none.

        Examples
        --------
        >>> import numpy as np
        >>> from sklrank.retrievers import DenseRetriever
        >>> rng = np.random.default_rng(0)
        >>> documents, queries = rng.normal(size=(1000, 64)), rng.normal(size=(20, 64))
        >>> retriever = DenseRetriever(dtype="int8", k=10).fit(documents)
        >>> retriever.bytes_per_vector_, retriever.recall_against_exact(queries)
        (64, 1.0)
        """
        if k is None:
            k = self.k
        check_k(k)
        queries, vectors = self._query_vectors(X)
        found, exact = (self._search_vectors(queries, vectors, k, filter, dtype) for dtype in (self.dtype, "float32"))
        return mean_recall(found.indptr, found.scores, *lowest(exact.indptr, exact.scores))


def _on_cpu(X, xp):
    """Return `X` as an array of NumPy; `X` itself if it is not an array of another library."""
    return X if xp is None else to_numpy(X, xp)
