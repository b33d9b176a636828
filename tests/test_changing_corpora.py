"""Corpora that change: documents come, go and are replaced."""

import copy
import gc
import pickle
import weakref

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone

from sklrank import Corpus, Run
from sklrank.data import ColumnSource, DocumentIds, StringArray, TokenVectors, _documents, _pairs
from sklrank.data._changes import MAX_PARTS
from sklrank.data._ids import Ids

DOCUMENTS = {f"d{i}": {"title": f"title {i}", "text": f"text {i}", "n": float(i), "tags": {"x": i}} for i in range(60)}


def corpus_of(documents):
    return Corpus([{"_id": docid, **columns} for docid, columns in documents.items()])


def assert_same_documents(corpus, fresh):
    assert len(corpus) == len(fresh)
    assert corpus.columns == fresh.columns
    assert corpus.kinds == fresh.kinds
    assert corpus.ids == fresh.ids and corpus.ids.given == fresh.ids.given
    assert corpus.ids.tolist() == fresh.ids.tolist()
    ids = fresh.ids.tolist()
    assert corpus.rows(ids).tolist() == list(range(len(ids)))
    rows = np.random.default_rng(0).permutation(len(ids))
    assert corpus.docids(rows).tolist() == fresh.docids(rows).tolist()
    assert corpus.text() == fresh.text()
    assert corpus.text(rows=rows) == fresh.text()[rows]
    assert repr(corpus) == repr(fresh)
    assert corpus.fingerprint == fresh.fingerprint
    assert joblib.hash(corpus) == joblib.hash(fresh)


changes = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "upsert", "all", "price"]), st.randoms(use_true_random=False)),
    max_size=8,
)


