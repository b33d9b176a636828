"""The decorators of all kernels."""

from numba import njit


def kernel(function):
    """Compile `function` lazily, without the GIL, and cache it on disk where that can be done.

    Numba refuses to decorate a function when neither the package's folder nor the user's cache folder
    can be written. Such an install still works; it compiles anew in each process.
    """
    try:
        return njit(cache=True, nogil=True, no_cfunc_wrapper=True)(function)  # nothing in C calls it
    except RuntimeError:
        return njit(nogil=True, no_cfunc_wrapper=True)(function)


def part(function):
    """Mark a piece of a kernel that one kernel calls, in one place: it is compiled there, and not by itself too."""
    return njit(inline="always")(function)
