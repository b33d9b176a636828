"""Indexes of several segments: equal, bit for bit, to the index of one segment with the same documents."""

import gc
import pickle
import weakref

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone

from sklrank import Corpus
from sklrank._kernels._postings import add_frequencies
from sklrank.data._layout import Layout
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import (
    BM25FRetriever,
    BM25Retriever,
    DFRRetriever,
    LanguageModelRetriever,
    RM3Retriever,
    TfidfRetriever,
    _index,
)
from sklrank.retrievers._index import Index
from sklrank.retrievers._segment import Segment

FORMULAS = {
    **{f"bm25-{m}": BM25Retriever(method=m) for m in ("lucene", "robertson", "atire", "bm25l", "bm25+")},
    "tfidf": TfidfRetriever(),
    "tfidf-sublinear": TfidfRetriever(sublinear_tf=True),
    "lm-dirichlet": LanguageModelRetriever(),
    "lm-jelinek-mercer": LanguageModelRetriever(smoothing="jelinek-mercer"),
    **{f"dfr-{model}": DFRRetriever(model=model) for model in ("PL2", "InL2", "DLH", "DPH")},
}
N_TERMS = 7
NO_MASKS = np.empty((0, 0), dtype=np.uint8), np.empty(0, dtype=np.int64)


@st.composite
def cut_collections(draw):
    """Draw matrices of parts, their layout, and the rows of the live documents among those of all parts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    divisor = draw(st.sampled_from([1, 7]))  # whole numbers, or weights whose sums depend on their order

    def part(n):
        counts = rng.integers(1, 6, (n, N_TERMS)) * (rng.random((n, N_TERMS)) < 0.4)
        counts[rng.random(n) < 0.2] = 0
        return sparse.csr_array(counts / divisor if divisor > 1 else counts)

    sizes = draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    parts, layout, live = [part(sizes[0])], Layout.whole(sizes[0]), list(range(sizes[0]))
    n_all = sizes[0]
    for size in sizes[1:]:
        kind = draw(st.sampled_from(["add", "replace", "remove"]))
        n_chosen = draw(st.integers(0, min(size, len(live) - 1)))
        chosen = rng.permutation(len(live))[:n_chosen]
        if kind == "remove" and n_chosen:
            layout = layout.without(*layout.locate(chosen))
            live = [place for row, place in enumerate(live) if row not in chosen]
        if kind == "replace" and n_chosen:
            layout, order = layout.replaced(*layout.locate(chosen), size - n_chosen)
            for i, row in enumerate(chosen[order].tolist()):
                live[row] = n_all + i
            live += range(n_all + n_chosen, n_all + size)
        else:
            layout = layout.extended(size)
            live += range(n_all, n_all + size)
        parts.append(part(size))
        n_all += size
    return parts, layout, live


def bags_of(index, queries):
    """Return the terms of queries, given as lists of numbers."""
    indptr = np.cumsum([0, *map(len, queries)])
    numbers = np.array([t for query in queries for t in query], dtype=np.uint32)
    return index.bags(indptr, numbers, np.ones(len(numbers), dtype=np.float32))


def weigher_of(name, index):
    """Return the formula of a retriever that searches the index."""
    retriever = clone(FORMULAS[name])
    retriever.index_ = index
    return retriever._weigh


@pytest.mark.parametrize("name", FORMULAS)
@settings(max_examples=12, deadline=None)
@given(
    collection=cut_collections(),
    queries=st.lists(st.lists(st.integers(0, N_TERMS - 1), unique=True, max_size=4), min_size=1, max_size=4),
    k=st.sampled_from([1, 2, 5, 100]),
    data=st.data(),
)
def test_segments_equal_one_segment(name, collection, queries, k, data):
    parts, layout, live = collection
    cut = Index([Segment.from_matrix(part) for part in parts], layout)
    whole = Index([Segment.from_matrix(sparse.csr_array(sparse.vstack(parts)[live]))])
    assert cut.n_documents == whole.n_documents
    assert cut.total_length == whole.total_length
    np.testing.assert_array_equal(cut.document_frequencies, whole.document_frequencies)
    np.testing.assert_array_equal(cut.terms.collection_frequencies, whole.terms.collection_frequencies)
    rows = np.array(data.draw(st.lists(st.integers(0, len(live) - 1), max_size=6)), dtype=np.int64)
    for got, expected in zip(cut.contents(rows), whole.contents(rows)):
        np.testing.assert_array_equal(got, expected)
    masks, mask_of = NO_MASKS
    if data.draw(st.booleans()):
        masks = np.array(data.draw(st.lists(st.lists(st.integers(0, 1), min_size=len(live), max_size=len(live)),
                                            min_size=2, max_size=2)), dtype=np.uint8)  # fmt: skip
        mask_of = np.array([data.draw(st.integers(-1, 1)) for _ in queries], dtype=np.int64)
    results = [
        index.impacts(name, weigher_of(name, index)).search(bags_of(index, queries), k, masks, mask_of, n_jobs)
        for index, n_jobs in ((cut, 2), (whole, None))
    ]
    for got, expected in zip(*results):
        np.testing.assert_array_equal(got, expected)


@settings(max_examples=60, deadline=None)
@given(
    matrix=st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=40),
    divisor=st.sampled_from([1, 7]),
    data=st.data(),
)
def test_frequencies_of_live_documents(matrix, divisor, data):
    """Few dead documents are looked up, and for many the lists are read; both give the counts of plain Python."""
    segment = Segment.from_matrix(sparse.csr_array(np.array(matrix) / divisor))
    dead = np.array(sorted(data.draw(st.sets(st.integers(0, len(matrix) - 1), max_size=4))), dtype=np.int64)
    alive = np.ones(len(matrix) if len(dead) else 0, dtype=np.uint8)
    alive[dead] = 0
    terms = np.array([2, 0, 3, 1, 0])  # 3 is the empty list
    documents, occurrences = np.ones(5, dtype=np.int64), np.full(5, 2.0)
    lists = segment.indptr, segment.docs, segment.counts
    add_frequencies(terms, *lists, segment.is_counted, alive, dead, documents, occurrences)
    for term, found, total in zip(terms, documents, occurrences):
        n, weight = 1, 2.0
        for row, values in enumerate(matrix):
            if term < 3 and values[term] and row not in dead:
                n, weight = n + 1, weight + float(np.float32(values[term] / divisor))
        assert (found, total) == (n, weight)
    documents[:] = 0
    add_frequencies(terms, *lists, segment.is_counted, alive, dead, documents, np.empty(0))
    assert documents.tolist() == [
        sum(t < 3 and values[t] > 0 and row not in dead for row, values in enumerate(matrix)) for t in terms
    ]


def test_positions_of_live_documents_give_their_rows():
    layout = Layout.whole(5).extended(3).without([0, 1], [1, 0])
    layout, _ = layout.replaced([0, 1], [4, 2], 1)
    seen = []
    for part in range(layout.n_parts):
        first, positions = layout.positions(part)
        if not len(positions):
            positions = first + np.arange(layout.sizes[part])
        alive = layout.alive(part)
        positions = positions if alive is None else positions[alive != 0]
        assert (np.diff(positions) > 0).all()
        seen += layout.rows_at(positions).tolist()
    assert sorted(seen) == list(range(layout.n_documents))


DOCUMENTS = {f"d{i}": f"heat w{i} {'cold ' * (i % 3)}flow{i % 5}" for i in range(30)}


def changed_pair(retriever, **corpus_options):
    """Return a changed retriever with several segments and dead documents, and a fresh one with the same documents."""
    changed = clone(retriever).set_params(corpus=Corpus(DOCUMENTS, **corpus_options)).fit(None)
    changed.add({"x": "heat only1", "y": "!"}).remove(["d3", "x"]).upsert({"d7": "cold heat heat", "z": "new heat"})
    documents = {**DOCUMENTS, "d7": "cold heat heat", "y": "!", "z": "new heat"}
    del documents["d3"]
    return changed, clone(retriever).set_params(corpus=Corpus(documents)).fit(None)


QUERIES = ["heat cold", "", "unknown", "w3 only1 w7", "flow1 w3 heat heat", "new"]


def require_equal_runs(run, expected):
    assert run.docids == expected.docids
    np.testing.assert_array_equal(run.scores.view(np.int32), expected.scores.view(np.int32))


@pytest.mark.parametrize("retriever", [BM25Retriever(), TfidfRetriever(), BM25FRetriever(weights={"text": 2.0})])
def test_names_statistics_and_filters_of_a_changed_retriever(retriever):
    changed, fresh = changed_pair(retriever)
    assert len(changed.index_.segments) > 1
    for k in (1, 100):
        for each in (changed, fresh):
            each.set_params(k=k)
        require_equal_runs(changed.predict(QUERIES), fresh.predict(QUERIES))
        for filter in (["d7", "z"], [["d1"], ["z", "d2"], [], ["d7"], ["d4"], ["y"]], np.arange(31) % 2 == 0):
            for each in (changed, fresh):
                each.set_params(filter=filter)
            require_equal_runs(changed.predict(QUERIES), fresh.predict(QUERIES))
    names = [r.index_.vectorizer.get_feature_names_out().tolist() for r in (changed, fresh)]
    assert names[0] == names[1]
    assert "w3" not in names[0]
    np.testing.assert_array_equal(changed.index_.document_frequencies, fresh.index_.document_frequencies)
    frequencies = [r.index_.terms.collection_frequencies for r in (changed, fresh)]
    np.testing.assert_array_equal(*frequencies)
    assert str(changed.highlight("heat w3 cold", "d7")) == str(fresh.highlight("heat w3 cold", "d7"))


def test_pickled_and_mapped_states_rank_alike(tmp_path):
    changed, fresh = changed_pair(BM25Retriever())
    expected = fresh.predict(QUERIES)
    require_equal_runs(pickle.loads(pickle.dumps(changed)).predict(QUERIES), expected)
    joblib.dump(changed, tmp_path / "retriever.joblib")
    mapped = joblib.load(tmp_path / "retriever.joblib", mmap_mode="r")
    require_equal_runs(mapped.predict(QUERIES), expected)
    mapped.add({"more": "heat"}).remove(["d9"])
    changed.add({"more": "heat"}).remove(["d9"])
    require_equal_runs(mapped.predict(QUERIES), changed.predict(QUERIES))
    merged = changed.merge_segments()
    assert len(merged.index_.segments) == 1
    require_equal_runs(merged.predict(QUERIES), mapped.predict(QUERIES))


def test_a_part_whose_documents_are_all_removed():
    retriever = BM25Retriever(Corpus(DOCUMENTS)).fit(None)
    expected = retriever.predict(QUERIES)
    retriever.add({f"n{i}": f"heat new n{i}" for i in range(20)}).remove([f"n{i}" for i in range(20)])
    require_equal_runs(retriever.predict(QUERIES), expected)


def test_what_a_change_reads(monkeypatch):
    """One new document among many: only its text is tokenized, and no list is merged with those of all others."""
    corpus = Corpus({f"d{i}": f"heat w{i}" for i in range(1000)})
    retriever = BM25Retriever(corpus).fit(None)
    learned, merged, unions = [], [], []
    learn, merge, union = TermVectorizer._learn, Segment.merged, _index.union

    def counted_learn(self, X, **kwargs):
        learned.append(len(X))
        return learn(self, X, **kwargs)

    def counted_merge(segments, documents):
        merged.append([segment.n_documents for segment in segments])
        return merge(segments, documents)

    def counted_union(vocabularies):
        unions.append(len(vocabularies))
        return union(vocabularies)

    monkeypatch.setattr(TermVectorizer, "_learn", counted_learn)
    monkeypatch.setattr(Segment, "merged", staticmethod(counted_merge))
    monkeypatch.setattr(_index, "union", counted_union)
    retriever.add({"x": "heat x"})
    retriever.predict(["heat x"])
    assert (learned, merged, unions) == ([1], [], [])
    retriever.remove(["d5"])
    retriever.predict(["heat w5"])
    assert (learned, merged, unions) == ([1], [], [])
    RM3Retriever(retriever).fit(None).predict(["x"])
    assert unions == [2]
    retriever.index_.vectorizer  # noqa: B018
    assert unions == [2]


def test_states_before_a_change_are_freed():
    """They are part of no cycle, so that their memory returns at once."""
    retriever = BM25Retriever(Corpus(DOCUMENTS)).fit(None)
    retriever.predict(QUERIES)
    retriever.add({"x": "heat"}).predict(QUERIES)
    gc.disable()
    try:
        old = [weakref.ref(retriever.index_), weakref.ref(retriever._impacts())]
        retriever.remove(["d1"]).predict(QUERIES)
        assert [state() for state in old] == [None, None]
    finally:
        gc.enable()


def test_a_cache_without_room_makes_segments_again():
    changed, fresh = changed_pair(BM25Retriever(), cache_limit=1)
    require_equal_runs(changed.predict(QUERIES), fresh.predict(QUERIES))
    require_equal_runs(clone(changed).fit(None).predict(QUERIES), fresh.predict(QUERIES))


def test_arrays_of_a_changed_index_are_counted_once():
    documents = {f"d{i}": f"heat w{i % 999} " + "cold flow " * (i % 9) for i in range(5000)}
    retriever = BM25Retriever(Corpus(documents)).fit(None)
    retriever.predict(["heat cold"])
    usages = []
    for docid in ("d1", "d2", "d3"):
        retriever.remove([docid]).predict(["heat cold"])
        usages.append(sum(retriever.corpus_.cache_usage().values()))
    assert max(usages) - min(usages) < len(documents)  # less than one array: old states are freed
    [segment] = retriever.index_.segments
    arrays = segment.lengths, segment.indptr, segment.docs, segment.counts
    assert retriever.corpus_.cache_usage()["index"] < 1.5 * sum(array.nbytes for array in arrays)


def test_large_segments_rank_as_one():
    """Above 32 768 documents, searches are pruned, and the best scores are carried from segment to segment."""
    rng = np.random.default_rng(3)
    n, n_terms = 42_000, 60
    matrix = sparse.random_array((n, n_terms), density=0.15, rng=rng, format="csr")
    matrix.data = np.ceil(matrix.data * 4).astype(np.int64)
    matrix = sparse.csr_array(matrix.multiply(rng.random(n)[:, None] < 0.97).astype(np.int64))
    matrix.eliminate_zeros()
    layout = Layout.whole(20_000).extended(15_000)
    removed = rng.choice(35_000, 700, replace=False)
    layout = layout.without(*layout.locate(removed))
    live = np.delete(np.arange(35_000), removed)
    chosen = rng.choice(len(live), 3000, replace=False)
    layout, order = layout.replaced(*layout.locate(chosen), 1000)
    live[chosen[order]] = 35_000 + np.arange(3000)
    live = np.concatenate([live, 38_000 + np.arange(1000)])
    layout = layout.extended(3000)
    live = np.concatenate([live, 39_000 + np.arange(3000)])
    bounds = [0, 20_000, 35_000, 39_000, 42_000]
    segments = [Segment.from_matrix(matrix[start:stop]) for start, stop in zip(bounds, bounds[1:])]
    cut, whole = Index(segments, layout), Index([Segment.from_matrix(matrix[live])])
    queries = [[0], [1, 2], [3, 4, 5, 6], list(range(10, 30)), list(range(60)), []]
    masks = (rng.random((2, len(live))) < [[0.5], [0.001]]).astype(np.uint8)
    mask_of = np.array([-1, 0, 1, 0, 1, -1])
    for name in ("bm25-lucene", "dfr-PL2", "lm-dirichlet"):
        for k in (1, 10, 1000):
            for filters in (NO_MASKS, (masks, mask_of)):
                results = [
                    index.impacts(name, weigher_of(name, index)).search(bags_of(index, queries), k, *filters, None)
                    for index in (cut, whole)
                ]
                for got, expected in zip(*results):
                    np.testing.assert_array_equal(got, expected)


def test_merged_counts_have_the_type_of_a_fresh_segment():
    matrix = sparse.csr_array(np.array([[2**20, 2.0], [0.5, 3.0]]))
    parts = [Segment.from_matrix(matrix[:1]), Segment.from_matrix(matrix[1:])]
    merged, fresh = Segment.merged(parts, [np.array([0]), np.array([1])]), Segment.from_matrix(matrix)
    assert merged.counts.dtype == fresh.counts.dtype == np.float32
    np.testing.assert_array_equal(merged.counts, fresh.counts)


def test_counts_that_single_precision_does_not_hold():
    """A count has the same value whatever the other counts of its segment are."""
    matrix = sparse.csr_array(np.array([[2**24 + 1, 2.0], [0.5, 3.0], [1.0, 0.0]]))
    cut = Index([Segment.from_matrix(matrix[:1]), Segment.from_matrix(matrix[1:])])
    whole = Index([Segment.from_matrix(matrix)])
    rows = np.arange(3)
    np.testing.assert_array_equal(cut.contents(rows)[2], whole.contents(rows)[2])
    np.testing.assert_array_equal(cut.terms.collection_frequencies, whole.terms.collection_frequencies)


def test_an_index_of_too_many_documents_is_refused():
    segment = Segment.from_matrix(sparse.csr_array(np.eye(2)))
    with pytest.raises(ValueError, match="less than 2\\*\\*31 documents, got 2147483648"):
        Index([segment], Layout.whole(1 << 31))
