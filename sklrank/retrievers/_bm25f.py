"""BM25 over several fields."""

import math
from collections.abc import Mapping
from functools import partial
from numbers import Real

import numpy as np
from sklearn.base import clone

from sklrank._caching.keys import estimator_key
from sklrank._kernels._impacts import SATURATED, add_up_fields
from sklrank._kernels._postings import invert_matrix
from sklrank._ragged import check_arrays
from sklrank._validation import Interval, check_term_weights
from sklrank.encoders import TermVectorizer
from sklrank.retrievers._base_inverted import InvertedIndexRetriever, index_of_parts
from sklrank.retrievers._bm25 import bm25_idf
from sklrank.retrievers._impacts import Weighting
from sklrank.retrievers._learning import learns_terms_only
from sklrank.retrievers._segment import Segment, in_order


class BM25FRetriever(InvertedIndexRetriever):
    r"""Rank documents by BM25 over weighted fields.

    The counts of a term in the fields are normalized by the length of each field, weighted, and added *before* they
    saturate, so that a term in two fields counts as one term that occurs twice:

    .. math::

        \sum_t idf(t) \cdot \frac{\tilde{tf}}{k_1 + \tilde{tf}}, \qquad
        \tilde{tf} = \sum_f \frac{w_f \, tf_f}{1 - b_f + b_f \, |d_f| / \overline{|d_f|}}

    With one field of weight 1 this is `BM25Retriever`.

    Parameters
    ----------
    corpus : Corpus or input of Corpus, default=None
        The documents. If None, they are the `X` of `fit`.
    weights : dict of str to float, default=None
        Weight of each column to search. If None, all columns of text are searched, each with weight 1.
    k1 : float, default=1.2
        Saturation of the term frequency. It applies to the weighted sum over the fields.
    b : float or dict of str to float, default=0.75
        Weight of the length, from 0 (none) to 1. A number holds for all fields, a dict gives one for each field.
    k : int, default=100
        Number of documents to return for each query.
    vectorizer : transformer, default=None
        Transformer from texts to term counts. It is cloned and fitted on all fields of the corpus. If None, it is
        ``TermVectorizer()``.
    filter : mask, list of ids, or one of these per query, default=None
        Documents that may be returned. If None, all may.
    filter_field : str, default=None
        Column of the queries that holds a filter for each query.
    n_jobs : int, default=None
        Number of threads. The result does not depend on it.

    Attributes
    ----------
    corpus_ : Corpus
        The documents.
    index_ : Index
        Postings, which all retrievers over these fields of this corpus with an equal vectorizer share.

    See Also
    --------
    BM25Retriever : Searches one field, or several fields joined as if they were one.

    Notes
    -----
    Parameters that need a new `fit`: `corpus`, `weights` and `vectorizer`. All others take effect at once.

    References
    ----------
    S. Robertson, H. Zaragoza and M. Taylor, Simple BM25 Extension to Multiple Weighted Fields, CIKM 2004.

    Examples
    --------
    >>> from sklrank import Corpus
    >>> from sklrank.retrievers import BM25FRetriever
    >>> corpus = Corpus([{"title": "Heat", "text": "it flows"}, {"title": "Flow", "text": "of heat and of heat"}])
    >>> BM25FRetriever(corpus, weights={"title": 3, "text": 1}).fit([]).predict(["heat"]).docids
    [['0', '1']]
    """

    _stage = "bm25f"

    _refit_parameters = ("corpus", "weights", "vectorizer")

    _parameter_constraints: dict = {
        **InvertedIndexRetriever._parameter_constraints,
        "weights": [dict, None],
        "k1": [Interval(Real, 0, None, closed="left")],
        "b": [Interval(Real, 0, 1, closed="both"), dict],
    }
    del _parameter_constraints["field"]

    def __init__(
        self,
        corpus=None,
        *,
        weights=None,
        k1=1.2,
        b=0.75,
        k=100,
        vectorizer=None,
        filter=None,
        filter_field=None,
        n_jobs=None,
    ):
        self.corpus = corpus
        self.weights = weights
        self.k1 = k1
        self.b = b
        self.k = k
        self.vectorizer = vectorizer
        self.filter = filter
        self.filter_field = filter_field
        self.n_jobs = n_jobs

    def _fields(self):
        if self.weights is not None:
            return tuple(self.weights)
        return tuple(name for name, kind in self.corpus_.kinds.items() if kind == "text")

    def _needs_refit(self, name, old, new):
        if name != "weights":
            return super()._needs_refit(name, old, new)
        return set(self._fields()) != set(self.index_.segments[0].fields)

    def _shared_index(self):
        fields = self._fields()
        if not fields:
            raise ValueError(f"no text to search in the columns of the corpus, {list(self.corpus_.columns)}")
        key = ("fielded index", fields, estimator_key(self.vectorizer))
        return index_of_parts(
            self.corpus_, key, partial(_build_fielded, fields, self.vectorizer), self.vectorizer, fields
        )

    def _columns(self):
        return self._fields()

    def _formula(self):
        return ("bm25f", _hashable(self.weights), self.k1, _hashable(self.b))

    def _weigh(self, index):
        fields = index.segments[0].fields
        weights = self.weights or dict.fromkeys(fields, 1.0)
        factors = []  # of each field and segment
        for i, field in enumerate(fields):
            b = self.b
            if isinstance(b, Mapping):
                b = b.get(field)
            if not isinstance(b, Real) or not 0 <= b <= 1:
                raise ValueError(f"b of field {field!r} is {b!r}: expected a number from 0 to 1")
            if not isinstance(weights[field], Real) or not 0 <= weights[field] < math.inf:
                raise ValueError(
                    f"weight of field {field!r} is {weights[field]!r}: expected a finite number of at least 0"
                )
            lengths = [segment.field_lengths[i] for segment in index.segments]
            totals = [segment.field_totals[i] for segment in index.segments]
            mean = index.living.total(lengths, totals) / index.n_documents or 1.0
            factors.append([_factors(weights[field], b, own, mean) for own in lengths])
        counts = [_Combined(segment, own) for segment, own in zip(index.segments, zip(*factors))]
        norms = [np.full(segment.n_documents, float(self.k1)) for segment in index.segments]
        return Weighting(SATURATED, bm25_idf(index, "lucene"), norms, counts=counts)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def _build_fielded(fields, vectorizer, corpus):
    """Return the segment of the fields of a corpus or of a part of it."""
    if vectorizer is None:
        vectorizer = TermVectorizer()
    vectorizer = clone(vectorizer)
    texts = corpus.text_reader(fields)
    if isinstance(vectorizer, TermVectorizer):
        vectorizer._learn(texts, may_be_empty=True)
    else:
        vectorizer.fit(texts.tolist())
    matrices = [_counts(vectorizer, corpus.text_reader(field)) for field in fields]
    union = sum(matrices[1:], start=matrices[0])
    pattern = union.copy()
    pattern.data[:] = 1
    counts, lengths = [], []
    for matrix in matrices:
        # One more than the count if any field has the term, so that all fields have the same postings.
        raised = (pattern + matrix).tocsr()
        _, _, values = invert_matrix(
            raised.indptr.astype(np.int64), raised.indices.astype(np.uint32), raised.data, raised.shape[1] + 1
        )
        counts.append(values - 1)
        lengths.append(np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel())
    segment = Segment.from_matrix(union)
    lists = segment.lengths, segment.indptr, segment.docs, segment.counts
    return FieldedSegment(*lists, vectorizer, learns_terms_only(vectorizer), fields, counts, lengths)


