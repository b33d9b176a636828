"""Open models: sources, devices, tokenizers, batches, hubs, quantization."""

import os
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import llvmlite.binding
import numpy as np
import onnx
import onnxruntime
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper
from onnx_models import VOCABULARY, embeddings, plain_session, text_model, tokenizer, write_models

from sklrank import _session
from sklrank._session import HubFile, Repository, TextModel, _fast_tokenizer, picklable, quantize, wordpiece_tokenizer
from sklrank._session import _device as devices
from sklrank._session._batches import chunks, in_threads, plan, prefetched
from sklrank._session._open_session import _OPEN, OpenSession, run_bound
from sklrank._session._source import Source
from sklrank._session._tokenizer import open_tokenizer

TEXTS = [
    "heat transfer",
    "",
    "laminar flow over a flat plate.",
    "wing",
    "日本 שלום — naïve",
    "the heat of the plate " * 9,
]


def hidden(model, texts, **options):
    """The vectors of the tokens of each text, without padding."""
    found = [None] * len(texts)

    def rows(indices):
        return model.tokenizer.rows([texts[i] for i in indices], model.max_length)

    for batch in model.batches(list(map(len, texts)), rows, list(model.open.outputs)[:1], **options):
        for i, index in enumerate(batch.indices):
            found[index] = batch.outputs[0][i, : len(batch.ids[i])]
    return found


def scores(model, first, second, **options):
    """The one number that a model gives for each pair."""
    found = np.full(len(first), np.nan)
    for batch in model.pair_batches(first, second, ["logits"], **options):
        found[batch.indices] = batch.outputs[0][:, 0]
    return found


def same(found, expected):
    return all(np.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))


# --- where models come from


def test_a_model_opens_from_path_bytes_and_session(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(text_model())
    expected = hidden(TextModel(str(path), tokenizer()), TEXTS)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for model in (path, path.read_bytes(), session):
        assert same(hidden(TextModel(model, tokenizer()), TEXTS), expected)
    assert TextModel(session, tokenizer()).open.session is session


def test_models_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model file"):
        TextModel("missing.onnx", tokenizer())
    with pytest.raises(TypeError, match="path or the bytes"):
        TextModel(3, tokenizer())
    for content in (b"", b"no model", text_model()[:500]):
        with pytest.raises(ValueError, match="cannot open .*Remedy"):
            TextModel(content, tokenizer())
    with pytest.raises(ValueError, match="cannot open the model of 0 bytes: .*give bytes that are not empty"):
        TextModel(b"", tokenizer())
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ValueError, match="cannot open .*empty.onnx"):
        TextModel(tmp_path / "empty.onnx", tokenizer())


def test_external_weights_stand_beside_the_model(tmp_path):
    model = text_model(external="model.onnx_data")
    onnx.save(model, tmp_path / "model.onnx")
    found = TextModel(tmp_path / "model.onnx", tokenizer())
    assert same(hidden(found, TEXTS), hidden(TextModel(text_model(), tokenizer()), TEXTS))
    before = found.source.fingerprint()
    os.utime(tmp_path / "model.onnx_data", ns=(1, 1))
    assert found.source.fingerprint() != before
    (tmp_path / "lonely").mkdir()
    alone = tmp_path / "lonely" / "model.onnx"
    alone.write_bytes((tmp_path / "model.onnx").read_bytes())
    with pytest.raises(ValueError, match="files of its weights"):
        TextModel(alone, tokenizer())


def test_inputs_that_are_no_text_say_what_was_found():
    with pytest.raises(ValueError, match=r"got the input input_ids: tensor.float"):
        TextModel(text_model_with(lambda graph: set_type(graph, TensorProto.FLOAT)), tokenizer())
    with pytest.raises(ValueError, match=r"got the input pixels: tensor\(int64\) \['batch', 'tokens'\]"):
        TextModel(text_model_with(lambda graph: rename(graph, "input_ids", "pixels")), tokenizer())
    with pytest.raises(ValueError, match="with an input input_ids"):
        TextModel(text_model_with(lambda graph: rename(graph, "input_ids", "segment_ids"), types=False), tokenizer())


def text_model_with(change, **options):
    model = onnx.load_model_from_string(text_model(**options))
    change(model.graph)
    return model.SerializeToString()


def rename(graph, old, new):
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
    for value in graph.input:
        value.name = new if value.name == old else value.name


def set_type(graph, kind):
    """Ids as numbers of another type, cast within."""
    graph.input[0].type.tensor_type.elem_type = kind
    graph.node[0].input[1] = "cast"
    graph.node.insert(0, onnx.helper.make_node("Cast", ["input_ids"], ["cast"], to=TensorProto.INT64))


@pytest.mark.parametrize(
    "options",
    [{"types": False}, {"integer": TensorProto.INT32}, {"double": True}, {"shape": (2, 16)}, {"shape": (1, "n")}],
    ids=str,
)
def test_exports_differ_and_results_do_not(options):
    texts = [text for text in TEXTS if len(text) < 60]
    expected = hidden(TextModel(text_model(), tokenizer()), texts)
    found = hidden(TextModel(text_model(**options), tokenizer()), texts)
    assert same(found, expected)
    assert found[0].dtype == np.float32


def test_a_model_without_a_mask_reads_no_padding():
    model = TextModel(text_model(mask=False), tokenizer())
    expected = hidden(TextModel(text_model(), tokenizer()), TEXTS)
    assert same(hidden(model, TEXTS), expected)
    assert same(hidden(model, TEXTS, max_tokens=1000), expected)


