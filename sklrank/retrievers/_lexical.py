"""What retrievers over an inverted index have in common."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sklrank._validation import (
    HasMethods,
    Interval,
    _fit_context,
    check_fitted,
    check_term_weights,
    is_matrix_like,
)
from sklrank.base import Retriever, estimator_key, refuse_judgments
from sklrank.data import Corpus, Queries, Run
from sklrank.encoders import TermVectorizer
from sklrank.retrievers._explain import Explanation, Highlight, best_passage
from sklrank.retrievers._filters import resolve_filter
from sklrank.retrievers._index import Index, Segment


class LexicalRetriever(Retriever):
    """Base of retrievers over an inverted index.

    A subclass says in `_formula` which parameters its scores depend on, and makes of them a `Weighting` of the
    index in `_weigh`.
    """

    _parameter_constraints: dict = {
        "corpus": "no_validation",
        "k": [Interval(Integral, 1, None, closed="left")],
        "vectorizer": [HasMethods(["fit", "transform"]), None],
        "field": "no_validation",
        "filter": "no_validation",
        "filter_field": [str, None],
        "n_jobs": [Integral, None],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Index the corpus; nothing is learned from the queries.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_features)
            The queries. Without a `corpus`, the documents.
        y : Qrels or list of dict, default=None
            Judgments; not used.

        Returns
        -------
        self
        """
        if self.corpus is None:
            if isinstance(X, Queries):
                raise ValueError(
                    "this retriever has no corpus, so that X would be taken for the documents, and X are Queries: give "
                    "the documents as corpus="
                )
            if not isinstance(X, Corpus) and is_matrix_like(X) and self.vectorizer is None:
                X = check_term_weights(self, X, reset=True)
            self.corpus_ = X if isinstance(X, Corpus) else Corpus(X)
            refuse_judgments(y)
        else:
            self.corpus_ = Corpus.of(self.corpus)
        if self.corpus_.is_matrix and self.vectorizer is None:
            self.n_features_in_ = self.corpus_.matrix().shape[1]
        self.index_ = self._shared_index()
        return self

    def _shared_index(self):
        """The index of the corpus under this vectorizer, made once however many estimators ask."""
        field = self.field if self.field is None or isinstance(self.field, str) else tuple(self.field)
        key = ("index", field, estimator_key(self.vectorizer))
        return self.corpus_.cached(key, self._build_index, persist=True)

    def _texts(self):
        """The text that is searched."""
        return self.corpus_.text(self.field)

    def _check_not_empty(self):
        if len(self.corpus_) == 0:
            raise ValueError("the corpus is empty; there is nothing to index")

    def _build_index(self):
        self._check_not_empty()
        if self.vectorizer is None and self.corpus_.is_matrix:
            matrix = check_term_weights(self, self.corpus_.matrix(self.field), reset=True)
            return Index([Segment.from_matrix(0, matrix)], matrix.shape[1])
        texts = self._texts()
        vectorizer = TermVectorizer() if self.vectorizer is None else clone(self.vectorizer)
        frozen = isinstance(vectorizer, FrozenEstimator)  # which clone left as it is, fitted
        vectorizer = vectorizer.estimator if frozen else vectorizer
        if isinstance(vectorizer, TermVectorizer):
            token_ids, indptr = vectorizer._tokens(texts) if frozen else vectorizer._fit_tokens(texts)
            n_terms = len(vectorizer.vocabulary_)
            return Index([Segment.from_tokens(0, token_ids, indptr, n_terms)], n_terms, vectorizer)
        weights = (vectorizer.transform if frozen else vectorizer.fit_transform)(texts.tolist())
        matrix = check_term_weights(clone(self), weights, reset=True)
        return Index([Segment.from_matrix(0, matrix)], matrix.shape[1], vectorizer)

    def _check_settings(self):
        """Check the parameters that `_weigh` does not see, at the cost of a look where they are right."""
        k, n_jobs, field = self.k, self.n_jobs, self.filter_field
        if type(k) is not int or k < 1 or type(n_jobs) not in (int, type(None)) or type(field) not in (str, type(None)):
            self._validate_params()

    def _impacts(self):
        formula = self._formula()
        try:
            return self.index_.impacts(formula, self._validated_weigh)
        except TypeError:  # a parameter that is not even hashable
            self._validated_weigh(self.index_)
            raise

    def _validated_weigh(self, index):
        self._validate_params()
        return self._weigh(index)

    def _terms_of(self, X):
        """Terms of the queries, ragged, with their weights."""
        vectorizer = self.index_.vectorizer
        if isinstance(vectorizer, TermVectorizer):
            terms, indptr = vectorizer._tokens(X)
            return indptr, terms, np.ones(len(terms), dtype=np.float32)
        if vectorizer is not None:
            X = vectorizer.transform(X)
        matrix = check_term_weights(self if vectorizer is None else clone(self), X, reset=vectorizer is not None)
        return matrix.indptr.astype(np.int64), matrix.indices.astype(np.uint32), matrix.data.astype(np.float32)

    def _weigh_queries(self, indptr, terms, weights):
        """Weights of the queries' terms; a formula that has its own overrides this."""
        return weights

    def transform(self, X, filter=None):
        """Rank the documents for each query.

        Parameters
        ----------
        X : Queries, list of str, or matrix of shape (n_queries, n_terms)
            The queries.
        filter : mask, list of ids, or one of these per query, default=None
            The documents that may be found: a bool array of shape (n_documents,) or ids, for all queries; or an
            array of shape (n_queries, n_documents) or a list with one mask or list of ids (or None) per query.
            ``None``: as the parameters `filter` and `filter_field` say.

        Returns
        -------
        Run
            For each query at most `k` documents that hold a term of it, best first; equal scores in the order
            of the corpus.
        """
        return self._search(X, self.k, filter)

    def _search(self, X, k, filter=None):
        check_fitted(self, "index_")
        self._check_settings()
        if not isinstance(k, Integral) or k < 1:
            raise ValueError(f"k is the number of documents to return, an int of at least 1; got {k!r}")
        impacts = self._impacts()
        if self.index_.vectorizer is None:
            matrix = X.matrix if isinstance(X, Queries) else X
            matrix = check_term_weights(self, matrix, reset=False)
            queries = X if isinstance(X, Queries) else Queries.unnamed(matrix.shape[0])
            terms = self._terms_of(matrix)
        else:
            queries = Queries.of(X)
            terms = self._terms_of(queries.texts)
        indptr, terms, weights = terms
        weights = self._weigh_queries(indptr, terms, weights)
        filter = self._chosen_filter(filter, queries)
        parts = []
        for start, stop, masks, mask_of in resolve_filter(filter, len(queries), self.corpus_):
            bounds = indptr[start : stop + 1]
            inside = slice(bounds[0], bounds[-1])
            parts.append(
                impacts.search(bounds - bounds[0], terms[inside], weights[inside], k, masks, mask_of, self.n_jobs)
            )
        bounds, rows, scores = parts[0] if len(parts) == 1 else _stack(parts)
        return Run.from_ragged(bounds, rows, scores, queries=queries, corpus=self.corpus_, k=k)

    def _chosen_filter(self, given, queries):
        if given is not None:
            return given
        if self.filter_field is None:
            return self.filter
        filters = list(queries[self.filter_field])
        if any(isinstance(one, str) for one in filters):
            raise TypeError(
                f"filter_field={self.filter_field!r} names a column of str; needed is a mask, a list of ids or None "
                "for each query"
            )
        return filters

    # --- for people
    def _one_query(self, query):
        """The terms of one query in the order in which their contributions are added."""
        check_fitted(self, "index_")
        impacts = self._impacts()
        indptr, terms, weights = self._terms_of([query] if isinstance(query, str) else query)
        if len(indptr) != 2:
            raise ValueError(f"one query is needed, got {len(indptr) - 1}")
        weights = self._weigh_queries(indptr, terms, weights)
        _, terms, weights = impacts.order(indptr, terms, weights)
        return impacts, terms, weights

    def _term_names(self, terms):
        vectorizer = self.index_.vectorizer
        if vectorizer is None:
            return [str(t) for t in terms.tolist()]
        return vectorizer.get_feature_names_out()[terms.astype(np.int64)].tolist()

    def explain(self, query, docid):
        """Take the score of a document apart.

        Parameters
        ----------
        query : str
            The query.
        docid : str
            The document.

        Returns
        -------
        Explanation
            What each term of the query contributes; the sum is the score.
        """
        impacts, terms, weights = self._one_query(query)
        row = int(self.corpus_.rows([docid])[0])
        values, counts, bias = impacts.contributions(terms, weights, row)
        frequencies = self.index_.document_frequencies[terms.astype(np.int64)]
        return Explanation.of(docid, self._term_names(terms), weights, counts, frequencies, values, bias)

    def highlight(self, query, docid, window=40):
        """The passage of a document that matches a query best, and where the matches are.

        Parameters
        ----------
        query : str
            The query.
        docid : str
            The document.
        window : int, default=40
            Length of the passage, in terms that the index holds.

        Returns
        -------
        Highlight
            Text of the document, bounds of the passage, and spans of matched terms, in characters.
        """
        vectorizer = self.index_.vectorizer if hasattr(self, "index_") else None
        impacts, terms, weights = self._one_query(query)
        if not isinstance(vectorizer, TermVectorizer):
            raise ValueError("highlight needs the positions of terms in the text, which only a TermVectorizer tells")
        if not isinstance(window, Integral) or window < 1:
            raise ValueError(f"window is a number of terms, an int of at least 1; got {window!r}")
        row = int(self.corpus_.rows([docid])[0])
        values, _, _ = impacts.contributions(terms, weights, row)
        text = self._texts()[row]
        starts, ends, found = vectorizer._spans(text)
        order = np.lexsort((ends, starts))  # n-grams come by length
        starts, ends, found = starts[order], ends[order], found[order]
        start, stop, matched = best_passage(found, terms, values, window)
        spans = [(int(starts[i]), int(ends[i])) for i in matched]
        bounds = (int(starts[start]), int(ends[start:stop].max())) if stop > start else (0, 0)
        return Highlight(docid, text, *bounds, spans)

    def __sklearn_is_fitted__(self):
        # Otherwise scikit-learn looks for any name with an underscore behind, and finds the parameter `lambda_`.
        return hasattr(self, "index_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.vectorizer is None
        tags.input_tags.positive_only = True
        return tags


def _stack(parts):
    """Join ragged rankings of consecutive queries."""
    ends = np.cumsum([bounds[-1] for bounds, _, _ in parts])
    starts = ends - [bounds[-1] for bounds, _, _ in parts]
    bounds = np.concatenate([[0]] + [part[0][1:] + start for part, start in zip(parts, starts)])
    return bounds, np.concatenate([part[1] for part in parts]), np.concatenate([part[2] for part in parts])
