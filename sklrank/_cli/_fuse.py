"""`sklrank fuse`: fuse several runs into one."""

import argparse

from sklrank._cli._evaluate import _label
from sklrank._cli._output import check_output, check_tag, note, say, write_run

SUMMARY = "fuse runs into one, or tell whether that is likely to help"
DESCRIPTION = """\
Fuse TREC runs: unite the documents that they found for each query, rank these by all of the runs, and write a TREC
run. --diagnose prints how the runs agree and, with --qrels, whether fusion helps.

  sklrank fuse bm25.run dense.run -o fused.run
  sklrank fuse bm25.run dense.run -o fused.run --method weighted --norm min-max --weights 0.3,0.7
  sklrank fuse bm25.run dense.run splade.run -o - --rank-constant 10 --k 100 | head
  sklrank fuse bm25.run dense.run --diagnose --qrels qrels.txt"""
EPILOG = """\
methods:
  rrf ranks by the sum of weight / (rank constant + rank), and does not need comparable scores. The other methods are
  those of sklrank's ScoreFuser (sum, mnz, weighted, ...) and RankFuser (borda, isr, condorcet, ...); `--method help`
  lists them. --param sets another parameter of a method, such as gamma of gmnz.

files:
  Runs have TREC's six columns. Files whose names end in .gz are unpacked and packed. Queries are matched by their ids;
  a query that some runs lack is fused from the others. Documents of equal fused score have an order of their own in
  the file; trec_eval and `sklrank evaluate` order them by document id."""


def add_arguments(parser):
    """Declare the arguments."""
    parser.add_argument("runs", metavar="RUN", nargs="*", help="at least two runs")
    parser.add_argument("-o", "--output", metavar="RUN", help="run to write; - is standard output")
    parser.add_argument(
        "--method", default="rrf", help="method of fusion; help lists the methods (default: %(default)s)"
    )
    parser.add_argument(
        "--weights", metavar="W,W,...", type=_weights, help="weight of each run, in their order; 0 leaves a run out"
    )
    parser.add_argument("--norm", help="normalization of scores (default: the method's, min-max)")
    parser.add_argument("--rank-constant", metavar="C", type=float, help="constant of rrf (default: 60)")
    parser.add_argument(
        "--param", metavar="NAME=VALUE", type=_param, action="append", default=[],
        help="another parameter of the method: a number, a word, or numbers with commas between them; may be repeated",
    )  # fmt: skip
    parser.add_argument("--k", type=int, help="number of documents to write for each query (default: all)")
    parser.add_argument("--tag", default="sklrank", help="name of the run, its last column (default: %(default)s)")
    looking = parser.add_argument_group("diagnosis")
    looking.add_argument("--diagnose", action="store_true", help="print how the runs agree, and whether fusion helps")
    looking.add_argument("--qrels", metavar="QRELS", help="judgments for --diagnose; .gz is unpacked")
    looking.add_argument("-m", dest="measure", metavar="MEASURE", help="measure of --diagnose (default: ndcg@10)")
    parser.set_defaults(error=parser.error)


def _weights(text):
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected numbers with commas between them, such as 0.3,0.7, got {text!r}"
        ) from None


def _param(text):
    name, equals, value = text.partition("=")
    if not (equals and name):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, such as gamma=0.5, got {text!r}")
    name = name.replace("-", "_")
    for make in (int, float, lambda text: tuple(map(float, text.split(",")))):
        try:
            return name, make(value)
        except ValueError:
            pass
    return name, value


def run(args):
    """Read the runs, fuse them, and write the result or a diagnosis."""
    if args.output is None and not args.diagnose and args.method != "help":
        args.error("expected -o RUN or --diagnose")
    if (args.qrels or args.measure) and not args.diagnose:
        args.error("--qrels and -m work only with --diagnose")
    if args.diagnose and args.output == "-":
        args.error("--diagnose prints to standard output, to which -o - would write the run")

    from sklrank.fusers._fuse import METHODS, make_fuser

    if args.method == "help":
        say("\n".join(METHODS))
        return 0
    files = _label(args.runs)
    if len(args.runs) < 2 or len(files) < len(args.runs):
        args.error(f"expected at least two different runs, got {' '.join(args.runs)}")
    fuser = _fuser(args, list(files), make_fuser)

    from sklrank.data import Run

    check_output(args.output, [*args.runs, args.qrels] if args.qrels else args.runs)
    check_tag(args.tag)
    runs = {name: Run.from_trec(path) for name, path in files.items()}
    candidates = Run.union(runs)
    fused = fuser.fit(candidates).transform(candidates)
    if args.diagnose:
        _diagnose(args, runs, fuser)
    if args.output is not None:
        fused.name = args.tag
        write_run(fused, args.output)
        if args.output != "-":
            note("fuse", f"{len(fused)} queries, {fused.indptr[-1]} documents: {args.output}")
    return 0


def _fuser(args, names, make_fuser):
    """Make the fuser that the arguments describe."""
    from sklearn.utils import get_tags

    params = dict(args.param)
    for option, value in (("norm", args.norm), ("rank_constant", args.rank_constant), ("k", args.k)):
        if value is not None:
            params[option] = value
    if args.weights is not None:
        if len(args.weights) != len(names):
            args.error(f"--weights has {len(args.weights)} weights for {len(names)} runs")
        params["weights"] = dict(zip(names, args.weights))
    try:
        fuser = make_fuser(args.method, params)
    except TypeError as error:
        raise ValueError(error) from None
    if get_tags(fuser).requires_fit:
        raise ValueError(
            f"--method {args.method} learns from judgments of other queries than those to fuse: fit it in Python"
        )
    return fuser


def _diagnose(args, runs, fuser):
    from sklrank.datasets._single import read_judgments
    from sklrank.inspection import diagnose

    qrels = None
    if args.qrels is not None:
        qrels = read_judgments(args.qrels)
    say(diagnose(runs, qrels, metric=args.measure or "ndcg@10", fuser=fuser))
