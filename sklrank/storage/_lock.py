"""Lock of a folder: one process writes to it at a time."""

import os
import socket
from contextlib import contextmanager

LOCK = ".lock"


@contextmanager
def locked(folder):
    """Hold the lock of a folder; the system releases it when the process ends, however it ends.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    OSError
        If another process holds it.
    """
    number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            _acquire(number)
        except OSError:
            os.lseek(number, 0, os.SEEK_SET)
            holder = os.read(number, 200).decode(errors="replace").strip() or "another process"
            raise BlockingIOError(f"{folder} is being written by {holder}: wait until it has finished") from None
        os.ftruncate(number, 0)
        os.write(number, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        os.close(number)  # which releases the lock


def _acquire(number):
    if os.name == "posix":
        import fcntl

        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        # A byte behind the text, so that others can read who holds the lock.
        os.lseek(number, 1 << 20, os.SEEK_SET)
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        os.lseek(number, 0, os.SEEK_SET)
