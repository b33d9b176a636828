"""Indexes of other programs in CIFF, against the reference implementation of Protocol Buffers."""

import gzip
import tracemalloc

import numpy as np
import pytest
from ciff_messages import CLASSES, ciff, delimited, message, postings_list, varint
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator

import sklrank
from sklrank import Corpus
from sklrank.datasets import _ciff, _write_ciff, load_scifact, read_ciff, write_ciff
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import (
    BM25Retriever,
    DFRRetriever,
    LanguageModelRetriever,
    RM3Retriever,
    SparseRetriever,
    TfidfRetriever,
)

LISTS = {"cold": {1: 2}, "heat": {0: 1, 2: 3}, "wärme": {2: 300}}
DOCUMENTS = {"a": 4, "b": 2, "ç": 400}


def write(folder, content, name="index.ciff"):
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def dense(lists, n_documents):
    matrix = np.zeros((n_documents, len(lists)), dtype=np.int64)
    for term, counts in enumerate(lists.values()):
        for doc, count in counts.items():
            matrix[doc, term] = count
    return matrix


@pytest.mark.parametrize("name", ["index.ciff", "index.ciff.gz"])
def test_counts_terms_ids_and_lengths_are_those_of_the_file(tmp_path, name):
    index = read_ciff(write(tmp_path, ciff(LISTS, DOCUMENTS), name))
    assert index.terms.tolist() == list(LISTS) and index.description == "made by a test"
    assert index.corpus.ids.tolist() == list(DOCUMENTS) and index.corpus["n_tokens"].tolist() == [4, 2, 400]
    assert np.array_equal(index.corpus["vector"].toarray(), dense(LISTS, 3))


words = st.text(max_size=4).filter(lambda word: word.isascii() or word.encode(errors="ignore").decode() == word)
numbers = st.one_of(st.integers(1, 3), st.integers(1, 2**31 - 1))


@settings(max_examples=100)
@given(st.data(), st.sampled_from([1, 7, 1 << 22]))
def test_any_index_comes_back(tmp_path_factory, data, block):
    n = data.draw(st.integers(1, 8))
    documents = data.draw(st.dictionaries(words, st.one_of(st.just(0), numbers), min_size=n, max_size=n))
    lists = data.draw(st.dictionaries(words, st.dictionaries(st.integers(0, n - 1), numbers, max_size=n), max_size=8))
    path = write(tmp_path_factory.mktemp("any"), ciff(lists, documents))
    old, _ciff._BLOCK = _ciff._BLOCK, max(block, 128)
    try:
        index = read_ciff(path)
    finally:
        _ciff._BLOCK = old
    assert index.terms.tolist() == list(lists)
    assert dict(zip(index.corpus.ids.tolist(), index.corpus["n_tokens"].tolist())) == documents
    assert np.array_equal(index.corpus["vector"].toarray(), dense(lists, n))


@settings(max_examples=100)
@given(st.data(), st.sampled_from([1, 50, 1 << 22]), st.sampled_from(["index.ciff", "index.ciff.gz"]))
def test_a_written_index_is_that_of_the_reference_to_the_byte(tmp_path_factory, data, block, name):
    n = data.draw(st.integers(1, 8))
    documents = data.draw(st.dictionaries(words, st.one_of(st.just(0), numbers), min_size=n, max_size=n))
    lists = data.draw(st.dictionaries(words, st.dictionaries(st.integers(0, n - 1), numbers, max_size=n), max_size=8))
    corpus = Corpus(csr_array(dense(lists, n)), ids=list(documents)).with_columns(n_tokens=list(documents.values()))
    path = tmp_path_factory.mktemp("any") / name
    old, _write_ciff._BLOCK = _write_ciff._BLOCK, block
    try:
        write_ciff(path, corpus, list(lists), description="made by a test")
    finally:
        _write_ciff._BLOCK = old
    content = path.read_bytes()
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    assert content == ciff(lists, documents, average_doclength=float(np.mean(list(documents.values()))))
    assert list(path.parent.iterdir()) == [path]


def test_an_index_without_lengths_has_the_sums_of_the_counts(tmp_path):
    corpus = Corpus(np.array([[1, 0, 2], [0, 0, 0]]))
    write_ciff(tmp_path / "index.ciff", corpus, ["a", "b", "c"])
    index = read_ciff(tmp_path / "index.ciff")
    assert index.corpus["n_tokens"].tolist() == [3, 0] and index.corpus.ids.tolist() == ["0", "1"]


