"""Decoding and encoding of CIFF, the Common Index File Format: delimited messages of Protocol Buffers.

A message is a sequence of fields, each a tag (number of the field and wire type) and a value. Numbers are varints:
seven bits per byte, the lowest first; a set high bit means that another byte follows. Decoders work on a block of a
file that holds some complete messages, and report if the next message needs more bytes or more room. Encoders leave out
numbers that are 0, as Protocol Buffers do.
"""

import numpy as np

from sklrank._kernels._jit import kernel

DONE, NEEDS_BYTES, NEEDS_ROOM, BAD_MESSAGE, BAD_ORDER, BAD_COUNT, BAD_FREQUENCY, BAD_NUMBER = range(8)
LARGEST = (1 << 31) - 1  # bytes of a message, and value of an int32
_LONGEST_VARINT = 10


@kernel
def varint(buffer, position, end):
    """Return a number and the position behind it, which is -1 if the number is cut off or too long."""
    value = np.int64(0)
    shift = np.int64(0)
    while position < end and shift < 7 * _LONGEST_VARINT:
        byte = np.int64(buffer[position])
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    return value, np.int64(-1)


@kernel
def behind(buffer, position, end, wire):
    """Return the position behind the value of a field; -1 if it is not in the message."""
    size = np.int64(0)
    if wire == 0:
        _, position = varint(buffer, position, end)
    elif wire == 1:
        size = 8
    elif wire == 2:
        size, position = varint(buffer, position, end)
    elif wire == 5:
        size = 4
    else:
        return np.int64(-1)
    if position < 0 or size < 0 or size > end - position:
        return np.int64(-1)
    return position + size


@kernel
def message(buffer, position, end):
    """Return status, and start and stop of the next message; its stop if the block does not hold all of it."""
    size, start = varint(buffer, position, end)
    if start < 0:
        if end - position >= _LONGEST_VARINT:
            return BAD_MESSAGE, position, position
        return NEEDS_BYTES, position, end + 1
    if size < 0 or size > LARGEST:
        return BAD_MESSAGE, position, position
    if size > end - start:
        return NEEDS_BYTES, start, start + size
    return DONE, start, start + size


@kernel
def _posting(buffer, position, stop):
    """Return the gap and the count of a posting, and whether it is one."""
    gap = np.int64(0)
    count = np.int64(0)
    while position < stop:
        tag, position = varint(buffer, position, stop)
        if position < 0:
            return gap, count, False
        if tag == 0x08 or tag == 0x10:
            value, position = varint(buffer, position, stop)
            if tag == 0x08:
                gap = value
            else:
                count = value
        else:
            position = behind(buffer, position, stop, tag & 7)
        if position < 0:
            return gap, count, False
    return gap, count, True


@kernel
def decode_lists(buffer, end, n_lists, state, text, term_ends, docs, counts, list_ends):
    """Decode messages of postings lists.

    `state` holds the position in the buffer, and the numbers of lists, of bytes of terms and of postings so far; last,
    the end of the next message if that is needed. It describes complete messages only.
    """
    position, i, n_text, n_postings = state[0], state[1], state[2], state[3]
    while i < n_lists:
        status, start, stop = message(buffer, position, end)
        if status != DONE:
            state[4] = stop
            return status
        size = stop - start
        # A term has at most as many bytes as the message, and a posting takes at least two.
        if i == list_ends.size or size > text.size - n_text or size // 2 > docs.size - n_postings:
            state[4] = stop
            return NEEDS_ROOM
        text_end = n_text
        posting = n_postings
        frequency = np.int64(0)
        doc = np.int64(0)
        position = start
        while position < stop:
            tag, position = varint(buffer, position, stop)
            if position < 0:
                return BAD_MESSAGE
            if tag != 0x0A and tag != 0x10 and tag != 0x22:
                if 1 <= tag >> 3 <= 4 and tag != 0x18:  # a known field of another type: another kind of message
                    return BAD_MESSAGE
                position = behind(buffer, position, stop, tag & 7)
                if position < 0:
                    return BAD_MESSAGE
                continue
            value, position = varint(buffer, position, stop)
            if position < 0:
                return BAD_MESSAGE
            if tag == 0x10:
                frequency = value
                continue
            if value < 0 or value > stop - position:
                return BAD_MESSAGE
            last = position + value
            if tag == 0x0A:
                text_end = n_text
                for p in range(position, last):
                    text[text_end] = buffer[p]
                    text_end += 1
            else:
                gap, count, is_posting = _posting(buffer, position, last)
                if not is_posting:
                    return BAD_MESSAGE
                if gap < 0 or gap > LARGEST - doc or (gap == 0 and posting > n_postings):
                    return BAD_ORDER
                if count <= 0 or count > LARGEST:
                    return BAD_COUNT
                doc += gap
                docs[posting] = doc
                counts[posting] = count
                posting += 1
            position = last
        if posting - n_postings != frequency:
            return BAD_FREQUENCY
        term_ends[i] = text_end
        list_ends[i] = posting
        i += 1
        n_text = text_end
        n_postings = posting
        state[0], state[1], state[2], state[3] = position, i, n_text, n_postings
    return DONE


