"""The Trainer of transformers: phases, clean checkpoints, resuming to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from tnm_core.torch import masks  # noqa: E402
from tnm_core.torch.trainers.hugging_face import SparseTrainingCallback  # noqa: E402

STEPS = 10


class _Sentences(torch.utils.data.Dataset):  # type: ignore[misc]
    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        words = torch.randint(0, 50, (8,), generator=torch.Generator().manual_seed(index))
        return {"input_ids": words, "labels": words}


def _model() -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
    )
    return transformers.LlamaForCausalLM(config)


def _trainer(folder: Path, model: Any, callback: Any, **options: Any) -> Any:
    arguments = transformers.TrainingArguments(
        **{
            "output_dir": str(folder),
            "max_steps": STEPS,
            "per_device_train_batch_size": 4,
            "save_steps": 1,
            "learning_rate": 1e-2,
            "report_to": [],
            "use_cpu": True,
            "disable_tqdm": True,
            **options,
        }
    )
    return transformers.Trainer(
        model=model, args=arguments, train_dataset=_Sentences(), callbacks=[callback]
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, SparseTrainingCallback]:
    folder, model, callback = tmp_path_factory.mktemp("run"), _model(), SparseTrainingCallback()
    _trainer(folder, model, callback).train()
    return folder, model, callback


def test_phases(trained: Any) -> None:
    _, model, callback = trained
    training = callback.training
    assert (training.steps, training.phase, training.recipe) == (STEPS, "masked", "fading")
    assert len(training.layers) == 14
    assert "lm_head" not in masks(model)
    assert not training.masks.is_attached


@pytest.mark.parametrize("step", [1, 5, 9, 10])
def test_checkpoints_are_clean(trained: Any, step: int) -> None:
    folder, model, _ = trained
    plain = transformers.LlamaForCausalLM.from_pretrained(folder / f"checkpoint-{step}")
    assert not any("parametrizations" in name for name in plain.state_dict())
    share = [float((plain.get_submodule(name).weight == 0).float().mean()) for name in masks(model)]
    assert set(share) == ({0.5} if step >= 8 else {0.0})


@pytest.mark.parametrize("step", [1, 5, 9])
def test_resuming(trained: Any, step: int) -> None:
    """Also in the middle of fading: the same weights and masks as without a stop."""
    folder, whole, _ = trained
    model, callback = _model(), SparseTrainingCallback()
    other = folder.parent / f"resumed-{folder.name}-{step}"
    callback.resume_from = folder / f"checkpoint-{step}"
    resumed = str(folder / f"checkpoint-{step}")
    _trainer(other, model, callback).train(resume_from_checkpoint=resumed)
    for (name, one), expected in zip(
        model.state_dict().items(), whole.state_dict().values(), strict=True
    ):
        assert torch.equal(one, expected), name


def test_resuming_in_the_same_folder(trained: Any, tmp_path: Path) -> None:
    _, whole, _ = trained
    model, callback = _model(), SparseTrainingCallback()

    class Stop(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = state.global_step == 5

    trainer = _trainer(tmp_path, model, callback)
    trainer.add_callback(Stop())
    trainer.train()
    assert callback.training is not None
    assert callback.training.steps == 5
    model = _model()
    _trainer(tmp_path, model, SparseTrainingCallback()).train(resume_from_checkpoint=True)
    assert torch.equal(model.lm_head.weight, whole.lm_head.weight)


def test_resuming_what_was_not_sparse(tmp_path: Path) -> None:
    model = _model()
    _trainer(tmp_path, model, transformers.TrainerCallback(), max_steps=2).train()
    trainer = _trainer(tmp_path, _model(), SparseTrainingCallback())
    with pytest.raises(FileNotFoundError, match="expected the checkpoint of a sparse training"):
        trainer.train(resume_from_checkpoint=True)


def test_resuming_with_other_layers(trained: Any, tmp_path: Path) -> None:
    folder, _, _ = trained
    callback = SparseTrainingCallback(exclude="*.q_proj", resume_from=folder / "checkpoint-5")
    trainer = _trainer(tmp_path, _model(), callback)
    with pytest.raises(ValueError, match="q_proj' is masked either in the model or in the check"):
        trainer.train(resume_from_checkpoint=str(folder / "checkpoint-5"))


def test_evaluation_in_the_middle(trained: Any) -> None:
    """What a checkpoint of a fading model computes is what the model computed."""
    folder, _, _ = trained
    plain = transformers.LlamaForCausalLM.from_pretrained(folder / "checkpoint-5").eval()
    saved = torch.load(folder / "checkpoint-5" / "sparse_training.pt", weights_only=True)
    name = "model.layers.0.mlp.up_proj"
    hidden = saved["layers"][name]
    dense, mask, leak = (
        hidden[f"parametrizations.weight.{part}"] for part in ("original", "0.mask", "0.leak")
    )
    assert 0 < float(leak) < 1
    expected = torch.where(mask, dense, dense * leak)
    torch.testing.assert_close(plain.get_submodule(name).weight, expected)
