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


# --- sorting
@kernel
def _compare(a, a_start, a_stop, b, b_start, b_stop):
    """Return a number below, equal to or above 0 as string a is below, equal to or above string b."""
    a_size, b_size = a_stop - a_start, b_stop - b_start
    for i in range(min(a_size, b_size)):
        difference = np.int64(a[a_start + i]) - np.int64(b[b_start + i])
        if difference:
            return difference
    return a_size - b_size


@kernel
def first_bytes(buffer, offsets, keys):
    """Write the first eight bytes of each string as a number, which is in the order of the strings, to `keys`."""
    for i in range(keys.size):
        key = np.uint64(0)
        start, stop = offsets[i], offsets[i + 1]
        for j in range(start, start + 8):
            key <<= np.uint64(8)
            if j < stop:
                key |= np.uint64(buffer[j])
        keys[i] = key


@kernel
def _sort_range(buffer, offsets, order, spare, start, stop):
    """Sort the strings ``order[start:stop]``; a merge sort, which is fast if they consist of sorted runs."""
    width = 1
    while width < stop - start:
        for low in range(start, stop - width, 2 * width):
            middle, high = low + width, min(low + 2 * width, stop)
            i, j = order[middle - 1], order[middle]
            if _compare(buffer, offsets[i], offsets[i + 1], buffer, offsets[j], offsets[j + 1]) <= 0:
                continue
            for e in range(low, middle):
                spare[e] = order[e]
            left, right, out = low, middle, low
            while left < middle and right < high:
                i, j = spare[left], order[right]
                if _compare(buffer, offsets[i], offsets[i + 1], buffer, offsets[j], offsets[j + 1]) <= 0:
                    order[out] = i
                    left += 1
                else:
                    order[out] = j
                    right += 1
                out += 1
            while left < middle:
                order[out] = spare[left]
                left += 1
                out += 1
        width *= 2


@kernel
def number_sorted(buffer, offsets, keys, order, spare, firsts, numbers):
    """Finish the order of strings that are ordered by their first bytes, and number them in this order.

    Returns
    -------
    int
        Number of distinct strings. `firsts` has the first string of each number, `numbers` the number of each string.
    """
    n, start = 0, 0
    while start < order.size:
        stop = start + 1
        while stop < order.size and keys[order[stop]] == keys[order[start]]:
            stop += 1
        _sort_range(buffer, offsets, order, spare, start, stop)
        for e in range(start, stop):
            i, j = order[e - 1], order[e]
            if e == start or _compare(buffer, offsets[i], offsets[i + 1], buffer, offsets[j], offsets[j + 1]):
                firsts[n] = j
                n += 1
            numbers[j] = n - 1
        start = stop
    return n
