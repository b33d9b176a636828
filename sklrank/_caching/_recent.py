"""Recent: objects that are found again while they live, of which the last few are kept alive."""

import functools
import threading
from collections import OrderedDict
from weakref import WeakValueDictionary


class Recent:
    """Objects by key: each is found as long as it lives, and the last `n` that were asked for are kept alive.

    Parameters
    ----------
    n : int
        Number of objects to keep alive; 0 keeps none, and finds those that others hold.

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
        """Return the object of a key, made by ``make()`` if none is alive; None is not kept.

        Parameters
        ----------
        key : hashable
        make : callable, default=None
            Makes the object, without arguments; one thread makes at a time.
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
            except TypeError:  # a str, a number: no weak reference can be made to it, so that it is held or gone
                pass
            if hold and self.n:
                self._held[key] = value
                self._held.move_to_end(key)
                while len(self._held) > self.n:
                    self._held.popitem(last=False)

    def key_of(self, value, make_key):
        """Return the key of a living object, which is registered under ``make_key()`` if it has none.

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
        """Return the first object alive for which ``matches(object)`` holds, made by ``make()`` if there is none.

        Parameters
        ----------
        matches : callable
        make : callable, default=None
            Makes the object, without arguments, which then has no key but `matches`.

        Returns
        -------
        object
        """
        with self._lock:
            value = next(filter(matches, [*self._held.values(), *self._living.values()]), None)
            value = make() if value is None else value
            if value is not None:
                self.put(id(value), value)
            return value

    def clear(self):
        """Let go of all objects; those that others hold are not found again."""
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
    """Decorate a function so that it remembers what it returned for the last `n` arguments.

    Parameters
    ----------
    n : int

    Returns
    -------
    decorator : callable
        Takes a function that depends on nothing but its arguments, which are hashable.
    """
    return functools.lru_cache(n)
