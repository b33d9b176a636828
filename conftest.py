"""Models that the examples of the documentation open."""

import pytest


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A folder with model.onnx, splade.onnx and tokenizer.json."""
    from tests.onnx_models import write_models

    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture(autouse=True)
def _models_of_examples(request):
    """Examples that name a model find it in the working directory."""
    examples = getattr(getattr(request.node, "dtest", None), "examples", ())
    if any(".onnx" in example.source for example in examples):
        request.getfixturevalue("monkeypatch").chdir(request.getfixturevalue("model_folder"))
