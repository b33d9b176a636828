"""Qrels: the relevance judgments."""

import numpy as np
from scipy import sparse

from sklrank._ragged import intervals
from sklrank.data._corpus import Corpus, DocumentIds
from sklrank.data._files import write_lines
from sklrank.data._frames import frame_columns, frame_like, is_frame, pick_column
from sklrank.data._ids import Ids, as_id_list, object_array, show
from sklrank.data._pairs import (
    Pairs,
    align_queries,
    as_numbers,
    as_pairs,
    canonical,
    check_duplicates,
    group_by_query,
    keyed_by_str,
    pair_of,
)
from sklrank.data._queries import Queries
from sklrank.data._trec import check_fields, place_of_repeat, read_trec

_QUERY_NAMES = ("qid", "query_id", "query-id", "q_id", "query")
_DOC_NAMES = ("docid", "doc_id", "docno", "corpus-id", "doc")
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
        if is_frame(judgments):
            self.__dict__.update(Qrels.from_frame(judgments, corpus=corpus).__dict__)
            if queries is not None:
                self.__dict__.update(self.align(queries).__dict__)
            return
        if sparse.issparse(judgments) or isinstance(judgments, np.ndarray) and judgments.ndim == 2:
            self._from_matrix(judgments, queries, corpus)
            return
        found, indptr, docids, grades = as_pairs(judgments, _refuse_bare)
        if not keyed_by_str(judgments):
            check_duplicates(indptr, docids, found.ids.__getitem__)
        self._fill(found, indptr, docids, as_numbers(grades, "grades"), None, corpus)
        if queries is not None:
            queries = Queries.of(queries)
            if found.has_ids:
                self.__dict__.update(self.align(queries).__dict__)
            else:
                align_queries(found, queries, "judgments")
                self._queries = queries

    def _fill(self, queries, indptr, docids, grades, subtopics, corpus):
        _check_grades(grades, queries, indptr, docids)
        if corpus is None:
            documents, rows = DocumentIds.factorize(docids)
        else:
            documents = Corpus.of(corpus)
            rows = documents.rows(docids)
        self._set_pairs(indptr, queries, documents, rows)
        self.grades = grades
        self.subtopics = subtopics

    def _from_matrix(self, matrix, queries, corpus):
        queries = Queries.unnamed(matrix.shape[0]) if queries is None else Queries.of(queries)
        documents = DocumentIds(Ids(None, matrix.shape[1])) if corpus is None else Corpus.of(corpus)
        if matrix.shape != (len(queries), len(documents)):
            raise ValueError(
                f"a matrix of shape {matrix.shape} for {len(queries)} queries and {len(documents)} documents"
            )
        if sparse.issparse(matrix):
            matrix = canonical(matrix)
            indptr, rows, grades = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data
        else:
            indptr = np.arange(len(queries) + 1, dtype=np.int64) * matrix.shape[1]
            rows, grades = np.tile(np.arange(matrix.shape[1]), len(queries)), matrix.ravel()
        grades = grades.astype(np.float64)
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
            Column of the subtopic that a judgment is about, if any.
        corpus : Corpus, default=None
            The documents.

        Returns
        -------
        Qrels
        """
        columns = frame_columns(frame)
        qids = as_id_list(columns[pick_column(columns, query, _QUERY_NAMES, "query")], "query")
        docids = as_id_list(columns[pick_column(columns, doc, _DOC_NAMES, "doc")], "document")
        grades = as_numbers(columns[pick_column(columns, grade, _GRADE_NAMES, "grade")], "grades")
        subtopics = None if subtopic is None else columns[pick_column(columns, subtopic, (), "subtopic")]
        return cls._from_columns(qids, docids, grades, subtopics, corpus)

    @classmethod
    def _from_columns(cls, qids, docids, grades, subtopics, corpus):
        names, order, indptr = group_by_query(qids)
        docids, grades = object_array(docids), np.asarray(grades, dtype=np.float64)
        subtopics = None if subtopics is None else object_array(list(map(str, subtopics)))
        if order is not None:
            docids, grades = docids[order], grades[order]
            subtopics = None if subtopics is None else subtopics[order]
        pairs = docids if subtopics is None else object_array(list(zip(docids, subtopics)))
        check_duplicates(indptr, pairs, names.__getitem__)
        self = object.__new__(cls)
        self._fill(Queries.named(names), indptr, docids, grades, subtopics, corpus)
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
        qids, iterations, docids, grades = read_trec(path, "qid iteration docid grade", "grade", finite=True)
        try:
            return cls._from_columns(qids, docids, grades, iterations if subtopics else None, corpus)
        except ValueError as error:
            raise ValueError(f"{place_of_repeat(path, (0, 1, 2) if subtopics else (0, 2))}: {error}") from None

    @property
    def ids(self):
        """Ids of the queries."""
        return self._queries.ids

    @property
    def judgments(self):
        """Judgments of each query, as a dict of document id to grade.

        Returns
        -------
        list of dict
        """
        docids, grades = self.flat_docids.tolist(), _plain(self.grades)
        return [dict(zip(docids[start:stop], grades[start:stop])) for start, stop in intervals(self._indptr)]

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


def _check_grades(grades, queries, indptr, docs):
    bad = np.flatnonzero(~np.isfinite(grades)).tolist()
    if bad:
        pairs = [(*pair_of(queries, indptr, docs, e), float(grades[e])) for e in bad]
        raise ValueError(f"grades are finite numbers; (query, document, grade): {show(pairs)}")


def _refuse_bare(docids):
    raise TypeError(f"judgments need grades: a dict {{docid: grade}} for each query, got the list {list(docids)[:3]}…")


def _plain(grades):
    whole = (grades == np.trunc(grades)).all()
    return grades.astype(np.int64).tolist() if whole else grades.tolist()
