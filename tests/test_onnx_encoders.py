"""Encoders over ONNX models: against references on small models, against known figures on real ones."""

import json
import pickle
import sqlite3
import string
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_models import VOCABULARY, embeddings, hidden_reference, plain_session, text_model, tokenizer
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from tokenizers import Tokenizer

from sklrank import Corpus, Qrels, Queries
from sklrank._caching.keys import estimator_key
from sklrank.data import StringArray
from sklrank.encoders import OnnxSparseEncoder, OnnxTextEncoder, OnnxTokenEncoder, quantize, wordpiece_tokenizer
from sklrank.metrics import ndcg_score
from sklrank.rerankers import Cutoff
from sklrank.retrievers import DenseRetriever

TEXTS = [
    "heat transfer",
    "",
    "Laminar flow over a flat plate.",
    "wing, lift!",
    "日本 שלום عربى naïve",
    "heat of it " * 30,
]
ENCODERS = {
    "text": lambda **options: OnnxTextEncoder(text_model(), **{"tokenizer": tokenizer(), **options}),
    "sparse": lambda **options: OnnxSparseEncoder(text_model("logits"), **{"tokenizer": tokenizer(), **options}),
    "weights": lambda **options: OnnxSparseEncoder(text_model("weights"), **{"tokenizer": tokenizer(), **options}),
    "document": lambda **options: OnnxTokenEncoder(text_model(), **{"tokenizer": tokenizer(), **options}),
    "query": lambda **options: OnnxTokenEncoder(text_model(), **{"role": "query", "tokenizer": tokenizer(), **options}),
}


@pytest.fixture(params=ENCODERS.values(), ids=ENCODERS)
def make(request):
    return request.param


def arrays(encoded):
    """What an encoder gave, as arrays."""
    if sparse.issparse(encoded):
        return encoded.data, encoded.indices, encoded.indptr
    return (encoded.values, encoded.indptr) if hasattr(encoded, "indptr") else (encoded,)


def same(first, second, atol=0.0):
    pairs = list(zip(arrays(first), arrays(second), strict=True))
    return all(a.shape == b.shape and a.dtype == b.dtype and np.allclose(a, b, rtol=0, atol=atol) for a, b in pairs)


def reference_hidden(text, max_length=512, extra=()):
    """Tokens of one text, and what the model makes of them, one text at a time and without any batch."""
    given = tokenizer()
    given.enable_truncation(max_length)
    ids = [*given.encode(text).ids, *extra]
    return ids, hidden_reference(ids, embeddings(), len(ids) - len(extra))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


# --- dense


@pytest.mark.parametrize("max_length", [512, 16])
@pytest.mark.parametrize("pooling", ["auto", "mean", "cls", "last"])
def test_text_vectors_equal_the_reference(pooling, max_length):
    found = ENCODERS["text"](pooling=pooling, max_length=max_length).transform(TEXTS)
    pool = {"cls": lambda hidden: hidden[0], "last": lambda hidden: hidden[-1]}.get(pooling, lambda h: h.mean(axis=0))
    expected = [unit(pool(reference_hidden(text, max_length)[1])) for text in TEXTS]
    assert found.dtype == np.float32 and np.allclose(found, expected, atol=1e-6)


def test_a_model_may_pool_itself():
    pooled = OnnxTextEncoder(text_model("pooled"), tokenizer=tokenizer())
    both = OnnxTextEncoder(text_model("both"), tokenizer=tokenizer())
    named = OnnxTextEncoder(text_model("both"), tokenizer=tokenizer(), output="sentence_embedding")
    assert same(pooled.transform(TEXTS), named.transform(TEXTS), atol=1e-6)
    assert same(both.transform(TEXTS), ENCODERS["text"]().transform(TEXTS), atol=1e-6)
    with pytest.raises(ValueError, match=r"needs an output of numbers in 3 dimensions. .*sentence_embedding of shape"):
        pooled.set_params(pooling="mean").fit()
    with pytest.raises(ValueError, match="output='vector' is not an output of the model"):
        OnnxTextEncoder(text_model(), tokenizer=tokenizer(), output="vector").fit()


def test_models_of_another_task_are_named():
    for make in (OnnxTextEncoder, OnnxTokenEncoder):
        with pytest.raises(ValueError, match="logits has 92 columns, one for each of the tokenizer's 92 tokens"):
            make(text_model("logits"), tokenizer=tokenizer()).fit()
        chosen = make(text_model("logits"), tokenizer=tokenizer(), output="logits").transform(TEXTS)
        assert arrays(chosen)[0].shape[1] == len(VOCABULARY)
    with pytest.raises(ValueError, match="weights has 92 columns.* use an OnnxSparseEncoder"):
        OnnxTextEncoder(text_model("weights"), tokenizer=tokenizer()).fit()
    for output in (None, "logits"):
        with pytest.raises(ValueError, match="logits is one number per text, .* use it in a CrossEncoderReranker"):
            OnnxTextEncoder(text_model("score"), tokenizer=tokenizer(), output=output).fit()


def test_prefix_dimensions_and_length_of_the_vectors():
    make = ENCODERS["text"]
    assert same(make(prefix="query: ").transform(["wing"]), make().transform(["query: wing"]))
    plain = make(normalize=False).transform(TEXTS)
    assert not np.allclose(np.linalg.norm(plain, axis=1), 1)
    short = make(truncate_dim=3).transform(TEXTS)
    assert np.allclose(short, unit(plain[:, :3]), atol=1e-6)
    assert make(truncate_dim=3).fit().get_feature_names_out().tolist() == [f"onnxtextencoder{i}" for i in range(3)]
    with pytest.raises(ValueError, match="truncate_dim= of at most 8, .*, got 9"):
        make(truncate_dim=9).fit()


