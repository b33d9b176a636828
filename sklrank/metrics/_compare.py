"""Comparison of runs."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from sklrank._validation import Interval, StrOptions, validate_params
from sklrank.metrics._comparison import Comparison
from sklrank.metrics._functions import as_metrics
from sklrank.metrics._judged import align
from sklrank.metrics._significance import (
    bootstrap,
    correct,
    detectable_effect,
    deviations,
    paired_t,
    randomization,
    round_off,
    tukey_hsd,
    wilcoxon,
)

_PAIRED = {"paired_t": paired_t, "wilcoxon": wilcoxon}
_RESAMPLING = {"randomization": randomization, "bootstrap": bootstrap}


@validate_params(
    {
        "test": [StrOptions({*_PAIRED, *_RESAMPLING, "tukey_hsd"})],
        "correction": [StrOptions({"holm", "bonferroni", "bh"}), None],
        "baseline": [str, None],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "n_resamples": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def compare(
    qrels,
    runs,
    metrics,
    *,
    test="paired_t",
    correction="holm",
    baseline=None,
    confidence=0.95,
    n_resamples=9999,
    random_state=None,
):
    """Compare runs on the same queries by tests of significance.

    Parameters
    ----------
    qrels : Qrels or whatever they are made from
        Judgments.
    runs : dict of str to Run, or list of Run
        The runs by name. In a list, each run has a name of its own.
    metrics : str, callable, or list of these
        Names of metrics that are means over queries, such as ``"ndcg@10"``, or functions ``(y_true, y_pred)`` that
        return one number per query; see `make_rank_scorer` for their arguments.
    test : {"paired_t", "randomization", "wilcoxon", "bootstrap", "tukey_hsd"}, default="paired_t"
        Two-sided test of the differences, query by query.
    correction : {"holm", "bonferroni", "bh"} or None, default="holm"
        Adjustment of p values for the number of comparisons by one metric. Tukey's test needs none.
    baseline : str, default=None
        Name of the run that the others are compared with. If None, all pairs are compared.
    confidence : float, default=0.95
        Level of the confidence intervals. Differences with p below ``1 - confidence`` are significant.
    n_resamples : int, default=9999
        Number of random assignments of signs, or of bootstrap samples.
    random_state : int, RandomState instance or None, default=None
        Seed of the random numbers. An int makes the tests that draw at random reproducible.

    Returns
    -------
    Comparison

    Warns
    -----
    UserWarning
        If a run lacks judged queries.

    See Also
    --------
    evaluate : Evaluate one run.

    Notes
    -----
    Judged queries that a run lacks count 0 for this run, and a warning gives their number. To compare only on the
    queries of a run, pass ``qrels.align(run.queries)``.

    ``"randomization"`` flips the signs of the differences at random. Its p value is (b + 1) / (B + 1) if b of B draws
    are at least as extreme as the observed difference; it is exact if there are at most `n_resamples` assignments of
    signs. ``"bootstrap"`` draws queries with replacement from differences shifted to mean 0, and gives percentile
    intervals. ``"tukey_hsd"`` is a two-way analysis of variance without interaction, with runs and queries as factors.
    It compares all pairs of runs at once by the studentized range; for two runs it equals the paired t test. The
    intervals of the other tests are Student's and are not corrected.

    References
    ----------
    Smucker, M. D., Allan, J., & Carterette, B. (2007). A comparison of statistical significance tests for information
    retrieval evaluation. CIKM 2007.

    Carterette, B. (2012). Multiple testing in statistical analysis of systems-based information retrieval experiments.
    ACM Transactions on Information Systems, 30(1), article 4.

    Sakai, T. (2014). Statistical reform in information retrieval? ACM SIGIR Forum, 48(1).

    Examples
    --------
    >>> from sklrank.metrics import compare
    >>> qrels = {f"q{i}": {"a": 1} for i in range(8)}
    >>> good = {f"q{i}": {"a": 2.0, "b": 1.0} for i in range(8)}
    >>> bad = {f"q{i}": {"a": 1.0, "b": i % 4} for i in range(8)}
    >>> print(compare(qrels, {"good": good, "bad": bad}, "mrr", baseline="bad"))
       run   mrr
    a  good  1.0000 b
    b  bad   0.6250
    <BLANKLINE>
    metric  run   against  difference  95 %                p       d_z    won/tied/lost  detectable
    mrr     good  bad      +0.3750     [+0.1815, +0.5685]  0.0025  +1.62  6/2/0          0.2676
    <BLANKLINE>
    8 queries. Letters: better than that run, paired_t, holm, p < 0.05.
    """
    runs = _named(runs)
    if baseline is not None and baseline not in runs:
        raise ValueError(f"baseline={baseline!r} is not one of the runs: {', '.join(map(repr, runs))}")
    chosen = as_metrics(metrics)
    for metric in chosen:
        if metric.how != "mean":
            raise ValueError(f"{metric.name!r} is not a mean over queries, so its differences cannot be tested")
    names = list(runs)
    if baseline is None:
        pairs = [(a, b) for b in range(len(names)) for a in range(b + 1, len(names))]
    else:
        pairs = [(a, names.index(baseline)) for a, name in enumerate(names) if name != baseline]
    aligned = [align(qrels, run) for run in runs.values()]
    _warn_of_missing(names, aligned)
    rng = check_random_state(random_state)
    if test == "tukey_hsd":  # holds for all pairs together
        correction = None
    values, qids, tests = {}, {}, []
    for metric in chosen:
        values[metric.name], qids[metric.name] = _matrix(metric, aligned)
        tests += _test(metric.name, names, values[metric.name], pairs, test, correction, confidence, n_resamples, rng)
    settings = {"test": test, "correction": correction, "confidence": confidence, "baseline": baseline}
    return Comparison(names, values, qids, tests, settings)


def _named(runs):
    if isinstance(runs, dict):
        named = {str(name): run for name, run in runs.items()}
    else:
        named = {getattr(run, "name", None): run for run in runs}
        if None in named or len(named) < len(runs):
            raise ValueError("runs in a list need names, all different; set them, or pass a dict {name: run}")
    if not named:
        raise ValueError("no run to compare")
    return named


def _warn_of_missing(names, aligned):
    """Warn of runs that lack judged queries: this alone may explain their differences."""
    for name, judged in zip(names, aligned):
        missing = int((judged.has_judgments & ~judged.in_run).sum())
        if missing:
            warnings.warn(
                f"run {name!r} lacks {missing} of {int(judged.has_judgments.sum())} judged queries, which count 0 in "
                "it: compare runs of the same queries, or pass qrels.align(run.queries)",
                UserWarning,
                stacklevel=4,
            )


def _matrix(metric, aligned):
    """Return the value of each run for each query that counts, and these queries."""
    values, counts = zip(*(metric.values(judged) for judged in aligned))
    counted = np.logical_and.reduce(counts)
    rows = np.array(values)[:, counted]
    if rows.shape[1] < 2:
        raise ValueError(f"{metric.name!r}: {rows.shape[1]} judged queries; a comparison needs at least two")
    return rows, aligned[0].qids[counted]


def _test(metric, names, values, pairs, test, correction, confidence, n_resamples, rng):
    """Test each pair of runs; return one dict per pair."""
    if not pairs:
        return []
    values = round_off(values, values)
    differences = round_off(np.array([values[a] - values[b] for a, b in pairs]), values)
    if test == "tukey_hsd":
        p, intervals = tukey_hsd(values, pairs, confidence)
    elif test in _RESAMPLING:
        p, intervals = _RESAMPLING[test](differences, confidence, n_resamples, rng)
    else:
        p, intervals = _PAIRED[test](differences, confidence)
    adjusted = correct(p, correction)
    mean, deviation = differences.mean(axis=1), deviations(differences)
    effect = np.divide(mean, deviation, out=np.where(mean == 0, 0.0, np.copysign(np.inf, mean)), where=deviation > 0)
    detectable = detectable_effect(values.shape[1], 1 - confidence) * deviation
    wins, losses = (differences > 0).sum(axis=1), (differences < 0).sum(axis=1)
    return [
        {
            "metric": metric,
            "run": names[a],
            "baseline": names[b],
            "difference": float(mean[i]),
            "low": float(intervals[i, 0]),
            "high": float(intervals[i, 1]),
            "p": float(p[i]),
            "p_adjusted": float(adjusted[i]),
            "significant": bool(adjusted[i] < 1 - confidence),
            "effect_size": float(effect[i]),
            "wins": int(wins[i]),
            "ties": int(values.shape[1] - wins[i] - losses[i]),
            "losses": int(losses[i]),
            "detectable": float(detectable[i]),
        }
        for i, (a, b) in enumerate(pairs)
    ]
