"""Reader of CIFF, the Common Index File Format."""

import gzip
import zlib

import numpy as np
from scipy import sparse
from sklearn.utils import Bunch

from sklrank._kernels._ciff import (
    BAD_COUNT,
    BAD_FREQUENCY,
    BAD_MESSAGE,
    BAD_NUMBER,
    BAD_ORDER,
    DONE,
    LARGEST,
    NEEDS_BYTES,
    NEEDS_ROOM,
    behind,
    decode_documents,
    decode_lists,
    message,
    varint,
)
from sklrank.data import Corpus, StringArray
from sklrank.data._files import open_binary
from sklrank.data._ids import Ids
from sklrank.datasets._files import build

_BLOCK = 1 << 22  # bytes that are read at a time; a header is smaller
_PROBLEMS = {
    BAD_MESSAGE: "it is not such a message",
    BAD_ORDER: "its documents do not ascend",
    BAD_COUNT: f"a term occurs less than once, or more than {LARGEST} times, in a document",
    BAD_FREQUENCY: "its document frequency is not the number of its postings",
    BAD_NUMBER: f"its number or its length is below 0 or above {LARGEST}",
}


def read_ciff(path):
    r"""Read an index in CIFF, the Common Index File Format, which Anserini, PISA, Terrier and others write.

    Parameters
    ----------
    path : str or path
        The file. It is decompressed if its name ends in ``.gz``.

    Returns
    -------
    index : Bunch
        ``corpus``, a Corpus of the term counts of each document, with their lengths in column ``"n_tokens"``;
        ``terms``, a StringArray of the terms, in the order of the columns of the counts; ``description``, the text in
        the header.

    Raises
    ------
    ValueError
        If the file is not an index in this format. The message names the file and the record.

    See Also
    --------
    sklrank.encoders.TermVectorizer : With ``vocabulary=index.terms``, it turns queries into terms of the index.

    Notes
    -----
    Queries must be split and stemmed as the documents were: the format holds the terms, and not how they were made.
    Anserini rounds the lengths of documents as Lucene does. Retrievers compute the mean length from these lengths, and
    not from the header, so that scores differ slightly from Anserini's.

    References
    ----------
    J. Lin et al., Supporting Interoperability Between Open-Source Search Engines with the Common Index File Format,
    SIGIR 2020.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrank.datasets import read_ciff
    >>> from sklrank.encoders import TermVectorizer
    >>> from sklrank.retrievers import BM25Retriever
    >>> header = bytes([8, 1, 16, 2, 24, 2])  # version 1, two postings lists, two documents
    >>> cold = b"\n\x04cold" + bytes([16, 1, 34, 4, 8, 1, 16, 1])  # once, in document 1
    >>> heat = b"\n\x04heat" + bytes([16, 2, 34, 2, 16, 3, 34, 4, 8, 1, 16, 1])  # in documents 0 and 1
    >>> documents = b"\x12\x01a" + bytes([24, 3]), b"\x08\x01\x12\x01b" + bytes([24, 2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "index.ciff")
    ...     _ = path.write_bytes(b"".join(bytes([len(m)]) + m for m in (header, cold, heat, *documents)))
    ...     index = read_ciff(path)
    >>> index.corpus, index.terms.tolist()
    (<Corpus: 2 documents, columns vector, n_tokens>, ['cold', 'heat'])
    >>> vectorizer = TermVectorizer(vocabulary=index.terms)
    >>> BM25Retriever(index.corpus, vectorizer=vectorizer).fit(None).predict(["heat", "cold"]).docids
    [['a', 'b'], ['b']]
    """
    with open_binary(path) as file:
        blocks = _Blocks(path, file)
        header = blocks.header()
        terms, postings = _lists(blocks, header[2])
        ids, lengths = _documents(blocks, header[3])
        blocks.check_end()
    corpus = build(Corpus, _matrix(path, *postings, len(lengths)), path, ids=ids)
    description = header[8].decode(errors="replace")
    return Bunch(corpus=corpus.with_columns(n_tokens=lengths), terms=terms, description=description)


def _strings(path, what, buffer, offsets):
    """Return distinct strings as a StringArray."""
    try:
        strings = StringArray(buffer.copy(), offsets)  # without the room behind them
        Ids.of(strings, len(strings), what)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return strings


def _matrix(path, indptr, docs, counts, n_documents):
    """Return the counts of the terms in each document."""
    if docs.max(initial=0) >= n_documents:
        first = np.searchsorted(indptr, np.argmax(docs >= n_documents), side="right")
        raise ValueError(
            f"{path}: postings list {first} of {len(indptr) - 1} has a document with a number above those of the "
            f"{n_documents} document records"
        )
    index_dtype = sparse.get_index_dtype(maxval=max(len(docs), n_documents))
    lists = counts, docs.astype(index_dtype), indptr.astype(index_dtype)
    return sparse.csc_array(lists, shape=(n_documents, len(indptr) - 1)).tocsr()


