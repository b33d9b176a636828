"""Settings of the documentation. It builds with `-W` and without a network."""

from importlib.metadata import version as version_of

project = "sklrank"
author = "sklrank developers"
copyright = "2026, sklrank developers"
version = release = version_of("sklrank")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "auto_examples/**/*.ipynb", "auto_examples/*.ipynb"]
default_role = "literal"
nitpicky = False

# The tables of a room follow its `__all__`.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "reset_modules": ("matplotlib",),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"sklrank {version}"
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
}


def skip_member(app, what, name, obj, skip, options):
    """Leave out members that scikit-learn documents."""
    module = getattr(obj, "__module__", None) or getattr(getattr(obj, "fget", None), "__module__", None) or "sklrank"
    return skip or not module.startswith("sklrank")


def setup(app):
    app.connect("autodoc-skip-member", skip_member)
