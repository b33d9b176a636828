"""The program: parse arguments, run a command, report errors."""

import argparse
import os
import signal
import sys
import threading
import warnings
from contextlib import contextmanager

from sklrank._cli import _demo, _evaluate, _fuse, _search, _tune, _warmup
from sklrank._cli._output import note, say

_COMMANDS = {
    "demo": _demo, "evaluate": _evaluate, "fuse": _fuse, "search": _search, "tune": _tune, "warmup": _warmup,
}  # fmt: skip
_BAD = 2  # exit status for a bad option or file; 1 is that of a gate that failed


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments. If None, they are those of the process.

    Returns
    -------
    int
        Exit status: 0, 1 if a gate failed, or 2 if a file or an option is wrong.
    """
    parser = _make_parser()
    args = parser.parse_args(argv)
    try:
        with _terminable(), warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: note(args.command, f"warning: {message}")
            status = _COMMANDS[args.command].run(args)
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of the output has stopped, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return _complain(args, "interrupted; nothing was written", 130)
    except OSError as error:
        message = error.strerror or error
        if error.filename is not None:
            message = f"{error.filename}: {message}"
        return _complain(args, message)
    except (ValueError, ImportError) as error:
        return _complain(args, error)
    except MemoryError as error:
        return _complain(args, f"not enough memory: {error}")


@contextmanager
def _terminable():
    """Let SIGTERM and SIGHUP unwind the stack, as SIGINT does, so that no half-written file remains."""

    def stop(number, frame):
        raise SystemExit(128 + number)

    names = ()
    if threading.current_thread() is threading.main_thread():
        names = ("SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    numbers = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]  # nohup ignores SIGHUP
    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _complain(args, message, status=_BAD):
    note(args.command, message)
    return status


def _make_parser():
    parser = _Parser(
        prog="sklrank",
        description="Search, measure and tune from the shell: retrieval with scikit-learn's interface.",
        epilog="`sklrank COMMAND --help` explains a command. "
        "Exit status: 0 success, 1 gate failed, 2 bad file or option.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version, and stop")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        from sklrank.data._display import printable

        super().error(printable(message))


class _Version(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        import sklrank

        say(f"sklrank {sklrank.__version__}")
        parser.exit()
