"""StringArray: a column of text in one UTF-8 buffer."""

import codecs

import numpy as np

from sklrank._kernels._strings import gather_bytes, join_columns
from sklrank._ragged import lengths_to_indptr

_NO_BYTES = np.frombuffer(b"", dtype=np.uint8)
_BLOCK = 1 << 20  # bytes that are checked at a time
_CHUNK = 1 << 8  # strings that are encoded at a time; intermediate copies fit into the CPU cache


class StringArray:
    """Hold immutable strings in one UTF-8 buffer.

    A million documents as Python strings are a million objects. Here they are two arrays, which joblib memory-maps,
    pickles and hashes as a whole, and which kernels read directly.

    Parameters
    ----------
    buffer : ndarray of uint8, shape (n_bytes,)
        Strings in UTF-8, one after the other.
    offsets : ndarray of int64, shape (n_strings + 1,)
        String ``i`` is ``buffer[offsets[i]:offsets[i + 1]]``.

    Examples
    --------
    >>> from sklrank.data import StringArray
    >>> column = StringArray.from_strings(["naïve", "", "plain"])
    >>> column[0], len(column), column.nbytes
    ('naïve', 3, 43)
    >>> column[[2, 0]].tolist()
    ['plain', 'naïve']
    """

    __slots__ = ("buffer", "offsets")

    def __init__(self, buffer, offsets):
        _check_offsets(buffer, offsets)
        self._set(buffer, offsets)
        _check_text(self.buffer, self.offsets)

    @classmethod
    def _of(cls, buffer, offsets):
        """Make strings from arrays that are known to hold valid text."""
        new = object.__new__(cls)
        new._set(buffer, offsets)
        return new

    def _set(self, buffer, offsets):
        if not len(buffer):
            buffer = _NO_BYTES  # an empty array has one of several strides, and equal columns hash equally
        # Read-only views, like memory maps, so that kernels are compiled for one kind of array.
        self.buffer, self.offsets = buffer.view(), offsets.view()
        self.buffer.flags.writeable = self.offsets.flags.writeable = False

    @classmethod
    def from_strings(cls, strings, *, what="document"):
        """Encode an iterable of str.

        Parameters
        ----------
        strings : iterable of str
            Strings to encode.
        what : str, default="document"
            Word for a string in error messages.

        Returns
        -------
        StringArray

        Raises
        ------
        TypeError
            If a value is not a str.
        ValueError
            If a value contains a lone surrogate, which UTF-8 cannot encode.
        """
        if not isinstance(strings, (list, tuple)):
            strings = list(strings)
        offsets = np.zeros(len(strings) + 1, dtype=np.int64)
        buffer = np.empty(0, dtype=np.uint8)
        position = 0
        for start in range(0, len(strings), _CHUNK):
            chunk = strings[start : start + _CHUNK]
            encoded, lengths = encode(chunk, start, what)
            offsets[start + 1 : start + 1 + len(chunk)] = lengths
            end = position + len(encoded)
            if end > len(buffer):  # grows in place, without a second copy of the text
                buffer.resize(end + end // 8, refcheck=False)
            buffer[position:end] = np.frombuffer(encoded, dtype=np.uint8)
            position = end
        buffer.resize(position, refcheck=False)
        np.cumsum(offsets, out=offsets)
        return cls._of(buffer, offsets)

    @classmethod
    def joined(cls, first, second):
        """Join two columns string by string, with a space if both have text.

        Parameters
        ----------
        first, second : StringArray
            Columns of equal length.

        Returns
        -------
        StringArray
        """
        buffer = np.empty(len(first.buffer) + len(second.buffer) + len(first), dtype=np.uint8)
        offsets = np.zeros(len(first) + 1, dtype=np.int64)
        join_columns(first.buffer, first.offsets, second.buffer, second.offsets, buffer, offsets)
        return cls._of(buffer[: offsets[-1]].copy(), offsets)

    @property
    def nbytes(self):
        """Number of bytes of text and offsets."""
        return self.buffer.nbytes + self.offsets.nbytes

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, key):
        if isinstance(key, (int, np.integer)):
            n = len(self)
            if not -n <= key < n:
                raise IndexError(f"string {key} of {n}")
            key = int(key) % n
            return self.buffer[self.offsets[key] : self.offsets[key + 1]].tobytes().decode()
        indices = np.arange(len(self), dtype=np.int64)[key]
        offsets = lengths_to_indptr(self.offsets[indices + 1] - self.offsets[indices])
        buffer = np.empty(offsets[-1], dtype=np.uint8)
        gather_bytes(self.buffer, self.offsets, indices, buffer, offsets)
        return StringArray._of(buffer, offsets)

    def __iter__(self):
        for start in range(0, len(self), _CHUNK):
            bounds = self.offsets[start : start + _CHUNK + 1].tolist()
            data = self.buffer[bounds[0] : bounds[-1]].tobytes()
            origin = bounds[0]
            for begin, end in zip(bounds[:-1], bounds[1:]):
                yield data[begin - origin : end - origin].decode()

    def batches(self):
        """Yield the strings in batches that are in memory already: one."""
        yield self

    def tolist(self):
        """Return all strings as a list of str."""
        return list(self)

    def __eq__(self, other):
        if not isinstance(other, StringArray):
            return NotImplemented
        return np.array_equal(self.offsets, other.offsets) and np.array_equal(self.buffer, other.buffer)

    __hash__ = None

    def __repr__(self):
        return f"<StringArray: {len(self)} strings, {len(self.buffer)} bytes>"

    def __getstate__(self):
        return {"buffer": self.buffer, "offsets": self.offsets}

    def __setstate__(self, state):
        _check_offsets(**state)
        self._set(**state)


