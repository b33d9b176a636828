"""Where estimators run: ONNX Runtime's GPU wheel on a machine whose CUDA does not start."""

import warnings
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from onnx_models import embeddings, text_model, tokenizer
from sklearn.base import clone

from sklrank import Corpus, Run
from sklrank._session import _device as devices
from sklrank.encoders import OnnxSparseEncoder, OnnxTextEncoder, OnnxTokenEncoder
from sklrank.rerankers import CrossEncoderReranker, MaxSimReranker

CPU = ["CPUExecutionProvider"]


@pytest.fixture
def without_driver(monkeypatch):
    """The GPU wheel where there is no driver: it offers CUDA, and opens models on the CPU without a word."""

    def no_driver(name, *_, **__):
        raise OSError(f"{name}: cannot open shared object file")

    wheel = SimpleNamespace(**vars(onnxruntime))
    wheel.get_available_providers = lambda: [devices.CUDA, *CPU]
    wheel.InferenceSession = lambda source, options, providers: onnxruntime.InferenceSession(
        source, options, providers=CPU
    )
    monkeypatch.setattr(devices, "optional_import", lambda *_, **__: wheel)
    monkeypatch.setattr(devices, "_WARNED", set())
    monkeypatch.setattr(devices.ctypes, "CDLL", no_driver)


def estimators(seed, **parameters):
    """One of each kind, over models that no other test has opened."""
    parameters = {"tokenizer": tokenizer(), **parameters}
    vectors = embeddings(seed=seed)
    return [
        OnnxTextEncoder(text_model(vectors=vectors), **parameters),
        OnnxSparseEncoder(text_model("logits", vectors=vectors), **parameters),
        OnnxTokenEncoder(text_model("both", vectors=vectors), **parameters),
        CrossEncoderReranker(text_model("score", vectors=vectors), **parameters),
    ]


def fitted(estimator):
    return estimator.fit(Run([["0"]], corpus=Corpus(["heat"]), queries=["heat"]))


def test_one_warning_for_all_estimators(without_driver):
    first, *others = estimators(seed=101)
    with pytest.warns(
        RuntimeWarning, match=r"models run on the CPU, because CUDA does not start: there is no NVIDIA driver"
    ):
        vectors = fitted(first).transform(["heat transfer"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [fitted(other).device_ for other in (first, *others, clone(first))] == ["cpu"] * 5
    expected = OnnxTextEncoder(first.model, tokenizer=tokenizer(), providers=CPU).transform(["heat transfer"])
    assert np.array_equal(vectors, expected)


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_cuda_that_was_asked_for_raises(without_driver, device):
    for estimator in estimators(seed=102, device=device):
        with pytest.raises(RuntimeError, match=f"device='{device}' cannot start: there is no NVIDIA driver .*R580"):
            fitted(estimator)


def test_providers_and_the_cpu_say_nothing(without_driver):
    for parameters in ({"providers": CPU}, {"device": "cpu"}):
        assert {fitted(estimator).device_ for estimator in estimators(seed=103, **parameters)} == {"cpu"}


def test_what_fell_back_is_scored_on_the_cpu(without_driver):
    encoder = estimators(seed=104)[2]
    run = Run([["0", "1"]], corpus=Corpus(["heat transfer", "cold wing"]), queries=["a wing"])
    with pytest.warns(RuntimeWarning, match="run on the CPU"):
        new = MaxSimReranker(encoder).transform(run)
    assert new.docids == [["1", "0"]]
