"""Qrels: the relevance judgments."""

import numpy as np

from sklrank._ragged import intervals
from sklrank.data._corpus import Corpus
from sklrank.data._documents import DocumentIds
from sklrank.data._files import write_lines
from sklrank.data._frames import frame_columns, frame_like, is_frame, pick_column
from sklrank.data._ids import Ids, as_id_list, show
from sklrank.data._pairs import Pairs, align_queries, check_shape, take_queries
from sklrank.data._queries import Queries
from sklrank.data._shapes import as_numbers, as_pairs, is_matrix, matrix_entries, pair_of, pairs_of_columns
from sklrank.data._trec import check_fields, place_of_repeat, read_trec

_QUERY_NAMES = ("qid", "query_id", "query-id", "q_id", "query")
_DOC_NAMES = ("docid", "doc_id", "docno", "corpus-id", "doc")
LARGEST_GRADE = 2.0**53  # of the grades; beyond, float64 does not tell whole numbers apart
_GRADE_NAMES = ("grade", "relevance", "rel", "score", "label")


class Qrels(Pairs):
    """Relevance judgments: a grade for each judged pair of query and document.

    Grade 0 is judged and not relevant; a pair that is not there is unjudged. Negative grades are kept; metrics
    take them for not relevant.

    Parameters
    ----------
    judgments : dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        ``{qid: {docid: grade}}``; one dict ``{docid: grade}`` for each query, in order; a frame (see `from_frame`);
        or grades by position: of a sparse matrix the stored entries are judged, of a dense one all are.
    queries : Queries or sequence of str, default=None
        The queries of a list or a matrix, whose ids it then has.
    corpus : Corpus, default=None
        The documents; ``None``: the ids that `judgments` names, or the positions in a matrix.

    Attributes
    ----------
    indptr, rows, grades : ndarray
        Ragged arrays: query ``i`` judges the documents ``rows[indptr[i]:indptr[i + 1]]``.
    subtopics : ndarray of object or None
        Subtopic of each judgment, where there are any.

    See Also
    --------
    Run : What was found, to be measured against judgments.

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
            raise TypeError("these are Qrels already; align(queries) brings them into another order")
        queries = None if queries is None else Queries.of(queries)
        if is_matrix(judgments):
            self._from_matrix(judgments, queries, corpus)
        elif is_frame(judgments):
            self._fill(*_frame_pairs(judgments), corpus, queries)
        else:
            found, indptr, docids, grades = as_pairs(judgments, _refuse_bare)
            self._fill(found, indptr, docids, as_numbers(grades, "grades"), None, corpus, queries)

    def _fill(self, found, indptr, docids, grades, subtopics, corpus, queries=None):
        """Take in entries that are keyed by ids, those of `queries` if there are any."""
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
        queries = Queries.unnamed(matrix.shape[0]) if queries is None else queries
        documents = DocumentIds(Ids(None, matrix.shape[1])) if corpus is None else Corpus.of(corpus)
        check_shape(matrix, queries, documents)
        indptr, rows, grades = matrix_entries(matrix)
        grades = as_numbers(grades, "grades")
        _check_grades(grades, queries, indptr, rows)
        self._set_pairs(indptr, queries, documents, rows)
        self.grades, self.subtopics = grades, None

    @classmethod
    def from_frame(cls, frame, *, query=None, doc=None, grade=None, subtopic=None, corpus=None):
        """Judgments from a long data frame, one row each.

        Parameters
        ----------
        frame : DataFrame
            Of pandas, polars or pyarrow.
        query, doc, grade : str, default=None
            Names of the columns; ``None`` looks for the usual ones, such as ``"qid"``, ``"docid"``, ``"grade"``.
        subtopic : str, default=None
            Column of the subtopic that a judgment is about; ``None``: the one named ``"subtopic"``, if there is one.
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
        """Judgments from a TREC file: ``qid iteration docid grade``.

        Parameters
        ----------
        path : path
            The file; ``.gz`` is unpacked.
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
            If a line is not of that form; the message names file, line and reason.
        """
        qids, iterations, docids, grades = read_trec(path, "qid iteration docid grade", "grade", largest=LARGEST_GRADE)
        try:
            entries = pairs_of_columns(qids, docids, grades, iterations if subtopics else None)
        except ValueError as error:
            raise ValueError(f"{place_of_repeat(path, (0, 1, 2) if subtopics else (0, 2))}: {error}") from None
        self = object.__new__(cls)
        self._fill(*entries, corpus)
        return self

    @property
    def ids(self):
        """Ids of the queries."""
        return self._queries.ids

    @property
    def judgments(self):
        """Judgments of each query, as a dict of document id to grade; of several subtopics the highest grade.

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
        """``{qid: {docid: grade}}``; whole grades are int.

        Returns
        -------
        dict
        """
        self._check_distinct_queries()
        return dict(zip(self.ids.tolist(), self.judgments))

    def to_frame(self, *, backend=None):
        """One row a judgment: qid, docid, grade, and subtopic where there are any.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default=None
            The library of the frame; ``None``: pandas where it is installed, else polars.

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
        """Write a TREC file, whole or not at all.

        Parameters
        ----------
        path : path
            The file; ``.gz`` is packed.
        """
        qids = np.repeat(self.ids, np.diff(self._indptr)).tolist()
        second = ["0"] * len(qids) if self.subtopics is None else self.subtopics.tolist()
        grades = _plain(self.grades)
        check_fields(query=self.ids, document=set(self.flat_docids), subtopic=set(second))
        write_lines(path, (f"{q} {s} {d} {g}\n" for q, s, d, g in zip(qids, second, self.flat_docids, grades)))

    def to_csr(self):
        """Grades as a matrix of shape (n_queries, n_documents).

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
    """Judgments of a data frame, as `pairs_of_columns` gives them."""
    columns = frame_columns(frame)
    qids = as_id_list(columns[pick_column(columns, query, _QUERY_NAMES, "query")], "query")
    docids = as_id_list(columns[pick_column(columns, doc, _DOC_NAMES, "doc")], "document")
    grades = as_numbers(columns[pick_column(columns, grade, _GRADE_NAMES, "grade")], "grades")
    if subtopic is None and "subtopic" in columns:
        subtopic = "subtopic"
    topics = None if subtopic is None else list(map(str, columns[pick_column(columns, subtopic, (), "subtopic")]))
    return pairs_of_columns(qids, docids, grades, topics)


def _check_grades(grades, queries, indptr, docs):
    bad = np.flatnonzero(~(np.abs(grades) <= LARGEST_GRADE)).tolist()
    if bad:
        pairs = [(*pair_of(queries, indptr, docs, e), float(grades[e])) for e in bad]
        raise ValueError(f"grades are finite numbers, from -2**53 to 2**53; (query, document, grade): {show(pairs)}")


def _refuse_bare(docids):
    raise TypeError(f"judgments need grades: a dict {{docid: grade}} for each query, got the list {list(docids)[:3]}…")


def _plain(grades):
    whole = (grades == np.trunc(grades)).all()
    return grades.astype(np.int64).tolist() if whole else grades.tolist()