def test_zero_vectors_stay_zero():
    encoder = OnnxTextEncoder(text_model(vectors=np.zeros((len(VOCABULARY), 4), np.float32)), tokenizer=tokenizer())
    assert not encoder.transform(["heat"]).any()


# --- sparse


def test_sparse_weights_equal_the_reference():
    found = ENCODERS["sparse"]().transform(TEXTS)
    assert isinstance(found, sparse.csr_array) and found.shape == (len(TEXTS), len(VOCABULARY))
    assert found.has_canonical_format and found.data.min() > 0 and found.dtype == np.float32
    for row, text in zip(found.toarray(), TEXTS):
        logits = reference_hidden(text)[1] @ embeddings().T - 8
        assert np.allclose(row, np.log1p(np.maximum(logits, 0)).max(axis=0), atol=1e-5)


def test_weights_that_the_model_pooled_are_taken_as_they_are():
    found = ENCODERS["weights"]().transform(TEXTS)
    assert np.allclose(np.log1p(found.toarray()), ENCODERS["sparse"]().transform(TEXTS).toarray(), atol=1e-5)


def test_terms_are_the_tokens():
    names = ENCODERS["sparse"]().get_feature_names_out()
    assert names.tolist() == VOCABULARY
    small = [token for token in VOCABULARY if not token.startswith("##")]
    with pytest.warns(UserWarning, match=f"the tokenizer has {len(small)} tokens, and .* has a token 64"):
        names = OnnxSparseEncoder(text_model("logits"), tokenizer=tokenizer(small)).fit().get_feature_names_out()
    assert names[-1] == f"term{len(VOCABULARY) - 1}"
    names = OnnxSparseEncoder(text_model("logits"), tokenizer=lambda texts: [[2, 3]] * len(texts))
    assert names.get_feature_names_out()[-1] == f"term{len(VOCABULARY) - 1}"
    with pytest.raises(
        ValueError, match=f"a column for each of the tokenizer's {len(VOCABULARY)} tokens, got .* with 8"
    ):
        OnnxSparseEncoder(text_model(), tokenizer=tokenizer()).fit()


# --- token vectors


def test_document_tokens_equal_the_reference():
    found = ENCODERS["document"]().transform(TEXTS)
    punctuation = [VOCABULARY.index(c) for c in ".,!?-'"]
    for matrix, text in zip(found, TEXTS, strict=True):
        ids, hidden = reference_hidden(text)
        assert np.allclose(matrix, unit(hidden[~np.isin(ids, punctuation)]), atol=1e-5)
    whole = ENCODERS["document"](skip_punctuation=False, normalize=False).transform(TEXTS)
    assert np.allclose(whole[3], reference_hidden(TEXTS[3])[1], atol=1e-5)


def test_queries_are_expanded_by_masks():
    found = ENCODERS["query"](query_length=12).transform(TEXTS)
    for matrix, text in zip(found, TEXTS):
        n_tokens = len(reference_hidden(text)[0])
        extra = [VOCABULARY.index("[MASK]")] * max(12 - n_tokens, 0)
        assert np.allclose(matrix, unit(reference_hidden(text, extra=extra)[1]), atol=1e-5)
        assert len(matrix) == max(12, n_tokens)  # a longer one is kept whole
    attended = ENCODERS["query"](query_length=12, attend_to_expansion=True).transform(["heat"])
    assert not np.allclose(attended[0], found[0][:12])
    assert [len(m) for m in ENCODERS["query"](query_length=None).transform(["heat", ""])] == [3, 2]


@pytest.mark.filterwarnings("always")
def test_queries_are_not_cut_in_silence(recwarn):
    encoder = ENCODERS["query"](max_length=6, query_length=4, marker="[UNK]")
    assert [len(matrix) for matrix in encoder.transform(["heat flow wing", "heat"])] == [6, 4]
    assert not recwarn
    with pytest.warns(
        UserWarning, match="queries of more than max_length=6 tokens were cut, such as 'heat flow wing it'"
    ):
        found = encoder.transform(["heat flow wing it", "heat", "wing"])
    assert same(found, encoder.transform(["heat flow wing", "heat", "wing"]), atol=1e-6)
    recwarn.clear()
    ENCODERS["document"](max_length=6).transform(["heat flow wing it is"])
    assert not recwarn


def test_markers_stand_behind_the_first_token():
    encoder = ENCODERS["query"](marker="[UNK]", query_length=None)
    assert np.allclose(encoder.transform(["heat"]).values, unit(vectors_of("[CLS] [UNK] heat [SEP]")), atol=1e-5)
    assert len(ENCODERS["document"](marker="[UNK]", max_length=6).transform(["heat " * 9])[0]) == 6


def vectors_of(tokens):
    return hidden_reference([VOCABULARY.index(token) for token in tokens.split()], embeddings())


def test_special_tokens_may_be_left_out():
    found = ENCODERS["query"](special_tokens=False, query_length=None).transform(["heat", "", "heat, wing"])
    assert [len(matrix) for matrix in found] == [1, 0, 3]
    assert np.allclose(found[0], unit(vectors_of("[CLS] heat [SEP]"))[1:2], atol=1e-5)


