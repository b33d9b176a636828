"""Encoding texts with an ONNX model, on one thread: all-MiniLM-L6-v2 over documents and queries of SciFact.

The peer is fastembed with the same model file, the same tokenizer and the same maximum length, at its defaults (batches
of 256 in the order of arrival), and over every tenth document at a batch size that suits it better, too; the vectors
are compared. All documents take minutes, so contenders take turns at 1024 of them. The work outside of `session.run`,
tokenizing included, is measured in CPU time, and padding is counted.
"""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

from benchmarks._harness import Row, interleave, require, seconds
from sklrank.datasets import read_beir
from sklrank.encoders import OnnxTextEncoder

MAX_LENGTH = 256
PART = 1024  # texts that a contender encodes at a turn, four batches of fastembed


def run(quick=False):
    """Yield the lines of the table."""
    data = os.environ.get("SKLRANK_TEST_DATA")
    if not data:
        raise SystemExit("this needs SciFact and MiniLM: set SKLRANK_TEST_DATA to the folder of the test data")
    scifact = read_beir(Path(data) / "scifact")
    model = Path(data) / "models" / "all-minilm-l6-v2"
    documents = scifact.corpus.text()[:: 80 if quick else 1].tolist()
    encoder = OnnxTextEncoder(
        model / "model_int8.onnx", tokenizer=model / "tokenizer.json", max_length=MAX_LENGTH
    ).fit()
    few = documents if quick else documents[::10]
    with tempfile.TemporaryDirectory() as folder:
        peer = fastembed_encoder(model, Path(folder))
        for what, texts, sizes in [
            ("documents", documents, (256,)),
            ("documents", few, (256, 8)),
            ("queries", scifact.queries.texts, (256, 8)),
        ]:
            yield from against_fastembed(f"{len(texts)} {what}", encoder, peer, texts, sizes)
    yield from overhead(encoder, few)
    yield from kept(encoder, few)


def fastembed_encoder(model, folder):
    """fastembed over the same files; those that it asks for beside them are made here."""
    shutil.copy(model / "model_int8.onnx", folder / "model.onnx")
    shutil.copy(model / "tokenizer.json", folder)
    (folder / "config.json").write_text(json.dumps({"pad_token_id": 0}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": MAX_LENGTH, "pad_token": "[PAD]"}))
    (folder / "special_tokens_map.json").write_text("{}")
    TextEmbedding.add_custom_model(
        "minilm", PoolingType.MEAN, True, ModelSource(hf="none"), 384, model_file="model.onnx"
    )
    return TextEmbedding("minilm", specific_model_path=str(folder), threads=1)


def against_fastembed(what, encoder, peer, texts, sizes):
    """The time for the same vectors."""
    parts = [texts[i : i + PART] for i in range(0, len(texts), PART)]
    vectors = {"sklrank": encoder.transform}
    for size in sizes:
        vectors[f"fastembed, batches of {size}"] = lambda part, size=size: np.array(
            list(peer.embed(part, batch_size=size))
        )
    made = {name: [] for name in vectors}

    def in_turns(name):
        return lambda: made[name].append(vectors[name](parts[len(made[name])]))

    turns = {name: in_turns(name) for name in vectors}
    times = interleave(turns, rounds=len(parts), warm_up=False, summary=sum)
    ours, expected = times.pop("sklrank"), np.concatenate(made.pop("sklrank"))
    for name, theirs in times.items():
        require(np.abs(np.concatenate(made[name]) - expected).max() < 1e-4, f"vectors of {what}, {name}")
        floor = 1.3 if len(texts) > 5000 else None  # asked of so many
        yield Row(f"encode {what}", seconds(ours), name, seconds(theirs), theirs / ours, floor=floor)


def overhead(encoder, texts):
    """What goes on beside the model, and how much of what it reads is padding."""
    opened = encoder._opened().open
    session, within, padded = opened.session, 0.0, 0

    class Timed:
        def run(self, outputs, feeds):
            nonlocal within, padded
            padded += feeds["input_ids"].size
            start = time.thread_time()
            try:
                return session.run(outputs, feeds)
            finally:
                within += time.thread_time() - start

    opened.session = Timed()
    start = time.process_time()
    encoder.transform(texts)
    share = 100 * (1 - within / (time.process_time() - start))
    opened.session = session
    yield Row("share of the time outside session.run", f"{share:.1f} %", value=share, limit=10, unit="%")
    real = sum(map(len, encoder._opened().tokenizer.rows(texts, MAX_LENGTH).ids))
    yield Row("tokens read over real tokens", f"{padded / real:.3f}", value=padded / real, limit=1.08)


def kept(encoder, texts):
    """Vectors that an earlier run left in a folder."""
    with tempfile.TemporaryDirectory() as folder:
        cached = OnnxTextEncoder(**{**encoder.get_params(), "cache_folder": folder})
        vectors = cached.transform(texts)
        times = interleave({"read": lambda: cached.transform(texts)}, rounds=5)
        require((cached.transform(texts) == vectors).all(), "vectors from the folder")
        yield Row(f"read {len(texts)} from cache_folder", seconds(times["read"]))
