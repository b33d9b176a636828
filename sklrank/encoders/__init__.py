"""Encoders: texts to sparse term counts, weights and vectors."""

from sklrank._session import Quantization, quantize, wordpiece_tokenizer
from sklrank.encoders._muvera import MuveraEncoder
from sklrank.encoders._onnx_sparse import OnnxSparseEncoder
from sklrank.encoders._onnx_text import OnnxTextEncoder
from sklrank.encoders._onnx_tokens import OnnxTokenEncoder
from sklrank.encoders._term_vectorizer import TermVectorizer

__all__ = [
    "MuveraEncoder",
    "OnnxSparseEncoder",
    "OnnxTextEncoder",
    "OnnxTokenEncoder",
    "Quantization",
    "TermVectorizer",
    "quantize",
    "wordpiece_tokenizer",
]
