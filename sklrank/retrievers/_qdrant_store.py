"""Clients, collections and requests of Qdrant."""

import os
import uuid
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sklrank._caching import Recent
from sklrank._optional import optional_import
from sklrank._ragged import intervals
from sklrank._retry import may_pass
from sklrank.data import TokenVectors
from sklrank.data._ids import as_id_list, show

_TEMPORARY = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")  # status codes of gRPC
KINDS = {"dense": "a dense vector", "sparse": "sparse weights", "multi": "token vectors"}


@dataclass(frozen=True)
class Vector:
    """Description of a vector of a collection."""

    kind: str  # a key of KINDS
    size: int | None
    distance: str  # Qdrant's name of it

    @property
    def sign(self):
        """-1 if Qdrant's score is a distance, else 1."""
        if self.distance in ("Euclid", "Manhattan"):
            return -1.0
        return 1.0


@dataclass(frozen=True)
class Collection:
    """A collection, and the client that holds it."""

    client: object
    name: str
    vectors: dict

    def create(self, **options):
        """Create the collection unless it exists."""
        if self.client.collection_exists(self.name):
            return
        models = optional_import("qdrant_client.models", extra="qdrant")
        dense, weights = {}, {}
        for name, vector in self.vectors.items():
            if vector.kind == "sparse":
                weights[name] = models.SparseVectorParams()
                continue
            config = {"size": vector.size, "distance": models.Distance(vector.distance)}
            if vector.kind == "multi":
                config["multivector_config"] = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
            dense[name] = models.VectorParams(**config)
        self.client.create_collection(self.name, vectors_config=dense, sparse_vectors_config=weights, **options)

    def points(self, start, outputs, columns):
        """Return points numbered from `start`, with vectors by name and `columns`, except NaN, as payload."""
        models = optional_import("qdrant_client.models", extra="qdrant")
        given = {name: as_given(output, models) for name, output in outputs.items()}
        return [
            models.PointStruct(
                id=start + i,
                vector={name: vectors[i] for name, vectors in given.items() if vectors[i] is not None},
                payload={name: values[i] for name, values in columns.items() if values[i] == values[i]},
            )
            for i in range(len(next(iter(columns.values()))))
        ]


