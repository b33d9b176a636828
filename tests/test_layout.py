"""The layout of a corpus in parts, against a list of documents."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklrank.data import _layout
from sklrank.data._layout import Layout


class Model:
    """A list of documents in the order of rows, and the documents of each part."""

    def __init__(self, n):
        self.layout = Layout.whole(n)
        self.parts = [list(range(n))]
        self.documents = list(range(n))
        self.n_made = n

    def made(self, n):
        new = list(range(self.n_made, self.n_made + n))
        self.n_made += n
        return new

    def places(self, documents):
        places = [
            (p, own.index(document)) for document in documents for p, own in enumerate(self.parts) if document in own
        ]
        return [p for p, _ in places], [local for _, local in places]

    def extend(self, n):
        new = self.made(n)
        self.layout = self.layout.extended(n)
        self.parts = [*self.parts, new]
        self.documents = self.documents + new

    def remove(self, documents):
        self.layout = self.layout.without(*self.places(documents))
        self.documents = [document for document in self.documents if document not in documents]

    def replace(self, documents, n_new=0):
        new, last = self.made(len(documents)), self.made(n_new)
        self.layout, order = self.layout.replaced(*self.places(documents), n_new)
        other = dict(zip(documents, new))
        self.parts = [*self.parts, [*(new[i] for i in order.tolist()), *last]]
        self.documents = [other.get(document, document) for document in self.documents] + last

    def merge(self, first, stop):
        old = self.parts[first:stop]
        self.layout, parts, locals = self.layout.merged(first, stop)
        new = [old[p][local] for p, local in zip(parts.tolist(), locals.tolist())]
        self.parts = [*self.parts[:first], new, *self.parts[stop:]]

    def check(self):
        layout, documents = self.layout, self.documents
        assert layout.n_documents == len(documents)
        assert layout.sizes == tuple(map(len, self.parts))
        live = set(documents)
        parts, locals = layout.locate(np.arange(len(documents)))
        assert [self.parts[p][local] for p, local in zip(parts.tolist(), locals.tolist())] == documents
        flat = [document for own in self.parts for document in own]
        places = layout.places
        if places is None:
            assert flat == documents
        else:
            assert [flat[i] for i in places.tolist()] == documents
        mask = np.arange(len(documents), dtype=np.uint8)[None] % 2
        for p, own in enumerate(self.parts):
            dead = [local for local, document in enumerate(own) if document not in live]
            assert layout.dead(p).tolist() == dead
            assert (layout.alive(p) is None) == (not dead)
            assert layout.n_alive[p] == len(own) - len(dead)
            alive = [local for local in range(len(own)) if local not in dead]
            rows = layout.rows(p, alive)
            assert rows.dtype == np.int64
            assert [documents[row] for row in rows.tolist()] == [own[local] for local in alive]
            assert (np.diff(rows) > 0).all()
            every = layout.rows(p)
            assert every[alive].tolist() == rows.tolist()
            assert (np.diff(every) >= 0).all()
            local_mask = layout.local_masks(p, mask)[0]
            assert local_mask[alive].tolist() == mask[0, rows].tolist()
            assert not local_mask[dead].any()


changes = st.lists(
    st.tuples(st.sampled_from(["extend", "remove", "replace", "merge"]), st.randoms(use_true_random=False)), max_size=12
)


@pytest.mark.parametrize("many_removed", [1, 1024])
@given(n=st.integers(0, 9), changes=changes)
def test_a_layout_follows_a_list_of_documents(n, changes, many_removed):
    before, _layout._MANY_REMOVED = _layout._MANY_REMOVED, many_removed
    try:
        model = Model(n)
        for kind, random in changes:
            old = model.layout
            old_rows = [old.rows(p).tolist() for p in range(old.n_parts)]
            chosen = random.sample(model.documents, random.randint(0, len(model.documents)))
            if kind == "extend":
                model.extend(random.randint(0, 4))
            elif kind == "replace":
                model.replace(chosen, random.randint(0, 2))
            elif kind == "merge":
                first = random.randrange(len(model.parts))
                model.merge(first, random.randint(first + 1, len(model.parts)))
            else:
                model.remove(chosen)
            model.check()
            assert [old.rows(p).tolist() for p in range(old.n_parts)] == old_rows
    finally:
        _layout._MANY_REMOVED = before


def test_a_corpus_that_was_made_at_once_is_a_trivial_layout():
    layout = Layout.whole(4)
    assert layout.is_trivial
    assert layout.places is None
    assert layout.alive(0) is None
    mask = np.ones((1, 4), dtype=np.uint8)
    assert layout.local_masks(0, mask) is mask


def test_merging_all_parts_gives_a_trivial_layout():
    layout = Layout.whole(4).extended(2).without([0, 1], [1, 0])
    layout, _, _ = layout.merged(0, 2)
    assert layout.is_trivial
    assert layout.rows(0, [0, 3]).tolist() == [0, 3]


def test_a_removal_copies_one_mask():
    layout = Layout.whole(4).extended(3).without([0, 1], [1, 1])
    changed = layout.without([1], [0])
    assert changed.alive(0) is layout.alive(0)
    assert layout.alive(1).tolist() == [1, 0, 1]
    assert changed.alive(1).tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="read-only"):
        changed.alive(1)[0] = 1


def test_empty_positions_do_not_accumulate():
    layout = Layout.whole(40_000)
    for start in range(0, 39_000, 100):
        layout = layout.without(np.zeros(100, dtype=int), np.arange(start, start + 100))
        assert len(layout._removed) <= max(1024, layout.n_documents // 16)
    assert layout.rows(0, [39_000, 39_999]).tolist() == [0, 999]
    assert layout.locate([0, 999])[1].tolist() == [39_000, 39_999]
