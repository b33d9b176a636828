"""Files: lines are read with bounded memory, and outputs are written completely or not at all."""

import errno
import gzip
import io
import os
import secrets
import stat
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path

_BLOCK = 1 << 20  # bytes that are read at a time
_LONGEST_LINE = 1 << 26  # bytes; a longer line is an error, which bounds the memory
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STREAMS = ("/dev/fd/", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/proc/")  # open files of a process, by name


def bad_line(path, number, reason):
    """Return the error of a line that cannot be read."""
    return ValueError(f"{path}:{number}: {reason}")


def open_binary(path):
    """Open a file to read bytes; decompress it if its name ends in ``.gz``."""
    if str(path).endswith(".gz"):
        return gzip.open(path, "rb")
    return open(path, "rb")


def byte_blocks(path):
    r"""Yield the bytes of a file in blocks of whole lines, each with the number of its first line.

    Only ``\n`` ends a line. A byte order mark is not part of the text.

    Parameters
    ----------
    path : path

    Yields
    ------
    number : int
        Number of the first line, from 1.
    block : bytes
        The lines, with their line ends.

    Raises
    ------
    ValueError
        If the file is damaged gzip, or has a line of more than 64 MB. The message names file and line.
    """
    number = 1
    pending, end = bytearray(), 0  # bytes that were read, and the length of the complete lines among them
    with open_binary(path) as file:
        while True:
            try:
                read = file.read1(_BLOCK)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                number += pending.count(b"\n")
                raise bad_line(path, number, f"not gzip, or cut off: {error}") from error
            if not read:
                break
            newline = read.rfind(b"\n") + 1
            if newline:
                end = len(pending) + newline
            pending += read
            if len(pending) - end > _LONGEST_LINE:
                number += pending.count(b"\n")
                raise bad_line(path, number, f"the line is longer than {_LONGEST_LINE >> 20} MB")
            if end and len(pending) >= _BLOCK:
                block = bytes(pending[:end])
                del pending[:end]
                end = 0
                yield number, _without_mark(number, block)
                number += block.count(b"\n")
    if pending:
        yield number, _without_mark(number, bytes(pending))


def _without_mark(number, block):
    if number == 1:
        return block.removeprefix(_BYTE_ORDER_MARK)
    return block


def text_blocks(path):
    """Yield the text of a file as `byte_blocks` does; if it is not UTF-8, raise a ValueError with file and line."""
    for number, block in byte_blocks(path):
        try:
            yield number, block.decode("utf-8")
        except UnicodeDecodeError as error:
            number += block.count(b"\n", 0, error.start)
            raise bad_line(path, number, f"not UTF-8: {error.reason}") from None


def numbered_lines(path):
    """Yield the number, from 1, and the text of each line that is not blank, without its line end."""
    for first, text in text_blocks(path):
        for number, line in enumerate(text.split("\n"), first):
            line = line.removesuffix("\r")
            if line.strip(" \t\r"):
                yield number, line


def file_to_write(path):
    """Return the file that writing to `path` makes or replaces, with links resolved; None for a pipe or a device.

    Raises
    ------
    OSError
        If `path` is a folder, or its folder does not exist.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if not target.parent.is_dir():
            folder = Path(path).parent
            if os.path.islink(path):
                folder = target.parent
            raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder}", str(path)) from None
        return target
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "this is a folder, not a file", str(path))
    if not stat.S_ISREG(mode) or os.path.abspath(path).startswith(_STREAMS):
        return None
    return target


@contextmanager
def write_whole(path, binary=False):
    """Open a file, of text or binary, that gets its name when it is complete; a pipe or a device is written at once."""
    target = file_to_write(path)
    packed = str(path).endswith(".gz")
    if target is None:
        # Appended, because standard output may be a file that other processes write to as well.
        with open(path, "ab") as raw, _opened(raw, packed, binary) as out:
            yield out
        return
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as raw, _opened(raw, packed, binary) as out:
            yield out
        with open(temporary, "rb+") as raw:
            os.fsync(raw.fileno())  # before the name points to it, so that a crash of the system leaves no empty file
        if target.exists():
            os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_folder(path):
    """Flush the names in a folder to the disk, if the system can."""
    if os.name != "posix":
        return
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _opened(raw, packed, binary):
    """Open a binary file for bytes or text, compressed or not."""
    with ExitStack() as stack:
        if packed:
            raw = stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
        if not binary:
            raw = stack.enter_context(io.TextIOWrapper(raw, "utf-8", newline=""))
        yield raw


def write_lines(path, lines):
    """Write `lines` to a file, completely or not at all."""
    with write_whole(path) as out:
        out.writelines(lines)
