"""A dense model in ONNX Runtime, as a peer that is made for inference on the CPU."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from tnm_core.cli.model_speed.rounds import Batch


class OnnxRuntimeModel:
    """A model exported to ONNX, called as the model is: named tensors in, a tuple of tensors out.

    Parameters
    ----------
    model : torch.nn.Module
        A model in evaluation, in float32, whose inputs have axes of sentences and tokens, or an
        axis of images and others of one length.
    batch : dict of str to torch.Tensor
        An example of its inputs; other batches may have other numbers of samples and tokens.
    threads : int
        How many threads ONNX Runtime may use.
    """

    def __init__(self, model: torch.nn.Module, batch: Batch, threads: int) -> None:
        runtime: Any = importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait busily would take the cores of the model whose turn is next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A folder, since weights beyond 2 GB lie in files beside the model.
        with TemporaryDirectory(prefix="tnm-onnx-") as folder:
            path = Path(folder) / "model.onnx"
            _export(model, batch, path)
            self._session = runtime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )

    def __call__(self, **batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the model."""
        inputs = {name: tensor.numpy() for name, tensor in batch.items()}
        return tuple(torch.from_numpy(output) for output in self._session.run(None, inputs))


def _export(model: torch.nn.Module, batch: Batch, path: Path) -> None:
    # An axis of length 1 would be taken for one that is always 1.
    example = {name: torch.cat([tensor[:1]] * 2) for name, tensor in batch.items()}
    any_length = {
        name: dict.fromkeys(range(2 if tensor.ndim == 2 else 1), torch.export.Dim.AUTO)
        for name, tensor in example.items()
    }
    with _quiet():
        torch.onnx.export(
            model,
            kwargs=example,
            f=path,
            dynamo=True,
            dynamic_shapes=any_length,
            input_names=list(example),
            verbose=False,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter tells of packages that are not used."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