def test_token_encoders_need_tokens():
    def function(texts):
        return [[2, 5, 3] for _ in texts]

    plain = {"skip_punctuation": False, "query_length": None}
    assert len(OnnxTokenEncoder(text_model(), tokenizer=function, **plain).transform(["x"])[0]) == 3
    for options, message in (
        ({"role": "query"}, "query_length= needs a tokenizers.Tokenizer"),
        ({"marker": "[Q]", **plain}, "marker= needs a tokenizers.Tokenizer"),
        ({}, "skip_punctuation=True needs a tokenizers.Tokenizer"),
        ({**plain, "special_tokens": False}, "special_tokens=False needs a tokenizers.Tokenizer"),
    ):
        with pytest.raises(ValueError, match=message):
            OnnxTokenEncoder(text_model(), tokenizer=function, **options).fit()
    unmasked = tokenizer([*VOCABULARY[:4], "[NONE]", *VOCABULARY[5:]])
    with pytest.raises(ValueError, match=r"needs a token \[MASK\] or <mask>"):
        ENCODERS["query"](tokenizer=unmasked).fit()
    with pytest.raises(ValueError, match=r"marker= .*needs a token \[Q\]"):
        ENCODERS["query"](marker="[Q]").fit()


# --- all of them


def test_texts_do_not_see_each_other(make):
    encoder = make().fit()
    found = encoder.transform(TEXTS)
    order = [3, 0, 5, 0, 2]
    assert same(encoder.transform([TEXTS[i] for i in order]), found[order], atol=1e-6)
    for max_tokens in (1, 40, 100_000):
        assert same(make(max_tokens_per_batch=max_tokens).transform(TEXTS), found, atol=1e-6)
    assert same(make(n_jobs=2).transform(TEXTS), found, atol=1e-6)
    assert same(encoder.transform(TEXTS), found)


def test_every_form_of_texts_is_the_same(make):
    encoder = make()
    found = encoder.transform(TEXTS)
    for texts in (
        tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, dtype=object), iter(TEXTS), Queries(TEXTS), Corpus(TEXTS),
        StringArray.from_strings(TEXTS), {f"d{i}": text for i, text in enumerate(TEXTS)},
    ):  # fmt: skip
        assert same(encoder.transform(texts), found)
    assert encoder.transform([]).shape[0] == 0
    assert arrays(encoder.transform([]))[0].dtype == np.float32


def test_what_is_no_text(make):
    encoder = make()
    with pytest.raises(ValueError, match="text 1 holds a lone surrogate"):
        encoder.transform(["heat", "he\ud800at"])
    with pytest.raises(TypeError, match="text 1 is None"):
        encoder.transform(["heat", None])
    with pytest.raises(ValueError, match="got one str"):
        encoder.transform("heat")
    with pytest.raises(ValueError, match=r"of shape \(1, 1\)"):
        encoder.transform(np.array([["heat"]]))


@pytest.mark.filterwarnings("ignore:queries of more than max_length")
def test_hostile_texts(make):
    texts = ["x" * 100_000, "heat " * 20_000, "\x00\ufeff\u200f", "שלום عليكم", "日本語" * 300, "🦆" * 50, " \n\t "]
    found = make(max_length=64).transform(texts)
    assert found.shape[0] == len(texts) and all(np.isfinite(array).all() for array in arrays(found))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ENCODERS)
def test_what_is_no_number_is_an_error(name, value):
    vectors = embeddings()
    vectors[VOCABULARY.index("wing")] = value
    content = text_model({"sparse": "logits", "weights": "weights"}.get(name, "hidden"), vectors=vectors)
    encoder = ENCODERS[name]().set_params(model=content)
    if name in ("sparse", "weights"):  # the term itself is a column, of every text
        with pytest.raises(ValueError, match=r"returns NaN or infinity for text 0, 'heat transfer'.*single precision"):
            encoder.transform(["heat transfer"])
        return
    assert encoder.transform(["heat transfer"]).shape[0] == 1
    with pytest.raises(ValueError, match=r"returns NaN or infinity for text 1, 'wing, lift!'.*single precision"):
        encoder.transform(["heat transfer", "wing, lift!"])


def test_pickles_and_clones_open_the_model_again(make, tmp_path):
    encoder = make().fit()
    found = encoder.transform(TEXTS)
    again = pickle.loads(pickle.dumps(encoder))
    assert not hasattr(again, "_model") and same(again.transform(TEXTS), found)
    path = tmp_path / "model.onnx"
    path.write_bytes(encoder.model)
    for model in (str(path), onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])):
        encoder = make().set_params(model=model)
        copy = clone(encoder)
        assert copy.model is model and copy.tokenizer is encoder.tokenizer and not hasattr(copy, "_model")
        again = pickle.loads(pickle.dumps(copy.fit()))
        assert again.model == str(path) and same(again.transform(TEXTS), found)


