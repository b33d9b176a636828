"""`sklrank tune`: choose the parameters of BM25 by cross-validation."""

import json
from itertools import product

from sklrank._cli._output import check_output, note, say
from sklrank._cli._retrieval import FORMS, add_text_arguments, make_retriever

SUMMARY = "choose k1, b and the variant of BM25 by cross-validation, and measure the gain"
DESCRIPTION = """\
Search a grid of BM25's parameters, and measure the result on queries that had no part in the choice.

In each fold, the setting that is best on the other folds ranks the queries of the fold. These out-of-fold rankings are
compared with BM25 with its defaults (lucene, k1=1.2, b=0.75) on the same terms. BM25 learns only these parameters, so
the result is that of a nested cross-validation, while each setting ranks each query only once.

  sklrank tune corpus.jsonl queries.jsonl qrels/test.tsv --language english
  sklrank tune corpus.jsonl queries.jsonl qrels.txt --metric map --k1 0.9 1.2 1.6 --b 0.4 0.75 -o tuned.run --json"""
EPILOG = (
    FORMS
    + """
  QRELS have TREC's four columns or the form of BEIR's TSV. Only judged queries are used."""
)

_UNTUNED = {"method": "lucene", "k1": 1.2, "b": 0.75}


def add_arguments(parser):
    """Declare the arguments."""
    parser.add_argument("corpus", metavar="CORPUS", help="the documents")
    parser.add_argument("queries", metavar="QUERIES", help="the queries")
    parser.add_argument("qrels", metavar="QRELS", help="the judgments")
    parser.add_argument("--metric", default="ndcg@10", help="metric to maximize (default: %(default)s)")
    parser.add_argument(
        "--k1", type=float, nargs="+", default=[0.6, 0.9, 1.2, 1.6, 2.0],
        help="values to try (default: 0.6 0.9 1.2 1.6 2)",
    )  # fmt: skip
    parser.add_argument(
        "--b", type=float, nargs="+", default=[0.25, 0.5, 0.75, 0.9, 1.0],
        help="values to try (default: 0.25 0.5 0.75 0.9 1)",
    )  # fmt: skip
    parser.add_argument(
        "--method", nargs="+", default=["lucene"], choices=("robertson", "lucene", "atire", "bm25l", "bm25+"),
        help="variants to try (default: lucene)",
    )  # fmt: skip
    parser.add_argument("--folds", type=int, default=5, help="number of folds (default: %(default)s)")
    parser.add_argument("--k", type=int, default=1000, help="depth of rankings (default: %(default)s)")
    parser.add_argument("-o", "--output", metavar="RUN", help="file for the out-of-fold run")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    add_text_arguments(parser)
    parser.set_defaults(error=parser.error)


def run(args):
    """Rank by every setting, choose one, compare, and print."""
    from sklrank.metrics import compare, metric_from_name

    if args.output == "-":
        args.error("the report goes to standard output, to which -o - would write the run")
    check_output(args.output, [args.corpus, args.queries, args.qrels])
    metric = metric_from_name(args.metric)
    if metric.how != "mean":
        raise ValueError(f"--metric {args.metric}: the metric must be a mean over queries")
    corpus, queries, qrels = _read(args)
    if not 2 <= args.folds <= len(queries):
        raise ValueError(
            f"--folds {args.folds}: expected a number from 2 to that of the judged queries, {len(queries)}"
        )

    retriever = make_retriever(args, corpus, k=min(metric.k or args.k, args.k)).fit(queries)
    settings = [dict(zip(_UNTUNED, values)) for values in product(args.method, args.k1, args.b)]
    values = _values(retriever, settings, queries, qrels, metric)
    retriever.set_params(k=args.k)
    folds, tuned = _out_of_fold(retriever, settings, values, queries, args.folds)
    runs = {"untuned": retriever.set_params(**_UNTUNED).predict(queries), "tuned": tuned}
    comparison = compare(qrels, runs, [metric], baseline="untuned", random_state=0)
    if args.json:
        _say_json(settings, values, folds, comparison, metric)
    else:
        _say_text(args, settings, values, folds, comparison, metric)
    if args.output is not None:
        tuned.name = "tuned"
        tuned.to_trec(args.output)
        note("tune", f"out-of-fold run: {args.output}")
    return 0


