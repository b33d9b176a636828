"""The step that lost each relevant document, and the reason."""

from copy import copy
from typing import NamedTuple

import numpy as np

from sklrank.data import Corpus, Queries
from sklrank.inspection._steps import CascadeStep, follow, named_steps
from sklrank.rerankers import Cutoff
from sklrank.retrievers import RetrieverUnion, filter_masks

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
_CELLS = 1 << 24  # number of documents that are ranked at a time, to find the rank of a lost document


class Fate(NamedTuple):
    """Step that lost a relevant document, kind of the loss in `KINDS`, and reason in words; None if it was not lost."""

    step: int | None = None
    kind: str | None = None
    reason: str | None = None


def fates(steps, relevant, ranks, k):
    """Find the fate of each relevant document.

    Parameters
    ----------
    steps : list of Step
        Steps of the pipeline.
    relevant : Relevant
        Relevant documents.
    ranks : ndarray of float64, shape (n_steps, n_relevant)
        Ranks after each step, as from `Relevant.ranks_in`.
    k : float
        Number of documents of the last run that count.

    Returns
    -------
    list of Fate
    """
    found = [_fate_of(column, k) for column in ranks.T]
    for s, step in enumerate(steps):
        lost = np.array([d for d, fate in enumerate(found) if fate.step == s], dtype=np.int64)
        gone = np.array([d for d in lost.tolist() if found[d].kind is None], dtype=np.int64)
        part = relevant.take(gone)
        if not len(gone):
            reasons = []
        elif s == 0:
            reasons = _missed(step, step.estimator, part)
        else:
            reasons = _dropped(step, part, ranks[s - 1, gone])
        for d, (kind, reason) in zip(gone.tolist(), reasons):
            found[d] = Fate(s, kind, reason)
        if isinstance(step, CascadeStep) and len(lost):
            for d in lost[step.skipped(relevant.take(lost))].tolist():
                found[d] = found[d]._replace(reason=f"{found[d].reason}, not scored within the budget")
    return found


def _fate_of(ranks, k):
    """Return the fate of a document, given its rank after each step; kind and reason are None if it was dropped."""
    last = ranks[-1]
    if np.isnan(last):
        return Fate(int(np.flatnonzero(~np.isnan(ranks)).max(initial=-1)) + 1)
    if last <= k:
        return Fate()
    among = np.flatnonzero((ranks >= 1) & (ranks <= k))
    if not len(among):
        return Fate(len(ranks) - 1, "ranked low", f"rank {last:.0f}, never among the first {k}")
    step = int(among[-1]) + 1
    return Fate(step, "demoted", f"from rank {ranks[step - 1]:.0f} to {ranks[step]:.0f}")


# --- documents that a retriever does not find


def _missed(step, retriever, relevant):
    """Return kind and reason for each document that a retriever did not find."""
    if isinstance(retriever, RetrieverUnion):
        names = [name for name, _ in retriever.retrievers_]
        parts = [_missed_within(step, part, relevant) for _, part in retriever.retrievers_]
        return [_joined(names, reasons) for reasons in zip(*parts)]
    corpus = getattr(retriever, "corpus_", None)
    if not isinstance(corpus, Corpus):
        return [("not found", "not found")] * len(relevant)
    ranks, allowed = _search_all(step, retriever, relevant)
    k = getattr(retriever, "k", None)
    otherwise = getattr(retriever, "_loss", "not found")
    reasons = []
    for rank, rows, passes in zip(ranks.tolist(), _rows(corpus, relevant.docids), allowed.tolist()):
        if not len(rows):
            reasons.append(("not in the corpus", "not in the corpus"))
        elif not passes:
            reasons.append(("filtered", "filtered"))
        elif k is None or np.isnan(rank):
            reasons.append((otherwise, otherwise))
        else:
            reasons.append(("beyond k", f"rank {rank:.0f}, beyond k={k}"))
    return reasons


