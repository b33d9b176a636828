"""Input of runs: rankings are read from frames, checked and ordered."""

import numpy as np

from sklrank.data._columns import check_score_columns
from sklrank.data._frames import as_list, frame_columns, pick_column
from sklrank.data._ids import as_id_list, show
from sklrank.data._order import descend_ties, rank
from sklrank.data._pairs import chosen
from sklrank.data._shapes import as_numbers, pair_of, pairs_of_columns

_QUERY_NAMES = ("qid", "query_id", "query-id", "q_id", "query")
_DOC_NAMES = ("docid", "doc_id", "docno", "corpus-id", "doc")
_SCORE_NAMES = ("score", "similarity")
_TIES = ("trec_eval", "row")


def frame_pairs(frame, query=None, doc=None, score=None, columns=()):
    """Return the rankings of a data frame as `as_pairs` does, and the score columns and their ranks."""
    if isinstance(columns, str):
        columns = [columns]
    names = as_list(columns, "column name")
    check_score_columns(names)
    given = frame_columns(frame)
    qids = as_id_list(given[pick_column(given, query, _QUERY_NAMES, "query")], "query")
    docids = as_id_list(given[pick_column(given, doc, _DOC_NAMES, "doc")], "document")
    others = {name: values for name, values in given.items() if name not in names}
    has_score = not names or score is not None or any(name in others for name in _SCORE_NAMES)
    scores = None
    if has_score:
        scores = as_scores(given[pick_column(others, score, _SCORE_NAMES, "score")])
    ranks = [name for name in names if f"{name}_rank" in others]
    taken = [pick_column(given, name, (), "columns") for name in names] + [f"{name}_rank" for name in ranks]
    taken = [as_numbers(given[name], f"values of {name!r}") for name in taken]
    found, indptr, docids, order, _ = pairs_of_columns(qids, docids, np.arange(len(qids), dtype=np.int64))
    scores, *taken = (chosen(values, order) for values in (scores, *taken))
    return found, indptr, docids, scores, (dict(zip(names, taken)), dict(zip(ranks, taken[len(names) :])))


def ranked(queries, indptr, docids, scores, ties, higher_is_better, score_dtype):
    """Order entries with document ids.

    Returns
    -------
    indptr, docids, scores : ndarray
        If `scores` is None, the scores are None.
    entries : ndarray of int64, or slice
        Positions of the entries in their new order.
    """
    if scores is None:
        return indptr, docids, None, slice(None)
    if not higher_is_better:
        scores = -scores
    check_scores(scores, queries, indptr, docids)
    with np.errstate(over="ignore"):  # numbers beyond float32 become infinite, as in trec_eval
        scores = scores.astype(score_dtype)
    entries, _, scores = rank(indptr, scores)
    if ties == "trec_eval":
        entries = descend_ties(indptr, scores, entries, docids)
    return indptr, docids[entries], scores, entries


def check_options(ties, score_dtype):
    """Raise a ValueError that shows the valid values if an option is wrong."""
    if ties not in _TIES:
        raise ValueError(f"ties={ties!r}; expected one of {_TIES}")
    if score_dtype not in ("float32", "float64"):
        raise ValueError(f"score_dtype={score_dtype!r}; expected 'float32' or 'float64'")


def as_scores(values, what="scores"):
    """Return scores as an array of float32 or float64; such an array is returned unchanged."""
    if isinstance(values, np.ndarray) and values.dtype in (np.float32, np.float64):
        return values
    return as_numbers(values, what)


def check_scores(scores, queries, indptr, docs):
    """Raise a ValueError that shows the first pairs with a score of NaN."""
    if np.isnan(scores).any():
        bad = np.flatnonzero(np.isnan(scores)).tolist()
        pairs = [pair_of(queries, indptr, docs, entry) for entry in bad]
        raise ValueError(f"{len(bad)} scores are NaN, which cannot be ranked; (query, document): {show(pairs)}")
