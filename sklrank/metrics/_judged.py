"""Alignment: what every metric needs of judgments and a run, found once."""

from collections import defaultdict
from functools import cached_property
from itertools import chain
from weakref import WeakKeyDictionary

import numpy as np
from scipy import sparse

from sklrank._kernels._metrics import join, locate
from sklrank.data import Qrels, Run
from sklrank.data._frames import is_series
from sklrank.data._ids import show
from sklrank.data._pairs import align_queries
from sklrank.data._queries import Queries

_MAPS = WeakKeyDictionary()  # documents of a run → documents of qrels → rows of the latter among the former


class Judged:
    """The judged documents that a run retrieved, query by query.

    Queries are those of the judgments, in their order. A *hit* is a retrieved document that has a judgment.

    Parameters
    ----------
    qids : ndarray of object or None
        Ids of the queries, where the judgments have any.
    indptr : ndarray of int64, shape (n_queries + 1,)
        Bounds of each query's judgments.
    grades : ndarray of float64, shape (n_judgments,)
        All judged grades, retrieved or not.
    in_run : ndarray of bool, shape (n_queries,)
        Whether the run has the query.
    n_retrieved : ndarray of int64, shape (n_queries,)
        Length of each ranking.
    hit_indptr : ndarray of int64, shape (n_queries + 1,)
        Bounds of each query's hits.
    hit_positions : ndarray of int64, shape (n_hits,)
        Position of each hit in its ranking, ascending in each query.
    hit_entries : ndarray of int64, shape (n_hits,)
        Judgment of each hit.
    topics : tuple of (ndarray, ndarray, ndarray) or None
        Bounds of each judgment's subtopics, the subtopics as numbers within the query, and how many each query has.
    """

    def __init__(self, qids, indptr, grades, in_run, n_retrieved, hit_indptr, hit_positions, hit_entries, topics=None):
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

    def __len__(self):
        return len(self.n_retrieved)

    @cached_property
    def has_judgments(self):
        """Whether each query has any judgment at all."""
        return np.diff(self.indptr) > 0

    @cached_property
    def max_grade(self):
        """The highest grade of all judgments, at least 0."""
        return max(self.grades.max(initial=0.0), 0.0)

    @cached_property
    def judged_only(self):
        """The same with all documents taken out of the rankings that have no judgment, or a negative one."""
        keep = self.hit_grades >= 0
        hit_indptr = bounds(_segment_sums(self.hit_indptr, keep))
        lengths = np.diff(hit_indptr)
        positions = np.arange(hit_indptr[-1]) - np.repeat(hit_indptr[:-1], lengths)
        return Judged(
            self.qids, self.indptr, self.grades, self.in_run, lengths, hit_indptr, positions, self.hit_entries[keep],
            self.topics,
        )  # fmt: skip

    def count(self, chosen):
        """Number of judgments of each query for which `chosen`, a mask over all of them, holds."""
        return _segment_sums(self.indptr, chosen)

    def n_relevant(self, level):
        """Number of relevant documents of each query."""
        return self.count(self.grades >= level)


def bounds(lengths):
    """Bounds of ragged parts that have these lengths."""
    out = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=out[1:])
    return out


def _segment_sums(indptr, mask):
    totals = bounds(mask)
    return totals[indptr[1:]] - totals[indptr[:-1]]


