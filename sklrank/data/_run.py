"""Run: what was found."""

from copy import copy

import numpy as np

from sklrank._ragged import first_entries, intervals, lengths_to_indptr, places
from sklrank.data._columns import TakenArrays, check_score_columns, name_of_old_score, numbered
from sklrank.data._corpus import Corpus
from sklrank.data._display import printable
from sklrank.data._documents import DocumentIds
from sklrank.data._files import write_lines
from sklrank.data._frames import frame_like, is_frame
from sklrank.data._ids import Ids, show
from sklrank.data._order import rank
from sklrank.data._pairs import Pairs, align_queries, check_shape, take_queries
from sklrank.data._queries import Queries
from sklrank.data._run_display import run_html, run_text
from sklrank.data._run_input import as_scores, check_options, check_scores, frame_pairs, ranked
from sklrank.data._shapes import (
    as_pairs,
    check_duplicates,
    is_matrix,
    matrix_entries,
    pairs_of_columns,
)
from sklrank.data._trec import check_fields, place_of_repeat, read_trec
from sklrank.data._union import united


class Run(Pairs):
    """Rankings: for each query its documents, best first, with their scores.

    The order inside a run *is* the ranking; metrics follow it. What comes with ids is ordered once, on the way
    in, as trec_eval does: by score as float32, then by document id, both descending.

    Parameters
    ----------
    rankings : dict, list, DataFrame, or matrix of shape (n_queries, n_documents)
        ``{qid: {docid: score}}``, ``{qid: [docid, …]}`` (best first), a list of such, a frame (see `from_frame`), or
        a matrix of scores: of a sparse one the stored entries are the candidates, of a dense one all documents. A
        matrix has rows, so that equal scores go by row, and scores keep their precision.
    queries : Queries or whatever they are made from, default=None
        The queries. Rankings with ids are aligned with queries that have ids, the others by position.
    corpus : Corpus, default=None
        The documents; ``None``: the ids that `rankings` names, or the positions in a matrix.
    name : str, default=None
        Name of the run, the tag in TREC files.
    ties : {"trec_eval", "row"}, default="trec_eval"
        How documents of equal score are ordered: by id, descending, or as they come.
    higher_is_better : bool, default=True
        False for distances; their negatives become the scores.
    score_dtype : {"float32", "float64"}, default="float32"
        Precision in which scores are compared: that of trec_eval 9 or of trec_eval 10.

    Attributes
    ----------
    indptr, rows, scores : ndarray
        Ragged arrays: query ``i`` found the documents ``rows[indptr[i]:indptr[i + 1]]``.
    columns : tuple of str
        Names of further score columns, one value an entry.
    name : str or None
        Name of the run.
    k : int or None
        The cutoff of whoever retrieved it: no ranking is longer. None where nobody said.

    See Also
    --------
    Qrels : Judgments to measure a run against.

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
        queries = None if queries is None else Queries.of(queries)
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
            dropped = sorted(set(found.ids) - set(queries.ids)) if found.has_ids and queries.has_ids else []
            if dropped:
                raise ValueError(f"{len(dropped)} queries of the rankings are not among those given: {show(dropped)}")
            indptr, (docids, scores) = take_queries(positions, indptr, (docids, scores))
            found = queries
        self._set_ids(found, indptr, docids, corpus)
        self._set_scores(scores, name=name)

    def _set_ids(self, queries, indptr, docids, corpus):
        """Take in entries that are keyed by ids, and number the documents if there is a corpus."""
        if corpus is None:
            self._set_pairs(indptr, queries, None, None, docids)
        else:
            corpus = Corpus.of(corpus)
            self._set_pairs(indptr, queries, corpus, corpus.rows(docids))

    def _from_matrix(self, matrix, queries, corpus, name, higher_is_better):
        queries = Queries.unnamed(matrix.shape[0]) if queries is None else queries
        documents = DocumentIds(Ids(None, matrix.shape[1])) if corpus is None else Corpus.of(corpus)
        check_shape(matrix, queries, documents)
        indptr, rows, scores = matrix_entries(matrix)
        self._from_rows(indptr, rows, as_scores(scores), queries, documents, name, higher_is_better)

    def _from_rows(self, indptr, rows, scores, queries, documents, name, higher_is_better):
        """Take in entries that are keyed by rows; order them by score, then row."""
        scores = scores if higher_is_better else -scores
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

    # --- other ways in
    @classmethod
    def from_ragged(cls, indptr, rows, scores, *, queries, corpus, columns=None, column_ranks=None, name=None, k=None):
        """A run of entries that are ranked already.

        Parameters
        ----------
        indptr : ndarray of int64, shape (n_queries + 1,)
            Bounds of the queries' entries.
        rows : ndarray of int, shape (n_entries,)
            Document of each entry.
        scores : ndarray of float32 or float64, shape (n_entries,), or None
            Score of each entry; ``None`` for candidates that nobody has ordered yet.
        queries : Queries
            The queries.
        corpus : Corpus
            The documents.
        columns : dict of str to ndarray, default=None
            Further score columns; NaN where there is no score.
        column_ranks : dict of str to ndarray, default=None
            Of some of the columns, rank of each entry in the list that it comes from; NaN where there is none.
        name : str, default=None
            Name of the run.
        k : int, default=None
            The cutoff: no ranking is longer.

        Returns
        -------
        Run
        """
        self = object.__new__(cls)
        self._set_pairs(indptr, queries, corpus, rows.astype(np.int64, copy=False))
        self._set_scores(scores, columns, column_ranks, name)
        self.k = k
        return self

    @classmethod
    def from_arrays(cls, indices, scores, *, corpus, queries=None, name=None, higher_is_better=True):
        """A run of the arrays that nearest-neighbour libraries return.

        Parameters
        ----------
        indices : array of int, shape (n_queries, k)
            Document rows; negative ones are padding.
        scores : array of float, shape (n_queries, k)
            Their scores.
        corpus : Corpus
            The documents.
        queries : Queries or whatever they are made from, default=None
            The queries; ``None``: known by position only.
        name : str, default=None
            Name of the run.
        higher_is_better : bool, default=True
            False for distances.

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
                f"indices of shape {indices.shape} and scores of shape {scores.shape}; both (n_queries, k)"
            )
        if indices.dtype.kind not in "iu":
            raise TypeError(f"indices are document rows, integers; got {indices.dtype}")
        corpus = Corpus.of(corpus)
        queries = Queries.unnamed(len(indices)) if queries is None else Queries.of(queries)
        if len(queries) != len(indices):
            raise ValueError(f"rankings of {len(indices)} queries for {len(queries)} queries")
        if indices.size and indices.max() >= len(corpus):
            raise ValueError(f"row {indices.max()} of a corpus of {len(corpus)} documents")
        found = indices >= 0
        indptr = lengths_to_indptr(found.sum(axis=1))
        # Both are copies, whatever was given; flatten is the faster one.
        rows, scores = (array.flatten() if found.all() else array[found] for array in (indices, scores))
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
        """A run from a long data frame, one row a query and document.

        Parameters
        ----------
        frame : DataFrame
            Of pandas, polars or pyarrow.
        query, doc, score : str, default=None
            Names of the columns; ``None`` looks for the usual ones, such as ``"qid"``, ``"docid"``, ``"score"``.
        columns : sequence of str, default=()
            Columns to take as score columns, with the ranks in ``"<name>_rank"`` if the frame has them. If the frame
            has no score beside them, its rows are candidates without an order.
        corpus : Corpus, default=None
            The documents.
        name : str, default=None
            Name of the run.
        ties : {"trec_eval", "row"}, default="trec_eval"
            How documents of equal score are ordered.
        higher_is_better : bool, default=True
            False for distances.
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
        """A run from a TREC file: ``qid Q0 docid rank score tag``.

        Parameters
        ----------
        path : path
            The file; ``.gz`` is unpacked. Its rank column says nothing, as in trec_eval.
        corpus : Corpus, default=None
            The documents.
        name : str, default=None
            Name of the run; ``None``: the tag in the file.
        ties : {"trec_eval", "row"}, default="trec_eval"
            How documents of equal score are ordered; ``"row"`` restores the order that `to_trec` wrote.
        score_dtype : {"float32", "float64"}, default="float32"
            Precision in which scores are compared.

        Returns
        -------
        Run

        Raises
        ------
        ValueError
            If a line is not of that form, or a document stands twice; the message names file, line and reason.
        """
        check_options(ties, score_dtype)
        form = "qid Q0 docid rank score tag"
        qids, _, docids, _, scores, tags = read_trec(path, form, "score", ("Q0", "rank"), more=True)
        name = tags[0] if name is None and tags else name
        try:
            found, indptr, docids, scores, _ = pairs_of_columns(qids, docids, scores)
        except ValueError as error:
            raise ValueError(f"{place_of_repeat(path, (0, 2))}: {error}") from None
        return cls._of_ids(found, indptr, docids, scores, ({}, {}), corpus, name, ties, True, score_dtype)

    @classmethod
    def union(cls, runs):
        """Unite the candidates of several runs, with one column of scores each.

        Parameters
        ----------
        runs : dict of str to Run
            The runs by name. Queries align by id where all have ids, else by position; a run may lack some.

        Returns
        -------
        Run
            The candidates of a query by row, without an order; a fuser or a reranker gives them one. A column has NaN
            where its run lacks the document, and `column_ranks` the ranks in its run.

        Examples
        --------
        >>> from sklrank import Run
        >>> both = Run.union({"bm25": Run({"q": {"a": 9.0, "b": 5.0}}), "dense": Run({"q": {"b": 0.75}})})
        >>> both.docids, both.column("dense"), both.column_ranks("bm25")
        ([['a', 'b']], array([ nan, 0.75]), array([1., 2.]))
        """
        if not isinstance(runs, dict) or not runs:
            raise TypeError(f"union takes a dict of at least one run by name, got {runs!r}")
        for name, run in runs.items():
            if not isinstance(run, Run):
                raise TypeError(f"{name!r} is a {type(run).__name__}, needed is a Run")
        queries, documents, indptr, rows, scores, ranks = united(list(runs.values()))
        columns, column_ranks = dict(zip(runs, scores)), dict(zip(runs, ranks))
        return cls.from_ragged(
            indptr, rows, None, queries=queries, corpus=documents, columns=columns, column_ranks=column_ranks
        )

    # --- the same candidates otherwise
    def head(self, n):
        """Keep the first documents of each query.

        Parameters
        ----------
        n : int, or array of int of shape (n_queries,)
            Number of documents to keep, at most.

        Returns
        -------
        Run

        Examples
        --------
        >>> from sklrank import Run
        >>> Run({"q": ["a", "b", "c"]}).head(2).docids
        [['a', 'b']]
        """
        if not (np.diff(self._indptr) > n).any():
            return self
        return self.take(*first_entries(self._indptr, n))

    def reorder(self, scores, *, k=None, name=None, source=None):
        """Rank the same candidates by other scores.

        Parameters
        ----------
        scores : array-like of float, shape (n_entries,)
            Higher is better; a candidate with NaN is left out.
        k : int, default=None
            Number of documents to keep of each query; ``None``: all.
        name : str, default=None
            Name of the new run.
        source : estimator, default=None
            The estimator that gave the scores; see `source`.

        Returns
        -------
        Run
            By score, descending, then by row. The score columns stay; `with_old_score` makes the present score one.

        Examples
        --------
        >>> from sklrank import Run
        >>> run = Run({"q": {"a": 3.0, "b": 2.0, "c": 1.0}}, name="bm25")
        >>> new = run.with_old_score().reorder([0.1, float("nan"), 0.7], name="mine")
        >>> new.docids, new.column("bm25")
        ([['c', 'a']], array([1., 3.]))
        """
        scores = self._checked_values(scores, "scores")
        entries, indptr, scores = rank(self._indptr, scores, self.rows, k)
        values = {
            "_columns": TakenArrays(self._columns, entries),
            "_column_ranks": TakenArrays(self._column_ranks, entries),
        }
        new = self._replace(indptr, self._queries, self._documents, self._rows[entries], None, values)
        return new.with_scores(scores, k=k, name=name, source=source)

    def with_scores(self, scores, *, k=None, name=None, source=None):
        """Give the ranked entries other scores, and leave them in their order.

        Parameters
        ----------
        scores : array-like of float, shape (n_entries,)
            Score of each entry; none is higher than the one before it in the same query.
        k : int, default=None
            The cutoff: no ranking is longer. ``None``: as before.
        name : str, default=None
            Name of the new run.
        source : estimator, default=None
            The estimator that gave the order; see `source`.

        Returns
        -------
        Run
        """
        new = copy(self)
        new._scores, new.name, new._source = self._checked_values(scores, "scores"), name, source
        new.k = min((limit for limit in (self.k, k) if limit is not None), default=None)
        return new

    def with_column(self, name, scores, ranks=None):
        """Add a score column, or replace the one of that name.

        Parameters
        ----------
        name : str
            Name of the column.
        scores : array-like of float, shape (n_entries,)
            Value of each entry; NaN if there is none.
        ranks : array-like of float, shape (n_entries,), default=None
            Rank of each entry, from 1, in the list that the column comes from; NaN if it is not there.

        Returns
        -------
        Run
            Without a `source`, which has not seen the column.
        """
        check_score_columns({*self._columns, name})
        new = copy(self)
        new._source = None
        new._columns = {**self._columns, name: self._checked_values(scores, "scores").astype(np.float64, copy=False)}
        new._column_ranks = {column: values for column, values in self._column_ranks.items() if column != name}
        if ranks is not None:
            new._column_ranks[name] = self._checked_values(ranks, "ranks").astype(np.float64, copy=False)
        return new

    def with_old_score(self):
        """Keep the present score, if there is one, as a column named for the run.

        Returns
        -------
        Run
            The same run if it has no order, or has that column already. The score of a run without a name becomes the
            column ``"previous"``.
        """
        if self._scores is None:
            return self
        name = name_of_old_score(self.name, self._columns)
        if name in self._columns:
            column = self._columns[name]
            if (np.isnan(column) | (column == self._scores)).all():
                return self
            name = numbered(name, self._columns)
        return self.with_column(name, self._scores, places(self._indptr) + 1.0)

    def _checked_values(self, values, what):
        """One number per entry, as an array of float32 or float64."""
        shape = np.shape(values)
        if shape != (self._indptr[-1],):
            raise ValueError(f"expected one of the {what} per entry, {self._indptr[-1]}; got shape {shape}")
        return as_scores(values, what)

    # --- what is in it
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
            If the candidates have columns of scores, and nobody has ordered them yet.
        """
        if self._scores is None:
            raise ValueError(
                f"these candidates have the score columns {list(self._columns)} and no order yet; a fuser or a "
                "reranker gives them one"
            )
        return self._scores

    @property
    def columns(self):
        """Names of further score columns."""
        return tuple(self._columns)

    def column(self, name):
        """A score column.

        Parameters
        ----------
        name : str

        Returns
        -------
        ndarray of float64, shape (n_entries,)
        """
        if name not in self._columns:
            raise KeyError(f"the run has no score column {name!r}; it has {list(self._columns)}")
        return self._columns[name]

    @property
    def has_order(self):
        """Whether the documents are ranked, rather than candidates with columns of scores."""
        return self._scores is not None

    @property
    def source(self):
        """Estimator that gave the order, for `explain`; None if unknown."""
        return self._source

    def column_ranks(self, name):
        """Rank of each entry in the list that a score column comes from.

        Parameters
        ----------
        name : str

        Returns
        -------
        ndarray of float64, shape (n_entries,)
            From 1; NaN where the list lacks the document. Of a column without a list, the ranks are those of its
            scores, the lower row first where they tie.
        """
        scores = self.column(name)
        if name in self._column_ranks:
            return self._column_ranks[name]
        if name not in self._made_ranks:
            self._made_ranks[name] = _ranks(self._indptr, scores, self.rows)
        return self._made_ranks[name]

    def to_dict(self):
        """``{qid: {docid: score}}``, documents in the order of the ranking.

        Returns
        -------
        dict
        """
        self._check_distinct_queries()
        scores = self.scores.tolist()
        docids = self.flat_docids.tolist()
        return {
            qid: dict(zip(docids[start:stop], scores[start:stop]))
            for qid, (start, stop) in zip(self.qids.tolist(), intervals(self._indptr))
        }

    def _to_columns(self, fields):
        lengths = np.diff(self._indptr)
        columns = {"qid": np.repeat(self.qids, lengths).tolist()}
        if self.has_order:
            ranks = places(self._indptr) + 1
            columns["rank"] = ranks.tolist()
        columns["docid"] = self.flat_docids.tolist()
        if self.has_order:
            columns["score"] = self._scores.tolist()
        for name, column in self._columns.items():
            columns[name] = column.tolist()
            if name in self._column_ranks:
                columns[f"{name}_rank"] = self._column_ranks[name].tolist()
        fields = (fields,) if isinstance(fields, str) else tuple(fields or ())
        if fields and self.corpus is None:
            raise ValueError("fields= joins columns of the corpus, and this run has none: run.with_corpus(corpus)")
        for field in fields:
            if field in columns:
                raise ValueError(f"the run has a column {field!r} of its own")
            columns[field] = self.corpus[field][self._rows].tolist()
        return columns

    def to_frame(self, fields=None, *, backend=None):
        """One row an entry: qid, rank (from 1), docid, score, score columns, and columns of the corpus.

        Candidates without an order have neither rank nor score.

        Parameters
        ----------
        fields : str or sequence of str, default=None
            Columns of the corpus to join.
        backend : {"pandas", "polars"}, default=None
            The library of the frame; ``None``: pandas where it is installed, else polars.

        Returns
        -------
        DataFrame
        """
        return frame_like(self._to_columns(fields), backend)

    def to_records(self, fields=None):
        """One dict an entry, with what `to_frame` has as columns.

        Parameters
        ----------
        fields : str or sequence of str, default=None
            Columns of the corpus to join.

        Returns
        -------
        list of dict

        Examples
        --------
        >>> from sklrank import Corpus, Run
        >>> Run([{"0": 1.5}], corpus=Corpus(["heat"])).to_records(fields="text")
        [{'qid': '0', 'rank': 1, 'docid': '0', 'score': 1.5, 'text': 'heat'}]
        """
        columns = self._to_columns(fields)
        return [dict(zip(columns, values)) for values in zip(*columns.values())]

    def to_trec(self, path):
        """Write a TREC file, whole or not at all; scores are written so that they read back as they are.

        Parameters
        ----------
        path : path
            The file; ``.gz`` is packed.
        """
        columns = self._to_columns(None)
        scores = map(np.format_float_positional, self.scores)  # shortest text that is the same number again
        tag = self.name or "sklrank"
        check_fields(query=self.qids, document=set(columns["docid"]), run=[tag])
        lines = zip(columns["qid"], columns["docid"], columns["rank"], scores)
        write_lines(path, (f"{q} Q0 {d} {r} {s.rstrip('.')} {tag}\n" for q, d, r, s in lines))

    def to_csr(self):
        """Scores as a matrix of shape (n_queries, n_documents); entries of score 0 are stored.

        Returns
        -------
        scipy.sparse.csr_array
        """
        return self._csr(self.scores)

    def __array__(self, dtype=None, copy=None):
        return self._dense(self.scores, dtype)

    # --- shown to people
    def __str__(self):
        return run_text(self)

    def __repr__(self):
        title = f" {self.name!r}" if self.name else ""
        columns = f", columns {printable(', '.join(self._columns))}" if self._columns else ""
        return f"<Run{title}: {len(self)} queries, {self._indptr[-1]} documents found{columns}>"

    def _repr_html_(self):
        return run_html(self)


def _ranks(indptr, scores, rows):
    """Rank of each entry by score, then row; NaN where the score is."""
    ranks = np.full(len(scores), np.nan)
    entries, indptr, _ = rank(indptr, scores, rows)
    ranks[entries] = places(indptr) + 1.0
    return ranks
