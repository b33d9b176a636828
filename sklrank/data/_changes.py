"""Changes of a corpus: new parts, and which parts are merged."""

import numpy as np

from sklrank.data._ids import Ids, as_id_list, check_unique, show
from sklrank.data._kinds import (
    GatheredColumn,
    concatenated,
    gathered,
    kind_of,
    matching,
    missing_values,
    numbers_as_ids,
    strings_of,
)
from sklrank.data._lazy import ColumnSource
from sklrank.data._parts import Sources
from sklrank.data._table import as_table

MAX_PARTS = 8
_FACTOR = 8  # a part that is at most this many times as large as the newer ones is merged with them
_RARE = 3  # a part with more dead documents than this fraction is rewritten


def new_documents(corpus, documents, id_names, numbered_from=None):
    """Return the columns and ids of new documents, all of whose columns are columns of the corpus.

    Parameters
    ----------
    corpus : Corpus
    documents : Corpus, or data that a Corpus is made from
    id_names : tuple of str
        Names that the column of ids may have.
    numbered_from : int, default=None
        Number of the first document if the documents have no ids. If None, these are required.

    Returns
    -------
    columns : dict of str to column
    ids : Ids
    """
    if isinstance(documents, type(corpus)):
        columns, ids = {name: documents[name] for name in documents.columns}, documents.ids
        if not ids.given:
            ids = Ids(strings_of(ids), len(ids))
    else:
        kinds = corpus.kinds
        objects = frozenset(name for name, kind in kinds.items() if kind == "objects") - {*_undecided(corpus)}
        columns, ids = as_table(documents, None, "document", id_names, objects=objects)
    if not len(ids):
        return {}, ids
    unknown = [name for name in columns if name not in corpus.columns]
    if unknown:
        raise ValueError(
            f"the new documents have a column {unknown[0]!r}, and the corpus has the columns {list(corpus.columns)}: "
            "give it the column first, by with_columns, or leave it out"
        )
    if not ids.given:
        if numbered_from is None:
            raise ValueError("the new documents have no ids: give a dict from id to text, or records with ids")
        ids = numbers_as_ids(numbered_from, numbered_from + len(ids))
    return columns, ids


def check_new(corpus, ids):
    """Raise a ValueError if the corpus has one of the ids."""
    known = np.flatnonzero(corpus.ids.rows(ids) >= 0).tolist()
    if known:
        raise ValueError(
            f"{len(known)} of the new documents are in the corpus already: {show(ids[i] for i in known)}; "
            "replaced(…) replaces documents, and updated(upsert=…) replaces or adds them"
        )


def check_distinct(**ids):
    """Raise a ValueError if an id occurs in two changes, given as lists by name."""
    changes = {}
    for change, own in ids.items():
        for docid in own:
            if docid in changes:
                raise ValueError(f"document {docid!r} is in {changes[docid]}= and in {change}=: give it in one of them")
            changes[docid] = change


def removed_ids(docids):
    """Return the ids to remove as a list of distinct str."""
    docids = as_id_list(docids, "document")
    check_unique(docids, "document")
    return docids


def joined_documents(tables, order):
    """Return the columns and ids of several tables as one, in another order."""
    columns = {name: concatenated([columns[name] for columns, _ in tables])[order] for name in tables[0][0]}
    return columns, Ids(concatenated([ids.strings for _, ids in tables])[order], len(order))


def merged_documents(parts, sources):
    """Return the columns and ids of the part that parts are merged into."""
    offsets = np.cumsum([0, *map(len, parts)])
    places = offsets[sources.parts] + sources.locals
    if len(places) == offsets[-1] and (np.diff(places) == 1).all():
        places = None
    columns = {name: _merged_column([part._columns[name] for part in parts], places) for name in parts[0]._columns}
    ids = gathered([strings_of(part.ids) for part in parts], places)
    return columns, Ids(ids, len(sources.parts))


def _merged_column(columns, places):
    if any(isinstance(column, ColumnSource) for column in columns):
        return GatheredColumn(columns, places)
    return gathered(columns, places)


def settled(parts, layout, merge, is_new):
    """Merge parts until they are few, and none has many dead documents.

    Parts are merged when a new one comes. A new part is not merged before the next change, because nothing was derived
    from it yet, so that everything would be derived anew from all documents of the merged part.

    Parameters
    ----------
    parts : tuple of Corpus
    layout : Layout
    merge : callable
        Function that takes parts and their `Sources`, and returns one part.
    is_new : bool
        Whether the last part is new.

    Returns
    -------
    parts : tuple of Corpus
    layout : Layout
    """

    def merged(first, stop):
        nonlocal parts, layout
        layout, old, locals = layout.merged(first, stop)
        parts = (*parts[:first], merge(parts[first:stop], Sources(old, locals)), *parts[stop:])

    for part in range(len(parts) - 1, -1, -1):
        if layout.n_alive[part] == 0 and len(parts) > 1:
            layout, parts = layout.dropped(part), (*parts[:part], *parts[part + 1 :])
    if is_new:  # a removal makes no parts
        n_alive, stop = layout.n_alive, len(parts) - 1
        first = max(stop - 1, 0)
        tail = sum(n_alive[first:stop])
        while first > 0 and n_alive[first - 1] <= _FACTOR * tail:
            first -= 1
            tail += n_alive[first]
        if first < stop - 1:
            merged(first, stop)
    for part in range(len(parts) - is_new):
        if _RARE * (layout.sizes[part] - layout.n_alive[part]) > layout.sizes[part]:
            merged(part, part + 1)
    while len(parts) > MAX_PARTS:
        n_alive = layout.n_alive
        first = min(range(len(parts) - 1 - is_new), key=lambda i: n_alive[i] + n_alive[i + 1])
        merged(first, first + 2)
    return parts, layout


def _all_missing(column):
    """Return whether all values of a column are missing, so that it may become a column of any kind."""
    if isinstance(column, ColumnSource):  # its kind is known
        return False
    return kind_of(column) == "objects" and all(value is None for value in column.tolist())


def _undecided(corpus):
    """Return the names of columns all of whose values are missing in all documents of a corpus."""
    return [
        name
        for name, kind in corpus.kinds.items()
        if kind == "objects" and all(_all_missing(part._columns[name]) for part in corpus.parts)
    ]


def with_kinds(corpus, tables):
    """Match new documents with the columns of a corpus.

    A column all of whose values are missing becomes a column of text or numbers if the new documents have these.

    Parameters
    ----------
    corpus : Corpus
    tables : list of (columns, ids)

    Returns
    -------
    corpus : Corpus
    tables : list of (columns, ids)
        Each with all columns of the corpus, in this order.
    """
    undecided = {}
    for name in _undecided(corpus):
        kinds = {kind_of(columns[name]) for columns, _ in tables if name in columns} - {"objects"}
        if kinds in ({"text"}, {"numbers"}):
            undecided[name] = missing_values(*kinds, name, len(corpus))
    if undecided:
        corpus = corpus.with_columns(**undecided)
    like = corpus.parts[0]._columns
    matched = [
        ({name: matching(columns.get(name), like[name], name, len(ids)) for name in corpus.columns}, ids)
        for columns, ids in tables
    ]
    return corpus, matched
