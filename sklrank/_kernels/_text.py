"""Text in UTF-8 to flat token ids, and token ids to sparse counts.

``scan_tokens`` reads a buffer of documents once. A token is a maximal run of word characters; its lower-cased
bytes are written behind the last known form in the arena while they are read, hashed on the way, and stay
there when the form is new:

    arena   t h e | c a t | s a t | o n | m a t . . . .
    starts  0       3       6       9     11  ^ top: the token being read

The kernel never allocates. It returns to the caller, who makes room or prepares a document, and goes on from
the position it returned.
"""

import numpy as np

from sklrank._kernels._jit import kernel

# Entries of a character table: the lower-cased code point and two flags.
WORD = np.uint32(1 << 31)  # the lower-cased character is a word character
HARD = np.uint32(1 << 30)  # lower-casing depends on its neighbours or gives several characters
CODE = np.uint32((1 << 21) - 1)

# Why scan_tokens returned.
DONE, NEEDS_ROOM, NEEDS_TABLE, NEEDS_LOWER = range(4)

DROPPED = np.uint32(0xFFFFFFFF)

_U8, _U32, _ZERO = np.uint64(8), np.uint64(32), np.uint64(0)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LONG = np.uint64(1 << 63)


@kernel
def _push(byte, arena, position, length, packed, mixed):
    """Append one byte to the token being read; return its packed last bytes and the hash of those before."""
    arena[position] = byte
    packed = (packed << _U8) | np.uint64(byte)
    if length & 7 == 7:
        mixed = (mixed ^ packed) * _GOLDEN
        mixed ^= mixed >> _U32
        packed = _ZERO
    return packed, mixed


@kernel
def _shift(size):
    """What to shift a 64-bit hash by for a table of `size`, a power of two."""
    shift = 64
    while size > 1:
        size >>= 1
        shift -= 1
    return np.uint64(shift)


@kernel
def _slot(key, shift):
    return np.int64(((key ^ (key >> _U32)) * _GOLDEN) >> shift)


@kernel
def scan_tokens(
    buffer, offsets, doc, stop, position, ascii_table, table, min_length, ids, n_ids, indptr, slots, arena, starts, n_forms
):
    """Tokenize documents ``doc`` to ``stop``, going on from a byte position within the first.

    ``slots`` is an open-addressing table of (key, form + 1) pairs with a power of two of them. Up to seven bytes
    are their own key; longer forms have their hash with the top bit set, and are compared byte by byte. In
    ``ascii_table`` 0 is no word character, 255 a byte of a longer character, all else the lower-cased byte.
    """
    mask = slots.shape[0] - 1
    shift = _shift(slots.shape[0])
    top = starts[n_forms]
    resumed = True
    while doc < stop:
        end = offsets[doc + 1]
        if not resumed:
            position = offsets[doc]
        resumed = False
        n_bytes = end - position
        # One lower-cased character has at most half as many bytes again, and a separator follows each token.
        if arena.shape[0] - top < 2 * n_bytes or ids.shape[0] - n_ids < n_bytes // (min_length + 1) + 1:
            return NEEDS_ROOM, doc, position, n_ids, n_forms
        length = 0
        continuation = 0  # bytes of the token that start no character
        packed = _ZERO
        mixed = _ZERO
        begin = position
        while position <= end:
            byte = ascii_table[buffer[position]] if position < end else np.uint8(0)
            if byte == 255:
                first = np.uint32(buffer[position])
                if first < 0xE0:
                    code = (first & np.uint32(0x1F)) << np.uint32(6) | np.uint32(buffer[position + 1] & 0x3F)
                    size = 2
                elif first < 0xF0:
                    code = (
                        (first & np.uint32(0x0F)) << np.uint32(12)
                        | np.uint32(buffer[position + 1] & 0x3F) << np.uint32(6)
                        | np.uint32(buffer[position + 2] & 0x3F)
                    )
                    size = 3
                else:
                    code = (
                        (first & np.uint32(0x07)) << np.uint32(18)
                        | np.uint32(buffer[position + 1] & 0x3F) << np.uint32(12)
                        | np.uint32(buffer[position + 2] & 0x3F) << np.uint32(6)
                        | np.uint32(buffer[position + 3] & 0x3F)
                    )
                    size = 4
                if code >= table.shape[0]:
                    return NEEDS_TABLE, doc, begin, n_ids, n_forms
                entry = table[code]
                if entry & HARD:
                    return NEEDS_LOWER, doc, begin, n_ids, n_forms
                if entry & WORD:
                    position += size
                    code = entry & CODE
                    if code < 0x80:
                        packed, mixed = _push(code, arena, top + length, length, packed, mixed)
                        length += 1
                        continue
                    size = 1 if code < 0x800 else 2 if code < 0x10000 else 3
                    lead = np.uint32(0xC0) if size == 1 else np.uint32(0xE0) if size == 2 else np.uint32(0xF0)
                    byte_out = lead | code >> np.uint32(6 * size)
                    packed, mixed = _push(byte_out, arena, top + length, length, packed, mixed)
                    length += 1
                    continuation += size
                    while size > 0:
                        size -= 1
                        byte_out = np.uint32(0x80) | (code >> np.uint32(6 * size) & np.uint32(0x3F))
                        packed, mixed = _push(byte_out, arena, top + length, length, packed, mixed)
                        length += 1
                    continue
                position += size
            elif byte != 0:
                packed, mixed = _push(byte, arena, top + length, length, packed, mixed)
                length += 1
                position += 1
                continue
            else:
                position += 1
            # Here the character before `position` is no word character, or the document is at its end.
            if length - continuation >= min_length:
                key = packed
                if length > 7:
                    mixed = (mixed ^ packed) * _GOLDEN
                    key = mixed ^ (mixed >> _U32) | _LONG
                slot = _slot(key, shift)
                while True:
                    form = np.int64(slots[slot, 1]) - 1
                    if form < 0:
                        if 2 * (n_forms + 1) > mask or n_forms + 2 > starts.shape[0]:
                            return NEEDS_ROOM, doc, begin, n_ids, n_forms
                        slots[slot, 0] = key
                        slots[slot, 1] = n_forms + 1
                        form = n_forms
                        n_forms += 1
                        top += length
                        starts[n_forms] = top
                        break
                    if slots[slot, 0] == key:
                        same = True
                        if length > 7:
                            start = starts[form]
                            same = starts[form + 1] - start == length
                            j = 0
                            while same and j < length:
                                same = arena[start + j] == arena[top + j]
                                j += 1
                        if same:
                            break
                    slot = (slot + 1) & mask
                ids[n_ids] = form
                n_ids += 1
            length = 0
            continuation = 0
            packed = _ZERO
            mixed = _ZERO
            begin = position
        doc += 1
        indptr[doc] = n_ids
    return DONE, doc, position, n_ids, n_forms


