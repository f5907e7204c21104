"""Prune a BERT sentence encoder of a local directory with some sentences, and save it.

    python examples/prune_sentence_encoder.py MODEL_DIRECTORY SENTENCES.txt OUTPUT_DIRECTORY

The directory is in the layout of Hugging Face: config.json, model.safetensors, tokenizer.json. The
file holds one sentence per line; the last tenth of them only measures. Needs the extra calibrate,
safetensors and tokenizers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import bert_encoder
import torch

from tnm_core.torch import prune_model_, remove_sparsity_


def main() -> None:
    """Print a table of the layers, and the cosine to the dense model's embeddings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--pattern", default="2:4", help="n:m, or 'row n:m'")
    parser.add_argument("--recipe", default="best")
    options = parser.parse_args()

    lines = [line.strip() for line in options.sentences.read_text().splitlines() if line.strip()]
    held_out = max(len(lines) // 10, 1)
    if len(lines) < 2:
        parser.error(f"{options.sentences} holds {len(lines)} sentences, expected at least 2")
    model = bert_encoder.load(options.model)
    before = bert_encoder.embed(model, options.model, lines[-held_out:])

    batches, _ = bert_encoder.sentence_batches(options.model, lines[:-held_out])
    report = prune_model_(model, batches, options.pattern, options.recipe, progress=True)
    print(report)

    after = bert_encoder.embed(model, options.model, lines[-held_out:])
    print(f"\ncosine to the dense embeddings {float((before * after).sum(1).mean()):.3f}")

    remove_sparsity_(model)
    bert_encoder.save(model, options.model, options.output)
    zeros = torch.cat([model.get_submodule(x.name).weight.flatten() for x in report.pruned]) == 0
    print(
        f"saved in {options.output}, zeros in the pruned layers {float(zeros.float().mean()):.3f}"
    )


if __name__ == "__main__":
    main()
