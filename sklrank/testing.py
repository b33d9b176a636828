"""Contracts of retrievers, fusers and rerankers, for authors of new ones.

A contract is a function that takes a callable, which returns a new, unfitted estimator, and raises AssertionError if
the estimator breaks the contract. `check_retriever`, `check_fuser` and `check_reranker` check all contracts;
`retriever_contracts`, `fuser_contracts` and `reranker_contracts` list them for a test framework::

    @pytest.mark.parametrize("contract", sklrank.testing.retriever_contracts(), ids=lambda c: c.__name__)
    def test_contract(contract):
        contract(MyRetriever)

A contract about a parameter or an argument, such as `k` or `filter`, applies to estimators that have it.
"""

import inspect
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from importlib.util import find_spec

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline

from sklrank.data import Corpus, Qrels, Queries, Run
from sklrank.fusers import ReciprocalRankFuser
from sklrank.inspection import waterfall
from sklrank.metrics import get_scorer
from sklrank.retrievers import BM25Retriever, RetrieverUnion, TfidfRetriever

__all__ = [
    "check_fuser",
    "check_reranker",
    "check_retriever",
    "fuser_contracts",
    "reranker_contracts",
    "retriever_contracts",
]

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
OTHER_QRELS = {"q1": {"d3": 3}, "q4": {"d5": 1}, "q5": {"d6": 2}, "q6": {"d1": 1}, "q2": {"d2": 1}, "q3": {}}
TEXTS = list(QUERIES.values())


def check_retriever(make, *, expected_failures=None):
    """Check that a retriever keeps its contracts.

    Parameters
    ----------
    make : callable
        Takes a `Corpus`, and returns a new, unfitted retriever over it, such as a class whose first parameter is
        `corpus`.
    expected_failures : dict of str to str, default=None
        Contracts that the retriever need not keep, each with the reason. They are not checked.

    Raises
    ------
    AssertionError
        If a contract is broken; the message names it.

    See Also
    --------
    sklrank.base.Retriever : The base class, with the methods of a subclass.

    Examples
    --------
    >>> from functools import partial
    >>> from sklrank.retrievers import BM25Retriever
    >>> from sklrank.testing import check_retriever
    >>> check_retriever(partial(BM25Retriever, k1=0.9))
    """
    _check(retriever_contracts(), make, expected_failures)


def check_fuser(make, *, expected_failures=None):
    """Check that a fuser keeps its contracts.

    Parameters
    ----------
    make : callable
        Returns a new, unfitted fuser, such as a class without required parameters.
    expected_failures : dict of str to str, default=None
        Contracts that the fuser need not keep, each with the reason. They are not checked.

    Raises
    ------
    AssertionError
        If a contract is broken; the message names it.

    See Also
    --------
    sklrank.base.Fuser : The base class, with the methods of a subclass.

    Examples
    --------
    >>> from sklrank.fusers import ReciprocalRankFuser
    >>> from sklrank.testing import check_fuser
    >>> check_fuser(ReciprocalRankFuser)
    """
    _check(fuser_contracts(), make, expected_failures)


def check_reranker(make, *, expected_failures=None):
    """Check that a reranker keeps its contracts.

    Parameters
    ----------
    make : callable
        Returns a new, unfitted reranker, such as a class without required parameters.
    expected_failures : dict of str to str, default=None
        Contracts that the reranker need not keep, each with the reason. They are not checked.

    Raises
    ------
    AssertionError
        If a contract is broken; the message names it.

    See Also
    --------
    sklrank.base.Reranker : The base class, with the methods of a subclass.

    Examples
    --------
    >>> from sklrank.rerankers import Cutoff
    >>> from sklrank.testing import check_reranker
    >>> check_reranker(lambda: Cutoff(threshold=0.5))
    """
    _check(reranker_contracts(), make, expected_failures)


def retriever_contracts():
    """List the contracts of retrievers.

    Returns
    -------
    list of callable
        Each takes ``make(corpus)``, and raises AssertionError if the retriever breaks it.
    """
    return [value for name, value in globals().items() if name.startswith("contract_")]


