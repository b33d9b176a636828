"""Whatever data give out they take in again, whatever the columns are called."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.fusers import ColumnScorer, ReciprocalRankFuser, fuse
from sklrank.retrievers import BM25Retriever, RetrieverUnion

HOSTILE = [
    "score", "rank", "qid", "docid", "previous", "x", "x_rank", "rank_rank", "_rank", "", " ", "text", "title", "query",
    "vector", "grade", "subtopic", "_id", "id", "docno", "query_id", "similarity", "index", "columns",
    "name", "ä\u0301東", "\u202e", "a,b", "0", "None",
]  # fmt: skip
NAMES = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), max_size=4))
IDS = st.text("abcäß東0 #", min_size=1, max_size=3)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
BACKENDS = st.sampled_from(["pandas", "polars"])
KEPT = {"qid", "rank", "docid", "score"}


def values_of(draw, n):
    """A column of `n` values."""
    kinds = [
        TEXTS,
        st.integers(-9, 9),
        st.floats(-9, 9),
        st.booleans(),
        st.lists(st.integers(0, 9), min_size=2, max_size=2),
    ]
    return draw(st.lists(draw(st.sampled_from(kinds)), min_size=n, max_size=n))


@st.composite
def tables(draw, kept):
    """Ids, and columns of any name except that of ids."""
    ids = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    names = draw(st.lists(NAMES.filter(lambda name: name != kept), min_size=1, max_size=4, unique=True))
    columns = {
        name: draw(st.lists(TEXTS, min_size=len(ids), max_size=len(ids)))
        if name in ("text", "title", "query")
        else values_of(draw, len(ids))
        for name in names
    }
    return ids, {i: {name: values[j] for name, values in columns.items()} for j, i in enumerate(ids)}


@given(tables("docid"), BACKENDS)
def test_a_corpus_comes_back_from_its_dict_and_its_frame(table, backend):
    ids, records = table
    corpus = Corpus(records)
    assert corpus.ids.tolist() == ids and set(corpus.columns) == set(records[ids[0]])
    assert corpus.to_dict() == ({i: r["text"] for i, r in records.items()} if corpus.columns == ("text",) else records)
    assert Corpus(corpus.to_dict()).fingerprint == corpus.fingerprint
    frame = corpus.to_frame(backend=backend)
    assert Corpus(frame).to_dict() == corpus.to_dict() and Corpus(frame).ids.tolist() == ids
    assert corpus.with_columns(extra=ids).to_frame(backend=backend)["docid"].to_list() == ids


@given(tables("qid"), BACKENDS)
def test_queries_come_back_from_their_dict_and_their_frame(table, backend):
    ids, records = table
    queries = Queries(records)
    assert queries.ids.tolist() == ids
    again = Queries(queries.to_dict())
    assert again.to_dict() == queries.to_dict() and again.ids.tolist() == ids
    frame = Queries(queries.to_frame(backend=backend))
    assert frame.to_dict() == queries.to_dict() and frame.ids.tolist() == ids


@pytest.mark.parametrize("kind", [Corpus, Queries])
def test_no_column_takes_the_place_of_ids(kind):
    name = {Corpus: "docid", Queries: "qid"}[kind]
    with pytest.raises(ValueError, match=f"have ids already.*column '{name}'"):
        kind({"a": {"text": "x", name: "b"}})
    assert kind({"a": {"text": "x", name: "a"}}).to_dict() == {"a": "x"}
    with pytest.raises(ValueError, match="give them once"):
        kind([{"text": "x", name: "b"}], ids=["a"])
    other = kind([{"text": "x", name: "a", "_id": "b"}])
    assert list(other.ids) == ["a"] and other["_id"].tolist() == ["b"]
    if kind is Corpus:
        with pytest.raises(ValueError, match="cannot have the name 'docid'"):
            other.with_columns(docid=["b"])


@st.composite
def runs(draw):
    """A run with score columns of any name that they can have; sometimes without an order."""
    qids = draw(st.lists(IDS, min_size=1, max_size=3, unique=True))
    score = st.floats(-9, 9, width=32).map(float)
    run = Run({q: draw(st.dictionaries(IDS, score, min_size=1, max_size=4)) for q in qids}, name=draw(NAMES))
    if draw(st.booleans()):
        return Run.union({"first": run})
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        n = len(run.scores)
        column = draw(st.lists(score | st.just(np.nan), min_size=n, max_size=n))
        ranks = draw(st.none() | st.just(np.arange(n) + 1.0))
        try:
            run = run.with_column(name, column, ranks=ranks)
        except ValueError:
            others = {*run.columns, name}
            assert name in KEPT or any(f"{other}_rank" in others for other in others)
    return run.with_old_score()


def arrays_of(run):
    scores = run.scores.tolist() if run.has_order else None
    columns = [(name, run.column(name).tolist(), run.column_ranks(name).tolist()) for name in run.columns]
    return run.docids, run.qids.tolist(), scores, columns


@given(runs(), BACKENDS)
def test_a_run_comes_back_from_its_frame_with_its_columns(run, backend):
    frame = run.to_frame(backend=backend)
    again = Run.from_frame(frame, columns=run.columns, ties="row", name=run.name)
    assert repr(arrays_of(again)) == repr(arrays_of(run))
    records = run.to_records()
    assert [record["docid"] for record in records] == run.flat_docids.tolist()
    if run.has_order:
        assert [record["score"] for record in records] == run.scores.tolist()
        assert Run(pd.DataFrame(records), ties="row").to_dict() == run.to_dict()
        assert Run(run.to_dict(), ties="row").docids == run.docids


def ordered(run):
    return run if run.has_order else run.reorder(run.column("first"))


@given(runs(), runs())
def test_what_is_fused_and_reordered_exports_its_own_score(one, two):
    union = Run.union({"a": ordered(one), "b": ordered(two)})
    fused = ReciprocalRankFuser().fit(union).transform(union)
    scores = np.arange(len(fused.scores), 0, -1.0)[::-1].copy()
    for run in (fused, fused.with_old_score().reorder(scores), fused.with_old_score().reorder(scores, name="score")):
        again = Run.from_frame(run.to_frame(), columns=run.columns, ties="row", score_dtype="float64", name=run.name)
        assert repr(arrays_of(again)) == repr(arrays_of(run))
        twice = again.with_old_score().reorder(-again.scores)
        assert [record["score"] for record in twice.to_records()] == twice.scores.tolist()
        assert len(twice.columns) == len(set(twice.columns)) >= len(run.columns)


WORDS = st.text("abäß東0#", min_size=1, max_size=3)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.dictionaries(WORDS, st.dictionaries(WORDS, FINITE, max_size=3), min_size=1, max_size=3), NAMES)
def test_a_trec_file_holds_the_ids_and_scores_of_the_run(rankings, name):
    rankings = {qid: docs for qid, docs in rankings.items() if not qid.startswith("#") and docs}
    run = Run(rankings)
    if name not in KEPT:
        run = run.with_column(name, np.zeros(len(run.scores)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.txt")
        run.to_trec(path)
        assert Run.from_trec(path).to_dict() == run.to_dict()


@pytest.mark.parametrize("name", ["qid", "rank", "docid", "score"])
def test_names_that_frames_have_themselves_are_refused_for_score_columns(name):
    run, other = Run({"q": {"d": 1.0}}), Run({"q": {"e": 1.0}})
    corpus = Corpus([{"text": "heat", "clicks": 1.0}])
    bm25 = BM25Retriever(corpus)
    for make in (
        lambda: fuse({name: run, "b": other}),
        lambda: Run.union({name: run}),
        lambda: run.with_column(name, [1.0]),
        lambda: Run.from_frame(pd.DataFrame({"qid": ["q"], "docid": ["d"], "score": [1.0]}), columns=[name]),
        lambda: RetrieverUnion([(name, bm25), ("b", bm25)]).fit(["heat"]).transform(["heat"]),
        lambda: ColumnScorer("clicks", name=name).fit_transform(bm25.fit(["heat"]).predict(["heat"])),
    ):
        with pytest.raises(ValueError, match=f"cannot have the name '{name}'"):
            make()


def test_a_column_and_the_ranks_of_another_have_different_names():
    run = Run({"q": {"d": 1.0}})
    for first, second in (("page", "page_rank"), ("page_rank", "page")):
        with pytest.raises(ValueError, match="keep the ranks of the column 'page' as 'page_rank'"):
            run.with_column(first, [1.0]).with_column(second, [1.0])
    assert run.with_column("page_rank", [1.0]).columns == ("page_rank",)


def test_a_reranked_run_without_a_name_shows_its_own_score():
    run = Run({"q": {"a": 2.0, "b": 1.0}}).with_old_score().reorder([0.1, 0.7])
    assert run.to_records()[0] == {
        "qid": "q",
        "rank": 1,
        "docid": "b",
        "score": 0.7,
        "previous": 1.0,
        "previous_rank": 2.0,
    }
    assert Run(run.to_frame()).docids == run.docids == [["b", "a"]]
    again = run.with_old_score().reorder([0.5, 0.6])
    assert again.columns == ("previous", "previous_2") and again.column("previous_2").tolist() == [0.1, 0.7]


@pytest.mark.parametrize("name", ["score", "rank", "qid", "docid", "x_rank"])
def test_the_old_score_of_a_run_of_any_name_is_kept(name):
    run = Run({"q": {"a": 2.0}}, name=name).with_column("x", [5.0]).with_old_score()
    assert run.columns == ("x", "previous") and run.column("previous").tolist() == [2.0]


GRADES = st.integers(-2, 3)


@given(st.dictionaries(IDS, st.dictionaries(IDS, GRADES, min_size=1, max_size=3), min_size=1, max_size=3), BACKENDS)
def test_judgments_come_back_from_dict_frame_and_file(judgments, backend):
    qrels = Qrels(judgments)
    assert qrels.to_dict() == judgments == Qrels(qrels.to_frame(backend=backend)).to_dict()
    assert Qrels(qrels.to_csr()).judgments == [
        {str(qrels.documents.rows([docid])[0]): grade for docid, grade in sorted_by_row(qrels, grades)}
        for grades in judgments.values()
    ]


def sorted_by_row(qrels, grades):
    return sorted(grades.items(), key=lambda pair: qrels.documents.rows([pair[0]])[0])


def test_subtopics_come_back_from_frame_and_file(tmp_path):
    frame = pd.DataFrame({"qid": ["q"] * 3, "docid": ["a", "a", "b"], "grade": [1, 2, 0], "subtopic": ["1", "2", "1"]})
    qrels = Qrels(frame)
    assert Qrels(qrels.to_frame()).to_frame().equals(frame)
    qrels.to_trec(tmp_path / "qrels")
    assert Qrels.from_trec(tmp_path / "qrels", subtopics=True).to_frame().equals(frame)
    assert qrels.to_dict() == {"q": {"a": 2, "b": 0}}  # the highest of its subtopics
    assert Qrels(frame[::-1]).to_dict() == {"q": {"b": 0, "a": 2}}
