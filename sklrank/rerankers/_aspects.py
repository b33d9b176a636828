"""Diversity over aspects that are known: XQuADReranker and PM2Reranker."""

from numbers import Real

import numpy as np
from scipy import sparse

from sklrank.data import Qrels
from sklrank.data._ids import show
from sklrank.rerankers._base_greedy import GreedyReranker, unit_range
from sklrank.rerankers._texts import corpus_of, query_texts


class _AspectReranker(GreedyReranker):
    """Base of those that know the aspects of queries.

    ``_choose`` gets as material what gives, for a query and its entries, the share of each aspect (columns) that each
    entry covers, and the weights of the aspects.
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
                    f"how much of an aspect a document covers is a number from 0 to 1; of query {candidates.qids[q]!r} "
                    f"there are numbers from {covered.min()} to {covered.max()}"
                )
            return covered, self._weights_of(names, covered)

        return material

    def _weights_of(self, names, covered):
        """Weights of the aspects of a query, of sum 1; those that no candidate is about have none."""
        occurs = covered.any(axis=0)
        if self.weights is None:
            weights = occurs.astype(np.float64)
        else:
            bad = {name: weight for name, weight in self.weights.items() if not _is_weight(weight)}
            if bad:
                raise ValueError(f"weights of aspects are numbers of at least 0, got {bad}")
            weights = occurs * np.array([self.weights.get(name, 0.0) for name in names], dtype=np.float64)
        total = weights.sum()
        return weights / total if total > 0 else weights


def _is_weight(weight):
    return isinstance(weight, Real) and 0 <= weight < np.inf


def _of_column(run, name):
    """Aspects from a column of the corpus: categories, lists of them, or a matrix."""
    column = corpus_of(run)[name]
    if getattr(column, "ndim", 1) == 2:

        def cover(q, entries):
            rows = column[run.rows[entries]]
            rows = rows.toarray() if sparse.issparse(rows) else rows
            return range(rows.shape[1]), np.asarray(rows, dtype=np.float64)

        return cover

    def cover_categories(q, entries):
        return _incidence([_listed(value) for value in column[run.rows[entries]].tolist()])

    return cover_categories


def _listed(value):
    """Categories of a document; none where text is empty, or a value is missing."""
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return list(value)
    return [] if value is None or value == "" or value != value else [value]


def _incidence(categories):
    names = {name: i for i, name in enumerate(dict.fromkeys(name for own in categories for name in own))}
    covered = np.zeros((len(categories), len(names)))
    for i, own in enumerate(categories):
        covered[i, [names[name] for name in own]] = 1
    return list(names), covered


def _of_judgments(run, qrels):
    """Aspects from judgments with subtopics."""
    if qrels.subtopics is None:
        raise ValueError("aspects= are judgments without subtopics; Qrels.from_frame(frame, subtopic=...) takes them")
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
    """Aspects from score columns, one each."""
    unknown = [name for name in names if name not in run.columns]
    if unknown or not names:
        raise ValueError(f"aspects= names score columns, got {show(unknown) if unknown else '[]'}; there are "
                         f"{list(run.columns)}")  # fmt: skip

    def cover(q, entries):
        covered = np.zeros((len(entries), len(names)))
        for i, name in enumerate(names):
            scores = run.column(name)[entries]
            found = ~np.isnan(scores)
            covered[found, i] = unit_range(scores[found]) if found.any() else 0
        return names, covered

    return cover


def _of_function(run, function, field):
    """Aspects that a function gives for a query and its documents."""
    queries, texts = query_texts(run), corpus_of(run).text(field)

    def cover(q, entries):
        covered = np.asarray(function(queries[q], texts[run.rows[entries]].tolist()), dtype=np.float64)
        if covered.ndim != 2 or len(covered) != len(entries):
            raise ValueError(
                f"aspects gave an array of shape {covered.shape} for {len(entries)} documents; needed is "
                "(n_documents, n_aspects)"
            )
        return range(covered.shape[1]), covered

    return cover


class XQuADReranker(_AspectReranker):
    r"""Rank so that all aspects of a query are covered, the more so the less they are covered so far (xQuAD).

    The next document of a ranking is always the one with the largest

    .. math:: \lambda \cdot \text{relevance}(d) + (1 - \lambda) \sum_a w_a \, c_{d a}
       \prod_{s \text{ above}} (1 - c_{s a})

    where :math:`c_{d a}` in [0, 1] is how much document d covers of aspect a, and :math:`w_a` is the weight of the
    aspect.

    Parameters
    ----------
    aspects : str, list of str, Qrels or callable
        What documents cover of which aspects. A column of the corpus: one category a document, a list of them, or a
        matrix of shape (n_documents, n_aspects) of numbers in [0, 1]. A list of score columns of the run, such as those
        of a `RetrieverUnion` with one retriever an aspect: each is brought to [0, 1] in a query, and 0 where it has no
        score. Judgments with subtopics. Or a function of the text of a query and the list of the texts of its
        candidates, to an array of shape (n_candidates, n_aspects) of numbers in [0, 1].
    lambda_ : float, default=0.5
        Weight of relevance against diversity: 1 leaves the order as it is.
    weights : dict, default=None
        What each aspect counts, by its name, or by its number where it has none; those that are not here count
        nothing. ``None``: all the same that any candidate of the query covers.
    field : str or sequence of str, default=None
        Columns of the corpus that hold the texts for a function. ``None``: title and text.
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
    PM2Reranker : Aspects in proportion to their weights.
    MMRReranker : Diversity where no aspects are known.
    sklrank.metrics.alpha_ndcg_score : Measures it.

    Notes
    -----
    In the original, :math:`\lambda` weighs diversity; here it weighs relevance, as in `MMRReranker`. The new score is
    the value with which a document was chosen, which never rises from one to the next. Of documents of equal value the
    one of the lower row goes first.

    Parameters that need a new `fit`: none. All take effect at once.

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
        open_ = weights.copy()  # what of each aspect is not covered yet, by its weight
        for _ in range(k):
            gains = self.lambda_ * relevance + (1 - self.lambda_) * _row_sums(covered * open_)
            gains[values > -np.inf] = -np.inf
            best = np.argmax(gains)
            values[best] = gains[best]
            open_ = open_ * (1 - covered[best])
        return values


