"""Texts of queries and candidates, for rerankers that read them."""

import numpy as np


def query_texts(run):
    """Texts of the queries; ValueError where the run has none."""
    if "text" not in run.queries.columns:
        raise ValueError(
            "the reranker reads the texts of the queries, and of these only "
            f"{'the ids are' if run.has_ids else 'the number is'} known: a retriever passes them on; a run from "
            "elsewhere takes them as Run(rankings, queries=Queries(...), corpus=...)"
        )
    return run.queries.texts


def corpus_of(run):
    """The corpus of a run; ValueError where it has none."""
    if run.corpus is None:
        raise ValueError("the reranker reads the documents, and this run has ids alone: run.with_corpus(corpus)")
    return run.corpus


def document_texts(run, field=None):
    """Texts of the distinct documents of a run, and which of them each entry is.

    Parameters
    ----------
    run : Run
    field : str or sequence of str, default=None
        Columns of the corpus.

    Returns
    -------
    texts : list of str
    which : ndarray of int64, shape (n_entries,)
    """
    rows, which = np.unique(run.rows, return_inverse=True)
    return corpus_of(run).text(field)[rows].tolist(), which
