"""BM25 retrieval on one thread: queries enter as strings, rankings leave with ids.

Against bm25s (numba back end; queries through its tokenizer) and tantivy (queries through an analyzer of its own and
a boolean query of term queries; no counting of hits, so that it may prune; one segment where it makes one; ids from a
fast field). The analysis is the same everywhere: words of two or more letters, lower-cased, not stemmed.
"""

import time
from collections import Counter
from contextlib import contextmanager

import numpy as np

from benchmarks._corpora import make_queries, make_texts
from benchmarks._harness import Row, interleave, require, seconds, thousands

CUTOFFS = (10, 100, 1000)
K1, B = 1.2, 0.75  # compiled into tantivy
# (floor, goal) against bm25s at k = 100
ASKED = {
    ("light", 100_000): (2.5, 3.0),
    ("light", 1_000_000): (3.0, 5.0),
    ("heavy", 100_000): (1.3, 2.0),
    ("heavy", 1_000_000): (1.8, 3.0),
}
TEXTS = {"zipf": "synthetic", "real": "real sentences"}


class Bm25s:
    def __init__(self, texts, ids):
        import bm25s

        self.tokenize = bm25s.tokenize
        self.retriever = bm25s.BM25(method="lucene", k1=K1, b=B, backend="numba")
        self.retriever.index(self._tokens(texts, return_ids=True), show_progress=False)
        self.ids = np.array(ids, dtype=object)

    def _tokens(self, texts, return_ids=False):
        return self.tokenize(texts, stopwords=None, stemmer=None, return_ids=return_ids, show_progress=False)

    def search(self, queries, k):
        found = self.retriever.retrieve(
            self._tokens(queries), corpus=self.ids, k=k, n_threads=1, show_progress=False
        )  # list of list of str; its other forms are slower
        return found.documents, found.scores

    def pairs(self, queries, k):
        return zip(*self.search(queries, k))


class Tantivy:
    def __init__(self, texts, ids):
        import tantivy

        self.tantivy = tantivy
        self.analyzer = (
            tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(r"\w\w+")).filter(tantivy.Filter.lowercase()).build()
        )
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("text", tokenizer_name="words", index_option="freq")
        builder.add_integer_field("row", fast=True)
        self.schema = builder.build()
        index = tantivy.Index(self.schema)
        index.register_tokenizer("words", self.analyzer)
        writer = index.writer(heap_size=2_000_000_000, num_threads=1)
        for row, text in enumerate(texts):
            writer.add_document(tantivy.Document(text=text, row=row))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        self.searcher = index.searcher()
        self.ids = ids

    def search(self, queries, k):
        query_of, should = self.tantivy.Query, self.tantivy.Occur.Should
        schema, analyze, search, ids = self.schema, self.analyzer.analyze, self.searcher.search, self.ids
        out = []
        for text in queries:
            terms = [(should, query_of.term_query(schema, "text", t, "freq")) for t in analyze(text)]
            hits = search(query_of.boolean_query(terms), limit=k, count=False).hits
            rows = self.searcher.fast_field_values("row", [address for _, address in hits])
            out.append(([ids[row] for row in rows], [score for score, _ in hits]))
        return out

    def pairs(self, queries, k):
        return self.search(queries, k)


class Sklrank:
    def __init__(self, texts, ids, n_jobs=None):
        from sklrank import Corpus
        from sklrank.retrievers import BM25Retriever

        self.retriever = BM25Retriever(Corpus(texts, ids=ids), method="lucene", k1=K1, b=B, n_jobs=n_jobs).fit(None)

    def search(self, queries, k):
        run = self.retriever.set_params(k=k).predict(queries)
        return run, run.docids

    def docids(self, queries):
        return self.retriever.predict(queries).docids

    def pairs(self, queries, k):
        run, docids = self.search(queries, k)
        return zip(docids, np.split(run.scores, run.indptr[1:-1]))