class Requests:
    """Make requests of queries, send them, and read the answers."""

    def __init__(self, retriever, collection, outputs, k):
        self.retriever, self.collection, self.outputs, self.k = retriever, collection, outputs, k
        self.models = optional_import("qdrant_client.models", extra="qdrant")
        self.is_uploaded = retriever.collection is None  # its points are numbered by row
        self.n_points = None  # unknown, if the collection existed before
        if self.is_uploaded:
            self.n_points = len(retriever.corpus_)
        self.native = _model(self.models.Filter, retriever.query_filter, "query_filter")
        self.params = _model(self.models.SearchParams, retriever.search_params, "search_params")

    def worker(self, found, offset, masks, mask_of):
        """Return a function that searches a range of queries, counted from `offset`, and writes to `found`."""
        filters = {-1: self.native}
        if masks is not None:
            for m, mask in enumerate(masks):
                rows = np.flatnonzero(mask)
                filters[m] = None  # no document is admitted
                if len(rows):
                    filters[m] = self._filter(rows)

        def work(start, stop):
            asked = []
            for i in range(start, stop):
                m = -1
                if len(mask_of):
                    m = int(mask_of[i])
                found[offset + i] = self._docids([]), np.empty(0, dtype=np.float32)
                vectors = self._vectors(offset + i)
                if self._can_find(vectors) and (m < 0 or filters[m] is not None):
                    asked.append((offset + i, vectors, filters[m]))
            size = self.retriever.batch_size
            for batch in (asked[at : at + size] for at in range(0, len(asked), size)):
                self._ask(batch, found)

        return work

    def _ask(self, batch, found):
        """Search a batch; search deeper if documents that tie with the last one may be missing."""
        exact = address(self.collection.client) is None
        limit = self.k + exact
        while batch:
            if self.n_points is not None:
                limit = min(limit, self.n_points)
            requests = [self._request(vectors, allowed, limit) for _, vectors, allowed in batch]
            answers = self._send(requests)
            cut = []
            for query, answer in zip(batch, answers):
                scores = np.array([point.score for point in answer.points], dtype=np.float32)
                found[query[0]] = self._docids(answer.points), self._sign() * scores
                if exact and len(scores) == limit != self.n_points and scores[-1] == scores[min(self.k, limit) - 1]:
                    cut.append(query)
            batch, limit = cut, 4 * limit

    def _send(self, requests):
        client, name = self.collection.client, self.collection.name
        return self.retriever._send(client, lambda: client.query_batch_points(name, requests=requests))

    def _sign(self):
        vectors, ranking = self.collection.vectors, self.retriever.fusion
        if len(vectors) == 1:
            (ranking,) = vectors
        if ranking in vectors:
            return vectors[ranking].sign
        return 1.0

    def _docids(self, points):
        """Return the ids of points; rows, if the collection was uploaded here."""
        if self.is_uploaded:
            return np.array([point.id for point in points], dtype=np.int64)
        if self.retriever.id_field is None:
            return _objects([str(point.id) for point in points])
        key = self.retriever.id_field
        without = [point.id for point in points if key not in (point.payload or {})]
        if without:
            raise ValueError(
                f"points of collection {self.collection.name!r} have no {key!r} in their payload: {show(without)}; "
                "give id_field="
            )
        return _objects(as_id_list([point.payload[key] for point in points], "document"))

    def _vectors(self, i):
        """Return the vectors of query `i` by name, without empty ones."""
        given = {name: as_given(output[i : i + 1], self.models)[0] for name, output in self.outputs.items()}
        return {name: vector for name, vector in given.items() if vector is not None}

    def _can_find(self, vectors):
        """Tell whether these vectors suffice; a vector that ranks candidates needs others that propose them."""
        fusion = self.retriever.fusion
        if len(self.collection.vectors) > 1 and fusion in self.collection.vectors:
            return fusion in vectors and len(vectors) > 1
        return len(vectors) > 0

    def _request(self, vectors, allowed, limit):
        models, key = self.models, self.retriever.id_field
        payload = False
        if not self.is_uploaded and key is not None:
            payload = [key]
        fixed = {"limit": limit, "with_payload": payload}
        if len(self.collection.vectors) == 1:
            ((name, vector),) = vectors.items()
            using = name or None
            return models.QueryRequest(query=vector, using=using, filter=allowed, params=self.params, **fixed)
        fusion = self.retriever.fusion
        depth = self.retriever.n_candidates or self.k
        prefetch = [
            models.Prefetch(query=vector, using=name, filter=allowed, params=self.params, limit=depth)
            for name, vector in vectors.items()
            if name != fusion
        ]
        if fusion in ("rrf", "dbsf"):
            return models.QueryRequest(
                prefetch=prefetch, query=models.FusionQuery(fusion=models.Fusion(fusion)), **fixed
            )
        return models.QueryRequest(prefetch=prefetch, query=vectors[fusion], using=fusion, **fixed)

    def _filter(self, rows):
        models, key = self.models, self.retriever.id_field
        if self.is_uploaded:
            allowed = models.HasIdCondition(has_id=rows.tolist())
        else:
            docids = self.retriever.corpus_.docids(rows).tolist()
            numbers = [int(docid) for docid in docids if docid.isascii() and docid.isdecimal()]
            if key is None:
                named = [docid for docid in docids if not (docid.isascii() and docid.isdecimal())]
                allowed = models.HasIdCondition(has_id=[*numbers, *named])
            else:
                matches = [models.MatchAny(any=values) for values in (docids, numbers) if values]
                allowed = models.Filter(should=[models.FieldCondition(key=key, match=match) for match in matches])
        if self.native is None:
            return models.Filter(must=[allowed])
        return models.Filter(must=[allowed, self.native])


class Address(str):
    """Address of a server, with a repr that hides the user and the password in it."""

    def __repr__(self):
        return repr(self.shown)

    def __deepcopy__(self, memo):
        return self

    @property
    def shown(self):
        """The address without user, password and query, each of which may be a secret."""
        scheme, slashes, rest = self.rpartition("://")
        user, at, rest = rest.rpartition("@")
        rest, mark, query = rest.partition("?")
        return f"{scheme}{slashes}{'***@' * bool(at)}{rest}{'?***' * bool(mark)}"


def connect(retriever):
    """Open the client of a retriever."""
    qdrant_client = optional_import("qdrant_client", extra="qdrant")
    if retriever.client is not None:
        client = retriever.client
        if callable(client):
            client = client()
        if not hasattr(client, "query_batch_points"):
            raise TypeError(
                f"expected a QdrantClient, or a function that makes one, as client; got {type(client).__name__}"
            )
        return client
    if retriever.url is not None:
        try:
            return qdrant_client.QdrantClient(url=retriever.url, timeout=retriever.timeout, check_compatibility=False)
        except ValueError:  # its text may hold part of a password
            message = f"url={retriever.url!r} is not an address for Qdrant's client"
            raise ValueError(f"{message}; expected one like 'http://localhost:6333'") from None
    if retriever.path is not None:
        return _embedded_in(os.path.realpath(retriever.path), qdrant_client)
    return qdrant_client.QdrantClient(location=":memory:")


