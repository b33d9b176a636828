"""Qrels: the relevance judgments."""

import numpy as np

from sklrank._ragged import intervals
from sklrank.data._corpus import Corpus
from sklrank.data._documents import DocumentIds
from sklrank.data._files import write_lines
from sklrank.data._frames import frame_columns, frame_like, is_frame, pick_column
from sklrank.data._ids import as_id_list, show
from sklrank.data._pairs import Pairs, align_queries, sides_of_matrix, take_queries
from sklrank.data._queries import Queries
from sklrank.data._shapes import as_numbers, as_pairs, is_matrix, matrix_entries, pair_of, pairs_of_columns
from sklrank.data._trec import check_fields, place_of_repeat, read_trec

_QUERY_NAMES = ("qid", "query_id", "query-id", "q_id", "query")
_DOC_NAMES = ("docid", "doc_id", "docno", "corpus-id", "doc")
LARGEST_GRADE = 2.0**53  # above it, float64 cannot represent every whole number
_GRADE_NAMES = ("grade", "relevance", "rel", "score", "label")


class Qrels(Pairs):
    """Hold relevance judgments: a grade for each judged pair of query and document.

    Grade 0 means judged and not relevant. A pair without a grade is unjudged. Negative grades are kept, and metrics
    treat them as not relevant.

    Parameters
    ----------
    judgments : dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        ``{qid: {docid: grade}}``; one dict ``{docid: grade}`` for each query, in order; a frame (see `from_frame`);
        or a matrix of grades. The stored entries of a sparse matrix are judged, or all entries of a dense one.
    queries : Queries or sequence of str, default=None
        Queries. They are for judgments that come as a list or a matrix.
    corpus : Corpus, default=None
        The documents. If None, the ids that `judgments` names, or the positions in a matrix.

    Attributes
    ----------
    indptr, rows, grades : ndarray
        Ragged arrays: the judged documents of query ``i`` are ``rows[indptr[i]:indptr[i + 1]]``.
    subtopics : ndarray of object or None
        Subtopic of each judgment, or None if there are no subtopics.

    See Also
    --------
    Run : Hold rankings.

    Examples
    --------
    >>> from sklrank import Qrels
    >>> qrels = Qrels({"q1": {"d1": 2, "d7": 0}, "q2": {"d3": 1}})
    >>> qrels
    <Qrels: 2 queries with ids, 3 judgments, 2 of them relevant>
    >>> qrels[1].to_dict()
    {'q2': {'d3': 1}}
    """

    _values = ("grades", "subtopics")
    _noun = "judgments"

    def __init__(self, judgments, *, queries=None, corpus=None):
        if isinstance(judgments, Qrels):
            raise TypeError("these are Qrels already; align(queries) puts them into another order")
        if queries is not None:
            queries = Queries.of(queries)
        if is_matrix(judgments):
            self._from_matrix(judgments, queries, corpus)
        elif is_frame(judgments):
            self._fill(*_frame_pairs(judgments), corpus, queries)
        else:
            found, indptr, docids, grades = as_pairs(judgments, _refuse_bare)
            self._fill(found, indptr, docids, as_numbers(grades, "grades"), None, corpus, queries)

    def _fill(self, found, indptr, docids, grades, subtopics, corpus, queries=None):
        """Set entries with document ids, of all queries or of the given ones."""
        _check_grades(grades, found, indptr, docids)
        if corpus is None:
            documents, rows = DocumentIds.factorize(docids)
        else:
            documents = Corpus.of(corpus)
            rows = documents.rows(docids)
        if queries is not None:
            positions = align_queries(found, queries, "judgments")
            indptr, (rows, grades, subtopics) = take_queries(positions, indptr, (rows, grades, subtopics))
            found = queries
        self._set_pairs(indptr, found, documents, rows)
        self.grades, self.subtopics = grades, subtopics

    def _from_matrix(self, matrix, queries, corpus):
        queries, documents = sides_of_matrix(matrix, queries, corpus)
        indptr, rows, grades = matrix_entries(matrix)
        grades = as_numbers(grades, "grades")
        _check_grades(grades, queries, indptr, rows)
        self._set_pairs(indptr, queries, documents, rows)
        self.grades, self.subtopics = grades, None

    @classmethod
    def from_frame(cls, frame, *, query=None, doc=None, grade=None, subtopic=None, corpus=None):
        """Make judgments from a long data frame with one row per judgment.

        Parameters
        ----------
        frame : DataFrame
            Frame of pandas, polars or pyarrow.
        query, doc, grade : str, default=None
            Names of the columns. If None, common names are tried, such as ``"qid"``, ``"docid"``, ``"grade"``.
        subtopic : str, default=None
            Column of the subtopic of a judgment. If None, the column ``"subtopic"``, if it exists.
        corpus : Corpus, default=None
            The documents.

        Returns
        -------
        Qrels
        """
        self = object.__new__(cls)
        self._fill(*_frame_pairs(frame, query, doc, grade, subtopic), corpus)
        return self

    @classmethod
    def from_trec(cls, path, *, subtopics=False, corpus=None):
        """Read judgments from a TREC file: ``qid iteration docid grade``.

        Parameters
        ----------
        path : path
            The file. A file ``.gz`` is decompressed.
        subtopics : bool, default=False
            Whether the second column holds subtopics.
        corpus : Corpus, default=None
            The documents.

        Returns
        -------
        Qrels

        Raises
        ------
        ValueError
            If a line has another form. The message names file, line and reason.
        """
        qids, iterations, docids, grades = read_trec(path, "qid iteration docid grade", "grade", largest=LARGEST_GRADE)
        topics, fields = None, (0, 2)
        if subtopics:
            topics, fields = iterations, (0, 1, 2)
        try:
            entries = pairs_of_columns(qids, docids, grades, topics)
        except ValueError as error:
            raise ValueError(f"{place_of_repeat(path, fields)}: {error}") from None
        self = object.__new__(cls)
        self._fill(*entries, corpus)
        return self

    @property
    def ids(self):
        """Ids of the queries."""
        return self._queries.ids

    @property
    def judgments(self):
        """Judgments of each query as a dict from document id to grade; with subtopics, the highest grade.

        Returns
        -------
        list of dict
        """
        docids, grades = self.flat_docids.tolist(), _plain(self.grades)
        found = [dict(zip(docids[start:stop], grades[start:stop])) for start, stop in intervals(self._indptr)]
        if self.subtopics is not None:
            for judged, (start, stop) in zip(found, intervals(self._indptr)):
                for docid, grade in zip(docids[start:stop], grades[start:stop]):
                    judged[docid] = max(judged[docid], grade)
        return found

    def to_dict(self):
        """Return ``{qid: {docid: grade}}``; whole grades are int.

        Returns
        -------
        dict
        """
        self._check_distinct_queries()
        return dict(zip(self.ids.tolist(), self.judgments))

    def to_frame(self, *, backend=None):
        """Return a frame with one row per judgment: qid, docid, grade, and subtopic if there are subtopics.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default=None
            Library of the frame. If None, pandas if it is installed, else polars.

        Returns
        -------
        DataFrame
        """
        columns = {
            "qid": np.repeat(self.ids, np.diff(self._indptr)).tolist(),
            "docid": self.flat_docids.tolist(),
            "grade": _plain(self.grades),
        }
        if self.subtopics is not None:
            columns["subtopic"] = self.subtopics.tolist()
        return frame_like(columns, backend)

    def to_trec(self, path):
        """Write a TREC file, completely or not at all.

        Parameters
        ----------
        path : path
            The file. A file ``.gz`` is compressed.
        """
        qids = np.repeat(self.ids, np.diff(self._indptr)).tolist()
        second = ["0"] * len(qids)
        if self.subtopics is not None:
            second = self.subtopics.tolist()
        grades = _plain(self.grades)
        check_fields(query=self.ids, document=set(self.flat_docids), subtopic=set(second))
        write_lines(path, (f"{q} {s} {d} {g}\n" for q, s, d, g in zip(qids, second, self.flat_docids, grades)))

    def to_csr(self):
        """Return the grades as a matrix of shape (n_queries, n_documents).

        Returns
        -------
        scipy.sparse.csr_array
        """
        return self._csr(self.grades)

    def __array__(self, dtype=None, copy=None):
        return self._dense(self.grades, dtype)

    def __repr__(self):
        named = "with ids" if self.has_ids else "without ids"
        relevant = int((self.grades > 0).sum())
        return f"<Qrels: {len(self)} queries {named}, {len(self.grades)} judgments, {relevant} of them relevant>"


