"""Open sessions, shared by the estimators that open the same model in the same way."""

import os

from sklrank._caching import Recent
from sklrank._session._device import check_device, device_of, open_session, warn_if_int8_saturates

_N_HELD = 2  # sessions that stay open without a user, such as between two tasks of a search

_OPEN = Recent(_N_HELD)


class OpenSession:
    """Hold a session of this process. Estimators that open the same model in the same way share it.

    Attributes
    ----------
    session : InferenceSession
    device : str
        Device that runs the model.
    description : str
        The model in words.
    depends_on_batch : bool
        Whether the result of a text depends on the other texts of its batch.
    inputs, outputs : dict
        Name → (type, shape). A dimension is an int, or the name of a free dimension.
    """

    def __init__(self, source, device, providers):
        self.description = source.describe()
        if source.session is not None:
            self.session, self.device = source.session, device_of(source.session)
            check_device(device, providers)
            if providers is not None or device not in ("auto", self.device, self.device.partition(":")[0]):
                parameter = f"device={device!r}"
                if providers is not None:
                    parameter = f"providers={providers!r}"
                raise ValueError(f"the session is already open on {self.device}, and {parameter} does not move it")
        else:
            self.session, self.device = _opened(source, device, providers)
        self.depends_on_batch = source.depends_on_batch()
        if source.session is not None and self.depends_on_batch:
            warn_if_int8_saturates(self.session)
        self.inputs = {node.name: (node.type, node.shape) for node in self.session.get_inputs()}
        self.outputs = {node.name: (node.type, node.shape) for node in self.session.get_outputs()}

    @classmethod
    def of(cls, source, device="auto", providers=None):
        """Return the session of a source. If none is open yet, open it.

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
        """Return inputs and outputs in words."""

        def words(nodes):
            return ", ".join(f"{name}: {kind} {shape}" for name, (kind, shape) in nodes.items())

        return f"{self.description} has the inputs {words(self.inputs)} and the outputs {words(self.outputs)}"


def _opened(source, device, providers):
    try:
        return open_session(source.value, device, providers)
    except (ImportError, RuntimeError, ValueError) as error:
        if type(error).__module__.startswith("onnxruntime") or "ONNXRuntimeError" in str(error):
            raise _unreadable(source, error) from error
        raise
    except Exception as error:  # the errors of ONNX Runtime have no base class
        raise _unreadable(source, error) from error


def _unreadable(source, error):
    text = str(error)
    if "external" in text.lower() or "model_path must not be empty" in text:
        remedy = (
            "put the files of its weights (often *.onnx_data) into the same folder, under the names that they had, and "
            "open the model from its path, not from bytes"
        )
    elif isinstance(source.value, bytes) and not source.value:
        remedy = "give bytes that are not empty"
    else:
        remedy = "check whether the file is complete, and whether it needs a newer onnxruntime"
    return ValueError(f"ONNX Runtime cannot open {source.describe()}: {text}. Remedy: {remedy}")


def run_bound(session, feeds, outputs, kind, number):
    """Run a session with inputs and outputs bound to a device, so that each is copied only once.

    Parameters
    ----------
    session : InferenceSession
    feeds : dict of str to ndarray or OrtValue
        Inputs by name. An OrtValue is on the device already.
    outputs : list of str
        Names of the outputs.
    kind : str
        Kind of device: "cuda" or "cpu".
    number : str or int
        Number of the device.

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
