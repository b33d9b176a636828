"""BM25 and its variants."""

from numbers import Real

import numpy as np

from sklrank._kernels._impacts import SATURATED, SHIFTED
from sklrank._validation import Interval, StrOptions
from sklrank.retrievers._base_inverted import InvertedIndexRetriever
from sklrank.retrievers._impacts import Weighting

_METHODS = ("robertson", "lucene", "atire", "bm25l", "bm25+")
_DELTAS = {"bm25l": 0.5, "bm25+": 1.0}


class BM25Retriever(InvertedIndexRetriever):
    r"""Rank documents by BM25.

    The score of document :math:`d` is the sum over the terms :math:`t` of the query, each as often as it stands
    there,

    .. math:: idf(t) \cdot \frac{tf}{tf + k_1 (1 - b + b \, |d| / \overline{|d|})}

    with the variations that `method` names. Only documents that hold a term of the query are found, and the
    ranking is exact: that of scoring every document, equal scores in the order of the corpus.

    Parameters
    ----------
    corpus : Corpus or whatever one is made from, default=None
        The documents. ``None``: those that `fit` gets as `X`.
    method : {"robertson", "lucene", "atire", "bm25l", "bm25+"}, default="lucene"
        The variant; see Notes.
    k1 : float, default=1.2
        Saturation of the term frequency; 0 counts presence only.
    b : float, default=0.75
        Weight of the document's length, from 0 (none) to 1.
    delta : float, default=None
        Lower bound of a match in ``"bm25l"`` and ``"bm25+"``; ``None``: that of the paper, 0.5 and 1.
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
    BM25FRetriever : Weighs fields.
    LanguageModelRetriever : Query likelihood.
    TfidfRetriever : Cosine of tf-idf vectors.

    Notes
    -----
    With :math:`N` documents, :math:`df` of which hold the term, the idf is :math:`\ln(1 + (N - df + .5) / (df + .5))`
    for "lucene"; :math:`\ln((N - df + .5) / (df + .5))`, at least 0, for "robertson"; :math:`\ln(N / df)` for
    "atire", :math:`\ln((N + 1) / (df + .5))` for "bm25l" and :math:`\ln((N + 1) / df)` for "bm25+"; the
    latter three multiply by :math:`k_1 + 1`. The first three give the scores of bm25s. "bm25l" and "bm25+" sum over
    the terms that a document holds, as Lv and Zhai define them; bm25s adds what a count of 0 would give for every
    term that the document lacks. This depends on the absent terms, so that bm25s orders documents differently: for
    "bm25+" as with a `delta` of 0.

    What depends on `k1`, `b`, `delta` and `method` is computed for the terms that queries ask for: to change them
    neither tokenizes nor inverts again, and needs no new `fit`.

    Parameters that need a new `fit`: `corpus`, `field` and `vectorizer`. All others take effect at once.

    References
    ----------
    S. Robertson and H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009.

    Y. Lv and C. Zhai, Lower-Bounding Term Frequency Normalization, CIKM 2011; When Documents Are Very Long, BM25
    Fails!, SIGIR 2011.

    C. Kamphuis et al., Which BM25 Do You Mean?, ECIR 2020.

    Examples
    --------
    >>> from sklrank.retrievers import BM25Retriever
    >>> retriever = BM25Retriever().fit(["heat flows", "cold rests", "heat flows where heat is"])
    >>> retriever.predict(["where is heat"]).docids
    [['2', '0']]
    >>> print(retriever.explain("heat", "0"))
    0.24737  0
      0.24737  heat  (1 times, in 2 documents)
    """

    _stage = "bm25"

    _parameter_constraints: dict = {
        **InvertedIndexRetriever._parameter_constraints,
        "method": [StrOptions(set(_METHODS))],
        "k1": [Interval(Real, 0, None, closed="left")],
        "b": [Interval(Real, 0, 1, closed="both")],
        "delta": [Interval(Real, 0, None, closed="left"), None],
    }

    def __init__(
        self,
        corpus=None,
        *,
        method="lucene",
        k1=1.2,
        b=0.75,
        delta=None,
        k=100,
        vectorizer=None,
        field=None,
        filter=None,
        filter_field=None,
        n_jobs=None,
    ):
        self.corpus = corpus
        self.method = method
        self.k1 = k1
        self.b = b
        self.delta = delta
        self.k = k
        self.vectorizer = vectorizer
        self.field = field
        self.filter = filter
        self.filter_field = filter_field
        self.n_jobs = n_jobs

    def _formula(self):
        return ("bm25", self.method, self.k1, self.b, self.delta)

    def _weigh(self, index):
        df, n = index.document_frequencies.astype(np.float64), index.n_documents
        scales = bm25_idf(df, n, self.method)
        delta = _DELTAS.get(self.method, 0.0) if self.delta is None else self.delta
        lengths = [segment.lengths / index.mean_length for segment in index.segments]
        norms = [1 - self.b + self.b * length for length in lengths]
        if self.method in ("robertson", "lucene"):
            return Weighting(SATURATED, scales, [self.k1 * norm for norm in norms])
        scales = scales * (self.k1 + 1)
        if self.method == "bm25l":
            return Weighting(SHIFTED, scales, norms, delta, self.k1)
        first = delta / (self.k1 + 1) if self.method == "bm25+" else 0.0
        return Weighting(SATURATED, scales, [self.k1 * norm for norm in norms], first)


def bm25_idf(df, n, method):
    """Inverse document frequency of terms in `df` of `n` documents, float64; 0 where `df` is."""
    with np.errstate(divide="ignore"):
        idf = {
            "robertson": lambda: np.maximum(np.log((n - df + 0.5) / (df + 0.5)), 0),
            "lucene": lambda: np.log(1 + (n - df + 0.5) / (df + 0.5)),
            "atire": lambda: np.log(n / df),
            "bm25l": lambda: np.log((n + 1) / (df + 0.5)),
            "bm25+": lambda: np.log((n + 1) / df),
        }[method]()
    return np.where(df > 0, idf, 0.0)
