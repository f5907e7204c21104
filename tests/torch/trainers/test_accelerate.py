"""accelerate: prepared models and optimizers, gradient accumulation, saving and loading."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
accelerate = pytest.importorskip("accelerate")

from torch import nn  # noqa: E402

from tnm_core.torch import SparseTraining, repack_after_step, train_sparse_  # noqa: E402

TOTAL = 8


def _run(folder: Path, save_at: int | None, resume: bool) -> tuple[nn.Module, SparseTraining]:
    torch.manual_seed(0)
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model, optimizer = accelerator.prepare(model, optimizer)
    training = train_sparse_(model, optimizer, "2:4", total_steps=TOTAL)
    accelerator.register_for_checkpointing(training)
    if resume:
        accelerator.load_state(folder)
    for batch in range(2 * training.steps, 2 * TOTAL):
        inputs = torch.randn(8, 16, generator=torch.Generator().manual_seed(batch))
        with accelerator.accumulate(model):
            accelerator.backward(model(inputs).square().mean())
            optimizer.step()
            optimizer.zero_grad()
        if batch == save_at:
            accelerator.save_state(folder)
    return accelerator.unwrap_model(model), training


def test_resuming(tmp_path: Path) -> None:
    whole, training = _run(tmp_path, save_at=7, resume=False)
    assert (training.steps, training.phase) == (TOTAL, "masked")
    model, training = _run(tmp_path, save_at=None, resume=True)
    assert training.steps == TOTAL
    for one, expected in zip(model.parameters(), whole.parameters(), strict=True):
        assert torch.equal(one, expected)


def test_repacking_follows_a_wrapped_optimizer() -> None:
    model = nn.Linear(16, 16)
    optimizer = accelerate.Accelerator(cpu=True).prepare(torch.optim.SGD(model.parameters(), 0.1))
    repack_after_step(optimizer, model).remove()
