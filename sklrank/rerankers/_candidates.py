"""What encoders make of candidates: vectors of the documents that a run holds."""

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from sklrank._caching.keys import estimator_key
from sklrank._ragged import intervals, lengths_to_indptr
from sklrank.data import TokenVectors
from sklrank.rerankers._texts import corpus_of
from sklrank.retrievers._encoding import Encoded, _as_output, encode_corpus

_BLOCK = 2048  # documents that an encoder sees at a time
_ARRAY_BYTES = 112  # of an array, beside its memory


def encode_candidates(run, encoder, field=None, query_encoder=None):
    """What an encoder makes of the documents of a run, and which of these each entry is.

    Each candidate is encoded once, as long as the vectors are within the limit of the corpus. If a retriever left its
    vectors of the whole corpus, those are taken.

    Parameters
    ----------
    run : Run
    encoder : transformer or None
        Takes texts. ``None``: the corpus holds vectors.
    field : str, sequence of str or None
        Columns of the corpus: those of the texts, or the one of the vectors.
    query_encoder : transformer or None
        The encoder of queries, where it is another one.

    Returns
    -------
    encoded : Encoded
        Its `output` is that of the distinct documents of the run, or of all of the corpus.
    which : ndarray of int64, shape (n_entries,)
        The row there of each entry.
    """
    corpus = corpus_of(run)
    field = field if field is None or isinstance(field, str) else tuple(field)
    key = estimator_key(encoder)
    if encoder is None or corpus.has_cached(("encoded", field, key)):
        return encode_corpus(corpus, encoder, field, query_encoder), run.rows
    texts = corpus.text(field)
    documents = _fitted(encoder, key, corpus, field)
    queries = documents
    if query_encoder is not None:
        queries = _fitted(query_encoder, estimator_key(query_encoder), corpus, field)
    rows, which = np.unique(run.rows, return_inverse=True)

    def make(positions):
        vectors = []
        for start in range(0, len(positions), _BLOCK):
            block = rows[positions[start : start + _BLOCK]]
            output = _as_output(documents.transform(texts[block].tolist()))
            if output.shape[0] != len(block):
                raise ValueError(f"the encoder made {output.shape[0]} rows of {len(block)} texts")
            vectors += _rows(output)
        return vectors

    vectors = corpus.cached_each(
        ("candidates", field, key), rows.tolist(), make, size_of=_n_bytes, of=("fitted encoder", field, key)
    )
    return Encoded(documents, queries, _stacked(vectors)), which


def _fitted(encoder, key, corpus, field):
    """The encoder, fitted, without the vectors of the whole corpus."""

    def make():
        fitted, texts = clone(encoder), corpus.text(field)
        if not isinstance(encoder, FrozenEstimator):
            # An encoder that has nothing to learn need not see the corpus.
            fitted.fit(texts.tolist() if get_tags(encoder).requires_fit else texts[:1].tolist())
        return fitted

    return corpus.cached(("fitted encoder", field, key), make)


def _stacked(vectors):
    """One matrix of vectors, one by one."""
    if not isinstance(vectors[0], tuple):
        return TokenVectors.from_list(vectors) if vectors[0].ndim == 2 else np.stack(vectors)
    indptr = lengths_to_indptr([len(data) for data, _, _ in vectors])
    data, indices = (np.concatenate([vector[i] for vector in vectors]) for i in (0, 1))
    return sparse.csr_array((data, indices, indptr), shape=(len(vectors), vectors[0][2]))


def _rows(output):
    """Rows one by one: arrays, or of a sparse matrix values, columns and width."""
    if not sparse.issparse(output):
        return list(output)
    return [(output.data[i:j], output.indices[i:j], output.shape[1]) for i, j in intervals(output.indptr)]


def _n_bytes(vector):
    arrays = vector[:2] if isinstance(vector, tuple) else (vector,)
    return sum(_ARRAY_BYTES + array.nbytes for array in arrays)
