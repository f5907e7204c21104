"""Folding batch normalisation into the layer before it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from tnm_core.short_repr import short_repr
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.calibrate.batch_norm.layers_before import layers_before, tensors_of
from tnm_core.torch.calibrate.data import Calibration, evaluating
from tnm_core.torch.layers import (
    SharedMemory,
    check_can_change,
    has_hooks,
    masked_parametrization,
    replace_layer,
    unwrap,
)

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
# Outputs may differ by rounding: of one layer, and of the whole model.
_LAYER_ROUNDING, _MODEL_ROUNDING = 200.0, 20_000.0


@dataclass(frozen=True)
class FoldReport:
    """What `fold_batch_norm_` did; printing it gives a list.

    Attributes
    ----------
    folded : dict of str to str
        By normalisation that is gone, the layer that does its work.
    skips : dict of str to Skip
        Normalisations that are still there, with the code of the reason and its values.
    """

    folded: dict[str, str]
    skips: dict[str, Skip]

    __repr__ = short_repr

    @property
    def skipped(self) -> dict[str, str]:
        """Normalisations that are still there, with the reason as a sentence."""
        return {name: str(skip) for name, skip in self.skips.items()}

    def __str__(self) -> str:
        lines = [f"{len(self.folded)} folded, {len(self.skips)} left"]
        lines.extend(f"  {name}: into {layer}" for name, layer in self.folded.items())
        lines.extend(f"  {name}: left: {skip}" for name, skip in self.skips.items())
        return "\n".join(lines)


@torch.inference_mode(False)
@torch.no_grad()
def fold_batch_norm_(
    model: nn.Module,
    batch: Any,
    *,
    forward: Callable[[nn.Module, Any], Any] | None = None,
) -> FoldReport:
    """Fold batch normalisations into the convolutions and Linear layers before them, in place.

    A layer's weights are multiplied row by row, its bias takes the rest, and an ``Identity`` stands
    where the normalisation was. Zeros stay zeros, so masks stay valid, and what `sparsify_` or
    `prune_model_` masked stays masked. Do this for inference, before `pack_for_inference_`.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    batch : batch
        One batch of what the model takes, as in `prune_model_`. The model runs on it three times.
    forward : function of model and batch, optional
        Runs the model on the batch, as for `prune_model_`.

    Returns
    -------
    FoldReport
        Which normalisations were folded into which layers, and why others are still there.

    Raises
    ------
    TypeError
        If the model is no module.
    ValueError
        If a normalisation is in training mode, or the model's outputs turn out to be others than
        before. The model is unchanged then.

    Notes
    -----
    A pair is found by running: each output of the layer is the input of the normalisation, and no
    function of torch gets it elsewhere, nor does the model return it. Then it is tried: the folded
    layer has to give what the two gave together, but for rounding, which also proves layers with
    code of their own, such as convolutions that pad. What another batch would do in a model whose
    code takes another way for it is not seen.

    Weights are multiplied in float64 (`torch.nn.utils.fusion`) and rounded once.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch.calibrate import fold_batch_norm_
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1, bias=False), torch.nn.BatchNorm2d(8))
    >>> fold_batch_norm_(model.eval(), torch.ones(1, 3, 4, 4)).folded
    {'1': '0'}
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, expected a torch.nn.Module")
    calibration, model = Calibration([batch], forward), unwrap(model)
    norms = {name: one for name, one in model.named_modules() if isinstance(one, _BatchNorm)}
    for name, norm in norms.items():
        if norm.training:
            raise ValueError(
                f"{name or 'the model'} is in training mode, expected evaluation mode: a folded "
                "normalisation no longer follows the data; call model.eval() first"
            )
    layers = {
        name: one
        for name, one in model.named_modules()
        if isinstance(one, (_ConvNd, nn.Linear)) or getattr(type(one), "tnm_packed_weight", False)
    }
    run = partial(calibration.forward, model, batch)
    with evaluating(model):
        hooked = {name for name, one in (*norms.items(), *layers.items()) if has_hooks(one)}
        pairs, skips, before = layers_before(run, norms, layers)
        memory = SharedMemory(model)
        for name, layer in list(pairs.items()):
            skip = (
                SkipCode.HAS_HOOKS()
                if {name, layer} & hooked
                else _why_not(norms[name], layer, layers[layer], memory)
            )
            if skip is not None:
                skips[name] = skip
                del pairs[name]
        folds = {name: _Fold(model, name, layer) for name, layer in pairs.items()}
        skips.update(_fold_(folds, run, list(tensors_of(before))))
    order = list(norms)
    return FoldReport(
        {name: pairs[name] for name in order if name in pairs and name not in skips},
        {name: skips[name] for name in order if name in skips},
    )


