"""Making the layers of a model sparse."""

from __future__ import annotations

import torch
from torch import nn

from tnm_core import arguments
from tnm_core.arguments import Method
from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.selection import Names, Selection
from tnm_core.skip import Skip, counted
from tnm_core.torch.layers.layer_selection import Candidate, select_layers
from tnm_core.torch.layers.model_parts import check_not_distributed
from tnm_core.torch.layers.parametrization import MaskedParametrization
from tnm_core.torch.layers.registration import mask_parameter
from tnm_core.torch.layers.report import LayerReport, SparsifyReport
from tnm_core.torch.layers.scores import ScoreLike, score_sums, values_of

DEFAULT_LAYERS: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


# What is made under inference mode, masks included, could never be trained.
@torch.inference_mode(False)
def sparsify_(
    model: nn.Module,
    pattern: PatternLike = "2:4",
    *,
    include: Names | None = None,
    exclude: Names | None = None,
    layers: tuple[type[nn.Module], ...] = DEFAULT_LAYERS,
    score: ScoreLike = "abs",
    method: Method = "optimal",
    threads: int | None = None,
) -> SparsifyReport:
    """Put an N:M mask, transposable or row-wise, on the weights of a model's layers, in place.

    A parametrisation masks the weight whenever the layer uses it. The dense weight stays the
    parameter (``layer.parametrizations.weight.original``), so optimizers keep working; the mask is
    a buffer and part of the ``state_dict``. Gradients of pruned entries are zero until
    `DynamicMask` lets them pass.

    ``layer.weight`` is computed at each look. Write into the dense weight, under
    ``torch.no_grad()``, or assign ``layer.weight = values``: what `torch.nn.init`,
    ``reset_parameters()`` or another operation in place writes into ``layer.weight`` is lost, and
    the next look at it raises a RuntimeError. Writes through ``layer.weight.data``, as a merge of
    adapters may make them, are lost without a word: nothing tells of them.

    Parameters
    ----------
    model : torch.nn.Module
        Masked in place. With DistributedDataParallel or ``fully_shard``, call this before.
    pattern : str, pair of int, or Pattern
        ``"n:m"`` or ``(n, m)``: n entries are kept of every m, ``1 <= n <= m <= 128``, along rows
        and along columns of every m x m tile. ``"row n:m"``: along the inputs of each output alone.
    include, exclude : str, sequence of str, or function, optional
        Which layers are meant: shell patterns of names, such as ``"encoder.*"`` or
        ``"encoder.0.weight"``, or a function of a layer's name and the layer. By default all layers
        of the types in `layers`, but embeddings, heads, routers and what else `tnm_core.weights`
        knows. A pattern that names a parameter, such as ``"*.in_proj_weight"``, chooses any with
        two or three axes: (out, in), or a matrix (out, in) for each index of the first.
    layers : tuple of module classes
        Types of layers to mask. A weight of two axes is a matrix (out, in). That of a convolution
        is one matrix (out, in) per kernel position, so that no group crosses a filter; groups of a
        grouped convolution have tiles of their own. Layers smaller than one tile are left alone.
        With `torch.nn.Linear` also the ``Conv1D`` of transformers, (in, out), and the weights of
        experts that lie in one parameter of three axes, in the order that the module has.
    score : {"abs", "square", "identity"} or function
        What a kept entry is worth; a function gets a layer's name and weight and returns scores of
        the weight's shape.
    method, threads
        As in `tnm_core.transposable_mask`.

    Returns
    -------
    SparsifyReport
        Every parameter that is a matrix, by name: retained score and density, or why it was left
        alone, as it is where it shares memory with another.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If no layer is selected, a name pattern of `include` matches nothing, a score is NaN or
        infinite, a layer was made under `torch.inference_mode` (the message names the layer), or
        the model is wrapped by DistributedDataParallel. The model is unchanged then.

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
    wanted = as_pattern(pattern)
    method = arguments.as_method(method)
    if not callable(score):
        score = arguments.as_score(score)
    if isinstance(model, nn.Module):
        check_not_distributed(model, "sparsify_")
    found = select_layers(model, wanted, Selection(include, exclude), layers)
    solved = [_solve(one, wanted, score, method, threads) for one in found]
    if all(masked is None for masked, _ in solved):
        skips = (one.skip for one in found if one.skip is not None)
        told = counted(skips, none="the model has no layer with a weight matrix")
        raise ValueError(f"no layer is selected, expected one that {wanted} fits: {told}")
    for one, (masked, _) in zip(found, solved, strict=True):
        if masked is not None:
            mask_parameter(one.module, one.parameter_name, masked)
    return SparsifyReport(
        str(wanted),
        score if isinstance(score, str) else getattr(score, "__name__", "a function"),
        method,
        tuple(report for _, report in solved),
    )


def _solve(
    one: Candidate, pattern: Pattern, score: ScoreLike, method: Method, threads: int | None
) -> tuple[MaskedParametrization | None, LayerReport]:
    """Find the mask of a layer, unless that is left alone, and what there is to tell of it."""
    if isinstance(one.verdict, Skip):
        return None, LayerReport(one.name, one.kind, one.shape, skip=one.verdict)
    values, how = values_of(one.name, one.weight, score)
    try:
        mask = one.verdict.solve(values, pattern, score=how, method=method, threads=threads)
    except ValueError as error:
        raise ValueError(f"layer {one.name!r}: {error}") from error
    kept, total = score_sums(values, how, mask).tolist()
    retained = kept / total if total else 1.0
    density = float(mask.sum()) / max(mask.numel(), 1)
    report = LayerReport(one.name, one.kind, one.shape, str(pattern), None, retained, density)
    return MaskedParametrization(mask, pattern, one.verdict, one.name), report
