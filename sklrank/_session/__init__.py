"""ONNX Runtime sessions over texts: opening, devices, tokenizing, batches of like length."""

from sklrank._session._model import TextModel
from sklrank._session._source import is_session, picklable
from sklrank._session._tokenizer import Rows, Template, wordpiece_tokenizer

__all__ = ["Rows", "Template", "TextModel", "is_session", "picklable", "wordpiece_tokenizer"]
