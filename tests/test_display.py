"""What data show to people acts on no terminal."""

import re
import unicodedata

import numpy as np
import pytest

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.data import StringArray, TokenVectors
from sklrank.data._display import printable, snippet

HOSTILE = "\x1b]0;title\x07 \x9b31m \r\n\x08\u2028\u202eevil\u2066\u200f"
ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")  # all but \n


def shown_objects():
    documents = [{"docid": HOSTILE, "text": HOSTILE, HOSTILE: HOSTILE}, {"docid": "b", "text": "plain", HOSTILE: ""}]
    corpus = Corpus(documents)
    queries = Queries([{"qid": HOSTILE, "text": HOSTILE, HOSTILE: "x"}])
    run = Run({HOSTILE: {HOSTILE: 1.0}}, queries=queries, corpus=corpus, name=HOSTILE)
    candidates = Run.union({HOSTILE: run})
    return {
        "corpus": corpus,
        "queries": queries,
        "run": run,
        "candidates": candidates,
        "ids": corpus.ids,
        "qrels": Qrels({HOSTILE: {HOSTILE: 1}}),
        "strings": StringArray.from_strings([HOSTILE]),
        "vectors": TokenVectors(np.eye(2), [0, 2]),
    }


@pytest.mark.parametrize("name", shown_objects())
def test_nothing_that_is_shown_acts_on_a_terminal(name):
    shown = shown_objects()[name]
    texts = [str(shown), repr(shown), getattr(shown, "_repr_html_", str)()]
    for text in texts:
        assert not ACTS.search(text)
    assert len(repr(shown).splitlines()) == 1


def test_one_line_is_one_line():
    assert str(Run({"q\nx": {"d\ny": 1.0}})).splitlines() == ["q\\nx", "  1  d\\ny  1"]


def test_printable_leaves_letters_marks_and_joiners():
    text = "naïve 東京 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 👩\u200d🔬 e\u0301"
    assert printable(text) == text == snippet(text, 99)
    assert snippet("a  b\tc\nd", 5) == "a b …"
    for character in map(chr, range(0x3000)):
        if unicodedata.category(character) in ("Cc", "Zl", "Zp") or unicodedata.bidirectional(character) in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        ):  # fmt: skip
            assert printable(character).isascii() and len(printable(character)) > 1
