"""Corpora whose columns stand in tables of Arrow, Parquet and databases."""

import pickle
import sqlite3
import threading
from contextlib import closing
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer

import sklrank
from sklrank import Corpus
from sklrank.data import ArrowSource, SQLSource, _stored
from sklrank.encoders import TermVectorizer
from sklrank.rerankers import CallableReranker
from sklrank.retrievers import BM25FRetriever, BM25Retriever, DenseRetriever, SparseRetriever

DOCUMENTS = [
    {
        "_id": f"d{i:03}",
        "title": f"heat {i % 7}" * (i % 3),
        "text": f"Wärme flows w{i % 11} " * (i % 4),
        "year": 1990 + i,
    }
    for i in range(100)
]
QUERIES = ["wärme w3", "heat 5", "flows"]


def table():
    return pa.Table.from_pylist(DOCUMENTS)


class LanceTable:
    """The interface of a table of LanceDB 0.40, over a table of Arrow; `sklrank` was tried with the real one, too."""

    name, version = "documents", 1

    def __init__(self, table):
        self._table, self.schema = table, table.schema

    def take_offsets(self, offsets):
        return LanceTable(self._table.take(pa.array(sorted(offsets), pa.int64())))

    def search(self):
        return self

    def select(self, names):
        return LanceTable(self._table.select(names))

    def to_arrow(self):
        return self._table

    def to_batches(self, batch_size):
        return pa.RecordBatchReader.from_batches(self.schema, self._table.to_batches(batch_size))


def parquet(folder):
    for name, part in (("a", table()[:60]), ("b", table()[60:])):
        pq.write_table(part, folder / f"{name}.parquet", row_group_size=17)
    return ArrowSource([folder / "a.parquet", folder / "b.parquet"])


def execute(path, statement, values=()):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(statement, values) if values else connection.execute(statement)


def sqlite(folder, documents=DOCUMENTS, columns="_id TEXT PRIMARY KEY, title TEXT, text TEXT, year INT"):
    path = folder / "documents.db"
    execute(path, f"CREATE TABLE documents ({columns})")
    execute(path, "INSERT INTO documents VALUES (?, ?, ?, ?)", [tuple(document.values()) for document in documents])
    return SQLSource(partial(sqlite3.connect, path), "documents")


SOURCES = {
    "table": lambda folder: ArrowSource(table()),
    "chunks": lambda folder: ArrowSource(pa.concat_tables([table()[:33], table()[33:33], table()[33:]])),
    "pandas": lambda folder: ArrowSource(pd.DataFrame(DOCUMENTS)),
    "polars": lambda folder: ArrowSource(pl.DataFrame(DOCUMENTS)),
    "lance": lambda folder: ArrowSource(LanceTable(table())),
    "parquet": parquet,
    "sqlite": sqlite,
}


@pytest.fixture(params=SOURCES)
def source(request, tmp_path, monkeypatch):
    monkeypatch.setattr(_stored, "BATCH", 13)
    monkeypatch.setattr("sklrank.data._arrow.BATCH", 13)
    monkeypatch.setattr("sklrank.data._sql.BATCH", 13)
    return SOURCES[request.param](tmp_path)


def same(one, other):
    assert one.docids == other.docids and np.array_equal(one.scores, other.scores)


def test_a_corpus_of_a_source_is_that_of_its_documents(source):
    corpus, expected = Corpus(source), Corpus(DOCUMENTS)
    assert corpus.columns == expected.columns and corpus.kinds == expected.kinds
    assert corpus.ids.tolist() == expected.ids.tolist()
    for name in corpus.columns:
        assert corpus[name].tolist() == expected[name].tolist()
        for rows in ([], [99], [5, 3, 64, 5, 3, 0], [-1, -100]):
            assert corpus.take(name, rows).tolist() == expected.take(name, rows).tolist()
    for rows in ([100], [-101, 0]):
        with pytest.raises(IndexError, match="rows .* of 100 documents"):
            corpus.take("text", rows)
    assert corpus.text(rows=[70, 2]).tolist() == expected.text(rows=[70, 2]).tolist()
    assert corpus.text_reader().tolist() == corpus.text().tolist() == expected.text().tolist()
    assert corpus.fingerprint == expected.fingerprint


