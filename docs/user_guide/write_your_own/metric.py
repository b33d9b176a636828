import numpy as np

from sklrank import Qrels, Run
from sklrank.metrics import make_rank_scorer


def screen_score(y_true, y_pred, *, size=3, average="mean"):
    """Return 1 / n if the first relevant document is on the n-th screen; 0 if there is none."""
    qrels = y_true if isinstance(y_true, Qrels) else Qrels(y_true)
    run = y_pred if isinstance(y_pred, Run) else Run(y_pred)
    values = []
    for grades, docids in zip(qrels.judgments, run.align(qrels.queries).docids):
        relevant = [position for position, docid in enumerate(docids) if grades.get(docid, 0) > 0]
        values.append(1 / (relevant[0] // size + 1) if relevant else 0.0)
    return np.array(values) if average is None else float(np.mean(values))


assert screen_score({"q": {"d4": 1}}, {"q": ["d1", "d2", "d3", "d4"]}) == 0.5
scorer = make_rank_scorer(screen_score, size=5)  # for the scoring= of GridSearchCV and cross_validate