def _counts(vectorizer, texts):
    counts = vectorizer.transform(texts.tolist())
    if not counts.shape[1]:
        return counts
    return check_term_weights(None, counts)


def _hashable(value):
    """Return a dict as a tuple of its items, and any other value unchanged."""
    if isinstance(value, Mapping):
        return tuple(value.items())
    return value


def _factors(weight, b, lengths, mean):
    """Return the factor of the counts of a field in each document, float32."""
    factors = np.zeros(len(lengths))  # stays 0 if the field is empty, because its norm may be 0
    with np.errstate(over="ignore", invalid="ignore"):  # refused later, as an impact
        np.divide(weight, 1 - b + b * lengths / mean, out=factors, where=lengths > 0)
        return factors.astype(np.float32)


class _Combined:
    """Weighted counts of all fields, computed list by list when a query needs them.

    Parameters
    ----------
    segment : FieldedSegment
    factors : list of ndarray of float32, shape (n_documents,)
        Factor of the counts of each field.
    """

    _counted_elsewhere = ("_segment",)

    def __init__(self, segment, factors):
        self._segment, self._factors = segment, factors
        self._counts = np.empty(len(segment.docs), dtype=np.float32)

    def __call__(self, terms):
        """Return the weighted counts, of which those of the lists of `terms` are set."""
        segment = self._segment
        add_up_fields(terms, segment.indptr, segment.docs, segment.field_counts, self._factors, self._counts)
        return self._counts


class FieldedSegment(Segment):
    """Segment of several fields: the postings of all fields, with the counts and lengths of each field.

    Parameters
    ----------
    lengths, indptr, docs, counts, vectorizer, learned
        As for `Segment`, for all fields together.
    fields : tuple of str
        Names of the fields.
    field_counts : list of ndarray of float32, shape (n_postings,)
        Occurrences of the term of each posting, for each field.
    field_lengths : list of ndarray of float64, shape (n_documents,)
        Number of tokens of each document, for each field.
    """

    def __init__(self, lengths, indptr, docs, counts, vectorizer, learned, fields, field_counts, field_lengths):
        super().__init__(lengths, indptr, docs, counts, vectorizer, learned)
        self.fields, self.field_counts, self.field_lengths = fields, field_counts, field_lengths
        self.field_totals = [float(lengths.sum()) for lengths in field_lengths]

    def check_content(self):
        """Raise ValueError if the arrays of a file do not fit each other."""
        super().check_content()
        check_arrays({"<f4": self.field_counts, "<f8": self.field_lengths})
        if {len(counts) for counts in self.field_counts} - {len(self.docs)}:
            raise ValueError("the counts of a field have another number than the postings")
        if {len(lengths) for lengths in self.field_lengths} - {self.n_documents}:
            raise ValueError("the lengths of a field have another number than the documents")
        if len({len(self.fields), len(self.field_counts), len(self.field_lengths)}) > 1:
            raise ValueError("the fields have another number than their counts")

    def _merged(self, merge, vectorizer):
        segments = merge.segments
        counts = [merge.lists(values)[2] for values in zip(*(segment.field_counts for segment in segments))]
        lengths = [
            in_order(values, merge.documents) for values in zip(*(segment.field_lengths for segment in segments))
        ]
        return FieldedSegment(*merge.arrays(), vectorizer, self.learned, self.fields, counts, lengths)
