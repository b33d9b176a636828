"""Parameters that need a new `fit`."""

import copy
import inspect
import pickle
import re
from functools import partial

import joblib
import numpy as np
import pytest
from onnx_models import embeddings, text_model, tokenizer
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

import sklrank.encoders
import sklrank.fusers
import sklrank.rerankers
import sklrank.retrievers
from sklrank import Corpus
from sklrank.encoders import OnnxTextEncoder, TermVectorizer
from sklrank.retrievers import BM25FRetriever, BM25Retriever, DenseRetriever, RetrieverUnion, RM3Retriever

DOCUMENTS = [{"title": "heat", "text": "heat flows"}, {"title": "cold", "text": "cold rests in heat"}]
CORPUS = Corpus(DOCUMENTS)
TEXTS = ["heat flows", "cold rests in heat"]


CLASSES = [
    value
    for room in (sklrank.encoders, sklrank.fusers, sklrank.rerankers, sklrank.retrievers)
    for name in room.__all__
    if inspect.isclass(value := getattr(room, name)) and issubclass(value, BaseEstimator)
]


def changed(name):
    return pytest.raises(ValueError, match=f"^{name}= was changed after fit: fit again$")


def lsa():
    return make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0))


@pytest.mark.parametrize("name, value", [
    ("corpus", Corpus(["heat"])), ("field", "title"), ("vectorizer", None), ("vectorizer", TfidfVectorizer()),
])  # fmt: skip
def test_a_parameter_that_needs_a_new_fit_is_an_error_until_it_is_set_back(name, value):
    retriever = BM25Retriever(CORPUS, vectorizer=TermVectorizer(), k=1).fit([])
    run, before = retriever.predict(["heat"]), getattr(retriever, name)
    retriever.set_params(**{name: value})
    for verb in (retriever.predict, retriever.transform, retriever.search):
        with changed(name):
            verb("heat" if verb == retriever.search else ["heat"])
    with changed(name):
        retriever.explain("heat", "0")
    assert retriever.set_params(**{name: before}).predict(["heat"]).scores.tolist() == run.scores.tolist()
    retriever.set_params(**{name: value}).fit([]).predict(["heat"])


def test_equal_values_are_no_change():
    fields = ["title", "text"]
    retriever = BM25Retriever(CORPUS, vectorizer=TermVectorizer(min_df=1), field=fields).fit([])
    retriever.set_params(field=list(fields), vectorizer=TermVectorizer(min_df=1)).predict(["heat"])
    retriever.set_params(field="title")
    with changed("field"):
        retriever.predict(["heat"])


def test_a_list_that_changes_in_place_is_a_change():
    fields = ["title"]
    retriever = BM25Retriever(CORPUS, field=fields).fit([])
    fields.append("text")
    with changed("field"):
        retriever.predict(["heat"])
    fields.pop()
    retriever.predict(["heat"])


@pytest.mark.parametrize("copied", [
    lambda r: r, copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r)),
])  # fmt: skip
@pytest.mark.parametrize("name", ["encoder__truncatedsvd__n_components", "encoder__tfidfvectorizer__min_df"])
def test_a_nested_parameter_is_an_error_in_copies_too(copied, name):
    retriever = DenseRetriever(CORPUS, encoder=lsa()).fit([])
    before = retriever.get_params()[name]
    other = copied(retriever)
    other.predict(["heat"])
    other.set_params(**{name: 1 if before == 2 else 0.5})
    again = copied(other)
    for one in (other, again):
        with changed(name):
            one.predict(["heat"])
    for one in (other, again):  # of which copies share the encoder or do not
        one.set_params(**{name: before}).predict(["heat"])


def test_steps_that_are_replaced_are_a_change():
    encoder = lsa()
    retriever = DenseRetriever(CORPUS, encoder=encoder).fit([])
    encoder.steps[1] = ("truncatedsvd", TruncatedSVD(1, random_state=0))
    with changed("encoder__truncatedsvd__n_components"):
        retriever.predict(["heat"])
    encoder.steps[1] = ("svd", TruncatedSVD(2, random_state=0))
    with changed("encoder__steps"):
        retriever.predict(["heat"])


def test_a_frozen_encoder_counts_by_what_it_learned():
    encoders = [lsa().fit(texts) for texts in (["heat flows", "cold rests"], ["cold rests", "rests flows"])]
    retriever = DenseRetriever(CORPUS, encoder=FrozenEstimator(encoders[0])).fit([])
    retriever.encoder.estimator = encoders[1]
    with changed("encoder__estimator"):
        retriever.predict(["heat"])
    retriever.encoder.estimator = copy.deepcopy(encoders[0])
    retriever.predict(["heat"])


def test_a_retriever_from_a_memory_map_knows_its_parameters(tmp_path):
    matrix = np.abs(np.random.default_rng(0).normal(size=(50, 4)))
    retriever = DenseRetriever(matrix, k=3).fit(None)
    joblib.dump(retriever, tmp_path / "r.joblib")
    again = joblib.load(tmp_path / "r.joblib", mmap_mode="r")
    assert again.predict(matrix[:2]).docids == retriever.predict(matrix[:2]).docids
    again.set_params(corpus=matrix).predict(matrix[:2])  # equal numbers
    again.set_params(corpus=matrix + 1)
    with changed("corpus"):
        again.predict(matrix[:2])


