"""Tables for kernels of each character's lower case and whether it is a word character, as in this interpreter."""

import re
import sys

import numpy as np

from sklrank._caching import memoized
from sklrank._kernels._text import HARD

_N_ASCII = 128


def _table(n_characters, lowercase):
    """Return the UTF-8 bytes of each of the first characters, lower-cased, as one number; 0 if not a word character."""
    codes = np.arange(n_characters, dtype="<u4")
    text = codes.tobytes().decode("utf-32-le", "surrogatepass")
    hard = []
    if lowercase:
        for start in range(0, n_characters, 256):
            block = text[start : start + 256]
            if block.lower() == block:
                continue
            for code, character in enumerate(block, start):
                lowered = character.lower()
                # The lower case of a capital sigma depends on the letters around it.
                if len(lowered) != 1 or ("a" + character).lower() != "a" + lowered:
                    hard.append(code)
                else:
                    codes[code] = ord(lowered)
        text = codes.tobytes().decode("utf-32-le", "surrogatepass")
    table = np.zeros(n_characters, dtype=np.uint32)
    for match in re.finditer(r"\w+", text):
        word = slice(*match.span())
        table[word] = _utf8(codes[word])
    table[hard] = HARD
    return table


def _utf8(codes):
    """Return the UTF-8 bytes of code points as numbers whose highest byte is the first one."""
    last, third, second = (0x80 | codes >> shift & 0x3F for shift in (0, 6, 12))
    return np.select(
        [codes < 0x80, codes < 0x800, codes < 0x10000],
        [codes, (0xC0 | codes >> 6) << 8 | last, (0xE0 | codes >> 12) << 16 | third << 8 | last],
        (0xF0 | codes >> 18) << 24 | second << 16 | third << 8 | last,
    )


@memoized(2)
def ascii_table(lowercase):
    """Return the lower-cased byte of each ASCII word character, 0 for other ones, 255 for bytes of longer ones."""
    table = np.full(256, 255, dtype=np.uint8)
    table[:_N_ASCII] = _table(_N_ASCII, lowercase)
    return table


@memoized(2)
def character_table(lowercase):
    """Return the table of all Unicode characters, made by ``str.lower`` and ``re`` of this interpreter."""
    return _table(sys.maxunicode + 1, lowercase)