@kernel
def decode_documents(buffer, end, n_documents, state, text, id_ends, numbers, lengths):
    """Decode messages of document records; `state` is that of `decode_lists`, without the number of postings."""
    position, i, n_text = state[0], state[1], state[2]
    while i < n_documents:
        status, start, stop = message(buffer, position, end)
        if status != DONE:
            state[4] = stop
            return status
        if i == numbers.size or stop - start > text.size - n_text:
            state[4] = stop
            return NEEDS_ROOM
        text_end = n_text
        number = np.int64(0)
        length = np.int64(0)
        position = start
        while position < stop:
            tag, position = varint(buffer, position, stop)
            if position < 0:
                return BAD_MESSAGE
            if tag != 0x08 and tag != 0x12 and tag != 0x18:
                if 1 <= tag >> 3 <= 3:
                    return BAD_MESSAGE
                position = behind(buffer, position, stop, tag & 7)
                if position < 0:
                    return BAD_MESSAGE
                continue
            value, position = varint(buffer, position, stop)
            if position < 0:
                return BAD_MESSAGE
            if tag == 0x08:
                number = value
            elif tag == 0x18:
                length = value
            else:
                if value < 0 or value > stop - position:
                    return BAD_MESSAGE
                text_end = n_text
                for p in range(position, position + value):
                    text[text_end] = buffer[p]
                    text_end += 1
                position += value
        if number < 0 or number > LARGEST or length < 0 or length > LARGEST:
            return BAD_NUMBER
        id_ends[i] = text_end
        numbers[i] = number
        lengths[i] = length
        i += 1
        n_text = text_end
        state[0], state[1], state[2] = position, i, n_text
    return DONE


@kernel
def _n_bytes(number):
    """Return the number of bytes of a varint."""
    n = 1
    while number > 127:
        number >>= 7
        n += 1
    return n


@kernel
def _put(out, position, number):
    """Write a varint; return the position behind it."""
    while number > 127:
        out[position] = number & 127 | 128
        number >>= 7
        position += 1
    out[position] = number
    return position + 1


@kernel
def _n_field(number):
    """Return the number of bytes of a number with its tag."""
    if number == 0:
        return 0
    return 1 + _n_bytes(number)


@kernel
def _put_field(out, position, tag, number):
    if number == 0:
        return position
    out[position] = tag
    return _put(out, position + 1, number)


@kernel
def _put_text(out, position, tag, text, start, stop):
    if start == stop:
        return position
    position = _put_field(out, position, tag, stop - start)
    for i in range(start, stop):
        out[position] = text[i]
        position += 1
    return position


@kernel
def encode_lists(text, offsets, indptr, docs, counts, out):
    """Write the messages of postings lists; return the number of bytes."""
    position = np.int64(0)
    for t in range(indptr.size - 1):
        n_term = offsets[t + 1] - offsets[t]
        frequency = indptr[t + 1] - indptr[t]
        size = _n_field(n_term) + n_term + _n_field(frequency) + 2 * frequency
        occurrences = np.int64(0)
        doc = np.int64(0)
        for p in range(indptr[t], indptr[t + 1]):
            size += _n_field(docs[p] - doc) + _n_field(counts[p])
            occurrences += counts[p]
            doc = docs[p]
        position = _put(out, position, size + _n_field(occurrences))
        position = _put_text(out, position, 0x0A, text, offsets[t], offsets[t + 1])
        position = _put_field(out, position, 0x10, frequency)
        position = _put_field(out, position, 0x18, occurrences)
        doc = np.int64(0)
        for p in range(indptr[t], indptr[t + 1]):
            position = _put_field(out, position, 0x22, _n_field(docs[p] - doc) + _n_field(counts[p]))
            position = _put_field(out, position, 0x08, docs[p] - doc)
            position = _put_field(out, position, 0x10, counts[p])
            doc = docs[p]
    return position


@kernel
def encode_documents(first, text, offsets, lengths, out):
    """Write the messages of document records, which are numbered from `first`; return the number of bytes."""
    position = np.int64(0)
    for d in range(lengths.size):
        n_id = offsets[d + 1] - offsets[d]
        position = _put(out, position, _n_field(first + d) + _n_field(n_id) + n_id + _n_field(lengths[d]))
        position = _put_field(out, position, 0x08, first + d)
        position = _put_text(out, position, 0x12, text, offsets[d], offsets[d + 1])
        position = _put_field(out, position, 0x18, lengths[d])
    return position
