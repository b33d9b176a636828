"""What several runs have in common, and whether fusing them is likely to help."""

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
        By which systems exactly documents were found, and how many: the relevant ones if there are judgments
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
        least = min((pair["rbo"] for pair in self.pairs if not np.isnan(pair["rbo"])), default=0.0)
        alike = f"the lists are nearly the same (rank-biased overlap at least {least:.2f})"
        if not self.judged:
            if least >= _ALIKE:
                return f"Fusing is unlikely to change much: {alike}."
            return "The lists differ, so that fusing helps if the systems are about equally good; judgments would tell."
        interval = f" [{s['low']:+.4f}, {s['high']:+.4f}]" if np.isfinite(s["low"]) else ""
        figures = f"{s['difference']:+.4f}{interval} against {s['best']} alone"
        if s["low"] > 0:
            return f"Fusing helps: {figures}."
        if s["high"] < 0:
            return f"Fusing hurts: {figures}. Weights may mend it."
        reason = f"; {alike}" if least >= _ALIKE else ""
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
            Of pandas if it is installed, else of polars.
        """
        tables = {"systems": (self.systems, _SYSTEM), "pairs": (self.pairs, _PAIR)}
        if what not in tables:
            raise ValueError(f"what={what!r}; it is 'systems' or 'pairs'")
        rows, names = tables[what]
        names = [name for name in names if not rows or name in rows[0]]
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
        n = self.summary["n_queries"]
        queries = "1 query" if n == 1 else f"{n} queries"
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
        The fuser, fitted if it learns; ``None``: `~sklrank.fusers.ReciprocalRankFuser`.

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
    in equal parts; if none has, to those that found it. The shares sum to 1.

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
    if not union.columns:
        raise ValueError("the run has no score columns: give the runs as {name: run}, or candidates of a union")
    if len(union) == 0:
        raise ValueError("there are no queries to look at")
    fuser = ReciprocalRankFuser() if fuser is None else fuser
    fused = fuser.transform(union)
    systems = Systems(union, int(k))
    lengths = systems.found.sum(axis=1) / len(union)
    rows = [{"system": name, "length": float(length)} for name, length in zip(systems.names, lengths)]
    summary = {"n_queries": len(union), "k": k, "fuser": " ".join(repr(fuser).split())}
    if qrels is None:
        found_by = systems.combinations(systems.top[:, systems.top.any(axis=0)])
    else:
        measured, figures, found_by = measure(systems, fused, qrels, metric)
        rows = [{**row, **more} for row, more in zip(rows, measured)]
        summary.update(figures)
    rows = [{**row, "share": share} for row, share in zip(rows, systems.shares(fused))]
    pairs = [systems.agreement(a, b, p) for a, b in combinations(range(len(rows)), 2)]
    return Diagnosis(rows, pairs, found_by, summary)
