"""Derived values that are saved with a corpus, so that they are not made again."""

import sklrank
from sklrank._caching import MISSING
from sklrank._caching.keys import file_name
from sklrank.data._parts import Merge


def kept_values(corpus, functions):
    """Yield the derived values of a corpus in one part that are worth keeping, with their keys.

    Parameters
    ----------
    corpus : Corpus
    functions : collection of callable
        Functions that can be named.

    Yields
    ------
    key : hashable
    columns : tuple of str or None
    of : hashable
    value : object
    merge : callable or None
        How the value is merged with that of another part.
    """
    for key, columns, of in sorted(corpus._persistent, key=repr):
        value = corpus._cache.find(key, sources=corpus._sources(columns))
        if value is MISSING or file_name(sklrank.__version__, key, of) is None:
            continue
        merge = corpus._merges.get((key, columns))
        if merge is not None:
            merge = merge.merge if merge.merge in functions else None
        yield key, columns, of, value, merge


def keep_values(corpus, values):
    """Give a corpus the values that `kept_values` has yielded.

    Parameters
    ----------
    corpus : Corpus
    values : iterable of tuple
    """
    for key, columns, of, value, merge in values:
        corpus.cached(key, lambda value=value: value, of=of, persist=True, columns=columns)
        if merge is not None:
            corpus._merges[key, columns] = Merge(merge, of, True)
