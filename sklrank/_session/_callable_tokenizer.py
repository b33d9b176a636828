"""Tokenizers that are functions."""

from collections.abc import Mapping

import numpy as np

from sklrank._session._rows import Rows


class CallableTokenizer:
    """Tokenize texts by a function.

    Parameters
    ----------
    function : callable
        ``function(texts)`` and, for pairs, ``function(first, second)`` return one sequence of token ids per text or
        pair, with special tokens. They may also return a mapping with ``"input_ids"`` and, optionally,
        ``"token_type_ids"`` and ``"attention_mask"``; the mask tells the padding, which is left out.
    """

    n_tokens = single = None
    pad = 0

    def __init__(self, function):
        self._function = function

    @property
    def fingerprint(self):
        """None, because the content of a function is unknown."""
        return None

    def rows(self, texts, max_length, template=None):
        """Return single texts as rows."""
        return self._checked(self._function(list(texts)), len(texts), max_length)

    def pair_maker(self, first, second, max_length, max_first=None):
        """Return a function from indices of pairs of texts to rows. The tokenizer itself must cut long pairs."""

        def make(indices):
            texts = [first[i] for i in indices], [second[i] for i in indices]
            return self._checked(self._function(*texts), len(indices), max_length)

        return make

    def _checked(self, output, n, max_length):
        types = mask = None
        if isinstance(output, Mapping):
            types, mask = output.get("token_type_ids"), output.get("attention_mask")
            output = output["input_ids"]
        ids = [np.asarray(row, dtype=np.int64) for row in output]
        if len(ids) != n or any(row.ndim != 1 for row in ids):
            raise ValueError(f"expected {n} sequences of token ids from the tokenizer, one per text; got others")
        if types is not None:
            types = [np.asarray(row, dtype=np.int64) for row in types]
        if mask is not None:
            lengths = [_n_attended(row, len(of), i) for i, (row, of) in enumerate(zip(mask, ids, strict=True))]
            ids = [row[:length] for row, length in zip(ids, lengths)]
            types = types and [row[:length] for row, length in zip(types, lengths)]
        longest = max(map(len, ids), default=0)
        if longest > max_length:
            raise ValueError(
                f"expected at most max_length={max_length} tokens per text from the tokenizer, got {longest} for text "
                f"{max(range(n), key=lambda i: len(ids[i]))}: a callable must cut texts itself, because only it knows "
                "which tokens are special"
            )
        return Rows(ids, types, [len(row) for row in ids])


def _n_attended(mask, n_tokens, i):
    """Return the number of tokens of text `i` that the mask keeps. They must be the first ones."""
    mask = np.asarray(mask)
    length = np.count_nonzero(mask)
    if mask.shape != (n_tokens,) or not mask[:length].all():
        raise ValueError(
            f"the attention_mask of the tokenizer for text {i} must keep the first {length} of {n_tokens} tokens, and "
            "keeps others: pad at the end, or not at all"
        )
    return length
