"""Which step of a pipeline lost a document, and why: the steps, and the reasons."""

from copy import copy

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from sklrank._ragged import kept_entries, owners
from sklrank.data import Queries, Run
from sklrank.rerankers._base_scoring import head_lengths
from sklrank.rerankers._cascade import CascadeReranker, join
from sklrank.rerankers._cutoff import Cutoff
from sklrank.rerankers._passages import PassageAggregator
from sklrank.retrievers import RetrieverUnion
from sklrank.retrievers._filters import resolve_filter
from sklrank.retrievers._inverted import InvertedIndexRetriever

KINDS = (
    "not in the corpus",
    "filtered",
    "no shared term",
    "not found",
    "beyond k",
    "below depth",
    "left out",
    "demoted",
    "ranked low",
)
_CELLS = 1 << 24  # documents that are ranked at a time, to see where one would have stood


def _named_steps(estimator, name=""):
    """Name and estimator of each step, through pipelines, searches and what is frozen."""
    while isinstance(estimator, FrozenEstimator) or hasattr(estimator, "best_estimator_"):
        frozen = isinstance(estimator, FrozenEstimator)
        estimator = estimator.estimator if frozen else estimator.best_estimator_
    if isinstance(estimator, Pipeline):
        for own, step in estimator.steps:
            yield from _named_steps(step, f"{name}__{own}" if name else own)
    elif estimator is not None and not isinstance(estimator, str):
        yield name or type(estimator).__name__.lower(), estimator


def follow(pipeline, X):
    """The steps that give a run, with what they got and made."""
    stages, value = [], X
    for name, step in _named_steps(pipeline):
        if isinstance(step, CascadeReranker):
            stages += _stages_of(name, step, value)
            value = stages[-1].run
            continue
        before = value
        value = step.transform(before) if hasattr(step, "transform") else step.predict(before)
        if isinstance(value, Run):
            stages.append(_Stage(name, step, before, value))
    return stages


class Relevant:
    """The relevant documents, query by query."""

    def __init__(self, qrels):
        query = owners(qrels.indptr)
        best = {}
        for q, docid, grade in zip(query.tolist(), qrels.flat_docids.tolist(), qrels.grades.tolist()):
            if grade >= 1:
                best[q, docid] = max(best.get((q, docid), grade), grade)  # of several subtopics
        self.query = np.array([q for q, _ in best], dtype=np.int64)
        self.docids = [docid for _, docid in best]
        self.grades = np.array(list(best.values()))

    def __len__(self):
        return len(self.docids)

    def some(self, chosen, query):
        """Some of them, with their queries numbered anew."""
        new = copy(self)
        new.query, new.docids, new.grades = query, [self.docids[d] for d in chosen.tolist()], self.grades[chosen]
        return new

    def ranks_in(self, run):
        """Rank of each, from 1; 0 where there is no order, NaN where it is not there."""
        rows = run.documents.rows(self.docids, unknown="ignore") if len(self) else np.empty(0, dtype=np.int64)
        width = len(run.documents) + 1
        keys = owners(run.indptr) * width + run.rows
        order = np.argsort(keys)
        wanted = self.query * width + np.where(rows < 0, width - 1, rows)
        places = np.searchsorted(keys, wanted, sorter=order)
        entries = np.append(order, 0)[places]
        found = (places < len(keys)) & (np.append(keys, -1)[entries] == wanted)
        ranks = entries - run.indptr[self.query] + 1.0 if run.has_order else np.zeros(len(self))
        return np.where(found, ranks, np.nan)


class _Stage:
    """A step with what it got and what it made."""

    def __init__(self, name, step, before, run):
        self.name = name
        self.step = step
        self.before = before
        self.run = run
        self.depth = getattr(step, "depth", None)
        self.k = getattr(step, "k", None)

    def without_k(self):
        """What it would have made without its k."""
        whole = copy(self.step)
        whole.k = None
        return whole.transform(self.before)

    def documents(self, relevant, run=None):
        """A run of the step, of documents where it was one of passages."""
        run = self.run if run is None else run
        parent = None if run.corpus is None else run.corpus.parent
        if parent is None or (run.corpus.rows(relevant.docids, unknown="ignore") >= 0).any():
            return run
        return PassageAggregator().transform(run)

    def ranks(self, relevant):
        """Where the step put each."""
        return relevant.ranks_in(self.documents(relevant))


