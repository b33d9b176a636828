"""Base of retrievers over a corpus: documents, filters, and checks of a call."""

from abc import abstractmethod
from numbers import Integral

from sklrank._validation import Interval, check_fitted, is_matrix_like
from sklrank.base import Retriever, refuse_judgments
from sklrank.data import Corpus, Queries, Run


class CorpusRetriever(Retriever):
    """Base of retrievers over a corpus.

    A subclass must give `fit`, which calls `_set_corpus`, and `_search`. It may give `_check_documents` for documents
    that are a matrix, and `_check_call` for parameters that take effect after `fit`.
    """

    _stage = None  # short name of what it does: that of its runs, and of the column that later stages keep

    _refit_parameters = ("corpus", "field")

    _parameter_constraints: dict = {
        "corpus": "no_validation",
        "k": [Interval(Integral, 1, None, closed="left")],
        "field": "no_validation",
        "filter": "no_validation",
        "filter_field": [str, None],
        "n_jobs": [Integral, None],
    }

    def _set_corpus(self, X, y):
        """Take the corpus that was given, or `X` for one."""
        if self.corpus is not None:
            self.corpus_ = Corpus.of(self.corpus)
        elif isinstance(X, Queries):
            raise ValueError(
                "this retriever has no corpus, so that X would be taken for the documents, and X are Queries: give "
                "the documents as corpus="
            )
        else:
            if not isinstance(X, Corpus) and is_matrix_like(X):
                X = self._check_documents(X)
            self.corpus_ = X if isinstance(X, Corpus) else Corpus(X)
            refuse_judgments(y)
        if len(self.corpus_) == 0:
            raise ValueError("the corpus is empty; there is nothing to index")

    def _check_documents(self, X):
        """Validate documents that came as a matrix to `fit`; by default as they are."""
        return X

    @property
    def _field(self):
        """`field`, hashable."""
        return self.field if self.field is None or isinstance(self.field, str) else tuple(self.field)

    def transform(self, X, filter=None):
        """Rank the documents for each query.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries.
        filter : mask, list of ids, or one of these per query, default=None
            The documents that may be found: a bool array of shape (n_documents,) or ids, for all queries; or an
            array of shape (n_queries, n_documents) or a list with one mask or list of ids (or None) per query.
            ``None``: as the parameters `filter` and `filter_field` say.

        Returns
        -------
        Run
            For each query at most `k` documents, best first; equal scores in the order of the corpus.
        """
        return self._search(X, self.k, filter)

    @abstractmethod
    def _search(self, X, k, filter=None):
        """Rank as `transform` does, with another `k`; `_check_call` comes first, `_chosen_filter` tells the filter."""

    def _check_call(self, k):
        """Check that it is fitted, and the parameters, at the cost of a look where they are right."""
        check_fitted(self, "corpus_")
        n_jobs, field = self.n_jobs, self.filter_field
        if type(self.k) is not int or self.k < 1 or type(n_jobs) not in (int, type(None)):
            self._validate_params()
        if type(field) not in (str, type(None)):
            self._validate_params()
        if not isinstance(k, Integral) or k < 1:
            raise ValueError(f"k is the number of documents to return, an int of at least 1; got {k!r}")

    def _chosen_filter(self, given, queries):
        """The filter of a call: the argument, else that of the parameters."""
        return self.filter_of(queries) if given is None else given

    def filter_of(self, queries):
        """Return the filter that holds for queries if `transform` is not given one.

        Parameters
        ----------
        queries : Queries
            The queries.

        Returns
        -------
        mask, list of ids, one of these per query, or None
            The column `filter_field` of the queries, else the parameter `filter`.
        """
        if self.filter_field is None:
            return self.filter
        filters = list(queries[self.filter_field])
        if any(isinstance(one, str) for one in filters):
            raise TypeError(
                f"filter_field={self.filter_field!r} names a column of str; needed is a mask, a list of ids or None "
                "for each query"
            )
        return filters

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags

    def _run(self, indptr, rows, scores, queries, k):
        """The run of a search."""
        return Run.from_ragged(indptr, rows, scores, queries=queries, corpus=self.corpus_, name=self._stage, k=k)
