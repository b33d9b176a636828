"""Passages of documents, and runs of them brought back to documents."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.rerankers import PassageAggregator
from sklrank.retrievers import BM25Retriever


@given(
    st.lists(st.text(st.sampled_from("aé中 \n\t."), max_size=30), min_size=1, max_size=4),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_passages_are_windows_of_words(texts, max_tokens, stride):
    stride = min(stride, max_tokens)
    passages = Corpus(texts).split(max_tokens, stride=stride)
    expected = []
    for i, text in enumerate(texts):
        words = text.split()
        starts = [s for s in range(0, max(len(words), 1), stride) if s == 0 or s - stride + max_tokens < len(words)]
        expected += [(f"{i}#{n}", str(i), words[s : s + max_tokens]) for n, s in enumerate(starts)]
    found = [text.split() for text in passages["text"]]
    assert list(zip(passages.ids.tolist(), passages["parent_id"].tolist(), found)) == expected
    for parent, text in zip(passages["parent_id"].tolist(), passages["text"]):
        assert text in texts[int(parent)] and text == text.strip()  # as they stand there


def test_columns_go_along():
    corpus = Corpus([{"_id": "a", "title": "Heat", "text": "one two three", "year": 1999, "tags": ["x"]}])
    corpus = corpus.with_columns(vectors=np.ones((1, 2)))
    passages = corpus.split(2)
    assert passages.to_dict()["a#1"] == {
        "title": "Heat", "text": "three", "year": 1999, "tags": ["x"], "vectors": [1.0, 1.0], "parent_id": "a",
    }  # fmt: skip
    assert passages.text().tolist() == ["Heat one two", "Heat three"]
    assert corpus.split(1, field="title")["text"].tolist() == ["one two three"]


def test_only_one_column_is_split():
    for field in (["title", "text"], None):
        with pytest.raises(TypeError, match="field= is the name of the one column to split"):
            Corpus({"d": {"title": "heat", "text": "flows on"}}).split(1, field=field)


def test_tokens_of_a_tokenizer(model_folder):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    text = "Heat, and flow; laminar flow over a plate."
    for given_ in (tokenizer, model_folder / "tokenizer.json"):
        passages = Corpus([text]).split(3, tokenizer=given_)["text"].tolist()
        assert re.sub(r"\s", "", "".join(passages)) == re.sub(r"\s", "", text)
        counts = [len(tokenizer.encode(passage, add_special_tokens=False).ids) for passage in passages]
        assert counts[:-1] == [3] * (len(counts) - 1) and counts[-1] <= 3
    with pytest.raises(TypeError, match="positions of its tokens"):
        Corpus([text]).split(3, tokenizer=lambda texts: [[1] for _ in texts])


@pytest.mark.parametrize("arguments", [{"max_tokens": 0}, {"max_tokens": 2.5}, {"max_tokens": 2, "stride": 3}])
def test_wrong_sizes_say_so(arguments):
    with pytest.raises(ValueError, match="is a number of tokens|is at most max_tokens=2"):
        Corpus(["a"]).split(**arguments)


# --- back to documents


def by_definition(scores, how):
    """Scores of one document's passages, in their order in the document."""
    return {"max": max, "first": lambda s: s[0], "sum": sum, "mean": lambda s: sum(s) / len(s)}[how](scores)


@pytest.mark.parametrize("how", ["max", "first", "mean", "sum"])
@given(st.integers(0, 10**6), st.integers(0, 3))
def test_scores_come_together(how, seed, n_queries):
    rng = np.random.default_rng(seed)
    corpus = Corpus({f"d{i}": "w " * rng.integers(0, 7) for i in range(5)})
    passages = corpus.split(2)
    found = [rng.permutation(len(passages))[: rng.integers(0, len(passages) + 1)] for _ in range(n_queries)]
    scores = [rng.integers(-2, 3, size=len(rows)).astype(float) for rows in found]
    rankings = [dict(zip(passages.docids(rows).tolist(), s.tolist())) for rows, s in zip(found, scores)]
    run = Run(rankings, corpus=passages, name="bm25", queries=Queries.unnamed(n_queries))
    new = PassageAggregator(how=how).transform(run)
    assert new.corpus is corpus and new.name == "bm25"
    for q in range(n_queries):
        of = {}
        for row, score in sorted(zip(found[q].tolist(), scores[q].tolist())):
            of.setdefault(passages["parent_id"][row], []).append(score)
        values = {docid: by_definition(s, how) for docid, s in of.items()}
        expected = sorted(values, key=lambda docid: (-values[docid], docid))
        assert new.docids[q] == expected
        assert new[q].scores.tolist() == [values[docid] for docid in expected]
    cut = PassageAggregator(how=how, k=2).transform(run)
    assert cut.docids == [ids[:2] for ids in new.docids] and cut.k == 2


def test_columns_come_together_without_what_is_missing():
    passages = Corpus({"a": "x y z", "b": "x"}).split(1)
    found = {"one": {"a#0": 1.0, "a#2": 4.0}, "two": {"a#1": 2.0, "b#0": 3.0}}
    union = Run.union({name: Run([scores], corpus=passages) for name, scores in found.items()})
    for how, expected in (("max", 4), ("mean", 2.5), ("sum", 5), ("first", 1)):
        new = PassageAggregator(how=how).transform(union)
        assert not new.has_order and new.docids == [["a", "b"]]
        np.testing.assert_array_equal(new.column("one"), [expected, np.nan])
        np.testing.assert_array_equal(new.column("two"), [2, 3])


def test_documents_that_are_not_known():
    run = Run([{"x": 2.0, "y": 3.0, "z": 1.0}], corpus=Corpus({k: {"text": k, "doc": d} for k, d in zip("xyz", "qpq")}))
    new = PassageAggregator(by="doc", how="sum").transform(run)
    assert new.corpus is None and dict(zip(new.docids[0], new.scores)) == {"p": 3, "q": 3}
    documents = Corpus({"q": "some", "p": "text"})
    assert PassageAggregator("doc", "sum", corpus=documents).transform(run).docids == [["q", "p"]]
    with pytest.raises(ValueError, match="no column 'parent_id'"):
        PassageAggregator().transform(run)
    with pytest.raises(ValueError, match="not among"):
        PassageAggregator("doc", corpus=Corpus({"q": ""})).transform(run)


def test_passages_of_nothing_say_so():
    corpus = Corpus([{"_id": "a", "text": "x", "book": "b"}, {"_id": "c", "text": "y", "book": None}])
    with pytest.raises(ValueError, match="passage 'c' has no document: its 'book' is empty"):
        PassageAggregator("book").transform(Run([{"a": 1.0}], corpus=corpus))


def test_in_a_search():
    corpus = Corpus({f"d{i}": f"heat word{i} " * 5 + f"flow{i} " * 5 for i in range(6)})
    queries = Queries({f"q{i}": f"flow{i}" for i in range(6)})
    qrels = Qrels({f"q{i}": {f"d{i}": 1} for i in range(6)})
    pipe = make_pipeline(BM25Retriever(corpus.split(4)), PassageAggregator())
    search = GridSearchCV(pipe, {"passageaggregator__how": ["max", "mean"]}, cv=2).fit(queries, qrels)
    assert search.best_score_ == 1
    assert search.predict(queries).corpus is corpus
    passages = pickle.loads(pickle.dumps(corpus.split(4)))
    assert passages._parent is corpus
