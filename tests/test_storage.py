"""Saving and loading: what comes back, what is refused, and what survives."""

import errno
import gc
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from onnx_models import write_models
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from survival import Steps, check_contents, check_files, check_kills, check_mutations, n_steps, rankings
from test_contracts import FUSERS, RERANKERS
from test_update_states import CASES, check_equal, rank

import sklrank
from sklrank import Corpus, Qrels, Queries, Run
from sklrank._caching import Folder
from sklrank._session import HubFile
from sklrank.encoders import OnnxSparseEncoder, OnnxTextEncoder, OnnxTokenEncoder, TermVectorizer
from sklrank.fusers import ReciprocalRankFuser
from sklrank.rerankers import CrossEncoder, CrossEncoderReranker, MMRReranker
from sklrank.retrievers import (
    BM25FRetriever,
    BM25Retriever,
    CallableRetriever,
    DenseRetriever,
    LateInteractionRetriever,
    RetrieverUnion,
    SparseRetriever,
    TfidfRetriever,
)
from sklrank.storage import _save

DOCUMENTS = {"a": "heat flows cold", "b": "the cold naïve", "c": "heat-flow heat the", "d": "日本 heat", "e": "cold"}
MORE = {f"m{i}": f"word{i} heat" for i in range(30)}
INDEX = Path(__file__).parent / "data" / "index-1"
only_posix = pytest.mark.skipif(os.name != "posix", reason="processes are forked and killed")


def trusted(folder):
    """Names of the types in the files of skops of a folder."""
    files = Path(folder).glob("data-*/*.skops")
    return sorted({name for file in files for name in skops.io.get_untrusted_types(file=file)})


def again(estimator, folder, **options):
    """An estimator that was saved and loaded."""
    sklrank.save(estimator, folder, trust=True)
    return sklrank.load(folder, trusted=trusted(folder), **options)


# --- what comes back


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_loaded_estimator_ranks_as_before_and_goes_on_changing(case, mmap, tmp_path):
    make, form, queries = case
    estimator = make(Corpus(form(DOCUMENTS))).fit(queries)
    sklrank.update(estimator, add=form({"f": "flows the heat"}), remove=["b"])
    loaded = again(estimator, tmp_path / "one", mmap=mmap, check=True)
    check_equal(rank(loaded, queries), rank(estimator, queries))
    for changed in (estimator, loaded):
        sklrank.update(changed, upsert=form({"c": "cold the", "g": "heat naïve heat"}), remove=["d"])
    check_equal(rank(loaded, queries), rank(estimator, queries))
    check_equal(rank(again(loaded, tmp_path / "one"), queries), rank(estimator, queries))
    check_equal(rank(clone(loaded).fit(queries), queries), rank(estimator, queries))


@pytest.mark.parametrize("name", [*FUSERS, *RERANKERS])
def test_fusers_and_rerankers_come_back(name, tmp_path):
    corpus = Corpus(DOCUMENTS)
    queries = Queries({"q1": "heat flows", "q2": "the cold"})
    qrels = Qrels({"q1": {"a": 1, "c": 2}, "q2": {"b": 1}}).align(queries)
    union = RetrieverUnion([("bm25", BM25Retriever(corpus)), ("tfidf", TfidfRetriever(corpus))]).fit(queries)
    candidates = union.transform(queries)
    if name in RERANKERS:
        candidates = ReciprocalRankFuser().fit_transform(candidates)
    estimator = {**FUSERS, **RERANKERS}[name]().fit(candidates, qrels)
    if name.startswith("Callable"):
        with pytest.raises(TypeError, match="shared_words"):
            sklrank.save(estimator, tmp_path)
        return
    loaded = again(estimator, tmp_path)
    assert loaded.transform(candidates).to_dict() == estimator.transform(candidates).to_dict()


