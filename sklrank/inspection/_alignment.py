"""Alignment of the tokens of a query and a document in late interaction."""

import html
from dataclasses import dataclass

import numpy as np

from sklrank.data._display import printable, table_lines
from sklrank.data._frames import frame_like

_FIELDS = ("query_token", "document_token", "similarity", "weight", "share")


@dataclass(frozen=True, repr=False)
class Alignment:
    """Alignment of the tokens of a query with the tokens of a document, from `alignment`.

    Attributes
    ----------
    docid : str
        Id of the document.
    query_tokens, document_tokens : list of str
        Tokens, or their positions if the encoder does not name them.
    weights : ndarray of float64, shape (n_query_tokens,)
        Weight of each token of the query.
    similarities : ndarray of float64, shape (n_query_tokens, n_document_tokens)
        All similarities, for a heat map.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank import Corpus, Queries, Run
    >>> from sklrank.data import TokenVectors
    >>> from sklrank.inspection import alignment
    >>> from sklrank.rerankers import MaxSimReranker
    >>> corpus = Corpus(TokenVectors.from_list([np.eye(2)]))
    >>> queries = Queries(TokenVectors.from_list([np.array([[0.0, 1.0]])]))
    >>> tokens = alignment(MaxSimReranker(), Run([{"0": 1.0}], corpus=corpus, queries=queries), "0")
    >>> tokens.score, tokens.matches, tokens.similarities
    (1.0, array([1]), array([[0., 1.]]))
    """

    docid: str
    query_tokens: list
    document_tokens: list
    weights: np.ndarray
    similarities: np.ndarray

    @property
    def matches(self):
        """Position of the most similar token of the document, for each token of the query.

        Returns
        -------
        ndarray of int64, shape (n_query_tokens,)
        """
        return self.similarities.argmax(axis=1)

    @property
    def contributions(self):
        """Share of each token of the query in the score.

        Returns
        -------
        ndarray of float64, shape (n_query_tokens,)
        """
        return self.weights * self.similarities.max(axis=1)

    @property
    def score(self):
        """Score of the document.

        Returns
        -------
        float
        """
        return float(self.contributions.sum())

    @property
    def rows(self):
        """One dict for each token of the query, in descending order of contribution.

        Returns
        -------
        list of dict
            With ``query_token``, ``document_token``, ``similarity``, ``weight`` and ``share`` of the score.
        """
        added = self.contributions
        total, matches = np.abs(added).sum(), self.matches.tolist()
        shares = np.divide(added, total, out=np.zeros(len(added)), where=total > 0)
        rows = []
        for i in np.argsort(-added, kind="stable").tolist():
            match = matches[i]
            values = self.similarities[i, match], self.weights[i], shares[i]
            rows.append(dict(zip(_FIELDS, (self.query_tokens[i], self.document_tokens[match], *map(float, values)))))
        return rows

    def to_frame(self, *, backend=None):
        """Make a frame with one row for each token of the query.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default=None
            Library of the frame. If None, it is pandas if installed, otherwise polars.

        Returns
        -------
        DataFrame
        """
        rows = self.rows
        return frame_like({name: [row[name] for row in rows] for name in _FIELDS}, backend)

    def _table(self):
        return [
            [
                row["query_token"],
                row["document_token"],
                f"{row['similarity']:.4g}",
                f"{row['weight']:.4g}",
                f"{row['share']:.0%}",
            ]
            for row in self.rows
        ]

    def __str__(self):
        lines = table_lines([[name.replace("_", " ") for name in _FIELDS], *self._table()])
        return "\n  ".join([f"document {printable(self.docid)}, score {self.score:.6g}", *lines])

    def __repr__(self):
        docid, n = printable(self.docid), len(self.query_tokens)
        return f"<Alignment: document {docid}, {n} query tokens, score {self.score:.4g}>"

    def _repr_html_(self):
        names = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in _FIELDS)
        rows = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in line) + "</tr>" for line in self._table())
        title = f"<p>document {html.escape(self.docid)}, score {self.score:.6g}</p>"
        return f"{title}<table><tr>{names}</tr>{rows}</table>"


def alignment(reranker, X, docid, query=0):
    """Align the tokens of a query with those of a document.

    Parameters
    ----------
    reranker : MaxSimReranker
        Reranker that compares the tokens.
    X : Run
        Candidates, with their corpus.
    docid : str or int
        Id of the document. It does not have to be a candidate.
    query : int or str, default=0
        Position of the query in `X`, or its id.

    Returns
    -------
    Alignment
        Alignment, which prints as a table.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank import Corpus, Queries, Run
    >>> from sklrank.data import TokenVectors
    >>> from sklrank.inspection import alignment
    >>> from sklrank.rerankers import MaxSimReranker
    >>> corpus = Corpus(TokenVectors.from_list([np.eye(2)]))
    >>> queries = Queries(TokenVectors.from_list([np.array([[0.6, 0.8], [1.0, 0.0]])]))
    >>> print(alignment(MaxSimReranker(), Run([{"0": 1.0}], corpus=corpus, queries=queries), "0"))
    document 0, score 1.8
      query token  document token  similarity  weight  share
      1            0               1           1       56%
      0            1               0.8         1       44%
    """
    if not hasattr(reranker, "compare_tokens"):
        raise TypeError(f"expected a MaxSimReranker, which compares tokens, got a {type(reranker).__name__}")
    return Alignment(str(docid), **reranker.compare_tokens(X, docid, query))
