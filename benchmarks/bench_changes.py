"""A corpus and an index that change: additions, removals, and the first query afterwards.

Each library starts with the same index of synthetic documents, and makes the same changes in turns. tantivy and
SQLite change files, and commit; sklrank changes an index in memory. bm25s has no changes, so that it builds its index
anew. Before anything is timed, rankings after the changes are compared with those of an index that was
built anew: every bit is equal.
"""

import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks._corpora import make_queries, zipf_texts
from benchmarks._harness import Row, require, seconds, thousands

_ROUNDS = 9
_CORPUS_ROUNDS = 20  # changes of a corpus; the mean of them has a share of the merges of parts


def cpu_of(call):
    """CPU time of a call in seconds."""
    start = time.process_time()
    call()
    return time.process_time() - start


class Ours:
    """BM25Retriever over a corpus, in memory."""

    def __init__(self, texts, folder):
        from sklrank import Corpus
        from sklrank.retrievers import BM25Retriever

        ids = [f"d{i}" for i in range(len(texts))]
        self.retriever = BM25Retriever(Corpus(dict(zip(ids, texts))), k=10).fit(None)

    def add(self, ids, texts):
        self.retriever.add(dict(zip(ids, texts)))

    def remove(self, ids):
        self.retriever.remove(ids)

    def query(self, text):
        return self.retriever.predict([text])

    def write(self):
        """Do nothing: changes are visible at once."""


class Tantivy:
    """An index of tantivy in a folder; ids are a raw text field, by which documents are deleted."""

    def __init__(self, texts, folder):
        import tantivy

        self.tantivy = tantivy
        self.folder = folder / "tantivy"
        self.folder.mkdir()
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
        builder.add_text_field("text", index_option="freq")
        self.index = tantivy.Index(builder.build(), path=str(self.folder))
        self.writer = self.index.writer(heap_size=1_000_000_000, num_threads=1)
        self.add([f"d{i}" for i in range(len(texts))], texts)
        self.write()

    def add(self, ids, texts):
        for docid, text in zip(ids, texts):
            self.writer.add_document(self.tantivy.Document(id=docid, text=text))

    def remove(self, ids):
        for docid in ids:
            self.writer.delete_documents("id", docid)

    def query(self, text):
        query = self.index.parse_query(text, ["text"])
        return self.index.searcher().search(query, 10, count=False)

    def write(self):
        self.writer.commit()
        self.index.reload()


class Sqlite:
    """A table of SQLite's FTS5, in a file."""

    def __init__(self, texts, folder):
        self.path = folder / "sqlite.db"
        self.base = sqlite3.connect(self.path)
        self.base.execute("PRAGMA journal_mode=WAL")
        self.base.execute("CREATE VIRTUAL TABLE docs USING fts5(text, detail=none)")
        self.add([f"d{i}" for i in range(len(texts))], texts)
        self.write()

    def add(self, ids, texts):
        rows = ((int(docid[1:]), text) for docid, text in zip(ids, texts))
        self.base.executemany("INSERT INTO docs(rowid, text) VALUES (?, ?)", rows)

    def remove(self, ids):
        self.base.executemany("DELETE FROM docs WHERE rowid = ?", ((int(docid[1:]),) for docid in ids))

    def query(self, text):
        words = " OR ".join(f'"{word}"' for word in text.split())
        return self.base.execute(
            "SELECT rowid, rank FROM docs WHERE docs MATCH ? ORDER BY rank LIMIT 10", (words,)
        ).fetchall()

    def write(self):
        self.base.commit()


def bm25s_index(texts):
    """Build an index of bm25s."""
    import bm25s

    retriever = bm25s.BM25(method="lucene", backend="numba")
    retriever.index(bm25s.tokenize(texts, stopwords=None, show_progress=False), show_progress=False)
    return retriever


def check():
    """After changes, the ranking of a fresh index, bit for bit."""
    from sklrank import Corpus
    from sklrank.retrievers import BM25Retriever

    texts = zipf_texts(5_000, n_words=20_000)
    queries = make_queries("heavy", texts, 200)
    documents = {f"d{i}": text for i, text in enumerate(texts)}
    kept = dict(list(documents.items())[:4_000])
    retriever = BM25Retriever(Corpus(kept)).fit(None)
    retriever.add({docid: documents[docid] for docid in list(documents)[4_000:]}).remove(["d7", "d4321"])
    del documents["d7"], documents["d4321"]
    changed, fresh = retriever.predict(queries), BM25Retriever(Corpus(documents)).fit(None).predict(queries)
    require(np.array_equal(changed.scores.view(np.int32), fresh.scores.view(np.int32)), "scores after changes")
    require(changed.docids == fresh.docids, "documents after changes")


