"""Update fitted estimators when documents come and go, and give each call one state of its estimator."""

import functools
import operator
import threading
from types import FunctionType

from sklearn.utils import Bunch, get_tags
from sklearn.utils.validation import check_is_fitted

from sklrank._fitted import check_unchanged, record_fit
from sklrank.data import Corpus

__all__ = ["UpdateMixin", "of_one_state", "update"]

_VERBS = ("transform", "predict", "search", "explain", "highlight", "expand", "recall_against_exact")
_REPLACING = threading.Lock()


def of_one_state(method):
    """Decorate a method so that each call sees one state of the estimator, even if `update` changes it meanwhile.

    The call gets an object that shares the attributes which the estimator has at that time. `update` replaces all
    attributes of an estimator at once, so that the call continues with the old ones.

    Parameters
    ----------
    method : function

    Returns
    -------
    function
    """

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        state = object.__new__(type(self))
        state.__dict__ = self.__dict__
        return method(state, *args, **kwargs)

    return call


class UpdateMixin:
    """Add `update` and its short forms to an estimator over a corpus.

    Its verbs, and those of all subclasses, are methods `of_one_state`.
    """

    _rebuilt = ()  # attributes that `reindex` makes anew, so that their corpora are not those of the user

    def __init_subclass__(cls, **kwargs):
        for name in _VERBS:
            if isinstance(vars(cls).get(name), FunctionType):
                setattr(cls, name, of_one_state(vars(cls)[name]))
        super().__init_subclass__(**kwargs)

    def add(self, documents):
        """Add documents to the corpus of a fitted estimator.

        Parameters
        ----------
        documents : Corpus or input of Corpus
            New documents. They come last, in their order.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the corpus has a document with the id of a new one; `upsert` replaces it.

        See Also
        --------
        sklrank.update : Make several changes at once, in all steps of a pipeline.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> from sklrank.retrievers import BM25Retriever
        >>> retriever = BM25Retriever(Corpus({"a": "heat flows"})).fit(None)
        >>> retriever.add({"b": "heat rests"}).predict(["heat"]).docids
        [['a', 'b']]
        """
        return update(self, add=documents)

    def remove(self, docids):
        """Remove documents from the corpus of a fitted estimator.

        Parameters
        ----------
        docids : list of str
            Ids of documents of the corpus.

        Returns
        -------
        self

        See Also
        --------
        sklrank.update : Make several changes at once, in all steps of a pipeline.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> from sklrank.retrievers import BM25Retriever
        >>> retriever = BM25Retriever(Corpus({"a": "heat flows", "b": "heat rests"})).fit(None)
        >>> retriever.remove(["a"]).predict(["heat"]).docids
        [['b']]
        """
        return update(self, remove=docids)

    def upsert(self, documents):
        """Replace documents with the same ids in the corpus of a fitted estimator, and add the others.

        Parameters
        ----------
        documents : Corpus or input of Corpus
            Documents. One that replaces another document gets its place; the others come last, in their order.

        Returns
        -------
        self

        See Also
        --------
        sklrank.update : Make several changes at once, in all steps of a pipeline.

        Examples
        --------
        >>> from sklrank import Corpus
        >>> from sklrank.retrievers import BM25Retriever
        >>> retriever = BM25Retriever(Corpus({"a": "heat flows", "b": "cold"})).fit(None)
        >>> retriever.upsert({"a": "cold rests", "c": "heat"}).predict(["heat", "cold"]).docids
        [['c'], ['b', 'a']]
        """
        return update(self, upsert=documents)

    def update(self, add=None, remove=None, upsert=None):
        """Make several changes of the corpus of a fitted estimator, which become visible together.

        Parameters
        ----------
        add : Corpus or input of Corpus, default=None
            New documents.
        remove : list of str, default=None
            Ids of documents to remove.
        upsert : Corpus or input of Corpus, default=None
            Documents that replace those with the same ids, or are added.

        Returns
        -------
        self

        See Also
        --------
        sklrank.update : The same for a pipeline, with all details.
        """
        return update(self, add=add, remove=remove, upsert=upsert)

    def merge_segments(self):
        """Merge the segments of the index into one.

        Changes make new segments, which are merged from time to time. The result of a search does not depend on them,
        and its cost hardly does. After many removals this frees the memory of the removed documents.

        Returns
        -------
        self
        """
        return _replace(self, Corpus.compacted)

    def reindex(self, corpus):
        """Index other documents; `update` calls this on a copy of the fitted estimator.

        An estimator whose `fit` learns from queries or judgments overrides this method, to keep what was learned. One
        that cannot be updated raises an error that names the remedy.

        Parameters
        ----------
        corpus : Corpus
            The documents to index. Most of them are those of the old corpus.

        Returns
        -------
        self
            By default, fitted by ``fit(None)`` with the parameter `corpus`, or by ``fit(corpus)`` if it is None.
        """
        if getattr(self, "corpus", None) is None:
            return self.fit(corpus)
        self.corpus = corpus
        return self.fit(None)


