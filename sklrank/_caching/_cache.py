"""Cache: large values that are derived from one object, within a limit of bytes."""

import threading
import weakref
from collections import OrderedDict, deque

from joblib.hashing import Hasher

from sklrank._caching._files import MISSING, Parts
from sklrank._caching._once import Once
from sklrank._caching._sizes import Counted, measure

DEFAULT_LIMIT = 1 << 32  # bytes


class _Entry:
    """A value, its size, and what it is derived from."""

    __slots__ = ("value", "of", "sources", "size", "containers")

    def __init__(self, value, of, sources, cache):
        self.value = value
        self.of = of  # key of the value that this one is derived from
        self.sources = sources  # weak references to the objects that this one is derived from
        self.containers = {}
        self.measure(cache)

    def measure(self, cache):
        """Measure the value; it may hold a corpus that keeps its own values in the same cache."""
        self.size = measure(self.value, self.containers)
        self.size.stores = [store for store in self.size.stores if store is not cache]


class Cache(Counted):
    """Store derived values within a limit of bytes, safely for threads.

    The value of each key is made once, even if several threads ask for it at the same time. Values of different keys
    are made in parallel. If all values together exceed `limit`, those that were used longest ago are dropped. The value
    that was used last is kept, however large it is. If a value is derived from another one, a request for it counts as
    a request for both: parts of one value are dropped together, and before the value that they are derived from.

    Sizes are current. When a value is added, all values that were used since they were last measured are measured
    again, so that growth counts. An array that several values share counts once.

    Parameters
    ----------
    limit : int, default=2**32
        Maximum number of bytes of all values together.
    folder : Folder, default=None
        Folder that keeps the values with a file name between processes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank._caching import Cache
    >>> cache = Cache(limit=2000)
    >>> _ = cache.get("a", lambda: np.zeros(100))
    >>> _ = cache.get("b", lambda: np.zeros(100))
    >>> cache.get("a", None).shape, cache.n_bytes
    ((100,), 1600)
    >>> _ = cache.get("c", lambda: np.zeros(100))
    >>> "a" in cache, "b" in cache
    (True, False)
    """

    def __init__(self, limit=DEFAULT_LIMIT, folder=None):
        self.limit = limit
        self.folder = folder
        self._lock = threading.Lock()
        self._making = {}
        self._dead = deque()  # keys of values whose source no longer exists
        self._reset()

    def _reset(self):
        self._entries = OrderedDict()
        self._keys = {}  # id of a value → its key
        self._asked = set()  # keys whose values may have grown
        self._buffers = {}  # id of a block of memory → [bytes, number of entries that hold it]
        self._n_bytes = 0  # of buffers and Python's objects
        self._stores = {}  # key → stores inside the value, which count for themselves
        self._last = None  # the key that was asked for last

    def get(self, key, make, *, of=None, sources=(), file=None):
        """Return the value of a key; make it by ``make()`` if it is missing.

        Parameters
        ----------
        key : hashable
            Names and parameters that determine the value.
        make : callable
            Function without arguments that makes the value.
        of : hashable, default=None
            Key of the value that this one is derived from. It has the same sources.
        sources : sequence of object, default=()
            Objects that this value is derived from, as a part of the key. The value is dropped with any of them.
        file : str, default=None
            Name of the file of the value in the folder. If None, the value is kept in memory only.

        Returns
        -------
        object
        """
        key, of = _full_key(key, sources), _full_key(of, sources)
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._touch(key, entry)
                return entry.value
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                with self._lock:
                    entry = self._entries.get(key)
                if entry is None:
                    entry = self._add(key, self._found_or_made(make, file), of, sources)
        finally:
            self._making.pop(key, None)
        return entry.value

    def find(self, key, *, sources=()):
        """Return the value of a key; `MISSING` if it is not in memory.

        Parameters
        ----------
        key : hashable
        sources : sequence of object, default=()
            As for `get`.

        Returns
        -------
        object
        """
        key = _full_key(key, sources)
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return MISSING
            self._touch(key, entry)
            return entry.value

    def get_each(self, key, keys, make, *, size_of, of=None, sources=()):
        """Return many small values of one kind; each is made once, and together they may hold half of the limit.

        Parameters
        ----------
        key : hashable
            Names and parameters that determine the values.
        keys : list of hashable
            Key of each value.
        make : callable
            Function that takes positions in `keys`, a list of int, and returns their values. None of these is None.
        size_of : callable
            Function that returns the bytes of a value.
        of : hashable, default=None
            Key of the value that these are derived from.
        sources : sequence of object, default=()
            As for `get`.

        Returns
        -------
        list
        """

        def new():
            return Once(max_bytes=self.limit // 2, size_of=size_of)

        store = self.get(key, new, of=of, sources=sources)
        before = store.n_bytes
        values = store.get(keys, make)
        if store.n_bytes != before:
            self.get(key, new, of=of, sources=sources)  # `make` may have asked for other values in the meantime
            self._settle()
        return values

    def _found_or_made(self, make, file):
        if file is None or self.folder is None:
            return make()
        value = self.folder.read(file)
        if value is MISSING:
            value = self.folder.write(file, make())
        if f"{file}.parts" in self.folder:  # the complete value exists now
            self.folder.remove(f"{file}.parts")
        return value

    def parts(self, file):
        """Return the finished parts of a value.

        Parameters
        ----------
        file : str or None
            Name of the file that the complete value will have.

        Returns
        -------
        Parts
        """
        folder = self.folder
        if file is None:
            folder = None
        return Parts(folder, f"{file}.parts")

    def _add(self, key, value, of, sources):
        home = weakref.ref(self)

        def bury(_):
            cache = home()
            if cache is not None:
                cache._bury(key)

        entry = _Entry(value, of, [weakref.ref(source, bury) for source in sources], self)
        with self._lock:
            self._entries[key] = entry
            self._keys[id(value)] = key
            if isinstance(value, Derives):
                value._cache = weakref.ref(self)
            self._count(key, entry.size, 1)
            self._touch(key, entry)
            self._asked.discard(key)  # it has just been measured
        self._settle()
        return entry

    def _touch(self, key, entry):
        """Mark a value, and the values that it is derived from, as used."""
        self._last = key
        while entry is not None:
            self._entries.move_to_end(key)
            if not getattr(entry.value, "_has_fixed_size", False):
                self._asked.add(key)
            key, entry = self._source_of(entry)

    def _source_of(self, entry):
        """Return the key and the entry of the value that an entry is derived from; None if there is none."""
        key = entry.of
        if key is None:
            found = (self._keys.get(id(source())) for source in entry.sources)
            key = next(filter(None, found), None)
        return key, self._entries.get(key)

    def _count(self, key, size, sign):
        """Add a size to the total, or subtract it."""
        self._n_bytes += sign * size.n_bytes
        for owner, n_bytes in size.buffers.items():
            buffer = self._buffers.setdefault(owner, [n_bytes, 0])
            if buffer[1] == 0:
                self._n_bytes += buffer[0]
            buffer[1] += sign
            if buffer[1] == 0:
                self._n_bytes -= buffer[0]
                del self._buffers[owner]
        if sign > 0 and size.stores:
            self._stores[key] = size.stores
        else:
            self._stores.pop(key, None)

    def _settle(self):
        """Measure values that may have grown; drop those used longest ago until the rest is within the limit."""
        dropped = []  # freed after the lock is released
        with self._lock:
            while self._dead:
                dropped.append(self._drop(self._dead.popleft()))
            for key in self._asked:
                entry = self._entries[key]
                self._count(key, entry.size, -1)
                entry.measure(self)
                self._count(key, entry.size, 1)
            self._asked.clear()
            last, entry = set(), self._entries.get(self._last)
            key = self._last
            while entry is not None:
                last.add(key)
                key, entry = self._source_of(entry)
            while self._entries and self.n_bytes > self.limit and (key := next(iter(self._entries))) not in last:
                dropped.append(self._drop(key))

    def _drop(self, key):
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._count(key, entry.size, -1)
            self._asked.discard(key)
            if self._keys.get(id(entry.value)) == key:
                del self._keys[id(entry.value)]
        return entry

    def _bury(self, key):
        """Drop a value whose source no longer exists: now, or if the lock is taken, when a value is added."""
        self._dead.append(key)
        if self._lock.acquire(blocking=False):
            try:
                dropped = [self._drop(self._dead.popleft()) for _ in range(len(self._dead))]
            finally:
                self._lock.release()
            del dropped

    def discard(self, key, *, sources=()):
        """Drop the value of a key, if it is kept.

        Parameters
        ----------
        key : hashable
        sources : sequence of object, default=()
            As for `get`.
        """
        with self._lock:
            self._drop(_full_key(key, sources))

    def clear(self):
        """Drop all values from memory."""
        with self._lock:
            before = self._entries
            self._reset()
        before.clear()

    @property
    def n_bytes(self):
        """Number of bytes of all values together."""
        return self._n_bytes + sum(store.n_bytes for stores in list(self._stores.values()) for store in stores)

    def usage(self):
        """Return the bytes by kind of value, which is the first part of the key; shared memory counts once.

        Returns
        -------
        dict of str to int
        """
        self._settle()
        with self._lock:
            entries = list(self._entries.items())
        counted, usage = set(), {}
        for key, entry in entries:
            size = entry.size
            new = size.buffers.keys() - counted
            counted |= new
            n_bytes = size.n_bytes + sum(size.buffers[owner] for owner in new)
            n_bytes += sum(store.n_bytes for store in size.stores)
            kind = _kind(key)
            usage[kind] = usage.get(kind, 0) + n_bytes
        return usage

    def has(self, key, *, sources=()):
        """Return whether the value of a key is in memory.

        Parameters
        ----------
        key : hashable
        sources : sequence of object, default=()
            As for `get`.

        Returns
        -------
        bool
        """
        return _full_key(key, sources) in self._entries

    def __contains__(self, key):
        return self.has(key)

    def __len__(self):
        return len(self._entries)

    def __getstate__(self):
        return {"limit": self.limit, "folder": self.folder}  # another process starts without values

    def __setstate__(self, state):
        self.__init__(**state)


def _hash_nothing(hasher, cache):
    hasher.save(None)


Hasher.dispatch[Cache] = _hash_nothing  # for joblib.hash, a limit and a folder are not content


class Derives:
    """Mixin of values that other values are derived from, as impacts are from an index.

    Derived values are kept in the cache that keeps the value itself, and count there. If no cache keeps it, the value
    has a cache for them.
    """

    _cache = None
    _has_fixed_size = False  # whether the value never grows, except for stores that count for themselves

    def derived(self, key, make):
        """Return the derived value of a key; make it by ``make()`` if it is missing.

        Parameters
        ----------
        key : hashable
        make : callable
            Function without arguments that makes the value.

        Returns
        -------
        object
        """
        cache = self._cache and self._cache()
        if cache is None:
            cache = vars(self).setdefault("_own_cache", Cache())
        return cache.get(key, make, sources=(self,))

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name not in ("_cache", "_own_cache")}


class _Sources(tuple):
    """Weak references to the objects that a value is derived from, as a part of its key."""

    __slots__ = ()


def _full_key(key, sources):
    """Return the key among the values of all sources."""
    if key is None or not sources:
        return key
    return (_Sources(map(weakref.ref, sources)), key)


def _kind(key):
    while isinstance(key, tuple) and key and isinstance(key[0], _Sources):
        key = key[1]
    if isinstance(key, tuple) and key:
        key = key[0]
    return str(key)
