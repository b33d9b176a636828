"""PassageAggregator: from passages back to documents."""

from numbers import Integral

import numpy as np

from sklrank._ragged import owners
from sklrank._validation import Interval, StrOptions
from sklrank.base import Reranker, check_run
from sklrank.data import Corpus, Run
from sklrank.data._documents import DocumentIds
from sklrank.data._ids import object_array
from sklrank.rerankers._texts import corpus_of


class PassageAggregator(Reranker):
    """Make a run of documents of one of passages.

    Long documents are better found by their passages, `Corpus.split`; what is judged and shown are documents.

    Parameters
    ----------
    by : str, default="parent_id"
        Column of the corpus of passages with the id of the document.
    how : {"max", "first", "mean", "sum"}, default="max"
        The score of a document: that of its best passage, of the one that stands first in it, the mean or the sum, of
        those passages that were found.
    corpus : Corpus or whatever one is made from, default=None
        The documents. ``None``: the corpus that was split; where that is not known, the ids alone.
    k : int, default=None
        How many documents to keep for each query; ``None``: all.

    See Also
    --------
    sklrank.data.Corpus.split : Makes the passages.
    CrossEncoderReranker : Reads the passages of long documents by itself.

    Notes
    -----
    Score columns are brought together likewise, a missing score left out; the run keeps its name. Documents of equal
    score stand in the order of their corpus. Retrieve more passages than documents are wanted: some have several among
    the first.

    Parameters that need a new `fit`: none. All take effect at once.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklrank import Corpus
    >>> from sklrank.rerankers import PassageAggregator
    >>> from sklrank.retrievers import BM25Retriever
    >>> corpus = Corpus({"d1": "heat flows from hot to cold", "d2": "a cold wing", "d3": "lift"})
    >>> retriever = BM25Retriever(corpus.split(4, stride=2), k=1000)
    >>> pipe = make_pipeline(retriever, PassageAggregator(k=10)).fit(["cold"])
    >>> pipe.predict(["hot or cold"]).docids
    [['d1', 'd2']]
    """

    _parameter_constraints: dict = {
        "by": [str],
        "how": [StrOptions({"max", "first", "mean", "sum"})],
        "corpus": "no_validation",
        "k": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, by="parent_id", how="max", *, corpus=None, k=None):
        self.by = by
        self.how = how
        self.corpus = corpus
        self.k = k

    def transform(self, X):
        """Bring the passages of each document together.

        Parameters
        ----------
        X : Run
            Passages, with their corpus.

        Returns
        -------
        Run
            Documents, best first.
        """
        self._validate_params()
        check_run(X, "reranker")
        documents, parents = self._parents(X)
        query = owners(X.indptr)
        own = parents[X.rows]
        order = np.lexsort((X.rows, own, query))
        query, own = query[order], own[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(query) != 0) | (np.diff(own) != 0)
        starts = np.flatnonzero(new)
        indptr = np.searchsorted(query[starts], np.arange(len(X) + 1))
        run = Run.from_ragged(
            indptr,
            own[starts],
            None,
            queries=X.queries,
            corpus=documents,
            columns={name: self._together(X.column(name)[order], starts) for name in X.columns},
            name=X.name,
        )
        if not X.has_order:
            return run
        return run.reorder(self._together(X.scores[order], starts), k=self.k, name=X.name)

    def _together(self, values, starts):
        """One value for each document."""
        if not len(values):
            return values
        if self.how == "first":
            places = np.where(np.isnan(values), len(values), np.arange(len(values)))
            return np.append(values, values.dtype.type(np.nan))[np.minimum.reduceat(places, starts)]
        if self.how == "max":
            return np.fmax.reduceat(values, starts)
        values = values.astype(np.float64)
        there = ~np.isnan(values)
        totals = np.add.reduceat(np.where(there, values, 0), starts)
        counts = np.add.reduceat(there.astype(np.int64), starts)
        totals[counts == 0] = np.nan
        return totals if self.how == "sum" else totals / np.maximum(counts, 1)

    def _parents(self, run):
        """The documents, and which of them each passage is of."""
        passages = corpus_of(run)
        if self.by not in passages.columns:
            raise ValueError(
                f"the corpus has no column {self.by!r}, only {list(passages.columns)}: Corpus.split makes passages "
                "with the id of their document as 'parent_id'"
            )
        given = passages.parent if self.corpus is None else Corpus.of(self.corpus)

        def make():
            ids = [str(docid) for docid in passages[self.by].tolist()]
            if "" in ids:
                raise ValueError(f"passage {passages.ids[ids.index('')]!r} has no {self.by!r}, and so belongs nowhere")
            return DocumentIds.factorize(object_array(ids)) if given is None else (given, given.rows(ids))

        return passages.cached(("parents", self.by, None if given is None else given.token), make)
