"""What scikit-learn's checks cannot see of a retriever over texts, as functions that any retriever can be put through.

``for contract in retriever_contracts(): contract(make)``, where ``make(corpus)`` returns a new, unfitted retriever.
"""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from sklrank import Corpus, Qrels, Queries, Run

DOCUMENTS = {
    "d1": "Heat flows from warm to cold.", "d2": "", "d3": "Cold rests; heat moves, heat flows.",
    "d4": "naïve Straße 日本",
    "d5": "Heat flows from warm to cold.", "d6": "the of and", "d7": "boundary layer of the flow", "d8": "heat",
}  # fmt: skip
QUERIES = {
    "q1": "heat flows",
    "q2": "",
    "q3": "unknown",
    "q4": "日本 cold heat",
    "q5": "the boundary of heat",
    "q6": "heat heat",
}
QRELS = {
    "q1": {"d1": 1, "d8": 2},
    "q4": {"d4": 1},
    "q5": {"d7": 3, "d2": 0},
    "q6": {"d8": 1},
    "q2": {},
    "q3": {"d1": 1},
}
TEXTS = list(QUERIES.values())


def same(run, other):
    """Whether two runs say the same to the last bit, names of the queries aside."""
    return run.docids == other.docids and run.scores.tobytes() == other.scores.tobytes()


def retriever_contracts():
    """All contracts.

    Yields
    ------
    contract : callable
        Takes ``make(corpus)``; raises AssertionError where the contract is broken.
    """
    yield from (value for name, value in globals().items() if name.startswith("contract_"))


def contract_unfitted_retrievers_say_so(make):
    for verb in ("predict", "transform"):
        with pytest.raises(NotFittedError):
            getattr(make(Corpus(DOCUMENTS)), verb)(TEXTS)
    with pytest.raises(NotFittedError):
        make(Corpus(DOCUMENTS)).search("heat")


def contract_predict_transform_and_fit_transform_agree(make):
    corpus = Corpus(DOCUMENTS)
    run = make(corpus).fit(TEXTS).predict(TEXTS)
    assert isinstance(run, Run)
    assert run.shape == (len(TEXTS), len(corpus)) and run.corpus is corpus
    assert same(run, make(corpus).fit(TEXTS).transform(TEXTS))
    assert same(run, make(corpus).fit_transform(TEXTS))
    assert same(run, make_pipeline(make(corpus)).fit(TEXTS).predict(TEXTS))


def contract_a_ranking_is_ordered(make):
    run = make(Corpus(DOCUMENTS)).fit(TEXTS).predict(TEXTS)
    assert run.indptr[-1] > 0
    for one in run:
        assert len(set(one.rows.tolist())) == len(one.rows)
        assert np.isfinite(one.scores).all()
        assert one.rows.tolist() == [row for _, row in sorted(zip(-one.scores, one.rows.tolist()))]


def contract_fit_is_idempotent_and_learns_nothing_from_the_queries(make):
    retriever = make(Corpus(DOCUMENTS)).fit(TEXTS)
    run = retriever.predict(TEXTS)
    assert same(run, retriever.predict(TEXTS))
    assert same(run, retriever.fit(["something else"]).predict(TEXTS))
    assert same(run, retriever.fit(Queries(QUERIES), Qrels(QRELS)).predict(TEXTS))
    assert retriever.fit(TEXTS) is retriever


def contract_clones_share_the_corpus_and_the_ranking(make):
    corpus = Corpus(DOCUMENTS)
    retriever = make(corpus).fit(TEXTS)
    copy = clone(retriever)
    assert copy.corpus is corpus
    with pytest.raises(NotFittedError):
        copy.predict(TEXTS)
    assert same(copy.fit(TEXTS).predict(TEXTS), retriever.predict(TEXTS))


def contract_pickles_rank_alike(make):
    corpus = Corpus(DOCUMENTS)
    retriever = make(corpus).fit(TEXTS)
    again = pickle.loads(pickle.dumps(retriever))
    assert again.corpus is corpus
    assert same(again.predict(TEXTS), retriever.predict(TEXTS))
    assert pickle.loads(pickle.dumps(make(corpus))).corpus is corpus


def contract_queries_do_not_see_each_other(make):
    retriever = make(Corpus(DOCUMENTS)).fit(TEXTS)
    run = retriever.predict(TEXTS)
    order = np.array([3, 0, 5, 0, 1])
    assert same(retriever.predict([TEXTS[i] for i in order]), run[order])
    assert same(np.concatenate([retriever.predict([text]) for text in TEXTS]), run)


def contract_every_form_of_queries_is_the_same(make):
    retriever = make(Corpus(DOCUMENTS)).fit(TEXTS)
    run = retriever.predict(TEXTS)
    named = Queries(QUERIES)
    for queries in (
        tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, dtype=object), pd.Series(TEXTS), QUERIES, named, Queries(TEXTS),
        pd.DataFrame({"qid": list(QUERIES), "text": TEXTS}), pd.Series(QUERIES),
    ):  # fmt: skip
        assert same(retriever.predict(queries), run)
    assert retriever.predict(named).qids.tolist() == list(QUERIES)
    assert same(retriever.predict(named[1:4]), run[1:4])
    assert len(retriever.predict([])) == 0


def contract_input_is_not_changed(make):
    texts, documents = np.array(TEXTS, dtype=object), dict(DOCUMENTS)
    corpus = Corpus(documents)
    before, fingerprint = texts.copy(), corpus.fingerprint
    texts.flags.writeable = False
    mask = np.ones(len(corpus), dtype=bool)
    mask.flags.writeable = False
    retriever = make(corpus)
    params = retriever.get_params()
    retriever.fit(texts).predict(texts, filter=mask)
    assert (texts == before).all() and documents == DOCUMENTS and Corpus(DOCUMENTS).fingerprint == fingerprint
    assert retriever.get_params() == params