@kernel
def rehash(old, new):
    """Move all entries of one open-addressing table to a larger one."""
    mask = new.shape[0] - 1
    shift = _shift(new.shape[0])
    for i in range(old.shape[0]):
        if old[i, 1] != _ZERO:
            slot = _slot(old[i, 0], shift)
            while new[slot, 1] != _ZERO:
                slot = (slot + 1) & mask
            new[slot, 0] = old[i, 0]
            new[slot, 1] = old[i, 1]


@kernel
def remap_tokens(ids, indptr, mapping):
    """Replace each id by its image, in place; ids that map to DROPPED go. Returns how many stay."""
    kept = 0
    begin = indptr[0]
    for doc in range(indptr.shape[0] - 1):
        end = indptr[doc + 1]
        for i in range(begin, end):
            image = mapping[ids[i]]
            if image != DROPPED:
                ids[kept] = image
                kept += 1
        begin = end
        indptr[doc + 1] = kept
    return kept


@kernel
def term_frequencies(ids, indptr, last, document_frequency, total):
    """Count the documents and the occurrences of each term; `last` starts as -1."""
    for doc in range(indptr.shape[0] - 1):
        for i in range(indptr[doc], indptr[doc + 1]):
            term = ids[i]
            total[term] += 1
            if last[term] != doc:
                last[term] = doc
                document_frequency[term] += 1


@kernel
def count_tokens(ids, indptr, indices, counts, out_indptr):
    """Sorted distinct ids of each document and their counts; returns how many there are."""
    n = 0
    for doc in range(indptr.shape[0] - 1):
        base = n
        size = indptr[doc + 1] - indptr[doc]
        for i in range(size):
            indices[base + i] = ids[indptr[doc] + i]
        gap = 1
        while gap < size // 3:
            gap = 3 * gap + 1
        while gap > 0:  # Shell's sort: documents are short, and it needs neither room nor recursion
            for i in range(gap, size):
                term = indices[base + i]
                j = i
                while j >= gap and indices[base + j - gap] > term:
                    indices[base + j] = indices[base + j - gap]
                    j -= gap
                indices[base + j] = term
            gap //= 3
        for i in range(base, base + size):
            term = indices[i]
            if n > base and indices[n - 1] == term:
                counts[n - 1] += 1
            else:
                indices[n] = term
                counts[n] = 1
                n += 1
        out_indptr[doc + 1] = n
    return n
