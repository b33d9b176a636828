"""Why a document was found, and where."""

import html
from dataclasses import dataclass

import numpy as np

from sklrank.data._frames import frame_like

_TERM_FIELDS = ("term", "query_weight", "count", "document_frequency", "contribution")


@dataclass(frozen=True)
class Explanation:
    """The score of a document, term by term.

    Attributes
    ----------
    docid : str
        The document.
    score : float
        Its score.
    terms : list of dict
        For each term of the query: ``term``, ``query_weight``, ``count`` (in the document; the weight there, where
        terms have weights), ``document_frequency`` (documents that hold it) and ``contribution`` to the score; largest
        first.
    bias : float
        What the document gets beside its terms, for its length.
    counted : bool, default=True
        Whether a document holds a term some times, rather than with some weight.
    """

    docid: str
    score: float
    terms: list
    bias: float = 0.0
    counted: bool = True

    @classmethod
    def of(cls, docid, names, weights, counts, frequencies, contributions, bias, counted=True):
        """Gather the columns; contributions are added as the index adds them."""
        score = np.float32(0)
        for value in contributions:
            score += value
        counts = [int(c) if c == int(c) else c for c in counts.tolist()]
        columns = names, weights.tolist(), counts, frequencies.tolist(), contributions.tolist()
        terms = [dict(zip(_TERM_FIELDS, values)) for values in zip(*columns)]
        terms.sort(key=lambda term: -term["contribution"])
        return cls(docid, float(score + np.float32(bias)), terms, bias, counted)

    def to_frame(self):
        """One row a term.

        Returns
        -------
        DataFrame
        """
        return frame_like({name: [term[name] for term in self.terms] for name in _TERM_FIELDS})

    def __str__(self):
        lines = [f"{self.score:.6g}  {self.docid}"]
        for t in self.terms:
            held = f"{t['count']:g} times" if self.counted else f"weight {t['count']:g}"
            times = f"{held}, in {t['document_frequency']} documents" if t["count"] else "not there"
            weight = f" × {t['query_weight']:g} in the query" if t["query_weight"] != 1 else ""
            lines.append(f"  {t['contribution']:.6g}  {t['term']}  ({times}{weight})")
        if self.bias:
            lines.append(f"  {self.bias:.6g}  (length of the document)")
        return "\n".join(lines)


@dataclass(frozen=True)
class Highlight:
    """A passage of a document, and the matched terms in the document.

    Attributes
    ----------
    docid : str
        The document.
    text : str
        Its text.
    start, stop : int
        The passage is ``text[start:stop]``.
    spans : list of (int, int)
        Characters of matched terms, in the whole text.
    """

    docid: str
    text: str
    start: int
    stop: int
    spans: list

    @property
    def passage(self):
        """Text of the passage."""
        return self.text[self.start : self.stop]

    def _marked(self, before, after, escape):
        parts, position = [], self.start
        for start, stop in self.spans:
            if position <= start and stop <= self.stop:  # of spans that overlap, the first
                parts += [escape(self.text[position:start]), before, escape(self.text[start:stop]), after]
                position = stop
        head = "…" if self.start > 0 else ""
        tail = "…" if self.stop < len(self.text.rstrip()) else ""
        return head + "".join(parts) + escape(self.text[position : self.stop]) + tail

    def __str__(self):
        return self._marked("**", "**", str)

    def _repr_html_(self):
        return f"<p>{self._marked('<mark>', '</mark>', html.escape)}</p>"


def best_passage(found, terms, values, window):
    """The window of terms that matches best: the most contribution of different terms, then the most matches.

    Parameters
    ----------
    found : ndarray of uint32, shape (n_tokens,)
        Terms of the document, in their order.
    terms : ndarray of uint32
        Terms of the query.
    values : ndarray of float32
        What each contributes.
    window : int
        Length of the passage in terms.

    Returns
    -------
    start, stop : int
        Tokens of the passage.
    matched : list of int
        Tokens that match, in the whole document.
    """
    value_of = dict(zip(terms.tolist(), values.tolist()))
    matched = [i for i, term in enumerate(found.tolist()) if term in value_of]
    best = (-np.inf, 0)
    start, first, last = 0, 0, -1
    inside, left = {}, 0
    for right, i in enumerate(matched):
        inside[found[i]] = inside.get(found[i], 0) + 1
        while matched[left] <= i - window:
            inside[found[matched[left]]] -= 1
            left += 1
        value = (sum(value_of[t] for t, n in inside.items() if n), right - left)
        if value > best:
            best, first, last = value, matched[left], i
    # Centre the matches in the window, within the document.
    spare = window - (last - first + 1)
    start = max(0, min(first - spare // 2, len(found) - window))
    return start, min(len(found), start + window), matched
