"""Which tensors of a checkpoint are worked on, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tnm_core.checkpoint import TensorInfo, is_prunable
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning.matrix_axes import MatrixAxes, ThreeD
from tnm_core.cli.skips import names_by_reason
from tnm_core.selection import Selection
from tnm_core.skip import Skip, SkipCode

DEFAULT_EXCLUDE = ("*embed*", "*wte*", "*wpe*", "*lm_head*", "*norm*")


@dataclass
class SelectedTensors:
    """Tensors to work on, with the axes of their matrices, and why the others are left alone."""

    chosen: dict[str, MatrixAxes] = field(default_factory=dict)
    skipped: dict[str, Skip] = field(default_factory=dict)


@dataclass(frozen=True)
class TensorRules:
    """What makes a tensor one to work on: its name, dtype, rank, and at least m rows and columns.

    Names in ``default_exclude`` are left alone unless the user includes something. They are asked
    last: a bias of a norm is better called 1-D.
    """

    include: Sequence[str] | None
    exclude: Sequence[str] | None
    m: int
    three_d: ThreeD = ThreeD.SKIP
    default_exclude: Sequence[str] = DEFAULT_EXCLUDE
    any_dtype: bool = False  # also other ones than floating point

    @property
    def names(self) -> Selection:
        """The names that the user asked for."""
        return Selection(self.include or None, self.exclude)

    def judge(self, info: TensorInfo) -> MatrixAxes | Skip:
        """Tell how to read a tensor, or why to leave it alone."""
        skip = self.names.skip(info.name, info)
        if skip is not None:
            return skip
        if not self.any_dtype and not is_prunable(info.array_dtype):
            return SkipCode.OTHER_DTYPE(dtype=info.dtype)
        axes = MatrixAxes.of_rank(len(info.shape), self.three_d)
        if isinstance(axes, Skip):
            return axes
        if min(info.shape[axis] for axis in axes.value[-2:]) < self.m:
            return SkipCode.SMALLER_THAN_A_TILE(m=self.m)
        by_default = Selection(self.include or None, default_exclude=self.default_exclude)
        return by_default.skip(info.name, info) or axes

    def select(self, tensors: Iterable[TensorInfo], source: str) -> SelectedTensors:
        """Judge all tensors; `CommandError` if none is chosen or a glob of --include hits none."""
        infos = list(tensors)
        for glob in self.names.unmatched(info.name for info in infos):
            raise CommandError(
                f"--include {glob!r} matches no tensor of {source}; see tnm inspect {source}"
            )
        selected = SelectedTensors()
        for info in infos:
            verdict = self.judge(info)
            if isinstance(verdict, Skip):
                selected.skipped[info.name] = verdict
            else:
                selected.chosen[info.name] = verdict
        if not selected.chosen:
            reasons = names_by_reason(selected.skipped)
            told = "; ".join(f"{len(names)} {reason}" for reason, names in reasons.items())
            raise CommandError(f"no tensor of {source} is selected: {told or 'it holds none'}")
        return selected