def contract_a_corpus_in_any_form_ranks_alike(make):
    run = make(Corpus(DOCUMENTS)).fit(TEXTS).predict(TEXTS)
    frame = pd.DataFrame({"docid": list(DOCUMENTS), "text": list(DOCUMENTS.values())})
    for corpus in (DOCUMENTS, frame, frame.to_dict("records"), pd.Series(DOCUMENTS)):
        assert same(make(corpus).fit(TEXTS).predict(TEXTS), run)
    plain = make(list(DOCUMENTS.values())).fit(TEXTS).predict(TEXTS)
    assert plain.rows.tolist() == run.rows.tolist()
    indexed = make(None).fit(list(DOCUMENTS.values())).predict(TEXTS)
    assert same(indexed, plain)


def contract_small_corpora(make):
    with pytest.raises(ValueError):
        make(Corpus([])).fit(TEXTS)
    run = make(Corpus({"only": "heat flows"})).fit(TEXTS).predict(["heat", "", "flows heat"])
    parameters = make(None).get_params()  # a vector is similar to any other; terms, and vectors of tokens, occur or not
    finds_all = "metric" in parameters and "pool_factor" not in parameters
    assert run.docids == [["only"], ["only"] if finds_all else [], ["only"]]


def contract_k_is_a_prefix(make):
    retriever = make(Corpus(DOCUMENTS)).set_params(k=1000).fit(TEXTS)
    full = retriever.predict(TEXTS)
    for k in range(1, len(DOCUMENTS) + 2):
        run = retriever.set_params(k=k).predict(TEXTS)
        assert run.docids == [docids[:k] for docids in full.docids]
    assert retriever.search("heat", k=2).docids[0] == retriever.predict(["heat"]).docids[0][:2]
    with pytest.raises(ValueError, match="'k' parameter"):
        retriever.set_params(k=0).predict(TEXTS)


def contract_filters_are_exact(make):
    retriever = make(Corpus(DOCUMENTS)).set_params(k=1000).fit(TEXTS)
    full = retriever.predict(TEXTS)
    feeds_back = hasattr(retriever, "expand")  # from documents that may be found: other ones, another ranking
    for kept in (["d8"], ["d2", "d5", "d7"], []):
        found = retriever.predict(TEXTS, filter=kept) if feeds_back else full
        expected = [[d for d in docids if d in kept] for docids in found.docids]
        assert retriever.predict(TEXTS, filter=kept).docids == expected
        assert retriever.predict(TEXTS, filter=np.isin(list(DOCUMENTS), kept)).docids == expected
        assert retriever.predict(TEXTS, filter=[kept] * len(TEXTS)).docids == expected
    with pytest.raises(ValueError, match="'d99'"):
        retriever.predict(TEXTS, filter=["d99"])


def contract_threads_change_nothing(make):
    corpus = Corpus([f"{text} {i % 7} word{i % 5}" for i, text in enumerate(list(DOCUMENTS.values()) * 20)])
    queries = [f"{text} word{i % 5}" for i, text in enumerate(TEXTS * 15)]
    run = make(corpus).fit(queries).predict(queries)
    name = "n_jobs" if "n_jobs" in make(corpus).get_params() else "retriever__n_jobs"
    for n_jobs in (2, -1):
        assert same(make(corpus).set_params(**{name: n_jobs}).fit(queries).predict(queries), run)
    retriever = make(corpus).fit(queries)
    with ThreadPoolExecutor(8) as pool:
        for other in pool.map(lambda _: retriever.predict(queries), range(16)):
            assert same(other, run)
        for other in pool.map(lambda _: make(corpus).fit(queries).predict(queries), range(8)):
            assert same(other, run)


def contract_scores_and_folds(make):
    corpus, queries = Corpus(DOCUMENTS), Queries(QUERIES)
    qrels = Qrels(QRELS).align(queries)
    retriever = make(corpus).fit(queries, qrels)
    with pytest.raises(ValueError, match="y is not aligned with X"):
        retriever.score(queries, Qrels(QRELS))
    score = retriever.score(queries, qrels)
    assert 0 < score <= 1
    assert retriever.score(TEXTS, [QRELS[q] for q in QUERIES]) == pytest.approx(score)
    assert retriever.score(queries, qrels, sample_weight=np.ones(len(queries))) == pytest.approx(score)
    run = cross_val_predict(make(corpus), queries, qrels, cv=3)
    assert isinstance(run, Run)
    assert same(run, retriever.predict(queries)) and run.qids.tolist() == list(QUERIES)


def contract_judgments_need_a_corpus(make):
    with pytest.raises(ValueError, match="corpus="):
        make(None).fit(list(DOCUMENTS.values()), [{"0": 1}] * len(DOCUMENTS))
    make(None).fit(list(DOCUMENTS.values()), np.zeros(len(DOCUMENTS)))


def contract_search_is_for_people(make):
    run = make(Corpus(DOCUMENTS)).fit(TEXTS).search("heat", k=3)
    assert len(run) == 1 and len(run.docids[0]) == 3
    assert "Heat flows" in str(run) or "heat" in str(run)
    assert "<table>" in run._repr_html_()
    with pytest.raises(TypeError, match="one query"):
        make(Corpus(DOCUMENTS)).fit(TEXTS).search(["heat"])
