"""Exports of runs: dicts, frames, records, TREC files and matrices."""

import numpy as np

from sklrank._ragged import intervals, places
from sklrank.data._files import write_lines
from sklrank.data._frames import as_names, frame_like
from sklrank.data._pairs import Pairs
from sklrank.data._trec import check_fields


class RunExports(Pairs):
    """Methods of `Run` that convert it to other types."""

    def to_dict(self):
        """Return ``{qid: {docid: score}}``, with the documents in the order of the ranking.

        Returns
        -------
        dict
        """
        self._check_distinct_queries()
        scores = self.scores.tolist()
        docids = self.flat_docids.tolist()
        return {
            qid: dict(zip(docids[start:stop], scores[start:stop]))
            for qid, (start, stop) in zip(self.qids.tolist(), intervals(self._indptr))
        }

    def _to_columns(self, fields):
        lengths = np.diff(self._indptr)
        columns = {"qid": np.repeat(self.qids, lengths).tolist()}
        if self.has_order:
            ranks = places(self._indptr) + 1
            columns["rank"] = ranks.tolist()
        columns["docid"] = self.flat_docids.tolist()
        if self.has_order:
            columns["score"] = self._scores.tolist()
        for name, column in self._columns.items():
            columns[name] = column.tolist()
            if name in self._column_ranks:
                columns[f"{name}_rank"] = self._column_ranks[name].tolist()
        fields = as_names(fields or ())
        if fields and self.corpus is None:
            raise ValueError("fields= joins columns of the corpus, and this run has no corpus: run.with_corpus(corpus)")
        for field in fields:
            if field in columns:
                raise ValueError(f"fields= names the column {field!r}, which the run has already")
            columns[field] = self.corpus.take(field, self._rows).tolist()
        return columns

    def to_frame(self, fields=None, *, backend=None):
        """Return a frame with one row per entry: qid, rank from 1, docid, score, score columns, columns of the corpus.

        Candidates without an order have no rank and no score.

        Parameters
        ----------
        fields : str or sequence of str, default=None
            Columns of the corpus to join.
        backend : {"pandas", "polars"}, default=None
            Library of the frame. If None, pandas if it is installed, else polars.

        Returns
        -------
        DataFrame
        """
        return frame_like(self._to_columns(fields), backend)

    def to_records(self, fields=None):
        """Return one dict per entry, with the columns of `to_frame`.

        Parameters
        ----------
        fields : str or sequence of str, default=None
            Columns of the corpus to join.

        Returns
        -------
        list of dict

        Examples
        --------
        >>> from sklrank import Corpus, Run
        >>> Run([{"0": 1.5}], corpus=Corpus(["heat"])).to_records(fields="text")
        [{'qid': '0', 'rank': 1, 'docid': '0', 'score': 1.5, 'text': 'heat'}]
        """
        columns = self._to_columns(fields)
        return [dict(zip(columns, values)) for values in zip(*columns.values())]

    def to_trec(self, path):
        """Write a TREC file, completely or not at all; scores are read back as the same numbers.

        Parameters
        ----------
        path : path
            The file. A file ``.gz`` is compressed.
        """
        columns = self._to_columns(None)
        scores = map(np.format_float_positional, self.scores)  # shortest text of the same number
        tag = self.name or "sklrank"
        check_fields(query=self.qids, document=set(columns["docid"]), run=[tag])
        lines = zip(columns["qid"], columns["docid"], columns["rank"], scores)
        write_lines(path, (f"{q} Q0 {d} {r} {s.rstrip('.')} {tag}\n" for q, d, r, s in lines))

    def to_csr(self):
        """Return the scores as a matrix of shape (n_queries, n_documents); entries of score 0 are stored.

        Returns
        -------
        scipy.sparse.csr_array
        """
        return self._csr(self.scores)

    def __array__(self, dtype=None, copy=None):
        return self._dense(self.scores, dtype)
