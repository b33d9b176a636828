"""Score columns of a run."""

from collections.abc import Mapping


class TakenArrays(Mapping):
    """Arrays by name, of which the chosen entries are taken on first use.

    A fused run has as many columns as there are systems, and most callers never ask for them.

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
        if name not in self._taken:  # threads that come here together take the same
            self._taken[name] = self._arrays[name][self._entries]
        return self._taken[name]

    def __iter__(self):
        return iter(self._arrays)

    def __len__(self):
        return len(self._arrays)
