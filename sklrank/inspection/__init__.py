"""Inspection: the steps that lose documents, and the reasons for the rank of a document."""

from sklrank.inspection._alignment import Alignment, alignment
from sklrank.inspection._diagnosis import Diagnosis, DiagnosisDisplay, diagnose
from sklrank.inspection._fusion import FusionExplanation, explain
from sklrank.inspection._waterfall import Waterfall, WaterfallDisplay, waterfall

__all__ = [
    "Alignment",
    "Diagnosis",
    "DiagnosisDisplay",
    "FusionExplanation",
    "Waterfall",
    "WaterfallDisplay",
    "alignment",
    "diagnose",
    "explain",
    "waterfall",
]
