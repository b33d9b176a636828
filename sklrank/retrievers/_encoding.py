"""What encoders make of documents and queries."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from sklrank._caching.keys import estimator_key, field_key
from sklrank._progress import CallbackSupportMixin, progress, with_callbacks
from sklrank._validation import check_sparse, is_matrix_like
from sklrank.data import Queries, TokenVectors
from sklrank.data._table import VECTOR

_BLOCK = 2048  # documents that an encoder sees at a time, and that an interrupted run loses at most


@dataclass(frozen=True)
class Encoded:
    """What an encoder made of a corpus.

    Attributes
    ----------
    encoder : transformer or None
        The encoder, fitted; None where the corpus brings its vectors.
    query_encoder : transformer or None
        The one for queries, fitted.
    output : ndarray or csr_array of shape (n_documents, n_features), or TokenVectors
        One row, or one matrix, a document.
    field : str or None
        Without an encoder, the column of the vectors; ``None``: that of a corpus that was made from a matrix.
    """

    encoder: object
    query_encoder: object
    output: object
    field: object = None


class EncodesCorpus(CallbackSupportMixin):
    """Mixin of retrievers with the parameters `encoder`, `query_encoder` and `field`."""

    @with_callbacks
    def _encode_corpus(self):
        """Set `encoded_`; scikit-learn's callbacks are told how far it is."""
        with progress(self, "encoded", len(self.corpus_)) as report:
            self.encoded_ = encode_corpus(
                self.corpus_, self.encoder, field_key(self.field), self.query_encoder, report=report
            )


def encode_corpus(corpus, encoder, field, query_encoder=None, *, report=None):
    """What `encoder` makes of the documents, kept on the corpus, so that each is encoded once.

    A corpus with a `cache_folder` keeps it between processes: block by block while it is made, so that an interrupted
    run goes on where it stopped, and memory-mapped from then on.

    Parameters
    ----------
    corpus : Corpus
        The documents.
    encoder : transformer or None
        Takes texts; cloned and fitted on the documents, but for a `FrozenEstimator`. ``None``: the corpus holds
        vectors, in column `field` or as all it has.
    field : str, tuple of str or None
        Columns of the corpus.
    query_encoder : transformer or None
        The encoder of queries, cloned and fitted likewise; ``None``: the same.
    report : callable, default=None
        Called with the number of documents encoded so far.

    Returns
    -------
    Encoded
    """
    if encoder is None:
        if query_encoder is not None:
            raise ValueError("query_encoder= was given without encoder=: then queries are vectors, as documents are")
        return Encoded(None, None, _given_vectors(corpus, field), field)
    key = ("encoded", field, estimator_key(encoder))

    def make():
        return _encode(encoder, corpus.text(field), corpus.cached_parts(key), report or (lambda done: None))

    fitted, output = corpus.cached(key, make, persist=True)
    if query_encoder is None:
        return Encoded(fitted, fitted, output)
    key = ("query encoder", field, estimator_key(query_encoder))
    return Encoded(fitted, corpus.cached(key, lambda: _fit(query_encoder, corpus.text(field))), output)


def _given_vectors(corpus, field):
    """The vectors that a corpus holds."""
    if isinstance(field, str) and field not in corpus.columns:
        return corpus.matrix(field)  # raises: there is no such column
    name = VECTOR if field is None else field
    if name not in corpus.columns or not _holds_vectors(corpus[name]):
        raise ValueError(
            f"without encoder= the documents are vectors, and column {name!r} holds none; the corpus has the columns "
            f"{list(corpus.columns)}: give encoder=, or the name of a column of vectors as field="
        )
    return corpus.matrix(field)


def _holds_vectors(column):
    return isinstance(column, TokenVectors) or getattr(column, "ndim", 1) == 2


def _fit(encoder, texts):
    encoder = clone(encoder)
    return encoder if isinstance(encoder, FrozenEstimator) else encoder.fit(texts.tolist())


def without_fitting(encoder, problem):
    """An encoder, cloned, that there are no documents to fit on.

    Parameters
    ----------
    encoder : transformer or None
        A `FrozenEstimator`, which stays as it is, or one that needs no fitting.
    problem : str
        What a ValueError says of one that has to be fitted.

    Returns
    -------
    transformer or None
    """
    if encoder is None or isinstance(encoder, FrozenEstimator):
        return encoder
    if get_tags(encoder).requires_fit:
        raise ValueError(problem)
    return clone(encoder)


def _encode(encoder, texts, parts, report):
    """Fit, then transform block by block; `parts` keeps the blocks until all are there."""
    fitted = parts.get("encoder", lambda: _fit(encoder, texts))
    output, blocks = None, []
    for start in range(0, len(texts), _BLOCK):
        stop = min(start + _BLOCK, len(texts))
        some = texts[start:stop]
        block = parts.get(f"{start:012}", lambda some=some: _as_output(fitted.transform(some.tolist())))
        if block.shape[0] != stop - start:
            raise ValueError(f"the encoder made {block.shape[0]} rows of {stop - start} texts")
        if isinstance(block, np.ndarray):  # in place, so that the vectors never stand in memory twice
            if output is None:
                output = np.empty((len(texts), *block.shape[1:]), dtype=block.dtype)
            output[start:stop] = block
        else:
            blocks.append(block)
        report(stop)
    if output is None:
        output = sparse.vstack(blocks, format="csr") if sparse.issparse(blocks[0]) else np.concatenate(blocks)
    return fitted, output


def _as_output(vectors):
    """Vectors in single precision, which is what is searched."""
    if sparse.issparse(vectors):
        return sparse.csr_array(check_sparse(vectors))
    if hasattr(vectors, "indptr"):
        return vectors
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or vectors.dtype.kind not in "iufb":
        raise TypeError(f"the encoder made an array of shape {vectors.shape} and dtype {vectors.dtype}; needed is one "
                        "row of numbers a text")  # fmt: skip
    return vectors.astype(np.float32) if vectors.dtype != np.float16 else vectors


def encode_queries(X, encoded):
    """Queries, and what the encoder makes of them.

    Parameters
    ----------
    X : Queries, list of str, matrix of shape (n_queries, n_features), or TokenVectors
        Texts where there is an encoder, else vectors: of `Queries` the column that is named as that of the corpus,
        else ``"vector"``.
    encoded : Encoded
        From `encode_corpus`.

    Returns
    -------
    queries : Queries
    output : ndarray or csr_array of shape (n_queries, n_features), or TokenVectors
    """
    if encoded.encoder is None:
        if isinstance(X, Queries):
            name = encoded.field if encoded.field in X.columns else VECTOR
            if name not in X.columns or not _holds_vectors(X[name]):
                raise ValueError(
                    f"without encoder= queries are vectors, as the documents are, and their column {name!r} holds "
                    f"none; they have the columns {list(X.columns)}"
                )
            return X, X[name]
        queries = Queries(X) if is_matrix_like(X) or hasattr(X, "indptr") else None
        if queries is None:
            raise TypeError(f"queries are vectors, as the documents are, got {type(X).__name__}; texts need encoder=")
        return queries, queries.matrix
    queries = Queries.of(X)
    if "text" not in queries.columns:
        raise TypeError(f"queries are texts, which the encoder takes; these have the columns {list(queries.columns)}")
    if not len(queries):
        return queries, _as_output(encoded.query_encoder.transform([""]))[:0]
    return queries, _as_output(encoded.query_encoder.transform(queries.texts))
