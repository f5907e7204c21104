"""A calibrated model that is written as a directory in the layout of Hugging Face."""

from __future__ import annotations

from pathlib import Path

from tnm_core.checkpoint import FileTransaction, SafetensorsFile
from tnm_core.cli.calibration.result import CalibrationResult
from tnm_core.cli.calibration.stored_names import stored_names
from tnm_core.cli.console import note
from tnm_core.cli.hugging_face import Loaded, tensors_of, tokenizer_of
from tnm_core.cli.model_directory import Companions, copy_companions
from tnm_core.cli.references import foreign_errors

WEIGHTS = "model.safetensors"


def write(
    loaded: Loaded, transaction: FileTransaction, target: Path, result: CalibrationResult
) -> Companions:
    """Write the model in its own dtypes to one safetensors file, and copy what else there is."""
    model = loaded.model
    for name, tensor in tensors_of(model):
        tensor.data = tensor.data.to(loaded.dtypes[name])
    state = None
    if loaded.missing:
        state = {k: v for k, v in model.state_dict().items() if k not in loaded.missing}
    if loaded.uses_cache:
        model.config.use_cache = True  # for a directory, config.json is copied as it is
    transaction.make_folder(target)
    staging = transaction.scratch_folder(target / WEIGHTS)
    with foreign_errors(f"cannot write the model to {target}"):
        model.save_pretrained(staging, state_dict=state, max_shard_size="1000000GB")
    with SafetensorsFile(staging / WEIGHTS) as saved:
        names = stored_names(model, saved)
        metadata = {**saved.metadata, **result.metadata(names)}
        others = result.not_found(names)
        if others:
            note(
                f"{len(others)} layers, such as {others[0]}, are stored under other names, as "
                "transformers splits experts; tnm check finds those only with --pattern"
            )
        saved.copy_to(transaction.open(target / WEIGHTS, last=True), metadata)
    if loaded.gguf is not None:
        return _write_companions(loaded, transaction, staging, target)
    return copy_companions(transaction, loaded.folder, target, {WEIGHTS})


def _write_companions(
    loaded: Loaded, transaction: FileTransaction, staging: Path, target: Path
) -> Companions:
    """Write what a GGUF file holds beside the weights: configuration and tokenizer."""
    with foreign_errors(f"cannot write the tokenizer to {target}"):
        tokenizer_of(loaded).save_pretrained(staging)
    for path in sorted(staging.iterdir()):
        if path.name != WEIGHTS:
            transaction.open(target / path.name).write(path.read_bytes())
    return Companions()