@pytest.mark.parametrize(
    "retriever",
    [
        BM25Retriever(),
        BM25Retriever(vectorizer=TermVectorizer(language="german", min_df=2)),
        BM25Retriever(vectorizer=TermVectorizer(ngram_range=(1, 2)), field="title"),
        BM25FRetriever(),
        SparseRetriever(encoder=HashingVectorizer(n_features=16, alternate_sign=False)),
    ],
    ids=["bm25", "min_df", "n-grams", "fields", "encoder"],
)
def test_rankings_are_those_of_the_corpus_in_memory(source, retriever):
    expected = retriever.set_params(corpus=Corpus(DOCUMENTS)).fit(None).predict(QUERIES)
    corpus = Corpus(source)
    same(retriever.set_params(corpus=corpus).fit(None).predict(QUERIES), expected)
    assert not {"text", "column"} & set(corpus.cache_usage())  # texts are not kept


def test_a_run_shows_what_the_source_holds(source):
    run = BM25Retriever(Corpus(source), k=3).fit(None).predict(QUERIES)
    texts = {document["_id"]: (document["text"], document["year"]) for document in DOCUMENTS}
    records = run.to_records(fields=["text", "year"])
    assert len(records) == 9 and all((r["text"], r["year"]) == texts[r["docid"]] for r in records)
    seen = []
    CallableReranker(lambda query, documents: seen.extend(documents) or [len(d) for d in documents]).predict(run)
    assert len(seen) == 9


def test_a_corpus_of_a_source_can_change(source):
    added = {"x": {"text": "flows flows", "year": 3}}
    corpora = [corpus.updated(add=added, remove=["d001"], upsert={"d005": {"text": "w3", "year": 1}}) for corpus in
               (Corpus(source), Corpus(DOCUMENTS))]  # fmt: skip
    runs = [BM25Retriever(corpus).fit(None).predict(QUERIES) for corpus in corpora]
    same(*runs)
    vectorizer = TermVectorizer(min_df=2)
    same(*(BM25Retriever(corpus, vectorizer=vectorizer).fit(None).predict(QUERIES) for corpus in corpora))
    assert runs[0].to_records(fields="text") == runs[1].to_records(fields="text")
    assert corpora[0].fingerprint == corpora[1].fingerprint
    assert corpora[0].compacted().to_dict() == corpora[1].compacted().to_dict()


def test_merged_parts_leave_documents_where_they_are(source, monkeypatch):
    read = []
    monkeypatch.setattr(_stored.TableColumn, "read", lambda column: read.append(column.name))
    monkeypatch.setattr(_stored.TableColumn, "take", _counted(_stored.TableColumn.take, read))
    corpora = Corpus(source), Corpus(DOCUMENTS)
    for step in range(12):
        change = {
            "upsert": {f"d{i:03}": {"title": "new", "text": f"w{step}", "year": step} for i in range(step, 100, 9)},
            "add": {f"new {step}": {"title": "", "text": "flows", "year": 1}},
        }
        corpora = [corpus.updated(**change) for corpus in corpora]
        assert read == [] and len(corpora[0].parts) == len(corpora[1].parts)
        same(*(BM25Retriever(corpus, k=5).fit(None).predict(QUERIES) for corpus in corpora))
        read.clear()
    assert corpora[0].text().tolist() == corpora[1].text().tolist()
    assert corpora[0].without(["d050", "new 3"]).to_dict() == corpora[1].without(["d050", "new 3"]).to_dict()


def _counted(function, calls):
    def counted(self, rows):
        calls.extend(np.asarray(rows).tolist())
        return function(self, rows)

    return counted


def test_a_corpus_of_a_source_is_pickled_without_its_texts(source):
    retriever = BM25Retriever(Corpus(source)).fit(None)
    again = pickle.loads(pickle.dumps(source))
    assert Corpus(again).to_dict() == Corpus(source).to_dict()
    same(pickle.loads(pickle.dumps(retriever)).predict(QUERIES), retriever.predict(QUERIES))


