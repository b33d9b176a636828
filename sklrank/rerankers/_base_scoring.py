"""Base of rerankers that score candidates, and the order that scores give: depth, tail, cutoff."""

from abc import abstractmethod
from numbers import Integral

import numpy as np

from sklrank._ragged import first_entries, places
from sklrank._validation import Interval, StrOptions, _fit_context
from sklrank.base import Reranker, check_run
from sklrank.data._ids import show
from sklrank.data._order import rank
from sklrank.data._shapes import pair_of


class ScoringReranker(Reranker):
    """Base of rerankers that score the first candidates of each query.

    A subclass has the parameters `depth`, `tail` and `k`, a ``_stage``, and gives in ``_score(candidates)`` one number
    to each entry of a run, higher for better, which holds the candidates to score and nothing else. What has to be
    opened or checked before, it does in ``_open()``.
    """

    _stage = None  # short name of what it does: that of its runs, and of the column that it adds
    _pointwise = True  # whether the score of a candidate depends on the query and the candidate alone

    _parameter_constraints: dict = {
        "depth": [Interval(Integral, 1, None, closed="left"), None],
        "tail": [StrOptions({"drop", "keep"})],
        "k": [Interval(Integral, 1, None, closed="left"), None],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Check the parameters, and open what has to be opened; nothing is learned.

        Parameters
        ----------
        X : Run
            Candidates.
        y : Qrels or list of dict, default=None
            Judgments; not used.

        Returns
        -------
        self
        """
        check_run(X, "reranker")
        self._open()
        return self

    def transform(self, X):
        """Rank the first candidates of each query anew.

        Parameters
        ----------
        X : Run
            Candidates.

        Returns
        -------
        Run
            Best first, equal scores by row. The score that the candidates had is a column, and so is the new one.
        """
        self._validate_params()
        check_run(X, "reranker")
        lengths = head_lengths(X, self.depth)
        return place(X, lengths, self._scores(X.head(lengths)), self._stage, tail=self.tail, k=self.k)

    @abstractmethod
    def _score(self, candidates):
        """Give a number to each entry of a run, higher for better; the run has at least one entry."""

    def _open(self):
        """Open or check what `_score` needs."""

    def _scores(self, candidates):
        """What `_score` gives to the candidates, checked, as float64."""
        if not len(candidates.rows):
            return np.empty(0)
        scores = np.asarray(self._score(candidates), dtype=np.float64)
        if scores.shape != candidates.rows.shape:
            raise ValueError(
                f"{type(self).__name__} gave scores of shape {scores.shape} to {len(candidates.rows)} candidates"
            )
        bad = np.flatnonzero(np.isnan(scores)).tolist()
        if bad:
            ids = candidates.flat_docids
            pairs = [pair_of(candidates.queries, candidates.indptr, ids, e) for e in bad[:5]]
            raise ValueError(f"{len(bad)} scores are NaN, which ranks nowhere; (query, document): {show(pairs)}")
        return scores


def head_lengths(run, depth):
    """How many candidates of each query are scored.

    Parameters
    ----------
    run : Run
    depth : int, ndarray of int64 of shape (n_queries,), or None
        At most so many; ``None``: all.

    Returns
    -------
    ndarray of int64, shape (n_queries,)
    """
    lengths = np.diff(run.indptr)
    if depth is None:
        return lengths
    if not run.has_order and (lengths > depth).any():
        raise ValueError(
            f"these candidates have the score columns {list(run.columns)} and no order yet, so that there are no first "
            f"ones to rerank: depth=None reranks all of them, and a fuser before it gives them an order"
        )
    return np.minimum(lengths, depth)


def place(run, lengths, scores, stage, *, tail="drop", k=None):
    """Candidates in the order of new scores.

    Parameters
    ----------
    run : Run
        Candidates.
    lengths : ndarray of int64, shape (n_queries,)
        How many of each query were scored: the first ones.
    scores : ndarray of float64, shape (n_scored,)
        Their scores, no NaN.
    stage : str
        Name of the new run, and of the column that keeps `scores`; numbered where there is such a column already.
    tail : {"drop", "keep"}, default="drop"
        Whether the others are left out, or stand below in their order, with scores that go down from the lowest. A
        query of which nothing was scored stays as it is.
    k : int, default=None
        How many to keep of each query; ``None``: all.

    Returns
    -------
    Run
    """
    kept = run.with_old_score()
    slots, scored_indptr = first_entries(run.indptr, lengths)
    order, _, ranked = rank(scored_indptr, scores, run.rows[slots])
    entries = slots[order]
    ranks = places(scored_indptr) + 1.0
    column, column_ranks = np.full((2, len(run.rows)), np.nan)
    column[slots], column_ranks[entries] = scores, ranks
    indptr, values = scored_indptr, ranked
    if tail == "keep":
        indptr, everything = run.indptr, np.arange(len(run.rows))
        values = _below(run, lengths, ranked, scored_indptr) if len(slots) < len(run.rows) else np.empty(len(slots))
        everything[slots], values[slots] = entries, ranked
        entries = everything
    name, n = stage, 1
    while name in kept.columns:
        n += 1
        name = f"{stage}_{n}"
    new = kept.take(entries, indptr).with_column(name, column[entries], column_ranks[entries])
    new = new.with_scores(values, k=k, name=name)
    return new if k is None else new.head(k)


def _below(run, lengths, ranked, scored_indptr):
    """Scores that go down by at least 1 from the lowest of each query; those that were, where there is none."""
    scored = lengths > 0
    lowest = np.zeros(len(lengths))
    lowest[scored] = ranked[scored_indptr[1:][scored] - 1]
    sizes = np.diff(run.indptr)
    finite = np.where(np.isfinite(lowest), lowest, 0.0)
    step = np.maximum(1.0, 4 * np.spacing(np.abs(finite)))
    below = places(run.indptr) - np.repeat(lengths, sizes) + 1.0
    values = np.repeat(lowest, sizes) - np.repeat(step, sizes) * below
    if not scored.all() and run.has_order:
        as_before = np.repeat(~scored, sizes)
        values[as_before] = run.scores[as_before]
    return values
