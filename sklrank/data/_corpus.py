"""Corpus: the documents."""

import warnings
from copy import deepcopy
from multiprocessing import parent_process
from numbers import Integral

import joblib
import numpy as np

import sklrank
from sklrank._caching import DEFAULT_LIMIT, Cache, Folder, Recent
from sklrank._caching.keys import file_name
from sklrank.data._display import printable
from sklrank.data._documents import DocumentIds
from sklrank.data._frames import as_names, frame_like
from sklrank.data._ids import Ids
from sklrank.data._passages import split_texts
from sklrank.data._strings import StringArray
from sklrank.data._table import (
    VECTOR,
    as_column,
    as_table,
    holds_vectors,
    n_rows,
    plain_columns,
    table_dict,
    table_html,
    table_lists,
)

_ID_NAMES = ("docid", "_id", "id", "docno", "doc_id")

# Unpickling returns the corpus of the same content if the process has one, so that a worker has one for all its tasks.
# Between two tasks, only this store holds the corpora of a worker.
_LIVING = Recent(4)
# Corpora of raw lists and frames, by content: a grid search that clones these indexes them once.
_BY_CONTENT = Recent(4)
# Objects that are pickled with corpora and estimators, and act when they are unpickled.
TRAVELLERS = []


class Corpus(DocumentIds):
    """Hold documents: ids and named columns.

    A corpus cannot be changed. It is shared, not copied: `clone` returns the same object, and a worker process holds
    one copy. Data that are derived from it (term counts, postings, vectors) are cached on it, so that a grid search
    tokenizes each document once.

    Parameters
    ----------
    documents : list of str, dict, list of dict, DataFrame, matrix of shape (n_documents, n_features), or Corpus
        Texts; a dict from id to text or to columns; records or a frame (pandas, polars) with the ids in ``"docid"``,
        ``"_id"``, ``"id"`` or ``"docno"``; or vectors, dense or sparse. A missing text is an empty text. A Corpus gives
        a corpus of the same documents, which are shared, with a new, empty cache.
    ids : sequence of str, default=None
        Ids of the documents, if `documents` has none. If None, their positions, "0", "1", …
    cache_folder : path, default=None
        Folder that keeps results between processes: data that are slow to derive, as memory maps. Files are pickles:
        share the folder only with people whose code you would run. If None, results are kept in memory only.
    cache_limit : int, default=4294967296
        Maximum number of bytes that all data derived from the corpus may hold in memory: indexes and their impacts,
        vectors, rankings. If they exceed it, those that were used longest ago are dropped.

    Attributes
    ----------
    ids : Ids
        Ids, in the order of the rows.
    columns : tuple of str
        Names of the columns.

    See Also
    --------
    Queries : Hold queries.
    Run : Hold rankings.

    Examples
    --------
    >>> from sklrank import Corpus
    >>> corpus = Corpus([{"_id": "a", "title": "Heat", "text": "flows"}, {"_id": "b", "title": "", "text": "Cold"}])
    >>> corpus
    <Corpus: 2 documents, columns title, text>
    >>> corpus.text().tolist()
    ['Heat flows', 'Cold']
    >>> corpus.rows(["b"])
    array([1])
    """

    def __init__(self, documents, *, ids=None, cache_folder=None, cache_limit=DEFAULT_LIMIT):
        if not isinstance(cache_limit, Integral) or cache_limit < 0:
            raise ValueError(f"cache_limit is a number of bytes, an int of at least 0; got {cache_limit!r}")
        folder = None
        if cache_folder is not None:
            folder = Folder(cache_folder)
        cache = Cache(int(cache_limit), folder)
        if isinstance(documents, Corpus):
            if ids is not None:
                raise ValueError("a Corpus has ids: leave out ids=, or give the texts instead of the Corpus")
            self._set(documents._columns, documents._ids, cache, documents._parent, documents._fingerprint)
            return
        columns, ids = as_table(documents, ids, "document", _ID_NAMES)
        self._set(columns, ids, cache)

    def _like(self, columns, ids, parent):
        """Return a corpus of other documents with the cache settings of this one."""
        new = object.__new__(type(self))
        new._set(columns, ids, Cache(self._cache.limit, self._cache.folder), parent)
        return new

    def _set(self, columns, ids, cache, parent=None, fingerprint=None):
        super().__init__(ids)
        self._columns = columns
        self._parent = parent
        self._cache = cache
        self._fingerprint = fingerprint
        self._warned = False

    @classmethod
    def of(cls, documents):
        """Return a corpus as it is; for other data, return the one corpus of that content.

        Parameters
        ----------
        documents : Corpus, or data that a Corpus is made from

        Returns
        -------
        Corpus
        """
        if isinstance(documents, cls):
            return documents
        return _BY_CONTENT.get(joblib.hash(documents), lambda: cls(documents))

    @property
    def columns(self):
        """Names of the columns."""
        return tuple(self._columns)

    @property
    def fingerprint(self):
        """Hash of ids and columns, and of the corpus that passages come from.

        It is equal for equal content in every process, and is computed on first use.
        """
        if self._fingerprint is None:
            parts = [plain_columns(self._columns), self._ids]
            if self._parent is not None:
                parts.append(self._parent.fingerprint)
            self._fingerprint = joblib.hash(parts, coerce_mmap=True)
        return self._fingerprint

    @property
    def token(self):
        """Fingerprint, by which unpickled objects find the corpus in this process."""
        _LIVING.put(self.fingerprint, self, hold=False)  # the last one, if several are equal
        return self._fingerprint

    def __getitem__(self, name):
        if not isinstance(name, str):
            raise TypeError(f"expected the name of a column of the corpus, one of {list(self._columns)}; got {name!r}")
        if name not in self._columns:
            raise KeyError(f"the corpus has no column {name!r}; its columns are {list(self._columns)}")
        return self._columns[name]

    def text(self, field=None):
        """Return the text of each document.

        Parameters
        ----------
        field : str or sequence of str, default=None
            Columns of the corpus to read, joined by a space. If None, title and text, or the one that exists.

        Returns
        -------
        StringArray
        """
        if field is None:
            field = [name for name in ("title", "text") if isinstance(self._columns.get(name), StringArray)]
            if not field:
                raise ValueError(
                    f"the corpus has no column 'text' or 'title', only {list(self._columns)}; name one by field="
                )
        if not isinstance(field, (str, list, tuple)) or not len(field):
            raise TypeError(f"field= is the name of a column of the corpus or a list of names, got {field!r}")
        names = as_names(field)
        columns = [self[name] for name in names]
        for name, column in zip(names, columns):
            if not isinstance(column, StringArray):
                raise TypeError(f"column {name!r} of the corpus holds no text")
        if len(columns) == 1:
            return columns[0]
        return self.cached(("text", names), lambda: _join(columns))

    def matrix(self, field=None):
        """Return the vectors of the documents.

        Parameters
        ----------
        field : str, default=None
            Column that holds the vectors. If None, the column of a corpus that was made from a matrix.

        Returns
        -------
        matrix of shape (n_documents, n_features), or TokenVectors
        """
        name = field
        if field is None:
            name = VECTOR
        column = self[name]
        if not holds_vectors(column):
            raise TypeError(f"column {name!r} of the corpus holds no vectors")
        return column

    def with_columns(self, **columns):
        """Return the same documents with additional columns, such as vectors.

        Parameters
        ----------
        **columns : list or array of length n_documents, matrix, or TokenVectors
            Columns by name. An existing column of the same name is replaced.

        Returns
        -------
        Corpus
            A new corpus with an empty cache.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> Corpus({"a": "heat", "b": "cold"}).with_columns(views=[3, 8])
        <Corpus: 2 documents, columns text, views>
        """
        if _ID_NAMES[0] in columns:
            raise ValueError(f"a column cannot have the name {_ID_NAMES[0]!r}, which means the ids of the documents")
        added = {name: as_column(values, "document", name) for name, values in columns.items()}
        for name, column in added.items():
            n = n_rows(column)
            if n != len(self):
                raise ValueError(f"column {name!r} has {n} values for {len(self)} documents")
        return self._like({**self._columns, **added}, self._ids, self._parent)

    def split(self, max_tokens, *, stride=None, tokenizer=None, field="text"):
        """Split the documents into passages, each with the id of its document as ``"parent_id"``.

        Parameters
        ----------
        max_tokens : int
            Maximum number of tokens per passage.
        stride : int, default=None
            Number of tokens from the start of a passage to the start of the next one. If it is less than `max_tokens`,
            passages overlap. If None, `max_tokens`.
        tokenizer : tokenizers.Tokenizer, path or bytes, default=None
            Tokenizer that defines the tokens: an object, a ``tokenizer.json`` or its content. A passage may then begin
            or end within a word, so that a lexical index would see a part of a word; use it for passages that a model
            reads. If None, tokens are words separated by space.
        field : str, default="text"
            Column to split. Passages keep all other columns of their document, such as the title.

        Returns
        -------
        Corpus
            A new corpus. Passage 0 of document "d" has the id "d#0". A document without text is one passage.

        See Also
        --------
        sklrank.rerankers.PassageAggregator : Combine the scores of passages into scores of documents.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> passages = Corpus({"d1": "heat flows from hot to cold", "d2": "cold"}).split(4, stride=2)
        >>> passages.to_dict()["d1#1"]
        {'text': 'from hot to cold', 'parent_id': 'd1'}
        >>> passages.ids.tolist()
        ['d1#0', 'd1#1', 'd2#0']
        """
        if not isinstance(field, str):
            raise TypeError(f"field= is the name of the one column to split, got {field!r}")
        parents, texts = split_texts(self.text(field), max_tokens, stride, tokenizer)
        parent_ids = self._ids.take(parents).tolist()
        numbers = np.arange(len(parents)) - np.searchsorted(parents, parents)
        # Objects are copied, because joblib hashes an object that two corpora share differently from two equal objects.
        columns = {name: _with_own_objects(column)[parents] for name, column in self._columns.items() if name != field}
        columns = {name: columns.get(name, texts) for name in self._columns}  # in the old order
        columns["parent_id"] = as_column(parent_ids, "document", "parent_id")
        ids = [f"{docid}#{n}" for docid, n in zip(parent_ids, numbers.tolist())]
        return self._like(columns, Ids.of(ids, len(ids), "passage"), self)

    @property
    def parent(self):
        """Corpus that `split` made the passages from; None for another corpus."""
        return self._parent

    @property
    def is_matrix(self):
        """Whether the corpus was made from a matrix, so that its documents are vectors."""
        return holds_vectors(self._columns.get(VECTOR))

    def cached(self, key, make, *, of=None, persist=False):
        """Return the derived value of `key`; make it by ``make()`` if it is not kept.

        Parameters
        ----------
        key : hashable
            A name and the parameters that determine the value, besides the corpus.
        make : callable
            Function without arguments that makes the value. It is called once, even if several threads ask.
        of : hashable, default=None
            Key of the value that this one is derived from. A request for this value counts as a request for both, so
            that neither is dropped while the other is in use.
        persist : bool, default=False
            Whether a corpus with a `cache_folder` also keeps the value there.

        Returns
        -------
        object
        """
        file = None
        if persist:
            file = self._file_of(key)
        return self._cache.get(key, make, of=of, file=file)

    def cached_each(self, key, keys, make, *, size_of, of=None):
        """Return many small derived values of `key`; each is made once.

        They may hold half of `cache_limit`. If they exceed it, those that were made longest ago are dropped.

        Parameters
        ----------
        key : hashable
            A name and the parameters that determine the values, besides the corpus.
        keys : list of hashable
            Key of each value, such as a document or a query.
        make : callable
            Function that takes positions in `keys`, a list of int, and returns their values.
        size_of : callable
            Function that returns the bytes of a value.
        of : hashable, default=None
            Key of the value that these are derived from, as for `cached`.

        Returns
        -------
        list
        """
        return self._cache.get_each(key, keys, make, size_of=size_of, of=of)

    def cached_parts(self, key):
        """Return the parts of a value that an interrupted run has left in the `cache_folder`.

        Parameters
        ----------
        key : hashable
            Key as for `cached`, which removes the parts when the value is complete.

        Returns
        -------
        parts : object
            ``parts.get(name, make)`` returns a part of the value, and makes it by ``make()`` if it is missing.
        """
        return self._cache.parts(self._file_of(key))

    def has_cached(self, key):
        """Return whether the value of `key` is kept, in memory or in the `cache_folder`.

        Parameters
        ----------
        key : hashable
            Key as for `cached`.

        Returns
        -------
        bool
        """
        if key in self._cache:
            return True
        file = self._file_of(key)
        return file is not None and file in self._cache.folder

    @property
    def cache_limit(self):
        """Maximum number of bytes of all derived data in memory."""
        return self._cache.limit

    def cache_usage(self):
        """Return the bytes of the values that are kept in memory, by their kind.

        Returns
        -------
        dict of str to int
            Memory that several values share counts for the value that was used longest ago.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> from sklrank.retrievers import BM25Retriever
        >>> corpus = Corpus(["heat flows", "cold rests"])
        >>> run = BM25Retriever(corpus).fit(None).predict(["heat"])
        >>> sorted(corpus.cache_usage())
        ['impacts', 'index']
        """
        return self._cache.usage()

    def clear_cache(self):
        """Drop all values that are kept in memory; files in the `cache_folder` stay.

        Fitted estimators keep the values that they hold.

        Returns
        -------
        self
        """
        self._cache.clear()
        return self

    def _file_of(self, key):
        """Return the file name of a value; None if there is no folder, or the key is valid in this process only."""
        if self._cache.folder is None:
            return None
        name = file_name(sklrank.__version__, key)
        if name is not None:
            return f"{self.fingerprint}-{name}.joblib"
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"the value of {key!r:.200} is kept in this process only, and not in cache_folder=: it depends on a "
                "function or another object that other processes cannot identify",
                UserWarning,
                stacklevel=4,
            )
        return None

    def __sklearn_clone__(self):
        return self

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __getstate__(self):
        return {
            "fingerprint": self.token,
            "columns": plain_columns(self._columns),
            "ids": self._ids,
            "cache": self._cache,
            "parent": self._parent,
        }

    def __setstate__(self, state):
        self._set(**state)

    def __reduce__(self):
        return _restore, (self.__getstate__(), *TRAVELLERS)

    def to_dict(self):
        """Return a dict from id to text if there is no other column, else from id to a dict of columns.

        Returns
        -------
        dict
        """
        return table_dict(self._columns, self._ids.tolist())

    def to_frame(self, *, backend=None):
        """Return a frame with one row per document: docid and the columns.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default=None
            Library of the frame. If None, pandas if it is installed, else polars.

        Returns
        -------
        DataFrame
        """
        return frame_like({"docid": self._ids.tolist(), **table_lists(self._columns)}, backend)

    __iter__ = None  # a corpus is indexed by names of columns

    def __array__(self, dtype=None, copy=None):
        # One object, not a sequence: GridSearchCV makes an array of the values of a parameter.
        array = np.empty((), dtype=object)
        array[()] = self
        if dtype is None:
            return array
        return array.astype(dtype)

    def _repr_html_(self):
        return table_html(self, "docid", self._columns, self._ids)

    def __repr__(self):
        return f"<Corpus: {len(self)} documents, columns {printable(', '.join(self._columns)) or 'none'}>"


def _restore(state, *travellers):
    """Return the corpus of the same content if this process has one, else a new one."""

    def make():
        corpus = object.__new__(Corpus)
        corpus.__setstate__(state)
        return corpus

    return _LIVING.get(state["fingerprint"], make, hold=parent_process() is not None)


def living_corpus(token):
    """Return the corpus of `token`; None if this process does not have it."""
    return _LIVING.get(token, hold=False)


def _with_own_objects(column):
    """Return the column, or a copy if it holds Python objects."""
    if isinstance(column, np.ndarray) and column.dtype == object:
        return deepcopy(column)
    return column


def _join(columns):
    joined = columns[0]
    for column in columns[1:]:
        joined = StringArray.joined(joined, column)
    return joined
