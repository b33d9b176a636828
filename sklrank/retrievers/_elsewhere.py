"""Runs from the rankings of engines outside this process."""

import numpy as np

from sklrank._ragged import lengths_to_indptr
from sklrank.data import Run
from sklrank.data._documents import DocumentIds
from sklrank.data._order import rank


def run_of(found, queries, corpus, rows_of, k, name):
    """Make a run of rankings with ids: ordered by score, and cut at `k`.

    Equal scores are in the order of the corpus; without a corpus, in the order in which they were given.

    Parameters
    ----------
    found : list of (ids, scores)
        Two arrays per query.
    queries : Queries
    corpus : Corpus or None
        The documents. If None, they are the documents that were found.
    rows_of : callable
        Takes ids, and returns their rows in the corpus.
    k : int
        Maximum number of documents per query.
    name : str
        Name of the run.

    Returns
    -------
    Run
    """
    indptr = lengths_to_indptr([len(scores) for _, scores in found])
    if found:
        ids, scores = (np.concatenate(parts) for parts in zip(*found))
    else:
        ids, scores = np.empty(0, dtype=object), np.empty(0, dtype=np.float32)
    if corpus is None:
        order, indptr, scores = rank(indptr, scores, None, k)
        # Documents are numbered after they are ordered: the order must not depend on the other queries.
        corpus, rows = DocumentIds.factorize(ids[order])
    else:
        rows = rows_of(ids)
        order, indptr, scores = rank(indptr, scores, rows, k)
        rows = rows[order]
    return Run.from_ragged(indptr, rows, scores, queries=queries, corpus=corpus, name=name, k=k)
