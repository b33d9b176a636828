"""Reader of collections in BEIR's form."""

import math
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from sklrank.data import Corpus, Qrels, Queries
from sklrank.datasets._files import bad_line, find, json_records, numbered_lines


def read_beir(folder, split="test"):
    r"""Read a collection from a folder in BEIR's form.

    The folder holds ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/{split}.tsv``, each with or without ``.gz``. A
    collection without splits holds ``qrels.tsv`` in place of the folder `qrels`.

    Parameters
    ----------
    folder : str or path
        The folder.
    split : str, default="test"
        Which judgments to read. With them come the queries that they judge, in the order of the file of queries; a
        collection without splits keeps all its queries.

    Returns
    -------
    collection : Bunch
        ``corpus`` (Corpus), ``queries`` (Queries) and ``qrels`` (Qrels). The judgments at position i are those of
        query i, and refer to the documents of the corpus.

    Raises
    ------
    ValueError
        If a line cannot be read, an id stands twice, or a judgment names an unknown query or document; the message
        starts with the file and the line.

    See Also
    --------
    load_scifact : A collection that sklrank ships.
    read_trec_qrels : Judgments without texts.

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
    """The documents of a folder in BEIR's form."""
    path = find(folder, ("corpus.jsonl",))
    records = unique_records(path)
    if not any(record.get("metadata") for record in records):
        for record in records:
            record.pop("metadata", None)
    return Corpus(records)


def read_split(folder, corpus, split):
    """Queries and judgments of one split, as a Bunch with the `corpus`."""
    whole = not (folder / "qrels").is_dir()
    if whole and split != "test":
        raise ValueError(f"{folder} has no splits, so there is no split={split!r}: it holds no folder qrels")
    records = unique_records(find(folder, ("queries.jsonl",)))
    path = find(folder, ("qrels.tsv",) if whole else (f"qrels/{split}.tsv",))
    judged = _read_judgments(path, {record["_id"]: {} for record in records}, corpus)
    if not whole:
        records = [record for record in records if judged[record["_id"]]]
    texts = {record["_id"]: record["text"] for record in records}
    queries = Queries(texts)
    return Bunch(
        corpus=corpus, queries=queries, qrels=Qrels([judged[qid] for qid in texts], queries=queries, corpus=corpus)
    )


def unique_records(path):
    """The objects of a JSON lines file, their ids checked."""
    first, records = {}, []
    for number, record in json_records(path, needed=("_id", "text")):
        docid = record["_id"]
        if not isinstance(docid, str):
            raise bad_line(path, number, f"'_id' must be a string, got {docid!r}")
        for name in ("title", "text"):
            if not isinstance(record.get(name, ""), str | None):
                raise bad_line(path, number, f"{name!r} must be a string, got {record[name]!r}")
        if docid in first:
            raise bad_line(path, number, f"'_id' {docid!r} stands in line {first[docid]} already")
        first[docid] = number
        records.append(record)
    return records


def judgment_lines(path):
    """Yield the number, query, document and grade of each line of a file of judgments."""
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        if len(cells) != 3:
            raise bad_line(path, number, f"needed query-id, corpus-id and score between tabs, got {len(cells)} columns")
        if number == 1 and cells[0] == "query-id":
            continue
        qid, docid, score = cells
        try:
            grade = float(score)
        except ValueError:
            grade = math.nan
        if not math.isfinite(grade):
            raise bad_line(path, number, f"the score {score!r} is not a finite number")
        yield number, qid, docid, grade


def _read_judgments(path, judged, corpus):
    """Fill `judged`, which maps each known query to its judgments so far, from a file of judgments."""
    lines, docids = [], []
    for number, qid, docid, grade in judgment_lines(path):
        if qid not in judged:
            raise bad_line(path, number, f"query {qid!r} is not among the queries")
        if docid in judged[qid]:
            raise bad_line(path, number, f"query {qid!r} and document {docid!r} are judged already")
        judged[qid][docid] = grade
        lines.append(number)
        docids.append(docid)
    rows = corpus.rows(docids, unknown="ignore")
    unknown = np.flatnonzero(rows < 0)
    if len(unknown):
        reason = f"document {docids[unknown[0]]!r} is not in the corpus ({len(unknown)} such lines)"
        raise bad_line(path, lines[unknown[0]], reason)
    return judged