def test_what_is_shared_is_saved_once(tmp_path):
    corpus = Corpus(DOCUMENTS)
    union = RetrieverUnion([("bm25", BM25Retriever(corpus)), ("tfidf", TfidfRetriever(corpus))])
    pipe = make_pipeline(union, ReciprocalRankFuser(), MMRReranker()).fit(["heat"])
    pipe.set_params(mmrreranker=None)
    sklrank.save(pipe, tmp_path)
    loaded = sklrank.load(tmp_path)
    first, second = (retriever for _, retriever in loaded.steps[0][1].retrievers_)
    assert first.corpus_ is second.corpus_ is first.corpus
    assert first.index_.segments[0] is second.index_.segments[0]
    texts = b"".join(text.encode() for text in DOCUMENTS.values())
    assert sum(texts in path.read_bytes() for path in tmp_path.glob("data-*/*")) == 1


def test_after_loading_only_new_documents_are_tokenized_and_encoded(tmp_path, monkeypatch):
    corpus = Corpus({f"d{i}": f"heat w{i % 7} cold" for i in range(50)})
    encoder = TermVectorizer(vocabulary=["heat", "cold", "wind"])
    retrievers = [
        ("bm25", BM25Retriever(corpus)),
        ("bm25f", BM25FRetriever(corpus)),
        ("title", BM25Retriever(corpus, vectorizer=TermVectorizer(ngram_range=(1, 2)))),
    ]
    union = RetrieverUnion(retrievers).fit(None)
    union.add({"one": "heat wind"})
    sklrank.save(union, tmp_path)
    del union, retrievers, corpus
    gc.collect()
    tokenized = []
    learn = TermVectorizer._learn
    monkeypatch.setattr(TermVectorizer, "_learn", lambda self, X, **o: tokenized.append(len(X)) or learn(self, X, **o))
    loaded = sklrank.load(tmp_path)
    run = loaded.transform(["heat wind"])
    assert tokenized == []
    loaded.add({"two": "wind", "three": "wind heat"}).transform(["heat wind"])
    assert tokenized and max(tokenized) == 2
    loaded.remove(["d3"]).transform(["heat"])
    assert max(tokenized) <= 3  # small parts may be merged with the new one
    assert len(run.docids[0]) == 51
    del encoder


