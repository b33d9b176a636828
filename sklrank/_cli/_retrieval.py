"""Arguments of the commands that search texts, and the retriever that they describe."""

FORMS = """\
files:
  The names of CORPUS and QUERIES, without .gz, tell their form:
    .jsonl  one object per line with _id, text and, optionally, title, as in BEIR
    .tsv    id, text and, optionally, title, with tabs between them
    other   one text per line; its id is the number of the line, from 1; blank lines are skipped
    .csv, .json and .xml are refused
  Runs have TREC's six columns; they are packed if their name ends in .gz. A file appears only when it is complete; a
  pipe or a device is written directly."""


def add_text_arguments(parser):
    """Declare the arguments about the text to search and its terms."""
    text = parser.add_argument_group("text")
    text.add_argument("--language", help="stem, and remove stop words, in this language, such as english")
    text.add_argument("--stemmer", help="Snowball stemmer, such as english or porter (default: that of --language)")
    text.add_argument(
        "--stop-words", metavar="LANGUAGE", help="stop list of this language, or none (default: that of --language)"
    )
    text.add_argument(
        "--field", action="append", help="field to search, title or text; may be repeated (default: both)"
    )
    text.add_argument("--n-jobs", metavar="N", type=int, help="number of threads; -1 takes all cores (default: 1)")


def make_retriever(args, corpus, **params):
    """Make the BM25 retriever that the arguments describe."""
    from sklrank.encoders import TermVectorizer
    from sklrank.retrievers import BM25Retriever

    stop_words = args.stop_words
    if stop_words == "none":
        stop_words = []
    vectorizer = TermVectorizer(language=args.language, stemmer=args.stemmer, stop_words=stop_words)
    for field in args.field or ():
        if field not in corpus.columns:
            raise ValueError(f"--field {field}: the documents have {' and '.join(corpus.columns)}")
    return BM25Retriever(corpus, vectorizer=vectorizer, field=args.field, n_jobs=args.n_jobs, **params)
