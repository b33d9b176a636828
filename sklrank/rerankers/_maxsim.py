"""MaxSimReranker: late interaction on candidates."""

import os
from numbers import Integral

import numpy as np
from sklearn.frozen import FrozenEstimator

from sklrank._caching.keys import estimator_key
from sklrank._maxsim import TokenIndex, check_tokens, token_lengths
from sklrank._ragged import lengths_to_indptr
from sklrank._session import DeviceTokens
from sklrank._validation import HasMethods, Interval, StrOptions
from sklrank.base import check_run
from sklrank.data import TokenVectors
from sklrank.rerankers._base_scoring import ScoringReranker
from sklrank.rerankers._candidates import encode_candidates
from sklrank.rerankers._texts import corpus_of, hashable_field, query_texts
from sklrank.retrievers._encoding import Encoded, encode_queries, without_fitting
from sklrank.retrievers._pooling import pool_tokens

_CELLS = 1 << 25  # size of the token vectors in memory at a time, in numbers


class MaxSimReranker(ScoringReranker):
    r"""Rank candidates by the similarity of their tokens to the tokens of the query (ColBERT's MaxSim).

    Documents and queries are matrices with one vector per token. Each token of the query is compared with all tokens of
    the document, and the weighted sum of the largest similarities is the score:

    .. math:: \sum_q w_q \max_d \langle q, d \rangle

    Parameters
    ----------
    encoder : transformer, default=None
        Encoder for documents and queries. It turns texts into `TokenVectors`. Only candidates are encoded, each once as
        long as their vectors are within half of the `cache_limit` of the corpus. If a retriever with the same encoder
        has encoded the whole corpus, its vectors are used. If None, the corpus holds token vectors, in float32, float16
        or int8.
    query_encoder : transformer, default=None
        Encoder for queries, if different from `encoder`. If both are None, queries are token vectors.
    metric : {"cosine", "dot"}, default="cosine"
        Similarity of two vectors. They are vectors of tokens. The cosine with a vector of zeros is 0.
    query_weights : str or callable, default=None
        Weights of the tokens of queries. A str is a column of the queries that holds a list of numbers for each query.
        A function takes the text of a query, and returns such a list. If None, each weight is 1.
    pool_factor : int, default=None
        Number of tokens pooled into one, see `pool_tokens`. If None, tokens are not pooled. Candidates are pooled in
        each call, unless the corpus has the token vectors of all documents.
    depth : int, default=None
        Number of candidates of each query to rerank, from the top. If None, all are reranked.
    tail : {"drop", "keep"}, default="drop"
        Whether candidates below `depth` are dropped or kept in their order.
    k : int, default=None
        Number of documents to return for each query. If None, all are returned.
    field : str or list of str, default=None
        Columns of the corpus to read. Without an `encoder`, it is the column that holds the token vectors. If None,
        title and text are joined by a space if both exist; without an `encoder`, the corpus was made from token
        vectors.
    n_jobs : int, default=None
        Number of threads. They run on the CPU. The result does not depend on it.

    See Also
    --------
    maxsim : Scores arrays, also those of PyTorch and CuPy.
    sklrank.retrievers.LateInteractionRetriever : Compares the query with all documents.
    sklrank.retrievers.pool_tokens : Reduces the number of token vectors per document.

    Notes
    -----
    A document without tokens has the score -inf. If a query has no tokens, all documents have the score 0, so that they
    are in the order of the corpus.

    Scores are equal to those of a `LateInteractionRetriever` with the same encoder, metric and `pool_factor`, bit for
    bit. Equal documents have equal scores.

    If the encoder of the queries runs on CUDA, candidates are scored there, too, by an ONNX graph, which needs the
    package onnx. If the corpus has the token vectors of all documents, in float32, float16 or int8, they are copied to
    the device once, and stay there as long as the corpus keeps them. The device sums in a different order. Its scores
    differ from those of the CPU by about 1e-5, and equal documents may get different scores.

    No parameter needs a new `fit`. All take effect at once.

    References
    ----------
    O. Khattab and M. Zaharia, ColBERT: Efficient and Effective Passage Search via Contextualized Late Interaction over
    BERT, SIGIR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrank import Corpus, Queries, Run
    >>> from sklrank.data import TokenVectors
    >>> from sklrank.rerankers import MaxSimReranker
    >>> heat, flow, cold = np.eye(3)
    >>> corpus = Corpus(TokenVectors.from_list([np.stack([cold, flow]), np.stack([heat, flow, heat])]))
    >>> run = Run([{"0": 2.0, "1": 1.0}], corpus=corpus, queries=Queries(TokenVectors.from_list([[heat, flow]])))
    >>> MaxSimReranker().transform(run).docids
    [['1', '0']]
    """

    _stage = "maxsim"

    _parameter_constraints: dict = {
        **ScoringReranker._parameter_constraints,
        "encoder": [HasMethods(["fit", "transform"]), None],
        "query_encoder": [HasMethods(["fit", "transform"]), None],
        "metric": [StrOptions({"cosine", "dot"})],
        "query_weights": [str, callable, None],
        "pool_factor": [Interval(Integral, 1, None, closed="left"), None],
        "field": "no_validation",
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        encoder=None,
        query_encoder=None,
        *,
        metric="cosine",
        query_weights=None,
        pool_factor=None,
        depth=None,
        tail="drop",
        k=None,
        field=None,
        n_jobs=None,
    ):
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.metric = metric
        self.query_weights = query_weights
        self.pool_factor = pool_factor
        self.depth = depth
        self.tail = tail
        self.k = k
        self.field = field
        self.n_jobs = n_jobs

    def _score(self, candidates):
        queries, tokens, which, encoded = self._vectors(candidates)
        weights = self._weights(candidates, queries)
        device = _cuda_of(encoded.query_encoder)
        lengths = np.diff(tokens.indptr)
        scores = np.full(len(which), -np.inf, dtype=np.float32)
        indptr = candidates.indptr
        whole = self._whole(candidates, tokens, device)
        for start, stop in _blocks(lengths[which] * tokens.n_features, indptr):
            entries = indptr[start] + np.flatnonzero(lengths[which[indptr[start] : indptr[stop]]])
            if not len(entries):
                continue
            index, documents = whole, which[entries]
            if whole is None:
                rows, documents = np.unique(documents, return_inverse=True)
                index = _placed(*self._documents(tokens[rows], _name_of(candidates, rows, which)), device)
            span = slice(queries.indptr[start], queries.indptr[stop])
            scores[entries] = index.score_pairs(
                queries.values[span],
                queries.indptr[start : stop + 1] - span.start,
                np.searchsorted(entries, indptr[start : stop + 1]),
                documents.astype(np.int64, copy=False),
                weights[span],
                n_jobs=self.n_jobs,
            )
        return scores

    def _whole(self, candidates, tokens, device):
        """Return the cached token vectors of all documents, on the device if there is one.

        None if the corpus does not have all of them, or if they would have to be copied on the host.
        """
        corpus, dtype = candidates.corpus, tokens.values.dtype
        as_stored = device is not None and self.pool_factor is None and dtype in (np.float16, np.int8)
        if len(tokens) != len(corpus) or not (as_stored or dtype == np.float32 or self.pool_factor is not None):
            return None
        # The key is that of retrievers, which share the cached vectors.
        is_cosine = self.metric == "cosine"
        key = ("tokens", hashable_field(self.field), estimator_key(self.encoder), is_cosine, self.pool_factor)
        ids = corpus.ids

        def name(i):
            return f"document {ids[int(i)]!r}"

        def prepared():
            return TokenIndex.of(*self._documents(tokens, name))

        def on_host():
            return corpus.cached((*key, "float32"), prepared, persist=self.pool_factor is not None)

        def on_device():
            if not as_stored:
                whole = on_host()
                return DeviceTokens(whole.codes, whole.indptr, device)
            lengths = token_lengths(tokens.values, tokens.indptr, unit=is_cosine, name=name)
            scales = None
            if is_cosine:
                scales = 1 / np.where(lengths > 0, lengths, 1)
            return DeviceTokens(tokens.values, tokens.indptr, device, scales)

        if device is None:
            return on_host()
        return corpus.cached((*key, dtype.name, device, os.getpid()), on_device)  # a forked process has no device

    def _vectors(self, candidates):
        """Return the checked token vectors of queries, those of documents, the document of each entry, and encoders."""
        corpus = corpus_of(candidates)
        if self.encoder is None and self.query_encoder is not None:
            key = ("query encoder alone", estimator_key(self.query_encoder))
            problem = (
                f"{type(self.query_encoder).__name__} has to be fitted, but without encoder= there are no texts of "
                "documents to fit it on; give a fitted one, in a FrozenEstimator"
            )
            encoder = corpus.cached(key, lambda: without_fitting(self.query_encoder, problem))
            encoded, which = Encoded(None, encoder, corpus.matrix(self.field)), candidates.rows
            queries = encoder.transform(query_texts(candidates))
        else:
            encoded, which = encode_candidates(candidates, self.encoder, self.field, self.query_encoder)
            given = candidates.queries.is_matrix or encoded.field in candidates.queries.columns
            if encoded.encoder is None and not given:
                raise ValueError(
                    "the documents are token vectors, but the queries are not; query_encoder= makes them of their texts"
                )
            _, queries = encode_queries(candidates.queries, encoded)
        for tokens in (encoded.output, queries):
            if not isinstance(tokens, TokenVectors):
                raise TypeError(
                    f"expected TokenVectors, one matrix per text, got {type(tokens).__name__}; use DenseReranker for "
                    "one dense vector per text"
                )
        if queries.n_features != encoded.output.n_features:
            raise ValueError(
                f"token vectors of queries have {queries.n_features} features, but those of documents have "
                f"{encoded.output.n_features}; both must come from one encoder, or from two that were trained together"
            )
        values, indptr = self._checked(queries, lambda i: f"query {candidates.qids[i]!r}")
        return TokenVectors(values, indptr), encoded.output, which, encoded

    def _documents(self, tokens, name):
        if self.pool_factor is not None:
            tokens = pool_tokens(tokens, self.pool_factor, n_jobs=self.n_jobs)
        return self._checked(tokens, name)

    def _checked(self, tokens, name):
        values = check_tokens(tokens.values, tokens.indptr, unit=self.metric == "cosine", name=name)
        return values, tokens.indptr

    def _weights(self, candidates, queries):
        """Return the weights of the tokens of all queries."""
        if self.query_weights is None:
            return np.ones(len(queries.values), dtype=np.float32)
        if callable(self.query_weights):
            lists = [self.query_weights(text) for text in query_texts(candidates)]
        else:
            lists = candidates.queries[self.query_weights]
        weights = [np.asarray(of_query, dtype=np.float32) for of_query in lists]
        for qid, of_query, length in zip(candidates.qids, weights, np.diff(queries.indptr).tolist()):
            if of_query.shape != (length,):
                raise ValueError(
                    f"expected one weight for each of the {length} tokens of query {qid!r}, got weights of shape "
                    f"{of_query.shape}"
                )
            if not np.isfinite(of_query).all():
                raise ValueError(f"the weights of query {qid!r} are not all finite")
        return np.concatenate([*weights, np.empty(0, dtype=np.float32)])

    def compare_tokens(self, X, docid, query=0):
        """Compare each token of a query with each token of a document.

        Parameters
        ----------
        X : Run
            Candidates, with their corpus.
        docid : str or int
            Id of the document. It does not have to be a candidate.
        query : int or str, default=0
            Position of the query in `X`, or its id.

        Returns
        -------
        dict
            ``query_tokens`` and ``document_tokens`` are lists of str: the tokens, or their positions if the encoder
            does not name them. ``weights`` has shape (n_query_tokens,), and ``similarities`` has shape (n_query_tokens,
            n_document_tokens).

        See Also
        --------
        sklrank.inspection.alignment : Prints the tokens that match.
        """
        self._validate_params()
        check_run(X, "reranker")
        if isinstance(query, str):
            query = _position(X, query)
        ranking = X[query]
        corpus = corpus_of(ranking)
        rows = corpus.rows([docid])
        pair = type(X).from_ragged(np.array([0, 1]), rows, np.zeros(1), queries=ranking.queries, corpus=corpus)
        queries, tokens, which, encoded = self._vectors(pair)
        document, _ = self._documents(tokens[which], lambda i: f"document {docid!r}")
        if not len(document):
            raise ValueError(f"document {docid!r} has no tokens")
        similar = queries.values.astype(np.float64) @ document.astype(np.float64).T
        of_query = of_document = None  # texts
        if "text" in pair.queries.columns:
            of_query = pair.queries.texts
        if encoded.encoder is not None:
            of_document = corpus.text(self.field, rows=rows).tolist()
        return {
            "query_tokens": _labels(encoded.query_encoder, of_query, len(similar)),
            "document_tokens": _labels(encoded.encoder, of_document, len(document)),
            "weights": self._weights(pair, queries).astype(np.float64),
            "similarities": similar,
        }


