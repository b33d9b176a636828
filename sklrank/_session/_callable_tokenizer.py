"""Tokenizers that are functions."""

from collections.abc import Mapping

import numpy as np

from sklrank._session._rows import Rows


class CallableTokenizer:
    """Any function from texts to token ids.

    Parameters
    ----------
    function : callable
        ``function(texts)`` and, for pairs, ``function(first, second)`` give one sequence of token ids a text or pair,
        with special tokens; or a mapping with ``"input_ids"`` and, possibly, ``"token_type_ids"`` and
        ``"attention_mask"``, by which padding is left out.
    """

    n_tokens = single = None
    pad = 0

    def __init__(self, function):
        self._function = function

    @property
    def fingerprint(self):
        """Of a function nothing is known."""
        return None

    def rows(self, texts, max_length, template=None):
        """Single texts as rows."""
        return self._checked(self._function(list(texts)), len(texts), max_length)

    def pair_maker(self, first, second, max_length, max_first=None):
        """Function from indices of pairs of texts to rows; to cut them is up to the tokenizer."""

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
            raise ValueError(f"the tokenizer was given {n} texts, and gave no {n} sequences of token ids")
        types = None if types is None else [np.asarray(row, dtype=np.int64) for row in types]
        if mask is not None:
            lengths = [_n_attended(row, len(of), i) for i, (row, of) in enumerate(zip(mask, ids, strict=True))]
            ids = [row[:length] for row, length in zip(ids, lengths)]
            types = types and [row[:length] for row, length in zip(types, lengths)]
        longest = max(map(len, ids), default=0)
        if longest > max_length:
            raise ValueError(
                f"the tokenizer gave {longest} tokens of text {max(range(n), key=lambda i: len(ids[i]))}, and "
                f"max_length is {max_length}: a callable cuts texts itself, for only it knows which are special"
            )
        return Rows(ids, types, [len(row) for row in ids])


def _n_attended(mask, n_tokens, i):
    """How many tokens of text `i` the mask keeps, which must be the first ones."""
    mask = np.asarray(mask)
    length = np.count_nonzero(mask)
    if mask.shape != (n_tokens,) or not mask[:length].all():
        raise ValueError(
            f"the attention_mask that the tokenizer gave for text {i} keeps other tokens than the first {length} of "
            f"{n_tokens}: pad at the end, or not at all"
        )
    return length
