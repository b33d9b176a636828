from sklrank import Qrels, Run
from sklrank.metrics import evaluate, make_rank_scorer


def screen_score(y_true, y_pred, *, size=3):
    """Return 1 / n for each query whose first relevant document is on the n-th screen; 0 if there is none."""
    values = []
    for grades, docids in zip(y_true, y_pred.docids):
        relevant = [position for position, docid in enumerate(docids) if grades.get(docid, 0) > 0]
        values.append(1 / (relevant[0] // size + 1) if relevant else 0.0)
    return values


qrels, run = Qrels({"q": {"d4": 1}}), Run({"q": ["d1", "d2", "d3", "d4"]})
assert evaluate(qrels, run, [screen_score, "mrr"]) == {"screen_score": 0.5, "mrr": 0.25}
scorer = make_rank_scorer(screen_score, size=5)  # for the scoring= of GridSearchCV and cross_validate