@pytest.mark.parametrize("name", ["parquet", "sqlite"])
def test_an_index_is_saved_without_its_documents(tmp_path, name):
    source = SOURCES[name](tmp_path)
    retriever = BM25Retriever(Corpus(source), k=5).fit(None)
    retriever.update(remove=["d001"], upsert={f"x{i}": {"title": "", "text": "flows", "year": 1} for i in range(60)})
    for one in (retriever, BM25Retriever(retriever.corpus_.compacted(), k=5).fit(None)):
        sklrank.save(one, tmp_path / "saved")
        loaded = sklrank.load(tmp_path / "saved", check=True)
        run, expected = loaded.predict(QUERIES), one.predict(QUERIES)
        same(run, expected)
        if name == "sqlite":
            with pytest.raises(ValueError, match="SQLSource.*was loaded and cannot connect"):
                run.to_records(fields="title")
            loaded.corpus_.source("text").connect = source.connect
        assert run.to_records(fields=["title", "year"]) == expected.to_records(fields=["title", "year"])
        assert "Wärme" not in "".join(
            path.read_bytes().decode(errors="replace") for path in (tmp_path / "saved").rglob("*") if path.is_file()
        )


def test_a_table_in_memory_cannot_be_saved(tmp_path):
    retriever = BM25Retriever(Corpus(ArrowSource(table()))).fit(None)
    with pytest.raises(TypeError, match="its documents stand in a table of 100 rows; save files of Parquet"):
        sklrank.save(retriever, tmp_path / "saved")


def test_threads_read_at_once(source):
    corpus, expected = Corpus(source), Corpus(DOCUMENTS).text().tolist()
    found = [None] * 8

    def read(i):
        found[i] = corpus.text(rows=np.arange(100)[::-1]).tolist()[::-1]

    threads = [threading.Thread(target=read, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(texts == expected for texts in found)


def test_missing_values_are_those_of_records(tmp_path):
    records = [
        {"_id": 7, "title": None, "text": "a", "year": None},
        {"_id": 8, "title": "", "text": None, "year": 2},
        {"_id": -9, "title": "t", "text": "ü", "year": 3},
    ]
    expected = Corpus(records)
    ordered = sqlite(tmp_path, records, "_id INT, title TEXT, text TEXT, year INT")
    for source in (ArrowSource(pa.Table.from_pylist(records)), ordered):
        corpus = Corpus(source)
        rows = expected.rows(corpus.ids.tolist())
        assert corpus.kinds == expected.kinds
        for name in ("title", "text", "year"):
            assert list(map(str, corpus[name].tolist())) == list(map(str, expected.take(name, rows).tolist()))
    assert ordered.ids.tolist() == ["-9", "7", "8"]  # numbers are ordered and asked for as numbers
    assert Corpus(ordered).take("text", [0]).tolist() == ["ü"]


def test_types_of_arrow():
    arrow = pa.table(
        {
            "id": pa.array([3, 1], pa.uint16()),
            "word": pa.array(["b", "a"]).dictionary_encode(),
            "view": pa.array(["x", None], pa.string_view()),
            "flag": pa.array([True, None]),
            "half": pa.array([np.float16(0.5), np.float16(1)]),
            "vector": pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2)),
            "list": pa.array([[1, 2], [3, 4]], pa.large_list(pa.float64())),
            "tags": [["p"], []],
            "bytes": [b"\xff", None],
            "nothing": pa.nulls(2),
        }
    )
    corpus = Corpus(ArrowSource(arrow))
    assert list(corpus.kinds.values()) == ["text"] * 2 + ["numbers"] * 2 + ["vectors"] * 2 + ["objects"] * 3
    assert corpus["word"].tolist() == ["b", "a"] and corpus["view"].tolist() == ["x", ""]
    assert corpus["flag"][0] == 1 and np.isnan(corpus["flag"][1]) and corpus.take("flag", [0]).tolist() == [True]
    assert corpus["vector"].dtype == np.float32 and corpus.matrix("list").tolist() == [[1, 2], [3, 4]]
    assert corpus["tags"].tolist() == [["p"], []] and corpus["bytes"].tolist() == [b"\xff", None]
    assert corpus.take("vector", [1]).tolist() == [[3, 4]]
    run = DenseRetriever(corpus, field="vector", k=1).fit(None).predict(np.array([[1.0, 0.0]]))
    assert run.docids == [["1"]]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.text(max_size=5), st.one_of(st.none(), st.text(max_size=20))), unique_by=lambda row: row[0]),
    st.data(),
)
def test_any_text_comes_back(rows, data):
    rows = [(docid, text) for docid, text in rows if "\0" not in docid]  # SQLite orders by the part before it
    arrow = pa.table(
        {"docid": pa.array([r[0] for r in rows], pa.string()), "text": pa.array([r[1] for r in rows], pa.string())}
    )
    bounds = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    chunks = [arrow[start:stop] for start, stop in zip([0, *bounds], [*bounds, len(rows)])]
    connection = sqlite3.connect("file:any?mode=memory&cache=shared", uri=True)
    with closing(connection):
        connection.execute("CREATE TABLE any (docid TEXT, text TEXT)")
        connection.executemany("INSERT INTO any VALUES (?, ?)", rows)
        connection.commit()
        connect = partial(sqlite3.connect, "file:any?mode=memory&cache=shared", uri=True)
        for source in (ArrowSource(pa.concat_tables(chunks)), SQLSource(connect, "any")):
            corpus = Corpus(source)
            texts = {docid: text or "" for docid, text in rows}
            assert corpus.to_dict() == texts and corpus.text_reader().tolist() == list(corpus.to_dict().values())
            chosen = data.draw(st.lists(st.integers(0, max(len(rows) - 1, 0)), max_size=9 * bool(rows)))
            assert corpus.take("text", chosen).tolist() == [texts[corpus.ids[row]] for row in chosen]


