"""Qdrant: clients, collections, requests."""

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

KINDS = {"dense": "a dense vector", "sparse": "sparse weights", "multi": "token vectors"}


@dataclass(frozen=True)
class Vector:
    """What a collection knows of one of its vectors."""

    kind: str  # of KINDS
    size: int | None
    distance: str  # as Qdrant calls it

    @property
    def sign(self):
        """-1 where what Qdrant calls the score is a distance."""
        return -1.0 if self.distance in ("Euclid", "Manhattan") else 1.0


@dataclass(frozen=True)
class Collection:
    """A collection, and the client that has it."""

    client: object
    name: str
    vectors: dict

    def create(self, **options):
        """Make it, where it is not there yet."""
        if self.client.collection_exists(self.name):
            return
        models = optional_import("qdrant_client.models", extra="qdrant")
        largest = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        dense = {
            name: models.VectorParams(
                size=of.size,
                distance=models.Distance(of.distance),
                multivector_config=largest if of.kind == "multi" else None,
            )
            for name, of in self.vectors.items()
            if of.kind != "sparse"
        }
        weights = {name: models.SparseVectorParams() for name, of in self.vectors.items() if of.kind == "sparse"}
        self.client.create_collection(self.name, vectors_config=dense, sparse_vectors_config=weights, **options)

    def points(self, start, outputs, columns):
        """Points numbered from `start`, of vectors by name; their payload are `columns`, without what is NaN."""
        models = optional_import("qdrant_client.models", extra="qdrant")
        given = {name: as_given(output, models) for name, output in outputs.items()}
        return [
            models.PointStruct(
                id=start + i,
                vector={name: of[i] for name, of in given.items() if of[i] is not None},
                payload={name: of[i] for name, of in columns.items() if of[i] == of[i]},
            )
            for i in range(len(next(iter(columns.values()))))
        ]


class Requests:
    """Makes the requests of queries, sends them, and reads what comes back."""

    def __init__(self, retriever, there, outputs, k):
        self.retriever, self.there, self.outputs, self.k = retriever, there, outputs, k
        self.models = optional_import("qdrant_client.models", extra="qdrant")
        self.own = retriever.collection is None
        self.n = len(retriever.corpus_) if self.own else None
        self.native = _model(self.models.Filter, retriever.query_filter, "query_filter")
        self.params = _model(self.models.SearchParams, retriever.search_params, "search_params")

    def worker(self, found, offset, masks, mask_of):
        """A function that asks a range of queries, counted from `offset`, and puts the answers into `found`."""
        filters = {-1: self.native}
        for m in () if masks is None else range(len(masks)):
            rows = np.flatnonzero(masks[m])
            filters[m] = self._filter(rows) if len(rows) else None

        def work(start, stop):
            asked = []
            for i in range(start, stop):
                m = int(mask_of[i]) if len(mask_of) else -1
                found[offset + i] = self._docids([]), np.empty(0, dtype=np.float32)
                vectors = self._vectors(offset + i)
                if self._can_find(vectors) and (m < 0 or filters[m] is not None):
                    asked.append((offset + i, vectors, filters[m]))
            size = self.retriever.batch_size
            for batch in (asked[at : at + size] for at in range(0, len(asked), size)):
                self._ask(batch, found)

        return work

    def _ask(self, batch, found):
        """Ask; ask for more where documents that tie with the last one may have been left out."""
        exact = address(self.there.client) is None
        limit = self.k + 1 if exact else self.k
        while batch:
            limit = limit if self.n is None else min(limit, self.n)
            requests = [self._request(vectors, allowed, limit) for _, vectors, allowed in batch]
            answers = self._send(requests)
            cut = []
            for one, answer in zip(batch, answers):
                scores = np.array([point.score for point in answer.points], dtype=np.float32)
                found[one[0]] = self._docids(answer.points), self._sign() * scores
                if exact and len(scores) == limit != self.n and scores[-1] == scores[min(self.k, limit) - 1]:
                    cut.append(one)
            batch, limit = cut, 4 * limit

    def _send(self, requests):
        client, name = self.there.client, self.there.name
        return self.retriever._send(client, lambda: client.query_batch_points(name, requests=requests))

    def _sign(self):
        names = list(self.there.vectors)
        if len(names) > 1:
            return self.there.vectors[self.retriever.fusion].sign if self.retriever.fusion in names else 1.0
        return self.there.vectors[names[0]].sign

    def _docids(self, points):
        """Ids of points; in a collection of ours, which are numbered by row, rows."""
        if self.own:
            return np.array([point.id for point in points], dtype=np.int64)
        if self.retriever.id_field is None:
            return _objects([str(point.id) for point in points])
        key = self.retriever.id_field
        without = [point.id for point in points if key not in (point.payload or {})]
        if without:
            raise ValueError(
                f"points of collection {self.there.name!r} have no {key!r} in their payload: {show(without)}; say "
                "id_field="
            )
        return _objects(as_id_list([point.payload[key] for point in points], "document"))

    def _vectors(self, i):
        """The vectors of query `i` by name, without those that have nothing to compare."""
        given = {name: as_given(output[i : i + 1], self.models)[0] for name, output in self.outputs.items()}
        return {name: vector for name, vector in given.items() if vector is not None}

    def _can_find(self, vectors):
        """Whether there is something to compare; a vector that ranks candidates needs others that propose them."""
        fusion = self.retriever.fusion
        if len(self.there.vectors) > 1 and fusion in self.there.vectors:
            return fusion in vectors and len(vectors) > 1
        return len(vectors) > 0

    def _request(self, vectors, allowed, limit):
        models, key = self.models, self.retriever.id_field
        payload = [key] if not self.own and key is not None else False
        fixed = {"limit": limit, "with_payload": payload}
        if len(self.there.vectors) == 1:
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
        if self.own:
            allowed = models.HasIdCondition(has_id=rows.tolist())
        else:
            docids = self.retriever.corpus_.docids(rows).tolist()
            numbers = [int(docid) for docid in docids if docid.isascii() and docid.isdecimal()]
            if key is None:
                named = [docid for docid in docids if not (docid.isascii() and docid.isdecimal())]
                allowed = models.HasIdCondition(has_id=[*numbers, *named])
            else:
                matches = [models.MatchAny(any=docids)] + ([models.MatchAny(any=numbers)] if numbers else [])
                allowed = models.Filter(should=[models.FieldCondition(key=key, match=match) for match in matches])
        return models.Filter(must=[allowed] if self.native is None else [allowed, self.native])


