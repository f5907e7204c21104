"""Static masks: train a dense model, prune it once, fine-tune with the masks fixed.

    python examples/prune_and_finetune.py --pattern 2:4

Needs the extra torch and scikit-learn; takes a few seconds.
"""

from __future__ import annotations

import argparse

import digits
import torch

from tnm_core.torch import StaticMask, remove_sparsity_, sparsify_


def main() -> None:
    """Print the accuracy of the dense model, right after pruning, and after fine-tuning."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pattern", default="2:4", help="n:m (n of m are kept), or 'row n:m'")
    parser.add_argument("--epochs", type=int, default=20, help="of training and of fine-tuning")
    options = parser.parse_args()

    torch.manual_seed(0)
    training, test = digits.load()
    model = digits.perceptron()
    digits.train(model, torch.optim.AdamW(model.parameters(), lr=3e-3), training, options.epochs)
    print(f"dense             {digits.accuracy(model, test):.3f}")

    # The classifier stays dense, as in the published recipes.
    report = sparsify_(model, options.pattern, exclude="4")
    print(f"{options.pattern}, not tuned    {digits.accuracy(model, test):.3f}\n\n{report}\n")

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    static = StaticMask().attach(model, optimizer)
    digits.train(model, optimizer, training, options.epochs)
    static.detach()
    print(f"{options.pattern}, fine-tuned   {digits.accuracy(model, test):.3f}")

    # Ordinary layers again, with zeros in their weights.
    remove_sparsity_(model)
    zeros = float((model[2].weight == 0).float().mean())
    print(f"zeros in layer 2  {zeros:.3f}")


if __name__ == "__main__":
    main()
