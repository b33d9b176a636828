"""Diversity: each reranker against its definition in plain Python, and what it does to alpha-nDCG."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_extraction.text import HashingVectorizer

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.metrics import alpha_ndcg_score
from sklrank.rerankers import DPPReranker, MMRReranker, PM2Reranker, XQuADReranker

RERANKERS = {
    "mmr": lambda **kwargs: MMRReranker(**kwargs),
    "dpp": lambda **kwargs: DPPReranker(**kwargs),
    "xquad": lambda **kwargs: XQuADReranker("aspects", **kwargs),
    "pm2": lambda **kwargs: PM2Reranker("aspects", **kwargs),
}


def collection(n=30, n_queries=4, n_features=6, seed=0, n_values=None):
    """Vectors, coverage of aspects, and a run that found all documents; of `n_values` distinct scores, if given."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, n_features)).astype(np.float32).astype(float)  # which are not rounded
    aspects = (rng.random((n, 4)) < 0.3).astype(float)
    corpus = Corpus(vectors).with_columns(aspects=aspects)
    scores = rng.random((n_queries, n)) if n_values is None else rng.integers(0, n_values, (n_queries, n)) / n_values
    return corpus, Run(scores, corpus=corpus, queries=Queries([f"query {i}" for i in range(n_queries)]))


def unit(scores):
    low, high = min(scores), max(scores)
    return {d: (s - low) / (high - low) if high > low else 1.0 for d, s in enumerate(scores)}


def greedy(n, gain, k=None):
    """The documents that a greedy choice takes, by a function of the chosen and one more."""
    chosen = []
    while len(chosen) < (n if k is None else k):
        rest = [d for d in range(n) if d not in chosen]
        gains = [gain(chosen, d) for d in rest]
        chosen.append(rest[int(np.argmax(gains))])
    return chosen


def cosines(vectors):
    lengths = np.linalg.norm(vectors, axis=1)
    return vectors @ vectors.T / np.outer(lengths, lengths)


@pytest.mark.parametrize("lambda_", [0, 0.3, 0.7, 1])
def test_mmr_is_its_definition(lambda_):
    corpus, run = collection()
    similar = cosines(corpus.matrix())
    new = MMRReranker(lambda_).transform(run)
    for q, scores in enumerate(np.asarray(run)):
        relevance = unit(scores)

        def gain(chosen, d, relevance=relevance):
            return lambda_ * relevance[d] - (1 - lambda_) * max((similar[d, s] for s in chosen), default=0)

        expected = greedy(len(corpus), gain)
        assert new[q].rows.tolist() == expected
        values = [gain(expected[:i], d) for i, d in enumerate(expected)]
        np.testing.assert_allclose(new[q].scores[1:], values[1:], atol=1e-12)


def log_determinant(similar, documents):
    sign, value = np.linalg.slogdet(similar[np.ix_(documents, documents)])
    return value if sign > 0 else -np.inf


@pytest.mark.parametrize("lambda_", [0, 0.4, 0.9])
def test_dpp_is_the_greedy_choice_by_determinants(lambda_):
    corpus, run = collection(n=12, n_features=20)
    similar = cosines(corpus.matrix())
    new = DPPReranker(lambda_).transform(run)
    for q, scores in enumerate(np.asarray(run)):
        relevance = unit(scores)

        def objective(documents, relevance=relevance):
            return lambda_ * sum(relevance[d] for d in documents) + (1 - lambda_) * log_determinant(similar, documents)

        expected = greedy(12, lambda chosen, d, f=objective: round(f([*chosen, d]), 9))
        assert new[q].rows.tolist() == expected
        assert new[q].scores.sum() == pytest.approx(objective(expected))


@pytest.mark.parametrize("seed", range(5))
def test_dpp_finds_the_best_set_where_groups_are_orthogonal(seed):
    # With one direction a group, the best set has the best of each of the best groups, and greedy choice finds it.
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(4), 2))
    scores = rng.random(8)
    run = Run(scores[None], corpus=Corpus(np.eye(4)[groups]))
    similar, relevance = cosines(np.eye(4)[groups]), unit(scores)
    found = DPPReranker(0.5, k=3).transform(run).rows

    def objective(documents):
        return sum(relevance[d] for d in documents) + log_determinant(similar, documents)

    best = max(itertools.combinations(range(8), 3), key=objective)
    assert set(found.tolist()) == set(best)


