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
from sklrank.data._frames import frame_like
from sklrank.data._ids import Ids
from sklrank.data._passages import split_texts
from sklrank.data._strings import StringArray
from sklrank.data._table import (
    VECTOR,
    as_column,
    as_table,
    holds_vectors,
    plain_columns,
    table_dict,
    table_html,
    table_lists,
)

_ID_NAMES = ("docid", "_id", "id", "docno", "doc_id")

# Unpickling returns the corpus of that content that is in the process already, so that a worker has one for all tasks.
# Between two tasks, nothing else holds the corpora of a worker.
_LIVING = Recent(4)
# Raw lists and frames that were given as corpora, by content: a grid search that clones them indexes them once.
_BY_CONTENT = Recent(4)
# What pickles of corpora and estimators take along: objects that act where they are unpickled.
TRAVELLERS = []


class Corpus(DocumentIds):
    """Documents: ids and named columns.

    A corpus does not change. It is shared, not copied: `clone` returns it as it is, worker processes hold one of
    it, and what is derived from it (term counts, postings, vectors) is kept on it, so that a grid search
    tokenizes each document once.

    Parameters
    ----------
    documents : list of str, dict, list of dict, DataFrame, or matrix of shape (n_documents, n_features)
        Texts; a dict from id to text or to columns; records or a frame (pandas, polars), whose ids stand in
        ``"docid"``, ``"_id"``, ``"id"`` or ``"docno"``; or vectors, dense or sparse. Missing text is empty text.
    ids : sequence of str, default=None
        Ids of the documents where `documents` has none. ``None``: their positions, "0", "1", …
    cache_folder : path, default=None
        Folder that keeps what is slow to derive between processes, memory-mapped. Files are pickles: share the folder
        only with those whose code you would run. ``None``: memory only.
    cache_limit : int, default=4294967296
        Bytes that everything derived from the corpus may hold in memory: indexes and their impacts, vectors, rankings.
        Beyond, what was used longest ago is dropped.

    Attributes
    ----------
    ids : Ids
        Ids, in the order of the rows.
    columns : tuple of str
        Names of the columns.

    See Also
    --------
    Queries : What is asked.
    Run : What was found.

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
        columns, ids = as_table(documents, ids, "document", _ID_NAMES)
        self._set(columns, ids, cache_folder, int(cache_limit))

    def _like(self, columns, ids, parent):
        """Return a corpus of other documents that keeps what is derived from it as this one does."""
        new = object.__new__(type(self))
        new._set(columns, ids, self._cache.folder and self._cache.folder.path, self._cache.limit, parent)
        return new

    def _set(self, columns, ids, cache_folder, cache_limit, parent=None, fingerprint=None):
        super().__init__(ids)
        self._columns = columns
        self._parent = parent
        self._cache = Cache(cache_limit, None if cache_folder is None else Folder(cache_folder))
        self._fingerprint = fingerprint
        self._warned = False

    @classmethod
    def of(cls, documents):
        """A corpus as it is; anything else as the one corpus of that content.

        Parameters
        ----------
        documents : Corpus or whatever a Corpus is made from

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

        It is equal for equal content, in every process, and made when it is first asked for.
        """
        if self._fingerprint is None:
            parts = [plain_columns(self._columns), self._ids]
            if self._parent is not None:
                parts.append(self._parent.fingerprint)
            self._fingerprint = joblib.hash(parts, coerce_mmap=True)
        return self._fingerprint

    @property
    def token(self):
        """Fingerprint, under which other objects that arrive in this process find the corpus."""
        _LIVING.put(self.fingerprint, self, hold=False)  # of equal ones the last that was asked
        return self._fingerprint

    def __getitem__(self, name):
        if not isinstance(name, str):
            raise TypeError(f"a corpus is indexed by the names of columns, {list(self._columns)}; got {name!r}")
        if name not in self._columns:
            raise KeyError(f"the corpus has no column {name!r}; its columns are {list(self._columns)}")
        return self._columns[name]

    def text(self, field=None):
        """Text of each document.

        Parameters
        ----------
        field : str or sequence of str, default=None
            Columns, joined by a space. ``None``: title and text where both exist, else the one that does.

        Returns
        -------
        StringArray
        """
        if field is None:
            field = [name for name in ("title", "text") if isinstance(self._columns.get(name), StringArray)]
            if not field:
                raise ValueError(f"the corpus has no column 'text' or 'title', only {list(self._columns)}; say field=")
        if not isinstance(field, (str, list, tuple)) or not len(field):
            raise TypeError(f"field={field!r} is neither the name of a column of the corpus nor a list of such")
        names = (field,) if isinstance(field, str) else tuple(field)
        columns = [self[name] for name in names]
        for name, column in zip(names, columns):
            if not isinstance(column, StringArray):
                raise TypeError(f"column {name!r} of the corpus holds no text")
        if len(columns) == 1:
            return columns[0]
        return self.cached(("text", names), lambda: _join(columns))

    def matrix(self, field=None):
        """Vectors of the documents.

        Parameters
        ----------
        field : str, default=None
            Column that holds them; ``None``: the one of a corpus that was made from a matrix.

        Returns
        -------
        matrix of shape (n_documents, n_features), or TokenVectors
        """
        name = VECTOR if field is None else field
        column = self[name]
        if not holds_vectors(column):
            raise TypeError(f"column {name!r} of the corpus holds no vectors")
        return column

    def with_columns(self, **columns):
        """The same documents with further columns, such as vectors that were made elsewhere.

        Parameters
        ----------
        **columns : list or array of length n_documents, matrix, or TokenVectors
            The columns by name; one of that name is replaced.

        Returns
        -------
        Corpus
            A new one: what is derived from this corpus is not kept on it.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> Corpus({"a": "heat", "b": "cold"}).with_columns(views=[3, 8])
        <Corpus: 2 documents, columns text, views>
        """
        if _ID_NAMES[0] in columns:
            raise ValueError(f"documents have their ids; no column beside them can have the name {_ID_NAMES[0]!r}")
        added = {name: as_column(values, "document", name) for name, values in columns.items()}
        for name, column in added.items():
            n = column.shape[0] if hasattr(column, "shape") else len(column)
            if n != len(self):
                raise ValueError(f"column {name!r} has {n} values for {len(self)} documents")
        return self._like({**self._columns, **added}, self._ids, self._parent)

    def split(self, max_tokens, *, stride=None, tokenizer=None, field="text"):
        """Passages of the documents, each with the id of its document as ``"parent_id"``.

        Parameters
        ----------
        max_tokens : int
            Most tokens of a passage.
        stride : int, default=None
            How many tokens after one passage the next begins; fewer than `max_tokens` let passages overlap. ``None``:
            `max_tokens`.
        tokenizer : tokenizers.Tokenizer, path or bytes, default=None
            What tokens are: those of a model's tokenizer, an object, a ``tokenizer.json`` or its content. A passage may
            then begin or end within a word, of which a lexical index would see a part; it is for passages that a model
            reads. ``None``: words, separated by space.
        field : str, default="text"
            Column to split; passages have all other columns of their document, such as the title.

        Returns
        -------
        Corpus
            A new one. Passage 0 of document "d" has the id "d#0". A document without text is one passage.

        See Also
        --------
        sklrank.rerankers.PassageAggregator : Brings a run of passages back to documents.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> passages = Corpus({"d1": "heat flows from hot to cold", "d2": "cold"}).split(4, stride=2)
        >>> passages.to_dict()["d1#1"]
        {'text': 'from hot to cold', 'parent_id': 'd1'}
        >>> passages.ids.tolist()
        ['d1#0', 'd1#1', 'd2#0']
        """
        parents, texts = split_texts(self.text(field), max_tokens, stride, tokenizer)
        own = self._ids.take(parents).tolist()
        numbers = np.arange(len(parents)) - np.searchsorted(parents, parents)
        # Objects are copied: a hash tells one that two corpora share from two that are equal.
        columns = {
            name: texts if name == field else _own_objects(column)[parents] for name, column in self._columns.items()
        }
        columns["parent_id"] = as_column(own, "document", "parent_id")
        ids = [f"{docid}#{n}" for docid, n in zip(own, numbers.tolist())]
        return self._like(columns, Ids.of(ids, len(ids), "passage"), self)

    @property
    def parent(self):
        """The corpus that this one holds passages of, if `split` made it; else None."""
        return self._parent

    @property
    def is_matrix(self):
        """Whether the corpus was made from a matrix, so that its documents are vectors."""
        return holds_vectors(self._columns.get(VECTOR))

    def cached(self, key, make, *, of=None, persist=False):
        """Return the value derived under `key`, made by ``make()`` the first time.

        Parameters
        ----------
        key : hashable
            What determines the value beside the corpus: a name, and parameters.
        make : callable
            Makes the value; called once, whichever threads ask.
        of : hashable, default=None
            Key of the value that this one is derived from. To ask for this one is to ask for both, so that neither is
            dropped while the other is in use.
        persist : bool, default=False
            Whether a corpus with a `cache_folder` also keeps the value there.

        Returns
        -------
        object
        """
        return self._cache.get(key, make, of=of, file=self._file_of(key) if persist else None)

    def cached_each(self, key, keys, make, *, size_of, of=None):
        """Return many small values derived under `key`, of which each is made once.

        They may hold half of `cache_limit`; beyond, those that were made longest ago are dropped.

        Parameters
        ----------
        key : hashable
            What determines the values beside the corpus: a name, and parameters.
        keys : list of hashable
            What each of them is of, such as a document or a query.
        make : callable
            Takes positions in `keys`, a list of int; returns their values.
        size_of : callable
            Bytes of a value.
        of : hashable, default=None
            Key of the value that these are derived from, as for `cached`.

        Returns
        -------
        list
        """
        return self._cache.get_each(key, keys, make, size_of=size_of, of=of)

    def cached_parts(self, key):
        """Return the parts of the value of `key` that an interrupted run left in the `cache_folder`.

        Parameters
        ----------
        key : hashable
            That of `cached`, which removes the parts when the value is finished.

        Returns
        -------
        parts : object
            ``parts.get(name, make)`` is a part of the value: the one that is there, else made by ``make()``.
        """
        return self._cache.parts(self._file_of(key))

    def has_cached(self, key):
        """Return whether the value of `key` is at hand, in memory or in the `cache_folder`.

        Parameters
        ----------
        key : hashable
            That of `cached`.

        Returns
        -------
        bool
        """
        file = None if key in self._cache else self._file_of(key)
        return key in self._cache or (file is not None and file in self._cache.folder)

    @property
    def cache_limit(self):
        """Bytes that everything derived from the corpus may hold in memory."""
        return self._cache.limit

    def cache_usage(self):
        """Return the bytes of what is kept in memory, by what it is.

        Returns
        -------
        dict of str to int
            Memory that several values share counts for the one that was used longest ago.

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
        """Drop what is kept in memory; files in the `cache_folder` stay.

        Estimators that are fitted keep what they hold.

        Returns
        -------
        self
        """
        self._cache.clear()
        return self

    def _file_of(self, key):
        """Name of the file of a value; None if there is no folder, or the key holds what no other process knows."""
        if self._cache.folder is None:
            return None
        name = file_name(sklrank.__version__, key)
        if name is not None:
            return f"{self.fingerprint}-{name}.joblib"
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"what is derived under {key!r:.200} is kept in this process only, not in cache_folder=: it depends "
                "on a function or another object that no other process can tell from others",
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
            "cache_folder": None if self._cache.folder is None else str(self._cache.folder.path),
            "cache_limit": self._cache.limit,
            "parent": self._parent,
        }

    def __setstate__(self, state):
        self._set(**state)

    def __reduce__(self):
        return _restore, (self.__getstate__(), *TRAVELLERS)

    def to_dict(self):
        """Id → text where text is all there is, else id → dict of columns.

        Returns
        -------
        dict
        """
        return table_dict(self._columns, self._ids.tolist())

    def to_frame(self, *, backend=None):
        """One row a document: docid, and the columns.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default=None
            The library of the frame; ``None``: pandas where it is installed, else polars.

        Returns
        -------
        DataFrame
        """
        return frame_like({"docid": self._ids.tolist(), **table_lists(self._columns)}, backend)

    __iter__ = None  # columns are asked for by name, documents by id

    def __array__(self, dtype=None, copy=None):
        # One object, not a sequence: GridSearchCV makes an array of the values of a parameter.
        array = np.empty((), dtype=object)
        array[()] = self
        return array if dtype is None else array.astype(dtype)

    def _repr_html_(self):
        return table_html(self, "docid", self._columns, self._ids)

    def __repr__(self):
        return f"<Corpus: {len(self)} documents, columns {printable(', '.join(self._columns)) or 'none'}>"


def _restore(state, *travellers):
    """Return the corpus of that content that lives in this process, else a new one."""

    def make():
        corpus = object.__new__(Corpus)
        corpus.__setstate__(state)
        return corpus

    return _LIVING.get(state["fingerprint"], make, hold=parent_process() is not None)


def living_corpus(token):
    """Return the corpus of `token`, if this process has it, else None."""
    return _LIVING.get(token, hold=False)


def _own_objects(column):
    """The column; of one of objects a copy."""
    return deepcopy(column) if isinstance(column, np.ndarray) and column.dtype == object else column


def _join(columns):
    joined = columns[0]
    for column in columns[1:]:
        joined = StringArray.joined(joined, column)
    return joined
