"""One vector per text from token vectors (MUVERA)."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state

from sklrank._fitted import FittedMixin
from sklrank._kernels._muvera import fill_cells
from sklrank._maxsim import check_tokens
from sklrank._threads import over_ranges
from sklrank._validation import Interval, StrOptions, _fit_context, check_fitted
from sklrank.data import TokenVectors


class MuveraEncoder(FittedMixin, TransformerMixin, BaseEstimator):
    r"""Encode the token vectors of each text as one vector, whose inner products approximate late interaction.

    Random hyperplanes divide the space into :math:`2^b` cells. Token vectors are projected at random to few dimensions.
    In each cell, the tokens of a query are summed, and the tokens of a document are averaged. A cell without a token of
    the document gets the token with the nearest cell. The vector of a text joins all cells of several independent
    repetitions. The inner product of the vectors of a query and a document then approximates

    .. math:: \sum_{q} \max_{d} \langle q, d \rangle

    so that any search over dense vectors, such as `DenseRetriever` or `AnnRetriever`, finds candidates that
    `LateInteractionRetriever` scores exactly.

    Parameters
    ----------
    n_bits : int, default=4
        Number of hyperplanes per repetition. They make ``2 ** n_bits`` cells.
    n_repetitions : int, default=20
        Number of independent divisions of the space.
    n_components : int, default=8
        Number of dimensions to which tokens are projected, by a matrix of random signs. If None, tokens are not
        projected.
    role : {"document", "query"}, default="document"
        Role of the texts.
    random_state : int or RandomState, default=0
        Seed of the random numbers. They give the hyperplanes and projections. The default is a number because encoders
        of documents and of queries must have the same ones.
    n_jobs : int, default=None
        Number of threads. The result does not depend on it.

    Attributes
    ----------
    n_features_in_ : int
        Length of the token vectors.
    planes_ : ndarray of shape (n_features, n_repetitions * n_bits)
        Normals of the hyperplanes.
    projections_ : ndarray of shape (n_features, n_repetitions * n_components)
        Projections, scaled so that inner products need no factor.

    See Also
    --------
    sklrank.retrievers.LateInteractionRetriever : Use it as a first stage.

    Notes
    -----
    The vectors have ``n_repetitions * 2 ** n_bits * n_components`` features: 2 560 by default, which take 10 kB. A
    greater value of any of the three makes the approximation more exact. The paper divides the sum by the number of
    query tokens, and this class does not; this changes no ranking. If several tokens are equally near to an empty cell,
    the paper takes any of them, and this class takes the first.

    Parameters that need a new `fit`: `n_bits`, `n_repetitions`, `n_components` and `random_state`. All others take
    effect at once.

    References
    ----------
    L. Dhulipala, M. Hadian, R. Jayaram, J. Lee and V. Mirrokni, MUVERA: Multi-Vector Retrieval via Fixed Dimensional
    Encodings, NeurIPS 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank.data import TokenVectors
    >>> from sklrank.encoders import MuveraEncoder
    >>> documents = TokenVectors.from_list([np.eye(4), -np.eye(4)[:2]])
    >>> MuveraEncoder(n_bits=2, n_repetitions=5, n_components=3).fit_transform(documents).shape
    (2, 60)
    """

    _refit_parameters = ("n_bits", "n_repetitions", "n_components", "random_state")

    _parameter_constraints: dict = {
        "n_bits": [Interval(Integral, 0, 16, closed="both")],
        "n_repetitions": [Interval(Integral, 1, None, closed="left")],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "role": [StrOptions({"document", "query"})],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(self, n_bits=4, *, n_repetitions=20, n_components=8, role="document", random_state=0, n_jobs=None):
        self.n_bits = n_bits
        self.n_repetitions = n_repetitions
        self.n_components = n_components
        self.role = role
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Draw hyperplanes and projections.

        Parameters
        ----------
        X : TokenVectors or list of matrices of shape (n_tokens, n_features)
            Token vectors of texts. Only their number of features matters.
        y : Ignored
            Not used, present by convention.

        Returns
        -------
        self
        """
        d = self.n_features_in_ = as_token_vectors(X).n_features
        random = check_random_state(self.random_state)
        self.planes_ = random.standard_normal((d, self.n_repetitions * self.n_bits)).astype(np.float32)
        if self.n_components is None:
            projections = np.tile(np.eye(d), self.n_repetitions)
        else:
            signs = random.randint(2, size=(d, self.n_repetitions * self.n_components)) * 2 - 1
            projections = signs / np.sqrt(self.n_components)
        self.projections_ = (projections / np.sqrt(self.n_repetitions)).astype(np.float32)
        return self

    def transform(self, X):
        """Encode texts.

        Parameters
        ----------
        X : TokenVectors or list of matrices of shape (n_tokens, n_features)
            Token vectors of the texts.

        Returns
        -------
        vectors : ndarray of float32, shape (n_texts, n_repetitions * 2 ** n_bits * n_components)
            Vectors of the texts; 0 for a text without tokens.
        """
        return self.encode(X, self.role)

    def encode(self, X, role):
        """Encode texts as documents or as queries, whichever `role` the encoder has.

        Parameters
        ----------
        X : TokenVectors or list of matrices of shape (n_tokens, n_features)
            Token vectors of the texts.
        role : {"document", "query"}
            Role of the texts.

        Returns
        -------
        vectors : ndarray of float32, shape (n_texts, n_repetitions * 2 ** n_bits * n_components)
            Vectors of the texts; 0 for a text without tokens.
        """
        check_fitted(self, "planes_")
        tokens = as_token_vectors(X)
        if tokens.n_features != self.n_features_in_:
            raise ValueError(
                f"X has {tokens.n_features} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input"
            )
        values = check_tokens(tokens.values, tokens.indptr, unit=False, name="text {}".format)
        n_sides = self.planes_.shape[1]
        both = np.concatenate([self.planes_, self.projections_], axis=1)
        indptr = tokens.indptr.tolist()
        n_cells, n_components = 1 << self.n_bits, self.projections_.shape[1] // self.n_repetitions
        out = np.zeros((len(tokens), self.n_repetitions, n_cells, n_components), dtype=np.float32)

        def work(start, stop):
            for i in range(start, stop):
                if indptr[i] < indptr[i + 1]:
                    # One product per text: in a product of several, the rounding would depend on the other texts.
                    products = values[indptr[i] : indptr[i + 1]] @ both
                    fill_cells(products[:, :n_sides], products[:, n_sides:], self.n_bits, role == "query", out[i])

        over_ranges(work, len(tokens), self.n_jobs)
        return out.reshape(len(tokens), -1)

    def _learns_from_documents(self):
        # The planes depend on the number of features alone, unless each `fit` draws other ones.
        return not isinstance(self.random_state, Integral)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "planes_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def as_token_vectors(X):
    """Return `X` as TokenVectors, made from one matrix per text if it is not TokenVectors already.

    Parameters
    ----------
    X : TokenVectors, list of matrices, or array of shape (n_texts, n_tokens, n_features)

    Returns
    -------
    TokenVectors
    """
    if isinstance(X, TokenVectors):
        return X
    matrices, found = [], type(X).__name__
    if isinstance(X, (list, tuple, np.ndarray)) and len(X):
        matrices, found = list(X), f"{found} of {type(X[0]).__name__}"
    if not matrices or any(getattr(matrix, "ndim", 0) != 2 for matrix in matrices):
        raise TypeError(
            f"expected TokenVectors, or a list with one matrix of shape (n_tokens, n_features) per text, got {found}"
        )
    return TokenVectors.from_list(matrices)
