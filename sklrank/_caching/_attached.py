"""Attached: values that belong to living objects."""

import threading
from weakref import WeakKeyDictionary


class Attached:
    """Values that belong to one or two objects, and are dropped when one of these is gone.

    Examples
    --------
    >>> from sklrank._caching import Attached
    >>> class Document: ...
    >>> lengths, document = Attached(), Document()
    >>> lengths.get((document,), lambda: 7), lengths.get((document,), None), len(lengths)
    (7, 7, 1)
    >>> del document
    >>> len(lengths)
    0
    """

    def __init__(self):
        self._values = WeakKeyDictionary()
        self._lock = threading.Lock()

    def get(self, objects, make=lambda: None):
        """Return the value of some objects, made by ``make()`` if there is none; None is not kept.

        Parameters
        ----------
        objects : tuple of object
            One or two objects that weak references can be made to.
        make : callable, default=None
            Makes the value, without arguments. It may run twice if two threads ask at once.

        Returns
        -------
        object
        """
        with self._lock:
            level = self._values
            for one in objects:
                level = level.get(one)
                if level is None:
                    break
            else:
                return level
        value = make()
        if value is not None:
            self.put(objects, value)
        return value

    def put(self, objects, value):
        """Keep a value.

        Parameters
        ----------
        objects : tuple of object
            The objects that it belongs to.
        value : object
        """
        *first, last = objects
        with self._lock:
            level = self._values
            for one in first:
                level = level.setdefault(one, WeakKeyDictionary())
            level[last] = value

    def __len__(self):
        return len(self._values)
