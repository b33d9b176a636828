"""Attached: values that belong to living objects."""

import threading
from weakref import WeakKeyDictionary


class Attached:
    """Hold values that belong to one or two objects, and drop them when one of these is gone.

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
        """Return the value of the objects; make it by ``make()`` if it is missing.

        Parameters
        ----------
        objects : tuple of object
            One or two objects that allow weak references.
        make : callable, default=None
            Function without arguments that makes the value. It may run twice if two threads ask at once. None is not
            kept.

        Returns
        -------
        object
        """
        with self._lock:
            level = self._values
            for key in objects:
                level = level.get(key)
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
            The objects that the value belongs to.
        value : object
        """
        *first, last = objects
        with self._lock:
            level = self._values
            for key in first:
                level = level.setdefault(key, WeakKeyDictionary())
            level[last] = value

    def __len__(self):
        return len(self._values)
