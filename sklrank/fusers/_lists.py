"""The values that systems give to candidates, and their sums."""

from dataclasses import dataclass

import numpy as np

from sklrank._kernels._fusion import add_values


@dataclass
class Lists:
    """What each system gives each candidate.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
        Bounds of the queries' entries.
    values : ndarray of float64, shape (n_systems, n_entries)
        NaN if the system did not find the entry.
    absent : ndarray of float64, shape (n_systems, n_queries), default=None
        The value that a system gives to the entries that it did not find; NaN, or ``None``, if it gives none.
    rows : ndarray of int64, shape (n_entries,), default=None
        The documents, for methods that break ties on the way.
    """

    indptr: np.ndarray
    values: np.ndarray
    absent: np.ndarray | None = None
    rows: np.ndarray | None = None

    def __post_init__(self):
        if self.absent is None:
            self.absent = np.full((len(self.values), len(self.indptr) - 1), np.nan)

    def of_systems(self, chosen):
        """The lists of the systems in a mask of shape (n_systems,)."""
        return self if chosen.all() else Lists(self.indptr, self.values[chosen], self.absent[chosen], self.rows)

    @property
    def found(self):
        """Whether any system found the entry, shape (n_entries,)."""
        return ~np.isnan(self.values).all(axis=0)

    def filled(self):
        """Values, with those for missing entries in place of NaN, shape (n_systems, n_entries)."""
        absent = np.repeat(self.absent, np.diff(self.indptr), axis=1)
        return np.where(np.isnan(self.values), absent, self.values)

    def add(self, weights, *, plain=False):
        """Add the values of the systems.

        Parameters
        ----------
        weights : ndarray of float64, shape (n_systems,)
        plain : bool, default=False
            Whether to add the values without their weights.

        Returns
        -------
        Sums
        """
        totals, errors, counts, mass = np.zeros((4, self.values.shape[1]))
        factors = np.ones_like(weights) if plain else weights
        for values, absent, factor in zip(self.values, self.absent, factors.tolist()):
            add_values(self.indptr, values, absent, factor, totals, errors, counts, mass)
        totals += errors
        return Sums(self, weights, totals, counts, mass)


@dataclass
class Sums:
    """Sums over the systems, one for each entry.

    Parameters
    ----------
    lists : Lists
        What was added.
    weights : ndarray of float64, shape (n_systems,)
        Weights of the systems.
    totals, counts, mass : ndarray of float64, shape (n_entries,)
        Sum of the weighted values, number of systems that found the entry, and the sum of the weights of these.
    """

    lists: Lists
    weights: np.ndarray
    totals: np.ndarray
    counts: np.ndarray
    mass: np.ndarray

    def total_weight(self):
        """Sum of the weights of the systems that give a value; 1 if none does."""
        if np.isnan(self.lists.absent).any():
            return np.where(self.mass > 0, self.mass, 1.0)
        return self.weights.sum()
