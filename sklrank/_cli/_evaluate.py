"""`sklrank evaluate`: trec_eval, a comparison of runs, and a gate."""

import math
import os
from argparse import SUPPRESS, Action, ArgumentTypeError
from pathlib import Path

from sklrank._cli._output import note, say

SUMMARY = "measure runs against judgments, as trec_eval does; compare them; gate on them"
DESCRIPTION = """\
Measure TREC runs against judgments.

One run prints what trec_eval prints, in its form and by its rules. Several runs print a table of means and the tests of
their differences. --fail-under and --baseline make it a gate for continuous integration.

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
  So it does with the options -D, -N, -o, -R, -T and -Z.

which queries count:
  As in trec_eval, those in both files; with -c all judged ones, where a missing one counts 0. Several runs are compared
  on the queries that all of them have. --fail-under and --max-drop imply -c: no run passes by what it leaves out.

gates:
  The queries are taken for a sample of those to come. A gate fails, with exit status 1, when the data show that the run
  is worse: when the one-sided upper confidence bound (Student's t, 95 %) of its mean lies below --fail-under, or that
  of its mean difference from the baseline below minus --max-drop. A run whose mean is too low by no more than chance
  explains passes, and the report says so. Two queries at least are needed to show anything."""

_LEFT_OUT = {  # options of trec_eval
    "-D": "there is no debugging output",
    "-N": "the number of documents is needed by no measure here",
    "-o": "the output has trec_eval's present form, or one that --format names",
    "-R": "judgments are those of TREC or BEIR, which their form tells",
    "-T": "runs are those of TREC",
    "-Z": "no measure is standardized; --baseline compares with another run",
}
_COMPARED = ("ndcg@10", "map", "recall@100")  # measures of several runs, where none are named


