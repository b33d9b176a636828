"""The steps of a pipeline, followed one by one, and the relevant documents in their runs."""

from copy import copy

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from sklrank._ragged import kept_entries, owners
from sklrank.data import Run
from sklrank.rerankers import CascadeReranker, PassageAggregator


class Relevant:
    """The relevant documents, query by query.

    Parameters
    ----------
    query : ndarray of int64, shape (n_relevant,)
        Position of the query of each.
    docids : list of str
    grades : ndarray of float64, shape (n_relevant,)
    """

    def __init__(self, query, docids, grades):
        self.query = query
        self.docids = docids
        self.grades = grades

    @classmethod
    def of(cls, qrels):
        """Those of judgments: documents with a grade of 1 or more."""
        best = {}
        for q, docid, grade in zip(owners(qrels.indptr).tolist(), qrels.flat_docids.tolist(), qrels.grades.tolist()):
            if grade >= 1:
                best[q, docid] = max(best.get((q, docid), grade), grade)  # of several subtopics
        query = np.array([q for q, _ in best], dtype=np.int64)
        return cls(query, [docid for _, docid in best], np.array(list(best.values())))

    def __len__(self):
        return len(self.docids)

    def take(self, chosen, queries=None):
        """The chosen documents; with `queries`, an ascending array, these are the queries that are counted."""
        query = self.query[chosen]
        query = query if queries is None else np.searchsorted(queries, query)
        return Relevant(query, [self.docids[d] for d in chosen.tolist()], self.grades[chosen])

    def ranks_in(self, run):
        """Rank of each, from 1; 0 if the run has no order, NaN if it lacks the document."""
        rows = run.documents.rows(self.docids, unknown="ignore") if len(self) else np.empty(0, dtype=np.int64)
        width = len(run.documents) + 1
        keys = owners(run.indptr) * width + run.rows
        order = np.argsort(keys)
        wanted = self.query * width + np.where(rows < 0, width - 1, rows)
        positions = np.searchsorted(keys, wanted, sorter=order)
        entries = np.append(order, 0)[positions]
        found = (positions < len(keys)) & (np.append(keys, -1)[entries] == wanted)
        ranks = entries - run.indptr[self.query] + 1.0 if run.has_order else np.zeros(len(self))
        return np.where(found, ranks, np.nan)


class Step:
    """A step of a pipeline that made a run.

    Parameters
    ----------
    name : str
        Its name, as that of its parameters.
    estimator : estimator
    before : object
        Its input.
    run : Run
        Its output.
    """

    def __init__(self, name, estimator, before, run):
        self.name = name
        self.estimator = estimator
        self.before = before
        self.run = run
        self.depth = getattr(estimator, "depth", None)
        self.k = getattr(estimator, "k", None)

    def without_k(self):
        """The run that it would have made without its k."""
        estimator = copy(self.estimator)
        estimator.k = None
        return estimator.transform(self.before)

    def in_documents(self, relevant, run=None):
        """A run of the step; of documents, if it is one of passages and the relevant ones are documents."""
        run = self.run if run is None else run
        parent = getattr(run.corpus, "parent", None)
        if parent is None or (run.corpus.rows(relevant.docids, unknown="ignore") >= 0).any():
            return run
        return PassageAggregator().transform(run)

    def ranks(self, relevant, run=None):
        """Rank of each relevant document in a run of the step."""
        return relevant.ranks_in(self.in_documents(relevant, run))


class CascadeStep(Step):
    """A stage of a cascade, which is a step of its own.

    Parameters
    ----------
    name, estimator, before, run
        As in `Step`.
    depth : int or None
        Number of candidates that it scores.
    k : int, default=None
        Cuts the run, if it is the last stage.
    """

    def __init__(self, name, estimator, before, run, depth, k=None):
        super().__init__(name, estimator, before, run)
        self.depth = depth
        self.k = k
        self._whole = run
        self._column = run.columns[-1]
        if k is not None:
            self.run = run.with_scores(run.scores, k=k, name=run.name).head(k)

    def without_k(self):
        return self._whole

    def skipped(self, relevant):
        """Whether each stood within the depth, and was not scored before a budget was spent."""
        within = self.before if self.depth is None else self.before.head(self.depth)
        has_score = ~np.isnan(self._whole.column(self._column))
        scored = self._whole.take(*kept_entries(self._whole.indptr, has_score))
        return ~np.isnan(self.ranks(relevant, within)) & np.isnan(self.ranks(relevant, scored))


def named_steps(estimator, name=""):
    """Iterate over the name and the estimator of each step, through pipelines, searches and frozen estimators."""
    if isinstance(estimator, FrozenEstimator):
        yield from named_steps(estimator.estimator, name)
    elif hasattr(estimator, "best_estimator_"):
        yield from named_steps(estimator.best_estimator_, name)
    elif isinstance(estimator, Pipeline):
        for step_name, step in estimator.steps:
            yield from named_steps(step, f"{name}__{step_name}" if name else step_name)
    elif estimator is not None and not isinstance(estimator, str):
        yield name or type(estimator).__name__.lower(), estimator


def follow(pipeline, X):
    """Run a pipeline.

    Parameters
    ----------
    pipeline : estimator
    X : object
        Its input.

    Returns
    -------
    list of Step
        The steps that made a run.
    """
    steps, value = [], X
    for name, estimator in named_steps(pipeline):
        if isinstance(estimator, CascadeReranker):
            steps += _stages(name, estimator, value)
            value = steps[-1].run
            continue
        before, verb = value, getattr(estimator, "transform", None) or estimator.predict
        value = verb(before)
        if isinstance(value, Run):
            steps.append(Step(name, estimator, before, value))
    return steps


def _stages(name, cascade, before):
    """The stages of a cascade."""
    whole = copy(cascade)
    whole.k = None
    stages = []
    for (stage, reranker, depth), run in zip(cascade.rerankers, whole.staged_transform(before)):
        depth = getattr(reranker, "depth", None) if depth is None else depth
        k = cascade.k if len(stages) == len(cascade.rerankers) - 1 else None
        stages.append(CascadeStep(f"{name}__{stage}", cascade, before, run, depth, k))
        before = run
    return stages