def test_a_clone_knows_nothing_of_the_fit():
    retriever = BM25Retriever(CORPUS, field="title").fit([])
    clone(retriever).set_params(field="text").fit([]).predict(["heat"])


def test_compositions_name_the_parameter_that_changed():
    union = RetrieverUnion([("bm25", BM25Retriever(CORPUS)), ("title", BM25Retriever(CORPUS, field="title"))])
    union.fit([]).set_params(bm25__k=1)
    with changed("bm25__k"):
        union.transform(["heat"])
    union.set_params(bm25__k=100).transform(["heat"])
    union.set_params(title="drop")
    with changed("retrievers"):
        union.transform(["heat"])
    feedback = RM3Retriever(BM25Retriever(CORPUS)).fit([]).set_params(retriever__b=0.5)
    with changed("retriever__b"):
        feedback.predict(["heat"])


def test_weights_of_fields_take_effect_at_once_unless_the_fields_are_others():
    retriever = BM25FRetriever(CORPUS).fit([])
    retriever.set_params(weights={"text": 1, "title": 2}).predict(["heat"])
    weights = {"title": 1}
    retriever.set_params(weights=weights)
    with changed("weights"):
        retriever.predict(["heat"])
    weights["text"] = 3
    retriever.predict(["heat"])


def test_a_model_file_that_moved_is_no_change_unless_its_content_is_another(tmp_path):
    first, second, other = (tmp_path / name for name in ("model.onnx", "moved.onnx", "other.onnx"))
    first.write_bytes(text_model())
    second.write_bytes(text_model())
    other.write_bytes(text_model(vectors=embeddings(seed=1)))
    retriever = DenseRetriever(CORPUS, encoder=OnnxTextEncoder(first, tokenizer=tokenizer())).fit([])
    run = retriever.predict(["heat"])
    for model in (second, str(second), second.read_bytes()):
        assert retriever.set_params(encoder__model=model).predict(["heat"]).scores.tolist() == run.scores.tolist()
    for model in (other, tmp_path / "missing.onnx"):
        retriever.set_params(encoder__model=model)
        with changed("encoder__model"):
            retriever.predict(["heat"])


def test_a_bad_value_has_its_own_error():
    retriever = DenseRetriever(np.eye(3)).fit(None).set_params(metric="manhattan")
    with pytest.raises(ValueError, match="The 'metric' parameter"):
        retriever.predict(np.eye(3))


@pytest.mark.parametrize("of", CLASSES, ids=lambda of: of.__name__)
def test_the_docstring_names_the_parameters_that_need_a_new_fit(of):
    refit = getattr(of, "_refit_parameters", ())
    if refit:
        (listed,) = re.findall(r"Parameters that need a new `fit`(?:, if it learns)?: ([^.]*)\.", inspect.getdoc(of))
        assert re.findall(r"`(\w+)`", listed) == list(refit)
    else:
        assert "No parameter needs a new `fit`." in inspect.getdoc(of)
    assert set(refit) <= set(inspect.signature(of).parameters)


@pytest.mark.parametrize(
    ("retriever", "wrong"),
    [
        (BM25Retriever(TEXTS), {"k1": -1}),
        (BM25Retriever(TEXTS), {"method": "bm26"}),
        (BM25Retriever(TEXTS), {"n_jobs": 1.5}),
        (BM25FRetriever(Corpus(TEXTS)), {"b": "high"}),
        (RM3Retriever(BM25Retriever(TEXTS)), {"n_terms": 0}),
        (RM3Retriever(BM25Retriever(TEXTS)), {"retriever_": BM25Retriever(TEXTS).fit(None).set_params(k1=-1)}),
    ],
)
def test_a_wrong_value_that_is_set_after_fit_is_an_error(retriever, wrong):
    retriever = clone(retriever).fit(None)
    retriever.predict(["heat"])
    for name, value in wrong.items():
        setattr(retriever, name, value)
    for call in (retriever.predict, partial(retriever.explain, docid="0")):
        with pytest.raises(ValueError, match="parameter of"):
            call(["heat"])


def test_parameters_are_validated_again_only_if_one_was_set(monkeypatch):
    retriever = BM25Retriever(TEXTS).fit(None)
    calls = []
    monkeypatch.setattr(BM25Retriever, "_validate_params", lambda self: calls.append(self.k1))
    retriever.predict(["heat"])
    assert calls == []
    for k1 in (0.5, 0.7):
        retriever.set_params(k1=k1)
        retriever.predict(["heat"]), retriever.predict(["cold"])
    assert calls == [0.5, 0.7]
    pickle.loads(pickle.dumps(retriever)).predict(["heat"])  # which holds other objects
    assert calls == [0.5, 0.7, 0.7]
