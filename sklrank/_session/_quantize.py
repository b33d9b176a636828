"""Models in fewer bits."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sklrank._optional import optional_import
from sklrank._session._model import TextModel
from sklrank._session._source import Source

MOST_LABELS = 16  # beyond, an output is no score of a cross-encoder but a vector
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
        Size of the files, weights beside the model included.
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
    are scaled as they come. Weights use half of the range, so that the model gives the same values on CPUs with and
    without VNNI. "fp16" is for GPUs: weights and activations in half precision; inputs and outputs stay as
    they were.

    Parameters
    ----------
    model : path, bytes or InferenceSession
        The ONNX model, in single precision.
    to : path
        The file to write.
    kind : {"int8", "fp16"}, default="int8"
        How many bits, of what.
    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        The model's tokenizer. None takes the ``tokenizer.json`` beside the model, or in the folder above.
    sample : list of str or of pairs of str, default=None
        Texts on which the two models are compared: those that it will read. None: eight English sentences, or pairs of
        them for a model that gives a few numbers a text, a cross-encoder.
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
    onnx = optional_import("onnx", extra="onnx")
    source = Source(model)
    if source.value is None:
        raise ValueError("of this open session neither path nor bytes are known: give the model's path instead")
    model = TextModel(source.value, tokenizer, device="cpu")
    name = output or next(iter(model.open.outputs))
    if name not in model.open.outputs:
        raise ValueError(f"output={name!r} is none of the model's: {model.open.signature()}")
    rows = _rows(model, name, sample)
    before = _values(model, rows, name)
    proto, n_bytes_before = _loaded(onnx, source)
    to = Path(to)
    if kind == "int8":
        quantization = optional_import("onnxruntime.quantization", extra="onnx")
        proto.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")  # else it asks for that
        quantization.quantize_dynamic(
            proto,
            to,
            op_types_to_quantize=["MatMul", "Gather"],
            per_channel=True,
            reduce_range=True,  # 7 bits of a weight, whose products do not overflow on CPUs without VNNI
            weight_type=quantization.QuantType.QInt8,
        )
    else:
        converter = optional_import("onnxruntime.transformers.float16", extra="onnx")
        onnx.save(converter.convert_float_to_float16(proto, keep_io_types=True), to)
    after = _values(TextModel(str(to), model.tokenizer, device="cpu"), rows, name)
    return Quantization(str(to), kind, n_bytes_before, os.path.getsize(to), *_drift(before, after))


def _loaded(onnx, source):
    """A model in single precision, and the size of its files."""
    if isinstance(source.value, bytes):
        proto, n_bytes = onnx.load_model_from_string(source.value), len(source.value)
    else:
        folder = os.path.dirname(source.value)
        proto = onnx.load(source.value, load_external_data=False)
        entries = [entry for tensor in proto.graph.initializer for entry in tensor.external_data]
        beside = {os.path.join(folder, entry.value) for entry in entries if entry.key == "location"}
        n_bytes = sum(map(os.path.getsize, {source.value, *beside}))
        onnx.load_external_data_for_model(proto, folder)
    types = {tensor.data_type for tensor in proto.graph.initializer}
    fewer = types & {onnx.TensorProto.INT8, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
    if fewer or any("quantize" in node.op_type.lower() for node in proto.graph.node):
        raise ValueError(f"{source.describe()} is in fewer bits already: give the model in single precision")
    return proto, n_bytes


def _rows(model, output, sample):
    """What the models read: each text of the sample, or pair of texts, by itself."""
    if sample is None:
        shape = model.probe([output])[0].shape
        of_pairs = len(shape) == 1 or len(shape) == 2 and shape[1] <= MOST_LABELS
        sample = zip(_SAMPLE, _SAMPLE[1:]) if of_pairs else _SAMPLE
    texts = [sample] if isinstance(sample, str) else [[one] if isinstance(one, str) else one for one in sample]
    if not texts:
        raise ValueError("sample= is empty: there is nothing to compare the models on")
    for i, one in enumerate(texts):
        listed = isinstance(one, (list, tuple)) and all(isinstance(text, str) for text in one)
        if not listed or not 1 <= len(one) <= 2 or len(one) != len(texts[0]):
            raise ValueError(f"sample is a list of texts, or of pairs of texts, got {sample!r:.60}")
        if any("\ud800" <= character <= "\udfff" for text in one for character in text):
            raise ValueError(f"sample {i} holds a lone surrogate, which is no text")
    if len(texts[0]) == 1:
        return [model.tokenizer.rows(one, model.max_length) for one in texts]
    return [model.tokenizer.pair_maker(one[:1], one[1:], model.max_length)([0]) for one in texts]


def _values(model, rows, output):
    return [model.run(one, [0], [output])[0].astype(np.float64) for one in rows]


def _drift(before, after):
    """Greatest and mean difference, and least cosine, of what two models make of texts."""
    differences, cosines = [], []
    for first, second in zip(before, after):
        differences.append(np.abs(first - second).ravel())
        first, second = (value.reshape(-1, value.shape[-1]) for value in (first, second))
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        lengths[lengths == 0] = 1
        cosines.append(((first * second).sum(axis=1) / lengths).min() if first.shape[1] > 1 else np.nan)
    differences = np.concatenate(differences)
    return float(differences.max()), float(differences.mean()), float(min(cosines))
