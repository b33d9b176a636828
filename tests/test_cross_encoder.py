"""Cross-encoders against onnxruntime called by hand, pair by pair."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from onnx import TensorProto, helper, load_from_string
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklrank import Corpus, Qrels, Queries, Run
from sklrank._caching import Once, Recent
from sklrank._session import TextModel
from sklrank.datasets import read_beir
from sklrank.fusers import ScoreFuser
from sklrank.rerankers import CascadeReranker, CrossEncoder, CrossEncoderReranker
from sklrank.rerankers import _cross_encoder as module
from sklrank.retrievers import BM25Retriever, TfidfRetriever
from tests.onnx_models import VOCABULARY, WORDS, embeddings, plain_session, text_model, tokenizer, write_models

MODEL = text_model("score")
LABELS = text_model("pooled")  # eight numbers a pair
TOKENIZER = tokenizer().to_str().encode()
TEXTS = ["heat flows", "cold plate", "heat", "laminar flow over a flat plate", "", "flow of heat", "wing, lift", "日本"]
CORPUS = Corpus(TEXTS)
QUERIES = Queries({"q1": "heat flow", "q2": "cold wing", "q3": "plate"})
QRELS = Qrels({"q1": {"5": 2, "0": 1}, "q2": {"1": 1}, "q3": {"3": 1}})
PAIRS = [(query, text) for query in QUERIES.texts for text in TEXTS]


def candidates(corpus=CORPUS, queries=QUERIES):
    """All documents for each query."""
    n, q = len(corpus), len(queries)
    rows, scores = np.tile(np.arange(n), q), np.tile(np.arange(n, 0, -1.0), q)
    return Run.from_ragged(np.arange(q + 1) * n, rows, scores, queries=queries, corpus=corpus, name="first")


def by_hand(model, pairs, max_length=512, tokens=None):
    """What the first output of a model is for each pair alone."""
    tokens = tokens or tokenizer()
    session = plain_session(model)
    values = []
    for query, document in pairs:
        room = max_length - 3 - len(tokens.encode(query, add_special_tokens=False).ids)
        tokens.no_truncation()
        offsets = tokens.encode(document, add_special_tokens=False).offsets[:room]
        encoding = tokens.encode(query, document[: offsets[-1][1]] if offsets else "")
        feeds = {
            "input_ids": [encoding.ids],
            "attention_mask": [encoding.attention_mask],
            "token_type_ids": [encoding.type_ids],
        }
        values.append(session.run(None, {name: np.array(value, dtype=np.int64) for name, value in feeds.items()})[0][0])
    return np.array(values, dtype=np.float64)


@pytest.fixture
def pairs_run(monkeypatch):
    """The pairs that models are given, one list a call."""
    seen = []
    original = TextModel.pair_batches

    def spy(self, first, second, *args, **kwargs):
        seen.extend(zip(first, second))
        return original(self, first, second, *args, **kwargs)

    monkeypatch.setattr(TextModel, "pair_batches", spy)
    for name in ("_SCORES", "_OPEN"):  # nothing is known from other tests
        monkeypatch.setattr(module, name, Recent(getattr(module, name).n))
    return seen


def asked(pairs):
    """Without the one that shows whether a model runs."""
    return [pair for pair in pairs if pair != ("a", "a b c")]


# --- scores


def test_scores_are_those_of_onnxruntime_pair_by_pair():
    expected = by_hand(MODEL, PAIRS)[:, 0]
    for options in ({}, {"max_tokens_per_batch": 20}, {"max_tokens_per_batch": 10_000}, {"n_jobs": 2}):
        got = CrossEncoder(MODEL, tokenizer=TOKENIZER, cache=0, **options).score_batch(PAIRS)
        assert got.dtype == np.float64
        assert_allclose(got, expected, atol=1e-5)


def test_scores_of_a_real_model_are_those_of_onnxruntime(data_dir):
    from tokenizers import Tokenizer

    folder = data_dir / "models" / "cross-encoder-tiny"
    data = read_beir(data_dir / "scifact")
    texts = data.corpus.text()
    pairs = [(data.queries.texts[i], texts[7 * i + j]) for i in range(4) for j in range(4)]
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json"))
    expected = by_hand((folder / "model_int8.onnx").read_bytes(), pairs, 160, tokens)
    model = CrossEncoder.from_file(folder / "model_int8.onnx", max_length=160)
    assert_allclose(model.score_batch(pairs), expected[:, 0], atol=1e-4)
    assert model.n_labels == 1 and model.device == "cpu"


def test_a_score_is_one_of_a_batch():
    model = CrossEncoder.from_bytes(MODEL, tokenizer=tokenizer())
    batch = model.score_batch(PAIRS)
    assert [model.score(*pair) for pair in PAIRS] == batch.tolist()
    assert model.score_batch([]).shape == (0,)
    assert isinstance(model.score("heat", "flow"), float)


def test_the_ranking_of_a_list():
    model = CrossEncoder(MODEL, tokenizer=TOKENIZER)
    run = model.rank("heat flow", TEXTS)
    scores = model.score_batch([("heat flow", text) for text in TEXTS])
    assert run.rows.tolist() == sorted(range(len(TEXTS)), key=lambda i: (-scores[i], i))
    assert model.rank("heat flow", TEXTS, k=3).rows.tolist() == run.rows.tolist()[:3]
    assert model.rank("heat", {"a": "heat", "b": "cold"}).docids[0] in (["a", "b"], ["b", "a"])
    assert model.rank("heat", []).docids == [[]]
    with pytest.raises(TypeError, match="one query"):
        model.rank(["heat"], TEXTS)
    with pytest.raises(ValueError, match="an int of at least 1, got 0"):
        model.rank("heat", TEXTS, k=0)


def test_equal_documents_tie_and_go_by_row():
    run = CrossEncoder(MODEL, tokenizer=TOKENIZER).rank("heat", ["flow", "heat", "flow"])
    rows = run.rows.tolist()
    assert rows.index(0) + 1 == rows.index(2) and run.scores[rows.index(0)] == run.scores[rows.index(2)]


@pytest.mark.parametrize(
    "pairs", [["heat"], [("heat",)], [("a", "b", "c")], [("heat", 3)], [(None, "x")], [("heat", "\ud800")]]
)
def test_what_is_no_pair_of_texts_is_refused(pairs):
    with pytest.raises((TypeError, ValueError)):
        CrossEncoder(MODEL, tokenizer=TOKENIZER).score_batch(pairs)


def test_long_documents_are_cut_and_queries_are_not():
    pairs = [("heat flow", "laminar flow over a flat plate " * 1000), ("heat flow", "cold " * 20)]
    for max_length in (8, 12, 64):
        got = CrossEncoder(MODEL, tokenizer=TOKENIZER, max_length=max_length).score_batch(pairs)
        assert_allclose(got, by_hand(MODEL, pairs, max_length)[:, 0], atol=1e-5)
    with pytest.warns(UserWarning, match="1 of 1 queries are longer than 4 tokens"):
        CrossEncoder(MODEL, tokenizer=TOKENIZER, max_length=12).score("heat flow over a flat plate", "cold")


# --- heads


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_activations_of_one_number():
    logits = by_hand(MODEL, PAIRS)[:, 0]
    for activation, expected in (("auto", logits), ("identity", logits), ("sigmoid", 1 / (1 + np.exp(-logits)))):
        got = CrossEncoder(MODEL, tokenizer=TOKENIZER, activation=activation, label=0).score_batch(PAIRS)
        assert_allclose(got, expected, atol=1e-5)
    with pytest.raises(ValueError, match="softmax.*always 1"):
        CrossEncoder(MODEL, tokenizer=TOKENIZER, activation="softmax")


def test_labels_and_the_expected_grade():
    logits = by_hand(LABELS, PAIRS)
    model = CrossEncoder(LABELS, tokenizer=TOKENIZER)
    assert model.n_labels == 8
    assert_allclose(model.score_batch(PAIRS), softmax(logits) @ np.arange(8), atol=1e-5)
    sigmoid = 1 / (1 + np.exp(-logits))
    for activation, values in (("auto", softmax(logits)), ("identity", logits), ("sigmoid", sigmoid)):
        got = CrossEncoder(LABELS, tokenizer=TOKENIZER, activation=activation, label=3).score_batch(PAIRS)
        assert_allclose(got, values[:, 3], atol=1e-5)
    with pytest.raises(ValueError, match="give label="):
        CrossEncoder(LABELS, tokenizer=TOKENIZER, activation="sigmoid")
    with pytest.raises(ValueError, match="label=8, but the labels of .* are 0 to 7"):
        CrossEncoder(LABELS, tokenizer=TOKENIZER, label=8)


@pytest.mark.parametrize("kind", ["hidden", "logits"])
def test_models_that_are_no_cross_encoders_say_what_they_are(kind):
    with pytest.raises(ValueError, match="one number per pair.*of shape"):
        CrossEncoder(text_model(kind), tokenizer=TOKENIZER)


def test_a_vector_is_no_score():
    with pytest.raises(ValueError, match="92 numbers per pair, which looks like a vector"):
        CrossEncoder(text_model("weights"), tokenizer=TOKENIZER)
    assert CrossEncoder(text_model("weights"), tokenizer=TOKENIZER, label=5, activation="identity").n_labels == 92


def test_other_shapes_of_models():
    expected = by_hand(MODEL, PAIRS)[:, 0]
    fixed = CrossEncoder(text_model("score", shape=(3, 24)), tokenizer=TOKENIZER)
    assert_allclose(fixed.score_batch(PAIRS), expected, atol=1e-5)
    model = load_from_string(MODEL)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    unstated = CrossEncoder(model.SerializeToString(), tokenizer=TOKENIZER)
    assert_allclose(unstated.score_batch(PAIRS), expected, atol=1e-5)


def with_outputs(model, *names):
    """A model that gives some tensors of the one that is given, by new names."""
    model = load_from_string(model)
    outputs = []
    for name in names:
        model.graph.node.append(helper.make_node("Identity", [name], [f"of_{name}"]))
        outputs.append(helper.make_tensor_value_info(f"of_{name}", TensorProto.FLOAT, None))
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    return model.SerializeToString()


def test_of_several_outputs_the_one_number_is_the_score():
    expected = by_hand(MODEL, PAIRS)[:, 0]
    for names in (["pooled", "logits"], ["logits", "pooled", "in_context"]):
        got = CrossEncoder(with_outputs(MODEL, *names), tokenizer=TOKENIZER)
        assert got.n_labels == 1
        assert_allclose(got.score_batch(PAIRS), expected, atol=1e-5)


def test_an_output_may_be_named_and_has_to_be_where_several_may_be_the_score():
    model = with_outputs(MODEL, "pooled", "mean", "logits")
    assert CrossEncoder(model, tokenizer=TOKENIZER).n_labels == 1
    assert CrossEncoder(model, tokenizer=TOKENIZER, output="of_mean").n_labels == 8
    reranker = CrossEncoderReranker(model, tokenizer=TOKENIZER, output="of_pooled").fit(candidates())
    assert reranker.model_.n_labels == 8
    with pytest.raises(ValueError, match="several outputs.*of_pooled, of_mean; give output="):
        CrossEncoder(with_outputs(MODEL, "pooled", "mean"), tokenizer=TOKENIZER)
    with pytest.raises(ValueError, match="no output 'grade'.*of_pooled"):
        CrossEncoder(model, tokenizer=TOKENIZER, output="grade")
    with pytest.raises(ValueError, match="one number per pair"):
        CrossEncoder(with_outputs(MODEL, "in_context", "logits"), tokenizer=TOKENIZER, output="of_in_context")


def test_nan_ranks_nowhere():
    vectors = embeddings()
    vectors[VOCABULARY.index("wing")] = np.nan
    model = CrossEncoder(text_model("score", vectors=vectors), tokenizer=TOKENIZER)
    for ask in (
        lambda: model.rank("heat", ["heat", "wing"]),
        lambda: model.score("heat", "wing"),
        lambda: CrossEncoderReranker(model).transform(candidates()),
    ):
        with pytest.raises(ValueError, match=r"NaN for \d+ of \d+ pairs, such as .*wing"):
            ask()
    assert np.isfinite(model.score("heat", "flow"))


# --- passages


@pytest.mark.parametrize(("stride", "starts"), [(None, [0, 2, 4, 5]), (1, [0, 1, 2, 3, 4, 5]), (2, [0, 2, 4, 5])])
def test_documents_are_read_in_passages(stride, starts):
    words = "heat transfer laminar flow over a plate".split()
    query = "heat flow"
    parts = by_hand(MODEL, [(query, " ".join(words[start : start + 2])) for start in starts])[:, 0]
    short = by_hand(MODEL, [(query, "wing"), (query, "")])[:, 0]
    for how, expected in (("max", parts.max()), ("mean", parts.mean()), ("first", parts[0])):
        model = CrossEncoder(MODEL, tokenizer=TOKENIZER, max_passage=2, stride=stride, how=how)
        got = model.score_batch([(query, " ".join(words)), (query, "wing"), (query, "")])
        assert_allclose(got, [expected, *short], atol=1e-5)


@pytest.mark.filterwarnings("ignore:1 of 1 queries are longer")
@pytest.mark.parametrize("query", ["heat", "heat flow over a plate", "heat " * 40])
def test_no_word_of_a_passage_is_cut_off_beside_a_query(query, pairs_run):
    words = [WORDS[i % len(WORDS)] for i in range(50)]
    CrossEncoder(MODEL, tokenizer=TOKENIZER, max_passage=16, max_length=16).score(query, " ".join(words))
    n_query = min(len(query.split()), 6)
    parts = [document.split() for _, document in asked(pairs_run)]
    assert all(len(part) == 13 - n_query for part in parts)
    assert sum(parts[:-1], []) == words[: sum(map(len, parts[:-1]))] and parts[-1] == words[-len(parts[-1]) :]


def test_passages_that_cannot_be_are_refused():
    for bad in ({"stride": 3}, {"stride": 3, "max_passage": 2}):
        with pytest.raises(ValueError, match="at most max_passage=.*got stride=3"):
            CrossEncoder(MODEL, tokenizer=TOKENIZER, **bad)
    with pytest.raises(ValueError, match="a function does not"):
        CrossEncoder(MODEL, tokenizer=encoded, max_passage=2)


def encoded(first, second):
    """A tokenizer that is a function."""
    encodings = tokenizer().encode_batch(list(zip(first, second)))
    return {"input_ids": [e.ids for e in encodings], "token_type_ids": [e.type_ids for e in encodings]}


def test_a_tokenizer_may_be_a_function():
    got = CrossEncoder(MODEL, tokenizer=encoded).score_batch(PAIRS)
    assert_allclose(got, by_hand(MODEL, PAIRS)[:, 0], atol=1e-5)


# --- the reranker


def test_the_reranker_ranks_by_the_scores_of_the_model():
    expected = by_hand(MODEL, PAIRS)[:, 0].reshape(3, -1)
    run = CrossEncoderReranker(MODEL, tokenizer=TOKENIZER).fit(candidates()).transform(candidates())
    assert_allclose(np.asarray(run), expected, atol=1e-5)
    assert run.columns == ("first", "cross_encoder") and run.name == "cross_encoder"
    for q in range(3):
        assert_array_equal(run[q].scores, -np.sort(-run[q].scores))


def test_what_a_model_may_be(tmp_path):
    write_models(tmp_path)
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    expected = CrossEncoderReranker(MODEL, tokenizer=TOKENIZER).transform(candidates())
    opened = CrossEncoder(MODEL, tokenizer=TOKENIZER)
    for model, given in (
        (tmp_path / "cross-encoder.onnx", None),
        (str(tmp_path / "cross-encoder.onnx"), tmp_path / "tokenizer.json"),
        (session, tokenizer()),
        (opened, None),
    ):
        reranker = CrossEncoderReranker(model, tokenizer=given)
        assert reranker.transform(candidates()).docids == expected.docids
        assert reranker.device_ == "cpu"
        again = pickle.loads(pickle.dumps(reranker))
        assert again.transform(candidates()).scores.tolist() == expected.scores.tolist()
        assert clone(reranker).transform(candidates()).docids == expected.docids
    reranker = CrossEncoderReranker.from_hub(str(tmp_path), file="cross-encoder.onnx")
    assert reranker.transform(candidates()).docids == expected.docids
    model = CrossEncoder.from_hub(str(tmp_path), file="cross-encoder.onnx", label=0)
    assert model.score("heat", "flow") == opened.score("heat", "flow")


def test_an_open_model_has_settings_of_its_own():
    model = CrossEncoder(MODEL, tokenizer=TOKENIZER, activation="sigmoid")
    run = CrossEncoderReranker(model, depth=3, k=2).fit(candidates()).transform(candidates())
    assert run.scores.max() < 1 and np.diff(run.indptr).tolist() == [2, 2, 2]
    with pytest.raises(ValueError, match="give it max_length, how, not the reranker"):
        CrossEncoderReranker(model, max_length=64, how="mean").fit(candidates())


def test_parameters_may_be_set_after_fit():
    reranker = CrossEncoderReranker(MODEL, tokenizer=TOKENIZER).fit(candidates())
    logits = np.asarray(reranker.transform(candidates()))
    reranker.set_params(activation="sigmoid", k=8)
    assert_allclose(np.asarray(reranker.transform(candidates())), 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_models_in_bytes_print_their_size_and_pickles_hold_absolute_paths(tmp_path, monkeypatch):
    write_models(tmp_path)
    for given in (MODEL, bytearray(MODEL)):
        reranker = CrossEncoderReranker(given, tokenizer=TOKENIZER)
        assert "<bytes: 0.0 MB>" in repr(make_pipeline(reranker)) and len(repr(reranker)) < 200
    expected = reranker.transform(candidates()).docids
    monkeypatch.chdir(tmp_path)
    model = CrossEncoder("cross-encoder.onnx", tokenizer="tokenizer.json")
    reranker = CrossEncoderReranker("cross-encoder.onnx", tokenizer="tokenizer.json")
    pickles = pickle.dumps(CrossEncoderReranker(model)), pickle.dumps(reranker)
    monkeypatch.chdir(tmp_path.parent)
    for data in pickles:
        assert pickle.loads(data).transform(candidates()).docids == expected
    for bad in (5, "model.onnx"):
        with pytest.raises(TypeError, match="content of an ONNX file, bytes, got"):
            CrossEncoder.from_bytes(bad, tokenizer=TOKENIZER)


def test_fields_are_read():
    corpus = Corpus([{"title": "heat", "text": "flow", "note": "cold"}, {"title": "wing", "text": "", "note": "warm"}])
    model = CrossEncoder(MODEL, tokenizer=TOKENIZER)
    cases = (None, ["heat flow", "wing"]), ("note", ["cold", "warm"]), (["note", "title"], ["cold heat", "warm wing"])
    for field, texts in cases:
        run = CrossEncoderReranker(model, field=field).transform(candidates(corpus, QUERIES[0]))
        assert_array_equal(np.asarray(run)[0], model.score_batch([("heat flow", text) for text in texts]))


def test_texts_that_are_missing_are_named():
    reranker = CrossEncoderReranker(MODEL, tokenizer=TOKENIZER)
    with pytest.raises(ValueError, match="with_corpus"):
        reranker.transform(Run({"q": {"0": 1.0}}, queries={"q": "heat"}))
    with pytest.raises(ValueError, match="only their ids"):
        reranker.transform(Run({"q": {"0": 1.0}}, corpus=CORPUS))
    none = Run([{}], queries=["heat"], corpus=CORPUS)
    assert reranker.transform(none).docids == [[]]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [({"model": 3}, "'model' param"), ({"how": "sum"}, "'how' param"), ({"max_length": 0}, "'max_length' param")],
)
def test_bad_parameters_are_named(parameters, text):
    with pytest.raises(ValueError, match=text):
        CrossEncoderReranker(**{"model": MODEL, "tokenizer": TOKENIZER, **parameters}).fit(candidates())
    with pytest.raises(ValueError, match=text):
        CrossEncoder(**{"model": MODEL, "tokenizer": TOKENIZER, **parameters})


def test_models_that_do_not_open_say_why(tmp_path):
    for model, text in ((b"", "give bytes that are not empty"), (b"no model", "cannot open")):
        with pytest.raises(ValueError, match=text):
            CrossEncoderReranker(model, tokenizer=TOKENIZER).fit(candidates())
    with pytest.raises(FileNotFoundError):
        CrossEncoderReranker(tmp_path / "no.onnx").fit(candidates())
    with pytest.raises(ValueError, match="expected tokenizer= to be"):
        CrossEncoderReranker(MODEL).fit(candidates())


def test_progress_is_printed(capsys):
    CrossEncoderReranker(MODEL, tokenizer=TOKENIZER, verbose=True, cache=0).transform(candidates())
    assert "[CrossEncoderReranker] scored 24 of 24 pairs" in capsys.readouterr().out


# --- scores are kept


def test_a_search_never_scores_a_pair_twice(pairs_run):
    grids = [
        {"crossencoderreranker__depth": [1, 3, 5], "scorefuser__norm": ["zmuv", "min-max"]},
        {"first": [TfidfRetriever(CORPUS)], "crossencoderreranker__k": [2, None]},
    ]
    pipe = make_pipeline(BM25Retriever(CORPUS), CrossEncoderReranker(MODEL, tokenizer=TOKENIZER), ScoreFuser())
    pipe.steps[0] = ("first", pipe.steps[0][1])
    GridSearchCV(pipe, grids, cv=3).fit(QUERIES, QRELS.align(QUERIES))
    found = BM25Retriever(CORPUS).fit([""]).predict(QUERIES)
    scored = asked(pairs_run)
    assert len(scored) == len(set(scored)) == len(found.rows)
    assert len(pairs_run) - len(scored) == 1  # one model was opened


def test_equal_pairs_are_scored_once_and_none_at_all_the_next_time(pairs_run):
    model = CrossEncoder(MODEL, tokenizer=TOKENIZER)
    model.score_batch([("heat", "flow")] * 5 + [("heat", "cold")])
    assert asked(pairs_run) == [("heat", "flow"), ("heat", "cold")]
    CrossEncoder(MODEL, tokenizer=tokenizer()).score("heat", "flow")  # the same, opened again
    pickle.loads(pickle.dumps(model)).score("heat", "cold")
    assert len(asked(pairs_run)) == 2
    CrossEncoder(MODEL, tokenizer=TOKENIZER, activation="sigmoid").score("heat", "flow")
    assert len(asked(pairs_run)) == 3


def test_the_scores_that_are_kept_are_bounded(pairs_run):
    model = CrossEncoder(MODEL, tokenizer=TOKENIZER, cache=2)
    model.score_batch([("heat", text) for text in ("flow", "cold", "wing")])
    assert len(model._scores) == 2
    model.score("heat", "wing")
    assert len(asked(pairs_run)) == 3
    model.score("heat", "flow")  # went first
    assert len(asked(pairs_run)) == 4
    none = CrossEncoder(MODEL, tokenizer=TOKENIZER, cache=0, max_length=64)
    assert none.score("heat", "flow") == none.score("heat", "flow") and len(asked(pairs_run)) == 6


def test_threads_share_what_they_score():
    cache, calls, gate = Once(), [], threading.Barrier(8)

    def make(positions):
        calls.extend(positions)
        return list(map(float, positions))

    def work(_):
        gate.wait()
        return cache.get([f"k{i}" for i in range(500)], make, limit=1000)

    with ThreadPoolExecutor(8) as pool:
        for got in pool.map(work, range(8)):
            assert got == list(range(500))
    assert sorted(calls) == list(range(500))


def test_eight_threads_at_once_give_the_same_ranking(pairs_run):
    reranker = CrossEncoderReranker(MODEL, tokenizer=TOKENIZER)
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(reranker.transform, [candidates()] * 8))
    assert len(asked(pairs_run)) == len(PAIRS)
    assert all(run.docids == runs[0].docids and run.scores.tolist() == runs[0].scores.tolist() for run in runs)


def test_a_failure_leaves_nothing_behind():
    cache = Once()
    with pytest.raises(ZeroDivisionError):
        cache.get(["a"], lambda positions: 1 / 0, limit=10)
    assert cache.get(["a", "a"], lambda positions: [2.0], limit=10) == [2.0, 2.0]


def test_clones_share_the_open_model(pairs_run):
    reranker = CrossEncoderReranker(MODEL, tokenizer=TOKENIZER).fit(candidates())
    other = clone(reranker).fit(candidates())
    assert other.model_ is reranker.model_ and len(pairs_run) == 1
    assert other.set_params(max_length=64).fit(candidates()).model_ is not reranker.model_


def test_the_order_does_not_depend_on_other_queries_or_on_threads():
    reranker = CrossEncoderReranker(MODEL, tokenizer=TOKENIZER, cache=0)
    whole = reranker.transform(candidates())
    for run in (
        np.concatenate([reranker.transform(candidates()[i]) for i in range(3)]),
        clone(reranker).set_params(n_jobs=2).transform(candidates()),
    ):
        assert run.docids == whole.docids
        assert_allclose(run.scores, whole.scores, atol=1e-6)


def test_a_cascade_reads_less():
    reranker = CrossEncoderReranker(MODEL, tokenizer=TOKENIZER)
    stages = [("short", reranker.set_params(max_length=8), 5), ("long", clone(reranker).set_params(max_length=64), 2)]
    run = CascadeReranker(stages).fit(candidates()).transform(candidates())
    assert np.diff(run.indptr).tolist() == [2, 2, 2] and run.columns == ("first", "short", "long")


# --- hostile texts

HOSTILE = ["", " ", "שלום עולם", "熱はどこへ流れるか", "e\u0301\u200d🏽", "\x00", "heat " * 20_000]


def test_hostile_texts_have_scores():
    model = CrossEncoder(MODEL, tokenizer=TOKENIZER)
    scores = model.score_batch([("heat", text) for text in HOSTILE])
    assert np.isfinite(scores).all()
    assert_allclose(scores[-1], model.score("heat", "heat " * 508), atol=1e-5)  # what fits into 512 tokens
    with pytest.warns(UserWarning, match="queries are longer"):
        assert np.isfinite(model.score_batch([(text, "heat") for text in HOSTILE])).all()
    run = CrossEncoderReranker(model).transform(candidates(Corpus(HOSTILE), Queries(HOSTILE[:-1])))
    assert [sorted(map(int, docids)) for docids in run.docids] == [list(range(len(HOSTILE)))] * (len(HOSTILE) - 1)
    with pytest.raises(ValueError, match="surrogate"):
        model.score("heat", "\ud800")