def align(y_true, y_pred):
    """Bring judgments and a run together, whatever they are held in.

    By id where both have ids, else by position and equal length. Queries of the run without a counterpart among the
    judgments are left out; judged queries that the run lacks have an empty ranking.

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
    y_true = _unwrap(y_true, numbers_are_cells=True)
    # Lists of int are scores beside a matrix of grades, and document ids beside judgments that are keyed by ids.
    y_pred = _unwrap(y_pred, numbers_are_cells=_is_matrix(y_true))
    if isinstance(y_true, Run):
        raise TypeError("y_true is a Run: judgments come first, y_true, and the run second, y_pred")
    if isinstance(y_pred, Qrels):
        raise TypeError("y_pred is Qrels: judgments come first, y_true, and the run second, y_pred")
    plain = _align_plain(y_true, y_pred)
    if plain is not None:
        return plain
    if _is_matrix(y_true) and _is_matrix(y_pred) and y_true.shape != y_pred.shape:
        raise ValueError(f"y_true of shape {y_true.shape} and y_pred of shape {y_pred.shape}; matrices must agree")
    # The columns of a matrix are the rows of the corpus that the other side refers to, where it does.
    if _is_matrix(y_pred):
        qrels = y_true if isinstance(y_true, Qrels) else Qrels(y_true)
        run = Run(y_pred, corpus=qrels.corpus)
    else:
        run = y_pred if isinstance(y_pred, Run) else Run(y_pred)
        if not isinstance(y_true, Qrels):
            y_true = Qrels(y_true, corpus=run.corpus if _is_matrix(y_true) else None)
        qrels = y_true
    return _align_run(qrels, run)


def check_same_queries(y, run):
    """Refuse `Qrels` as `y` whose queries are not those of the run, one by one, where both have ids.

    Scikit-learn splits queries and judgments by position. Aligned by id afterwards, judgments in another order would
    belong to queries of other folds, which would count 0 without a word.

    Parameters
    ----------
    y : Qrels or whatever a scorer takes
    run : Run or whatever an estimator predicts
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
    """Series and arrays of objects or ids as lists, lists of lists of numbers as the matrix that they may be."""
    if is_series(data):
        data = data.to_list()
    if isinstance(data, np.ndarray):
        if data.dtype == object or data.dtype.kind in "US":
            data = data.tolist()
        elif data.ndim != 2:
            raise ValueError(
                f"got an array of shape {data.shape}; needed is one row for each query: (n_queries, n_documents)"
            )
    if isinstance(data, (list, tuple)):
        data = list(data)
        rows = (row for row in data if isinstance(row, (list, tuple, np.ndarray)) and len(row))
        if numbers_are_cells and _is_number(next(rows, [None])[0]):
            data = np.asarray(data, dtype=np.float64)
    return data


def _is_number(value):
    return isinstance(value, (int, float, np.number, np.bool_)) and not isinstance(value, str)


def _is_matrix(data):
    return sparse.issparse(data) or isinstance(data, np.ndarray)


# --- dicts and lists: positions by counting, without numbering a document


def _align_plain(y_true, y_pred):
    """Align dicts and lists of them; None where they are something else, or need the checks of `Qrels` and `Run`."""
    if isinstance(y_true, Qrels):
        if not isinstance(y_pred, (dict, list)) or y_true.subtopics is not None:
            return None
        true, judgments = y_true.queries, _as_dicts(y_true)
    else:
        true, judgments = _entries(y_true)
    pred, rankings = _entries(y_pred)
    if judgments is None or rankings is None:
        return None
    kinds = set(map(type, rankings))
    if not (kinds <= {dict} or kinds <= {list}) or not set(map(type, judgments)) <= {dict}:
        return None
    if not all(type(next(iter(entry))) is str for entry in chain(judgments, rankings) if entry):
        return None
    pairs = align_queries(pred, true, "run").tolist()
    empty = {} if kinds == {dict} else []
    rankings = [rankings[pair] if pair >= 0 else empty for pair in pairs]

    indptr = bounds(list(map(len, judgments)))
    grades = _numbers(chain.from_iterable(map(dict.values, judgments)), indptr[-1], "grade", true, indptr, judgments)
    ranked = bounds(list(map(len, rankings)))
    if kinds == {dict}:
        hits = _find_scored(judgments, rankings, indptr, ranked, true)
    else:
        hits = _find_listed(judgments, rankings, indptr, true)
    in_run = np.array(pairs, dtype=np.int64) >= 0
    return Judged(true.ids if true.has_ids else None, indptr, grades, in_run, np.diff(ranked), *hits)


def _entries(data):
    """Queries and values of a dict or a list; (None, None) of anything else."""
    if isinstance(data, dict) and all(type(qid) is str for qid in data):
        return Queries.named(list(data)), list(data.values())
    if isinstance(data, list):
        return Queries.unnamed(len(data)), data
    return None, None


def _as_dicts(qrels):
    edges, docids, grades = qrels.indptr.tolist(), qrels.flat_docids.tolist(), qrels.grades.tolist()
    return [dict(zip(docids[start:stop], grades[start:stop])) for start, stop in zip(edges[:-1], edges[1:])]


