"""Query likelihood under smoothed language models of the documents."""

from functools import partial
from numbers import Real

import numpy as np

from sklrank._kernels._impacts import LOGARITHMIC
from sklrank._validation import Interval, StrOptions
from sklrank.retrievers._base_inverted import InvertedIndexRetriever
from sklrank.retrievers._impacts import Weighting


class LanguageModelRetriever(InvertedIndexRetriever):
    r"""Rank documents by the likelihood of the query.

    Each document is a unigram language model, smoothed by the language model of the corpus, :math:`p(t | C)`. The score
    is the logarithm of the likelihood of the query, without the terms that are the same for all documents:

    .. math::

        \text{Dirichlet:} \quad & \sum_t \ln\left(1 + \frac{tf}{\mu \, p(t | C)}\right)
        + |q| \ln \frac{\mu}{|d| + \mu} \\
        \text{Jelinek-Mercer:} \quad & \sum_t \ln\left(1 + \frac{(1 - \lambda) \, tf}{\lambda \, |d| \, p(t | C)}\right)

    Documents that hold no term of the query are not found.

    Parameters
    ----------
    corpus : Corpus or input of Corpus, default=None
        The documents. If None, they are the `X` of `fit`.
    smoothing : {"dirichlet", "jelinek-mercer"}, default="dirichlet"
        Method that mixes the models of document and corpus.
    mu : float, default=2000
        Weight of the corpus in Dirichlet smoothing, in tokens.
    lambda_ : float, default=0.1
        Share of the corpus in Jelinek-Mercer smoothing. Short queries need a small value, long queries about 0.7.
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

    Notes
    -----
    Parameters that need a new `fit`: `corpus`, `field` and `vectorizer`. All others take effect at once.

    References
    ----------
    C. Zhai and J. Lafferty, A Study of Smoothing Methods for Language Models Applied to Ad Hoc Information
    Retrieval, SIGIR 2001.

    Examples
    --------
    >>> from sklrank.retrievers import LanguageModelRetriever
    >>> retriever = LanguageModelRetriever(mu=10).fit(["heat flows", "cold rests", "heat flows where heat is"])
    >>> retriever.predict(["heat"]).docids
    [['0', '2']]
    """

    _stage = "lm"

    _parameter_constraints: dict = {
        **InvertedIndexRetriever._parameter_constraints,
        "smoothing": [StrOptions({"dirichlet", "jelinek-mercer"})],
        "mu": [Interval(Real, 0, None, closed="neither")],
        "lambda_": [Interval(Real, 0, 1, closed="right")],
    }

    def __init__(
        self,
        corpus=None,
        *,
        smoothing="dirichlet",
        mu=2000,
        lambda_=0.1,
        k=100,
        vectorizer=None,
        field=None,
        filter=None,
        filter_field=None,
        n_jobs=None,
    ):
        self.corpus = corpus
        self.smoothing = smoothing
        self.mu = mu
        self.lambda_ = lambda_
        self.k = k
        self.vectorizer = vectorizer
        self.field = field
        self.filter = filter
        self.filter_field = filter_field
        self.n_jobs = n_jobs

    def _formula(self):
        return ("language model", self.smoothing, self.mu, self.lambda_)

    def _weigh(self, index):
        lengths = [segment.lengths for segment in index.segments]
        if self.smoothing == "jelinek-mercer":
            ratio = (1 - self.lambda_) / self.lambda_
            return Weighting(LOGARITHMIC, partial(_rarity, index.total_length, lambda x: ratio * x), lengths)
        ones = [np.ones(len(length)) for length in lengths]
        bias = [np.log(self.mu / (length + self.mu)).astype(np.float32) for length in lengths]
        mu = self.mu
        return Weighting(LOGARITHMIC, partial(_rarity, index.total_length, lambda x: x / mu), ones, bias=bias)


def _rarity(total_length, scaled, terms):
    """Return the scaled inverse share of terms in the tokens of all documents; 0 for terms without documents."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return scaled(np.where(terms.document_frequencies > 0, total_length / terms.collection_frequencies, 0.0))
