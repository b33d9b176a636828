"""Statistics of a diagnosis: the agreement of the lists of several systems, and their quality."""

import numpy as np

from sklrank._kernels._fusion_learned import agree
from sklrank._ragged import owners, places
from sklrank.data import Qrels
from sklrank.fusers._weights import judge
from sklrank.metrics import metric_from_name
from sklrank.metrics._significance import paired_t


class Systems:
    """Lists of several systems.

    Parameters
    ----------
    union : Run
        Candidates with a score column for each system.
    k : int
        Number of documents of each list to compare.
    """

    def __init__(self, union, k):
        self.union = union
        self.k = k
        self.names = list(union.columns)
        self.queries = owners(union.indptr)
        self.ranks = np.array([np.nan_to_num(union.column_ranks(name)) for name in self.names]).astype(np.int64)
        self.found = self.ranks > 0
        self.top = self.found & (self.ranks <= k)

    def runs(self):
        """Return the list of each system, as a run."""
        return [self.union.reorder(np.where(ranks > 0, -ranks, np.nan)) for ranks in self.ranks]

    def combinations(self, found):
        """Count the documents that each combination of systems found, single systems first.

        A document counts for one combination only: that of all systems that found it.

        Parameters
        ----------
        found : ndarray of bool, shape (n_systems, n_documents)
            Whether a system found a document.

        Returns
        -------
        dict of tuple of str to int
        """
        codes, counts = np.unique((1 << np.arange(len(self.names))) @ found, return_counts=True)
        members = [tuple(name for i, name in enumerate(self.names) if code >> i & 1) for code in codes.tolist()]
        return dict(sorted(zip(members, counts.tolist()), key=lambda entry: len(entry[0])))

    def shares(self, fused):
        """Compute the share of each system in the first k documents of the fused lists.

        Parameters
        ----------
        fused : Run
            Fused candidates.

        Returns
        -------
        list of float
        """
        # The fused list has the candidates of the union in another order; they are matched by query and row.
        width = int(self.union.rows.max(initial=0)) + 1
        keys = self.queries * width + self.union.rows
        wanted = (owners(fused.indptr) * width + fused.rows)[places(fused.indptr) < self.k]
        order = np.argsort(keys, kind="stable")
        entries = order[np.searchsorted(keys[order], wanted)]
        top, found = self.top[:, entries], self.found[:, entries]
        credit = np.where(top.any(axis=0), top, found)
        credit = credit / np.maximum(credit.sum(axis=0), 1)
        return (credit.sum(axis=1) / max(credit.sum(), 1e-300)).tolist()

    def agreement(self, a, b, p):
        """Measure how much two systems agree: a row of `Diagnosis.pairs`.

        Parameters
        ----------
        a, b : int
            Positions of the systems.
        p : float
            Persistence of rank-biased overlap.

        Returns
        -------
        dict
        """
        n_queries = len(self.union)
        common = np.empty(n_queries, dtype=np.int64)
        overlap, kendall, rbo = np.empty((3, n_queries))
        deepest = int(self.ranks[[a, b]].max(initial=0))
        entered = np.zeros(deepest + 1, dtype=np.int64)
        agree(self.union.indptr, self.ranks[a], self.ranks[b], self.k, float(p), entered, common, overlap, kendall, rbo)
        return {
            "system": self.names[a],
            "other": self.names[b],
            "overlap": _mean(overlap),
            "common": float(common.mean()),
            "kendall": _mean(kendall),
            "rbo": _mean(rbo),
        }


def _mean(values):
    """Return the mean of the values that are not NaN, or NaN if there are none."""
    values = values[~np.isnan(values)]
    if not len(values):
        return np.nan
    return float(np.mean(values))


def measure(systems, fused, qrels, metric):
    """Measure the quality of systems and of their fusion.

    Parameters
    ----------
    systems : Systems
        Lists of the systems.
    fused : Run
        Fused candidates.
    qrels : Qrels or whatever they are made from
        Relevance judgments.
    metric : str or Metric
        Metric to compute.

    Returns
    -------
    rows : list of dict
        ``value``, ``recall`` and ``unique`` of each system.
    summary : dict
        Statistics of `Diagnosis.summary` that need judgments.
    found_by : dict of tuple of str to int
        Number of relevant documents that each combination of systems found. The empty tuple counts those that no system
        found.
    """
    union = systems.union
    if not isinstance(qrels, Qrels):
        qrels = Qrels(qrels)
    qrels = qrels.align(union.queries)
    metric = metric_from_name(metric)
    if metric.how != "mean":
        raise ValueError(f"expected a metric that is a mean over queries, got {metric.name!r}")
    judged = judge(union, qrels)
    entries = np.repeat(union.indptr[:-1], np.diff(judged.hit_indptr)) + judged.hit_positions
    grades = np.zeros(len(union.rows))
    grades[entries] = judged.hit_grades

    runs = [*systems.runs(), fused, union.reorder(grades)]
    values = np.array([metric(qrels, run, average=None) for run in runs])
    values = values[:, ~np.isnan(values[-2])]
    if not values.size:
        raise ValueError("no query of the runs has judgments, so there is nothing to measure")

    level = metric.params.get("relevance_level", 1)
    n_relevant = judged.n_relevant(level)
    relevant = entries[judged.hit_grades >= level]
    found = systems.found[:, relevant]
    alone = found.sum(axis=0) == 1
    rows = [
        {
            "value": float(value),
            "recall": _recall(systems.queries[relevant[is_found]], n_relevant),
            "unique": int(np.count_nonzero(is_found & alone)),
        }
        for value, is_found in zip(values.mean(axis=1), found)
    ]
    found_by = systems.combinations(found)
    found_by[()] = int(n_relevant.sum() - len(relevant))
    return rows, {"metric": metric.name, **_compare(systems.names, *np.split(values, [-2, -1]))}, found_by


def _recall(queries, n_relevant):
    """Return the mean recall, given the query of each relevant document that was found."""
    hits = np.bincount(queries, minlength=len(n_relevant))[n_relevant > 0]
    if not len(hits):
        return 0.0
    return float(np.mean(hits / n_relevant[n_relevant > 0]))


def _compare(names, of_systems, of_fused, of_best_order):
    """Compare the fused list with the best system, given values of shape (n_systems, n_queries) and (1, n_queries)."""
    best = int(np.argmax(of_systems.mean(axis=1)))
    difference = of_fused - of_systems[best]
    low, high = -np.inf, np.inf
    if difference.size > 1:
        _, intervals = paired_t(difference, 0.95)
        low, high = map(float, intervals[0])
    return {
        "n_queries": difference.size,
        "fused": float(of_fused.mean()),
        "best": names[best],
        "difference": float(difference.mean()),
        "low": low,
        "high": high,
        "oracle_choice": float(of_systems.max(axis=0).mean()),
        "oracle_order": float(of_best_order.mean()),
    }
