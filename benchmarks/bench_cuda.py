"""GPU against CPU: whether results are equal, how busy the GPU is, and how much faster it is.

The model is all-MiniLM-L6-v2. As a cross-encoder it has a head of random numbers, because the measurements do not
depend on its weights. The CPU runs as many threads as there are cores, and one thread in MaxSim. `nvidia-smi` tells ten
times a second how busy the GPU is. Without a GPU, the only line of the table says that there is none.

This needs an environment of its own with the extra onnx-gpu and maxsim-cpu: other peers bring ONNX Runtime for CPUs,
which overwrites the one for GPUs.
"""

import os
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np

from benchmarks._harness import Row, interleave, megabytes, require, seconds
from benchmarks.bench_maxsim import make_tokens
from sklrank._maxsim import TokenIndex
from sklrank._session import DeviceTokens
from sklrank.datasets import read_beir
from sklrank.encoders import OnnxTextEncoder, OnnxTokenEncoder
from sklrank.rerankers import CrossEncoderReranker, MaxSimReranker
from sklrank.retrievers import BM25Retriever

DEVICE = "cuda:0"
MAX_LENGTH = 256
TOLERANCE = 1e-3
AT_LEAST = 5  # seconds to watch the GPU for


def run(quick=False):
    """Yield the lines of the table."""
    data = os.environ.get("SKLRANK_TEST_DATA")
    if not data:
        raise SystemExit("this needs SciFact and MiniLM: set SKLRANK_TEST_DATA to the folder of the test data")
    scifact, folder = read_beir(Path(data) / "scifact"), Path(data) / "models" / "all-minilm-l6-v2"
    model = (folder / "model_int8.onnx").read_bytes()
    shared = {"tokenizer": folder / "tokenizer.json", "max_length": MAX_LENGTH}
    try:
        OnnxTextEncoder(model, device=DEVICE, **shared).fit()
    except RuntimeError:
        yield Row("GPU", "none at hand: nothing was measured")
        return
    yield Row("GPU", smi("name", "-i", DEVICE.partition(":")[2]).stdout.read().strip())
    n_queries = 5 if quick else 50
    queries = scifact.queries[:n_queries]
    candidates = BM25Retriever(scifact.corpus, k=100).fit(queries).predict(queries)
    yield from encoding(model, scifact.corpus.text()[:: 80 if quick else 1].tolist(), shared)
    yield from cross_encoding(with_head(model), candidates, shared)
    yield from late_interaction(model, candidates, shared)
    for n, n_asked in ((1000, 1), (1000, 32)) if quick else ((1000, 1), (10_000, 1), (10_000, 32)):
        yield from maxsim(n, n_asked)


def smi(fields, *options):
    """nvidia-smi, writing `fields` line by line."""
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def with_head(model):
    """The model with one number for each text, from the vector of its first token."""
    import onnx

    model = onnx.load_model_from_string(model)
    head = np.random.default_rng(0).normal(size=(384, 1)).astype(np.float32) / 20
    model.graph.initializer.extend(
        [onnx.numpy_helper.from_array(np.array(0), "first"), onnx.numpy_helper.from_array(head, "head")]
    )
    model.graph.node.extend(
        [
            onnx.helper.make_node("Gather", ["last_hidden_state", "first"], ["summary"], axis=1),
            onnx.helper.make_node("MatMul", ["summary", "head"], ["logits"]),
        ]
    )
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 1]))
    return model.SerializeToString()


def equality(what, found, expected):
    """How far two results are from each other."""
    worst = float(np.abs(np.asarray(found, dtype=np.float64) - expected).max())
    return Row(f"{what}, difference from the CPU", f"{worst:.1e}", value=worst, limit=TOLERANCE)


def timed(call):
    start = time.perf_counter()
    value = call()
    return value, time.perf_counter() - start


def encoding(model, texts, shared):
    """Vectors of documents."""
    there = OnnxTextEncoder(model, device=DEVICE, **shared).fit()
    here = OnnxTextEncoder(model, device="cpu", n_jobs=-1, **shared).fit()
    some = texts[::10]
    expected, on_cpu = timed(lambda: here.transform(some))
    what = f"encode {len(texts)} documents"
    yield equality(what, there.transform(texts)[::10], expected)
    on_gpu = interleave({"gpu": lambda: there.transform(texts)}, rounds=3, clock=time.perf_counter)["gpu"]
    on_cpu *= len(texts) / len(some)
    yield Row(what, seconds(on_gpu), "CPU, from a part of them", seconds(on_cpu), on_cpu / on_gpu)


