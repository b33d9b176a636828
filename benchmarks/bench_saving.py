"""A saved index: saving, opening it in a new process, its memory, and the first query.

Every index holds the same synthetic documents, and each word of the vocabulary occurs. An opening is measured in a new
process, which has opened and searched a small index before, so that libraries are imported and kernels loaded. The
ranking of the opened index equals that of the index that was saved.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks._harness import Row, megabytes, require, seconds, thousands

_ROUNDS = 5
_QUERY = 3  # words of the query
_OPENINGS = """
import json, sys, time
from benchmarks.bench_saving import OPENERS

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))

name, small, large, query = sys.argv[1:]
open_index = OPENERS[name]
open_index(small)(query)
memory, start = anonymous(), time.process_time()
search = open_index(large)
opened = time.process_time() - start
memory = anonymous() - memory
start = time.process_time()
found = search(query)
print(json.dumps([opened, memory * 1024, time.process_time() - start, found]))
"""


def make_texts(n_documents, n_words):
    """Return texts of ten words; each word occurs, and some are frequent."""
    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(n_words)], dtype=object)
    n_more = 10 * n_documents - n_words
    numbers = np.concatenate([rng.permutation(n_words), rng.zipf(1.3, size=n_more) % n_words])
    rng.shuffle(numbers)
    return [" ".join(row) for row in words[numbers].reshape(n_documents, 10).tolist()]


# --- saving
def save_ours(texts, folder):
    """Save a retriever, and dump it by joblib; return the CPU times."""
    import joblib

    import sklrank
    from sklrank import Corpus
    from sklrank.retrievers import BM25Retriever

    corpus = Corpus({f"d{i}": text for i, text in enumerate(texts)})
    retriever = BM25Retriever(corpus, k=10).fit(None)
    times = {"ours": [], "joblib": []}
    for _ in range(_ROUNDS):
        start = time.process_time()
        sklrank.save(retriever, folder / "ours")
        times["ours"].append(time.process_time() - start)
        start = time.process_time()
        joblib.dump(retriever, folder / "joblib")
        times["joblib"].append(time.process_time() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def save_bm25s(texts, folder):
    """Save an index of bm25s; return the CPU time."""
    import bm25s

    retriever = bm25s.BM25(method="lucene", backend="numba")
    retriever.index(bm25s.tokenize(texts, stopwords=None, show_progress=False), show_progress=False)
    start = time.process_time()
    retriever.save(str(folder / "bm25s"), show_progress=False)
    return time.process_time() - start


def save_tantivy(texts, folder):
    """Write an index of tantivy, which is always in files."""
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("text", index_option="freq")
    (folder / "tantivy").mkdir()
    index = tantivy.Index(builder.build(), path=str(folder / "tantivy"))
    writer = index.writer(heap_size=1_000_000_000, num_threads=1)
    for i, text in enumerate(texts):
        writer.add_document(tantivy.Document(id=f"d{i}", text=text))
    writer.commit()
    writer.wait_merging_threads()


# --- opening: each returns a function from a query to the ids that are found
def open_ours(folder):
    """Open what `sklrank.save` wrote."""
    import sklrank

    retriever = sklrank.load(f"{folder}/ours")
    return lambda query: retriever.predict([query]).docids[0]


def open_joblib(folder):
    """Open what joblib dumped, with memory maps."""
    import joblib

    retriever = joblib.load(f"{folder}/joblib", mmap_mode="r")
    return lambda query: retriever.predict([query]).docids[0]


def open_bm25s(folder):
    """Open an index of bm25s, with memory maps."""
    import bm25s

    retriever = bm25s.BM25.load(f"{folder}/bm25s", mmap=True)

    def search(query):
        tokens = bm25s.tokenize([query], stopwords=None, show_progress=False)
        rows, _ = retriever.retrieve(tokens, k=10, show_progress=False)
        return [f"d{row}" for row in rows[0].tolist()]

    return search


def open_tantivy(folder):
    """Open an index of tantivy."""
    import tantivy

    index = tantivy.Index.open(f"{folder}/tantivy")

    def search(query):
        searcher = index.searcher()
        hits = searcher.search(index.parse_query(query, ["text"]), 10, count=False).hits
        return [searcher.doc(address)["id"][0] for _, address in hits]

    return search


OPENERS = {"ours": open_ours, "joblib": open_joblib, "bm25s": open_bm25s, "tantivy": open_tantivy}


def measure(n_documents, n_words):
    """All rows at one size."""
    texts, size = make_texts(n_documents, n_words), thousands(n_documents)
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small"), Path(folder, "large")
        for path, some in ((small, texts[:100]), (large, texts)):
            path.mkdir()
            saved = save_ours(some, path)
            saved["bm25s"] = save_bm25s(some, path)
            save_tantivy(some, path)
        query = " ".join(texts[n_documents // 2].split()[:_QUERY])
        expected = open_ours(large)(query)
        figures = {name: [] for name in OPENERS}
        for _ in range(_ROUNDS):
            for name in OPENERS:
                command = [sys.executable, "-c", _OPENINGS, name, str(small), str(large), query]
                *measured, found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
                require(name in ("bm25s", "tantivy") or found == expected, f"documents found by {name}")
                figures[name].append(measured)
    opened = {name: np.median(values, axis=0).tolist() for name, values in figures.items()}
    what = f"{size} documents, {thousands(n_words)} terms"
    ours, memory, first = opened["ours"]
    for peer in ("joblib", "bm25s"):
        yield Row(f"save, {what}", seconds(saved["ours"]), peer, seconds(saved[peer]), saved[peer] / saved["ours"])
    yield Row(f"open, {what}", seconds(ours), value=1e3 * ours, limit=50, unit="ms")
    yield Row(f"memory after opening, {what}", megabytes(memory), value=memory / 1e6, limit=20, unit="MB")
    for peer in ("joblib", "bm25s", "tantivy"):
        theirs, their_memory, their_first = opened[peer]
        yield Row(f"open, {what}", seconds(ours), peer, seconds(theirs), theirs / ours)
        yield Row(f"memory after opening, {what}", megabytes(memory), peer, megabytes(their_memory))
        yield Row(f"first query after opening, {what}", seconds(first), peer, seconds(their_first), their_first / first)


def run(quick=False):
    """All rows."""
    if quick:
        yield from measure(20_000, 20_000)
        return
    yield from measure(1_000_000, 1_000_000)
