"""Approximate search over dense vectors."""

import math
from functools import partial
from numbers import Integral, Real
from pathlib import Path

import joblib
import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import check_random_state

from sklrank._kernels._candidates import rank_candidates, settle_ties
from sklrank._ragged import lengths_to_indptr, owners, places
from sklrank._threads import over_ranges
from sklrank._validation import Interval, StrOptions, _fit_context, check_fitted
from sklrank._vectors import read_only
from sklrank.retrievers._ann_faiss import FaissIndex
from sklrank.retrievers._ann_usearch import UsearchIndex
from sklrank.retrievers._base_vectors import VectorRetriever
from sklrank.retrievers._filters import rank_filtered
from sklrank.retrievers._quantization import FloatCodes, search
from sklrank.retrievers._rankings import scatter
from sklrank.retrievers._recall import lowest, mean_recall

_BACKENDS = {"usearch": UsearchIndex, "faiss": FaissIndex}
# A graph looks at about so many vectors for each candidate that it keeps, in no order; to look at fewer than that one
# by one is faster, and exact.
_LOOKS = 16
_CELLS = 1 << 22  # candidates that stand in memory at a time
_FEW = 16  # queries, which are not worth a thread
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
        ranked = self._rank(vectors, k, self._chosen_filter(filter, queries), self._nearest)
        return self._run(*ranked, queries, k)

    def _rank(self, vectors, k, filter, find):
        """What `find` finds for each query: indptr, rows and scores."""

        def nearest(start, stop, masks, mask_of):
            asked, parts = [], []
            for mask, positions in _by_mask(masks, mask_of, stop - start):
                admitted = len(self.vectors_) if mask is None else np.count_nonzero(mask)
                if len(positions) and admitted:
                    asked.append(positions)
                    parts.append(find(vectors[start + positions], min(k, admitted), mask))
            return scatter(asked, parts, stop - start)

        return rank_filtered(nearest, filter, len(vectors), self.corpus_)

    def _nearest(self, queries, k, mask, exactly=False):
        """The nearest documents to each query that the index proposes; all of them, if these are few."""
        n = len(self.vectors_)
        admitted = n if mask is None else np.count_nonzero(mask)
        breadth = max(k, self.expansion_search)
        if admitted * admitted <= _LOOKS * n * breadth:
            return self._scan(queries, k, mask)
        rows, scores, counts = self._walk(queries, k, breadth, mask, n / admitted, exactly)
        short = np.flatnonzero(counts < k)
        if len(short):
            indptr, *found = self._scan(queries[short], k, mask)
            counts[short] = np.diff(indptr)
            at = short[owners(indptr)], places(indptr)
            rows[at], scores[at] = found
        return _ragged(rows, scores, counts)

    def _walk(self, queries, k, breadth, mask, thinned, exactly):
        """The best candidates of the index, of which one in `thinned` passes the mask."""
        count = k if self.index_.is_exact else breadth
        breadth = math.ceil(breadth * thinned)
        sieve = None if mask is None or self.index_.filters else mask.astype(bool)
        if sieve is not None:
            mask, count = None, math.ceil(count * thinned)
        n_threads = 1 if len(queries) <= _FEW else effective_n_jobs(self.n_jobs)
        found = ranking_arrays(len(queries), k)
        step = max(1, _CELLS // count)
        for start in range(0, len(queries), step):
            own = queries[start : start + step]
            rows, scores, counts = (array[start : start + step] for array in found)
            candidates, distances = self.index_.search(
                own, count, expansion=breadth, nprobe=self.nprobe, n_threads=n_threads, mask=mask
            )
            if distances is not None and sieve is None and not exactly:
                rows[:] = candidates
                self._settle(own, distances, rows, scores, counts)
                continue
            if sieve is not None:
                candidates[~sieve[candidates]] = -1
            self._score(own, candidates, rows, scores, counts)
        return found

    def _score(self, queries, candidates, rows, scores, counts):
        """Score candidates, and write down the best."""
        vectors, queries, euclidean = read_only(self.vectors_), read_only(queries), self.metric == "euclidean"

        def work(start, stop):
            rank_candidates(vectors, queries, candidates, euclidean, rows, scores, counts, start, stop)

        over_ranges(work, len(queries), self.n_jobs)

    def _settle(self, queries, distances, rows, scores, counts):
        """Make scores of distances in single precision, and bring into order what these do not tell apart."""
        counts[:] = np.count_nonzero(rows >= 0, axis=1)
        # The rounding of the sum, of either metric, and of 1 minus it.
        if self.metric == "cosine":
            slacks = np.full(len(queries), (queries.shape[1] + 8) * 2.0**-23 + 2.0**-22)
        else:
            slacks = 2 * self._codes().prepare(queries)[1] + 2.0**-22
        vectors, queries, euclidean = read_only(self.vectors_), read_only(queries), self.metric == "euclidean"

        def work(start, stop):
            settle_ties(vectors, queries, distances, slacks, euclidean, rows, scores, counts, start, stop)

        over_ranges(work, len(queries), self.n_jobs)

    def _codes(self):
        """What exact search reads; that of DenseRetriever."""
        key = self._codes_key("float32")
        return self.corpus_.cached(key, lambda: FloatCodes(self.vectors_, self.metric), of=self._vectors_key)

    def _scan(self, queries, k, mask):
        """The nearest documents to each query, exactly."""
        masks = np.empty((0, len(self.vectors_)), dtype=np.uint8) if mask is None else mask[None, :]
        mask_of = np.zeros(0 if mask is None else len(queries), dtype=np.int64)
        return search(self._codes(), self.vectors_, queries, self.metric, k, k, masks, mask_of, self.n_jobs)

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
        bounds, _, scores = self._rank(vectors, k, filter, partial(self._nearest, exactly=True))
        return mean_recall(bounds, scores, floors, sizes)

    def _floors(self, vectors, k, filter):
        """Score of the last of the truly nearest documents, and how many there are."""
        bounds, _, scores = self._rank(vectors, k, filter, self._scan)
        return lowest(bounds, scores)

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
        most = max(k, len(self.vectors_) // _LOOKS + 1)
        if self.index_.n_lists:
            self.expansion_search = k if self.index_.is_exact else min(_GENEROUS * k, most)
            self.nprobe = _least(1, self.index_.n_lists, lambda n: reaches(nprobe=n))
        self.expansion_search = _least(k, most, lambda n: reaches(expansion_search=n))
        return self


def _by_mask(masks, mask_of, n_queries):
    """Queries by the mask that they share: pairs of a mask or None, and the positions of the queries."""
    if len(masks) == 0 or len(mask_of) == 0:
        yield None, np.arange(n_queries)
    else:
        for m in np.unique(mask_of):
            yield None if m < 0 else masks[m], np.flatnonzero(mask_of == m)


def _least(first, last, reaches):
    """The least number that reaches, to an eighth; the last one where none before it does."""
    low, high = 0, first
    while high < last and not reaches(high):
        low, high = high, min(2 * high, last)
    while low and high - low > max(1, low // 8):
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def _ragged(rows, scores, counts):
    """Ragged rows and scores of what queries find, one after the other."""
    indptr = lengths_to_indptr(counts)
    if indptr[-1] == rows.size:
        return indptr, rows.reshape(-1), scores.reshape(-1)
    found = np.arange(rows.shape[1]) < counts[:, None]
    return indptr, rows[found], scores[found]


def ranking_arrays(n_queries, k):
    """Room for rows, scores and counts of what queries find."""
    shape = n_queries, k
    return np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.float32), np.zeros(n_queries, dtype=np.int64)
