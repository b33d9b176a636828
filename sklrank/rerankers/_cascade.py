"""CascadeReranker: cheap rerankers first, dear ones on what is left."""

import time
from copy import copy
from numbers import Integral, Real

import numpy as np
from sklearn.utils import get_tags

from sklrank._validation import BaseComposition, Interval, _fit_context
from sklrank.base import Reranker, check_run
from sklrank.rerankers._base_scoring import ScoringReranker, head_lengths, place

_CHUNK = 16  # candidates between two looks at the clock


class CascadeReranker(Reranker, BaseComposition):
    """Rank candidates by several rerankers, each of which sees the best of the one before.

    The cheap ones go first, with a great depth, so that the dear ones read little. A budget bounds what a query costs.

    Parameters
    ----------
    rerankers : list of (str, reranker, int or None)
        Name, reranker and depth of each stage. Names are those of the columns. A depth of None is that of the reranker
        itself, which a search can vary as ``name__depth``; its `tail` and `k` do not count.
    tail : {"drop", "keep"}, default="drop"
        What becomes of candidates below the depth of a stage: they are left out, or stand below in their order.
    k : int, default=None
        How many documents to keep for each query; ``None``: all.
    candidate_budget : int, default=None
        Most candidates of a query that are scored, all stages together, earlier stages first.
    time_budget : float, default=None
        Seconds for each query. See Notes.

    See Also
    --------
    sklrank.fusers.ScoreFuser : Blends the scores of the stages, which are columns.

    Notes
    -----
    *When a budget is spent*, what a stage scored stands on top, and below, in the order that it had, what it did not
    come to; later stages change nothing.

    *With a time budget* queries are ranked one by one, and the clock is looked at after every 16 candidates; a reranker
    of orders or of sets, which has to see all of them, is begun as long as there is time, and not interrupted. Such
    rankings depend on the machine and on what else it does: candidates can be budgeted instead.

    `fit` fits the rerankers themselves, as that of a `Pipeline`.

    Parameters that need a new `fit`: none. All take effect at once.

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

    # scikit-learn's compositions have pairs
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
        """Get the parameters, those of the rerankers by ``name__parameter``.

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
        """Set parameters, those of the rerankers by ``name__parameter``, or a reranker by its name.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self
        """
        return self._set_params("_named", **params)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit each reranker on what reaches it.

        Parameters
        ----------
        X : Run
            Candidates.
        y : Qrels or list of dict, default=None
            Their judgments, for rerankers that learn.

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
            if learners and i < learners[-1]:  # nobody else looks at it
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
            Best first, with a column for each stage, and one for the score that the candidates had.
        """
        return self._ended(_join(self._behind(X)[-1]))

    def staged_transform(self, X):
        """Rank the candidates of each query, and return the rankings behind each stage.

        Parameters
        ----------
        X : Run
            Candidates.

        Returns
        -------
        list of Run
            One for each stage; the last one is that of `transform`.
        """
        runs = list(map(_join, self._behind(X)))
        return [*runs[:-1], self._ended(runs[-1])]

    def _behind(self, X):
        """The runs behind each stage: one for each query if the clock runs, else one."""
        self._validate_params()
        check_run(X, "reranker")
        stages = self._stages()
        timed = self.time_budget is not None and len(X) > 0
        parts = [X[i] for i in range(len(X))] if timed else [X]
        return list(zip(*[list(self._passes(part, stages, timed)) for part in parts]))

    def _passes(self, run, stages, timed):
        end = time.perf_counter() + self.time_budget if timed else None
        left = self._budget(run)
        for stage in stages:
            run, left = self._pass(run, stage, left, end)
            yield run

    def _ended(self, run):
        """What the last stage left, as the cascade hands it on."""
        run = run.with_scores(run.scores, k=self.k, name=self._stage)
        return run if self.k is None else run.head(self.k)

    def _budget(self, run):
        """How many candidates of each query may be scored; None where nothing bounds it."""
        return None if self.candidate_budget is None else np.full(len(run), self.candidate_budget)

    def _pass(self, run, stage, left, end=None):
        """The candidates behind a stage, and what is left of the budget."""
        name, reranker, depth = stage
        if getattr(reranker, "k", None) is not None:  # one that chooses would choose no more
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
        """Name, reranker and depth of each stage, checked."""
        stages = list(self.rerankers)
        if not stages:
            raise ValueError("rerankers is empty; a cascade has at least one (name, reranker, depth)")
        for stage in stages:
            if not isinstance(stage, (tuple, list)) or len(stage) != 3:
                raise ValueError(f"rerankers are tuples of name, reranker and depth, got {stage!r:.80}")
            name, reranker, depth = stage
            if not isinstance(reranker, ScoringReranker):
                raise TypeError(f"{name!r} is a {type(reranker).__name__}; a stage of a cascade scores candidates")
            if depth is not None and (not isinstance(depth, Integral) or depth < 1):
                raise ValueError(f"the depth of {name!r} is {depth!r}; it is an int of at least 1, or None")
            reranker._validate_params()
        self._validate_names([name for name, _, _ in stages])
        return [(name, one, getattr(one, "depth", None) if depth is None else depth) for name, one, depth in stages]

    def _must_be_fitted(self):
        return [reranker for _, reranker in self._named if get_tags(reranker).requires_fit]

    def __sklearn_is_fitted__(self):
        return all(reranker.__sklearn_is_fitted__() for reranker in self._must_be_fitted())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        try:
            tags.requires_fit = bool(self._must_be_fitted())
        except (AttributeError, TypeError, ValueError):  # `fit` says what is wrong with the stages
            pass
        return tags


def _join(runs):
    """Runs of some queries as one."""
    return runs[0] if len(runs) == 1 else np.concatenate(runs)


def _in_time(reranker, run, n, end):
    """Scores of the first candidates of the one query of `run`: so many of `n` as are made before `end`."""
    chunk = _CHUNK if reranker._pointwise and run.has_order else n
    scores = np.empty(0)
    while len(scores) < n and (time.perf_counter() < end or not run.has_order):
        start, stop = len(scores), min(len(scores) + chunk, n)
        part = run.take(slice(start, stop), np.array([0, stop - start]))
        scores = np.concatenate([scores, reranker._scores(part)])
    return scores