def test_what_adds_nothing_follows_by_relevance():
    corpus = Corpus(np.eye(2)[[0, 0, 1, 1, 0]])
    run = Run(np.array([[0.9, 0.7, 0.5, 0.8, 1.0]]), corpus=corpus)
    new = DPPReranker(0.1).transform(run)
    assert new.docids == [["4", "3", "0", "1", "2"]]
    assert (np.diff(new.scores) < 0).all()


@pytest.mark.parametrize("lambda_", [0, 0.3, 1])
@pytest.mark.parametrize("weights", [None, {0: 0.5, 1: 2, 3: 1}])
def test_xquad_is_its_definition(lambda_, weights):
    corpus, run = collection()
    covered = corpus["aspects"] * 0.8
    corpus = corpus.with_columns(aspects=covered)
    own = np.full(4, 0.25) if weights is None else np.array([weights.get(a, 0) for a in range(4)]) / 3.5
    new = XQuADReranker("aspects", lambda_, weights=weights).transform(run.with_corpus(corpus))
    for q, scores in enumerate(np.asarray(run)):
        relevance = unit(scores)

        def gain(chosen, d, relevance=relevance):
            open_ = [np.prod([1 - covered[s, a] for s in chosen]) for a in range(4)]
            novelty = sum(own[a] * covered[d, a] * open_[a] for a in range(4))
            return lambda_ * relevance[d] + (1 - lambda_) * novelty

        assert new[q].rows.tolist() == greedy(len(corpus), lambda *given, f=gain: round(f(*given), 12))


@pytest.mark.parametrize("lambda_", [0.2, 0.5, 1])
def test_pm2_is_its_definition(lambda_):
    rng = np.random.default_rng(1)
    covered = rng.random((15, 3))
    scores = rng.random((1, 15))
    weights = {0: 3, 1: 2, 2: 1}
    corpus = Corpus(["text"] * 15).with_columns(aspects=covered)
    new = PM2Reranker("aspects", lambda_, weights=weights).transform(Run(scores, corpus=corpus))
    seats, chosen = [0.0] * 3, []
    while len(chosen) < 15:
        quotients = [weights[a] / 6 / (2 * seats[a] + 1) for a in range(3)]
        turn = max(range(3), key=quotients.__getitem__)
        rest = [d for d in range(15) if d not in chosen]
        best = max(
            rest,
            key=lambda d: sum((lambda_ if a == turn else 1 - lambda_) * quotients[a] * covered[d, a] for a in range(3)),
        )
        chosen.append(best)
        seats = [s + c / covered[best].sum() for s, c in zip(seats, covered[best])]
    assert new.rows.tolist() == chosen
    np.testing.assert_allclose(new.scores, 1 - np.arange(15) / 15)


def test_pm2_gives_places_in_proportion():
    senses = ["animal"] * 30 + ["car"] * 30
    corpus = Corpus({str(i): {"text": "jaguar", "sense": sense} for i, sense in enumerate(senses)})
    run = Run(np.arange(60.0)[::-1][None], corpus=corpus)
    found = PM2Reranker("sense", weights={"animal": 2, "car": 1}, k=9).transform(run).rows
    assert sum(senses[row] == "animal" for row in found) == 6
    assert [row for row in found if row < 30] == sorted(row for row in found if row < 30)  # each sense by score
    # When the cars are over, the animals have all places.
    few = Run(np.arange(32.0)[::-1][None], corpus=Corpus([{"sense": sense} for sense in senses[:32]]))
    assert set(PM2Reranker("sense").transform(few).rows[:4].tolist()) == {0, 1, 30, 31}


# --- what all of them hold


@pytest.mark.parametrize("make", RERANKERS.values(), ids=RERANKERS)
@settings(max_examples=25)
@given(st.integers(0, 1000))
def test_rankings_are_prefixes_and_permutations(make, seed):
    _, run = collection(n=9, n_queries=2, n_features=3, seed=seed, n_values=3)
    whole = make(lambda_=0.4).fit_transform(run)
    assert np.array_equal(np.sort(whole.rows.reshape(2, -1)), np.sort(run.rows.reshape(2, -1)))
    for k in (1, 4):
        assert make(lambda_=0.4, k=k).transform(run).docids == [found[:k] for found in whole.docids]
    assert np.concatenate([make(lambda_=0.4).transform(one) for one in (run[:1], run[1:])]).docids == whole.docids
    assert all((np.diff(whole[q].scores) <= 0).all() for q in range(2))


