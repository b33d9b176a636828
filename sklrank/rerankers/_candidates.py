"""What encoders make of candidates: vectors of the documents that a run holds."""

import numpy as np

from sklrank.base import estimator_key
from sklrank.rerankers._base import corpus_of
from sklrank.rerankers._dense import _Encoder, _has_all
from sklrank.retrievers._encoding import Encoded, encode_corpus


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
    if encoder is None or _has_all(corpus, ("encoded", field, estimator_key(encoder))):
        return encode_corpus(corpus, encoder, field, query_encoder), run.rows

    def fitted(encoder):
        key = ("fitted encoder", field, estimator_key(encoder))
        return corpus.cached(key, lambda: _Encoder(encoder, corpus.text(field)))

    documents = fitted(encoder)
    queries = documents if query_encoder is None else fitted(query_encoder)
    rows, which = np.unique(run.rows, return_inverse=True)
    return Encoded(documents.fitted, queries.fitted, documents.vectors(corpus.text(field), rows)), which
