"""Tokenizers of the tokenizers library."""

import hashlib
import json
import re
import warnings
from itertools import chain, islice

import numpy as np

from sklrank._session._rows import Template, rows_of

_PADDING = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>", "</s>")

# Of a long text, only the part that its first tokens need is tokenized, up to a space between two words. The tokens of
# this part are those of the whole text if normalizers treat each character by itself and words are first split at
# spaces.
_CHARACTERS = 6  # characters per token; fewer in most languages
_SPACE = re.compile("(?<=[0-9A-Za-z]) (?=[0-9A-Za-z])")
_BY_CHARACTER = set("BertNormalizer Lowercase NFC NFD NFKC NFKD Precompiled Strip StripAccents".split())
_AT_SPACES = set("BertPreTokenizer ByteLevel Metaspace Whitespace WhitespaceSplit".split())

# If tokens depend on nothing beyond the spaces around them, as in WordPiece, each piece between two spaces is tokenized
# once.
_WITHOUT_SPACES = set("BertPreTokenizer Whitespace WhitespaceSplit".split())
_KEPT = 1 << 20  # maximum number of characters of the pieces that are kept
_MARK = "|"


class FastTokenizer:
    """Tokenize texts by a `tokenizers.Tokenizer`, without its padding and truncation.

    Texts are tokenized without special tokens, cut, and then filled into the tokenizer's template of special tokens. So
    a query is tokenized once for all documents that it is paired with, and this class decides which text is cut.

    Attributes
    ----------
    n_tokens : int
        Size of the vocabulary.
    n_own : int
        Size of the vocabulary without added tokens, which a model may lack.
    n_padded : int
        Maximum number of rows of a model's table of embeddings for this vocabulary. Such tables are padded, for speed.
    pad : int
        Id of the token that fills up short rows.
    single, pair : Template
        Special tokens around a text, and around a pair of texts.
    """

    def __init__(self, tokenizer):
        padding = tokenizer.padding
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._encode = getattr(tokenizer, "encode_batch_fast", tokenizer.encode_batch)  # without offsets
        self.n_tokens = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        self.n_own = max(tokenizer.get_vocab(with_added_tokens=False).values(), default=-1) + 1
        self.n_padded = max(-(-self.n_tokens // 64) * 64, int(1.03 * self.n_tokens))
        known = (token for token in _PADDING if tokenizer.token_to_id(token) is not None)
        self.pad = tokenizer.token_to_id(next(known, "")) or 0
        if padding:
            self.pad = padding["pad_id"]
        self.single, self.pair = self._template(1), self._template(2)
        self._parts_words, self._parts_pieces = _parts_words(tokenizer)
        self._pieces, self._n_characters = {}, 0

    def _template(self, n_texts):
        """Return the special tokens around `n_texts` texts, as an encoding shows them."""
        for probe in ("a", "the", "1", *(t for t in self._tokenizer.get_vocab() if t.isalnum())):
            encoding = self._tokenizer.encode(*[probe] * n_texts)
            sequences = encoding.sequence_ids
            if all(i in sequences for i in range(n_texts)):
                break
        else:
            raise ValueError("the tokenizer returns no token for any word of its vocabulary")
        parts, types, position = [], [], 0
        for i in range(n_texts):
            start = sequences.index(i)
            stop = len(sequences) - sequences[::-1].index(i)
            parts.append(np.array(encoding.ids[position:start], dtype=np.int64))
            types += [*encoding.type_ids[position:start], 0][:1]  # 0 if the part is empty
            types.append(encoding.type_ids[start])
            position = stop
        parts.append(np.array(encoding.ids[position:], dtype=np.int64))
        types += [0, *encoding.type_ids[position:]][-1:]
        return Template(tuple(parts), tuple(types))

    @property
    def normalizer(self):
        """First step of the tokenizer, which normalizes a text; None if there is no such step."""
        return self._tokenizer.normalizer

    @property
    def fingerprint(self):
        """Hash of the tokenizer's settings and vocabulary."""
        return hashlib.blake2b(self._tokenizer.to_str().encode(), digest_size=16).hexdigest()

    def token_id(self, token):
        """Return the id of a token, None if the vocabulary lacks it."""
        return self._tokenizer.token_to_id(token)

    def tokens(self):
        """Return all tokens in the order of their ids. The token of an unused id is empty."""
        names = [""] * self.n_tokens
        for token, i in self._tokenizer.get_vocab(with_added_tokens=True).items():
            names[i] = token
        return names

    def encode(self, texts, limit=None):
        """Return the first `limit` token ids of each text, without special tokens."""
        if limit is None or not self._parts_words:
            return self._ids(texts, limit)
        heads = [_head(text, limit * _CHARACTERS) for text in texts]
        found = self._ids(heads, limit)
        more = [i for i, head in enumerate(heads) if len(head) < len(texts[i]) and len(found[i]) < limit]
        for i, ids in zip(more, self._ids([texts[i] for i in more], limit)):
            found[i] = ids
        return found

    def _ids(self, texts, limit):
        if not self._parts_pieces:
            encodings = self._encode(texts, add_special_tokens=False)
            return [np.array(encoding.ids[:limit], dtype=np.int64) for encoding in encodings]
        if self._n_characters > _KEPT:
            self._pieces, self._n_characters = {}, 0  # a new dict, because other threads still read the old one
        known = self._pieces
        pieces = [text.split(" ") for text in texts]
        missing = list(set(chain.from_iterable(pieces)).difference(known))
        if missing:
            known.update(zip(missing, self._ids_of_pieces(missing)))
            self._n_characters += sum(map(len, missing))
        ids = (islice(chain.from_iterable(map(known.__getitem__, of_text)), limit) for of_text in pieces)
        return [np.fromiter(of_text, dtype=np.int64) for of_text in ids]

    def _ids_of_pieces(self, pieces):
        """Return the token ids of pieces without spaces. They are tokenized together, with a mark between two."""
        mark = self._tokenizer.token_to_id(_MARK)
        (joined,) = self._encode([f" {_MARK} ".join(pieces)], add_special_tokens=False)
        ids = joined.ids
        ends = [i for i, token in enumerate(ids) if token == mark]
        if len(ends) == len(pieces) - 1 and mark is not None:
            marks = [-1, *ends, len(ids)]
            return [ids[i + 1 : j] for i, j in zip(marks, marks[1:])]
        return [encoding.ids for encoding in self._encode(pieces, add_special_tokens=False)]

    def spans(self, texts):
        """Return the first character of each token of each text, and the one after its last, without special tokens."""
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return [encoding.offsets for encoding in encodings]

    def rows(self, texts, max_length, template=None):
        """Return single texts as rows, cut to `max_length` tokens."""
        template = template or self.single
        filled = [template.fill(ids) for ids in self.encode(texts, max(max_length - template.n_special, 0))]
        return rows_of(filled)

    def pair_maker(self, first, second, max_length, max_first=None):
        """Return a function from indices of pairs of texts to rows. If a row is too long, its second text is cut.

        Equal first texts, the queries, are tokenized once, and so are equal second texts.

        Parameters
        ----------
        first, second : list of str
        max_length : int
            Maximum number of tokens of a row.
        max_first : int, default=None
            Maximum number of tokens of a first text. If None, it is half of the row.

        Returns
        -------
        callable
        """
        room = max(max_length - self.pair.n_special, 0)
        if max_first is None:
            max_first = room // 2
        max_first = min(max_first, room)
        queries = list(dict.fromkeys(first))
        tokens = dict(zip(queries, self.encode(queries)))
        long = [query for query, ids in tokens.items() if len(ids) > max_first]
        if long:
            warnings.warn(
                f"{len(long)} of {len(queries)} queries are longer than {max_first} tokens, half of max_length, and "
                f"were cut: {long[0][:40]!r}… A greater max_length keeps them whole, if the model has room",
                UserWarning,
                stacklevel=4,
            )
            tokens.update((query, tokens[query][:max_first]) for query in long)
        documents = {}

        def make(indices):
            missing = list({second[i]: None for i in indices if second[i] not in documents})
            documents.update(zip(missing, self.encode(missing, room)))
            return rows_of(
                [self.pair.fill(query := tokens[first[i]], documents[second[i]][: room - len(query)]) for i in indices]
            )

        return make


def _parts_words(tokenizer):
    """Return how far tokens depend on the text around them.

    Returns
    -------
    words : bool
        Whether the tokens before a space between two words depend on nothing after it.
    pieces : bool
        Whether the tokens between two spaces depend on nothing else.
    """

    def steps(component):
        if component is None:
            return [{}]
        state = json.loads(component.__getstate__())
        return state.get("normalizers") or state.get("pretokenizers") or [state]

    first, *others = steps(tokenizer.pre_tokenizer)
    words = (
        first.get("type") in _AT_SPACES
        and first.get("use_regex", True)
        and first.get("split", True)
        and all(step.get("type") in {None, *_BY_CHARACTER} for step in steps(tokenizer.normalizer))
        and not any(" " in token.content for token in tokenizer.get_added_tokens_decoder().values())
    )
    wordpiece = type(tokenizer.model).__name__ == "WordPiece"
    return words, words and wordpiece and not others and first["type"] in _WITHOUT_SPACES


def _head(text, n_characters):
    """Return the text up to the first space between two words after the first `n_characters`."""
    space = _SPACE.search(text, n_characters)
    if space is None:
        return text
    return text[: space.start()]
