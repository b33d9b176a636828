"""Explanations of scores, and passages with matched terms."""

import html
from dataclasses import dataclass

import numpy as np

from sklrank.data._frames import frame_like

_TERM_FIELDS = ("term", "query_weight", "count", "document_frequency", "contribution")


@dataclass(frozen=True)
class Explanation:
    """Score of a document, term by term.

    Attributes
    ----------
    docid : str
        The document.
    score : float
        Score of the document.
    terms : list of dict
        Terms of the query, largest contribution first, each with ``term``, ``query_weight``, ``count`` (in the
        document; its weight if terms have weights), ``document_frequency`` (number of documents that hold the term)
        and ``contribution`` to the score.
    bias : float
        Part of the score that depends on the length of the document.
    counted : bool, default=True
        Whether documents hold counts of terms rather than weights.
    """

    docid: str
    score: float
    terms: list
    bias: float = 0.0
    counted: bool = True

    @classmethod
    def of(cls, docid, names, weights, counts, frequencies, contributions, bias, counted=True):
        """Make an explanation of columns; contributions are added in the order of the index."""
        score = np.float32(0)
        for value in contributions:
            score += value
        counts = [int(count) if count.is_integer() else count for count in counts.tolist()]
        columns = names, weights.tolist(), counts, frequencies.tolist(), contributions.tolist()
        terms = [dict(zip(_TERM_FIELDS, values)) for values in zip(*columns)]
        terms.sort(key=lambda term: -term["contribution"])
        return cls(docid, float(score + np.float32(bias)), terms, bias, counted)

    def to_frame(self):
        """Return a table with one row for each term.

        Returns
        -------
        DataFrame
        """
        return frame_like({name: [term[name] for term in self.terms] for name in _TERM_FIELDS})

    def __str__(self):
        lines = [f"{self.score:.6g}  {self.docid}"]
        for t in self.terms:
            note = f"weight {t['count']:g}"
            if self.counted:
                note = f"{t['count']:g} times"
            note += f", in {t['document_frequency']} documents"
            if not t["count"]:
                note = "not there"
            if t["query_weight"] != 1:
                note += f" × {t['query_weight']:g} in the query"
            lines.append(f"  {t['contribution']:.6g}  {t['term']}  ({note})")
        if self.bias:
            lines.append(f"  {self.bias:.6g}  (length of the document)")
        return "\n".join(lines)


@dataclass(frozen=True)
class Highlight:
    """Passage of a document, and the matched terms of the document.

    Attributes
    ----------
    docid : str
        The document.
    text : str
        Text of the document.
    start, stop : int
        Bounds of the passage, ``text[start:stop]``.
    spans : list of (int, int)
        Bounds of the matched terms in the whole text.
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
            if position <= start and stop <= self.stop:  # a span that overlaps the one before is skipped
                parts += [escape(self.text[position:start]), before, escape(self.text[start:stop]), after]
                position = stop
        parts.append(escape(self.text[position : self.stop]))
        if self.start > 0:
            parts.insert(0, "…")
        if self.stop < len(self.text.rstrip()):
            parts.append("…")
        return "".join(parts)

    def __str__(self):
        return self._marked("**", "**", str)

    def _repr_html_(self):
        return f"<p>{self._marked('<mark>', '</mark>', html.escape)}</p>"


def best_passage(found, terms, values, window):
    """Find the window with the largest contribution of different terms, and of equal windows the one with most matches.

    Parameters
    ----------
    found : ndarray of uint32, shape (n_tokens,)
        Terms of the document, in their order.
    terms : ndarray of uint32
        Terms of the query.
    values : ndarray of float32
        Contribution of each term.
    window : int
        Length of the passage in terms.

    Returns
    -------
    start, stop : int
        Bounds of the passage, in tokens.
    matched : list of int
        Positions of the tokens of the whole document that match.
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
    # Center the matches in the window, within the document.
    spare = window - (last - first + 1)
    start = max(0, min(first - spare // 2, len(found) - window))
    return start, min(len(found), start + window), matched
