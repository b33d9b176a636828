"""From raw text to an index that can be searched, English stemmer included: time and memory.

Time is CPU time and wall time of one process, in turns; tantivy's indexing thread works beside the one that feeds it,
so that its wall time can be less than its CPU time. Memory is the peak of a process of its own that starts with the
texts as a list of str.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._corpora import make_texts
from benchmarks._harness import (
    Row,
    forget_peak,
    interleave,
    megabytes,
    peak_memory,
    require,
    resident_memory,
    seconds,
    thousands,
)
from benchmarks.bench_retrieval import TEXTS


def sklrank(texts):
    from sklrank import Corpus
    from sklrank.encoders import TermVectorizer
    from sklrank.retrievers import BM25Retriever

    return BM25Retriever(Corpus(texts), vectorizer=TermVectorizer(stemmer="english")).fit(None)


def bm25s(texts):
    import bm25s
    import Stemmer

    retriever = bm25s.BM25(method="lucene", backend="numba")
    tokens = bm25s.tokenize(texts, stopwords=None, stemmer=Stemmer.Stemmer("english"), show_progress=False)
    retriever.index(tokens, show_progress=False)
    return retriever


def tantivy(texts):
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", tokenizer_name="en_stem", index_option="freq")
    index = tantivy.Index(builder.build())
    writer = index.writer(heap_size=1_000_000_000, num_threads=1)
    for text in texts:
        writer.add_document(tantivy.Document(text=text))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    return index


def corpus(texts):
    from sklrank import Corpus

    return Corpus(texts)


BUILDERS = {"sklrank": sklrank, "bm25s": bm25s, "tantivy": tantivy}


def check(texts):
    """The same vocabulary and the same document frequencies as bm25s."""
    import numpy as np

    ours, theirs = sklrank(texts).index_, bm25s(texts)
    vocabulary = ours.vectorizer.vocabulary_
    require(set(vocabulary) == set(theirs.vocab_dict) - {""}, "vocabulary")
    frequencies = np.diff(theirs.scores["indptr"])
    same = all(ours.document_frequencies[i] == frequencies[theirs.vocab_dict[t]] for t, i in vocabulary.items())
    require(same, "document frequencies")


def measure_time(text_kind, n_documents, rounds):
    """Time of each, in turns."""
    texts = make_texts(text_kind, n_documents)
    few = texts[: min(n_documents, 20_000)]
    check(few)
    tantivy(few)
    walls = {name: [] for name in BUILDERS}

    def timed(name):
        start = time.perf_counter()
        BUILDERS[name](texts)
        walls[name].append(time.perf_counter() - start)

    cpu = interleave({name: lambda name=name: timed(name) for name in BUILDERS}, rounds=rounds, warm_up=False)
    wall = {name: statistics.median(measured) for name, measured in walls.items()}
    for times, name in ((cpu, "CPU time"), (wall, "wall time")):
        for peer, floor in (("bm25s", 15.0), ("tantivy", 1.0)):
            yield Row(
                f"text to index, {thousands(n_documents)} documents, {TEXTS[text_kind]}, {name}",
                seconds(times["sklrank"]),
                peer,
                seconds(times[peer]),
                times[peer] / times["sklrank"],
                floor,
            )


def memory_of(builder, path):
    """Peak memory of a process that indexes the texts of a file, and what it held before: a dict of bytes."""
    command = [sys.executable, "-m", "benchmarks.bench_indexing", builder, str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(text_kind, n_documents):
    """Peak memory of each, one after the other."""
    folder = os.environ.get("TMPDIR", "/tmp")
    with tempfile.TemporaryDirectory(dir=folder) as folder:
        path = Path(folder) / "texts"
        path.write_text("\n".join(make_texts(text_kind, n_documents)), encoding="utf-8")
        used = {builder: memory_of(builder, path) for builder in ("sklrank", "bm25s", "corpus")}
    what = f"text to index, {thousands(n_documents)} documents, {TEXTS[text_kind]}, peak memory"
    for part, start in (("of the process", 0), ("above what it held with the texts", "before")):
        ours, theirs = (used[builder]["peak"] - used[builder].get(start, 0) for builder in ("sklrank", "bm25s"))
        yield Row(f"{what} {part}", megabytes(ours), "bm25s", megabytes(theirs), theirs / ours, 1 / 0.6)
    alone = used["corpus"]["peak"] - used["corpus"]["before"]
    yield Row(f"{what} {part}, the corpus alone", megabytes(alone), value=alone / n_documents, limit=1000, unit="bytes")


def run(quick=False):
    """All rows."""
    n, large = (5_000, 20_000) if quick else (100_000, 1_000_000)
    for text_kind in TEXTS:
        yield from measure_time(text_kind, n, rounds=3)
    yield from measure_memory("real", n)
    yield from measure_memory("real", large)


def _child(builder, path):
    """Index once to compile and import everything, then for the record."""
    with open(path, encoding="utf-8") as file:
        texts = file.read().split("\n")
    build = {**BUILDERS, "corpus": corpus}[builder]
    build(texts[:100])
    forget_peak()
    before = resident_memory()
    index = build(texts)
    print(json.dumps({"before": before, "peak": peak_memory()}))
    del index


if __name__ == "__main__":
    _child(*sys.argv[1:])