def address(client):
    """Return the server of a client, for messages; None for the embedded mode."""
    options = getattr(client, "init_options", {})
    if options.get("location") == ":memory:" or options.get("path") is not None:
        return None
    return Address(options.get("url") or options.get("location") or options.get("host") or "localhost").shown


def explained(error, client, timeout):
    """Return a clearer error that names the remedy, or None if the error itself is clear."""
    server = address(client)
    source = getattr(error, "source", None)
    if _of_transport(source):
        if "Timeout" in type(source).__name__ and "Connect" not in type(source).__name__:
            return TimeoutError(f"Qdrant at {server} did not answer within {timeout:g} seconds; raise timeout=")
        return ConnectionError(
            f"no Qdrant server answers at {server} ({source}); is it running? Without client=, url= and path= the "
            "embedded mode needs no server"
        )
    if source is not None:
        return ValueError(f"the server at {server} does not answer as Qdrant does: {source}")
    status = getattr(error, "status_code", None)
    if status in (401, 403):
        return PermissionError(
            f"Qdrant at {server} refuses access ({error}): give client=QdrantClient(url, api_key=...), or a function "
            "that makes one"
        )
    if status == 404:
        return ValueError(f"Qdrant at {server} has no such collection, or no longer has it: {error}")
    return None


def pause_of(error):
    """Return the seconds to wait before the next try; None if another try is useless."""
    if hasattr(error, "retry_after_s"):
        return float(error.retry_after_s)
    if hasattr(error, "status_code"):
        is_temporary = may_pass(error.status_code)
    elif hasattr(error, "source"):
        is_temporary = _of_transport(error.source)
    else:
        code = getattr(error, "code", None)  # of gRPC
        is_temporary = callable(code) and getattr(code(), "name", None) in _TEMPORARY
    if is_temporary:
        return 0.0
    return None


def _of_transport(source):
    """Tell whether a connection broke or timed out; the client wraps answers that it cannot read likewise."""
    return type(source).__module__.partition(".")[0] in ("httpx", "httpcore")


# Clients by folder, because a folder can be open only once, and by the token of a pickle.
_CLIENTS = Recent(0)


def _embedded_in(path, qdrant_client):
    return _CLIENTS.get(path, lambda: qdrant_client.QdrantClient(path=path, force_disable_check_same_thread=True))


class Reconnection:
    """Represent a client in a pickle: find it if it is still alive in this process, or make it again."""

    def __init__(self, token, options):
        self.token, self.options = token, options

    @classmethod
    def of(cls, client):
        return cls(_CLIENTS.key_of(client, lambda: uuid.uuid4().hex), client.init_options)

    def __call__(self):
        qdrant_client = optional_import("qdrant_client", extra="qdrant")
        return _CLIENTS.get(self.token, lambda: qdrant_client.QdrantClient(**self.options))


def _objects(values):
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return objects


def kind(output):
    """Return the kind of vectors, a key of `KINDS`."""
    if sparse.issparse(output):
        return "sparse"
    if isinstance(output, TokenVectors):
        return "multi"
    return "dense"


def width(output):
    """Return the number of dimensions of vectors."""
    if isinstance(output, TokenVectors):
        return output.n_features
    return output.shape[1]


def as_given(output, models):
    """Return one vector per text in the form that Qdrant takes; None for an empty one."""
    if isinstance(output, TokenVectors):
        return [matrix.tolist() or None for matrix in output]
    if not sparse.issparse(output):
        return output.tolist()
    vectors = [None] * output.shape[0]
    for row, (i, j) in enumerate(intervals(output.indptr)):
        if j > i:
            indices, values = output.indices[i:j].tolist(), output.data[i:j].tolist()
            vectors[row] = models.SparseVector(indices=indices, values=values)
    return vectors


def _model(model, given, name):
    """Return a parameter, which may be a dict, as one of Qdrant's models."""
    if given is None or isinstance(given, model):
        return given
    if not isinstance(given, dict):
        raise TypeError(
            f"expected a qdrant_client.models.{model.__name__} or its dict as {name}, got {type(given).__name__}"
        )
    return model(**given)
