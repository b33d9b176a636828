"""Union of the candidates of several runs."""

import numpy as np

from sklrank._kernels._fusion import unite
from sklrank._ragged import lengths_to_indptr
from sklrank.data._documents import DocumentIds
from sklrank.data._pairs import positions_by_id
from sklrank.data._queries import concatenate_queries


def united(runs):
    """Return the candidates of runs, sorted by row, with their score and rank in each run.

    Parameters
    ----------
    runs : list of Run
        The runs; at least one. Queries are aligned by id if all runs have ids, else by position.

    Returns
    -------
    queries : Queries
    documents : Corpus or DocumentIds
    indptr, rows : ndarray of int64
    scores, ranks : ndarray of float64, shape (n_runs, n_entries)
        NaN for documents that the run does not have.
    """
    runs = _aligned(runs)
    documents, rows = _common_rows(runs)
    indptrs = np.stack([run.indptr for run in runs])
    scores = np.concatenate([run.scores for run in runs], dtype=np.float64)
    indptr, rows, scores, ranks = unite(indptrs, lengths_to_indptr(indptrs[:, -1]), np.concatenate(rows), scores)
    return runs[0].queries, documents, indptr, rows, scores, ranks


def _aligned(runs):
    """Return runs of the same queries: of all queries if all runs have ids, else by position."""
    if not all(run.has_ids for run in runs):
        lengths = list(map(len, runs))
        if len(set(lengths)) > 1:
            raise ValueError(
                f"runs of {lengths} queries: unless all have ids, they align by position, which requires equal numbers"
            )
        return runs
    known, parts = set(), []
    for run in runs:
        run._check_distinct_queries()
        new = [i for i, qid in enumerate(run.qids.tolist()) if qid not in known]
        known.update(run.qids.tolist())
        if len(new) == len(run):
            parts.append(run.queries)
        else:
            parts.append(run.queries[np.array(new, dtype=np.int64)])
    queries = parts[0]
    if any(map(len, parts[1:])):
        queries = concatenate_queries([part for part in parts if len(part)])
    if all(run.queries is queries for run in runs):
        return runs
    return [run._take_queries(positions_by_id(run.queries, queries), queries) for run in runs]


def _common_rows(runs):
    """Return documents that contain those of all `runs`, and the rows of each run in them."""
    if all(run.is_numbered and run.documents is runs[0].documents for run in runs):
        return runs[0].documents, [run.rows for run in runs]
    corpus = next((run.corpus for run in runs if run.corpus is not None), None)
    if corpus is None:
        docids = [run.flat_docids for run in runs]
        documents, rows = DocumentIds.factorize(np.concatenate(docids))
        return documents, np.split(rows, lengths_to_indptr(list(map(len, docids)))[1:-1])
    return corpus, [run.with_corpus(corpus).rows for run in runs]
