"""Why a fused document stands where it does."""

from copy import copy
from dataclasses import dataclass

import numpy as np

from sklrank.data import Run
from sklrank.data._frames import frame_like
from sklrank.data._ids import show

_FIELDS = ("system", "rank", "score", "normalized", "contribution")


@dataclass(frozen=True)
class FusionExplanation:
    """The fused score of a document, system by system.

    Attributes
    ----------
    qid : str
        The query.
    docid : str
        The document.
    score : float
        Its fused score.
    rank : int
        Its rank in the fused list.
    fuser : str
        How it was fused.
    systems : list of dict
        For each system: ``system``, ``rank`` and ``score`` in its own list, the ``normalized`` score where the method
        looks at scores, and the ``contribution`` to the fused score. Where the system did not find the document, rank
        and score are None, and the contribution is what the method gives to missing documents, None where that is
        nothing.

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
        """One row a system.

        Returns
        -------
        DataFrame
            Of pandas where it is installed, else of polars.
        """
        return frame_like({name: [system[name] for system in self.systems] for name in _FIELDS})

    def __str__(self):
        scored = any(system["normalized"] is not None for system in self.systems)
        fields = [name for name in _FIELDS if scored or name != "normalized"]
        rows = [fields, *([_shown(system[name]) for name in fields] for system in self.systems)]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        head = f"{self.score:.6g}  {self.docid}, rank {self.rank} for {self.qid}, by {self.fuser}"
        return "\n  ".join([head, *lines])


def explain(run, qid, docid, *, fuser=None):
    """Take the fused score of a document apart: what each system says of it, and what that adds.

    Parameters
    ----------
    run : Run
        What a fuser or `fuse` returned, or candidates with a score column for each system.
    qid : str
        The query.
    docid : str
        The document.
    fuser : Fuser, default=None
        How to fuse; ``None``: as `run` was fused.

    Returns
    -------
    FusionExplanation
        It prints as a table.

    See Also
    --------
    diagnose : All queries.

    Notes
    -----
    The contributions of methods that add up sum to the score. Those of others, such as medians and majorities, are not
    told; rank and score of each system still are.

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
    fuser = run.source if fuser is None else fuser
    if fuser is None:
        raise ValueError("nobody has fused this run: say how, fuser=ReciprocalRankFuser()")
    fuser, qid, docid = copy(fuser), str(qid), str(docid)
    fuser.k = None  # the rank is that among all candidates
    i, row = _find(run, qid, docid)
    one = run[i : i + 1]
    position = int(np.flatnonzero(one.rows == row)[0])
    columns = getattr(fuser, "columns_", one.columns)
    candidates = Run.from_ragged(
        one.indptr,
        one.rows,
        None,
        queries=one.queries,
        corpus=one.documents,
        columns={name: one.column(name) for name in columns},
        column_ranks={name: one.column_ranks(name) for name in columns},
    )
    fused = fuser.transform(candidates)
    place = np.flatnonzero(fused.rows == row)
    if not len(place):
        raise ValueError(f"{docid!r} is left out: the systems that found it for {qid!r} have weight 0")
    score = float(fused.scores[place[0]])
    if one.has_order and one.name == fuser._stage and not np.isclose(one.scores[position], score, rtol=1e-6, atol=1e-9):
        raise ValueError(
            f"the run was cut when it was fused, so that the norms of its lists are lost: {docid!r} had "
            f"{one.scores[position]:g}, and would now have {score:g}. Explain the candidates, with fuser="
        )
    normalized, added = fuser.contributions(candidates)
    systems = []
    for s, name in enumerate(columns):
        values = (
            one.column_ranks(name)[position],
            one.column(name)[position],
            normalized[s, position],
            added[s, position],
        )
        rank, *values = (None if np.isnan(value) else float(value) for value in values)
        systems.append(dict(zip(_FIELDS, (name, None if rank is None else int(rank), *values))))
    return FusionExplanation(qid, docid, score, int(place[0]) + 1, " ".join(repr(fuser).split()), systems)


def _find(run, qid, docid):
    """Position of a query in a run, and row of one of its documents."""
    found = np.flatnonzero(run.qids == qid)
    if not len(found):
        raise ValueError(f"there is no query {qid!r} in the run; it has {show(run.qids)}")
    i = int(found[0])
    entries = slice(run.indptr[i], run.indptr[i + 1])
    rows = run.rows[entries]
    place = np.flatnonzero(run.documents.docids(rows) == docid)
    if not len(place):
        raise ValueError(f"{docid!r} is no candidate of query {qid!r}: none of the systems found it")
    return i, int(rows[place[0]])


def _shown(value):
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.6g}"
