"""A stub of Qdrant's server on the loopback interface: its REST API, for the calls that QdrantRetriever makes.

Requests are parsed by the client's own models of the protocol and answered by the client's embedded mode, so that what
goes over the wire is what a server would read and write. It is no server: its search is exact, and nothing is indexed.
"""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from qdrant_client import QdrantClient, models


class QdrantStub(ThreadingHTTPServer):
    """The stub; `log` has what was asked, `failures` what goes wrong with the next requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.store = QdrantClient(location=":memory:")
        self.lock = threading.Lock()
        self.log = []
        self.failures = []  # statuses; "drop" hangs up; a float is a delay in seconds

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def count(self, what):
        return sum(what in line for line in self.log)


@contextmanager
def running_stub():
    stub = QdrantStub()
    threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield stub
    finally:
        stub.shutdown()
        stub.server_close()


class _Handler(BaseHTTPRequestHandler):
    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.log.append(f"{self.command} {urlsplit(self.path).path}")
        failure = self.server.failures.pop(0) if self.server.failures else None
        if failure == "drop":
            self.close_connection = True
            return self.connection.close()
        if isinstance(failure, float):
            time.sleep(failure)
        elif failure is not None:
            headers = {"Retry-After": "0"} if failure == 429 else {}
            return self.reply(failure, {"status": {"error": "so it goes"}, "time": 0.0}, headers)
        try:
            with self.server.lock:
                result = self.answer(json.loads(body) if body else {})
        except KeyError as missing:
            return self.reply(
                404, {"status": {"error": f"Not found: Collection {missing} doesn't exist!"}, "time": 0.0}
            )
        except ValueError as error:
            return self.reply(400, {"status": {"error": str(error)}, "time": 0.0})
        return self.reply(200, {"result": result, "status": "ok", "time": 0.001})

    do_GET = do_PUT = do_POST = do_DELETE = handle_any

    def answer(self, body):
        store = self.server.store
        _, room, *rest = map(unquote, urlsplit(self.path).path.split("/"))
        assert room == "collections", self.path
        if not rest:
            return _json(store.get_collections())
        name, *rest = rest
        route = (self.command, *rest)
        if route == ("GET", "exists"):
            return {"exists": store.collection_exists(name)}
        if route == ("PUT",):
            config = models.CreateCollection(**body)
            given = {"vectors_config": config.vectors, "sparse_vectors_config": config.sparse_vectors}
            return store.create_collection(name, **given)
        if not store.collection_exists(name):
            raise KeyError(name)
        if route == ("GET",):
            return _json(store.get_collection(name))
        if route == ("DELETE",):
            return store.delete_collection(name)
        if route == ("POST", "points", "count"):
            return _json(store.count(name, exact=models.CountRequest(**body).exact))
        if route == ("PUT", "points"):
            return _json(store.upsert(name, models.PointsList(**body).points))
        assert route == ("POST", "points", "query", "batch"), route
        searches = models.QueryRequestBatch(**body).searches
        return [_json(answer) for answer in store.query_batch_points(name, searches)]

    def reply(self, status, value, headers=None):
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": len(data), **(headers or {})}.items():
            self.send_header(name, str(text))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def _json(model):
    return model.model_dump(mode="json")
