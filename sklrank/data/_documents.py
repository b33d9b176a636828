"""DocumentIds: documents of which nothing but the ids is known."""

import numpy as np

from sklrank._kernels._strings import number_distinct
from sklrank.data._ids import Ids, as_id_list, object_array, show
from sklrank.data._strings import StringArray

_MANY_IDS = 1 << 14  # from which a kernel numbers them


class DocumentIds:
    """Documents of which nothing but the ids is known, as those of a run file.

    Parameters
    ----------
    ids : Ids
        The ids; a document's row is its position among them.

    Examples
    --------
    >>> from sklrank import Qrels
    >>> documents = Qrels({"q1": {"d7": 1, "d2": 0}}).documents
    >>> documents.rows(["d2"]), documents.docids([0])
    (array([1]), array(['d7'], dtype=object))
    """

    def __init__(self, ids):
        self._ids = ids

    @classmethod
    def factorize(cls, docids):
        """Number the documents of an array of ids, in the order in which they first appear.

        Parameters
        ----------
        docids : ndarray of object
            Ids, of which some may repeat.

        Returns
        -------
        documents : DocumentIds
        rows : ndarray of int64
        """
        firsts, rows = _number(docids) if len(docids) >= _MANY_IDS else (None, None)
        table = None
        if rows is None:
            flat = docids.tolist()
            table = dict.fromkeys(flat)
            names = object_array(list(table))
            table = dict(zip(table, range(len(table))))
            rows = np.fromiter(map(table.__getitem__, flat), dtype=np.int64, count=len(flat))
        else:
            names = docids[firsts]
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
        """Ids of the documents `rows`.

        Parameters
        ----------
        rows : array-like of int

        Returns
        -------
        docids : ndarray of object, the shape of `rows`
        """
        return self._ids.take(rows)

    def rows(self, docids, *, unknown="raise"):
        """Rows of the documents `docids`.

        Parameters
        ----------
        docids : sequence of str or int
        unknown : {"raise", "ignore"}, default="raise"
            What an id that is not here is: an error, or -1.

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
    """Number ids by their hashes, which Python keeps, several times as fast as a dict that outgrows the cache.

    Returns
    -------
    firsts, rows : ndarray of int64, or None and None
        Where each distinct id stands first, and for each id the number of it. Nothing where two ids share a hash.
    """
    hashes = np.fromiter(map(hash, docids.tolist()), dtype=np.int64, count=len(docids))
    slots = np.full(1 << (2 * len(docids) - 1).bit_length(), -1)
    firsts, rows = np.empty_like(hashes), np.empty_like(hashes)
    firsts = firsts[: number_distinct(hashes, slots, firsts, rows)]
    return (firsts, rows) if (docids[firsts][rows] == docids).all() else (None, None)