def fuser_contracts():
    """List the contracts of fusers.

    Returns
    -------
    list of callable
        Each takes ``make()``, and raises AssertionError if the fuser breaks it.
    """
    return [_over(contract, _candidates_of_two) for contract in _candidate_contracts()]


def reranker_contracts():
    """List the contracts of rerankers.

    Returns
    -------
    list of callable
        Each takes ``make()``, and raises AssertionError if the reranker breaks it.
    """
    return [_over(contract, _candidates_of_one) for contract in _candidate_contracts()]


def _check(contracts, make, expected_failures):
    expected_failures = expected_failures or {}
    unknown = set(expected_failures) - {contract.__name__ for contract in contracts}
    if unknown:
        raise ValueError(f"expected names of contracts in expected_failures, got {sorted(unknown)}")
    for contract in contracts:
        if contract.__name__ in expected_failures:
            continue
        try:
            contract(make)
        except Exception as error:
            raise AssertionError(f"{contract.__name__}: {type(error).__name__}: {error}") from error


# --- retrievers: the functions below are the contracts


def contract_fit_gives_the_retriever_and_transform_a_run(make):
    """`fit` returns the retriever, and `transform` a `Run` with the queries and the corpus."""
    corpus, queries = Corpus(DOCUMENTS), Queries(QUERIES)
    retriever = make(corpus)
    _check_returns_self(retriever, queries, None)
    run = retriever.transform(queries)
    assert isinstance(run, Run), f"transform returned a {type(run).__name__}, expected a Run"
    expected = (len(queries), len(corpus))
    assert run.shape == expected, f"a run of shape {run.shape}, expected (n_queries, n_documents): {expected}"
    assert run.corpus is corpus, "the run does not hold the corpus of the retriever: Run(…, corpus=self.corpus_)"
    assert run.has_order, "the run has no order"
    assert run.qids.tolist() == list(QUERIES), f"the run has the query ids {run.qids.tolist()}: Run(…, queries=queries)"


def contract_unfitted_retrievers_say_so(make):
    """Without `fit`, a retriever raises NotFittedError, or ranks as after `fit`."""
    corpus = Corpus(DOCUMENTS)
    run = make(corpus).fit(TEXTS).predict(TEXTS)
    for verb in ("predict", "transform"):
        _check_unfitted(make(corpus), verb, TEXTS, run)


def contract_predict_transform_and_fit_transform_agree(make):
    """All verbs return the same run, alone and in a pipeline."""
    corpus = Corpus(DOCUMENTS)
    run = make(corpus).fit(TEXTS).predict(TEXTS)
    _check_same(run, make(corpus).fit(TEXTS).transform(TEXTS), "predict and transform")
    _check_same(run, make(corpus).fit_transform(TEXTS), "predict and fit_transform")
    _check_same(run, make_pipeline(make(corpus)).fit(TEXTS).predict(TEXTS), "a retriever and a pipeline with it alone")


def contract_a_ranking_is_ordered(make):
    """Documents are distinct, and ordered by descending score, then by row; scores are finite."""
    run = make(Corpus(DOCUMENTS)).fit(TEXTS).predict(TEXTS)
    assert run.indptr[-1] > 0, "no query found a document"
    _check_order(run)
    assert np.isfinite(run.scores).all(), "scores are not finite"


def contract_fit_is_idempotent_and_learns_nothing_from_the_queries(make):
    """A retriever that is fitted again, on other queries, ranks as before."""
    retriever = make(Corpus(DOCUMENTS)).fit(TEXTS)
    run = retriever.predict(TEXTS)
    _check_same(run, retriever.predict(TEXTS), "two calls of predict")
    _check_same(run, retriever.fit(["something else"]).predict(TEXTS), "fits on different queries")


def contract_clones_share_the_corpus_and_the_ranking(make):
    """A clone has the same corpus, not a copy, and ranks alike."""
    corpus = Corpus(DOCUMENTS)
    retriever = make(corpus).fit(TEXTS)
    copy = clone(retriever)
    _check_unfitted(copy, "predict", TEXTS, retriever.predict(TEXTS))
    fitted = copy.fit(TEXTS).predict(TEXTS)
    assert fitted.corpus is corpus, "the clone has a copy of the corpus"
    _check_same(fitted, retriever.predict(TEXTS), "a retriever and its clone")


