"""Where a model runs: devices, the execution providers behind them, and what is wrong where CUDA does not start."""

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
_WARNED = set()


def check_device(device, providers):
    """Raise ValueError for a `device` that is none, or one that is given beside `providers`."""
    if not isinstance(device, str) or not _DEVICE.fullmatch(device):
        raise ValueError(f"device is 'auto', 'cpu', 'cuda' or 'cuda:1'; got {device!r}")
    if providers is not None and device != "auto":
        raise ValueError(f"device={device!r} and providers={providers!r} were both given; give one of them")


def open_session(source, device="auto", providers=None):
    """Open a model where it was asked for.

    Parameters
    ----------
    source : str or bytes
        Path or content of the model.
    device : str, default="auto"
        "auto", "cpu", "cuda" or "cuda:1". "auto" takes CUDA where ONNX Runtime has it and it starts.
    providers : list, default=None
        ONNX Runtime's providers, in the place of `device`.

    Returns
    -------
    session : InferenceSession
    device : str
        Where it runs: "cpu", "cuda:0", …

    Raises
    ------
    RuntimeError
        If CUDA was asked for and does not start, or none of the providers does.
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
        _warn_once(f"models run on the CPU, for CUDA does not start: {problem}")
    return _start(ort, source, [CPU]), "cpu"


def device_of(session):
    """Where an open session runs, which only the session itself knows."""
    provider = session.get_providers()[0]
    if provider == CPU:
        return "cpu"
    if provider in (CUDA, "TensorrtExecutionProvider"):
        return f"cuda:{session.get_provider_options().get(provider, {}).get('device_id', 0)}"
    return provider.removesuffix("ExecutionProvider").lower()


def _start(ort, source, providers):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # threads are for batches, not for operators
    options.enable_mem_pattern = False  # a plan for each shape of a batch, of which there are many
    options.log_severity_level = 4  # what goes wrong is raised
    if int8_saturates():
        options.add_session_config_entry(_EXACT_INT8, "1")
    return ort.InferenceSession(source, options, providers=providers)


@memoized(1)
def int8_saturates():
    """Whether sums of 8-bit products overflow on this CPU, so that int8 models would give other values than elsewhere.

    On x86 without VNNI, ONNX Runtime adds two products of 8-bit activations and weights in 16 bits. A session option
    avoids that; with VNNI it changes nothing but the speed, for it leaves these instructions unused.

    Returns
    -------
    bool
    """
    from llvmlite.binding import get_host_cpu_features

    try:
        features = get_host_cpu_features()
    except RuntimeError:  # LLVM does not know, which happens on other architectures only
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
            f"it: options.add_session_config_entry({_EXACT_INT8!r}, '1') makes them equal, and so does the model's path"
        )


def _start_listed(ort, source, providers):
    """A session on the first of the providers that starts; none but those that were given."""
    names = [one[0] if isinstance(one, (list, tuple)) and one else one for one in providers]
    known = [*ort.get_all_providers(), *ort.get_available_providers()]
    if not names or any(name not in known for name in names):
        raise ValueError(
            f"providers={providers!r} is no list of ONNX Runtime's providers, of which {ort.get_available_providers()} "
            "are installed"
        )
    offered = [one for one, name in zip(providers, names) if name in ort.get_available_providers()]
    found = None
    if offered:
        with contextlib.redirect_stdout(io.StringIO()):
            session = _start(ort, source, offered)
        session.disable_fallback()
        found = session.get_providers()[0]
    if found == names[0]:
        return session
    problem = f"onnxruntime {ort.__version__} offers {ort.get_available_providers()}"
    if names[0] == CUDA:
        problem = cuda_problem(ort)
    if found not in names:
        raise RuntimeError(f"providers={providers!r} cannot start: {problem}")
    _warn_once(f"models run on {found}, for {names[0]} does not start: {problem}")
    return session


def _warn_once(message):
    if message not in _WARNED:
        _WARNED.add(message)
        warnings.warn(message, RuntimeWarning, stacklevel=3)


def _start_cuda(ort, source, number):
    """A session on CUDA, or None where it does not start."""
    if CUDA not in ort.get_available_providers():
        return None
    options = {
        "device_id": str(number),
        "arena_extend_strategy": "kSameAsRequested",  # not the next power of two
        "cudnn_conv_algo_search": "HEURISTIC",  # not every algorithm for every shape
        "use_tf32": "0",  # scores as on the CPU, to 1e-3
    }
    ort.set_default_logger_severity(4)  # ONNX Runtime tells the terminal what we tell the caller
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            if hasattr(ort, "preload_dlls"):
                ort.preload_dlls()  # CUDA and cuDNN from the registry's packages
            session = _start(ort, source, [(CUDA, options), CPU])
    finally:
        ort.set_default_logger_severity(2)
    session.disable_fallback()
    # A provider that does not load is left out in silence: the session alone tells.
    return session if session.get_providers()[0] == CUDA else None


def cuda_problem(ort, number=0):
    """Why CUDA does not start, and what to do.

    Parameters
    ----------
    ort : module
        onnxruntime.
    number : int, default=0
        Which GPU.

    Returns
    -------
    str
    """
    if CUDA not in ort.get_available_providers():
        if _installed("onnxruntime") and _installed("onnxruntime-gpu"):
            return f"onnxruntime and onnxruntime-gpu are both installed and overwrite each other. {_INSTALL}"
        return f"the installed onnxruntime {ort.__version__} is the one for CPUs. {_INSTALL}"
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError as error:
        return f"there is no NVIDIA driver ({error}). Install the driver of the GPU, one that supports CUDA 13 (R580)"
    count = ctypes.c_int(0)
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status:
        return f"the NVIDIA driver reports error {status}. Is the GPU visible here (nvidia-smi, CUDA_VISIBLE_DEVICES)?"
    if number >= count.value:
        return f"there are {count.value} GPUs, numbered from 0. Choose another device"
    reason = _library_error(Path(ort.__file__).parent / "capi")
    return (
        f"{reason or 'its provider was refused by onnxruntime ' + ort.__version__}. CUDA 13 and cuDNN 9 come with "
        "pip install 'onnxruntime-gpu[cuda,cudnn]>=1.28'"
    )


def _library_error(folder):
    """What the loader says of the library of the CUDA provider; None where it loads."""
    name = "onnxruntime_providers_{}.dll" if sys.platform == "win32" else "libonnxruntime_providers_{}.so"
    try:
        ctypes.CDLL(str(folder / name.format("shared")), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / name.format("cuda")))
    except OSError as error:
        return str(error)
    return None


def _installed(distribution):
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