@pytest.mark.parametrize("make", [RERANKERS[name] for name in ("mmr", "dpp", "xquad")])
def test_lambda_1_is_the_order_that_was(make):
    _, run = collection(n_values=5)
    assert make(lambda_=1).transform(run).docids == run.docids


@pytest.mark.parametrize("make", RERANKERS.values(), ids=RERANKERS)
def test_depth_tail_and_columns(make):
    _, run = collection()
    run.name = "bm25"
    new = make(depth=10, tail="keep").transform(run)
    assert [set(found[:10]) for found in new.docids] == [set(found[:10]) for found in run.docids]
    assert [found[10:] for found in new.docids] == [found[10:] for found in run.docids]
    assert new.columns == ("bm25", new.name)
    again = clone(make(depth=10)).fit_transform(run)
    assert again.docids == [found[:10] for found in new.docids]
    empty = run[:0]
    assert len(make().transform(empty)) == 0


@pytest.mark.parametrize("make", RERANKERS.values(), ids=RERANKERS)
def test_queries_without_candidates(make):
    corpus, _ = collection()
    run = Run(sparse.csr_array(np.array([[0.0] * 30, [1.0, 2.0] + [0.0] * 28])), corpus=corpus)
    assert [len(found) for found in make().transform(run).docids] == [0, 2]


@pytest.mark.parametrize("make", RERANKERS.values(), ids=RERANKERS)
def test_diversity_raises_alpha_ndcg(make):
    # Relevant documents of a large subtopic stand first; others, of five small ones, below.
    rng = np.random.default_rng(0)
    topics = np.repeat(np.arange(6), [15, 3, 3, 3, 3, 3])
    vectors = np.eye(6)[topics] + 0.1 * rng.normal(size=(30, 6))
    corpus = Corpus(vectors).with_columns(aspects=np.eye(6)[topics])
    run = Run(np.arange(30.0)[::-1][None] + 20, corpus=corpus, queries={"q": "jaguar"})
    judged = pd.DataFrame({"qid": "q", "docid": corpus.ids.tolist(), "grade": 1, "subtopic": topics})
    qrels = Qrels.from_frame(judged, subtopic="subtopic")
    before = alpha_ndcg_score(qrels, run, k=10)
    after = alpha_ndcg_score(qrels, make(lambda_=0.1).transform(run), k=10)
    assert before < 0.4 and after > 0.9


def test_judged_aspects_alone_reach_the_ideal():
    rng = np.random.default_rng(3)
    rows = [(f"q{q}", f"d{d}", 1, f"s{s}") for q in range(3) for d in range(12) for s in rng.choice(5, 2, False)]
    qrels = Qrels.from_frame(pd.DataFrame(rows, columns=["qid", "docid", "grade", "subtopic"]), subtopic="subtopic")
    corpus = Corpus({f"d{d}": "text" for d in range(14)})
    run = Run({f"q{q}": {f"d{d}": rng.random() for d in range(14)} for q in (2, 0, 1)}, corpus=corpus)
    new = XQuADReranker(qrels, 0).transform(run)
    assert alpha_ndcg_score(qrels, new, k=3, alpha=1) == pytest.approx(1)
    assert alpha_ndcg_score(qrels, PM2Reranker(qrels).transform(run), k=5) > 0.9


# --- where similarities and aspects come from

TEXTS = {"a": "heat flow in a plate", "b": "heat flow in the plate", "c": "supersonic wing", "d": "", "e": "cold wing"}


def text_run():
    return Run({"q": {"a": 5.0, "b": 4.9, "c": 4.0, "d": 3.0, "e": 2.0}}, corpus=Corpus(TEXTS), queries={"q": "heat"})


