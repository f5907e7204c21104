"""From options to a run: which tensors, where to, what is wrong before hours are spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tnm_core.checkpoint import (
    Checkpoint,
    is_bitmask_file,
    is_mask_file,
    is_packed_file,
)
from tnm_core.cli.errors import CommandError
from tnm_core.cli.model_directory import check_target
from tnm_core.cli.pruning.job import PruneJob, is_folder_job, weight_targets
from tnm_core.cli.pruning.layer_mask import Settings
from tnm_core.cli.pruning.matrix_axes import ThreeD
from tnm_core.cli.pruning.memory import check_memory
from tnm_core.cli.pruning.selection import TensorRules
from tnm_core.cli.targets import check_unused


@dataclass(frozen=True)
class PruneRequest:
    """What is asked for: from where, to where (None for a dry run), which tensors, how."""

    source: Path
    target: Path | None
    settings: Settings
    include: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    three_d: ThreeD = ThreeD.AUTO
    masks_only: bool = False
    force: bool = False

    def job(self, checkpoint: Checkpoint) -> PruneJob:
        """Prepare the run on an open checkpoint; `CommandError` for what cannot be done."""
        _check_dense(checkpoint, self.source)
        folder = None
        if self.target is not None:
            is_folder = is_folder_job(self.source, self.target, self.masks_only)
            folder = self.source if is_folder else None
            _check_targets(checkpoint, folder, self.target, self.masks_only, self.force)
        # A .npy file holds one array under the file's own name: whoever names the file wants it.
        everything = checkpoint.suffix == ".npy"
        settings = self.settings
        rules = TensorRules(
            self.include, self.exclude, settings.pattern.m, self.three_d, everything
        )
        selected = rules.select(checkpoint.tensors.values(), str(self.source))
        check_memory(settings.memory, settings.pattern.m, selected.chosen, checkpoint.tensors)
        return PruneJob(
            checkpoint, folder, self.target, self.masks_only, settings, selected, self.three_d
        )


def _check_dense(checkpoint: Checkpoint, source: Path) -> None:
    if is_mask_file(checkpoint):
        raise CommandError(f"{source} holds masks, not weights; expected a checkpoint")
    if is_packed_file(checkpoint):
        raise CommandError(
            f"{source} holds packed matrices, which are pruned already; expected a checkpoint "
            "of dense weights: tnm convert --to dense"
        )
    if is_bitmask_file(checkpoint):
        raise CommandError(
            f"{source} holds weights in the layout sparse-24-bitmask, which are pruned "
            "already; expected a checkpoint of dense weights: tnm convert --to dense"
        )


def _check_targets(
    checkpoint: Checkpoint, folder: Path | None, target: Path, masks_only: bool, force: bool
) -> None:
    """Find what is wrong with OUT before hours are spent on it."""
    if folder is not None:
        names = {path.name for path in weight_targets(checkpoint, folder, target)}
        check_target(folder, target, names, force)
        return
    targets = [target] if masks_only else checkpoint.targets(target)
    if masks_only and target.suffix.lower() != ".safetensors":
        raise CommandError(
            f"cannot write masks to {target}: they are a .safetensors file, name it so"
        )
    check_unused(targets, force)