def check(ours, theirs, queries, k):
    """The scores of bm25s rank by rank, and its documents but for those tied with the last."""
    for query, (docids, scores), (their_docids, their_scores) in zip(
        queries, ours.pairs(queries, k), theirs.pairs(queries, k)
    ):
        n = len(scores)
        require(np.allclose(scores, their_scores[:n], rtol=1e-5, atol=0), f"scores for {query!r}")
        require((their_scores[n:] == 0).all(), f"documents that only bm25s finds for {query!r}")
        last = scores[-1] * (1 + 1e-5) if n == k else 0
        above = {docid for docid, score in zip(docids, scores) if score > last}
        require(above <= set(their_docids), f"documents for {query!r}")


def check_roughly(ours, theirs, queries, k):
    """About the rankings of tantivy, which rounds lengths to a byte; its scores have a factor k1 + 1."""
    shared = total = 0
    for query, (docids, scores), (their_docids, their_scores) in zip(
        queries, ours.pairs(queries, k), theirs.pairs(queries, k)
    ):
        require(len(docids) == len(their_docids), f"number of documents for {query!r}")
        error = np.abs(np.asarray(their_scores) / (K1 + 1) / scores - 1).mean()
        require(error < 0.03, f"scores for {query!r}, by {error:.1%}")
        shared += len(set(docids) & set(their_docids))
        total += len(docids)
    # resampled sentences give many documents scores that differ by less than the rounding
    require(shared > 0.7 * total, f"documents: {shared / total:.1%} are the same")


def measure(text_kind, n_documents, rounds, kept, cutoffs=CUTOFFS):
    """All figures on one collection; what `measure_scaling` needs is left in `kept`."""
    n_queries = 500 if n_documents <= 100_000 else 200
    texts = make_texts(text_kind, n_documents)
    ids = [f"doc-{i}" for i in range(n_documents)]
    ours = Sklrank(texts, ids)
    engines = {"sklrank": ours, "bm25s": Bm25s(texts, ids), "tantivy": Tantivy(texts, ids)}
    if text_kind == "real":
        kept[n_documents] = ours, make_queries("light", texts)
    for query_kind in ("light", "heavy"):
        queries = make_queries(query_kind, texts, n_queries)
        for k in cutoffs:
            check(ours, engines["bm25s"], queries, k)
            check_roughly(ours, engines["tantivy"], queries, k)
            times = interleave(
                {name: lambda engine=engine: engine.search(queries, k) for name, engine in engines.items()},
                rounds=rounds,
                at_least=2.0,
            )
            per_query = {name: value / len(queries) for name, value in times.items()}
            what = f"{query_kind} queries, {thousands(n_documents)} documents, {TEXTS[text_kind]}, k = {k}"
            for peer in engines:
                if peer == "sklrank":
                    continue
                floor = goal = None
                if peer == "bm25s" and k == 100:
                    floor, goal = ASKED.get((query_kind, n_documents), (None, None))
                elif peer == "tantivy":
                    floor = {10: 1.0, 100: 2.5}.get(k)
                yield Row(
                    what,
                    seconds(per_query["sklrank"]),
                    peer,
                    seconds(per_query[peer]),
                    per_query[peer] / per_query["sklrank"],
                    floor,
                    goal,
                )
    yield from measure_threads(ours, texts, n_documents, text_kind, rounds)
    if n_documents <= 100_000:
        yield from measure_single(ours, texts, n_documents, text_kind)


