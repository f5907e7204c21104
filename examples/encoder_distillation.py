"""Teaching a sentence encoder to stay close to another one: loss and training loop.

Any sentence will do, as the teacher says what the student should make of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from tnm_core.torch import SparseTraining, train_sparse_

if TYPE_CHECKING:
    from examples.bert_encoder import Batch, BertEncoder


@dataclass(frozen=True)
class Distillation:
    """How to fine-tune: AdamW, a short warm-up, then a cosine to zero.

    `embedding_weight` is what the sentence embeddings count beside the hidden states of all layers.
    """

    steps: int = 500
    learning_rate: float = 8e-4
    warm_up: float = 0.05
    embedding_weight: float = 3.0
    clip: float = 1.0

    def rate(self, step: int) -> float:
        """Share of the learning rate at a step."""
        warm = max(1, round(self.warm_up * self.steps))
        if step < warm:
            return (step + 1) / warm
        return 0.5 + 0.5 * math.cos(math.pi * (step - warm) / max(1, self.steps - warm))


def distil_(
    student: BertEncoder,
    teacher: BertEncoder,
    batches: Iterator[Batch],
    pattern: str,
    how: Distillation,
    after_step: Callable[[int, float], None] = lambda step, loss: None,
) -> SparseTraining:
    """Fine-tune a student that has masks, which stay; embeddings of words are left alone."""
    student.train()
    student.embeddings.requires_grad_(False)
    parameters = [one for one in student.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=how.learning_rate, weight_decay=0.0, fused=True)
    training = train_sparse_(student, optimizer, pattern, total_steps=how.steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, how.rate)
    for step in range(how.steps):
        loss = distillation_loss(student, teacher, next(batches), how.embedding_weight)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, how.clip)
        optimizer.step()
        schedule.step()
        after_step(step + 1, float(loss.detach()))
    student.eval()
    student.embeddings.requires_grad_(True)
    return training


def distillation_loss(
    student: BertEncoder, teacher: BertEncoder, batch: Batch, embedding_weight: float
) -> torch.Tensor:
    """Relative squared errors of the hidden states, mean over layers, and one minus cosine."""
    with torch.no_grad():
        targets = teacher.hidden_states(**batch)
    found = student.hidden_states(**batch)
    tokens, mask = batch["attention_mask"].bool(), batch["attention_mask"]
    errors = [
        _relative_error(ours[tokens], theirs[tokens])
        for ours, theirs in zip(found, targets, strict=True)
    ]
    cosines = (student.pool(found[-1], mask) * teacher.pool(targets[-1], mask)).sum(1)
    return torch.stack(errors).mean() + embedding_weight * (1 - cosines).mean()


def _relative_error(found: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (found - target).square().mean() / target.var(0).mean()
