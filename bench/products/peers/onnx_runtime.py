"""onnxruntime: a model of one MatMul, its weights packed when the session starts."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import numpy as np

from bench.native import UnavailableError
from bench.products.peers.base import Product, ProductPeer
from bench.products.problems import Array

# Old enough for every release of the last years to read.
OPERATORS, FORMAT = 17, 8


def _open(weights: Array, inputs: Array) -> Product:
    onnx, runtime = _import()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.inter_op_num_threads = 1
    session = runtime.InferenceSession(
        _model(onnx, weights), options, providers=["CPUExecutionProvider"]
    )
    feed = {"x": np.ascontiguousarray(inputs)}
    return lambda: session.run(None, feed)[0]


def _import() -> tuple[ModuleType, ModuleType]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UnavailableError(f"{error.name} is not installed") from error
    return onnx, onnxruntime


def _model(onnx: Any, weights: Array) -> bytes:
    rows, columns = weights.shape
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [onnx.helper.make_tensor_value_info("x", real, ["tokens", columns])],
        [onnx.helper.make_tensor_value_info("y", real, ["tokens", rows])],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(weights.T), "w")],
    )
    operators = [onnx.helper.make_opsetid("", OPERATORS)]
    model = onnx.helper.make_model(graph, opset_imports=operators, ir_version=FORMAT)
    serialized: bytes = model.SerializeToString()
    return serialized


PEERS = (ProductPeer("onnxruntime", _open, np.asarray, obeys=False),)