def contract_pickles_rank_alike(make):
    """A pickled retriever finds its corpus again in the process, and ranks alike."""
    corpus = Corpus(DOCUMENTS)
    retriever = make(corpus).fit(TEXTS)
    again = pickle.loads(pickle.dumps(retriever)).predict(TEXTS)
    assert again.corpus is corpus, "the pickle brought a copy of the corpus"
    _check_same(again, retriever.predict(TEXTS), "a retriever and its pickle")


def contract_queries_do_not_see_each_other(make):
    """The ranking of a query does not depend on the other queries of the call."""
    retriever = make(Corpus(DOCUMENTS)).fit(TEXTS)
    run = retriever.predict(TEXTS)
    order = np.array([3, 0, 5, 0, 1])
    _check_same(retriever.predict([TEXTS[i] for i in order]), run[order], "queries in another order")
    _check_same(np.concatenate([retriever.predict([text]) for text in TEXTS]), run, "queries one by one")


def contract_every_form_of_queries_is_the_same(make):
    """Lists, tuples, arrays, dicts, Queries, Series and frames of the same queries rank alike; ids are kept."""
    retriever = make(Corpus(DOCUMENTS)).fit(TEXTS)
    run = retriever.predict(TEXTS)
    named = Queries(QUERIES)
    forms = [tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, dtype=object), QUERIES, named, Queries(TEXTS)]
    if find_spec("pandas"):
        import pandas as pd

        forms += [pd.Series(TEXTS), pd.Series(QUERIES), pd.DataFrame({"qid": list(QUERIES), "text": TEXTS})]
    for queries in forms:
        _check_same(retriever.predict(queries), run, f"a list and a {type(queries).__name__} of queries")
    found = retriever.predict(named)
    assert found.qids.tolist() == list(QUERIES), f"the run has the query ids {found.qids.tolist()}, not the given ones"
    _check_same(retriever.predict(named[1:4]), run[1:4], "some queries and all")
    assert len(retriever.predict([])) == 0, "no queries, and a run that is not empty"


def contract_input_is_not_changed(make):
    """Queries, documents, filters and parameters are not changed; read-only arrays work."""
    texts, documents = np.array(TEXTS, dtype=object), dict(DOCUMENTS)
    corpus = Corpus(documents)
    before, fingerprint = texts.copy(), corpus.fingerprint
    texts.flags.writeable = False
    mask = np.ones(len(corpus), dtype=bool)
    mask.flags.writeable = False
    retriever = make(corpus)
    params = retriever.get_params()
    retriever.fit(texts).predict(texts)
    if _takes_filter(retriever):
        retriever.predict(texts, filter=mask)
    assert (texts == before).all(), "the queries were changed"
    assert documents == DOCUMENTS and corpus.fingerprint == fingerprint, "the documents were changed"
    assert retriever.get_params() == params, "fit or predict changed a parameter"


def contract_one_document_is_enough(make):
    """A corpus of one document can be searched."""
    run = make(Corpus({"only": "heat flows"})).fit(TEXTS).predict(["heat", "", "flows heat"])
    assert all(docids in ([], ["only"]) for docids in run.docids), f"found {run.docids} in a corpus of one document"


def contract_k_is_a_prefix(make):
    """The first `k` documents are those of a larger `k`, which may be set after `fit`; `search` has its own `k`."""
    retriever = make(Corpus(DOCUMENTS))
    if "k" not in retriever.get_params():
        return
    retriever.set_params(k=1000).fit(TEXTS)
    full = retriever.predict(TEXTS)
    for k in range(1, len(DOCUMENTS) + 2):
        found, expected = retriever.set_params(k=k).predict(TEXTS).docids, [docids[:k] for docids in full.docids]
        assert found == expected, f"k={k} found {found}, and k=1000 begins with {expected}"
    retriever.set_params(k=1)
    assert retriever.search("heat", k=3).docids[0] == retriever.set_params(k=3).predict(["heat"]).docids[0]


