"""Dynamic masks from the first step on, with SR-STE, or with pruned weights that fade out.

    python examples/train_from_scratch.py --recipe sr-ste
    python examples/train_from_scratch.py --recipe fading

Needs the extra torch and scikit-learn; takes a few seconds.
"""

from __future__ import annotations

import argparse

import digits
import torch
from torch import nn

from tnm_core.torch import SRSTE, DynamicMask, sparsify_


def main() -> None:
    """Print the accuracy, and what the masks did on the way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pattern", default="2:4", help="n:m (n of m are kept), or 'row n:m'")
    parser.add_argument(
        "--recipe", choices=("dense", "dynamic", "sr-ste", "fading"), default="sr-ste"
    )
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    training, test = digits.load()
    model = digits.perceptron()
    if options.recipe != "dense":
        sparsify_(model, options.pattern, exclude="4")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-5)
    dynamic = attach(
        options.recipe, model, optimizer, options.epochs * digits.steps_per_epoch(training, 64)
    )
    digits.train(model, optimizer, training, options.epochs)
    print(f"{options.recipe}, {options.pattern}: accuracy {digits.accuracy(model, test):.3f}")
    if dynamic is not None and dynamic.statistics:
        print("\n  step  layer  flip rate  retained")
        for record in dynamic.statistics[:: max(len(dynamic.statistics) // 11, 1)]:
            shares = f"{record.flip_rate:9.4f}  {record.retained:8.4f}"
            print(f"{record.step:6}  {record.layer:>5}  {shares}")


def attach(
    recipe: str, model: nn.Module, optimizer: torch.optim.Optimizer, steps: int
) -> DynamicMask | None:
    """Make the optimizer train masks, too."""
    if recipe == "dense":
        return None
    if recipe == "fading":
        return DynamicMask.fading(steps).attach(model, optimizer)
    if recipe == "sr-ste":
        # Masks at every step and the decay of Zhou et al. (2021).
        SRSTE(decay=2e-4).attach(model, optimizer)
        return DynamicMask(every=1).attach(model, optimizer)
    return DynamicMask(every=40).attach(model, optimizer)


if __name__ == "__main__":
    main()
