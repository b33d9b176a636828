"""Divergence from randomness."""

from numbers import Real

import numpy as np

from sklrank._kernels._impacts import HYPERGEOMETRIC, POISSON, POPPER, SATURATED
from sklrank._validation import Interval, StrOptions
from sklrank.retrievers._base_inverted import InvertedIndexRetriever
from sklrank.retrievers._impacts import Weighting

_MODELS = ("PL2", "InL2", "DLH", "DPH")


class DFRRetriever(InvertedIndexRetriever):
    r"""Rank documents by divergence from randomness.

    A term weighs the more, the less likely chance alone would put it into the document as often as it stands there.
    The score of a document is the sum over the terms of the query, each as often as it stands there. With :math:`tf`
    occurrences in a document of :math:`l` tokens, mean length :math:`\bar l`, and :math:`F` occurrences in all
    :math:`N` documents, :math:`n` of which hold the term,

    .. math::

        \text{PL2:} \quad & \frac{1}{tfn + 1} \left( tfn \log_2 \frac{tfn}{\lambda} + (\lambda - tfn) \log_2 e
        + \tfrac{1}{2} \log_2 (2 \pi \, tfn) \right), \quad \lambda = \frac{F}{N} \\
        \text{InL2:} \quad & \frac{tfn}{tfn + 1} \log_2 \frac{N + 1}{n + 0.5} \\
        \text{DLH:} \quad & \frac{1}{tf + 0.5} \left( tf \log_2 \left( \frac{tf \, \bar l}{l} \frac{N}{F} \right)
        + (l - tf) \log_2 (1 - f) + \tfrac{1}{2} \log_2 (2 \pi \, tf (1 - f)) \right) \\
        \text{DPH:} \quad & \frac{(1 - f)^2}{tf + 1} \left( tf \log_2 \left( \frac{tf \, \bar l}{l} \frac{N}{F} \right)
        + \tfrac{1}{2} \log_2 (2 \pi \, tf (1 - f)) \right)

    where :math:`f = tf / l` and :math:`tfn = tf \log_2 (1 + c \, \bar l / l)`. Only documents that hold a term of the
    query are found, and the ranking is exact.

    Parameters
    ----------
    corpus : Corpus or whatever one is made from, default=None
        The documents. ``None``: those that `fit` gets as `X`.
    model : {"PL2", "InL2", "DLH", "DPH"}, default="PL2"
        The formula.
    c : float, default=1.0
        How much counts are normalized by the length of the document in ``"PL2"`` and ``"InL2"``: the larger, the less.
        ``"DLH"`` and ``"DPH"`` have no parameter.
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
    BM25Retriever : Probabilistic relevance.
    LanguageModelRetriever : Query likelihood.

    Notes
    -----
    The formulas are those of Terrier 5. Its default of `c` is 1, too; long queries want less, short ones more. As
    there, :math:`f` is .99999 if a document consists of a single term only.

    A term that stands in a document about as often as chance has it, or less often, may have a negative share of the
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
        lengths = [segment.lengths for segment in index.segments]
        with np.errstate(divide="ignore", invalid="ignore"):  # terms of no document, documents without a term
            if self.model in ("DLH", "DPH"):
                form = HYPERGEOMETRIC if self.model == "DLH" else POPPER
                return Weighting(form, index.total_length / index.collection_frequencies, lengths)
            norms = [np.log2(1 + self.c * index.mean_length / length) for length in lengths]
            if self.model == "PL2":
                return Weighting(POISSON, index.collection_frequencies / index.n_documents, norms)
            idf = np.log2((index.n_documents + 1) / (index.document_frequencies + 0.5))
            return Weighting(SATURATED, idf, [1 / norm for norm in norms])
