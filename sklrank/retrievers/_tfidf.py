"""Cosine of tf-idf vectors."""

import numpy as np

from sklrank._kernels._impacts import LINEAR, SUBLINEAR
from sklrank._ragged import owners
from sklrank.retrievers._base_inverted import InvertedIndexRetriever
from sklrank.retrievers._impacts import Weighting


class TfidfRetriever(InvertedIndexRetriever):
    """Rank documents by the cosine of tf-idf vectors.

    The weights are those of scikit-learn's `TfidfVectorizer`, and so are the scores those of its vectors.

    Parameters
    ----------
    corpus : Corpus or whatever one is made from, default=None
        The documents. ``None``: those that `fit` gets as `X`.
    sublinear_tf : bool, default=False
        Whether a count becomes 1 + log(count).
    smooth_idf : bool, default=True
        Whether the idf is that of a corpus with one more document, which holds every term.
    k : int, default=100
        Most documents that a query finds.
    vectorizer : transformer, default=None
        Turns texts into term counts; cloned and fitted on the corpus. ``None``: ``TermVectorizer()`` for text, nothing
        for a matrix of term weights.
    field : str or sequence of str, default=None
        Columns of the corpus to search. ``None``: title and text.
    filter : mask, list of ids, or one of these per query, default=None
        Documents that may be found.
    filter_field : str, default=None
        Column of the queries that holds a filter for each.
    n_jobs : int, default=None
        Threads; the ranking does not depend on it.

    Attributes
    ----------
    corpus_ : Corpus
        The documents.
    index_ : Index
        Postings, shared by all retrievers over this corpus with this vectorizer.
    n_features_in_ : int
        Number of terms, where documents are a matrix.

    See Also
    --------
    BM25Retriever : Saturates term frequency; usually the better ranking.

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
        return np.where(np.isfinite(idf), idf, 0.0)  # a term of no document, without smoothing

    def _weigh(self, index):
        scales = self._idf()
        norms = []
        for segment in index.segments:
            counts = segment.counts.astype(np.float64)
            weights = np.repeat(scales, np.diff(segment.indptr)) * (1 + np.log(counts) if self.sublinear_tf else counts)
            norms.append(np.sqrt(np.bincount(segment.docs, weights**2, minlength=len(segment.lengths))))
        return Weighting(SUBLINEAR if self.sublinear_tf else LINEAR, scales, norms)

    def _weigh_queries(self, indptr, terms, weights):
        # Repeated terms are one component of the vector: count them before they are weighted.
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
