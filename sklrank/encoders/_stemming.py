"""Snowball stemmers by name."""

import threading

try:
    import Stemmer as _snowball

    def _create(language):
        return _snowball.Stemmer(language, 0)  # without its cache: each word is stemmed once

except ImportError:
    import snowballstemmer as _snowball

    _create = _snowball.stemmer

SNOWBALL_LANGUAGES = frozenset(_snowball.algorithms())


class SnowballStemmer:
    """Stem words by Snowball. Threads may share an instance: each opens a handle of its own, which has no lock."""

    def __init__(self, language):
        self.language = language
        self._local = threading.local()

    def _stemmer(self):
        try:
            return self._local.stemmer
        except AttributeError:
            self._local.stemmer = _create(self.language)
            return self._local.stemmer

    def __call__(self, word):
        return self._stemmer().stemWord(word)

    def stem_all(self, words):
        return self._stemmer().stemWords(words)