def test_a_length_must_leave_room_for_text():
    with pytest.raises(ValueError, match="max_length=2 leaves no room for text besides 2 special tokens"):
        TextModel(text_model(), tokenizer(), max_length=2)
    assert [len(vectors) for vectors in hidden(TextModel(text_model(), tokenizer(), max_length=3), TEXTS)] == [
        3,
        2,
        *[3] * 4,
    ]


def test_a_fixed_length_bounds_the_text():
    model = TextModel(text_model(shape=(1, 8)), tokenizer(), max_length=512)
    assert model.max_length == 8
    assert [len(vectors) for vectors in hidden(model, TEXTS)][-1] == 8


def test_failures_name_what_may_be_wrong():
    model = TextModel(text_model(positions=16), tokenizer())
    with pytest.raises(ValueError, match=r"(?s)of up to \d+ tokens.*than max_length=512, give a smaller max_length"):
        hidden(model, TEXTS)
    assert len(hidden(TextModel(text_model(positions=16), tokenizer(), max_length=16), TEXTS)[-1]) == 16


def test_a_tokenizer_of_another_model_is_refused():
    larger = tokenizer([*VOCABULARY, "more"])
    with pytest.raises(ValueError, match=f"does not belong to the model: it has {len(VOCABULARY) + 1} tokens"):
        TextModel(text_model(), larger).probe(["last_hidden_state"])
    smaller = TextModel(text_model(), tokenizer(VOCABULARY[:60]))
    with pytest.warns(
        UserWarning, match="has 60 tokens, and the model of .* has a token 64: it may be the tokenizer of"
    ):
        smaller.probe(["last_hidden_state"])


def test_a_padded_vocabulary_is_no_other_tokenizer(capfd):
    padded = np.concatenate([embeddings(), np.zeros((128 - len(VOCABULARY), 8), np.float32)])
    session = onnxruntime.InferenceSession(text_model(vectors=padded), providers=["CPUExecutionProvider"])
    capfd.readouterr()
    TextModel(session, tokenizer()).probe(["last_hidden_state"])
    assert not capfd.readouterr().err  # of the token that is not there


# --- sessions


def test_sessions_are_shared_and_let_go():
    content = text_model(vectors=embeddings(seed=7))
    first, second = TextModel(content, tokenizer()), TextModel(content, tokenizer())
    assert first.open is second.open
    n_open = len(_OPEN)
    for seed in range(5):
        TextModel(text_model(vectors=embeddings(seed=seed)), tokenizer())
    assert _OPEN.n_held == 2 and len(_OPEN) <= n_open + 2


def test_a_file_that_changed_is_another_model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(text_model())
    first = OpenSession.of(Source(path))
    path.write_bytes(text_model("both"))
    assert list(OpenSession.of(Source(path)).outputs) != list(first.outputs)


def test_an_open_session_travels_as_its_origin(tmp_path):
    content = text_model()
    (tmp_path / "model.onnx").write_bytes(content)
    for source in (content, str(tmp_path / "model.onnx")):
        session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
        assert picklable(session) == source
    with pytest.raises(pickle.PicklingError, match="unknown origin"):
        picklable(SimpleNamespace(run=None, get_inputs=None))


def test_memory_does_not_grow():
    model = TextModel(text_model(vectors=embeddings(n_features=64)), tokenizer())
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["heat", "flow", "plate"], size=n)) for n in rng.integers(1, 120, size=700)]

    def resident():
        hidden(model, texts, max_tokens=1)
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    resident()
    before = resident()
    for _ in range(13):  # 700 batches each
        after = resident()
    assert after - before < 8e6


def test_threads_share_a_model():
    model = TextModel(text_model(), tokenizer())
    expected = hidden(model, TEXTS)
    with ThreadPoolExecutor(8) as pool:
        assert all(same(found, expected) for found in pool.map(lambda _: hidden(model, TEXTS), range(32)))


# --- devices


class FakeOrt:
    """ONNX Runtime's GPU wheel where CUDA starts, or does not."""

    __version__ = "1.31.1"
    __file__ = onnxruntime.__file__
    SessionOptions = onnxruntime.SessionOptions

    def __init__(self, starts):
        self.starts = starts
        self.severity = []
        self.opened = []

    def get_available_providers(self):
        return [devices.CUDA, devices.CPU]

    get_all_providers = get_available_providers

    def set_default_logger_severity(self, level):
        self.severity.append(level)

    def preload_dlls(self):
        print("libraries were not found")

    def InferenceSession(self, source, options, providers):
        self.opened.append(providers)
        names = [p if isinstance(p, str) else p[0] for p in providers]
        kept = names if self.starts else [name for name in names if name != devices.CUDA] or [devices.CPU]
        given = {p[0]: p[1] for p in providers if not isinstance(p, str)}
        return SimpleNamespace(
            get_providers=lambda: kept, get_provider_options=lambda: given, disable_fallback=lambda: None
        )


@pytest.fixture
def gpu_wheel(monkeypatch):
    def no_driver(name, mode=None):
        raise OSError(f"{name}: cannot open shared object file")

    def install(starts):
        ort = FakeOrt(starts)
        monkeypatch.setattr(devices.ctypes, "CDLL", no_driver)  # also where there is one
        monkeypatch.setattr(devices, "optional_import", lambda *_, **__: ort)
        monkeypatch.setattr(devices, "_WARNED", set())
        return ort

    return install


