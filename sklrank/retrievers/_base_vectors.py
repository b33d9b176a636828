"""Shared code of retrievers over dense vectors."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from sklrank._caching.keys import estimator_key, field_key
from sklrank._caching.ranking_keys import parameters_key
from sklrank._validation import HasMethods, StrOptions, check_fitted
from sklrank._vectors import is_prepared, prepare
from sklrank.data import Queries
from sklrank.data._ids import show
from sklrank.retrievers._assembly import merged
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._encoding import EncodesCorpus, encode_corpus, encode_queries
from sklrank.retrievers._learning import learns_from_documents

_METRICS = ("cosine", "dot", "euclidean")


@dataclass(frozen=True)
class QueryVectors:
    """Queries with their vectors, which need no encoder.

    Attributes
    ----------
    queries : Queries
    vectors : ndarray of shape (n_queries, n_features)
    """

    queries: Queries
    vectors: np.ndarray


class VectorRetriever(EncodesCorpus, CorpusRetriever):
    """Base of retrievers over one dense vector per document.

    A subclass has the parameters `encoder`, `query_encoder`, `metric` and `field`, calls `_set_vectors` in `fit`, and
    gets queries from `_query_vectors`. Scores are cosines, dot products, or minus the euclidean distances.
    """

    _refit_parameters = ("corpus", "encoder", "query_encoder", "metric", "field")

    _parameter_constraints: dict = {
        **CorpusRetriever._parameter_constraints,
        "encoder": [HasMethods(["fit", "transform"]), None],
        "query_encoder": [HasMethods(["fit", "transform"]), None],
        "metric": [StrOptions(set(_METRICS))],
    }

    def _set_vectors(self, X, y):
        """Set the corpus and its vectors: float32, finite, of unit length if `metric` is the cosine."""
        self._set_corpus(X, y)
        self.__dict__.pop("_vectors_key", None)
        made = []

        def output():
            if not made:
                self._encode_corpus()
                made.append(self.encoded_)
            return made[0].output

        def encoders():
            output()
            return replace(made[0], output=None)

        # The retriever holds the encoders and the prepared vectors. The encoder's output stays in the cache of the
        # corpus, which drops it if memory is short.
        key = ("encoders", field_key(self.field), estimator_key(self.encoder), estimator_key(self.query_encoder))
        if self._is_changed():
            encoded = self.corpus_.cached(key, self._encoders_of_part)
            self.vectors_ = self.corpus_.merged_parts(self._vectors_key, self._vectors_of_part, merged)
        else:
            encoded = self.corpus_.cached(key, encoders)
            self.vectors_ = self.corpus_.cached(self._vectors_key, lambda: self._make_vectors(output()), of=key)
        self.encoded_ = encoded
        if self.encoder is None:
            self.n_features_in_ = self.vectors_.shape[1]

    def _is_changed(self):
        """Return whether the corpus has parts whose vectors do not depend on those of others."""
        learns = map(learns_from_documents, (self.encoder, self.query_encoder))
        return not self.corpus_.layout.is_trivial and not any(learns)

    def _encoders_of_part(self):
        """Return the encoders, which have learned nothing, so that one part of the corpus is enough."""
        encoded = encode_corpus(self.corpus_.parts[0], self.encoder, field_key(self.field), self.query_encoder)
        return replace(encoded, output=None)

    def _vectors_of_part(self, part):
        """Return the vectors of the documents of a part of the corpus, prepared."""
        output = encode_corpus(part, self.encoder, field_key(self.field)).output
        return _prepare(output, self.metric, lambda rows: part.docids(rows).tolist(), "document")

    @cached_property
    def _vectors_key(self):
        """Everything besides the corpus on which the vectors depend."""
        return ("vectors", field_key(self.field), estimator_key(self.encoder), self.metric == "cosine")

    def _codes_key(self, dtype, truncate_dim=None):
        """Everything besides the corpus on which a searched form of the vectors depends."""
        return ("codes", dtype, self.metric, truncate_dim, *self._vectors_key)

    def __getstate__(self):
        state = super().__getstate__()
        state.pop("_vectors_key", None)  # it may hold the code of a function
        return state

    def ranking_key(self):
        """Return the key under which rankings may be kept, the parameters of the search.

        Returns
        -------
        key : hashable or None
        """
        return parameters_key(self)

    def _make_vectors(self, output):
        def make():
            return _prepare(output, self.metric, lambda rows: self.corpus_.docids(rows).tolist(), "document")

        if is_prepared(output, unit=self.metric == "cosine"):  # with a cache folder, it is on disk already
            return make()
        return self.corpus_.cached(("prepared", *self._vectors_key), make, persist=True)

    def _check_documents(self, X):
        if self.encoder is not None:
            return X
        return validate_data(self, X, reset=True, dtype=[np.float32, np.float64])

    def _query_vectors(self, X):
        """Return the queries and their vectors, which are prepared as those of the documents."""
        check_fitted(self, "vectors_")
        given = isinstance(X, QueryVectors)
        if self.encoder is None and not isinstance(X, (Queries, QueryVectors)) and not _is_text(X):
            X = validate_data(self, X, reset=False, dtype=[np.float32, np.float64])
        queries, vectors = (X.queries, X.vectors) if given else encode_queries(X, self.encoded_)
        _check_dense(vectors, "query")
        if vectors.shape[1] != self.vectors_.shape[1]:
            raise ValueError(
                f"queries have {vectors.shape[1]} dimensions, the documents {self.vectors_.shape[1]}: encode both with "
                "one encoder, or with two that were trained together"
            )
        return queries, _prepare(vectors, self.metric, lambda rows: queries.ids[rows].tolist(), "query")

    def __sklearn_is_fitted__(self):
        return hasattr(self, "vectors_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.encoder is None
        tags.input_tags.sparse = False
        return tags


def _is_text(X):
    return isinstance(X, str) or isinstance(X, (list, tuple)) and len(X) > 0 and isinstance(X[0], str)


def _check_dense(vectors, what):
    if sparse.issparse(vectors) or getattr(vectors, "ndim", 0) != 2:
        raise TypeError(
            f"expected one dense vector per {what}, got {type(vectors).__name__}; sparse weights are for "
            "SparseRetriever, token vectors for LateInteractionRetriever"
        )


def _prepare(vectors, metric, names, what):
    """Return `vectors` in the form that is searched; the same array if nothing has to change."""
    _check_dense(vectors, what)

    def refuse(rows, fault):
        return ValueError(f"{len(rows)} vectors hold {fault}, of {what} {show(names(rows))}")

    return prepare(vectors, refuse, unit=metric == "cosine")
