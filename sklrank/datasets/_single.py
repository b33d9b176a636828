"""Readers of single files of documents, queries or judgments, in the form that each is in."""

from itertools import islice

from sklrank.data import Corpus, Qrels, Queries
from sklrank.datasets._beir import judgment_lines, unique_records
from sklrank.datasets._files import bad_line, numbered_lines

_REFUSED = {"csv", "json", "xml"}  # forms whose lines are no texts


def read_documents(path):
    """Documents from a file whose form its name tells, ``.gz`` aside.

    ``.jsonl``: objects with ``_id``, ``text`` and perhaps ``title``, as BEIR ships them. ``.tsv``: id, text and
    perhaps title between tabs. Any other: one document a line, whose id is the number of the line, from 1; blank
    lines hold none. ``.csv``, ``.json`` and ``.xml`` are refused: a line of these is no text.

    Parameters
    ----------
    path : path

    Returns
    -------
    Corpus
    """
    records = _records(path)
    if not any(record.get("metadata") for record in records):
        records = [{name: value for name, value in record.items() if name != "metadata"} for record in records]
    return _build(Corpus, records, path)


def read_queries(path):
    """Queries from a file in a form that `read_documents` knows; their titles say nothing.

    Parameters
    ----------
    path : path

    Returns
    -------
    Queries
    """
    return _build(Queries, {record["_id"]: record["text"] or "" for record in _records(path)}, path)


def read_judgments(path):
    """Judgments from a file: query, document and score between tabs, as BEIR ships them, or TREC's four columns.

    Parameters
    ----------
    path : path

    Returns
    -------
    Qrels
    """
    _, line = next(numbered_lines(path), (0, ""))
    if line.count("\t") != 2 or line.startswith("#"):
        return Qrels.from_trec(path)
    judged = {}
    for number, qid, docid, grade in judgment_lines(path):
        grades = judged.setdefault(qid, {})
        if docid in grades:
            raise bad_line(path, number, f"query {qid!r} and document {docid!r} are judged already")
        grades[docid] = grade
    return Qrels(judged)


def check_words(path, ids):
    """Refuse an id that a TREC file cannot hold, with its line.

    Parameters
    ----------
    path : path
        The file.
    ids : sequence of str
        The ids in it, in order.
    """
    for i, name in enumerate(ids):
        if len(name.split()) != 1:
            number, _ = next(islice(numbered_lines(path), i, None))
            raise bad_line(path, number, f"the id {name!r} is no word without blanks, which a TREC run needs")


def _build(kind, data, path):
    """A Corpus or Queries; what is wrong with a text, such as a lone surrogate, is said with the file."""
    try:
        return kind(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _records(path):
    """One dict with ``_id`` and ``text`` for each document or query of a file."""
    suffix = str(path).removesuffix(".gz").rpartition(".")[2].lower()
    if suffix in _REFUSED:
        raise ValueError(
            f"{path}: .{suffix} is none of the forms that are read: .jsonl (objects with _id, text and perhaps title), "
            ".tsv (id, text and perhaps title between tabs), and under any other name, such as .txt, one text a line"
        )
    if suffix == "jsonl":
        records = unique_records(path)
    elif suffix == "tsv":
        records = _rows(path)
    else:
        records = [{"_id": str(number), "text": line} for number, line in numbered_lines(path)]
    if not records:
        raise ValueError(f"{path}: holds nothing")
    return records


def _rows(path):
    """The records of a file of tab-separated values, their ids checked."""
    first, records = {}, []
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        if not 2 <= len(cells) <= 3:
            raise bad_line(path, number, f"needed id, text and perhaps title between tabs, got {len(cells)} columns")
        if cells[0] in first:
            raise bad_line(path, number, f"the id {cells[0]!r} stands in line {first[cells[0]]} already")
        first[cells[0]] = number
        records.append(dict(zip(("_id", "text", "title"), cells)))
    return records
