"""Our own battery over every retriever."""

import inspect
from functools import partial

import pytest
from contracts import retriever_contracts
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklrank.retrievers
from sklrank.data import TokenVectors
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import (
    BM25Retriever,
    KLRetriever,
    LanguageModelRetriever,
    RM3Retriever,
    RocchioRetriever,
    TfidfRetriever,
)

HASHED = HashingVectorizer(n_features=64, alternate_sign=False)


def word_vectors(texts):
    """A matrix for each text, a row for each word."""
    return TokenVectors.from_list([HASHED.transform(["", *text.split()]).toarray()[1:] for text in texts])


def to_dense(matrix):
    """A parameter whose name does not say what it does: what depends on it is kept by its code."""
    return matrix.toarray()


# for texts; the others take one dense vector
ENCODERS = {"LateInteractionRetriever": FunctionTransformer(word_vectors), "SparseRetriever": HASHED}
DENSE = make_pipeline(HASHED, FunctionTransformer(to_dense, accept_sparse=True))


def makers():
    """For each public retriever over a corpus what makes one for texts."""
    for name in sklrank.retrievers.__all__:
        retriever = getattr(sklrank.retrievers, name)
        parameters = inspect.signature(retriever).parameters
        if next(iter(parameters)) == "corpus" and name != "QdrantRetriever":  # slow: see test_qdrant
            encoder = {"encoder": ENCODERS.get(name, DENSE)} if "encoder" in parameters else {}
            yield name, partial(retriever, **encoder)


RETRIEVERS = {
    **dict(makers()),
    "BM25Retriever-stemmed": lambda corpus: BM25Retriever(corpus, vectorizer=TermVectorizer(stemmer="english")),
    "BM25Retriever-bm25l": lambda corpus: BM25Retriever(corpus, method="bm25l"),
    "LanguageModelRetriever-jelinek-mercer": lambda corpus: LanguageModelRetriever(corpus, smoothing="jelinek-mercer"),
    "TfidfRetriever-sublinear": lambda corpus: TfidfRetriever(corpus, sublinear_tf=True),
    "RM3Retriever": lambda corpus: RM3Retriever(BM25Retriever(corpus)),
    "KLRetriever": lambda corpus: KLRetriever(LanguageModelRetriever(corpus)),
    "RocchioRetriever": lambda corpus: RocchioRetriever(TfidfRetriever(corpus)),
}


@pytest.mark.parametrize(
    "contract", list(retriever_contracts()), ids=lambda contract: contract.__name__.removeprefix("contract_")
)
@pytest.mark.parametrize("make", RETRIEVERS.values(), ids=RETRIEVERS)
def test_contract(make, contract):
    contract(make)