def test_models_in_bytes_print_as_their_size(tmp_path):
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    given = (tmp_path / "tokenizer.json").read_bytes()
    for content in (bytes(3_000_000), bytearray(3_000_000), memoryview(bytes(3_000_000))):
        encoder = OnnxTextEncoder(content, tokenizer=given)
        assert encoder.model is content and clone(encoder).model is content
        assert repr(encoder) == "OnnxTextEncoder(model=<bytes: 3.0 MB>, tokenizer=<bytes: 0.0 MB>)"
        for one in (
            clone(encoder),
            pickle.loads(pickle.dumps(encoder)),
            OnnxTextEncoder("model.onnx").set_params(model=content),
            OnnxTextEncoder(**encoder.get_params()),
            clone(OnnxTextEncoder(**encoder.get_params())),
            make_pipeline(encoder),
            GridSearchCV(make_pipeline(encoder), {"onnxtextencoder__model": [content]}).estimator,
        ):
            assert "=<bytes: 3.0 MB>" in repr(one) and len(repr(one)) < 200
            assert "&lt;bytes: 3.0 MB&gt;" in one._repr_mimebundle_()["text/html"]
        with pytest.raises(ValueError, match="ONNX Runtime cannot open the model of 3000000 bytes"):
            encoder.fit()
        with pytest.raises(ValueError, match="Got <bytes: 3.0 MB> instead"):
            encoder.set_params(prefix=content).fit()
    expected = ENCODERS["text"]().transform(TEXTS)
    encoder = OnnxTextEncoder(bytearray(text_model()), tokenizer=bytearray(given))
    for one in (encoder, OnnxTextEncoder(**encoder.get_params()), pickle.loads(pickle.dumps(encoder))):
        assert same(one.transform(TEXTS), expected)
    assert repr(Cutoff(3, tokenizer=given)) == "Cutoff(threshold=3, tokenizer=<bytes: 0.0 MB>)"
    session = onnxruntime.InferenceSession(text_model(), providers=["CPUExecutionProvider"])
    assert "=<bytes: 0.0 MB>" in repr(pickle.loads(pickle.dumps(OnnxTextEncoder(session))))


