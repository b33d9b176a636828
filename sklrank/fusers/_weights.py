"""Weights of systems: the points of a grid, and the search for the best weights on training queries."""

from numbers import Real

import numpy as np

from sklrank._kernels._fusion_learned import place_hits
from sklrank._ragged import lengths_to_indptr, owners
from sklrank.data import Qrels, Run
from sklrank.data._ids import show
from sklrank.metrics import metric_from_name
from sklrank.metrics._average import aggregate
from sklrank.metrics._judged import Judged, align, check_same_queries

_MOST_POINTS = 300  # a lattice with at most so many points is searched completely: four systems in tenths have 286


def simplex_grid(names, step=0.1):
    """List all weights of systems that are multiples of `step` and sum to 1, for a grid search.

    Parameters
    ----------
    names : sequence of str
        Names of the score columns.
    step : float, default=0.1
        Distance between neighbouring weights, 1 divided by a whole number.

    Returns
    -------
    list of dict of str to float
        Values for the parameter ``weights`` of a fuser.

    See Also
    --------
    ReciprocalRankFuser : Takes the weights, as the other fusers do.

    Notes
    -----
    The weights are counted in whole numbers, so that no point is lost to rounding. For `n` systems and a step of 1 / m,
    there are (m + n - 1)! / (m! (n - 1)!) points: 11, 66 and 286 for two, three and four systems in tenths. A system of
    weight 0 is left out.

    Examples
    --------
    >>> from sklrank.fusers import simplex_grid
    >>> simplex_grid(["bm25", "lsa"], step=0.5)
    [{'bm25': 1.0, 'lsa': 0.0}, {'bm25': 0.5, 'lsa': 0.5}, {'bm25': 0.0, 'lsa': 1.0}]
    >>> len(simplex_grid(["bm25", "lsa", "splade"], step=0.1))
    66
    """
    names = _check_names(names)
    n_units = _units(step)
    return [dict(zip(names, _weights(units))) for units in _lattice(len(names), n_units)]