class _Blocks:
    """A file as a buffer that holds the messages which are decoded next.

    Parameters
    ----------
    path : path
    file : binary file
    """

    def __init__(self, path, file):
        self.path, self._file = path, file
        self.buffer = np.empty(_BLOCK, dtype=np.uint8)
        self.position = self.end = 0

    def read(self):
        """Read more bytes behind those that are left; return whether there are any."""
        left = self.end - self.position
        self.buffer[:left] = self.buffer[self.position : self.end].copy()
        self.position, self.end = 0, left
        if left == len(self.buffer):  # doubled when it is full, and not for a length that a message claims to have
            self.buffer = np.concatenate([self.buffer, np.empty_like(self.buffer)])
        try:
            self.end += self._file.readinto(memoryview(self.buffer)[left:])
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{self.path}: not gzip, or cut off: {error}") from error
        return self.end > left

    def decode(self, kernel, what, n, arrays, kinds):
        """Decode `n` messages.

        Parameters
        ----------
        kernel : callable
        what : str
            Word for a message.
        n : int
            Number of messages.
        arrays : list of ndarray
            Arrays that the kernel fills. They grow with what is read, and not with what a message claims.
        kinds : tuple of int
            Place in `state` of the number of entries of each array.

        Returns
        -------
        list of ndarray
        """
        state = np.zeros(5, dtype=np.int64)
        while True:
            state[0] = self.position
            status = kernel(self.buffer, self.end, n, state, *arrays)
            self.position = int(state[0])
            if status == DONE:
                return [array[: state[kind]] for array, kind in zip(arrays, kinds)]
            record = f"{what} {state[1] + 1} of {n}"
            if status == NEEDS_ROOM:
                size = int(state[4]) - self.position
                needed = {1: 1, 2: size, 3: size // 2}  # entries that one message may have; see the kernels
                arrays = [_with_room(array, int(state[kind]) + needed[kind]) for array, kind in zip(arrays, kinds)]
            elif status != NEEDS_BYTES:
                raise ValueError(f"{self.path}: {record}: {_PROBLEMS[status]}")
            elif not self.read():
                raise ValueError(f"{self.path}: the file ends before {record} does")

    def header(self):
        """Return a dict from number to value of the fields of the header.

        They are the version, the numbers of postings lists and of document records, and, as 8, the description.
        """
        buffer, status = self.buffer, NEEDS_BYTES
        while status == NEEDS_BYTES and self.end < len(buffer) and self.read():
            status, position, stop = message(buffer, self.position, self.end)
        fields = {1: 0, 2: 0, 3: 0, 8: b""}
        if status == DONE:
            self.position = stop
            while 0 <= position < stop:
                tag, start = varint(buffer, position, stop)
                position = start
                if start >= 0:
                    position = behind(buffer, start, stop, tag & 7)
                if position >= 0 and tag in (0x08, 0x10, 0x18):
                    fields[tag >> 3] = varint(buffer, start, stop)[0]
                elif position >= 0 and tag == 0x42:
                    fields[8] = buffer[varint(buffer, start, stop)[1] : position].tobytes()
        if status != DONE or position != stop or min(fields[2], fields[3]) < 0 or not fields[1]:
            raise ValueError(f"{self.path}: not an index in CIFF, since it does not begin with a header")
        if fields[1] != 1:
            raise ValueError(f"{self.path}: an index in version {fields[1]} of CIFF; only version 1 can be read")
        return fields

    def check_end(self):
        """Raise an error if anything follows."""
        if self.position < self.end or self.read():
            raise ValueError(f"{self.path}: the file goes on after the last document record")


def _with_room(array, n):
    """Return an array of at least `n` entries that begins with those of another one."""
    if len(array) >= n:
        return array
    larger = np.empty(max(n, 3 * len(array) // 2), dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def _lists(blocks, n):
    """Return the terms, and the postings: indptr, documents and counts."""
    arrays = [np.empty(0, dtype=dtype) for dtype in (np.uint8, np.int64, np.uint32, np.int32, np.int64)]
    text, term_ends, docs, counts, list_ends = blocks.decode(decode_lists, "postings list", n, arrays, (2, 1, 3, 3, 1))
    return _strings(blocks.path, "term", text, _bounds(term_ends)), (_bounds(list_ends), docs, counts)


def _documents(blocks, n):
    """Return the ids of the documents and their lengths, in the order of their numbers."""
    arrays = [np.empty(0, dtype=dtype) for dtype in (np.uint8, np.int64, np.int64, np.int64)]
    text, id_ends, numbers, lengths = blocks.decode(decode_documents, "document record", n, arrays, (2, 1, 1, 1))
    order = np.argsort(numbers, kind="stable")
    wrong = np.flatnonzero(numbers[order] != np.arange(n))
    if len(wrong):
        raise ValueError(
            f"{blocks.path}: the numbers of the documents are not those from 0 to {n - 1}: the record of document "
            f"{wrong[0]} is missing, or there are two"
        )
    return _strings(blocks.path, "document", text, _bounds(id_ends))[order], lengths[order]


def _bounds(ends):
    return np.concatenate([np.zeros(1, dtype=np.int64), ends])
