"""Rankings on their way into a run: read from frames, checked and ordered."""

import numpy as np

from sklrank.data._columns import check_score_columns
from sklrank.data._frames import as_list, frame_columns, pick_column
from sklrank.data._ids import as_id_list, show
from sklrank.data._order import descend_ties, rank
from sklrank.data._shapes import as_numbers, pair_of, pairs_of_columns

_QUERY_NAMES = ("qid", "query_id", "query-id", "q_id", "query")
_DOC_NAMES = ("docid", "doc_id", "docno", "corpus-id", "doc")
_SCORE_NAMES = ("score", "similarity")
_TIES = ("trec_eval", "row")


def frame_pairs(frame, query=None, doc=None, score=None, columns=()):
    """Rankings of a data frame: as from `as_pairs`, and the score columns and their ranks."""
    names = as_list((columns,) if isinstance(columns, str) else columns, "column name")
    check_score_columns(names)
    given = frame_columns(frame)
    qids = as_id_list(given[pick_column(given, query, _QUERY_NAMES, "query")], "query")
    docids = as_id_list(given[pick_column(given, doc, _DOC_NAMES, "doc")], "document")
    others = {name: values for name, values in given.items() if name not in names}
    has_score = not names or score is not None or any(name in others for name in _SCORE_NAMES)
    scores = as_scores(given[pick_column(others, score, _SCORE_NAMES, "score")]) if has_score else None
    ranks = [name for name in names if f"{name}_rank" in others]
    taken = [pick_column(given, name, (), "columns") for name in names] + [f"{name}_rank" for name in ranks]
    taken = [as_numbers(given[name], f"values of {name!r}") for name in taken]
    found, indptr, docids, order, _ = pairs_of_columns(qids, docids, np.arange(len(qids)))
    scores, *taken = [None if values is None else values[order] for values in (scores, *taken)]
    return found, indptr, docids, scores, (dict(zip(names, taken)), dict(zip(ranks, taken[len(names) :])))


def ranked(queries, indptr, docids, scores, ties, higher_is_better, score_dtype):
    """Order entries that are keyed by ids.

    Returns
    -------
    indptr, docids, scores : ndarray
        Scores are None if they are None.
    entries : ndarray of int64, or slice
        The entries in their new order.
    """
    if scores is None:
        return indptr, docids, None, slice(None)
    scores = scores if higher_is_better else -scores
    check_scores(scores, queries, indptr, docids)
    with np.errstate(over="ignore"):  # beyond float32 is infinity, as in trec_eval
        scores = scores.astype(score_dtype)
    entries, _, scores = rank(indptr, scores)
    if ties == "trec_eval":
        entries = descend_ties(indptr, scores, entries, docids)
    return indptr, docids[entries], scores, entries


def check_options(ties, score_dtype):
    """Raise ValueError that shows what an option can be."""
    if ties not in _TIES:
        raise ValueError(f"ties={ties!r}; it is one of {_TIES}")
    if score_dtype not in ("float32", "float64"):
        raise ValueError(f"score_dtype={score_dtype!r}; it is 'float32' or 'float64'")


def as_scores(values, what="scores"):
    """Scores as an array of float32 or float64; one of these is returned as it is."""
    if isinstance(values, np.ndarray) and values.dtype in (np.float32, np.float64):
        return values
    return as_numbers(values, what)


def check_scores(scores, queries, indptr, docs):
    """Raise ValueError that shows the first pairs whose score is NaN."""
    if np.isnan(scores).any():
        bad = np.flatnonzero(np.isnan(scores)).tolist()
        pairs = [pair_of(queries, indptr, docs, e) for e in bad]
        raise ValueError(f"{len(bad)} scores are NaN, which ranks nowhere; (query, document): {show(pairs)}")
