"""Imports of optional dependencies, with an error that names what to install."""

from importlib import import_module


def optional_import(module, *, extra=None):
    """Import `module`, or say how to install it.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    extra : str, default=None
        The extra of sklrank that brings it; ``None`` names the distribution itself.

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
        target = f"'sklrank[{extra}]'" if extra else distribution
        message = f"this needs {distribution}, which cannot be imported ({error}): pip install {target}"
        raise ImportError(message) from error
