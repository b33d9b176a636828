"""Runs that were measured on the same queries, and the tests of their differences."""

from sklrank.data._display import table_lines
from sklrank.data._frames import frame_like
from sklrank.metrics._significance import SAME, paired_t
from sklrank.metrics._tables import escape_latex, escape_markdown, latex_comment, latex_table, markdown_table

_COLUMNS = (
    "metric", "run", "baseline", "difference", "low", "high", "p", "p_adjusted", "significant", "effect_size", "wins",
    "ties", "losses", "detectable",
)  # fmt: skip


class Comparison:
    """Hold the values of several runs on the same queries, and the tests of their differences.

    `compare` returns it. ``print`` shows it as two tables.

    Parameters
    ----------
    names : list of str
        The runs.
    values : dict of str to ndarray of shape (n_runs, n_queries)
        Value of each run for each query that counts, per metric.
    qids : dict of str to ndarray of object, shape (n_queries,)
        Queries that count, per metric.
    tests : list of dict
        One dict for each metric and pair of runs; see `to_frame`.
    settings : dict
        Arguments of `compare`: ``test``, ``correction``, ``confidence`` and ``baseline``.

    Attributes
    ----------
    means : dict of str to dict of str to float
        Mean of each run, per metric.

    Examples
    --------
    >>> from sklrank.metrics import compare
    >>> qrels = {f"q{i}": {"a": 1} for i in range(8)}
    >>> good = {f"q{i}": {"a": 2.0, "b": 1.0} for i in range(8)}
    >>> bad = {f"q{i}": {"a": 1.0, "b": i % 4} for i in range(8)}
    >>> comparison = compare(qrels, {"good": good, "bad": bad}, ["mrr"], baseline="bad")
    >>> comparison.means
    {'mrr': {'good': 1.0, 'bad': 0.625}}
    """

    def __init__(self, names, values, qids, tests, settings):
        self.names = names
        self.values = values
        self.qids = qids
        self.tests = tests
        self.settings = settings
        self.means = {metric: dict(zip(names, map(float, matrix.mean(axis=1)))) for metric, matrix in values.items()}

    @property
    def metrics(self):
        """Names of the metrics.

        Returns
        -------
        list of str
        """
        return list(self.values)

    def intervals(self, metric):
        """Return Student's confidence interval of the mean of each run.

        Parameters
        ----------
        metric : str

        Returns
        -------
        dict of str to tuple of float
        """
        _, intervals = paired_t(self.values[metric], self.settings["confidence"])
        return {name: tuple(map(float, interval)) for name, interval in zip(self.names, intervals)}

    def to_frame(self):
        """Return a table with one row for each metric and pair of runs.

        Its columns are metric, run, baseline, the mean difference run - baseline, its interval (low, high), p,
        p_adjusted, significant (whether p_adjusted is), effect_size (Cohen's d_z: mean over standard deviation of the
        differences), the numbers of queries that the run wins, ties and loses, and detectable (the least true
        difference that the paired t test would find in four of five such experiments).

        Returns
        -------
        DataFrame
            Of pandas if it is installed, otherwise of polars.
        """
        return frame_like({name: [test[name] for test in self.tests] for name in _COLUMNS})

    def to_dict(self):
        """Return all figures as plain Python objects, ready for JSON.

        Returns
        -------
        dict
            Its keys are ``settings``, ``means``, ``intervals`` and ``tests``.
        """
        return {
            "settings": dict(self.settings),
            "means": {metric: dict(means) for metric, means in self.means.items()},
            "intervals": {
                metric: {name: list(i) for name, i in self.intervals(metric).items()} for metric in self.values
            },
            "tests": [dict(test) for test in self.tests],
        }

    def to_markdown(self, digits=4):
        """Return the means and differences of the runs as Markdown tables.

        Letters after a mean name the runs that this run is significantly better than.

        Parameters
        ----------
        digits : int, default=4
            Number of decimals.

        Returns
        -------
        str
        """
        rows = self._means(digits, escape_markdown, "**{}**", "<sup>{}</sup>")
        tables = [markdown_table(rows, 2)]
        if self.tests:
            header, *details = self._details(digits)
            details = [[*map(escape_markdown, row[:3]), *row[3:]] for row in details]
            tables.append(markdown_table([header, *details], 3))
        return "\n\n".join([*tables, self._legend()]) + "\n"

    def to_latex(self, digits=4):
        """Return the means and differences of the runs as LaTeX tables (booktabs).

        Letters after a mean name the runs that this run is significantly better than.

        Parameters
        ----------
        digits : int, default=4
            Number of decimals.

        Returns
        -------
        str
        """
        rows = self._means(digits, escape_latex, r"\textbf{{{}}}", r"$^{{\mathrm{{{}}}}}$")
        tables = [latex_table(rows, 2)]
        if self.tests:
            header, *details = self._details(digits)
            rows = [[escape_latex(cell).replace(r"d\_z", "$d_z$") for cell in header]]
            for row in details:
                figures = [f"${cell}$".replace("inf", r"\infty") for cell in row[3:]]
                rows.append([*map(escape_latex, row[:3]), *figures])
            tables.append(latex_table(rows, 3))
        return "\n".join(["\n\n".join(tables), latex_comment(self._legend())]) + "\n"

    def _means(self, digits, escape, best, beaten):
        """Return the rows of the table of means, first a header; `best` and `beaten` format a mean and letters."""
        rows = [["", "run", *map(escape, self.metrics)]]
        for i, name in enumerate(self.names):
            cells = []
            for metric in self.metrics:
                cell = f"{self.means[metric][name]:.{digits}f}"
                if self._is_best(metric, name):
                    cell = best.format(cell)
                if letters := self._beaten(metric, name):
                    cell += beaten.format(letters)
                cells.append(cell)
            rows.append([_letter(i), escape(name), *cells])
        return rows

    def _beaten(self, metric, name):
        """Return the letters of the runs that `name` is significantly better than."""
        beaten = set()
        for test in self.tests:
            if test["metric"] == metric and test["significant"]:
                better, worse = test["run"], test["baseline"]
                if test["difference"] < 0:
                    better, worse = worse, better
                if better == name:
                    beaten.add(self.names.index(worse))
        return "".join(map(_letter, sorted(beaten)))

    def _is_best(self, metric, name):
        means = self.means[metric]
        return means[name] >= max(means.values()) - SAME

    def _legend(self):
        counts = sorted({matrix.shape[1] for matrix in self.values.values()})
        settings = self.settings
        method = ", ".join(filter(None, [settings["test"], settings["correction"]]))
        return (
            f"{' or '.join(map(str, counts))} queries. Letters: better than that run, {method}, "
            f"p < {1 - settings['confidence']:.2g}."
        )

    def _details(self, digits):
        """Return the rows of the table of differences as text, first a header."""
        level = f"{100 * self.settings['confidence']:g} %"
        rows = [["metric", "run", "against", "difference", level, "p", "d_z", "won/tied/lost", "detectable"]]
        for test in self.tests:
            rows.append(
                [
                    test["metric"],
                    test["run"],
                    test["baseline"],
                    f"{test['difference']:+.{digits}f}",
                    f"[{test['low']:+.{digits}f}, {test['high']:+.{digits}f}]",
                    _shown_p(test["p_adjusted"]),
                    f"{test['effect_size']:+.2f}",
                    f"{test['wins']}/{test['ties']}/{test['losses']}",
                    f"{test['detectable']:.{digits}f}",
                ]
            )
        return rows

    def __str__(self):
        table = [["", "run", *self.metrics]]
        for i, name in enumerate(self.names):
            cells = [f"{self.means[m][name]:.4f} {self._beaten(m, name)}".rstrip() for m in self.metrics]
            table.append([_letter(i), name, *cells])
        return "\n".join([*table_lines(table), "", *table_lines(self._details(4)), "", self._legend()])

    __repr__ = __str__


def _letter(i):
    if i < 26:
        return chr(ord("a") + i)
    return f"({i + 1})"


def _shown_p(p):
    if p < 5e-5:
        return "<0.0001"
    return f"{p:.4f}"