def _missed_within(step, retriever, relevant):
    """Return kind and reason for each document that a retriever of a union did not find. It may be a pipeline."""
    inside = [estimator for _, estimator in named_steps(retriever)]
    if len(inside) == 1:
        return _missed(step, inside[0], relevant)
    steps = follow(retriever, step.before)
    found = fates(steps, relevant, np.stack([part.ranks(relevant) for part in steps]), np.inf)
    # A step with a time budget, or one that calls a service, may now find documents that it missed before.
    return [(fate.kind or "left out", fate.reason or "left out") for fate in found]


def _joined(names, reasons):
    """Join the reasons of the retrievers of a union. The kind is the one that is easiest to avoid."""
    kinds = [kind for kind, _ in reasons]
    kind = next((kind for kind in ("beyond k", "filtered") if kind in kinds), kinds[0])
    if len({reason for _, reason in reasons}) == 1:
        return reasons[0]
    return kind, "; ".join(f"{name}: {reason}" for name, (_, reason) in zip(names, reasons))


def _search_all(step, retriever, relevant):
    """Search without `k`: return the rank of each document, NaN if it is not found, and whether a filter allows it."""
    corpus = retriever.corpus_
    whole = copy(retriever)
    if hasattr(retriever, "k"):
        whole.k = len(corpus)
    ranks, allowed = np.full(len(relevant), np.nan), np.ones(len(relevant), dtype=bool)
    queries = np.unique(relevant.query)
    size = max(_CELLS // len(corpus), 1)
    for block in (queries[i : i + size] for i in range(0, len(queries), size)):
        chosen = np.flatnonzero(np.isin(relevant.query, block))
        part = relevant.take(chosen, block)
        run = whole.transform(_take_queries(step.before, block))
        ranks[chosen] = step.ranks(part, run)
        allowed[chosen] = _allowed(retriever, run.queries, part)
    return ranks, allowed


def _take_queries(X, positions):
    """Return the queries at some positions of any input."""
    if isinstance(X, list):
        return [X[i] for i in positions.tolist()]
    if isinstance(X, dict) or not hasattr(X, "shape"):
        return Queries.of(X)[positions]
    if hasattr(X, "iloc"):
        return X.iloc[positions]
    return X[positions]


def _allowed(retriever, queries, relevant):
    """Whether the filter of a retriever lets each document pass."""
    filter = None
    if hasattr(retriever, "filter_of"):
        filter = retriever.filter_of(queries)
    if filter is None:
        return np.ones(len(relevant), dtype=bool)
    masks = filter_masks(filter, len(queries), retriever.corpus_)
    rows = _rows(retriever.corpus_, relevant.docids)
    return np.array([masks[query, own].any() for query, own in zip(relevant.query, rows)], dtype=bool)


def _rows(corpus, docids):
    """Return the rows of each document: one, none, or those of its passages."""
    rows = corpus.rows(docids, unknown="ignore")
    if corpus.parent is None or (rows >= 0).any():
        return [rows[i : i + 1][rows[i : i + 1] >= 0] for i in range(len(rows))]
    parents = np.array(corpus["parent_id"].tolist(), dtype=object)
    return [np.flatnonzero(parents == docid) for docid in docids]


# --- documents that a later step drops


def _dropped(step, relevant, before):
    """Return kind and reason for each document that a fuser or a reranker dropped, given its rank in the input."""
    after = np.full(len(relevant), np.nan)
    if step.k is not None:
        after = step.ranks(relevant, step.without_k())
    return [_reason(step, *ranks) for ranks in zip(before.tolist(), after.tolist())]


def _reason(step, rank, rank_after):
    if not np.isnan(rank_after):
        if 1 <= rank <= step.k:
            return "demoted", f"from rank {rank:.0f} to {rank_after:.0f}, beyond k={step.k}"
        return "beyond k", f"rank {rank_after:.0f}, beyond k={step.k}"
    if step.depth is not None and rank > step.depth:
        return "below depth", f"rank {rank:.0f}, below depth={step.depth}"
    if isinstance(step.estimator, Cutoff):
        return "left out", f"rank {rank:.0f}, beyond the cutoff"
    return "left out", "left out"
