"""Text in UTF-8 to flat token ids, and token ids to sparse counts.

``scan_tokens`` reads a buffer of documents once. A token is a maximal run of word characters. While its bytes are read,
they are hashed, and written in lower case behind the last known form in the arena. They stay there if the form is new:

    arena   t h e | c a t | s a t | o n | m a t . . . .
    starts  0       3       6       9     11  ^ top: the token being read

The kernel never allocates. If it needs room or a prepared document, it returns to the caller, which provides it and
calls the kernel again with the position that it returned.
"""

import numpy as np

from sklrank._kernels._jit import kernel

# A character table holds the UTF-8 bytes of each lower-cased word character as one number, 0 for other characters,
# and HARD if lower-casing depends on the neighbors or gives several characters.
HARD = np.uint32(0xFF)

# Reasons for which scan_tokens returns.
DONE, NEEDS_ROOM, NEEDS_TABLE, NEEDS_LOWER = range(4)

DROPPED = np.uint32(0xFFFFFFFF)

_ZERO, _U8, _U32, _U56 = np.uint64(0), np.uint64(8), np.uint64(32), np.uint64(56)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIXER = np.uint64(0xD6E8FEB86659FD93)
_LONG = np.uint64(1 << 63)


@kernel
def scan_tokens(
    buffer,
    offsets,
    doc,
    stop,
    position,
    ascii_table,
    table,
    min_length,
    ids,
    n_ids,
    indptr,
    slots,
    bits,
    arena,
    starts,
    n_forms,
):
    """Tokenize documents ``doc`` to ``stop``, from a byte position within the first document on.

    ``slots`` is an open-addressing table of ``2**bits`` rows (low, high, form + 1). A form of up to fifteen bytes is
    its own key; a longer form has its hash as ``low`` and is compared byte by byte. In ``ascii_table``, 0 means that a
    byte is not a word character, 255 that it belongs to a longer character; other values are the lower-cased byte.
    """
    mask = slots.shape[0] - 1
    shift = np.uint64(64 - bits)
    top = starts[n_forms]
    while doc < stop:
        end = offsets[doc + 1]
        n_bytes = end - position
        # A lower-cased character has at most 1.5 times as many bytes, and a separator follows each token.
        if arena.shape[0] - top < 2 * n_bytes or ids.shape[0] - n_ids < n_bytes // (min_length + 1) + 1:
            return NEEDS_ROOM, doc, position, n_ids, n_forms
        while position < end:
            begin = position
            write = top
            continuation = 0  # bytes of the token that do not start a character
            low = _ZERO  # the last eight bytes
            high = _ZERO  # the eight bytes before them
            while position < end:
                byte = ascii_table[buffer[position]]
                size = 1
                n_more = 0
                piece = np.uint32(byte)
                if byte != 0 and byte != 255:  # the fast way for most characters
                    arena[write] = byte
                    write += 1
                    position += 1
                    high = high << _U8 | low >> _U56
                    low = low << _U8 | np.uint64(byte)
                    continue
                if byte == 255:
                    code = np.uint32(buffer[position])
                    size = 4
                    if code < 0xE0:
                        size = 2
                    elif code < 0xF0:
                        size = 3
                    code &= np.uint32(0x7F >> size)
                    for i in range(position + 1, position + size):
                        code = code << np.uint32(6) | np.uint32(buffer[i] & 0x3F)
                    if code >= table.shape[0]:
                        return NEEDS_TABLE, doc, begin, n_ids, n_forms
                    piece = table[code]
                    if piece == HARD:
                        return NEEDS_LOWER, doc, begin, n_ids, n_forms
                    n_more = 3
                    while n_more > 0 and piece < 1 << 8 * n_more:
                        n_more -= 1
                    continuation += n_more
                position += size
                if piece == 0:
                    break
                while True:
                    byte = np.uint8(piece >> np.uint32(8 * n_more))
                    arena[write] = byte
                    write += 1
                    high = high << _U8 | low >> _U56
                    low = low << _U8 | np.uint64(byte)
                    n_more -= 1
                    if n_more < 0:
                        break
            length = write - top
            if length - continuation < min_length:
                continue
            if length > 15:
                for i in range(top, write):
                    low = (low ^ np.uint64(arena[i])) * _GOLDEN
                    low ^= low >> _U32
                high = _LONG
            key = low ^ high * _MIXER
            slot = np.int64(((key ^ key >> _U32) * _GOLDEN) >> shift)
            while True:
                form = np.int64(slots[slot, 2]) - 1
                if form < 0:
                    if 2 * (n_forms + 1) > mask:
                        return NEEDS_ROOM, doc, begin, n_ids, n_forms
                    slots[slot, 0] = low
                    slots[slot, 1] = high
                    slots[slot, 2] = n_forms + 1
                    form = n_forms
                    n_forms += 1
                    starts[n_forms] = top = write
                    break
                if slots[slot, 0] == low and slots[slot, 1] == high:
                    same = True
                    if length > 15:
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
        doc += 1
        indptr[doc] = n_ids
        position = offsets[doc]
    return DONE, doc, position, n_ids, n_forms


@kernel
def rehash(old, new, bits):
    """Move all entries of an open-addressing table to a larger table."""
    mask = new.shape[0] - 1
    shift = np.uint64(64 - bits)
    for i in range(old.shape[0]):
        if old[i, 2] != _ZERO:
            key = old[i, 0] ^ old[i, 1] * _MIXER
            slot = np.int64(((key ^ key >> _U32) * _GOLDEN) >> shift)
            while new[slot, 2] != _ZERO:
                slot = (slot + 1) & mask
            for j in range(3):
                new[slot, j] = old[i, j]


@kernel
def remap_tokens(ids, indptr, mapping):
    """Replace each id by its image in place, and remove ids that map to DROPPED; return the number of ids left."""
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
    """Count the documents and the occurrences of each term; `last` is -1 at the beginning."""
    for doc in range(indptr.shape[0] - 1):
        for i in range(indptr[doc], indptr[doc + 1]):
            term = ids[i]
            total[term] += 1
            if last[term] != doc:
                last[term] = doc
                document_frequency[term] += 1


@kernel
def count_tokens(ids, indptr, indices, counts, out_indptr):
    """Write the sorted distinct ids of each document and their counts; return the number of ids."""
    n = 0
    for doc in range(indptr.shape[0] - 1):
        base = n
        size = indptr[doc + 1] - indptr[doc]
        for i in range(size):
            indices[base + i] = ids[indptr[doc] + i]
        gap = 1
        while gap < size // 3:
            gap = 3 * gap + 1
        while gap > 0:  # Shell's sort, because documents are short, and it needs neither memory nor recursion
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