class _Fold:
    """A normalisation and the layer before it: folded, or put back."""

    def __init__(self, model: nn.Module, norm: str, layer: str) -> None:
        self._model, self.layer_name = model, layer
        self.layer, self.norm = (
            model.get_submodule(layer),
            cast(_BatchNorm, model.get_submodule(norm)),
        )
        self.names = [
            name for name, one in model.named_modules(remove_duplicate=False) if one is self.norm
        ]
        self.alone = copy.deepcopy(self.layer)
        check_can_change(layer, self._weight)
        self._kept = self._weight.detach().clone(), _clone(self._bias)
        self.difference = 0.0

    @property
    def _weight(self) -> torch.Tensor:
        """The dense weight, of which a mask shows a part."""
        if masked_parametrization(self.layer) is None:
            return cast(torch.Tensor, self.layer.weight)
        return cast(torch.Tensor, cast(Any, self.layer).parametrizations["weight"].original)

    @property
    def _bias(self) -> torch.Tensor | None:
        return cast("torch.Tensor | None", self.layer.bias)

    def do_(self) -> None:
        """Let the layer do the work of both."""
        weight, bias = self._folded()
        self._weight.copy_(weight)
        if self._bias is None:
            wanted = nn.Parameter(bias.to(weight.device, self._weight.dtype))
            self.layer.bias = wanted.requires_grad_(self._weight.requires_grad)
        else:
            self._bias.copy_(bias)
        for name in self.names:
            replace_layer(self._model, name, nn.Identity().train(self.norm.training))

    def undo_(self) -> None:
        """Put back what was."""
        weight, bias = self._kept
        self._weight.copy_(weight)
        if bias is None:
            cast(Any, self.layer).bias = None
        else:
            cast(torch.Tensor, self._bias).copy_(bias)
        for name in self.names:
            replace_layer(self._model, name, self.norm)

    def compare(self, _: nn.Module, args: Any, kwargs: Any, output: torch.Tensor) -> None:
        """Note by how much a folded output differs from that of the two, in units of rounding."""
        middle = self.alone(*args, **kwargs)
        expected = self.norm(middle)
        if output.shape != expected.shape:
            self.difference = float("inf")
            return
        self.difference = max(self.difference, _difference(output, expected, self._offset()))

    def _offset(self) -> float:
        """Return the largest mean that the normalisation takes away: outputs round as that does."""
        mean, variance, scale, _ = _statistics(self.norm)
        shift = mean * (variance + self.norm.eps).rsqrt()
        return float((shift if scale is None else shift * scale).abs().max())

    def _folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        bias = None if self._bias is None else self._bias.double()
        mean, variance, scale, shift = _statistics(self.norm)
        scale = torch.ones_like(mean) if scale is None else scale
        shift = torch.zeros_like(mean) if shift is None else shift
        norm = (mean, variance, self.norm.eps, scale, shift)
        if isinstance(self.layer, nn.Linear):
            return fuse_linear_bn_weights(self._weight.double(), bias, *norm)
        transposed = isinstance(self.layer, _ConvTransposeNd)
        return fuse_conv_bn_weights(self._weight.double(), bias, *norm, transposed)


