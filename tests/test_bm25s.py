"""Indexes of bm25s, against its own search."""

import json

import bm25s
import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from sklrank.datasets import load_scifact, read_bm25s
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import DenseRetriever, SparseRetriever

METHODS = ["lucene", "robertson", "atire", "bm25l", "bm25+"]


@pytest.fixture(scope="module")
def scifact():
    data = load_scifact()
    texts = data.corpus.text().tolist()
    return data, texts, bm25s.tokenize(texts, stopwords="en", show_progress=False)


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_those_of_bm25s(scifact, tmp_path, method):
    data, texts, tokens = scifact
    theirs = bm25s.BM25(method=method)
    theirs.index(tokens, show_progress=False)
    theirs.save(tmp_path, corpus=texts, show_progress=False)
    queries = data.queries[:50]
    split = bm25s.tokenize(queries.texts, stopwords="en", show_progress=False)
    rows, expected = theirs.retrieve(split, k=20, show_progress=False)
    if method in ("bm25l", "bm25+"):  # what bm25s adds to all documents
        words = bm25s.tokenize(queries.texts, stopwords="en", return_ids=False, show_progress=False)
        constants = [theirs.nonoccurrence_array[theirs.get_tokens_ids(own)].sum() for own in words]
        expected = expected - np.array(constants)[:, None]
    for source in (tmp_path, theirs):
        index = read_bm25s(source)
        retriever = SparseRetriever(index.corpus, query_encoder=TermVectorizer(vocabulary=index.terms), k=20).fit(None)
        run = retriever.predict(queries)
        scores = run.scores.reshape(50, 20)
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-4)
        # The same documents, except those that score as the last one does, up to rounding.
        for own, other, score in zip(run.rows.reshape(50, 20), rows, expected):
            clear = score > score[-1] + 1e-3
            assert set(other[clear]) <= set(own)
    assert retriever.explain("heat", run.docids[0][0]).docid == run.docids[0][0]


def test_saved_documents_are_shown(tmp_path):
    documents = [{"id": "a", "text": "heat flows"}, {"id": "b", "text": "cold rests"}]
    theirs = bm25s.BM25()
    theirs.index([document["text"].split() for document in documents], show_progress=False)
    theirs.save(tmp_path, corpus=documents, show_progress=False)
    index = read_bm25s(tmp_path)
    encoder = FrozenEstimator(TermVectorizer(vocabulary=index.terms))
    run = SparseRetriever(index.corpus, query_encoder=encoder).fit(None).predict(["cold"])
    assert [(one["docid"], one["text"]) for one in run.to_records(fields="text")] == [("b", "cold rests")]
    assert sorted(index.terms.tolist()) == ["cold", "flows", "heat", "rests"]


@pytest.fixture
def folder(tmp_path):
    theirs = bm25s.BM25()
    theirs.index([["heat", "flows"], ["cold"]], show_progress=False)
    theirs.save(tmp_path, corpus=["heat flows", "cold"], show_progress=False)
    return tmp_path


def write_json(name, value):
    return lambda folder: (folder / name).write_text(json.dumps(value))


def write_array(name, *values, **options):
    return lambda folder: np.save(folder / f"{name}.csc.index.npy", *values, **options)


def write_bytes_cut(folder):
    path = folder / "data.csc.index.npy"
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (write_json("vocab.index.json", {"heat": 0, "cold": 1}), "no term for column 2 of 3"),
        (write_json("vocab.index.json", {"heat": "0"}), "the vocabulary has the number '0' for the term 'heat'"),
        (write_json("vocab.index.json", ["heat"]), "vocab.index.json: expected a JSON object, got list"),
        (write_json("params.index.json", {"num_docs": -1}), "params.index.json: num_docs is -1"),
        (write_json("params.index.json", {"num_docs": 1}), "indices from 0 to 1, but 1 documents"),
        (write_array("indices", np.array([0, 1])), "do not fit together"),
        (write_array("indptr", np.array([0, 3, 2, 3])), "do not fit together"),
        (write_array("data", np.array([["a"]])), "data.csc.index.npy: not a file of NumPy"),
        (write_array("data", np.array([{}] * 3)), "data.csc.index.npy: not a file of NumPy with"),
        (lambda folder: (folder / "data.csc.index.npy").write_bytes(b"PK\3\4"), "not a file of NumPy"),
        (write_bytes_cut, "the size of the file is not that of 3 numbers"),
        (lambda folder: (folder / "params.index.json").write_text("{"), "params.index.json: not JSON"),
        (lambda folder: (folder / "corpus.jsonl").write_text('{"text": "x"}'), "1 documents, but the index has 2"),
        (lambda folder: (folder / "corpus.jsonl").write_text("[]"), "corpus.jsonl:1: expected a JSON object"),
    ],
)
def test_a_folder_that_is_no_index_is_an_error(folder, damage, match):
    damage(folder)
    with pytest.raises(ValueError, match=match) as error:
        read_bm25s(folder)
    assert str(error.value).startswith(str(folder))


def test_other_arguments_are_an_error(tmp_path):
    with pytest.raises(TypeError, match="expected the folder of an index of bm25s.*got int"):
        read_bm25s(3)
    with pytest.raises(FileNotFoundError, match="data.csc.index.npy"):
        read_bm25s(tmp_path)


@pytest.mark.parametrize("retriever", [SparseRetriever, DenseRetriever])
def test_an_encoder_of_queries_cannot_learn_from_vectors(retriever):
    vectors = np.ones((2, 2))
    with pytest.raises(ValueError, match="the documents are vectors, so that query_encoder= cannot be fitted"):
        retriever(query_encoder=TermVectorizer()).fit(vectors)
