"""CrossEncoderReranker: the estimator around a cross-encoder."""

from copy import copy

from sklrank._fitted import ParameterRecord
from sklrank._progress import CallbackSupportMixin, progress, with_callbacks
from sklrank._ragged import owners
from sklrank._session import PrintedBytes, PrintedBytesMixin, picklable, unwrapped
from sklrank._validation import Hidden
from sklrank.rerankers._base_scoring import ScoringReranker
from sklrank.rerankers._cross_encoder import CONSTRAINTS, DEFAULTS, STAGE, CrossEncoder, of_repository
from sklrank.rerankers._texts import document_texts, query_texts


class CrossEncoderReranker(PrintedBytesMixin, CallbackSupportMixin, ScoringReranker):
    """Rank candidates by a cross-encoder, a model that reads query and document together.

    The most exact of the usual models, and the slowest: each candidate of each query is a text to read. All pairs of a
    call are read in batches of like length, across queries.

    Parameters
    ----------
    model : path, bytes, InferenceSession or CrossEncoder
        The ONNX model: a file, its content, or one that is open; or a `CrossEncoder`, which brings the settings that it
        has, so that they are not given again.
    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        The tokenizer of the model: an object, a ``tokenizer.json`` or its content, or a function from a list of queries
        and a list of documents to one sequence of token ids each, special tokens included. ``None``: the
        ``tokenizer.json`` beside the model, or in the folder above.
    depth : int, default=None
        How many candidates of each query to score, the first ones; ``None``: all.
    tail : {"drop", "keep"}, default="drop"
        What becomes of the others: they are left out, or stand below in their order.
    k : int, default=None
        How many documents to keep for each query; ``None``: all.
    activation : {"auto", "identity", "sigmoid", "softmax"}, default="auto"
        What is made of the model's output, the logits. "auto" leaves one number as it is, and makes probabilities of
        several labels.
    label : int, default=None
        The label whose value is the score, of a model that has several; ``None``: the expected grade, labels being the
        grades 0, 1, … The expected grade of two labels is the probability of the second.
    field : str or list of str, default=None
        Columns of the corpus to read. ``None``: title and text joined by a space where both exist.
    max_length : int, default=512
        Most tokens of a pair, special ones included. Of what is longer, the end of the document is cut off. A query
        of more than half of that is cut there, with a warning.
    max_passage : int, default=None
        Read a document in passages of so many tokens, or as many as fit beside the query, so that nothing of it is cut
        off; ``None``: in one piece.
    stride : int, default=None
        Tokens from the start of one passage to the start of the next; ``None``: `max_passage`, without overlap. The
        last passage ends with the document, and is as long as the others.
    how : {"max", "first", "mean"}, default="max"
        The score of a document, from those of its passages; "first" reads no further than the first.
    output : str, default=None
        Name of the output to take. ``None``: "logits", or the one that gives one number a pair, or the only one.
    device : str, default="auto"
        Where the model runs: "cpu", "cuda", "cuda:1", or "auto", which takes CUDA where it starts.
    providers : list, default=None
        ONNX Runtime's execution providers, with their options, in the place of `device`.
    max_tokens_per_batch : int, default=None
        Most tokens that the model reads at a time, padding included. None: what suits the device; a model whose int8
        activations are scaled by the batch reads one pair at a time, so that no pair changes what becomes of another.
    cache : int, default=262144
        Most scores to keep, for the model, the query and the document; 0 keeps none.
    n_jobs : int, default=None
        Threads of the model on the CPU. ``None`` is 1 unless in a `joblib.parallel_config` context, -1 all of them.
    verbose : bool, default=False
        Whether to print how far it is.

    Attributes
    ----------
    device_ : str
        Where the model runs: "cpu", "cuda:0", …
    model_ : CrossEncoder
        The open model.

    See Also
    --------
    CrossEncoder : The model by itself.
    DenseReranker : Compares vectors of query and document, which is faster.
    CascadeReranker : Cheap rerankers first, so that this one reads less.

    Notes
    -----
    Nothing is learned: `fit` opens the model, and `transform` of an unfitted reranker does so, too. A pickle holds the
    path or the bytes of the model.

    *Scores are kept* in the process, by model and the content of query and document, so that a search over `depth`, a
    blend behind, or retrievers before never scores a pair twice. Other processes score it again: leave the search at
    ``n_jobs=1``, and set `n_jobs` of the reranker, whose jobs are threads.

    *To blend* them with the scores that the candidates had, put a `ScoreFuser` behind: both are columns.

    Equal scores go by row. Equal pairs have equal scores; what a model in floating point gives to a pair may differ in
    its last bits with what stands beside it in a batch.

    Parameters that need a new `fit`: none. All take effect at once.

    References
    ----------
    Nogueira and Cho, "Passage re-ranking with BERT", 2019. Dai and Callan, "Deeper text understanding for IR with
    contextual neural language modeling", SIGIR 2019 (passages).

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklrank import Corpus
    >>> from sklrank.rerankers import CrossEncoderReranker
    >>> from sklrank.retrievers import BM25Retriever
    >>> corpus = Corpus(["heat", "laminar flow", "heat transfer", "cold wing"])
    >>> reranker = CrossEncoderReranker("cross-encoder.onnx", tokenizer="tokenizer.json", depth=10)
    >>> pipe = make_pipeline(BM25Retriever(corpus), reranker).fit(["heat flow"])
    >>> run = pipe.predict(["heat flow"])
    >>> run.docids, run.columns
    ([['1', '0', '2']], ('bm25', 'cross_encoder'))
    """

    _stage = STAGE

    _parameter_constraints: dict = {
        **ScoringReranker._parameter_constraints,
        **CONSTRAINTS,
        "model": [*CONSTRAINTS["model"], Hidden(PrintedBytes), CrossEncoder],
        "tokenizer": [*CONSTRAINTS["tokenizer"], Hidden(PrintedBytes)],
        "field": "no_validation",
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model,
        *,
        tokenizer=None,
        depth=None,
        tail="drop",
        k=None,
        activation="auto",
        label=None,
        field=None,
        max_length=512,
        max_passage=None,
        stride=None,
        how="max",
        output=None,
        device="auto",
        providers=None,
        max_tokens_per_batch=None,
        cache=1 << 18,
        n_jobs=None,
        verbose=False,
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.depth = depth
        self.tail = tail
        self.k = k
        self.activation = activation
        self.label = label
        self.field = field
        self.max_length = max_length
        self.max_passage = max_passage
        self.stride = stride
        self.how = how
        self.output = output
        self.device = device
        self.providers = providers
        self.max_tokens_per_batch = max_tokens_per_batch
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    @classmethod
    def from_hub(cls, repository, *, file="onnx/model.onnx", revision=None, **parameters):
        """Make a reranker of a model on the Hugging Face hub, with its tokenizer and its maximum length.

        Parameters
        ----------
        repository : str
            "organization/name", or a folder that is laid out like a repository.
        file : str, default="onnx/model.onnx"
            Path of the ONNX model within.
        revision : str, default=None
            Branch, tag or commit. None is what the main branch is now; the commit makes a program repeatable.
        **parameters : dict
            Parameters of the reranker, in the place of what the repository says.

        Returns
        -------
        CrossEncoderReranker
        """
        return cls(**of_repository(repository, file, revision, parameters))

    @with_callbacks
    def transform(self, X):
        """Rank the first candidates of each query anew.

        Parameters
        ----------
        X : Run
            Candidates, with a corpus and the texts of the queries.

        Returns
        -------
        Run
            Best first, equal scores by row. The score that the candidates had is a column, and so is the new one.
        """
        return super().transform(X)

    def _open(self):
        opened_with = ParameterRecord(self, ("model", *DEFAULTS))
        settings = {name: unwrapped(getattr(self, name)) for name in ("model", *DEFAULTS)}
        if isinstance(self.model, CrossEncoder):
            given = [name for name, default in DEFAULTS.items() if settings[name] != default]
            if given:
                raise ValueError(
                    f"model is a CrossEncoder, which has settings of its own; {', '.join(given)} goes to it, not here"
                )
            model = self.model._opened()
        else:
            model = CrossEncoder._shared(settings)
        self.model_, self.device_, self._opened_with = model, model.device, opened_with

    def _score(self, candidates):
        opened_with = vars(self).get("_opened_with")
        if opened_with is None or not opened_with.holds(vars(self)):
            self._open()
        texts, which = document_texts(candidates, self.field)
        queries = query_texts(candidates)
        with progress(self, "scored", len(which), verbose=self.verbose, what="pairs") as report:
            return self.model_._score_pairs(queries, texts, owners(candidates.indptr), which, report)

    def __sklearn_clone__(self):
        bare = copy(self)  # open models and tokenizers are shared, not copied
        bare.model = bare.tokenizer = None
        cloned = super(CrossEncoderReranker, bare).__sklearn_clone__()
        return cloned.set_params(model=self.model, tokenizer=self.tokenizer)

    def __getstate__(self):
        state = dict(super().__getstate__())
        for name in ("model_", "device_", "_opened_with"):  # opened anew on the other side
            state.pop(name, None)
        return {**state, "model": picklable(self.model), "tokenizer": picklable(self.tokenizer)}
