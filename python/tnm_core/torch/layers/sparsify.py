"""Making the layers of a model sparse."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from tnm_core import arguments as arguments
from tnm_core.arguments import Method
from tnm_core.torch.layers.candidates import Candidate, Names, Selector, candidates
from tnm_core.torch.layers.masked_weights import unwrap
from tnm_core.torch.layers.parametrization import register_mask
from tnm_core.torch.layers.pattern import Pattern, parse_pattern
from tnm_core.torch.layers.report import LayerReport, SparsifyReport
from tnm_core.torch.layers.weight_axes import Layout, ScoreLike, score_sums, values_of

__all__ = ["DEFAULT_LAYERS", "select_layers", "sparsify_"]

DEFAULT_LAYERS: tuple[type[nn.Module], ...] = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def sparsify_(
    model: nn.Module,
    pattern: str | tuple[int, int] = "2:4",
    *,
    include: Names | None = None,
    exclude: Names = (),
    layers: tuple[type[nn.Module], ...] = DEFAULT_LAYERS,
    score: ScoreLike = "abs",
    method: Method = "optimal",
    threads: int | None = None,
) -> SparsifyReport:
    """Put a transposable N:M mask on the weights of a model's layers, in place.

    A parametrisation masks the weight whenever the layer uses it. The dense weight stays the
    parameter (``layer.parametrizations.weight.original``), so optimizers keep working; the mask is
    a buffer and part of the ``state_dict``. Gradients of pruned entries are zero until
    `DynamicMask` lets them pass.

    Parameters
    ----------
    model : torch.nn.Module
        Masked in place. With DistributedDataParallel or ``fully_shard``, call this before.
    pattern : str or pair of int
        ``"n:m"`` or ``(n, m)``: n entries are kept of every m, ``1 <= n <= m <= 128``.
    include, exclude : str, sequence of str, or function, optional
        Which layers are meant: shell patterns of layer names, such as ``"encoder.*"``, or a
        function of a layer's name and the layer. By default all layers of the types in `layers`.
    layers : tuple of module classes
        Types of layers to mask. A weight of two axes is a matrix (out, in). That of a convolution
        is one matrix (out, in) per kernel position, so that no group crosses a filter; groups of a
        grouped convolution have tiles of their own. Layers smaller than one tile are left alone.
    score : {"abs", "square", "identity"} or function
        What a kept entry is worth; a function gets a layer's name and weight and returns scores of
        the weight's shape.
    method, threads
        As in `tnm_core.transposable_mask`.

    Returns
    -------
    SparsifyReport
        Every layer that has a weight matrix, by name: retained score and density, or why it was
        left alone.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If no layer is selected, a name pattern of `include` matches nothing, or a score is NaN or
        infinite (the message names the layer). The model is unchanged then.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import sparsify_
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(),
    ...                             torch.nn.Linear(32, 3))
    >>> report = sparsify_(model, "2:4")
    >>> [layer.name for layer in report.sparse]
    ['0']
    >>> report.skipped[0].reason
    'out_features 3 < m = 4'
    """
    wanted = parse_pattern(pattern)
    method = arguments.method_name(method)
    if not callable(score):
        score = arguments.score_name(score)
    found = select_layers(model, wanted, include, exclude, layers)
    solved = [
        _solve(one, one.verdict, wanted, score, method, threads)
        for one in found
        if isinstance(one.verdict, Layout)
    ]
    if not solved:
        raise ValueError(
            f"no layer is selected, expected one that {wanted} fits: {_summary(found)}"
        )
    for one in solved:
        register_mask(one.module, one.mask, wanted, one.layout)
    done = {one.report.name: one.report for one in solved}
    return SparsifyReport(
        str(wanted),
        score if isinstance(score, str) else getattr(score, "__name__", "a function"),
        method,
        tuple(
            done[one.name] if isinstance(one.verdict, Layout) else _left_alone(one, one.verdict)
            for one in found
        ),
    )


@dataclass(frozen=True)
class _Solved:
    module: nn.Module
    layout: Layout
    mask: torch.Tensor
    report: LayerReport


def select_layers(
    model: nn.Module,
    pattern: Pattern,
    include: Names | None,
    exclude: Names,
    layers: tuple[type[nn.Module], ...],
) -> list[Candidate]:
    """Judge the layers of a model, and check the arguments that choose them."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, expected a torch.nn.Module")
    layers = layers if isinstance(layers, tuple) else (layers,)
    for layer in layers:
        if not (isinstance(layer, type) and issubclass(layer, nn.Module)):
            raise TypeError(
                f"layers holds {layer!r}, expected module classes, such as torch.nn.Linear"
            )
    model = unwrap(model)
    chosen = None if include is None else Selector("include", include)
    names = [name for name, _ in model.named_modules()]
    for glob in chosen.globs if chosen else ():
        if not any(Selector("include", glob).matches(name, model) for name in names):
            raise ValueError(
                f"include {glob!r} matches no layer, expected names such as those of "
                "model.named_modules()"
            )
    return list(candidates(model, pattern.m, chosen, Selector("exclude", exclude), layers))


def _solve(
    one: Candidate,
    layout: Layout,
    pattern: Pattern,
    score: ScoreLike,
    method: Method,
    threads: int | None,
) -> _Solved:
    weight = one.module.weight
    assert isinstance(weight, torch.Tensor)
    values, how = values_of(one.name, weight, score)
    try:
        mask = layout.solve(values, *pattern, score=how, method=method, threads=threads)
    except ValueError as error:
        raise ValueError(f"layer {one.name!r}: {error}") from error
    kept, total = score_sums(values, how, mask).tolist()
    report = LayerReport(
        name=one.name,
        kind=one.kind,
        shape=one.shape,
        pattern=str(pattern),
        reason=None,
        retained=kept / total if total else 1.0,
        density=float(mask.sum()) / max(mask.numel(), 1),
    )
    return _Solved(one.module, layout, mask, report)


def _left_alone(one: Candidate, reason: str) -> LayerReport:
    return LayerReport(one.name, one.kind, one.shape, None, reason, None, None)


def _summary(found: list[Candidate]) -> str:
    if not found:
        return "the model has no layer with a weight matrix"
    counts: dict[str, int] = {}
    for one in found:
        counts[str(one.verdict)] = counts.get(str(one.verdict), 0) + 1
    return "; ".join(f"{count} left alone because {why}" for why, count in counts.items())
