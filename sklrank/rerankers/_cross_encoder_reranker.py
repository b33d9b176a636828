"""CrossEncoderReranker: rerank by a cross-encoder."""

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
    """Rank candidates by a cross-encoder, a model that reads a query and a document together.

    Cross-encoders are the most exact of the usual models, and the slowest, because each pair of a query and a candidate
    is a text to read. All pairs of a call are read in batches of similar length, across queries.

    Parameters
    ----------
    model : path, bytes, InferenceSession or CrossEncoder
        ONNX model. It is a file, its content, an open session, or a `CrossEncoder`. A `CrossEncoder` has its own
        settings, which are not given here.
    tokenizer : tokenizers.Tokenizer, path, bytes or callable, default=None
        Tokenizer of the model. It is an object, a ``tokenizer.json`` file or its content, or a function that takes a
        list of queries and a list of documents, and returns a sequence of token ids for each pair, special tokens
        included. If None, it is the ``tokenizer.json`` in the folder of the model, or in the folder above.
    depth : int, default=None
        Number of candidates of each query to rerank, from the top. If None, all are reranked.
    tail : {"drop", "keep"}, default="drop"
        Whether candidates below `depth` are dropped or kept in their order.
    k : int, default=None
        Number of documents to return for each query. If None, all are returned.
    activation : {"auto", "identity", "sigmoid", "softmax"}, default="auto"
        Function applied to the model's output. The output holds logits. "auto" is "identity" for a model with one
        number per pair, and "softmax" for a model with several labels.
    label : int, default=None
        Label whose value is the score, for a model with several labels. If None, the score is the expected grade, where
        the labels are the grades 0, 1, … With two labels, this is the probability of the second.
    field : str or list of str, default=None
        Columns of the corpus to read. If None, title and text are joined by a space if both exist.
    max_length : int, default=512
        Maximum number of tokens per input, special tokens included. The end of a longer document is cut off. A query
        longer than half of `max_length` is cut at that length, with a warning.
    max_passage : int, default=None
        Maximum number of tokens per passage. A document is read in passages of this length, or shorter ones if the
        query leaves less room, so that no part of it is cut off. If None, a document is read as one text.
    stride : int, default=None
        Number of tokens from the start of one passage to the start of the next. If None, it is `max_passage`, so that
        passages do not overlap. The last passage ends with the document, and is as long as the others.
    how : {"max", "first", "mean"}, default="max"
        Function that combines the scores of passages. "first" reads only the first passage.
    output : str, default=None
        Name of the model output to use. If None, it is "logits", the output with one number per pair, or the only
        output.
    device : str, default="auto"
        Device that runs the model. It is "cpu", "cuda", "cuda:1", or "auto", which is CUDA if it starts, otherwise the
        CPU.
    providers : list, default=None
        Execution providers of ONNX Runtime, with their options, instead of `device`.
    max_tokens_per_batch : int, default=None
        Maximum number of tokens per batch, padding included. If None, a number that suits the device is chosen. A model
        whose int8 activations are scaled per batch reads one pair at a time, so that a pair does not change the score
        of another.
    cache : int, default=262144
        Maximum number of results to keep. A result is the score of a query and a document by the model. If 0, none are
        kept. See Notes.
    n_jobs : int, default=None
        Number of threads. They run the model on the CPU. None means 1 unless in a `joblib.parallel_config` context, and
        -1 means all processors.
    verbose : bool, default=False
        Whether to print progress.

    Attributes
    ----------
    device_ : str
        Device that runs the model: "cpu", "cuda:0", …
    model_ : CrossEncoder
        Open model.

    See Also
    --------
    CrossEncoder : Scores pairs directly.
    DenseReranker : Compares vectors of query and document, which is faster.
    CascadeReranker : Uses fast rerankers first, so that this one reads fewer candidates.

    Notes
    -----
    Nothing is learned. `fit` opens the model, as does `transform` of an unfitted reranker. A pickle holds the path or
    the bytes of the model.

    *Scores are kept* in the process, by the model and the content of query and document. A parameter search over
    `depth`, a blend in a later step, or retrievers thus never scores a pair twice. Other processes score it again.
    Therefore leave the search at ``n_jobs=1``, and set `n_jobs` of the reranker, whose jobs are threads.

    *To blend* the new scores with the old ones, add a `ScoreFuser` as the next step: both are columns.

    Equal scores are ordered by row. Equal pairs have equal scores. With a model in floating point, the last bits of a
    score can depend on the other pairs of the batch.

    No parameter needs a new `fit`. All take effect at once.

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
        """Make a reranker with a model from the Hugging Face hub, its tokenizer and its maximum length.

        Parameters
        ----------
        repository : str
            "organization/name", or a folder with the layout of a repository.
        file : str, default="onnx/model.onnx"
            Path of the ONNX model in the repository.
        revision : str, default=None
            Branch, tag or commit. If None, it is the current main branch. A commit makes a program reproducible.
        **parameters : dict
            Parameters of the reranker, instead of those of the repository.

        Returns
        -------
        CrossEncoderReranker
        """
        return cls(**of_repository(repository, file, revision, parameters))

    @with_callbacks
    def transform(self, X):
        """Rerank the first candidates of each query.

        Parameters
        ----------
        X : Run
            Candidates. They have a corpus, and the texts of the queries.

        Returns
        -------
        Run
            The candidates, best first. Equal scores are ordered by row. The old score and the new score are columns.
        """
        return super().transform(X)

    def _open(self):
        opened_with = ParameterRecord(self, ("model", *DEFAULTS))
        settings = {name: unwrapped(getattr(self, name)) for name in ("model", *DEFAULTS)}
        if isinstance(self.model, CrossEncoder):
            given = [name for name, default in DEFAULTS.items() if settings[name] != default]
            if given:
                raise ValueError(
                    f"model is a CrossEncoder, which has its own settings; give it {', '.join(given)}, not the reranker"
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
        for name in ("model_", "device_", "_opened_with"):  # the model is opened again after unpickling
            state.pop(name, None)
        return {**state, "model": picklable(self.model), "tokenizer": picklable(self.tokenizer)}
