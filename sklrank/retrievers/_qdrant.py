"""QdrantRetriever: search in a vector store."""

import os
from copy import copy
from numbers import Integral, Real

import joblib
import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from sklrank._caching.keys import estimator_key, field_key
from sklrank._progress import CallbackSupportMixin, progress, with_callbacks
from sklrank._retry import call_with_retries
from sklrank._threads import over_ranges
from sklrank._validation import HasMethods, Interval, StrOptions, _fit_context, check_fitted, is_matrix_like
from sklrank.data import Queries, StringArray, TokenVectors
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

_ID = "docid"  # payload key of the document's id in collections that are uploaded here
_DISTANCES = {"cosine": "Dot", "dot": "Dot", "euclidean": "Euclid"}  # of unit vectors for the cosine
_VECTOR = "vector"  # name of the vector if there is only one
_ENCODED_BEFORE = (
    "an existing collection was encoded before, so that its encoder must not be fitted again: give "
    "encoder=FrozenEstimator(encoder) with the fitted encoder"
)


class QdrantRetriever(CorpusRetriever, CallbackSupportMixin):
    """Search vectors in Qdrant, in its embedded mode or on a server.

    The corpus is uploaded once, to a new collection; or an existing `collection` is searched. Documents have a dense
    vector, sparse weights, token vectors (late interaction), or several of these, which Qdrant then fuses.

    Parameters
    ----------
    corpus : Corpus or input of Corpus, default=None
        The documents. If None, `fit` takes its `X` as the documents; with a `collection`, only the ids of its documents
        are known.
    encoder : transformer, list of (str, transformer or str), or None, default=None
        Encoder for documents and queries. It turns texts into an array, a CSR matrix, or `TokenVectors`, and is cloned
        and fitted on the corpus, except a `FrozenEstimator`. A list holds several encoders for a hybrid query, each
        with the name of its vector in the collection; a str instead of an encoder names a column of corpus and queries
        that holds vectors. If None, documents and queries are vectors. A grid search reaches the parameters of one
        encoder (``encoder__…``), but not those of a list.
    query_encoder : transformer or dict of str to transformer, default=None
        Encoder for queries, if different from `encoder`. For a list of encoders, a dict by name.
    metric : {"cosine", "dot", "euclidean"}, default="cosine"
        Similarity of two vectors. It holds for dense vectors and for token vectors. Sparse weights are
        compared by the dot product. An existing `collection` has its own metric.
    fusion : str, default="rrf"
        Fusion of the candidates of a hybrid query. "rrf" and "dbsf" fuse them; the name of a vector ranks the
        candidates of the other vectors by this vector.
    n_candidates : int, default=None
        Number of candidates of each vector in a hybrid query. If None, it is `k`.
    client : QdrantClient or callable, default=None
        The client, or a function that makes it. Clones share it.
    url : str, default=None
        Address of a server. A user and a password in it are not shown. Qdrant's client does not send them; it sends the
        ``api_key`` of a `client`.
    path : str or path, default=None
        Folder of the embedded mode. If `client`, `url` and `path` are None, the embedded mode runs in memory.
    collection : str, default=None
        Name of an existing collection. Nothing is uploaded, and encoders must be fitted. If None, the corpus is
        uploaded.
    id_field : str, default="docid"
        Payload key of `collection` that holds the id of a document. If None, the ids of the points are the ids of the
        documents.
    payload : list of str, default=None
        Columns of the corpus to upload, for use in `query_filter`.
    query_filter : Filter or dict, default=None
        Filter of Qdrant, on the payload.
    search_params : SearchParams or dict, default=None
        Parameters of the search on a server, such as ``{"hnsw_ef": 256}`` or ``{"exact": True}``.
    collection_options : dict, default=None
        Further arguments to ``create_collection``, such as ``quantization_config``.
    k : int, default=100
        Number of documents to return for each query.
    field : str or list of str, default=None
        Columns of the corpus to read. They hold the texts or, without an encoder, the vectors. If None, title and text
        are joined by a space; without an encoder, the matrix of the corpus is read.
    batch_size : int, default=128
        Maximum number of items per call. Items are documents of an upload, and queries of a search.
    timeout : int, default=30
        Seconds after which a call counts as failed. It applies to requests to `url`.
    retries : int, default=3
        Number of times that a failed call is repeated. A call is repeated only if its failure may be temporary.
    backoff : float, default=0.5
        Seconds to wait before the first retry. The wait doubles before each further retry.
    verbose : bool, default=False
        Whether to print progress. scikit-learn's callbacks are informed with any value.
    filter : mask, list of ids, or one of these per query, default=None
        Documents that may be returned.
    filter_field : str, default=None
        Column of the queries that holds a filter for each query.
    n_jobs : int, default=None
        Number of threads. They send requests. The result does not depend on it.

    Attributes
    ----------
    corpus_ : Corpus or None
        The documents.
    client_ : QdrantClient
        The client. It connects again after unpickling.
    collection_ : str
        Name of the collection.
    n_features_in_ : int
        Number of dimensions of the vectors, if documents are a matrix.

    See Also
    --------
    CallableRetriever : Any other engine, called by a function.
    DenseRetriever : Exact search in this process.
    RetrieverUnion : Fusion in this process, with constants and weights to tune.

    Notes
    -----
    **The embedded mode** is Qdrant's client without a server. It is exact, written in Python, and meant for tests and
    first experiments. It compares a query with every point. It writes to a `path` point by point, which takes seconds
    for a hundred points.

    **Upload.** The name of the collection is derived from its content. Therefore the same vectors are uploaded once,
    and an interrupted upload is continued. Nothing is deleted automatically;
    ``retriever.client_.delete_collection(retriever.collection_)`` deletes the collection.

    **Scores** are those of Qdrant, best first, and minus the distance if the metric is a distance. Equal scores are in
    the order of the corpus. In the embedded mode this includes ties at the cutoff; on a server, the approximate index
    decides which of them it returns. Sparse queries find documents that share a feature with them. A text without
    tokens or features finds nothing, and is not found by that vector.

    **Fusion** is done by Qdrant. Its "rrf" counts ranks from 0 and adds 2, which is ``rank_constant=1`` in
    :class:`~sklrank.fusers.ReciprocalRankFuser`.

    **Pickles** hold the information to connect, including the options of a given `client` and therefore its API key. To
    keep the key out, give a function that makes the client. An embedded collection in memory is uploaded again in
    another process.

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
        """Upload the corpus unless it was uploaded before; the queries are not used.

        Parameters
        ----------
        X : Queries, list of str, matrix of shape (n_queries, n_features), or TokenVectors
            Queries. They are not used. Without `corpus` and `collection`, the documents.
        y : Qrels or list of dict, default=None
            Relevance judgments. They are not used.

        Returns
        -------
        self
        """
        if sum(location is not None for location in (self.client, self.url, self.path)) > 1:
            raise ValueError("client=, url= and path= each say where to search: give one of them")
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
            self.encoded_ = {}
            for name, encoder, query_encoder, _ in parts:
                if query_encoder is not None:
                    encoder = query_encoder
                self.encoded_[name] = Encoded(encoder, without_fitting(encoder, _ENCODED_BEFORE), None)
        self._found = self._find_or_upload()
        self.collection_ = self._found.name
        return self

    def reindex(self, corpus):
        """Upload other documents to a collection of their own, unless `collection` names one.

        Parameters
        ----------
        corpus : Corpus
            The new documents.

        Returns
        -------
        self
        """
        if self.collection is not None:
            raise ValueError(
                f"update changes the corpus, but not the collection {self.collection!r}: change its points there, and "
                "fit again with corpus=corpus.updated(...)"
            )
        return super().reindex(corpus)

    @property
    def url(self):
        """Address of a server."""
        return vars(self)["url"]

    @url.setter
    def url(self, url):
        # No repr may show a user and a password, and scikit-learn makes several reprs.
        if type(url) is str:
            url = Address(url)
        vars(self)["url"] = url

    @property
    def client_(self):
        """The client."""
        return self._open_collection().client

    def _parts(self):
        """Return the name, encoder, query encoder and field of each vector."""
        if not isinstance(self.encoder, list):
            if isinstance(self.query_encoder, dict):
                raise ValueError("query_encoder is a dict by name, but encoder is not a list of (name, encoder)")
            return [(_VECTOR, self.encoder, self.query_encoder, field_key(self.field))]
        query_encoders = self.query_encoder
        if query_encoders is None:
            query_encoders = {}
        if not isinstance(query_encoders, dict):
            raise ValueError("encoder is a list of (name, encoder): expected a dict by name as query_encoder")
        parts = []
        for pair in self.encoder:
            if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str)):
                raise ValueError(
                    f"expected a list of (name, encoder or name of a column) as encoder; it holds {pair!r}"
                )
            name, encoder = pair
            if isinstance(encoder, str):
                parts.append((name, None, None, encoder))
            else:
                parts.append((name, encoder, query_encoders.get(name), field_key(self.field)))
        names = [name for name, *_ in parts]
        strange = [name for name in query_encoders if name not in names]
        if not names or len(set(names)) < len(names) or strange:
            raise ValueError(
                f"expected distinct names of vectors, and no others in query_encoder; got {names} and {strange}"
            )
        if len(names) > 1 and self.fusion not in ("rrf", "dbsf", *names):
            raise ValueError(
                f"expected fusion='rrf', 'dbsf' or the name of a vector, one of {names}; got {self.fusion!r}"
            )
        return parts

    def _check_documents(self, X):
        if self.encoder is not None or hasattr(X, "indptr") and not sparse.issparse(X):
            return X
        return validate_data(self, X, reset=True, accept_sparse="csr", dtype=[np.float32, np.float64])

    # --- collection
    def _open_collection(self):
        """Return the collection, which is found or uploaded again after unpickling."""
        found = vars(self).get("_found")
        if found is None:
            check_fitted(self, "corpus_")
            found = self._found = self._find_or_upload()
        return found

    @with_callbacks
    def _find_or_upload(self):
        location = self.url or (self.path and os.path.realpath(self.path)) or self.client
        if self.collection is not None:
            return self._find(connect(self))
        options = joblib.hash(self.collection_options)
        encoders = tuple((name, estimator_key(encoder), field) for name, encoder, _, field in self._parts())
        payload = self.payload
        if payload is not None:
            payload = tuple(payload)
        key = ("qdrant", location, encoders, self.metric, payload, options)
        return self.corpus_.cached(key, lambda: self._upload(connect(self)))

    def _send(self, client, call):
        """Return Qdrant's answer to ``call()``, which is repeated if this may help; errors name the remedy."""
        try:
            return call_with_retries(call, retries=self.retries, backoff=self.backoff, pause_of=pause_of)
        except Exception as error:
            clearer = explained(error, client, self.timeout)
            if clearer is None:
                raise
            raise clearer from error

    def _find(self, client):
        """Return the collection that the user named."""
        if not self._send(client, lambda: client.collection_exists(self.collection)):
            existing = self._send(client, client.get_collections).collections
            names = "it has none"
            if existing:
                names = f"it has {show(sorted(collection.name for collection in existing))}"
            raise ValueError(
                f"there is no collection {self.collection!r} in {address(client) or 'the embedded mode'}; {names}"
            )
        params = self._send(client, lambda: client.get_collection(self.collection)).config.params
        dense = params.vectors or {}
        if not isinstance(dense, dict):
            dense = {"": dense}
        vectors = {
            name: Vector("multi" if config.multivector_config else "dense", config.size, config.distance.value)
            for name, config in dense.items()
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
                f"collection {self.collection!r} has the vectors {show(sorted(vectors))}: name the vector to search, "
                f"as in encoder=[({sorted(vectors)[0]!r}, encoder)]"
            )
        return Collection(client, self.collection, vectors)

    def _upload(self, client):
        """Return the collection of the corpus, after uploading its missing points."""
        outputs = {
            name: _prepared(encoded.output, self.metric, lambda rows: self.corpus_.docids(rows).tolist(), "document")
            for name, encoded in self.encoded_.items()
        }
        # Cosines are dot products of unit vectors: with "Cosine", the embedded mode would scale all vectors per query.
        distance = _DISTANCES[self.metric]
        vectors = {
            name: Vector(kind(output), width(output), "Dot" if sparse.issparse(output) else distance)
            for name, output in outputs.items()
        }
        payload = {name: self.corpus_[name] for name in self.payload or ()}
        ids = StringArray.from_strings(self.corpus_.ids.tolist())  # one form, also if the corpus has several parts
        content = joblib.hash((outputs, payload, vectors, ids, self.collection_options))
        collection = Collection(client, f"sklrank-{content}", vectors)
        self._send(client, lambda: collection.create(**(self.collection_options or {})))
        n, size = len(self.corpus_), self.batch_size
        n_uploaded = self._send(client, lambda: client.count(collection.name, exact=True)).count
        if n_uploaded == n:
            return collection
        with progress(self, "uploaded", n, verbose=self.verbose, what="documents") as report:
            for start in range(n_uploaded // size * size, n, size):
                stop = min(start + size, n)
                docids = self.corpus_.docids(np.arange(start, stop)).tolist()
                columns = {_ID: docids, **{name: column[start:stop].tolist() for name, column in payload.items()}}
                blocks = {name: output[start:stop] for name, output in outputs.items()}
                points = collection.points(start, blocks, columns)
                self._send(client, lambda points=points: client.upsert(collection.name, points=points, wait=True))
                if report is not None:
                    report(stop)
        return collection

    # --- search
    def _search(self, X, k, filter=None):
        check_fitted(self, "corpus_")
        collection = self._open_collection()
        queries, outputs = self._query_outputs(X, collection)
        if filter is None:
            filter = self.filter_of(queries)
        if filter is not None and self.corpus_ is None:
            raise ValueError("a filter names documents of the corpus: give corpus=, or query_filter=")
        requests = Requests(self, collection, outputs, int(k))
        found = [None] * len(queries)
        if self.corpus_ is None:
            work = requests.worker(found, 0, None, ())
            over_ranges(work, len(queries), self.n_jobs, per_thread=self.batch_size)
        else:
            for start, stop, masks, mask_of in resolve_filter(filter, len(queries), self.corpus_):
                work = requests.worker(found, start, masks, mask_of)
                over_ranges(work, stop - start, self.n_jobs, per_thread=self.batch_size)
        return run_of(found, queries, self.corpus_, self._rows, k, self._stage)

    def _query_outputs(self, X, collection):
        """Return the queries, and their vectors by name."""
        if isinstance(self.encoder, list):
            queries = Queries.of(X)
            columns = {name: field for name, encoder, _, field in self._parts() if encoder is None}
            outputs = {}
            for name, encoded in self.encoded_.items():
                if name in columns:
                    outputs[name] = queries[columns[name]]
                else:
                    _, outputs[name] = encode_queries(queries, encoded)
        else:
            ((name, encoded),) = self.encoded_.items()
            if self.encoder is None and self.collection is None and not isinstance(X, Queries) and is_matrix_like(X):
                X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=[np.float32, np.float64])
            queries, output = encode_queries(X, encoded)
            outputs = {name: output}
        for name, output in outputs.items():
            vector = collection.vectors[name]
            if kind(output) != vector.kind:
                found, expected = KINDS[kind(output)], KINDS[vector.kind]
                raise TypeError(f"queries have {found}, the documents {expected}, for {name!r}")
            if vector.size not in (None, width(output)):
                raise ValueError(
                    f"queries have {width(output)} dimensions, the documents {vector.size}: encode both with one "
                    "encoder, or with two that were trained together"
                )
            metric = None  # an existing collection applies its own
            if self.collection is None:
                metric = self.metric
            outputs[name] = _prepared(output, metric, lambda rows: queries.ids[rows].tolist(), "query")
        return queries, outputs

    def _rows(self, ids):
        if self.collection is None:
            return ids
        try:
            return self.corpus_.rows(ids)
        except ValueError as error:
            raise ValueError(f"collection {self.collection!r} holds documents that the corpus lacks: {error}") from None

    # --- clones share the client, pickles make it again
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
    """Return vectors in the form that is sent: finite, and of unit length if `metric` is the cosine.

    For errors, `names` returns the ids of rows, and `what` is "document" or "query".
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
