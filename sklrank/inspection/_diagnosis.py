"""What several runs have in common, and whether fusing them is likely to help."""

from itertools import combinations
from numbers import Integral, Real

import numpy as np

from sklrank._kernels._fusion_learned import agree
from sklrank._optional import optional_import
from sklrank._ragged import lengths_to_indptr, owners, places
from sklrank._validation import Interval, validate_params
from sklrank.data import Qrels, Run
from sklrank.data._frames import frame_like
from sklrank.fusers import ReciprocalRankFuser
from sklrank.fusers._weights import judge
from sklrank.metrics import metric_from_name
from sklrank.metrics._compare import _columns
from sklrank.metrics._significance import paired_t

_ALIKE = 0.9  # mean rank-biased overlap above which lists are as good as the same
_SYSTEM = ("system", "length", "value", "recall", "unique", "share")
_PAIR = ("system", "other", "overlap", "common", "kendall", "rbo")


class Diagnosis:
    """How several systems agree, what each finds alone, and what fusing them gives.

    `diagnose` makes it. It prints as text.

    Parameters
    ----------
    systems : list of dict
        One for each system: ``system``, mean ``length`` of its lists, its ``share`` of the fused top k; with judgments
        also the ``value`` of the metric, ``recall`` of its whole lists, and ``unique``, the number of relevant
        documents that no other system found.
    pairs : list of dict
        One for each pair of systems, means over queries: ``overlap`` (Jaccard coefficient of the first k), ``common``
        (number of documents that both found), ``kendall`` (tau of these), ``rbo`` (rank-biased overlap).
    found_by : dict of tuple of str to int
        By which systems exactly documents were found, and how many: the relevant ones where there are judgments
        (those of no system too), else those among the first k of any list.
    summary : dict
        Further figures: ``n_queries``, ``k`` and ``fuser``; with judgments also ``metric``, ``fused``, ``best`` (the
        system that is best on its own), ``difference`` (of fused and best), ``low`` and ``high`` (its 95 % interval),
        ``oracle_choice`` (the metric if each query had its best system) and ``oracle_order`` (if all candidates stood
        in the best order).

    Attributes
    ----------
    verdict : str
        Whether fusing is likely to help, in a sentence.

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.inspection import diagnose
    >>> one, other = Run({"q": ["a", "b", "c"]}), Run({"q": ["d", "b"]})
    >>> print(diagnose({"one": one, "other": other}, {"q": {"b": 1, "d": 1, "e": 1}}, metric="ap"))
    system                       length  ap      recall  unique  share of fused top 10
    one                          3.0     0.1667  0.3333  0       0.62
    other                        2.0     0.6667  0.6667  1       0.38
    fused                                0.5556
    (best system of each query)          0.6667
    (best order of each query)           0.6667
    <BLANKLINE>
    pair        overlap@10  common  Kendall  RBO
    one, other  0.25        1.0     nan      0.45
    <BLANKLINE>
    1 query, fused by ReciprocalRankFuser(). Fusing is not shown to help or to hurt: -0.1111 against other alone.
    """

    def __init__(self, systems, pairs, found_by, summary):
        self.systems = systems
        self.pairs = pairs
        self.found_by = found_by
        self.summary = summary

    @property
    def judged(self):
        """Whether there were judgments."""
        return "metric" in self.summary

    @property
    def verdict(self):
        """Whether fusing is likely to help, in a sentence."""
        s = self.summary
        rbos = [pair["rbo"] for pair in self.pairs if not np.isnan(pair["rbo"])]
        alike = f"the lists are nearly the same (rank-biased overlap at least {min(rbos):.2f})" if rbos else ""
        alike = alike if rbos and min(rbos) >= _ALIKE else ""
        if not self.judged:
            if alike:
                return f"Fusing is unlikely to change much: {alike}."
            return "The lists differ, so that fusing helps if the systems are about equally good; judgments would tell."
        interval = f" [{s['low']:+.4f}, {s['high']:+.4f}]" if np.isfinite(s["low"]) else ""
        figures = f"{s['difference']:+.4f}{interval} against {s['best']} alone"
        if s["low"] > 0:
            return f"Fusing helps: {figures}."
        if s["high"] < 0:
            return f"Fusing hurts: {figures}. Weights may mend it."
        reason = f"; {alike}" if alike else ""
        return f"Fusing is not shown to help or to hurt: {figures}{reason}."

    def to_frame(self, what="systems"):
        """The figures of the systems, or of the pairs of them.

        Parameters
        ----------
        what : {"systems", "pairs"}, default="systems"
            One row a system, or one row a pair.

        Returns
        -------
        DataFrame
            Of pandas where it is installed, else of polars.
        """
        if what not in ("systems", "pairs"):
            raise ValueError(f"what={what!r}; it is 'systems' or 'pairs'")
        rows = self.systems if what == "systems" else self.pairs
        names = [name for name in (_SYSTEM if what == "systems" else _PAIR) if not rows or name in rows[0]]
        return frame_like({name: [row[name] for row in rows] for name in names})

    def plot(self, ax=None, **kwargs):
        """Plot which systems find what; see `DiagnosisDisplay`.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; ``None`` makes new ones.
        **kwargs : dict
            Passed to matplotlib's ``barh``.

        Returns
        -------
        DiagnosisDisplay
        """
        return DiagnosisDisplay.from_diagnosis(self, ax=ax, **kwargs)

    def __str__(self):
        s = self.summary
        metric = [s["metric"], "recall", "unique"] if self.judged else []
        rows = [["system", "length", *metric, f"share of fused top {s['k']}"]]
        for one in self.systems:
            row = [one["system"], f"{one['length']:.1f}"]
            if self.judged:
                row += [f"{one['value']:.4f}", f"{one['recall']:.4f}", str(one["unique"])]
            rows.append([*row, f"{one['share']:.2f}"])
        if self.judged:
            for name, key in (("fused", "fused"), ("best system", "oracle_choice"), ("best order", "oracle_order")):
                rows.append([name if key == "fused" else f"({name} of each query)", "", f"{s[key]:.4f}", "", "", ""])
        parts = [_columns(rows)]
        if self.pairs:
            pairs = [["pair", f"overlap@{s['k']}", "common", "Kendall", "RBO"]]
            for pair in self.pairs:
                figures = (pair["overlap"], pair["kendall"], pair["rbo"])
                overlap, kendall, rbo = (f"{figure:.2f}" for figure in figures)
                pairs.append([f"{pair['system']}, {pair['other']}", overlap, f"{pair['common']:.1f}", kendall, rbo])
            parts.append(_columns(pairs))
        n = f"{s['n_queries']} {'query' if s['n_queries'] == 1 else 'queries'}"
        return "\n\n".join([*parts, f"{n}, fused by {s['fuser']}. {self.verdict}"])

    __repr__ = __str__