def test_a_file_that_changed_is_another_encoder(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(text_model())
    key = estimator_key(OnnxTextEncoder(str(path)))
    assert estimator_key(OnnxTextEncoder(str(path))) == key
    path.write_bytes(text_model("both"))
    assert estimator_key(OnnxTextEncoder(str(path))) != key
    beside = tmp_path / "tokenizer.json"
    for given in (beside, str(beside), None):
        tokenizer().save(str(beside))
        key = estimator_key(OnnxTextEncoder(path, tokenizer=given))
        tokenizer(VOCABULARY[:-1]).save(str(beside))
        assert estimator_key(OnnxTextEncoder(path, tokenizer=given)) != key


def test_what_an_encoder_runs_on_makes_no_other_encoder(make, tmp_path):
    key = estimator_key(make())
    for means in ({"n_jobs": 2}, {"verbose": True}, {"device": "cpu"}, {"cache_folder": tmp_path}):
        assert estimator_key(make().set_params(**means)) == key
    assert estimator_key(make().fit()) == key
    assert estimator_key(make().set_params(prefix="query: ")) != key


def test_pickles_are_read_in_another_folder(make, tmp_path, monkeypatch):
    encoder = make()
    (tmp_path / "m.onnx").write_bytes(encoder.model)
    tokenizer().save(str(tmp_path / "t.json"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    models = ("m.onnx", Path("m.onnx"), session)
    written = [pickle.dumps(make(tokenizer="t.json").set_params(model=model)) for model in models]
    monkeypatch.chdir(tmp_path / "elsewhere")
    for content in written:
        assert same(pickle.loads(content).transform(TEXTS), encoder.transform(TEXTS))


def test_fit_says_what_is_wrong_with_parameters(make):
    for options, message in (
        ({"max_length": 0}, "'max_length' parameter"),
        ({"prefix": None}, "'prefix' parameter"),
        ({"device": "tpu"}, "expected device to be 'auto'"),
        ({"device": "cpu", "providers": ["CPUExecutionProvider"]}, "got both"),
        ({"max_tokens_per_batch": 0}, "'max_tokens_per_batch' parameter"),
        ({"model": 3}, "'model' parameter"),
    ):
        with pytest.raises(ValueError, match=message):
            make().set_params(**options).fit()
    with pytest.raises(RuntimeError, match=r"cannot start.*sklrank\[onnx-gpu\]"):
        make(device="cuda").fit()
    assert make().fit().device_ == "cpu"


@pytest.mark.filterwarnings("ignore:queries of more than max_length")
def test_parameters_that_change_open_the_model_again(make, tmp_path):
    encoder = make(cache_folder=tmp_path)
    found = encoder.transform(TEXTS)
    for changes in ({"prefix": "a flat "}, {"max_length": 6}, {"prefix": "", "max_length": 512}):
        encoder.set_params(**changes)
        parameters = encoder.get_params()
        expected = make(**{name: parameters[name] for name in ("prefix", "max_length")}).transform(TEXTS)
        assert same(encoder.transform(TEXTS), expected, atol=1e-6)
        assert same(encoder.transform(TEXTS), expected, atol=1e-6)  # from the cache
    assert same(encoder.transform(TEXTS), found)
    model = encoder._model
    assert encoder.transform(TEXTS[:1]).shape[0] == 1 and encoder._model is model
    for changes, error in (
        ({"model": str(tmp_path / "none.onnx")}, FileNotFoundError),
        ({"prefix": None}, ValueError),
        ({"output": "nothing"}, ValueError),
    ):
        before = {name: encoder.get_params()[name] for name in changes}
        with pytest.raises(error):
            encoder.set_params(**changes).transform(TEXTS)
        assert same(encoder.set_params(**before).transform(TEXTS), found)


def test_what_failed_to_open_leaves_nothing_behind():
    encoder = ENCODERS["text"](pooling="cls").fit()
    found = encoder.transform(TEXTS)
    with pytest.raises(ValueError, match="truncate_dim=.*got 99"):
        encoder.set_params(pooling="mean", truncate_dim=99).transform(TEXTS)
    assert same(encoder.set_params(pooling="cls", truncate_dim=None).transform(TEXTS), found)


def test_threads_may_share_an_encoder(make):
    encoder = make()
    found = make().transform(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        assert all(same(other, found, atol=1e-6) for other in pool.map(lambda _: encoder.transform(TEXTS), range(16)))


def test_encoders_need_no_fit_and_pass_for_fitted(make):
    assert same(FrozenEstimator(make()).transform(TEXTS), make().fit(TEXTS).transform(TEXTS))
    assert same(make_pipeline(make()).transform(TEXTS), make().transform(TEXTS))


# --- kept on disk


def test_vectors_are_kept_by_content(make, tmp_path, monkeypatch):
    encoder = make(cache_folder=tmp_path / "cache")
    found = encoder.transform([*TEXTS, TEXTS[0]])
    assert same(found, make().transform([*TEXTS, TEXTS[0]]), atol=1e-6)
    encoded = []
    run = type(encoder)._encode
    monkeypatch.setattr(type(encoder), "_encode", lambda self, t, report: encoded.extend(t) or run(self, t, report))
    assert same(pickle.loads(pickle.dumps(encoder)).transform([*TEXTS, TEXTS[0]]), found)
    assert encoded == []
    assert same(encoder.transform(["wing", *TEXTS[:2], "wing"])[1:3], found[:2])
    assert encoded == ["wing"]
    make(cache_folder=tmp_path / "cache", max_length=16).transform(["wing"])  # other settings, other vectors
    assert encoded == ["wing", "wing"]
    assert encoder.transform([]).shape[0] == 0
    with pytest.raises(ValueError, match="whose content is known, got a function"):
        make(cache_folder=tmp_path, tokenizer=lambda texts: [[2, 3]] * len(texts)).set_params(
            **({"skip_punctuation": False, "query_length": None} if "role" in encoder.get_params() else {})
        ).transform(["wing"])


def test_a_cache_that_is_none_says_where_it_is(tmp_path):
    encoder = ENCODERS["text"](cache_folder=tmp_path)
    found = encoder.transform(TEXTS)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    for damaged in (b"no database" * 100, content[:5000] + bytes(len(content) - 5000)):
        file.write_bytes(damaged)
        with pytest.raises(
            RuntimeError, match=f"the results in '{file}' cannot be read .*: .*If the file is damaged, delete it"
        ):
            encoder.transform(TEXTS)
    file.unlink()
    assert same(encoder.transform(TEXTS), found)
    with pytest.raises(NotADirectoryError, match=f"expected cache_folder= to be a folder, got the file '{file}'"):
        ENCODERS["text"](cache_folder=file).transform(TEXTS)


def test_a_damaged_value_of_the_cache_is_named_and_made_anew(make, tmp_path):
    encoder = make(cache_folder=tmp_path)
    found = encoder.transform(TEXTS)
    (file,) = tmp_path.iterdir()
    with closing(sqlite3.connect(file)) as connection, connection:
        (key, value), *_ = connection.execute("SELECT key, value FROM encoded")
        connection.execute("UPDATE encoded SET value = ? WHERE key = ?", (bytes(len(value)), key))
    with pytest.warns(UserWarning, match=f"'{file}' is damaged: its results of 1 texts are computed again"):
        assert same(encoder.transform(TEXTS), found, atol=1e-6)
    assert same(encoder.transform(TEXTS), found, atol=1e-6)


def test_a_cache_that_cannot_be_written_is_read(tmp_path, monkeypatch):
    encoder = ENCODERS["text"](cache_folder=tmp_path)
    found = encoder.transform(TEXTS[:3])
    connect = sqlite3.connect

    def read_only(address, **options):
        return connect(address.replace("mode=rwc", "mode=ro").replace("mode=rw", "mode=ro"), **options)

    monkeypatch.setattr("sklrank.encoders._onnx_store.sqlite3.connect", read_only)
    assert same(encoder.transform(TEXTS)[:3], found)
    assert same(ENCODERS["text"](cache_folder=tmp_path, max_length=16).transform(TEXTS[:3]), found)


def test_a_relative_cache_folder_is_the_same_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encoder = ENCODERS["text"](cache_folder="kept")
    again = pickle.loads(pickle.dumps(encoder))
    assert encoder.cache_folder == "kept" and again.cache_folder == str(tmp_path / "kept")


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("sklrank.encoders._onnx._BLOCK", 2)
    encoder = OnnxTextEncoder(text_model(), tokenizer=tokenizer(), cache_folder=tmp_path)
    run = OnnxTextEncoder._encode
    encoded = []

    def stop(self, texts, report):
        if len(encoded) == 4:
            raise KeyboardInterrupt
        encoded.extend(texts)
        return run(self, texts, report)

    monkeypatch.setattr(OnnxTextEncoder, "_encode", stop)
    with pytest.raises(KeyboardInterrupt):
        encoder.transform(TEXTS)
    (file,) = tmp_path.iterdir()
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM encoded").fetchone() == (4,)
    connection.close()
    monkeypatch.setattr(OnnxTextEncoder, "_encode", run)
    assert same(encoder.transform(TEXTS), ENCODERS["text"]().transform(TEXTS), atol=1e-6)


# --- progress


def test_verbose_prints_how_far_it_is(make, capsys, tmp_path):
    encoder = make(verbose=True)
    encoder.transform(TEXTS)
    assert f"[{type(encoder).__name__}] encoded 6 of 6 texts" in capsys.readouterr().out
    make(verbose=True, cache_folder=tmp_path).transform(TEXTS)
    assert "encoded 6 of 6 texts" in capsys.readouterr().out
    make().transform(TEXTS)
    assert not capsys.readouterr().out


class Counter:
    """A callback that counts."""

    def __init__(self):
        self.begun, self.ended, self.calls = [], [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.begun.append((context.task_name, context.max_subtasks))

    def on_fit_task_end(self, estimator, context):
        self.ended.append((context.task_name, context.max_subtasks))


def test_callbacks_hear_how_far_it_is(make):
    encoder = make(max_tokens_per_batch=1)
    if not hasattr(encoder, "set_callbacks"):
        return  # scikit-learn 1.8
    counter = Counter()
    encoder.set_callbacks(counter).transform(TEXTS)
    assert counter.calls == ["setup", "teardown"]
    assert counter.begun == [("encoded", 6)] + [("step", 0)] * 6
    assert counter.ended == [("step", 0)] * 6 + [("encoded", 6)]
    counter = Counter()
    encoder.set_callbacks(counter).transform(TEXTS * 50)
    assert len(counter.ended) == 101


# --- in company


def test_a_grid_search_in_two_processes():
    texts, labels = ["heat transfer", "laminar flow", "wing lift", "warm heat"] * 5, [0, 1, 1, 0] * 5
    encoder = OnnxTextEncoder(text_model(), tokenizer=tokenizer()).fit()
    search = GridSearchCV(
        make_pipeline(encoder, NearestCentroid()), {"onnxtextencoder__pooling": ["mean", "cls"]}, cv=2
    )
    search.set_params(n_jobs=2, error_score="raise").fit(texts, labels)
    assert search.best_params_ == {"onnxtextencoder__pooling": "mean"} and search.best_score_ == 1


def test_a_retriever_tunes_its_encoder():
    corpus = Corpus({f"d{i}": text for i, text in enumerate(TEXTS * 3)})
    queries = Queries({f"q{i}": text for i, text in enumerate(["heat", "flow plate", "wing", "it"])})
    qrels = Qrels({f"q{i}": {"d0": 1, f"d{i}": 2} for i in range(4)})
    retriever = DenseRetriever(corpus, encoder=OnnxTextEncoder(text_model(), tokenizer=tokenizer()), k=5)
    search = GridSearchCV(retriever, {"encoder__pooling": ["mean", "cls"]}, cv=2, error_score="raise")
    assert search.fit(queries, qrels).best_estimator_.predict(queries).shape == (4, 18)


def test_from_a_repository(tmp_path):
    from test_session import SENTENCE_TRANSFORMERS, write_repository

    write_repository(tmp_path, SENTENCE_TRANSFORMERS)
    encoder = OnnxTextEncoder.from_hub(str(tmp_path), prompt="query")
    assert (encoder.pooling, encoder.normalize, encoder.max_length, encoder.prefix) == ("cls", True, 24, "query: ")
    expected = ENCODERS["text"](pooling="cls", max_length=24, prefix="query: ").transform(TEXTS)
    assert same(encoder.transform(TEXTS), expected, atol=1e-6)
    assert OnnxTextEncoder.from_hub(str(tmp_path), pooling="mean", max_length=9).get_params()["pooling"] == "mean"
    modules = '[{"type": "models.Transformer", "path": ""}, {"type": "models.Dense", "path": "2_Dense"}]'
    (tmp_path / "modules.json").write_text(modules)
    with pytest.raises(ValueError, match="Transformer -> Dense, and its ONNX file may lack Dense"):
        OnnxTextEncoder.from_hub(str(tmp_path))
    assert OnnxTextEncoder.from_hub(str(tmp_path), output="last_hidden_state").output == "last_hidden_state"
    assert OnnxSparseEncoder.from_hub(str(tmp_path), max_length=5).max_length == 5


@pytest.mark.parametrize(
    ("changes", "options", "expected"),
    [
        ({"default_prompt_name": "query"}, {}, {"prefix": "query: "}),
        ({"default_prompt_name": "query"}, {"prefix": ""}, {"prefix": ""}),
        ({"default_prompt_name": "query"}, {"prompt": "document"}, {"prefix": ""}),
        ({"default_prompt_name": "passage"}, {}, "no prompt 'passage'"),
        ({}, {"prompt": "query", "prefix": "q: "}, "got both: 'query' and 'q: '"),
        ({"pooling_mode": "max"}, {}, "expected one pooling among"),
        ({"pooling_mode": "max"}, {"pooling": "cls"}, {"pooling": "cls"}),
        ({"pooling_mode": "mean", "include_prompt": False}, {}, {"pooling": "mean"}),
        ({"pooling_mode": "mean", "include_prompt": False}, {"prompt": "query"}, "include_prompt is false"),
        (
            {"pooling_mode": "mean", "include_prompt": False},
            {"prompt": "query", "pooling": "mean"},
            {"pooling": "mean", "prefix": "query: "},
        ),
        ({"pooling_mode": "cls", "include_prompt": False}, {"prompt": "query"}, {"pooling": "cls"}),
        ({"do_lower_case": True}, {}, {"pooling": "cls"}),
        ({"do_lower_case": True, "cased": True}, {}, "do_lower_case.* Give a tokenizer= that does"),
        ({"do_lower_case": True, "cased": True}, {"tokenizer": tokenizer()}, {"pooling": "cls"}),
    ],
    ids=str,
)
def test_settings_of_a_repository_are_kept_or_refused(tmp_path, changes, options, expected):
    from test_session import SENTENCE_TRANSFORMERS, write_repository

    changes = dict(changes)
    prompts = {
        "prompts": {"query": "query: ", "document": ""},
        "default_prompt_name": changes.pop("default_prompt_name", None),
    }
    pooling = {
        "pooling_mode": changes.pop("pooling_mode", "cls"),
        "include_prompt": changes.pop("include_prompt", True),
    }
    files = {
        **SENTENCE_TRANSFORMERS,
        "config_sentence_transformers.json": json.dumps(prompts),
        "1_Pooling/config.json": json.dumps(pooling),
        "sentence_bert_config.json": json.dumps({"do_lower_case": changes.pop("do_lower_case", False)}),
    }
    write_repository(tmp_path, files)
    if changes.pop("cased", False):
        wordpiece_tokenizer(VOCABULARY, lowercase=False).save(str(tmp_path / "tokenizer.json"))
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            OnnxTextEncoder.from_hub(str(tmp_path), **options)
        return
    found = OnnxTextEncoder.from_hub(str(tmp_path), **options).get_params()
    assert {name: found[name] for name in expected} == expected


def test_settings_of_late_interaction_models_are_kept_or_refused(tmp_path):
    from test_session import write_repository

    settings = {"query_length": 9, "document_length": 30, "skiplist_words": list(string.punctuation)}
    modules = [{"type": "models.Transformer", "path": ""}, {"type": "models.Dense", "path": "1_Dense"}]
    files = {"onnx/model.onnx": text_model(), "modules.json": json.dumps(modules)}

    def write(**changes):
        content = json.dumps({**settings, **changes})
        write_repository(tmp_path, {**files, "config_sentence_transformers.json": content})

    write()
    (tmp_path / "1_Dense").mkdir()
    (tmp_path / "1_Dense/config.json").write_text('{"in_features": 16, "out_features": 8}')
    assert OnnxTokenEncoder.from_hub(str(tmp_path)).skip_punctuation
    (tmp_path / "1_Dense/config.json").write_text('{"in_features": 8, "out_features": 4}')
    with pytest.raises(ValueError, match="of 4 dimensions by a dense layer, and onnx/model.onnx returns 8"):
        OnnxTokenEncoder.from_hub(str(tmp_path))
    (tmp_path / "1_Dense/config.json").unlink()
    with pytest.raises(ValueError, match="of unknown dimensions by a dense layer, and onnx/model.onnx returns 8"):
        OnnxTokenEncoder.from_hub(str(tmp_path))
    chosen = {"output": "last_hidden_state"}
    assert OnnxTokenEncoder.from_hub(str(tmp_path), **chosen).output == "last_hidden_state"
    write(skiplist_words=[])
    assert not OnnxTokenEncoder.from_hub(str(tmp_path), **chosen).skip_punctuation
    write(skiplist_words=["the", "."])
    with pytest.raises(
        ValueError, match=r"\['\.', 'the'\] out of documents \(skiplist_words\).*skip_punctuation=True or"
    ):
        OnnxTokenEncoder.from_hub(str(tmp_path), **chosen)
    assert OnnxTokenEncoder.from_hub(str(tmp_path), skip_punctuation=True, **chosen).skip_punctuation
    assert OnnxTokenEncoder.from_hub(str(tmp_path), role="query", **chosen).query_length == 9


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        (
            "config_sentence_transformers.json",
            '{"query_prefix": "[UNK]", "document_prefix": "[MASK]", "query_length": 9, "document_length": 30,'
            ' "do_query_expansion": true, "attend_to_expansion_tokens": true}',
            {"marker": "[UNK]", "query_length": 9, "attend_to_expansion": True, "max_length": 9},
        ),
        (
            "artifact.metadata",
            '{"query_token_id": "[unused0]", "doc_token_id": "[unused1]", "query_maxlen": 32, "doc_maxlen": 180,'
            ' "mask_punctuation": true, "attend_to_mask_tokens": false}',
            {"marker": "[unused0]", "query_length": 32, "attend_to_expansion": False, "max_length": 32},
        ),
        ("config.json", "{}", {"marker": None, "query_length": 32, "max_length": 512}),
    ],
)
def test_late_interaction_models_from_a_repository(tmp_path, file, content, expected):
    from test_session import write_repository

    write_repository(tmp_path, {"onnx/model.onnx": text_model(), file: content})
    found = OnnxTokenEncoder.from_hub(str(tmp_path), role="query").get_params()
    assert {name: found[name] for name in expected} == expected
    found = OnnxTokenEncoder.from_hub(str(tmp_path)).get_params()
    assert found["role"] == "document" and found["skip_punctuation"]


# --- real models


@pytest.fixture(scope="module")
def abstracts(data_dir):
    from sklrank.datasets import read_beir

    return read_beir(data_dir / "scifact")


def real(data_dir, name, kind, **options):
    folder = data_dir / "models" / name
    return kind(folder / "model_int8.onnx", tokenizer=folder / "tokenizer.json", max_length=256, **options)


def test_minilm_equals_its_pipeline(data_dir, abstracts):
    texts = [*abstracts.corpus.text()[:2].tolist(), *abstracts.queries.texts[:5], "", "שלום 日本", "word " * 400]
    session = plain_session(str(data_dir / "models/all-minilm-l6-v2/model_int8.onnx"))
    plain = Tokenizer.from_file(str(data_dir / "models/all-minilm-l6-v2/tokenizer.json"))
    plain.no_padding()
    plain.enable_truncation(256)
    expected = []
    for text in texts:
        encoding = plain.encode(text)
        names = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        (hidden,) = session.run(None, {name: np.array([getattr(encoding, key)]) for name, key in names.items()})
        expected.append(unit(hidden[0].mean(axis=0)))
    found = real(data_dir, "all-minilm-l6-v2", OnnxTextEncoder).transform(texts)
    assert np.abs(found - np.array(expected)).max() < 1e-5


def test_fifty_texts_are_encoded_as_by_fastembed(data_dir, abstracts):
    from record_fastembed import N_FEATURES, RECORD, recorded_texts

    texts, recorded = recorded_texts(abstracts), np.load(RECORD)
    dense = real(data_dir, "all-minilm-l6-v2", OnnxTextEncoder).transform(texts)
    assert dense.shape == (50, 384) and np.abs(dense - recorded["dense"]).max() < 1e-4
    late = {"role": "query", "marker": "[unused0]", "normalize": False}
    queries = real(data_dir, "all-minilm-l6-v2", OnnxTokenEncoder, **late).transform(texts[:8])
    documents = real(data_dir, "all-minilm-l6-v2", OnnxTokenEncoder, marker="[unused1]").transform(texts[-4:])
    for found, name in ((queries, "query"), (documents, "document")):
        assert np.diff(found.indptr).tolist() == recorded[f"{name}_lengths"].tolist()
    assert np.abs(queries.values[:, :N_FEATURES] - recorded["queries"]).max() < 1e-4
    assert np.abs(documents.values[:, :N_FEATURES] - recorded["documents"]).max() < 1e-4


def test_minilm_ranks_as_published_on_a_part_of_scifact(data_dir, abstracts):
    # the judged documents of some queries, and as many others
    queries, qrels = abstracts.queries[:20], abstracts.qrels.align(abstracts.queries)[:20]
    rows = np.unique(np.concatenate([qrels.rows, np.arange(0, 5183, 250)]))
    encoder = real(data_dir, "all-minilm-l6-v2", OnnxTextEncoder).set_params(max_length=64)
    scores = encoder.transform(queries) @ encoder.transform(abstracts.corpus.text()[rows]).T
    docids = abstracts.corpus.docids(rows)
    run = {qid: dict(zip(docids, row.tolist())) for qid, row in zip(queries.ids, scores)}
    assert ndcg_score(qrels.to_dict(), run, k=10) > 0.9


def test_splade_expands_terms(data_dir):
    encoder = real(data_dir, "splade-tiny", OnnxSparseEncoder)
    weights = encoder.transform(["heat transfer in laminar flow", "", "heat transfer in laminar flow"])
    assert weights.shape == (3, 30522)
    assert (weights[[0]] != weights[[2]]).nnz == 0
    terms = encoder.get_feature_names_out()[weights[[0]].indices[np.argsort(-weights[[0]].data)]]
    assert {"heat", "transfer"} <= set(terms[:6].tolist())
    alone = encoder.transform(["heat transfer in laminar flow"])
    assert same(alone, weights[[0]])


def test_splade_logits_become_the_weights_that_the_model_pools_itself(data_dir):
    # The published file ends in its own relu, log, mask and maximum. Here it ends before them.
    file = data_dir / "models/splade-tiny/model_int8.onnx"
    model = onnx.load(file)
    (relu,) = (node for node in model.graph.node if node.op_type == "Relu" and node.output[0] == "/Relu_output_0")
    logits = onnx.helper.make_tensor_value_info(relu.input[0], onnx.TensorProto.FLOAT, ["batch", "tokens", 30522])
    model.graph.output.remove(model.graph.output[0])
    model.graph.output.append(logits)
    found = OnnxSparseEncoder(model.SerializeToString(), tokenizer=file.parent / "tokenizer.json").fit()
    assert found._output == relu.input[0]
    texts = ["heat transfer in laminar flow", "", "The wing stalls, at low speed.", "שלום 日本", "word " * 600]
    weights, expected = found.transform(texts), OnnxSparseEncoder(file).transform(texts)
    assert expected.nnz > 20 and same(weights, expected, atol=1e-5)


def test_tokens_of_minilm_serve_late_interaction(data_dir):
    documents = real(data_dir, "all-minilm-l6-v2", OnnxTokenEncoder).transform(["Heat flows.", "The wing stalls."])
    query = real(
        data_dir, "all-minilm-l6-v2", OnnxTokenEncoder, role="query", query_length=None, special_tokens=False
    ).transform(["heat flux"])
    assert [len(matrix) for matrix in documents] == [4, 5] and query.n_features == 384
    scores = [(query[0] @ matrix.T).max(axis=1).sum() for matrix in documents]
    assert scores[0] > scores[1]


def test_a_tokenizer_of_another_model_is_named(data_dir):
    small = OnnxTextEncoder(text_model(), tokenizer=data_dir / "models/splade-tiny/tokenizer.json")
    with pytest.raises(ValueError, match="the tokenizer does not belong to the model: it has 30522 tokens"):
        small.fit()


def test_int8_of_a_real_model_reads_one_text_at_a_time(data_dir, tmp_path):
    encoder = real(data_dir, "cross-encoder-tiny", OnnxTextEncoder)
    with pytest.raises(ValueError, match="returns logits of shape"):
        encoder.set_params(pooling="cls").fit()
    report = quantize(text_model("logits"), tmp_path / "m.onnx", tokenizer=tokenizer())
    found = OnnxTextEncoder(report.path, tokenizer=tokenizer(), output="logits").fit()
    assert found._model.budget([found._output])[1] == 1
    assert (found.transform(TEXTS)[2:3] == found.transform(TEXTS[2:3])).all()
