"""Contracts that our own retrievers keep beyond those of `sklrank.testing`."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict

import sklrank.testing
from sklrank import Corpus, Qrels, Queries
from sklrank.testing import DOCUMENTS, QRELS, QUERIES, TEXTS, same

__all__ = ["DOCUMENTS", "QRELS", "QUERIES", "TEXTS", "retriever_contracts", "same"]


def retriever_contracts():
    """All contracts, those of `sklrank.testing` and those below.

    Returns
    -------
    list of callable
        Each takes ``make(corpus)``, and raises AssertionError if the retriever breaks it.
    """
    own = [value for name, value in globals().items() if name.startswith("contract_")]
    return [*sklrank.testing.retriever_contracts(), *own]


def contract_unfitted_verbs_raise(make):
    for verb in ("predict", "transform"):
        with pytest.raises(NotFittedError):
            getattr(make(Corpus(DOCUMENTS)), verb)(TEXTS)
    with pytest.raises(NotFittedError):
        make(Corpus(DOCUMENTS)).search("heat")


def contract_nothing_is_learned_from_judgments(make):
    corpus, queries = Corpus(DOCUMENTS), Queries(QUERIES)
    run = make(corpus).fit(TEXTS).predict(TEXTS)
    qrels = Qrels(QRELS)
    assert same(run, make(corpus).fit(queries, qrels).predict(TEXTS))
    retriever = make(corpus).fit(queries, qrels.align(queries))
    assert 0 < retriever.score(queries, qrels.align(queries))
    assert same(cross_val_predict(make(corpus), queries, qrels.align(queries), cv=3), retriever.predict(queries))


def contract_clones_and_pickles_keep_the_parameter(make):
    corpus = Corpus(DOCUMENTS)
    assert clone(make(corpus)).corpus is corpus
    for retriever in (make(corpus), make(corpus).fit(TEXTS)):
        assert pickle.loads(pickle.dumps(retriever)).corpus is corpus


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


def contract_k_is_at_least_one(make):
    retriever = make(Corpus(DOCUMENTS)).fit(TEXTS)
    assert retriever.search("heat", k=2).docids[0] == retriever.set_params(k=1000).predict(["heat"]).docids[0][:2]
    with pytest.raises(ValueError, match="'k' parameter"):
        retriever.set_params(k=0).predict(TEXTS)
    with pytest.raises(ValueError, match="k is the number of documents to return"):
        retriever.set_params(k=3).search("heat", k=0)


def contract_unknown_ids_of_filters_are_named(make):
    retriever = make(Corpus(DOCUMENTS)).fit(TEXTS)
    with pytest.raises(ValueError, match="'d99'"):
        retriever.predict(TEXTS, filter=["d99"])


def contract_n_jobs_is_a_parameter(make):
    assert {"n_jobs", "retriever__n_jobs"} & set(make(Corpus(DOCUMENTS)).get_params())


def contract_judgments_need_a_corpus(make):
    with pytest.raises(ValueError, match="corpus="):
        make(None).fit(list(DOCUMENTS.values()), [{"0": 1}] * len(DOCUMENTS))
    make(None).fit(list(DOCUMENTS.values()), np.zeros(len(DOCUMENTS)))


def contract_search_shows_texts(make):
    run = make(Corpus(DOCUMENTS)).fit(TEXTS).search("heat", k=3)
    assert len(run.docids[0]) == 3
    assert "Heat flows" in str(run) or "heat" in str(run)
