"""A memory-mapped index that is larger than the memory that the process may have."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from sklrank import Corpus
from sklrank.retrievers import BM25Retriever

N_DOCUMENTS, N_TERMS, WORDS = 400_000, 30_000, 60
QUERIES = [f"w{a} w{b} w{c}" for a, b, c in np.random.default_rng(3).integers(0, 400, size=(40, 3))]

SEARCH = """if True:
    import hashlib, re, resource, sys
    import sklrank

    def status(name):
        return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

    sklrank.load(sys.argv[1]).predict(sys.argv[3:])  # loads the kernels
    retriever = sklrank.load(sys.argv[1])
    limit = int(sys.argv[2])
    anonymous = status("RssAnon")
    resource.setrlimit(resource.RLIMIT_DATA, (status("VmData") + limit,) * 2)
    digest = hashlib.sha1()
    for query in sys.argv[3:]:
        run = retriever.predict([query])
        digest.update(run.rows.tobytes() + run.scores.tobytes())
    print(digest.hexdigest(), status("RssAnon") - anonymous)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the memory figures of Linux")
def test_an_index_of_four_times_the_memory_limit_answers(tmp_path):
    rng = np.random.default_rng(0)
    shares = np.cumsum(1 / np.arange(1, N_TERMS + 1))
    words = np.array([f"w{i}" for i in range(N_TERMS)], dtype=object)
    texts = []
    for _ in range(N_DOCUMENTS // 20_000):
        drawn = words[np.searchsorted(shares / shares[-1], rng.random((20_000, WORDS)))]
        texts += map(" ".join, drawn.tolist())
    retriever = BM25Retriever(Corpus(texts), k=10, n_jobs=1).fit(None)
    retriever.save(tmp_path / "index")
    size = sum(path.stat().st_size for path in (tmp_path / "index").rglob("*") if path.is_file())
    postings = sum(array.nbytes for array in (retriever.index_.segments[0].docs, retriever.index_.segments[0].counts))
    limit = postings // 4
    assert limit < 30e6 < size
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", SEARCH, str(tmp_path / "index"), str(limit), *QUERIES]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    digest, grown = done.stdout.split()
    expected = hashlib.sha1()
    for query in QUERIES:
        run = retriever.predict([query])
        expected.update(run.rows.tobytes() + run.scores.tobytes())
    assert digest == expected.hexdigest()
    assert int(grown) < limit
