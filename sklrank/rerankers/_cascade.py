"""CascadeReranker: fast rerankers first, slow ones for the remaining candidates."""

import time
from copy import copy
from numbers import Integral, Real

import numpy as np
from sklearn.utils import get_tags

from sklrank._validation import BaseComposition, Interval, _fit_context
from sklrank.base import Reranker, check_run
from sklrank.rerankers._base_scoring import ScoringReranker, head_lengths, place

_CHUNK = 16  # number of candidates after which the clock is checked


class CascadeReranker(Reranker, BaseComposition):
    """Rank candidates by several rerankers in turn, each for the best candidates of the one before.

    Fast rerankers come first, with a large depth, so that slow ones score few candidates. A budget limits the cost of a
    query.

    Parameters
    ----------
    rerankers : list of (str, reranker, int or None)
        Name, reranker and depth of each stage. The score columns have these names. If the depth is None, it is that of
        the reranker, which a parameter search can vary as ``name__depth``. The `tail` and `k` of the reranker are
        ignored.
    tail : {"drop", "keep"}, default="drop"
        Whether candidates below `depth` are dropped or kept in their order.
    k : int, default=None
        Number of documents to return for each query. If None, all are returned.
    candidate_budget : int, default=None
        Maximum number of candidates of a query that all stages together score. Earlier stages come first. If None,
        there is no limit.
    time_budget : float, default=None
        Maximum number of seconds per query. If None, there is no limit. See Notes.

    See Also
    --------
    sklrank.fusers.ScoreFuser : Blends the scores of the stages, which are columns.

    Notes
    -----
    *If a budget is spent* during a stage, the candidates that the stage scored come first, and the others follow in
    their old order. Later stages change nothing.

    *With a time budget*, queries are ranked one by one, and the clock is checked after every 16 candidates. A reranker
    that orders or selects documents needs all candidates at once. It starts if there is time left, and is not
    interrupted. Such rankings depend on the machine and its load. A budget of candidates does not.

    `fit` fits the given rerankers, not clones of them, as a `Pipeline` does.

    No parameter needs a new `fit`. All take effect at once.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import HashingVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklrank import Corpus
    >>> from sklrank.rerankers import CascadeReranker, CrossEncoderReranker, DenseReranker
    >>> from sklrank.retrievers import BM25Retriever
    >>> corpus = Corpus(["heat rests", "laminar flow", "heat flow", "heat transfer"])
    >>> cascade = CascadeReranker([
    ...     ("dense", DenseReranker(HashingVectorizer(n_features=64)), 3),
    ...     ("ce", CrossEncoderReranker("cross-encoder.onnx", tokenizer="tokenizer.json"), 2),
    ... ])
    >>> run = make_pipeline(BM25Retriever(corpus), cascade).fit(["heat flow"]).predict(["heat flow"])
    >>> run.docids, run.columns
    ([['2', '0']], ('bm25', 'dense', 'ce'))
    """

    _stage = "cascade"

    _parameter_constraints: dict = {
        "rerankers": [list, tuple],
        "tail": ScoringReranker._parameter_constraints["tail"],
        "k": ScoringReranker._parameter_constraints["k"],
        "candidate_budget": [Interval(Integral, 1, None, closed="left"), None],
        "time_budget": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(self, rerankers, *, tail="drop", k=None, candidate_budget=None, time_budget=None):
        self.rerankers = rerankers
        self.tail = tail
        self.k = k
        self.candidate_budget = candidate_budget
        self.time_budget = time_budget

    # Compositions of scikit-learn are made of pairs.
    @property
    def _named(self):
        try:
            return [(name, reranker) for name, reranker, _ in self.rerankers]
        except (TypeError, ValueError):
            return self.rerankers

    @_named.setter
    def _named(self, pairs):
        self.rerankers = [(*pair, stage[2]) for pair, stage in zip(pairs, self.rerankers)]

    def get_params(self, deep=True):
        """Get the parameters. Those of the rerankers are named ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the rerankers and their parameters.

        Returns
        -------
        dict
        """
        return self._get_params("_named", deep=deep)

    def set_params(self, **params):
        """Set parameters, parameters of rerankers as ``name__parameter``, or a reranker by its name.

        Parameters
        ----------
        **params : dict
            Parameters and their values.

        Returns
        -------
        self
        """
        return self._set_params("_named", **params)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit each reranker on the candidates that reach it.

        Parameters
        ----------
        X : Run
            Candidates.
        y : Qrels or list of dict, default=None
            Relevance judgments, for rerankers that learn.

        Returns
        -------
        self
        """
        check_run(X, "reranker")
        stages = self._stages()
        learners = [i for i, (_, reranker, _) in enumerate(stages) if get_tags(reranker).requires_fit]
        run, left = X, self._budget(X)
        for i, stage in enumerate(stages):
            stage[1].fit(run, y)
            if learners and i < learners[-1]:  # only rerankers that learn need the candidates
                run, left = self._pass(run, stage, left)
        return self

    def transform(self, X):
        """Rank the candidates of each query, stage by stage.

        Parameters
        ----------
        X : Run
            Candidates.

        Returns
        -------
        Run
            The candidates, best first. Each stage has a score column, and the old score is a column.
        """
        return self._ended(_join(self._runs(X)[-1]))

    def staged_transform(self, X):
        """Rank the candidates of each query, and return the rankings after each stage.

        Parameters
        ----------
        X : Run
            Candidates.

        Returns
        -------
        list of Run
            One for each stage. The last one is equal to the result of `transform`.
        """
        runs = list(map(_join, self._runs(X)))
        return [*runs[:-1], self._ended(runs[-1])]

    def _runs(self, X):
        """Return the runs after each stage, each as a tuple of parts: one part per query with a time budget, or one."""
        self._validate_params()
        check_run(X, "reranker")
        stages = self._stages()
        if self.time_budget is None or not len(X):
            return [(run,) for run in self._passes(X, stages)]
        return list(zip(*[list(self._passes(X[i], stages, self.time_budget)) for i in range(len(X))]))

    def _passes(self, run, stages, seconds=None):
        """Iterate over the runs after each stage."""
        end = None
        if seconds is not None:
            end = time.perf_counter() + seconds
        left = self._budget(run)
        for stage in stages:
            run, left = self._pass(run, stage, left, end)
            yield run

    def _ended(self, run):
        """Return the run after the last stage, with the name and the length that the cascade returns."""
        run = run.with_scores(run.scores, k=self.k, name=self._stage)
        if self.k is None:
            return run
        return run.head(self.k)

    def _budget(self, run):
        """Return the number of candidates of each query that may be scored; None if there is no limit."""
        if self.candidate_budget is None:
            return None
        return np.full(len(run), self.candidate_budget)

    def _pass(self, run, stage, left, end=None):
        """Return the candidates after a stage, and the remaining budget."""
        name, reranker, depth = stage
        if getattr(reranker, "k", None) is not None:  # a reranker for diversity would choose only k documents
            reranker = copy(reranker)
            reranker.k = None
        lengths = head_lengths(run, depth)
        if self.tail == "drop":
            run = run.head(lengths)
        if left is not None:
            lengths = head_lengths(run, np.minimum(lengths, left))
            left = left - lengths
        if end is None:
            scores = reranker._scores(run.head(lengths))
        else:
            scores = _in_time(reranker, run, int(lengths[0]), end)
            lengths = np.array([len(scores)])
        return place(run, lengths, scores, name, tail="keep"), left

    def _stages(self):
        """Check the stages, and return the name, the reranker and the depth of each."""
        stages = []
        for stage in self.rerankers:
            if not isinstance(stage, (tuple, list)) or len(stage) != 3:
                raise ValueError(f"expected rerankers to be tuples of name, reranker and depth, got {stage!r:.80}")
            name, reranker, depth = stage
            if not isinstance(reranker, ScoringReranker):
                raise TypeError(
                    f"expected {name!r} to be a reranker that scores candidates, got a {type(reranker).__name__}"
                )
            if depth is None:
                depth = getattr(reranker, "depth", None)
            elif not isinstance(depth, Integral) or depth < 1:
                raise ValueError(f"expected the depth of {name!r} to be an int of at least 1, or None, got {depth!r}")
            reranker._validate_params()
            stages.append((name, reranker, depth))
        if not stages:
            raise ValueError("rerankers is empty; a cascade needs at least one (name, reranker, depth)")
        self._validate_names([name for name, _, _ in stages])
        return stages

    def _must_be_fitted(self):
        return [reranker for _, reranker in self._named if get_tags(reranker).requires_fit]

    def __sklearn_is_fitted__(self):
        return all(reranker.__sklearn_is_fitted__() for reranker in self._must_be_fitted())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        try:
            tags.requires_fit = bool(self._must_be_fitted())
        except (AttributeError, TypeError, ValueError):  # `fit` reports bad stages
            pass
        return tags


def _join(runs):
    """Join the runs of several queries."""
    if len(runs) == 1:
        return runs[0]
    return np.concatenate(runs)


def _in_time(reranker, run, n, end):
    """Score the first `n` candidates of a run of one query, or fewer if the time `end` comes earlier."""
    chunk = n
    if reranker._pointwise and run.has_order:
        chunk = _CHUNK
    scores = np.empty(0)
    while len(scores) < n and (time.perf_counter() < end or not run.has_order):
        start, stop = len(scores), min(len(scores) + chunk, n)
        part = run.take(slice(start, stop), np.array([0, stop - start]))
        scores = np.concatenate([scores, reranker._scores(part)])
    return scores