@pytest.mark.parametrize("reranker", [MMRReranker, DPPReranker])
def test_sources_of_similarity(reranker):
    run = text_run()
    hashing = HashingVectorizer(n_features=256, alternate_sign=False)
    vectors = hashing.transform(TEXTS.values()).toarray()
    column = run.with_corpus(run.corpus.with_columns(vectors=vectors))
    expected = reranker(similarity="vectors").transform(column)
    of_sparse = run.with_corpus(run.corpus.with_columns(vectors=sparse.csr_array(vectors)))

    def function(texts):
        vectors = hashing.transform(texts).toarray()  # of unit length, but that of the empty text
        return np.where(np.eye(len(texts)), 1, vectors @ vectors.T)

    for other in (
        reranker(similarity="vectors").transform(of_sparse),
        reranker(similarity=hashing).transform(run),
        reranker(similarity=function).transform(run),
    ):
        assert other.docids == expected.docids
        np.testing.assert_allclose(other.scores, expected.scores, atol=1e-7)
    assert reranker().transform(run).docids[0][:2] == ["a", "c"]  # by words alone


def test_encoders_that_learn_nothing_see_each_candidate_once():
    seen = []

    class Watched(HashingVectorizer):
        def transform(self, texts):
            seen.extend(texts)
            return super().transform(texts)

    run = text_run()
    reranker = MMRReranker(similarity=Watched(n_features=16), depth=3)
    reranker.transform(run)
    reranker.set_params(lambda_=0.1).transform(run)
    assert sorted(seen) == sorted([TEXTS["a"], TEXTS["b"], TEXTS["c"]])


def test_sources_of_aspects():
    run = text_run()
    senses = {"a": ["x"], "b": ["x", "y"], "c": ["y"], "d": [], "e": ["z"]}
    records = [{"_id": name, "text": text, "sense": senses[name]} for name, text in TEXTS.items()]
    lists = run.with_corpus(Corpus(records))
    matrix = np.array([[name in own for name in "xyz"] for own in senses.values()], dtype=float)
    of_matrix = run.with_corpus(run.corpus.with_columns(sense=matrix))
    of_sparse = run.with_corpus(run.corpus.with_columns(sense=sparse.csr_array(matrix)))

    def function(query, texts):
        assert query == "heat"
        return matrix[[list(TEXTS.values()).index(text) for text in texts]]

    union = Run.union(
        {"all": run, **{name: Run({"q": {d: 1.0 for d in TEXTS if name in senses[d]}}) for name in "xyz"}}
    ).reorder(np.array([5.0, 4.9, 4.0, 3.0, 2.0]))
    for reranker in (XQuADReranker, PM2Reranker):
        expected = reranker("sense").transform(lists)
        assert reranker("sense").transform(of_matrix).docids == expected.docids
        assert reranker("sense").transform(of_sparse).docids == expected.docids
        assert reranker(function).transform(run).docids == expected.docids
        assert reranker(["x", "y", "z"]).transform(union).docids == expected.docids


def test_wrong_arguments_say_so():
    run = text_run()
    for call, message in (
        (lambda: MMRReranker(2).transform(run), "lambda_"),
        (lambda: MMRReranker(similarity=lambda texts: np.ones(3)).transform(run), "one row and one"),
        (lambda: DPPReranker(similarity=lambda t: np.full((5, 5), np.nan)).transform(run), "NaN"),
        (lambda: MMRReranker(normalize=False).transform(run.reorder(np.array([np.inf, 1, 1, 1, 1]))), "infinite"),
        (lambda: MMRReranker().transform(Run({"q": {"a": 1.0}})), "with_corpus"),
        (lambda: XQuADReranker(["x"]).transform(run), "score columns"),
        (lambda: XQuADReranker(Qrels({"q": {"a": 1}})).transform(run), "subtopic"),
        (lambda: PM2Reranker(lambda q, d: np.full((5, 1), 2.0)).transform(run), "from 0 to 1"),
        (lambda: PM2Reranker(lambda q, d: np.ones(5)).transform(run), "n_aspects"),
        (lambda: PM2Reranker(lambda q, d: np.ones((5, 1)), weights={0: -1}).transform(run), "at least 0"),
        (lambda: MMRReranker().transform(Run.union({"a": run})), "order yet"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_infinite_and_huge_scores():
    run = text_run().reorder(np.array([np.inf, 1e308, -1e308, 0, -np.inf]))
    scores = MMRReranker(1).transform(run)
    assert scores.docids == [["a", "b", "d", "c", "e"]]
    assert np.isfinite(scores.scores).all()
