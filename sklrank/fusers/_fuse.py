"""Fuse runs in one call."""

from difflib import get_close_matches

from sklearn.base import clone
from sklearn.utils import get_tags

from sklrank.base import Fuser
from sklrank.data import Qrels, Run
from sklrank.fusers._base_fuser import check_columns
from sklrank.fusers._probabilistic import METHODS as PROBABILISTIC_METHODS
from sklrank.fusers._probabilistic import ProbabilisticFuser
from sklrank.fusers._rank import METHODS as RANK_METHODS
from sklrank.fusers._rank import RankFuser
from sklrank.fusers._reciprocal_rank import ReciprocalRankFuser
from sklrank.fusers._score import METHODS as SCORE_METHODS
from sklrank.fusers._score import ScoreFuser

_ALIASES = {"linear": "weighted", "wsum": "weighted", "med": "median", "bordafuse": "borda"}  # of other tools


def _methods():
    """Return for each method its fuser, and its name in that fuser."""
    methods = {"rrf": (ReciprocalRankFuser, None)}
    for kind, table in (
        (ScoreFuser, SCORE_METHODS),
        (RankFuser, RANK_METHODS),
        (ProbabilisticFuser, PROBABILISTIC_METHODS),
    ):
        for method in sorted(table):
            name = method
            if name in methods:
                name = f"rank_{method}"
            methods[name] = (kind, method)
    return methods


METHODS = _methods()


def make_fuser(method, params):
    """Make the fuser of a method.

    Parameters
    ----------
    method : str or Fuser
        Name of the method, or a fuser, which is returned unchanged.
    params : dict
        Parameters of the fuser.

    Returns
    -------
    Fuser
    """
    if isinstance(method, Fuser):
        if params:
            raise TypeError(
                f"{type(method).__name__} already has its parameters; leave these out, or set them on it: "
                f"{', '.join(params)}"
            )
        return method
    if not isinstance(method, str):
        raise TypeError(
            f"expected method to be a name, such as 'rrf', or a fuser; got {method!r} of type {type(method).__name__}"
        )
    name = _ALIASES.get(method, method)
    if name not in METHODS:
        near = get_close_matches(name, [*METHODS, *_ALIASES], n=2, cutoff=0.5)
        hint = ""
        if near:
            hint = f" Did you mean {' or '.join(map(repr, near))}?"
        raise ValueError(f"there is no method {method!r}.{hint} There are {', '.join(METHODS)}")
    kind, name = METHODS[name]
    if name is not None:
        params = {"method": name, **params}
    unknown = sorted(set(params) - set(kind().get_params()))
    if unknown:
        known = sorted(set(kind().get_params()) - {"method"})
        raise TypeError(f"method {method!r} has no parameter {unknown[0]!r}; it has {', '.join(known)}")
    return kind(**params)


def fuse(runs, method="rrf", *, y=None, **params):
    """Fuse runs: unite their candidates, and rank them by the ranks or scores in all runs.

    Parameters
    ----------
    runs : dict of str to Run, or Run
        Runs by name, or candidates with a score column for each system. Queries are aligned by id if all runs have
        ids, otherwise by position.
    method : str or Fuser, default="rrf"
        Name of the method: ``"rrf"``, or a method of `ScoreFuser`, `RankFuser` or `ProbabilisticFuser`. The "median" of
        `RankFuser` is named ``"rank_median"`` here. A fuser is also accepted; if it learns, it must be fitted, or `y`
        must be given.
    y : Qrels or whatever they are made from, default=None
        Relevance judgments. A method that learns is fitted on them; evaluate such a fusion on other queries.
    **params : dict
        Parameters of the fuser, such as ``rank_constant``, ``weights``, ``norm`` and ``k``.

    Returns
    -------
    Run

    See Also
    --------
    ReciprocalRankFuser, RankFuser, ScoreFuser, ProbabilisticFuser : Estimators, for pipelines and parameter searches.
    sklrank.inspection.diagnose : Tells whether fusing is likely to help.

    Examples
    --------
    >>> from sklrank import Run
    >>> from sklrank.fusers import fuse
    >>> bm25 = Run({"q": {"a": 9.0, "b": 5.0, "c": 4.0}})
    >>> dense = Run({"q": {"b": 0.9, "d": 0.7}})
    >>> fuse({"bm25": bm25, "dense": dense}).docids
    [['b', 'a', 'd', 'c']]
    >>> fuse({"bm25": bm25, "dense": dense}, "sum", norm="min-max", weights={"bm25": 1, "dense": 0.5}, k=2).docids
    [['a', 'b']]
    """
    union = runs
    if isinstance(runs, dict):
        union = Run.union(runs)
    check_columns(union)
    fuser = make_fuser(method, params)
    if y is not None:
        if not isinstance(y, Qrels):
            y = Qrels(y)
        return clone(fuser).fit(union, y.align(union.queries)).transform(union)
    if fuser is not method:
        if get_tags(fuser).requires_fit:
            raise ValueError(
                f"method {method!r} with these parameters learns from judgments: give y=, or a fitted fuser as method"
            )
        fuser.fit(union)
    return fuser.transform(union)
