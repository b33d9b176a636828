"""Fusion in one call."""

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
    """Name of each method, its fuser, and the name that the fuser has for it."""
    methods = {"rrf": (ReciprocalRankFuser, None)}
    for kind, table in (
        (ScoreFuser, SCORE_METHODS),
        (RankFuser, RANK_METHODS),
        (ProbabilisticFuser, PROBABILISTIC_METHODS),
    ):
        for method in sorted(table):
            methods[f"rank_{method}" if method in methods else method] = (kind, method)
    return methods


METHODS = _methods()


def make_fuser(method, params):
    """The fuser that a name stands for.

    Parameters
    ----------
    method : str or Fuser
        A name, or a fuser, which is returned as it is.
    params : dict
        Parameters of the fuser.

    Returns
    -------
    Fuser
    """
    if isinstance(method, Fuser):
        if params:
            raise TypeError(f"{type(method).__name__} has its parameters; these are too many: {', '.join(params)}")
        return method
    if not isinstance(method, str):
        raise TypeError(f"method is a name, such as 'rrf', or a fuser; got {method!r} of type {type(method).__name__}")
    name = _ALIASES.get(method, method)
    if name not in METHODS:
        near = get_close_matches(name, [*METHODS, *_ALIASES], n=2, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(f"there is no method {method!r}.{hint} There are {', '.join(METHODS)}")
    kind, name = METHODS[name]
    params = params if name is None else {"method": name, **params}
    unknown = sorted(set(params) - set(kind().get_params()))
    if unknown:
        known = sorted(set(kind().get_params()) - {"method"})
        raise TypeError(f"method {method!r} has no parameter {unknown[0]!r}; it has {', '.join(known)}")
    return kind(**params)


def fuse(runs, method="rrf", *, y=None, **params):
    """Fuse runs: unite their candidates, and rank these by what all systems say.

    Parameters
    ----------
    runs : dict of str to Run, or Run
        The runs by name, or candidates with a score column for each system. Queries align by id if all runs have
        ids, else by position.
    method : str or Fuser, default="rrf"
        ``"rrf"``, or a method of `ScoreFuser`, `RankFuser` or `ProbabilisticFuser`; ``"rank_median"`` is that of
        `RankFuser`. A fuser is taken as it is; one that learns comes fitted, or learns from `y`.
    y : Qrels or whatever they are made from, default=None
        Judgments of these queries, for what learns from them. A run is then to be measured on other queries.
    **params : dict
        Parameters of the fuser, such as ``rank_constant``, ``weights``, ``norm`` and ``k``.

    Returns
    -------
    Run

    See Also
    --------
    ReciprocalRankFuser, RankFuser, ScoreFuser, ProbabilisticFuser : The same as estimators, for pipelines and searches.
    sklrank.inspection.diagnose : Whether fusing is likely to help.

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
    union = Run.union(runs) if isinstance(runs, dict) else runs
    check_columns(union)
    fuser = make_fuser(method, params)
    if y is not None:
        y = (y if isinstance(y, Qrels) else Qrels(y)).align(union.queries)
        return clone(fuser).fit(union, y).transform(union)
    if fuser is not method:
        if get_tags(fuser).requires_fit:
            raise ValueError(f"method {method!r} with these parameters learns from judgments: y=, or a fitted fuser")
        fuser.fit(union)
    return fuser.transform(union)
