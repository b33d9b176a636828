"""Diversity by similarity: MMRReranker and DPPReranker."""

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

_NOTHING_NEW = 1e-10  # what is left of a document beside those above it, below which it is rounding


class _SimilarityReranker(GreedyReranker):
    """Base of those that look at how alike documents are.

    ``_choose`` gets as material what gives, for the entries of a query, a function of the number of one of them: its
    similarities with all.
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
        given = self.similarity
        if callable(given) and not hasattr(given, "transform"):
            texts = corpus.text(self.field)
            return lambda entries: _asked(given, texts[candidates.rows[entries]].tolist())
        if given is None and not corpus.is_matrix:
            given = make_pipeline(TermVectorizer(), TfidfTransformer())
        encoder, field = (None, given) if given is None or isinstance(given, str) else (given, self.field)
        encoded, which = encode_candidates(candidates, encoder, field)
        rows, which = np.unique(which, return_inverse=True)
        vectors = encoded.output[rows]
        if isinstance(vectors, TokenVectors):
            raise TypeError("similarity compares one vector a document, dense or sparse; these are TokenVectors")
        cosines = _sparse_cosines(vectors) if sparse.issparse(vectors) else _cosines(vectors)
        return lambda entries: cosines(which[entries])


def _asked(similarity, texts):
    """Similarities of a function."""
    matrix = np.asarray(similarity(texts), dtype=np.float64)
    if matrix.shape != (len(texts), len(texts)):
        raise ValueError(
            f"similarity gave an array of shape {matrix.shape} for {len(texts)} documents; needed is one row and one "
            "column for each"
        )
    if not np.isfinite(matrix).all():
        raise ValueError("similarity gave NaN or infinity")
    return matrix.__getitem__


def _cosines(vectors):
    """What gives, for some of the vectors, a function of the number of one of these: its cosines with all of these."""
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
    """The same of sparse vectors."""
    vectors = sparse.csr_array(vectors, dtype=np.float64)
    lengths = _positive(np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()))

    def of(chosen):
        own, scales = vectors[chosen], lengths[chosen]
        used, columns = np.unique(own.indices, return_inverse=True)
        own = sparse.csr_array((own.data, columns, own.indptr), shape=(len(chosen), len(used)))

        def row(i):
            values = slice(own.indptr[i], own.indptr[i + 1])
            return own @ np.bincount(own.indices[values], own.data[values], len(used)) / (scales * scales[i])

        return row

    return of


def _positive(lengths):
    """Lengths of vectors to divide by: infinite ones for vectors of zeros, which are like nothing."""
    bad = np.count_nonzero(~np.isfinite(lengths))
    if bad:
        raise ValueError(f"{bad} vectors of candidates hold NaN or infinity")
    return np.where(lengths > 0, lengths, np.inf)


class MMRReranker(_SimilarityReranker):
    r"""Rank by maximal marginal relevance: what is relevant, and unlike what stands above it.

    The next document of a ranking is always the one with the largest

    .. math:: \lambda \cdot \text{relevance}(d) - (1 - \lambda) \max_{s \text{ above}} \text{similarity}(d, s)

    Parameters
    ----------
    lambda_ : float, default=0.5
        Weight of relevance against diversity: 1 leaves the order as it is.
    similarity : str, transformer, callable or None, default=None
        How alike two documents are: the cosine of the vectors in this column of the corpus, or of those that this
        encoder makes of the texts; or a function from the list of the texts of a query's candidates to a matrix.
        ``None``: the vectors of a corpus that was made from a matrix, or TF-IDF weights of the words.
    field : str or sequence of str, default=None
        Columns of the corpus that hold the texts. ``None``: title and text.
    normalize : bool, default=True
        Whether the candidates' scores are brought to [0, 1] first, query by query. False suits scores that are
        probabilities.
    depth : int, default=None
        How many candidates of each query to choose from, the first ones; ``None``: all.
    tail : {"drop", "keep"}, default="drop"
        Whether the others are left out, or stand below in their order.
    k : int, default=None
        How many documents to keep of each query; ``None``: all.

    See Also
    --------
    DPPReranker : Looks at all documents above, not only the one that is most alike.
    XQuADReranker : Diversity over aspects of the query that are known.
    sklrank.metrics.alpha_ndcg_score : Measures it.

    Notes
    -----
    The new score is the value with which a document was chosen, which never rises from one to the next. That of the
    first is raised above the second where no document is similar to it, but some are opposite.

    The cosine with a vector of zeros, such as that of an empty text, is 0. Of documents of equal value the one of the
    lower row goes first.

    Parameters that need a new `fit`: none. All take effect at once.

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
    r"""Rank by a determinantal point process: the set of documents that are relevant and span most.

    The more alike documents are, the smaller is the determinant of the matrix of their similarities, the square of the
    volume that their vectors span. The next document of a ranking is always the one that adds most to

    .. math:: \lambda \sum_{d} \text{relevance}(d) + (1 - \lambda) \log \det S

    over the documents of the ranking, so that each is compared with all above it together: what two of them hold
    between them is nothing new.

    Parameters
    ----------
    lambda_ : float, default=0.5
        Weight of relevance against diversity: 1 leaves the order as it is.
    similarity : str, transformer, callable or None, default=None
        How alike two documents are: the cosine of the vectors in this column of the corpus, or of those that this
        encoder makes of the texts; or a function from the list of the texts of a query's candidates to a matrix,
        positive semidefinite and 1 on the diagonal. ``None``: the vectors of a corpus that was made from a matrix, or
        TF-IDF weights of the words.
    field : str or sequence of str, default=None
        Columns of the corpus that hold the texts. ``None``: title and text.
    normalize : bool, default=True
        Whether the candidates' scores are brought to [0, 1] first, query by query. False suits scores that are
        probabilities.
    depth : int, default=None
        How many candidates of each query to choose from, the first ones; ``None``: all.
    tail : {"drop", "keep"}, default="drop"
        Whether the others are left out, or stand below in their order.
    k : int, default=None
        How many documents to keep of each query; ``None``: all.

    See Also
    --------
    MMRReranker : Looks at the document above that is most alike.
    XQuADReranker : Diversity over aspects of the query that are known.
    sklrank.metrics.alpha_ndcg_score : Measures it.

    Notes
    -----
    This is the greedy search for the most probable set, by rows of a Cholesky factor that grow by one number a step, as
    Chen et al. have it. Their kernel is that of :math:`L_{ij} = q_i S_{ij} q_j` with
    :math:`q_i = \exp(\lambda \, \text{relevance}_i / (2 - 2 \lambda))`.

    The new score is what the document added, which never rises from one to the next. Documents that add nothing, since
    those above them span all that they hold, follow by relevance. A document is wholly like itself, an empty one too.

    Parameters that need a new `fit`: none. All take effect at once.

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
        factor = np.empty((k, n))  # of the similarities' Cholesky factor, a row for each document chosen
        new = np.ones(n)  # square of what of each document those that are chosen do not span
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
