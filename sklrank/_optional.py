"""Imports of optional dependencies, with an error that names what to install."""

from importlib import import_module


def optional_import(module, *, extra=None):
    """Import `module`, or raise an error that says how to install it.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    extra : str, default=None
        Extra of sklrank that installs it. If None, the error names the distribution itself.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If the distribution is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        distribution = module.partition(".")[0]
        target = distribution
        if extra:
            target = f"'sklrank[{extra}]'"
        message = f"this needs {distribution}, which cannot be imported ({error}): pip install {target}"
        raise ImportError(message) from error
