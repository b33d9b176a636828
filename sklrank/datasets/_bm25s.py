"""Reader of indexes of bm25s."""

import json
import re
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.utils import Bunch

from sklrank.data import Corpus, StringArray
from sklrank.datasets._files import build, json_records, shown

_HEADER = re.compile(
    rb"\x93NUMPY[\1-\3]\0(?:..|....)\{'descr': '(<(?:f[248]|[iu][248])|\|[iu]1)', 'fortran_order': False, "
    rb"'shape': \((\d{1,18}),\), \} *\n",
    re.DOTALL,
)
_ARRAYS = {"data": "f", "indices": "iu", "indptr": "iu"}  # name → kinds of its dtype


def read_bm25s(index):
    """Read an index of bm25s: the weight of each term in each document.

    Parameters
    ----------
    index : str, path or bm25s.BM25
        Folder that ``bm25s.BM25.save`` has written, or an index in memory.

    Returns
    -------
    index : Bunch
        ``corpus``, a Corpus of the weights of each document, with the documents that were saved in the folder, if any;
        ``terms``, a StringArray of the terms, in the order of the columns of the weights.

    Raises
    ------
    ValueError
        If the folder does not hold an index. The message starts with the file.

    See Also
    --------
    sklrank.retrievers.SparseRetriever : Adds up the weights of the terms of a query.

    Notes
    -----
    bm25s keeps weights, from which counts cannot be computed, so that k1 and b are those of the index. Scores are those
    of bm25s; only documents with a term of the query are found. For the methods ``"bm25l"`` and ``"bm25+"``, bm25s adds
    to the scores of all documents the weights that the terms of the query have in documents without them. This constant
    does not change the ranking, and is left out. No code is run: arrays are read without pickle, the rest is JSON.

    Examples
    --------
    >>> import bm25s
    >>> from sklrank.datasets import read_bm25s
    >>> from sklrank.encoders import TermVectorizer
    >>> from sklrank.retrievers import SparseRetriever
    >>> theirs = bm25s.BM25()
    >>> theirs.index([["heat", "flows"], ["cold", "rests"], ["heat", "heat"]], show_progress=False)
    >>> index = read_bm25s(theirs)
    >>> retriever = SparseRetriever(index.corpus, query_encoder=TermVectorizer(vocabulary=index.terms)).fit(None)
    >>> retriever.predict(["heat"]).docids
    [['2', '0']]
    """
    documents = None
    if isinstance(index, (str, Path)):
        source = Path(index)
        arrays = {name: _array(source / f"{name}.csc.index.npy", kinds) for name, kinds in _ARRAYS.items()}
        vocabulary, n_documents = _json(source / "vocab.index.json"), _n_documents(source / "params.index.json")
        if (source / "corpus.jsonl").exists():
            documents = [record for _, record in json_records(source / "corpus.jsonl", ())]
    elif hasattr(index, "scores") and hasattr(index, "vocab_dict"):
        source, vocabulary, n_documents = "index", index.vocab_dict, index.scores["num_docs"]
        arrays = {name: np.asarray(index.scores[name]) for name in _ARRAYS}
    else:
        raise TypeError(f"expected the folder of an index of bm25s, or a bm25s.BM25, got {type(index).__name__}")
    matrix = _matrix(source, n_documents, **arrays)
    terms = _terms(source, vocabulary, matrix.shape[1])
    if documents is None:
        return Bunch(corpus=build(Corpus, matrix, source), terms=terms)
    if len(documents) != n_documents:
        raise ValueError(f"{source / 'corpus.jsonl'}: {len(documents)} documents, but the index has {n_documents}")
    corpus = build(Corpus, documents, source / "corpus.jsonl")
    return Bunch(corpus=corpus.with_columns(vector=matrix), terms=terms)


def _matrix(source, n_documents, data, indices, indptr):
    """Return the weights of each document, from those of each term."""
    n = len(data)
    if len(indices) != n or not len(indptr) or indptr[0] != 0 or indptr[-1] != n or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(f"{source}: the arrays data, indices and indptr do not fit together")
    if n and not 0 <= indices.min() <= indices.max() < n_documents:
        raise ValueError(f"{source}: indices from {indices.min()} to {indices.max()}, but {n_documents} documents")
    index_dtype = sparse.get_index_dtype(maxval=max(n, n_documents))
    lists = data, indices.astype(index_dtype, copy=False), indptr.astype(index_dtype, copy=False)
    return sparse.csc_array(lists, shape=(n_documents, len(indptr) - 1)).tocsr()


def _terms(source, vocabulary, n_terms):
    """Return the term of each column."""
    terms = [None] * n_terms
    for term, number in vocabulary.items():
        if not isinstance(number, (int, np.integer)) or number < 0:
            raise ValueError(f"{source}: the vocabulary has the number {shown(number)} for the term {shown(term)}")
        if number < n_terms:  # bm25s adds an empty term behind the last column
            terms[number] = term
    if None in terms:
        raise ValueError(f"{source}: the vocabulary has no term for column {terms.index(None)} of {n_terms}")
    try:
        return StringArray.from_strings(terms, what="term")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from None


def _array(path, kinds):
    """Map an array from a file of NumPy. Its header is matched as text, and is not evaluated."""
    with open(path, "rb") as file:
        header = _HEADER.match(file.read(512))
    if header is None or header[1][1:2].decode() not in kinds:
        raise ValueError(f"{path}: not a file of NumPy with a one-dimensional array of numbers")
    dtype, n = np.dtype(header[1].decode()), int(header[2])
    if header.end() + n * dtype.itemsize != path.stat().st_size:
        raise ValueError(f"{path}: the size of the file is not that of {n} numbers")
    return np.memmap(path, dtype=dtype, mode="r", offset=header.end(), shape=(n,))


def _json(path):
    """Read a JSON object."""
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {shown(str(error))}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def _n_documents(path):
    n = _json(path).get("num_docs")
    if type(n) is not int or not 0 <= n < 1 << 32:
        raise ValueError(f"{path}: num_docs is {shown(n)}, not a number of documents")
    return n
