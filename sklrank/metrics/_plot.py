"""Plots of comparisons, in the style of scikit-learn's displays."""

import numpy as np

from sklrank._optional import optional_import
from sklrank.metrics._compare import compare
from sklrank.metrics._significance import round_off


class ComparisonDisplay:
    """Plot mean differences between runs with their confidence intervals.

    Parameters
    ----------
    labels : list of str
        Names of the pairs of runs.
    differences : ndarray of shape (n_pairs,)
        Mean differences.
    intervals : ndarray of shape (n_pairs, 2)
        Confidence intervals of the differences.
    significant : ndarray of bool, shape (n_pairs,)
        Whether each difference is significant after the correction.
    metric : str
        Name of the metric.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that holds the axes.

    See Also
    --------
    compare : Compare runs; returns the data of the plot.
    PerQueryDisplay : Plot the differences query by query.

    Examples
    --------
    >>> from sklrank.metrics import ComparisonDisplay, compare
    >>> qrels = {f"q{i}": {"a": 1} for i in range(8)}
    >>> good = {f"q{i}": {"a": 2.0, "b": 1.0} for i in range(8)}
    >>> bad = {f"q{i}": {"a": 1.0, "b": i % 4} for i in range(8)}
    >>> display = ComparisonDisplay.from_comparison(compare(qrels, {"good": good, "bad": bad}, "mrr"))
    >>> display.labels
    ['bad - good']
    """

    def __init__(self, *, labels, differences, intervals, significant, metric):
        self.labels = labels
        self.differences = differences
        self.intervals = intervals
        self.significant = significant
        self.metric = metric

    @classmethod
    def from_comparison(cls, comparison, *, metric=None, ax=None, **kwargs):
        """Plot the differences of one metric.

        Parameters
        ----------
        comparison : Comparison
            Result of `compare`.
        metric : str, default=None
            Name of the metric. If None, it is the first one.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's ``errorbar``.

        Returns
        -------
        ComparisonDisplay
        """
        metric = _metric_of(comparison, metric)
        tests = [test for test in comparison.tests if test["metric"] == metric]
        if not tests:
            raise ValueError("a comparison of one run has no differences to plot")
        display = cls(
            labels=[f"{test['run']} - {test['baseline']}" for test in tests],
            differences=np.array([test["difference"] for test in tests]),
            intervals=np.array([[test["low"], test["high"]] for test in tests]),
            significant=np.array([test["significant"] for test in tests]),
            metric=metric,
        )
        return display.plot(ax=ax, **kwargs)

    @classmethod
    def from_runs(cls, qrels, runs, metric, *, ax=None, test="paired_t", correction="holm", baseline=None, **kwargs):
        """Compare runs and plot the differences.

        Parameters
        ----------
        qrels : Qrels, or data that `Qrels` takes
            Relevance judgments.
        runs : dict of str to Run, or list of Run
            The runs.
        metric : str
            Name of the metric.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new axes are made.
        test : str, default="paired_t"
            See `compare`.
        correction : str or None, default="holm"
            See `compare`.
        baseline : str, default=None
            See `compare`.
        **kwargs : dict
            Passed to matplotlib's ``errorbar``.

        Returns
        -------
        ComparisonDisplay
        """
        comparison = compare(qrels, runs, metric, test=test, correction=correction, baseline=baseline)
        return cls.from_comparison(comparison, ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw the plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's ``errorbar``.

        Returns
        -------
        ComparisonDisplay
        """
        ax = _axes(ax)
        positions = np.arange(len(self.labels))[::-1]
        for chosen, face, label in (
            (self.significant, "C0", "significant"),
            (~self.significant, "white", "not significant"),
        ):
            if chosen.any():
                middle = self.differences[chosen]
                reach = np.abs(self.intervals[chosen] - middle[:, None]).T
                style = {"fmt": "o", "color": "C0", "capsize": 3, "markerfacecolor": face, "label": label}
                ax.errorbar(middle, positions[chosen], xerr=reach, **{**style, **kwargs})
        ax.axvline(0, color="0.5", linewidth=1, linestyle="--")
        ax.set(
            yticks=positions,
            yticklabels=[_literal(label) for label in self.labels],
            xlabel=_literal(f"difference in {self.metric}"),
        )
        ax.set_ylim(-0.5, len(self.labels) - 0.5)
        ax.legend(loc="best")
        self.ax_, self.figure_ = ax, ax.figure
        return self


class PerQueryDisplay:
    """Plot the differences between two runs query by query, the largest first.

    Parameters
    ----------
    differences : ndarray of shape (n_queries,)
        Value of the run minus that of the baseline.
    qids : ndarray of object, shape (n_queries,)
        Ids of the queries.
    metric : str
        Name of the metric.
    run, baseline : str
        Names of the runs.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that holds the axes.

    See Also
    --------
    ComparisonDisplay : Plot the mean differences of all pairs of runs.

    Examples
    --------
    >>> from sklrank.metrics import PerQueryDisplay
    >>> qrels = {"q1": {"a": 1}, "q2": {"b": 1}}
    >>> old, new = {"q1": ["a", "b"], "q2": ["a", "b"]}, {"q1": ["a", "b"], "q2": ["b", "a"]}
    >>> display = PerQueryDisplay.from_runs(qrels, {"old": old, "new": new}, "mrr")
    >>> display.differences, display.qids
    (array([0.5, 0. ]), array(['q2', 'q1'], dtype=object))
    """

    def __init__(self, *, differences, qids, metric, run, baseline):
        self.differences = differences
        self.qids = qids
        self.metric = metric
        self.run = run
        self.baseline = baseline

    @classmethod
    def from_comparison(cls, comparison, *, metric=None, run=None, baseline=None, ax=None, **kwargs):
        """Plot the differences between two runs of a comparison.

        Parameters
        ----------
        comparison : Comparison
            Result of `compare`.
        metric : str, default=None
            Name of the metric. If None, it is the first one.
        run, baseline : str, default=None
            Names of the runs. If `baseline` is None, it is the baseline of the comparison or its first run. If `run`
            is None, it is the next run.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's ``bar``.

        Returns
        -------
        PerQueryDisplay
        """
        metric = _metric_of(comparison, metric)
        names = comparison.names
        baseline = baseline or comparison.settings["baseline"] or names[0]
        run = run or next((name for name in names if name != baseline), None)
        for name in (run, baseline):
            if name not in names:
                raise ValueError(f"there is no run {name!r}; there are {', '.join(map(repr, names))}")
        values = comparison.values[metric]
        differences = round_off(values[names.index(run)] - values[names.index(baseline)], values)
        order = np.argsort(-differences, kind="stable")
        display = cls(
            differences=differences[order],
            qids=comparison.qids[metric][order],
            metric=metric,
            run=run,
            baseline=baseline,
        )
        return display.plot(ax=ax, **kwargs)

    @classmethod
    def from_runs(cls, qrels, runs, metric, *, ax=None, **kwargs):
        """Evaluate two runs and plot their differences.

        Parameters
        ----------
        qrels : Qrels, or data that `Qrels` takes
            Relevance judgments.
        runs : dict of str to Run, or list of Run
            The baseline and the run, in this order.
        metric : str
            Name of the metric.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's ``bar``.

        Returns
        -------
        PerQueryDisplay
        """
        return cls.from_comparison(compare(qrels, runs, metric), ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw the plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's ``bar``.

        Returns
        -------
        PerQueryDisplay
        """
        ax = _axes(ax)
        positions = np.arange(len(self.differences))
        color = np.where(self.differences >= 0, "C0", "C3")
        ax.bar(positions, self.differences, **{"color": color, "width": 1.0, **kwargs})
        ax.axhline(0, color="0.5", linewidth=1)
        if len(positions) <= 30:
            ax.set_xticks(positions, [_literal(qid) for qid in self.qids], rotation=90)
        ax.set(xlabel="query", ylabel=_literal(f"{self.metric}: {self.run} - {self.baseline}"))
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _literal(text):
    """Return a label in which matplotlib finds no mathematics."""
    return text.replace("$", r"\$")


def _axes(ax):
    pyplot = optional_import("matplotlib.pyplot", extra="plot")
    if ax is None:
        _, ax = pyplot.subplots()
    return ax


def _metric_of(comparison, metric):
    if metric is None:
        return comparison.metrics[0]
    if metric not in comparison.metrics:
        raise ValueError(f"the comparison has no {metric!r}; it has {', '.join(comparison.metrics)}")
    return metric
