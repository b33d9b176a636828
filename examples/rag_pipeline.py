"""
Retrieval-augmented generation, end to end
==========================================

Documents are split into passages, which Qdrant and BM25 search. Their rankings are fused and reranked. The best
passages become a context of limited length, numbered for citation, from which a generator answers. Because each step is
a step of a scikit-learn pipeline, everything is measured: the quality of the ranking, which step lost which document,
and how many answers had the documents that they needed. This takes about a minute.

.. code-block:: sh

    pip install 'sklrank[qdrant]'
    python examples/rag_pipeline.py
    python examples/rag_pipeline.py "Does vitamin D in pregnancy change birth weight?"

This needs no download: the encoder is latent semantic analysis, the reranker compares words and pairs of words, and the
generator copies sentences. Models come from the Hugging Face hub or from files (``pip install 'sklrank[onnx,hub]'``):

.. code-block:: sh

    python examples/rag_pipeline.py --encoder sentence-transformers/all-MiniLM-L6-v2 \
        --cross-encoder cross-encoder/ms-marco-MiniLM-L6-v2
"""

import argparse
import re
from pathlib import Path

from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import make_pipeline

from sklrank.datasets import load_scifact
from sklrank.encoders import OnnxTextEncoder, TermVectorizer
from sklrank.fusers import ScoreFuser
from sklrank.inspection import waterfall
from sklrank.metrics import evaluate
from sklrank.rerankers import CrossEncoderReranker, Cutoff, DenseReranker, PassageAggregator
from sklrank.retrievers import BM25Retriever, QdrantRetriever, RetrieverUnion


# %%
# The models. A name that ends in ``.onnx`` is a file with its ``tokenizer.json`` beside it. Any other name is a
# repository of the hub, or a folder with the files of one.
def encoder_of(model):
    if model is None:
        terms = TermVectorizer(language="english", min_df=2)
        svd = TruncatedSVD(200, n_iter=2, random_state=0)
        return make_pipeline(terms, TfidfTransformer(sublinear_tf=True), svd)
    return OnnxTextEncoder(model) if model.endswith(".onnx") else OnnxTextEncoder.from_hub(model)


def reranker_of(model):
    if model is None:
        terms = TermVectorizer(language="english", ngram_range=(1, 2))
        return DenseReranker(make_pipeline(terms, TfidfTransformer(sublinear_tf=True)), depth=30, tail="keep")
    new = CrossEncoderReranker if model.endswith(".onnx") else CrossEncoderReranker.from_hub
    return new(model, depth=30, tail="keep")


# %%
# Two retrievers search the passages, and their scores are fused. A reranker follows, and its score is fused with
# theirs. Without neural models, words have the greatest weight. With neural models, equal weights are a good start, and
# ``weights="learn"`` chooses the best weights for judged queries.
def build(passages, encoder=None, cross_encoder=None):
    union = RetrieverUnion(
        [
            ("bm25", BM25Retriever(passages, vectorizer=TermVectorizer(language="english"))),
            ("qdrant", QdrantRetriever(passages, encoder=encoder_of(encoder))),
        ]
    )
    share = 0.2 if encoder is None else 0.5
    hybrid = ScoreFuser("weighted", norm="zmuv", weights={"bm25": 1 - share, "qdrant": share})
    share, reread = (0.3, "dense") if cross_encoder is None else (0.5, "cross_encoder")
    weights = {"bm25": 0, "qdrant": 0, "score_fusion": 1 - share, reread: share}
    blend = ScoreFuser("weighted", norm="zmuv", weights=weights)
    return make_pipeline(union, hybrid, reranker_of(cross_encoder), blend).fit([])


# %%
# The generator is any function of a question and a list of passages that returns a text with citations such as ``[2]``.
# A language model is one: ``lambda question, passages: client.complete(prompt(question, passages))``. The one below
# copies, from each of the first two passages, the sentence that shares most words with the question.
def prompt(question, passages):
    numbered = "\n".join(f"[{i}] {passage}" for i, passage in enumerate(passages, 1))
    return f"Answer from these passages, and cite them by number.\n\n{numbered}\n\nQuestion: {question}\nAnswer:"


def words(text):
    return set(re.findall(r"\w+", text.lower()))


def extract(question, passages):
    chosen = []
    for i, passage in enumerate(passages[:2], 1):
        sentences = re.split(r"(?<=[.!?])\s+", passage)
        chosen.append(f"{max(sentences, key=lambda text: len(words(text) & words(question)))} [{i}]")
    return " ".join(chosen)


def answer(question, search, context, generate=extract):
    """Return an answer and the passages that it cites: records with docid, title, text and scores."""
    sources = context.transform(search.predict([question])).to_records(fields=["parent_id", "title", "text"])
    if not sources:
        return "Nothing was found.", []
    text = generate(question, [source["text"] for source in sources])
    cited = sorted({int(number) for number in re.findall(r"\[(\d+)\]", text)})
    return text, [(i, sources[i - 1]) for i in cited if 0 < i <= len(sources)]


# %%
# The rest is the program, which builds the pipeline, answers questions, and measures.
def model(name):
    if name.endswith(".onnx") and not Path(name).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {name!r}")
    return name


def figures(run, qrels, metrics):
    return ", ".join(f"{name} {value:.4f}" for name, value in evaluate(qrels, run, metrics).items())


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description="Answers questions from the abstracts of SciFact, and measures how well."
    )
    parser.add_argument("question", nargs="*", default=["Vitamin D deficiency is unrelated to birth weight."])
    parser.add_argument("--encoder", type=model, metavar="MODEL", help="hub repository or ONNX file; default: LSA")
    parser.add_argument(
        "--cross-encoder", type=model, metavar="MODEL", help="the same for the reranker; default: pairs of words"
    )
    parser.add_argument("--max-tokens", type=int, default=300, help="words of the context (default: %(default)s)")
    given = parser.parse_args(arguments)

    data = load_scifact()
    search = build(data.corpus.split(max_tokens=100, stride=75), given.encoder, given.cross_encoder)
    context = Cutoff(max_tokens=given.max_tokens, field="text")
    for question in given.question:
        text, sources = answer(question, search, context)
        print(f"{question}\n\n{text}\n")
        for i, source in sources:
            print(f"[{i}] {source['title']} (document {source['parent_id']}, score {source['score']:.2f})")

    # The ranking of passages is measured as a ranking of documents, and so is the context, whose ranks do not matter.
    run = search.predict(data.queries)
    documents = PassageAggregator()
    ranked, read = documents.transform(run), documents.transform(context.transform(run))
    print("\nRanking:", figures(ranked, data.qrels, ["ndcg@10", "recall@10", "recall@100"]))
    print("Context:", figures(read, data.qrels, ["success@100", "recall@100"]))
    print(f"\n{waterfall(make_pipeline(*(step for _, step in search.steps), documents), data.queries, data.qrels)}")


if __name__ == "__main__":
    main()
