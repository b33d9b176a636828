"""Records what fastembed makes of fifty texts with MiniLM, which test_onnx_encoders.py compares with.

Dense vectors, and token vectors in ColBERT's way. Run ``python tests/record_fastembed.py DATA``, with fastembed at hand
and the folder of the test data; recorded with fastembed 0.9.1. Its ColBERT pipeline gives a model no token types that
fit its own marker tokens, so that they are made within the model.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

RECORD = Path(__file__).with_name("fastembed.npz")
N_FEATURES = 16  # of each token vector that are kept


def recorded_texts(scifact):
    """Forty claims, and the beginnings of ten abstracts."""
    return [*scifact.queries.texts[:40], *(text[:600] for text in scifact.corpus.text()[:10])]


def main(data):
    import onnx
    from fastembed import LateInteractionTextEmbedding, TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    from sklrank.datasets import read_beir

    texts = recorded_texts(read_beir(data / "scifact"))
    model = data / "models" / "all-minilm-l6-v2"
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {
            "config.json": {"pad_token_id": 0},
            "tokenizer_config.json": {"model_max_length": 256, "pad_token": "[PAD]"},
            "special_tokens_map.json": {"mask_token": "[MASK]"},
        }.items():
            (Path(folder) / name).write_text(json.dumps(content))
        shutil.copy(model / "tokenizer.json", folder)
        proto = onnx.load(model / "model_int8.onnx")
        proto.graph.input.remove(next(value for value in proto.graph.input if value.name == "token_type_ids"))
        proto.graph.node.insert(0, onnx.helper.make_node("Sub", ["input_ids", "input_ids"], ["token_type_ids"]))
        onnx.save(proto, Path(folder) / "model.onnx")
        source = ModelSource(hf="none")
        TextEmbedding.add_custom_model("minilm", PoolingType.MEAN, True, source, 384, model_file="model.onnx")
        dense = np.array(list(TextEmbedding("minilm", specific_model_path=folder).embed(texts)))
        late = LateInteractionTextEmbedding("colbert-ir/colbertv2.0", specific_model_path=folder)
        queries = [vectors[:, :N_FEATURES] for text in texts[:8] for vectors in late.query_embed(text)]
        documents = [vectors[:, :N_FEATURES] for vectors in late.embed(texts[-4:])]
    np.savez_compressed(
        RECORD,
        dense=dense,
        queries=np.concatenate(queries),
        query_lengths=list(map(len, queries)),
        documents=np.concatenate(documents),
        document_lengths=list(map(len, documents)),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
