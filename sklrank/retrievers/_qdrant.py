"""QdrantRetriever: a vector store."""

import os
from copy import copy
from numbers import Integral, Real

import joblib
import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from sklrank._caching.keys import estimator_key
from sklrank._progress import CallbackSupportMixin, progress, with_callbacks
from sklrank._retry import call_with_retries
from sklrank._threads import over_ranges
from sklrank._validation import HasMethods, Interval, StrOptions, _fit_context, is_matrix_like
from sklrank.data import Queries, TokenVectors
from sklrank.data._ids import show
from sklrank.data._shapes import canonical
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._base_vectors import _prepare
from sklrank.retrievers._elsewhere import run_of
from sklrank.retrievers._encoding import Encoded, encode_corpus, encode_queries, without_fitting
from sklrank.retrievers._filters import resolve_filter
from sklrank.retrievers._qdrant_store import (
    KINDS,
    Address,
    Collection,
    Reconnection,
    Requests,
    Vector,
    address,
    connect,
    explained,
    kind,
    pause_of,
    width,
)

_ID = "docid"  # payload key of the document's id in collections that are made here
_VECTOR = "vector"  # name of the vector where there is one
_ENCODED_BEFORE = (
    "a collection that exists was encoded before, so that its encoder must not be fitted again: give "
    "encoder=FrozenEstimator(encoder) with a fitted one"
)


