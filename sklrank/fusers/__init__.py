"""Fusers: candidates of several retrievers → `Run` with one score."""

from sklrank.fusers._column import ColumnScorer
from sklrank.fusers._diagnose import Diagnosis, DiagnosisDisplay, diagnose
from sklrank.fusers._fuse import FusionExplanation, explain, fuse
from sklrank.fusers._probabilistic import ProbabilisticFuser
from sklrank.fusers._rank import RankFuser
from sklrank.fusers._reciprocal_rank import ReciprocalRankFuser
from sklrank.fusers._score import ScoreFuser
from sklrank.fusers._weights import simplex_grid

__all__ = [
    "ColumnScorer",
    "Diagnosis",
    "DiagnosisDisplay",
    "FusionExplanation",
    "ProbabilisticFuser",
    "RankFuser",
    "ReciprocalRankFuser",
    "ScoreFuser",
    "diagnose",
    "explain",
    "fuse",
    "simplex_grid",
]
