"""Inspection: where documents are lost, and why a document stands where it does."""

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
