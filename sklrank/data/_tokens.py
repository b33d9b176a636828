"""TokenVectors: one matrix per text, with one vector per token."""

import numpy as np

from sklrank._ragged import joined, lengths_to_indptr, spans
from sklrank.data._joining import JOINS, one_after_the_other


class TokenVectors:
    """Hold the vectors of the tokens of texts, one after the other in one array.

    Late interaction compares such matrices: each document or query has one row per token.

    Parameters
    ----------
    values : ndarray of shape (n_tokens, n_features)
        Vectors of all tokens, text by text.
    indptr : array of int, shape (n_texts + 1,)
        The tokens of text ``i`` are ``indptr[i]:indptr[i + 1]``.

    Attributes
    ----------
    values : ndarray of shape (n_tokens, n_features)
    indptr : ndarray of int64, shape (n_texts + 1,)
    shape : tuple
        ``(n_texts,)``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank.data import TokenVectors
    >>> vectors = TokenVectors.from_list([np.eye(2), np.ones((1, 2)), np.empty((0, 2))])
    >>> vectors, vectors[1]
    (<TokenVectors: 3 texts, 3 tokens, 2 features>, array([[1., 1.]]))
    """

    def __init__(self, values, indptr):
        indptr = np.ascontiguousarray(indptr, dtype=np.int64)
        if getattr(values, "ndim", 0) != 2:
            raise ValueError(f"values have shape (n_tokens, n_features); got {getattr(values, 'shape', values)!r}")
        if indptr.ndim != 1 or not len(indptr) or indptr[0] != 0 or indptr[-1] != len(values):
            raise ValueError(f"indptr begins with 0 and ends with the number of tokens, {len(values)}; got {indptr}")
        if (np.diff(indptr) < 0).any():
            raise ValueError("indptr must not decrease")
        self.values = values
        self.indptr = indptr

    def check_content(self):
        """Raise ValueError if the arrays of a file do not fit each other."""
        TokenVectors(self.values, self.indptr)

    @classmethod
    def from_list(cls, matrices):
        """Join matrices, one per text.

        Parameters
        ----------
        matrices : sequence of ndarray of shape (n_tokens, n_features)
            At least one matrix. A text without tokens has the shape (0, n_features).

        Returns
        -------
        TokenVectors
        """
        matrices = [np.asarray(matrix) for matrix in matrices]
        shapes = {matrix.shape[1:] for matrix in matrices}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise ValueError(f"each text is a matrix with as many columns as the others; got {sorted(shapes)}")
        return cls(np.concatenate(matrices), lengths_to_indptr([len(matrix) for matrix in matrices]))

    @classmethod
    def from_padded(cls, values, mask):
        """Take the tokens of a mask from one array, in which texts are padded to a common length.

        Parameters
        ----------
        values : array of shape (n_texts, longest, n_features)
            Padded vectors, such as the last hidden state of a model.
        mask : array of bool, or of 0 and 1, shape (n_texts, longest)
            Whether a token exists, such as the attention mask. The tokens need not be adjacent.

        Returns
        -------
        TokenVectors

        Examples
        --------
        >>> import numpy as np
        >>> from sklrank.data import TokenVectors
        >>> values = np.arange(12.0).reshape(2, 3, 2)
        >>> TokenVectors.from_padded(values, [[1, 1, 0], [1, 0, 0]]).tolist()
        [array([[0., 1.],
               [2., 3.]]), array([[6., 7.]])]
        """
        values, mask = np.asarray(values), np.asarray(mask)
        if values.ndim != 3 or mask.shape != values.shape[:2]:
            raise ValueError(
                "expected values of shape (n_texts, longest, n_features) and a mask of shape (n_texts, longest), got "
                f"{values.shape} and {mask.shape}"
            )
        exists = mask.astype(bool)
        if (exists != mask).any():
            raise ValueError("a mask contains 0 and 1 only: 1 for each token that exists, and 0 for padding")
        return cls(values[exists], lengths_to_indptr(exists.sum(axis=1)))

    @property
    def shape(self):
        """``(n_texts,)``."""
        return (len(self),)

    @property
    def n_features(self):
        """Length of the vectors."""
        return self.values.shape[1]

    def __len__(self):
        return len(self.indptr) - 1

    def __iter__(self):
        for start, stop in zip(self.indptr[:-1].tolist(), self.indptr[1:].tolist()):
            yield self.values[start:stop]

    def __getitem__(self, key):
        if isinstance(key, (int, np.integer)):
            if not -len(self) <= key < len(self):
                raise IndexError(f"text {key} of {len(self)}")
            key = key % len(self)
            return self.values[self.indptr[key] : self.indptr[key + 1]]
        if isinstance(key, slice) and key.step in (None, 1):
            start, stop, _ = key.indices(len(self))
            indptr = self.indptr[start : max(start, stop) + 1]
            return TokenVectors(self.values[indptr[0] : indptr[-1]], indptr - indptr[0])
        texts = np.arange(len(self), dtype=np.int64)[key]
        tokens, indptr = spans(self.indptr[:-1][texts], np.diff(self.indptr)[texts])
        return TokenVectors(self.values[tokens], indptr)

    def tolist(self):
        """Return one matrix per text.

        Returns
        -------
        list of ndarray
        """
        return list(self)

    def __array_function__(self, function, types, args, kwargs):
        if function not in JOINS:
            return NotImplemented
        parts = one_after_the_other(self, function, *args, **kwargs)
        return TokenVectors(np.concatenate([part.values for part in parts]), joined([part.indptr for part in parts]))

    def __repr__(self):
        return f"<TokenVectors: {len(self)} texts, {len(self.values)} tokens, {self.n_features} features>"
