"""Readers of TREC files."""

from sklrank.data import Qrels, Run


def read_trec_qrels(path, *, subtopics=False, corpus=None):
    r"""Read judgments from a TREC file of lines ``qid iteration docid grade``.

    Parameters
    ----------
    path : str or path
        The file; through gzip where its name ends in ``.gz``.
    subtopics : bool, default=False
        Whether the second column holds subtopics.
    corpus : Corpus, default=None
        The documents; ``None``: those that the file names.

    Returns
    -------
    qrels : Qrels

    Raises
    ------
    ValueError
        If a line is not of that form; the message starts with the file and the line.

    See Also
    --------
    sklrank.Qrels.from_trec : The same, as a constructor.

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
        The file; through gzip where its name ends in ``.gz``. As in trec_eval, its rank column says nothing.
    corpus : Corpus, default=None
        The documents; ``None``: those that the file names.
    name : str, default=None
        Name of the run; ``None``: the tag in the file.
    ties : {"trec_eval", "row"}, default="trec_eval"
        How documents of equal score are ordered: docid descending, as in trec_eval, or as in the file.
    score_dtype : {"float32", "float64"}, default="float32"
        Precision in which scores are compared: trec_eval 9 has float32, trec_eval 10 float64.

    Returns
    -------
    run : Run

    Raises
    ------
    ValueError
        If a line is not of that form, or a document stands twice; the message starts with the file.

    See Also
    --------
    sklrank.Run.from_trec : The same, as a constructor.

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
