"""What `prune_model_` did to every layer, and telling it meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tnm_core.short_repr import short_repr
from tnm_core.skip import Skip
from tnm_core.text_table import aligned
from tnm_core.torch.calibrate.batch_norm import BatchNormCorrection

_COLUMNS = (
    "name", "kind", "shape", "pattern", "reason", "error", "retained", "density", "seconds",
)  # fmt: skip
_HEADER = ("layer", "shape", "pattern", "error", "retained", "density", "seconds", "remarks")

_BLOCK_HEADER = ("tuned block", "error before", "after", "epoch", "seconds")

_One = TypeVar("_One")


@dataclass(frozen=True)
class PrunedLayer:
    """One layer: what was done, or why nothing was.

    Attributes
    ----------
    name, kind : str
        The layer's name in the model, and its class.
    shape : tuple of int
        Of its weight.
    pattern : str or None
        Such as "2:4" or "row 2:4"; None if the layer was left alone.
    skip : Skip or None
        Why it was left alone, as a code with its values; None if it was pruned.
    reason : str or None
        The same as a sentence.
    error : float or None
        Squared error of its outputs on the calibration data over the variance of the wanted ones
        (over their mean square, if no bias is corrected), before its block is tuned; None for
        recipes without data.
    retained : float or None
        Share of the magnitude of its dense weight that the mask keeps.
    density : float or None
        Share of the entries that are kept.
    seconds : float or None
        Wall time, running the model included.
    remark : Skip or None
        In what it was pruned otherwise than the recipe says, if it was.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    pattern: str | None = None
    skip: Skip | None = None
    error: float | None = None
    retained: float | None = None
    density: float | None = None
    seconds: float | None = None
    remark: Skip | None = None

    @property
    def reason(self) -> str | None:
        """Why the layer was left alone; None if it was pruned."""
        return None if self.skip is None else str(self.skip)

    def to_record(self) -> dict[str, Any]:
        """Return what there is to say as a dict of plain values."""
        remark = None if self.remark is None else str(self.remark)
        return {**{name: getattr(self, name) for name in _COLUMNS}, "remark": remark}


@dataclass(frozen=True)
class TunedBlock:
    """One block that was tuned after its layers had been pruned.

    Attributes
    ----------
    name : str
        Its name in the model; empty for the whole model.
    error_before, error : float
        Squared error of its outputs on the calibration data over the variance of those of the
        dense model, before and after.
    epoch : int
        After how many epochs it was least; 0 if no epoch was better than none.
    seconds : float
        Wall time.
    """

    name: str
    error_before: float
    error: float
    epoch: int
    seconds: float


@dataclass(frozen=True)
class DistillStep:
    """A batch that the model has just learnt from.

    Attributes
    ----------
    step, steps : int
        The first so many steps are done, of so many.
    error : float
        How far the model's outputs for this batch were from the dense model's, before the step.
    seconds : float
        Wall time of the steps so far.
    """

    step: int
    steps: int
    error: float
    seconds: float


@dataclass(frozen=True)
class Distillation:
    """How a pruned model was brought closer to the dense one as a whole.

    Attributes
    ----------
    error_before, error : float
        How far its outputs are from the dense model's, before and after, on a few batches that it
        did not learn from (on the only one, if there is but one): the mean over batches of the
        divergence in nats or of the relative squared error, as the recipe says.
    steps : int
        Batches that it learnt from.
    kept : bool
        Whether the error fell; the weights are those from before if it did not.
    seconds : float
        Wall time.
    """

    error_before: float
    error: float
    steps: int
    kept: bool
    seconds: float

    def __str__(self) -> str:
        told = (
            f"distilled in {self.steps} steps, {self.seconds:.1f} s: error of the model's outputs "
            f"{self.error_before:.4f} before, {self.error:.4f} after"
        )
        return told if self.kept else f"{told}; undone, since it did not fall: lower distill_rate"


