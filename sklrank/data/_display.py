"""Text output that is safe to print."""

import re

# Control characters, line and paragraph separators, halves of surrogate pairs, and the controls of text direction.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plural(what):
    """Return the plural of a word, such as "document", "query" or "column name"."""
    return "queries" if what == "query" else f"{what}s"


def printable(text):
    r"""Escape characters that control a terminal or the direction of text.

    Parameters
    ----------
    text : str
        Text of unknown origin, such as an id or a document.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> from sklrank.data._display import printable
    >>> print(printable("\x1b[31mred\x07, naïve"))
    \x1b[31mred\x07, naïve
    """
    return _CONTROLS.sub(lambda match: repr(match[0])[1:-1], text)


def printable_lines(text):
    r"""Escape the same characters except newlines and tabs, in a form that JSON also reads (``\u001b``).

    Parameters
    ----------
    text : str
        Text of several lines, or JSON, whose meaning does not change.

    Returns
    -------
    str
    """
    return _CONTROLS.sub(_escape_in_lines, text)


def _escape_in_lines(match):
    if match[0] in "\n\t":
        return match[0]
    return f"\\u{ord(match[0]):04x}"


def snippet(text, width):
    """Shorten a text to one line of at most `width` characters.

    Parameters
    ----------
    text : str
    width : int

    Returns
    -------
    str
    """
    text = printable(" ".join(text.split()))
    if len(text) > width:
        text = text[: width - 1] + "…"
    return text


def table_lines(rows):
    """Align cells in columns.

    Parameters
    ----------
    rows : list of list of str
        The cells. Control characters are escaped.

    Returns
    -------
    list of str
        One line for each row.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
