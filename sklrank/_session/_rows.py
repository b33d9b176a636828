"""Token ids as a model reads them: rows, and the special tokens around texts."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Rows:
    """Token ids of texts, or of pairs of texts: what a model reads.

    Attributes
    ----------
    ids : list of ndarray of int64
        Tokens of each, special ones included.
    types : list of ndarray of int64, or None
        The token type of each token; None where all are 0.
    attended : list of int
        How many of the tokens are attended to: the first so many.
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
        Special tokens before, between and behind the texts.
    types : tuple of int
        Token types of the parts and the texts, in their order: part, text, part[, text, part].
    """

    parts: tuple
    types: tuple

    @property
    def n_special(self):
        """How many special tokens there are."""
        return sum(map(len, self.parts))

    def fill(self, *texts):
        """Tokens of `texts`, one or two arrays, with special tokens, and token types or None."""
        pieces = [self.parts[0]]
        for text, part in zip(texts, self.parts[1:]):
            pieces += [text, part]
        ids = np.concatenate(pieces)
        if not any(self.types):
            return ids, None
        return ids, np.repeat(self.types, [len(piece) for piece in pieces])


def rows_of(filled):
    """Rows of what `Template.fill` gave for each text.

    Parameters
    ----------
    filled : list of tuple
        Token ids and token types, or None for these.

    Returns
    -------
    Rows
    """
    ids = [row for row, _ in filled]
    types = [row for _, row in filled] if filled and filled[0][1] is not None else None
    return Rows(ids, types, [len(row) for row in ids])