def test_the_source_of_a_column_is_known(source):
    corpus = Corpus(source)
    changed = corpus.updated(
        remove=["d001"], upsert={f"x{i}": {"title": "", "text": "w", "year": 1} for i in range(50)}
    )
    for one in (corpus, changed, changed.compacted(), changed.with_columns(price=np.ones(149))):
        assert one.source("text") is one.source("year") is source
    assert corpus.with_columns(text=[""] * 100).source("text") is None
    assert Corpus(DOCUMENTS).source("text") is None
    with pytest.raises(KeyError, match="no column 'body'"):
        corpus.source("body")


def test_names_are_quoted_and_values_are_bound(tmp_path):
    path, names = tmp_path / "odd.db", ('do"cs; --', "i'd{}", 'te"xt%s?')
    quoted = ['"{}"'.format(name.replace('"', '""')) for name in names]
    execute(path, "CREATE TABLE {} ({} TEXT, {} TEXT)".format(*quoted))
    ids = ["'; DROP TABLE documents; --", 'a"', "%s"]
    execute(path, f"INSERT INTO {quoted[0]} VALUES (?, ?)", [(docid, docid * 2) for docid in ids])
    corpus = Corpus(SQLSource(partial(sqlite3.connect, path), ("main", names[0]), docid=names[1]))
    assert corpus.take(names[2], corpus.rows(ids)).tolist() == [docid * 2 for docid in ids]


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("DELETE FROM documents WHERE _id = 'd050'", "1 documents that are asked for are gone: 'd050'"),
        ("UPDATE documents SET year = 'x' WHERE _id = 'd050'", "column 'year'.*holds numbers in the first.*objects"),
    ],
)
def test_a_value_that_is_gone_is_an_error(tmp_path, statement, match):
    corpus = Corpus(sqlite(tmp_path))
    execute(tmp_path / "documents.db", statement)
    with pytest.raises(ValueError, match=match):
        corpus.take("year", [3, 50])
    assert corpus.take("year", [3]).tolist() == [1993]


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("DELETE FROM documents WHERE _id = 'd050'", "it has 'd051' where it had 'd050'"),
        ("DELETE FROM documents WHERE _id = 'd099'", "it had 100 documents, and has 99"),
        ("INSERT INTO documents VALUES ('x', '', '', 1)", "it has 'x' where it had the end"),
    ],
)
def test_documents_that_come_or_go_before_indexing_are_an_error(tmp_path, statement, match):
    corpus = Corpus(sqlite(tmp_path))
    execute(tmp_path / "documents.db", statement)
    with pytest.raises(ValueError, match=f"SQLSource.*has changed since.*{match}.*Make a new corpus"):
        BM25Retriever(corpus).fit(None)


def test_a_file_of_parquet_that_changes_is_an_error(tmp_path):
    corpus = Corpus(parquet(tmp_path))
    pq.write_table(table()[:30], tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="a.parquet has changed since the corpus was made"):
        corpus.text(rows=[0])
    assert corpus.text(rows=[80]).tolist() == Corpus(DOCUMENTS).text(rows=[80]).tolist()


def test_a_table_of_lancedb_at_another_version_is_an_error():
    lance = LanceTable(table())
    corpus = Corpus(ArrowSource(lance))
    lance.version = 2
    for read in (lambda: corpus.text(rows=[0]), lambda: corpus["text"]):
        with pytest.raises(ValueError, match="'documents' of LanceDB has changed.*it was at version 1, and is at 2"):
            read()


