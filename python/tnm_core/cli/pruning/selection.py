"""Which tensors of a checkpoint are worked on, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tnm_core.checkpoint import TensorInfo, is_prunable
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning.matrix_axes import MatrixAxes, ThreeD
from tnm_core.cli.pruning.quantization import ADVICE, quantized_text
from tnm_core.cli.skips import names_by_reason
from tnm_core.selection import Selection
from tnm_core.skip import Skip, SkipCode
from tnm_core.weights import TensorFacts, WeightRules


@dataclass
class SelectedTensors:
    """Tensors to work on, with the axes of their matrices, and why the others are left alone.

    ``quantized`` counts quantised weights by the scheme that made them so.
    """

    chosen: dict[str, MatrixAxes] = field(default_factory=dict)
    skipped: dict[str, Skip] = field(default_factory=dict)
    quantized: dict[str, int] = field(default_factory=dict)


def weight_rules(tensors: Iterable[TensorInfo]) -> WeightRules:
    """Hand what a file says of its tensors to the rules of what is a weight."""
    return WeightRules(
        TensorFacts(
            info.name,
            info.shape,
            info.dtype if info.array_dtype is None else info.array_dtype.name,
        )
        for info in tensors
    )


def axes_to_tell(
    tensors: Mapping[str, TensorInfo], layers: Mapping[str, MatrixAxes]
) -> dict[str, str]:
    """Name the axes of layers that are read along other ones where there is nothing but layers.

    A bias tells how a weight lies, and a file of masks has none.
    """
    rules = weight_rules(tensors[name] for name in layers)
    alone = {name: MatrixAxes.of(len(tensors[name].shape), rules.layout(name)) for name in layers}
    return {name: axes.name for name, axes in layers.items() if alone[name] is not axes}


@dataclass(frozen=True)
class TensorRules:
    """What makes a tensor one to work on: its name, dtype, rank, and at least m rows and columns.

    What is no weight by `tnm_core.weights` is left alone unless the user includes something, or
    ``everything`` is meant.
    """

    include: Sequence[str] | None
    exclude: Sequence[str] | None
    m: int
    three_d: ThreeD = ThreeD.AUTO
    everything: bool = False
    any_dtype: bool = False  # also other ones than floating point

    @property
    def names(self) -> Selection:
        """The names that the user asked for."""
        return Selection(self.include or None, self.exclude, everything=self.everything)

    def judge(self, info: TensorInfo, rules: WeightRules) -> MatrixAxes | Skip:
        """Tell how to read a tensor, or why to leave it alone."""
        names = self.names
        skip = names.skip(info.name, info) or self._skip_of_kind(info, rules, names.by_default)
        if skip is not None:
            return skip
        axes = MatrixAxes.of(len(info.shape), rules.layout(info.name), self.three_d)
        if isinstance(axes, Skip):
            return axes
        if min(info.shape[axis] for axis in axes.value[-2:]) < self.m:
            return SkipCode.SMALLER_THAN_A_TILE(m=self.m)
        return axes

    def _skip_of_kind(self, info: TensorInfo, rules: WeightRules, by_default: bool) -> Skip | None:
        """Tell why a tensor is none to prune by its dtype, rank and kind."""
        quantized = None if self.any_dtype else rules.quantized(info.name)
        if quantized is not None:
            return quantized
        if not self.any_dtype and not is_prunable(info.array_dtype):
            return SkipCode.OTHER_DTYPE(dtype=info.dtype)
        if len(info.shape) < 2:
            return SkipCode.OTHER_RANK(rank=len(info.shape))
        return rules.skip(info.name) if by_default else None

    def select(self, tensors: Iterable[TensorInfo], source: str) -> SelectedTensors:
        """Judge all tensors; `CommandError` if none is chosen or a glob of --include hits none."""
        infos = list(tensors)
        for glob in self.names.unmatched(info.name for info in infos):
            raise CommandError(
                f"--include {glob!r} matches no tensor of {source}; see tnm inspect {source}"
            )
        rules = weight_rules(infos)
        selected = SelectedTensors(quantized=rules.quantized_by_scheme)
        for info in infos:
            verdict = self.judge(info, rules)
            if isinstance(verdict, Skip):
                selected.skipped[info.name] = verdict
            else:
                selected.chosen[info.name] = verdict
        if not selected.chosen:
            raise CommandError(_nothing_selected(selected, source))
        return selected


def _nothing_selected(selected: SelectedTensors, source: str) -> str:
    if selected.quantized:
        told = quantized_text(selected.quantized, source)
        return f"{told} and no other that would be pruned; {ADVICE}"
    reasons = names_by_reason(selected.skipped)
    told = "; ".join(f"{len(names)} {reason}" for reason, names in reasons.items())
    return f"no tensor of {source} is selected: {told or 'it holds none'}"
