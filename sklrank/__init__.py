"""Search and ranking in scikit-learn's grammar: a sample is a query, a prediction is a ranking."""

from importlib import import_module

_ROOMS = ("data", "datasets", "encoders", "fusers", "inspection", "metrics", "rerankers", "retrievers", "storage")
_NAMES = {
    "Corpus": "sklrank.data",
    "Qrels": "sklrank.data",
    "Queries": "sklrank.data",
    "Run": "sklrank.data",
    "load": "sklrank.storage",
    "save": "sklrank.storage",
    "update": "sklrank._update",
}

__all__ = sorted([*_ROOMS, *_NAMES])


def __getattr__(name):
    # Subpackages are imported on first use, so that `import sklrank` is fast. `import_module` binds them here.
    if name in _ROOMS:
        return import_module(f"sklrank.{name}")
    if name in _NAMES:
        value = getattr(import_module(_NAMES[name]), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("sklrank")
    else:
        raise AttributeError(f"module 'sklrank' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__, "__version__"])
