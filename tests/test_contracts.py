"""The contracts of `sklrank.testing`, and our own, over every public retriever, fuser and reranker."""

import inspect
from functools import partial

import pytest
from contracts import retriever_contracts
from onnx_models import text_model, tokenizer
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklrank.fusers
import sklrank.rerankers
import sklrank.retrievers
from sklrank.base import Fuser, Reranker
from sklrank.data import TokenVectors
from sklrank.encoders import TermVectorizer
from sklrank.fusers import ProbabilisticFuser, RankFuser, ReciprocalRankFuser, ScoreFuser
from sklrank.rerankers import (
    CallableReranker,
    CascadeReranker,
    CrossEncoderReranker,
    Cutoff,
    DenseReranker,
    DPPReranker,
    MaxSimReranker,
    MMRReranker,
    PM2Reranker,
    XQuADReranker,
)
from sklrank.retrievers import (
    BM25Retriever,
    KLRetriever,
    LanguageModelRetriever,
    RM3Retriever,
    RocchioRetriever,
    TfidfRetriever,
)
from sklrank.testing import fuser_contracts, reranker_contracts

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


def shared_words(query, documents):
    """A function that rates documents, as one that asks a model would."""
    return [len(set(query.split()) & set(document.split())) for document in documents]


FUSERS = {
    "ReciprocalRankFuser": ReciprocalRankFuser,
    "ReciprocalRankFuser-learned": partial(ReciprocalRankFuser, weights="learn"),
    "RankFuser": RankFuser,
    "ScoreFuser": ScoreFuser,
    "ScoreFuser-learned": partial(ScoreFuser, weights="learn"),
    "ProbabilisticFuser": ProbabilisticFuser,
}
MODEL = {"model": text_model("score"), "tokenizer": tokenizer().to_str().encode()}
RERANKERS = {
    "CallableReranker": partial(CallableReranker, shared_words, backoff=0),
    "CascadeReranker": partial(CascadeReranker, [("dense", DenseReranker(DENSE), 3), ("mmr", MMRReranker(), None)]),
    "CrossEncoderReranker": partial(CrossEncoderReranker, **MODEL),
    "Cutoff": partial(Cutoff, threshold=0.02),
    "DPPReranker": DPPReranker,
    "DenseReranker": partial(DenseReranker, DENSE),
    "DenseReranker-tail": partial(DenseReranker, DENSE, depth=2, tail="keep"),
    "MMRReranker": MMRReranker,
    "MaxSimReranker": partial(MaxSimReranker, FunctionTransformer(word_vectors)),
    "PM2Reranker": partial(PM2Reranker, ["bm25", "tfidf"]),
    "XQuADReranker": partial(XQuADReranker, ["bm25", "tfidf"]),
}
OTHER_DOCUMENTS = {"PassageAggregator"}  # what it gives are not documents of the candidates' corpus: see test_passages


@pytest.mark.parametrize("contract", fuser_contracts(), ids=lambda contract: contract.__name__)
@pytest.mark.parametrize("make", FUSERS.values(), ids=FUSERS)
def test_contract_of_fusers(make, contract):
    contract(make)


@pytest.mark.parametrize("contract", reranker_contracts(), ids=lambda contract: contract.__name__)
@pytest.mark.parametrize("make", RERANKERS.values(), ids=RERANKERS)
def test_contract_of_rerankers(make, contract):
    contract(make)


@pytest.mark.parametrize(
    ("room", "base", "tested"), [(sklrank.fusers, Fuser, FUSERS), (sklrank.rerankers, Reranker, RERANKERS)]
)
def test_no_fuser_and_no_reranker_is_left_out(room, base, tested):
    public = {
        name for name in room.__all__ if isinstance(value := getattr(room, name), type) and issubclass(value, base)
    }
    assert public - OTHER_DOCUMENTS == {name.partition("-")[0] for name in tested}