@given(n=st.integers(1, 60), changes=changes)
def test_a_changed_corpus_equals_a_fresh_one_of_the_same_documents(n, changes):
    documents, n_made = dict(list(DOCUMENTS.items())[:n]), 0
    corpus = corpus_of(documents)
    for kind, random in changes:
        before, old = dict(documents), corpus
        new = {f"x{n_made + i}": {"title": "", "text": f"new {i}", "n": float(i), "tags": {"y": i}} for i in range(3)}
        n_made += 3
        some = random.sample(list(documents), random.randint(0, len(documents) - 1))
        half = some[: len(some) // 2]
        if kind == "price":
            values = [random.random() for _ in documents]
            corpus = corpus.with_columns(n=values)
            documents = {docid: {**d, "n": value} for (docid, d), value in zip(documents.items(), values)}
        elif kind == "add":
            corpus = corpus.extended(new)
            documents.update(new)
        elif kind == "remove":
            corpus = corpus.without(some)
            documents = {docid: documents[docid] for docid in documents if docid not in some}
        elif kind == "upsert":
            upserted = {docid: {**documents[docid], "text": "changed"} for docid in half} | new
            corpus = corpus.updated(upsert=upserted)
            documents.update(upserted)
        else:
            upserted = {docid: {**documents[docid], "text": "both"} for docid in half}
            removed = some[len(half) :]
            corpus = corpus.updated(add=new, remove=removed, upsert=upserted)
            documents.update(upserted)
            documents = {docid: documents[docid] for docid in documents if docid not in removed} | new
        assert len(corpus.parts) <= MAX_PARTS
        assert_same_documents(corpus, corpus_of(documents))
        assert_same_documents(old, corpus_of(before))
        lengths = corpus.each_part("lengths", lambda part: list(map(len, part.text())), merged_lists, columns=("text",))
        assert lengths == [list(map(len, part.text())) for part in corpus.parts]
    assert_same_documents(corpus.compacted(), corpus_of(documents))


def merged_lists(values, sources):
    return [values[p][local] for p, local in zip(sources.parts.tolist(), sources.locals.tolist())]


def test_a_corpus_that_was_made_at_once_has_one_part_itself():
    corpus = corpus_of(DOCUMENTS)
    assert corpus.parts == (corpus,) and corpus.layout.is_trivial
    assert corpus.compacted() is corpus and corpus.updated() is corpus
    assert corpus.without([]) is corpus and corpus.extended({}) is corpus


def test_a_change_makes_one_small_part_and_leaves_the_old_corpus():
    corpus = corpus_of(DOCUMENTS)
    changed = corpus.extended({"x": "new"}).without(["d3"]).replaced({"d5": "five"})
    assert changed.parts[0] is corpus and list(map(len, changed.parts)) == [60, 1, 1]
    assert len(corpus) == 60 and corpus.rows(["d3"]).tolist() == [3]
    assert changed.text("text", rows=changed.rows(["d5", "x"])).tolist() == ["five", "new"]
    assert changed.rows(["d3"], unknown="ignore").tolist() == [-1]


def test_only_the_new_part_is_computed():
    corpus, made = corpus_of(DOCUMENTS), []

    def lengths(corpus):
        def make(part):
            made.append(len(part))
            return list(map(len, part.text("text")))

        return corpus.each_part("lengths", make, merged_lists, columns=("text",))

    lengths(corpus)
    changed = corpus.extended({"x": "new"})
    lengths(changed)
    lengths(changed.without(["d1"]).with_columns(price=np.arange(60)))
    assert made == [60, 1]
    changed = changed.extended({"y": "y"})  # not merged yet, so that only the value of "y" is made
    lengths(changed)
    assert made == [60, 1, 1]
    changed = changed.extended({"z": "z"})  # "x" and "y" are merged, with their values
    lengths(changed)
    assert made == [60, 1, 1, 1] and list(map(len, changed.parts)) == [60, 2, 1]


def test_values_of_merged_parts_are_merged():
    corpus, made = corpus_of(DOCUMENTS), []

    def make(part):
        made.append(len(part))
        return list(map(len, part.text("text")))

    for i in range(3):
        corpus = corpus.extended({f"x{i}": "x"})
    corpus.each_part("lengths", make, merged_lists, columns=("text",))
    compacted = corpus.compacted()
    assert made == [60, 2, 1] and len(compacted.parts) == 1
    lengths = compacted.each_part("lengths", make, merged_lists, columns=("text",))
    assert made == [60, 2, 1] and lengths == [list(map(len, compacted.text("text")))]


@pytest.mark.parametrize("parts", ["one part", "several parts"])
def test_with_columns_keeps_what_is_derived_from_other_columns(parts):
    corpus = Corpus({docid: columns["text"] for docid, columns in DOCUMENTS.items()})
    if parts == "several parts":
        corpus = corpus.extended({"x": "new"})
    value = corpus.cached("words", list, columns=corpus.text_columns())
    of_all = corpus.cached("all", list)
    of_parts = corpus.each_part("words", lambda part: [len(part)], None, columns=corpus.text_columns())
    priced = corpus.with_columns(price=np.arange(len(corpus)))
    assert priced.cached("words", None, columns=priced.text_columns()) is value
    assert priced.has_cached("words", columns=("text",)) and not priced.has_cached("all")
    assert all(map(lambda a, b: a is b, priced.each_part("words", None, None, columns=("text",)), of_parts))
    titled = priced.with_columns(title=["t"] * len(corpus))
    assert titled.text_columns() == ("title", "text")
    assert not titled.has_cached("words", columns=titled.text_columns())  # field=None reads the title, too
    assert not priced.with_columns(text=["t"] * len(corpus)).has_cached("words", columns=("text",))
    assert corpus.cached("all", None) is of_all


def test_10_000_changes_keep_few_parts_and_bounded_memory():
    corpus = corpus_of(DOCUMENTS)
    first, merged = weakref.ref(corpus.extended({"x": "gone"})), []

    def merge(values, sources):
        merged.append(len(sources.parts))
        return np.concatenate([np.zeros(0, np.int64), sources.locals])

    usage = []
    for i in range(10_000):
        if i % 3 == 2:
            corpus = corpus.without([f"x{i - 2}"])
        else:
            corpus = corpus.extended({f"x{i}": "new"})
        corpus.each_part("value", lambda part: np.zeros(len(part), np.int64), merge, columns=("text",))
        assert len(corpus.parts) <= MAX_PARTS
        usage.append(len(corpus._cache))
    gc.collect()
    assert first() is None
    assert max(usage) <= 8 * MAX_PARTS
    assert sum(merged) < 10_000 * 8 * MAX_PARTS  # documents that were merged, several times each
    assert len(corpus) == 60 + 3334


def test_memory_of_old_versions_is_released():
    corpus = corpus_of(DOCUMENTS)
    old = corpus.extended({"x": "new"})
    old.cached("large", lambda: np.zeros(10**6))
    old["text"]
    new = old.without(["d1"])
    assert new.cache_usage()["large"] >= 8 * 10**6
    gone = weakref.ref(old)
    del old
    assert gone() is None and "large" not in new.cache_usage() and "column" not in new.cache_usage()


def test_rankings_of_one_version_are_not_those_of_another():
    corpus = corpus_of(DOCUMENTS)

    def each(corpus):
        return corpus.cached_each(
            "ranking", ["q"], lambda positions: [len(corpus)] * len(positions), size_of=lambda value: 8
        )

    changed = corpus.without(["d1"])
    assert each(corpus) == [60] and each(changed) == [59] and each(corpus) == [60]


def test_positions_as_ids_go_on():
    corpus = Corpus(["heat", "cold"] * 20).extended(["wind"])
    fresh = Corpus(["heat", "cold"] * 20 + ["wind"])
    assert_same_documents(corpus, fresh)
    assert len(corpus.parts) == 2
    fewer = corpus.without(["1"])
    assert fewer.ids.tolist()[:3] == ["0", "2", "3"] and fewer.ids.given
    assert fewer.extended(["rain"]).ids.tolist()[-2:] == ["40", "41"]
    assert fewer.without(["40"]).extended(["rain"]).ids.tolist()[-1] == "41"  # never used twice


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda c: c.extended({"d1": "x"}), ValueError, "1 of the new documents are in the corpus already: 'd1'"),
        (lambda c: c.extended(["x"]), ValueError, "the new documents have no ids"),
        (lambda c: c.extended([{"_id": "x", "text": "x"}] * 2), ValueError, "must be unique"),
        (lambda c: c.extended({"x": {"text": "x", "color": 1}}), ValueError, "column 'color', and the corpus has"),
        (lambda c: c.extended({"x": {"text": "x", "n": "many"}}), TypeError, "'n' of the corpus holds numbers.*text"),
        (lambda c: c.without(["d1", "d1"]), ValueError, "must be unique"),
        (lambda c: c.without(["x"]), ValueError, "not among the 60 documents: 'x'"),
        (lambda c: c.without("d1"), TypeError, "expected a list"),
        (lambda c: c.replaced({"x": "x"}), ValueError, "not among the 60 documents: 'x'"),
        (lambda c: c.updated(add={"x": "x"}, remove=["x"]), ValueError, "'x' is in add= and in remove="),
        (lambda c: c.updated(upsert={"d1": "x"}, remove=["d1"]), ValueError, "'d1' is in remove= and in upsert="),
        (lambda c: c.updated(upsert={"x": "x"}, add={"x": "x"}), ValueError, "'x' is in add= and in upsert="),
        (lambda c: c.with_columns(v=np.eye(60)).extended({"x": "x"}), ValueError, "'v' of the corpus holds vectors"),
        (
            lambda c: c.with_columns(v=np.eye(60)).extended({"x": {"v": [1.0]}}),
            ValueError,
            "vectors of 60 numbers, .* vectors of 1",
        ),
        (lambda c: c.split(2).extended({"x": "x"}), ValueError, "change the corpus that they come from"),
        (lambda c: c.split(2).without(["d1#0"]), ValueError, "change the corpus that they come from"),
    ],
)
def test_an_invalid_change_is_an_error_and_changes_nothing(change, error, message):
    corpus = corpus_of(DOCUMENTS)
    for one in (corpus, corpus.extended({"y": "y"}).without(["y"])):
        with pytest.raises(error, match=message):
            change(one)
        assert_same_documents(one, corpus_of(DOCUMENTS))


