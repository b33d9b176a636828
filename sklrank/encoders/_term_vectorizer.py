"""Sparse term counts of texts."""

import sys
import warnings
from collections.abc import Mapping
from itertools import chain, compress, islice, repeat
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils.validation import check_is_fitted

from sklrank._caching import Counted
from sklrank._fitted import FittedMixin, check_unchanged, record_fit
from sklrank._kernels._text import DROPPED
from sklrank._ragged import intervals
from sklrank._validation import HasMethods, Interval, RealNotInt, StrOptions, check_sparse
from sklrank.data import Corpus, Queries, StringArray
from sklrank.data._stored import TextReader
from sklrank.data._vocabulary import Vocabulary
from sklrank.encoders._analysis import DEFAULT_PATTERN, Analysis, Subwords, decode, stop_list, unused_parameters
from sklrank.encoders._stemming import SNOWBALL_LANGUAGES
from sklrank.encoders._stop_words import STOP_WORDS
from sklrank.encoders._term_counts import count, distinct, ids_of, number_terms, remap, select_terms

_SMALL = 1 << 15  # number of characters up to which Python splits faster than the kernel starts
_FORM_BYTES = 64  # of the str of a form
_NEW = object()  # no value yet
_MEMO_SIZE = 1 << 17  # number of forms whose term a fitted vectorizer remembers


