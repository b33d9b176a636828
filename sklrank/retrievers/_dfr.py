"""Divergence from randomness."""

from numbers import Real

import numpy as np

from sklrank._kernels._impacts import HYPERGEOMETRIC, POISSON, POPPER, SATURATED
from sklrank._validation import Interval, StrOptions
from sklrank.retrievers._base_inverted import InvertedIndexRetriever
from sklrank.retrievers._impacts import Weighting

_MODELS = ("PL2", "InL2", "DLH", "DPH")
_FORMS = {"DLH": HYPERGEOMETRIC, "DPH": POPPER}


class DFRRetriever(InvertedIndexRetriever):
    r"""Rank documents by divergence from randomness.

    The weight of a term is larger if it is less likely that the term occurs so often in the document by chance. The
    score of a document is the sum of these weights over the terms of the query, in which repeated terms count
    repeatedly:

    .. math::

        \text{PL2:} \quad & \frac{1}{tfn + 1} \left( tfn \log_2 \frac{tfn}{\lambda} + (\lambda - tfn) \log_2 e
        + \tfrac{1}{2} \log_2 (2 \pi \, tfn) \right), \quad \lambda = \frac{F}{N} \\
        \text{InL2:} \quad & \frac{tfn}{tfn + 1} \log_2 \frac{N + 1}{n + 0.5} \\
        \text{DLH:} \quad & \frac{1}{tf + 0.5} \left( tf \log_2 \left( \frac{tf \, \bar l}{l} \frac{N}{F} \right)
        + (l - tf) \log_2 (1 - f) + \tfrac{1}{2} \log_2 (2 \pi \, tf (1 - f)) \right) \\
        \text{DPH:} \quad & \frac{(1 - f)^2}{tf + 1} \left( tf \log_2 \left( \frac{tf \, \bar l}{l} \frac{N}{F} \right)
        + \tfrac{1}{2} \log_2 (2 \pi \, tf (1 - f)) \right)

    where :math:`tf` is the number of occurrences in the document, :math:`l` the length of the document in tokens,
    :math:`\bar l` the mean length, :math:`F` the number of occurrences in all :math:`N` documents, :math:`n` the number
    of documents that hold the term, :math:`f = tf / l` and :math:`tfn = tf \log_2 (1 + c \, \bar l / l)`. Only
    documents that hold a term of the query are found, and the ranking is exact.

    Parameters
    ----------
    corpus : Corpus or input of Corpus, default=None
        The documents. If None, they are the `X` of `fit`.
    model : {"PL2", "InL2", "DLH", "DPH"}, default="PL2"
        Formula of the score.
    c : float, default=1.0
        Normalization of counts by the length of the document in ``"PL2"`` and ``"InL2"``. A larger value normalizes
        less. ``"DLH"`` and ``"DPH"`` have no parameter.
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
    BM25Retriever : Ranks by probabilistic relevance.
    LanguageModelRetriever : Ranks by query likelihood.

    Notes
    -----
    The formulas and the default of `c` are those of Terrier 5. Long queries need a smaller `c`, short queries a larger
    one. As in Terrier, :math:`f` is .99999 if a document consists of a single term only.

    A term that occurs in a document about as often as by chance, or less often, may have a negative share of the
    score, so that a document can score less than 0. Queries with such terms are answered by scoring all documents that
    hold one of their terms, which takes longer in large collections.

    Parameters that need a new `fit`: `corpus`, `field` and `vectorizer`. All others take effect at once.

    References
    ----------
    G. Amati and C. J. van Rijsbergen, Probabilistic Models of Information Retrieval Based on Measuring the Divergence
    from Randomness, TOIS 20(4), 2002 (PL2 and InL2).

    G. Amati, Frequentist and Bayesian Approach to Information Retrieval, ECIR 2006 (DLH).

    G. Amati, E. Ambrosi, M. Bianchi, C. Gaibisso and G. Gambosi, FUB, IASI-CNR and University of Tor Vergata at TREC
    2007 Blog Track, TREC 2007 (DPH).

    Examples
    --------
    >>> from sklrank.retrievers import DFRRetriever
    >>> retriever = DFRRetriever(model="DPH").fit(["heat flows", "cold rests", "heat flows where heat is"])
    >>> retriever.predict(["heat", "flows where"]).docids
    [['2', '0'], ['2', '0']]
    """

    _stage = "dfr"

    _parameter_constraints: dict = {
        **InvertedIndexRetriever._parameter_constraints,
        "model": [StrOptions(set(_MODELS))],
        "c": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        corpus=None,
        *,
        model="PL2",
        c=1.0,
        k=100,
        vectorizer=None,
        field=None,
        filter=None,
        filter_field=None,
        n_jobs=None,
    ):
        self.corpus = corpus
        self.model = model
        self.c = c
        self.k = k
        self.vectorizer = vectorizer
        self.field = field
        self.filter = filter
        self.filter_field = filter_field
        self.n_jobs = n_jobs

    def _formula(self):
        return ("divergence from randomness", self.model, self.c)

    def _weigh(self, index):
        lengths, n, total_length = (
            [segment.lengths for segment in index.segments],
            index.n_documents,
            index.total_length,
        )

        def expected(terms):
            return total_length / terms.collection_frequencies

        def mean(terms):
            return terms.collection_frequencies / n

        def idf(terms):
            return np.log2((n + 1) / (terms.document_frequencies + 0.5))

        if self.model in _FORMS:
            return Weighting(_FORMS[self.model], expected, lengths)
        with np.errstate(divide="ignore"):  # documents without terms
            norms = [np.log2(1 + self.c * index.mean_length / length) for length in lengths]
        if self.model == "PL2":
            return Weighting(POISSON, mean, norms)
        return Weighting(SATURATED, idf, [1 / norm for norm in norms])
