"""
Hybrid search, and the gain of fusion
=====================================

BM25 matches words. Latent semantic analysis (LSA) matches topics: it is a singular value decomposition of the corpus,
which needs no pretrained model. Each finds documents that the other misses, so their rankings are fused.

The claim of this example: fusion of two rankings as equals harms search if one of them is worse. Fusion with weights
learned from other queries helps. A mean is a sum of gains and losses, and a plot query by query shows both.
"""

# %%
# Two retrievers over one corpus, and their candidates for the test queries, with one column of scores per retriever.
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
# Before the fusion: how far do the two agree, what does each find alone, and does it help to fuse them as equals? About
# half of the first ten documents of one are also among the first ten of the other. If each query had the better of the
# two rankings, nDCG@10 would be .74, so that a gain is possible.
from sklrank.inspection import diagnose

diagnosis = diagnose(candidates, test.qrels)
print(diagnosis)

# %%
# But LSA is weaker, and reciprocal rank fusion gives it the same weight as BM25. Among their first hundred documents,
# each has relevant ones that the other lacks:
import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(7, 2.5), layout="constrained")
diagnosis.plot(ax=ax)
plt.show()

# %%
# With ``weights="learn"``, a fuser learns weights from the training queries.
from sklrank.fusers import ReciprocalRankFuser, ScoreFuser

equals = make_pipeline(union, ReciprocalRankFuser()).fit(train.queries)
learned = make_pipeline(union, ScoreFuser("weighted", weights="learn")).fit(train.queries, train.qrels)
learned[-1].weights_

# %%
# The comparison uses the test queries. The gain is small, and it is significant.
from sklrank.metrics import compare

runs = {
    "bm25": bm25.fit(test.queries).predict(test.queries),
    "equals": equals.predict(test.queries),
    "learned": learned.predict(test.queries),
}
comparison = compare(test.qrels, runs, ["ndcg@10", "recall@100"], baseline="bm25")
print(comparison)

# %%
# Query by query: fusion as equals helps 45 queries and harms 71. With weights, nearly all losses disappear, and a part
# of the gains remains.
from sklrank.metrics import PerQueryDisplay

figure, axes = plt.subplots(1, 2, sharey=True, figsize=(9, 3.5), layout="constrained")
for ax, name in zip(axes, ("equals", "learned")):
    PerQueryDisplay.from_comparison(comparison, run=name, baseline="bm25", ax=ax)
    ax.set_title(name)
plt.show()

# %%
# Why did a document rise? This is the query that gained most and its relevant document, with the ranks of each system.
import numpy as np

from sklrank.inspection import explain

gains = comparison.values["ndcg@10"][2] - comparison.values["ndcg@10"][0]
qid = comparison.qids["ndcg@10"][np.argmax(gains)]
relevant = next(docid for docid, grade in test.qrels.to_dict()[qid].items() if grade > 0)
print(test.queries.texts[test.queries.ids.tolist().index(qid)])
print(explain(runs["learned"], qid, relevant))
