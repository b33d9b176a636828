"""Splitting of documents into distinct surface forms and form ids, by the kernel or by a Python function."""

from array import array
from collections import defaultdict

import numpy as np

from sklrank._kernels._text import NEEDS_LOWER, NEEDS_ROOM, NEEDS_TABLE, rehash, scan_tokens
from sklrank._vectors import read_only
from sklrank.data import StringArray
from sklrank.encoders._characters import ascii_table, character_table

_BATCH = 1 << 14  # documents per kernel call, so that the user can interrupt


class _Scanner:
    """Tables of the kernel, enlarged when it reports that they are full."""

    def __init__(self, lowercase, min_length, n_ids):
        self.lowercase = lowercase
        self.min_length = min_length
        self.ids = np.empty(n_ids, dtype=np.uint32)  # pages that no token reaches are never touched
        self.n_ids = 0
        self.bits = 12
        self.slots = np.zeros((1 << self.bits, 3), dtype=np.uint64)
        self.starts = np.zeros((1 << self.bits) // 2 + 1, dtype=np.int64)
        self.arena = np.empty(1 << 16, dtype=np.uint8)
        self.n_forms = 0
        self.table = np.zeros(0, dtype=np.uint32)

    def scan(self, buffer, offsets, indptr, start, stop, lowercase):
        """Tokenize documents `start` to `stop` of a buffer."""
        small, table = ascii_table(lowercase), self.table
        if lowercase != self.lowercase:
            table = character_table(lowercase)
        doc, position = start, offsets[start]
        while True:
            status, doc, position, self.n_ids, self.n_forms = scan_tokens(
                buffer, offsets, doc, stop, position, small, table, self.min_length,
                self.ids, self.n_ids, indptr, self.slots, self.bits, self.arena, self.starts, self.n_forms,
            )  # fmt: skip
            if status == NEEDS_ROOM:
                self._make_room(offsets[doc + 1] - position)
            elif status == NEEDS_TABLE:
                self.table = table = character_table(lowercase)
            elif status == NEEDS_LOWER:
                # Python lower-cases this document, and the kernel reads the result without lower-casing.
                self.n_ids = indptr[doc]
                text = buffer[offsets[doc] : offsets[doc + 1]].tobytes().decode().lower().encode()
                lowered = np.frombuffer(text, dtype=np.uint8)
                self.scan(lowered, _read_only([0, len(lowered)], np.int64), indptr[doc : doc + 2], 0, 1, False)
                doc += 1
                position = offsets[doc]
            else:
                return

    def _make_room(self, n_bytes):
        top = self.starts[self.n_forms]
        if len(self.arena) - top < 2 * n_bytes:
            arena = np.empty(max(2 * len(self.arena), top + 2 * n_bytes), dtype=np.uint8)
            arena[:top] = self.arena[:top]
            self.arena = arena
        n_needed = n_bytes // (self.min_length + 1) + 1
        if len(self.ids) - self.n_ids < n_needed:
            self.ids.resize(self.n_ids + max(self.n_ids // 2, n_needed), refcheck=False)
        if 2 * (self.n_forms + 1) >= len(self.slots):
            self.bits += 1
            slots = np.zeros((1 << self.bits, 3), dtype=np.uint64)
            rehash(self.slots, slots, self.bits)
            self.slots = slots
            starts = np.zeros((1 << self.bits) // 2 + 1, dtype=np.int64)
            starts[: self.n_forms + 1] = self.starts[: self.n_forms + 1]
            self.starts = starts

    def strings(self):
        """Return all forms."""
        starts = self.starts[: self.n_forms + 1].copy()
        return StringArray(self.arena[: starts[-1]].copy(), starts)


def scan_forms(texts, lowercase, min_length):
    """Split documents by the kernel.

    Parameters
    ----------
    texts : StringArray or TextReader
        The documents.
    lowercase : bool
        Whether to convert them to lower case first.
    min_length : int
        Minimum number of word characters of a token.

    Returns
    -------
    forms : StringArray
        The distinct tokens, in order of first appearance.
    ids : ndarray of uint32, shape (n_tokens,)
        Position in `forms` of each token.
    indptr : ndarray of int64, shape (n_documents + 1,)
        Start of each document in `ids`, and the end of the last one.
    """
    indptr = np.zeros(len(texts) + 1, dtype=np.int64)
    scanner, first = None, 0
    for batch in texts.batches():
        # With read-only views, one compiled kernel serves texts in memory and texts mapped from a file.
        buffer, offsets = _read_only(batch.buffer, np.uint8), _read_only(batch.offsets, np.int64)
        n_documents = len(batch)
        if scanner is None:
            n_ids = int(offsets[-1] - offsets[0] + n_documents) // (min_length + 1) + 1
            scanner = _Scanner(lowercase, min_length, n_ids)
        for start in range(0, n_documents, _BATCH):
            stop = min(start + _BATCH, n_documents)
            scanner.scan(buffer, offsets, indptr[first : first + n_documents + 1], start, stop, lowercase)
        first += n_documents
    if scanner is None:  # no documents
        return [], np.empty(0, dtype=np.uint32), indptr
    scanner.ids.resize(scanner.n_ids, refcheck=False)
    return scanner.strings(), scanner.ids, indptr


def _read_only(values, dtype):
    return read_only(np.ascontiguousarray(values, dtype=dtype))


def analyze_forms(texts, analyze):
    """Split documents by a function from a text to its tokens, as `scan_forms` does; the forms are a list of str."""
    forms = defaultdict()
    forms.default_factory = forms.__len__
    ids = array("I")
    indptr = array("q", [0])
    for text in texts:
        ids.extend(map(forms.__getitem__, analyze(text)))
        indptr.append(len(ids))
    return list(forms), np.array(ids, dtype=np.uint32), np.array(indptr, dtype=np.int64)
