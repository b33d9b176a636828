"""Passages: parts of texts with a limited number of tokens."""

import re

import numpy as np

from sklrank.data._strings import StringArray

_WORD = re.compile(r"\S+")
_BATCH = 1024  # texts that are tokenized at a time


def split_texts(texts, max_tokens, stride=None, tokenizer=None):
    """Split texts into passages, each the original text from its first token to its last.

    Parameters
    ----------
    texts : StringArray
    max_tokens : int
        Maximum number of tokens per passage.
    stride : int, default=None
        Number of tokens from the start of a passage to the start of the next one. If None, `max_tokens`.
    tokenizer : tokenizers.Tokenizer, path or bytes, default=None
        Tokenizer that defines the tokens. If None, tokens are words separated by space.

    Returns
    -------
    parents : ndarray of int64, shape (n_passages,)
        Position of the text of each passage. Every text has at least one passage, even an empty text.
    passages : StringArray
    """
    if stride is None:
        stride = max_tokens
    for name, value in (("max_tokens", max_tokens), ("stride", stride)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} is a number of tokens, an int of at least 1; got {value!r}")
    if stride > max_tokens:
        raise ValueError(f"stride is at most max_tokens={max_tokens}, so that no token is left out; got {stride}")
    spans_of = _word_spans
    if tokenizer is not None:
        spans_of = _token_spans(tokenizer)
    parents, passages = [], []
    for first in range(0, len(texts), _BATCH):
        batch = texts[first : first + _BATCH].tolist()
        for i, (text, spans) in enumerate(zip(batch, spans_of(batch)), start=first):
            for start in range(0, max(len(spans) - max_tokens + stride, 1), stride):
                window = spans[start : start + max_tokens]
                passage = ""
                if window:
                    passage = text[window[0][0] : window[-1][1]]
                parents.append(i)
                passages.append(passage)
    return np.array(parents, dtype=np.int64), StringArray.from_strings(passages, what="passage")


def _word_spans(texts):
    return ([match.span() for match in _WORD.finditer(text)] for text in texts)


def _token_spans(tokenizer):
    from sklrank._session._tokenizer import open_tokenizer

    opened = open_tokenizer(tokenizer)
    if not hasattr(opened, "spans"):
        raise TypeError("a function does not return the positions of its tokens; pass a tokenizers.Tokenizer")
    return opened.spans
