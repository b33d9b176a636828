"""Rerankers: candidates → `Run`, ranked anew."""

from sklrank.rerankers._cross_encoder import CrossEncoder, CrossEncoderReranker

__all__ = ["CrossEncoder", "CrossEncoderReranker"]
