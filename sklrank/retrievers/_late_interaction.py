"""Late interaction: search by the vectors of tokens."""

import math
from functools import cached_property
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone

from sklrank._caching.keys import estimator_key, field_key
from sklrank._caching.ranking_keys import parameters_key
from sklrank._maxsim import TokenIndex, check_tokens
from sklrank._ragged import kept_entries, lengths_to_indptr, owners, places
from sklrank._update import of_one_state
from sklrank._validation import HasMethods, Interval, StrOptions, _fit_context, check_fitted, check_k
from sklrank.base import Retriever
from sklrank.data import Corpus, Queries, Run, TokenVectors
from sklrank.data._order import rank
from sklrank.encoders._muvera import MuveraEncoder, as_token_vectors
from sklrank.retrievers._base_corpus import CorpusRetriever
from sklrank.retrievers._dense import DenseRetriever
from sklrank.retrievers._encoding import EncodesCorpus, encode_queries, encoded_columns
from sklrank.retrievers._filters import resolve_filter
from sklrank.retrievers._pooling import pool_tokens
from sklrank.retrievers._recall import lowest, mean_recall
from sklrank.retrievers._union import RetrieverUnion

_RESCORE = {"float32": 0, "float16": 0, "int8": 4, "binary": 10}
_CELLS = 1 << 24  # scores that are in memory at a time


