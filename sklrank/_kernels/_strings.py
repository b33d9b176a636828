"""Gathering, joining and look-up of strings of UTF-8 columns, each a buffer and offsets."""

import numpy as np

from sklrank._kernels._jit import kernel

_FREE = np.uint32(0xFFFFFFFF)  # a slot without a string


@kernel
def gather_bytes(buffer, offsets, indices, out, out_offsets):
    """Copy the strings `indices` of (buffer, offsets) to `out`."""
    for i in range(indices.size):
        begin = offsets[indices[i]]
        start = out_offsets[i]
        for j in range(out_offsets[i + 1] - start):
            out[start + j] = buffer[begin + j]


@kernel
def join_columns(a, a_offsets, b, b_offsets, out, out_offsets):
    """Join two columns string by string, with a space if both have text; fill `out` and `out_offsets`."""
    position = 0
    for i in range(a_offsets.size - 1):
        for j in range(a_offsets[i], a_offsets[i + 1]):
            out[position] = a[j]
            position += 1
        if a_offsets[i + 1] > a_offsets[i] and b_offsets[i + 1] > b_offsets[i]:
            out[position] = 32
            position += 1
        for j in range(b_offsets[i], b_offsets[i + 1]):
            out[position] = b[j]
            position += 1
        out_offsets[i + 1] = position


@kernel
def number_distinct(keys, slots, firsts, rows):
    """Number distinct keys in the order in which they appear; return the number of distinct keys.

    `slots` is a hash table filled with -1. Its length is a power of two, and at least twice the number of keys.
    """
    mask = len(slots) - 1
    n = 0
    for e in range(len(keys)):
        key = keys[e]
        slot = (key ^ (key >> 32)) & mask
        while slots[slot] >= 0 and keys[firsts[slots[slot]]] != key:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = n
            firsts[n] = e
            n += 1
        rows[e] = slots[slot]
    return n


@kernel
def _hash(buffer, start, stop):
    """Return the FNV-1a hash of a string, whose bits are mixed so that the low ones depend on all bytes."""
    value = np.uint64(0xCBF29CE484222325)
    for i in range(start, stop):
        value = (value ^ np.uint64(buffer[i])) * np.uint64(0x100000001B3)
    value ^= value >> np.uint64(32)
    value *= np.uint64(0xD6E8FEB86659FD93)
    return value ^ (value >> np.uint64(32))


@kernel
def _fill_slots(buffer, offsets, slots):
    mask = np.uint64(slots.size - 1)
    for i in range(offsets.size - 1):
        slot = _hash(buffer, offsets[i], offsets[i + 1]) & mask
        while slots[slot] != _FREE:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = i


@kernel
def find_strings(buffer, offsets, slots, asked, asked_offsets, places):
    """Write the place of each asked string in a column to `places`, -1 for a string that the column lacks.

    `slots` is the table of the column, from `string_table`.
    """
    mask = np.uint64(slots.size - 1)
    for i in range(places.size):
        start = asked_offsets[i]
        size = asked_offsets[i + 1] - start
        slot = _hash(asked, start, start + size) & mask
        places[i] = -1
        while slots[slot] != _FREE:
            place = slots[slot]
            begin = offsets[place]
            if offsets[place + 1] - begin == size:
                same = True
                for j in range(size):
                    if buffer[begin + j] != asked[start + j]:
                        same = False
                        break
                if same:
                    places[i] = place
                    break
            slot = (slot + np.uint64(1)) & mask


@kernel
def bisect_strings(buffer, offsets, asked, asked_offsets, places, found):
    """Write how many strings of an ascending column are lower than each asked string, and whether the next is equal.

    Strings are ordered by their bytes, which is the order of the code points of text in UTF-8.
    """
    for i in range(places.size):
        start = asked_offsets[i]
        size = asked_offsets[i + 1] - start
        low = np.int64(0)
        high = np.int64(offsets.size - 1)
        equal = False
        while low < high:
            middle = (low + high) >> 1
            begin = offsets[middle]
            own = offsets[middle + 1] - begin
            j = np.int64(0)
            least = min(own, size)
            while j < least and buffer[begin + j] == asked[start + j]:
                j += 1
            if j < least:
                is_lower = buffer[begin + j] < asked[start + j]
            else:
                is_lower = own < size
                equal |= own == size
            if is_lower:
                low = middle + 1
            else:
                high = middle
        places[i] = low
        found[i] = equal


def string_table(buffer, offsets):
    """Make a hash table of the distinct strings of a column.

    Returns
    -------
    ndarray of uint32
        Places of strings, at least two slots for each string; their number is a power of two.
    """
    n_strings = offsets.size - 1
    slots = np.full(1 << (2 * n_strings).bit_length(), _FREE, dtype=np.uint32)
    _fill_slots(buffer, offsets, slots)
    return slots