@pytest.mark.parametrize(
    ("corpus", "terms", "error", "match"),
    [
        ([[1]], ["a"], TypeError, "expected a Corpus of term counts, got list"),
        (Corpus(np.array([[0.5]])), ["a"], ValueError, "expected counts, whole numbers"),
        (Corpus(np.array([[-1]])), ["a"], ValueError, "expected counts, whole numbers"),
        (Corpus(np.array([[2**31]])), ["a"], ValueError, "expected counts, whole numbers"),
        (Corpus(np.array([[1]])), ["a", "b"], ValueError, "one id for each of 1 terms, got 2"),
        (Corpus(np.array([[1, 1]])), ["a", "a"], ValueError, "term ids must be unique"),
        (Corpus(np.array([[1]])).with_columns(n_tokens=[0.5]), ["a"], ValueError, "expected lengths, whole numbers"),
        (Corpus(["heat"]), ["a"], KeyError, "no column 'vector'"),
    ],
)
def test_what_cannot_be_written_is_an_error(tmp_path, corpus, terms, error, match):
    path = tmp_path / "index.ciff"
    path.write_text("old")
    with pytest.raises(error, match=match):
        write_ciff(path, corpus, terms)
    assert path.read_text() == "old"


def test_records_may_have_any_order_and_unknown_fields(tmp_path):
    more = varint(99 << 3) + varint(2**63) + varint(98 << 3 | 1) + bytes(8) + varint(97 << 3 | 2) + b"\3abc"
    more += varint(96 << 3 | 5) + bytes(4)
    header = CLASSES["Header"](version=1, num_postings_lists=1, num_doc_records=2).SerializeToString() + more
    posting = CLASSES["Posting"](docid=1, tf=5).SerializeToString() + more
    one = CLASSES["PostingsList"](term="x", df=1).SerializeToString() + more + b"\x22" + delimited(posting)
    records = [
        CLASSES["DocRecord"](docid=docid, collection_docid=name, doclength=docid).SerializeToString() + more
        for docid, name in ((1, "second"), (0, "first"))
    ]
    index = read_ciff(write(tmp_path, b"".join(map(delimited, (header, one, *records)))))
    assert index.corpus.ids.tolist() == ["first", "second"] and index.corpus["n_tokens"].tolist() == [0, 1]
    assert index.corpus["vector"].toarray().tolist() == [[0], [5]]


@pytest.fixture(scope="module")
def scifact(tmp_path_factory):
    """The collection, and its counts as they were exported and read."""
    data, vectorizer = load_scifact(), TermVectorizer()
    counts = vectorizer.fit_transform(data.corpus).tocsc()
    lists = {}
    for t, term in enumerate(vectorizer.get_feature_names_out()):
        own = slice(counts.indptr[t], counts.indptr[t + 1])
        lists[term] = dict(zip(counts.indices[own].tolist(), counts.data[own].tolist()))
    documents = dict(zip(data.corpus.ids.tolist(), counts.sum(axis=1).ravel().tolist()[0]))
    return data, read_ciff(write(tmp_path_factory.mktemp("ciff"), ciff(lists, documents)))


@pytest.mark.parametrize(
    "retriever",
    [BM25Retriever(), BM25Retriever(method="bm25l"), LanguageModelRetriever(), DFRRetriever(), TfidfRetriever()],
)
def test_rankings_are_those_over_the_texts(scifact, retriever):
    data, index = scifact
    expected = retriever.set_params(corpus=data.corpus).fit(None).predict(data.queries)
    vectorizer = TermVectorizer(vocabulary=index.terms)
    for known in (vectorizer, FrozenEstimator(vectorizer)):
        run = retriever.set_params(corpus=index.corpus, vectorizer=known).fit(None).predict(data.queries)
        assert run.docids == expected.docids and np.array_equal(run.scores, expected.scores)


def test_feedback_and_changes_work_over_counts(scifact):
    data, index = scifact
    queries, removed = data.queries[:20], data.corpus.ids.tolist()[:2000:3]
    vectorizer = FrozenEstimator(TermVectorizer(vocabulary=index.terms))
    runs = []
    for corpus, known in ((data.corpus, None), (index.corpus, vectorizer)):
        retriever = BM25Retriever(corpus, vectorizer=known).fit(None)
        feedback = RM3Retriever(BM25Retriever(corpus, vectorizer=known)).fit(None)
        runs.append([feedback.predict(queries), retriever.remove(removed).predict(queries)])
        runs[-1].append(retriever.merge_segments().predict(queries))
    for run, expected in zip(*runs):
        assert run.docids == expected.docids and np.array_equal(run.scores, expected.scores)
    assert "heat" in str(retriever.explain("heat", retriever.predict(["heat"]).docids[0][0]))