def _frame_pairs(frame, query=None, doc=None, grade=None, subtopic=None):
    """Return the judgments of a data frame as `pairs_of_columns` does."""
    columns = frame_columns(frame)
    qids = as_id_list(columns[pick_column(columns, query, _QUERY_NAMES, "query")], "query")
    docids = as_id_list(columns[pick_column(columns, doc, _DOC_NAMES, "doc")], "document")
    grades = as_numbers(columns[pick_column(columns, grade, _GRADE_NAMES, "grade")], "grades")
    if subtopic is None and "subtopic" in columns:
        subtopic = "subtopic"
    topics = None
    if subtopic is not None:
        topics = list(map(str, columns[pick_column(columns, subtopic, (), "subtopic")]))
    return pairs_of_columns(qids, docids, grades, topics)


def _check_grades(grades, queries, indptr, docs):
    bad = np.flatnonzero(~(np.abs(grades) <= LARGEST_GRADE)).tolist()
    if bad:
        pairs = [(*pair_of(queries, indptr, docs, e), float(grades[e])) for e in bad]
        raise ValueError(f"grades are finite numbers, from -2**53 to 2**53; (query, document, grade): {show(pairs)}")


def _refuse_bare(docids):
    raise TypeError(f"expected a dict {{docid: grade}} for each query, got the list {list(docids)[:3]}… without grades")


def _plain(grades):
    """Return grades as a list of int if all are whole, else of float."""
    if (grades == np.trunc(grades)).all():
        grades = grades.astype(np.int64)
    return grades.tolist()
