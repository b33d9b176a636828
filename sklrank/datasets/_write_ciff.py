"""Writer of CIFF, the Common Index File Format."""

import struct
from itertools import pairwise

import numpy as np
from scipy import sparse

from sklrank._kernels._ciff import LARGEST, encode_documents, encode_lists
from sklrank.data import Corpus, StringArray
from sklrank.data._files import write_whole
from sklrank.data._ids import Ids
from sklrank.data._kinds import strings_of

_BLOCK = 1 << 22  # bytes that are encoded at a time
_OF_MESSAGE, _OF_POSTING = 40, 14  # upper bounds of the bytes of a message without text and postings, and of a posting


def write_ciff(path, corpus, terms, *, description=""):
    """Write term counts as an index in CIFF, which Anserini, PISA, Terrier and others read.

    Parameters
    ----------
    path : str or path
        File to write. It is compressed if its name ends in ``.gz``, and gets its name when it is complete.
    corpus : Corpus
        Term counts of the documents, as from `read_ciff`: a corpus that was made from a matrix. If it has a column
        ``"n_tokens"``, these are the lengths of the documents; else they are the sums of the counts.
    terms : sequence of str
        The terms, in the order of the columns of the counts.
    description : str, default=""
        Text for the header, such as how texts were split.

    See Also
    --------
    read_ciff : Read such an index.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrank import Corpus
    >>> from sklrank.datasets import read_ciff, write_ciff
    >>> from sklrank.encoders import TermVectorizer
    >>> corpus, vectorizer = Corpus({"a": "heat flows", "b": "cold"}), TermVectorizer()
    >>> counts = Corpus(vectorizer.fit_transform(corpus), ids=corpus.ids)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "index.ciff")
    ...     write_ciff(path, counts, vectorizer.get_feature_names_out())
    ...     index = read_ciff(path)
    >>> index.corpus, index.terms.tolist()
    (<Corpus: 2 documents, columns vector, n_tokens>, ['cold', 'flows', 'heat'])
    """
    if not isinstance(corpus, Corpus):
        raise TypeError(f"expected a Corpus of term counts, got {type(corpus).__name__}")
    counts = sparse.csc_array(corpus.matrix(), copy=True)
    counts.sum_duplicates()
    counts.eliminate_zeros()
    if len(corpus) > LARGEST or not _are_counts(counts.data, 1):
        raise ValueError(f"expected counts, whole numbers from 1 to {LARGEST}, of at most {LARGEST} documents")
    lengths = counts.sum(axis=1)
    if "n_tokens" in corpus.columns:
        lengths = corpus["n_tokens"]
        if not _are_counts(lengths, 0):
            raise ValueError("expected lengths, whole numbers of at least 0, in the column 'n_tokens'")
    lengths = np.asarray(lengths).ravel().astype(np.int64)
    terms = StringArray.from_strings(terms, what="term")
    Ids.of(terms, counts.shape[1], "term")
    header = _header(counts, lengths, description.encode())
    indptr = counts.indptr.astype(np.int64)
    ids = strings_of(corpus.ids)
    with write_whole(path, binary=True) as out:
        out.write(_varint(len(header)) + header)
        for first, stop, size in _blocks(_OF_POSTING * np.diff(indptr) + np.diff(terms.offsets)):
            inside = slice(indptr[first], indptr[stop])
            lists = indptr[first : stop + 1] - indptr[first], counts.indices[inside], counts.data[inside]
            arguments = terms.buffer, terms.offsets[first : stop + 1], *(array.astype(np.int64) for array in lists)
            _write(out, encode_lists, arguments, size)
        for first, stop, size in _blocks(np.diff(ids.offsets)):
            arguments = first, ids.buffer, ids.offsets[first : stop + 1], lengths[first:stop]
            _write(out, encode_documents, arguments, size)


def _are_counts(values, least):
    """Return whether all values are whole numbers from `least` to the largest that the format holds."""
    return bool(np.all((values >= least) & (values <= LARGEST) & (values == np.trunc(values))))


def _header(counts, lengths, description):
    """Return the message of the header, in bytes."""
    n_documents, n_terms = counts.shape
    total = int(counts.sum())
    numbers = 1, n_terms, n_documents, n_terms, n_documents, total
    fields = [bytes([8 * field]) + _varint(number) for field, number in enumerate(numbers, 1) if number]
    mean = float(lengths.mean()) if n_documents else 0.0
    if mean:
        fields.append(b"\x39" + struct.pack("<d", mean))
    if description:
        fields.append(b"\x42" + _varint(len(description)) + description)
    return b"".join(fields)


def _varint(number):
    content = bytearray()
    while number > 127:
        content.append(number & 127 | 128)
        number >>= 7
    return bytes([*content, number])


def _blocks(sizes):
    """Yield the first message, the one behind the last, and an upper bound of the bytes of all, for each block."""
    bounds = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes + _OF_MESSAGE)])
    edges = np.searchsorted(bounds, np.arange(0, bounds[-1], _BLOCK))
    for first, stop in pairwise(np.unique([*edges, len(sizes)]).tolist()):
        yield first, stop, bounds[stop] - bounds[first]


def _write(out, encode, arguments, size):
    content = np.empty(size, dtype=np.uint8)
    out.write(content[: encode(*arguments, content)].data)
