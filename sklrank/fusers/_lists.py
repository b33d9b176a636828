"""Values of candidates in the lists of several systems, and the sums of these values."""

from dataclasses import dataclass

import numpy as np

from sklrank._kernels._fusion import add_values


@dataclass
class Lists:
    """Value of each candidate in the list of each system.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_queries + 1,)
        Start and end of the entries of each query.
    values : ndarray of float64, shape (n_systems, n_entries)
        Values. NaN if the system did not find the entry.
    absent : ndarray of float64, shape (n_systems, n_queries), default=None
        Value that a system gives to the entries that it did not find. NaN if it gives none. If None, all are NaN.
    rows : ndarray of int64, shape (n_entries,), default=None
        Row of the document of each entry, for methods that break ties before the end.
    """

    indptr: np.ndarray
    values: np.ndarray
    absent: np.ndarray | None = None
    rows: np.ndarray | None = None

    def __post_init__(self):
        if self.absent is None:
            self.absent = np.full((len(self.values), len(self.indptr) - 1), np.nan)

    def of_systems(self, chosen):
        """Return the lists of some systems, given a mask of shape (n_systems,)."""
        if chosen.all():
            return self
        return Lists(self.indptr, self.values[chosen], self.absent[chosen], self.rows)

    @property
    def found(self):
        """Whether any system found each entry, shape (n_entries,)."""
        return ~np.isnan(self.values).all(axis=0)

    def filled(self):
        """Return the values, with `absent` instead of NaN, shape (n_systems, n_entries)."""
        absent = np.repeat(self.absent, np.diff(self.indptr), axis=1)
        return np.where(np.isnan(self.values), absent, self.values)

    def add(self, weights, *, plain=False):
        """Add the values of the systems.

        Parameters
        ----------
        weights : ndarray of float64, shape (n_systems,)
            Weights of the systems.
        plain : bool, default=False
            Whether to add the values without the weights.

        Returns
        -------
        Sums
        """
        totals, errors, counts, mass = np.zeros((4, self.values.shape[1]))
        factors = weights
        if plain:
            factors = np.ones_like(weights)
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
        Values that were added.
    weights : ndarray of float64, shape (n_systems,)
        Weights of the systems.
    totals : ndarray of float64, shape (n_entries,)
        Sum of the weighted values.
    counts : ndarray of float64, shape (n_entries,)
        Number of systems that found the entry.
    mass : ndarray of float64, shape (n_entries,)
        Sum of the weights of these systems.
    """

    lists: Lists
    weights: np.ndarray
    totals: np.ndarray
    counts: np.ndarray
    mass: np.ndarray

    def total_weight(self):
        """Return the sum of the weights of the systems that give a value; 1 if none does."""
        if np.isnan(self.lists.absent).any():
            return np.where(self.mass > 0, self.mass, 1.0)
        return self.weights.sum()
