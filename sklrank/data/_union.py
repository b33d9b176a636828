"""The candidates of several runs, united."""

import numpy as np

from sklrank._kernels._fusion import unite
from sklrank._ragged import lengths_to_indptr
from sklrank.data._documents import DocumentIds
from sklrank.data._pairs import positions_by_id
from sklrank.data._queries import concatenate_queries


def united(runs):
    """Candidates of runs, by row, with the score and the rank that each run gives them.

    Parameters
    ----------
    runs : list of Run
        At least one. Queries align by id if all have ids, else by position.

    Returns
    -------
    queries : Queries
    documents : Corpus or DocumentIds
    indptr, rows : ndarray of int64
    scores, ranks : ndarray of float64, shape (n_runs, n_entries)
        NaN if the run lacks the document.
    """
    runs = _aligned(runs)
    documents, rows = _common_rows(runs)
    indptrs = np.stack([run.indptr for run in runs])
    scores = np.concatenate([run.scores for run in runs], dtype=np.float64)
    indptr, rows, scores, ranks = unite(indptrs, lengths_to_indptr(indptrs[:, -1]), np.concatenate(rows), scores)
    return runs[0].queries, documents, indptr, rows, scores, ranks


def _aligned(runs):
    """Runs brought to the same queries: to all that some run has if all have ids, else by position."""
    if not all(run.has_ids for run in runs):
        lengths = list(map(len, runs))
        if len(set(lengths)) > 1:
            raise ValueError(f"runs of {lengths} queries: without ids in all of them they align by position")
        return runs
    known, parts = set(), []
    for run in runs:
        run._check_distinct_queries()
        new = [i for i, qid in enumerate(run.qids.tolist()) if qid not in known]
        known.update(run.qids.tolist())
        parts.append(run.queries if len(new) == len(run) else run.queries[np.array(new, dtype=np.int64)])
    queries = concatenate_queries([part for part in parts if len(part)]) if any(map(len, parts[1:])) else parts[0]
    if all(run.queries is queries for run in runs):
        return runs
    return [run._take_queries(positions_by_id(run.queries, queries), queries) for run in runs]


def _common_rows(runs):
    """The documents that the rows of all `runs` can refer to, and those rows."""
    documents = runs[0].documents if runs[0].is_numbered else None
    if documents is not None and all(run.is_numbered and run.documents is documents for run in runs):
        return documents, [run.rows for run in runs]
    corpus = next((run.corpus for run in runs if run.corpus is not None), None)
    docids = [run.flat_docids for run in runs]
    if corpus is None:
        documents, rows = DocumentIds.factorize(np.concatenate(docids))
        return documents, np.split(rows, lengths_to_indptr(list(map(len, docids)))[1:-1])
    return corpus, [run.rows if run.corpus is corpus else corpus.rows(ids) for run, ids in zip(runs, docids)]
