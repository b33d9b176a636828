"""Which encoders and vectorizers learn from the documents."""

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import get_tags

from sklrank.encoders import TermVectorizer


def learns_from_documents(estimator):
    """Tell whether the output for a text depends on the documents that an estimator is fitted on.

    After a change of a corpus, the output of an estimator that learns nothing is kept, and only new documents are
    transformed. An estimator that learns is fitted again, on all documents.

    Parameters
    ----------
    estimator : transformer or None
        Encoder or vectorizer. A `FrozenEstimator` learns nothing, and likewise an estimator with the tag
        ``requires_fit=False``, and a pipeline or a union of such steps.

    Returns
    -------
    bool

    Examples
    --------
    >>> from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import Normalizer
    >>> from sklrank.retrievers._learning import learns_from_documents
    >>> learns_from_documents(make_pipeline(HashingVectorizer(), Normalizer()))
    False
    >>> learns_from_documents(TfidfVectorizer())
    True
    """
    if estimator in (None, "passthrough", "drop") or isinstance(estimator, FrozenEstimator):
        return False
    if isinstance(estimator, Pipeline):
        return any(learns_from_documents(step) for _, step in estimator.steps)
    if isinstance(estimator, FeatureUnion):
        return any(learns_from_documents(part) for _, part in estimator.transformer_list)
    learns = getattr(estimator, "_learns_from_documents", None)  # of ours that need `fit` for other reasons
    if learns is not None:
        return learns()
    return not hasattr(estimator, "__sklearn_tags__") or get_tags(estimator).requires_fit


def learns_terms_only(vectorizer):
    """Return whether a vectorizer learns the terms of the documents, and nothing else from all documents together.

    Parameters
    ----------
    vectorizer : transformer or None

    Returns
    -------
    bool
    """
    return isinstance(vectorizer, TermVectorizer) and vectorizer._learns_terms_only()
