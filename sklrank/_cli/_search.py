"""`sklrank search`: rank the documents of a file for the queries of another file."""

import time

from sklrank._cli._output import check_output, check_tag, note, write_run
from sklrank._cli._retrieval import FORMS, add_text_arguments, make_retriever

SUMMARY = "rank the documents of a file by BM25 for each query of another file"
DESCRIPTION = """\
Rank documents for queries by BM25, and write a TREC run.

  sklrank search corpus.jsonl queries.jsonl -o bm25.run
  sklrank search corpus.jsonl.gz queries.tsv -o bm25.run.gz --language english --k1 1.5 --k 100
  sklrank search notes.txt questions.txt -o - | head"""
EPILOG = FORMS


def add_arguments(parser):
    """Declare the arguments."""
    parser.add_argument("corpus", metavar="CORPUS", help="the documents")
    parser.add_argument("queries", metavar="QUERIES", help="the queries")
    parser.add_argument("-o", "--output", metavar="RUN", required=True, help="run to write; - is standard output")
    parser.add_argument(
        "--k", type=int, default=1000, help="number of documents to return for each query (default: %(default)s)"
    )
    parser.add_argument(
        "--method", default="lucene", choices=("robertson", "lucene", "atire", "bm25l", "bm25+"),
        help="variant of BM25 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--k1", type=float, default=1.2, help="saturation of counts (default: %(default)s)")
    parser.add_argument("--b", type=float, default=0.75, help="weight of length, 0 to 1 (default: %(default)s)")
    parser.add_argument("--tag", default="sklrank", help="name of the run, its last column (default: %(default)s)")
    add_text_arguments(parser)


def run(args):
    """Read the files, rank, and write the run."""
    from sklrank.datasets._single import check_words, read_documents, read_queries

    check_output(args.output, [args.corpus, args.queries])
    check_tag(args.tag)
    started = time.perf_counter()
    queries = read_queries(args.queries)
    check_words(args.queries, queries.ids.tolist())
    corpus = read_documents(args.corpus)
    check_words(args.corpus, corpus.ids.tolist())
    retriever = make_retriever(args, corpus, method=args.method, k1=args.k1, b=args.b, k=args.k)
    found = retriever.fit(queries).predict(queries)
    found.name = args.tag
    write_run(found, args.output)
    if args.output != "-":
        seconds = time.perf_counter() - started
        note("search", f"{len(queries)} queries, {len(corpus)} documents, {seconds:.1f} s: {args.output}")
    return 0
