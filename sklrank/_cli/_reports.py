"""Output of `sklrank evaluate`."""

import json
import math
import warnings

import numpy as np

from sklrank.metrics import compare
from sklrank.metrics._tables import escape_latex, escape_markdown, latex_comment, latex_table, markdown_table
from sklrank.metrics._trec import trec_names


class Report:
    """Write measured runs as text, Markdown, LaTeX or JSON.

    Parameters
    ----------
    source : str
        Path of the judgments.
    qrels : Qrels
        Judgments of the queries that count.
    files : dict of str to str
        Paths of the runs.
    runs : dict of str to Run
    results : dict of str to Evaluation
    metrics : list of Metric
        Metrics to report.
    gates : list of Gate
    """

    def __init__(self, source, qrels, files, runs, results, metrics, gates):
        self.source = source
        self.qrels = qrels
        self.files = files
        self.runs = runs
        self.results = results
        self.metrics = metrics
        self.gates = gates
        self.comparison = None

    def compare(self, test, correction, baseline):
        """Test the differences in the measures that are means over queries."""
        means = [metric for metric in self.metrics if metric.how == "mean"]
        if not means:
            raise ValueError(
                f"expected a measure that is a mean over queries to compare runs by, got {', '.join(self._names)}"
            )
        with warnings.catch_warnings():
            # Queries that some runs lack were left out with a note, or they count 0 because of --complete.
            warnings.filterwarnings("ignore", message="run .* lacks .* judged queries")
            self.comparison = compare(
                self.qrels, self.runs, means, test=test, correction=correction, baseline=baseline, random_state=0
            )

    @property
    def _names(self):
        return [metric.name for metric in self.metrics]

    # --- trec_eval's form, and a table of several runs
    def to_text(self, *, per_query, summary, tag):
        """Return the lines of trec_eval for one run or a comparison of several, and the gates."""
        lines = []
        if self.comparison is None:
            lines += self._trec_lines(per_query, summary, tag)
        else:
            if per_query:
                lines += self._query_lines()
            if summary:
                if lines:
                    lines.append("")
                lines.append(str(self.comparison))
        if self.gates:
            lines += ["", *map(str, self.gates)]
        return "\n".join(lines)

    def _trec_lines(self, per_query, summary, tag):
        ((name, result),) = self.results.items()
        # trec_eval prints its measures in an order of its own, not in that of the options; ours follow.
        position = {known: i for i, known in enumerate(trec_names("all_trec"))}
        metrics = sorted(self.metrics, key=lambda metric: position.get(metric.name, len(position)))
        if per_query:
            for i, qid in enumerate(result.qids):
                for metric in metrics:
                    if metric.how != "geometric" and metric.base != "num_q":
                        yield _trec_line(metric, qid, result.per_query[metric.name][i])
        if summary:
            if tag:
                yield f"{'runid':<22}\tall\t{self.runs[name].name}"
            for metric in metrics:
                yield _trec_line(metric, "all", result[metric.name])

    def _query_lines(self):
        yield "\t".join(["measure", "qid", *self.results])
        results = list(self.results.values())
        for metric in self.metrics:
            for i, qid in enumerate(results[0].qids):
                values = (f"{result.per_query[metric.name][i]:.4f}" for result in results)
                yield "\t".join([metric.name, qid, *values])

    # --- forms for documents
    def to_markdown(self):
        """Return a table, with the gates as a list."""
        if self.comparison is None:
            ((name, result),) = self.results.items()
            rows = [[escape_markdown(name), f"{len(result.qids)} queries"]]
            rows += [[escape_markdown(metric.name), _shown(metric, result[metric.name])] for metric in self.metrics]
            text = markdown_table(rows, 1)
        else:
            text = self.comparison.to_markdown().rstrip("\n")
        lines = [text]
        if self.gates:
            lines += ["", *(f"* {escape_markdown(str(gate))}" for gate in self.gates)]
        return "\n".join(lines)

    def to_latex(self):
        """Return a table, with the gates as comments."""
        if self.comparison is None:
            ((name, result),) = self.results.items()
            rows = [[escape_latex(name), f"{len(result.qids)} queries"]]
            rows += [[escape_latex(metric.name), _shown(metric, result[metric.name])] for metric in self.metrics]
            text = latex_table(rows, 1)
        else:
            text = self.comparison.to_latex().rstrip("\n")
        return "\n".join([text, *(latex_comment(str(gate)) for gate in self.gates)])

    def to_json(self, per_query):
        """Return all figures in full precision."""
        runs = []
        for name, result in self.results.items():
            entry = {"run": name, "file": self.files[name], "tag": self.runs[name].name}
            entry["measures"] = {metric: result[metric] for metric in self._names}
            if per_query:
                columns = [result.per_query[metric].tolist() for metric in self._names]
                entry["per_query"] = {q: dict(zip(self._names, row)) for q, row in zip(result.qids, zip(*columns))}
            runs.append(entry)
        report = {"qrels": self.source, "n_queries": len(self.qrels), "runs": runs}
        if self.comparison is not None:
            report["comparison"] = self.comparison.to_dict()
        if self.gates:
            report["gates"] = [gate.to_dict() for gate in self.gates]
        return json.dumps(plain(report), indent=2, ensure_ascii=False, allow_nan=False)


def _shown(metric, value):
    if metric.how == "sum":
        return f"{round(value)}"
    return f"{value:.4f}"


def _trec_line(metric, qid, value):
    shown = _shown(metric, value)
    if metric.how != "sum":
        shown = shown.rjust(6)
    return f"{metric.name:<22}\t{qid}\t{shown}"


def plain(value):
    """Convert to objects that JSON has; None stands for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
