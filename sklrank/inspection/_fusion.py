"""Explanation of the fused score of a document."""

from copy import copy
from dataclasses import dataclass

import numpy as np

from sklrank.data import Run
from sklrank.data._display import printable, table_lines
from sklrank.data._frames import frame_like
from sklrank.data._ids import show

_FIELDS = ("system", "rank", "score", "normalized", "contribution")


@dataclass(frozen=True)
class FusionExplanation:
    """Contributions of the systems to the fused score of a document, from `explain`.

    Attributes
    ----------
    qid : str
        Id of the query.
    docid : str
        Id of the document.
    score : float
        Fused score of the document.
    rank : int
        Rank of the document in the fused list.
    fuser : str
        Fuser, as it prints.
    systems : list of dict
        One for each system: ``system``, ``rank`` and ``score`` in the list of the system, the ``normalized`` score if
        the method uses scores, and the ``contribution`` to the fused score. If the system did not find the document,
        rank and score are None, and the contribution is that of a missing document, or None.

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.fusers import fuse
    >>> from sklrank.inspection import explain
    >>> fused = fuse({"bm25": Run({"q": ["a", "b"]}), "dense": Run({"q": ["b"]})}, "rrf", rank_constant=9)
    >>> explanation = explain(fused, "q", "a")
    >>> explanation.rank, explanation.score
    (2, 0.1)
    >>> [(system["system"], system["contribution"]) for system in explanation.systems]
    [('bm25', 0.1), ('dense', None)]
    """

    qid: str
    docid: str
    score: float
    rank: int
    fuser: str
    systems: list

    def to_frame(self):
        """Make a frame with one row for each system.

        Returns
        -------
        DataFrame
            A frame of pandas if it is installed, otherwise of polars.
        """
        return frame_like({name: [system[name] for system in self.systems] for name in _FIELDS})

    def __str__(self):
        scored = any(system["normalized"] is not None for system in self.systems)
        fields = [name for name in _FIELDS if scored or name != "normalized"]
        rows = [fields, *([_shown(system[name]) for name in fields] for system in self.systems)]
        title = f"{self.score:.6g}  {self.docid}, rank {self.rank} for {self.qid}, by {self.fuser}"
        return "\n  ".join([printable(title), *table_lines(rows)])


def explain(run, qid, docid, *, fuser=None):
    """Explain the fused score of a document: its rank and score in each system, and their contributions.

    Parameters
    ----------
    run : Run
        Fused candidates, from a fuser or `fuse`, or candidates with a score column for each system.
    qid : str
        Id of the query.
    docid : str
        Id of the document.
    fuser : Fuser, default=None
        Fuser. If None, it is the one that fused `run`.

    Returns
    -------
    FusionExplanation
        Explanation, which prints as a table.

    See Also
    --------
    diagnose : Diagnoses the fusion of all queries.

    Notes
    -----
    If the fused score is a sum, the contributions sum to it. Other methods, such as medians and majorities, and fusers
    without a method ``contributions`` have no contributions. The explanation then holds ranks and scores only.

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.fusers import fuse
    >>> from sklrank.inspection import explain
    >>> bm25 = Run({"q": {"a": 9.0, "b": 5.0, "c": 4.0}})
    >>> dense = Run({"q": {"b": 0.9, "d": 0.7}})
    >>> print(explain(fuse({"bm25": bm25, "dense": dense}, "sum"), "q", "b"))
    1.2  b, rank 1 for q, by ScoreFuser()
      system  rank  score  normalized  contribution
      bm25    2     5      0.2         0.2
      dense   1     0.9    1           1
    """
    if not isinstance(run, Run):
        raise TypeError(f"expected a Run, such as the result of predict, got a {type(run).__name__}")
    qid, docid = str(qid), str(docid)
    is_given = fuser is not None
    if not is_given:
        fuser = run.source
    if not hasattr(fuser, "transform"):
        if not run.columns:
            raise ValueError(
                "the run was not fused, because it has no score columns: call the method explain of its retriever, if "
                "it has one, or fuse several runs"
            )
        raise ValueError(
            "the run does not say how it was fused, because it is not the result of a fuser: explain the result of the "
            "fuser, before any reranker, or give fuser=, such as ReciprocalRankFuser()"
        )
    fuser = copy(fuser)
    if hasattr(fuser, "k"):
        fuser.k = None  # the rank is that among all candidates
    ranking, position = _find(run, qid, docid)
    candidates = _as_candidates(ranking, getattr(fuser, "columns_", ranking.columns))
    fused = fuser.transform(candidates)
    positions = np.flatnonzero(fused.rows == ranking.rows[position])
    if not len(positions):
        raise ValueError(f"{docid!r} is left out, because the systems that found it for {qid!r} have weight 0")
    score = float(fused.scores[positions[0]])
    if not is_given and not np.isclose(ranking.scores[position], score, rtol=1e-6, atol=1e-9):
        raise ValueError(
            f"the run was cut when it was fused, so the norms of its lists are lost: {docid!r} had the score "
            f"{ranking.scores[position]:g}, and would now have {score:g}; explain the candidates, with fuser="
        )
    systems = _systems(fuser, candidates, position)
    return FusionExplanation(qid, docid, score, int(positions[0]) + 1, " ".join(repr(fuser).split()), systems)


def _find(run, qid, docid):
    """Return the ranking of a query, and the position of a document in it."""
    found = np.flatnonzero(run.qids == qid)
    if not len(found):
        raise ValueError(f"there is no query {qid!r} in the run; it has {show(run.qids)}")
    ranking = run[found[:1]]
    positions = np.flatnonzero(ranking.flat_docids == docid)
    if not len(positions):
        raise ValueError(f"{docid!r} is not a candidate of query {qid!r}, because no system found it")
    return ranking, int(positions[0])


def _as_candidates(ranking, names):
    """Return the same documents without an order, with the named score columns."""
    return Run.from_ragged(
        ranking.indptr,
        ranking.rows,
        None,
        queries=ranking.queries,
        corpus=ranking.documents,
        columns={name: ranking.column(name) for name in names},
        column_ranks={name: ranking.column_ranks(name) for name in names},
    )


def _systems(fuser, candidates, position):
    """Return the rows of `FusionExplanation.systems` for the candidate at `position`."""
    normalized, added = np.full((2, len(candidates.columns), len(candidates.rows)), np.nan)
    if hasattr(fuser, "contributions"):
        normalized, added = fuser.contributions(candidates)
    rows = []
    for name, *arrays in zip(candidates.columns, normalized, added):
        arrays = candidates.column_ranks(name), candidates.column(name), *arrays
        row = dict(zip(_FIELDS, (name, *(_float_or_none(array[position]) for array in arrays))))
        if row["rank"] is not None:
            row["rank"] = int(row["rank"])
        rows.append(row)
    return rows


def _float_or_none(value):
    if np.isnan(value):
        return None
    return float(value)


def _shown(value):
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.6g}"
