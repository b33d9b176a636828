r"""Text that is safe to display."""

import re

# Control characters except newline and tab, controls of the direction of text, separators of lines, half surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text):
    r"""Write characters that steer a terminal as escapes, such as ``\u001b``.

    Newlines and tabs stay. JSON stays JSON, and means the same.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