def _numbers(values, n, what, queries, indptr, entries):
    """`values` as float64; an error that names the first offenders where they are not numbers."""
    values = list(values) if n < 1 else values
    try:
        numbers = np.fromiter(values, dtype=np.float64, count=n)
    except (TypeError, ValueError):
        for q, entry in enumerate(entries):
            for docid, value in entry.items():
                if not _is_number(value):
                    raise TypeError(
                        f"{what}s are numbers, got {value!r} of type {type(value).__name__} for query "
                        f"{queries.ids[q]!r}, document {docid!r}"
                    ) from None
        raise
    bad = np.flatnonzero(np.isnan(numbers))
    if len(bad):
        at = np.searchsorted(indptr, bad[:4], side="right") - 1
        pairs = [(queries.ids[q], list(entries[q])[e - indptr[q]]) for q, e in zip(at.tolist(), bad[:4].tolist())]
        raise ValueError(f"{what}s are numbers; {len(bad)} are NaN: {show(pairs)}")
    return numbers


def _find_listed(judgments, rankings, indptr, queries):
    """Hits of rankings that are lists of ids."""
    entries, positions, lengths = [], [], []
    for q, (judged, ranking) in enumerate(zip(judgments, rankings)):
        if len(set(ranking)) != len(ranking):
            twice = [docid for i, docid in enumerate(ranking) if docid in ranking[:i]]
            raise ValueError(f"the ranking of query {queries.ids[q]!r} holds documents more than once: {show(twice)}")
        number = dict(zip(judged, range(indptr[q], indptr[q + 1])))
        found = [i for i, docid in enumerate(ranking) if docid in number]
        positions += found
        entries += [number[ranking[i]] for i in found]
        lengths.append(len(found))
    return bounds(lengths), np.array(positions, dtype=np.int64), np.array(entries, dtype=np.int64)


def _find_scored(judgments, rankings, indptr, ranked, queries):
    """Hits of rankings that are dicts of scores, ordered as trec_eval does: float32 score, then docid, descending."""
    scores = _numbers(chain.from_iterable(map(dict.values, rankings)), ranked[-1], "score", queries, ranked, rankings)
    entries, raw, docids, lengths = [], [], [], []
    entry = 0
    for judged, ranking in zip(judgments, rankings):
        n = len(entries)
        get = ranking.get
        for docid in judged:
            score = get(docid)
            if score is not None:
                entries.append(entry)
                raw.append(score)
                docids.append(docid)
            entry += 1
        lengths.append(len(entries) - n)
    with np.errstate(over="ignore"):
        scores = scores.astype(np.float32)
        raw = np.array(raw, dtype=np.float64).astype(np.float32)
    hit_indptr = bounds(lengths)
    entries = np.array(entries, dtype=np.int64)
    query = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((-raw, query))
    positions, equal = np.zeros(len(raw), dtype=np.int64), np.zeros(len(raw), dtype=np.int64)
    raw = raw[order]
    locate(ranked, scores, hit_indptr, raw, positions, equal)
    tied = np.flatnonzero(equal > 1)
    if len(tied):
        docids = [docids[i] for i in order.tolist()]
        _break_ties(tied, query, raw, docids, rankings, ranked, scores, positions)
    entries = entries[order]
    order = np.lexsort((positions, query))
    return hit_indptr, positions[order], entries[order]


def _break_ties(tied, query, hit_scores, docids, rankings, ranked, scores, positions):
    """Move hits of equal score down by the number of higher docids among their equals."""
    hits = defaultdict(list)
    for h in tied.tolist():
        hits[query[h]].append(h)
    for q, members in hits.items():
        groups = {score: [] for score in hit_scores[members].tolist()}
        for docid, score in zip(rankings[q], scores[ranked[q] : ranked[q + 1]].tolist()):
            group = groups.get(score)
            if group is not None:
                group.append(docid)
        places = {}
        for group in groups.values():
            group.sort(reverse=True)
            places.update(zip(group, range(len(group))))
        for h in members:
            positions[h] += places[docids[h]]


# --- arrays: a join by rows


def _align_run(qrels, run):
    _ = run.scores  # candidates that nobody has ordered yet raise an error that says so
    pairs = align_queries(run.queries, qrels.queries, "run")
    if not run.is_numbered:  # a run that came with ids: to number its documents costs more than to look at them once
        return _align_run_of_ids(qrels, run, pairs)
    indptr, grades, topics, take = _collapse(qrels)
    documents = run.documents
    if not qrels.is_numbered:
        rows = documents.rows(qrels.flat_docids, unknown="ignore")
    elif qrels.documents is documents:
        rows = qrels.rows
    else:
        rows = _document_map(documents, qrels.documents)[qrels.rows]
    rows = rows if take is None else rows[take]
    hits = _join(indptr, rows, run.indptr, run.rows, pairs, len(documents))
    return _judged(qrels, indptr, grades, topics, pairs, run.indptr, hits)


