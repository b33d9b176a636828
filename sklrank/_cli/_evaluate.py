"""`sklrank evaluate`: measure runs as trec_eval does, compare them, and gate on them."""

import math
import os
from argparse import SUPPRESS, Action, ArgumentTypeError
from pathlib import Path

from sklrank._cli._output import note, say

SUMMARY = "measure runs against judgments, as trec_eval does; compare them; gate on them"
DESCRIPTION = """\
Measure TREC runs against judgments.

For one run, the output is trec_eval's, in its form and by its rules. For several runs, it is a table of means and the
tests of their differences. --fail-under and --baseline make the command a gate for continuous integration.

  sklrank evaluate qrels.txt bm25.run
  sklrank evaluate -q -c -m ndcg_cut.10,20 -m P.5 qrels.txt bm25.run
  sklrank evaluate qrels.txt bm25.run dense.run.gz -m ndcg@10 -m map --format markdown
  sklrank evaluate qrels.txt new.run --baseline old.run --max-drop 0.01 -m ndcg@10
  sklrank evaluate qrels.txt new.run --fail-under ndcg@10=0.62 --fail-under recall@100=0.9"""
EPILOG = """\
measures:
  Ours (ndcg@10, map, mrr@10, recall@100, rbp(p=0.8), err@20, judged@10, map(rel=2)@100, ...) and trec_eval's (map,
  recip_rank, ndcg_cut.10,20, P.5,10, ndcg.1=3,2=9, official, all_trec, set). `-m all_trec` leaves out relstring, binG,
  G, ndcg_rel, Rndcg, rbp and rbp_resid, which sklrank does not have in trec_eval's form; `-m rbp` is sklrank's.
  The options -D, -N, -o, -R, -T and -Z of trec_eval are left out, too.

which queries count:
  As in trec_eval, the queries in both files count; with -c, all judged queries count, and a missing one counts 0.
  Several runs are compared on the queries that all of them have. --fail-under and --max-drop imply -c, so that no run
  passes because it lacks queries.

gates:
  The queries are considered a sample of future queries. A gate fails, with exit status 1, if the data show that the run
  is worse: if the one-sided upper confidence bound (Student's t, 95 %) of its mean is below --fail-under, or the bound
  of its mean difference from the baseline is below minus --max-drop. A run passes if chance explains that its mean is
  too low, and the report says so. At least two queries are needed."""

_LEFT_OUT = {  # options of trec_eval
    "-D": "there is no debugging output",
    "-N": "no measure here needs the number of documents",
    "-o": "the output has the form of the present trec_eval, or the one that --format names",
    "-R": "judgments have the form of TREC or BEIR, which is recognized",
    "-T": "runs have the form of TREC",
    "-Z": "no measure is standardized; --baseline compares with another run",
}
_COMPARED = ("ndcg@10", "map", "recall@100")  # measures of several runs, if none are named