def update(estimator, add=None, remove=None, upsert=None):
    """Add, remove and replace documents in a fitted pipeline; all changes become visible together.

    Each step with a corpus is updated: retrievers, those inside unions, feedback and nested pipelines, and rerankers.
    Steps that shared a corpus share the new one. Only what the change needs is computed. The rankings are those of a
    fresh fit on the same documents in the same order. Weights that fusers and rerankers have learned stay.

    Parameters
    ----------
    estimator : retriever, RetrieverUnion, Pipeline or fitted search over its parameters
        A fitted estimator, which is changed in place.
    add : Corpus or input of Corpus, default=None
        New documents. They come last, in their order.
    remove : list of str, default=None
        Ids of documents to remove.
    upsert : Corpus or input of Corpus, default=None
        Documents that replace those with the same ids, in their places; those with new ids are added.

    Returns
    -------
    estimator
        The same object. Its parameters `corpus` and its attributes `corpus_` are the new corpus. A parameter that is
        None stays None.

    Raises
    ------
    ValueError
        If an id is unknown, given twice, or added although it exists; if no document is left; if a parameter was
        changed after `fit`; or if a mask given as `filter` no longer fits. Then nothing is changed.

    See Also
    --------
    sklrank.data.Corpus.updated : The same change of a corpus.

    Notes
    -----
    A search that runs in another thread during the update sees either the old documents or the new ones. Two updates at
    the same time are made one after the other.

    Other estimators over the same corpus, such as a retriever that is not a step of this pipeline, keep the old one.

    Examples
    --------
    >>> import sklrank
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklrank import Corpus
    >>> from sklrank.fusers import ReciprocalRankFuser
    >>> from sklrank.retrievers import BM25Retriever, RetrieverUnion, TfidfRetriever
    >>> corpus = Corpus({"a": "heat flows", "b": "cold rests"})
    >>> union = RetrieverUnion([("bm25", BM25Retriever(corpus)), ("tfidf", TfidfRetriever(corpus))])
    >>> pipe = make_pipeline(union, ReciprocalRankFuser()).fit(["heat"])
    >>> pipe = sklrank.update(pipe, add={"c": "heat rests"}, remove=["a"])
    >>> pipe.predict(["heat", "cold"]).docids
    [['c'], ['b']]
    """
    if add is None and remove is None and upsert is None:
        return estimator
    return _replace(estimator, lambda corpus: corpus.updated(add=add, remove=remove, upsert=upsert))


def _replace(estimator, change):
    """Replace each corpus of a fitted estimator by ``change(corpus)``, in all of its steps at once."""
    while True:
        update = _Update(change)
        replaced = list(update.in_place(estimator))
        if not update.corpora:
            raise ValueError(
                f"there is no corpus in this {type(estimator).__name__}, so that there are no documents to change here"
            )
        with _REPLACING:
            if all(_is_same(old, attributes, copied) for old, attributes, copied, _ in replaced):
                for old, _, _, changed in replaced:
                    old.__dict__ = vars(changed)
                return estimator
        # Another thread has changed the estimator in the meantime: start again from its new state.


def _is_same(estimator, attributes, copied):
    """Return whether no attribute of an estimator was replaced since they were copied."""
    return vars(estimator) is attributes and all(attributes.get(name) is value for name, value in copied.items())