def measure(n_documents, n_words):
    """All changes at one size."""
    n_added = n_documents // 100
    texts = zipf_texts(n_documents + n_added + _ROUNDS * 2, n_words=n_words)
    base, added, single = texts[:n_documents], texts[n_documents:-_ROUNDS], texts[-_ROUNDS:]
    added = added[:n_added]
    queries = make_queries("light", base, 4 * _ROUNDS)
    size = thousands(n_documents)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        built, indexes = {}, {}
        for kind in (Ours, Tantivy, Sqlite):
            start = time.process_time()
            indexes[kind] = kind(base, folder)
            built[kind] = time.process_time() - start
        rebuilt = cpu_of(lambda: bm25s_index(base))
        ours = built[Ours]
        yield Row(f"build, {size} documents", seconds(ours), "tantivy", seconds(built[Tantivy]), built[Tantivy] / ours)
        yield Row(f"build, {size} documents", seconds(ours), "SQLite", seconds(built[Sqlite]), built[Sqlite] / ours)
        yield Row(f"build, {size} documents", seconds(ours), "bm25s", seconds(rebuilt), rebuilt / ours)
        for index in indexes.values():
            index.write()
            index.query(queries[0])

        ids = [f"d{n_documents + i}" for i in range(n_added)]
        share = cpu_of(lambda: indexes[Ours].add(ids, added))
        what = f"add 1 % to {size} documents, share of a fresh build"
        yield Row(what, seconds(share), value=100 * share / ours, limit=2, unit="%")
        for kind, peer in ((Tantivy, "tantivy"), (Sqlite, "SQLite")):
            theirs = cpu_of(lambda kind=kind: (indexes[kind].add(ids, added), indexes[kind].write()))
            yield Row(f"add 1 % to {size} documents", seconds(share), peer, seconds(theirs), theirs / share)
        yield Row(f"add 1 % to {size} documents", seconds(share), "bm25s", seconds(rebuilt), rebuilt / share)

        times = {(kind, step): [] for kind in indexes for step in ("add", "query", "remove", "again")}
        for i, text in enumerate(single):
            for kind, index in indexes.items():
                docid = f"d{2 * n_documents + i}"
                times[kind, "add"].append(cpu_of(lambda i=index, d=docid, t=text: (i.add([d], [t]), i.write())))
                times[kind, "query"].append(cpu_of(lambda i=index, q=queries[4 * i + 1]: i.query(q)))
                times[kind, "remove"].append(cpu_of(lambda i=index, d=docid: (i.remove([d]), i.write())))
                times[kind, "again"].append(cpu_of(lambda i=index, q=queries[4 * i + 2]: i.query(q)))
        median = {key: statistics.median(values) for key, values in times.items()}
        limits = {"add": None, "query": 20e-3, "remove": 1e-3, "again": 20e-3}
        names = {
            "add": "add one document",
            "query": "first query after an addition",
            "remove": "remove one document",
            "again": "first query after a removal",
        }
        for step, name in names.items():
            value = median[Ours, step]
            limit = limits[step]
            if limit is not None:
                yield Row(f"{name}, {size} documents", seconds(value), value=1e3 * value, limit=1e3 * limit, unit="ms")
            for kind, peer in ((Tantivy, "tantivy"), (Sqlite, "SQLite")):
                yield Row(
                    f"{name}, {size} documents", seconds(value), peer, seconds(median[kind, step]),
                    median[kind, step] / value,
                )  # fmt: skip


def corpus_changes(n_documents):
    """Changes of a corpus without an index."""
    from sklrank import Corpus

    texts = zipf_texts(n_documents, n_words=1_000)
    corpus = Corpus({f"d{i}": text for i, text in enumerate(texts)})
    corpus.rows(["d0"])
    changed = corpus.extended({"y": "new"}).without(["d9"])
    shorter, longer = [corpus], [corpus]
    changes = {
        "without one document": lambda i: corpus.without([f"d{i}"]),
        "extended by one": lambda i: corpus.extended({f"x{i}": "new text"}),
        "with one replaced": lambda i: corpus.replaced({f"d{i}": "other text"}),
        "extended again": lambda i: changed.extended({f"x{i}": "new text"}),
        "without one after the other": lambda i: shorter.append(shorter[-1].without([f"d{i}"])),
        "extended by one after the other": lambda i: longer.append(longer[-1].extended({f"x{i}": "new text"})),
    }
    for name, change in changes.items():
        change(0)
        times = [cpu_of(lambda i=i, change=change: change(i)) for i in range(1, _CORPUS_ROUNDS + 1)]
        yield Row(f"corpus of {thousands(n_documents)} documents, {name}", seconds(statistics.mean(times)))


def run(quick=False):
    """All rows."""
    check()
    if quick:
        yield from corpus_changes(20_000)
        yield from measure(20_000, 20_000)
        return
    yield from corpus_changes(200_000)
    yield from measure(200_000, 100_000)
