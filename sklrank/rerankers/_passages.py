"""PassageAggregator: documents from their passages."""

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
    """Aggregate a run of passages to a run of documents.

    Long documents are found more easily by their passages, see `Corpus.split`. Documents are judged and shown.

    Parameters
    ----------
    by : str, default="parent_id"
        Column of the corpus of passages that holds the id of the document.
    how : {"max", "first", "mean", "sum"}, default="max"
        Function that combines the scores of passages. Only the passages that were found count: the best one, the one
        that comes first in the document, the mean, or the sum.
    corpus : Corpus or input of Corpus, default=None
        The documents. If None, it is the corpus that was split. If that is not known, the result has ids only.
    k : int, default=None
        Number of documents to return for each query. If None, all are returned.

    See Also
    --------
    sklrank.data.Corpus.split : Makes the passages.
    CrossEncoderReranker : Reads long documents in passages, without splitting the corpus.

    Notes
    -----
    Score columns are combined in the same way, and missing scores are ignored. The run keeps its name. Documents of
    equal score are in the order of their corpus. Retrieve more passages than you need documents, because a document can
    have several passages among the first.

    No parameter needs a new `fit`. All take effect at once.

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
        """Aggregate the passages of each document.

        Parameters
        ----------
        X : Run
            Candidates. They are passages, with their corpus.

        Returns
        -------
        Run
            The documents, best first.
        """
        self._validate_params()
        check_run(X, "reranker")
        documents, parents = self._parents(X)
        query = owners(X.indptr)
        document = parents[X.rows]
        order = np.lexsort((X.rows, document, query))
        query, document = query[order], document[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(query) != 0) | (np.diff(document) != 0)
        starts = np.flatnonzero(new)
        indptr = np.searchsorted(query[starts], np.arange(len(X) + 1))
        run = Run.from_ragged(
            indptr,
            document[starts],
            None,
            queries=X.queries,
            corpus=documents,
            columns={name: self._combine(X.column(name)[order], starts) for name in X.columns},
            name=X.name,
        )
        if not X.has_order:
            return run
        return run.reorder(self._combine(X.scores[order], starts), k=self.k, name=X.name)

    def reindex(self, corpus):
        """Set the documents; `sklrank.update` calls this on a copy if there is a parameter `corpus`.

        Parameters
        ----------
        corpus : Corpus
            The new documents.

        Returns
        -------
        self
        """
        self.corpus = corpus
        return self

    def _combine(self, values, starts):
        """Combine the values of the passages of each document."""
        if not len(values):
            return values
        if self.how == "first":
            positions = np.where(np.isnan(values), len(values), np.arange(len(values)))
            return np.append(values, values.dtype.type(np.nan))[np.minimum.reduceat(positions, starts)]
        if self.how == "max":
            return np.fmax.reduceat(values, starts)
        values = values.astype(np.float64)
        has_value = ~np.isnan(values)
        totals = np.add.reduceat(np.where(has_value, values, 0), starts)
        counts = np.add.reduceat(has_value.astype(np.int64), starts)
        totals[counts == 0] = np.nan
        if self.how == "mean":
            totals /= np.maximum(counts, 1)
        return totals

    def _parents(self, run):
        """Return the documents, and the row of the document of each passage."""
        passages = corpus_of(run)
        if self.by not in passages.columns:
            raise ValueError(
                f"the corpus has no column {self.by!r}, only {list(passages.columns)}; Corpus.split makes passages "
                "with the id of their document as 'parent_id'"
            )
        documents = passages.parent
        if self.corpus is not None:
            documents = Corpus.of(self.corpus)

        def make():
            ids = [str(docid) for docid in passages[self.by].tolist()]
            if "" in ids:
                raise ValueError(f"passage {passages.ids[ids.index('')]!r} has no document: its {self.by!r} is empty")
            if documents is None:
                return DocumentIds.factorize(object_array(ids))
            return documents.rows(ids)

        parents = passages.cached(("parents", self.by, getattr(documents, "token", None)), make)
        if documents is None:
            return parents
        return documents, parents
