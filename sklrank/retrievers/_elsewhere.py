"""Runs of what engines found that are not in this process."""

import numpy as np

from sklrank._ragged import lengths_to_indptr
from sklrank.data import Run
from sklrank.data._documents import DocumentIds
from sklrank.data._order import rank


def run_of(found, queries, corpus, rows_of, k, name):
    """The run of rankings that came with ids, ordered by score and cut at `k`.

    Equal scores are in the order of the corpus; without one, in the order in which they came.

    Parameters
    ----------
    found : list of (ids, scores)
        Two arrays for each query.
    queries : Queries
    corpus : Corpus or None
        The documents; ``None``: those that were found.
    rows_of : callable
        Takes ids, gives their rows in the corpus.
    k : int
        The cutoff.
    name : str
        Name of the run.

    Returns
    -------
    Run
    """
    indptr = lengths_to_indptr([len(scores) for _, scores in found])
    ids = np.concatenate([ids for ids, _ in found]) if found else np.empty(0, dtype=object)
    scores = np.concatenate([scores for _, scores in found]) if found else np.empty(0, dtype=np.float32)
    rows = None if corpus is None else rows_of(ids)
    order, indptr, scores = rank(indptr, scores, rows, k)
    if corpus is None:  # numbered when they are in order, which must not depend on what other queries found
        corpus, rows = DocumentIds.factorize(ids[order])
    else:
        rows = rows[order]
    return Run.from_ragged(indptr, rows, scores, queries=queries, corpus=corpus, name=name, k=k)