def _align_run_of_ids(qrels, run, pairs):
    indptr, grades, topics, take = _collapse(qrels)
    docids = qrels.flat_docids.tolist()
    docids = docids if take is None else [docids[i] for i in take.tolist()]
    flat = run.flat_docids.tolist()
    edges, ranked = indptr.tolist(), run.indptr.tolist()
    positions, entries, lengths = [], [], []
    for q, r in enumerate(pairs.tolist()):
        n = len(entries)
        if r >= 0:
            number = dict(zip(docids[edges[q] : edges[q + 1]], range(edges[q], edges[q + 1])))
            ranking = flat[ranked[r] : ranked[r + 1]]
            found = [i for i, docid in enumerate(ranking) if docid in number]
            positions += found
            entries += [number[ranking[i]] for i in found]
        lengths.append(len(entries) - n)
    hits = bounds(lengths), np.array(positions, dtype=np.int64), np.array(entries, dtype=np.int64)
    return _judged(qrels, indptr, grades, topics, pairs, run.indptr, hits)


def _judged(qrels, indptr, grades, topics, pairs, ranked, hits):
    lengths = np.append(np.diff(ranked), 0)[pairs]
    qids = qrels.ids if qrels.has_ids else None
    return Judged(qids, indptr, grades, pairs >= 0, lengths, *hits, topics)


def _join(indptr, rows, ranked_indptr, ranked_rows, pairs, n_documents):
    hit_indptr = np.empty(len(pairs) + 1, dtype=np.int64)
    positions, entries = np.empty(len(rows), dtype=np.int64), np.empty(len(rows), dtype=np.int64)
    slots = np.zeros(n_documents, dtype=np.int32)
    n = join(indptr, rows, ranked_indptr, ranked_rows, pairs, slots, hit_indptr, positions, entries)
    return hit_indptr, positions[:n].copy(), entries[:n].copy()


def _document_map(documents, others):
    """Row among `documents` of each of `others`, -1 where there is none; kept as long as both live."""
    maps = _MAPS.setdefault(documents, WeakKeyDictionary())
    rows = maps.get(others)
    if rows is None:
        if documents.ids.given or others.ids.given:
            rows = documents.rows(others.ids.tolist(), unknown="ignore")
        else:  # both go by position
            rows = np.arange(len(others))
            rows[len(documents) :] = -1
        maps[others] = rows
    return rows


def _collapse(qrels):
    """Judgments, one for each document: of several subtopics the highest grade counts.

    Returns
    -------
    indptr, grades : ndarray
    topics : tuple or None
        See `Judged`.
    take : ndarray or None
        Entry of the qrels for each judgment that is left; None where all are.
    """
    if qrels.subtopics is None:
        return qrels.indptr, qrels.grades, None, None
    n_queries = len(qrels)
    query = np.repeat(np.arange(n_queries), np.diff(qrels.indptr))
    # Docids descending, which is how ndeval breaks the ties of its ideal ranking.
    place = _codes(qrels.flat_docids)
    order = np.lexsort((-place, query))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (query[order][1:] != query[order][:-1]) | (place[order][1:] != place[order][:-1])
    take = order[first]
    judgment = np.cumsum(first) - 1
    grades = np.full(len(take), -np.inf)
    np.maximum.at(grades, judgment, qrels.grades[order])
    indptr = bounds(np.bincount(query[take], minlength=n_queries))
    # Subtopics as numbers within their query; only positive judgments say that a document is about one.
    code = _codes(qrels.subtopics)[order]
    pairs, number = np.unique(query[order] * (code.max(initial=0) + 1) + code, return_inverse=True)
    owner = pairs // (code.max(initial=0) + 1)
    n_topics = np.bincount(owner, minlength=n_queries)
    local = number - bounds(n_topics)[query[order]]
    about = qrels.grades[order] > 0
    topic_indptr = bounds(np.bincount(judgment[about], minlength=len(take)))
    return indptr, grades, (topic_indptr, local[about], n_topics), take


def _codes(strings):
    """Each string as its place among the distinct ones, sorted."""
    place = {string: i for i, string in enumerate(sorted(set(strings.tolist())))}
    return np.fromiter(map(place.__getitem__, strings.tolist()), dtype=np.int64, count=len(strings))
