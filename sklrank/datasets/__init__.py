"""Collections: SciFact, which is part of the package, and readers of common file formats."""

from sklrank.datasets._beir import read_beir
from sklrank.datasets._bm25s import read_bm25s
from sklrank.datasets._ciff import read_ciff
from sklrank.datasets._letor import read_letor
from sklrank.datasets._scifact import load_scifact
from sklrank.datasets._trec import read_trec_qrels, read_trec_run
from sklrank.datasets._write_ciff import write_ciff

__all__ = [
    "load_scifact",
    "read_beir",
    "read_bm25s",
    "read_ciff",
    "read_letor",
    "read_trec_qrels",
    "read_trec_run",
    "write_ciff",
]
