"""Rerankers: candidates → `Run`, ranked anew."""

__all__ = []
