"""The examples that are programs, on a part of SciFact; the gallery runs the others."""

import os
import sys
import time
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
        monkeypatch.setattr(module, "load_scifact", lambda part="test": small[part], raising=False)
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


@pytest.fixture
def watched(example, monkeypatch, tmp_path):
    module = example("watched_folder")
    monkeypatch.setattr(module, "SETTLED", 0)
    return module.FolderIndex(tmp_path)


def write(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)


def test_a_watched_folder_is_that_of_a_fresh_index(example, watched, tmp_path):
    assert watched.sync() == (0, 0) and watched.search("heat") == []
    write(tmp_path, a="heat flows", b="cold rests", c="heat heat rests")
    (tmp_path / "notes").mkdir()
    write(tmp_path / "notes", d="wind and heat")
    (tmp_path / "e.md").write_bytes(b"\xff heat")
    (tmp_path / "image.png").write_bytes(b"heat")
    assert watched.sync() == (5, 0) and watched.sync() == (0, 0)
    assert {line.split()[1] for line in watched.search("heat")} == {"a.txt:", "c.txt:", "notes/d.txt:", "e.md:"}
    write(tmp_path, a="heat flows and flows", f="rain")
    (tmp_path / "c.txt").unlink()
    (tmp_path / "notes" / "d.txt").rename(tmp_path / "d.txt")
    os.utime(tmp_path / "b.txt")
    assert watched.sync() == (3, 2)
    fresh = type(watched)(tmp_path)
    assert fresh.sync() == (5, 0) and fresh.files == watched.files
    for query in ("heat", "flow", "wind rain"):
        assert sorted(watched.search(query)) == sorted(fresh.search(query)) != []
    for path in tmp_path.glob("*.*"):
        path.unlink()
    assert watched.sync() == (0, 5) and watched.search("heat") == []
    write(tmp_path, a="heat")
    assert watched.sync() == (1, 0) and len(watched.search("heat")) == 1


def test_a_saved_index_of_a_folder_reads_only_what_has_changed(example, watched, tmp_path_factory, monkeypatch):
    module, folder, saved = example("watched_folder"), watched.folder, tmp_path_factory.mktemp("saved") / "index"
    monkeypatch.setattr(module, "SETTLED", 0)
    write(folder, a="heat flows", b="cold rests")
    assert module.FolderIndex(folder, saved).sync() == (2, 0)
    write(folder, a="rain", c="heat and heat")
    again, read = module.FolderIndex(folder, saved), []
    monkeypatch.setattr(Path, "read_bytes", _recorded(Path.read_bytes, read))
    assert {line.split()[1] for line in again.search("heat")} == {"a.txt:"}
    assert again.sync() == (2, 0) and sorted(read) == ["a.txt", "c.txt"]  # not b.txt
    assert {line.split()[1] for line in again.search("heat")} == {"c.txt:"}
    assert module.FolderIndex(folder, saved).sync() == (0, 0)
    for path in folder.iterdir():
        path.unlink()
    assert module.FolderIndex(folder, saved).sync() == (0, 3)


def _recorded(function, calls):
    def recorded(path):
        if path.suffix == ".txt":
            calls.append(path.name)
        return function(path)

    return recorded


def test_a_file_that_was_written_just_now_is_read_again(example, tmp_path):
    index = example("watched_folder").FolderIndex(tmp_path)
    write(tmp_path, a="heat")
    index.sync()
    status = (tmp_path / "a.txt").stat()
    write(tmp_path, a="cold")
    os.utime(tmp_path / "a.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert index.sync() == (1, 0) and len(index.search("cold")) == 1


def test_watched_folder(example, tmp_path, capsys):
    def queries():
        yield "heat"
        write(tmp_path, b="heat and heat")
        while "1 files are new or changed" not in (said := capsys.readouterr()).err:
            found.append(said.out)
            time.sleep(0.01)
        yield "heat"

    found = []
    write(tmp_path, a="heat flows")
    example("watched_folder").main([str(tmp_path), "--interval", "0.01"], queries())
    assert "a.txt: heat flows" in "".join(found)
    assert "b.txt: heat and heat" in capsys.readouterr().out
