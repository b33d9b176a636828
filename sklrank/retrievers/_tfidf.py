"""Cosine of tf-idf vectors."""

from functools import partial

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
        used for text, and a matrix of term weights is searched as it is. Over such a matrix, a vectorizer that knows
        its terms, frozen or with a `vocabulary`, turns queries into terms.
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

    def _scale(self):
        return partial(_idf, self.index_.n_documents, float(self.smooth_idf))

    def _weigh(self, index):
        scale, every = self._scale(), index.terms
        scales, norms = scale(every), []
        for s, segment in enumerate(index.segments):
            counts = segment.counts.astype(np.float64)
            if self.sublinear_tf:
                counts = 1 + np.log(counts)
            # A term without a number is in dead documents only, whose norms are not used.
            own = scales[index.numbers(s, np.arange(segment.n_terms))]
            weights = np.repeat(own, np.diff(segment.indptr[:-1])) * counts
            norms.append(np.sqrt(np.bincount(segment.docs, weights**2, minlength=segment.n_documents)))
        form = SUBLINEAR if self.sublinear_tf else LINEAR
        return Weighting(form, scale, norms)

    def _weigh_queries(self, bags):
        # Repeated terms are one component of the vector, and are counted before they are weighted.
        owner, numbers = owners(bags.indptr), bags.numbers
        _, first, inverse = np.unique(owner * len(bags.terms) + numbers, return_index=True, return_inverse=True)
        counts = np.bincount(inverse, bags.weights)
        if self.sublinear_tf:
            counts = 1 + np.log(counts)
        components = counts * self._scale()(bags.terms.take(numbers[first]))
        norms = np.sqrt(np.bincount(owner[first], components**2, minlength=bags.n_queries))
        weighted = np.zeros(len(numbers))
        weighted[first] = components / norms[owner[first]]
        return weighted.astype(np.float32)


def _idf(n_documents, extra, terms):
    """Return the inverse document frequencies of terms; 0 for a term without documents, without smoothing."""
    df = terms.document_frequencies.astype(np.float64)
    with np.errstate(divide="ignore"):
        idf = np.log((n_documents + extra) / (df + extra)) + 1
    return np.where(np.isfinite(idf), idf, 0.0)
