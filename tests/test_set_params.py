"""A parameter that is set after `fit` to another value is an error, or gives what a `fit` with it gives.

Every parameter of every public class is tried with several values.
"""

import inspect
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from onnx_models import embeddings, text_model, tokenizer
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklrank.encoders
import sklrank.fusers
import sklrank.rerankers
import sklrank.retrievers
from sklrank import Corpus, Queries, Run
from sklrank.data import TokenVectors
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import BM25Retriever, TfidfRetriever


def hashed(n_features):
    return HashingVectorizer(n_features=n_features, alternate_sign=False)


def dense(n_features):
    return make_pipeline(hashed(n_features), FunctionTransformer(sparse.csr_matrix.toarray, accept_sparse=True))


def word_vectors(texts):
    return TokenVectors.from_list([hashed(64).transform(["", *text.split()]).toarray()[1:] for text in texts])


def letter_vectors(texts):
    return TokenVectors.from_list([hashed(32).transform(["", *text[:3]]).toarray()[1:] + 0.5 for text in texts])


def engine(queries, k):
    return [[(str(i), len(query) / (i + 1)) for i in range(3)] for query in queries]


def other_engine(queries, k):
    return [[("5", 2.0)] for _ in queries]


def lengths(queries, documents):
    return [float(len(document)) for document in documents]


def first_letters(queries, documents):
    return [float(ord((document or "a")[0])) for document in documents]


TEXTS = ["heat flows", "cold rests in heat", "heat", "laminar flow over plate", "the heat of flows", "", "wing", "a"]
RECORDS = [
    {"title": title, "text": text, "stars": i, "parent_id": "abca"[i % 4], "year": 9 - i}
    for i, (title, text) in enumerate(zip(["heat", "cold", "", "flow of heat", "plate", "wing", "lift", "cold"], TEXTS))
]
CORPUS, OTHER_CORPUS = Corpus(RECORDS), Corpus(RECORDS[::-1])
QUERIES = Queries(pd.DataFrame({
    "qid": list("xyz"), "text": ["heat flow", "cold wing", "the plate of heat"],
    "allowed": [["0", "1", "2"], None, ["3", "4"]], "other": ["cold", "heat", "wing"],
}))  # fmt: skip
GRADES = [{"0": 1, "4": 2}, {"1": 1}, {"3": 2, "0": 1}]
RANKED = BM25Retriever(CORPUS).fit_transform(QUERIES)
COLUMNS = Run.union({"bm25": RANKED, "stars": TfidfRetriever(CORPUS, field="title").fit_transform(QUERIES)})
VECTORS = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
MODELS = {"model": text_model(), "splade": text_model("logits"), "score": text_model("score")}
OTHER_MODELS = {  # of the same kind
    kind: text_model(name, vectors=embeddings(seed=1))
    for kind, name in (("model", "hidden"), ("splade", "logits"), ("score", "score"))
}
MATRICES = [np.eye(4), -np.eye(4)[:2], np.ones((1, 4))]


def case(name, X, y=None, **parameters):
    of = next(getattr(room, name) for room in ROOMS if hasattr(room, name))
    return pytest.param(of(**parameters), X, y, id=f"{name}-{len(parameters)}")