@dataclass(frozen=True)
class PruneReport:
    """What `prune_model_` did; ``str()`` gives a table.

    Attributes
    ----------
    recipe : str
        Its name.
    layers : tuple of PrunedLayer
        All layers with a weight matrix, in the order of the model.
    blocks : tuple of TunedBlock
        The blocks that were tuned, in the order of their calls; empty unless the recipe tunes.
    untuned : mapping of str to Skip
        The blocks that should have been tuned, and why they were not.
    batch_norm : BatchNormCorrection or None
        What became of the statistics of batch normalisations, and by how much that changed the
        outputs; None if there are none, or the recipe leaves them alone.
    distillation : Distillation or None
        What distilling the whole model at the end has brought; None unless the recipe does it.
    """

    recipe: str
    layers: tuple[PrunedLayer, ...]
    blocks: tuple[TunedBlock, ...] = ()
    untuned: Mapping[str, Skip] = field(default_factory=dict)
    batch_norm: BatchNormCorrection | None = None
    distillation: Distillation | None = None

    __repr__ = short_repr

    @property
    def pruned(self) -> tuple[PrunedLayer, ...]:
        """The layers that were pruned."""
        return tuple(layer for layer in self.layers if layer.skip is None)

    @property
    def skipped(self) -> tuple[PrunedLayer, ...]:
        """The layers that were left alone."""
        return tuple(layer for layer in self.layers if layer.skip is not None)

    @property
    def seconds(self) -> float:
        """Wall time of all layers and blocks, and of distilling."""
        layers = sum(layer.seconds or 0.0 for layer in self.layers)
        last = 0.0 if self.distillation is None else self.distillation.seconds
        return layers + sum(block.seconds for block in self.blocks) + last

    def to_records(self) -> list[dict[str, Any]]:
        """Return one dict per layer, as ``pandas.DataFrame`` takes them."""
        return [layer.to_record() for layer in self.layers]

    def __str__(self) -> str:
        head = (
            f"recipe {self.recipe}: {len(self.pruned)} of {len(self.layers)} layers in "
            f"{self.seconds:.1f} s"
        )
        lines = [head, "", *aligned([_HEADER, *map(_row, self.layers)])]
        if self.blocks:
            lines += ["", *aligned([_BLOCK_HEADER, *map(_block_row, self.blocks)])]
        for name, why in self.untuned.items():
            lines += ["", f"{name or '(the model)'}: {why}"]
        if self.batch_norm is not None:
            lines += ["", self.batch_norm.summary]
        if self.distillation is not None:
            lines += ["", str(self.distillation)]
        return "\n".join(lines)


def _row(layer: PrunedLayer) -> tuple[str, ...]:
    numbers = (layer.error, layer.retained, layer.density)
    return (
        layer.name or "(the model)",
        " x ".join(map(str, layer.shape)),
        layer.pattern or "",
        *("" if number is None else f"{number:.4f}" for number in numbers),
        "" if layer.seconds is None else f"{layer.seconds:.1f}",
        str(layer.skip or layer.remark or ""),
    )


def _block_row(block: TunedBlock) -> tuple[str, ...]:
    return (
        block.name or "(the model)",
        f"{block.error_before:.4f}",
        f"{block.error:.4f}",
        str(block.epoch),
        f"{block.seconds:.1f}",
    )


def announcer(
    progress: bool | Callable[[_One, int, int], None], line: Callable[[_One], str]
) -> Callable[[_One, int, int], None]:
    """Return what to call after each layer; `line` says what to print of it."""
    if callable(progress):
        return progress
    if not isinstance(progress, bool):
        raise TypeError(
            f"progress is a {type(progress).__name__}, expected a bool or a function of layer, "
            "number done and number of all"
        )

    def announce(one: _One, done: int, total: int) -> None:
        if progress:
            print(f"[{done}/{total}] {line(one)}", file=sys.stderr, flush=True)

    return announce


def progress_line(one: PrunedLayer | TunedBlock | DistillStep | Distillation) -> str:
    """Say what was done to a layer, a block or the model."""
    if isinstance(one, Distillation):
        return str(one)
    if isinstance(one, DistillStep):
        return f"distilling, step {one.step} of {one.steps}, error {one.error:.4f}"
    if isinstance(one, TunedBlock):
        told = f"tuned, error {one.error_before:.4f} to {one.error:.4f},"
    else:
        told = f"{one.pattern}," + ("" if one.error is None else f" error {one.error:.4f},")
    return f"{one.name or '(the model)'}: {told} {one.seconds:.1f} s"
