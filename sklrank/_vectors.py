"""Dense vectors as searches read them: single precision, finite, of unit length if a metric asks for it.

One rule of precision holds for all vectors. The length of each vector is computed in double precision and by itself, so
that it does not depend on the other vectors. A vector is divided by its length in double precision and rounded once. A
vector whose squared length differs from 1 by at most 1e-6 counts as a unit vector and is not changed. Therefore vectors
that were normalized in single precision stay as they are.
"""

import numpy as np

_BLOCK = 4096  # vectors that are in double precision at a time
_UNIT = 1e-6  # largest difference from 1 of the squared length of a vector that counts as a unit vector


def blocks(vectors, size=_BLOCK):
    """Yield slices of a few vectors that cover all vectors; there is at least one slice.

    Parameters
    ----------
    vectors : array of shape (n_vectors, n_features)
    size : int, default=4096
        Maximum number of vectors per slice.

    Yields
    ------
    slice
    """
    for start in range(0, max(len(vectors), 1), size):
        yield slice(start, min(start + size, len(vectors)))


def vector_lengths(vectors):
    """Return the euclidean length of each vector.

    Parameters
    ----------
    vectors : ndarray of shape (n_vectors, n_features)

    Returns
    -------
    ndarray of float64, shape (n_vectors,)
    """
    found = np.empty(len(vectors), dtype=np.float64)
    for block in blocks(vectors):
        found[block] = np.linalg.norm(vectors[block].astype(np.float64), axis=1)
    return found


def checked_lengths(vectors, refuse, *, longest=np.inf, given=None):
    """Return the length of each vector; raise an error if a vector is not finite or too long.

    Parameters
    ----------
    vectors : ndarray of shape (n_vectors, n_features)
    refuse : callable
        ``refuse(rows, fault)`` returns the error to raise for the vectors `rows`; `fault` names what they hold.
    longest : float, default=inf
        Length from which on vectors are refused.
    given : array of shape (n_vectors, n_features), default=None
        The vectors from which `vectors` were rounded.

    Returns
    -------
    ndarray of float64, shape (n_vectors,)
    """
    found = vector_lengths(vectors)
    bad = np.flatnonzero(~(found < longest))
    if len(bad):
        if given is None:
            given = vectors
        if np.isfinite(np.asarray(given[bad[0]])).all():
            raise refuse(bad, "numbers too large for single precision")
        raise refuse(bad, "NaN or infinity")
    return found


def prepare(given, refuse, *, unit, longest=np.inf):
    """Return vectors in the form that searches read; the same array if nothing has to change.

    Parameters
    ----------
    given : array of shape (n_vectors, n_features)
    refuse : callable
        As for `checked_lengths`.
    unit : bool
        Whether to scale vectors to unit length. Vectors of zeros are not changed.
    longest : float, default=inf
        As for `checked_lengths`.

    Returns
    -------
    ndarray of float32, shape (n_vectors, n_features), C-contiguous
    """
    with np.errstate(over="ignore"):  # checked_lengths raises an error
        vectors = np.ascontiguousarray(given, dtype=np.float32)
    found = checked_lengths(vectors, refuse, longest=longest, given=given)
    if not unit:
        return vectors
    other = np.flatnonzero(_is_to_scale(found))
    if len(other) == 0:
        return vectors
    if vectors is given or not vectors.flags.owndata:
        vectors = vectors.copy()
    for block in blocks(other):
        rows = other[block]
        vectors[rows] = vectors[rows].astype(np.float64) / found[rows, None]
    return vectors


def is_prepared(vectors, *, unit):
    """Tell whether `prepare` returns the same array.

    Parameters
    ----------
    vectors : object
    unit : bool
        As for `prepare`.

    Returns
    -------
    bool
    """
    if not isinstance(vectors, np.ndarray) or vectors.dtype != np.float32 or not vectors.flags.c_contiguous:
        return False
    return not unit or not any(_is_to_scale(vector_lengths(vectors[block])).any() for block in blocks(vectors))


def _is_to_scale(found):
    return (np.abs(found**2 - 1) > _UNIT) & (found > 0)


def read_only(array):
    """Return a read-only view, as memory maps are, because a kernel is compiled again for writable arrays.

    Parameters
    ----------
    array : ndarray

    Returns
    -------
    ndarray
    """
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return view


def pack(bits):
    """Return rows of bits as words of 64 bits, with zeros at the end of the last word.

    Parameters
    ----------
    bits : ndarray of bool, shape (n_vectors, n_features)

    Returns
    -------
    ndarray of uint64, shape (n_vectors, n_words)
    """
    packed = np.packbits(bits, axis=1)
    padded = np.zeros((len(bits), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view(np.uint64)
