"""MMRReranker and DPPReranker: diversity by the similarity of documents."""

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import make_pipeline

from sklrank._kernels._diversity import similarities, subtract_projections
from sklrank._validation import HasMethods
from sklrank._vectors import vector_lengths
from sklrank.data import TokenVectors
from sklrank.encoders import TermVectorizer
from sklrank.rerankers._base_greedy import GreedyReranker
from sklrank.rerankers._candidates import encode_candidates
from sklrank.rerankers._texts import corpus_of

_NOTHING_NEW = 1e-10  # if the part of a document that is not spanned by those above it is less, it is rounding


class _SimilarityReranker(GreedyReranker):
    """Base class of rerankers that use the similarity of documents.

    The material of ``_choose`` is a function of the entries of a query. It returns a function from the position of one
    entry to its similarities with all entries.
    """

    _parameter_constraints: dict = {
        **GreedyReranker._parameter_constraints,
        "similarity": [str, HasMethods(["fit", "transform"]), callable, None],
        "field": "no_validation",
        "normalize": ["boolean"],
    }

    def __init__(self, lambda_=0.5, *, similarity=None, field=None, normalize=True, depth=None, tail="drop", k=None):
        self.lambda_ = lambda_
        self.similarity = similarity
        self.field = field
        self.normalize = normalize
        self.depth = depth
        self.tail = tail
        self.k = k

    def _prepare(self, candidates):
        corpus = corpus_of(candidates)
        similarity = self.similarity
        if callable(similarity) and not hasattr(similarity, "transform"):
            rows = candidates.rows
            return lambda entries: _computed(similarity, corpus.text(self.field, rows=rows[entries]).tolist())
        encoder, field = similarity, self.field
        if isinstance(similarity, str):
            encoder, field = None, similarity
        elif similarity is None and corpus.is_matrix:
            field = None
        elif similarity is None:
            encoder = make_pipeline(TermVectorizer(), TfidfTransformer())
        encoded, which = encode_candidates(candidates, encoder, field)
        rows, which = np.unique(which, return_inverse=True)
        vectors = encoded.output[rows]
        if isinstance(vectors, TokenVectors):
            raise TypeError("similarity needs one vector per document, dense or sparse; got TokenVectors")
        make_cosines = _sparse_cosines if sparse.issparse(vectors) else _cosines
        cosines = make_cosines(vectors)
        return lambda entries: cosines(which[entries])


def _computed(similarity, texts):
    """Return the similarities that a function computes."""
    matrix = np.asarray(similarity(texts), dtype=np.float64)
    if matrix.shape != (len(texts), len(texts)):
        raise ValueError(
            f"expected similarity to return one row and one column for each of {len(texts)} documents, got an array of "
            f"shape {matrix.shape}"
        )
    if not np.isfinite(matrix).all():
        raise ValueError("similarity returned NaN or infinity")
    return matrix.__getitem__