@pytest.mark.parametrize("frozen", [False, True])
def test_an_index_that_was_read_can_be_saved(scifact, tmp_path, frozen):
    data, index = scifact
    vectorizer = TermVectorizer(vocabulary=index.terms)
    if frozen:
        vectorizer = FrozenEstimator(vectorizer)
    sparse = SparseRetriever(index.corpus, query_encoder=vectorizer)
    for retriever in (BM25Retriever(index.corpus, vectorizer=vectorizer), sparse):
        expected = retriever.fit(None).predict(data.queries[:20])
        sklrank.save(retriever, tmp_path / "saved")
        run = sklrank.load(tmp_path / "saved").predict(data.queries[:20])
        assert run.docids == expected.docids and np.array_equal(run.scores, expected.scores)


def test_lengths_are_those_of_the_records():
    matrix, lengths = csr_array([[2.0, 0], [1, 1], [0, 1]]), [7.0, 1, 5]
    corpus = Corpus(matrix).with_columns(n_tokens=lengths)
    vectorizer = TermVectorizer(vocabulary=["heat", "cold"])
    retriever = BM25Retriever(corpus, vectorizer=vectorizer, k1=1.5, b=0.5).fit(None)
    run = retriever.predict(["heat"])
    idf = np.log(1 + 1.5 / 2.5)
    for docid, score in zip(run.docids[0], run.scores):
        tf, length = matrix.toarray()[int(docid), 0], lengths[int(docid)]
        assert score == pytest.approx(idf * tf / (tf + 1.5 * (0.5 + 0.5 * length / np.mean(lengths))))
    added = Corpus(csr_array([[1.0, 0]]), ids=["new"]).with_columns(n_tokens=[3.0])
    changed = retriever.add(added).predict(["heat cold"])
    fresh = BM25Retriever(retriever.corpus_.compacted(), vectorizer=vectorizer, k1=1.5, b=0.5).fit(None)
    assert changed.docids == fresh.predict(["heat cold"]).docids
    assert np.array_equal(changed.scores, fresh.predict(["heat cold"]).scores)


@pytest.mark.parametrize(
    ("vectorizer", "match"),
    [
        (TermVectorizer(), r"learns no terms: expected one that knows the terms.*got TermVectorizer\(\)"),
        (CountVectorizer(vocabulary=["a", "b"]), "expected one that knows the terms"),
        (TermVectorizer(vocabulary=["a"]), "the vectorizer has 1 terms, and the documents have weights of 2 terms"),
        (FrozenEstimator(CountVectorizer().fit(["aa bb cc"])), "the vectorizer has 3 terms"),
    ],
)
def test_a_vectorizer_of_other_terms_is_an_error(vectorizer, match):
    with pytest.raises(ValueError, match=match):
        BM25Retriever(csr_array([[1.0, 2.0]]), vectorizer=vectorizer).fit(None)


@pytest.mark.parametrize("lengths", [[1.5], [-1.0], [np.nan]])
def test_lengths_that_are_no_counts_are_an_error(lengths):
    with pytest.raises(ValueError, match="column 'n_tokens' of the corpus holds lengths.*whole numbers"):
        BM25Retriever(Corpus(csr_array([[1.0]])).with_columns(n_tokens=lengths)).fit(None)


