"""The package as a whole: what it imports, what it declares, what its files may say."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import sklrank

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, TOOLS = PYPROJECT["project"], PYPROJECT["tool"]
MODULES = sorted((ROOT / "sklrank").rglob("*.py"))


def run_python(code):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def imported_names(path):
    """Dotted names that a module imports, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_import_loads_nothing_heavy():
    heavy = {"numba", "numpy", "scipy", "sklearn", "pandas", "polars", "matplotlib", "Stemmer"}
    assert not heavy & set(run_python("import sys, sklrank; print(*sys.modules)"))


def test_optional_packages_stay_out_of_the_rooms():
    code = "import sys; from sklrank import *; print(*sys.modules)"
    assert not {"matplotlib", "polars", "tokenizers"} & set(run_python(code))


def test_import_compiles_nothing():
    code = (
        "import numba.core.dispatcher as d\n"
        "d.Dispatcher._compile_for_args = d.Dispatcher.compile = None\n"  # to compile, or load, fails
        "from sklrank import *"
    )
    run_python(code)


def test_names_are_lazy_and_sorted():
    assert sklrank.__all__ == sorted(sklrank.__all__)
    assert set(sklrank.__all__) <= set(dir(sklrank))
    for name in sklrank.__all__:
        assert getattr(sklrank, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Korpus'"):
        sklrank.Korpus  # noqa: B018 (to ask for it is the test)


def test_version_is_that_of_the_project():
    assert sklrank.__version__ == version("sklrank") == PROJECT["version"]


def test_changelog_has_a_heading_for_the_version():
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_dependencies_are_few():
    names = {re.match(r"[\w-]+", requirement)[0] for requirement in PROJECT["dependencies"]}
    assert names == {"numpy", "scipy", "scikit-learn", "numba", "PyStemmer"}


def test_extras_are_named():
    extras = PROJECT["optional-dependencies"]
    assert set(extras) == set("onnx onnx-gpu hub ann arrow faiss qdrant plot skops test docs all".split())
    everything = re.match(r"sklrank\[(.*)\]", extras["all"][0])[1].split(",")
    assert set(everything) == set(extras) - {"all", "docs", "onnx-gpu", "test"}


def test_extras_hold_only_packages_that_are_imported():
    """By `optional_import`, which names the extra to install."""
    imported = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "optional_import":
                imported |= {name.value.partition(".")[0] for name in node.args if isinstance(name, ast.Constant)}
    for extra, requirements in PROJECT["optional-dependencies"].items():
        names = {Requirement(requirement).name for requirement in requirements} - {"sklrank"}
        if extra not in ("test", "docs"):
            modules = {re.sub("-(cpu|gpu|client)$", "", name).replace("-", "_") for name in names}
            modules = {f"{name}_client" if f"{name}_client" in imported else name for name in modules}
            assert modules <= imported, extra


def test_extras_do_not_force_one_onnxruntime_on_the_other():
    for name, requirements in PROJECT["optional-dependencies"].items():
        assert name == "onnx-gpu" or not any(requirement.startswith("onnxruntime-gpu") for requirement in requirements)


def test_imports_point_down_only():
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def layers():
    """Names in each layer of the contract, the highest first; `__main__` starts the command line."""
    contract = TOOLS["importlinter"]["contracts"][0]
    return [set(re.findall(r"\w+", layer)) for layer in contract["layers"] if "__main__" not in layer]


def contributing_paths():
    """The paths in the table of CONTRIBUTING."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return {path.split(",")[0] for row in rows for path in re.findall(r"`([\w./*-]+[/.][\w./*]*)`", row)}


def test_every_layer_is_in_the_tree():
    tree = {
        path.stem for path in (ROOT / "sklrank").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert set().union(*layers()) == tree - {"__init__", "__main__"}


def test_contributing_gives_the_order_of_the_layers():
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    order = re.search(r"Imports point down only: (.*?)\.", text)[1].split(" → ")
    stated = [set(re.findall(r"`(\w+)`", layer)) for layer in order]
    assert [layer for layer, words in zip(stated, order) if words != "underscore modules"] == [
        layer for layer in layers() if layer & {"_cli", "_kernels"} or not all(name.startswith("_") for name in layer)
    ]


def test_contributing_names_every_room_and_only_what_exists():
    paths = contributing_paths()
    assert [path for path in paths if not list(ROOT.glob(path))] == []
    rooms = {path.parent.name for path in (ROOT / "sklrank").glob("*/__init__.py")}
    assert rooms - {Path(path).name for path in paths if path.startswith("sklrank/")} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_only_validation_imports_private_names_of_scikit_learn(path):
    if path.name == "_validation.py":
        return
    private = [
        name for name in imported_names(path) if name.startswith("sklearn.") and re.search(r"\._(?!_version__)", name)
    ]
    assert not private, f"import these through sklrank._validation: {private}"


def private_members(tree):
    """Private attributes and methods of the classes of a module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found |= {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return {name for name in found if re.fullmatch("_[^_].*[^_]", name)}


NOT_DATA = {"self", "reranker", "found[d]"}  # a reranker has `_scores` as well, a named tuple `_replace`


def test_no_room_touches_private_attributes_of_data():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
    of_data = set().union(*(private_members(tree) for path, tree in trees.items() if path.parent.name == "data"))
    found = []
    for path, tree in trees.items():
        names = of_data - private_members(tree)
        if path.parent.name != "data":
            found += [
                f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) not in NOT_DATA
            ]
    assert found == []


def test_only_caching_keeps_what_was_computed():
    """Under keys; a function of no arguments may keep its one value."""
    stores = {"OrderedDict", "WeakKeyDictionary", "WeakValueDictionary", "WeakSet", "lru_cache"}
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in MODULES
        if path.parent.name != "_caching"
        for name in imported_names(path)
        if name.rpartition(".")[2] in stores
    ]
    assert found == []


