"""Alignment of judgments and a run, which every metric needs and which is done once."""

from functools import cached_property

import numpy as np
from scipy import sparse

from sklrank._ragged import kept_entries, lengths_to_indptr, places
from sklrank.data import Qrels, Run
from sklrank.data._frames import is_series
from sklrank.data._pairs import align_queries
from sklrank.metrics import _hits as hits


class Judged:
    """Hold the judged documents that a run retrieved, query by query.

    The queries are those of the judgments, in their order. A *hit* is a retrieved document that has a judgment.

    Parameters
    ----------
    qids : ndarray of object
        Ids of the queries, or their positions as str if they have no ids.
    indptr : ndarray of int64, shape (n_queries + 1,)
        Judgments of each query.
    grades : ndarray of float64, shape (n_judgments,)
        All judged grades, retrieved or not.
    in_run : ndarray of bool, shape (n_queries,)
        Whether the run has the query.
    n_retrieved : ndarray of int64, shape (n_queries,)
        Length of each ranking.
    hit_indptr : ndarray of int64, shape (n_queries + 1,)
        Hits of each query.
    hit_positions : ndarray of int64, shape (n_hits,)
        Position of each hit in its ranking, ascending in each query.
    hit_entries : ndarray of int64, shape (n_hits,)
        Judgment of each hit.
    topics : tuple of (ndarray, ndarray, ndarray) or None
        Indptr of the subtopics of each judgment, subtopics as numbers within the query, and their number per query.
    source : tuple of (Qrels or list of dict, Run or list) or None
        The judgments and the run as given.
    """

    def __init__(
        self,
        qids,
        indptr,
        grades,
        in_run,
        n_retrieved,
        hit_indptr,
        hit_positions,
        hit_entries,
        topics=None,
        source=None,
    ):
        self.qids = qids
        self.indptr = indptr
        self.grades = grades
        self.in_run = in_run
        self.n_retrieved = n_retrieved
        self.hit_indptr = hit_indptr
        self.hit_positions = hit_positions
        self.hit_entries = hit_entries
        self.hit_grades = grades[hit_entries]
        self.topics = topics
        self.source = source

    def __len__(self):
        return len(self.n_retrieved)

    @cached_property
    def has_judgments(self):
        """Whether each query has a judgment."""
        return np.diff(self.indptr) > 0

    @cached_property
    def max_grade(self):
        """Highest grade of all judgments, at least 0."""
        return max(self.grades.max(initial=0.0), 0.0)

    @cached_property
    def judged_only(self):
        """The same without the retrieved documents that have no judgment or a negative one."""
        entries, hit_indptr = kept_entries(self.hit_indptr, self.hit_grades >= 0)
        return Judged(
            self.qids, self.indptr, self.grades, self.in_run, np.diff(hit_indptr), hit_indptr, places(hit_indptr),
            self.hit_entries[entries], self.topics,
        )  # fmt: skip

    @cached_property
    def pair(self):
        """Judgments as a list with one dict per query, and the `Run` of the same queries in the same order."""
        qrels, run = Qrels.of(self.source[0]), Run.of(self.source[1])
        if qrels.has_ids and run.has_ids:
            run = run.align(qrels.queries)
        return qrels.judgments, run

    def condense(self, judged_only):
        """Return this object, or its attribute `judged_only` if the argument is true."""
        if judged_only:
            return self.judged_only
        return self

    def count(self, chosen):
        """Return the number of chosen judgments of each query; `chosen` is a mask over all judgments."""
        return np.diff(lengths_to_indptr(chosen)[self.indptr])

    def n_relevant(self, level):
        """Return the number of relevant documents of each query."""
        return self.count(self.grades >= level)