def _values(retriever, settings, queries, qrels, metric):
    """Measure each setting on each query, as an array of shape (n_settings, n_queries)."""
    import numpy as np

    from sklrank._cli._progress import Progress
    from sklrank.metrics import evaluate

    progress = Progress("settings", len(settings))
    values = np.empty((len(settings), len(queries)))
    for row, setting in zip(values, settings):
        row[:] = evaluate(qrels, retriever.set_params(**setting).predict(queries), [metric]).per_query[metric.name]
        progress.step()
    return values


def _out_of_fold(retriever, settings, values, queries, n_folds):
    """Rank the queries of each fold by the setting that is best on the others.

    Returns
    -------
    folds : list of dict
        Setting of each fold, its number of queries, and its score on them.
    run : Run
        Rankings of all queries, in their order.
    """
    import numpy as np
    from sklearn.model_selection import KFold

    folds, parts, order = [], [], []
    for rest, fold in KFold(n_folds, shuffle=True, random_state=0).split(queries):
        best = _argbest(values[:, rest])
        folds.append({**settings[best], "n_queries": len(fold), "score": np.nanmean(values[best, fold])})
        parts.append(retriever.set_params(**settings[best]).predict(queries[fold]))
        order.append(fold)
    return folds, np.concatenate(parts)[np.argsort(np.concatenate(order))]


def _say_json(settings, values, folds, comparison, metric):
    import numpy as np

    from sklrank._cli._reports import plain

    grid = [{**setting, "score": np.nanmean(row)} for setting, row in zip(settings, values)]
    report = {"metric": metric.name, "chosen": settings[_argbest(values)], "folds": folds, "grid": grid}
    say(json.dumps(plain({**report, "comparison": comparison.to_dict()}), indent=2, allow_nan=False))


def _say_text(args, settings, values, folds, comparison, metric):
    import numpy as np

    best = settings[_argbest(values)]
    say(f"\nchosen on all {values.shape[1]} judged queries: {_shown(best)}")
    say(f"  {metric.name} {np.nanmean(values, axis=1).max():.4f} there, which is optimistic")
    say(f"  for `sklrank search`: {_flags(best)}")
    for name, tried in (("k1", args.k1), ("b", args.b)):
        if len(set(tried)) > 1 and best[name] in (min(tried), max(tried)):
            say(f"  {name}={best[name]:g} is at the edge of the values that were tried")
    say("chosen without the queries of each fold, and measured on them:")
    for i, fold in enumerate(folds, 1):
        say(f"  fold {i}: {_shown(fold)}; {metric.name} {fold['score']:.4f} on {fold['n_queries']} queries")
    say(f"\n{comparison}")


def _read(args):
    """Read the corpus, the judged queries, and their judgments."""
    import numpy as np

    from sklrank.datasets._single import check_words, read_documents, read_judgments, read_queries

    qrels, queries, corpus = read_judgments(args.qrels), read_queries(args.queries), read_documents(args.corpus)
    n_unknown = np.count_nonzero(corpus.rows(qrels.flat_docids, unknown="ignore") < 0)
    if n_unknown:
        note("tune", f"{n_unknown} of {len(qrels.grades)} judgments are of documents that {args.corpus} lacks")
    if args.output is not None:
        check_words(args.queries, queries.ids.tolist())
        check_words(args.corpus, corpus.ids.tolist())
    aligned = qrels.align(queries)
    judged = np.flatnonzero(np.diff(aligned.indptr))
    if len(judged) < len(qrels):
        note("tune", f"{len(qrels) - len(judged)} of {len(qrels)} judged queries are not in {args.queries}")
    return corpus, queries[judged], aligned[judged]


def _argbest(values):
    """Return the index of the setting with the highest mean, the first one if several are equal."""
    import numpy as np

    return int(np.argmax(np.nanmean(values, axis=1).round(12)))


def _shown(setting):
    return f"{setting['method']}, k1={setting['k1']:g}, b={setting['b']:g}"


def _flags(setting):
    return f"--method {setting['method']} --k1 {setting['k1']:g} --b {setting['b']:g}"
