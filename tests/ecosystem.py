"""The programs of the guide page *Ecosystem*, as they stand there, each beside the library that it is about.

Needs what is too large for everybody who runs the tests, PyTorch among it: see the last step of `.ci/run`, which calls
``python -m pytest tests/ecosystem.py``.
"""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs/user_guide/ecosystem.rst"

CHECKS = {
    "PyTorch": """
        import numpy as np
        assert isinstance(scores, torch.Tensor)
        np.testing.assert_allclose(scores.numpy(), maxsim(query.numpy(), tokens.numpy(), [0, 100, 350, 500]), rtol=1e-5)
        assert run.rows.tolist() == DenseRetriever(k=3).fit(tokens.numpy()).predict(query.numpy()).rows.tolist()
        assert found.docids == [["1"]]
    """,
    "JAX": """
        import numpy as np
        Q, D = np.asarray(query), np.asarray(tokens)
        assert isinstance(scores, jax.Array)
        np.testing.assert_allclose(np.asarray(scores), maxsim(Q, D, [0, 100, 350, 500]), rtol=1e-5)
        assert run.rows.tolist() == DenseRetriever(k=3).fit(D).predict(Q).rows.tolist()
    """,
    "LightGBM and XGBoost": """
        from sklrank.metrics import ndcg_score
        first = ndcg_score(test.qrels, ranked(unseen, np.nan_to_num(unseen.column("title")), "title"), k=10)
        for run in (by_lightgbm, by_xgboost):
            assert run.rows.shape == unseen.rows.shape
            assert ndcg_score(test.qrels, run, k=10) > first
    """,
    "LangChain": """
        expected = pipe.predict(["do statins lower cholesterol"])
        assert [document.id for document in documents] == expected.docids[0]
        assert [document.metadata["score"] for document in documents] == expected.scores.tolist()
        assert all(document.page_content for document in documents)
    """,
    "LlamaIndex": """
        expected = pipe.predict(["do statins lower cholesterol"])
        assert [node.node_id for node in nodes] == expected.docids[0]
        assert [node.score for node in nodes] == expected.scores.tolist()
        assert all(node.text for node in nodes)
    """,
}
SHARED = ("LangChain", "LlamaIndex")  # sections that go on from the pipeline above the first of them

# Stands in for a package that would download a model.
SENTENCE_TRANSFORMERS = """
class SentenceTransformer:
    def __init__(self, name):
        pass

    def encode(self, texts):
        return [[text.count("heat"), text.count("wing"), 0.1] for text in texts]
"""


def programs():
    """The programs of the page by section, and under None those above the first."""
    found, section = {None: []}, None
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for line, below in zip(lines, lines[1:]):
        if re.fullmatch("-{3,}", below):
            section = line
            found[section] = []
        elif line == ".. code-block:: python":
            found[section].append([])
        elif found[section] and (line.startswith("    ") or not line):
            if found[section][-1] is not None:
                found[section][-1].append(line)
        elif found[section]:
            found[section].append(None)
    return {name: [textwrap.dedent("\n".join(block)) for block in blocks if block] for name, blocks in found.items()}


def test_every_program_is_run():
    assert {name for name, blocks in programs().items() if blocks} == {None, *CHECKS}


@pytest.mark.parametrize("section", CHECKS)
def test_programs_of_the_page(section, tmp_path):
    (tmp_path / "sentence_transformers.py").write_text(SENTENCE_TRANSFORMERS, encoding="utf-8")
    page = programs()
    parts = [*(page[None] if section in SHARED else ()), *page[section], textwrap.dedent(CHECKS[section])]
    program = "\n".join(
        ['import warnings; warnings.filterwarnings("error", module="sklrank")', *parts, 'print("passed")']
    )
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(tmp_path), environment.get("PYTHONPATH")]))
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "passed\n", done.stderr
