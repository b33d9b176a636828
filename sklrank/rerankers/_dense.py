"""DenseReranker: rerank by the similarity of vectors."""

import numpy as np
from scipy import sparse

from sklrank._ragged import owners
from sklrank._validation import HasMethods, StrOptions
from sklrank.data import TokenVectors
from sklrank.rerankers._base_scoring import ScoringReranker
from sklrank.rerankers._candidates import encode_candidates
from sklrank.rerankers._texts import query_texts
from sklrank.retrievers._base_vectors import _prepare
from sklrank.retrievers._encoding import encode_queries

_PAIRS = 4096  # number of pairs that are compared at a time


class DenseReranker(ScoringReranker):
    """Rank candidates by the similarity of their vectors to the vector of the query.

    Any transformer of texts can make the vectors, dense or sparse. Only candidates are encoded, each once. If a
    retriever with the same encoder has encoded the whole corpus, its vectors are used.

    Parameters
    ----------
    encoder : transformer, default=None
        Encoder for documents and queries. It makes a vector of each text. It is cloned, and fitted on the corpus if it
        has to be fitted; a `FrozenEstimator` keeps a fitted one. If None, the corpus and the queries hold vectors.
    query_encoder : transformer, default=None
        Encoder for queries, if different from `encoder`. Without `encoder`, it must be one that needs no fitting, or a
        `FrozenEstimator`.
    metric : {"cosine", "dot", "euclidean"}, default="cosine"
        Similarity of two vectors. "euclidean" is minus the euclidean distance.
    depth : int, default=None
        Number of candidates of each query to rerank, from the top. If None, all are reranked.
    tail : {"drop", "keep"}, default="drop"
        Whether candidates below `depth` are dropped or kept in their order.
    k : int, default=None
        Number of documents to return for each query. If None, all are returned.
    field : str or list of str, default=None
        Columns of the corpus to read. Without an `encoder`, it is the column that holds the vectors. If None, title and
        text are joined by a space if both exist; without an `encoder`, the corpus was made from vectors.

    See Also
    --------
    CrossEncoderReranker : Reads query and document together, which is slower and more exact.
    sklrank.retrievers.DenseRetriever : Compares the query with all documents.

    Notes
    -----
    Vectors of candidates are cached on the corpus, up to half of its `cache_limit`. Those that were encoded first are
    dropped first.

    Scores are equal to those of a `DenseRetriever` with the same encoder and metric, up to the last bit of single
    precision.

    No parameter needs a new `fit`. All take effect at once.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklrank import Corpus
    >>> from sklrank.rerankers import DenseReranker
    >>> from sklrank.retrievers import BM25Retriever
    >>> corpus = Corpus(["heat flows and heat rests", "heat flow", "cold rests"])
    >>> characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4))
    >>> pipe = make_pipeline(BM25Retriever(corpus), DenseReranker(characters)).fit(["heat flow"])
    >>> print(pipe.predict(["heat flow"]))
    heat flow
      1  1  1         heat flow
      2  0  0.636969  heat flows and heat rests
    """

    _stage = "dense"

    _parameter_constraints: dict = {
        **ScoringReranker._parameter_constraints,
        "encoder": [HasMethods(["fit", "transform"]), None],
        "query_encoder": [HasMethods(["fit", "transform"]), None],
        "metric": [StrOptions({"cosine", "dot", "euclidean"})],
        "field": "no_validation",
    }

    def __init__(
        self, encoder=None, query_encoder=None, *, metric="cosine", depth=None, tail="drop", k=None, field=None
    ):
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.metric = metric
        self.depth = depth
        self.tail = tail
        self.k = k
        self.field = field

    def _score(self, candidates):
        encoded, which = encode_candidates(candidates, self.encoder, self.field, self.query_encoder)
        if isinstance(encoded.output, TokenVectors):
            raise TypeError("expected one vector per document, got one per token; use MaxSimReranker")
        if encoded.query_encoder is not None:
            query_texts(candidates)  # raises if there are none
        _, queries = encode_queries(candidates.queries, encoded)
        rows, first, which = np.unique(which, return_index=True, return_inverse=True)
        documents = encoded.output[rows]
        if queries.shape[1] != documents.shape[1]:
            raise ValueError(
                f"queries have {queries.shape[1]} dimensions, but documents have {documents.shape[1]}; both must come "
                "from one encoder, or from two that were trained together"
            )
        documents = self._prepared(documents, lambda chosen: candidates.flat_docids[first[chosen]].tolist(), "document")
        queries = self._prepared(queries, lambda chosen: candidates.qids[chosen].tolist(), "query")
        asked = owners(candidates.indptr)
        scores = np.empty(len(which), dtype=np.float32)
        for start in range(0, len(which), _PAIRS):
            pairs = slice(start, start + _PAIRS)
            scores[pairs] = _similarities(queries[asked[pairs]], documents[which[pairs]], self.metric)
        return scores + np.float32(0)  # turns -0.0 into 0.0

    def _prepared(self, vectors, names, what):
        """Bring vectors into one form: dense ones to single precision, and all to unit length for the cosine."""
        if not sparse.issparse(vectors):
            return _prepare(vectors, self.metric, names, what)
        vectors = sparse.csr_array(vectors, dtype=np.float64)
        if self.metric == "cosine":
            lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
            vectors = sparse.diags_array(1 / np.where(lengths > 0, lengths, 1)) @ vectors
        return sparse.csr_array(vectors)


def _similarities(queries, documents, metric):
    """Return the similarity of corresponding rows, summed in double precision."""
    if sparse.issparse(queries) or sparse.issparse(documents):
        queries, documents = sparse.csr_array(queries), sparse.csr_array(documents)
        if metric == "euclidean":
            difference = queries - documents
            return -np.sqrt(np.asarray(difference.multiply(difference).sum(axis=1)).ravel())
        return np.asarray(queries.multiply(documents).sum(axis=1)).ravel()
    queries, documents = queries.astype(np.float64), documents.astype(np.float64)
    if metric == "euclidean":
        queries -= documents
        return -np.sqrt(np.einsum("ij,ij->i", queries, queries))
    return np.einsum("ij,ij->i", queries, documents)