def test_devices_that_are_none():
    for device in ("gpu", "cuda:", "cuda:x", "", None):
        with pytest.raises(ValueError, match="expected device to be 'auto'"):
            devices.check_device(device, None)
    with pytest.raises(ValueError, match="got both"):
        devices.check_device("cpu", ["CPUExecutionProvider"])


def test_the_cpu_wheel_runs_on_the_cpu_without_a_word():
    assert TextModel(text_model(), tokenizer()).device == "cpu"
    assert TextModel(text_model(), tokenizer(), device="cpu").device == "cpu"
    assert TextModel(text_model(), tokenizer(), providers=["CPUExecutionProvider"]).device == "cpu"


def test_cuda_that_cannot_start_says_why_and_what_to_install():
    for device in ("cuda", "cuda:1"):
        with pytest.raises(RuntimeError, match=r"cannot start: .*one for CPUs\. pip uninstall .*sklrank\[onnx-gpu\]"):
            TextModel(text_model(), tokenizer(), device=device)


def test_cuda_that_starts_is_taken(gpu_wheel, capsys):
    ort = gpu_wheel(starts=True)
    assert devices.open_session("m")[1] == "cuda:0"
    assert devices.open_session("m", "cuda:1")[1] == "cuda:1"
    assert devices.open_session("m", "cpu")[1] == "cpu"
    assert ort.opened[-1] == [devices.CPU]
    assert ort.opened[0][0][1]["use_tf32"] == "0"
    assert ort.severity == [4, 2, 4, 2]
    assert not capsys.readouterr().out


def test_falling_back_warns_once(gpu_wheel):
    gpu_wheel(starts=False)
    with pytest.warns(RuntimeWarning, match="run on the CPU, because CUDA does not start: .*driver"):
        assert devices.open_session("m")[1] == "cpu"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert devices.open_session("m")[1] == "cpu"
    with pytest.raises(RuntimeError, match="device='cuda' cannot start: .*driver"):
        devices.open_session("m", "cuda")


def test_what_is_wrong_with_cuda(monkeypatch):
    ort = FakeOrt(False)
    driver = SimpleNamespace(cuInit=lambda _: 0, cuDeviceGetCount=lambda count: setattr(count._obj, "value", 1) or 0)

    def load(name, mode=None):
        if "libcuda" in name or "shared" in name:
            return driver
        raise OSError("libcudnn.so.9: cannot open shared object file")

    monkeypatch.setattr(devices.ctypes, "CDLL", load)
    assert "libcudnn.so.9" in devices.cuda_problem(ort) and "onnxruntime-gpu[cuda,cudnn]" in devices.cuda_problem(ort)
    assert "there are 1 GPUs" in devices.cuda_problem(ort, 3)
    driver.cuInit = lambda _: 100
    assert "error 100" in devices.cuda_problem(ort)
    monkeypatch.setattr(devices, "_installed", lambda name: "1.0")
    assert "overwrite each other" in devices.cuda_problem(onnxruntime)


def test_providers_that_do_not_start(gpu_wheel, monkeypatch, capfd):
    def opened(*providers):
        return TextModel(text_model(), tokenizer(), providers=list(providers)).device

    for names in (["Foo"], [3], [], [[]], ["CPUExecutionProvider", "Foo"]):
        with pytest.raises(
            ValueError, match="expected a list of ONNX Runtime's providers, got .*'CPUExecutionProvider'"
        ):
            opened(*names)
    for one in (devices.CUDA, (devices.CUDA, {"device_id": 0})):
        with pytest.raises(RuntimeError, match=r"providers=.* cannot start: .*one for CPUs\. pip uninstall"):
            opened(one)
    monkeypatch.setattr(devices, "_WARNED", set())
    with pytest.warns(
        RuntimeWarning, match="run on CPUExecutionProvider, because CUDAExecutionProvider does not start: .*CPUs"
    ):
        assert opened(devices.CUDA, devices.CPU) == "cpu"
    assert opened(devices.CUDA, devices.CPU) == "cpu"  # and once is enough
    with pytest.raises(RuntimeError, match="cannot start: onnxruntime .* has the providers"):
        opened("CoreMLExecutionProvider")
    gpu_wheel(starts=False)
    with pytest.raises(RuntimeError, match="cannot start: .*driver"):
        devices.open_session("m", providers=[devices.CUDA])
    gpu_wheel(starts=True)
    assert devices.open_session("m", providers=[(devices.CUDA, {"device_id": 1}), devices.CPU])[1] == "cuda:1"
    assert capfd.readouterr().out == ""


def test_an_open_session_stays_where_it_is():
    session = onnxruntime.InferenceSession(text_model(), providers=["CPUExecutionProvider"])
    assert TextModel(session, tokenizer(), device="cpu").device == "cpu"
    for options in ({"device": "cuda"}, {"device": "cuda:1"}, {"providers": [devices.CUDA]}):
        with pytest.raises(ValueError, match="session is already open on cpu, and .* does not move it"):
            TextModel(session, tokenizer(), **options)
    with pytest.raises(ValueError, match="expected device to be 'auto'"):
        TextModel(session, tokenizer(), device="tpu")


def test_other_providers_are_named_for_themselves():
    session = SimpleNamespace(get_providers=lambda: ["CoreMLExecutionProvider"], get_provider_options=dict)
    assert devices.device_of(session) == "coreml"


