"""Decorators of kernels."""

from numba import njit


def kernel(function):
    """Compile `function` lazily, without the GIL, and cache it on disk if possible.

    Numba refuses to cache a function if it can write neither to the folder of the package nor to the cache folder of
    the user. Such an installation still works, but compiles again in each process.
    """
    try:
        return njit(cache=True, nogil=True, no_cfunc_wrapper=True)(function)  # kernels are not called from C
    except RuntimeError:
        return njit(nogil=True, no_cfunc_wrapper=True)(function)


def part(function):
    """Mark a part of a kernel, which is called once: it is compiled within the kernel only, not separately."""
    return njit(inline="always")(function)
