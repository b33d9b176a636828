"""
Two-stage search: quality against latency
=========================================

A first stage searches all documents, and a reranker examines its first candidates more closely. Their number is the
depth of the reranker. The greater the depth, the longer a query takes.

The claim of this example: rerankers gain nearly all of their effect on the first ten candidates. Two hundred candidates
take several times as long. If the score of the first stage is not used any more, a greater depth is worse.
"""

# %%
# Two rerankers that need no pretrained model. The first compares token by token (MaxSim). The vector of a term is its
# row in a latent semantic analysis of the corpus, and rare terms of a query have greater weights.
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklrank.data import TokenVectors
from sklrank.datasets import load_scifact
from sklrank.encoders import TermVectorizer
from sklrank.rerankers import DenseReranker, MaxSimReranker

data = load_scifact()
texts = data.corpus.text().tolist()
terms, tfidf = TermVectorizer(language="english"), TfidfTransformer(sublinear_tf=True)
svd = TruncatedSVD(64, n_iter=2, random_state=0).fit(tfidf.fit_transform(terms.fit_transform(texts)))
vectors = (svd.components_.T * svd.singular_values_).astype(np.float32)


def tokens(texts):
    """Return a vector for each term of each text."""
    counts = terms.transform(texts)
    return TokenVectors(vectors[counts.indices], counts.indptr)


def weights(query):
    """Return the weight of each term of a query."""
    return tfidf.idf_[terms.transform([query]).indices]


corpus = data.corpus.with_columns(tokens=tokens(texts))
maxsim = MaxSimReranker(query_encoder=FunctionTransformer(tokens), query_weights=weights, field="tokens")

# %%
# The second compares queries with titles by pieces of words, of three letters each. A neural model is used in the same
# way: ``MaxSimReranker(OnnxTokenEncoder(...))`` for the first, ``CrossEncoderReranker.from_hub(...)`` for either.
letters = make_pipeline(TermVectorizer(analyzer="char_wb", ngram_range=(3, 3)), TfidfTransformer(sublinear_tf=True))
titles = DenseReranker(letters, field="title")

# %%
# After BM25, they rank alone, or their scores are added to the scores of BM25. The vectors of documents are computed
# before, so that only queries are timed: the time is the shortest of five runs over the first hundred.
from functools import partial
from timeit import repeat

from sklrank.fusers import ScoreFuser
from sklrank.metrics import ndcg_score
from sklrank.retrievers import BM25Retriever


def measure(pipe, depth):
    """Return the milliseconds per query, nDCG@10, and the run."""
    run = pipe.set_params(bm25retriever__k=depth).fit(data.queries).predict(data.queries)
    seconds = min(repeat(partial(pipe.predict, data.queries[:100]), number=1, repeat=5))
    return 10 * seconds, ndcg_score(data.qrels, run, k=10), run


bm25 = BM25Retriever(corpus, vectorizer=TermVectorizer(language="english"))
blend = ScoreFuser(norm="zmuv")
rerankers = {
    "BM25 + MaxSim + titles": (titles, maxsim, blend),
    "BM25 + MaxSim": (maxsim, blend),
    "MaxSim alone": (maxsim,),
}
depths = [10, 50, 200]
alone = measure(make_pipeline(bm25), 10)
curves = {
    name: [alone, *(measure(make_pipeline(bm25, *steps), depth) for depth in depths)]
    for name, steps in rerankers.items()
}

# %%
# Points at the top left are best.
import matplotlib.pyplot as plt

figure, ax = plt.subplots(layout="constrained")
for (name, points), color in zip(curves.items(), ("C0", "C1", "C2")):
    times, values, _ = zip(*points)
    ax.plot(times, values, "o-", color=color, label=name)
    for depth, time, value in zip(depths, times[1:], values[1:]):
        ax.annotate(depth, (time, value), xytext=(4, 5), textcoords="offset points", color=color)
ax.plot(*alone[:2], "*", color="black", markersize=12, label="BM25, no reranker")
ax.set(xscale="log", xlabel="time per query (ms)", ylabel="nDCG@10")
ax.set_xticks([0.1, 0.3, 1, 3], labels=["0.1", "0.3", "1", "3"])
ax.margins(0.08)
ax.legend(title="numbers are depths", loc="lower left")
plt.show()

# %%
# The gain is significant. The part that the candidates after the tenth add to it is not.
from sklrank.metrics import compare

best = curves["BM25 + MaxSim + titles"]
runs = {"BM25": alone[2], "depth 10": best[1][2], "depth 200": best[-1][2]}
print(compare(data.qrels, runs, ["ndcg@10"]))

# %%
# Two hundred candidates include most of the relevant documents that ten candidates lack. The rerankers lose most of
# them again: these documents stay, or come, below the tenth rank.
from sklrank.inspection import waterfall

deep = make_pipeline(bm25, titles, maxsim, blend).set_params(bm25retriever__k=200).fit(data.queries)
report = waterfall(deep, data.queries, data.qrels)
report.plot()
plt.show()

# %%
# The printed report shows this for each document.
print(report)
