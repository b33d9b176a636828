"""Encoders: texts to sparse term counts, weights and vectors."""

from sklrank.encoders._term_vectorizer import TermVectorizer

__all__ = ["TermVectorizer"]
