"""SciFact as it is shipped, and the readers, on real and on broken files."""

import gzip
import json

import numpy as np
import pytest

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.datasets import load_scifact, read_beir, read_letor, read_trec_qrels, read_trec_run


def lines(path):
    """Lines of a gzipped text file, read without sklrank."""
    return gzip.decompress(path.read_bytes()).decode().splitlines()


# SciFact


@pytest.mark.parametrize(("subset", "n_queries", "n_judgments"), [("test", 300, 339), ("train", 809, 919)])
def test_scifact_has_its_published_size(subset, n_queries, n_judgments):
    data = load_scifact(subset)
    assert isinstance(data.corpus, Corpus)
    assert isinstance(data.queries, Queries)
    assert isinstance(data.qrels, Qrels)
    assert len(data.corpus) == 5183
    assert data.corpus.columns == ("title", "text")
    assert len(data.queries) == len(data.qrels) == n_queries
    assert len(data.qrels.grades) == n_judgments
    assert set(data.qrels.grades) == {1}
    assert min(np.diff(data.qrels.indptr)) >= 1


@pytest.mark.parametrize("subset", ["test", "train"])
def test_scifact_is_aligned(subset):
    data = load_scifact(subset=subset)
    assert data.qrels.ids.tolist() == data.queries.ids.tolist()
    assert data.qrels.documents is data.corpus


def test_scifact_has_one_corpus_in_all_calls():
    assert load_scifact("test").corpus is load_scifact("train").corpus is load_scifact().corpus


def test_scifact_subsets_share_no_query():
    assert not set(load_scifact("test").queries.ids) & set(load_scifact("train").queries.ids)


def test_scifact_names_its_authors_and_licences():
    text = load_scifact().DESCR
    for needed in ("Wadden", "EMNLP", "CC BY 4.0", "ODC-By 1.0", "S2ORC"):
        assert needed in text


def test_scifact_refuses_other_subsets():
    with pytest.raises(ValueError, match="'test' or 'train', got 'dev'"):
        load_scifact("dev")


@pytest.mark.parametrize(("subset", "prefix"), [("test", ""), ("train", "train.")])
def test_scifact_equals_its_source(data_dir, subset, prefix):
    data, folder = load_scifact(subset), data_dir / "scifact"
    documents = [json.loads(line) for line in lines(folder / "corpus.jsonl.gz")]
    assert data.corpus.ids.tolist() == [document["_id"] for document in documents]
    assert data.corpus["title"].tolist() == [document["title"] for document in documents]
    assert data.corpus["text"].tolist() == [document["text"] for document in documents]
    queries = [json.loads(line) for line in lines(folder / f"{prefix}queries.jsonl.gz")]
    assert data.queries.texts == [query["text"] for query in queries]
    qrels = {}
    for line in lines(folder / f"{prefix}qrels.tsv.gz")[1:]:
        qid, docid, grade = line.split("\t")
        qrels.setdefault(qid, {})[docid] = int(grade)
    assert data.qrels.to_dict() == qrels


# BEIR's form


@pytest.mark.parametrize(
    ("name", "n_documents", "n_queries", "n_judged", "n_judgments", "grades"),
    [
        ("scifact", 5183, 300, 300, 339, {1}),
        ("cranfield", 1400, 225, 225, 1837, {1, 2, 3, 4}),
        ("cisi", 1460, 112, 76, 3114, {1}),
        ("vaswani", 11429, 93, 93, 2083, {1}),
    ],
)
def test_read_beir_reads_real_collections(data_dir, name, n_documents, n_queries, n_judged, n_judgments, grades):
    data = read_beir(data_dir / name)
    assert len(data.corpus) == n_documents
    assert len(data.queries) == len(data.qrels) == n_queries
    assert int((np.diff(data.qrels.indptr) > 0).sum()) == n_judged
    assert len(data.qrels.grades) == n_judgments
    assert set(data.qrels.grades) == grades
    assert data.qrels.ids.tolist() == data.queries.ids.tolist()
    assert data.qrels.documents is data.corpus


def test_empty_documents_are_kept(data_dir):
    text = read_beir(data_dir / "cranfield").corpus.text().tolist()
    assert sum(not t.strip() for t in text) == 2


