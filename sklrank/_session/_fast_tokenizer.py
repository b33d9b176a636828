"""Tokenizers of the library tokenizers."""

import hashlib
import json
import re
import warnings
from itertools import chain, islice

import numpy as np

from sklrank._session._rows import Template, rows_of

_PADDING = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>", "</s>")

# Of a long text no more is tokenized than its first tokens need, up to a space between two words. The tokens before it
# are those of the whole text where normalizers go character by character and words are parted at spaces first of all.
_CHARACTERS = 6  # a token; most languages stay below
_SPACE = re.compile("(?<=[0-9A-Za-z]) (?=[0-9A-Za-z])")
_BY_CHARACTER = set("BertNormalizer Lowercase NFC NFD NFKC NFKD Precompiled Strip StripAccents".split())
_AT_SPACES = set("BertPreTokenizer ByteLevel Metaspace Whitespace WhitespaceSplit".split())

# Where words are parted at spaces and nothing else, as for WordPiece, each piece between two is tokenized once. The
# pieces are kept up to so many characters.
_WITHOUT_SPACES = set("BertPreTokenizer Whitespace WhitespaceSplit".split())
_KEPT = 1 << 20
_MARK = "|"


class FastTokenizer:
    """A `tokenizers.Tokenizer`, whose padding and truncation are left to us.

    Texts are tokenized without special tokens, cut, and put into the tokenizer's own template of special tokens; so a
    query is tokenized once however many documents it is paired with, and what is cut is our choice.

    Attributes
    ----------
    n_tokens : int
        Size of the vocabulary.
    n_own : int
        Without tokens that were added to it, of which a model may know nothing.
    n_padded : int
        Rows that a model may have for them at most: tables of embeddings are padded, for speed.
    pad : int
        Id of the token that fills up short rows.
    single, pair : Template
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
        self.pad = padding["pad_id"] if padding else tokenizer.token_to_id(next(known, "")) or 0
        self.single, self.pair = self._template(1), self._template(2)
        self._parts_words, self._parts_pieces = _parts_words(tokenizer)
        self._pieces, self._n_characters = {}, 0

    def _template(self, n_texts):
        """The special tokens around `n_texts` texts, read off an encoding."""
        for probe in ("a", "the", "1", *(t for t in self._tokenizer.get_vocab() if t.isalnum())):
            encoding = self._tokenizer.encode(*[probe] * n_texts)
            sequences = encoding.sequence_ids
            if all(i in sequences for i in range(n_texts)):
                break
        else:
            raise ValueError("the tokenizer makes no token of any word of its vocabulary")
        parts, types, position = [], [], 0
        for i in range(n_texts):
            start = sequences.index(i)
            stop = len(sequences) - sequences[::-1].index(i)
            parts.append(np.array(encoding.ids[position:start], dtype=np.int64))
            types += [encoding.type_ids[position] if start > position else 0, encoding.type_ids[start]]
            position = stop
        parts.append(np.array(encoding.ids[position:], dtype=np.int64))
        types.append(encoding.type_ids[-1] if len(parts[-1]) else 0)
        return Template(tuple(parts), tuple(types))

    @property
    def normalizer(self):
        """What is done to a text first, None where nothing is."""
        return self._tokenizer.normalizer

    @property
    def fingerprint(self):
        """Hash of all that it does."""
        return hashlib.blake2b(self._tokenizer.to_str().encode(), digest_size=16).hexdigest()

    def token_id(self, token):
        """Id of a token, None where there is none."""
        return self._tokenizer.token_to_id(token)

    def tokens(self):
        """All tokens, in the order of their ids; those that are missing are empty."""
        names = [""] * self.n_tokens
        for token, i in self._tokenizer.get_vocab(with_added_tokens=True).items():
            names[i] = token
        return names

    def encode(self, texts, limit=None):
        """Token ids of each text, without special tokens, the first `limit`."""
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
            self._pieces, self._n_characters = {}, 0  # other threads go on with theirs
        known = self._pieces
        pieces = [text.split(" ") for text in texts]
        missing = list(set(chain.from_iterable(pieces)).difference(known))
        if missing:
            known.update(zip(missing, self._ids_of_pieces(missing)))
            self._n_characters += sum(map(len, missing))
        ids = (islice(chain.from_iterable(map(known.__getitem__, one)), limit) for one in pieces)
        return [np.fromiter(one, dtype=np.int64) for one in ids]

    def _ids_of_pieces(self, pieces):
        """Token ids of pieces without spaces: of all at once, with a token between two that none of them has."""
        mark = self._tokenizer.token_to_id(_MARK)
        (joined,) = self._encode([f" {_MARK} ".join(pieces)], add_special_tokens=False)
        ids = joined.ids
        ends = [i for i, token in enumerate(ids) if token == mark]
        if len(ends) == len(pieces) - 1 and mark is not None:
            bounds = [-1, *ends, len(ids)]
            return [ids[i + 1 : j] for i, j in zip(bounds, bounds[1:])]
        return [encoding.ids for encoding in self._encode(pieces, add_special_tokens=False)]

    def spans(self, texts):
        """First and last character, and one, of each token of each text, without special tokens."""
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return [encoding.offsets for encoding in encodings]

    def rows(self, texts, max_length, template=None):
        """Single texts as rows, cut to `max_length` tokens."""
        template = template or self.single
        filled = [template.fill(ids) for ids in self.encode(texts, max(max_length - template.n_special, 0))]
        return rows_of(filled)

    def pair_maker(self, first, second, max_length, max_first=None):
        """Function from indices of pairs of texts to rows, in which the second text is cut where the row is too long.

        Equal first texts, the queries, are tokenized once, and so are equal second ones.

        Parameters
        ----------
        first, second : list of str
        max_length : int
            Most tokens of a row.
        max_first : int, default=None
            Most tokens of a first text; ``None``: half of the row.

        Returns
        -------
        callable
        """
        room = max(max_length - self.pair.n_special, 0)
        max_first = room // 2 if max_first is None else min(max_first, room)
        queries = list(dict.fromkeys(first))
        tokens = dict(zip(queries, self.encode(queries)))
        long = [query for query, ids in tokens.items() if len(ids) > max_first]
        if long:
            warnings.warn(
                f"{len(long)} of {len(queries)} queries are longer than {max_first} tokens, half of max_length, and "
                f"were cut: {long[0][:40]!r}… A greater max_length keeps them whole, where the model has room",
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
    """How far tokens depend on what stands around them.

    Returns
    -------
    words : bool
        Whether the tokens up to a space between two words depend on nothing behind it.
    pieces : bool
        Whether the tokens between two spaces depend on nothing else.
    """

    def steps(component):
        state = {} if component is None else json.loads(component.__getstate__())
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
    """The text up to the first space between two words behind so many characters."""
    space = _SPACE.search(text, n_characters)
    return text[: space.start()] if space else text
