"""Recent: objects that are found again while they are alive; the last few are kept alive."""

import functools
import threading
from collections import OrderedDict
from weakref import WeakValueDictionary


class Recent:
    """Find objects by key while they are alive, and keep the last `n` that were asked for alive.

    Parameters
    ----------
    n : int
        Number of objects to keep alive. If 0, only objects that are referenced elsewhere are found.

    Examples
    --------
    >>> from sklrank._caching import Recent
    >>> class Session: ...
    >>> sessions = Recent(1)
    >>> sessions.get("a", Session) is sessions.get("a", Session)
    True
    >>> _ = sessions.get("b", Session)
    >>> "a" in sessions, "b" in sessions
    (False, True)
    """

    def __init__(self, n):
        self.n = n
        self._held = OrderedDict()
        self._living = WeakValueDictionary()
        self._lock = threading.RLock()

    def get(self, key, make=lambda: None, *, hold=True):
        """Return the object of a key; make it by ``make()`` if no such object is alive.

        Parameters
        ----------
        key : hashable
        make : callable, default=None
            Function without arguments that makes the object. Only one thread makes an object at a time. None is not
            kept.
        hold : bool, default=True
            Whether the object counts among the last `n`.

        Returns
        -------
        object
        """
        with self._lock:
            value = self._held.get(key)
            if value is None:
                value = self._living.get(key)
            if value is None:
                value = make()
            if value is not None:
                self.put(key, value, hold=hold)
            return value

    def put(self, key, value, *, hold=True):
        """Register an object under a key.

        Parameters
        ----------
        key : hashable
        value : object
        hold : bool, default=True
            Whether the object counts among the last `n`.
        """
        with self._lock:
            try:
                self._living[key] = value
            except TypeError:  # a str or a number allows no weak reference: it is found only while it is held
                pass
            if hold and self.n:
                self._held[key] = value
                self._held.move_to_end(key)
                while len(self._held) > self.n:
                    self._held.popitem(last=False)

    def key_of(self, value, make_key):
        """Return the key of a living object; register the object under ``make_key()`` if it has no key.

        Parameters
        ----------
        value : object
        make_key : callable

        Returns
        -------
        hashable
        """
        with self._lock:
            key = next((key for key, living in self._living.items() if living is value), None)
            if key is None:
                key = make_key()
                self.put(key, value)
            return key

    def find(self, matches, make=lambda: None):
        """Return the first living object that fulfills ``matches(object)``; make it by ``make()`` if there is none.

        Parameters
        ----------
        matches : callable
        make : callable, default=None
            Function without arguments that makes the object. The object is found by `matches` only.

        Returns
        -------
        object
        """
        with self._lock:
            value = next(filter(matches, [*self._held.values(), *self._living.values()]), None)
            if value is None:
                value = make()
            if value is not None:
                self.put(id(value), value)
            return value

    def clear(self):
        """Forget all objects, including those that are referenced elsewhere."""
        with self._lock:
            self._held.clear()
            self._living.clear()

    def __contains__(self, key):
        return key in self._held or key in self._living

    def __len__(self):
        return len({*self._held, *self._living})

    @property
    def n_held(self):
        """Number of objects that are kept alive."""
        return len(self._held)


def memoized(n):
    """Decorate a function so that it keeps its results for the last `n` arguments.

    Parameters
    ----------
    n : int

    Returns
    -------
    decorator : callable
        Decorator of a function that depends only on its arguments, which are hashable.
    """
    return functools.lru_cache(n)