def add_arguments(parser):
    """Declare the arguments."""
    parser.add_argument("qrels", metavar="QRELS", help="judgments: TREC or BEIR's TSV; .gz is unpacked")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="runs: TREC; .gz is unpacked")
    parser.add_argument(
        "-m", dest="measures", metavar="MEASURE", action="append",
        help="a measure; may be repeated (default: official, or ndcg@10, map and recall@100 for several runs)",
    )  # fmt: skip
    parser.add_argument("-q", "--per-query", action="store_true", help="print the values of each query, too")
    parser.add_argument("-c", "--complete", action="store_true", help="average over all judged queries; gates imply it")
    parser.add_argument("-n", "--no-summary", action="store_true", help="do not print averages")
    parser.add_argument(
        "-l", "--level", metavar="LEVEL", type=_level, default=1,
        help="lowest grade that is relevant, for measures without grades (default: 1)",
    )  # fmt: skip
    parser.add_argument("-J", "--judged-only", action="store_true", help="remove unjudged documents from the runs")
    parser.add_argument(
        "-M", "--depth", metavar="DEPTH", type=_positive, help="cut rankings after this number of documents"
    )
    parser.add_argument(
        "--score-dtype", choices=("float32", "float64"), default="float32",
        help="precision in which scores are compared: that of trec_eval 9 (float32, the default) or 10 (float64)",
    )  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--format", choices=("text", "markdown", "json", "latex"), default="text", help="form of the output"
    )
    form.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    tests = parser.add_argument_group("comparison of several runs")
    tests.add_argument(
        "--test", choices=("paired_t", "randomization", "wilcoxon", "bootstrap", "tukey_hsd"), default="paired_t",
        help="test of the differences (default: paired_t)",
    )  # fmt: skip
    tests.add_argument(
        "--correction", choices=("holm", "bonferroni", "bh", "none"), default="holm",
        help="adjustment of p for the number of comparisons (default: holm)",
    )  # fmt: skip
    tests.add_argument("--baseline", metavar="RUN", help="compare only with this run; with --max-drop, a gate")
    gates = parser.add_argument_group("gates")
    gates.add_argument(
        "--max-drop",
        metavar="DROP",
        type=_drop,
        help="fail if a measure is shown to be lower than the baseline's by more than this",
    )
    gates.add_argument(
        "--fail-under", metavar="MEASURE=VALUE", type=_limit, action="append", default=[],
        help="fail if a measure is shown to be below this value; may be repeated",
    )  # fmt: skip
    for option in _LEFT_OUT:
        parser.add_argument(option, action=_LeftOut, nargs="?", help=SUPPRESS)
    parser.set_defaults(error=parser.error)


class _LeftOut(Action):
    """Reject an option of trec_eval, and say why."""

    def __call__(self, parser, namespace, values, option_string=None):
        parser.error(f"trec_eval's {option_string} is left out: {_LEFT_OUT[option_string]}")


def _number(text, make):
    try:
        return make(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number") from None


def _positive(text):
    value = _number(text, int)
    if value < 1:
        raise ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _level(text):
    value = _number(text, float)
    if not value >= 0:
        raise ArgumentTypeError(f"must be at least 0, got {text}")
    return value


def _drop(text):
    value = _number(text, float)
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"a drop must be 0 or more, got {text}")
    return value


def _limit(text):
    name, equals, value = text.rpartition("=")
    if not (equals and name):
        raise ArgumentTypeError(f"expected MEASURE=VALUE, such as ndcg@10=0.62, got {text!r}")
    limit = _number(value, float)
    if not math.isfinite(limit):
        raise ArgumentTypeError(f"a limit must be a finite number, got {text!r}")
    return name, limit


def run(args):
    """Measure, print, and return whether a gate failed."""
    if args.max_drop is not None and args.baseline is None:
        args.error("--max-drop needs --baseline")
    if args.per_query and args.format in ("markdown", "latex"):
        args.error(f"--per-query works only with --format text or json, not {args.format}")

    from sklrank._cli import _reports
    from sklrank._cli._gates import gates_of
    from sklrank.metrics import evaluate

    if args.baseline is not None:
        others = [path for path in args.runs if not _same_file(path, args.baseline)]
        if not others:
            args.error(f"--baseline {args.baseline}: it is the run itself; name another run to compare with")
        args.runs = others
        files = _label([args.baseline, *args.runs])
    else:
        files = _label(args.runs)
    specs = args.measures
    if specs is None:
        specs = _COMPARED
        if len(files) == 1:
            specs = ["official"]
    metrics = _metrics(specs, args.level)
    limits = [(metric, value) for name, value in args.fail_under for metric in _metrics([name], args.level)]
    for metric, _ in limits:
        if metric.how != "mean":
            raise ValueError(f"--fail-under {metric.name}: the measure of a gate must be a mean over queries")

    qrels, runs = _read(args, files)
    results = {name: evaluate(qrels, run, [*metrics, *(metric for metric, _ in limits)]) for name, run in runs.items()}
    baseline = next((name for name, path in files.items() if path == args.baseline), None)
    gates = gates_of(results, metrics, baseline, args.max_drop, limits)
    report = _reports.Report(args.qrels, qrels, files, runs, results, metrics, gates)
    if len(runs) > 1:
        correction = args.correction
        if correction == "none":
            correction = None
        report.compare(args.test, correction, baseline)
    if args.format == "json":
        say(report.to_json(args.per_query))
    elif args.format == "markdown":
        say(report.to_markdown())
    elif args.format == "latex":
        say(report.to_latex())
    else:
        tag = any(spec in ("official", "all_trec", "runid") for spec in specs)
        say(report.to_text(per_query=args.per_query, summary=not args.no_summary, tag=tag))
    return int(any(gate.verdict == "fail" for gate in gates))


