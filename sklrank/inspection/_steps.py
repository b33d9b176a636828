"""Steps of a pipeline, and the relevant documents in their runs."""

from copy import copy

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from sklrank._ragged import kept_entries, owners
from sklrank.data import Run
from sklrank.rerankers import CascadeReranker, PassageAggregator


class Relevant:
    """Relevant documents of all queries.

    Parameters
    ----------
    query : ndarray of int64, shape (n_relevant,)
        Position of the query of each document.
    docids : list of str
        Ids of the documents.
    grades : ndarray of float64, shape (n_relevant,)
        Grades of the documents.
    """

    def __init__(self, query, docids, grades):
        self.query = query
        self.docids = docids
        self.grades = grades

    @classmethod
    def of(cls, qrels):
        """Collect the documents with a grade of 1 or more."""
        best = {}
        for q, docid, grade in zip(owners(qrels.indptr).tolist(), qrels.flat_docids.tolist(), qrels.grades.tolist()):
            if grade >= 1:
                best[q, docid] = max(best.get((q, docid), grade), grade)  # the highest grade of several subtopics
        query = np.array([q for q, _ in best], dtype=np.int64)
        return cls(query, [docid for _, docid in best], np.array(list(best.values())))

    def __len__(self):
        return len(self.docids)

    def take(self, chosen, queries=None):
        """Return the chosen documents; with `queries`, an ascending array, positions of queries refer to this array."""
        query = self.query[chosen]
        if queries is not None:
            query = np.searchsorted(queries, query)
        return Relevant(query, [self.docids[d] for d in chosen.tolist()], self.grades[chosen])

    def ranks_in(self, run):
        """Return the rank of each document, from 1; 0 if the run has no order, NaN if it lacks the document."""
        if not len(self):
            return np.empty(0)
        rows = run.documents.rows(self.docids, unknown="ignore")
        width = len(run.documents) + 1
        keys = owners(run.indptr) * width + run.rows
        order = np.argsort(keys)
        wanted = self.query * width + np.where(rows < 0, width - 1, rows)
        positions = np.searchsorted(keys, wanted, sorter=order)
        entries = np.append(order, 0)[positions]
        found = (positions < len(keys)) & (np.append(keys, -1)[entries] == wanted)
        ranks = np.zeros(len(self))
        if run.has_order:
            ranks = entries - run.indptr[self.query] + 1.0
        return np.where(found, ranks, np.nan)


class Step:
    """Step of a pipeline that returned a run.

    Parameters
    ----------
    name : str
        Name of the step, as in the names of its parameters.
    estimator : estimator
        Estimator of the step.
    before : object
        Input of the step.
    run : Run
        Output of the step.
    """

    def __init__(self, name, estimator, before, run):
        self.name = name
        self.estimator = estimator
        self.before = before
        self.run = run
        self.depth = getattr(estimator, "depth", None)
        self.k = getattr(estimator, "k", None)

    def without_k(self):
        """Return the run that the step would have returned without `k`."""
        estimator = copy(self.estimator)
        estimator.k = None
        return estimator.transform(self.before)

    def in_documents(self, relevant, run=None):
        """Return a run of the step, with passages aggregated to documents if the relevant ids are ids of documents."""
        if run is None:
            run = self.run
        parent = getattr(run.corpus, "parent", None)
        if parent is None or (run.corpus.rows(relevant.docids, unknown="ignore") >= 0).any():
            return run
        return PassageAggregator().transform(run)

    def ranks(self, relevant, run=None):
        """Return the rank of each relevant document in a run of the step."""
        return relevant.ranks_in(self.in_documents(relevant, run))


class CascadeStep(Step):
    """Stage of a cascade, which counts as a step.

    Parameters
    ----------
    name, estimator, before, run
        As in `Step`.
    depth : int or None
        Number of candidates that the stage scores.
    k : int, default=None
        Number of documents that the last stage returns. None for the other stages.
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
        """Return whether each document was within the depth, but was not scored before a budget was spent."""
        within = self.before
        if self.depth is not None:
            within = within.head(self.depth)
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
            yield from named_steps(step, "__".join(filter(None, [name, step_name])))
    elif estimator is not None and not isinstance(estimator, str):
        yield name or type(estimator).__name__.lower(), estimator


def follow(pipeline, X):
    """Run a pipeline step by step.

    Parameters
    ----------
    pipeline : estimator
        Fitted pipeline, or a single estimator.
    X : object
        Input of the pipeline.

    Returns
    -------
    list of Step
        Steps that returned a run.
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
    """Return the stages of a cascade as steps."""
    whole = copy(cascade)
    whole.k = None
    cuts = [None] * (len(cascade.rerankers) - 1) + [cascade.k]
    stages = []
    for (stage, reranker, depth), k, run in zip(cascade.rerankers, cuts, whole.staged_transform(before)):
        if depth is None:
            depth = getattr(reranker, "depth", None)
        stages.append(CascadeStep(f"{name}__{stage}", cascade, before, run, depth, k))
        before = run
    return stages
