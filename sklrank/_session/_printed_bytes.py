"""Models and tokenizers as bytes, which estimators print as their size."""


class PrintedBytes:
    """Wrap bytes, which then print as their size.

    scikit-learn prints an estimator by its parameters from `get_params`, which takes half a minute for some megabytes.

    Parameters
    ----------
    content : bytes, bytearray or memoryview
    """

    def __init__(self, content):
        self.content = content

    def __repr__(self):
        return f"<bytes: {len(self.content) / 1e6:.1f} MB>"

    def __eq__(self, other):
        return self.content == unwrapped(other)

    def __hash__(self):
        return hash(bytes(self.content))


class PrintedBytesMixin:
    """Mixin of estimators whose parameters may be bytes: `get_params` returns these as `PrintedBytes`."""

    def get_params(self, deep=True):
        """Get the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of nested estimators.

        Returns
        -------
        dict
            Values by name. Bytes are wrapped in an object that prints as their size. `set_params` accepts it, too.
        """
        params = super().get_params(deep)
        params.update({name: PrintedBytes(value) for name, value in params.items() if _is_bytes(value)})
        return params


def unwrapped(value):
    """Return the bytes of `PrintedBytes`, bytearrays and memoryviews, and other values without a change.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
    """
    if isinstance(value, PrintedBytes):
        value = value.content
    if isinstance(value, (bytearray, memoryview)):
        value = bytes(value)
    return value


def _is_bytes(value):
    return isinstance(value, (bytes, bytearray, memoryview))
