"""Run: the rankings."""

import numpy as np

from sklrank._ragged import check_indptr, lengths_to_indptr, places
from sklrank.data._columns import check_score_columns
from sklrank.data._corpus import Corpus
from sklrank.data._display import printable
from sklrank.data._frames import is_frame
from sklrank.data._ids import show
from sklrank.data._order import rank
from sklrank.data._pairs import align_queries, sides_of_matrix, take_queries
from sklrank.data._queries import Queries
from sklrank.data._run_algebra import RunAlgebra
from sklrank.data._run_display import run_html, run_text
from sklrank.data._run_exports import RunExports
from sklrank.data._run_input import as_scores, check_options, check_scores, frame_pairs, ranked
from sklrank.data._shapes import (
    as_pairs,
    check_duplicates,
    is_matrix,
    matrix_entries,
    pairs_of_columns,
)
from sklrank.data._trec import place_of_repeat, read_trec
from sklrank.data._union import united


class Run(RunAlgebra, RunExports):
    """Hold rankings: the documents of each query, best first, with their scores.

    The order inside a run *is* the ranking, which metrics follow. Rankings with ids are ordered once, when the run is
    made, as in trec_eval: by score as float32, then by document id, both descending.

    Parameters
    ----------
    rankings : dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        ``{qid: {docid: score}}``, ``{qid: [docid, …]}`` (best first), a list of such values, a frame (see
        `from_frame`), or a matrix of scores. The candidates are the stored entries of a sparse matrix, or all documents
        of a dense one. Since a matrix has rows, equal scores are ordered by row, and scores keep their precision.
    queries : Queries, or data that they are made from, default=None
        Queries. Rankings are aligned with them by id if both have ids, else by position.
    corpus : Corpus, default=None
        The documents. If None, the ids that `rankings` names, or the positions in a matrix.
    name : str, default=None
        Name of the run. It is the tag in TREC files.
    ties : {"trec_eval", "row"}, default="trec_eval"
        Order of documents with equal scores: by id, descending, or as given.
    higher_is_better : bool, default=True
        Whether a higher score is better. For distances it is False, and the scores are the negated distances.
    score_dtype : {"float32", "float64"}, default="float32"
        Precision in which scores are compared: float32 as in trec_eval 9, or float64 as in trec_eval 10.

    Attributes
    ----------
    indptr, rows, scores : ndarray
        Ragged arrays: the ranking of query ``i`` is ``rows[indptr[i]:indptr[i + 1]]``.
    columns : tuple of str
        Names of additional score columns, which have one value per entry.
    name : str or None
        Name of the run.
    k : int or None
        The cutoff of the retriever: no ranking is longer. None if it is unknown.

    See Also
    --------
    Qrels : Hold relevance judgments.

    Examples
    --------
    >>> from sklrank import Run
    >>> run = Run({"q1": {"d1": 0.5, "d2": 2.0}, "q2": {"d3": 1.0}})
    >>> run.docids
    [['d2', 'd1'], ['d3']]
    >>> print(run)
    q1
      1  d2  2
      2  d1  0.5
    q2
      1  d3  1
    """

    _values = ("_scores", "_columns", "_column_ranks")
    _noun = "run"
    k = None

    def __init__(
        self,
        rankings,
        *,
        queries=None,
        corpus=None,
        name=None,
        ties="trec_eval",
        higher_is_better=True,
        score_dtype="float32",
    ):
        if isinstance(rankings, Run):
            raise TypeError("this is a Run already")
        check_options(ties, score_dtype)
        if queries is not None:
            queries = Queries.of(queries)
        if is_matrix(rankings):
            self._from_matrix(rankings, queries, corpus, name, higher_is_better)
            return
        if is_frame(rankings):
            found, indptr, docids, scores, _ = frame_pairs(rankings)
        else:
            found, indptr, docids, scores = as_pairs(rankings, lambda docs: range(len(docs), 0, -1))
            scores = as_scores(scores)
        indptr, docids, scores, _ = ranked(found, indptr, docids, scores, ties, higher_is_better, score_dtype)
        if queries is not None:
            positions = align_queries(found, queries, "rankings")
            if found.has_ids and queries.has_ids and (dropped := sorted(set(found.ids) - set(queries.ids))):
                raise ValueError(f"{len(dropped)} queries of the rankings are not among the queries: {show(dropped)}")
            indptr, (docids, scores) = take_queries(positions, indptr, (docids, scores))
            found = queries
        self._set_ids(found, indptr, docids, corpus)
        self._set_scores(scores, name=name)

    def _set_ids(self, queries, indptr, docids, corpus):
        """Set entries with document ids; find their rows if there is a corpus."""
        if corpus is None:
            self._set_pairs(indptr, queries, None, None, docids)
        else:
            corpus = Corpus.of(corpus)
            self._set_pairs(indptr, queries, corpus, corpus.rows(docids))

    def _from_matrix(self, matrix, queries, corpus, name, higher_is_better):
        queries, documents = sides_of_matrix(matrix, queries, corpus)
        indptr, rows, scores = matrix_entries(matrix)
        self._from_rows(indptr, rows, as_scores(scores), queries, documents, name, higher_is_better)

    def _from_rows(self, indptr, rows, scores, queries, documents, name, higher_is_better):
        """Set entries with rows; order them by score, then row."""
        if not higher_is_better:
            scores = -scores
        check_scores(scores, queries, indptr, rows)
        entries, _, scores = rank(indptr, scores, rows)
        self._set_pairs(indptr, queries, documents, rows[entries])
        self._set_scores(scores, name=name)

    def _set_scores(self, scores, columns=None, column_ranks=None, name=None):
        if columns:
            check_score_columns(columns)
        self._scores, self.name = scores, name
        self._columns, self._column_ranks = dict(columns or {}), dict(column_ranks or {})
        self._source, self._made_ranks = None, {}

    def __copy__(self):
        new = super().__copy__()
        new._made_ranks = {}
        return new

    def __getstate__(self):
        columns = {"_columns": dict(self._columns), "_column_ranks": dict(self._column_ranks), "_made_ranks": {}}
        return {**super().__getstate__(), **columns}

    # --- constructors
    @classmethod
    def from_ragged(cls, indptr, rows, scores, *, queries, corpus, columns=None, column_ranks=None, name=None, k=None):
        """Make a run from entries that are already ranked.

        Parameters
        ----------
        indptr : ndarray of int64, shape (n_queries + 1,)
            Bounds of the queries' entries.
        rows : ndarray of int, shape (n_entries,)
            Document of each entry.
        scores : ndarray of float32 or float64, shape (n_entries,), or None
            Score of each entry. None if the candidates have no order yet.
        queries : Queries
            The queries.
        corpus : Corpus
            The documents.
        columns : dict of str to ndarray, default=None
            Additional score columns. A missing score is NaN.
        column_ranks : dict of str to ndarray, default=None
            For some of the columns, the rank of each entry in the list that it comes from. A missing rank is NaN.
        name : str, default=None
            Name of the run.
        k : int, default=None
            The cutoff: no ranking is longer.

        Returns
        -------
        Run
        """
        rows = rows.astype(np.int64, copy=False)
        check_indptr(indptr, len(queries), len(rows))
        if len(rows) and rows.view(np.uint64).max() >= len(corpus):  # a negative row is a large uint64
            raise ValueError(f"rows from {rows.min()} to {rows.max()} for a corpus of {len(corpus)} documents")
        arrays = [scores, *(columns or {}).values(), *(column_ranks or {}).values()]
        if [array for array in arrays if array is not None and array.shape != rows.shape]:
            raise ValueError(f"expected one number for each of {len(rows)} entries in scores and in each column")
        self = object.__new__(cls)
        self._set_pairs(indptr, queries, corpus, rows)
        self._set_scores(scores, columns, column_ranks, name)
        self.k = k
        return self

    @classmethod
    def from_arrays(cls, indices, scores, *, corpus, queries=None, name=None, higher_is_better=True):
        """Make a run from the arrays that nearest-neighbour libraries return.

        Parameters
        ----------
        indices : array of int, shape (n_queries, k)
            Rows of documents. Negative values are padding.
        scores : array of float, shape (n_queries, k)
            Scores of the documents.
        corpus : Corpus
            The documents.
        queries : Queries, or data that they are made from, default=None
            The queries. If None, they are known by position only.
        name : str, default=None
            Name of the run.
        higher_is_better : bool, default=True
            Whether a higher score is better; False for distances.

        Returns
        -------
        Run
            Ordered by score, then row.

        Examples
        --------
        >>> from sklrank import Corpus, Run
        >>> Run.from_arrays([[1, 0]], [[0.1, 0.7]], corpus=Corpus(["a", "b"]), higher_is_better=False).docids
        [['1', '0']]
        """
        indices, scores = np.asarray(indices), np.asarray(scores)
        if indices.shape != scores.shape or indices.ndim != 2:
            raise ValueError(
                f"expected indices and scores of shape (n_queries, k), got shapes {indices.shape} and {scores.shape}"
            )
        if indices.dtype.kind not in "iu":
            raise TypeError(f"indices are rows of documents, integers; got {indices.dtype}")
        corpus = Corpus.of(corpus)
        if queries is None:
            queries = Queries.unnamed(len(indices))
        queries = Queries.of(queries)
        if len(queries) != len(indices):
            raise ValueError(f"rankings of {len(indices)} queries for {len(queries)} queries")
        if indices.size and indices.max() >= len(corpus):
            raise ValueError(f"row {indices.max()} of a corpus of {len(corpus)} documents")
        found = indices >= 0
        indptr = lengths_to_indptr(found.sum(axis=1))
        # Both branches make copies; flatten is faster.
        if found.all():
            rows, scores = indices.flatten(), scores.flatten()
        else:
            rows, scores = indices[found], scores[found]
        rows = rows.astype(np.int64, copy=False)
        check_duplicates(indptr, rows, queries.ids.__getitem__)
        self = object.__new__(cls)
        self._from_rows(indptr, rows, as_scores(scores), queries, corpus, name, higher_is_better)
        return self

    @classmethod
    def from_frame(
        cls,
        frame,
        *,
        query=None,
        doc=None,
        score=None,
        columns=(),
        corpus=None,
        name=None,
        ties="trec_eval",
        higher_is_better=True,
        score_dtype="float32",
    ):
        """Make a run from a long data frame with one row per query and document.

        Parameters
        ----------
        frame : DataFrame
            Frame of pandas, polars or pyarrow.
        query, doc, score : str, default=None
            Names of the columns. If None, common names are tried, such as ``"qid"``, ``"docid"``, ``"score"``.
        columns : sequence of str, default=()
            Columns to read as score columns, with the ranks in ``"<name>_rank"`` if the frame has them. If the frame
            has no other score, its rows are candidates without an order.
        corpus : Corpus, default=None
            The documents.
        name : str, default=None
            Name of the run.
        ties : {"trec_eval", "row"}, default="trec_eval"
            Order of documents with equal scores: by id, descending, or as given.
        higher_is_better : bool, default=True
            Whether a higher score is better; False for distances.
        score_dtype : {"float32", "float64"}, default="float32"
            Precision in which scores are compared.

        Returns
        -------
        Run
        """
        check_options(ties, score_dtype)
        found = frame_pairs(frame, query, doc, score, columns)
        return cls._of_ids(*found, corpus, name, ties, higher_is_better, score_dtype)

    @classmethod
    def _of_ids(cls, found, indptr, docids, scores, columns, corpus, name, ties, higher_is_better, score_dtype):
        indptr, docids, scores, entries = ranked(found, indptr, docids, scores, ties, higher_is_better, score_dtype)
        columns, ranks = ({name: values[entries] for name, values in group.items()} for group in columns)
        self = object.__new__(cls)
        self._set_ids(found, indptr, docids, corpus)
        self._set_scores(scores, columns, ranks, name)
        return self

    @classmethod
    def from_trec(cls, path, *, corpus=None, name=None, ties="trec_eval", score_dtype="float32"):
        """Read a run from a TREC file: ``qid Q0 docid rank score tag``.

        Parameters
        ----------
        path : path
            The file. A file ``.gz`` is decompressed. The rank column is ignored, as in trec_eval.
        corpus : Corpus, default=None
            The documents.
        name : str, default=None
            Name of the run. If None, the tag in the file.
        ties : {"trec_eval", "row"}, default="trec_eval"
            Order of documents with equal scores: by id, descending, or as in the file. ``"row"`` restores the order
            that `to_trec` has written.
        score_dtype : {"float32", "float64"}, default="float32"
            Precision in which scores are compared.

        Returns
        -------
        Run

        Raises
        ------
        ValueError
            If a line has another form, or a document occurs twice for a query. The message names file, line and
            reason.
        """
        check_options(ties, score_dtype)
        form = "qid Q0 docid rank score tag"
        qids, _, docids, _, scores, tags = read_trec(path, form, "score", ("Q0", "rank"), more=True)
        if name is None and tags:
            name = tags[0]
        try:
            found, indptr, docids, scores, _ = pairs_of_columns(qids, docids, scores)
        except ValueError as error:
            raise ValueError(f"{place_of_repeat(path, (0, 2))}: {error}") from None
        return cls._of_ids(found, indptr, docids, scores, ({}, {}), corpus, name, ties, True, score_dtype)

    @classmethod
    def union(cls, runs):
        """Unite the candidates of several runs, with one score column per run.

        Parameters
        ----------
        runs : dict of str to Run
            The runs by name. Queries are aligned by id if all runs have ids, else by position. With ids, queries may be
            missing in a run.

        Returns
        -------
        Run
            The candidates of each query, sorted by row, without an order; a fuser or a reranker orders them. A column
            is NaN for documents that its run does not have. `column_ranks` returns the ranks in a run.

        Examples
        --------
        >>> from sklrank import Run
        >>> both = Run.union({"bm25": Run({"q": {"a": 9.0, "b": 5.0}}), "dense": Run({"q": {"b": 0.75}})})
        >>> both.docids, both.column("dense"), both.column_ranks("bm25")
        ([['a', 'b']], array([ nan, 0.75]), array([1., 2.]))
        """
        if not isinstance(runs, dict) or not runs:
            raise TypeError(f"expected a dict of at least one run by name, got {runs!r}")
        for name, run in runs.items():
            if not isinstance(run, Run):
                raise TypeError(f"expected {name!r} to be a Run, got a {type(run).__name__}")
        queries, documents, indptr, rows, scores, ranks = united(list(runs.values()))
        columns, column_ranks = dict(zip(runs, scores)), dict(zip(runs, ranks))
        return cls.from_ragged(
            indptr, rows, None, queries=queries, corpus=documents, columns=columns, column_ranks=column_ranks
        )

    # --- content
    @property
    def qids(self):
        """Ids of the queries."""
        return self._queries.ids

    @property
    def scores(self):
        """Score of each entry.

        Returns
        -------
        ndarray of float32 or float64, shape (n_entries,)

        Raises
        ------
        ValueError
            If the candidates have score columns, but no order yet.
        """
        if self._scores is None:
            raise ValueError(
                f"these candidates have the score columns {list(self._columns)} and no order yet; a fuser or a "
                "reranker orders them"
            )
        return self._scores

    @property
    def columns(self):
        """Names of additional score columns."""
        return tuple(self._columns)

    def column(self, name):
        """Return a score column.

        Parameters
        ----------
        name : str
            Name of the column.

        Returns
        -------
        ndarray of float64, shape (n_entries,)
        """
        if name not in self._columns:
            raise KeyError(f"the run has no score column {name!r}; it has {list(self._columns)}")
        return self._columns[name]

    @property
    def has_order(self):
        """Whether the documents are ranked; False for candidates that only have score columns."""
        return self._scores is not None

    @property
    def source(self):
        """Estimator that gave the order, for `explain`; None if unknown."""
        return self._source

    def column_ranks(self, name):
        """Return the rank of each entry in the list that a score column comes from.

        Parameters
        ----------
        name : str
            Name of the column.

        Returns
        -------
        ndarray of float64, shape (n_entries,)
            Ranks from 1. They are NaN for documents that the list does not have. If the column has no list, its scores
            are ranked; the lower row goes first if they tie.
        """
        scores = self.column(name)
        if name in self._column_ranks:
            return self._column_ranks[name]
        if name not in self._made_ranks:
            self._made_ranks[name] = _ranks(self._indptr, scores, self.rows)
        return self._made_ranks[name]

    def __str__(self):
        return run_text(self)

    def __repr__(self):
        title, columns = "Run", ""
        if self.name:
            title = f"Run {self.name!r}"
        if self._columns:
            columns = f", columns {printable(', '.join(self._columns))}"
        return f"<{title}: {len(self)} queries, {self._indptr[-1]} documents found{columns}>"

    def _repr_html_(self):
        return run_html(self)


def _ranks(indptr, scores, rows):
    """Return the rank of each entry by score, then row; NaN if its score is NaN."""
    ranks = np.full(len(scores), np.nan)
    entries, indptr, _ = rank(indptr, scores, rows)
    ranks[entries] = places(indptr) + 1.0
    return ranks
