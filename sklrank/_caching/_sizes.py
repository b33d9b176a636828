"""Memory of a value, in bytes."""

import mmap
import sys
from dataclasses import dataclass, field
from itertools import chain
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

import numpy as np

_ATOMS = frozenset({str, bytes, bytearray, int, float, complex, bool, type(None)})
_ELSEWHERE = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)  # held in any case
_MANY = 256  # a container of so many texts and numbers is measured once
_SAMPLE = 1 << 10  # items from which the size of a larger container of texts and numbers is estimated
_LARGE = 1 << 14


class Counted:
    """Base of stores that count their own bytes: `n_bytes` is what they hold now."""

    n_bytes = 0


@dataclass
class Size:
    """Memory of a value.

    Attributes
    ----------
    buffers : dict
        Bytes of each block of array memory, by the `id` of its owner. Memory that two values share counts once.
    n_bytes : int
        Bytes of all other Python objects.
    stores : list of Counted
        Stores inside the value. Their current size is asked for each time.
    """

    buffers: dict = field(default_factory=dict)
    n_bytes: int = 0
    stores: list = field(default_factory=list)

    @property
    def total(self):
        """Number of all bytes."""
        return self.n_bytes + sum(self.buffers.values()) + sum(store.n_bytes for store in self.stores)


def measure(value, containers=None):
    """Measure the memory of a value: its arrays, and all objects that it consists of.

    An array counts once, with all the memory that it is a view of. A memory map does not count, because the operating
    system reclaims its pages when it needs them. An object of another package that holds memory outside Python counts
    if it has `nbytes`. Attributes that a class names in `_counted_elsewhere` do not count: they hold values that a
    store keeps anyway.

    Parameters
    ----------
    value : object
    containers : dict, default=None
        Known sizes of large containers, by `id` and length. New ones are added.

    Returns
    -------
    Size
    """
    if containers is None:
        containers = {}
    walk = _Walk(containers)
    walk.stack.append(value)
    while walk.stack:
        item = walk.stack.pop()
        if id(item) not in walk.seen and not isinstance(item, _ELSEWHERE):
            walk.seen.add(id(item))
            walk.visit(item)
    return walk.size


def owner_of(array):
    """Return the object that owns the memory of an array: an ndarray, or what it was made from, such as a memory map.

    Parameters
    ----------
    array : ndarray

    Returns
    -------
    array : ndarray
        The array that is no view of another one.
    owner : object or None
        None if this array has its own memory.
    """
    while isinstance(array.base, np.ndarray):
        array = array.base
    if isinstance(array.base, memoryview):
        return array, array.base.obj
    return array, array.base


def is_mapped(array):
    """Return whether an array is a memory map of a file.

    Parameters
    ----------
    array : ndarray

    Returns
    -------
    bool
    """
    return isinstance(owner_of(array)[1], mmap.mmap)


class _Walk:
    """Walk through the objects that a value consists of."""

    def __init__(self, containers):
        self.containers, self.size = containers, Size()
        self.seen, self.stack = set(), []

    def visit(self, value):
        """Count one object, and put the objects that it refers to on the stack."""
        if isinstance(value, np.ndarray):
            self._visit_array(value)
        elif isinstance(value, Counted):
            self.size.stores.append(value)
        elif isinstance(value, dict):
            self.size.n_bytes += sys.getsizeof(value)
            self._visit_items(value, chain.from_iterable(value.copy().items()))
        elif isinstance(value, (list, tuple, set, frozenset)):
            self.size.n_bytes += sys.getsizeof(value)
            self._visit_items(value, tuple(value))
        else:
            self._visit_object(value)

    def _visit_array(self, array):
        given = array
        array, owner = owner_of(array)
        if isinstance(owner, mmap.mmap):
            return
        if owner is None:
            self.size.buffers[id(array)] = array.nbytes
        else:
            self.size.buffers[id(owner)] = max(sys.getsizeof(owner, 0), array.nbytes)
        if array.dtype.hasobject:
            self._visit_items(given, given.ravel().tolist())

    def _visit_items(self, container, items):
        if len(container) < _MANY:
            self.stack += items
            return
        key = id(container), len(container)
        if key not in self.containers and len(container) > _LARGE:
            self._estimate(key, container)
        if key not in self.containers:
            items = list(items)
            items = dict(zip(map(id, items), items))
            if not set(map(type, items.values())) <= _ATOMS:
                self.stack += items.values()
                return
            if self.seen:
                items = {i: item for i, item in items.items() if i not in self.seen}
            self.containers[key] = sum(map(sys.getsizeof, items.values()))
            self.seen.update(items)
        self.size.n_bytes += self.containers[key]

    def _estimate(self, key, container):
        """Estimate the size of a large container of distinct texts and numbers from a sample of its items."""
        parts = [list(container)]
        if isinstance(container, dict):
            parts.append(list(container.values()))
        # Containers with the same items in one order, such as a list and the keys of a dict, have the same sample.
        samples = [part[:: len(part) // _SAMPLE] for part in parts]
        if not set(map(type, chain(*parts))) <= _ATOMS:
            return
        if any(len(set(map(id, sample))) < len(sample) for sample in samples):  # an item that stands twice counts once
            return
        n_bytes = 0
        for part, sample in zip(parts, samples):
            new = [item for item in sample if id(item) not in self.seen]
            n_bytes += len(part) * sum(map(sys.getsizeof, new)) // len(sample)
            self.seen.update(map(id, sample))
        self.containers[key] = n_bytes

    def _visit_object(self, value):
        self.size.n_bytes += sys.getsizeof(value, 0)
        kind = type(value)
        if kind in _ATOMS:
            return
        if kind.__module__.partition(".")[0] != "sklrank" and isinstance(n := getattr(value, "nbytes", None), int):
            self.size.n_bytes += n
            return
        for base in kind.__mro__:
            names = vars(base).get("__slots__", ())
            if isinstance(names, str):
                names = [names]
            self.stack += [getattr(value, name, None) for name in names]
        if hasattr(value, "__dict__"):
            inside = vars(value)
            elsewhere = getattr(kind, "_counted_elsewhere", ())
            if elsewhere:
                inside = {name: inner for name, inner in inside.items() if name not in elsewhere}
            self.stack.append(inside)
