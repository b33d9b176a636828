"""Small ONNX models and tokenizers: what real ones do, in kilobytes and milliseconds."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from sklrank.encoders import wordpiece_tokenizer

WORDS = "heat transfer laminar flow flows over a flat plate wing lift query document the of and in is cold warm".split()
LETTERS = [*"bcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789")]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,!?-'", *WORDS, *LETTERS]
N_FEATURES = 8
SPECIAL = 5


def tokenizer(vocabulary=VOCABULARY):
    """WordPiece over the small vocabulary."""
    return wordpiece_tokenizer(vocabulary)


def embeddings(n_features=N_FEATURES, seed=0):
    """A vector a token; those of special tokens are short."""
    vectors = np.random.default_rng(seed).normal(size=(len(VOCABULARY), n_features)).astype(np.float32)
    vectors[:SPECIAL] *= 0.1
    return vectors


def plain_session(model):
    """A model, open without sklrank, that gives the same values on CPUs with and without VNNI."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def hidden_reference(ids, vectors, attended=None):
    """What `text_model` makes of the tokens of one text: each token's vector, plus the mean of those attended to."""
    context = vectors[ids[: len(ids) if attended is None else attended]].mean(axis=0)
    return vectors[ids] + 0.5 * context


def text_model(
    kind="hidden",
    *,
    vectors=None,
    types=True,
    mask=True,
    positions=None,
    integer=TensorProto.INT64,
    shape=("batch", "tokens"),
    double=False,
    external=None,
):
    """Bytes of a model over texts.

    `kind` is what it gives: "hidden" (last_hidden_state), "pooled" (sentence_embedding), "both", "logits" (of terms),
    "weights" (of terms, pooled) or "score" (one number a row). `positions` is how many it has, None for any number.
    `external` is the name of a file for the weights.
    """
    vectors = embeddings() if vectors is None else vectors
    n_features = vectors.shape[1]
    names = ["input_ids", *(["attention_mask"] if mask else []), *(["token_type_ids"] if types else [])]
    inputs = [helper.make_tensor_value_info(name, integer, list(shape)) for name in names]
    initializers = [
        numpy_helper.from_array(vectors, "vectors"),
        numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "middle"),
        numpy_helper.from_array(np.array(0.5, dtype=np.float32), "half"),
        numpy_helper.from_array(np.linspace(-1, 1, n_features, dtype=np.float32)[:, None], "head"),
        numpy_helper.from_array(np.ascontiguousarray(vectors.T), "terms"),
        numpy_helper.from_array(np.array(8.0, dtype=np.float32), "bias"),
    ]
    node = helper.make_node
    nodes = [node("Gather", ["vectors", "input_ids"], ["tokens"])]
    if mask:
        nodes += [
            node("Cast", ["attention_mask"], ["mask2"], to=TensorProto.FLOAT),
            node("Unsqueeze", ["mask2", "last"], ["mask3"]),
            node("Mul", ["tokens", "mask3"], ["masked"]),
            node("ReduceSum", ["masked", "middle"], ["total"], keepdims=1),
            node("ReduceSum", ["mask3", "middle"], ["count"], keepdims=1),
            node("Div", ["total", "count"], ["context"]),
        ]
    else:
        nodes += [node("ReduceMean", ["tokens"], ["context"], axes=[1], keepdims=1)]
    nodes += [node("Mul", ["context", "half"], ["share"]), node("Add", ["tokens", "share"], ["in_context"])]
    last = "in_context"
    if types:  # a second text is shifted
        nodes += [
            node("Cast", ["token_type_ids"], ["types2"], to=TensorProto.FLOAT),
            node("Unsqueeze", ["types2", "last"], ["types3"]),
            node("Add", [last, "types3"], ["typed"]),
        ]
        last = "typed"
    if positions is not None:
        table = np.zeros((positions, n_features), dtype=np.float32)
        initializers.append(numpy_helper.from_array(table, "positions"))
        nodes += [
            node("Shape", ["input_ids"], ["n_tokens"], start=1, end=2),
            node("Squeeze", ["n_tokens"], ["n"]),
            node("Range", ["zero", "n", "one"], ["range"]),
            node("Gather", ["positions", "range"], ["placed"]),
            node("Add", [last, "placed"], ["positioned"]),
        ]
        initializers += [numpy_helper.from_array(np.array(i, dtype=np.int64), n) for i, n in enumerate(("zero", "one"))]
        last = "positioned"
    kinds = {
        "hidden": [("last_hidden_state", [*shape, n_features])],
        "pooled": [("sentence_embedding", [shape[0], n_features])],
        "both": [("sentence_embedding", [shape[0], n_features]), ("last_hidden_state", [*shape, n_features])],
        "logits": [("logits", [*shape, len(vectors)])],
        "weights": [("weights", [shape[0], len(vectors)])],
        "score": [("logits", [shape[0], 1])],
    }
    outputs = kinds[kind]
    if kind in ("hidden", "both"):
        nodes.append(node("Identity", [last], ["last_hidden_state"]))
    if kind in ("pooled", "both", "score"):
        nodes += [node("Add", ["context", "share"], ["pooled3"]), node("Squeeze", ["pooled3", "middle"], ["pooled"])]
        if kind == "score":
            nodes += [
                node("Mul", [last, "mask3"], ["read"]),
                node("ReduceSum", ["read", "middle"], ["sum3"], keepdims=1),
                node("Div", ["sum3", "count"], ["mean3"]),
                node("Squeeze", ["mean3", "middle"], ["mean"]),
                node("Add", ["pooled", "mean"], ["mixed"]),
                node("MatMul", ["mixed", "head"], ["logits"]),
            ]
        else:
            nodes.append(node("Identity", ["pooled"], ["sentence_embedding"]))
    if kind in ("logits", "weights"):
        nodes += [node("MatMul", [last, "terms"], ["product"]), node("Sub", ["product", "bias"], ["shifted"])]
        if kind == "logits":
            nodes.append(node("Identity", ["shifted"], ["logits"]))
        else:
            nodes += [
                node("Relu", ["shifted"], ["positive"]),
                node("Mul", ["positive", "mask3"], ["attended"]),
                node("ReduceMax", ["attended"], ["weights"], axes=[1], keepdims=0),
            ]
    number = TensorProto.FLOAT
    if double:
        number = TensorProto.DOUBLE
        nodes = [*nodes[:-1], _renamed(nodes[-1]), node("Cast", ["single"], [outputs[-1][0]], to=number)]
    values = [helper.make_tensor_value_info(name, number, list(dimensions)) for name, dimensions in outputs]
    graph = helper.make_graph(nodes, "text", inputs, values, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    if external:
        onnx.external_data_helper.convert_model_to_external_data(
            model, all_tensors_to_one_file=True, location=external, size_threshold=256
        )
        return model
    return model.SerializeToString()


def _renamed(node):
    node.output[0] = "single"
    return node


def write_models(folder):
    """What the examples of the documentation name: model.onnx, splade.onnx, cross-encoder.onnx, tokenizer.json."""
    (folder / "model.onnx").write_bytes(text_model())
    (folder / "splade.onnx").write_bytes(text_model("logits"))
    (folder / "cross-encoder.onnx").write_bytes(text_model("score"))
    tokenizer().save(str(folder / "tokenizer.json"))