def measure_threads(ours, texts, n_documents, text_kind, rounds):
    """Two threads against one, by the wall clock."""
    for query_kind, n_queries in (("light", 5000), ("heavy", 1000)):
        queries = make_queries(query_kind, texts, n_queries)
        one = ours.retriever.set_params(k=100, n_jobs=1)
        expected = one.predict(queries)
        two = type(one)(one.corpus, method="lucene", k1=K1, b=B, k=100, n_jobs=2).fit(None)
        require((two.predict(queries).rows == expected.rows).all(), "two threads")
        times = interleave(
            {1: lambda: one.predict(queries), 2: lambda: two.predict(queries)},
            rounds=rounds,
            clock=time.perf_counter,
            at_least=2.0,
        )
        yield Row(
            f"two threads, {n_queries} {query_kind} queries, {thousands(n_documents)} documents, "
            f"{TEXTS[text_kind]}, k = 100",
            seconds(times[2]),
            "one thread",
            seconds(times[1]),
            times[1] / times[2],
            1.7,
        )
        ours.retriever.set_params(n_jobs=None)


@contextmanager
def watched(*functions):
    """Count the calls of methods, given as pairs of a class and a name."""
    calls, originals = Counter(), [getattr(owner, name) for owner, name in functions]

    def counting(key, original):
        def call(*arguments, **keywords):
            calls[key] += 1
            return original(*arguments, **keywords)

        return call

    for (owner, name), original in zip(functions, originals):
        setattr(owner, name, counting(owner.__name__, original))
    try:
        yield calls
    finally:
        for (owner, name), original in zip(functions, originals):
            setattr(owner, name, original)


def measure_single(ours, texts, n_documents, text_kind):
    """One query at a time: what CPU time is spent above the kernel, and whether a pool or a thread limit is entered."""
    from concurrent.futures import ThreadPoolExecutor

    from joblib import Parallel
    from numba.core.registry import CPUDispatcher
    from threadpoolctl import threadpool_limits

    from sklrank.retrievers import _impacts

    kernels = {name: value for name, value in vars(_impacts).items() if isinstance(value, CPUDispatcher)}
    inside = [0.0]

    def timed(kernel):
        def call(*arguments):
            start = time.process_time()
            result = kernel(*arguments)
            inside[0] += time.process_time() - start
            return result

        return call

    queries = make_queries("light", texts, 2000)
    for k in (10, 100):
        ours.search(queries, k)  # sets k; the impacts of their terms are there, as in a service after a while
        above, whole = [], []
        vars(_impacts).update({name: timed(kernel) for name, kernel in kernels.items()})
        try:
            with watched(
                (Parallel, "__call__"), (ThreadPoolExecutor, "submit"), (threadpool_limits, "__init__")
            ) as calls:
                for query in queries:
                    inside[0] = 0.0
                    start = time.process_time()
                    ours.docids([query])
                    whole.append(time.process_time() - start)
                    above.append(whole[-1] - inside[0])
        finally:
            vars(_impacts).update(kernels)
        require(not calls, f"a single query entered {dict(calls)}")
        above, whole = np.median(above) * 1e6, np.median(whole) * 1e6
        yield Row(
            f"one query at a time, above the kernel, {thousands(n_documents)} documents, {TEXTS[text_kind]}, k = {k}",
            f"{above:.0f} µs of {whole:.0f}",
            value=above,
            limit=150,
            unit="µs",
        )


def measure_scaling(engines):
    """Light queries on real text, k = 10, for an increasing number of documents; `engines` by this number."""
    small, large = engines
    searches = {
        n: lambda engine=engine, queries=queries: engine.search(queries, 10) for n, (engine, queries) in engines.items()
    }
    times = {n: t / len(engines[n][1]) for n, t in interleave(searches, rounds=7, at_least=3.0).items()}
    ratio = times[large] / times[small]
    yield Row(
        f"light queries on real sentences, k = 10: {thousands(large)} documents against {thousands(small)}",
        f"{seconds(times[large])} to {seconds(times[small])}: {ratio:.1f}×",
        value=ratio,
        limit=6,
        unit="×",
    )


def run(quick=False):
    """All rows."""
    kept = {}
    for n in (5_000, 20_000) if quick else (100_000, 1_000_000):
        for text_kind in TEXTS:
            yield from measure(text_kind, n, rounds=3 if quick else 5, kept=kept)
    yield from measure_scaling(kept)
