"""Score columns of a run: their names, and arrays that are taken on first use."""

from collections.abc import Mapping

_KEPT = ("qid", "rank", "docid", "score")  # reserved by frames and records of a run
_OLD_SCORE = "previous"  # column of the score of a run without a name


def check_score_columns(names):
    """Raise an error that shows the first invalid name of a score column."""
    names = list(names)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"names of score columns are str, got {name!r} of type {type(name).__name__}")
    kept = [name for name in names if name in _KEPT]
    if kept:
        raise ValueError(
            f"a score column cannot have the name {kept[0]!r}: frames and records of a run use {', '.join(_KEPT)} "
            "themselves. Give what it comes from (a run, a retriever, a ColumnScorer by name=) another name."
        )
    ranks = [name for name in names if name.endswith("_rank") and name.removesuffix("_rank") in names]
    if ranks:
        raise ValueError(
            f"frames and records of a run keep the ranks of the column {ranks[0].removesuffix('_rank')!r} as "
            f"{ranks[0]!r}, so that no score column beside it can have that name"
        )


def name_of_old_score(name, names):
    """Return the name of the column for the score of the run `name`, beside the columns `names`."""
    name = name or _OLD_SCORE
    if name in _KEPT or name.endswith("_rank") and name.removesuffix("_rank") in names or f"{name}_rank" in names:
        name = _OLD_SCORE
    return name


def numbered(name, names):
    """Return the name; if it is among `names`, with the first number from 2 that makes it new."""
    n, free = 1, name
    while free in names:
        n += 1
        free = f"{name}_{n}"
    return free


class TakenArrays(Mapping):
    """Map names to arrays, of which the chosen entries are taken on first use.

    A fused run has one column per system, and most callers do not use them.

    Parameters
    ----------
    arrays : mapping of str to ndarray of shape (n_entries,)
    entries : ndarray of int, shape (n_chosen,)
    """

    def __init__(self, arrays, entries):
        self._arrays = arrays
        self._entries = entries
        self._taken = {}

    def __getitem__(self, name):
        if name not in self._taken:  # several threads may do this; their arrays are equal
            self._taken[name] = self._arrays[name][self._entries]
        return self._taken[name]

    def __iter__(self):
        return iter(self._arrays)

    def __len__(self):
        return len(self._arrays)
