"""Cosine of tf-idf vectors."""

import numpy as np

from sklrank._kernels._impacts import LINEAR, SUBLINEAR
from sklrank._ragged import owners
from sklrank.retrievers._base_inverted import InvertedIndexRetriever
from sklrank.retrievers._impacts import Weighting


class TfidfRetriever(InvertedIndexRetriever):
    """Rank documents by the cosine of tf-idf vectors.

    Weights and scores are those of scikit-learn's `TfidfVectorizer`.

    Parameters
    ----------
    corpus : Corpus or input of Corpus, default=None
        The documents. If None, they are the `X` of `fit`.
    sublinear_tf : bool, default=False
        Whether to replace a count by 1 + log(count).
    smooth_idf : bool, default=True
        Whether to compute the idf as if one more document held every term.
    k : int, default=100
        Number of documents to return for each query.
    vectorizer : transformer, default=None
        Transformer from texts to term counts. It is cloned and fitted on the corpus. If None, ``TermVectorizer()`` is
        used for text, and a matrix of term weights is searched as it is.
    field : str or list of str, default=None
        Columns of the corpus to read. If None, title and text are joined by a space.
    filter : mask, list of ids, or one of these per query, default=None
        Documents that may be returned. If None, all may.
    filter_field : str, default=None
        Column of the queries that holds a filter for each query.
    n_jobs : int, default=None
        Number of threads. The result does not depend on it.

    Attributes
    ----------
    corpus_ : Corpus
        The documents.
    index_ : Index
        Postings, which all retrievers over this corpus with an equal vectorizer share.
    n_features_in_ : int
        Number of terms, if the documents are a matrix.

    See Also
    --------
    BM25Retriever : Saturates term frequency; usually ranks better.

    Notes
    -----
    Parameters that need a new `fit`: `corpus`, `field` and `vectorizer`. All others take effect at once.

    Examples
    --------
    >>> from sklrank.retrievers import TfidfRetriever
    >>> TfidfRetriever().fit(["heat flows", "cold rests", "heat flows where heat is"]).predict(["heat"]).docids
    [['0', '2']]
    """

    _stage = "tfidf"

    _parameter_constraints: dict = {
        **InvertedIndexRetriever._parameter_constraints,
        "sublinear_tf": ["boolean"],
        "smooth_idf": ["boolean"],
    }

    def __init__(
        self,
        corpus=None,
        *,
        sublinear_tf=False,
        smooth_idf=True,
        k=100,
        vectorizer=None,
        field=None,
        filter=None,
        filter_field=None,
        n_jobs=None,
    ):
        self.corpus = corpus
        self.sublinear_tf = sublinear_tf
        self.smooth_idf = smooth_idf
        self.k = k
        self.vectorizer = vectorizer
        self.field = field
        self.filter = filter
        self.filter_field = filter_field
        self.n_jobs = n_jobs

    def _formula(self):
        return ("tfidf", self.sublinear_tf, self.smooth_idf)

    def _idf(self):
        df, extra = self.index_.document_frequencies.astype(np.float64), float(self.smooth_idf)
        with np.errstate(divide="ignore"):
            idf = np.log((self.index_.n_documents + extra) / (df + extra)) + 1
        return np.where(np.isfinite(idf), idf, 0.0)  # infinite for a term without documents, without smoothing

    def _weigh(self, index):
        scales = self._idf()
        norms = []
        for segment in index.segments:
            counts = segment.counts.astype(np.float64)
            if self.sublinear_tf:
                counts = 1 + np.log(counts)
            weights = np.repeat(scales, np.diff(segment.indptr)) * counts
            norms.append(np.sqrt(np.bincount(segment.docs, weights**2, minlength=len(segment.lengths))))
        form = SUBLINEAR if self.sublinear_tf else LINEAR
        return Weighting(form, scales, norms)

    def _weigh_queries(self, indptr, terms, weights):
        # Repeated terms are one component of the vector, and are counted before they are weighted.
        owner = owners(indptr)
        _, first, inverse = np.unique(owner * self.index_.n_terms + terms, return_index=True, return_inverse=True)
        counts = np.bincount(inverse, weights)
        if self.sublinear_tf:
            counts = 1 + np.log(counts)
        components = counts * self._idf()[terms[first]]
        norms = np.sqrt(np.bincount(owner[first], components**2, minlength=len(indptr) - 1))
        weighted = np.zeros(len(terms))
        weighted[first] = components / norms[owner[first]]
        return weighted.astype(np.float32)
