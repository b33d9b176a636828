"""What takes PyTorch's tensors, in a process that may dispatch to them from its start.

Needs the extra torch, which is too large for everybody who runs the tests: ``python -m pytest tests/torch_tensors.py``.
"""

import os
import subprocess
import sys

PROGRAM = """
import numpy as np, sklearn, torch
from sklrank.rerankers import maxsim
from sklrank.retrievers import DenseRetriever

rng = np.random.default_rng(0)
documents, queries = rng.normal(size=(500, 32)).astype(np.float32), rng.normal(size=(7, 32)).astype(np.float32)
documents[300:] = documents[:200]  # ties
for metric in ("cosine", "dot", "euclidean"):
    expected = DenseRetriever(metric=metric, k=10).fit(documents).predict(queries)
    with sklearn.config_context(array_api_dispatch=True):
        run = DenseRetriever(metric=metric, k=10).fit(torch.asarray(documents)).predict(torch.asarray(queries))
    assert run.rows.tolist() == expected.rows.tolist() and run.scores.tobytes() == expected.scores.tobytes()

indptr = np.array([0, 100, 100, 500])
expected = maxsim(queries, documents, indptr)
scores = maxsim(torch.asarray(queries), torch.asarray(documents), indptr)
assert isinstance(scores, torch.Tensor)
np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-5)
print("passed")
"""


def test_tensors_rank_as_arrays_do():
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "passed\n", done.stderr