_VALUES = {"version": 1, "num_postings_lists": 1, "num_doc_records": 1}
HEADER = message("Header", **_VALUES)
RECORD = message("DocRecord", collection_docid="a", doclength=1)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "does not begin with a header"),
        (b"qid 0 docid 1\n" * 20, "does not begin with a header"),
        (message("Header", **_VALUES | {"version": 2}), "an index in version 2 of CIFF"),
        (message("Header", **_VALUES | {"num_postings_lists": -1}), "does not begin with a header"),
        (HEADER, "the file ends before postings list 1 of 1 does"),
        (ciff(LISTS, DOCUMENTS)[:-1], "the file ends before document record 3 of 3 does"),
        (ciff(LISTS, DOCUMENTS) + b"\0", "goes on after the last document record"),
        (ciff(LISTS, DOCUMENTS, num_postings_lists=4), "postings list 4 of 4: it is not such a message"),
        (ciff(LISTS, DOCUMENTS, num_postings_lists=2), "document record 1 of 3: it is not such a message"),
        (ciff(LISTS, DOCUMENTS, num_doc_records=2**31 - 1), "the file ends before document record 4 of 2147483647"),
        (
            HEADER + postings_list("x", {0: 1}, df=2) + RECORD,
            "list 1 of 1: its document frequency",
        ),
        (
            HEADER + postings_list("x", {0: 0}) + RECORD,
            "list 1 of 1: a term occurs less than once",
        ),
        (HEADER + postings_list("x", {0: -1}) + RECORD, "list 1 of 1: a term occurs less than"),
        (HEADER + postings_list("x", {1: 1}) + RECORD, "list 1 of 1 has a document with a number"),
        (
            HEADER + postings_list("x", {-1: 1}) + RECORD,
            "list 1 of 1: its documents do not ascend",
        ),
        (HEADER + b"\xff" * 10 + RECORD, "list 1 of 1: it is not such a message"),
        (HEADER + varint(2**31) + bytes(99), "list 1 of 1: it is not such a message"),
        (HEADER + varint(2**31 - 1) + bytes(99), "the file ends before postings list 1 of 1 does"),
        (HEADER + delimited(b"\x0a\x02ab"), "the file ends before document record 1 of 1"),
        (HEADER + delimited(b"\x0a\x02\xff\xfe") + RECORD, "not text in UTF-8"),
        (ciff({"x": {}}, {"a": 1}).replace(RECORD, message("DocRecord", docid=5)), "record of document 0 is missing"),
        (ciff({"x": {}}, {"a": 1}).replace(RECORD, message("DocRecord", docid=-5)), "record 1 of 1: its number or its"),
        (ciff({"x": {}}, {"a": 1}).replace(RECORD, message("DocRecord", doclength=-5)), "record 1 of 1: its number or"),
    ],
)
def test_a_file_that_is_no_index_is_an_error(tmp_path, content, match):
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=match) as error:
        read_ciff(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("lists", "documents", "match"),
    [
        (postings_list("x", {}) + postings_list("x", {}), {"a": 1}, "term ids must be unique.*'x'"),
        (None, {"a": 1}, "document ids must be unique.*'a'"),
    ],
)
def test_what_occurs_twice_is_an_error(tmp_path, lists, documents, match):
    record = message("DocRecord", docid=1, collection_docid="a")
    n_documents = 1
    if lists is None:
        lists, n_documents = postings_list("x", {}) + postings_list("y", {}), 2
    content = message("Header", version=1, num_postings_lists=2, num_doc_records=n_documents) + lists
    content += message("DocRecord", collection_docid="a") + record * (n_documents - 1)
    with pytest.raises(ValueError, match=match):
        read_ciff(write(tmp_path, content))


def test_gaps_of_zero_are_an_error_except_for_document_0(tmp_path):
    postings = [CLASSES["Posting"](docid=0, tf=1)] * 2
    content = HEADER + message("PostingsList", term="x", df=2, postings=postings) + RECORD
    with pytest.raises(ValueError, match="its documents do not ascend"):
        read_ciff(write(tmp_path, content))


def test_claims_of_a_file_take_no_memory(tmp_path):
    header = message("Header", version=1, num_postings_lists=2**31 - 1, num_doc_records=2**31 - 1)
    for content in (header, header + varint(2**31 - 1) + bytes(1 << 20), header + postings_list("x", {2**31 - 2: 1})):
        path = write(tmp_path, content)
        tracemalloc.start()
        with pytest.raises(ValueError, match="the file ends before postings list"):
            read_ciff(path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
        tracemalloc.stop()


def test_a_long_list_takes_memory_in_proportion(tmp_path):
    n = 200_000
    path = write(tmp_path, ciff({"x": dict.fromkeys(range(n), 1)}, {str(i): 1 for i in range(n)}))
    tracemalloc.start()
    read_ciff(path)
    assert tracemalloc.get_traced_memory()[1] < 200 * n
    tracemalloc.stop()


def test_a_damaged_gzip_file_is_an_error(tmp_path):
    path = write(tmp_path, ciff(LISTS, DOCUMENTS), "index.ciff.gz")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match="index.ciff.gz: not gzip, or cut off"):
        read_ciff(path)
