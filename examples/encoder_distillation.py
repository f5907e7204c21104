"""Teaching a masked sentence encoder to stay close to another one, such as its dense self.

Any sentence will do, as the teacher says what the student should make of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tnm_core.torch import train_sparse_

if TYPE_CHECKING:
    from examples.bert_encoder import Batch, BertEncoder


@dataclass(frozen=True)
class Distillation:
    """How to fine-tune: AdamW, a short warm-up, then a cosine to zero.

    `embedding_weight` is what the sentence embeddings count beside the hidden states of all layers.
    """

    steps: int = 500
    learning_rate: float = 2e-4
    warm_up: float = 0.1
    embedding_weight: float = 3.0
    clip: float = 1.0

    def rate(self, step: int) -> float:
        """Share of the learning rate at a step."""
        warm = max(1, round(self.warm_up * self.steps))
        if step < warm:
            return (step + 1) / warm
        return 0.5 + 0.5 * math.cos(math.pi * (step - warm) / max(1, self.steps - warm))


class Distiller:
    """Trains a student that has masks, which stay; embeddings of words are left alone.

    Attributes
    ----------
    training : tnm_core.torch.SparseTraining
        What keeps the masks.
    """

    def __init__(
        self, student: BertEncoder, teacher: BertEncoder, pattern: str, how: Distillation
    ) -> None:
        self.student, self.teacher, self.how = student, teacher, how
        frozen = {id(one) for one in student.embeddings.parameters()}
        self._parameters = [one for one in student.parameters() if id(one) not in frozen]
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=how.learning_rate, weight_decay=0.0, fused=True
        )
        self.training = train_sparse_(student, self._optimizer, pattern, total_steps=how.steps)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, how.rate)

    @property
    def steps(self) -> int:
        """Steps so far."""
        return self.training.steps

    def step(self, batch: Batch) -> float:
        """Learn from a batch, and return its loss."""
        self.student.train()
        loss = distillation_loss(self.student, self.teacher, batch, self.how.embedding_weight)
        gradients = torch.autograd.grad(loss, self._parameters)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(self._parameters, self.how.clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._schedule.step()
        self.student.eval()
        return float(loss.detach())

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on from here."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {
            "student": self.student,
            "optimizer": self._optimizer,
            "schedule": self._schedule,
            "training": self.training,
        }


def distillation_loss(
    student: BertEncoder, teacher: BertEncoder, batch: Batch, embedding_weight: float
) -> torch.Tensor:
    """Relative squared errors of the hidden states, mean over layers, and one minus cosine."""
    with torch.no_grad():
        targets = teacher.hidden_states(**batch)
    found = student.hidden_states(**batch)
    mask = batch["attention_mask"]
    errors = [
        _relative_error(ours[mask.bool()], theirs[mask.bool()])
        for ours, theirs in zip(found, targets, strict=True)
    ]
    cosines = (student.pool(found[-1], mask) * teacher.pool(targets[-1], mask)).sum(1)
    return torch.stack(errors).mean() + embedding_weight * (1 - cosines).mean()


def _relative_error(found: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (found - target).square().mean() / target.var(0).mean()
