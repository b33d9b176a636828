"""Readers of TREC files."""

from sklrank.data import Qrels, Run


def read_trec_qrels(path, *, subtopics=False, corpus=None):
    r"""Read judgments from a TREC file of lines ``qid iteration docid grade``.

    Parameters
    ----------
    path : str or path
        The file. A file ``.gz`` is decompressed.
    subtopics : bool, default=False
        Whether the second column holds subtopics.
    corpus : Corpus, default=None
        The documents. If None, the documents that the file names.

    Returns
    -------
    qrels : Qrels

    Raises
    ------
    ValueError
        If a line has another form. The message starts with the file and the line.

    See Also
    --------
    sklrank.Qrels.from_trec : Do the same as a constructor.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrank.datasets import read_trec_qrels
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "qrels.txt")
    ...     _ = path.write_text("301 0 FR1 1\n301 0 FR2 0\n302 0 FR2 2\n")
    ...     qrels = read_trec_qrels(path)
    >>> qrels.to_dict()
    {'301': {'FR1': 1, 'FR2': 0}, '302': {'FR2': 2}}
    """
    return Qrels.from_trec(path, subtopics=subtopics, corpus=corpus)


def read_trec_run(path, *, corpus=None, name=None, ties="trec_eval", score_dtype="float32"):
    r"""Read a run from a TREC file of lines ``qid Q0 docid rank score tag``.

    Parameters
    ----------
    path : str or path
        The file. A file ``.gz`` is decompressed. The rank column is ignored, as in trec_eval.
    corpus : Corpus, default=None
        The documents. If None, the documents that the file names.
    name : str, default=None
        Name of the run. If None, the tag in the file.
    ties : {"trec_eval", "row"}, default="trec_eval"
        Order of documents with equal scores: by docid, descending, as in trec_eval, or as in the file.
    score_dtype : {"float32", "float64"}, default="float32"
        Precision in which scores are compared: float32 as in trec_eval 9, or float64 as in trec_eval 10.

    Returns
    -------
    run : Run

    Raises
    ------
    ValueError
        If a line has another form, or a document occurs twice for a query. The message starts with the file.

    See Also
    --------
    sklrank.Run.from_trec : Do the same as a constructor.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrank.datasets import read_trec_run
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "bm25.run")
    ...     _ = path.write_text("301 Q0 FR2 1 7.5 bm25\n301 Q0 FR1 2 9.25 bm25\n")
    ...     run = read_trec_run(path)
    >>> run.name, run.docids
    ('bm25', [['FR1', 'FR2']])
    """
    return Run.from_trec(path, corpus=corpus, name=name, ties=ties, score_dtype=score_dtype)