def align(y_true, y_pred):
    """Align judgments and a run of any type.

    Queries are aligned by id if both sides have ids, otherwise by position; their numbers must then be equal. Queries
    of the run that have no judgments are left out. Judged queries that the run lacks have an empty ranking.

    Dicts and lists of ids are used as they are, because numbering their documents would cost more than finding the
    judged ones. All other data become `Qrels` and a `Run`.

    Parameters
    ----------
    y_true : Qrels, dict, list of dict, DataFrame, or matrix of shape (n_queries, n_documents)
        Judgments.
    y_pred : Run, dict, list of dict, list of lists of ids, DataFrame, or matrix of shape (n_queries, n_documents)
        Rankings, or scores: a dense matrix retrieves all documents, a sparse one those that it stores.

    Returns
    -------
    Judged
    """
    # Lists of int are scores if the grades are a matrix, and document ids if the judgments are keyed by ids.
    y_true = _unwrap(y_true, numbers_are_cells=True)
    y_pred = _unwrap(y_pred, numbers_are_cells=_is_matrix(y_true))
    if isinstance(y_true, Run):
        raise TypeError("y_true is a Run: pass the judgments first (y_true) and the run second (y_pred)")
    if isinstance(y_pred, Qrels):
        raise TypeError("y_pred is Qrels: pass the judgments first (y_true) and the run second (y_pred)")
    rankings = hits.plain_rankings(y_pred)
    judgments = None
    if rankings is not None:
        judgments = hits.plain_judgments(y_true)
    if judgments is None:
        y_true, y_pred = _as_qrels_and_run(y_true, y_pred)
        judgments, rankings = hits.Judgments.of(y_true), hits.rankings_of(y_pred)
    pairs = align_queries(rankings.queries, judgments.queries, "run")
    n_retrieved, found = rankings.find(judgments, pairs)
    return Judged(
        judgments.queries.ids, judgments.indptr, judgments.grades, pairs >= 0, n_retrieved, *found, judgments.topics,
        (y_true, y_pred),
    )  # fmt: skip


def _as_qrels_and_run(y_true, y_pred):
    """Return `Qrels` and a `Run` of data that are not dicts or lists of ids."""
    if _is_matrix(y_true) and _is_matrix(y_pred) and y_true.shape != y_pred.shape:
        raise ValueError(
            f"y_true of shape {y_true.shape} and y_pred of shape {y_pred.shape}; matrices must have the same shape"
        )
    # The columns of a matrix are the rows of the corpus of the other side, if that has a corpus.
    if _is_matrix(y_pred):
        qrels = Qrels.of(y_true)
        return qrels, Run(y_pred, corpus=qrels.corpus)
    run = Run.of(y_pred)
    if _is_matrix(y_true):
        return Qrels(y_true, corpus=run.corpus), run
    return Qrels.of(y_true), run


def check_same_queries(y, run):
    """Raise ValueError if both sides have ids and the i-th query of `y` is not the i-th query of the run.

    scikit-learn splits queries and judgments by position. Judgments in another order would belong to queries of other
    folds; aligned by id afterwards, these would silently count 0.

    Parameters
    ----------
    y : Qrels, or other data that a scorer takes
    run : Run, or other data that an estimator predicts
    """
    if not isinstance(y, Qrels) or not isinstance(run, Run) or not (y.queries.has_ids and run.queries.has_ids):
        return
    wanted, got = run.queries.ids, y.queries.ids
    if len(wanted) != len(got):
        difference = f"X has {len(wanted)} queries and y has {len(got)}"
    elif (wanted == got).all():
        return
    else:
        first = int(np.argmax(wanted != got))
        difference = f"query {first} is {wanted[first]!r} in X and {got[first]!r} in y"
    raise ValueError(f"y is not aligned with X: use qrels.align(queries); {difference}")


def _unwrap(data, numbers_are_cells):
    """Convert Series and arrays of objects or ids to lists, and lists of lists of numbers to a matrix."""
    if is_series(data):
        data = data.to_list()
    if isinstance(data, np.ndarray):
        if data.dtype == object or data.dtype.kind in "US":
            data = data.tolist()
        elif data.ndim != 2:
            raise ValueError(
                f"got an array of shape {data.shape}; expected one row per query: (n_queries, n_documents)"
            )
    if isinstance(data, (list, tuple)):
        data = list(data)
        rows = (row for row in data if isinstance(row, (list, tuple, np.ndarray)) and len(row))
        if numbers_are_cells and _is_number(next(rows, [None])[0]):
            data = np.asarray(data, dtype=np.float64)
    return data


def _is_number(value):
    return isinstance(value, (int, float, np.number, np.bool_))


def _is_matrix(data):
    return sparse.issparse(data) or isinstance(data, np.ndarray)