def _same_file(path, other):
    try:
        return os.path.samefile(path, other)
    except OSError:  # a file is missing; reading it raises the error
        return path == other


def _label(paths):
    """Give each file a name of its own: without its folder if these names differ, otherwise its path."""
    paths = list(dict.fromkeys(paths))
    named = {Path(path).name: path for path in paths}
    if len(named) < len(paths):
        named = {path: path for path in paths}
    return named


def _metrics(specs, level):
    """Return the metrics that ``-m`` selects, without repetitions."""
    from sklrank.metrics import metric_from_name
    from sklrank.metrics._trec import trec_names

    names = dict.fromkeys(name for spec in specs for name in trec_names(spec) if name != "runid")
    return [metric_from_name(name).with_defaults(relevance_level=level) for name in names]


def _read(args, files):
    """Read the judgments of the queries that count, in the order of their ids, and the runs by name."""
    import numpy as np

    from sklrank.data import Run
    from sklrank.datasets._single import read_judgments

    qrels = read_judgments(args.qrels)
    runs = {name: Run.from_trec(path, score_dtype=args.score_dtype) for name, path in files.items()}
    count = np.diff(qrels.indptr) > 0
    found = count.copy()
    for name, run in runs.items():
        found &= np.isin(qrels.ids.astype(str), run.qids.astype(str))
        if not (found.any() or args.complete):
            raise ValueError(f"{files[name]}: none of its queries counts, because {args.qrels} judges none of them")
    n_missing = np.count_nonzero(count & ~found)
    if n_missing and not args.complete:
        holders = "all runs"
        if len(runs) == 1:
            holders = "the run"
        consequence = "do not count; with -c they count 0"
        gated = args.fail_under or args.max_drop is not None
        if gated:
            consequence = "count 0, because there is a gate"
        note(
            "evaluate",
            f"{n_missing} of {np.count_nonzero(count)} judged queries are not in {holders} and {consequence}",
        )
        if not gated:
            count = found
    chosen = np.flatnonzero(count)
    qrels = qrels[chosen[np.argsort(qrels.ids[chosen], kind="stable")]]
    return qrels, {name: _cut(run, qrels, args.depth, args.judged_only) for name, run in runs.items()}


def _cut(run, qrels, depth, judged_only):
    """Keep the first `depth` documents of each query, and, with `judged_only`, those with a judgment."""
    import numpy as np

    from sklrank._ragged import kept_entries

    if depth is not None:
        run = run.head(depth)
    keep = np.ones(run.indptr[-1], dtype=bool)
    if judged_only:
        judged = {(q, d) for q, grades in qrels.to_dict().items() for d, grade in grades.items() if grade >= 0}
        pairs = zip(np.repeat(run.qids, np.diff(run.indptr)).tolist(), run.flat_docids.tolist())
        keep &= np.fromiter((pair in judged for pair in pairs), dtype=bool, count=len(keep))
    if keep.all():
        return run
    return run.take(*kept_entries(run.indptr, keep))
