"""Judged documents in rankings of every kind: lists, dicts and runs.

Each kind of ranking has `queries` and ``find(judgments, pairs)``, which returns the length of each ranking and the
hits: their indptr, positions and judgments. ``pairs[q]`` is the ranking of judged query ``q``, or -1.
"""

from collections import defaultdict
from functools import cached_property
from itertools import chain

import numpy as np

from sklrank._caching import Attached
from sklrank._kernels._metrics import join, locate
from sklrank._ragged import lengths_to_indptr, owners
from sklrank.data import Qrels, Run
from sklrank.data._ids import show
from sklrank.data._queries import Queries

_MAPS = Attached()  # documents of a run → documents of qrels → rows of the latter among the former


class Judgments:
    """Hold judgments, one per query and document.

    Parameters
    ----------
    queries : Queries
    indptr : ndarray of int64, shape (n_queries + 1,)
    grades : ndarray of float64, shape (n_judgments,)
    docids : list of (list or dict) of str, default=None
        Judged documents of each query. If None, they are those of `qrels`.
    topics : tuple, default=None
        See `Judged`.
    qrels : Qrels, default=None
        The judgments as given, if not as dicts.
    chosen : slice or ndarray of int64
        Entry of `qrels` for each judgment.
    """

    def __init__(self, queries, indptr, grades, docids=None, topics=None, qrels=None, chosen=slice(None)):
        self.queries = queries
        self.indptr = indptr
        self.grades = grades
        self.topics = topics
        self.qrels = qrels
        self.chosen = chosen
        if docids is not None:
            self.docids = docids

    @classmethod
    def of(cls, qrels):
        """Make judgments from `Qrels`; if a document has several subtopics, its highest grade counts."""
        if qrels.subtopics is None:
            return cls(qrels.queries, qrels.indptr, qrels.grades, qrels=qrels)
        indptr, grades, topics, chosen = _collapse(qrels)
        return cls(qrels.queries, indptr, grades, topics=topics, qrels=qrels, chosen=chosen)

    @cached_property
    def docids(self):
        """Judged documents of each query."""
        return _Cut(self.qrels.flat_docids[self.chosen], self.indptr)

    def rows(self, documents):
        """Return the row of each judgment among `documents`, -1 if there is none."""
        qrels = self.qrels
        if not qrels.is_numbered:
            rows = documents.rows(qrels.flat_docids, unknown="ignore")
        elif qrels.documents is documents:
            rows = qrels.rows
        else:
            rows = _document_map(documents, qrels.documents)[qrels.rows]
        return rows[self.chosen]


class _Cut:
    """Lists of the ids of each query, cut on access; to cut all of them first takes a quarter longer."""

    def __init__(self, flat, indptr):
        self.flat = flat.tolist()
        self.edges = indptr.tolist()

    def __getitem__(self, q):
        if q >= len(self.edges) - 1:
            raise IndexError(q)
        return self.flat[self.edges[q] : self.edges[q + 1]]


class _Listed:
    """Find hits in rankings that are lists of ids."""

    def __init__(self, queries, rankings):
        self.queries = queries
        self.rankings = rankings

    def find(self, judgments, pairs):
        positions, entries, lengths, n_retrieved = [], [], [], []
        for q, (judged, start) in enumerate(zip(judgments.docids, judgments.indptr.tolist())):
            ranking = self.rankings[pairs[q]] if pairs[q] >= 0 else []
            number = dict(zip(judged, range(start, start + len(judged))))
            found = [i for i, docid in enumerate(ranking) if docid in number]
            positions += found
            entries += [number[ranking[i]] for i in found]
            lengths.append(len(found))
            n_retrieved.append(len(ranking))
        hits = lengths_to_indptr(lengths), np.array(positions, dtype=np.int64), np.array(entries, dtype=np.int64)
        return np.array(n_retrieved, dtype=np.int64), hits


