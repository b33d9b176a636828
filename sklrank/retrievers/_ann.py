"""Approximate search over dense vectors."""

import math
from copy import copy
from functools import partial
from numbers import Integral, Real

import joblib
from sklearn.utils import check_random_state

from sklrank._validation import Interval, StrOptions, _fit_context, check_fitted, check_k
from sklrank.data import Run
from sklrank.retrievers._ann_faiss import FaissIndex
from sklrank.retrievers._ann_search import LOOKS, AnnSearch
from sklrank.retrievers._ann_usearch import UsearchIndex
from sklrank.retrievers._base_vectors import VectorRetriever
from sklrank.retrievers._quantization import FloatCodes
from sklrank.retrievers._recall import lowest, mean_recall

_BACKENDS = {"usearch": UsearchIndex, "faiss": FaissIndex}
_INDEX_METRICS = {"cosine": "dot", "dot": "dot", "euclidean": "euclidean"}  # the cosine is taken of unit vectors
_GENEROUS = 8  # candidates for each requested document, while the number of lists is tuned


class AnnRetriever(VectorRetriever):
    """Rank documents by the similarity of vectors, with an approximate index.

    An index of the vectors, of usearch or faiss, proposes candidates. They are ranked by their exact scores, as
    `DenseRetriever` ranks them. A document may be missed, but the documents that are found are in the right order.

    Parameters
    ----------
    corpus : Corpus or input of Corpus, default=None
        The documents. If None, `fit` takes its `X` as the documents.
    backend : {"usearch", "faiss"}, default="usearch"
        Library of the index. usearch (extra ``ann``) builds a graph of neighbours, HNSW. faiss (extra ``faiss``) builds
        such a graph, or the index that `factory` describes.
    factory : str, default=None
        Index that faiss builds, in its own notation, such as ``"IVF1024,PQ48x8"``. If None, faiss builds a graph with
        `connectivity` over vectors in `dtype`, as usearch does.
    encoder : transformer, default=None
        Encoder for documents and queries. It turns each text into one dense vector, and is cloned and fitted on the
        corpus. If None, documents and queries are vectors.
    query_encoder : transformer, default=None
        Encoder for queries, if different from `encoder`. Without `encoder`, it must be one that needs no fitting, or a
        `FrozenEstimator`.
    metric : {"cosine", "dot", "euclidean"}, default="cosine"
        Similarity of two vectors. The score is the cosine, the dot product, or minus the euclidean distance.
    dtype : {"float32", "bfloat16", "float16", "int8"}, default="float32"
        Type in which vectors are stored. Coarser types make the graph faster and smaller.
        Candidates are scored in float32 with any of them.
    connectivity : int, default=16
        Number of neighbours of a vector in the graph; twice as many on the lowest level (M in the paper).
    expansion_add : int, default=128
        Number of candidates kept for each vector while the graph is built (efConstruction).
    expansion_search : int, default=64
        Number of candidates that a search keeps (ef), at least `k`. With a coarser `dtype` or codes in the `factory`,
        all of them are scored exactly. It may be set after `fit`.
    nprobe : int, default=16
        Number of inverted lists that a search reads, if faiss builds lists. It may be set after `fit`.
    k : int, default=100
        Number of documents to return for each query.
    field : str or list of str, default=None
        Columns of the corpus to read. They hold the texts or, without an encoder, the vectors. If None, title and text
        are joined by a space; without an encoder, the matrix of the corpus is read.
    filter : mask, list of ids, or one of these per query, default=None
        Documents that may be returned.
    filter_field : str, default=None
        Column of the queries that holds a filter for each query.
    random_state : int, RandomState instance or None, default=None
        Seed of the random numbers. If it is given, the index is built on one thread, and is the same each time; see
        Notes.
    n_jobs : int, default=None
        Number of threads. They share the queries and, without a `random_state`, build the index.

    Attributes
    ----------
    corpus_ : Corpus
        The documents.
    index_ : UsearchIndex or FaissIndex
        The index, shared by all retrievers over this corpus that build the same index.
    vectors_ : ndarray of float32, shape (n_documents, n_features)
        The vectors that are compared.
    n_features_in_ : int
        Number of features, if documents are a matrix.

    See Also
    --------
    DenseRetriever : Exact; in blocks, and fast enough for a few hundred thousand documents.

    Notes
    -----
    If a filter admits few documents, all of them are scored; likewise if the corpus is small or `k` is large. Otherwise
    the index is asked for more candidates, in proportion to the share of documents that the filter removes. If a query
    finds fewer than `k` documents although there are more, for example because no path of the graph leads to them, it
    is answered exactly. A query never finds fewer documents than requested and admitted.

    Candidates are scored from the float32 vectors in double precision, to the last bit as in `DenseRetriever`. A graph
    of usearch in float32 returns distances that are right to single precision. With such a graph, only documents that
    rounding may have put in the wrong order are scored again.

    The graph depends on the order in which vectors are added. Without a `random_state`, this is the order of the corpus
    and, with several threads, the order in which they arrive; the index is then reproducible with ``n_jobs=None`` only.
    With a `random_state`, the order is drawn from the seed, and one thread builds the index. Faiss uses the seed for
    its clusters, too. The search itself is reproducible with any number of threads.

    The index is cached on the corpus, under the parameters that build it. A change of `expansion_search`, `nprobe` or
    `k`, also in a grid search, does not build it again. A corpus with a `cache_folder` keeps the index there, and an
    index of usearch is searched in the memory-mapped file. The same holds for a retriever that `sklrank.save` has
    saved.

    Parameters that need a new `fit`: `corpus`, `encoder`, `query_encoder`, `metric`, `field`, `backend`, `factory`,
    `dtype`, `connectivity`, `expansion_add` and `random_state`. All others take effect at once.

    References
    ----------
    Y. Malkov and D. Yashunin, Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable
    Small World Graphs, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank.retrievers import AnnRetriever
    >>> vectors = np.random.default_rng(0).normal(size=(2000, 8))
    >>> retriever = AnnRetriever(k=10, expansion_search=20, random_state=0).fit(vectors)
    >>> retriever.predict(vectors[[7, 42]])[0].docids[0][:1]
    ['7']
    >>> retriever.recall_against_exact(vectors[:100]) > 0.8
    True
    """

    _stage = "ann"

    _refit_parameters = (
        *VectorRetriever._refit_parameters,
        "backend",
        "factory",
        "dtype",
        "connectivity",
        "expansion_add",
        "random_state",
    )

    _parameter_constraints: dict = {
        **VectorRetriever._parameter_constraints,
        "backend": [StrOptions(set(_BACKENDS))],
        "factory": [str, None],
        "dtype": [StrOptions({"float32", "bfloat16", "float16", "int8"})],
        "connectivity": [Interval(Integral, 2, None, closed="left")],
        "expansion_add": [Interval(Integral, 1, None, closed="left")],
        "expansion_search": [Interval(Integral, 1, None, closed="left")],
        "nprobe": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        corpus=None,
        *,
        backend="usearch",
        factory=None,
        encoder=None,
        query_encoder=None,
        metric="cosine",
        dtype="float32",
        connectivity=16,
        expansion_add=128,
        expansion_search=64,
        nprobe=16,
        k=100,
        field=None,
        filter=None,
        filter_field=None,
        random_state=None,
        n_jobs=None,
    ):
        self.corpus = corpus
        self.backend = backend
        self.factory = factory
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.metric = metric
        self.dtype = dtype
        self.connectivity = connectivity
        self.expansion_add = expansion_add
        self.expansion_search = expansion_search
        self.nprobe = nprobe
        self.k = k
        self.field = field
        self.filter = filter
        self.filter_field = filter_field
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Index the corpus; the queries are not used.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries. Without a `corpus`, the documents.
        y : Qrels or list of dict, default=None
            Relevance judgments. They are not used.

        Returns
        -------
        self
        """
        options = self._index_options(X, y)
        kind = _BACKENDS[self.backend]
        key = ("ann", self.backend, *options.values(), self._vectors_key)
        self.index_ = self.corpus_.cached(
            key,
            lambda: kind.build(self.vectors_, n_jobs=self.n_jobs, **options),
            of=self._vectors_key,
            persist=True,
        )
        return self

    def _index_options(self, X, y):
        """Set the corpus and its vectors, and return the other options on which the index depends."""
        if self.factory is not None and self.backend != "faiss":
            raise ValueError(f"factory={self.factory!r} needs backend='faiss', got backend={self.backend!r}")
        self._set_vectors(X, y)
        seed = None
        if self.random_state is not None:
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return {
            "metric": _INDEX_METRICS[self.metric],
            "factory": self.factory,
            "dtype": self.dtype,
            "connectivity": self.connectivity,
            "expansion_add": self.expansion_add,
            "seed": seed,
        }

    # --- search
    def _search(self, X, k, filter=None):
        check_fitted(self, "index_")
        queries, vectors = self._query_vectors(X)
        search = self._searcher()
        if filter is None:
            filter = self.filter_of(queries)
        ranked = search.rank(vectors, k, filter, self.corpus_, search.nearest)
        return Run.from_ragged(*ranked, queries=queries, corpus=self.corpus_, name=self._stage, k=k)

    def _searcher(self):
        """Return the search over the index, with the present parameters."""
        return AnnSearch(
            self.index_, self.vectors_, self.metric, self._codes, self.expansion_search, self.nprobe, self.n_jobs
        )

    def _codes(self):
        """Return the codes that exact search reads, as in DenseRetriever."""
        key = self._codes_key("float32")
        return self.corpus_.cached(key, lambda: FloatCodes(self.vectors_, self.metric), of=self._vectors_key)

    # --- recall
    def recall_against_exact(self, X, k=None, filter=None):
        """Return the share of the truly nearest documents that is found, as a mean over queries.

        No judgments are needed. A document counts as found if its score is at least the last score of exact search,
        even if exact search returns another document of equal score. A query that may find nothing does not count.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries.
        k : int, default=None
            Number of documents to return for each query. If None, it is the parameter `k`.
        filter : mask, list of ids, or one of these per query, default=None
            Documents that may be returned.

        Returns
        -------
        float
            From 0 to 1; NaN if no query counts.
        """
        check_fitted(self, "index_")
        if k is None:
            k = self.k
        check_k(k)
        queries, vectors = self._query_vectors(X)
        if filter is None:
            filter = self.filter_of(queries)
        return self._recall(vectors, k, filter)

    def _recall(self, vectors, k, filter):
        # A grid search measures the same queries with each setting.
        key = ("nearest", self._vectors_key, self.metric, k, joblib.hash((vectors, filter)))
        floors, sizes = self.corpus_.cached(key, lambda: self._floors(vectors, k, filter))
        search = self._searcher()
        find = partial(search.nearest, exactly=True)
        indptr, _, scores = search.rank(vectors, k, filter, self.corpus_, find)
        return mean_recall(indptr, scores, floors, sizes)

    def _floors(self, vectors, k, filter):
        """Return the score of the last of the truly nearest documents of each query, and their number."""
        search = self._searcher()
        indptr, _, scores = search.rank(vectors, k, filter, self.corpus_, search.scan)
        return lowest(indptr, scores)

    def tune(self, X, target=0.95, *, k=None, filter=None):
        """Set `nprobe` and `expansion_search` to the lowest values that reach a recall.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries similar to future ones. No judgments are needed.
        target : float, default=0.95
            Mean recall to reach, as `recall_against_exact` measures it.
        k : int, default=None
            Number of documents to return for each query. If None, it is the parameter `k`.
        filter : mask, list of ids, or one of these per query, default=None
            Documents that may be returned.

        Returns
        -------
        self
            With the parameters set, and the settings that were tried in `tuning_`.
        """
        if not isinstance(target, Real) or not 0 < target <= 1:
            raise ValueError(f"expected a target recall above 0 and at most 1, got {target!r}")
        check_fitted(self, "index_")
        state = copy(self)  # one state, even if another thread changes the documents meanwhile
        state._tune(X, target, state.k if k is None else k, filter)
        self.set_params(expansion_search=state.expansion_search, nprobe=state.nprobe)
        self.tuning_ = state.tuning_
        return self

    def _tune(self, X, target, k, filter):
        check_k(k)
        queries, vectors = self._query_vectors(X)
        if filter is None:
            filter = self.filter_of(queries)
        self.tuning_ = []

        def reaches(**setting):
            self.set_params(**setting)
            recall = self._recall(vectors, k, filter)
            if math.isnan(recall):
                raise ValueError("recall is a mean over the queries that may find a document, and there are none")
            self.tuning_.append({"expansion_search": self.expansion_search, "nprobe": self.nprobe, "recall": recall})
            return recall >= target

        # With this many candidates all documents are scored, so that the target is always reached.
        most = max(k, len(self.vectors_) // LOOKS + 1)
        if self.index_.n_lists:
            self.expansion_search = k
            if not self.index_.is_exact:
                self.expansion_search = min(_GENEROUS * k, most)
            self.nprobe = _least(1, self.index_.n_lists, lambda n: reaches(nprobe=n))
        self.expansion_search = _least(k, most, lambda n: reaches(expansion_search=n))


def _least(first, last, reaches):
    """Return about the lowest number for which `reaches` is true, within an eighth; `last` if there is none."""
    low, high = 0, first
    while high < last and not reaches(high):
        low, high = high, min(2 * high, last)
    while low and high - low > max(1, low // 8):
        middle = (low + high) // 2
        if reaches(middle):
            high = middle
        else:
            low = middle
    return high
