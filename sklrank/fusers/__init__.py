"""Fusers: candidates of several retrievers → `Run` with one score."""

from sklrank.fusers._column import ColumnScorer
from sklrank.fusers._fuse import fuse
from sklrank.fusers._probabilistic import ProbabilisticFuser
from sklrank.fusers._rank import RankFuser
from sklrank.fusers._reciprocal_rank import ReciprocalRankFuser
from sklrank.fusers._score import ScoreFuser
from sklrank.fusers._weights import simplex_grid

__all__ = [
    "ColumnScorer",
    "ProbabilisticFuser",
    "RankFuser",
    "ReciprocalRankFuser",
    "ScoreFuser",
    "fuse",
    "simplex_grid",
]
