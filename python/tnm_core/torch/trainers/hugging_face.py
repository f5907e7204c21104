"""Sparse training with the Trainer of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from tnm_core.checkpoint import FileTransaction
from tnm_core.pattern import PatternLike
from tnm_core.torch.layers import masked_weights
from tnm_core.torch.training import SparseTraining, train_sparse_

Self = TypeVar("Self", bound="SparseTrainingCallback")

# In each checkpoint folder, beside the plain model.
STATE_FILE = "sparse_training.pt"


class SparseTrainingCallback(TrainerCallback):
    """Let a ``transformers.Trainer`` train with masks, as `train_sparse_` sets them up.

    Checkpoints hold what the model computes with, zeros included, and ``from_pretrained`` loads
    them. Beside it lies ``sparse_training.pt``: the dense weights behind the masks, the masks and
    the phase, from which ``trainer.train(resume_from_checkpoint=...)`` goes on, to the bit.

    Parameters
    ----------
    pattern : str, pair of int, or Pattern
        As in `train_sparse_`.
    resume_from : str or Path, optional
        The folder of a checkpoint that training is resumed from, if that is not
        ``checkpoint-STEP`` in the trainer's ``output_dir``.
    **options
        Other arguments of `train_sparse_`: recipe, include, exclude, score, method, threads.

    Attributes
    ----------
    training : SparseTraining or None
        What is going on, once training has begun.

    Raises
    ------
    FileNotFoundError
        When training begins: if it is resumed, and the checkpoint has no ``sparse_training.pt``.

    Notes
    -----
    The length of training is the trainer's ``max_steps``. Masks come after DistributedDataParallel,
    which they bear; with FSDP call `train_sparse_` yourself.

    Examples
    --------
    >>> from tnm_core.torch.trainers.hugging_face import SparseTrainingCallback
    >>> callback = SparseTrainingCallback("2:4")  # Trainer(..., callbacks=[callback])
    """

    def __init__(
        self,
        pattern: PatternLike = "2:4",
        *,
        resume_from: str | Path | None = None,
        **options: Any,
    ) -> None:
        self.pattern, self.options = pattern, options
        self.resume_from = resume_from
        self.training: SparseTraining | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Put masks on the model, follow the optimizer, and go on where a checkpoint was taken."""
        model, optimizer = given["model"], given["optimizer"]
        saved = None if state.global_step == 0 else self._read(args, state.global_step)
        if self.training is not None:
            self.training.detach()  # of an earlier call of train()
        options = dict(self.options)
        if saved is not None:
            options["recipe"] = saved["training"]["recipe"]
        self.training = train_sparse_(
            model, optimizer, self.pattern, total_steps=state.max_steps, **options
        )
        if saved is not None:
            load_layers_(model, saved["layers"])
            self.training.load_state_dict(saved["training"])

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Write what the plain model does not tell."""
        if self.training is None or not state.is_world_process_zero:
            return
        folder = _checkpoint(args, state.global_step)
        saved = {"training": self.training.state_dict(), "layers": layer_states(given["model"])}
        with FileTransaction() as files:
            torch.save(saved, files.open(folder / STATE_FILE))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Leave the optimizer; the model keeps its masks."""
        if self.training is not None and self.training.masks.is_attached:
            self.training.detach()

    def _read(self, args: TrainingArguments, step: int) -> dict[str, Any]:
        folder = _checkpoint(args, step) if self.resume_from is None else Path(self.resume_from)
        path = folder / STATE_FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"training resumes at step {step}, but there is no {path}, expected the checkpoint "
                "of a sparse training; pass resume_from=FOLDER if it lies elsewhere"
            )
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return saved


def _checkpoint(args: TrainingArguments, step: int) -> Path:
    return Path(str(args.output_dir)) / f"checkpoint-{step}"


def layer_states(model: nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    """Return the states of all layers with masks, by name of the layer."""
    layers = {weight.module for weight in masked_weights(model)}
    return {name: one.state_dict() for name, one in model.named_modules() if one in layers}


def load_layers_(model: nn.Module, states: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
    """Load what `layer_states` returned into a model with the same layers masked.

    Raises
    ------
    ValueError
        If other layers are masked. Nothing is loaded then.
    """
    layers = dict(model.named_modules())
    here = set(layer_states(model))
    if here != set(states):
        odd = sorted(here ^ set(states))[0]
        raise ValueError(
            f"layer {odd!r} is masked either in the model or in the checkpoint, expected the same "
            "layers in both; pass the include and exclude that the training began with"
        )
    for name, state in states.items():
        layers[name].load_state_dict(dict(state))
