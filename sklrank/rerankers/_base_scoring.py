"""Base class of rerankers that score candidates, and the ranking by these scores: depth, tail, cutoff."""

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
    """Base class of rerankers that score the first candidates of each query.

    A subclass has the parameters `depth`, `tail` and `k`, and a ``_stage``. It implements ``_score(candidates)``, which
    returns one number for each entry of a run, higher for better; the run holds only the candidates to score. It may
    implement ``_open()``, which opens or checks things before the first call.
    """

    _stage = None  # name of the runs that the reranker returns, and of the column that it adds
    _pointwise = True  # whether the score of a candidate depends only on the query and the candidate

    _parameter_constraints: dict = {
        "depth": [Interval(Integral, 1, None, closed="left"), None],
        "tail": [StrOptions({"drop", "keep"})],
        "k": [Interval(Integral, 1, None, closed="left"), None],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Check the parameters, and open models if there are any. Nothing is learned.

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
        check_run(X, "reranker")
        self._open()
        return self

    def transform(self, X):
        """Rerank the first candidates of each query.

        Parameters
        ----------
        X : Run
            Candidates.

        Returns
        -------
        Run
            The candidates, best first. Equal scores are ordered by row. The old score and the new score are columns.
        """
        self._validate_params()
        check_run(X, "reranker")
        lengths = head_lengths(X, self.depth)
        return place(X, lengths, self._scores(X.head(lengths)), self._stage, tail=self.tail, k=self.k)

    @abstractmethod
    def _score(self, candidates):
        """Return a number for each entry of a run, higher for better. The run has at least one entry."""

    def _open(self):
        """Open or check things that `_score` needs."""

    def _scores(self, candidates):
        """Return the result of `_score`, checked, as float64."""
        if not len(candidates.rows):
            return np.empty(0)
        scores = np.asarray(self._score(candidates), dtype=np.float64)
        if scores.shape != candidates.rows.shape:
            raise ValueError(
                f"{type(self).__name__} returned scores of shape {scores.shape} for {len(candidates.rows)} candidates"
            )
        bad = np.flatnonzero(np.isnan(scores)).tolist()
        if bad:
            ids = candidates.flat_docids
            pairs = [pair_of(candidates.queries, candidates.indptr, ids, e) for e in bad[:5]]
            raise ValueError(f"{len(bad)} scores are NaN, which has no rank; (query, document): {show(pairs)}")
        return scores


def head_lengths(run, depth):
    """Return the number of candidates of each query to score.

    Parameters
    ----------
    run : Run
        Candidates.
    depth : int, ndarray of int64 of shape (n_queries,), or None
        Maximum number. If None, there is no limit.

    Returns
    -------
    ndarray of int64, shape (n_queries,)
    """
    lengths = np.diff(run.indptr)
    if depth is None:
        return lengths
    if not run.has_order and (lengths > depth).any():
        raise ValueError(
            f"these candidates have the score columns {list(run.columns)} but no order, so there are no first ones to "
            "rerank; depth=None reranks all of them, and a fuser before the reranker gives them an order"
        )
    return np.minimum(lengths, depth)


def place(run, lengths, scores, stage, *, tail="drop", k=None):
    """Order candidates by new scores.

    Parameters
    ----------
    run : Run
        Candidates.
    lengths : ndarray of int64, shape (n_queries,)
        Number of candidates of each query that were scored, from the top.
    scores : ndarray of float64, shape (n_scored,)
        Scores of these candidates, without NaN.
    stage : str
        Name of the new run, and of the column that keeps `scores`. A number is added if there is such a column already.
    tail : {"drop", "keep"}, default="drop"
        Whether the other candidates are dropped or kept in their order. Their scores then descend from the lowest new
        score. A query without scored candidates does not change.
    k : int, default=None
        Number of documents to return for each query. If None, all are returned.

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
        values = np.empty(len(run.rows))
        if len(slots) < len(run.rows):
            values = _below(run, lengths, ranked, scored_indptr)
        everything[slots], values[slots] = entries, ranked
        entries = everything
    name, n = stage, 1
    while name in kept.columns:
        n += 1
        name = f"{stage}_{n}"
    new = kept.take(entries, indptr).with_column(name, column[entries], column_ranks[entries])
    new = new.with_scores(values, k=k, name=name)
    if k is None:
        return new
    return new.head(k)


def _below(run, lengths, ranked, scored_indptr):
    """Return scores that descend by at least 1 from the lowest of each query; the old ones if nothing was scored."""
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