class Address(str):
    """Address of a server, whose repr does not show the user and the password in it."""

    def __repr__(self):
        return repr(self.shown)

    def __deepcopy__(self, memo):
        return self

    @property
    def shown(self):
        """The address without user, password and query, of which each may be a secret."""
        scheme, slashes, rest = self.rpartition("://")
        user, at, rest = rest.rpartition("@")
        rest, mark, query = rest.partition("?")
        return f"{scheme}{slashes}{'***@' * bool(at)}{rest}{'?***' * bool(mark)}"


def connect(retriever):
    """Open the client that a retriever asks for."""
    qdrant_client = optional_import("qdrant_client", extra="qdrant")
    if retriever.client is not None:
        client = retriever.client() if callable(retriever.client) else retriever.client
        if not hasattr(client, "query_batch_points"):
            raise TypeError(f"client is a QdrantClient or a function that makes one, got {type(client).__name__}")
        return client
    if retriever.url is not None:
        try:
            return qdrant_client.QdrantClient(url=retriever.url, timeout=retriever.timeout, check_compatibility=False)
        except ValueError:  # its text may hold a part of a password
            message = f"url={retriever.url!r} is not an address that Qdrant's client reads"
            raise ValueError(f"{message}; expected one like 'http://localhost:6333'") from None
    if retriever.path is not None:
        return _embedded_in(os.path.realpath(retriever.path), qdrant_client)
    return qdrant_client.QdrantClient(location=":memory:")


def address(client):
    """Find the server of a client, for messages; None for the embedded mode."""
    options = getattr(client, "init_options", {})
    if options.get("location") == ":memory:" or options.get("path") is not None:
        return None
    return Address(options.get("url") or options.get("location") or options.get("host") or "localhost").shown


def explained(error, client, timeout):
    """An error as users need it, or None where it says enough."""
    where = address(client)
    source = getattr(error, "source", None)
    if _of_transport(source):
        if "Timeout" in type(source).__name__ and "Connect" not in type(source).__name__:
            return TimeoutError(f"Qdrant at {where} did not answer within {timeout:g} seconds; raise timeout=")
        return ConnectionError(
            f"no Qdrant server answers at {where} ({source}); is it running? Without client=, url= and path= the "
            "embedded mode needs no server"
        )
    if source is not None:
        return ValueError(f"what answers at {where} does not speak as Qdrant does: {source}")
    status = getattr(error, "status_code", None)
    if status in (401, 403):
        return PermissionError(
            f"Qdrant at {where} refuses ({error}); give client=QdrantClient(url, api_key=...), or a function that "
            "makes one"
        )
    if status == 404:
        return ValueError(f"Qdrant at {where} has no such collection, or has it no longer: {error}")
    return None


def pause_of(error):
    """Seconds to wait before the next try; None where it is no use."""
    if hasattr(error, "retry_after_s"):
        return float(error.retry_after_s)
    if hasattr(error, "status_code"):
        return 0.0 if may_pass(error.status_code) else None
    if hasattr(error, "source"):
        return 0.0 if _of_transport(error.source) else None
    code = getattr(error, "code", None)  # of gRPC
    name = getattr(code(), "name", None) if callable(code) else None
    return 0.0 if name in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED") else None


def _of_transport(source):
    """Whether a connection broke or timed out, where the client also wraps what it cannot read."""
    return type(source).__module__.partition(".")[0] in ("httpx", "httpcore")


# Clients by folder, since a folder is open once at a time, and by the token of a pickle.
_CLIENTS = Recent(0)


def _embedded_in(path, qdrant_client):
    return _CLIENTS.get(path, lambda: qdrant_client.QdrantClient(path=path, force_disable_check_same_thread=True))


class Reconnection:
    """Stands for a client in a pickle: makes it again, or finds it where it is still alive."""

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
    """Which of `KINDS` vectors are."""
    return "sparse" if sparse.issparse(output) else "multi" if isinstance(output, TokenVectors) else "dense"


def width(output):
    """Length of the vectors."""
    return output.n_features if isinstance(output, TokenVectors) else output.shape[1]


def as_given(output, models):
    """One vector a text as Qdrant takes it; None where there is nothing in it."""
    if isinstance(output, TokenVectors):
        return [matrix.tolist() or None for matrix in output]
    if not sparse.issparse(output):
        return output.tolist()
    return [
        models.SparseVector(indices=output.indices[i:j].tolist(), values=output.data[i:j].tolist()) if j > i else None
        for i, j in intervals(output.indptr)
    ]


def _model(model, given, name):
    """A parameter as one of Qdrant's models, of which it may be the dict."""
    if given is None or isinstance(given, model):
        return given
    if not isinstance(given, dict):
        raise TypeError(f"{name} is a qdrant_client.models.{model.__name__} or its dict, got {type(given).__name__}")
    return model(**given)
