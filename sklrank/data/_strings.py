"""A column of text as one UTF-8 buffer."""

import numpy as np

from sklrank._kernels._strings import gather_bytes, join_columns
from sklrank._ragged import lengths_to_indptr

_CHUNK = 1 << 8  # strings encoded at a time, so few that the copies on the way stay in the cache


class StringArray:
    """Immutable strings in one UTF-8 buffer.

    A million documents as Python strings are a million objects; here they are two arrays, which joblib
    memory-maps, pickles and hashes without looking inside, and which kernels read as they are.

    Parameters
    ----------
    buffer : ndarray of uint8, shape (n_bytes,)
        The strings in UTF-8, one after the other.
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
        # Read-only, as memory maps are: kernels are compiled for one kind.
        buffer.flags.writeable = False
        offsets.flags.writeable = False
        self.buffer = buffer
        self.offsets = offsets

    @classmethod
    def from_strings(cls, strings, *, what="document"):
        """Encode an iterable of str.

        Parameters
        ----------
        strings : iterable of str
            The strings.
        what : str, default="document"
            What a string is called in error messages.

        Returns
        -------
        StringArray

        Raises
        ------
        TypeError
            If an entry is not a str.
        ValueError
            If an entry holds a lone surrogate, which no UTF-8 text can.
        """
        if not isinstance(strings, (list, tuple)):
            strings = list(strings)
        offsets = np.zeros(len(strings) + 1, dtype=np.int64)
        buffer = np.empty(0, dtype=np.uint8)
        position = 0
        for start in range(0, len(strings), _CHUNK):
            chunk = strings[start : start + _CHUNK]
            encoded, lengths = _encode(chunk, start, what)
            offsets[start + 1 : start + 1 + len(chunk)] = lengths
            end = position + len(encoded)
            if end > len(buffer):  # grows in place, so that no second copy of the text ever stands beside it
                buffer.resize(end + end // 8, refcheck=False)
            buffer[position:end] = np.frombuffer(encoded, dtype=np.uint8)
            position = end
        buffer.resize(position, refcheck=False)
        np.cumsum(offsets, out=offsets)
        return cls(buffer, offsets)

    @classmethod
    def joined(cls, first, second):
        """Join two columns string by string, with a space where both have text.

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
        return cls(buffer[: offsets[-1]].copy(), offsets)

    @property
    def nbytes(self):
        """Bytes of memory: text and offsets."""
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
        return StringArray(buffer, offsets)

    def __iter__(self):
        for start in range(0, len(self), _CHUNK):
            bounds = self.offsets[start : start + _CHUNK + 1].tolist()
            data = self.buffer[bounds[0] : bounds[-1]].tobytes()
            origin = bounds[0]
            for begin, end in zip(bounds[:-1], bounds[1:]):
                yield data[begin - origin : end - origin].decode()

    def tolist(self):
        """All strings, as a list of str."""
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
        self.__init__(**state)


def _encode(strings, start, what):
    """UTF-8 bytes of `strings` joined, and the length of each in bytes."""
    try:
        joined = "".join(strings)
    except TypeError:
        i = next(i for i, s in enumerate(strings) if not isinstance(s, str))
        raise TypeError(
            f"{what} {start + i} is {strings[i]!r} of type {type(strings[i]).__name__}; text (str) is needed"
        ) from None
    if joined.isascii():
        return joined.encode("ascii"), np.fromiter(map(len, strings), dtype=np.int64, count=len(strings))
    try:
        encoded = [s.encode() for s in strings]
    except UnicodeEncodeError:
        for i, s in enumerate(strings):
            try:
                s.encode()
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"{what} {start + i} holds a lone surrogate, {s[error.start]!r}, at character {error.start}; it "
                    "is no text in any encoding. Decode the source with errors='replace', or mend it."
                ) from None
    return b"".join(encoded), np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
