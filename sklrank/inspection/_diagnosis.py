"""Agreement of several runs, and whether fusing them is likely to help."""

from itertools import combinations
from numbers import Integral, Real

import numpy as np

from sklrank._optional import optional_import
from sklrank._validation import Interval, validate_params
from sklrank.data import Run
from sklrank.data._display import printable, table_lines
from sklrank.data._frames import frame_like
from sklrank.fusers import ReciprocalRankFuser
from sklrank.inspection._agreement import Systems, measure

_ALIKE = 0.9  # mean rank-biased overlap from which lists count as nearly the same
_SYSTEM = ("system", "length", "value", "recall", "unique", "share")
_PAIR = ("system", "other", "overlap", "common", "kendall", "rbo")


class Diagnosis:
    """Agreement of several systems, contribution of each of them, and effect of fusing them, from `diagnose`.

    It prints as text.

    Parameters
    ----------
    systems : list of dict
        One for each system: ``system``, mean ``length`` of its lists, and its ``share`` of the fused top k. With
        judgments also the ``value`` of the metric, ``recall`` of its whole lists, and ``unique``, the number of
        relevant documents that no other system found.
    pairs : list of dict
        One for each pair of systems, with means over queries: ``overlap`` (Jaccard coefficient of the first k),
        ``common`` (number of documents that both found), ``kendall`` (tau of these documents) and ``rbo`` (rank-biased
        overlap).
    found_by : dict of tuple of str to int
        Number of documents that each combination of systems found. With judgments, relevant documents are counted, and
        the empty tuple stands for those that no system found. Without, documents among the first k of any list are
        counted.
    summary : dict
        Further statistics: ``n_queries``, ``k`` and ``fuser``. With judgments also ``metric``, ``fused``, ``best`` (the
        best single system), ``difference`` (of fused and best), ``low`` and ``high`` (its 95 % interval),
        ``oracle_choice`` (the metric with the best system of each query) and ``oracle_order`` (the metric with all
        candidates in the best order).

    Attributes
    ----------
    verdict : str
        Sentence that says whether fusing is likely to help.

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.inspection import diagnose
    >>> bm25, dense = Run({"q": ["a", "b", "c"]}), Run({"q": ["d", "b"]})
    >>> print(diagnose({"bm25": bm25, "dense": dense}, {"q": {"b": 1, "d": 1, "e": 1}}, metric="ap"))
    system                       length  ap      recall  unique  share of fused top 10
    bm25                         3.0     0.1667  0.3333  0       0.62
    dense                        2.0     0.6667  0.6667  1       0.38
    fused                                0.5556
    (best system of each query)          0.6667
    (best order of each query)           0.6667
    <BLANKLINE>
    pair         overlap@10  common  Kendall  RBO
    bm25, dense  0.25        1.0     nan      0.45
    <BLANKLINE>
    1 query, fused by ReciprocalRankFuser(). Fusing is not shown to help or to hurt: -0.1111 against dense alone.
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
        """Sentence that says whether fusing is likely to help."""
        s = self.summary
        least = min((pair["rbo"] for pair in self.pairs if not np.isnan(pair["rbo"])), default=0.0)
        alike = f"the lists are nearly the same (rank-biased overlap at least {least:.2f})"
        if not self.judged:
            if least >= _ALIKE:
                return f"Fusing is unlikely to change much: {alike}."
            return "The lists differ, so that fusing helps if the systems are about equally good; judgments would tell."
        effect = f"{s['difference']:+.4f}"
        if np.isfinite(s["low"]):
            effect += f" [{s['low']:+.4f}, {s['high']:+.4f}]"
        effect += f" against {s['best']} alone"
        if s["low"] > 0:
            return f"Fusing helps: {effect}."
        if s["high"] < 0:
            return f"Fusing hurts: {effect}. Weights may help."
        if least >= _ALIKE:
            effect += f"; {alike}"
        return f"Fusing is not shown to help or to hurt: {effect}."

    def to_frame(self, what="systems"):
        """Make a frame of the systems, or of the pairs of systems.

        Parameters
        ----------
        what : {"systems", "pairs"}, default="systems"
            Whether the frame has one row for each system, or one row for each pair.

        Returns
        -------
        DataFrame
            A frame of pandas if it is installed, otherwise of polars.
        """
        tables = {"systems": (self.systems, _SYSTEM), "pairs": (self.pairs, _PAIR)}
        if what not in tables:
            raise ValueError(f"expected what to be 'systems' or 'pairs', got {what!r}")
        rows, names = tables[what]
        names = [name for name in names if not rows or name in rows[0]]
        return frame_like({name: [row[name] for row in rows] for name in names})

    def plot(self, ax=None, **kwargs):
        """Plot the number of documents that each combination of systems found; see `DiagnosisDisplay`.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones are made.
        **kwargs : dict
            Further arguments of matplotlib's ``barh``.

        Returns
        -------
        DiagnosisDisplay
        """
        return DiagnosisDisplay.from_diagnosis(self, ax=ax, **kwargs)

    def __str__(self):
        n = self.summary["n_queries"]
        queries = f"{n} queries"
        if n == 1:
            queries = "1 query"
        lines = [*table_lines(self._system_table()), ""]
        if self.pairs:
            lines += [*table_lines(self._pair_table()), ""]
        return "\n".join([*lines, printable(f"{queries}, fused by {self.summary['fuser']}. {self.verdict}")])

    def _system_table(self):
        s = self.summary
        share = f"share of fused top {s['k']}"
        if not self.judged:
            rows = [[row["system"], f"{row['length']:.1f}", f"{row['share']:.2f}"] for row in self.systems]
            return [["system", "length", share], *rows]
        rows = [
            [
                row["system"],
                f"{row['length']:.1f}",
                f"{row['value']:.4f}",
                f"{row['recall']:.4f}",
                str(row["unique"]),
                f"{row['share']:.2f}",
            ]
            for row in self.systems
        ]
        rows += [
            [title, "", f"{s[key]:.4f}", "", "", ""]
            for title, key in (
                ("fused", "fused"),
                ("(best system of each query)", "oracle_choice"),
                ("(best order of each query)", "oracle_order"),
            )
        ]
        return [["system", "length", s["metric"], "recall", "unique", share], *rows]

    def _pair_table(self):
        rows = [
            [
                f"{pair['system']}, {pair['other']}",
                f"{pair['overlap']:.2f}",
                f"{pair['common']:.1f}",
                f"{pair['kendall']:.2f}",
                f"{pair['rbo']:.2f}",
            ]
            for pair in self.pairs
        ]
        return [["pair", f"overlap@{self.summary['k']}", "common", "Kendall", "RBO"], *rows]

    __repr__ = __str__


class DiagnosisDisplay:
    """Plot of the number of documents that each combination of systems found.

    Parameters
    ----------
    combinations : list of tuple of str
        Combinations of systems. The empty tuple stands for no system.
    counts : ndarray of int, shape (n_combinations,)
        Number of documents that exactly these systems found.
    what : str
        Label of the counted documents.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    diagnose : Makes the diagnosis.

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.inspection import DiagnosisDisplay
    >>> bm25, dense = Run({"q": ["a", "b", "c"]}), Run({"q": ["d", "b"]})
    >>> qrels = {"q": {"b": 1, "d": 1, "e": 1}}
    >>> display = DiagnosisDisplay.from_runs({"bm25": bm25, "dense": dense}, qrels)
    >>> display.combinations, display.counts
    ([('dense',), ('bm25', 'dense'), ()], array([1, 1, 1]))
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
            Result of `diagnose`.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones are made.
        **kwargs : dict
            Further arguments of matplotlib's ``barh``.

        Returns
        -------
        DiagnosisDisplay
        """
        found = {names: count for names, count in diagnosis.found_by.items() if count}
        what = f"documents among the first {diagnosis.summary['k']}"
        if diagnosis.judged:
            what = "relevant documents"
        return cls(combinations=list(found), counts=np.array(list(found.values())), what=what).plot(ax=ax, **kwargs)

    @classmethod
    def from_runs(cls, runs, qrels=None, *, k=10, ax=None, **kwargs):
        """Diagnose runs, and plot the diagnosis.

        Parameters
        ----------
        runs : dict of str to Run, or Run
            Runs by name, or candidates with a score column for each system.
        qrels : Qrels or whatever they are made from, default=None
            Relevance judgments.
        k : int, default=10
            Number of documents of each list that are counted if there are no judgments.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones are made.
        **kwargs : dict
            Further arguments of matplotlib's ``barh``.

        Returns
        -------
        DiagnosisDisplay
        """
        return cls.from_diagnosis(diagnose(runs, qrels, k=k), ax=ax, **kwargs)

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
        DiagnosisDisplay
        """
        pyplot = optional_import("matplotlib.pyplot", extra="plot")
        if ax is None:
            _, ax = pyplot.subplots(layout="constrained")
        positions = np.arange(len(self.combinations))[::-1]
        colors = [_color(len(names)) for names in self.combinations]
        bars = ax.barh(positions, self.counts, **{"color": colors, **kwargs})
        ax.bar_label(bars, padding=3)
        labels = [_joined(names) for names in self.combinations]
        ax.set(yticks=positions, yticklabels=labels, xlabel=self.what, ylabel="found by")
        ax.margins(x=0.1)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _color(n_systems):
    if n_systems == 0:
        return "0.7"
    return f"C{n_systems - 1}"