def add_arguments(parser):
    """Declare the arguments."""
    parser.add_argument("qrels", metavar="QRELS", help="judgments: TREC or BEIR's TSV; .gz is unpacked")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="runs: TREC; .gz is unpacked")
    parser.add_argument(
        "-m", dest="measures", metavar="MEASURE", action="append",
        help="a measure; may be repeated (default: official, or ndcg@10, map and recall@100 for several runs)",
    )  # fmt: skip
    parser.add_argument("-q", "--per-query", action="store_true", help="print each query too")
    parser.add_argument("-c", "--complete", action="store_true", help="average over all judged queries; gates imply it")
    parser.add_argument("-n", "--no-summary", action="store_true", help="do not print averages")
    parser.add_argument(
        "-l", "--level", metavar="LEVEL", type=_level, default=1,
        help="lowest grade that is relevant, for measures that know no grades (default: 1)",
    )  # fmt: skip
    parser.add_argument("-J", "--judged-only", action="store_true", help="remove unjudged documents from the runs")
    parser.add_argument("-M", "--depth", metavar="DEPTH", type=_positive, help="cut rankings after so many documents")
    parser.add_argument(
        "--score-dtype", choices=("float32", "float64"), default="float32",
        help="precision that tells equal scores: of trec_eval 9 (float32, the default) or 10 (float64)",
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
    tests.add_argument("--baseline", metavar="RUN", help="compare with this run only; with --max-drop, a gate")
    gates = parser.add_argument_group("gates")
    gates.add_argument(
        "--max-drop", metavar="DROP", type=_drop, help="fail when a measure is shown to be so much below the baseline's"
    )
    gates.add_argument(
        "--fail-under", metavar="MEASURE=VALUE", type=_limit, action="append", default=[],
        help="fail when a measure is shown to be below this value; may be repeated",
    )  # fmt: skip
    for option in _LEFT_OUT:
        parser.add_argument(option, action=_LeftOut, nargs="?", help=SUPPRESS)
    parser.set_defaults(error=parser.error)


class _LeftOut(Action):
    """An option of trec_eval that is an error with a reason."""

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
        raise ArgumentTypeError(f"a drop is 0 or more, got {text}")
    return value


def _limit(text):
    name, equals, value = text.rpartition("=")
    if not (equals and name):
        raise ArgumentTypeError(f"needed MEASURE=VALUE, such as ndcg@10=0.62, got {text!r}")
    limit = _number(value, float)
    if not math.isfinite(limit):
        raise ArgumentTypeError(f"a limit is a finite number, got {text!r}")
    return name, limit


def run(args):
    """Measure, print, and say whether the gates hold."""
    if args.max_drop is not None and args.baseline is None:
        args.error("--max-drop needs --baseline")
    if args.per_query and args.format in ("markdown", "latex"):
        args.error(f"--per-query goes with --format text or json, not {args.format}")

    from sklrank._cli import _reports
    from sklrank._cli._gates import gates_of
    from sklrank.metrics import evaluate

    if args.baseline is not None:
        others = [path for path in args.runs if not _same_file(path, args.baseline)]
        if not others:
            args.error(f"--baseline {args.baseline}: it is the run itself, and there is no other to compare with it")
        args.runs = others
    files = _label([args.baseline, *args.runs] if args.baseline is not None else args.runs)
    if args.measures is not None:
        specs = args.measures
    else:
        specs = ["official"] if len(files) == 1 else list(_COMPARED)
    metrics = _metrics(specs, args.level)
    limits = [(metric, value) for name, value in args.fail_under for metric in _metrics([name], args.level)]
    for metric, _ in limits:
        if metric.how != "mean":
            raise ValueError(f"--fail-under {metric.name}: a gate needs a measure that is a mean over queries")

    qrels, runs = _read(args, files)
    results = {name: evaluate(qrels, run, [*metrics, *(metric for metric, _ in limits)]) for name, run in runs.items()}
    baseline = next((name for name, path in files.items() if path == args.baseline), None)
    gates = gates_of(results, metrics, baseline, args.max_drop, limits)
    report = _reports.Report(args.qrels, qrels, files, runs, results, metrics, gates)
    if len(runs) > 1:
        report.compare(args.test, None if args.correction == "none" else args.correction, baseline)
    if args.format == "json":
        say(report.to_json(args.per_query))
    elif args.format in ("markdown", "latex"):
        say(report.to_markdown() if args.format == "markdown" else report.to_latex())
    else:
        tag = any(spec in ("official", "all_trec", "runid") for spec in specs)
        say(report.to_text(per_query=args.per_query, summary=not args.no_summary, tag=tag))
    return int(any(gate.verdict == "fail" for gate in gates))


def _same_file(one, other):
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there; reading it says so
        return one == other


def _label(paths):
    """Files under names that differ: without their folders, where that suffices."""
    paths = list(dict.fromkeys(paths))
    names = [Path(path).name for path in paths]
    return dict(zip(names if len(set(names)) == len(names) else paths, paths))


def _metrics(specs, level):
    """The metrics that ``-m`` asks for, each once."""
    from sklrank.metrics import metric_from_name
    from sklrank.metrics._trec import trec_names

    names = dict.fromkeys(name for spec in specs for name in trec_names(spec) if name != "runid")
    return [metric_from_name(name).with_defaults(relevance_level=level) for name in names]


def _read(args, files):
    """Judgments of the queries that count, in the order of their ids, and the runs by name."""
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
            raise ValueError(f"{files[name]}: no query of it counts, because {args.qrels} judges none of them")
    n_missing = np.count_nonzero(count & ~found)
    if n_missing and not args.complete:
        where = "the run" if len(runs) == 1 else "all runs"
        lacking = f"{n_missing} of {np.count_nonzero(count)} judged queries are not in {where}"
        gated = args.fail_under or args.max_drop is not None
        what = "count 0, because there is a gate" if gated else "do not count; with -c they do, as 0"
        note("evaluate", f"{lacking} and {what}")
        if not gated:
            count = found
    chosen = np.flatnonzero(count)
    qrels = qrels[chosen[np.argsort(qrels.ids[chosen], kind="stable")]]
    return qrels, {name: _cut(run, qrels, args.depth, args.judged_only) for name, run in runs.items()}


def _cut(run, qrels, depth, judged_only):
    """A run of at most `depth` documents a query, of which perhaps only the judged ones stay."""
    import numpy as np

    from sklrank._ragged import kept_entries

    run = run if depth is None else run.head(depth)
    keep = np.ones(run.indptr[-1], dtype=bool)
    if judged_only:
        judged = {(q, d) for q, grades in qrels.to_dict().items() for d, grade in grades.items() if grade >= 0}
        pairs = zip(np.repeat(run.qids, np.diff(run.indptr)).tolist(), run.flat_docids.tolist())
        keep &= np.fromiter((pair in judged for pair in pairs), dtype=bool, count=len(keep))
    if keep.all():
        return run
    return run.take(*kept_entries(run.indptr, keep))