@pytest.mark.parametrize("path", sorted((ROOT / "sklrank" / "_kernels").glob("*.py")), ids=lambda path: path.name)
def test_kernels_import_numpy_and_numba_only(path):
    allowed = {"numpy", "numba", "llvmlite", "math"}  # llvmlite is numba's own compiler
    names = set(imported_names(path))
    assert all(name.partition(".")[0] in allowed or name.startswith("sklrank._kernels") for name in names), names


def test_every_room_is_reexported_sorted_and_has_nothing_else():
    for path in ROOT.glob("sklrank/*/__init__.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.parent.name.startswith("_"):
            continue
        assert ast.get_docstring(tree), path
        kinds = {type(node) for node in tree.body[1:]}
        assert kinds <= {ast.ImportFrom, ast.Assign}, f"{path}: imports and __all__ only"


def test_ci_runs_the_test_command_of_the_readme():
    commands = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(commands) == 2
    assert commands[1].endswith("-m pytest")
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 80


def test_no_file_names_a_path_of_somebodys_machine():
    folders = [ROOT / name for name in ("sklrank", "tests", "docs", "examples", "benchmarks", ".ci")]
    files = [
        path for folder in folders for path in folder.rglob("*") if not {"_build", "__pycache__"} & set(path.parts)
    ]
    texts = [path for path in [*files, *ROOT.glob("*.*")] if path.suffix in {"", ".py", ".md", ".rst", ".toml", ".sh"}]
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts
        if path.is_file()
        for match in re.finditer(
            r"(?<![\w.\]\-/])/(?:home|root|Users|tmp|work|mnt)/\w+", path.read_text(encoding="utf-8")
        )
    ]
    assert not found


def test_the_shipped_data_stay_small():
    data = ROOT / "sklrank" / "datasets" / "data"
    assert sum(path.stat().st_size for path in data.rglob("*") if path.is_file()) < 4_000_000


def test_the_oldest_versions_are_the_floors():
    lines = (ROOT / "tests/oldest.txt").read_text(encoding="utf-8").splitlines()
    oldest = dict(line.split("==") for line in lines if not line.startswith("#"))
    wanted = map(Requirement, [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]])
    floors = {requirement.name: next(iter(requirement.specifier)).version for requirement in wanted}
    assert floors.keys() <= oldest.keys()
    assert [name for name, floor in floors.items() if Version(oldest[name]) != Version(floor)] == []
