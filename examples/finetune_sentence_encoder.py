"""Calibrate a BERT sentence encoder, fine-tune it with fixed masks towards its dense self, save it.

    python examples/finetune_sentence_encoder.py MODEL_DIRECTORY SENTENCES.txt OUTPUT_DIRECTORY

The directory is in the layout of Hugging Face: config.json, model.safetensors, tokenizer.json. The
file holds one sentence per line, of the kinds of text that the encoder will meet; no labels are
needed. A tenth of the lines, spread evenly, only measures. Needs the extra calibrate, safetensors
and tokenizers. `docs/fine-tuning.md` says what it brings.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import bert_encoder
import torch
from encoder_distillation import Distillation, Distiller

from tnm_core.torch import prune_model_, remove_sparsity_

LONGEST = 96


def main() -> None:
    """Print what is done, and how close the embeddings are to the dense model's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--pattern", default="16:32", help="n:m, or 'row n:m'")
    parser.add_argument("--calibration", type=int, default=512, help="sentences to calibrate with")
    parser.add_argument("--steps", type=int, default=Distillation.steps)
    parser.add_argument("--tokens", type=int, default=512, help="in a batch")
    parser.add_argument("--learning-rate", type=float, default=Distillation.learning_rate)
    options = parser.parse_args()

    lines = [line.strip() for line in options.sentences.read_text().splitlines() if line.strip()]
    if len(lines) < 10:
        parser.error(f"{options.sentences} holds {len(lines)} sentences, expected at least 10")
    held_out = lines[::10]
    encoded = bert_encoder.tokenize(
        options.model, [line for at, line in enumerate(lines) if at % 10], LONGEST
    )
    dense, model = bert_encoder.load(options.model), bert_encoder.load(options.model)
    target = bert_encoder.embed(dense, options.model, held_out)

    def tell(what: str) -> None:
        found = bert_encoder.embed(model, options.model, held_out)
        print(f"{what}: cosine to the dense embeddings {float((target * found).sum(1).mean()):.4f}")

    drawn = torch.randperm(len(encoded), generator=torch.Generator().manual_seed(0)).tolist()
    chosen = [encoded[at] for at in drawn[: options.calibration]]
    prune_model_(model, bert_encoder.padded_batches(chosen)[0], options.pattern)
    tell(f"calibrated with {len(chosen)} sentences")

    how = Distillation(options.steps, options.learning_rate)
    distiller = Distiller(model, dense, options.pattern, how)
    print(distiller.training)
    layers = distiller.training.layers
    fine_tune(distiller, bert_encoder.token_batches(encoded, options.tokens))
    tell(f"fine-tuned for {distiller.steps} steps")

    remove_sparsity_(model)
    bert_encoder.save(model, options.model, options.output)
    weights = torch.cat([model.get_submodule(name).weight.flatten() for name in layers])
    zeros = float((weights == 0).float().mean())
    print(f"saved in {options.output}, zeros in the pruned layers {zeros:.3f}")


def fine_tune(distiller: Distiller, batches: Iterator[bert_encoder.Batch]) -> None:
    """Train to the end, and print the mean loss now and then."""
    steps = distiller.how.steps
    losses: list[float] = []
    for step in range(1, steps + 1):
        losses.append(distiller.step(next(batches)))
        if step % max(1, steps // 20) == 0:
            print(f"step {step} of {steps}: loss {sum(losses) / len(losses):.4f}", flush=True)
            losses.clear()


if __name__ == "__main__":
    main()
