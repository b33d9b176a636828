"""Corpus: the documents."""

import warnings
from copy import deepcopy
from itertools import chain
from numbers import Integral

import joblib
import numpy as np
from joblib.hashing import Hasher

import sklrank
from sklrank._caching import DEFAULT_LIMIT, MISSING, Cache, Folder, Recent
from sklrank._caching.keys import file_name
from sklrank._threads import is_worker
from sklrank.data._changes import (
    check_distinct,
    check_new,
    joined_documents,
    merged_documents,
    new_documents,
    removed_ids,
    settled,
    with_kinds,
)
from sklrank.data._display import printable
from sklrank.data._documents import DocumentIds
from sklrank.data._frames import as_names, frame_like
from sklrank.data._ids import Ids
from sklrank.data._kinds import GatheredColumn, kind_of, n_rows, numbers_as_ids, take, whole
from sklrank.data._layout import Layout
from sklrank.data._lazy import ColumnSource
from sklrank.data._parts import Content, Merge, PartColumns, PartIds, Sources
from sklrank.data._passages import split_texts
from sklrank.data._stored import ID_NAMES, TextReader, hash_of_texts, joined_texts, sources_of
from sklrank.data._table import (
    N_SHOWN,
    VECTOR,
    as_column,
    as_table,
    plain_columns,
    table_dict,
    table_html,
    table_lists,
)

