"""Conversion of models to fewer bits."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sklrank._optional import optional_import
from sklrank._session._model import TextModel
from sklrank._session._source import Source

MOST_LABELS = 16  # maximum number of outputs of a cross-encoder; longer outputs are vectors
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
    """Report of `quantize`: the new model, and its differences from the original.

    Attributes
    ----------
    path : str
        Path of the new model.
    kind : str
        Kind of the new model, "int8" or "fp16".
    n_bytes_before, n_bytes : int
        Size of the files before and after, weights beside the model included.
    max_difference : float
        Maximum difference between the outputs of the two models for the sample.
    mean_difference : float
        Mean difference between the outputs.
    cosine : float
        Minimum cosine between the vectors (rows of the output) of the two models for the sample; nan if the output is
        one number.

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
        cosine = ""
        if not np.isnan(self.cosine):
            cosine = f", cosine at least {self.cosine:.4f}"
        return (
            f"{self.path}: {self.kind}, {self.n_bytes_before / 1e6:.1f} -> {self.n_bytes / 1e6:.1f} MB; on the sample "
            f"outputs differ by {self.mean_difference:.2g} on average, {self.max_difference:.2g} at most{cosine}"
        )


def quantize(model, to, kind="int8", *, tokenizer=None, sample=None, output=None):
    """Convert a model to fewer bits, and measure the differences.

    "int8" is for CPUs. Weights of matrix products are stored in 8 bits, with one scale per column, and activations are
    scaled at run time. Weights use half of the range, so that the model gives the same values on CPUs with and without
    VNNI. "fp16" is for GPUs. Weights and activations have half precision, and inputs and outputs keep their types.

    Parameters
    ----------
    model : path, bytes or InferenceSession
        ONNX model. It must be in single precision.
    to : path
        File to write.
    kind : {"int8", "fp16"}, default="int8"
        Kind of numbers in the new model.
    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        Tokenizer of the model. If None, the ``tokenizer.json`` beside the model is used, or the one in the folder
        above.
    sample : list of str or of pairs of str, default=None
        Texts on which the two models are compared. Give texts such as the model will read. If None, eight English
        sentences are used, or pairs of them if the model returns a few numbers per text, as a cross-encoder does.
    output : str, default=None
        Name of the model output to use. It is the output that is compared. If None, the first one is compared.

    Returns
    -------
    report : Quantization
        The new model, and its differences from the original.

    Examples
    --------
    >>> from sklrank.encoders import quantize
    >>> report = quantize("splade.onnx", "splade-fp16.onnx", "fp16", sample=["heat transfer", "laminar flow"])
    >>> report.max_difference < 0.05, report.cosine > 0.999
    (True, True)
    """
    if kind not in ("int8", "fp16"):
        raise ValueError(f"expected kind to be 'int8' or 'fp16', got {kind!r}")
    onnx = optional_import("onnx", extra="onnx")
    source = Source(model)
    if source.value is None:
        raise ValueError("this open session does not know its path or bytes: give the model's path instead")
    model = TextModel(source.value, tokenizer, device="cpu")
    name = output or next(iter(model.open.outputs))
    if name not in model.open.outputs:
        raise ValueError(f"output={name!r} is not an output of the model. {model.open.signature()}")
    rows = _rows(model, name, sample)
    before = _values(model, rows, name)
    proto, n_bytes_before = _loaded(onnx, source)
    to = Path(to)
    if kind == "int8":
        quantization = optional_import("onnxruntime.quantization", extra="onnx")
        proto.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")  # avoids a warning
        quantization.quantize_dynamic(
            proto,
            to,
            op_types_to_quantize=["MatMul", "Gather"],
            per_channel=True,
            reduce_range=True,  # 7 bits per weight, so that products do not overflow on CPUs without VNNI
            weight_type=quantization.QuantType.QInt8,
        )
    else:
        converter = optional_import("onnxruntime.transformers.float16", extra="onnx")
        onnx.save(converter.convert_float_to_float16(proto, keep_io_types=True), to)
    after = _values(TextModel(str(to), model.tokenizer, device="cpu"), rows, name)
    return Quantization(str(to), kind, n_bytes_before, os.path.getsize(to), *_drift(before, after))


def _loaded(onnx, source):
    """Return a model in single precision, and the size of its files."""
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
        raise ValueError(f"{source.describe()} has fewer bits already: give the model in single precision")
    return proto, n_bytes


def _rows(model, output, sample):
    """Return the rows of the sample. Each text, or pair of texts, is read by itself."""
    if sample is None:
        sample, shape = _SAMPLE, model.probe([output])[0].shape
        if len(shape) == 1 or len(shape) == 2 and shape[1] <= MOST_LABELS:
            sample = zip(_SAMPLE, _SAMPLE[1:])
    inputs = list(map(_parts_of, sample))
    if not inputs:
        raise ValueError("expected texts in sample=, on which to compare the models, got none")
    for i, parts in enumerate(inputs):
        listed = isinstance(parts, (list, tuple)) and all(isinstance(text, str) for text in parts)
        if isinstance(sample, str) or not listed or not 1 <= len(parts) <= 2 or len(parts) != len(inputs[0]):
            raise ValueError(f"expected sample to be a list of texts, or of pairs of texts, got {sample!r:.60}")
        if any("\ud800" <= character <= "\udfff" for text in parts for character in text):
            raise ValueError(f"sample {i} has a lone surrogate, which is not a character")
    if len(inputs[0]) == 1:
        return [model.tokenizer.rows(parts, model.max_length) for parts in inputs]
    return [model.tokenizer.pair_maker(parts[:1], parts[1:], model.max_length)([0]) for parts in inputs]


def _parts_of(text):
    """Return the texts of an input: of one text a list with it, of a pair both."""
    if isinstance(text, str):
        return [text]
    return text


def _values(model, rows, output):
    return [model.run(of_text, [0], [output])[0].astype(np.float64) for of_text in rows]


def _drift(before, after):
    """Return the maximum and mean difference, and the minimum cosine, of the outputs of two models."""
    differences, cosines = [], []
    for first, second in zip(before, after):
        differences.append(np.abs(first - second).ravel())
        first, second = (value.reshape(-1, value.shape[-1]) for value in (first, second))
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        lengths[lengths == 0] = 1
        cosine = np.nan
        if first.shape[1] > 1:
            cosine = ((first * second).sum(axis=1) / lengths).min()
        cosines.append(cosine)
    differences = np.concatenate(differences)
    return float(differences.max()), float(differences.mean()), float(min(cosines))