class _Scored:
    """Find hits in rankings that are dicts of scores.

    The order is trec_eval's: by float32 score, then docid, both descending. Only judged documents get positions. They
    are found by counting higher scores, without sorting or numbering the documents.
    """

    def __init__(self, queries, rankings):
        self.queries = queries
        self.rankings = rankings

    def find(self, judgments, pairs):
        rankings = [self.rankings[pair] if pair >= 0 else {} for pair in pairs.tolist()]
        ranked = lengths_to_indptr(list(map(len, rankings)))
        scores = _numbers(
            chain.from_iterable(map(dict.values, rankings)), ranked[-1], "score", judgments.queries, ranked, rankings
        )
        entries, raw, docids, lengths = [], [], [], []
        entry = 0
        for judged, ranking in zip(judgments.docids, rankings):
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
        hit_indptr = lengths_to_indptr(lengths)
        entries = np.array(entries, dtype=np.int64)
        query = owners(hit_indptr)
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
        return np.diff(ranked), (hit_indptr, positions[order], entries[order])


class _Numbered:
    """Find hits in a run whose documents have rows."""

    def __init__(self, run):
        self.queries = run.queries
        self.run = run

    def find(self, judgments, pairs):
        run = self.run
        documents = run.documents
        rows = judgments.rows(documents)
        hit_indptr = np.empty(len(pairs) + 1, dtype=np.int64)
        positions, entries = np.empty(len(rows), dtype=np.int64), np.empty(len(rows), dtype=np.int64)
        slots = np.zeros(len(documents), dtype=np.int32)
        n = join(judgments.indptr, rows, run.indptr, run.rows, pairs, slots, hit_indptr, positions, entries)
        n_retrieved = np.append(np.diff(run.indptr), 0)[pairs]
        return n_retrieved, (hit_indptr, positions[:n].copy(), entries[:n].copy())


def rankings_of(run):
    """Return the rankings of a `Run`: by rows if it has any, otherwise by ids, because numbering them costs more."""
    _ = run.scores  # raises an error if the candidates have no order yet
    if run.is_numbered:
        return _Numbered(run)
    return _Listed(run.queries, _Cut(run.flat_docids, run.indptr))


def plain_rankings(y_pred):
    """Return rankings that are lists of ids or dicts of scores; None for other data, which `Run` has to check."""
    if isinstance(y_pred, Run):
        if y_pred.is_numbered:
            return None
        return rankings_of(y_pred)
    queries, rankings = _entries(y_pred)
    if rankings is None:
        return None
    kinds = set(map(type, rankings))
    if not (kinds <= {dict} or kinds <= {list}) or not _keyed_by_str(rankings):
        return None
    if kinds <= {dict}:
        return _Scored(queries, rankings)
    for q, ranking in enumerate(rankings):
        if len(set(ranking)) != len(ranking):
            twice = [docid for i, docid in enumerate(ranking) if docid in ranking[:i]]
            raise ValueError(f"the ranking of query {queries.ids[q]!r} holds documents more than once: {show(twice)}")
    return _Listed(queries, rankings)


def plain_judgments(y_true):
    """Return judgments from dicts or `Qrels`; None for other data, which `Qrels` has to check."""
    if isinstance(y_true, Qrels):
        return Judgments.of(y_true)
    queries, judgments = _entries(y_true)
    if judgments is None or not set(map(type, judgments)) <= {dict} or not _keyed_by_str(judgments):
        return None
    indptr = lengths_to_indptr(list(map(len, judgments)))
    values = chain.from_iterable(map(dict.values, judgments))
    grades = _numbers(values, indptr[-1], "grade", queries, indptr, judgments)
    return Judgments(queries, indptr, grades, docids=judgments)


def _keyed_by_str(entries):
    return all(type(next(iter(entry))) is str for entry in entries if entry)


def _entries(data):
    """Return the queries and values of a dict or a list; (None, None) for other data."""
    if isinstance(data, dict) and all(type(qid) is str for qid in data):
        return Queries.named(list(data)), list(data.values())
    if isinstance(data, list):
        return Queries.unnamed(len(data)), data
    return None, None


