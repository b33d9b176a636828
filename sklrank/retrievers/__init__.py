"""Retrievers: queries → `Run`, over a corpus."""

from sklrank.retrievers._ann import AnnRetriever
from sklrank.retrievers._bm25 import BM25Retriever
from sklrank.retrievers._bm25f import BM25FRetriever
from sklrank.retrievers._callable import CallableRetriever
from sklrank.retrievers._dense import DenseRetriever
from sklrank.retrievers._dfr import DFRRetriever
from sklrank.retrievers._feedback import Bo1Retriever, KLRetriever, RM3Retriever
from sklrank.retrievers._filters import filter_masks
from sklrank.retrievers._language_model import LanguageModelRetriever
from sklrank.retrievers._late_interaction import LateInteractionRetriever
from sklrank.retrievers._pooling import pool_tokens
from sklrank.retrievers._qdrant import QdrantRetriever
from sklrank.retrievers._rocchio import RocchioRetriever
from sklrank.retrievers._sparse import SparseRetriever
from sklrank.retrievers._tfidf import TfidfRetriever
from sklrank.retrievers._union import RetrieverUnion

__all__ = [
    "AnnRetriever",
    "BM25FRetriever",
    "BM25Retriever",
    "Bo1Retriever",
    "CallableRetriever",
    "DFRRetriever",
    "DenseRetriever",
    "KLRetriever",
    "LanguageModelRetriever",
    "LateInteractionRetriever",
    "QdrantRetriever",
    "RM3Retriever",
    "RetrieverUnion",
    "RocchioRetriever",
    "SparseRetriever",
    "TfidfRetriever",
    "filter_masks",
    "pool_tokens",
]
