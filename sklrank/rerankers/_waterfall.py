"""Where a pipeline loses relevant documents, step by step, and why."""

import html
import time
from collections import Counter
from copy import copy
from numbers import Integral

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from sklrank._optional import optional_import
from sklrank._validation import HasMethods, Interval, validate_params
from sklrank.data import Qrels, Queries, Run
from sklrank.data._frames import frame_like
from sklrank.metrics import ndcg_score, recall_at_k_score
from sklrank.rerankers._base import head, head_lengths
from sklrank.rerankers._cascade import CascadeReranker
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
_SHOWN = 10  # lost documents that are printed one by one


@validate_params(
    {
        "pipeline": [HasMethods(["fit", "transform"]), HasMethods(["fit", "predict"])],
        "X": "no_validation",
        "y": "no_validation",
        "k": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def waterfall(pipeline, X, y, *, k=10):
    """Follow the relevant documents through a pipeline: which step loses which, and why.

    A relevant document is lost where it is not among the first `k` in the end, and it is the last step that could have
    kept it that lost it: the one behind which it is gone, or the one that moved it out of the first `k`.

    Parameters
    ----------
    pipeline : Pipeline or retriever
        Fitted. Its steps that give a `Run` are followed: retrievers, unions, fusers, rerankers. Each stage of a
        `CascadeReranker` and each step of a pipeline inside is a step of its own, named as its parameters are. Of a
        search such as `GridSearchCV`, what is followed is its best estimator; of a `FrozenEstimator`, what it holds.
    X : Queries, list of str, or matrix of shape (n_queries, n_features)
        The queries.
    y : Qrels or list of dict
        Their judgments; relevant is a grade of 1 or more.
    k : int, default=10
        How many documents a user looks at.

    Returns
    -------
    Waterfall
        It prints as a report, and has `to_frame` and `plot`.

    Notes
    -----
    To learn where a document would have stood, a retriever that missed it is asked once more, for all documents, and
    a reranker with a `k` that lost one ranks without it; scores that are kept are not computed again.

    A cascade with a `time_budget` is timed anew, so that what it comes to can differ from one call to the next.

    Where documents were split into passages, what counts are documents, at every step.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklrank import Corpus
    >>> from sklrank.rerankers import MMRReranker, waterfall
    >>> from sklrank.retrievers import BM25Retriever
    >>> corpus = Corpus({"d1": "heat flow", "d2": "heat heat", "d3": "flow", "d4": "warmth"})
    >>> pipe = make_pipeline(BM25Retriever(corpus, k=3), MMRReranker(depth=2)).fit(["heat"])
    >>> print(waterfall(pipe, ["heat flow"], [{"d1": 1, "d3": 1, "d4": 1}]))
    step           documents  recall  ndcg@10   lost
    bm25retriever          3  0.6667   0.7039      1  1 no shared term
    mmrreranker            2  0.3333   0.4693      1  1 below depth
    found                                         1 of 3 relevant documents among the first 10
    <BLANKLINE>
    query  document  lost by        why
    0      d4        bm25retriever  no shared term
    0      d3        mmrreranker    rank 3, below depth=2
    """
    stages = _follow(pipeline, X)
    if not stages:
        raise ValueError("no step of the pipeline gives a Run, so that there is nothing to follow")
    qrels = (y if isinstance(y, Qrels) else Qrels(y)).align(stages[0].run.queries)
    relevant = _Relevant(qrels)
    ranks = np.stack([stage.ranks(relevant) for stage in stages])
    lost_by, kinds, reasons = _fates(stages, relevant, ranks, k)
    rows = []
    for stage in stages:
        run = stage.documents(relevant)
        ordered = run if run.has_order else run._reordered(np.zeros(len(run.rows)))
        rows.append(
            {
                "step": stage.name,
                "n_documents": len(run.rows) / max(len(run), 1),
                "recall": recall_at_k_score(qrels, ordered),
                f"ndcg@{k}": ndcg_score(qrels, run, k=k) if run.has_order else np.nan,
            }
        )
    documents = [
        {
            "qid": str(qrels.ids[q]),
            "docid": docid,
            "grade": grade,
            "lost_by": None if step < 0 else stages[step].name,
            "kind": kind,
            "reason": reason,
            **{f"rank_{stage.name}": rank for stage, rank in zip(stages, own.tolist())},
        }
        for q, docid, grade, step, kind, reason, own in zip(
            relevant.query.tolist(), relevant.docids, relevant.grades.tolist(), lost_by, kinds, reasons, ranks.T
        )
    ]
    return Waterfall(rows, documents, k)


class Waterfall:
    """What became of the relevant documents, from `waterfall`.

    Attributes
    ----------
    steps : list of dict
        For each step: ``step``, ``n_documents`` (mean number of candidates a query), ``recall`` of all of them, and
        ``ndcg@k``, NaN where nothing is ordered yet.
    documents : list of dict
        For each relevant document: ``qid``, ``docid``, ``grade``, ``lost_by`` (the step, None where it was not lost),
        ``kind`` and ``reason`` of the loss, and ``rank_step`` for each step: 0 where it is there without an order, NaN
        where it is not.
    k : int
        How many documents of a ranking count.

    Examples
    --------
    >>> from sklrank import Corpus
    >>> from sklrank.rerankers import waterfall
    >>> from sklrank.retrievers import BM25Retriever
    >>> retriever = BM25Retriever(Corpus({"d1": "heat", "d2": "warmth"})).fit(["heat"])
    >>> result = waterfall(retriever, ["heat"], [{"d1": 1, "d2": 1}])
    >>> result, result.lost[0]["docid"], result.counts()
    (<Waterfall: 1 steps, 1 of 2 relevant documents lost>, 'd2', {'bm25retriever': {'no shared term': 1}})
    """

    def __init__(self, steps, documents, k):
        self.steps = steps
        self.documents = documents
        self.k = k

    @property
    def lost(self):
        """The documents that were lost, by step.

        Returns
        -------
        list of dict
        """
        order = {row["step"]: i for i, row in enumerate(self.steps)}
        lost = [document for document in self.documents if document["lost_by"] is not None]
        return sorted(lost, key=lambda document: order[document["lost_by"]])

    def counts(self):
        """How many documents each step lost, by kind.

        Returns
        -------
        dict of str to dict of str to int
        """
        found = {row["step"]: Counter() for row in self.steps}
        for document in self.lost:
            found[document["lost_by"]][document["kind"]] += 1
        return {step: {kind: counter[kind] for kind in KINDS if counter[kind]} for step, counter in found.items()}

    def to_frame(self, *, backend=None):
        """One row a relevant document.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default=None
            The library of the frame; ``None``: pandas where it is installed, else polars.

        Returns
        -------
        DataFrame
        """
        names = ["qid", "docid", "grade", "lost_by", "kind", "reason", *(f"rank_{row['step']}" for row in self.steps)]
        return frame_like({name: [document[name] for document in self.documents] for name in names}, backend)

    def plot(self, ax=None, **kwargs):
        """Plot how many relevant documents are left behind each step, and what was lost there.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; ``None`` makes new ones.
        **kwargs : dict
            Passed to matplotlib's ``barh``.

        Returns
        -------
        WaterfallDisplay
        """
        return WaterfallDisplay(
            steps=list(self.counts()), losses=list(self.counts().values()), n=len(self.documents)
        ).plot(ax=ax, **kwargs)

    def __str__(self):
        metric = f"ndcg@{self.k}"
        counts = self.counts()
        width = max(len("found"), *(len(row["step"]) for row in self.steps))
        lines = [f"{'step':{width}}  {'documents':>9}  {'recall':>6}  {metric:>7}  {'lost':>5}"]
        for row in self.steps:
            own = counts[row["step"]]
            why = ", ".join(f"{n} {kind}" for kind, n in own.items())
            ndcg = "" if np.isnan(row[metric]) else f"{row[metric]:.4f}"
            line = f"{row['step']:{width}}  {row['n_documents']:9.4g}  {row['recall']:6.4f}  {ndcg:>7}"
            lines.append(f"{line}  {sum(own.values()):5}  {why}".rstrip())
        lost = self.lost
        n = len(self.documents)
        title = f"{n - len(lost)} of {n} relevant documents among the first {self.k}"
        lines.append(f"{'found':{width}}  {'':27}{n - len(lost):5}{title[len(str(n - len(lost))) :]}")
        if lost:
            table = [("query", "document", "lost by", "why")]
            table += [(d["qid"], d["docid"], d["lost_by"], d["reason"]) for d in lost[:_SHOWN]]
            widths = [max(map(len, column)) for column in zip(*table)]
            lines.append("")
            lines += ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in table]
            if len(lost) > _SHOWN:
                lines.append(f"… {len(lost) - _SHOWN} more")
        return "\n".join(lines)

    def __repr__(self):
        return (
            f"<Waterfall: {len(self.steps)} steps, {len(self.lost)} of {len(self.documents)} relevant documents lost>"
        )

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"


class WaterfallDisplay:
    """Relevant documents that are left behind each step of a pipeline.

    Parameters
    ----------
    steps : list of str
        Names of the steps.
    losses : list of dict of str to int
        How many documents each step lost, by kind.
    n : int
        Number of relevant documents.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    waterfall : Makes what is shown.

    Examples
    --------
    >>> from sklrank.rerankers import WaterfallDisplay
    >>> display = WaterfallDisplay(steps=["bm25", "rerank"], losses=[{"no shared term": 3}, {"demoted": 1}], n=10)
    >>> display.left
    [7, 6]
    """

    def __init__(self, *, steps, losses, n):
        self.steps = steps
        self.losses = losses
        self.n = n

    @classmethod
    def from_estimator(cls, pipeline, X, y, *, k=10, ax=None, **kwargs):
        """Follow the relevant documents through a pipeline, and plot what is left of them.

        Parameters
        ----------
        pipeline : Pipeline or retriever
            Fitted.
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries.
        y : Qrels or list of dict
            Their judgments.
        k : int, default=10
            How many documents a user looks at.
        ax : matplotlib Axes, default=None
            Where to plot; ``None`` makes new ones.
        **kwargs : dict
            Passed to matplotlib's ``barh``.

        Returns
        -------
        WaterfallDisplay
        """
        return waterfall(pipeline, X, y, k=k).plot(ax=ax, **kwargs)

    @property
    def left(self):
        """How many relevant documents are not lost behind each step.

        Returns
        -------
        list of int
        """
        return (self.n - np.cumsum([sum(own.values()) for own in self.losses])).tolist()

    def plot(self, ax=None, **kwargs):
        """Plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; ``None`` makes new ones.
        **kwargs : dict
            Passed to matplotlib's ``barh``.

        Returns
        -------
        WaterfallDisplay
        """
        pyplot = optional_import("matplotlib.pyplot", extra="plot")
        ax = pyplot.subplots(layout="constrained")[1] if ax is None else ax
        places, left = np.arange(len(self.steps)), np.array(self.left)
        ax.barh(places, left, **{"color": "0.8", "label": "left", **kwargs})
        kinds = [kind for kind in KINDS if any(kind in own for own in self.losses)]
        edge = left.astype(float)
        colors = {kind: f"C{i + (i > 6)}" for i, kind in enumerate(KINDS)}  # without C7, grey as what is left
        for kind in kinds:
            widths = np.array([own.get(kind, 0) for own in self.losses])
            ax.barh(places, widths, left=edge, **{"color": colors[kind], **kwargs, "label": kind})
            edge = edge + widths
        ax.set_yticks(places, self.steps)
        ax.invert_yaxis()
        ax.set(xlabel="relevant documents", xlim=(0, max(self.n, 1)))
        ax.locator_params(axis="x", integer=True)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))  # beside the bars, which fill the axes
        self.ax_, self.figure_ = ax, ax.figure
        return self


