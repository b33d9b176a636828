"""Rerankers: estimators that take candidates, and return them in a new order as a `Run`."""

from sklrank.rerankers._aspects import PM2Reranker, XQuADReranker
from sklrank.rerankers._callable import CallableReranker
from sklrank.rerankers._cascade import CascadeReranker
from sklrank.rerankers._cross_encoder import CrossEncoder
from sklrank.rerankers._cross_encoder_reranker import CrossEncoderReranker
from sklrank.rerankers._cutoff import Cutoff
from sklrank.rerankers._dense import DenseReranker
from sklrank.rerankers._diversity import DPPReranker, MMRReranker
from sklrank.rerankers._maxsim import MaxSimReranker
from sklrank.rerankers._maxsim_arrays import maxsim
from sklrank.rerankers._passages import PassageAggregator

__all__ = [
    "CallableReranker",
    "CascadeReranker",
    "CrossEncoder",
    "CrossEncoderReranker",
    "Cutoff",
    "DPPReranker",
    "DenseReranker",
    "MMRReranker",
    "MaxSimReranker",
    "PM2Reranker",
    "PassageAggregator",
    "XQuADReranker",
    "maxsim",
]
