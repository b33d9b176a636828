"""Once: many small values, each made once."""

import sys
import threading
from collections import OrderedDict

from sklrank._caching._sizes import Counted

_SLOT_BYTES = 160  # of an entry, without its key and its value


class Once(Counted):
    """Store many small values within a bound, safely for threads; each value is made once.

    If several threads ask for the same value, one thread makes it. The other threads first make their own values and
    then wait for it. The values that were made longest ago are dropped first.

    Parameters
    ----------
    limit : int, default=None
        Maximum number of values to keep. If None, their number is not limited.
    max_bytes : int, default=None
        Maximum number of bytes of all values together. If None, their size is not limited.
    size_of : callable, default=sys.getsizeof
        Function that returns the bytes of a value.

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
        self._making = {}  # key → the event that is set when the value is made
        self._lock = threading.Lock()

    def get(self, keys, make, limit=None):
        """Return the value of each key.

        Parameters
        ----------
        keys : list of hashable
        make : callable
            Function that takes positions in `keys`, a list of int, and returns their values. None of these is None. A
            generator may yield values before it fails, and None for missing ones: the values that it yielded are kept.
        limit : int, default=None
            Maximum number of values to keep after this call. If None, the limit of the store holds.

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
        """Collect the values that exist; return the keys to make, the events to wait for, and the event to set."""
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
                self._put(made, limit)
            done.set()
        return made

    def _put(self, made, limit):
        if limit is None:
            limit = self.limit
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
        return type(self), (self.limit, self.max_bytes, self.size_of)  # another process starts without values
