"""Approximate search over dense vectors."""

import math
from functools import partial
from numbers import Integral, Real
from pathlib import Path

import joblib
from sklearn.utils import check_random_state

from sklrank._validation import Interval, StrOptions, _fit_context, check_fitted
from sklrank.retrievers._ann_faiss import FaissIndex
from sklrank.retrievers._ann_search import LOOKS, AnnSearch
from sklrank.retrievers._ann_usearch import UsearchIndex
from sklrank.retrievers._base_vectors import VectorRetriever
from sklrank.retrievers._quantization import FloatCodes
from sklrank.retrievers._recall import lowest, mean_recall

_BACKENDS = {"usearch": UsearchIndex, "faiss": FaissIndex}
_GENEROUS = 8  # candidates for each document asked for, while the number of lists is tuned


class AnnRetriever(VectorRetriever):
    """Rank documents by the similarity of vectors, looking at a part of them only.

    An index of the vectors, by usearch or faiss, proposes candidates; these are ranked by their exact scores, as
    `DenseRetriever` ranks them. A document may be missed, but those found are in the right order.

    Parameters
    ----------
    corpus : Corpus or whatever one is made from, default=None
        The documents. ``None``: those that `fit` gets as `X`.
    backend : {"usearch", "faiss"}, default="usearch"
        The library: usearch (extra ``ann``) builds a graph of neighbours, HNSW; faiss (extra ``faiss``) that, or what
        `factory` says.
    factory : str, default=None
        What faiss builds, in its own notation, such as ``"IVF1024,PQ48x8"``. ``None``: a graph of `connectivity` over
        vectors in `dtype`, as usearch's.
    encoder : transformer, default=None
        Turns texts into vectors; cloned and fitted on the corpus. ``None``: documents and queries are vectors.
    query_encoder : transformer, default=None
        The encoder of queries; ``None``: the same.
    metric : {"cosine", "dot", "euclidean"}, default="cosine"
        The score: cosine, dot product, or minus the euclidean distance.
    dtype : {"float32", "bfloat16", "float16", "int8"}, default="float32"
        In what the graph holds vectors. Coarser ones are faster and smaller; candidates are scored in float32
        whatever it is.
    connectivity : int, default=16
        Neighbours of a vector in the graph, twice as many on the lowest level (M in the paper).
    expansion_add : int, default=128
        Candidates that building the graph keeps for each vector (efConstruction).
    expansion_search : int, default=64
        Candidates that a search keeps (ef), at least `k`. With a coarser `dtype` or codes in the `factory`, all of them
        are scored exactly. May be set after `fit`.
    nprobe : int, default=16
        Inverted lists that a search looks at, where faiss builds lists. May be set after `fit`.
    k : int, default=100
        Most documents that a query finds.
    field : str or sequence of str, default=None
        Columns of the corpus that hold the text, or the vectors. ``None``: title and text, or the matrix.
    filter : mask, list of ids, or one of these per query, default=None
        Documents that may be found.
    filter_field : str, default=None
        Column of the queries that holds a filter for each.
    random_state : int, RandomState instance or None, default=None
        Seed of the index. With one, it is built on one thread, and is the same each time; see Notes.
    n_jobs : int, default=None
        Threads, also of building the index where there is no `random_state`.

    Attributes
    ----------
    corpus_ : Corpus
        The documents.
    index_ : UsearchIndex or FaissIndex
        The index, shared by all retrievers over this corpus that build the same.
    vectors_ : ndarray of float32, shape (n_documents, n_features)
        The vectors that are compared.
    n_features_in_ : int
        Number of features, where documents are a matrix.

    See Also
    --------
    DenseRetriever : Exact; in blocks, and fast enough for a few hundred thousand documents.

    Notes
    -----
    Where a filter admits few documents, these are all looked at, one by one; likewise where the corpus is small or `k`
    large. Else the index is asked for more candidates, as many as the filter thins them out. A query that comes out
    with fewer than `k` documents although there are more, such as one in a part of the graph that nothing leads to, is
    answered exactly: never fewer documents are found than asked for and admitted.

    Candidates are scored from the float32 vectors in double precision, to the last bit as by `DenseRetriever`. A graph
    of usearch in float32 has distances itself, right to single precision; there, only documents that rounding could
    have in the wrong order are scored again.

    The graph depends on the order in which vectors enter. Without a `random_state`, that is the order of the corpus,
    and which of several threads comes first, so that the index is reproducible with ``n_jobs=None`` only. With one,
    it is an order drawn from the seed, on one thread. Faiss takes the seed for its clusters, too. The search itself
    is reproducible, whatever the number of threads.

    The index is kept on the corpus, by what it was built from: to change `expansion_search`, `nprobe` or `k`, in a grid
    search as well, does not build it again. A corpus with a `cache_folder` keeps it there, and the index of usearch is
    searched in the file, memory-mapped; so is one of a retriever that ``joblib.load(path, mmap_mode="r")`` reads.

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
        """Index the corpus; nothing is learned from the queries.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries. Without a `corpus`, the documents.
        y : Qrels or list of dict, default=None
            Judgments; not used.

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
        """Take the corpus and its vectors; what an index of them depends on beside these."""
        if self.factory is not None and self.backend != "faiss":
            raise ValueError(f"factory={self.factory!r} is a notation of faiss, and backend={self.backend!r}")
        self._set_vectors(X, y)
        seed = None if self.random_state is None else int(check_random_state(self.random_state).randint(2**31 - 1))
        return {
            "metric": "euclidean" if self.metric == "euclidean" else "dot",
            "factory": self.factory,
            "dtype": self.dtype,
            "connectivity": self.connectivity,
            "expansion_add": self.expansion_add,
            "seed": seed,
        }

    def save_index(self, path):
        """Write the index in the format of its library; `load_index` reads it.

        The estimator as a whole, with its corpus, goes to a file by `joblib.dump`.

        Parameters
        ----------
        path : path
            The file.
        """
        check_fitted(self, "index_")
        self.index_.save(path)

    @_fit_context(prefer_skip_nested_validation=False)
    def load_index(self, path):
        """Fit by an index that was saved, instead of building it.

        The file is read each time, and the index is that of this retriever only. A sample of what it holds is compared
        with the vectors of the corpus, where its library gives them back.

        Parameters
        ----------
        path : path
            What `save_index`, or the library itself, wrote of the vectors of this corpus in their order. That of
            usearch is memory-mapped, that of faiss read.

        Returns
        -------
        self
        """
        if self.corpus is None:
            raise ValueError("an index has vectors, not documents: give these as corpus=")
        Path(path).stat()  # raises FileNotFoundError, whichever library would read it
        options = self._index_options(None, None)
        self.index_ = _BACKENDS[self.backend].load(path, self.vectors_, **options)
        return self

    # --- search
    def _check_call(self, k):
        check_fitted(self, "index_")
        super()._check_call(k)
        for value in (self.expansion_search, self.nprobe):
            if type(value) is not int or value < 1:
                self._validate_params()

    def _search(self, X, k, filter=None):
        self._check_call(k)
        queries, vectors = self._query_vectors(X)
        search = self._searcher()
        filter = self._chosen_filter(filter, queries)
        return self._run(*search.rank(vectors, k, filter, self.corpus_, search.nearest), queries, k)

    def _searcher(self):
        """The search over the index, with the parameters as they are now."""
        return AnnSearch(
            self.index_, self.vectors_, self.metric, self._codes, self.expansion_search, self.nprobe, self.n_jobs
        )

    def _codes(self):
        """What exact search reads; that of DenseRetriever."""
        key = self._codes_key("float32")
        return self.corpus_.cached(key, lambda: FloatCodes(self.vectors_, self.metric), of=self._vectors_key)

    # --- how much is missed
    def recall_against_exact(self, X, k=None, filter=None):
        """Which part of the truly nearest documents is found: the mean over queries.

        No judgments are needed. A document that is as near as the farthest of those that exact search finds counts as
        found, whichever of them that names. A query that may find nothing does not count.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries.
        k : int, default=None
            How many documents; ``None``: `k` of the retriever.
        filter : mask, list of ids, or one of these per query, default=None
            The documents that may be found.

        Returns
        -------
        float
            Between 0 and 1; NaN where no query counts.
        """
        k = self.k if k is None else k
        self._check_call(k)
        queries, vectors = self._query_vectors(X)
        return self._recall(vectors, k, self._chosen_filter(filter, queries))

    def _recall(self, vectors, k, filter):
        # A grid search asks for the same queries under each setting.
        key = ("nearest", self._vectors_key, self.metric, k, joblib.hash((vectors, filter)))
        floors, sizes = self.corpus_.cached(key, lambda: self._floors(vectors, k, filter))
        search = self._searcher()
        find = partial(search.nearest, exactly=True)
        indptr, _, scores = search.rank(vectors, k, filter, self.corpus_, find)
        return mean_recall(indptr, scores, floors, sizes)

    def _floors(self, vectors, k, filter):
        """Score of the last of the truly nearest documents, and how many there are."""
        search = self._searcher()
        indptr, _, scores = search.rank(vectors, k, filter, self.corpus_, search.scan)
        return lowest(indptr, scores)

    def tune(self, X, target=0.95, *, k=None, filter=None):
        """Set `nprobe` and `expansion_search` to the least that reach a recall.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries like those to come; no judgments are needed.
        target : float, default=0.95
            The mean recall to reach, as `recall_against_exact` measures it.
        k : int, default=None
            How many documents; ``None``: `k` of the retriever.
        filter : mask, list of ids, or one of these per query, default=None
            The documents that may be found.

        Returns
        -------
        self
            With the parameters set, and what was tried in `tuning_`.
        """
        if not isinstance(target, Real) or not 0 < target <= 1:
            raise ValueError(f"target is a recall, above 0 and at most 1; got {target!r}")
        k = self.k if k is None else k
        self._check_call(k)
        queries, vectors = self._query_vectors(X)
        filter = self._chosen_filter(filter, queries)
        self.tuning_ = []

        def reaches(**setting):
            self.set_params(**setting)
            recall = self._recall(vectors, k, filter)
            if math.isnan(recall):
                raise ValueError("recall is the mean over queries that have something to find, and there are none")
            self.tuning_.append({"expansion_search": self.expansion_search, "nprobe": self.nprobe, "recall": recall})
            return recall >= target

        # To look at as many as that is to look at all, so that the target is always reached.
        most = max(k, len(self.vectors_) // LOOKS + 1)
        if self.index_.n_lists:
            self.expansion_search = k if self.index_.is_exact else min(_GENEROUS * k, most)
            self.nprobe = _least(1, self.index_.n_lists, lambda n: reaches(nprobe=n))
        self.expansion_search = _least(k, most, lambda n: reaches(expansion_search=n))
        return self


def _least(first, last, reaches):
    """The least number that reaches, to an eighth; the last one where none before it does."""
    low, high = 0, first
    while high < last and not reaches(high):
        low, high = high, min(2 * high, last)
    while low and high - low > max(1, low // 8):
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high
