"""Token vectors for late interaction: check, compress, and score them on threads."""

from dataclasses import dataclass

import numpy as np

from sklrank._kernels._maxsim import maxsim, maxsim_of_bits, maxsim_of_bytes, maxsim_of_halves, panels
from sklrank._threads import over_ranges
from sklrank._vectors import blocks, checked_lengths, pack, prepare, read_only

_LONGEST = 1e18  # length of the longest vector: products of two vectors, and sums of products, do not overflow
_PER_THREAD = 64  # minimum number of documents per thread
_NO_CALIBRATION = np.empty(0, dtype=np.float32)


def check_tokens(values, indptr, *, unit, name):
    """Return token vectors in single precision, finite, and of unit length if `unit` is True.

    Vectors of length 0 are not changed. If nothing has to change, nothing is copied.

    Parameters
    ----------
    values : array of shape (n_tokens, n_features)
    indptr : ndarray of int64, shape (n_texts + 1,)
        The tokens of text ``i`` are ``values[indptr[i]:indptr[i + 1]]``.
    unit : bool
        Whether to scale vectors to unit length.
    name : callable
        Takes the number of a text, and returns its name for an error.

    Returns
    -------
    ndarray of float32, shape (n_tokens, n_features), C-contiguous

    Raises
    ------
    ValueError
        If a vector holds NaN or infinity.
    """
    return prepare(values, _refuse(indptr, name), unit=unit, longest=_longest(unit))


def token_lengths(values, indptr, *, unit, name):
    """Return the lengths of token vectors.

    Parameters
    ----------
    values : ndarray of shape (n_tokens, n_features)
    indptr, unit, name
        As in `check_tokens`.

    Returns
    -------
    ndarray of float64, shape (n_tokens,)

    Raises
    ------
    ValueError
        If a vector holds NaN or infinity.
    """
    return checked_lengths(values, _refuse(indptr, name), longest=_longest(unit))


def _longest(unit):
    if unit:  # vectors are scaled, so that any finite length will do
        return np.inf
    return _LONGEST


def _refuse(indptr, name):
    """Return a function that makes the error for tokens that cannot be compared; it names the first text."""

    def refuse(tokens, fault):
        return ValueError(f"a token vector of {name(np.searchsorted(indptr, tokens[0], 'right') - 1)} holds {fault}")

    return refuse


