"""Models from a hub, or from a folder with the files of a repository."""

import json
import re
from pathlib import Path

from sklrank._optional import optional_import
from sklrank._session._tokenizer import open_tokenizer

_SETTINGS = ["*.json", "*/config.json", "artifact.metadata", "vocab.txt"]
_UNLIMITED = 1_000_000  # from here on, a maximum length in a file means that there is none
_OFFSET = {"roberta": 2, "xlm-roberta": 2, "camembert": 2, "mpnet": 2}  # number of positions that these never use
_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_MODES = {"cls_token": "cls", "mean_tokens": "mean", "lasttoken": "last"}


class HubFile(str):
    """Path of a file in the cache of the hub, with its origin.

    If the cache lacks the file after unpickling, it is downloaded again, at the same revision.

    Attributes
    ----------
    repository : str
        "organization/name".
    file : str
        Path in the repository.
    revision : str
        Hash of the commit.
    """

    def __new__(cls, path, repository, file, revision):
        """Make the path."""
        self = super().__new__(cls, path)
        self.repository, self.file, self.revision = repository, file, revision
        return self

    def fetch(self):
        """Return the path of the file. If it is missing, download it first."""
        if Path(self).is_file():
            return str(self)
        return str(Repository.fetch(self.repository, self.file, self.revision).folder / self.file)

    def __reduce__(self):
        return HubFile, (str(self), self.repository, self.file, self.revision)

    def __deepcopy__(self, memo):
        return self


class Repository:
    """Read the files of one revision of a repository, on this disk.

    Parameters
    ----------
    name : str
        "organization/name", or the path of a folder.
    folder : Path
        Folder of the files.
    file : str
        Path of the model in the folder.
    revision : str or None
        Hash of the commit. None for a folder that does not come from a hub.
    """

    def __init__(self, name, folder, file, revision):
        self.name, self.folder, self.file, self.revision = name, folder, file, revision
        if not (folder / file).is_file():
            files = [path for path in self._files() if path.endswith(".onnx")]
            raise FileNotFoundError(f"{name} has no file {file!r}. Its ONNX files: {files or 'none'}. Choose by file=")

    def _files(self):
        """Return the paths of all files. If the hub does not answer, these are the files in the cache."""
        if self.revision is not None:
            hub = optional_import("huggingface_hub", extra="hub")
            try:
                found = hub.model_info(self.name, revision=self.revision, timeout=10)
                return sorted(file.rfilename for file in found.siblings)
            except Exception:  # the machine is offline, which raises many kinds of errors
                pass
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())

    @classmethod
    def fetch(cls, name, file, revision=None):
        """Download the model and its settings, or find them in the cache or in a folder.

        Parameters
        ----------
        name : str
            "organization/name" on the hub, or the path of a folder.
        file : str
            Path of the model in the repository.
        revision : str, default=None
            Branch, tag or hash of a commit. If None, the present state of the main branch is used.

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
            raise FileNotFoundError(f"{name!r} is not a folder on this machine, nor a repository 'organization/name'")
        hub = optional_import("huggingface_hub", extra="hub")
        # Weights of more than two gigabytes are in a file beside the graph.
        patterns = [file, f"{file}_data", f"{file}.data", *_SETTINGS]
        folder = Path(hub.snapshot_download(name, revision=revision, allow_patterns=patterns))
        return cls(name, folder, file, folder.name)

    def path(self, file):
        """Return the path of a file, as a parameter of an estimator."""
        path = str(self.folder / file)
        if self.revision is None:
            return path
        return HubFile(path, self.name, file, self.revision)

    @property
    def tokenizer(self):
        """Path of the tokenizer.json."""
        for file in ("tokenizer.json", f"{Path(self.file).parent.as_posix()}/tokenizer.json"):
            if (self.folder / file).is_file():
                return self.path(file)
        raise FileNotFoundError(
            f"{self.name} has no tokenizer.json. If it has the vocab.txt of a WordPiece model, give "
            "tokenizer=sklrank.encoders.wordpiece_tokenizer(path, lowercase=...)"
        )

    def lowercasing_tokenizer(self):
        """Return the path of the tokenizer.json. It must lower-case texts if the repository says that they are."""
        path = self.tokenizer
        if self.settings("sentence_bert_config.json").get("do_lower_case"):
            normalizer = open_tokenizer(path).normalizer
            if normalizer is None or normalizer.normalize_str("HEAT") != normalizer.normalize_str("heat"):
                raise ValueError(
                    f"{self.name} lower-cases texts (do_lower_case), and its tokenizer.json does not. Give a "
                    "tokenizer= that does so by tokenizers.normalizers.Lowercase(), or give this one without a change"
                )
        return path

    def settings(self, file):
        """Return the content of a JSON file, an empty dict if the file is missing."""
        path = self.folder / file
        if not path.is_file():
            return {}
        return json.loads(path.read_text(encoding="utf-8"))

    def modules(self):
        """Return (class name, folder) of each step of a sentence-transformers pipeline; empty if it is not one."""
        return [(module["type"].rpartition(".")[2], module["path"]) for module in self.settings("modules.json") or []]

    def max_length(self):
        """Return the maximum number of tokens that the model was made for; None if no file states it."""
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
        """Return how all tokens, prefix included, are pooled: "mean", "cls" or "last"; None if no file states it."""
        folders = [folder for kind, folder in self.modules() if kind == "Pooling"]
        if not folders:
            return None
        config = self.settings(f"{folders[0]}/config.json")
        modes = {name.removeprefix("pooling_mode_") for name, on in config.items() if on is True and "mode" in name}
        if isinstance(config.get("pooling_mode"), str):
            modes.add(config["pooling_mode"])
        names = {_MODES.get(mode, mode) for mode in modes}
        if len(names) != 1 or not names <= set(_MODES.values()):
            raise ValueError(
                f"expected one pooling among {sorted(_MODES.values())}, got {sorted(names)} in {self.name}: give "
                "pooling="
            )
        if prefix and "mean" in names and config.get("include_prompt") is False:
            raise ValueError(
                f"{self.name} leaves the prompt out of the mean of the tokens (include_prompt is false), which this "
                'encoder cannot do. Give prefix="" to use no prompt, or pooling="mean" to use the mean of all tokens'
            )
        return names.pop()

    def prompt(self, name=None):
        """Return the prompt of a name, or the default prompt. It is put before texts."""
        settings = self.settings("config_sentence_transformers.json")
        prompts = settings.get("prompts") or {}
        if name is None:
            name = settings.get("default_prompt_name")
        if name is None:
            return ""
        if name not in prompts:
            raise ValueError(f"{self.name} has no prompt {name!r}. Its prompts: {sorted(prompts) or 'none'}")
        return prompts[name]
