"""scikit-learn's own checks over every public estimator; retrievers index the matrix that they are fitted with."""

import inspect

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import check_array_api_input, parametrize_with_checks

import sklrank.encoders
import sklrank.fusers
import sklrank.rerankers
import sklrank.retrievers


def needs_an_argument(value):
    """Whether it is made of other estimators, or of a function or a file, which scikit-learn's checks have none of."""
    parameters = inspect.signature(value).parameters.values()
    return any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


FEEDBACK = [
    getattr(sklrank.retrievers, name)(sklrank.retrievers.BM25Retriever())
    for name in ("Bo1Retriever", "KLRetriever", "RM3Retriever", "RocchioRetriever")
]
ESTIMATORS = FEEDBACK + [
    value()
    for room in (sklrank.encoders, sklrank.fusers, sklrank.rerankers, sklrank.retrievers)
    for name in room.__all__
    if inspect.isclass(value := getattr(room, name))
    if issubclass(value, BaseEstimator) and not needs_an_argument(value)
]
ONE_NUMBER = "wants one number a sample from predict, which gives a Run of shape (n_queries, n_documents)"


def expected_failures(estimator):
    tags = estimator.__sklearn_tags__().input_tags
    if not tags.two_d_array or not tags.sparse or not hasattr(estimator, "predict"):
        return {}
    return {"check_estimator_sparse_array": ONE_NUMBER, "check_estimator_sparse_matrix": ONE_NUMBER}


checks = parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures, xfail_strict=True)


@checks
def test_scikit_learns_checks(estimator, check):
    if check.func is check_array_api_input:
        return  # runs only where SCIPY_ARRAY_API is set before SciPy is imported; nobody here claims the array API
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_estimators_are_named_for_their_role(estimator):
    roles = ("Retriever", "Vectorizer", "Encoder", "Fuser", "Reranker", "Aggregator", "Cutoff")
    assert type(estimator).__name__.endswith(roles)
    assert type(estimator).__module__.rpartition(".")[2].startswith("_")


def test_no_parameter_has_the_name_of_a_method():
    for room in (sklrank.encoders, sklrank.fusers, sklrank.rerankers, sklrank.retrievers):
        for name in room.__all__:
            value = getattr(room, name)
            if inspect.isclass(value):
                parameters = set(inspect.signature(value).parameters)
                assert not [parameter for parameter in parameters if callable(getattr(value, parameter, None))], name
