"""Postings and search against plain scoring of every document."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sklrank._kernels import _impacts, _postings, _search


class Index:
    """One or several segments over given postings and impacts, searched as a retriever does it."""

    def __init__(self, lists, n_documents, cuts=()):
        # lists: for each term, {document: impact}
        self.lists = [dict(sorted(postings.items())) for postings in lists]
        self.n_documents = n_documents
        self.sizes = np.array([len(postings) for postings in lists], dtype=np.int64)
        edges = [0, *sorted(cuts), n_documents]
        self.segments = [self._segment(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]

    def _segment(self, begin, end):
        parts = [[(d - begin, x) for d, x in postings.items() if begin <= d < end] for postings in self.lists]
        term_indptr = np.cumsum([0] + [len(part) for part in parts])
        docs = np.array([d for part in parts for d, _ in part], dtype=np.uint32)
        impacts = np.array([x for part in parts for _, x in part], dtype=np.float32)
        maxima = np.array([max([0, *(x for _, x in part)]) for part in parts], dtype=np.float32)
        skip_table = _postings.skip_table(term_indptr, docs, end - begin)
        # The impacts go through `fill_impacts` as counts of scale and norm 1.
        code_of, codes = _search.code_table(term_indptr, end - begin)
        filled, largest, reaches = np.empty_like(impacts), np.zeros_like(maxima), np.zeros_like(maxima)
        ones = np.ones(len(parts)), np.ones(end - begin)
        every = np.arange(len(parts))
        how = _impacts.LINEAR, 0.0, 0.0
        assert np.isfinite(
            _impacts.fill_impacts(every, term_indptr, docs, impacts, *ones, *how, filled, largest, reaches)
        )
        _search.fill_codes(every, term_indptr, docs, filled, largest, code_of, codes)
        assert filled.tolist() == impacts.tolist()
        assert largest.tolist() == maxima.tolist()
        negative = [any(x < 0 for _, x in part) for part in parts]
        assert reaches.tolist() == np.where(negative, np.inf, maxima).tolist()
        return begin, end, (term_indptr, docs, filled, largest, *skip_table, code_of, codes)

    def order(self, queries):
        indptr = np.cumsum([0] + [len(query) for query in queries])
        terms = np.array([t for query in queries for t, _ in query], dtype=np.uint32)
        weights = np.array([w for query in queries for _, w in query], dtype=np.float32)
        return _search.order_terms(indptr, terms, weights, self.sizes)

    def search(self, queries, k, bias=None, masks=None, mask_of=None, chunk=None, signed=False):
        """What all searches find; they must agree to the last bit, where they take what is asked."""
        both = (False,) if signed or bias is not None else (False, "pruned", "coded")
        found = [self.run(prune, queries, k, bias, masks, mask_of, chunk) for prune in both]
        assert all(other == found[0] for other in found)
        return found[0]

    def run(self, prune, queries, k, bias, masks, mask_of, chunk):
        indptr, terms, weights = self.order(queries)
        n_queries = len(queries)
        keys, counts = np.full((n_queries, k), 7, dtype=np.int64), np.zeros(n_queries, dtype=np.int64)
        for begin, end, arrays in self.segments:
            space = _search.workspace(end - begin, k)
            sums, accumulators, rows, *others = space
            part = np.empty(0, np.float32) if bias is None else bias[begin:end]
            if masks is None:
                filters = np.empty((0, 0), np.uint8), np.empty(0, np.int64)
            else:
                filters = np.ascontiguousarray(masks[:, begin:end]), mask_of
            # The positions of documents are consecutive, or given.
            places = begin, np.empty(0, np.int64)
            if begin % 2:
                places = 0, np.arange(begin, end)
            options = *filters, k, *places
            for some in np.array_split(np.arange(n_queries), range(chunk, n_queries, chunk) if chunk else 1):
                if prune == "coded":
                    left = np.empty(len(some), dtype=np.int64)
                    totals = np.empty(-(-(end - begin) // _search.GROUP) * _search.GROUP, dtype=np.uint16)
                    spaces = totals, rows, *others
                    given = some, indptr, terms, weights
                    n_left = _search.search_coded(*given, *arrays, *options, *spaces, keys, counts, left)
                    some = left[:n_left]
                given = some, indptr, terms, weights
                if prune:
                    spaces = accumulators, rows, *others
                    _search.search_pruned(*given, *arrays, *options, *spaces, keys, counts)
                else:
                    _search.search_all(*given, *arrays[:3], part, *options, sums, rows, others[-1], keys, counts)
            for scratch in (sums, accumulators):
                assert (scratch.view(np.int32) == np.float32(-0.0).view(np.int32)).all()
        rows, scores = _search.decode(keys, counts)
        bounds = np.cumsum([0, *counts]).tolist()
        return [(rows[i:j].tolist(), scores[i:j].tolist()) for i, j in zip(bounds[:-1], bounds[1:], strict=True)]

    def reference(self, queries, k, bias=None, masks=None, mask_of=None):
        found = []
        for q, query in enumerate(queries):
            merged = {}
            for t, w in query:
                merged[t] = np.float32(merged.get(t, np.float32(0)) + np.float32(w))
            merged = {t: w for t, w in merged.items() if self.lists[t]}
            total = np.float32(0)
            scores = {}
            for t in sorted(merged, key=lambda t: (len(self.lists[t]), t)):
                total = np.float32(total + merged[t])
                for d, x in self.lists[t].items():
                    scores[d] = np.float32(scores.get(d, np.float32(0)) + np.float32(merged[t] * np.float32(x)))
            if bias is not None:
                scores = {d: np.float32(score + np.float32(total * bias[d])) for d, score in scores.items()}
            if masks is not None and mask_of[q] >= 0:
                scores = {d: score for d, score in scores.items() if masks[mask_of[q], d]}
            ranking = sorted(scores, key=lambda d: (-scores[d], d))[:k]
            found.append((ranking, [float(scores[d]) for d in ranking]))
        return found


def random_index(rng, n_documents, shares, cuts=(), impact=None):
    """An index with one term for each share of the documents."""
    lists = []
    for share in shares:
        docs = np.flatnonzero(rng.random(n_documents) < share)
        if impact is None:
            values = (0.01 - np.log(share)) * rng.beta(2, 3, docs.size)
        else:
            values = np.full(docs.size, impact)
        lists.append(dict(zip(docs.tolist(), values.astype(np.float32).tolist(), strict=True)))
    return Index(lists, n_documents, cuts)


def tokens(documents):
    indptr = np.cumsum([0] + [len(document) for document in documents])
    return np.array([t for document in documents for t in document], dtype=np.uint32), indptr


documents_of_tokens = st.lists(st.lists(st.integers(0, 9), max_size=30), max_size=12)


@given(documents_of_tokens)
def test_postings_are_the_transposed_counts(documents):
    token_ids, indptr = tokens(documents)
    term_indptr, docs, counts = _postings.invert(token_ids, indptr, 10)
    assert term_indptr.dtype == np.int64 and docs.dtype == np.uint32 and counts.dtype == np.uint16
    for t in range(10):
        part = slice(term_indptr[t], term_indptr[t + 1])
        expected = [(d, document.count(t)) for d, document in enumerate(documents) if t in document]
        assert list(zip(docs[part].tolist(), counts[part].tolist(), strict=True)) == expected


def test_no_document_and_no_term():
    term_indptr, docs, counts = _postings.invert(np.empty(0, np.uint32), np.zeros(1, np.int64), 0)
    assert term_indptr.tolist() == [0] and docs.size == counts.size == 0
    assert _postings.skip_table(term_indptr, docs, 0)[2].size == 0


@pytest.mark.parametrize("count, dtype", [(65_535, np.uint16), (65_536, np.uint32), (70_000, np.uint32)])
def test_large_counts_widen_and_never_saturate(count, dtype):
    token_ids, indptr = tokens([[1, 0], [0] * count + [1], [1]])
    term_indptr, docs, counts = _postings.invert(token_ids, indptr, 2)
    assert counts.dtype == dtype
    assert (term_indptr.tolist(), docs.tolist(), counts.tolist()) == ([0, 2, 5], [0, 1, 0, 1, 2], [1, count, 1, 1, 1])


@given(documents_of_tokens)
def test_a_matrix_gives_the_same_postings(documents):
    token_ids, indptr = tokens(documents)
    rows = np.repeat(np.arange(len(documents)), np.diff(indptr))
    matrix = sp.csr_matrix((np.ones(token_ids.size), (rows, token_ids)), shape=(len(documents), 10))
    matrix.sum_duplicates()
    got = _postings.invert_matrix(matrix.indptr, matrix.indices, matrix.data, 10, dtype=np.uint16)
    for a, b in zip(got, _postings.invert(token_ids, indptr, 10), strict=True):
        assert a.dtype == b.dtype
        assert a.tolist() == b.tolist()


def test_stored_zeros_of_a_matrix_are_no_postings():
    got = _postings.invert_matrix(np.array([0, 2, 3]), np.array([0, 1, 1]), np.array([0.0, 2.5, 1.5]), 2)
    assert [a.tolist() for a in got] == [[0, 0, 2], [0, 1], [2.5, 1.5]]


@given(st.lists(st.sets(st.integers(0, 299)), max_size=6), st.integers(300, 400))
def test_skip_table_brackets_every_document(lists, n_documents):
    indptr = np.cumsum([0] + [len(docs) for docs in lists])
    docs = np.array([d for docs in lists for d in sorted(docs)], dtype=np.uint32)
    shifts, skip_indptr, skips = _postings.skip_table(indptr, docs, n_documents)
    assert skips.size <= 2 * len(lists) + docs.size / 4
    for t, members in enumerate(lists):
        for d in range(n_documents) if members else ():
            entry = skip_indptr[t] + (d >> int(shifts[t]))
            assert entry + 1 < skip_indptr[t + 1]
            part = docs[indptr[t] + skips[entry] : indptr[t] + skips[entry + 1]]
            assert (d in part) == (d in members)


def impact(form, c, s, n, first, second):
    return {
        _impacts.SATURATED: lambda: s * (c / (c + n) + first),
        _impacts.SHIFTED: lambda: s * (c / n + first) / (c / n + first + second),
        _impacts.LOGARITHMIC: lambda: math.log1p(s * c / n),
        _impacts.LINEAR: lambda: s * c / n,
        _impacts.SUBLINEAR: lambda: s * (1 + math.log(c)) / n,
        _impacts.POISSON: lambda: poisson(c * n, s),
        _impacts.HYPERGEOMETRIC: lambda: (divergence(c, s, n) + (n - c) * math.log2(1 - relative(c, n))) / (c + 0.5),
        _impacts.POPPER: lambda: (1 - relative(c, n)) ** 2 * divergence(c, s, n) / (c + 1),
    }[form]()


def poisson(tfn, mean):
    surprise = tfn * math.log2(tfn / mean) + (mean - tfn) / math.log(2)
    return (surprise + 0.5 * math.log2(2 * math.pi * tfn)) / (tfn + 1)


def relative(c, n):
    return c / n if c < n else 0.99999


def divergence(c, s, n):
    return c * math.log2(c * s / n) + 0.5 * math.log2(2 * math.pi * c * (1 - relative(c, n)))


@pytest.mark.parametrize("form", range(8))
def test_impacts_are_filled_for_the_terms_asked_only(form):
    token_ids, indptr = tokens([[0, 0, 1], [1, 2, 2, 2], [0, 1, 1]])
    term_indptr, docs, counts = _postings.invert(token_ids, indptr, 3)
    scales, norms = np.array([1.5, 0.5, 3.0]), np.array([0.7, 3.5, 1.3])
    impacts, maxima, reaches = np.full(docs.size, np.nan, np.float32), np.zeros(3, np.float32), np.zeros(3, np.float32)
    terms = np.array([2, 0, 2])
    arrays = term_indptr, docs, counts, scales[terms], norms, form, 0.5, 1.2, impacts, maxima, reaches
    assert np.isfinite(_impacts.fill_impacts(terms, *arrays))
    assert np.isnan(impacts[term_indptr[1] : term_indptr[2]]).all() and maxima[1] == 0
    for t in (0, 2):
        part = slice(term_indptr[t], term_indptr[t + 1])
        expected = [
            impact(form, int(c), scales[t], norms[d], 0.5, 1.2) for d, c in zip(docs[part], counts[part], strict=True)
        ]
        np.testing.assert_allclose(impacts[part], expected, rtol=1e-7)
        assert maxima[t] == max(0, impacts[part].max())
        assert reaches[t] == (np.inf if impacts[part].min() < 0 else maxima[t])
    assert np.isnan(impacts[term_indptr[1] : term_indptr[2]]).all()


def test_terms_are_merged_and_ordered_rarest_first():
    sizes = np.array([5, 0, 2, 2, 9])
    indptr, terms, weights = _search.order_terms(
        np.array([0, 6, 6, 8]), np.array([4, 3, 1, 0, 3, 2, 1, 1], np.uint32), np.ones(8, np.float32), sizes
    )
    assert indptr.tolist() == [0, 4, 4, 4]
    assert terms.tolist() == [2, 3, 0, 4] and weights.tolist() == [1, 2, 1, 1]


small_values = st.sampled_from([0.0, 0.25, 0.5, 1.0, 0.1, 3.0])


@st.composite
def cases(draw):
    n_documents = draw(st.integers(1, 40))
    document = st.integers(0, n_documents - 1)
    lists = draw(st.lists(st.dictionaries(document, small_values), min_size=1, max_size=6))
    term = st.integers(0, len(lists) - 1)
    queries = draw(st.lists(st.lists(st.tuples(term, st.sampled_from([1.0, 2.0, 0.3, 0.0])), max_size=8), max_size=5))
    cuts = draw(st.sets(st.integers(1, n_documents - 1), max_size=3)) if n_documents > 1 else ()
    k = draw(st.integers(1, 50))
    masks = draw(
        st.none()
        | st.lists(st.lists(st.booleans(), min_size=n_documents, max_size=n_documents), min_size=1, max_size=3)
    )
    mask_of = None
    if masks is not None:
        masks = np.array(masks, dtype=np.uint8)
        mask_of = draw(st.lists(st.integers(-1, len(masks) - 1), min_size=len(queries), max_size=len(queries)))
        mask_of = np.array(mask_of, dtype=np.int64)
    bias = draw(
        st.none() | st.lists(st.sampled_from([-1.0, -0.5, -0.1, 0.0]), min_size=n_documents, max_size=n_documents)
    )
    if bias is not None:
        bias = np.array(bias, dtype=np.float32)
    return lists, n_documents, cuts, queries, k, bias, masks, mask_of


@settings(max_examples=200)
@given(cases())
def test_search_equals_scoring_every_document(case):
    lists, n_documents, cuts, queries, k, bias, masks, mask_of = case
    expected = Index(lists, n_documents).reference(queries, k, bias, masks, mask_of)
    assert Index(lists, n_documents).search(queries, k, bias, masks, mask_of) == expected
    assert Index(lists, n_documents, cuts).search(queries, k, bias, masks, mask_of, chunk=1) == expected


signed_values = st.sampled_from([0.0, -0.0, 0.25, -0.25, 0.1, -0.1, -3.0])
signed_weights = st.sampled_from([1.0, -1.0, 0.3, -0.3, 0.0, -0.0])


@given(st.lists(st.dictionaries(st.integers(0, 19), signed_values), min_size=4, max_size=4), st.data())
def test_negative_weights_and_impacts_are_added_up(lists, data):
    query = st.lists(st.tuples(st.integers(0, 3), signed_weights), max_size=8)
    queries, k = data.draw(st.lists(query, max_size=4)), data.draw(st.integers(1, 25))
    expected = Index(lists, 20).reference(queries, k)
    assert Index(lists, 20).search(queries, k, signed=True) == expected
    assert Index(lists, 20, {7, 8}).search(queries, k, signed=True) == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_impacts_that_are_not_finite_are_told(value):
    arrays = np.array([0]), np.array([0, 1]), np.array([0], np.uint32), np.array([value]), np.ones(1), np.ones(1)
    out = np.zeros(1, np.float32), np.zeros(1, np.float32), np.zeros(1, np.float32)
    assert not np.isfinite(_impacts.fill_impacts(*arrays, _impacts.LINEAR, 0.0, 0.0, *out))


SHARES = [0.0005, 0.002, 0.01, 0.03, 0.1, 0.3, 0.6, 0.95, 1.0]


@pytest.mark.parametrize("impact", [None, 0.5, 0.0])
@pytest.mark.parametrize("k", [1, 10, 100, 1000, 20_000])
def test_long_lists(k, impact):
    rng = np.random.default_rng(k)
    index = random_index(rng, 7_000, SHARES, impact=impact)
    queries = [[(t, 1.0) for t in rng.permutation(9)[: rng.integers(1, 6)].tolist()] for _ in range(25)]
    queries += [[(t, 1.0)] for t in range(9)] + [[]]
    expected = index.reference(queries, k)
    assert index.search(queries, k) == expected
    cut = Index(index.lists, index.n_documents, (100, 3_000, 3_001))
    assert cut.search(queries, k, chunk=7) == expected
    masks = (rng.random((2, 7_000)) < [[0.5], [0.01]]).astype(np.uint8)
    mask_of = rng.integers(-1, 2, len(queries))
    assert index.search(queries, k, masks=masks, mask_of=mask_of) == index.reference(
        queries, k, masks=masks, mask_of=mask_of
    )
    bias = -rng.random(7_000).astype(np.float32)
    assert index.search(queries, k, bias=bias) == index.reference(queries, k, bias=bias)


def test_fewer_results_are_a_prefix():
    rng = np.random.default_rng(0)
    index = random_index(rng, 5_000, SHARES)
    queries = [[(t, 1.0) for t in rng.permutation(9)[:4].tolist()] for _ in range(20)]
    deep = index.search(queries, 300)
    for k in (1, 7, 50):
        assert index.search(queries, k) == [(rows[:k], scores[:k]) for rows, scores in deep]


def test_the_order_of_the_words_does_not_matter():
    rng = np.random.default_rng(1)
    index = random_index(rng, 3_000, SHARES)
    query = [(t, 1.0) for t in (1, 3, 4, 6, 8)]
    shuffled = [[query[i] for i in rng.permutation(5)] for _ in range(10)]
    assert index.search(shuffled, 50) == index.search([query] * 10, 50)
