"""Vocabulary: terms in alphabetical order, and their numbers."""

from collections.abc import ItemsView, Mapping, ValuesView
from itertools import islice

import numpy as np

from sklrank._kernels._strings import bisect_strings, find_strings, first_bytes, number_sorted, string_table
from sklrank.data._kinds import concatenated
from sklrank.data._strings import StringArray

_SHOWN = 5  # terms in the representation
_BULK = 16  # fraction of the terms that is looked up at once from which a hash table is made


class Vocabulary(Mapping):
    """Map terms to their numbers.

    The terms are sorted bytes, and are found by bisection. A dict of a million str takes seconds to pickle and to
    unpickle; these are two arrays, which are memory-mapped.

    Parameters
    ----------
    strings : StringArray
        The terms, distinct, in the order of their code points.
    numbers : ndarray of int64, shape (n_terms,), default=None
        Number of each term, from 0 to ``n_terms - 1``. If None, the terms are numbered in their order.

    Examples
    --------
    >>> from sklrank.data._vocabulary import Vocabulary
    >>> vocabulary = Vocabulary.of(["heat", "cold", "flow"])
    >>> vocabulary
    {'cold': 0, 'flow': 1, 'heat': 2}
    >>> vocabulary["heat"], "wind" in vocabulary, vocabulary.rows(["wind", "flow"])
    (2, False, array([-1,  1]))
    """

    __slots__ = ("numbers", "strings")

    def __init__(self, strings, numbers=None):
        if numbers is not None:
            n, numbers = len(strings), np.asarray(numbers, dtype=np.int64)
            if not np.array_equal(np.sort(numbers), np.arange(n)):
                raise ValueError(f"expected the numbers from 0 to {n - 1}, one for each term, got {numbers}")
        self.strings, self.numbers = strings, numbers

    @classmethod
    def of(cls, terms):
        """Make a vocabulary.

        Parameters
        ----------
        terms : Mapping from str to int, or iterable of str
            Terms with their numbers, or terms that are numbered in alphabetical order.

        Returns
        -------
        Vocabulary
        """
        vocabulary, places = numbered(StringArray.from_strings(terms, what="term"))
        if not isinstance(terms, Mapping):
            return vocabulary
        numbers = np.empty(len(vocabulary), dtype=np.int64)
        numbers[places] = np.fromiter(terms.values(), dtype=np.int64, count=len(terms))
        if (numbers == np.arange(len(numbers))).all():
            return vocabulary
        return cls(vocabulary.strings, numbers)

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
            rows = np.where(found, places, -1)
        else:
            rows = np.empty(len(asked), dtype=np.int64)
            table = string_table(self.strings.buffer, self.strings.offsets)
            find_strings(self.strings.buffer, self.strings.offsets, table, asked.buffer, asked.offsets, rows)
        if self.numbers is None:
            return rows
        return np.append(self.numbers, -1)[rows]

    def names(self, numbers=None):
        """Return the terms with the given numbers.

        Parameters
        ----------
        numbers : ndarray of int64, default=None
            Numbers of terms. If None, all, ascending.

        Returns
        -------
        StringArray
        """
        if numbers is None:
            numbers = slice(None)
        if self.numbers is not None:
            numbers = np.argsort(self.numbers)[numbers]
        return self.strings[numbers]

    def places(self, asked):
        """Return the number of terms before each of other terms, in alphabetical order.

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

    def values(self):
        """Return a view of the numbers."""
        return _Values(self)

    def items(self):
        """Return a view of the terms with their numbers."""
        return _Items(self)

    def __eq__(self, other):
        if isinstance(other, Vocabulary):
            return self.strings == other.strings and list(self.values()) == list(other.values())
        return super().__eq__(other)

    __hash__ = None

    def __repr__(self):
        shown = [f"{term!r}: {number}" for term, number in islice(self.items(), _SHOWN)]
        if len(self) > _SHOWN:
            shown.append(f"… ({len(self)} terms)")
        return f"{{{', '.join(shown)}}}"

    def __getstate__(self):
        return {"strings": self.strings, "numbers": self.numbers}

    def __setstate__(self, state):
        self.__init__(**state)


class _Values(ValuesView):
    def __iter__(self):
        numbers = self._mapping.numbers
        if numbers is None:
            return iter(range(len(self)))
        return iter(numbers.tolist())


class _Items(ItemsView):
    def __iter__(self):
        return zip(self._mapping, self._mapping.values())


def numbered(strings):
    """Number strings in alphabetical order.

    Parameters
    ----------
    strings : StringArray
        They may repeat.

    Returns
    -------
    vocabulary : Vocabulary
        The distinct strings.
    numbers : ndarray of int64
        Number of each string.
    """
    keys = np.empty(len(strings), dtype=np.uint64)
    first_bytes(strings.buffer, strings.offsets, keys)
    order = np.argsort(keys, kind="stable")
    spare, firsts, numbers = np.empty((3, len(strings)), dtype=np.int64)
    n = number_sorted(strings.buffer, strings.offsets, keys, order, spare, firsts, numbers)
    return Vocabulary(strings[firsts[:n]]), numbers


def union(vocabularies):
    """Merge vocabularies.

    Parameters
    ----------
    vocabularies : list of Vocabulary
        Their terms are numbered in alphabetical order.

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
    missing = [np.flatnonzero(~found) for _, found in placed]
    if not any(map(len, missing)):
        return largest, [places for places, _ in placed]
    lacking = [own.strings[rows] for own, rows in zip(vocabularies, missing)]
    new, new_rows = numbered(concatenated(lacking))
    new_rows = np.split(new_rows, np.cumsum(list(map(len, missing)))[:-1])
    before, _ = largest.places(new.strings)  # terms of the largest one before each new term
    moved = np.arange(len(largest), dtype=np.int64)
    moved += np.searchsorted(before, moved, side="right")
    new_numbers = before + np.arange(len(new), dtype=np.int64)
    order = np.empty(len(largest) + len(new), dtype=np.int64)
    order[moved], order[new_numbers] = np.arange(len(largest)), len(largest) + np.arange(len(new))
    merged = Vocabulary(concatenated([largest.strings, new.strings])[order])
    numbers = []
    for (places, found), rows in zip(placed, new_rows):
        own_numbers = np.empty(len(found), dtype=np.int64)
        own_numbers[found], own_numbers[~found] = moved[places[found]], new_numbers[rows]
        numbers.append(own_numbers)
    return merged, numbers