def _numbers(values, n, what, queries, indptr, entries):
    """Return `values` as float64; raise an error that names the first entries that are not numbers."""
    if n < 1:
        values = list(values)
    try:
        numbers = np.fromiter(values, dtype=np.float64, count=n)
    except (TypeError, ValueError):
        for q, entry in enumerate(entries):
            for docid, value in entry.items():
                if not isinstance(value, (int, float, np.number, np.bool_)):
                    raise TypeError(
                        f"{what}s are numbers, got {value!r} of type {type(value).__name__} for query "
                        f"{queries.ids[q]!r}, document {docid!r}"
                    ) from None
        raise
    bad = np.isnan(numbers)
    if what == "grade":
        bad = ~np.isfinite(numbers)
    bad = np.flatnonzero(bad)
    if len(bad):
        at = np.searchsorted(indptr, bad[:4], side="right") - 1
        pairs = [(queries.ids[q], list(entries[q])[e - indptr[q]]) for q, e in zip(at.tolist(), bad[:4].tolist())]
        raise ValueError(f"{what}s are numbers; {len(bad)} are NaN{' or infinite' * (what == 'grade')}: {show(pairs)}")
    return numbers


def _break_ties(tied, query, hit_scores, docids, rankings, ranked, scores, positions):
    """Move hits of equal score down by the number of higher docids with the same score."""
    hits = defaultdict(list)
    for h in tied.tolist():
        hits[query[h]].append(h)
    for q, members in hits.items():
        groups = {score: [] for score in hit_scores[members].tolist()}
        for docid, score in zip(rankings[q], scores[ranked[q] : ranked[q + 1]].tolist()):
            group = groups.get(score)
            if group is not None:
                group.append(docid)
        n_above = {}
        for group in groups.values():
            group.sort(reverse=True)
            n_above.update(zip(group, range(len(group))))
        for h in members:
            positions[h] += n_above[docids[h]]


def _document_map(documents, others):
    """Return the row in `documents` of each of `others`, or -1; the rows are kept as long as both objects live."""

    def make():
        if documents.ids.given or others.ids.given:
            return documents.rows(others.ids.tolist(), unknown="ignore")
        rows = np.arange(len(others))  # both are numbered by position
        rows[len(documents) :] = -1
        return rows

    return _MAPS.get((documents, others), make)


def _collapse(qrels):
    """Merge the judgments of each document; if it has several subtopics, its highest grade counts.

    Returns
    -------
    indptr, grades : ndarray
    topics : tuple
        See `Judged`.
    chosen : ndarray
        Entry of the qrels for each judgment that is left.
    """
    n_queries = len(qrels)
    query = owners(qrels.indptr)
    # Docids are in descending order, by which ndeval breaks the ties of its ideal ranking.
    docid = _codes(qrels.flat_docids)
    order = np.lexsort((-docid, query))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (query[order][1:] != query[order][:-1]) | (docid[order][1:] != docid[order][:-1])
    chosen = order[first]
    judgment = np.cumsum(first) - 1
    grades = np.full(len(chosen), -np.inf)
    np.maximum.at(grades, judgment, qrels.grades[order])
    indptr = lengths_to_indptr(np.bincount(query[chosen], minlength=n_queries))
    # Subtopics become numbers within their query. A document is about a subtopic only if its judgment is positive.
    code = _codes(qrels.subtopics)[order]
    pairs, number = np.unique(query[order] * (code.max(initial=0) + 1) + code, return_inverse=True)
    owner = pairs // (code.max(initial=0) + 1)
    n_topics = np.bincount(owner, minlength=n_queries)
    local = number - lengths_to_indptr(n_topics)[query[order]]
    about = qrels.grades[order] > 0
    topic_indptr = lengths_to_indptr(np.bincount(judgment[about], minlength=len(chosen)))
    return indptr, grades, (topic_indptr, local[about], n_topics), chosen


def _codes(strings):
    """Return the position of each string among the sorted distinct strings."""
    position = {string: i for i, string in enumerate(sorted(set(strings.tolist())))}
    return np.fromiter(map(position.__getitem__, strings.tolist()), dtype=np.int64, count=len(strings))
