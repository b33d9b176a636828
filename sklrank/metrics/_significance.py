"""Tests of paired differences, and corrections for many of them."""

import numpy as np
from scipy import optimize, stats

SAME = 1e-12  # numbers at most this far apart differ only by rounding
_CELLS = 1 << 22  # number of random signs or draws held at a time


def round_off(differences, values):
    """Round to 12 decimals, or fewer for values above 1, so that differences equal except for rounding become equal.

    Parameters
    ----------
    differences : ndarray
    values : ndarray
        Values whose differences they are. The greater these are, the fewer decimals remain.

    Returns
    -------
    ndarray
    """
    greatest = np.abs(values).max(initial=1.0)
    return np.round(differences, 12 - int(np.ceil(np.log10(greatest)))) + 0.0  # no -0.0


def deviations(differences):
    """Return the standard deviation of each row; exactly 0 if all values are equal, in spite of rounding."""
    return np.where(np.ptp(differences, axis=1) > 0, differences.std(axis=1, ddof=1), 0.0)


def paired_t(differences, confidence):
    """Test each row of `differences` by Student's t test.

    Parameters
    ----------
    differences : ndarray of shape (n_pairs, n_queries)
    confidence : float
        Level of the confidence intervals.

    Returns
    -------
    p : ndarray of shape (n_pairs,)
    intervals : ndarray of shape (n_pairs, 2)
    """
    n = differences.shape[1]
    mean, error = differences.mean(axis=1), deviations(differences) / np.sqrt(n)
    t = np.divide(mean, error, out=np.where(mean == 0, 0.0, np.inf), where=error > 0)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * error
    return 2 * stats.t.sf(np.abs(t), n - 1), np.stack([mean - half, mean + half], axis=1)


def wilcoxon(differences, confidence):
    """Test by Wilcoxon's signed ranks, without queries whose difference is 0; intervals are Student's."""
    p = np.ones(len(differences))
    for i, row in enumerate(differences):
        if row.any():
            p[i] = stats.wilcoxon(row).pvalue
    return p, paired_t(differences, confidence)[1]


def randomization(differences, confidence, n_resamples, rng):
    """Test by random signs, exactly if there are at most `n_resamples` of them; intervals are Student's."""
    p = np.ones(len(differences))
    for i, row in enumerate(differences):
        row = row[row != 0]
        if not len(row):
            continue
        observed = np.abs(row.sum()) - SAME * np.abs(row).sum()
        if len(row) < 63 and 1 << len(row) <= n_resamples:
            p[i] = np.mean(np.abs(_all_sums(row)) >= observed)
        else:
            extreme = 0
            for size in _chunks(n_resamples, len(row)):
                signs = np.unpackbits(np.frombuffer(rng.bytes(-(-size * len(row) // 8)), dtype=np.uint8))
                signs = signs[: size * len(row)].reshape(size, len(row))
                extreme += np.count_nonzero(np.abs(2 * (signs @ row) - row.sum()) >= observed)
            p[i] = (extreme + 1) / (n_resamples + 1)
    return p, paired_t(differences, confidence)[1]


def _all_sums(row):
    """Return the sums of `row` for all assignments of signs."""
    sums = np.zeros(1)
    for value in row:
        sums = np.concatenate([sums - value, sums + value])
    return sums


def bootstrap(differences, confidence, n_resamples, rng):
    """Test by the bootstrap with the shift method; intervals are percentiles."""
    n_pairs, n = differences.shape
    means = np.empty((n_pairs, n_resamples))
    done = 0
    for size in _chunks(n_resamples, n):
        counts = rng.multinomial(n, np.full(n, 1 / n), size=size)
        means[:, done : done + size] = differences @ counts.T / n
        done += size
    mean = differences.mean(axis=1)
    slack = SAME * np.abs(differences).mean(axis=1)
    extreme = np.abs(means - mean[:, None]) >= (np.abs(mean) - slack)[:, None]
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    return (extreme.sum(axis=1) + 1) / (n_resamples + 1), np.quantile(means, tails, axis=1).T


def tukey_hsd(values, pairs, confidence):
    """Test Tukey's honestly significant differences after a two-way analysis of variance, runs by queries.

    Parameters
    ----------
    values : ndarray of shape (n_runs, n_queries)
    pairs : list of tuple of int
        Runs to compare. p values and intervals hold for all pairs of runs together.
    confidence : float

    Returns
    -------
    p : ndarray of shape (n_pairs,)
    intervals : ndarray of shape (n_pairs, 2)
    """
    n_runs, n = values.shape
    residuals = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    freedom = (n_runs - 1) * (n - 1)
    error = np.sqrt((residuals**2).sum() / freedom / n)
    mean = np.array([values[a].mean() - values[b].mean() for a, b in pairs])
    q = np.divide(np.abs(mean), error, out=np.where(mean == 0, 0.0, np.inf), where=error > 0)
    half = stats.studentized_range.ppf(confidence, n_runs, freedom) * error
    return stats.studentized_range.sf(q, n_runs, freedom), np.stack([mean - half, mean + half], axis=1)


def _chunks(total, width):
    step = max(_CELLS // max(width, 1), 1)
    return [min(step, total - start) for start in range(0, total, step)]


def correct(p, how):
    """Adjust p values for multiple tests.

    Parameters
    ----------
    p : ndarray of shape (n_tests,)
    how : {"holm", "bonferroni", "bh"} or None
        Holm and Bonferroni bound the probability of any false discovery, Benjamini and Hochberg the share of false
        discoveries.

    Returns
    -------
    ndarray of shape (n_tests,)
    """
    n = len(p)
    if how is None or n == 0:
        return p
    if how == "bonferroni":
        return np.minimum(p * n, 1.0)
    order = np.argsort(p)
    if how == "holm":
        adjusted = np.maximum.accumulate(p[order] * np.arange(n, 0, -1))
    else:
        adjusted = np.minimum.accumulate((p[order] * n / np.arange(1, n + 1))[::-1])[::-1]
    out = np.empty(n)
    out[order] = np.minimum(adjusted, 1.0)
    return out


def detectable_effect(n, alpha, power=0.8):
    """Return the d_z that a two-sided paired t test of `n` queries detects with this power."""
    critical = stats.t.ppf(1 - alpha / 2, n - 1)

    def shortfall(d):
        shift = d * np.sqrt(n)
        # scipy returns NaN for tails it cannot compute: the lower one is then 0, the upper one 1.
        below = np.nan_to_num(stats.nct.cdf(-critical, n - 1, shift), nan=0.0)
        return np.nan_to_num(stats.nct.sf(critical, n - 1, shift), nan=1.0) + below - power

    high = 1.0
    while shortfall(high) < 0:
        high *= 2
    return optimize.brentq(shortfall, 0, high)