def contract_filters_are_exact(make):
    """The best documents that pass a filter are found; masks, ids, and a filter per query are equivalent."""
    retriever = make(Corpus(DOCUMENTS))
    if not _takes_filter(retriever):
        return
    if "k" in retriever.get_params():
        retriever.set_params(k=1000)
    full = retriever.fit(TEXTS).predict(TEXTS)
    # Feedback comes from admitted documents, so that a filter changes the ranking.
    feeds_back = hasattr(retriever, "expand")
    for kept in (["d8"], ["d2", "d5", "d7"], []):
        found = full
        if feeds_back:
            found = retriever.predict(TEXTS, filter=kept)
        expected = [[d for d in docids if d in kept] for docids in found.docids]
        for filter in (kept, np.isin(list(DOCUMENTS), kept), [kept] * len(TEXTS)):
            docids = retriever.predict(TEXTS, filter=filter).docids
            assert docids == expected, f"filter={filter} found {docids}, expected {expected}"
    with _raises(ValueError, "a filter with an unknown id"):
        retriever.predict(TEXTS, filter=["d99"])


def contract_threads_change_nothing(make):
    """Eight threads at once rank as one thread does, and so does any `n_jobs`."""
    corpus = Corpus([f"{text} {i % 7} word{i % 5}" for i, text in enumerate(list(DOCUMENTS.values()) * 20)])
    queries = [f"{text} word{i % 5}" for i, text in enumerate(TEXTS * 15)]
    run = make(corpus).fit(queries).predict(queries)
    for name in {"n_jobs", "retriever__n_jobs"} & set(make(corpus).get_params()):
        for n_jobs in (2, -1):
            found = make(corpus).set_params(**{name: n_jobs}).fit(queries).predict(queries)
            _check_same(found, run, f"{name}={n_jobs} and one thread")
    retriever = make(corpus).fit(queries)
    with ThreadPoolExecutor(8) as pool:
        for other in pool.map(lambda _: retriever.predict(queries), range(16)):
            _check_same(other, run, "calls from several threads")
        for other in pool.map(lambda _: make(corpus).fit(queries).predict(queries), range(8)):
            _check_same(other, run, "fits in several threads")


def contract_scores_and_folds(make):
    """`score` is a number from 0 to 1, and cross-validation returns the run of all queries."""
    corpus, queries = Corpus(DOCUMENTS), Queries(QUERIES)
    qrels = Qrels(QRELS).align(queries)
    retriever = make(corpus).fit(queries, qrels)
    with _raises(ValueError, "y is not aligned with X"):
        retriever.score(queries, Qrels(QRELS))
    _check_score(retriever, queries, qrels)
    score = retriever.score(queries, qrels)
    assert math.isclose(retriever.score(TEXTS, [QRELS[q] for q in QUERIES]), score), "score depends on the form of y"
    run = cross_val_predict(make(corpus), queries, qrels, cv=3)
    assert isinstance(run, Run), f"cross_val_predict returned a {type(run).__name__}, expected a Run"
    assert run.qids.tolist() == list(QUERIES), "cross_val_predict lost the order of the queries"


def contract_documents_come_and_go(make):
    """After `update`, a retriever ranks as a fresh one over the new documents; if `update` fails, as before."""
    retriever = make(Corpus(DOCUMENTS)).fit(TEXTS)
    run = retriever.predict(TEXTS)
    change = {"add": {"d9": "heat of the flow"}, "remove": ["d3", "d6"], "upsert": {"d2": "cold 日本", "d10": "heat"}}
    try:
        updated = retriever.update(**change)
    except (ValueError, TypeError, NotImplementedError):
        _check_same(retriever.predict(TEXTS), run, "rankings before and after an update that is refused")
        return
    assert updated is retriever, f"update returned {updated!r:.80}, expected self"
    kept = {docid: text for docid, text in DOCUMENTS.items() if docid not in change["remove"]}
    documents = {**kept, **change["add"], **change["upsert"]}
    found, fresh = retriever.predict(TEXTS), make(Corpus(documents)).fit(TEXTS).predict(TEXTS)
    assert found.corpus.to_dict() == documents, "the run has other documents than those after the update"
    _check_same(found, fresh, "a retriever after update and a fresh one over the same documents")
    _check_same(clone(retriever).fit(TEXTS).predict(TEXTS), fresh, "a clone of an updated retriever and a fresh one")


