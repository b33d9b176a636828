"""Gathering and joining of strings of UTF-8 columns, each a buffer and offsets."""

from sklrank._kernels._jit import kernel


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