def _fold_(
    folds: Mapping[str, _Fold], run: Callable[[], Any], before: list[torch.Tensor]
) -> dict[str, Skip]:
    """Fold all, put back those that turn out to differ, and say why."""
    left: dict[str, Skip] = {}
    done: list[_Fold] = []
    try:
        for fold in folds.values():
            done.append(fold)
            fold.do_()
        after = _run_and_compare(folds.values(), run)
        for name, fold in folds.items():
            if not fold.difference <= _LAYER_ROUNDING:
                fold.undo_()
                done.remove(fold)
                left[name] = SkipCode.FOLD_DIFFERS(layer=fold.layer_name)
        _check_same(before, list(tensors_of(run() if left else after)))
    except BaseException:
        for fold in done:
            fold.undo_()
        raise
    return left


def _run_and_compare(folds: Iterable[_Fold], run: Callable[[], Any]) -> Any:
    with ExitStack() as hooks:
        for fold in folds:
            hooks.enter_context(fold.layer.register_forward_hook(fold.compare, with_kwargs=True))
        return run()


def _check_same(before: list[torch.Tensor], after: list[torch.Tensor]) -> None:
    for one, other in zip(before, after, strict=True):
        if one.is_floating_point() and not _difference(other, one, 0.0) <= _MODEL_ROUNDING:
            raise ValueError(
                "the model's outputs are others with folded normalisations, expected the same: "
                "something uses what a layer returns in a way that cannot be seen, or draws random "
                "numbers; the model is as it was"
            )


def _difference(found: torch.Tensor, expected: torch.Tensor, offset: float) -> float:
    """Return the largest difference, in units of rounding of the largest number."""
    if not expected.numel() or torch.equal(found, expected):
        return 0.0
    largest = max(float(expected.abs().max()), offset)
    apart = float((found.double() - expected.double()).abs().max())
    # A hundredth is much even in 16 bits.
    unit = min(torch.finfo(expected.dtype).eps, 0.01 / _LAYER_ROUNDING) * largest
    return apart / unit if unit else float("inf")


def _why_not(norm: _BatchNorm, name: str, layer: nn.Module, memory: SharedMemory) -> Skip | None:
    """Tell why a normalisation cannot be folded into the layer before it."""
    if type(norm) not in _NORMS:
        return SkipCode.OWN_NORM(kind=type(norm).__name__)
    if norm.running_mean is None or norm.running_var is None:
        return SkipCode.NO_RUNNING_STATISTICS()
    marks = ("tnm_packed_weight", "tnm_masked_weight")
    if any(getattr(type(layer), mark, False) for mark in marks):
        return SkipCode.FOLD_BEFORE_PACKING(layer=name)
    chains = cast(Any, layer).parametrizations if parametrize.is_parametrized(layer) else {}
    masked = masked_parametrization(layer)
    if chains and (masked is None or set(chains) != {"weight"} or len(chains["weight"]) > 1):
        return SkipCode.FOLD_PARAMETRIZED(layer=name)
    own = [*layer.parameters(), *norm.parameters()]
    if any(len(memory.users_of(one)) > 1 for one in own):
        return SkipCode.FOLD_SHARED(layer=name)
    groups = cast(int, getattr(layer, "groups", 1))
    if isinstance(layer, _ConvTransposeNd) and groups > 1:
        return SkipCode.FOLD_TRANSPOSED_GROUPS(layer=name, groups=groups)
    return None


def _statistics(
    norm: _BatchNorm,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    """Return mean, variance, scale and shift in float64."""
    mean, variance = cast(torch.Tensor, norm.running_mean), cast(torch.Tensor, norm.running_var)
    scale, shift = cast(Any, norm.weight), cast(Any, norm.bias)
    return (
        mean.double(),
        variance.double(),
        None if scale is None else scale.double(),
        None if shift is None else shift.double(),
    )


def _clone(tensor: torch.Tensor | None) -> torch.Tensor | None:
    return None if tensor is None else tensor.detach().clone()
