"""Ragged arrays: lists of different lengths, one after the other in one array.

List ``i`` has the entries ``indptr[i]:indptr[i + 1]``, like a row of a CSR matrix. Every `indptr` in this module is an
array of int64 of shape ``(n_lists + 1,)`` that begins with 0 and does not decrease.
"""

import numpy as np


def lengths_to_indptr(lengths):
    """Return the indptr of lists of the given lengths.

    Parameters
    ----------
    lengths : array-like of int, shape (n_lists,)
        Number of entries of each list.

    Returns
    -------
    ndarray of int64, shape (n_lists + 1,)
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    indptr = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=indptr[1:])
    return indptr


def owners(indptr):
    """Return the list that each entry belongs to.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_lists + 1,)

    Returns
    -------
    ndarray of int64, shape (n_entries,)
    """
    return np.repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr))


def places(indptr):
    """Return the position of each entry in its list, from 0.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_lists + 1,)

    Returns
    -------
    ndarray of int64, shape (n_entries,)
    """
    return np.arange(indptr[-1], dtype=np.int64) - np.repeat(indptr[:-1], np.diff(indptr))


def intervals(indptr):
    """Iterate over the start and the stop of each list.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_lists + 1,)

    Returns
    -------
    iterator of (int, int)
    """
    edges = indptr.tolist()
    return zip(edges[:-1], edges[1:])


def spans(starts, lengths):
    """Return the entries of spans, one span after the other.

    Parameters
    ----------
    starts, lengths : ndarray of int64, shape (n_spans,)
        First entry and number of entries of each span.

    Returns
    -------
    entries : ndarray of int64, shape (n_chosen,)
        Positions of the entries.
    indptr : ndarray of int64, shape (n_spans + 1,)
        Bounds of the spans in `entries`.
    """
    indptr = lengths_to_indptr(lengths)
    return np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1], dtype=np.int64), indptr


def check_arrays(arrays):
    """Raise ValueError if arrays that come from a file are not one-dimensional arrays of their types.

    Parameters
    ----------
    arrays : dict of str to list of ndarray
        Arrays by the name of their type, as ``dtype.str``.
    """
    for name, values in arrays.items():
        for array in values:
            found = getattr(array, "dtype", None)
            if found is None or found.str != name or array.ndim != 1 or not array.flags.c_contiguous:
                raise ValueError(f"expected a one-dimensional array of the type {name}, got {found}")


def check_indptr(indptr, n_lists, n_entries):
    """Raise a ValueError if `indptr` is not valid for the lists and entries, which kernels do not check.

    Parameters
    ----------
    indptr : ndarray of int
    n_lists, n_entries : int
    """
    fits = indptr.shape == (n_lists + 1,) and indptr.item(0) == 0 and indptr.item(n_lists) == n_entries
    if not fits or (n_lists > 1 and (indptr[1:] < indptr[:-1]).any()):
        raise ValueError(
            f"expected an indptr of {n_lists + 1} ascending numbers from 0 to the number of entries, {n_entries}, got "
            f"{indptr!r:.200}"
        )


def first_entries(indptr, n):
    """Return the first `n` entries of each list, or all entries if it is shorter.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_lists + 1,)
    n : int, or array of int of shape (n_lists,)

    Returns
    -------
    entries, indptr
        As from `spans`.
    """
    return spans(indptr[:-1], np.minimum(np.diff(indptr), n))


def kept_entries(indptr, kept):
    """Return the entries that a mask keeps.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_lists + 1,)
    kept : ndarray of bool, shape (n_entries,)

    Returns
    -------
    entries, indptr
        As from `spans`.
    """
    return np.flatnonzero(kept), lengths_to_indptr(kept)[indptr]


def sums(indptr, values):
    """Return the sum of the values of each list.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_lists + 1,)
    values : ndarray of int or bool, shape (n_entries,)
        Values of the entries. They must be whole numbers, because the sums are differences of cumulative sums, in which
        floats would be rounded.

    Returns
    -------
    ndarray of int64, shape (n_lists,)
    """
    return np.diff(lengths_to_indptr(values)[indptr])


def joined(indptrs):
    """Return the indptr of several ragged arrays that are concatenated.

    Parameters
    ----------
    indptrs : sequence of ndarray of int64
        The indptr of each array; at least one.

    Returns
    -------
    ndarray of int64
    """
    return lengths_to_indptr(np.concatenate([np.diff(indptr) for indptr in indptrs]))
