"""Once: many small values, each made once."""

import sys
import threading
from collections import OrderedDict

from sklrank._caching._sizes import Counted

_SLOT_BYTES = 160  # of an entry, beside its key and its value


class Once(Counted):
    """A bounded, locked store of many small values, each of which is made once.

    If several threads want the same value, one makes it, and the others wait for it, having made theirs. Values that
    were made longest ago are dropped first.

    Parameters
    ----------
    limit : int, default=None
        Number of values to keep. ``None``: not bounded by number.
    max_bytes : int, default=None
        Bytes of values to keep. ``None``: not bounded by size.
    size_of : callable, default=sys.getsizeof
        Bytes of a value.

    Examples
    --------
    >>> from sklrank._caching import Once
    >>> squares = Once(limit=2)
    >>> squares.get([3, 4, 3], lambda positions: [print("made", positions), [9, 16]][1])
    made [0, 1]
    [9, 16, 9]
    >>> squares.get([4], None), len(squares)
    ([16], 2)
    """

    def __init__(self, limit=None, max_bytes=None, size_of=sys.getsizeof):
        self.limit, self.max_bytes, self.size_of = limit, max_bytes, size_of
        self.n_bytes = 0
        self._values = OrderedDict()
        self._making = {}  # key → the event that tells when it is made
        self._lock = threading.Lock()

    def get(self, keys, make, limit=None):
        """Return the value of each key.

        Parameters
        ----------
        keys : list of hashable
        make : callable
            Takes positions in `keys`, a list of int; returns their values, none of them None. A generator may yield
            values before it fails, None for those that it has not: what it yielded is kept.
        limit : int, default=None
            Number of values to keep after this call. ``None``: that of the store.

        Returns
        -------
        list
        """
        with self._lock:
            values = list(map(self._values.get, keys))
        if not any(value is None for value in values):
            return values
        first = {}
        for i, key in enumerate(keys):
            first.setdefault(key, i)
        found = {}
        while len(found) < len(first):
            mine, others, done = self._claim(first, found)
            if mine:
                found.update(self._make(mine, [first[key] for key in mine], make, done, limit))
            for event in others:
                event.wait()
        return [found[key] for key in keys]

    def _claim(self, keys, found):
        """Take what is there; return the keys to make, the events to wait for, and the event of this claim."""
        mine, others, done = [], set(), threading.Event()
        with self._lock:
            for key in keys:
                if key in found:
                    continue
                if key in self._values:
                    found[key] = self._values[key]
                elif key in self._making:
                    others.add(self._making[key])
                else:
                    self._making[key] = done
                    mine.append(key)
        return mine, others, done

    def _make(self, keys, positions, make, done, limit):
        made = {}
        try:
            for key, value in zip(keys, make(positions), strict=True):
                if value is not None:
                    made[key] = value
        finally:
            with self._lock:
                for key in keys:
                    del self._making[key]
                self._put(made, self.limit if limit is None else limit)
            done.set()
        return made

    def _put(self, made, limit):
        self._values.update(made)
        self.n_bytes += sum(map(self._bytes_of, made, made.values()))
        while (limit is not None and len(self._values) > limit) or (
            self.max_bytes is not None and self.n_bytes > self.max_bytes
        ):
            key, value = self._values.popitem(last=False)
            self.n_bytes -= self._bytes_of(key, value)

    def _bytes_of(self, key, value):
        return _SLOT_BYTES + sys.getsizeof(key) + self.size_of(value)

    def clear(self):
        """Drop all values."""
        with self._lock:
            self._values.clear()
            self.n_bytes = 0

    def __len__(self):
        return len(self._values)

    def __contains__(self, key):
        return key in self._values

    def __reduce__(self):
        return type(self), (self.limit, self.max_bytes, self.size_of)  # another process starts with none
