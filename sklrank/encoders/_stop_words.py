"""Built-in stop lists."""

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

STOP_WORDS = {"english": ENGLISH_STOP_WORDS}