def test_bound_inputs_and_outputs_give_the_same(monkeypatch):
    model = TextModel(text_model(), tokenizer())
    expected = hidden(model, TEXTS)
    monkeypatch.setattr(
        _session._model, "run_bound", lambda session, feeds, outputs, *_: run_bound(session, feeds, outputs, "cpu", 0)
    )
    model.device = "cuda:0"
    lengths = [feed.shape[1] for feed in shapes_fed(model, monkeypatch, TEXTS)]
    assert same(hidden(model, TEXTS), expected)
    assert lengths and all(length % 16 == 0 for length in lengths)


def shapes_fed(model, monkeypatch, texts):
    fed = []
    feeds_of = model._feeds
    monkeypatch.setattr(model, "_feeds", lambda *a: fed.append(feeds_of(*a)["input_ids"]) or feeds_of(*a))
    hidden(model, texts)
    return fed


# --- tokenizers


def test_a_tokenizer_opens_from_object_path_bytes_and_callable(tmp_path):
    content = text_model()
    given = tokenizer()
    given.enable_truncation(4)
    given.enable_padding(length=7)
    given.save(str(tmp_path / "tokenizer.json"))
    expected = hidden(TextModel(content, tokenizer()), TEXTS)
    plain = tokenizer()
    for source in (
        given,
        tmp_path / "tokenizer.json",
        (tmp_path / "tokenizer.json").read_bytes(),
        SimpleNamespace(backend_tokenizer=given),
        lambda texts: [encoding.ids for encoding in plain.encode_batch(texts)],
        lambda texts: {"input_ids": [np.array(plain.encode(text).ids) for text in texts]},
    ):
        assert same(hidden(TextModel(content, source), TEXTS), expected)
    assert given.truncation["max_length"] == 4 and given.padding["length"] == 7  # ours was a copy


def test_tokenizers_that_are_none(tmp_path):
    content = text_model()
    with pytest.raises(ValueError, match="expected tokenizer= to be"):
        TextModel(content)
    with pytest.raises(TypeError, match="got int"):
        TextModel(content, 3)
    with pytest.raises(FileNotFoundError, match="no tokenizer file"):
        TextModel(content, tmp_path / "tokenizer.json")
    with pytest.raises(ValueError, match="expected a tokenizer.json"):
        TextModel(content, b"{}")
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ValueError, match="expected a tokenizer.json beside"):
        TextModel(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="expected 2 sequences"):
        TextModel(content, lambda texts: [[1]]).probe(["last_hidden_state"])
    with pytest.raises(ValueError, match="a callable must cut texts itself"):
        hidden(TextModel(content, lambda texts: [[1] * 9 for _ in texts], max_length=8), TEXTS)


def test_padding_of_a_callable_is_not_read():
    padded, left = tokenizer(), tokenizer()
    padded.enable_padding(length=50)
    left.enable_padding(length=50, direction="left")

    def made_by(given):
        def function(*texts):
            encodings = given.encode_batch(list(zip(*texts)) if len(texts) > 1 else texts[0])
            names = {"input_ids": "ids", "token_type_ids": "type_ids", "attention_mask": "attention_mask"}
            return {name: np.array([getattr(e, key) for e in encodings]) for name, key in names.items()}

        return function

    texts = [text[:60] for text in TEXTS]
    assert same(
        hidden(TextModel(text_model(), made_by(padded)), texts), hidden(TextModel(text_model(), tokenizer()), texts)
    )
    plain, ours = (TextModel(text_model("score"), given) for given in (tokenizer(), made_by(padded)))
    assert np.allclose(scores(ours, texts, texts[::-1]), scores(plain, texts, texts[::-1]), atol=1e-5)
    with pytest.raises(ValueError, match="attention_mask .* for text 0 must keep the first"):
        hidden(TextModel(text_model(), made_by(left)), texts)
    for mask in ([[1, 1]], [[1]]):
        with pytest.raises(ValueError, match="must keep the first"):
            hidden(TextModel(text_model(), lambda _, m=mask: {"input_ids": [[2, 3, 4]], "attention_mask": m}), ["x"])


def test_the_tokenizer_beside_the_model_is_found(tmp_path):
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(text_model())
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    assert TextModel(tmp_path / "onnx" / "model.onnx").tokenizer.n_tokens == len(VOCABULARY)


def test_a_vocabulary_is_a_tokenizer_by_choice_only(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\r\n".join([*VOCABULARY, "\x85", ""]).encode())
    with pytest.raises(ValueError, match="wordpiece_tokenizer"):
        TextModel(text_model(), path)
    found = wordpiece_tokenizer(path)
    assert found.get_vocab_size() == len(VOCABULARY) + 1
    assert found.encode("Heat flöws!").tokens == ["[CLS]", "heat", "flows", "!", "[SEP]"]
    assert wordpiece_tokenizer(path, lowercase=False).encode("Heat").tokens == ["[CLS]", "[UNK]", "[SEP]"]
    assert found.encode("a", "wing").type_ids == [0, 0, 0, 1, 1]
    with pytest.raises(ValueError, match=r"without \[UNK\], \[CLS\]"):
        wordpiece_tokenizer(["[SEP]", "heat"])


def processed(name):
    """The tokenizer with the special tokens of another family."""
    found = tokenizer()
    found.post_processor = {
        "bert": found.post_processor,
        "roberta": tokenizers.processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2)),
        "t5": tokenizers.processors.TemplateProcessing(
            single="$A [SEP]", pair="$A [SEP] $B [SEP]", special_tokens=[("[SEP]", 3)]
        ),
        "types": tokenizers.processors.TemplateProcessing(
            single="[CLS]:2 $A:1", pair="[CLS]:2 $A:1 [SEP]:0 $B:3", special_tokens=[("[SEP]", 3), ("[CLS]", 2)]
        ),
        "none": tokenizers.processors.Sequence([]),
    }[name]
    return found


