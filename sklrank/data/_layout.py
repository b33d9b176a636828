"""Layout: the place of each document of a corpus that is kept in parts."""

from functools import cached_property

import numpy as np

from sklrank._ragged import check_arrays

_MANY_REMOVED = 1024  # removed positions after which the others are numbered anew
_RARE = 16  # … if they are also more than this fraction of the documents


class Layout:
    """Tell the part and the row of each document of a corpus that is kept in parts.

    Each document has a position. New documents get positions behind all others, a document that replaces another one
    gets the position of that one, and the position of a removed document stays empty. The row of a document is the
    number of documents at lower positions. Within a part, documents ascend by position and therefore by row. A layout
    does not change: a change returns a new layout, which shares the arrays of all parts that it does not touch.

    Attributes
    ----------
    n_documents : int
        Number of live documents, which is the number of rows.
    n_alive : tuple of int, length n_parts
        Number of live documents of each part.
    sizes : tuple of int, length n_parts
        Number of documents of each part, dead ones included.

    Examples
    --------
    >>> from sklrank.data._layout import Layout
    >>> layout = Layout.whole(3).extended(1)  # documents 0 to 2 in one part, and a new one
    >>> layout = layout.without([0], [1])  # document 1 of part 0 is removed
    >>> layout.rows(0, [0, 2]), layout.rows(1, [0])
    (array([0, 1]), array([2]))
    >>> layout.locate([1, 2])
    (array([0, 1]), array([2, 0]))
    >>> layout.alive(0), layout.dead(0)
    (array([1, 0, 1], dtype=uint8), array([1]))
    """

    def __init__(self, positions, sizes, alive, n_alive, removed, n_positions):
        self._positions = positions  # of each part: its first position if they are consecutive, else ascending ones
        self.sizes = sizes
        self._alive = alive  # of each part: a mask, or None
        self.n_alive = n_alive
        self._removed = removed  # positions without a document, ascending
        self._n_positions = n_positions
        self.n_documents = n_positions - len(removed)

    @classmethod
    def whole(cls, n_documents):
        """Return the layout of a corpus in one part.

        Parameters
        ----------
        n_documents : int

        Returns
        -------
        Layout
        """
        return cls((0,), (n_documents,), (None,), (n_documents,), np.empty(0, dtype=np.int64), n_documents)

    def check_content(self):
        """Raise ValueError if the arrays of a file do not fit each other."""
        if len({*map(len, (self.sizes, self._positions, self._alive, self.n_alive))}) > 1:
            raise ValueError("the parts of a layout have different numbers")
        # Live documents and removed positions, as runs of consecutive positions.
        starts, lengths = [self._removed], [np.ones(len(self._removed), dtype=np.int64)]
        for positions, size, mask, n_alive in zip(self._positions, self.sizes, self._alive, self.n_alive):
            is_listed = isinstance(positions, np.ndarray)
            if is_listed:
                check_arrays({"<i8": [positions]})
                if len(positions) != size or (positions[1:] < positions[:-1]).any():
                    raise ValueError("the positions of a part of a layout are damaged")
            if mask is not None:
                check_arrays({"|u1": [mask]})
                if len(mask) != size:
                    raise ValueError("the mask of a part of a layout is damaged")
                live = np.flatnonzero(mask)
                positions = positions[live] if is_listed else positions + live
            starts.append(np.atleast_1d(positions))
            if is_listed or mask is not None:
                lengths.append(np.ones(len(positions), dtype=np.int64))
            else:
                lengths.append(np.array([size]))
            if lengths[-1].sum() != n_alive:
                raise ValueError("a part of a layout has another number of documents")
        starts, lengths = np.concatenate(starts), np.concatenate(lengths)
        starts, lengths = starts[lengths > 0], lengths[lengths > 0]
        order = np.argsort(starts, kind="stable")
        ends = np.cumsum(lengths[order])
        if (starts[order] != ends - lengths[order]).any() or ends[-1:].sum() != self._n_positions:
            raise ValueError("a layout has a position that is not that of one document")
        if self.n_documents != self._n_positions - len(self._removed):
            raise ValueError("a layout has another number of documents")

    # --- reading
    @property
    def n_parts(self):
        """Number of parts."""
        return len(self.sizes)

    @property
    def is_trivial(self):
        """Whether the layout is one part without dead documents, so that the row of a document is its local number."""
        return self.n_parts == 1 and self._alive[0] is None

    def alive(self, part):
        """Return which documents of a part live; None if all do.

        Parameters
        ----------
        part : int

        Returns
        -------
        ndarray of uint8, shape (n_documents of the part,), or None
            Read-only.
        """
        return self._alive[part]

    def dead(self, part):
        """Return the local numbers of the documents of a part that were removed or replaced.

        Parameters
        ----------
        part : int

        Returns
        -------
        ndarray of int64, shape (n_dead,)
            Ascending.
        """
        if self._alive[part] is None:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero(self._alive[part] == 0).astype(np.int64, copy=False)

    def rows(self, part, locals=None):
        """Return the rows of documents of a part.

        Parameters
        ----------
        part : int
        locals : array-like of int, default=None
            Local numbers of live documents. If None, all documents of the part; the row of a dead document then has no
            meaning, except that rows ascend, and may be `n_documents`.

        Returns
        -------
        ndarray of int64, the shape of `locals`
        """
        if locals is None:
            return self._all_rows(part)
        return self.rows_at(self._positions_of(part, np.asarray(locals, dtype=np.int64)))

    def _positions_of(self, part, locals):
        positions = self._positions[part]
        if isinstance(positions, np.ndarray):
            return positions[locals]
        return positions + locals

    def _all_rows(self, part):
        rows = self._positions_of(part, np.arange(self.sizes[part], dtype=np.int64))
        if len(self._removed) and len(rows):
            first, stop = np.searchsorted(self._removed, [rows[0], rows[-1] + 1])
            steps = np.zeros(len(rows) + 1, dtype=np.int64)
            np.add.at(steps, np.searchsorted(rows, self._removed[first:stop], side="right"), 1)
            steps[0] += first
            rows -= np.cumsum(steps[:-1])
        return rows

    def positions(self, part):
        """Return the positions of the documents of a part, which are ordered as their rows are.

        Parameters
        ----------
        part : int

        Returns
        -------
        first : int
            Position of the first document, if the positions are consecutive.
        positions : ndarray of int64, shape (n_documents of the part,) or (0,)
            Position of each document; empty if they are consecutive.
        """
        positions = self._positions[part]
        if isinstance(positions, np.ndarray):
            return 0, positions
        return positions, np.empty(0, dtype=np.int64)

    def rows_at(self, positions):
        """Return the rows of the documents at some positions.

        Parameters
        ----------
        positions : ndarray of int64
            Positions of live documents.

        Returns
        -------
        ndarray of int64
        """
        if len(self._removed):
            return positions - np.searchsorted(self._removed, positions)
        return positions

    def locate(self, rows):
        """Return the part and the local number of the document of each row.

        Parameters
        ----------
        rows : array-like of int
            Each at least 0 and less than `n_documents`.

        Returns
        -------
        parts, locals : ndarray of int64, the shape of `rows`
        """
        positions = np.asarray(rows, dtype=np.int64)
        if len(self._removed):
            positions = positions + np.searchsorted(self._n_before_removed, positions, side="right")
        parts, locals = np.zeros(positions.shape, dtype=np.int64), positions.copy()
        for part in range(self.n_parts - 1, -1, -1):
            found, here = self._find(part, positions)
            parts[here], locals[here] = part, found[here]
        return parts, locals

    @cached_property
    def _n_before_removed(self):
        """Number of documents before each removed position."""
        return self._removed - np.arange(len(self._removed), dtype=np.int64)

    def _find(self, part, positions):
        """Return the local numbers of positions in a part, and for which of them the part has a live document."""
        own, alive = self._positions[part], self._alive[part]
        if self.sizes[part] == 0:
            return positions, np.zeros(positions.shape, dtype=bool)
        if isinstance(own, np.ndarray):
            # The last of equal positions: only dead documents, before a live one, have the same (see `_renumbered`).
            found = np.maximum(np.searchsorted(own, positions, side="right") - 1, 0)
            here = own[found] == positions
        else:
            found = positions - own
            here = (found >= 0) & (found < self.sizes[part])
        if alive is not None:
            here &= alive[np.where(here, found, 0)] != 0
        return found, here

    def local_masks(self, part, masks):
        """Return masks of rows as masks of the documents of a part, in which dead documents are out.

        Parameters
        ----------
        part : int
        masks : ndarray of uint8, shape (n_masks, n_documents)

        Returns
        -------
        ndarray of uint8, shape (n_masks, n_documents of the part)
        """
        if self.is_trivial:
            return masks
        rows, alive = self._all_rows(part), self._alive[part]
        if alive is None and len(rows) and rows[-1] - rows[0] == len(rows) - 1:
            return np.ascontiguousarray(masks[:, rows[0] : rows[-1] + 1])
        if alive is None:
            return masks[:, rows]
        local = np.zeros((len(masks), len(rows)), dtype=np.uint8)
        live = np.flatnonzero(alive)
        local[:, live] = masks[:, rows[live]]
        return local

    @cached_property
    def places(self):
        """Place of the document of each row in the concatenation of all documents of all parts, dead ones included.

        An array of int64, shape (n_documents,): the concatenated values of the parts, taken at these places, are in the
        order of rows. None if each document of the concatenation lives and stands at its row.
        """
        if not any(alive is not None for alive in self._alive) and self._is_ascending(range(self.n_parts)):
            return None
        places, offset = np.empty(self.n_documents, dtype=np.int64), 0
        for part, size in enumerate(self.sizes):
            locals, rows = np.arange(size, dtype=np.int64), self._all_rows(part)
            if self._alive[part] is not None:
                locals = np.flatnonzero(self._alive[part])
                rows = rows[locals]
            places[rows] = locals + offset
            offset += size
        places.flags.writeable = False
        return places

    def _is_ascending(self, parts):
        """Return whether all positions of each part are lower than those of the next one."""
        previous = -1
        for part in parts:
            if self.sizes[part]:
                first, last = self._positions_of(part, np.array([0, self.sizes[part] - 1])).tolist()
                if first <= previous:
                    return False
                previous = last
        return True

    # --- changes
    def extended(self, n):
        """Return the layout with a new part of `n` new documents, which are the last ones.

        Parameters
        ----------
        n : int

        Returns
        -------
        Layout
        """
        positions, sizes = (*self._positions, self._n_positions), (*self.sizes, n)
        alive, n_alive = (*self._alive, None), (*self.n_alive, n)
        return Layout(positions, sizes, alive, n_alive, self._removed, self._n_positions + n)

    def without(self, parts, locals):
        """Return the layout without some documents.

        Parameters
        ----------
        parts, locals : array-like of int, shape (n_removed,)
            Part and local number of each document. They live, and are distinct.

        Returns
        -------
        Layout
        """
        removed = np.sort(self._take_positions(parts, locals))
        removed = np.insert(self._removed, np.searchsorted(self._removed, removed), removed)
        alive, n_alive = self._killed(parts, locals)
        return Layout(self._positions, self.sizes, alive, n_alive, removed, self._n_positions)._renumbered()

    def replaced(self, parts, locals, n_new=0):
        """Return the layout with a new part of documents that replace others, and of new documents.

        Parameters
        ----------
        parts, locals : array-like of int, shape (n_replaced,)
            Part and local number of each document that is replaced. They live, and are distinct.
        n_new : int, default=0
            Number of new documents, which are the last ones.

        Returns
        -------
        layout : Layout
        order : ndarray of int64, shape (n_replaced,)
            Document ``i`` of the new part replaces ``parts[order[i]], locals[order[i]]``. New documents come after it.
        """
        replaced = self._take_positions(parts, locals)
        order = np.argsort(replaced, kind="stable")
        positions = np.arange(self._n_positions - len(order), self._n_positions + n_new, dtype=np.int64)
        positions[: len(order)] = replaced[order]
        alive, n_alive = self._killed(parts, locals)
        layout = Layout(
            (*self._positions, positions),
            (*self.sizes, len(positions)),
            (*alive, None),
            (*n_alive, len(positions)),
            self._removed,
            self._n_positions + n_new,
        )
        return layout, order

    def _take_positions(self, parts, locals):
        parts, locals = np.asarray(parts), np.asarray(locals, dtype=np.int64)
        positions = np.empty(len(locals), dtype=np.int64)
        for part in np.unique(parts).tolist():
            here = parts == part
            positions[here] = self._positions_of(part, locals[here])
        return positions

    def _killed(self, parts, locals):
        """Return the masks and numbers of live documents without some of these."""
        parts, locals = np.asarray(parts), np.asarray(locals, dtype=np.int64)
        masks, n_alive = list(self._alive), list(self.n_alive)
        for part in np.unique(parts).tolist():
            if masks[part] is None:
                mask = np.ones(self.sizes[part], dtype=np.uint8)
            else:
                mask = masks[part].copy()
            dead = locals[parts == part]
            mask[dead] = 0
            n_alive[part] -= len(dead)
            mask.flags.writeable = False
            masks[part] = mask
        return tuple(masks), tuple(n_alive)

    def _renumbered(self):
        """Return the layout without empty positions if there are many of them."""
        if len(self._removed) <= max(_MANY_REMOVED, self.n_documents // _RARE):
            return self
        positions = []
        for part, own in enumerate(self._positions):
            rows = self._all_rows(part)
            if not isinstance(own, np.ndarray) and len(rows) and rows[-1] - rows[0] == len(rows) - 1:
                rows = int(rows[0])
            positions.append(rows)
        none = np.empty(0, dtype=np.int64)
        return Layout(tuple(positions), self.sizes, self._alive, self.n_alive, none, self.n_documents)

    def merged(self, first, stop):
        """Return the layout with one part instead of several, and where its documents come from.

        Parameters
        ----------
        first, stop : int
            The parts from `first` to ``stop - 1`` are merged. The new part is at `first`, and has their live documents.

        Returns
        -------
        layout : Layout
        parts, locals : ndarray of int64, shape (n_documents of the new part,)
            Old part, counted from 0 for `first`, and old local number of each document.
        """
        chosen = range(first, stop)
        locals = [self._live_locals(part) for part in chosen]
        positions = [self._positions_of(part, own) for part, own in zip(chosen, locals)]
        parts = np.repeat(np.arange(len(chosen), dtype=np.int64), list(map(len, locals)))
        positions, locals = np.concatenate(positions), np.concatenate(locals)
        if not self._is_ascending(chosen):
            order = np.argsort(positions, kind="stable")
            positions, locals, parts = positions[order], locals[order], parts[order]
        n = len(positions)
        if n == 0 or positions[-1] - positions[0] == n - 1:
            positions = int(positions[0]) if n else 0

        def with_one(values, new):
            return (*values[:first], new, *values[stop:])

        layout = Layout(
            with_one(self._positions, positions),
            with_one(self.sizes, n),
            with_one(self._alive, None),
            with_one(self.n_alive, n),
            self._removed,
            self._n_positions,
        )
        if layout.is_trivial:
            layout = Layout.whole(n)
        return layout, parts, locals

    def dropped(self, part):
        """Return the layout without a part, which has no live documents.

        Parameters
        ----------
        part : int

        Returns
        -------
        Layout
        """

        def others(values):
            return (*values[:part], *values[part + 1 :])

        positions, alive = others(self._positions), others(self._alive)
        layout = Layout(positions, others(self.sizes), alive, others(self.n_alive), self._removed, self._n_positions)
        if layout.is_trivial:
            layout = Layout.whole(layout.n_documents)
        return layout

    def _live_locals(self, part):
        if self._alive[part] is None:
            return np.arange(self.sizes[part], dtype=np.int64)
        return np.flatnonzero(self._alive[part]).astype(np.int64, copy=False)

    def __repr__(self):
        return f"<Layout: {self.n_documents} documents in {self.n_parts} parts of {list(self.sizes)}>"
