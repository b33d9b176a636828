"""Scores of pairs, kept."""

import threading
from collections import OrderedDict

import numpy as np


class ScoreCache:
    """A bounded, locked store of scores, each of which is made once.

    Where several threads want the same score, one makes it, and the others wait for it, having made theirs. Scores
    that were made longest ago are dropped first.
    """

    def __init__(self):
        self._scores = OrderedDict()
        self._making = {}  # key → the event that tells when it is made
        self._lock = threading.Lock()

    def get(self, keys, make, limit):
        """The score of each key.

        Parameters
        ----------
        keys : list of hashable
        make : callable
            Takes positions in `keys`, a list; returns their scores, an array.
        limit : int
            How many scores to keep.

        Returns
        -------
        ndarray of float64, shape (n_keys,)
        """
        position = {key: i for i, key in enumerate(keys)}
        found = {}
        while len(found) < len(position):
            mine, others, done = [], set(), threading.Event()
            with self._lock:
                for key in position:
                    if key in found:
                        continue
                    if key in self._scores:
                        found[key] = self._scores[key]
                    elif key in self._making:
                        others.add(self._making[key])
                    else:
                        self._making[key] = done
                        mine.append(key)
            if mine:
                found.update(self._make(mine, [position[key] for key in mine], make, limit, done))
            for event in others:
                event.wait()
        return np.array([found[key] for key in keys], dtype=np.float64)

    def _make(self, keys, positions, make, limit, done):
        made = {}
        try:
            made = dict(zip(keys, make(positions).tolist(), strict=True))
        finally:
            with self._lock:
                for key in keys:
                    del self._making[key]
                self._scores.update(made)
                while len(self._scores) > limit:
                    self._scores.popitem(last=False)
            done.set()
        return made