ROOMS = sklrank.encoders, sklrank.fusers, sklrank.rerankers, sklrank.retrievers
IN_FUSION = {"X": COLUMNS, "y": GRADES}
LEARNED = {**IN_FUSION, "weights": "learn"}
CASES = [
    case("BM25Retriever", QUERIES, corpus=CORPUS),
    case("BM25FRetriever", QUERIES, corpus=CORPUS),
    case("LanguageModelRetriever", QUERIES, corpus=CORPUS),
    case("TfidfRetriever", QUERIES, corpus=CORPUS),
    case("DFRRetriever", QUERIES, corpus=CORPUS),
    case("SparseRetriever", QUERIES, corpus=CORPUS, encoder=hashed(64)),
    case("DenseRetriever", QUERIES, corpus=CORPUS, encoder=dense(64)),
    case("DenseRetriever", VECTORS),
    case("AnnRetriever", QUERIES, corpus=CORPUS, encoder=dense(64), random_state=0),
    case("LateInteractionRetriever", QUERIES, corpus=CORPUS, encoder=FunctionTransformer(word_vectors)),
    case("CallableRetriever", QUERIES, f=engine, corpus=CORPUS),
    case("QdrantRetriever", QUERIES, corpus=CORPUS, encoder=dense(64)),
    *(case(name, QUERIES, retriever=BM25Retriever(CORPUS)) for name in ("RM3Retriever", "KLRetriever", "Bo1Retriever")),
    case("RocchioRetriever", QUERIES, retriever=TfidfRetriever(CORPUS)),
    case("RetrieverUnion", QUERIES, retrievers=[("bm25", BM25Retriever(CORPUS)), ("tfidf", TfidfRetriever(CORPUS))]),
    case("ReciprocalRankFuser", **IN_FUSION),
    case("ReciprocalRankFuser", **LEARNED),
    case("RankFuser", **IN_FUSION),
    case("RankFuser", **LEARNED),
    case("ScoreFuser", **IN_FUSION),
    case("ScoreFuser", **LEARNED),
    case("ProbabilisticFuser", **IN_FUSION),
    case("ProbabilisticFuser", **LEARNED, method="mixed"),
    case("ColumnScorer", RANKED, column="stars"),
    case("CallableReranker", RANKED, f=lengths),
    case("CascadeReranker", RANKED, rerankers=[("dense", sklrank.rerankers.DenseReranker(hashed(64)), 2)]),
    case("CrossEncoderReranker", RANKED, model=MODELS["score"], tokenizer=tokenizer()),
    case("Cutoff", RANKED),
    case("DPPReranker", RANKED),
    case("MMRReranker", RANKED),
    case("DenseReranker", RANKED, encoder=hashed(64)),
    case("MaxSimReranker", RANKED, encoder=FunctionTransformer(word_vectors)),
    case("PM2Reranker", RANKED, aspects="parent_id"),
    case("XQuADReranker", RANKED, aspects="parent_id"),
    case("PassageAggregator", RANKED),
    case("MuveraEncoder", MATRICES),
    case("OnnxTextEncoder", TEXTS[:3], model=MODELS["model"], tokenizer=tokenizer()),
    case("OnnxTokenEncoder", TEXTS[:3], model=MODELS["model"], tokenizer=tokenizer()),
    case("OnnxSparseEncoder", TEXTS[:3], model=MODELS["splade"], tokenizer=tokenizer()),
    case("TermVectorizer", TEXTS),
    case("TermVectorizer", TEXTS, vocabulary=["heat", "flow", "flows"]),
]
VALUES = {  # of parameters whose constraints do not say any
    "corpus": [OTHER_CORPUS, RECORDS[:5]],
    "field": ["title", ["text", "title"]],
    "filter": [["0", "2"], np.arange(8) % 2 == 0],
    "filter_field": ["allowed"],
    "query_field": ["other"],
    "vectorizer": [TermVectorizer(stemmer="english"), TfidfVectorizer()],
    "output": [],
    "device": ["cpu"],
    "providers": [["CPUExecutionProvider"]],
    "prefix": ["heat "],
    "marker": ["[MASK] "],
    "max_length": [4],
    "cache_folder": [],  # which gives the same
    "verbose": [],
    "timeout": [60],
    "retry_on": [RuntimeError],
    "f": [other_engine],
    "retriever": [BM25Retriever(CORPUS, k1=0.1), BM25Retriever(OTHER_CORPUS)],
    "retrievers": [[("title", BM25Retriever(CORPUS, field="title"))]],
    "rerankers": [[("dense", sklrank.rerankers.DenseReranker(hashed(64), metric="euclidean"), None)]],
    "aspects": ["title"],
    "by": ["title"],
    "column": ["year"],
    "transform": ["log1p", np.sqrt],
    "function": ["log1p", np.sqrt],
    "name": ["rating"],
    "similarity": [hashed(16)],
    "query_weights": [lambda text: np.arange(len(text.split())) + 1.0],
    "tokenizer": [tokenizer()],
    "token_pattern": [r"(?u)\b\w\w\w+\b"],
    "stop_words": [["heat"]],
    "stemmer": ["english"],
    "language": ["english"],
    "preprocessor": [str.upper],
    "analyzer": ["char", str.split],
    "ngram_range": [(1, 2)],
    "vocabulary": [["heat", "cold"]],
    "dtype": [np.float32, "float16", "int8", "uint8", "bfloat16"],
    "random_state": [1],
    "metric": ["dot", "euclidean", "p@1"],
    "weights": [{"bm25": 0.2, "stars": 1.0}, {"title": 1, "text": 3}, {"title": 1}, "learn", None],
    "missing": ["min", "zero", 0.5],
    "clip": [(0, 0.5)],
    "theoretical_min": [-1.0, {"bm25": 0.5}],
    "threshold": [0.3],
    "factory": ["Flat"],
    "backend": ["faiss"],
    "client": [],
    "url": [],
    "path": [],
    "collection": ["elsewhere"],
    "id_field": [],
    "payload": [["stars"]],
    "query_filter": [],
    "search_params": [],
    "collection_options": [{"on_disk_payload": True}],
    "smooth_idf": [False],
}
ENCODERS = {
    "DenseRetriever": [dense(32), None],
    "AnnRetriever": [dense(32)],
    "QdrantRetriever": [dense(32)],
    "SparseRetriever": [hashed(32)],
    "DenseReranker": [hashed(32)],
    "LateInteractionRetriever": [FunctionTransformer(letter_vectors)],
    "MaxSimReranker": [FunctionTransformer(letter_vectors)],
}
EXACT = {
    ("CallableReranker", "f"): [first_letters],
    ("LateInteractionRetriever", "retriever"): [sklrank.encoders.MuveraEncoder(2), BM25Retriever(CORPUS, k=2)],
    ("RocchioRetriever", "retriever"): [TfidfRetriever(CORPUS, sublinear_tf=True)],
    ("TermVectorizer", "dtype"): [np.float32],
    ("CrossEncoderReranker", "model"): [OTHER_MODELS["score"]],
    ("OnnxTextEncoder", "model"): [OTHER_MODELS["model"]],
    ("OnnxTokenEncoder", "model"): [OTHER_MODELS["model"]],
    ("OnnxSparseEncoder", "model"): [OTHER_MODELS["splade"]],
    ("PM2Reranker", "weights"): [{"a": 2.0}],
    ("XQuADReranker", "weights"): [{"a": 2.0}],
}
NUMBERS = 1, 2, 0, 0.25, 3.0, 5


