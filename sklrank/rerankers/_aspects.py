"""XQuADReranker and PM2Reranker: diversity over known aspects."""

from numbers import Real

import numpy as np
from scipy import sparse

from sklrank.data import Qrels
from sklrank.data._ids import show
from sklrank.rerankers._base_greedy import GreedyReranker, unit_range
from sklrank.rerankers._texts import corpus_of, query_texts


class _AspectReranker(GreedyReranker):
    """Base class of rerankers that know the aspects of queries.

    The material of ``_choose`` is a function of a query and its entries. It returns the share of each aspect (column)
    that each entry (row) covers, and the weights of the aspects.
    """

    _parameter_constraints: dict = {
        **GreedyReranker._parameter_constraints,
        "aspects": [str, list, Qrels, callable],
        "weights": [dict, None],
        "field": "no_validation",
    }

    def _prepare(self, candidates):
        aspects = self.aspects
        if isinstance(aspects, str):
            cover = _of_column(candidates, aspects)
        elif isinstance(aspects, Qrels):
            cover = _of_judgments(candidates, aspects)
        elif isinstance(aspects, list):
            cover = _of_scores(candidates, aspects)
        else:
            cover = _of_function(candidates, aspects, self.field)

        def material(q, entries):
            names, covered = cover(q, entries)
            if not ((covered >= 0) & (covered <= 1)).all():
                raise ValueError(
                    "expected the coverage of an aspect to be a number from 0 to 1; query "
                    f"{candidates.qids[q]!r} has numbers from {covered.min()} to {covered.max()}"
                )
            return covered, self._weights_of(names, covered)

        return material

    def _weights_of(self, names, covered):
        """Return the weights of the aspects of a query, which sum to 1; 0 if no candidate covers the aspect."""
        occurs = covered.any(axis=0)
        if self.weights is None:
            weights = occurs.astype(np.float64)
        else:
            bad = {name: weight for name, weight in self.weights.items() if not _is_weight(weight)}
            if bad:
                raise ValueError(f"expected weights of aspects to be finite numbers of at least 0, got {bad}")
            weights = occurs * np.array([self.weights.get(name, 0.0) for name in names], dtype=np.float64)
        total = weights.sum()
        if total > 0:
            weights = weights / total
        return weights


def _is_weight(weight):
    return isinstance(weight, Real) and 0 <= weight < np.inf


def _of_column(run, name):
    """Return the aspects of a column of the corpus: categories, lists of categories, or a matrix."""
    column = corpus_of(run)[name]
    if getattr(column, "ndim", 1) == 2:

        def cover(q, entries):
            rows = column[run.rows[entries]]
            if sparse.issparse(rows):
                rows = rows.toarray()
            return range(rows.shape[1]), np.asarray(rows, dtype=np.float64)

        return cover

    def cover_categories(q, entries):
        return _incidence([_listed(value) for value in column[run.rows[entries]].tolist()])

    return cover_categories


def _listed(value):
    """Return the list of categories of a document; it is empty if the text is empty, or the value is missing."""
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return list(value)
    if value is None or value == "" or value != value:
        return []
    return [value]


def _incidence(categories):
    distinct = dict.fromkeys(name for of_document in categories for name in of_document)
    columns = {name: i for i, name in enumerate(distinct)}
    covered = np.zeros((len(categories), len(columns)))
    for i, of_document in enumerate(categories):
        covered[i, [columns[name] for name in of_document]] = 1
    return list(columns), covered


def _of_judgments(run, qrels):
    """Return the aspects of judgments with subtopics."""
    if qrels.subtopics is None:
        raise ValueError(
            "the judgments in aspects= have no subtopics; Qrels.from_frame(frame, subtopic=...) makes some that do"
        )
    aligned = qrels.align(run.queries)
    docids, judged = run.flat_docids, aligned.flat_docids

    def cover(q, entries):
        of = {}
        for e in range(aligned.indptr[q], aligned.indptr[q + 1]):
            if aligned.grades[e] > 0:
                of.setdefault(judged[e], []).append(aligned.subtopics[e])
        return _incidence([of.get(docid, []) for docid in docids[entries]])

    return cover


def _of_scores(run, names):
    """Return the aspects of score columns, one per column."""
    unknown = [name for name in names if name not in run.columns]
    if not names:
        raise ValueError(f"expected aspects= to name score columns, got []; there are {list(run.columns)}")
    if unknown:
        raise ValueError(f"expected aspects= to name score columns, got {show(unknown)}; there are {list(run.columns)}")

    def cover(q, entries):
        covered = np.zeros((len(entries), len(names)))
        for i, name in enumerate(names):
            scores = run.column(name)[entries]
            found = ~np.isnan(scores)
            if found.any():
                covered[found, i] = unit_range(scores[found])
        return names, covered

    return cover