class _Update:
    """New estimators for old ones, and new corpora for old ones: one for each, however often it occurs.

    Parameters
    ----------
    change : callable
        Function that takes a corpus, and returns the new one.
    """

    def __init__(self, change):
        self._change = change
        self._estimators = {}  # id of the old estimator → old estimator, new estimator
        self.corpora = {}  # id of the old corpus → old corpus, new corpus

    def in_place(self, estimator):
        """Yield each estimator that gets new attributes: it, its attributes, a copy of them, and the new estimator.

        The steps of a pipeline, which a user may hold, stay the same objects. Estimators inside a union are exchanged
        together with the attributes of the union, which hold them.
        """
        if not _is_fitted(estimator):
            check_is_fitted(estimator)  # it passes if the estimator needs no fit
        for step in _steps(estimator):
            yield from self.in_place(step)
            self._estimators[id(step)] = step, step
        attributes = vars(estimator)
        copied = dict(attributes)
        new = self._new(estimator)
        if new is not estimator:
            yield estimator, attributes, copied, new

    def _new(self, old):
        """Return the new estimator of an old one, which is the same object if it has no corpus inside."""
        if id(old) not in self._estimators:
            self._estimators[id(old)] = old, old  # for an estimator that holds itself
            self._estimators[id(old)] = old, self._make(old)
        return self._estimators[id(old)][1]

    def _make(self, old):
        attributes = dict(vars(old))
        own = ("corpus", "corpus_", *getattr(old, "_rebuilt", ()))
        inside = {name: self._value(value) for name, value in attributes.items() if name not in own}
        changed = {name: value for name, value in inside.items() if value is not attributes[name]}
        corpus = _corpus_of(attributes, hasattr(old, "reindex"))
        new_corpus = corpus
        if corpus is not None:
            new_corpus = self._corpus(corpus)
        if not changed and new_corpus is corpus:
            return old
        is_fitted = _is_fitted(old)
        if is_fitted:
            check_unchanged(old)
        new = object.__new__(type(old))
        vars(new).update(attributes, **changed)
        if new_corpus is not corpus:
            if hasattr(old, "reindex") and (is_fitted or not get_tags(old).requires_fit):
                new.reindex(new_corpus)
            elif is_fitted:
                raise TypeError(
                    f"{type(old).__name__} holds a corpus, and what it has learned may depend on it: give it a method "
                    "reindex(corpus), as in sklrank.base.Retriever"
                )
            else:
                new.corpus = new_corpus
        if vars(new).get("_fit_record") is attributes.get("_fit_record"):  # `fit` has made a new one
            record_fit(new)
        return new

    def _value(self, value):
        """Return the new value of an attribute, which is the same object if it has no corpus inside."""
        if isinstance(value, Bunch):
            items = {name: self._value(inner) for name, inner in value.items()}
            if all(items[name] is inner for name, inner in value.items()):
                return value
            return Bunch(**items)
        if isinstance(value, (list, tuple)):
            if not (value and _is_named(value[0])):
                return value
            items = [self._item(item) for item in value]
            if all(map(operator.is_, items, value)):
                return value
            return type(value)(items)
        if hasattr(value, "get_params") and not isinstance(value, type):
            return self._new(value)
        return value

    def _item(self, item):
        if not _is_named(item):
            return item
        new = self._value(item[1])
        if new is item[1]:
            return item
        return type(item)((item[0], new, *item[2:]))

    def _corpus(self, old):
        if id(old) not in self.corpora:
            new = self._change(old)
            if not len(new):
                raise ValueError(
                    f"expected at least one document to be left, but all {len(old)} would be removed: add others by "
                    "the same call of update"
                )
            self.corpora[id(old)] = old, new
        return self.corpora[id(old)][1]


def _steps(estimator):
    """Return the fitted estimators that a pipeline or a search of scikit-learn consists of."""
    if isinstance(estimator, UpdateMixin):
        return []
    steps = [step for _, step in getattr(estimator, "steps", ())]
    steps.append(getattr(estimator, "best_estimator_", None))
    return [step for step in steps if hasattr(step, "get_params")]


def _corpus_of(attributes, in_any_form):
    """Return the corpus that an estimator itself holds, fitted or as a parameter; None if there is none."""
    corpus = attributes.get("corpus_", attributes.get("corpus"))
    if isinstance(corpus, Corpus):
        return corpus
    if corpus is not None and in_any_form:
        return Corpus.of(corpus)
    return None


def _is_fitted(estimator):
    if hasattr(estimator, "__sklearn_is_fitted__"):
        return estimator.__sklearn_is_fitted__()
    return any(name[-1] == "_" and name[0] != "_" for name in vars(estimator))


def _is_named(item):
    """Return whether an item of a list is (name, estimator), as in a pipeline, perhaps with more values."""
    return isinstance(item, (list, tuple)) and len(item) > 1 and isinstance(item[0], str)