def _position(run, qid):
    found = np.flatnonzero(run.qids == qid)
    if not len(found):
        raise ValueError(f"the run has no query {qid!r}; a position is an int")
    return int(found[0])


def _labels(encoder, texts, n):
    """Return the `n` tokens of the text of a list, or their positions if the encoder does not name these tokens."""
    if isinstance(encoder, FrozenEstimator):
        encoder = encoder.estimator
    tokens = []
    if texts is not None and hasattr(encoder, "tokens"):
        tokens = encoder.tokens(texts)[0]
    if len(tokens) == n:
        return tokens
    return list(map(str, range(n)))


def _name_of(run, rows, which):
    """Return a function that names the i-th of some documents in an error."""

    def name(i):
        entry = np.flatnonzero(which == rows[i])[0]
        return f"document {run.flat_docids[entry]!r}"

    return name


def _cuda_of(encoder):
    """Return the CUDA device of an encoder; None if it runs on another device, or has no `device_`."""
    device = getattr(encoder, "device_", "cpu")
    if device.startswith("cuda"):
        return device
    return None


def _placed(values, indptr, device):
    """Return an index of checked token vectors, on the device if there is one."""
    if device is None:
        return TokenIndex.of(values, indptr)
    return DeviceTokens(values, indptr, device)


def _blocks(sizes, indptr):
    """Iterate over ranges of queries whose candidates have `_CELLS` numbers or less together, or of one query."""
    totals = lengths_to_indptr(sizes)[indptr]
    start = 0
    while start < len(totals) - 1:
        stop = max(int(np.searchsorted(totals, totals[start] + _CELLS, side="right")) - 1, start + 1)
        yield start, stop
        start = stop