class DiagnosisDisplay:
    """Which systems find the relevant documents: by one alone, by some, by all, by none.

    Parameters
    ----------
    combinations : list of tuple of str
        Systems; the empty tuple stands for none.
    counts : ndarray of int, shape (n_combinations,)
        Number of documents that exactly these systems found.
    what : str
        What is counted.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    diagnose : Makes what is shown.

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.inspection import DiagnosisDisplay
    >>> one, other = Run({"q": ["a", "b", "c"]}), Run({"q": ["d", "b"]})
    >>> qrels = {"q": {"b": 1, "d": 1, "e": 1}}
    >>> display = DiagnosisDisplay.from_runs({"one": one, "other": other}, qrels)
    >>> display.combinations, display.counts
    ([('other',), ('one', 'other'), ()], array([1, 1, 1]))
    """

    def __init__(self, *, combinations, counts, what):
        self.combinations = combinations
        self.counts = counts
        self.what = what

    @classmethod
    def from_diagnosis(cls, diagnosis, *, ax=None, **kwargs):
        """Plot a diagnosis.

        Parameters
        ----------
        diagnosis : Diagnosis
            What `diagnose` returned.
        ax : matplotlib Axes, default=None
            Where to plot; ``None`` makes new ones.
        **kwargs : dict
            Passed to matplotlib's ``barh``.

        Returns
        -------
        DiagnosisDisplay
        """
        found = {names: count for names, count in diagnosis.found_by.items() if count}
        what = "relevant documents" if diagnosis.judged else f"documents among the first {diagnosis.summary['k']}"
        return cls(combinations=list(found), counts=np.array(list(found.values())), what=what).plot(ax=ax, **kwargs)

    @classmethod
    def from_runs(cls, runs, qrels=None, *, k=10, ax=None, **kwargs):
        """Diagnose runs and plot what comes of it.

        Parameters
        ----------
        runs : dict of str to Run, or Run
            The runs by name, or candidates with a score column for each system.
        qrels : Qrels or whatever they are made from, default=None
            Judgments.
        k : int, default=10
            Without judgments, the depth to which documents are counted.
        ax : matplotlib Axes, default=None
            Where to plot; ``None`` makes new ones.
        **kwargs : dict
            Passed to matplotlib's ``barh``.

        Returns
        -------
        DiagnosisDisplay
        """
        return cls.from_diagnosis(diagnose(runs, qrels, k=k), ax=ax, **kwargs)

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
        DiagnosisDisplay
        """
        pyplot = optional_import("matplotlib.pyplot", extra="plot")
        ax = pyplot.subplots(layout="constrained")[1] if ax is None else ax
        places = np.arange(len(self.combinations))[::-1]
        sizes = [len(names) for names in self.combinations]
        color = ["0.7" if size == 0 else f"C{size - 1}" for size in sizes]
        bars = ax.barh(places, self.counts, **{"color": color, **kwargs})
        ax.bar_label(bars, padding=3)
        labels = [_joined(names) for names in self.combinations]
        ax.set(yticks=places, yticklabels=labels, xlabel=self.what, ylabel="found by")
        ax.margins(x=0.1)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _joined(names):
    if not names:
        return "none"
    return " + ".join(names) if len(names) > 1 else f"{names[0]} alone"


@validate_params(
    {
        "runs": [dict, Run],
        "k": [Interval(Integral, 1, None, closed="left")],
        "p": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def diagnose(runs, qrels=None, *, metric="ndcg@10", k=10, p=0.9, fuser=None):
    """Look at runs before they are fused: how they agree, what each finds alone, and whether fusing helps.

    Parameters
    ----------
    runs : dict of str to Run, or Run
        The runs by name, or candidates with a score column for each system.
    qrels : Qrels or whatever they are made from, default=None
        Judgments. Without them, what is told is how the lists agree.
    metric : str or Metric, default="ndcg@10"
        What is measured.
    k : int, default=10
        Depth of `overlap` and of the fused list whose shares are told.
    p : float, default=0.9
        Persistence of rank-biased overlap: the first 10 ranks have 86 % of the weight at 0.9.
    fuser : Fuser, default=None
        How to fuse, fitted where it learns; ``None``: `~sklrank.fusers.ReciprocalRankFuser`.

    Returns
    -------
    Diagnosis

    See Also
    --------
    DiagnosisDisplay : Plots which systems find what.
    explain : One document.

    Notes
    -----
    The share of a system: each document of the fused top k is credited to the systems that have it in their own top k,
    in equal parts; where none has, to those that found it. The shares sum to 1.

    The interval of the difference is Student's, of the differences query by query. The system that is best is so on
    these queries, which favours it a little.

    A choice by query, the oracle, is an upper bound of what choosing between the systems could give; the best order of
    all candidates bounds whatever fusing or reranking can give.

    References
    ----------
    Webber, W., Moffat, A., & Zobel, J. (2010). A similarity measure for indefinite rankings. ACM Transactions on
    Information Systems, 28(4), 1-38.

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.inspection import diagnose
    >>> runs = {"one": Run({"q": ["a", "b", "c"]}), "other": Run({"q": ["d", "b"]})}
    >>> diagnosis = diagnose(runs, {"q": {"b": 1, "d": 1, "e": 1}})
    >>> [system["unique"] for system in diagnosis.systems]
    [0, 1]
    >>> diagnosis.found_by
    {('other',): 1, ('one', 'other'): 1, (): 1}
    """
    union = Run.union(runs) if isinstance(runs, dict) else runs
    names = list(union.columns)
    if not names:
        raise ValueError("the run has no score columns: give the runs as {name: run}, or candidates of a union")
    if len(union) == 0:
        raise ValueError("there are no queries to look at")
    queries = owners(union.indptr)
    ranks = np.array([np.nan_to_num(union.column_ranks(name)) for name in names]).astype(np.int64)
    fuser = ReciprocalRankFuser() if fuser is None else fuser
    fused, title = fuser.transform(union), " ".join(repr(fuser).split())
    found, top = ranks > 0, (ranks > 0) & (ranks <= k)

    systems = [{"system": name, "length": float(count)} for name, count in zip(names, found.sum(axis=1) / len(union))]
    summary = {"n_queries": len(union), "k": k, "fuser": title}
    if qrels is None:
        counted = top.any(axis=0)
        found_by = _count_combinations(names, top[:, counted])
    else:
        found_by = _measure(union, names, ranks, queries, fused, qrels, metric, systems, summary)
    for system, share in zip(systems, _shares(union, fused, found, top, k)):
        system["share"] = share
    pairs = [_pair(union.indptr, names, ranks, a, b, k, p) for a, b in combinations(range(len(names)), 2)]
    return Diagnosis(systems, pairs, found_by, summary)


def _measure(union, names, ranks, queries, fused, qrels, metric, systems, summary):
    """Fill in what takes judgments; by which systems relevant documents were found."""
    qrels = qrels if isinstance(qrels, Qrels) else Qrels(qrels)
    qrels = qrels.align(union.queries)
    metric = metric_from_name(metric)
    if metric.how != "mean":
        raise ValueError(f"{metric.name} is no mean over queries, and a mean is what systems are compared by")
    judged = judge(union, qrels)
    level = metric.params.get("relevance_level", 1)
    n_relevant = judged.n_relevant(level)
    entries = np.repeat(union.indptr[:-1], np.diff(judged.hit_indptr)) + judged.hit_positions
    relevant = np.zeros(len(queries), dtype=bool)
    relevant[entries] = judged.hit_grades >= level
    grades = np.zeros(len(queries))
    grades[entries] = judged.hit_grades

    def values(run):
        return metric(qrels, run, average=None)

    by_system = np.array([values(_list_of(union, queries, ranks[i])) for i in range(len(names))])
    of_fused, of_order = values(fused), values(union.reorder(grades))
    counted = ~np.isnan(of_fused)
    by_system, of_fused, of_order = by_system[:, counted], of_fused[counted], of_order[counted]
    if not counted.any():
        raise ValueError("no query of the runs has a judgment")
    found = ranks[:, relevant] > 0
    alone = found.sum(axis=0) == 1
    n_counted = np.maximum(n_relevant, 1)
    for i, system in enumerate(systems):
        hits = np.bincount(queries[relevant][found[i]], minlength=len(union))
        recall = (hits / n_counted)[n_relevant > 0]
        system["value"] = float(by_system[i].mean())
        system["recall"] = float(recall.mean()) if len(recall) else 0.0
        system["unique"] = int(np.count_nonzero(found[i] & alone))
    best = int(np.argmax(by_system.mean(axis=1)))
    difference = of_fused - by_system[best]
    low, high = _interval(difference)
    summary.update(
        n_queries=int(counted.sum()),
        metric=metric.name,
        fused=float(of_fused.mean()),
        best=names[best],
        difference=float(difference.mean()),
        low=low,
        high=high,
        oracle_choice=float(by_system.max(axis=0).mean()),
        oracle_order=float(of_order.mean()),
    )
    found_by = _count_combinations(names, found)
    found_by[()] = int(n_relevant.sum() - relevant.sum())
    return found_by


def _interval(differences):
    """95 % interval of their mean; without bounds where there is but one."""
    if len(differences) < 2:
        return -np.inf, np.inf
    _, intervals = paired_t(differences[None, :], 0.95)
    return tuple(map(float, intervals[0]))


def _list_of(union, queries, ranks):
    """The list of one system, from the ranks of the candidates."""
    entries = np.flatnonzero(ranks > 0)
    entries = entries[np.lexsort((ranks[entries], queries[entries]))]
    indptr = lengths_to_indptr(np.bincount(queries[entries], minlength=len(union)))
    scores = -ranks[entries].astype(np.float64)
    return Run.from_ragged(indptr, union.rows[entries], scores, queries=union.queries, corpus=union.documents)


def _count_combinations(names, found):
    """By which systems exactly documents were found, and how many; single systems first."""
    codes, counts = np.unique((1 << np.arange(len(names))) @ found, return_counts=True)
    members = [tuple(name for i, name in enumerate(names) if code >> i & 1) for code in codes.tolist()]
    return dict(sorted(zip(members, counts.tolist()), key=lambda entry: len(entry[0])))


def _shares(union, fused, found, top, k):
    """Share of each system in the first k of the fused lists."""
    first = places(fused.indptr) < k
    # The fused list has the candidates of the union in another order; the two meet by query and row.
    width = int(union.rows.max(initial=0)) + 1
    keys = owners(union.indptr) * width + union.rows
    wanted = (owners(fused.indptr) * width + fused.rows)[first]
    order = np.argsort(keys, kind="stable")
    entries = order[np.searchsorted(keys[order], wanted)]
    credit = np.where(top[:, entries].any(axis=0), top[:, entries], found[:, entries])
    credit = credit / np.maximum(credit.sum(axis=0), 1)
    return (credit.sum(axis=1) / max(credit.sum(), 1e-300)).tolist()


def _pair(indptr, names, ranks, a, b, k, p):
    n_queries = len(indptr) - 1
    common = np.empty(n_queries, dtype=np.int64)
    overlap, kendall, rbo = np.empty((3, n_queries))
    entered = np.zeros(int(max(ranks[a].max(initial=0), ranks[b].max(initial=0))) + 1, dtype=np.int64)
    agree(indptr, ranks[a], ranks[b], int(k), float(p), entered, common, overlap, kendall, rbo)
    means = (float(np.mean(v[~np.isnan(v)])) if (~np.isnan(v)).any() else np.nan for v in (overlap, kendall, rbo))
    overlap, kendall, rbo = means
    return {
        "system": names[a], "other": names[b], "overlap": overlap, "common": float(common.mean()), "kendall": kendall,
        "rbo": rbo,
    }  # fmt: skip
