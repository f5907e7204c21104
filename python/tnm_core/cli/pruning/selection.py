"""Which tensors of a checkpoint are worked on, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from tnm_core.checkpoint import TensorInfo, is_prunable
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning.matrix_axes import MatrixAxes, matrix_shape
from tnm_core.cli.skips import names_by_reason
from tnm_core.selection import Selection
from tnm_core.skip import Skip, SkipCode

DEFAULT_EXCLUDE = ("*embed*", "*wte*", "*wpe*", "*lm_head*", "*norm*")


class ThreeD(str, Enum):
    """How 3-D tensors are read."""

    SKIP = "skip"
    STACKED = "stacked"
    CONV1D = "conv1d"


def axes_of_rank(rank: int, three_d: ThreeD = ThreeD.SKIP) -> MatrixAxes | Skip:
    """Tell how to read a tensor of some rank as matrices, or why not to."""
    if rank == 3:
        return SkipCode.THREE_AXES() if three_d is ThreeD.SKIP else MatrixAxes(three_d.value)
    axes = {2: MatrixAxes.MATRIX, 4: MatrixAxes.CONV2D}.get(rank)
    return SkipCode.OTHER_RANK(rank=rank) if axes is None else axes


class TensorRules:
    """What makes a tensor one to work on: its name, dtype, rank and size.

    Parameters
    ----------
    include, exclude : list of str, optional
        Shell patterns of names that the user gave.
    m : int
        The least number of rows and columns.
    three_d : ThreeD
        How 3-D tensors are read.
    default_exclude : sequence of str
        Shell patterns of names to leave alone unless the user includes something. They are asked
        last: a bias of a norm is better called 1-D.
    any_dtype : bool
        Whether dtypes other than floating point will do.
    """

    def __init__(
        self,
        include: Sequence[str] | None,
        exclude: Sequence[str] | None,
        m: int,
        three_d: ThreeD = ThreeD.SKIP,
        default_exclude: Sequence[str] = DEFAULT_EXCLUDE,
        any_dtype: bool = False,
    ) -> None:
        self.names = Selection(include or None, exclude)
        self._by_default = Selection(include or None, default_exclude=default_exclude)
        self._m = m
        self._three_d = three_d
        self._any_dtype = any_dtype

    def judge(self, info: TensorInfo) -> MatrixAxes | Skip:
        """Tell how to read a tensor, or why to leave it alone."""
        skip = self.names.skip(info.name, info)
        if skip is not None:
            return skip
        if not self._any_dtype and not is_prunable(info.array_dtype):
            return SkipCode.OTHER_DTYPE(dtype=info.dtype)
        axes = axes_of_rank(len(info.shape), self._three_d)
        if isinstance(axes, Skip):
            return axes
        if min(matrix_shape(info.shape, axes)) < self._m:
            return SkipCode.SMALLER_THAN_A_TILE(m=self._m)
        return self._by_default.skip(info.name, info) or axes


@dataclass
class SelectedTensors:
    """Tensors to work on, with the axes of their matrices, and why the others are left alone."""

    chosen: dict[str, MatrixAxes] = field(default_factory=dict)
    skipped: dict[str, Skip] = field(default_factory=dict)


def select(tensors: Iterable[TensorInfo], rules: TensorRules, source: str) -> SelectedTensors:
    """Judge every tensor; `CommandError` if none is chosen or a glob of --include hits nothing."""
    infos = list(tensors)
    for glob in rules.names.unmatched(info.name for info in infos):
        raise CommandError(
            f"--include {glob!r} matches no tensor of {source}; see tnm inspect {source}"
        )
    selected = SelectedTensors()
    for info in infos:
        verdict = rules.judge(info)
        if isinstance(verdict, Skip):
            selected.skipped[info.name] = verdict
        else:
            selected.chosen[info.name] = verdict
    if not selected.chosen:
        reasons = names_by_reason(selected.skipped)
        told = "; ".join(f"{len(names)} {reason}" for reason, names in reasons.items())
        raise CommandError(f"no tensor of {source} is selected: {told or 'it holds none'}")
    return selected
