"""Base of retrievers over a corpus: documents, filters and common parameters."""

from abc import abstractmethod
from numbers import Integral

from sklearn.utils.validation import validate_data

from sklrank._validation import Interval, is_matrix_like
from sklrank.base import Retriever, refuse_judgments
from sklrank.data import Corpus, Queries
from sklrank.retrievers._filters import check_kept


class CorpusRetriever(Retriever):
    """Base of retrievers over a corpus.

    A subclass must give `fit`, which calls `_set_corpus`, and `_search`. It may give `_check_documents` for documents
    that are a matrix.
    """

    _stage = None  # name of the runs, and of the score column that later stages keep

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
        """Set `corpus_` to the parameter `corpus`, or to the documents `X` if there is none."""
        if self.corpus is not None:
            self.corpus_ = Corpus.of(self.corpus)
        elif isinstance(X, Queries):
            raise ValueError(
                "this retriever has no corpus, so that X would be taken for the documents, but X are Queries: give the "
                "documents as corpus="
            )
        else:
            if not isinstance(X, Corpus) and is_matrix_like(X):
                X = self._check_documents(X)
            self.corpus_ = X if isinstance(X, Corpus) else Corpus(X)
            refuse_judgments(y)
        if len(self.corpus_) == 0:
            raise ValueError("the corpus is empty; there is nothing to index")

    def reindex(self, corpus):
        """Index other documents; `update` calls this on a copy of the fitted retriever.

        Parameters
        ----------
        corpus : Corpus
            The documents to index.

        Returns
        -------
        self
        """
        self._check_filter(corpus)
        return super().reindex(corpus)

    def _check_filter(self, corpus):
        """Raise ValueError if the parameter `filter` does not fit other documents."""
        if self.filter is not None:
            check_kept(self.filter, self.corpus_, corpus)

    def partial_fit(self, X, y=None):
        """Add documents to a retriever without the parameter `corpus`; the first call is `fit`.

        Parameters
        ----------
        X : list of str, or matrix of shape (n_documents, n_features)
            Documents. They come last, in their order.
        y : Ignored
            Not used.

        Returns
        -------
        self

        See Also
        --------
        add : The same, also with the parameter `corpus`.
        """
        if self.corpus is not None:
            raise ValueError(
                "partial_fit takes documents, but with corpus= the input of fit are queries: use add(documents)"
            )
        if not hasattr(self, "corpus_"):
            return self.fit(X, y)
        if hasattr(self, "n_features_in_") and is_matrix_like(X):
            validate_data(self, X, reset=False, skip_check_array=True)
        return self.add(X)

    def _check_documents(self, X):
        """Validate a matrix of documents that `fit` got; by default, return it as it is."""
        return X

    def transform(self, X, filter=None):
        """Rank the documents for each query.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            Queries.
        filter : mask, list of ids, or one of these per query, default=None
            Documents that may be returned: a bool array of shape (n_documents,) or a list of ids, for all queries; or
            an array of shape (n_queries, n_documents) or a list with one mask or list of ids (or None) per query. If
            None, the parameters `filter` and `filter_field` apply.

        Returns
        -------
        Run
            At most `k` documents for each query, best first. Equal scores are in the order of the corpus.
        """
        return self._search(X, self.k, filter)

    @abstractmethod
    def _search(self, X, k, filter=None):
        """Rank as `transform` does, with another `k`; `check_fitted` comes first, `filter_of` gives the filter."""

    def filter_of(self, queries):
        """Return the filter that applies to queries if `transform` does not get one.

        Parameters
        ----------
        queries : Queries
            The queries.

        Returns
        -------
        mask, list of ids, one of these per query, or None
            The column `filter_field` of the queries, or the parameter `filter` if there is no such column.
        """
        if self.filter_field is None:
            return self.filter
        filters = list(queries[self.filter_field])
        if any(isinstance(value, str) for value in filters):
            raise TypeError(
                f"filter_field={self.filter_field!r} names a column of str: expected a mask, a list of ids or None for "
                "each query"
            )
        return filters

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags
