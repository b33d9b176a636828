"""Vocabulary: terms in alphabetical order, and their numbers."""

from collections.abc import Mapping

import numpy as np

from sklrank._kernels._strings import bisect_strings, find_strings, string_table
from sklrank.data._kinds import concatenated
from sklrank.data._strings import StringArray

_SHOWN = 5  # terms in the representation
_BULK = 16  # fraction of the terms that is looked up at once from which a hash table is made


class Vocabulary(Mapping):
    """Map terms to their numbers, which are in alphabetical order.

    The terms are sorted bytes, and are found by bisection. A dict of a million str takes seconds to pickle and to
    unpickle; these are two arrays, which are memory-mapped.

    Parameters
    ----------
    strings : StringArray
        The terms, distinct, in the order of their code points.

    Examples
    --------
    >>> from sklrank.data._vocabulary import Vocabulary
    >>> vocabulary = Vocabulary.of(["heat", "cold", "flow"])
    >>> vocabulary
    {'cold': 0, 'flow': 1, 'heat': 2}
    >>> vocabulary["heat"], "wind" in vocabulary, vocabulary.rows(["wind", "flow"])
    (2, False, array([-1,  1]))
    """

    __slots__ = ("strings",)

    def __init__(self, strings):
        self.strings = strings

    @classmethod
    def of(cls, terms):
        """Sort distinct terms.

        Parameters
        ----------
        terms : iterable of str

        Returns
        -------
        Vocabulary
        """
        return cls(StringArray.from_strings(sorted(terms), what="term"))

    def rows(self, terms):
        """Return the number of each term.

        Parameters
        ----------
        terms : list of str, or StringArray

        Returns
        -------
        ndarray of int64
            -1 for a term that is not in the vocabulary.
        """
        asked = terms
        if not isinstance(terms, StringArray):
            asked = StringArray.from_strings(terms, what="term")
        if len(asked) * _BULK < len(self):
            places, found = self.places(asked)
            return np.where(found, places, -1)
        rows = np.empty(len(asked), dtype=np.int64)
        table = string_table(self.strings.buffer, self.strings.offsets)
        find_strings(self.strings.buffer, self.strings.offsets, table, asked.buffer, asked.offsets, rows)
        return rows

    def places(self, asked):
        """Return the number of terms before each of other terms.

        Parameters
        ----------
        asked : StringArray

        Returns
        -------
        places : ndarray of int64
        found : ndarray of bool
            Whether the vocabulary has the term, at this place.
        """
        places, found = np.empty(len(asked), dtype=np.int64), np.empty(len(asked), dtype=bool)
        bisect_strings(self.strings.buffer, self.strings.offsets, asked.buffer, asked.offsets, places, found)
        return places, found

    def __getitem__(self, term):
        row = -1
        if isinstance(term, str):
            try:
                row = int(self.rows([term])[0])
            except ValueError:  # a lone surrogate, which no term has
                pass
        if row < 0:
            raise KeyError(term)
        return row

    def __len__(self):
        return len(self.strings)

    def __iter__(self):
        return iter(self.strings)

    def __eq__(self, other):
        if isinstance(other, Vocabulary):
            return self.strings == other.strings
        return super().__eq__(other)

    __hash__ = None

    def __repr__(self):
        shown = [f"{self.strings[i]!r}: {i}" for i in range(min(len(self), _SHOWN))]
        if len(self) > _SHOWN:
            shown.append(f"… ({len(self)} terms)")
        return f"{{{', '.join(shown)}}}"

    def __getstate__(self):
        return {"strings": self.strings}

    def __setstate__(self, state):
        self.strings = state["strings"]


def union(vocabularies):
    """Merge vocabularies.

    Parameters
    ----------
    vocabularies : list of Vocabulary

    Returns
    -------
    merged : Vocabulary
        One of the given ones, if it has all terms.
    numbers : list of ndarray of int64
        Number of each term of each vocabulary in the merged one, ascending.
    """
    if not all(isinstance(own, Vocabulary) for own in vocabularies):
        raise TypeError("the documents of an index can change only if its terms are text (str)")
    largest = max(vocabularies, key=len)
    placed = [largest.places(own.strings) for own in vocabularies]
    new = set()
    for own, (_, found) in zip(vocabularies, placed):
        if not found.all():
            new.update(own.strings[np.flatnonzero(~found)])
    if not new:
        return largest, [places for places, _ in placed]
    new = Vocabulary.of(new)
    before, _ = largest.places(new.strings)  # terms of the largest one before each new term
    moved = np.arange(len(largest), dtype=np.int64)
    moved += np.searchsorted(before, moved, side="right")
    new_numbers = before + np.arange(len(new), dtype=np.int64)
    order = np.empty(len(largest) + len(new), dtype=np.int64)
    order[moved], order[new_numbers] = np.arange(len(largest)), len(largest) + np.arange(len(new))
    merged = Vocabulary(concatenated([largest.strings, new.strings])[order])
    numbers = []
    for own, (places, found) in zip(vocabularies, placed):
        own_numbers = np.empty(len(own), dtype=np.int64)
        own_numbers[found] = moved[places[found]]
        missing = np.flatnonzero(~found)
        own_numbers[missing] = new_numbers[new.places(own.strings[missing])[0]]
        numbers.append(own_numbers)
    return merged, numbers