class _CascadeStage(_Stage):
    """A stage of a cascade, which is a step too."""

    def __init__(self, name, step, before, run, column, depth):
        super().__init__(name, step, before, run)
        self.column = column
        self.depth = depth
        self.k = None
        self._whole = run

    def end(self):
        """Be the last one, which cuts at the k of the cascade."""
        self.k, self.run = self.step.k, self.step._ended(self.run)

    def without_k(self):
        return self._whole

    def skipped(self, relevant):
        """Which stood within the depth, and were not scored before a budget was spent."""
        within = self.before.head(head_lengths(self.before, self.depth))
        has_score = ~np.isnan(self._whole.column(self.column))
        scored = self._whole.take(*kept_entries(self._whole.indptr, has_score))
        within, scored = (relevant.ranks_in(self.documents(relevant, run)) for run in (within, scored))
        return ~np.isnan(within) & np.isnan(scored)


def _stages_of(name, cascade, run):
    """The stages of a cascade."""
    stages = cascade._stages()
    runs = list(map(join, cascade._behind(run, stages)))
    made = [
        _CascadeStage(f"{name}__{stage}", cascade, before, after, after.columns[-1], depth)
        for (stage, _, depth), before, after in zip(stages, [run, *runs], runs)
    ]
    made[-1].end()
    return made


def fates(stages, relevant, ranks, k):
    """The step that lost each relevant document, -1 for none; kind and reason."""
    n = len(relevant)
    lost_by, kinds, reasons = np.full(n, -1), [None] * n, [None] * n
    there = ~np.isnan(ranks)
    last = ranks[-1]
    for d in range(n):
        if not there[-1, d]:
            lost_by[d] = np.flatnonzero(there[:, d]).max(initial=-1) + 1
        elif last[d] > k:
            among = np.flatnonzero((ranks[:, d] >= 1) & (ranks[:, d] <= k))
            lost_by[d] = among[-1] + 1 if len(among) else len(stages) - 1
            kinds[d] = "demoted" if len(among) else "ranked low"
            reasons[d] = f"rank {last[d]:.0f}, never among the first {k}"
            if len(among):
                reasons[d] = f"from rank {ranks[among[-1], d]:.0f} to {ranks[lost_by[d], d]:.0f}"
    for s, stage in enumerate(stages):
        own = np.array([d for d in range(n) if lost_by[d] == s and kinds[d] is None], dtype=np.int64)
        if not len(own):
            continue
        some = relevant.some(own, relevant.query[own])
        if s == 0:
            why = _missed(stage, stage.step, some)
        else:
            why = _dropped(stage, some, ranks[s - 1, own])
        for d, (kind, reason) in zip(own.tolist(), why):
            kinds[d], reasons[d] = kind, reason
    for s, stage in enumerate(stages):
        own = np.array([d for d in range(n) if lost_by[d] == s], dtype=np.int64)
        if isinstance(stage, _CascadeStage) and len(own):
            for d in own[stage.skipped(relevant.some(own, relevant.query[own]))].tolist():
                reasons[d] += ", not scored within the budget"
    return lost_by.tolist(), kinds, reasons


