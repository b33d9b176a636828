"""Documents that stand elsewhere: indexing and showing them, and indexes of other programs.

The same synthetic documents are indexed from a dict in memory, a table of SQLite and a file of Parquet, in turns; the
time includes the making of the corpus. Memory is that of the corpus, before it is indexed, in a process of its own. An
index in CIFF is also decoded by the reference implementation of Protocol Buffers.
"""

import ctypes
import gc
import multiprocessing
import sqlite3
import sys
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks._corpora import make_queries, zipf_texts
from benchmarks._harness import Row, interleave, megabytes, require, seconds, thousands

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the writer of CIFF by Protocol Buffers


def run(quick=False):
    n = 5_000 if quick else 200_000
    texts = zipf_texts(n)
    documents = {f"d{i:07}": text for i, text in enumerate(texts)}
    with tempfile.TemporaryDirectory() as folder:
        store(documents, Path(folder))
        yield from _documents(documents, Path(folder), make_queries("zipf", texts, 100))
        yield from _memory(Path(folder))
        yield from _ciff(documents, Path(folder))


def store(documents, folder):
    """Store documents in all ways."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with closing(sqlite3.connect(folder / "documents.db")) as connection, connection:
        connection.execute("CREATE TABLE documents (id TEXT PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO documents VALUES (?, ?)", documents.items())
    table = pa.table({"id": list(documents), "text": list(documents.values())})
    pq.write_table(table, folder / "documents.parquet", row_group_size=20_000)


def stored(name, folder):
    """Make a corpus of stored documents."""
    from sklrank import Corpus
    from sklrank.data import ArrowSource, SQLSource

    if name == "SQLite":
        return Corpus(SQLSource(partial(sqlite3.connect, folder / "documents.db"), "documents"))
    return Corpus(ArrowSource(folder / "documents.parquet"))


def _documents(documents, folder, queries):
    from sklrank import Corpus
    from sklrank.retrievers import BM25Retriever

    sources = {name: partial(stored, name, folder) for name in ("SQLite", "Parquet")}
    sources["memory"] = partial(Corpus, documents)
    runs = {name: BM25Retriever(make(), k=10).fit(None).predict(queries) for name, make in sources.items()}
    records = {name: found.to_records(fields="text") for name, found in runs.items()}
    require(records["SQLite"] == records["Parquet"] == records["memory"], "rankings and texts")
    times = interleave({name: lambda make=make: BM25Retriever(make()).fit(None) for name, make in sources.items()})
    shown = interleave({name: lambda run=found[:1]: run.to_records(fields="text") for name, found in runs.items()})
    for what, measured in ((f"index {thousands(len(documents))} documents", times), ("show ten of them", shown)):
        for name in ("SQLite", "Parquet"):
            ratio = measured["memory"] / measured[name]
            yield Row(f"{what} from {name}", seconds(measured[name]), "in memory", seconds(measured["memory"]), ratio)


def _memory(folder):
    held = {name: _in_a_process(name, folder) for name in ("memory", "SQLite", "Parquet")}
    for name in ("SQLite", "Parquet"):
        ratio = held["memory"] / max(held[name], 1)
        yield Row(f"corpus from {name}", megabytes(held[name]), "in memory", megabytes(held["memory"]), ratio)


def _in_a_process(name, folder):
    """Return the bytes that a corpus takes."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(name, folder, sender))
    process.start()
    held = receiver.recv()
    process.join()
    return held


def measure(name, folder, sender):
    """Send the bytes that a corpus takes."""
    from sklrank import Corpus

    stored("Parquet", folder), stored("SQLite", folder)  # imports and compiles
    before = _own_memory()
    if name == "memory":
        with closing(sqlite3.connect(folder / "documents.db")) as connection:
            corpus = Corpus(dict(connection.execute("SELECT id, text FROM documents")))
    else:
        corpus = stored(name, folder)
    sender.send(_own_memory() - before)
    require(len(corpus) > 0, "no documents")


def _own_memory():
    """Return the bytes in pages of this process that belong to no file, after freed memory has been returned."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))


def _ciff(documents, folder):
    from sklrank import Corpus
    from sklrank.datasets import read_ciff, write_ciff
    from sklrank.encoders import TermVectorizer

    vectorizer = TermVectorizer()
    counts = Corpus(vectorizer.fit_transform(Corpus(documents)), ids=list(documents))
    path, terms = folder / "index.ciff", vectorizer.get_feature_names_out()
    write_ciff(path, counts, terms)
    require((read_ciff(path).corpus.matrix() != counts.matrix()).nnz == 0, "counts that were written and read")
    require(_decoded(path, len(terms), len(documents)) == counts.matrix().nnz, "postings")
    contenders = {
        "read": lambda: read_ciff(path),
        "write": lambda: write_ciff(path, counts, terms),
        "protobuf": lambda: _decoded(path, len(terms), len(documents)),
    }
    times = interleave(contenders, rounds=3)
    size, ratio = megabytes(path.stat().st_size), times["protobuf"] / times["read"]
    yield Row(
        f"read CIFF, {size}", seconds(times["read"]), "protobuf, messages only", seconds(times["protobuf"]), ratio
    )
    yield Row(f"write CIFF, {size}", seconds(times["write"]))


def _decoded(path, n_terms, n_documents):
    """Decode all messages by Protocol Buffers; return the number of postings."""
    from ciff_messages import CLASSES

    content, position, n_postings = path.read_bytes(), 0, 0
    for kind, n in (("Header", 1), ("PostingsList", n_terms), ("DocRecord", n_documents)):
        for _ in range(n):
            size = shift = 0
            while True:
                byte = content[position]
                size |= (byte & 127) << shift
                shift, position = shift + 7, position + 1
                if byte < 128:
                    break
            message = CLASSES[kind].FromString(content[position : position + size])
            position += size
            if kind == "PostingsList":
                n_postings += len(message.postings)
    return n_postings
