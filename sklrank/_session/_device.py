"""Devices of models, their execution providers, and the reason if CUDA does not start."""

import contextlib
import ctypes
import io
import re
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sklrank._caching import memoized
from sklrank._optional import optional_import

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
_INSTALL = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'sklrank[onnx-gpu]'"
_EXACT_INT8 = "session.x64quantprecision"
_LIBRARIES = {
    "driver": "libcuda.so.1",
    "shared": "libonnxruntime_providers_shared.so",
    "cuda": "libonnxruntime_providers_cuda.so",
}
if sys.platform == "win32":
    _LIBRARIES = {
        "driver": "nvcuda.dll",
        "shared": "onnxruntime_providers_shared.dll",
        "cuda": "onnxruntime_providers_cuda.dll",
    }
_WARNED = set()


def check_device(device, providers):
    """Raise ValueError if `device` is not a device, or if it is given together with `providers`."""
    if not isinstance(device, str) or not _DEVICE.fullmatch(device):
        raise ValueError(f"expected device to be 'auto', 'cpu', 'cuda' or such as 'cuda:1', got {device!r}")
    if providers is not None and device != "auto":
        raise ValueError(f"expected device= or providers=, got both: device={device!r} and providers={providers!r}")


def open_session(source, device="auto", providers=None):
    """Open a model on a device.

    Parameters
    ----------
    source : str or bytes
        Path or content of the model.
    device : str, default="auto"
        Device that runs the model: "auto", "cpu", "cuda" or "cuda:1". "auto" is CUDA if ONNX Runtime has it and it
        starts, and else the CPU.
    providers : list, default=None
        Execution providers of ONNX Runtime, instead of `device`.

    Returns
    -------
    session : InferenceSession
    device : str
        Device that runs the model: "cpu", "cuda:0", …

    Raises
    ------
    RuntimeError
        If `device` is CUDA and it does not start, or if none of the providers starts.
    """
    check_device(device, providers)
    ort = optional_import("onnxruntime", extra="onnx")
    if providers is not None:
        session = _start_listed(ort, source, providers)
        return session, device_of(session)
    if device == "auto" and CUDA in ort.get_available_providers() or device.startswith("cuda"):
        number = int(device.partition(":")[2] or 0)
        session = _start_cuda(ort, source, number)
        if session is not None:
            return session, device_of(session)
        problem = cuda_problem(ort, number)
        if device != "auto":
            raise RuntimeError(f"device={device!r} cannot start: {problem}")
        _warn_once(f"models run on the CPU, because CUDA does not start: {problem}")
    return _start(ort, source, [CPU]), "cpu"


def device_of(session):
    """Return the device of an open session, which only the session itself knows."""
    provider = session.get_providers()[0]
    if provider == CPU:
        return "cpu"
    if provider in (CUDA, "TensorrtExecutionProvider"):
        return f"cuda:{session.get_provider_options().get(provider, {}).get('device_id', 0)}"
    return provider.removesuffix("ExecutionProvider").lower()


def _start(ort, source, providers):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # threads are for batches, not for operators
    options.enable_mem_pattern = False  # it makes a plan for each shape of a batch, and there are many shapes
    options.log_severity_level = 4  # errors are raised and need no log
    if int8_saturates():
        options.add_session_config_entry(_EXACT_INT8, "1")
    return ort.InferenceSession(source, options, providers=providers)


@memoized(1)
def int8_saturates():
    """Return whether sums of 8-bit products overflow on this CPU, so that int8 models give other values than elsewhere.

    On x86 without VNNI, ONNX Runtime adds two products of 8-bit activations and weights in 16 bits. A session option
    avoids the overflow. On CPUs with VNNI it only costs time, because these instructions are then not used.

    Returns
    -------
    bool
    """
    from llvmlite.binding import get_host_cpu_features

    try:
        features = get_host_cpu_features()
    except RuntimeError:  # LLVM does not know the features, which happens only on other architectures
        return False
    return "sse2" in features and not (features.get("avx512vnni") or features.get("avxvnni"))


def warn_if_int8_saturates(session):
    """Warn, once, if an open session of an int8 model gives other values on this CPU than on others.

    Parameters
    ----------
    session : InferenceSession
    """
    try:
        is_exact = session.get_session_options().get_session_config_entry(_EXACT_INT8) == "1"
    except (AttributeError, RuntimeError):  # a session of another kind, or one without the entry
        is_exact = False
    if int8_saturates() and not is_exact:
        _warn_once(
            "this CPU has no VNNI, so that the open session of an int8 model gives other values than on CPUs that have "
            f"it. To make them equal, set options.add_session_config_entry({_EXACT_INT8!r}, '1'), or give the model's "
            "path instead of a session"
        )


