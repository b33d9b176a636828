"""Data model: documents, queries, rankings and judgments, with conversions between common formats and arrays."""

from sklrank.data._arrow import ArrowSource
from sklrank.data._corpus import Corpus
from sklrank.data._documents import DocumentIds
from sklrank.data._lazy import ColumnSource
from sklrank.data._qrels import Qrels
from sklrank.data._queries import Queries
from sklrank.data._run import Run
from sklrank.data._sql import SQLSource
from sklrank.data._strings import StringArray
from sklrank.data._tokens import TokenVectors

__all__ = [
    "ArrowSource",
    "ColumnSource",
    "Corpus",
    "DocumentIds",
    "Qrels",
    "Queries",
    "Run",
    "SQLSource",
    "StringArray",
    "TokenVectors",
]
