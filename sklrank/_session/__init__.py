"""ONNX Runtime sessions over texts: opening, devices, tokenizing, batches of similar length."""

from sklrank._session._hub import HubFile, Repository
from sklrank._session._maxsim import DeviceTokens
from sklrank._session._model import TextModel
from sklrank._session._printed_bytes import PrintedBytes, PrintedBytesMixin, unwrapped
from sklrank._session._quantize import Quantization, quantize
from sklrank._session._rows import Rows, Template
from sklrank._session._source import Source, fetched, is_session, picklable
from sklrank._session._tokenizer import TOKENIZER_FORMS, open_tokenizer, tokenizer_beside, wordpiece_tokenizer

__all__ = [
    "DeviceTokens",
    "HubFile",
    "PrintedBytes",
    "PrintedBytesMixin",
    "Quantization",
    "Repository",
    "Rows",
    "Source",
    "TOKENIZER_FORMS",
    "Template",
    "TextModel",
    "fetched",
    "is_session",
    "open_tokenizer",
    "picklable",
    "quantize",
    "tokenizer_beside",
    "unwrapped",
    "wordpiece_tokenizer",
]
