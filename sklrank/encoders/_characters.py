"""What the running interpreter's ``str.lower`` and ``re`` say of each character, as tables for kernels."""

import re
import sys
from functools import cache

import numpy as np

from sklrank._kernels._text import HARD, WORD

_N_ASCII = 128


def _flags(text, lowercase):
    """A table entry for each character of `text`: its lower-cased code point and flags."""
    table = _code_points(text)
    lowered = text
    if lowercase:
        hard = []
        for start in range(0, len(text), 256):
            block = text[start : start + 256]
            if block.lower() == block:
                continue
            for i, character in enumerate(block, start):
                lower = character.lower()
                # Between letters a capital sigma becomes another sigma than alone.
                if len(lower) != 1 or ("a" + character).lower() != "a" + lower:
                    hard.append(i)
                else:
                    table[i] = ord(lower)
        lowered = table.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
        table[hard] |= HARD
    for match in re.finditer(r"\w+", lowered):
        table[match.start() : match.end()] |= WORD
    return table


def _code_points(text):
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)


@cache
def ascii_table(lowercase):
    """Lower-cased byte of each ASCII word character, 0 for the other ones, 255 for bytes of longer characters."""
    flags = _flags("".join(map(chr, range(_N_ASCII))), lowercase)
    table = np.full(256, 255, dtype=np.uint8)
    table[:_N_ASCII] = np.where(flags & WORD, flags, 0) & 0x7F
    return table


@cache
def character_table(lowercase):
    """Lower-cased code point of each character of Unicode, with the flags WORD and HARD."""
    everything = np.arange(sys.maxunicode + 1, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    return _flags(everything, lowercase)