def _start_listed(ort, source, providers):
    """Open a session on the first of the providers that starts, and on no provider that is not listed."""
    names = [_provider_name(provider) for provider in providers]
    available = ort.get_available_providers()
    known = [*ort.get_all_providers(), *available]
    if not names or any(name not in known for name in names):
        raise ValueError(
            f"expected a list of ONNX Runtime's providers, got providers={providers!r}; {available} are installed"
        )
    installed = [provider for provider, name in zip(providers, names) if name in available]
    found = None
    if installed:
        with contextlib.redirect_stdout(io.StringIO()):
            session = _start(ort, source, installed)
        session.disable_fallback()
        found = session.get_providers()[0]
    if found == names[0]:
        return session
    problem = f"onnxruntime {ort.__version__} has the providers {available}"
    if names[0] == CUDA:
        problem = cuda_problem(ort)
    if found not in names:
        raise RuntimeError(f"providers={providers!r} cannot start: {problem}")
    _warn_once(f"models run on {found}, because {names[0]} does not start: {problem}")
    return session


def _provider_name(provider):
    """Return the name of a provider, which may come with options."""
    if isinstance(provider, (list, tuple)) and provider:
        return provider[0]
    return provider


def _warn_once(message):
    if message not in _WARNED:
        _WARNED.add(message)
        warnings.warn(message, RuntimeWarning, stacklevel=3)


def _start_cuda(ort, source, number):
    """Open a session on CUDA; return None if CUDA does not start."""
    if CUDA not in ort.get_available_providers():
        return None
    options = {
        "device_id": str(number),
        "arena_extend_strategy": "kSameAsRequested",  # instead of the next power of two
        "cudnn_conv_algo_search": "HEURISTIC",  # instead of trying every algorithm for every shape
        "use_tf32": "0",  # scores as on the CPU, to 1e-3
    }
    ort.set_default_logger_severity(4)  # the caller gets the reason, which ONNX Runtime would print
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            if hasattr(ort, "preload_dlls"):
                ort.preload_dlls()  # CUDA and cuDNN from the installed packages
            session = _start(ort, source, [(CUDA, options), CPU])
    finally:
        ort.set_default_logger_severity(2)
    session.disable_fallback()
    # ONNX Runtime leaves out a provider that does not load, without a message. Only the session shows it.
    if session.get_providers()[0] != CUDA:
        return None
    return session


def cuda_problem(ort, number=0):
    """Return the reason why CUDA does not start, and a remedy.

    Parameters
    ----------
    ort : module
        The module onnxruntime.
    number : int, default=0
        Number of the GPU.

    Returns
    -------
    str
    """
    if CUDA not in ort.get_available_providers():
        if _installed("onnxruntime") and _installed("onnxruntime-gpu"):
            return f"onnxruntime and onnxruntime-gpu are both installed and overwrite each other. {_INSTALL}"
        return f"the installed onnxruntime {ort.__version__} is the one for CPUs. {_INSTALL}"
    try:
        driver = ctypes.CDLL(_LIBRARIES["driver"])
    except OSError as error:
        return f"there is no NVIDIA driver ({error}). Install a driver of the GPU that supports CUDA 13 (R580)"
    count = ctypes.c_int(0)
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status:
        return f"the NVIDIA driver reports error {status}. Is the GPU visible here (nvidia-smi, CUDA_VISIBLE_DEVICES)?"
    if number >= count.value:
        return f"there are {count.value} GPUs, numbered from 0. Choose another device"
    reason = _library_error(Path(ort.__file__).parent / "capi")
    reason = reason or f"onnxruntime {ort.__version__} refused its provider"
    return f"{reason}. CUDA 13 and cuDNN 9 come with pip install 'onnxruntime-gpu[cuda,cudnn]>=1.28'"


def _library_error(folder):
    """Return the error of the loader for the library of the CUDA provider; None if it loads."""
    try:
        ctypes.CDLL(str(folder / _LIBRARIES["shared"]), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / _LIBRARIES["cuda"]))
    except OSError as error:
        return str(error)
    return None


def _installed(distribution):
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
