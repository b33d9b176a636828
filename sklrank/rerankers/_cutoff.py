"""Cutoff: where a ranking ends."""

from numbers import Integral, Real
from os import PathLike

import numpy as np

from sklrank._ragged import lengths_to_indptr, owners
from sklrank._session import PrintedBytes, PrintedBytesMixin, open_tokenizer
from sklrank._validation import HasMethods, Hidden, Interval
from sklrank.base import Reranker, check_run
from sklrank.rerankers._texts import document_texts


class Cutoff(PrintedBytesMixin, Reranker):
    """End each ranking where scores become too low, or where the texts fill a budget.

    What is left is what a reader, or a language model, is given: a ranking ends before the first document whose score
    is below the threshold, or with which the documents together have too many tokens.

    Parameters
    ----------
    threshold : float, default=None
        The lowest score that stays; ``None``: any.
    max_tokens : int, default=None
        Most tokens of the documents of a query together; ``None``: any number.
    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        What counts tokens: an object, a ``tokenizer.json`` or its content, or a function from a list of texts to one
        sequence of tokens each. ``None`` counts words, separated by space.
    field : str or list of str, default=None
        Columns of the corpus whose texts count. ``None``: title and text joined by a space where both exist.

    See Also
    --------
    sklrank.metrics.set_f1_score : A measure of rankings that end.

    Notes
    -----
    Nothing else changes, neither scores nor columns nor the name of the run. A first document that alone has more than
    `max_tokens` leaves an empty ranking: cut long documents into passages before, by `Corpus.split`.

    Ranking measures such as nDCG never gain from an earlier end; tune the threshold by one that minds what is
    irrelevant, such as set F1:
    ``GridSearchCV(pipeline, {"cutoff__threshold": …}, scoring=sklrank.metrics.get_scorer("set_f"))``.

    Parameters that need a new `fit`: none. All take effect at once.

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
        "tokenizer": [
            str,
            PathLike,
            bytes,
            Hidden(PrintedBytes),
            HasMethods(["encode_batch", "to_str"]),
            callable,
            None,
        ],  # fmt: skip
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
            Rankings; with a corpus, where tokens count.

        Returns
        -------
        Run
            The first documents of each, as they are.
        """
        self._validate_params()
        check_run(X, "reranker")
        lengths, scores = np.diff(X.indptr), X.scores  # raises where there is no order
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
        """Number of tokens of each text."""
        if self.tokenizer is None:
            return np.array([len(text.split()) for text in texts])
        tokenizer = open_tokenizer(self.tokenizer)
        tokens = tokenizer.encode(texts) if hasattr(tokenizer, "encode") else tokenizer.rows(texts, np.inf).ids
        return np.array(list(map(len, tokens)))
