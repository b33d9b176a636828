"""Waterfall: the relevant documents that each step of a pipeline loses, and the reasons."""

import html
from collections import Counter
from numbers import Integral

import numpy as np

from sklrank._optional import optional_import
from sklrank._validation import HasMethods, Interval, validate_params
from sklrank.data import Qrels
from sklrank.data._display import table_lines
from sklrank.data._frames import frame_like
from sklrank.inspection._losses import KINDS, fates
from sklrank.inspection._steps import Relevant, follow
from sklrank.metrics import ndcg_score, recall_at_k_score

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
    """Follow the relevant documents through a pipeline, and report the step that loses each, and the reason.

    A relevant document is lost if it is not among the first `k` documents of the last step. It is lost by the last step
    that could have kept it: the step that dropped it, or the step that moved it out of the first `k`.

    Parameters
    ----------
    pipeline : Pipeline or retriever
        Fitted pipeline. All steps that return a `Run` are followed: retrievers, unions, fusers and rerankers. Each
        stage of a `CascadeReranker` and each step of a nested pipeline is a separate step, named as in the names of its
        parameters. For a parameter search such as `GridSearchCV`, the best estimator is followed, and for a
        `FrozenEstimator`, the estimator in it.
    X : Queries, list of str, or matrix of shape (n_queries, n_features)
        Queries.
    y : Qrels or list of dict
        Relevance judgments. Documents with a grade of 1 or more are relevant.
    k : int, default=10
        Number of documents that a user looks at.

    Returns
    -------
    Waterfall
        Report, which prints as text and has the methods `to_frame` and `plot`.

    Notes
    -----
    To find the rank of a lost document, a retriever that missed it searches once more and returns all documents, and a
    reranker with a `k` that dropped it ranks once more without `k`. Cached scores are not computed again.

    A cascade with a `time_budget` is timed again, so its result can differ between calls.

    If documents were split into passages, documents are counted at every step.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklrank import Corpus
    >>> from sklrank.inspection import waterfall
    >>> from sklrank.rerankers import MMRReranker
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
    steps = follow(pipeline, X)
    if not steps:
        raise ValueError("no step of the pipeline returns a Run, so there is nothing to follow")
    if not isinstance(y, Qrels):
        y = Qrels(y)
    qrels = y.align(steps[0].run.queries)
    relevant = Relevant.of(qrels)
    ranks = np.stack([step.ranks(relevant) for step in steps])
    names = {i: step.name for i, step in enumerate(steps)}
    documents = [
        {
            "qid": str(qrels.ids[q]),
            "docid": docid,
            "grade": grade,
            "lost_by": names.get(fate.step),
            "kind": fate.kind,
            "reason": fate.reason,
            **{f"rank_{step.name}": rank for step, rank in zip(steps, column.tolist())},
        }
        for q, docid, grade, fate, column in zip(
            relevant.query.tolist(),
            relevant.docids,
            relevant.grades.tolist(),
            fates(steps, relevant, ranks, k),
            ranks.T,
        )
    ]
    return Waterfall([_row(step, relevant, qrels, k) for step in steps], documents, k)


def _row(step, relevant, qrels, k):
    """Return the row of a step in `Waterfall.steps`."""
    run, ndcg = step.in_documents(relevant), np.nan
    n_documents = len(run.rows) / max(len(run), 1)
    if run.has_order:
        ndcg = ndcg_score(qrels, run, k=k)
    else:
        run = run.reorder(np.zeros(len(run.rows)))
    return {
        "step": step.name,
        "n_documents": n_documents,
        "recall": recall_at_k_score(qrels, run),
        f"ndcg@{k}": ndcg,
    }


class Waterfall:
    """Fate of the relevant documents in a pipeline, from `waterfall`.

    Attributes
    ----------
    steps : list of dict
        One for each step: ``step``, ``n_documents`` (mean number of candidates per query), ``recall`` of all
        candidates, and ``ndcg@k``, NaN if the candidates have no order yet.
    documents : list of dict
        One for each relevant document: ``qid``, ``docid``, ``grade``, ``lost_by`` (the step, None if it was not lost),
        ``kind`` and ``reason`` of the loss, and ``rank_step`` for each step: 0 if the candidates have no order, NaN if
        the document is not a candidate.
    k : int
        Number of documents of a ranking that count.

    Examples
    --------
    >>> from sklrank import Corpus
    >>> from sklrank.inspection import waterfall
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
        """Lost documents, in the order of the steps that lost them.

        Returns
        -------
        list of dict
        """
        order = {row["step"]: i for i, row in enumerate(self.steps)}
        lost = [document for document in self.documents if document["lost_by"] is not None]
        return sorted(lost, key=lambda document: order[document["lost_by"]])

    def counts(self):
        """Count the documents that each step lost, by kind.

        Returns
        -------
        dict of str to dict of str to int
        """
        found = {row["step"]: Counter() for row in self.steps}
        for document in self.lost:
            found[document["lost_by"]][document["kind"]] += 1
        return {step: {kind: counter[kind] for kind in KINDS if counter[kind]} for step, counter in found.items()}

    def to_frame(self, *, backend=None):
        """Make a frame with one row for each relevant document.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default=None
            Library of the frame. If None, it is pandas if installed, otherwise polars.

        Returns
        -------
        DataFrame
        """
        names = ["qid", "docid", "grade", "lost_by", "kind", "reason", *(f"rank_{row['step']}" for row in self.steps)]
        return frame_like({name: [document[name] for document in self.documents] for name in names}, backend)

    def plot(self, ax=None, **kwargs):
        """Plot the number of relevant documents that remain after each step, and the losses of the step.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones are made.
        **kwargs : dict
            Further arguments of matplotlib's ``barh``.

        Returns
        -------
        WaterfallDisplay
        """
        return WaterfallDisplay.from_waterfall(self, ax=ax, **kwargs)

    def __str__(self):
        metric = f"ndcg@{self.k}"
        counts = self.counts()
        width = max(len("found"), *(len(row["step"]) for row in self.steps))
        lines = [f"{'step':{width}}  {'documents':>9}  {'recall':>6}  {metric:>7}  {'lost':>5}"]
        for row in self.steps:
            losses = counts[row["step"]]
            why = ", ".join(f"{n} {kind}" for kind, n in losses.items())
            ndcg = ""
            if not np.isnan(row[metric]):
                ndcg = f"{row[metric]:.4f}"
            line = f"{row['step']:{width}}  {row['n_documents']:9.4g}  {row['recall']:6.4f}  {ndcg:>7}"
            lines.append(f"{line}  {sum(losses.values()):5}  {why}".rstrip())
        lost = self.lost
        n = len(self.documents)
        title = f"{n - len(lost)} of {n} relevant documents among the first {self.k}"
        lines.append(f"{'found':{width}}  {'':27}{n - len(lost):5}{title[len(str(n - len(lost))) :]}")
        if lost:
            table = [("query", "document", "lost by", "why")]
            table += [(d["qid"], d["docid"], d["lost_by"], d["reason"]) for d in lost[:_SHOWN]]
            lines += ["", *table_lines(table)]
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
    """Plot of the number of relevant documents that remain after each step of a pipeline.

    Parameters
    ----------
    steps : list of str
        Names of the steps.
    losses : list of dict of str to int
        Number of documents that each step lost, by kind.
    n : int
        Number of relevant documents.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    waterfall : Makes the report.

    Examples
    --------
    >>> from sklrank.inspection import WaterfallDisplay
    >>> display = WaterfallDisplay(steps=["bm25", "rerank"], losses=[{"no shared term": 3}, {"demoted": 1}], n=10)
    >>> display.left
    [7, 6]
    """

    def __init__(self, *, steps, losses, n):
        self.steps = steps
        self.losses = losses
        self.n = n

    @classmethod
    def from_waterfall(cls, waterfall, *, ax=None, **kwargs):
        """Plot the number of relevant documents that remain after each step.

        Parameters
        ----------
        waterfall : Waterfall
            Result of `waterfall`.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones are made.
        **kwargs : dict
            Further arguments of matplotlib's ``barh``.

        Returns
        -------
        WaterfallDisplay
        """
        counts = waterfall.counts()
        return cls(steps=list(counts), losses=list(counts.values()), n=len(waterfall.documents)).plot(ax=ax, **kwargs)

    @classmethod
    def from_estimator(cls, pipeline, X, y, *, k=10, ax=None, **kwargs):
        """Follow the relevant documents through a pipeline, and plot the number that remains after each step.

        Parameters
        ----------
        pipeline : Pipeline or retriever
            Fitted pipeline.
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries.
        y : Qrels or list of dict
            Relevance judgments.
        k : int, default=10
            Number of documents that a user looks at.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones are made.
        **kwargs : dict
            Further arguments of matplotlib's ``barh``.

        Returns
        -------
        WaterfallDisplay
        """
        return cls.from_waterfall(waterfall(pipeline, X, y, k=k), ax=ax, **kwargs)

    @property
    def left(self):
        """Number of relevant documents that remain after each step.

        Returns
        -------
        list of int
        """
        return (self.n - np.cumsum([sum(losses.values()) for losses in self.losses])).tolist()

    def plot(self, ax=None, **kwargs):
        """Draw the plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones are made.
        **kwargs : dict
            Further arguments of matplotlib's ``barh``.

        Returns
        -------
        WaterfallDisplay
        """
        pyplot = optional_import("matplotlib.pyplot", extra="plot")
        if ax is None:
            _, ax = pyplot.subplots(layout="constrained")
        positions, left = np.arange(len(self.steps)), np.array(self.left)
        ax.barh(positions, left, **{"color": "0.8", "label": "left", **kwargs})
        kinds = [kind for kind in KINDS if any(kind in losses for losses in self.losses)]
        edge = left.astype(float)
        colors = {kind: f"C{i + (i > 6)}" for i, kind in enumerate(KINDS)}  # without C7, which is grey like "left"
        for kind in kinds:
            widths = np.array([losses.get(kind, 0) for losses in self.losses])
            ax.barh(positions, widths, left=edge, **{"color": colors[kind], **kwargs, "label": kind})
            edge = edge + widths
        ax.set_yticks(positions, self.steps)
        ax.invert_yaxis()
        ax.set(xlabel="relevant documents", xlim=(0, max(self.n, 1)))
        ax.locator_params(axis="x", integer=True)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))  # beside the bars, which fill the axes
        self.ax_, self.figure_ = ax, ax.figure
        return self