def test_a_missing_value_is_what_it_is_in_a_fresh_corpus():
    corpus = corpus_of(DOCUMENTS).extended([{"_id": "x", "text": "new"}])
    documents = {**DOCUMENTS, "x": {"title": None, "text": "new", "n": None, "tags": None}}
    assert_same_documents(corpus, corpus_of(documents))
    assert np.isnan(corpus["n"][-1])
    empty = corpus_of({f"d{i}": {"text": "x", "n": None} for i in range(20)})
    assert_same_documents(
        empty.extended({"x": {"n": 1}}),
        corpus_of({**{f"d{i}": {"text": "x", "n": None} for i in range(20)}, "x": {"text": None, "n": 1}}),
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda n: np.arange(3.0 * n).reshape(n, 3),
        lambda n: sparse.csr_array(np.eye(n, 3)),
        lambda n: TokenVectors.from_list([np.full((i % 3, 2), i) for i in range(n)]),
        lambda n: StringArray.from_strings([str(i) for i in range(n)]),
    ],
)
def test_columns_of_all_kinds_change(make):
    new = np.arange(40, 43)
    corpus = Corpus(make(43)[:40]).extended(make(43)[new])
    assert len(corpus.parts) == 2
    name = corpus.columns[0]
    assert str(corpus[name][np.arange(43)].tolist()) == str(make(43).tolist()) if name == "text" else True
    changed = corpus.without(["0", "41"])
    rows = np.delete(np.arange(43), [0, 41])
    for column, expected in ((corpus[name], make(43)), (changed[name], make(43)[rows])):
        found, expected = (c.toarray() if sparse.issparse(c) else c for c in (column, expected))
        assert len(found) == len(expected) and str(found[:]) == str(expected[:])
        assert joblib.hash(list(found)) == joblib.hash(list(expected))


