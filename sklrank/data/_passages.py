"""Passages: pieces of texts, so many tokens each."""

import re

import numpy as np

from sklrank.data._strings import StringArray

_WORD = re.compile(r"\S+")
_BATCH = 1024  # texts that are tokenized at a time


def split_texts(texts, max_tokens, stride=None, tokenizer=None):
    """Cut texts into passages, in their own words: what stands between the first token and the last.

    Parameters
    ----------
    texts : StringArray
    max_tokens : int
        Most tokens of a passage.
    stride : int, default=None
        How many tokens after one passage the next begins; ``None``: `max_tokens`.
    tokenizer : tokenizers.Tokenizer, path or bytes, default=None
        What tokens are; ``None``: words, separated by space.

    Returns
    -------
    parents : ndarray of int64, shape (n_passages,)
        The text of each passage; every text has at least one, an empty one too.
    passages : StringArray
    """
    stride = max_tokens if stride is None else stride
    for name, value, most in (("max_tokens", max_tokens, np.inf), ("stride", stride, max_tokens)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= most:
            reason = "" if most == np.inf else f", at most max_tokens={max_tokens}, so that no token is left out"
            raise ValueError(f"{name} is a number of tokens, an int of at least 1{reason}; got {value!r}")
    spans_of = _word_spans if tokenizer is None else _token_spans(tokenizer)
    parents, passages = [], []
    for first in range(0, len(texts), _BATCH):
        batch = texts[first : first + _BATCH].tolist()
        for i, (text, spans) in enumerate(zip(batch, spans_of(batch)), start=first):
            for start in range(0, max(len(spans) - max_tokens + stride, 1), stride):
                own = spans[start : start + max_tokens]
                parents.append(i)
                passages.append(text[own[0][0] : own[-1][1]] if own else "")
    return np.array(parents, dtype=np.int64), StringArray.from_strings(passages, what="passage")


def _word_spans(texts):
    return ([match.span() for match in _WORD.finditer(text)] for text in texts)


def _token_spans(tokenizer):
    from sklrank._session._tokenizer import open_tokenizer

    opened = open_tokenizer(tokenizer)
    if not hasattr(opened, "spans"):
        raise TypeError("a function does not say where its tokens stand in the text; give a tokenizers.Tokenizer")
    return opened.spans
