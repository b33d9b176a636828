"""Open sessions, shared by all that open the same model in the same way."""

import os

from sklrank._caching import Recent
from sklrank._session._device import check_device, device_of, open_session, warn_if_int8_saturates

_N_HELD = 2  # sessions kept open though nobody holds them, between two tasks of a search

_OPEN = Recent(_N_HELD)


class OpenSession:
    """A session of this process, shared by all that open the same model in the same way.

    Attributes
    ----------
    session : InferenceSession
    device : str
    description : str
        The model in words.
    depends_on_batch : bool
        Whether the outcome for a text depends on what stands beside it.
    inputs, outputs : dict
        Name → (type, shape), where a dimension is an int or the name of a free one.
    """

    def __init__(self, source, device, providers):
        self.description = source.describe()
        if source.session is not None:
            self.session, self.device = source.session, device_of(source.session)
            check_device(device, providers)
            if providers is not None or device not in ("auto", self.device, self.device.partition(":")[0]):
                asked = f"device={device!r}" if providers is None else f"providers={providers!r}"
                raise ValueError(f"the session is open already, on {self.device}, and {asked} does not move it")
        else:
            self.session, self.device = _opened(source, device, providers)
        self.depends_on_batch = source.depends_on_batch()
        if source.session is not None and self.depends_on_batch:
            warn_if_int8_saturates(self.session)
        self.inputs = {node.name: (node.type, node.shape) for node in self.session.get_inputs()}
        self.outputs = {node.name: (node.type, node.shape) for node in self.session.get_outputs()}

    @classmethod
    def of(cls, source, device="auto", providers=None):
        """The session of a source, opened where it is not open yet.

        Parameters
        ----------
        source : Source
        device, providers : str, list
            See `open_session`.

        Returns
        -------
        OpenSession
        """
        key = (os.getpid(), source.key, device, repr(providers))  # a forked child cannot use its parent's
        return _OPEN.get(key, lambda: cls(source, device, providers), hold=source.session is None)

    def signature(self):
        """Inputs and outputs in words."""

        def words(nodes):
            return ", ".join(f"{name}: {kind} {shape}" for name, (kind, shape) in nodes.items())

        return f"{self.description} takes {words(self.inputs)} and gives {words(self.outputs)}"


def _opened(source, device, providers):
    try:
        return open_session(source.value, device, providers)
    except (ImportError, RuntimeError, ValueError) as error:
        if type(error).__module__.startswith("onnxruntime") or "ONNXRuntimeError" in str(error):
            raise _unreadable(source, error) from error
        raise
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        raise _unreadable(source, error) from error


def _unreadable(source, error):
    text = str(error)
    if "external" in text.lower() or "model_path must not be empty" in text:
        remedy = (
            "its weights lie in files beside it (often *.onnx_data), which must stand in the same folder under the "
            "same name; such a model opens from its path, not from bytes"
        )
    elif isinstance(source.value, bytes) and not source.value:
        remedy = "there are no bytes"
    else:
        remedy = "is the file whole, and does it need a newer onnxruntime?"
    return ValueError(f"ONNX Runtime cannot open {source.describe()}: {text}. Remedy: {remedy}")


def run_bound(session, feeds, outputs, kind, number):
    """Run with inputs and outputs bound to a device, so that each is copied once.

    Parameters
    ----------
    session : InferenceSession
    feeds : dict of str to ndarray or OrtValue
        An OrtValue is on the device already.
    outputs : list of str
    kind : str
        "cuda" or "cpu".
    number : str or int
        Which one.

    Returns
    -------
    list of ndarray
    """
    from onnxruntime import OrtValue

    binding = session.io_binding()
    for name, value in feeds.items():
        if not isinstance(value, OrtValue):
            value = OrtValue.ortvalue_from_numpy(value, kind, int(number))
        binding.bind_ortvalue_input(name, value)
    for name in outputs:
        binding.bind_output(name, kind, int(number))
    session.run_with_iobinding(binding)
    return binding.copy_outputs_to_cpu()
