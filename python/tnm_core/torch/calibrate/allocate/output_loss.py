"""How far the outputs of a model move: a loss that needs no labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.allocate.model_outputs import Path, model_outputs, named
from tnm_core.torch.calibrate.data import Calibration, evaluating
from tnm_core.torch.layers import unwrap

# Entries that are in float64 at a time.
_CHUNK = 1 << 20


def output_change(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    rows: Callable[[Any], torch.Tensor | None] | None = None,
) -> Callable[[nn.Module], float]:
    """Run a dense model, and return a function that says how far another one's outputs are off.

    That is a loss which needs no labels: the squared difference of the outputs for all batches,
    over the squared deviation of the dense outputs from their mean. It is 0 for the dense model,
    about 1 for one that always returns the mean, and the same whatever unit outputs are in.

    Parameters
    ----------
    model : torch.nn.Module
        Dense; it runs once on each batch, in evaluation mode, and is not changed.
    batches : iterable of batches
        Some of the calibration data; they are kept, as are the dense outputs.
    forward : function of model and batch, optional
        Runs the model on a batch, as in `prune_model_`.
    rows : function of batch, optional
        Returns a bool tensor of shape (batch, tokens), False where tokens are padding, or None. By
        default the batch's ``"attention_mask"``, if it is a mapping with one. Padding is left out
        of outputs of shape (batch, tokens, units), and of shape (batch, tokens) if that is so for
        all batches.

    Returns
    -------
    function of torch.nn.Module
        Runs a model on the same batches, in evaluation mode and without gradients, and returns its
        change; infinite if it returns NaN or infinite values. It raises ValueError for a model
        whose outputs have other shapes than the dense ones.

    Raises
    ------
    TypeError
        If `batches` is not iterable.
    ValueError
        If there is no batch, or the model returns no floating-point tensor, NaN or infinite values,
        or nothing but zeros.

    Notes
    -----
    All floating-point tensors that the model returns count, also within tuples, lists, mappings
    and dataclasses. For a tensor with dense values d_i and values y_i, i over the entries of all
    batches without padding, the change is ``sum((y_i - d_i)**2) / sum((d_i - mean(d))**2)``, in
    float64; of several tensors, the mean counts. Where all d_i are equal, up to the rounding of
    their dtype, it is ``sum((y_i - d_i)**2) / sum(d_i**2)``. Not counted are tensors of zeros
    alone and, beside others, tensors without dimensions, such as a loss.

    Memory is that of the batches, the dense outputs, and what a model needs for one batch.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch.calibrate.allocate import output_change
    >>> model = torch.nn.Linear(16, 8, bias=False)
    >>> change = output_change(model, [torch.randn(64, 16)])
    >>> change(model)
    0.0
    >>> _ = model.weight.data.mul_(0.0)
    >>> 0.9 < change(model) < 1.1
    True
    """
    # A loader that shuffles, or changes its samples, gives others when it is read again.
    kept = list(batches) if isinstance(batches, Iterable) else batches
    calibration = Calibration(kept, forward, rows)
    model = unwrap(model)
    with evaluating(model):
        known = [_DenseBatch.of(calibration, model, batch) for batch in calibration.batches]
    if not known:
        raise ValueError("batches holds no batch, expected at least one")
    _drop_padding_(known)
    return partial(_change, calibration, known, _scales(known))


def _change(
    calibration: Calibration,
    known: Sequence[_DenseBatch],
    scales: Mapping[Path, float],
    model: nn.Module,
) -> float:
    """Measure how far the outputs of a model are off; infinite if they are not finite."""
    model = unwrap(model)
    squares = dict.fromkeys(scales, 0.0)
    with evaluating(model):
        for one in known:
            for path, square in one.squared_differences(calibration, model):
                if path in squares:
                    squares[path] += square
    total = sum(square / scales[path] for path, square in squares.items()) / len(scales)
    return total if math.isfinite(total) else math.inf


@dataclass
class _DenseBatch:
    """A batch, its tokens that are no padding, and the dense outputs for it."""

    batch: Any
    rows: torch.Tensor | None
    dense: dict[Path, torch.Tensor]
    by_token: frozenset[Path] = frozenset()  # the outputs that padding is left out of

    @classmethod
    def of(cls, calibration: Calibration, model: nn.Module, batch: Any) -> _DenseBatch:
        """Run the dense model."""
        # Copies, as a model may return a tensor that it keeps, and changes.
        dense = {path: one.clone() for path, one in model_outputs(calibration, model, batch)}
        return cls(batch, calibration.rows(batch), dense)

    def has_tokens(self, path: Path) -> bool:
        """Whether an output may be one for each token; of this batch alone it may be by chance."""
        output = self.dense.get(path)
        if output is None or self.rows is None or output.ndim not in (2, 3):
            return False
        return output.shape[:2] == self.rows.shape

    def without_padding(self, path: Path, tensor: torch.Tensor) -> torch.Tensor:
        """Return an output of the tokens that are no padding."""
        if path not in self.by_token or self.rows is None or tensor.shape[:2] != self.rows.shape:
            return tensor
        return tensor[self.rows.to(tensor.device)]

    def squared_differences(
        self, calibration: Calibration, model: nn.Module
    ) -> Iterator[tuple[Path, float]]:
        """Run a model; yield the squared difference of each of its outputs."""
        found = dict(model_outputs(calibration, model, self.batch))
        for path, dense in self.dense.items():
            output = found.get(path)
            if output is not None:
                output = self.without_padding(path, output)
            if output is None or output.shape != dense.shape:
                told = "nothing" if output is None else f"shape {tuple(output.shape)}"
                raise ValueError(
                    f"the model returns {told}{named(path)} where the dense model returns shape "
                    f"{tuple(dense.shape)}, expected the same"
                )
            pairs = zip(_chunks(output), _chunks(dense), strict=True)
            yield path, sum(float((one - other).square().sum()) for one, other in pairs)


def _drop_padding_(known: Sequence[_DenseBatch]) -> None:
    """Leave the padding out of the outputs that are one for each token in all batches."""
    paths = {path for one in known for path in one.dense}
    by_token = frozenset(path for path in paths if all(one.has_tokens(path) for one in known))
    for one in known:
        one.by_token = by_token
        for path, tensor in one.dense.items():
            kept = one.dense[path] = one.without_padding(path, tensor)
            if not bool(torch.isfinite(kept).all()):
                raise ValueError(
                    f"the model returns NaN or infinite values{named(path)}, expected finite "
                    "ones; check the model and its inputs"
                )


def _scales(known: Sequence[_DenseBatch]) -> dict[Path, float]:
    """Return what squared differences of each output are divided by."""
    tensors: dict[Path, list[torch.Tensor]] = {}
    for one in known:
        for path, tensor in one.dense.items():
            tensors.setdefault(path, []).append(tensor)
    scales = {path: scale for path, of in tensors.items() if (scale := _scale(of)) > 0}
    if not scales:
        raise ValueError(
            "the model returns nothing but zeros, expected outputs that pruning can change"
        )
    return scales


def _scale(tensors: list[torch.Tensor]) -> float:
    """Sum the squared deviations from the mean; the squares, if there is no deviation."""
    count = max(sum(tensor.numel() for tensor in tensors), 1)
    mean = sum(float(chunk.sum()) for tensor in tensors for chunk in _chunks(tensor)) / count
    spread = squares = 0.0
    for tensor in tensors:
        for chunk in _chunks(tensor):
            spread += float((chunk - mean).square().sum())
            squares += float(chunk.square().sum())
    return spread if spread > torch.finfo(tensors[0].dtype).eps ** 2 * squares else squares


def _chunks(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield entries in float64, some at a time."""
    return (chunk.double() for chunk in torch.split(tensor.reshape(-1), _CHUNK))
