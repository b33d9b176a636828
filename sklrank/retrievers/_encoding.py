"""Encode documents and queries."""

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
from sklrank.retrievers._assembly import merged
from sklrank.retrievers._learning import learns_from_documents

_GIVEN_VECTORS = (
    "without encoder= the documents are vectors, so that query_encoder= cannot be fitted on texts: give a "
    "FrozenEstimator, or an encoder that needs no fitting"
)
_BLOCK = 2048  # documents per call of an encoder, and the most that an interrupted run loses


@dataclass(frozen=True)
class Encoded:
    """Output of an encoder for a corpus.

    Attributes
    ----------
    encoder : transformer or None
        The fitted encoder; None if the corpus holds vectors.
    query_encoder : transformer or None
        The fitted encoder for queries; None if queries are vectors, too.
    output : ndarray or csr_array of shape (n_documents, n_features), or TokenVectors
        One row, or one matrix, per document.
    field : str or None
        Without an encoder, the column of the vectors. If None, the corpus was made from a matrix.
    """

    encoder: object
    query_encoder: object
    output: object
    field: object = None


class EncodesCorpus(CallbackSupportMixin):
    """Mixin of retrievers with the parameters `encoder`, `query_encoder` and `field`."""

    @with_callbacks
    def _encode_corpus(self):
        """Set `encoded_`, and report the progress to scikit-learn's callbacks."""
        with progress(self, "encoded", len(self.corpus_)) as report:
            self.encoded_ = encode_corpus(
                self.corpus_, self.encoder, field_key(self.field), self.query_encoder, report=report
            )


def encode_corpus(corpus, encoder, field, query_encoder=None, *, report=None):
    """Encode the documents, and cache the output on the corpus, so that each document is encoded once.

    After a change of the corpus, only its new documents are encoded. An encoder that learns from documents is fitted
    again, and encodes all of them.

    A corpus with a `cache_folder` keeps the output between processes. It is written block by block, so that an
    interrupted run is continued, and memory-mapped afterwards.

    Parameters
    ----------
    corpus : Corpus
        The documents.
    encoder : transformer or None
        Encoder for documents and queries. It takes texts, and is cloned and fitted on the documents, except a
        `FrozenEstimator`. If None, the corpus holds vectors, in column `field` or as its matrix.
    field : str, tuple of str or None
        Columns of the corpus to read.
    query_encoder : transformer or None
        Encoder for queries, if different from `encoder`. It is cloned and fitted in the same way. Without `encoder`, it
        must be one that needs no fitting.
    report : callable, default=None
        Takes the number of documents that are encoded so far.

    Returns
    -------
    Encoded
    """
    if encoder is None:
        output = _given_vectors(corpus, field)
        if query_encoder is not None:
            key = ("query encoder", field, estimator_key(query_encoder))
            query_encoder = corpus.cached(key, lambda: without_fitting(query_encoder, _GIVEN_VECTORS))
        return Encoded(None, query_encoder, output, field)
    columns = encoded_columns(corpus, encoder, field)
    key = ("encoded", field, estimator_key(encoder))
    report = report or (lambda done: None)
    if learns_from_documents(encoder):

        def make():
            texts = corpus.text_reader(columns)
            return _encode(lambda: _fit(encoder, texts), texts, corpus.cached_parts(key, columns=columns), report)

        fitted, output = corpus.cached(key, make, persist=True, columns=columns)
    else:
        fitted, output = _encode_parts(corpus, encoder, key, columns, report)
    if query_encoder is None:
        return Encoded(fitted, fitted, output)
    key = ("query encoder", field, estimator_key(query_encoder))
    query_encoder = corpus.cached(key, lambda: _fit(query_encoder, corpus.text_reader(columns)), columns=columns)
    return Encoded(fitted, query_encoder, output)


def encoded_columns(corpus, encoder, field):
    """Return the names of the columns that are encoded, or without an encoder, of the one that holds the vectors.

    Parameters
    ----------
    corpus, encoder, field
        As for `encode_corpus`.

    Returns
    -------
    tuple of str
    """
    if encoder is None:
        return (field or VECTOR,)
    return corpus.text_columns(field)


def is_encoded(corpus, encoder, field):
    """Return whether the output of an encoder for all documents is kept.

    Parameters
    ----------
    corpus, encoder, field
        As for `encode_corpus`.

    Returns
    -------
    bool
    """
    parts = corpus.parts
    if learns_from_documents(encoder):
        parts = (corpus,)
    key, columns = ("encoded", field, estimator_key(encoder)), encoded_columns(corpus, encoder, field)
    return all(part.has_cached(key, columns=columns) for part in parts)


def _encode_parts(corpus, encoder, key, columns, report):
    """Encode each part of a corpus that is not encoded yet, with an encoder that learns nothing from documents."""
    n_done = 0

    def make(part):
        nonlocal n_done
        texts, before = part.text_reader(columns), n_done
        n_done += len(part)
        parts = part.cached_parts(key, columns=columns)
        return _encode(lambda: opened(texts), texts, parts, lambda done: report(before + done))

    def opened(texts):
        # Opened once for all parts, as it may hold a model. It learns nothing, so that some texts do for all.
        first = corpus.parts[0]
        return first.cached(("encoder", *key), lambda: _fit(encoder, texts[:_BLOCK]), columns=columns)

    return corpus.merged_parts(key, make, _merge, columns=columns, persist=True)