def test_derived_values_of_another_version_are_made_anew(tmp_path, monkeypatch):
    retriever = BM25Retriever(Corpus(DOCUMENTS)).fit(None)
    retriever.save(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    manifest["versions"]["sklrank"] = "0.0.1"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    loaded = sklrank.load(tmp_path)
    assert loaded.corpus_.cache_usage() == {}
    assert rankings(loaded) == rankings(retriever)
    assert rankings(loaded.add({"x": "heat"})) == rankings(retriever.add({"x": "heat"}))


def test_documents_in_any_form_are_saved_as_a_corpus(tmp_path):
    retriever = BM25Retriever(["heat flows", "cold"]).fit(None)
    loaded = again(retriever, tmp_path)
    assert loaded.corpus is loaded.corpus_ and rankings(loaded) == rankings(retriever)
    unfitted = again(BM25Retriever(k=7), tmp_path)
    assert unfitted.k == 7 and not hasattr(unfitted, "index_")
    assert again(Corpus(DOCUMENTS), tmp_path).to_dict() == Corpus(DOCUMENTS).to_dict()


def test_parameters_of_every_kind_come_back(tmp_path):
    parameters = {
        "stop_words": ["the", "ä"], "dtype": np.float32, "max_df": 0.5, "vocabulary": None, "ngram_range": (1, 3),
        "min_df": 1,
    }  # fmt: skip
    loaded = again(TermVectorizer(**parameters).fit(["heat the cold", "heat"]), tmp_path)
    assert {name: loaded.get_params()[name] for name in parameters} == parameters
    infinite = again(TfidfRetriever(k=np.int64(3)), tmp_path)
    assert infinite.k == 3 and isinstance(infinite.k, np.int64)


def test_memory_maps_are_used_only_if_they_are_asked_for(tmp_path):
    retriever = BM25Retriever(Corpus(MORE)).fit(None)
    docs = again(retriever, tmp_path).index_.segments[0].docs
    assert type(docs) is np.ndarray and isinstance(docs.base, np.memmap) and not docs.flags.writeable
    docs = sklrank.load(tmp_path, mmap=False).index_.segments[0].docs
    assert type(docs) is np.ndarray and not isinstance(docs.base, np.memmap) and not docs.flags.writeable


def letter_counts(texts):
    return np.array([[text.count("a"), text.count("e")] for text in texts], dtype=np.float32) + 1


ONNX = {
    "dense": lambda corpus, folder: DenseRetriever(corpus, encoder=OnnxTextEncoder(folder / "model.onnx")),
    "sparse": lambda corpus, folder: SparseRetriever(corpus, encoder=OnnxSparseEncoder(str(folder / "splade.onnx"))),
    "tokens": lambda corpus, folder: LateInteractionRetriever(corpus, encoder=OnnxTokenEncoder(folder / "model.onnx")),
    "bytes": lambda corpus, folder: DenseRetriever(
        corpus, encoder=OnnxTextEncoder((folder / "model.onnx").read_bytes(), tokenizer=folder / "tokenizer.json")
    ),
}


@pytest.mark.parametrize("name", ONNX)
def test_models_of_onnx_encode_as_before(name, tmp_path):
    write_models(tmp_path)
    retriever = ONNX[name](Corpus(DOCUMENTS), tmp_path).fit(None)
    loaded = again(retriever, tmp_path / "saved")
    assert loaded.predict(["heat cold"]).to_dict() == retriever.predict(["heat cold"]).to_dict()
    changed = [one.add({"x": "heat"}).predict(["heat cold"]).to_dict() for one in (retriever, loaded)]
    assert changed[0] == changed[1]


@pytest.mark.parametrize("is_open", [False, True])
def test_cross_encoders_come_back(is_open, tmp_path):
    write_models(tmp_path)
    model = str(tmp_path / "cross-encoder.onnx")
    if is_open:
        model = CrossEncoder(model)
    candidates = BM25Retriever(Corpus(DOCUMENTS)).fit(None).predict(["heat"])
    reranker = CrossEncoderReranker(model).fit(candidates)
    loaded = again(reranker, tmp_path / "saved")
    assert loaded.transform(candidates).to_dict() == reranker.transform(candidates).to_dict()


def test_a_model_that_is_missing_or_another_one_is_named(tmp_path):
    write_models(tmp_path)
    path, saved = tmp_path / "model.onnx", tmp_path / "saved"
    DenseRetriever(Corpus(DOCUMENTS), encoder=OnnxTextEncoder(path)).fit(None).save(saved)
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"{re.escape(str(path))} cannot be read"):
        sklrank.load(saved)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is another model"):
        sklrank.load(saved)
    path.write_bytes(content)
    assert len(sklrank.load(saved).predict(["heat"]).docids[0]) == len(DOCUMENTS)
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes() + b" ")
    with pytest.raises(ValueError, match=f"{re.escape(str(tokenizer))} is another model"):
        sklrank.load(saved)


def test_a_file_of_a_hub_is_known_again(tmp_path):
    model = again(OnnxTextEncoder(HubFile("/models/x.onnx", "somebody/model", "x.onnx", "abc")), tmp_path).model
    assert type(model) is HubFile and model == "/models/x.onnx"
    assert (model.repository, model.file, model.revision) == ("somebody/model", "x.onnx", "abc")


def test_derived_values_of_others_that_cannot_be_saved_are_left_out(tmp_path):
    corpus = Corpus(DOCUMENTS)
    retriever, n_files = BM25Retriever(corpus).fit(None), []
    for _ in range(2):
        retriever.save(tmp_path)
        n_files.append(len(list(tmp_path.glob("data-*/*"))))
        DenseRetriever(corpus, encoder=FunctionTransformer(letter_counts)).fit(None)
    assert n_files[0] == n_files[1] and rankings(sklrank.load(tmp_path, check=True)) == rankings(retriever)


