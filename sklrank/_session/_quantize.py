"""Models in fewer bits."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sklrank._optional import optional_import
from sklrank._session._model import TextModel

_SAMPLE = (
    "Heat transfer in laminar flow over a flat plate.",
    "What is the capital of France?",
    "The court held that the contract was void, since neither party had signed it.",
    "How do I reset a forgotten password?",
    "Mutations of the gene were found in eleven of forty patients, and in none of the controls.",
    "The quick brown fox jumps over the lazy dog.",
    "Shares fell by 4.5% on Tuesday after the company cut its forecast for the year.",
    "def add(a, b): return a + b",
)


@dataclass(frozen=True)
class Quantization:
    """What `quantize` wrote, and how far it is from the model it was made of.

    Attributes
    ----------
    path : str
        The new model.
    kind : str
        "int8" or "fp16".
    n_bytes_before, n_bytes : int
        Size of the files.
    max_difference : float
        Greatest difference between two numbers that the models give for the sample.
    mean_difference : float
        Mean difference.
    cosine : float
        Least cosine between two vectors (rows of the output) for the sample; nan where the output is one number.

    Examples
    --------
    >>> from sklrank.encoders import quantize
    >>> report = quantize("model.onnx", "model-fp16.onnx", "fp16")
    >>> report.kind, report.n_bytes < report.n_bytes_before
    ('fp16', True)
    """

    path: str
    kind: str
    n_bytes_before: int
    n_bytes: int
    max_difference: float
    mean_difference: float
    cosine: float

    def __str__(self):
        cosine = "" if np.isnan(self.cosine) else f", cosine at least {self.cosine:.4f}"
        return (
            f"{self.path}: {self.kind}, {self.n_bytes_before / 1e6:.1f} -> {self.n_bytes / 1e6:.1f} MB; on the sample "
            f"outputs differ by {self.mean_difference:.2g} on average, {self.max_difference:.2g} at most{cosine}"
        )


def quantize(model, to, kind="int8", *, tokenizer=None, sample=None, output=None):
    """Write a model in fewer bits, and measure what that changes.

    What "int8" writes is for CPUs: weights of matrix products are stored in 8 bits, one scale a column, and activations
    are scaled as they come. "fp16" is for GPUs: weights and activations in half precision; inputs and outputs stay as
    they were.

    Parameters
    ----------
    model : path or bytes
        The ONNX model, in single precision.
    to : path
        The file to write.
    kind : {"int8", "fp16"}, default="int8"
        How many bits, of what.
    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        The model's tokenizer. None takes the ``tokenizer.json`` beside the model, or in the folder above.
    sample : list of str or of pairs of str, default=None
        Texts on which the two models are compared: those that it will read. None: eight English sentences.
    output : str, default=None
        Name of the output that is compared. None: the first.

    Returns
    -------
    Quantization
        What was written, and the drift.

    Examples
    --------
    >>> from sklrank.encoders import quantize
    >>> report = quantize("splade.onnx", "splade-fp16.onnx", "fp16", sample=["heat transfer", "laminar flow"])
    >>> report.max_difference < 0.05, report.cosine > 0.999
    (True, True)
    """
    if kind not in ("int8", "fp16"):
        raise ValueError(f"kind is 'int8' or 'fp16', got {kind!r}")
    onnx = optional_import("onnx", extra="export")
    source = bytes(model) if isinstance(model, (bytes, bytearray)) else os.fspath(model)
    before = TextModel(source, tokenizer, device="cpu")
    proto = onnx.load_model_from_string(source) if isinstance(source, bytes) else onnx.load(source)
    to = Path(to)
    if kind == "int8":
        quantization = optional_import("onnxruntime.quantization", extra="onnx")
        quantization.quantize_dynamic(
            proto,
            to,
            op_types_to_quantize=["MatMul", "Gather"],
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
        )
    else:
        converter = optional_import("onnxruntime.transformers.float16", extra="onnx")
        onnx.save(converter.convert_float_to_float16(proto, keep_io_types=True), to)
    after = TextModel(str(to), before.tokenizer, device="cpu")
    maximum, mean, cosine = _drift(before, after, list(_SAMPLE if sample is None else sample), output)
    n_bytes_before = len(source) if isinstance(source, bytes) else os.path.getsize(source)
    return Quantization(str(to), kind, n_bytes_before, os.path.getsize(to), maximum, mean, cosine)


def _drift(before, after, sample, output):
    """Greatest and mean difference, and least cosine, of what two models make of texts, one text at a time."""
    if not sample:
        raise ValueError("sample= is empty: there is nothing to compare the models on")
    name = output or next(iter(before.open.outputs))
    if name not in before.open.outputs:
        raise ValueError(f"output={name!r} is none of the model's: {before.open.signature()}")
    pairs = not isinstance(sample[0], str)
    differences, cosines = [], []
    for text in sample:
        if pairs:
            rows = before.tokenizer.pair_maker([text[0]], [text[1]], before.max_length)([0])
        else:
            rows = before.tokenizer.rows([text], before.max_length)
        first, second = (model._run(rows, [0], [name])[0].astype(np.float64) for model in (before, after))
        differences.append(np.abs(first - second).ravel())
        first, second = (value.reshape(-1, value.shape[-1]) for value in (first, second))
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        lengths[lengths == 0] = 1
        cosines.append(((first * second).sum(axis=1) / lengths).min() if first.shape[1] > 1 else np.nan)
    differences = np.concatenate(differences)
    return float(differences.max()), float(differences.mean()), float(min(cosines))