def contract_search_is_for_people(make):
    """`search` answers one query with a ranking that prints."""
    run = make(Corpus(DOCUMENTS)).fit(TEXTS).search("heat", k=3)
    assert len(run) == 1 and 0 < len(run.docids[0]) <= 3, f"search(k=3) found {run.docids}"
    assert "heat" in str(run) and "<table>" in run._repr_html_()
    with _raises(TypeError, "search takes one query"):
        make(Corpus(DOCUMENTS)).fit(TEXTS).search(["heat"])


def contract_a_union_keeps_no_ranking_of_another_fit(make):
    """A `RetrieverUnion` that keeps rankings returns those of one that does not, after any `fit`."""
    corpus, queries = Corpus(DOCUMENTS), Queries(QUERIES)
    for judgments in (QRELS, OTHER_QRELS):
        qrels = Qrels(judgments).align(queries)
        kept, fresh = (
            RetrieverUnion([("r", make(corpus))], cache=cache).fit(queries, qrels) for cache in (True, False)
        )
        expected = fresh.transform(queries)
        for _ in range(2):
            found = kept.transform(queries)
            assert found.docids == expected.docids, f"with cache=True {found.docids}, without {expected.docids}"
            assert np.array_equal(found.column("r"), expected.column("r"), equal_nan=True), "scores differ"


def contract_a_search_over_parameters_works(make):
    """A retriever in a union, before a fuser, is searched by `GridSearchCV` and followed by `waterfall`."""
    corpus, queries = Corpus(DOCUMENTS), Queries(QUERIES)
    qrels = Qrels(QRELS).align(queries)
    pipe = Pipeline([("union", RetrieverUnion([("r", make(corpus))])), ("fuser", ReciprocalRankFuser())])
    search = GridSearchCV(pipe, {"fuser__rank_constant": [1, 60]}, scoring=get_scorer("ndcg@10"), cv=2)
    assert np.isfinite(search.fit(queries, qrels).cv_results_["mean_test_score"]).all(), "scores are not finite"
    found = [row["step"] for row in waterfall(make_pipeline(make(corpus)).fit(queries), queries, qrels, k=2).steps]
    assert len(found) == 1, f"waterfall followed {found}, expected one step"
    assert len(waterfall(pipe.fit(queries, qrels), queries, qrels, k=2).steps) == 2


def contract_metadata_routing_passes_filters(make):
    """With metadata routing, pipelines work, and pass a `filter` to a retriever that takes one."""
    corpus = Corpus(DOCUMENTS)
    run = make(corpus).fit(TEXTS).predict(TEXTS)
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(make(corpus), _Same()).fit(TEXTS)
        _check_same(pipe.predict(TEXTS), run, "a retriever and a pipeline under metadata routing")
        retriever = make(corpus)
        if _takes_filter(retriever):
            expected = retriever.fit(TEXTS).predict(TEXTS, filter=["d8"])
            _check_same(pipe.predict(TEXTS, filter=["d8"]), expected, "a filter given to a pipeline and to a retriever")


# --- fusers and rerankers: contracts of estimators that rank candidates `X`


def _candidate_contracts():
    return [value for name, value in globals().items() if name.startswith("ranks_") or name.startswith("keeps_")]


def ranks_candidates_and_nothing_else(make, X, y):
    """`transform` returns a run of the same queries that holds only candidates, ordered by score, then row."""
    estimator = make()
    _check_returns_self(estimator, X, y)
    run = estimator.transform(X)
    assert isinstance(run, Run), f"transform returned a {type(run).__name__}, expected a Run"
    assert run.has_order, "the run has no order"
    assert run.qids.tolist() == X.qids.tolist(), "the run has other queries"
    assert run.corpus is X.corpus, "the run has another corpus"
    for found, candidates in zip(run.docids, X.docids):
        assert set(found) <= set(candidates), f"{sorted(set(found) - set(candidates))} were not candidates"
    assert not np.isnan(run.scores).any(), "scores are NaN"
    _check_order(run)