@pytest.mark.parametrize("name", ["bert", "roberta", "t5", "types", "none"])
def test_special_tokens_are_those_of_the_tokenizer(name):
    given = processed(name)
    ours = open_tokenizer(given)
    texts = [text for text in TEXTS if text]
    rows = ours.rows(texts, 512)
    for text, ids, types in zip(texts, rows.ids, rows.types or [[0] * len(ids) for ids in rows.ids]):
        expected = given.encode(text)
        assert ids.tolist() == expected.ids and list(types) == expected.type_ids
    rows = ours.pair_maker(texts, texts[::-1], 512)(range(len(texts)))
    for a, b, ids, types in zip(texts, texts[::-1], rows.ids, rows.types or [[0] * len(ids) for ids in rows.ids]):
        expected = given.encode(a, b)
        assert ids.tolist() == expected.ids and list(types) == expected.type_ids


def test_texts_without_any_token_are_read_as_padding():
    model = TextModel(text_model(), processed("none"))
    assert np.isfinite(hidden(model, ["", "heat"])[0]).all()


def test_only_the_document_of_a_pair_is_cut():
    ours = open_tokenizer(tokenizer())
    query, document = "heat transfer in laminar flow", "a wing " * 50
    (ids,) = ours.pair_maker([query], [document], 16)([0]).ids
    expected = tokenizer()
    expected.enable_truncation(16, strategy="only_second")
    assert ids.tolist() == expected.encode(query, document).ids
    assert len(ours.pair_maker([query], [""], 16)([0]).ids[0]) == 8


def test_a_query_is_not_cut_in_silence():
    ours = open_tokenizer(tokenizer())
    with pytest.warns(UserWarning, match="1 of 2 queries are longer than 6 tokens"):
        make = ours.pair_maker(["heat " * 20, "wing"], ["flow " * 20] * 2, 16)
    ids = make([0, 1]).ids
    assert [len(row) for row in ids] == [16, 16]
    assert (ids[0] == VOCABULARY.index("heat")).sum() == 6


def trained(kind):
    """A tokenizer whose words are joined to spaces in another way."""
    models, steps, trainers = tokenizers.models, tokenizers.pre_tokenizers, tokenizers.trainers
    options = {"vocab_size": 100, "show_progress": False, "special_tokens": ["<unk>"]}
    model, step, trainer = {
        "ByteLevel": (models.BPE(), steps.ByteLevel(), trainers.BpeTrainer(**options)),
        "Metaspace": (models.Unigram(), steps.Metaspace(), trainers.UnigramTrainer(**options, unk_token="<unk>")),
    }[kind]
    found = tokenizers.Tokenizer(model)
    found.normalizer, found.pre_tokenizer = tokenizers.normalizers.NFKC(), step
    found.train_from_iterator(["laminar heat flow over a flat plate, 1 2 3 é日"] * 20, trainer)
    return open_tokenizer(found)


SPLITTING = {
    "BertPreTokenizer": open_tokenizer(tokenizer()),
    **{kind: trained(kind) for kind in ("ByteLevel", "Metaspace")},
}


@pytest.mark.parametrize("kind", SPLITTING)
@given(st.lists(st.text(st.sampled_from("heat flow 1é\u0301日\t.'-ﬁ▁")), max_size=20), st.integers(0, 30))
def test_the_first_tokens_of_a_text_are_those_of_its_beginning(kind, texts, limit):
    texts = [text * 5 for text in texts]
    ours = SPLITTING[kind]
    for found, expected in zip(ours.encode(texts, limit), ours.encode(texts)):
        assert np.array_equal(found, expected[:limit])


LETTERS = [*VOCABULARY[:5], *"abcde|.é日", *(f"##{letter}" for letter in "abcde|é")]


@given(st.lists(st.text(st.sampled_from("ab|e \u0301é.日\t\n\x01[SEP]") | st.characters(exclude_categories=["Cs"]))))
def test_pieces_of_texts_are_tokenized_as_the_texts_are(texts):
    texts += ["a [SEP] b", "a" * 300 + " |", ""]
    given = tokenizer(LETTERS)
    ours = open_tokenizer(given)
    for _ in range(2):  # the second time, all pieces are known
        for found, encoding in zip(ours.encode(texts), given.encode_batch(texts, add_special_tokens=False)):
            assert found.tolist() == encoding.ids


def test_pieces_of_texts_are_kept_within_bounds(monkeypatch):
    monkeypatch.setattr(_fast_tokenizer, "_KEPT", 100)
    ours = open_tokenizer(tokenizer())
    for i in range(50):
        ours.encode([f"heat {i} flow{i}"])
        assert ours._n_characters < 120


def test_no_more_of_a_long_text_is_tokenized_than_is_read():
    text = "heat flow " * 1000
    across = tokenizers.pre_tokenizers.Split("t f", "removed")
    for change, n_characters in [
        (lambda given: None, 99),
        (lambda given: given.add_tokens(["heat flow heat"]), len(text)),
        (lambda given: setattr(given, "pre_tokenizer", across), len(text)),
    ]:
        given, seen = tokenizer(), []
        change(given)
        ours = open_tokenizer(given)
        ids = ours._ids
        ours._ids = lambda texts, limit, ids=ids, seen=seen: seen.extend(texts) or ids(texts, limit)
        ours.encode([text], 16)
        assert sum(map(len, seen)) == n_characters


