"""Readers of single files of documents, queries or judgments, in the form that each is in."""

from itertools import islice

from sklrank.data import Corpus, Qrels, Queries
from sklrank.data._files import bad_line, numbered_lines
from sklrank.data._trec import is_field
from sklrank.datasets._beir import judgment_lines, unique_records, without_empty_metadata
from sklrank.datasets._files import build, check_new, shown

_REFUSED = {"csv", "json", "xml"}  # forms whose lines are not texts


def read_documents(path):
    """Read documents from a file whose form its name tells, ``.gz`` aside.

    ``.jsonl``: objects with ``_id``, ``text`` and perhaps ``title``, as BEIR ships them. ``.tsv``: id, text and
    perhaps title between tabs. Any other: one document per line, whose id is the number of the line, from 1; blank
    lines hold none. ``.csv``, ``.json`` and ``.xml`` are refused, because a line of these is not a text.

    Parameters
    ----------
    path : path

    Returns
    -------
    Corpus
    """
    return build(Corpus, without_empty_metadata(_records(path)), path)


def read_queries(path):
    """Read queries from a file in a form that `read_documents` knows; their titles are not used.

    Parameters
    ----------
    path : path

    Returns
    -------
    Queries
    """
    return build(Queries, {record["_id"]: record["text"] or "" for record in _records(path)}, path)


def read_judgments(path):
    """Read judgments from a file: query, document and score between tabs, as BEIR ships them, or TREC's four columns.

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
    for _, qid, docid, grade in judgment_lines(path):
        judged.setdefault(qid, {})[docid] = grade
    return build(Qrels, judged, path)


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
        if not is_field(name):
            number, _ = next(islice(numbered_lines(path), i, None))
            raise bad_line(path, number, f"the id {shown(name)} is not a word without blanks, which a TREC run needs")


def _records(path):
    """Read one dict with ``_id`` and ``text`` for each document or query of a file."""
    suffix = str(path).removesuffix(".gz").rpartition(".")[2].lower()
    if suffix in _REFUSED:
        raise ValueError(
            f"{path}: a .{suffix} file is not read; these are: .jsonl (objects with _id, text and perhaps title), .tsv "
            "(id, text and perhaps title between tabs), and under any other name, such as .txt, one text per line"
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
    """Read the records of a file of tab-separated values, their ids checked."""
    first, records = {}, []
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        if not 2 <= len(cells) <= 3:
            raise bad_line(path, number, f"expected id, text and perhaps title between tabs, got {len(cells)} columns")
        check_new(path, number, cells[0], first)
        records.append(dict(zip(("_id", "text", "title"), cells)))
    return records
