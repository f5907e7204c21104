"""Lightning: phases and resuming to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pl = pytest.importorskip("pytorch_lightning")

from torch import nn  # noqa: E402

from tnm_core.torch import dense_state_dict, masks, prune_model_  # noqa: E402
from tnm_core.torch.trainers.lightning import SparseTrainingCallback  # noqa: E402

STEPS = 10
pytestmark = pytest.mark.filterwarnings("ignore")


class _Module(pl.LightningModule):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 3))

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        return self.body(batch[0]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


def _fit(folder: Path, module: Any, callback: Any, steps: int = STEPS, **options: Any) -> Any:
    # All batches are alike: Lightning begins an epoch anew when it resumes.
    rows = torch.randn(4, 16, generator=torch.Generator().manual_seed(0)).repeat(16, 1)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(rows), batch_size=4)
    saving = pl.callbacks.ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1)
    trainer = pl.Trainer(
        max_steps=steps,
        callbacks=[callback, saving],
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(module, data, **options)
    return trainer


def test_phases_and_resuming(tmp_path: Path) -> None:
    whole, callback = _Module(), SparseTrainingCallback("2:4")
    _fit(tmp_path, whole, callback)
    assert callback.training is not None
    assert (callback.training.steps, callback.training.phase) == (STEPS, "masked")
    assert list(masks(whole)) == ["body.0"]
    for step in (1, 5, 9):
        module, resumed = _Module(), SparseTrainingCallback("2:4")
        _fit(tmp_path / "again", module, resumed, ckpt_path=tmp_path / f"step={step}.ckpt")
        assert resumed.training is not None
        assert resumed.training.steps == STEPS
        for one, expected in zip(module.parameters(), whole.parameters(), strict=True):
            assert torch.equal(one, expected)
    plain = _Module()
    plain.load_state_dict(dense_state_dict(whole))
    assert int((plain.body[0].weight == 0).sum()) == 256


def test_masks_that_are_there_stay(tmp_path: Path) -> None:
    module, callback = _Module(), SparseTrainingCallback("2:4")
    prune_model_(module.body, [torch.randn(64, 16)], "2:4", recipe="magnitude")
    before = masks(module)["body.0"]
    _fit(tmp_path, module, callback)
    assert callback.training is not None
    assert callback.training.recipe == "static"
    assert torch.equal(masks(module)["body.0"], before)


def test_training_without_end(tmp_path: Path) -> None:
    rows = torch.utils.data.TensorDataset(torch.randn(8, 16))
    trainer = pl.Trainer(
        max_epochs=-1,
        callbacks=[SparseTrainingCallback()],
        logger=False,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    data = torch.utils.data.DataLoader(rows, batch_size=4)
    with pytest.raises(ValueError, match="expected max_steps or max_epochs"):
        trainer.fit(_Module(), data)
