"""The programs of the guide page *Write your own*, as they stand there."""

import re
import runpy
import textwrap
from functools import partial
from pathlib import Path

import pytest
from scipy.sparse import csr_array

from sklrank import Corpus, Run
from sklrank.datasets import load_scifact
from sklrank.fusers import ReciprocalRankFuser
from sklrank.inspection import explain
from sklrank.metrics import evaluate, ndcg_score
from sklrank.retrievers import BM25Retriever, RetrieverUnion, filter_masks
from sklrank.testing import contract_filters_are_exact

GUIDE = Path(__file__).parents[1] / "docs" / "user_guide"
PROGRAMS = sorted((GUIDE / "write_your_own").glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_runs(path):
    runpy.run_path(str(path))


def test_page_includes_each_program():
    included = re.findall(r"literalinclude:: write_your_own/(\w+\.py)", (GUIDE / "write_your_own.rst").read_text())
    assert sorted(included) == [path.name for path in PROGRAMS]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 45


def test_the_filter_of_the_page_keeps_the_contract():
    blocks = (GUIDE / "write_your_own.rst").read_text(encoding="utf-8").split(".. code-block:: python\n")
    (block,) = [block for block in blocks if "filter_masks(filter" in block]
    code = textwrap.dedent(re.match(r"(?:\n|    .*\n)+", block)[0])
    names = runpy.run_path(str(GUIDE / "write_your_own" / "retriever.py"))
    names |= {"csr_array": csr_array, "filter_masks": filter_masks}
    exec(code, names)
    filtered = type("FilteredRetriever", (names["TrigramRetriever"],), {"transform": names["transform"]})
    contract_filters_are_exact(filtered)


def test_trigrams_find_mistyped_words():
    retriever = runpy.run_path(str(GUIDE / "write_your_own" / "retriever.py"))["TrigramRetriever"]
    corpus = Corpus({"d1": "laminar boundary layer", "d2": "heat transfer", "d3": "lift of a wing"})
    assert retriever(corpus).fit([]).predict(["bounadry layre", "haet"]).docids[0][0] == "d1"
    assert not BM25Retriever(corpus).fit([]).predict(["bounadry layre"]).docids[0]


def test_votes_are_as_good_as_a_list_was_in_training():
    fuser = runpy.run_path(str(GUIDE / "write_your_own" / "fuser.py"))["VoteFuser"]
    data = load_scifact("test")
    queries, qrels = data.queries[:40], data.qrels.align(data.queries[:40])
    union = RetrieverUnion([("bm25", BM25Retriever(data.corpus)), ("flat", BM25Retriever(data.corpus, k1=0))])
    candidates = union.fit_transform(queries)
    bm25 = union.named_retrievers_["bm25"].predict(queries)
    votes = fuser().fit(candidates, qrels)
    assert votes.votes_["bm25"] == pytest.approx(ndcg_score(qrels, bm25), abs=0.01)
    fused = votes.transform(candidates)
    assert "VoteFuser" in str(explain(fused, fused.qids[0], fused.docids[0][0]))
    assert votes.score(candidates, qrels) > ReciprocalRankFuser().fit(candidates).score(candidates, qrels) - 0.05


def test_phrases_go_to_the_top():
    reranker = runpy.run_path(str(GUIDE / "write_your_own" / "reranker.py"))["PhraseReranker"]
    corpus = Corpus({"d1": "layer by layer, a boundary", "d2": "the boundary layer", "d3": "lift"})
    run = BM25Retriever(corpus).fit([]).predict(["boundary layer"])
    assert run.docids == [["d1", "d2"]] and reranker().transform(run).docids == [["d2", "d1"]]
    assert reranker().transform(run).columns == ("bm25",)


def test_screens_count_from_the_first_relevant_document():
    screen_score = runpy.run_path(str(GUIDE / "write_your_own" / "metric.py"))["screen_score"]
    qrels, run = {"q1": {"a": 1}, "q2": {"z": 1}}, Run({"q1": ["b", "c", "a"], "q2": ["b"]})
    result = evaluate(qrels, run, [partial(screen_score, size=2), screen_score])
    assert [values.tolist() for values in result.per_query.values()] == [[0.5, 0.0], [1.0, 0.0]]
