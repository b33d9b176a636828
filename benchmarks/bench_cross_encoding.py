"""Cross-encoding on two cores: a hundred candidates of BM25 for each of 50 queries of SciFact, whole documents.

The peers run the same model file with the same tokenizer and the same maximum length, at their defaults and pair by
pair, as a `CrossEncoder` reads a model whose int8 activations are scaled by the batch. It runs two batches at a time,
one on each core; they run one, whose operators are split between the cores, which is ONNX Runtime's default. Scores of
one pair at a time are compared first; how far those of batches are from them is a line of the table.

All pairs are one call, except for FlashRank, which takes one query at a time. The time outside of `session.run` is
given as a share of the time that two threads have.
"""

import itertools
import json
import os
import shutil
import tempfile
import time
from importlib import import_module
from pathlib import Path

import numpy as np
from scipy.special import logit

from benchmarks._harness import Row, interleave, megabytes, peak_memory, require, seconds, wall_and_cpu
from benchmarks.bench_hybrid import load

N_QUERIES = 50
N_CANDIDATES = 100
N_THREADS = 2
FLASHRANK = "ms-marco-TinyBERT-L-2-v2"  # a name that it knows, for a folder to lie under
BUDGET = 12_288  # tokens of a batch, about 32 pairs


def run(quick=False):
    """Yield the lines of the table."""
    from sklrank.encoders import TermVectorizer
    from sklrank.retrievers import BM25Retriever

    corpus, queries, _ = load("scifact")
    queries = queries[:: len(queries) // N_QUERIES][: 5 if quick else N_QUERIES]
    bm25 = BM25Retriever(corpus, vectorizer=TermVectorizer(language="english"), k=10 if quick else N_CANDIDATES)
    found = bm25.fit(queries).predict(queries)
    model = Path(os.environ["SKLRANK_TEST_DATA"]) / "models" / "cross-encoder-tiny"
    yield memory(found, model, 500 if quick else 10_000)  # first, while nothing has left free memory behind
    with tempfile.TemporaryDirectory() as folder:
        yield from against_peers(found, model, laid_out(model, Path(folder)), rounds=1 if quick else 3)
    yield from within(found, model)


def laid_out(model, folder):
    """The folder of the model with all that the peers want to find there."""
    folder = folder / FLASHRANK
    folder.mkdir()
    for name in ("model.onnx", "flashrank-TinyBERT-L-2-v2.onnx"):
        shutil.copyfile(model / "model_int8.onnx", folder / name)
    shutil.copyfile(model / "tokenizer.json", folder / "tokenizer.json")
    special = {name: f"[{name[:-6].upper()}]" for name in ("pad_token", "unk_token", "cls_token", "sep_token")}
    contents = {
        "config": {"model_type": "bert", "num_labels": 1, "max_position_embeddings": 512, "pad_token_id": 0},
        "tokenizer_config": {**special, "model_max_length": 512, "tokenizer_class": "BertTokenizer"},
        "special_tokens_map": special,
    }
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def sentence_transformers(folder):
    """Contenders of sentence-transformers' ONNX back end: name → function of a run."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import_module("optimum.onnxruntime")  # without it, its model fails late
    from sentence_transformers import CrossEncoder
    from torch.nn import Identity

    settings = {"file_name": "model.onnx", "provider": "CPUExecutionProvider"}
    model = CrossEncoder(str(folder), backend="onnx", device="cpu", model_kwargs=settings, activation_fn=Identity())
    return {
        f"batches of {size}": lambda run, size=size: model.predict(pairs_of(run), batch_size=size) for size in (1, 32)
    }


def fastembed(folder):
    """Contenders of fastembed."""
    from fastembed.common.model_description import ModelSource
    from fastembed.rerank.cross_encoder import TextCrossEncoder

    TextCrossEncoder.add_custom_model("cross-encoder-tiny", ModelSource(hf="none"), model_file="model.onnx")
    model = TextCrossEncoder("cross-encoder-tiny", specific_model_path=str(folder))
    return {
        f"batches of {size}": lambda run, size=size: list(model.rerank_pairs(pairs_of(run), batch_size=size))
        for size in (1, 64)
    }


def flashrank(folder):
    """The contender of FlashRank: all candidates of a query are a batch."""
    from flashrank import Ranker, RerankRequest

    ranker = Ranker(FLASHRANK, cache_dir=str(folder.parent), max_length=512, log_level="ERROR")

    def scores(run):
        found = np.empty(len(run.rows))
        texts = run.corpus.text()[run.rows].tolist()
        for query, start, stop in zip(run.queries.texts, run.indptr[:-1].tolist(), run.indptr[1:].tolist()):
            passages = [{"id": i, "text": texts[i]} for i in range(start, stop)]
            for passage in ranker.rerank(RerankRequest(query=query, passages=passages)):
                found[passage["id"]] = passage["score"]
        return logit(found)

    return {"a batch a query": scores}


PEERS = {"sentence-transformers": sentence_transformers, "fastembed": fastembed, "FlashRank": flashrank}


def pairs_of(run):
    """Query and document of each entry."""
    queries = np.repeat(np.array(run.queries.texts, dtype=object), np.diff(run.indptr)).tolist()
    return list(zip(queries, run.corpus.text()[run.rows].tolist()))


def against_peers(found, model, folder, rounds):
    """The same scores, then the time for them."""
    from sklrank.rerankers import CrossEncoder

    def ours(**settings):
        opened = CrossEncoder(
            folder / "model.onnx", tokenizer=model / "tokenizer.json", cache=0,
            n_jobs=N_THREADS, **settings,
        )  # fmt: skip
        return lambda run: opened.score_batch(pairs_of(run))

    alone, batched = "batches of 1", f"batches of {BUDGET} tokens"
    contenders = {("sklrank", alone): ours(), ("sklrank", batched): ours(max_tokens_per_batch=BUDGET)}
    what = f"{len(found.rows)} pairs"
    for peer, make in PEERS.items():
        try:
            contenders.update(((peer, how), score) for how, score in make(folder).items())
        except ImportError as error:
            yield Row(what, "not compared", peer, f"is not installed ({error.name})")
    few = found[:2]
    expected = contenders["sklrank", alone](few)
    for (peer, how), score in contenders.items():
        drift = np.abs(np.asarray(score(few)) - expected).max()
        if how == alone:
            require(drift < 1e-3, f"scores of {peer} are {drift:.4f} apart")
        else:
            yield Row("scores, most apart from those of one pair at a time", "0", f"{peer}, {how}", f"{drift:.2f}")
    turns = {name: lambda score=score: score(found) for name, score in contenders.items()}
    times = interleave(turns, rounds=rounds, clock=wall_and_cpu, warm_up=False, summary=median)
    asked = {  # of ours, of a peer's: least ratio of the wall clock's times
        (alone, alone): 2.0,
        (batched, "batches of 32"): 2.0,
        (alone, "batches of 32"): 3.0,
        (alone, "batches of 64"): 3.0,
        (alone, "a batch a query"): 3.0,
    }
    for (peer, how), theirs in times.items():
        for own in (alone, batched):
            if peer != "sklrank" and (own, how) in asked:
                spent = times["sklrank", own]
                for clock, one, other, floor in zip(("", ", CPU"), spent, theirs, (asked[own, how], None)):
                    yield Row(
                        f"{what}, {own}{clock}", seconds(one), f"{peer}, {how}", seconds(other), other / one, floor
                    )


def median(times):
    """Of each clock."""
    return np.median(times, axis=0)


class Watched:
    """A session that tells when it ran, the CPU time inside, and how many tokens it read."""

    def __init__(self, session):
        self.session, self.times, self.cpu, self.padded, self.real = session, [], [], [], []

    def run(self, outputs, feeds):
        start, before = time.perf_counter(), time.thread_time()
        values = self.session.run(outputs, feeds)
        self.cpu.append(time.thread_time() - before)
        self.times.append((start, time.perf_counter()))
        self.padded.append(feeds["input_ids"].size)
        self.real.append(int(feeds["attention_mask"].sum()))
        return values


def watched(found, model, **settings):
    """Rerank once; the session, when texts were tokenized, and the time by both clocks."""
    from sklrank.rerankers import CrossEncoderReranker

    reranker = CrossEncoderReranker(model / "model_int8.onnx", cache=0, n_jobs=N_THREADS, **settings).fit(found)
    reranker.predict(found[:1])
    opened, encode, tokenized = reranker.model_._model, None, []
    session, encode = opened.open.session, opened.tokenizer._encode

    def timed(*arguments, **keywords):
        start = time.perf_counter()
        encodings = encode(*arguments, **keywords)
        tokenized.append((start, time.perf_counter()))
        return encodings

    opened.open.session, opened.tokenizer._encode = Watched(session), timed
    start = wall_and_cpu()
    reranker.predict(found)
    spent = wall_and_cpu() - start
    seen, opened.open.session, opened.tokenizer._encode = opened.open.session, session, encode
    return seen, tokenized, spent


def within(found, model):
    """Where the time goes, and how much of what is read is padding."""
    for length in (512, 160):
        seen, tokenized, (wall, cpu) = watched(found, model, max_length=length)
        what = f"at most {length} tokens a pair"
        inside = sum(stop - start for start, stop in seen.times)
        asked = {"limit": 10} if length == 512 else {}
        for clock, share in (("wall clock", 1 - inside / (N_THREADS * wall)), ("CPU", 1 - sum(seen.cpu) / cpu)):
            share *= 100
            limit = asked if clock == "wall clock" else {}
            yield Row(
                f"{what}: share of the time outside session.run, {clock}",
                f"{share:.1f} %",
                value=share,
                unit="%",
                **limit,
            )
        share = 100 * overlap(tokenized, seen.times)
        yield Row(f"{what}: share of tokenizing while session.run runs", f"{share:.0f} %")
        padded = sum(seen.padded) / sum(seen.real)
        yield Row(f"{what}: tokens read over real tokens", f"{padded:.3f}", value=padded, limit=1.08)
    for budget in (4096, BUDGET):
        seen, _, _ = watched(found, model, max_tokens_per_batch=budget)
        padded = sum(seen.padded) / sum(seen.real)
        what = f"batches of {budget} tokens, {len(found.rows) / len(seen.times):.0f} pairs on average"
        yield Row(f"{what}: tokens read over real tokens", f"{padded:.3f}", value=padded, limit=1.08)


def memory(found, model, n_batches):
    """How much the peak grows after a quarter of so many batches, of all lengths."""
    from sklrank.rerankers import CrossEncoder

    opened = CrossEncoder(model / "model_int8.onnx", max_length=128, cache=0, n_jobs=N_THREADS)
    pairs = list(itertools.islice(itertools.cycle(pairs_of(found)), n_batches // 4))
    pairs = [(query, document[: 10 + i % 500]) for i, (query, document) in enumerate(pairs)]
    peaks = []
    for _ in range(4):
        opened.score_batch(pairs)
        peaks.append(peak_memory())
    what = f"growth of the peak memory from batch {n_batches // 4} to batch {n_batches}"
    return Row(what, megabytes(peaks[-1] - peaks[0]), value=(peaks[-1] - peaks[0]) / 1e6, limit=8, unit="MB")


def overlap(spans, others):
    """Which share of some spans of time lies within others."""
    merged = []
    for start, stop in sorted(others):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], stop)
        else:
            merged.append([start, stop])
    shared = sum(max(0, min(stop, b) - max(start, a)) for start, stop in spans for a, b in merged)
    return shared / sum(stop - start for start, stop in spans)
