"""Which tensors of a checkpoint are worked on, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase

from tnm_core.checkpoint import TensorInfo, is_prunable
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning.layout import Layout, matrix_shape

DEFAULT_EXCLUDE = ("*embed*", "*wte*", "*wpe*", "*lm_head*", "*norm*")


class ThreeD(str, Enum):
    """How 3-D tensors are read."""

    SKIP = "skip"
    STACKED = "stacked"
    CONV1D = "conv1d"


@dataclass(frozen=True)
class Rules:
    """What the user asked for: name patterns and the reading of 3-D tensors."""

    m: int
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    three_d: ThreeD = ThreeD.SKIP
    default_exclude: Sequence[str] = DEFAULT_EXCLUDE
    any_dtype: bool = False

    def name_reason(self, name: str) -> str | None:
        """Why --include or --exclude leave a name out, if they do."""
        if self.include and not _matches(name, self.include):
            return "not matched by --include"
        if _matches(name, self.exclude):
            return "matched by --exclude"
        return None

    def layout(self, rank: int) -> Layout | str:
        """How to read a tensor of some rank, or the reason not to."""
        if rank == 3 and self.three_d is not ThreeD.SKIP:
            return Layout(self.three_d.value)
        if rank == 3:
            return "3-D (say with --three-d how to read it)"
        return {2: Layout.MATRIX, 4: Layout.CONV2D}.get(rank, f"{rank}-D")

    def judge(self, info: TensorInfo) -> Layout | str:
        """How to read a tensor, or the reason to leave it alone."""
        reason = self.name_reason(info.name)
        if reason is not None:
            return reason
        if not self.any_dtype and not is_prunable(info.array_dtype):
            return f"dtype {info.dtype} (float16, bfloat16, float32 and float64 are pruned)"
        layout = self.layout(len(info.shape))
        if isinstance(layout, str):
            return layout
        if min(matrix_shape(info.shape, layout)) < self.m:
            return f"smaller than one {self.m} x {self.m} tile"
        if not self.include and _matches(info.name.lower(), self.default_exclude):
            return "embedding, head or norm by its name (--include it to prune it)"
        return layout


@dataclass
class Selection:
    """Tensors to work on, with their layout, and the others with the reason."""

    chosen: dict[str, Layout] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def reasons(self) -> dict[str, list[str]]:
        """Names of skipped tensors by reason."""
        grouped: dict[str, list[str]] = {}
        for name, reason in self.skipped.items():
            grouped.setdefault(reason, []).append(name)
        return grouped


def select(tensors: Iterable[TensorInfo], rules: Rules, source: str) -> Selection:
    """Judge every tensor; `CommandError` if none is chosen or a glob of --include hits nothing."""
    selection = Selection()
    infos = list(tensors)
    for glob in rules.include:
        if not any(fnmatchcase(info.name, glob) for info in infos):
            raise CommandError(
                f"--include {glob!r} matches no tensor of {source}; see tnm inspect {source}"
            )
    for info in infos:
        verdict = rules.judge(info)
        if isinstance(verdict, Layout):
            selection.chosen[info.name] = verdict
        else:
            selection.skipped[info.name] = verdict
    if not selection.chosen:
        raise CommandError(f"no tensor of {source} is selected: {_summary(selection)}")
    return selection


def _summary(selection: Selection) -> str:
    if not selection.skipped:
        return "it holds none"
    counts = (f"{len(names)} {reason}" for reason, names in selection.reasons().items())
    return "; ".join(counts)


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