class TermVectorizer(FittedMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Convert texts to a sparse matrix of term counts, with stemming.

    It is a drop-in replacement for :class:`~sklearn.feature_extraction.text.CountVectorizer`. Without a stemmer, and
    for each parameter that both have, it returns the same matrix and the same vocabulary. It adds stemmers and stop
    lists, and it is faster. With the default tokens it reads all texts as one UTF-8 buffer in a compiled scan, which
    agrees with :meth:`str.lower` and with ``\w`` of ``re`` on all Unicode characters. A Python object is made only for
    each distinct word.

    Parameters
    ----------
    language : str, default=None
        Language of the texts. Its stemmer is used if `stemmer` is None, and its stop list if `stop_words` is None.
        ``stop_words=[]`` keeps all words. The languages are those with a built-in stop list.

    stemmer : str or callable, default=None
        Function that maps a word to its term. It is the name of a Snowball stemmer ("english", "german", "porter", …)
        or a callable from str to str, which is called once for each distinct word, after stop words are removed and
        before n-grams are formed. If None, words are not stemmed, unless `language` is given.

    stop_words : str or collection of str, default=None
        Words that are removed before stemming. They are a list, or the name of a language with a built-in list:
        "arabic", "danish", "dutch", "english" (the list of scikit-learn), "finnish", "french", "german", "hungarian",
        "italian", "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish" or "turkish". If None, no
        words are removed, unless `language` is given.

    lowercase : bool, default=True
        Whether to convert all characters to lower case before tokenizing.

    strip_accents : {"ascii", "unicode"} or callable, default=None
        Method that removes accents and normalizes other characters, after lower-casing. A built-in stop list then
        applies to words with and without accents.

    preprocessor : callable, default=None
        Function that replaces lower-casing and `strip_accents`.

    tokenizer : callable or tokenizers.Tokenizer, default=None
        Function that splits a preprocessed text into tokens, instead of `token_pattern`. A
        :class:`tokenizers.Tokenizer` returns its token strings, without special tokens, padding and truncation.

    token_pattern : str, default=r"(?u)\b\w\w+\b"
        Regular expression of a token. If it has a capturing group, the group is the token. The default selects tokens
        of two or more word characters. The compiled scan reads this pattern and ``r"(?u)\b\w+\b"``. All other patterns
        have the speed of ``re``, and so have n-grams, accent stripping, callables and character analyzers.

    ngram_range : tuple (min_n, max_n), default=(1, 1)
        Minimum and maximum number of neighbouring words, or characters, of a term.

    analyzer : {"word", "char", "char_wb"} or callable, default="word"
        Unit of which terms are made. "char_wb" makes character n-grams only within words, padded with spaces. A
        callable maps a document to its terms. Stop words and stemmers apply only to words.

    max_df : float in range [0.0, 1.0] or int, default=1.0
        Maximum document frequency of a term. A float is a proportion of documents, an int a number.

    min_df : float in range [0.0, 1.0] or int, default=1
        Minimum document frequency of a term. A float is a proportion of documents, an int a number.

    max_features : int, default=None
        Maximum number of terms. The terms that are most frequent in the corpus are kept. If None, all are kept.

    vocabulary : Mapping or iterable, default=None
        The terms, or a mapping from terms to columns. If None, `fit` learns them.

    binary : bool, default=False
        Whether to set all counts to 1.

    dtype : dtype, default=np.int64
        Type of the matrix that `fit_transform` and `transform` return.

    Attributes
    ----------
    vocabulary_ : Mapping
        Column of each term, read-only. Columns are in alphabetical order of the terms, unless `vocabulary` has another
        order.

    fixed_vocabulary_ : bool
        Whether the user gave the vocabulary.

    See Also
    --------
    sklearn.feature_extraction.text.CountVectorizer : The same counts without stemming.
    sklearn.feature_extraction.text.TfidfTransformer : Weight the counts.

    Notes
    -----
    A word of a query that no document contains in this form still counts if a document contains its stem. For example,
    "flows" in a document and "flowing" in a query both have the stem "flow".

    The texts must be str without lone surrogates; a corpus or queries stand for their texts. Unlike CountVectorizer,
    it has no parameters `input`, `encoding` and `decode_error`: `fit` and `transform` raise an error for documents in
    bytes, which the caller decodes. Bytes are taken, as UTF-8, only by `decode`, by the function of `build_analyzer`,
    and if `analyzer`, `preprocessor` or `tokenizer` is callable.

    Parameters that need a new `fit`: `language`, `stemmer`, `stop_words`, `lowercase`, `strip_accents`, `preprocessor`,
    `tokenizer`, `token_pattern`, `ngram_range`, `analyzer`, `max_df`, `min_df`, `max_features`, `vocabulary` and
    `binary`. All others take effect at once.

    Examples
    --------
    >>> from sklrank.encoders import TermVectorizer
    >>> documents = ["Heat transfer in laminar flows.", "Flow of heat", "The transferred heat"]
    >>> vectorizer = TermVectorizer(language="english")
    >>> counts = vectorizer.fit_transform(documents)
    >>> vectorizer.get_feature_names_out()
    array(['flow', 'heat', 'laminar', 'transfer'], dtype=object)
    >>> counts.toarray()
    array([[1, 1, 1, 1],
           [1, 1, 0, 0],
           [0, 1, 0, 1]])
    >>> vectorizer.transform(["flowing"]).toarray()
    array([[1, 0, 0, 0]])
    """

    _refit_parameters = (
        "language",
        "stemmer",
        "stop_words",
        "lowercase",
        "strip_accents",
        "preprocessor",
        "tokenizer",
        "token_pattern",
        "ngram_range",
        "analyzer",
        "max_df",
        "min_df",
        "max_features",
        "vocabulary",
        "binary",
    )

    _parameter_constraints: dict = {
        "language": [StrOptions(set(STOP_WORDS)), None],
        "stemmer": [StrOptions(set(SNOWBALL_LANGUAGES)), callable, None],
        "stop_words": [StrOptions(set(STOP_WORDS)), list, tuple, set, frozenset, None],
        "lowercase": ["boolean"],
        "strip_accents": [StrOptions({"ascii", "unicode"}), None, callable],
        "preprocessor": [callable, None],
        "tokenizer": [callable, HasMethods("encode_batch"), None],
        "token_pattern": [str, None],
        "ngram_range": [tuple],
        "analyzer": [StrOptions({"word", "char", "char_wb"}), callable],
        "max_df": [Interval(RealNotInt, 0, 1, closed="both"), Interval(Integral, 1, None, closed="left")],
        "min_df": [Interval(RealNotInt, 0, 1, closed="both"), Interval(Integral, 1, None, closed="left")],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "vocabulary": [Mapping, HasMethods("__iter__"), None],
        "binary": ["boolean"],
        "dtype": "no_validation",  # left to numpy
    }

    def __init__(
        self,
        *,
        language=None,
        stemmer=None,
        stop_words=None,
        lowercase=True,
        strip_accents=None,
        preprocessor=None,
        tokenizer=None,
        token_pattern=DEFAULT_PATTERN,
        ngram_range=(1, 1),
        analyzer="word",
        max_df=1.0,
        min_df=1,
        max_features=None,
        vocabulary=None,
        binary=False,
        dtype=np.int64,
    ):
        self.language = language
        self.stemmer = stemmer
        self.stop_words = stop_words
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.preprocessor = preprocessor
        self.tokenizer = tokenizer
        self.token_pattern = token_pattern
        self.ngram_range = ngram_range
        self.analyzer = analyzer
        self.max_df = max_df
        self.min_df = min_df
        self.max_features = max_features
        self.vocabulary = vocabulary
        self.binary = binary
        self.dtype = dtype

    def fit(self, X, y=None):
        """Learn the vocabulary of the texts.

        Parameters
        ----------
        X : iterable of str, Corpus or Queries
            The texts.
        y : Ignored
            Not used, present by convention.

        Returns
        -------
        self : TermVectorizer
            The fitted vectorizer.
        """
        self.fit_token_ids(X)
        return self

    def fit_transform(self, X, y=None):
        """Learn the vocabulary of the texts and count their terms.

        Parameters
        ----------
        X : iterable of str, Corpus or Queries
            The texts.
        y : Ignored
            Not used, present by convention.

        Returns
        -------
        counts : sparse matrix of shape (n_documents, n_terms)
            The term counts.
        """
        return self._counts(*self.fit_token_ids(X))

    def transform(self, X):
        """Count the terms of the vocabulary in texts.

        Parameters
        ----------
        X : iterable of str, Corpus or Queries
            The texts.

        Returns
        -------
        counts : sparse matrix of shape (n_documents, n_terms)
            The term counts.
        """
        return self._counts(*self.token_ids(X))

    def inverse_transform(self, X):
        """Return the terms that each row of a matrix of counts has.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_documents, n_terms)
            Term counts.

        Returns
        -------
        terms : list of arrays of shape (n_terms_of_document,)
            The terms of each document.
        """
        names = self.get_feature_names_out().astype(str)
        if sp.issparse(X):
            check_sparse(X)
        X = sp.csr_array(X, copy=True)
        X.eliminate_zeros()
        X.sort_indices()
        return [names[X.indices[start:end]] for start, end in intervals(X.indptr)]

    def get_feature_names_out(self, input_features=None):
        """Return the term of each column.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Ignored.

        Returns
        -------
        terms : ndarray of str objects, shape (n_terms,)
            The terms.
        """
        self._fitted_analysis()
        return np.array(self._names(), dtype=object)

    def _names(self, columns=None):
        """Return the terms of columns, by default of all."""
        if isinstance(self.vocabulary_, Vocabulary):
            return self.vocabulary_.names(columns).tolist()
        names = sorted(self.vocabulary_, key=self.vocabulary_.get)
        if columns is None:
            return names
        return [names[column] for column in columns]

    def build_analyzer(self):
        """Return a function from a text to its terms.

        Returns
        -------
        analyzer : callable
            It maps a text to the list of its terms, including terms that are not in the vocabulary.
        """
        return self._make_analysis()

    def build_preprocessor(self):
        """Return the function that is applied to a text before it is split.

        Returns
        -------
        preprocessor : callable
            It maps a text to a text.
        """
        return self._make_analysis().prepare

    def build_tokenizer(self):
        """Return the function that splits a preprocessed text.

        Returns
        -------
        tokenizer : callable
            It maps a text to the list of its tokens, before stop words are removed and words are stemmed.
        """
        self._validate_params()
        if hasattr(self.tokenizer, "encode_batch"):
            return Subwords(self.tokenizer)
        return CountVectorizer(tokenizer=self.tokenizer, token_pattern=self.token_pattern).build_tokenizer()

    def get_stop_words(self):
        """Return the words that are removed.

        Returns
        -------
        stop_words : frozenset of str or None
            The words. ``None`` means that no words are removed.
        """
        self._validate_params()
        return stop_list(self.get_params(deep=False))

    def decode(self, doc):
        """Return a document as str.

        Parameters
        ----------
        doc : str or bytes
            The document. Bytes are decoded as UTF-8.

        Returns
        -------
        doc : str
            The text of the document.
        """
        return decode(doc)

    def fit_token_ids(self, X):
        """Learn the vocabulary of the texts and return the column of each of their tokens, in the order of the text.

        Parameters
        ----------
        X : iterable of str, Corpus or Queries
            The texts.

        Returns
        -------
        ids : ndarray of uint32, shape (n_tokens,)
            Columns of the tokens of all texts, one text after the other. If `binary`, each text has each term once, in
            the order of the columns.
        indptr : ndarray of int64, shape (n_documents + 1,)
            Start of each text in `ids`, and the end of the last one.
        """
        return self._learn(X)

    def _learn(self, X, may_be_empty=False):
        """Fit; a part of a corpus may have no terms. See `fit_token_ids`."""
        analysis = self._make_analysis()
        for name, reason in unused_parameters(self.get_params(deep=False)):
            warnings.warn(f"The parameter '{name}' will not be used since {reason}", stacklevel=4)
        texts = _texts(X, analysis)
        self.fixed_vocabulary_ = self.vocabulary is not None
        if self.fixed_vocabulary_:
            self._set_fitted(analysis, self._given_vocabulary())
            record_fit(self)
            return self.token_ids(texts)

        forms, ids, indptr = analysis.forms(texts)
        vocabulary, numbers = number_terms(analysis.terms(forms))
        if not (vocabulary or may_be_empty):
            raise ValueError("empty vocabulary; perhaps the documents only contain stop words")
        ids = remap(ids, indptr, numbers)
        if self.binary:
            ids, indptr = distinct(ids, indptr)
        limits = {"min_df": self.min_df, "max_df": self.max_df, "max_features": self.max_features}
        kept = select_terms(ids, indptr, len(vocabulary), **limits)
        if kept is not None:
            ids = remap(ids, indptr, np.where(kept, np.cumsum(kept) - 1, DROPPED))
            vocabulary, _ = number_terms(list(compress(vocabulary, kept)))
        self._set_fitted(analysis, vocabulary)
        record_fit(self)
        return ids, indptr

    def _learns_terms_only(self):
        """Tell whether `fit` learns the terms of the documents, and nothing else from all documents together."""
        keeps_rare = isinstance(self.min_df, Integral) and self.min_df <= 1
        keeps_frequent = not isinstance(self.max_df, Integral) and self.max_df >= 1
        return keeps_rare and keeps_frequent and self.max_features is None and self.vocabulary is None

    def _with_terms(self, terms):
        """Return a copy with other terms, a `Vocabulary`."""
        new = clone(self)
        new.fixed_vocabulary_ = False
        new._set_fitted(new._make_analysis(), terms)
        record_fit(new)
        return new

    def token_ids(self, X):
        """Return the column of each token of texts, in the order of the text.

        Tokens whose terms are not in the vocabulary are left out.

        Parameters
        ----------
        X : iterable of str, Corpus or Queries
            The texts.

        Returns
        -------
        ids : ndarray of uint32, shape (n_tokens,)
            Columns of the tokens of all texts, one text after the other. If `binary`, each text has each term once, in
            the order of the columns.
        indptr : ndarray of int64, shape (n_documents + 1,)
            Start of each text in `ids`, and the end of the last one.
        """
        analysis = self._fitted_analysis()
        if isinstance(X, list) and _is_small(X):
            ids, indptr = self._few(X, self._memo, self._known_ids)
            ids = np.array(ids, dtype=np.uint32)
        else:
            forms, ids, indptr = analysis.forms(_texts(X, analysis))
            ids = remap(ids, indptr, ids_of(analysis.terms(forms), self.vocabulary_))
        if self.binary:
            ids, indptr = distinct(ids, indptr)
        return ids, indptr

    def _tokens(self, X):
        """Return the terms of texts without regard to the vocabulary.

        Parameters
        ----------
        X : list of str

        Returns
        -------
        terms : list of str
            The distinct terms in alphabetical order.
        ids, indptr : ndarray of uint32, int64
            As from `token_ids`, but the ids are positions in `terms`.
        """
        analysis = self._fitted_analysis()
        if isinstance(X, list) and _is_small(X):
            terms, indptr = self._few(X, self._terms, analysis.terms)
            names = sorted(set(terms))
            number_of = dict(zip(names, range(len(names))))
            ids = np.array(list(map(number_of.__getitem__, terms)), dtype=np.uint32)
        else:
            forms, ids, indptr = analysis.forms(_texts(X, analysis))
            vocabulary, numbers = number_terms(analysis.terms(forms))
            ids, names = remap(ids, indptr, numbers), list(vocabulary)
        if self.binary:
            ids, indptr = distinct(ids, indptr)
        return names, ids, indptr

    def _known_ids(self, forms):
        """Return the column of each of a few forms, None for one without a column."""
        ids = ids_of(self._analysis.terms(forms), self.vocabulary_).tolist()
        return [None if i == DROPPED else i for i in ids]

    def _few(self, texts, memo, values_of):
        """Return the values of the forms of a few texts that are not None, and the start of each text among them."""
        analysis = self._analysis
        if len(memo) > _MEMO_SIZE:
            memo.clear()
        if not all(map(str.isascii, texts)):
            StringArray.from_strings(texts)  # raises for lone surrogates
        split = list(map(analysis.split, texts))
        forms = list(chain.from_iterable(split))
        found = list(map(memo.get, forms, repeat(_NEW)))
        if _NEW in found:
            new = list(dict.fromkeys(form for form, value in zip(forms, found) if value is _NEW))
            made = dict(zip(new, values_of(new)))
            memo.update(made)
            found = [made[form] if value is _NEW else value for form, value in zip(forms, found)]
        values, indptr, rest = [], [0], iter(found)
        for own in split:
            values += [value for value in islice(rest, len(own)) if value is not None]
            indptr.append(len(values))
        return values, np.array(indptr, dtype=np.int64)

    def spans(self, text):
        """Return the positions of the terms of the vocabulary in a text.

        Parameters
        ----------
        text : str
            The text.

        Returns
        -------
        starts : ndarray of int64, shape (n_found,)
            First character of each term that was found.
        ends : ndarray of int64, shape (n_found,)
            The character after its last one.
        ids : ndarray of uint32, shape (n_found,)
            Its column.
        """
        spans = self._fitted_analysis().spans(text)
        ids = ids_of([term for _, _, term in spans], self.vocabulary_)
        found = np.array([span[:2] for span in spans], dtype=np.int64).reshape(-1, 2)[ids != DROPPED]
        return found[:, 0], found[:, 1], ids[ids != DROPPED]

    def _counts(self, ids, indptr):
        indices, counts, indptr = count(ids, indptr)
        if indptr[-1] <= np.iinfo(np.int32).max:
            indptr = indptr.astype(np.int32)
        matrix = sp.csr_matrix
        if get_config().get("sparse_interface") == "sparray":
            matrix = sp.csr_array
        shape = len(indptr) - 1, len(self.vocabulary_)
        X = matrix((counts.astype(self.dtype, copy=False), indices, indptr), shape=shape)
        if self.binary:
            X.data.fill(1)
        X.has_canonical_format = True
        return X

    def _make_analysis(self):
        self._validate_params()
        least, most = self.ngram_range
        if least > most:
            raise ValueError(
                f"Invalid value for ngram_range={self.ngram_range} lower boundary larger than the upper boundary."
            )
        return Analysis(self.get_params(deep=False))

    def _set_fitted(self, analysis, vocabulary):
        self.vocabulary_ = vocabulary
        self._memo, self._terms = _Memo(), _Memo()  # number and term of forms
        self._analysis = analysis  # last, because threads that find it use the rest

    def _fitted_analysis(self):
        """Return the analysis of `fit`, or make it anew after unpickling or if the vocabulary is a parameter."""
        check_unchanged(self)
        analysis = getattr(self, "_analysis", None)
        if analysis is None:
            if not hasattr(self, "vocabulary_") and self.vocabulary is not None:
                self.vocabulary_ = self._given_vocabulary()
                self.fixed_vocabulary_ = True
                record_fit(self)
            check_is_fitted(self, "vocabulary_")
            analysis = self._make_analysis()
            self._set_fitted(analysis, self.vocabulary_)
        return analysis

    def _given_vocabulary(self):
        checked = CountVectorizer(vocabulary=self.vocabulary)
        checked.get_feature_names_out()
        if self.lowercase and any(any(map(str.isupper, term)) for term in checked.vocabulary_):
            warnings.warn(
                "Upper case characters found in vocabulary while 'lowercase' is True. These entries will not be "
                "matched with any documents",
                stacklevel=2,
            )
        try:
            return Vocabulary.of(checked.vocabulary_)
        except (TypeError, ValueError):  # not all terms are text
            return checked.vocabulary_

    def __getstate__(self):
        state = dict(super().__getstate__())
        state.pop("_analysis", None)  # it has handles of stemmers
        state.pop("_memo", None)
        state.pop("_terms", None)
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.vocabulary is None
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


class _Memo(Counted, dict):
    """Values of forms that were looked up."""

    @property
    def n_bytes(self):
        """Estimate of the bytes that it holds."""
        return sys.getsizeof(self) + _FORM_BYTES * len(self)


def _texts(X, analysis):
    """Return the texts of any input as a StringArray, or as a list if a callable reads objects other than str."""
    if isinstance(X, (StringArray, TextReader)):
        return X
    if isinstance(X, str):
        raise ValueError("Iterable over raw text documents expected, string object received.")
    if isinstance(X, Corpus):
        return X.text_reader()
    if isinstance(X, Queries):
        X = X.texts
    if len(getattr(X, "shape", ())) > 1:
        raise ValueError(f"expected an iterable of texts, got {type(X).__name__} of shape {X.shape}. Pass one column")
    texts = list(X)
    if analysis.takes_any_object and not all(isinstance(text, str) for text in texts):
        return texts
    return StringArray.from_strings(texts)


def _is_small(texts):
    return len(texts) <= _SMALL and all(isinstance(text, str) for text in texts) and sum(map(len, texts)) <= _SMALL