def of_like_length(lengths, n_tokens):
    """Group texts by length, so that each text can be padded to the longest text of its group.

    Parameters
    ----------
    lengths : ndarray of int64, shape (n_texts,)
        Number of tokens of each text, at least one.
    n_tokens : int
        Maximum number of tokens per group, padding included. A text that is longer is a group by itself.

    Yields
    ------
    texts : ndarray of int64
        Positions in `lengths`.
    longest : int
    """
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        most = max(n_tokens // int(lengths[order[start]]), 1)
        ahead = lengths[order[start : start + most]]
        size = max(int(np.searchsorted(ahead * np.arange(1, len(ahead) + 1), n_tokens, side="right")), 1)
        yield order[start : start + size], int(ahead[size - 1])
        start += size


@dataclass(frozen=True)
class TokenIndex:
    """Token vectors of documents, in the type in which they are scored.

    Attributes
    ----------
    form : {"float32", "float16", "int8", "binary"}
    codes : ndarray of shape (n_tokens, n_features) or, for bits, (n_tokens, n_words)
        float32; float16 viewed as uint16; int8; or uint64, with a bit for each feature: whether it is above its mean.
    calibration : ndarray of float32, shape (n_tokens,), (n_features,) or (0,)
        Factor of the int8 codes of each token; or the mean of each feature, for bits; else empty.
    indptr : ndarray of int64, shape (n_documents + 1,)
    n_features : int
    """

    form: str
    codes: np.ndarray
    calibration: np.ndarray
    indptr: np.ndarray
    n_features: int

    def __post_init__(self):
        for name in ("codes", "calibration", "indptr"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @classmethod
    def of(cls, values, indptr, form="float32"):
        """Compress token vectors.

        Parameters
        ----------
        values : ndarray of float32, shape (n_tokens, n_features), C-contiguous
            From `check_tokens`.
        indptr : ndarray of int64, shape (n_documents + 1,)
        form : {"float32", "float16", "int8", "binary"}, default="float32"

        Returns
        -------
        TokenIndex
        """
        codes, calibration = values, _NO_CALIBRATION
        if form == "float16":
            with np.errstate(over="ignore"):
                codes = values.astype(np.float16)
            if not np.isfinite(codes).all():
                raise ValueError("token vectors hold numbers beyond 65504, the largest float16: use dtype='float32'")
            codes = codes.view(np.uint16)
        elif form == "int8":
            calibration = np.empty(len(values), dtype=np.float32)
            codes = np.empty(values.shape, dtype=np.int8)
            for block in blocks(values):
                steps = np.abs(values[block]).max(axis=1, initial=0) / np.float32(127)
                calibration[block] = steps
                np.rint(values[block] / np.where(steps > 0, steps, 1)[:, None], out=codes[block], casting="unsafe")
        elif form == "binary":
            total = sum((values[block].sum(axis=0, dtype=np.float64) for block in blocks(values)), np.zeros(1))
            calibration = np.broadcast_to(total / max(len(values), 1), values.shape[1:]).astype(np.float32)
            codes = np.concatenate([pack(values[block] > calibration) for block in blocks(values)])
        return cls(form, codes, calibration, indptr, values.shape[1])

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.__post_init__()

    def __len__(self):
        return len(self.indptr) - 1

    @property
    def nbytes(self):
        """Number of bytes of all token vectors."""
        return self.codes.nbytes + self.calibration.nbytes

    def score_all(self, queries, q_indptr, rows, weights=None, n_jobs=None):
        """Score documents for each query.

        Parameters
        ----------
        queries : ndarray of float32, shape (n_query_tokens, n_features), C-contiguous
            From `check_tokens`.
        q_indptr : ndarray of int64, shape (n_queries + 1,)
        rows : ndarray of int64, shape (n_rows,)
            The documents. Each has at least one token.
        weights : ndarray of float32, shape (n_query_tokens,), default=None
            Weight of the maximum of each query token. If None, all weights are 1.
        n_jobs : int, default=None
            Number of threads.

        Returns
        -------
        ndarray of float32, shape (n_rows, n_queries)
        """
        scores = np.empty((len(rows), len(q_indptr) - 1), dtype=np.float32)
        if weights is None:
            weights = np.ones(len(queries), dtype=np.float32)
        queries = self._packed(queries)

        def work(start, stop):
            self._score(rows[start:stop], queries, q_indptr, weights, scores[start:stop])

        over_ranges(work, len(rows), n_jobs, per_thread=_PER_THREAD)
        return scores

    def score_pairs(self, queries, q_indptr, indptr, rows, weights=None, n_jobs=None):
        """Score the candidates of each query.

        Parameters
        ----------
        queries, q_indptr, weights, n_jobs
            As in `score_all`.
        indptr : ndarray of int64, shape (n_queries + 1,)
            The candidates of query ``i`` are ``rows[indptr[i]:indptr[i + 1]]``.
        rows : ndarray of int64, shape (n_pairs,)
            The documents. Each has at least one token.

        Returns
        -------
        ndarray of float32, shape (n_pairs,)
        """
        scores = np.empty((len(rows), 1), dtype=np.float32)
        if weights is None:
            weights = np.ones(len(queries), dtype=np.float32)

        def work(start, stop):
            first, last = np.searchsorted(indptr, [start, stop - 1], side="right") - 1
            for q in range(first, last + 1):
                pairs = slice(max(start, indptr[q]), min(stop, indptr[q + 1]))
                tokens = slice(q_indptr[q], q_indptr[q + 1])
                span = np.array([0, tokens.stop - tokens.start])
                self._score(rows[pairs], self._packed(queries[tokens]), span, weights[tokens], scores[pairs])

        if len(rows):
            over_ranges(work, len(rows), n_jobs, per_thread=_PER_THREAD)
        return scores[:, 0]

    def _packed(self, queries):
        """Return the tokens of queries in the form that the kernel reads."""
        if self.form == "binary":
            return np.ascontiguousarray(pack(queries > self.calibration).T)
        return panels(queries)

    def _score(self, rows, queries, q_indptr, weights, scores):
        """Write the scores of `rows` to `scores`, of shape (n_rows, n_queries)."""
        documents = self.indptr, read_only(rows)
        queries = tuple(map(read_only, (queries, q_indptr, weights)))
        if self.form == "float32":
            maxsim(self.codes, *documents, *queries, scores)
        elif self.form == "float16":
            maxsim_of_halves(self.codes, *documents, *queries, scores)
        elif self.form == "int8":
            maxsim_of_bytes(self.codes, self.calibration, *documents, *queries, scores)
        else:
            maxsim_of_bits(self.codes, *documents, *queries, self.n_features, scores)
