"""The command line: one module for each command, which imports what it needs when it runs."""

from sklrank._cli._main import main

__all__ = ["main"]
