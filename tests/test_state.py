"""What data are, apart from locks, tokens and caches: hashes, pickles and skops files."""

import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from scipy import sparse
from skops import io

from sklrank import Corpus, Qrels, Queries, Run

ROOT = Path(__file__).parents[1]
MAKE = """
import numpy as np
from scipy import sparse
from sklrank import Corpus, Qrels, Queries, Run
from sklrank.data import TokenVectors
from sklrank.fusers import fuse

def make():
    one, two = {"_id": "a", "title": "Heat", "text": "flöws", "n": 3, "x": [1]}, {"_id": "b", "text": "cold wings"}
    texts = Corpus([one, two])
    vectors = np.arange(6.0).reshape(3, 2)
    run = Run({"q": {"b": 1.0, "a": 2.0}, "p": {"a": 0.5}}, corpus=texts, name="first")
    return {
        "texts": texts,
        "passages": texts.split(1),
        "matrix": Corpus(vectors),
        "sparse": Corpus(sparse.csr_array(np.eye(3))),
        "tokens": Corpus(TokenVectors(vectors, [0, 2, 3])),
        "queries": Queries({"q": "heat", "p": "cold"}),
        "unnamed queries": Queries(["heat", "cold"]),
        "query vectors": Queries(sparse.csr_array(np.eye(3))),
        "run": run,
        "ids alone": Run({"q": {"b": 1.0, "a": 2.0}}),
        "candidates": Run.union({"first": run, "second": Run({"q": {"b": 5.0}})}),
        "fused": fuse({"first": run, "second": Run({"q": {"b": 5.0}})}),
        "qrels": Qrels({"q": {"b": 1, "a": 0}}),
        "qrels of rows": Qrels(np.array([[1, 0], [2, 1]]), corpus=texts),
    }
"""
exec(MAKE)
NAMES = list(make())  # noqa: F821


def made(name):
    return make()[name]  # noqa: F821


def run_python(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def exports(value):
    """All that a value gives out, as text, in which NaN equals NaN."""
    if isinstance(value, (Corpus, Queries)):
        return repr([type(value), value.to_frame().to_dict("list"), value.to_dict()])
    if isinstance(value, Run):
        arrays = [value.indptr, value.rows, *map(value.column, value.columns), *map(value.column_ranks, value.columns)]
        return repr([value.to_records(), value.name, value.k, [array.tolist() for array in arrays]])
    return repr([value.to_dict(), value.to_frame().to_dict("list")])


def use(value):
    """Ask for what is made when it is first asked for."""
    str(value), repr(value), getattr(value, "_repr_html_", str)()
    if isinstance(value, Run):
        value.rows, value.docids, [(value.column(name), value.column_ranks(name)) for name in value.columns]
    if isinstance(value, Queries) and "text" in value.columns:
        value.texts, value["text"], value[0]
    if isinstance(value, Corpus):
        value.rows(list(value.ids)), value.ids.take(np.arange(len(value))), value.fingerprint
        value.cached("x", lambda: 1)
    if isinstance(value, (Corpus, Queries)) and value.is_matrix and sparse.issparse(value["vector"]):
        value["vector"].has_canonical_format, value["vector"].has_sorted_indices


def test_equal_content_hashes_equally_in_every_process():
    code = MAKE + "\nimport joblib\nfor name, value in make().items(): print(name, joblib.hash(value), sep=': ')"
    hashes = dict(line.split(": ") for line in run_python(code).splitlines())
    assert hashes == {name: joblib.hash(made(name)) for name in NAMES}
    assert len(set(hashes.values())) == len(hashes)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_asked_for_is_no_state(name):
    value = made(name)
    before = joblib.hash(value)
    use(value)
    assert joblib.hash(value) == before == joblib.hash(made(name))


@pytest.mark.parametrize("name", NAMES)
def test_pickles_bring_everything(name):
    value = made(name)
    use(value)
    assert exports(pickle.loads(pickle.dumps(value))) == exports(value)


def test_pickles_hash_alike_in_another_process():
    code = (
        "import pickle, sys, joblib\nfor value in pickle.loads(bytes.fromhex(sys.argv[1])): print(joblib.hash(value))"
    )
    values = [value for value in map(made, NAMES) if not isinstance(value, (Run, Qrels)) or value.corpus is None]
    assert run_python(code, pickle.dumps(values).hex()).split() == list(map(joblib.hash, values))


@pytest.mark.parametrize("name", NAMES)
def test_skops_saves_everything(name):
    value = made(name)
    use(value)
    data = io.dumps(value)
    again = io.loads(data, trusted=io.get_untrusted_types(data=data))
    assert exports(again) == exports(value)
    assert joblib.hash(again) == joblib.hash(value)


def test_other_content_is_another_corpus():
    corpora = [
        Corpus({"a": "x"}),
        Corpus({"b": "x"}),
        Corpus({"a": "y"}),
        Corpus([{"_id": "a", "title": "x"}]),
        Corpus({"a": "x"}).with_columns(n=[1]),
        Corpus({"a": "x y"}).split(1),
        Corpus({"a": "x  y"}).split(1),
    ]
    assert len({corpus.fingerprint for corpus in corpora}) == len(corpora)


def test_two_corpora_of_one_content_stay_apart_in_the_process_and_arrive_in_another_as_one():
    one, two = Corpus({"a": "x"}), Corpus({"a": "x"})
    assert one.token == two.token and one is not two
    pickles = pickle.dumps(one), pickle.dumps(two)
    assert pickle.loads(pickle.dumps(one)) is one and pickle.loads(pickle.dumps(two)) is two
    code = "import pickle, sys\none, two = (pickle.loads(bytes.fromhex(d)) for d in sys.argv[1:])\nprint(one is two)"
    assert run_python(code, *(data.hex() for data in pickles)) == "True\n"


MEMORY = """
import sys
from joblib import Memory
from sklearn.pipeline import Pipeline
from sklrank import Corpus, Queries
from sklrank.fusers import ReciprocalRankFuser
from sklrank.retrievers import BM25Retriever

made = []

class Counted(BM25Retriever):
    def fit(self, X, y=None):
        print("fitted", flush=True)
        return super().fit(X, y)

def search(corpus, queries):
    print("searched", flush=True)
    return BM25Retriever(corpus).fit(queries).predict(queries)

memory = Memory(sys.argv[1], verbose=0)
corpus, queries = Corpus(["heat flow", "cold wing"]), Queries({"q": "heat", "p": "wing"})
run = memory.cache(search)(corpus, queries)
pipe = Pipeline([("first", Counted(corpus)), ("second", "passthrough")], memory=memory).fit(queries)
print(run.docids, run.corpus is corpus, pipe.transform(queries).docids)
"""


def test_memory_and_pipelines_with_memory_hit_after_a_restart(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(MEMORY, encoding="utf-8")
    code = "import runpy, sys; sys.path.insert(0, ''); sys.argv[:] = [sys.argv[1], sys.argv[2]]; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    first, second = (run_python(code, str(script), str(tmp_path / "memory")).splitlines() for _ in range(2))
    assert first[:2] == ["searched", "fitted"]
    assert second == first[2:]