def _merge(values, sources):
    """Return the encoder, and its output for documents that come from several parts."""
    return values[0][0], merged([output for _, output in values], sources)


def _given_vectors(corpus, field):
    """Return the vectors that a corpus holds."""
    if isinstance(field, str) and field not in corpus.columns:
        return corpus.matrix(field)  # raises an error, because the column does not exist
    name = field
    if name is None:
        name = VECTOR
    if not corpus.kinds.get(name, "").endswith("vectors"):
        raise ValueError(
            f"without encoder= the documents are vectors, but column {name!r} holds no vectors; the corpus has the "
            f"columns {list(corpus.columns)}: give encoder=, or the name of a column of vectors as field="
        )
    return corpus.matrix(field)


def _holds_vectors(column):
    return isinstance(column, TokenVectors) or getattr(column, "ndim", 1) == 2


def _fit(encoder, texts):
    encoder = clone(encoder)
    if isinstance(encoder, FrozenEstimator):
        return encoder
    return encoder.fit(texts.tolist())


def without_fitting(encoder, problem):
    """Clone an encoder that cannot be fitted, because there are no documents.

    Parameters
    ----------
    encoder : transformer or None
        A `FrozenEstimator`, which is returned itself, or an encoder that needs no fitting.
    problem : str
        Text of the ValueError for an encoder that needs fitting.

    Returns
    -------
    transformer or None
    """
    if encoder is None or isinstance(encoder, FrozenEstimator):
        return encoder
    if get_tags(encoder).requires_fit:
        raise ValueError(problem)
    return clone(encoder)


def _encode(fit, texts, parts, report):
    """Fit an encoder by ``fit()``, then transform block by block; `parts` keeps the blocks until all are made."""
    fitted = parts.get("encoder", fit)
    output, blocks = None, []
    for start in range(0, len(texts), _BLOCK):
        stop = min(start + _BLOCK, len(texts))
        part = texts[start:stop]
        block = parts.get(f"{start:012}", lambda part=part: _as_output(fitted.transform(part.tolist())))
        if block.shape[0] != stop - start:
            raise ValueError(
                f"expected one row per text from the encoder, got {block.shape[0]} rows for {stop - start} texts"
            )
        if isinstance(block, np.ndarray):  # written in place, so that the vectors are never in memory twice
            if output is None:
                output = np.empty((len(texts), *block.shape[1:]), dtype=block.dtype)
            output[start:stop] = block
        else:
            blocks.append(block)
        report(stop)
    if output is None and sparse.issparse(blocks[0]):
        output = sparse.vstack(blocks, format="csr")
    elif output is None:
        output = np.concatenate(blocks)
    return fitted, output


def _as_output(vectors):
    """Return vectors in single or half precision, which are searched."""
    if sparse.issparse(vectors):
        return sparse.csr_array(check_sparse(vectors))
    if hasattr(vectors, "indptr"):
        return vectors
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or vectors.dtype.kind not in "iufb":
        raise TypeError(
            "expected one row of numbers per text from the encoder, got an array of shape "
            f"{vectors.shape} and dtype {vectors.dtype}"
        )
    if vectors.dtype == np.float16:
        return vectors
    return vectors.astype(np.float32)


def encode_queries(X, encoded):
    """Return queries, and the output of the encoder for them.

    Parameters
    ----------
    X : Queries, list of str, matrix of shape (n_queries, n_features), or TokenVectors
        Queries. With an encoder for queries, they are texts; without one, vectors. The vectors of `Queries` are in the
        column with the name of the corpus column, or else in ``"vector"``.
    encoded : Encoded
        Output of `encode_corpus`.

    Returns
    -------
    queries : Queries
    output : ndarray or csr_array of shape (n_queries, n_features), or TokenVectors
    """
    if encoded.query_encoder is None:
        if isinstance(X, Queries):
            name = VECTOR
            if encoded.field in X.columns:
                name = encoded.field
            if name not in X.columns or not _holds_vectors(X[name]):
                raise ValueError(
                    f"without encoder= queries are vectors, as the documents are, but their column {name!r} holds "
                    f"no vectors; they have the columns {list(X.columns)}"
                )
            return X, X[name]
        if not (is_matrix_like(X) or hasattr(X, "indptr")):
            raise TypeError(
                f"expected vectors as queries, as the documents are, got {type(X).__name__}; texts need encoder="
            )
        queries = Queries(X)
        return queries, queries.matrix
    queries = Queries.of(X)
    if "text" not in queries.columns:
        raise TypeError(f"expected queries with texts for the encoder, got the columns {list(queries.columns)}")
    if not len(queries):
        return queries, _as_output(encoded.query_encoder.transform([""]))[:0]
    return queries, _as_output(encoded.query_encoder.transform(queries.texts))