# --- the steps


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


def _follow(pipeline, X):
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


class _Relevant:
    """The relevant documents, query by query."""

    def __init__(self, qrels):
        query = np.repeat(np.arange(len(qrels)), np.diff(qrels.indptr))
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
        lengths = np.diff(run.indptr)
        keys = np.repeat(np.arange(len(run)) * width, lengths) + run.rows
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
        parent = getattr(run.corpus, "_parent", None)
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
        within = head(self.before, head_lengths(self.before, self.depth))
        has_score = ~np.isnan(self._whole.column(self.column))
        indptr = np.concatenate([[0], np.cumsum(has_score)])[self._whole.indptr]
        scored = self._whole._take_entries(np.flatnonzero(has_score), indptr, self._whole.queries)
        within, scored = (relevant.ranks_in(self.documents(relevant, run)) for run in (within, scored))
        return ~np.isnan(within) & np.isnan(scored)


def _stages_of(name, cascade, run):
    """The stages of a cascade."""
    stages, timed = cascade._stages(), cascade.time_budget is not None and len(run) > 0
    parts = []
    for part in [run[i] for i in range(len(run))] if timed else [run]:  # the clock runs for each query
        end = time.perf_counter() + cascade.time_budget if timed else None
        left = cascade._budget(part)
        parts.append([])
        for stage in stages:
            part, left = cascade._pass(part, stage, left, end)
            parts[-1].append(part)
    runs = [np.concatenate(own) for own in zip(*parts)] if timed else parts[0]
    made = [
        _CascadeStage(f"{name}__{stage}", cascade, before, after, after.columns[-1], depth)
        for (stage, _, depth), before, after in zip(stages, [run, *runs], runs)
    ]
    made[-1].end()
    return made


def _fates(stages, relevant, ranks, k):
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
    if corpus is None or not hasattr(step, "_search"):
        return [("not found", "not found")] * len(relevant)
    found = np.full(len(relevant), np.nan)
    allowed = np.ones(len(relevant), dtype=bool)
    asked = np.unique(relevant.query)
    size = max(_CELLS // len(corpus), 1)
    for some in (asked[i : i + size] for i in range(0, len(asked), size)):
        own = np.flatnonzero(np.isin(relevant.query, some))
        part = relevant.some(own, np.searchsorted(some, relevant.query[own]))
        run = step._search(_some(stage.before, some), len(corpus))
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
    parts = _follow(retriever, stage.before)
    _, kinds, reasons = _fates(parts, relevant, np.stack([part.ranks(relevant) for part in parts]), np.inf)
    # What is timed, or asks a service, may find now what it missed before.
    return [(kind or "left out", reason or "left out") for kind, reason in zip(kinds, reasons)]


def _rows(corpus, docids):
    """Rows of each document: one, none, or those of its passages."""
    rows = corpus.rows(docids, unknown="ignore")
    if corpus._parent is None or (rows >= 0).any():
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
    filter = step._chosen_filter(None, queries)
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
