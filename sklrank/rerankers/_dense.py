"""DenseReranker: similarity of vectors."""

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

_PAIRS = 4096  # that are multiplied at a time


class DenseReranker(ScoringReranker):
    """Rank candidates by the similarity of their vectors to that of the query.

    Any transformer of texts makes the vectors, dense or sparse. Only candidates are encoded, each once, unless the
    corpus has all its vectors already, from a retriever with the same encoder.

    Parameters
    ----------
    encoder : transformer, default=None
        Makes vectors of texts; cloned, and fitted on the corpus where it has to be fitted (`FrozenEstimator` keeps a
        fitted one). ``None``: the corpus and the queries hold vectors.
    query_encoder : transformer, default=None
        The encoder of queries, where that is another one; ``None``: the same.
    metric : {"cosine", "dot", "euclidean"}, default="cosine"
        The cosine, the dot product, or minus the euclidean distance.
    depth : int, default=None
        How many candidates of each query to score, the first ones; ``None``: all.
    tail : {"drop", "keep"}, default="drop"
        What becomes of the others: they are left out, or stand below in their order.
    k : int, default=None
        How many documents to keep for each query; ``None``: all.
    field : str or list of str, default=None
        Columns of the corpus: texts to encode, or without an `encoder` the column that holds the vectors. ``None``:
        title and text joined by a space where both exist, or the vectors that the corpus was made from.

    See Also
    --------
    CrossEncoderReranker : Reads query and document together, which is slower and more exact.
    sklrank.retrievers.DenseRetriever : Compares the query with all documents.

    Notes
    -----
    Vectors of candidates are kept on the corpus, as much of them as fits 256 MB; those encoded longest ago go first.

    Scores equal those of a `DenseRetriever` with the same encoder and metric, up to the last bit of single precision.

    Parameters that need a new `fit`: none. All take effect at once.

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
            raise TypeError("needed is one vector a document, and there is one a token: see MaxSimReranker")
        if encoded.encoder is not None:
            query_texts(candidates)  # raises where there are none
        _, queries = encode_queries(candidates.queries, encoded)
        rows, first, which = np.unique(which, return_index=True, return_inverse=True)
        documents = encoded.output[rows]
        if queries.shape[1] != documents.shape[1]:
            raise ValueError(
                f"queries have {queries.shape[1]} dimensions, the documents {documents.shape[1]}: both come from one "
                "encoder, or from two that were trained together"
            )
        documents = self._prepared(documents, lambda chosen: candidates.flat_docids[first[chosen]].tolist(), "document")
        queries = self._prepared(queries, lambda chosen: candidates.qids[chosen].tolist(), "query")
        asked = owners(candidates.indptr)
        scores = np.empty(len(which), dtype=np.float32)
        for start in range(0, len(which), _PAIRS):
            pairs = slice(start, start + _PAIRS)
            scores[pairs] = _similarities(queries[asked[pairs]], documents[which[pairs]], self.metric)
        return scores + np.float32(0)  # which makes 0.0 of -0.0

    def _prepared(self, vectors, names, what):
        """Vectors in one form: dense ones in single precision, of unit length where `metric` is the cosine."""
        if not sparse.issparse(vectors):
            return _prepare(vectors, self.metric, names, what)
        vectors = sparse.csr_array(vectors, dtype=np.float64)
        if self.metric == "cosine":
            lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
            vectors = sparse.diags_array(1 / np.where(lengths > 0, lengths, 1)) @ vectors
        return sparse.csr_array(vectors)


def _similarities(queries, documents, metric):
    """Similarity of each row of one to that row of the other, added up in double precision."""
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
