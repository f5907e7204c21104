"""How far the outputs of a model move: a loss that needs no labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data import Calibration, evaluating
from tnm_core.torch.layers import unwrap

__all__ = ["output_change"]

# Entries that are in float64 at a time.
_CHUNK = 1 << 20

# Where a tensor is in what a model returns: keys of mappings, positions, names of fields.
_Path = tuple[Hashable, ...]


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
    >>> from tnm_core.torch.calibrate.allocate.allocation import output_change
    >>> model = torch.nn.Linear(16, 8, bias=False)
    >>> change = output_change(model, [torch.randn(64, 16)])
    >>> change(model)
    0.0
    >>> _ = model.weight.data.mul_(0.0)
    >>> 0.9 < change(model) < 1.1
    True
    """
    if not isinstance(batches, Iterable):
        raise TypeError(
            f"batches is a {type(batches).__name__}, expected a list of batches or a DataLoader"
        )
    # A loader that shuffles, or changes its samples, gives others when it is read again.
    calibration = Calibration(list(batches), forward, rows)
    model = unwrap(model)
    with evaluating(model):
        known = [_Known.of(calibration, model, batch) for batch in calibration.batches]
    if not known:
        raise ValueError("batches holds no batch, expected at least one")
    _leave_out_padding(known)
    scales = _scales(known)

    def change(of: nn.Module) -> float:
        of = unwrap(of)
        squares = dict.fromkeys(scales, 0.0)
        with evaluating(of):
            for one in known:
                for path, square in one.squared_differences(calibration, of):
                    if path in squares:
                        squares[path] += square
        total = sum(square / scales[path] for path, square in squares.items()) / len(scales)
        return total if math.isfinite(total) else math.inf

    return change


@dataclass
class _Known:
    """A batch, its tokens that are no padding, and the dense outputs for it.

    Attributes
    ----------
    by_token : frozenset
        The outputs that padding is left out of.
    """

    batch: Any
    rows: torch.Tensor | None
    dense: dict[_Path, torch.Tensor]
    by_token: frozenset[_Path] = frozenset()

    @classmethod
    def of(cls, calibration: Calibration, model: nn.Module, batch: Any) -> _Known:
        """Run the dense model."""
        # Copies, as a model may return a tensor that it keeps, and changes.
        dense = {path: one.clone() for path, one in _outputs(calibration, model, batch)}
        return cls(batch, calibration.rows(batch), dense)

    def has_tokens(self, path: _Path) -> bool:
        """Whether an output may be one for each token; of this batch alone it may be by chance."""
        output = self.dense.get(path)
        if output is None or self.rows is None or output.ndim not in (2, 3):
            return False
        return output.shape[:2] == self.rows.shape

    def without_padding(self, path: _Path, tensor: torch.Tensor) -> torch.Tensor:
        """An output, of the tokens that are no padding."""
        if path not in self.by_token or self.rows is None or tensor.shape[:2] != self.rows.shape:
            return tensor
        return tensor[self.rows.to(tensor.device)]

    def squared_differences(
        self, calibration: Calibration, model: nn.Module
    ) -> Iterator[tuple[_Path, float]]:
        """Of each output of a model."""
        found = dict(_outputs(calibration, model, self.batch))
        for path, dense in self.dense.items():
            output = found.get(path)
            if output is not None:
                output = self.without_padding(path, output)
            if output is None or output.shape != dense.shape:
                told = "nothing" if output is None else f"shape {tuple(output.shape)}"
                raise ValueError(
                    f"the model returns {told}{_spelled(path)} where the dense model returns shape "
                    f"{tuple(dense.shape)}, expected the same"
                )
            pairs = zip(_chunks(output), _chunks(dense), strict=True)
            yield path, sum(float((one - other).square().sum()) for one, other in pairs)


@torch.no_grad()
def _outputs(
    calibration: Calibration, model: nn.Module, batch: Any
) -> list[tuple[_Path, torch.Tensor]]:
    """What a model returns for a batch."""
    returned = calibration.forward(model, batch)
    found = list(_floating(returned))
    if not found:
        kind = type(returned).__name__
        if isinstance(returned, torch.Tensor):
            kind = f"tensor of {returned.dtype}"
        raise ValueError(
            f"the model returns a {kind}, expected a floating-point tensor, or a tuple, list, "
            "mapping or dataclass that holds one"
        )
    found = [(path, tensor) for path, tensor in found if tensor.ndim] or found
    return [(path, tensor.detach()) for path, tensor in found]


def _leave_out_padding(known: list[_Known]) -> None:
    paths = {path for one in known for path in one.dense}
    by_token = frozenset(path for path in paths if all(one.has_tokens(path) for one in known))
    for one in known:
        one.by_token = by_token
        for path, tensor in one.dense.items():
            kept = one.dense[path] = one.without_padding(path, tensor)
            if not bool(torch.isfinite(kept).all()):
                raise ValueError(
                    f"the model returns NaN or infinite values{_spelled(path)}, expected finite "
                    "ones; check the model and its inputs"
                )


def _floating(returned: Any, path: _Path = ()) -> Iterator[tuple[_Path, torch.Tensor]]:
    """Every floating-point tensor in what a model returned, and where it is."""
    parts: Iterable[tuple[Hashable, Any]] = ()
    if isinstance(returned, torch.Tensor):
        if returned.is_floating_point():
            yield path, returned
    elif isinstance(returned, Mapping):
        parts = returned.items()
    elif isinstance(returned, (tuple, list)):
        parts = enumerate(returned)
    elif is_dataclass(returned) and not isinstance(returned, type):
        parts = ((field.name, getattr(returned, field.name)) for field in fields(returned))
    for key, part in parts:
        yield from _floating(part, (*path, key))


def _scales(known: list[_Known]) -> dict[_Path, float]:
    """What squared differences of each output are divided by."""
    tensors: dict[_Path, list[torch.Tensor]] = {}
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
    """The sum of squared deviations from the mean; of the squares, if there is no deviation."""
    count = max(sum(tensor.numel() for tensor in tensors), 1)
    mean = sum(float(chunk.sum()) for tensor in tensors for chunk in _chunks(tensor)) / count
    spread = squares = 0.0
    for tensor in tensors:
        for chunk in _chunks(tensor):
            spread += float((chunk - mean).square().sum())
            squares += float(chunk.square().sum())
    return spread if spread > torch.finfo(tensors[0].dtype).eps ** 2 * squares else squares


def _chunks(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """Entries in float64, some at a time."""
    return (chunk.double() for chunk in torch.split(tensor.reshape(-1), _CHUNK))


def _spelled(path: _Path) -> str:
    return f" in its output {'.'.join(map(str, path))!r}" if path else ""
