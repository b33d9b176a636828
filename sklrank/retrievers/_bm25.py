"""BM25 and its variants."""

from functools import partial
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

    The score of document :math:`d` is a sum over the terms :math:`t` of the query, in which repeated terms count
    repeatedly, of

    .. math:: idf(t) \cdot \frac{tf}{tf + k_1 (1 - b + b \, |d| / \overline{|d|})}

    or of a variant of it, see `method`. Only documents that hold a term of the query are found. The ranking is exact:
    it is the same as if every document was scored, and equal scores are in the order of the corpus.

    Parameters
    ----------
    corpus : Corpus or input of Corpus, default=None
        The documents. If None, they are the `X` of `fit`.
    method : {"robertson", "lucene", "atire", "bm25l", "bm25+"}, default="lucene"
        Variant of the formula; see Notes.
    k1 : float, default=1.2
        Saturation of the term frequency. With 0, only the presence of a term counts.
    b : float, default=0.75
        Weight of the length, from 0 (none) to 1.
    delta : float, default=None
        Lower bound of a match in ``"bm25l"`` and ``"bm25+"``. If None, it is that of the paper, 0.5 and 1.
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
    BM25FRetriever : Weighs fields.
    LanguageModelRetriever : Ranks by query likelihood.
    TfidfRetriever : Ranks by the cosine of tf-idf vectors.

    Notes
    -----
    If :math:`df` of :math:`N` documents hold the term, the idf is :math:`\ln(1 + (N - df + .5) / (df + .5))`
    for "lucene"; :math:`\ln((N - df + .5) / (df + .5))`, at least 0, for "robertson"; :math:`\ln(N / df)` for
    "atire", :math:`\ln((N + 1) / (df + .5))` for "bm25l" and :math:`\ln((N + 1) / df)` for "bm25+". The
    latter three multiply by :math:`k_1 + 1`. The first three give the scores of bm25s. "bm25l" and "bm25+" sum over
    the terms that a document holds, as Lv and Zhai define them, while bm25s adds the value of a count of 0 for every
    term that the document lacks. This value depends on the absent terms, so that bm25s orders documents differently:
    for "bm25+" as with a `delta` of 0.

    Values that depend on `k1`, `b`, `delta` and `method` are computed for the terms of queries when they are needed.
    After a change of these parameters, the corpus is neither tokenized nor inverted again, and no new `fit` is needed.

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
        delta = self.delta
        if delta is None:
            delta = _DELTAS.get(self.method, 0.0)
        lengths = [segment.lengths / index.mean_length for segment in index.segments]
        norms = [1 - self.b + self.b * length for length in lengths]
        if self.method in ("robertson", "lucene"):
            return Weighting(SATURATED, bm25_idf(index, self.method), [self.k1 * norm for norm in norms])
        scale = bm25_idf(index, self.method, self.k1 + 1)
        if self.method == "bm25l":
            return Weighting(SHIFTED, scale, norms, delta, self.k1)
        norms = [self.k1 * norm for norm in norms]
        if self.method == "bm25+":
            return Weighting(SATURATED, scale, norms, delta / (self.k1 + 1))
        return Weighting(SATURATED, scale, norms)


def bm25_idf(index, method, factor=1.0):
    """Return a function from `Terms` to their inverse document frequencies, times a factor; 0 if no document holds it.

    Parameters
    ----------
    index : Index
    method : str
    factor : float, default=1.0

    Returns
    -------
    callable
    """
    return partial(_idf, index.n_documents, method, factor)


def _idf(n, method, factor, terms):
    df = terms.document_frequencies.astype(np.float64)
    with np.errstate(divide="ignore"):
        idf = {
            "robertson": lambda: np.maximum(np.log((n - df + 0.5) / (df + 0.5)), 0),
            "lucene": lambda: np.log(1 + (n - df + 0.5) / (df + 0.5)),
            "atire": lambda: np.log(n / df),
            "bm25l": lambda: np.log((n + 1) / (df + 0.5)),
            "bm25+": lambda: np.log((n + 1) / df),
        }[method]()
    return np.where(df > 0, idf, 0.0) * factor