def _joined(names):
    if not names:
        return "none"
    if len(names) == 1:
        return f"{names[0]} alone"
    return " + ".join(names)


@validate_params(
    {
        "runs": [dict, Run],
        "k": [Interval(Integral, 1, None, closed="left")],
        "p": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def diagnose(runs, qrels=None, *, metric="ndcg@10", k=10, p=0.9, fuser=None):
    """Diagnose runs before fusing: their agreement, the contribution of each, and whether fusing is likely to help.

    Parameters
    ----------
    runs : dict of str to Run, or Run
        Runs by name, or candidates with a score column for each system.
    qrels : Qrels or whatever they are made from, default=None
        Relevance judgments. Without them, only the agreement of the lists is measured.
    metric : str or Metric, default="ndcg@10"
        Metric to compute.
    k : int, default=10
        Number of documents of each list for `overlap`, and of the fused list for the shares.
    p : float, default=0.9
        Persistence of rank-biased overlap. At 0.9, the first 10 ranks have 86 % of the weight.
    fuser : Fuser, default=None
        Fuser, fitted if it learns. If None, it is a `~sklrank.fusers.ReciprocalRankFuser`.

    Returns
    -------
    Diagnosis

    See Also
    --------
    DiagnosisDisplay : Plots the documents that each combination of systems found.
    explain : Explains the fused score of one document.

    Notes
    -----
    Shares are computed as follows. Each document of the fused top k is credited in equal parts to the systems that have
    it in their own top k. If there are none, it is credited to the systems that found it. The shares sum to 1.

    The interval of the difference is Student's interval of the differences per query. The best system is chosen on the
    same queries, which favours it a little.

    The best system of each query is an upper bound for choosing between the systems. The best order of all candidates
    is an upper bound for fusing and reranking.

    References
    ----------
    Webber, W., Moffat, A., & Zobel, J. (2010). A similarity measure for indefinite rankings. ACM Transactions on
    Information Systems, 28(4), 1-38.

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.inspection import diagnose
    >>> runs = {"bm25": Run({"q": ["a", "b", "c"]}), "dense": Run({"q": ["d", "b"]})}
    >>> diagnosis = diagnose(runs, {"q": {"b": 1, "d": 1, "e": 1}})
    >>> [system["unique"] for system in diagnosis.systems]
    [0, 1]
    >>> diagnosis.found_by
    {('dense',): 1, ('bm25', 'dense'): 1, (): 1}
    """
    union = runs
    if isinstance(runs, dict):
        union = Run.union(runs)
    if not union.columns:
        raise ValueError("the run has no score columns; give the runs as {name: run}, or candidates of a union")
    if len(union) == 0:
        raise ValueError("the runs have no queries, so there is nothing to diagnose")
    if fuser is None:
        fuser = ReciprocalRankFuser()
    fused = fuser.transform(union)
    systems = Systems(union, int(k))
    lengths = systems.found.sum(axis=1) / len(union)
    rows = [{"system": name, "length": float(length)} for name, length in zip(systems.names, lengths)]
    summary = {"n_queries": len(union), "k": k, "fuser": " ".join(repr(fuser).split())}
    if qrels is None:
        found_by = systems.combinations(systems.top[:, systems.top.any(axis=0)])
    else:
        measured, comparison, found_by = measure(systems, fused, qrels, metric)
        rows = [{**row, **more} for row, more in zip(rows, measured)]
        summary.update(comparison)
    rows = [{**row, "share": share} for row, share in zip(rows, systems.shares(fused))]
    pairs = [systems.agreement(a, b, p) for a, b in combinations(range(len(rows)), 2)]
    return Diagnosis(rows, pairs, found_by, summary)
