"""Readers of single files of documents, queries or judgments."""

from itertools import islice

from sklrank.data import Corpus, Qrels, Queries
from sklrank.data._files import bad_line, numbered_lines
from sklrank.data._trec import is_field
from sklrank.datasets._beir import judgment_lines, unique_records, without_empty_metadata
from sklrank.datasets._files import build, check_new, shown

_REFUSED = {"csv", "json", "xml"}  # formats whose lines are not texts


def read_documents(path):
    """Read documents from a file whose name tells its format, with or without ``.gz``.

    * ``.jsonl``: objects with ``_id``, ``text`` and an optional ``title``, as in BEIR.
    * ``.tsv``: id, text and an optional title, separated by tabs.
    * Other names: one document per line, whose id is the number of the line, from 1. Blank lines are skipped.

    ``.csv``, ``.json`` and ``.xml`` are an error, because their lines are not texts.

    Parameters
    ----------
    path : path

    Returns
    -------
    Corpus
    """
    return build(Corpus, without_empty_metadata(_records(path)), path)


def read_queries(path):
    """Read queries from a file in a format of `read_documents`; titles are ignored.

    Parameters
    ----------
    path : path

    Returns
    -------
    Queries
    """
    return build(Queries, {record["_id"]: record["text"] or "" for record in _records(path)}, path)


def read_judgments(path):
    """Read judgments from a file: query, document and score separated by tabs, as in BEIR, or TREC's four columns.

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
    """Raise an error that names the line of an id that a TREC file cannot hold.

    Parameters
    ----------
    path : path
        The file.
    ids : sequence of str
        Ids in the file, in order.
    """
    for i, name in enumerate(ids):
        if not is_field(name):
            number, _ = next(islice(numbered_lines(path), i, None))
            raise bad_line(path, number, f"the id {shown(name)} is not a word without blanks, which a TREC run needs")


def _records(path):
    """Return a dict with ``_id`` and ``text`` for each document or query of a file."""
    suffix = str(path).removesuffix(".gz").rpartition(".")[2].lower()
    if suffix in _REFUSED:
        raise ValueError(
            f"{path}: a .{suffix} file is not supported; expected .jsonl (objects with _id, text, perhaps title), .tsv "
            "(id, text and perhaps title between tabs), or another name, such as .txt, for texts, one per line"
        )
    if suffix == "jsonl":
        records = unique_records(path)
    elif suffix == "tsv":
        records = _rows(path)
    else:
        records = [{"_id": str(number), "text": line} for number, line in numbered_lines(path)]
    if not records:
        raise ValueError(f"{path}: the file is empty")
    return records


def _rows(path):
    """Read the records of a file of tab-separated values, and check their ids."""
    first, records = {}, []
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        if not 2 <= len(cells) <= 3:
            raise bad_line(path, number, f"expected id, text and perhaps title between tabs, got {len(cells)} columns")
        check_new(path, number, cells[0], first)
        records.append(dict(zip(("_id", "text", "title"), cells)))
    return records
