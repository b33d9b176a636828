"""MaxSim as an ONNX graph, over token vectors that stay on a device."""

import numpy as np

from sklrank._caching import Counted, memoized
from sklrank._maxsim import of_like_length
from sklrank._optional import optional_import
from sklrank._ragged import owners
from sklrank._session._open_session import OpenSession, run_bound
from sklrank._session._source import Source

_CELLS = 1 << 25  # maximum number of values that one run of the graph computes


class DeviceTokens(Counted):
    """Score candidates by token vectors of documents that stay on a device.

    Parameters
    ----------
    values : ndarray of float32, float16 or int8, shape (n_tokens, n_features)
        Token vectors of all documents.
    indptr : ndarray of int64, shape (n_documents + 1,)
        Start of each document in `values`, and the end of the last one.
    device : str
        The device: "cuda:0", …
    scales : ndarray of float64, shape (n_tokens,), default=None
        Factor of the similarities with each token. If None, it is 1.
    """

    def __init__(self, values, indptr, device, scales=None):
        self._open = OpenSession.of(Source(maxsim_graph(values.dtype.name)), device)
        self._kind, _, number = self._open.device.partition(":")
        self._number = int(number or 0)
        self._tokens = self._placed(values)
        if scales is None:
            scales = np.ones(len(values))
        self._scales = self._placed(scales[:, None].astype(np.float32))
        self._n_features = values.shape[1]
        self.indptr = indptr
        self.n_bytes = values.nbytes + 4 * len(values) + indptr.nbytes  # on the device, but counted as any other

    def _placed(self, array):
        from onnxruntime import OrtValue

        return OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), self._kind, self._number)

    def score_pairs(self, queries, q_indptr, indptr, rows, weights, n_jobs=None):
        """Score the candidates of each query.

        Parameters
        ----------
        queries, q_indptr, indptr, rows, weights
            As in `TokenIndex.score_pairs`.
        n_jobs : Ignored
            Present because `TokenIndex` has it.

        Returns
        -------
        ndarray of float32, shape (n_pairs,)
        """
        lengths = np.diff(q_indptr)
        longest = max(int(lengths.max(initial=0)), 1)
        real = np.arange(longest) < lengths[:, None]
        side_by_side = np.zeros((*real.shape, self._n_features), dtype=np.float32)
        side_by_side[real] = queries
        counts = np.zeros(real.shape, dtype=np.float32)  # 0 for the tokens that fill up a query
        counts[real] = weights
        constant = {
            "tokens": self._tokens,
            "scales": self._scales,
            "queries": self._placed(side_by_side),
            "weights": self._placed(counts[:, None]),
        }
        query = owners(indptr)
        starts, lasts = self.indptr[rows], self.indptr[rows + 1] - 1
        scores = np.empty(len(rows), dtype=np.float32)
        n_tokens = _CELLS // (self._n_features + longest)
        # The query of each pair takes memory, too, so that a short document counts as one of the query's length.
        for pairs, width in of_like_length(np.maximum(lasts - starts + 1, longest), n_tokens):
            feeds = {
                **constant,
                "starts": starts[pairs, None],
                "lasts": lasts[pairs, None],
                "offsets": np.arange(width),
                "owners": query[pairs],
            }
            (found,) = run_bound(self._open.session, feeds, ["scores"], self._kind, self._number)
            scores[pairs] = found[:, 0, 0]
        return scores


@memoized(8)
def maxsim_graph(dtype):
    """Make the model that scores pairs of queries and documents, from operators that each device has.

    The documents of a batch are filled up with their last tokens, which do not change the maximum, and queries with
    tokens of weight 0.

    Parameters
    ----------
    dtype : {"float32", "float16", "int8"}
        Type of the token vectors that the model reads. It computes in single precision.

    Returns
    -------
    bytes
    """
    onnx = optional_import("onnx")
    node, kinds = onnx.helper.make_node, onnx.TensorProto
    real, integer = kinds.FLOAT, kinds.INT64
    stored = {"float32": real, "float16": kinds.FLOAT16, "int8": kinds.INT8}[dtype]
    inputs = [
        ("tokens", stored, ["n_tokens", "n_features"]),
        ("scales", real, ["n_tokens", 1]),
        ("queries", real, ["n_queries", "longest", "n_features"]),
        ("weights", real, ["n_queries", 1, "longest"]),
        ("starts", integer, ["n_pairs", 1]),
        ("lasts", integer, ["n_pairs", 1]),
        ("offsets", integer, ["width"]),
        ("owners", integer, ["n_pairs"]),
    ]
    nodes = [
        node("Add", ["starts", "offsets"], ["beyond"]),
        node("Min", ["beyond", "lasts"], ["positions"]),
        node("Gather", ["tokens", "positions"], ["gathered"]),
        node("Cast", ["gathered"], ["documents"], to=real),
        node("Transpose", ["documents"], ["features"], perm=[0, 2, 1]),
        node("Gather", ["queries", "owners"], ["asked"]),
        node("MatMul", ["asked", "features"], ["products"]),
        node("Gather", ["scales", "positions"], ["scale"]),
        node("Transpose", ["scale"], ["factors"], perm=[0, 2, 1]),
        node("Mul", ["products", "factors"], ["similarities"]),
        node("ReduceMax", ["similarities"], ["maxima"], axes=[2], keepdims=1),
        node("Gather", ["weights", "owners"], ["counts"]),
        node("MatMul", ["counts", "maxima"], ["scores"]),
    ]
    values = [onnx.helper.make_tensor_value_info(*arguments) for arguments in inputs]
    scores = onnx.helper.make_tensor_value_info("scores", real, ["n_pairs", 1, 1])
    graph = onnx.helper.make_graph(nodes, "maxsim", values, [scores])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()
