"""Models from a hub, or from a folder that is laid out like a repository of one."""

import json
import re
from pathlib import Path

from sklrank._optional import optional_import
from sklrank._session._tokenizer import open_tokenizer

_SETTINGS = ["*.json", "*/config.json", "artifact.metadata", "vocab.txt"]
_UNLIMITED = 1_000_000  # what a file gives as a maximum length beyond is none
_OFFSET = {"roberta": 2, "xlm-roberta": 2, "camembert": 2, "mpnet": 2}  # positions that these models never use
_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_MODES = {"cls_token": "cls", "mean_tokens": "mean", "lasttoken": "last"}


class HubFile(str):
    """Path of a file in the cache of the hub, which knows where it came from.

    Unpickled where the cache lacks it, it is fetched again, at the same revision.

    Attributes
    ----------
    repository : str
        "organization/name".
    file : str
        Path within the repository.
    revision : str
        Hash of the commit.
    """

    def __new__(cls, path, repository, file, revision):
        """Make the path."""
        self = super().__new__(cls, path)
        self.repository, self.file, self.revision = repository, file, revision
        return self

    def fetch(self):
        """The path of the file, which is downloaded where it is missing."""
        if Path(self).is_file():
            return str(self)
        return str(Repository.fetch(self.repository, self.file, self.revision).folder / self.file)

    def __reduce__(self):
        return HubFile, (str(self), self.repository, self.file, self.revision)

    def __deepcopy__(self, memo):
        return self


class Repository:
    """One revision of a repository, on this disk, and what its own files say of the model.

    Parameters
    ----------
    name : str
        "organization/name", or the path of a folder.
    folder : Path
    file : str
        Path of the model within.
    revision : str or None
        Hash of the commit; None of a plain folder.
    """

    def __init__(self, name, folder, file, revision):
        self.name, self.folder, self.file, self.revision = name, folder, file, revision
        if not (folder / file).is_file():
            there = [path for path in self._files() if path.endswith(".onnx")]
            raise FileNotFoundError(f"{name} has no file {file!r}; ONNX files there: {there or 'none'}. Say file=")

    def _files(self):
        """Paths of all files, of those in the cache where the hub does not answer."""
        if self.revision is not None:
            hub = optional_import("huggingface_hub", extra="hub")
            try:
                found = hub.model_info(self.name, revision=self.revision, timeout=10)
                return sorted(file.rfilename for file in found.siblings)
            except Exception:  # offline, in any of many ways
                pass
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())

    @classmethod
    def fetch(cls, name, file, revision=None):
        """Download what is needed, or find it in the cache or in a folder.

        Parameters
        ----------
        name : str
            "organization/name" on the hub, or the path of a folder.
        file : str
            Path of the model within.
        revision : str, default=None
            Branch, tag or hash of a commit. ``None``: what the main branch is now.

        Returns
        -------
        Repository
        """
        if Path(name).is_dir():
            if revision is not None:
                raise ValueError(f"{name!r} is a folder, which has no revision={revision!r}")
            return cls(str(name), Path(name), file, None)
        name = str(name)
        if not _NAME.fullmatch(name):
            raise FileNotFoundError(f"{name!r} is neither a folder here nor a repository, 'organization/name'")
        hub = optional_import("huggingface_hub", extra="hub")
        # Weights of more than two gigabytes lie beside the graph.
        patterns = [file, f"{file}_data", f"{file}.data", *_SETTINGS]
        folder = Path(hub.snapshot_download(name, revision=revision, allow_patterns=patterns))
        return cls(name, folder, file, folder.name)

    def path(self, file):
        """A file as a parameter of an estimator."""
        path = str(self.folder / file)
        return path if self.revision is None else HubFile(path, self.name, file, self.revision)

    @property
    def tokenizer(self):
        """The tokenizer.json."""
        for file in ("tokenizer.json", f"{Path(self.file).parent.as_posix()}/tokenizer.json"):
            if (self.folder / file).is_file():
                return self.path(file)
        raise FileNotFoundError(
            f"{self.name} has no tokenizer.json; where it has a vocab.txt, of a WordPiece model, give "
            "tokenizer=sklrank.encoders.wordpiece_tokenizer(path, lowercase=...)"
        )

    def lowercasing_tokenizer(self):
        """The tokenizer.json, which must lower-case texts where the repository says that they are."""
        path = self.tokenizer
        if self.settings("sentence_bert_config.json").get("do_lower_case"):
            normalizer = open_tokenizer(path).normalizer
            if normalizer is None or normalizer.normalize_str("HEAT") != normalizer.normalize_str("heat"):
                raise ValueError(
                    f"{self.name} lower-cases texts (do_lower_case), and its tokenizer.json does not: give a "
                    "tokenizer= that does, by tokenizers.normalizers.Lowercase(), or this one as it is"
                )
        return path

    def settings(self, file):
        """Content of a JSON file; an empty dict where there is none."""
        path = self.folder / file
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def modules(self):
        """Steps of a sentence-transformers pipeline, (class name, folder) of each; none where there is none."""
        return [(module["type"].rpartition(".")[2], module["path"]) for module in self.settings("modules.json") or []]

    def max_length(self):
        """Most tokens that the model was made for; None where nothing says."""
        stated = self.settings("sentence_bert_config.json").get("max_seq_length")
        if stated:
            return stated
        config = self.settings("config.json")
        positions = config.get("max_position_embeddings")
        if positions:
            positions -= _OFFSET.get(config.get("model_type"), 0)
        limits = [self.settings("tokenizer_config.json").get("model_max_length"), positions]
        return min((int(limit) for limit in limits if limit and limit < _UNLIMITED), default=None)

    def pooling(self, prefix=""):
        """How tokens are pooled, those of a prefix included: "mean", "cls" or "last"; None where nothing says."""
        folders = [folder for kind, folder in self.modules() if kind == "Pooling"]
        if not folders:
            return None
        config = self.settings(f"{folders[0]}/config.json")
        modes = {name.removeprefix("pooling_mode_") for name, on in config.items() if on is True and "mode" in name}
        modes |= {config["pooling_mode"]} if isinstance(config.get("pooling_mode"), str) else set()
        names = {_MODES.get(mode, mode) for mode in modes}
        if len(names) != 1 or not names <= set(_MODES.values()):
            raise ValueError(
                f"{self.name} pools by {sorted(names)}; known are {sorted(_MODES.values())}, one at a time"
            )
        if prefix and "mean" in names and config.get("include_prompt") is False:
            raise ValueError(
                f"{self.name} leaves the prompt out of the mean of the tokens (include_prompt is false), which cannot "
                'be done here. prefix="" gives no prompt, and pooling="mean" takes the mean of all tokens'
            )
        return names.pop()

    def prompt(self, name=None):
        """The prompt of that name, or the one by default, which is put before texts."""
        settings = self.settings("config_sentence_transformers.json")
        prompts = settings.get("prompts") or {}
        name = settings.get("default_prompt_name") if name is None else name
        if name is None:
            return ""
        if name not in prompts:
            raise ValueError(f"{self.name} has no prompt {name!r}, but {sorted(prompts) or 'none'}")
        return prompts[name]
