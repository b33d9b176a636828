"""Encoded candidates: the vectors of the documents of a run."""

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from sklrank._caching.keys import estimator_key
from sklrank._ragged import intervals, lengths_to_indptr
from sklrank.data import TokenVectors
from sklrank.rerankers._texts import corpus_of, hashable_field
from sklrank.retrievers._encoding import Encoded, _as_output, encode_corpus, is_encoded

_BLOCK = 2048  # documents per call of an encoder
_ARRAY_BYTES = 112  # size of an array object without its data


def encode_candidates(run, encoder, field=None, query_encoder=None):
    """Encode the documents of a run.

    Each candidate is encoded once, as long as the vectors are within the limit of the corpus. If a retriever has cached
    the vectors of the whole corpus, they are used.

    Parameters
    ----------
    run : Run
        Candidates.
    encoder : transformer or None
        Encoder for documents and queries. If None, the corpus holds vectors.
    field : str, sequence of str or None
        Columns of the corpus to read: columns of texts, or one column of vectors.
    query_encoder : transformer or None
        Encoder for queries, if different from `encoder`.

    Returns
    -------
    encoded : Encoded
        Its `output` holds the distinct documents of the run, or all documents of the corpus.
    which : ndarray of int64, shape (n_entries,)
        Row of the output for each entry.
    """
    corpus = corpus_of(run)
    field = hashable_field(field)
    key = estimator_key(encoder)
    if encoder is None or is_encoded(corpus, encoder, field):
        return encode_corpus(corpus, encoder, field, query_encoder), run.rows
    documents = _fitted(encoder, key, corpus, field)
    queries = documents
    if query_encoder is not None:
        queries = _fitted(query_encoder, estimator_key(query_encoder), corpus, field)
    rows, which = np.unique(run.rows, return_inverse=True)

    def make(positions):
        vectors = []
        for start in range(0, len(positions), _BLOCK):
            block = rows[positions[start : start + _BLOCK]]
            output = _as_output(documents.transform(corpus.text(field, rows=block).tolist()))
            if output.shape[0] != len(block):
                raise ValueError(f"expected the encoder to return {len(block)} rows, got {output.shape[0]}")
            vectors += _rows(output)
        return vectors

    vectors = corpus.cached_each(
        ("candidates", field, key), rows.tolist(), make, size_of=_n_bytes, of=("fitted encoder", field, key)
    )
    return Encoded(documents, queries, _stacked(vectors)), which


def _fitted(encoder, key, corpus, field):
    """Return the encoder, fitted on the corpus, without encoding the corpus."""

    def make():
        fitted, texts = clone(encoder), corpus.text_reader(field)
        if not get_tags(encoder).requires_fit:
            texts = texts[:1]  # an encoder that learns nothing does not need the corpus
        if not isinstance(encoder, FrozenEstimator):
            fitted.fit(texts.tolist())
        return fitted

    return corpus.cached(("fitted encoder", field, key), make)


def _stacked(vectors):
    """Stack vectors into one matrix."""
    if not isinstance(vectors[0], tuple):
        if vectors[0].ndim == 2:
            return TokenVectors.from_list(vectors)
        return np.stack(vectors)
    indptr = lengths_to_indptr([len(data) for data, _, _ in vectors])
    data, indices = (np.concatenate([vector[i] for vector in vectors]) for i in (0, 1))
    return sparse.csr_array((data, indices, indptr), shape=(len(vectors), vectors[0][2]))


def _rows(output):
    """Return a list of rows: arrays, or tuples of values, columns and width for a sparse matrix."""
    if not sparse.issparse(output):
        return list(output)
    return [(output.data[i:j], output.indices[i:j], output.shape[1]) for i, j in intervals(output.indptr)]


def _n_bytes(vector):
    arrays = [vector]
    if isinstance(vector, tuple):
        arrays = vector[:2]
    return sum(_ARRAY_BYTES + array.nbytes for array in arrays)
