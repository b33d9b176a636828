"""The examples that are programs, on a part of SciFact; the gallery runs the others."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from sklearn.utils import Bunch

from sklrank import Corpus
from sklrank.datasets import load_scifact

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def small():
    """Sixteen queries of each part, with the documents that are judged and some others."""
    parts = {name: load_scifact(name) for name in ("train", "test")}
    judged = {docid for part in parts.values() for grades in part.qrels[:16].to_dict().values() for docid in grades}
    corpus = parts["test"].corpus
    ids = [*judged, *(docid for docid in corpus.ids[:120].tolist() if docid not in judged)]
    rows = corpus.rows(ids)
    texts, titles = (corpus[name][rows].tolist() for name in ("text", "title"))
    documents = Corpus([{"_id": d, "title": title, "text": text} for d, title, text in zip(ids, titles, texts)])
    return {
        name: Bunch(corpus=documents, queries=part.queries[:16], qrels=part.qrels[:16]) for name, part in parts.items()
    }


@pytest.fixture
def example(small, monkeypatch):
    def load(name):
        spec = spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        monkeypatch.setattr(module, "load_scifact", lambda part="test": small[part])
        return module

    return load


def test_qdrant_rerank(example, capsys):
    example("qdrant_rerank").main([])
    printed = capsys.readouterr().out
    assert "best depth: " in printed and "do statins lower cholesterol" in printed


def test_rag_pipeline(example, small, capsys):
    rag = example("rag_pipeline")
    rag.main([small["test"].queries.texts[0], "--max-tokens", "250"])
    printed = capsys.readouterr().out
    assert printed.startswith(small["test"].queries.texts[0])
    assert "\n[1] " in printed and "Context: success@100 " in printed and "passageaggregator" in printed


def test_rag_pipeline_with_models_and_a_generator_of_ones_own(example, small, data_dir):
    rag, asked = example("rag_pipeline"), []
    models = data_dir / "models"
    paths = [str(models / name / "model_int8.onnx") for name in ("all-minilm-l6-v2", "cross-encoder-tiny")]
    question, corpus = small["test"].queries.texts[0], small["test"].corpus
    few = Corpus([{"title": title, "text": text} for title, text in zip(corpus["title"][:15], corpus["text"][:15])])
    search = rag.build(few.split(60), *paths)

    def generate(question, passages):
        asked.append(rag.prompt(question, passages))
        return "It does [2], as others say [1] [99]."

    text, sources = rag.answer(question, search, rag.Cutoff(max_tokens=250, field="text"), generate)
    assert text.startswith("It does") and [number for number, _ in sources] == [1, 2]
    assert sources[1][1]["text"] in asked[0] and question in asked[0]


def test_the_context_keeps_to_its_budget(example, small):
    rag = example("rag_pipeline")
    test = small["test"]
    search = rag.build(test.corpus.split(50))
    context = rag.Cutoff(max_tokens=120, field="text").transform(search.predict(test.queries))
    lengths = [sum(len(passage["text"].split()) for passage in one.to_records(fields="text")) for one in context]
    assert all(0 < length <= 120 for length in lengths)
