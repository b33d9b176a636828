"""Our own battery over every retriever."""

import inspect

import pytest
from contracts import retriever_contracts

import sklrank.retrievers
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import BM25Retriever, LanguageModelRetriever, TfidfRetriever

RETRIEVERS = {
    **{
        name: value
        for name in sklrank.retrievers.__all__
        if next(iter(inspect.signature(value := getattr(sklrank.retrievers, name)).parameters)) == "corpus"
    },
    "BM25Retriever-stemmed": lambda corpus: BM25Retriever(corpus, vectorizer=TermVectorizer(stemmer="english")),
    "BM25Retriever-bm25l": lambda corpus: BM25Retriever(corpus, method="bm25l"),
    "LanguageModelRetriever-jelinek-mercer": lambda corpus: LanguageModelRetriever(corpus, smoothing="jelinek-mercer"),
    "TfidfRetriever-sublinear": lambda corpus: TfidfRetriever(corpus, sublinear_tf=True),
}


@pytest.mark.parametrize(
    "contract", list(retriever_contracts()), ids=lambda contract: contract.__name__.removeprefix("contract_")
)
@pytest.mark.parametrize("make", RETRIEVERS.values(), ids=RETRIEVERS)
def test_contract(make, contract):
    contract(make)
