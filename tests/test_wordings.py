"""A parameter that several public classes share is documented by the same sentence in each."""

import inspect
import re
from collections import defaultdict

import pytest
from numpydoc.docscrape import NumpyDocString

from tests.test_docstrings import OBJECTS

# Groups of classes in which a parameter means something else than in the other classes that have it.
OTHER_MEANINGS = {
    "beta": [{"RocchioRetriever"}],
    "cache": [{"RetrieverUnion"}],
    "depth": [{"RocchioRetriever"}],
    "differences": [{"PerQueryDisplay"}],
    "dtype": [{"SparseRetriever"}, {"TermVectorizer"}],
    "gamma": [{"RocchioRetriever"}],
    "ids": [{"DocumentIds"}, {"Queries"}],
    "lambda_": [{"LanguageModelRetriever"}, {"PM2Reranker"}],
    "max_df": [{"TermVectorizer"}],
    "method": [{"BM25Retriever"}],
    "metric": [
        {"ComparisonDisplay", "PerQueryDisplay"},
        {"ProbabilisticFuser", "RankFuser", "ReciprocalRankFuser", "ScoreFuser"},
    ],
    "model": [{"DFRRetriever"}],
    "n_candidates": [{"QdrantRetriever"}],
    "name": [{"ColumnScorer"}],
    "normalize": [{"OnnxTextEncoder", "OnnxTokenEncoder"}],
    "qids": [{"Comparison"}],
    "queries": [{"Queries"}],
    "retriever": [{"LateInteractionRetriever"}],
    "table": [{"SQLSource"}],
    "tokenizer": [{"Cutoff"}, {"TermVectorizer"}],
    "values": [{"Comparison"}],
    "weights": [{"BM25FRetriever"}, {"PM2Reranker", "XQuADReranker"}],
    "window": [{"CallableReranker"}],
}


def first_sentences():
    """Name of a parameter → class → its first sentence."""
    sentences = defaultdict(dict)
    for path, value in OBJECTS.items():
        if inspect.isclass(value):
            for parameter in NumpyDocString(inspect.getdoc(value))["Parameters"]:
                text = " ".join(line.strip() for line in parameter.desc)
                sentence = re.split(r"(?<=[.;:])(?:\s|$)", text)[0].rstrip(".;:")
                sentences[parameter.name][path.rpartition(".")[2]] = sentence
    return sentences


SENTENCES = first_sentences()


@pytest.mark.parametrize("name", sorted(name for name, classes in SENTENCES.items() if len(classes) > 1))
def test_shared_parameters_have_one_sentence(name):
    others = OTHER_MEANINGS.get(name, [])
    groups = [SENTENCES[name].keys() - set().union(*others), *others]
    for group in groups:
        found = {SENTENCES[name][class_name] for class_name in group}
        assert len(found) == 1, f"{name} is documented in {len(found)} ways: {found}"