def _check_names(names):
    if isinstance(names, str):
        raise TypeError(f"expected names to be a sequence of str, got one str, {names!r}")
    names = list(names)
    others = [name for name in names if not isinstance(name, str)]
    if others:
        raise TypeError(f"expected names of systems to be str, got {show(others)}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"expected one or more names of systems that all differ, got {names}")
    return names


def _units(step):
    """Return the number of steps that make 1."""
    if not isinstance(step, Real) or isinstance(step, bool) or not 0 < step <= 1:
        raise ValueError(f"expected step to be a number above 0, and at most 1, got {step!r}")
    n_units = round(1 / step)
    if abs(n_units * step - 1) > 1e-9:
        raise ValueError(f"step={step!r} does not divide 1; the nearest number that does is {1 / n_units:g}")
    return n_units


def _lattice(n, total):
    """Iterate over all lists of `n` whole numbers that sum to `total`, in descending order of the first number."""
    if n == 1:
        yield [total]
        return
    for first in range(total, -1, -1):
        for rest in _lattice(n - 1, total - first):
            yield [first, *rest]


def _weights(units):
    total = sum(units)
    return [unit / total for unit in units]


def judge(run, y):
    """Align judgments with candidates, which may have no order.

    Parameters
    ----------
    run : Run
        Candidates.
    y : Qrels, list of dict, or whatever judgments are made from
        Relevance judgments. The i-th are those of the i-th query, or a dict holds them by the ids of the queries.

    Returns
    -------
    Judged
        The hits of query i are entries of query i of the run.
    """
    if isinstance(y, dict):
        y = Qrels(y).align(run.queries)
    check_same_queries(y, run)
    unordered = Run.from_ragged(
        run.indptr, run.rows, np.zeros(len(run.rows), dtype=np.float32), queries=run.queries, corpus=run.documents
    )
    judged = align(y, unordered)
    if len(judged) != len(run):
        raise ValueError(f"judgments of {len(judged)} queries for {len(run)} queries")
    if not judged.has_judgments.any():
        raise ValueError("there is nothing to learn from, because no query has a judgment")
    return judged


class _Measured:
    """Metric of candidates as a function of their scores. Its time depends on the number of judged documents."""

    def __init__(self, run, y, metric):
        self.run = run
        self.y = y
        if not callable(metric):
            metric = metric_from_name(metric)
        self.metric = metric
        self.by_hits = hasattr(self.metric, "values")
        if self.by_hits:
            self.judged = judged = judge(run, y)
            self.hit_queries = owners(judged.hit_indptr)
            self.hit_places = run.indptr[self.hit_queries] + judged.hit_positions
            self.rows = np.ascontiguousarray(run.rows)
            self.queries = owners(run.indptr)

    def __call__(self, scores):
        """Return the value of the metric if the candidates are ranked by `scores`."""
        if not self.by_hits:
            return float(self.metric(self.y, self.run.reorder(scores)))
        kept = ~np.isnan(scores)
        judged = self.judged
        positions = np.empty(len(self.hit_places), dtype=np.int64)
        scores = np.ascontiguousarray(scores, dtype=np.float64)
        place_hits(self.run.indptr, self.rows, scores, judged.hit_indptr, self.hit_places, positions)
        order = np.lexsort((positions, self.hit_queries))
        hit_indptr, n_ranked = judged.hit_indptr, judged.n_retrieved
        if not kept.all():
            order = order[kept[self.hit_places[order]]]
            hit_indptr = lengths_to_indptr(np.bincount(self.hit_queries[order], minlength=len(judged)))
            n_ranked = np.bincount(self.queries[kept], minlength=len(judged))
        ranked = Judged(
            judged.qids, judged.indptr, judged.grades, judged.in_run, n_ranked, hit_indptr, positions[order],
            judged.hit_entries[order], judged.topics,
        )  # fmt: skip
        values, counted = self.metric.values(ranked)
        return aggregate(values, counted, self.metric.how)


def learn_weights(fuse, names, run, y, *, metric="ndcg@10", step=0.1, search="auto"):
    """Find the weights of systems that rank the training queries best.

    Parameters
    ----------
    fuse : callable
        Function that returns the fused score of each entry of `run`, NaN to leave it out. Its argument is an array of
        weights that sum to 1, shape (n_systems,).
    names : sequence of str
        Names of the systems.
    run : Run
        Candidates of the training queries.
    y : Qrels, list of dict, or whatever judgments are made from
        Relevance judgments.
    metric : str, Metric or callable, default="ndcg@10"
        Metric that learned weights maximize. It is the name of a metric, or a function of judgments and a run.
    step : float, default=0.1
        Distance between neighbouring weights.
    search : {"auto", "simplex", "coordinate"}, default="auto"
        "simplex" tries all points of `simplex_grid`. "coordinate" starts with equal weights, and moves weight from one
        system to another as long as that improves the metric, each time by the best move. "auto" is "simplex" if there
        are at most 300 points.

    Returns
    -------
    weights : dict of str to float
        The best weights; among equally good ones, the most even.
    value : float
        Value of the metric on the training queries.
    """
    names, n_units = _check_names(names), _units(step)
    measured = _Measured(run, y, metric)
    known = {}

    def goodness(units):
        """Return the value of the metric, and a number that is higher for more even weights."""
        if units not in known:
            value = measured(fuse(np.array(_weights(units))))
            if np.isnan(value):
                value = -np.inf
            known[units] = (value, -sum(unit * unit for unit in units))
        return known[units]

    is_small = _n_points(len(names), n_units) <= _MOST_POINTS
    if search == "simplex" or search == "auto" and is_small:
        best = max(map(tuple, _lattice(len(names), n_units)), key=goodness)
    else:
        best = _climb(_even(len(names), n_units), goodness)
    return dict(zip(names, _weights(best))), known[best][0]


def _n_points(n, total):
    points = 1
    for i in range(1, n):
        points = points * (total + i) // i
    return points


def _even(n, total):
    """Return the most even point of the lattice."""
    return tuple(total // n + (i < total % n) for i in range(n))


def _climb(units, goodness):
    """Move from one point to its best neighbour, until no neighbour is better."""
    while True:
        n = len(units)
        moves = [(i, j, by) for i in range(n) for j in range(n) if i != j for by in {1, units[i]} if 0 < by <= units[i]]
        near = [tuple(u - by * (s == i) + by * (s == j) for s, u in enumerate(units)) for i, j, by in moves]
        best = max(near, key=goodness, default=units)
        if goodness(best) <= goodness(units):
            return units
        units = best