@pytest.mark.parametrize(
    ("columns", "options", "error", "match"),
    [
        ({"key": ["a"]}, {}, ValueError, "no column of ids: expected one of.*docid="),
        ({"id": ["a"], "text": ["x"]}, {"columns": ["body"]}, ValueError, "no column 'body'; its columns are"),
        ({"id": ["a"], "text": ["x"]}, {"docid": "key"}, ValueError, "no column 'key'"),
        ({"id": ["a"]}, {"columns": ["id"]}, ValueError, "cannot be the ids.*'id'"),
        ({"id": ["a"], "docid": ["b"]}, {"docid": "id"}, ValueError, "have their name, 'docid'"),
        ({"id": ["a", None]}, {}, ValueError, "1 ids are (missing|NULL)"),
        ({"id": ["b", "a", "b"]}, {}, ValueError, "column 'id'.*must be unique; these occur more than once: 'b'"),
        ({"id": [0.5]}, {}, TypeError, "ids are str or int"),
    ],
)
def test_a_table_that_is_no_corpus_is_an_error(tmp_path, columns, options, error, match):
    with pytest.raises(error, match=match):
        ArrowSource(pa.table(columns), **options)
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection, connection:
        connection.execute(f"CREATE TABLE t ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO t VALUES ({marks})", list(zip(*columns.values())))
    with pytest.raises(error, match=match):
        SQLSource(partial(sqlite3.connect, tmp_path / "t.db"), "t", **options)


def test_many_ids_must_be_unique():
    ids = [f"d{i}" for i in range(20_000)]
    assert ArrowSource(pa.table({"id": ids})).ids.rows(["d19999"]) == [19_999]
    with pytest.raises(ValueError, match="document ids must be unique; these occur more than once: 'd7'"):
        ArrowSource(pa.table({"id": [*ids, "d7"]}))


def test_ids_of_two_types_are_an_error(tmp_path):
    execute(tmp_path / "t.db", "CREATE TABLE t (id)")
    execute(tmp_path / "t.db", "INSERT INTO t VALUES (?)", [(1,), ("a",)])
    with pytest.raises(TypeError, match="some ids are text and some are numbers"):
        SQLSource(partial(sqlite3.connect, tmp_path / "t.db"), "t")


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda folder: ArrowSource(3), TypeError, "__arrow_c_stream__.*got int"),
        (lambda folder: ArrowSource(folder / "documents.db"), ValueError, "documents.db: not a file of Parquet"),
        (lambda folder: ArrowSource(folder / "none"), FileNotFoundError, "none"),
        (lambda folder: SQLSource(sqlite3, "documents"), TypeError, "connect= is a function.*got module"),
        (lambda folder: Corpus(sqlite(folder / "more"), ids=["a"]), ValueError, "give them once"),
    ],
)
def test_a_wrong_argument_is_an_error(tmp_path, make, error, match):
    sqlite(tmp_path)
    (tmp_path / "more").mkdir()
    with pytest.raises(error, match=match):
        make(tmp_path)


def test_files_of_different_columns_are_an_error(tmp_path):
    pq.write_table(table(), tmp_path / "a.parquet")
    pq.write_table(table().drop(["year"]), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match="b.parquet has other columns or types than .*a.parquet"):
        ArrowSource([tmp_path / "a.parquet", tmp_path / "b.parquet"])


def test_the_index_of_a_frame_of_pandas_is_no_column():
    frame = pd.DataFrame(DOCUMENTS)[::-1][::7]
    assert Corpus(ArrowSource(frame)).to_dict() == Corpus(frame).to_dict()


@pytest.mark.parametrize("vectors", [[[1.0], [1.0, 2.0]], [[1.0], None], [[1.0], [None]]])
def test_ragged_or_missing_vectors_are_an_error(vectors):
    corpus = Corpus(ArrowSource(pa.table({"id": [1, 2], "v": pa.array(vectors, pa.list_(pa.float32()))})))
    with pytest.raises(ValueError, match="column 'v' of ArrowSource.*(lengths from 1 to 2|missing)"):
        corpus["v"]


def test_an_unknown_style_of_parameters_is_an_error(tmp_path):
    class Connection(sqlite3.Connection):
        pass

    source = sqlite(tmp_path)
    source.connect = partial(sqlite3.connect, tmp_path / "documents.db", factory=Connection)
    with pytest.raises(ValueError, match="parameter style None; expected one of"):
        source.take("text", np.array([0]))