def _check_offsets(buffer, offsets):
    """Raise an error if the offsets exceed the buffer, which kernels do not check."""
    for name, array, dtype in (("buffer", buffer, np.uint8), ("offsets", offsets, np.int64)):
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name} is an array of {np.dtype(dtype)}, got {type(array).__name__}")
        if array.dtype != dtype or array.ndim != 1:
            raise TypeError(
                f"{name} is a one-dimensional array of {np.dtype(dtype)}, got {array.dtype} of shape {array.shape}"
            )
        if not array.flags.c_contiguous:
            raise ValueError(f"{name} has strides; np.ascontiguousarray makes an array without strides")
    if not len(offsets) or offsets[0] < 0 or offsets[-1] > len(buffer) or (offsets[1:] < offsets[:-1]).any():
        raise ValueError(f"offsets rise from 0 to the length of the buffer, {len(buffer)}; got {offsets}")


def _check_text(buffer, offsets):
    """Raise a ValueError if a string is not UTF-8."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    try:
        for start in range(0, len(buffer), _BLOCK):
            decode(buffer[start : start + _BLOCK].tobytes())
        decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise ValueError(f"the buffer is not text in UTF-8: {error}") from None
    starts = offsets[offsets < len(buffer)]
    inside = np.flatnonzero((buffer[starts] & 0xC0) == 0x80)
    if len(inside):
        raise ValueError(f"offset {starts[inside[0]]} is inside a character")


def encode(strings, start, what, errors="strict"):
    """Return the joined UTF-8 bytes of `strings`, and the number of bytes of each."""
    try:
        joined = "".join(strings)
    except TypeError:
        i = next(i for i, s in enumerate(strings) if not isinstance(s, str))
        raise TypeError(
            f"{what} {start + i} is {strings[i]!r} of type {type(strings[i]).__name__}; expected text (str)"
        ) from None
    if joined.isascii():
        return joined.encode("ascii"), np.fromiter(map(len, strings), dtype=np.int64, count=len(strings))
    try:
        encoded = [s.encode(errors=errors) for s in strings]
    except UnicodeEncodeError:
        for i, s in enumerate(strings):
            try:
                s.encode()
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"{what} {start + i} holds a lone surrogate, {s[error.start]!r}, at character {error.start}, which "
                    "no encoding can store. Decode the source with errors='replace', or correct it."
                ) from None
    return b"".join(encoded), np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