def test_columns_of_any_kind_come_back(tmp_path):
    day, utc = date(2026, 12, 1), UTC
    values = [None, 1, 2.5, float("nan"), "naïve", "\udc80", True, [1, {"a": (None, "b")}], {"k": [day]}, b"\x00"]
    values += [day, datetime(2026, 12, 1, 13, 5), datetime(2026, 12, 1, tzinfo=utc)]
    values += [pd.Timestamp("2026-12-01 13:05:00.123456789"), pd.Timestamp("2026-12-01", tz="UTC"), pd.NaT]
    corpus = Corpus([{"text": "heat", "value": value, "number": 3} for value in values])
    loaded = again(corpus, tmp_path)
    assert repr(loaded["value"].tolist()) == repr(corpus["value"].tolist())
    assert list(map(type, loaded["value"])) == list(map(type, corpus["value"]))
    assert loaded["number"].tolist() == corpus["number"].tolist()
    for value in (datetime(2026, 12, 1, tzinfo=timezone(timedelta(hours=2))), {"time": time(13)}):
        with pytest.raises(TypeError, match=r"Corpus\['columns'\]\['value'\].* cannot be saved"):
            sklrank.save(Corpus([{"text": "heat", "value": value}]), tmp_path)


# --- what is refused


@pytest.mark.parametrize(
    "estimator, named",
    [
        (BM25Retriever(vectorizer=TermVectorizer(tokenizer=str.split)), "BM25Retriever['vectorizer']['tokenizer']"),
        (CallableRetriever(print), "CallableRetriever"),
        (make_pipeline(BM25Retriever(), MMRReranker), "MMRReranker"),
        (make_pipeline(BM25Retriever(), memory="x"), "memory= of a Pipeline"),
        (RetrieverUnion([("a", BM25Retriever(vectorizer=object()))]), "object"),
    ],
)
def test_what_cannot_be_saved_is_named_and_changes_nothing(estimator, named, tmp_path):
    BM25Retriever(Corpus(DOCUMENTS)).fit(None).save(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(TypeError, match=re.escape(named)):
        sklrank.save(estimator, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_estimators_of_other_packages_need_trust_on_both_sides(tmp_path):
    retriever = BM25Retriever(Corpus(DOCUMENTS), vectorizer=CountVectorizer(preprocessor=os.path.basename)).fit(None)
    with pytest.raises(TypeError, match="CountVectorizer.*trust=True"):
        retriever.save(tmp_path)
    retriever.save(tmp_path, trust=True)
    with pytest.raises(Exception, match="posixpath.basename|ntpath.basename"):
        sklrank.load(tmp_path)
    assert rankings(sklrank.load(tmp_path, trusted=trusted(tmp_path))) == rankings(retriever)
    with pytest.raises(TypeError, match="list of names"):
        sklrank.load(tmp_path, trusted="posixpath.basename")


def test_loading_runs_no_code(tmp_path):
    BM25Retriever(Corpus(DOCUMENTS)).fit(None).save(tmp_path)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    for stored in ({"class": "os.system", "state": None}, {"class": "sklrank._cli._main.main", "state": None}):
        manifest["objects"][manifest["root"]["object"]] = stored
        path.write_text(json.dumps(manifest), encoding="utf-8")
        with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
            sklrank.load(tmp_path)
    manifest["objects"].append({"class": "sklearn.Pipeline", "state": {"dict": [["memory", "pickles"]]}})
    last = {"object": len(manifest["objects"]) - 1}
    for root in ({"function": "os.system"}, {"number": ["|V1", 10**10]}, {"number": ["|O", 1]}, last):
        manifest["root"] = root
        path.write_text(json.dumps(manifest), encoding="utf-8")
        with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
            sklrank.load(tmp_path)


def test_folders_with_other_files_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("all")
    with pytest.raises(FileExistsError, match=r"thesis\.txt"):
        sklrank.save(BM25Retriever(), tmp_path)
    with pytest.raises(NotADirectoryError, match="thesis"):
        sklrank.save(BM25Retriever(), tmp_path / "thesis.txt")
    with pytest.raises(FileNotFoundError, match="nothing that"):
        sklrank.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing that"):
        sklrank.load(tmp_path / "missing")


# --- damage


@pytest.fixture
def saved(tmp_path):
    """A folder with an index of some documents."""
    BM25Retriever(Corpus({**DOCUMENTS, **MORE})).fit(None).save(tmp_path / "index")
    return tmp_path / "index"


def test_damage_is_found_and_named(saved):
    path = max(saved.glob("data-*/*.npy"), key=lambda file: file.stat().st_size)
    content = path.read_bytes()
    name = re.escape(str(path))
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=f"{name} is truncated"):
        sklrank.load(saved)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match=f"{name} is damaged: its checksum"):
        sklrank.load(saved, check=True)
    path.unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        sklrank.load(saved)
    path.write_bytes(content)
    extra = path.with_name("extra.npy")
    extra.write_bytes(content)
    with pytest.raises(ValueError, match=f"{re.escape(str(extra))} is not a part"):
        sklrank.load(saved)
    extra.unlink()
    shutil.rmtree(path.parent)
    with pytest.raises(FileNotFoundError, match="is missing"):
        sklrank.load(saved)