def _missed(stage, step, relevant):
    """Why a retriever has not found some documents: kind and reason of each."""
    if isinstance(step, RetrieverUnion):
        parts = [_missed_by(stage, one, relevant) for _, one in step.retrievers_]
        names = [name for name, _ in step.retrievers_]
        return [_together(names, own) for own in zip(*parts)]
    corpus = getattr(step, "corpus_", None)
    if corpus is None:
        return [("not found", "not found")] * len(relevant)
    whole = copy(step)
    if hasattr(step, "k"):
        whole.k = len(corpus)
    found = np.full(len(relevant), np.nan)
    allowed = np.ones(len(relevant), dtype=bool)
    asked = np.unique(relevant.query)
    size = max(_CELLS // len(corpus), 1)
    for some in (asked[i : i + size] for i in range(0, len(asked), size)):
        own = np.flatnonzero(np.isin(relevant.query, some))
        part = relevant.some(own, np.searchsorted(some, relevant.query[own]))
        run = whole.transform(_some(stage.before, some))
        found[own] = part.ranks_in(stage.documents(part, run))
        allowed[own] = _allowed(step, run.queries, part)
    why = []
    for rank, rows, passes in zip(found, _rows(corpus, relevant.docids), allowed):
        if not len(rows):
            kind = "not in the corpus"
        elif not passes:
            kind = "filtered"
        elif not np.isnan(rank):
            kind = "beyond k"
        else:
            kind = "no shared term" if isinstance(step, InvertedIndexRetriever) else "not found"
        why.append((kind, f"rank {rank:.0f}, beyond k={step.k}" if kind == "beyond k" else kind))
    return why


def _missed_by(stage, retriever, relevant):
    """The same of one retriever of a union, which may be a pipeline."""
    steps = [step for _, step in _named_steps(retriever)]
    if len(steps) == 1:
        return _missed(stage, steps[0], relevant)
    parts = follow(retriever, stage.before)
    _, kinds, reasons = fates(parts, relevant, np.stack([part.ranks(relevant) for part in parts]), np.inf)
    # What is timed, or asks a service, may find now what it missed before.
    return [(kind or "left out", reason or "left out") for kind, reason in zip(kinds, reasons)]


def _rows(corpus, docids):
    """Rows of each document: one, none, or those of its passages."""
    rows = corpus.rows(docids, unknown="ignore")
    if corpus.parent is None or (rows >= 0).any():
        return [rows[i : i + 1][rows[i : i + 1] >= 0] for i in range(len(rows))]
    parents = np.array(corpus["parent_id"].tolist(), dtype=object)
    return [np.flatnonzero(parents == docid) for docid in docids]


def _some(X, positions):
    """Some of the queries, whatever holds them."""
    if isinstance(X, list):
        return [X[i] for i in positions.tolist()]
    if isinstance(X, dict) or not hasattr(X, "shape"):
        return Queries.of(X)[positions]
    return X.iloc[positions] if hasattr(X, "iloc") else X[positions]


def _allowed(step, queries, relevant):
    """Whether the filter of the step lets each document pass."""
    passes = np.ones(len(relevant), dtype=bool)
    filter = step.filter_of(queries) if hasattr(step, "filter_of") else None
    if filter is None:
        return passes
    rows = _rows(step.corpus_, relevant.docids)
    for start, stop, masks, mask_of in resolve_filter(filter, len(queries), step.corpus_):
        for d in np.flatnonzero((relevant.query >= start) & (relevant.query < stop)):
            mask = mask_of[relevant.query[d] - start] if len(mask_of) else 0
            passes[d] = mask < 0 or bool(masks[mask][rows[d]].any())
    return passes


def _together(names, reasons):
    """One kind and reason for what each retriever of a union says: that which more candidates would have mended."""
    kinds = [kind for kind, _ in reasons]
    kind = next((kind for kind in ("beyond k", "filtered") if kind in kinds), kinds[0])
    if len({reason for _, reason in reasons}) == 1:
        return reasons[0]
    return kind, "; ".join(f"{name}: {reason}" for name, (_, reason) in zip(names, reasons))


def _dropped(stage, relevant, before):
    """Why a fuser or a reranker does not hand on some documents that it got."""
    step, depth, k = stage.step, stage.depth, stage.k
    after = np.full(len(relevant), np.nan)
    if k is not None:
        after = relevant.ranks_in(stage.documents(relevant, stage.without_k()))
    why = []
    for rank, rank_after in zip(before, after):
        if not np.isnan(rank_after):
            moved = 1 <= rank <= k
            reason = f"from rank {rank:.0f} to {rank_after:.0f}" if moved else f"rank {rank_after:.0f}"
            why.append(("demoted" if moved else "beyond k", f"{reason}, beyond k={k}"))
        elif depth is not None and rank > depth:
            why.append(("below depth", f"rank {rank:.0f}, below depth={depth}"))
        elif isinstance(step, Cutoff):
            why.append(("left out", f"rank {rank:.0f}, beyond the cutoff"))
        else:
            why.append(("left out", "left out"))
    return why