def _of_function(run, function, field):
    """Return the aspects that a function returns for a query and its documents."""
    queries, corpus = query_texts(run), corpus_of(run)

    def cover(q, entries):
        covered = np.asarray(
            function(queries[q], corpus.text(field, rows=run.rows[entries]).tolist()), dtype=np.float64
        )
        if covered.ndim != 2 or len(covered) != len(entries):
            raise ValueError(
                f"expected aspects to return an array of shape (n_documents, n_aspects) for {len(entries)} documents, "
                f"got one of shape {covered.shape}"
            )
        return range(covered.shape[1]), covered

    return cover


class XQuADReranker(_AspectReranker):
    r"""Rank documents so that all aspects of a query are covered (xQuAD).

    The less an aspect is covered so far, the more it counts. The next document of a ranking is the one with the largest

    .. math:: \lambda \cdot \text{relevance}(d) + (1 - \lambda) \sum_a w_a \, c_{d a}
       \prod_{s \text{ above}} (1 - c_{s a})

    where :math:`c_{d a}` in [0, 1] is the share of aspect a that document d covers, and :math:`w_a` is the weight of
    the aspect.

    Parameters
    ----------
    aspects : str, list of str, Qrels or callable
        Aspects that documents cover. One of:

        - a column of the corpus: one category per document, a list of categories per document, or a matrix of shape
          (n_documents, n_aspects) of numbers in [0, 1];
        - a list of score columns of the run, such as those of a `RetrieverUnion` with one retriever per aspect. Each
          column is scaled to [0, 1] per query, and a missing score is 0;
        - judgments with subtopics;
        - a function that takes the text of a query and the list of the texts of its candidates, and returns an array of
          shape (n_candidates, n_aspects) of numbers in [0, 1].
    lambda_ : float, default=0.5
        Weight of relevance against diversity, from 0 to 1. With 1 the order does not change.
    weights : dict, default=None
        Weight of each aspect, by its name, or by its number if it has no name. Aspects that are not in the dict have
        weight 0. If None, all aspects that a candidate of the query covers have the same weight.
    field : str or list of str, default=None
        Columns of the corpus to read. They are the texts for a function. If None, title and text are joined by a space
        if both exist.
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
    PM2Reranker : Covers aspects in proportion to their weights.
    MMRReranker : Ranks for diversity if no aspects are known.
    sklrank.metrics.alpha_ndcg_score : Measures diversity.

    Notes
    -----
    In the original paper, :math:`\lambda` is the weight of diversity. Here it is the weight of relevance, as in
    `MMRReranker`. The new score is the value of a document when it was chosen, which never increases down the ranking.
    Documents of equal value are ordered by row.

    No parameter needs a new `fit`. All take effect at once.

    References
    ----------
    R. L. T. Santos, C. Macdonald and I. Ounis, Exploiting Query Reformulations for Web Search Result Diversification,
    WWW 2010.

    Examples
    --------
    >>> from sklrank import Corpus, Run
    >>> from sklrank.rerankers import XQuADReranker
    >>> senses = {"a": "animal", "b": "animal", "c": "car"}
    >>> corpus = Corpus([{"_id": name, "sense": sense} for name, sense in senses.items()])
    >>> run = Run({"jaguar": {"a": 3.0, "b": 2.9, "c": 2.0}}, corpus=corpus)
    >>> XQuADReranker("sense", 0.2).transform(run).docids
    [['a', 'c', 'b']]
    """

    _stage = "xquad"

    _parameter_constraints: dict = {**_AspectReranker._parameter_constraints, "normalize": ["boolean"]}

    def __init__(
        self, aspects, lambda_=0.5, *, weights=None, field=None, normalize=True, depth=None, tail="drop", k=None
    ):
        self.aspects = aspects
        self.lambda_ = lambda_
        self.weights = weights
        self.field = field
        self.normalize = normalize
        self.depth = depth
        self.tail = tail
        self.k = k

    def _choose(self, material, q, entries, scores, k):
        covered, weights = material(q, entries)
        relevance = self._relevance(scores)
        values = np.full(len(entries), -np.inf)
        uncovered = weights.copy()  # share of each aspect that is not covered yet, times its weight
        for _ in range(k):
            gains = self.lambda_ * relevance + (1 - self.lambda_) * _row_sums(covered * uncovered)
            gains[values > -np.inf] = -np.inf
            best = np.argmax(gains)
            values[best] = gains[best]
            uncovered = uncovered * (1 - covered[best])
        return values