def ranks_the_same_by_every_verb(make, X, y):
    """`predict`, `transform` and `fit_transform` agree, alone and in a pipeline, with and without metadata routing."""
    run = make().fit(X, y).transform(X)
    _check_same(make().fit(X, y).predict(X), run, "predict and transform")
    _check_same(make().fit_transform(X, y), run, "fit_transform and transform")
    for routing in (False, True):
        with sklearn.config_context(enable_metadata_routing=routing):
            _check_same(make_pipeline(make()).fit(X, y).predict(X), run, "a pipeline and the estimator alone")


def ranks_the_same_when_fitted_again(make, X, y):
    """A second `fit` changes nothing."""
    estimator = make().fit(X, y)
    run = estimator.transform(X)
    _check_same(estimator.transform(X), run, "two calls of transform")
    _check_same(estimator.fit(X, y).transform(X), run, "two fits")


def ranks_or_says_that_it_is_not_fitted(make, X, y):
    """Without `fit`, the estimator raises NotFittedError, or ranks as after `fit`."""
    _check_unfitted(make(), "transform", X, make().fit(X, y).transform(X))


def ranks_the_same_as_a_clone_and_a_pickle(make, X, y):
    """Clones and pickles rank alike."""
    estimator = make().fit(X, y)
    run = estimator.transform(X)
    _check_same(clone(estimator).fit(X, y).transform(X), run, "an estimator and its clone")
    _check_same(pickle.loads(pickle.dumps(estimator)).transform(X), run, "an estimator and its pickle")


def ranks_each_query_alone(make, X, y):
    """The ranking of a query does not depend on the other queries of the call; no queries give an empty run."""
    estimator = make().fit(X, y)
    run = estimator.transform(X)
    order = np.array([3, 0, 5, 0, 1])
    _check_same(estimator.transform(X[order]), run[order], "queries in another order")
    _check_same(np.concatenate([estimator.transform(X[i : i + 1]) for i in range(len(X))]), run, "queries one by one")
    assert len(estimator.transform(X[:0])) == 0, "no queries, and a run that is not empty"


def ranks_a_prefix_for_a_smaller_k(make, X, y):
    """The first `k` documents are those of a larger `k`."""
    if "k" not in make().get_params():
        return
    full = make().set_params(k=None).fit(X, y).transform(X)
    for k in range(1, 4):
        found = make().set_params(k=k).fit(X, y).transform(X).docids
        assert found == [docids[:k] for docids in full.docids], f"k={k} found {found}, and k=None {full.docids}"


def ranks_the_same_in_several_threads(make, X, y):
    """Eight threads at once rank as one thread does."""
    estimator = make().fit(X, y)
    run = estimator.transform(X)
    with ThreadPoolExecutor(8) as pool:
        for other in pool.map(lambda _: estimator.transform(X), range(16)):
            _check_same(other, run, "calls from several threads")


def ranks_in_searches_and_folds(make, X, y):
    """`score`, `GridSearchCV`, `cross_val_predict` and `waterfall` work behind a union."""
    _check_score(make().fit(X, y), X, y)
    queries = X.queries
    union = RetrieverUnion([(name, retriever) for name, retriever in _two_retrievers(X.corpus)])
    pipe = Pipeline([("union", union), ("fuser", ReciprocalRankFuser()), ("last", make())])
    if not len(make().fit(X, y).transform(X).columns) or not X.has_order:
        pipe = Pipeline([("union", union), ("last", make())])
    search = GridSearchCV(pipe, {"union__bm25__k1": [0.9, 1.2]}, scoring=get_scorer("ndcg@10"), cv=2)
    assert np.isfinite(search.fit(queries, y).cv_results_["mean_test_score"]).all(), "scores are not finite"
    run = cross_val_predict(pipe, queries, y, cv=3)
    assert isinstance(run, Run) and run.qids.tolist() == queries.ids.tolist(), "cross_val_predict lost the queries"
    steps = [row["step"] for row in waterfall(pipe.fit(queries, y), queries, y, k=2).steps]
    assert len(steps) >= len(pipe.steps), f"waterfall followed {steps}, expected {[name for name, _ in pipe.steps]}"


def keeps_the_score_columns(make, X, y):
    """Score columns of the candidates are kept, with their values."""
    run = make().fit(X, y).transform(X)
    for name in X.columns:
        assert name in run.columns, f"the score column {name!r} is gone"
        for q in range(len(X)):
            values = dict(zip(X[q].rows.tolist(), X[q].column(name).tolist()))
            found = dict(zip(run[q].rows.tolist(), run[q].column(name).tolist()))
            assert all(_equal(values[row], value) for row, value in found.items()), f"column {name!r} has other values"