class LateInteractionRetriever(EncodesCorpus, CorpusRetriever):
    r"""Rank documents by how well their tokens match those of the query (ColBERT's MaxSim).

    Documents and queries are matrices with one vector per token. Each token of the query is compared with all tokens of
    the document, and the highest similarity of each is added:

    .. math:: \sum_{q} \max_{d} \langle q, d \rangle

    Tokens are scaled to unit length first, so that similarities are cosines. With ``metric="dot"`` they are not
    changed.

    Without a `retriever`, all documents are scored, exactly. With a `retriever`, only its candidates are scored.

    Parameters
    ----------
    corpus : Corpus or input of Corpus, default=None
        The documents. They are texts, which `encoder` turns into token vectors, or `TokenVectors`. If None, `fit` takes
        its `X` as the documents.
    encoder : transformer, default=None
        Encoder for documents and queries. It turns texts into `TokenVectors`. It is cloned and fitted on the documents;
        a `FrozenEstimator` is used as it is. Token vectors of the documents are cached on the corpus. If None,
        documents and queries are token vectors.
    query_encoder : transformer, default=None
        Encoder for queries, if different from `encoder`. Without `encoder`, it must be one that needs no fitting, or a
        `FrozenEstimator`.
    metric : {"cosine", "dot"}, default="cosine"
        Similarity of two vectors. The cosine with a vector of zeros is 0.
    retriever : retriever or MuveraEncoder, default=None
        First stage, which finds the candidates. It is a retriever over the same documents, which is cloned and fitted,
        and gets the corpus if it has none; or a `MuveraEncoder`, which turns token vectors into one vector, so that all
        documents are searched by inner products. If None, all documents are candidates.
    n_candidates : int, default=1000
        Number of candidates that the `retriever` finds for each query; no ranking is longer. A pipeline, or any other
        object without this choice, returns its own number, of which the first `n_candidates` are taken.
    pool_factor : int, default=None
        Number of tokens pooled into one, see `pool_tokens`. If None, all tokens are kept.
    dtype : {"float32", "float16", "int8", "binary"}, default="float32"
        Type in which vectors are stored. Documents are searched in this type: single or half precision, one byte per
        feature with a scale for each token, or one bit per feature, which tells whether it is above its mean.
    rescore : float, default=None
        Number of candidates to rescore exactly, in multiples of `k`. It uses the float32 vectors, which are not
        kept if it is 0. If None, it is 4 for ``"int8"``, 10 for ``"binary"`` and 0 for
        the others.
    k : int, default=100
        Number of documents to return for each query.
    field : str or list of str, default=None
        Columns of the corpus to read. They hold the texts or, without an encoder, the token vectors. If None, title and
        text are joined by a space.
    filter : mask, list of ids, or one of these per query, default=None
        Documents that may be returned.
    filter_field : str, default=None
        Column of the queries that holds a filter for each query.
    n_jobs : int, default=None
        Number of threads. They share the documents. The result does not depend on it.

    Attributes
    ----------
    corpus_ : Corpus
        The documents.
    retriever_ : retriever or None
        First stage, fitted.
    n_tokens_ : int
        Number of token vectors of all documents, after pooling.
    bytes_per_token_ : float
        Number of bytes that the search reads for each token of a document.

    See Also
    --------
    DenseRetriever : One vector per document.
    pool_tokens : Fewer token vectors.
    sklrank.encoders.MuveraEncoder : One vector instead of a matrix.

    Notes
    -----
    A document without tokens is never a candidate, and a query without tokens finds nothing. Products are added feature
    by feature, independent of the other documents and queries of a call. Therefore equal documents have equal scores,
    ties are ordered by row, and neither `n_jobs` nor the number of queries changes a bit of a ranking.

    `k`, `n_candidates`, `dtype` and `rescore` may be changed after `fit`.

    Parameters that need a new `fit`: `corpus`, `encoder`, `query_encoder`, `retriever`, `metric`, `pool_factor` and
    `field`. All others take effect at once.

    References
    ----------
    O. Khattab and M. Zaharia, ColBERT: Efficient and Effective Passage Search via Contextualized Late Interaction over
    BERT, SIGIR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank.data import TokenVectors
    >>> from sklrank.retrievers import LateInteractionRetriever
    >>> heat, flow, cold = np.eye(3)
    >>> documents = TokenVectors.from_list([np.stack([heat, flow, heat]), np.stack([cold, flow]), heat[None]])
    >>> retriever = LateInteractionRetriever(k=2).fit(documents)
    >>> retriever.predict([np.stack([heat, flow]), cold[None]]).docids
    [['0', '1'], ['1', '0']]
    """

    _stage = "late_interaction"

    _refit_parameters = ("corpus", "encoder", "query_encoder", "retriever", "metric", "pool_factor", "field")

    _parameter_constraints: dict = {
        **CorpusRetriever._parameter_constraints,
        "encoder": [HasMethods(["fit", "transform"]), None],
        "query_encoder": [HasMethods(["fit", "transform"]), None],
        "metric": [StrOptions({"cosine", "dot"})],
        "retriever": [HasMethods(["fit", "transform"]), None],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
        "pool_factor": [Interval(Integral, 1, None, closed="left"), None],
        "dtype": [StrOptions(set(_RESCORE))],
        "rescore": [Interval(Real, 0, None, closed="left"), None],
    }

    def __init__(
        self,
        corpus=None,
        *,
        encoder=None,
        query_encoder=None,
        metric="cosine",
        retriever=None,
        n_candidates=1000,
        pool_factor=None,
        dtype="float32",
        rescore=None,
        k=100,
        field=None,
        filter=None,
        filter_field=None,
        n_jobs=None,
    ):
        self.corpus = corpus
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.metric = metric
        self.retriever = retriever
        self.n_candidates = n_candidates
        self.pool_factor = pool_factor
        self.dtype = dtype
        self.rescore = rescore
        self.k = k
        self.field = field
        self.filter = filter
        self.filter_field = filter_field
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Encode the corpus if there is an encoder, pool and compress its tokens, and fit the first stage.

        Parameters
        ----------
        X : Queries, list of str, TokenVectors, or list of matrices of shape (n_tokens, n_features)
            Queries. Without a `corpus`, the documents.
        y : Qrels or list of dict, default=None
            Relevance judgments, for a `retriever` that learns from them.

        Returns
        -------
        self
        """
        self._set_corpus(self._check_documents(X), y)
        self._set_tokens()
        if self.retriever is not None and not self._has_muvera:
            self.retriever_ = clone(self.retriever)
            if self.retriever_.get_params(deep=False).get("corpus", self) is None:
                self.retriever_.set_params(corpus=self.corpus_)
            self.retriever_.fit(X, y)
        return self

    def reindex(self, corpus):
        """Encode other documents; `update` has updated the first stage, which may have learned from judgments.

        Parameters
        ----------
        corpus : Corpus
            The new documents.

        Returns
        -------
        self
        """
        self._check_filter(corpus)
        if self.corpus is not None:
            self.corpus = corpus
        self.corpus_ = corpus
        self._set_tokens()
        return self

    @property
    def _has_muvera(self):
        return isinstance(self.retriever, MuveraEncoder)

    @property
    def _rebuilt(self):
        """Attributes that `reindex` makes anew."""
        if self._has_muvera:
            return ("retriever_",)
        return ()

    def _set_tokens(self):
        """Set everything that depends on the corpus and on no queries."""
        self._encode_corpus()
        _check_type(self.encoded_.output)
        self.__dict__.pop("_key", None)
        index = self._index(self.dtype)
        self.n_tokens_ = int(index.indptr[-1])
        if self.retriever is None:
            self.retriever_ = None
        elif self._has_muvera:
            self.retriever_ = self._fit_muvera()

    def _check_documents(self, X):
        if self.corpus is None and self.encoder is None and not isinstance(X, (Corpus, Queries)):
            return as_token_vectors(X)
        return X

    def ranking_key(self):
        """Return the key under which rankings may be kept: the parameters, and the key of the first stage.

        Returns
        -------
        key : hashable or None
            None if the first stage has none.
        """
        if self.retriever is None or self._has_muvera:
            return parameters_key(self)
        return parameters_key(self, getattr(self, "retriever_", self.retriever))

    # --- the index
    @cached_property
    def _key(self):
        """Everything besides the corpus on which the tokens depend."""
        return ("tokens", field_key(self.field), estimator_key(self.encoder), self.metric == "cosine", self.pool_factor)

    def __getstate__(self):
        state = super().__getstate__()
        state.pop("_key", None)  # it may hold the code of a function
        return state

    def _index(self, dtype):
        """Return the tokens of the documents in a type, which are made once for all estimators over this corpus."""
        changed = dtype != "float32" or self.pool_factor is not None
        encoded = ("encoded", self._key[1], self._key[2])
        columns = encoded_columns(self.corpus_, self.encoder, field_key(self.field))
        return self.corpus_.cached(
            (*self._key, dtype), lambda: self._make_index(dtype), of=encoded, persist=changed, columns=columns
        )

    def _make_index(self, dtype):
        if dtype != "float32":
            whole = self._whole()
            return TokenIndex.of(whole.codes, whole.indptr, dtype)
        tokens = self.encoded_.output
        if self.pool_factor is not None:
            tokens = pool_tokens(tokens, self.pool_factor, n_jobs=self.n_jobs)
        values = check_tokens(
            tokens.values,
            tokens.indptr,
            unit=self.metric == "cosine",
            name=lambda row: f"document {self.corpus_.ids[int(row)]!r}",
        )
        return TokenIndex.of(values, tokens.indptr)

    def _whole(self):
        """Return the tokens in float32, which are kept if a search needs them."""
        if self.dtype == "float32" or self._rescore() > 0:
            return self._index("float32")
        return self._make_index("float32")

    def _rescore(self):
        if self.rescore is None:
            return _RESCORE[self.dtype]
        return self.rescore

    def _fit_muvera(self):
        """Return a retriever over the fixed-dimensional encodings of the documents."""
        key = (*self._key, estimator_key(self.retriever))

        def make():
            whole = self._whole()
            tokens = TokenVectors(whole.codes, whole.indptr)
            encoder = clone(self.retriever).fit(tokens)
            return encoder, encoder.encode(tokens, "document")

        self._encoder, vectors = self.corpus_.cached(key, make, persist=True)
        limit = self.corpus_.cache_limit
        corpus = self.corpus_.cached(
            (*key, "corpus"), lambda: Corpus(vectors, ids=self.corpus_.ids.tolist(), cache_limit=limit), of=key
        )
        return DenseRetriever(corpus, metric="dot", n_jobs=self.n_jobs).fit(None)

    @property
    @of_one_state
    def bytes_per_token_(self):
        """Number of bytes that the search reads for each token of a document."""
        check_fitted(self, "n_tokens_")
        return self._index(self.dtype).nbytes / max(self.n_tokens_, 1)

    # --- the search
    def _search(self, X, k, filter=None):
        check_fitted(self, "n_tokens_")
        queries, tokens = self._query_tokens(X)
        if filter is None:
            filter = self.filter_of(queries)
        rescore = self._rescore()
        first = max(k, math.ceil(rescore * k))
        if self.retriever_ is None:
            indptr, rows, scores = self._scan(self._index(self.dtype), tokens, first, filter)
        else:
            indptr, rows = self._candidates(X, queries, tokens, filter)
            indptr, rows, scores = self._score(self._index(self.dtype), tokens, indptr, rows, first)
        if rescore > 0:
            indptr, rows, scores = self._score(self._index("float32"), tokens, indptr, rows, k)
        return Run.from_ragged(indptr, rows, scores, queries=queries, corpus=self.corpus_, name=self._stage, k=k)

    def _query_tokens(self, X):
        if self.encoded_.query_encoder is None and not isinstance(X, Queries):
            X = as_token_vectors(X)
        queries, tokens = encode_queries(X, self.encoded_)
        _check_type(tokens)
        needed = self.encoded_.output.n_features
        if tokens.n_features != needed:
            raise ValueError(
                f"token vectors of queries have {tokens.n_features} features, those of the documents {needed}: encode "
                "both with one encoder, or with two that were trained together"
            )
        unit = self.metric == "cosine"
        values = check_tokens(tokens.values, tokens.indptr, unit=unit, name=lambda i: f"query {queries.ids[i]!r}")
        return queries, TokenVectors(values, tokens.indptr)

    def _scan(self, index, tokens, k, filter):
        """Return the k best of all documents for each query."""
        found = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))] * len(tokens)
        has_tokens, asks = np.diff(index.indptr) > 0, np.diff(tokens.indptr) > 0
        for start, stop, masks, mask_of in resolve_filter(filter, len(tokens), self.corpus_):
            if not len(mask_of):
                mask_of = np.full(stop - start, -1)
            for mask in np.unique(mask_of):
                admitted = has_tokens
                if mask >= 0:
                    admitted = has_tokens & (masks[mask] > 0)
                rows = np.flatnonzero(admitted)
                asked = start + np.flatnonzero((mask_of == mask) & asks[start:stop])
                step = max(_CELLS // max(len(rows), 1), 1)
                for batch in (asked[i : i + step] for i in range(0, len(asked), step)):
                    batch_tokens = tokens[batch]
                    scores = index.score_all(batch_tokens.values, batch_tokens.indptr, rows, n_jobs=self.n_jobs)
                    for q, of_query in zip(batch.tolist(), np.ascontiguousarray(scores.T)):
                        best = _best(of_query, k)
                        found[q] = rows[best], of_query[best]
        indptr = lengths_to_indptr([len(rows) for rows, _ in found])
        rows, scores = np.empty(0), np.empty(0)
        if found:
            rows, scores = (np.concatenate(parts) for parts in zip(*found))
        entries, indptr, scores = rank(indptr, scores.astype(np.float32), rows, k)
        return indptr, rows[entries].astype(np.int64), scores

    def _candidates(self, X, queries, tokens, filter):
        """Return the candidates of the first stage, except documents and queries without tokens."""
        if isinstance(self.retriever, MuveraEncoder):
            run = self.retriever_._search(self._encoder.encode(tokens, "query"), self.n_candidates, filter)
        elif filter is not None and not self._takes_filters():
            raise ValueError(
                f"{type(self.retriever_).__name__} takes no filter, because it is not known to search this corpus: set "
                "the filter on the retriever inside it"
            )
        elif isinstance(self.retriever_, CorpusRetriever):
            run = self.retriever_._search(X, self.n_candidates, filter)
        elif filter is None:
            run = self.retriever_.transform(X)
        else:
            run = self.retriever_.transform(X, filter=filter)
        indptr, rows = run.indptr, run.rows
        if run.documents is not self.corpus_ and not isinstance(self.retriever, MuveraEncoder):
            rows = self.corpus_.rows(run.flat_docids)
        query = owners(indptr)
        kept = (np.diff(self._index(self.dtype).indptr)[rows] > 0) & (np.diff(tokens.indptr)[query] > 0)
        if run.has_order:
            kept &= places(indptr) < self.n_candidates
        entries, indptr = kept_entries(indptr, kept)
        return indptr, rows[entries]

    def _takes_filters(self):
        """Tell whether the first stage searches this corpus, and takes filters."""
        retrievers = [self.retriever_]
        if isinstance(self.retriever_, RetrieverUnion):
            retrievers = [retriever for _, retriever in self.retriever_.retrievers_]
        return all(isinstance(r, Retriever) and getattr(r, "corpus_", None) is self.corpus_ for r in retrievers)

    def _score(self, index, tokens, indptr, rows, k):
        """The k best of some candidates of each query."""
        scores = index.score_pairs(tokens.values, tokens.indptr, indptr, rows, n_jobs=self.n_jobs)
        entries, indptr, scores = rank(indptr, scores, rows, k)
        return indptr, rows[entries], scores

    def recall_against_exact(self, X, k=None, filter=None):
        """Return the share of the exact ranking that is found with this `retriever`, `dtype` and `rescore`.

        A document counts as found if its score is at least the last score of the exact ranking.

        The exact ranking uses the tokens after pooling, so that the loss by `pool_factor` is not measured.

        Parameters
        ----------
        X : Queries, list of str, TokenVectors, or list of matrices of shape (n_tokens, n_features)
            Queries. No judgments are needed.
        k : int, default=None
            Number of documents to return for each query. If None, it is the parameter `k`.
        filter : mask, list of ids, or one of these per query, default=None
            Documents that may be returned.

        Returns
        -------
        float
            Mean over the queries that may find a document; NaN if there are none.
        """
        if k is None:
            k = self.k
        check_k(k)
        found = self._search(X, k, filter)
        _, tokens = self._query_tokens(X)
        index = self._index("float32")
        if filter is None:
            filter = self.filter_of(found.queries)
        indptr, _, scores = self._scan(index, tokens, k, filter)
        found_indptr, _, found_scores = self._score(index, tokens, found.indptr, found.rows, k)
        return mean_recall(found_indptr, found_scores, *lowest(indptr, scores))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "n_tokens_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.sparse = False
        return tags


def _check_type(tokens):
    if not isinstance(tokens, TokenVectors):
        raise TypeError(
            f"expected TokenVectors, one matrix per text, got {type(tokens).__name__}; one dense vector per text is "
            "for DenseRetriever"
        )


def _best(scores, k):
    """Return the positions of the k best scores, and of all scores that equal the last of them."""
    if k >= len(scores):
        return np.arange(len(scores))
    return np.flatnonzero(scores >= np.partition(scores, len(scores) - k)[len(scores) - k])