# --- batches


@given(st.lists(st.integers(0, 600), max_size=200), st.integers(1, 2000), st.integers(1, 50), st.sampled_from([1, 16]))
def test_batches_hold_every_row_once_within_the_budget(lengths, max_tokens, max_rows, multiple):
    batches = list(plan(lengths, max_tokens, max_rows, multiple))
    assert sorted(sum(batches, [])) == list(range(len(lengths)))
    for batch in batches:
        longest = -(-max(lengths[i] for i in batch) // multiple) * multiple
        assert len(batch) <= max_rows and (len(batch) == 1 or len(batch) * longest <= max_tokens)
    assert sorted(sum(chunks(lengths, 1000), [])) == list(range(len(lengths)))


def test_padding_is_less_than_a_twelfth(monkeypatch):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["heat", "flow", "plate", "wing"], size=n)) for n in rng.integers(5, 200, size=600)]
    model = TextModel(text_model(), tokenizer())
    padded = sum(array.size for array in shapes_fed(model, monkeypatch, texts))
    real = sum(map(len, model.tokenizer.rows(texts, 512).ids))
    assert real <= padded <= 1.08 * real


def test_results_come_in_the_order_of_the_texts():
    rng = np.random.default_rng(0)
    model = TextModel(text_model("score"), tokenizer())
    first = [" ".join(rng.choice(VOCABULARY[11:25], size=n)) for n in rng.integers(1, 20, size=300)]
    second = [" ".join(rng.choice(VOCABULARY[11:25], size=n)) for n in rng.integers(0, 90, size=300)]
    one_by_one = np.concatenate([scores(model, [a], [b]) for a, b in zip(first, second)])
    for max_tokens in (None, 1, 100, 10_000):
        assert np.allclose(scores(model, first, second, max_tokens=max_tokens), one_by_one, atol=1e-5)
    assert len(scores(model, [], [])) == 0
    with pytest.raises(ValueError, match="shorter|longer"):
        scores(model, ["a"], [])


def test_the_next_chunk_is_made_ahead():
    made = []
    results = prefetched(lambda item: made.append(item) or item, iter(range(5)))
    assert next(results) == 0 and set(made) <= {0, 1}
    assert list(results) == [1, 2, 3, 4]
    assert list(prefetched(str, iter([]))) == [] and list(prefetched(str, iter([1]))) == ["1"]

    def fail(item):
        if item == 2:
            raise RuntimeError("from the thread")
        return item

    with pytest.raises(RuntimeError, match="from the thread"):
        list(prefetched(fail, iter(range(5))))


def test_threads_keep_the_order():
    for n_threads in (1, 2, 5):
        assert list(in_threads(str, iter(range(20)), n_threads)) == [(i, str(i)) for i in range(20)]
        with pytest.raises(ZeroDivisionError):
            list(in_threads(lambda i: 1 / (i - 7), range(20), n_threads))


def test_equal_texts_of_pairs_are_tokenized_once():
    ours = open_tokenizer(tokenizer())
    seen = []
    encode = ours.encode
    ours.encode = lambda texts, limit=None: seen.extend(texts) or encode(texts, limit)
    make = ours.pair_maker(["q"] * 4, ["heat", "flow", "heat", "flow"], 64)
    make([0, 1]), make([2, 3])
    assert sorted(seen) == ["flow", "heat", "q"]


# --- quantization


def test_quantized_models_report_their_drift(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(len(VOCABULARY), 64)).astype(np.float32)
    content = text_model("logits", vectors=vectors)
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "model.onnx").write_bytes(content)
    half = quantize(tmp_path / "model.onnx", tmp_path / "half.onnx", "fp16")
    eighth = quantize(content, tmp_path / "int8.onnx", tokenizer=tokenizer(), sample=["heat transfer", "flow"])
    assert 0 < half.max_difference < 0.5 and half.cosine > 0.9999 and half.n_bytes < 0.6 * half.n_bytes_before
    assert 0 < eighth.max_difference < 20 and eighth.cosine > 0.99 and eighth.n_bytes < 0.5 * eighth.n_bytes_before
    assert "int8" in str(eighth) and "MB" in str(eighth)
    before = TextModel(content, tokenizer())
    assert not before.open.depends_on_batch
    after = TextModel(eighth.path, tokenizer())
    assert after.open.depends_on_batch and after.budget(["logits"])[1] == 1
    alone = [hidden(after, [text])[0] for text in TEXTS]
    assert all((a == b).all() for a, b in zip(hidden(after, TEXTS), alone))  # to the last bit: no text sees another


def test_int8_weights_take_half_of_the_range_so_that_no_cpu_overflows(tmp_path):
    report = quantize(text_model("logits"), tmp_path / "int8.onnx", tokenizer=tokenizer(), sample=["heat", "flow"])
    assert report.cosine > 0.9999
    weights = [numpy_helper.to_array(tensor) for tensor in onnx.load(report.path).graph.initializer]
    eighths = [weight for weight in weights if weight.dtype == np.int8 and weight.ndim == 2]
    assert eighths and max(np.abs(weight.astype(int)).max() for weight in eighths) <= 64