def values_of(estimator, name):
    """Values to try for a parameter."""
    of = type(estimator).__name__
    if name in ("encoder", "query_encoder"):
        return ENCODERS[of]
    values = list(EXACT.get((of, name), VALUES.get(name, ())))
    constraints = getattr(estimator, "_parameter_constraints", {}).get(name, ())
    for constraint in () if constraints == "no_validation" or values else constraints:
        if constraint == "boolean":
            values += [True, False]
        elif hasattr(constraint, "options"):
            values += sorted(constraint.options)
        elif hasattr(constraint, "is_satisfied_by"):
            values += [number for number in NUMBERS if constraint.is_satisfied_by(number)]
        elif constraint is not str and constraint is not dict:
            values += [None] if constraint is None else [2]
    current = estimator.get_params(deep=False)[name]
    return [value for value in values if not (type(value) is type(current) and value is current)]


def outcome(estimator, X):
    """Bytes of all that an estimator makes, or its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = estimator.transform(X)
        except Exception as error:
            return error
    if isinstance(found, Run):
        columns = {name: found.column(name).tobytes() for name in found.columns}
        return found.name, found.docids, found.scores.tobytes() if found.has_order else None, columns
    if isinstance(found, TokenVectors):
        return found.values.tobytes(), found.indptr.tobytes()
    return found.toarray().tobytes() if sparse.issparse(found) else np.asarray(found).tobytes()


def fitted(estimator, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, y)


@pytest.mark.parametrize("estimator, X, y", CASES)
def test_a_parameter_that_is_set_after_fit_is_an_error_or_takes_effect(estimator, X, y):
    refit = getattr(estimator, "_refit_parameters", ())
    n_effects = 0
    for name, current in estimator.get_params(deep=False).items():
        for value in values_of(estimator, name):
            changed = fitted(clone(estimator), X, y)
            before = outcome(changed, X)
            assert not isinstance(before, Exception), before
            changed.set_params(**{name: value})
            after = outcome(changed, X)
            try:
                fresh = outcome(fitted(clone(estimator).set_params(**{name: value}), X, y), X)
            except Exception as error:
                fresh = error
            text = f"{name}={value!r:.60}: {after!r:.300}, a new fit gives {fresh!r:.300}"
            if isinstance(after, ValueError) and re.fullmatch(
                rf"{name}(__\w+)?= was changed after fit: fit again", str(after)
            ):
                assert name in refit, text
            elif isinstance(after, Exception):
                assert isinstance(fresh, type(after)), text
            else:
                assert after == fresh, text
                n_effects += after != before
            changed.set_params(**{name: current})
            assert outcome(changed, X) == before, f"{name} set back: {outcome(changed, X)!r:.300}"
    assert n_effects > 0 or len(refit) >= len(estimator.get_params(deep=False)) - 2


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("estimator, X, y", CASES)
def test_runs_and_matrices_are_the_same_whatever_scikit_learn_is_set_to_return(estimator, X, y, output):
    expected = outcome(fitted(clone(estimator), X, y), X)
    with config_context(transform_output=output):
        assert outcome(fitted(clone(estimator), X, y), X) == expected
    if hasattr(estimator, "set_output"):
        assert outcome(fitted(clone(estimator).set_output(transform=output), X, y), X) == expected


def test_every_public_class_and_parameter_is_tried():
    tried = {type(parameters.values[0]) for parameters in CASES}
    public = {
        value
        for room in ROOMS
        for name in room.__all__
        if inspect.isclass(value := getattr(room, name)) and issubclass(value, BaseEstimator)
    }
    assert tried == public