class PM2Reranker(_AspectReranker):
    r"""Rank documents so that each aspect of a query gets its share of the ranks (PM-2).

    Ranks are distributed as seats in a parliament, by the method of Sainte-Laguë. The next rank belongs to the aspect
    with the largest :math:`v_a = w_a / (2 s_a + 1)`, where :math:`s_a` is the number of ranks that it has so far. The
    document at this rank is the one with the largest

    .. math:: \lambda \, v_a c_{d a} + (1 - \lambda) \sum_{b \ne a} v_b c_{d b}

    where :math:`c_{d b}` is the share of aspect b that document d covers. The document covers that aspect, and may
    cover others. The rank is then divided among the aspects in proportion to their :math:`c_{d b}`.

    Parameters
    ----------
    aspects : str, list of str, Qrels or callable
        Aspects that documents cover. One of:

        - a column of the corpus: one category per document, a list of categories per document, or a matrix of shape
          (n_documents, n_aspects) of numbers in [0, 1];
        - a list of score columns of the run, such as those of a `RetrieverUnion` with one retriever per aspect. Each
          column is scaled to [0, 1] per query, and a missing score is 0;
        - judgments with subtopics;
        - a function that takes the text of a query and the list of the texts of its candidates, and returns an array of
          shape (n_candidates, n_aspects) of numbers in [0, 1].
    lambda_ : float, default=0.5
        Weight of the aspect that owns the next rank, against the other aspects.
    weights : dict, default=None
        Weight of each aspect, by its name, or by its number if it has no name. Aspects that are not in the dict have
        weight 0. If None, all aspects that a candidate of the query covers have the same weight.
    field : str or list of str, default=None
        Columns of the corpus to read. They are the texts for a function. If None, title and text are joined by a space
        if both exist.
    depth : int, default=None
        Number of candidates of each query to rerank, from the top. If None, all are reranked.
    tail : {"drop", "keep"}, default="drop"
        Whether candidates below `depth` are dropped or kept in their order.
    k : int, default=None
        Number of documents to return for each query. If None, all are returned.

    See Also
    --------
    XQuADReranker : Weighs relevance against aspects that are not covered yet.
    MMRReranker : Ranks for diversity if no aspects are known.
    sklrank.metrics.alpha_ndcg_score : Measures diversity.

    Notes
    -----
    Documents of equal value are ordered by their old score. An aspect that no remaining document covers gets no more
    ranks. When this is true for all aspects, the remaining documents follow in their old order. The new score depends
    on the rank only: it is 1 for the first document, and decreases in equal steps to 1 / n for the last of n.

    No parameter needs a new `fit`. All take effect at once.

    References
    ----------
    V. Dang and W. B. Croft, Diversity by Proportionality: An Election-based Approach to Search Result Diversification,
    SIGIR 2012.

    Examples
    --------
    >>> from sklrank import Corpus, Run
    >>> from sklrank.rerankers import PM2Reranker
    >>> senses = {"a": "animal", "b": "animal", "c": "animal", "d": "car"}
    >>> corpus = Corpus([{"_id": name, "sense": sense} for name, sense in senses.items()])
    >>> run = Run({"jaguar": ["a", "b", "c", "d"]}, corpus=corpus)
    >>> PM2Reranker("sense", weights={"animal": 2, "car": 1}).transform(run).docids
    [['a', 'd', 'b', 'c']]
    """

    _stage = "pm2"

    def __init__(self, aspects, lambda_=0.5, *, weights=None, field=None, depth=None, tail="drop", k=None):
        self.aspects = aspects
        self.lambda_ = lambda_
        self.weights = weights
        self.field = field
        self.depth = depth
        self.tail = tail
        self.k = k

    def _choose(self, material, q, entries, scores, k):
        covered, weights = material(q, entries)
        n = len(entries)
        values = np.full(n, -np.inf)
        order = np.argsort(-scores, kind="stable")  # among equal values, the document with the higher score is chosen
        covered = covered[order]
        remaining, seats = np.ones(n, dtype=bool), np.zeros(len(weights))
        for position in range(k):
            quotients = weights / (2 * seats + 1) * covered[remaining].any(axis=0)
            if quotients.any():
                shares = np.full(len(weights), 1 - self.lambda_)
                shares[np.argmax(quotients)] = self.lambda_
                gains = _row_sums(covered * (shares * quotients))
                best = np.argmax(np.where(remaining, gains, -np.inf))
            else:
                best = np.argmax(remaining)
            remaining[best] = False
            values[order[best]] = 1 - position / n
            if covered[best].any():
                seats += covered[best] / covered[best].sum()
        return values


def _row_sums(values):
    """Sum each row. Columns are added one after the other, so that equal rows have equal sums."""
    return np.add.reduce(np.ascontiguousarray(values.T), axis=0)
