"""Arguments that commands share which search texts, and the retriever that these describe."""

FORMS = """\
files:
  CORPUS and QUERIES, their form told by the name, .gz aside:
    .jsonl  one object per line with _id, text and perhaps title, as BEIR ships them
    .tsv    id, text and perhaps title, between tabs
    other   one text per line, whose id is the number of the line, from 1; blank lines hold none
    .csv, .json and .xml are refused
  Runs are TREC's six columns; a name that ends in .gz packs them. A file appears when it is whole, or not at all; a
  pipe or a device is written to as it is."""


def add_text_arguments(parser):
    """Declare which text is searched, and how it becomes terms."""
    text = parser.add_argument_group("text")
    text.add_argument("--language", help="stem, and remove stop words, as this language needs it, such as english")
    text.add_argument("--stemmer", help="Snowball stemmer, such as english or porter (default: that of --language)")
    text.add_argument(
        "--stop-words", metavar="LANGUAGE", help="stop list of this language, or none (default: that of --language)"
    )
    text.add_argument(
        "--field", action="append", help="title or text, to search only that; may be repeated (default: both)"
    )
    text.add_argument("--n-jobs", metavar="N", type=int, help="threads that rank; -1 takes all cores (default: 1)")


def make_retriever(args, corpus, **params):
    """Make a BM25 retriever as the arguments say."""
    from sklrank.encoders import TermVectorizer
    from sklrank.retrievers import BM25Retriever

    stop_words = [] if args.stop_words == "none" else args.stop_words
    vectorizer = TermVectorizer(language=args.language, stemmer=args.stemmer, stop_words=stop_words)
    for field in args.field or ():
        if field not in corpus.columns:
            raise ValueError(f"--field {field}: the documents have {' and '.join(corpus.columns)}")
    return BM25Retriever(corpus, vectorizer=vectorizer, field=args.field, n_jobs=args.n_jobs, **params)