@pytest.mark.parametrize("features, saturates", [
    ({"sse2": True, "avx2": True}, True), ({"sse2": True, "avx512f": True, "avx512vnni": False}, True),
    ({"sse2": True, "avx512vnni": True}, False), ({"sse2": True, "avxvnni": True}, False), ({"neon": True}, False),
    (RuntimeError, False),
])  # fmt: skip
def test_int8_models_are_exact_on_cpus_without_vnni(monkeypatch, tmp_path, features, saturates):
    def host():
        if features is RuntimeError:
            raise RuntimeError
        return features

    monkeypatch.setattr(llvmlite.binding, "get_host_cpu_features", host)
    monkeypatch.setattr(devices, "_WARNED", set())
    monkeypatch.setattr(devices, "int8_saturates", devices.int8_saturates.__wrapped__)
    report = quantize(text_model("logits"), tmp_path / "m.onnx", tokenizer=tokenizer())
    opened, _ = devices.open_session(report.path, "cpu")
    options = opened.get_session_options()
    assert saturates == _has_entry(options, "session.x64quantprecision")
    given = onnxruntime.InferenceSession(report.path, providers=["CPUExecutionProvider"])
    if saturates:
        with pytest.warns(RuntimeWarning, match="no VNNI"):
            TextModel(given, tokenizer())
    TextModel(given, tokenizer())
    exact = TextModel(plain_session(report.path), tokenizer())
    found = hidden(TextModel(report.path, tokenizer()), TEXTS)
    assert all(np.array_equal(*pair) for pair in zip(hidden(exact, TEXTS), found))


def _has_entry(options, name):
    try:
        return options.get_session_config_entry(name) == "1"
    except RuntimeError:
        return False


def test_quantize_takes_pairs_and_refuses_nonsense(tmp_path):
    report = quantize(text_model("score"), tmp_path / "m.onnx", tokenizer=tokenizer(), sample=[("heat", "flow")])
    assert np.isnan(report.cosine) and "cosine" not in str(report)
    for options, message in (
        ({"kind": "int4"}, "expected kind to be 'int8' or 'fp16'"),
        ({"sample": []}, "expected texts in sample="),
        ({"output": "scores"}, "not an output of the model"),
        ({"sample": "heat"}, "a list of texts, or of pairs of texts"),
        ({"sample": [3]}, "a list of texts, or of pairs of texts"),
        ({"sample": [("a", "b", "c")]}, "a list of texts, or of pairs of texts"),
        ({"sample": ["a", ("b", "c")]}, "a list of texts, or of pairs of texts"),
        ({"sample": ["heat", "\ud800"]}, "sample 1 has a lone surrogate"),
    ):
        with pytest.raises(ValueError, match=message):
            quantize(text_model("score"), tmp_path / "none.onnx", tokenizer=tokenizer(), **options)
    with pytest.raises(FileNotFoundError, match="no model file"):
        quantize(tmp_path / "missing.onnx", tmp_path / "none.onnx", tokenizer=tokenizer())
    with pytest.raises(TypeError, match="path or the bytes"):
        quantize(3, tmp_path / "none.onnx", tokenizer=tokenizer())
    with pytest.raises(ValueError, match="does not know its path or bytes"):
        unknown = SimpleNamespace(run=None, get_inputs=None)
        quantize(unknown, tmp_path / "none.onnx", tokenizer=tokenizer())
    assert not (tmp_path / "none.onnx").exists()


def test_what_is_in_fewer_bits_is_not_quantized_again(tmp_path):
    for kind in ("int8", "fp16"):
        quantize(text_model(), tmp_path / "m.onnx", kind, tokenizer=tokenizer())
        for again in ("int8", "fp16"):
            with pytest.raises(ValueError, match="m.onnx' has fewer bits already: .* single precision"):
                quantize(tmp_path / "m.onnx", tmp_path / "none.onnx", again, tokenizer=tokenizer())
    assert not (tmp_path / "none.onnx").exists()


def test_quantize_counts_all_files_and_may_replace_them(tmp_path, caplog, capfd):
    onnx.save(text_model(external="model.onnx_data"), tmp_path / "model.onnx")
    n_bytes = sum(path.stat().st_size for path in tmp_path.iterdir())
    report = quantize(tmp_path / "model.onnx", tmp_path / "int8.onnx", tokenizer=tokenizer())
    assert report.n_bytes_before == n_bytes and not caplog.records and not capfd.readouterr().err
    (tmp_path / "model.onnx").write_bytes(text_model())
    report = quantize(tmp_path / "model.onnx", tmp_path / "model.onnx", "fp16", tokenizer=tokenizer())
    assert report.n_bytes_before == len(text_model()) > report.n_bytes and report.cosine > 0.999
    session = onnxruntime.InferenceSession(text_model(), providers=["CPUExecutionProvider"])
    assert quantize(session, tmp_path / "half.onnx", "fp16", tokenizer=tokenizer()).n_bytes == report.n_bytes


def test_cross_encoders_are_compared_on_pairs(tmp_path):
    asked, given = [], tokenizer()

    def function(*texts):
        asked.append(len(texts))
        return [encoding.ids for encoding in given.encode_batch(list(zip(*texts)) if len(texts) > 1 else texts[0])]

    quantize(text_model("score"), tmp_path / "m.onnx", tokenizer=function)
    assert asked.count(2) == 7
    asked.clear()
    quantize(text_model(), tmp_path / "m.onnx", tokenizer=function)
    assert 2 not in asked


# --- a hub, recorded


