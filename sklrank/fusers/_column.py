"""ColumnScorer: a column of the corpus as a score column."""

from datetime import date

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import TransformerTags

from sklrank._validation import StrOptions, _fit_context
from sklrank.data import Run

_FUNCTIONS = {"log1p": np.log1p}


class ColumnScorer(BaseEstimator):
    """Add a column of the corpus, such as clicks or a date, to candidates as a score column.

    A fuser in a later step weighs the column against the scores of the retrievers. If the candidates have an order,
    their score is kept as a column too, under the name of their run.

    Parameters
    ----------
    column : str
        Name of the column of the corpus. It holds numbers, bools or dates. NaN and None are missing values.
    function : {"log1p"} or callable, default=None
        Function that is applied to the values first. It takes an array and returns one value for each of its values.
        If None, the values are not changed.
    name : str, default=None
        Name of the score column. If None, it is that of the column of the corpus.
    higher_is_better : bool, default=True
        Whether a higher score is better. If False, as for prices and ages, the values are negated.

    See Also
    --------
    ScoreFuser : Weighs score columns.
    sklrank.retrievers.RetrieverUnion : Score columns of retrievers.

    Notes
    -----
    Nothing is learned. The values are computed once and cached on the corpus. If candidates are ranked by the column
    alone, equal values are ordered by row.

    No parameter needs a new `fit`. All take effect at once.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklrank import Corpus
    >>> from sklrank.fusers import ColumnScorer, ScoreFuser
    >>> from sklrank.retrievers import BM25Retriever
    >>> corpus = Corpus([{"text": "heat flow", "clicks": 3}, {"text": "heat transfer", "clicks": 90}])
    >>> bm25 = BM25Retriever(corpus)
    >>> bm25.fit(["heat"]).predict(["heat"]).docids
    [['0', '1']]
    >>> pipe = make_pipeline(bm25, ColumnScorer("clicks", function="log1p"), ScoreFuser(method="sum"))
    >>> pipe.fit(["heat"]).predict(["heat"]).docids
    [['1', '0']]
    """

    _parameter_constraints: dict = {
        "column": [str],
        "function": [StrOptions(set(_FUNCTIONS)), callable, None],
        "name": [str, None],
        "higher_is_better": ["boolean"],
    }

    def __init__(self, column, *, function=None, name=None, higher_is_better=True):
        self.column = column
        self.function = function
        self.name = name
        self.higher_is_better = higher_is_better

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the column, and learn nothing.

        Parameters
        ----------
        X : Run
            Candidates.
        y : Qrels or list of dict, default=None
            Relevance judgments. Not used.

        Returns
        -------
        self
        """
        self._values(_corpus_of(X))
        return self

    def fit_transform(self, X, y=None):
        """Check the column, and add it to the candidates.

        Parameters
        ----------
        X : Run
            Candidates.
        y : Qrels or list of dict, default=None
            Relevance judgments. Not used.

        Returns
        -------
        Run
        """
        return self.fit(X, y).transform(X)

    def transform(self, X):
        """Add the column to the candidates.

        Parameters
        ----------
        X : Run
            Candidates. They have a corpus.

        Returns
        -------
        Run
            The same candidates in the same order, with the column. The score that they had becomes another column.
        """
        self._validate_params()
        values = self._values(_corpus_of(X))
        run = X.with_old_score()
        name = self.name
        if name is None:
            name = self.column
        if name in run.columns:
            raise ValueError(f"the candidates already have a score column {name!r}; give this one another name=")
        return run.with_column(name, values[run.rows])

    def _values(self, corpus):
        """Return the value of each document of the corpus, computed once."""
        key = ("column scores", self.column, self.function, self.higher_is_better)
        return corpus.cached(key, lambda: self._make_values(corpus[self.column]))

    def _make_values(self, column):
        values = _as_numbers(column, self.column)
        if self.function is not None:
            values = self._apply_function(values)
        if not self.higher_is_better:
            values = -values
        return values

    def _apply_function(self, values):
        function = _FUNCTIONS.get(self.function, self.function)
        with np.errstate(divide="ignore", invalid="ignore"):
            changed = np.asarray(function(values.copy()), dtype=np.float64)
        if changed.shape != values.shape:
            raise ValueError(
                f"expected function to return one value for each value, an array of shape {values.shape}; got an array "
                f"of shape {changed.shape}"
            )
        bad = np.flatnonzero(~np.isfinite(changed) & np.isfinite(values))
        if len(bad):
            raise ValueError(
                f"function returned {changed[bad[0]]} for {values[bad[0]]:g}, the {self.column!r} of document {bad[0]}"
            )
        return changed

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        tags.input_tags.two_d_array = False
        tags.target_tags.required = False
        tags.requires_fit = False
        return tags


def _corpus_of(run):
    if not isinstance(run, Run):
        raise TypeError(f"X is a {type(run).__name__}; a ColumnScorer takes a Run, and stands behind a retriever")
    if run.corpus is None:
        raise ValueError("the candidates have no corpus that holds the column: run.with_corpus(corpus) adds one")
    return run.corpus


def _as_numbers(column, name):
    """Convert a column of numbers, bools or dates to float64; missing values become NaN."""
    values = None
    if isinstance(column, np.ndarray) and column.ndim == 1:
        convert = _as_seconds if _holds_dates(column) else _as_floats
        values = convert(column)
    if values is None:
        raise TypeError(f"column {name!r} of the corpus does not hold numbers, bools or dates; it cannot be a score")
    if np.isinf(values).any():
        raise ValueError(f"column {name!r} of the corpus holds infinite values; a score is finite, or NaN if missing")
    return values


def _types(column):
    """Return the types of the values of an array of objects, except None."""
    if column.dtype != object:
        return set()
    return {type(value) for value in column.tolist() if value is not None}


def _holds_dates(column):
    types = _types(column)
    return column.dtype.kind == "M" or bool(types) and all(issubclass(kind, (date, np.datetime64)) for kind in types)


def _as_seconds(column):
    if column.dtype == object:
        column = column.astype("datetime64[us]")
    return np.where(np.isnat(column), np.nan, (column - np.datetime64(0, "us")) / np.timedelta64(1, "s"))


def _as_floats(column):
    """Convert numbers to float64; None if there are other values."""
    if column.dtype.kind not in "biufO" or any(issubclass(kind, str) for kind in _types(column)):
        return None
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError):
        return None
