"""What encoders make of candidates: vectors of the documents that a run holds."""

import threading
from collections import OrderedDict

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from sklrank._ragged import intervals, lengths_to_indptr
from sklrank.base import estimator_key
from sklrank.data import TokenVectors
from sklrank.rerankers._texts import corpus_of
from sklrank.retrievers._encoding import Encoded, _as_output, encode_corpus

_BLOCK = 2048  # documents that an encoder sees at a time
_BYTES = 1 << 28  # of vectors of candidates, kept on a corpus for an encoder


def encode_candidates(run, encoder, field=None, query_encoder=None):
    """What an encoder makes of the documents of a run, and which of these each entry is.

    Each candidate is encoded once; where a retriever left its vectors of the whole corpus, those are taken.

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
    if encoder is None or _has_all(corpus, ("encoded", field, key)):
        return encode_corpus(corpus, encoder, field, query_encoder), run.rows

    def fitted(encoder, key):
        return corpus.cached(("fitted encoder", field, key), lambda: _Encoder(encoder, corpus.text(field)))

    documents = fitted(encoder, key)
    queries = documents if query_encoder is None else fitted(query_encoder, estimator_key(query_encoder))
    rows, which = np.unique(run.rows, return_inverse=True)
    return Encoded(documents.fitted, queries.fitted, documents.vectors(corpus.text(field), rows)), which


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
        indptr = lengths_to_indptr([len(data) for data, _, _ in vectors])
        data, indices = (np.concatenate([vector[i] for vector in vectors]) for i in (0, 1))
        return sparse.csr_array((data, indices, indptr), shape=(len(vectors), vectors[0][2]))


def _rows(output):
    """Rows one by one: arrays, or of a sparse matrix values, columns and width."""
    if not sparse.issparse(output):
        return list(output)
    width = output.shape[1]
    return [(output.data[i:j], output.indices[i:j], width) for i, j in intervals(output.indptr)]


def _n_bytes(vector):
    return vector[0].nbytes + vector[1].nbytes if isinstance(vector, tuple) else vector.nbytes


def _has_all(corpus, key):
    """Whether what is kept under `key` is at hand, in memory or in the folder of the corpus."""
    cache = corpus._cache
    if key in cache._entries:
        return True
    file = corpus._file_of(key) if cache.folder else None
    return file is not None and (cache.folder / file).exists()
