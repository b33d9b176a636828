"""Runs with the same candidates in another order, or with other scores."""

from copy import copy

import numpy as np

from sklrank._ragged import first_entries, places
from sklrank.data._columns import TakenArrays, check_score_columns, name_of_old_score, numbered
from sklrank.data._order import rank
from sklrank.data._pairs import Pairs
from sklrank.data._run_input import as_scores


class RunAlgebra(Pairs):
    """Methods of `Run` that return another run of the same candidates."""

    def head(self, n):
        """Keep the first documents of each query.

        Parameters
        ----------
        n : int, or array of int of shape (n_queries,)
            Maximum number of documents to keep.

        Returns
        -------
        Run

        Examples
        --------
        >>> from sklrank import Run
        >>> Run({"q": ["a", "b", "c"]}).head(2).docids
        [['a', 'b']]
        """
        n = np.asarray(n)
        if n.dtype.kind not in "iu" or n.shape not in ((), (len(self),)) or (n < 0).any():
            raise ValueError(f"expected an int of at least 0, or an array of {len(self)} of these, got {n!r:.200}")
        if not (np.diff(self._indptr) > n).any():
            return self
        return self.take(*first_entries(self._indptr, n))

    def reorder(self, scores, *, k=None, name=None, source=None):
        """Rank the same candidates by new scores.

        Parameters
        ----------
        scores : array-like of float, shape (n_entries,)
            New scores. Higher is better. A candidate with NaN is dropped.
        k : int, default=None
            Number of documents to keep for each query. If None, all are kept.
        name : str, default=None
            Name of the new run.
        source : estimator, default=None
            Estimator that computed the scores; see `source`.

        Returns
        -------
        Run
            Ordered by score, descending, then by row. Score columns are kept. `with_old_score` adds the current score
            to them.

        Examples
        --------
        >>> from sklrank import Run
        >>> run = Run({"q": {"a": 3.0, "b": 2.0, "c": 1.0}}, name="bm25")
        >>> new = run.with_old_score().reorder([0.1, float("nan"), 0.7], name="mine")
        >>> new.docids, new.column("bm25")
        ([['c', 'a']], array([1., 3.]))
        """
        scores = self._checked_values(scores, "scores")
        entries, indptr, scores = rank(self._indptr, scores, self.rows, k)
        values = {
            "_columns": TakenArrays(self._columns, entries),
            "_column_ranks": TakenArrays(self._column_ranks, entries),
        }
        new = self._replace(indptr, self._queries, self._documents, self._rows[entries], None, values)
        return new.with_scores(scores, k=k, name=name, source=source)

    def with_scores(self, scores, *, k=None, name=None, source=None):
        """Replace the scores of the ranked entries, without a change of their order.

        Parameters
        ----------
        scores : array-like of float, shape (n_entries,)
            Score of each entry. It is not higher than the score before it in the same query.
        k : int, default=None
            The cutoff: no ranking is longer. If None, it does not change.
        name : str, default=None
            Name of the new run.
        source : estimator, default=None
            Estimator that determined the order; see `source`.

        Returns
        -------
        Run
        """
        scores = self._checked_values(scores, "scores")
        k = min((limit for limit in (self.k, k) if limit is not None), default=None)
        return self._with(_scores=scores, name=name, _source=source, k=k)

    def with_column(self, name, scores, ranks=None):
        """Add a score column, or replace the column of the same name.

        Parameters
        ----------
        name : str
            Name of the column.
        scores : array-like of float, shape (n_entries,)
            Value of each entry. A missing value is NaN.
        ranks : array-like of float, shape (n_entries,), default=None
            Rank of each entry, from 1, in the list that the column comes from. A missing rank is NaN.

        Returns
        -------
        Run
            A run without a `source`, because the estimator did not use the column.
        """
        check_score_columns({*self._columns, name})
        columns = {**self._columns, name: self._checked_values(scores, "scores").astype(np.float64, copy=False)}
        column_ranks = {column: values for column, values in self._column_ranks.items() if column != name}
        if ranks is not None:
            column_ranks[name] = self._checked_values(ranks, "ranks").astype(np.float64, copy=False)
        return self._with(_source=None, _columns=columns, _column_ranks=column_ranks)

    def with_old_score(self):
        """Keep the current score, if there is one, as a column with the name of the run.

        Returns
        -------
        Run
            The same run if it has no order, or already has this column. The score of a run without a name becomes the
            column ``"previous"``.
        """
        if self._scores is None:
            return self
        name = name_of_old_score(self.name, self._columns)
        if name in self._columns:
            column = self._columns[name]
            if (np.isnan(column) | (column == self._scores)).all():
                return self
            name = numbered(name, self._columns)
        return self.with_column(name, self._scores, places(self._indptr) + 1.0)

    def _with(self, **attributes):
        """Return a copy with other attributes."""
        new = copy(self)
        for name, value in attributes.items():
            setattr(new, name, value)
        return new

    def _checked_values(self, values, what):
        """Return one number per entry as an array of float32 or float64."""
        shape = np.shape(values)
        if shape != (self._indptr[-1],):
            raise ValueError(f"expected {what} of shape ({self._indptr[-1]},), one per entry; got the shape {shape}")
        return as_scores(values, what)