def write_repository(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


SENTENCE_TRANSFORMERS = {
    "onnx/model.onnx": text_model(),
    "modules.json": '[{"type": "sentence_transformers.models.Transformer", "path": ""},'
    ' {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},'
    ' {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}]',
    "1_Pooling/config.json": '{"word_embedding_dimension": 8, "pooling_mode_cls_token": true,'
    ' "pooling_mode_mean_tokens": false, "include_prompt": true}',
    "sentence_bert_config.json": '{"max_seq_length": 24, "do_lower_case": false}',
    "config_sentence_transformers.json": '{"prompts": {"query": "query: ", "document": ""}}',
}


def test_what_a_repository_says(tmp_path):
    found = Repository.fetch(str(write_repository(tmp_path, SENTENCE_TRANSFORMERS)), "onnx/model.onnx")
    assert (found.max_length(), found.pooling(), found.prompt("query")) == (24, "cls", "query: ")
    assert [kind for kind, _ in found.modules()] == ["Transformer", "Pooling", "Normalize"]
    assert found.tokenizer == str(tmp_path / "tokenizer.json")
    with pytest.raises(ValueError, match="no prompt 'passage'. Its prompts"):
        found.prompt("passage")
    with pytest.raises(FileNotFoundError, match=r"no file 'model.onnx'. Its ONNX files: \['onnx/model.onnx'\]"):
        Repository.fetch(str(tmp_path), "model.onnx")
    for missing in (tmp_path / "missing", "./missing", "~/missing", "a/b/missing", "../missing"):
        with pytest.raises(FileNotFoundError, match="is not a folder on this machine, nor a repository"):
            Repository.fetch(missing, "onnx/model.onnx")
    with pytest.raises(ValueError, match="has no revision"):
        Repository.fetch(str(tmp_path), "onnx/model.onnx", "main")
    (tmp_path / "1_Pooling/config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(ValueError, match="expected one pooling among"):
        found.pooling()
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match="wordpiece_tokenizer"):
        _ = found.tokenizer


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"config.json": '{"max_position_embeddings": 514, "model_type": "roberta"}'}, 512),
        ({"tokenizer_config.json": '{"model_max_length": 1000000000000000019884624838656}'}, None),
        (
            {"tokenizer_config.json": '{"model_max_length": 256}', "config.json": '{"max_position_embeddings": 512}'},
            256,
        ),
    ],
)
def test_the_maximum_length_of_plain_models(tmp_path, files, expected):
    folder = write_repository(tmp_path, {"model.onnx": text_model(), **files})
    assert Repository.fetch(str(folder), "model.onnx").max_length() == expected


@contextmanager
def hub_server(files, commit):
    """A stand-in for the hub on this machine, which answers as the hub did for one repository."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            path = self.path.partition("?")[0]
            if path.startswith("/api/models/org/name/tree/"):
                entries = [{"type": "file", "path": n, "size": len(c), "oid": "0" * 40} for n, c in files.items()]
                return self.answer(entries)
            if path.startswith("/api/models/org/name"):
                return self.answer(
                    {"id": "org/name", "sha": commit, "siblings": [{"rfilename": name} for name in files]}
                )
            name = path.partition(f"/resolve/{commit}/")[2]
            if name not in files:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.answer(files[name], {"ETag": f'"{abs(hash(files[name]))}"', "X-Repo-Commit": commit})

        do_HEAD = do_GET

        def answer(self, content, headers=None):
            import json

            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(200)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_model_of_the_hub_is_fetched_once_and_keeps_its_revision(tmp_path, monkeypatch):
    import huggingface_hub

    commit = "c0ffee" * 6 + "c0ff"
    write_models(tmp_path)
    files = {name: c if isinstance(c, bytes) else c.encode() for name, c in SENTENCE_TRANSFORMERS.items()}
    files |= {"tokenizer.json": (tmp_path / "tokenizer.json").read_bytes(), "pytorch_model.bin": b"unused"}
    whole = huggingface_hub.snapshot_download
    with hub_server(files, commit) as (url, asked):
        options = {"endpoint": url, "cache_dir": tmp_path / "cache", "token": False}
        monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: whole(*a, **k, **options))
        found = Repository.fetch("org/name", "onnx/model.onnx")
        assert found.revision == commit and found.max_length() == 24
        assert not any("pytorch_model" in path for path in asked)
        monkeypatch.setattr(huggingface_hub, "model_info", huggingface_hub.HfApi(url, False).model_info)
        with pytest.raises(FileNotFoundError, match=r"no file 'm.onnx'. Its ONNX files: \['onnx/model.onnx'\]"):
            Repository.fetch("org/name", "m.onnx")
        path = found.path("onnx/model.onnx")
        assert isinstance(path, HubFile) and path.revision == commit
        path = pickle.loads(pickle.dumps(path))
        assert (path.repository, path.file, path.revision) == ("org/name", "onnx/model.onnx", commit)
        elsewhere = HubFile(str(tmp_path / "gone.onnx"), "org/name", "onnx/model.onnx", commit)
        assert Source(elsewhere).value == str(path)
        elsewhere = HubFile(str(tmp_path / "gone.json"), "org/name", "tokenizer.json", commit)
        assert open_tokenizer(elsewhere).n_tokens == len(VOCABULARY)
    # the server is gone, and the cache has it all
    options["local_files_only"] = True
    assert Repository.fetch("org/name", "onnx/model.onnx").revision == commit
    with pytest.raises(FileNotFoundError, match=r"no file 'm.onnx'. Its ONNX files: \['onnx/model.onnx'\]"):
        Repository.fetch("org/name", "m.onnx")
    assert hidden(TextModel(path, found.tokenizer), ["heat"])[0].shape == (3, 8)