@pytest.mark.parametrize("dtype", ["'|O'", "'<f8'", "[('a', '<i4')]"])
def test_headers_are_checked_without_reading(saved, dtype):
    path = next(file for file in saved.glob("data-*/*.npy") if b"'<i8'" in file.read_bytes()[:128])
    content = path.read_bytes()
    header = content[:128].replace(b"'<i8'", dtype.encode())[:128]
    path.write_bytes(header[:127].ljust(127) + b"\n" + content[128:])
    try:
        sklrank.load(saved)
    except ValueError as error:
        assert str(saved) in str(error)
    else:
        assert dtype == "'<f8'"  # has the same size


def test_a_newer_format_is_refused_by_name(saved):
    path = saved / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"format":1', '"format":7'), encoding="utf-8")
    with pytest.raises(ValueError, match=r"manifest\.json has the format 7, which is newer"):
        sklrank.load(saved)


def test_an_index_of_this_format_is_read_by_all_later_versions():
    loaded = sklrank.load(INDEX, check=True)
    expected = json.loads((INDEX.parent / "index-1.json").read_text(encoding="utf-8"))
    assert loaded.predict(["heat flows", "naïve"]).to_dict() == expected
    assert loaded.add({"x": "heat"}).predict(["heat"]).docids == [["x", "c", "d", "a"]]


def test_damaged_manifests_and_headers_are_errors():
    assert check_mutations(2000) > 1000


def test_contents_of_a_stranger_are_searched_or_found_damaged():
    assert check_contents(300) > 100


CHANGES = {
    "docs": [lambda a: a[:-1], lambda a: a[::-1].copy(), lambda a: a + np.uint32(60), lambda a: a.astype(np.int64)],
    "indptr": [lambda a: a[:-1], lambda a: a[::-1].copy(), lambda a: a - 1],
    "counts": [lambda a: a[:-1], lambda a: a.astype(np.float64)],
    "lengths": [lambda a: a[:-1]],
    "units": [lambda a: np.ones(3)],
    "field_counts": [lambda arrays: [array[:-1] for array in arrays], lambda arrays: arrays * 2],
    "field_lengths": [lambda arrays: [array[:-1] for array in arrays], lambda arrays: arrays[1:]],
}


@pytest.mark.parametrize("form", [BM25Retriever, BM25FRetriever])
def test_contents_that_kernels_could_not_search_are_found(form, tmp_path):
    corpus = Corpus({f"d{i}": f"heat w{i % 7} cold w{i}" for i in range(60)})
    retriever = form(corpus).fit(None).add({"x": "heat wind"}).remove(["d7"])
    retriever.save(tmp_path)
    assert rankings(sklrank.load(tmp_path, check=True)) == rankings(retriever)
    state = vars(retriever.index_.segments[0])
    for name in CHANGES.keys() & state.keys():
        before = state[name]
        for change in CHANGES[name]:
            state[name] = change(before)
            retriever.save(tmp_path)
            with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
                sklrank.load(tmp_path, check=True)
        state[name] = before


# --- survival