class PM2Reranker(_AspectReranker):
    r"""Rank so that each aspect of a query has its share of the places (PM-2).

    Places are given out as seats in a parliament, by the method of Sainte-Laguë: the next belongs to the aspect with
    the largest :math:`v_a = w_a / (2 s_a + 1)`, where :math:`s_a` is what it has so far. It goes to the document with
    the largest

    .. math:: \lambda \, v_a c_{d a} + (1 - \lambda) \sum_{b \ne a} v_b c_{d b}

    which is one for that aspect, and may be about others; aspects then own that place by their parts of
    :math:`c_{d b}`, how much of them the document covers.

    Parameters
    ----------
    aspects : str, list of str, Qrels or callable
        What documents cover of which aspects. A column of the corpus: one category a document, a list of them, or a
        matrix of shape (n_documents, n_aspects) of numbers in [0, 1]. A list of score columns of the run, such as those
        of a `RetrieverUnion` with one retriever an aspect: each is brought to [0, 1] in a query, and 0 where it has no
        score. Judgments with subtopics. Or a function of the text of a query and the list of the texts of its
        candidates, to an array of shape (n_candidates, n_aspects) of numbers in [0, 1].
    lambda_ : float, default=0.5
        Weight of the aspect whose turn it is against the others.
    weights : dict, default=None
        What each aspect counts, by its name, or by its number where it has none; those that are not here count
        nothing. ``None``: all the same that any candidate of the query covers.
    field : str or sequence of str, default=None
        Columns of the corpus that hold the texts for a function. ``None``: title and text.
    depth : int, default=None
        How many candidates of each query to choose from, the first ones; ``None``: all.
    tail : {"drop", "keep"}, default="drop"
        Whether the others are left out, or stand below in their order.
    k : int, default=None
        How many documents to keep of each query; ``None``: all.

    See Also
    --------
    XQuADReranker : Aspects that are covered count less and less, beside relevance.
    MMRReranker : Diversity where no aspects are known.
    sklrank.metrics.alpha_ndcg_score : Measures it.

    Notes
    -----
    Of documents of equal value the one that had the higher score goes first. An aspect that none of the documents left
    is about has no turn, and once no aspect has one, the rest follows as it stood. The new score says the place: 1 for
    the first, and equally much less for each that follows, down to 1 / n for the last of n.

    Parameters that need a new `fit`: none. All take effect at once.

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
        order = np.argsort(-scores, kind="stable")  # ties go to the higher score
        covered = covered[order]
        left, seats = np.ones(n, dtype=bool), np.zeros(len(weights))
        for place in range(k):
            quotients = weights / (2 * seats + 1) * covered[left].any(axis=0)
            if quotients.any():
                shares = np.full(len(weights), 1 - self.lambda_)
                shares[np.argmax(quotients)] = self.lambda_
                gains = _row_sums(covered * (shares * quotients))
                best = np.argmax(np.where(left, gains, -np.inf))
            else:
                best = np.argmax(left)
            left[best] = False
            values[order[best]] = 1 - place / n
            if covered[best].any():
                seats += covered[best] / covered[best].sum()
        return values


def _row_sums(values):
    """Sums of rows, each column added after the other, so that equal rows have equal sums."""
    return np.add.reduce(np.ascontiguousarray(values.T), axis=0)
