"""Reordering dimensions inside a model, so that transposable masks keep more of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tnm_core.torch._masked_weights import unwrap
from tnm_core.torch.calibrate.geometry import parse_layer_pattern
from tnm_core.torch.calibrate.order import execution_groups
from tnm_core.torch.calibrate.recording import Calibration, evaluating, first_tensor
from tnm_core.torch.calibrate.regrouping import regroup, retained_score
from tnm_core.torch.calibrate.statistics import Statistics
from tnm_core.torch.parametrization import masked_parametrization

__all__ = ["FreeDimension", "Permutation", "find_free_dimensions", "permute_"]


@dataclass(frozen=True)
class FreeDimension:
    """A dimension inside a model whose order does not matter to what the model computes.

    Attributes
    ----------
    outputs : tuple of str
        Linear layers whose outputs it is: their rows and biases move.
    inputs : tuple of str
        Linear layers whose inputs it is: their columns move.
    block : int or None
        Units move only within consecutive blocks of so many, such as a head's; None for all.
    """

    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    block: int | None = None


@dataclass(frozen=True)
class Permutation:
    """What `permute_` did.

    Attributes
    ----------
    orders : dict of FreeDimension to torch.Tensor of int64
        By dimension, which old unit came to each place.
    before, after : float
        Share of the score that optimal masks of the layers concerned keep, before and after.
    """

    orders: dict[FreeDimension, torch.Tensor]
    before: float
    after: float

    def undo_(self, model: nn.Module) -> None:
        """Bring the units of a model back into their old order, in place.

        Raises
        ------
        ValueError
            If a layer is masked: its mask would break its pattern in the old order. Call
            `remove_sparsity_` first to have the weights in the old order all the same.
        """
        model = unwrap(model)
        for dimension in self.orders:
            for name in (*dimension.outputs, *dimension.inputs):
                if masked_parametrization(model.get_submodule(name)) is not None:
                    raise ValueError(
                        f"layer {name!r} is masked, expected none that is: its mask breaks its "
                        "pattern in the old order; call remove_sparsity_ first"
                    )
        for dimension, order in self.orders.items():
            _reorder(model, dimension, order.argsort())


def permute_(
    model: nn.Module,
    dimensions: Sequence[FreeDimension],
    pattern: str | tuple[int, int] = "2:4",
    *,
    statistics: Statistics | None = None,
    rounds: int = 12,
    seed: int = 0,
) -> Permutation:
    """Reorder free dimensions so that optimal transposable masks keep more, in place.

    Call it on the dense model, before `prune_model`.

    Parameters
    ----------
    model : torch.nn.Module
        What it computes stays the same, up to rounding, if the dimensions are free.
    dimensions : sequence of FreeDimension
        Such as those of `find_free_dimensions`. They are not verified here.
    pattern : str or pair of int
        The transposable pattern that the model is going to have.
    statistics : Statistics, optional
        Of the model's layers, before the reordering: entries are then worth w² times the mean
        square of their input, else w². Each layer counts the same.
    rounds : int
        Reassignments of one unit of every tile.
    seed : int
        Of the choice of units.

    Returns
    -------
    Permutation
        With the orders, and `undo_`.

    Raises
    ------
    ValueError
        If a dimension names something else than dense Linear layers of the same size.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch.calibrate import FreeDimension, permute_
    >>> model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(),
    ...                             torch.nn.Linear(32, 8))
    >>> done = permute_(model, [FreeDimension(("0",), ("2",))])
    >>> done.after > done.before
    True
    """
    wanted = parse_layer_pattern(pattern)
    if not wanted.transposable:
        raise ValueError(f"pattern is {wanted}, expected a transposable one")
    n, m = wanted.n, wanted.m
    model = unwrap(model)
    for dimension in dimensions:
        _require_fit(model, dimension, m)
    orders: dict[FreeDimension, torch.Tensor] = {}
    kept = torch.zeros(3, dtype=torch.float64)
    for dimension in dimensions:
        scores = _scores(model, dimension, statistics, m)
        units = scores.shape[0]
        block = dimension.block or units
        order = torch.cat([
            start + regroup(scores[start : start + block], n, m, rounds, seed)
            for start in range(0, units, block)
        ])  # fmt: skip
        kept += torch.tensor(
            [retained_score(scores, n, m), retained_score(scores[order], n, m), scores.sum()]
        )
        orders[dimension] = order
    for dimension, order in orders.items():
        _reorder(model, dimension, order)
    total = max(float(kept[2]), 1e-300)
    return Permutation(orders, float(kept[0]) / total, float(kept[1]) / total)


def find_free_dimensions(
    model: nn.Module,
    calibration_loader: Iterable[Any],
    *,
    head_size: int | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    seed: int = 0,
) -> list[FreeDimension]:
    """Find dimensions whose order does not matter, by trying: shuffle, run, compare.

    Tried are: the outputs of the layers that share an input, one by one (values), and all together
    (the hidden units of a gated feed-forward network), with the inputs of the layer that runs next;
    and with `head_size`, pairs of layers that share an input, without another (queries and keys).

    Parameters
    ----------
    model : torch.nn.Module
        Runs on the first batch, once for each attempt, and is as before afterwards.
    calibration_loader : iterable of batches
        Only the first batch is used.
    head_size : int, optional
        Also try to move units within blocks of so many.
    forward : function of model and batch, optional
        As in `prune_model`.
    seed : int
        Of the shuffling.
    """
    calibration = Calibration(calibration_loader, forward)
    model = unwrap(model)
    layers = {name: m for name, m in model.named_modules() if type(m) is nn.Linear}
    with evaluating(model), torch.no_grad():
        groups, batch = execution_groups(model, calibration, layers)
        expected = _output(model, calibration, batch)
        found: list[FreeDimension] = []
        for index, group in enumerate(groups):
            following = groups[index + 1].names if index + 1 < len(groups) else ()
            for tried in _candidates(group.names, following, head_size):
                if _taken(found, tried) or _misfit(model, tried) is not None:
                    continue
                if _is_free(model, calibration, batch, expected, tried, seed):
                    found.append(tried)
    return found


def _candidates(
    together: tuple[str, ...], following: tuple[str, ...], head_size: int | None
) -> list[FreeDimension]:
    blocks = (None,) if head_size is None else (None, head_size)
    tried = [FreeDimension((one,), following, block) for one in together for block in blocks]
    if head_size is not None:
        pairs = [(a, b) for i, a in enumerate(together) for b in together[i + 1 :]]
        tried += [FreeDimension(pair, (), head_size) for pair in pairs]
    # Last, because it ties the layers to the same order.
    tried += [FreeDimension(together, following, block) for block in blocks]
    return [one for one in tried if one.inputs or len(one.outputs) > 1]


def _taken(found: Sequence[FreeDimension], tried: FreeDimension) -> bool:
    return any(
        set(one.outputs) & set(tried.outputs) or set(one.inputs) & set(tried.inputs)
        for one in found
    )


def _is_free(
    model: nn.Module,
    calibration: Calibration,
    batch: Any,
    expected: torch.Tensor,
    dimension: FreeDimension,
    seed: int,
) -> bool:
    layer = model.get_submodule(dimension.outputs[0])
    assert isinstance(layer, nn.Linear)
    units = layer.out_features
    block = dimension.block or units
    generator = torch.Generator().manual_seed(seed)
    order = torch.cat([
        start + torch.randperm(block, generator=generator) for start in range(0, units, block)
    ])  # fmt: skip
    saved = {
        name: {key: value.clone() for key, value in model.get_submodule(name).state_dict().items()}
        for name in (*dimension.outputs, *dimension.inputs)
    }
    try:
        _reorder(model, dimension, order)
        got = _output(model, calibration, batch)
    finally:
        for name, state in saved.items():
            model.get_submodule(name).load_state_dict(state)
    error = (got - expected).abs().max()
    precision = torch.finfo(expected.dtype).eps
    return bool(error <= 1e3 * precision * expected.abs().max().clamp_min(precision))


def _output(model: nn.Module, calibration: Calibration, batch: Any) -> torch.Tensor:
    output = first_tensor(calibration.forward(model, batch))
    if output is None or not output.is_floating_point():
        raise TypeError(
            "the model returns no floating-point tensor to compare, expected one; give forward="
        )
    return output


@torch.no_grad()
def _reorder(model: nn.Module, dimension: FreeDimension, order: torch.Tensor) -> None:
    for name in dimension.outputs:
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        at = order.to(layer.weight.device)
        layer.weight.copy_(layer.weight[at])
        if layer.bias is not None:
            layer.bias.copy_(layer.bias[at])
    for name in dimension.inputs:
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        layer.weight.copy_(layer.weight[:, order.to(layer.weight.device)])


def _scores(
    model: nn.Module, dimension: FreeDimension, statistics: Statistics | None, m: int
) -> torch.Tensor:
    """Units times what they meet in all layers, columns filled up to tiles."""
    parts = []
    for name in (*dimension.outputs, *dimension.inputs):
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        scores = layer.weight.detach().double().cpu().square()
        if statistics is not None:
            moments = statistics.layers[name]
            scores = scores * (moments.xx[0].diagonal() / moments.count).cpu()
        scores = scores / scores.sum().clamp_min(1e-300)
        scores = scores if name in dimension.outputs else scores.T
        parts.append(nn.functional.pad(scores, (0, -scores.shape[1] % m)))
    return torch.cat(parts, 1).contiguous()


def _require_fit(model: nn.Module, dimension: FreeDimension, m: int) -> None:
    reason = _misfit(model, dimension)
    if reason is None and dimension.block is not None and dimension.block % m:
        reason = f"block is {dimension.block}, expected a multiple of m = {m}"
    if reason is not None:
        raise ValueError(f"{dimension}: {reason}")


def _misfit(model: nn.Module, dimension: FreeDimension) -> str | None:
    if not dimension.outputs:
        return "outputs is empty, expected at least one layer"
    sizes = set()
    for name in (*dimension.outputs, *dimension.inputs):
        layer = model.get_submodule(name)
        if type(layer) is not nn.Linear:
            return f"{name!r} is a {type(layer).__name__}, expected a dense Linear"
        sizes.add(layer.out_features if name in dimension.outputs else layer.in_features)
    if len(sizes) > 1:
        return f"sizes are {sorted(sizes)}, expected the same"
    if dimension.block is not None and (dimension.block < 1 or min(sizes) % dimension.block):
        return f"block {dimension.block} does not divide {min(sizes)} units"
    return None