def cross_encoding(model, candidates, shared):
    """Scores of pairs, and how busy that keeps the GPU."""
    there, here = (
        CrossEncoderReranker(model, cache=0, device=device, n_jobs=n_jobs, **shared).fit(candidates)
        for device, n_jobs in ((DEVICE, None), ("cpu", -1))
    )
    few, n_pairs = candidates[: max(len(candidates) // 10, 1)], len(candidates.rows)
    what = f"cross-encode {n_pairs} pairs"
    expected, on_cpu = timed(lambda: here.transform(few))
    found = there.transform(few)
    places = [np.argsort(run.rows, kind="stable") for run in (found, expected)]  # the last bits may order otherwise
    require(np.array_equal(np.sort(found.rows), np.sort(expected.rows)), "candidates")
    yield equality(what, found.scores[places[0]], expected.scores[places[1]])
    watch, times = smi("utilization.gpu", "-i", DEVICE.partition(":")[2], "-lms", "100"), []
    while not times or sum(times) < AT_LEAST:
        times.append(timed(lambda: there.transform(candidates))[1])
    watch.terminate()
    busy = statistics.mean(map(int, watch.communicate()[0].split()))
    on_gpu, on_cpu = statistics.median(times), on_cpu * n_pairs / len(few.rows)
    yield Row(what, seconds(on_gpu), "CPU, from a part of them", seconds(on_cpu), on_cpu / on_gpu)
    yield Row(f"{what}, GPU busy", f"{busy:.0f} %", value=busy, least=85, unit="%")


def late_interaction(model, candidates, shared):
    """MaxSim on candidates, from text to ranking; document tokens are encoded before."""
    corpus = candidates.corpus
    documents = OnnxTokenEncoder(model, device=DEVICE, special_tokens=False, **shared).transform(corpus)
    run = candidates.with_corpus(corpus.with_columns(tokens=documents))
    there, here = (
        MaxSimReranker(
            query_encoder=OnnxTokenEncoder(model, role="query", query_length=None, device=device, **shared),
            field="tokens",
        )
        for device in (DEVICE, "cpu")
    )
    what = f"MaxSimReranker, {len(run)} queries of {len(run.rows) // len(run)} candidates, queries encoded"
    found, expected = there.transform(run), here.transform(run)
    yield equality(what, found.scores, expected.scores)
    times = interleave(
        {"gpu": lambda: there.transform(run), "cpu": lambda: here.transform(run)}, rounds=5, clock=time.perf_counter
    )
    yield Row(what, seconds(times["gpu"]), "CPU", seconds(times["cpu"]), times["cpu"] / times["gpu"])


def maxsim(n_documents, n_queries):
    """Scores alone: the graph over tokens that stay on the GPU, and the CPU's kernel on one thread."""
    documents, query = make_tokens(n_documents, 80, 161)
    noise = np.random.default_rng(1).normal(size=(n_queries, *query.shape)) * 0.01
    queries = (query + noise).astype(np.float32).reshape(-1, query.shape[1])
    pairs = (
        queries,
        np.arange(n_queries + 1) * len(query),
        np.arange(n_queries + 1) * n_documents,
        np.tile(np.arange(n_documents), n_queries),
        np.ones(len(queries), dtype=np.float32),
    )
    host = TokenIndex.of(documents.values, documents.indptr)
    expected = {"float32": host, "float16": TokenIndex.of(documents.values, documents.indptr, "float16")}
    for dtype, same in expected.items():
        values = documents.values.astype(dtype)
        there = DeviceTokens(values, documents.indptr, DEVICE)
        what = f"MaxSim, {n_queries} × {n_documents} documents, {dtype}, {megabytes(values.nbytes)} resident"
        yield equality(what, there.score_pairs(*pairs), same.score_pairs(*pairs, n_jobs=1))
        times = interleave(
            {"gpu": lambda there=there: there.score_pairs(*pairs), "cpu": lambda: host.score_pairs(*pairs, n_jobs=1)},
            rounds=5 if n_queries > 1 else 25,
            clock=time.perf_counter,
        )
        asked = {"floor": 20} if dtype == "float32" else {}
        yield Row(what, seconds(times["gpu"]), "kernel", seconds(times["cpu"]), times["cpu"] / times["gpu"], **asked)