@only_posix
def test_a_killed_save_leaves_the_old_state_or_the_new_one():
    assert check_kills(2) >= 30


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_and_a_read_only_folder_change_nothing(saved, code):
    before, changed = rankings(sklrank.load(saved)), BM25Retriever(Corpus({"z": "heat"})).fit(None)
    shutil.copytree(saved, saved.parent / "other")
    total = n_steps(changed, saved.parent / "other")
    names, n_unchanged = sorted(path.name for path in saved.rglob("*")), 0

    def fail():
        raise OSError(code, os.strerror(code))

    for number in range(1, total + 1):
        try:
            with Steps(number, fail):
                sklrank.save(changed, saved)
        except OSError as error:
            assert error.errno == code
        found = rankings(sklrank.load(saved, check=True))
        if found == before:
            n_unchanged += 1
            assert sorted(path.name for path in saved.rglob("*")) == names
        else:  # it failed to flush the name or to remove the old files, after the new content had become visible
            assert found == rankings(changed)
            break
    assert n_unchanged > 5
    sklrank.save(changed, saved)
    assert rankings(sklrank.load(saved)) == rankings(changed)
    assert len(list(saved.glob("data-*"))) == 1


@only_posix
def test_a_killed_writer_of_rankings_or_judgments_leaves_the_old_file_or_the_new_one(tmp_path):
    runs = [Run({"q": {f"d{i}": float(i) for i in range(n)}}) for n in (3, 400)]
    qrels = [Qrels({"q": {f"d{i}": 1 for i in range(n)}}) for n in (3, 400)]
    writers = {
        "run": lambda path, n: runs[n].to_trec(path),
        "run.gz": lambda path, n: runs[n].to_trec(path),
        "qrels": lambda path, n: qrels[n].to_trec(path),
        "cached": lambda path, n: Folder(path.parent).write(path.name, np.full(9, n)),
    }
    assert check_files(writers, tmp_path) >= 8


def test_saving_over_what_is_loaded_keeps_it(saved):
    loaded = sklrank.load(saved)
    before = rankings(loaded)
    other = sklrank.load(saved).add({"x": "heat heat"})
    other.save(saved)
    other.remove(["a"]).save(saved)
    assert rankings(loaded) == before
    assert rankings(sklrank.load(saved)) == rankings(other)
    assert len(list(saved.glob("data-*"))) == 1


HOLD = """if True:
    import sys
    from pathlib import Path
    from sklrank.storage._lock import locked
    with locked(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.read()
"""


def test_one_process_writes_at_a_time_and_a_dead_one_holds_no_lock(saved):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(saved)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError, match=f"is being written by process {holder.pid} on"):
            sklrank.save(BM25Retriever(), saved)
        assert len(sklrank.load(saved).corpus_) == len({**DOCUMENTS, **MORE})
    finally:
        holder.kill()
        holder.communicate()
    sklrank.save(BM25Retriever(k=3), saved)
    assert sklrank.load(saved).k == 3


@only_posix
def test_readers_in_other_processes_see_complete_states(tmp_path):
    retriever = BM25Retriever(Corpus(DOCUMENTS)).fit(None)
    retriever.save(tmp_path)
    child = os.fork()
    if not child:
        for i in range(30):
            retriever.add({f"x{i}": "heat"}).save(tmp_path)
        os._exit(0)
    seen = set()
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        loaded = sklrank.load(tmp_path)
        n = len(loaded.corpus_)
        assert len(loaded.predict(["heat"]).docids[0]) == n - 2
        seen.add(n)
    assert len(seen) > 1 and len(sklrank.load(tmp_path).corpus_) == len(DOCUMENTS) + 30


def test_the_newest_content_is_loaded_if_it_changes_meanwhile(saved, monkeypatch):
    read, n = _save._read_manifest, 0

    def and_save(folder):
        nonlocal n
        manifest, n = read(folder), n + 1
        if n == 1:
            monkeypatch.setattr(_save, "_read_manifest", read)
            sklrank.save(BM25Retriever(k=9), folder)
        return manifest

    monkeypatch.setattr(_save, "_read_manifest", and_save)
    assert sklrank.load(saved).k == 9
