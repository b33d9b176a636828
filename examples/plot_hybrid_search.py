"""
Hybrid search, and what fusion adds
===================================

BM25 matches words. Latent semantic analysis (LSA) matches topics: a singular value decomposition of the corpus, which
needs no model from elsewhere. Each finds what the other misses, so their rankings are fused.

The claim of this example: to fuse two rankings as equals harms search where one of them is worse; with weights learned
from other queries it helps. The mean is a sum of gains and losses, and query by query one sees both.
"""

# %%
# Two retrievers over one corpus, and what they make of the test queries: candidates with one column of scores each.
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import make_pipeline

from sklrank.datasets import load_scifact
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import BM25Retriever, DenseRetriever, RetrieverUnion

train, test = load_scifact("train"), load_scifact("test")
bm25 = BM25Retriever(train.corpus, vectorizer=TermVectorizer(language="english"))
lsa = make_pipeline(
    TermVectorizer(language="english", min_df=2),
    TfidfTransformer(sublinear_tf=True),
    TruncatedSVD(300, n_iter=2, random_state=0),
)
union = RetrieverUnion([("bm25", bm25), ("lsa", DenseRetriever(train.corpus, encoder=lsa))])
candidates = union.fit_transform(test.queries)

# %%
# Before anything is fused: how do the two agree, what does each find alone, and does it help to fuse them as equals?
# About half of what one has among its first ten the other has, too, and if each query had the better of the two,
# nDCG@10 would be .74. There is something to gain.
from sklrank.inspection import diagnose

diagnosis = diagnose(candidates, test.qrels)
print(diagnosis)

# %%
# But LSA is the weaker one, and reciprocal rank fusion believes it as much as BM25. Among their first hundred, each has
# relevant documents that the other lacks:
import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(7, 2.5), layout="constrained")
diagnosis.plot(ax=ax)
plt.show()

# %%
# A fuser learns weights when it is told to, on the training queries.
from sklrank.fusers import ReciprocalRankFuser, ScoreFuser

equals = make_pipeline(union, ReciprocalRankFuser()).fit(train.queries)
learned = make_pipeline(union, ScoreFuser("weighted", weights="learn")).fit(train.queries, train.qrels)
learned[-1].weights_

# %%
# The test queries judge. The gain is small, and it is no accident.
from sklrank.metrics import compare

runs = {
    "bm25": bm25.fit(test.queries).predict(test.queries),
    "equals": equals.predict(test.queries),
    "learned": learned.predict(test.queries),
}
comparison = compare(test.qrels, runs, ["ndcg@10", "recall@100"], baseline="bm25")
print(comparison)

# %%
# Query by query: as equals, the two help 45 queries and harm 71. With weights the losses are nearly gone, and a part of
# the gains is left.
from sklrank.metrics import PerQueryDisplay

figure, axes = plt.subplots(1, 2, sharey=True, figsize=(9, 3.5), layout="constrained")
for ax, name in zip(axes, ("equals", "learned")):
    PerQueryDisplay.from_comparison(comparison, run=name, baseline="bm25", ax=ax)
    ax.set_title(name)
plt.show()

# %%
# Why a document rose: the query that gained most, and its relevant document, system by system.
import numpy as np

from sklrank.inspection import explain

gains = comparison.values["ndcg@10"][2] - comparison.values["ndcg@10"][0]
qid = comparison.qids["ndcg@10"][np.argmax(gains)]
relevant = next(docid for docid, grade in test.qrels.to_dict()[qid].items() if grade > 0)
print(test.queries.texts[test.queries.ids.tolist().index(qid)])
print(explain(runs["learned"], qid, relevant))
