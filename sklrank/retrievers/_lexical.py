"""What retrievers that match words have in common."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sklrank._validation import HasMethods, _fit_context, check_term_weights
from sklrank.base import estimator_key
from sklrank.data import Queries, StringArray, TokenVectors
from sklrank.encoders import TermVectorizer
from sklrank.retrievers._explain import Highlight, best_passage
from sklrank.retrievers._index import Index, Segment
from sklrank.retrievers._inverted import InvertedIndexRetriever


class LexicalRetriever(InvertedIndexRetriever):
    """Base of retrievers that match words."""

    _refit_parameters = ("corpus", "field", "vectorizer")

    _parameter_constraints: dict = {
        **InvertedIndexRetriever._parameter_constraints,
        "vectorizer": [HasMethods(["fit", "transform"]), None],
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
        self._set_corpus(X, y)
        self.index_ = self._shared_index()
        if self.index_.vectorizer is None:
            self.n_features_in_ = self.index_.n_terms
        return self

    def _check_documents(self, X):
        return check_term_weights(self, X, reset=True) if self.vectorizer is None else X

    def _shared_index(self):
        """The index of the corpus under this vectorizer, made once however many estimators ask."""
        key = ("index", self._field, estimator_key(self.vectorizer))
        return self.corpus_.cached(key, self._build_index, persist=True)

    def _texts(self):
        """The text that is searched."""
        return self.corpus_.text(self.field)

    def _holds_weights(self):
        """Whether the documents are term weights: the corpus was made from a matrix, and has no text beside it."""
        names = ("title", "text") if self.field is None else np.atleast_1d(self.field).tolist()
        has_text = any(name in self.corpus_.columns and isinstance(self.corpus_[name], StringArray) for name in names)
        return self.corpus_.is_matrix and not has_text

    def _build_index(self):
        if self.vectorizer is None and self._holds_weights():
            matrix = self.corpus_.matrix(self.field)
            if isinstance(matrix, TokenVectors):
                raise TypeError(
                    f"the documents are TokenVectors, which are for LateInteractionRetriever; {type(self).__name__} "
                    "needs texts, or a matrix of term weights"
                )
            matrix = check_term_weights(self, matrix, reset=True)
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
        matrix = check_term_weights(None, weights)
        return Index([Segment.from_matrix(0, matrix)], matrix.shape[1], vectorizer)

    def _terms_of(self, X):
        """Terms of the queries, ragged, with their weights."""
        vectorizer = self.index_.vectorizer
        if isinstance(vectorizer, TermVectorizer):
            terms, indptr = vectorizer._tokens(X)
            return indptr, terms, np.ones(len(terms), dtype=np.float32)
        if vectorizer is not None:
            X = vectorizer.transform(X)
        matrix = check_term_weights(self if vectorizer is None else None, X, reset=False)
        return matrix.indptr.astype(np.int64), matrix.indices.astype(np.uint32), matrix.data.astype(np.float32)

    def _weigh_queries(self, indptr, terms, weights):
        """Weights of the queries' terms; a formula that has its own overrides this."""
        return weights

    def _prepare(self, X):
        """Queries, and their terms and weights, ragged."""
        if self.index_.vectorizer is None:
            matrix = X.matrix if isinstance(X, Queries) else X
            matrix = check_term_weights(self, matrix, reset=False)
            queries = X if isinstance(X, Queries) else Queries.unnamed(matrix.shape[0])
            indptr, terms, weights = self._terms_of(matrix)
        else:
            queries = Queries.of(X)
            indptr, terms, weights = self._terms_of(queries.texts)
        return queries, (indptr, terms, self._weigh_queries(indptr, terms, weights))

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
        terms = self._one_query(query)
        impacts = self._impacts()
        _, terms, weights = impacts.order(*terms)
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.vectorizer is None
        tags.input_tags.positive_only = True
        return tags
