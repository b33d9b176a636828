"""Arrays that kernels would trust, damaged: the boundary refuses them, and nothing is written beyond an array."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.preprocessing import FunctionTransformer

from sklrank import Corpus, Qrels, Queries, Run
from sklrank.encoders import TermVectorizer
from sklrank.metrics import ndcg_score
from sklrank.retrievers import (
    BM25Retriever,
    DFRRetriever,
    LanguageModelRetriever,
    SparseRetriever,
    TfidfRetriever,
)

DENSE = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [4.0, 0.0, 5.0]])
TEXTS = ["heat flows", "cold rests", "heat rests"]


def damaged(form, name, change):
    """A valid matrix, one of whose arrays was changed in place."""
    matrix = sp.csr_array(DENSE).asformat(form)
    array = getattr(matrix, name)
    array[:] = change(array.copy())
    return matrix


def beyond(indices):
    indices[-1] = 3
    return indices


def far_beyond(indices):
    indices[0] = 2**31 - 1
    return indices


def negative(indices):
    indices[0] = -1
    return indices


def decreasing(indptr):
    indptr[1] = indptr[-1] + 1
    return indptr


def late(indptr):
    indptr[0] = 1
    return indptr


def longer_than_data(indptr):
    indptr[-1] += 7
    return indptr


def without_some(name):
    def make():
        matrix = sp.csr_array(DENSE)
        setattr(matrix, name, getattr(matrix, name)[:-1])
        return matrix

    return make


DAMAGED = {
    **{
        f"{form}-{change.__name__}": lambda form=form, change=change: damaged(form, "indices", change)
        for form in ("csr", "csc", "bsr")
        for change in (beyond, far_beyond, negative)
    },
    **{
        f"{form}-{change.__name__}": lambda form=form, change=change: damaged(form, "indptr", change)
        for form in ("csr", "csc", "bsr")
        for change in (decreasing, late, longer_than_data)
    },
    **{
        f"coo-{name}-{change.__name__}": lambda name=name, change=change: damaged("coo", name, change)
        for name in ("row", "col")
        for change in (beyond, far_beyond, negative)
    },
    **{f"short {name}": without_some(name) for name in ("indices", "data", "indptr")},
}
every_damage = pytest.mark.parametrize("make", DAMAGED.values(), ids=DAMAGED)
USES = {
    "Run": Run,
    "Qrels": Qrels,
    "Corpus": Corpus,
    "Queries": Queries,
    "column": lambda matrix: Corpus(TEXTS).with_columns(weights=matrix),
    "documents": lambda matrix: BM25Retriever().fit(matrix),
    "TfidfRetriever": lambda matrix: TfidfRetriever().fit(matrix),
    "LanguageModelRetriever": lambda matrix: LanguageModelRetriever().fit(matrix),
    "DFRRetriever": lambda matrix: DFRRetriever().fit(matrix),
    "queries": lambda matrix: BM25Retriever().fit(sp.csr_array(DENSE)).predict(matrix),
    "SparseRetriever": lambda matrix: SparseRetriever().fit(matrix),
    "sparse queries": lambda matrix: SparseRetriever().fit(sp.csr_array(DENSE)).predict(matrix),
    "encoder": lambda matrix: SparseRetriever(Corpus(TEXTS), encoder=FunctionTransformer(lambda X: matrix)).fit([]),
    "vectorizer": lambda matrix: BM25Retriever(Corpus(TEXTS), vectorizer=FunctionTransformer(lambda X: matrix)).fit([]),
    "inverse_transform": lambda matrix: TermVectorizer().fit(["aa bb cc"]).inverse_transform(matrix),
    "metric": lambda matrix: ndcg_score(matrix, DENSE),
}


@every_damage
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_damaged_sparse_matrices_are_refused(make, use):
    with pytest.raises(ValueError, match="expected a valid"):
        use(make())


def test_a_matrix_that_is_damaged_after_it_became_a_corpus_is_refused_by_fit():
    matrix = sp.csr_array(DENSE)
    corpus = Corpus(matrix)
    matrix.indices[0] = 1000
    with pytest.raises(ValueError, match="indices beyond its shape"):
        BM25Retriever(corpus).fit([])


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
def test_every_format_gives_the_same_ranking(form):
    expected = BM25Retriever().fit(sp.csr_array(DENSE)).predict(sp.csr_array(DENSE))
    matrix = sp.csr_array(DENSE).asformat(form)
    run = BM25Retriever().fit(matrix).predict(matrix)
    assert run.docids == expected.docids
    assert run.scores.tolist() == expected.scores.tolist()
    assert np.asarray(Run(matrix)).tolist() == DENSE.tolist()


def test_matrices_without_rows_or_columns_are_valid():
    assert len(Run(sp.csr_array((0, 5)))) == 0
    assert Run(sp.csc_array((3, 0))).shape == (3, 0)


@pytest.mark.parametrize("fit", [BM25Retriever, SparseRetriever, TfidfRetriever])
def test_term_weights_beyond_single_precision_are_refused(fit):
    with pytest.raises(ValueError, match="finite in single precision, got 1e\\+39"):
        fit().fit(sp.csr_array([[1e39, 1.0], [1.0, 1.0]]))
    with pytest.raises(ValueError, match="finite in single precision, got 1e\\+39"):
        fit().fit(sp.csr_array([[1.0, 1.0]])).predict(sp.csr_array([[1e39, 0.0]]))
