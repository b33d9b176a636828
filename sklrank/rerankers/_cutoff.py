"""Cutoff: the end of each ranking."""

from numbers import Integral, Real

import numpy as np

from sklrank._ragged import lengths_to_indptr, owners
from sklrank._session import TOKENIZER_FORMS, PrintedBytes, PrintedBytesMixin, open_tokenizer
from sklrank._validation import Hidden, Interval
from sklrank.base import Reranker, check_run
from sklrank.rerankers._texts import document_texts


class Cutoff(PrintedBytesMixin, Reranker):
    """End each ranking when scores become too low, or when the texts exceed a budget of tokens.

    The remaining documents are shown to a reader, or passed to a language model. A ranking ends before the first
    document whose score is below the threshold, or that makes the total number of tokens too large.

    Parameters
    ----------
    threshold : float, default=None
        Lowest score to keep. If None, there is no limit.
    max_tokens : int, default=None
        Maximum number of tokens of all documents of a query. If None, there is no limit.
    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        Tokenizer that counts tokens. It is an object, a ``tokenizer.json`` file or its content, or a function that
        takes a list of texts, and returns a sequence of tokens for each. If None, words separated by space are counted.
    field : str or list of str, default=None
        Columns of the corpus to read. If None, title and text are joined by a space if both exist.

    See Also
    --------
    sklrank.metrics.set_f1_score : Measures rankings that end.

    Notes
    -----
    Scores, columns and the name of the run do not change. If the first document alone has more than `max_tokens`, the
    ranking becomes empty. Split long documents into passages first, by `Corpus.split`.

    Ranking measures such as nDCG never increase when a ranking ends earlier. Tune the threshold by a measure that
    counts irrelevant documents, such as set F1:
    ``GridSearchCV(pipeline, {"cutoff__threshold": …}, scoring=sklrank.metrics.get_scorer("set_f"))``.

    No parameter needs a new `fit`. All take effect at once.

    Examples
    --------
    >>> from sklrank import Corpus, Run
    >>> from sklrank.rerankers import Cutoff
    >>> run = Run([{"0": 3.0, "1": 2.0, "2": 0.5}], corpus=Corpus(["heat flow", "heat", "cold wing"]))
    >>> Cutoff(threshold=1.0).transform(run).docids, Cutoff(max_tokens=2).transform(run).docids
    ([['0', '1']], [['0']])
    """

    _parameter_constraints: dict = {
        "threshold": [Interval(Real, None, None, closed="neither"), None],
        "max_tokens": [Interval(Integral, 0, None, closed="left"), None],
        "tokenizer": [*TOKENIZER_FORMS, Hidden(PrintedBytes)],
        "field": "no_validation",
    }

    def __init__(self, threshold=None, max_tokens=None, *, tokenizer=None, field=None):
        self.threshold = threshold
        self.max_tokens = max_tokens
        self.tokenizer = tokenizer
        self.field = field

    def transform(self, X):
        """End each ranking.

        Parameters
        ----------
        X : Run
            Candidates. They need a corpus if tokens are counted.

        Returns
        -------
        Run
            The first documents of each ranking, unchanged.
        """
        self._validate_params()
        check_run(X, "reranker")
        lengths, scores = np.diff(X.indptr), X.scores  # raises if there is no order
        query = owners(X.indptr)
        beyond = np.zeros(len(query), dtype=bool)
        if self.threshold is not None:
            beyond |= scores < self.threshold
        if self.max_tokens is not None and len(query):
            texts, which = document_texts(X, self.field)
            totals = lengths_to_indptr(self._counts(texts)[which])
            beyond |= totals[1:] - np.repeat(totals[X.indptr[:-1]], lengths) > self.max_tokens
        entries = np.flatnonzero(beyond)
        lengths = lengths.copy()
        np.minimum.at(lengths, query[entries], entries - X.indptr[query[entries]])
        return X.head(lengths)

    def _counts(self, texts):
        """Return the number of tokens of each text."""
        if self.tokenizer is None:
            return np.array([len(text.split()) for text in texts])
        tokenizer = open_tokenizer(self.tokenizer)
        if hasattr(tokenizer, "encode"):
            tokens = tokenizer.encode(texts)
        else:
            tokens = tokenizer.rows(texts, np.inf).ids
        return np.array(list(map(len, tokens)))