def keeps_its_input_as_it_is(make, X, y):
    """Candidates and parameters are not changed."""
    estimator = make()
    params, before = estimator.get_params(), pickle.dumps((X.rows, X.indptr, [X.column(name) for name in X.columns]))
    columns, scores = X.columns, None
    if X.has_order:
        scores = X.scores.copy()
    estimator.fit(X, y).transform(X)
    after = pickle.dumps((X.rows, X.indptr, [X.column(name) for name in X.columns]))
    assert before == after and X.columns == columns, "the candidates were changed"
    assert scores is None or np.array_equal(X.scores, scores), "the scores of the candidates were changed"
    assert estimator.get_params() == params, "fit or transform changed a parameter"


# --- shared by contracts


class _Same(BaseEstimator):
    """Last step of a pipeline, which returns its input."""

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return X

    def __sklearn_is_fitted__(self):
        return True


def _over(contract, candidates):
    """Return a contract that takes only a maker, for the given candidates and judgments."""

    @wraps(contract)
    def check(make):
        contract(make, *candidates())

    del check.__wrapped__  # its signature differs
    return check


def _two_retrievers(corpus):
    return [("bm25", BM25Retriever(corpus)), ("tfidf", TfidfRetriever(corpus, k=2))]


def _candidates_of_two():
    """Return candidates with two score columns and without an order, and judgments."""
    corpus, queries = Corpus(DOCUMENTS), Queries(QUERIES)
    return RetrieverUnion(_two_retrievers(corpus)).fit_transform(queries), Qrels(QRELS).align(queries)


def _candidates_of_one():
    """Return candidates with two score columns and an order, and judgments."""
    X, y = _candidates_of_two()
    return ReciprocalRankFuser().transform(X), y


def _takes_filter(retriever):
    return "filter" in inspect.signature(retriever.transform).parameters


def _equal(a, b):
    return a == b or (math.isnan(a) and math.isnan(b))


def same(run, other):
    """Tell whether two runs have equal documents and bitwise equal scores; names of queries do not matter."""
    return run.docids == other.docids and run.scores.tobytes() == other.scores.tobytes()


def _check_returns_self(estimator, X, y):
    fitted = estimator.fit(X, y)
    assert fitted is estimator, f"fit returned {fitted!r:.80}, expected self"


def _check_same(run, other, what):
    assert run.docids == other.docids, f"{what} differ: {run.docids} and {other.docids}"
    assert run.scores.tobytes() == other.scores.tobytes(), f"{what} differ in scores: {run.scores} and {other.scores}"


def _check_order(run):
    for ranking in run:
        rows = ranking.rows.tolist()
        assert len(set(rows)) == len(rows), f"a ranking has a document twice: rows {rows}"
        expected = [row for _, row in sorted(zip((-ranking.scores).tolist(), rows))]
        assert rows == expected, f"rows {rows} with the scores {ranking.scores}: by score, then row, it is {expected}"


def _check_score(estimator, X, y):
    score = estimator.score(X, y)
    assert 0 <= score <= 1, f"score is {score}, expected a number from 0 to 1"
    weighted = estimator.score(X, y, sample_weight=np.ones(len(X)))
    assert math.isclose(weighted, score), f"equal sample weights change the score from {score} to {weighted}"


def _check_unfitted(estimator, verb, X, run):
    try:
        found = getattr(estimator, verb)(X)
    except NotFittedError:
        return
    except Exception as error:
        raise AssertionError(
            f'before fit, {verb} raises {type(error).__name__}: {error}; check_is_fitted(self, "name_") raises '
            "NotFittedError if fit sets the attribute name_"
        ) from error
    _check_same(found, run, "an unfitted and a fitted estimator")


class _raises:
    """Context that requires an error of a given type."""

    def __init__(self, kind, what):
        self.kind = kind
        self.what = what

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        assert kind is not None, f"expected {self.kind.__name__}: {self.what}"
        return issubclass(kind, self.kind)