def _cosines(vectors):
    """Return a function of some of the vectors; it returns a function from one of these to its cosines with them."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    lengths = _positive(vector_lengths(vectors))

    def of(chosen):
        def row(i):
            out = np.empty(len(chosen))
            similarities(vectors, chosen, lengths, chosen[i], out)
            return out

        return row

    return of


def _sparse_cosines(vectors):
    """Return the same function for sparse vectors."""
    vectors = sparse.csr_array(vectors, dtype=np.float64)
    lengths = _positive(np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()))

    def of(chosen):
        part, scales = vectors[chosen], lengths[chosen]
        used, columns = np.unique(part.indices, return_inverse=True)
        part = sparse.csr_array((part.data, columns, part.indptr), shape=(len(chosen), len(used)))

        def row(i):
            values = slice(part.indptr[i], part.indptr[i + 1])
            return part @ np.bincount(part.indices[values], part.data[values], len(used)) / (scales * scales[i])

        return row

    return of


def _positive(lengths):
    """Return lengths to divide by: infinity for vectors of zeros, so that their cosines are 0."""
    bad = np.count_nonzero(~np.isfinite(lengths))
    if bad:
        raise ValueError(f"{bad} vectors of candidates hold NaN or infinity")
    return np.where(lengths > 0, lengths, np.inf)


class MMRReranker(_SimilarityReranker):
    r"""Rank by maximal marginal relevance: documents that are relevant, and not similar to those above them.

    The next document of a ranking is the one with the largest

    .. math:: \lambda \cdot \text{relevance}(d) - (1 - \lambda) \max_{s \text{ above}} \text{similarity}(d, s)

    Parameters
    ----------
    lambda_ : float, default=0.5
        Weight of relevance against diversity, from 0 to 1. With 1 the order does not change.
    similarity : str, transformer, callable or None, default=None
        Similarity of two documents. A str is a column of vectors in the corpus, and a transformer makes vectors of the
        texts; their cosine is the similarity. A function takes the list of the texts of a query's candidates, and
        returns a matrix of similarities. If None, the vectors are those of a corpus that was made from a matrix,
        otherwise TF-IDF weights of the words.
    field : str or list of str, default=None
        Columns of the corpus to read. If None, title and text are joined by a space if both exist.
    normalize : bool, default=True
        Whether to scale the scores of each query to [0, 1]. Use False if the scores are probabilities.
    depth : int, default=None
        Number of candidates of each query to rerank, from the top. If None, all are reranked.
    tail : {"drop", "keep"}, default="drop"
        Whether candidates below `depth` are dropped or kept in their order.
    k : int, default=None
        Number of documents to return for each query. If None, all are returned.

    See Also
    --------
    DPPReranker : Compares with all documents above, not only with the most similar one.
    XQuADReranker : Ranks for diversity over known aspects of the query.
    sklrank.metrics.alpha_ndcg_score : Measures diversity.

    Notes
    -----
    The new score is the value of a document when it was chosen, which never increases down the ranking. If no document
    is similar to the first one, but some are opposite to it, the score of the first is raised so that it is not below
    the second.

    The cosine with a vector of zeros, such as that of an empty text, is 0. Documents of equal value are ordered by row.

    No parameter needs a new `fit`. All take effect at once.

    References
    ----------
    J. Carbonell and J. Goldstein, The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
    Summaries, SIGIR 1998.

    Examples
    --------
    >>> from sklrank import Corpus, Run
    >>> from sklrank.rerankers import MMRReranker
    >>> corpus = Corpus({"a": "jaguar the big cat", "b": "jaguar a big cat", "c": "jaguar cars"})
    >>> run = Run({"q": {"a": 3.0, "b": 2.9, "c": 2.0}}, corpus=corpus)
    >>> MMRReranker(0.3).transform(run).docids
    [['a', 'c', 'b']]
    """

    _stage = "mmr"

    def _choose(self, material, q, entries, scores, k):
        row, relevance = material(entries), self._relevance(scores)
        values = np.full(len(entries), -np.inf)
        gains = self.lambda_ * relevance
        nearest = None
        for _ in range(k):
            best = np.argmax(gains)
            values[best] = gains[best]
            similar = row(best)
            if nearest is None:
                values[best] -= (1 - self.lambda_) * min(similar.min(), 0)
                nearest = similar
            else:
                nearest = np.maximum(nearest, similar)
            gains = self.lambda_ * relevance - (1 - self.lambda_) * nearest
            gains[values > -np.inf] = -np.inf
        return values


class DPPReranker(_SimilarityReranker):
    r"""Rank by a determinantal point process: documents that are relevant, and span the largest volume together.

    The determinant of the matrix of similarities is the square of the volume that the vectors of the documents span.
    The more similar the documents are, the smaller it is. The next document of a ranking is the one that adds most to

    .. math:: \lambda \sum_{d} \text{relevance}(d) + (1 - \lambda) \log \det S

    over the documents of the ranking. Each document is thus compared with all documents above it together: a document
    that combines the content of two others adds nothing.

    Parameters
    ----------
    lambda_ : float, default=0.5
        Weight of relevance against diversity, from 0 to 1. With 1 the order does not change.
    similarity : str, transformer, callable or None, default=None
        Similarity of two documents. A str is a column of vectors in the corpus, and a transformer makes vectors of the
        texts; their cosine is the similarity. A function takes the list of the texts of a query's candidates, and
        returns a matrix of similarities that is positive semidefinite and 1 on the diagonal. If None, the vectors are
        those of a corpus that was made from a matrix, otherwise TF-IDF weights of the words.
    field : str or list of str, default=None
        Columns of the corpus to read. If None, title and text are joined by a space if both exist.
    normalize : bool, default=True
        Whether to scale the scores of each query to [0, 1]. Use False if the scores are probabilities.
    depth : int, default=None
        Number of candidates of each query to rerank, from the top. If None, all are reranked.
    tail : {"drop", "keep"}, default="drop"
        Whether candidates below `depth` are dropped or kept in their order.
    k : int, default=None
        Number of documents to return for each query. If None, all are returned.

    See Also
    --------
    MMRReranker : Compares with the most similar document above.
    XQuADReranker : Ranks for diversity over known aspects of the query.
    sklrank.metrics.alpha_ndcg_score : Measures diversity.

    Notes
    -----
    This is the greedy search for the most probable set of Chen et al. It uses rows of a Cholesky factor, which grow by
    one number per step. The kernel is :math:`L_{ij} = q_i S_{ij} q_j`, where
    :math:`q_i = \exp(\lambda \, \text{relevance}_i / (2 - 2 \lambda))`.

    The new score is the amount that the document added, which never increases down the ranking. Documents that add
    nothing, because those above them span their vectors, follow by relevance. The similarity of a document with itself
    is 1, even if it is empty.

    No parameter needs a new `fit`. All take effect at once.

    References
    ----------
    L. Chen, G. Zhang and E. Zhou, Fast Greedy MAP Inference for Determinantal Point Process to Improve Recommendation
    Diversity, NeurIPS 2018.

    Examples
    --------
    >>> from sklrank import Corpus, Run
    >>> from sklrank.rerankers import DPPReranker
    >>> corpus = Corpus({"a": "jaguar the big cat", "b": "jaguar a big cat", "c": "jaguar cars"})
    >>> run = Run({"q": {"a": 3.0, "b": 2.9, "c": 2.0}}, corpus=corpus)
    >>> DPPReranker(0.3).transform(run).docids
    [['a', 'c', 'b']]
    """

    _stage = "dpp"

    def _choose(self, material, q, entries, scores, k):
        row, relevance = material(entries), self._relevance(scores)
        n = len(entries)
        values = np.full(n, -np.inf)
        factor = np.empty((k, n))  # Cholesky factor of the similarities, a row for each chosen document
        new = np.ones(n)  # squared length of the part of each document that the chosen documents do not span
        gains = self.lambda_ * relevance
        for step in range(k):
            best = np.argmax(gains)
            if gains[best] == -np.inf:
                rest = np.flatnonzero(values == -np.inf)
                rest = rest[np.argsort(-relevance[rest], kind="stable")][: k - step]
                values[rest] = values[values > -np.inf].min() - 1 - np.arange(len(rest))
                break
            values[best] = gains[best]
            if self.lambda_ < 1:
                factor[step] = row(best)
                subtract_projections(factor, step, best, factor[step])
                factor[step] /= np.sqrt(new[best])
                new = new - factor[step] ** 2
                spanned = new < _NOTHING_NEW
                gains = self.lambda_ * relevance + (1 - self.lambda_) * np.log(np.where(spanned, 1, new))
                gains[spanned] = -np.inf
            gains[values > -np.inf] = -np.inf
        return values