_IDS = None  # key of the content of the ids, beside the names of columns

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
    documents : list of str, dict, list of dict, DataFrame, matrix of shape (n_documents, n_features), ArrowSource, \
            SQLSource, or Corpus
        Texts; a dict from id to text or to columns; records or a frame (pandas, polars) with the ids in ``"docid"``,
        ``"_id"``, ``"id"`` or ``"docno"``; or vectors, dense or sparse. A missing text is an empty text. The columns
        of an `ArrowSource` or an `SQLSource` stand outside, and are read when they are needed. A Corpus gives
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
            self._set_like(documents, cache)
            return
        columns, ids = as_table(documents, ids, "document", ID_NAMES)
        self._set(columns, ids, cache)

    def _set(self, columns, ids, cache, parent=None, fingerprint=None, n_numbered=None, contents=None):
        """Set a corpus in one part."""
        super().__init__(ids)
        self._columns = columns
        self._parent = parent
        self._cache = cache
        self._fingerprint = fingerprint
        self._n_numbered = n_numbered  # number of the next document without an id; None if ids are given
        if n_numbered is None and not ids.given:
            self._n_numbered = len(ids)
        self._content = Content()
        self._contents = contents or {name: Content() for name in (_IDS, *columns)}
        self._parts = self._layout = None
        self._persistent = set()  # keys, columns and sources of values that are worth keeping in files
        self._merges = {}  # key and columns of a cached value → how it is merged with that of other parts
        self._warned = False

    def _set_parts(self, parts, layout, cache, fingerprint=None, n_numbered=None, contents=None, is_numbered=False):
        """Set a corpus in several parts, or in one with dead documents."""
        contents = contents or {name: Content() for name in (_IDS, *parts[0]._columns)}
        columns = PartColumns([part._columns for part in parts], layout, cache, contents)
        if is_numbered:
            ids = Ids(None, layout.n_documents)
        else:
            ids = PartIds([part._ids for part in parts], layout)
        self._set(columns, ids, cache, None, fingerprint, n_numbered, contents)
        self._parts, self._layout = parts, layout

    def _set_like(self, other, cache):
        """Set the documents of another corpus, with another cache."""
        if other._parts is None:
            self._set(other._columns, other._ids, cache, other._parent, other._fingerprint, other._n_numbered)
            return
        parts = tuple(object.__new__(Corpus) for _ in other._parts)
        for new, part in zip(parts, other._parts):
            new._set_like(part, cache)
        numbered = other._n_numbered
        self._set_parts(parts, other._layout, cache, other._fingerprint, numbered, is_numbered=not other._ids.given)

    @classmethod
    def _made(cls, *args, **options):
        new = object.__new__(cls)
        new._set(*args, **options)
        return new

    @classmethod
    def _made_of_parts(cls, *args, **options):
        new = object.__new__(cls)
        new._set_parts(*args, **options)
        return new

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
            ids = self._ids
            if isinstance(ids, PartIds):
                ids = ids.whole()
            parts = [self._hashable(self._columns), ids]
            if self._parent is not None:
                parts.append(self._parent.fingerprint)
            self._fingerprint = joblib.hash(parts, coerce_mmap=True)
        return self._fingerprint

    def _hashable(self, names):
        """Return columns as a dict whose hash is that of equal columns, wherever they stand."""
        columns = {}
        for name in names:
            if self.kinds[name] == "text":
                columns[name] = hash_of_texts(self.text_reader((name,)))
            else:
                columns[name] = whole(self._columns[name])
        return plain_columns(columns)

    @property
    def token(self):
        """Fingerprint, by which unpickled objects find the corpus in this process."""
        _LIVING.put(self.fingerprint, self, hold=False)  # the last one, if several are equal
        return self._fingerprint

    def _check_column(self, name):
        if not isinstance(name, str):
            raise TypeError(f"expected the name of a column of the corpus, one of {list(self._columns)}; got {name!r}")
        if name not in self._columns:
            raise KeyError(f"the corpus has no column {name!r}; its columns are {list(self._columns)}")

    def __getitem__(self, name):
        self._check_column(name)
        column = self._columns[name]
        if isinstance(column, ColumnSource):
            return self.cached(("column", name), column.read, columns=(name,))
        return column

    @property
    def kinds(self):
        """Dict from the name of each column to what it holds, known without reading it.

        One of ``"text"``, ``"numbers"``, ``"objects"``, ``"vectors"``, ``"sparse vectors"`` and ``"token vectors"``.
        """
        if self._parts is not None:
            return self._parts[0].kinds
        return {name: kind_of(column) for name, column in self._columns.items()}

    def take(self, name, rows):
        """Return the values of some documents in a column; only these are read.

        Parameters
        ----------
        name : str
            Name of the column.
        rows : array-like of int

        Returns
        -------
        column of length n_rows

        Examples
        --------
        >>> from sklrank import Corpus
        >>> Corpus({"a": "heat", "b": "cold"}).take("text", [1]).tolist()
        ['cold']
        """
        self._check_column(name)
        rows = np.asarray(rows, dtype=np.int64)
        if self._parts is not None:
            return self._columns.take(name, rows)
        return take(self._columns[name], rows)

    def text_columns(self, field=None):
        """Return the names of the columns that `text` reads.

        Parameters
        ----------
        field : str or sequence of str, default=None
            As for `text`.

        Returns
        -------
        tuple of str
        """
        kinds = self.kinds
        if field is None:
            field = [name for name in ("title", "text") if kinds.get(name) == "text"]
            if not field:
                raise ValueError(
                    f"the corpus has no column 'text' or 'title', only {list(self._columns)}; name one by field="
                )
        if not isinstance(field, (str, list, tuple)) or not len(field):
            raise TypeError(f"field= is the name of a column of the corpus or a list of names, got {field!r}")
        names = as_names(field)
        for name in names:
            if kinds.get(name) != "text":
                self._check_column(name)
                raise TypeError(f"column {name!r} of the corpus holds no text")
        return names

    def text(self, field=None, rows=None):
        """Return the text of each document.

        Parameters
        ----------
        field : str or sequence of str, default=None
            Columns of the corpus to read, joined by a space. If None, title and text, or the one that exists.
        rows : array-like of int, default=None
            Rows of the documents to read. If None, all documents.

        Returns
        -------
        StringArray
        """
        names = self.text_columns(field)
        if rows is not None:
            return joined_texts([self.take(name, rows) for name in names])
        if len(names) == 1:
            return self[names[0]]
        return self.cached(("text", names), lambda: joined_texts([self[name] for name in names]), columns=names)

    def text_reader(self, field=None):
        """Return the text of each document, to be read batch by batch if a column stands outside.

        Parameters
        ----------
        field : str or sequence of str, default=None
            As for `text`.

        Returns
        -------
        StringArray or TextReader
            Both have a length, slices, `tolist` and `batches`, an iterator over StringArrays. A TextReader keeps
            nothing of what it reads.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> [batch.tolist() for batch in Corpus({"a": "heat", "b": "cold"}).text_reader().batches()]
        [['heat', 'cold']]
        """
        names = self.text_columns(field)
        columns = [[part._columns[name] for part in self.parts] for name in names]
        if not any(isinstance(column, ColumnSource) for column in chain.from_iterable(columns)):
            return self.text(names)
        if self._parts is None:
            return TextReader([column for (column,) in columns])
        return TextReader([GatheredColumn(parts, self._layout.places) for parts in columns])

    def source(self, name):
        """Return the table or the column outside of the corpus that a column is read from.

        Parameters
        ----------
        name : str
            Name of the column.

        Returns
        -------
        ArrowSource, SQLSource or ColumnSource, or None
            The first one, if changes of the corpus have added others; None if the column is in memory.
        """
        self._check_column(name)
        found = chain.from_iterable(sources_of(part._columns[name]) for part in self.parts)
        return next(found, None)

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
        self._check_column(name)
        if not self.kinds[name].endswith("vectors"):
            raise TypeError(f"column {name!r} of the corpus holds no vectors")
        return self[name]

    def with_columns(self, **columns):
        """Return the same documents with additional columns, such as vectors.

        Parameters
        ----------
        **columns : list or array of length n_documents, matrix, or TokenVectors
            Columns by name. An existing column of the same name is replaced.

        Returns
        -------
        Corpus
            A new corpus. It shares the cache of this one, with all values that are not derived from replaced columns.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> Corpus({"a": "heat", "b": "cold"}).with_columns(views=[3, 8])
        <Corpus: 2 documents, columns text, views>
        """
        if ID_NAMES[0] in columns:
            raise ValueError(f"a column cannot have the name {ID_NAMES[0]!r}, which means the ids of the documents")
        added = {name: as_column(values, "document", name) for name, values in columns.items()}
        for name, column in added.items():
            n = n_rows(column)
            if n != len(self):
                raise ValueError(f"column {name!r} has {n} values for {len(self)} documents")
        contents = {**self._contents, **{name: Content() for name in added}}
        if self._parts is None:
            columns = {**self._columns, **added}
            new = self._made(
                columns, self._ids, self._cache, self._parent, n_numbered=self._n_numbered, contents=contents
            )
            new._merges = {
                key: merge
                for key, merge in list(self._merges.items())
                if key[1] is not None and not {*key[1]} & {*added}
            }
            return new
        parts = []
        for i, part in enumerate(self._parts):
            rows = np.minimum(self._layout.rows(i), len(self) - 1)  # dead documents get the value of another one
            parts.append(part.with_columns(**{name: take(column, rows) for name, column in added.items()}))
        return self._of_parts(tuple(parts), self._layout, self._ids.given, contents=contents)

    def _of_parts(self, parts, layout, given, n_numbered=-1, contents=None):
        """Return a corpus of this lineage in other parts; the part itself if it is one without dead documents."""
        if n_numbered == -1:
            n_numbered = self._n_numbered
        if not layout.is_trivial:
            return self._made_of_parts(
                parts, layout, self._cache, n_numbered=n_numbered, contents=contents, is_numbered=not given
            )
        part = parts[0]
        if part._n_numbered == n_numbered and part._ids.given == given:
            return part
        ids = part._ids
        if not given:
            ids = Ids(None, len(ids))
        new = self._made(part._columns, ids, self._cache, n_numbered=n_numbered, contents=part._contents)
        new._merges, new._content = part._merges, part._content
        return new

    # --- changes
    @property
    def parts(self):
        """Parts of the corpus, each a corpus: itself if it was made at once, else what its changes added and left.

        What is derived from documents is derived part by part, so that a change costs as much as the new part.
        """
        return self._parts or (self,)

    @property
    def layout(self):
        """Part and row of each document."""
        return self._layout or Layout.whole(len(self))

    def extended(self, documents):
        """Return the corpus with new documents, which come last.

        Parameters
        ----------
        documents : list of str, dict, list of dict, DataFrame, matrix of shape (n_documents, n_features), or Corpus
            Documents with new ids. A column that they lack is missing there, as in a record without it.

        Returns
        -------
        Corpus
            A new corpus. It shares the cache of this one, and the data derived from the old documents.

        Raises
        ------
        ValueError
            If an id is not new, or a column is unknown.
        TypeError
            If a column holds something else than that of the corpus, such as numbers instead of text.

        See Also
        --------
        updated : Change several documents at once.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> corpus = Corpus({"a": "heat", "b": "cold"})
        >>> corpus.extended({"c": "wind"}).ids.tolist()
        ['a', 'b', 'c']
        """
        return self.updated(add=documents)

    def without(self, docids):
        """Return the corpus without some documents.

        Parameters
        ----------
        docids : sequence of str or int
            Ids of the documents to remove.

        Returns
        -------
        Corpus
            A new corpus. It shares the cache of this one, and the data derived from the other documents.

        Raises
        ------
        ValueError
            If an id is unknown, or occurs twice.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> Corpus({"a": "heat", "b": "cold"}).without(["a"]).to_dict()
        {'b': 'cold'}
        """
        return self.updated(remove=docids)

    def replaced(self, documents):
        """Return the corpus with other documents instead of those with the same ids.

        Parameters
        ----------
        documents : dict, list of dict, DataFrame, or Corpus
            Documents with ids that the corpus has. They keep the places of the old ones.

        Returns
        -------
        Corpus
            A new corpus. It shares the cache of this one, and the data derived from the other documents.

        Raises
        ------
        ValueError
            If an id is unknown.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> Corpus({"a": "heat", "b": "cold"}).replaced({"a": "warmth"}).to_dict()
        {'a': 'warmth', 'b': 'cold'}
        """
        replaced = new_documents(self, documents, ID_NAMES)
        self.rows(replaced[1].tolist())  # raises an error if one is unknown
        return self._changed(None, [], replaced)

    def updated(self, add=None, remove=None, upsert=None):
        """Return the corpus after several changes at once.

        Parameters
        ----------
        add : list of str, dict, list of dict, DataFrame, matrix, or Corpus, default=None
            Documents with new ids, as for `extended`. If None, none.
        remove : sequence of str or int, default=None
            Ids of documents to remove. If None, none.
        upsert : dict, list of dict, DataFrame, or Corpus, default=None
            Documents that replace those with the same ids, and that are added last if there are none. If None, none.

        Returns
        -------
        Corpus
            A new corpus. It shares the cache of this one, and the data derived from the other documents.

        Raises
        ------
        ValueError
            If an id of `add` is not new, an id of `remove` is unknown, or an id is in two of them.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> corpus = Corpus({"a": "heat", "b": "cold", "c": "wind"})
        >>> corpus.updated(add={"d": "rain"}, remove=["b"], upsert={"a": "warmth", "e": "ice"}).to_dict()
        {'a': 'warmth', 'c': 'wind', 'd': 'rain', 'e': 'ice'}
        """
        added = upserted = None
        if add is not None:
            added = new_documents(self, add, ID_NAMES, self._n_numbered)
        if upsert is not None:
            upserted = new_documents(self, upsert, ID_NAMES)
        return self._changed(added, removed_ids(remove if remove is not None else []), upserted)

    def compacted(self):
        """Return the corpus in one part, without removed documents.

        Returns
        -------
        Corpus
        """
        if self._parts is None:
            return self
        layout, parts, locals = self._layout.merged(0, len(self._parts))
        part = self._merged(self._parts, Sources(parts, locals))
        return self._of_parts((part,), layout, self._ids.given)

    def _changed(self, added, removed, upserted):
        """Return the corpus with added and upserted documents, pairs of columns and ids, and without removed ones."""
        if self._parent is not None:
            raise ValueError(
                "the documents are passages that split made: change the corpus that they come from, passages.parent, "
                "and split that"
            )
        tables = [table for table in (added, upserted) if table is not None and len(table[1])]
        if not tables and not removed:
            return self
        add, upsert = ([] if table is None else table[1].tolist() for table in (added, upserted))
        if (add or upsert) and (removed or upsert and add):
            check_distinct(add=add, remove=removed, upsert=upsert)
        if add:
            check_new(self, add)
        base, tables = with_kinds(self, tables)
        parts, layout = base.parts, base.layout
        if removed:
            self.rows(removed)  # raises an error if one is unknown
            layout = layout.without(*self._find(removed))
        n_numbered, given = self._n_numbered, self._ids.given
        if removed or add and added[1].tolist() and not self._continues(added):
            given = True
        if add and n_numbered is not None:
            n_numbered = n_numbered + len(add) if self._continues(added) else None
        if tables:
            olds, locals = self._find(upsert)
            exist = olds >= 0
            layout, order = layout.replaced(olds[exist], locals[exist], len(add) + int((~exist).sum()))
            if (~exist).any():
                n_numbered, given = None, True
            places = np.arange(len(add) + len(upsert), dtype=np.int64)
            upserts = places[len(add) :]
            order = np.concatenate([upserts[exist][order], places[: len(add)], upserts[~exist]])
            columns, ids = joined_documents(tables, order)
            parts = (*parts, self._made(columns, ids, self._cache))
        parts, layout = settled(parts, layout, self._merged, is_new=bool(tables))
        return self._of_parts(parts, layout, given, n_numbered)

    def _continues(self, added):
        """Return whether added documents have the numbers as ids that follow those of the corpus."""
        if self._n_numbered is None:
            return False
        ids = added[1]
        return ids.strings == numbers_as_ids(self._n_numbered, self._n_numbered + len(ids)).strings

    def _find(self, docids):
        """Return the part and the local number of each id; -1 if it is unknown."""
        if isinstance(self._ids, PartIds):
            return self._ids.find(docids)
        rows = self._ids.rows(docids)
        known = rows >= 0
        parts, locals = np.full((2, len(rows)), -1, dtype=np.int64)
        parts[known], locals[known] = self.layout.locate(rows[known])
        return parts, locals

    def _merged(self, parts, sources):
        """Return the part that parts are merged into, with the values that all of them have cached."""
        columns, ids = merged_documents(parts, sources)
        new = self._made(columns, ids, self._cache)
        for key, merge in list(parts[0]._merges.items()):  # another thread may add some
            if not all(key in part._merges for part in parts[1:]):
                continue
            name, names = key
            values = [part._cache.find(name, sources=part._sources(names)) for part in parts]
            if not any(value is MISSING for value in values):
                new._merges[key] = merge
                new.cached(
                    name,
                    lambda values=values, merge=merge: merge.merge(values, sources),
                    of=merge.of,
                    persist=merge.persist,
                    columns=names,
                )
        return new

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
        numbers = np.arange(len(parents), dtype=np.int64) - np.searchsorted(parents, parents)
        kept = {name: self[name] for name in self._columns if name != field}
        # Objects are copied, because joblib hashes an object that two corpora share differently from two equal objects.
        columns = {name: _with_own_objects(column)[parents] for name, column in kept.items()}
        columns = {name: columns.get(name, texts) for name in self._columns}  # in the old order
        columns["parent_id"] = as_column(parent_ids, "document", "parent_id")
        ids = [f"{docid}#{n}" for docid, n in zip(parent_ids, numbers.tolist())]
        cache = Cache(self._cache.limit, self._cache.folder)
        return self._made(columns, Ids.of(ids, len(ids), "passage"), cache, self)

    @property
    def parent(self):
        """Corpus that `split` made the passages from; None for another corpus."""
        return self._parent

    @property
    def is_matrix(self):
        """Whether the corpus was made from a matrix, so that its documents are vectors."""
        return self.kinds.get(VECTOR, "").endswith("vectors")

    def cached(self, key, make, *, of=None, persist=False, columns=None):
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
        columns : sequence of str, default=None
            Names of the columns that the value is derived from. `with_columns` then keeps it if these are not replaced.
            If None, the value belongs to this corpus alone.

        Returns
        -------
        object
        """
        file = None
        if persist:
            self._persistent.add((key, _names(columns), of))
            file = self._file_of(key, columns)
        return self._cache.get(key, make, of=of, sources=self._sources(columns), file=file)

    def each_part(self, key, make, merge, *, columns=None, of=None, persist=False):
        """Return the derived value of each part; one that is not kept is made by ``make(part)``.

        If a change merges parts, the values that all of them have are merged, too.

        Parameters
        ----------
        key : hashable
            A name and the parameters that determine the value of a part, besides its documents.
        make : callable
            Function that takes a part, a corpus, and returns its value.
        merge : callable or None
            Function that takes the values of old parts, a list, and where the documents of the merged part come from:
            `sources` has the arrays ``sources.parts``, which counts the old parts from 0, and ``sources.locals``, of
            int64, with one entry per document of the merged part. It returns the value of that part. It is kept with
            the parts, so that it must not hold a corpus or an estimator. If None, merged parts make theirs anew.
        columns : sequence of str, default=None
            Names of the columns that the value is derived from, as for `cached`.
        of : hashable, default=None
            Key of the value of the part that this one is derived from, as for `cached`.
        persist : bool, default=False
            Whether a corpus with a `cache_folder` also keeps the values there.

        Returns
        -------
        list
            In the order of `parts`.
        """
        values = []
        for part in self.parts:
            values.append(part.cached(key, lambda part=part: make(part), of=of, persist=persist, columns=columns))
            if merge is not None:
                part._merges[(key, _names(columns))] = Merge(merge, of, persist)
        return values

    def merged_parts(self, key, make, merge, *, columns=None, persist=False):
        """Return the derived value of all documents, merged from the values of the parts.

        Parameters
        ----------
        key : hashable
            As for `each_part`.
        make, merge : callable
            As for `each_part`.
        columns : sequence of str, default=None
            As for `each_part`.
        persist : bool, default=False
            Whether a corpus with a `cache_folder` also keeps the values of the parts there.

        Returns
        -------
        object

        See Also
        --------
        each_part : Values of the parts alone.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> changed = Corpus({"a": "heat", "b": "cold"}).extended({"c": "ice"})
        >>> def lengths(part):
        ...     return [len(text) for text in part.text()]
        >>> def merge(values, sources):
        ...     return [values[part][i] for part, i in zip(sources.parts.tolist(), sources.locals.tolist())]
        >>> changed.merged_parts("lengths", lengths, merge, columns=("text",))
        [4, 4, 3]
        """

        def parts():
            return self.each_part(key, make, merge, columns=columns, persist=persist)

        if self.layout.is_trivial:
            return parts()[0]
        return self.cached(key, lambda: merge(parts(), self._all_sources()), columns=columns)

    def _all_sources(self):
        """Return where the documents come from if all parts are merged."""
        _, parts, locals = self.layout.merged(0, len(self.parts))
        return Sources(parts, locals)

    def _sources(self, columns):
        """Return the contents that a value is derived from."""
        if columns is None:
            return (self._content,)
        for name in columns:
            self._check_column(name)
        return tuple(self._contents[name] for name in columns or (_IDS,))

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
        return self._cache.get_each(key, keys, make, size_of=size_of, of=of, sources=self._sources(None))

    def cached_parts(self, key, *, columns=None):
        """Return the parts of a value that an interrupted run has left in the `cache_folder`.

        Parameters
        ----------
        key : hashable
            Key as for `cached`, which removes the parts when the value is complete.
        columns : sequence of str, default=None
            Names of the columns that the value is derived from, as for `cached`.

        Returns
        -------
        parts : object
            ``parts.get(name, make)`` returns a part of the value, and makes it by ``make()`` if it is missing.
        """
        return self._cache.parts(self._file_of(key, columns))

    def has_cached(self, key, *, columns=None):
        """Return whether the value of `key` is kept, in memory or in the `cache_folder`.

        Parameters
        ----------
        key : hashable
            Key as for `cached`.
        columns : sequence of str, default=None
            Names of the columns that the value is derived from, as for `cached`.

        Returns
        -------
        bool
        """
        if self._cache.has(key, sources=self._sources(columns)):
            return True
        file = self._file_of(key, columns)
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

    def _fingerprint_of(self, columns):
        """Return the hash of what a value is derived from."""
        if columns is None:
            return self.fingerprint
        for name in columns:
            content = self._contents[name]
            if content.fingerprint is None:
                content.fingerprint = joblib.hash(self._hashable((name,)), coerce_mmap=True)
        return joblib.hash([self._contents[name].fingerprint for name in columns])

    def _file_of(self, key, columns=None):
        """Return the file name of a value; None if there is no folder, or the key is valid in this process only."""
        if self._cache.folder is None:
            return None
        name = file_name(sklrank.__version__, key)
        if name is not None:
            return f"{self._fingerprint_of(columns)}-{name}.joblib"
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
        state = {"fingerprint": self.token, "cache": self._cache, "n_numbered": self._n_numbered}
        if self._parts is None:
            return {**state, "columns": plain_columns(self._columns), "ids": self._ids, "parent": self._parent}
        return {**state, "parts": self._parts, "layout": self._layout, "is_numbered": not self._ids.given}

    def __setstate__(self, state):
        if "parts" in state:
            self._set_parts(**state)
        else:
            self._set(**state)

    def __reduce__(self):
        return _restore, (self.__getstate__(), *TRAVELLERS)

    def _read(self):
        """Return a dict of all columns."""
        return {name: self[name] for name in self._columns}

    def to_dict(self):
        """Return a dict from id to text if there is no other column, else from id to a dict of columns.

        Returns
        -------
        dict
        """
        return table_dict(self._read(), self._ids.tolist())

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
        return frame_like({"docid": self._ids.tolist(), **table_lists(self._read())}, backend)

    __iter__ = None  # a corpus is indexed by names of columns

    def __array__(self, dtype=None, copy=None):
        # One object, not a sequence: GridSearchCV makes an array of the values of a parameter.
        array = np.empty((), dtype=object)
        array[()] = self
        if dtype is None:
            return array
        return array.astype(dtype)

    def _repr_html_(self):
        rows = np.arange(min(len(self), N_SHOWN), dtype=np.int64)
        shown = {name: self.take(name, rows) for name, kind in self.kinds.items() if not kind.endswith("vectors")}
        return table_html(self, "docid", shown, self._ids)

    def __repr__(self):
        return f"<Corpus: {len(self)} documents, columns {printable(', '.join(self._columns)) or 'none'}>"


def _restore(state, *travellers):
    """Return the corpus of the same content if this process has one, else a new one."""

    def make():
        corpus = object.__new__(Corpus)
        corpus.__setstate__(state)
        return corpus

    return _LIVING.get(state["fingerprint"], make, hold=is_worker())


def living_corpus(token):
    """Return the corpus of `token`; None if this process does not have it."""
    return _LIVING.get(token, hold=False)


def _with_own_objects(column):
    """Return the column, or a copy if it holds Python objects."""
    if isinstance(column, np.ndarray) and column.dtype == object:
        return deepcopy(column)
    return column


def _hash_fingerprint(hasher, corpus):
    hasher.save(("corpus", corpus.token))


Hasher.dispatch[Corpus] = _hash_fingerprint  # corpora of equal documents hash equally, whatever their parts


def _names(columns):
    if columns is None:
        return None
    return tuple(columns)
