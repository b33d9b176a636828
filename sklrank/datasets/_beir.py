"""Reader of collections in BEIR's format."""

from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from sklrank.data import Corpus, Qrels, Queries
from sklrank.data._files import bad_line, numbered_lines
from sklrank.data._qrels import LARGEST_GRADE
from sklrank.data._trec import to_number
from sklrank.datasets._files import build, check_new, find, json_records, shown


def read_beir(folder, split="test"):
    r"""Read a collection from a folder in BEIR's format.

    The folder contains ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/{split}.tsv``, each with or without ``.gz``. A
    collection without splits contains ``qrels.tsv`` instead of the folder `qrels`.

    Parameters
    ----------
    folder : str or path
        Folder of the collection.
    split : str, default="test"
        Name of the split to read. Only the queries that it judges are returned, in the order of the file of queries. A
        collection without splits keeps all its queries.

    Returns
    -------
    collection : Bunch
        ``corpus`` (Corpus), ``queries`` (Queries) and ``qrels`` (Qrels). The judgments at position i are those of
        query i, and refer to the documents of the corpus.

    Raises
    ------
    ValueError
        If a line cannot be read, an id occurs twice, or a judgment names an unknown query or document. The message
        starts with the file and the line.

    See Also
    --------
    load_scifact : Load a collection that is part of the package.
    read_trec_qrels : Read judgments without texts.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> from sklrank.datasets import read_beir
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = pathlib.Path(name)
    ...     documents = [{"_id": "d1", "title": "Heat", "text": "It flows."}, {"_id": "d2", "text": "Cold air"}]
    ...     _ = (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    ...     _ = (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "what is heat"}')
    ...     _ = (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\n")
    ...     collection = read_beir(folder)
    >>> collection.corpus
    <Corpus: 2 documents, columns title, text>
    >>> collection.queries.texts
    ['what is heat']
    >>> collection.qrels.to_dict()
    {'q1': {'d1': 2}}
    """
    folder = Path(folder)
    return read_split(folder, read_corpus(folder), split)


def read_corpus(folder):
    """Read the documents of a folder in BEIR's format."""
    path = find(folder, ("corpus.jsonl",))
    return build(Corpus, without_empty_metadata(unique_records(path)), path)


def without_empty_metadata(records):
    """Drop BEIR's ``metadata`` if it is empty in all records."""
    if any(record.get("metadata") for record in records):
        return records
    return [{name: value for name, value in record.items() if name != "metadata"} for record in records]


def read_split(folder, corpus, split):
    """Read queries and judgments of one split; return a Bunch with them and the `corpus`."""
    has_splits = (folder / "qrels").is_dir()
    if not has_splits and split != "test":
        raise ValueError(f"{folder} has no splits, so split={split!r} does not exist: the folder qrels is missing")
    queries_path = find(folder, ("queries.jsonl",))
    texts = {record["_id"]: record["text"] or "" for record in unique_records(queries_path)}
    path = find(folder, (f"qrels/{split}.tsv" if has_splits else "qrels.tsv",))
    judged = _read_judgments(path, texts, corpus)
    if has_splits:
        texts = {qid: text for qid, text in texts.items() if qid in judged}
    queries = build(Queries, texts, queries_path)
    grades = [judged.get(qid, {}) for qid in texts]
    qrels = build(Qrels, grades, path, queries=queries, corpus=corpus)
    return Bunch(corpus=corpus, queries=queries, qrels=qrels)


def unique_records(path):
    """Read the objects of a JSON lines file, and check their ids."""
    first, records = {}, []
    for number, record in json_records(path, needed=("_id", "text")):
        if not isinstance(record["_id"], str):
            raise bad_line(path, number, f"'_id' must be a string, got {shown(record['_id'])}")
        for name in ("title", "text"):
            if not isinstance(record.get(name, ""), str | None):
                raise bad_line(path, number, f"{name!r} must be a string, got {shown(record[name])}")
        check_new(path, number, record["_id"], first)
        records.append(record)
    return records


def judgment_lines(path):
    """Yield number, query, document and grade of each line of a file of judgments; a repeated pair is an error."""
    pairs = set()
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        if len(cells) != 3:
            raise bad_line(
                path, number, f"expected query-id, corpus-id and score between tabs, got {len(cells)} columns"
            )
        if number == 1 and cells[0] == "query-id":
            continue
        qid, docid, score = cells
        grade = to_number(score)
        if not abs(grade) <= LARGEST_GRADE:  # true for NaN, too
            raise bad_line(path, number, f"the score {shown(score)} is not a finite number of at most 2**53")
        if (qid, docid) in pairs:
            raise bad_line(path, number, f"query {shown(qid)} and document {shown(docid)} are judged already")
        pairs.add((qid, docid))
        yield number, qid, docid, grade


def _read_judgments(path, texts, corpus):
    """Read the judgments of known queries and documents, as ``{qid: {docid: grade}}``."""
    judged, numbers, docids = {}, [], []
    for number, qid, docid, grade in judgment_lines(path):
        if qid not in texts:
            raise bad_line(path, number, f"query {shown(qid)} is not among the queries")
        judged.setdefault(qid, {})[docid] = grade
        numbers.append(number)
        docids.append(docid)
    unknown = np.flatnonzero(corpus.rows(docids, unknown="ignore") < 0)
    if len(unknown):
        reason = f"document {shown(docids[unknown[0]])} is not in the corpus ({len(unknown)} such lines)"
        raise bad_line(path, numbers[unknown[0]], reason)
    return judged
