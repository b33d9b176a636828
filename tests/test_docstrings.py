"""Docstrings say what the code does: parameters, defaults, examples."""

import importlib
import inspect
import pkgutil
import re

import numpy as np
import pandas as pd
import pytest
from numpydoc.docscrape import NumpyDocString

import sklrank
from sklrank import Qrels
from sklrank.metrics import metric_from_name

MODULES = [module for module in pkgutil.iter_modules(sklrank.__path__) if not module.name.startswith("_")]
ROOMS = [module.name for module in MODULES if module.ispkg]


def public_objects():
    """Name → class or function, for all that a module exports."""
    objects = {}
    for public in MODULES:
        module = importlib.import_module(f"sklrank.{public.name}")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                objects[f"sklrank.{public.name}.{name}"] = value
    return objects


def ours(function):
    """Whether sklrank defines a function, and not scikit-learn."""
    return (getattr(function, "__module__", None) or "").startswith("sklrank")


def documented_callables():
    """Name → what has parameters: functions, classes, and the public methods of those."""
    callables = dict(OBJECTS)
    for name, value in OBJECTS.items():
        if inspect.isclass(value):
            for method, function in inspect.getmembers(value, inspect.isroutine):
                if not method.startswith("_") and ours(function):
                    callables[f"{name}.{method}"] = function
    return callables


OBJECTS = public_objects()
CALLABLES = documented_callables()


def documented_parameters(function):
    """Name → type line of each documented parameter, in order."""
    parameters = {}
    for entry in NumpyDocString(inspect.getdoc(function))["Parameters"]:
        for name in entry.name.split(","):
            parameters[name.strip().lstrip("*")] = entry.type
    return parameters


def parameters_of(function):
    """The parameters of a signature, without self; none of a result, which says in its attributes what it holds."""
    if inspect.isclass(function):
        doc = NumpyDocString(inspect.getdoc(function))
        if doc["Attributes"] and not doc["Parameters"]:
            return {}
    return {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in ("self", "cls")
    }


def same_value(text, value):
    """Whether the text of a default stands for `value`."""
    if text == repr(value) or text == getattr(value, "__name__", None):
        return True
    try:
        return bool(eval(text, {"__builtins__": {}, "np": np}) == value)
    except Exception:
        return False


@pytest.mark.parametrize("name", [module.name for module in MODULES])
def test_all_is_sorted_and_importable(name):
    module = importlib.import_module(f"sklrank.{name}")
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("name", [name for name in OBJECTS if name.split(".")[1] in ROOMS])
def test_public_names_have_an_example(name):
    doc = NumpyDocString(inspect.getdoc(OBJECTS[name]))
    assert any(line.strip().startswith(">>>") for line in doc["Examples"]), f"{name} has no example"


@pytest.mark.parametrize("name", CALLABLES)
def test_docstrings_begin_with_one_sentence(name):
    doc = inspect.getdoc(CALLABLES[name])
    assert doc, f"{name} has no docstring"
    summary = doc.split("\n\n")[0]
    assert "\n" not in summary, f"{name}: the first line goes on"
    assert summary.endswith("."), f"{name}: the first line ends without a full stop"


@pytest.mark.parametrize("name", CALLABLES)
def test_documented_parameters_are_those_of_the_signature(name):
    documented, actual = documented_parameters(CALLABLES[name]), parameters_of(CALLABLES[name])
    assert list(documented) == list(actual)


@pytest.mark.parametrize("name", CALLABLES)
def test_documented_defaults_are_those_of_the_signature(name):
    documented = documented_parameters(CALLABLES[name])
    for parameter in parameters_of(CALLABLES[name]).values():
        if documented.get(parameter.name) == "Ignored":  # scikit-learn's word for a `y` that is there by convention
            continue
        stated = re.search(r"default=(.*)$", documented.get(parameter.name, ""))
        if parameter.default is inspect.Parameter.empty:
            assert stated is None, f"{name}: {parameter.name} has no default, {stated[0]!r} is documented"
        else:
            assert stated, f"{name}: the default of {parameter.name}, {parameter.default!r}, is not documented"
            assert same_value(stated[1], parameter.default), (
                f"{name}: {parameter.name} has the default {parameter.default!r}, {stated[1]!r} is documented"
            )


METRICS = [n for n in OBJECTS if n.startswith("sklrank.metrics.") and n.endswith("_score")]


@pytest.mark.parametrize("name", METRICS)
def test_metrics_say_their_names_in_strings(name):
    names = re.search(r"^Names: (.*)\.$", inspect.getdoc(OBJECTS[name]), re.MULTILINE)
    assert names, f"{name} does not say its names in strings"
    first, *others = map(metric_from_name, re.findall(r"``(.*?)``", names[1]))
    assert all(other == first for other in others)
    if first.base == "alpha_ndcg":
        frame = pd.DataFrame({"qid": "q", "docid": ["a", "b", "c"], "grade": [1, 0, 2], "subtopic": ["x", "x", "y"]})
        qrels = Qrels.from_frame(frame, subtopic="subtopic")
    else:
        qrels = Qrels({"q": {"a": 1, "b": 0, "c": 2, "d": 1}})
    assert OBJECTS[name](qrels, {"q": ["e", "a", "b", "c"]}, **first.params) == first(
        qrels, {"q": ["e", "a", "b", "c"]}
    )


@pytest.mark.parametrize("name", METRICS)
def test_docstrings_of_metrics_are_whole(name):
    doc = NumpyDocString(inspect.getdoc(OBJECTS[name]))
    assert all(doc[section] for section in ("Summary", "Parameters", "Returns", "See Also", "Notes", "Examples"))
    assert not re.search(r"\{(parameters|conventions|ties|empty|unjudged)\}", inspect.getdoc(OBJECTS[name]))


@pytest.mark.parametrize("name", METRICS)
def test_metrics_answer_three_questions(name):
    notes = " ".join(NumpyDocString(inspect.getdoc(OBJECTS[name]))["Notes"]).lower()
    assert re.search(r"\bt(ie|ies|ied)\b", notes), f"{name} does not say what happens to ties"
    assert "without relevant" in notes or "no relevant" in notes, f"{name}: queries without relevant documents?"
    assert "unjudged" in notes, f"{name} does not say what happens to unjudged documents"