class QdrantRetriever(CorpusRetriever, CallbackSupportMixin):
    """Search vectors in Qdrant: embedded, or a server.

    The corpus is uploaded to a collection of its own, once; or a `collection` that exists is searched. Documents have a
    dense vector, sparse weights, token vectors (late interaction), or several of these, which Qdrant then fuses.

    Parameters
    ----------
    corpus : Corpus or whatever one is made from, default=None
        The documents. ``None``: those that `fit` gets as `X`, or those of `collection`, of which only the ids are
        known.
    encoder : transformer, list of (str, transformer or str), or None, default=None
        Makes vectors of texts: an array, a CSR matrix, or `TokenVectors`; cloned and fitted on the corpus, but for a
        `FrozenEstimator`. A list has several for a hybrid query, by the name of the vector in the collection; a str
        among them names a column of corpus and queries that holds vectors. ``None``: documents and queries are vectors.
        A search reaches into one encoder by name (``encoder__…``), not into those of a list.
    query_encoder : transformer or dict of str to transformer, default=None
        The encoder of queries; of several by name. ``None``: the same.
    metric : {"cosine", "dot", "euclidean"}, default="cosine"
        What compares dense vectors and token vectors; sparse weights have the dot product. A `collection` has its own.
    fusion : str, default="rrf"
        What a hybrid query makes of the candidates of the vectors: "rrf" and "dbsf" fuse them, the name of a
        vector ranks the candidates of the others by this one.
    n_candidates : int, default=None
        Candidates of each vector in a hybrid query. ``None``: `k`.
    client : QdrantClient or callable, default=None
        The client, or a function that makes it. Clones share it.
    url : str, default=None
        Address of a server. A user and a password in it are not shown; Qdrant's client does not send them, but an
        ``api_key`` of a `client`.
    path : str or path, default=None
        Folder of the embedded mode. ``None`` of these three: the embedded mode, in memory.
    collection : str, default=None
        A collection that exists. Nothing is uploaded, and encoders must be fitted. ``None``: the corpus is uploaded.
    id_field : str, default="docid"
        Payload key of `collection` that holds the document's id; ``None``: the ids of the points are those of the
        documents.
    payload : list of str, default=None
        Columns of the corpus to upload, for `query_filter` to look at.
    query_filter : Filter or dict, default=None
        A filter of Qdrant's, on the payload.
    search_params : SearchParams or dict, default=None
        Parameters of the search in a server, such as ``{"hnsw_ef": 256}`` or ``{"exact": True}``.
    collection_options : dict, default=None
        Further arguments to ``create_collection``, such as ``quantization_config``.
    k : int, default=100
        Most documents that a query finds.
    field : str or sequence of str, default=None
        Column of the corpus that is encoded, or holds the vectors. ``None``: title and text, or the matrix.
    batch_size : int, default=128
        Documents or queries in one request.
    timeout : int, default=30
        Seconds that a request to `url` may take.
    retries : int, default=3
        How often a request that failed in a way that may pass is tried again.
    backoff : float, default=0.5
        Seconds to wait before the first further try; twice as long before each one after that.
    verbose : bool, default=False
        Whether to print how far the upload is; scikit-learn's callbacks hear of it, too.
    filter : mask, list of ids, or one of these per query, default=None
        Documents that may be found.
    filter_field : str, default=None
        Column of the queries that holds a filter for each.
    n_jobs : int, default=None
        Threads that send requests.

    Attributes
    ----------
    corpus_ : Corpus or None
        The documents.
    client_ : QdrantClient
        The client; connects anew after unpickling.
    collection_ : str
        Name of the collection.
    n_features_in_ : int
        Length of the vectors, where documents are a matrix.

    See Also
    --------
    CallableRetriever : Any other engine, behind a function.
    DenseRetriever : Exact search in this process.
    RetrieverUnion : Fusion in this process, with constants and weights to tune.

    Notes
    -----
    **The embedded mode** is Qdrant's client without a server: exact, written in Python, meant for tests and for trying
    out. It compares a query with every point, and writes to a `path` point by point, which takes seconds for a
    hundred of them.

    **Uploading.** The collection is named for its content, so that the same vectors are uploaded once, and an upload
    that was interrupted goes on. Nothing is deleted: ``retriever.client_.delete_collection(retriever.collection_)``
    does that.

    **Scores** are those of Qdrant, best first, minus the distance where the metric is one; equal scores are in the
    order of the corpus. In the embedded mode this includes those at the cutoff; what a server leaves out there is its
    choice, as its index is approximate. Sparse queries find documents that share a feature with them. A text without
    tokens or features finds nothing and is not found by that vector.

    **Fusion** is Qdrant's: its "rrf" counts ranks from 0 and adds 2, which is ``rank_constant=1`` in
    :class:`~sklrank.fusers.ReciprocalRankFuser`.

    **Pickles** hold how to connect, the options of a `client` that was given included, and so its API key; a function
    that makes the client keeps it out. What was embedded in memory is uploaded again in another process.

    Parameters that need a new `fit`: `corpus`, `encoder`, `query_encoder`, `metric`, `client`, `url`, `path`,
    `collection`, `payload`, `collection_options`, `field` and `timeout`. All others take effect at once.

    Examples
    --------
    >>> from sklrank.retrievers import QdrantRetriever
    >>> qdrant = QdrantRetriever(metric="dot").fit([[1.0, 0.0], [0.6, 0.8]])
    >>> qdrant.predict([[0.5, 1.0]]).docids
    [['1', '0']]
    """

    _stage = "qdrant"

    _refit_parameters = (
        "corpus",
        "encoder",
        "query_encoder",
        "metric",
        "client",
        "url",
        "path",
        "collection",
        "payload",
        "collection_options",
        "field",
        "timeout",
    )

    _parameter_constraints: dict = {
        **CorpusRetriever._parameter_constraints,
        "encoder": [HasMethods(["fit", "transform"]), list, None],
        "query_encoder": [HasMethods(["fit", "transform"]), dict, None],
        "metric": [StrOptions({"cosine", "dot", "euclidean"})],
        "fusion": [str],
        "n_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "client": "no_validation",
        "url": [str, None],
        "path": [str, os.PathLike, None],
        "collection": [str, None],
        "id_field": [str, None],
        "payload": [list, tuple, None],
        "query_filter": "no_validation",
        "search_params": "no_validation",
        "collection_options": [dict, None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "timeout": [Interval(Integral, 1, None, closed="left")],
        "retries": [Interval(Integral, 0, None, closed="left")],
        "backoff": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        corpus=None,
        *,
        encoder=None,
        query_encoder=None,
        metric="cosine",
        fusion="rrf",
        n_candidates=None,
        client=None,
        url=None,
        path=None,
        collection=None,
        id_field="docid",
        payload=None,
        query_filter=None,
        search_params=None,
        collection_options=None,
        k=100,
        field=None,
        batch_size=128,
        timeout=30,
        retries=3,
        backoff=0.5,
        verbose=False,
        filter=None,
        filter_field=None,
        n_jobs=None,
    ):
        self.corpus = corpus
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.metric = metric
        self.fusion = fusion
        self.n_candidates = n_candidates
        self.client = client
        self.url = url
        self.path = path
        self.collection = collection
        self.id_field = id_field
        self.payload = payload
        self.query_filter = query_filter
        self.search_params = search_params
        self.collection_options = collection_options
        self.k = k
        self.field = field
        self.batch_size = batch_size
        self.timeout = timeout
        self.retries = retries
        self.backoff = backoff
        self.verbose = verbose
        self.filter = filter
        self.filter_field = filter_field
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Upload the corpus, unless that was done before; nothing is learned from the queries.

        Parameters
        ----------
        X : Queries, list of str, matrix of shape (n_queries, n_features), or TokenVectors
            The queries; not used. Without `corpus` and `collection`, the documents.
        y : Qrels or list of dict, default=None
            Judgments; not used.

        Returns
        -------
        self
        """
        if sum(where is not None for where in (self.client, self.url, self.path)) > 1:
            raise ValueError("client=, url= and path= each say where to search; give one of them")
        if self.collection is None or self.corpus is not None:
            self._set_corpus(X, y)
        else:
            self.corpus_ = None
        parts = self._parts()
        if self.collection is None:
            self.encoded_ = {
                name: encode_corpus(self.corpus_, encoder, field, query_encoder)
                for name, encoder, query_encoder, field in parts
            }
            if self.encoder is None:
                self.n_features_in_ = width(self.encoded_[_VECTOR].output)
        else:
            encoders = {name: encoder if other is None else other for name, encoder, other, _ in parts}
            self.encoded_ = {
                name: Encoded(encoder, without_fitting(encoder, _ENCODED_BEFORE), None)
                for name, encoder in encoders.items()
            }
        self._found = self._find_or_upload()
        self.collection_ = self._found.name
        return self

    @property
    def url(self):
        """Address of a server."""
        return vars(self)["url"]

    @url.setter
    def url(self, url):
        # A user and a password in it must not stand in the repr, of which scikit-learn has several.
        if type(url) is str:
            url = Address(url)
        vars(self)["url"] = url

    @property
    def client_(self):
        """The client."""
        return self._at_hand().client

    def _parts(self):
        """Name, encoder, encoder of queries and field of each vector."""
        if not isinstance(self.encoder, list):
            if isinstance(self.query_encoder, dict):
                raise ValueError("query_encoder is a dict by name, and encoder no list of (name, encoder)")
            return [(_VECTOR, self.encoder, self.query_encoder, self._field)]
        of_queries = {} if self.query_encoder is None else self.query_encoder
        if not isinstance(of_queries, dict):
            raise ValueError("encoder is a list of (name, encoder); query_encoder has to be a dict by name")
        parts = []
        for pair in self.encoder:
            if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str)):
                raise ValueError(f"encoder is a list of (name, encoder or name of a column); it holds {pair!r}")
            name, encoder = pair
            if isinstance(encoder, str):
                parts.append((name, None, None, encoder))
            else:
                parts.append((name, encoder, of_queries.get(name), self._field))
        names = [name for name, *_ in parts]
        strange = [name for name in of_queries if name not in names]
        if not names or len(set(names)) < len(names) or strange:
            raise ValueError(
                f"the vectors have distinct names, and query_encoder has no others; got {names}, {strange}"
            )
        if len(names) > 1 and self.fusion not in ("rrf", "dbsf", *names):
            raise ValueError(f"fusion={self.fusion!r}; it is 'rrf', 'dbsf' or the name of a vector, one of {names}")
        return parts

    def _check_documents(self, X):
        if self.encoder is not None or hasattr(X, "indptr") and not sparse.issparse(X):
            return X
        return validate_data(self, X, reset=True, accept_sparse="csr", dtype=[np.float32, np.float64])

    # --- where the vectors are
    def _at_hand(self):
        """The collection; found or uploaded again after unpickling."""
        found = vars(self).get("_found")
        if found is None:
            self._check_call(self.k)
            found = self._found = self._find_or_upload()
        return found

    @with_callbacks
    def _find_or_upload(self):
        where = self.url or (self.path and os.path.realpath(self.path)) or self.client
        if self.collection is not None:
            return self._find(connect(self))
        options = joblib.hash(self.collection_options)
        encoders = tuple((name, estimator_key(encoder), field) for name, encoder, _, field in self._parts())
        payload = None if self.payload is None else tuple(self.payload)
        key = ("qdrant", where, encoders, self.metric, payload, options)
        return self.corpus_.cached(key, lambda: self._upload(connect(self)))

    def _send(self, client, call):
        """What ``call()`` gets from Qdrant, which is tried again where it may help; errors say what to do."""
        try:
            return call_with_retries(call, retries=self.retries, backoff=self.backoff, pause_of=pause_of)
        except Exception as error:
            said = explained(error, client, self.timeout)
            if said is None:
                raise
            raise said from error

    def _find(self, client):
        """The collection that the user named."""
        if not self._send(client, lambda: client.collection_exists(self.collection)):
            there = self._send(client, client.get_collections).collections
            names = f"it has {show(sorted(one.name for one in there))}" if there else "it has none"
            raise ValueError(
                f"there is no collection {self.collection!r} in {address(client) or 'the embedded mode'}; {names}"
            )
        params = self._send(client, lambda: client.get_collection(self.collection)).config.params
        dense = params.vectors if isinstance(params.vectors, dict) else {"": params.vectors} if params.vectors else {}
        vectors = {
            name: Vector("dense" if of.multivector_config is None else "multi", of.size, of.distance.value)
            for name, of in dense.items()
        }
        vectors.update({name: Vector("sparse", None, "Dot") for name in params.sparse_vectors or {}})
        if isinstance(self.encoder, list):
            missing = [name for name in self.encoded_ if name not in vectors]
            if missing:
                raise ValueError(
                    f"collection {self.collection!r} has no vector {show(missing)}; it has {show(sorted(vectors))}"
                )
            vectors = {name: vectors[name] for name in self.encoded_}
        elif len(vectors) == 1:
            self.encoded_ = dict(zip(vectors, self.encoded_.values()))
        elif "" in vectors:
            vectors = {"": vectors[""]}
            self.encoded_ = dict(zip(vectors, self.encoded_.values()))
        else:
            raise ValueError(
                f"collection {self.collection!r} has the vectors {show(sorted(vectors))}: say which to search, as in "
                f"encoder=[({sorted(vectors)[0]!r}, encoder)]"
            )
        return Collection(client, self.collection, vectors)

    def _upload(self, client):
        """The collection of the corpus, made where it is not there yet."""
        outputs = {
            name: _prepared(one.output, self.metric, lambda rows: self.corpus_.docids(rows).tolist(), "document")
            for name, one in self.encoded_.items()
        }
        # Cosines are dot products of unit vectors: the embedded mode would scale all vectors anew for each query.
        distance = "Euclid" if self.metric == "euclidean" else "Dot"
        vectors = {
            name: Vector(kind(output), width(output), "Dot" if sparse.issparse(output) else distance)
            for name, output in outputs.items()
        }
        payload = {name: self.corpus_[name] for name in self.payload or ()}
        if _ID in payload:
            raise ValueError(f"payload names the column {_ID!r}, which is the key of the documents' ids")
        content = joblib.hash((outputs, payload, vectors, self.corpus_.ids, self.collection_options))
        there = Collection(client, f"sklrank-{content}", vectors)
        self._send(client, lambda: there.create(**(self.collection_options or {})))
        n, size = len(self.corpus_), self.batch_size
        n_there = self._send(client, lambda: client.count(there.name, exact=True)).count
        if n_there == n:
            return there
        with progress(self, "uploaded", n, verbose=self.verbose, what="documents") as report:
            for start in range(n_there // size * size, n, size):
                stop = min(start + size, n)
                docids = self.corpus_.docids(np.arange(start, stop)).tolist()
                columns = {_ID: docids, **{name: column[start:stop].tolist() for name, column in payload.items()}}
                points = there.points(start, {name: output[start:stop] for name, output in outputs.items()}, columns)
                self._send(client, lambda points=points: client.upsert(there.name, points=points, wait=True))
                if report is not None:
                    report(stop)
        return there

    # --- search
    def _search(self, X, k, filter=None):
        self._check_call(k)
        self._validate_params()
        there = self._at_hand()
        queries, outputs = self._query_outputs(X, there)
        filter = self._chosen_filter(filter, queries)
        if filter is not None and self.corpus_ is None:
            raise ValueError("a filter says which documents of the corpus may be found: give corpus=, or query_filter=")
        requests = Requests(self, there, outputs, int(k))
        found = [None] * len(queries)
        if self.corpus_ is None:
            work = requests.worker(found, 0, None, ())
            over_ranges(work, len(queries), self.n_jobs, per_thread=self.batch_size)
        else:
            for start, stop, masks, mask_of in resolve_filter(filter, len(queries), self.corpus_):
                work = requests.worker(found, start, masks, mask_of)
                over_ranges(work, stop - start, self.n_jobs, per_thread=self.batch_size)
        return run_of(found, queries, self.corpus_, self._rows, k, self._stage)

    def _query_outputs(self, X, there):
        """The queries, and their vectors by name."""
        if isinstance(self.encoder, list):
            queries = Queries.of(X)
            columns = {name: field for name, encoder, _, field in self._parts() if encoder is None}
            outputs = {
                name: queries[columns[name]] if name in columns else encode_queries(queries, one)[1]
                for name, one in self.encoded_.items()
            }
        else:
            ((name, one),) = self.encoded_.items()
            if self.encoder is None and self.collection is None and not isinstance(X, Queries) and is_matrix_like(X):
                X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=[np.float32, np.float64])
            queries, output = encode_queries(X, one)
            outputs = {name: output}
        for name, output in outputs.items():
            of = there.vectors[name]
            if kind(output) != of.kind:
                raise TypeError(f"queries have {KINDS[kind(output)]}, the documents {KINDS[of.kind]}, for {name!r}")
            if of.size not in (None, width(output)):
                raise ValueError(
                    f"queries have {width(output)} dimensions, the documents {of.size}: both come from one encoder, "
                    "or from two that were trained together"
                )
            metric = self.metric if self.collection is None else None
            outputs[name] = _prepared(output, metric, lambda rows: queries.ids[rows].tolist(), "query")
        return queries, outputs

    def _rows(self, ids):
        if self.collection is None:
            return ids
        try:
            return self.corpus_.rows(ids)
        except ValueError as error:
            raise ValueError(f"collection {self.collection!r} has documents that the corpus lacks: {error}") from None

    # --- clones share the client, pickles know how to make it again
    def __sklearn_clone__(self):
        bare = copy(self)
        bare.client = None
        return super(QdrantRetriever, bare).__sklearn_clone__().set_params(client=self.client)

    def __getstate__(self):
        state = {name: value for name, value in super().__getstate__().items() if name != "_found"}
        if hasattr(self.client, "init_options"):
            state["client"] = Reconnection.of(self.client)
        return state

    def __sklearn_is_fitted__(self):
        return hasattr(self, "collection_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.encoder is None
        return tags


def _prepared(output, metric, names, what):
    """Vectors as they are sent: finite, and of unit length where `metric` is the cosine.

    `names` gives the ids of texts by row, and `what` says what those are.
    """
    if sparse.issparse(output):
        output = canonical(output)
        bad = np.flatnonzero(~np.isfinite(output.data))
        if len(bad):
            rows = np.unique(np.searchsorted(output.indptr, bad, side="right") - 1)
            raise ValueError(f"{len(rows)} vectors hold NaN or infinity, of {what} {show(names(rows))}")
        return output
    if isinstance(output, TokenVectors):

        def texts(tokens):
            return names(np.unique(np.searchsorted(output.indptr, tokens, side="right") - 1))

        return TokenVectors(_prepare(output.values, metric, texts, what), output.indptr)
    return _prepare(output, metric, names, what)
