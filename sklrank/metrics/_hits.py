"""The judged documents in rankings, found in whatever the rankings are held in.

Each kind of ranking has `queries` and ``find(judgments, pairs)``, which gives the length of each ranking and the hits:
their indptr, positions and judgments. ``pairs[q]`` is the ranking of judged query ``q``, or -1.
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
    """Judgments, one per query and document.

    Parameters
    ----------
    queries : Queries
    indptr : ndarray of int64, shape (n_queries + 1,)
    grades : ndarray of float64, shape (n_judgments,)
    docids : list of (list or dict) of str, default=None
        Judged documents of each query; ``None``: those of `qrels`.
    topics : tuple, default=None
        See `Judged`.
    qrels : Qrels, default=None
        The judgments as they came, if not as dicts.
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
        """Take judgments from `Qrels`; of several subtopics of a document the highest grade counts."""
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
    """Ids of each query as lists, cut when they are asked for: to cut all of them first would take a quarter longer."""

    def __init__(self, flat, indptr):
        self.flat = flat.tolist()
        self.edges = indptr.tolist()

    def __getitem__(self, q):
        if q >= len(self.edges) - 1:
            raise IndexError(q)
        return self.flat[self.edges[q] : self.edges[q + 1]]


class _Listed:
    """Rankings that are lists of ids."""

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
    """Rankings that are dicts of scores, ordered as trec_eval does: by float32 score, then docid, both descending.

    Only the judged documents get positions: by counting the higher scores, without sorting or numbering a document.
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
    """A run whose documents have rows."""

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
    """Rankings of a `Run`, by rows if it has any: to number documents costs more than to look at them once."""
    _ = run.scores  # candidates that are not ordered yet raise an error that says so
    if run.is_numbered:
        return _Numbered(run)
    return _Listed(run.queries, _Cut(run.flat_docids, run.indptr))


def plain_rankings(y_pred):
    """Rankings that are lists of ids or dicts of scores; None if they are something else, which `Run` has to check."""
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
    """Judgments of dicts or `Qrels`; None if they are something else, which `Qrels` has to check."""
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
    """Queries and values of a dict or a list; (None, None) of anything else."""
    if isinstance(data, dict) and all(type(qid) is str for qid in data):
        return Queries.named(list(data)), list(data.values())
    if isinstance(data, list):
        return Queries.unnamed(len(data)), data
    return None, None


def _numbers(values, n, what, queries, indptr, entries):
    """`values` as float64; an error that names the first offenders where they are not numbers."""
    values = list(values) if n < 1 else values
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
    bad = np.flatnonzero(np.isnan(numbers) | (np.isinf(numbers) & (what == "grade")))
    if len(bad):
        at = np.searchsorted(indptr, bad[:4], side="right") - 1
        pairs = [(queries.ids[q], list(entries[q])[e - indptr[q]]) for q, e in zip(at.tolist(), bad[:4].tolist())]
        raise ValueError(f"{what}s are numbers; {len(bad)} are NaN{' or infinite' * (what == 'grade')}: {show(pairs)}")
    return numbers


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


def _document_map(documents, others):
    """Row among `documents` of each of `others`, -1 where there is none; kept as long as both live."""

    def make():
        if documents.ids.given or others.ids.given:
            return documents.rows(others.ids.tolist(), unknown="ignore")
        rows = np.arange(len(others))  # both go by position
        rows[len(documents) :] = -1
        return rows

    return _MAPS.get((documents, others), make)


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
    query = owners(qrels.indptr)
    # Docids descending, which is how ndeval breaks the ties of its ideal ranking.
    place = _codes(qrels.flat_docids)
    order = np.lexsort((-place, query))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (query[order][1:] != query[order][:-1]) | (place[order][1:] != place[order][:-1])
    take = order[first]
    judgment = np.cumsum(first) - 1
    grades = np.full(len(take), -np.inf)
    np.maximum.at(grades, judgment, qrels.grades[order])
    indptr = lengths_to_indptr(np.bincount(query[take], minlength=n_queries))
    # Subtopics as numbers within their query; only positive judgments say that a document is about one.
    code = _codes(qrels.subtopics)[order]
    pairs, number = np.unique(query[order] * (code.max(initial=0) + 1) + code, return_inverse=True)
    owner = pairs // (code.max(initial=0) + 1)
    n_topics = np.bincount(owner, minlength=n_queries)
    local = number - lengths_to_indptr(n_topics)[query[order]]
    about = qrels.grades[order] > 0
    topic_indptr = lengths_to_indptr(np.bincount(judgment[about], minlength=len(take)))
    return indptr, grades, (topic_indptr, local[about], n_topics), take


def _codes(strings):
    """Each string as its place among the distinct ones, sorted."""
    place = {string: i for i, string in enumerate(sorted(set(strings.tolist())))}
    return np.fromiter(map(place.__getitem__, strings.tolist()), dtype=np.int64, count=len(strings))
