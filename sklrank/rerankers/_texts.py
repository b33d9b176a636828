"""Texts of queries and candidates, for rerankers that read texts."""

import numpy as np


def query_texts(run):
    """Return the texts of the queries of a run; ValueError if the run has none."""
    if "text" not in run.queries.columns:
        known = "number"
        if run.has_ids:
            known = "ids"
        raise ValueError(
            f"the reranker reads the texts of the queries, but the run has only their {known}; a retriever passes the "
            "texts on, and a run from elsewhere takes them as Run(rankings, queries=Queries(...), corpus=...)"
        )
    return run.queries.texts


def corpus_of(run):
    """Return the corpus of a run; ValueError if it has none."""
    if run.corpus is None:
        raise ValueError(
            "the reranker reads the documents, but the run has only their ids: run.with_corpus(corpus) adds them"
        )
    return run.corpus


def hashable_field(field):
    """Return a parameter `field` as a part of a key: a list of columns becomes a tuple."""
    if field is None or isinstance(field, str):
        return field
    return tuple(field)


def document_texts(run, field=None):
    """Return the texts of the distinct documents of a run.

    Parameters
    ----------
    run : Run
        Candidates.
    field : str or sequence of str, default=None
        Columns of the corpus to read.

    Returns
    -------
    texts : list of str
        Texts of the distinct documents.
    which : ndarray of int64, shape (n_entries,)
        Position in `texts` of the document of each entry.
    """
    rows, which = np.unique(run.rows, return_inverse=True)
    return corpus_of(run).text(field, rows=rows).tolist(), which