def test_a_changed_corpus_is_shared_and_travels():
    corpus = corpus_of(DOCUMENTS).extended({"x": "new"}).without(["d7"])
    assert clone(corpus, safe=False) is corpus and copy.deepcopy(corpus) is corpus
    content = pickle.dumps(corpus)
    assert pickle.loads(content) is corpus
    expected = corpus.to_dict()
    del corpus
    gc.collect()
    again = pickle.loads(content)
    assert str(again.to_dict()) == str(expected) and len(again.parts) == 2
    assert again.extended({"y": "y"}).rows(["y"]).tolist() == [60]
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(Corpus.rows)(again, ["x", "d8"]) for _ in range(2))
    assert [rows.tolist() for rows in found] == [[59, 7]] * 2


def test_a_corpus_of_a_changed_corpus_has_another_cache():
    corpus = corpus_of(DOCUMENTS).extended({"x": "new"})
    corpus.each_part("value", lambda part: len(part), None)
    other = Corpus(corpus, cache_limit=7)
    assert other.cache_limit == 7 and not other.cache_usage()
    assert_same_documents(other, corpus)
    assert all(part.cache_limit == 7 for part in other.parts)


def test_a_folder_keeps_the_values_of_unchanged_parts(tmp_path):
    def lengths(corpus, made):
        def make(part):
            made.append(len(part))
            return list(map(len, part.text("text")))

        return corpus.each_part("lengths", make, merged_lists, columns=("text",), persist=True)

    for expected in ([60, 1], []):
        corpus, made = Corpus(corpus_of(DOCUMENTS), cache_folder=tmp_path), []
        lengths(corpus, made)
        lengths(corpus.extended({"x": "new"}), made)
        lengths(corpus.without(["d1"]).with_columns(n=np.arange(59)), made)
        assert made == expected


class Stored(ColumnSource):
    def __init__(self, texts):
        self.texts, self.asked = texts, []

    def __len__(self):
        return len(self.texts)

    def take(self, rows):
        self.asked.append(rows.tolist())
        return StringArray.from_strings([self.texts[row] for row in rows.tolist()])


def test_a_column_that_stands_outside_is_read_when_it_is_needed():
    column = Stored([f"text {i}" for i in range(60)])
    corpus = corpus_of(DOCUMENTS).with_columns(text=column)
    assert corpus.kinds["text"] == "text" and repr(corpus).startswith("<Corpus: 60")
    changed = corpus.extended({"x": "new"}).without(["d0"])
    assert changed.text("text", rows=[59, 2]).tolist() == ["new", "text 3"]
    corpus._repr_html_()
    assert column.asked == [[3], [0, 1, 2, 3, 4]]
    assert changed["text"].tolist() == [f"text {i}" for i in range(1, 60)] + ["new"]
    corpus["text"], corpus["text"]
    assert column.asked[2:] == [list(range(60))] * 2  # kept by the cache


def test_2_to_the_32_documents_are_an_error(monkeypatch):
    assert len(DocumentIds(Ids(None, 2**32 - 1))) == 2**32 - 1
    with pytest.raises(OverflowError, match="at most 4294967295 documents"):
        DocumentIds(Ids(None, 2**32))
    monkeypatch.setattr(_documents, "MAX_DOCUMENTS", 60)
    with pytest.raises(OverflowError, match="at most 60 documents.*got 61"):
        corpus_of(DOCUMENTS).extended({"x": "one too many"})


def test_2_to_the_32_entries_of_a_run_are_an_error(monkeypatch):
    assert _pairs.MAX_ENTRIES == 2**32 - 1
    monkeypatch.setattr(_pairs, "MAX_ENTRIES", 2)
    assert len(Run({"q": {"a": 1, "b": 2}})) == 1
    with pytest.raises(OverflowError, match="a run holds at most 2 entries.*got 3"):
        Run({"q": {"a": 1, "b": 2}, "p": {"a": 1}})


def test_a_kept_value_may_hold_a_corpus_of_the_same_lineage():
    corpus = corpus_of(DOCUMENTS)
    changed = corpus.extended({"x": "new"})
    assert corpus.cached("newer", lambda: changed) is changed
    assert 0 < corpus.cache_usage()["newer"] < 10**6
