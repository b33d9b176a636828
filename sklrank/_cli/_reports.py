"""The output of `sklrank evaluate`."""

import json
import math
import warnings

import numpy as np

from sklrank.metrics import compare
from sklrank.metrics._tables import escape_latex, escape_markdown, latex_comment, latex_table, markdown_table
from sklrank.metrics._trec import trec_names


class Report:
    """Measured runs, in the forms that people and programs read.

    Parameters
    ----------
    source : str
        File of the judgments.
    qrels : Qrels
        Judgments of the queries that count.
    files : dict of str to str
        Files of the runs.
    runs : dict of str to Run
    results : dict of str to Evaluation
    metrics : list of Metric
        What is reported.
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
        """Test the differences in those measures that are means over queries."""
        means = [metric for metric in self.metrics if metric.how == "mean"]
        if not means:
            raise ValueError(
                f"several runs are compared by means over queries, and there is none among {', '.join(self._names)}"
            )
        with warnings.catch_warnings():
            # Queries that some runs lack were left out with a note, or --complete asks for them to count 0.
            warnings.filterwarnings("ignore", message="run .* lacks .* judged queries")
            self.comparison = compare(
                self.qrels, self.runs, means, test=test, correction=correction, baseline=baseline, random_state=0
            )

    @property
    def _names(self):
        return [metric.name for metric in self.metrics]

    # --- trec_eval's form, and a table of several runs
    def to_text(self, *, per_query, summary, tag):
        """Lines as trec_eval prints them, or a comparison, and the gates."""
        lines = []
        if self.comparison is None:
            lines += self._trec_lines(per_query, summary, tag)
        else:
            if per_query:
                lines += self._query_lines()
            if summary:
                lines += [*([""] if lines else []), str(self.comparison)]
        if self.gates:
            lines += ["", *map(str, self.gates)]
        return "\n".join(lines)

    def _trec_lines(self, per_query, summary, tag):
        ((name, result),) = self.results.items()
        # trec_eval prints its measures in its own order, whatever the order they are asked for; ours follow.
        place = {known: i for i, known in enumerate(trec_names("all_trec"))}
        metrics = sorted(self.metrics, key=lambda metric: place.get(metric.name, len(place)))
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
        """A table, with the gates as a list."""
        if self.comparison is None:
            ((name, result),) = self.results.items()
            rows = [[escape_markdown(name), f"{len(result.qids)} queries"]]
            rows += [[escape_markdown(metric.name), _shown(metric, result[metric.name])] for metric in self.metrics]
            text = markdown_table(rows, 1)
        else:
            text = self.comparison.to_markdown().rstrip("\n")
        gates = [f"* {escape_markdown(str(gate))}" for gate in self.gates]
        return "\n".join([text, *([""] if gates else []), *gates])

    def to_latex(self):
        """A table, with the gates as comments."""
        if self.comparison is None:
            ((name, result),) = self.results.items()
            rows = [[escape_latex(name), f"{len(result.qids)} queries"]]
            rows += [[escape_latex(metric.name), _shown(metric, result[metric.name])] for metric in self.metrics]
            text = latex_table(rows, 1)
        else:
            text = self.comparison.to_latex().rstrip("\n")
        return "\n".join([text, *(latex_comment(str(gate)) for gate in self.gates)])

    def to_json(self, per_query):
        """Everything, with full precision."""
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
    return f"{round(value)}" if metric.how == "sum" else f"{value:.4f}"


def _trec_line(metric, qid, value):
    shown = _shown(metric, value)
    return f"{metric.name:<22}\t{qid}\t{shown if metric.how == 'sum' else shown.rjust(6)}"


def plain(value):
    """Python objects that JSON has: no arrays, and null for what is not finite."""
    if isinstance(value, dict):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
