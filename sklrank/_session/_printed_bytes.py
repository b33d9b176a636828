"""Models and tokenizers in bytes, which estimators print as their size."""


class PrintedBytes:
    """Bytes that print as their size.

    Scikit-learn prints an estimator by what `get_params` returns, and takes half a minute for some megabytes of bytes.

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
            Values by name. Bytes are wrapped in an object that prints as their size, which `set_params` takes, too.
        """
        params = super().get_params(deep)
        return {name: PrintedBytes(value) if _is_bytes(value) else value for name, value in params.items()}


def unwrapped(value):
    """The bytes of `PrintedBytes`, and other values as they are; bytearrays and memoryviews as bytes.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
    """
    value = value.content if isinstance(value, PrintedBytes) else value
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else value


def _is_bytes(value):
    return isinstance(value, (bytes, bytearray, memoryview))
