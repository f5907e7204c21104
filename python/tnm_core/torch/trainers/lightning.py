"""Sparse training with Lightning."""

from __future__ import annotations

import math
from typing import Any

try:
    import lightning.pytorch as pl
except ModuleNotFoundError:
    import pytorch_lightning as pl

from tnm_core.pattern import PatternLike
from tnm_core.torch.layers import SparsifyReport, masked_weights, sparsify_
from tnm_core.torch.training import SparseTraining, train_sparse_

_SOLVING = ("score", "method", "threads")


class SparseTrainingCallback(pl.Callback):  # type: ignore[misc]
    """Let a Lightning ``Trainer`` train with masks, as `train_sparse_` sets them up.

    Checkpoints of the trainer hold the dense weights, the masks and the phase, so that
    ``trainer.fit(..., ckpt_path=...)`` goes on, to the bit. `dense_state_dict` of the module is
    what a plain model loads.

    Parameters
    ----------
    pattern : str, pair of int, or Pattern
        As in `train_sparse_`.
    recipe : str
        As in `train_sparse_`.
    **options
        Other arguments of `train_sparse_`: include, exclude, score, method, threads.

    Attributes
    ----------
    training : SparseTraining or None
        What is going on, once training has begun.

    Notes
    -----
    The first optimizer of the module is followed; its length is the trainer's
    ``estimated_stepping_batches``.

    Examples
    --------
    >>> from tnm_core.torch.trainers.lightning import SparseTrainingCallback
    >>> callback = SparseTrainingCallback("2:4")  # Trainer(..., callbacks=[callback])
    """

    def __init__(
        self, pattern: PatternLike = "2:4", *, recipe: str = "auto", **options: Any
    ) -> None:
        self.pattern, self.recipe, self.options = pattern, recipe, options
        self.training: SparseTraining | None = None
        self._saved: dict[str, Any] | None = None
        self._report: SparsifyReport | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Put masks on the module, before a checkpoint is loaded into it."""
        if stage != "fit" or next(masked_weights(pl_module), None) is not None:
            return
        self._report = sparsify_(pl_module, self.pattern, **self.options)
        if self.recipe == "auto":
            self.recipe = "fading"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Follow the optimizer, and go on where a checkpoint was taken."""
        total = trainer.estimated_stepping_batches
        if math.isinf(total):
            raise ValueError(
                "the trainer has no end, expected max_steps or max_epochs: phases are shares of "
                "the whole training"
            )
        if self.training is not None:
            self.training.detach()  # of an earlier call of fit()
        solving = {name: self.options[name] for name in _SOLVING if name in self.options}
        recipe: Any = self.recipe if self._saved is None else self._saved["recipe"]
        self.training = train_sparse_(
            pl_module,
            trainer.optimizers[0],
            self.pattern,
            total_steps=int(total),
            recipe=recipe,
            **solving,
        )
        self.training.report = self._report
        if self._saved is not None:
            self.training.load_state_dict(self._saved)
            self._saved = None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the optimizer; the module keeps its masks."""
        if self.training is not None:
            self.training.detach()

    def state_dict(self) -> dict[str, Any]:
        """Return what checkpoints of the trainer hold of this."""
        return {} if self.training is None else self.training.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what a checkpoint holds, for when training begins."""
        self._saved = state_dict or None
