"""Rows of token ids that a model reads, and the special tokens around texts."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Rows:
    """Token ids of texts, or of pairs of texts, which a model reads.

    Attributes
    ----------
    ids : list of ndarray of int64
        Token ids of each row, special tokens included.
    types : list of ndarray of int64, or None
        Type of each token; None if all are 0.
    attended : list of int
        Number of attended tokens of each row. These are its first tokens.
    """

    ids: list
    types: list | None
    attended: list


@dataclass(frozen=True)
class Template:
    """The special tokens around one text, or two.

    Attributes
    ----------
    parts : tuple of ndarray
        Special tokens before, between and after the texts.
    types : tuple of int
        Token types of the parts and the texts, in their order: part, text, part[, text, part].
    """

    parts: tuple
    types: tuple

    @property
    def n_special(self):
        """Number of special tokens."""
        return sum(map(len, self.parts))

    def fill(self, *texts):
        """Return the ids of one or two texts with special tokens, and their token types, None if all are 0."""
        pieces = [self.parts[0]]
        for text, part in zip(texts, self.parts[1:]):
            pieces += [text, part]
        ids = np.concatenate(pieces)
        if not any(self.types):
            return ids, None
        return ids, np.repeat(self.types, [len(piece) for piece in pieces])


def rows_of(filled):
    """Return rows from the results of `Template.fill` for each text.

    Parameters
    ----------
    filled : list of tuple
        Token ids, and token types or None.

    Returns
    -------
    Rows
    """
    ids, types = [row for row, _ in filled], None
    if filled and filled[0][1] is not None:
        types = [row for _, row in filled]
    return Rows(ids, types, [len(row) for row in ids])