@pytest.fixture
def beir(tmp_path):
    """A small collection with two splits, one file of it packed."""
    corpus = [
        {"_id": "d1", "title": "Heat", "text": "It flows.", "metadata": {}},
        {"_id": "d2", "title": "", "text": "Grüße 𝄞", "metadata": {}},
    ]
    queries = [{"_id": q, "text": f"query {q}"} for q in ("q3", "q1", "q2")]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)) + "\n\n", encoding="utf-8")
    with gzip.open(tmp_path / "queries.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(map(json.dumps, queries)))
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\r\nq1\td2\t2\r\nq3\td1\t0\r\nq1\td1\t-1\r\n"
    )
    (tmp_path / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq2\td2\t1\n")
    return tmp_path


def test_a_split_brings_the_queries_that_it_judges(beir):
    data = read_beir(beir)
    assert data.queries.texts == ["query q3", "query q1"]
    assert data.qrels.to_dict() == {"q3": {"d1": 0}, "q1": {"d2": 2, "d1": -1}}
    assert read_beir(str(beir), split="dev").queries.texts == ["query q2"]


def test_documents_are_read_as_they_are(beir):
    corpus = read_beir(beir).corpus
    assert corpus.columns == ("title", "text")  # BEIR's metadata is mostly empty
    assert corpus["text"].tolist() == ["It flows.", "Grüße 𝄞"]


def test_metadata_is_kept_where_there_is_any(beir):
    (beir / "corpus.jsonl").write_text(
        '{"_id": "d1", "text": "", "metadata": {"year": 1}}\n{"_id": "d2", "text": ""}\n'
    )
    assert read_beir(beir).corpus["metadata"][0] == {"year": 1}


def test_a_byte_order_mark_and_a_missing_header_do_no_harm(beir):
    (beir / "corpus.jsonl").write_text('\ufeff{"_id": "d1", "text": ""}\n{"_id": "d2", "text": ""}\n', encoding="utf-8")
    (beir / "qrels" / "test.tsv").write_text("q1\td2\t1\n")
    assert read_beir(beir).qrels.to_dict() == {"q1": {"d2": 1}}


def test_a_missing_file_is_named(beir, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no qrels/train.tsv"):
        read_beir(beir, split="train")
    (beir / "corpus.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no corpus.jsonl, with or without .gz"):
        read_beir(beir)


def test_a_collection_without_splits_has_no_other_split(beir):
    (beir / "qrels" / "test.tsv").rename(beir / "qrels.tsv")
    (beir / "qrels" / "dev.tsv").unlink()
    (beir / "qrels").rmdir()
    assert len(read_beir(beir).queries) == 3
    with pytest.raises(ValueError, match="no splits"):
        read_beir(beir, split="train")


GOOD = '{"_id": "d1", "text": ""}\n{"_id": "d2", "text": ""}\n'


@pytest.mark.parametrize(
    ("file", "content", "where"),
    [
        ("corpus.jsonl", GOOD + "{'_id': 3}\n", r"corpus.jsonl:3: not JSON"),
        ("corpus.jsonl", GOOD + '{"_id": "d3", "te', r"corpus.jsonl:3: not JSON"),
        ("corpus.jsonl", GOOD + '{"text": "x"}\n', r"corpus.jsonl:3: no '_id'; the keys are \['text'\]"),
        ("corpus.jsonl", GOOD + '{"_id": "d3"}\n', r"corpus.jsonl:3: no 'text'"),
        ("corpus.jsonl", GOOD + "[1]\n", r"corpus.jsonl:3: expected a JSON object, got list"),
        ("corpus.jsonl", GOOD + '{"_id": 3, "text": ""}\n', r"corpus.jsonl:3: '_id' must be a string, got 3"),
        ("corpus.jsonl", GOOD + '{"_id": "d3", "text": 7}\n', r"corpus.jsonl:3: 'text' must be a string, got 7"),
        (
            "corpus.jsonl",
            GOOD + '\n{"_id": "d1", "text": ""}\n',
            r"corpus.jsonl:4: the id 'd1' is already in line 1",
        ),
        ("corpus.jsonl", GOOD.encode() + b'{"_id": "\xff"}\n', r"corpus.jsonl:3: not UTF-8"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\n", r"test.tsv:2: .* got 2 columns"),
        ("qrels/test.tsv", "q1 0 d1 1\n", r"test.tsv:1: .* got 1 columns"),
        ("qrels/test.tsv", "q1\td1\tgood\n", r"test.tsv:1: the score 'good' is not a finite number"),
        ("qrels/test.tsv", "q1\td1\tnan\n", r"test.tsv:1: the score 'nan' is not a finite number"),
        ("qrels/test.tsv", "q1\td1\t1\nq9\td1\t1\n", r"test.tsv:2: query 'q9' is not among the queries"),
        ("qrels/test.tsv", "q1\td1\t1\nq1\td9\t1\n", r"test.tsv:2: document 'd9' is not in the corpus"),
        ("qrels/test.tsv", "q1\td1\t1\nq1\td1\t2\n", r"test.tsv:2: query 'q1' and document 'd1' are judged already"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(beir, file, content, where):
    (beir / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=where):
        read_beir(beir)


def test_a_cut_off_gzip_file_is_named(beir):
    whole = (beir / "queries.jsonl.gz").read_bytes()
    (beir / "queries.jsonl.gz").write_bytes(whole[:-12])
    with pytest.raises(ValueError, match=r"queries.jsonl.gz:\d+: not gzip, or cut off"):
        read_beir(beir)
    (beir / "queries.jsonl.gz").write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"queries.jsonl.gz:1: not gzip, or cut off"):
        read_beir(beir)


# Learning to rank


@pytest.mark.parametrize(
    ("file", "n_pairs", "n_queries", "n_features", "grades"),
    [
        ("mq2008/S1.txt.gz", 2933, 157, 46, {0, 1, 2}),
        ("lightgbm-lambdarank/train.svm.gz", 3005, 201, 300, {0, 1, 2, 3, 4}),
        ("lightgbm-lambdarank/test.svm.gz", 768, 50, 300, {0, 1, 2, 3, 4}),
        ("trec-news-sample/trec_news_2018.train", 782, 45, 5, {0, 1, 2, 3, 4}),
    ],
)
def test_read_letor_reads_real_files(data_dir, file, n_pairs, n_queries, n_features, grades):
    pairs = read_letor(data_dir / "ltr" / file)
    assert pairs.X.shape == (n_pairs, n_features)
    assert pairs.y.shape == pairs.qid.shape == (n_pairs,)
    assert len(set(pairs.qid)) == n_queries
    assert set(pairs.y) <= grades
    assert pairs.qid.dtype == np.int64


def test_read_letor_equals_a_plain_parser(data_dir):
    path = data_dir / "ltr" / "trec-news-sample" / "trec_news_2018.train"
    pairs = read_letor(path)
    for i, line in enumerate(path.read_text().splitlines()):
        grade, qid, *features = line.split("#")[0].split()
        expected = np.zeros(5)
        for feature in features:
            index, value = feature.split(":")
            expected[int(index) - 1] = float(value)
        assert (pairs.y[i], pairs.qid[i]) == (float(grade), int(qid.removeprefix("qid:")))
        np.testing.assert_array_equal(pairs.X[[i]].toarray()[0], expected)


def test_missing_features_are_zero_and_comments_are_left_out(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("# a comment qid:1\n2 qid:1 1:0.5 3:-1 #docid = A qid:9\n\n0 qid:1\n")
    pairs = read_letor(path, n_features=4)
    np.testing.assert_array_equal(pairs.X.toarray(), [[0.5, 0, -1, 0], [0, 0, 0, 0]])
    with pytest.raises(ValueError, match="has 3 features, more than n_features=2"):
        read_letor(path, n_features=2)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1 1:2", "no qid"),
        ("1 1:2 # qid:3", "no qid"),
        ("1 qid:a 1:2", "invalid literal"),
        ("x qid:1 1:2", "could not convert"),
        ("1 qid:1 1:NULL", "could not convert"),
        ("1 qid:1 2:1 1:1", "sorted"),
        ("1 qid:1 0:1", "counted from 1"),
        ("1 qid:99999999999999999999 1:1", "too large"),
    ],
)
def test_a_bad_row_is_named_with_its_reason(tmp_path, line, reason):
    path = tmp_path / "pairs.txt"
    path.write_text(f"2 qid:1 1:0.5\n\n{line}\n1 qid:1 1:1\n")
    with pytest.raises(ValueError, match=rf"pairs.txt:3: .*{reason}"):
        read_letor(path)


def test_files_without_rows_or_grades_are_errors(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("# nothing\n")
    with pytest.raises(ValueError, match=r"pairs.txt: the file has no rows"):
        read_letor(path)
    path.write_text("1 qid:1 1:2\nnan qid:1 1:2\n")
    with pytest.raises(ValueError, match=r"pairs.txt:2: the grade is not a finite number: nan"):
        read_letor(path)
    (tmp_path / "pairs.gz").write_bytes(gzip.compress(b"1 qid:1 1:2\n")[:-9])
    with pytest.raises(ValueError, match=r"pairs.gz:\d: not gzip, or cut off"):
        read_letor(tmp_path / "pairs.gz")


# TREC


def test_trec_files_read_as_their_classes_read_them(data_dir):
    folder = data_dir / "trec" / "trec_eval-test"
    qrels, run = read_trec_qrels(folder / "qrels.test"), read_trec_run(folder / "results.test")
    assert isinstance(qrels, Qrels)
    assert isinstance(run, Run)
    assert qrels.to_dict() == Qrels.from_trec(folder / "qrels.test").to_dict()
    assert int((qrels.grades > 0).sum()) == 561
    assert run.shape[0] == 3
    assert len(run.scores) == 1500


def test_bad_trec_lines_are_named(tmp_path):
    path = tmp_path / "bad"
    path.write_text("q1 0 d1 1\nq1 0 d2\n")
    with pytest.raises(ValueError, match=r"bad:2: "):
        read_trec_qrels(path)
    path.write_text("q1 Q0 d1 1 2.5 tag\nq1 Q0 d2 2 high tag\n")
    with pytest.raises(ValueError, match=r"bad:2: "):
        read_trec_run(path)
