"""Sparse training in four kinds of loops: plain torch, accelerate, transformers, Lightning.

    python examples/trainers.py --trainer transformers
    python examples/trainers.py --trainer lightning --pattern 8:16

Needs the extra torch, scikit-learn and the framework; takes some seconds.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

import digits
import torch
from torch import nn

from tnm_core.torch import SparseTraining, train_sparse_

BATCH = 64


class Classifier(nn.Module):
    """The perceptron of the digits, with the loss that trainers ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.net = digits.perceptron()

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return loss and logits."""
        logits = self.net(images)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def main() -> None:
    """Train, and print what was chosen, the accuracy and the zeros."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainer", choices=tuple(TRAINERS), default="plain")
    parser.add_argument("--pattern", default="2:4", help="n:m (n of m are kept), or 'row n:m'")
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()

    torch.manual_seed(0)
    data, test = digits.load()
    model = Classifier()
    training = TRAINERS[options.trainer](model, data, options.pattern, options.epochs)
    print(training)
    accuracy = digits.accuracy(model.net, test)
    zeros = float((model.net[2].weight == 0).float().mean())
    print(f"{options.trainer}, {options.pattern}: accuracy {accuracy:.3f}, zeros {zeros:.3f}")


def plain(model: nn.Module, data: digits.Split, pattern: str, epochs: int) -> SparseTraining:
    """Write the loop oneself."""
    total = epochs * digits.steps_per_epoch(data, BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    training = train_sparse_(model, optimizer, pattern, total_steps=total, exclude="*.4")
    for epoch in range(epochs):
        for images, labels in digits.batches(data, BATCH, seed=epoch):
            optimizer.zero_grad()
            model(images, labels)["loss"].backward()
            optimizer.step()
    return training


def accelerated(model: nn.Module, data: digits.Split, pattern: str, epochs: int) -> SparseTraining:
    """Let accelerate place model and optimizer, and keep the training in its checkpoints."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    prepared, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=3e-3))
    total = epochs * digits.steps_per_epoch(data, BATCH)
    training = train_sparse_(prepared, optimizer, pattern, total_steps=total, exclude="*.4")
    accelerator.register_for_checkpointing(training)
    for epoch in range(epochs):
        for images, labels in digits.batches(data, BATCH, seed=epoch):
            optimizer.zero_grad()
            accelerator.backward(prepared(images, labels)["loss"])
            optimizer.step()
    return training


def with_transformers(
    model: nn.Module, data: digits.Split, pattern: str, epochs: int
) -> SparseTraining:
    """Hand a callback to the Trainer of transformers."""
    from transformers import Trainer, TrainingArguments

    from tnm_core.torch.trainers.hugging_face import SparseTrainingCallback

    callback = SparseTrainingCallback(pattern, exclude="*.4")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH,
            learning_rate=3e-3,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        )
        rows = [{"images": image, "labels": label} for image, label in zip(*data, strict=True)]
        trainer = Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[callback])
        trainer.train()
    assert callback.training is not None
    return callback.training


def with_lightning(
    model: nn.Module, data: digits.Split, pattern: str, epochs: int
) -> SparseTraining:
    """Hand a callback to the Trainer of Lightning."""
    import pytorch_lightning as pl

    from tnm_core.torch.trainers.lightning import SparseTrainingCallback

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
            loss: torch.Tensor = self.model(*batch)["loss"]
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=3e-3)

    callback = SparseTrainingCallback(pattern, exclude="*.4")
    rows = torch.utils.data.TensorDataset(*data)
    quiet: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = pl.Trainer(max_epochs=epochs, callbacks=[callback], accelerator="cpu", **quiet)
    trainer.fit(Module(), torch.utils.data.DataLoader(rows, BATCH, shuffle=True))
    assert callback.training is not None
    return callback.training


TRAINERS = {
    "plain": plain,
    "accelerate": accelerated,
    "transformers": with_transformers,
    "lightning": with_lightning,
}


if __name__ == "__main__":
    main()
