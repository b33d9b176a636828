"""DocumentIds: documents of which only the ids are known."""

import numpy as np

from sklrank._kernels._strings import number_distinct
from sklrank.data._ids import Ids, as_id_list, object_array, show
from sklrank.data._strings import StringArray

MAX_DOCUMENTS = (1 << 32) - 1  # kernels keep rows as uint32, and the last number for no row
_MANY_IDS = 1 << 14  # number of ids from which a kernel is used


class DocumentIds:
    """Hold documents of which only the ids are known, such as those of a run file.

    Parameters
    ----------
    ids : Ids
        The ids. The row of a document is its position among them.

    Examples
    --------
    >>> from sklrank import Qrels
    >>> documents = Qrels({"q1": {"d7": 1, "d2": 0}}).documents
    >>> documents.rows(["d2"]), documents.docids([0])
    (array([1]), array(['d7'], dtype=object))
    """

    def __init__(self, ids):
        if len(ids) > MAX_DOCUMENTS:
            raise OverflowError(
                f"a corpus holds at most {MAX_DOCUMENTS} documents, since rows have 32 bits, got {len(ids)}"
            )
        self._ids = ids

    @classmethod
    def factorize(cls, docids):
        """Number the documents of an array of ids, in the order in which they first appear.

        Parameters
        ----------
        docids : ndarray of object
            Ids, which may repeat.

        Returns
        -------
        documents : DocumentIds
        rows : ndarray of int64
        """
        names = table = None
        if len(docids) >= _MANY_IDS:
            names, rows = _number(docids)
        if names is None:
            flat = docids.tolist()
            table = dict.fromkeys(flat)
            names = object_array(list(table))
            table = dict(zip(table, range(len(table))))
            rows = np.fromiter(map(table.__getitem__, flat), dtype=np.int64, count=len(flat))
        ids = Ids(StringArray.from_strings(names.tolist(), what="document id"), len(names))
        ids._objects, ids._table = names, table
        return cls(ids), rows

    @property
    def ids(self):
        """Ids of all documents, in the order of their rows."""
        return self._ids

    def __len__(self):
        return len(self._ids)

    def docids(self, rows):
        """Return the ids of documents.

        Parameters
        ----------
        rows : array-like of int

        Returns
        -------
        docids : ndarray of object, the shape of `rows`
        """
        return self._ids.take(rows)

    def rows(self, docids, *, unknown="raise"):
        """Return the rows of documents.

        Parameters
        ----------
        docids : sequence of str or int
        unknown : {"raise", "ignore"}, default="raise"
            Whether an unknown id is an error or has the row -1.

        Returns
        -------
        rows : ndarray of int64
        """
        docids = as_id_list(docids, "document")
        rows = self._ids.rows(docids)
        if unknown == "raise" and len(rows) and rows.min() < 0:
            missing = list(dict.fromkeys(docids[i] for i in np.flatnonzero(rows < 0).tolist()))
            raise ValueError(
                f"{len(missing)} document ids are not among the {len(self)} documents: {show(missing)}; those have "
                f"ids such as {show(self._ids[i] for i in range(min(3, len(self))))}"
            )
        return rows


def _number(docids):
    """Number ids by their hashes, which Python caches; this is faster than a dict that exceeds the CPU cache.

    Returns
    -------
    names : ndarray of object, or None
        Distinct ids, in the order in which they first appear; None if two ids have the same hash.
    rows : ndarray of int64, or None
        Number of each id.
    """
    hashes = np.fromiter(map(hash, docids.tolist()), dtype=np.int64, count=len(docids))
    slots = np.full(1 << (2 * len(docids) - 1).bit_length(), -1, dtype=np.int64)
    firsts, rows = np.empty_like(hashes), np.empty_like(hashes)
    firsts = firsts[: number_distinct(hashes, slots, firsts, rows)]
    names = docids[firsts]
    if (names[rows] == docids).all():
        return names, rows
    return None, None
