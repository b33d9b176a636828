"""DenseReranker: similarity of vectors."""

import threading
from collections import OrderedDict

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from sklrank._validation import HasMethods, StrOptions
from sklrank.base import estimator_key
from sklrank.data import TokenVectors
from sklrank.rerankers._base import Reranker, corpus_of, query_of_entries, query_texts
from sklrank.retrievers._encoding import Encoded, _as_output, encode_corpus, encode_queries
from sklrank.retrievers._vectors import _prepare

_BLOCK = 2048  # documents that an encoder sees at a time
_PAIRS = 4096  # that are multiplied at a time
_BYTES = 1 << 28  # of vectors of candidates, kept on a corpus for an encoder


class DenseReranker(Reranker):
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
        **Reranker._parameter_constraints,
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
        corpus = corpus_of(candidates)
        rows, which = np.unique(candidates.rows, return_inverse=True)
        encoded, documents = self._encoded(corpus, rows)
        if encoded.encoder is not None:
            query_texts(candidates)  # raises where there are none
        _, queries = encode_queries(candidates.queries, encoded)
        if queries.shape[1] != documents.shape[1]:
            raise ValueError(
                f"queries have {queries.shape[1]} dimensions, the documents {documents.shape[1]}: both come from one "
                "encoder, or from two that were trained together"
            )
        documents = self._prepared(documents, lambda chosen: corpus.docids(rows[chosen]).tolist(), "document")
        queries = self._prepared(queries, lambda chosen: candidates.qids[chosen].tolist(), "query")
        first = query_of_entries(candidates)
        scores = np.empty(len(which), dtype=np.float32)
        for start in range(0, len(which), _PAIRS):
            pairs = slice(start, start + _PAIRS)
            scores[pairs] = _similarities(queries[first[pairs]], documents[which[pairs]], self.metric)
        return scores + np.float32(0)  # which makes 0.0 of -0.0

    def _encoded(self, corpus, rows):
        """What encodes, and the vectors of the documents `rows`."""
        field = self.field if self.field is None or isinstance(self.field, str) else tuple(self.field)
        if self.encoder is None or _has_all(corpus, ("encoded", field, estimator_key(self.encoder))):
            encoded = encode_corpus(corpus, self.encoder, field, self.query_encoder)
            if isinstance(encoded.output, TokenVectors):
                raise TypeError("needed is one vector a document, and the corpus has one a token: see MaxSimReranker")
            return encoded, encoded.output[rows]

        def fitted(encoder):
            key = ("fitted encoder", field, estimator_key(encoder))
            return corpus.cached(key, lambda: _Encoder(encoder, corpus.text(field)))

        documents = fitted(self.encoder)
        queries = documents if self.query_encoder is None else fitted(self.query_encoder)
        vectors = documents.vectors(corpus.text(field), rows)
        if isinstance(vectors, TokenVectors):
            raise TypeError("needed is one vector a document, and the encoder makes one a token: see MaxSimReranker")
        return Encoded(documents.fitted, queries.fitted, None), vectors

    def _prepared(self, vectors, names, what):
        """Vectors in one form: dense ones in single precision, of unit length where `metric` is the cosine."""
        if not sparse.issparse(vectors):
            return _prepare(vectors, self.metric, names, what)
        vectors = sparse.csr_array(vectors, dtype=np.float64)
        if self.metric == "cosine":
            lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
            vectors = sparse.diags_array(1 / np.where(lengths > 0, lengths, 1)) @ vectors
        return sparse.csr_array(vectors)


class _Encoder:
    """A fitted encoder, and what it made of some documents of a corpus."""

    def __init__(self, encoder, texts):
        self.fitted = clone(encoder)
        if not isinstance(encoder, FrozenEstimator):
            # What has nothing to learn need not see the corpus.
            self.fitted.fit(texts.tolist() if get_tags(encoder).requires_fit else texts[:1].tolist())
        self._known = OrderedDict()
        self._n_bytes = 0
        self._lock = threading.Lock()

    def vectors(self, texts, rows):
        """Vectors of the documents `rows`, a matrix; they are encoded where they are not known."""
        rows = rows.tolist()
        with self._lock:
            found = {row: self._known[row] for row in rows if row in self._known}
        missing = [row for row in rows if row not in found]
        for start in range(0, len(missing), _BLOCK):
            block = missing[start : start + _BLOCK]
            output = _as_output(self.fitted.transform(texts[np.array(block)].tolist()))
            if output.shape[0] != len(block):
                raise ValueError(f"the encoder made {output.shape[0]} rows of {len(block)} texts")
            found.update(zip(block, _rows(output)))
        with self._lock:
            for row in missing:
                if row not in self._known:
                    self._known[row] = found[row]
                    self._n_bytes += _n_bytes(found[row])
            while self._n_bytes > _BYTES:
                _, vector = self._known.popitem(last=False)
                self._n_bytes -= _n_bytes(vector)
        vectors = [found[row] for row in rows]
        if not isinstance(vectors[0], tuple):
            return TokenVectors.from_list(vectors) if vectors[0].ndim == 2 else np.stack(vectors)
        indptr = np.cumsum([0, *(len(data) for data, _, _ in vectors)])
        data, indices = (np.concatenate([vector[i] for vector in vectors]) for i in (0, 1))
        return sparse.csr_array((data, indices, indptr), shape=(len(vectors), vectors[0][2]))


def _rows(output):
    """Rows one by one: arrays, or of a sparse matrix values, columns and width."""
    if not sparse.issparse(output):
        return list(output)
    bounds = output.indptr.tolist()
    width = output.shape[1]
    return [(output.data[i:j], output.indices[i:j], width) for i, j in zip(bounds[:-1], bounds[1:])]


def _n_bytes(vector):
    return vector[0].nbytes + vector[1].nbytes if isinstance(vector, tuple) else vector.nbytes


def _has_all(corpus, key):
    """Whether what is kept under `key` is at hand, in memory or in the folder of the corpus."""
    cache = corpus._cache
    if key in cache._entries:
        return True
    file = corpus._file_of(key) if cache.folder else None
    return file is not None and (cache.folder / file).exists()


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
